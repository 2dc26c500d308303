package s3

import (
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/wire"
	"pithos/internal/door/wire/sigv4"
)

// Who asks too often is told to slow down, and when to come again; others are not.
func TestShares(t *testing.T) {
	c := clock.NewManual(time.Now())
	w := newWorld(t, func(o *Options) { o.Shares.Users = wire.NewLimiter(wire.Share{Rate: 1}, c) })
	for range 2 {
		w.alice.do("GET", "/photos", nil).want(200)
	}
	w.alice.do("GET", "/photos", nil).want(503, "SlowDown").has("Retry-After", "1")
	w.bob.do("GET", "/photos", nil).want(403)
	w.anon.do("GET", "/photos", nil).want(403)
	c.Advance(time.Second)
	w.alice.do("GET", "/photos", nil).want(200)
}

// The share of an address is for everybody behind it, and is asked before a signature is checked.
func TestSharesOfAddresses(t *testing.T) {
	c := clock.NewManual(time.Now())
	w := newWorld(t, func(o *Options) { o.Shares.Addresses = wire.NewLimiter(wire.Share{Rate: 1}, c) })
	w.anon.do("GET", "/photos", nil).want(403)
	w.anon.do("GET", "/photos", nil, "Authorization", "nonsense").want(400)
	w.alice.do("GET", "/photos", nil).want(503, "SlowDown")
}

// The bytes of a user are slowed down, both ways, and nothing is cut off.
func TestShareOfBytes(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Shares.Users = wire.NewLimiter(wire.Share{Bytes: 200 << 10}, clock.System{}) })
	began := time.Now()
	w.alice.do("PUT", "/photos/a", make([]byte, 200<<10)).want(200)
	if a := w.alice.do("GET", "/photos/a", nil).want(200); len(a.body) != 200<<10 {
		t.Errorf("%d bytes", len(a.body))
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("400 KiB at 200 KiB/s took %v", took)
	}
}

// A signature over a place where clients know the service counts, whatever the proxy made of host and path.
func TestPlaces(t *testing.T) {
	w := newWorld(t)
	w.alice.do("PUT", "/photos/a", []byte("hello")).want(200)
	place := func(host, target string) *answer {
		r := w.alice.request("GET", target, nil, "Host", host)
		r.Host = "" // the proxy sends another host, and cuts the path
		r.URL.Opaque = "/photos/a"
		return w.send(r)
	}
	place("s3.example.org", "/photos/a").want(403, "SignatureDoesNotMatch")
	w.door.o.Places = append(w.door.o.Places, sigv4.Place{Host: "s3.example.org"}, sigv4.Place{Host: "example.org", Prefix: "/storage"})
	place("s3.example.org", "/photos/a").want(200).contains("hello")
	place("example.org", "/storage/photos/a").want(200)
	place("other.example.org", "/photos/a").want(403)
	place("example.org", "/storage/photos/b").want(403)
}
