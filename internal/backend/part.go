package backend

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"hash"
	"io"
	"slices"
	"strings"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/seal"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// PutPart writes a part, from a body or from a range of a version. source is set in the latter case. A part that is written again
// replaces the earlier one.
//
// Errors: those of Put; NotFound/Upload; Invalid (PartNumber; ChecksumType when the part has a checksum of another algorithm than
// the upload); from a version also those of Open, Precondition for its conditions, and Range.
func (b *Backend) PutPart(ctx context.Context, c Caller, r PartRequest) (p StoredPart, source *object.Version, err error) {
	const op = "backend.PutPart"
	var d deed
	if r.From != nil {
		d.source = &r.From.Source
	}
	container, u, err := b.openUpload(ctx, c, r.Container, r.Name, r.Upload, d)
	if err != nil {
		return StoredPart{}, nil, fail(op, err)
	}
	if r.Number < 1 || r.Number > PartMax {
		return StoredPart{}, nil, errs.E(op, errs.Invalid, errs.Part, "").Because(errs.PartNumber, "a part number lies between 1 and 10000")
	}
	if u.Checksum != "" && !slices.Contains(r.Body.Checksums, u.Checksum) {
		if len(r.Body.Checksums) > 0 {
			return StoredPart{}, nil, fail(op, wrongChecksumType("the upload was begun with "+string(u.Checksum)+" checksums"))
		}
		r.Body.Checksums = []object.Algorithm{u.Checksum}
	}
	if r.From != nil {
		p.Part, source, err = b.copyPart(ctx, c, container, u, r)
	} else {
		p.Part, err = b.receivePart(ctx, container, u, r)
	}
	p.Encryption = u.Template.Encryption
	return p, source, fail(op, err)
}

func (b *Backend) receivePart(ctx context.Context, container bucket.Container, u meta.Upload, r PartRequest) (object.Part, error) {
	limits, err := b.admitPart(ctx, container, u, r.Number, r.Body.Size)
	if err != nil {
		return object.Part{}, err
	}
	s, err := b.uploadSealing(ctx, u, r.Customer, r.Number)
	if err != nil {
		return object.Part{}, err
	}
	w := b.newWriter(container.Account, container.ID)
	got, err := b.receiveSealed(ctx, w, r.Body, b.blockSize(container), b.opts.PutMax, s)
	if err != nil {
		w.giveUp(ctx)
		return object.Part{}, err
	}
	return b.storePart(ctx, w, u, limits, meta.Part{
		Part:    object.Part{Number: r.Number, Size: got.digests.Size, ETag: got.etag(), Checksums: got.digests.Checksums, Seal: got.salt},
		Content: got.content,
	})
}

// storePart makes what w holds durable and enters the part, or gives it up.
func (b *Backend) storePart(ctx context.Context, w *writer, u meta.Upload, limits meta.Limits, p meta.Part) (object.Part, error) {
	p.Modified = b.now()
	err := w.sync(ctx)
	if err == nil {
		err = b.stores.Meta.PutPart(ctx, u.UploadKey, p, limits)
	}
	if err != nil {
		w.giveUp(ctx)
		return object.Part{}, lost(err)
	}
	return p.Part, nil
}

// admitPart checks the quotas before a part of size bytes takes the place of what has its number now.
func (b *Backend) admitPart(ctx context.Context, container bucket.Container, u meta.Upload, number int, size int64) (meta.Limits, error) {
	limits, err := b.limits(ctx, container)
	if err != nil || limits.IsZero() {
		return limits, err
	}
	delta := meta.Usage{UploadParts: 1, UploadBytes: max(size, 0)}
	err = b.stores.Meta.Parts(ctx, u.UploadKey, number-1, func(old meta.Part) bool {
		if old.Number == number {
			delta = delta.Add(meta.Usage{UploadParts: -1, UploadBytes: -old.Size})
		}
		return false
	})
	if err != nil {
		return limits, err
	}
	return limits, b.allow(ctx, container, limits, delta)
}

