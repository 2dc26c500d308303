package backend

import (
	"context"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Revise replaces the attributes of an object and keeps its content: it makes a version that shares the content of the newest one. change
// gets that version's attributes and may be called several times. The caller needs to be allowed to write the object, not to read it. List,
// tags, retention and legal hold stay unless change sets them.
//
// Errors: NotFound (Bucket, Container, Object), Denied, Quota, Conflict when others replace the object without end; what change returns.
func (b *Backend) Revise(ctx context.Context, c Caller, r Ref, name naming.ObjectName, change func(v *object.Version, a *Attributes) error) (*object.Version, error) {
	const op = "backend.Revise"
	var v *object.Version
	var err error
	for range conflictsMax {
		if v, err = b.reviseOnce(ctx, c, r, name, change); !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.Precondition) {
			break
		}
	}
	return v, fail(op, err)
}

func (b *Backend) reviseOnce(ctx context.Context, c Caller, r Ref, name naming.ObjectName, change func(*object.Version, *Attributes) error) (*object.Version, error) {
	container, err := b.find(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := b.may(ctx, c, access.PutObject, container, name); err != nil {
		return nil, err
	}
	old, err := b.getForReading(ctx, container.ID, name, meta.Which{})
	if err != nil {
		return nil, err
	}
	if !old.Visible() || expired(old, b.now()) && !c.OpenExpired {
		return nil, errs.E("", errs.NotFound, errs.Object, string(name))
	}
	a := attributesOf(old)
	if err := change(old, &a); err != nil {
		return nil, err
	}
	cond := object.Precondition{IfVersion: old.ID}
	limits, err := b.admit(ctx, container, name, cond, old.Size)
	if err != nil {
		return nil, err
	}
	share, err := b.prepareShare(ctx, c, container, name, a.Share)
	if err != nil {
		return nil, err
	}
	next, err := b.version(ctx, c, container, name, a)
	if err != nil {
		return nil, err
	}
	if err := (&CopyRequest{}).share(ctx, &Object{Version: old, Container: container, b: b}, next); err != nil {
		return nil, err
	}
	ch := meta.Change{
		Container: container.ID, Account: container.Account, Name: name, Now: b.now(), Version: next, If: cond, Limits: limits, Share: share,
	}
	if !next.Content.Holder.IsZero() {
		ch.Source = &meta.Source{Container: container.ID, Name: name, ID: old.ID}
	}
	out, err := b.stores.Meta.Commit(ctx, ch)
	if err != nil {
		return nil, err
	}
	return out.Version, nil
}

// attributesOf are the attributes of a version, to be changed for the next one.
func attributesOf(v *object.Version) Attributes {
	return Attributes{
		ContentType: v.ContentType, StorageClass: v.StorageClass, Headers: v.Headers, Meta: v.Meta, Tags: v.Tags, ACL: v.ACL,
		Owner: v.Owner, Expires: v.Expires, Retention: v.Retention, LegalHold: v.LegalHold, Kind: v.Kind, Target: v.Target, Note: v.Note,
	}
}
