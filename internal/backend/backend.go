// Package backend is the service's rules, once for all doors: accounts,
// containers, objects, versions, block maps, permissions, quotas. It is the
// only caller of the stores and the only place that authorises.
//
// Every operation takes the caller and decides with access.Decide before it
// reads or changes anything on its behalf. Errors are *errs.Error.
package backend

import (
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"pithos/internal/access"
	"pithos/internal/access/policy"
	"pithos/internal/backend/slab"
	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/guess"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/seal"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// Stores are the four stores that a backend stands on.
type Stores struct {
	Keys    key.Reader
	Buckets bucket.Store
	Meta    meta.Store
	Blobs   blob.Store
}

// Options are the backend's settings; zero fields take the defaults named.
type Options struct {
	Clock        clock.Clock   // clock.System
	Log          *slog.Logger  // discards
	Region       string        // the default one: "us-east-1"
	NewIn        string        // region of containers whose maker names none: Region
	BlockSize    int64         // block.SizeDefault
	BufferBytes  int64         // memory for blocks being received, over all uploads: 128 MiB
	ObjectMax    int64         // largest object, bytes: 50 TiB
	PutMax       int64         // largest single PUT or part, bytes: 5 GiB
	PartMin      int64         // smallest part but the last, bytes: 5 MiB
	UploadGrace  time.Duration // how long a writer may take before its intent expires: 24 h, extended while it writes
	DefaultQuota bucket.Limit  // for accounts that have none of their own
	Keeper       *seal.Keeper  // of the keys for encrypted objects; one that has none
	// KeepMax is up to how many bytes a body is kept with its version and not in the blobstore: for metastores where one change costs
	// less than a block. What is kept so is not shared between objects. 0: none.
	KeepMax int
	// ReadAhead is how many pieces of a body are read at once, for blobstores that are a way off. 0: one, which is best for a disk of one's own.
	ReadAhead int
	// Distant says that looking something up costs a wait for an answer, so that several are made at once. See Expect.
	Distant bool
}

// The defaults of Options.
const (
	regionDefault      = "us-east-1"
	bufferBytesDefault = 128 << 20
	objectMaxDefault   = 50 << 40
	putMaxDefault      = 5 << 30
	partMinDefault     = 5 << 20
	uploadGraceDefault = 24 * time.Hour
)

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Region == "" {
		o.Region = regionDefault
	}
	if o.NewIn == "" {
		o.NewIn = o.Region
	}
	if o.Keeper == nil {
		o.Keeper = seal.NewKeeper(seal.Options{Clock: o.Clock})
	}
	setDefault(&o.BlockSize, block.SizeDefault)
	setDefault(&o.BufferBytes, bufferBytesDefault)
	setDefault(&o.ObjectMax, objectMaxDefault)
	setDefault(&o.PutMax, putMaxDefault)
	setDefault(&o.PartMin, partMinDefault)
	setDefault(&o.UploadGrace, uploadGraceDefault)
	return o
}

func setDefault[N ~int64](n *N, value N) {
	if *n == 0 {
		*n = value
	}
}

// Backend is the library that every door stands on. Its methods are safe for concurrent use.
type Backend struct {
	stores   Stores
	regional meta.Regional // nil: there is one region
	opts     Options
	lobby    lobby
	slabs    *slab.Pool
	pieces   pieces
	ahead    *semaphore.Weighted // pieces that are read before their turn
	readers  readers
	signIns  chan struct{} // places for passwords being checked
	decoy    atomic.Pointer[string]

	hints    hints
	hashmaps remembered
	watch    watch
	policies policyCache
	noticed  noticed
	last     guess.Map[Ref, whereabouts]

	removing sync.Map // of naming.ContainerID: containers whose removal is under way in this process
}

// New puts a backend on stores.
func New(s Stores, o Options) *Backend {
	o = o.withDefaults()
	b := &Backend{stores: s, opts: o, slabs: slab.New(o.BufferBytes - o.BufferBytes/lobbyShare), signIns: make(chan struct{}, signInsAtOnce)}
	b.regional, _ = s.Meta.(meta.Regional)
	b.stores.Meta = watched{s.Meta, &b.watch}
	b.lobby.open(o.BufferBytes / lobbyShare)
	b.ahead = semaphore.NewWeighted(max(o.BufferBytes/aheadShare/pieceSize, 1))
	b.readers.open = make(map[block.Holder]int)
	return b
}

func (b *Backend) now() time.Time { return b.opts.Clock.Now() }

