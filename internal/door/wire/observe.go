package wire

import (
	"context"
	"log/slog"
	"net/http"
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

// Log writes the log line of a request. err is why it was refused or failed, sendErr why the answer could not be sent; place says where the request went,
// and asked, which is only called of failures, what it asked for, without credentials.
func (ob *Observation) Log(ctx context.Context, log *slog.Logger, door string, r *http.Request, err, sendErr error, asked func() []slog.Attr, place ...slog.Attr) {
	if sendErr != nil {
		err = sendErr
	}
	level := LogLevel(ob.Status, err, sendErr)
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("request", ob.RequestID), slog.String("operation", ob.Operation), slog.Int("status", ob.Status), slog.String("user", string(ob.User)))
	attrs = append(attrs, place...)
	attrs = append(attrs,
		slog.String("remote", r.RemoteAddr), slog.Int64("in", ob.BytesIn), slog.Int64("out", ob.BytesOut), slog.Duration("time", ob.Duration))
	if subject := ClientCertificate(r); subject != "" {
		attrs = append(attrs, slog.String("certificate", subject))
	}
	if err != nil {
		attrs = append(append(attrs, asked()...), slog.String("error", err.Error()))
	}
	log.LogAttrs(ctx, level, door, attrs...) //nolint:sloglint // the message is the name of the door
}
