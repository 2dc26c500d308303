package cassandra

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

var (
	addRedo   = statement{`INSERT INTO %k.redo (container, name, upload, id, rec) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP 1`, plainWrite, gocql.LocalQuorum}
	takeRedo  = statement{`INSERT INTO %k.redo (container, name, upload, id, taken) VALUES (?, ?, ?, ?, true) USING TIMESTAMP 2`, plainWrite, gocql.LocalQuorum}
	dropRedo  = statement{`DELETE FROM %k.redo USING TIMESTAMP 3 WHERE container = ? AND name = ? AND upload = ? AND id = ?`, plainWrite, gocql.LocalQuorum}
	getRedo   = statement{`SELECT rec FROM %k.redo WHERE container = ? AND name = ? AND upload = ? AND id = ?`, pointRead, gocql.LocalQuorum}
	cellRedos = statement{`SELECT name, upload, id, taken FROM %k.redo WHERE container = ? AND name = ? AND upload = ?`, sliceRead, gocql.LocalQuorum}
	fromRedos = statement{`SELECT name, upload, id, taken FROM %k.redo WHERE container = ? AND name >= ?`, sliceRead, gocql.LocalQuorum}
)

// note is the part of a redo row that says what to undo when the change did not come to pass.
type note struct {
	Holder block.Holder // it was named by the change
	Upload string       // it was being finished by the change
	// Account is whose quota the change reserved from, besides the container's; "" when there was no quota.
	Account naming.AccountID
}

// redo is the redo row of a change.
type redo struct {
	cellKey
	id    gocql.UUID
	taken bool // somebody else is settling it; the change must not go on
}

// begin writes the redo row and its place in the index.
func (m *Meta) begin(ctx context.Context, ch *change) error {
	rec, err := json.Marshal(ch.note)
	if err != nil {
		return err
	}
	ch.begun = m.clock.Now().UnixMicro()
	g, gctx := limited(ctx)
	g.Go(func() error { return m.s.exec(gctx, addRedo, append(ch.args(), ch.id, rec)...) })
	g.Go(func() error { return m.index(gctx, timedRedo, ch.begun, ch.id[:], appendKey(nil, ch.cellKey)) })
	return g.Wait()
}

// end removes the redo row.
func (m *Meta) end(ctx context.Context, k cellKey, id gocql.UUID, begun int64) error {
	if err := m.s.exec(ctx, dropRedo, append(k.args(), id)...); err != nil {
		return err
	}
	return m.unindex(ctx, timedRedo, begun, id[:])
}

// look reads, after the cell, what forbids the change: the seal, and that its redo row was taken. It gives the redo rows of others.
func (m *Meta) look(ctx context.Context, ch *change) (others []redo, err error) {
	const op = "cassandra.Meta.look"
	if ch.puts {
		state, _, err := m.sealOf(ctx, ch.container, gocql.LocalQuorum)
		if err != nil {
			return nil, fail(op, err)
		}
		if state != unsealed {
			return nil, errs.E(op, errs.NotFound, errs.Container, ch.container.String())
		}
	}
	mine := false
	err = m.s.rows(ctx, cellRedos, ch.args(), 100, func(it *gocql.Iter) bool {
		r, ok := scanRedo(it, ch.container)
		switch {
		case ok && r.id == ch.id:
			mine = !r.taken
		case ok:
			others = append(others, r)
		}
		return ok
	})
	if err == nil && !mine {
		return nil, errs.E(op, errs.Busy, errs.Object, string(ch.name))
	}
	return others, fail(op, err)
}

func scanRedo(it *gocql.Iter, container naming.ContainerID) (redo, bool) {
	r := redo{cellKey: cellKey{container: container}}
	var name []byte
	ok := it.Scan(&name, &r.upload, &r.id, &r.taken)
	r.name = naming.ObjectName(name)
	return r, ok
}

// redosFrom is the redo rows of a container from a name on, at most limit of them; limit 0: all.
func (m *Meta) redosFrom(ctx context.Context, id naming.ContainerID, from naming.ObjectName, limit int) ([]redo, error) {
	var list []redo
	err := m.s.rows(ctx, fromRedos, []any{gocql.UUID(id), []byte(from)}, 500, func(it *gocql.Iter) bool {
		r, ok := scanRedo(it, id)
		if ok {
			list = append(list, r)
		}
		return ok && (limit == 0 || len(list) < limit)
	})
	return list, err
}

