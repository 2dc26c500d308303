package cassandra

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// An index by time is cut into slots of some minutes, each a partition. A second list tells the slots in use; it is cut into eras of many slots,
// and the list of eras is a third. A row is written first, its slot after it, and its era after that, so that one which is found empty and taken off the list
// cannot hide a row that is acknowledged.
var (
	addTimed  = statement{cql: `INSERT INTO %k.timed (kind, slot, at, id, val) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP 1`, class: plainWrite, level: gocql.LocalQuorum, key: []int{0, 1}}
	dropTimed = statement{cql: `DELETE FROM %k.timed USING TIMESTAMP 2 WHERE kind = ? AND slot = ? AND at = ? AND id = ?`, class: plainWrite, level: gocql.LocalQuorum, key: []int{0, 1}}
	listTimed = statement{cql: `SELECT at, id, val FROM %k.timed WHERE kind = ? AND slot = ? AND (at, id) >= (?, ?) AND (at) <= (?) LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
	// listMoments ends at an id.
	listMoments = statement{cql: `SELECT at, id, val FROM %k.timed WHERE kind = ? AND slot = ? AND (at, id) >= (?, ?) AND (at, id) <= (?, ?) LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
	addSlot     = statement{cql: `INSERT INTO %k.slot (kind, slot) VALUES (?, ?) USING TIMESTAMP ?`, class: plainWrite, level: gocql.LocalQuorum}
	dropSlot    = statement{cql: `DELETE FROM %k.slot USING TIMESTAMP ? WHERE kind = ? AND slot = ?`, class: plainWrite, level: gocql.LocalQuorum}
	listSlots   = statement{cql: `SELECT slot FROM %k.slot WHERE kind = ? AND slot >= ? AND slot <= ?`, class: sliceRead, level: gocql.LocalQuorum}
)

// Kinds of indexes by time. That of a container's changes has the container behind it.
const (
	timedIntent    = "intent"    // at: when it expires; id: holder
	timedDead      = "dead"      // at: when it died; id: holder; slot: when it was written
	timedExpiry    = "expiry"    // at: when it expires; id: container, version, name; val: account
	timedCompleted = "completed" // at: when; id: container, length of the name, name, upload
	timedSplit     = "split"     // at: when it was planned; id: list, shard; val: where the shard begins
	timedChange    = "change:"   // at: version id; id: name; val: kind of the version
)

const (
	slotOfAll   = int64(time.Minute / time.Microsecond)     // of an index over all containers
	slotOfOne   = int64(5 * time.Minute / time.Microsecond) // of a container's
	slotsOfEra  = 4096
	eras        = "eras:"          // before the kind: the list of its eras
	slotKept    = 10 * time.Minute // how long a slot is remembered as listed
	slotStays   = time.Hour        // a slot listed since then is not taken off, however empty
	slotsCached = 4096
)

// slotAt is the slot of a time in microseconds.
func slotAt(kind string, at int64) int64 {
	width := slotOfAll
	if strings.HasPrefix(kind, timedChange) {
		width = slotOfOne
	}
	if at < 0 {
		return 0 // the zero time and all before the epoch
	}
	return at / width
}

// eraOf is the partition that lists a slot.
func eraOf(kind string, slot int64) string {
	return kind + ":" + strconv.FormatInt(slot/slotsOfEra, 10)
}

type slotKey struct {
	kind string
	slot int64
}

// slotCache remembers for a while which slots this process has listed.
type slotCache struct {
	mu     sync.Mutex
	listed map[slotKey]time.Time
}

func (c *slotCache) fresh(k slotKey, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.listed[k]
	return ok && now.Sub(at) < slotKept && now.Sub(at) >= 0
}

func (c *slotCache) add(k slotKey, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listed == nil || len(c.listed) >= slotsCached {
		c.listed = map[slotKey]time.Time{}
	}
	c.listed[k] = now
}

// timedRow is a row of an index by time.
type timedRow struct {
	slot, at int64
	id, val  []byte
}

// index writes a row, in the slot of its time.
func (m *Meta) index(ctx context.Context, kind string, at int64, id, val []byte) error {
	return m.indexIn(ctx, kind, timedRow{slotAt(kind, at), at, id, val})
}

func (m *Meta) indexIn(ctx context.Context, kind string, r timedRow) error {
	if err := m.s.exec(ctx, addTimed, kind, r.slot, r.at, r.id, r.val); err != nil {
		return err
	}
	now, k := m.clock.Now(), slotKey{kind, r.slot}
	if m.slots.fresh(k, now) {
		return nil
	}
	for _, row := range [][2]any{{eraOf(kind, r.slot), r.slot}, {eras + kind, r.slot / slotsOfEra}} {
		if err := m.s.exec(ctx, addSlot, row[0], row[1], now.UnixMicro()); err != nil {
			return err
		}
	}
	m.slots.add(k, now)
	return nil
}

// unindex removes a row.
func (m *Meta) unindex(ctx context.Context, kind string, at int64, id []byte) error {
	return m.unindexIn(ctx, kind, timedRow{slot: slotAt(kind, at), at: at, id: id})
}

func (m *Meta) unindexIn(ctx context.Context, kind string, r timedRow) error {
	return m.s.exec(ctx, dropTimed, kind, r.slot, r.at, r.id)
}

// span is what to read of an index.
type span struct {
	firstSlot, lastSlot int64
	first, last         int64 // times
}

// walkTimed reads an index slot by slot, in the order of time within each, until fn reports false. Rows are read page by
// page before fn sees them, so fn may change the index.
func (m *Meta) walkTimed(ctx context.Context, kind string, in span, fn func(timedRow) (bool, error)) error {
	found, err := m.slotsIn(ctx, eras+kind, in.firstSlot/slotsOfEra, in.lastSlot/slotsOfEra)
	if err != nil {
		return err
	}
	for _, era := range found {
		slots, err := m.slotsIn(ctx, eraOf(kind, era*slotsOfEra), in.firstSlot, in.lastSlot)
		if err != nil {
			return err
		}
		for _, slot := range slots {
			more, err := m.walkSlot(ctx, kind, slot, in, fn)
			if err != nil || !more {
				return err
			}
		}
		if len(slots) > 0 || era < in.firstSlot/slotsOfEra+1 || era >= in.lastSlot/slotsOfEra {
			continue
		}
		if err := m.s.exec(ctx, dropSlot, m.clock.Now().Add(-slotStays).UnixMicro(), eras+kind, era); err != nil {
			return err
		}
	}
	return nil
}

// slotsIn reads a list of slots or eras.
func (m *Meta) slotsIn(ctx context.Context, list string, first, last int64) (found []int64, err error) {
	err = m.s.rows(ctx, listSlots, []any{list, first, last}, 5000, func(it *gocql.Iter) bool {
		var n int64
		ok := it.Scan(&n)
		if ok {
			found = append(found, n)
		}
		return ok
	})
	return found, err
}

// moment is a place in a slot: behind all rows with a lesser time, or the same time and a lesser id.
type moment struct {
	at int64
	id []byte
}

// slotPage is how many rows of a slot are read at once.
const slotPage = 500

// walkSlot reads a slot page by page. Where it meets more tombstones than the cluster reads over, it reads shorter times.
func (m *Meta) walkSlot(ctx context.Context, kind string, slot int64, in span, fn func(timedRow) (bool, error)) (bool, error) {
	found := false
	ends := []moment{{at: in.last}} // of the times still to be read, the first one last; an end is read too
	from := moment{at: in.first}
	for len(ends) > 0 {
		to := ends[len(ends)-1]
		rows, err := m.readSlot(ctx, kind, slot, from, to)
		if tooManyTombstones(err) && len(ends) < digMost {
			if mid, ok := from.halfway(to, slot, kind); ok {
				ends = append(ends, mid)
				continue
			}
		}
		if err != nil {
			return false, err
		}
		for _, r := range rows {
			found = true
			if more, err := fn(r); err != nil || !more {
				return false, err
			}
		}
		if len(rows) == slotPage {
			last := rows[len(rows)-1]
			from = moment{last.at, append(last.id[:len(last.id):len(last.id)], 0)}
			continue
		}
		from, ends = to.next(), ends[:len(ends)-1]
	}
	if found {
		return true, nil
	}
	return true, m.retire(ctx, kind, slot)
}

// next is the first moment behind one.
func (t moment) next() moment {
	if t.id == nil {
		return moment{at: t.at + 1}
	}
	return moment{t.at, append(t.id[:len(t.id):len(t.id)], 0)}
}

// halfway is a moment before to and not before t. Without an id it stands for all rows of its time. Times outside of the slot are those of rows
// that keep another time than that of their slot.
func (t moment) halfway(to moment, slot int64, kind string) (moment, bool) {
	width := slotOfAll
	if strings.HasPrefix(kind, timedChange) {
		width = slotOfOne
	}
	low, high := t.at, to.at
	if first := slot * width; low < first-1 && high >= first {
		return moment{at: first - 1}, true
	}
	if end := (slot + 1) * width; low < end && high > end {
		return moment{at: end}, true
	}
	if high > low {
		return moment{at: low + int64((uint64(high)-uint64(low))/2)}, true
	}
	mid := between(t.id, to.id)
	return moment{low, mid}, !bytes.Equal(mid, to.id)
}

func (m *Meta) readSlot(ctx context.Context, kind string, slot int64, from, to moment) (rows []timedRow, err error) {
	st, args := listTimed, []any{kind, slot, from.at, atLeastEmpty(from.id), to.at}
	if to.id != nil {
		st, args = listMoments, append(args, to.id)
	}
	err = m.s.rows(ctx, st, append(args, slotPage), slotPage, func(it *gocql.Iter) bool {
		r := timedRow{slot: slot}
		ok := it.Scan(&r.at, &r.id, &r.val)
		if ok {
			rows = append(rows, r)
		}
		return ok
	})
	return rows, err
}

// retire takes a slot off the list when it has no rows at all and was not listed lately.
func (m *Meta) retire(ctx context.Context, kind string, slot int64) error {
	rows, err := m.readSlot(ctx, kind, slot, moment{at: -1 << 63}, moment{at: 1<<63 - 1})
	if tooManyTombstones(err) {
		return nil // until these are gone
	}
	if err != nil || len(rows) > 0 {
		return err
	}
	return m.s.exec(ctx, dropSlot, m.clock.Now().Add(-slotStays).UnixMicro(), eraOf(kind, slot), slot)
}
