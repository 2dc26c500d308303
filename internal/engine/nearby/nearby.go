// Package nearby answers look-ups of users and buckets from copies that are near
// while the data centre that decides on them does not answer, so that those who
// were let in go on with the containers whose own home is up.
//
// A copy may be old: it lacks what was not brought over when the home fell
// silent. So it says only what is there. What it does not have is Busy, as it
// would be without it, except in the accounts of the service itself, where
// nothing is what most have. Changes are the home's alone.
package nearby

import (
	"context"
	"slices"
	"sync"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
)

const (
	strikesMost = 3           // refusals in a row after which the home is asked only now and then
	probeEvery  = time.Second // while it is silent
)

// home knows whether the home answers.
type home struct {
	clock clock.Clock

	mu      sync.Mutex
	strikes int
	probe   time.Time // when a silent home is asked next
}

// wanted reports whether the home is to be asked first.
func (h *home) wanted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.strikes < strikesMost {
		return true
	}
	now := h.clock.Now()
	if now.Before(h.probe) {
		return false
	}
	h.probe = now.Add(probeEvery)
	return true
}

func (h *home) observe(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errs.Is(err, errs.Busy) {
		h.strikes = 0
		return
	}
	if h.strikes++; h.strikes == strikesMost {
		h.probe = h.clock.Now().Add(probeEvery)
	}
}

// look asks the home, and the copy when that does not answer.
func look[T any](h *home, asked, near func() (T, error)) (T, error) {
	ask := func() (T, error) {
		v, err := asked()
		h.observe(err)
		return v, err
	}
	first := h.wanted()
	if first {
		if v, err := ask(); !errs.Is(err, errs.Busy) {
			return v, err
		}
	}
	v, err := near()
	if err == nil {
		return v, nil
	}
	if first { // it was asked just now
		var none T
		return none, errs.E("nearby.look", errs.Busy, errs.Store, "").Because("", "the home of this store does not answer").With(err)
	}
	return ask()
}

// lookOwn is look in an account. In those of the service itself the copy is believed also when it has nothing.
func lookOwn[T any](h *home, account naming.AccountID, asked, near func() (T, error)) (T, error) {
	var absent error
	v, err := look(h, asked, func() (v T, err error) {
		if v, err = near(); errs.Is(err, errs.NotFound) {
			absent = err
		}
		return v, err
	})
	if absent != nil && errs.Is(err, errs.Busy) && slices.Contains(naming.Own(), account) {
		err = absent
	}
	return v, err
}

// walk goes through a list of the home and, from where that broke off, through that of the copy.
func walk[T any, K ~string](h *home, after K, key func(T) K, fn func(T) bool, asked, near func(after K, fn func(T) bool) error) error {
	at := after
	each := func(v T) bool {
		at = key(v)
		return fn(v)
	}
	if h.wanted() {
		err := asked(after, each)
		h.observe(err)
		if !errs.Is(err, errs.Busy) {
			return err
		}
	}
	return near(at, each)
}

// Buckets is a bucketstore with a copy.
type Buckets struct {
	bucket.Store // the home
	near         bucket.Store
	home         home
}

// NewBuckets puts a copy beside a home.
func NewBuckets(at, near bucket.Store, c clock.Clock) *Buckets {
	return &Buckets{Store: at, near: near, home: home{clock: c}}
}

// Lookup finds a container; see bucket.Store.
func (b *Buckets) Lookup(ctx context.Context, account naming.AccountID, name naming.ContainerName) (bucket.Container, error) {
	return lookOwn(&b.home, account,
		func() (bucket.Container, error) { return b.Store.Lookup(ctx, account, name) },
		func() (bucket.Container, error) { return b.near.Lookup(ctx, account, name) })
}

// Resolve finds the container behind a global name; see bucket.Store.
func (b *Buckets) Resolve(ctx context.Context, name naming.BucketName) (bucket.Container, error) {
	return look(&b.home,
		func() (bucket.Container, error) { return b.Store.Resolve(ctx, name) },
		func() (bucket.Container, error) { return b.near.Resolve(ctx, name) })
}

// Containers lists an account's containers; see bucket.Store.
func (b *Buckets) Containers(ctx context.Context, account naming.AccountID, after naming.ContainerName, fn func(bucket.Container) bool) error {
	return walk(&b.home, after, func(c bucket.Container) naming.ContainerName { return c.Name }, fn,
		func(after naming.ContainerName, fn func(bucket.Container) bool) error {
			return b.Store.Containers(ctx, account, after, fn)
		},
		func(after naming.ContainerName, fn func(bucket.Container) bool) error {
			return b.near.Containers(ctx, account, after, fn)
		})
}

// Keys is a keystore with a copy.
type Keys struct {
	key.Store // the home
	near      key.Reader
	home      home
}

// NewKeys puts a copy beside a home.
func NewKeys(at key.Store, near key.Reader, c clock.Clock) *Keys {
	return &Keys{Store: at, near: near, home: home{clock: c}}
}

// Lookup finds an access key; see key.Reader.
func (k *Keys) Lookup(ctx context.Context, accessKey string) (key.Identity, error) {
	return look(&k.home,
		func() (key.Identity, error) { return k.Store.Lookup(ctx, accessKey) },
		func() (key.Identity, error) { return k.near.Lookup(ctx, accessKey) })
}

// User finds a user; see key.Reader.
func (k *Keys) User(ctx context.Context, id naming.UserID) (key.User, error) {
	return look(&k.home, func() (key.User, error) { return k.Store.User(ctx, id) }, func() (key.User, error) { return k.near.User(ctx, id) })
}

// Account finds an account; see key.Reader.
func (k *Keys) Account(ctx context.Context, id naming.AccountID) (key.Account, error) {
	return lookOwn(&k.home, id,
		func() (key.Account, error) { return k.Store.Account(ctx, id) },
		func() (key.Account, error) { return k.near.Account(ctx, id) })
}

// Canonical finds an account by its canonical id; see key.Reader.
func (k *Keys) Canonical(ctx context.Context, id string) (key.Account, error) {
	return look(&k.home, func() (key.Account, error) { return k.Store.Canonical(ctx, id) }, func() (key.Account, error) { return k.near.Canonical(ctx, id) })
}

// Accounts lists the accounts; see key.Reader.
func (k *Keys) Accounts(ctx context.Context, after naming.AccountID, fn func(key.Account) bool) error {
	return walk(&k.home, after, func(a key.Account) naming.AccountID { return a.ID }, fn,
		func(after naming.AccountID, fn func(key.Account) bool) error { return k.Store.Accounts(ctx, after, fn) },
		func(after naming.AccountID, fn func(key.Account) bool) error { return k.near.Accounts(ctx, after, fn) })
}