// settleAfter is how long a change may be under way before another process settles it.
const settleAfter = 5 * time.Minute

// settleOld brings changes to an end whose process died or gave up.
func (m *Meta) settleOld(ctx context.Context) error {
	return m.walkTimed(ctx, timedRedo, upTo(m.clock.Now().Add(-settleAfter).UnixMicro()), func(r timedRow) (bool, error) {
		k, err := parseKey(r.val)
		if err != nil {
			return false, err
		}
		return true, m.settle(ctx, k, gocql.UUID(r.id), r.at)
	})
}

// settle brings a change to its end: its effects about if it came to pass, else what it had prepared away. First the redo row is marked and
// the generation raised, so that the change, if its process lives, cannot be applied any more.
func (m *Meta) settle(ctx context.Context, k cellKey, id gocql.UUID, begun int64) error {
	var rec []byte
	found, err := m.s.one(ctx, getRedo, append(k.args(), id), &rec)
	if err != nil {
		return err
	}
	if !found || rec == nil {
		return m.end(ctx, k, id, begun)
	}
	if err := m.s.exec(ctx, takeRedo, append(k.args(), id)...); err != nil {
		return err
	}
	if err := m.fence(ctx, k); err != nil {
		return err
	}
	c, err := m.cell(ctx, k, m.s.serial)
	if err != nil {
		return err
	}
	var n note
	if err := json.Unmarshal(rec, &n); err != nil {
		return errs.Wrap("cassandra.Meta.settle", errs.Corrupt, err)
	}
	if raw := c.remembers(id); raw != nil {
		var e effects
		if len(raw) > len(id) {
			if err := json.Unmarshal(raw, &e); err != nil {
				return errs.Wrap("cassandra.Meta.settle", errs.Corrupt, err)
			}
			if err := m.bring(ctx, k, e); err != nil {
				return err
			}
		}
		if n.Account != "" {
			if err := m.unreserve(ctx, id, n.Account, k.container); err != nil {
				return err
			}
		}
		return m.end(ctx, k, id, begun)
	}
	if stands, err := m.made(ctx, k, id); err != nil || stands {
		if err == nil {
			err = m.end(ctx, k, id, begun) // a redo row that came back after its change had ended
		}
		return err
	}
	if err := m.undo(ctx, k, id, n, nil); err != nil {
		return err
	}
	return m.end(ctx, k, id, begun)
}

// made reports whether a row stands that the change made.
func (m *Meta) made(ctx context.Context, k cellKey, id gocql.UUID) (stands bool, err error) {
	err = m.s.rows(ctx, listRows, append(k.args(), int64(1<<63-1)), 200, func(it *gocql.Iter) bool {
		var r row
		ok := it.Scan(&r.seq, &r.rec, &r.namer)
		stands = stands || ok && r.namer == id
		return ok && !stands
	})
	return stands, err
}

// undo takes back what a change had prepared. restore is the intent that its holder had.
func (m *Meta) undo(ctx context.Context, k cellKey, id gocql.UUID, n note, restore *int64) error {
	if n.Upload != "" {
		if err := m.reopen(ctx, meta.UploadKey{Container: k.container, Name: k.name, ID: n.Upload}, id); err != nil {
			return err
		}
	}
	if n.Account != "" {
		if err := m.unreserve(ctx, id, n.Account, k.container); err != nil {
			return err
		}
	}
	return m.unname(ctx, n.Holder, id, zeroDeath(), restore)
}

// appendKey writes a cell's key: the container, the length of the name, the name, the upload.
func appendKey(dst []byte, k cellKey) []byte {
	dst = append(dst, k.container[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(k.name)))
	dst = append(dst, k.name...)
	return append(dst, k.upload...)
}

func parseKey(raw []byte) (cellKey, error) {
	var k cellKey
	const head = len(k.container) + 4
	if len(raw) < head || uint64(len(raw)-head) < uint64(binary.BigEndian.Uint32(raw[head-4:])) {
		return k, errs.E("cassandra.Meta.parseKey", errs.Corrupt, errs.Object, "")
	}
	copy(k.container[:], raw)
	n := int(binary.BigEndian.Uint32(raw[head-4:]))
	k.name, k.upload = naming.ObjectName(raw[head:head+n]), string(raw[head+n:])
	return k, nil
}
