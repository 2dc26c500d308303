package backend

import (
	"context"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// strand is a range of a map.
type strand struct {
	m      block.Map
	off, n int64
}

// weaver cuts strands, one after another, into blocks of one size (the last may be shorter).
type weaver struct {
	b    *Backend
	size int64
	// whole takes a block that a strand has already, with its bytes if the strand's map keeps them; made takes the bytes of one that no strand has. data is the weaver's again on return.
	whole func(ctx context.Context, ref block.Ref, kept []byte) error
	made  func(ctx context.Context, data []byte) error

	strands []strand
	walk    *mapWalk
	rest    int64     // bytes of the strand behind what walk has given
	ref     block.Ref // entry at hand
	skip    int64     // bytes at its beginning that are done
	left    int64     // bytes of it to come
}

// weave is for any number of bytes in constant memory: one block.
func (w *weaver) weave(ctx context.Context) error {
	var total int64
	for _, s := range w.strands {
		total += s.n
	}
	var buf []byte
	for total > 0 {
		n := min(w.size, total)
		total -= n
		if err := w.fill(ctx); err != nil {
			return err
		}
		if w.left >= n && (w.ref.ID == block.Empty || w.skip == 0 && w.left == n && w.ref.Len == n) {
			w.skip, w.left = w.skip+n, w.left-n
			if err := w.whole(ctx, block.Ref{ID: w.ref.ID, Len: n}, w.walk.kept); err != nil {
				return err
			}
			continue
		}
		if buf == nil {
			s, err := w.b.slabs.Get(ctx, int(w.size))
			if err != nil {
				return err
			}
			defer s.Free()
			buf = s.Bytes()[:w.size]
		}
		if err := w.gather(ctx, buf[:n]); err != nil {
			return err
		}
		if err := w.made(ctx, buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// gather reads the next bytes of the strands.
func (w *weaver) gather(ctx context.Context, dst []byte) error {
	for len(dst) > 0 {
		if err := w.fill(ctx); err != nil {
			return err
		}
		n := min(int64(len(dst)), w.left)
		if err := w.walk.read(ctx, w.ref.ID, w.skip, dst[:n]); err != nil {
			return err
		}
		dst = dst[n:]
		w.skip, w.left = w.skip+n, w.left-n
	}
	return nil
}

// fill sees to it that there is an entry at hand.
func (w *weaver) fill(ctx context.Context) error {
	for w.left == 0 {
		if w.rest == 0 {
			if len(w.strands) == 0 {
				return errs.E("", errs.Internal, errs.Version, "")
			}
			s := w.strands[0]
			w.strands = w.strands[1:]
			if s.n == 0 {
				continue
			}
			w.walk, w.rest = w.b.walk(s.m), s.n
			var err error
			if w.skip, err = w.walk.seek(ctx, s.off); err != nil {
				return err
			}
		} else {
			w.skip = 0
		}
		ref, ok, err := w.walk.next(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return errs.E("", errs.Corrupt, errs.Version, "")
		}
		w.ref, w.left = ref, min(ref.Len-w.skip, w.rest)
		w.rest -= w.left
	}
	return nil
}
