package backend

import (
	"context"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// mapBuilder makes a block map out of entries that come one after another. It keeps at most one unfinished map block
// of each depth in memory; finished ones go to the blobstore.
type mapBuilder struct {
	w      *writer
	levels [][]block.Ref // by depth
	raw    []byte
}

func (m *mapBuilder) add(ctx context.Context, ref block.Ref) error { return m.addAt(ctx, 0, ref) }

func (m *mapBuilder) addAt(ctx context.Context, depth int, ref block.Ref) error {
	if len(m.levels) <= depth {
		m.levels = append(m.levels, nil)
	}
	m.levels[depth] = append(m.levels[depth], ref)
	if len(m.levels[depth]) == block.FanOut {
		return m.flush(ctx, depth)
	}
	return nil
}

// flush stores the unfinished map block of a depth and enters it one higher.
func (m *mapBuilder) flush(ctx context.Context, depth int) error {
	refs := m.levels[depth]
	m.raw = block.AppendEntries(m.raw[:0], refs)
	id := block.Sum(m.raw)
	if err := m.w.put(ctx, id, block.Strip(m.raw)); err != nil {
		return err
	}
	m.levels[depth] = refs[:0]
	return m.addAt(ctx, depth+1, block.Ref{ID: id, Len: block.Map{Refs: refs}.Size()})
}

// finish is the map of all entries.
func (m *mapBuilder) finish(ctx context.Context) (block.Map, error) {
	for depth := 0; depth < len(m.levels); depth++ {
		top := depth == len(m.levels)-1
		if top && len(m.levels[depth]) <= block.InlineMax {
			return block.Map{Depth: uint8(depth), Refs: m.levels[depth]}, nil
		}
		if len(m.levels[depth]) > 0 {
			if err := m.flush(ctx, depth); err != nil {
				return block.Map{}, err
			}
		}
	}
	return block.Map{}, nil
}

// mapWalk goes through the data entries of a map from a position on. It keeps the map blocks on the way down, one of each depth.
type mapWalk struct {
	b      *Backend
	depth  int
	frames []frame // the root's entries first
	kept   []byte  // the bytes of the only block, where the map keeps them
	sound  bool    // they are those of its hash
}

type frame struct {
	refs []block.Ref
	next int
}

func (b *Backend) walk(m block.Map) *mapWalk {
	return &mapWalk{b: b, depth: int(m.Depth), frames: []frame{{refs: m.Refs}}, kept: m.Kept}
}

// read fills dst with the bytes of one of the map's blocks from off on, extended with zeros.
func (m *mapWalk) read(ctx context.Context, id block.ID, off int64, dst []byte) error {
	if m.kept == nil {
		return m.b.readBlock(ctx, id, off, dst)
	}
	if !m.sound && block.Sum(m.kept) != id {
		return m.b.damagedKept(ctx, id)
	}
	m.sound = true
	n := 0
	if off < int64(len(m.kept)) {
		n = copy(dst, m.kept[off:])
	}
	clear(dst[n:])
	return nil
}

// damagedKept tells of bytes that are kept with a version and are not those of their hash.
func (b *Backend) damagedKept(ctx context.Context, id block.ID) error {
	b.opts.Log.ErrorContext(ctx, "the bytes that a version keeps are damaged", "block", id.String())
	return errs.E("", errs.Corrupt, errs.Block, id.String())
}

// seek moves to the entry that holds byte off and tells how far into it that is. At or behind the end, next has nothing.
func (m *mapWalk) seek(ctx context.Context, off int64) (int64, error) {
	m.frames = m.frames[:1]
	m.frames[0].next = 0
	for {
		f := &m.frames[len(m.frames)-1]
		for f.next < len(f.refs) && off >= f.refs[f.next].Len {
			off -= f.refs[f.next].Len
			f.next++
		}
		if f.next == len(f.refs) || len(m.frames) > m.depth {
			return off, nil
		}
		if err := m.descend(ctx); err != nil {
			return 0, err
		}
	}
}

// next gives the data entry at the position and moves behind it; ok is false at the end.
func (m *mapWalk) next(ctx context.Context) (ref block.Ref, ok bool, err error) {
	for {
		f := &m.frames[len(m.frames)-1]
		switch {
		case f.next == len(f.refs) && len(m.frames) == 1:
			return block.Ref{}, false, nil
		case f.next == len(f.refs):
			m.frames = m.frames[:len(m.frames)-1]
		case len(m.frames) > m.depth:
			f.next++
			return f.refs[f.next-1], true, nil
		default:
			if err := m.descend(ctx); err != nil {
				return block.Ref{}, false, err
			}
		}
	}
}

// descend opens the map block at the position.
func (m *mapWalk) descend(ctx context.Context) error {
	f := &m.frames[len(m.frames)-1]
	refs, err := m.b.readMapBlock(ctx, f.refs[f.next])
	if err != nil {
		return err
	}
	f.next++
	m.frames = append(m.frames, frame{refs: refs})
	return nil
}

// readMapBlock reads the entries of a map block and checks that they add up to what is said of it.
func (b *Backend) readMapBlock(ctx context.Context, ref block.Ref) ([]block.Ref, error) {
	buf := b.pieces.get()
	defer b.pieces.put(buf)
	n, err := b.stores.Blobs.Read(ctx, ref.ID, 0, buf[:block.FanOut*block.EntrySize])
	if err != nil {
		return nil, b.damaged(ctx, ref.ID, err)
	}
	full := (n + block.EntrySize - 1) / block.EntrySize * block.EntrySize // a map block's last entry is never zero
	clear(buf[n:full])
	refs, err := block.ParseEntries(buf[:full])
	if err != nil {
		return nil, err
	}
	if (block.Map{Refs: refs}).Size() != ref.Len {
		return nil, errs.E("", errs.Corrupt, errs.Block, ref.ID.String())
	}
	return refs, nil
}
