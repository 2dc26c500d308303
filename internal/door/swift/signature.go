package swift

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // clients of Swift sign with it; it serves as a MAC, where collisions do not count
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
)

// digests are the hashes that links and forms may be signed with, by their names in /info; never written.
var digests = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

// digestNames are those of digests, as /info shows them; never written.
var digestNames = []string{"sha1", "sha256", "sha512"}

// signature is a parsed one: raw bytes, and by what they were made.
type signature struct {
	digest string
	sum    []byte
}

// parseSignature reads hexadecimal digits, whose number tells the digest, or "DIGEST:" and base64 of either alphabet. ok is false for anything else.
func parseSignature(text string) (s signature, ok bool) {
	if name, encoded, found := strings.Cut(text, ":"); found {
		if digests[name] == nil {
			return s, false
		}
		if !strings.ContainsAny(encoded, "+/") {
			encoded = strings.NewReplacer("-", "+", "_", "/").Replace(encoded)
		}
		sum, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
		return signature{name, sum}, err == nil
	}
	sum, err := hex.DecodeString(text)
	if err != nil {
		return s, false
	}
	for name, make := range digests {
		if make().Size() == len(sum) {
			return signature{name, sum}, true
		}
	}
	return s, false
}

// by tells whether the signature over text was made with the key.
func (s signature) by(key, text string) bool {
	mac := hmac.New(digests[s.digest], []byte(key))
	mac.Write([]byte(text))
	return hmac.Equal(mac.Sum(nil), s.sum)
}

// signingKey signs links and forms, and gives them a scope.
type signingKey struct {
	key   string
	scope access.Scope
}

// The names of the keys in the metadata of accounts and containers.
var keyNames = [...]string{"temp-url-key", "temp-url-key-2"}

// signingKeys are the keys of an account and a container: up to four. An account or container that is not there has none.
func (c *call) signingKeys(ctx context.Context, container naming.ContainerName) ([]signingKey, error) {
	var keys []signingKey
	add := func(meta map[string]string, scope access.Scope) {
		for _, name := range keyNames {
			if key := meta[name]; key != "" {
				keys = append(keys, signingKey{key, scope})
			}
		}
	}
	account, err := c.door.b.Account(ctx, c.owner)
	if errs.Is(err, errs.NotFound) || err == nil && account.Disabled {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	settings, err := c.door.b.Settings(ctx, c.owner)
	if err != nil {
		return nil, err
	}
	add(settings.Meta, access.Scope{Account: c.owner})
	c.ownerID = account.Canonical
	if container == "" {
		return keys, nil
	}
	found, err := c.peek(ctx, container)
	if err != nil || found == nil {
		return keys, err
	}
	add(found.Config.Meta, access.Scope{Account: c.owner, Container: container})
	return keys, nil
}

// bearer is who holds something signed: the account's administrator, bounded.
func (c *call) bearer(scope access.Scope) access.Principal {
	return access.Principal{Account: c.owner, Canonical: c.ownerID, Admin: true, Scope: &scope}
}
