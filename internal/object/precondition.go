package object

import (
	"slices"
	"time"

	"pithos/internal/errs"
)

// Precondition is what a client demands of the current version before its request may take effect. The zero value
// demands nothing. ETags are without quotes and without a weak prefix; each may be an MD5-style ETag or the
// hexadecimal root hash ("all accept both in conditions", Pithos+ 16); "*" is any version.
type Precondition struct {
	IfMatch           []string
	IfNoneMatch       []string
	IfModifiedSince   time.Time // zero: not asked
	IfUnmodifiedSince time.Time
	IfVersion         VersionID // the current version is this one
	IfSize            *int64    // x-amz-if-match-size, deletes only
	IfModifiedAt      time.Time // x-amz-if-match-last-modified-time, deletes only; compared in whole seconds
}

// IsZero reports whether nothing is demanded.
func (p *Precondition) IsZero() bool {
	return len(p.IfMatch) == 0 && len(p.IfNoneMatch) == 0 && p.IfModifiedSince.IsZero() && p.IfUnmodifiedSince.IsZero() &&
		p.IfVersion == 0 && p.IfSize == nil && p.IfModifiedAt.IsZero()
}

// CheckWrite tests p against the current version, nil when the name has none or a delete marker.
// Errors: NotFound (If-Match on a missing object, as AWS answers), Precondition.
func (p *Precondition) CheckWrite(cur *Version) error {
	const op = "object.Precondition.CheckWrite"
	if p.IsZero() {
		return nil
	}
	if cur == nil || !cur.Visible() {
		if len(p.IfMatch) > 0 || p.IfVersion != 0 || p.IfSize != nil || !p.IfModifiedAt.IsZero() {
			return errs.E(op, errs.NotFound, errs.Object, "")
		}
		return nil
	}
	failed := errs.E(op, errs.Precondition, errs.Object, string(cur.Name))
	switch {
	case len(p.IfMatch) > 0 && !matches(p.IfMatch, cur),
		len(p.IfNoneMatch) > 0 && matches(p.IfNoneMatch, cur),
		p.IfVersion != 0 && p.IfVersion != cur.ID,
		p.IfSize != nil && *p.IfSize != cur.Size,
		!p.IfModifiedAt.IsZero() && !p.IfModifiedAt.Equal(cur.Modified().Truncate(time.Second)),
		len(p.IfMatch) == 0 && !p.IfUnmodifiedSince.IsZero() && cur.Modified().Truncate(time.Second).After(p.IfUnmodifiedSince):
		return failed
	}
	return nil
}

// CheckRead tests p against the version about to be read, in the order of RFC 9110 section 13.2.2.
// Errors: Precondition, NotModified.
func (p *Precondition) CheckRead(v *Version) error {
	const op = "object.Precondition.CheckRead"
	if p.IsZero() {
		return nil
	}
	modified := v.Modified().Truncate(time.Second)
	switch {
	case len(p.IfMatch) > 0:
		if !matches(p.IfMatch, v) {
			return errs.E(op, errs.Precondition, errs.Object, string(v.Name))
		}
	case !p.IfUnmodifiedSince.IsZero() && modified.After(p.IfUnmodifiedSince):
		return errs.E(op, errs.Precondition, errs.Object, string(v.Name))
	}
	switch {
	case len(p.IfNoneMatch) > 0:
		if matches(p.IfNoneMatch, v) {
			return errs.E(op, errs.NotModified, errs.Object, string(v.Name))
		}
	case !p.IfModifiedSince.IsZero() && !modified.After(p.IfModifiedSince):
		return errs.E(op, errs.NotModified, errs.Object, string(v.Name))
	}
	return nil
}

func matches(tags []string, v *Version) bool {
	return slices.ContainsFunc(tags, func(t string) bool {
		return t == "*" || t == v.ETag || t == v.RootHash.String()
	})
}
