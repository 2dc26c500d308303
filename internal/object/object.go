// Package object has the vocabulary of objects: versions and their
// properties, preconditions, ranges and checksums. It knows no store and no
// protocol.
package object

import (
	"time"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/naming"
)

// VersionID orders the versions of one name: microseconds since the epoch when the version was committed, made
// larger where needed so that it increases within a name. 0 is "none". S3 shows it as an opaque string, Pithos+ as an integer.
type VersionID uint64

// Time is the moment of the version: its modification time, with microseconds.
func (id VersionID) Time() time.Time { return time.UnixMicro(int64(id)).UTC() }

// IDAt is the version id of the moment t, in whole microseconds (rounded down); 0 for the epoch and before.
func IDAt(t time.Time) VersionID {
	if us := t.UnixMicro(); us > 0 {
		return VersionID(us)
	}
	return 0
}

// Kind is what a version is.
type Kind uint8

// The kinds of version. The order is stored; new ones go at the end.
const (
	Data            Kind = iota // bytes
	DeleteMarker                // the name is deleted from here on
	StaticManifest              // Swift SLO
	DynamicManifest             // Swift DLO
	Link                        // symbolic link
)

// Domain separates metadata of different APIs on one version.
type Domain string

// The metadata domains. S3 and Swift user metadata are one domain.
const (
	UserMeta  Domain = "user"
	ImageMeta Domain = "image"
	WebMeta   Domain = "web"
	SwiftMeta Domain = "swift" // headers that only Swift keeps
)

// Summary is all of a version that a listing shows. It is cheap: no maps, no lists beyond the checksum names.
type Summary struct {
	Name         naming.ObjectName
	ID           VersionID
	Null         bool // S3's null version: made while the container keeps no versions
	Latest       bool // newest version of its name; filled by the store on reading, never stored
	Kind         Kind
	Size         int64
	ETag         string // 32 hex digits of MD5, or "hex-N" for N parts; without quotes
	ContentType  string
	Owner        naming.AccountID
	StorageClass string
	Checksums    []Checksum
	RootHash     block.ID
	UUID         [16]byte      // stable over the object's life
	Author       naming.UserID // who made the version
	Share        Share         // of the path; may be amended without making a new version
	Stamp        VersionID     // of a change that was first made in a container elsewhere: when; 0: it was made here, at the time of ID
	Note         string        // what listings show of a manifest or link besides, as its writer encoded it; "" for data
}

// Modified is the version's modification time.
func (s *Summary) Modified() time.Time { return s.ID.Time() }

// Stamped is the id that orders the version among the changes of synchronised containers: Stamp, or its own.
func (s *Summary) Stamped() VersionID {
	if s.Stamp != 0 {
		return s.Stamp
	}
	return s.ID
}

// Made is when the change was first made, here or in a container elsewhere.
func (s *Summary) Made() time.Time { return s.Stamped().Time() }

// Visible reports whether the version, being the newest, makes the name show in listings.
func (s *Summary) Visible() bool { return s.Kind != DeleteMarker }

// Version is one immutable state of an object. A store hands out versions that the caller may read but not change.
type Version struct {
	Summary
	Content   Content
	BlockSize int64 // at which the content was cut; 0 for an assembled (ragged) map
	Headers   Headers
	Meta      map[Domain]map[string]string
	Parts     []Part    // of an assembled object; empty otherwise
	Upload    string    // id of the multipart upload that made it, "" otherwise
	Expires   time.Time // X-Delete-At; zero: never
	Target    string    // of a dynamic manifest: container/prefix

	// Encryption holds the parameters with which the content was encrypted; nil for plain content.
	Encryption []byte

	// The rest may be amended without making a new version.
	ACL       access.ACL
	Tags      []Tag
	Retention Retention
	LegalHold bool
}

// Content is a version's bytes: a block map and who holds its blocks.
type Content struct {
	Holder   block.Holder // zero when nothing is stored (empty, zeros only, or the map keeps the bytes)
	Map      block.Map
	Document block.Map // a text beside the bytes, held by the same holder: the list of segments of a static manifest
}

// Keeps tells that the bytes are kept with the version, also where they are to be looked for elsewhere than in the record (block.Map.Kept).
func (c *Content) Keeps() bool {
	return c.Holder.IsZero() && c.Map.Depth == 0 && len(c.Map.Refs) == 1 && c.Map.Refs[0].ID != block.Empty
}

// Headers are the content headers that are kept and given back as they came.
type Headers struct {
	ContentEncoding    string
	ContentLanguage    string
	ContentDisposition string
	CacheControl       string
	Expires            string
	WebsiteRedirect    string
}

// Part is one part of an assembled object or of an open upload.
type Part struct {
	Number    int // 1..10000
	Size      int64
	ETag      string
	Checksums []Checksum
	Modified  time.Time
	Seal      []byte // of an encrypted part: the salt of its stream; nil for a plain one
}

// Tag is a key with a value, unique by key in its list.
type Tag struct{ Key, Value string }

// RetentionMode says who may shorten a retention.
type RetentionMode uint8

// The modes of S3 object lock.
const (
	NoRetention RetentionMode = iota
	Governance
	Compliance
)

// Retention forbids the removal of a version until a time.
type Retention struct {
	Mode  RetentionMode
	Until time.Time
}
