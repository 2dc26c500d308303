package backend

import (
	"context"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

var errTodo = errs.E("backend", errs.Unsupported, errs.Request, "")

// Copy makes a new version that shares the source's blocks.
func (b *Backend) Copy(ctx context.Context, c Caller, r CopyRequest) (v, source *object.Version, err error) {
	return nil, nil, errTodo
}

// BeginUpload opens a multipart upload.
func (b *Backend) BeginUpload(ctx context.Context, c Caller, n NewUpload) (meta.Upload, error) {
	return meta.Upload{}, errTodo
}

// PutPart writes a part, from a body or from a range of a version. source is set in the latter case.
func (b *Backend) PutPart(ctx context.Context, c Caller, r PartRequest) (p object.Part, source *object.Version, err error) {
	return object.Part{}, nil, errTodo
}

// Parts lists the parts of an open upload with a number greater than after; at most limit.
func (b *Backend) Parts(ctx context.Context, c Caller, r Ref, name naming.ObjectName, upload string, after, limit int) (u meta.Upload, parts []object.Part, more bool, err error) {
	return meta.Upload{}, nil, false, errTodo
}

// Uploads lists the open uploads of a container after (name, id), grouped by delimiter like List; at most limit.
func (b *Backend) Uploads(ctx context.Context, c Caller, r Ref, prefix, delimiter, afterName, afterID string, limit int) (UploadPage, error) {
	return UploadPage{}, errTodo
}

// Complete assembles an object from parts, by reference. Repeating it with the same parts gives the same answer.
func (b *Backend) Complete(ctx context.Context, c Caller, r CompleteRequest) (*object.Version, error) {
	return nil, errTodo
}

// AbortUpload forgets an open upload. NotFound/Upload.
func (b *Backend) AbortUpload(ctx context.Context, c Caller, r Ref, name naming.ObjectName, upload string) error {
	return errTodo
}
