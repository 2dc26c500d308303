package cassandra

import (
	"context"
	"errors"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// CreateAccount makes an account; see key.Writer. The canonical id is claimed first: a claim whose account does not exist, or has
// another canonical id, is taken over.
func (k *Keys) CreateAccount(ctx context.Context, a key.Account) (key.Account, error) {
	const op = "cassandra.Keys.CreateAccount"
	a.Created = a.Created.Truncate(time.Microsecond)
	if _, err := k.Account(ctx, a.ID); !errs.Is(err, errs.NotFound) {
		if err == nil {
			err = errs.E(op, errs.Exists, errs.Account, string(a.ID))
		}
		return key.Account{}, err
	}
	if err := k.index(ctx, [3]string{byAccount, "", string(a.ID)}, [3]string{byEmail, a.Email, string(a.ID)}); err != nil {
		return key.Account{}, err
	}
	if err := k.claimCanonical(ctx, a.Canonical, a.ID); err != nil {
		return key.Account{}, err
	}
	if err := k.create(ctx, accounts, string(a.ID), func(revision uint64) any { a.Revision = revision; return a }); err != nil {
		return key.Account{}, err
	}
	return a, nil
}

func (k *Keys) claimCanonical(ctx context.Context, canonical string, account naming.AccountID) error {
	const op = "cassandra.Keys.claimCanonical"
	mine := func() (bool, bool, error) {
		var id string
		_, err := k.s.serially(ctx, getCanonical, gocql.Serial, []any{canonical}, &id)
		return id == string(account), true, err
	}
	for range 3 {
		claimed, err := k.s.cas(ctx, addCanonical, gocql.Serial, []any{canonical, string(account)}, mine)
		if err != nil || claimed {
			return fail(op, err)
		}
		var holder string
		if _, err := k.s.serially(ctx, getCanonical, gocql.Serial, []any{canonical}, &holder); err != nil {
			return fail(op, err)
		}
		if holder == string(account) {
			return nil
		}
		a, err := k.Account(ctx, naming.AccountID(holder))
		if err == nil && a.Canonical == canonical {
			break
		}
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		if _, err := k.s.cas(ctx, delCanonical, gocql.Serial, []any{canonical, holder}, mine); err != nil {
			return fail(op, err)
		}
	}
	return errs.E(op, errs.Exists, errs.Account, canonical)
}

// UpdateAccount replaces an account; see key.Writer.
func (k *Keys) UpdateAccount(ctx context.Context, a key.Account) (key.Account, error) {
	before, err := k.Account(ctx, a.ID)
	if err != nil {
		return key.Account{}, err
	}
	if a.Canonical != before.Canonical {
		if err := k.claimCanonical(ctx, a.Canonical, a.ID); err != nil {
			return key.Account{}, err
		}
	}
	if err := k.index(ctx, [3]string{byEmail, a.Email, string(a.ID)}); err != nil {
		return key.Account{}, err
	}
	read := a.Revision
	a.Revision, a.Created = read+1, a.Created.Truncate(time.Microsecond)
	if err := k.replace(ctx, accounts, string(a.ID), read, a); err != nil {
		return key.Account{}, err
	}
	return a, nil
}

// RemoveAccount removes an account without users; see key.Writer. A user created at the same moment is found by its look after writing.
func (k *Keys) RemoveAccount(ctx context.Context, id naming.AccountID) error {
	const op = "cassandra.Keys.RemoveAccount"
	if _, err := k.Account(ctx, id); err != nil {
		return err
	}
	busy := false
	if err := k.Users(ctx, id, "", func(key.User) bool { busy = true; return false }); err != nil {
		return err
	}
	if busy {
		return errs.E(op, errs.NotEmpty, errs.Account, string(id))
	}
	return k.remove(ctx, accounts, string(id))
}

// CreateUser makes a user; see key.Writer. It writes the user and then looks at the account again, so that an account that was removed
// meanwhile does not keep a user.
func (k *Keys) CreateUser(ctx context.Context, u key.User) (key.User, error) {
	u.Created = u.Created.Truncate(time.Microsecond)
	if _, err := k.Account(ctx, u.Account); err != nil {
		return key.User{}, err
	}
	if err := k.index(ctx, [3]string{byUser, "", string(u.ID)}, [3]string{byUser, string(u.Account), string(u.ID)}); err != nil {
		return key.User{}, err
	}
	if err := k.create(ctx, users, string(u.ID), func(revision uint64) any { u.Revision = revision; return u }); err != nil {
		return key.User{}, err
	}
	if _, err := k.Account(ctx, u.Account); err != nil {
		return key.User{}, k.takeBack(ctx, users, string(u.ID), err)
	}
	return u, nil
}

// UpdateUser replaces a user; see key.Writer.
func (k *Keys) UpdateUser(ctx context.Context, u key.User) (key.User, error) {
	read := u.Revision
	u.Revision, u.Created = read+1, u.Created.Truncate(time.Microsecond)
	if err := k.replace(ctx, users, string(u.ID), read, u); err != nil {
		return key.User{}, err
	}
	return u, nil
}

// RemoveUser removes a user and its keys; see key.Writer. The keys go first: if this ends half way, none is left that would come to life with another user of the
// name. A key made meanwhile is found by its own look after writing, or here.
func (k *Keys) RemoveUser(ctx context.Context, id naming.UserID) error {
	if _, err := k.User(ctx, id); err != nil {
		return err
	}
	if err := k.removeKeys(ctx, id); err != nil {
		return err
	}
	if err := k.remove(ctx, users, string(id)); err != nil {
		return err
	}
	return k.removeKeys(ctx, id)
}

func (k *Keys) removeKeys(ctx context.Context, user naming.UserID) error {
	var own []string
	if err := k.Keys(ctx, user, func(a key.Key) bool { own = append(own, a.AccessKey); return true }); err != nil {
		return err
	}
	for _, a := range own {
		if err := k.remove(ctx, accessKeys, a); err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
	}
	return nil
}

// CreateKey makes an access key; see key.Writer.
func (k *Keys) CreateKey(ctx context.Context, a key.Key) error {
	a.Created, a.Expires = a.Created.Truncate(time.Microsecond), a.Expires.Truncate(time.Microsecond)
	if _, err := k.User(ctx, a.User); err != nil {
		return err
	}
	if err := k.index(ctx, [3]string{byKey, string(a.User), a.AccessKey}); err != nil {
		return err
	}
	if err := k.create(ctx, accessKeys, a.AccessKey, func(uint64) any { return a }); err != nil {
		return err
	}
	if _, err := k.User(ctx, a.User); err != nil {
		return k.takeBack(ctx, accessKeys, a.AccessKey, err)
	}
	return nil
}

// takeBack removes a record again whose owner has not been found. Where that fails too, nobody knows whether it stands.
func (k *Keys) takeBack(ctx context.Context, t table, id string, cause error) error {
	if err := k.remove(ctx, t, id); err != nil && !errs.Is(err, errs.NotFound) {
		return errs.Wrap("cassandra.Keys.Create", errs.Ambiguous, errors.Join(cause, err))
	}
	return cause
}

// DisableKey sets or clears the flag; see key.Writer.
func (k *Keys) DisableKey(ctx context.Context, accessKey string, disabled bool) error {
	const op = "cassandra.Keys.DisableKey"
	for range 5 {
		r, found, err := k.read(ctx, accessKeys, gocql.Serial, accessKey)
		switch {
		case err != nil:
			return fail(op, err)
		case !found:
			return errs.E(op, errs.NotFound, errs.Key, accessKey)
		}
		a, err := decode[key.Key](r)
		if err != nil {
			return err
		}
		a.Disabled = disabled
		if err := k.replace(ctx, accessKeys, accessKey, uint64(r.revision), a); !errs.Is(err, errs.Conflict) {
			return err
		}
	}
	return errs.E(op, errs.Busy, errs.Key, accessKey)
}

// RemoveKey removes an access key; see key.Writer.
func (k *Keys) RemoveKey(ctx context.Context, accessKey string) error {
	return k.remove(ctx, accessKeys, accessKey)
}
