// Package planted holds one fault for each lint rule that the project counts on. tools/lint runs the configuration on it and fails unless
// every line that says "want" is reported by the linter named there: a configuration that finds nothing is no proof of clean code.
package planted

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

type kind int

const (
	first kind = iota
	second
)

var state = 1

func init() { state++ } // want gochecknoinits

func name(k kind) string {
	//exhaustive:enforce
	switch k { // want exhaustive
	case first:
		return "first"
	default:
		return "?"
	}
}

func wrap(err error) error {
	return fmt.Errorf("wrap: %v", err) // want errorlint
}

func same(err error) bool {
	return err == os.ErrNotExist // want errorlint
}

func now() (time.Time, error) {
	return time.Now(), fmt.Errorf("at %v: %v", time.Now(), os.ErrClosed) // want errorlint forbidigo
}

func say() {
	fmt.Println("hello") // want forbidigo
}

func quit() {
	os.Exit(1) // want forbidigo
}

type carrier struct {
	ctx context.Context // want containedctx
}

func swapped(n int, ctx context.Context) int { // want revive
	<-ctx.Done()
	return n
}

var errShout = errors.New("Loud and wrong") // want staticcheck

func leak(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost", http.NoBody)
	if err != nil {
		return nil // want nilerr
	}
	response, err := http.DefaultClient.Do(request) // want bodyclose
	if err != nil {
		return err
	}
	_ = response.Status
	return nil
}

func dropped() {
	os.Remove("x") // want errcheck
}

func detached() error {
	_, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://localhost", http.NoBody) // want forbidigo
	return err
}

func bare() int { return int(second) } //nolint // want nolintlint

func twice(n int) int { return int(n) } // want unconvert unused
