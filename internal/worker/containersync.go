package worker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// Bounds of container sync.
const (
	syncFindEvery  = 10 * time.Minute // all containers are looked through for those that are sent elsewhere
	syncBatch      = 256              // changes between two notes of how far it came
	syncAtOnce     = 8                // changes on their way at once
	syncContainer  = time.Minute      // spent on one container before the next has its turn
	syncSettle     = 2 * time.Second  // age of a change before it is sent: one with a smaller id may still be under way
	syncLease      = 3 * time.Minute  // a gateway that has not noted anything for so long has lost the container to others
	syncAgainMax   = 256              // names that are tried again, beside what is new
	syncAgainBytes = 64 << 10         // of their names
	syncAgainFirst = 15 * time.Second // before an object that was refused is tried again; doubled each time
	syncAgainLast  = time.Hour
	syncPauseFirst = 15 * time.Second // before a container that nothing can be sent from is tried again; doubled each time
	syncPauseLast  = 5 * time.Minute
)

// Sender sends a container's changes to another cluster.
type Sender interface {
	// SyncReady tells why a container cannot be sent; nil when it can.
	SyncReady(container *bucket.Container) error
	// SendChange brings the other side up to date about a name. Busy: nothing can be sent there now. Other errors are the object's own trouble.
	SendChange(ctx context.Context, container *bucket.Container, name naming.ObjectName, pace func(context.Context, int) error) (backend.Sent, error)
}

// Syncing is what a ContainerSync works on.
type Syncing struct {
	Backend  *backend.Backend
	Keys     key.Reader
	Buckets  bucket.Store
	Meta     meta.Store
	Sender   Sender
	Clock    clock.Clock
	Log      *slog.Logger
	Interval time.Duration // between two looks at the containers that are sent elsewhere
	Rate     int64         // bytes per second, over all containers; 0: no bound
	Alone    bool          // no other gateway works on the same stores
}

// ContainerSync sends the changes of containers that Swift's X-Container-Sync-To sends elsewhere.
//
// It reads the index of changes from where it came to the last time, which is noted durably after each batch, so a round costs what has changed, and whoever
// is killed goes on there; what was sent after the last note is asked for and not sent again. Changes of one name go in their order, and as the name is when
// its turn comes. An object that is refused is noted and tried again later, ever more rarely; what comes after it does not wait. When nothing can be
// sent to a container at all, it waits as a whole.
//
// Of several gateways one works on a container, until it has not noted anything for some minutes.
type ContainerSync struct {
	Syncing
	self string // tells gateways apart

	mu       sync.Mutex
	total    SyncReport
	found    map[naming.ContainerID]place
	findNext time.Time
	pauses   map[naming.ContainerID]pause

	rateMu sync.Mutex
	free   time.Time // when the next byte may be sent
}

type place struct {
	account naming.AccountID
	name    naming.ContainerName
}

// pause is why a container is left alone, and until when.
type pause struct {
	until time.Time
	wait  time.Duration
	why   string
}

// SyncReport counts what was sent.
type SyncReport struct {
	Puts     int64 `json:"puts"`
	Deletes  int64 `json:"deletes"`
	Bytes    int64 `json:"bytes"`
	Known    int64 `json:"known"`    // changes that the other side had already
	Failures int64 `json:"failures"` // objects that were refused, and rounds in which nothing could be sent to a container
	Skipped  int64 `json:"skipped"`  // rounds of containers that keep versions, or whose destination is not allowed
}

// syncPoint is how far the changes of a container were sent, as it is noted.
type syncPoint struct {
	To    string            `json:"to"` // X-Container-Sync-To: all is sent anew when that changes
	ID    object.VersionID  `json:"id,omitempty"`
	Name  naming.ObjectName `json:"name,omitempty"`
	Again []again           `json:"again,omitempty"`
	By    string            `json:"by,omitempty"` // the gateway that works on it
	Until time.Time         `json:"until,omitzero"`

	note object.VersionID
}

// again is an object that was refused.
type again struct {
	Name naming.ObjectName `json:"name"`
	Next time.Time         `json:"next"`
	Wait time.Duration     `json:"wait"`
}

// NewContainerSync makes a ContainerSync.
func NewContainerSync(s Syncing) *ContainerSync {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails (Go 1.24)
	return &ContainerSync{Syncing: s, self: hex.EncodeToString(raw[:]), pauses: map[naming.ContainerID]pause{}, found: map[naming.ContainerID]place{}}
}

