package backend

import (
	"context"
	"io"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/seal"
	"pithos/internal/store/bucket"
)

// sealedStream is an encrypted stream in a version's content: the whole, or a part.
type sealedStream struct {
	*seal.Stream
	base int64 // where its encrypted bytes begin
	size int64 // plain bytes
}

// copySealed is CopyTo for an encrypted version. Of every stream that the range touches, only the packages that it touches are read.
func (o *Object) copySealed(ctx context.Context, w io.Writer, off, n int64) error {
	if err := o.unseal(ctx, nil); err != nil {
		return err
	}
	if len(o.Parts) == 0 {
		whole, err := o.sealed.Whole()
		if err != nil {
			return err
		}
		return o.copyStream(ctx, w, sealedStream{Stream: whole, size: o.Size}, off, n)
	}
	var base int64
	for i := range o.Parts {
		p := &o.Parts[i]
		if n > 0 && off < p.Size {
			part := min(p.Size-off, n)
			s := sealedStream{Stream: o.sealed.Stream(p.Number, p.Seal), base: base, size: p.Size}
			if err := o.copyStream(ctx, w, s, off, part); err != nil {
				return err
			}
			off, n = 0, n-part
		} else {
			off -= p.Size
		}
		base += seal.Sealed(p.Size)
	}
	if n > 0 {
		return errs.E("", errs.Corrupt, errs.Version, string(o.Name))
	}
	return nil
}

// copyStream decrypts plain bytes [off, off+n) of a stream; n > 0. What reaches to the end of the stream is only written when that is the authentic end.
func (o *Object) copyStream(ctx context.Context, w io.Writer, s sealedStream, off, n int64) error {
	first := off / seal.PackageSize
	end := min((off+n+seal.PackageSize-1)/seal.PackageSize*seal.SealedSize, seal.Sealed(s.size))
	begin := first * seal.SealedSize
	src, err := o.b.readMap(ctx, o.Content.Map, s.base+begin, end-begin)
	if err != nil {
		return err
	}
	defer src.close()
	plain, err := s.Decrypt(src, first)
	if err != nil {
		return err
	}
	buf := o.b.pieces.get()
	defer o.b.pieces.put(buf)
	last := off+n == s.size
	skip := off - first*seal.PackageSize
	for n > 0 {
		m := min(int64(len(buf)), skip+n)
		if _, err := io.ReadFull(plain, buf[:m]); err != nil {
			return o.unreadable(ctx, err)
		}
		n -= m - skip
		if n == 0 && last {
			if err := atEnd(plain); err != nil {
				return o.unreadable(ctx, err)
			}
		}
		if _, err := w.Write(buf[skip:m]); err != nil {
			return writeFailed(err)
		}
		skip = 0
	}
	return nil
}

// atEnd checks that the stream ends here, as its last package must say.
func atEnd(plain io.Reader) error {
	var one [1]byte
	n, err := plain.Read(one[:])
	switch {
	case n > 0 || err == nil:
		return io.ErrUnexpectedEOF
	case err == io.EOF:
		return nil
	}
	return err
}

// unreadable gives an error of a stream its kind.
func (o *Object) unreadable(ctx context.Context, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // the stream ends before the object does; never wrapped
		err = errs.E("", errs.Corrupt, errs.Version, string(o.Name))
	}
	o.b.complain(ctx, o, err)
	return err
}

// mapReader reads stored bytes of a map one after another. close must be called.
type mapReader struct {
	ctx  context.Context //nolint:containedctx // it lives within one call, and io.Reader has no place for it
	b    *Backend
	walk *mapWalk
	ref  block.Ref
	at   int64 // place in the block
	left int64 // bytes still to come
	buf  *[pieceSize]byte
	have []byte // of buf, not yet given
}

// readMap reads stored bytes [off, off+n).
func (b *Backend) readMap(ctx context.Context, m block.Map, off, n int64) (*mapReader, error) {
	r := &mapReader{ctx: ctx, b: b, walk: b.walk(m), left: n}
	skip, err := r.walk.seek(ctx, off)
	if err != nil {
		return nil, err
	}
	ref, ok, err := r.walk.next(ctx)
	if err != nil {
		return nil, err
	}
	if !ok || skip > ref.Len {
		return nil, errs.E("", errs.Corrupt, errs.Version, "")
	}
	r.ref, r.at, r.buf = ref, skip, b.pieces.get()
	return r, nil
}

func (r *mapReader) close() { r.b.pieces.put(r.buf) }

// Read gives what is there of the piece that was read last, or reads the next one. Pieces end at multiples of pieceSize in their block, so that
// no checked chunk of the store is read twice.
func (r *mapReader) Read(p []byte) (int, error) {
	if len(r.have) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.have)
	r.have = r.have[n:]
	return n, nil
}

func (r *mapReader) fill() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	for r.at == r.ref.Len {
		ref, ok, err := r.walk.next(r.ctx)
		if err != nil {
			return err
		}
		if !ok {
			return io.ErrUnexpectedEOF
		}
		r.ref, r.at = ref, 0
	}
	n := min(pieceSize-r.at%pieceSize, r.ref.Len-r.at, r.left)
	if err := r.walk.read(r.ctx, r.ref.ID, r.at, r.buf[:n]); err != nil {
		return err
	}
	r.at += n
	r.left -= n
	r.have = r.buf[:n]
	return nil
}

// shareOf appends bytes of an object, whose stored blocks must be plain.
func (s *sharer) shareOf(ctx context.Context, part *Object, off, n int64) error {
	if len(part.Encryption) > 0 {
		return errs.E("", errs.Unsupported, errs.Object, string(part.Name)).Because("", "encrypted objects are not joined")
	}
	return s.share(ctx, part.b.walk(part.Content.Map), off, n)
}

// plainOnly refuses what works on stored blocks of plain bytes, where there are none: the container encrypts new objects, or the version is encrypted.
func plainOnly(container bucket.Container, v *object.Version) error {
	if container.Config.Encryption == nil && (v == nil || len(v.Encryption) == 0) {
		return nil
	}
	return errs.E("", errs.Unsupported, errs.Object, "").
		Because("", "encrypted objects are written as a whole: blocks, hashmaps and updates in place need plain ones")
}
