package s3

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pithos/internal/door/wire/sigv4"
)

// Every refusal of a signature has a message and the status that S3 gives it.
func TestSignatureCodesAreKnown(t *testing.T) {
	for _, c := range sigv4.Codes() {
		want := http.StatusBadRequest
		switch c {
		case sigv4.AccessDenied, sigv4.InvalidAccessKeyID, sigv4.InvalidChunkSize, sigv4.RequestTimeTooSkewed, sigv4.SignatureDoesNotMatch:
			want = http.StatusForbidden
		case sigv4.MissingContentLength:
			want = http.StatusLengthRequired
		case sigv4.NotImplemented:
			want = http.StatusNotImplemented
		}
		if got := code(c).status(); got != want {
			t.Errorf("%s: status %d, want %d", c, got, want)
		}
		if messages[code(c)] == "" {
			t.Errorf("%s has no message", c)
		}
	}
}

// A preflight for a presigned URL is answered without looking at the signature, which is for another method.
func TestPreflightOfPresigned(t *testing.T) {
	w := newWorld(t)
	const target = "/photos/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Date=x&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=x"
	w.anon.do("OPTIONS", target, nil).want(400, "BadRequest")
	w.anon.do("OPTIONS", target, nil, "Origin", "http://example.org").want(400, "BadRequest")
	w.anon.do("OPTIONS", target, nil, "Origin", "http://example.org", "Access-Control-Request-Method", "GET").want(403, "AccessForbidden")
	w.anon.do("GET", target, nil).want(400, "AuthorizationQueryParametersError")
}

// A body that does not prove ends the connection: its length may be wrong too, and its rest must not be read as a request.
func TestBadBodyEndsConnection(t *testing.T) {
	w := newWorld(t)
	for _, header := range []string{"Content-Md5", "X-Amz-Checksum-Crc32"} {
		value := map[string]string{"Content-Md5": "rL0Y20xC+Fzt72VPzMSk2A==", "X-Amz-Checksum-Crc32": "AAAAAA=="}[header]
		req := w.alice.request("PUT", "/photos/a", []byte("body"), header, value)
		res, err := w.srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest || !res.Close {
			t.Errorf("%s: status %d, close %t", header, res.StatusCode, res.Close)
		}
	}
}

// botocore presigns by Version 2 unless told otherwise, and then moves the content type to the query.
func TestPresignedContentType(t *testing.T) {
	w := newWorld(t)
	host := strings.TrimPrefix(w.srv.URL, "http://")
	r := &sigv4.Request{Method: "PUT", Target: "/photos/a?content-type=text%2Fplain", Host: host, Header: map[string][]string{}}
	w.alice.signer.PresignV2(r, time.Now().Add(time.Hour))
	w.anon.do("PUT", r.Target, []byte("body")).want(200)
	w.alice.do("HEAD", "/photos/a", nil).want(200).has("Content-Type", "text/plain")
	w.alice.do("PUT", "/photos/a?content-type=text%2Fplain", nil).want(501, "NotImplemented")
}
