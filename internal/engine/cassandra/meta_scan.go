package cassandra

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"sync"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

const (
	pageFirst    = 4    // names read after a seek: a walk with a delimiter needs few
	pageMost     = 1000 // names read at once by a long walk
	versionsPage = 100  // versions of a name read at once
	changesMost  = 200  // under way that are looked at with one page
)

// Scan walks a container in one view; see meta.Versions.
func (m *Meta) Scan(_ context.Context, id naming.ContainerID, view meta.View) meta.Cursor {
	return &cursor{m: m, container: id, view: view, size: pageFirst}
}

// cursor walks names page by page. The name of a change under way is taken from its cell, the others from their entries.
type cursor struct {
	m         *Meta
	container naming.ContainerID
	view      meta.View
	pos       meta.Position // where Next goes on
	size      int           // of the next page

	names []listedName // read, and not passed yet
	next  naming.ObjectName
	read  bool // names holds all names from next back to the page's start
	last  bool // there are no names behind the page

	versions []*object.Summary // of one name, for ViewAll
	of       naming.ObjectName
	held     bool
	ahead    lookahead

	back behind // of a walk back
}

// listedName is a name that has or may have versions, with its newest version as listed; nil: to be read from the cell.
type listedName struct {
	name naming.ObjectName
	rec  []byte
}

// Seek moves the cursor.
func (c *cursor) Seek(pos meta.Position) {
	inside := c.read && len(c.names) > 0 && pos.Name >= c.names[0].name && pos.Name <= c.names[len(c.names)-1].name
	c.pos = pos
	c.versions, c.held = nil, false
	c.ahead, c.back = lookahead{}, behind{}
	if !inside {
		c.names, c.read, c.size = nil, false, pageFirst
	}
}

// Close ends the walk.
func (c *cursor) Close() {}

// Next returns the next entry.
func (c *cursor) Next(ctx context.Context) (*object.Summary, error) {
	const op = "cassandra.Cursor.Next"
	for {
		if c.held && c.of == c.pos.Name {
			s, more, err := c.nextVersion(ctx)
			if err != nil || s != nil {
				return s, fail(op, err)
			}
			if !more {
				c.held = false
				c.pos = meta.Position{Name: c.pos.Name + "\x00"}
			}
			continue
		}
		n, err := c.nextName(ctx)
		if err != nil || n == nil {
			return nil, fail(op, err)
		}
		if n.name != c.pos.Name {
			c.pos = meta.Position{Name: n.name}
		}
		if c.view.Kind == meta.ViewAll {
			c.of, c.held, c.versions = n.name, true, nil
			continue
		}
		s, err := c.entry(ctx, n)
		if err != nil {
			return nil, fail(op, err)
		}
		from := c.pos.ID
		c.pos = meta.Position{Name: n.name + "\x00"}
		if s != nil && (from == 0 || s.ID <= from) {
			return s, nil
		}
	}
}

// nextName is the first name at or after the position, nil at the end.
func (c *cursor) nextName(ctx context.Context) (*listedName, error) {
	for {
		i, _ := slices.BinarySearchFunc(c.names, c.pos.Name, func(n listedName, name naming.ObjectName) int {
			return strings.Compare(string(n.name), string(name))
		})
		if c.read && i < len(c.names) {
			return &c.names[i], nil
		}
		if c.read && c.last {
			c.read = false // a later call looks again
			return nil, nil
		}
		from := c.pos.Name
		if c.read && c.next > from {
			from = c.next
		}
		if err := c.fill(ctx, from); err != nil {
			return nil, err
		}
	}
}

// fill reads a page of names. The log is read first: a change that is acknowledged has an entry before its row is done.
func (c *cursor) fill(ctx context.Context, from naming.ObjectName) error {
	changes, full, err := c.m.underWay(ctx, c.container, from, changesMost)
	if err != nil {
		return err
	}
	var page []listedName
	rows, next, err := c.m.page(ctx, namesOf(c.container), []byte(from), c.size)
	for err == nil && next != nil && len(rows) == 0 { // a shard without names from here on
		rows, next, err = c.m.page(ctx, namesOf(c.container), next, c.size)
	}
	if err != nil {
		return err
	}
	for _, r := range rows {
		page = append(page, listedName{naming.ObjectName(r.key), r.rec})
	}
	c.read, c.last = true, next == nil
	end := naming.ObjectName(next) // the page has all names before it
	if full {
		if last := changes[len(changes)-1].name; c.last || last+"\x00" < end {
			end, c.last = last+"\x00", false
			page = slices.DeleteFunc(page, func(n listedName) bool { return n.name >= end })
		}
	}
	for _, r := range changes {
		if c.last || r.name < end {
			page = append(page, listedName{name: r.name})
		}
	}
	slices.SortStableFunc(page, func(a, b listedName) int {
		if d := strings.Compare(string(a.name), string(b.name)); d != 0 {
			return d
		}
		return len(a.rec) - len(b.rec) // the one to be read from its cell first
	})
	c.names = slices.CompactFunc(page, func(a, b listedName) bool { return a.name == b.name })
	c.next = end
	c.size = min(c.size*4, pageMost)
	return nil
}

