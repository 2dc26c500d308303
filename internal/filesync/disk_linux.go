package filesync

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

// errNotDir is what the system says of a name below a file.
var errNotDir error = syscall.ENOTDIR

// errNoWatches is what it says when there are no more watches.
var errNoWatches error = syscall.ENOSPC

func printOf(info fs.FileInfo) Print {
	p := Print{Size: info.Size(), Mtime: info.ModTime().UnixNano(), Mode: uint32(info.Mode().Perm())}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		p.Ctime, p.Inode, p.Device = st.Ctim.Nano(), st.Ino, st.Dev
	}
	if info.IsDir() { // these say what happened in the folder
		p.Size, p.Mtime, p.Ctime = 0, 0, 0
	}
	return p
}

// openFile opens a regular file for reading. A pipe that took its place meanwhile does not block.
func (d *disk) openFile(name string) (*os.File, error) {
	if err := d.openFolders(name); err != nil {
		return nil, err
	}
	return d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
}

// renameFree renames, in one step, to a name that must be free; fs.ErrExist if it is not.
func (d *disk) renameFree(from, to string) error {
	source, err := d.root.Open(parent(from))
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // only its descriptor is used
	target, err := d.root.Open(parent(to))
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }() // the same
	err = unix.Renameat2(int(source.Fd()), path.Base(from), int(target.Fd()), path.Base(to), unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return d.renameChecked(from, to)
	}
	return err
}

// lockFile takes a lock that holds until the file is closed, or the process ends; false if somebody else has it.
func lockFile(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
