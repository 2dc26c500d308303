package backend_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

func TestKeysIdentify(t *testing.T) {
	w := newWorld(t)
	keys := w.stores.Keys.(key.Store)
	id, p, err := w.Identify(t.Context(), "AKalice")
	if err != nil || id.Key.Secret != "secret of alice" {
		t.Fatal(err)
	}
	want := w.alice.Principal
	want.Project, want.Roles = "alice", []string{key.RoleAdmin}
	if d := cmp.Diff(want, p); d != "" {
		t.Error(d)
	}
	_, _, err = w.Identify(t.Context(), "nobody's")
	wantKind(t, err, errs.Unauthenticated, errs.Key)

	short := key.Key{AccessKey: "short", Secret: "s", User: w.alice.User, Expires: w.clock.Now().Add(time.Minute)}
	if err := keys.CreateKey(t.Context(), short); err != nil {
		t.Fatal(err)
	}
	if _, _, err = w.Identify(t.Context(), "short"); err != nil {
		t.Error(err)
	}
	w.clock.Advance(time.Minute)
	_, _, err = w.Identify(t.Context(), "short")
	wantKind(t, err, errs.Unauthenticated, errs.Key)

	if err := keys.DisableKey(t.Context(), "AKalice", true); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.Identify(t.Context(), "AKalice")
	wantKind(t, err, errs.Unauthenticated, errs.Key)
	bob, err := keys.Account(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	bob.Disabled = true
	if _, err := keys.UpdateAccount(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.Identify(t.Context(), "AKbob")
	wantKind(t, err, errs.Unauthenticated, errs.Key)
}

func TestRolesGivePowers(t *testing.T) {
	w := newWorld(t)
	keys := w.stores.Keys.(key.Store)
	for role, want := range map[string]access.Principal{
		"":               {},
		key.RoleAdmin:    {Admin: true},
		key.RoleOperator: {Operator: true},
	} {
		u := key.User{ID: naming.User("bob", "u"+role), Account: "bob", Roles: []string{role}, Groups: []string{"g"}}
		if _, err := keys.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if err := keys.CreateKey(t.Context(), key.Key{AccessKey: "K" + role, Secret: "s", User: u.ID}); err != nil {
			t.Fatal(err)
		}
		want.Account, want.User, want.Canonical, want.AccessKey, want.Groups = "bob", u.ID, "canonical-bob", "K"+role, u.Groups
		want.Project, want.Roles = "bob", u.Roles
		_, p, err := w.Identify(t.Context(), "K"+role)
		if d := cmp.Diff(want, p); err != nil || d != "" {
			t.Errorf("%q: %v %s", role, err, d)
		}
	}
}

func TestABucketNameHasOneOwner(t *testing.T) {
	w := newWorld(t)
	again, created, err := w.CreateContainer(t.Context(), w.alice, backend.NewContainer{Account: "alice", Name: "photos", Bucket: "photos"})
	if err != nil || created || again.ID != w.bucket.ID {
		t.Errorf("the own bucket again: %v, %v, %v", again, created, err)
	}
	_, _, err = w.CreateContainer(t.Context(), w.bob, backend.NewContainer{Account: "bob", Name: "photos", Bucket: "photos"})
	wantKind(t, err, errs.Exists, errs.Bucket)
	_, _, err = w.CreateContainer(t.Context(), w.bob, backend.NewContainer{Account: "alice", Name: "b", Bucket: "bbb"})
	wantKind(t, err, errs.Denied, errs.Container)
	_, _, err = w.CreateContainer(t.Context(), anyone, backend.NewContainer{Account: "alice", Name: "b", Bucket: "bbb"})
	wantKind(t, err, errs.Denied, errs.Container)
	_, _, err = w.CreateContainer(t.Context(), w.alice, backend.NewContainer{Account: "alice", Name: "b", Bucket: "bbb", Config: bucket.Config{BlockSize: 7}})
	wantKind(t, err, errs.Invalid, errs.Config)
}

func TestContainersAreListedInPages(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.create(fmt.Sprintf("box-%d", i), bucket.Config{})
	}
	list, more, err := w.Containers(t.Context(), w.alice, "alice", "box-1", 3)
	if err != nil || !more || len(list) != 3 || list[0].Name != "box-2" {
		t.Errorf("%v, %v, %v", list, more, err)
	}
	list, more, err = w.Containers(t.Context(), w.alice, "alice", "box-2", 3)
	if err != nil || more || len(list) != 3 {
		t.Errorf("%v, %v, %v", list, more, err)
	}
	_, _, err = w.Containers(t.Context(), w.bob, "alice", "", 3)
	wantKind(t, err, errs.Denied, errs.Account)
}

func TestOnlyAnEmptyContainerIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.put("x", random(1, 10))
	u := w.begin("y")
	w.part(u, 1, random(2, 10))
	wantKind(t, w.DeleteContainer(t.Context(), w.bob, ref("photos")), errs.Denied, errs.Container)
	wantKind(t, w.DeleteContainer(t.Context(), w.alice, ref("photos")), errs.NotEmpty, errs.Container)
	w.put("x", random(1, 11)) // it is open again
	w.delete(target("x"))
	if err := w.DeleteContainer(t.Context(), w.alice, ref("photos")); err != nil {
		t.Fatal(err)
	}
	wantKind(t, w.DeleteContainer(t.Context(), w.alice, ref("photos")), errs.NotFound, errs.Bucket)
	_, err := w.Put(t.Context(), w.alice, put("x", nil))
	wantKind(t, err, errs.NotFound, errs.Bucket)
	w.collect()
	if got := w.blocks(); got != 0 {
		t.Errorf("%d blocks are left", got)
	}
	if usage, err := w.AccountUsage(t.Context(), w.alice, "alice"); err != nil || usage != (meta.Usage{}) {
		t.Errorf("usage %+v, %v", usage, err)
	}
	if again := w.create("photos", bucket.Config{}); again.ID == w.bucket.ID {
		t.Error("a new container has an old id")
	}
}

