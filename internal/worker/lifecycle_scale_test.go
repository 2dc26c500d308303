package worker_test

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/engine/embedded"
	"pithos/internal/naming"
	"pithos/internal/object/lifecycle"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/worker"
)

var (
	scaleObjects = flag.Int("lifecycle-objects", 4000, "objects in the bucket of TestLifecycleAtScale")
	scaleDue     = flag.Int("lifecycle-due", 40, "how many of them are due")
)

// TestLifecycleAtScale expires a few of many objects on the embedded engine, on disk. What a round examines must follow what is due, not what the
// bucket holds; how long it takes is in the log: "make lifecycle" runs it with a million objects of which ten thousand are due.
func TestLifecycleAtScale(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	e, err := embedded.Open(t.TempDir(), embedded.Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := e.Keys().CreateAccount(t.Context(), key.Account{ID: "a", Canonical: "a"}); err != nil {
		t.Fatal(err)
	}
	raw, err := lifecycle.Encode([]lifecycle.Rule{{ID: "days", Days: 10}})
	if err != nil {
		t.Fatal(err)
	}
	b := backend.New(backend.Stores{Keys: e.Keys(), Buckets: e.Buckets(), Meta: e.Meta(), Blobs: e.Blobs()}, backend.Options{Clock: c})
	_, _, err = b.CreateContainer(t.Context(), operator, backend.NewContainer{
		Account: "a", Name: "box", Bucket: "box", Config: bucket.Config{Documents: map[string][]byte{lifecycle.Document: raw}},
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	fill(t, b, "due", *scaleDue)
	c.Advance(20 * day)
	fill(t, b, "young", *scaleObjects-*scaleDue)
	filled := time.Since(began)
	life := worker.NewLifecycle(worker.Lifecycling{Backend: b, Keys: e.Keys(), Buckets: e.Buckets(), Meta: e.Meta(), Clock: c, Day: day, Interval: time.Minute})
	began = time.Now()
	if _, err := life.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	did := life.Total()
	began = time.Now()
	if _, err := life.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects (written in %v), %d due: %d examined, %d expired in %v; the next round, with nothing due, examined %d in %v",
		*scaleObjects, filled.Round(time.Millisecond), *scaleDue, did.Examined, did.Expired, took, life.Total().Examined-did.Examined, time.Since(began))
	if int(did.Expired) != *scaleDue || int(did.Examined) > *scaleDue+1 {
		t.Errorf("%+v: want what is due, %d, and no more", did, *scaleDue)
	}
	usage, err := b.ContainerUsage(t.Context(), operator, backend.Ref{Bucket: "box"})
	if err != nil || usage.Objects != int64(*scaleObjects-*scaleDue) {
		t.Errorf("%+v are left, %v", usage, err)
	}
}

// fill writes empty objects, from many writers, so that they share syncs.
func fill(t *testing.T, b *backend.Backend, prefix string, n int) {
	t.Helper()
	var next atomic.Int64
	var writers sync.WaitGroup
	for range 64 {
		writers.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				r := backend.PutRequest{Container: backend.Ref{Bucket: "box"}, Name: naming.ObjectName(fmt.Sprintf("%s/%07d", prefix, i))}
				r.Body = backend.Body{Reader: strings.NewReader("")}
				if _, err := b.Put(t.Context(), operator, r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
}
