package keytest

import (
	"context"

	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// Faulty is a double of a keystore whose look-ups of single records, and whose changes, fail as Faults decides.
type Faulty struct {
	key.Store
	Faults *errstest.Faults
}

// call makes a call that gives a record, by Faults.Write or Faults.Read.
func call[T any](op string, through func(string, func() error) error, do func() (T, error)) (T, error) {
	var got, none T
	err := through(op, func() (err error) {
		got, err = do()
		return err
	})
	if err != nil {
		return none, err
	}
	return got, nil
}

// Lookup may fail.
func (s Faulty) Lookup(ctx context.Context, accessKey string) (key.Identity, error) {
	return call("Lookup", s.Faults.Read, func() (key.Identity, error) { return s.Store.Lookup(ctx, accessKey) })
}

// User may fail.
func (s Faulty) User(ctx context.Context, id naming.UserID) (key.User, error) {
	return call("User", s.Faults.Read, func() (key.User, error) { return s.Store.User(ctx, id) })
}

// Account may fail.
func (s Faulty) Account(ctx context.Context, id naming.AccountID) (key.Account, error) {
	return call("Account", s.Faults.Read, func() (key.Account, error) { return s.Store.Account(ctx, id) })
}

// Canonical may fail.
func (s Faulty) Canonical(ctx context.Context, canonical string) (key.Account, error) {
	return call("Canonical", s.Faults.Read, func() (key.Account, error) { return s.Store.Canonical(ctx, canonical) })
}

// Email may fail.
func (s Faulty) Email(ctx context.Context, address string) (key.Account, error) {
	return call("Email", s.Faults.Read, func() (key.Account, error) { return s.Store.Email(ctx, address) })
}

// CreateAccount may fail before or after.
func (s Faulty) CreateAccount(ctx context.Context, a key.Account) (key.Account, error) {
	return call("CreateAccount", s.Faults.Write, func() (key.Account, error) { return s.Store.CreateAccount(ctx, a) })
}

// UpdateAccount may fail before or after.
func (s Faulty) UpdateAccount(ctx context.Context, a key.Account) (key.Account, error) {
	return call("UpdateAccount", s.Faults.Write, func() (key.Account, error) { return s.Store.UpdateAccount(ctx, a) })
}

// CreateUser may fail before or after.
func (s Faulty) CreateUser(ctx context.Context, u key.User) (key.User, error) {
	return call("CreateUser", s.Faults.Write, func() (key.User, error) { return s.Store.CreateUser(ctx, u) })
}

// UpdateUser may fail before or after.
func (s Faulty) UpdateUser(ctx context.Context, u key.User) (key.User, error) {
	return call("UpdateUser", s.Faults.Write, func() (key.User, error) { return s.Store.UpdateUser(ctx, u) })
}

// CreateKey may fail before or after.
func (s Faulty) CreateKey(ctx context.Context, k key.Key) error {
	return s.Faults.Write("CreateKey", func() error { return s.Store.CreateKey(ctx, k) })
}

// RemoveAccount may fail before or after.
func (s Faulty) RemoveAccount(ctx context.Context, id naming.AccountID) error {
	return s.Faults.Write("RemoveAccount", func() error { return s.Store.RemoveAccount(ctx, id) })
}

// RemoveUser may fail before or after.
func (s Faulty) RemoveUser(ctx context.Context, id naming.UserID) error {
	return s.Faults.Write("RemoveUser", func() error { return s.Store.RemoveUser(ctx, id) })
}

// DisableKey may fail before or after.
func (s Faulty) DisableKey(ctx context.Context, accessKey string, disabled bool) error {
	return s.Faults.Write("DisableKey", func() error { return s.Store.DisableKey(ctx, accessKey, disabled) })
}

// RemoveKey may fail before or after.
func (s Faulty) RemoveKey(ctx context.Context, accessKey string) error {
	return s.Faults.Write("RemoveKey", func() error { return s.Store.RemoveKey(ctx, accessKey) })
}
