package cassandra

import (
	"bytes"
	"context"
	"slices"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// A walk back reads the rows of a shard in descending order, and then those of the shard before it.
var (
	lastShard   = statement{cql: `SELECT lo FROM %k.shard WHERE list = ? ORDER BY lo DESC LIMIT 1`, class: pointRead, level: gocql.LocalQuorum}
	shardBefore = statement{cql: `SELECT lo FROM %k.shard WHERE list = ? AND lo < ? ORDER BY lo DESC LIMIT 1`, class: pointRead, level: gocql.LocalQuorum}
	backFrom    = statement{cql: `SELECT moved, key, rec FROM %k.entry WHERE shard = ? AND key >= ? ORDER BY key DESC LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
	backBetween = statement{cql: `SELECT moved, key, rec FROM %k.entry WHERE shard = ? AND key >= ? AND key < ? ORDER BY key DESC LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
)

var _ meta.Backward = (*cursor)(nil)

// behind is what a cursor that walks back has read: all names of the container from low up to high, in descending order.
type behind struct {
	names     []listedName
	low, high naming.ObjectName // high "": to the end
	read      bool
	size      int
}

// Before finds the name before another; see meta.Backward.
func (c *cursor) Before(ctx context.Context, name naming.ObjectName) (*object.Summary, error) {
	const op = "cassandra.Cursor.Before"
	if c.view.Kind != meta.ViewCurrent {
		return nil, errs.E(op, errs.Unsupported, errs.Request, "")
	}
	b := &c.back
	for {
		if !b.read || name <= b.low && name != "" || b.high != "" && (name == "" || name > b.high) {
			if b.read && name != b.low {
				b.size = 0 // a jump, as over a common prefix
			}
			if err := c.fillBack(ctx, name); err != nil {
				return nil, fail(op, err)
			}
		}
		for i := range b.names {
			n := &b.names[i]
			if name != "" && n.name >= name {
				continue
			}
			s, err := c.entry(ctx, n)
			if err != nil || s != nil {
				return s, fail(op, err)
			}
		}
		b.read = false // a later call looks again
		if b.low == "" {
			return nil, nil
		}
		name = b.low
	}
}

// fillBack reads a page of the names before one ("": the last ones). As in fill, the log is read first.
func (c *cursor) fillBack(ctx context.Context, before naming.ObjectName) error {
	b := &c.back
	changes, _, err := c.m.underWay(ctx, c.container, "", 0)
	if err != nil {
		return err
	}
	b.size = min(max(pageFirst, b.size*4), pageMost)
	rows, low, err := c.m.pageBack(ctx, namesOf(c.container), []byte(before), b.size)
	if err != nil {
		return err
	}
	b.low, b.high, b.read = naming.ObjectName(low), before, true
	page := make([]listedName, 0, len(rows)+len(changes))
	for _, r := range changes {
		if r.name >= b.low && (before == "" || r.name < before) {
			page = append(page, listedName{name: r.name})
		}
	}
	for _, r := range rows {
		page = append(page, listedName{naming.ObjectName(r.key), r.rec})
	}
	slices.SortStableFunc(page, func(x, y listedName) int { return strings.Compare(string(y.name), string(x.name)) })
	// Of two with one name the first stays, which is to be read from its cell.
	b.names = slices.CompactFunc(page, func(x, y listedName) bool { return x.name == y.name })
	return nil
}

// pageBack reads keys before one (none: the last ones), at most limit, the greatest first. They are all that the list has from low on.
func (m *Meta) pageBack(ctx context.Context, list listID, before []byte, limit int) (rows []listedRow, low []byte, err error) {
	s, err := m.shardBefore(ctx, list, before, gocql.LocalQuorum)
	for range shardHops {
		if err != nil {
			return nil, nil, err
		}
		rows, low, moved, err := m.readShardBack(ctx, s, before, limit)
		if err != nil || !moved {
			return rows, low, err
		}
		now, err := m.shardBefore(ctx, list, before, m.s.serial)
		if err != nil {
			return nil, nil, err
		}
		if now.id == s.id {
			return rows, low, nil
		}
		s = now
	}
	return nil, nil, errs.E("cassandra.Meta.pageBack", errs.Busy, errs.Container, "")
}

// shardBefore is the shard that has the greatest keys below one (none: the last shard).
func (m *Meta) shardBefore(ctx context.Context, list listID, before []byte, level gocql.Consistency) (*shard, error) {
	if len(before) > 0 && level == gocql.LocalQuorum {
		if s := m.shards.find(list, before); s != nil && bytes.Compare(s.lo, before) < 0 {
			return s, nil
		}
	}
	lo := []byte{}
	st, args := lastShard, []any{gocql.UUID(list)}
	if len(before) > 0 {
		st, args = shardBefore, append(args, before)
	}
	if _, err := m.s.serially(ctx, st, level, args, &lo); err != nil {
		return nil, err
	}
	return m.askShard(ctx, list, lo, level)
}

// readShardBack reads rows of one shard, the greatest first. Where it meets more tombstones than the cluster reads over, it reads smaller ranges.
func (m *Meta) readShardBack(ctx context.Context, s *shard, before []byte, limit int) (rows []listedRow, low []byte, moved bool, err error) {
	to := before
	if len(to) == 0 {
		to = nil
	}
	if s.hi != nil && (to == nil || bytes.Compare(s.hi, to) < 0) {
		to = s.hi
	}
	begins := [][]byte{atLeastEmpty(s.lo)} // of the ranges still to be read, the last one last
	for range digMost {
		from := begins[len(begins)-1]
		rows, moved, err = m.sliceBack(ctx, s.id, from, to, limit)
		switch {
		case tooManyTombstones(err):
			m.orderSplit(ctx, s, true)
			begins = append(begins, between(from, to))
			continue
		case err != nil:
			return nil, nil, false, err
		case len(rows) == limit:
			return rows, rows[len(rows)-1].key, moved, nil
		case len(rows) > 0 || len(begins) == 1:
			return rows, from, moved, m.movedAfter(ctx, s.id, rows, &moved)
		}
		to, begins = from, begins[:len(begins)-1]
	}
	return nil, nil, false, errs.E("cassandra.Meta.readShardBack", errs.Busy, errs.Container, "")
}

// sliceBack is slice, the greatest keys first.
func (m *Meta) sliceBack(ctx context.Context, id gocql.UUID, from, to []byte, limit int) (rows []listedRow, moved bool, err error) {
	if to == nil {
		rows, moved, _, err = m.listed(ctx, limit, backFrom, id, from, limit)
	} else {
		rows, moved, _, err = m.listed(ctx, limit, backBetween, id, from, to, limit)
	}
	return rows, moved, err
}
