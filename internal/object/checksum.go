package object

import (
	"crypto/sha1" // S3 offers SHA-1 as a checksum, not as a protection
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strconv"
	"strings"
)

// Algorithm names a checksum algorithm of S3, in S3's upper-case spelling.
type Algorithm string

// The checksum algorithms of S3 (S3 User Guide, "Checking object integrity").
const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
)

// Algorithms lists them all.
func Algorithms() []Algorithm { return []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256} }

// ParseAlgorithm reads a name in any case.
func ParseAlgorithm(s string) (Algorithm, bool) {
	a := Algorithm(strings.ToUpper(s))
	return a, a.Size() > 0
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	// nvme is CRC-64/NVME: polynomial 0xad93d23594c93659, reflected.
	nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)
)

// New makes a hash, nil for an unknown algorithm.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(castagnoli)
	case CRC64NVME:
		return crc64.New(nvme)
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	}
	return nil
}

// Size is the length of the raw checksum in bytes, 0 for an unknown algorithm.
func (a Algorithm) Size() int {
	switch a {
	case CRC32, CRC32C:
		return 4
	case CRC64NVME:
		return 8
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	}
	return 0
}

// Checksum is the checksum of an object or part. Composite ones are over the parts' checksums and are
// shown with "-N"; N is Parts.
type Checksum struct {
	Algorithm Algorithm
	Value     string // raw bytes
	Parts     int    // > 0: composite, over so many parts
}

// Encode is the checksum as S3 headers carry it: base64, with "-N" when composite.
func (c Checksum) Encode() string {
	s := base64.StdEncoding.EncodeToString([]byte(c.Value))
	if c.Parts > 0 {
		return s + "-" + strconv.Itoa(c.Parts)
	}
	return s
}

// Digests are the hashes of a received body.
type Digests struct {
	Size      int64
	MD5       [16]byte
	SHA256    [32]byte // of the payload as received; only when asked for
	Checksums []Checksum
}
