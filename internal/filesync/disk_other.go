//go:build !linux

package filesync

import (
	"io/fs"
	"os"
	"syscall"
)

// errNotDir is what the system says of a name below a file.
var errNotDir error = syscall.ENOTDIR

// errNoWatches is what it says when there are no more watches.
var errNoWatches error = syscall.ENOSPC

// printOf does without inodes and change times: renames are then seen as deletions and new files, which costs no data either, since their blocks are known.
func printOf(info fs.FileInfo) Print {
	p := Print{Size: info.Size(), Mtime: info.ModTime().UnixNano(), Mode: uint32(info.Mode().Perm())}
	if info.IsDir() {
		p.Size, p.Mtime = 0, 0
	}
	return p
}

func (d *disk) openFile(name string) (*os.File, error) {
	if err := d.openFolders(name); err != nil {
		return nil, err
	}
	return d.root.Open(name)
}

func (d *disk) renameFree(from, to string) error { return d.renameChecked(from, to) }

// lockFile keeps other processes away by a lock of the database alone.
func lockFile(*os.File) (bool, error) { return true, nil }
