package metamorphic

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/seal"
	"pithos/internal/seal/sealtest"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
	"pithos/internal/worker"
)

// backendWeights is how often each operation on the backend comes.
var backendWeights = []weight{
	{"put", 20},
	{"get", 12},
	{"delete", 6},
	{"delete version", 5},
	{"copy", 6},
	{"amend", 2},
	{"list", 10},
	{"begin", 4},
	{"part", 8},
	{"copy part", 4},
	{"complete", 5},
	{"abort", 1},
	{"parts", 2},
	{"uploads", 3},
	{"create", 2},
	{"drop", 1},
	{"configure", 4},
	{"usage", 3},
	{"collect", 2},
	{"wait", 2},
	{"restart", 1},
	{"cut", 1},
	{"check", 1},
}

// TestBackend compares the backend on each engine.
func TestBackend(t *testing.T) { runLists(t, backendWeights, newService(false)) }

// TestBackendWithEncryption does so with objects of which most are encrypted.
func TestBackendWithEncryption(t *testing.T) { runLists(t, backendWeights, newService(true)) }

func newService(encrypted bool) func(t *testing.T, e engine, c *clock.Manual) system {
	return func(t *testing.T, e engine, c *clock.Manual) system {
		s := &service{engine: e, t: t, clock: c, caller: addAccount(t, e.Keys(), "alice")}
		if encrypted {
			ring := new(sealtest.Ring)
			ring.Add("ring")
			s.keeper = seal.NewKeeper(seal.Options{Ring: ring, Clock: c})
		}
		s.start()
		for i := range 2 {
			s.create(t.Context(), i)
		}
		return s
	}
}

// addAccount makes an account with an administrator, who calls.
func addAccount(t *testing.T, keys key.Store, id string) backend.Caller {
	t.Helper()
	a := key.Account{ID: naming.AccountID(id), Canonical: "canonical-" + id, DisplayName: id, QuotaBytes: 3 << 20}
	u := key.User{ID: naming.User(a.ID, "admin"), Account: a.ID, Roles: []string{key.RoleAdmin}}
	if _, err := keys.CreateAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return backend.Caller{Principal: access.Principal{Account: a.ID, User: u.ID, Canonical: a.Canonical, Admin: true}}
}

// service applies steps to a backend.
type service struct {
	engine
	t        *testing.T
	clock    *clock.Manual
	b        *backend.Backend
	caller   backend.Caller
	versions []target     // all that were ever made
	uploads  []upload     // likewise
	keeper   *seal.Keeper // nil: nothing is encrypted
	starts   int
}

type target struct {
	bucket int
	name   naming.ObjectName
	id     object.VersionID
}

type upload struct {
	bucket int
	name   naming.ObjectName
	id     string
	parts  map[int]string // ETags by number
}

// start puts a new backend on the engine, as a new process would. Some keep small bodies with their versions and some do not.
func (s *service) start() {
	s.starts++
	s.b = backend.New(backend.Stores{Keys: s.Keys(), Buckets: s.Buckets(), Meta: s.Meta(), Blobs: s.Blobs()}, backend.Options{
		Clock: s.clock, BlockSize: 4 << 10, BufferBytes: 4 << 20, PartMin: 1000, Keeper: s.keeper, KeepMax: s.starts % 3 * 1500,
	})
}

func ref(n int) backend.Ref {
	return backend.Ref{Bucket: naming.BucketName(fmt.Sprintf("bucket-%d", n%3))}
}

// payload is bytes that depend on n alone; blocks repeat among payloads, and some are zeros.
func payload(n int) []byte {
	size := []int{0, 1, 100, 4096, 5000, 20_000, 90_000, 200_000}[n%8] + n/8%3
	data := make([]byte, size)
	for off := 0; off < size; off += 4096 {
		if (n/24+off/4096)%4 == 0 {
			continue // a block of zeros
		}
		r := rand.New(rand.NewPCG(uint64(n/24%5), uint64(off)))
		var word [8]byte
		for i := off; i < min(off+4096, size); i += len(word) {
			binary.LittleEndian.PutUint64(word[:], r.Uint64())
			copy(data[i:], word[:])
		}
	}
	return data
}

// summary puts a version into words, without what is drawn at random.
func summary(v object.Summary) string {
	v.UUID = [16]byte{}
	return fmt.Sprintf("%+v", v)
}

