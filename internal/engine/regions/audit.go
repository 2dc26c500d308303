package regions

import (
	"context"
	"slices"
	"strings"

	"pithos/internal/store/meta"
)

var _ meta.Auditor = (*Store)(nil)

// AuditBodies goes through the regions one after the other; see meta.Auditor. A place is a region's name, a colon and the place there. A region that does not answer is
// left out, and so is one whose engine cannot do it; when there is no other, the former is the error.
func (s *Store) AuditBodies(ctx context.Context, from string, limit int64, found func(meta.BodyAudit) error) (next string, read int64, err error) {
	name, place, _ := strings.Cut(from, ":")
	for at := max(slices.IndexFunc(s.list, func(r *region) bool { return r.name == name }), 0); at < len(s.list); at++ {
		r := s.list[at]
		if read > 0 && read >= limit {
			return r.name + ":", read, nil
		}
		inner, n, err := r.audit(ctx, place, limit-read, found)
		read, place = read+n, ""
		switch {
		case err != nil && (!silent(err) || len(s.list) == 1):
			return r.name + ":" + inner, read, err
		case err != nil:
			s.log.WarnContext(ctx, "a region does not answer and is left out", "region", r.name, "of", "the scrub of bytes kept with versions", "error", err)
		case inner != "":
			return r.name + ":" + inner, read, nil
		}
	}
	return "", read, nil
}

func (r *region) audit(ctx context.Context, from string, limit int64, found func(meta.BodyAudit) error) (next string, read int64, err error) {
	store, err := r.at()
	if err != nil {
		return from, 0, err
	}
	a, ok := store.(meta.Auditor)
	if !ok {
		return "", 0, nil
	}
	return a.AuditBodies(ctx, from, limit, found)
}
