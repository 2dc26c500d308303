package backend

import (
	"context"
	"crypto/md5" // the ETag of S3, not a protection
	"encoding/hex"
	"hash"
	"io"
	"math"
	"slices"
	"strings"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/seal"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// sealing is how a body is encrypted on its way in; nil: not at all.
type sealing struct {
	object *seal.Object
	part   int  // number of the part; 0: the whole object
	opaque bool // the ETag must not tell the MD5 of the bytes
}

// place is what an object key is bound to: the container and the name.
func place(container naming.ContainerID, name naming.ObjectName) []byte {
	return append(container[:], name...)
}

// hides tells whether the ETag of an object is not its MD5 (S3 API Reference, "Common Response Headers", ETag).
func hides(m seal.Mode) bool { return m == seal.Customer || m == seal.KMS }

// request is how a new object of the container is encrypted: as its writer asks, or else as the container says; nil for plain content.
func (e *Encryption) request(container bucket.Container) (*seal.Request, error) {
	def := container.Config.Encryption
	r := seal.Request{Mode: e.Mode, KeyID: e.KeyID, Context: e.Context, Customer: e.Customer, Scope: string(container.ID[:])}
	switch {
	case r.Mode == seal.Customer && def != nil && def.NoCustomerKeys:
		return nil, errs.E("", errs.Denied, errs.Container, string(container.Name)).
			Because("", "the bucket does not take objects that are encrypted with keys of the client")
	case r.Mode != seal.Plain:
	case def == nil:
		return nil, nil //nolint:nilnil // plain
	default:
		r.Mode, r.KeyID = defaultMode(def), def.KeyID
	}
	if r.Mode == seal.KMS {
		r.BucketKey = def != nil && def.BucketKey
		if e.BucketKey != nil {
			r.BucketKey = *e.BucketKey
		}
	}
	return &r, nil
}

// defaultMode is the mode of a default encryption.
func defaultMode(e *bucket.Encryption) seal.Mode {
	if e.KMS {
		return seal.KMS
	}
	return seal.Service
}

// MayPut tells whether the caller may write an object: nil, or NotFound (Bucket, Container), or Denied.
func (b *Backend) MayPut(ctx context.Context, c Caller, r Ref, name naming.ObjectName) error {
	const op = "backend.MayPut"
	container, err := b.find(ctx, r)
	if err != nil {
		return fail(op, err)
	}
	return fail(op, b.may(ctx, c, access.PutObject, container, name))
}

// newSealing draws the key of a new object; nil when it is not to be encrypted.
func (b *Backend) newSealing(ctx context.Context, container bucket.Container, name naming.ObjectName, e Encryption) (*sealing, error) {
	r, err := e.request(container)
	if r == nil || err != nil {
		return nil, err
	}
	o, err := b.opts.Keeper.New(ctx, *r, place(container.ID, name))
	if err != nil {
		return nil, err
	}
	return &sealing{object: o, opaque: hides(r.Mode) && !e.PlainETag}, nil
}

// uploadSealing opens the key of an upload for one of its parts; nil when it is not encrypted.
func (b *Backend) uploadSealing(ctx context.Context, u meta.Upload, customer *seal.Secret, part int) (*sealing, error) {
	if len(u.Template.Encryption) == 0 {
		if customer != nil {
			return nil, seal.KeyUnwanted()
		}
		return nil, nil //nolint:nilnil // plain
	}
	o, err := b.opts.Keeper.Open(ctx, u.Template.Encryption, customer, place(u.Container, u.Name))
	if err != nil {
		return nil, err
	}
	return &sealing{object: o, part: part, opaque: hides(o.Mode())}, nil
}

// sealParts lets the key of a finished upload vouch for the list of its parts. The client's key, of an upload that was begun with one, is needed when
// the upload or one of its parts has checksums (S3 API Reference, CompleteMultipartUpload); without it each part vouches for itself alone.
func (b *Backend) sealParts(ctx context.Context, u meta.Upload, v *object.Version, customer *seal.Secret) error {
	if len(v.Encryption) == 0 {
		if customer != nil {
			return seal.KeyUnwanted()
		}
		return nil
	}
	in, err := seal.Describe(v.Encryption)
	if err != nil {
		return err
	}
	checked := u.Checksum != "" || slices.ContainsFunc(v.Parts, func(p object.Part) bool { return len(p.Checksums) > 0 })
	if in.Mode == seal.Customer && customer == nil && !checked {
		return nil
	}
	o, err := b.opts.Keeper.Open(ctx, v.Encryption, customer, place(u.Container, u.Name))
	if err != nil {
		return err
	}
	vouch(o, v.Parts)
	v.Encryption = o.Record()
	return nil
}

// vouch lets the key of an object that is made of parts vouch for their list.
func vouch(s *seal.Object, parts []object.Part) {
	if len(parts) > 0 {
		s.SetParts(sealedParts(parts))
	}
}

func sealedParts(parts []object.Part) []seal.Part {
	list := make([]seal.Part, len(parts))
	for i, p := range parts {
		list[i] = seal.Part{Number: p.Number, Size: p.Size, Salt: p.Seal}
	}
	return list
}

// receiveSealed is receive with encryption: digests, sizes and proofs are those of the plain bytes.
func (b *Backend) receiveSealed(ctx context.Context, w *writer, body Body, blockSize, limit int64, s *sealing) (received, error) {
	if s == nil {
		return b.receive(ctx, w, body, blockSize, limit)
	}
	if body.Size > limit {
		return received{}, tooLarge()
	}
	plain, err := newPlainBody(body, limit)
	if err != nil {
		return received{}, err
	}
	stream, salt := s.object.NewStream(s.part)
	encrypted, err := stream.Encrypt(plain)
	if err != nil {
		return received{}, err
	}
	inner := Body{Reader: encrypted, Size: -1, sealed: true}
	if body.Size >= 0 {
		inner.Size = seal.Sealed(body.Size)
	}
	var d object.Digests
	inner.Prove = func(object.Digests) error {
		d = plain.digests()
		if body.Prove == nil {
			return nil
		}
		return body.Prove(d)
	}
	got, err := b.receive(ctx, w, inner, blockSize, math.MaxInt64)
	if err != nil {
		return received{}, err
	}
	if s.part == 0 && s.opaque {
		s.object.KeepMD5(d.MD5)
	}
	// The blocks are not those of the plain bytes, so there is no root hash, and no block size that anybody could use.
	r := received{content: got.content, digests: d, salt: salt}
	if s.opaque {
		r.opaque = s.object
	}
	return r, nil
}

// fill gives a new version what was received.
func (r *received) fill(v *object.Version, s *sealing) {
	v.Content, v.BlockSize, v.RootHash = r.content, r.blockSize, r.root
	v.Size, v.ETag, v.Checksums = r.digests.Size, r.etag(), r.digests.Checksums
	if s != nil {
		v.Encryption = s.object.Record()
	}
}

// plainBody digests a body on its way to the cipher and holds it to its declared size.
type plainBody struct {
	source
	algorithms []object.Algorithm
	md5        hash.Hash
	sha        hash.Hash   // nil: not wanted
	sums       []hash.Hash // in the order of algorithms
}

func newPlainBody(body Body, limit int64) (*plainBody, error) {
	p := &plainBody{source: source{r: body.Reader, declared: body.Size, limit: limit}, algorithms: body.Checksums, md5: md5.New()}
	if body.SHA256 {
		p.sha = object.SHA256.New()
	}
	for _, a := range body.Checksums {
		h := a.New()
		if h == nil {
			return nil, unknownChecksum(a)
		}
		p.sums = append(p.sums, h)
	}
	return p, nil
}

func (p *plainBody) Read(dst []byte) (int, error) {
	if p.ended {
		return 0, io.EOF
	}
	n, err := p.next(dst)
	if err != nil {
		return 0, err
	}
	_, _ = p.md5.Write(dst[:n]) // a hash never fails
	if p.sha != nil {
		_, _ = p.sha.Write(dst[:n])
	}
	for _, h := range p.sums {
		_, _ = h.Write(dst[:n])
	}
	if p.ended {
		err = io.EOF
	}
	return n, err
}

func (p *plainBody) digests() object.Digests {
	d := object.Digests{Size: p.read}
	p.md5.Sum(d.MD5[:0])
	if p.sha != nil {
		p.sha.Sum(d.SHA256[:0])
	}
	for i, h := range p.sums {
		d.Checksums = append(d.Checksums, object.Checksum{Algorithm: p.algorithms[i], Value: string(h.Sum(nil))})
	}
	return d
}

// Unseal gets the key of an encrypted version; CopyTo does it by itself where the client's key is not needed. customer is the key that the
// client brings, nil for none. A plain version needs none.
//
// Errors: Invalid (KeyRequired, KeyMismatch, KeyUnwanted); Internal (KeyLost) when the key ring or the key service has lost the key; Corrupt when the
// version is not what was written; those of seal.KeyService.
func (o *Object) Unseal(ctx context.Context, customer *seal.Secret) error {
	return fail("backend.Object.Unseal", o.unseal(ctx, customer))
}

func (o *Object) unseal(ctx context.Context, customer *seal.Secret) error {
	if len(o.Encryption) == 0 {
		if customer != nil {
			return seal.KeyUnwanted()
		}
		return nil
	}
	if o.sealed != nil {
		return nil
	}
	s, err := o.b.opts.Keeper.Open(ctx, o.Encryption, customer, place(o.Container.ID, o.Name))
	if err == nil && len(o.Parts) > 0 {
		err = s.CheckParts(sealedParts(o.Parts))
	}
	if err != nil {
		o.b.complain(ctx, o, err)
		return err
	}
	o.sealed = s
	return nil
}

// complain logs what an operator must learn of: keys that are gone, and content that was tampered with.
func (b *Backend) complain(ctx context.Context, o *Object, err error) {
	if errs.Is(err, errs.Corrupt) || errs.ReasonOf(err) == errs.KeyLost {
		b.opts.Log.ErrorContext(ctx, "an encrypted object cannot be opened", "container", o.Container.ID.String(), "object", string(o.Name),
			"version", uint64(o.ID), "error", err)
	}
}

// moves tells whether the bytes of a copy must go through: one side is encrypted and the other is not. That a container refuses clients' keys comes up
// later.
func (r *CopyRequest) moves(o *Object, container bucket.Container) bool {
	plain := r.Attributes.Encryption.Mode == seal.Plain && container.Config.Encryption == nil
	return o.Size > 0 && plain != (len(o.Encryption) == 0)
}

// reseal wraps the key of a copy anew: for its name, and under the outer key that it is to have. The ETag follows what that demands.
func (b *Backend) reseal(ctx context.Context, o *Object, container bucket.Container, next *object.Version, e Encryption) error {
	r, err := e.request(container)
	if err != nil {
		return err
	}
	if r == nil { // both are plain, or there are no bytes
		next.Encryption = nil
		return nil
	}
	at := place(container.ID, next.Name)
	if o.sealed == nil { // no bytes, plain so far
		s, err := b.opts.Keeper.New(ctx, *r, at)
		if err != nil {
			return err
		}
		vouch(s, next.Parts)
		next.Encryption = s.Record()
		return nil
	}
	s, err := b.opts.Keeper.Rewrap(ctx, o.sealed, *r, at)
	if err != nil {
		return err
	}
	vouch(s, next.Parts) // the client may have completed it without its key
	was, is := hides(o.sealed.Mode()), hides(r.Mode) && !e.PlainETag
	sum, known := s.MD5()
	switch {
	case strings.Contains(next.ETag, "-"): // of parts: no MD5 of the bytes in any case
	case was && !is && known:
		next.ETag = hex.EncodeToString(sum[:])
	case !was && is:
		if raw, err := hex.DecodeString(next.ETag); err == nil && len(raw) == md5.Size {
			sum = [md5.Size]byte(raw)
			s.KeepMD5(sum)
		}
		sum = s.Tag(sum)
		next.ETag = hex.EncodeToString(sum[:])
	}
	next.Encryption = s.Record()
	return nil
}

// copyData copies by reading and writing.
func (b *Backend) copyData(ctx context.Context, o *Object, container bucket.Container, next *object.Version, r CopyRequest, limits meta.Limits, share func(object.Share) object.Share) (*object.Version, error) {
	if o.Size > b.opts.PutMax {
		return nil, errs.E("", errs.Invalid, errs.Object, string(o.Name)).
			Because(errs.BadSource, "The source is too large to be encrypted or decrypted by one copy: copy it in parts.")
	}
	s, err := b.newSealing(ctx, container, r.Name, r.Attributes.Encryption)
	if err != nil {
		return nil, err
	}
	body, done := o.body(ctx, 0, o.Size)
	defer done()
	for _, c := range o.Checksums {
		body.Checksums = append(body.Checksums, c.Algorithm)
	}
	if r.Checksum != "" && !slices.Contains(body.Checksums, r.Checksum) {
		body.Checksums = append(body.Checksums, r.Checksum)
	}
	w := b.newWriter(container.Account, container.ID)
	got, err := b.receiveSealed(ctx, w, body, b.blockSize(container), b.opts.PutMax, s)
	if err != nil {
		w.giveUp(ctx)
		return nil, err
	}
	got.fill(next, s)
	return b.publish(ctx, w, container, meta.Change{Version: next, Name: r.Name, If: r.If, Limits: limits, Share: share, Moved: r.moved})
}

// body is a range of the object as a body to write. done must be called when it is not needed any more.
func (o *Object) body(ctx context.Context, off, n int64) (body Body, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.CloseWithError(o.CopyTo(ctx, w, off, n)) // nil is io.EOF
	}()
	return Body{Reader: r, Size: n}, func() {
		cancel()
		_ = r.Close() // never fails
		<-ended
	}
}
