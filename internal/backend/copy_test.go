package backend_test

import (
	"bytes"
	"context"
	"crypto/md5" // the ETag of S3
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

func copyOf(from, to string) backend.CopyRequest {
	return backend.CopyRequest{Source: target(from), Container: ref("photos"), Name: naming.ObjectName(to)}
}

func TestACopySharesItsSourcesBlocks(t *testing.T) {
	w := newWorld(t)
	w.create("other", bucket.Config{BlockSize: block.SizeMin})
	data := random(1, 3*blockSize)
	r := put("source", data)
	r.Attributes = backend.Attributes{
		ContentType: "text/x", Headers: object.Headers{CacheControl: "no", WebsiteRedirect: "/there"},
		Meta: map[object.Domain]map[string]string{object.UserMeta: {"k": "v"}}, Tags: []object.Tag{{Key: "t", Value: "1"}},
		ACL: access.ACL{Grants: []access.Grant{{Group: access.AllUsers, Permission: access.Read}}},
	}
	r.Body.Checksums = []object.Algorithm{object.CRC32}
	source, err := w.Put(t.Context(), w.alice, r)
	if err != nil {
		t.Fatal(err)
	}
	stored := w.blocks()
	c := copyOf("source", "copy")
	c.Container = ref("other")
	v, from, err := w.Copy(t.Context(), w.alice, c)
	if err != nil || from.ID != source.ID {
		t.Fatal(v, err)
	}
	if w.blocks() != stored || v.Content.Holder != source.Content.Holder {
		t.Error("data was moved")
	}
	if v.ETag != source.ETag || v.RootHash != source.RootHash || v.BlockSize != blockSize || v.UUID == source.UUID {
		t.Errorf("%+v", v)
	}
	if d := cmp.Diff(source.Checksums, v.Checksums); d != "" {
		t.Error(d)
	}
	if v.ContentType != "text/x" || v.Headers != (object.Headers{CacheControl: "no"}) || len(v.Meta) != 1 || len(v.Tags) != 1 || len(v.ACL.Grants) != 0 {
		t.Errorf("attributes %+v", v)
	}
	w.delete(target("source"))
	w.collect()
	if !bytes.Equal(w.read(backend.Target{Container: ref("other"), Name: "copy"}), data) {
		t.Error("other bytes are read")
	}
}

func TestACopyMayReplaceAttributes(t *testing.T) {
	w := newWorld(t)
	r := put("x", random(1, 100))
	r.Attributes = backend.Attributes{ContentType: "text/x", Tags: []object.Tag{{Key: "t", Value: "1"}}}
	if _, err := w.Put(t.Context(), w.alice, r); err != nil {
		t.Fatal(err)
	}
	c := copyOf("x", "x")
	_, _, err := w.Copy(t.Context(), w.alice, c)
	wantReason(t, err, errs.Invalid, errs.SelfCopy)
	c.ReplaceAttributes, c.Attributes = true, backend.Attributes{ContentType: "text/y"}
	v, _, err := w.Copy(t.Context(), w.alice, c)
	if err != nil || v.ContentType != "text/y" || len(v.Tags) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	c = copyOf("x", "x")
	c.ReplaceTags = true
	if v, _, err = w.Copy(t.Context(), w.alice, c); err != nil || v.ContentType != "text/y" || len(v.Tags) != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	w.collect()
	if !bytes.Equal(w.read(target("x")), random(1, 100)) {
		t.Error("other bytes are read")
	}
}

func TestACopyComputesAChecksumThatTheSourceLacks(t *testing.T) {
	w := newWorld(t)
	data := random(1, 2*blockSize)
	w.put("x", data)
	for _, a := range object.Algorithms() {
		c := copyOf("x", "y")
		c.Checksum = a
		h := a.New()
		h.Write(data)
		want := []object.Checksum{{Algorithm: a, Value: string(h.Sum(nil))}}
		v, _, err := w.Copy(t.Context(), w.alice, c)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, v.Checksums); d != "" {
			t.Error(d)
		}
	}
}

