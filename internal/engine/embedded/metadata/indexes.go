package metadata

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Changes implements meta.Indexes.
func (s *Store) Changes(ctx context.Context, c naming.ContainerID, id object.VersionID, name naming.ObjectName, fn func(meta.Changed) bool) error {
	from := append(journalKey(nil, c, id, name), 0)
	return s.each(ctx, "metadata.Changes", from, rowkey.After(appendContainer(nil, spaceJournal, c)), func(key, value []byte) (bool, error) {
		_, id, name, ok := cutOrderedKey(key)
		if !ok || len(value) > 1 {
			return false, errs.E("metadata.Changes", errs.Corrupt, errs.Version, "")
		}
		kind := object.Data
		if len(value) == 1 {
			kind = object.Kind(value[0])
		}
		return fn(meta.Changed{ID: id, Name: name, Kind: kind}), nil
	})
}

// Due implements meta.Indexes.
func (s *Store) Due(ctx context.Context, until time.Time, limit int, fn func(meta.DueVersion) bool) error {
	if limit <= 0 {
		return nil
	}
	return s.each(ctx, "metadata.Due", []byte{spaceExpiry}, timeAfter(spaceExpiry, until), func(key, value []byte) (bool, error) {
		d, ok := cutExpiryKey(key)
		if !ok {
			return false, errs.E("metadata.Due", errs.Corrupt, errs.Version, "")
		}
		d.Account = naming.AccountID(value)
		limit--
		return fn(d) && limit > 0, nil
	})
}

// each calls fn for the rows of a range until it returns false.
func (s *Store) each(ctx context.Context, op string, from, to []byte, fn func(key, value []byte) (bool, error)) error {
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return errs.Wrap(op, errs.Canceled, err)
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return wrap(err)
		}
		if more, err := fn(it.Key(), value); err != nil || !more {
			return err
		}
	}
	return wrap(it.Error())
}
