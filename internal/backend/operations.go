package backend

import (
	"context"
	"io"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// Backend is the library that every door stands on. Its methods are safe for concurrent use.
type Backend struct {
	stores Stores
	opts   Options
}

// New puts a backend on stores.
func New(s Stores, o Options) *Backend { return &Backend{stores: s, opts: o} }

var errTodo = errs.E("backend", errs.Unsupported, errs.Request, "")

// Identify finds the access key that signed a request. Unauthenticated/Key when it does not exist, is disabled or expired.
// The identity holds the secret for the signature check; the principal is for every later call.
func (b *Backend) Identify(ctx context.Context, accessKey string) (key.Identity, access.Principal, error) {
	return key.Identity{}, access.Principal{}, errTodo
}

// Account shows an account by id: S3 shows its canonical id and display name as owner.
func (b *Backend) Account(ctx context.Context, id naming.AccountID) (key.Account, error) {
	return key.Account{}, errTodo
}

// Canonical finds an account by canonical id, as ACL grants name it.
func (b *Backend) Canonical(ctx context.Context, canonical string) (key.Account, error) {
	return key.Account{}, errTodo
}

// Authorize asks the one authorisation function about a container or, with a name, about an object in it. Denied when not allowed;
// the reason goes to the log. Operations below call it themselves; doors call it only for what has no operation here.
func (b *Backend) Authorize(ctx context.Context, c Caller, a access.Action, container bucket.Container, v *object.Version) error {
	return errTodo
}

// CreateContainer makes a container. created is false when the caller's account already has it (the container is returned as it is).
// Exists/Bucket when the global name belongs to another account.
func (b *Backend) CreateContainer(ctx context.Context, c Caller, n NewContainer) (container bucket.Container, created bool, err error) {
	return bucket.Container{}, false, errTodo
}

// Container shows a container to whoever may do a on it. NotFound/Bucket or NotFound/Container.
func (b *Backend) Container(ctx context.Context, c Caller, r Ref, a access.Action) (bucket.Container, error) {
	return bucket.Container{}, errTodo
}

// Containers lists the containers of an account after a name; at most limit. more says that there are others.
func (b *Backend) Containers(ctx context.Context, c Caller, account naming.AccountID, after naming.ContainerName, limit int) (list []bucket.Container, more bool, err error) {
	return nil, false, errTodo
}

// DeleteContainer removes an empty container and frees its bucket name. NotEmpty when it holds versions. Open uploads are dropped.
func (b *Backend) DeleteContainer(ctx context.Context, c Caller, r Ref) error { return errTodo }

// Configure changes a container's configuration; change may be called several times, on conflicts. a is the action it needs.
func (b *Backend) Configure(ctx context.Context, c Caller, r Ref, a access.Action, change func(bucket.Container, *bucket.Config) error) (bucket.Container, error) {
	return bucket.Container{}, errTodo
}

// ContainerUsage counts a container; the caller must be allowed to list it.
func (b *Backend) ContainerUsage(ctx context.Context, c Caller, r Ref) (meta.Usage, error) {
	return meta.Usage{}, errTodo
}

// AccountUsage counts an account; its administrators may ask.
func (b *Backend) AccountUsage(ctx context.Context, c Caller, id naming.AccountID) (meta.Usage, error) {
	return meta.Usage{}, errTodo
}

// Put writes an object: admit, receive, prove, commit.
func (b *Backend) Put(ctx context.Context, c Caller, r PutRequest) (*object.Version, error) {
	return nil, errTodo
}

// Open finds a version for reading and checks If as a read condition. A delete marker is NotFound/Object for Newest (with
// *errs.Error and *MarkerError in the chain, so that a door can tell its id) and Denied-less Invalid/MarkerTarget by id.
func (b *Backend) Open(ctx context.Context, c Caller, t Target, cond object.Precondition, a access.Action) (*Object, error) {
	return nil, errTodo
}

// MarkerError says that the version found is a delete marker.
type MarkerError struct{ Version *object.Version }

func (e *MarkerError) Error() string { return "the version is a delete marker" }

// CopyTo writes the bytes [off, off+n) to w, block after block, with constant memory. The first block is read and checked before the
// first byte is written, so that a damaged or missing block can still be answered with an error.
func (o *Object) CopyTo(ctx context.Context, w io.Writer, off, n int64) error { return errTodo }

// Delete deletes an object or one version of it.
func (b *Backend) Delete(ctx context.Context, c Caller, r DeleteRequest) (Deleted, error) {
	return Deleted{}, errTodo
}

// Copy makes a new version that shares the source's blocks.
func (b *Backend) Copy(ctx context.Context, c Caller, r CopyRequest) (v, source *object.Version, err error) {
	return nil, nil, errTodo
}

// Amend changes what may be changed on a standing version: ACL, tags, retention, legal hold.
func (b *Backend) Amend(ctx context.Context, c Caller, t Target, a access.Action, change func(container bucket.Container, v *object.Version) error) (*object.Version, error) {
	return nil, errTodo
}

// List gives one page of objects or versions.
func (b *Backend) List(ctx context.Context, c Caller, r ListRequest) (Page, error) {
	return Page{}, errTodo
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
