package cassandra_test

import (
	"os"
	"strings"
	"testing"

	"pithos/internal/clock"
	"pithos/internal/engine/cassandra"
	"pithos/internal/store/blob"
	"pithos/internal/store/blob/blobtest"
)

// connect opens a session on the cluster that PITHOS_TEST_CASSANDRA names and installs the schema in the keyspace. The test command
// starts a node and sets the variable; a plain "go test ./..." without it skips.
func connect(t *testing.T, sc cassandra.Schema, keyspace string) *cassandra.Session {
	t.Helper()
	hosts := os.Getenv("PITHOS_TEST_CASSANDRA")
	if hosts == "" {
		t.Skip("PITHOS_TEST_CASSANDRA names no cluster; start one with test/cassandra/run start 1")
	}
	s, err := cassandra.Connect(cassandra.Config{Hosts: strings.Split(hosts, ","), Keyspace: keyspace})
	if err != nil {
		t.Fatal(err)
	}
	if err := cassandra.InstallSchema(t.Context(), s, sc, os.Getenv("PITHOS_TEST_CASSANDRA_REPLICATION")); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBlobs(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		b := cassandra.NewBlobs(connect(t, cassandra.BlobSchema(), "test_blobs"), clock.System{})
		t.Cleanup(func() { _ = b.Close() })
		return b
	}, blobtest.Options{Slow: true})
}
