// Package fsck has the words in which the parts of the embedded engine report
// what a check of a data directory found.
package fsck

import (
	"fmt"

	"pithos/internal/errs"
)

// Severity says what a finding means.
type Severity uint8

// The severities.
const (
	Damage Severity = iota // an invariant is broken: bytes or promises are lost or wrong
	Leak                   // space that nothing will give back by itself; no data is lost
	Notice                 // worth knowing, and harmless: the next step of a worker clears it
)

var severityNames = [...]string{"damage", "leak", "notice"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "finding"
}

// Finding is one thing that a check found.
type Finding struct {
	Severity Severity
	Thing    errs.Thing // what it is about
	Name     string     // which one: a block's hash, a holder, "container/object@version", a pack
	Detail   string     // what is wrong with it, for the operator
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: %s %s: %s", f.Severity, f.Thing, f.Name, f.Detail)
}

// Report receives findings. It is called from one goroutine at a time.
type Report func(Finding)
