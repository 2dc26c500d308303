package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/client"
)

func statCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "stat PATH...", Short: "Show the properties of objects", Args: cobra.MinimumNArgs(1), Long: remoteHelp,
		Example: "  pithos stat photos/a.jpg --json\n  pithos stat photos/a.jpg --at \"1 day ago\"",
	}
	t.addJSON(cmd)
	when := addAt(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		past, err := when()
		if err != nil {
			return err
		}
		places, err := expandObjects(ctx, c, args, wanted{at: past})
		if err != nil {
			return err
		}
		var all []*client.Entry
		for i, p := range places {
			e, err := entryAt(ctx, p, past)
			if err != nil {
				return err
			}
			if all = append(all, e); t.json {
				continue
			}
			if i > 0 {
				fmt.Fprintln(t.out)
			}
			if err := t.showEntry(e); err != nil {
				return err
			}
		}
		switch {
		case !t.json:
			return nil
		case len(all) == 1:
			return t.printJSON(all[0])
		}
		return t.printJSON(all)
	})
	return cmd
}

func (t *terminal) showEntry(e *client.Entry) error {
	facts := [][2]string{
		{"Name", e.Name},
		{"Size", showBytes(e.Bytes)},
		{"Type", e.ContentType},
		{"Modified", showTime(e.Made())},
		{"By", e.ModifiedBy},
		{"Version", strconv.FormatUint(e.Version, 10)},
		{"Root hash", e.Hash},
		{"UUID", e.UUID},
		{"Sharing", e.Sharing},
		{"Shared by", e.SharedBy},
		{"Allowed to", e.AllowedTo},
		{"Public link", e.Public},
	}
	for _, name := range slices.Sorted(maps.Keys(e.Meta)) {
		facts = append(facts, [2]string{"Meta " + name, e.Meta[name]})
	}
	return t.facts(facts...)
}

func versionsCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{Use: "versions PATH", Short: "List the versions of an object", Args: cobra.ExactArgs(1), Long: remoteHelp, Example: "  pithos versions notes/todo.txt"}
	t.addJSON(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := objectAt(c, plain(args[0]))
		if err != nil {
			return err
		}
		list, err := p.Versions(ctx, p.name)
		switch {
		case client.IsNotFound(err):
			return missing(p.String())
		case err != nil:
			return err
		case t.json:
			return t.printJSON(list)
		}
		rows := make([][]string, len(list))
		for i, v := range list {
			rows[i] = []string{strconv.FormatUint(v.ID, 10), showTime(v.Made)}
		}
		return t.table("No versions.", []string{"VERSION", "MADE"}, rows)
	})
	return cmd
}

func restoreCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore PATH", Short: "Make an old version of an object the newest", Args: cobra.ExactArgs(1),
		Long: `Make an old version of an object the newest again, as a new version; nothing is lost. It works
for deleted objects too. Say which by --version (see "pithos versions") or by --at. A whole
folder comes back with "pithos cp -r PATH PATH --at TIME".

` + remoteHelp,
		Example: "  pithos restore notes/todo.txt --at \"1 hour ago\"\n  pithos restore notes/todo.txt --version 1772366401000000",
	}
	when := addAt(cmd)
	id := cmd.Flags().Uint64("version", 0, "`number` of the version")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := objectAt(c, plain(args[0]))
		if err != nil {
			return err
		}
		past, err := when()
		if err != nil {
			return err
		}
		if (*id == 0) == past.IsZero() {
			return usage("say which version: --version NUMBER or --at TIME")
		}
		version := *id
		if version == 0 {
			if version, err = versionAt(ctx, p, past); err != nil {
				return err
			}
		}
		if err := p.Restore(ctx, p.name, version); err != nil {
			return err
		}
		fmt.Fprintf(t.out, "%s is as it was in version %d.\n", printable(p.name), version)
		return nil
	})
	return cmd
}

// lists are who may read and write an object.
type lists struct {
	Path  string   `json:"path"`
	Read  []string `json:"read"`
	Write []string `json:"write"`
	By    string   `json:"by,omitempty"` // the folder that they come from, if it is another
}

// listsOf reads the lists of an object, or those that a folder above gives it.
func listsOf(p place, e *client.Entry) lists {
	l := lists{Path: p.String(), Read: []string{}, Write: []string{}, By: e.SharedBy}
	for part := range strings.SplitSeq(strings.ReplaceAll(e.Sharing, " ", ""), ";") {
		kind, members, _ := strings.Cut(part, "=")
		switch {
		case members == "":
		case kind == "read":
			l.Read = strings.Split(members, ",")
		case kind == "write":
			l.Write = strings.Split(members, ",")
		}
	}
	return l
}

