package backend

import (
	"context"
	"encoding/hex"
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

// Copy makes a new version that shares the source's blocks. No data moves, whatever the size; the ETag, the checksums and the list
// of parts are the source's. Between encrypted objects only the object key is wrapped anew. Between an encrypted and a plain one the bytes go
// through, at most Options.PutMax of them, and the copy is no assembled object.
//
// Errors: those of Open for the source, but a source condition that fails is always Precondition; those of Put for the target; Invalid
// (SelfCopy when nothing would change).
func (b *Backend) Copy(ctx context.Context, c Caller, r CopyRequest) (v, source *object.Version, err error) {
	const op = "backend.Copy"
	for range conflictsMax {
		v, source, err = b.copyOnce(ctx, c, r)
		if !errs.IsThing(err, errs.Conflict, errs.Version) { // the source was replaced meanwhile: copy what is there now
			break
		}
	}
	if err != nil {
		return nil, nil, fail(op, err)
	}
	return v, source, nil
}

func (b *Backend) copyOnce(ctx context.Context, c Caller, r CopyRequest) (v, source *object.Version, err error) {
	container, err := b.find(ctx, r.Container)
	if err != nil {
		return nil, nil, err
	}
	asked := r.Attributes.deed()
	asked.source = &r.Source
	if err := b.mayTo(ctx, c, access.PutObject, container, Target{Name: r.Name}, asked); err != nil {
		return nil, nil, err
	}
	o, err := b.openSource(ctx, c, r.Source, r.SourceIf, r.Verbatim || r.moved, r.Opened)
	if err != nil {
		return nil, nil, err
	}
	if err := o.unseal(ctx, r.SourceKey); err != nil {
		return nil, nil, err
	}
	if r.changesNothing(o, container) {
		return nil, nil, errs.E("", errs.Invalid, errs.Object, string(r.Name)).
			Because(errs.SelfCopy, "a copy of an object onto itself must change its metadata, storage class, website redirect, tags or encryption")
	}
	limits, err := b.admit(ctx, container, r.Name, r.If, o.Size)
	if err != nil {
		return nil, nil, err
	}
	attributes := r.attributes(o.Version)
	if r.Change != nil {
		if err := r.Change(o.Version, &attributes); err != nil {
			return nil, nil, err
		}
	}
	if !r.ReplaceTags && len(o.Tags) > 0 {
		if err := b.mayReadTags(ctx, c, r.Source, r.Opened, o); err != nil {
			return nil, nil, err
		}
	}
	if err := b.mayAttach(ctx, c, container, r.Name, &attributes); err != nil {
		return nil, nil, err
	}
	if o.segments != nil {
		v, err := b.compose(ctx, c, container, ComposeRequest{Name: r.Name, Attributes: attributes, If: r.If, Pieces: []Piece{{Object: o, Length: o.Size}}})
		return v, o.Version, err
	}
	next, err := b.version(ctx, c, container, r.Name, attributes)
	if err != nil {
		return nil, nil, err
	}
	if r.moved {
		next.UUID = o.UUID
	}
	share, err := b.prepareShare(ctx, c, container, r.Name, attributes.Share)
	if err != nil {
		return nil, nil, err
	}
	if r.moves(o, container) {
		v, err := b.copyData(ctx, o, container, next, r, limits, share)
		return v, o.Version, err
	}
	if err := r.share(ctx, o, next); err != nil {
		return nil, nil, err
	}
	if err := b.reseal(ctx, o, container, next, r.Attributes.Encryption); err != nil {
		return nil, nil, err
	}
	ch := meta.Change{
		Container: container.ID, Account: container.Account, Name: r.Name, Now: b.now(),
		Version: next, If: r.If, Limits: limits, Retain: retain(container), Share: share, Moved: r.moved,
	}
	if !next.Content.Holder.IsZero() && !b.together(o.Container.ID, container.ID) {
		v, err := b.copyAcross(ctx, o, container, ch)
		return v, o.Version, err
	}
	if !next.Content.Holder.IsZero() {
		ch.Source = &meta.Source{Container: o.Container.ID, Name: o.Name, ID: o.ID}
	}
	out, err := b.stores.Meta.Commit(ctx, ch)
	if err != nil {
		return nil, nil, err
	}
	return out.Version, o.Version, nil
}

// changesNothing reports a copy of the newest version onto itself that asks for no other properties.
func (r *CopyRequest) changesNothing(o *Object, container bucket.Container) bool {
	return o.Container.ID == container.ID && o.Name == r.Name && r.Source.Which.By == meta.Newest &&
		!r.ReplaceAttributes && r.Change == nil && !r.ReplaceTags && r.Attributes.Encryption.Mode == seal.Plain && r.Attributes.Headers.WebsiteRedirect == "" &&
		(r.Attributes.StorageClass == "" || r.Attributes.StorageClass == o.StorageClass)
}

// attributes are those of the new version: the request's, or the source's where they are not replaced. Owner, list, retention and
// legal hold are always the request's.
func (r *CopyRequest) attributes(source *object.Version) Attributes {
	a := r.Attributes
	a.Kind, a.Target, a.Note = object.Data, "", ""
	if r.Verbatim || r.moved {
		a.Kind, a.Target, a.Note = source.Kind, source.Target, source.Note
	}
	if !r.ReplaceTags {
		a.Tags = source.Tags
	}
	if r.ReplaceAttributes {
		return a
	}
	redirect := a.Headers.WebsiteRedirect
	a.ContentType, a.Headers, a.Meta = source.ContentType, source.Headers, source.Meta
	a.Headers.WebsiteRedirect = redirect // is never copied
	if a.StorageClass == "" {
		a.StorageClass = source.StorageClass
	}
	return a
}

// share gives v the content of o, and the checksum that was asked for.
func (r *CopyRequest) share(ctx context.Context, o *Object, v *object.Version) error {
	v.Content, v.BlockSize, v.Encryption, v.Parts = o.Content, o.BlockSize, o.Encryption, o.Parts
	v.Size, v.ETag, v.Checksums, v.RootHash = o.Size, o.ETag, o.Checksums, o.RootHash
	if v.Kind != o.Kind {
		v.Content.Document = block.Map{}
	}
	if r.MD5 && strings.Contains(o.ETag, "-") && len(o.Encryption) == 0 && o.Size <= o.b.opts.PutMax {
		return r.join(ctx, o, v)
	}
	if r.Checksum == "" {
		return nil
	}
	for _, c := range o.Checksums {
		if c.Algorithm == r.Checksum {
			return nil
		}
	}
	d, err := o.digest(ctx, 0, o.Size, []object.Algorithm{r.Checksum})
	v.Checksums = d.Checksums
	return err
}

// join makes v one part: its ETag and checksums are those of its bytes.
func (r *CopyRequest) join(ctx context.Context, o *Object, v *object.Version) error {
	var wanted []object.Algorithm
	for _, c := range o.Checksums {
		wanted = append(wanted, c.Algorithm)
	}
	if r.Checksum != "" && !slices.Contains(wanted, r.Checksum) {
		wanted = []object.Algorithm{r.Checksum}
	}
	d, err := o.digest(ctx, 0, o.Size, wanted)
	if err != nil {
		return err
	}
	v.ETag, v.Checksums, v.Parts = hex.EncodeToString(d.MD5[:]), d.Checksums, nil
	return nil
}
