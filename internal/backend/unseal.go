package backend

import (
	"context"
	"io"

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
	src, err := o.b.fetch(ctx, o.Name, o.b.walk(o.Content.Map), s.base+begin, end-begin)
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
