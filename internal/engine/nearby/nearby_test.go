package nearby_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/engine/memory"
	"pithos/internal/engine/nearby"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/bucket/buckettest"
	"pithos/internal/store/key"
	"pithos/internal/store/key/keytest"
)

// muted is a home that can fall silent, at once or in the middle of a list.
type muted struct {
	bucket.Store
	mute  bool
	after int // entries of a list
	asked int
}

var errMute = errs.E("muted", errs.Busy, errs.Store, "")

func (m *muted) Lookup(ctx context.Context, a naming.AccountID, n naming.ContainerName) (bucket.Container, error) {
	if m.asked++; m.mute {
		return bucket.Container{}, errMute
	}
	return m.Store.Lookup(ctx, a, n)
}

func (m *muted) Resolve(ctx context.Context, n naming.BucketName) (bucket.Container, error) {
	if m.asked++; m.mute {
		return bucket.Container{}, errMute
	}
	return m.Store.Resolve(ctx, n)
}

func (m *muted) Containers(ctx context.Context, a naming.AccountID, after naming.ContainerName, fn func(bucket.Container) bool) error {
	if !m.mute {
		return m.Store.Containers(ctx, a, after, fn)
	}
	n := 0
	err := m.Store.Containers(ctx, a, after, func(c bucket.Container) bool {
		n++
		return n <= m.after && fn(c)
	})
	if err == nil {
		err = errMute
	}
	return err
}

// TestStores runs the conformance suites over a home that answers.
func TestStores(t *testing.T) {
	t.Run("buckets", func(t *testing.T) {
		buckettest.Run(t, func(*testing.T) bucket.Store {
			return nearby.NewBuckets(memory.New(clock.System{}).Buckets(), memory.New(clock.System{}).Buckets(), clock.System{})
		}, buckettest.Options{})
	})
	t.Run("keys", func(t *testing.T) {
		keytest.Run(t, func(*testing.T) key.Store {
			return nearby.NewKeys(memory.New(clock.System{}).Keys(), memory.New(clock.System{}).Keys(), clock.System{})
		}, keytest.Options{})
	})
}

// TestACopyAnswersForASilentHome asks for what the copy has, and for what it has not.
func TestACopyAnswersForASilentHome(t *testing.T) {
	ctx, c := t.Context(), clock.NewManual(time.Unix(1000, 0))
	at, near := &muted{Store: memory.New(c).Buckets()}, memory.New(c).Buckets()
	both := nearby.NewBuckets(at, near, c)
	make := func(name string, copied bool) {
		made := bucket.Container{ID: naming.NewContainerID(), Account: "a", Name: naming.ContainerName(name), Bucket: naming.BucketName(name)}
		_, err := at.Create(ctx, made)
		errstest.OK(t, err)
		if copied {
			_, err = near.Create(ctx, made)
			errstest.OK(t, err)
		}
	}
	make("bbb", true)
	make("ccc", true)
	make("ddd", false)
	find := func(name naming.BucketName) error { _, err := both.Resolve(ctx, name); return err }
	errstest.OK(t, find("ddd"))
	errstest.Want(t, find("none"), errs.NotFound, errs.Bucket)
	at.mute, at.after = true, 1
	errstest.OK(t, find("bbb"))
	if err := find("ddd"); !errs.Is(err, errs.Busy) {
		t.Errorf("what was not brought over: %v", err)
	}
	if err := find("none"); !errs.Is(err, errs.Busy) {
		t.Errorf("what may not be there: %v", err)
	}
	_, err := both.Lookup(ctx, "a", "none")
	if !errs.Is(err, errs.Busy) {
		t.Errorf("a container that may not be there: %v", err)
	}
	_, err = both.Lookup(ctx, naming.SettingsAccount, "a")
	errstest.Want(t, err, errs.NotFound, errs.Container)
	var names []string
	errstest.OK(t, both.Containers(ctx, "a", "", func(c bucket.Container) bool { names = append(names, string(c.Name)); return true }))
	if !slices.Equal(names, []string{"bbb", "ccc"}) {
		t.Errorf("listed %q", names)
	}
	asked := at.asked
	for range 10 {
		errstest.OK(t, find("bbb"))
	}
	if at.asked != asked {
		t.Errorf("a silent home was asked %d times", at.asked-asked)
	}
	at.mute = false
	c.Advance(time.Second)
	errstest.OK(t, find("bbb"))
	errstest.OK(t, find("ddd"))
}

// TestACopyOfUsers signs in while the home is silent.
func TestACopyOfUsers(t *testing.T) {
	ctx, c := t.Context(), clock.System{}
	at, near := memory.New(c).Keys(), memory.New(c).Keys()
	for _, s := range []key.Store{at, near} {
		_, errA := s.CreateAccount(ctx, key.Account{ID: "a", Canonical: "c"})
		_, errU := s.CreateUser(ctx, key.User{ID: "a:u", Account: "a"})
		errstest.OK(t, errA)
		errstest.OK(t, errU)
		errstest.OK(t, s.CreateKey(ctx, key.Key{AccessKey: "K", Secret: "s", User: "a:u"}))
	}
	keys := nearby.NewKeys(silent{at}, near, c)
	id, err := keys.Lookup(ctx, "K")
	if err != nil || id.Key.Secret != "s" {
		t.Errorf("%v, %v", id, err)
	}
	if _, err := keys.Lookup(ctx, "other"); !errs.Is(err, errs.Busy) {
		t.Errorf("another key: %v", err)
	}
	if _, err := keys.Account(ctx, "a"); err != nil {
		t.Error(err)
	}
	if _, err := keys.Account(ctx, naming.OwnAccount); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	if err := keys.RemoveKey(ctx, "K"); !errs.Is(err, errs.Busy) {
		t.Errorf("a change: %v", err)
	}
	n := 0
	if err := keys.Accounts(ctx, "", func(key.Account) bool { n++; return true }); err != nil || n != 1 {
		t.Errorf("%d accounts, %v", n, err)
	}
}

// silent is a keystore that never answers.
type silent struct{ key.Store }

func (silent) Lookup(context.Context, string) (key.Identity, error) { return key.Identity{}, errMute }

func (silent) Account(context.Context, naming.AccountID) (key.Account, error) {
	return key.Account{}, errMute
}
func (silent) RemoveKey(context.Context, string) error { return errMute }
func (silent) Accounts(context.Context, naming.AccountID, func(key.Account) bool) error {
	return errMute
}
