package backend

import (
	"context"
	"slices"

	"pithos/internal/access"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Amend changes what may be changed on a standing version: ACL, tags, retention, legal hold. change may be called several times.
// Errors: those of Open; Invalid/ACLsDisabled when a list is set where lists are disabled; what change returns.
func (b *Backend) Amend(ctx context.Context, c Caller, t Target, a access.Action, change func(container bucket.Container, v *object.Version) error) (*object.Version, error) {
	return b.amend(ctx, c, t, a, deed{}, change)
}

func (b *Backend) amend(ctx context.Context, c Caller, t Target, a access.Action, d deed, change func(container bucket.Container, v *object.Version) error) (*object.Version, error) {
	const op = "backend.Amend"
	container, err := b.find(ctx, t.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	v, err := b.stores.Meta.Get(ctx, container.ID, t.Name, t.Which)
	if err := b.mayRead(ctx, c, a, container, t, v, err, d); err != nil {
		return nil, fail(op, err)
	}
	out, err := b.stores.Meta.Commit(ctx, meta.Change{
		Container: container.ID, Account: container.Account, Name: t.Name, Now: b.now(),
		Op: meta.Amend, Target: meta.Which{By: meta.ByID, ID: v.ID},
		Amend: func(next *object.Version) error {
			before := next.ACL.Grants
			if err := change(container, next); err != nil {
				return err
			}
			if slices.Equal(before, next.ACL.Grants) {
				return nil
			}
			_, list, err := b.own(ctx, c, container, next.Owner, next.ACL)
			next.ACL = list
			return err
		},
	})
	if err != nil {
		return nil, fail(op, err)
	}
	return out.Version, nil
}

// SetTags replaces the tags of a version. seen is called with the container. Errors: those of Amend.
func (b *Backend) SetTags(ctx context.Context, c Caller, t Target, a access.Action, tags []object.Tag, seen func(bucket.Container)) (*object.Version, error) {
	v, err := b.amend(ctx, c, t, a, deed{tags: tags}, func(container bucket.Container, v *object.Version) error {
		seen(container)
		v.Tags = tags
		return nil
	})
	return v, fail("backend.SetTags", err)
}
