package s3

import (
	"context"
	"net/http"

	"pithos/internal/access"
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
	return c.aclReply(ctx, container.Account, list)
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
