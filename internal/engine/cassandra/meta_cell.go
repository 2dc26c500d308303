package cassandra

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// cellKey names a cell: that of a name (upload "") or of a multipart upload.
type cellKey struct {
	container naming.ContainerID
	name      naming.ObjectName
	upload    string
}

func (k cellKey) args() []any { return []any{gocql.UUID(k.container), []byte(k.name), k.upload} }

func (k cellKey) with(more ...any) []any { return append(more, k.args()...) }

// row is a row of a cell: a version (seq is its id) or a part (seq is its number), and the change that made it.
type row struct {
	seq   int64
	rec   []byte
	namer gocql.UUID
	body  []byte // of a version that keeps its bytes. They are not in its record, so that listings of versions need not read them
}

// put is the step that writes the row. What stands of its body stays when it has none: an amendment does not touch it.
func (r *row) put(k cellKey) step {
	if len(r.body) == 0 {
		return step{putRow, append(k.with(r.rec, r.namer), r.seq)}
	}
	return step{putKept, append(k.with(r.rec, r.namer, r.body), r.seq)}
}

// cell is a cell as read: its static columns and its greatest row.
type cell struct {
	gen     *int64 // nil: there never was a change
	recent  [][]byte
	head    []byte // of an upload
	nullseq *int64 // the null version
	rows    int
	first   *row
}

// generation is the cell's, 0 before the first change.
func (c *cell) generation() int64 {
	if c.gen == nil {
		return 0
	}
	return *c.gen
}

