package backend

import (
	"bytes"
	"context"
	"log/slog"
	"slices"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// ownerFullControl is the one canned list that goes with disabled lists (S3 User Guide, "Controlling ownership of objects").
const ownerFullControl = "bucket-owner-full-control"

// own settles who owns a new object and which list it gets, as the container's object ownership says (S3 User Guide,
// "Controlling ownership of objects"): with lists disabled the container's owner, and no list but one that says just that;
// preferred, the container's owner if the list gives it full control; else the writer. What nobody signed for is the container owner's.
// Errors: Invalid/ACLsDisabled; Denied when the list gives something to the public where that is blocked.
func (b *Backend) own(ctx context.Context, c Caller, container bucket.Container, wanted naming.AccountID, list access.ACL) (naming.AccountID, access.ACL, error) {
	if public := container.Config.PublicAccess; public != nil && public.BlockACLs && list.Public() {
		return "", access.ACL{}, b.publicBlocked(ctx, c, container, errs.Object)
	}
	owner := wanted
	if owner == "" {
		owner = c.Account
	}
	if owner == "" {
		owner = container.Account
	}
	if owner == container.Account && len(list.Grants) == 0 {
		return owner, list, nil
	}
	switch container.Config.Ownership {
	case bucket.BucketOwnerEnforced:
		if len(list.Grants) > 0 {
			account, err := b.stores.Keys.Account(ctx, container.Account)
			if err != nil {
				return "", access.ACL{}, err
			}
			if !ownerOnly(list, account.Canonical, c.Canonical) {
				return "", access.ACL{}, aclsDisabled(errs.Object, "")
			}
		}
		return container.Account, access.ACL{}, nil
	case bucket.BucketOwnerPreferred:
		if owner == container.Account {
			return owner, list, nil
		}
		account, err := b.stores.Keys.Account(ctx, container.Account)
		if err != nil {
			return "", access.ACL{}, err
		}
		if gives(list, account.Canonical, access.FullControl) {
			return container.Account, list, nil
		}
	case bucket.ObjectWriter, "":
	}
	return owner, list, nil
}

// publicBlocked refuses what would let the public in; the reason goes to the log.
func (b *Backend) publicBlocked(ctx context.Context, c Caller, container bucket.Container, thing errs.Thing) error {
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "denied",
		slog.String("request", c.RequestID), slog.String("reason", "the container's public access block forbids lists that let the public in"),
		slog.String("account", string(container.Account)), slog.String("container", string(container.Name)),
		slog.String("principal", string(c.User)), slog.String("key", c.AccessKey))
	return errs.E("", errs.Denied, thing, string(container.Name))
}

// checkPublic refuses lists of a container that let the public in, where that is blocked. What stood before may stay.
func (b *Backend) checkPublic(ctx context.Context, c Caller, before, after bucket.Container) error {
	public := after.Config.PublicAccess
	if public == nil {
		return nil
	}
	if public.BlockACLs && after.Config.ACL.Public() && !slices.Equal(before.Config.ACL.Grants, after.Config.ACL.Grants) {
		return b.publicBlocked(ctx, c, after, errs.Container)
	}
	was, is := before.Config.Documents[ReadersDocument], after.Config.Documents[ReadersDocument]
	if public.BlockPolicy && access.List(is).Public() && !bytes.Equal(was, is) {
		return b.publicBlocked(ctx, c, after, errs.Container)
	}
	return b.checkPolicy(ctx, c, before, after)
}

// ownerOnly reports whether a list says nothing but that the owners have full control.
func ownerOnly(list access.ACL, owners ...string) bool {
	for _, g := range list.Grants {
		own := false
		for _, o := range owners {
			own = own || o != "" && g.Canonical == o
		}
		if !own || g.Permission != access.FullControl {
			return false
		}
	}
	return true
}

func gives(list access.ACL, canonical string, p access.Permission) bool {
	for _, g := range list.Grants {
		if g.Canonical != "" && g.Canonical == canonical && g.Permission == p {
			return true
		}
	}
	return false
}

func aclsDisabled(thing errs.Thing, name string) error {
	return errs.E("", errs.Invalid, thing, name).
		Because(errs.ACLsDisabled, "the bucket does not allow access control lists: its owner owns every object in it")
}
