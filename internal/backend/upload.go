package backend

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// PartMax is the largest part number, and so the largest number of parts (S3 User Guide, "Multipart upload limits").
const PartMax = 10_000

// BeginUpload opens a multipart upload. The properties given here are those of the finished object.
// Errors: those of Put before its body; Invalid/ChecksumType when the algorithm cannot be joined to one of the full object.
func (b *Backend) BeginUpload(ctx context.Context, c Caller, n NewUpload) (meta.Upload, error) {
	const op = "backend.BeginUpload"
	container, err := b.find(ctx, n.Container)
	if err != nil {
		return meta.Upload{}, fail(op, err)
	}
	if err := b.mayTo(ctx, c, access.PutObject, container, Target{Name: n.Name}, n.Attributes.deed()); err != nil {
		return meta.Upload{}, fail(op, err)
	}
	if err := b.mayAttach(ctx, c, container, n.Name, &n.Attributes); err != nil {
		return meta.Upload{}, fail(op, err)
	}
	full, err := checksumType(n.Checksum, n.FullObject)
	if err != nil {
		return meta.Upload{}, fail(op, err)
	}
	template, err := b.version(ctx, c, container, n.Name, n.Attributes)
	if err != nil {
		return meta.Upload{}, fail(op, err)
	}
	s, err := b.newSealing(ctx, container, n.Name, n.Attributes.Encryption)
	if err != nil {
		return meta.Upload{}, fail(op, err)
	}
	if s != nil {
		template.Encryption = s.object.Record()
	}
	now := b.now()
	id := newUUID()
	u := meta.Upload{
		UploadKey: meta.UploadKey{
			Container: container.ID, Name: n.Name,
			ID: fmt.Sprintf("%016x%s", uint64(object.IDAt(now)), hex.EncodeToString(id[:])), // sorts by time
		},
		Account: container.Account, Initiated: now, Initiator: c.User,
		Template: *template, Checksum: n.Checksum, FullObject: full,
	}
	if err := b.stores.Meta.Begin(ctx, u); err != nil {
		return meta.Upload{}, fail(op, err)
	}
	return u, nil
}

// checksumType tells whether the checksum of the assembled object is one over all of its bytes. CRC64NVME always is; the
// cryptographic ones cannot be (S3 User Guide, "Checking object integrity").
func checksumType(a object.Algorithm, full bool) (bool, error) {
	switch {
	case a == "":
		return false, nil
	case a.Size() == 0:
		return false, unknownChecksum(a)
	case full && !a.Linear():
		return false, wrongChecksumType("the " + string(a) + " checksum of a multipart object is composite")
	}
	return full || a == object.CRC64NVME, nil
}

func wrongChecksumType(msg string) error {
	return errs.E("", errs.Invalid, errs.Request, "").Because(errs.ChecksumType, msg)
}

// openUpload finds an open upload that the caller may write to.
func (b *Backend) openUpload(ctx context.Context, c Caller, r Ref, name naming.ObjectName, upload string, d deed) (bucket.Container, meta.Upload, error) {
	container, err := b.find(ctx, r)
	if err != nil {
		return container, meta.Upload{}, err
	}
	if err := b.mayTo(ctx, c, access.PutObject, container, Target{Name: name}, d); err != nil {
		return container, meta.Upload{}, err
	}
	u, err := b.stores.Meta.FindUpload(ctx, meta.UploadKey{Container: container.ID, Name: name, ID: upload})
	return container, u, err
}

// ownUpload finds an open upload that the caller may look into or end.
func (b *Backend) ownUpload(ctx context.Context, c Caller, a access.Action, r Ref, name naming.ObjectName, upload string) (meta.Upload, error) {
	container, err := b.find(ctx, r)
	if err != nil {
		return meta.Upload{}, err
	}
	u, err := b.stores.Meta.FindUpload(ctx, meta.UploadKey{Container: container.ID, Name: name, ID: upload})
	if errs.Is(err, errs.NotFound) {
		if err := b.may(ctx, c, a, container, name); err != nil {
			return meta.Upload{}, err
		}
	}
	if err != nil {
		return meta.Upload{}, err
	}
	return u, b.mayUpload(ctx, c, a, container, u)
}

// AbortUpload forgets an open upload. NotFound/Upload.
func (b *Backend) AbortUpload(ctx context.Context, c Caller, r Ref, name naming.ObjectName, upload string) error {
	const op = "backend.AbortUpload"
	u, err := b.ownUpload(ctx, c, access.AbortMultipartUpload, r, name, upload)
	if err != nil {
		return fail(op, err)
	}
	return fail(op, b.stores.Meta.Abort(ctx, u.UploadKey))
}

// Parts lists the parts of an open upload with a number greater than after; at most limit.
func (b *Backend) Parts(ctx context.Context, c Caller, r Ref, name naming.ObjectName, upload string, after, limit int) (u meta.Upload, parts []object.Part, more bool, err error) {
	const op = "backend.Parts"
	u, err = b.ownUpload(ctx, c, access.ListMultipartUploadParts, r, name, upload)
	if err != nil {
		return meta.Upload{}, nil, false, fail(op, err)
	}
	err = b.stores.Meta.Parts(ctx, u.UploadKey, after, func(p meta.Part) bool {
		if more = len(parts) >= limit; more {
			return false
		}
		parts = append(parts, p.Part)
		return true
	})
	if err != nil {
		return meta.Upload{}, nil, false, fail(op, err)
	}
	return u, parts, more, nil
}

// Uploads lists the open uploads of a container after (name, id), grouped by delimiter like List; at most limit. Without an
// id the page begins after all uploads of the name.
func (b *Backend) Uploads(ctx context.Context, c Caller, r Ref, prefix, delimiter, afterName, afterID string, limit int) (UploadPage, error) {
	const op = "backend.Uploads"
	container, err := b.Container(ctx, c, r, access.ListBucketMultipartUploads)
	if err != nil {
		return UploadPage{}, fail(op, err)
	}
	from, ok := startAfter(afterName, prefix, delimiter)
	if limit <= 0 || !ok {
		return UploadPage{}, nil
	}
	id := ""
	if afterID != "" && from == afterName+"\x00" {
		from, id = afterName, afterID
	}
	g := uploadGroups{prefix: prefix, delimiter: delimiter, limit: limit}
	for !g.done {
		g.done = true // unless a common prefix is to be passed
		if err := b.stores.Meta.Pending(ctx, container.ID, naming.ObjectName(from), id, g.add); err != nil {
			return UploadPage{}, fail(op, err)
		}
		from, id = g.seek, ""
	}
	return g.page, nil
}

// uploadGroups collects a page of uploads.
type uploadGroups struct {
	prefix, delimiter string
	limit             int
	page              UploadPage
	seek              string // where to go on when not done
	done              bool
}

func (g *uploadGroups) add(u meta.Upload) bool {
	name := string(u.Name)
	if !strings.HasPrefix(name, g.prefix) {
		return false
	}
	if len(g.page.Uploads)+len(g.page.Prefixes) == g.limit {
		g.page.Truncated = true
		return false
	}
	common, ok := commonPrefix(name, g.prefix, g.delimiter)
	if !ok {
		g.page.Uploads = append(g.page.Uploads, u)
		g.page.NextName, g.page.NextID = name, u.ID
		return true
	}
	g.page.Prefixes = append(g.page.Prefixes, common)
	g.page.NextName, g.page.NextID = common, ""
	g.seek, ok = naming.After(common)
	g.done = !ok
	return false
}
