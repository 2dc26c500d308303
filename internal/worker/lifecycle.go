package worker

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/object/lifecycle"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// entriesPerRead is how many entries of an index are read at a time.
const entriesPerRead = 1000

// Lifecycling is what a lifecycle works on.
type Lifecycling struct {
	Backend  *backend.Backend
	Keys     key.Reader
	Buckets  bucket.Store
	Meta     meta.Store
	Clock    clock.Clock
	Log      *slog.Logger
	Day      time.Duration // of the rules; shorter than 24 hours in tests only
	Interval time.Duration // wait between two rounds
}

// Lifecycle applies the lifecycle rules of containers.
//
// It reads the index of changes, which is ordered by time, up to the point where entries become due, and remembers how far it came for each
// rule, so that a round costs what became due since the one before and not what a container holds. It starts over after a restart of the process
// and when rules change; and once a day for containers where something can become due without a change in the index: where a rule looks at tags
// or at delete markers that cover nothing, and where a lock stood in the way.
type Lifecycle struct {
	Lifecycling

	mu       sync.Mutex
	total    LifecycleReport
	progress map[naming.ContainerID]*progress
}

// LifecycleReport counts what a lifecycle did.
type LifecycleReport struct {
	Examined int64 `json:"examined"` // entries of the index of changes
	Expired  int64 `json:"expired"`  // newest versions, deleted as a client would
	Removed  int64 `json:"removed"`  // covered versions
	Markers  int64 `json:"markers"`  // delete markers that covered nothing
	Aborted  int64 `json:"aborted"`  // uploads
	Locked   int64 `json:"locked"`   // versions left because of retention or a legal hold, counted each time
}

// progress is how far the rules of a container were applied.
type progress struct {
	rules      string // as configured
	versioning bucket.Versioning
	again      time.Time // when to start over; zero: never
	tracks     []tracks
}

// tracks are the positions of one rule's actions in the index of changes: everything up to them is done.
type tracks struct{ newest, covered, crowded, markers track }

type track struct {
	id   object.VersionID
	name naming.ObjectName
}

// NewLifecycle makes a lifecycle.
func NewLifecycle(l Lifecycling) *Lifecycle {
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	return &Lifecycle{Lifecycling: l, progress: map[naming.ContainerID]*progress{}}
}

// Name is "lifecycle".
func (*Lifecycle) Name() string { return "lifecycle" }

// Total is what was done since the start.
func (l *Lifecycle) Total() LifecycleReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Step applies what is due in all containers.
func (l *Lifecycle) Step(ctx context.Context) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	containers, err := l.containers(ctx)
	if err != nil {
		return 0, failed("worker.Lifecycle.Step", err)
	}
	known := make(map[naming.ContainerID]*progress, len(containers))
	var first error
	for _, c := range containers {
		if p := l.progress[c.ID]; p != nil {
			known[c.ID] = p
		}
		p, err := l.apply(ctx, c, known[c.ID])
		known[c.ID] = p
		if first == nil { // one container's trouble is not another's
			first = err
		}
	}
	l.progress = known
	return l.Interval, failed("worker.Lifecycle.Step", first)
}

// containers are those that have rules.
func (l *Lifecycle) containers(ctx context.Context) ([]bucket.Container, error) {
	var list []bucket.Container
	err := eachContainer(ctx, l.Keys, l.Buckets, func(c bucket.Container) {
		if len(c.Config.Documents[lifecycle.Document]) > 0 {
			list = append(list, c)
		}
	})
	return list, err
}

// round is the work on one container.
type round struct {
	*Lifecycle
	c     bucket.Container
	rules []lifecycle.Rule
	now   time.Time
	p     *progress
}

func (l *Lifecycle) apply(ctx context.Context, c bucket.Container, p *progress) (*progress, error) {
	raw, now := c.Config.Documents[lifecycle.Document], l.Clock.Now()
	rules, err := lifecycle.Decode(raw)
	if err != nil {
		return p, err
	}
	if p == nil || p.rules != string(raw) || p.versioning != c.Config.Versioning || !p.again.IsZero() && !now.Before(p.again) {
		p = &progress{rules: string(raw), versioning: c.Config.Versioning, tracks: make([]tracks, len(rules))}
		if slices.ContainsFunc(rules, func(r lifecycle.Rule) bool { return r.Markers || len(r.Tags) > 0 }) {
			p.again = now.Add(l.Day)
		}
	}
	w := &round{Lifecycle: l, c: c, rules: rules, now: now, p: p}
	for i := range rules {
		if err := w.rule(ctx, &rules[i], &p.tracks[i]); err != nil {
			return p, err
		}
	}
	return p, nil
}

