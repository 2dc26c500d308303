package cassandra

import (
	"context"
	"errors"
	"math"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// stored is a version with the change that named its holder.
type stored struct {
	*object.Version
	namer gocql.UUID
}

// parse reads a row of a name's cell.
func (r *row) parse(name naming.ObjectName) (*stored, error) {
	v, err := object.ParseVersion(r.rec)
	if err != nil {
		return nil, err
	}
	v.Name = name
	if len(r.body) > 0 {
		v.Content.Map.Kept = r.body
	}
	return &stored{v, r.namer}, nil
}

func (s *stored) version() *object.Version {
	if s == nil {
		return nil
	}
	return s.Version
}

// state is what Plan has to know, with the namers of what may be dropped.
type state struct {
	meta.State
	namers map[object.VersionID]gocql.UUID
}

// seqOf is a version id as a row's number. Ids are microseconds, so they fit; greater ones stand for "the newest".
func seqOf(id object.VersionID) int64 { return int64(min(id, math.MaxInt64)) }

// version reads one version, nil when there is none: the one with the id (exact), or the newest with that id or less.
func (m *Meta) version(ctx context.Context, st statement, k cellKey, seq int64) (*stored, error) {
	r, err := m.rowOf(ctx, st, k, seq)
	if err != nil || r == nil {
		return nil, err
	}
	return r.parse(k.name)
}

// find reads the version that w names, from a cell that was read.
func (m *Meta) find(ctx context.Context, k cellKey, c *cell, w meta.Which) (*stored, error) {
	switch {
	case c.first == nil:
		return nil, nil
	case w.By == meta.Newest:
		return c.first.parse(k.name)
	case w.By == meta.TheNull && c.nullseq == nil:
		return nil, nil
	case w.By == meta.TheNull:
		return m.at(ctx, k, c, *c.nullseq)
	case w.By == meta.ByID:
		return m.at(ctx, k, c, seqOf(w.ID))
	}
	before := seqOf(object.IDAt(w.At)) - 1
	if c.first.seq <= before {
		return c.first.parse(k.name)
	}
	return m.version(ctx, firstRow, k, before)
}

func (m *Meta) at(ctx context.Context, k cellKey, c *cell, seq int64) (*stored, error) {
	if c.first != nil && c.first.seq == seq {
		return c.first.parse(k.name)
	}
	return m.version(ctx, getRow, k, seq)
}

// Get finds a version; see meta.Versions.
func (m *Meta) Get(ctx context.Context, id naming.ContainerID, name naming.ObjectName, which meta.Which) (*object.Version, error) {
	const op = "cassandra.Meta.Get"
	k := cellKey{container: id, name: name}
	c, err := m.cell(ctx, k, gocql.LocalQuorum)
	switch {
	case err != nil:
		return nil, fail(op, err)
	case c.first == nil:
		return nil, errs.E(op, errs.NotFound, errs.Object, string(name))
	}
	v, err := m.find(ctx, k, c, which)
	switch {
	case err != nil:
		return nil, fail(op, err)
	case v == nil:
		return nil, errs.E(op, errs.NotFound, errs.Version, string(name))
	}
	v.Latest = int64(v.ID) == c.first.seq
	return v.Version, nil
}

// stateOf reads what Plan has to know.
func (m *Meta) stateOf(ctx context.Context, k cellKey, c *cell, ch meta.Change) (state, error) {
	s := state{namers: map[object.VersionID]gocql.UUID{}}
	newest, err := m.find(ctx, k, c, meta.Which{By: meta.Newest})
	if err != nil || newest == nil {
		return s, err
	}
	var null, target, second *stored
	if ch.Op == meta.Put {
		null, err = m.find(ctx, k, c, meta.Which{By: meta.TheNull})
	} else {
		target, err = m.find(ctx, k, c, ch.Target)
	}
	if err == nil && target != nil && target.ID == newest.ID && c.rows > 1 {
		second, err = m.version(ctx, firstRow, k, c.first.seq-1)
	}
	for _, v := range []*stored{newest, null, target, second} {
		if v != nil {
			s.namers[v.ID] = v.namer
		}
	}
	s.Newest, s.Null, s.Target, s.Second = newest.Version, null.version(), target.version(), second.version()
	return s, err
}

// Commit applies one change to one name; see meta.Versions.
func (m *Meta) Commit(ctx context.Context, c meta.Change) (meta.Outcome, error) {
	var out meta.Outcome
	k := cellKey{container: c.Container, name: c.Name}
	n := note{Upload: c.Upload}
	if c.Op == meta.Put {
		n.Holder = c.Version.Content.Holder
	}
	if !c.Limits.IsZero() {
		n.Account = c.Account
	}
	ch := newChange(k, c.Op == meta.Put, n)
	err := m.apply(ctx, ch, func(cl *cell) (*mutation, error) {
		if c.Upload != "" {
			if err := m.checkOpen(ctx, c, ch.id); err != nil {
				return nil, err
			}
		}
		s, err := m.stateOf(ctx, k, cl, c)
		if err != nil {
			return nil, err
		}
		s.Gone = object.VersionID(cl.generation()) // no id that the name ever had is greater
		steps, err := meta.Plan(c, s.State)
		if err != nil {
			return nil, err
		}
		if err := m.prepare(ctx, ch, c, steps); err != nil {
			return nil, err
		}
		out = meta.Outcome{Version: steps.Add, Dropped: steps.Drop, Before: s.Newest}
		if c.Op == meta.Amend {
			out.Version = steps.Replace
		}
		return mutationOf(ch, cl, c, s, steps), nil
	})
	if err != nil {
		return meta.Outcome{}, err
	}
	return out, nil
}

// prepare does what a put needs before it can be applied: the source stands, the holder is named, the quotas hold, the upload is
// closed to others. After a lost attempt only the quotas are asked again, if the change is another now.
func (m *Meta) prepare(ctx context.Context, ch *change, c meta.Change, steps meta.Steps) error {
	first := !ch.prepared
	if first {
		if err := m.checkSource(ctx, c); err != nil {
			return err
		}
		ch.prepared = true // from here on there may be something to undo
		if c.Op == meta.Put {
			used, err := m.name(ctx, ch.note.Holder, ch.id)
			if err != nil {
				return err
			}
			ch.used = used
		}
	}
	if c.Upload == "" {
		return m.allow(ctx, ch, c.Limits, steps.Delta)
	}
	k := meta.UploadKey{Container: c.Container, Name: c.Name, ID: c.Upload}
	h, err := m.head(ctx, k, gocql.LocalQuorum)
	if err != nil {
		return err
	}
	if err := m.allow(ctx, ch, c.Limits, steps.Delta.Add(h.usage().Neg())); err != nil || !first {
		return err
	}
	return m.hold(ctx, k, ch.id)
}

// checkSource tests that the source of a copy stands. That its blocks stay is the holder's matter: naming fails when it is dead.
func (m *Meta) checkSource(ctx context.Context, c meta.Change) error {
	if c.Source == nil || c.Op != meta.Put {
		return nil
	}
	v, err := m.version(ctx, getRow, cellKey{container: c.Source.Container, name: c.Source.Name}, seqOf(c.Source.ID))
	if err != nil {
		return err
	}
	if v == nil || v.Content.Holder != c.Version.Content.Holder {
		return errs.E("cassandra.Meta.Commit", errs.Conflict, errs.Version, string(c.Source.Name))
	}
	return nil
}

// mutationOf turns the steps of a plan into a change of the cell and its effects.
func mutationOf(ch *change, cl *cell, c meta.Change, s state, steps meta.Steps) *mutation {
	mut := cl.keep()
	e := effects{Account: c.Account, Delta: steps.Delta}
	mut.least = c.Now.UnixMicro()
	for _, v := range steps.Drop {
		mut.drop = append(mut.drop, int64(v.ID))
		mut.rows--
		if v.Null {
			mut.nullseq = nil
		}
		e.Drop = append(e.Drop, markOf(v))
		if !v.Content.Holder.IsZero() {
			e.Unname = append(e.Unname, name{v.Content.Holder, s.namers[v.ID], c.Now.UnixMicro()})
		}
	}
	if v := steps.Add; v != nil {
		mut.put = append(mut.put, versionRow(v, ch.id))
		mut.rows++
		mut.least = max(mut.least, int64(v.ID))
		if v.Null {
			seq := int64(v.ID)
			mut.nullseq = &seq
		}
		e.Add = append(e.Add, markOf(v))
	}
	if v := steps.Replace; v != nil {
		mut.put = append(mut.put, amendedRow(v, s.namers[v.ID]))
	}
	e.Listed = &listed{}
	if steps.Newest != nil {
		e.Listed.Summary = object.AppendSummary(nil, &steps.Newest.Summary)
	}
	if c.Upload != "" && steps.Add != nil {
		done := meta.Completion{Version: steps.Add.ID, At: c.Now, Summary: steps.Add.Summary, Parts: steps.Add.Parts}
		e.Close = &closing{c.Upload, c.Now.UnixMicro(), meta.AppendCompletion(nil, &done)}
	}
	mut.effects = e
	return mut
}

// versionRow is the row of a new version.
func versionRow(v *object.Version, namer gocql.UUID) row {
	r := amendedRow(v, namer)
	r.body = v.Content.Map.Kept
	return r
}

// amendedRow is the row of a version whose body stands.
func amendedRow(v *object.Version, namer gocql.UUID) row {
	plain := *v
	plain.Content.Map.Kept = nil
	return row{seq: int64(v.ID), rec: object.AppendVersion(nil, &plain), namer: namer}
}

func markOf(v *object.Version) mark {
	k := mark{Seq: int64(v.ID), Kind: v.Kind}
	if !v.Expires.IsZero() {
		k.Expires = v.Expires.UnixMicro()
	}
	return k
}

// Changes lists the versions of a container by time; see meta.Indexes.
func (m *Meta) Changes(ctx context.Context, id naming.ContainerID, after object.VersionID, name naming.ObjectName, fn func(meta.Changed) bool) error {
	kind, from := timedChange+id.String(), seqOf(after)
	in := span{slotAt(kind, from), math.MaxInt64, from, math.MaxInt64}
	return fail("cassandra.Meta.Changes", m.walkTimed(ctx, kind, in, func(r timedRow) (bool, error) {
		c := meta.Changed{ID: object.VersionID(r.at), Name: naming.ObjectName(r.id)}
		if len(r.val) != 1 {
			return false, errs.E("cassandra.Meta.Changes", errs.Corrupt, errs.Version, string(c.Name))
		}
		c.Kind = object.Kind(r.val[0])
		if c.ID == after && c.Name <= name {
			return true, nil
		}
		return fn(c), nil
	}))
}

// Due lists versions that have expired; see meta.Indexes.
func (m *Meta) Due(ctx context.Context, until time.Time, limit int, fn func(meta.DueVersion) bool) error {
	const op = "cassandra.Meta.Due"
	if limit <= 0 {
		return nil
	}
	n := 0
	return fail(op, m.walkTimed(ctx, timedExpiry, upTo(timedExpiry, until.UnixMicro()), func(r timedRow) (bool, error) {
		d := meta.DueVersion{Account: naming.AccountID(r.val), Expires: time.UnixMicro(r.at).UTC()}
		if len(r.id) < len(d.Container)+8 {
			return false, errs.Wrap(op, errs.Corrupt, errors.New("torn row of the expiry index"))
		}
		copy(d.Container[:], r.id)
		rest := r.id[len(d.Container):]
		for _, b := range rest[:8] {
			d.ID = d.ID<<8 | object.VersionID(b)
		}
		d.Name = naming.ObjectName(rest[8:])
		n++
		return fn(d) && n < limit, nil
	}))
}