// crashing is a bucketstore that is gone when a container is to be removed.
type crashing struct {
	bucket.Store
	crash bool
}

func (c *crashing) Remove(ctx context.Context, container bucket.Container) error {
	if c.crash {
		return errs.E("crashing", errs.Busy, errs.Store, "")
	}
	return c.Store.Remove(ctx, container)
}

func TestTheNextAttemptCompletesARemoval(t *testing.T) {
	c := &crashing{}
	w := newWorld(t, func(s *backend.Stores, _ *backend.Options) { c.Store = s.Buckets; s.Buckets = c })
	c.crash = true
	if err := w.DeleteContainer(t.Context(), w.alice, ref("photos")); !errs.Is(err, errs.Busy) {
		t.Fatal(err)
	}
	c.crash = false
	_, err := w.Put(t.Context(), w.alice, put("x", nil))
	wantKind(t, err, errs.NotFound, errs.Container)
	if err := w.DeleteContainer(t.Context(), w.alice, ref("photos")); err != nil {
		t.Error(err)
	}
}

func TestTheNextAttemptUndoesARemoval(t *testing.T) {
	w := newWorld(t)
	w.put("x", nil)
	if err := w.stores.Meta.Seal(t.Context(), w.bucket.ID); err != nil { // and then the process died
		t.Fatal(err)
	}
	wantKind(t, w.DeleteContainer(t.Context(), w.alice, ref("photos")), errs.NotEmpty, errs.Container)
	w.put("y", nil)
}

func grants(g ...access.Grant) access.ACL { return access.ACL{Grants: g} }

func toBob(p access.Permission) access.Grant {
	return access.Grant{Canonical: "canonical-bob", Permission: p}
}