// rule does what one rule says.
func (w *round) rule(ctx context.Context, r *lifecycle.Rule, t *tracks) error {
	if r.Disabled {
		return nil
	}
	newest := func(e meta.Changed) error { return w.expire(ctx, r, e) }
	if r.Days > 0 {
		if err := w.walk(ctx, r, &t.newest, w.before(r.Days), newest); err != nil {
			return err
		}
	}
	if !r.Date.IsZero() && !w.now.Before(r.Date) {
		if err := w.walk(ctx, r, &t.newest, w.now, newest); err != nil {
			return err
		}
	}
	if r.NoncurrentDays > 0 {
		// A version is covered from the moment when the next one was made: that one's entry tells when it is old enough.
		covered := func(e meta.Changed) error { return w.removeCovered(ctx, r, e.Name) }
		if err := w.walk(ctx, r, &t.covered, w.before(r.NoncurrentDays), covered); err != nil {
			return err
		}
		if r.Newer > 0 { // each new version may be the one more that pushes out what is old enough
			if err := w.walk(ctx, r, &t.crowded, w.now, covered); err != nil {
				return err
			}
		}
	}
	if r.Markers {
		err := w.walk(ctx, r, &t.markers, w.now, func(e meta.Changed) error {
			if e.Kind != object.DeleteMarker {
				return nil
			}
			return w.removeMarker(ctx, e.Name)
		})
		if err != nil {
			return err
		}
	}
	if r.AbortDays > 0 {
		return w.abort(ctx, r)
	}
	return nil
}

func (w *round) before(days int) time.Time { return lifecycle.Before(w.now, days, w.Day) }

// walk calls fn for the entries after t that were made at or before until and whose names the rule is for, and moves t on.
func (w *round) walk(ctx context.Context, r *lifecycle.Rule, t *track, until time.Time, fn func(meta.Changed) error) error {
	last := object.IDAt(until)
	for {
		batch := make([]meta.Changed, 0, entriesPerRead)
		err := w.Meta.Changes(ctx, w.c.ID, t.id, t.name, func(e meta.Changed) bool {
			if e.ID > last {
				return false
			}
			batch = append(batch, e)
			return len(batch) < entriesPerRead
		})
		if err != nil {
			return err
		}
		for _, e := range batch {
			w.total.Examined++
			if r.Names(e.Name) {
				if err := fn(e); err != nil {
					return err
				}
			}
			*t = track{e.ID, e.Name}
		}
		if len(batch) < entriesPerRead {
			return nil
		}
	}
}

// expire deletes the version of an entry as a client would, if it still is the newest.
func (w *round) expire(ctx context.Context, r *lifecycle.Rule, e meta.Changed) error {
	v, err := w.Meta.Get(ctx, w.c.ID, e.Name, meta.Which{})
	switch {
	case errs.Is(err, errs.NotFound):
		return nil
	case err != nil:
		return err
	case v.ID != e.ID:
		return nil
	case v.Kind == object.DeleteMarker:
		return w.removeMarker(ctx, e.Name)
	case !r.Matches(v):
		return nil
	}
	return w.delete(ctx, e.Name, meta.Which{}, object.Precondition{IfVersion: v.ID}, &w.total.Expired)
}

// removeCovered removes the covered versions of a name that are due.
func (w *round) removeCovered(ctx context.Context, r *lifecycle.Rule, name naming.ObjectName) error {
	due, err := w.coveredDue(ctx, r, name)
	if err != nil || len(due) == 0 {
		return err
	}
	for _, id := range due {
		which := meta.Which{By: meta.ByID, ID: id}
		if len(r.Tags) > 0 {
			v, err := w.Meta.Get(ctx, w.c.ID, name, which)
			if errs.Is(err, errs.NotFound) || err == nil && !r.Matches(v) {
				continue
			}
			if err != nil {
				return err
			}
		}
		if err := w.delete(ctx, name, which, object.Precondition{}, &w.total.Removed); err != nil {
			return err
		}
	}
	return w.removeMarker(ctx, name) // which may cover nothing any more
}

