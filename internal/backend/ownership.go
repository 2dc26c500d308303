package backend

import (
	"context"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// own settles who owns a new object and which list it gets, as the container's object ownership says (S3 User Guide,
// "Controlling ownership of objects"): with lists disabled the container's owner, and no list but one that says just that;
// preferred, the container's owner if the list gives it full control; else the writer. What nobody signed for is the container owner's.
// Errors: Invalid/ACLsDisabled.
func (b *Backend) own(ctx context.Context, c Caller, container bucket.Container, wanted naming.AccountID, list access.ACL) (naming.AccountID, access.ACL, error) {
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
