package metadata

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// slabMax is how many summaries a cursor allocates at once, so that a page costs few allocations and one kept summary
// keeps little else.
const slabMax = 32

// Scan implements meta.Versions.
func (s *Store) Scan(ctx context.Context, c naming.ContainerID, view meta.View) meta.Cursor {
	cur := &cursor{s: s, container: c, view: view}
	if cur.failed = s.enter(ctx, "metadata.Scan"); cur.failed == nil {
		cur.inside = true
	}
	return cur
}

// cursor walks a view. It reads through iterators that are clones of one, so they all see the same state. A view of newest versions
// walks one space of heads; the others merge both spaces of heads, in which a name stands once, and look into the history
// below a head where they have to.
type cursor struct {
	s         *Store
	container naming.ContainerID
	view      meta.View
	inside    bool // of the gate
	failed    error

	heads   []headIterator
	history *pebble.Iterator // opened when a head tells of older versions

	pos    meta.Position // of the last Seek
	sought bool          // heads have been moved to pos

	last []byte // name that Before gave last, while the head still stands on it; nil: it does not
	room []byte // for last

	name    []byte // of the head that the history is walked below
	below   bool   // the walk is in the history below name
	entered bool   // history stands on an entry below name that was handed out

	key     []byte // room for keys
	slab    []object.Summary
	slabLen int
	decoder object.Decoder
}

// headIterator is one space of heads.
type headIterator struct {
	*pebble.Iterator
	space byte
	valid bool
}

func (h *headIterator) name() []byte { return h.Key()[prefixLen:] }

// Seek implements meta.Cursor.
func (c *cursor) Seek(pos meta.Position) {
	c.pos, c.sought, c.last = pos, false, nil
	c.below, c.entered = false, false
}

// Close implements meta.Cursor.
func (c *cursor) Close() {
	for _, h := range c.heads {
		_ = h.Close()
	}
	if c.history != nil {
		_ = c.history.Close()
	}
	c.heads, c.history = nil, nil
	if c.inside {
		c.inside = false
		c.s.gate.Leave()
	}
	c.failed = errs.E("metadata.Cursor", errs.Closed, errs.Store, "")
}

// Next implements meta.Cursor.
func (c *cursor) Next(ctx context.Context) (*object.Summary, error) {
	if c.failed != nil {
		return nil, c.failed
	}
	if err := ctx.Err(); err != nil {
		return nil, errs.Wrap("metadata.Next", errs.Canceled, err)
	}
	s, err := c.next()
	if err != nil {
		c.failed = errs.Wrap("metadata.Next", errs.Internal, err)
		return nil, c.failed
	}
	return s, nil
}

func (c *cursor) next() (*object.Summary, error) {
	if c.heads == nil {
		if err := c.open(); err != nil {
			return nil, err
		}
	}
	if !c.sought {
		c.seekHeads()
	}
	for {
		if c.below {
			s, err := c.nextOlder()
			if s != nil || err != nil {
				return s, err
			}
			c.below, c.entered = false, false
		}
		h := c.lowest()
		if h == nil {
			return nil, c.headsError()
		}
		s, err := c.take(h)
		h.valid = h.Next()
		if s != nil || err != nil {
			return s, err
		}
	}
}

// open makes the iterators of the heads that the view needs.
func (c *cursor) open() error {
	spaces := []byte{spaceLive, spaceMarker}
	switch c.view.Kind {
	case meta.ViewCurrent:
		spaces = spaces[:1]
	case meta.ViewDeleted:
		spaces = spaces[1:]
	case meta.ViewAll, meta.ViewAsOf:
	}
	for i, space := range spaces {
		var it *pebble.Iterator
		var err error
		if i == 0 {
			it, err = c.s.db.NewIter(c.bounds(space))
		} else {
			it, err = c.heads[0].Clone(pebble.CloneOptions{IterOptions: c.bounds(space)})
		}
		if err != nil {
			return wrap(err)
		}
		c.heads = append(c.heads, headIterator{Iterator: it, space: space})
	}
	return nil
}

func (c *cursor) bounds(space byte) *pebble.IterOptions {
	prefix := appendContainer(nil, space, c.container)
	return &pebble.IterOptions{LowerBound: prefix, UpperBound: rowkey.After(prefix)}
}

// seekHeads moves the heads to the position of the last Seek, or to the start.
func (c *cursor) seekHeads() {
	for i := range c.heads {
		h := &c.heads[i]
		c.key = headKey(c.key[:0], h.space, c.container, c.pos.Name)
		h.valid = h.SeekGE(c.key)
	}
	c.sought = true
}

