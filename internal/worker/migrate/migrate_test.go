package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/engine/cassandra"
	"pithos/internal/engine/embedded"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
	"pithos/internal/worker/migrate"
)

// engines are those that stores are moved between.
func engines(t *testing.T) map[string]func() migrate.Stores {
	all := map[string]func() migrate.Stores{
		"memory": func() migrate.Stores {
			m := memory.New(clock.System{})
			return migrate.Stores{Keys: m.Keys(), Writer: m.Keys(), Buckets: m.Buckets(), Meta: m.Meta(), Blobs: m.Blobs()}
		},
		"embedded": func() migrate.Stores {
			e, err := embedded.Open(filepath.Join(t.TempDir(), "data"), embedded.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			return migrate.Stores{Keys: e.Keys(), Writer: e.Keys(), Buckets: e.Buckets(), Meta: e.Meta(), Blobs: e.Blobs()}
		},
	}
	if hosts := os.Getenv("PITHOS_TEST_CASSANDRA"); hosts != "" {
		all["cassandra"] = func() migrate.Stores { return onCassandra(t, strings.Split(hosts, ",")) }
	}
	return all
}

func onCassandra(t *testing.T, hosts []string) migrate.Stores {
	t.Helper()
	session := func(sc cassandra.Schema) *cassandra.Session {
		s, err := cassandra.Connect(cassandra.Config{Hosts: hosts, Keyspace: "migrate_" + sc.Store, Timeout: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		if err := cassandra.InstallSchema(t.Context(), s, sc, os.Getenv("PITHOS_TEST_CASSANDRA_REPLICATION")); err != nil {
			t.Fatal(err)
		}
		if err := cassandra.Truncate(t.Context(), s, sc); err != nil {
			t.Fatal(err)
		}
		return s
	}
	c := clock.System{}
	keys := cassandra.NewKeys(session(cassandra.KeySchema()))
	return migrate.Stores{
		Keys: keys, Writer: keys, Buckets: cassandra.NewBuckets(session(cassandra.BucketSchema()), c),
		Meta: cassandra.NewMeta(session(cassandra.MetaSchema()), c), Blobs: cassandra.NewBlobs(session(cassandra.BlobSchema()), c),
	}
}

// world is a service on a source, which a test changes.
type world struct {
	t      *testing.T
	s      migrate.Stores
	b      *backend.Backend
	caller backend.Caller
	rng    *rand.Rand
	n      int
}

const accounts = 2

func newWorld(t *testing.T, s migrate.Stores, seed uint64) *world {
	t.Helper()
	w := &world{t: t, s: s, rng: rand.New(rand.NewPCG(seed, 0))}
	for i := range accounts {
		id := naming.AccountID(fmt.Sprint("account", i))
		a := key.Account{ID: id, Canonical: "canonical-" + string(id), Meta: map[string]string{"colour": "red"}}
		u := key.User{ID: naming.User(id, "admin"), Account: id, Roles: []string{key.RoleAdmin}, PasswordHash: "hash"}
		_, errA := s.Writer.CreateAccount(t.Context(), a)
		_, errU := s.Writer.CreateUser(t.Context(), u)
		errK := s.Writer.CreateKey(t.Context(), key.Key{AccessKey: "KEY" + string(id), Secret: "secret", User: u.ID})
		if err := errors.Join(errA, errU, errK); err != nil {
			t.Fatal(err)
		}
		w.caller = backend.Caller{Principal: access.Principal{Account: id, User: u.ID, Canonical: a.Canonical, Admin: true}}
	}
	w.b = backend.New(backend.Stores{Keys: s.Keys, Buckets: s.Buckets, Meta: s.Meta, Blobs: s.Blobs}, backend.Options{BlockSize: 1 << 10, PartMin: 1, KeepMax: 600})
	for i, versioning := range []bucket.Versioning{bucket.VersioningOff, bucket.VersioningEnabled} {
		name := fmt.Sprint("bucket-", i)
		_, _, err := w.b.CreateContainer(t.Context(), w.caller, backend.NewContainer{
			Account: w.caller.Account, Name: naming.ContainerName(name), Bucket: naming.BucketName(name),
			Config: bucket.Config{Versioning: versioning, Meta: map[string]string{"n": name}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) target() backend.Target {
	return backend.Target{
		Container: backend.Ref{Bucket: naming.BucketName(fmt.Sprint("bucket-", w.rng.IntN(2)))},
		Name:      naming.ObjectName([]string{"a", "a/", "a/b", "b", "\u00e9", "z"}[w.rng.IntN(6)]),
	}
}

// change does some changes of all kinds.
func (w *world) change(ctx context.Context, n int) {
	w.t.Helper()
	for range n {
		w.n++
		to := w.target()
		var err error
		switch k := w.rng.IntN(10); {
		case k < 5:
			size := []int{0, 1, 500, 1000, 3000, 100_000}[w.rng.IntN(6)] // the second and third are kept with their versions, the last is a tree of map blocks
			data := bytes.Repeat(fmt.Appendf(nil, "%d ", w.rng.IntN(40)), size/2+1)[:size]
			_, err = w.b.Put(ctx, w.caller, backend.PutRequest{
				Container: to.Container, Name: to.Name, Body: backend.Body{Reader: bytes.NewReader(data), Size: int64(size)},
			})
		case k < 7:
			_, err = w.b.Delete(ctx, w.caller, backend.DeleteRequest{Target: to})
		default:
			err = w.direct(ctx, to, k)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// direct does what needs more than a call: it copies by reference, amends, locks, removes versions for good, and opens uploads.
func (w *world) direct(ctx context.Context, to backend.Target, k int) error {
	c, err := w.s.Buckets.Resolve(ctx, to.Container.Bucket)
	if err != nil {
		return err
	}
	v, err := w.s.Meta.Get(ctx, c.ID, to.Name, meta.Which{})
	if err != nil {
		return nil //nolint:nilerr // nothing there to do that with
	}
	ch := meta.Change{Container: c.ID, Account: c.Account, Name: to.Name, Now: time.Now(), Bypass: true}
	switch k {
	case 7:
		if !v.Visible() {
			return nil
		}
		copied := *v
		ch.Name, ch.Version, ch.Source = to.Name+"-copy", &copied, &meta.Source{Container: c.ID, Name: to.Name, ID: v.ID}
		copied.Null = c.Config.Versioning != bucket.VersioningEnabled
	case 8:
		ch.Op, ch.Target = meta.Amend, meta.Which{}
		ch.Amend = func(v *object.Version) error {
			v.Tags = []object.Tag{{Key: "n", Value: fmt.Sprint(w.n)}}
			return nil
		}
	default:
		ch.Op, ch.Target = meta.Remove, meta.Which{By: meta.ByID, ID: v.ID}
	}
	_, err = w.s.Meta.Commit(ctx, ch)
	return err
}

// upload opens an upload with two parts.
func (w *world) upload(ctx context.Context) {
	w.t.Helper()
	c, err := w.s.Buckets.Resolve(ctx, "bucket-0")
	if err != nil {
		w.t.Fatal(err)
	}
	k := meta.UploadKey{Container: c.ID, Name: "upload", ID: fmt.Sprint("u", w.n)}
	if err := w.s.Meta.Begin(ctx, meta.Upload{UploadKey: k, Account: c.Account, Initiated: time.Now()}); err != nil {
		w.t.Fatal(err)
	}
	for i := range 2 {
		data := fmt.Appendf(nil, "part %d of %s", i, k.ID)
		h, id := block.NewHolder(), block.Sum(data)
		err := errors.Join(
			w.s.Meta.Intend(ctx, h, meta.Intent{Account: c.Account, Expires: time.Now().Add(time.Hour)}),
			w.s.Blobs.Put(ctx, blob.Hold{Holder: h, Account: c.Account}, id, data),
			w.s.Blobs.Sync(ctx),
			w.s.Meta.PutPart(ctx, k, meta.Part{
				Part:    object.Part{Number: i + 1, Size: int64(len(data)), ETag: "tag"},
				Content: object.Content{Holder: h, Map: block.Map{Refs: []block.Ref{{ID: id, Len: int64(len(data))}}}},
			}, meta.Limits{}),
		)
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// check wants no difference, and every object to be read from the target as from the source.
func (w *world) check(to migrate.Stores) {
	w.t.Helper()
	r, err := migrate.Run(w.t.Context(), w.s, to, migrate.Options{Check: true})
	if err != nil || r.Differences != 0 || r.Versions == 0 {
		w.t.Fatalf("check: %+v, %v", r, err)
	}
	moved := backend.New(backend.Stores{Keys: to.Keys, Buckets: to.Buckets, Meta: to.Meta, Blobs: to.Blobs}, backend.Options{})
	for _, b := range []naming.BucketName{"bucket-0", "bucket-1"} {
		page, err := w.b.List(w.t.Context(), w.caller, backend.ListRequest{Container: backend.Ref{Bucket: b}, Limit: 1000})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range page.Entries {
			at := backend.Target{Container: backend.Ref{Bucket: b}, Name: e.Name}
			if a, b := read(w.t, w.b, w.caller, at), read(w.t, moved, w.caller, at); !bytes.Equal(a, b) {
				w.t.Fatalf("%s is %d bytes in the source, other %d in the target", e.Name, len(a), len(b))
			}
		}
	}
}

func read(t *testing.T, b *backend.Backend, c backend.Caller, at backend.Target) []byte {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	o, err := b.Open(ctx, c, at, object.Precondition{}, access.GetObject)
	if err != nil {
		t.Fatalf("%s: %v", at.Name, err)
	}
	var buf bytes.Buffer
	if err := o.CopyTo(ctx, &buf, 0, o.Size); err != nil {
		t.Fatalf("%s: %v", at.Name, err)
	}
	return buf.Bytes()
}

// TestMigrate moves a source to a target and on to a third one, with changes between the passes.
func TestMigrate(t *testing.T) {
	all := engines(t)
	for _, way := range [][2]string{{"memory", "embedded"}, {"embedded", "memory"}, {"embedded", "cassandra"}, {"cassandra", "embedded"}} {
		from, to := all[way[0]], all[way[1]]
		if from == nil || to == nil {
			continue // PITHOS_TEST_CASSANDRA names no cluster
		}
		t.Run(way[0]+" to "+way[1], func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			w := newWorld(t, from(), seed)
			target := to()
			w.change(t.Context(), 60)
			w.upload(t.Context())
			for range 3 {
				r, err := migrate.Run(t.Context(), w.s, target, migrate.Options{})
				if err != nil {
					t.Fatal(err)
				}
				w.check(target)
				again, err := migrate.Run(t.Context(), w.s, target, migrate.Options{})
				if err != nil || again.Added+again.Amended+again.Removed+again.BlocksSent != 0 || again.Versions != r.Versions {
					t.Fatalf("a second pass over a source at rest: %+v after %+v, %v", again, r, err)
				}
				w.change(t.Context(), 40)
				w.users()
			}
		})
	}
}

// TestDamagedKeptBytesAreNotMoved, as damaged blocks are not.
func TestDamagedKeptBytesAreNotMoved(t *testing.T) {
	all := engines(t)
	w := newWorld(t, all["memory"](), 1)
	c, err := w.s.Buckets.Resolve(t.Context(), "bucket-0")
	if err != nil {
		t.Fatal(err)
	}
	v := &object.Version{Summary: object.Summary{Null: true, Size: 5, ETag: "e"}, Content: object.Content{
		Map: block.Map{Refs: []block.Ref{{ID: block.Sum([]byte("bytes")), Len: 5}}, Kept: []byte("bytez")},
	}}
	if _, err := w.s.Meta.Commit(t.Context(), meta.Change{Container: c.ID, Account: c.Account, Name: "a", Now: time.Now(), Version: v}); err != nil {
		t.Fatal(err)
	}
	if r, err := migrate.Run(t.Context(), w.s, all["memory"](), migrate.Options{}); !errs.Is(err, errs.Corrupt) || r.Added != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// users changes who there is.
func (w *world) users() {
	w.t.Helper()
	w.n++
	id := naming.AccountID(fmt.Sprint("more", w.n))
	_, errA := w.s.Writer.CreateAccount(w.t.Context(), key.Account{ID: id, Canonical: string(id)})
	_, errU := w.s.Writer.CreateUser(w.t.Context(), key.User{ID: naming.User(id, "u"), Account: id})
	u, errG := w.s.Writer.User(w.t.Context(), w.caller.User)
	u.DisplayName = fmt.Sprint(w.n)
	_, errW := w.s.Writer.UpdateUser(w.t.Context(), u)
	errD := w.s.Writer.DisableKey(w.t.Context(), "KEYaccount0", w.n%2 == 0)
	if err := errors.Join(errA, errU, errG, errW, errD); err != nil {
		w.t.Fatal(err)
	}
}

var errKilled = errors.New("killed")

// mortal is a target that dies at a step: that one and all later ones fail, and it may have taken effect or not.
type mortal struct {
	left  atomic.Int64
	after bool
}

func (m *mortal) step(do func() error) error {
	switch left := m.left.Add(-1); {
	case left > 0:
		return do()
	case left == 0 && m.after:
		return errors.Join(errKilled, do())
	}
	return errKilled
}

type mortalMeta struct {
	meta.Store
	m *mortal
}

func (s mortalMeta) Commit(ctx context.Context, c meta.Change) (out meta.Outcome, err error) {
	err = s.m.step(func() (err error) { out, err = s.Store.Commit(ctx, c); return err })
	return out, err
}

func (s mortalMeta) Intend(ctx context.Context, h block.Holder, in meta.Intent) error {
	return s.m.step(func() error { return s.Store.Intend(ctx, h, in) })
}

func (s mortalMeta) Abandon(ctx context.Context, h block.Holder) error {
	return s.m.step(func() error { return s.Store.Abandon(ctx, h) })
}

func (s mortalMeta) PutPart(ctx context.Context, k meta.UploadKey, p meta.Part, l meta.Limits) error {
	return s.m.step(func() error { return s.Store.PutPart(ctx, k, p, l) })
}

type mortalBlobs struct {
	blob.Store
	m *mortal
}

func (s mortalBlobs) Put(ctx context.Context, h blob.Hold, id block.ID, data []byte) error {
	return s.m.step(func() error { return s.Store.Put(ctx, h, id, data) })
}

func (s mortalBlobs) Hold(ctx context.Context, h blob.Hold, ids []block.ID) (missing []block.ID, err error) {
	err = s.m.step(func() (err error) { missing, err = s.Store.Hold(ctx, h, ids); return err })
	return missing, err
}

type mortalBuckets struct {
	bucket.Store
	m *mortal
}

func (s mortalBuckets) Create(ctx context.Context, c bucket.Container) (out bucket.Container, err error) {
	err = s.m.step(func() (err error) { out, err = s.Store.Create(ctx, c); return err })
	return out, err
}

// TestKilled kills migrations at random steps. Whatever was done until then, one more pass makes the target equal.
func TestKilled(t *testing.T) {
	all := engines(t)
	for _, to := range []string{"memory", "embedded"} {
		t.Run("to "+to, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			w := newWorld(t, all["memory"](), seed)
			target := all[to]()
			for range 30 {
				w.change(t.Context(), 10)
				w.upload(t.Context())
				m := &mortal{after: w.rng.IntN(2) == 0}
				m.left.Store(1 + w.rng.Int64N(60))
				dying := target
				dying.Meta, dying.Blobs, dying.Buckets = mortalMeta{target.Meta, m}, mortalBlobs{target.Blobs, m}, mortalBuckets{target.Buckets, m}
				if _, err := migrate.Run(t.Context(), w.s, dying, migrate.Options{Parallel: 1 + w.rng.IntN(4)}); err != nil && !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
			}
			if _, err := migrate.Run(t.Context(), w.s, target, migrate.Options{}); err != nil {
				t.Fatal(err)
			}
			w.check(target)
		})
	}
}

// TestOnline migrates a source that is written to. When it has come to rest, one more pass makes the target equal.
func TestOnline(t *testing.T) {
	all := engines(t)
	w := newWorld(t, all["embedded"](), rand.Uint64())
	target := all["embedded"]()
	w.change(t.Context(), 50)
	var group sync.WaitGroup
	group.Go(func() { w.change(t.Context(), 300) })
	for range 5 {
		if _, err := migrate.Run(t.Context(), w.s, target, migrate.Options{}); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
	if _, err := migrate.Run(t.Context(), w.s, target, migrate.Options{}); err != nil {
		t.Fatal(err)
	}
	w.check(target)
}

// TestCheckFindsDifferences shows that a check sees what is not equal.
func TestCheckFindsDifferences(t *testing.T) {
	all := engines(t)
	w := newWorld(t, all["memory"](), 1)
	target := all["memory"]()
	w.change(t.Context(), 30)
	if r, err := migrate.Run(t.Context(), w.s, target, migrate.Options{Check: true}); err != nil || r.Differences == 0 {
		t.Errorf("a check against nothing: %+v, %v", r, err)
	}
	if _, err := migrate.Run(t.Context(), w.s, target, migrate.Options{}); err != nil {
		t.Fatal(err)
	}
	w.check(target)
	c, err := target.Buckets.Resolve(t.Context(), "bucket-1")
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(v *object.Version) meta.Change{
		"amended": func(*object.Version) meta.Change {
			return meta.Change{Op: meta.Amend, Amend: func(v *object.Version) error { v.LegalHold = true; return nil }}
		},
		"added": func(*object.Version) meta.Change {
			return meta.Change{Version: &object.Version{Summary: object.Summary{Kind: object.DeleteMarker}}}
		},
	} {
		page, err := w.b.List(t.Context(), w.caller, backend.ListRequest{Container: backend.Ref{Bucket: "bucket-1"}, Limit: 1})
		if err != nil || len(page.Entries) == 0 {
			t.Fatal(err)
		}
		ch := spoil(nil)
		ch.Container, ch.Account, ch.Name, ch.Now = c.ID, c.Account, page.Entries[0].Name, time.Now()
		if _, err := target.Meta.Commit(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
		if r, err := migrate.Run(t.Context(), w.s, target, migrate.Options{Check: true}); err != nil || r.Differences == 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestWhatStandsBesideTheUsersAccountsComesAlong wants what the service keeps under names of its own to be moved: settings of accounts, and the
// accounts that services keep for their users.
func TestWhatStandsBesideTheUsersAccountsComesAlong(t *testing.T) {
	all := engines(t)
	w := newWorld(t, all["memory"](), 1)
	err := w.b.ConfigureAccount(t.Context(), w.caller, w.caller.Account, access.PutAccount, func(s *backend.AccountSettings) error {
		s.Meta["colour"] = "blue"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	service := naming.Service(naming.ServicePrefix, w.caller.Account)
	caller := w.caller
	caller.ServiceRoles = []string{access.RoleService}
	if _, _, err := w.b.CreateContainer(t.Context(), caller, backend.NewContainer{Account: service, Name: "images"}); err != nil {
		t.Fatal(err)
	}
	target := all["embedded"]()
	if _, err := migrate.Run(t.Context(), w.s, target, migrate.Options{}); err != nil {
		t.Fatal(err)
	}
	moved := backend.New(backend.Stores{Keys: target.Keys, Buckets: target.Buckets, Meta: target.Meta, Blobs: target.Blobs}, backend.Options{})
	if s, err := moved.AccountSettings(t.Context(), w.caller, w.caller.Account); err != nil || s.Meta["colour"] != "blue" {
		t.Errorf("%+v, %v", s, err)
	}
	if list, _, err := moved.Containers(t.Context(), caller, service, "", 10); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if r, err := migrate.Run(t.Context(), w.s, target, migrate.Options{Check: true}); err != nil || r.Differences != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
