// Package buckettest is the conformance suite of the bucketstore: one subtest
// for each sentence of the contract. Every engine and every decorator runs it.
package buckettest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// Options say what the store under test is like.
type Options struct {
	// Reopen closes the store and opens what it kept. nil: nothing survives, and durability is not tested.
	Reopen func(t *testing.T, s bucket.Store) bucket.Store
	// Slow shrinks counts for stores to which every call is a journey.
	Slow bool
	// Seed of everything random; 0: drawn and printed.
	Seed uint64
}

// Run runs the suite. open gives a store to each subtest, which the engine closes again with t.Cleanup (a second Close must be
// harmless). It may be the same data each time: subtests use accounts and names of their own.
func Run(t *testing.T, open func(t *testing.T) bucket.Store, o Options) {
	t.Helper()
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	t.Logf("seed %d", o.Seed)
	groups := [][]sentence{claiming, configuring, listing, racing}
	if o.Reopen != nil {
		groups = append(groups, lasting)
	}
	run(t, open, o, groups)
}

// Races runs the races of the suite alone. They hold on a store that loses answers too.
func Races(t *testing.T, open func(t *testing.T) bucket.Store, o Options) {
	t.Helper()
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	t.Logf("seed %d", o.Seed)
	run(t, open, o, [][]sentence{racing})
}

