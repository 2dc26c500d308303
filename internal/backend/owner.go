package backend

import (
	"context"

	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// Owner tells which account owns a container. It asks nobody's permission, since bucket names tell their existence anyhow, and
// is for doors that must check whom a request expects to own it before they do anything else. NotFound/Bucket or NotFound/Container.
func (b *Backend) Owner(ctx context.Context, r Ref) (naming.AccountID, error) {
	c, err := b.find(ctx, r)
	return c.Account, err
}

// Document gives a document of a container, nil when it has none. It asks nobody's permission: it is for what must stand on every answer, whoever
// asks, such as the rules for scripts of other origins. It must not be written to. NotFound/Bucket or NotFound/Container.
func (b *Backend) Document(ctx context.Context, r Ref, name string) ([]byte, error) {
	c, err := b.find(ctx, r)
	return c.Config.Documents[name], err
}

// Found gives a container as it is. It asks nobody's permission: it is for what an answer that is already allowed says besides, and for the service's own
// work. What the request has found already stands for it. It must not be written to. NotFound/Bucket or NotFound/Container.
func (b *Backend) Found(ctx context.Context, r Ref) (bucket.Container, error) {
	if c, ok := seen(ctx, r); ok {
		return c, nil
	}
	c, err := b.find(ctx, r)
	return c, fail("backend.Found", err)
}