var (
	getCell   = statement{cql: `SELECT gen, recent, head, nullseq, rows, seq, rec, namer, body FROM %k.cell WHERE container = ? AND name = ? AND upload = ? LIMIT 1`, class: pointRead, level: gocql.LocalQuorum}
	getRow    = statement{cql: `SELECT seq, rec, namer, body FROM %k.cell WHERE container = ? AND name = ? AND upload = ? AND seq = ?`, class: pointRead, level: gocql.LocalQuorum}
	listRows  = statement{cql: `SELECT seq, rec, namer FROM %k.cell WHERE container = ? AND name = ? AND upload = ? AND seq <= ?`, class: sliceRead, level: gocql.LocalQuorum}
	firstRow  = statement{cql: `SELECT seq, rec, namer, body FROM %k.cell WHERE container = ? AND name = ? AND upload = ? AND seq <= ? LIMIT 1`, class: sliceRead, level: gocql.LocalQuorum}
	listParts = statement{cql: `SELECT seq, rec, namer FROM %k.cell WHERE container = ? AND name = ? AND upload = ? AND seq > ? ORDER BY seq ASC LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
	setCell   = statement{cql: `UPDATE %k.cell SET gen = ?, recent = ?, head = ?, nullseq = ?, rows = ? WHERE container = ? AND name = ? AND upload = ? IF gen = ?`, class: casWrite, level: gocql.LocalQuorum}
	putRow    = statement{cql: `INSERT INTO %k.cell (rec, namer, container, name, upload, seq) VALUES (?, ?, ?, ?, ?, ?)`, class: casWrite, level: gocql.LocalQuorum}
	putKept   = statement{cql: `INSERT INTO %k.cell (rec, namer, body, container, name, upload, seq) VALUES (?, ?, ?, ?, ?, ?, ?)`, class: casWrite, level: gocql.LocalQuorum}
	dropRow   = statement{cql: `DELETE FROM %k.cell WHERE container = ? AND name = ? AND upload = ? AND seq = ?`, class: casWrite, level: gocql.LocalQuorum}
	raiseCell = statement{cql: `UPDATE %k.cell SET gen = ? WHERE container = ? AND name = ? AND upload = ? IF gen = ?`, class: casWrite, level: gocql.LocalQuorum}
	dropBelow = statement{cql: `DELETE FROM %k.cell WHERE container = ? AND name = ? AND upload = ? AND seq < ?`, class: casWrite, level: gocql.LocalQuorum}
	// Rows of a closed upload are never written again, so the greatest of timestamps hides them for good.
	dropParts = statement{cql: `DELETE FROM %k.cell USING TIMESTAMP 9007199254740991 WHERE container = ? AND name = ? AND upload = ? AND seq >= 0`, class: plainWrite, level: gocql.LocalQuorum}
)

func (m *Meta) cell(ctx context.Context, k cellKey, level gocql.Consistency) (*cell, error) {
	var c cell
	var r row
	var seq *int64
	_, err := m.s.serially(ctx, getCell, level, k.args(), &c.gen, &c.recent, &c.head, &c.nullseq, &c.rows, &seq, &r.rec, &r.namer, &r.body)
	if seq != nil {
		r.seq = *seq
		c.first = &r
	}
	return &c, err
}

// rowOf finds a row, nil when there is none.
func (m *Meta) rowOf(ctx context.Context, st statement, k cellKey, seq int64) (*row, error) {
	var r row
	found, err := m.s.one(ctx, st, append(k.args(), seq), &r.seq, &r.rec, &r.namer, &r.body)
	if err != nil || !found {
		return nil, err
	}
	return &r, nil
}

// fence raises the generation of a cell, so that no change that read it before can still be applied. A change that raised it meanwhile
// serves as well.
func (m *Meta) fence(ctx context.Context, k cellKey) error {
	for n := range attempts {
		c, err := m.cell(ctx, k, m.s.serial)
		if err != nil {
			return err
		}
		_, err = m.s.casBatch(ctx, m.s.serial, step{raiseCell, append(k.with(c.generation()+1), c.gen)})
		if err == nil || !unknown(err) {
			return err
		}
		if err := pause(ctx, n); err != nil {
			return err
		}
	}
	return errs.E("cassandra.Meta.fence", errs.Busy, errs.Object, string(k.name))
}

// mutation is what a change does to its cell.
type mutation struct {
	head    []byte
	nullseq *int64
	rows    int
	put     []row
	drop    []int64
	least   int64 // the generation becomes at least this
	effects effects
}

// keep is a mutation that leaves the cell as it is.
func (c *cell) keep() *mutation { return &mutation{head: c.head, nullseq: c.nullseq, rows: c.rows} }

// change is one change of a cell.
type change struct {
	cellKey
	id       gocql.UUID   // of this change alone
	puts     bool         // refused when the container is sealed
	note     note         // what must be undone when it does not come to pass
	log      place        // of its row in the log
	account  place        // of its row in the log of the account, when it has one
	closed   bool         // the process was closed by another
	seen     *cell        // as it was when the change began
	prepared bool         // there is something to undo
	used     *int64       // the intent that naming the holder used up
	reserved []meta.Usage // under quotas, the last one holds
}

func newChange(k cellKey, puts bool, n note) *change {
	return &change{cellKey: k, id: gocql.MustRandomUUID(), puts: puts, note: n}
}

// recentKept is how many changes a cell remembers, so that one whose answer was lost can be told from one that failed.
const recentKept = 8

// apply makes the change that decide tells of the cell. decide may be called several times; an error of it, or nil for nothing to do, ends
// the change, and what was prepared for it is undone.
func (m *Meta) apply(ctx context.Context, ch *change, decide func(c *cell) (*mutation, error)) error {
	err := m.applyOnce(ctx, ch, decide)
	if ch.closed && !ch.prepared && errs.Is(err, errs.Busy) { // once more, under the process's new id
		again := newChange(ch.cellKey, ch.puts, ch.note)
		again.note.Chunk = 0
		*ch = *again
		err = m.applyOnce(ctx, ch, decide)
	}
	return err
}

func (m *Meta) applyOnce(ctx context.Context, ch *change, decide func(c *cell) (*mutation, error)) error {
	const op = "cassandra.Meta.apply"
	over, ended := false, false
	err := m.begin(ctx, ch)
	if err == nil {
		over, ended, err = m.attempt(ctx, ch, decide)
	}
	ctx = context.WithoutCancel(ctx)
	if !over { // It did not come to pass and never will.
		uerr := m.drop(ctx, ch)
		ended = uerr == nil
		if err == nil {
			err = uerr
		}
	}
	if gerr := m.give(ctx, ch, ended); gerr != nil && m.s.log != nil {
		m.s.log.WarnContext(ctx, "usage could not be folded; it will be tried again", "error", gerr)
	}
	return fail(op, err)
}

// drop undoes what a change had prepared that did not come to pass. What fails here is done later by who settles it.
func (m *Meta) drop(ctx context.Context, ch *change) error {
	if ch.log.chunk == 0 {
		return nil
	}
	if ch.prepared {
		if err := m.undo(ctx, ch.log, logKey{ch.cellKey, ch.id}, ch.note, ch.used); err != nil {
			return err
		}
	}
	return m.end(ctx, ch.log, logKey{ch.cellKey, ch.id}, meta.Usage{})
}

// attempt tries until the change is applied or certainly not. over is true when it was applied, or may have been.
// ended is true when nothing is left to be done for it.
func (m *Meta) attempt(ctx context.Context, ch *change, decide func(c *cell) (*mutation, error)) (over, ended bool, err error) {
	const op = "cassandra.Meta.apply"
	level := gocql.LocalQuorum
	for n := range attempts {
		var err error
		c := ch.seen
		if n > 0 {
			c, err = m.cell(ctx, ch.cellKey, level)
		}
		if err != nil {
			return false, false, err
		}
		if err := m.look(ctx, ch); err != nil {
			return false, false, err
		}
		mut, err := decide(c)
		if err != nil || mut == nil {
			return false, false, err
		}
		applied, known, err := m.tryChange(ctx, ch, c, mut)
		switch {
		case err != nil && !known:
			return true, false, errs.Wrap(op, errs.Ambiguous, err)
		case err != nil:
			return false, false, err
		case applied:
			if err := m.finish(ctx, ch, mut.effects); err != nil {
				return true, false, errs.Wrap(op, errs.Ambiguous, err)
			}
			return true, true, nil
		}
		level = m.s.serial
		if err := pause(ctx, n); err != nil {
			return false, false, err
		}
	}
	return false, false, errs.E(op, errs.Busy, errs.Object, string(ch.name))
}

// settleMost bounds how long a change waits to learn its outcome, when nobody has told it.
const settleMost = 20 * time.Second

// tryChange applies a mutation to the cell as read, and finds out what became of it.
func (m *Meta) tryChange(ctx context.Context, ch *change, c *cell, mut *mutation) (applied, known bool, err error) {
	gen := max(c.generation()+1, mut.least)
	e := &mut.effects
	e.ID, e.Gen, e.Proc, e.Chunk = ch.id, gen, ch.log.proc, ch.log.chunk
	if e.Account != "" && e.Delta != (meta.Usage{}) {
		if err := m.takeAccount(ctx, ch, e.Account); err != nil {
			return false, true, err
		}
		e.AccountChunk = ch.account.chunk
	}
	recent, err := m.remember(ctx, ch.cellKey, c, mut.effects)
	if err != nil {
		return false, true, err
	}
	steps := []step{{setCell, append(ch.with(gen, recent, mut.head, mut.nullseq, mut.rows), c.gen)}}
	for _, r := range mut.put {
		steps = append(steps, r.put(ch.cellKey))
	}
	applied, err = m.s.casBatch(ctx, m.s.serial, append(steps, drops(ch.cellKey, c, mut)...)...)
	if err == nil || !unknown(err) {
		return applied, true, err
	}
	// A serial read finishes or fences a round in flight, but a node that hangs may not have begun its round yet, and begin it when it wakes. So the generation is
	// raised first: then the change was applied before, or never will be.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleMost)
	defer cancel()
	if ferr := m.fence(ctx, ch.cellKey); ferr != nil {
		return false, false, err
	}
	now, rerr := m.cell(ctx, ch.cellKey, m.s.serial)
	switch {
	case rerr != nil:
		return false, false, err
	case now.remembers(ch.id) != nil:
		return true, true, nil
	case len(now.recent) < recentKept, now.remembersAny(recent[1:]):
		return false, true, nil // nothing was pushed out since
	}
	return false, false, err
}

// drops deletes rows. When all that a cell had go, one range deletion takes the place of the one before it, so that a name which is
// written again and again, and then removed, does not leave more deletions than the cluster reads over.
func drops(k cellKey, c *cell, mut *mutation) []step {
	if len(mut.drop) > 0 && len(mut.drop) == c.rows {
		below := int64(math.MaxInt64)
		for _, r := range mut.put {
			below = min(below, r.seq)
		}
		if below > c.first.seq {
			return []step{{dropBelow, append(k.args(), below)}}
		}
	}
	var steps []step
	for _, seq := range mut.drop {
		steps = append(steps, step{dropRow, append(k.args(), seq)})
	}
	return steps
}

// remember is the list of recent changes with this one added. Of the others only the ids are kept, but for those that have not come to
// their end; one of these is brought to it before it is pushed out.
func (m *Meta) remember(ctx context.Context, k cellKey, c *cell, e effects) ([][]byte, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	list := [][]byte{raw}
	for i, old := range c.recent {
		id, open := changeOf(old), false
		var e effects
		if len(old) > len(id) {
			if err := json.Unmarshal(old, &e); err != nil {
				return nil, errs.Wrap("cassandra.Meta.remember", errs.Corrupt, err)
			}
			if open, err = m.bringOlder(ctx, k, e, i == recentKept-1); err != nil {
				return nil, err
			}
		}
		switch {
		case i < recentKept-1 && open:
			list = append(list, old)
		case i < recentKept-1:
			list = append(list, id[:])
		}
	}
	return list, nil
}

// bringOlder brings an earlier change of the cell to its end, unless this process is at it just now and it need not be. What is
// acknowledged after this one then stands on usage that has the earlier one. open is true when it is still not at its end.
func (m *Meta) bringOlder(ctx context.Context, k cellKey, e effects, must bool) (open bool, err error) {
	p, key := e.log(k), logKey{k, e.ID}
	st, err := m.logState(ctx, p, key)
	if err != nil || !st.open {
		return false, err
	}
	if !must && m.atIt(p, key) {
		return true, nil
	}
	var n note
	if err := json.Unmarshal(st.rec, &n); err != nil {
		return false, errs.Wrap("cassandra.Meta.remember", errs.Corrupt, err)
	}
	if err := m.bring(ctx, k, e); err != nil {
		return false, err
	}
	return false, m.conclude(ctx, p, key, n, e)
}

// changeOf is the id of a remembered change: 16 bytes are the id alone.
func changeOf(raw []byte) (id gocql.UUID) {
	if len(raw) == len(id) {
		copy(id[:], raw)
		return id
	}
	var e struct{ ID gocql.UUID }
	_ = json.Unmarshal(raw, &e) // what cannot be read is nobody's
	return e.ID
}

// remembers finds a recent change, nil when it is not remembered.
func (c *cell) remembers(id gocql.UUID) []byte {
	for _, raw := range c.recent {
		if changeOf(raw) == id {
			return raw
		}
	}
	return nil
}

// remembersAny reports whether a change of the list is remembered, which an earlier one would be too.
func (c *cell) remembersAny(list [][]byte) bool {
	return slices.ContainsFunc(list, func(raw []byte) bool { return c.remembers(changeOf(raw)) != nil })
}
