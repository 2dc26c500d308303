package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/block"
	"pithos/internal/engine/embedded"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// TestEngineSurvivesCrashes runs writers that put, copy and remove objects by the commit protocol, and the collector, against a whole engine,
// cuts the power at random points and wants of what is left:
//
//	I1  every answered change is there; one that was under way is there whole or not at all
//	I3  what is read is what was written
//	I4  every block of every version is there and held (also by the check)
//	I5  removing everything and collecting leaves nothing
//	I6  a listing has each name once, in order
//	I7  counters are right (by the check)
func TestEngineSurvivesCrashes(t *testing.T) {
	first := *crashSeed
	if first == 0 {
		first = rand.Uint64()
	}
	points := 0
	for i := range *crashSeeds {
		h := newHistory(first + uint64(i))
		h.run(t)
		for n, c := range h.crash.clones {
			if err := h.verify(t.Context(), c); err != nil {
				t.Fatalf("seed %d, crash %d: %v", h.seed, n, err)
			}
		}
		points += len(h.crash.clones)
	}
	t.Logf("%d crash points, first seed %d", points, first)
}

// states is what each name may be: what was answered last, and, while a change is under way, what that makes of it. nil: no object.
type states map[naming.ObjectName][2][]block.Ref

type history struct {
	crash     *crasher[states]
	seed      uint64
	ids       []block.ID
	data      map[block.ID][]byte
	container naming.ContainerID
	expected  states // guarded by crash.mu
}

func newHistory(seed uint64) *history {
	rng := rand.New(rand.NewPCG(seed, 2))
	h := &history{seed: seed, expected: states{}, container: naming.NewContainerID()}
	h.ids, h.data = pool(rng, crashOptions.InlineMax)
	h.crash = &crasher[states]{mem: vfs.NewCrashableMem(), rng: rng, every: 4}
	h.crash.promised = func() states { return maps.Clone(h.expected) }
	return h
}

func (h *history) options(fs vfs.FS) embedded.Options {
	o := crashOptions
	o.FS, o.ForeignMeta = fs, false
	return o
}

