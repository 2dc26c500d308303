package backend

import (
	"context"

	"pithos/internal/access"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// mayAttach asks whether the caller may give a new object what needs a permission of its own beside that to write (S3 API
// Reference, PutObject and CopyObject).
func (b *Backend) mayAttach(ctx context.Context, c Caller, container bucket.Container, name naming.ObjectName, a *Attributes) error {
	var needs []access.Action
	if len(a.Tags) > 0 {
		needs = append(needs, access.PutObjectTagging)
	}
	if a.Retention.Mode != object.NoRetention {
		needs = append(needs, access.PutObjectRetention)
	}
	if a.LegalHold {
		needs = append(needs, access.PutObjectLegalHold)
	}
	d := a.deed()
	d.anew = true
	for _, action := range needs {
		if err := b.mayTo(ctx, c, action, container, Target{Name: name}, d); err != nil {
			return err
		}
	}
	return nil
}

// mayReadTags asks whether the caller may take the tags of a copy's source along.
func (b *Backend) mayReadTags(ctx context.Context, c Caller, source Target, opened bool, o *Object) error {
	action := access.GetObjectTagging
	if source.Which.By != meta.Newest && !opened {
		action = access.GetObjectVersionTagging
	}
	return b.mayOn(ctx, c, action, o.Container, o.Version, source.Which, deed{})
}
