// Package keytest is the conformance suite of the keystore: one subtest for
// each sentence of the contract. Every engine that can be written, and every
// decorator, runs it.
package keytest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// Options say what the store under test is like.
type Options struct {
	// Reopen closes the store and opens what it kept. nil: nothing survives, and durability is not tested.
	Reopen func(t *testing.T, s key.Store) key.Store
	// Slow shrinks counts for stores to which every call is a journey.
	Slow bool
	// Seed of everything random; 0: drawn and printed.
	Seed uint64
}

// Run runs the suite. open gives a store to each subtest, which the engine closes again with t.Cleanup (a second Close must be
// harmless). It may be the same data each time: subtests use accounts, users and keys of their own.
func Run(t *testing.T, open func(t *testing.T) key.Store, o Options) {
	t.Helper()
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	t.Logf("seed %d", o.Seed)
	groups := [][]sentence{accounts, users, keys, racing}
	if o.Reopen != nil {
		groups = append(groups, lasting)
	}
	for _, group := range groups {
		for _, s := range group {
			t.Run(s.name, func(t *testing.T) {
				e := &env{T: t, s: open(t), o: o, rng: rand.New(rand.NewPCG(o.Seed, uint64(len(s.name))))}
				e.prefix = "keytest-" + naming.NewContainerID().String()
				s.run(e)
			})
		}
	}
}

// sentence is one promise of the contract and how to test it.
type sentence struct {
	name string
	run  func(e *env)
}

// env is what a subtest works with. All that it makes begins with a prefix that nobody else has.
type env struct {
	*testing.T
	s      key.Store
	o      Options
	rng    *rand.Rand
	prefix string
}

func (e *env) wantSame(what string, got, want any) {
	e.Helper()
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		e.Fatalf("%s differs (- want, + got):\n%s", what, diff)
	}
}

var created = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// account makes an account that must not be there yet.
func (e *env) account(name string) key.Account {
	e.Helper()
	id := e.prefix + name
	a := key.Account{
		ID: naming.AccountID(id), Canonical: "canonical " + id, DisplayName: "N\u00e4me", Email: id + "@example.org", Created: created,
		QuotaBytes: 1 << 60, QuotaCount: 5, Meta: map[string]string{"a": "", "\u00e9": "\x01"},
		GroupPolicies: map[string]map[string][]byte{"g": {"p": {0, 255}}},
	}
	made, err := e.s.CreateAccount(e.Context(), a)
	errstest.OK(e, err)
	a.Revision = made.Revision
	e.wantSame("created account", made, a)
	return made
}

// user makes a user that must not be there yet.
func (e *env) user(a key.Account, name string) key.User {
	e.Helper()
	u := key.User{
		ID: naming.User(a.ID, name), Account: a.ID, DisplayName: "N\u00e4me", Email: "u@example.org", Roles: []string{key.RoleAdmin, "x"},
		Groups: []string{"g"}, PasswordHash: "hash", Created: created, Policies: map[string][]byte{"p": {0, 255}},
	}
	made, err := e.s.CreateUser(e.Context(), u)
	errstest.OK(e, err)
	u.Revision = made.Revision
	e.wantSame("created user", made, u)
	return made
}

// key makes an access key that must not be there yet.
func (e *env) key(u key.User, name string) key.Key {
	e.Helper()
	k := key.Key{
		AccessKey: e.prefix + name, Secret: "s3cret/+\u00e9", User: u.ID, Created: created, Expires: created.Add(time.Hour), Policy: []byte{0, 255},
	}
	errstest.OK(e, e.s.CreateKey(e.Context(), k))
	return k
}

func (e *env) wantIdentity(k key.Key, u key.User, a key.Account) {
	e.Helper()
	got, err := e.s.Lookup(e.Context(), k.AccessKey)
	errstest.OK(e, err)
	e.wantSame("identity", got, key.Identity{Key: k, User: u, Account: a})
}

