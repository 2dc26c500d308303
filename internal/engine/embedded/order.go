package embedded

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/engine/embedded/segment"
)

// orderedFS is a file system on which a marker never survives a crash without the files that were made before it.
//
// Pebble makes a manifest, then the marker that names it, and then syncs the directory once. Where a file system may keep one new name of
// a directory and lose an older one, a crash in between leaves a marker that points to nothing, and a database that cannot be opened.
type orderedFS struct{ vfs.FS }

// markerPrefix begins the names of Pebble's markers.
const markerPrefix = "marker."

func (o orderedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(o.PathBase(name), markerPrefix) {
		if err := segment.SyncDir(o.FS, o.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return o.FS.Create(name, category)
}

// Unwrap tells Pebble what is below.
func (o orderedFS) Unwrap() vfs.FS { return o.FS }
