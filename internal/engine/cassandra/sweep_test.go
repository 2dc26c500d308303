package cassandra

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/store/blob"
)

// swept is a block in a store that a sweeper and a writer work on, each with statements that can be stopped.
type swept struct {
	*testing.T
	s     *Session
	plain *Blobs
	data  []byte
	id    block.ID
}

func newSwept(t *testing.T) *swept {
	s := blobSession(t)
	w := &swept{T: t, s: s, plain: NewBlobs(s, clock.System{})}
	for w.id[0] != 0xff { // in the last lane of the sweep
		w.data = bytes.Repeat([]byte(gocql.MustRandomUUID().String()), 20_000) // several rows
		w.id = block.Sum(w.data)
	}
	return w
}

// round is one round of the sweep, as far as it concerns the block, when everything is old.
func (w *swept) round(b *Blobs) error {
	after := &block.ID{0xff}
	for after != nil {
		_, next, err := b.Sweep(w.Context(), time.Now().Add(time.Hour), blob.Budget{}, after)
		if err != nil {
			return err
		}
		after = next
	}
	return nil
}

// hooked is a process of its own; before is called, one at a time, before each of its statements, which is not sent if that fails.
func (w *swept) hooked(before func(steps []step) error) *Blobs {
	var mu sync.Mutex
	own := *w.s
	own.writes, own.reads = nil, nil
	own.hook = func(steps []step, send func() error) error {
		mu.Lock()
		err := before(steps)
		mu.Unlock()
		if err != nil {
			return err
		}
		return send()
	}
	return NewBlobs(&own, clock.System{})
}

func (w *swept) put(b *Blobs) (block.Holder, error) {
	h := block.Holder(gocql.MustRandomUUID())
	return h, b.Put(w.Context(), blob.Hold{Holder: h, Account: "a"}, w.id, w.data)
}

func (w *swept) mustPut() block.Holder {
	w.Helper()
	h, err := w.put(w.plain)
	if err != nil {
		w.Fatal(err)
	}
	return h
}

func (w *swept) release(h block.Holder) {
	w.Helper()
	if err := w.plain.Release(w.Context(), []block.Holder{h}); err != nil {
		w.Fatal(err)
	}
}

// sweep looks at the block, and is a round after that.
func (w *swept) sweep(b *Blobs) error {
	var report blob.SweepReport
	if _, err := b.sweepOne(w.Context(), time.Now(), 0, w.id, &report); err != nil {
		return err
	}
	return w.round(b)
}

// wantNothing sweeps by candidates alone, and wants no row of the block to be left.
func (w *swept) wantNothing(what string) {
	w.Helper()
	for range 2 {
		if err := w.round(w.plain); err != nil {
			w.Fatal(err)
		}
	}
	r, err := w.plain.registers(w.Context(), w.id)
	if err != nil || r.usable() {
		w.Errorf("%s: the block stays: %+v, %v", what, r, err)
	}
	rows := 0
	err = w.s.rows(w.Context(), orphanChunks, []any{w.id[:]}, 100, func(it *gocql.Iter) bool {
		var inc int64
		ok := it.Scan(&inc)
		if ok {
			rows++
		}
		return ok
	})
	if err != nil || rows > 0 {
		w.Errorf("%s: %d rows of bytes are left, %v", what, rows, err)
	}
}

// wantUsable wants a block that can be shared and read.
func (w *swept) wantUsable(what string) {
	w.Helper()
	missing, err := w.plain.Hold(w.Context(), blob.Hold{Holder: block.Holder(gocql.MustRandomUUID()), Account: "a"}, []block.ID{w.id})
	if err != nil || len(missing) > 0 {
		w.Errorf("%s: the block cannot be shared: %v, %v", what, missing, err)
	}
	got := make([]byte, len(w.data))
	if n, err := w.plain.Read(w.Context(), w.id, 0, got); err != nil || !bytes.Equal(got[:n], w.data) {
		w.Errorf("%s: %d bytes, %v", what, n, err)
	}
}

// TestSweepWithinRelease sweeps before each statement of a release, as another gateway does while the one that releases is halted: the block is found in the end.
func TestSweepWithinRelease(t *testing.T) {
	w := newSwept(t)
	for at := 0; ; at++ {
		h := w.mustPut()
		n := 0
		halted := w.hooked(func([]step) error {
			if n++; n == at+1 {
				return w.sweep(w.plain)
			}
			return nil
		})
		if err := halted.Release(t.Context(), []block.Holder{h}); err != nil {
			t.Fatal(err)
		}
		w.wantNothing(fmt.Sprint("a sweep before statement ", at))
		if n <= at {
			if n < 10 {
				t.Errorf("a release has %d statements only", n)
			}
			return
		}
	}
}

// TestSweepFindsWhatAWriterLeft cuts a writer off before each of its statements, of a block that was never there and of one that was condemned: once its holder is released,
// nothing is left.
func TestSweepFindsWhatAWriterLeft(t *testing.T) {
	errCut := errors.New("cut off")
	for _, before := range []bool{false, true} {
		w := newSwept(t)
		if before {
			w.release(w.mustPut())
			w.wantNothing("before")
		}
		for at := 0; ; at++ {
			n := 0
			cut := w.hooked(func([]step) error {
				if n++; n > at {
					return errCut
				}
				return nil
			})
			h, err := w.put(cut)
			w.release(h)
			w.wantNothing(fmt.Sprintf("condemned before: %v, a writer cut off before statement %d", before, at))
			if err == nil {
				break
			}
		}
	}
}

// TestCondemnedThoughHeld lets somebody refer to a block between a sweeper's first look and its mark: the block stays, can be read, and is made usable again, by the sweeper or, if that
// dies, by the next.
func TestCondemnedThoughHeld(t *testing.T) {
	errDied := errors.New("died")
	for dies := range 6 {
		w := newSwept(t)
		w.release(w.mustPut())
		marked, since := false, 0
		var h block.Holder
		sweeper := w.hooked(func(steps []step) error {
			if !marked && steps[0].st.cql == setCondemned.cql {
				marked = true
				h = w.mustPut()
			}
			if marked {
				if since++; dies > 0 && since > dies {
					return errDied
				}
			}
			return nil
		})
		if err := w.sweep(sweeper); err != nil && !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		if !marked {
			t.Fatal("the sweeper marked nothing")
		}
		if err := w.sweep(w.plain); err != nil {
			t.Fatal(err)
		}
		w.wantUsable(fmt.Sprintf("a sweeper that dies %d statements after the mark", dies))
		w.release(h)
	}
}
