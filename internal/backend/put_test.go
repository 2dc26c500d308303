package backend_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
)

var sweepAll = blob.Budget{Blocks: 1000}

func countBlocks(n *int) func(blob.Info) bool {
	return func(blob.Info) bool { *n++; return true }
}

// sizes are around the limits of receiving: seat, block, piece, what is hashed inline.
var sizes = []int{
	0, 1, 1000, blockSize - 1, blockSize, blockSize + 1, 2 * blockSize, 3*blockSize - 7,
	256<<10 - 1, 256 << 10, 256<<10 + 1, 70*blockSize + 5,
}

func TestWhatIsPutIsRead(t *testing.T) {
	w := newWorld(t)
	for _, size := range []int64{blockSize, 1 << 20, block.SizeMin} {
		name := fmt.Sprintf("blocks-of-%d", size)
		w.create(name, bucket.Config{BlockSize: size})
		for i, n := range sizes {
			for _, declared := range []bool{true, false} {
				data := random(uint64(i), n)
				t.Run(fmt.Sprintf("%s/%d/%v", name, n, declared), func(t *testing.T) {
					checkRoundTrip(t, w, name, size, data, declared)
				})
			}
		}
	}
}

func checkRoundTrip(t *testing.T, w *world, container string, blockSize int64, data []byte, declared bool) {
	var got object.Digests
	r := backend.PutRequest{Container: ref(container), Name: "x", Body: body(data)}
	if !declared {
		r.Body.Size = -1
	}
	r.Body.SHA256 = true
	r.Body.Checksums = object.Algorithms()
	r.Body.Prove = func(d object.Digests) error { got = d; return nil }
	v, err := w.Put(t.Context(), w.alice, r)
	if err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum(data)
	if v.ETag != hex.EncodeToString(sum[:]) || got.MD5 != sum || got.SHA256 != sha256.Sum256(data) || got.Size != int64(len(data)) {
		t.Errorf("digests %x", got)
	}
	for _, c := range v.Checksums {
		h := c.Algorithm.New()
		h.Write(data)
		if c.Value != string(h.Sum(nil)) {
			t.Errorf("%s is %x", c.Algorithm, c.Value)
		}
	}
	if len(v.Checksums) != len(object.Algorithms()) {
		t.Errorf("%d checksums", len(v.Checksums))
	}
	var ids []block.ID
	for piece := range slices.Chunk(data, int(blockSize)) {
		ids = append(ids, block.Sum(piece))
	}
	if v.RootHash != block.RootHash(ids) || v.Size != int64(len(data)) || v.BlockSize != blockSize {
		t.Errorf("root hash, size %d or block size %d", v.Size, v.BlockSize)
	}
	tgt := backend.Target{Container: ref(container), Name: "x"}
	if !bytes.Equal(w.read(tgt), data) {
		t.Error("other bytes are read")
	}
	checkRanges(t, w, tgt, data)
}

func checkRanges(t *testing.T, w *world, tgt backend.Target, data []byte) {
	o, err := w.Open(t.Context(), w.alice, tgt, object.Precondition{}, access.GetObject)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(len(data))
	for _, r := range [][2]int64{{0, 1}, {n / 2, 1}, {n - 1, 1}, {n / 3, n / 3}, {1, n - 1}, {blockSize - 1, 2}, {256<<10 - 3, 9}, {n, 0}} {
		off, length := r[0], r[1]
		if off < 0 || length < 0 || off+length > n {
			continue
		}
		var out bytes.Buffer
		if err := o.CopyTo(t.Context(), &out, off, length); err != nil {
			t.Errorf("range %v: %v", r, err)
		}
		if !bytes.Equal(out.Bytes(), data[off:off+length]) {
			t.Errorf("range %v: other bytes", r)
		}
	}
	wantKind(t, o.CopyTo(t.Context(), io.Discard, 0, n+1), errs.Range, errs.Object)
	wantKind(t, o.CopyTo(t.Context(), io.Discard, -1, 1), errs.Range, errs.Object)
}

func TestZerosAreNotStored(t *testing.T) {
	w := newWorld(t)
	data := make([]byte, 10*blockSize+3)
	data[5*blockSize+9] = 1
	w.put("sparse", data)
	if got := w.blocks(); got != 1 {
		t.Errorf("%d blocks stored", got)
	}
	if !bytes.Equal(w.read(target("sparse")), data) {
		t.Error("other bytes are read")
	}
	if v := w.put("zeros", make([]byte, 100)); !v.Content.Holder.IsZero() {
		t.Error("an object without stored blocks has a holder")
	}
	if !bytes.Equal(w.read(target("zeros")), make([]byte, 100)) {
		t.Error("zeros are read as something else")
	}
}

func TestSameBytesAreStoredOnce(t *testing.T) {
	w := newWorld(t)
	data := random(1, 3*blockSize)
	w.put("a", data)
	w.put("b", data)
	if got := w.blocks(); got != 3 {
		t.Errorf("%d blocks stored", got)
	}
}

