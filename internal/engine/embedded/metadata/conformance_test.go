package metadata

import (
	"context"
	"testing"

	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/store/meta"
	"pithos/internal/store/meta/metatest"
)

// TestConformance runs the suite of the contract, with the blobstore in the same log and elsewhere. What each subtest leaves
// must pass the check.
func TestConformance(t *testing.T) {
	for name, o := range map[string]Options{"shared log": {SharedLog: true}, "own log": {}} {
		t.Run(name, func(t *testing.T) {
			open := func(t *testing.T) meta.Store { return newBenchWith(t, o) }
			reopen := func(t *testing.T, s meta.Store) meta.Store {
				b, ok := s.(*bench)
				if !ok {
					t.Fatalf("a %T was not opened here", s)
				}
				b.reopen()
				return b
			}
			metatest.Run(t, open, metatest.Options{Reopen: reopen})
		})
	}
}

func (b *bench) check() {
	b.t.Helper()
	if err := Check(context.WithoutCancel(b.t.Context()), b.db, func(f fsck.Finding) { b.t.Error(f) }); err != nil {
		b.t.Error(err)
	}
}
