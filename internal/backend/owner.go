package backend

import (
	"context"

	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// Owner tells which account owns a container. It asks nobody's permission, since bucket names tell their existence anyhow, and
// is for doors that must check whom a request expects to own it before they do anything else. NotFound/Bucket or NotFound/Container.
func (b *Backend) Owner(ctx context.Context, r Ref) (naming.AccountID, error) {
	var c bucket.Container
	var err error
	if r.Bucket != "" {
		c, err = b.stores.Buckets.Resolve(ctx, r.Bucket)
	} else {
		c, err = b.stores.Buckets.Lookup(ctx, r.Account, r.Name)
	}
	return c.Account, err
}
