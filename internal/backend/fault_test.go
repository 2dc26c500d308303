package backend_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// fault makes the call with a number fail: before it is done, or after, so that it has happened although it failed.
type fault struct {
	mu    sync.Mutex
	armed bool
	calls int
	at    int // -1: none
	after bool
	kind  errs.Kind
	hit   string // the call that failed
}

// do runs one call of a store under the fault.
func (f *fault) do(name string, call func() error) error {
	f.mu.Lock()
	now := f.armed && f.calls == f.at
	if f.armed {
		f.calls++
	}
	if now {
		f.hit = name
	}
	f.mu.Unlock()
	failure := errs.E("fault", f.kind, errs.Store, "")
	switch {
	case !now:
		return call()
	case f.after:
		if err := call(); err != nil {
			return err
		}
	}
	return failure
}

// faultyMeta puts the fault before the methods that the backend's operations use.
type faultyMeta struct {
	meta.Store
	*fault
}

func (m faultyMeta) Commit(ctx context.Context, c meta.Change) (out meta.Outcome, err error) {
	err = m.do("Commit", func() error { out, err = m.Store.Commit(ctx, c); return err })
	if err != nil {
		out = meta.Outcome{}
	}
	return out, err
}

func (m faultyMeta) Get(ctx context.Context, c naming.ContainerID, n naming.ObjectName, w meta.Which) (v *object.Version, err error) {
	err = m.do("Get", func() error { v, err = m.Store.Get(ctx, c, n, w); return err })
	if err != nil {
		v = nil
	}
	return v, err
}

func (m faultyMeta) Begin(ctx context.Context, u meta.Upload) error {
	return m.do("Begin", func() error { return m.Store.Begin(ctx, u) })
}

func (m faultyMeta) FindUpload(ctx context.Context, k meta.UploadKey) (u meta.Upload, err error) {
	err = m.do("FindUpload", func() error { u, err = m.Store.FindUpload(ctx, k); return err })
	return u, err
}

func (m faultyMeta) PutPart(ctx context.Context, k meta.UploadKey, p meta.Part, l meta.Limits) error {
	return m.do("PutPart", func() error { return m.Store.PutPart(ctx, k, p, l) })
}

func (m faultyMeta) Parts(ctx context.Context, k meta.UploadKey, after int, fn func(meta.Part) bool) error {
	return m.do("Parts", func() error { return m.Store.Parts(ctx, k, after, fn) })
}

func (m faultyMeta) Abort(ctx context.Context, k meta.UploadKey) error {
	return m.do("Abort", func() error { return m.Store.Abort(ctx, k) })
}

func (m faultyMeta) Intend(ctx context.Context, h block.Holder, in meta.Intent) error {
	return m.do("Intend", func() error { return m.Store.Intend(ctx, h, in) })
}

func (m faultyMeta) Extend(ctx context.Context, h block.Holder, t time.Time) error {
	return m.do("Extend", func() error { return m.Store.Extend(ctx, h, t) })
}

func (m faultyMeta) Abandon(ctx context.Context, h block.Holder) error {
	return m.do("Abandon", func() error { return m.Store.Abandon(ctx, h) })
}

type faultyBlobs struct {
	blob.Store
	*fault
}

func (b faultyBlobs) Unwrap() blob.Store { return b.Store }

func (b faultyBlobs) Put(ctx context.Context, h blob.Hold, id block.ID, data []byte) error {
	return b.do("Put", func() error { return b.Store.Put(ctx, h, id, data) })
}

func (b faultyBlobs) Hold(ctx context.Context, h blob.Hold, ids []block.ID) (missing []block.ID, err error) {
	err = b.do("Hold", func() error { missing, err = b.Store.Hold(ctx, h, ids); return err })
	return missing, err
}

func (b faultyBlobs) Sync(ctx context.Context) error {
	return b.do("Sync", func() error { return b.Store.Sync(ctx) })
}

func (b faultyBlobs) Read(ctx context.Context, id block.ID, off int64, dst []byte) (n int, err error) {
	err = b.do("Read", func() error { n, err = b.Store.Read(ctx, id, off, dst); return err })
	return n, err
}

// small is the block size of faulty worlds: many blocks and little to hash.
const small = block.SizeMin

// newFaultyWorld is a world whose stores obey f.
func newFaultyWorld(t *testing.T, f *fault) *world {
	return newWorld(t, func(s *backend.Stores, o *backend.Options) {
		o.BlockSize = small
		s.Meta, s.Blobs = faultyMeta{s.Meta, f}, faultyBlobs{s.Blobs, f}
	})
}

