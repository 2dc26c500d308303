package cassandra

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
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
	case unreadable(err):
		return errs.E(op, errs.Busy, errs.Store, "").With(err).Because("", "a Cassandra node failed to read what it has; the log names it")
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
	return failedFor(err, reason)
}

// failedFor reports whether a node failed a read for a reason; see the protocol's <reasonmap>.
func failedFor(err error, reason uint16) bool {
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

// refusal is the code with which a node refused a statement.
func refusal(err error) (code int, ok bool) {
	var req gocql.RequestError
	if !errors.As(err, &req) {
		return 0, false
	}
	return req.Code(), true
}

// unreadable reports whether a read failed because a node failed to read what it has: a file is damaged, or it gave a read up that took too long. Nodes that answer for the others do not ask another one instead.
func unreadable(err error) bool {
	const reason = 0 // UNKNOWN
	return errors.Is(err, errOwnFiles) || failedFor(err, reason)
}

// ailing are the nodes that failed to read what they have, and when that was last told.
type ailing struct {
	clock clock.Clock
	log   *slog.Logger // may be nil

	mu   sync.Mutex
	told map[string]time.Time // by address
}

// ailingTold is how often a node is told of.
const ailingTold = time.Minute

// observe tells the log of nodes that could not read what a statement asks for.
func (a *ailing) observe(st statement, err error) {
	var read *gocql.RequestErrReadFailure
	if a == nil || !unreadable(err) || !errors.As(err, &read) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	for host := range read.ErrorMap {
		if at, ok := a.told[host]; ok && now.Sub(at) < ailingTold {
			continue
		}
		if a.told == nil {
			a.told = map[string]time.Time{}
		}
		a.told[host] = now
		if a.log != nil {
			a.log.Error("a Cassandra node failed to read what it has: its own log says whether a file is damaged (docs/operations/repair.md) or it has too much to do", "node", host, "statement", st.cql)
		}
	}
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
