package wire

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"pithos/internal/errs"
)

// Sink counts the bytes of an answer's body and sends the status with the first one.
type Sink struct {
	W      http.ResponseWriter
	Status int
	N      int64 // bytes of the body
	Begun  bool  // the status is out
	// Within waits until n bytes more may go; nil: at once.
	Within func(n int) error
}

// Write implements io.Writer.
func (s *Sink) Write(p []byte) (int, error) {
	if s.Within != nil {
		if err := s.Within(len(p)); err != nil {
			return 0, err
		}
	}
	s.Begin()
	n, err := s.W.Write(p)
	s.N += int64(n)
	return n, err
}

// Begin sends the status, once.
func (s *Sink) Begin() {
	if !s.Begun {
		s.Begun = true
		s.W.WriteHeader(s.Status)
	}
}

// StatusOf is the status of a kind of error where a protocol has no word of its own for it. It covers every kind.
func StatusOf(k errs.Kind) int {
	//exhaustive:enforce
	switch k {
	case errs.Internal, errs.Corrupt:
		return http.StatusInternalServerError
	case errs.Invalid, errs.Canceled:
		return http.StatusBadRequest
	case errs.Unauthenticated:
		return http.StatusUnauthorized
	case errs.Denied:
		return http.StatusForbidden
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Exists, errs.NotEmpty, errs.Conflict:
		return http.StatusConflict
	case errs.Precondition:
		return http.StatusPreconditionFailed
	case errs.NotModified:
		return http.StatusNotModified
	case errs.Range:
		return http.StatusRequestedRangeNotSatisfiable
	case errs.TooLarge, errs.Quota:
		return http.StatusRequestEntityTooLarge
	case errs.Unsupported:
		return http.StatusNotImplemented
	case errs.Busy, errs.Ambiguous, errs.Closed:
		return http.StatusServiceUnavailable
	case errs.Full:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

// LogLevel is how loud a request is in the log: what the server did wrong is an error, what broke on the way or could not be served now a warning,
// everything else information. sendErr is why the answer could not be sent.
func LogLevel(status int, err, sendErr error) slog.Level {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errs.Is(err, errs.Canceled):
		return slog.LevelInfo
	case status >= http.StatusInternalServerError && status != http.StatusNotImplemented && status != http.StatusServiceUnavailable:
		return slog.LevelError
	case sendErr != nil, status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