// Name is "container-sync".
func (*ContainerSync) Name() string { return "container-sync" }

// Total is what was done since the start.
func (s *ContainerSync) Total() SyncReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Changed tells of a container whose settings were changed here, so that one which is sent elsewhere from now on is found at once.
func (s *ContainerSync) Changed(c *bucket.Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(c.Config.Documents[backend.SyncToDocument]) > 0 {
		s.found[c.ID] = place{c.Account, c.Name}
		delete(s.pauses, c.ID)
	}
}

// Step sends what has changed in each container, for a bounded time each.
func (s *ContainerSync) Step(ctx context.Context) (time.Duration, error) {
	const op = "worker.ContainerSync.Step"
	if err := s.find(ctx); err != nil {
		return 0, failed(op, err)
	}
	more := false
	var first error
	for id, at := range s.places() {
		c, err := s.Buckets.Lookup(ctx, at.account, at.name)
		if errs.Is(err, errs.NotFound) || err == nil && (c.ID != id || len(c.Config.Documents[backend.SyncToDocument]) == 0) {
			s.leave(id)
			continue
		}
		left := false
		if err == nil {
			left, err = s.container(ctx, &c)
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		more = more || left
		if first == nil { // one container's trouble is not another's
			first = err
		}
	}
	if more && first == nil {
		return 0, nil
	}
	return s.Interval, failed(op, first)
}

func (s *ContainerSync) places() map[naming.ContainerID]place {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make(map[naming.ContainerID]place, len(s.found))
	for id, at := range s.found {
		list[id] = at
	}
	return list
}

func (s *ContainerSync) leave(id naming.ContainerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.found, id)
	delete(s.pauses, id)
}

// find looks now and then for containers that are sent elsewhere: another gateway may have been told, or this one before it was started.
func (s *ContainerSync) find(ctx context.Context) error {
	now := s.Clock.Now()
	if now.Before(s.findNext) && s.findNext.Sub(now) <= syncFindEvery {
		return nil
	}
	kept := map[string]bool{}
	err := eachContainer(ctx, s.Keys, s.Buckets, func(c bucket.Container) {
		if len(c.Config.Documents[backend.SyncToDocument]) > 0 {
			kept[c.ID.String()] = true
			s.mu.Lock()
			s.found[c.ID] = place{c.Account, c.Name}
			s.mu.Unlock()
		}
	})
	if err != nil {
		return err
	}
	s.findNext = now.Add(syncFindEvery)
	return s.Backend.ForgetSyncPoints(ctx, func(id string) bool { return kept[id] })
}

// eachContainer calls fn for every container of every account.
func eachContainer(ctx context.Context, keys key.Reader, buckets bucket.Store, fn func(bucket.Container)) error {
	var inner error
	err := keys.Accounts(ctx, "", func(a key.Account) bool {
		for _, id := range naming.Beside(a.ID) {
			inner = buckets.Containers(ctx, id, "", func(c bucket.Container) bool {
				fn(c)
				return true
			})
			if inner != nil {
				break
			}
		}
		return inner == nil
	})
	if err == nil {
		err = inner
	}
	return err
}

// container sends what has changed in one container, and tells whether there is more.
func (s *ContainerSync) container(ctx context.Context, c *bucket.Container) (more bool, err error) {
	now := s.Clock.Now()
	if p := s.pauseOf(c.ID); now.Before(p.until) && p.until.Sub(now) <= syncPauseLast {
		return false, nil
	}
	switch {
	case len(c.Config.Documents[backend.SyncKeyDocument]) == 0:
		return false, nil // as Swift: there is no key yet
	case c.Config.Versioning != bucket.VersioningOff:
		s.hold(ctx, c, "it keeps versions", true)
		return false, nil
	}
	if err := s.Sender.SyncReady(c); err != nil {
		s.hold(ctx, c, err.Error(), true)
		return false, nil
	}
	w := &sync1{ContainerSync: s, c: c, last: object.IDAt(now.Add(-syncSettle)), until: now.Add(syncContainer)}
	if err := w.load(ctx); err != nil {
		return false, err
	}
	if s.other(&w.p, now) {
		return false, nil
	}
	trouble := w.retry(ctx)
	for trouble == nil && err == nil && !w.done && s.Clock.Now().Before(w.until) {
		trouble, err = w.batch(ctx)
	}
	switch {
	case err != nil || ctx.Err() != nil:
		return false, err
	case trouble != nil:
		s.hold(ctx, c, trouble.Error(), false)
	default:
		s.release(c.ID)
	}
	return !w.done && trouble == nil, w.end(ctx)
}

