package memory

import (
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/store/blob"
	"pithos/internal/store/blob/blobtest"
	"pithos/internal/store/bucket"
	"pithos/internal/store/bucket/buckettest"
	"pithos/internal/store/key"
	"pithos/internal/store/key/keytest"
	"pithos/internal/store/meta"
	"pithos/internal/store/meta/metatest"
)

func TestBlobs(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	blobtest.Run(t, func(*testing.T) blob.Store { return NewBlobs(c) }, blobtest.Options{Clock: c})
}

func TestMeta(t *testing.T) {
	metatest.Run(t, func(*testing.T) meta.Store { return NewMeta() }, metatest.Options{})
}

func TestBuckets(t *testing.T) {
	buckettest.Run(t, func(*testing.T) bucket.Store { return NewBuckets() }, buckettest.Options{})
}

func TestKeys(t *testing.T) {
	keytest.Run(t, func(*testing.T) key.Store { return NewKeys() }, keytest.Options{})
}
