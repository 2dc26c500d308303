package backend

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"pithos/internal/access"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Limits of waiting for changes.
const (
	ChangesMax  = 10_000           // changes in one answer
	WaitMax     = 60 * time.Second // how long a request may wait for one
	pollChanges = 2 * time.Second  // how often to look for changes that another gateway made
	settle      = 2 * time.Second  // a position is not given away before that age: a commit with a smaller id may still be under way
)

// Point is a place in the history of a container: behind the version ID of Name.
type Point struct {
	ID   object.VersionID
	Name naming.ObjectName
}

// Changes gives the versions of a container that came after a point, in the order of time, and the point to go on from. A version that was replaced
// where no versions are kept, or that was purged, does not appear; its successor does. Without any it waits up to wait for one. What was committed a
// moment ago may appear again in the next answer: the point lags a little behind the clock, so that nothing is missed. Where there is more than fits, the answer
// waits for that moment to pass, 2 s at most: else whoever goes on would be told the same page again and again until it has.
//
// Errors: NotFound, Denied to whoever may not list all versions.
func (b *Backend) Changes(ctx context.Context, c Caller, r Ref, after Point, limit int, wait time.Duration) (list []meta.Changed, next Point, more bool, err error) {
	const op = "backend.Changes"
	container, err := b.Container(ctx, c, r, access.ListBucketVersions)
	if err != nil {
		return nil, after, false, fail(op, err)
	}
	limit = min(limit, ChangesMax)
	deadline := b.now().Add(min(wait, WaitMax))
	for {
		changed, done := b.watch.wait(container.ID)
		list, more, err = b.changes(ctx, container.ID, after, limit)
		left := deadline.Sub(b.now())
		if err != nil || len(list) > 0 || left <= 0 {
			done()
			break
		}
		err = clock.WaitFor(ctx, changed, min(left, pollChanges))
		done()
		if err != nil {
			break
		}
	}
	if err == nil && more && len(list) > 0 {
		if young := settle - b.now().Sub(list[len(list)-1].ID.Time()); young > 0 {
			if err = clock.Wait(ctx, min(young, settle)); err == nil {
				list, more, err = b.changes(ctx, container.ID, after, limit) // what was committed meanwhile may stand before the last one
			}
		}
	}
	if err != nil {
		return nil, after, false, fail(op, err)
	}
	return list, b.pointAfter(after, list), more, nil
}

// Describe tells what listings tell of the versions in a list of changes: of each name the last one, unless it is a deletion or gone by now. The others are nil.
//
// Errors: NotFound, Denied to whoever may not list all versions.
func (b *Backend) Describe(ctx context.Context, c Caller, r Ref, list []meta.Changed) ([]*object.Summary, error) {
	const op = "backend.Describe"
	container, err := b.Container(ctx, c, r, access.ListBucketVersions)
	if err != nil {
		return nil, fail(op, err)
	}
	told := make([]*object.Summary, len(list))
	seen := make(map[naming.ObjectName]bool, len(list))
	var wanted []int
	for i := len(list) - 1; i >= 0; i-- {
		if e := &list[i]; !seen[e.Name] {
			seen[e.Name] = true
			if e.Kind != object.DeleteMarker {
				wanted = append(wanted, i)
			}
		}
	}
	err = AtOnce(wanted, func(i int) error {
		v, err := b.stores.Meta.Get(ctx, container.ID, list[i].Name, meta.Which{By: meta.ByID, ID: list[i].ID})
		if errs.Is(err, errs.NotFound) {
			return nil
		}
		if err == nil {
			s := v.Summary
			told[i] = &s
		}
		return err
	})
	return told, fail(op, err)
}

// PointNow is the point from which Changes tells what is committed from now on. It lags behind the clock as the points of Changes do.
//
// Errors: NotFound, Denied to whoever may not list all versions.
func (b *Backend) PointNow(ctx context.Context, c Caller, r Ref) (Point, error) {
	if _, err := b.Container(ctx, c, r, access.ListBucketVersions); err != nil {
		return Point{}, fail("backend.PointNow", err)
	}
	return Point{ID: object.IDAt(b.now().Add(-settle))}, nil
}

func (b *Backend) changes(ctx context.Context, id naming.ContainerID, after Point, limit int) (list []meta.Changed, more bool, err error) {
	err = b.stores.Meta.Changes(ctx, id, after.ID, after.Name, func(e meta.Changed) bool {
		if more = len(list) == limit; more {
			return false
		}
		list = append(list, e)
		return true
	})
	return list, more, err
}

// pointAfter is where the next answer begins: behind the last change that is old enough.
func (b *Backend) pointAfter(after Point, list []meta.Changed) Point {
	old := object.IDAt(b.now().Add(-settle))
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].ID <= old {
			return Point{list[i].ID, list[i].Name}
		}
	}
	return after
}

// watch tells those who wait when a container has changed in this process.
type watch struct {
	waiting atomic.Int64
	mu      sync.Mutex
	topics  map[naming.ContainerID]*topic
}

type topic struct {
	users int
	ch    chan struct{}
}

// wait gives a channel that is closed at the next change; done must be called.
func (w *watch) wait(id naming.ContainerID) (changed <-chan struct{}, done func()) {
	w.waiting.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.topics == nil {
		w.topics = map[naming.ContainerID]*topic{}
	}
	t := w.topics[id]
	if t == nil {
		t = &topic{ch: make(chan struct{})}
		w.topics[id] = t
	}
	t.users++
	return t.ch, func() {
		w.waiting.Add(-1)
		w.mu.Lock()
		defer w.mu.Unlock()
		if t.users--; t.users == 0 && w.topics[id] == t {
			delete(w.topics, id)
		}
	}
}

func (w *watch) notify(id naming.ContainerID) {
	if w.waiting.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.topics[id]; t != nil {
		close(t.ch)
		delete(w.topics, id)
	}
}

// watched is a metastore that tells of its commits.
type watched struct {
	meta.Store
	watch *watch
}

func (w watched) Commit(ctx context.Context, c meta.Change) (meta.Outcome, error) {
	out, err := w.Store.Commit(ctx, c)
	if err == nil {
		w.watch.notify(c.Container)
	}
	return out, err
}
