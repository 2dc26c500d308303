package blobs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/engine/embedded/segment"
	"pithos/internal/errs"
)

// Check reads all rows of the blobstore and all bytes they point to and reports what breaks its rules:
//
//   - a row that points to no intact record, or to bytes whose hash is not the block's name;
//   - a block that was set aside as damaged;
//   - a reference that stands in one form only;
//   - a block without references that no candidate row will lead Sweep to;
//   - sums that differ from the rows.
//
// Nothing is written. The error is about reading, not about what was found.
func Check(ctx context.Context, db pebble.Reader, segs *segment.Store, report fsck.Report) error {
	c := &checker{db: db, segs: segs, report: report, sums: map[uint64]Tally{}}
	for _, part := range []func(context.Context) error{c.blocks, c.refs, c.heldRows, c.damaged, c.tallies} {
		if err := part(ctx); err != nil {
			return errs.Wrap("blobs.Check", errs.Internal, err)
		}
	}
	return nil
}

type checker struct {
	db     pebble.Reader
	segs   *segment.Store
	report fsck.Report
	sums   map[uint64]Tally
	buf    []byte
}

func (c *checker) found(s fsck.Severity, thing errs.Thing, name, format string, args ...any) {
	c.report(fsck.Finding{Severity: s, Thing: thing, Name: name, Detail: fmt.Sprintf(format, args...)})
}

// has tells whether a row exists.
func (c *checker) has(key []byte) (bool, error) {
	_, closer, err := c.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, internal("blobs.Check", err)
	}
	return true, internal("blobs.Check", closer.Close())
}

// blocks checks the rows of the index and the bytes behind them.
func (c *checker) blocks(ctx context.Context) error {
	return scan(c.db, []byte{prefixBlock}, func(key, value []byte) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, canceled("blobs.Check", err)
		}
		id, ok := idOf(key)
		r, err := parseRow(value)
		if !ok || err != nil {
			c.found(fsck.Damage, errs.Block, fmt.Sprintf("%x", key[1:]), "its row cannot be read")
			return true, nil //nolint:nilerr // the damage is reported; the check goes on
		}
		pack, t := r.tally()
		c.sums[pack] = c.sums[pack].add(t)
		if err := c.bytes(id, r); err != nil {
			return false, err
		}
		return true, c.reachable(id)
	})
}

// bytes checks the bytes of a block, unless it was set aside.
func (c *checker) bytes(id block.ID, r row) error {
	if aside, err := c.has(idKey(nil, prefixDamaged, id)); aside || err != nil {
		return err // reported with the others that were set aside
	}
	data := r.data
	if r.kind == kindPacked {
		c.buf = slices.Grow(c.buf[:0], int(r.place.Length))[:r.place.Length]
		data = c.buf
		_, err := c.segs.ReadAt(r.place, 0, data)
		switch {
		case errors.Is(err, segment.ErrGone):
			c.found(fsck.Damage, errs.Block, id.String(), "its pack %d does not exist", r.place.Pack)
			return nil
		case errs.Is(err, errs.Corrupt):
			c.found(fsck.Damage, errs.Block, id.String(), "its record in pack %d at %d is damaged", r.place.Pack, r.place.Offset)
			return nil
		case err != nil:
			return err
		}
		if !c.segs.HasRecord(id, r.place) {
			c.found(fsck.Leak, errs.Block, id.String(), "the header of its record in pack %d at %d is damaged; its bytes are intact", r.place.Pack, r.place.Offset)
		}
	} else if segment.Checksum(data) != r.sum {
		c.found(fsck.Damage, errs.Block, id.String(), "its bytes in the index are damaged")
		return nil
	}
	if block.Sum(data) != id || len(block.Strip(data)) != len(data) {
		c.found(fsck.Damage, errs.Block, id.String(), "its bytes are those of another block")
	}
	return nil
}

// reachable checks that a block is held or will be swept.
func (c *checker) reachable(id block.ID) error {
	prefix := idKey(nil, prefixRef, id)
	held := false
	err := scan(c.db, prefix, func(_, _ []byte) (bool, error) {
		held = true
		return false, nil
	})
	if held || err != nil {
		return err
	}
	candidate, err := c.has(idKey(nil, prefixCandidate, id))
	if !candidate && err == nil {
		c.found(fsck.Leak, errs.Block, id.String(), "nobody holds it, and it is not marked to be swept")
	}
	return err
}

// refs checks that every reference stands in its other form too.
func (c *checker) refs(ctx context.Context) error {
	return scan(c.db, []byte{prefixRef}, func(key, _ []byte) (bool, error) {
		id, h, ok := parseRef(key)
		if !ok {
			c.found(fsck.Damage, errs.Holder, fmt.Sprintf("%x", key), "the row of a reference cannot be read")
			return true, nil
		}
		other, err := c.has(heldKey(nil, h, id))
		if !other && err == nil {
			c.found(fsck.Damage, errs.Holder, h.Holder.String(), "its release would leave a reference on block %s", id)
		}
		return true, errors.Join(err, ctx.Err())
	})
}

