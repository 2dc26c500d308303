// Package block has the vocabulary of stored bytes: block ids, references,
// block maps, root hashes and holders.
//
// An object's bytes are cut into blocks. A block is named by the SHA-256 of its
// bytes after all trailing zero bytes are stripped (Pithos+ 1.2), so a block of
// zeros has the hash of the empty string and is never stored. Its length is not
// part of its identity: it stands in the map entry (Ref.Len), and reading
// extends the stored bytes with zeros to that length.
package block

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"pithos/internal/errs"
)

// Sizes of blocks, in bytes.
const (
	SizeDefault = 4 << 20 // block size unless the container says otherwise
	SizeMin     = 1 << 10
	SizeMax     = 16 << 20
)

// ID names a block: SHA-256 of its stripped bytes. Comparable, usable as a map key.
type ID [sha256.Size]byte

// Empty is the id of the block of zeros, of whatever length. It always exists and is never stored.
var Empty = ID(sha256.Sum256(nil))

// String is the id in 64 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Compare orders ids by their bytes.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// ParseID reads 64 hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return id, errs.E("block.ParseID", errs.Invalid, errs.Block, "").Because(errs.BadName, "a block hash has 64 hexadecimal digits")
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, errs.E("block.ParseID", errs.Invalid, errs.Block, "").Because(errs.BadName, "a block hash has 64 hexadecimal digits")
	}
	return id, nil
}

// Strip cuts all trailing zero bytes off data, without copying.
func Strip(data []byte) []byte {
	n := len(data)
	for n >= 8 && binary.LittleEndian.Uint64(data[n-8:n]) == 0 {
		n -= 8
	}
	for n > 0 && data[n-1] == 0 {
		n--
	}
	return data[:n]
}

// Sum names the block that holds data. It strips data itself.
func Sum(data []byte) ID { return sha256.Sum256(Strip(data)) }

// Ref is one entry of a block map: a block and how many bytes it stands for (>= its stored length; the rest are zeros).
type Ref struct {
	ID  ID
	Len int64
}

// Holder is who holds references on blocks: a fresh id for every upload, copy or lease, never used twice.
// Versions and parts name the holder of their blocks; when none names it any more, its references are released.
type Holder [16]byte

// NewHolder draws a random holder.
func NewHolder() Holder {
	var h Holder
	_, _ = rand.Read(h[:]) // crypto/rand.Read never fails (Go 1.24)
	return h
}

// IsZero reports whether h names nobody: an object without stored blocks needs no holder.
func (h Holder) IsZero() bool { return h == Holder{} }

// String is the holder in 32 hexadecimal digits.
func (h Holder) String() string { return hex.EncodeToString(h[:]) }

// Map is the ordered list of blocks that make up a version's bytes.
//
// A short map (Depth 0) has its entries in Refs. A long one is a tree: Refs
// name map blocks, stored like any other block and held by the same holder;
// a map block at depth 1 holds data entries, at depth n entries of depth n-1.
// A Ref's Len at any depth is the number of the object's bytes below it, so a
// range read descends only into what it needs. Entries may have any length
// ("ragged", after multipart); a uniform map is one whose entries all have the
// block size except the last.
type Map struct {
	Depth uint8
	Refs  []Ref
	// Kept is the stripped bytes of the only block, where they are kept with the map: no blobstore has them, and no holder holds them. Nil: they
	// are not.
	Kept []byte
}

// Limits of maps.
const (
	InlineMax = 64   // entries in a version's record; more make a tree
	FanOut    = 4096 // entries of one map block
	EntrySize = sha256.Size + 8
)

// Size is the number of bytes that the map stands for.
func (m Map) Size() int64 {
	var n int64
	for _, r := range m.Refs {
		n += r.Len
	}
	return n
}

// AppendEntries writes refs in the form that map blocks have: 32 bytes of id, 8 bytes of length, big endian, each.
func AppendEntries(dst []byte, refs []Ref) []byte {
	for _, r := range refs {
		dst = append(dst, r.ID[:]...)
		dst = binary.BigEndian.AppendUint64(dst, uint64(r.Len))
	}
	return dst
}

// ParseEntries reads what AppendEntries wrote. Since stored blocks lose trailing zeros, raw must have been extended
// to its full length before; a length that is no multiple of EntrySize, or a negative entry, is Corrupt.
func ParseEntries(raw []byte) ([]Ref, error) {
	if len(raw)%EntrySize != 0 {
		return nil, errs.E("block.ParseEntries", errs.Corrupt, errs.Block, "")
	}
	refs := make([]Ref, len(raw)/EntrySize)
	for i := range refs {
		e := raw[i*EntrySize:]
		copy(refs[i].ID[:], e)
		refs[i].Len = int64(binary.BigEndian.Uint64(e[sha256.Size:]))
		if refs[i].Len < 0 {
			return nil, errs.E("block.ParseEntries", errs.Corrupt, errs.Block, "")
		}
	}
	return refs, nil
}

// RootHash is the Merkle root over block ids (Pithos+ 1.3): no entries give the hash of the empty string, one entry
// itself; otherwise the list is filled with zero digests to a power of two and neighbours are hashed together until one is left.
func RootHash(ids []ID) ID {
	switch len(ids) {
	case 0:
		return Empty
	case 1:
		return ids[0]
	}
	p := 2
	for p < len(ids) {
		p *= 2
	}
	level := make([]ID, p)
	copy(level, ids)
	var pair [2 * sha256.Size]byte
	for len(level) > 1 {
		for i := 0; i < len(level); i += 2 {
			copy(pair[:], level[i][:])
			copy(pair[sha256.Size:], level[i+1][:])
			level[i/2] = sha256.Sum256(pair[:])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}
