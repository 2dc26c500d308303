package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/client"
)

func lsCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "ls [PATH...]", Short: "List containers, or what a folder holds",
		Long:    "List the containers, or what folders hold; with a pattern, what matches it. \"@\" lists the\naccounts that share something with yours.\n\n" + remoteHelp,
		Example: "  pithos ls\n  pithos ls photos/2026\n  pithos ls 'photos/**/*.jpg'\n  pithos ls photos --recursive --at \"2 days ago\"\n  pithos ls @",
	}
	t.addJSON(cmd)
	when := addAt(cmd)
	deep := cmd.Flags().BoolP("recursive", "r", false, "everything below, not one level")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		past, err := when()
		switch {
		case err != nil:
			return err
		case len(args) == 0:
			return t.listContainers(ctx, c)
		case len(args) == 1 && args[0] == "@":
			return t.listAccounts(ctx, c)
		}
		l := &listing{t: t, entries: []client.Entry{}, folders: map[string]bool{}}
		for _, arg := range args {
			if err := l.add(ctx, c, arg, past, *deep); err != nil {
				return err
			}
			if l.whole {
				return nil
			}
		}
		return l.show()
	})
	return cmd
}

func (t *terminal) listContainers(ctx context.Context, c *client.Client) error {
	list, err := c.Containers(ctx)
	if err != nil {
		return err
	}
	if t.json {
		if list == nil {
			list = []client.ContainerInfo{}
		}
		return t.printJSON(list)
	}
	rows := make([][]string, len(list))
	for i, k := range list {
		rows[i] = []string{k.Name + "/", showCount(k.Count), showBytes(k.Bytes)}
	}
	return t.table("No containers.", []string{"NAME", "OBJECTS", "SIZE"}, rows)
}

func (t *terminal) listAccounts(ctx context.Context, c *client.Client) error {
	names, err := c.SharingAccounts(ctx)
	if err != nil {
		return err
	}
	if t.json {
		return t.printJSON(names)
	}
	rows := make([][]string, len(names))
	for i, name := range names {
		rows[i] = []string{"@" + name + "/"}
	}
	return t.table("No account shares anything with yours.", []string{"NAME"}, rows)
}

// listing gathers what ls shows.
type listing struct {
	t       *terminal
	entries []client.Entry
	rows    [][]string
	folders map[string]bool // that are shown
	whole   bool            // everything is shown already
}

// add lists what one argument means.
func (l *listing) add(ctx context.Context, c *client.Client, arg string, past time.Time, deep bool) error {
	places, err := expand(ctx, c, arg, wanted{at: past, folders: true})
	if err != nil {
		return err
	}
	for _, p := range places {
		switch {
		case p.all:
			l.whole = true
			return l.t.listContainers(ctx, p.c)
		case isPattern(arg) && p.name != "":
			err = l.match(ctx, p, past)
		default:
			err = l.folder(ctx, p, client.ListOptions{At: past}, deep)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// match shows what matched a pattern, by its whole name.
func (l *listing) match(ctx context.Context, p place, past time.Time) error {
	if p.folder {
		l.entry(&client.Entry{Prefix: p.name + "/"}, p.String()+"/")
		return nil
	}
	e, err := entryAt(ctx, p, past)
	if err == nil {
		l.entry(e, p.String())
	}
	return err
}

// folder shows what lies in a folder, or the object of that name.
func (l *listing) folder(ctx context.Context, p place, o client.ListOptions, deep bool) error {
	if o.Prefix = p.name; o.Prefix != "" && !strings.HasSuffix(o.Prefix, "/") {
		o.Prefix += "/"
	}
	if !deep {
		o.Delimiter = "/"
	}
	some := false
	for e, err := range p.List(ctx, o) {
		if err != nil {
			return err
		}
		some = true
		l.entry(e, strings.TrimPrefix(e.Name+e.Prefix, o.Prefix))
	}
	if some || p.name == "" {
		return nil
	}
	e, err := entryAt(ctx, p, o.At)
	if err == nil && !e.Folder() {
		l.entry(e, p.name)
	}
	return err
}

func (l *listing) entry(e *client.Entry, name string) {
	switch {
	case l.t.json:
		l.entries = append(l.entries, *e)
	case e.Prefix != "" || e.Folder(): // one that an object stands for and names lie in comes twice
		if name = strings.TrimSuffix(name, "/") + "/"; !l.folders[name] {
			l.folders[name] = true
			l.rows = append(l.rows, []string{"-", "", name})
		}
	default:
		l.rows = append(l.rows, []string{showBytes(e.Bytes), showTime(e.Made()), name})
	}
}

func (l *listing) show() error {
	if l.t.json {
		return l.t.printJSON(l.entries)
	}
	return l.t.table("Nothing there.", []string{"SIZE", "MODIFIED", "NAME"}, l.rows)
}

// entryAt tells of an object as it was at a moment, zero for now.
func entryAt(ctx context.Context, p place, past time.Time) (*client.Entry, error) {
	id, err := versionAt(ctx, p, past)
	if err != nil {
		return nil, err
	}
	e, err := p.StatVersion(ctx, p.name, id)
	if client.IsNotFound(err) {
		return nil, missing(p.String())
	}
	return e, err
}

func duCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "du PATH...", Short: "Count what is below a path", Args: cobra.MinimumNArgs(1), Long: remoteHelp, Example: "  pithos du photos/2026\n  pithos du 'photos/*' --at \"1 week ago\"",
	}
	t.addJSON(cmd)
	when := addAt(cmd)
	type sum struct {
		Path    string `json:"path"`
		Objects int64  `json:"objects"`
		Bytes   int64  `json:"bytes"`
	}
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		past, err := when()
		if err != nil {
			return err
		}
		places, err := expandAll(ctx, c, args, wanted{at: past, folders: true})
		if err != nil {
			return err
		}
		var sums []sum
		for _, p := range places {
			if p.all {
				return usage("name a container")
			}
			s := sum{Path: p.String()}
			for e, err := range p.below(ctx, past) {
				if err != nil {
					return err
				}
				if e.Folder() {
					continue
				}
				s.Objects++
				s.Bytes += e.Bytes
			}
			sums = append(sums, s)
		}
		if t.json && len(sums) == 1 {
			return t.printJSON(sums[0])
		} else if t.json {
			return t.printJSON(sums)
		}
		for _, s := range sums {
			name := ""
			if len(sums) > 1 {
				name = printable(s.Path) + ": "
			}
			fmt.Fprintf(t.out, "%s%s in %d objects\n", name, showBytes(s.Bytes), s.Objects)
		}
		return nil
	})
	return cmd
}

