package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/engine/embedded/segment"
	"pithos/internal/errs"
)

// FormatVersion is the format of data directories that this program writes. Format 2 has bytes that are kept with their versions, in rows that programs of
// before do not know; what format 1 has is read as it is.
const FormatVersion = 2

const (
	formatPrefix = "pithos data directory, format "
	formatName   = "FORMAT"
	lockName     = "LOCK"
	pidName      = "LOCK.pid"
	metaName     = "meta"
	packsName    = "packs"
)

// makeDir makes dir and those above it, each on stable storage.
func makeDir(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(dir); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := fsys.PathDir(dir)
	if parent != dir && parent != "." {
		if err := makeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return segment.SyncDir(fsys, parent)
}

// lockDir takes the lock of a data directory. Busy when another process has it, or this one already.
func lockDir(fsys vfs.FS, dir string) (io.Closer, error) {
	lock, err := fsys.Lock(fsys.PathJoin(dir, lockName))
	if err != nil {
		who := "another process"
		if pid, ok := readPid(fsys, dir); ok {
			who = fmt.Sprintf("process %d", pid)
			if pid == os.Getpid() {
				who = "this process"
			}
		}
		return nil, errs.E("embedded.Open", errs.Busy, errs.Store, dir).
			Because("", "the data directory is in use by "+who).With(err)
	}
	// Only a hint for people: nothing depends on it.
	_ = writeFile(fsys, fsys.PathJoin(dir, pidName), strconv.Itoa(os.Getpid())+"\n")
	return lock, nil
}

func readPid(fsys vfs.FS, dir string) (int, bool) {
	text, err := readFile(fsys, fsys.PathJoin(dir, pidName))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	return pid, err == nil
}

// checkFormat reads the format version of a directory. If create is set it writes it where the directory has no data yet, and raises an older one, before
// anything that the older format does not have can be written.
// Unsupported: the data was written by a newer program. Corrupt: the version cannot be read.
func checkFormat(fsys vfs.FS, dir string, create bool) error {
	const op = "embedded.Open"
	path := fsys.PathJoin(dir, formatName)
	text, err := readFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := fsys.Stat(fsys.PathJoin(dir, metaName)); err == nil {
			return errs.E(op, errs.Corrupt, errs.Store, dir).Because("", "the directory has data, but its file FORMAT is missing")
		}
		if !create {
			return errs.E(op, errs.NotFound, errs.Store, dir).Because("", "there is no data directory here")
		}
		return writeFormat(fsys, dir, path)
	}
	if err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	digits, ok := strings.CutPrefix(strings.TrimSuffix(text, "\n"), formatPrefix)
	version, err := strconv.Atoi(digits)
	switch {
	case !ok || err != nil || version < 1:
		return errs.E(op, errs.Corrupt, errs.Store, dir).Because("", "the file FORMAT of the data directory cannot be understood")
	case version > FormatVersion:
		return errs.E(op, errs.Unsupported, errs.Store, dir).Because("", fmt.Sprintf(
			"the data directory has format %d, and this program knows formats up to %d: use a newer program", version, FormatVersion))
	case version < FormatVersion && create:
		return writeFormat(fsys, dir, path)
	}
	return nil
}

// writeFormat makes the directory ours in one step that a crash cannot halve.
func writeFormat(fsys vfs.FS, dir, path string) error {
	draft := path + ".new"
	err := writeFile(fsys, draft, formatPrefix+strconv.Itoa(FormatVersion)+"\n")
	if err == nil {
		err = fsys.Rename(draft, path)
	}
	if err == nil {
		err = segment.SyncDir(fsys, dir)
	}
	if err != nil {
		return errs.Wrap("embedded.Open", errs.Internal, err)
	}
	return nil
}

// smallFileMax bounds the files that readFile reads.
const smallFileMax = 4096

func readFile(fsys vfs.FS, path string) (string, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, smallFileMax))
	return string(text), errors.Join(err, f.Close())
}

func writeFile(fsys vfs.FS, path, text string) error {
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
