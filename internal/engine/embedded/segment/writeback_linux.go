package segment

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// startWriteback asks the system to begin writing a range to the disk. It promises nothing and waits for nothing; the fsync that
// follows has less to do. Its errors are left for the fsync to report.
func startWriteback(f vfs.File, offset, length int64) {
	if fd := f.Fd(); fd != vfs.InvalidFd {
		_ = unix.SyncFileRange(int(fd), offset, length, unix.SYNC_FILE_RANGE_WRITE)
	}
}
