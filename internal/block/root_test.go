package block_test

import (
	"testing"

	"pithos/internal/block"
)

func TestRootOfASequenceIsTheRootHash(t *testing.T) {
	var (
		root block.Root
		ids  []block.ID
	)
	for n := range 140 {
		if got, want := root.Sum(), block.RootHash(ids); got != want {
			t.Fatalf("%d ids: %s, want %s", n, got, want)
		}
		id := block.Sum([]byte{byte(n + 1)})
		root.Add(id)
		ids = append(ids, id)
	}
}