func TestWhoOwnsANewObject(t *testing.T) {
	full := grants(access.Grant{Canonical: "canonical-alice", Permission: access.FullControl})
	for name, c := range map[string]struct {
		ownership bucket.Ownership
		list      access.ACL
		owner     naming.AccountID
		reason    errs.Reason
	}{
		"writer":                  {bucket.ObjectWriter, access.ACL{}, "bob", ""},
		"default":                 {"", full, "bob", ""},
		"preferred, not given":    {bucket.BucketOwnerPreferred, access.ACL{}, "bob", ""},
		"preferred, given":        {bucket.BucketOwnerPreferred, full, "alice", ""},
		"enforced":                {bucket.BucketOwnerEnforced, access.ACL{}, "alice", ""},
		"enforced, full control":  {bucket.BucketOwnerEnforced, full, "alice", ""},
		"enforced, another grant": {bucket.BucketOwnerEnforced, grants(access.Grant{Group: access.AllUsers, Permission: access.Read}), "", errs.ACLsDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create("box", bucket.Config{Ownership: c.ownership})
			r := backend.PutRequest{Container: ref("box"), Name: "x", Body: body(nil), Attributes: backend.Attributes{ACL: c.list}}
			other := w.bob
			other.Operator = true // may write anywhere
			v, err := w.Put(t.Context(), other, r)
			if c.reason != "" {
				wantReason(t, err, errs.Invalid, c.reason)
				return
			}
			if err != nil || v.Owner != c.owner {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

func TestDisabledListsStayDisabled(t *testing.T) {
	w := newWorld(t)
	set := func(a access.Action, change func(*bucket.Config)) error {
		_, err := w.Configure(t.Context(), w.alice, ref("photos"), a, func(_ bucket.Container, c *bucket.Config) error {
			change(c)
			return nil
		})
		return err
	}
	public := grants(access.Grant{Group: access.AllUsers, Permission: access.Read})
	enforce := func(c *bucket.Config) { c.Ownership = bucket.BucketOwnerEnforced }
	if err := set(access.PutBucketACL, func(c *bucket.Config) { c.ACL = public }); err != nil {
		t.Fatal(err)
	}
	wantReason(t, set(access.PutBucketOwnershipControls, enforce), errs.Invalid, errs.ACLsInTheWay)
	if err := set(access.PutBucketACL, func(c *bucket.Config) { c.ACL = access.ACL{} }); err != nil {
		t.Fatal(err)
	}
	if err := set(access.PutBucketOwnershipControls, enforce); err != nil {
		t.Fatal(err)
	}
	wantReason(t, set(access.PutBucketACL, func(c *bucket.Config) { c.ACL = public }), errs.Invalid, errs.ACLsDisabled)
	w.put("x", nil)
	_, err := w.Amend(t.Context(), w.alice, target("x"), access.PutObjectACL, func(_ bucket.Container, v *object.Version) error {
		v.ACL = public
		return nil
	})
	wantReason(t, err, errs.Invalid, errs.ACLsDisabled)
}

func TestConfigureStartsOverOnConflict(t *testing.T) {
	w := newWorld(t)
	turns := 0
	got, err := w.Configure(t.Context(), w.alice, ref("photos"), access.PutBucketVersioning, func(_ bucket.Container, c *bucket.Config) error {
		if turns++; turns == 1 {
			w.policy(bucket.VersioningSuspended)
		}
		c.Quota.Bytes = 5
		return nil
	})
	if err != nil || turns != 2 || got.Config.Versioning != bucket.VersioningSuspended || got.Config.Quota.Bytes != 5 {
		t.Errorf("%+v, %d turns, %v", got.Config, turns, err)
	}
}

func TestWhatIsMissingIsToldToThoseWhoMayList(t *testing.T) {
	w := newWorld(t)
	r := put("public", nil)
	r.Attributes.ACL = grants(access.Grant{Group: access.AllUsers, Permission: access.Read}, toBob(access.ReadACP))
	if _, err := w.Put(t.Context(), w.alice, r); err != nil {
		t.Fatal(err)
	}
	w.put("private", nil)
	open := func(c backend.Caller, name string, a access.Action) error {
		_, err := w.Open(t.Context(), c, target(name), object.Precondition{}, a)
		return err
	}
	for _, c := range []backend.Caller{w.bob, anyone} {
		if err := open(c, "public", access.GetObject); err != nil {
			t.Error(err)
		}
		wantKind(t, open(c, "private", access.GetObject), errs.Denied, errs.Object)
		wantKind(t, open(c, "missing", access.GetObject), errs.Denied, errs.Object)
	}
	if err := open(w.bob, "public", access.GetObjectACL); err != nil {
		t.Error(err)
	}
	wantKind(t, open(anyone, "public", access.GetObjectACL), errs.Denied, errs.Object)
	_, err := w.Configure(t.Context(), w.alice, ref("photos"), access.PutBucketACL, func(_ bucket.Container, c *bucket.Config) error {
		c.ACL = grants(toBob(access.Read))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, open(w.bob, "missing", access.GetObject), errs.NotFound, errs.Object)
	wantKind(t, open(anyone, "missing", access.GetObject), errs.Denied, errs.Object)
	wantKind(t, open(w.bob, "private", access.GetObject), errs.Denied, errs.Object)
	wantKind(t, open(w.alice, "missing", access.GetObject), errs.NotFound, errs.Object)
}

func TestRacingRemovalsAndPuts(t *testing.T) {
	w := newWorld(t)
	for round := range 50 {
		name := fmt.Sprintf("box-%d", round)
		box := w.create(name, bucket.Config{})
		var racing sync.WaitGroup
		var removed, stored atomic.Bool
		for range 3 {
			racing.Go(func() {
				if err := w.DeleteContainer(t.Context(), w.alice, ref(name)); err == nil {
					removed.Store(true)
				}
			})
			racing.Go(func() {
				_, err := w.Put(t.Context(), w.alice, backend.PutRequest{Container: ref(name), Name: "x", Body: body([]byte("x"))})
				if err == nil {
					stored.Store(true)
				} else if !errs.Is(err, errs.NotFound) {
					t.Error(err)
				}
			})
		}
		racing.Wait()
		if removed.Load() && stored.Load() {
			t.Errorf("round %d: a container was removed that holds an object", round)
		}
		if usage, err := w.stores.Meta.ContainerUsage(t.Context(), box.ID); err != nil || (usage.Objects == 1) != stored.Load() {
			t.Errorf("round %d: usage %+v, %v", round, usage, err)
		}
	}
}
