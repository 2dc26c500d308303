package blobs

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/segment"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
)

// Compact implements blob.Compactor: it copies the live blocks of the pack with the most dead bytes to another one, points their rows there, and
// removes the pack when its last reader leaves. A pack in which a damaged block lies is kept as it is.
//
// Safe at any point of a crash: copies without rows are dead bytes, rows are switched only when the copies are on stable
// storage, and the old pack is removed only when the switched rows are.
func (s *Store) Compact(ctx context.Context) (freed int64, err error) {
	const op = "blobs.Compact"
	if err := s.gate.enter(ctx, op); err != nil {
		return 0, err
	}
	defer s.gate.Leave()
	s.compactMu.Lock()
	defer s.compactMu.Unlock()
	pack, live, ok, err := s.pickPack()
	if err != nil || !ok {
		return 0, err
	}
	blocks, err := s.liveBlocks(ctx, pack.Number, live)
	if err != nil {
		return 0, errs.Wrap(op, errs.Internal, err)
	}
	if err := s.moveAll(ctx, blocks); err != nil {
		return 0, errs.Wrap(op, errs.Internal, err)
	}
	// Nothing may be destroyed by rows that a crash could take back: neither by the switched ones nor by those that Sweep deleted.
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return 0, internal(op, err)
	}
	left, err := s.tally(pack.Number)
	if err != nil {
		return 0, errs.Wrap(op, errs.Internal, err)
	}
	if left.Blocks != 0 {
		s.spared[pack.Number] = struct{}{}
		s.opts.Log.WarnContext(ctx, "a pack is kept because of damaged blocks", "pack", pack.Number, "blocks", left.Blocks)
		return 0, nil
	}
	if err := s.db.Delete(tallyKey(pack.Number), pebble.NoSync); err != nil {
		return 0, internal(op, err)
	}
	if err := s.segs.Remove(pack.Number); err != nil {
		return 0, errs.Wrap(op, errs.Internal, err)
	}
	return pack.Size - live.Space, nil
}

// pickPack chooses the pack with the most dead bytes among those whose live share is low enough, and for whose live bytes there is room.
func (s *Store) pickPack() (pack segment.PackInfo, live Tally, ok bool, err error) {
	// The order matters: what was appended to a pack that nobody writes to is pending; what is no longer pending has a row and is in its tally.
	packs := s.segs.Packs()
	pending := s.pending.packs()
	tallies, err := s.tallies()
	if err != nil {
		return pack, live, false, err
	}
	packs = slices.DeleteFunc(packs, func(p segment.PackInfo) bool {
		_, spared := s.spared[p.Number]
		return spared || p.Busy || pending[p.Number] || p.Active && tallies[p.Number].Space == p.Size-segment.PackOverhead ||
			100*tallies[p.Number].Space > int64(s.opts.CompactBelow)*p.Size
	})
	slices.SortFunc(packs, func(a, b segment.PackInfo) int {
		return cmp.Compare(b.Size-tallies[b.Number].Space, a.Size-tallies[a.Number].Space)
	})
	for _, p := range packs {
		live := tallies[p.Number]
		if live.Space > 0 && s.opts.Admit(live.Space) != nil {
			continue
		}
		if p.Active && !s.sealIdle(p) {
			continue
		}
		return p, live, true, nil
	}
	return pack, live, false, nil
}

// sealIdle closes an active pack for appending and tells whether nothing was appended to it since it was looked at.
func (s *Store) sealIdle(p segment.PackInfo) bool {
	s.segs.Seal(p.Number)
	for _, now := range s.segs.Packs() {
		if now.Number == p.Number {
			return now.Size == p.Size && !now.Busy
		}
	}
	return false
}

// located is a block and where it lies.
type located struct {
	id    block.ID
	place segment.Place
}

// liveBlocks finds the blocks whose rows point into the pack: by its records, and if some of their headers turn out to be
// damaged by the whole index.
func (s *Store) liveBlocks(ctx context.Context, pack uint64, want Tally) (blocks []located, err error) {
	if want.Blocks == 0 {
		return nil, nil
	}
	_, err = s.segs.Scan(ctx, pack, func(r segment.Record) error {
		row, release, ok, err := s.get(r.ID)
		if err != nil || !ok {
			return err
		}
		if row.kind == kindPacked && row.place.Same(r.Place) {
			blocks = append(blocks, located{r.ID, r.Place})
		}
		return release()
	})
	if err != nil || int64(len(blocks)) >= want.Blocks {
		return blocks, err
	}
	blocks = nil
	err = eachPacked(ctx, s.db, func(id block.ID, place segment.Place) error {
		if place.Pack == pack {
			place.Sums = slices.Clone(place.Sums)
			blocks = append(blocks, located{id, place})
		}
		return nil
	})
	return blocks, err
}

// eachPacked calls fn for every row of a block in a pack. The bytes of inline blocks are not read. place is valid during the call.
func eachPacked(ctx context.Context, db pebble.Reader, fn func(id block.ID, place segment.Place) error) error {
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{prefixBlock}, UpperBound: []byte{prefixBlock + 1}})
	if err != nil {
		return internal("blobs.eachPacked", err)
	}
	for it.First(); it.Valid(); it.Next() {
		if lazy := it.LazyValue(); lazy.Len() > packedMax {
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			break // Close tells it
		}
		id, ok := idOf(it.Key())
		r, err := parseRow(value)
		if !ok || err != nil || r.kind != kindPacked {
			continue
		}
		if err := errors.Join(fn(id, r.place), ctx.Err()); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return internal("blobs.eachPacked", it.Close())
}

