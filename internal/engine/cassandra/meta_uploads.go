package cassandra

import (
	"context"
	"encoding/json"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// An upload is a cell of its own, with its parts as rows. The commit that finishes it holds it first, so that neither an abort nor a part
// comes between; then the object's cell decides; then the upload is closed, or reopened when the commit failed.
type head struct {
	State  upState
	Record []byte
	By     gocql.UUID // the commit that holds or held it
	Parts  int64
	Bytes  int64
	Done   []byte // completion
}

type upState uint8

const (
	upOpen upState = iota + 1
	upHeld
	upCompleted
	upGone
)

func (h *head) usage() meta.Usage {
	if h == nil {
		return meta.Usage{}
	}
	return meta.Usage{UploadParts: h.Parts, UploadBytes: h.Bytes}
}

func cellOf(k meta.UploadKey) cellKey { return cellKey{k.Container, k.Name, k.ID} }

func noUpload(op string, k meta.UploadKey) error { return errs.E(op, errs.NotFound, errs.Upload, k.ID) }

// parseHead reads the state of an upload, nil when there never was one.
func parseHead(raw []byte) (*head, error) {
	if raw == nil {
		return nil, nil
	}
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		return nil, errs.Wrap("cassandra.Meta.upload", errs.Corrupt, err)
	}
	return &h, nil
}

// into puts the state into a mutation.
func (h *head) into(mut *mutation) (*mutation, error) {
	raw, err := json.Marshal(h)
	mut.head = raw
	return mut, err
}

func (m *Meta) head(ctx context.Context, k meta.UploadKey, level gocql.Consistency) (*head, error) {
	c, err := m.cell(ctx, cellOf(k), level)
	if err != nil {
		return nil, err
	}
	return parseHead(c.head)
}

// open is the state of an open upload, NotFound otherwise. One that a commit holds is open until the commit is in the object's cell.
func (m *Meta) open(ctx context.Context, op string, k meta.UploadKey) (*head, error) {
	h, err := m.head(ctx, k, gocql.LocalQuorum)
	switch {
	case err != nil:
		return nil, fail(op, err)
	case h == nil, h.State > upHeld:
		return nil, noUpload(op, k)
	case h.State == upOpen:
		return h, nil
	}
	c, err := m.cell(ctx, cellKey{container: k.Container, name: k.Name}, gocql.LocalQuorum)
	if err != nil {
		return nil, fail(op, err)
	}
	if c.remembers(h.By) != nil {
		return nil, noUpload(op, k)
	}
	return h, nil
}

// checkOpen tests that a commit may finish its upload: it is open, or held by this commit.
func (m *Meta) checkOpen(ctx context.Context, c meta.Change, id gocql.UUID) error {
	k := meta.UploadKey{Container: c.Container, Name: c.Name, ID: c.Upload}
	h, err := m.open(ctx, "cassandra.Meta.Commit", k)
	if err != nil {
		return err
	}
	if h.State == upHeld && h.By != id {
		return errs.E("cassandra.Meta.Commit", errs.Busy, errs.Upload, c.Upload)
	}
	return nil
}

// alterUpload changes an open upload. While a commit holds it, it is waited for what becomes of it, for some seconds.
func (m *Meta) alterUpload(ctx context.Context, op string, k meta.UploadKey, ch *change, fn func(c *cell, h *head) (*mutation, error)) error {
	for n := range attempts {
		held := false
		err := m.apply(ctx, ch, func(c *cell) (*mutation, error) {
			h, err := parseHead(c.head)
			switch {
			case err != nil:
				return nil, err
			case h == nil, h.State > upHeld:
				return nil, noUpload(op, k)
			case h.State == upHeld:
				held = true
				return nil, errs.E(op, errs.Busy, errs.Upload, k.ID)
			}
			return fn(c, h)
		})
		if !held {
			return err
		}
		*ch = *newChange(ch.cellKey, ch.puts, ch.note)
		if err := pause(ctx, n); err != nil {
			return fail(op, err)
		}
	}
	return errs.E(op, errs.Busy, errs.Upload, k.ID)
}

// hold closes an upload to all but the commit.
func (m *Meta) hold(ctx context.Context, k meta.UploadKey, by gocql.UUID) error {
	ch := newChange(cellOf(k), false, note{})
	return m.apply(ctx, ch, func(c *cell) (*mutation, error) {
		h, err := parseHead(c.head)
		switch {
		case err != nil:
			return nil, err
		case h == nil, h.State > upHeld:
			return nil, noUpload("cassandra.Meta.Commit", k)
		case h.State == upHeld && h.By == by:
			return nil, nil
		case h.State == upHeld:
			return nil, errs.E("cassandra.Meta.Commit", errs.Busy, errs.Upload, k.ID)
		}
		h.State, h.By = upHeld, by
		return h.into(c.keep())
	})
}

