package backend_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
)

func hashes(data []byte) (ids []block.ID) {
	for piece := range slices.Chunk(data, blockSize) {
		ids = append(ids, block.Sum(piece))
	}
	return ids
}

func mapOf(name string, data []byte) backend.MapRequest {
	return backend.MapRequest{Container: ref("photos"), Name: naming.ObjectName(name), Size: int64(len(data)), Blocks: hashes(data)}
}

func missing(t *testing.T, err error) []block.ID {
	t.Helper()
	wantKind(t, err, errs.Conflict, errs.Block)
	var m *backend.MissingError
	if !errors.As(err, &m) {
		t.Fatalf("%v does not say what is missing", err)
	}
	return m.Blocks
}

func TestAnObjectIsMadeOfBlocksThatWereSent(t *testing.T) {
	w := newWorld(t)
	data := slices.Concat(random(1, 2*blockSize), make([]byte, blockSize), random(2, 100))
	_, err := w.PutMap(t.Context(), w.alice, mapOf("x", data))
	ids := hashes(data)
	if d := cmp.Diff([]block.ID{ids[0], ids[1], ids[3]}, missing(t, err)); d != "" { // zeros are always there
		t.Error(d)
	}
	sent, err := w.PutBlocks(t.Context(), w.alice, ref("photos"), body(data[:2*blockSize]))
	if err != nil || !slices.Equal(sent, ids[:2]) {
		t.Fatal(sent, err)
	}
	_, err = w.PutMap(t.Context(), w.alice, mapOf("x", data))
	if d := cmp.Diff(ids[3:], missing(t, err)); d != "" {
		t.Error(d)
	}
	if _, err := w.PutBlocks(t.Context(), w.alice, ref("photos"), body(data[3*blockSize:])); err != nil {
		t.Fatal(err)
	}
	v, err := w.PutMap(t.Context(), w.alice, mapOf("x", data))
	if err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum(data)
	if v.RootHash != block.RootHash(ids) || v.ETag != hex.EncodeToString(sum[:]) || v.Size != int64(len(data)) {
		t.Errorf("%+v", v.Summary)
	}
	if !bytes.Equal(w.read(target("x")), data) {
		t.Error("other bytes are read")
	}
	w.collect() // the lease ends
	if !bytes.Equal(w.read(target("x")), data) {
		t.Error("the object went with the lease")
	}
	w.delete(target("x"))
	w.collect()
	if n := w.blocks(); n != 0 {
		t.Errorf("%d blocks are left", n)
	}
}

func TestKnowingAHashGivesNobodyBytes(t *testing.T) {
	w := newWorld(t)
	secret := random(7, 2*blockSize)
	w.put("secret", secret)
	if _, _, err := w.CreateContainer(t.Context(), w.bob, backend.NewContainer{Account: "bob", Name: "bobs", Bucket: "bobs"}); err != nil {
		t.Fatal(err)
	}
	r := mapOf("stolen", secret)
	r.Container = ref("bobs")
	_, err := w.PutMap(t.Context(), w.bob, r)
	if got := missing(t, err); len(got) != 2 {
		t.Errorf("bob has to send %d blocks, want 2", len(got))
	}
	// A user of the account who may do nothing learns nothing either, in a place where he may write.
	guest := backend.Caller{Principal: access.Principal{Account: "alice", User: "alice:guest", Canonical: "canonical-alice"}}
	w.put("shared", []byte("for the guest"))
	w.share("shared", nil, []string{"alice:guest"})
	_, err = w.PutMap(t.Context(), guest, mapOf("shared", secret))
	if got := missing(t, err); len(got) != 2 {
		t.Errorf("the guest has to send %d blocks, want 2", len(got))
	}
	// Blocks that one user sent are worth nothing to another.
	if _, err := w.PutBlocks(t.Context(), w.bob, ref("bobs"), body(secret)); err != nil {
		t.Fatal(err)
	}
	if _, err = w.PutMap(t.Context(), guest, mapOf("shared", secret)); len(missing(t, err)) != 2 {
		t.Errorf("bob's blocks serve the guest: %v", err)
	}
	if _, err := w.PutMap(t.Context(), w.bob, r); err != nil {
		t.Errorf("bob sent the bytes: %v", err)
	}
	// What the object has now its writer may keep.
	whole := slices.Concat(secret[:blockSize], random(8, blockSize))
	w.put("shared", whole)
	edited := slices.Concat(secret[:blockSize], make([]byte, blockSize))
	if _, err := w.PutMap(t.Context(), guest, mapOf("shared", edited)); err != nil {
		t.Errorf("the guest edits what he may write: %v", err)
	}
}

func TestAHashmapMustFit(t *testing.T) {
	w := newWorld(t)
	data := random(3, 2*blockSize)
	w.put("x", data)
	for name, change := range map[string]func(*backend.MapRequest){
		"too few":    func(r *backend.MapRequest) { r.Blocks = r.Blocks[:1] },
		"too many":   func(r *backend.MapRequest) { r.Size = 10 },
		"negative":   func(r *backend.MapRequest) { r.Size = -1 },
		"huge":       func(r *backend.MapRequest) { r.Size = 1 << 62 },
		"long block": func(r *backend.MapRequest) { r.Size-- },
		"not empty":  func(r *backend.MapRequest) { r.Size = 0 },
	} {
		r := mapOf("y", data)
		change(&r)
		if _, err := w.PutMap(t.Context(), w.alice, r); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, empty := range [][]block.ID{nil, {block.Empty}} {
		v, err := w.PutMap(t.Context(), w.alice, backend.MapRequest{Container: ref("photos"), Name: "empty", Blocks: empty})
		if err != nil || v.Size != 0 || v.RootHash != block.Empty {
			t.Errorf("an empty object: %+v, %v", v, err)
		}
	}
}

func TestTheHashmapOfAnAssembledObjectIsWorkedOut(t *testing.T) {
	w := newWorld(t)
	data := random(5, 2*blockSize+777)
	u := w.begin("x")
	w.complete(u, w.part(u, 1, data[:1000]), w.part(u, 2, data[1000:]))
	for range 2 {
		o, err := w.Open(t.Context(), w.alice, target("x"), object.Precondition{}, access.GetObject)
		if err != nil {
			t.Fatal(err)
		}
		h, err := o.Hashmap(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&backend.Hashmap{BlockSize: blockSize, Size: int64(len(data)), Blocks: hashes(data)}, h); d != "" {
			t.Error(d)
		}
	}
	o, err := w.Open(t.Context(), w.alice, target("x"), object.Precondition{}, access.GetObject)
	if err != nil || o.RootHash != block.RootHash(hashes(data)) {
		t.Errorf("the root hash is not kept: %v, %v", o, err)
	}
}

func TestALeaseEnds(t *testing.T) {
	w := newWorld(t)
	data := random(4, 100)
	if _, err := w.PutBlocks(t.Context(), w.alice, ref("photos"), body(data)); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(23 * time.Hour)
	if _, err := w.stores.Meta.Reap(t.Context(), w.clock.Now(), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := w.PutMap(t.Context(), w.alice, mapOf("x", data)); err != nil {
		t.Errorf("within the lease: %v", err)
	}
	w.delete(target("x"))
	w.collect()
	_, err := w.PutMap(t.Context(), w.alice, mapOf("x", data))
	missing(t, err)
}