var accounts = []sentence{
	{"Account/is found by id, canonical id and e-mail address, whole", func(e *env) {
		a := e.account("a")
		e.account("b")
		got, err := e.s.Account(e.Context(), a.ID)
		errstest.OK(e, err)
		e.wantSame("Account", got, a)
		got, err = e.s.Canonical(e.Context(), a.Canonical)
		errstest.OK(e, err)
		e.wantSame("Canonical", got, a)
		got, err = e.s.Email(e.Context(), a.Email)
		errstest.OK(e, err)
		e.wantSame("Email", got, a)
	}},
	{"Account/what is not there is NotFound", func(e *env) {
		none, err := e.s.CreateAccount(e.Context(), key.Account{ID: naming.AccountID(e.prefix), Canonical: e.prefix})
		errstest.OK(e, err)
		_, err = e.s.Account(e.Context(), none.ID+"x")
		errstest.Want(e, err, errs.NotFound, errs.Account)
		_, err = e.s.Canonical(e.Context(), e.prefix+"x")
		errstest.Want(e, err, errs.NotFound, errs.Account)
		_, err = e.s.Email(e.Context(), e.prefix)
		errstest.Want(e, err, errs.NotFound, errs.Account)
		_, err = e.s.Email(e.Context(), "")
		errstest.Want(e, err, errs.NotFound, errs.Account)
		_, err = e.s.UpdateAccount(e.Context(), key.Account{ID: none.ID + "x"})
		errstest.Want(e, err, errs.NotFound, errs.Account)
		errstest.Want(e, e.s.RemoveAccount(e.Context(), none.ID+"x"), errs.NotFound, errs.Account)
	}},
	{"CreateAccount/a taken id or canonical id is Exists", func(e *env) {
		a := e.account("a")
		_, err := e.s.CreateAccount(e.Context(), key.Account{ID: a.ID, Canonical: "other " + e.prefix})
		errstest.Want(e, err, errs.Exists, errs.Account)
		_, err = e.s.CreateAccount(e.Context(), key.Account{ID: a.ID + "x", Canonical: a.Canonical})
		errstest.Want(e, err, errs.Exists, errs.Account)
		_, err = e.s.Account(e.Context(), a.ID+"x")
		errstest.Want(e, err, errs.NotFound, errs.Account)
	}},
	{"Email/of several accounts is Conflict", func(e *env) {
		a, b := e.account("a"), e.account("b")
		b.Email = a.Email
		b, err := e.s.UpdateAccount(e.Context(), b)
		errstest.OK(e, err)
		_, err = e.s.Email(e.Context(), a.Email)
		errstest.Want(e, err, errs.Conflict, errs.Account)
		errstest.OK(e, e.s.RemoveAccount(e.Context(), b.ID))
		got, err := e.s.Email(e.Context(), a.Email)
		errstest.OK(e, err)
		e.wantSame("Email", got, a)
	}},
	{"UpdateAccount/replaces by revision, and the indexes follow", func(e *env) {
		old := e.account("a")
		a := old
		a.Canonical, a.Email, a.DisplayName, a.Disabled, a.QuotaBytes, a.Meta = "new "+e.prefix, "new@"+e.prefix, "new", true, 0, nil
		updated, err := e.s.UpdateAccount(e.Context(), a)
		errstest.OK(e, err)
		if updated.Revision == old.Revision {
			e.Error("the revision did not move")
		}
		a.Revision = updated.Revision
		e.wantSame("updated", updated, a)
		for _, find := range []func() (key.Account, error){
			func() (key.Account, error) { return e.s.Account(e.Context(), a.ID) },
			func() (key.Account, error) { return e.s.Canonical(e.Context(), a.Canonical) },
			func() (key.Account, error) { return e.s.Email(e.Context(), a.Email) },
		} {
			got, err := find()
			errstest.OK(e, err)
			e.wantSame("found", got, a)
		}
		_, err = e.s.Canonical(e.Context(), old.Canonical)
		errstest.Want(e, err, errs.NotFound, errs.Account)
		_, err = e.s.Email(e.Context(), old.Email)
		errstest.Want(e, err, errs.NotFound, errs.Account)
		_, err = e.s.UpdateAccount(e.Context(), old)
		errstest.Want(e, err, errs.Conflict, errs.Account)
		b := e.account("b")
		b.Canonical = a.Canonical
		_, err = e.s.UpdateAccount(e.Context(), b)
		errstest.Want(e, err, errs.Exists, errs.Account)
	}},
	{"RemoveAccount/fails while it has users, then frees its names", func(e *env) {
		a := e.account("a")
		u := e.user(a, "u")
		errstest.Want(e, e.s.RemoveAccount(e.Context(), a.ID), errs.NotEmpty, errs.Account)
		errstest.OK(e, e.s.RemoveUser(e.Context(), u.ID))
		errstest.OK(e, e.s.RemoveAccount(e.Context(), a.ID))
		_, err := e.s.Canonical(e.Context(), a.Canonical)
		errstest.Want(e, err, errs.NotFound, errs.Account)
		e.account("a")
	}},
	{"Accounts/come in byte order after an id", func(e *env) {
		names := []string{"", "-", "A", "a", "a b", "aa", "b", "\u00e9", "\U0010ffff"}
		for _, i := range e.rng.Perm(len(names)) {
			e.account(names[i])
		}
		list := func(after string, limit int) []string {
			var got []string
			errstest.OK(e, e.s.Accounts(e.Context(), naming.AccountID(after), func(a key.Account) bool {
				if id := string(a.ID); len(id) >= len(e.prefix) && id[:len(e.prefix)] == e.prefix {
					got = append(got, id[len(e.prefix):])
				}
				return len(got) < limit
			}))
			return got
		}
		e.wantSame("all", list("", 100), names)
		e.wantSame("after one", list(e.prefix+"a", 100), names[4:])
		e.wantSame("two", list(e.prefix+"a", 2), names[4:6])
	}},
	{"Account/the caller may change what it gave and got", func(e *env) {
		a := e.account("a")
		a.Meta["a"] = "changed"
		got, err := e.s.Account(e.Context(), a.ID)
		errstest.OK(e, err)
		if got.Meta["a"] != "" {
			e.Error("the stored account changed")
		}
	}},
}

