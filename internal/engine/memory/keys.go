package memory

import (
	"context"
	"maps"
	"slices"
	"sync"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// Keys is a keystore.
type Keys struct {
	mu       sync.Mutex
	closed   bool
	accounts map[naming.AccountID]key.Account
	users    map[naming.UserID]key.User
	keys     map[string]key.Key
}

var _ key.Store = (*Keys)(nil)

// NewKeys makes an empty keystore.
func NewKeys() *Keys {
	return &Keys{accounts: map[naming.AccountID]key.Account{}, users: map[naming.UserID]key.User{}, keys: map[string]key.Key{}}
}

// do runs fn under the lock unless the store is closed.
func (s *Keys) do(op string, fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errs.E(op, errs.Closed, errs.Store, "")
	}
	return fn()
}

// Close closes the store.
func (s *Keys) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Lookup finds an access key with its user and account.
func (s *Keys) Lookup(_ context.Context, accessKey string) (id key.Identity, err error) {
	const op = "memory.Keys.Lookup"
	err = s.do(op, func() error {
		k, ok := s.keys[accessKey]
		if !ok {
			return errs.E(op, errs.NotFound, errs.Key, accessKey)
		}
		u := s.users[k.User]
		id = key.Identity{Key: cloneKey(k), User: cloneUser(u), Account: cloneAccount(s.accounts[u.Account])}
		return nil
	})
	return id, err
}

// User finds a user.
func (s *Keys) User(_ context.Context, id naming.UserID) (u key.User, err error) {
	const op = "memory.Keys.User"
	err = s.do(op, func() error {
		found, ok := s.users[id]
		if !ok {
			return errs.E(op, errs.NotFound, errs.User, string(id))
		}
		u = cloneUser(found)
		return nil
	})
	return u, err
}

// Account finds an account.
func (s *Keys) Account(_ context.Context, id naming.AccountID) (a key.Account, err error) {
	const op = "memory.Keys.Account"
	err = s.do(op, func() error {
		found, ok := s.accounts[id]
		if !ok {
			return errs.E(op, errs.NotFound, errs.Account, string(id))
		}
		a = cloneAccount(found)
		return nil
	})
	return a, err
}

// Canonical finds the account with a canonical id.
func (s *Keys) Canonical(_ context.Context, canonical string) (a key.Account, err error) {
	return s.theOne("memory.Keys.Canonical", canonical, func(a key.Account) string { return a.Canonical })
}

// Email finds the account with an e-mail address.
func (s *Keys) Email(_ context.Context, address string) (a key.Account, err error) {
	return s.theOne("memory.Keys.Email", address, func(a key.Account) string { return a.Email })
}

// theOne finds the only account whose field is value.
func (s *Keys) theOne(op, value string, field func(key.Account) string) (found key.Account, err error) {
	err = s.do(op, func() error {
		n := 0
		for _, a := range s.accounts {
			if value != "" && field(a) == value {
				found = cloneAccount(a)
				n++
			}
		}
		switch n {
		case 0:
			return errs.E(op, errs.NotFound, errs.Account, value)
		case 1:
			return nil
		}
		found = key.Account{}
		return errs.E(op, errs.Conflict, errs.Account, value)
	})
	return found, err
}

// Accounts lists accounts.
func (s *Keys) Accounts(_ context.Context, after naming.AccountID, fn func(key.Account) bool) error {
	var list []key.Account
	err := s.do("memory.Keys.Accounts", func() error {
		for _, id := range slices.Sorted(maps.Keys(s.accounts)) {
			if id > after {
				list = append(list, cloneAccount(s.accounts[id]))
			}
		}
		return nil
	})
	each(list, fn)
	return err
}

// Users lists the users of an account, or of all.
func (s *Keys) Users(_ context.Context, account naming.AccountID, after naming.UserID, fn func(key.User) bool) error {
	var list []key.User
	err := s.do("memory.Keys.Users", func() error {
		for _, id := range slices.Sorted(maps.Keys(s.users)) {
			if u := s.users[id]; id > after && (account == "" || u.Account == account) {
				list = append(list, cloneUser(u))
			}
		}
		return nil
	})
	each(list, fn)
	return err
}

// Keys lists the keys of a user.
func (s *Keys) Keys(_ context.Context, user naming.UserID, fn func(key.Key) bool) error {
	var list []key.Key
	err := s.do("memory.Keys.Keys", func() error {
		for _, id := range slices.Sorted(maps.Keys(s.keys)) {
			if k := s.keys[id]; k.User == user {
				list = append(list, cloneKey(k))
			}
		}
		return nil
	})
	each(list, fn)
	return err
}

// each calls fn for the items until it returns false. It runs outside of the lock, so that fn may call the store.
func each[T any](items []T, fn func(T) bool) {
	for _, item := range items {
		if !fn(item) {
			return
		}
	}
}

// canonicalTaken reports whether an account other than a has a's canonical id.
func (s *Keys) canonicalTaken(a key.Account) bool {
	for _, other := range s.accounts {
		if a.Canonical != "" && other.Canonical == a.Canonical && other.ID != a.ID {
			return true
		}
	}
	return false
}

