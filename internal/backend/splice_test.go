package backend_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

func splice(off int64, data []byte) backend.SpliceRequest {
	return backend.SpliceRequest{
		Container: ref("photos"), Name: "x", Offset: off, Length: int64(len(data)), Total: -1, Truncate: -1, Body: body(data),
	}
}

// TestSplicesAgreeWithAByteSlice runs random updates, of uniform and of assembled objects, beside the same on a slice of bytes.
func TestSplicesAgreeWithAByteSlice(t *testing.T) {
	const seed = 20261121
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	for round := range 8 {
		assembled := round%2 == 1
		want := random(uint64(round), rng.IntN(3*blockSize))
		if assembled {
			want = random(uint64(round), 200+rng.IntN(3*blockSize))
			u := w.begin("x")
			w.complete(u, w.part(u, 1, want[:150]), w.part(u, 2, want[150:]))
		} else {
			w.put("x", want)
		}
		other := random(uint64(round)+50, 2*blockSize)
		w.put("other", other)
		for step := range 25 {
			off := rng.Int64N(int64(len(want)) + 1)
			if rng.IntN(3) == 0 {
				off = off / blockSize * blockSize
			}
			data := random(uint64(round*100+step), rng.IntN(2*blockSize))
			r := splice(off, data)
			switch rng.IntN(4) {
			case 0:
				r.Offset, off = -1, int64(len(want))
			case 1:
				n := rng.Int64N(int64(len(other)) + 1)
				r.Body, r.Length, data = backend.Body{}, n, other[:n]
				r.From = &backend.PartSource{Source: target("other")}
			}
			next := slices.Clone(want[:off])
			next = append(next, data...)
			if int64(len(want)) > off+int64(len(data)) {
				next = append(next, want[off+int64(len(data)):]...)
			}
			if rng.IntN(4) == 0 {
				r.Truncate = rng.Int64N(int64(len(next)) + 100)
				next = next[:min(len(next), int(r.Truncate))]
			}
			v, err := w.Splice(t.Context(), w.alice, r)
			if err != nil {
				t.Fatalf("round %d, step %d: %v", round, step, err)
			}
			want = next
			if !bytes.Equal(w.read(target("x")), want) {
				t.Fatalf("round %d, step %d: other bytes are read", round, step)
			}
			sum := md5.Sum(want)
			if v.ETag != hex.EncodeToString(sum[:]) || v.Size != int64(len(want)) {
				t.Fatalf("round %d, step %d: ETag %s of %d bytes", round, step, v.ETag, v.Size)
			}
			if root := block.RootHash(hashes(want)); v.BlockSize != 0 && v.RootHash != root && len(want) > 0 {
				t.Fatalf("round %d, step %d: root %s, want %s", round, step, v.RootHash, root)
			}
		}
	}
	w.delete(target("x"))
	w.delete(target("other"))
	w.collect()
	if n := w.blocks(); n != 0 {
		t.Errorf("%d blocks are left", n)
	}
}

func TestASpliceMovesOnlyWhatItChanges(t *testing.T) {
	w := newWorld(t)
	w.put("x", random(1, 8*blockSize))
	before := w.blocks()
	v, err := w.Splice(t.Context(), w.alice, splice(3*blockSize, random(2, blockSize)))
	if err != nil || v.BlockSize != blockSize {
		t.Fatal(v, err)
	}
	if n := w.blocks() - before; n != 1 {
		t.Errorf("%d new blocks, want 1", n)
	}
}

func TestASpliceMustFit(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Splice(t.Context(), w.alice, splice(0, []byte("x"))); !errs.Is(err, errs.NotFound) {
		t.Errorf("nothing there: %v", err)
	}
	w.put("x", []byte("0123456789"))
	for name, c := range map[string]struct {
		change func(*backend.SpliceRequest)
		kind   errs.Kind
	}{
		"behind the end":     {func(r *backend.SpliceRequest) { r.Offset = 11 }, errs.Range},
		"another total":      {func(r *backend.SpliceRequest) { r.Total = 9 }, errs.Range},
		"outside the total":  {func(r *backend.SpliceRequest) { r.Offset, r.Total = 8, 10 }, errs.Range},
		"short body":         {func(r *backend.SpliceRequest) { r.Length = 4 }, errs.Invalid},
		"short source":       {func(r *backend.SpliceRequest) { r.Length, r.From = 11, &backend.PartSource{Source: target("x")} }, errs.Invalid},
		"a condition":        {func(r *backend.SpliceRequest) { r.If.IfNoneMatch = []string{"*"} }, errs.Precondition},
		"no source":          {func(r *backend.SpliceRequest) { r.From = &backend.PartSource{Source: target("y")} }, errs.NotFound},
		"an unknown version": {func(r *backend.SpliceRequest) { r.From = &backend.PartSource{Source: version("x", 5)} }, errs.NotFound},
	} {
		r := splice(0, []byte("abc"))
		c.change(&r)
		if _, err := w.Splice(t.Context(), w.alice, r); !errs.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	if got := w.read(target("x")); string(got) != "0123456789" {
		t.Errorf("something was changed: %q", got)
	}
	if _, err := w.Splice(t.Context(), w.bob, splice(0, []byte("abc"))); !errs.Is(err, errs.Denied) {
		t.Errorf("by bob: %v", err)
	}
}

func TestParallelAppendsDoNotOverlap(t *testing.T) {
	w := newWorld(t)
	w.put("x", nil)
	const writers, each = 8, 10
	var done sync.WaitGroup
	for i := range writers {
		done.Go(func() {
			for range each {
				line := strings.Repeat(string(rune('a'+i)), 999) + "\n"
				r := splice(-1, []byte(line))
				if _, err := w.Splice(t.Context(), w.alice, r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	lines := strings.SplitAfter(string(w.read(target("x"))), "\n")
	if len(lines) != writers*each+1 {
		t.Errorf("%d lines", len(lines)-1)
	}
	for _, line := range lines[:len(lines)-1] {
		if len(line) != 1000 || strings.Count(line, line[:1]) != 999 {
			t.Errorf("a torn line: %.20q", line)
		}
	}
}

func TestAnOldVersionIsRestoredBySplicing(t *testing.T) {
	w := newWorld(t)
	w.policy("enabled")
	old := w.put("x", []byte("the old text, which is long"))
	w.put("x", []byte("new"))
	r := splice(0, nil)
	r.Length, r.Body = -1, backend.Body{}
	r.From, r.Truncate = &backend.PartSource{Source: version("x", old.ID)}, old.Size
	v, err := w.Splice(t.Context(), w.alice, r)
	if err != nil || v.ETag != old.ETag || v.UUID != old.UUID {
		t.Fatal(v, err)
	}
	if _, err := w.Open(t.Context(), w.alice, backend.Target{Container: ref("photos"), Name: "x", Which: meta.Which{By: meta.ByID, ID: old.ID}},
		object.Precondition{}, "s3:GetObjectVersion"); err != nil {
		t.Error(err)
	}
}
