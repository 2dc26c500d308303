package metadata

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Get implements meta.Versions.
func (s *Store) Get(ctx context.Context, c naming.ContainerID, name naming.ObjectName, w meta.Which) (*object.Version, error) {
	if err := s.enter(ctx, "metadata.Get"); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	stripe := s.stripe(c, name)
	v, err := s.newest(c, name, w)
	if v == nil && err == nil {
		v, err = s.find(stripe, c, name, w)
	}
	if settled := s.settle(ctx, stripe); settled != nil {
		return nil, settled
	}
	return v, err
}

// newest finds what can be found without a lock: a newest version that is alone in its row, or beside bytes that are kept with it and do not change as
// long as it stands. nil: look with find.
func (s *Store) newest(c naming.ContainerID, name naming.ObjectName, w meta.Which) (*object.Version, error) {
	if w.By != meta.Newest {
		return nil, nil
	}
	var buf [keySize]byte
	raw, closer, err := s.db.Get(headKey(buf[:0], spaceLive, c, name))
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, nil
		}
		return nil, wrap(err)
	}
	defer func() { _ = closer.Close() }()
	r, _, err := parseRow(raw)
	if err != nil || r.split {
		return nil, err
	}
	v, err := object.ParseVersion(r.record)
	if err != nil {
		return nil, err
	}
	v.Name, v.Latest = name, true
	if r.kept {
		if v.Content.Map.Kept, err = get(s.db, bodyKey(buf[:0], c, v.ID, name)); err != nil || v.Content.Map.Kept == nil {
			return nil, err // the version may have gone in between
		}
	}
	return v, nil
}

// find reads under the lock of the name, so that rows which change together are seen together.
func (s *Store) find(stripe int, c naming.ContainerID, name naming.ObjectName, w meta.Which) (*object.Version, error) {
	s.names[stripe].Lock()
	defer s.names[stripe].Unlock()
	h, err := readHead(s.db, c, name)
	if err != nil {
		return nil, err
	}
	if h == nil {
		return nil, errs.E("metadata.Get", errs.NotFound, errs.Object, string(name))
	}
	v, r, err := s.which(s.db, c, h, w)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, errs.E("metadata.Get", errs.NotFound, errs.Version, string(name))
	}
	if err := withBody(s.db, c, r, v); err != nil {
		return nil, err
	}
	v.Latest = v == h.version
	return v, nil
}
