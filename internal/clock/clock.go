// Package clock is where time comes from. Data times are arguments; only the
// edges (doors, server, workers) ask a Clock. Tests own time through a Manual
// clock or testing/synctest.
package clock

import (
	"context"
	"sync"
	"time"
)

// Clock tells the time.
type Clock interface {
	Now() time.Time
}

// System is the machine's clock.
type System struct{}

// Now is the present time.
func (System) Now() time.Time { return time.Now() }

// Shifted is a clock that is wrong by a constant, for tests of what a wrong clock does.
type Shifted struct {
	Clock
	By time.Duration
}

// Now is the shifted time.
func (s Shifted) Now() time.Time { return s.Clock.Now().Add(s.By) }

// Manual is a clock that moves only when told to. The zero value stands at the zero time.
type Manual struct {
	mu  sync.Mutex
	now time.Time
}

// NewManual starts a manual clock at t.
func NewManual(t time.Time) *Manual { return &Manual{now: t} }

// Now is the time it was last set to.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Set moves the clock to t, forwards or backwards.
func (m *Manual) Set(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = t
}

// Advance moves the clock by d and tells the new time.
func (m *Manual) Advance(d time.Duration) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	return m.now
}

// Wait returns after d, or with the context's error when that ends first. Tests own it through testing/synctest.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WaitFor returns after d, or before when event comes, or with the context's error when that ends first.
func WaitFor(ctx context.Context, event <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-event:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
