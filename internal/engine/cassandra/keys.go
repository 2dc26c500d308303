package cassandra

import (
	"context"
	"encoding/json"
	"sync/atomic"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/guess"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// Keys is the keystore. Accounts, users and access keys are JSON records under LWT. A record that is removed leaves its revision, and the next one of the id
// goes on from there: a node that hangs may run a transaction long after its client gave it up and had another node do it, and what was removed must not come back
// by it. "listed" is an index of ids by kind and owner: a row is written before its record and never removed, so no clock has a say in it; every reader checks
// it against the record.
type Keys struct {
	s *Session
	// behind remembers whose access keys were.
	behind guess.Map[string, owner]
}

// owner is the user of an access key and its account.
type owner struct {
	user    naming.UserID
	account naming.AccountID
}

// NewKeys puts a keystore on a session whose schema was checked.
func NewKeys(s *Session) *Keys { return &Keys{s: s} }

var _ key.Store = (*Keys)(nil)

// table is one of the record tables.
type table struct {
	thing               errs.Thing
	get, add, put, bury statement
}

func recordTable(name string, thing errs.Thing) table {
	return table{
		thing: thing,
		get:   statement{cql: `SELECT rec, revision, writer FROM %k.` + name + ` WHERE id = ?`, class: pointRead, level: gocql.LocalQuorum},
		add:   statement{cql: `INSERT INTO %k.` + name + ` (id, rec, revision, writer) VALUES (?, ?, ?, ?) IF NOT EXISTS`, class: casWrite, level: gocql.LocalQuorum},
		put:   statement{cql: `UPDATE %k.` + name + ` SET rec = ?, revision = ?, writer = ? WHERE id = ? IF revision = ?`, class: casWrite, level: gocql.LocalQuorum},
		bury:  statement{cql: `UPDATE %k.` + name + ` SET rec = null, revision = ?, writer = ? WHERE id = ? IF revision = ?`, class: casWrite, level: gocql.LocalQuorum},
	}
}

var (
	accounts   = recordTable("account", errs.Account)
	users      = recordTable("app_user", errs.User)
	accessKeys = recordTable("access_key", errs.Key)

	getCanonical = statement{cql: `SELECT account FROM %k.canonical WHERE id = ?`, class: pointRead, level: gocql.LocalQuorum}
	addCanonical = statement{cql: `INSERT INTO %k.canonical (id, account) VALUES (?, ?) IF NOT EXISTS`, class: casWrite, level: gocql.LocalQuorum}
	delCanonical = statement{cql: `DELETE FROM %k.canonical WHERE id = ? IF account = ?`, class: casWrite, level: gocql.LocalQuorum}

	addIndex  = statement{cql: `INSERT INTO %k.listed (kind, owner, id) VALUES (?, ?, ?) USING TIMESTAMP 1`, class: plainWrite, level: gocql.LocalQuorum}
	listIndex = statement{cql: `SELECT id FROM %k.listed WHERE kind = ? AND owner = ? AND id > ? LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
)

// Kinds of index partitions.
const (
	byAccount = "account" // all accounts; owner ""
	byUser    = "user"    // all users (owner ""), or those of an account
	byKey     = "key"     // access keys of a user
	byEmail   = "email"   // accounts that have, or had, an e-mail address
)

// record is a record as read.
type record struct {
	rec      []byte
	revision int64
	writer   gocql.UUID
}

// read reads a record. Of one that was removed, found is false and its revision is there.
func (k *Keys) read(ctx context.Context, t table, level gocql.Consistency, id string) (r record, found bool, err error) {
	r, found, err = sharedRow(ctx, k.s, t.get, level, []any{id}, func(r *record) []any { return []any{&r.rec, &r.revision, &r.writer} })
	return r, found && len(r.rec) > 0, err
}

// find reads and decodes a record.
func find[T any](ctx context.Context, k *Keys, t table, id string) (T, error) {
	const op = "cassandra.Keys"
	var v T
	r, found, err := k.read(ctx, t, gocql.LocalQuorum, id)
	switch {
	case err != nil:
		return v, fail(op, err)
	case !found:
		return v, errs.E(op, errs.NotFound, t.thing, id)
	}
	return decode[T](r)
}

func decode[T any](r record) (T, error) {
	var v T
	if err := json.Unmarshal(r.rec, &v); err != nil {
		return v, errs.Wrap("cassandra.Keys", errs.Corrupt, err)
	}
	return v, nil
}

// settleRecord tells by its mark whether a write over the revision before took effect. A later writer hides whether ours came before it.
func (k *Keys) settleRecord(ctx context.Context, t table, id string, writer gocql.UUID, before int64) func() (bool, bool, error) {
	return func() (bool, bool, error) {
		r, _, err := k.read(ctx, t, gocql.Serial, id)
		if err != nil {
			return false, false, err
		}
		return r.writer == writer, r.writer == writer || r.revision <= before, nil
	}
}

// writesMost bounds how often a record is written again that others change all the time.
const writesMost = 5

// create writes a new record, which v makes for its revision, Exists when there is one.
func (k *Keys) create(ctx context.Context, t table, id string, v func(revision uint64) any) error {
	const op = "cassandra.Keys.Create"
	for range writesMost {
		r, found, err := k.read(ctx, t, gocql.Serial, id)
		switch {
		case err != nil:
			return fail(op, err)
		case found:
			return errs.E(op, errs.Exists, t.thing, id)
		}
		rec, err := json.Marshal(v(uint64(r.revision) + 1))
		if err != nil {
			return errs.Wrap(op, errs.Internal, err)
		}
		writer := gocql.MustRandomUUID()
		st, args := t.add, []any{id, rec, int64(1), writer}
		if r.revision > 0 {
			st, args = t.put, []any{rec, r.revision + 1, writer, id, r.revision}
		}
		added, err := k.s.cas(ctx, st, gocql.Serial, args, k.settleRecord(ctx, t, id, writer, r.revision))
		if err != nil || added {
			return fail(op, err)
		}
	}
	return errs.E(op, errs.Busy, t.thing, id)
}

// replace writes v over the record with the revision, Conflict when it has another, NotFound when there is none.
func (k *Keys) replace(ctx context.Context, t table, id string, revision uint64, v any) error {
	const op = "cassandra.Keys.Update"
	rec, err := json.Marshal(v)
	if err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	writer := gocql.MustRandomUUID()
	applied, err := k.s.cas(ctx, t.put, gocql.Serial, []any{rec, int64(revision) + 1, writer, id, int64(revision)},
		k.settleRecord(ctx, t, id, writer, int64(revision)))
	if err != nil || applied {
		return fail(op, err)
	}
	_, found, err := k.read(ctx, t, gocql.Serial, id)
	switch {
	case err != nil:
		return fail(op, err)
	case !found:
		return errs.E(op, errs.NotFound, t.thing, id)
	}
	return errs.E(op, errs.Conflict, t.thing, id)
}

// remove deletes a record, NotFound when there is none.
func (k *Keys) remove(ctx context.Context, t table, id string) error {
	const op = "cassandra.Keys.Remove"
	for range writesMost {
		r, found, err := k.read(ctx, t, gocql.Serial, id)
		switch {
		case err != nil:
			return fail(op, err)
		case !found:
			return errs.E(op, errs.NotFound, t.thing, id)
		}
		writer := gocql.MustRandomUUID()
		gone, err := k.s.cas(ctx, t.bury, gocql.Serial, []any{r.revision + 1, writer, id, r.revision}, k.settleRecord(ctx, t, id, writer, r.revision))
		if err != nil || gone {
			return fail(op, err)
		}
	}
	return errs.E(op, errs.Busy, t.thing, id)
}

// index adds rows (kind, owner, id).
func (k *Keys) index(ctx context.Context, rows ...[3]string) error {
	for _, r := range rows {
		if err := k.s.exec(ctx, addIndex, r[0], r[1], r[2]); err != nil {
			return fail("cassandra.Keys", err)
		}
	}
	return nil
}

// walk reads an index and calls fn with each record that stands.
func walk[T any](ctx context.Context, k *Keys, t table, kind, owner, after string, fn func(T) bool) error {
	for {
		var page []string
		err := k.s.rows(ctx, listIndex, []any{kind, owner, after, listedAtOnce}, listedAtOnce, func(it *gocql.Iter) bool {
			var id string
			ok := it.Scan(&id)
			if ok {
				page = append(page, id)
			}
			return ok
		})
		if err != nil {
			return fail("cassandra.Keys", err)
		}
		for _, id := range page {
			v, err := find[T](ctx, k, t, id)
			if errs.Is(err, errs.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if !fn(v) {
				return nil
			}
		}
		if len(page) < listedAtOnce {
			return nil
		}
		after = page[len(page)-1]
	}
}

// Lookup finds an access key with its user and account; see key.Reader. Those of a key that was seen before are read beside it.
func (k *Keys) Lookup(ctx context.Context, accessKey string) (key.Identity, error) {
	id, last, err := k.guessed(ctx, accessKey)
	if err != nil {
		return key.Identity{}, err
	}
	if id.Key.User != last.user {
		if id.User, err = k.User(ctx, id.Key.User); err != nil {
			return key.Identity{}, err
		}
	}
	if id.User.Account != last.account {
		if id.Account, err = k.Account(ctx, id.User.Account); err != nil {
			return key.Identity{}, err
		}
	}
	if now := (owner{id.Key.User, id.User.Account}); now != last {
		k.behind.Put(accessKey, now)
	}
	return id, nil
}

// guessed reads an access key, and beside it the user and the account that it led to the last time; last is zero if it never did, or if they are gone.
func (k *Keys) guessed(ctx context.Context, accessKey string) (id key.Identity, last owner, err error) {
	var here bool
	if last, here = k.behind.Get(accessKey); !here {
		id.Key, err = find[key.Key](ctx, k, accessKeys, accessKey)
		return id, last, err
	}
	var gone atomic.Bool
	beside := func(err error) error {
		if errs.Is(err, errs.NotFound) {
			gone.Store(true)
			return nil
		}
		return err
	}
	g, gctx := limited(ctx)
	g.Go(func() (err error) { id.Key, err = find[key.Key](gctx, k, accessKeys, accessKey); return err })
	g.Go(func() (err error) { id.User, err = k.User(gctx, last.user); return beside(err) })
	g.Go(func() (err error) { id.Account, err = k.Account(gctx, last.account); return beside(err) })
	if err := g.Wait(); err != nil {
		return key.Identity{}, owner{}, err
	}
	if gone.Load() {
		last = owner{}
	}
	return id, last, nil
}

// User finds a user; see key.Reader.
func (k *Keys) User(ctx context.Context, id naming.UserID) (key.User, error) {
	return find[key.User](ctx, k, users, string(id))
}

// Account finds an account; see key.Reader.
func (k *Keys) Account(ctx context.Context, id naming.AccountID) (key.Account, error) {
	return find[key.Account](ctx, k, accounts, string(id))
}

// Canonical finds the account with a canonical id; see key.Reader.
func (k *Keys) Canonical(ctx context.Context, canonical string) (key.Account, error) {
	const op = "cassandra.Keys.Canonical"
	var id string
	found, err := k.s.one(ctx, getCanonical, []any{canonical}, &id)
	if err != nil {
		return key.Account{}, fail(op, err)
	}
	if found {
		a, err := k.Account(ctx, naming.AccountID(id))
		if err == nil && a.Canonical == canonical || err != nil && !errs.Is(err, errs.NotFound) {
			return a, err
		}
	}
	return key.Account{}, errs.E(op, errs.NotFound, errs.Account, canonical)
}

// Email finds the account with an e-mail address; see key.Reader.
func (k *Keys) Email(ctx context.Context, address string) (key.Account, error) {
	const op = "cassandra.Keys.Email"
	var all []key.Account
	if address == "" {
		return key.Account{}, errs.E(op, errs.NotFound, errs.Account, "")
	}
	err := walk(ctx, k, accounts, byEmail, address, "", func(a key.Account) bool {
		if a.Email == address {
			all = append(all, a)
		}
		return len(all) < 2
	})
	switch {
	case err != nil:
		return key.Account{}, err
	case len(all) == 0:
		return key.Account{}, errs.E(op, errs.NotFound, errs.Account, address)
	case len(all) > 1:
		return key.Account{}, errs.E(op, errs.Conflict, errs.Account, address)
	}
	return all[0], nil
}

// Accounts walks all accounts; see key.Reader.
func (k *Keys) Accounts(ctx context.Context, after naming.AccountID, fn func(key.Account) bool) error {
	return walk(ctx, k, accounts, byAccount, "", string(after), fn)
}

// Users walks the users of an account, or all; see key.Reader.
func (k *Keys) Users(ctx context.Context, account naming.AccountID, after naming.UserID, fn func(key.User) bool) error {
	return walk(ctx, k, users, byUser, string(account), string(after), fn)
}

// Keys walks the access keys of a user; see key.Reader.
func (k *Keys) Keys(ctx context.Context, user naming.UserID, fn func(key.Key) bool) error {
	return walk(ctx, k, accessKeys, byKey, string(user), "", fn)
}

// Close ends the session.
func (k *Keys) Close() error {
	k.s.Close()
	return nil
}
