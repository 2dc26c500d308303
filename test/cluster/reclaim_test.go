package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/engine/cassandra"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
	"pithos/test/nodes"
	"pithos/test/service"
	"pithos/test/thin"
)

const (
	collecting = "gc:\n  interval: 1s\n  grace: 1s\n"
	reclaimed  = "reclaim"
)

// TestReclaim lets several gateways collect garbage all the time while owners put, copy and delete objects whose blocks they share, gateways are halted in the
// middle of a sweep and killed, and clocks are wrong: no object may lose a block. Then everything is deleted, and after the grace and two rounds of
// the collector nothing may be left: no block, no holder.
func TestReclaim(t *testing.T) {
	at := environment(t)
	if err := errors.Join(at.Install(t.Context(), reclaimed), at.Empty(t.Context(), reclaimed)); err != nil {
		t.Fatal(err)
	}
	g := startGateways(t, at, reclaimed, collecting, 0, 10*time.Minute, -10*time.Minute)
	p := &pauses{}
	const bucket = "reclaim"
	if _, err := g.insist(service.Admin, &thin.Request{Method: "PUT", Path: "/" + bucket}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	var all []*owner
	for i := range 2 * owners {
		o := newOwner(t, g, p, bucket, i)
		all = append(all, o)
		group.Go(func() { o.work(stop, ownerPace) })
	}
	count, err := stall(t.Context(), g, p)
	if err != nil {
		t.Error(err)
	}
	close(stop)
	group.Wait()
	var sum owner
	verifyAll(all)
	for _, o := range all {
		sum.answered += o.answered
		sum.unanswered += o.unanswered
		sum.verified += o.verified
	}
	t.Logf("%d requests answered, %d not; objects compared %d times; gateways halted and killed: %v; longest time without an answer: %v",
		sum.answered, sum.unanswered, sum.verified, count, p)
	before := blocksOf(t, at)
	for _, o := range all {
		for name := range o.known {
			o.remove(name)
		}
		for name := range o.retired {
			o.remove(name)
		}
	}
	abortUploads(t, g, bucket)
	// The intents of requests that were cut off expire after a day: here nobody waits that long.
	for _, s := range g.all {
		s.Kill()
	}
	expire(t, at)
	for round := 1; ; round++ {
		collect(t, at)
		left := leftovers(t, at)
		if left == "" {
			t.Logf("%d blocks before everything was deleted, none after %d rounds of the collector", before, round)
			break
		}
		if round == 2 {
			t.Errorf("after two rounds of the collector there are left: %s", left)
			break
		}
	}
}

// stall halts a gateway for a while, or kills one, again and again.
func stall(ctx context.Context, g *gateways, p *pauses) (map[string]int, error) {
	random := rand.New(rand.NewPCG(*seed, 0))
	count := map[string]int{}
	end := time.Now().Add(time.Duration(*minutes * float64(time.Minute)))
	for time.Now().Before(end) {
		if err := clock.Wait(ctx, time.Duration(random.Int64N(int64(3*time.Second)))); err != nil {
			return count, err
		}
		s := g.all[random.IntN(len(g.all))]
		if random.IntN(4) == 0 {
			p.breaking("kill a gateway")
			count["killed"]++
			s.Kill()
			err := s.Restart(context.WithoutCancel(ctx))
			p.breaking("")
			if err != nil {
				return count, err
			}
			continue
		}
		p.breaking("halt a gateway")
		count["halted"]++
		if err := s.Signal(syscall.SIGSTOP); err != nil {
			return count, err
		}
		err := clock.Wait(ctx, time.Second+time.Duration(random.Int64N(int64(6*time.Second))))
		err = errors.Join(err, s.Signal(syscall.SIGCONT))
		p.breaking("")
		if err != nil {
			return count, err
		}
	}
	return count, nil
}

// remove deletes an object, until it is answered.
func (o *owner) remove(name string) {
	if _, err := o.g.insist(service.Admin, &thin.Request{Method: "DELETE", Path: o.path(name)}); err != nil {
		o.t.Fatal(err)
	}
}

// abortUploads ends the uploads that were left open.
func abortUploads(t *testing.T, g *gateways, bucket string) {
	t.Helper()
	for {
		answer, err := g.insist(service.Admin, &thin.Request{Method: "GET", Path: "/" + bucket, Query: "uploads="})
		if err != nil {
			t.Fatal(err)
		}
		open := strings.Split(string(answer.Body), "<Upload>")[1:]
		for _, u := range open {
			name, id := between(u, "<Key>", "</Key>"), between(u, "<UploadId>", "</UploadId>")
			r := thin.Request{Method: "DELETE", Path: "/" + bucket + "/" + thin.Escape(name, true), Query: "uploadId=" + thin.Escape(id, false)}
			if _, err := g.insist(service.Admin, &r, 404); err != nil {
				t.Fatal(err)
			}
		}
		if len(open) == 0 {
			return
		}
	}
}

func between(s, left, right string) string {
	_, s, _ = strings.Cut(s, left)
	s, _, _ = strings.Cut(s, right)
	return s
}

// stores opens metadata and blocks, with a clock that is ahead.
func stores(t *testing.T, at nodes.Nodes, ahead time.Duration) (meta.Store, blob.Store) {
	t.Helper()
	sessions, err := at.Connect(reclaimed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nodes.Close(sessions) })
	c := clock.Shifted{Clock: clock.System{}, By: ahead}
	return cassandra.NewMeta(sessions[2], c), cassandra.NewBlobs(sessions[3], c)
}

