// Package filekeys is the keystore whose users stand in the configuration file.
// It is read-only and lives in memory: every gateway that reads the same file
// answers the same.
//
// An account exists because a user names it. What belongs to the account is taken
// from its users, in the order of the file: the canonical id from the first that
// gives one (else it follows from the account's name), the display name
// likewise, and an e-mail address of any of them finds the account.
package filekeys

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// User is a user as the configuration defines it.
type User struct {
	Name        string
	Account     naming.AccountID
	Password    string // plain; "" for none
	DisplayName string
	Canonical   string // of the account; "" for one that follows from its name
	Domain      string // Keystone domain of the account
	Project     string // name of the account as a Keystone project
	Email       string
	Roles       []string // nil: administrator of the account; empty: none
	Groups      []string
	Keys        []Key
}

// Key is an access key of a user.
type Key struct {
	AccessKey string
	Secret    string
	Expires   time.Time // zero: never
}

// Store is the keystore. It implements key.Reader and never changes.
type Store struct {
	closed   atomic.Bool
	keys     map[string]key.Identity
	accounts []key.Account // by id
	users    []key.User    // by id
	byUser   map[naming.UserID][]key.Key
	byCanon  map[string]naming.AccountID
	byEmail  map[string][]naming.AccountID
}

var _ key.Reader = (*Store)(nil)