func (s *service) apply(ctx context.Context, st step) string {
	ctx, done := context.WithCancel(ctx)
	defer done() // readers are gone when a step ends
	s.clock.Advance(time.Duration(st.arg[7]%3+1) * 500 * time.Millisecond)
	switch st.op {
	case "put", "get", "delete", "delete version", "copy", "amend":
		return s.object(ctx, st)
	case "list", "usage", "create", "drop", "configure":
		return s.container(ctx, st)
	case "begin", "part", "copy part", "complete", "abort", "parts", "uploads":
		return s.multipart(ctx, st)
	case "collect":
		return s.collect(ctx)
	case "wait":
		s.clock.Advance(time.Duration(st.arg[0]%40) * time.Hour)
		return ""
	case "restart", "cut":
		if err := s.Meta().Unseal(ctx, naming.ContainerID{1}); err != nil { // a synced write behind all others in the log
			return show(err, "")
		}
		s.Restart(s.t, st.op == "cut")
		s.start()
		return ""
	}
	return s.check(ctx)
}

func (s *service) made(bucket int, v *object.Version) {
	s.versions = append(s.versions, target{bucket % 3, v.Name, v.ID})
}

// which names a version of an object in one of all ways.
func (s *service) which(st step) backend.Target {
	a := st.arg
	t := backend.Target{Container: ref(a[0]), Name: name(a[1])}
	if v, ok := pick(s.versions, a[2]); ok && a[3]%2 == 0 {
		t.Container, t.Name = ref(v.bucket), v.name
		switch a[3] / 2 % 4 {
		case 0:
			t.Which = meta.Which{By: meta.ByID, ID: v.id}
		case 1:
			t.Which = meta.Which{By: meta.AsOf, At: v.id.Time().Add(time.Microsecond)}
		case 2:
			t.Which = meta.Which{By: meta.TheNull}
		}
	}
	return t
}

func (s *service) condition(n int) object.Precondition {
	switch n % 12 {
	case 0:
		return object.Precondition{IfNoneMatch: []string{"*"}}
	case 1:
		return object.Precondition{IfMatch: []string{"*"}}
	case 2:
		return object.Precondition{IfUnmodifiedSince: began.Add(time.Duration(n/12%100) * time.Second)}
	case 3:
		return object.Precondition{IfMatch: []string{block.Sum(payload(n)).String()}}
	}
	return object.Precondition{}
}

func (s *service) object(ctx context.Context, st step) string {
	a := st.arg
	switch st.op {
	case "put":
		data := payload(a[2])
		v, err := s.b.Put(ctx, s.caller, backend.PutRequest{
			Container: ref(a[0]), Name: name(a[1]), If: s.condition(a[3]), Attributes: s.attributes(st), Body: s.body(a, data),
		})
		if err != nil {
			return show(err, "")
		}
		s.made(a[0], v)
		return summary(v.Summary)
	case "get":
		return s.get(ctx, s.which(st), a[4], a[5])
	case "delete", "delete version":
		r := backend.DeleteRequest{Target: backend.Target{Container: ref(a[0]), Name: name(a[1])}, If: s.condition(a[5]), Bypass: a[4]%2 == 0}
		if st.op == "delete version" {
			r.Target = s.which(st)
		}
		d, err := s.b.Delete(ctx, s.caller, r)
		if err == nil && d.Version != 0 && d.Removed == nil {
			s.versions = append(s.versions, target{a[0] % 3, r.Name, d.Version})
		}
		removed := "none"
		if d.Removed != nil {
			removed = summary(d.Removed.Summary)
		}
		d.Removed = nil
		return show(err, "%+v, gone: %s", d, removed)
	case "copy":
		r := backend.CopyRequest{Source: s.which(st), Container: ref(a[4]), Name: name(a[5]), If: s.condition(a[6])}
		r.ReplaceAttributes, r.Attributes = a[6]%2 == 0, s.attributes(st)
		if a[6]%5 == 0 {
			r.Checksum = object.SHA256
		}
		v, source, err := s.b.Copy(ctx, s.caller, r)
		if err != nil {
			return show(err, "")
		}
		s.made(a[4], v)
		return summary(v.Summary) + " from " + summary(source.Summary)
	}
	v, err := s.b.Amend(ctx, s.caller, s.which(st), access.PutObject, func(_ bucket.Container, v *object.Version) error {
		v.Tags = []object.Tag{{Key: "k", Value: fmt.Sprint(st.n)}}
		return nil
	})
	if err != nil {
		return show(err, "")
	}
	return summary(v.Summary)
}

func (s *service) attributes(st step) backend.Attributes {
	at := backend.Attributes{ContentType: fmt.Sprint("type/", st.arg[6]%4)}
	if st.arg[6]%3 == 0 {
		at.Meta = map[object.Domain]map[string]string{object.UserMeta: {"n": fmt.Sprint(st.n)}}
	}
	if s.keeper != nil && st.arg[7]%3 > 0 {
		at.Encryption.Mode = seal.Service
	}
	return at
}

