package cassandra

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

var (
	writers = flag.Int("writers", 32, "that fill the buckets at once")
	fillFor = flag.Duration("fill-for", 0, "end the filling after this long, however many names there are; 0: never")
	fill    = flag.Int("fill", 300, "names of the large bucket; 500000 for the figures of docs/performance.md")
)

// fillName is one of names that stand in folders of a thousand.
func fillName(i int) naming.ObjectName {
	return naming.ObjectName(fmt.Sprintf("folder-%04d/object-%07d", i/1000, i))
}

// TestFill fills a bucket through the engine, many writers at once, beside one of a thousand names, and tells how long a page of a thousand names
// and a page of folders take in each. test/cassandra/fill runs it with 500,000 names and asks the node for its largest partitions afterwards.
func TestFill(t *testing.T) {
	m := NewMeta(metaSession(t), clock.System{})
	small, large := naming.NewContainerID(), naming.NewContainerID()
	for _, b := range []struct {
		id    naming.ContainerID
		names int
	}{{small, min(1000, *fill)}, {large, *fill}} {
		began := time.Now()
		b.names = fillBucket(t, m, b.id, b.names)
		took := time.Since(began)
		m.splits.running.Wait()
		shards, longest, keys := shardsOf(t, m, namesOf(b.id))
		t.Logf("%d names in %v (%.0f/s); %d shards, the longest of %d names", b.names, took.Round(time.Millisecond), float64(b.names)/took.Seconds(), shards, longest)
		if keys != b.names {
			t.Errorf("%d names are listed", keys)
		}
		if longest > 3*m.sizes.Shard {
			t.Errorf("a shard of %d names", longest)
		}
		if u, err := m.ContainerUsage(t.Context(), b.id); err != nil || u.Objects != int64(b.names) {
			t.Errorf("usage %+v, %v", u, err)
		}
		pages(t, m, b.id, b.names)
	}
}

// fillBucket puts names from many writers, every seventh from behind, so that shards split at their ends and in between. It tells how many it put.
func fillBucket(t *testing.T, m *Meta, id naming.ContainerID, names int) int {
	t.Helper()
	began := time.Now()
	g, ctx := errgroup.WithContext(t.Context())
	var next, put atomic.Int64
	for range *writers {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= names || *fillFor > 0 && time.Since(began) > *fillFor {
					return nil
				}
				if i%10_000 == 0 {
					t.Logf("%d of %d names after %v", i, names, time.Since(began).Round(time.Second))
				}
				_, err := m.Commit(ctx, putOf(id, fillName(i*7919%names), time.Now()))
				for n := 0; transientError(err) && n < 20; n++ {
					_, err = m.Commit(ctx, putOf(id, fillName(i*7919%names), time.Now()))
				}
				if err != nil {
					return err
				}
				put.Add(1)
			}
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return int(put.Load())
}

// pages measures pages from random places.
func pages(t *testing.T, m *Meta, id naming.ContainerID, names int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	const rounds = 20
	var whole, folders time.Duration
	for range rounds {
		from := fillName(rng.IntN(max(1, names-1000)))
		began := time.Now()
		cur := m.Scan(t.Context(), id, meta.View{})
		cur.Seek(meta.Position{Name: from})
		for n := 0; n < 1000; n++ {
			sum, err := cur.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if sum == nil {
				break
			}
		}
		whole += time.Since(began)
		began = time.Now()
		cur.Seek(meta.Position{})
		for range 20 {
			sum, err := cur.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if sum == nil {
				break
			}
			cur.Seek(meta.Position{Name: sum.Name[:len("folder-0000")] + "0"}) // behind the delimiter
		}
		folders += time.Since(began)
		cur.Close()
	}
	t.Logf("of %d names: a page of 1,000 in %v, a page of up to 20 folders in %v", names, (whole / rounds).Round(time.Microsecond), (folders / rounds).Round(time.Microsecond))
}

// transientError reports whether a client would send the request again.
func transientError(err error) bool { return errs.Is(err, errs.Busy) || errs.Is(err, errs.Ambiguous) }
