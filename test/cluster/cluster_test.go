// Package cluster_test looks at a Pithos on Cassandra from outside: several gateways, which are real processes, on real nodes, while nodes and gateways
// are killed, halted and cut off from each other.
//
//	make cluster-faults SEED=n MINUTES=m
//	make cluster-reclaim SEED=n MINUTES=m
//
// The tests need the nodes that PITHOS_TEST_CASSANDRA names and break them by test/cassandra/run.
package cluster_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/test/nodes"
	"pithos/test/service"
	"pithos/test/thin"
)

var (
	seed    = flag.Uint64("seed", 0, "seed of the run; 0 draws one")
	minutes = flag.Float64("minutes", 0.5, "how long to break things")
	rounds  = flag.Int("rounds", 0, "break each kind of thing so often, however long it takes, instead of for some minutes")
	only    = flag.String("faults", "", "faults to choose from, with commas; none: all")
)

const (
	requestMax = 40 * time.Second // a client gives up then
	settleMax  = 10 * time.Minute // for the service to answer again when nothing is broken any more; a guard
	startMax   = 5 * time.Minute  // for a gateway to start; a guard too
)

// other is a user of another account than service.Admin.
var other = service.User{Name: "other", Access: "TESTACCESSKEY0000002", Secret: "test/secret+key000000000000000000000002"}

// gatewayHost is where the gateways' addresses begin among those of the nodes, and the balancer's is the one before. A port of an address that nobody else uses is
// still free when a gateway that was killed comes back.
const gatewayHost = 101

// gateways are processes on one cluster.
type gateways struct {
	t     *testing.T
	all   []*service.Service
	front string // address of the balancer; "" when there is none
	next  atomic.Int64
}

// startGateways starts a process for each difference of its clock, with more lines of configuration. All four stores are on the nodes.
func startGateways(t *testing.T, at nodes.Nodes, prefix, more string, clocks ...time.Duration) *gateways {
	t.Helper()
	binary, err := service.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g := &gateways{t: t}
	for i, d := range clocks {
		text := at.Config(prefix) + more
		if d != 0 {
			text += fmt.Sprintf("testing:\n  clock_ahead: %v\n  clock_behind: %v\n", max(d, 0), max(-d, 0))
		}
		s, err := service.Start(context.WithoutCancel(t.Context()), service.Options{
			Binary: binary, Data: filepath.Join(t.TempDir(), "data"), Config: text, Keystore: at.Keystore(prefix), Host: nodes.Address(gatewayHost + i), StartMax: startMax,
		})
		if err != nil {
			t.Fatal(err)
		}
		g.all = append(g.all, s)
		t.Cleanup(func() {
			s.Kill()
			if t.Failed() {
				t.Logf("a gateway's log ends:\n%s", s.LogTail())
			}
			if err := s.Remove(); err != nil {
				t.Error(err)
			}
		})
	}
	g.enrol()
	g.balance()
	return g
}

// balance starts haproxy in front of the gateways, if the machine has it; otherwise clients go round them.
func (g *gateways) balance() {
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		haproxy = "/usr/sbin/haproxy"
		if _, err := os.Stat(haproxy); err != nil {
			return
		}
	}
	dir := g.t.TempDir()
	socket := net.JoinHostPort(nodes.Address(gatewayHost-1), "9000")
	var text strings.Builder
	fmt.Fprintf(&text, "defaults\n  mode http\n  timeout connect 2s\n  timeout client 2m\n  timeout server 2m\n  option redispatch\n  retries 2\n"+
		"frontend s3\n  bind %s\n  default_backend gateways\nbackend gateways\n  balance roundrobin\n", socket)
	for i, s := range g.all {
		fmt.Fprintf(&text, "  server g%d %s check inter 500ms fall 1 rise 1\n", i, s.Addr)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		g.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(g.t.Context()), haproxy, "-db", "-f", file)
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	g.front = socket
}

// client makes a client of the balancer, or of the next gateway.
func (g *gateways) client(keys thin.Keys) *thin.Client {
	addr := g.front
	if addr == "" {
		addr = g.all[int(g.next.Add(1))%len(g.all)].Addr
	}
	return thin.New(addr, keys, requestMax)
}

var otherKeys = thin.Keys{Access: other.Access, Secret: other.Secret, Region: service.Admin.Region}

// insist sends a request until it is answered with a success or one of the statuses, while nothing is broken.
func (g *gateways) insist(keys thin.Keys, r *thin.Request, also ...int) (thin.Response, error) {
	deadline := time.Now().Add(settleMax)
	for {
		c := g.client(keys)
		answer, err := c.Do(r, nil)
		answer.Body = append([]byte(nil), answer.Body...)
		c.Close()
		if err == nil && answer.OK() {
			return answer, nil
		}
		for _, status := range also {
			if err == nil && answer.Status == status {
				return answer, nil
			}
		}
		if time.Now().After(deadline) {
			return answer, fmt.Errorf("%s %s?%s: no success after %v: %w", r.Method, r.Path, r.Query, settleMax, errors.Join(err, answer.Err()))
		}
		if err := clock.Wait(g.t.Context(), 200*time.Millisecond); err != nil {
			return answer, err
		}
	}
}

// the environment's nodes, or a skip.
func environment(t *testing.T) nodes.Nodes {
	t.Helper()
	at, ok := nodes.FromEnv()
	if !ok {
		t.Skip("PITHOS_TEST_CASSANDRA names no cluster; start one with test/cassandra/run start 3")
	}
	if *seed == 0 {
		*seed = rand.Uint64() >> 16
	}
	t.Logf("seed %d: repeat with -seed %d -minutes %v", *seed, *seed, *minutes)
	return at
}

// pauses is the longest time that clients spent without a success, by what was broken meanwhile.
type pauses struct {
	mu      sync.Mutex
	faults  []span
	longest map[string]time.Duration
}

// span is the time in which something was broken; it has no end yet while it is.
type span struct {
	what       string
	begin, end time.Time
}

// breaking notes that something is broken from now on, or, "", that nothing is any more.
func (p *pauses) breaking(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if n := len(p.faults); n > 0 && p.faults[n-1].end.IsZero() {
		p.faults[n-1].end = now
	}
	if what != "" {
		p.faults = append(p.faults, span{what: what, begin: now})
	}
}

// add notes a pause, and lays it to the first thing that was broken in it.
func (p *pauses) add(from, to time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what := "nothing"
	for _, f := range p.faults {
		if f.begin.Before(to) && (f.end.IsZero() || f.end.After(from)) {
			what = f.what
			break
		}
	}
	if p.longest == nil {
		p.longest = map[string]time.Duration{}
	}
	p.longest[what] = max(p.longest[what], to.Sub(from))
}

func (p *pauses) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(p.longest)) {
		parts = append(parts, fmt.Sprintf("%s %v", what, p.longest[what].Round(10*time.Millisecond)))
	}
	return strings.Join(parts, ", ")
}

// meter measures the pauses of one client.
type meter struct {
	p    *pauses
	last time.Time
}

func (m *meter) success() {
	now := time.Now()
	if !m.last.IsZero() {
		m.p.add(m.last, now)
	}
	m.last = now
}
