package metadata

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// EachContent calls fn with the content of every version and of every part of an open upload that can be read; Check reports the others. name
// is for people.
func EachContent(ctx context.Context, db pebble.Reader, fn func(name string, content object.Content) error) error {
	c := &checker{ctx: ctx, db: db, report: func(fsck.Finding) {}}
	version := func(raw []byte, id naming.ContainerID, name naming.ObjectName) error {
		r, v, err := parseVersionRow(db, append([]byte{}, raw...), id, name)
		if err == nil {
			err = withBody(db, id, r, v)
		}
		if err != nil {
			return unlessCorrupt(err)
		}
		return fn(versionName(id, name, v.ID), v.Content)
	}
	for _, space := range []byte{spaceLive, spaceMarker} {
		err := c.each(space, func(key, value []byte) error {
			if len(key) < prefixLen {
				return nil
			}
			return version(value, naming.ContainerID(key[1:prefixLen]), naming.ObjectName(key[prefixLen:]))
		})
		if err != nil {
			return errs.Wrap("metadata.EachContent", errs.Internal, err)
		}
	}
	err := c.each(spaceHistory, func(key, value []byte) error {
		id, name, _, ok := cutVersionKey(key)
		if !ok {
			return nil
		}
		return version(value, id, name)
	})
	if err != nil {
		return errs.Wrap("metadata.EachContent", errs.Internal, err)
	}
	err = c.each(spacePart, func(key, value []byte) error {
		k, number, ok := cutPartKey(key)
		p, err := meta.ParsePart(append([]byte{}, value...))
		if !ok || err != nil {
			return nil //nolint:nilerr // Check tells of it
		}
		return fn(fmt.Sprintf("%s#%d", uploadName(k), number), p.Content)
	})
	if err != nil {
		return errs.Wrap("metadata.EachContent", errs.Internal, err)
	}
	return nil
}

// Knows tells whether the metastore knows the holder: whether it is intended, named, or dead and yet to be collected.
func Knows(db pebble.Reader, h block.Holder) (bool, error) {
	c := &checker{db: db}
	intended, err := c.has(append([]byte{spaceIntent}, h[:]...))
	if intended || err != nil {
		return intended, err
	}
	return c.has(append([]byte{spaceHolder}, h[:]...))
}
