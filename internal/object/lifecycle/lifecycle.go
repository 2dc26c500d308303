// Package lifecycle has the rules by which versions and uploads of a container
// come to their end, and what they say of a version at a time. It is pure.
//
// Source: S3 User Guide, "Managing the lifecycle of objects".
package lifecycle

import (
	"encoding/json"
	"strings"
	"time"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// Document is the name under which a container's configuration keeps its rules.
const Document = "lifecycle"

// Day is the length of a day in rules.
const Day = 24 * time.Hour

// Rule is one rule. A zero action is none.
type Rule struct {
	ID       string       `json:"id"`
	Disabled bool         `json:"disabled,omitempty"`
	Prefix   string       `json:"prefix,omitempty"`
	Tags     []object.Tag `json:"tags,omitempty"`    // all of them
	Larger   *int64       `json:"larger,omitempty"`  // than so many bytes
	Smaller  *int64       `json:"smaller,omitempty"` // than so many bytes

	Days           int       `json:"days,omitempty"`            // expire the newest version so many days after it was made,
	Date           time.Time `json:"date,omitzero"`             // or from a date on
	Markers        bool      `json:"markers,omitempty"`         // remove delete markers that cover nothing
	NoncurrentDays int       `json:"noncurrent_days,omitempty"` // remove a version so many days after it was covered,
	Newer          int       `json:"newer,omitempty"`           // if so many newer covered ones stand
	AbortDays      int       `json:"abort_days,omitempty"`      // abort an upload so many days after it was begun
}

// Encode writes rules for a container's configuration.
func Encode(rules []Rule) ([]byte, error) {
	raw, err := json.Marshal(rules)
	if err != nil {
		return nil, errs.Wrap("lifecycle.Encode", errs.Internal, err)
	}
	return raw, nil
}

// Decode reads what Encode wrote; none is no rules. Errors: Corrupt.
func Decode(raw []byte) ([]Rule, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var rules []Rule
	if err := json.Unmarshal(raw, &rules); err != nil {
		return nil, errs.E("lifecycle.Decode", errs.Corrupt, errs.Config, Document).With(err)
	}
	return rules, nil
}

// Names reports whether the rule is for objects and uploads of the name.
func (r *Rule) Names(name naming.ObjectName) bool {
	return !r.Disabled && strings.HasPrefix(string(name), r.Prefix)
}

// Matches reports whether the rule is for the version.
func (r *Rule) Matches(v *object.Version) bool {
	if !r.Names(v.Name) || r.Larger != nil && v.Size <= *r.Larger || r.Smaller != nil && v.Size >= *r.Smaller {
		return false
	}
	for _, want := range r.Tags {
		found := false
		for _, t := range v.Tags {
			found = found || t == want
		}
		if !found {
			return false
		}
	}
	return true
}

// Before is the time up to which versions, covers or uploads are due under "days" at now: a period ends at the midnight (UTC) after its last
// day. A day shorter than 24 hours is for tests, and is not rounded.
func Before(now time.Time, days int, day time.Duration) time.Time {
	if day >= Day {
		now = now.UTC().Truncate(Day)
	}
	return now.Add(-time.Duration(days) * day)
}

// Expiry tells when the newest version v is going to expire, and by which rule; the earliest, and the zero time for never.
func Expiry(rules []Rule, v *object.Version) (at time.Time, id string) {
	if v.Kind == object.DeleteMarker {
		return at, ""
	}
	for i := range rules {
		r := &rules[i]
		if r.Days == 0 && r.Date.IsZero() || !r.Matches(v) {
			continue
		}
		when := r.Date
		if r.Days > 0 {
			when = v.Modified().Add(time.Duration(r.Days)*Day + Day - 1).Truncate(Day)
		}
		if at.IsZero() || when.Before(at) {
			at, id = when, r.ID
		}
	}
	return at, id
}
