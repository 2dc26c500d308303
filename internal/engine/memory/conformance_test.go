package memory

import (
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/store/blob"
	"pithos/internal/store/blob/blobtest"
)

func TestBlobs(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	blobtest.Run(t, func(*testing.T) blob.Store { return NewBlobs(c) }, blobtest.Options{Clock: c})
}
