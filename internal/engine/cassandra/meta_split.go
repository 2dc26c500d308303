package cassandra

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
)

// A shard is replaced by new ones when it has grown too long, or holds so many tombstones that reading it is slow:
//
//  1. the map says by which (LWT), then moved is set at quorum: from now on every writer writes to both, see sorted lists;
//  2. the rows are copied with their timestamps;
//  3. the map names the new shards in its place (LWT), and then its rows are deleted. moved stays.
//
// Any process may take any step at any time, and take it again: what a stopped one has left is brought to an end by Reap.

// splitter remembers what this process wants to be split, and how many keys it wrote to each shard since it counted them.
type splitter struct {
	mu      sync.Mutex
	written map[gocql.UUID]int
	busy    map[gocql.UUID]bool
	running sync.WaitGroup
	closed  bool
}

const (
	splitsAtOnce = 2   // in one process
	copyAtOnce   = 100 // rows in one batch
	piecesMost   = 64  // that a shard is split into at once
)

// countEntry counts a key written to a shard, and now and then orders a look at the shard.
func (m *Meta) countEntry(ctx context.Context, s *shard) {
	m.splits.mu.Lock()
	if m.splits.written == nil || len(m.splits.written) >= shardsKept {
		m.splits.written = map[gocql.UUID]int{}
	}
	m.splits.written[s.id]++
	due := m.splits.written[s.id] >= max(1, m.sizes.Shard/8)
	if due {
		delete(m.splits.written, s.id)
	}
	m.splits.mu.Unlock()
	if due {
		m.orderSplit(ctx, s, false)
	}
}

// orderSplit has a shard looked at and replaced, if it must be, behind the caller's back. renew: also when it is not too long.
func (m *Meta) orderSplit(ctx context.Context, s *shard, renew bool) {
	m.splits.mu.Lock()
	defer m.splits.mu.Unlock()
	if m.splits.busy == nil {
		m.splits.busy = map[gocql.UUID]bool{}
	}
	if m.splits.closed || m.splits.busy[s.id] || len(m.splits.busy) >= splitsAtOnce {
		return
	}
	m.splits.busy[s.id] = true
	ctx = context.WithoutCancel(ctx)
	m.splits.running.Go(func() {
		err := m.replace(ctx, s, renew)
		if err != nil && m.s.log != nil {
			m.s.log.WarnContext(ctx, "a listing shard could not be replaced; it will be tried again", "error", err)
		}
		m.splits.mu.Lock()
		defer m.splits.mu.Unlock()
		delete(m.splits.busy, s.id)
	})
}

// stop waits for what is under way, which is soon over when the session is closed.
func (sp *splitter) stop() {
	sp.mu.Lock()
	sp.closed = true
	sp.mu.Unlock()
	sp.running.Wait()
}

// replace replaces a shard if it is too long or renew says so.
func (m *Meta) replace(ctx context.Context, known *shard, renew bool) error {
	s, err := m.askShard(ctx, known.list, known.lo, m.s.serial)
	if err != nil || s.id != known.id {
		return err
	}
	if len(s.into) == 0 {
		bounds, err := m.bounds(ctx, s)
		if err != nil || len(bounds) == 1 && !renew {
			return err
		}
		if s, err = m.planSplit(ctx, s, bounds); err != nil || s.id != known.id {
			return err
		}
	}
	return m.carryOut(ctx, s)
}

// bounds is where the pieces begin into which a shard is to be cut: one when it is not too long.
func (m *Meta) bounds(ctx context.Context, s *shard) ([][]byte, error) {
	every := max(1, m.sizes.Shard/100)
	var marks [][]byte
	n := 0
	err := m.walkShard(ctx, s, func(rows []copiedRow) error {
		for _, r := range rows {
			if n%every == 0 {
				marks = append(marks, r.key)
			}
			n++
		}
		return nil
	})
	bounds := [][]byte{s.lo}
	if err != nil || n <= m.sizes.Shard {
		return bounds, err
	}
	pieces := min((n+m.sizes.Shard/2-1)/max(1, m.sizes.Shard/2), piecesMost)
	for i := 1; i < pieces; i++ {
		at := marks[i*len(marks)/pieces]
		if bytes.Compare(at, bounds[len(bounds)-1]) > 0 {
			bounds = append(bounds, at)
		}
	}
	return bounds, nil
}

// planSplit writes into the map by what the shard is replaced, and gives the shard as the map has it then.
func (m *Meta) planSplit(ctx context.Context, s *shard, bounds [][]byte) (*shard, error) {
	var into []piece
	for _, lo := range bounds {
		into = append(into, piece{lo, gocql.MustRandomUUID()})
	}
	raw := appendPieces(nil, into)
	if err := m.index(ctx, timedSplit, m.clock.Now().UnixMicro(), splitID(s), s.lo); err != nil {
		return nil, err
	}
	st := step{planShard, []any{raw, gocql.UUID(s.list), s.lo, s.id}}
	if !s.listed {
		st = step{addShard, []any{gocql.UUID(s.list), s.lo, s.id, raw}}
	}
	if _, err := m.s.casBatch(ctx, m.s.serial, st); err != nil && !unknown(err) {
		return nil, err
	}
	return m.askShard(ctx, s.list, s.lo, m.s.serial)
}

