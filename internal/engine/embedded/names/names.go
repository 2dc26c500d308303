// Package names keeps the bucketstore and the keystore in Pebble: who is there,
// which containers exist, who owns which global name.
//
// Both are small and change seldom, so a change holds the store's lock until
// it is on stable storage, and what is read often is kept decoded in memory.
// Records are a byte with the version of the format and then JSON.
//
// docs/formats/keys.md draws the rows. Secrets are stored as they are, in the
// data directory that only the service's user can read; they are in no log
// and no error.
package names

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/durable"
	"pithos/internal/errs"
)

// The key spaces of both stores. The first byte of every key is stored: never change one, never use one again. A name with a star is in
// the form of package rowkey.
const (
	spaceContainer   = 0x60 // account*, container name: a container
	spaceBucket      = 0x61 // bucket name: account*, container name
	spaceAccount     = 0x62 // account: an account
	spaceUser        = 0x63 // user: a user
	spaceKey         = 0x64 // access key: an access key
	spaceCanonical   = 0x65 // canonical id: account
	spaceEmail       = 0x66 // e-mail address*, account: nothing
	spaceUserKey     = 0x67 // user*, access key: nothing
	spaceAccountUser = 0x68 // account*, user: nothing
)

// cacheMax bounds how many decoded records each cache keeps.
const cacheMax = 1 << 16

const recordFormat = 1

func encode(record any) ([]byte, error) {
	raw, err := json.Marshal(record)
	if err != nil {
		return nil, errs.Wrap("names.encode", errs.Internal, err)
	}
	return append([]byte{recordFormat}, raw...), nil
}

func decode(raw []byte, record any) error {
	if len(raw) == 0 || raw[0] != recordFormat {
		return errs.E("names.decode", errs.Corrupt, errs.Store, "")
	}
	if err := json.Unmarshal(raw[1:], record); err != nil {
		return errs.E("names.decode", errs.Corrupt, errs.Store, "") // the cause would quote what may be a secret
	}
	return nil
}

func rowKey[S ~string](space byte, name S) []byte { return append([]byte{space}, name...) }

// micro is t as it is stored: in UTC, whole microseconds.
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// each calls fn for the rows of a range until it returns false. No lock is held meanwhile.
func each(ctx context.Context, db pebble.Reader, op string, from, to []byte, fn func(key, value []byte) (bool, error)) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return durable.Err(op, err)
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return errs.Wrap(op, errs.Canceled, err)
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return durable.Err(op, err)
		}
		if more, err := fn(it.Key(), value); err != nil || !more {
			return err
		}
	}
	return durable.Err(op, it.Error())
}

// keep puts a record into a cache, in place of any other when it is full.
func keep[K comparable, V any](cache map[K]V, k K, v V) {
	if _, ok := cache[k]; !ok && len(cache) >= cacheMax {
		for other := range cache {
			delete(cache, other)
			break
		}
	}
	cache[k] = v
}