// reopen opens an upload again whose commit failed.
func (m *Meta) reopen(ctx context.Context, k meta.UploadKey, by gocql.UUID) error {
	ch := newChange(cellOf(k), false, note{})
	return m.apply(ctx, ch, func(c *cell) (*mutation, error) {
		h, err := parseHead(c.head)
		if err != nil || h == nil || h.State != upHeld || h.By != by {
			return nil, err
		}
		h.State, h.By = upOpen, gocql.UUID{}
		return h.into(c.keep())
	})
}

// close ends an upload whose commit succeeded: it is remembered as completed, and its parts go.
func (m *Meta) close(ctx context.Context, object cellKey, by gocql.UUID, end closing) error {
	k := meta.UploadKey{Container: object.container, Name: object.name, ID: end.Upload}
	ch := newChange(cellOf(k), false, note{})
	return m.apply(ctx, ch, func(c *cell) (*mutation, error) {
		h, err := parseHead(c.head)
		if err != nil || h == nil || h.State != upHeld || h.By != by {
			return nil, err // done already
		}
		mut, err := h.over(c, upCompleted)
		mut.effects.Done = end.At
		if err != nil {
			return nil, err
		}
		h.Done = end.Completion
		return h.into(mut)
	})
}

// over is the end of an upload.
func (h *head) over(c *cell, s upState) (*mutation, error) {
	u, err := meta.ParseUpload(meta.UploadKey{}, h.Record)
	mut := c.keep()
	mut.rows = 0
	mut.effects = effects{Account: u.Account, Delta: h.usage().Neg(), Parts: true}
	h.State, h.Record, h.Parts, h.Bytes = s, nil, 0, 0
	if err != nil {
		return mut, err
	}
	return h.into(mut)
}

