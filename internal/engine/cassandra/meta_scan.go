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
	pageFirst    = 4    // names read first when it is not known how many are wanted, and after a jump
	pageMost     = 1024 // names read at once by a long walk: a page of 1,000 and the name that tells of more
	versionsPage = 100  // versions of a name read at once
	changesMost  = 200  // under way that are looked at with one page
)

// Scan walks a container in one view; see meta.Versions.
func (m *Meta) Scan(_ context.Context, id naming.ContainerID, view meta.View) meta.Cursor {
	return &cursor{m: m, container: id, view: view, size: firstPage(view)}
}

// firstPage is how many names the first page has.
func firstPage(view meta.View) int { return min(max(pageFirst, view.Want), pageMost) }

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
	ahead    lookahead[[]*object.Summary]

	past lookahead[*object.Summary] // for ViewAsOf

	log  *pending // what was under way when the cursor began, nil: not read yet
	back behind   // of a walk back
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
	c.ahead, c.past, c.back = lookahead[[]*object.Summary]{}, lookahead[*object.Summary]{}, behind{}
	if !inside {
		c.names, c.read = nil, false
		if c.log != nil { // a jump, as over a common prefix: there may be another one soon
			c.size = pageFirst
		}
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
		names, err := c.nextNames(ctx)
		if err != nil || len(names) == 0 {
			return nil, fail(op, err)
		}
		n := &names[0]
		if n.name != c.pos.Name {
			c.pos = meta.Position{Name: n.name}
		}
		if c.view.Kind == meta.ViewAll {
			c.of, c.held, c.versions = n.name, true, nil
			continue
		}
		s, err := c.entry(ctx, names)
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

// nextNames is the names at or after the position that are at hand, at least one, none at the end.
func (c *cursor) nextNames(ctx context.Context) ([]listedName, error) {
	for {
		i, _ := slices.BinarySearchFunc(c.names, c.pos.Name, func(n listedName, name naming.ObjectName) int {
			return strings.Compare(string(n.name), string(name))
		})
		if c.read && i < len(c.names) {
			return c.names[i:], nil
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

// pending is the changes of a container from a name on that had not come to their end at one time. full: there are more behind the last.
type pending struct {
	from    naming.ObjectName
	changes []logged
	full    bool
}

// underWay reads what is under way from a name on, before the first page that needs it: a change that is acknowledged has an entry before its row is done.
// What was acknowledged since has an entry in every later page, so one reading does for all of them.
func (c *cursor) underWay(ctx context.Context, from naming.ObjectName, most int) ([]logged, bool, error) {
	if c.log == nil || from < c.log.from || c.log.full {
		changes, full, err := c.m.underWay(ctx, c.container, from, most)
		if err != nil {
			return nil, false, err
		}
		c.log = &pending{from, changes, full}
	}
	i, _ := slices.BinarySearchFunc(c.log.changes, from, func(l logged, name naming.ObjectName) int { return strings.Compare(string(l.name), string(name)) })
	return c.log.changes[i:], c.log.full, nil
}

// fill reads a page of names.
func (c *cursor) fill(ctx context.Context, from naming.ObjectName) error {
	changes, full, err := c.underWay(ctx, from, changesMost)
	if err != nil {
		return err
	}
	var page []listedName
	var to []byte
	if c.view.Below != "" {
		to = []byte(c.view.Below)
	}
	rows, next, err := c.m.page(ctx, namesOf(c.container), []byte(from), to, c.size)
	for err == nil && next != nil && len(rows) == 0 { // a shard without names from here on
		rows, next, err = c.m.page(ctx, namesOf(c.container), next, to, c.size)
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

// entry is what the view shows of the first of some names, nil when nothing.
func (c *cursor) entry(ctx context.Context, names []listedName) (s *object.Summary, err error) {
	n := names[0]
	switch {
	case c.view.Kind == meta.ViewAsOf:
		s, err = c.past.take(ctx, names, func(ctx context.Context, name naming.ObjectName) (*object.Summary, error) {
			return c.inCell(ctx, name, meta.Which{By: meta.AsOf, At: c.view.At})
		})
	case n.rec == nil:
		s, err = c.inCell(ctx, n.name, meta.Which{By: meta.Newest})
	default:
		s = new(object.Summary)
		err = new(object.Decoder).Summary(n.rec, s)
		s.Name, s.Latest = n.name, true
	}
	if err != nil || s == nil || s.Visible() == (c.view.Kind == meta.ViewDeleted) {
		return nil, err
	}
	return s, nil
}

// inCell finds a version of a name in its cell, nil when there is none.
func (c *cursor) inCell(ctx context.Context, name naming.ObjectName, which meta.Which) (*object.Summary, error) {
	k := cellKey{container: c.container, name: name}
	cl, err := c.m.cell(ctx, k, gocql.LocalQuorum)
	if err != nil || cl.first == nil {
		return nil, err
	}
	v, err := c.m.find(ctx, k, cl, which)
	if err != nil || v == nil {
		return nil, err
	}
	s := v.Summary
	s.Latest = int64(v.ID) == cl.first.seq
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

// lookahead reads of names what is wanted of them before it is, ever more names at once: a walk through many does not wait for each.
type lookahead[T any] struct {
	got map[naming.ObjectName]T
	n   int // names of the next reading
}

// lookaheadMost bounds the names that are read at once.
const lookaheadMost = 16

// take gives what read finds for the first of some names, and reads further ones with it. What cannot be read of those is read again when it is wanted.
func (a *lookahead[T]) take(ctx context.Context, names []listedName, read func(context.Context, naming.ObjectName) (T, error)) (T, error) {
	first := names[0].name
	if list, ok := a.got[first]; ok {
		delete(a.got, first)
		return list, nil
	}
	names = names[:min(len(names), max(1, a.n))]
	a.n = min(2*max(1, a.n), lookaheadMost)
	found, failed := make([]T, len(names)), make([]error, len(names))
	var all sync.WaitGroup
	for i := range names {
		all.Go(func() { found[i], failed[i] = read(ctx, names[i].name) })
	}
	all.Wait()
	a.got = map[naming.ObjectName]T{}
	for i := range names[1:] {
		if failed[i+1] == nil {
			a.got[names[i+1].name] = found[i+1]
		}
	}
	return found[0], failed[0]
}
