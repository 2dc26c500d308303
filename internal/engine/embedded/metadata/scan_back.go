package metadata

import (
	"bytes"
	"context"

	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

var _ meta.Backward = (*cursor)(nil)

// Before implements meta.Backward.
func (c *cursor) Before(ctx context.Context, pos meta.Position) (*object.Summary, error) {
	const op = "metadata.Before"
	if c.failed != nil {
		return nil, c.failed
	}
	if err := ctx.Err(); err != nil {
		return nil, errs.Wrap(op, errs.Canceled, err)
	}
	if c.view.Kind != meta.ViewCurrent && c.view.Kind != meta.ViewAll {
		return nil, errs.E(op, errs.Unsupported, errs.Request, "")
	}
	s, err := c.before(pos)
	if err != nil {
		c.failed = errs.Wrap(op, errs.Internal, err)
		return nil, c.failed
	}
	return s, nil
}

func (c *cursor) before(pos meta.Position) (*object.Summary, error) {
	if c.heads == nil {
		if err := c.open(); err != nil {
			return nil, err
		}
	}
	c.pos = meta.Position{}
	c.below, c.entered, c.sought = false, false, false
	if c.view.Kind == meta.ViewCurrent {
		return c.headBefore(pos.Name)
	}
	if pos.Name != "" && pos.ID != 0 {
		if s, err := c.versionBefore(pos); s != nil || err != nil {
			return s, err
		}
	}
	return c.oldestBefore(pos.Name)
}

// headBefore is the last entry of the only space of heads before a name. Names of live heads are in the order of their keys, so a walk back is one step
// of the iterator for each.
func (c *cursor) headBefore(name naming.ObjectName) (*object.Summary, error) {
	h := &c.heads[0]
	if c.last != nil && string(c.last) == string(name) {
		h.valid = h.Prev()
	} else {
		c.seekBefore(h, name)
	}
	c.last = nil
	if !h.valid {
		return nil, c.headsError()
	}
	s, err := c.take(h)
	if err == nil {
		c.last = append(c.room[:0], h.name()...)
		c.room = c.last
	}
	return s, err
}

// seekBefore moves a space of heads to the last name before one ("": to the last of all).
func (c *cursor) seekBefore(h *headIterator, name naming.ObjectName) {
	if name == "" {
		h.valid = h.Last()
		return
	}
	c.key = headKey(c.key[:0], h.space, c.container, name)
	h.valid = h.SeekLT(c.key)
}

// versionBefore is, of the versions of the position's name, the one that stands next before it; nil when the position is before the newest.
func (c *cursor) versionBefore(pos meta.Position) (*object.Summary, error) {
	if err := c.openHistory(); err != nil {
		return nil, err
	}
	c.key = versionKey(c.key[:0], spaceHistory, c.container, pos.Name, pos.ID)
	if s, err := c.historyBefore(pos.Name); s != nil || err != nil {
		return s, err
	}
	for i := range c.heads {
		h := &c.heads[i]
		c.key = headKey(c.key[:0], h.space, c.container, pos.Name)
		if h.valid = h.SeekGE(c.key); !h.valid || string(h.name()) != string(pos.Name) {
			continue
		}
		s, err := c.take(h)
		c.below = false
		if err != nil || s.ID > pos.ID {
			return s, err
		}
	}
	return nil, c.headsError()
}

// historyBefore is the version of a name that stands next before c.key in the history.
func (c *cursor) historyBefore(name naming.ObjectName) (*object.Summary, error) {
	if !c.history.SeekLT(c.key) {
		return nil, wrap(c.history.Error())
	}
	c.key = versionPrefix(c.key[:0], spaceHistory, c.container, name)
	if !bytes.HasPrefix(c.history.Key(), c.key) {
		return nil, nil
	}
	s, err := c.older()
	if err != nil {
		return nil, err
	}
	s.Name = name
	return c.keep(), nil
}

// oldestBefore is the oldest version of the greatest name before one ("": of all).
func (c *cursor) oldestBefore(name naming.ObjectName) (*object.Summary, error) {
	var high *headIterator
	for i := range c.heads {
		h := &c.heads[i]
		c.seekBefore(h, name)
		if h.valid && (high == nil || bytes.Compare(h.name(), high.name()) > 0) {
			high = h
		}
	}
	if err := c.headsError(); high == nil || err != nil {
		return nil, err
	}
	newest, err := c.take(high)
	if err != nil || !c.below {
		return newest, err
	}
	c.below = false
	if err := c.openHistory(); err != nil {
		return nil, err
	}
	c.key = rowkey.After(versionPrefix(c.key[:0], spaceHistory, c.container, newest.Name))
	if s, err := c.historyBefore(newest.Name); s != nil || err != nil {
		return s, err
	}
	return newest, nil
}