func (h *history) run(t *testing.T) {
	e, err := embedded.Open("data", h.options(h.crash.fs()))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range uint64(3) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(h.seed, 20+w))
			for range 25 {
				if err := h.change(t.Context(), e, rng, w); err != nil {
					t.Errorf("seed %d: writer: %v", h.seed, err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for range 6 {
			if err := collect(t.Context(), e); err != nil {
				t.Errorf("seed %d: collector: %v", h.seed, err)
				return
			}
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

// change puts, copies or removes one of the worker's own names.
func (h *history) change(ctx context.Context, e *embedded.Engine, rng *rand.Rand, worker uint64) error {
	name := func() naming.ObjectName { return naming.ObjectName(fmt.Sprintf("%d/%d", worker, rng.IntN(5))) }
	target := name()
	switch rng.IntN(5) {
	case 0:
		return h.answer(target, nil, func() error {
			_, err := e.Meta().Commit(ctx, h.commit(target, meta.Remove))
			if errs.Is(err, errs.NotFound) {
				return nil
			}
			return err
		})
	case 1:
		source, err := e.Meta().Get(ctx, h.container, name(), meta.Which{})
		if errs.Is(err, errs.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c := h.commit(target, meta.Put)
		if !source.Content.Holder.IsZero() {
			c.Source = &meta.Source{Container: h.container, Name: source.Name, ID: source.ID}
		}
		c.Version = version(source.Content.Holder, source.Content.Map.Refs)
		c.Version.Content.Map.Kept = source.Content.Map.Kept
		return h.answer(target, source.Content.Map.Refs, func() error {
			_, err := e.Meta().Commit(ctx, c)
			return err
		})
	case 2: // its bytes are kept with it
		id := h.ids[rng.IntN(len(h.ids))]
		c := h.commit(target, meta.Put)
		c.Version = version(block.Holder{}, []block.Ref{{ID: id, Len: int64(len(h.data[id]))}})
		c.Version.Content.Map.Kept = h.data[id]
		return h.answer(target, c.Version.Content.Map.Refs, func() error {
			_, err := e.Meta().Commit(ctx, c)
			return err
		})
	default:
		holder, refs, err := h.upload(ctx, e, rng)
		if err != nil {
			return err
		}
		if rng.IntN(6) == 0 {
			return e.Meta().Abandon(ctx, holder)
		}
		c := h.commit(target, meta.Put)
		c.Version = version(holder, refs)
		return h.answer(target, refs, func() error {
			_, err := e.Meta().Commit(ctx, c)
			return err
		})
	}
}

// upload does what comes before the commit: intend, put or hold blocks, sync.
func (h *history) upload(ctx context.Context, e *embedded.Engine, rng *rand.Rand) (block.Holder, []block.Ref, error) {
	hold := blob.Hold{Holder: block.NewHolder(), Account: crashAccount}
	err := e.Meta().Intend(ctx, hold.Holder, meta.Intent{Account: crashAccount, Expires: time.Unix(3e9, 0)})
	var refs []block.Ref
	for range 1 + rng.IntN(3) {
		id := h.ids[rng.IntN(len(h.ids))]
		refs = append(refs, block.Ref{ID: id, Len: int64(len(h.data[id]))})
		missing := []block.ID{id}
		if rng.IntN(2) == 0 && err == nil {
			missing, err = e.Blobs().Hold(ctx, hold, missing)
		}
		if len(missing) > 0 && err == nil {
			err = e.Blobs().Put(ctx, hold, id, h.data[id])
		}
	}
	return hold.Holder, refs, errors.Join(err, e.Blobs().Sync(ctx))
}

func (h *history) commit(name naming.ObjectName, op meta.Op) meta.Change {
	return meta.Change{Container: h.container, Account: crashAccount, Name: name, Now: time.Unix(1e9, 0), Op: op}
}

func version(holder block.Holder, refs []block.Ref) *object.Version {
	m := block.Map{Refs: refs}
	return &object.Version{
		Summary: object.Summary{Null: true, Size: m.Size(), ETag: "00000000000000000000000000000000", Owner: crashAccount},
		Content: object.Content{Holder: holder, Map: m},
	}
}

// answer notes what a change makes of a name, before and after it.
func (h *history) answer(name naming.ObjectName, becomes []block.Ref, change func() error) error {
	set := func(state [2][]block.Ref) {
		h.crash.mu.Lock()
		defer h.crash.mu.Unlock()
		h.expected[name] = state
	}
	h.crash.mu.Lock()
	before := h.expected[name][0]
	h.crash.mu.Unlock()
	set([2][]block.Ref{before, becomes})
	if err := change(); err != nil {
		return err
	}
	set([2][]block.Ref{becomes, becomes})
	return nil
}

// collect is one round of garbage collection.
func collect(ctx context.Context, e *embedded.Engine) error {
	var orphans []block.Holder
	dead, err := e.Meta().Dead(ctx, time.Unix(4e9, 0), 1000)
	if err != nil {
		return err
	}
	if err := e.Blobs().Release(ctx, dead); err != nil {
		return err
	}
	if err := e.Meta().Forget(ctx, dead); err != nil {
		return err
	}
	err = e.Blobs().WalkHolders(ctx, block.Holder{}, func(h block.Holder, _ naming.AccountID) bool {
		orphans = append(orphans, h)
		return true
	})
	if err != nil {
		return err
	}
	alive, err := e.Meta().Alive(ctx, orphans)
	if err != nil {
		return err
	}
	for i, h := range orphans {
		if !alive[i] {
			if err := e.Meta().Abandon(ctx, h); err != nil {
				return err
			}
		}
	}
	if err := sweepAll(ctx, e.Blobs()); err != nil {
		return err
	}
	_, err = e.Blobs().(blob.Compactor).Compact(ctx)
	return err
}

// verify opens what a crash left and checks it.
func (h *history) verify(ctx context.Context, c crashed[states]) error {
	if err := wantClean(ctx, c.fs); err != nil {
		return err
	}
	e, err := embedded.Open("data", h.options(c.fs))
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }() // the file system goes away with it
	var present []naming.ObjectName
	for name, may := range c.promised {
		v, err := e.Meta().Get(ctx, h.container, name, meta.Which{})
		var refs []block.Ref
		var kept []byte
		if err == nil {
			refs, kept, present = v.Content.Map.Refs, v.Content.Map.Kept, append(present, name)
		} else if !errs.Is(err, errs.NotFound) {
			return err
		}
		if !slices.Equal(refs, may[0]) && !slices.Equal(refs, may[1]) {
			return fmt.Errorf("object %s is neither what was answered nor what was under way", name)
		}
		if kept != nil {
			if len(refs) != 1 || !bytes.Equal(kept, h.data[refs[0].ID]) {
				return fmt.Errorf("object %s keeps other bytes", name)
			}
			continue
		}
		for _, r := range refs {
			if err := wantBlock(ctx, e.Blobs(), r.ID, h.data[r.ID]); err != nil {
				return fmt.Errorf("object %s: %w", name, err)
			}
		}
	}
	if err := h.wantListing(ctx, e, present); err != nil {
		return err
	}
	objects := len(present)
	for _, name := range present {
		if _, err := e.Meta().Commit(ctx, h.commit(name, meta.Remove)); err != nil {
			return err
		}
	}
	if _, err := e.Meta().Reap(ctx, time.Unix(4e9, 0), 1000); err != nil {
		return err
	}
	for range 3 {
		if err := collect(ctx, e); err != nil {
			return err
		}
	}
	err = e.Blobs().WalkHolders(ctx, block.Holder{}, func(h block.Holder, _ naming.AccountID) bool {
		present = append(present, naming.ObjectName(h.String()))
		return false
	})
	if err != nil || len(present) > objects {
		return fmt.Errorf("a holder is left after collecting: %v, error %w", present[objects:], err)
	}
	if err := wantNothingLeft(ctx, e.Blobs()); err != nil {
		return err
	}
	if usage, err := e.Meta().AccountUsage(ctx, crashAccount); err != nil || usage != (meta.Usage{}) {
		return fmt.Errorf("usage of nothing is %+v, error %w", usage, err)
	}
	return nil
}

// wantListing wants exactly these names, in order.
func (h *history) wantListing(ctx context.Context, e *embedded.Engine, names []naming.ObjectName) error {
	slices.Sort(names)
	cursor := e.Meta().Scan(ctx, h.container, meta.View{})
	defer cursor.Close()
	var listed []naming.ObjectName
	for {
		s, err := cursor.Next(ctx)
		if err != nil {
			return err
		}
		if s == nil {
			break
		}
		listed = append(listed, s.Name)
	}
	if !slices.Equal(listed, names) {
		return fmt.Errorf("listed %q, want %q", listed, names)
	}
	return nil
}
