package names

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/durable"
	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// Keys is the keystore in Pebble. It implements key.Store.
type Keys struct {
	db   *pebble.DB
	log  *durable.Log
	gate durable.Gate

	changing sync.Mutex // held by whoever changes something, until it is durable

	// cache has what Lookup found. Every change empties it.
	cache struct {
		sync.RWMutex
		changes    uint64
		identities map[string]key.Identity
	}
}

var _ key.Store = (*Keys)(nil)

// NewKeys makes a keystore of db, which is shared with other stores. It does not close db.
func NewKeys(db *pebble.DB) (*Keys, error) {
	s := &Keys{db: db, log: durable.NewLog(db)}
	s.cache.identities = make(map[string]key.Identity)
	return s, nil
}

// Close implements key.Reader.
func (s *Keys) Close() error {
	s.gate.Close()
	return nil
}

func (s *Keys) enter(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap(op, errs.Canceled, err)
	}
	return s.gate.Enter(op)
}

// read reads a record into one of its own type; false when there is none.
func read[S ~string](db pebble.Reader, space byte, id S, record any) (bool, error) {
	raw, err := durable.Get(db, rowKey(space, id))
	if raw == nil || err != nil {
		return false, err
	}
	return true, decode(raw, record)
}

// found turns the outcome of read into the error of a lookup.
func found(op string, ok bool, err error, thing errs.Thing, name string) error {
	if err == nil && !ok {
		return errs.E(op, errs.NotFound, thing, name)
	}
	return err
}

func cloneIdentity(id key.Identity) key.Identity {
	id.Key.Policy = slices.Clone(id.Key.Policy)
	id.User.Roles = slices.Clone(id.User.Roles)
	id.User.Groups = slices.Clone(id.User.Groups)
	id.User.Policies = maps.Clone(id.User.Policies)
	id.Account.Meta = maps.Clone(id.Account.Meta)
	id.Account.GroupPolicies = maps.Clone(id.Account.GroupPolicies)
	for group, policies := range id.Account.GroupPolicies {
		id.Account.GroupPolicies[group] = maps.Clone(policies)
	}
	return id
}

// Lookup implements key.Reader.
func (s *Keys) Lookup(ctx context.Context, accessKey string) (key.Identity, error) {
	const op = "names.Lookup"
	if err := s.enter(ctx, op); err != nil {
		return key.Identity{}, err
	}
	defer s.gate.Leave()
	s.cache.RLock()
	id, ok := s.cache.identities[accessKey]
	changes := s.cache.changes
	s.cache.RUnlock()
	if ok {
		return cloneIdentity(id), nil
	}
	if ok, err := read(s.db, spaceKey, accessKey, &id.Key); err != nil || !ok {
		return key.Identity{}, found(op, ok, err, errs.Key, accessKey)
	}
	if ok, err := read(s.db, spaceUser, id.Key.User, &id.User); err != nil || !ok {
		return key.Identity{}, found(op, ok, err, errs.Key, accessKey) // the user was just removed, and the key with it
	}
	if ok, err := read(s.db, spaceAccount, id.User.Account, &id.Account); err != nil || !ok {
		return key.Identity{}, found(op, ok, err, errs.Key, accessKey)
	}
	s.cache.Lock()
	defer s.cache.Unlock()
	if s.cache.changes == changes { // else what was read may be old
		keep(s.cache.identities, accessKey, id)
	}
	return cloneIdentity(id), nil
}

// User implements key.Reader.
func (s *Keys) User(ctx context.Context, id naming.UserID) (u key.User, err error) {
	const op = "names.User"
	if err := s.enter(ctx, op); err != nil {
		return u, err
	}
	defer s.gate.Leave()
	ok, err := read(s.db, spaceUser, id, &u)
	return u, found(op, ok, err, errs.User, string(id))
}

