package backend

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strconv"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Complete assembles an object from parts, by reference. Repeating it with the same parts gives the same answer, as long as the
// metastore remembers the upload (meta.CompletedFor).
//
// Errors: NotFound/Upload; Invalid (PartOrder, PartMissing, PartTooSmall, SizeDiffers, ChecksumType, BadDigest, BadSyntax without parts);
// TooLarge/EntityTooLarge; Precondition; Quota; Corrupt when a part's blocks are damaged.
func (b *Backend) Complete(ctx context.Context, c Caller, r CompleteRequest) (*object.Version, error) {
	const op = "backend.Complete"
	container, u, err := b.openUpload(ctx, c, r.Container, r.Name, r.Upload, deed{})
	key := meta.UploadKey{Container: container.ID, Name: r.Name, ID: r.Upload}
	if errs.IsThing(err, errs.NotFound, errs.Upload) {
		v, err := b.completed(ctx, key, r, err)
		return v, fail(op, err)
	}
	if err != nil {
		return nil, fail(op, err)
	}
	v, err := b.assemble(ctx, container, u, r)
	if err != nil {
		// If somebody else completed it meanwhile, its parts were gone before the commit could tell.
		if _, closed := b.stores.Meta.FindUpload(ctx, key); errs.IsThing(closed, errs.NotFound, errs.Upload) {
			v, err = b.completed(ctx, key, r, closed)
		}
	}
	return v, fail(op, err)
}

// completed answers for an upload that is not open any more.
func (b *Backend) completed(ctx context.Context, k meta.UploadKey, r CompleteRequest, unknown error) (*object.Version, error) {
	done, err := b.stores.Meta.Completed(ctx, k)
	if err != nil {
		return nil, err
	}
	same := slices.EqualFunc(done.Parts, r.Parts, func(p object.Part, q CompletePart) bool {
		return p.Number == q.Number && p.ETag == q.ETag
	})
	if !same {
		return nil, unknown
	}
	if r.WhileNewest {
		v, err := b.stores.Meta.Get(ctx, k.Container, k.Name, meta.Which{})
		switch {
		case errs.Is(err, errs.NotFound), err == nil && v.Upload != k.ID:
			return nil, unknown
		}
		return v, err
	}
	v, err := b.stores.Meta.Get(ctx, k.Container, k.Name, meta.Which{By: meta.ByID, ID: done.Version})
	if errs.Is(err, errs.NotFound) { // replaced or deleted since; the answer is the same
		return &object.Version{Summary: done.Summary, Parts: done.Parts, Upload: k.ID}, nil
	}
	return v, err
}

// assemble publishes the object that the chosen parts make up.
func (b *Backend) assemble(ctx context.Context, container bucket.Container, u meta.Upload, r CompleteRequest) (*object.Version, error) {
	parts, err := b.choose(ctx, u, r)
	if err != nil {
		return nil, err
	}
	v := u.Template
	v.Null, v.Upload = nullVersions(container), u.ID
	for _, p := range parts {
		v.Parts = append(v.Parts, p.Part)
		v.Size += p.Size
	}
	if v.ETag, err = joinedETag(v.Parts); err != nil {
		return nil, err
	}
	if v.Checksums, err = joinedChecksums(u, v.Parts, r.Checksum); err != nil {
		return nil, err
	}
	limits, err := b.limits(ctx, container)
	if err != nil {
		return nil, err
	}
	if err := b.precheck(ctx, container, r); err != nil {
		return nil, err
	}
	if err := b.sealParts(ctx, u, &v, r.Customer); err != nil {
		return nil, err
	}
	w := b.newWriter(container.Account, container.ID)
	if err := b.join(ctx, w, parts, &v, b.blockSize(container)); err != nil {
		w.giveUp(ctx)
		if errs.Is(err, errs.Corrupt) { // unless a part was replaced meanwhile, and its blocks are gone
			if _, changed := b.choose(ctx, u, r); changed != nil {
				err = changed
			}
		}
		return nil, err
	}
	return b.publish(ctx, w, container, meta.Change{Version: &v, Name: u.Name, If: r.If, Upload: u.ID, Limits: limits})
}

// precheck refuses early what the commit would refuse.
func (b *Backend) precheck(ctx context.Context, container bucket.Container, r CompleteRequest) error {
	if r.If.IsZero() {
		return nil
	}
	_, err := b.meets(ctx, container, r.Name, r.If)
	return err
}

// choose finds the stored parts that a completion names and checks them.
func (b *Backend) choose(ctx context.Context, u meta.Upload, r CompleteRequest) ([]meta.Part, error) {
	if len(r.Parts) == 0 {
		return nil, errs.E("", errs.Invalid, errs.Upload, u.ID).Because(errs.BadSyntax, "a completion names at least one part")
	}
	for i := 1; i < len(r.Parts); i++ {
		if r.Parts[i].Number <= r.Parts[i-1].Number {
			return nil, errs.E("", errs.Invalid, errs.Part, strconv.Itoa(r.Parts[i].Number)).
				Because(errs.PartOrder, "the parts are not in ascending order")
		}
	}
	parts := make([]meta.Part, 0, len(r.Parts))
	err := b.stores.Meta.Parts(ctx, u.UploadKey, r.Parts[0].Number-1, func(p meta.Part) bool {
		if p.Number == r.Parts[len(parts)].Number {
			parts = append(parts, p)
		}
		return len(parts) < len(r.Parts) && p.Number < r.Parts[len(parts)].Number
	})
	if err != nil {
		return nil, err
	}
	if len(parts) < len(r.Parts) {
		return nil, partMissing(r.Parts[len(parts)].Number)
	}
	return parts, b.checkParts(parts, r)
}

