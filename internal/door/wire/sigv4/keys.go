package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"strings"
	"sync"
)

// keysMax bounds the cache of signing keys: so many in each of its two generations. A key serves one secret, day and
// region; making one costs four HMACs, finding one a map look-up.
const keysMax = 1024

// keyID names a signing key.
type keyID struct{ secret, date, region string }

// signingKey is the key of a day and region, ready to sign.
type signingKey struct {
	// macs holds HMACs keyed with the signing key; keying one costs as much as signing a short message.
	macs sync.Pool
}

// sum puts the HMAC of msg into out.
func (k *signingKey) sum(out *[sha256.Size]byte, msg []byte) {
	m := k.macs.Get().(hash.Hash)
	m.Reset()
	_, _ = m.Write(msg)
	m.Sum(out[:0])
	k.macs.Put(m)
}

// keyCache keeps the signing keys in use. The zero value is ready. It has two generations: when the young one is full, it
// becomes the old one, and keys of the old one that are asked for come back; so it is bounded and what is in use stays.
type keyCache struct {
	mu struct {
		sync.Mutex
		young, old map[keyID]*signingKey
	}
}

func (c *keyCache) get(id keyID) *signingKey {
	c.mu.Lock()
	k := c.mu.young[id]
	if k == nil {
		if k = c.mu.old[id]; k != nil {
			c.put(id, k)
		}
	}
	c.mu.Unlock()
	if k != nil {
		return k
	}
	// The id's strings are parts of a request; copies do not keep it in memory.
	id = keyID{strings.Clone(id.secret), strings.Clone(id.date), strings.Clone(id.region)}
	k = deriveKey(id)
	c.mu.Lock()
	c.put(id, k)
	c.mu.Unlock()
	return k
}

// put remembers k; c.mu is held.
func (c *keyCache) put(id keyID, k *signingKey) {
	if len(c.mu.young) >= keysMax {
		c.mu.old, c.mu.young = c.mu.young, nil
	}
	if c.mu.young == nil {
		c.mu.young = make(map[keyID]*signingKey)
	}
	c.mu.young[id] = k
}

// deriveKey makes the signing key (S3 API reference, "Calculating a signature").
func deriveKey(id keyID) *signingKey {
	key := []byte("AWS4" + id.secret)
	for _, part := range []string{id.date, id.region, service, terminal} {
		m := hmac.New(sha256.New, key)
		_, _ = m.Write([]byte(part))
		key = m.Sum(nil)
	}
	k := new(signingKey)
	k.macs.New = func() any { return hmac.New(sha256.New, key) }
	return k
}
