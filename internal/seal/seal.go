// Package seal encrypts the contents of objects and keeps the keys apart from
// them.
//
// # Keys
//
// Every version has an object key of its own, drawn at random. It encrypts the
// bytes and is itself kept encrypted ("wrapped") in the version's record, under
// a key that somebody else holds: the client (SSE-C), the key ring of this
// service (SSE-S3), or a key service (SSE-KMS). So a change of the outer key,
// and a copy, rewrites a record and never the bytes.
//
//	wrapping key = HKDF-SHA256(outer key, salt, "pithos object key 1")
//	wrapped      = AES-256-GCM(wrapping key, object key, additional data: mode, names of the keys, context, place)
//
// The place is the container and the name of the object: a record that is moved
// to another name does not open.
//
// # Streams
//
// The bytes of a PUT, and those of each part of a multipart upload, are one
// stream in the format DARE 2.0 (packages of 64 KiB, each authenticated with
// its place in the stream; the last one says so). A stream has a key of its own:
//
//	stream key = HKDF-SHA256(object key, salt of the stream, "pithos stream 1", number of the part)
//
// so packages, streams, parts and objects cannot take each other's place, and no
// pair of key and nonce is used twice. A version of several parts also carries an
// authenticated list of them.
//
// Nothing in this package logs. A Secret prints as "[secret]".
package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"

	"pithos/internal/errs"
)

// Mode says who holds the outer key.
type Mode uint8

// The modes. They are stored: never change one.
const (
	Plain    Mode = 0 // not encrypted
	Customer Mode = 1 // SSE-C: the client sends the key with every request
	Service  Mode = 2 // SSE-S3: a key of the service's key ring
	KMS      Mode = 3 // SSE-KMS: a key that never leaves a key service
)

// KeySize is the length of every key, in bytes.
const KeySize = 32

// Secret is a 256-bit key. However it is printed, logged or encoded, it shows as "[secret]".
type Secret [KeySize]byte

const hidden = "[secret]"

// NewSecret draws a key.
func NewSecret() (s Secret) {
	_, _ = rand.Read(s[:]) // crypto/rand.Read never fails (Go 1.24)
	return s
}

// String hides the key.
func (s Secret) String() string { return hidden }

// Format hides the key from every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue hides the key from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the key from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Equal compares in constant time.
func (s Secret) Equal(o Secret) bool { return subtle.ConstantTimeCompare(s[:], o[:]) == 1 }

// derive makes a key for one purpose out of another.
func derive(from Secret, salt []byte, purpose string) (s Secret) {
	raw, err := hkdf.Key(sha256.New, from[:], salt, purpose, KeySize)
	if err != nil { // only when more than 255 hashes are asked for
		panic("seal: " + err.Error())
	}
	copy(s[:], raw)
	return s
}

// saltSize is the length of salts, in bytes: long enough that a random one never comes twice.
const saltSize = 32

func newSalt() []byte {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // crypto/rand.Read never fails (Go 1.24)
	return salt
}

// The errors of this package, besides what key services return.

// errRecord: the record is not one, or was written by a newer version.
func errRecord() error { return errs.E("seal.Open", errs.Corrupt, errs.Version, "") }

// errTampered: bytes, or what is said of them, are not those that were sealed.
func errTampered() error {
	return errs.E("seal.Read", errs.Corrupt, errs.Version, "").Because("", "the encrypted data was changed")
}

// KeyRequired says that the version can only be read with the key that its writer brought.
func KeyRequired() error {
	return errs.E("seal.Open", errs.Invalid, errs.Request, "").Because(errs.KeyRequired,
		"The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
}

// KeyUnwanted says that a key was brought for a version that was not encrypted with one.
func KeyUnwanted() error {
	return errs.E("seal.Open", errs.Invalid, errs.Request, "").Because(errs.KeyUnwanted,
		"The encryption parameters are not applicable to this object.")
}

func keyMismatch() error {
	return errs.E("seal.Open", errs.Invalid, errs.Request, "").Because(errs.KeyMismatch,
		"The provided encryption parameters did not match the ones used originally.")
}

// KeyLost says that a key of the ring or of the key service, without which a version cannot be read, is not there.
func KeyLost(id string) *errs.Error {
	return errs.E("seal.Open", errs.Internal, errs.SealKey, id).Because(errs.KeyLost, "The key with which the object was encrypted is not available.")
}

// NoKey says that a key that a writer named does not exist.
func NoKey(id string) *errs.Error {
	return errs.E("seal.New", errs.NotFound, errs.SealKey, id).Because("", "The encryption key that the request names does not exist.")
}
