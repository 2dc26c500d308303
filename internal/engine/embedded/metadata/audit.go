package metadata

import (
	"bytes"
	"context"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

var _ meta.Auditor = (*Store)(nil)

// auditRows bounds the versions that one call of AuditBodies looks at.
const auditRows = 8192

// AuditBodies implements meta.Auditor. It walks the heads and the history, so that it misses bytes that are gone, too. A place is the key of the last row.
func (s *Store) AuditBodies(ctx context.Context, from string, limit int64, found func(meta.BodyAudit) error) (next string, read int64, err error) {
	const op = "metadata.AuditBodies"
	if err := s.enter(ctx, op); err != nil {
		return from, 0, err
	}
	defer s.gate.Leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceLive}, UpperBound: []byte{spaceHistory + 1}})
	if err != nil {
		return from, 0, wrap(err)
	}
	defer func() { _ = it.Close() }()
	ok := it.SeekGE(append([]byte(from), 0))
	for rows := 0; ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return from, read, errs.Wrap(op, errs.Canceled, err)
		}
		if rows++; rows > auditRows || read >= limit {
			return from, read, nil
		}
		raw, err := it.ValueAndErr()
		if err != nil {
			return from, read, wrap(err)
		}
		a, keeps := s.auditRow(it.Key(), raw)
		read += int64(len(raw)) + a.Bytes
		if keeps {
			if err := found(a); err != nil {
				return from, read, err
			}
		}
		from = string(it.Key())
	}
	return "", read, wrap(it.Error())
}

// auditRow looks at the version in a row of a head or of the history. keeps is false when it keeps no bytes, or has gone in between. A record that cannot be read
// is damage too: nobody can tell what it keeps, and nobody is served.
func (s *Store) auditRow(key, raw []byte) (a meta.BodyAudit, keeps bool) {
	if len(key) < prefixLen {
		return a, false // fsck tells of it
	}
	a.Container, a.Name = naming.ContainerID(key[1:prefixLen]), naming.ObjectName(key[prefixLen:])
	which := meta.Which{}
	if key[0] == spaceHistory {
		a.Container, a.Name, a.ID, _ = cutVersionKey(key)
		which = meta.Which{By: meta.ByID, ID: a.ID}
	}
	r, v, err := parseVersionRow(s.db, bytes.Clone(raw), a.Container, a.Name)
	if err == nil {
		a.ID, which = v.ID, meta.Which{By: meta.ByID, ID: v.ID}
		err = withBody(s.db, a.Container, r, v)
	}
	if err != nil { // under the lock of the name, rows that change together are seen together
		v, err = s.find(s.stripe(a.Container, a.Name), a.Container, a.Name, which)
	}
	switch {
	case errs.Is(err, errs.NotFound):
		return a, false
	case errs.Is(err, errs.Corrupt):
		a.Damaged = true
		return a, true
	case err != nil:
		a.Err = err
		return a, true
	}
	body := v.Content.Map.Kept
	a.ID, a.Bytes = v.ID, int64(len(body))
	if !v.Content.Keeps() {
		return a, false
	}
	a.Damaged = block.Sum(body) != v.Content.Map.Refs[0].ID
	return a, true
}
