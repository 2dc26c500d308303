package object_test

import (
	"math/rand/v2"
	"testing"

	"pithos/internal/object"
)

func TestJoinedChecksumsEqualThatOfTheWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, a := range []object.Algorithm{object.CRC32, object.CRC32C, object.CRC64NVME} {
		for _, lengths := range [][]int{{}, {0}, {1}, {5, 0, 7}, {100, 100, 100, 3}, {65536, 1, 4095}} {
			whole, j := a.New(), object.Joiner{Algorithm: a}
			for _, n := range lengths {
				part := make([]byte, n)
				for i := range part {
					part[i] = byte(rng.Uint32())
				}
				whole.Write(part)
				h := a.New()
				h.Write(part)
				if !j.Add(string(h.Sum(nil)), int64(n)) {
					t.Fatalf("%s: part refused", a)
				}
			}
			if got, want := j.Sum(), string(whole.Sum(nil)); got != want {
				t.Errorf("%s of %v: %x, want %x", a, lengths, got, want)
			}
		}
	}
}

func TestOnlyLinearChecksumsJoin(t *testing.T) {
	j := object.Joiner{Algorithm: object.SHA256}
	if j.Add(string(make([]byte, 32)), 1) {
		t.Error("SHA-256 cannot be joined")
	}
	j = object.Joiner{Algorithm: object.CRC32}
	if j.Add("123", 1) {
		t.Error("a CRC32 has four bytes")
	}
}
