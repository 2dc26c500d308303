package pithos

import (
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/wire"
)

// Who asks too often is told when to come again, in the protocol's form; others are not.
func TestSharesOfUsers(t *testing.T) {
	w := newWorld(t)
	w.d.o.Shares.Users = wire.NewLimiter(wire.Share{Rate: 1}, w.clock)
	for range 2 {
		w.do("GET", "c", "").want(204)
	}
	w.do("GET", "c?format=json", "").want(503).has("Retry-After", "1").says(`{"serviceUnavailable":{"code":503,"details":"","message":"Too many requests. Please try again later."}}`)
	w.as("bob", "GET", "c", "").want(403)
	w.clock.Advance(time.Second)
	w.do("GET", "c", "").want(204)
}

// The share of an address is asked before the token.
func TestSharesOfAddresses(t *testing.T) {
	w := newWorld(t)
	w.d.o.Shares.Addresses = wire.NewLimiter(wire.Share{Rate: 1}, w.clock)
	w.as("", "GET", "c", "").want(401)
	w.as("", "GET", "c", "").want(401)
	w.do("GET", "c", "").want(503).has("Retry-After", "1")
}

// A place is given back when a request ends, and the bytes of a user pass at its pace, both ways.
func TestSharesAtOnceAndOfBytes(t *testing.T) {
	w := newWorld(t)
	w.d.o.Shares.Users = wire.NewLimiter(wire.Share{AtOnce: 1, Bytes: 200 << 10}, clock.System{})
	began := time.Now()
	w.put("c/o", strings.Repeat("x", 200<<10))
	if a := w.do("GET", "c/o", "").want(200); len(a.body) != 200<<10 {
		t.Errorf("%d bytes", len(a.body))
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("400 KiB at 200 KiB/s took %v", took)
	}
}
