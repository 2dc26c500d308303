// Package memory keeps the four store contracts in maps. It is the executable
// specification: the conformance suites hold for it, the metamorphic test
// compares other engines with it, and backend tests run on it. Nothing
// survives the process.
//
// Each store is plain maps under one mutex, with no cleverness, so that it is
// easy to see that it is right. What comes in and what goes out is copied, so
// no caller can change what is stored.
package memory

import (
	"pithos/internal/clock"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// Stores are one of each store, all empty at first and independent of each other.
type Stores struct {
	keys    *Keys
	buckets *Buckets
	meta    *Meta
	blobs   *Blobs
}

// New makes empty stores. The clock tells when a block was stored, which is all that they need the time for.
func New(c clock.Clock) *Stores {
	return &Stores{keys: NewKeys(), buckets: NewBuckets(), meta: NewMeta(), blobs: NewBlobs(c)}
}

// Keys is the keystore.
func (s *Stores) Keys() key.Store { return s.keys }

// Buckets is the bucketstore.
func (s *Stores) Buckets() bucket.Store { return s.buckets }

// Meta is the metastore.
func (s *Stores) Meta() meta.Store { return s.meta }

// Blobs is the blobstore. It has the abilities blob.Usage and blob.Quarantiner.
func (s *Stores) Blobs() blob.Store { return s.blobs }
