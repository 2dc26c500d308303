package main

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pithos/client"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/filesync"
)

// modeMeta is the metadata that keeps a file's permission bits, in octal.
const modeMeta = "Mode"

// wholeMax is up to which size a file is sent without asking which of its blocks are there: one request in place of three.
const wholeMax = 16 << 10

// syncService is what lies below a prefix in a container, as the synchronisation sees it.
type syncService struct {
	k      *client.Container
	prefix string // "" or ending in a slash
	modes  bool
}

// told makes of an error of the client one of the kinds that the synchronisation decides by.
func told(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	kind := errs.Busy // the network, or something that passes
	var e *client.Error
	switch {
	case errors.Is(err, client.ErrLocalChange):
		kind = errs.Precondition
	case errors.As(err, &e):
		kind = kindOfStatus(e.Status)
	}
	return errs.Wrap("pithos sync", kind, err)
}

func kindOfStatus(status int) errs.Kind {
	switch status {
	case http.StatusBadRequest, http.StatusLengthRequired, http.StatusUnprocessableEntity:
		return errs.Invalid
	case http.StatusUnauthorized:
		return errs.Unauthenticated
	case http.StatusForbidden:
		return errs.Denied
	case http.StatusNotFound:
		return errs.NotFound
	case http.StatusConflict:
		return errs.Conflict
	case http.StatusPreconditionFailed:
		return errs.Precondition
	case http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage:
		return errs.Quota
	case http.StatusNotImplemented:
		return errs.Unsupported
	}
	return errs.Busy
}

// ofContainer is told for requests about the container itself: that it is not there is not the fault of an object.
func ofContainer(err error) error {
	if client.IsNotFound(err) {
		return errs.E("pithos sync", errs.NotFound, errs.Container, "").Because("", "the container is not there").With(err)
	}
	return told(err)
}

func (s *syncService) BlockSize(ctx context.Context) (int64, error) {
	n, err := s.k.BlockSize(ctx)
	return n, ofContainer(err)
}

func (s *syncService) Totals(ctx context.Context) (objects, bytes int64, known bool, err error) {
	if s.prefix != "" {
		return 0, 0, false, nil
	}
	objects, bytes, known, err = s.k.Totals(ctx)
	return objects, bytes, known, ofContainer(err)
}

