// Package invariant holds checks of what must always be true. Built with the
// tag "invariants" a failed check panics; in production it is counted and the
// caller gets false, so that it can refuse the operation.
package invariant

import (
	"fmt"
	"sync/atomic"
)

var broken atomic.Int64

// Holds reports whether cond is true. A false one panics under the tag "invariants" and is counted otherwise.
func Holds(cond bool, format string, args ...any) bool {
	if cond {
		return true
	}
	broken.Add(1)
	if Enabled {
		panic("invariant broken: " + fmt.Sprintf(format, args...))
	}
	return false
}

// Broken is the number of checks that have failed since the process started; a metric shows it.
func Broken() int64 { return broken.Load() }