func blocksOf(t *testing.T, at nodes.Nodes) (n int) {
	t.Helper()
	_, blobs := stores(t, at, 0)
	patiently(t, func() error {
		n = 0
		return blobs.Walk(t.Context(), nil, func(blob.Info) bool { n++; return true })
	})
	return n
}

// expire gives up all intents, as time would.
func expire(t *testing.T, at nodes.Nodes) {
	t.Helper()
	const later = 48 * time.Hour
	m, _ := stores(t, at, later)
	for n := 1; n > 0; {
		patiently(t, func() (err error) {
			n, err = m.Reap(t.Context(), time.Now().Add(later), 1000)
			return err
		})
	}
}

// patiently does again what a busy cluster refuses.
func patiently(t *testing.T, do func() error) {
	t.Helper()
	deadline := time.Now().Add(settleMax)
	for {
		err := do()
		if err == nil {
			return
		}
		if !errs.Is(err, errs.Busy) && !errs.Is(err, errs.Ambiguous) || time.Now().After(deadline) {
			t.Fatal(err)
		}
		if err := clock.Wait(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

// collect is a whole round of garbage collection, after the grace.
func collect(t *testing.T, at nodes.Nodes) {
	t.Helper()
	const later = 49 * time.Hour
	m, blobs := stores(t, at, later)
	now := time.Now().Add(later)
	var holders []block.Holder
	patiently(t, func() error {
		holders = nil
		return blobs.WalkHolders(t.Context(), block.Holder{}, func(h block.Holder, _ naming.AccountID) bool {
			holders = append(holders, h)
			return true
		})
	})
	var alive []bool
	patiently(t, func() (err error) {
		alive, err = m.Alive(t.Context(), holders)
		return err
	})
	for i, h := range holders {
		if !alive[i] { // dead already, or an orphan
			patiently(t, func() error { return m.Abandon(t.Context(), h) })
		}
	}
	for {
		var dead []block.Holder
		patiently(t, func() (err error) {
			dead, err = m.Dead(t.Context(), now, 1000)
			return err
		})
		if len(dead) == 0 {
			break
		}
		patiently(t, func() error { return blobs.Release(t.Context(), dead) })
		patiently(t, func() error { return m.Forget(t.Context(), dead) })
	}
	for after, next := (*block.ID)(nil), (*block.ID)(nil); ; {
		patiently(t, func() (err error) {
			_, next, err = blobs.Sweep(t.Context(), now, blob.Budget{}, after)
			return err
		})
		if after = next; next == nil {
			return
		}
	}
}

// leftovers tells what is stored still; "" is nothing.
func leftovers(t *testing.T, at nodes.Nodes) string {
	t.Helper()
	_, blobs := stores(t, at, 0)
	var held, loose, holders int
	patiently(t, func() error {
		held, loose = 0, 0
		return blobs.Walk(t.Context(), nil, func(i blob.Info) bool {
			if i.Held {
				held++
			} else {
				loose++
			}
			return true
		})
	})
	patiently(t, func() error {
		holders = 0
		return blobs.WalkHolders(t.Context(), block.Holder{}, func(block.Holder, naming.AccountID) bool { holders++; return true })
	})
	if held+loose+holders == 0 {
		return ""
	}
	return fmt.Sprintf("%d blocks that are held, %d that are not, %d holders", held, loose, holders)
}