// copyPart makes a part out of a range of a version. Whole blocks are shared; only what cuts a block is read and stored anew.
func (b *Backend) copyPart(ctx context.Context, c Caller, container bucket.Container, u meta.Upload, r PartRequest) (object.Part, *object.Version, error) {
	o, err := b.openSource(ctx, c, r.From.Source, r.From.If, false, false)
	if err != nil {
		return object.Part{}, nil, err
	}
	off, n := r.From.Offset, r.From.Length
	if n < 0 {
		n = o.Size - off
	}
	if off < 0 || n < 0 || off > o.Size || n > o.Size-off {
		return object.Part{}, nil, errs.E("", errs.Range, errs.Object, string(o.Name))
	}
	if n > b.opts.PutMax {
		return object.Part{}, nil, tooLarge()
	}
	if err := o.unseal(ctx, r.From.Key); err != nil {
		return object.Part{}, nil, err
	}
	if len(o.Encryption) > 0 || len(u.Template.Encryption) > 0 {
		// Encrypted streams cannot be cut and joined: the bytes go through.
		body, done := o.body(ctx, off, n)
		defer done()
		body.Checksums = r.Body.Checksums
		r.Body = body
		p, err := b.receivePart(ctx, container, u, r)
		return p, o.Version, err
	}
	if r.Customer != nil {
		return object.Part{}, nil, seal.KeyUnwanted()
	}
	limits, err := b.admitPart(ctx, container, u, r.Number, n)
	if err != nil {
		return object.Part{}, nil, err
	}
	w := b.newWriter(container.Account, container.ID)
	p, err := b.shareRange(ctx, w, o, off, n, r.From.MD5, r.Body.Checksums)
	if err != nil {
		w.giveUp(ctx)
		return object.Part{}, nil, b.vanished(ctx, o, err)
	}
	p.Number = r.Number
	part, err := b.storePart(ctx, w, u, limits, p)
	return part, o.Version, err
}

// vanished explains blocks that could not be shared: their version has been deleted meanwhile, if it has.
func (b *Backend) vanished(ctx context.Context, o *Object, err error) error {
	if errs.Is(err, errs.Corrupt) {
		if _, e := b.stores.Meta.Get(ctx, o.Container.ID, o.Name, meta.Which{By: meta.ByID, ID: o.ID}); errs.Is(e, errs.NotFound) {
			return e
		}
	}
	return err
}

// shareRange holds the blocks of a range and describes them as a part.
//
// S3's ETag of a part is the MD5 of its bytes. It is that here too when it is known, or when the bytes are read anyway, for a
// checksum that the source lacks, or because plain demands it. Otherwise it is an MD5 over the block map, since a copy by reference touches no bytes.
func (b *Backend) shareRange(ctx context.Context, w *writer, o *Object, off, n int64, plain bool, algorithms []object.Algorithm) (meta.Part, error) {
	s := sharer{w: w, maps: mapBuilder{w: w}, entries: md5.New()}
	err := o.each(ctx, off, n, func(part *Object, off, n int64) error { return s.shareOf(ctx, part, off, n) })
	if err != nil {
		return meta.Part{}, err
	}
	m, err := s.finish(ctx)
	if err != nil {
		return meta.Part{}, err
	}
	p := meta.Part{
		Part:    object.Part{Size: n, ETag: hex.EncodeToString(s.entries.Sum(nil))},
		Content: object.Content{Holder: w.holder, Map: m},
	}
	if n == o.Size {
		if !strings.Contains(o.ETag, "-") {
			p.ETag, plain = o.ETag, false
		}
		if sums, ok := pick(o.Checksums, algorithms); ok && !plain {
			p.Checksums = sums
			return p, nil
		}
	}
	if len(algorithms) == 0 && !plain {
		return p, nil
	}
	d, err := o.digest(ctx, off, n, algorithms)
	if err != nil {
		return meta.Part{}, err
	}
	p.ETag, p.Checksums = hex.EncodeToString(d.MD5[:]), d.Checksums
	return p, nil
}

// pick finds full checksums of all the algorithms.
func pick(have []object.Checksum, algorithms []object.Algorithm) ([]object.Checksum, bool) {
	var sums []object.Checksum
	for _, a := range algorithms {
		i := slices.IndexFunc(have, func(c object.Checksum) bool { return c.Algorithm == a && c.Parts == 0 })
		if i < 0 {
			return nil, false
		}
		sums = append(sums, have[i])
	}
	return sums, true
}

