package cassandra

import (
	"bytes"
	"context"
	"slices"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// Sweep deletes blocks that nobody holds; see blob.Store. It follows the candidates that Release left, in the order of ids. Marks and
// looks need every replica: with one down it fails with Busy and changes nothing that matters; serving goes on.
func (b *Blobs) Sweep(ctx context.Context, now time.Time, budget blob.Budget, after *block.ID) (blob.SweepReport, *block.ID, error) {
	const op = "cassandra.Blobs.Sweep"
	limit := orDefault(budget.Blocks, 1000)
	var report blob.SweepReport
	var from block.ID
	start := []byte{}
	if after != nil {
		from, start = *after, after[:]
	}
	for lane := int(from[0]); lane < 256; lane++ {
		ids, marks, err := b.candidates(ctx, lane, start, limit-report.Examined)
		if err != nil {
			return report, nil, fail(op, err)
		}
		for i, id := range ids {
			report.Examined++
			done, err := b.sweepOne(ctx, now, budget.Grace, id, &report)
			if err != nil {
				return report, nil, fail(op, err)
			}
			for _, mark := range marks[i] {
				if !done {
					break
				}
				if err := b.s.exec(ctx, dropSweep, lane, id[:], mark); err != nil {
					return report, nil, fail(op, err)
				}
			}
		}
		if report.Examined >= limit {
			return report, &ids[len(ids)-1], nil
		}
		start = []byte{}
	}
	return report, nil, nil
}

// candidates lists distinct ids of a lane with their marks, at most limit. Where it meets more tombstones than the cluster reads over, it
// reads smaller ranges.
func (b *Blobs) candidates(ctx context.Context, lane int, start []byte, limit int) (ids []block.ID, marks [][]gocql.UUID, err error) {
	ends := [][]byte{bytes.Repeat([]byte{0xff}, len(block.ID{})+1)} // of the ranges still to be read, the first one last
	for len(ends) > 0 {
		to, full := ends[len(ends)-1], false
		err := b.s.rows(ctx, listSweep, []any{lane, start, to}, 500, func(it *gocql.Iter) bool {
			var hash []byte
			var mark gocql.UUID
			if !it.Scan(&hash, &mark) {
				return false
			}
			id := block.ID(hash)
			start = hash
			if n := len(ids); n > 0 && ids[n-1] == id {
				if !slices.Contains(marks[n-1], mark) {
					marks[n-1] = append(marks[n-1], mark)
				}
				return true
			}
			if full = len(ids) == limit; !full {
				ids, marks = append(ids, id), append(marks, []gocql.UUID{mark})
			}
			return !full
		})
		switch {
		case tooManyTombstones(err) && len(ends) < digMost:
			ends = append(ends, between(start, to))
			continue
		case err != nil || full:
			return ids, marks, err
		}
		start, ends = to, ends[:len(ends)-1]
	}
	return ids, marks, nil
}

// sweepOne takes the four steps for one block; done says that it need not be looked at again until another reference goes. That is said only of what was found so
// and not of what was changed here: whoever is halted in the midst of it may go on after others have looked.
func (b *Blobs) sweepOne(ctx context.Context, now time.Time, grace time.Duration, id block.ID, report *blob.SweepReport) (done bool, err error) {
	r, err := b.registers(ctx, id)
	if err != nil {
		return false, err
	}
	referenced, known, err := b.referenced(ctx, anyReference, id, r.lanes)
	switch {
	case err != nil || !referenced && !known:
		return false, err
	case referenced && r.live <= r.cond:
		revived, err := b.revive(ctx, id, r)
		return !revived, err // else somebody is writing it, and will leave a candidate too
	case referenced:
		return true, nil
	case r.live <= r.cond:
		return b.sweepRest(ctx, now, grace, id, report)
	case now.Sub(time.UnixMicro(r.live)) < grace:
		report.Young++
		return false, nil
	}
	gone, err := b.condemn(ctx, id, max(r.live, r.bad), r)
	if gone {
		report.Deleted++
		report.Bytes += int64(r.size)
	}
	return gone, err
}

// condemn marks a block and deletes it unless somebody refers to it by then.
func (b *Blobs) condemn(ctx context.Context, id block.ID, mark int64, r registers) (gone bool, err error) {
	if err := b.s.exec(ctx, setCondemned, mark, mark, id[:]); err != nil {
		return false, err
	}
	referenced, known, err := b.lookAtAll(ctx, id)
	switch {
	case err != nil || !referenced && !known:
		return false, err
	case referenced:
		r.cond = max(r.cond, mark)
		_, err := b.revive(ctx, id, r)
		return false, err
	}
	if err := b.s.exec(ctx, dropChunks, mark, id[:]); err != nil {
		return false, err
	}
	if r.bad > 0 {
		if err := b.s.exec(ctx, clearBad, mark, id[:]); err != nil {
			return false, err
		}
	}
	return true, nil
}

// revive makes a block usable that was condemned while somebody began to refer to it: its bytes are there, and become a new incarnation. Without that its holders can read it, but it
// is no longer shared or audited. revived is false when the bytes are not all there.
func (b *Blobs) revive(ctx context.Context, id block.ID, r registers) (revived bool, err error) {
	data, whole, err := b.wholeBytes(ctx, id)
	if err != nil || !whole {
		return false, err
	}
	return true, b.write(ctx, id, data, r)
}

// wholeBytes reads a block; whole is false when bytes are missing or damaged.
func (b *Blobs) wholeBytes(ctx context.Context, id block.ID) (data []byte, whole bool, err error) {
	next := 0
	err = b.s.rows(ctx, getChunks, []any{id[:], 0, block.SizeMax}, max(1, readPage/b.chunk), func(it *gocql.Iter) bool {
		var i, size int
		var inc, bad int64
		var sum int32
		var piece []byte
		if !it.Scan(&i, &inc, &bad, &size, &sum, &piece) || i != next {
			return false
		}
		next++
		data = append(data, piece...)
		return len(data) <= block.SizeMax
	})
	return data, err == nil && len(data) > 0 && block.Sum(data) == id, err
}

// sweepRest removes what is left of a block that was never made whole, or was condemned before: rows that a writer left who was cut off before it could set live, and those of a
// deletion that was lost. What such a writer wrote may stand on some replicas only, so all are asked.
func (b *Blobs) sweepRest(ctx context.Context, now time.Time, grace time.Duration, id block.ID, report *blob.SweepReport) (done bool, err error) {
	var r registers
	if _, err := b.s.serially(ctx, getRegisters, gocql.All, []any{id[:]}, &r.live, &r.cond, &r.bad, &r.size, &r.lanes); err != nil {
		return false, err
	}
	if r.live > r.cond {
		return false, nil // it was made whole; the next round finds it so
	}
	newest := int64(0)
	err = b.s.rowsAt(ctx, orphanChunks, gocql.All, []any{id[:]}, 500, func(it *gocql.Iter) bool {
		var inc int64
		ok := it.Scan(&inc)
		newest = max(newest, inc)
		return ok
	})
	switch {
	case err != nil:
		return false, err
	case newest > r.cond && now.Sub(time.UnixMicro(newest)) < grace:
		report.Young++
		return false, nil
	case newest > r.cond:
		return b.condemn(ctx, id, newest, r)
	case r.cond > 0:
		return true, b.s.exec(ctx, dropChunks, r.cond, id[:])
	}
	return true, nil
}

// lookAtAll asks every replica for references. The lanes are read first: who writes into another than the first has read them before.
func (b *Blobs) lookAtAll(ctx context.Context, id block.ID) (referenced, known bool, err error) {
	var lanes int
	if _, err := b.s.one(ctx, getLanes, []any{id[:]}, &lanes); err != nil {
		return false, false, err
	}
	return b.referenced(ctx, lookAtAll, id, lanes)
}

// referenced reports whether anybody holds a block; known false: there are so many references on their way out that it cannot be told now.
func (b *Blobs) referenced(ctx context.Context, st statement, id block.ID, lanes int) (referenced, known bool, err error) {
	known = true
	for lane := range max(1, lanes) {
		var holder gocql.UUID
		found, err := b.s.one(ctx, st, []any{id[:], lane}, &holder)
		switch {
		case tooManyTombstones(err):
			known = false
		case err != nil, found:
			return found, found, err
		}
	}
	return false, known, nil
}

var orphanChunks = statement{cql: `SELECT inc FROM %k.chunk WHERE hash = ?`, class: sliceRead, level: gocql.LocalQuorum}

// Walk visits the stored blocks in the order of the ring; see blob.Store.
func (b *Blobs) Walk(ctx context.Context, after *block.ID, fn func(blob.Info) bool) error {
	for {
		st, args := walkBlocksA, []any{walkedAtOnce}
		if after != nil {
			st, args = walkBlocks, []any{after[:], walkedAtOnce}
		}
		page, last, err := b.walkPage(ctx, st, args)
		if err != nil {
			return fail("cassandra.Blobs.Walk", err)
		}
		for _, i := range page {
			if !fn(i) {
				return nil
			}
		}
		if last == nil {
			return nil
		}
		after = last
	}
}

// walkedAtOnce is how many rows of a walk are read at once.
const walkedAtOnce = 500

// walkPage reads some blocks and leaves out those that are not usable. last is the last one read, nil at the end of the ring.
func (b *Blobs) walkPage(ctx context.Context, st statement, args []any) (page []blob.Info, last *block.ID, err error) {
	var states []registers
	n := 0
	err = b.s.rows(ctx, st, args, walkedAtOnce, func(it *gocql.Iter) bool {
		var hash []byte
		var r registers
		if !it.Scan(&hash, &r.live, &r.cond, &r.bad, &r.size, &r.lanes) {
			return false
		}
		n++
		id := block.ID(hash)
		last = &id
		if r.usable() {
			page, states = append(page, blob.Info{ID: id, Stored: int64(r.size)}), append(states, r)
		}
		return true
	})
	if n < walkedAtOnce {
		last = nil
	}
	if err != nil {
		return nil, nil, err
	}
	g, gctx := limited(ctx)
	for i := range page {
		g.Go(func() error {
			held, known, err := b.referenced(gctx, anyReference, page[i].ID, states[i].lanes)
			page[i].Held = held || !known
			return err
		})
	}
	return page, last, g.Wait()
}

// WalkHolders visits the holders in the order of the ring; see blob.Store.
func (b *Blobs) WalkHolders(ctx context.Context, after block.Holder, fn func(block.Holder, naming.AccountID) bool) error {
	type held struct {
		holder  block.Holder
		account naming.AccountID
	}
	for {
		st, args := walkHoldersAll, []any{walkedAtOnce}
		if !after.IsZero() {
			st, args = walkHolders, []any{gocql.UUID(after), walkedAtOnce}
		}
		var page []held
		err := b.s.rows(ctx, st, args, walkedAtOnce, func(it *gocql.Iter) bool {
			var holder gocql.UUID
			var account string
			ok := it.Scan(&holder, &account)
			if ok {
				page = append(page, held{block.Holder(holder), naming.AccountID(account)})
			}
			return ok
		})
		if err != nil {
			return fail("cassandra.Blobs.WalkHolders", err)
		}
		for _, h := range page {
			if !fn(h.holder, h.account) {
				return nil
			}
		}
		if len(page) < walkedAtOnce {
			return nil
		}
		after = page[len(page)-1].holder
	}
}

// Quarantine marks the present incarnation as damaged; see blob.Quarantiner.
func (b *Blobs) Quarantine(ctx context.Context, id block.ID) error {
	const op = "cassandra.Blobs.Quarantine"
	r, err := b.registers(ctx, id)
	switch {
	case err != nil:
		return fail(op, err)
	case r.live == 0 || r.live <= r.cond:
		return errs.E(op, errs.NotFound, errs.Block, id.String())
	}
	for _, st := range []statement{setChunkBad, setBad} {
		if err := b.s.exec(ctx, st, r.live, r.live, id[:]); err != nil {
			return fail(op, err)
		}
	}
	return fail(op, b.s.exec(ctx, addBad, id[:], r.live, r.live))
}

// Quarantined lists the damaged blocks; see blob.Quarantiner.
func (b *Blobs) Quarantined(ctx context.Context) ([]block.ID, error) {
	var out []block.ID
	err := b.s.rows(ctx, listBad, nil, 500, func(it *gocql.Iter) bool {
		var hash []byte
		var inc int64
		ok := it.Scan(&hash, &inc)
		if ok {
			out = append(out, block.ID(hash))
		}
		return ok
	})
	return out, fail("cassandra.Blobs.Quarantined", err)
}
