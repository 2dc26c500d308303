package cassandra

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// note is what the log keeps of a change under way: what to undo when it does not come to pass.
type note struct {
	Holder block.Holder // it was named by the change
	Upload string       // it was being finished by the change
	// Account is whose quota the change reserved from, besides the container's, in which chunk of that account's log; "" when there was
	// no quota.
	Account naming.AccountID
	Chunk   int64
	Begun   int64
}

// begin writes the change's row of the log.
func (m *Meta) begin(ctx context.Context, ch *change) (err error) {
	if ch.log, err = m.take(ctx, ownerOfContainer(ch.container)); err != nil {
		return err
	}
	if ch.note.Account != "" {
		if err := m.takeAccount(ctx, ch, ch.note.Account); err != nil {
			return err
		}
		ch.note.Chunk = ch.account.chunk
	}
	ch.note.Begun = m.clock.Now().UnixMicro()
	rec, err := json.Marshal(ch.note)
	if err != nil {
		return err
	}
	// The cell may be read meanwhile: all that matters is that both are over before anybody looks. See look.
	g, gctx := limited(ctx)
	g.Go(func() error { return m.s.exec(gctx, addLog, append(ch.log.row(ch.cellKey, ch.id), rec)...) })
	g.Go(func() (err error) {
		ch.seen, err = m.cell(gctx, ch.cellKey, gocql.LocalQuorum)
		return err
	})
	return g.Wait()
}

// takeAccount gives a change a place in the log of its account. All its places are of one process: its own.
func (m *Meta) takeAccount(ctx context.Context, ch *change, account naming.AccountID) error {
	if ch.account.chunk != 0 {
		return nil
	}
	p, err := m.take(ctx, ownerOfAccount(account))
	if err != nil {
		return err
	}
	ch.account = p
	if p.proc != ch.log.proc { // others have closed the process meanwhile
		return errs.E("cassandra.Meta.log", errs.Busy, errs.Object, string(ch.name))
	}
	return nil
}

// end makes the change's row done, with what the change added to the container's usage.
func (m *Meta) end(ctx context.Context, p place, k logKey, delta meta.Usage) error {
	if delta == (meta.Usage{}) {
		return m.s.exec(ctx, giveUpLog, p.row(k.cellKey, k.id)...)
	}
	raw, err := json.Marshal(delta)
	if err != nil {
		return err
	}
	return m.s.exec(ctx, endLog, p.row(k.cellKey, k.id, raw)...)
}

// look reads, after the cell, what forbids the change: the seal, and that its row was taken by one who settles it. That is read of the row only
// when the marks of its chunk, which all who have changes in it read together, say that somebody settles one of them.
func (m *Meta) look(ctx context.Context, ch *change) error {
	const op = "cassandra.Meta.look"
	var state int
	var st logState
	g, gctx := limited(ctx)
	if ch.puts {
		g.Go(func() (err error) {
			state, _, err = m.sealOf(gctx, ch.container, gocql.LocalQuorum)
			return err
		})
	}
	g.Go(func() (err error) {
		if quiet, err := m.unmarked(gctx, ch.log); err != nil || quiet {
			st = logState{open: true, rec: []byte{}}
			return err
		}
		st, err = m.logState(gctx, ch.log, logKey{ch.cellKey, ch.id})
		return err
	})
	if err := g.Wait(); err != nil {
		return fail(op, err)
	}
	if state != unsealed {
		return errs.E(op, errs.NotFound, errs.Container, ch.container.String())
	}
	if st.closed || st.rec == nil { // or closed and cleared already
		m.leave(ch.log.proc)
		ch.closed = true
	}
	if ch.closed || !st.open || st.taken {
		return errs.E(op, errs.Busy, errs.Object, string(ch.name))
	}
	return nil
}

// unmarked reports whether nobody has closed a chunk of the log or settles a change in it.
func (m *Meta) unmarked(ctx context.Context, p place) (bool, error) {
	type marks struct{ closed, marked *bool }
	is, _, err := sharedRow(ctx, m.s, getMarks, getMarks.level, p.args(), func(is *marks) []any { return []any{&is.closed, &is.marked} })
	return (is.closed == nil || !*is.closed) && (is.marked == nil || !*is.marked), err
}

// logState is the state of a row of the log.
type logState struct {
	open          bool // it stands, and is not done
	taken, closed bool
	rec           []byte
}

func (m *Meta) logState(ctx context.Context, p place, k logKey) (logState, error) {
	var s logState
	var closed, taken, done *bool
	_, err := m.s.one(ctx, getLog, p.row(k.cellKey, k.id), &closed, &s.rec, &taken, &done)
	s.closed, s.taken = closed != nil && *closed, taken != nil && *taken
	s.open = s.rec != nil && (done == nil || !*done)
	return s, err
}