var users = []sentence{
	{"User/is found by id, whole", func(e *env) {
		u := e.user(e.account("a"), "u")
		got, err := e.s.User(e.Context(), u.ID)
		errstest.OK(e, err)
		e.wantSame("User", got, u)
		_, err = e.s.User(e.Context(), u.ID+"x")
		errstest.Want(e, err, errs.NotFound, errs.User)
	}},
	{"CreateUser/without its account is NotFound, twice is Exists", func(e *env) {
		a := e.account("a")
		_, err := e.s.CreateUser(e.Context(), key.User{ID: naming.User(a.ID+"x", "u"), Account: a.ID + "x"})
		errstest.Want(e, err, errs.NotFound, errs.Account)
		u := e.user(a, "u")
		_, err = e.s.CreateUser(e.Context(), key.User{ID: u.ID, Account: a.ID})
		errstest.Want(e, err, errs.Exists, errs.User)
	}},
	{"UpdateUser/replaces by revision", func(e *env) {
		old := e.user(e.account("a"), "u")
		u := old
		u.Roles, u.Groups, u.PasswordHash, u.Disabled, u.Policies = nil, []string{"x", "y"}, "new", true, nil
		updated, err := e.s.UpdateUser(e.Context(), u)
		errstest.OK(e, err)
		u.Revision = updated.Revision
		e.wantSame("updated", updated, u)
		got, err := e.s.User(e.Context(), u.ID)
		errstest.OK(e, err)
		e.wantSame("stored", got, u)
		_, err = e.s.UpdateUser(e.Context(), old)
		errstest.Want(e, err, errs.Conflict, errs.User)
		_, err = e.s.UpdateUser(e.Context(), key.User{ID: u.ID + "x", Account: u.Account})
		errstest.Want(e, err, errs.NotFound, errs.User)
	}},
	{"RemoveUser/removes all of its keys, and nobody else's", func(e *env) {
		a := e.account("a")
		u, other := e.user(a, "u"), e.user(a, "u2")
		first, second, kept := e.key(u, "1"), e.key(u, "2"), e.key(other, "3")
		errstest.OK(e, e.s.RemoveUser(e.Context(), u.ID))
		for _, k := range []key.Key{first, second} {
			_, err := e.s.Lookup(e.Context(), k.AccessKey)
			errstest.Want(e, err, errs.NotFound, errs.Key)
		}
		e.wantIdentity(kept, other, a)
		errstest.Want(e, e.s.RemoveUser(e.Context(), u.ID), errs.NotFound, errs.User)
	}},
	{"Users/come in byte order, of one account or of all", func(e *env) {
		a, b := e.account("a"), e.account("b")
		var want []naming.UserID
		for _, n := range []string{"x", "y", "z"} {
			want = append(want, e.user(a, n).ID)
		}
		want = append(want, e.user(b, "w").ID)
		list := func(account naming.AccountID, after naming.UserID, limit int) []naming.UserID {
			var got []naming.UserID
			errstest.OK(e, e.s.Users(e.Context(), account, after, func(u key.User) bool {
				if u.Account == a.ID || u.Account == b.ID {
					got = append(got, u.ID)
				}
				return len(got) < limit
			}))
			return got
		}
		e.wantSame("of a", list(a.ID, "", 100), want[:3])
		e.wantSame("of b", list(b.ID, "", 100), want[3:])
		e.wantSame("of all", list("", "", 100), want)
		e.wantSame("of a after x", list(a.ID, want[0], 100), want[1:3])
		e.wantSame("one of all after x", list("", want[0], 1), want[1:2])
		e.wantSame("of nobody", list(a.ID+"x", "", 100), []naming.UserID(nil))
	}},
}

