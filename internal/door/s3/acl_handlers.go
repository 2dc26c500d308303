package s3

import (
	"context"
	"net/http"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
)

// getBucketACL serves GetBucketAcl.
func getBucketACL(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	list := container.Config.ACL
	if container.Config.Ownership == bucket.BucketOwnerEnforced {
		list = access.ACL{}
	}
	more, err := c.listGrants(ctx, &container)
	if err != nil {
		return nil, err
	}
	return c.aclReply(ctx, container.Account, list, more...)
}

// listGrants are grants in the words of S3 for what Swift's lists of a container give, as far as S3 has words for it: everybody lists, everybody who
// signed in or a whole account reads or writes. They hold whatever S3's ownership of objects is. Users, roles and hosts, and reading without listing
// have no words.
func (c *call) listGrants(ctx context.Context, container *bucket.Container) (grants []access.Grant, err error) {
	public := container.Config.PublicAccess
	for _, l := range []struct {
		document string
		perm     access.Permission
	}{{backend.ReadersDocument, access.Read}, {backend.WritersDocument, access.Write}} {
		whole := access.List(container.Config.Documents[l.document]).Whole()
		if whole.Public && (public == nil || !public.RestrictPolicy) {
			grants = append(grants, access.Grant{Group: access.AllUsers, Permission: l.perm})
		}
		if whole.SignedIn {
			grants = append(grants, access.Grant{Group: access.AuthenticatedUsers, Permission: l.perm})
		}
		for _, id := range whole.Accounts[:min(len(whole.Accounts), grantsMax)] {
			a, err := c.door.b.Account(ctx, id)
			switch {
			case errs.Is(err, errs.NotFound):
			case err != nil:
				return nil, err
			default:
				grants = append(grants, access.Grant{Canonical: a.Canonical, Permission: l.perm})
			}
		}
	}
	return grants, nil
}

// putBucketACL serves PutBucketAcl.
func putBucketACL(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	o, err := c.owner(ctx, container.Account)
	if err != nil {
		return nil, err
	}
	if container.Config.Ownership == bucket.BucketOwnerEnforced {
		return nil, fail(AccessControlListNotSupported, "")
	}
	list, err := c.newACL(ctx, o.id, o.id, true)
	if err != nil {
		return nil, err
	}
	_, err = c.door.b.Configure(ctx, c.caller, c.ref(), c.row.action, func(_ bucket.Container, config *bucket.Config) error {
		config.ACL = list
		return nil
	})
	if err != nil {
		return nil, err
	}
	return empty(http.StatusOK), nil
}

// getObjectACL serves GetObjectAcl.
func getObjectACL(ctx context.Context, c *call) (*reply, error) {
	o, err := c.open(ctx, c.versioned(access.GetObjectACL, access.GetObjectVersionACL))
	if err != nil {
		return nil, err
	}
	c.setVersion(o.Version, o.Container.Config.Versioning != bucket.VersioningOff)
	if o.Container.Config.Ownership == bucket.BucketOwnerEnforced {
		return c.aclReply(ctx, o.Container.Account, access.ACL{})
	}
	return c.aclReply(ctx, o.Owner, o.ACL)
}

// putObjectACL serves PutObjectAcl.
func putObjectACL(ctx context.Context, c *call) (*reply, error) {
	action := c.versioned(access.PutObjectACL, access.PutObjectVersionACL)
	o, err := c.open(ctx, action)
	if err != nil {
		return nil, err
	}
	if o.Container.Config.Ownership == bucket.BucketOwnerEnforced {
		return nil, fail(AccessControlListNotSupported, "")
	}
	holder, err := c.owner(ctx, o.Owner)
	if err != nil {
		return nil, err
	}
	bucketOwner, err := c.owner(ctx, o.Container.Account)
	if err != nil {
		return nil, err
	}
	list, err := c.newACL(ctx, holder.id, bucketOwner.id, false)
	if err != nil {
		return nil, err
	}
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	account := o.Owner
	v, err := c.door.b.Amend(ctx, c.caller, t, action, func(_ bucket.Container, v *object.Version) error {
		if v.Owner != account {
			// Another version took the name's place meanwhile; the list was made for this one.
			return errs.E("s3.PutObjectAcl", errs.Conflict, errs.Version, string(c.name))
		}
		v.ACL = list
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.setVersion(v, o.Container.Config.Versioning != bucket.VersioningOff)
	return empty(http.StatusOK), nil
}
