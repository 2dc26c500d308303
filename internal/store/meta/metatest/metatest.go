// Package metatest is the conformance suite of the metastore: one subtest for
// each sentence of the contract. Every engine and every decorator runs it.
//
// After each subtest the whole of what it wrote is checked once more: the
// views, the history index, the expiry index and the counters must tell the
// same story.
package metatest

import (
	"crypto/md5" // ETags are MD5
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Options say what the store under test is like.
type Options struct {
	// Reopen closes the store and opens what it kept. nil: nothing survives, and durability is not tested.
	Reopen func(t *testing.T, s meta.Store) meta.Store
	// Slow shrinks counts for stores to which every call is a journey.
	Slow bool
	// Names is how many names stand under one prefix in the test of cheap seeks; 0: 3,000.
	Names int
	// Seed of everything random; 0: drawn and printed.
	Seed uint64
	// Container and Holder draw ids, for stores that read something in them; nil: any will do.
	Container func() naming.ContainerID
	Holder    func() block.Holder
}

// Run runs the suite. open gives a store to each subtest, which the engine closes again with t.Cleanup (a second Close must be
// harmless). It may be the same data each time: subtests use containers, accounts and holders of their own.
func Run(t *testing.T, open func(t *testing.T) meta.Store, o Options) {
	t.Helper()
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	if o.Names == 0 {
		o.Names = 3000
	}
	t.Logf("seed %d", o.Seed)
	groups := [][]sentence{getting, auditing, committing, conditions, locking, scanning, uploading, holding, limiting, sealing, indexing, racing}
	if o.Reopen != nil {
		groups = append(groups, lasting)
	}
	for _, group := range groups {
		for _, s := range group {
			t.Run(s.name, func(t *testing.T) {
				e := newEnv(t, open(t), o, streamOf(s.name))
				s.run(e)
				if !t.Failed() && !e.closed {
					e.checkWhole()
				}
			})
		}
	}
}

// streamOf makes the numbers that a subtest draws its own.
func streamOf(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum64()
}

// sentence is one promise of the contract and how to test it.
type sentence struct {
	name string
	run  func(e *env)
}

// place is a container and whom it belongs to.
type place struct {
	container naming.ContainerID
	account   naming.AccountID
}

// env is what a subtest works with: a store, and a container of an account that nobody else has.
type env struct {
	*testing.T
	place
	s       meta.Store
	o       Options
	rng     *rand.Rand
	now     time.Time
	places  []place // all that the test wrote to
	holders []block.Holder
	closed  bool
}

func newEnv(t *testing.T, s meta.Store, o Options, stream uint64) *env {
	e := &env{T: t, s: s, o: o, rng: rand.New(rand.NewPCG(o.Seed, stream)), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	e.place = e.newPlace()
	return e
}

// newPlace is a fresh container of a fresh account.
func (e *env) newPlace() place {
	id := e.newContainer()
	return e.use(place{id, naming.AccountID("metatest-" + id.String())})
}

// newContainer draws an id.
func (e *env) newContainer() naming.ContainerID {
	if e.o.Container != nil {
		return e.o.Container()
	}
	return naming.NewContainerID()
}

// newHolder draws a holder for the test's containers.
func (e *env) newHolder() block.Holder {
	if e.o.Holder != nil {
		return e.o.Holder()
	}
	return block.NewHolder()
}

// use makes the final check look at p too.
func (e *env) use(p place) place {
	e.places = append(e.places, p)
	return p
}

// count is n, or less when the store is slow.
func (e *env) count(n int) int {
	if e.o.Slow {
		return max(n/10, 2)
	}
	return n
}

// tick moves the test's time on by a second and tells it.
func (e *env) tick() time.Time {
	e.now = e.now.Add(time.Second)
	return e.now
}

// intend is a fresh holder with an intent of an hour.
func (e *env) intend() block.Holder {
	e.Helper()
	h := e.newHolder()
	e.holders = append(e.holders, h)
	errstest.OK(e, e.s.Intend(e.Context(), h, meta.Intent{Account: e.account, Expires: e.now.Add(time.Hour)}))
	return h
}

// data is a version of so many bytes with a fresh holder, not yet committed.
func (e *env) data(size int64) *object.Version {
	e.Helper()
	return dataOf(e.rng.Uint64(), size, e.intend())
}

// dataOf makes a version without touching the store.
func dataOf(seed uint64, size int64, h block.Holder) *object.Version {
	raw := binary.BigEndian.AppendUint64(nil, seed)
	sum := md5.Sum(raw)
	id := block.Sum(append(raw, 1))
	v := &object.Version{
		Summary: object.Summary{Size: size, ETag: hex.EncodeToString(sum[:]), ContentType: "text/plain", RootHash: id},
		Content: object.Content{Holder: h, Map: block.Map{Refs: []block.Ref{{ID: id, Len: size}}}},
	}
	copy(v.UUID[:], raw)
	return v
}

// marker is a delete marker, not yet committed.
func marker() *object.Version {
	return &object.Version{Summary: object.Summary{Kind: object.DeleteMarker}}
}

// null makes v the null version of its name.
func null(v *object.Version) *object.Version {
	v.Null = true
	return v
}

// change is a put of v in the test's container, a second after the last one.
func (e *env) change(name naming.ObjectName, v *object.Version) meta.Change {
	c := meta.Change{Container: e.container, Account: e.account, Name: name, Now: e.tick(), Op: meta.Put, Version: v}
	if !v.Share.IsZero() {
		c.Share = func(object.Share) object.Share { return v.Share }
	}
	return c
}

// removal is the removal of a version.
func (e *env) removal(name naming.ObjectName, w meta.Which) meta.Change {
	return meta.Change{Container: e.container, Account: e.account, Name: name, Now: e.tick(), Op: meta.Remove, Target: w}
}

// amendment is a change of the newest version.
func (e *env) amendment(name naming.ObjectName, fn func(*object.Version) error) meta.Change {
	return meta.Change{Container: e.container, Account: e.account, Name: name, Now: e.tick(), Op: meta.Amend, Amend: fn}
}

// commit makes a change that must succeed.
func (e *env) commit(c meta.Change) meta.Outcome {
	e.Helper()
	out, err := e.s.Commit(e.Context(), c)
	if err != nil {
		e.Fatalf("commit %q: %v", c.Name, err)
	}
	return out
}

// put commits v and tells it as it is stored.
func (e *env) put(name naming.ObjectName, v *object.Version) *object.Version {
	e.Helper()
	out := e.commit(e.change(name, v))
	if out.Version == nil || out.Version.Name != name || out.Version.ID == 0 {
		e.Fatalf("outcome of a put: %+v", out.Version)
	}
	return out.Version
}

// puts commits a small version under each name.
func (e *env) puts(names ...naming.ObjectName) {
	e.Helper()
	for _, n := range names {
		e.put(n, e.data(int64(len(n))))
	}
}

// remove forgets a version.
func (e *env) remove(name naming.ObjectName, id object.VersionID) meta.Outcome {
	e.Helper()
	return e.commit(e.removal(name, meta.Which{By: meta.ByID, ID: id}))
}

// get finds a version that must be there.
func (e *env) get(name naming.ObjectName, w meta.Which) *object.Version {
	e.Helper()
	v, err := e.s.Get(e.Context(), e.container, name, w)
	if err != nil {
		e.Fatalf("get %q %+v: %v", name, w, err)
	}
	return v
}

// wantMissing demands that Get finds nothing: errs.Object when it is the name, errs.Version when it is the version.
func (e *env) wantMissing(name naming.ObjectName, w meta.Which, thing errs.Thing) {
	e.Helper()
	_, err := e.s.Get(e.Context(), e.container, name, w)
	errstest.Want(e, err, errs.NotFound, thing)
}

// usage is the container's and the account's.
func (e *env) usage() (container, account meta.Usage) {
	e.Helper()
	container, err := e.s.ContainerUsage(e.Context(), e.container)
	errstest.OK(e, err)
	account, err = e.s.AccountUsage(e.Context(), e.account)
	errstest.OK(e, err)
	return container, account
}

// wantUsage demands the same usage of container and account.
func (e *env) wantUsage(want meta.Usage) {
	e.Helper()
	c, a := e.usage()
	if c != want || a != want {
		e.Fatalf("usage of the container %+v, of the account %+v, want %+v", c, a, want)
	}
}

// alive tells whether a holder is alive.
func (e *env) alive(h block.Holder) bool {
	e.Helper()
	got, err := e.s.Alive(e.Context(), []block.Holder{h})
	errstest.OK(e, err)
	if len(got) != 1 {
		e.Fatalf("Alive of one holder: %v", got)
	}
	return got[0]
}

// dead tells whether a holder died at or before a time.
func (e *env) dead(h block.Holder, until time.Time) bool {
	e.Helper()
	return e.deadOf(until, h)[h]
}

// deadOf is which of the holders died at or before a time.
func (e *env) deadOf(until time.Time, of ...block.Holder) map[block.Holder]bool {
	e.Helper()
	all, err := e.s.Dead(e.Context(), until, 1_000_000)
	errstest.OK(e, err)
	found := map[block.Holder]bool{}
	for _, h := range all {
		for _, mine := range of {
			if h == mine {
				found[h] = true
			}
		}
	}
	return found
}