var keys = []sentence{
	{"Lookup/finds the key with its user and account, whole", func(e *env) {
		a := e.account("a")
		u := e.user(a, "u")
		e.wantIdentity(e.key(u, "1"), u, a)
		_, err := e.s.Lookup(e.Context(), e.prefix+"2")
		errstest.Want(e, err, errs.NotFound, errs.Key)
	}},
	{"Lookup/finds what is disabled or expired, with its flags", func(e *env) {
		a := e.account("a")
		u := e.user(a, "u")
		k := e.key(u, "1")
		errstest.OK(e, e.s.DisableKey(e.Context(), k.AccessKey, true))
		k.Disabled = true
		e.wantIdentity(k, u, a)
		u.Disabled, a.Disabled = true, true
		u, err := e.s.UpdateUser(e.Context(), u)
		errstest.OK(e, err)
		a, err = e.s.UpdateAccount(e.Context(), a)
		errstest.OK(e, err)
		e.wantIdentity(k, u, a)
		errstest.OK(e, e.s.DisableKey(e.Context(), k.AccessKey, false))
		k.Disabled = false
		e.wantIdentity(k, u, a)
	}},
	{"CreateKey/without its user is NotFound, twice is Exists", func(e *env) {
		u := e.user(e.account("a"), "u")
		k := e.key(u, "1")
		errstest.Want(e, e.s.CreateKey(e.Context(), k), errs.Exists, errs.Key)
		errstest.Want(e, e.s.CreateKey(e.Context(), key.Key{AccessKey: e.prefix + "2", User: u.ID + "x"}), errs.NotFound, errs.User)
	}},
	{"RemoveKey/and DisableKey of what is not there are NotFound", func(e *env) {
		k := e.key(e.user(e.account("a"), "u"), "1")
		errstest.OK(e, e.s.RemoveKey(e.Context(), k.AccessKey))
		_, err := e.s.Lookup(e.Context(), k.AccessKey)
		errstest.Want(e, err, errs.NotFound, errs.Key)
		errstest.Want(e, e.s.RemoveKey(e.Context(), k.AccessKey), errs.NotFound, errs.Key)
		errstest.Want(e, e.s.DisableKey(e.Context(), k.AccessKey, true), errs.NotFound, errs.Key)
	}},
	{"Keys/of a user come in byte order", func(e *env) {
		a := e.account("a")
		u := e.user(a, "u")
		want := []key.Key{e.key(u, "1"), e.key(u, "10"), e.key(u, "2")}
		e.key(e.user(a, "u2"), "0")
		list := func(id naming.UserID, limit int) []key.Key {
			var got []key.Key
			errstest.OK(e, e.s.Keys(e.Context(), id, func(k key.Key) bool {
				got = append(got, k)
				return len(got) < limit
			}))
			return got
		}
		e.wantSame("all", list(u.ID, 100), want)
		e.wantSame("one", list(u.ID, 1), want[:1])
		e.wantSame("of nobody", list(u.ID+"x", 1), []key.Key(nil))
	}},
	{"Close/later calls fail with Closed", func(e *env) {
		a := e.account("a")
		u := e.user(a, "u")
		k := e.key(u, "1")
		errstest.OK(e, e.s.Close())
		_, err := e.s.Lookup(e.Context(), k.AccessKey)
		errstest.Closed(e, "Lookup", err)
		_, err = e.s.Account(e.Context(), a.ID)
		errstest.Closed(e, "Account", err)
		_, err = e.s.UpdateUser(e.Context(), u)
		errstest.Closed(e, "UpdateUser", err)
		errstest.Closed(e, "CreateKey", e.s.CreateKey(e.Context(), k))
		errstest.Closed(e, "Keys", e.s.Keys(e.Context(), u.ID, func(key.Key) bool { return true }))
	}},
}

