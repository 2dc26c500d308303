package filesync

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"pithos/internal/block"
)

// disk is the folder. All names go through os.Root, which does not leave it; and no step follows a symbolic link, since those above a name are looked at first.
type disk struct {
	root *os.Root
	path string
}

var (
	// errMoved says that a file is not the one that was seen.
	errMoved = errors.New("it changed meanwhile")
	// errInTheWay says that something else stands where a file should go.
	errInTheWay = errors.New("something else is in its place")
)

func openDisk(dir string) (*disk, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &disk{root: root, path: dir}, nil
}

// replaced reports whether another folder stands at the path now.
func (d *disk) replaced() bool {
	now, err := os.Stat(d.path)
	if err != nil {
		return true
	}
	opened, err := d.root.Stat(".")
	return err != nil || !os.SameFile(now, opened)
}

// look tells what is at a name: its kind and print. Nothing is no error.
func (d *disk) look(name string) (Kind, Print, error) {
	info, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return Nothing, Print{}, nil
	}
	if err != nil {
		return Nothing, Print{}, err
	}
	return kindOf(info.Mode()), printOf(info), nil
}

func kindOf(m fs.FileMode) Kind {
	switch {
	case m.IsRegular():
		return File
	case m.IsDir():
		return Folder
	case m&fs.ModeSymlink != 0:
		return Link
	}
	return Odd
}

// openFolders makes sure that everything above a name is a folder and no link.
func (d *disk) openFolders(name string) error {
	var err error
	parents(name, func(dir string) bool {
		var info fs.FileInfo
		if info, err = d.root.Lstat(dir); err == nil && !info.IsDir() {
			err = errInTheWay
		}
		return err == nil
	})
	return err
}

// newName is the file beside a name that takes a download in. It is always the same, so that a download that was broken off goes on.
func newName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return path.Join(parent(name), newPrefix+hex.EncodeToString(sum[:12]))
}

// oldName is a name in the folder of old files, for a file that had this content.
func oldName(c Content) string {
	return path.Join(oldFolder, hex.EncodeToString(c.Root[:16])+"."+rand.Text()[:8])
}

// contentOfOld is the beginning of the root hash that the name of an old file tells.
func contentOfOld(base string) string {
	root, _, _ := strings.Cut(base, ".")
	return root
}