// moveBytes is how many bytes are copied before their rows are switched.
const moveBytes = 64 << 20

// moveAll copies blocks and switches their rows, some at a time.
func (s *Store) moveAll(ctx context.Context, blocks []located) error {
	var buf []byte
	for len(blocks) > 0 {
		var moves []move
		for n := int64(0); len(blocks) > 0 && n < moveBytes && len(moves) < idsPerStep; blocks = blocks[1:] {
			if err := ctx.Err(); err != nil {
				return canceled("blobs.Compact", err)
			}
			b := blocks[0]
			buf = slices.Grow(buf[:0], int(b.place.Length))[:b.place.Length]
			if _, err := s.segs.ReadAt(b.place, 0, buf); errs.Is(err, errs.Corrupt) {
				s.setAside(b)
				continue
			} else if err != nil {
				return err
			}
			m := move{located: b}
			if err := s.segs.Append(b.id, buf, func(to segment.Place) { m.to = to }); err != nil {
				return err
			}
			moves = append(moves, m)
			n += int64(len(buf))
		}
		if len(moves) == 0 {
			continue
		}
		if err := s.joinRound(ctx); err != nil {
			return err
		}
		if err := s.switchRows(moves); err != nil {
			return err
		}
	}
	return nil
}

// setAside quarantines a block that cannot be copied, unless it went away meanwhile. Its bytes and its pack stay.
func (s *Store) setAside(b located) {
	lock := &s.stripes[stripeOf(b.id)]
	lock.Lock()
	defer lock.Unlock()
	r, release, ok, err := s.get(b.id)
	if err != nil || !ok {
		return
	}
	same := r.kind == kindPacked && r.place.Same(b.place)
	if release() != nil || !same {
		return
	}
	s.opts.Log.Error("a damaged block was set aside", "block", b.id.String(), "pack", b.place.Pack, "offset", b.place.Offset)
	if s.db.Set(idKey(nil, prefixDamaged, b.id), nil, pebble.NoSync) == nil {
		s.damaged.add(b.id)
	}
}

type move struct {
	located
	to segment.Place
}

// switchRows points the rows of copied blocks to the copies, except for blocks that were deleted or set aside meanwhile.
func (s *Store) switchRows(moves []move) error {
	order := make([]int, 0, len(moves))
	for _, m := range moves {
		order = append(order, stripeOf(m.id))
	}
	slices.Sort(order)
	for _, i := range slices.Compact(order) {
		s.stripes[i].Lock()
		defer s.stripes[i].Unlock()
	}
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }() // after Commit there is nothing that could fail
	var buf [1 + idLen]byte
	for _, m := range moves {
		r, release, ok, err := s.get(m.id)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if r.kind == kindPacked && r.place.Same(m.place) && !s.damaged.has(m.id) {
			pack, t := r.tally()
			_ = batch.Merge(tallyKey(pack), appendTally(nil, t.neg()), nil) // writing to a batch that is not indexed cannot fail
			r.place = m.to
			pack, t = r.tally()
			_ = batch.Merge(tallyKey(pack), appendTally(nil, t), nil)
			_ = batch.Set(idKey(buf[:0], prefixBlock, m.id), appendRow(nil, r), nil)
		}
		if err := release(); err != nil {
			return internal("blobs.Compact", err)
		}
	}
	return internal("blobs.Compact", batch.Commit(pebble.NoSync))
}

// tallies are the sums of all packs; 0 stands for what lies inside Pebble.
func (s *Store) tallies() (map[uint64]Tally, error) {
	all := map[uint64]Tally{}
	err := scan(s.db, []byte{prefixTally}, func(key, value []byte) (bool, error) {
		t, err := parseTally(value)
		all[binary.BigEndian.Uint64(key[1:])] = t
		return true, err
	})
	return all, err
}

// tally is the sum of one pack.
func (s *Store) tally(pack uint64) (t Tally, err error) {
	raw, closer, err := s.db.Get(tallyKey(pack))
	if errors.Is(err, pebble.ErrNotFound) {
		return t, nil
	}
	if err != nil {
		return t, internal("blobs.tally", err)
	}
	t, err = parseTally(raw)
	return t, errors.Join(err, closer.Close())
}

// Usage implements blob.Usage.
func (s *Store) Usage(ctx context.Context) (u blob.UsageReport, err error) {
	const op = "blobs.Usage"
	if err := s.gate.enter(ctx, op); err != nil {
		return u, err
	}
	defer s.gate.Leave()
	tallies, err := s.tallies()
	if err != nil {
		return u, errs.Wrap(op, errs.Internal, err)
	}
	sum := s.pending.tally()
	space := sum.Space
	for pack, t := range tallies {
		sum = sum.add(t)
		if pack != 0 {
			space += t.Space
		}
	}
	var packs int64
	for _, p := range s.segs.Packs() {
		packs += p.Size
	}
	u = blob.UsageReport{Blocks: sum.Blocks, Live: sum.Bytes, Dead: max(0, packs-space)}
	u.Disk = packs + int64(s.db.Metrics().DiskSpaceUsage())
	return u, nil
}

// Stats is the momentary state of a Store.
type Stats struct {
	Pending int64 // blocks that wait for the next fsync of the packs
	Damaged int64 // blocks that were set aside
	Rounds  int64 // of fsyncs since the start
}

// Stats tells the momentary state.
func (s *Store) Stats() Stats {
	return Stats{Pending: s.pending.count.Load(), Damaged: s.damaged.count.Load(), Rounds: s.group.rounds.Load()}
}
