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
	size      int // of the next page; 0: the first

	of       naming.ObjectName
	versions []*object.Summary // of that name, read and not given yet, the oldest first, for ViewAll
	given    object.VersionID  // the one of them that was given last
	ahead    lookahead[[]*object.Summary]
}

// Before finds the entry before a position; see meta.Backward.
func (c *cursor) Before(ctx context.Context, pos meta.Position) (*object.Summary, error) {
	const op = "cassandra.Cursor.Before"
	if c.view.Kind != meta.ViewCurrent && c.view.Kind != meta.ViewAll {
		return nil, errs.E(op, errs.Unsupported, errs.Request, "")
	}
	if c.view.Kind == meta.ViewAll && pos.Name != "" && pos.ID != 0 {
		if s, err := c.versionBefore(ctx, pos); s != nil || err != nil {
			return s, fail(op, err)
		}
	}
	s, err := c.nameBefore(ctx, pos.Name)
	return s, fail(op, err)
}

// nameBefore is the last entry of the names before one ("": of all).
func (c *cursor) nameBefore(ctx context.Context, name naming.ObjectName) (*object.Summary, error) {
	b := &c.back
	for {
		if !b.read || name <= b.low && name != "" || b.high != "" && (name == "" || name > b.high) {
			if b.read && name != b.low {
				b.size, b.ahead = pageFirst, lookahead[[]*object.Summary]{} // a jump, as over a common prefix
			}
			if err := c.fillBack(ctx, name); err != nil {
				return nil, err
			}
		}
		for i := range b.names {
			if name != "" && b.names[i].name >= name {
				continue
			}
			s, err := c.lastOf(ctx, b.names[i:])
			if err != nil || s != nil {
				return s, err
			}
		}
		b.read = false // a later call looks again
		if b.low == "" {
			return nil, nil
		}
		name = b.low
	}
}

// lastOf is the last entry that the view has of the first of some names, nil when it has none.
func (c *cursor) lastOf(ctx context.Context, names []listedName) (*object.Summary, error) {
	if c.view.Kind != meta.ViewAll {
		return c.entry(ctx, names)
	}
	found, err := c.back.ahead.take(ctx, names, func(ctx context.Context, name naming.ObjectName) ([]*object.Summary, error) {
		return c.m.versionsAbove(ctx, cellKey{container: c.container, name: name}, 0)
	})
	if err != nil {
		return nil, err
	}
	c.back.keep(names[0].name, found)
	return c.back.give(), nil
}

// versionBefore is the oldest version of the position's name that is newer than the position's, nil when there is none.
func (c *cursor) versionBefore(ctx context.Context, pos meta.Position) (*object.Summary, error) {
	b := &c.back
	if b.of != pos.Name || b.given != pos.ID || len(b.versions) == 0 {
		found, err := c.m.versionsAbove(ctx, cellKey{container: c.container, name: pos.Name}, seqOf(pos.ID))
		if err != nil {
			return nil, err
		}
		b.keep(pos.Name, found)
	}
	return b.give(), nil
}

// keep takes versions of a name as versionsAbove reads them: the one too many tells that the last of the others is not the newest.
func (b *behind) keep(name naming.ObjectName, found []*object.Summary) {
	if n := len(found); n > versionsPage {
		found = found[:versionsPage]
	} else if n > 0 {
		found[n-1].Latest = true
	}
	b.of, b.versions = name, found
}

// give is the next of the versions that are kept, nil when there is none.
func (b *behind) give() *object.Summary {
	if len(b.versions) == 0 {
		return nil
	}
	s := b.versions[0]
	b.given, b.versions = s.ID, b.versions[1:]
	return s
}

// fillBack reads a page of the names before one ("": the last ones). As in fill, what is under way is read first.
func (c *cursor) fillBack(ctx context.Context, before naming.ObjectName) error {
	b := &c.back
	changes, _, err := c.underWay(ctx, "", 0)
	if err != nil {
		return err
	}
	if b.size == 0 {
		b.size = firstPage(c.view)
	}
	rows, low, err := c.m.pageBack(ctx, namesOf(c.container), []byte(before), b.size)
	if err != nil {
		return err
	}
	b.low, b.high, b.read, b.size = naming.ObjectName(low), before, true, min(b.size*4, pageMost)
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
