package backend

import (
	"context"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Delete deletes an object or one version of it. Without a version the container's policy decides: a container that keeps no versions
// forgets the object; one that keeps them gets a delete marker on top; one that has ceased to keep them gets a null delete marker in
// place of the null version. Where changes are sent to another container, a deletion leaves a trace that clients do not see. That nothing was there is no error, unless a condition demanded it.
//
// Errors: NotFound (Bucket, Container; Object or Version with a condition), Denied (reason Locked under retention or legal
// hold), Precondition.
func (b *Backend) Delete(ctx context.Context, c Caller, r DeleteRequest) (Deleted, error) {
	const op = "backend.Delete"
	container, err := b.find(ctx, r.Container)
	if err != nil {
		return Deleted{}, fail(op, err)
	}
	action := access.DeleteObject
	if r.Which.By != meta.Newest {
		action = access.DeleteObjectVersion
	}
	if err := b.mayTo(ctx, c, action, container, r.Target, deed{}); err != nil {
		return Deleted{}, fail(op, err)
	}
	if r.Bypass {
		if err := b.mayTo(ctx, c, access.BypassGovernanceRetention, container, r.Target, deed{}); err != nil {
			return Deleted{}, fail(op, err)
		}
	}
	ch := meta.Change{
		Container: container.ID, Account: container.Account, Name: r.Name, Now: b.now(),
		Op: meta.Remove, If: r.If, Target: r.Which, Bypass: r.Bypass,
	}
	if r.Which.By == meta.Newest && container.Config.Versioning != bucket.VersioningOff {
		d, err := b.mark(ctx, c, container, ch, r.Note)
		return d, fail(op, err)
	}
	if (r.Which.By == meta.Newest || r.Which.By == meta.TheNull) && traced(container) {
		d, err := b.trace(ctx, c, container, ch, r.Stamp)
		return d, fail(op, err)
	}
	d, err := b.remove(ctx, ch)
	return d, fail(op, err)
}

// mark puts a delete marker.
func (b *Backend) mark(ctx context.Context, c Caller, container bucket.Container, ch meta.Change, note string) (Deleted, error) {
	ch.Op, ch.Target = meta.Put, meta.Which{}
	ch.Version = &object.Version{
		Summary: object.Summary{
			Kind: object.DeleteMarker, Owner: container.Account, Null: nullVersions(container), UUID: newUUID(), Note: note, Author: c.User,
		},
	}
	if c.Account != "" && container.Config.Ownership != bucket.BucketOwnerEnforced {
		ch.Version.Owner = c.Account
	}
	out, err := b.stores.Meta.Commit(ctx, ch)
	if err != nil {
		return Deleted{}, err
	}
	d := Deleted{Marker: true, Version: out.Version.ID, Null: out.Version.Null}
	if len(out.Dropped) > 0 {
		d.Removed = out.Dropped[0]
	}
	return d, nil
}

// remove forgets a version for good.
func (b *Backend) remove(ctx context.Context, ch meta.Change) (Deleted, error) {
	out, err := b.stores.Meta.Commit(ctx, ch)
	if errs.IsThing(err, errs.NotFound, errs.Object) || errs.IsThing(err, errs.NotFound, errs.Version) {
		if demanded := ch.If.CheckWrite(nil); demanded != nil {
			return Deleted{}, demanded
		}
		return Deleted{Nothing: true, Version: ch.Target.ID}, nil
	}
	if err != nil {
		return Deleted{}, err
	}
	var d Deleted
	for _, v := range out.Dropped {
		if Trace(&v.Summary) {
			return Deleted{Nothing: true, Version: ch.Target.ID}, nil
		}
		d = Deleted{Marker: v.Kind == object.DeleteMarker, Version: v.ID, Null: v.Null, Removed: v}
	}
	return d, nil
}
