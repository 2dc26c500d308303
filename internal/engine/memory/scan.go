package memory

import (
	"context"
	"slices"
	"strings"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Scan walks a container in one view.
func (s *Meta) Scan(_ context.Context, id naming.ContainerID, view meta.View) meta.Cursor {
	return &cursor{store: s, container: id, view: view}
}

// cursor walks the living container: it keeps nothing but its position.
type cursor struct {
	store     *Meta
	container naming.ContainerID
	view      meta.View
	pos       meta.Position
}

var _ meta.Backward = (*cursor)(nil)

// Seek moves the cursor.
func (c *cursor) Seek(pos meta.Position) { c.pos = pos }

// Close ends the walk.
func (c *cursor) Close() {}

// Next returns the next entry.
func (c *cursor) Next(context.Context) (next *object.Summary, err error) {
	err = c.store.do("memory.Cursor.Next", func() error {
		in := c.store.container(c.container)
		first, _ := slices.BinarySearch(in.names, c.pos.Name)
		for _, name := range in.names[first:] {
			if v := c.entry(in.objects[name], name); v != nil {
				summary := cloneSummary(v.Summary)
				next = &summary
				c.pos = c.behind(v)
				return nil
			}
		}
		return nil
	})
	return next, err
}

// Before implements meta.Backward.
func (c *cursor) Before(_ context.Context, pos meta.Position) (found *object.Summary, err error) {
	const op = "memory.Cursor.Before"
	if c.view.Kind != meta.ViewCurrent && c.view.Kind != meta.ViewAll {
		return nil, errs.E(op, errs.Unsupported, errs.Request, "")
	}
	c.pos = meta.Position{}
	err = c.store.do(op, func() error {
		in := c.store.container(c.container)
		end := len(in.names)
		if pos.Name != "" {
			end, _ = slices.BinarySearch(in.names, pos.Name+"\x00")
		}
		for _, name := range slices.Backward(in.names[:end]) {
			if v := c.entryBefore(in.objects[name], name, pos); v != nil {
				summary := cloneSummary(v.Summary)
				found = &summary
				return nil
			}
		}
		return nil
	})
	return found, err
}

// entry is the first entry of a name that lies at or after the position.
func (c *cursor) entry(versions []stored, name naming.ObjectName) *object.Version {
	in := func(id object.VersionID) bool { return name != c.pos.Name || c.pos.ID == 0 || id <= c.pos.ID }
	var v *object.Version
	switch c.view.Kind {
	case meta.ViewAll:
		i := slices.IndexFunc(versions, func(v stored) bool { return in(v.ID) })
		if i < 0 {
			return nil
		}
		return find(versions, meta.Which{By: meta.ByID, ID: versions[i].ID})
	case meta.ViewAsOf:
		v = find(versions, meta.Which{By: meta.AsOf, At: c.view.At})
	case meta.ViewCurrent, meta.ViewDeleted:
		v = find(versions, meta.Which{By: meta.Newest})
	}
	if v == nil || v.Visible() == (c.view.Kind == meta.ViewDeleted) || !in(v.ID) {
		return nil
	}
	return v
}

// entryBefore is the last entry of a name that lies before a position.
func (c *cursor) entryBefore(versions []stored, name naming.ObjectName, pos meta.Position) *object.Version {
	switch {
	case c.view.Kind != meta.ViewAll && name == pos.Name:
		return nil
	case c.view.Kind != meta.ViewAll:
		return c.entry(versions, name)
	}
	for _, v := range slices.Backward(versions) {
		if name != pos.Name || pos.ID != 0 && v.ID > pos.ID {
			return find(versions, meta.Which{By: meta.ByID, ID: v.ID})
		}
	}
	return nil
}

// behind is the position right after an entry.
func (c *cursor) behind(v *object.Version) meta.Position {
	if c.view.Kind == meta.ViewAll && v.ID > 1 {
		return meta.Position{Name: v.Name, ID: v.ID - 1}
	}
	return meta.Position{Name: v.Name + "\x00"}
}

// changes is a container's index of changes, in order.
func (c *container) changes() []meta.Changed {
	var list []meta.Changed
	for _, versions := range c.objects {
		for _, v := range versions {
			list = append(list, meta.Changed{ID: v.ID, Name: v.Name, Kind: v.Kind})
		}
	}
	slices.SortFunc(list, compareChanged)
	return list
}

func compareChanged(a, b meta.Changed) int {
	switch {
	case a.ID < b.ID:
		return -1
	case a.ID > b.ID:
		return 1
	}
	return strings.Compare(string(a.Name), string(b.Name))
}

// Changes lists the versions of a container by time.
func (s *Meta) Changes(_ context.Context, id naming.ContainerID, after object.VersionID, name naming.ObjectName, fn func(meta.Changed) bool) error {
	var list []meta.Changed
	err := s.do("memory.Meta.Changes", func() error {
		list = slices.DeleteFunc(s.container(id).changes(), func(c meta.Changed) bool {
			return compareChanged(c, meta.Changed{ID: after, Name: name}) <= 0
		})
		return nil
	})
	each(list, fn)
	return err
}