// act is an operation that is tried under every fault. It is set up without faults; run changes the object "x".
type act struct {
	setup func(w *world) any
	run   func(w *world, prepared any) error
	// parts: the operation works on the upload that setup returned, and not on the object.
	parts bool
}

var acts = map[string]act{
	"put small":  {run: func(w *world, _ any) error { return w.tryPut("x", random(5, 700)) }},
	"put empty":  {run: func(w *world, _ any) error { return w.tryPut("x", nil) }},
	"put middle": {run: func(w *world, _ any) error { return w.tryPut("x", random(5, small)) }},
	"put large":  {run: func(w *world, _ any) error { return w.tryPut("x", random(5, 5*small+9)) }},
	"put tree":   {run: func(w *world, _ any) error { return w.tryPut("x", random(5, 70*small)) }},
	"delete": {run: func(w *world, _ any) error {
		_, err := w.Delete(w.t.Context(), w.alice, backend.DeleteRequest{Target: target("x")})
		return err
	}},
	"copy": {
		setup: func(w *world) any { return w.put("source", random(6, 3*small)) },
		run: func(w *world, _ any) error {
			_, _, err := w.Copy(w.t.Context(), w.alice, backend.CopyRequest{
				Source: target("source"), Container: ref("photos"), Name: "x", Checksum: object.SHA1,
			})
			return err
		},
	},
	"part": {
		setup: func(w *world) any { u := w.begin("x"); w.part(u, 1, random(6, 2000)); return u },
		run: func(w *world, u any) error {
			_, _, err := w.PutPart(w.t.Context(), w.alice, partOf(u.(meta.Upload), 1, random(7, 3000)))
			return err
		},
		parts: true,
	},
	"copied part": {
		setup: func(w *world) any { w.put("source", random(6, 3*small)); return w.begin("x") },
		run: func(w *world, u any) error {
			r := partOf(u.(meta.Upload), 1, nil)
			r.From = &backend.PartSource{Source: target("source"), Offset: 100, Length: 2 * small}
			_, _, err := w.PutPart(w.t.Context(), w.alice, r)
			return err
		},
		parts: true,
	},
	"complete": {
		setup: func(w *world) any {
			u := w.begin("x")
			return completion(u, w.part(u, 1, random(6, 70*small)), w.part(u, 2, random(7, 100)))
		},
		run: func(w *world, r any) error {
			_, err := w.Complete(w.t.Context(), w.alice, r.(backend.CompleteRequest))
			return err
		},
		parts: true,
	},
}

func (w *world) tryPut(name string, data []byte) error {
	_, err := w.Put(w.t.Context(), w.alice, put(name, data))
	return err
}

// state is what can be seen of the world: the bytes of "x", or nothing.
func (w *world) state() string {
	w.t.Helper()
	data, err := w.tryRead(w.t.Context(), target("x"))
	switch {
	case errs.Is(err, errs.NotFound):
		return "nothing"
	case err != nil:
		w.t.Fatalf("after the fault: %v", err)
	}
	return fmt.Sprintf("%d bytes, %s", len(data), block.Sum(data))
}

func TestAFailureLeavesTheOldOrTheNewStateAndLeaksNothing(t *testing.T) {
	for name, a := range acts {
		t.Run(name, func(t *testing.T) {
			f := &fault{at: -1}
			before, after := tryAct(t, a, f)
			calls := f.calls
			if before == after && !a.parts {
				t.Fatalf("the operation changes nothing: %s", before)
			}
			for at := range calls {
				for _, happened := range []bool{false, true} {
					for _, kind := range []errs.Kind{errs.Busy, errs.Ambiguous} {
						f := &fault{at: at, after: happened, kind: kind}
						_, got := tryAct(t, a, f)
						committed := happened && f.hit == "Commit"
						if got != before && !(got == after && committed) && f.hit != "Abandon" {
							t.Errorf("%s failed (%v, %v): %s, want %s", f.hit, happened, kind, got, before)
						}
					}
				}
			}
		})
	}
}

// tryAct runs a in a fresh world under f, and checks that nothing is leaked or lost. It tells the states before and after.
func tryAct(t *testing.T, a act, f *fault) (before, after string) {
	w := newFaultyWorld(t, f)
	w.put("x", random(1, 500))
	var prepared any
	if a.setup != nil {
		prepared = a.setup(w)
	}
	before = w.state()
	f.armed = true
	err := a.run(w, prepared)
	f.armed = false
	recovered := err == nil && f.after && f.hit == "Commit" // a completion looks whether it has happened
	if hit := f.hit != ""; hit != (err != nil) && !recovered {
		t.Errorf("%q failed, the operation says %v", f.hit, err)
	}
	after = w.state()
	w.collect()
	if got := w.state(); got != after {
		t.Errorf("the collector changed %s to %s", after, got)
	}
	w.wantNoLeaks()
	if a.parts { // the upload can be finished or given up as ever
		if err := a.run(w, prepared); err != nil {
			t.Errorf("once more: %v", err)
		}
		w.collect()
		w.wantNoLeaks()
	}
	return before, after
}

