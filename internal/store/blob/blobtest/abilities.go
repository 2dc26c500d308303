package blobtest

import (
	"bytes"
	"slices"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/store/blob"
)

// ability finds an ability of the store. Without it there is nothing to test: the subtest passes and says so.
func ability[T any](e *env) (T, bool) {
	e.Helper()
	a, ok := blob.As[T](e.store)
	if !ok {
		e.Log("the store does not have this ability")
	}
	return a, ok
}

var abilities = []sentence{
	{"Quarantine/a damaged block is Corrupt to read, missing to hold, and healed by its bytes", func(e *env) {
		q, ok := ability[blob.Quarantiner](e)
		if !ok {
			return
		}
		for _, n := range []int{50, 300_000} {
			h, data := e.hold(), e.data(n)
			id := e.put(h, data)
			errstest.OK(e, q.Quarantine(e.Context(), id))
			_, err := e.store.Read(e.Context(), id, 0, make([]byte, n))
			errstest.Want(e, err, errs.Corrupt, errs.Block)
			if missing := e.holdIDs(h, id); !slices.Equal(missing, []block.ID{id}) {
				e.Errorf("missing: %v", missing)
			}
			e.wantStored([]block.ID{id}, false)
			e.wantHeld(e.account, []block.ID{id}, false)
			if got := e.walk(nil, []block.ID{id}); len(got) != 0 {
				e.Errorf("Walk shows it")
			}
			e.put(h, data)
			e.wantBytes(id, data)
			e.wantStored([]block.ID{id}, true)
			if missing := e.holdIDs(h, id); len(missing) != 0 {
				e.Errorf("missing after it was healed: %v", missing)
			}
		}
	}},
	{"Quarantined/lists damaged blocks in order until they are healed or swept", func(e *env) {
		q, ok := ability[blob.Quarantiner](e)
		if !ok {
			return
		}
		h, gone := e.hold(), e.hold()
		data := e.data(500)
		healed, kept, swept := e.put(h, data), e.blocks(h, 4), e.blocks(gone, 1)[0]
		all := append(slices.Clone(kept), healed, swept)
		for _, id := range all {
			errstest.OK(e, q.Quarantine(e.Context(), id))
			errstest.OK(e, q.Quarantine(e.Context(), id))
		}
		list := func() []block.ID {
			ids, err := q.Quarantined(e.Context())
			errstest.OK(e, err)
			return slices.DeleteFunc(ids, func(id block.ID) bool { return !slices.Contains(all, id) })
		}
		slices.SortFunc(all, block.ID.Compare)
		if got := list(); !slices.Equal(got, all) {
			e.Errorf("got %v, want %v", got, all)
		}
		e.put(h, data)
		e.release(gone)
		e.sweepAll()
		slices.SortFunc(kept, block.ID.Compare)
		if got := list(); !slices.Equal(got, kept) {
			e.Errorf("got %v, want %v", got, kept)
		}
	}},
	{"Quarantine/of an unknown block is NotFound", func(e *env) {
		q, ok := ability[blob.Quarantiner](e)
		if !ok {
			return
		}
		errstest.Want(e, q.Quarantine(e.Context(), block.Sum(e.data(10))), errs.NotFound, errs.Block)
	}},
	{"Compact/gives space back and loses nothing", func(e *env) {
		c, ok := ability[blob.Compactor](e)
		if !ok {
			return
		}
		kept := map[block.ID][]byte{}
		h, gone := e.hold(), e.hold()
		for i := range e.count(200) {
			data := e.data(e.rng.IntN(100_000) + 1)
			if i%4 == 0 {
				kept[e.put(h, data)] = data
			} else {
				e.put(gone, data)
			}
		}
		errstest.OK(e, e.store.Sync(e.Context()))
		e.release(gone)
		e.sweepAll()
		for range 1000 {
			freed, err := c.Compact(e.Context())
			errstest.OK(e, err)
			if freed == 0 {
				break
			}
		}
		for id, data := range kept {
			e.wantBytes(id, data)
		}
	}},
	{"Usage/counts stored blocks and their bytes", func(e *env) {
		u, ok := ability[blob.Usage](e)
		if !ok {
			return
		}
		e.sweepAll()
		before, err := u.Usage(e.Context())
		errstest.OK(e, err)
		h := e.hold()
		small, big := e.data(100), e.data(200_000)
		e.put(h, small)
		e.put(h, big)
		e.put(e.hold(), bytes.Clone(big))
		after, err := u.Usage(e.Context())
		errstest.OK(e, err)
		if after.Estimated { // some minutes old: it may know nothing of the blocks yet
			if after.Blocks < 0 || after.Live < 0 || after.Dead < 0 || after.Disk < 0 {
				e.Errorf("the estimate is %+v", after)
			}
			return
		}
		if after.Blocks-before.Blocks != 2 || after.Live-before.Live != 200_100 {
			e.Errorf("before %+v, after %+v", before, after)
		}
	}},
}

var lasting = []sentence{
	{"Reopen/what Sync promised is there again", func(e *env) {
		kept := map[block.ID][]byte{}
		h, gone, looking := e.hold(), e.hold(), e.hold()
		for i := range e.count(60) {
			data := e.data(16 + e.rng.IntN(1+i*3000)) // not so short that another subtest may hold the same
			kept[e.put(h, data)] = data
		}
		lost := e.blocks(gone, 10)
		missing := block.Sum(e.data(77))
		e.holdIDs(looking, missing)
		e.release(gone)
		e.sweepAll()
		errstest.OK(e, e.store.Sync(e.Context()))
		e.store = e.o.Reopen(e.T, e.store)
		for id, data := range kept {
			e.wantBytes(id, data)
		}
		e.wantStored(lost, false)
		want := []block.Holder{h.Holder, looking.Holder}
		slices.SortFunc(want, func(a, b block.Holder) int { return bytes.Compare(a[:], b[:]) })
		if got := e.holders(block.Holder{}); !slices.Equal(got, want) {
			e.Errorf("holders: got %v, want %v", got, want)
		}
		e.sweepAll()
		for id, data := range kept {
			e.wantBytes(id, data)
			e.wantHeld(e.account, []block.ID{id}, true)
		}
		e.release(h)
		e.store = e.o.Reopen(e.T, e.store)
		e.sweepAll()
		for id := range kept {
			e.wantStored([]block.ID{id}, false)
		}
	}},
	{"Reopen/a quarantined block stays quarantined", func(e *env) {
		q, ok := ability[blob.Quarantiner](e)
		if !ok {
			return
		}
		id := e.blocks(e.hold(), 1)[0]
		errstest.OK(e, q.Quarantine(e.Context(), id))
		errstest.OK(e, e.store.Sync(e.Context()))
		e.store = e.o.Reopen(e.T, e.store)
		_, err := e.store.Read(e.Context(), id, 0, make([]byte, 5))
		errstest.Want(e, err, errs.Corrupt, errs.Block)
	}},
}
