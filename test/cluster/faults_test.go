package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/test/nodes"
	"pithos/test/service"
	"pithos/test/thin"
)

const (
	owners    = 4
	claimers  = 4
	ownerPace = 50 * time.Millisecond
	claimPace = 300 * time.Millisecond
	checkers  = 6 // that look at names in the end
)

// fault breaks something, waits and mends it.
type fault struct {
	name string
	do   func(ctx context.Context, b *breaker) error
}

const cutOff = "cut a node off"

// faults are all kinds. Nodes are numbered from 1.
var faults = []fault{
	{"kill a node", func(ctx context.Context, b *breaker) error {
		n := b.node()
		return b.between(ctx, 5*time.Second, 15*time.Second, []string{"kill", n}, []string{"restart", n})
	}},
	{"halt a node", func(ctx context.Context, b *breaker) error {
		n := b.node()
		return b.between(ctx, 5*time.Second, 15*time.Second, []string{"pause", n}, []string{"resume", n})
	}},
	{cutOff, func(ctx context.Context, b *breaker) error {
		n := b.node()
		return b.between(ctx, 8*time.Second, 20*time.Second, []string{"part", n}, []string{"join", n})
	}},
	{"kill a gateway", func(ctx context.Context, b *breaker) error {
		s := b.g.all[b.random.IntN(len(b.g.all))]
		s.Kill()
		if err := clock.Wait(ctx, b.time(time.Second, 3*time.Second)); err != nil {
			return err
		}
		return s.Restart(context.WithoutCancel(ctx))
	}},
	{"halt a gateway", func(ctx context.Context, b *breaker) error {
		s := b.g.all[b.random.IntN(len(b.g.all))]
		if err := s.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		err := clock.Wait(ctx, b.time(5*time.Second, 15*time.Second))
		return errors.Join(err, s.Signal(syscall.SIGCONT))
	}},
	{"kill a gateway while a node is down", func(ctx context.Context, b *breaker) error {
		n := b.node()
		if _, err := nodes.Run(ctx, "kill", n); err != nil {
			return err
		}
		s := b.g.all[b.random.IntN(len(b.g.all))]
		s.Kill()
		err := clock.Wait(ctx, b.time(time.Second, 3*time.Second))
		if rerr := s.Restart(context.WithoutCancel(ctx)); rerr != nil {
			err = errors.Join(err, fmt.Errorf("a gateway does not start while one node of three is down: %w", rerr))
		}
		_, rerr := nodes.Run(context.WithoutCancel(ctx), "restart", n)
		return errors.Join(err, rerr)
	}},
	{"kill all nodes", func(ctx context.Context, b *breaker) error {
		for i := range b.at.Hosts {
			if _, err := nodes.Run(ctx, "kill", fmt.Sprint(i+1)); err != nil {
				return err
			}
		}
		_, err := nodes.Run(context.WithoutCancel(ctx), "start", fmt.Sprint(len(b.at.Hosts)))
		return err
	}},
}

// breaker breaks things.
type breaker struct {
	at     nodes.Nodes
	g      *gateways
	random *rand.Rand
}

func (b *breaker) node() string { return fmt.Sprint(1 + b.random.IntN(len(b.at.Hosts))) }

func (b *breaker) time(least, most time.Duration) time.Duration {
	return least + time.Duration(b.random.Int64N(int64(most-least)))
}

// between runs a command on nodes and, whatever happens, another one a while later.
func (b *breaker) between(ctx context.Context, least, most time.Duration, do, undo []string) error {
	if _, err := nodes.Run(ctx, do...); err != nil {
		return err
	}
	err := clock.Wait(ctx, b.time(least, most))
	_, uerr := nodes.Run(context.WithoutCancel(ctx), undo...)
	return errors.Join(err, uerr)
}

// plan is the order in which to break things: all kinds in a drawn order, again and again, or as many rounds as were asked for.
func plan(t *testing.T, random *rand.Rand) func() (f fault, more bool) {
	t.Helper()
	chosen := faults
	if *only != "" {
		chosen = slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return !slices.Contains(strings.Split(*only, ","), f.name) })
	}
	if _, err := nodes.Run(t.Context(), "cuts"); err != nil {
		t.Logf("NO NODE IS CUT OFF, since that cannot be done here: %v", err)
		chosen = slices.DeleteFunc(slices.Clone(chosen), func(f fault) bool { return f.name == cutOff })
	}
	if len(chosen) == 0 {
		t.Fatalf("no fault that can be done here is called %q", *only)
	}
	var left []fault
	round := 0
	return func() (fault, bool) {
		if len(left) == 0 {
			if *rounds > 0 && round == *rounds {
				return fault{}, false
			}
			round++
			left = slices.Clone(chosen)
			random.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		}
		f := left[0]
		left = left[1:]
		return f, true
	}
}

