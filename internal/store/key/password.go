package key

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"pithos/internal/errs"
)

// PasswordMax is the longest password accepted, in bytes.
const PasswordMax = 1024

// Cost is how much work a password hash takes.
type Cost uint8

// The costs. CostStored is OWASP's recommendation for argon2id (19 MiB, 2 passes) and protects hashes on disk. CostHeld is the
// cheapest that the algorithm knows: for a password whose plain text stands in the configuration file anyway.
const (
	CostStored Cost = iota
	CostHeld
)

func (c Cost) params() (memoryKiB, passes uint32) {
	if c == CostHeld {
		return 8, 1
	}
	return 19 * 1024, 2
}

// The most that CheckPassword spends on a hash, so that a damaged or foreign record cannot exhaust the machine.
const (
	maxMemoryKiB = 256 * 1024
	maxPasses    = 16
)

const (
	saltLen = 16
	hashLen = 32
)

// HashPassword makes what User.PasswordHash keeps: argon2id in the PHC string format (RFC 9106; github.com/P-H-C/phc-string-format).
// Invalid when the password is empty or over PasswordMax.
func HashPassword(password string, c Cost) (string, error) {
	if password == "" || len(password) > PasswordMax {
		return "", errs.E("key.HashPassword", errs.Invalid, errs.User, "").
			Because(errs.BadState, "a password has 1 to 1024 bytes")
	}
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // crypto/rand.Read never fails (Go 1.24)
	memory, passes := c.params()
	sum := argon2.IDKey([]byte(password), salt, passes, memory, 1, hashLen)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, memory, passes, enc.EncodeToString(salt), enc.EncodeToString(sum)), nil
}

// CheckPassword reports whether the password is the one that hash was made of. An empty or unreadable hash matches nothing.
func CheckPassword(password, hash string) bool {
	f := strings.Split(hash, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || len(password) > PasswordMax {
		return false
	}
	var version int
	var memory, passes uint32
	var lanes uint8
	if _, err := fmt.Sscanf(f[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil {
		return false
	}
	if memory > maxMemoryKiB || passes == 0 || passes > maxPasses || lanes == 0 {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(f[4])
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(f[5])
	if err != nil || len(want) < 16 || len(want) > 64 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}
