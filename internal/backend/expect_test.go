package backend_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// The far stores take a second for each answer.
type (
	farBuckets struct{ bucket.Store }
	farMeta    struct{ meta.Store }
	farKeys    struct{ key.Reader }
)

func far(ctx context.Context) error {
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s farBuckets) Resolve(ctx context.Context, name naming.BucketName) (bucket.Container, error) {
	if err := far(ctx); err != nil {
		return bucket.Container{}, err
	}
	return s.Store.Resolve(ctx, name)
}

func (s farBuckets) Lookup(ctx context.Context, account naming.AccountID, name naming.ContainerName) (bucket.Container, error) {
	if err := far(ctx); err != nil {
		return bucket.Container{}, err
	}
	return s.Store.Lookup(ctx, account, name)
}

func (s farMeta) Get(ctx context.Context, c naming.ContainerID, name naming.ObjectName, w meta.Which) (*object.Version, error) {
	if err := far(ctx); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, c, name, w)
}

func (s farKeys) Account(ctx context.Context, id naming.AccountID) (key.Account, error) {
	if err := far(ctx); err != nil {
		return key.Account{}, err
	}
	return s.Reader.Account(ctx, id)
}

// TestExpectedLookUps asks for objects in far stores as doors do, with a second for finding out who asks: what was expected is there by then, and nothing
// that was expected is told twice, or of another name, or of a container that is gone.
func TestExpectedLookUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(s *backend.Stores, o *backend.Options) {
			s.Buckets, s.Meta, s.Keys, o.Distant = farBuckets{s.Buckets}, farMeta{s.Meta}, farKeys{s.Keys}, true
		})
		open := func(ctx context.Context, want string) {
			t.Helper()
			o, err := w.Open(ctx, w.alice, target("one"), object.Precondition{}, access.GetObject)
			if err != nil {
				t.Fatal(err)
			}
			if o.Size != int64(len(want)) {
				t.Errorf("%d bytes were found, not those of %q", o.Size, want)
			}
		}
		lasts := func(what string, want time.Duration, ask func(ctx context.Context)) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			began := time.Now()
			ask(ctx)
			if took := time.Since(began); took != want {
				t.Errorf("%s took %v, want %v", what, took, want)
			}
		}
		who := func() {
			if err := far(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.put("one", []byte("first"))
		lasts("a GET that is not expected", 3*time.Second, func(ctx context.Context) {
			who()
			open(ctx, "first")
		})
		lasts("a GET", time.Second, func(ctx context.Context) {
			ctx = w.Expect(ctx, target("one"), true, false)
			who()
			open(ctx, "first")
		})
		lasts("two GETs of one request", 3*time.Second, func(ctx context.Context) {
			ctx = w.Expect(ctx, target("one"), true, false)
			who()
			open(ctx, "first")
			open(ctx, "first")
		})
		lasts("a GET of another name than expected", 2*time.Second, func(ctx context.Context) {
			ctx = w.Expect(ctx, target("two"), true, false)
			who()
			open(ctx, "first")
		})
		lasts("a PUT that is not expected", 3*time.Second, func(ctx context.Context) {
			who()
			w.put("one", []byte("second."))
		})
		lasts("a PUT", time.Second, func(ctx context.Context) {
			ctx = w.Expect(ctx, target("one"), false, true)
			who()
			if _, err := w.Put(ctx, w.alice, put("one", []byte("third..."))); err != nil {
				t.Error(err)
			}
		})
		lasts("a GET after it", time.Second, func(ctx context.Context) {
			ctx = w.Expect(ctx, target("one"), true, false)
			who()
			open(ctx, "third...")
		})

		w.delete(target("one"))
		if err := w.DeleteContainer(t.Context(), w.alice, ref("photos")); err != nil {
			t.Fatal(err)
		}
		w.bucket = w.create("photos", bucket.Config{})
		if _, err := w.stores.Meta.Commit(t.Context(), meta.Change{
			Container: w.bucket.ID, Account: w.alice.Account, Name: "one", Now: w.clock.Now(), Op: meta.Put,
			Version: &object.Version{Summary: object.Summary{Null: true, RootHash: block.Empty}},
		}); err != nil {
			t.Fatal(err)
		}
		lasts("a GET from another container of the name", 2*time.Second, func(ctx context.Context) {
			ctx = w.Expect(ctx, target("one"), true, false) // guesses the one before
			who()
			open(ctx, "")
		})

		ctx, cancel := context.WithCancel(t.Context())
		ctx = w.Expect(ctx, target("one"), true, false)
		cancel()
		if _, err := w.Open(ctx, w.alice, target("one"), object.Precondition{}, access.GetObject); !errs.Is(err, errs.Canceled) {
			t.Errorf("the client left: %v", err)
		}
	})
}

// countedIntents counts the intents that stand and name nothing.
type countedIntents struct {
	meta.Store
	made, left atomic.Int64
}

func (s *countedIntents) Intend(ctx context.Context, h block.Holder, in meta.Intent) error {
	s.made.Add(1)
	s.left.Add(1)
	return s.Store.Intend(ctx, h, in)
}

func (s *countedIntents) Abandon(ctx context.Context, h block.Holder) error {
	s.left.Add(-1)
	return s.Store.Abandon(ctx, h)
}

func (s *countedIntents) Commit(ctx context.Context, c meta.Change) (meta.Outcome, error) {
	out, err := s.Store.Commit(ctx, c)
	if err == nil && c.Version != nil && !c.Version.Content.Holder.IsZero() {
		s.left.Add(-1)
	}
	return out, err
}

// TestForeseenIntents puts bodies whose intent is written while they come: none is left over, whatever becomes of the body.
func TestForeseenIntents(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		send func(b *backend.Body)
		made int64
		fail bool
	}{
		"a large body":         {data: random(1, 5*blockSize), made: 1},
		"a small one":          {data: random(1, 100), made: 0},
		"zeros":                {data: make([]byte, 5*blockSize), made: 1},
		"an unproved one":      {data: random(1, 5*blockSize), made: 1, fail: true, send: func(b *backend.Body) { b.Prove = func(object.Digests) error { return errLost } }},
		"one that breaks off":  {data: random(1, blockSize/2), made: 1, fail: true, send: func(b *backend.Body) { b.Size = blockSize }},
		"one of unknown size":  {data: random(1, 5*blockSize), made: 1, send: func(b *backend.Body) { b.Size = -1 }},
		"one that is too long": {data: random(1, blockSize), made: 1, fail: true, send: func(b *backend.Body) { b.Size = 2000 }},
	} {
		t.Run(name, func(t *testing.T) {
			var counted *countedIntents
			w := newWorld(t, func(s *backend.Stores, o *backend.Options) {
				counted = &countedIntents{Store: s.Meta}
				s.Meta, o.Distant, o.KeepMax = counted, true, 1000
			})
			r := put("x", c.data)
			if c.send != nil {
				c.send(&r.Body)
			}
			_, err := w.Put(t.Context(), w.alice, r)
			if c.fail != (err != nil) {
				t.Errorf("%v", err)
			}
			if made, left := counted.made.Load(), counted.left.Load(); made != c.made || left != 0 {
				t.Errorf("%d intents were made and %d are left, want %d and none", made, left, c.made)
			}
		})
	}
}
