package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/client"
)

func diffCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "diff SIDE [SIDE]", Short: "Compare files, folders and times", Args: cobra.RangeArgs(1, 2),
		Long: `Compare two sides, by the hashes of what they hold: nothing is downloaded. A side that begins
with ".", "/" or "~" is a file or folder of this machine, any other is at the service. --at is the
time of the first side that is at the service, and --to that of the second; by default it is
now. A single side is compared with itself at these two times. Differences are told as what happened from the first side to the second:
+ came, - went, ~ changed. It exits with 0 if the sides are the same, and with 1 if not.

` + remoteHelp,
		Example: "  pithos diff ./site projects/site\n  pithos diff photos/2026 archive/2026\n  pithos diff docs --at \"1 week ago\"\n  pithos diff docs --at 2026-03-01 --to 2026-04-01\n  pithos diff docs docs-copy --at \"1 hour ago\"",
	}
	t.addJSON(cmd)
	when := addAt(cmd)
	then := addMoment(cmd, "to", "the second side as it was at a `time`")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		past, err := when()
		if err != nil {
			return err
		}
		later, err := then()
		switch {
		case err != nil:
			return err
		case len(args) == 1 && past.IsZero():
			return usage("one side is compared with itself at another time: say --at TIME")
		case len(args) == 2 && !later.IsZero() && (isLocal(args[0]) || isLocal(args[1])):
			return usage("files have no other time: the time of the other side is --at")
		case len(args) == 2 && isLocal(args[0]) && isLocal(args[1]):
			return usage("one of the sides must be at the service; diff compares files with each other")
		case len(args) == 1:
			args = append(args, args[0])
		case isLocal(args[0]):
			later = past
		}
		return t.diff(ctx, c, [2]string{args[0], args[1]}, [2]time.Time{past, later})
	})
	return cmd
}

// isLocal tells whether a side of diff is of this machine.
func isLocal(text string) bool { return text != "" && strings.ContainsRune("./~", rune(text[0])) }

// content is what a side has under a name. That of a folder is empty.
type content struct {
	Hash  string `json:"hash"`
	Bytes int64  `json:"bytes"`
}

// side is what diff compares: contents by their names below the side, "" for the side itself. Names of folders end in a slash.
type side map[string]content

// difference is one line of diff.
type difference struct {
	Name   string   `json:"name"`
	Change string   `json:"change"` // "added", "removed", "changed"
	Before *content `json:"before,omitempty"`
	After  *content `json:"after,omitempty"`
}

func (t *terminal) diff(ctx context.Context, c *client.Client, args [2]string, at2 [2]time.Time) error {
	var places [2]place
	for i, arg := range args {
		if isLocal(arg) {
			continue
		}
		var err error
		if places[i], err = at(c, plain(arg)); err != nil {
			return err
		}
		if places[i].all {
			return usage("name a container")
		}
	}
	if err := sameBlocks(ctx, places); err != nil {
		return err
	}
	var sides [2]side
	for i, arg := range args {
		var err error
		if isLocal(arg) {
			sides[i], err = localSide(ctx, places[1-i].Container, arg)
		} else {
			sides[i], err = remoteSide(ctx, places[i], at2[i])
		}
		if err != nil {
			return err
		}
	}
	found := compare(sides[0], sides[1])
	if t.json {
		if err := t.printJSON(found); err != nil {
			return err
		}
	} else {
		for _, d := range found {
			fmt.Fprintln(t.out, d.line())
		}
	}
	if len(found) > 0 {
		return &failure{code: exitFailed}
	}
	return nil
}

// sameBlocks refuses to compare objects that are cut at different sizes: their hashes tell nothing of each other.
func sameBlocks(ctx context.Context, places [2]place) error {
	if places[0].Container == nil || places[1].Container == nil {
		return nil
	}
	a, err := places[0].BlockSize(ctx)
	if err != nil {
		return err
	}
	b, err := places[1].BlockSize(ctx)
	if err == nil && a != b {
		err = fmt.Errorf("the containers have blocks of different sizes, %s and %s: their hashes cannot be compared", showBytes(a), showBytes(b))
	}
	return err
}

func remoteSide(ctx context.Context, p place, past time.Time) (side, error) {
	s := side{}
	p.name = strings.TrimSuffix(p.name, "/")
	for e, err := range p.below(ctx, past) {
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(e.Name, p.name), "/")
		if e.Folder() {
			if name != "" {
				s[strings.TrimSuffix(name, "/")+"/"] = content{}
			}
			continue
		}
		s[name] = content{e.Hash, e.Bytes}
	}
	return s, nil
}

func localSide(ctx context.Context, k *client.Container, root string) (side, error) {
	s := side{}
	if rest, ok := strings.CutPrefix(root, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		root = filepath.Join(home, rest)
	}
	return s, filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return notThere(err)
		}
		rest, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(rest), ".")
		if rest != "." {
			name = filepath.ToSlash(rest)
		}
		switch {
		case d.IsDir():
			if name != "" {
				s[name+"/"] = content{}
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		s[name], err = localContent(ctx, k, file)
		return err
	})
}

func localContent(ctx context.Context, k *client.Container, file string) (content, error) {
	f, err := os.Open(file)
	if err != nil {
		return content{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return content{}, err
	}
	hash, err := k.HashOf(ctx, f, info.Size())
	return content{hash, info.Size()}, err
}

// compare tells what happened from one side to the other, in the order of names. A folder that only one side has an object for, or only names in it tell of, is no
// difference as long as both have something in it.
func compare(before, after side) []difference {
	found := []difference{}
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	folders := [2]map[string]bool{before.folders(), after.folders()}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, had := before[name]
		next, has := after[name]
		d := difference{Name: name}
		switch {
		case strings.HasSuffix(name, "/") && folders[0][name] && folders[1][name], had && has && old == next:
			continue
		case had && has:
			d.Change, d.Before, d.After = "changed", &old, &next
		case has:
			d.Change, d.After = "added", &next
		default:
			d.Change, d.Before = "removed", &old
		}
		found = append(found, d)
	}
	return found
}

// folders are the folders of a side: those that stand in it and those of its names.
func (s side) folders() map[string]bool {
	all := map[string]bool{}
	for name := range s {
		for i, c := range name {
			if c == '/' {
				all[name[:i+1]] = true
			}
		}
	}
	return all
}

func (d difference) line() string {
	name := printable(d.Name)
	if name == "" {
		name = "."
	}
	switch {
	case d.Change == "changed":
		return fmt.Sprintf("~ %s (%s, before %s)", name, showBytes(d.After.Bytes), showBytes(d.Before.Bytes))
	case strings.HasSuffix(name, "/") && d.After != nil:
		return "+ " + name
	case strings.HasSuffix(name, "/"):
		return "- " + name
	case d.After != nil:
		return fmt.Sprintf("+ %s (%s)", name, showBytes(d.After.Bytes))
	}
	return fmt.Sprintf("- %s (%s)", name, showBytes(d.Before.Bytes))
}