// other tells whether another gateway works on the container.
func (s *ContainerSync) other(p *syncPoint, now time.Time) bool {
	return !s.Alone && p.By != "" && p.By != s.self && now.Before(p.Until) && p.Until.Sub(now) <= syncLease
}

func (s *ContainerSync) pauseOf(id naming.ContainerID) pause {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pauses[id]
}

func (s *ContainerSync) release(id naming.ContainerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pauses, id)
}

// hold leaves a container alone for a while. The reason is logged when it is a new one.
func (s *ContainerSync) hold(ctx context.Context, c *bucket.Container, why string, skipped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pauses[c.ID]
	p.wait = min(max(2*p.wait, syncPauseFirst), syncPauseLast)
	p.until = s.Clock.Now().Add(p.wait)
	if skipped {
		s.total.Skipped++
	} else {
		s.total.Failures++
	}
	if p.why != why {
		s.Log.WarnContext(ctx, "a container is not sent; it is tried again", "account", c.Account, "container", c.Name, "reason", why, "in", p.wait)
	}
	p.why = why
	s.pauses[c.ID] = p
}

// pace lets n bytes pass in their time.
func (s *ContainerSync) pace(ctx context.Context, n int) error {
	if s.Rate <= 0 {
		return ctx.Err()
	}
	now := s.Clock.Now()
	s.rateMu.Lock()
	if s.free.Before(now) {
		s.free = now
	}
	wait := s.free.Sub(now)
	s.free = s.free.Add(time.Duration(float64(n) / float64(s.Rate) * float64(time.Second)))
	s.rateMu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	return clock.Wait(ctx, wait)
}

// sync1 is one round of one container.
type sync1 struct {
	*ContainerSync
	c     *bucket.Container
	p     syncPoint
	last  object.VersionID // changes behind it wait for the next round
	until time.Time
	dirty bool // p is not as it is noted
	held  bool // p says that this gateway works on the container
	done  bool
}

// load reads how far it came.
func (w *sync1) load(ctx context.Context) error {
	text, note, err := w.Backend.SyncPoint(ctx, w.c.ID)
	if err != nil {
		return err
	}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &w.p); err != nil {
			w.Log.ErrorContext(ctx, "how far a container was sent cannot be read: it is sent anew", "container", w.c.ID.String(), "error", err)
			w.p = syncPoint{}
		}
	}
	if to := string(w.c.Config.Documents[backend.SyncToDocument]); w.p.To != to {
		w.p = syncPoint{To: to, By: w.p.By, Until: w.p.Until}
	}
	w.p.note = note
	return nil
}

// save notes how far it came, and that this gateway goes on. Precondition: another one does.
func (w *sync1) save(ctx context.Context, goesOn bool) error {
	w.p.By, w.p.Until = "", time.Time{}
	if goesOn {
		w.p.By, w.p.Until = w.self, w.Clock.Now().Add(syncLease)
	}
	text, err := json.Marshal(w.p)
	if err != nil {
		return err
	}
	note, err := w.Backend.SaveSyncPoint(ctx, w.c.ID, string(text), w.p.note)
	if err != nil {
		return err
	}
	w.p.note, w.dirty, w.held = note, false, goesOn
	return nil
}

// end notes what is not noted yet, and that other gateways may go on.
func (w *sync1) end(ctx context.Context) error {
	if !w.dirty && !w.held {
		return nil
	}
	err := w.save(ctx, false)
	if errs.Is(err, errs.Precondition) || errs.Is(err, errs.NotFound) {
		return nil // another gateway has taken it over, and sends again what this one sent
	}
	return err
}

// result is what became of one name.
type result struct {
	sent backend.Sent
	err  error
}