// openLog lists the open chunks of an owner.
func (m *Meta) openLog(ctx context.Context, owner string) ([]place, error) {
	t, err := m.tally(ctx, owner)
	if err != nil {
		return nil, err
	}
	return t.open(), nil
}

// underWay is the changes of a container that have not come to their end, from a name on, at most limit of them, in order; limit 0: all.
// full: there are more behind the last. A chunk may be read before it is known to be open still: a change whose row is done by then has its entry, which is read later.
func (m *Meta) underWay(ctx context.Context, id naming.ContainerID, from naming.ObjectName, limit int) (list []logged, full bool, err error) {
	owner := ownerOfContainer(id)
	last, _ := m.chunks.Get(owner)
	found := make([][]logged, len(last)) // in those of the chunks that there were the last time
	var places []place
	g, gctx := limited(ctx)
	g.Go(func() (err error) { places, err = m.openLog(gctx, owner); return err })
	for i, p := range last {
		g.Go(func() (err error) { found[i], err = m.openIn(gctx, p, id, from); return err })
	}
	if err := g.Wait(); err != nil {
		return nil, false, err
	}
	for _, p := range places {
		if i := slices.Index(last, p); i >= 0 {
			list = append(list, found[i]...)
			continue
		}
		more, err := m.openIn(ctx, p, id, from)
		if err != nil {
			return nil, false, err
		}
		list = append(list, more...)
	}
	if !slices.Equal(places, last) {
		m.chunks.Put(owner, places)
	}
	slices.SortFunc(list, func(a, b logged) int { return strings.Compare(string(a.name), string(b.name)) })
	if limit > 0 && len(list) > limit {
		return list[:limit], true, nil
	}
	return list, false, nil
}

// openIn is the changes in a chunk of a container's log that have not come to their end, from a name on.
func (m *Meta) openIn(ctx context.Context, p place, id naming.ContainerID, from naming.ObjectName) (list []logged, err error) {
	err = m.readLog(ctx, p, string(from), func(r logRow) {
		if !r.done && r.rec != nil {
			r.container = id
			list = append(list, logged{p, r.logKey})
		}
	})
	return list, err
}

// logged is a change in the log.
type logged struct {
	place
	logKey
}

// settleAfter is how long a process may be silent before others close it.
const settleAfter = 5 * time.Minute

// settle brings a change to its end: its effects about if it came to pass, else what it had prepared away. First its row is marked and the
// generation raised, so that the change, if its process lives, cannot be applied any more.
func (m *Meta) settle(ctx context.Context, p place, k logKey) error {
	st, err := m.logState(ctx, p, k)
	if err != nil || !st.open {
		return err
	}
	var n note
	if err := json.Unmarshal(st.rec, &n); err != nil {
		return errs.Wrap("cassandra.Meta.settle", errs.Corrupt, err)
	}
	if err := m.s.exec(ctx, markLog, p.args()...); err != nil {
		return err
	}
	if err := m.s.exec(ctx, takeLog, p.row(k.cellKey, k.id)...); err != nil {
		return err
	}
	if err := m.fence(ctx, k.cellKey); err != nil {
		return err
	}
	c, err := m.cell(ctx, k.cellKey, m.s.serial)
	if err != nil {
		return err
	}
	raw := c.remembers(k.id)
	if raw == nil {
		// Pushed out, its effects were brought about before that; or never applied.
		stands, err := m.made(ctx, k.cellKey, k.id)
		if err == nil && !stands {
			err = m.undo(ctx, p, k, n, nil)
		}
		if err != nil {
			return err
		}
		return m.end(ctx, p, k, meta.Usage{})
	}
	var e effects
	if len(raw) > len(k.id) {
		if err := json.Unmarshal(raw, &e); err != nil {
			return errs.Wrap("cassandra.Meta.settle", errs.Corrupt, err)
		}
		if err := m.bring(ctx, k.cellKey, e); err != nil {
			return err
		}
	}
	return m.conclude(ctx, p, k, n, e)
}

// conclude makes the row of a change done whose effects have been brought about.
func (m *Meta) conclude(ctx context.Context, p place, k logKey, n note, e effects) error {
	if n.Account != "" && e.Delta == (meta.Usage{}) {
		if err := m.unreserve(ctx, p, k, n); err != nil {
			return err
		}
	}
	return m.end(ctx, p, k, e.Delta)
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
func (m *Meta) undo(ctx context.Context, p place, k logKey, n note, restore *int64) error {
	if n.Upload != "" {
		if err := m.reopen(ctx, meta.UploadKey{Container: k.container, Name: k.name, ID: n.Upload}, k.id); err != nil {
			return err
		}
	}
	if n.Account != "" {
		if err := m.unreserve(ctx, p, k, n); err != nil {
			return err
		}
	}
	return m.unname(ctx, n.Holder, k.id, zeroDeath(), restore)
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
