// Package metamorphic runs one random list of operations through every engine
// and demands the same answers, once on the stores themselves and once through
// the backend. The memory engine is the specification. A list that makes a
// difference is printed with its seed after all steps were taken out that do
// not matter.
package metamorphic

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/clock"
	"pithos/internal/engine/embedded"
	"pithos/internal/engine/memory"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// began is when every run begins.
var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// engine is one of each store that lists of operations run on.
type engine interface {
	Keys() key.Store
	Buckets() bucket.Store
	Meta() meta.Store
	Blobs() blob.Store
	// Restart goes on with what was kept: after a proper end, or after a power cut at which all was lost that was not on stable storage.
	Restart(t *testing.T, powerCut bool)
	Close() error
}

// engines is every engine by name; the first is the specification.
var engines = []struct {
	name string
	open func(t *testing.T, c clock.Clock) engine
}{
	{"memory", func(_ *testing.T, c clock.Clock) engine { return memoryEngine{memory.New(c)} }},
	{"embedded", func(t *testing.T, c clock.Clock) engine { return openEmbedded(t, embedded.Options{Clock: c}) }},
	{"embedded, small packs", func(t *testing.T, c clock.Clock) engine {
		return openEmbedded(t, embedded.Options{Clock: c, InlineMax: 64, PackSize: 64 << 10, PackWriters: 1, OpenPacks: 2})
	}},
}

type memoryEngine struct{ *memory.Stores }

func (memoryEngine) Restart(*testing.T, bool) {} // nothing ends, so nothing is lost
func (memoryEngine) Close() error             { return nil }

// embeddedEngine is a data directory on a file system that can be cut off.
type embeddedEngine struct {
	*embedded.Engine
	fs   *vfs.MemFS
	opts embedded.Options
}

func openEmbedded(t *testing.T, o embedded.Options) engine {
	e := &embeddedEngine{fs: vfs.NewCrashableMem(), opts: o}
	e.open(t)
	return e
}

func (e *embeddedEngine) open(t *testing.T) {
	t.Helper()
	e.opts.FS = e.fs
	var err error
	if e.Engine, err = embedded.Open("data", e.opts); err != nil {
		t.Fatal(err)
	}
}

func (e *embeddedEngine) Restart(t *testing.T, powerCut bool) {
	t.Helper()
	var kept *vfs.MemFS
	if powerCut {
		kept = e.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, 2))})
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if powerCut {
		e.fs = kept
	}
	e.open(t)
}
