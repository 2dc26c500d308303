package segment

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"pithos/internal/block"
)

// Sizes of the format, in bytes.
const (
	ChunkSize     = 64 << 10 // bytes under one checksum
	packHeaderLen = 32
	PackOverhead  = packHeaderLen // of a pack besides its records
	recordFixed   = 48            // header before the sums
	alignment     = 8
	version       = 1
	maxHeaderLen  = recordFixed + 4*(block.SizeMax/ChunkSize) + 4
)

const (
	packMagic   = "PITHPACK"
	recordMagic = "\xf1Pblock\x1a"
)

// castagnoli is never written after it is made.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC32C of data.
func Checksum(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// chunks is the number of checksums that n bytes have.
func chunks(n int64) int { return int((n + ChunkSize - 1) / ChunkSize) }

// Sums are the CRC32Cs of the chunks of a block, 4 bytes each, little endian. They stay in the form in which they are stored, so
// that a read needs no allocation for them.
type Sums []byte

// SumsOf computes the checksums of data.
func SumsOf(data []byte) Sums {
	sums := make(Sums, 0, 4*chunks(int64(len(data))))
	for len(data) > 0 {
		n := min(ChunkSize, len(data))
		sums = binary.LittleEndian.AppendUint32(sums, Checksum(data[:n]))
		data = data[n:]
	}
	return sums
}

// match tells whether chunk has the i-th checksum.
func (s Sums) match(i int, chunk []byte) bool {
	return binary.LittleEndian.Uint32(s[4*i:]) == Checksum(chunk)
}

func headerLen(length int64) int64 { return recordFixed + 4*int64(chunks(length)) + 4 }

// recordLen is the space that a record of so many bytes of data takes.
func recordLen(length int64) int64 {
	n := headerLen(length) + length
	return (n + alignment - 1) &^ (alignment - 1)
}

func encodePackHeader(number uint64) []byte {
	h := make([]byte, packHeaderLen)
	copy(h, packMagic)
	binary.LittleEndian.PutUint32(h[8:], version)
	binary.LittleEndian.PutUint64(h[16:], number)
	binary.LittleEndian.PutUint32(h[24:], Checksum(h[:24]))
	return h
}

// validPackHeader tells whether h is the header of the pack with this number in a version that this program knows.
func validPackHeader(h []byte, number uint64) bool {
	return len(h) >= packHeaderLen && string(h[:8]) == packMagic &&
		binary.LittleEndian.Uint32(h[24:]) == Checksum(h[:24]) &&
		binary.LittleEndian.Uint32(h[8:]) == version && binary.LittleEndian.Uint64(h[16:]) == number
}

func headerSum(h []byte, pack uint64, offset int64) uint32 {
	var place [16]byte
	binary.LittleEndian.PutUint64(place[:], pack)
	binary.LittleEndian.PutUint64(place[8:], uint64(offset))
	return crc32.Update(Checksum(h), castagnoli, place[:])
}

// appendRecordHeader appends the header of the record that lies at place.
func appendRecordHeader(dst []byte, id block.ID, place Place) []byte {
	start := len(dst)
	dst = append(dst, recordMagic...)
	dst = append(dst, id[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, place.Length)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = append(dst, place.Sums...)
	return binary.LittleEndian.AppendUint32(dst, headerSum(dst[start:], place.Pack, place.Offset))
}

// Record is what a record's header says.
type Record struct {
	ID    block.ID
	Place Place
}

// parseRecordHeader reads the header at the start of h, which lies at offset of the pack. ok is false when there is none, or a
// damaged one, or when h is too short for it.
func parseRecordHeader(h []byte, pack uint64, offset int64) (r Record, ok bool) {
	if len(h) < recordFixed || string(h[:8]) != recordMagic {
		return r, false
	}
	length := binary.LittleEndian.Uint32(h[40:])
	if length == 0 || length > block.SizeMax || binary.LittleEndian.Uint32(h[44:]) != 0 {
		return r, false
	}
	n := headerLen(int64(length))
	if int64(len(h)) < n || binary.LittleEndian.Uint32(h[n-4:]) != headerSum(h[:n-4], pack, offset) {
		return r, false
	}
	copy(r.ID[:], h[8:40])
	r.Place = Place{Pack: pack, Offset: offset, Length: length, Sums: Sums(bytes.Clone(h[recordFixed : n-4]))}
	return r, true
}

// Place is where a block's bytes lie, and their checksums: all that is needed to read and verify any part of them with one access.
type Place struct {
	Pack   uint64
	Offset int64 // of the record
	Length uint32
	Sums   Sums
}

// Same tells whether p and o are the same record.
func (p Place) Same(o Place) bool { return p.Pack == o.Pack && p.Offset == o.Offset }

// dataAt is the offset in the pack where the data begins.
func (p Place) dataAt() int64 { return p.Offset + headerLen(int64(p.Length)) }

// RecordLen is the space that the record takes in its pack.
func (p Place) RecordLen() int64 { return recordLen(int64(p.Length)) }

// AppendPlace appends p in the form that rows of the index have.
func AppendPlace(dst []byte, p Place) []byte {
	dst = binary.AppendUvarint(dst, p.Pack)
	dst = binary.AppendUvarint(dst, uint64(p.Offset))
	dst = binary.AppendUvarint(dst, uint64(p.Length))
	return append(dst, p.Sums...)
}

// ParsePlace reads what AppendPlace wrote; ok is false when raw is not that. The sums of p lie in raw.
func ParsePlace(raw []byte) (p Place, ok bool) {
	var fields [3]uint64
	for i := range fields {
		v, n := binary.Uvarint(raw)
		if n <= 0 {
			return p, false
		}
		fields[i], raw = v, raw[n:]
	}
	if fields[1] > 1<<62 || fields[2] == 0 || fields[2] > block.SizeMax || len(raw) != 4*chunks(int64(fields[2])) {
		return p, false
	}
	return Place{Pack: fields[0], Offset: int64(fields[1]), Length: uint32(fields[2]), Sums: Sums(raw)}, true
}
