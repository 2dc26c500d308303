package backend

import (
	"context"
	"slices"
	"time"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Purge removes for good the versions of a container, or of one name in it, that were made at or before until: those that are not current, and
// with current also current ones (Pithos+ 6.4, 8.5). Versions under retention stay and make it fail at the end, with the others removed. It tells how
// many went. NotFound/Object when a name is given that has no version at all.
func (b *Backend) Purge(ctx context.Context, c Caller, r Ref, name naming.ObjectName, until time.Time, current bool) (int, error) {
	const op = "backend.Purge"
	container, err := b.find(ctx, r)
	if err != nil {
		return 0, fail(op, err)
	}
	if err := b.may(ctx, c, access.PurgeHistory, container, name); err != nil {
		return 0, fail(op, err)
	}
	cur := b.stores.Meta.Scan(ctx, container.ID, meta.View{Kind: meta.ViewAll})
	defer cur.Close()
	cur.Seek(meta.Position{Name: name})
	p := purge{b: b, container: container, until: object.IDAt(until), current: current}
	seen := false
	for {
		e, err := cur.Next(ctx)
		if err == nil && (e == nil || len(p.versions) > 0 && e.Name != p.versions[0].Name) {
			err = p.name(ctx)
		}
		if err != nil {
			return p.removed, fail(op, err)
		}
		if e == nil || name != "" && e.Name != name {
			break
		}
		seen = true
		p.versions = append(p.versions, *e)
	}
	if err := p.name(ctx); err != nil {
		return p.removed, fail(op, err)
	}
	if name != "" && !seen {
		return 0, errs.E(op, errs.NotFound, errs.Object, string(name))
	}
	return p.removed, fail(op, p.kept)
}

// purge removes the versions of one name after another.
type purge struct {
	b         *Backend
	container bucket.Container
	until     object.VersionID
	current   bool
	versions  []object.Summary // of one name, the newest first
	removed   int
	kept      error
}

// name removes what is to go of the name that was collected, the oldest first: nothing that was replaced or deleted shows again on the way.
func (p *purge) name(ctx context.Context) error {
	for i, e := range slices.Backward(p.versions) {
		if e.ID > p.until || i == 0 && e.Visible() && !p.current {
			break
		}
		d, err := p.b.remove(ctx, meta.Change{
			Container: p.container.ID, Account: p.container.Account, Name: e.Name, Now: p.b.now(), Op: meta.Remove,
			Target: meta.Which{By: meta.ByID, ID: e.ID},
		})
		if errs.Is(err, errs.Denied) { // under retention: what stands on top of it stays too
			p.kept = err
			break
		}
		if err != nil {
			return err
		}
		if !d.Nothing {
			p.removed++
		}
	}
	p.versions = p.versions[:0]
	return nil
}

// PastUsage counts the objects of a container as it was before a moment, and tells the last change before it; it reads every name. The zero time
// says that nothing had changed.
func (b *Backend) PastUsage(ctx context.Context, c Caller, r Ref, at time.Time) (meta.Usage, time.Time, error) {
	const op = "backend.PastUsage"
	container, err := b.Container(ctx, c, r, access.LookBack)
	if err != nil {
		return meta.Usage{}, time.Time{}, fail(op, err)
	}
	cur := b.stores.Meta.Scan(ctx, container.ID, meta.View{Kind: meta.ViewAsOf, At: at})
	defer cur.Close()
	var u meta.Usage
	var last object.VersionID
	for {
		e, err := cur.Next(ctx)
		if err != nil {
			return meta.Usage{}, time.Time{}, fail(op, err)
		}
		if e == nil {
			break
		}
		u.Objects++
		u.Bytes += e.Size
		last = max(last, e.ID)
	}
	if last == 0 {
		return u, time.Time{}, nil
	}
	return u, last.Time(), nil
}
