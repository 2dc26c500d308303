package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// sweepBlocks is how many blocks a step of Sweep examines unless its budget says otherwise.
const sweepBlocks = 1000

// Blobs is a blobstore.
type Blobs struct {
	clock   clock.Clock
	mu      sync.Mutex
	closed  bool
	blocks  map[block.ID]*storedBlock
	held    map[block.ID]map[block.Holder]naming.AccountID
	holders map[block.Holder]map[block.ID]bool
}

type storedBlock struct {
	data        []byte
	since       time.Time // when the bytes were stored
	quarantined bool
}

var (
	_ blob.Store       = (*Blobs)(nil)
	_ blob.Usage       = (*Blobs)(nil)
	_ blob.Quarantiner = (*Blobs)(nil)
)

// NewBlobs makes an empty blobstore.
func NewBlobs(c clock.Clock) *Blobs {
	return &Blobs{
		clock:   c,
		blocks:  map[block.ID]*storedBlock{},
		held:    map[block.ID]map[block.Holder]naming.AccountID{},
		holders: map[block.Holder]map[block.ID]bool{},
	}
}

// do runs fn under the lock unless the store is closed.
func (s *Blobs) do(op string, fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errs.E(op, errs.Closed, errs.Store, "")
	}
	return fn()
}

// Close closes the store.
func (s *Blobs) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// healthy reports whether the block can be read.
func (s *Blobs) healthy(id block.ID) bool {
	b := s.blocks[id]
	return id == block.Empty || b != nil && !b.quarantined
}

// hold records that h holds the block.
func (s *Blobs) hold(h blob.Hold, id block.ID) {
	if id == block.Empty {
		return
	}
	if s.held[id] == nil {
		s.held[id] = map[block.Holder]naming.AccountID{}
	}
	s.held[id][h.Holder] = h.Account
	if s.holders[h.Holder] == nil {
		s.holders[h.Holder] = map[block.ID]bool{}
	}
	s.holders[h.Holder][id] = true
}

// Put holds a block and stores its bytes.
func (s *Blobs) Put(_ context.Context, h blob.Hold, id block.ID, data []byte) error {
	const op = "memory.Blobs.Put"
	if len(data) > block.SizeMax || len(block.Strip(data)) != len(data) {
		return errs.E(op, errs.Invalid, errs.Block, id.String())
	}
	return s.do(op, func() error {
		s.hold(h, id)
		if !s.healthy(id) {
			s.blocks[id] = &storedBlock{data: bytes.Clone(data), since: s.clock.Now()}
		}
		return nil
	})
}

// Hold holds blocks and tells which are missing.
func (s *Blobs) Hold(_ context.Context, h blob.Hold, ids []block.ID) (missing []block.ID, err error) {
	err = s.do("memory.Blobs.Hold", func() error {
		seen := map[block.ID]bool{}
		for _, id := range ids {
			s.hold(h, id)
			if !s.healthy(id) && !seen[id] {
				missing = append(missing, id)
			}
			seen[id] = true
		}
		return nil
	})
	return missing, err
}

// Sync has nothing to do.
func (s *Blobs) Sync(context.Context) error {
	return s.do("memory.Blobs.Sync", func() error { return nil })
}

// Release drops the references of holders.
func (s *Blobs) Release(_ context.Context, holders []block.Holder) error {
	return s.do("memory.Blobs.Release", func() error {
		for _, h := range holders {
			for id := range s.holders[h] {
				delete(s.held[id], h)
				if len(s.held[id]) == 0 {
					delete(s.held, id)
				}
			}
			delete(s.holders, h)
		}
		return nil
	})
}

// Read reads a part of a block.
func (s *Blobs) Read(_ context.Context, id block.ID, off int64, dst []byte) (n int, err error) {
	const op = "memory.Blobs.Read"
	err = s.do(op, func() error {
		b := s.blocks[id]
		switch {
		case id == block.Empty:
			return nil
		case b == nil:
			return errs.E(op, errs.NotFound, errs.Block, id.String())
		case b.quarantined:
			return errs.E(op, errs.Corrupt, errs.Block, id.String())
		}
		if off < int64(len(b.data)) {
			n = copy(dst, b.data[off:])
		}
		return nil
	})
	return n, err
}

