package memory

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/blob/blobtest"
	"pithos/internal/store/bucket"
	"pithos/internal/store/bucket/buckettest"
	"pithos/internal/store/key"
	"pithos/internal/store/key/keytest"
	"pithos/internal/store/meta"
	"pithos/internal/store/meta/metatest"
)

// TestFaultyDoubles shows that a double without faults is as good as the store behind it, also when its calls are held up.
func TestFaultyDoubles(t *testing.T) {
	slow := func() *errstest.Faults { return new(errstest.Faults).Hook(func(string) { runtime.Gosched() }) }
	c := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	t.Run("blob", func(t *testing.T) {
		blobtest.Run(t, func(*testing.T) blob.Store { return blobtest.Faulty{Store: NewBlobs(c), Faults: slow()} }, blobtest.Options{Clock: c, Slow: true})
	})
	t.Run("bucket", func(t *testing.T) {
		buckettest.Run(t, func(*testing.T) bucket.Store { return buckettest.Faulty{Store: NewBuckets(), Faults: slow()} }, buckettest.Options{Slow: true})
	})
	t.Run("bucket, answers lost", func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		buckettest.Races(t, func(*testing.T) bucket.Store {
			return buckettest.Faulty{Store: NewBuckets(), Faults: errstest.Seeded(seed, 0.4)}
		}, buckettest.Options{})
	})
	t.Run("key", func(t *testing.T) {
		keytest.Run(t, func(*testing.T) key.Store { return keytest.Faulty{Store: NewKeys(), Faults: slow()} }, keytest.Options{Slow: true})
	})
	t.Run("meta", func(t *testing.T) {
		metatest.Run(t, func(*testing.T) meta.Store { return metatest.Faulty{Store: NewMeta(), Faults: slow()} }, metatest.Options{Slow: true, Names: 100})
	})
}

// TestFaults shows both sides of an outcome that nobody knows: not done, and done although it failed.
func TestFaults(t *testing.T) {
	faults := new(errstest.Faults).At("Commit", 1, errstest.Before).At("Commit", 2, errstest.After)
	s := metatest.Faulty{Store: NewMeta(), Faults: faults}
	id := naming.NewContainerID()
	commit := func() error {
		_, err := s.Commit(t.Context(), meta.Change{Container: id, Account: "a", Name: "n", Now: time.Unix(1, 0), Version: &object.Version{}})
		return err
	}
	versions := func() int64 {
		u, err := s.ContainerUsage(t.Context(), id)
		errstest.OK(t, err)
		return u.Versions
	}
	for _, want := range []struct {
		kind     errs.Kind
		versions int64
	}{{errs.Busy, 0}, {errs.Ambiguous, 1}} {
		if err := commit(); !errs.Is(err, want.kind) || versions() != want.versions {
			t.Errorf("got %v and %d versions, want %v and %d", err, versions(), want.kind, want.versions)
		}
	}
	if err := commit(); err != nil || versions() != 2 || faults.Calls("Commit") != 3 {
		t.Errorf("after the plan: %v, %d versions, %d calls", err, versions(), faults.Calls("Commit"))
	}

	blobs := blobtest.Faulty{Store: NewBlobs(clock.System{}), Faults: new(errstest.Faults).At("Read", 1, errstest.Garbled)}
	data := []byte("some bytes")
	errstest.OK(t, blobs.Put(t.Context(), blob.Hold{Holder: block.NewHolder()}, block.Sum(data), data))
	for _, whole := range []bool{false, true} {
		got := make([]byte, len(data))
		n, err := blobs.Read(t.Context(), block.Sum(data), 0, got)
		errstest.OK(t, err)
		if (block.Sum(got[:n]) == block.Sum(data)) != whole {
			t.Errorf("read %q, want it whole: %v", got, whole)
		}
	}
}

// TestSeededFaultsRepeat shows that a seed decides alone.
func TestSeededFaultsRepeat(t *testing.T) {
	run := func() (kinds []errs.Kind) {
		f := errstest.Seeded(7, 0.5)
		for range 50 {
			kinds = append(kinds, errs.KindOf(f.Write("op", func() error { return nil })))
		}
		return kinds
	}
	first, second := run(), run()
	seen := map[errs.Kind]bool{}
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("call %d: %v and %v", i, first[i], second[i])
		}
		seen[first[i]] = true
	}
	if !seen[errs.Busy] || !seen[errs.Ambiguous] {
		t.Errorf("kinds seen: %v", seen)
	}
}
