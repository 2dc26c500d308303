package metatest

import (
	"fmt"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/naming/namingtest"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// full is a version with every property set.
func (e *env) full() *object.Version {
	e.Helper()
	v := e.data(1 << 40)
	v.Kind = object.StaticManifest
	v.ContentType = "image/\u00e9\u4e16\U0001f600; charset=\"x\""
	v.Owner, v.Author = "ow ner", "acc:us\u00e9r"
	v.StorageClass = "STANDARD"
	v.Checksums = []object.Checksum{
		{Algorithm: object.SHA256, Value: strings.Repeat("\x00\xff", 16), Parts: 3},
		{Algorithm: object.CRC32C, Value: "\x00\x01\x02\xff"},
	}
	v.Content.Map = block.Map{Depth: 2, Refs: []block.Ref{
		{ID: block.Sum([]byte("x")), Len: 1 << 39}, {ID: block.Empty, Len: 1<<39 - 1}, {ID: block.Sum([]byte("y")), Len: 1},
	}}
	v.BlockSize = 4 << 20
	v.Headers = object.Headers{
		ContentEncoding: "gzip", ContentLanguage: "de", ContentDisposition: "attachment; filename=\"\u00e9\"",
		CacheControl: "no-cache", Expires: "never", WebsiteRedirect: "/elsewhere",
	}
	v.Meta = map[object.Domain]map[string]string{
		object.UserMeta:  {"a": "1", "empty": "", "\u00e9": "\u4e16 \x01", "long": strings.Repeat("x", 2000)},
		object.ImageMeta: {"status": "active"},
	}
	for i := range 100 {
		v.Parts = append(v.Parts, object.Part{
			Number: i*100 + 1, Size: int64(i) << 30, ETag: v.ETag, Modified: e.now.Add(time.Duration(i) * time.Microsecond),
			Checksums: []object.Checksum{{Algorithm: object.CRC64NVME, Value: "12345678"}},
		})
	}
	v.Upload = "an-upload.1"
	v.Expires = e.now.Add(123456 * time.Microsecond)
	v.Target = "container/prefix\u00e9"
	v.Encryption = []byte{0, 1, 255}
	v.ACL = access.ACL{Grants: []access.Grant{{Canonical: "c", Permission: access.Read}, {Group: access.AllUsers, Permission: access.FullControl}}}
	v.Tags = []object.Tag{{Key: "z", Value: ""}, {Key: "a", Value: "\u00e9"}}
	v.Retention = object.Retention{Mode: object.Governance, Until: e.now.Add(time.Minute)}
	v.LegalHold = true
	v.Share = object.Share{Read: []string{"u\u00e9", "owner:group"}, Write: []string{"*"}, Public: "abc"}
	return v
}

var getting = []sentence{
	{"Get/bytes that are kept with a version are its own", func(e *env) {
		body := []byte("kept\x00bytes")
		v := dataOf(e.rng.Uint64(), int64(len(body)), block.Holder{})
		v.Null = true
		v.Content.Map = block.Map{Refs: []block.Ref{{ID: block.Sum(body), Len: int64(len(body))}}, Kept: body}
		first := e.put("kept", v)
		e.put("plain", e.data(1))
		e.commit(e.amendment("kept", func(v *object.Version) error {
			v.Tags = []object.Tag{{Key: "a", Value: "b"}}
			return nil
		}))
		for _, which := range []meta.Which{{}, {By: meta.ByID, ID: first.ID}, {By: meta.TheNull}, {By: meta.AsOf, At: e.now.Add(time.Minute)}} {
			got := e.get("kept", which)
			if string(got.Content.Map.Kept) != string(body) || len(got.Tags) != 1 || got.Content.Map.Refs[0].ID != block.Sum(body) {
				e.Errorf("%+v: got %+v", which, got)
			}
		}
		e.put("kept", null(e.data(2))) // over it, without
		if got := e.get("kept", meta.Which{}); got.Content.Map.Kept != nil {
			e.Errorf("the bytes of another version: %+v", got)
		}
	}},
	{"Get/an acknowledged change is in Get, Scan, Usage and the indexes at once", func(e *env) {
		v := e.data(100)
		v.Expires = e.now.Add(time.Hour)
		stored := e.put("a", v)
		e.wantSame("Get", e.get("a", meta.Which{}), stored, sameExceptLatest)
		e.wantUsage(meta.Usage{Objects: 1, Bytes: 100, Versions: 1, Stored: 100})
		e.checkWhole()
		if w := e.whole(e.place); len(w.Current) != 1 || len(w.Changes) != 1 || len(w.Due) != 1 {
			e.Errorf("got %+v", w)
		}
	}},
	{"Get/a version keeps every property", func(e *env) {
		v := e.full()
		out := e.put("a", v)
		want := *v
		want.Name, want.ID = "a", out.ID
		e.wantSame("outcome", out, &want, sameExceptLatest)
		want.Latest = true
		for _, w := range []meta.Which{{}, {By: meta.ByID, ID: out.ID}, {By: meta.AsOf, At: out.ID.Time().Add(time.Microsecond)}} {
			e.wantSame("Get", e.get("a", w), &want)
		}
		e.wantSame("Scan", e.scan(e.container, meta.View{}), []object.Summary{want.Summary})
	}},
	{"Get/a null version keeps every property", func(e *env) {
		v := null(e.full())
		out := e.put("a", v)
		want := *v
		want.Name, want.ID, want.Latest = "a", out.ID, true
		e.wantSame("Get", e.get("a", meta.Which{By: meta.TheNull}), &want)
	}},
	{"Get/the caller may change what it gave", func(e *env) {
		v := e.full()
		out := e.put("a", v)
		before := fmt.Sprintf("%+v", *e.get("a", meta.Which{})) // words cannot share memory with what is stored
		v.Meta[object.UserMeta]["a"] = "changed"
		v.Tags[0].Key, v.Encryption[0], v.Content.Map.Refs[0].Len, v.ACL.Grants[0].Canonical = "changed", 9, 9, "changed"
		v.Checksums[0].Parts, v.Parts[0].Size = 9, 9
		e.wantSame("Get", fmt.Sprintf("%+v", *e.get("a", meta.Which{By: meta.ByID, ID: out.ID})), before)
	}},
	{"Get/any name stands for itself alone", func(e *env) {
		names := namingtest.Objects()
		ids := map[naming.ObjectName]object.VersionID{}
		for _, i := range e.rng.Perm(len(names)) {
			ids[names[i]] = e.put(names[i], e.data(int64(i))).ID
		}
		for i, n := range names {
			if v := e.get(n, meta.Which{}); v.Name != n || v.ID != ids[n] || v.Size != int64(i) {
				e.Errorf("%q: got %+v", n, v.Summary)
			}
			for _, other := range []naming.ObjectName{n + "\x01", n + "/", n[:len(n)-1]} {
				if _, ok := ids[other]; !ok && other != "" && len(other) <= naming.ObjectNameMax {
					e.wantMissing(other, meta.Which{}, errs.Object)
				}
			}
		}
	}},
	{"Get/Newest, ByID, TheNull and AsOf find theirs", func(e *env) {
		first := e.put("a", e.data(1))
		second := e.put("a", null(e.data(2)))
		third := e.put("a", e.data(3))
		for _, c := range []struct {
			w    meta.Which
			want *object.Version
		}{
			{meta.Which{}, third},
			{meta.Which{By: meta.ByID, ID: first.ID}, first},
			{meta.Which{By: meta.ByID, ID: third.ID}, third},
			{meta.Which{By: meta.TheNull}, second},
			{meta.Which{By: meta.AsOf, At: far}, third},
			{meta.Which{By: meta.AsOf, At: third.ID.Time().Add(time.Microsecond)}, third},
			{meta.Which{By: meta.AsOf, At: third.ID.Time()}, second},
			{meta.Which{By: meta.AsOf, At: second.ID.Time().Add(time.Microsecond)}, second},
			{meta.Which{By: meta.AsOf, At: first.ID.Time().Add(time.Microsecond)}, first},
		} {
			got := e.get("a", c.w)
			e.wantSame("Get", got, c.want, sameExceptLatest)
			if got.Latest != (got.ID == third.ID) {
				e.Errorf("%+v: latest %v", c.w, got.Latest)
			}
		}
		e.wantMissing("a", meta.Which{By: meta.AsOf, At: first.ID.Time()}, errs.Version)
		e.wantMissing("a", meta.Which{By: meta.AsOf}, errs.Version)
	}},
	{"Get/NotFound tells a missing name from a missing version", func(e *env) {
		id := e.put("a", e.data(1)).ID
		e.put("b", e.data(1))
		for _, w := range []meta.Which{{}, {By: meta.ByID, ID: id}, {By: meta.TheNull}, {By: meta.AsOf, At: far}} {
			e.wantMissing("A", w, errs.Object)
		}
		e.wantMissing("a", meta.Which{By: meta.ByID, ID: id + 1}, errs.Version)
		e.wantMissing("a", meta.Which{By: meta.ByID, ID: id - 1}, errs.Version)
		e.wantMissing("a", meta.Which{By: meta.TheNull}, errs.Version)
		e.wantMissing("b", meta.Which{By: meta.ByID, ID: id}, errs.Version)
		_, err := e.s.Get(e.Context(), e.newContainer(), "a", meta.Which{})
		if !errs.IsThing(err, errs.NotFound, errs.Object) {
			e.Errorf("in a container never seen: %v", err)
		}
	}},
	{"Get/a delete marker is found like any other version", func(e *env) {
		e.put("a", e.data(1))
		m := e.put("a", marker())
		if got := e.get("a", meta.Which{}); got.ID != m.ID || got.Visible() || !got.Latest {
			e.Errorf("newest: %+v", got.Summary)
		}
		if got := e.get("a", meta.Which{By: meta.ByID, ID: m.ID}); got.Kind != object.DeleteMarker {
			e.Errorf("by id: %+v", got.Summary)
		}
	}},
}
