package cassandra

import (
	"context"
	"encoding/binary"
	"slices"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

var _ meta.Auditor = (*Meta)(nil)

const (
	auditedCells = 64   // cells that are looked at before what was read is counted
	auditedMost  = 1024 // cells that one call of AuditBodies looks at
	auditedRows  = 64   // versions of one cell that are read at once, of each copy
	auditCost    = 256  // bytes that reading a row counts beside its record and body
)

var (
	walkCells    = statement{cql: `SELECT DISTINCT container, name, upload FROM %k.cell WHERE token(container, name, upload) > token(?, ?, ?) LIMIT ?`, class: ringScan, level: gocql.LocalQuorum}
	walkCellsAll = statement{cql: `SELECT DISTINCT container, name, upload FROM %k.cell LIMIT ?`, class: ringScan, level: gocql.LocalQuorum}
	auditRows    = statement{cql: `SELECT seq, rec, body FROM %k.cell WHERE container = ? AND name = ? AND upload = ? AND seq > ? ORDER BY seq ASC LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
)

// AuditBodies walks the cells around the ring and reads each copy of the bytes that are kept in them; see meta.Auditor. A place is the key of the last cell.
//
// Between values of equal timestamps Cassandra keeps the greater, not the right one, and a read at a quorum that meets both writes the winner over the loser. So the copies
// are read one by one, each by the host that has it, before the cell is read in any other way, and good bytes are written anew, by a transaction and therefore with a
// timestamp of their own, if the cell has not changed since.
func (m *Meta) AuditBodies(ctx context.Context, from string, limit int64, found func(meta.BodyAudit) error) (next string, read int64, err error) {
	const op = "cassandra.Meta.AuditBodies"
	near, err := m.s.near(ctx)
	if err != nil {
		return from, 0, fail(op, err)
	}
	for n := 0; read < limit && n < auditedMost; n += auditedCells {
		cells, err := m.auditPage(ctx, from)
		if err != nil {
			return from, read, fail(op, err)
		}
		audits := make([]cellAudit, len(cells))
		g, gctx := limited(ctx)
		for i, k := range cells {
			if k.upload != "" {
				continue // parts keep nothing
			}
			g.Go(func() (err error) {
				if audits[i], err = m.auditCell(gctx, k, near); err != nil {
					audits[i].bodies = append(audits[i].bodies, meta.BodyAudit{Container: k.container, Name: k.name, Err: fail(op, err)})
				}
				return nil
			})
		}
		_ = g.Wait() // what failed is told beside what was found
		for i, a := range audits {
			read += a.read
			for _, b := range a.bodies {
				if err := found(b); err != nil {
					return from, read, err
				}
			}
			from = cells[i].place()
		}
		if len(cells) < auditedCells {
			return "", read, nil
		}
	}
	return from, read, nil
}

// auditPage lists the cells behind a place.
func (m *Meta) auditPage(ctx context.Context, from string) (cells []cellKey, err error) {
	st, args := walkCellsAll, []any{auditedCells}
	if from != "" {
		k, ok := cellAt(from)
		if !ok {
			return nil, errs.E("cassandra.Meta.auditPage", errs.Invalid, errs.Request, "")
		}
		st, args = walkCells, append(k.args(), auditedCells)
	}
	cell := func(it *gocql.Iter) bool {
		var container gocql.UUID
		var name []byte
		var upload string
		ok := it.Scan(&container, &name, &upload)
		if ok {
			cells = append(cells, cellKey{naming.ContainerID(container), naming.ObjectName(name), upload})
		}
		return ok
	}
	err = m.s.rows(ctx, st, args, auditedCells, cell)
	if !unreadable(err) {
		return cells, err
	}
	// A node cannot read its own files. What one of the others has is enough for a walk, which may pass over what is new.
	m.s.ailing.observe(st, err)
	for _, h := range m.s.cql.GetHosts() {
		if !h.IsUp() || m.s.datacenter != "" && h.DataCenter() != m.s.datacenter {
			continue
		}
		cells = nil
		if err = m.s.rowsOn(ctx, h, st, args, auditedCells, cell); !unreadable(err) {
			break
		}
	}
	return cells, err
}

// place is the cell as a place of an audit: a container, the length of the name, the name, the upload.
func (k cellKey) place() string {
	raw := binary.BigEndian.AppendUint32(k.container[:], uint32(len(k.name)))
	return string(raw) + string(k.name) + k.upload
}

func cellAt(place string) (k cellKey, ok bool) {
	n := copy(k.container[:], place)
	if len(place) < n+4 {
		return k, false
	}
	size := int(binary.BigEndian.Uint32([]byte(place[n:])))
	if place = place[n+4:]; len(place) < size {
		return k, false
	}
	k.name, k.upload = naming.ObjectName(place[:size]), place[size:]
	return k, true
}

// partition is the cell's key as its place on the ring is made from it: each column with its length before and a zero behind.
func (k cellKey) partition() (raw []byte) {
	for _, column := range []string{string(k.container[:]), string(k.name), k.upload} {
		raw = binary.BigEndian.AppendUint16(raw, uint16(len(column)))
		raw = append(append(raw, column...), 0)
	}
	return raw
}

// cellAudit is what was found in one cell.
type cellAudit struct {
	bodies []meta.BodyAudit
	read   int64
}

// bodyCopy is one host's copy of a version and the bytes that it keeps.
type bodyCopy struct {
	keeps   bool // the version keeps its bytes, or nobody can tell
	id      block.ID
	body    []byte
	missing bool // the host has missed the write
	good    bool // the bytes are those of their hash
}

// auditCell looks at the versions of a name, some at a time, from the oldest.
func (m *Meta) auditCell(ctx context.Context, k cellKey, near int) (a cellAudit, err error) {
	hosts := m.s.hostsOf(k.partition(), near)
	unreached, up := near-len(hosts), m.s.allUp()
	if m.copies != nil {
		hosts = m.copies(hosts)
	}
	if len(hosts) == 0 {
		return a, errs.E("cassandra.Meta.auditCell", errs.Busy, errs.Store, "").Because("", "no host answers that has a copy")
	}
	for from := int64(-1); ; {
		var copies []map[int64]bodyCopy
		var failing []string
		last, more := int64(-1), false
		for i, h := range hosts {
			rows := map[int64]bodyCopy{}
			greatest, err := m.readCopies(ctx, h, i, k, from, rows, &a)
			if unreadable(err) {
				m.s.ailing.observe(auditRows, err)
				failing = append(failing, h.ConnectAddress().String())
				continue
			}
			if err != nil {
				return a, err
			}
			copies = append(copies, rows)
			if len(rows) == auditedRows && (!more || greatest < last) {
				last, more = greatest, true
			}
		}
		var seqs []int64
		for _, c := range copies {
			for seq, b := range c {
				if (!more || seq <= last) && b.keeps && !slices.Contains(seqs, seq) {
					seqs = append(seqs, seq)
				}
			}
		}
		if len(copies) == 0 {
			return a, errs.E("cassandra.Meta.auditCell", errs.Internal, errs.Store, "").Because("", "no node can read its own copy")
		}
		slices.Sort(seqs)
		for _, seq := range seqs {
			b, stands, err := m.auditBody(ctx, k, seq, copies, up, up && unreached+len(failing) == 0)
			if err != nil {
				return a, err
			}
			b.Failing = failing
			b.Unreached += unreached
			if stands {
				a.bodies = append(a.bodies, b)
			}
		}
		if !more {
			return a, nil
		}
		from = last
	}
}

// readCopies reads what a host has of the versions of a cell behind one of them. number is that of the copy.
func (m *Meta) readCopies(ctx context.Context, h *gocql.HostInfo, number int, k cellKey, from int64, into map[int64]bodyCopy, a *cellAudit) (greatest int64, err error) {
	err = m.s.rowsOn(ctx, h, auditRows, append(k.args(), from, auditedRows), auditedRows, func(it *gocql.Iter) bool {
		var r row
		if !it.Scan(&r.seq, &r.rec, &r.body) {
			return false
		}
		a.read += auditCost + int64(len(r.rec)) + int64(len(r.body))
		greatest = r.seq
		into[r.seq] = r.copyOf()
		return true
	})
	if m.faultyBody != nil {
		for seq, c := range into {
			into[seq] = m.faultyBody(number, c)
		}
	}
	return greatest, err
}

// copyOf tells what a row is worth.
func (r *row) copyOf() bodyCopy {
	if len(r.rec) == 0 {
		return bodyCopy{keeps: len(r.body) > 0, missing: true}
	}
	v, err := object.ParseVersion(r.rec)
	if err != nil {
		return bodyCopy{keeps: true, body: r.body} // damaged
	}
	if !v.Content.Keeps() {
		return bodyCopy{}
	}
	c := bodyCopy{keeps: true, id: v.Content.Map.Refs[0].ID, body: r.body, missing: len(r.body) == 0}
	c.good = !c.missing && block.Sum(r.body) == c.id
	return c
}

// auditBody judges the copies of one version's bytes, and mends those that are not good. up says that a node without a copy has lost it and does not stand in
// for another one, whole that there are no other copies. stands is false for a version that went, or came, meanwhile.
func (m *Meta) auditBody(ctx context.Context, k cellKey, seq int64, copies []map[int64]bodyCopy, up, whole bool) (a meta.BodyAudit, stands bool, err error) {
	a = meta.BodyAudit{Container: k.container, Name: k.name, ID: object.VersionID(seq), Copies: len(copies)}
	var good []bodyCopy
	for _, all := range copies {
		c, ok := all[seq]
		a.Bytes += int64(len(c.body))
		switch {
		case !ok && !up:
			a.Copies--
			a.Unreached++
		case !ok || c.missing:
			a.Missing++
		case c.good:
			good = append(good, c)
		default:
			a.Bad++
		}
	}
	if a.Bad+a.Missing == 0 && !slices.ContainsFunc(good, func(c bodyCopy) bool { return c.id != good[0].id }) {
		return a, true, nil
	}
	// A serial read first: what was decided before it is seen by the quorum that reads the row after it.
	c, err := m.cell(ctx, k, m.s.serial)
	if err != nil || c.gen == nil {
		return a, false, err
	}
	r, err := m.rowOf(ctx, getRow, k, seq)
	if err != nil || r == nil {
		return a, false, err
	}
	now := r.copyOf()
	if !now.keeps {
		return a, false, nil
	}
	i := slices.IndexFunc(good, func(c bodyCopy) bool { return c.id == now.id })
	switch {
	case i >= 0:
		r.body = good[i].body
	case !now.good && !whole:
		a.Err = errs.E("cassandra.Meta.auditBody", errs.Internal, errs.Version, a.String()).Because("", "no copy that can be read now is good, and there are others")
		return a, true, nil
	case !now.good:
		a.Damaged = true
		return a, true, nil
	}
	applied, err := m.s.casBatch(ctx, m.s.serial, step{raiseCell, append(k.with(c.generation()), c.gen)}, r.put(k))
	if err != nil || !applied {
		return a, false, err // it has changed meanwhile
	}
	a.Healed = true
	return a, true, nil
}
