package swift

import (
	"context"
	"math"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"pithos/internal/clock"
	"pithos/internal/door/wire"
)

// NameCheck refuses names that some client could not stand. The zero value refuses none.
type NameCheck struct {
	Characters string         // that no path may have
	Length     int            // most bytes of a path behind the version, when it is escaped; 0: no bound
	Pattern    *regexp.Regexp // that no path may fit; nil: none
}

// check tests a path. Error: 400.
func (n *NameCheck) check(path string) error {
	switch {
	case n.Characters != "" && strings.ContainsAny(path, n.Characters):
		return bad("Object/Container/Account name contains forbidden chars from " + n.Characters)
	case n.Length > 0 && len(path) > n.Length:
		return bad("Object/Container/Account name longer than the allowed maximum")
	case n.Pattern != nil && n.Pattern.MatchString(path):
		return bad("Object/Container/Account name contains a forbidden substring from regular expression " + n.Pattern.String())
	}
	return nil
}

// guard refuses what the operator does not want, before anything is looked at.
func (c *call) guard(ctx context.Context) error {
	o := &c.door.o
	if o.ReadOnly && writes(c.r.Method) {
		f := refusal(http.StatusForbidden, "Writes are disabled for this account.")
		f.firm = true
		return f
	}
	if utf8.ValidString(c.path) {
		if err := o.Names.check(c.path); err != nil {
			return err
		}
	}
	return c.door.pace.wait(ctx, c, o.Rates)
}

// Rates bound how often something is done. Zero is no bound.
type Rates struct {
	Account   float64       // containers made and deleted per second in one account
	Container float64       // objects written and deleted per second in one container
	Listing   float64       // listings per second of one container
	Wait      time.Duration // longest time that a request is made to wait before it is refused: 60 s
}

func (r Rates) wait() time.Duration {
	if r.Wait == 0 {
		return time.Minute
	}
	return r.Wait
}

// pace knows when the next request of each kind may run. The zero value is ready.
type pace struct {
	mu   sync.Mutex
	next map[string]time.Time
}

// pacesMax bounds what is remembered; old entries mean nothing any more.
const pacesMax = 100_000

// statusRateLimited is Swift's word for too many requests.
const statusRateLimited = 498

// slowDown refuses who has no place within a share, in the words of Swift's ratelimit.
func slowDown(retry time.Duration) *fault {
	return refusal(statusRateLimited, "Slow down").carrying("Retry-After", wire.RetryAfter(retry))
}

// enterUser takes a place within the share of who asks. Error: 498.
func (c *call) enterUser(ctx context.Context) error {
	if retry, ok := c.door.o.Shares.EnterUser(&c.turn, c.caller.User); !ok {
		return slowDown(retry)
	}
	c.turn.Meter(ctx, &c.w, nil)
	return nil
}

// wait makes a request wait for its turn. Error: 498 when that would take too long.
func (p *pace) wait(ctx context.Context, c *call, r Rates) error {
	key, rate := c.turnOf(r)
	if rate <= 0 {
		return nil
	}
	now := c.door.o.Clock.Now()
	every := time.Duration(math.Round(float64(time.Second) / rate))
	p.mu.Lock()
	if p.next == nil || len(p.next) >= pacesMax {
		p.prune(now)
	}
	turn := p.next[key]
	if turn.Before(now) {
		turn = now
	}
	if turn.Sub(now) > r.wait() {
		p.mu.Unlock()
		return refusal(statusRateLimited, "Slow down")
	}
	p.next[key] = turn.Add(every)
	p.mu.Unlock()
	if turn.Equal(now) {
		return nil
	}
	return clock.Wait(ctx, turn.Sub(now))
}

// prune forgets turns that have passed, and all of them when none has.
func (p *pace) prune(now time.Time) {
	kept := make(map[string]time.Time)
	for key, at := range p.next {
		if at.After(now) && len(p.next) < 2*pacesMax {
			kept[key] = at
		}
	}
	if len(kept) >= pacesMax {
		kept = make(map[string]time.Time)
	}
	p.next = kept
}

// turnOf tells whose turn a request takes, and how many of its kind may run in a second.
func (c *call) turnOf(r Rates) (key string, rate float64) {
	where := c.account + "/" + c.rawNames[0]
	switch write := c.r.Method == http.MethodPut || c.r.Method == http.MethodDelete || c.r.Method == http.MethodPost || c.r.Method == copyMethod; {
	case c.level == containerLevel && (c.r.Method == http.MethodPut || c.r.Method == http.MethodDelete):
		return "a" + c.account, r.Account
	case c.level == objectLevel && write:
		return "c" + where, r.Container
	case c.level == containerLevel && c.r.Method == http.MethodGet:
		return "l" + where, r.Listing
	}
	return "", 0
}
