package cassandra

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// roundTwice offers the hosts of a policy twice. A second, speculative try takes its host from the same round as the first; on a cluster
// with as many hosts as tries it finds none left, and the driver gives that as the answer although the first is still under way.
type roundTwice struct{ gocql.HostSelectionPolicy }

func (p roundTwice) Pick(q gocql.ExecutableStatement) gocql.NextHost {
	next, again := p.HostSelectionPolicy.Pick(q), true
	return func() gocql.SelectedHost {
		h := next()
		if h == nil && again {
			next, again = p.HostSelectionPolicy.Pick(q), false
			h = next()
		}
		return h
	}
}

// breakers keep requests off hosts that do not answer: after some time-outs in a row a host is asked only now and then, until it answers. It is
// offered all the same, last, so that a wrong guess costs time and no request.
type breakers struct {
	clock clock.Clock
	slow  time.Duration // a request given up after this, since another host was faster, counts as timed out
	log   *slog.Logger

	mu    sync.Mutex
	hosts map[string]*breaker // by host id
	known map[string]bool     // the hosts there are, by id
	mean  time.Duration       // of what was answered lately
}

// A second try helps against a host that hangs, and makes it worse when all are slow: then the statements come twice. So it waits for several
// times what an answer takes, and is not made where there is no second host.
const (
	secondTryMost = 1
	secondAfter   = 4  // times the mean
	meanOf        = 64 // answers
)

// Attempts is how many more tries a statement gets; see gocql.SpeculativeExecutionPolicy.
func (b *breakers) Attempts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.known) < 2 {
		return 0
	}
	return secondTryMost
}

// Delay is how long a statement's first try is waited for.
func (b *breakers) Delay() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.slow, secondAfter*b.mean)
}

func (b *breakers) knows(host *gocql.HostInfo, there bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[string]bool{}
	}
	if there {
		b.known[host.HostID()] = true
	} else {
		delete(b.known, host.HostID())
	}
}

type breaker struct {
	strikes int
	probe   time.Time // when the host is asked next
}

const (
	strikesMost = 3
	probeEvery  = time.Second
)

// ObserveQuery is told of each try of a query.
func (b *breakers) ObserveQuery(_ context.Context, q gocql.ObservedQuery) {
	b.observe(q.Host, q.Err, q.End.Sub(q.Start))
}

// ObserveBatch is told of each try of a batch.
func (b *breakers) ObserveBatch(_ context.Context, q gocql.ObservedBatch) {
	b.observe(q.Host, q.Err, q.End.Sub(q.Start))
}

func (b *breakers) observe(host *gocql.HostInfo, err error, took time.Duration) {
	if host == nil {
		return
	}
	late := errors.Is(err, gocql.ErrTimeoutNoResponse) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) && b.slow > 0 && took >= b.slow
	if !late && errors.Is(err, context.Canceled) {
		return // tells nothing
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.hosts[host.HostID()]
	if !late {
		b.mean += (took - b.mean) / meanOf
		if h != nil {
			delete(b.hosts, host.HostID())
		}
		return
	}
	if h == nil {
		if b.hosts == nil {
			b.hosts = map[string]*breaker{}
		}
		h = &breaker{}
		b.hosts[host.HostID()] = h
	}
	h.strikes++
	if h.strikes == strikesMost {
		h.probe = b.clock.Now().Add(probeEvery)
		if b.log != nil {
			b.log.Warn("a Cassandra node does not answer in time and is asked last", "host", host.ConnectAddress().String())
		}
	}
}

// allow reports whether a host may be asked before the others.
func (b *breakers) allow(host *gocql.HostInfo) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.hosts[host.HostID()]
	if h == nil || h.strikes < strikesMost {
		return true
	}
	if now := b.clock.Now(); !now.Before(h.probe) {
		h.probe = now.Add(probeEvery)
		return true
	}
	return false
}

// guarded offers hosts behind their breakers.
type guarded struct {
	gocql.HostSelectionPolicy
	breakers *breakers
}

// AddHost is told of a host of the cluster.
func (p guarded) AddHost(host *gocql.HostInfo) {
	p.breakers.knows(host, true)
	p.HostSelectionPolicy.AddHost(host)
}

// RemoveHost is told of a host that left the cluster.
func (p guarded) RemoveHost(host *gocql.HostInfo) {
	p.breakers.knows(host, false)
	p.HostSelectionPolicy.RemoveHost(host)
}

