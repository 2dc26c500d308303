package cassandra

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// A change that was applied, and whose effects could not be brought about at once, is stuck: its row of the log stays open. Its own process mends that soon,
// behind the callers' backs, and before it tells a usage; and whoever changes the name again mends it first. So a usage lacks nothing that was
// acknowledged, but what a process that is gone has left of an account: that comes with Reap.

// mender is what mends changes that are stuck.
type mender struct {
	mu      sync.Mutex
	books   map[*book]bool // in which something is stuck
	running bool
	closed  bool
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// Bounds of the mending behind the callers' backs. What it gives up is left to Reap.
const (
	mendFirst = 100 * time.Millisecond
	mendMost  = 5 * time.Second
	mendTries = 20
)

// mendSoon has what is stuck in a book mended. The book's lock is held.
func (m *Meta) mendSoon(ctx context.Context, b *book) {
	d := &m.mender
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.books == nil {
		d.books = map[*book]bool{}
	}
	d.books[b] = true
	if d.running || d.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.running, d.cancel = true, cancel
	d.done.Go(func() {
		defer cancel()
		wait := mendFirst
		for n := 0; clock.Wait(ctx, wait) == nil; n++ {
			_ = m.mendAll(ctx) // what fails is tried again
			if d.rest(n+1 >= mendTries) {
				return
			}
			wait = min(2*wait, mendMost)
		}
		d.rest(true)
	})
}

// rest ends the mending when nothing is left to be done, or enough was tried.
func (d *mender) rest(enough bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !enough && len(d.books) > 0 {
		return false
	}
	d.running = false
	return true
}

// stop waits for what is under way.
func (d *mender) stop() {
	d.mu.Lock()
	d.closed = true
	if d.running {
		d.cancel()
	}
	d.mu.Unlock()
	d.done.Wait()
}

// mendAll settles what is stuck in this process. Another who is at it is waited for.
func (m *Meta) mendAll(ctx context.Context) error {
	d := &m.mender
	d.mu.Lock()
	books := slices.Collect(maps.Keys(d.books))
	d.mu.Unlock()
	var failed error
	for _, b := range books {
		if err := m.settleStuck(ctx, b); err != nil {
			failed = err
		}
	}
	return failed
}

// forget drops a book in which nothing is stuck. The book's locks are held.
func (d *mender) forget(b *book) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.books, b)
}

// atIt reports whether this process is at a change just now.
func (m *Meta) atIt(p place, k logKey) bool {
	j := &m.journal
	j.mu.Lock()
	b := j.books[p.owner]
	own := j.proc
	j.mu.Unlock()
	if b == nil || p.proc != own {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !slices.ContainsFunc(b.stuck[p.chunk], func(l left) bool { return l.logKey == k })
}

var getDelta = statement{cql: `SELECT delta FROM %k.log WHERE owner = ? AND proc = ? AND chunk = ? AND name = ? AND upload = ? AND id = ?`, class: pointRead, level: gocql.LocalQuorum}

// unfinished adds up the changes of a container that were applied and have not come to their end, of other processes than this.
func (m *Meta) unfinished(ctx context.Context, id naming.ContainerID, list []logged) (sum meta.Usage, err error) {
	m.journal.mu.Lock()
	own := m.journal.proc
	m.journal.mu.Unlock()
	list = slices.DeleteFunc(list, func(r logged) bool { return r.proc == own })
	deltas := make([]meta.Usage, len(list))
	g, gctx := limited(ctx)
	for i, r := range list {
		r.container = id
		g.Go(func() (err error) {
			deltas[i], err = m.deltaOf(gctx, r)
			return err
		})
	}
	err = g.Wait()
	for _, d := range deltas {
		sum = sum.Add(d)
	}
	return sum, err
}

// deltaOf is what a change added that had not come to its end when its row was read: what its cell says of it, or, when the cell does not
// remember it any more, what its row says now.
func (m *Meta) deltaOf(ctx context.Context, r logged) (meta.Usage, error) {
	c, err := m.cell(ctx, r.cellKey, gocql.LocalQuorum)
	if err != nil {
		return meta.Usage{}, err
	}
	if raw := c.remembers(r.id); len(raw) > len(r.id) {
		var e effects
		if err := json.Unmarshal(raw, &e); err != nil {
			return meta.Usage{}, errs.Wrap("cassandra.Meta.usage", errs.Corrupt, err)
		}
		return e.Delta, nil
	}
	var raw []byte
	var delta meta.Usage
	if _, err := m.s.one(ctx, getDelta, r.row(r.cellKey, r.id), &raw); err != nil || len(raw) == 0 {
		return delta, err
	}
	if err := json.Unmarshal(raw, &delta); err != nil {
		return delta, tornUsage(err)
	}
	return delta, nil
}
