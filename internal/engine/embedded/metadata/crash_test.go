package metadata

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// TestCrash cuts the power again and again while writers work, and looks at what a restart finds: every row fits every other, every
// answered change is there, and every other one is there whole or not at all. Half of the names
// keep their versions, half are overwritten and removed; some versions are assembled from parts.
func TestCrash(t *testing.T) {
	const writers, crashes, steps = 4, 60, 4
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	fs := vfs.NewCrashableMem()
	db := openDB(t, fs)
	s, err := New(db, Options{SharedLog: true})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*crashWriter, writers)
	for i := range all {
		all[i] = &crashWriter{s: s, name: naming.ObjectName(fmt.Sprint("n", i)), versioned: i%2 == 0, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
	}
	rng := rand.New(rand.NewPCG(seed, 99))
	for range crashes {
		var wg sync.WaitGroup
		midway := make(chan struct{}, writers*steps)
		for _, w := range all {
			wg.Go(func() {
				for range steps {
					w.step(t)
					midway <- struct{}{}
				}
			})
		}
		for range rng.IntN(writers * steps) {
			<-midway
		}
		from, to := make([]int64, writers), make([]int64, writers)
		for i, w := range all {
			from[i] = w.answered.Load()
		}
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng})
		for i, w := range all {
			to[i] = w.tried.Load()
		}
		wg.Wait()
		inspect(t, clone, all, from, to)
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

// crashWriter changes one name. Step n puts a version with the id n, or removes it.
type crashWriter struct {
	s               *Store
	name            naming.ObjectName
	versioned       bool
	rng             *rand.Rand
	tried, answered atomic.Int64 // number of the last change that was begun, that was answered
}

func (w *crashWriter) step(t *testing.T) {
	ctx := context.Background()
	n := w.tried.Add(1)
	v := &object.Version{Summary: object.Summary{Size: n, Null: !w.versioned, Owner: account}}
	v.Content.Holder = block.NewHolder()
	if n%3 == 0 {
		v.Content = keeping(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	v.Target = string(make([]byte, w.rng.IntN(2)*detailMax*2))
	c := meta.Change{Container: box, Account: account, Name: w.name, Now: at(n), Version: v}
	var err error
	switch {
	case n%7 == 0 && w.versioned: // forget an old one
		c = meta.Change{Container: box, Account: account, Name: w.name, Now: at(n), Op: meta.Remove, Target: meta.Which{By: meta.ByID, ID: object.VersionID(n - 3)}}
	case n%7 == 0:
		c = meta.Change{Container: box, Account: account, Name: w.name, Now: at(n), Op: meta.Remove}
	case n%5 == 0:
		k := meta.UploadKey{Container: box, Name: w.name, ID: fmt.Sprint("u", n)}
		h := block.NewHolder()
		err = errors.Join(
			w.s.Begin(ctx, meta.Upload{UploadKey: k, Account: account}),
			w.s.Intend(ctx, h, meta.Intent{Account: account, Expires: at(1 << 50)}),
			w.s.PutPart(ctx, k, meta.Part{Part: object.Part{Number: 1, Size: n}, Content: object.Content{Holder: h}}, meta.Limits{}),
		)
		c.Upload = k.ID
	}
	if c.Op == meta.Put && n%3 != 0 {
		err = errors.Join(err, w.s.Intend(ctx, v.Content.Holder, meta.Intent{Account: account, Expires: at(1 << 50)}))
	}
	if err == nil {
		_, err = w.s.Commit(ctx, c)
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		t.Errorf("%s, change %d: %v", w.name, n, err)
	}
	w.answered.Store(n)
}

// inspect starts again on what the crash left. Of each name, the state after some change from[i]..to[i] must be found.
func inspect(t *testing.T, fs vfs.FS, all []*crashWriter, from, to []int64) {
	t.Helper()
	db := openDB(t, fs)
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := New(db, Options{SharedLog: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(t.Context(), db, func(f fsck.Finding) { t.Error(f) }); err != nil {
		t.Error(err)
	}
	for i, w := range all {
		v, err := s.Get(t.Context(), box, w.name, meta.Which{})
		found := int64(0)
		switch {
		case err == nil:
			found = int64(v.ID)
			if body := v.Content.Map.Kept; found%3 == 0 && !bytes.Equal(body, binary.BigEndian.AppendUint64(nil, uint64(found))) || found%3 != 0 && body != nil {
				t.Errorf("%s: version %d keeps %x", w.name, found, body)
			}
		case !errs.Is(err, errs.NotFound):
			t.Error(err)
			continue
		}
		if !w.possible(found, from[i], to[i]) {
			t.Errorf("%s: found version %d, but change %d was answered and %d tried", w.name, found, from[i], to[i])
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// possible tells whether found (0: nothing) can be the newest version after one of the changes from..to.
func (w *crashWriter) possible(found, from, to int64) bool {
	for n := from; n <= to; n++ {
		newest := n
		if n%7 == 0 {
			newest = 0
			if w.versioned && n > 0 {
				newest = n - 1
			}
		}
		if newest == found {
			return true
		}
	}
	return false
}

// TestFailedSync makes the log's sync fail: the change is Ambiguous, nobody is told of it, and nothing is written any more.
func TestFailedSync(t *testing.T) {
	var broken atomic.Bool
	inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo) {
			return errors.New("injected")
		}
		return nil
	})
	mem := vfs.NewMem()
	db, err := pebble.Open("db", &pebble.Options{FS: errorfs.Wrap(mem, inject), Merger: Merger(), Logger: quiet{t}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(db, Options{SharedLog: true})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, fs: mem, db: db, Store: s}
	b.commit(b.put("a", 10, 1, null))
	b.commit(b.put("z", 10, 1, null))
	first, second := b.put("a", 20, 2, null), b.put("b", 30, 3, null)
	broken.Store(true)
	_, err = b.Commit(t.Context(), first)
	b.fails(err, errs.Ambiguous, errs.Store)
	_, err = b.Commit(t.Context(), second)
	b.fails(err, errs.Internal, errs.Store)
	_, err = b.Get(t.Context(), box, "a", meta.Which{})
	b.fails(err, errs.Internal, errs.Store) // it may be the old or the new one
	if v, err := b.Get(t.Context(), box, "z", meta.Which{}); err != nil || v.ID != 10 {
		t.Errorf("another name: %v", err)
	}
	if _, err := b.Get(t.Context(), box, "b", meta.Which{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("a name that was not written: %v", err)
	}
	b.ok(s.Close())
	broken.Store(false)
	_ = db.Close() // tells of the failed log
}