// dropPartsOf takes away the names that the parts of a finished upload gave, and the parts.
func (m *Meta) dropPartsOf(ctx context.Context, k cellKey) error {
	for after := int64(-1); ; {
		rows, err := m.partRows(ctx, k, after)
		if err != nil {
			return err
		}
		g, gctx := limited(ctx)
		for _, r := range rows {
			after = r.seq
			g.Go(func() error {
				p, err := meta.ParsePart(r.rec)
				if err != nil {
					return err
				}
				return m.unname(gctx, p.Content.Holder, r.namer, zeroDeath(), nil)
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if len(rows) < partsAtOnce {
			break
		}
	}
	if err := m.s.exec(ctx, dropParts, k.args()...); err != nil {
		return err
	}
	return m.list(ctx, uploadsOf(k.container), uploadPlace(k.name, k.upload), nil, 2)
}

// Begin opens an upload; see meta.Uploads.
func (m *Meta) Begin(ctx context.Context, u meta.Upload) error {
	const op = "cassandra.Meta.Begin"
	ch := newChange(cellOf(u.UploadKey), true, note{})
	record := meta.AppendUpload(nil, &u)
	return m.apply(ctx, ch, func(c *cell) (*mutation, error) {
		h, err := parseHead(c.head)
		switch {
		case err != nil:
			return nil, err
		case h != nil && h.State == upOpen:
			return nil, nil
		case h != nil:
			return nil, errs.E(op, errs.Conflict, errs.Upload, u.ID) // it was used before: a mistake of the caller
		}
		// The index of open uploads is checked against the upload when it is read.
		if err := m.list(ctx, uploadsOf(u.Container), uploadPlace(u.Name, u.ID), []byte{1}, 1); err != nil {
			return nil, err
		}
		return (&head{State: upOpen, Record: record}).into(c.keep())
	})
}

// FindUpload finds an open upload; see meta.Uploads.
func (m *Meta) FindUpload(ctx context.Context, k meta.UploadKey) (meta.Upload, error) {
	h, err := m.open(ctx, "cassandra.Meta.FindUpload", k)
	if err != nil {
		return meta.Upload{}, err
	}
	return meta.ParseUpload(k, h.Record)
}

// PutPart stores or replaces a part; see meta.Uploads.
func (m *Meta) PutPart(ctx context.Context, k meta.UploadKey, p meta.Part, limits meta.Limits) error {
	const op = "cassandra.Meta.PutPart"
	n := note{Holder: p.Content.Holder}
	if !limits.IsZero() {
		u, err := m.FindUpload(ctx, k)
		if err != nil && !errs.Is(err, errs.NotFound) { // that comes after the seal
			return err
		}
		n.Account = u.Account
	}
	ch := newChange(cellOf(k), true, n)
	return m.alterUpload(ctx, op, k, ch, func(c *cell, h *head) (*mutation, error) {
		u, err := meta.ParseUpload(k, h.Record)
		if err != nil {
			return nil, err
		}
		old, err := m.rowOf(ctx, getRow, ch.cellKey, int64(p.Number))
		if err != nil {
			return nil, err
		}
		mut, delta := c.keep(), meta.Usage{UploadParts: 1, UploadBytes: p.Size}
		mut.rows++
		if old != nil {
			was, err := meta.ParsePart(old.rec)
			if err != nil {
				return nil, err
			}
			mut.rows--
			delta = delta.Add(meta.Usage{UploadParts: -1, UploadBytes: -was.Size})
			mut.effects.Unname = []name{{was.Content.Holder, old.namer, zeroDeath()}}
		}
		if !ch.prepared {
			ch.prepared = true
			if ch.used, err = m.name(ctx, p.Content.Holder, ch.id); err != nil {
				return nil, err
			}
		}
		if err := m.allow(ctx, ch, limits, delta); err != nil {
			return nil, err
		}
		mut.put = []row{{seq: int64(p.Number), rec: meta.AppendPart(nil, &p), namer: ch.id}}
		mut.effects.Account, mut.effects.Delta = u.Account, delta
		h.Parts, h.Bytes = h.Parts+delta.UploadParts, h.Bytes+delta.UploadBytes
		return h.into(mut)
	})
}

// Parts lists the parts of an open upload; see meta.Uploads.
func (m *Meta) Parts(ctx context.Context, k meta.UploadKey, after int, fn func(meta.Part) bool) error {
	const op = "cassandra.Meta.Parts"
	if _, err := m.open(ctx, op, k); err != nil {
		return err
	}
	for {
		rows, err := m.partRows(ctx, cellOf(k), int64(after))
		if err != nil {
			return fail(op, err)
		}
		for _, r := range rows {
			p, err := meta.ParsePart(r.rec)
			if err != nil {
				return fail(op, err)
			}
			if !fn(p) {
				return nil
			}
			after = p.Number
		}
		if len(rows) < partsAtOnce {
			return nil
		}
	}
}

// partsAtOnce is how many parts are read at once.
const partsAtOnce = 200

// partRows reads parts behind a number.
func (m *Meta) partRows(ctx context.Context, k cellKey, after int64) (rows []row, err error) {
	err = m.s.rows(ctx, listParts, append(k.args(), after, partsAtOnce), partsAtOnce, func(it *gocql.Iter) bool {
		var r row
		ok := it.Scan(&r.seq, &r.rec, &r.namer)
		if ok {
			rows = append(rows, r)
		}
		return ok
	})
	return rows, err
}

// Pending lists the open uploads of a container; see meta.Uploads.
func (m *Meta) Pending(ctx context.Context, id naming.ContainerID, name naming.ObjectName, after string, fn func(meta.Upload) bool) error {
	const op = "cassandra.Meta.Pending"
	at := append(uploadPlace(name, after), 0)
	for at != nil {
		rows, next, err := m.page(ctx, uploadsOf(id), at, nil, pendingPage)
		if err != nil {
			return fail(op, err)
		}
		for _, r := range rows {
			k := meta.UploadKey{Container: id}
			if k.Name, k.ID, err = parseUploadPlace(r.key); err != nil {
				return fail(op, err)
			}
			u, err := m.FindUpload(ctx, k)
			if errs.IsThing(err, errs.NotFound, errs.Upload) {
				continue
			}
			if err != nil {
				return fail(op, err)
			}
			if !fn(u) {
				return nil
			}
		}
		at = next
	}
	return nil
}

// pendingPage is how many open uploads are read at once.
const pendingPage = 100

// Abort forgets an open upload and its parts; see meta.Uploads.
func (m *Meta) Abort(ctx context.Context, k meta.UploadKey) error {
	ch := newChange(cellOf(k), false, note{})
	return m.alterUpload(ctx, "cassandra.Meta.Abort", k, ch, func(c *cell, h *head) (*mutation, error) {
		return h.over(c, upGone)
	})
}

// Completed tells what a finished upload became; see meta.Uploads.
func (m *Meta) Completed(ctx context.Context, k meta.UploadKey) (meta.Completion, error) {
	const op = "cassandra.Meta.Completed"
	h, err := m.head(ctx, k, gocql.LocalQuorum)
	switch {
	case err != nil:
		return meta.Completion{}, fail(op, err)
	case h == nil, h.State != upCompleted:
		return meta.Completion{}, noUpload(op, k)
	}
	return meta.ParseCompletion(k.Name, h.Done)
}

// forgetCompletions forgets what finished uploads became, after meta.CompletedFor.
func (m *Meta) forgetCompletions(ctx context.Context, now time.Time) error {
	until := now.Add(-meta.CompletedFor).UnixMicro() - 1
	return m.walkTimed(ctx, timedCompleted, upTo(timedCompleted, until), func(r timedRow) (bool, error) {
		k, err := parseKey(r.id)
		if err != nil {
			return false, err
		}
		err = m.apply(ctx, newChange(k, false, note{}), func(c *cell) (*mutation, error) {
			h, err := parseHead(c.head)
			if err != nil || h == nil || h.State != upCompleted {
				return nil, err
			}
			h.State, h.Done = upGone, nil
			return h.into(c.keep())
		})
		if err != nil {
			return false, err
		}
		return true, m.unindexIn(ctx, timedCompleted, r)
	})
}
