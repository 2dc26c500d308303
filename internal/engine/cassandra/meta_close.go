package cassandra

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// A process that has been silent for long is closed by another: its changes are settled, its sums go into the owners' totals, and nothing is
// left of it but small marks. Should it live after all, it finds the marks before its next change can be applied, and goes on under a new
// id: it announces a chunk and then looks whether the process was closed, where the closer first closes the process and then reads what was
// announced; and it writes its row and then looks whether the chunk was closed, where the closer first closes the chunk and then reads the rows.
var (
	listProcesses = statement{cql: `SELECT proc, beat, closed FROM %k.process WHERE one = 0`, class: sliceRead, level: gocql.LocalQuorum}
	closeProcess  = statement{cql: `UPDATE %k.process USING TIMESTAMP 1 SET closed = true WHERE one = 0 AND proc = ?`, class: plainWrite, level: gocql.LocalQuorum}
	dropProcess   = statement{cql: `DELETE FROM %k.process USING TIMESTAMP 9007199254740991 WHERE one = 0 AND proc = ?`, class: plainWrite, level: gocql.LocalQuorum}
	listTouched   = statement{cql: `SELECT owner FROM %k.touched WHERE proc = ? AND lane = ?`, class: sliceRead, level: gocql.LocalQuorum}
	dropTouched   = statement{cql: `DELETE FROM %k.touched USING TIMESTAMP 2 WHERE proc = ? AND lane = ?`, class: plainWrite, level: gocql.LocalQuorum}

	getTotal  = statement{cql: `SELECT total, rev, absorbed FROM %k.tally WHERE owner = ? LIMIT 1`, class: pointRead, level: gocql.LocalQuorum}
	setTotal  = statement{cql: `UPDATE %k.tally SET total = ?, rev = ?, absorbed = ? WHERE owner = ? IF rev = ?`, class: casWrite, level: gocql.LocalQuorum}
	dropTally = statement{cql: `DELETE FROM %k.tally USING TIMESTAMP 9007199254740991 WHERE owner = ? AND proc = ?`, class: plainWrite, level: gocql.LocalQuorum}
)

// closeSilent closes the processes that have not been heard of for a while.
func (m *Meta) closeSilent(ctx context.Context) error {
	now := m.clock.Now()
	m.journal.mu.Lock()
	own := m.journal.proc
	m.journal.mu.Unlock()
	var silent []gocql.UUID
	err := m.s.rows(ctx, listProcesses, nil, 1000, func(it *gocql.Iter) bool {
		var proc gocql.UUID
		var beat int64
		var closed bool
		ok := it.Scan(&proc, &beat, &closed)
		if ok && proc != own && (closed || beat < now.Add(-settleAfter).UnixMicro()) {
			silent = append(silent, proc)
		}
		return ok
	})
	for _, proc := range silent {
		if err == nil {
			err = m.closeProcess(ctx, proc)
		}
	}
	return err
}

func (m *Meta) closeProcess(ctx context.Context, proc gocql.UUID) error {
	if err := m.s.exec(ctx, closeProcess, proc); err != nil {
		return err
	}
	var owners [touchLanes][]string
	for lane := range touchLanes {
		err := m.s.rows(ctx, listTouched, []any{proc, lane}, 1000, func(it *gocql.Iter) bool {
			var owner string
			ok := it.Scan(&owner)
			if ok {
				owners[lane] = append(owners[lane], owner)
			}
			return ok
		})
		if err != nil {
			return err
		}
	}
	// The containers first: their changes write into the logs of accounts.
	for _, kind := range []byte("ca") {
		for lane := range touchLanes {
			for _, owner := range owners[lane] {
				if owner[0] != kind {
					continue
				}
				if err := m.closeBook(ctx, owner, proc); err != nil {
					return err
				}
			}
		}
	}
	for lane := range touchLanes {
		if len(owners[lane]) == 0 {
			continue
		}
		if err := m.s.exec(ctx, dropTouched, proc, lane); err != nil {
			return err
		}
	}
	return m.s.exec(ctx, dropProcess, proc)
}

// closeBook settles what a closed process has logged for an owner, and takes its sum into the total.
func (m *Meta) closeBook(ctx context.Context, owner string, proc gocql.UUID) error {
	r, _, err := m.tallyOf(ctx, owner, proc)
	if err != nil {
		return err
	}
	for _, p := range r.open(owner) {
		if err := m.closeChunk(ctx, p); err != nil {
			return err
		}
	}
	return m.absorb(ctx, owner, proc)
}

