package blobs

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
)

// sweepBlocks is how many blocks a step of Sweep examines unless the budget says otherwise.
const sweepBlocks = 1000

// Sweep implements blob.Store. It examines candidates: blocks that a holder let go of since it last looked at them.
func (s *Store) Sweep(ctx context.Context, now time.Time, budget blob.Budget, from *block.ID) (report blob.SweepReport, next *block.ID, err error) {
	const op = "blobs.Sweep"
	if err := s.gate.enter(ctx, op); err != nil {
		return report, nil, err
	}
	defer s.gate.Leave()
	if err := s.settle(ctx); err != nil {
		s.opts.Log.WarnContext(ctx, "sweeping although blocks could not be synced", "error", err)
	}
	limit := budget.Blocks
	if limit <= 0 {
		limit = sweepBlocks
	}
	ids, err := s.candidates(from, limit+1)
	if err != nil {
		return report, nil, errs.Wrap(op, errs.Internal, err)
	}
	if len(ids) > limit {
		ids = ids[:limit]
		next = &ids[limit-1]
	}
	for i := range ids {
		if err := ctx.Err(); err != nil {
			return report, &ids[i], canceled(op, err)
		}
		if err := s.sweepOne(ids[i], now.Add(-budget.Grace), &report); err != nil {
			return report, next, errs.Wrap(op, errs.Internal, err)
		}
	}
	return report, next, nil
}

func (s *Store) candidates(from *block.ID, limit int) (ids []block.ID, err error) {
	lower := []byte{prefixCandidate}
	if from != nil {
		lower = append(idKey(nil, prefixCandidate, *from), 0)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: []byte{prefixCandidate + 1}})
	if err != nil {
		return nil, internal("blobs.candidates", err)
	}
	for it.First(); it.Valid() && len(ids) < limit; it.Next() {
		if id, ok := idOf(it.Key()); ok {
			ids = append(ids, id)
		}
	}
	return ids, internal("blobs.candidates", it.Close())
}

// sweepOne deletes a candidate if nobody holds it and it was stored at or before old.
func (s *Store) sweepOne(id block.ID, old time.Time, report *blob.SweepReport) error {
	lock := &s.stripes[stripeOf(id)]
	lock.Lock()
	defer lock.Unlock()
	report.Examined++
	if _, ok := s.pending.get(id); ok {
		report.Young++ // its row comes with the next Sync; until then it is as young as can be
		return nil
	}
	held, err := s.referenced(id)
	if err != nil {
		return err
	}
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }() // after Commit there is nothing that could fail
	var buf [1 + idLen]byte
	if !held {
		r, release, ok, err := s.get(id)
		if err != nil {
			return err
		}
		if ok {
			storedAt, length := r.storedAt, r.length()
			pack, tally := r.tally()
			if err := release(); err != nil {
				return internal("blobs.Sweep", err)
			}
			if storedAt > old.UnixNano() {
				report.Young++
				return nil
			}
			_ = batch.Delete(idKey(buf[:0], prefixBlock, id), nil) // writing to a batch that is not indexed cannot fail
			_ = batch.Delete(idKey(buf[:0], prefixDamaged, id), nil)
			_ = batch.Merge(tallyKey(pack), appendTally(nil, tally.neg()), nil)
			report.Deleted++
			report.Bytes += length
		}
	}
	_ = batch.Delete(idKey(buf[:0], prefixCandidate, id), nil)
	if err := batch.Commit(pebble.NoSync); err != nil {
		return internal("blobs.Sweep", err)
	}
	if !held {
		s.damaged.remove(id)
	}
	return nil
}

// Quarantine implements blob.Quarantiner. It is on stable storage when it returns.
func (s *Store) Quarantine(ctx context.Context, id block.ID) error {
	const op = "blobs.Quarantine"
	if err := s.gate.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := s.settle(ctx); err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	lock := &s.stripes[stripeOf(id)]
	lock.Lock()
	defer lock.Unlock()
	if _, ok := s.pending.get(id); ok {
		return errs.E(op, errs.Busy, errs.Block, id.String()).With(errors.New("the block is being stored"))
	}
	_, release, ok, err := s.get(id)
	if err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	if !ok {
		return errs.E(op, errs.NotFound, errs.Block, id.String())
	}
	if err := release(); err != nil {
		return internal(op, err)
	}
	if err := s.db.Set(idKey(nil, prefixDamaged, id), nil, pebble.Sync); err != nil {
		return internal(op, err)
	}
	s.damaged.add(id)
	return nil
}

// Quarantined implements blob.Quarantiner.
func (s *Store) Quarantined(ctx context.Context) (ids []block.ID, err error) {
	const op = "blobs.Quarantined"
	if err := s.gate.enter(ctx, op); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	err = scan(s.db, []byte{prefixDamaged}, func(key, _ []byte) (bool, error) {
		if id, ok := idOf(key); ok {
			ids = append(ids, id)
		}
		return true, nil
	})
	return ids, err
}
