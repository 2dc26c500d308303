package blobs

import (
	"bytes"
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/segment"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, h blob.Hold, id block.ID, data []byte) error {
	const op = "blobs.Put"
	if err := s.gate.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	if id == block.Empty {
		return nil
	}
	if len(data) == 0 || len(data) > block.SizeMax || data[len(data)-1] == 0 {
		return errs.E(op, errs.Invalid, errs.Block, id.String())
	}
	if err := s.opts.Admit(int64(len(data))); err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	lock := &s.stripes[stripeOf(id)]
	lock.Lock()
	defer lock.Unlock()
	there, old, err := s.present(id)
	if err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	batch := s.db.NewBatchWithSize(3*128 + len(data)*boolInt(!there && len(data) <= s.opts.InlineMax))
	defer func() { _ = batch.Close() }() // after Commit there is nothing that could fail
	s.addRef(batch, h, id)
	inline := !there && len(data) <= s.opts.InlineMax
	if inline {
		r := row{kind: kindInline, storedAt: s.opts.Clock.Now().UnixNano(), sum: segment.Checksum(data), data: data}
		s.setRow(batch, id, r, old)
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return internal(op, err)
	}
	if inline && old != nil {
		s.damaged.remove(id)
	}
	if there || inline {
		return nil
	}
	// The reference came first: a round of Sync may write the row as soon as the block is pending, and a row without a reference
	// would never be swept if the power failed now.
	err = s.segs.Append(id, data, func(place segment.Place) {
		s.pending.add(&pendingBlock{id: id, storedAt: s.opts.Clock.Now().UnixNano(), place: place, replaces: old})
	})
	if err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// addRef writes a reference in both forms.
func (s *Store) addRef(batch *pebble.Batch, h blob.Hold, id block.ID) {
	var buf [128]byte
	_ = batch.Set(refKey(buf[:0], id, h), nil, nil) // writing to a batch that is not indexed cannot fail
	_ = batch.Set(heldKey(buf[:0], h, id), nil, nil)
}

// setRow writes the row of a block and adjusts the sums. When it takes the place of a damaged one it lifts the quarantine.
func (s *Store) setRow(batch *pebble.Batch, id block.ID, r row, old *replaced) {
	var buf [1 + idLen]byte
	n := inlineHeader + len(r.data) + 32 + len(r.place.Sums)
	key := idKey(buf[:0], prefixBlock, id)
	_ = batch.Set(key, appendRow(make([]byte, 0, n), r), nil)
	pack, t := r.tally()
	_ = batch.Merge(tallyKey(pack), appendTally(nil, t), nil)
	if old != nil {
		_ = batch.Merge(tallyKey(old.pack), appendTally(nil, old.tally.neg()), nil)
		_ = batch.Delete(idKey(buf[:0], prefixDamaged, id), nil)
	}
}

// Hold implements blob.Store.
func (s *Store) Hold(ctx context.Context, h blob.Hold, ids []block.ID) (missing []block.ID, err error) {
	const op = "blobs.Hold"
	if err := s.gate.enter(ctx, op); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	if err := s.opts.Admit(0); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	todo := distinct(ids)
	for len(todo) > 0 {
		n := min(idsPerStep, len(todo))
		m, err := s.holdStep(h, todo[:n])
		if err != nil {
			return nil, errs.Wrap(op, errs.Internal, err)
		}
		missing, todo = append(missing, m...), todo[n:]
	}
	return missing, nil
}

// distinct is ids without block.Empty and without repetitions, in the order of first appearance.
func distinct(ids []block.ID) []block.ID {
	seen := make(map[block.ID]struct{}, len(ids))
	out := make([]block.ID, 0, len(ids))
	for _, id := range ids {
		if _, again := seen[id]; again || id == block.Empty {
			continue
		}
		seen[id] = struct{}{}
		out = append(out, id)
	}
	return out
}

func (s *Store) holdStep(h blob.Hold, ids []block.ID) (missing []block.ID, err error) {
	defer s.rlock(ids)()
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }() // after Commit there is nothing that could fail
	for _, id := range ids {
		s.addRef(batch, h, id)
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return nil, internal("blobs.Hold", err)
	}
	there, err := s.stored(ids)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if !there[i] {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// stored tells for each id whether it can be read, without reading its bytes.
func (s *Store) stored(ids []block.ID) ([]bool, error) {
	there := make([]bool, len(ids))
	err := s.eachRow(ids, func(i int, _ int64) { there[i] = true })
	return there, err
}

// eachRow calls fn with the stored length of each of the ids that can be read. It does not read inline bytes.
func (s *Store) eachRow(ids []block.ID, fn func(i int, length int64)) error {
	// Pending ones first: an entry goes from there to Pebble, and the iterator sees the state as of now.
	rest := make([]int, 0, len(ids))
	for i, id := range ids {
		if b, ok := s.pending.get(id); ok {
			fn(i, int64(b.place.Length))
		} else if !s.damaged.has(id) {
			rest = append(rest, i)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	slices.SortFunc(rest, func(a, b int) int { return ids[a].Compare(ids[b]) })
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixBlock}, UpperBound: []byte{prefixBlock + 1}})
	if err != nil {
		return internal("blobs.eachRow", err)
	}
	var key [1 + idLen]byte
	for _, i := range rest {
		idKey(key[:0], prefixBlock, ids[i])
		if it.SeekPrefixGE(key[:]) && bytes.Equal(it.Key(), key[:]) {
			n, err := rowLength(it)
			if err != nil {
				_ = it.Close() // the row is what is wrong
				return err
			}
			fn(i, n)
		}
	}
	return internal("blobs.eachRow", it.Close())
}

// rowLength is the stored length of the block whose row it stands at. Bytes of inline blocks stay where they are.
func rowLength(it *pebble.Iterator) (int64, error) {
	lazy := it.LazyValue()
	if n := lazy.Len(); n > packedMax {
		return int64(n - inlineHeader), nil
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return 0, internal("blobs.rowLength", err)
	}
	r, err := parseRow(value)
	return r.length(), err
}

// Held implements blob.Store.
func (s *Store) Held(ctx context.Context, account naming.AccountID, ids []block.ID) ([]bool, error) {
	const op = "blobs.Held"
	if err := s.gate.enter(ctx, op); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	held, err := s.stored(ids)
	if err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixRef}, UpperBound: []byte{prefixRef + 1}})
	if err != nil {
		return nil, internal(op, err)
	}
	var buf []byte
	for i, id := range ids {
		if id == block.Empty {
			held[i] = true
		} else if held[i] {
			buf = appendAccount(idKey(buf, prefixRef, id), account)
			held[i] = it.SeekGE(buf) && bytes.HasPrefix(it.Key(), buf)
		}
	}
	return held, internal(op, it.Close())
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, ids []block.ID, found func(id block.ID, stored int64)) error {
	const op = "blobs.Stat"
	if err := s.gate.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	for _, id := range ids {
		if id == block.Empty {
			found(id, 0)
		}
	}
	return s.eachRow(ids, func(i int, length int64) { found(ids[i], length) })
}
