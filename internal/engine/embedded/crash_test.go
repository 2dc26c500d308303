package embedded_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/engine/embedded"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// crashSeeds is how many histories the crash tests run; each is crashed at a hundred points or so. The nightly run raises it.
var (
	crashSeeds = flag.Int("crash.seeds", 6, "histories of each crash test")
	crashSeed  = flag.Uint64("crash.seed", 0, "seed of the first history; 0: drawn")
)

// crasher clones a file system as a power cut would leave it, at random moments of writing.
type crasher[P any] struct {
	mem *vfs.MemFS

	mu     sync.Mutex
	rng    *rand.Rand
	every  int
	clones []crashed[P]
	// promised copies what is promised at the moment; it is called with mu held, and promises change only under mu.
	promised func() P
}

type crashed[P any] struct {
	fs       *vfs.MemFS
	promised P
}

// fs is the file system to run on: every operation that writes may be the last one.
func (c *crasher[P]) fs() vfs.FS {
	return errorfs.Wrap(c.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.rng.IntN(c.every) == 0 {
				c.clone()
			}
		}
		return nil
	}))
}

// clone adds a clone. mu is held.
func (c *crasher[P]) clone() {
	unsynced := []int{0, 0, 30, 70, 100}[c.rng.IntN(5)]
	c.clones = append(c.clones, crashed[P]{
		promised: c.promised(),
		fs:       c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: c.rng}),
	})
}

// pool is a set of blocks of all sizes; several writers use the same ones.
func pool(rng *rand.Rand, inlineMax int) (ids []block.ID, data map[block.ID][]byte) {
	data = map[block.ID][]byte{}
	for i := range 40 {
		n := 1 + rng.IntN(inlineMax)
		switch {
		case i%16 == 0:
			n = 64<<10 + rng.IntN(32<<10)
		case i%2 == 0:
			n = inlineMax + rng.IntN(10*inlineMax)
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(1 + rng.IntN(255))
		}
		id := block.Sum(b)
		ids, data[id] = append(ids, id), b
	}
	return ids, data
}

const crashAccount naming.AccountID = "crash"

var crashOptions = embedded.Options{InlineMax: 500, PackSize: 300 << 10, PackWriters: 2, OpenPacks: 3, ForeignMeta: true, Clock: clock.NewManual(time.Unix(1e9, 0))}

// TestBlobsSurviveCrashes runs writers and the collector against a blobstore, cuts the power at random points and wants of what is left:
// promised blocks are there (I1, I4), whatever is there is right (I3), the check finds no damage, and collecting leaves nothing behind (I5).
func TestBlobsSurviveCrashes(t *testing.T) {
	first := *crashSeed
	if first == 0 {
		first = rand.Uint64()
	}
	points := 0
	for i := range *crashSeeds {
		seed := first + uint64(i)
		h := newBlobHistory(seed)
		h.run(t)
		for n, c := range h.crash.clones {
			if err := h.verify(t.Context(), c); err != nil {
				t.Fatalf("seed %d, crash %d: %v", seed, n, err)
			}
		}
		points += len(h.crash.clones)
	}
	t.Logf("%d crash points, first seed %d", points, first)
}

type blobHistory struct {
	crash *crasher[held]
	ids   []block.ID
	data  map[block.ID][]byte
	seed  uint64
	// durable is what was promised to be there; guarded by crash.mu.
	durable held
}

// held is what holders hold.
type held = map[block.Holder][]block.ID

func newBlobHistory(seed uint64) *blobHistory {
	rng := rand.New(rand.NewPCG(seed, 1))
	h := &blobHistory{seed: seed, durable: held{}}
	h.ids, h.data = pool(rng, crashOptions.InlineMax)
	h.crash = &crasher[held]{mem: vfs.NewCrashableMem(), rng: rng, every: 3}
	h.crash.promised = func() held { return maps.Clone(h.durable) }
	return h
}

