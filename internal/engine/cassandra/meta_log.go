package cassandra

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// The log is what each process has under way for each owner, an account or a container, in chunks of some hundred rows, each a partition.
// A container's row is written before its change is applied and tells how to undo it; when the change has been brought to its end, the row
// becomes done and has what the change added to the container's usage. An account's row has the usage alone, or what is reserved of it.
//
// A chunk whose changes have all come to their end is folded: its usage goes into the sum in the process's row of the table tally, which
// nobody else writes, and the chunk is deleted. A tally row tells the chunks that there may be: those after folded, up to latest. latest is
// written before its chunk. Both only grow and are their own timestamps, so every write may be repeated.
//
// The usage of an owner is what the tally says and what stands in the open chunks; changes under way are found there too.
//
// A process that is gone is closed by another: see close.
var (
	addLog    = statement{cql: `INSERT INTO %k.log (owner, proc, chunk, name, upload, id, rec) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP 1`, class: plainWrite, level: gocql.LocalQuorum, key: []int{0, 1, 2}}
	takeLog   = statement{cql: `UPDATE %k.log USING TIMESTAMP 2 SET taken = true WHERE owner = ? AND proc = ? AND chunk = ? AND name = ? AND upload = ? AND id = ?`, class: plainWrite, level: gocql.LocalQuorum}
	markLog   = statement{cql: `UPDATE %k.log USING TIMESTAMP 2 SET marked = true WHERE owner = ? AND proc = ? AND chunk = ?`, class: plainWrite, level: gocql.LocalQuorum}
	getMarks  = statement{cql: `SELECT closed, marked FROM %k.log WHERE owner = ? AND proc = ? AND chunk = ? LIMIT 1`, class: pointRead, level: gocql.LocalQuorum}
	endLog    = statement{cql: `UPDATE %k.log USING TIMESTAMP 2 SET done = true, delta = ? WHERE owner = ? AND proc = ? AND chunk = ? AND name = ? AND upload = ? AND id = ?`, class: plainWrite, level: gocql.LocalQuorum, key: []int{1, 2, 3}}
	giveUpLog = statement{cql: `UPDATE %k.log USING TIMESTAMP 2 SET done = true WHERE owner = ? AND proc = ? AND chunk = ? AND name = ? AND upload = ? AND id = ?`, class: plainWrite, level: gocql.LocalQuorum, key: []int{0, 1, 2}}
	setDelta  = statement{cql: `UPDATE %k.log USING TIMESTAMP 2 SET delta = ? WHERE owner = ? AND proc = ? AND chunk = ? AND name = ? AND upload = ? AND id = ?`, class: plainWrite, level: gocql.LocalQuorum}
	reserve   = statement{cql: `UPDATE %k.log USING TIMESTAMP ? SET reserved = ? WHERE owner = ? AND proc = ? AND chunk = ? AND name = ? AND upload = ? AND id = ?`, class: plainWrite, level: gocql.LocalQuorum, key: []int{2, 3, 4}}
	getLog    = statement{cql: `SELECT closed, rec, taken, done FROM %k.log WHERE owner = ? AND proc = ? AND chunk = ? AND name = ? AND upload = ? AND id = ?`, class: pointRead, level: gocql.LocalQuorum}
	readChunk = statement{cql: `SELECT name, upload, id, rec, taken, done, delta, reserved FROM %k.log WHERE owner = ? AND proc = ? AND chunk = ? AND name >= ?`, class: sliceRead, level: gocql.LocalQuorum}
	closeLog  = statement{cql: `UPDATE %k.log USING TIMESTAMP 1 SET closed = true WHERE owner = ? AND proc = ? AND chunk = ?`, class: plainWrite, level: gocql.LocalQuorum}
	dropChunk = statement{cql: `DELETE FROM %k.log USING TIMESTAMP 3 WHERE owner = ? AND proc = ? AND chunk = ?`, class: plainWrite, level: gocql.LocalQuorum}
	// closed stays: a process that comes to life again must find it.
	clearChunk = statement{cql: `DELETE FROM %k.log USING TIMESTAMP 3 WHERE owner = ? AND proc = ? AND chunk = ? AND name >= ?`, class: plainWrite, level: gocql.LocalQuorum}

	openChunk = statement{cql: `INSERT INTO %k.tally (owner, proc, latest) VALUES (?, ?, ?) USING TIMESTAMP ?`, class: plainWrite, level: gocql.LocalQuorum}
	setFolded = statement{cql: `INSERT INTO %k.tally (owner, proc, folded, sum) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`, class: plainWrite, level: gocql.LocalQuorum}
	getTally  = statement{cql: `SELECT latest, folded, sum FROM %k.tally WHERE owner = ? AND proc = ?`, class: pointRead, level: gocql.LocalQuorum}

	addTouched = statement{cql: `INSERT INTO %k.touched (proc, lane, owner) VALUES (?, ?, ?) USING TIMESTAMP 1`, class: plainWrite, level: gocql.LocalQuorum}
	beat       = statement{cql: `INSERT INTO %k.process (one, proc, beat) VALUES (0, ?, ?) USING TIMESTAMP ?`, class: plainWrite, level: gocql.LocalQuorum}
	getProcess = statement{cql: `SELECT closed FROM %k.process WHERE one = 0 AND proc = ?`, class: pointRead, level: gocql.LocalQuorum}
)

