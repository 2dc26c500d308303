package blobtest

import (
	"context"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// Faulty is a double of a blobstore whose calls fail as Faults decides. A garbled Read flips a bit of what it gives.
type Faulty struct {
	blob.Store
	Faults *errstest.Faults
}

var _ blob.Unwrapper = Faulty{}

// Unwrap is the store behind the double.
func (s Faulty) Unwrap() blob.Store { return s.Store }

// Put may fail before or after.
func (s Faulty) Put(ctx context.Context, h blob.Hold, id block.ID, data []byte) error {
	return s.Faults.Write("Put", func() error { return s.Store.Put(ctx, h, id, data) })
}

// Hold may fail before or after.
func (s Faulty) Hold(ctx context.Context, h blob.Hold, ids []block.ID) (missing []block.ID, err error) {
	err = s.Faults.Write("Hold", func() error {
		missing, err = s.Store.Hold(ctx, h, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	return missing, nil
}

// Sync may fail before or after.
func (s Faulty) Sync(ctx context.Context) error {
	return s.Faults.Write("Sync", func() error { return s.Store.Sync(ctx) })
}

// Release may fail before or after.
func (s Faulty) Release(ctx context.Context, holders []block.Holder) error {
	return s.Faults.Write("Release", func() error { return s.Store.Release(ctx, holders) })
}

// Read may fail or give wrong bytes.
func (s Faulty) Read(ctx context.Context, id block.ID, off int64, dst []byte) (n int, err error) {
	garbled, err := s.Faults.Bytes("Read", func() error {
		n, err = s.Store.Read(ctx, id, off, dst)
		return err
	})
	if err != nil {
		return 0, err
	}
	if garbled && n > 0 {
		dst[n/2] ^= 1
	}
	return n, nil
}

// Stat may fail.
func (s Faulty) Stat(ctx context.Context, ids []block.ID, found func(id block.ID, stored int64)) error {
	return s.Faults.Read("Stat", func() error { return s.Store.Stat(ctx, ids, found) })
}

// Held may fail.
func (s Faulty) Held(ctx context.Context, account naming.AccountID, ids []block.ID) (held []bool, err error) {
	err = s.Faults.Read("Held", func() error {
		held, err = s.Store.Held(ctx, account, ids)
		return err
	})
	return held, err
}

// Walk may fail.
func (s Faulty) Walk(ctx context.Context, after *block.ID, fn func(blob.Info) bool) error {
	return s.Faults.Read("Walk", func() error { return s.Store.Walk(ctx, after, fn) })
}

// WalkHolders may fail.
func (s Faulty) WalkHolders(ctx context.Context, after block.Holder, fn func(h block.Holder, account naming.AccountID) bool) error {
	return s.Faults.Read("WalkHolders", func() error { return s.Store.WalkHolders(ctx, after, fn) })
}

// Sweep may fail before or after.
func (s Faulty) Sweep(ctx context.Context, now time.Time, b blob.Budget, after *block.ID) (r blob.SweepReport, next *block.ID, err error) {
	err = s.Faults.Write("Sweep", func() error {
		r, next, err = s.Store.Sweep(ctx, now, b, after)
		return err
	})
	if err != nil {
		return blob.SweepReport{}, nil, err
	}
	return r, next, nil
}
