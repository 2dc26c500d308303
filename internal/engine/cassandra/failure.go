package cassandra

import (
	"context"
	"errors"
	"strconv"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
)

// fail turns what the driver said into an error of the contracts. Errors that are such already pass.
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var own *errs.Error
	if errors.As(err, &own) {
		return errs.Wrap(op, errs.Internal, err)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errs.Wrap(op, errs.Canceled, err)
	case errors.Is(err, gocql.ErrSessionClosed):
		return errs.Wrap(op, errs.Closed, err)
	case transient(err):
		return errs.Wrap(op, errs.Busy, err)
	}
	return errs.Wrap(op, errs.Internal, err)
}

// unknown reports whether a write that failed so may have happened all the same.
func unknown(err error) bool {
	var cas *gocql.RequestErrCASWriteUnknown
	var write *gocql.RequestErrWriteTimeout
	var failed *gocql.RequestErrWriteFailure
	switch {
	case errors.As(err, &cas), errors.As(err, &write), errors.As(err, &failed):
		return true
	case errors.Is(err, gocql.ErrTimeoutNoResponse), errors.Is(err, gocql.ErrConnectionClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return true
	}
	return false
}

// transient reports whether the same request may succeed later.
func transient(err error) bool {
	if unknown(err) || errors.Is(err, gocql.ErrNoConnections) || errors.Is(err, gocql.ErrNoStreams) ||
		errors.Is(err, gocql.ErrUnavailable) {
		return true
	}
	var req gocql.RequestError
	if !errors.As(err, &req) {
		return true // the driver's own: a broken connection, a host that went away
	}
	switch req.Code() {
	case gocql.ErrCodeUnavailable, gocql.ErrCodeOverloaded, gocql.ErrCodeBootstrapping, gocql.ErrCodeReadTimeout, gocql.ErrCodeReadFailure:
		return true
	}
	return false
}

// tooManyTombstones reports whether a read failed because it met more tombstones than the cluster reads over. It will fail again.
func tooManyTombstones(err error) bool {
	const reason = 1 // READ_TOO_MANY_TOMBSTONES
	var read *gocql.RequestErrReadFailure
	if !errors.As(err, &read) {
		return false
	}
	for _, code := range read.ErrorMap {
		if code == reason {
			return true
		}
	}
	return false
}

// tombstonesWarned is how many tombstones the cluster warns of, 0 when it does not. The number stands before a word of its own.
func tombstonesWarned(warnings []string) int {
	most := 0
	for _, w := range warnings {
		before, _, ok := strings.Cut(w, " tombstone")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(before[strings.LastIndexByte(before, ' ')+1:])
		if err == nil {
			most = max(most, n)
		}
	}
	return most
}
