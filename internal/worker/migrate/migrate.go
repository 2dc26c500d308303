// Package migrate brings one set of stores to the state of another, whatever
// engines keep them.
//
// A pass walks both sides and makes the target equal: it adds what is missing,
// with its ids, times and unique ids, amends what was amended, and removes what
// the source does not have any more. Nothing that a pass does needs an earlier
// one to have ended: a pass that was killed is followed by another. While the
// source is being written to, each pass leaves less to the next; a pass over a
// source at rest leaves nothing, and Check proves it.
package migrate

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// Stores are one side. Keys and Writer of the target may be nil: then users are not brought over.
type Stores struct {
	Keys    key.Reader
	Writer  key.Store // nil: users stand in a file
	Buckets bucket.Store
	Meta    meta.Store
	Blobs   blob.Store
}

// Options say how a pass works.
type Options struct {
	Clock    clock.Clock      // clock.System
	Log      *slog.Logger     // discards
	Parallel int              // names at once: 8
	Progress func(so *Report) // called now and then; may be nil
	// Check changes nothing: every difference is counted, and each block of the target is looked for.
	Check bool
}

// Report counts what a pass saw and did. Of a check, Differences is what is not equal.
type Report struct {
	Accounts    int64 `json:"accounts"`
	Containers  int64 `json:"containers"`
	Versions    int64 `json:"versions"`
	Bytes       int64 `json:"bytes"` // sizes of all versions
	Uploads     int64 `json:"uploads"`
	Added       int64 `json:"added"`   // versions and parts
	Amended     int64 `json:"amended"` // versions
	Removed     int64 `json:"removed"` // versions
	BlocksSent  int64 `json:"blocks_sent"`
	BytesSent   int64 `json:"bytes_sent"`
	Differences int64 `json:"differences"`
}

// tally is a report that many goroutines add to.
type tally struct {
	accounts, containers, versions, bytes, uploads, added, amended, removed, blocksSent, bytesSent, differences atomic.Int64
}

func (t *tally) report() Report {
	return Report{
		t.accounts.Load(), t.containers.Load(), t.versions.Load(), t.bytes.Load(), t.uploads.Load(), t.added.Load(), t.amended.Load(), t.removed.Load(),
		t.blocksSent.Load(), t.bytesSent.Load(), t.differences.Load(),
	}
}

// pass is one walk over both sides.
type pass struct {
	from, to Stores
	o        Options
	t        tally
	buffers  sync.Pool

	mu      sync.Mutex
	holders map[block.Holder]standIn // of the target, for holders of the source that were seen in this pass
}

const (
	parallel     = 8
	holdersKept  = 100_000
	progressEach = 100 // names
)

// Run makes the target equal to the source. The target belongs to the migration alone: what the source does not have is removed from it.
//
// What is not brought over: outcomes of finished multipart uploads (a client that repeats a completion gets NoSuchUpload), intents of writers under way, and
// the space of deleted objects. Errors are those of the stores; Conflict when the target was written to by others.
func Run(ctx context.Context, from, to Stores, o Options) (Report, error) {
	const op = "migrate.Run"
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Parallel <= 0 {
		o.Parallel = parallel
	}
	p := &pass{from: from, to: to, o: o, holders: map[block.Holder]standIn{}}
	p.buffers.New = func() any { b := make([]byte, block.SizeMax); return &b }
	err := p.run(ctx)
	if err != nil {
		err = errs.Wrap(op, errs.Internal, err)
	}
	return p.t.report(), err
}

func (p *pass) run(ctx context.Context) error {
	if p.to.Writer != nil {
		if err := p.users(ctx); err != nil {
			return err
		}
	}
	accounts, err := accountsOf(ctx, p.from.Keys)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		p.t.accounts.Add(1)
		for _, id := range naming.Beside(a.ID) {
			if err := p.containers(ctx, id); err != nil {
				return err
			}
		}
	}
	for _, own := range naming.Own() {
		if err := p.containers(ctx, own); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) progress() {
	if p.o.Progress != nil {
		r := p.t.report()
		p.o.Progress(&r)
	}
}

// differ counts a difference; act brings it out of the world, unless this is a check.
func (p *pass) differ(ctx context.Context, what, name string, act func() error) error {
	if p.o.Check {
		p.t.differences.Add(1)
		p.o.Log.WarnContext(ctx, "migration: difference", "what", what, "name", name)
		return nil
	}
	return act()
}

func accountsOf(ctx context.Context, k key.Reader) ([]key.Account, error) {
	var all []key.Account
	err := k.Accounts(ctx, "", func(a key.Account) bool { all = append(all, a); return true })
	return all, err
}

func containersOf(ctx context.Context, b bucket.Store, a naming.AccountID) (map[naming.ContainerName]bucket.Container, error) {
	all := map[naming.ContainerName]bucket.Container{}
	err := b.Containers(ctx, a, "", func(c bucket.Container) bool { all[c.Name] = c; return true })
	return all, err
}

// containers brings an account's containers over, with what is in them.
func (p *pass) containers(ctx context.Context, a naming.AccountID) error {
	have, err := containersOf(ctx, p.from.Buckets, a)
	if err != nil {
		return err
	}
	there, err := containersOf(ctx, p.to.Buckets, a)
	if err != nil {
		return err
	}
	for name, t := range there {
		if c, ok := have[name]; ok && c.ID == t.ID && c.Bucket == t.Bucket {
			continue
		}
		if err := p.differ(ctx, "container", string(name), func() error { return p.drop(ctx, t) }); err != nil {
			return err
		}
		delete(there, name)
	}
	for name, c := range have {
		p.t.containers.Add(1)
		t, ok := there[name]
		if err := p.container(ctx, c, t, ok); err != nil {
			return err
		}
	}
	return nil
}

// container brings one container over; t is the target's, if there.
func (p *pass) container(ctx context.Context, c, t bucket.Container, there bool) error {
	var err error
	switch {
	case !there:
		err = p.differ(ctx, "container", string(c.Name), func() error {
			_, err := p.to.Buckets.Create(ctx, c)
			return err
		})
		if p.o.Check || err != nil {
			return err
		}
	case !equal(c.Config, t.Config):
		err = p.differ(ctx, "configuration of container", string(c.Name), func() error {
			t.Config = c.Config
			_, err := p.to.Buckets.Update(ctx, t)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := p.names(ctx, c); err != nil {
		return err
	}
	if err := p.uploads(ctx, c); err != nil || !p.o.Check {
		return err
	}
	return p.counters(ctx, c)
}

// counters compares what both sides count in a container.
func (p *pass) counters(ctx context.Context, c bucket.Container) error {
	a, err := p.from.Meta.ContainerUsage(ctx, c.ID)
	if err != nil {
		return err
	}
	b, err := p.to.Meta.ContainerUsage(ctx, c.ID)
	if err != nil || a == b {
		return err
	}
	return p.differ(ctx, "counters of container", string(c.Name), nil)
}

// drop removes a container that the source does not have, with all that is in it.
func (p *pass) drop(ctx context.Context, c bucket.Container) error {
	empty := &pass{from: Stores{Meta: nothing{}, Blobs: p.from.Blobs}, to: p.to, o: p.o}
	if err := empty.names(ctx, c); err != nil {
		return err
	}
	p.t.removed.Add(empty.t.removed.Load())
	err := errors.Join(p.to.Meta.Seal(ctx, c.ID), p.to.Meta.Drop(ctx, c.ID, c.Account))
	if err != nil {
		return err
	}
	return p.to.Buckets.Remove(ctx, c)
}
