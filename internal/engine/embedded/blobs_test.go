package embedded_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/engine/embedded"
	"pithos/internal/store/blob"
	"pithos/internal/store/blob/blobtest"
)

// open opens an engine and closes it when the test ends.
func open(t *testing.T, dir string, opts embedded.Options) *embedded.Engine {
	t.Helper()
	e, err := embedded.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestBlobs runs the blobstore's suite on real files and in memory, with the usual limits and with such that small blocks lie in small packs.
func TestBlobs(t *testing.T) {
	tests := map[string]embedded.Options{
		"files":  {},
		"memory": {FS: vfs.NewMem(), InlineMax: 512, PackSize: 256 << 10, PackWriters: 3, OpenPacks: 2, ForeignMeta: true},
	}
	for name, opts := range tests {
		t.Run(name, func(t *testing.T) {
			dir := "data"
			if opts.FS == nil {
				dir = t.TempDir()
			}
			engines := map[blob.Store]*embedded.Engine{}
			run := func(t *testing.T) blob.Store {
				e := open(t, dir, opts)
				engines[e.Blobs()] = e
				return e.Blobs()
			}
			blobtest.Run(t, run, blobtest.Options{Reopen: func(t *testing.T, s blob.Store) blob.Store {
				if err := engines[s].Close(); err != nil {
					t.Fatal(err)
				}
				return run(t)
			}})
		})
	}
}