// digest reads a range for its MD5 and checksums.
func (o *Object) digest(ctx context.Context, off, n int64, algorithms []object.Algorithm) (object.Digests, error) {
	sum := md5.New()
	writers := []io.Writer{sum}
	var hashes []hash.Hash
	for _, a := range algorithms {
		h := a.New()
		if h == nil {
			return object.Digests{}, unknownChecksum(a)
		}
		hashes = append(hashes, h)
		writers = append(writers, h)
	}
	if err := o.CopyTo(ctx, io.MultiWriter(writers...), off, n); err != nil {
		return object.Digests{}, err
	}
	d := object.Digests{Size: n}
	sum.Sum(d.MD5[:0])
	for i, h := range hashes {
		d.Checksums = append(d.Checksums, object.Checksum{Algorithm: algorithms[i], Value: string(h.Sum(nil))})
	}
	return d, nil
}

// holdBatch is how many references are taken in one call.
const holdBatch = 1024

// sharer makes a map out of blocks that others hold.
type sharer struct {
	w       *writer
	maps    mapBuilder
	entries hash.Hash // of the map's entries, if wanted
	batch   []block.ID
	entry   []byte
}

// share appends n bytes from off on of a map.
func (s *sharer) share(ctx context.Context, walk *mapWalk, off, n int64) error {
	skip, err := walk.seek(ctx, off)
	if err != nil {
		return err
	}
	for n > 0 {
		ref, ok, err := walk.next(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return errs.E("", errs.Corrupt, errs.Version, "")
		}
		part := min(ref.Len-skip, n)
		if part == ref.Len || ref.ID == block.Empty {
			err = s.whole(ctx, block.Ref{ID: ref.ID, Len: part}, walk.kept)
		} else {
			err = s.cut(ctx, walk, ref.ID, skip, part)
		}
		if err != nil {
			return err
		}
		n -= part
		skip = 0
	}
	return nil
}

// whole takes a reference on a block. One that was kept with the map that it comes from is stored first.
func (s *sharer) whole(ctx context.Context, ref block.Ref, kept []byte) error {
	switch {
	case ref.ID == block.Empty:
	case kept != nil:
		if block.Sum(kept) != ref.ID { // stored under that name, they would be served to all who have the block
			return s.w.b.damagedKept(ctx, ref.ID)
		}
		if err := s.w.put(ctx, ref.ID, kept); err != nil {
			return err
		}
	default:
		s.batch = append(s.batch, ref.ID)
		if len(s.batch) == holdBatch {
			if err := s.holdBatch(ctx); err != nil {
				return err
			}
		}
	}
	return s.enter(ctx, ref)
}

func (s *sharer) holdBatch(ctx context.Context) error {
	err := s.w.hold(ctx, s.batch)
	s.batch = s.batch[:0]
	return err
}

// cut stores a piece of a block as a block of its own. What lies behind the largest block's end are zeros.
func (s *sharer) cut(ctx context.Context, walk *mapWalk, id block.ID, off, n int64) error {
	buf, err := walk.b.slabs.Get(ctx, int(min(n, block.SizeMax)))
	if err != nil {
		return err
	}
	defer buf.Free()
	data := buf.Bytes()[:min(n, block.SizeMax)]
	if err := walk.read(ctx, id, off, data); err != nil {
		return err
	}
	piece := block.Sum(data)
	if err := s.w.put(ctx, piece, block.Strip(data)); err != nil {
		return err
	}
	return s.enter(ctx, block.Ref{ID: piece, Len: n})
}

func (s *sharer) enter(ctx context.Context, ref block.Ref) error {
	if s.entries != nil {
		s.entry = block.AppendEntries(s.entry[:0], []block.Ref{ref})
		_, _ = s.entries.Write(s.entry)
	}
	return s.maps.add(ctx, ref)
}

// finish is the map of everything that was shared.
func (s *sharer) finish(ctx context.Context) (block.Map, error) {
	if err := s.holdBatch(ctx); err != nil {
		return block.Map{}, err
	}
	return s.maps.finish(ctx)
}

// openSource opens what is to be copied: what the name stands for, or verbatim what it is; opened says that the caller opened this version as the
// newest. Its conditions are those of a read, but all of
// them fail with Precondition.
func (b *Backend) openSource(ctx context.Context, c Caller, t Target, cond object.Precondition, verbatim, opened bool) (*Object, error) {
	action := access.GetObject
	if t.Which.By != meta.Newest && !opened {
		action = access.GetObjectVersion
	}
	open := b.OpenWhole
	if verbatim {
		open = b.Open
	}
	o, err := open(ctx, c, t, cond, action)
	if errs.Is(err, errs.NotModified) {
		return nil, errs.E("", errs.Precondition, errs.Object, string(t.Name)).With(err)
	}
	return o, err
}
