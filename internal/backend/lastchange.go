package backend

import (
	"context"
	"sync"
	"time"

	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// noticedMax bounds how many containers' counters are remembered.
const noticedMax = 4096

// noticed remembers the counters of containers that keep no versions, to notice removals: those leave no trace in the index of changes.
type noticed struct {
	mu   sync.Mutex
	seen map[naming.ContainerID]notice
}

type notice struct {
	usage meta.Usage
	at    time.Time
}

// look tells when the counters were first seen as they are.
func (n *noticed) look(id naming.ContainerID, u meta.Usage, now time.Time) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old, ok := n.seen[id]; ok && old.usage == u {
		return old.at
	}
	if n.seen == nil || len(n.seen) >= noticedMax {
		n.seen = map[naming.ContainerID]notice{}
	}
	n.seen[id] = notice{u, now}
	return now
}

// LastChange is when an object in the container was last made, changed or deleted (Pithos+ 5.1); the zero time when nothing ever was. Where no versions are
// kept it may be later than the truth, never earlier: removals are told from the counters. It asks nobody's permission.
func (b *Backend) LastChange(ctx context.Context, container bucket.Container) (time.Time, error) {
	const op = "backend.LastChange"
	last, err := b.lastVersion(ctx, container.ID)
	if err != nil {
		return time.Time{}, fail(op, err)
	}
	var at time.Time
	if last > 0 {
		at = last.Time()
	}
	if container.Config.Versioning == bucket.VersioningEnabled {
		return at, nil
	}
	u, err := b.stores.Meta.ContainerUsage(ctx, container.ID)
	if err != nil {
		return time.Time{}, fail(op, err)
	}
	if removed := b.noticed.look(container.ID, u, b.now()); removed.After(at) && u != (meta.Usage{}) {
		at = removed
	}
	return at, nil
}

// lastVersion finds the greatest version id of a container in the index of changes, which is read forwards only: it asks whether anything comes after a
// point, and halves what is left between a point that has something behind it and one that has nothing.
func (b *Backend) lastVersion(ctx context.Context, id naming.ContainerID) (object.VersionID, error) {
	after := func(point object.VersionID) (first object.VersionID, err error) {
		err = b.stores.Meta.Changes(ctx, id, point, "\xff", func(c meta.Changed) bool {
			first = c.ID
			return false
		})
		return first, err
	}
	now := object.IDAt(b.now())
	var low object.VersionID // something comes at low
	high := now
	for back := time.Second; ; back *= 4 {
		point := object.VersionID(0)
		if us := object.VersionID(back.Microseconds()); us < now && back < 1<<60 {
			point = now - us
		}
		first, err := after(point)
		if err != nil {
			return 0, err
		}
		if first > 0 {
			low = first
			break
		}
		if point == 0 {
			return 0, nil
		}
		high = point
	}
	if high < low {
		high = low
	}
	for {
		next, err := after(high)
		if err != nil {
			return 0, err
		}
		if next == 0 {
			break
		}
		low, high = next, next+object.VersionID(time.Second.Microseconds()) // the clock was put back, or somebody writes
	}
	for low < high {
		middle := low + (high-low)/2
		next, err := after(middle)
		switch {
		case err != nil:
			return 0, err
		case next > 0:
			low = next
		default:
			high = middle
		}
	}
	return low, nil
}

// LastOf is when a name was last changed, its deletion included. The caller may read it.
func (b *Backend) LastOf(ctx context.Context, container bucket.Container, name naming.ObjectName) (time.Time, error) {
	v, err := b.stores.Meta.Get(ctx, container.ID, name, meta.Which{})
	if err != nil {
		return time.Time{}, fail("backend.LastOf", err)
	}
	return v.Modified(), nil
}
