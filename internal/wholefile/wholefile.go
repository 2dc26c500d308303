// Package wholefile writes small files that are there whole: after a crash or a
// power loss a file holds what it held before or what was written, never a part.
//
// It is the one owner of that rule for files that people and other programs read:
// keys, credentials, certificates, logins. The files of an engine have their own
// ways.
package wholefile

import (
	"errors"
	"os"
	"path/filepath"
)

// Write puts text into the file, of mode 0600, in place of what was there. When it returns nil the file and its name are durable. On an
// error the old file stands, unless only the last step failed, the folder's sync: then either may.
//
// The text goes into a file beside it first, FILE.*.tmp, which a process that is killed leaves behind.
func Write(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

// Remove removes the file, durably. errors.Is(err, fs.ErrNotExist) when there is none.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