// Bounds of the log.
const (
	chunkRows   = 256 // rows of one chunk
	chunkPage   = 300 // rows read at once
	touchLanes  = 16  // partitions over which a process's list of owners is spread
	beatEvery   = time.Minute
	booksKept   = 20_000 // owners that a process remembers
	foldsAtOnce = 8
)

// place is a chunk of the log.
type place struct {
	owner string
	proc  gocql.UUID
	chunk int64
}

func (p place) args() []any { return []any{p.owner, p.proc, p.chunk} }

// row is the key of a row in the chunk, behind other arguments.
func (p place) row(k cellKey, id gocql.UUID, more ...any) []any {
	return append(append(more, p.args()...), []byte(k.name), k.upload, id)
}

// journal is what one process knows of its own log.
type journal struct {
	mu     sync.Mutex
	proc   gocql.UUID
	beaten time.Time
	books  map[string]*book
}

// all is the books that there are.
func (j *journal) all() []*book {
	j.mu.Lock()
	defer j.mu.Unlock()
	books := make([]*book, 0, len(j.books))
	for _, b := range j.books {
		books = append(books, b)
	}
	return books
}

// book is what this process logs for one owner. Its lock is held while a chunk is opened or folded, once in some hundred changes.
type book struct {
	mending sync.Mutex // held while what is stuck is settled; taken before mu

	mu     sync.Mutex
	owner  string
	proc   gocql.UUID
	latest int64 // 0: not read yet
	folded int64
	sum    meta.Usage
	used   int              // rows given out in latest
	open   map[int64]int    // changes under way, by chunk
	stuck  map[int64][]left // changes of which it is not known here whether they came to their end, by chunk
	gone   bool             // another book has taken its place
}

// left is a change that has not come to its end, and its place in the log of its account, which stays in use.
type left struct {
	logKey
	account place
}

// logKey names a row of a chunk.
type logKey struct {
	cellKey
	id gocql.UUID
}

// bookOf is the book of an owner.
func (m *Meta) bookOf(ctx context.Context, owner string) (*book, error) {
	j := &m.journal
	now := m.clock.Now()
	j.mu.Lock()
	if j.books == nil {
		j.books, j.proc = map[string]*book{}, gocql.MustRandomUUID()
	}
	proc, late := j.proc, now.Sub(j.beaten) >= beatEvery || now.Before(j.beaten)
	b := j.books[owner]
	if b == nil {
		b = &book{owner: owner, proc: proc, open: map[int64]int{}, stuck: map[int64][]left{}}
		j.books[owner] = b
	}
	if late {
		j.beaten = now
	}
	full := len(j.books) > booksKept
	j.mu.Unlock()
	if late {
		if err := m.s.exec(ctx, beat, proc, now.UnixMicro(), now.UnixMicro()); err != nil {
			j.mu.Lock()
			j.beaten = time.Time{}
			j.mu.Unlock()
			return nil, err
		}
	}
	if full {
		return b, m.foldIdle(ctx)
	}
	return b, nil
}

