package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// expirePerStep is how many versions one step deletes.
const expirePerStep = 500

// Expiring is what an expirer works on.
type Expiring struct {
	Meta     meta.Store
	Clock    clock.Clock
	Log      *slog.Logger
	Interval time.Duration // wait between two looks at the index of expiry
	Delay    time.Duration // how long expired versions stay for those who ask for them
}

// Expirer deletes versions whose time has come (X-Delete-At). An expired version goes for good. If it is the newest of its name and
// covers older ones, a delete marker takes its place first, so that an older version does not come back to light.
type Expirer struct {
	Expiring

	mu    sync.Mutex
	total ExpireReport
}

// ExpireReport counts what an expirer did.
type ExpireReport struct {
	Deleted int64 `json:"deleted"` // versions
	Bytes   int64 `json:"bytes"`   // their sizes
	Locked  int64 `json:"locked"`  // versions left because of retention or a legal hold, counted each time
}

// NewExpirer makes an expirer.
func NewExpirer(e Expiring) *Expirer {
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	return &Expirer{Expiring: e}
}

// Name is "expire".
func (*Expirer) Name() string { return "expire" }

// Total is what was done since the start.
func (e *Expirer) Total() ExpireReport {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

// Step deletes what is due, oldest first. Versions that are locked do not stop others that expire later.
func (e *Expirer) Step(ctx context.Context) (time.Duration, error) {
	const op = "worker.Expirer.Step"
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Clock.Now()
	for limit := expirePerStep; ; limit *= 2 {
		due := make([]meta.DueVersion, 0, expirePerStep)
		err := e.Meta.Due(ctx, now.Add(-e.Delay), limit, func(d meta.DueVersion) bool {
			due = append(due, d)
			return true
		})
		if err != nil {
			return 0, failed(op, err)
		}
		deleted, err := e.expire(ctx, now, due)
		switch {
		case err != nil:
			return 0, failed(op, err)
		case len(due) < limit:
			return e.Interval, nil
		case deleted > 0:
			return 0, nil
		}
	}
}

// expire deletes versions and tells how many of them are gone.
func (e *Expirer) expire(ctx context.Context, now time.Time, due []meta.DueVersion) (deleted int, err error) {
	for _, d := range due {
		err := e.delete(ctx, now, d)
		switch {
		case errs.Is(err, errs.Denied):
			e.total.Locked++
			continue
		case errs.Is(err, errs.NotFound), errs.Is(err, errs.Precondition): // changed meanwhile; seen again if still due
		case err != nil:
			return deleted, err
		}
		deleted++
	}
	return deleted, nil
}

func (e *Expirer) delete(ctx context.Context, now time.Time, d meta.DueVersion) error {
	which := meta.Which{By: meta.ByID, ID: d.ID}
	v, err := e.Meta.Get(ctx, d.Container, d.Name, which)
	if err != nil {
		return err
	}
	ch := meta.Change{Container: d.Container, Account: d.Account, Name: d.Name, Now: now, Op: meta.Remove, Target: which}
	if v.Latest {
		covers, err := e.covers(ctx, d)
		if err != nil {
			return err
		}
		if covers {
			if err := e.mark(ctx, ch, v); err != nil {
				return err
			}
			if v.Null { // the null marker has taken the null version's place
				e.count(v)
				return nil
			}
		}
	}
	if _, err := e.Meta.Commit(ctx, ch); err != nil {
		return err
	}
	e.count(v)
	return nil
}

func (e *Expirer) count(v *object.Version) {
	e.total.Deleted++
	e.total.Bytes += v.Size
}

// covers reports whether older versions stand below the version that is due.
func (e *Expirer) covers(ctx context.Context, d meta.DueVersion) (bool, error) {
	if d.ID <= 1 {
		return false, nil
	}
	cur := e.Meta.Scan(ctx, d.Container, meta.View{Kind: meta.ViewAll})
	defer cur.Close()
	cur.Seek(meta.Position{Name: d.Name, ID: d.ID - 1})
	s, err := cur.Next(ctx)
	return s != nil && s.Name == d.Name, err
}

// mark puts a delete marker on top of v if it is still the newest.
func (e *Expirer) mark(ctx context.Context, ch meta.Change, v *object.Version) error {
	ch.Op, ch.Target = meta.Put, meta.Which{}
	ch.If = object.Precondition{IfVersion: v.ID}
	ch.Version = &object.Version{Summary: object.Summary{Kind: object.DeleteMarker, Owner: v.Owner, Null: v.Null, UUID: v.UUID}}
	_, err := e.Meta.Commit(ctx, ch)
	return err
}