// CreateAccount makes an account.
func (s *Keys) CreateAccount(_ context.Context, a key.Account) (key.Account, error) {
	const op = "memory.Keys.CreateAccount"
	err := s.do(op, func() error {
		if _, ok := s.accounts[a.ID]; ok || s.canonicalTaken(a) {
			return errs.E(op, errs.Exists, errs.Account, string(a.ID))
		}
		a = cloneAccount(a)
		a.Revision = 1
		s.accounts[a.ID] = a
		return nil
	})
	return cloneAccount(a), err
}

// UpdateAccount replaces an account.
func (s *Keys) UpdateAccount(_ context.Context, a key.Account) (key.Account, error) {
	const op = "memory.Keys.UpdateAccount"
	err := s.do(op, func() error {
		old, ok := s.accounts[a.ID]
		switch {
		case !ok:
			return errs.E(op, errs.NotFound, errs.Account, string(a.ID))
		case old.Revision != a.Revision:
			return errs.E(op, errs.Conflict, errs.Account, string(a.ID))
		case s.canonicalTaken(a):
			return errs.E(op, errs.Exists, errs.Account, string(a.ID))
		}
		a = cloneAccount(a)
		a.Revision++
		s.accounts[a.ID] = a
		return nil
	})
	return cloneAccount(a), err
}

// RemoveAccount removes an account without users.
func (s *Keys) RemoveAccount(_ context.Context, id naming.AccountID) error {
	const op = "memory.Keys.RemoveAccount"
	return s.do(op, func() error {
		if _, ok := s.accounts[id]; !ok {
			return errs.E(op, errs.NotFound, errs.Account, string(id))
		}
		for _, u := range s.users {
			if u.Account == id {
				return errs.E(op, errs.NotEmpty, errs.Account, string(id))
			}
		}
		delete(s.accounts, id)
		return nil
	})
}

// CreateUser makes a user.
func (s *Keys) CreateUser(_ context.Context, u key.User) (key.User, error) {
	const op = "memory.Keys.CreateUser"
	err := s.do(op, func() error {
		if _, ok := s.accounts[u.Account]; !ok {
			return errs.E(op, errs.NotFound, errs.Account, string(u.Account))
		}
		if _, ok := s.users[u.ID]; ok {
			return errs.E(op, errs.Exists, errs.User, string(u.ID))
		}
		u = cloneUser(u)
		u.Revision = 1
		s.users[u.ID] = u
		return nil
	})
	return cloneUser(u), err
}

// UpdateUser replaces a user.
func (s *Keys) UpdateUser(_ context.Context, u key.User) (key.User, error) {
	const op = "memory.Keys.UpdateUser"
	err := s.do(op, func() error {
		old, ok := s.users[u.ID]
		switch {
		case !ok:
			return errs.E(op, errs.NotFound, errs.User, string(u.ID))
		case old.Revision != u.Revision:
			return errs.E(op, errs.Conflict, errs.User, string(u.ID))
		}
		u = cloneUser(u)
		u.Revision++
		s.users[u.ID] = u
		return nil
	})
	return cloneUser(u), err
}

// RemoveUser removes a user and its keys.
func (s *Keys) RemoveUser(_ context.Context, id naming.UserID) error {
	const op = "memory.Keys.RemoveUser"
	return s.do(op, func() error {
		if _, ok := s.users[id]; !ok {
			return errs.E(op, errs.NotFound, errs.User, string(id))
		}
		delete(s.users, id)
		maps.DeleteFunc(s.keys, func(_ string, k key.Key) bool { return k.User == id })
		return nil
	})
}

// CreateKey makes an access key.
func (s *Keys) CreateKey(_ context.Context, k key.Key) error {
	const op = "memory.Keys.CreateKey"
	return s.do(op, func() error {
		if _, ok := s.users[k.User]; !ok {
			return errs.E(op, errs.NotFound, errs.User, string(k.User))
		}
		if _, ok := s.keys[k.AccessKey]; ok {
			return errs.E(op, errs.Exists, errs.Key, k.AccessKey)
		}
		s.keys[k.AccessKey] = cloneKey(k)
		return nil
	})
}

// DisableKey sets or clears the flag.
func (s *Keys) DisableKey(_ context.Context, accessKey string, disabled bool) error {
	const op = "memory.Keys.DisableKey"
	return s.do(op, func() error {
		k, ok := s.keys[accessKey]
		if !ok {
			return errs.E(op, errs.NotFound, errs.Key, accessKey)
		}
		k.Disabled = disabled
		s.keys[accessKey] = k
		return nil
	})
}

// RemoveKey removes an access key.
func (s *Keys) RemoveKey(_ context.Context, accessKey string) error {
	const op = "memory.Keys.RemoveKey"
	return s.do(op, func() error {
		if _, ok := s.keys[accessKey]; !ok {
			return errs.E(op, errs.NotFound, errs.Key, accessKey)
		}
		delete(s.keys, accessKey)
		return nil
	})
}