func (b *Backend) checkParts(parts []meta.Part, r CompleteRequest) error {
	var size int64
	for i, p := range parts {
		want := r.Parts[i]
		if p.ETag != want.ETag {
			return partMissing(p.Number)
		}
		for _, c := range want.Checksums {
			if !slices.Contains(p.Checksums, c) {
				return partMissing(p.Number)
			}
		}
		if p.Size < b.opts.PartMin && i < len(parts)-1 {
			return errs.E("", errs.Invalid, errs.Part, strconv.Itoa(p.Number)).
				Because(errs.PartTooSmall, "a part other than the last is smaller than allowed")
		}
		size += p.Size
	}
	switch {
	case size > b.opts.ObjectMax:
		return tooLarge()
	case r.Size >= 0 && r.Size != size:
		return errs.E("", errs.Invalid, errs.Upload, r.Upload).
			Because(errs.SizeDiffers, "the parts do not add up to the size that the request gives")
	}
	return nil
}

func partMissing(number int) error {
	return errs.E("", errs.Invalid, errs.Part, strconv.Itoa(number)).
		Because(errs.PartMissing, "a part was not found, or its ETag or checksum is not the one given")
}

// joinedETag is S3's ETag of a multipart object: the MD5 of the parts' MD5s, a dash, their number.
func joinedETag(parts []object.Part) (string, error) {
	h := md5.New()
	for _, p := range parts {
		raw, err := hex.DecodeString(p.ETag)
		if err != nil {
			return "", errs.Wrap("", errs.Corrupt, err)
		}
		_, _ = h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), nil
}

// joinedChecksums makes the object's checksum out of the parts', and compares it with the one that the client expects.
func joinedChecksums(u meta.Upload, parts []object.Part, want *object.Checksum) ([]object.Checksum, error) {
	a, full := u.Checksum, u.FullObject
	if a == "" {
		if want == nil {
			return nil, nil
		}
		a, full = want.Algorithm, want.Parts == 0
	}
	if want != nil && want.Algorithm != a || full && !a.Linear() {
		return nil, wrongChecksumType("the checksum is not of the algorithm and type with which the upload was begun")
	}
	sum, err := joinChecksum(a, full, parts)
	if err != nil {
		return nil, err
	}
	if want != nil && (want.Value != sum.Value || want.Parts > 0 && want.Parts != sum.Parts) {
		return nil, errs.E("", errs.Invalid, errs.Upload, u.ID).
			Because(errs.BadDigest, "the checksum of the assembled object is not the one that the request gives")
	}
	return []object.Checksum{sum}, nil
}

func joinChecksum(a object.Algorithm, full bool, parts []object.Part) (object.Checksum, error) {
	composite, joiner := a.New(), object.Joiner{Algorithm: a}
	if composite == nil {
		return object.Checksum{}, unknownChecksum(a)
	}
	for _, p := range parts {
		i := slices.IndexFunc(p.Checksums, func(c object.Checksum) bool { return c.Algorithm == a })
		if i < 0 {
			return object.Checksum{}, wrongChecksumType("part " + strconv.Itoa(p.Number) + " has no " + string(a) + " checksum")
		}
		_, _ = composite.Write([]byte(p.Checksums[i].Value))
		if full && !joiner.Add(p.Checksums[i].Value, p.Size) {
			return object.Checksum{}, errs.E("", errs.Corrupt, errs.Part, strconv.Itoa(p.Number))
		}
	}
	if full {
		return object.Checksum{Algorithm: a, Value: joiner.Sum()}, nil
	}
	return object.Checksum{Algorithm: a, Value: string(composite.Sum(nil)), Parts: len(parts)}, nil
}

// join lays the parts' maps end to end in the version's, and holds their blocks. If the result happens to be cut at the
// container's block size throughout, it is a uniform map and gets a root hash.
func (b *Backend) join(ctx context.Context, w *writer, parts []meta.Part, v *object.Version, blockSize int64) error {
	s := sharer{w: w, maps: mapBuilder{w: w}}
	var root block.Root
	uniform, last := true, blockSize
	for _, p := range parts {
		walk := b.walk(p.Content.Map)
		for {
			ref, ok, err := walk.next(ctx)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			uniform = uniform && last == blockSize && ref.Len <= blockSize
			last = ref.Len
			root.Add(ref.ID)
			if err := s.whole(ctx, ref, walk.kept); err != nil {
				return err
			}
		}
	}
	m, err := s.finish(ctx)
	if err != nil {
		return err
	}
	v.Content = object.Content{Holder: w.holder, Map: m}
	v.BlockSize, v.RootHash = 0, block.ID{}
	if uniform && len(v.Encryption) == 0 {
		v.BlockSize, v.RootHash = blockSize, root.Sum()
	}
	return nil
}
