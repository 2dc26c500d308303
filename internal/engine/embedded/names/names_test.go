package names

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
)

// opened are both stores on one database, and how to open them again.
type opened struct {
	*testing.T
	fs      vfs.FS
	db      *pebble.DB
	buckets *Buckets
	keys    *Keys
}

func open(t *testing.T) *opened {
	o := &opened{T: t, fs: vfs.NewMem()}
	o.open()
	t.Cleanup(o.close)
	return o
}

func (o *opened) open() {
	o.Helper()
	var err error
	if o.db, err = pebble.Open("db", &pebble.Options{FS: o.fs, Logger: quiet{}}); err != nil {
		o.Fatal(err)
	}
	var err1, err2 error
	o.buckets, err1 = NewBuckets(o.db)
	o.keys, err2 = NewKeys(o.db)
	o.ok(errors.Join(err1, err2))
}

func (o *opened) close() {
	o.Helper()
	if err := errors.Join(o.buckets.Close(), o.keys.Close(), o.db.Close()); err != nil {
		o.Error(err)
	}
}

func (o *opened) reopen() { o.close(); o.open() }

func (o *opened) ok(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

func (o *opened) fails(err error, kind errs.Kind, thing errs.Thing) {
	o.Helper()
	if !errs.IsThing(err, kind, thing) {
		o.Fatalf("got %v, want %v of %v", err, kind, thing)
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

func TestContainers(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	c := bucket.Container{
		ID: naming.NewContainerID(), Account: "test", Name: "photos", Bucket: "my-photos", Region: "r", Created: time.Date(2026, 1, 2, 3, 4, 5, 6007, time.UTC),
		Config: bucket.Config{
			Versioning: bucket.VersioningEnabled, ACL: access.ACL{Grants: []access.Grant{{Group: access.AllUsers, Permission: access.Read}}},
			Meta: map[string]string{"k": "v"}, Documents: map[string][]byte{"policy": []byte("{}\xff")},
		},
	}
	made, err := o.buckets.Create(ctx, c)
	o.ok(err)
	want := made
	if want.Revision == 0 {
		t.Fatal("no revision")
	}
	for range 2 {
		got, err := o.buckets.Lookup(ctx, "test", "photos")
		o.ok(err)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		got.Config.Meta["k"] = "changed by the caller"
		got, err = o.buckets.Resolve(ctx, "my-photos")
		o.ok(err)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		o.reopen()
	}
	_, err = o.buckets.Create(ctx, c)
	o.fails(err, errs.Exists, errs.Container)
	other := c
	other.Account, other.ID = "else", naming.NewContainerID()
	_, err = o.buckets.Create(ctx, other)
	o.fails(err, errs.Exists, errs.Bucket)
	var taken *bucket.TakenError
	if !errors.As(err, &taken) || taken.Account != "test" {
		t.Fatalf("taken by %+v", taken)
	}
	_, err = o.buckets.Lookup(ctx, "else", "photos")
	o.fails(err, errs.NotFound, errs.Container)
	made.Config.Meta = nil
	updated, err := o.buckets.Update(ctx, made)
	o.ok(err)
	_, err = o.buckets.Update(ctx, made)
	o.fails(err, errs.Conflict, errs.Container)
	o.fails(o.buckets.Remove(ctx, made), errs.Conflict, errs.Container)
	o.ok(o.buckets.Remove(ctx, updated))
	o.fails(o.buckets.Remove(ctx, updated), errs.NotFound, errs.Container)
	_, err = o.buckets.Resolve(ctx, "my-photos")
	o.fails(err, errs.NotFound, errs.Bucket)
	_, err = o.buckets.Create(ctx, other)
	o.ok(err)
}

func TestContainerListing(t *testing.T) {
	o := open(t)
	for _, c := range []bucket.Container{{Account: "a", Name: "x"}, {Account: "a", Name: "b/"}, {Account: "a", Name: "b"}, {Account: "ab", Name: "a"}} {
		_, err := o.buckets.Create(t.Context(), c)
		o.ok(err)
	}
	for after, want := range map[naming.ContainerName]string{"": "b b/ x ", "b": "b/ x ", "b/": "x ", "a": "b b/ x ", "x": ""} {
		got := ""
		o.ok(o.buckets.Containers(t.Context(), "a", after, func(c bucket.Container) bool { got += string(c.Name) + " "; return true }))
		if got != want {
			t.Errorf("after %q: %q, want %q", after, got, want)
		}
	}
}

// TestClaimRace lets accounts race for one bucket name.
func TestClaimRace(t *testing.T) {
	o := open(t)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			c := bucket.Container{ID: naming.NewContainerID(), Account: naming.AccountID(fmt.Sprint("a", i)), Name: "n", Bucket: "the-one"}
			switch _, err := o.buckets.Create(t.Context(), c); {
			case err == nil:
				won.Add(1)
			case !errs.IsThing(err, errs.Exists, errs.Bucket):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d winners", won.Load())
	}
}

func TestKeys(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	a := key.Account{ID: "test", Canonical: "c1", Email: "e@x", DisplayName: "T", Created: time.UnixMicro(5).UTC(), Meta: map[string]string{"m": "1"}}
	a, err := o.keys.CreateAccount(ctx, a)
	o.ok(err)
	_, err = o.keys.CreateAccount(ctx, key.Account{ID: "other", Canonical: "c1"})
	o.fails(err, errs.Exists, errs.Account)
	b, err := o.keys.CreateAccount(ctx, key.Account{ID: "other", Canonical: "c2", Email: "e@x"})
	o.ok(err)
	_, err = o.keys.Email(ctx, "e@x")
	o.fails(err, errs.Conflict, errs.Account)
	b.Canonical = "c1"
	_, err = o.keys.UpdateAccount(ctx, b)
	o.fails(err, errs.Exists, errs.Account)
	b.Canonical, b.Email = "c3", ""
	_, err = o.keys.UpdateAccount(ctx, b)
	o.ok(err)
	_, err = o.keys.UpdateAccount(ctx, b)
	o.fails(err, errs.Conflict, errs.Account)
	_, err = o.keys.Canonical(ctx, "c2")
	o.fails(err, errs.NotFound, errs.Account)
	_, err = o.keys.Email(ctx, "")
	o.fails(err, errs.NotFound, errs.Account)

	_, err = o.keys.CreateUser(ctx, key.User{ID: "no:u", Account: "no"})
	o.fails(err, errs.NotFound, errs.Account)
	u, err := o.keys.CreateUser(ctx, key.User{ID: "test:u", Account: "test", Roles: []string{"admin"}})
	o.ok(err)
	_, err = o.keys.CreateUser(ctx, u)
	o.fails(err, errs.Exists, errs.User)
	o.fails(o.keys.CreateKey(ctx, key.Key{AccessKey: "AK", User: "test:none"}), errs.NotFound, errs.User)
	k := key.Key{AccessKey: "AK", Secret: "s3cret", User: u.ID, Created: time.UnixMicro(6).UTC(), Policy: []byte{1}}
	o.ok(o.keys.CreateKey(ctx, k))
	o.fails(o.keys.CreateKey(ctx, k), errs.Exists, errs.Key)
	want := key.Identity{Key: k, User: u, Account: a}
	for range 3 {
		got, err := o.keys.Lookup(ctx, "AK")
		o.ok(err)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		got.User.Roles[0] = "changed by the caller"
	}
	o.ok(o.keys.DisableKey(ctx, "AK", true))
	o.reopen()
	if got, err := o.keys.Lookup(ctx, "AK"); err != nil || !got.Key.Disabled {
		t.Fatalf("got %+v, %v", got.Key.Disabled, err)
	}
	o.fails(o.keys.RemoveAccount(ctx, "test"), errs.NotEmpty, errs.Account)
	o.ok(o.keys.RemoveUser(ctx, u.ID))
	_, err = o.keys.Lookup(ctx, "AK")
	o.fails(err, errs.NotFound, errs.Key)
	o.fails(o.keys.RemoveKey(ctx, "AK"), errs.NotFound, errs.Key)
	o.ok(o.keys.RemoveAccount(ctx, "test"))
	if a, err := o.keys.CreateAccount(ctx, key.Account{ID: "third", Canonical: "c1"}); err != nil || a.Revision == 0 {
		t.Fatalf("the canonical id was not given free: %v", err)
	}
}

func TestKeyListings(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	for _, a := range []naming.AccountID{"a", "ab", "b"} {
		_, err := o.keys.CreateAccount(ctx, key.Account{ID: a, Canonical: "c" + string(a)})
		o.ok(err)
		for _, n := range []string{"y", "x"} {
			u, err := o.keys.CreateUser(ctx, key.User{ID: naming.User(a, n), Account: a})
			o.ok(err)
			o.ok(o.keys.CreateKey(ctx, key.Key{AccessKey: "K" + string(a) + n, User: u.ID}))
		}
	}
	users := func(a naming.AccountID, after naming.UserID) (got string) {
		o.ok(o.keys.Users(ctx, a, after, func(u key.User) bool { got += string(u.ID) + " "; return true }))
		return got
	}
	for got, want := range map[string]string{
		users("a", ""):       "a:x a:y ",
		users("a", "a:x"):    "a:y ",
		users("", ""):        "a:x a:y ab:x ab:y b:x b:y ",
		users("", "ab:y"):    "b:x b:y ",
		users("nobody", "x"): "",
	} {
		if got != want {
			t.Errorf("users %q, want %q", got, want)
		}
	}
	var got string
	o.ok(o.keys.Accounts(ctx, "a", func(a key.Account) bool { got += string(a.ID) + " "; return a.ID != "ab" }))
	o.ok(o.keys.Keys(ctx, "ab:x", func(k key.Key) bool { got += k.AccessKey + " "; return true }))
	if got != "ab Kabx " {
		t.Errorf("got %q", got)
	}
}

func TestClosed(t *testing.T) {
	o := open(t)
	o.ok(errors.Join(o.buckets.Close(), o.keys.Close()))
	_, err := o.buckets.Lookup(context.Background(), "a", "b")
	o.fails(err, errs.Closed, errs.Store)
	_, err = o.keys.Lookup(context.Background(), "a")
	o.fails(err, errs.Closed, errs.Store)
}
