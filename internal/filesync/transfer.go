package filesync

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"pithos/internal/block"
)

// upload makes the object what the local file, link or folder is.
func (r *run) upload(ctx context.Context, op *Op, e *Event, p Progress) error {
	cond := Condition{None: true}
	if op.Remote != nil && !op.Remote.Implied {
		o := r.state.object(op.Name)
		if o == nil {
			return errMoved
		}
		cond = Condition{Root: o.Root}
	}
	src := Source{Content: op.Local.Content, Blocks: op.Local.Blocks}
	if r.o.Modes && op.Local.Kind == File {
		src.Mode = op.Local.Print.Mode
	}
	switch op.Local.Kind {
	case Folder:
		src.Data = strings.NewReader("")
	case Link:
		c, target, err := r.disk.readLink(op.Name)
		if err != nil || c != op.Local.Content {
			return errors.Join(errMoved, err)
		}
		src.Data, src.Blocks = strings.NewReader(target), []block.ID{block.Sum([]byte(target))}
	case File, Nothing, Odd:
		f, err := r.disk.openFile(op.Name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it is only read
		if info, err := f.Stat(); err != nil || !printOf(info).same(op.Local.Print) {
			return errors.Join(errMoved, err)
		}
		src.Data = f
	}
	made, sent, err := r.o.Service.Put(ctx, op.Name, src, cond, p)
	if err != nil {
		return err
	}
	e.Bytes, e.Moved = src.Size, sent
	made.Name = op.Name
	r.state.setMirror(op.Name, made)
	r.remember(op.Name, baseOf(op.Local, made.UUID))
	return nil
}

// download makes the local file, link or folder what the object is.
func (r *run) download(ctx context.Context, op *Op, e *Event, p Progress) error {
	switch op.Remote.Kind {
	case Folder:
		return r.downloadFolder(op)
	case Link:
		return r.downloadLink(ctx, op)
	case File, Nothing, Odd:
	}
	return r.downloadFile(ctx, op, e, p)
}

func (r *run) downloadFolder(op *Op) error {
	if op.Local != nil && op.Local.Kind != Folder {
		old, err := r.disk.displace(op.Name, op.Local)
		r.keepOld(old, op.Name, op.Local)
		if err != nil {
			return err
		}
	}
	if err := r.disk.makeFolder(op.Name); err != nil {
		return err
	}
	_, print, err := r.disk.look(op.Name)
	if err != nil {
		return err
	}
	r.remember(op.Name, &Base{Content: op.Remote.Content, UUID: op.Remote.UUID, Print: print})
	return nil
}

func (r *run) downloadFile(ctx context.Context, op *Op, e *Event, p Progress) error {
	o := r.state.object(op.Name)
	if o == nil {
		return errMoved
	}
	perm := fs.FileMode(0o666)
	if op.Local != nil && op.Local.Kind == File {
		perm = fs.FileMode(op.Local.Print.Mode) | 0o600
	}
	f, have, err := r.disk.openNew(op.Name, perm)
	if err != nil {
		return err
	}
	blocks, fetched, err := r.o.Service.Get(ctx, o, f, have, r.find, p)
	if err == nil {
		err = f.Sync()
	}
	if err == nil && op.Local != nil && op.Local.Kind == File {
		err = f.Chmod(fs.FileMode(op.Local.Print.Mode))
	}
	if err == nil && r.o.Modes && o.Mode != 0 {
		err = f.Chmod(fs.FileMode(o.Mode).Perm())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	e.Bytes, e.Moved = o.Size, fetched
	return r.put(op, newName(op.Name), blocks)
}

// put installs what was fetched, and remembers it.
func (r *run) put(op *Op, temp string, blocks []block.ID) error {
	seen := op.Local
	if seen != nil && seen.Kind == Folder {
		if err := r.disk.removeFolder(op.Name); err != nil {
			return err // it holds something: the next plan sees it
		}
		seen = nil
	}
	_, fetched, err := r.disk.look(temp)
	if err != nil {
		return err
	}
	read := r.now()
	old, err := r.disk.install(temp, op.Name, seen)
	if old != "" {
		r.keepOld(old, op.Name, op.Local)
	}
	if err != nil {
		return err
	}
	kind, print, err := r.disk.look(op.Name)
	if err != nil || kind != op.Remote.Kind || !print.moved(fetched) { // somebody was quick
		return errors.Join(errMoved, err)
	}
	b := &Base{Content: op.Remote.Content, UUID: op.Remote.UUID, Print: print, Blocks: blocks, Racy: racy(print, read)}
	r.remember(op.Name, b)
	return nil
}

func (r *run) downloadLink(ctx context.Context, op *Op) error {
	o := r.state.object(op.Name)
	if o == nil {
		return errMoved
	}
	var text memory
	if _, _, err := r.o.Service.Get(ctx, o, &text, 0, r.find, nil); err != nil {
		return err
	}
	if linkContent(string(text)) != op.Remote.Content {
		return errMoved
	}
	if err := r.disk.openFolders(op.Name); err != nil {
		return err
	}
	temp := newName(op.Name)
	if kind, _, err := r.disk.look(temp); err != nil || kind != Nothing {
		if err := r.disk.root.Remove(temp); err != nil {
			return err
		}
	}
	if err := r.disk.root.Symlink(string(text), temp); err != nil {
		return err
	}
	return r.put(op, temp, nil)
}

// memory is a Target that is a piece of memory.
type memory []byte

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return strings.NewReader(string(*m)).ReadAt(p, off)
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); end > pathMax {
		return 0, fs.ErrInvalid
	} else if end > int64(len(*m)) {
		*m = append(*m, make([]byte, end-int64(len(*m)))...)
	}
	return copy((*m)[off:], p), nil
}

func (m *memory) Truncate(size int64) error {
	if size > pathMax {
		return fs.ErrInvalid
	}
	*m = append(*m, make([]byte, max(0, size-int64(len(*m))))...)[:size]
	return nil
}

// find looks for a block in the local files, so that it is not fetched. What it returns has been checked.
func (r *run) find(id block.ID, size int64) []byte {
	if id == block.Sum(nil) {
		return make([]byte, size)
	}
	r.index.Do(func() {
		r.places = map[block.ID]placeOf{}
		for name, b := range r.state.bases() {
			r.indexBlocks(name, b.Blocks)
		}
		for name, l := range r.local {
			r.indexBlocks(name, l.Blocks)
		}
	})
	place, ok := r.places[id]
	if !ok {
		return nil
	}
	f, err := r.disk.openFile(place.name)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it is only read
	buf := make([]byte, min(size, r.block))
	n, _ := f.ReadAt(buf, place.at) // a short block is completed by zeros, or is not the one
	if clear(buf[n:]); block.Sum(buf) != id {
		return nil
	}
	return buf
}

func (r *run) indexBlocks(name string, blocks []block.ID) {
	for i, id := range blocks {
		r.places[id] = placeOf{name, int64(i) * r.block}
	}
}

// isSystem reports whether an error came from the system: a disk that is full, a file that must not be read.
func isSystem(err error) bool {
	var link *os.LinkError
	var call *os.SyscallError
	var number syscall.Errno
	return errors.As(err, &link) || errors.As(err, &call) || errors.As(err, &number)
}