// without takes members out of a list.
func without(list, members []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(m string) bool { return slices.Contains(members, m) })
}

func shareCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "share PATH...", Short: "Share objects, or folders with what is in them; show with whom", Args: cobra.MinimumNArgs(1),
		Long: `Say who may read an object and who may write it too: accounts, users (ACCOUNT:NAME), groups
of your own (ACCOUNT:GROUP, see "pithos group"), or "*" for everybody who signs in. Both
lists are replaced, or with --add added to. What a folder shares holds for everything below
that has no lists of its own. Without --read and --write it shows who may.

` + remoteHelp,
		Example: "  pithos share photos/2026 --read bob,carol\n  pithos share projects/site --write alice:team --add\n  pithos share photos/2026",
	}
	t.addJSON(cmd)
	read := cmd.Flags().StringSlice("read", nil, "`members` who may read")
	write := cmd.Flags().StringSlice("write", nil, "`members` who may read and write")
	add := cmd.Flags().Bool("add", false, "keep those who may already")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		places, err := expandObjects(ctx, c, args, wanted{})
		if err != nil {
			return err
		}
		shown := []lists{}
		for _, p := range places {
			e, err := entryAt(ctx, p, time.Time{})
			if err != nil {
				return err
			}
			l := listsOf(p, e)
			if len(*read)+len(*write) == 0 {
				shown = append(shown, l)
				continue
			}
			if !*add || l.By != "" {
				l.Read, l.Write = nil, nil
			}
			toRead, toWrite := append(without(l.Read, *write), *read...), append(without(l.Write, *read), *write...)
			if err := p.Share(ctx, p.name, toRead, toWrite); err != nil {
				return err
			}
		}
		if len(shown) > 0 {
			return t.showLists(shown)
		}
		return nil
	})
	return cmd
}

func (t *terminal) showLists(all []lists) error {
	if t.json {
		return t.printJSON(all)
	}
	rows := make([][]string, len(all))
	for i, l := range all {
		by := l.By
		if len(l.Read)+len(l.Write) == 0 {
			by = "not shared"
		}
		rows[i] = []string{l.Path, strings.Join(l.Read, ","), strings.Join(l.Write, ","), by}
	}
	return t.table("", []string{"PATH", "READ", "WRITE", "BY"}, rows)
}

func unshareCommand(_ *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "unshare PATH...", Short: "End the sharing of objects or folders", Args: cobra.MinimumNArgs(1),
		Long: "End the sharing of objects or folders, with --from that with some members alone. What a folder\nabove shares is not ended for what lies below it.\n\n" + remoteHelp, Example: "  pithos unshare photos/2026\n  pithos unshare photos/2026 --from bob",
	}
	from := cmd.Flags().StringSlice("from", nil, "`members` who may no longer")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		places, err := expandObjects(ctx, c, args, wanted{})
		if err != nil {
			return err
		}
		for _, p := range places {
			var l lists
			if len(*from) > 0 {
				e, err := entryAt(ctx, p, time.Time{})
				if err != nil {
					return err
				}
				if l = listsOf(p, e); l.By != "" {
					return &failure{exitConflict, fmt.Errorf("%s is shared by the folder %s: end it there", printable(p.String()), printable(l.By))}
				}
			}
			if err := p.Share(ctx, p.name, without(l.Read, *from), without(l.Write, *from)); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

func publishCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "publish PATH...", Short: "Make public links to objects and show them", Args: cobra.MinimumNArgs(1),
		Long: "Make public links to objects: whoever has one can read the object without signing in. One that\nis there already stays.\n\n" + remoteHelp, Example: "  pithos publish photos/a.jpg\n  pithos publish 'talks/*.pdf' --json",
	}
	t.addJSON(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		places, err := expandObjects(ctx, c, args, wanted{})
		if err != nil {
			return err
		}
		for _, p := range places {
			link, err := p.Publish(ctx, p.name)
			if err != nil {
				return err
			}
			if t.json {
				err = t.jsonLine(map[string]string{"path": p.String(), "url": link})
			} else {
				_, err = fmt.Fprintln(t.out, link)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

func unpublishCommand(_ *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "unpublish PATH...", Short: "Withdraw the public links of objects", Args: cobra.MinimumNArgs(1),
		Long: "Withdraw the public links of objects. A link that is made again is another one.\n\n" + remoteHelp, Example: "  pithos unpublish photos/a.jpg",
		RunE: onService(func(ctx context.Context, c *client.Client, args []string) error {
			places, err := expandObjects(ctx, c, args, wanted{})
			for _, p := range places {
				if err == nil {
					err = p.Unpublish(ctx, p.name)
				}
			}
			return err
		}),
	}
}
