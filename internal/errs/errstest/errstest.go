// Package errstest checks errors in tests by kind and thing, never by text.
package errstest

import (
	"errors"
	"testing"

	"pithos/internal/errs"
)

// OK ends the test when err is not nil.
func OK(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// Want ends the test unless err is of the kind and about the thing.
func Want(t testing.TB, err error, kind errs.Kind, thing errs.Thing) {
	t.Helper()
	if !errs.IsThing(err, kind, thing) {
		t.Fatalf("got error %v, want %q of %q", err, kind, thing)
	}
}

// Closed ends the test unless err says that the store was closed.
func Closed(t testing.TB, op string, err error) {
	t.Helper()
	if !errs.Is(err, errs.Closed) {
		t.Errorf("%s on a closed store: got error %v, want %q", op, err, errs.Closed)
	}
}

// Same ends the test unless got is, or wraps, want.
func Same(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}
