package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/client"
)

func putCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "put FILE... PATH", Short: "Upload files and folders", Args: cobra.MinimumNArgs(2),
		Long: `Upload files, and with --recursive folders with all that is in them. Only blocks that the
service does not have yet are sent, so a large file that changed a little is sent in a
moment. A PATH that ends in "/", or several files, name the folder that they go into; the
container is made if it is not there. With --json, lines of JSON tell how far it is.

` + remoteHelp,
		Example: "  pithos put holiday.jpg photos/2026/\n  pithos put disk.img backup/disk.img\n  pithos put -r site projects/",
	}
	t.addJSON(cmd)
	tree := cmd.Flags().BoolP("recursive", "r", false, "folders too, with all that is in them")
	kind := cmd.Flags().String("type", "", "content `type` of the objects; by default the name's ending tells it")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		files, target := args[:len(args)-1], args[len(args)-1]
		p, err := at(c, plain(target))
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
		up := &uploads{t: t, p: p, kind: *kind, tree: *tree}
		for _, file := range files {
			name := p.name
			if into {
				name = path.Join(p.name, filepath.Base(file))
			}
			if err := up.add(ctx, file, name); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// uploads are what one put sends.
type uploads struct {
	t    *terminal
	p    place
	kind string
	tree bool
}

// add sends a file, or a folder with what is in it.
func (u *uploads) add(ctx context.Context, file, name string) error {
	info, err := os.Stat(file)
	if err != nil {
		return notThere(err)
	}
	if !info.IsDir() {
		return u.file(ctx, file, name)
	}
	if !u.tree {
		return usage(fmt.Sprintf("%s is a folder: upload it with --recursive", file))
	}
	return filepath.WalkDir(file, func(each string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(file, each)
		if err != nil {
			return err
		}
		to := path.Join(name, filepath.ToSlash(rest))
		switch {
		case d.IsDir():
			return u.p.MakeFolder(ctx, to)
		case !d.Type().IsRegular():
			fmt.Fprintf(u.t.err, "pithos: %s is no file: left out\n", printable(each))
			return nil
		}
		return u.file(ctx, each, to)
	})
}

func (u *uploads) file(ctx context.Context, file, name string) error {
	f, err := os.Open(file)
	if err != nil {
		return notThere(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", file)
	}
	kind := u.kind
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	show, end := u.t.transfer(name)
	r, err := u.p.Put(ctx, name, f, info.Size(), client.PutOptions{ContentType: kind, Transfer: show})
	end()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", file, err)
	case u.t.json:
		return u.t.jsonLine(done(name, "", r))
	}
	fmt.Fprintf(u.t.out, "%s: %s, sent %s in %d of %d blocks%s\n", printable(name), showBytes(r.Bytes), showBytes(r.Moved), r.Sent, r.Blocks, saved(r))
	return nil
}

// notThere gives an error of a local file its exit code.
func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{exitNotFound, err}
	}
	return err
}

func getCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "get PATH [FILE]", Short: "Download objects and folders", Args: cobra.RangeArgs(1, 2),
		Long: `Download an object into a file, by default one of its name in this folder. What a pattern
matches, and with --recursive a folder, goes into the folder FILE, by default this one. Of
a file that is there only the blocks that differ are fetched. It is replaced when the
download is complete, and not before. With --json, lines of JSON tell how far it is.

` + remoteHelp,
		Example: "  pithos get photos/holiday.jpg\n  pithos get 'docs/*.pdf' papers/\n  pithos get -r projects/site\n  pithos get backup/disk.img old.img --at \"2 days ago\"",
	}
	t.addJSON(cmd)
	when := addAt(cmd)
	tree := cmd.Flags().BoolP("recursive", "r", false, "folders too, with all that is below them")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		past, err := when()
		if err != nil {
			return err
		}
		places, err := expandObjects(ctx, c, args[:1], wanted{at: past, folders: *tree})
		if err != nil {
			return err
		}
		down := &downloads{t: t, past: past, tree: *tree}
		target := strings.Join(args[1:], "")
		several := isPattern(args[0])
		if several && target != "" {
			if err := os.MkdirAll(target, 0o777); err != nil {
				return err
			}
		}
		for _, p := range places {
			if err := down.add(ctx, p, target); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// downloads are what one get fetches.
type downloads struct {
	t    *terminal
	past time.Time
	tree bool
}

// add fetches an object, or a folder with what is below it.
func (d *downloads) add(ctx context.Context, p place, target string) error {
	base, err := filepath.Localize(path.Base(p.name))
	if err != nil {
		return fmt.Errorf("%s: its name cannot be that of a file", printable(p.String()))
	}
	file := target
	if info, err := os.Stat(file); file == "" || err == nil && info.IsDir() {
		file = filepath.Join(file, base)
	}
	if d.tree {
		found, err := d.folder(ctx, p, file)
		if err != nil || found {
			return err
		}
	}
	return d.file(ctx, p, file)
}

// folder fetches what lies below a place; found is false when nothing does and the place is no folder. No name leads out of the folder.
func (d *downloads) folder(ctx context.Context, p place, into string) (found bool, err error) {
	prefix := strings.TrimSuffix(p.name, "/") + "/"
	for e, err := range p.below(ctx, d.past) {
		if err != nil {
			return found, err
		}
		if e.Name == p.name && !e.Folder() {
			continue
		}
		found = true
		rest := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(e.Name, strings.TrimSuffix(prefix, "/")), "/"), "/")
		if rest == "" {
			if err := os.MkdirAll(into, 0o777); err != nil {
				return found, err
			}
			continue
		}
		local, err := filepath.Localize(rest)
		if err != nil {
			return found, fmt.Errorf("%s: its name cannot be that of a file", printable(e.Name))
		}
		file := filepath.Join(into, local)
		if e.Folder() || strings.HasSuffix(e.Name, "/") {
			if err := os.MkdirAll(file, 0o777); err != nil {
				return found, err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return found, err
		}
		one := p
		one.name = e.Name
		if err := d.version(ctx, one, e.Version, file); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (d *downloads) file(ctx context.Context, p place, file string) error {
	id, err := versionAt(ctx, p, d.past)
	if err != nil {
		return err
	}
	return d.version(ctx, p, id, file)
}

func (d *downloads) version(ctx context.Context, p place, id uint64, file string) error {
	show, end := d.t.transfer(p.name)
	r, err := getFile(ctx, p, id, file, show)
	end()
	switch {
	case client.IsNotFound(err):
		return missing(p.String())
	case err != nil:
		return err
	case d.t.json:
		return d.t.jsonLine(done(p.name, file, r))
	}
	fmt.Fprintf(d.t.out, "%s: %s, fetched %s in %d of %d blocks%s\n", printable(file), showBytes(r.Bytes), showBytes(r.Moved), r.Sent, r.Blocks, saved(r))
	return nil
}

// getFile downloads into a file beside the one that is there, which it begins as a copy of, and puts it in its place at the end.
func getFile(ctx context.Context, p place, id uint64, file string, show client.Transfer) (r client.Report, err error) {
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
	if r, err = p.Get(ctx, p.name, id, f, have, show); err != nil {
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
