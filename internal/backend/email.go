package backend

import (
	"context"

	"pithos/internal/store/key"
)

// Email finds an account by e-mail address, as ACL grants may name it. NotFound/Account; Conflict/Account when several have it.
func (b *Backend) Email(ctx context.Context, address string) (key.Account, error) {
	a, err := b.stores.Keys.Email(ctx, address)
	return a, fail("backend.Email", err)
}
