package object

import (
	"encoding/binary"
	"hash/crc32"
)

// Linear reports whether checksums of parts can be joined to the checksum of the whole without its bytes: the CRCs can.
func (a Algorithm) Linear() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

// Joiner computes the checksum of parts laid end to end from their checksums. The zero value with Algorithm set is that of no bytes.
//
// A CRC is a remainder of polynomials over GF(2): appending n bytes multiplies what came before by x^8n, and the rest adds up.
type Joiner struct {
	Algorithm Algorithm
	crc       uint64

	length int64  // for which shift holds; parts mostly have one size
	shift  uint64 // x^(8*length) modulo the polynomial
}

// Add appends a part of length bytes with a raw checksum. It reports false when the checksum does not fit the algorithm.
func (j *Joiner) Add(raw string, length int64) bool {
	if !j.Algorithm.Linear() || len(raw) != j.Algorithm.Size() {
		return false
	}
	var b [8]byte
	copy(b[8-len(raw):], raw)
	next := binary.BigEndian.Uint64(b[:])
	if length != j.length || j.shift == 0 {
		j.length, j.shift = length, j.power(length)
	}
	j.crc = j.times(j.shift, j.crc) ^ next
	return true
}

// Sum is the raw checksum of all parts so far.
func (j *Joiner) Sum() string {
	b := binary.BigEndian.AppendUint64(nil, j.crc)
	return string(b[8-j.Algorithm.Size():])
}

// poly is the reflected polynomial and its degree.
func (j *Joiner) poly() (p uint64, degree int) {
	switch j.Algorithm {
	case CRC32:
		return crc32.IEEE, 32
	case CRC32C:
		return crc32.Castagnoli, 32
	default:
		return 0x9a6c9329ac4bc9b5, 64
	}
}

// power is x^(8n) modulo the polynomial. In the reflected form the highest bit is x^0.
func (j *Joiner) power(n int64) uint64 {
	_, degree := j.poly()
	result := uint64(1) << (degree - 1)
	for square := uint64(1) << (degree - 1 - 8); n > 0; n >>= 1 {
		if n&1 == 1 {
			result = j.times(square, result)
		}
		square = j.times(square, square)
	}
	return result
}

// times is a*b modulo the polynomial.
func (j *Joiner) times(a, b uint64) uint64 {
	p, degree := j.poly()
	var product uint64
	for bit := uint64(1) << (degree - 1); bit != 0 && a != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
			a &^= bit
		}
		if b&1 == 1 {
			b = b>>1 ^ p
		} else {
			b >>= 1
		}
	}
	return product
}