var racing = []sentence{
	{"Race/of creators of one id one wins, and of updates none is lost", func(e *env) {
		a := e.account("a")
		n := 4
		var created, maybe, updated, unknown atomic.Int64
		failed := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				err := errstest.Done(func() error {
					_, err := e.s.CreateUser(e.Context(), key.User{ID: naming.User(a.ID, "u"), Account: a.ID})
					return err
				})
				switch {
				case err == nil:
					created.Add(1)
				case errs.Is(err, errs.Ambiguous):
					maybe.Add(1)
				case !errs.Is(err, errs.Exists):
					failed[i] = err
				}
				for range 20 {
					mine, err := e.s.Account(e.Context(), a.ID)
					if err == nil {
						mine.QuotaCount++
						_, err = e.s.UpdateAccount(e.Context(), mine)
					}
					switch {
					case err == nil:
						updated.Add(1)
					case errs.Is(err, errs.Ambiguous):
						unknown.Add(1)
					case !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.Busy): // then nothing was done
						failed[i] = err
					}
				}
			})
		}
		wg.Wait()
		errstest.OK(e, errors.Join(failed...))
		if n := created.Load(); n > 1 || n+maybe.Load() == 0 {
			e.Errorf("%d creators won, the outcome of %d is unknown", n, maybe.Load())
		}
		got, err := e.s.Account(e.Context(), a.ID)
		errstest.OK(e, err)
		if n := got.QuotaCount - a.QuotaCount; n < updated.Load() || n > updated.Load()+unknown.Load() {
			e.Errorf("%d updates were acknowledged, the outcome of %d is unknown, %d are stored", updated.Load(), unknown.Load(), n)
		}
	}},
}

var lasting = []sentence{
	{"Reopen/all that was answered is there again", func(e *env) {
		a := e.account("a")
		gone := e.account("gone")
		u, left := e.user(a, "u"), e.user(a, "left")
		k, disabled, removed := e.key(u, "1"), e.key(u, "2"), e.key(left, "3")
		errstest.OK(e, e.s.DisableKey(e.Context(), disabled.AccessKey, true))
		disabled.Disabled = true
		errstest.OK(e, e.s.RemoveUser(e.Context(), left.ID))
		errstest.OK(e, e.s.RemoveAccount(e.Context(), gone.ID))
		a.DisplayName = "changed"
		a, err := e.s.UpdateAccount(e.Context(), a)
		errstest.OK(e, err)
		e.s = e.o.Reopen(e.T, e.s)
		e.wantIdentity(k, u, a)
		e.wantIdentity(disabled, u, a)
		_, err = e.s.Lookup(e.Context(), removed.AccessKey)
		errstest.Want(e, err, errs.NotFound, errs.Key)
		_, err = e.s.Email(e.Context(), gone.Email)
		errstest.Want(e, err, errs.NotFound, errs.Account)
		_, err = e.s.UpdateAccount(e.Context(), a)
		errstest.OK(e, err)
	}},
}
