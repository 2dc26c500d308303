package metatest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// begin opens an upload.
func (e *env) begin(name naming.ObjectName, id string) meta.UploadKey {
	e.Helper()
	k := meta.UploadKey{Container: e.container, Name: name, ID: id}
	errstest.OK(e, e.s.Begin(e.Context(), meta.Upload{UploadKey: k, Account: e.account, Initiated: e.tick()}))
	return k
}

// part is a part of so many bytes with a fresh holder, not yet put.
func (e *env) part(number int, size int64) meta.Part {
	e.Helper()
	v := e.data(size)
	return meta.Part{Part: object.Part{Number: number, Size: size, ETag: v.ETag, Modified: e.now}, Content: v.Content}
}

// putPart puts a part and tells it.
func (e *env) putPart(k meta.UploadKey, p meta.Part) meta.Part {
	e.Helper()
	errstest.OK(e, e.s.PutPart(e.Context(), k, p, meta.Limits{}))
	return p
}

// pending is the open uploads after a position, as "name id".
func (e *env) pending(name naming.ObjectName, id string, limit int) []string {
	e.Helper()
	var list []string
	errstest.OK(e, e.s.Pending(e.Context(), e.container, name, id, func(u meta.Upload) bool {
		list = append(list, string(u.Name)+" "+u.ID)
		return len(list) < limit
	}))
	return list
}

