package backend

import (
	"context"
	"crypto/md5"
	"encoding/hex"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/seal"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Piece is a piece of an object to compose: a range of an opened object, or a few bytes.
type Piece struct {
	Object *Object
	Offset int64
	Length int64
	Data   []byte // without Object
}

func (p *Piece) size() int64 {
	if p.Object == nil {
		return int64(len(p.Data))
	}
	return p.Length
}

// ComposeRequest says what object to make of which pieces.
type ComposeRequest struct {
	Container  Ref
	Name       naming.ObjectName
	Attributes Attributes
	If         object.Precondition
	Pieces     []Piece
	// ETag of the new object; "" for the MD5 of its bytes, for which they are read once.
	ETag     string
	Parts    []object.Part // as the version is to show them
	Document []byte        // to keep beside the content
}

// Compose makes an object out of ranges of others, by reference: their blocks get one more holder, and nothing that happens to the sources
// afterwards changes the object. Whoever opened the pieces was allowed to read them.
//
// Errors: those of Put for the target; Unsupported when a piece is encrypted; NotFound/Version when a source is gone meanwhile.
func (b *Backend) Compose(ctx context.Context, c Caller, r ComposeRequest) (*object.Version, error) {
	const op = "backend.Compose"
	container, err := b.find(ctx, r.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	if err := b.may(ctx, c, access.PutObject, container, r.Name); err != nil {
		return nil, fail(op, err)
	}
	if err := b.mayAttach(ctx, c, container, r.Name, &r.Attributes); err != nil {
		return nil, fail(op, err)
	}
	v, err := b.compose(ctx, c, container, r)
	return v, fail(op, err)
}

// compose does it for whoever may.
func (b *Backend) compose(ctx context.Context, c Caller, container bucket.Container, r ComposeRequest) (*object.Version, error) {
	if err := plainOnly(container, nil); err != nil {
		return nil, err
	}
	if r.Attributes.Encryption.Mode != seal.Plain {
		return nil, errs.E("", errs.Unsupported, errs.Object, string(r.Name)).Because("", "what is put together of other objects cannot be encrypted")
	}
	v, err := b.version(ctx, c, container, r.Name, r.Attributes)
	if err != nil {
		return nil, err
	}
	for i := range r.Pieces {
		v.Size += r.Pieces[i].size()
		if o := r.Pieces[i].Object; o != nil && len(o.Encryption) > 0 {
			return nil, errs.E("", errs.Unsupported, errs.Object, string(o.Name)).Because("", "encrypted objects are not joined")
		}
	}
	if v.Size > b.opts.ObjectMax {
		return nil, tooLarge()
	}
	limits, err := b.admit(ctx, container, r.Name, r.If, v.Size)
	if err != nil {
		return nil, err
	}
	if v.Parts, v.ETag = r.Parts, r.ETag; v.ETag == "" {
		if v.ETag, err = digestPieces(ctx, r.Pieces); err != nil {
			return nil, err
		}
	}
	w := b.newWriter(container.Account, container.ID)
	if err := w.compose(ctx, r, v, b.blockSize(container)); err != nil {
		w.giveUp(ctx)
		return nil, b.vanishedPiece(ctx, r.Pieces, err)
	}
	return b.publish(ctx, w, container, meta.Change{Version: v, Name: r.Name, If: r.If, Limits: limits})
}

func digestPieces(ctx context.Context, pieces []Piece) (string, error) {
	sum := md5.New()
	for i := range pieces {
		p := &pieces[i]
		if p.Object == nil {
			_, _ = sum.Write(p.Data) // a hash never fails
			continue
		}
		if err := p.Object.CopyTo(ctx, sum, p.Offset, p.Length); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// compose holds the pieces' blocks and gives v its content.
func (w *writer) compose(ctx context.Context, r ComposeRequest, v *object.Version, blockSize int64) error {
	s := sharer{w: w, maps: mapBuilder{w: w}}
	for i := range r.Pieces {
		p := &r.Pieces[i]
		if p.Object == nil {
			if err := s.bytes(ctx, p.Data, blockSize); err != nil {
				return err
			}
			continue
		}
		err := p.Object.each(ctx, p.Offset, p.Length, func(part *Object, off, n int64) error {
			return s.shareOf(ctx, part, off, n)
		})
		if err != nil {
			return err
		}
	}
	m, err := s.finish(ctx)
	if err != nil {
		return err
	}
	beside := sharer{w: w, maps: mapBuilder{w: w}}
	if err := beside.bytes(ctx, r.Document, blockSize); err != nil {
		return err
	}
	document, err := beside.finish(ctx)
	v.Content = object.Content{Holder: w.holder, Map: m, Document: document}
	return err
}

// bytes stores data as blocks of its own.
func (s *sharer) bytes(ctx context.Context, data []byte, blockSize int64) error {
	for len(data) > 0 {
		piece := data[:min(int64(len(data)), blockSize)]
		id := block.Sum(piece)
		if err := s.w.put(ctx, id, block.Strip(piece)); err != nil {
			return err
		}
		if err := s.enter(ctx, block.Ref{ID: id, Len: int64(len(piece))}); err != nil {
			return err
		}
		data = data[len(piece):]
	}
	return nil
}

// vanishedPiece explains blocks that could not be shared: the version of a piece has been deleted meanwhile, if one has.
func (b *Backend) vanishedPiece(ctx context.Context, pieces []Piece, err error) error {
	for i := range pieces {
		if o := pieces[i].Object; o != nil && errs.Is(err, errs.Corrupt) {
			err = b.vanished(ctx, o, err)
		}
	}
	return err
}
