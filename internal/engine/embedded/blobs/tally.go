package blobs

import (
	"encoding/binary"

	"pithos/internal/errs"
)

// Tally sums up the block rows that lie in one pack.
type Tally struct {
	Blocks int64
	Bytes  int64 // of data
	Space  int64 // of records: what the pack would have to be at least
}

func (t Tally) add(o Tally) Tally {
	return Tally{t.Blocks + o.Blocks, t.Bytes + o.Bytes, t.Space + o.Space}
}

func (t Tally) neg() Tally { return Tally{-t.Blocks, -t.Bytes, -t.Space} }

func tallyKey(pack uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixTally}, pack)
}

func appendTally(dst []byte, t Tally) []byte {
	for _, v := range [...]int64{t.Blocks, t.Bytes, t.Space} {
		dst = binary.AppendVarint(dst, v)
	}
	return dst
}

// parseTally reads a list of up to three numbers; missing ones are zero.
func parseTally(raw []byte) (Tally, error) {
	var f [3]int64
	for i := 0; len(raw) > 0; i++ {
		v, n := binary.Varint(raw)
		if n <= 0 || i == len(f) {
			return Tally{}, errs.E("blobs.parseTally", errs.Corrupt, errs.Store, "")
		}
		f[i], raw = v, raw[n:]
	}
	return Tally{f[0], f[1], f[2]}, nil
}
