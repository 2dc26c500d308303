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
	if err != nil {
		return key.User{}, access.Principal{}, fail(op, err)
	}
	who.AccessKey, err = b.keyWith(ctx, id, secret)
	if err != nil {
		return key.User{}, access.Principal{}, fail(op, err)
	}
	ok := who.AccessKey != ""
	if !ok && user.PasswordHash != "" && len(secret) <= key.PasswordMax {
		select {
		case b.signIns <- struct{}{}:
		case <-ctx.Done():
			return key.User{}, access.Principal{}, fail(op, ctx.Err())
		}
		ok = key.CheckPassword(secret, user.PasswordHash)
		<-b.signIns
	}
	if !ok {
		return key.User{}, access.Principal{}, errs.E(op, errs.Unauthenticated, errs.User, string(id))
	}
	return user, who, nil
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