// The copy of an object of parts has its ETag and parts, unless the MD5 is asked for: then it is one part, and its checksum is over all bytes.
func TestACopyOfPartsMayHaveItsMD5(t *testing.T) {
	const most = 1000
	w := newWorld(t, func(_ *backend.Stores, o *backend.Options) { o.PutMax = most })
	for _, size := range []int{most / 2, most} { // of each of two parts
		data := append(random(1, size), random(2, size)...)
		u := w.begin("x", func(n *backend.NewUpload) { n.Checksum = object.SHA256 })
		var parts []object.Part
		for i := range 2 {
			r := partOf(u, i+1, data[i*size:(i+1)*size])
			r.Body.Checksums = []object.Algorithm{object.SHA256}
			p, _, err := w.PutPart(t.Context(), w.alice, r)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, p.Part)
		}
		v := w.complete(u, parts...)
		r := copyOf("x", "y")
		r.MD5 = true
		got, _, err := w.Copy(t.Context(), w.alice, r)
		if err != nil {
			t.Fatal(err)
		}
		sum, sha := md5.Sum(data), sha256.Sum256(data)
		want, wantParts, wantSums := hex.EncodeToString(sum[:]), 0, []object.Checksum{{Algorithm: object.SHA256, Value: string(sha[:])}}
		if len(data) > most {
			want, wantParts, wantSums = v.ETag, 2, v.Checksums
		}
		if got.ETag != want || len(got.Parts) != wantParts {
			t.Errorf("of %d bytes: ETag %s, %d parts", len(data), got.ETag, len(got.Parts))
		}
		if d := cmp.Diff(wantSums, got.Checksums); d != "" {
			t.Error(d)
		}
		if !bytes.Equal(w.read(target("y")), data) {
			t.Error("other bytes are read")
		}
	}
}

func TestACopyIsReadAndWritten(t *testing.T) {
	w := newWorld(t)
	v := w.put("x", random(1, 100))
	w.put("y", nil)
	for name, c := range map[string]struct {
		change func(*backend.CopyRequest)
		caller backend.Caller
		kind   errs.Kind
	}{
		"source is not readable": {func(r *backend.CopyRequest) { r.Container = ref("bobs") }, w.bob, errs.Denied},
		"target is not writable": {func(*backend.CopyRequest) {}, w.bob, errs.Denied},
		"no source":              {func(r *backend.CopyRequest) { r.Source = target("none") }, w.alice, errs.NotFound},
		"no version":             {func(r *backend.CopyRequest) { r.Source = version("x", 5) }, w.alice, errs.NotFound},
		"source condition":       {func(r *backend.CopyRequest) { r.SourceIf.IfNoneMatch = []string{v.ETag} }, w.alice, errs.Precondition},
		"target condition":       {func(r *backend.CopyRequest) { r.If.IfNoneMatch = []string{"*"} }, w.alice, errs.Precondition},
	} {
		if name == "source is not readable" {
			bobs := backend.NewContainer{Account: "bob", Name: "bobs", Bucket: "bobs"}
			if _, _, err := w.CreateContainer(t.Context(), w.bob, bobs); err != nil {
				t.Fatal(err)
			}
		}
		r := copyOf("x", "y")
		c.change(&r)
		if _, _, err := w.Copy(t.Context(), c.caller, r); !errs.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// overwriting is a metastore in which the source is replaced just before the first commit.
type overwriting struct {
	meta.Store
	before func()
}

func (o *overwriting) Commit(ctx context.Context, c meta.Change) (meta.Outcome, error) {
	if before := o.before; before != nil && c.Source != nil {
		o.before = nil
		before()
	}
	return o.Store.Commit(ctx, c)
}

func TestACopyOfAReplacedSourceTakesTheNewOne(t *testing.T) {
	m := &overwriting{}
	w := newWorld(t, func(s *backend.Stores, _ *backend.Options) { m.Store = s.Meta; s.Meta = m })
	w.put("x", random(1, 100))
	m.before = func() { w.put("x", random(2, 200)) }
	v, source, err := w.Copy(t.Context(), w.alice, copyOf("x", "y"))
	if err != nil || v.Size != 200 || source.Size != 200 {
		t.Fatal(v, err)
	}
	m.before = func() { w.delete(target("x")) }
	_, _, err = w.Copy(t.Context(), w.alice, copyOf("x", "y"))
	wantKind(t, err, errs.NotFound, errs.Object)
	w.collect()
	if !bytes.Equal(w.read(target("y")), random(2, 200)) {
		t.Error("other bytes are read")
	}
}
