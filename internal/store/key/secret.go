package key

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"pithos/internal/errs"
	"pithos/internal/naming"
)

// Limits of keys, in bytes.
const (
	AccessKeyMin = 3
	AccessKeyMax = 128
	SecretMin    = 8
	SecretMax    = 256
)

const (
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"                                 // 32 characters
	mixed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" // 64 characters
)

// NewAccessKey draws an access key: "PK" and 18 characters of A-Z and 2-7 (90 random bits).
func NewAccessKey() string { return "PK" + draw(18, upper) }

// NewSecret draws a secret key of 40 characters of A-Z, a-z, 0-9, '-' and '_' (240 random bits). It needs no quoting anywhere.
func NewSecret() string { return draw(40, mixed) }

// draw picks n characters of an alphabet whose length divides 256, so that each is equally likely.
func draw(n int, alphabet string) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // crypto/rand.Read never fails (Go 1.24)
	for i, b := range raw {
		raw[i] = alphabet[int(b)%len(alphabet)]
	}
	return string(raw)
}

// CanonicalOf is the canonical id of an account that nobody chose one for: 64 hexadecimal digits that follow from its name, so that
// every gateway that reads the same configuration shows the same one.
func CanonicalOf(id naming.AccountID) string {
	sum := sha256.Sum256([]byte("pithos canonical id\x00" + string(id)))
	return hex.EncodeToString(sum[:])
}

// CheckAccessKey tests the form of an access key: 3..128 of A-Z, a-z, 0-9, '.', '_', '-', '@', ':'. Others would be cut apart
// in a signature's credential scope. Swift's users sign with keys of the form account:user. Error: Invalid/Key, reason BadName.
func CheckAccessKey(s string) error {
	ok := len(s) >= AccessKeyMin && len(s) <= AccessKeyMax
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-@:", c) >= 0
	}
	if !ok {
		return errs.E("key.CheckAccessKey", errs.Invalid, errs.Key, "").
			Because(errs.BadName, "an access key has 3 to 128 characters of A-Z, a-z, 0-9, '.', '_', '-', '@' and ':'")
	}
	return nil
}

// CheckSecret tests the form of a secret key: 8..256 printable ASCII characters without spaces. Its error never shows it.
func CheckSecret(s string) error {
	ok := len(s) >= SecretMin && len(s) <= SecretMax
	for i := 0; ok && i < len(s); i++ {
		ok = s[i] > 0x20 && s[i] < 0x7f
	}
	if !ok {
		return errs.E("key.CheckSecret", errs.Invalid, errs.Key, "").
			Because(errs.BadName, "a secret key has 8 to 256 printable ASCII characters and no spaces")
	}
	return nil
}

// CheckCanonical tests the form of a canonical id: 1..128 of A-Z, a-z, 0-9, '.', '_', '-', '@', ':'.
func CheckCanonical(s string) error {
	ok := s != "" && len(s) <= 128
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-@:", c) >= 0
	}
	if !ok {
		return errs.E("key.CheckCanonical", errs.Invalid, errs.Account, "").
			Because(errs.BadName, "a canonical id has 1 to 128 characters of A-Z, a-z, 0-9, '.', '_', '-', '@' and ':'; usually 64 hexadecimal digits")
	}
	return nil
}

// CheckEmail tests the form of an e-mail address, roughly: one '@' with something on both sides, no spaces or control
// characters, at most 254 bytes.
func CheckEmail(s string) error {
	at := strings.IndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || len(s) > 254 || strings.Count(s, "@") != 1 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errs.E("key.CheckEmail", errs.Invalid, errs.User, "").
			Because(errs.BadName, "an e-mail address looks like name@example.org")
	}
	return nil
}