// openNew opens the file that takes a download in, with the bytes that are there already.
func (d *disk) openNew(name string, perm fs.FileMode) (f *os.File, have int64, err error) {
	if err := d.openFolders(name); err != nil {
		return nil, 0, err
	}
	temp := newName(name)
	if kind, _, err := d.look(temp); err == nil && kind != File && kind != Nothing {
		if err := d.root.Remove(temp); err != nil {
			return nil, 0, err
		}
	}
	f, err = d.root.OpenFile(temp, os.O_RDWR|os.O_CREATE, perm)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// install puts a complete file, on the disk already, in the place of a name, where there must be what was seen: nothing (seen nil) or that file. What stood there
// is kept under an old name, which is returned: whoever has it open may still write to it.
func (d *disk) install(temp, name string, seen *Local) (old string, err error) {
	if err := d.openFolders(name); err != nil {
		return "", err
	}
	if seen == nil {
		err := d.renameFree(temp, name)
		if errors.Is(err, fs.ErrExist) {
			err = errMoved
		}
		if err != nil {
			return "", err
		}
		return "", d.syncFolder(parent(name))
	}
	if old, err = d.displace(name, seen); err != nil {
		return "", err
	}
	if err := d.renameFree(temp, name); err != nil { // somebody made a new file this moment; the old content is known to the service
		if errors.Is(err, fs.ErrExist) {
			err = errMoved
		}
		return old, err
	}
	return old, d.syncFolder(parent(name))
}

// displace gives a file that must be the one seen an old name. If it proves to be another, it gets its name back.
func (d *disk) displace(name string, seen *Local) (old string, err error) {
	kind, print, err := d.look(name)
	if err != nil {
		return "", err
	}
	if kind != seen.Kind || !print.same(seen.Print) {
		return "", errMoved
	}
	if err := d.openFolders(name); err != nil {
		return "", err
	}
	old = oldName(seen.Content)
	if err := d.root.Mkdir(oldFolder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	err = d.renameFree(name, old)
	if errors.Is(err, syscall.EXDEV) { // another file system is mounted in the folder
		old = path.Join(parent(name), newPrefix+"old."+rand.Text()[:8])
		err = d.renameFree(name, old)
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errMoved
		}
		return "", err
	}
	_, now, err := d.look(old)
	if err == nil && now.moved(seen.Print) {
		return old, nil
	}
	if back := d.renameFree(old, name); back != nil { // another file has the name by now: the one that was moved is kept as a copy, later
		return old, errMoved
	}
	return "", errors.Join(errMoved, err)
}

// rename moves a file or folder to a free name.
func (d *disk) rename(from, to string) error {
	if err := d.openFolders(from); err != nil {
		return err
	}
	if err := d.openFolders(to); err != nil {
		return err
	}
	if err := d.renameFree(from, to); err != nil {
		return err
	}
	if err := d.syncFolder(parent(to)); err != nil {
		return err
	}
	return d.syncFolder(parent(from))
}

// makeFolder makes a folder; that there is one already is no error.
func (d *disk) makeFolder(name string) error {
	if err := d.openFolders(name); err != nil {
		return err
	}
	err := d.root.Mkdir(name, 0o777)
	if errors.Is(err, fs.ErrExist) {
		if kind, _, e := d.look(name); e == nil && kind == Folder {
			return nil
		}
		return errMoved
	}
	if err != nil {
		return err
	}
	return d.syncFolder(parent(name))
}

// removeFolder removes an empty folder.
func (d *disk) removeFolder(name string) error {
	if err := d.openFolders(name); err != nil {
		return err
	}
	kind, _, err := d.look(name)
	switch {
	case err != nil || kind == Nothing:
		return err
	case kind != Folder:
		return errMoved
	}
	if err := d.dropOwn(name); err != nil {
		return err
	}
	if err := d.root.Remove(name); err != nil {
		return err
	}
	return d.syncFolder(parent(name))
}

// dropOwn removes downloads that were broken off from a folder that is to go.
func (d *disk) dropOwn(name string) error {
	entries, err := d.list(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newPrefix) {
			if err := d.root.Remove(path.Join(name, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// list reads a folder, in no order.
func (d *disk) list(name string) ([]fs.DirEntry, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	return entries, errors.Join(err, f.Close())
}

// syncFolder makes the names in a folder durable.
func (d *disk) syncFolder(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readFile names the blocks of a file. busy is true when it changed while it was read.
func (d *disk) readFile(ctx context.Context, name string, seen Print, blockSize int64) (c Content, blocks []block.ID, busy bool, err error) {
	f, err := d.openFile(name)
	if err != nil {
		return c, nil, errors.Is(err, fs.ErrNotExist), err
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err != nil || !printOf(info).same(seen) {
		return c, nil, true, err
	}
	buf := make([]byte, min(blockSize, max(seen.Size, 1)))
	for off := int64(0); off < seen.Size; off += blockSize {
		if err := ctx.Err(); err != nil {
			return c, nil, false, err
		}
		n, err := f.ReadAt(buf[:min(blockSize, seen.Size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return c, nil, false, err
		}
		if int64(n) < min(blockSize, seen.Size-off) {
			return c, nil, true, nil
		}
		blocks = append(blocks, block.Sum(buf[:n]))
	}
	if info, err := f.Stat(); err != nil || !printOf(info).same(seen) {
		return c, nil, true, err
	}
	return Content{Kind: File, Size: seen.Size, Root: block.RootHash(blocks)}, blocks, false, nil
}

// readLink is the content of a symbolic link.
func (d *disk) readLink(name string) (Content, string, error) {
	target, err := d.root.Readlink(name)
	if err != nil {
		return Content{}, "", err
	}
	return linkContent(target), target, nil
}

func linkContent(target string) Content {
	id := block.Sum([]byte(target))
	return Content{Kind: Link, Size: int64(len(target)), Root: block.RootHash([]block.ID{id})}
}

// renameChecked is renameFree where the system has no such call: between the look and the rename somebody may make a file of the name. A link is a way that
// has no such moment, for files.
func (d *disk) renameChecked(from, to string) error {
	kind, _, err := d.look(from)
	if err != nil {
		return err
	}
	if kind == File {
		err := d.root.Link(from, to)
		if err == nil {
			return d.root.Remove(from)
		}
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if kind, _, err := d.look(to); err != nil || kind != Nothing {
		return errors.Join(fs.ErrExist, err)
	}
	return d.root.Rename(from, to)
}