// Caller is who asks, and for the log, in which request.
type Caller struct {
	access.Principal
	RequestID string
	Facts     policy.Facts // what the door knows of the request for the conditions of policies; nil: nothing
	// OpenExpired shows objects whose time is up while they are still there.
	OpenExpired bool
}

// Ref names a container, either by its global bucket name or by account and name.
type Ref struct {
	Bucket  naming.BucketName
	Account naming.AccountID
	Name    naming.ContainerName
}

// Target names a version of an object: the newest when By is meta.Newest.
type Target struct {
	Container Ref
	Name      naming.ObjectName
	Which     meta.Which
}

// NewContainer says what container to make.
type NewContainer struct {
	Account naming.AccountID
	Name    naming.ContainerName
	Bucket  naming.BucketName // global name to claim with it; "" for none
	Region  string            // "" for Options.NewIn
	Config  bucket.Config
}

// Attributes are the properties that a writer gives to a new version.
type Attributes struct {
	ContentType  string
	StorageClass string
	Headers      object.Headers
	Meta         map[object.Domain]map[string]string
	Tags         []object.Tag
	ACL          access.ACL
	Canned       string           // name of the canned list that ACL is; "" for other lists, and when none was asked for
	Owner        naming.AccountID // S3 object owner; "" for the caller's account (or the container's, as ownership says)
	Expires      time.Time
	Retention    object.Retention
	LegalHold    bool
	Kind         object.Kind
	Target       string
	Share        *ShareChange // what the path shares from then on; nil: as before
	Note         string
	Encryption   Encryption
	Stamp        object.VersionID // when the object was made in the container elsewhere from which this one is fed; 0: it is made here
}

// Encryption says how a new object is to be encrypted. The zero value leaves it to the container's default.
type Encryption struct {
	Mode      seal.Mode
	KeyID     string       // of the key service (seal.KMS); "": its default key
	Context   []byte       // the encryption context (seal.KMS), JSON
	BucketKey *bool        // several objects share a data key of the key service; nil: as the container says
	Customer  *seal.Secret // the client's key (seal.Customer)
	// PlainETag keeps the MD5 of the bytes as the ETag, where otherwise it would hide: Swift promises that.
	PlainETag bool
}

// PutRequest is an object to write.
type PutRequest struct {
	Container  Ref
	Name       naming.ObjectName
	Attributes Attributes
	If         object.Precondition
	Body       Body
	// ProveRoot, if set, is asked after Body.Prove with the root hash of what came; its error means that nothing becomes visible.
	ProveRoot func(block.ID) error
}

// Body is the bytes of an object or part, and how to prove them.
type Body struct {
	// Reader gives the decoded bytes. The first Read happens only after the request was admitted, so that "100 Continue" is
	// sent then. An error other than io.EOF means that nothing becomes visible.
	Reader io.Reader
	// Size is the declared number of bytes, -1 when the client did not say.
	Size int64
	// Checksums are to be computed, and are kept with the version. SHA256 asks for Digests.SHA256.
	Checksums []object.Algorithm
	SHA256    bool
	// Prove is called after the last byte with the digests of what came; its error means that nothing becomes visible. nil: no proof asked.
	// It is where signed payload hashes, Content-MD5, checksum headers and trailers are compared.
	Prove func(object.Digests) error

	sealed bool // the bytes are encrypted: nobody wants their digests
}

// Object is a version opened for reading. It reads that version to its end, whatever happens to the name (I2).
type Object struct {
	*object.Version
	Container bucket.Container
	Via       []Target // the targets of the links that were followed to it (OpenWhole)
	b         *Backend
	reader    Caller
	segments  []segment    // of a dynamic manifest that was opened as a whole; nil otherwise
	own       int64        // bytes of such a manifest itself
	sealed    *seal.Object // set by Unseal
}

