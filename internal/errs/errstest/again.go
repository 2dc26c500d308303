package errstest

import (
	"errors"
	"sync"
	"testing"

	"pithos/internal/errs"
)

// triesMost bounds how often a call without an answer is made again.
const triesMost = 1000

// Unanswered reports whether an error says that the store had no time: nothing was done (Busy), or nobody knows (Ambiguous). Stores on a network
// may say so at any time, most of all in races.
func Unanswered(err error) bool { return errs.Is(err, errs.Busy) || errs.Is(err, errs.Ambiguous) }

// Again makes a call that may be repeated until it is answered.
func Again(do func() error) (err error) {
	for range triesMost {
		if err = do(); !Unanswered(err) {
			break
		}
	}
	return err
}

// Done makes a call until it is answered or nobody knows what came of it: what is Busy was not done.
func Done(do func() error) (err error) {
	for range triesMost {
		if err = do(); !errs.Is(err, errs.Busy) {
			break
		}
	}
	return err
}

// Together runs n functions at once and ends the test with their errors.
func Together(t testing.TB, n int, fn func(i int) error) {
	t.Helper()
	failed := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { failed[i] = fn(i) })
	}
	wg.Wait()
	OK(t, errors.Join(failed...))
}