// leave forgets what was logged under a process id that others have closed. Later changes are logged under a new one.
func (m *Meta) leave(proc gocql.UUID) {
	j := &m.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.proc == proc {
		j.books, j.beaten = nil, time.Time{}
	}
}

// take gives a change its place in the log of an owner.
func (m *Meta) take(ctx context.Context, owner string) (place, error) {
	for range attempts {
		b, err := m.bookOf(ctx, owner)
		if err != nil {
			return place{}, err
		}
		p, closed, err := m.takeIn(ctx, b)
		if err != nil || p.chunk != 0 {
			return p, err
		}
		if closed {
			m.leave(b.proc)
		}
	}
	return place{}, errs.E("cassandra.Meta.log", errs.Busy, errs.Store, "")
}

// takeIn gives no place when the book is no longer the owner's, or the process was closed.
func (m *Meta) takeIn(ctx context.Context, b *book) (p place, closed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return place{}, false, nil
	}
	if b.latest <= b.folded || b.used >= m.sizes.Chunk {
		if closed, err := m.openNext(ctx, b); err != nil || closed {
			return place{}, closed, err
		}
	}
	b.used++
	b.open[b.latest]++
	return place{b.owner, b.proc, b.latest}, false, nil
}

// openNext begins a chunk: it is announced before anybody looks whether the process was closed.
func (m *Meta) openNext(ctx context.Context, b *book) (closed bool, err error) {
	if b.latest == 0 {
		var sum []byte
		if _, err := m.s.one(ctx, getTally, []any{b.owner, b.proc}, &b.latest, &b.folded, &sum); err != nil {
			b.latest = 0
			return false, err
		}
		if len(sum) > 0 {
			if err := json.Unmarshal(sum, &b.sum); err != nil {
				b.latest = 0
				return false, tornUsage(err)
			}
		}
		if err := m.s.exec(ctx, addTouched, b.proc, laneOfOwner(b.owner), b.owner); err != nil {
			b.latest = 0
			return false, err
		}
	}
	next := b.latest + 1
	if err := m.s.exec(ctx, openChunk, b.owner, b.proc, next, next); err != nil {
		return false, err
	}
	b.latest, b.used = next, 0
	var gone *bool
	found, err := m.s.one(ctx, getProcess, []any{b.proc}, &gone)
	return err == nil && (!found || gone != nil && *gone), err
}

func laneOfOwner(owner string) int {
	n := 0
	for i := range len(owner) {
		n += int(owner[i])
	}
	return n % touchLanes
}

// give tells that a change has come to its end, or (ended false) that this is not known and is to be found out later.
func (m *Meta) give(ctx context.Context, ch *change, ended bool) error {
	if ch.log.chunk == 0 {
		return nil
	}
	if !ended {
		return m.giveIn(ctx, ch.log, &left{logKey{ch.cellKey, ch.id}, ch.account})
	}
	if err := m.giveIn(ctx, ch.log, nil); err != nil || ch.account.chunk == 0 {
		return err
	}
	return m.giveIn(ctx, ch.account, nil)
}