// closeChunk settles the changes of a chunk.
func (m *Meta) closeChunk(ctx context.Context, p place) error {
	if err := m.s.exec(ctx, closeLog, p.args()...); err != nil {
		return err
	}
	_, open, err := m.sumChunk(ctx, p)
	if err != nil {
		return err
	}
	for _, k := range open {
		if k.container, err = containerOf(p.owner); err != nil {
			return err
		}
		if err := m.settle(ctx, p, k); err != nil {
			return err
		}
	}
	return nil
}

// containerOf is the container that an owner is.
func containerOf(owner string) (naming.ContainerID, error) {
	var id naming.ContainerID
	_, err := hex.Decode(id[:], []byte(owner[len("c:"):]))
	return id, err
}

// absorb moves what a closed process has counted into the total of its owner, once: the total says whom it has. Only then the process's rows
// go. The total is read first: who adds up rows that are on their way out finds the total changed.
func (m *Meta) absorb(ctx context.Context, owner string, proc gocql.UUID) error {
	for n := range attempts {
		var total []byte
		var rev *int64
		var absorbed []gocql.UUID
		if _, err := m.s.serially(ctx, getTotal, m.s.serial, []any{owner}, &total, &rev, &absorbed); err != nil {
			return err
		}
		if slices.Contains(absorbed, proc) {
			if err := m.dropBook(ctx, owner, proc); err != nil {
				return err
			}
			absorbed = slices.DeleteFunc(absorbed, func(p gocql.UUID) bool { return p == proc })
		} else {
			sum, found, err := m.sumOf(ctx, owner, proc)
			if err != nil || !found {
				return err
			}
			var old meta.Usage
			if len(total) > 0 {
				if err := json.Unmarshal(total, &old); err != nil {
					return tornUsage(err)
				}
			}
			if total, err = json.Marshal(old.Add(sum)); err != nil {
				return err
			}
			absorbed = append(absorbed, proc)
		}
		next := int64(1)
		if rev != nil {
			next = *rev + 1
		}
		_, err := m.s.casBatch(ctx, m.s.serial, step{setTotal, []any{total, next, absorbed, owner, rev}})
		if err != nil && !unknown(err) {
			return err
		}
		if err := pause(ctx, n); err != nil {
			return err
		}
	}
	return errs.E("cassandra.Meta.absorb", errs.Busy, errs.Account, owner)
}

// sumOf adds up what a closed process has counted; found is false when nothing is left of it. The process may fold a chunk still, which the
// tally shows.
func (m *Meta) sumOf(ctx context.Context, owner string, proc gocql.UUID) (sum meta.Usage, found bool, err error) {
	for range attempts {
		r, found, err := m.tallyOf(ctx, owner, proc)
		if err != nil || !found {
			return sum, false, err
		}
		sum = r.sum
		for _, p := range r.open(owner) {
			some, _, err := m.sumChunk(ctx, p)
			if err != nil {
				return sum, false, err
			}
			sum = sum.Add(some)
		}
		now, found, err := m.tallyOf(ctx, owner, proc)
		if err != nil || found && now.folded == r.folded {
			return sum, err == nil, err
		}
	}
	return sum, false, errs.E("cassandra.Meta.absorb", errs.Busy, errs.Account, owner)
}

// dropBook deletes what a closed process has logged for an owner.
func (m *Meta) dropBook(ctx context.Context, owner string, proc gocql.UUID) error {
	r, found, err := m.tallyOf(ctx, owner, proc)
	if err != nil || !found {
		return err
	}
	for _, p := range r.open(owner) {
		if err := m.s.exec(ctx, clearChunk, append(p.args(), []byte{})...); err != nil {
			return err
		}
	}
	return m.s.exec(ctx, dropTally, owner, proc)
}

// tallyOf reads a process's row of a tally.
func (m *Meta) tallyOf(ctx context.Context, owner string, proc gocql.UUID) (r tallyRow, found bool, err error) {
	var sum []byte
	var latest, folded *int64
	r.proc = proc
	_, err = m.s.one(ctx, getTally, []any{owner, proc}, &latest, &folded, &sum)
	if err == nil && len(sum) > 0 {
		if err := json.Unmarshal(sum, &r.sum); err != nil {
			return r, false, tornUsage(err)
		}
	}
	if latest != nil {
		r.latest = *latest
	}
	if folded != nil {
		r.folded = *folded
	}
	return r, latest != nil, err
}
