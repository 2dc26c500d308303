package wire

import (
	"sync"
	"time"

	"pithos/internal/clock"
)

// Damper slows the guessing of secrets down: who failed too often in a short time must wait. It counts failures only, so who knows the secret never
// notices it, unless others guess from the same address. It is safe for concurrent use, and remembers a bounded number of names.
type Damper struct {
	most   int           // failures that are let pass at once
	regain time.Duration // after which one more is
	clock  clock.Clock

	mu         sync.Mutex
	young, old map[string]guesses
}

// guesses is what is known of one name: so many failures at that time.
type guesses struct {
	failed float64
	at     time.Time
}

// NewDamper makes a damper: most failures at once, one more after each regain.
func NewDamper(most int, regain time.Duration, c clock.Clock) *Damper {
	return &Damper{most: most, regain: regain, clock: c, young: map[string]guesses{}}
}

// left is what a name's failures have come down to by now; d.mu is held.
func (d *Damper) left(name string, now time.Time) float64 {
	g, ok := d.young[name]
	if !ok {
		g = d.old[name]
	}
	return max(0, g.failed-float64(now.Sub(g.at))/float64(d.regain))
}

// Wait is how long a name must wait before it may try again; 0: not at all.
func (d *Damper) Wait(name string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	over := d.left(name, d.clock.Now()) - float64(d.most-1)
	return max(0, time.Duration(over*float64(d.regain)))
}

// Failed counts a failure.
func (d *Damper) Failed(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Now()
	failed := min(d.left(name, now)+1, float64(2*d.most))
	if len(d.young) >= metersMax {
		d.old, d.young = d.young, map[string]guesses{}
	}
	d.young[name] = guesses{failed, now}
}