// New makes a keystore of users. Errors: Exists when a user, an access key or a canonical id occurs twice; Conflict when users
// of one account have different canonical ids; Invalid for a bad password.
func New(users []User) (*Store, error) {
	s := &Store{
		keys: map[string]key.Identity{}, byUser: map[naming.UserID][]key.Key{},
		byCanon: map[string]naming.AccountID{}, byEmail: map[string][]naming.AccountID{},
	}
	accounts, err := s.collect(users)
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		if err := s.add(u, accounts[u.Account]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(s.users, func(a, b key.User) int { return cmp.Compare(a.ID, b.ID) })
	return s, nil
}

// collect makes the accounts.
func (s *Store) collect(users []User) (map[naming.AccountID]key.Account, error) {
	accounts := map[naming.AccountID]key.Account{}
	for _, u := range users {
		a := accounts[u.Account]
		a.ID = u.Account
		if a.Canonical != "" && u.Canonical != "" && a.Canonical != u.Canonical {
			return nil, errs.E("filekeys.New", errs.Conflict, errs.Account, string(u.Account)).
				Because(errs.BadState, "users of one account have different canonical ids")
		}
		a.Canonical = cmp.Or(a.Canonical, u.Canonical)
		if differ(a.Domain, u.Domain) || differ(a.Project, u.Project) {
			return nil, errs.E("filekeys.New", errs.Conflict, errs.Account, string(u.Account)).
				Because(errs.BadState, "users of one account have different domains or projects")
		}
		a.Domain, a.Project = cmp.Or(a.Domain, u.Domain), cmp.Or(a.Project, u.Project)
		a.DisplayName = cmp.Or(a.DisplayName, u.DisplayName)
		a.Email = cmp.Or(a.Email, u.Email)
		accounts[u.Account] = a
		if u.Email != "" && !slices.Contains(s.byEmail[u.Email], u.Account) {
			s.byEmail[u.Email] = append(s.byEmail[u.Email], u.Account)
		}
	}
	for id, a := range accounts {
		if a.Domain == key.DomainDefault {
			a.Domain = ""
		}
		a.Canonical = cmp.Or(a.Canonical, key.CanonicalOf(id))
		a.DisplayName = cmp.Or(a.DisplayName, string(id))
		if _, taken := s.byCanon[a.Canonical]; taken {
			return nil, errs.E("filekeys.New", errs.Exists, errs.Account, string(id)).
				Because(errs.BadState, "two accounts have the same canonical id")
		}
		s.byCanon[a.Canonical] = id
		accounts[id] = a
		s.accounts = append(s.accounts, a)
	}
	slices.SortFunc(s.accounts, func(a, b key.Account) int { return cmp.Compare(a.ID, b.ID) })
	return accounts, nil
}

// differ reports whether two users of an account say different things of it.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// add records a user with its keys.
func (s *Store) add(u User, account key.Account) error {
	id := naming.User(u.Account, u.Name)
	if _, taken := s.byUser[id]; taken {
		return errs.E("filekeys.New", errs.Exists, errs.User, string(id))
	}
	ku := key.User{
		ID: id, Account: u.Account, DisplayName: cmp.Or(u.DisplayName, u.Name), Email: u.Email,
		Roles: slices.Clone(u.Roles), Groups: slices.Clone(u.Groups),
	}
	if u.Roles == nil {
		ku.Roles = []string{key.RoleAdmin}
	}
	if u.Password != "" {
		hash, err := key.HashPassword(u.Password, key.CostHeld)
		if err != nil {
			return errs.Wrap("filekeys.New", errs.Invalid, err)
		}
		ku.PasswordHash = hash
	}
	s.users = append(s.users, ku)
	s.byUser[id] = []key.Key{}
	for _, k := range u.Keys {
		if _, taken := s.keys[k.AccessKey]; taken {
			return errs.E("filekeys.New", errs.Exists, errs.Key, k.AccessKey)
		}
		kk := key.Key{AccessKey: k.AccessKey, Secret: k.Secret, User: id, Expires: k.Expires}
		s.keys[k.AccessKey] = key.Identity{Key: kk, User: ku, Account: account}
		s.byUser[id] = append(s.byUser[id], kk)
	}
	slices.SortFunc(s.byUser[id], func(a, b key.Key) int { return cmp.Compare(a.AccessKey, b.AccessKey) })
	return nil
}

// open is the error after Close or of an ended context.
func (s *Store) open(ctx context.Context, op string) error {
	if s.closed.Load() {
		return errs.E(op, errs.Closed, errs.Store, "")
	}
	if err := ctx.Err(); err != nil {
		return errs.E(op, errs.Canceled, errs.Request, "").With(err)
	}
	return nil
}

// Lookup implements key.Reader.
func (s *Store) Lookup(ctx context.Context, accessKey string) (key.Identity, error) {
	const op = "filekeys.Lookup"
	if err := s.open(ctx, op); err != nil {
		return key.Identity{}, err
	}
	id, ok := s.keys[accessKey]
	if !ok {
		return key.Identity{}, errs.E(op, errs.NotFound, errs.Key, accessKey)
	}
	return id, nil
}

// User implements key.Reader.
func (s *Store) User(ctx context.Context, id naming.UserID) (key.User, error) {
	const op = "filekeys.User"
	if err := s.open(ctx, op); err != nil {
		return key.User{}, err
	}
	i, ok := slices.BinarySearchFunc(s.users, id, func(u key.User, id naming.UserID) int { return cmp.Compare(u.ID, id) })
	if !ok {
		return key.User{}, errs.E(op, errs.NotFound, errs.User, string(id))
	}
	return s.users[i], nil
}

// Account implements key.Reader.
func (s *Store) Account(ctx context.Context, id naming.AccountID) (key.Account, error) {
	const op = "filekeys.Account"
	if err := s.open(ctx, op); err != nil {
		return key.Account{}, err
	}
	i, ok := slices.BinarySearchFunc(s.accounts, id, func(a key.Account, id naming.AccountID) int { return cmp.Compare(a.ID, id) })
	if !ok {
		return key.Account{}, errs.E(op, errs.NotFound, errs.Account, string(id))
	}
	return s.accounts[i], nil
}

// Canonical implements key.Reader.
func (s *Store) Canonical(ctx context.Context, canonical string) (key.Account, error) {
	id, ok := s.byCanon[canonical]
	if !ok {
		if err := s.open(ctx, "filekeys.Canonical"); err != nil {
			return key.Account{}, err
		}
		return key.Account{}, errs.E("filekeys.Canonical", errs.NotFound, errs.Account, canonical)
	}
	return s.Account(ctx, id)
}

// Email implements key.Reader.
func (s *Store) Email(ctx context.Context, address string) (key.Account, error) {
	const op = "filekeys.Email"
	if err := s.open(ctx, op); err != nil {
		return key.Account{}, err
	}
	switch ids := s.byEmail[address]; len(ids) {
	case 0:
		return key.Account{}, errs.E(op, errs.NotFound, errs.Account, address)
	case 1:
		return s.Account(ctx, ids[0])
	}
	return key.Account{}, errs.E(op, errs.Conflict, errs.Account, address)
}

// Accounts implements key.Reader.
func (s *Store) Accounts(ctx context.Context, after naming.AccountID, fn func(key.Account) bool) error {
	if err := s.open(ctx, "filekeys.Accounts"); err != nil {
		return err
	}
	for _, a := range s.accounts {
		if a.ID > after && !fn(a) {
			break
		}
	}
	return nil
}

// Users implements key.Reader.
func (s *Store) Users(ctx context.Context, account naming.AccountID, after naming.UserID, fn func(key.User) bool) error {
	if err := s.open(ctx, "filekeys.Users"); err != nil {
		return err
	}
	for _, u := range s.users {
		if (account == "" || u.Account == account) && u.ID > after && !fn(u) {
			break
		}
	}
	return nil
}

// Keys implements key.Reader.
func (s *Store) Keys(ctx context.Context, user naming.UserID, fn func(key.Key) bool) error {
	const op = "filekeys.Keys"
	if err := s.open(ctx, op); err != nil {
		return err
	}
	keys, ok := s.byUser[user]
	if !ok {
		return errs.E(op, errs.NotFound, errs.User, string(user))
	}
	for _, k := range keys {
		if !fn(k) {
			break
		}
	}
	return nil
}

// Close implements key.Reader.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}
