package block

import (
	"crypto/sha256"
	"math/bits"
)

// Root computes RootHash of ids that come one after another, in memory that grows with the logarithm of their number.
// The zero value has no ids.
type Root struct {
	n     uint64
	first ID
	full  [64]ID // full[k] is the root of a finished subtree of 2^k ids when bit k of n is set
}

// Add appends an id.
func (r *Root) Add(id ID) {
	if r.n == 0 {
		r.first = id
	}
	k := 0
	for ; r.n>>k&1 == 1; k++ {
		id = pairHash(r.full[k], id)
	}
	r.full[k] = id
	r.n++
}

// Sum is RootHash of the ids added so far.
func (r *Root) Sum() ID {
	switch r.n {
	case 0:
		return Empty
	case 1:
		return r.first
	}
	var (
		zero ID // root of a subtree of 2^k zero digests
		rest ID // root of the unfinished right edge at level k
		have bool
		top  = bits.Len64(r.n - 1)
	)
	for k := range top {
		finished := r.n>>k&1 == 1
		switch {
		case finished && have:
			rest = pairHash(r.full[k], rest)
		case finished:
			rest, have = pairHash(r.full[k], zero), true
		case have:
			rest = pairHash(rest, zero)
		}
		zero = pairHash(zero, zero)
	}
	if !have {
		return r.full[top]
	}
	return rest
}

func pairHash(a, b ID) ID {
	var pair [2 * sha256.Size]byte
	copy(pair[:], a[:])
	copy(pair[sha256.Size:], b[:])
	return sha256.Sum256(pair[:])
}
