package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// uploadID names an upload within its container.
type uploadID struct {
	name naming.ObjectName
	id   string
}

func (a uploadID) compare(b uploadID) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
}

// upload is an open upload with its parts by number.
type upload struct {
	meta.Upload
	parts map[int]meta.Part
}

// usage is what the parts count.
func (u *upload) usage() meta.Usage {
	var sum meta.Usage
	for _, p := range u.parts {
		sum = sum.Add(meta.Usage{UploadParts: 1, UploadBytes: p.Size})
	}
	return sum
}

// unnameParts takes the names away that the parts of an upload give to their holders.
func (s *Meta) unnameParts(u *upload) {
	for _, p := range u.parts {
		s.unname(p.Content.Holder, time.Time{})
	}
}

// open finds an open upload.
func (s *Meta) open(op string, k meta.UploadKey) (*container, *upload, error) {
	c := s.container(k.Container)
	u := c.uploads[uploadID{k.Name, k.ID}]
	if u == nil {
		return c, nil, errs.E(op, errs.NotFound, errs.Upload, k.ID)
	}
	return c, u, nil
}

// Begin opens an upload.
func (s *Meta) Begin(_ context.Context, u meta.Upload) error {
	const op = "memory.Meta.Begin"
	return s.do(op, func() error {
		c := s.container(u.Container)
		if c.sealed {
			return errs.E(op, errs.NotFound, errs.Container, u.Container.String())
		}
		c.uploads[uploadID{u.Name, u.ID}] = &upload{Upload: cloneUpload(u), parts: map[int]meta.Part{}}
		return nil
	})
}

// FindUpload finds an open upload.
func (s *Meta) FindUpload(_ context.Context, k meta.UploadKey) (found meta.Upload, err error) {
	const op = "memory.Meta.FindUpload"
	err = s.do(op, func() error {
		_, u, err := s.open(op, k)
		if err == nil {
			found = cloneUpload(u.Upload)
		}
		return err
	})
	return found, err
}

// PutPart stores or replaces a part.
func (s *Meta) PutPart(_ context.Context, k meta.UploadKey, p meta.Part, limits meta.Limits) error {
	const op = "memory.Meta.PutPart"
	return s.do(op, func() error {
		if s.container(k.Container).sealed {
			return errs.E(op, errs.NotFound, errs.Container, k.Container.String())
		}
		c, u, err := s.open(op, k)
		if err != nil {
			return err
		}
		h := p.Content.Holder
		if !h.IsZero() && !s.holders[h].alive() {
			return errs.E(op, errs.Conflict, errs.Holder, h.String())
		}
		delta := meta.Usage{UploadParts: 1, UploadBytes: p.Size}
		old, replaces := u.parts[p.Number]
		if replaces {
			delta = delta.Add(meta.Usage{UploadParts: -1, UploadBytes: -old.Size})
		}
		if err := limits.Allow(s.accounts[u.Account], c.usage, delta); err != nil {
			return err
		}
		s.name(h)
		if replaces {
			s.unname(old.Content.Holder, time.Time{})
		}
		u.parts[p.Number] = clonePart(p)
		s.count(c, u.Account, delta)
		return nil
	})
}

// Parts lists the parts of an open upload.
func (s *Meta) Parts(_ context.Context, k meta.UploadKey, after int, fn func(meta.Part) bool) error {
	const op = "memory.Meta.Parts"
	var list []meta.Part
	err := s.do(op, func() error {
		_, u, err := s.open(op, k)
		if err != nil {
			return err
		}
		for _, n := range slices.Sorted(maps.Keys(u.parts)) {
			if n > after {
				list = append(list, clonePart(u.parts[n]))
			}
		}
		return nil
	})
	each(list, fn)
	return err
}

// Pending lists the open uploads of a container.
func (s *Meta) Pending(_ context.Context, id naming.ContainerID, name naming.ObjectName, after string, fn func(meta.Upload) bool) error {
	var list []meta.Upload
	err := s.do("memory.Meta.Pending", func() error {
		uploads := s.container(id).uploads
		for _, k := range slices.SortedFunc(maps.Keys(uploads), uploadID.compare) {
			if k.compare(uploadID{name, after}) > 0 {
				list = append(list, cloneUpload(uploads[k].Upload))
			}
		}
		return nil
	})
	each(list, fn)
	return err
}

// Abort forgets an open upload and its parts.
func (s *Meta) Abort(_ context.Context, k meta.UploadKey) error {
	const op = "memory.Meta.Abort"
	return s.do(op, func() error {
		c, u, err := s.open(op, k)
		if err != nil {
			return err
		}
		s.unnameParts(u)
		delete(c.uploads, uploadID{k.Name, k.ID})
		s.count(c, u.Account, u.usage().Neg())
		return nil
	})
}

// Completed tells what a finished upload became.
func (s *Meta) Completed(_ context.Context, k meta.UploadKey) (done meta.Completion, err error) {
	const op = "memory.Meta.Completed"
	err = s.do(op, func() error {
		found, ok := s.container(k.Container).completed[uploadID{k.Name, k.ID}]
		if !ok {
			return errs.E(op, errs.NotFound, errs.Upload, k.ID)
		}
		done = cloneCompletion(found)
		return nil
	})
	return done, err
}