// wantNoLeaks checks that exactly the blocks of versions and parts are stored and held.
func (w *world) wantNoLeaks() {
	w.t.Helper()
	ctx := w.t.Context()
	want := map[block.ID]bool{}
	holders := map[block.Holder]bool{}
	add := func(c object.Content) {
		if !c.Holder.IsZero() {
			holders[c.Holder] = true
		}
		if c.Map.Kept == nil {
			w.addBlocks(want, c.Map)
		}
	}
	cur := w.stores.Meta.Scan(ctx, w.bucket.ID, meta.View{Kind: meta.ViewAll})
	defer cur.Close()
	for {
		s, err := cur.Next(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		if s == nil {
			break
		}
		v, err := w.stores.Meta.Get(ctx, w.bucket.ID, s.Name, meta.Which{By: meta.ByID, ID: s.ID})
		if err != nil {
			w.t.Fatal(err)
		}
		add(v.Content)
	}
	err := w.stores.Meta.Pending(ctx, w.bucket.ID, "", "", func(u meta.Upload) bool {
		return w.stores.Meta.Parts(ctx, u.UploadKey, 0, func(p meta.Part) bool { add(p.Content); return true }) == nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	got := map[block.ID]bool{}
	if err := w.stores.Blobs.Walk(ctx, nil, func(i blob.Info) bool { got[i.ID] = true; return true }); err != nil {
		w.t.Fatal(err)
	}
	for id := range want {
		if !got[id] {
			w.t.Errorf("block %s is lost", id)
		}
		delete(got, id)
	}
	if len(got) > 0 {
		w.t.Errorf("%d blocks are leaked", len(got))
	}
	err = w.stores.Blobs.WalkHolders(ctx, block.Holder{}, func(h block.Holder, _ naming.AccountID) bool {
		if !holders[h] {
			w.t.Errorf("holder %s is leaked", h)
		}
		return true
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// addBlocks adds the ids of a map's blocks, those of the map itself included.
func (w *world) addBlocks(ids map[block.ID]bool, m block.Map) {
	w.t.Helper()
	for _, r := range m.Refs {
		if r.ID != block.Empty {
			ids[r.ID] = true
		}
		if m.Depth == 0 {
			continue
		}
		raw := make([]byte, block.FanOut*block.EntrySize)
		n, err := w.stores.Blobs.Read(w.t.Context(), r.ID, 0, raw)
		if err != nil {
			w.t.Fatal(err)
		}
		n = (n + block.EntrySize - 1) / block.EntrySize * block.EntrySize
		refs, err := block.ParseEntries(raw[:n])
		if err != nil {
			w.t.Fatal(err)
		}
		w.addBlocks(ids, block.Map{Depth: m.Depth - 1, Refs: refs})
	}
}

func TestASlowWriterKeepsItsIntent(t *testing.T) {
	w := newWorld(t, func(_ *backend.Stores, o *backend.Options) { o.UploadGrace = time.Hour })
	data := random(1, 80*blockSize)
	r := put("x", data)
	r.Body.Reader = &slow{w: w, r: bytes.NewReader(data), step: 10 * time.Minute}
	if _, err := w.Put(t.Context(), w.alice, r); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(w.read(target("x")), data) {
		t.Error("other bytes are read")
	}
	w.wantNoLeaks()
}

func TestAWriterThatWasGivenUpMustStartAgain(t *testing.T) {
	w := newWorld(t, func(_ *backend.Stores, o *backend.Options) { o.UploadGrace = time.Hour })
	data := random(1, 20*blockSize)
	r := put("x", data)
	r.Body.Reader = &slow{w: w, r: bytes.NewReader(data), step: 61 * time.Minute}
	_, err := w.Put(t.Context(), w.alice, r)
	if !errs.Is(err, errs.Busy) {
		t.Errorf("%v, want Busy", err)
	}
	w.collect()
	w.wantNoLeaks()
}

// slow is a client that takes its time between blocks, while intents are reaped.
type slow struct {
	w    *world
	r    *bytes.Reader
	step time.Duration
	n    int
}

func (s *slow) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), 4096)])
	if s.n += n; s.n > 2*blockSize {
		s.n = 0
		now := s.w.clock.Advance(s.step)
		if _, err := s.w.stores.Meta.Reap(s.w.t.Context(), now, 100); err != nil {
			return 0, err
		}
	}
	return n, err
}
