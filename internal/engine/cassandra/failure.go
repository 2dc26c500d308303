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

// unknown reports whether a write that failed so may have happened all the same, or may happen yet. Only what the cluster has refused, or what never left, is
// certain; a connection that broke, in whatever words of the system, is not.
func unknown(err error) bool {
	var own *errs.Error
	var req gocql.RequestError
	switch {
	case err == nil, errors.As(err, &own),
		errors.Is(err, gocql.ErrNoConnections), errors.Is(err, gocql.ErrNoStreams), errors.Is(err, gocql.ErrUnavailable), errors.Is(err, gocql.ErrSessionClosed):
		return false
	case !errors.As(err, &req):
		return true
	}
	switch req.Code() {
	case gocql.ErrCodeUnavailable, gocql.ErrCodeOverloaded, gocql.ErrCodeBootstrapping, gocql.ErrCodeCredentials, gocql.ErrCodeSyntax, gocql.ErrCodeUnauthorized,
		gocql.ErrCodeInvalid, gocql.ErrCodeConfig, gocql.ErrCodeAlreadyExists, gocql.ErrCodeUnprepared:
		return false
	}
	return true
}

// transient reports whether the same request may succeed later.
func transient(err error) bool {
	var req gocql.RequestError
	if !errors.As(err, &req) {
		return true // the driver's own: no answer, a broken connection, a host that went away
	}
	switch req.Code() {
	case gocql.ErrCodeUnavailable, gocql.ErrCodeOverloaded, gocql.ErrCodeBootstrapping, gocql.ErrCodeReadTimeout, gocql.ErrCodeReadFailure,
		gocql.ErrCodeWriteTimeout, gocql.ErrCodeWriteFailure, gocql.ErrCodeCASWriteUnknown:
		return true
	}
	return false
}

// superseded reports whether the cluster says of a read that the outcome of a lightweight transaction is unknown.
func superseded(err error) bool {
	var late *gocql.RequestErrWriteTimeout
	var unsure *gocql.RequestErrCASWriteUnknown
	return errors.As(err, &late) && late.WriteType == "CAS" || errors.As(err, &unsure)
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
