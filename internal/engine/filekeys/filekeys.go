// Package filekeys is the keystore whose users stand in the configuration file.
// It is read-only and lives in memory: every gateway that reads the same file
// answers the same. Whoever reads the file again replaces all of it at once.
//
// An account exists because a user names it. What belongs to the account is taken
// from its users, in the order of the file: the canonical id from the first that
// gives one (else it follows from the account's name), the display name
// likewise, and an e-mail address of any of them finds the account.
package filekeys

import (
	"cmp"
	"context"
	"maps"
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
	Policies    map[string]string // attached policies by name, as written
}

// Key is an access key of a user.
type Key struct {
	AccessKey string
	Secret    string
	Expires   time.Time // zero: never
	Policy    string    // narrows what the key may do; "": all that the user may
}

// Group is a group of an account with the policies of those who are in it.
type Group struct {
	Account  naming.AccountID
	Name     string
	Policies map[string]string // by name, as written
}

// Store is the keystore. It implements key.Reader, and is safe for concurrent use.
type Store struct {
	closed atomic.Bool
	now    atomic.Pointer[table]
}

// table is what the users of one reading of the file come to. It never changes.
type table struct {
	keys     map[string]key.Identity
	accounts []key.Account // by id
	users    []key.User    // by id
	byUser   map[naming.UserID][]key.Key
	byCanon  map[string]naming.AccountID
	byEmail  map[string][]naming.AccountID
}

var _ key.Reader = (*Store)(nil)

// New makes a keystore of users and of the groups that have policies; a group without policies needs no mention. Policies are kept as they are: who reads
// the file has tested them. Errors: Exists when a user, an access key, a canonical id or a group occurs twice; Conflict when users
// of one account have different canonical ids; NotFound for a group of an account that no user names; Invalid for a bad password.
func New(users []User, groups []Group) (*Store, error) {
	s := &Store{}
	return s, s.Replace(users, groups)
}

// Replace puts other users and groups into the place of all that are there, at once: each answer is wholly the old or wholly the new. On an error, which is one of
// New's, those that are there stay.
func (s *Store) Replace(users []User, groups []Group) error {
	t, err := newTable(users, groups)
	if err == nil {
		s.now.Store(t)
	}
	return err
}

func newTable(users []User, groups []Group) (*table, error) {
	t := &table{
		keys: map[string]key.Identity{}, byUser: map[naming.UserID][]key.Key{},
		byCanon: map[string]naming.AccountID{}, byEmail: map[string][]naming.AccountID{},
	}
	accounts, err := t.collect(users, groups)
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		if err := t.add(u, accounts[u.Account]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(t.users, func(a, b key.User) int { return cmp.Compare(a.ID, b.ID) })
	return t, nil
}

// collect makes the accounts.
func (t *table) collect(users []User, groups []Group) (map[naming.AccountID]key.Account, error) {
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
		if u.Email != "" && !slices.Contains(t.byEmail[u.Email], u.Account) {
			t.byEmail[u.Email] = append(t.byEmail[u.Email], u.Account)
		}
	}
	if err := attach(accounts, groups); err != nil {
		return nil, err
	}
	for id, a := range accounts {
		if a.Domain == key.DomainDefault {
			a.Domain = ""
		}
		a.Canonical = cmp.Or(a.Canonical, key.CanonicalOf(id))
		a.DisplayName = cmp.Or(a.DisplayName, string(id))
		if _, taken := t.byCanon[a.Canonical]; taken {
			return nil, errs.E("filekeys.New", errs.Exists, errs.Account, string(id)).
				Because(errs.BadState, "two accounts have the same canonical id")
		}
		t.byCanon[a.Canonical] = id
		accounts[id] = a
		t.accounts = append(t.accounts, a)
	}
	slices.SortFunc(t.accounts, func(a, b key.Account) int { return cmp.Compare(a.ID, b.ID) })
	return accounts, nil
}

