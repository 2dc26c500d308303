package wire

import (
	"time"

	"pithos/internal/naming"
)

// Observation is what one request of a door did, for metrics.
type Observation struct {
	RequestID string
	Operation string // name of the route's row; "" when the request was refused before it found one
	Status    int
	Code      string // the protocol's error code, "" on success
	BytesIn   int64  // of the body, as the backend received them
	BytesOut  int64  // of the body
	Started   time.Time
	Duration  time.Duration
	User      naming.UserID
	Account   naming.AccountID
	Bucket    naming.BucketName
}
