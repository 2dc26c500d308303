package backend_test

import (
	"context"
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
