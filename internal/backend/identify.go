package backend

import (
	"context"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// Identify finds the access key that signed a request. Unauthenticated/Key when it does not exist, is disabled or expired, or its user
// or account is disabled. The identity holds the secret for the signature check; the principal is for every later call.
func (b *Backend) Identify(ctx context.Context, accessKey string) (key.Identity, access.Principal, error) {
	const op = "backend.Identify"
	id, err := b.stores.Keys.Lookup(ctx, accessKey)
	if errs.Is(err, errs.NotFound) {
		return key.Identity{}, access.Principal{}, errs.E(op, errs.Unauthenticated, errs.Key, accessKey).With(err)
	}
	if err != nil {
		return key.Identity{}, access.Principal{}, fail(op, err)
	}
	expired := !id.Key.Expires.IsZero() && !id.Key.Expires.After(b.now())
	if id.Key.Disabled || id.User.Disabled || id.Account.Disabled || expired {
		return key.Identity{}, access.Principal{}, errs.E(op, errs.Unauthenticated, errs.Key, accessKey)
	}
	who := b.principal(id.User, id.Account)
	who.AccessKey = id.Key.AccessKey
	b.limit(&who, id.Key)
	return id, who, nil
}

// Account shows an account by id: S3 shows its canonical id and display name as owner. NotFound/Account.
func (b *Backend) Account(ctx context.Context, id naming.AccountID) (key.Account, error) {
	a, err := b.account(ctx, id)
	return a, fail("backend.Account", err)
}

// Canonical finds an account by canonical id, as ACL grants name it. NotFound/Account.
func (b *Backend) Canonical(ctx context.Context, canonical string) (key.Account, error) {
	a, err := b.stores.Keys.Canonical(ctx, canonical)
	return a, fail("backend.Canonical", err)
}