// lowest is the head with the smallest name; nil at the end.
func (c *cursor) lowest() *headIterator {
	var low *headIterator
	for i := range c.heads {
		h := &c.heads[i]
		if h.valid && (low == nil || bytes.Compare(h.name(), low.name()) < 0) {
			low = h
		}
	}
	return low
}

func (c *cursor) headsError() error {
	for i := range c.heads {
		if err := c.heads[i].Error(); err != nil {
			return wrap(err)
		}
	}
	return nil
}

// take gives the entry that the view has for a head itself, nil for none. It sets below when older versions are to be shown.
func (c *cursor) take(h *headIterator) (*object.Summary, error) {
	raw, err := h.ValueAndErr()
	if err != nil {
		return nil, wrap(err)
	}
	r, _, err := parseRow(raw)
	if err != nil {
		return nil, err
	}
	s := c.summary()
	if err := c.decoder.Summary(r.record, s); err != nil {
		return nil, err
	}
	show := c.reached(h.name(), s.ID)
	switch c.view.Kind {
	case meta.ViewAll:
		c.descend(h, r)
	case meta.ViewAsOf:
		if s.ID >= object.IDAt(c.view.At) {
			c.descend(h, r)
			show = false
		}
		show = show && s.Visible()
	case meta.ViewCurrent, meta.ViewDeleted:
	}
	if !show {
		*s = object.Summary{} // it is used again
		return nil, nil
	}
	s.Name, s.Latest = naming.ObjectName(h.name()), true
	return c.keep(), nil
}

// reached reports whether a version of a name stands at or after the position of the last Seek, given that the name does.
func (c *cursor) reached(name []byte, id object.VersionID) bool {
	return c.pos.ID == 0 || id <= c.pos.ID || string(name) != string(c.pos.Name)
}

// descend goes on in the history below a head, if it has one.
func (c *cursor) descend(h *headIterator, r row) {
	if r.older > 0 {
		c.name = append(c.name[:0], h.name()...)
		c.below, c.entered = true, false
	}
}

// openHistory makes the iterator of older versions.
func (c *cursor) openHistory() error {
	if c.history != nil {
		return nil
	}
	it, err := c.heads[0].Clone(pebble.CloneOptions{IterOptions: c.bounds(spaceHistory)})
	if err != nil {
		return wrap(err)
	}
	c.history = it
	return nil
}

// nextOlder gives the next entry below the name; nil when there is none any more.
func (c *cursor) nextOlder() (*object.Summary, error) {
	if c.view.Kind == meta.ViewAsOf && c.entered {
		return nil, nil // one entry for each name
	}
	if err := c.openHistory(); err != nil {
		return nil, err
	}
	var valid bool
	if c.entered {
		valid = c.history.Next()
	} else {
		c.key = rowkey.AppendName(appendContainer(c.key[:0], spaceHistory, c.container), c.name)
		c.key = binary.BigEndian.AppendUint64(c.key, ^uint64(c.olderFrom()))
		valid = c.history.SeekGE(c.key)
		c.entered = true
	}
	if !valid {
		return nil, wrap(c.history.Error())
	}
	c.key = rowkey.AppendName(appendContainer(c.key[:0], spaceHistory, c.container), c.name)
	if !bytes.HasPrefix(c.history.Key(), c.key) {
		return nil, nil
	}
	s, err := c.older()
	if err != nil {
		return nil, err
	}
	if c.view.Kind == meta.ViewAsOf && (!s.Visible() || !c.reached(c.name, s.ID)) {
		*s = object.Summary{}
		return nil, nil
	}
	s.Name = naming.ObjectName(c.name)
	return c.keep(), nil
}

// older reads the row that the history stands on, without the name; keep hands it out.
func (c *cursor) older() (*object.Summary, error) {
	raw, err := c.history.ValueAndErr()
	if err != nil {
		return nil, wrap(err)
	}
	r, _, err := parseRow(raw)
	if err != nil {
		return nil, err
	}
	s := c.summary()
	return s, c.decoder.Summary(r.record, s)
}

// olderFrom is the greatest id that may be shown below the name.
func (c *cursor) olderFrom() object.VersionID {
	from := ^object.VersionID(0)
	if c.view.Kind == meta.ViewAsOf {
		if from = object.IDAt(c.view.At); from > 0 {
			from--
		}
		return from
	}
	if c.pos.ID != 0 && string(c.name) == string(c.pos.Name) {
		from = c.pos.ID
	}
	return from
}

// summary is room for the next entry; keep hands it out.
func (c *cursor) summary() *object.Summary {
	if len(c.slab) == 0 {
		c.slabLen = min(max(2*c.slabLen, 1), slabMax)
		c.slab = make([]object.Summary, c.slabLen)
	}
	return &c.slab[0]
}

func (c *cursor) keep() *object.Summary {
	s := &c.slab[0]
	c.slab = c.slab[1:]
	return s
}
