package blobtest

import (
	"bytes"
	"slices"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

var putting = []sentence{
	{"Put/from its return the block is readable", func(e *env) {
		h := e.hold()
		for _, n := range []int{1, 2, 100, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 1 << 20, 4 << 20} {
			data := e.data(n)
			id := e.put(h, data)
			e.wantBytes(id, data)
		}
	}},
	{"Put/the caller may change its bytes afterwards", func(e *env) {
		data := e.data(5000)
		want := bytes.Clone(data)
		id := e.put(e.hold(), data)
		clear(data)
		e.wantBytes(id, want)
	}},
	{"Put/repeating it is harmless", func(e *env) {
		h, data := e.hold(), e.data(3000)
		id := e.put(h, data)
		e.put(h, data)
		e.put(e.hold(), data)
		e.wantBytes(id, data)
		e.release(h)
		e.sweepAll()
		e.wantBytes(id, data)
	}},
	{"Put/data that is not stripped is Invalid", func(e *env) {
		data := append(e.data(10), 0)
		err := e.store.Put(e.Context(), e.hold(), block.Sum(data), data)
		errstest.Want(e, err, errs.Invalid, errs.Block)
		e.wantStored([]block.ID{block.Sum(data)}, false)
	}},
	{"Put/the longest block is stored, a longer one is Invalid", func(e *env) {
		data := e.data(block.SizeMax + 1)
		err := e.store.Put(e.Context(), e.hold(), block.Sum(data), data)
		errstest.Want(e, err, errs.Invalid, errs.Block)
		data = data[:block.SizeMax]
		data[len(data)-1] = 1
		e.wantBytes(e.put(e.hold(), data), data)
	}},
	{"Read/any range gives what is stored of it", func(e *env) {
		h := e.hold()
		for _, n := range []int{1, 70, 65536, 200_001} {
			data := e.data(n)
			id := e.put(h, data)
			for range e.count(40) {
				off := e.rng.IntN(n + 10)
				dst := make([]byte, e.rng.IntN(n+10))
				got, err := e.store.Read(e.Context(), id, int64(off), dst)
				errstest.OK(e, err)
				want := data[min(off, n):min(off+len(dst), n)]
				if !bytes.Equal(dst[:got], want) {
					e.Fatalf("%d bytes at %d of %d: got %d bytes, want %d or others", len(dst), off, n, got, len(want))
				}
			}
		}
	}},
	{"Read/at and behind the end gives 0 bytes", func(e *env) {
		data := e.data(100)
		id := e.put(e.hold(), data)
		for _, off := range []int64{100, 101, 65536, 4 << 20, 1 << 40} {
			if n, err := e.store.Read(e.Context(), id, off, make([]byte, 10)); n != 0 || err != nil {
				e.Errorf("at %d: got %d bytes, %v", off, n, err)
			}
		}
	}},
	{"Read/leaves alone what it does not fill", func(e *env) {
		data := e.data(100)
		id := e.put(e.hold(), data)
		dst := bytes.Repeat([]byte{7}, 200)
		n, err := e.store.Read(e.Context(), id, 50, dst)
		errstest.OK(e, err)
		if n != 50 || !bytes.Equal(dst[50:], bytes.Repeat([]byte{7}, 150)) {
			e.Errorf("got %d bytes, or more was written than told", n)
		}
	}},
	{"Read/an unknown block is NotFound", func(e *env) {
		_, err := e.store.Read(e.Context(), block.Sum(e.data(10)), 0, make([]byte, 10))
		errstest.Want(e, err, errs.NotFound, errs.Block)
	}},
	{"Sync/returns after writes and without any", func(e *env) {
		errstest.OK(e, e.store.Sync(e.Context()))
		e.put(e.hold(), e.data(100))
		errstest.OK(e, e.store.Sync(e.Context()))
	}},
	{"Stat/finds what is stored, with its length", func(e *env) {
		a, b := e.data(10), e.data(70_000)
		h := e.hold()
		ida, idb, none := e.put(h, a), e.put(h, b), block.Sum(e.data(20))
		got := e.stored(none, idb, ida)
		if len(got) != 2 || got[ida] != 10 || got[idb] != 70_000 {
			e.Errorf("got %v", got)
		}
		if got := e.stored(); len(got) != 0 {
			e.Errorf("no ids: got %v", got)
		}
	}},
	{"Stat/calls found once for each id", func(e *env) {
		ids := e.blocks(e.hold(), e.count(300))
		calls := map[block.ID]int{}
		errstest.OK(e, e.store.Stat(e.Context(), ids, func(id block.ID, _ int64) { calls[id]++ }))
		for _, id := range ids {
			if calls[id] != 1 {
				e.Fatalf("%s: %d calls", id, calls[id])
			}
		}
	}},
	{"Empty/is present and held by everybody, and never recorded", func(e *env) {
		h := e.hold()
		errstest.OK(e, e.store.Put(e.Context(), h, block.Empty, nil))
		missing, err := e.store.Hold(e.Context(), h, []block.ID{block.Empty})
		errstest.OK(e, err)
		if len(missing) != 0 {
			e.Error("Hold reports it missing")
		}
		if n, err := e.store.Read(e.Context(), block.Empty, 5, make([]byte, 5)); n != 0 || err != nil {
			e.Errorf("Read: %d, %v", n, err)
		}
		if n, ok := e.stored(block.Empty)[block.Empty]; n != 0 || !ok {
			e.Errorf("Stat: %d, %v", n, ok)
		}
		held, err := e.store.Held(e.Context(), e.account, []block.ID{block.Empty})
		errstest.OK(e, err)
		if !slices.Equal(held, []bool{true}) {
			e.Errorf("Held: %v", held)
		}
		errstest.OK(e, e.store.Walk(e.Context(), nil, func(i blob.Info) bool {
			if i.ID == block.Empty {
				e.Error("Walk shows it")
			}
			return true
		}))
		errstest.OK(e, e.store.WalkHolders(e.Context(), block.Holder{}, func(x block.Holder, _ naming.AccountID) bool {
			if x == h.Holder {
				e.Error("WalkHolders shows a holder that holds nothing else")
			}
			return true
		}))
	}},
}