func (h *blobHistory) run(t *testing.T) {
	opts := crashOptions
	opts.FS = h.crash.fs()
	e, err := embedded.Open("data", opts)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range uint64(3) {
		wg.Go(func() {
			if err := h.write(t.Context(), e.Blobs(), rand.New(rand.NewPCG(h.seed, 10+w))); err != nil {
				t.Errorf("seed %d: writer: %v", h.seed, err)
			}
		})
	}
	wg.Go(func() {
		if err := h.collect(t.Context(), e.Blobs()); err != nil {
			t.Errorf("seed %d: collector: %v", h.seed, err)
		}
	})
	wg.Wait()
	h.crash.mu.Lock()
	h.crash.clone()
	h.crash.mu.Unlock()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// write makes uploads: a few blocks put or held, one sync, and later the release.
func (h *blobHistory) write(ctx context.Context, s blob.Store, rng *rand.Rand) error {
	var mine []block.Holder
	for range 25 {
		holder := blob.Hold{Holder: block.NewHolder(), Account: crashAccount}
		var ids []block.ID
		for range 1 + rng.IntN(4) {
			id := h.ids[rng.IntN(len(h.ids))]
			if rng.IntN(2) == 0 {
				missing, err := s.Hold(ctx, holder, []block.ID{id})
				if err != nil {
					return err
				}
				if len(missing) == 0 {
					ids = append(ids, id)
					continue
				}
			}
			if err := s.Put(ctx, holder, id, h.data[id]); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		if rng.IntN(5) > 0 { // else the writer gives up
			if err := s.Sync(ctx); err != nil {
				return err
			}
			h.crash.mu.Lock()
			h.durable[holder.Holder] = ids
			h.crash.mu.Unlock()
		}
		mine = append(mine, holder.Holder)
		if len(mine) > 3 {
			i := rng.IntN(len(mine))
			h.crash.mu.Lock()
			delete(h.durable, mine[i]) // from here on the promise is off
			h.crash.mu.Unlock()
			if err := s.Release(ctx, mine[i:i+1]); err != nil {
				return err
			}
			mine = slices.Delete(mine, i, i+1)
		}
	}
	return nil
}

func (h *blobHistory) collect(ctx context.Context, s blob.Store) error {
	for range 15 {
		if err := sweepAll(ctx, s); err != nil {
			return err
		}
		if _, err := s.(blob.Compactor).Compact(ctx); err != nil {
			return err
		}
	}
	return nil
}

func sweepAll(ctx context.Context, s blob.Store) error {
	for next := (*block.ID)(nil); ; {
		var err error
		if _, next, err = s.Sweep(ctx, time.Unix(2e9, 0), blob.Budget{Blocks: 7}, next); err != nil || next == nil {
			return err
		}
	}
}

// verify opens what a crash left and checks it.
func (h *blobHistory) verify(ctx context.Context, c crashed[held]) error {
	if err := wantClean(ctx, c.fs); err != nil {
		return err
	}
	opts := crashOptions
	opts.FS = c.fs
	e, err := embedded.Open("data", opts)
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }() // the file system goes away with it
	s := e.Blobs()
	for holder, ids := range c.promised {
		yes, err := s.Held(ctx, crashAccount, ids)
		if err != nil || slices.Contains(yes, false) {
			return fmt.Errorf("holder %s: held %v of %v, error %w", holder, yes, ids, err)
		}
		for _, id := range ids {
			if err := wantBlock(ctx, s, id, h.data[id]); err != nil {
				return err
			}
		}
	}
	for _, id := range h.ids {
		if err := wantBlock(ctx, s, id, h.data[id]); err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
	}
	return wantNothingLeft(ctx, s)
}

// wantClean runs the check on a data directory. Orphans, which the collector finds, are no fault.
func wantClean(ctx context.Context, fs vfs.FS) (err error) {
	if _, err := fs.Stat("data/FORMAT"); err != nil {
		return nil //nolint:nilerr // the crash came before there was anything
	}
	var found []fsck.Finding
	if err := embedded.Check(ctx, "data", fs, func(f fsck.Finding) {
		if f.Severity != fsck.Notice {
			found = append(found, f)
		}
	}); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if len(found) > 0 {
		return fmt.Errorf("check found %v", found)
	}
	return nil
}

func wantBlock(ctx context.Context, s blob.Store, id block.ID, data []byte) error {
	got := make([]byte, len(data)+1)
	n, err := s.Read(ctx, id, 0, got)
	if err != nil {
		return fmt.Errorf("reading a promised block: %w", err)
	}
	if !bytes.Equal(got[:n], data) {
		return fmt.Errorf("block %s has other bytes", id)
	}
	return nil
}

// wantNothingLeft releases all holders and wants every byte back.
func wantNothingLeft(ctx context.Context, s blob.Store) error {
	var holders []block.Holder
	if err := s.WalkHolders(ctx, block.Holder{}, func(h block.Holder, _ naming.AccountID) bool {
		holders = append(holders, h)
		return true
	}); err != nil {
		return err
	}
	if err := s.Release(ctx, holders); err != nil {
		return err
	}
	if err := sweepAll(ctx, s); err != nil {
		return err
	}
	for freed := int64(1); freed > 0; {
		var err error
		if freed, err = s.(blob.Compactor).Compact(ctx); err != nil {
			return err
		}
	}
	u, err := s.(blob.Usage).Usage(ctx)
	if err != nil || u.Blocks != 0 || u.Live != 0 || u.Dead > 1000 {
		return fmt.Errorf("after collecting everything: %+v, error %w", u, err)
	}
	return nil
}
