// Package bucket is the contract of the bucketstore: which containers exist,
// how they are configured, and who owns which global bucket name.
package bucket

import (
	"context"
	"time"

	"pithos/internal/access"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// Store keeps containers and bucket names. All methods are safe for concurrent use; a nil error means durable and
// visible to every later call on any node. Callbacks may call the store. Times are kept to the microsecond. Empty and nil lists and
// maps are the same.
//
// A container lives under (account, name) and may also own one global bucket name. Both appear and disappear together:
// after Create or Remove returns, either both hold or neither; a crash in between leaves at most a claimed name whose container
// does not exist, which the same account's next Create takes over and Resolve reports as NotFound.
//
// Errors: NotFound (Container or Bucket), Exists (Thing Container or Bucket, payload Owner), Conflict (a revision moved),
// Busy, Ambiguous, Closed.
type Store interface {
	// Create makes the container c with its id, and claims c.Bucket unless it is "". It returns c with its revision.
	// Exists, Thing Container: the account has a container of that name; else Thing Bucket: the global name belongs to somebody, perhaps
	// the same account, whom errors.As finds as *TakenError. A Create that failed so claimed nothing.
	Create(ctx context.Context, c Container) (Container, error)

	// Lookup finds a container by account and name.
	Lookup(ctx context.Context, account naming.AccountID, name naming.ContainerName) (Container, error)

	// Resolve finds the container that owns a global name.
	Resolve(ctx context.Context, name naming.BucketName) (Container, error)

	// Update replaces the configuration if the container (by account and name) still has c.ID and c.Revision, and returns it with the
	// new revision. Only Config changes; the rest is as stored, whatever c says. NotFound, Conflict (Container).
	Update(ctx context.Context, c Container) (Container, error)

	// Remove forgets the container and frees its bucket name if it still has c.ID and c.Revision. The caller has sealed
	// and emptied it in the metastore. NotFound, Conflict (Container).
	Remove(ctx context.Context, c Container) error

	// Containers calls fn for the account's containers with a name greater than after, in byte order, until fn returns false.
	Containers(ctx context.Context, account naming.AccountID, after naming.ContainerName, fn func(Container) bool) error

	// Close releases everything. Later calls fail with Closed.
	Close() error
}

// Revision is an opaque state of one container.
type Revision uint64

// Container is one container and how it is configured.
type Container struct {
	ID       naming.ContainerID
	Account  naming.AccountID
	Name     naming.ContainerName
	Bucket   naming.BucketName // "": it has no global name
	Region   string
	Created  time.Time
	Revision Revision
	Config   Config
}

// Versioning is a container's policy for replaced versions: S3 Off/Enabled/Suspended, Pithos+ none/auto.
type Versioning string

// The policies. Suspended keeps what is there but makes null versions, as Off does.
const (
	VersioningOff       Versioning = ""
	VersioningEnabled   Versioning = "enabled"
	VersioningSuspended Versioning = "suspended"
)

// Ownership is S3's object ownership setting.
type Ownership string

// The settings of object ownership.
const (
	BucketOwnerEnforced  Ownership = "BucketOwnerEnforced" // lists are disabled
	BucketOwnerPreferred Ownership = "BucketOwnerPreferred"
	ObjectWriter         Ownership = "ObjectWriter"
)

// Config is everything that can be set on a container. It is replaced as a whole, by revision.
type Config struct {
	Versioning Versioning        `json:"versioning,omitempty"`
	Ownership  Ownership         `json:"ownership,omitempty"` // "": ObjectWriter
	ACL        access.ACL        `json:"acl,omitzero"`
	Quota      Limit             `json:"quota,omitzero"`
	BlockSize  int64             `json:"block_size,omitempty"`  // 0: block.SizeDefault
	Meta       map[string]string `json:"meta,omitempty"`        // Swift container metadata
	Shares     bool              `json:"shares,omitempty"`      // something in it is or was shared by Pithos+
	ObjectLock bool              `json:"object_lock,omitempty"` // once set, for good; needs VersioningEnabled
	Retention  Retention         `json:"retention,omitzero"`    // of new versions that ask for none; needs ObjectLock
	// PublicAccess bounds what lists may give to the public; nil: never set. It is replaced as a whole and never written to.
	PublicAccess *PublicAccess `json:"public_access,omitempty"`
	// Encryption is what new objects are encrypted with that ask for nothing else; nil: nothing. It is replaced as a whole and never written to.
	Encryption *Encryption `json:"encryption,omitempty"`
	// Documents are sub-resources kept as written, by name: "policy", "cors", "lifecycle", "tagging", ...
	// The bytes are what the door that set them can read back; the backend parses those that steer it.
	Documents map[string][]byte `json:"documents,omitempty"`
}

// Retention is a default retention, counted from the time of the version; Days or Years is set.
type Retention struct {
	Mode  object.RetentionMode `json:"mode,omitempty"`
	Days  int                  `json:"days,omitempty"`
	Years int                  `json:"years,omitempty"`
}

// PublicAccess is S3's public access block. Public is what a grant to a group of S3, or a referrer of a Swift list, gives; Swift's lists count
// as policies.
type PublicAccess struct {
	BlockACLs      bool `json:"block_acls,omitempty"`      // access control lists that give something to the public cannot be set
	IgnoreACLs     bool `json:"ignore_acls,omitempty"`     // what such lists give to the public does not count
	BlockPolicy    bool `json:"block_policy,omitempty"`    // policies that give something to the public cannot be set
	RestrictPolicy bool `json:"restrict_policy,omitempty"` // what policies give to the public does not count
}

// Encryption is a bucket's default encryption.
type Encryption struct {
	KMS       bool   `json:"kms,omitempty"`        // with a key of the key service (SSE-KMS) instead of one of the key ring (SSE-S3)
	KeyID     string `json:"key_id,omitempty"`     // of the key service; "": its default key
	BucketKey bool   `json:"bucket_key,omitempty"` // several objects share a data key of the key service
	// NoCustomerKeys refuses objects that are encrypted with a key of the client (SSE-C).
	NoCustomerKeys bool `json:"no_customer_keys,omitempty"`
}

// LimitNone is a limit of nothing at all.
const LimitNone = -1

// Limit bounds the content of a container or account; 0 is no limit, LimitNone lets nothing in.
type Limit struct {
	Bytes   int64 `json:"bytes,omitempty"`
	Objects int64 `json:"objects,omitempty"`
	// History counts versions that were replaced too: Swift does, Pithos+ does not.
	History bool `json:"history,omitempty"`
}

// TakenError is the payload of Exists: who has the bucket name.
type TakenError struct {
	Name    naming.BucketName
	Account naming.AccountID
}

func (t *TakenError) Error() string { return "bucket name is taken" }