// below gives the object that a place names, if there is one, and all that lies below it; not what only begins with the same letters. The loop ends after an error.
func (p place) below(ctx context.Context, past time.Time) func(yield func(*client.Entry, error) bool) {
	return func(yield func(*client.Entry, error) bool) {
		folder := p.name
		if folder != "" && !strings.HasSuffix(folder, "/") {
			folder += "/"
			for e, err := range p.List(ctx, client.ListOptions{Prefix: p.name, At: past, PageMax: 1}) {
				if err != nil {
					yield(nil, err)
					return
				}
				if e.Name == p.name && !yield(e, nil) {
					return
				}
				break // names that only begin with it come behind it
			}
		}
		for e, err := range p.List(ctx, client.ListOptions{Prefix: folder, At: past}) {
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func catCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "cat PATH...", Short: "Write objects to the standard output", Args: cobra.MinimumNArgs(1), Long: remoteHelp,
		Example: "  pithos cat notes/todo.txt --at \"1 hour ago\"\n  pithos cat 'logs/2026-11-*.log'",
	}
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
		for _, p := range places {
			id, err := versionAt(ctx, p, past)
			if err != nil {
				return err
			}
			body, _, err := p.Open(ctx, p.name, id)
			if client.IsNotFound(err) {
				return missing(p.String())
			}
			if err != nil {
				return err
			}
			_, err = io.Copy(t.out, body)
			if err = errors.Join(err, body.Close()); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

func treeCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "tree PATH", Short: "Draw what lies below a path", Args: cobra.ExactArgs(1), Long: remoteHelp,
		Example: "  pithos tree photos\n  pithos tree photos/2026 --depth 2 --at \"1 week ago\"",
	}
	t.addJSON(cmd)
	when := addAt(cmd)
	depth := cmd.Flags().Int("depth", 0, "`levels` to draw; 0 draws all")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		past, err := when()
		if err != nil {
			return err
		}
		p, err := at(c, plain(args[0]))
		switch {
		case err != nil:
			return err
		case p.all || *depth < 0:
			return usage("name a container, and a depth of 0 or more")
		}
		root := &branch{Name: p.String()}
		prefix := p.name
		if prefix != "" && !strings.HasSuffix(prefix, "/") {
			prefix += "/"
		}
		for e, err := range p.List(ctx, client.ListOptions{Prefix: prefix, At: past}) {
			if err != nil {
				return err
			}
			root.grow(strings.TrimPrefix(e.Name, prefix), e)
		}
		if len(root.Below) == 0 && p.name != "" {
			if _, err := entryAt(ctx, p, past); err != nil {
				return err
			}
		}
		if t.json {
			return t.printJSON(root)
		}
		fmt.Fprintln(t.out, printable(root.Name))
		root.draw(t.out, "", *depth)
		folders, objects, size := root.count()
		fmt.Fprintf(t.out, "\n%d folders, %d objects, %s\n", folders, objects, showBytes(size))
		return nil
	})
	return cmd
}

// branch is an object or folder in a drawn tree. An object may have others below it.
type branch struct {
	Name   string    `json:"name"`
	Object bool      `json:"object"`
	Bytes  int64     `json:"bytes"`
	Below  []*branch `json:"below,omitempty"`
}

// grow adds an object. Objects come in the order of their names, so that a folder is the last branch or a new one, unless a name between
// its own and those below it has come ("a", "a.txt", "a/b").
func (b *branch) grow(name string, e *client.Entry) {
	first, rest, deeper := strings.Cut(name, "/")
	var next *branch
	for i := len(b.Below) - 1; i >= 0 && next == nil; i-- {
		if b.Below[i].Name == first {
			next = b.Below[i]
		} else if !strings.HasPrefix(b.Below[i].Name, first) {
			break
		}
	}
	if next == nil {
		next = &branch{Name: first}
		b.Below = append(b.Below, next)
	}
	if deeper && rest != "" {
		next.grow(rest, e)
		return
	}
	next.Object, next.Bytes = !e.Folder() && !deeper, e.Bytes
}

func (b *branch) draw(w io.Writer, indent string, levels int) {
	for i, one := range b.Below {
		line, more := "├── ", "│   "
		if i == len(b.Below)-1 {
			line, more = "└── ", "    "
		}
		what := "/"
		if one.Object {
			what = "  " + showBytes(one.Bytes)
		}
		fmt.Fprintln(w, indent+line+printable(one.Name)+what)
		if levels != 1 {
			one.draw(w, indent+more, max(levels-1, 0))
		}
	}
}

func (b *branch) count() (folders, objects int, size int64) {
	for _, one := range b.Below {
		f, o, s := one.count()
		folders, objects, size = folders+f, objects+o, size+s
		if one.Object {
			objects, size = objects+1, size+one.Bytes
		} else {
			folders++
		}
	}
	return folders, objects, size
}
