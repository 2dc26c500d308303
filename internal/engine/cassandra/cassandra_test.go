package cassandra_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/engine/cassandra"
	"pithos/internal/store/blob"
	"pithos/internal/store/blob/blobtest"
	"pithos/internal/store/bucket"
	"pithos/internal/store/bucket/buckettest"
	"pithos/internal/store/key"
	"pithos/internal/store/key/keytest"
	"pithos/internal/store/meta"
	"pithos/internal/store/meta/metatest"
)

// open opens a session on the cluster that PITHOS_TEST_CASSANDRA names. The test command starts a node and sets the variable; a
// plain "go test ./..." without it skips.
func open(t *testing.T, keyspace string) *cassandra.Session {
	t.Helper()
	hosts := os.Getenv("PITHOS_TEST_CASSANDRA")
	if hosts == "" {
		t.Skip("PITHOS_TEST_CASSANDRA names no cluster; start one with test/cassandra/run start 1")
	}
	s, err := cassandra.Connect(cassandra.Config{Hosts: strings.Split(hosts, ","), Keyspace: keyspace, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// install installs the schema in the keyspace, once for all subtests: a look at the schema of a cluster is slow.
func install(t *testing.T, sc cassandra.Schema, keyspace string) {
	t.Helper()
	s := open(t, keyspace)
	defer s.Close()
	if err := cassandra.InstallSchema(t.Context(), s, sc, os.Getenv("PITHOS_TEST_CASSANDRA_REPLICATION")); err != nil {
		t.Fatal(err)
	}
	if err := cassandra.CheckSchema(t.Context(), s, sc); err != nil {
		t.Fatal(err)
	}
}

// sessions gives each subtest a session: one for all, since opening one takes a third of a second, but one of its own to those that close it.
func sessions(t *testing.T, keyspace string) func(t *testing.T) *cassandra.Session {
	shared := open(t, keyspace)
	t.Cleanup(shared.Close)
	return func(t *testing.T) *cassandra.Session {
		if !strings.Contains(t.Name(), "/Close/") && !strings.Contains(t.Name(), "/Reopen/") {
			return shared
		}
		own := open(t, keyspace)
		t.Cleanup(own.Close)
		return own
	}
}

func TestBlobs(t *testing.T) {
	install(t, cassandra.BlobSchema(), "test_blobs")
	session := sessions(t, "test_blobs")
	blobtest.Run(t, func(t *testing.T) blob.Store { return cassandra.NewBlobs(session(t), clock.System{}) }, blobtest.Options{Slow: true})
}

func TestBuckets(t *testing.T) {
	install(t, cassandra.BucketSchema(), "test_buckets")
	session := sessions(t, "test_buckets")
	opened := func(t *testing.T) bucket.Store { return cassandra.NewBuckets(session(t), clock.System{}) }
	buckettest.Run(t, opened, buckettest.Options{Slow: true, Reopen: func(t *testing.T, s bucket.Store) bucket.Store {
		_ = s.Close()
		return opened(t)
	}})
}

func TestKeys(t *testing.T) {
	install(t, cassandra.KeySchema(), "test_keys")
	session := sessions(t, "test_keys")
	opened := func(t *testing.T) key.Store { return cassandra.NewKeys(session(t)) }
	keytest.Run(t, opened, keytest.Options{Slow: true, Reopen: func(t *testing.T, s key.Store) key.Store {
		_ = s.Close()
		return opened(t)
	}})
}

func TestMeta(t *testing.T) {
	install(t, cassandra.MetaSchema(), "test_meta")
	session := sessions(t, "test_meta")
	// Shards and chunks are so small that every test splits and folds them.
	opened := func(t *testing.T) meta.Store {
		return cassandra.NewMetaOf(session(t), clock.System{}, cassandra.Sizes{Shard: 8, Chunk: 5})
	}
	metatest.Run(t, opened, metatest.Options{Slow: true, Names: 100, Reopen: func(t *testing.T, s meta.Store) meta.Store {
		_ = s.Close()
		return opened(t)
	}})
}