// entry is what the view shows of a name, nil when nothing.
func (c *cursor) entry(ctx context.Context, n *listedName) (*object.Summary, error) {
	var s object.Summary
	if c.view.Kind != meta.ViewAsOf && n.rec != nil {
		if err := new(object.Decoder).Summary(n.rec, &s); err != nil {
			return nil, err
		}
		s.Name, s.Latest = n.name, true
	} else {
		k := cellKey{container: c.container, name: n.name}
		cl, err := c.m.cell(ctx, k, gocql.LocalQuorum)
		if err != nil || cl.first == nil {
			return nil, err
		}
		which := meta.Which{By: meta.Newest}
		if c.view.Kind == meta.ViewAsOf {
			which = meta.Which{By: meta.AsOf, At: c.view.At}
		}
		v, err := c.m.find(ctx, k, cl, which)
		if err != nil || v == nil {
			return nil, err
		}
		s = v.Summary
		s.Latest = int64(v.ID) == cl.first.seq
	}
	if s.Visible() == (c.view.Kind == meta.ViewDeleted) {
		return nil, nil
	}
	return &s, nil
}

// nextVersion is the next version of the name at the position. more is false when the name has no others.
func (c *cursor) nextVersion(ctx context.Context) (s *object.Summary, more bool, err error) {
	if len(c.versions) == 0 {
		if err := c.fillVersions(ctx); err != nil {
			return nil, false, err
		}
		if len(c.versions) == 0 {
			return nil, false, nil
		}
	}
	s, c.versions = c.versions[0], c.versions[1:]
	if s.ID <= 1 {
		c.held = false
		c.pos = meta.Position{Name: s.Name + "\x00"}
	} else {
		c.pos.ID = s.ID - 1
	}
	return s, true, nil
}

// fillVersions reads versions of the name from the position on, from the newest on those of the names behind it too.
func (c *cursor) fillVersions(ctx context.Context) (err error) {
	k := cellKey{container: c.container, name: c.of}
	if c.pos.ID == 0 {
		i, _ := slices.BinarySearchFunc(c.names, c.of, func(n listedName, name naming.ObjectName) int { return strings.Compare(string(n.name), string(name)) })
		c.versions, err = c.ahead.take(ctx, c.names[i:], func(ctx context.Context, name naming.ObjectName) ([]*object.Summary, error) {
			return c.m.versionsFrom(ctx, cellKey{container: c.container, name: name}, math.MaxInt64)
		})
		if len(c.versions) > 0 {
			c.versions[0].Latest = true
		}
		return err
	}
	if c.versions, err = c.m.versionsFrom(ctx, k, seqOf(c.pos.ID)); err != nil || len(c.versions) == 0 {
		return err
	}
	cl, err := c.m.cell(ctx, k, gocql.LocalQuorum)
	if err == nil && cl.first != nil {
		c.versions[0].Latest = int64(c.versions[0].ID) == cl.first.seq
	}
	return err
}

// versionsFrom reads versions of a name, the newest first: at most versionsPage from one on.
func (m *Meta) versionsFrom(ctx context.Context, k cellKey, from int64) ([]*object.Summary, error) {
	return m.versionRows(ctx, k.name, listRows, append(k.args(), from), versionsPage)
}

// versionsAbove reads versions of a name, the oldest first: those that are newer than one, one more than versionsPage at most.
func (m *Meta) versionsAbove(ctx context.Context, k cellKey, above int64) ([]*object.Summary, error) {
	return m.versionRows(ctx, k.name, listParts, append(k.args(), above, versionsPage+1), versionsPage+1)
}

func (m *Meta) versionRows(ctx context.Context, name naming.ObjectName, st statement, args []any, most int) (list []*object.Summary, err error) {
	var bad error
	err = m.s.rows(ctx, st, args, most, func(it *gocql.Iter) bool {
		var r row
		if len(list) == most || !it.Scan(&r.seq, &r.rec, &r.namer) {
			return false
		}
		var v *stored
		if v, bad = r.parse(name); bad == nil {
			list = append(list, &v.Summary)
		}
		return bad == nil
	})
	if err = cmp.Or(err, bad); err != nil {
		return nil, err
	}
	return list, nil
}

// lookahead reads versions of names before they are wanted, ever more names at once: a walk through many does not wait for each.
type lookahead struct {
	got map[naming.ObjectName][]*object.Summary
	n   int // names of the next reading
}

// lookaheadMost bounds the names that are read at once.
const lookaheadMost = 16

// take gives what read finds for the first of some names, and reads further ones with it. What cannot be read of those is read again when it is wanted.
func (a *lookahead) take(
	ctx context.Context, names []listedName, read func(context.Context, naming.ObjectName) ([]*object.Summary, error),
) ([]*object.Summary, error) {
	first := names[0].name
	if list, ok := a.got[first]; ok {
		delete(a.got, first)
		return list, nil
	}
	names = names[:min(len(names), max(1, a.n))]
	a.n = min(2*max(1, a.n), lookaheadMost)
	lists, failed := make([][]*object.Summary, len(names)), make([]error, len(names))
	var all sync.WaitGroup
	for i := range names {
		all.Go(func() { lists[i], failed[i] = read(ctx, names[i].name) })
	}
	all.Wait()
	a.got = map[naming.ObjectName][]*object.Summary{}
	for i := range names[1:] {
		if failed[i+1] == nil {
			a.got[names[i+1].name] = lists[i+1]
		}
	}
	return lists[0], failed[0]
}
