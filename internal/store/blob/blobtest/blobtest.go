// Package blobtest is the conformance suite of the blobstore: one subtest for
// each sentence of the contract. Every engine and every decorator runs it.
package blobtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// Options say what the store under test is like.
type Options struct {
	// Clock is what the store was opened with; nil: clock.System.
	Clock clock.Clock
	// Reopen closes the store and opens what it kept. nil: nothing survives, and durability is not tested.
	Reopen func(t *testing.T, s blob.Store) blob.Store
	// Slow shrinks counts for stores to which every call is a journey.
	Slow bool
	// Seed of everything random; 0: drawn and printed.
	Seed uint64
}

// streamOf gives each subtest its own stream of randomness, since they may share one store.
func streamOf(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum64()
}

// Run runs the suite. open gives a store to each subtest, which the engine closes again with t.Cleanup (a second Close must be
// harmless). It may be the same data each time: subtests use blocks, holders and accounts of their own.
func Run(t *testing.T, open func(t *testing.T) blob.Store, o Options) {
	t.Helper()
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	t.Logf("seed %d", o.Seed)
	groups := [][]sentence{putting, holding, walking, sweeping, abilities, racing}
	if o.Reopen != nil {
		groups = append(groups, lasting)
	}
	for _, group := range groups {
		for _, s := range group {
			t.Run(s.name, func(t *testing.T) {
				e := &env{T: t, store: open(t), o: o, rng: rand.New(rand.NewPCG(o.Seed, streamOf(s.name)))}
				e.account = naming.AccountID(fmt.Sprintf("blobtest-%x", block.NewHolder()))
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
	store   blob.Store
	o       Options
	rng     *rand.Rand
	account naming.AccountID
}

// count is n, or less when the store is slow.
func (e *env) count(n int) int {
	if e.o.Slow {
		return max(n/10, 2)
	}
	return n
}

// data is random bytes that do not end in zero.
func (e *env) data(n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], e.rng.Uint64())
	}
	b = b[:n]
	if n > 0 {
		b[n-1] |= 1
	}
	return b
}

// hold is a fresh holder of the test's account.
func (e *env) hold() blob.Hold { return blob.Hold{Holder: block.NewHolder(), Account: e.account} }

// put stores data under its id for h.
func (e *env) put(h blob.Hold, data []byte) block.ID {
	e.Helper()
	id := block.Sum(data)
	errstest.OK(e, e.store.Put(e.Context(), h, id, data))
	return id
}

// blocks stores n small blocks for h and tells their ids.
func (e *env) blocks(h blob.Hold, n int) []block.ID {
	e.Helper()
	ids := make([]block.ID, n)
	for i := range ids {
		ids[i] = e.put(h, e.data(16+i%50))
	}
	return ids
}

func (e *env) release(holders ...blob.Hold) {
	e.Helper()
	list := make([]block.Holder, len(holders))
	for i, h := range holders {
		list[i] = h.Holder
	}
	errstest.OK(e, e.store.Release(e.Context(), list))
}

// wantBytes reads a whole block, with room to spare.
func (e *env) wantBytes(id block.ID, want []byte) {
	e.Helper()
	dst := make([]byte, len(want)+10)
	n, err := e.store.Read(e.Context(), id, 0, dst)
	if err != nil {
		e.Fatalf("read %s: %v", id, err)
	}
	if !bytes.Equal(dst[:n], want) {
		e.Fatalf("read %s: got %d bytes that differ from the %d stored", id, n, len(want))
	}
}

// stored tells which ids Stat finds, and how long they are.
func (e *env) stored(ids ...block.ID) map[block.ID]int64 {
	e.Helper()
	found := map[block.ID]int64{}
	errstest.OK(e, e.store.Stat(e.Context(), ids, func(id block.ID, n int64) { found[id] = n }))
	return found
}

// wantStored demands that exactly these of ids are stored.
func (e *env) wantStored(ids []block.ID, want bool) {
	e.Helper()
	found := e.stored(ids...)
	for _, id := range ids {
		if _, ok := found[id]; ok != want {
			e.Fatalf("block %s stored: %v, want %v", id, ok, want)
		}
	}
}

// sweep goes once through the whole store, and adds the reports up.
func (e *env) sweep(now time.Time, b blob.Budget) blob.SweepReport {
	e.Helper()
	var sum blob.SweepReport
	var after *block.ID
	for range 1_000_000 {
		r, next, err := e.store.Sweep(e.Context(), now, b, after)
		errstest.OK(e, err)
		sum.Examined += r.Examined
		sum.Deleted += r.Deleted
		sum.Bytes += r.Bytes
		sum.Young += r.Young
		if next == nil {
			return sum
		}
		if after != nil && next.Compare(*after) <= 0 {
			e.Fatalf("Sweep went back from %s to %s", after, next)
		}
		after = next
	}
	e.Fatal("Sweep does not come to the end of the store")
	return sum
}

// sweepAll sweeps without a grace period, late enough that nothing is young.
func (e *env) sweepAll() blob.SweepReport {
	e.Helper()
	return e.sweep(e.o.Clock.Now().Add(time.Hour), blob.Budget{})
}
