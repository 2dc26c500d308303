package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/blobs"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/engine/embedded/metadata"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// crossChecker compares what the metastore promises with what the blobstore holds (I4, I5).
type crossChecker struct {
	db     pebble.Reader
	view   blobs.View
	report fsck.Report
}

// run reports versions and parts whose blocks are missing or not held, and holders that the metastore does not know.
func (c *crossChecker) run(ctx context.Context) error {
	err := metadata.EachContent(ctx, c.db, func(name string, content object.Content) error {
		return c.content(ctx, name, content)
	})
	if err != nil {
		return err
	}
	return blobs.EachHolder(c.db, func(h block.Holder) error {
		known, err := metadata.Knows(c.db, h)
		if !known && err == nil {
			c.report(fsck.Finding{
				Severity: fsck.Notice, Thing: errs.Holder, Name: h.String(),
				Detail: "the metastore does not know it; the hunt for orphans will release its blocks",
			})
		}
		return err
	})
}

// content checks one map. Its size is checked too, because a wrong one would cut the object or fill it with zeros.
func (c *crossChecker) content(ctx context.Context, name string, content object.Content) error {
	if m := content.Map; m.Kept != nil {
		if len(m.Refs) != 1 || m.Depth != 0 || block.Sum(m.Kept) != m.Refs[0].ID || int64(len(m.Kept)) > m.Refs[0].Len {
			c.report(fsck.Finding{Thing: errs.Version, Name: name, Detail: "the bytes that are kept with it are not those of its block"})
		}
	} else if err := c.refs(ctx, name, content.Holder, m.Depth, m.Refs); err != nil {
		return err
	}
	return c.refs(ctx, name, content.Holder, content.Document.Depth, content.Document.Refs)
}

func (c *crossChecker) damage(name string, id block.ID, format string, args ...any) {
	c.report(fsck.Finding{Thing: errs.Version, Name: name, Detail: fmt.Sprintf("block %s ", id) + fmt.Sprintf(format, args...)})
}

// refs checks the entries of a map, and those below it.
func (c *crossChecker) refs(ctx context.Context, name string, h block.Holder, depth uint8, refs []block.Ref) error {
	for _, r := range refs {
		if r.ID == block.Empty {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		held, err := c.view.Holds(h, r.ID)
		if err != nil {
			return err
		}
		if !held {
			c.damage(name, r.ID, "is not held by the version's holder %s and may be swept", h)
		}
		if depth == 0 {
			err = c.data(name, r)
		} else {
			err = c.below(ctx, name, h, depth, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// data checks the presence of a block of data; its bytes were checked with the blobs.
func (c *crossChecker) data(name string, r block.Ref) error {
	stored, length, err := c.view.Stored(r.ID)
	switch {
	case err != nil:
		return err
	case !stored:
		c.damage(name, r.ID, "is missing")
	case length > r.Len:
		c.damage(name, r.ID, "has %d bytes, its entry in the map says %d", length, r.Len)
	}
	return nil
}

// below checks a block of the map and the entries in it.
func (c *crossChecker) below(ctx context.Context, name string, h block.Holder, depth uint8, r block.Ref) error {
	raw, err := c.view.Bytes(r.ID)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Corrupt) {
		c.damage(name, r.ID, "of the map cannot be read: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	for len(raw)%block.EntrySize != 0 { // the zeros that every stored block loses
		raw = append(raw, 0)
	}
	refs, err := block.ParseEntries(raw)
	if err != nil {
		c.damage(name, r.ID, "of the map cannot be parsed")
		return nil //nolint:nilerr // the damage is reported; the check goes on
	}
	below := block.Map{Depth: depth - 1, Refs: refs}
	if below.Size() != r.Len {
		c.damage(name, r.ID, "of the map stands for %d bytes, its entry says %d", below.Size(), r.Len)
	}
	return c.refs(ctx, name, h, below.Depth, below.Refs)
}
