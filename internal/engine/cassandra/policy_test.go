package cassandra

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

func TestGateBoundsRequestsAndBytes(t *testing.T) {
	g := newGate(3, 100, time.Minute)
	for _, size := range []int64{60, 30, 10} {
		if err := g.enter(t.Context(), size); err != nil {
			t.Fatal(err)
		}
	}
	g.leave(10)
	if g.fits(11) || !g.fits(10) {
		t.Error("bytes are not bounded")
	}
	if err := g.enter(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if g.fits(1) {
		t.Error("requests are not bounded")
	}
	for _, size := range []int64{60, 30, 1} {
		g.leave(size)
	}
	if !g.fits(1 << 30) {
		t.Error("something alone, greater than the bound, must pass")
	}
}

func TestGateRefusesWhatWaitsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 100, 2*time.Second)
		if err := g.enter(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := g.enter(t.Context(), 1); !errs.Is(err, errs.Busy) || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.enter(ctx, 1); !errs.Is(fail("x", err), errs.Canceled) {
			t.Error(err)
		}
		var wg sync.WaitGroup
		for range g.waiters {
			wg.Go(func() {
				if err := g.enter(t.Context(), 1); err == nil {
					g.leave(1)
				}
			})
		}
		synctest.Wait()
		if err := g.enter(t.Context(), 1); !errs.Is(err, errs.Busy) || time.Since(began) != 2*time.Second {
			t.Errorf("one too many waits: %v", err)
		}
		g.leave(1)
		wg.Wait()
		if g.used != 0 || g.weight != 0 || len(g.waiting) != 0 {
			t.Errorf("%+v is left", g)
		}
	})
}

// fixed is a policy that offers the same hosts in the same order.
type fixed struct {
	gocql.HostSelectionPolicy
	hosts []*gocql.HostInfo
}

type fixedHost struct{ info *gocql.HostInfo }

func (h fixedHost) Info() *gocql.HostInfo { return h.info }
func (fixedHost) Mark(error)              {}

func (f fixed) Pick(gocql.ExecutableStatement) gocql.NextHost {
	i := 0
	return func() gocql.SelectedHost {
		if i == len(f.hosts) {
			return nil
		}
		i++
		return fixedHost{f.hosts[i-1]}
	}
}

func hostAt(t *testing.T, id, addr string) *gocql.HostInfo {
	t.Helper()
	h, err := gocql.NewTestHostInfoFromRow(map[string]any{
		"host_id": gocql.UUID([]byte(id)), "rpc_address": net.ParseIP(addr), "native_address": net.ParseIP(addr), "native_port": 9042,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestBreakersPutSlowHostsLast(t *testing.T) {
	a, b := hostAt(t, "aaaaaaaaaaaaaaaa", "127.0.0.1"), hostAt(t, "bbbbbbbbbbbbbbbb", "127.0.0.2")
	c := clock.NewManual(time.Unix(1000, 0))
	guard := &breakers{clock: c, slow: 100 * time.Millisecond}
	p := guarded{fixed{hosts: []*gocql.HostInfo{a, b}}, guard}
	order := func() string {
		out := ""
		next := p.Pick(nil)
		for h := next(); h != nil; h = next() {
			out += h.Info().HostID()[:2] + " "
		}
		return out
	}
	first, swapped := "61 62 ", "62 61 "
	if got := order(); got != first {
		t.Fatal(got)
	}
	guard.observe(a, gocql.ErrTimeoutNoResponse, time.Second)
	guard.observe(a, context.Canceled, 50*time.Millisecond) // the client left: tells nothing
	guard.observe(a, context.Canceled, 150*time.Millisecond)
	if got := order(); got != first {
		t.Errorf("%s after two strikes", got)
	}
	guard.observe(a, gocql.ErrTimeoutNoResponse, time.Second)
	if got := order(); got != swapped {
		t.Errorf("%s after three strikes", got)
	}
	c.Advance(probeEvery)
	if got := order(); got != first {
		t.Errorf("%s when it is time to ask again", got)
	}
	if got := order(); got != swapped {
		t.Errorf("%s right after it was asked again", got)
	}
	guard.observe(a, nil, time.Millisecond)
	if got := order(); got != first {
		t.Errorf("%s after an answer", got)
	}
}

// TestNobodyAsksBeyondTheHome offers hosts of two data centres: those of the home only, once it is known, and none when they are down.
func TestNobodyAsksBeyondTheHome(t *testing.T) {
	at := func(id, addr, dc string) *gocql.HostInfo {
		h, err := gocql.NewTestHostInfoFromRow(map[string]any{
			"host_id": gocql.UUID([]byte(id)), "rpc_address": net.ParseIP(addr), "native_address": net.ParseIP(addr), "native_port": 9042, "data_center": dc,
		})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	a, b := at("aaaaaaaaaaaaaaaa", "127.0.0.1", "dc1"), at("bbbbbbbbbbbbbbbb", "127.0.0.2", "dc2")
	home := new(atomic.Pointer[string])
	order := func(hosts ...*gocql.HostInfo) (out string) {
		next := atHome{fixed{hosts: hosts}, home}.Pick(nil)
		for h := next(); h != nil; h = next() {
			out += h.Info().DataCenter() + " "
		}
		return out
	}
	if got := order(a, b); got != "dc1 dc2 " {
		t.Errorf("before it is known: %q", got)
	}
	dc2 := "dc2"
	home.Store(&dc2)
	if got := order(a, b, a); got != "dc2 " {
		t.Errorf("once it is known: %q", got)
	}
	if got := order(a); got != "" {
		t.Errorf("with all of its hosts down: %q", got)
	}
}
