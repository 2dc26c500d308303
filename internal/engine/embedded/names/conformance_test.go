package names

import (
	"testing"

	"pithos/internal/store/bucket"
	"pithos/internal/store/bucket/buckettest"
	"pithos/internal/store/key"
	"pithos/internal/store/key/keytest"
)

// reopening keeps the stores of the running subtest, so that the suites can open them again.
type reopening struct{ now *opened }

func TestBucketConformance(t *testing.T) {
	var r reopening
	buckettest.Run(t, func(t *testing.T) bucket.Store {
		r.now = open(t)
		return r.now.buckets
	}, buckettest.Options{Reopen: func(*testing.T, bucket.Store) bucket.Store {
		r.now.reopen()
		return r.now.buckets
	}})
}

func TestKeyConformance(t *testing.T) {
	var r reopening
	keytest.Run(t, func(t *testing.T) key.Store {
		r.now = open(t)
		return r.now.keys
	}, keytest.Options{Reopen: func(*testing.T, key.Store) key.Store {
		r.now.reopen()
		return r.now.keys
	}})
}