// broken is a body that ends with an error after n bytes.
func broken(data []byte, n int, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(data[:n]), errReader{err})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestACutBodyLeavesTheOldObject(t *testing.T) {
	w := newWorld(t)
	old := random(1, 1000)
	before := w.put("x", old)
	w.collect()
	stored := w.blocks()
	data := random(2, 12*blockSize)
	for n := 0; n < len(data); n += 64 << 10 {
		for _, cause := range []error{io.EOF, io.ErrUnexpectedEOF, errors.New("connection reset")} {
			r := put("x", data)
			r.Body.Reader = broken(data, n, cause)
			_, err := w.Put(t.Context(), w.alice, r)
			want := errs.Invalid
			if cause.Error() == "connection reset" {
				want = errs.Canceled
			}
			if !errs.Is(err, want) {
				t.Errorf("cut at %d with %v: %v", n, cause, err)
			}
			if got := w.read(target("x")); !bytes.Equal(got, old) {
				t.Fatalf("cut at %d: the old object has changed", n)
			}
		}
	}
	o, err := w.Open(t.Context(), w.alice, target("x"), object.Precondition{}, access.GetObject)
	if err != nil || o.ID != before.ID || o.ETag != before.ETag {
		t.Errorf("version %v, %v", o, err)
	}
	w.collect()
	if got := w.blocks(); got != stored {
		t.Errorf("%d blocks are left, want %d", got, stored)
	}
}

func TestABodyHasItsDeclaredSize(t *testing.T) {
	w := newWorld(t)
	for _, n := range sizes {
		data := random(1, n+1)
		r := put("x", data)
		r.Body.Size = int64(n)
		_, err := w.Put(t.Context(), w.alice, r)
		wantReason(t, err, errs.Invalid, errs.ExcessBody)
		r = put("x", data)
		r.Body.Size = int64(n) + 2
		_, err = w.Put(t.Context(), w.alice, r)
		wantReason(t, err, errs.Invalid, errs.IncompleteBody)
	}
	_, err := w.tryRead(t.Context(), target("x"))
	wantKind(t, err, errs.NotFound, errs.Object)
}

func TestWhatIsNotProvedIsNotVisible(t *testing.T) {
	w := newWorld(t)
	for _, n := range sizes {
		r := put("x", random(1, n))
		r.Body.Prove = func(object.Digests) error {
			return errs.E("", errs.Invalid, errs.Request, "").Because(errs.BadDigest, "")
		}
		_, err := w.Put(t.Context(), w.alice, r)
		wantReason(t, err, errs.Invalid, errs.BadDigest)
	}
	_, err := w.tryRead(t.Context(), target("x"))
	wantKind(t, err, errs.NotFound, errs.Object)
	w.collect()
	if got := w.blocks(); got != 0 {
		t.Errorf("%d blocks are left", got)
	}
}

func TestAnObjectHasALargestSize(t *testing.T) {
	w := newWorld(t, func(_ *backend.Stores, o *backend.Options) { o.PutMax = 1000 })
	for _, declared := range []int64{1001, -1} {
		r := put("x", random(1, 1001))
		r.Body.Size = declared
		_, err := w.Put(t.Context(), w.alice, r)
		wantReason(t, err, errs.TooLarge, errs.EntityTooLarge)
	}
	w.put("x", random(1, 1000))
}

// untouched fails the test when it is read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body of a refused request was read")
	return 0, io.EOF
}

func TestARefusedBodyIsNotRead(t *testing.T) {
	quota := func(_ *backend.Stores, o *backend.Options) { o.DefaultQuota = bucket.Limit{Bytes: 1000} }
	w := newWorld(t, quota)
	v := w.put("x", random(1, 900))
	refused := func(c backend.Caller, name string, size int64, cond object.Precondition, want errs.Kind) {
		t.Helper()
		r := backend.PutRequest{Container: ref("photos"), Name: naming.ObjectName(name), If: cond, Body: backend.Body{Reader: untouched{t}, Size: size}}
		if _, err := w.Put(t.Context(), c, r); !errs.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}
	refused(w.bob, "x", 1, object.Precondition{}, errs.Denied)
	refused(anyone, "x", 1, object.Precondition{}, errs.Denied)
	refused(w.alice, "x", 1, object.Precondition{IfNoneMatch: []string{"*"}}, errs.Precondition)
	refused(w.alice, "x", 1, object.Precondition{IfMatch: []string{"other"}}, errs.Precondition)
	refused(w.alice, "y", 1, object.Precondition{IfMatch: []string{v.ETag}}, errs.NotFound)
	refused(w.alice, "y", 101, object.Precondition{}, errs.Quota)
	refused(w.alice, "x", 6<<30, object.Precondition{}, errs.Quota)
	w.put("x", random(2, 1000)) // the bytes that it replaces do not count
	r := put("z", random(1, 500))
	r.Body.Size = -1
	_, err := w.Put(t.Context(), w.alice, r)
	if !errs.Is(err, errs.Quota) {
		t.Errorf("undeclared size over the quota: %v", err)
	}
}
