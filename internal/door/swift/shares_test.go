package swift

import (
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/wire"
)

// Who asks too often hears Swift's own word for it, and when to come again; others do not.
func TestSharesOfUsers(t *testing.T) {
	c := clock.NewManual(time.Now())
	w := newWorldOf(t, func(o *Options) { o.Shares.Users = wire.NewLimiter(wire.Share{Rate: 1}, c) })
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/o", "x").want(201)
	w.do("GET", "c/o", "").want(498).is("Slow down").has("Retry-After", "1")
	w.as("root", "GET", "c/o", "").want(200)
	w.as("", "GET", "c/o", "").want(401)
	c.Advance(time.Second)
	w.do("GET", "c/o", "").want(200)
}

// The share of an address is asked before anything else, for what needs no token too.
func TestSharesOfAddresses(t *testing.T) {
	c := clock.NewManual(time.Now())
	w := newWorldOf(t, func(o *Options) { o.Shares.Addresses = wire.NewLimiter(wire.Share{Rate: 1}, c) })
	w.as("", "GET", "/info", "").want(200)
	w.as("", "GET", "c", "").want(401)
	w.do("GET", "c", "").want(498)
}

// A place is given back when a request ends, and the bytes of a user pass at its pace, both ways.
func TestSharesAtOnceAndOfBytes(t *testing.T) {
	w := newWorldOf(t, func(o *Options) {
		o.Shares.Users = wire.NewLimiter(wire.Share{AtOnce: 1, Bytes: 200 << 10}, clock.System{})
	})
	w.do("PUT", "c", "").want(201)
	began := time.Now()
	w.do("PUT", "c/o", strings.Repeat("x", 200<<10)).want(201)
	if a := w.do("GET", "c/o", "").want(200); len(a.body) != 200<<10 {
		t.Errorf("%d bytes", len(a.body))
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("400 KiB at 200 KiB/s took %v", took)
	}
}
