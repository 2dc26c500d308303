package keyring

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"

	"pithos/internal/errs"
	"pithos/internal/seal"
)

// Service is a key service whose keys are those of a ring, by name. It implements seal.KeyService.
type Service struct{ ring *Ring }

// NewService makes a key service of a ring.
func NewService(r *Ring) *Service { return &Service{ring: r} }

// A wrapped data key: a byte with the version, the salt of the key that wraps it, ciphertext and tag. The key is used once, so its nonce is fixed.
const (
	blobVersion = 1
	saltSize    = 32
)

// Generate implements seal.KeyService.
func (s *Service) Generate(ctx context.Context, name string, encryptionContext []byte) (seal.Secret, []byte, error) {
	master, err := s.ring.Find(ctx, name)
	if err != nil {
		return seal.Secret{}, nil, err
	}
	key := seal.NewSecret()
	blob := make([]byte, 1+saltSize, 1+saltSize+seal.KeySize+16)
	blob[0] = blobVersion
	_, _ = rand.Read(blob[1:]) // crypto/rand.Read never fails (Go 1.24)
	aead, err := wrapping(master, blob[1:])
	if err != nil {
		return seal.Secret{}, nil, err
	}
	return key, aead.Seal(blob, make([]byte, aead.NonceSize()), key[:], bound(name, encryptionContext)), nil
}

// Unwrap implements seal.KeyService.
func (s *Service) Unwrap(ctx context.Context, name string, blob, encryptionContext []byte) (seal.Secret, error) {
	master, err := s.ring.Find(ctx, name)
	if err != nil {
		return seal.Secret{}, err
	}
	if len(blob) < 1+saltSize || blob[0] != blobVersion {
		return seal.Secret{}, errs.E("keyring.Unwrap", errs.Corrupt, errs.SealKey, name)
	}
	aead, err := wrapping(master, blob[1:1+saltSize])
	if err != nil {
		return seal.Secret{}, err
	}
	raw, err := aead.Open(nil, make([]byte, aead.NonceSize()), blob[1+saltSize:], bound(name, encryptionContext))
	if err != nil || len(raw) != seal.KeySize {
		return seal.Secret{}, errs.E("keyring.Unwrap", errs.Corrupt, errs.SealKey, name)
	}
	return seal.Secret(raw), nil
}

func wrapping(master seal.Secret, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, master[:], salt, "pithos data key 1", seal.KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func bound(name string, encryptionContext []byte) []byte {
	return bytes.Join([][]byte{[]byte(name), encryptionContext}, []byte{0}) // names have no zero byte
}
