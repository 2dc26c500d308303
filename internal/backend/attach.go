package backend

import (
	"context"

	"pithos/internal/access"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// mayAttach asks whether the caller may give a new object what needs a permission of its own beside that to write (S3 API
// Reference, PutObject and CopyObject).
func (b *Backend) mayAttach(ctx context.Context, c Caller, container bucket.Container, name naming.ObjectName, a *Attributes) error {
	if len(a.Tags) > 0 {
		return b.may(ctx, c, access.PutObjectTagging, container, name)
	}
	return nil
}

// mayReadTags asks whether the caller may take the tags of a copy's source along.
func (b *Backend) mayReadTags(ctx context.Context, c Caller, source Target, o *Object) error {
	action := access.GetObjectTagging
	if source.Which.By != meta.Newest {
		action = access.GetObjectVersionTagging
	}
	return b.Authorize(ctx, c, action, o.Container, o.Version)
}