func (c *checker) heldRows(ctx context.Context) error {
	return scan(c.db, []byte{prefixHeld}, func(key, _ []byte) (bool, error) {
		id, h, ok := parseHeld(key)
		if !ok {
			c.found(fsck.Damage, errs.Holder, fmt.Sprintf("%x", key), "the row of a reference cannot be read")
			return true, nil
		}
		other, err := c.has(refKey(nil, id, h))
		if !other && err == nil {
			c.found(fsck.Damage, errs.Holder, h.Holder.String(), "block %s does not know that it is held, and may be swept", id)
		}
		return true, errors.Join(err, ctx.Err())
	})
}

func (c *checker) damaged(context.Context) error {
	return scan(c.db, []byte{prefixDamaged}, func(key, _ []byte) (bool, error) {
		c.found(fsck.Damage, errs.Block, fmt.Sprintf("%x", key[1:]), "it was set aside because it is damaged; storing its bytes again heals it")
		return true, nil
	})
}

// tallies compares the sums with the rows. Compaction trusts them.
func (c *checker) tallies(context.Context) error {
	stored := map[uint64]Tally{}
	err := scan(c.db, []byte{prefixTally}, func(key, value []byte) (bool, error) {
		t, err := parseTally(value)
		if err != nil || len(key) != 9 {
			c.found(fsck.Damage, errs.Store, fmt.Sprintf("%x", key), "the sums of a pack cannot be read")
			return true, nil //nolint:nilerr // the damage is reported; the check goes on
		}
		stored[binary.BigEndian.Uint64(key[1:])] = t
		return true, nil
	})
	if err != nil {
		return err
	}
	for pack := range c.sums {
		stored[pack] = stored[pack].add(Tally{})
	}
	for _, pack := range slices.Sorted(maps.Keys(stored)) {
		if stored[pack] != c.sums[pack] {
			c.found(fsck.Damage, errs.Store, fmt.Sprintf("pack %d", pack), "its sums are %+v, its rows make %+v", stored[pack], c.sums[pack])
		}
	}
	return nil
}

// EachHolder calls fn for every holder that holds a block, in order.
func EachHolder(db pebble.Reader, fn func(block.Holder) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixHeld}, UpperBound: []byte{prefixHeld + 1}})
	if err != nil {
		return internal("blobs.EachHolder", err)
	}
	for next := []byte{prefixHeld}; next != nil && it.SeekGE(next); {
		_, h, ok := parseHeld(it.Key())
		if !ok {
			next = append(bytes.Clone(it.Key()), 0) // reported by Check
			continue
		}
		if err := fn(h.Holder); err != nil {
			return errors.Join(err, it.Close())
		}
		next = after(append([]byte{prefixHeld}, h.Holder[:]...))
	}
	return internal("blobs.EachHolder", it.Close())
}

// View reads blocks and references of a Pebble that is open for reading only.
type View struct {
	DB   pebble.Reader
	Segs *segment.Store
}

// Holds tells whether the holder holds the block.
func (v View) Holds(h block.Holder, id block.ID) (held bool, err error) {
	prefix := append([]byte{prefixHeld}, h[:]...)
	it, err := v.DB.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return false, internal("blobs.Holds", err)
	}
	// One account stands behind a holder, so its references are in the order of ids.
	if it.First() {
		if _, hold, ok := parseHeld(it.Key()); ok {
			held = it.SeekPrefixGE(heldKey(nil, hold, id)) && bytes.Equal(it.Key(), heldKey(nil, hold, id))
		}
	}
	return held, internal("blobs.Holds", it.Close())
}

// Bytes reads a whole block. NotFound, Corrupt.
func (v View) Bytes(id block.ID) ([]byte, error) {
	raw, closer, err := v.DB.Get(idKey(nil, prefixBlock, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, errs.E("blobs.Bytes", errs.NotFound, errs.Block, id.String())
	}
	if err != nil {
		return nil, internal("blobs.Bytes", err)
	}
	defer func() { _ = closer.Close() }() // the row was read
	r, err := parseRow(raw)
	if err != nil {
		return nil, err
	}
	if r.kind == kindInline {
		return bytes.Clone(r.data), nil
	}
	data := make([]byte, r.place.Length)
	_, err = v.Segs.ReadAt(r.place, 0, data)
	return data, err
}

// Stored tells whether the block has a row, and its stored length. A row that cannot be read, which Check reports, has length 0.
func (v View) Stored(id block.ID) (stored bool, length int64, err error) {
	raw, closer, err := v.DB.Get(idKey(nil, prefixBlock, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, internal("blobs.Stored", err)
	}
	if r, err := parseRow(raw); err == nil {
		length = r.length()
	}
	return true, length, internal("blobs.Stored", closer.Close())
}