// CopyRequest says what to copy where. No data moves, unless one of the two is encrypted and the other is not.
type CopyRequest struct {
	Source Target
	// Opened says that the source's version is the one that the caller opened as the newest: then it needs no permission for old versions.
	Opened    bool
	SourceIf  object.Precondition // as a read of the source
	Container Ref
	Name      naming.ObjectName
	If        object.Precondition // as a write of the target
	// ReplaceAttributes takes Attributes instead of the source's (x-amz-metadata-directive: REPLACE); ACL, Owner and, if ReplaceTags, Tags
	// are always the target's own.
	ReplaceAttributes bool
	ReplaceTags       bool
	Attributes        Attributes
	// SourceKey is the client's key of a source that was encrypted with one.
	SourceKey *seal.Secret
	// Checksum, if set and not one that the source's version has, is computed over the data.
	Checksum object.Algorithm
	// MD5 gives the copy of an object of parts the MD5 of its bytes for an ETag, for which they are read, and no parts. Not over Options.PutMax,
	// nor where the content is encrypted, part by part.
	MD5 bool
	// Change, if set, changes the attributes that the copy is going to have, and makes a copy onto itself worth while. It may be called several times.
	Change func(source *object.Version, a *Attributes) error

	moved bool // the copy keeps the source's UUID
	// Verbatim copies a manifest or link as such. Otherwise the copy is plain data: what the source stands for.
	Verbatim bool
}

// DeleteRequest says what to delete. Without a version (Which is meta.Newest) the container's versioning policy decides between a delete
// marker and removal.
type DeleteRequest struct {
	Target
	If     object.Precondition
	Bypass bool // governance retention, if the caller may
	// Stamp is when the object was deleted in the container elsewhere from which this one is fed; 0: it is deleted here. It needs a container that
	// takes part in container sync and keeps no versions.
	Stamp object.VersionID
	Note  string // of the delete marker, if one is made
}

// Deleted is what a delete did.
type Deleted struct {
	Marker  bool             // a delete marker was made or, for a version, removed
	Version object.VersionID // the marker made, or the version removed; 0: nothing was there
	Null    bool             // that version is the null version
	Nothing bool             // there was nothing to delete
	Removed *object.Version  // the version that is gone for good, if one is
}

// ListRequest asks for one page of a listing.
type ListRequest struct {
	Container Ref
	View      meta.View
	Prefix    string
	Delimiter string
	// After is exclusive: entries and common prefixes greater than it. With AfterVersion it is a position inside the versions of that name.
	After        string
	AfterVersion object.VersionID
	Limit        int // entries and prefixes together; 0 gives an empty page
	// Reverse gives names and common prefixes in descending order. They are made of the names that are less than After (of all, when it is "") and
	// greater than Until. Versions of a name come with the oldest first, and AfterVersion is as without Reverse. Only of ViewCurrent and ViewAll.
	Reverse bool
	Until   string
}

// Page is one page of a listing. Entries and Prefixes are each in byte order, or against it; Next says where the next page begins.
type Page struct {
	Entries     []object.Summary
	Prefixes    []string
	Truncated   bool
	NextAfter   string // name or common prefix that the page ended with
	NextVersion object.VersionID
}

// NewUpload opens a multipart upload.
type NewUpload struct {
	Container  Ref
	Name       naming.ObjectName
	Attributes Attributes
	Checksum   object.Algorithm
	FullObject bool
}

// PartRequest is a part to write, from a body or from a range of another version.
type PartRequest struct {
	Container Ref
	Name      naming.ObjectName
	Upload    string
	Number    int
	Body      Body
	Customer  *seal.Secret // the client's key, of an upload that was begun with one
	// From copies [Offset, Offset+Length) of a version instead of reading Body.
	From *PartSource
}

// PartSource is a range of another version. Length -1 is "to the end".
type PartSource struct {
	Source Target
	If     object.Precondition
	Offset int64
	Length int64
	Key    *seal.Secret // the client's key, of a version that was encrypted with one
	MD5    bool         // the part's ETag is the MD5 of its bytes, which are read for it if need be
}

// StoredPart is a part that was written.
type StoredPart struct {
	object.Part
	Encryption []byte // of the upload, see object.Version
}

// CompletePart is one line of a completion.
type CompletePart struct {
	Number    int
	ETag      string
	Checksums []object.Checksum
}

// CompleteRequest finishes a multipart upload.
type CompleteRequest struct {
	Container Ref
	Name      naming.ObjectName
	Upload    string
	Parts     []CompletePart
	If        object.Precondition
	// Size, if >= 0, is what the client believes the object's size to be (x-amz-mp-object-size).
	Size int64
	// Checksum is the checksum of the whole object that the client expects, if it said one.
	Checksum *object.Checksum
	Customer *seal.Secret // the client's key, of an upload that was begun with one
	// WhileNewest lets an upload that was completed before be unknown once its object is not the newest version of the name. Otherwise completing it again
	// has the same answer always.
	WhileNewest bool
}

// UploadPage is one page of open uploads.
type UploadPage struct {
	Uploads   []meta.Upload
	Prefixes  []string
	Truncated bool
	NextName  string
	NextID    string
}