// Stat finds the blocks that are stored.
func (s *Blobs) Stat(_ context.Context, ids []block.ID, found func(id block.ID, stored int64)) error {
	stored := make([]int64, len(ids))
	err := s.do("memory.Blobs.Stat", func() error {
		for i, id := range ids {
			switch {
			case !s.healthy(id):
				stored[i] = -1
			case id != block.Empty:
				stored[i] = int64(len(s.blocks[id].data))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, id := range ids {
		if stored[i] >= 0 {
			found(id, stored[i])
		}
	}
	return nil
}

// Held tells which blocks the account holds.
func (s *Blobs) Held(_ context.Context, account naming.AccountID, ids []block.ID) (held []bool, err error) {
	err = s.do("memory.Blobs.Held", func() error {
		held = make([]bool, len(ids))
		for i, id := range ids {
			held[i] = id == block.Empty
			for _, a := range s.held[id] {
				held[i] = held[i] || a == account && s.healthy(id)
			}
		}
		return nil
	})
	return held, err
}

// after is the ids of stored blocks greater than the one given, in order.
func (s *Blobs) after(after *block.ID) []block.ID {
	var ids []block.ID
	for id := range s.blocks {
		if after == nil || id.Compare(*after) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, block.ID.Compare)
	return ids
}

// Walk lists stored blocks.
func (s *Blobs) Walk(_ context.Context, after *block.ID, fn func(blob.Info) bool) error {
	var list []blob.Info
	err := s.do("memory.Blobs.Walk", func() error {
		for _, id := range s.after(after) {
			if b := s.blocks[id]; !b.quarantined {
				list = append(list, blob.Info{ID: id, Stored: int64(len(b.data)), Held: len(s.held[id]) > 0})
			}
		}
		return nil
	})
	each(list, fn)
	return err
}

// Sweep deletes blocks that nobody holds.
func (s *Blobs) Sweep(_ context.Context, now time.Time, budget blob.Budget, after *block.ID) (report blob.SweepReport, next *block.ID, err error) {
	err = s.do("memory.Blobs.Sweep", func() error {
		limit := budget.Blocks
		if limit <= 0 {
			limit = sweepBlocks
		}
		ids := s.after(after)
		if len(ids) > limit {
			ids = ids[:limit]
			next = &ids[limit-1]
		}
		for _, id := range ids {
			report.Examined++
			b := s.blocks[id]
			switch {
			case len(s.held[id]) > 0:
			case now.Sub(b.since) < budget.Grace:
				report.Young++
			default:
				delete(s.blocks, id)
				report.Deleted++
				report.Bytes += int64(len(b.data))
			}
		}
		return nil
	})
	return report, next, err
}

// WalkHolders lists holders.
func (s *Blobs) WalkHolders(_ context.Context, after block.Holder, fn func(h block.Holder, account naming.AccountID) bool) error {
	type entry struct {
		holder  block.Holder
		account naming.AccountID
	}
	var list []entry
	err := s.do("memory.Blobs.WalkHolders", func() error {
		for h, ids := range s.holders {
			if bytes.Compare(h[:], after[:]) <= 0 {
				continue
			}
			for id := range ids { // one account stands behind a holder: any of its blocks tells which
				list = append(list, entry{h, s.held[id][h]})
				break
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b entry) int { return bytes.Compare(a.holder[:], b.holder[:]) })
	each(list, func(e entry) bool { return fn(e.holder, e.account) })
	return err
}

// Usage counts the blocks.
func (s *Blobs) Usage(context.Context) (u blob.UsageReport, err error) {
	err = s.do("memory.Blobs.Usage", func() error {
		for b := range maps.Values(s.blocks) {
			u.Blocks++
			u.Live += int64(len(b.data))
		}
		u.Disk = u.Live
		return nil
	})
	return u, err
}

// Quarantine marks a block as damaged.
func (s *Blobs) Quarantine(_ context.Context, id block.ID) error {
	const op = "memory.Blobs.Quarantine"
	return s.do(op, func() error {
		b := s.blocks[id]
		if b == nil {
			return errs.E(op, errs.NotFound, errs.Block, id.String())
		}
		b.quarantined = true
		return nil
	})
}

// Quarantined lists the damaged blocks.
func (s *Blobs) Quarantined(context.Context) (ids []block.ID, err error) {
	err = s.do("memory.Blobs.Quarantined", func() error {
		for _, id := range s.after(nil) {
			if s.blocks[id].quarantined {
				ids = append(ids, id)
			}
		}
		return nil
	})
	return ids, err
}
