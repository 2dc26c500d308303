package wire

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"pithos/internal/clock"
)

// Share is what one user or one address may take; zero fields are no limit.
type Share struct {
	Rate   float64 // requests per second; as many as come in two seconds may come at once
	AtOnce int     // requests under way
	Bytes  int64   // of bodies, both ways, per second
}

// Limiter holds users and addresses to their shares. A nil Limiter knows no limit. It is safe for concurrent use. It remembers a bounded number of names:
// one that did not ask for long begins anew.
type Limiter struct {
	share Share
	clock clock.Clock

	mu         sync.Mutex
	young, old map[string]*meter
}

// metersMax bounds the names of each of the two generations that are remembered.
const metersMax = 10_000

// meter is what one name has taken.
type meter struct {
	rate, bytes *rate.Limiter
	running     int
}

// NewLimiter makes a limiter; nil when the share has no limit.
func NewLimiter(s Share, c clock.Clock) *Limiter {
	if s == (Share{}) {
		return nil
	}
	return &Limiter{share: s, clock: c, young: map[string]*meter{}}
}

// meter finds what is known of a name; l.mu is held.
func (l *Limiter) meter(name string) *meter {
	m := l.young[name]
	if m != nil {
		return m
	}
	if m = l.old[name]; m == nil {
		m = &meter{}
		if l.share.Rate > 0 {
			m.rate = rate.NewLimiter(rate.Limit(l.share.Rate), max(1, int(math.Ceil(2*l.share.Rate))))
		}
		if l.share.Bytes > 0 {
			m.bytes = rate.NewLimiter(rate.Limit(l.share.Bytes), int(min(max(l.share.Bytes, 1<<16), 1<<30)))
		}
	}
	if len(l.young) >= metersMax {
		l.old, l.young = l.young, map[string]*meter{}
	}
	l.young[name] = m
	return m
}

// Pass is a request that was let in. Leave must be called once when it ends. The zero value is one without limits.
type Pass struct {
	l *Limiter
	m *meter
}

// Enter asks whether a request of name may begin; if not, retry is how long to wait before it is worth to ask again.
func (l *Limiter) Enter(name string) (p Pass, retry time.Duration, ok bool) {
	if l == nil {
		return Pass{}, 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.meter(name)
	if l.share.AtOnce > 0 && m.running >= l.share.AtOnce {
		return Pass{}, time.Second, false
	}
	if m.rate != nil {
		now := l.clock.Now()
		r := m.rate.ReserveN(now, 1)
		if wait := r.DelayFrom(now); wait > 0 {
			r.CancelAt(now)
			return Pass{}, wait, false
		}
	}
	m.running++
	return Pass{l, m}, 0, true
}

// Leave ends the request.
func (p Pass) Leave() {
	if p.l == nil {
		return
	}
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.m.running--
}

// Bytes waits until n bytes more are within the share. Its only error is that ctx ended.
func (p Pass) Bytes(ctx context.Context, n int) error {
	if p.l == nil || p.m.bytes == nil {
		return nil
	}
	for n > 0 {
		part := min(n, p.m.bytes.Burst())
		if err := p.m.bytes.WaitN(ctx, part); err != nil {
			return ctx.Err()
		}
		n -= part
	}
	return nil
}
