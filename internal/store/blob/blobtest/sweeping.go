package blobtest

import (
	"slices"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// walk is what Walk tells after a block, of the blocks given.
func (e *env) walk(after *block.ID, of []block.ID) []blob.Info {
	e.Helper()
	mine := map[block.ID]bool{}
	for _, id := range of {
		mine[id] = true
	}
	var list []blob.Info
	errstest.OK(e, e.store.Walk(e.Context(), after, func(i blob.Info) bool {
		if mine[i.ID] {
			list = append(list, i)
		}
		return true
	}))
	return list
}

var walking = []sentence{
	{"Walk/tells every stored block once, in its order, with length and whether it is held", func(e *env) {
		h, gone := e.hold(), e.hold()
		want := map[block.ID]blob.Info{}
		var ids []block.ID
		for i := range e.count(200) {
			data := e.data(1 + i*7)
			owner := h
			if i%3 == 0 {
				owner = gone
			}
			id := e.put(owner, data)
			ids = append(ids, id)
			want[id] = blob.Info{ID: id, Stored: int64(len(data)), Held: i%3 != 0}
		}
		e.release(gone)
		got := e.walk(nil, ids)
		if len(got) != len(ids) {
			e.Fatalf("got %d blocks, want %d", len(got), len(ids))
		}
		seen := map[block.ID]bool{}
		for i, info := range got {
			if info != want[info.ID] || seen[info.ID] {
				e.Fatalf("entry %d: got %+v, want %+v, once", i, info, want[info.ID])
			}
			seen[info.ID] = true
		}
		middle := len(got) / 2
		if rest := e.walk(&got[middle].ID, ids); !slices.Equal(rest, got[middle+1:]) {
			e.Errorf("after the middle: got %d blocks, want the %d that came after it", len(rest), len(got)-middle-1)
		}
	}},
	{"Walk/stops when told to, and its callback may call the store", func(e *env) {
		e.blocks(e.hold(), 5)
		calls := 0
		errstest.OK(e, e.store.Walk(e.Context(), nil, func(i blob.Info) bool {
			calls++
			e.wantStored([]block.ID{i.ID}, true)
			e.put(e.hold(), e.data(10))
			return calls < 2
		}))
		if calls != 2 {
			e.Errorf("%d calls, want 2", calls)
		}
	}},
}

var sweeping = []sentence{
	{"Sweep/deletes what nobody holds and tells how much", func(e *env) {
		e.sweepAll()
		h, gone := e.hold(), e.hold()
		kept, lost := e.blocks(h, 10), e.blocks(gone, 10)
		big := e.data(300_000)
		lost = append(lost, e.put(gone, big))
		var bytes int64
		for _, n := range e.stored(lost...) {
			bytes += n
		}
		e.release(gone)
		if r := e.sweepAll(); r.Deleted != 11 || r.Bytes != bytes || r.Examined < 11 || r.Young != 0 {
			e.Errorf("report %+v, want 11 deleted of %d bytes", r, bytes)
		}
		e.wantStored(lost, false)
		e.wantStored(kept, true)
		_, err := e.store.Read(e.Context(), lost[0], 0, make([]byte, 1))
		errstest.Want(e, err, errs.NotFound, errs.Block)
		if missing := e.holdIDs(h, lost...); len(missing) != len(lost) {
			e.Errorf("%d of %d deleted blocks are missing", len(missing), len(lost))
		}
		if r := e.sweepAll(); r.Deleted != 0 {
			e.Errorf("a second sweep deleted %d", r.Deleted)
		}
	}},
	{"Sweep/keeps blocks stored within the grace period", func(e *env) {
		h := e.hold()
		ids := e.blocks(h, 3)
		e.release(h)
		now := e.o.Clock.Now()
		if r := e.sweep(now, blob.Budget{Grace: time.Hour}); r.Young < 3 {
			e.Errorf("report %+v, want 3 young", r)
		}
		e.wantStored(ids, true)
		if r := e.sweep(now.Add(2*time.Hour), blob.Budget{Grace: time.Hour}); r.Deleted < 3 || r.Young != 0 {
			e.Errorf("report %+v, want 3 deleted", r)
		}
		e.wantStored(ids, false)
	}},
	{"Sweep/examines no more than its budget and goes on where it stopped", func(e *env) {
		h := e.hold()
		ids := e.blocks(h, 25)
		e.release(h)
		var after *block.ID
		for range 100_000 {
			r, next, err := e.store.Sweep(e.Context(), e.o.Clock.Now().Add(time.Hour), blob.Budget{Blocks: 4}, after)
			errstest.OK(e, err)
			if r.Examined > 4 || r.Deleted > r.Examined {
				e.Fatalf("report %+v with a budget of 4", r)
			}
			if after = next; next == nil {
				break
			}
		}
		e.wantStored(ids, false)
	}},
	{"Sweep/a deleted block can be stored again", func(e *env) {
		h, data := e.hold(), e.data(5000)
		id := e.put(h, data)
		e.release(h)
		e.sweepAll()
		h = e.hold()
		e.put(h, data)
		e.sweepAll()
		e.wantBytes(id, data)
	}},
	{"Close/later calls fail with Closed", func(e *env) {
		h, data := e.hold(), e.data(10)
		id := e.put(h, data)
		errstest.OK(e, e.store.Close())
		s, ctx := e.store, e.Context()
		errstest.Closed(e, "Put", s.Put(ctx, h, id, data))
		_, err := s.Hold(ctx, h, []block.ID{id})
		errstest.Closed(e, "Hold", err)
		errstest.Closed(e, "Sync", s.Sync(ctx))
		errstest.Closed(e, "Release", s.Release(ctx, []block.Holder{h.Holder}))
		_, err = s.Read(ctx, id, 0, make([]byte, 1))
		errstest.Closed(e, "Read", err)
		errstest.Closed(e, "Stat", s.Stat(ctx, []block.ID{id}, func(block.ID, int64) {}))
		_, err = s.Held(ctx, e.account, []block.ID{id})
		errstest.Closed(e, "Held", err)
		errstest.Closed(e, "Walk", s.Walk(ctx, nil, func(blob.Info) bool { return true }))
		_, _, err = s.Sweep(ctx, e.o.Clock.Now(), blob.Budget{}, nil)
		errstest.Closed(e, "Sweep", err)
		errstest.Closed(e, "WalkHolders", s.WalkHolders(ctx, block.Holder{}, func(block.Holder, naming.AccountID) bool { return true }))
	}},
}
