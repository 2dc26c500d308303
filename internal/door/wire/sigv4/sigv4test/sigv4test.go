// Package sigv4test is the client's side of sigv4 for tests, benches and thin
// clients: it signs net/http requests and frames bodies in signed chunks.
package sigv4test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"pithos/internal/door/wire/sigv4"
)

// Of shows an outgoing request to a signer. The header is shared, so what the signer sets is sent.
func Of(r *http.Request) *sigv4.Request {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	return &sigv4.Request{Method: r.Method, Target: r.URL.RequestURI(), Host: host, Header: r.Header, ContentLength: r.ContentLength}
}

// Sign signs an outgoing request with Version 4; payload is the body's SHA-256 in hexadecimal digits or "UNSIGNED-PAYLOAD".
func Sign(r *http.Request, s *sigv4.Signer, payload string, at time.Time) {
	s.SignV4(Of(r), payload, at)
}

// SHA256 is a payload's hash as Sign wants it.
func SHA256(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}

// Chunks frames bodies in aws-chunked form. It computes the signatures by itself, apart from the code that it tests.
type Chunks struct {
	Secret, Region string
	At             time.Time
	Seed           string // signature of the request, hexadecimal; "" leaves chunks unsigned
	Size           int    // of a chunk
	Trailers       []string
}

// Encode frames body. Trailers are lines "name:value"; they are signed when Seed is set.
func (c Chunks) Encode(body []byte) []byte {
	key := []byte("AWS4" + c.Secret)
	scope := c.At.UTC().Format("20060102") + "/" + c.Region + "/s3/aws4_request"
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	prev := c.Seed
	sign := func(lines ...string) string {
		all := append([]string{lines[0], c.At.UTC().Format("20060102T150405Z"), scope, prev}, lines[1:]...)
		prev = hex.EncodeToString(mac(key, strings.Join(all, "\n")))
		return prev
	}
	var out bytes.Buffer
	for {
		chunk := body[:min(c.Size, len(body))]
		body = body[len(chunk):]
		fmt.Fprintf(&out, "%x", len(chunk))
		if c.Seed != "" {
			out.WriteString(";chunk-signature=" + sign("AWS4-HMAC-SHA256-PAYLOAD", sigv4.EmptySHA256, SHA256(chunk)))
		}
		out.WriteString("\r\n")
		if len(chunk) == 0 {
			break
		}
		out.Write(chunk)
		out.WriteString("\r\n")
	}
	for _, t := range c.Trailers {
		out.WriteString(t + "\r\n")
	}
	if c.Seed != "" && len(c.Trailers) > 0 {
		canonical := strings.Join(c.Trailers, "\n") + "\n"
		out.WriteString("x-amz-trailer-signature:" + sign("AWS4-HMAC-SHA256-TRAILER", SHA256([]byte(canonical))) + "\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

// Signature is the signature in an Authorization header: the seed of the chunks' signatures.
func Signature(h http.Header) string {
	_, sig, _ := strings.Cut(h.Get("Authorization"), "Signature=")
	return sig
}

func mac(key []byte, s string) []byte {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write([]byte(s))
	return m.Sum(nil)
}