// body gives the bytes in one of all ways: with and without a size, with checksums, in drops, broken off.
func (s *service) body(a [8]int, data []byte) backend.Body {
	b := backend.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}
	switch a[4] % 10 {
	case 0:
		b.Size = -1
	case 1:
		b.Checksums = []object.Algorithm{object.CRC64NVME, object.SHA1}
	case 2:
		b.Size = int64(len(data)) + 7 // broken off
	case 3:
		b.Prove = func(object.Digests) error {
			return errs.E("test", errs.Invalid, errs.Request, "").Because(errs.BadDigest, "not what was promised")
		}
	}
	return b
}

// get reads a range of a version.
func (s *service) get(ctx context.Context, t backend.Target, from, length int) string {
	o, err := s.b.Open(ctx, s.caller, t, object.Precondition{}, access.GetObject)
	if err != nil {
		return show(err, "")
	}
	off := int64(from) % (o.Size + 1)
	n := min(int64(length), o.Size-off)
	var out bytes.Buffer
	if err := o.CopyTo(ctx, &out, off, n); err != nil {
		return "BROKEN: " + show(err, "") + " " + summary(o.Summary)
	}
	return fmt.Sprintf("%s %v %v\n%d bytes %v", summary(o.Summary), o.Meta, o.Tags, out.Len(), block.Sum(out.Bytes()))
}

func (s *service) create(ctx context.Context, n int) string {
	c, created, err := s.b.CreateContainer(ctx, s.caller, backend.NewContainer{
		Account: s.caller.Account, Name: naming.ContainerName(ref(n).Bucket), Bucket: ref(n).Bucket,
	})
	encrypts := c.Config.Encryption != nil
	c.Config.Encryption = nil // a pointer
	return show(err, "%v %s %+v %v", created, c.Name, c.Config, encrypts)
}

func (s *service) container(ctx context.Context, st step) string {
	a := st.arg
	switch st.op {
	case "create":
		return s.create(ctx, a[0])
	case "drop":
		return show(s.b.DeleteContainer(ctx, s.caller, ref(a[0])), "")
	case "configure":
		c, err := s.b.Configure(ctx, s.caller, ref(a[0]), access.PutBucketVersioning, func(_ bucket.Container, c *bucket.Config) error {
			c.Versioning = []bucket.Versioning{bucket.VersioningEnabled, bucket.VersioningSuspended, bucket.VersioningEnabled}[a[1]%3]
			c.Quota = bucket.Limit{Objects: int64(a[2] % 3 * 3)}
			if c.Encryption = nil; s.keeper != nil && a[3]%3 == 0 {
				c.Encryption = &bucket.Encryption{}
			}
			return nil
		})
		encrypts := c.Config.Encryption != nil
		c.Config.Encryption = nil // a pointer
		return show(err, "%+v %v", c.Config, encrypts)
	case "usage":
		u, err := s.b.ContainerUsage(ctx, s.caller, ref(a[0]))
		w, err2 := s.b.AccountUsage(ctx, s.caller, s.caller.Account)
		return show(err, "%+v ", u) + show(err2, "%+v", w)
	}
	r := backend.ListRequest{
		Container: ref(a[0]), View: meta.View{Kind: meta.ViewKind(a[1] % 4), At: s.clock.Now().Add(-time.Duration(a[2]%60) * time.Second)},
		Prefix: []string{"", "", "a", "a/", "a/b", "\u00e9"}[a[3]%6], Delimiter: []string{"", "/", "b"}[a[4]%3], Limit: a[5] % 5,
	}
	if a[6]%3 == 0 {
		r.After = string(name(a[6]))
	}
	var b strings.Builder
	for range 50 { // all pages
		page, err := s.b.List(ctx, s.caller, r)
		fmt.Fprint(&b, show(err, "%q %v %q %d ", page.Prefixes, page.Truncated, page.NextAfter, page.NextVersion))
		for _, e := range page.Entries {
			fmt.Fprintln(&b, summary(e))
		}
		if err != nil || !page.Truncated {
			break
		}
		r.After, r.AfterVersion = page.NextAfter, page.NextVersion
	}
	return b.String()
}

