package backend

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// Expect begins to look up what a request is about to ask for, while the door still finds out who sent it: the container and, for one that reads, the newest version of the object in
// it, for one that writes the quotas. Whoever asks first with the context that it returns gets what was looked up, which is no older than the request; whoever asks again looks again.
//
// Nothing is decided here: every operation authorises as ever before it tells anything. Where the stores are at hand (Options.Distant is not set), nothing is done.
func (b *Backend) Expect(ctx context.Context, t Target, reads, writes bool) context.Context {
	if !b.opts.Distant {
		return ctx
	}
	e := &expected{ref: t.Container}
	e.container = begin(func() (bucket.Container, error) { return b.lookUp(ctx, t.Container) })
	if last, ok := b.last.Get(t.Container); ok {
		e.last = last
		switch {
		case t.Which != meta.Which{}:
		case reads && t.Name != "":
			e.name = t.Name
			e.version = begin(func() (*object.Version, error) { return b.lookUpForReading(ctx, last.id, t.Name, meta.Which{}) })
		case writes:
			e.quotas = begin(func() (quotas, error) { return b.lookUpQuotas(ctx, last.account) })
		}
	}
	return context.WithValue(ctx, expectedKey{}, e)
}

// expected is what a request will ask for, under way. Each part is taken once.
type expected struct {
	ref  Ref
	last whereabouts
	name naming.ObjectName

	mu        sync.Mutex
	container promise[bucket.Container]
	version   promise[*object.Version] // of name in the container that the guess names
	quotas    promise[quotas]          // of the account that the guess names
	seen      *bucket.Container        // the container as it was found last; nil: not yet
}

type expectedKey struct{}

// expecting is what ctx expects, nil when it expects nothing.
func expecting(ctx context.Context) *expected {
	e, _ := ctx.Value(expectedKey{}).(*expected)
	return e
}

// whereabouts is what a look-up of a container found last.
type whereabouts struct {
	id      naming.ContainerID
	account naming.AccountID
}

// promise is a look-up under way; nil: none.
type promise[T any] chan looked[T]

type looked[T any] struct {
	value T
	err   error
}

func begin[T any](look func() (T, error)) promise[T] {
	p := make(promise[T], 1)
	go func() {
		v, err := look()
		p <- looked[T]{v, err}
	}()
	return p
}

// take gives what was looked up in the place that of finds among what ctx expects, or looks now when there is nothing.
func take[T any](ctx context.Context, of func(e *expected) *promise[T], look func() (T, error)) (T, error) {
	e := expecting(ctx)
	if e == nil {
		return look()
	}
	var mine promise[T]
	e.mu.Lock()
	if p := of(e); p != nil {
		mine, *p = *p, nil
	}
	e.mu.Unlock()
	if mine == nil {
		return look()
	}
	l := <-mine // it ends with ctx
	return l.value, l.err
}

// find resolves a reference without asking who wants to know.
func (b *Backend) find(ctx context.Context, r Ref) (bucket.Container, error) {
	c, err := take(ctx, func(e *expected) *promise[bucket.Container] {
		if e.ref != r {
			return nil
		}
		return &e.container
	}, func() (bucket.Container, error) { return b.lookUp(ctx, r) })
	if e := expecting(ctx); e != nil && err == nil && e.ref == r {
		e.mu.Lock()
		e.seen = &c
		e.mu.Unlock()
	}
	return c, err
}

// seen is the container as the request found it last, if it was expected and found.
func seen(ctx context.Context, r Ref) (bucket.Container, bool) {
	e := expecting(ctx)
	if e == nil || e.ref != r {
		return bucket.Container{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen == nil {
		return bucket.Container{}, false
	}
	return *e.seen, true
}

func (b *Backend) lookUp(ctx context.Context, r Ref) (c bucket.Container, err error) {
	if r.Bucket != "" {
		c, err = b.stores.Buckets.Resolve(ctx, r.Bucket)
	} else {
		c, err = b.stores.Buckets.Lookup(ctx, r.Account, r.Name)
	}
	if err == nil && b.opts.Distant {
		b.last.Put(r, whereabouts{c.ID, c.Account})
	}
	return c, err
}

// getForReading finds a version and protects its blocks until ctx ends. A ctx that never ends protects nothing.
func (b *Backend) getForReading(ctx context.Context, container naming.ContainerID, name naming.ObjectName, which meta.Which) (*object.Version, error) {
	return take(ctx, func(e *expected) *promise[*object.Version] {
		if e.last.id != container || e.name != name || which != (meta.Which{}) {
			return nil
		}
		return &e.version
	}, func() (*object.Version, error) { return b.lookUpForReading(ctx, container, name, which) })
}

// quotas is what says how much an account may hold.
type quotas struct {
	account  key.Account
	settings AccountSettings
	gone     bool // there is no such account
}

// accountQuotas finds the quotas of an account.
func (b *Backend) accountQuotas(ctx context.Context, id naming.AccountID) (quotas, error) {
	return take(ctx, func(e *expected) *promise[quotas] {
		if e.last.account != id {
			return nil
		}
		return &e.quotas
	}, func() (quotas, error) { return b.lookUpQuotas(ctx, id) })
}

func (b *Backend) lookUpQuotas(ctx context.Context, id naming.AccountID) (q quotas, err error) {
	g, beside := errgroup.WithContext(ctx)
	g.Go(func() (err error) { q.settings, _, err = b.settings(beside, key.Account{ID: id}); return err })
	q.account, err = b.account(ctx, id)
	failed := g.Wait()
	switch {
	case errs.Is(err, errs.NotFound):
		return quotas{gone: true}, nil
	case err != nil:
		return quotas{}, err
	}
	return q, failed
}
