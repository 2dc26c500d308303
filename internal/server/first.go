package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// The administrator that the first start makes.
const (
	firstAccount = naming.AccountID("admin")
	firstUser    = "admin"
)

// administrator sees to it that somebody can sign in. When the keystore has no account yet, it draws the first administrator's key, keeps
// it in the data directory, and returns it for printing; otherwise it returns nil.
//
// Order: the file with Pending, the account, the user, the key, the file without Pending. A crash anywhere is
// finished by the next start with the same secret. A file without Pending is never acted on: whoever removed its user meant it.
func administrator(ctx context.Context, data string, keys key.Store, now time.Time) (*Credentials, error) {
	c, err := ReadCredentials(data)
	switch {
	case err == nil && !c.Pending:
		return nil, nil //nolint:nilnil // nobody new
	case errors.Is(err, fs.ErrNotExist):
		empty := true
		if err := keys.Accounts(ctx, "", func(key.Account) bool { empty = false; return false }); err != nil {
			return nil, err
		}
		if !empty {
			return nil, nil //nolint:nilnil // nobody new
		}
		c = Credentials{
			Account: string(firstAccount), User: string(naming.User(firstAccount, firstUser)),
			AccessKey: key.NewAccessKey(), Secret: key.NewSecret(), Created: now.UTC(), Pending: true,
		}
		if err := writeJSON(filepath.Join(data, CredentialsFile), c); err != nil {
			return nil, fmt.Errorf("the new administrator's key cannot be kept: %w", err)
		}
	case err != nil:
		return nil, err
	}
	if err := enrol(ctx, keys, c); err != nil {
		return nil, err
	}
	c.Pending = false
	return &c, writeJSON(filepath.Join(data, CredentialsFile), c)
}

// enrol puts the administrator into the keystore. What is there from an interrupted start stays.
func enrol(ctx context.Context, keys key.Writer, c Credentials) error {
	account, user := naming.AccountID(c.Account), naming.UserID(c.User)
	_, err := keys.CreateAccount(ctx, key.Account{ID: account, Canonical: key.CanonicalOf(account), DisplayName: c.Account, Created: c.Created})
	if err != nil && !errs.IsThing(err, errs.Exists, errs.Account) {
		return err
	}
	_, err = keys.CreateUser(ctx, key.User{
		ID: user, Account: account, DisplayName: c.Account, Roles: []string{key.RoleAdmin, key.RoleOperator}, Created: c.Created,
	})
	if err != nil && !errs.IsThing(err, errs.Exists, errs.User) {
		return err
	}
	err = keys.CreateKey(ctx, key.Key{AccessKey: c.AccessKey, Secret: c.Secret, User: user, Created: c.Created})
	if err != nil && !errs.IsThing(err, errs.Exists, errs.Key) {
		return err
	}
	return nil
}