var uploading = []sentence{
	{"Begin/an upload keeps every property", func(e *env) {
		u := meta.Upload{
			UploadKey: meta.UploadKey{Container: e.container, Name: "a/\u00e9", ID: "ID-1_2." + strings.Repeat("x", 57)},
			Account:   e.account, Initiated: e.tick().Add(time.Microsecond), Initiator: "acc:user",
			Template: *e.full(), Checksum: object.CRC64NVME, FullObject: true,
		}
		u.Template.Content = object.Content{}
		errstest.OK(e, e.s.Begin(e.Context(), u))
		errstest.OK(e, e.s.Begin(e.Context(), u))
		got, err := e.s.FindUpload(e.Context(), u.UploadKey)
		errstest.OK(e, err)
		e.wantSame("upload", got, u)
		e.wantSame("pending", e.whole(e.place).Uploads, []meta.Upload{u})
		e.wantUsage(meta.Usage{})
	}},
	{"FindUpload/an unknown one is NotFound, by each part of its key", func(e *env) {
		k := e.begin("a", "1")
		for _, other := range []meta.UploadKey{
			{Container: e.container, Name: "a", ID: "2"},
			{Container: e.container, Name: "b", ID: "1"},
			{Container: e.newContainer(), Name: "a", ID: "1"},
		} {
			_, err := e.s.FindUpload(e.Context(), other)
			errstest.Want(e, err, errs.NotFound, errs.Upload)
			errstest.Want(e, e.s.Abort(e.Context(), other), errs.NotFound, errs.Upload)
			errstest.Want(e, e.s.PutPart(e.Context(), other, e.part(1, 1), meta.Limits{}), errs.NotFound, errs.Upload)
			errstest.Want(e, e.s.Parts(e.Context(), other, 0, func(meta.Part) bool { return true }), errs.NotFound, errs.Upload)
			_, err = e.s.Completed(e.Context(), other)
			errstest.Want(e, err, errs.NotFound, errs.Upload)
		}
		_, err := e.s.Completed(e.Context(), k)
		errstest.Want(e, err, errs.NotFound, errs.Upload)
	}},
	{"Parts/come in order of their numbers, after the one given", func(e *env) {
		k := e.begin("a", "1")
		other := e.begin("a", "11")
		e.putPart(other, e.part(3, 1))
		want := map[int]meta.Part{}
		numbers := []int{1, 2, 9, 10, 99, 100, 255, 256, 9999, 10000}
		for _, i := range e.rng.Perm(len(numbers)) {
			p := e.part(numbers[i], int64(i))
			p.Checksums = []object.Checksum{{Algorithm: object.SHA1, Value: "\x00\xff"}}
			want[numbers[i]] = e.putPart(k, p)
		}
		var got []int
		for _, p := range e.parts(k) {
			got = append(got, p.Number)
			e.wantSame("part", p, want[p.Number])
		}
		e.wantSame("numbers", got, numbers)
		got = nil
		errstest.OK(e, e.s.Parts(e.Context(), k, 10, func(p meta.Part) bool {
			got = append(got, p.Number)
			return len(got) < 3
		}))
		e.wantSame("three after 10", got, []int{99, 100, 255})
	}},
	{"PutPart/replaces a part and counts the difference", func(e *env) {
		k := e.begin("a", "1")
		first := e.putPart(k, e.part(1, 100))
		e.putPart(k, e.part(2, 10))
		e.wantUsage(meta.Usage{UploadParts: 2, UploadBytes: 110})
		second := e.putPart(k, e.part(1, 30))
		e.wantUsage(meta.Usage{UploadParts: 2, UploadBytes: 40})
		if e.alive(first.Content.Holder) || !e.dead(first.Content.Holder, time.Time{}) {
			e.Error("the replaced part's holder is not dead")
		}
		if !e.alive(second.Content.Holder) {
			e.Error("the new part's holder is not alive")
		}
		e.putPart(k, second)
		e.wantUsage(meta.Usage{UploadParts: 2, UploadBytes: 40})
		if !e.alive(second.Content.Holder) {
			e.Error("a repeated part killed its own holder")
		}
	}},
	{"Pending/comes in order of name and id, after the position", func(e *env) {
		want := []string{"a 1", "a 10", "a 2", "a\x01 0", "a/ 1", "a/b 1", "b 1"}
		for _, i := range e.rng.Perm(len(want)) {
			cut := strings.LastIndexByte(want[i], ' ')
			e.begin(naming.ObjectName(want[i][:cut]), want[i][cut+1:])
		}
		e.wantSame("all", e.pending("", "", 100), want)
		e.wantSame("from a name", e.pending("a", "", 100), want)
		e.wantSame("after an upload", e.pending("a", "10", 100), want[2:])
		e.wantSame("after all of a name", e.pending("a", "~", 100), want[3:])
		e.wantSame("two", e.pending("a", "2", 2), want[3:5])
		e.wantSame("none", e.pending("c", "", 100), []string(nil))
	}},
	{"Abort/forgets the upload and its parts", func(e *env) {
		k, other := e.begin("a", "1"), e.begin("a", "2")
		p := e.putPart(k, e.part(1, 100))
		kept := e.putPart(other, e.part(1, 7))
		errstest.OK(e, e.s.Abort(e.Context(), k))
		_, err := e.s.FindUpload(e.Context(), k)
		errstest.Want(e, err, errs.NotFound, errs.Upload)
		errstest.Want(e, e.s.Abort(e.Context(), k), errs.NotFound, errs.Upload)
		errstest.Want(e, e.s.PutPart(e.Context(), k, e.part(1, 1), meta.Limits{}), errs.NotFound, errs.Upload)
		e.wantUsage(meta.Usage{UploadParts: 1, UploadBytes: 7})
		if e.alive(p.Content.Holder) || !e.dead(p.Content.Holder, time.Time{}) || !e.alive(kept.Content.Holder) {
			e.Error("the part's holder is not dead, or another is")
		}
	}},
	{"Commit/finishes the upload in the same step", func(e *env) {
		k, other := e.begin("a", "1"), e.begin("a", "2")
		kept := e.putPart(other, e.part(1, 7))
		var parts []meta.Part
		for i := range 5 {
			parts = append(parts, e.putPart(k, e.part(i+1, 100)))
		}
		c := e.change("a", e.data(400))
		c.Upload, c.Version.Upload = k.ID, k.ID
		c.Version.ETag = "0123456789abcdef0123456789abcdef-4"
		for _, p := range parts[:4] {
			c.Version.Parts = append(c.Version.Parts, p.Part)
		}
		out := e.commit(c)
		e.wantUsage(meta.Usage{Objects: 1, Bytes: 400, Versions: 1, Stored: 400, UploadParts: 1, UploadBytes: 7})
		_, err := e.s.FindUpload(e.Context(), k)
		errstest.Want(e, err, errs.NotFound, errs.Upload)
		e.wantSame("pending", e.pending("", "", 10), []string{"a 2"})
		for _, p := range parts {
			if e.alive(p.Content.Holder) {
				e.Errorf("the holder of part %d is alive", p.Number)
			}
		}
		if !e.alive(out.Version.Content.Holder) || !e.alive(kept.Content.Holder) {
			e.Error("the version's holder, or that of another upload's part, is not alive")
		}
		done, err := e.s.Completed(e.Context(), k)
		errstest.OK(e, err)
		want := meta.Completion{Version: out.Version.ID, At: c.Now, Summary: out.Version.Summary, Parts: c.Version.Parts}
		e.wantSame("completion", done, want, sameExceptLatest)
		c = e.change("a", e.data(1))
		c.Upload = k.ID
		e.refuse(c, errs.NotFound, errs.Upload)
	}},
	{"Commit/a part's holder may become the version's", func(e *env) {
		k := e.begin("a", "1")
		p := e.putPart(k, e.part(1, 50))
		v := dataOf(1, 50, p.Content.Holder)
		c := e.change("a", v)
		c.Upload = k.ID
		out := e.commit(c)
		if !e.alive(p.Content.Holder) {
			e.Fatal("the holder died with the upload")
		}
		e.remove("a", out.Version.ID)
		if e.alive(p.Content.Holder) || e.dead(p.Content.Holder, e.now.Add(-time.Second)) || !e.dead(p.Content.Holder, e.now) {
			e.Error("the holder did not die with the version")
		}
	}},
	{"Commit/that fails leaves the upload open", func(e *env) {
		k := e.begin("a", "1")
		e.putPart(k, e.part(1, 50))
		e.puts("a")
		c := e.change("a", e.data(50))
		c.Upload = k.ID
		c.If = object.Precondition{IfNoneMatch: []string{"*"}}
		e.refuse(c, errs.Precondition, errs.Object)
		c.If = object.Precondition{}
		e.commit(c)
	}},
	{"Completed/is remembered for its time and until the first Reap after that", func(e *env) {
		k := e.begin("a", "1")
		c := e.change("a", e.data(1))
		c.Upload = k.ID
		out := e.commit(c)
		e.remove("a", out.Version.ID)
		reap := func(at time.Time) {
			e.Helper()
			_, err := e.s.Reap(e.Context(), at, 1000)
			errstest.OK(e, err)
		}
		reap(c.Now.Add(meta.CompletedFor))
		if _, err := e.s.Completed(e.Context(), k); err != nil {
			e.Errorf("within its time: %v", err)
		}
		reap(c.Now.Add(meta.CompletedFor + time.Second))
		_, err := e.s.Completed(e.Context(), k)
		errstest.Want(e, err, errs.NotFound, errs.Upload)
	}},
	{"Pending/many uploads and a callback that calls the store", func(e *env) {
		n := e.count(50)
		for i := range n {
			e.begin(naming.ObjectName(fmt.Sprintf("%03d", i)), "1")
		}
		var seen []naming.ObjectName
		errstest.OK(e, e.s.Pending(e.Context(), e.container, "", "", func(u meta.Upload) bool {
			seen = append(seen, u.Name)
			errstest.OK(e, e.s.Abort(e.Context(), u.UploadKey))
			return true
		}))
		if len(seen) != n || !slices.IsSorted(seen) {
			e.Errorf("saw %d of %d, in order: %v", len(seen), n, slices.IsSorted(seen))
		}
		e.wantSame("what is left", e.pending("", "", 10), []string(nil))
	}},
}