func (s *service) multipart(ctx context.Context, st step) string {
	a := st.arg
	if st.op == "begin" {
		r := backend.NewUpload{Container: ref(a[0]), Name: name(a[1]), Attributes: s.attributes(st)}
		r.Checksum = []object.Algorithm{"", object.CRC32, object.CRC64NVME}[a[2]%3]
		u, err := s.b.BeginUpload(ctx, s.caller, r)
		if err == nil {
			s.uploads = append(s.uploads, upload{a[0] % 3, r.Name, u.ID, map[int]string{}})
		}
		return show(err, "%v", u.Checksum)
	}
	if st.op == "uploads" {
		page, err := s.b.Uploads(ctx, s.caller, ref(a[0]), []string{"", "a"}[a[1]%2], []string{"", "/"}[a[2]%2], "", "", a[3]%4+1)
		var names []naming.ObjectName
		for _, u := range page.Uploads {
			names = append(names, u.Name)
		}
		return show(err, "%q %q %v %q", names, page.Prefixes, page.Truncated, page.NextName)
	}
	u, ok := pick(s.uploads, a[2])
	if !ok {
		return "no uploads"
	}
	number := a[3]%4 + 1
	switch st.op {
	case "part", "copy part":
		r := backend.PartRequest{Container: ref(u.bucket), Name: u.name, Upload: u.id, Number: number, Body: s.body(a, payload(a[5]))}
		if st.op == "copy part" {
			r.Body = backend.Body{}
			r.From = &backend.PartSource{Source: s.which(st), Offset: int64(a[5] % 3 * 1000), Length: []int64{-1, 1000, 5000}[a[6]%3]}
		}
		p, _, err := s.b.PutPart(ctx, s.caller, r)
		if err == nil {
			u.parts[number] = p.ETag
		}
		p.Seal, p.Encryption = nil, nil // random
		return show(err, "%+v", p)
	case "complete":
		return s.complete(ctx, st, u)
	case "abort":
		return show(s.b.AbortUpload(ctx, s.caller, ref(u.bucket), u.name, u.id), "")
	}
	_, parts, more, err := s.b.Parts(ctx, s.caller, ref(u.bucket), u.name, u.id, a[3]%3, a[4]%4)
	for i := range parts {
		parts[i].Seal = nil
	}
	return show(err, "%+v %v", parts, more)
}

// complete finishes an upload with most of its parts.
func (s *service) complete(ctx context.Context, st step, u upload) string {
	r := backend.CompleteRequest{Container: ref(u.bucket), Name: u.name, Upload: u.id, Size: -1, If: s.condition(st.arg[4])}
	for n := 1; n <= 4; n++ {
		if tag, ok := u.parts[n]; ok && (st.arg[5]>>n)%4 != 0 {
			r.Parts = append(r.Parts, backend.CompletePart{Number: n, ETag: tag})
		}
	}
	v, err := s.b.Complete(ctx, s.caller, r)
	if err != nil {
		return show(err, "")
	}
	if !slices.Contains(s.versions, target{u.bucket, u.name, v.ID}) {
		s.made(u.bucket, v)
	}
	return summary(v.Summary)
}

// collect does a round of garbage collection and tells what is left.
func (s *service) collect(ctx context.Context) string {
	c := worker.NewCollector(worker.Collection{Holders: s.Meta(), Blobs: s.Blobs(), Unread: s.b.Unread, Clock: s.clock})
	var r worker.CollectReport
	for range 100_000 { // a reader of an earlier step may take its leave a moment after that
		var err error
		if r, err = c.Round(ctx, 0, nil); err != nil {
			return show(err, "")
		}
		if r.Reading == 0 {
			break
		}
		runtime.Gosched()
	}
	var stored []string
	err := s.Blobs().Walk(ctx, nil, func(i blob.Info) bool {
		if s.keeper != nil {
			i.ID, i.Stored = block.ID{}, 0 // encrypted bytes are random; how many blocks there are is not
		}
		stored = append(stored, fmt.Sprint(i.ID, i.Stored, i.Held))
		return true
	})
	slices.Sort(stored)
	// How much of a broken upload was stored, and is collected, is a matter of timing; what is left is not.
	return show(err, "%v\n", stored) + s.check(ctx)
}

// check reads every version whole.
func (s *service) check(ctx context.Context) string {
	var b strings.Builder
	for i := range 3 {
		r := backend.ListRequest{Container: ref(i), View: meta.View{Kind: meta.ViewAll}, Limit: 10_000}
		page, err := s.b.List(ctx, s.caller, r)
		fmt.Fprintln(&b, show(err, "%d", len(page.Entries)), s.container(ctx, step{op: "usage", arg: [8]int{i}}))
		for _, e := range page.Entries {
			if !e.Visible() {
				continue
			}
			got := s.get(ctx, backend.Target{Container: ref(i), Name: e.Name, Which: meta.Which{By: meta.ByID, ID: e.ID}}, 0, int(e.Size))
			if strings.HasPrefix(got, "BROKEN") {
				return got
			}
			fmt.Fprintln(&b, got)
		}
	}
	return b.String()
}
