package s3

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"pithos/internal/door/wire/sigv4"
)

// discard is an http.ResponseWriter that keeps nothing.
type discard struct {
	h      http.Header
	status int
	n      int
}

func (d *discard) Header() http.Header { return d.h }

func (d *discard) WriteHeader(status int) { d.status = status }

func (d *discard) Write(p []byte) (int, error) {
	d.n += len(p)
	return len(p), nil
}

// signedGet is a request of alice's as net/http hands it over.
func (c *client) signedGet(target string) *http.Request {
	h := http.Header{}
	c.signer.SignV4(&sigv4.Request{Method: http.MethodGet, Target: target, Host: "localhost", Header: h}, sigv4.EmptySHA256, time.Now())
	h["User-Agent"] = []string{"bench"}
	h["Accept-Encoding"] = []string{"identity"}
	return (&http.Request{
		Method: http.MethodGet, RequestURI: target, Host: "localhost", Header: h, Body: http.NoBody, ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "127.0.0.1:1",
	}).WithContext(c.w.t.Context())
}

// BenchmarkGet is the door's own cost of a 4 KiB GET: no network, memory stores.
func BenchmarkGet(b *testing.B) {
	w := newWorld(b)
	w.alice.do("PUT", "/photos/a", bytes.Repeat([]byte("x"), 4096)).want(200)
	r := w.alice.signedGet("/photos/a")
	b.ReportAllocs()
	for b.Loop() {
		d := discard{h: make(http.Header, 16)}
		w.door.ServeHTTP(&d, r)
		if d.n != 4096 {
			b.Fatal(d.status, d.n)
		}
	}
}
