package metadata

import (
	"encoding/binary"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/errs"
	"pithos/internal/store/meta"
)

// Merger is the merger that a Pebble with a metastore in it must be opened with. It adds lists of signed integers (zig-zag varints)
// element by element; a shorter list stands for one with zeros at its end. Counters are changed by merging a difference, so that
// writers of one container need not read them and need not wait for each other.
func Merger() *pebble.Merger {
	return &pebble.Merger{
		Name: "pithos.sum",
		Merge: func(_, value []byte) (pebble.ValueMerger, error) {
			s := new(sum)
			return s, s.add(value)
		},
	}
}

// sum adds operands. Addition is commutative, so newer and older are the same to it.
type sum struct{ of []int64 }

func (s *sum) add(operand []byte) error {
	for i := 0; len(operand) > 0; i++ {
		n, size := binary.Varint(operand)
		if size <= 0 {
			return errs.E("metadata.Merger", errs.Corrupt, errs.Store, "")
		}
		if i == len(s.of) {
			s.of = append(s.of, 0)
		}
		s.of[i] += n
		operand = operand[size:]
	}
	return nil
}

func (s *sum) MergeNewer(operand []byte) error { return s.add(operand) }
func (s *sum) MergeOlder(operand []byte) error { return s.add(operand) }

func (s *sum) Finish(bool) ([]byte, io.Closer, error) { return appendSum(nil, s.of...), nil, nil }

// appendSum writes a list without the zeros at its end.
func appendSum(dst []byte, of ...int64) []byte {
	for len(of) > 0 && of[len(of)-1] == 0 {
		of = of[:len(of)-1]
	}
	for _, n := range of {
		dst = binary.AppendVarint(dst, n)
	}
	return dst
}

func appendUsage(dst []byte, u meta.Usage) []byte {
	return appendSum(dst, u.Objects, u.Bytes, u.Versions, u.Stored, u.UploadParts, u.UploadBytes)
}

func parseUsage(raw []byte) (meta.Usage, error) {
	var s sum
	if err := s.add(raw); err != nil {
		return meta.Usage{}, err
	}
	var f [6]int64
	copy(f[:], s.of)
	return meta.Usage{Objects: f[0], Bytes: f[1], Versions: f[2], Stored: f[3], UploadParts: f[4], UploadBytes: f[5]}, nil
}