// Pick offers the hosts that may be asked, and then the others.
func (p guarded) Pick(q gocql.ExecutableStatement) gocql.NextHost {
	next := p.HostSelectionPolicy.Pick(q)
	var others []gocql.SelectedHost
	return func() gocql.SelectedHost {
		for {
			h := next()
			if h == nil {
				break
			}
			if info := h.Info(); info == nil || p.breakers.allow(info) {
				return h
			}
			others = append(others, h)
		}
		if len(others) == 0 {
			return nil
		}
		h := others[0]
		others = others[1:]
		return h
	}
}

// atHome offers only hosts of the data centre that answers for the keyspace, once that is known (Settle). The driver's own policies go on to the other data
// centres when none of its hosts is left. There a local quorum is one of other replicas: reads would be old, and rows would be decided twice.
type atHome struct {
	gocql.HostSelectionPolicy
	home *atomic.Pointer[string]
}

// Pick offers the hosts at home.
func (p atHome) Pick(q gocql.ExecutableStatement) gocql.NextHost {
	next, home := p.HostSelectionPolicy.Pick(q), p.home.Load()
	if home == nil {
		return next
	}
	return func() gocql.SelectedHost {
		for {
			h := next()
			if h == nil || h.Info() == nil || h.Info().DataCenter() == *home {
				return h
			}
		}
	}
}

// gate bounds what is under way to a cluster. What finds no room waits a little; when too many wait already, or the wait was in vain, the
// service is overloaded and says so before it has taken more memory.
type gate struct {
	wait     time.Duration
	requests int
	bytes    int64
	waiters  int // that may wait at once

	mu      sync.Mutex
	used    int
	weight  int64
	waiting []*waiter // in the order of their coming
}

type waiter struct {
	size  int64
	ready chan struct{}
}

func newGate(requests int, bytes int64, wait time.Duration) *gate {
	return &gate{wait: wait, requests: requests, bytes: bytes, waiters: 8 * requests}
}

// fits reports whether there is room; something alone always fits.
func (g *gate) fits(size int64) bool {
	return g.used == 0 || g.used < g.requests && g.weight+size <= g.bytes
}

// enter waits for room. Errors: Busy when there is none in time, Canceled.
func (g *gate) enter(ctx context.Context, size int64) error {
	const op = "cassandra.gate"
	g.mu.Lock()
	if len(g.waiting) == 0 && g.fits(size) {
		g.used, g.weight = g.used+1, g.weight+size
		g.mu.Unlock()
		return nil
	}
	if len(g.waiting) >= g.waiters {
		g.mu.Unlock()
		return errs.Wrap(op, errs.Busy, errOverloaded)
	}
	w := &waiter{size, make(chan struct{})}
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	limit, cancel := context.WithTimeout(ctx, g.wait)
	defer cancel()
	select {
	case <-w.ready:
		return nil
	case <-limit.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, o := range g.waiting {
		if o == w {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.admit() // who stood behind may fit
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errs.Wrap(op, errs.Busy, errOverloaded)
		}
	}
	return nil // admitted at the last moment
}

// leave gives room back.
func (g *gate) leave(size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used, g.weight = g.used-1, g.weight-size
	g.admit()
}

func (g *gate) admit() {
	for len(g.waiting) > 0 && g.fits(g.waiting[0].size) {
		w := g.waiting[0]
		g.waiting = g.waiting[1:]
		g.used, g.weight = g.used+1, g.weight+w.size
		close(w.ready)
	}
}

var errOverloaded = errors.New("too many requests are under way to the cluster")

// noRetry keeps the driver from sending a lightweight transaction twice: its outcome is settled, not repeated.
type noRetry struct{}

func (noRetry) Attempt(gocql.RetryableQuery) bool  { return false }
func (noRetry) GetRetryType(error) gocql.RetryType { return gocql.Rethrow }

// quietLogger passes the driver's warnings on to the service's log.
type quietLogger struct{ log *slog.Logger }

func (q quietLogger) Error(msg string, fields ...gocql.LogField)   { q.pass(msg, fields) }
func (q quietLogger) Warning(msg string, fields ...gocql.LogField) { q.pass(msg, fields) }
func (q quietLogger) Info(string, ...gocql.LogField)               {}
func (q quietLogger) Debug(string, ...gocql.LogField)              {}

func (q quietLogger) pass(msg string, fields []gocql.LogField) {
	if q.log == nil {
		return
	}
	attrs := make([]any, 0, len(fields)+1)
	attrs = append(attrs, slog.String("driver", msg))
	for _, f := range fields {
		attrs = append(attrs, slog.String(f.Name, f.Value.String()))
	}
	q.log.Warn("cassandra", attrs...)
}
