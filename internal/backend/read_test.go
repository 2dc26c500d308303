package backend_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// damagedBlobs is a blobstore in which one block is damaged or missing.
type damagedBlobs struct {
	blob.Store
	id   *block.ID
	kind errs.Kind
	off  int64 // from here on
}

func (d damagedBlobs) Unwrap() blob.Store { return d.Store }

func (d damagedBlobs) Read(ctx context.Context, id block.ID, off int64, dst []byte) (int, error) {
	if id == *d.id && off+int64(len(dst)) > d.off {
		return 0, errs.E("damaged", d.kind, errs.Block, id.String())
	}
	return d.Store.Read(ctx, id, off, dst)
}

// TestDamagedKeptBytesAreNeverServed, nor stored as a block, which others would be served.
func TestDamagedKeptBytesAreNeverServed(t *testing.T) {
	w := newWorld(t, func(_ *backend.Stores, o *backend.Options) { o.KeepMax = 1000 })
	data := random(1, 500)
	v := w.put("x", data)
	spoiled := bytes.Clone(data)
	spoiled[100] ^= 1
	// A row that is damaged: the same version with other bytes.
	again := *v
	again.Content.Map.Kept = spoiled
	change := meta.Change{Container: w.bucket.ID, Account: w.bucket.Account, Name: "x", Now: w.clock.Now(), Version: &again}
	if _, err := w.stores.Meta.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	corrupt := func(what string, err error) {
		t.Helper()
		if !errs.IsThing(err, errs.Corrupt, errs.Block) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, r := range [][2]int64{{0, 500}, {0, 1}, {400, 100}} {
		var out written
		corrupt("reading", w.open(target("x")).CopyTo(t.Context(), &out, r[0], r[1]))
		if out.Len() > 0 {
			t.Errorf("%d bytes were written", out.Len())
		}
	}
	_, err := w.Compose(t.Context(), w.alice, backend.ComposeRequest{
		Container: ref("photos"), Name: "y", Pieces: []backend.Piece{{Object: w.open(target("x")), Length: 500}, {Data: []byte("more")}}, ETag: "e",
	})
	corrupt("composing", err)
	if err := w.stores.Blobs.Stat(t.Context(), []block.ID{block.Sum(data)}, func(block.ID, int64) { t.Error("a block was stored") }); err != nil {
		t.Error(err)
	}
}

// written counts what reaches a client.
type written struct{ bytes.Buffer }

func TestADamagedBlockIsNeverServed(t *testing.T) {
	for _, kind := range []errs.Kind{errs.Corrupt, errs.NotFound} {
		var id block.ID
		w := newWorld(t, func(s *backend.Stores, o *backend.Options) {
			o.BlockSize = 1 << 20
			s.Blobs = damagedBlobs{s.Blobs, &id, kind, 300 << 10}
		})
		data := random(1, 3<<20)
		w.put("x", data)
		for i := range 3 {
			id = block.Sum(data[i<<20 : (i+1)<<20])
			var out written
			o := w.open(target("x"))
			err := o.CopyTo(t.Context(), &out, 0, o.Size)
			if !errs.IsThing(err, errs.Corrupt, errs.Block) {
				t.Errorf("block %d: %v", i, err)
			}
			if !bytes.HasPrefix(data, out.Bytes()) || out.Len() > i<<20+300<<10 {
				t.Errorf("block %d: %d bytes were written, some of them wrong or damaged", i, out.Len())
			}
			if err := o.CopyTo(t.Context(), &out, int64(i)<<20, 100); err != nil && kind == errs.NotFound {
				t.Errorf("block %d: the intact beginning: %v", i, err)
			}
			q, _ := blob.As[blob.Quarantiner](w.stores.Blobs)
			ids, err := q.Quarantined(t.Context())
			if set := len(ids) == i+1 && err == nil; set != (kind == errs.Corrupt) {
				t.Errorf("block %d: %d are set aside, %v", i, len(ids), err)
			}
			if kind == errs.Corrupt {
				break // the others are as well
			}
		}
	}
}

func TestTheFirstBytesAreCheckedBeforeAnyIsWritten(t *testing.T) {
	var id block.ID
	w := newWorld(t, func(s *backend.Stores, _ *backend.Options) { s.Blobs = damagedBlobs{s.Blobs, &id, errs.Corrupt, 0} })
	data := random(1, blockSize)
	w.put("x", data)
	id = block.Sum(data)
	var out written
	o := w.open(target("x"))
	if err := o.CopyTo(t.Context(), &out, 10, 20); !errs.Is(err, errs.Corrupt) || out.Len() > 0 {
		t.Errorf("%v after %d bytes", err, out.Len())
	}
}

func TestAPutHealsADamagedBlock(t *testing.T) {
	w := newWorld(t)
	data := random(1, 100)
	w.put("x", data)
	q, _ := blob.As[blob.Quarantiner](w.stores.Blobs)
	if err := q.Quarantine(t.Context(), block.Sum(data)); err != nil {
		t.Fatal(err)
	}
	_, err := w.tryRead(t.Context(), target("x"))
	wantKind(t, err, errs.Corrupt, errs.Block)
	u := w.begin("joined")
	from := partOf(u, 1, nil)
	from.From = &backend.PartSource{Source: target("x"), Length: -1}
	_, _, err = w.PutPart(t.Context(), w.alice, from)
	wantKind(t, err, errs.Corrupt, errs.Block)
	w.put("y", data)
	if !bytes.Equal(w.read(target("x")), data) {
		t.Error("other bytes are read")
	}
}

// leaving is a client that goes away after some bytes.
type leaving struct{ left int }

func (l *leaving) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("connection reset")
	}
	return len(p), nil
}

func TestAClientThatLeavesEndsTheRead(t *testing.T) {
	w := newWorld(t)
	w.put("x", random(1, 1<<20))
	o := w.open(target("x"))
	if err := o.CopyTo(t.Context(), &leaving{300 << 10}, 0, o.Size); !errs.Is(err, errs.Canceled) {
		t.Errorf("%v", err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := o.CopyTo(gone, &leaving{}, 0, o.Size); !errs.Is(err, errs.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestReadConditions(t *testing.T) {
	w := newWorld(t)
	v := w.put("x", random(1, 10))
	_, err := w.Open(t.Context(), w.alice, target("x"), object.Precondition{IfNoneMatch: []string{v.ETag}}, access.GetObject)
	wantKind(t, err, errs.NotModified, errs.Object)
	_, err = w.Open(t.Context(), w.alice, target("x"), object.Precondition{IfMatch: []string{"other"}}, access.GetObject)
	wantKind(t, err, errs.Precondition, errs.Object)
	if _, err = w.Open(t.Context(), w.alice, target("x"), object.Precondition{IfMatch: []string{v.RootHash.String()}}, access.GetObject); err != nil {
		t.Error(err)
	}
}