// coveredDue finds the versions below the newest one, below those that the rule keeps, and below one that is old enough. Its cost follows
// what it finds, not what stands above.
func (w *round) coveredDue(ctx context.Context, r *lifecycle.Rule, name naming.ObjectName) ([]object.VersionID, error) {
	cur := w.Meta.Scan(ctx, w.c.ID, meta.View{Kind: meta.ViewAll})
	defer cur.Close()
	next := func() (*object.Summary, error) {
		s, err := cur.Next(ctx)
		if s == nil || s.Name != name {
			return nil, err
		}
		return s, nil
	}
	cur.Seek(meta.Position{Name: name})
	var below object.VersionID
	for range r.Newer + 1 {
		s, err := next()
		if s == nil {
			return nil, err
		}
		below = s.ID
	}
	cutoff := object.IDAt(w.before(r.NoncurrentDays))
	if cutoff == 0 {
		return nil, nil
	}
	cur.Seek(meta.Position{Name: name, ID: cutoff})
	s, err := next()
	if s == nil {
		return nil, err
	}
	if below = min(below, s.ID); below <= 1 {
		return nil, nil
	}
	cur.Seek(meta.Position{Name: name, ID: below - 1})
	var due []object.VersionID
	for {
		s, err := next()
		if s == nil {
			return due, err
		}
		if len(r.Tags) > 0 || r.Matches(&object.Version{Summary: *s}) {
			due = append(due, s.ID)
		}
	}
}

// removeMarker removes the delete marker of a name if it covers nothing and a rule says so.
func (w *round) removeMarker(ctx context.Context, name naming.ObjectName) error {
	cur := w.Meta.Scan(ctx, w.c.ID, meta.View{Kind: meta.ViewAll})
	defer cur.Close()
	cur.Seek(meta.Position{Name: name})
	s, err := cur.Next(ctx)
	if err != nil || s == nil || s.Name != name || s.Kind != object.DeleteMarker || backend.Trace(s) {
		return err
	}
	if below, err := cur.Next(ctx); err != nil || below != nil && below.Name == name {
		return err
	}
	marker := &object.Version{Summary: *s}
	for i := range w.rules {
		r := &w.rules[i]
		old := r.Days > 0 && !s.Modified().After(w.before(r.Days))
		if (r.Markers || old) && r.Matches(marker) {
			return w.delete(ctx, name, meta.Which{By: meta.ByID, ID: s.ID}, object.Precondition{}, &w.total.Markers)
		}
	}
	return nil
}

// delete deletes in the service's name. What changed meanwhile is left alone; what is locked is tried again in a day.
func (w *round) delete(ctx context.Context, name naming.ObjectName, which meta.Which, cond object.Precondition, count *int64) error {
	d, err := w.Backend.Delete(ctx, service(), backend.DeleteRequest{
		Target: backend.Target{Container: w.ref(), Name: name, Which: which}, If: cond,
	})
	switch {
	case errs.Is(err, errs.Denied):
		w.total.Locked++
		if again := w.now.Add(w.Day); w.p.again.IsZero() || again.Before(w.p.again) {
			w.p.again = again
		}
		return nil
	case errs.Is(err, errs.Precondition), errs.Is(err, errs.NotFound):
		return nil
	case err != nil:
		return err
	}
	if !d.Nothing {
		*count++
	}
	return nil
}

// abort aborts the uploads that are due.
func (w *round) abort(ctx context.Context, r *lifecycle.Rule) error {
	until := w.before(r.AbortDays)
	at := meta.UploadKey{Name: naming.ObjectName(r.Prefix)}
	for {
		var due []meta.Upload
		read := 0
		err := w.Meta.Pending(ctx, w.c.ID, at.Name, at.ID, func(u meta.Upload) bool {
			if !strings.HasPrefix(string(u.Name), r.Prefix) {
				return false
			}
			if !u.Initiated.After(until) {
				due = append(due, u)
			}
			at, read = u.UploadKey, read+1
			return read < entriesPerRead
		})
		if err != nil {
			return err
		}
		for _, u := range due {
			err := w.Backend.AbortUpload(ctx, service(), w.ref(), u.Name, u.ID)
			if err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
			w.total.Aborted++
		}
		if read < entriesPerRead {
			return nil
		}
	}
}

func (w *round) ref() backend.Ref { return backend.Ref{Account: w.c.Account, Name: w.c.Name} }

// service is the caller that the service itself is.
func service() backend.Caller {
	return backend.Caller{Principal: access.Principal{Operator: true}, RequestID: "lifecycle"}
}
