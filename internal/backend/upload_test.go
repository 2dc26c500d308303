package backend_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// begin opens an upload as alice.
func (w *world) begin(name string, change ...func(*backend.NewUpload)) meta.Upload {
	w.t.Helper()
	n := backend.NewUpload{Container: ref("photos"), Name: naming.ObjectName(name)}
	for _, c := range change {
		c(&n)
	}
	u, err := w.BeginUpload(w.t.Context(), w.alice, n)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func partOf(u meta.Upload, number int, data []byte) backend.PartRequest {
	return backend.PartRequest{Container: ref("photos"), Name: u.Name, Upload: u.ID, Number: number, Body: body(data)}
}

// part writes a part as alice.
func (w *world) part(u meta.Upload, number int, data []byte) object.Part {
	w.t.Helper()
	p, _, err := w.PutPart(w.t.Context(), w.alice, partOf(u, number, data))
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Part
}

// completion names parts as they were answered.
func completion(u meta.Upload, parts ...object.Part) backend.CompleteRequest {
	r := backend.CompleteRequest{Container: ref("photos"), Name: u.Name, Upload: u.ID, Size: -1}
	for _, p := range parts {
		r.Parts = append(r.Parts, backend.CompletePart{Number: p.Number, ETag: p.ETag})
	}
	return r
}

func (w *world) complete(u meta.Upload, parts ...object.Part) *object.Version {
	w.t.Helper()
	v, err := w.Complete(w.t.Context(), w.alice, completion(u, parts...))
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func TestPartsAreLaidEndToEnd(t *testing.T) {
	w := newWorld(t)
	for name, lengths := range map[string][]int{
		"one":    {5},
		"empty":  {0},
		"ragged": {blockSize + 1, 3*blockSize - 1, 200, 7},
		"even":   {blockSize, 2 * blockSize, 10},
		"many":   {10 * blockSize, 60*blockSize + 5, 300 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			u := w.begin(name, func(n *backend.NewUpload) { n.Attributes.ContentType = "text/plain" })
			var whole, sums []byte
			var parts []object.Part
			for i, n := range lengths {
				data := random(uint64(i), n)
				sum := md5.Sum(data)
				whole, sums = append(whole, data...), append(sums, sum[:]...)
				parts = append(parts, w.part(u, 2*i+1, data))
			}
			v := w.complete(u, parts...)
			sum := md5.Sum(sums)
			if want := hex.EncodeToString(sum[:]) + fmt.Sprint("-", len(parts)); v.ETag != want {
				t.Errorf("ETag %s, want %s", v.ETag, want)
			}
			if v.Size != int64(len(whole)) || len(v.Parts) != len(parts) || v.ContentType != "text/plain" || v.Upload != u.ID {
				t.Errorf("version %+v", v)
			}
			if !bytes.Equal(w.read(target(name)), whole) {
				t.Error("other bytes are read")
			}
			checkRanges(t, w, target(name), whole)
			if ragged := name == "ragged" || name == "many"; ragged != (v.BlockSize == 0) || ragged != (v.RootHash == block.ID{}) {
				t.Errorf("block size %d", v.BlockSize)
			}
			if name == "even" {
				w.put("plain", whole)
				if o := w.open(target("plain")); o.RootHash != v.RootHash {
					t.Error("the root hash differs from that of the same bytes")
				}
			}
		})
	}
	wantUsage(t, w, meta.Usage{})
}

func (w *world) open(t backend.Target) *backend.Object {
	w.t.Helper()
	o, err := w.Open(w.t.Context(), w.alice, t, object.Precondition{}, access.GetObject)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// wantUsage checks the counters of open uploads.
func wantUsage(t *testing.T, w *world, want meta.Usage) {
	t.Helper()
	u, err := w.ContainerUsage(t.Context(), w.alice, ref("photos"))
	if err != nil || u.UploadParts != want.UploadParts || u.UploadBytes != want.UploadBytes {
		t.Errorf("usage %+v, %v; want %+v", u, err, want)
	}
}

func TestALongMapIsATree(t *testing.T) {
	w := newWorld(t)
	w.create("small-blocks", bucket.Config{BlockSize: block.SizeMin})
	data := random(3, 300*block.SizeMin+17)
	v, err := w.Put(t.Context(), w.alice, backend.PutRequest{Container: ref("small-blocks"), Name: "x", Body: body(data)})
	if err != nil || v.Content.Map.Depth != 1 || len(v.Content.Map.Refs) != 1 || v.Content.Map.Size() != v.Size {
		t.Fatalf("map %+v, %v", v.Content.Map, err)
	}
	from := backend.Target{Container: ref("small-blocks"), Name: "x"}
	u := w.begin("joined")
	var parts []object.Part
	for i, r := range [][2]int64{{0, -1}, {1, 100 * block.SizeMin}, {5 * block.SizeMin, 9 * block.SizeMin}} {
		parts = append(parts, w.copyPart(u, i+1, from, r[0], r[1]))
	}
	w.complete(u, parts...)
	want := append(append(bytes.Clone(data), data[1:1+100*block.SizeMin]...), data[5*block.SizeMin:14*block.SizeMin]...)
	if !bytes.Equal(w.read(target("joined")), want) {
		t.Error("other bytes are read")
	}
	checkRanges(t, w, target("joined"), want)
}

func (w *world) copyPart(u meta.Upload, number int, from backend.Target, off, n int64) object.Part {
	w.t.Helper()
	r := partOf(u, number, nil)
	r.From = &backend.PartSource{Source: from, Offset: off, Length: n}
	p, source, err := w.PutPart(w.t.Context(), w.alice, r)
	if err != nil || source == nil || source.Name != from.Name {
		w.t.Fatalf("copy part: %v, %v", source, err)
	}
	return p.Part
}

func TestAPartIsCopiedByReference(t *testing.T) {
	w := newWorld(t)
	data := random(1, 10*blockSize)
	w.put("source", data)
	stored := w.blocks()
	u := w.begin("target")
	whole := w.copyPart(u, 1, target("source"), 0, -1)
	if sum := md5.Sum(data); whole.ETag != hex.EncodeToString(sum[:]) {
		t.Error("the ETag of a whole object is known")
	}
	blocks := w.copyPart(u, 2, target("source"), blockSize, 3*blockSize)
	if got := w.blocks(); got != stored {
		t.Errorf("%d blocks instead of %d: whole blocks were stored again", got, stored)
	}
	cut := w.copyPart(u, 3, target("source"), blockSize-5, blockSize+10)
	if got := w.blocks(); got != stored+2 {
		t.Errorf("%d blocks instead of %d: a head and a tail are new", got, stored+2)
	}
	if _, err := w.Delete(t.Context(), w.alice, backend.DeleteRequest{Target: target("source")}); err != nil {
		t.Fatal(err)
	}
	w.collect()
	w.complete(u, whole, blocks, cut)
	w.collect()
	want := append(append(bytes.Clone(data), data[blockSize:4*blockSize]...), data[blockSize-5:2*blockSize+5]...)
	if !bytes.Equal(w.read(target("target")), want) {
		t.Error("other bytes are read")
	}
}

func TestACopiedPartIsRefused(t *testing.T) {
	w := newWorld(t)
	v := w.put("source", random(1, 100))
	u := w.begin("target")
	for name, c := range map[string]struct {
		from   backend.PartSource
		caller backend.Caller
		kind   errs.Kind
		thing  errs.Thing
	}{
		"behind the end": {backend.PartSource{Source: target("source"), Offset: 50, Length: 51}, w.alice, errs.Range, errs.Object},
		"beyond the end": {backend.PartSource{Source: target("source"), Offset: 101, Length: -1}, w.alice, errs.Range, errs.Object},
		"no source":      {backend.PartSource{Source: target("none"), Length: -1}, w.alice, errs.NotFound, errs.Object},
		"condition":      {backend.PartSource{Source: target("source"), Length: -1, If: object.Precondition{IfNoneMatch: []string{v.ETag}}}, w.alice, errs.Precondition, errs.Object},
	} {
		r := partOf(u, 1, nil)
		r.From = &c.from
		if _, _, err := w.PutPart(t.Context(), c.caller, r); !errs.IsThing(err, c.kind, c.thing) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACompletionIsChecked(t *testing.T) {
	w := newWorld(t)
	u := w.begin("x", func(n *backend.NewUpload) { n.Checksum = object.CRC32 })
	one, two, three := w.part(u, 1, random(1, 100)), w.part(u, 2, random(2, 99)), w.part(u, 3, random(3, 10))
	other := two
	other.ETag = one.ETag
	with := func(change func(*backend.CompleteRequest), parts ...object.Part) backend.CompleteRequest {
		r := completion(u, parts...)
		if change != nil {
			change(&r)
		}
		return r
	}
	for name, c := range map[string]struct {
		r      backend.CompleteRequest
		kind   errs.Kind
		reason errs.Reason
	}{
		"no parts":       {with(nil), errs.Invalid, errs.BadSyntax},
		"descending":     {with(nil, three, one), errs.Invalid, errs.PartOrder},
		"twice":          {with(nil, one, one), errs.Invalid, errs.PartOrder},
		"unknown":        {with(nil, one, object.Part{Number: 4, ETag: one.ETag}), errs.Invalid, errs.PartMissing},
		"other ETag":     {with(nil, one, other), errs.Invalid, errs.PartMissing},
		"too small":      {with(nil, one, two, three), errs.Invalid, errs.PartTooSmall},
		"other size":     {with(func(r *backend.CompleteRequest) { r.Size = 111 }, one, three), errs.Invalid, errs.SizeDiffers},
		"part checksum":  {with(func(r *backend.CompleteRequest) { r.Parts[0].Checksums = two.Checksums }, one, three), errs.Invalid, errs.PartMissing},
		"whole checksum": {with(func(r *backend.CompleteRequest) { r.Checksum = &one.Checksums[0] }, one, three), errs.Invalid, errs.BadDigest},
		"algorithm": {
			with(func(r *backend.CompleteRequest) { r.Checksum = &object.Checksum{Algorithm: object.SHA1} }, one, three),
			errs.Invalid, errs.ChecksumType,
		},
		"condition": {
			with(func(r *backend.CompleteRequest) { r.If.IfMatch = []string{"x"} }, one, three), errs.NotFound, "",
		},
	} {
		if _, err := w.Complete(t.Context(), w.alice, c.r); !errs.Is(err, c.kind) || errs.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	right := with(func(r *backend.CompleteRequest) { r.Size = 110; r.Parts[0].Checksums = one.Checksums }, one, three)
	if _, err := w.Complete(t.Context(), w.alice, right); err != nil {
		t.Error(err)
	}
	w.collect()
	if got := w.blocks(); got != 2 {
		t.Errorf("%d blocks, want those of the two parts that were used", got)
	}
}

func TestChecksumsOfAnAssembledObject(t *testing.T) {
	w := newWorld(t)
	for _, a := range object.Algorithms() {
		for _, full := range []bool{false, true} {
			n := backend.NewUpload{Container: ref("photos"), Name: "x", Checksum: a, FullObject: full}
			u, err := w.BeginUpload(t.Context(), w.alice, n)
			if full && !a.Linear() {
				wantReason(t, err, errs.Invalid, errs.ChecksumType)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			var parts []object.Part
			whole, composite := a.New(), a.New()
			for i, size := range []int{100, 70000, 5} {
				data, h := random(uint64(i), size), a.New()
				h.Write(data)
				whole.Write(data)
				composite.Write(h.Sum(nil))
				parts = append(parts, w.part(u, i+1, data))
			}
			want := object.Checksum{Algorithm: a, Value: string(whole.Sum(nil))}
			if !full && a != object.CRC64NVME {
				want = object.Checksum{Algorithm: a, Value: string(composite.Sum(nil)), Parts: 3}
			}
			r := completion(u, parts...)
			r.Checksum = &want
			if v, err := w.Complete(t.Context(), w.alice, r); err != nil || v.Checksums[0] != want {
				t.Errorf("%s, full %v: %v, %v", a, full, v, err)
			}
		}
	}
	u := w.begin("y", func(n *backend.NewUpload) { n.Checksum = object.SHA1 })
	r := partOf(u, 1, nil)
	r.Body.Checksums = []object.Algorithm{object.CRC32}
	_, _, err := w.PutPart(t.Context(), w.alice, r)
	wantReason(t, err, errs.Invalid, errs.ChecksumType)
	r.Number, r.Body.Checksums = backend.PartMax+1, nil
	_, _, err = w.PutPart(t.Context(), w.alice, r)
	wantReason(t, err, errs.Invalid, errs.PartNumber)
}

func TestARepeatedCompletionHasTheSameAnswer(t *testing.T) {
	w := newWorld(t)
	u := w.begin("x")
	one, two := w.part(u, 1, random(1, 200)), w.part(u, 2, random(2, 200))
	answers := make([]*object.Version, 5)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			var err error
			if answers[i], err = w.Complete(t.Context(), w.alice, completion(u, one, two)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, v := range answers {
		if v.ID != answers[0].ID || v.ETag != answers[0].ETag {
			t.Errorf("version %d, want %d", v.ID, answers[0].ID)
		}
	}
	w.put("x", nil) // the version is gone
	v := w.complete(u, one, two)
	if v.ETag != answers[0].ETag || len(v.Parts) != 2 {
		t.Errorf("after it was replaced: %+v", v)
	}
	_, err := w.Complete(t.Context(), w.alice, completion(u, one))
	wantKind(t, err, errs.NotFound, errs.Upload)
	w.collect()
	if got := w.blocks(); got != 0 {
		t.Errorf("%d blocks are left", got)
	}
}

// A caller that wants it so is told that a completed upload is unknown, once its object is not the newest of the name.
func TestACompletedUploadIsKnownWhileItsObjectIsTheNewest(t *testing.T) {
	w := newWorld(t)
	for name, gone := range map[string]func(){
		"replaced": func() { w.put("x", nil) },
		"deleted": func() {
			if _, err := w.Delete(t.Context(), w.alice, backend.DeleteRequest{Target: target("x")}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		u := w.begin("x")
		r := completion(u, w.part(u, 1, random(1, 200)))
		r.WhileNewest = true
		for range 2 {
			if v, err := w.Complete(t.Context(), w.alice, r); err != nil || v.Upload != u.ID {
				t.Fatalf("%s: %v", name, err)
			}
		}
		gone()
		_, err := w.Complete(t.Context(), w.alice, r)
		wantKind(t, err, errs.NotFound, errs.Upload)
	}
}

func TestAnAbortedUploadIsGone(t *testing.T) {
	w := newWorld(t)
	u := w.begin("x")
	one := w.part(u, 1, random(1, 200))
	w.part(u, 1, random(2, 300)) // replaces it
	wantUsage(t, w, meta.Usage{UploadParts: 1, UploadBytes: 300})
	for _, c := range []backend.Caller{w.bob, anyone} {
		wantKind(t, w.AbortUpload(t.Context(), c, ref("photos"), "x", u.ID), errs.Denied, errs.Object)
	}
	if err := w.AbortUpload(t.Context(), w.alice, ref("photos"), "x", u.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, w.AbortUpload(t.Context(), w.alice, ref("photos"), "x", u.ID), errs.NotFound, errs.Upload)
	wantKind(t, w.AbortUpload(t.Context(), w.bob, ref("photos"), "x", u.ID), errs.Denied, errs.Object)
	_, _, err := w.PutPart(t.Context(), w.alice, partOf(u, 2, []byte("x")))
	wantKind(t, err, errs.NotFound, errs.Upload)
	_, err = w.Complete(t.Context(), w.alice, completion(u, one))
	wantKind(t, err, errs.NotFound, errs.Upload)
	wantUsage(t, w, meta.Usage{})
	w.collect()
	if got := w.blocks(); got != 0 {
		t.Errorf("%d blocks are left", got)
	}
}

func TestPartsAreListedInPages(t *testing.T) {
	w := newWorld(t)
	u := w.begin("x")
	for _, n := range []int{9, 1, 10000, 5} {
		w.part(u, n, random(uint64(n), n%7))
	}
	var got []int
	after, more := 0, true
	for range 4 {
		if !more {
			break
		}
		var parts []object.Part
		var err error
		if _, parts, more, err = w.Parts(t.Context(), w.alice, ref("photos"), "x", u.ID, after, 3); err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			got = append(got, p.Number)
			after = p.Number
		}
	}
	if fmt.Sprint(got) != "[1 5 9 10000]" {
		t.Errorf("parts %v", got)
	}
}

func TestTenThousandParts(t *testing.T) {
	w := newWorld(t, func(_ *backend.Stores, o *backend.Options) { o.PartMin = 1 })
	u := w.begin("x")
	var parts []object.Part
	var want []byte
	for i := range backend.PartMax {
		data := []byte{byte(i), byte(i >> 8), 1}
		want = append(want, data...)
		parts = append(parts, w.part(u, i+1, data))
	}
	w.complete(u, parts...)
	if !bytes.Equal(w.read(target("x")), want) {
		t.Error("other bytes are read")
	}
	o := w.open(target("x"))
	if err := o.CopyTo(t.Context(), io.Discard, 29_999, 1); err != nil || len(o.Parts) != backend.PartMax {
		t.Error(err)
	}
}

func TestUploadsAreListedInPages(t *testing.T) {
	w := newWorld(t)
	ids := map[string][]string{}
	for _, name := range []string{"a", "b/1", "b/2", "b/2", "b0", "c"} {
		ids[name] = append(ids[name], w.begin(name).ID)
	}
	for _, c := range []struct {
		prefix, delimiter, want string
	}{
		{"", "", "a b/1 b/2 b/2 b0 c"},
		{"", "/", "a b/ b0 c"},
		{"b", "/", "b/ b0"},
		{"b/", "/", "b/1 b/2 b/2"},
		{"z", "", ""},
	} {
		for limit := 1; limit < 8; limit++ {
			var got []string
			var page backend.UploadPage
			for range 10 {
				var err error
				if page, err = w.Uploads(t.Context(), w.alice, ref("photos"), c.prefix, c.delimiter, page.NextName, page.NextID, limit); err != nil {
					t.Fatal(err)
				}
				got = append(got, merged(page)...)
				if !page.Truncated {
					break
				}
			}
			if s := fmt.Sprintf("[%s]", c.want); fmt.Sprint(got) != s {
				t.Errorf("prefix %q, delimiter %q, limit %d: %v, want %s", c.prefix, c.delimiter, limit, got, s)
			}
		}
	}
}
