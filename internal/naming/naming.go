// Package naming holds the names of Pithos and their rules. A name is parsed
// once, at the edge, into its own type, and is never checked again below.
package naming

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"pithos/internal/errs"
)

// Limits of names, in bytes.
const (
	ObjectNameMax    = 1024
	ContainerNameMax = 256
	AccountMax       = 256
	BucketNameMin    = 3
	BucketNameMax    = 63
)

// AccountID names a tenant, for example "test". It is also the Swift project (AUTH_test).
type AccountID string

// UserID names a user: "account:name". It is the principal of every permission.
type UserID string

// ContainerName names a container inside its account: 1..256 bytes of UTF-8 without '/'.
type ContainerName string

// BucketName is a globally unique name that points to one container; S3's rules apply.
type BucketName string

// ObjectName names an object inside its container: 1..1024 bytes of UTF-8, any character that is not NUL.
// Order is byte order; "a", "a/" and "a/b" are three names. It never becomes a file path.
type ObjectName string

// ContainerID identifies a container over its life; a name that is dropped and claimed again gets a new one.
type ContainerID [16]byte

// String is the id in 32 hexadecimal digits.
func (id ContainerID) String() string { return hex.EncodeToString(id[:]) }

// NewContainerID draws a random id.
func NewContainerID() ContainerID {
	var id ContainerID
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails (Go 1.24)
	return id
}

// ParseContainerID reads what ContainerID.String wrote.
func ParseContainerID(s string) (ContainerID, error) {
	var id ContainerID
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(id) {
		return id, errs.E("naming.ParseContainerID", errs.Invalid, errs.Container, s)
	}
	copy(id[:], raw)
	return id, nil
}

// User joins an account and a user's short name to a UserID.
func User(account AccountID, name string) UserID { return UserID(string(account) + ":" + name) }

// Split gives the account and the short name of a user. Without a colon the whole is both.
func (u UserID) Split() (AccountID, string) {
	a, n, ok := strings.Cut(string(u), ":")
	if !ok {
		return AccountID(u), string(u)
	}
	return AccountID(a), n
}

// ParseAccount checks an account name: 1..256 bytes of UTF-8, no '/', ':' or control characters.
func ParseAccount(s string) (AccountID, error) {
	if s == "" || len(s) > AccountMax || !utf8.ValidString(s) || strings.ContainsAny(s, "/:") || hasControl(s) {
		return "", errs.E("naming.ParseAccount", errs.Invalid, errs.Account, clip(s)).
			Because(errs.BadName, "an account name has 1 to 256 bytes of UTF-8 and no '/', ':' or control characters")
	}
	return AccountID(s), nil
}

// ParseObject checks an object name.
func ParseObject(s string) (ObjectName, error) {
	switch {
	case len(s) > ObjectNameMax:
		return "", errs.E("naming.ParseObject", errs.Invalid, errs.Object, clip(s)).
			Because(errs.NameTooLong, "an object name has at most 1024 bytes")
	case s == "" || !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0:
		return "", errs.E("naming.ParseObject", errs.Invalid, errs.Object, clip(s)).
			Because(errs.BadName, "an object name is not empty, is UTF-8 and has no NUL")
	}
	return ObjectName(s), nil
}

// ParseContainer checks a container name.
func ParseContainer(s string) (ContainerName, error) {
	switch {
	case len(s) > ContainerNameMax:
		return "", errs.E("naming.ParseContainer", errs.Invalid, errs.Container, clip(s)).
			Because(errs.NameTooLong, "a container name has at most 256 bytes")
	case s == "" || !utf8.ValidString(s) || strings.ContainsAny(s, "/\x00"):
		return "", errs.E("naming.ParseContainer", errs.Invalid, errs.Container, clip(s)).
			Because(errs.BadName, "a container name is not empty, is UTF-8 and has no '/' and no NUL")
	}
	return ContainerName(s), nil
}

// ParseBucket checks a bucket name by S3's rules (S3 User Guide, "Bucket naming rules"): 3..63 characters of
// a-z, 0-9, '.', '-'; begins and ends with a letter or digit; no two dots in a row, no dot beside a dash; not an IPv4 address.
func ParseBucket(s string) (BucketName, error) {
	if !ValidBucket(s) {
		return "", errs.E("naming.ParseBucket", errs.Invalid, errs.Bucket, clip(s)).
			Because(errs.BadName, "a bucket name has 3 to 63 characters of a-z, 0-9, '.' and '-', begins and ends with a letter or digit, and is not an IP address")
	}
	return BucketName(s), nil
}

// ValidBucket reports whether s is a bucket name; see ParseBucket.
func ValidBucket(s string) bool {
	if len(s) < BucketNameMin || len(s) > BucketNameMax {
		return false
	}
	digits, dots := true, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && c != '.' && c != '-' {
			return false
		}
		if !alnum && (i == 0 || i == len(s)-1) {
			return false
		}
		if c == '.' {
			dots++
			if s[i-1] == '.' || s[i-1] == '-' {
				return false
			}
		}
		if c == '-' && s[i-1] == '.' {
			return false
		}
		if (c < '0' || c > '9') && c != '.' {
			digits = false
		}
	}
	return !digits || dots != 3
}

// After is the smallest name greater than every name that begins with prefix; ok is false when there is none
// (the prefix is empty or all 0xff). A delimiter listing seeks there to skip what lies under a common prefix.
func After(prefix string) (next string, ok bool) {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1}), true
		}
	}
	return "", false
}

func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// clip bounds a refused name before it goes into an error.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "?") + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
