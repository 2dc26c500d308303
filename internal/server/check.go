package server

import (
	"context"

	"pithos/internal/engine/embedded"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/errs"
)

// Finding is one thing that Check found.
type Finding struct {
	Severity string `json:"severity"` // "damage", "leak", "notice"
	Thing    string `json:"thing"`
	Name     string `json:"name"`
	Detail   string `json:"detail"`
}

// CheckReport is the sum of a check.
type CheckReport struct {
	Damage   int       `json:"damage"`
	Leaks    int       `json:"leaks"`
	Notices  int       `json:"notices"`
	Findings []Finding `json:"findings"`
}

// Clean reports whether no invariant is broken. Notices are harmless: the next step of a worker clears them.
func (r *CheckReport) Clean() bool { return r.Damage == 0 && r.Leaks == 0 }

// Check reads the whole data directory, which no process may have open, and calls found for everything that is not as it should be. It
// changes nothing. The error says why the check could not be done.
func Check(ctx context.Context, data string, found func(Finding)) (CheckReport, error) {
	r := CheckReport{Findings: []Finding{}}
	tell := func(f Finding) {
		r.Findings = append(r.Findings, f)
		found(f)
	}
	err := embedded.Check(ctx, data, nil, func(f fsck.Finding) {
		switch f.Severity {
		case fsck.Damage:
			r.Damage++
		case fsck.Leak:
			r.Leaks++
		case fsck.Notice:
			r.Notices++
		}
		tell(Finding{f.Severity.String(), f.Thing.String(), f.Name, f.Detail})
	})
	if errs.Is(err, errs.Corrupt) { // so damaged that it cannot be looked into
		r.Damage++
		tell(Finding{fsck.Damage.String(), errs.Store.String(), data, err.Error()})
		return r, nil
	}
	return r, err
}
