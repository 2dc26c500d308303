package cassandra

import (
	"context"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// An index by time is cut into slots of an hour, each a partition, and the partition (slot, kind) lists the slots in use. A row is written
// first and its slot after it, so a slot that is listed as empty and taken off the list cannot hide a row that is acknowledged.
var (
	addTimed  = statement{`INSERT INTO %k.timed (kind, slot, at, id, val) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP 1`, plainWrite, gocql.LocalQuorum}
	dropTimed = statement{`DELETE FROM %k.timed USING TIMESTAMP 2 WHERE kind = ? AND slot = ? AND at = ? AND id = ?`, plainWrite, gocql.LocalQuorum}
	listTimed = statement{`SELECT at, id, val FROM %k.timed WHERE kind = ? AND slot = ? AND at >= ? AND at <= ?`, sliceRead, gocql.LocalQuorum}
	addSlot   = statement{`INSERT INTO %k.slot (kind, slot) VALUES (?, ?) USING TIMESTAMP ?`, plainWrite, gocql.LocalQuorum}
	dropSlot  = statement{`DELETE FROM %k.slot USING TIMESTAMP ? WHERE kind = ? AND slot = ?`, plainWrite, gocql.LocalQuorum}
	listSlots = statement{`SELECT slot FROM %k.slot WHERE kind = ? AND slot >= ? AND slot <= ?`, sliceRead, gocql.LocalQuorum}
)

// Kinds of indexes by time. That of a container's changes has the container behind it.
const (
	timedIntent    = "intent"    // at: when it expires; id: holder
	timedDead      = "dead"      // at: when it died; id: holder; slot: when it was written
	timedExpiry    = "expiry"    // at: when it expires; id: container, version, name; val: account
	timedCompleted = "completed" // at: when; id: container, length of the name, name, upload
	timedRedo      = "redo"      // at: when it was begun; id: commit; val: container, length of the name, name, upload
	timedChange    = "change:"   // at: version id; id: name; val: kind of the version
)

const (
	slotOfTime  = int64(time.Hour / time.Microsecond)
	slotKept    = 10 * time.Minute // how long a slot is remembered as listed
	slotStays   = time.Hour        // a slot listed since then is not taken off, however empty
	slotsCached = 4096
)

// slotAt is the slot of a time in microseconds.
func slotAt(at int64) int64 {
	if at < 0 {
		return 0 // the zero time and all before the epoch
	}
	return at / slotOfTime
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
	return m.indexIn(ctx, kind, timedRow{slotAt(at), at, id, val})
}

func (m *Meta) indexIn(ctx context.Context, kind string, r timedRow) error {
	if err := m.s.exec(ctx, addTimed, kind, r.slot, r.at, r.id, r.val); err != nil {
		return err
	}
	now, k := m.clock.Now(), slotKey{kind, r.slot}
	if m.slots.fresh(k, now) {
		return nil
	}
	if err := m.s.exec(ctx, addSlot, kind, r.slot, now.UnixMicro()); err != nil {
		return err
	}
	m.slots.add(k, now)
	return nil
}

// unindex removes a row.
func (m *Meta) unindex(ctx context.Context, kind string, at int64, id []byte) error {
	return m.unindexIn(ctx, kind, timedRow{slot: slotAt(at), at: at, id: id})
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
	var slots []int64
	err := m.s.rows(ctx, listSlots, []any{kind, in.firstSlot, in.lastSlot}, 5000, func(it *gocql.Iter) bool {
		var slot int64
		ok := it.Scan(&slot)
		if ok {
			slots = append(slots, slot)
		}
		return ok
	})
	if err != nil {
		return err
	}
	for _, slot := range slots {
		more, err := m.walkSlot(ctx, kind, slot, in, fn)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (m *Meta) walkSlot(ctx context.Context, kind string, slot int64, in span, fn func(timedRow) (bool, error)) (bool, error) {
	iter := m.s.query(listTimed, kind, slot, in.first, in.last).PageSize(500).IterContext(ctx)
	found, more := false, true
	var err error
	for r := (timedRow{slot: slot}); more && err == nil && iter.Scan(&r.at, &r.id, &r.val); r = (timedRow{slot: slot}) {
		found = true
		more, err = fn(r)
	}
	if cerr := iter.Close(); err == nil {
		err = cerr
	}
	if err != nil || found {
		return more, err
	}
	return true, m.retire(ctx, kind, slot)
}

// retire takes a slot off the list when it has no rows at all and was not listed lately.
func (m *Meta) retire(ctx context.Context, kind string, slot int64) error {
	used := false
	err := m.s.rows(ctx, listTimed, []any{kind, slot, int64(-1 << 63), int64(1<<63 - 1)}, 1, func(it *gocql.Iter) bool {
		var r timedRow
		used = it.Scan(&r.at, &r.id, &r.val) || used
		return false
	})
	if err != nil || used {
		return err
	}
	return m.s.exec(ctx, dropSlot, m.clock.Now().Add(-slotStays).UnixMicro(), kind, slot)
}
