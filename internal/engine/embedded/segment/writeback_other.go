//go:build !linux

package segment

import "github.com/cockroachdb/pebble/v2/vfs"

// startWriteback does nothing where the system has no such call.
func startWriteback(vfs.File, int64, int64) {}
