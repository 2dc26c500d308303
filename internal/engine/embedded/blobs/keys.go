package blobs

import (
	"encoding/binary"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/segment"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// First bytes of the keys.
const (
	prefixBlock     = 0x40
	prefixRef       = 0x41
	prefixHeld      = 0x42
	prefixCandidate = 0x43
	prefixDamaged   = 0x44
	prefixTally     = 0x45
)

const (
	idLen     = len(block.ID{})
	holderLen = len(block.Holder{})
)

func idKey(dst []byte, prefix byte, id block.ID) []byte {
	return append(append(dst[:0], prefix), id[:]...)
}

// idOf reads the id at the end of a key that idKey made.
func idOf(key []byte) (id block.ID, ok bool) {
	if len(key) != 1+idLen {
		return id, false
	}
	copy(id[:], key[1:])
	return id, true
}

func appendAccount(dst []byte, account naming.AccountID) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(account)))
	return append(dst, account...)
}

// refKey is the forward form of a reference; its beginning, without the holder, covers all references of an account on a block.
func refKey(dst []byte, id block.ID, h blob.Hold) []byte {
	dst = appendAccount(idKey(dst, prefixRef, id), h.Account)
	return append(dst, h.Holder[:]...)
}

func heldKey(dst []byte, h blob.Hold, id block.ID) []byte {
	dst = append(append(dst[:0], prefixHeld), h.Holder[:]...)
	return append(appendAccount(dst, h.Account), id[:]...)
}

// parseRef reads what refKey wrote.
func parseRef(key []byte) (id block.ID, h blob.Hold, ok bool) {
	if len(key) < 1+idLen+2+holderLen || key[0] != prefixRef {
		return id, h, false
	}
	copy(id[:], key[1:])
	rest := key[1+idLen:]
	n := int(binary.BigEndian.Uint16(rest))
	if len(rest) != 2+n+holderLen {
		return id, h, false
	}
	h.Account = naming.AccountID(rest[2 : 2+n])
	copy(h.Holder[:], rest[2+n:])
	return id, h, true
}

// parseHeld reads what heldKey wrote.
func parseHeld(key []byte) (id block.ID, h blob.Hold, ok bool) {
	if len(key) < 1+holderLen+2+idLen || key[0] != prefixHeld {
		return id, h, false
	}
	copy(h.Holder[:], key[1:])
	rest := key[1+holderLen:]
	n := int(binary.BigEndian.Uint16(rest))
	if len(rest) != 2+n+idLen {
		return id, h, false
	}
	h.Account = naming.AccountID(rest[2 : 2+n])
	copy(id[:], rest[2+n:])
	return id, h, true
}

// after is the smallest key behind all keys that begin with prefix; nil when there is none.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// Kinds of block rows.
const (
	kindPacked = 1
	kindInline = 2
)

const (
	rowFixed     = 1 + 8        // kind and time
	inlineHeader = rowFixed + 4 // what stands before the data of an inline row
	// packedMax bounds a packed row; what is longer is inline.
	packedMax = rowFixed + 2*10 + 5 + 4*(block.SizeMax/segment.ChunkSize)
)

// row is a row of the index.
type row struct {
	kind     byte
	storedAt int64 // unix nanoseconds
	place    segment.Place
	sum      uint32 // of data
	data     []byte // kindInline
}

func (r row) length() int64 {
	if r.kind == kindInline {
		return int64(len(r.data))
	}
	return int64(r.place.Length)
}

// tally is what the row adds to the sums of its pack, and which pack that is.
func (r row) tally() (pack uint64, t Tally) {
	if r.kind == kindInline {
		return 0, Tally{1, int64(len(r.data)), int64(len(r.data))}
	}
	return r.place.Pack, Tally{1, int64(r.place.Length), r.place.RecordLen()}
}

func appendRow(dst []byte, r row) []byte {
	dst = append(dst, r.kind)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.storedAt))
	if r.kind == kindPacked {
		return segment.AppendPlace(dst, r.place)
	}
	dst = binary.LittleEndian.AppendUint32(dst, r.sum)
	return append(dst, r.data...)
}

// parseRow reads what appendRow wrote. Slices of the row lie in raw. The sum of inline data is not verified here.
func parseRow(raw []byte) (r row, err error) {
	if len(raw) < rowFixed {
		return r, badRow()
	}
	r.kind, r.storedAt = raw[0], int64(binary.BigEndian.Uint64(raw[1:]))
	rest := raw[rowFixed:]
	switch r.kind {
	case kindPacked:
		var ok bool
		if r.place, ok = segment.ParsePlace(rest); !ok {
			return r, badRow()
		}
	case kindInline:
		if len(rest) <= 4 {
			return r, badRow()
		}
		r.sum, r.data = binary.LittleEndian.Uint32(rest), rest[4:]
	default:
		return r, badRow()
	}
	return r, nil
}

func badRow() error { return errs.E("blobs.parseRow", errs.Corrupt, errs.Block, "") }