// splitID names the replacement of a shard in the index of those under way.
func splitID(s *shard) []byte { return append(append([]byte{}, s.list[:]...), s.id[:]...) }

// carryOut takes the steps after the plan.
func (m *Meta) carryOut(ctx context.Context, s *shard) error {
	if len(s.into) == 0 {
		return nil // another plan failed, and so did this
	}
	if err := m.s.exec(ctx, setMoved, s.id); err != nil {
		return err
	}
	if err := m.walkShard(ctx, s, func(rows []copiedRow) error { return m.copyRows(ctx, s, rows) }); err != nil {
		return err
	}
	for n := range attempts {
		steps := []step{{swapShard, []any{s.into[0].ID, gocql.UUID(s.list), s.lo, s.id}}}
		for _, p := range s.into[1:] {
			steps = append(steps, step{newShard, []any{gocql.UUID(s.list), p.Lo, p.ID}})
		}
		_, err := m.s.casBatch(ctx, m.s.serial, steps...)
		if err != nil && !unknown(err) {
			return err
		}
		now, err := m.askShard(ctx, s.list, s.lo, m.s.serial)
		if err != nil {
			return err
		}
		if now.id != s.id {
			return m.s.exec(ctx, clearShard, s.id, []byte{})
		}
		if err := pause(ctx, n); err != nil {
			return err
		}
	}
	return errs.E("cassandra.Meta.split", errs.Busy, errs.Container, "")
}

// copiedRow is a row of a shard with its timestamp.
type copiedRow struct {
	key, rec []byte
	at       int64
}

// walkShard reads all rows of a shard.
func (m *Meta) walkShard(ctx context.Context, s *shard, fn func([]copiedRow) error) error {
	from, ends := s.lo, [][]byte{nil}
	const limit = 2000
	for len(ends) > 0 {
		to := ends[len(ends)-1]
		rows, err := m.timesOf(ctx, s.id, from, to, limit)
		if tooManyTombstones(err) && len(ends) < digMost {
			ends = append(ends, between(from, to))
			continue
		}
		if err != nil {
			return err
		}
		if err := fn(rows); err != nil {
			return err
		}
		if len(rows) == limit {
			from = append(rows[limit-1].key, 0)
			continue
		}
		from, ends = to, ends[:len(ends)-1]
	}
	return nil
}

func (m *Meta) timesOf(ctx context.Context, id gocql.UUID, from, to []byte, limit int) (rows []copiedRow, err error) {
	st, args := listTimes, []any{id, from, limit}
	if to != nil {
		st, args = listSome, []any{id, from, to, limit}
	}
	err = m.s.rows(ctx, st, args, limit, func(it *gocql.Iter) bool {
		var r copiedRow
		ok := it.Scan(&r.key, &r.rec, &r.at)
		if ok {
			rows = append(rows, r)
		}
		return ok
	})
	return rows, err
}

// copyRows writes rows of a shard to the pieces that they belong to.
func (m *Meta) copyRows(ctx context.Context, s *shard, rows []copiedRow) error {
	g, gctx := limited(ctx)
	for len(rows) > 0 {
		id, n := s.pieceOf(rows[0].key).ID, 1
		for n < len(rows) && n < copyAtOnce && s.pieceOf(rows[n].key).ID == id {
			n++
		}
		some := rows[:n]
		rows = rows[n:]
		g.Go(func() error {
			steps := make([]step, 0, len(some))
			for _, r := range some {
				steps = append(steps, step{putEntry, []any{id, r.key, r.rec, r.at}})
			}
			return m.s.together(gctx, steps...)
		})
	}
	return g.Wait()
}

// resumeSplits brings to an end what other processes have left.
func (m *Meta) resumeSplits(ctx context.Context) error {
	before := m.clock.Now().Add(-settleAfter).UnixMicro()
	return m.walkTimed(ctx, timedSplit, upTo(timedSplit, before), func(r timedRow) (bool, error) {
		var list listID
		var id gocql.UUID
		if len(r.id) != len(list)+len(id) {
			return false, tornShard()
		}
		copy(list[:], r.id)
		copy(id[:], r.id[len(list):])
		s, err := m.askShard(ctx, list, r.val, m.s.serial)
		switch {
		case err != nil:
			return false, err
		case s.id == id && len(s.into) > 0:
			err = m.carryOut(ctx, s)
		case s.id != id:
			err = m.s.exec(ctx, clearShard, id, []byte{})
		}
		if err != nil {
			return false, fmt.Errorf("shard %x: %w", r.id, err)
		}
		return true, m.unindexIn(ctx, timedSplit, r)
	})
}
