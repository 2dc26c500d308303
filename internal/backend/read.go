package backend

import (
	"context"
	"errors"
	"io"
	"time"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Open finds a version for reading and checks cond as a read condition. Its blocks stay readable until ctx ends.
//
// A delete marker is NotFound/Object for Newest and AsOf, and Invalid/MarkerTarget by id, with a *MarkerError in the chain, so that a
// door can tell its id. Whoever may not list the container learns nothing about what is missing: it is Denied (as in S3).
func (b *Backend) Open(ctx context.Context, c Caller, t Target, cond object.Precondition, a access.Action) (*Object, error) {
	const op = "backend.Open"
	container, err := b.find(ctx, t.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	v, err := b.getForReading(ctx, container.ID, t.Name, t.Which)
	if err := b.mayRead(ctx, c, a, container, t, v, err, deed{}); err != nil {
		return nil, fail(op, err)
	}
	if err := cond.CheckRead(v); err != nil {
		return nil, fail(op, err)
	}
	return &Object{Version: v, Container: container, b: b, reader: c}, nil
}

// mayRead decides about a version that was looked up with err.
func (b *Backend) mayRead(ctx context.Context, c Caller, a access.Action, container bucket.Container, t Target, v *object.Version, err error, d deed) error {
	switch {
	case errs.Is(err, errs.NotFound):
		return b.missing(ctx, c, a, container, t, err)
	case err != nil:
		return err
	case expired(v, b.now()) && !c.OpenExpired && (t.Which.By != meta.ByID || container.Config.Versioning == bucket.VersioningOff):
		// The worker that deletes it may come later.
		return b.missing(ctx, c, a, container, t, errs.E("", errs.NotFound, errs.Object, string(t.Name)))
	case Trace(&v.Summary):
		return b.missing(ctx, c, a, container, t, errs.E("", errs.NotFound, errs.Object, string(t.Name)))
	case v.Kind == object.DeleteMarker:
		marker := errs.E("", errs.NotFound, errs.Object, string(t.Name))
		if t.Which.By == meta.ByID || t.Which.By == meta.TheNull {
			marker = errs.E("", errs.Invalid, errs.Version, string(t.Name)).Because(errs.MarkerTarget, "the version is a delete marker")
		}
		return b.missing(ctx, c, a, container, t, marker.With(&MarkerError{v}))
	}
	return b.mayOn(ctx, c, a, container, v, t.Which, d)
}

// missing answers that something is not there to whoever may list the name, and may do what was asked if only it were there; Denied to others.
func (b *Backend) missing(ctx context.Context, c Caller, a access.Action, container bucket.Container, t Target, notFound error) error {
	prefix := string(t.Name)
	lists, _, err := b.asks(ctx, c, access.ListBucket, b.resource(container), deed{prefix: &prefix})
	if err != nil {
		return err
	}
	if lists {
		return notFound
	}
	if err := b.mayTo(ctx, c, a, container, t, deed{version: &object.Version{}}); err != nil {
		return err
	}
	return notFound
}

// expired tells whether a version's time is up.
func expired(v *object.Version, now time.Time) bool {
	return !v.Expires.IsZero() && !v.Expires.After(now)
}

// MarkerError says that the version found is a delete marker.
type MarkerError struct{ Version *object.Version }

func (e *MarkerError) Error() string { return "the version is a delete marker" }

// CopyTo writes the bytes [off, off+n) to w, block after block, with constant memory. The first block is read and checked before the
// first byte is written, so that a damaged or missing block can still be answered with an error.
//
// An encrypted version is decrypted; one that was encrypted with a client's key needs Unseal before.
//
// Errors: Range when the range does not lie inside the object; those of Unseal; Corrupt, perhaps after some bytes were written: the reader must
// learn that they are not all; Canceled when w fails with an error of no kind.
func (o *Object) CopyTo(ctx context.Context, w io.Writer, off, n int64) error {
	const op = "backend.Object.CopyTo"
	if off < 0 || n < 0 || off > o.Size || n > o.Size-off {
		return errs.E(op, errs.Range, errs.Object, string(o.Name))
	}
	if n == 0 {
		return nil
	}
	return fail(op, o.each(ctx, off, n, func(part *Object, off, n int64) error {
		if len(part.Encryption) > 0 {
			return part.copySealed(ctx, w, off, n)
		}
		return o.b.copyMap(ctx, w, part.Name, part.Content.Map, off, n)
	}))
}

// copyMap writes the bytes [off, off+n) of a map that belongs to an object.
func (b *Backend) copyMap(ctx context.Context, w io.Writer, name naming.ObjectName, m block.Map, off, n int64) error {
	walk := b.walk(m)
	if b.opts.ReadAhead > 1 && n > pieceSize && m.Kept == nil {
		return b.copyAhead(ctx, w, name, walk, off, n)
	}
	skip, err := walk.seek(ctx, off)
	if err != nil {
		return err
	}
	buf := b.pieces.get()
	defer b.pieces.put(buf)
	out := gather{w: w, buf: buf[:0]}
	for n > 0 {
		ref, ok, err := walk.next(ctx)
		if err == nil && !ok {
			err = errs.E("", errs.Corrupt, errs.Version, string(name)) // the map ends before the object does
		}
		if err != nil {
			return err
		}
		part := min(ref.Len-skip, n)
		if err := walk.copyBlock(ctx, &out, ref.ID, skip, part); err != nil {
			return err
		}
		n -= part
		skip = 0
	}
	return out.flush()
}

// copyBlock gathers bytes [off, off+n) of a block, in pieces that begin at multiples of pieceSize.
func (m *mapWalk) copyBlock(ctx context.Context, out *gather, id block.ID, off, n int64) error {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := int(min(pieceSize-off%pieceSize, n))
		dst, err := out.room(part)
		if err != nil {
			return err
		}
		if err := m.read(ctx, id, off, dst); err != nil {
			return err
		}
		out.buf = out.buf[:len(out.buf)+part]
		off += int64(part)
		n -= int64(part)
	}
	return nil
}

// gather collects small pieces to one write, and writes large ones as they are.
type gather struct {
	w   io.Writer
	buf []byte
}

// room gives n free bytes at the end of the buffer, which the caller may then add to it.
func (g *gather) room(n int) ([]byte, error) {
	if len(g.buf)+n > cap(g.buf) {
		if err := g.flush(); err != nil {
			return nil, err
		}
	}
	return g.buf[len(g.buf) : len(g.buf)+n], nil
}

func (g *gather) flush() error {
	if len(g.buf) == 0 {
		return nil
	}
	_, err := g.w.Write(g.buf)
	g.buf = g.buf[:0]
	return writeFailed(err)
}

// writeFailed gives an error of a client's connection its kind: the client left, unless the writer says otherwise.
func writeFailed(err error) error {
	var known *errs.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return errs.Wrap("", errs.Canceled, err)
}

// readBlock fills dst with the bytes of a block from off on, extended with zeros.
func (b *Backend) readBlock(ctx context.Context, id block.ID, off int64, dst []byte) error {
	if id == block.Empty {
		clear(dst)
		return nil
	}
	n, err := b.stores.Blobs.Read(ctx, id, off, dst)
	if err != nil {
		return b.damaged(ctx, id, err)
	}
	clear(dst[n:])
	return nil
}

// damaged reports a block that should be readable and is not, and sets it aside, so that the next writer of its bytes heals it.
func (b *Backend) damaged(ctx context.Context, id block.ID, err error) error {
	if !errs.Is(err, errs.Corrupt) && !errs.Is(err, errs.NotFound) {
		return err
	}
	b.opts.Log.ErrorContext(ctx, "damaged block", "block", id.String(), "error", err)
	if q, ok := blob.As[blob.Quarantiner](b.stores.Blobs); ok && errs.Is(err, errs.Corrupt) {
		ctx, cancel := cleanup(ctx)
		defer cancel()
		if err := q.Quarantine(ctx, id); err != nil {
			b.opts.Log.ErrorContext(ctx, "damaged block is not set aside", "block", id.String(), "error", err)
		}
	}
	return errs.E("", errs.Corrupt, errs.Block, id.String()).With(err)
}
