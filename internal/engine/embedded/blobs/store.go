package blobs

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/engine/embedded/durable"
	"pithos/internal/engine/embedded/segment"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
)

// Options tune a Store. Clock is required; other zero fields take the defaults.
type Options struct {
	Clock clock.Clock
	Log   *slog.Logger
	// InlineMax is the largest block, in bytes, that is kept inside Pebble; default 32 KiB.
	InlineMax int
	// SharedLog says that whoever needs blocks to be durable makes a synced commit to the same Pebble afterwards. Without it Sync makes one.
	SharedLog bool
	// Admit is asked before n bytes are stored and refuses with Full when space is short; nil admits everything.
	Admit func(n int64) error
	// CompactBelow is the live share of a pack under which Compact rewrites it, in percent; default 50.
	CompactBelow int
}

const (
	inlineMaxDefault    = 32 << 10
	compactBelowDefault = 50
	stripes             = 1024
	// idsPerStep bounds how many ids are locked, and written in one batch, at a time.
	idsPerStep = 256
)

// Store is a blob.Store.
type Store struct {
	db   *pebble.DB
	segs *segment.Store
	opts Options

	// stripes are locked by id: shared by who adds or removes references (Hold, Release), exclusively by who decides whether a
	// block is stored (Put, Sweep, Compact). Several are locked in ascending order. They are held during writes to Pebble and to
	// packs, never during an fsync.
	stripes [stripes]sync.RWMutex

	pending pendingSet
	damaged damagedSet
	group   syncGroup

	compactMu sync.Mutex          // one compaction at a time
	spared    map[uint64]struct{} // packs with damaged blocks, which stay as they are; guarded by compactMu

	gate gate
}

var (
	_ blob.Store       = (*Store)(nil)
	_ blob.Compactor   = (*Store)(nil)
	_ blob.Usage       = (*Store)(nil)
	_ blob.Quarantiner = (*Store)(nil)
)

// New makes a Store on an open Pebble, whose merge operator must add lists of signed varints, and open packs. Both remain the caller's to close,
// after the Store.
func New(db *pebble.DB, segs *segment.Store, opts Options) (*Store, error) {
	if opts.InlineMax <= 0 {
		opts.InlineMax = inlineMaxDefault
	}
	if opts.CompactBelow <= 0 {
		opts.CompactBelow = compactBelowDefault
	}
	if opts.Admit == nil {
		opts.Admit = func(int64) error { return nil }
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{db: db, segs: segs, opts: opts, spared: map[uint64]struct{}{}}
	s.pending.init()
	if err := s.loadDamaged(); err != nil {
		return nil, err
	}
	return s, nil
}

// NextPack is the lowest number that a new pack may have, as far as the index knows.
func NextPack(db *pebble.DB) (uint64, error) {
	var next uint64 = 1
	err := scan(db, []byte{prefixTally}, func(key, _ []byte) (bool, error) {
		next = max(next, binary.BigEndian.Uint64(key[1:])+1)
		return true, nil
	})
	return next, err
}

// gate is durable.Gate for operations that give up early when their context has ended.
type gate struct{ durable.Gate }

// enter admits an operation, which must call Leave.
func (g *gate) enter(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return canceled(op, err)
	}
	return g.Enter(op)
}

func canceled(op string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errs.Wrap(op, errs.Busy, err)
	}
	return errs.Wrap(op, errs.Canceled, err)
}

// Close waits for running operations.
func (s *Store) Close() error {
	s.gate.Close()
	return nil
}

func stripeOf(id block.ID) int { return int(binary.LittleEndian.Uint16(id[:])) % stripes }

// rlock locks the stripes of ids for sharing and returns how to unlock them.
func (s *Store) rlock(ids []block.ID) (unlock func()) {
	var buf [idsPerStep]int
	order := buf[:0]
	for _, id := range ids {
		order = append(order, stripeOf(id))
	}
	slices.Sort(order)
	order = slices.Compact(order)
	for _, i := range order {
		s.stripes[i].RLock()
	}
	return func() {
		for _, i := range order {
			s.stripes[i].RUnlock()
		}
	}
}

// scan calls fn for every row whose key begins with prefix until fn returns false. key and value are valid during the call.
func scan(db pebble.Reader, prefix []byte, fn func(key, value []byte) (bool, error)) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return internal("blobs.scan", err)
	}
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			break // Close tells it
		}
		if more, err := fn(it.Key(), value); err != nil || !more {
			return errors.Join(err, it.Close())
		}
	}
	return internal("blobs.scan", it.Close())
}

// internal wraps an error of Pebble; nil stays nil.
func internal(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pebble.ErrCorruption):
		return errs.Wrap(op, errs.Corrupt, err)
	default:
		return errs.Wrap(op, errs.Internal, err)
	}
}

// get reads the row of a block; ok is false when there is none. release must be called when ok; the row lies in memory of Pebble until then.
func (s *Store) get(id block.ID) (r row, release func() error, ok bool, err error) {
	var key [1 + idLen]byte
	raw, closer, err := s.db.Get(idKey(key[:0], prefixBlock, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return r, nil, false, nil
	}
	if err != nil {
		return r, nil, false, internal("blobs.get", err)
	}
	if r, err = parseRow(raw); err != nil {
		return r, nil, false, errors.Join(err, closer.Close())
	}
	return r, closer.Close, true, nil
}

// present tells whether the block can be read: pending, or stored and not damaged. old is a copy of what there is to replace otherwise.
func (s *Store) present(id block.ID) (ok bool, old *replaced, err error) {
	if _, ok := s.pending.get(id); ok {
		return true, nil, nil // looked at before Pebble: an entry goes from here to there
	}
	r, release, stored, err := s.get(id)
	if err != nil || !stored {
		return false, nil, err
	}
	pack, tally := r.tally()
	if err := release(); err != nil {
		return false, nil, internal("blobs.get", err)
	}
	if s.damaged.has(id) {
		return false, &replaced{pack, tally}, nil
	}
	return true, nil, nil
}

// replaced is a row that a new one takes the place of.
type replaced struct {
	pack  uint64
	tally Tally
}

// damagedSet is the set of quarantined blocks, a mirror of the rows under prefixDamaged.
type damagedSet struct {
	count atomic.Int64 // so that the usual case, none, costs nothing
	mu    sync.RWMutex
	ids   map[block.ID]struct{}
}

func (d *damagedSet) has(id block.ID) bool {
	if d.count.Load() == 0 {
		return false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, ok := d.ids[id]
	return ok
}

func (d *damagedSet) add(id block.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids == nil {
		d.ids = map[block.ID]struct{}{}
	}
	d.ids[id] = struct{}{}
	d.count.Store(int64(len(d.ids)))
}

func (d *damagedSet) remove(id block.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.ids, id)
	d.count.Store(int64(len(d.ids)))
}

func (s *Store) loadDamaged() error {
	return scan(s.db, []byte{prefixDamaged}, func(key, _ []byte) (bool, error) {
		if id, ok := idOf(key); ok {
			s.damaged.add(id)
		}
		return true, nil
	})
}
