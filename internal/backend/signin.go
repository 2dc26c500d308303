package backend

import (
	"context"
	"crypto/subtle"
	"slices"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// signInsAtOnce bounds the passwords that are checked at the same time: each costs 19 MiB and tens of milliseconds.
const signInsAtOnce = 4

// SignIn checks a user's password, or in its place the secret of one of the user's access keys, which therefore serve at every door; the
// principal then names the access key.
// Unauthenticated/User when it is neither, or when the user or account does not exist or is disabled: the error does not tell which.
func (b *Backend) SignIn(ctx context.Context, id naming.UserID, secret string) (key.User, access.Principal, error) {
	const op = "backend.SignIn"
	user, who, err := b.Principal(ctx, id)
	if errs.Is(err, errs.Unauthenticated) {
		_, _ = b.checkPassword(ctx, secret, "") // it takes the time that it takes for a user who is there
	}
	if err != nil {
		return key.User{}, access.Principal{}, fail(op, err)
	}
	who.AccessKey, err = b.keyWith(ctx, id, secret)
	if err != nil {
		return key.User{}, access.Principal{}, fail(op, err)
	}
	ok := who.AccessKey != ""
	if !ok {
		if ok, err = b.checkPassword(ctx, secret, user.PasswordHash); err != nil {
			return key.User{}, access.Principal{}, fail(op, err)
		}
	}
	if !ok {
		return key.User{}, access.Principal{}, errs.E(op, errs.Unauthenticated, errs.User, string(id))
	}
	return user, who, nil
}

// checkPassword compares a password with a hash. Without a hash it takes as long as with the one that was last looked at, and is false: the time of the
// answer does not tell which users there are. The error is the context's.
func (b *Backend) checkPassword(ctx context.Context, secret, hash string) (bool, error) {
	if len(secret) > key.PasswordMax {
		return false, nil
	}
	against := hash
	if hash != "" {
		b.decoy.Store(&hash)
	} else if last := b.decoy.Load(); last != nil {
		against = *last
	} else {
		return false, nil
	}
	select {
	case b.signIns <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-b.signIns }()
	return key.CheckPassword(secret, against) && hash != "", nil
}

// keyWith is the live access key of the user that has the secret; "" when none has. A key with a policy of its own is left out: it may do
// less than its user.
func (b *Backend) keyWith(ctx context.Context, id naming.UserID, secret string) (accessKey string, err error) {
	now := b.now()
	err = b.stores.Keys.Keys(ctx, id, func(k key.Key) bool {
		live := !k.Disabled && (k.Expires.IsZero() || k.Expires.After(now)) && k.Policy == nil
		if live && subtle.ConstantTimeCompare([]byte(k.Secret), []byte(secret)) == 1 {
			accessKey = k.AccessKey
		}
		return accessKey == ""
	})
	return accessKey, err
}

// Principal is a user as the one who asks. Unauthenticated/User when the user or account does not exist or is disabled.
func (b *Backend) Principal(ctx context.Context, id naming.UserID) (key.User, access.Principal, error) {
	const op = "backend.Principal"
	user, err := b.stores.Keys.User(ctx, id)
	var account key.Account
	if err == nil {
		account, err = b.stores.Keys.Account(ctx, user.Account)
	}
	switch {
	case errs.Is(err, errs.NotFound):
		return key.User{}, access.Principal{}, errs.E(op, errs.Unauthenticated, errs.User, string(id)).With(err)
	case err != nil:
		return key.User{}, access.Principal{}, fail(op, err)
	case user.Disabled || account.Disabled:
		return key.User{}, access.Principal{}, errs.E(op, errs.Unauthenticated, errs.User, string(id))
	}
	return user, b.principal(user, account), nil
}

func (b *Backend) principal(user key.User, account key.Account) access.Principal {
	p := access.Principal{
		Account:   account.ID,
		User:      user.ID,
		Canonical: account.Canonical,
		Admin:     slices.Contains(user.Roles, key.RoleAdmin),
		Operator:  slices.Contains(user.Roles, key.RoleOperator),
		Groups:    user.Groups,
		Domain:    account.Domain,
		Project:   account.ProjectName(),
		Roles:     user.Roles,
	}
	b.attach(&p, user, account)
	return p
}
