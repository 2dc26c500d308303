// Package metamorphic runs one random list of operations through every engine
// and demands the same answers, once on the stores themselves and once through
// the backend. The memory engine is the specification. A list that makes a
// difference is printed with its seed after all steps were taken out that do
// not matter.
package metamorphic

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/clock"
	"pithos/internal/engine/cassandra"
	"pithos/internal/engine/embedded"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
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

// made is an engine by name.
type made struct {
	name string
	open func(t *testing.T, c clock.Clock) engine
}

// engines is every engine of one machine; the first is the specification.
var engines = []made{
	{"memory", func(_ *testing.T, c clock.Clock) engine { return memoryEngine{memory.New(c)} }},
	{"embedded", func(t *testing.T, c clock.Clock) engine { return openEmbedded(t, embedded.Options{Clock: c}) }},
	{"embedded, small packs", func(t *testing.T, c clock.Clock) engine {
		return openEmbedded(t, embedded.Options{Clock: c, InlineMax: 64, PackSize: 64 << 10, PackWriters: 1, OpenPacks: 2})
	}},
}

// enginesOf is the engines for the list with a number. The first lists run on Cassandra nodes too, where there are some.
func enginesOf(list int) []made {
	hosts := os.Getenv("PITHOS_TEST_CASSANDRA")
	if hosts == "" || list >= *slow {
		return engines
	}
	return append(slices.Clone(engines[:1]), made{"cassandra", func(t *testing.T, c clock.Clock) engine { return openCassandra(t, hosts, c) }})
}

// cassandraEngine is four keyspaces of a cluster, empty at first. Its shards and chunks are so small that they are split and folded all the time.
type cassandraEngine struct {
	sessions [4]*cassandra.Session
	clock    clock.Clock
	keys     key.Store
	buckets  bucket.Store
	meta     meta.Store
	blobs    blob.Store
}

func openCassandra(t *testing.T, hosts string, c clock.Clock) engine {
	t.Helper()
	e := &cassandraEngine{clock: c}
	for i, sc := range []cassandra.Schema{cassandra.KeySchema(), cassandra.BucketSchema(), cassandra.MetaSchema(), cassandra.BlobSchema()} {
		s, err := cassandra.Connect(cassandra.Config{Hosts: strings.Split(hosts, ","), Keyspace: "metamorphic_" + sc.Store})
		if err != nil {
			t.Fatal(err)
		}
		e.sessions[i] = s
		err = cassandra.CheckSchema(t.Context(), s, sc)
		switch {
		case err == nil:
			err = cassandra.Truncate(t.Context(), s, sc)
		case errs.Is(err, errs.NotFound):
			err = cassandra.InstallSchema(t.Context(), s, sc, os.Getenv("PITHOS_TEST_CASSANDRA_REPLICATION"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	e.Restart(t, false)
	return e
}

func (e *cassandraEngine) Keys() key.Store       { return e.keys }
func (e *cassandraEngine) Buckets() bucket.Store { return e.buckets }
func (e *cassandraEngine) Meta() meta.Store      { return e.meta }
func (e *cassandraEngine) Blobs() blob.Store     { return e.blobs }

// Restart forgets what a process knows. The stores as they were are not closed: that is what the end of a process is to the cluster.
func (e *cassandraEngine) Restart(*testing.T, bool) {
	e.keys = cassandra.NewKeys(e.sessions[0])
	e.buckets = cassandra.NewBuckets(e.sessions[1], e.clock)
	e.meta = cassandra.NewMetaOf(e.sessions[2], e.clock, cassandra.Sizes{Shard: 3, Chunk: 5})
	e.blobs = cassandra.NewBlobs(e.sessions[3], e.clock)
}

func (e *cassandraEngine) Close() error {
	for _, s := range e.sessions {
		s.Close()
	}
	return e.meta.Close()
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
