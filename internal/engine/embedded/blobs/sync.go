package blobs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// syncGroup lets all callers of Sync that wait at the same time share one round of fsyncs.
type syncGroup struct {
	rounds  atomic.Int64
	mu      sync.Mutex
	running bool   // a round is under way
	next    *round // the round that begins when it ends; nil when nobody waits
}

type round struct {
	done chan struct{}
	err  error // set before done is closed
}

// Sync implements blob.Store. What lies in Pebble is left to the log's next synced commit when the metastore shares it.
//
// After a failed fsync it fails (Internal, or Full when space was the cause) as long as somebody still holds a block that was lost.
func (s *Store) Sync(ctx context.Context) error {
	const op = "blobs.Sync"
	if err := s.gate.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := s.settle(ctx); err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	if s.opts.SharedLog {
		return nil
	}
	return internal(op, s.db.LogData(nil, pebble.Sync))
}

// settle returns when no block is pending that was so at the call.
func (s *Store) settle(ctx context.Context) error {
	// Pending blocks keep counting until their rows are written, so zero means that no round under way has anything of ours.
	if s.pending.unsettled.Load() == 0 {
		return nil
	}
	return s.joinRound(ctx)
}

// joinRound waits for a whole round of fsyncs that begins after the call.
func (s *Store) joinRound(ctx context.Context) error {
	g := &s.group
	g.mu.Lock()
	if g.next == nil {
		g.next = &round{done: make(chan struct{})}
	}
	mine := g.next
	lead := !g.running
	if lead {
		g.running, g.next = true, nil
	}
	g.mu.Unlock()
	if lead {
		s.lead(mine)
	}
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return canceled("blobs.Sync", ctx.Err())
	}
}

// lead runs a round, and hands the next one, if anybody waits for it, to a goroutine of its own, so that no caller works longer than
// for its own round.
func (s *Store) lead(r *round) {
	r.err = s.syncRound()
	g := &s.group
	g.mu.Lock()
	next := g.next
	g.next = nil
	g.running = next != nil
	g.mu.Unlock()
	close(r.done)
	if next != nil {
		s.gate.EnterAgain() // the leader is inside, so nobody waits for zero yet
		go func() {
			defer s.gate.Leave()
			s.lead(next)
		}()
	}
}

// syncRound fsyncs the packs and then writes the rows of the blocks that are safe by that.
func (s *Store) syncRound() error {
	s.group.rounds.Add(1)
	blocks := s.pending.take() // before the fsync: what comes later waits for the next round
	failed, syncErr := s.segs.Sync()
	if syncErr != nil {
		s.opts.Log.Error("fsync of packs failed", "packs", failed, "error", syncErr)
		lost := slices.DeleteFunc(slices.Clone(blocks), func(b *pendingBlock) bool { return !slices.Contains(failed, b.place.Pack) })
		blocks = slices.DeleteFunc(blocks, func(b *pendingBlock) bool { return slices.Contains(failed, b.place.Pack) })
		s.pending.settle(lost, true)
	}
	if err := s.writeRows(blocks); err != nil {
		s.pending.requeue(blocks)
		return errors.Join(syncErr, err)
	}
	s.pending.settle(blocks, false)
	if err := s.checkLost(); err != nil {
		if syncErr != nil {
			return syncErr
		}
		return err
	}
	return nil
}

func (s *Store) writeRows(blocks []*pendingBlock) error {
	if len(blocks) == 0 {
		return nil
	}
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }() // after Commit there is nothing that could fail
	for _, b := range blocks {
		s.setRow(batch, b.id, b.row(), b.replaces)
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return internal("blobs.Sync", err)
	}
	for _, b := range blocks {
		if b.replaces != nil {
			s.damaged.remove(b.id)
		}
	}
	return nil
}

// checkLost forgets lost blocks that nobody holds any more and fails when one is left.
func (s *Store) checkLost() error {
	for _, id := range s.pending.lostIDs() {
		held, err := s.referenced(id)
		if err != nil {
			return err
		}
		if held {
			return errs.E("blobs.Sync", errs.Internal, errs.Block, id.String()).With(errors.New("the block was lost by a failed fsync"))
		}
		s.pending.forgetLost(id)
	}
	return nil
}

// referenced tells whether anybody holds the block.
func (s *Store) referenced(id block.ID) (bool, error) {
	var buf [1 + idLen]byte
	prefix := idKey(buf[:0], prefixRef, id)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return false, internal("blobs.referenced", err)
	}
	found := it.First()
	return found, internal("blobs.referenced", it.Close())
}
