package blobs

import (
	"bytes"
	"context"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// Release implements blob.Store. A holder of many blocks is released in steps; a crash between them leaves it holding the rest.
func (s *Store) Release(ctx context.Context, holders []block.Holder) error {
	const op = "blobs.Release"
	if err := s.gate.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	for _, h := range holders {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return canceled(op, err)
			}
			var err error
			if more, err = s.releaseStep(h); err != nil {
				return errs.Wrap(op, errs.Internal, err)
			}
		}
	}
	if s.opts.SharedLog {
		return nil // the metastore forgets the holders later in the same log
	}
	return internal(op, s.db.LogData(nil, pebble.Sync))
}

// releaseStep drops some references of a holder and tells whether there may be more.
func (s *Store) releaseStep(h block.Holder) (more bool, err error) {
	type ref struct {
		id   block.ID
		hold blob.Hold
	}
	var refs []ref
	var ids []block.ID
	prefix := append([]byte{prefixHeld}, h[:]...)
	err = scan(s.db, prefix, func(key, _ []byte) (bool, error) {
		id, hold, ok := parseHeld(key)
		if !ok {
			return false, errs.E("blobs.Release", errs.Corrupt, errs.Holder, h.String())
		}
		refs, ids = append(refs, ref{id, hold}), append(ids, id)
		return len(refs) < idsPerStep, nil
	})
	if err != nil || len(refs) == 0 {
		return false, err
	}
	// Under the locks the candidate is written after any look that Sweep took at the references before.
	defer s.rlock(ids)()
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }() // after Commit there is nothing that could fail
	var buf []byte
	for _, r := range refs {
		buf = refKey(buf, r.id, r.hold)
		_ = batch.Delete(buf, nil) // writing to a batch that is not indexed cannot fail
		buf = heldKey(buf, r.hold, r.id)
		_ = batch.Delete(buf, nil)
		buf = idKey(buf, prefixCandidate, r.id)
		_ = batch.Set(buf, nil, nil)
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return false, internal("blobs.Release", err)
	}
	return len(refs) == idsPerStep, nil
}

// Walk implements blob.Store.
func (s *Store) Walk(ctx context.Context, from *block.ID, fn func(blob.Info) bool) error {
	const op = "blobs.Walk"
	if err := s.gate.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := s.settle(ctx); err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	lower := []byte{prefixBlock}
	if from != nil {
		lower = append(idKey(nil, prefixBlock, *from), 0)
	}
	rows, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: []byte{prefixBlock + 1}})
	if err != nil {
		return internal(op, err)
	}
	defer func() { _ = rows.Close() }() // its errors are looked at below
	refs, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixRef}, UpperBound: []byte{prefixRef + 1}})
	if err != nil {
		return internal(op, err)
	}
	defer func() { _ = refs.Close() }() // its errors are looked at below
	var buf []byte
	for rows.First(); rows.Valid(); rows.Next() {
		if err := ctx.Err(); err != nil {
			return canceled(op, err)
		}
		id, ok := idOf(rows.Key())
		if !ok || s.damaged.has(id) {
			continue
		}
		length, err := rowLength(rows)
		if err != nil {
			return errs.Wrap(op, errs.Internal, err)
		}
		buf = idKey(buf, prefixRef, id)
		held := refs.SeekGE(buf) && bytes.HasPrefix(refs.Key(), buf)
		if err := refs.Error(); err != nil {
			return internal(op, err)
		}
		if !fn(blob.Info{ID: id, Stored: length, Held: held}) {
			return nil
		}
	}
	return internal(op, rows.Error())
}

// WalkHolders implements blob.Store. It jumps from holder to holder, whatever they hold.
func (s *Store) WalkHolders(ctx context.Context, from block.Holder, fn func(h block.Holder, account naming.AccountID) bool) error {
	const op = "blobs.WalkHolders"
	if err := s.gate.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixHeld}, UpperBound: []byte{prefixHeld + 1}})
	if err != nil {
		return internal(op, err)
	}
	defer func() { _ = it.Close() }() // its errors are looked at below
	for next := after(append([]byte{prefixHeld}, from[:]...)); next != nil && it.SeekGE(next); {
		if err := ctx.Err(); err != nil {
			return canceled(op, err)
		}
		_, hold, ok := parseHeld(it.Key())
		if !ok {
			return errs.E(op, errs.Corrupt, errs.Store, "")
		}
		if !fn(hold.Holder, hold.Account) {
			return nil
		}
		next = after(append([]byte{prefixHeld}, hold.Holder[:]...))
	}
	return internal(op, it.Error())
}