// TestFaults breaks nodes and gateways under load. Nothing that was answered may be lost; every read and listing gives what was answered last; conditional
// writes are linearizable; a bucket has one owner.
func TestFaults(t *testing.T) {
	at := environment(t)
	const prefix = "faults"
	if err := errors.Join(at.Install(t.Context(), prefix), at.Empty(t.Context(), prefix)); err != nil { // a seed may have run before
		t.Fatal(err)
	}
	g := startGateways(t, at, prefix, "gc:\n  interval: 5s\n  grace: 30s\n", 0, 3*time.Minute, -3*time.Minute)
	p := &pauses{}
	bucket := fmt.Sprintf("faults-%x", *seed)
	if _, err := g.insist(service.Admin, &thin.Request{Method: "PUT", Path: "/" + bucket}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	var all []*owner
	for i := range owners {
		o := newOwner(t, g, p, bucket, i)
		all = append(all, o)
		group.Go(func() { o.work(stop, ownerPace) })
	}
	r := &race{t: t, g: g, p: p, bucket: bucket, began: time.Now()}
	for i := range racers {
		group.Go(func() { r.run(i, stop) })
	}
	c := newClaims(t, g)
	for i := range claimers {
		group.Go(func() { c.run(i, stop) })
	}
	rival := &rivals{won: map[string][]thin.Keys{}}
	var register []*registrar
	for i := range registrars {
		k := newRegistrar(t, g, p, rival, i)
		register = append(register, k)
		group.Go(func() { k.work(stop) })
	}
	b := &breaker{at: at, g: g, random: rand.New(rand.NewPCG(*seed, 0))}
	count, err := b.run(t.Context(), plan(t, b.random), p)
	if err != nil {
		t.Error(err)
	}
	close(stop)
	group.Wait()
	mended(t, at, g)
	var o owner
	stands := map[string]int{}
	for i, found := range verifyAll(all) {
		one := all[i]
		for name, s := range found {
			stands[name] = s.size
		}
		o.answered += one.answered
		o.unanswered += one.unanswered
		o.verified += one.verified
		o.listed += one.listed
		o.bytes += one.bytes
	}
	finalListings(t, g, bucket, all, stands)
	r.check()
	c.check()
	var keys registrar
	for _, k := range register {
		k.verify()
		keys.changed += k.changed
		keys.unknown += k.unknown
		keys.used += k.used
		keys.revoked += k.revoked
	}
	rival.check(t, g)
	t.Logf("faults: %v", count)
	t.Logf("owners: %d requests answered (%d MB written), %d not; objects compared %d times, listings %d times", o.answered, o.bytes/1e6, o.unanswered, o.verified, o.listed)
	t.Logf("races: %d operations done, %d refused, %d of unknown outcome; claims: %v", r.done, r.refused, r.unknown, c)
	t.Logf("keys: %d changes acknowledged, %d of unknown outcome; %d requests signed, %d of them with keys that were disabled or removed; %d keys raced for",
		keys.changed, keys.unknown, keys.used, keys.revoked, len(rival.won))
	t.Logf("longest time without an answer that a client saw, by what was broken when it began: %v", p)
}

// run breaks one thing after the other until the time is over, or nothing is left to break, with some calm between.
func (b *breaker) run(ctx context.Context, next func() (fault, bool), p *pauses) (map[string]int, error) {
	count := map[string]int{}
	end := time.Now().Add(time.Duration(*minutes * float64(time.Minute)))
	for {
		if err := clock.Wait(ctx, b.time(2*time.Second, 6*time.Second)); err != nil {
			return count, err
		}
		if *rounds == 0 && time.Now().After(end) {
			return count, nil
		}
		f, more := next()
		if !more {
			return count, nil
		}
		p.breaking(f.name)
		if err := f.do(ctx, b); err != nil {
			return count, fmt.Errorf("%s: %w", f.name, err)
		}
		count[f.name]++
		p.breaking("")
	}
}

// mended sees to it that all nodes and gateways answer.
func mended(t *testing.T, at nodes.Nodes, g *gateways) {
	t.Helper()
	if _, err := nodes.Run(t.Context(), "join"); err != nil {
		t.Error(err)
	}
	if _, err := nodes.Run(t.Context(), "start", fmt.Sprint(len(at.Hosts))); err != nil {
		t.Error(err)
	}
	for range 2 * len(g.all) {
		if _, err := g.insist(service.Admin, &thin.Request{Method: "GET", Path: "/"}); err != nil {
			t.Fatal(err)
		}
	}
}

// finalListings compares the owners' names with what each gateway lists. A change whose client has left may still be under way: names with such a change are looked
// at until the listing and the object agree.
func finalListings(t *testing.T, g *gateways, bucket string, all []*owner, want map[string]int) {
	t.Helper()
	open := map[string]*owner{}
	for _, o := range all {
		for name := range o.retired {
			open[name] = o
		}
	}
	for i, s := range g.all {
		got := listed(t, s, bucket, "o")
		for name := range got {
			if _, ok := want[name]; !ok && open[name] == nil {
				t.Errorf("gateway %d: in the end the listing names %s, which is not there", i, name)
			}
		}
		for name, size := range want {
			if have, ok := got[name]; open[name] == nil && (!ok || have != size) {
				t.Errorf("gateway %d: in the end the listing gives %s %d bytes (there: %v), want %d", i, name, have, ok, size)
			}
		}
		for name, o := range open {
			have, ok := got[name]
			size, there := want[name]
			for deadline := time.Now().Add(settleMax); ok != there || have != size; {
				if time.Now().After(deadline) || clock.Wait(t.Context(), time.Second) != nil {
					t.Errorf("gateway %d: in the end the listing gives %s %d bytes (there: %v), it has %d (there: %v)", i, name, have, ok, size, there)
					break
				}
				if now, answered := o.fetch(name); answered {
					size, there = now.size, now.exists
				}
				have, ok = listed(t, s, bucket, name)[name]
			}
		}
	}
}

// listed is what a gateway lists, when nothing is broken any more.
func listed(t *testing.T, s *service.Service, bucket, prefix string) (got map[string]int) {
	t.Helper()
	patiently(t, func() (err error) {
		c := s.Client(requestMax)
		defer c.Close()
		got, err = listing(c, bucket, prefix)
		if refused := new(refusal); err != nil && (!errors.As(err, &refused) || refused.status >= 500) {
			err = errs.Wrap("list", errs.Busy, err)
		}
		return err
	})
	return got
}

// claims are races for bucket names between two accounts.
type claims struct {
	t    *testing.T
	g    *gateways
	mu   sync.Mutex
	won  map[string]map[string]bool // name -> accounts that were told that they have it
	open map[string]bool            // names with an attempt of unknown outcome
}

func newClaims(t *testing.T, g *gateways) *claims {
	return &claims{t: t, g: g, won: map[string]map[string]bool{}, open: map[string]bool{}}
}

// run claims one name after the other, as the others do at about the same time.
func (c *claims) run(client int, stop <-chan struct{}) {
	keys, account := service.Admin, "admin"
	if client%2 == 1 {
		keys, account = otherKeys, "other"
	}
	for {
		select {
		case <-stop:
			return
		default:
		}
		if clock.Wait(c.t.Context(), claimPace) != nil {
			return
		}
		name := fmt.Sprintf("claim-%x-%d", *seed, time.Now().UnixNano()/int64(claimPace))
		conn := c.g.client(keys)
		answer, err := conn.Do(&thin.Request{Method: "PUT", Path: "/" + name}, nil)
		conn.Close()
		c.mu.Lock()
		switch {
		case err != nil, answer.Status >= 500:
			c.open[name] = true
		case answer.OK():
			if c.won[name] == nil {
				c.won[name] = map[string]bool{}
			}
			c.won[name][account] = true
		case answer.Status != http.StatusConflict:
			c.t.Errorf("claim of %s: %v", name, answer.Err())
		}
		c.mu.Unlock()
	}
}

// check wants at most one owner of each name, and that it is who was told so, if anybody was.
func (c *claims) check() {
	names := map[string]bool{}
	for name, accounts := range c.won {
		names[name] = true
		if len(accounts) > 1 {
			c.t.Errorf("bucket %s was given to %v", name, accounts)
		}
	}
	for name := range c.open {
		names[name] = true
	}
	todo := make(chan string)
	var group sync.WaitGroup
	for range checkers {
		group.Go(func() {
			for name := range todo {
				c.checkOne(name)
			}
		})
	}
	for name := range names {
		todo <- name
	}
	close(todo)
	group.Wait()
}

func (c *claims) checkOne(name string) {
	has := map[string]bool{}
	for account, keys := range map[string]thin.Keys{"admin": service.Admin, "other": otherKeys} {
		answer, err := c.g.insist(keys, &thin.Request{Method: "HEAD", Path: "/" + name}, http.StatusForbidden, http.StatusNotFound)
		if err != nil {
			c.t.Error(err)
			return
		}
		if answer.OK() {
			has[account] = true
		}
	}
	if len(has) > 1 || len(c.won[name]) > 0 && !maps.Equal(has, c.won[name]) {
		c.t.Errorf("bucket %s was given to %v, and belongs to %v", name, c.won[name], has)
	}
}

func (c *claims) String() string {
	return fmt.Sprintf("%d names claimed, %d attempts of unknown outcome", len(c.won), len(c.open))
}
