package backend

import (
	"context"
	"crypto/rand"
	"io"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Put writes an object: admit, receive, prove, commit. Nothing is visible before the commit, and nothing at all after an error, except
// that after Ambiguous the version may or may not stand.
//
// Errors: NotFound (Bucket, Container), Denied, Precondition, Conflict/Version for a Stamp that is not the newest, Quota, TooLarge/EntityTooLarge, Invalid (IncompleteBody, ExcessBody,
// ACLsDisabled), what Prove returns, Canceled when the body breaks off, Full, Busy, Ambiguous.
func (b *Backend) Put(ctx context.Context, c Caller, r PutRequest) (*object.Version, error) {
	const op = "backend.Put"
	container, err := b.find(ctx, r.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	if err := b.mayTo(ctx, c, access.PutObject, container, Target{Name: r.Name}, r.Attributes.deed()); err != nil {
		return nil, fail(op, err)
	}
	if err := b.mayAttach(ctx, c, container, r.Name, &r.Attributes); err != nil {
		return nil, fail(op, err)
	}
	v, err := b.version(ctx, c, container, r.Name, r.Attributes)
	if err != nil {
		return nil, fail(op, err)
	}
	limits, err := b.admit(ctx, container, r.Name, r.If, r.Body.Size)
	if err != nil {
		return nil, fail(op, err)
	}
	share, err := b.prepareShare(ctx, c, container, r.Name, r.Attributes.Share)
	if err != nil {
		return nil, fail(op, err)
	}
	s, err := b.newSealing(ctx, container, r.Name, r.Attributes.Encryption)
	if err != nil {
		return nil, fail(op, err)
	}
	w := b.newWriter(container.Account, container.ID)
	w.keep = b.opts.KeepMax
	w.foresee(ctx, r.Body.Size)
	prove := r.rootProof(b.blockSize(container), s != nil)
	got, err := b.receiveSealed(ctx, w, r.Body, b.blockSize(container), b.opts.PutMax, s)
	if err == nil {
		err = prove(got.root)
	}
	if err != nil {
		w.giveUp(ctx)
		return nil, fail(op, err)
	}
	got.fill(v, s)
	stored, err := b.publish(ctx, w, container, meta.Change{Version: v, Name: r.Name, If: r.If, Limits: limits, Share: share})
	return stored, fail(op, err)
}

// rootProof gives the check of the root hash. That of a body which is encrypted on its way in is worked out beside.
func (r *PutRequest) rootProof(blockSize int64, sealed bool) func(block.ID) error {
	switch {
	case r.ProveRoot == nil:
		return func(block.ID) error { return nil }
	case !sealed:
		return r.ProveRoot
	}
	cut := &cutter{size: int(blockSize)}
	r.Body.Reader = io.TeeReader(r.Body.Reader, cut)
	return func(block.ID) error { return r.ProveRoot(block.RootHash(cut.finish())) }
}

// version is a new version with the attributes of a writer, without content.
func (b *Backend) version(ctx context.Context, c Caller, container bucket.Container, name naming.ObjectName, a Attributes) (*object.Version, error) {
	if err := b.checkLock(container, name, &a); err != nil {
		return nil, err
	}
	if a.Canned != "" && a.Canned != ownerFullControl && container.Config.Ownership == bucket.BucketOwnerEnforced {
		return nil, aclsDisabled(errs.Object, string(name))
	}
	owner, list, err := b.own(ctx, c, container, a.Owner, a.ACL)
	if err != nil {
		return nil, err
	}
	return &object.Version{
		Summary: object.Summary{
			Name: name, Kind: a.Kind, ContentType: a.ContentType, StorageClass: a.StorageClass, Owner: owner,
			Null: nullVersions(container), UUID: newUUID(), Note: a.Note, Author: c.User, Stamp: a.Stamp,
		},
		Headers: a.Headers, Meta: a.Meta, Tags: a.Tags, ACL: list,
		Expires: a.Expires, Retention: a.Retention, LegalHold: a.LegalHold, Target: a.Target,
	}, nil
}

// nullVersions tells whether new versions in the container replace the null version: unless its policy keeps versions.
func nullVersions(container bucket.Container) bool {
	return container.Config.Versioning != bucket.VersioningEnabled
}

func newUUID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails (Go 1.24)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// publish makes what w holds durable and commits it in one change, or gives it up.
func (b *Backend) publish(ctx context.Context, w *writer, container bucket.Container, ch meta.Change) (*object.Version, error) {
	ch.Container, ch.Account, ch.Now, ch.Retain = container.ID, container.Account, b.now(), retain(container)
	err := w.sync(ctx)
	if err == nil {
		var out meta.Outcome
		if out, err = b.stores.Meta.Commit(ctx, ch); err == nil {
			if w.early != nil { // nothing had to be held: it was all zeros, or is kept with its version
				w.giveUp(ctx)
			}
			return out.Version, nil
		}
	}
	w.giveUp(ctx)
	return nil, lost(err)
}