// attach gives accounts the policies of their groups.
func attach(accounts map[naming.AccountID]key.Account, groups []Group) error {
	for _, g := range groups {
		a, ok := accounts[g.Account]
		if !ok {
			return errs.E("filekeys.New", errs.NotFound, errs.Account, string(g.Account))
		}
		if _, taken := a.GroupPolicies[g.Name]; taken {
			return errs.E("filekeys.New", errs.Exists, errs.Account, string(g.Account)).
				Because(errs.BadState, "the account has a group twice")
		}
		if len(g.Policies) == 0 {
			continue
		}
		if a.GroupPolicies == nil {
			a.GroupPolicies = map[string]map[string][]byte{}
		}
		a.GroupPolicies[g.Name] = documents(g.Policies)
		accounts[g.Account] = a
	}
	return nil
}

// documents are policies as the records keep them; nil when there are none.
func documents(policies map[string]string) map[string][]byte {
	if len(policies) == 0 {
		return nil
	}
	kept := make(map[string][]byte, len(policies))
	for name, text := range policies {
		kept[name] = []byte(text)
	}
	return kept
}

// differ reports whether two users of an account say different things of it.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// add records a user with its keys.
func (t *table) add(u User, account key.Account) error {
	id := naming.User(u.Account, u.Name)
	if _, taken := t.byUser[id]; taken {
		return errs.E("filekeys.New", errs.Exists, errs.User, string(id))
	}
	ku := key.User{
		ID: id, Account: u.Account, DisplayName: cmp.Or(u.DisplayName, u.Name), Email: u.Email,
		Roles: slices.Clone(u.Roles), Groups: slices.Clone(u.Groups),
		Policies: documents(u.Policies),
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
	t.users = append(t.users, ku)
	t.byUser[id] = []key.Key{}
	for _, k := range u.Keys {
		if _, taken := t.keys[k.AccessKey]; taken {
			return errs.E("filekeys.New", errs.Exists, errs.Key, k.AccessKey)
		}
		kk := key.Key{AccessKey: k.AccessKey, Secret: k.Secret, User: id, Expires: k.Expires}
		if k.Policy != "" { // nil is what tells that there is none
			kk.Policy = []byte(k.Policy)
		}
		t.keys[k.AccessKey] = key.Identity{Key: kk, User: ku, Account: account}
		t.byUser[id] = append(t.byUser[id], kk)
	}
	slices.SortFunc(t.byUser[id], func(a, b key.Key) int { return cmp.Compare(a.AccessKey, b.AccessKey) })
	return nil
}

// open gives what the store knows now, or the error after Close or of an ended context.
func (s *Store) open(ctx context.Context, op string) (*table, error) {
	if s.closed.Load() {
		return nil, errs.E(op, errs.Closed, errs.Store, "")
	}
	if err := ctx.Err(); err != nil {
		return nil, errs.E(op, errs.Canceled, errs.Request, "").With(err)
	}
	return s.now.Load(), nil
}

// ownKey, ownUser and ownAccount are copies for a caller, who may change them. The texts of attached policies are shared, as nobody writes into a text.
func ownKey(k key.Key) key.Key {
	k.Policy = slices.Clone(k.Policy)
	return k
}

func ownUser(u key.User) key.User {
	u.Roles, u.Groups, u.Policies = slices.Clone(u.Roles), slices.Clone(u.Groups), maps.Clone(u.Policies)
	return u
}

func ownAccount(a key.Account) key.Account {
	a.GroupPolicies = maps.Clone(a.GroupPolicies)
	for group, policies := range a.GroupPolicies {
		a.GroupPolicies[group] = maps.Clone(policies)
	}
	return a
}

// Lookup implements key.Reader.
func (s *Store) Lookup(ctx context.Context, accessKey string) (key.Identity, error) {
	const op = "filekeys.Lookup"
	t, err := s.open(ctx, op)
	if err != nil {
		return key.Identity{}, err
	}
	id, ok := t.keys[accessKey]
	if !ok {
		return key.Identity{}, errs.E(op, errs.NotFound, errs.Key, accessKey)
	}
	return key.Identity{Key: ownKey(id.Key), User: ownUser(id.User), Account: ownAccount(id.Account)}, nil
}

// User implements key.Reader.
func (s *Store) User(ctx context.Context, id naming.UserID) (key.User, error) {
	const op = "filekeys.User"
	t, err := s.open(ctx, op)
	if err != nil {
		return key.User{}, err
	}
	i, ok := slices.BinarySearchFunc(t.users, id, func(u key.User, id naming.UserID) int { return cmp.Compare(u.ID, id) })
	if !ok {
		return key.User{}, errs.E(op, errs.NotFound, errs.User, string(id))
	}
	return ownUser(t.users[i]), nil
}

// Account implements key.Reader.
func (s *Store) Account(ctx context.Context, id naming.AccountID) (key.Account, error) {
	const op = "filekeys.Account"
	t, err := s.open(ctx, op)
	if err != nil {
		return key.Account{}, err
	}
	return t.account(op, id)
}

func (t *table) account(op string, id naming.AccountID) (key.Account, error) {
	i, ok := slices.BinarySearchFunc(t.accounts, id, func(a key.Account, id naming.AccountID) int { return cmp.Compare(a.ID, id) })
	if !ok {
		return key.Account{}, errs.E(op, errs.NotFound, errs.Account, string(id))
	}
	return ownAccount(t.accounts[i]), nil
}

// Canonical implements key.Reader.
func (s *Store) Canonical(ctx context.Context, canonical string) (key.Account, error) {
	const op = "filekeys.Canonical"
	t, err := s.open(ctx, op)
	if err != nil {
		return key.Account{}, err
	}
	id, ok := t.byCanon[canonical]
	if !ok {
		return key.Account{}, errs.E(op, errs.NotFound, errs.Account, canonical)
	}
	return t.account(op, id)
}

// Email implements key.Reader.
func (s *Store) Email(ctx context.Context, address string) (key.Account, error) {
	const op = "filekeys.Email"
	t, err := s.open(ctx, op)
	if err != nil {
		return key.Account{}, err
	}
	switch ids := t.byEmail[address]; len(ids) {
	case 0:
		return key.Account{}, errs.E(op, errs.NotFound, errs.Account, address)
	case 1:
		return t.account(op, ids[0])
	}
	return key.Account{}, errs.E(op, errs.Conflict, errs.Account, address)
}

// Accounts implements key.Reader.
func (s *Store) Accounts(ctx context.Context, after naming.AccountID, fn func(key.Account) bool) error {
	t, err := s.open(ctx, "filekeys.Accounts")
	if err != nil {
		return err
	}
	for _, a := range t.accounts {
		if a.ID > after && !fn(ownAccount(a)) {
			break
		}
	}
	return nil
}

// Users implements key.Reader.
func (s *Store) Users(ctx context.Context, account naming.AccountID, after naming.UserID, fn func(key.User) bool) error {
	t, err := s.open(ctx, "filekeys.Users")
	if err != nil {
		return err
	}
	for _, u := range t.users {
		if (account == "" || u.Account == account) && u.ID > after && !fn(ownUser(u)) {
			break
		}
	}
	return nil
}

// Keys implements key.Reader.
func (s *Store) Keys(ctx context.Context, user naming.UserID, fn func(key.Key) bool) error {
	const op = "filekeys.Keys"
	t, err := s.open(ctx, op)
	if err != nil {
		return err
	}
	keys, ok := t.byUser[user]
	if !ok {
		return errs.E(op, errs.NotFound, errs.User, string(user))
	}
	for _, k := range keys {
		if !fn(ownKey(k)) {
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