// batch sends the next changes. trouble is why nothing can be sent; err is the stores'.
func (w *sync1) batch(ctx context.Context) (trouble, err error) {
	list := make([]meta.Changed, 0, syncBatch)
	err = w.Meta.Changes(ctx, w.c.ID, w.p.ID, w.p.Name, func(e meta.Changed) bool {
		if e.ID > w.last {
			return false
		}
		list = append(list, e)
		return len(list) < syncBatch
	})
	if err != nil || len(list) == 0 {
		w.done = err == nil
		return nil, err
	}
	if !w.held && !w.Alone {
		if err := w.save(ctx, true); errs.Is(err, errs.Precondition) || errs.Is(err, errs.NotFound) {
			w.done, w.dirty = true, false
			return nil, nil // another gateway was faster
		} else if err != nil {
			return nil, err
		}
	}
	names := make([]naming.ObjectName, len(list))
	for i, e := range list {
		names[i] = e.Name
	}
	results := w.send(ctx, names)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	passed := 0
	for ; passed < len(list); passed++ {
		r := results[names[passed]]
		if r.err != nil && (errs.Is(r.err, errs.Busy) || !w.later(ctx, names[passed], r.err)) {
			trouble = r.err
			break
		}
	}
	if passed > 0 {
		w.p.ID, w.p.Name, w.dirty = list[passed-1].ID, list[passed-1].Name, true
		if err := w.save(ctx, true); err != nil {
			return nil, err
		}
	}
	w.done = trouble == nil && len(list) < syncBatch
	return trouble, nil
}

// send sends names side by side, each once.
func (w *sync1) send(ctx context.Context, names []naming.ObjectName) map[naming.ObjectName]result {
	results := make(map[naming.ObjectName]result, len(names))
	queue := make(chan naming.ObjectName)
	var mu sync.Mutex
	var workers sync.WaitGroup
	var down error // why nothing can be sent: the rest is left
	for range min(syncAtOnce, len(names)) {
		workers.Go(func() {
			for name := range queue {
				mu.Lock()
				r := result{err: down}
				mu.Unlock()
				if r.err == nil {
					r.sent, r.err = w.Sender.SendChange(ctx, w.c, name, w.pace)
				}
				mu.Lock()
				if down == nil && errs.Is(r.err, errs.Busy) {
					down = r.err
				}
				results[name] = r
				mu.Unlock()
			}
		})
	}
	seen := make(map[naming.ObjectName]bool, len(names))
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			queue <- name
		}
	}
	close(queue)
	workers.Wait()
	w.count(results)
	return results
}

func (w *sync1) count(results map[naming.ObjectName]result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range results {
		switch {
		case errs.Is(r.err, errs.Busy):
		case r.err != nil:
			w.total.Failures++
		case r.sent.Put:
			w.total.Puts++
			w.total.Bytes += r.sent.Bytes
		case r.sent.Deleted:
			w.total.Deletes++
		default:
			w.total.Known++
		}
	}
}

// later notes an object that was refused, to be tried again. It reports whether there was room.
func (w *sync1) later(ctx context.Context, name naming.ObjectName, why error) bool {
	i := slices.IndexFunc(w.p.Again, func(a again) bool { return a.Name == name })
	if i < 0 {
		bytes := len(name)
		for _, a := range w.p.Again {
			bytes += len(a.Name)
		}
		if len(w.p.Again) >= syncAgainMax || bytes > syncAgainBytes {
			return false
		}
		i = len(w.p.Again)
		w.p.Again = append(w.p.Again, again{Name: name})
		w.Log.WarnContext(ctx, "an object could not be sent; it is tried again", "account", w.c.Account, "container", w.c.Name, "object", name, "error", why)
	}
	a := &w.p.Again[i]
	a.Wait = min(max(2*a.Wait, syncAgainFirst), syncAgainLast)
	a.Next = w.Clock.Now().Add(a.Wait)
	w.dirty = true
	return true
}

// retry sends again what was refused and is due, the names in their order. It returns why nothing can be sent.
func (w *sync1) retry(ctx context.Context) error {
	now := w.Clock.Now()
	var due []naming.ObjectName
	for _, a := range w.p.Again {
		if !now.Before(a.Next) || a.Next.Sub(now) > syncAgainLast {
			due = append(due, a.Name)
		}
	}
	if len(due) == 0 {
		return nil
	}
	slices.SortFunc(due, func(a, b naming.ObjectName) int { return strings.Compare(string(a), string(b)) })
	var trouble error
	for name, r := range w.send(ctx, due) {
		switch {
		case errs.Is(r.err, errs.Busy) || ctx.Err() != nil:
			trouble = r.err
		case r.err != nil:
			w.later(ctx, name, r.err)
		default:
			w.p.Again = slices.DeleteFunc(w.p.Again, func(a again) bool { return a.Name == name })
			w.dirty = true
		}
	}
	return trouble
}
