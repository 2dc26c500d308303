//go:build !unix

package keyring

import "os"

// lockFile opens the file only: where there are no such locks, the operator changes a ring from one place at a time.
func lockFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) }
