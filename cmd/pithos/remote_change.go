package main

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/client"
)

func mkdirCommand(_ *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "mkdir PATH...", Short: "Make containers or folders", Args: cobra.MinimumNArgs(1),
		Long: "Make containers or folders. That one is there already is no error.\n\n" + remoteHelp, Example: "  pithos mkdir photos\n  pithos mkdir photos/2026",
		RunE: onService(func(ctx context.Context, c *client.Client, args []string) error {
			for _, arg := range args {
				p, err := at(c, plain(arg))
				switch {
				case err != nil:
				case p.all:
					err = usage("name a container or a folder")
				case p.name == "":
					err = p.Create(ctx)
				default:
					err = p.MakeFolder(ctx, strings.TrimSuffix(p.name, "/"))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// copies is one cp or mv.
type copies struct {
	do   func(*client.Container, context.Context, string, *client.Container, string, bool) error
	tree bool
	past time.Time
}

func cpCommand(t *terminal) *cobra.Command {
	cmd := transferCommand(t, "cp", "Copy", "Copy objects, and with --recursive folders. No data moves. With --at, copy what was there at that time,\nalso what is deleted by now.",
		"  pithos cp photos/a.jpg photos/b.jpg\n  pithos cp 'photos/2026/*.jpg' best/\n  pithos cp -r photos/2026 archive/2026\n  pithos cp -r docs docs-of-friday --at \"3 days ago\"",
		(*client.Container).Copy)
	return cmd
}

func mvCommand(t *terminal) *cobra.Command {
	return transferCommand(t, "mv", "Move", "Move objects, and with --recursive folders. No data moves; the versions stay at the old name.",
		"  pithos mv photos/a.jpg photos/b.jpg\n  pithos mv 'inbox/*.pdf' docs/\n  pithos mv -r photos/2026 archive/2026", (*client.Container).Move)
}

// folderHelp tells what copying, moving and deleting of folders promises.
const folderHelp = `A folder is not changed all at once: others may see a part of it done. If it fails in the
middle, what was copied or moved is put back, and the error tells what could not be;
the same command again goes on.`

func transferCommand(_ *terminal, use, verb, long, example string, do func(*client.Container, context.Context, string, *client.Container, string, bool) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " PATH... PATH", Short: verb + " objects and folders without moving data", Args: cobra.MinimumNArgs(2),
		Long: long + "\n\n" + folderHelp + "\n\n" + remoteHelp, Example: example,
	}
	tree := cmd.Flags().BoolP("recursive", "r", false, "everything below too")
	when := func() (time.Time, error) { return time.Time{}, nil }
	if use == "cp" {
		when = addAt(cmd)
	}
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		k := copies{do: do, tree: *tree}
		var err error
		if k.past, err = when(); err != nil {
			return err
		}
		last := len(args) - 1
		places, err := expandAll(ctx, c, args[:last], wanted{at: k.past, folders: *tree})
		if err != nil {
			return err
		}
		to, err := at(c, plain(args[last]))
		if err != nil {
			return err
		}
		if to.all {
			return usage("name a container to put it into")
		}
		into := to.name == "" || strings.HasSuffix(to.name, "/")
		if !into && (len(places) > 1 || isPattern(args[0])) {
			return usage(fmt.Sprintf("several objects go into a folder: write %q", args[last]+"/"))
		}
		for _, p := range places {
			if p.all {
				return usage("name what to " + use)
			}
			target := to
			if into && (p.name != "" || to.name != "") {
				target.name += path.Base(p.String())
			}
			if err := k.one(ctx, p, target); err != nil {
				return fmt.Errorf("%s: %w", printable(p.String()), err)
			}
		}
		return nil
	})
	return cmd
}

// one copies or moves one object or folder.
func (k *copies) one(ctx context.Context, from, to place) error {
	if k.tree {
		from.name, to.name = strings.TrimSuffix(from.name, "/"), strings.TrimSuffix(to.name, "/")
	}
	switch {
	case from.name == "" && k.tree && k.past.IsZero() || from.name == "" && !k.tree:
		return usage("a container is copied with cp --recursive and --at, or by the names in it: " + from.String() + "/'*'")
	case !k.past.IsZero():
		return k.old(ctx, from, to)
	}
	err := k.do(from.Container, ctx, from.name, to.Container, to.name, k.tree)
	if k.tree && client.IsNotFound(err) {
		if err = markFolder(ctx, from, err); err == nil {
			err = k.do(from.Container, ctx, from.name, to.Container, to.name, true)
		}
	}
	return err
}

// old copies what was there at a moment, version by version.
func (k *copies) old(ctx context.Context, from, to place) error {
	if !k.tree {
		id, err := versionAt(ctx, from, k.past)
		if err != nil {
			return err
		}
		return from.CopyVersion(ctx, from.name, id, to.Container, to.name)
	}
	some := false
	for e, err := range from.below(ctx, k.past) {
		if err != nil {
			return err
		}
		some = true
		name := to.name + strings.TrimPrefix(e.Name, from.name)
		if from.name == "" && to.name != "" {
			name = to.name + "/" + e.Name
		}
		if err := from.CopyVersion(ctx, e.Name, e.Version, to.Container, name); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	if !some {
		return &failure{exitNotFound, fmt.Errorf("nothing was there at %s", showTime(k.past))}
	}
	return nil
}

// markFolder makes the object that stands for a folder which only the names in it tell of; the service moves no folder without one.
func markFolder(ctx context.Context, p place, missing error) error {
	for _, err := range p.List(ctx, client.ListOptions{Prefix: strings.TrimSuffix(p.name, "/") + "/", PageMax: 1}) {
		if err != nil {
			return err
		}
		return p.MakeFolder(ctx, p.name)
	}
	return missing
}

func rmCommand(_ *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rm PATH...", Short: "Delete objects, folders or containers", Args: cobra.MinimumNArgs(1),
		Long: `Delete objects; their versions stay, and "pithos restore" brings them back. With --recursive
everything below goes too; of a container, all that is in it. A container must be empty to
be deleted itself; its history goes with it, for good.

` + folderHelp + "\n\n" + remoteHelp,
		Example: "  pithos rm photos/a.jpg\n  pithos rm 'photos/*.tmp'\n  pithos rm -r photos/2026\n  pithos rm -r photos && pithos rm photos",
	}
	tree := cmd.Flags().BoolP("recursive", "r", false, "everything below too")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		places, err := expandAll(ctx, c, args, wanted{folders: *tree})
		if err != nil {
			return err
		}
		for _, p := range places {
			if err := removeOne(ctx, p, *tree); err != nil {
				return fmt.Errorf("%s: %w", printable(p.String()), err)
			}
		}
		return nil
	})
	return cmd
}

func removeOne(ctx context.Context, p place, tree bool) error {
	switch {
	case p.all:
		return usage("name what to delete")
	case p.name == "" && tree:
		return p.Empty(ctx)
	case p.name == "":
		return p.Delete(ctx)
	}
	err := p.Remove(ctx, p.name, tree)
	if tree && client.IsNotFound(err) {
		if err = markFolder(ctx, p, err); err == nil {
			err = p.Remove(ctx, p.name, true)
		}
	}
	return err
}