// Account implements key.Reader.
func (s *Keys) Account(ctx context.Context, id naming.AccountID) (a key.Account, err error) {
	const op = "names.Account"
	if err := s.enter(ctx, op); err != nil {
		return a, err
	}
	defer s.gate.Leave()
	ok, err := read(s.db, spaceAccount, id, &a)
	return a, found(op, ok, err, errs.Account, string(id))
}

// Canonical implements key.Reader.
func (s *Keys) Canonical(ctx context.Context, canonical string) (a key.Account, err error) {
	const op = "names.Canonical"
	if err := s.enter(ctx, op); err != nil {
		return a, err
	}
	defer s.gate.Leave()
	raw, err := durable.Get(s.db, rowKey(spaceCanonical, canonical))
	if raw == nil || err != nil {
		return a, found(op, false, err, errs.Account, canonical)
	}
	ok, err := read(s.db, spaceAccount, string(raw), &a)
	return a, found(op, ok, err, errs.Account, canonical)
}

// Email implements key.Reader.
func (s *Keys) Email(ctx context.Context, address string) (a key.Account, err error) {
	const op = "names.Email"
	if err := s.enter(ctx, op); err != nil {
		return a, err
	}
	defer s.gate.Leave()
	var owners []string
	prefix := rowkey.AppendName([]byte{spaceEmail}, address)
	err = each(ctx, s.db, op, prefix, rowkey.After(prefix), func(k, _ []byte) (bool, error) {
		owners = append(owners, string(k[len(prefix):]))
		return len(owners) < 2, nil
	})
	switch {
	case err != nil:
		return a, err
	case len(owners) > 1:
		return a, errs.E(op, errs.Conflict, errs.Account, address)
	case len(owners) == 0:
		return a, errs.E(op, errs.NotFound, errs.Account, address)
	}
	ok, err := read(s.db, spaceAccount, owners[0], &a)
	return a, found(op, ok, err, errs.Account, address)
}

// Accounts implements key.Reader.
func (s *Keys) Accounts(ctx context.Context, after naming.AccountID, fn func(key.Account) bool) error {
	return list(ctx, s, "names.Accounts", spaceAccount, after, fn)
}

// list calls fn for the records of a space after an id.
func list[S ~string, R any](ctx context.Context, s *Keys, op string, space byte, after S, fn func(R) bool) error {
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	from := rowKey(space, after)
	if after != "" {
		from = append(from, 0)
	}
	return each(ctx, s.db, op, from, []byte{space + 1}, func(_, value []byte) (bool, error) {
		var r R
		if err := decode(value, &r); err != nil {
			return false, err
		}
		return fn(r), nil
	})
}

// listIndex calls fn for the records of a space that an index names under owner, after an id.
func listIndex[O, S ~string, R any](ctx context.Context, s *Keys, op string, index byte, owner O, space byte, after S, fn func(R) bool) error {
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	prefix := rowkey.AppendName([]byte{index}, owner)
	from := prefix
	if after != "" {
		from = append(indexKey(index, owner, after), 0)
	}
	return each(ctx, s.db, op, from, rowkey.After(prefix), func(k, _ []byte) (bool, error) {
		var r R
		ok, err := read(s.db, space, string(k[len(prefix):]), &r)
		if err != nil || !ok { // removed since the walk began
			return true, err
		}
		return fn(r), nil
	})
}

func indexKey[O, S ~string](index byte, owner O, id S) []byte {
	return append(rowkey.AppendName([]byte{index}, owner), id...)
}

// Users implements key.Reader.
func (s *Keys) Users(ctx context.Context, account naming.AccountID, after naming.UserID, fn func(key.User) bool) error {
	if account == "" {
		return list(ctx, s, "names.Users", spaceUser, after, fn)
	}
	return listIndex(ctx, s, "names.Users", spaceAccountUser, account, spaceUser, after, fn)
}

// Keys implements key.Reader.
func (s *Keys) Keys(ctx context.Context, user naming.UserID, fn func(key.Key) bool) error {
	return listIndex(ctx, s, "names.Keys", spaceUserKey, user, spaceKey, "", fn)
}