func (s *syncService) List(ctx context.Context) iter.Seq2[*filesync.Object, error] {
	return func(yield func(*filesync.Object, error) bool) {
		for e, err := range s.k.List(ctx, client.ListOptions{Prefix: s.prefix}) {
			if err != nil {
				yield(nil, ofContainer(err))
				return
			}
			name, ok := strings.CutPrefix(e.Name, s.prefix)
			if !ok || name == "" {
				continue // the folder itself
			}
			o, err := s.object(name, e)
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

func (s *syncService) object(name string, e *client.Entry) (*filesync.Object, error) {
	root, err := block.ParseID(e.Hash)
	if err != nil {
		return nil, errs.Wrap("pithos sync", errs.Internal, err)
	}
	o := &filesync.Object{Name: name, Size: e.Bytes, Root: root, Type: e.ContentType, UUID: e.UUID, Version: e.Version, By: e.ModifiedBy}
	for _, layout := range []string{time.RFC3339Nano, http.TimeFormat} {
		if at, err := time.Parse(layout, e.Modified); err == nil {
			o.At = at.UTC().Truncate(time.Second) // the same from a listing and from a look at the object
			break
		}
	}
	return o, nil
}

func (s *syncService) Stat(ctx context.Context, name string) (*filesync.Object, error) {
	e, err := s.k.Stat(ctx, s.prefix+name)
	if client.IsNotFound(err) {
		return nil, nil //nolint:nilnil // it is not there, which is an answer
	}
	if err != nil {
		return nil, told(err)
	}
	return s.object(name, e)
}

func (s *syncService) Now(ctx context.Context) (string, error) {
	point, err := s.k.Now(ctx)
	return point, ofContainer(err)
}

func (s *syncService) Changes(ctx context.Context, point string, wait time.Duration) (*filesync.Feed, error) {
	list, err := s.k.Changes(ctx, point, client.ChangesOptions{Wait: wait, Details: wait == 0}) // who waits wants to know that something came, and not yet what
	if err != nil {
		return nil, ofContainer(err)
	}
	f := &filesync.Feed{Next: list.Next, More: list.More}
	for _, c := range list.Changes {
		name, ok := strings.CutPrefix(c.Name, s.prefix)
		if !ok || name == "" {
			continue
		}
		told := filesync.Changed{Name: name, Version: c.Version, Deleted: c.Deleted}
		if c.Hash != "" {
			e := client.Entry{Bytes: c.Bytes, ContentType: c.ContentType, Hash: c.Hash, UUID: c.UUID, Version: c.Version, Modified: c.Modified, ModifiedBy: c.ModifiedBy}
			if told.Object, err = s.object(name, &e); err != nil {
				return nil, err
			}
		}
		f.Changes = append(f.Changes, told)
	}
	return f, nil
}

func (s *syncService) Put(ctx context.Context, name string, src filesync.Source, c filesync.Condition, p filesync.Progress) (*filesync.Object, int64, error) {
	cond := "*"
	if !c.None {
		cond = c.Root.String()
	}
	made := &filesync.Object{Name: name, Size: src.Size, Root: src.Root, Type: "application/octet-stream"}
	var r client.Report
	var err error
	if src.Kind == filesync.Folder {
		r, err = s.k.PutFolder(ctx, s.prefix+name, cond)
		made.Type = filesync.FolderType
	} else {
		o := client.PutOptions{Transfer: client.Transfer{Progress: p}, IfHash: cond, Whole: wholeMax, Blocks: make([]string, len(src.Blocks))}
		for i, id := range src.Blocks {
			o.Blocks[i] = id.String()
		}
		if src.Kind == filesync.Link {
			o.ContentType, made.Type = filesync.LinkType, filesync.LinkType
		}
		if src.Mode != 0 {
			o.Meta = map[string]string{modeMeta: "0" + strconv.FormatUint(uint64(src.Mode), 8)}
		}
		r, err = s.k.Put(ctx, s.prefix+name, src.Data, src.Size, o)
	}
	if err != nil {
		return nil, r.Moved, told(err)
	}
	if made.Root, err = block.ParseID(r.Hash); err != nil {
		return nil, r.Moved, errs.Wrap("pithos sync", errs.Internal, err)
	}
	made.Version, made.UUID = r.Version, r.UUID
	if made.UUID == "" { // a service that does not tell
		o, err := s.Stat(ctx, name)
		if err == nil && (o == nil || o.Root != made.Root) {
			err = errs.E("pithos sync", errs.Conflict, errs.Object, name)
		}
		return o, r.Moved, err
	}
	return made, r.Moved, nil
}

func (s *syncService) Get(ctx context.Context, o *filesync.Object, dst filesync.Target, have int64, find func(block.ID, int64) []byte, p filesync.Progress) ([]block.ID, int64, error) {
	t := client.Transfer{Progress: p, Expect: o.Root.String(), Find: func(hash string, size int64) []byte {
		id, err := block.ParseID(hash)
		if err != nil {
			return nil
		}
		return find(id, size)
	}}
	r, err := s.k.Get(ctx, s.prefix+o.Name, 0, dst, have, t)
	if err == nil && r.Bytes != o.Size { // the root hash does not tell trailing zeros
		return nil, r.Moved, errs.E("pithos sync", errs.Precondition, errs.Object, o.Name)
	}
	if err != nil {
		return nil, r.Moved, told(err)
	}
	ids := make([]block.ID, 0, len(r.Names))
	for _, text := range r.Names {
		id, err := block.ParseID(text)
		if err != nil {
			return nil, r.Moved, errs.Wrap("pithos sync", errs.Internal, err)
		}
		ids = append(ids, id)
	}
	if o.Size == 0 {
		ids = nil
	}
	return ids, r.Moved, s.modeOf(ctx, o)
}

// modeOf asks for the permission bits that an object keeps.
func (s *syncService) modeOf(ctx context.Context, o *filesync.Object) error {
	if !s.modes {
		return nil
	}
	e, err := s.k.Stat(ctx, s.prefix+o.Name)
	if err != nil {
		return told(err)
	}
	if mode, err := strconv.ParseUint(e.Meta[strings.ToLower(modeMeta)], 8, 9); err == nil {
		o.Mode = uint32(mode)
	}
	return nil
}

func (s *syncService) Move(ctx context.Context, from, to string, tree bool) error {
	return told(s.k.MoveNew(ctx, s.prefix+from, s.k, s.prefix+to, tree))
}

func (s *syncService) Remove(ctx context.Context, name string, root block.ID) error {
	return told(s.k.RemoveMatching(ctx, s.prefix+name, root.String()))
}