func run(t *testing.T, open func(t *testing.T) bucket.Store, o Options, groups [][]sentence) {
	t.Helper()
	for _, group := range groups {
		for _, s := range group {
			t.Run(s.name, func(t *testing.T) {
				e := &env{T: t, s: open(t), o: o, rng: rand.New(rand.NewPCG(o.Seed, uint64(len(s.name))))}
				e.account = naming.AccountID("buckettest-" + naming.NewContainerID().String())
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

// env is what a subtest works with.
type env struct {
	*testing.T
	s       bucket.Store
	o       Options
	rng     *rand.Rand
	account naming.AccountID
}

func (e *env) count(n int) int {
	if e.o.Slow {
		return max(n/10, 2)
	}
	return n
}

// bucketName is a bucket name that nobody has.
func (e *env) bucketName() naming.BucketName {
	return naming.BucketName("b-" + naming.NewContainerID().String())
}

// container is a container that is not created yet.
func (e *env) container(name naming.ContainerName, b naming.BucketName) bucket.Container {
	return bucket.Container{
		ID: naming.NewContainerID(), Account: e.account, Name: name, Bucket: b, Region: "r",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC),
	}
}

// full is a configuration with everything set.
func full() bucket.Config {
	return bucket.Config{
		Versioning: bucket.VersioningSuspended, Ownership: bucket.BucketOwnerPreferred,
		ACL:   access.ACL{Grants: []access.Grant{{Canonical: "c", Permission: access.Read}, {Group: access.AllUsers, Permission: access.WriteACP}}},
		Quota: bucket.Limit{Bytes: 1 << 60, Objects: 7}, BlockSize: 1 << 20, Meta: map[string]string{"a": "", "\u00e9": "\x01\u4e16"},
		ObjectLock: true, Documents: map[string][]byte{"policy": []byte("{\"a\":1}\x00\xff"), "cors": []byte("<x/>")},
	}
}

// create makes a container that must not be there yet.
func (e *env) create(c bucket.Container) bucket.Container {
	e.Helper()
	made, err := e.s.Create(e.Context(), c)
	errstest.OK(e, err)
	want := c
	want.Revision = made.Revision
	e.wantSame("created", made, want)
	return made
}

func (e *env) wantSame(what string, got, want any) {
	e.Helper()
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		e.Fatalf("%s differs (- want, + got):\n%s", what, diff)
	}
}

// wantStored demands that a container is found in both ways.
func (e *env) wantStored(c bucket.Container) {
	e.Helper()
	got, err := e.lookup(c.Account, c.Name)
	errstest.OK(e, err)
	e.wantSame("Lookup", got, c)
	if c.Bucket != "" {
		got, err = e.resolve(c.Bucket)
		errstest.OK(e, err)
		e.wantSame("Resolve", got, c)
	}
}

// wantGone demands that a container is found in no way.
func (e *env) wantGone(c bucket.Container) {
	e.Helper()
	_, err := e.s.Lookup(e.Context(), c.Account, c.Name)
	errstest.Want(e, err, errs.NotFound, errs.Container)
	if c.Bucket != "" {
		_, err = e.s.Resolve(e.Context(), c.Bucket)
		errstest.Want(e, err, errs.NotFound, errs.Bucket)
	}
}

// list is the account's containers after a name.
func (e *env) list(after naming.ContainerName, limit int) []bucket.Container {
	e.Helper()
	var got []bucket.Container
	errstest.OK(e, e.s.Containers(e.Context(), e.account, after, func(c bucket.Container) bool {
		got = append(got, c)
		return len(got) < limit
	}))
	return got
}

var claiming = []sentence{
	{"Create/the container is found by its account and name, and by its bucket name", func(e *env) {
		c := e.container("photos", e.bucketName())
		c.Config = full()
		e.wantStored(e.create(c))
		e.wantStored(e.create(e.container("no bucket", "")))
		e.wantStored(e.create(e.container("no bucket either", "")))
	}},
	{"Create/a taken name is Exists, Container", func(e *env) {
		first := e.create(e.container("a", e.bucketName()))
		other := e.container("a", e.bucketName())
		_, err := e.s.Create(e.Context(), other)
		errstest.Want(e, err, errs.Exists, errs.Container)
		_, err = e.s.Create(e.Context(), e.container("a", first.Bucket))
		errstest.Want(e, err, errs.Exists, errs.Container)
		e.wantStored(first)
		if _, err := e.s.Resolve(e.Context(), other.Bucket); !errs.IsThing(err, errs.NotFound, errs.Bucket) {
			e.Errorf("the failed Create claimed its bucket name: %v", err)
		}
	}},
	{"Create/a taken bucket name is Exists, Bucket, and tells the owner", func(e *env) {
		first := e.create(e.container("a", e.bucketName()))
		for _, account := range []naming.AccountID{e.account, e.account + "-other"} {
			c := e.container("b", first.Bucket)
			c.Account = account
			_, err := e.s.Create(e.Context(), c)
			errstest.Want(e, err, errs.Exists, errs.Bucket)
			var taken *bucket.TakenError
			if !errors.As(err, &taken) || taken.Name != first.Bucket || taken.Account != e.account {
				e.Errorf("the error does not tell the owner: %v", err)
			}
			_, err = e.s.Lookup(e.Context(), account, "b")
			errstest.Want(e, err, errs.NotFound, errs.Container)
		}
		e.wantStored(first)
	}},
	{"Create/accounts have names of their own", func(e *env) {
		first := e.create(e.container("a", ""))
		second := e.container("a", "")
		second.Account = e.account + "-other"
		e.wantStored(e.create(second))
		e.wantStored(first)
	}},
	{"Lookup/what is not there is NotFound", func(e *env) {
		c := e.create(e.container("a", e.bucketName()))
		for _, name := range []naming.ContainerName{"b", "a\x01", "A", naming.ContainerName(c.Bucket)} {
			_, err := e.s.Lookup(e.Context(), e.account, name)
			errstest.Want(e, err, errs.NotFound, errs.Container)
		}
		_, err := e.s.Lookup(e.Context(), e.account+"x", "a")
		errstest.Want(e, err, errs.NotFound, errs.Container)
		_, err = e.s.Resolve(e.Context(), e.bucketName())
		errstest.Want(e, err, errs.NotFound, errs.Bucket)
	}},
	{"Remove/forgets the container and frees its bucket name", func(e *env) {
		c := e.create(e.container("a", e.bucketName()))
		errstest.OK(e, e.s.Remove(e.Context(), c))
		e.wantGone(c)
		errstest.Want(e, e.s.Remove(e.Context(), c), errs.NotFound, errs.Container)
		if got := e.list("", 10); len(got) != 0 {
			e.Errorf("still listed: %v", got)
		}
		again := e.container("b", c.Bucket)
		again.Account = e.account + "-other"
		e.wantStored(e.create(again))
	}},
	{"Remove/a revision that moved is Conflict", func(e *env) {
		first := e.create(e.container("a", e.bucketName()))
		second, err := e.s.Update(e.Context(), first)
		errstest.OK(e, err)
		errstest.Want(e, e.s.Remove(e.Context(), first), errs.Conflict, errs.Container)
		e.wantStored(second)
		errstest.OK(e, e.s.Remove(e.Context(), second))
		third := e.create(e.container("a", first.Bucket))
		for _, old := range []bucket.Container{first, second} {
			errstest.Want(e, e.s.Remove(e.Context(), old), errs.Conflict, errs.Container)
		}
		e.wantStored(third)
	}},
	{"Close/later calls fail with Closed", func(e *env) {
		c := e.create(e.container("a", e.bucketName()))
		errstest.OK(e, e.s.Close())
		_, err := e.s.Create(e.Context(), c)
		errstest.Closed(e, "Create", err)
		_, err = e.s.Lookup(e.Context(), c.Account, c.Name)
		errstest.Closed(e, "Lookup", err)
		_, err = e.s.Resolve(e.Context(), c.Bucket)
		errstest.Closed(e, "Resolve", err)
		_, err = e.s.Update(e.Context(), c)
		errstest.Closed(e, "Update", err)
		errstest.Closed(e, "Remove", e.s.Remove(e.Context(), c))
		errstest.Closed(e, "Containers", e.s.Containers(e.Context(), e.account, "", func(bucket.Container) bool { return true }))
	}},
}

var configuring = []sentence{
	{"Update/replaces the configuration as a whole, and nothing else", func(e *env) {
		first := e.create(e.container("a", e.bucketName()))
		changed := first
		changed.Config, changed.Region, changed.Bucket, changed.Created = full(), "other", e.bucketName(), time.Time{}
		second, err := e.s.Update(e.Context(), changed)
		errstest.OK(e, err)
		want := first
		want.Config, want.Revision = full(), second.Revision
		if second.Revision == first.Revision {
			e.Error("the revision did not move")
		}
		e.wantSame("updated", second, want)
		e.wantStored(want)
		_, err = e.s.Resolve(e.Context(), changed.Bucket)
		errstest.Want(e, err, errs.NotFound, errs.Bucket)
		second.Config = bucket.Config{}
		third, err := e.s.Update(e.Context(), second)
		errstest.OK(e, err)
		e.wantSame("emptied", third.Config, bucket.Config{})
	}},
	{"Update/an old revision is Conflict, a missing container NotFound", func(e *env) {
		first := e.create(e.container("a", ""))
		_, err := e.s.Update(e.Context(), first)
		errstest.OK(e, err)
		_, err = e.s.Update(e.Context(), first)
		errstest.Want(e, err, errs.Conflict, errs.Container)
		_, err = e.s.Update(e.Context(), e.container("b", ""))
		errstest.Want(e, err, errs.NotFound, errs.Container)
	}},
	{"Update/a container made anew under the same name is another", func(e *env) {
		first := e.create(e.container("a", ""))
		errstest.OK(e, e.s.Remove(e.Context(), first))
		second := e.create(e.container("a", ""))
		first.Config = full()
		_, err := e.s.Update(e.Context(), first)
		errstest.Want(e, err, errs.Conflict, errs.Container)
		stranger := second
		stranger.ID = first.ID
		_, err = e.s.Update(e.Context(), stranger)
		errstest.Want(e, err, errs.Conflict, errs.Container)
		errstest.Want(e, e.s.Remove(e.Context(), stranger), errs.Conflict, errs.Container)
		second.Config.Meta = map[string]string{"x": "y"}
		_, err = e.s.Update(e.Context(), second)
		errstest.OK(e, err)
	}},
	{"Update/the caller may change what it gave and got", func(e *env) {
		c := e.container("a", "")
		c.Config = full()
		made := e.create(c)
		for _, mine := range []bucket.Container{c, made} {
			mine.Config.Meta["a"] = "changed"
			mine.Config.Documents["policy"][0] = 'X'
			mine.Config.ACL.Grants[0].Canonical = "changed"
		}
		got, err := e.s.Lookup(e.Context(), e.account, "a")
		errstest.OK(e, err)
		e.wantSame("stored", got.Config, full())
	}},
}

var listing = []sentence{
	{"Containers/come in byte order after a name, and only the account's", func(e *env) {
		names := []naming.ContainerName{
			"\x01", " ", "-", "A", "a", "a\x01", "a ", "a-", "a.", "aa", "b", naming.ContainerName(strings.Repeat("c", 256)), "\x7f", "\u00e9", "\uffff", "\U0010ffff",
		}
		var want []bucket.Container
		for _, n := range names {
			want = append(want, bucket.Container{Name: n})
		}
		for _, i := range e.rng.Perm(len(names)) {
			want[i] = e.create(e.container(names[i], ""))
		}
		other := e.container("aaa", "")
		other.Account += "0"
		e.create(other)
		e.wantSame("all", e.list("", 1000), want)
		for i, n := range names {
			e.wantSame("after "+string(n), e.list(n, 1000), want[i+1:])
		}
		e.wantSame("between", e.list("a/", 1000), want[9:])
		e.wantSame("two", e.list("A", 2), want[4:6])
	}},
	{"Containers/a callback may call the store", func(e *env) {
		for i := range e.count(30) {
			e.create(e.container(naming.ContainerName(fmt.Sprintf("%03d", i)), e.bucketName()))
		}
		errstest.OK(e, e.s.Containers(e.Context(), e.account, "", func(c bucket.Container) bool {
			errstest.OK(e, e.s.Remove(e.Context(), c))
			return true
		}))
		e.wantSame("what is left", e.list("", 10), []bucket.Container(nil))
	}},
}

var lasting = []sentence{
	{"Reopen/all that was answered is there again", func(e *env) {
		c := e.container("a", e.bucketName())
		c.Config = full()
		kept := e.create(c)
		changed := e.create(e.container("b", ""))
		changed.Config = full()
		changed, err := e.s.Update(e.Context(), changed)
		errstest.OK(e, err)
		gone := e.create(e.container("gone", e.bucketName()))
		errstest.OK(e, e.s.Remove(e.Context(), gone))
		e.s = e.o.Reopen(e.T, e.s)
		e.wantStored(kept)
		e.wantStored(changed)
		e.wantGone(gone)
		e.wantSame("list", e.list("", 10), []bucket.Container{kept, changed})
		again := e.create(e.container("gone", gone.Bucket))
		errstest.Want(e, e.s.Remove(e.Context(), gone), errs.Conflict, errs.Container)
		e.wantStored(again)
		_, err = e.s.Update(e.Context(), kept)
		errstest.OK(e, err)
	}},
}