func (m *Meta) giveIn(ctx context.Context, p place, stuck *left) error {
	m.journal.mu.Lock()
	b := m.journal.books[p.owner]
	m.journal.mu.Unlock()
	if b == nil || b.proc != p.proc {
		return nil // closed by others meanwhile
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[p.chunk]--; b.open[p.chunk] <= 0 {
		delete(b.open, p.chunk)
	}
	if stuck != nil {
		b.stuck[p.chunk] = append(b.stuck[p.chunk], *stuck)
		m.mendSoon(ctx, b)
	}
	return m.foldFull(ctx, b, b.latest-1)
}

// foldFull folds chunks, in their order, up to one and up to the first that is still in use.
func (m *Meta) foldFull(ctx context.Context, b *book, upTo int64) error {
	for b.folded < upTo && b.open[b.folded+1] == 0 && len(b.stuck[b.folded+1]) == 0 {
		p := place{b.owner, b.proc, b.folded + 1}
		sum, open, err := m.sumChunk(ctx, p)
		if err != nil {
			return err
		}
		if len(open) > 0 { // it cannot be: they would be stuck
			return tornUsage(errors.New("a chunk that nobody uses has changes under way"))
		}
		sum = sum.Add(b.sum)
		if err := m.writeFold(ctx, p, sum); err != nil {
			return err
		}
		b.folded, b.sum = p.chunk, sum
		if err := m.s.exec(ctx, dropChunk, p.args()...); err != nil {
			return err
		}
	}
	return nil
}

func (m *Meta) writeFold(ctx context.Context, p place, sum meta.Usage) error {
	raw, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	return m.s.exec(ctx, setFolded, p.owner, p.proc, p.chunk, raw, p.chunk)
}

// sumChunk adds up a chunk and tells which of its changes have not come to their end.
func (m *Meta) sumChunk(ctx context.Context, p place) (sum meta.Usage, open []logKey, err error) {
	err = m.readLog(ctx, p, "", func(r logRow) {
		sum = sum.Add(r.delta)
		if !r.done && r.rec != nil {
			open = append(open, r.logKey)
		}
	})
	return sum, open, err
}

// logRow is a row of the log.
type logRow struct {
	logKey
	rec             []byte
	taken, done     bool
	delta, reserved meta.Usage
}

// readLog reads a chunk from a name on.
func (m *Meta) readLog(ctx context.Context, p place, from string, fn func(logRow)) error {
	var bad error
	err := m.s.rows(ctx, readChunk, append(p.args(), []byte(from)), chunkPage, func(it *gocql.Iter) bool {
		var r logRow
		var name, delta, reserved []byte
		if !it.Scan(&name, &r.upload, &r.id, &r.rec, &r.taken, &r.done, &delta, &reserved) {
			return false
		}
		r.cellKey.name = naming.ObjectName(name)
		for _, u := range []struct {
			raw []byte
			to  *meta.Usage
		}{{delta, &r.delta}, {reserved, &r.reserved}} {
			if len(u.raw) > 0 && bad == nil {
				bad = json.Unmarshal(u.raw, u.to)
			}
		}
		fn(r)
		return bad == nil
	})
	if err == nil && bad != nil {
		err = tornUsage(bad)
	}
	return err
}

func tornUsage(err error) error { return errs.Wrap("cassandra.Meta.usage", errs.Corrupt, err) }

// foldIdle folds what this process has logged for owners of whom nothing is under way, and forgets them.
func (m *Meta) foldIdle(ctx context.Context) error {
	g, gctx := limited(ctx)
	g.SetLimit(foldsAtOnce)
	for _, b := range m.journal.all() {
		g.Go(func() error { return m.foldBook(gctx, b) })
	}
	return g.Wait()
}

// foldBook settles what is stuck in a book, folds it, and forgets it when nothing is left.
func (m *Meta) foldBook(ctx context.Context, b *book) error {
	if err := m.settleStuck(ctx, b); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.open) > 0 {
		return m.foldFull(ctx, b, b.latest-1)
	}
	if err := m.foldFull(ctx, b, b.latest); err != nil || b.folded != b.latest {
		return err
	}
	b.gone = true
	m.journal.mu.Lock()
	defer m.journal.mu.Unlock()
	if m.journal.books[b.owner] == b {
		delete(m.journal.books, b.owner)
	}
	return nil
}

// settleStuck settles what is stuck in a book. Its chunks count as in use meanwhile.
func (m *Meta) settleStuck(ctx context.Context, b *book) error {
	b.mending.Lock()
	defer b.mending.Unlock()
	b.mu.Lock()
	stuck := b.stuck
	b.stuck = map[int64][]left{}
	for chunk := range stuck {
		b.open[chunk]++
	}
	b.mu.Unlock()
	var failed error
	for chunk, keys := range stuck {
		p := place{b.owner, b.proc, chunk}
		for len(keys) > 0 && failed == nil {
			if failed = m.settle(ctx, p, keys[0].logKey); failed == nil && keys[0].account.chunk != 0 {
				failed = m.giveIn(ctx, keys[0].account, nil)
			}
			if failed == nil {
				keys = keys[1:]
			}
		}
		b.mu.Lock()
		if b.open[chunk]--; b.open[chunk] == 0 {
			delete(b.open, chunk)
		}
		if len(keys) > 0 {
			b.stuck[chunk] = append(b.stuck[chunk], keys...)
		}
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.stuck) == 0 {
		m.mender.forget(b)
	}
	return failed
}
