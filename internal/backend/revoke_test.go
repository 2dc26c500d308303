package backend_test

import (
	"fmt"
	"testing"
	"time"

	"pithos/internal/backend"
	"pithos/internal/naming"
)

func TestRevokedTokens(t *testing.T) {
	w := newWorld(t)
	const user = naming.UserID("alice:admin")
	issued := w.clock.Now()
	w.clock.Advance(time.Second)
	ended := func(b *backend.Backend, user naming.UserID, token string) bool {
		t.Helper()
		is, err := b.Revoked(t.Context(), user, token, issued)
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	end := func(token string, life time.Duration) {
		t.Helper()
		if err := w.RevokeToken(t.Context(), user, token, w.clock.Now().Add(life)); err != nil {
			t.Fatal(err)
		}
	}
	if ended(w.Backend, user, "one") {
		t.Error("ended before anybody ended it")
	}
	end("one", time.Minute)
	other := backend.New(w.stores, backend.Options{Clock: w.clock})
	for _, b := range []*backend.Backend{w.Backend, other} {
		if !ended(b, user, "one") || ended(b, user, "two") || ended(b, "bob:admin", "one") {
			t.Error("one token of one user must have ended, on every gateway")
		}
	}
	w.clock.Advance(time.Minute)
	end("two", time.Minute)
	if ended(w.Backend, user, "one") || !ended(w.Backend, user, "two") {
		t.Error("what has expired is forgotten, and nothing else")
	}
	for i := range backend.RevokedMax {
		end(fmt.Sprint("many ", i), time.Hour)
	}
	if !ended(w.Backend, user, "two") || !ended(w.Backend, user, "never ended") {
		t.Error("more than can be listed must end all")
	}
	issued = w.clock.Now().Add(time.Second)
	if ended(w.Backend, user, "fresh") {
		t.Error("a token that was issued later ended too")
	}
}
