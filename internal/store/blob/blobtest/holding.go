package blobtest

import (
	"bytes"
	"slices"

	"pithos/internal/block"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// holdIDs holds ids for h and tells the missing ones.
func (e *env) holdIDs(h blob.Hold, ids ...block.ID) []block.ID {
	e.Helper()
	missing, err := e.store.Hold(e.Context(), h, ids)
	errstest.OK(e, err)
	return missing
}

// wantHeld demands what Held tells for the account.
func (e *env) wantHeld(account naming.AccountID, ids []block.ID, want ...bool) {
	e.Helper()
	got, err := e.store.Held(e.Context(), account, ids)
	errstest.OK(e, err)
	if !slices.Equal(got, want) {
		e.Fatalf("held by %s: got %v, want %v", account, got, want)
	}
}

// holders is the holders of the test's account, in the order in which the store tells them.
func (e *env) holders(after block.Holder) []block.Holder {
	e.Helper()
	var list []block.Holder
	errstest.OK(e, e.store.WalkHolders(e.Context(), after, func(h block.Holder, account naming.AccountID) bool {
		if account == e.account {
			list = append(list, h)
		}
		return true
	}))
	return list
}

var holding = []sentence{
	{"Hold/tells the missing ids in the order given, each once", func(e *env) {
		ids := e.blocks(e.hold(), 3)
		x, y := block.Sum(e.data(10)), block.Sum(e.data(10))
		got := e.holdIDs(e.hold(), y, ids[0], x, y, ids[1], x, ids[0])
		if want := []block.ID{y, x}; !slices.Equal(got, want) {
			e.Errorf("got %v, want %v", got, want)
		}
	}},
	{"Hold/of no ids holds nothing", func(e *env) {
		h := e.hold()
		if got := e.holdIDs(h); len(got) != 0 {
			e.Errorf("got %v", got)
		}
		if slices.Contains(e.holders(block.Holder{}), h.Holder) {
			e.Error("the holder appeared")
		}
	}},
	{"Hold/keeps a block from Sweep after all others let go", func(e *env) {
		first, second := e.hold(), e.hold()
		data := e.data(1000)
		id := e.put(first, data)
		if missing := e.holdIDs(second, id); len(missing) != 0 {
			e.Fatalf("missing: %v", missing)
		}
		e.release(first)
		e.sweepAll()
		e.wantBytes(id, data)
		e.release(second)
		e.sweepAll()
		e.wantStored([]block.ID{id}, false)
	}},
	{"Hold/a missing id is held too", func(e *env) {
		early, late := e.hold(), e.hold()
		data := e.data(1000)
		id := block.Sum(data)
		if missing := e.holdIDs(early, id); !slices.Equal(missing, []block.ID{id}) {
			e.Fatalf("missing: %v", missing)
		}
		e.put(late, data)
		e.release(late)
		e.sweepAll()
		e.wantBytes(id, data)
	}},
	{"Hold/a missing id that is put is missing no longer", func(e *env) {
		h, data := e.hold(), e.data(1000)
		id := block.Sum(data)
		e.holdIDs(h, id)
		e.put(h, data)
		if missing := e.holdIDs(h, id); len(missing) != 0 {
			e.Errorf("missing: %v", missing)
		}
	}},
	{"Hold/many ids at once", func(e *env) {
		ids := e.blocks(e.hold(), e.count(3000))
		h := e.hold()
		if missing := e.holdIDs(h, ids...); len(missing) != 0 {
			e.Fatalf("%d are missing", len(missing))
		}
		e.release(h)
	}},
	{"Release/unknown holders and repeating it are no errors", func(e *env) {
		h := e.hold()
		e.blocks(h, 3)
		e.release(e.hold())
		e.release()
		e.release(h, e.hold(), h)
		e.release(h)
	}},
	{"Release/drops all references of all holders given, and no others", func(e *env) {
		a, b, c := e.hold(), e.hold(), e.hold()
		ids := e.blocks(a, e.count(500))
		ids = append(ids, e.blocks(b, 20)...)
		kept := e.blocks(c, 20)
		shared := e.data(99)
		e.put(a, shared)
		kept = append(kept, e.put(c, shared))
		e.release(a, b)
		e.sweepAll()
		e.wantStored(ids, false)
		e.wantStored(kept, true)
	}},
	{"Held/tells what holders of the account hold and is stored", func(e *env) {
		h, again := e.hold(), e.hold()
		stranger := blob.Hold{Holder: block.NewHolder(), Account: e.account + "-stranger"}
		ids := e.blocks(h, 1)
		ids = append(ids, e.blocks(stranger, 1)...)
		ids = append(ids, block.Sum(e.data(5)))
		e.holdIDs(h, ids[2])
		e.wantHeld(e.account, ids, true, false, false)
		e.wantHeld(stranger.Account, ids, false, true, false)
		e.holdIDs(again, ids[0])
		e.release(h)
		e.wantHeld(e.account, ids, true, false, false)
		e.release(again)
		e.wantHeld(e.account, ids, false, false, false)
		e.wantHeld(e.account, nil)
	}},
	{"WalkHolders/tells each holder once, in its order, with its account", func(e *env) {
		var want []block.Holder
		for range e.count(60) {
			h := e.hold()
			e.blocks(h, 2)
			want = append(want, h.Holder)
		}
		inOrder := func(a, b block.Holder) int { return bytes.Compare(a[:], b[:]) }
		got := e.holders(block.Holder{})
		if !slices.Equal(slices.SortedFunc(slices.Values(got), inOrder), slices.SortedFunc(slices.Values(want), inOrder)) {
			e.Fatalf("got %d holders, want these %d, each once", len(got), len(want))
		}
		if rest := e.holders(got[0]); !slices.Equal(rest, got[1:]) {
			e.Errorf("after the first: got %d holders, want the %d that came after it", len(rest), len(got)-1)
		}
		calls := 0
		errstest.OK(e, e.store.WalkHolders(e.Context(), block.Holder{}, func(block.Holder, naming.AccountID) bool {
			calls++
			return false
		}))
		if calls != 1 {
			e.Errorf("%d calls after the callback said stop", calls-1)
		}
	}},
	{"WalkHolders/a released holder is gone", func(e *env) {
		h, other := e.hold(), e.hold()
		e.blocks(h, 2)
		e.blocks(other, 2)
		e.release(h)
		if got := e.holders(block.Holder{}); !slices.Equal(got, []block.Holder{other.Holder}) {
			e.Errorf("got %v", got)
		}
	}},
	{"WalkHolders/shows who holds only missing blocks", func(e *env) {
		h := e.hold()
		e.holdIDs(h, block.Sum(e.data(9)))
		if got := e.holders(block.Holder{}); !slices.Equal(got, []block.Holder{h.Holder}) {
			e.Errorf("got %v", got)
		}
	}},
}
