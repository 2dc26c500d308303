package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/client"
	"pithos/internal/clock"
)

// fileCommands work on objects as on files.
func fileCommands(t *terminal) []*cobra.Command {
	return []*cobra.Command{
		loginCommand(t), lsCommand(t), duCommand(t), putCommand(t), getCommand(t), catCommand(t), mkdirCommand(t),
		transferCommand(t, "cp", "Copy", (*client.Container).Copy), transferCommand(t, "mv", "Move", (*client.Container).Move), rmCommand(t),
	}
}

func addAt(cmd *cobra.Command) *string {
	return cmd.Flags().String("at", "", "as it was at a `time`: \"2 hours ago\", \"2026-03-01 12:00\"")
}

func now() time.Time { return clock.System{}.Now() }

func lsCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "ls [PATH]", Short: "List containers, or what a folder holds", Args: cobra.MaximumNArgs(1), Long: remoteHelp,
		Example: "  pithos ls\n  pithos ls photos/2026\n  pithos ls photos --recursive --at \"2 days ago\"",
	}
	t.addJSON(cmd)
	when := addAt(cmd)
	deep := cmd.Flags().BoolP("recursive", "r", false, "everything below, not one level")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := at(c, strings.Join(args, ""))
		if err != nil {
			return err
		}
		if p.all {
			return t.listContainers(ctx, p.c)
		}
		past, err := moment(*when, now())
		if err != nil {
			return err
		}
		o := client.ListOptions{At: past, Prefix: p.name}
		if !*deep {
			o.Delimiter = "/"
		}
		if o.Prefix != "" && !strings.HasSuffix(o.Prefix, "/") {
			o.Prefix += "/"
		}
		return t.listObjects(ctx, p, o)
	})
	return cmd
}

func (t *terminal) listContainers(ctx context.Context, c *client.Client) error {
	list, err := c.Containers(ctx)
	if err != nil {
		return err
	}
	if t.json {
		return t.printJSON(list)
	}
	rows := make([][]string, len(list))
	for i, k := range list {
		rows[i] = []string{k.Name + "/", showCount(k.Count), showBytes(k.Bytes)}
	}
	return t.table("No containers.", []string{"NAME", "OBJECTS", "SIZE"}, rows)
}

func (t *terminal) listObjects(ctx context.Context, p place, o client.ListOptions) error {
	var rows [][]string
	list := []client.Entry{}
	for e, err := range p.List(ctx, o) {
		if err != nil {
			return err
		}
		if t.json {
			list = append(list, *e)
			continue
		}
		name := strings.TrimPrefix(e.Name+e.Prefix, o.Prefix)
		if e.Prefix != "" || e.Folder() {
			rows = append(rows, []string{"-", "", strings.TrimSuffix(name, "/") + "/"})
			continue
		}
		rows = append(rows, []string{showBytes(e.Bytes), e.Modified, name})
	}
	if t.json {
		return t.printJSON(list)
	}
	return t.table("Nothing there.", []string{"SIZE", "MODIFIED", "NAME"}, rows)
}

func duCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "du PATH", Short: "Count what is below a path", Args: cobra.ExactArgs(1), Long: remoteHelp, Example: "  pithos du photos/2026",
	}
	t.addJSON(cmd)
	when := addAt(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := at(c, args[0])
		if err != nil {
			return err
		}
		if p.all {
			return usage("name a container")
		}
		past, err := moment(*when, now())
		if err != nil {
			return err
		}
		var sum struct {
			Objects int64 `json:"objects"`
			Bytes   int64 `json:"bytes"`
		}
		for e, err := range p.List(ctx, client.ListOptions{Prefix: p.name, At: past}) {
			if err != nil {
				return err
			}
			sum.Objects++
			sum.Bytes += e.Bytes
		}
		if t.json {
			return t.printJSON(sum)
		}
		fmt.Fprintf(t.out, "%s in %d objects\n", showBytes(sum.Bytes), sum.Objects)
		return nil
	})
	return cmd
}

func putCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "put FILE... PATH", Short: "Upload files", Args: cobra.MinimumNArgs(2),
		Long: `Upload files. Only blocks that the service does not have yet are sent, so a large file that
changed a little is sent in a moment. A PATH that ends in "/", or several files, name the
folder that they go into; the container is made if it is not there.

` + remoteHelp,
		Example: "  pithos put holiday.jpg photos/2026/\n  pithos put disk.img backup/disk.img",
	}
	t.addJSON(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		files, target := args[:len(args)-1], args[len(args)-1]
		p, err := at(c, target)
		if err != nil {
			return err
		}
		if p.all {
			return usage("name a container to upload to")
		}
		into := p.name == "" || strings.HasSuffix(p.name, "/") || len(files) > 1
		if err := p.Create(ctx); err != nil && !client.IsDenied(err) { // of another account's container a folder may be shared
			return err
		}
		var reports []client.Report
		for _, file := range files {
			name := p.name
			if into {
				name = path.Join(p.name, filepath.Base(file))
			}
			r, err := t.putFile(ctx, p, file, name)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			reports = append(reports, r)
		}
		if t.json {
			return t.printJSON(reports)
		}
		return nil
	})
	return cmd
}

func (t *terminal) putFile(ctx context.Context, p place, file, name string) (client.Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return client.Report{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return client.Report{}, err
	}
	if !info.Mode().IsRegular() {
		return client.Report{}, errors.New("it is no file")
	}
	r, err := p.Put(ctx, name, f, info.Size(), client.PutOptions{})
	if err == nil && !t.json {
		fmt.Fprintf(t.out, "%s: %s, sent %s in %d of %d blocks\n", printable(name), showBytes(r.Bytes), showBytes(r.Moved), r.Sent, r.Blocks)
	}
	return r, err
}

func getCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "get PATH [FILE]", Short: "Download an object", Args: cobra.RangeArgs(1, 2),
		Long: `Download an object into a file, by default one of its name in this folder. Of a file that is
there only the blocks that differ are fetched. The file is replaced when the download is
complete, and not before.

` + remoteHelp,
		Example: "  pithos get photos/holiday.jpg\n  pithos get backup/disk.img old.img --at \"2 days ago\"",
	}
	t.addJSON(cmd)
	when := addAt(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := objectAt(c, args[0])
		if err != nil {
			return err
		}
		past, err := moment(*when, now())
		if err != nil {
			return err
		}
		id, err := versionAt(ctx, p, past)
		if err != nil {
			return err
		}
		file := path.Base(p.name)
		if len(args) == 2 {
			file = args[1]
		}
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			file = filepath.Join(file, path.Base(p.name))
		}
		r, err := getFile(ctx, p, id, file)
		switch {
		case err != nil:
			return err
		case t.json:
			return t.printJSON(r)
		}
		fmt.Fprintf(t.out, "%s: %s, fetched %s in %d of %d blocks\n", printable(file), showBytes(r.Bytes), showBytes(r.Moved), r.Sent, r.Blocks)
		return nil
	})
	return cmd
}

// getFile downloads into a file beside the one that is there, which it begins as a copy of, and puts it in its place at the end.
func getFile(ctx context.Context, p place, id uint64, file string) (r client.Report, err error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".pithos-*")
	if err != nil {
		return r, err
	}
	defer func() {
		_ = f.Close() // a second time on success, which says nothing new
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	mode := fs.FileMode(0o666) &^ 0o022
	have := int64(0)
	if old, e := os.Open(file); e == nil {
		if info, e := old.Stat(); e == nil {
			mode = info.Mode().Perm()
		}
		have, err = io.Copy(f, old)
		if e := old.Close(); err == nil {
			err = e
		}
		if err != nil {
			return r, err
		}
	}
	if r, err = p.Get(ctx, p.name, id, f, have, client.Transfer{}); err != nil {
		return r, err
	}
	if err = f.Sync(); err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return r, err
	}
	return r, os.Rename(f.Name(), file)
}

func catCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "cat PATH", Short: "Write an object to the standard output", Args: cobra.ExactArgs(1), Long: remoteHelp,
		Example: "  pithos cat notes/todo.txt --at \"1 hour ago\"",
	}
	when := addAt(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := objectAt(c, args[0])
		if err != nil {
			return err
		}
		past, err := moment(*when, now())
		if err != nil {
			return err
		}
		id, err := versionAt(ctx, p, past)
		if err != nil {
			return err
		}
		body, _, err := p.Open(ctx, p.name, id)
		if err != nil {
			return err
		}
		_, err = io.Copy(t.out, body)
		return errors.Join(err, body.Close())
	})
	return cmd
}

func mkdirCommand(_ *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "mkdir PATH", Short: "Make a container or a folder", Args: cobra.ExactArgs(1), Long: remoteHelp, Example: "  pithos mkdir photos\n  pithos mkdir photos/2026",
		RunE: onService(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := at(c, args[0])
			switch {
			case err != nil:
				return err
			case p.all:
				return usage("name a container or a folder")
			case p.name == "":
				return p.Create(ctx)
			}
			return p.MakeFolder(ctx, strings.TrimSuffix(p.name, "/"))
		}),
	}
}

func transferCommand(_ *terminal, use, what string, do func(*client.Container, context.Context, string, *client.Container, string, bool) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " PATH PATH", Short: what + " an object or a folder without moving data", Args: cobra.ExactArgs(2), Long: remoteHelp,
		Example: "  pithos " + use + " photos/a.jpg photos/b.jpg\n  pithos " + use + " -r photos/2026 archive/2026",
	}
	tree := cmd.Flags().BoolP("recursive", "r", false, "everything below too")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		from, err := objectAt(c, args[0])
		if err != nil {
			return err
		}
		to, err := at(c, args[1])
		if err != nil {
			return err
		}
		if to.all {
			return usage("name a container to put it into")
		}
		if to.name == "" || strings.HasSuffix(to.name, "/") {
			to.name += path.Base(from.name)
		}
		err = do(from.Container, ctx, from.name, to.Container, to.name, *tree)
		if *tree && client.IsNotFound(err) {
			if err = markFolder(ctx, from, err); err == nil {
				err = do(from.Container, ctx, from.name, to.Container, to.name, true)
			}
		}
		return err
	})
	return cmd
}

// markFolder makes the object that stands for a folder which only the names in it tell of; the service moves no folder without one.
func markFolder(ctx context.Context, p place, missing error) error {
	for _, err := range p.List(ctx, client.ListOptions{Prefix: strings.TrimSuffix(p.name, "/") + "/"}) {
		if err != nil {
			return err
		}
		return p.MakeFolder(ctx, p.name)
	}
	return missing
}

func rmCommand(_ *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rm PATH", Short: "Delete an object, a folder or a container", Args: cobra.ExactArgs(1),
		Long: `Delete an object; its versions stay, and "pithos restore" brings it back. With --recursive
everything below goes too. A container must be empty; its history goes with it.

` + remoteHelp,
		Example: "  pithos rm photos/a.jpg\n  pithos rm -r photos/2026\n  pithos rm photos",
	}
	tree := cmd.Flags().BoolP("recursive", "r", false, "everything below too")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := at(c, args[0])
		switch {
		case err != nil:
			return err
		case p.all:
			return usage("name what to delete")
		case p.name == "":
			return p.Delete(ctx)
		}
		return p.Remove(ctx, p.name, *tree)
	})
	return cmd
}
