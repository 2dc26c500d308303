package sigv4_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pithos/internal/door/wire/sigv4"
	"pithos/internal/door/wire/sigv4/sigv4test"
	"pithos/internal/errs"
)

// sameTarget reports whether two request targets mean the same: same decoded path, same multiset of parameters.
func sameTarget(a, b string) bool {
	pa, qa, _ := strings.Cut(a, "?")
	pb, qb, _ := strings.Cut(b, "?")
	da, ea := url.PathUnescape(pa)
	db, eb := url.PathUnescape(pb)
	return ea == nil && eb == nil && da == db && slices.Equal(params(qa), params(qb))
}

func params(q string) (list []string) {
	for one := range strings.SplitSeq(q, "&") {
		if one == "" {
			continue
		}
		n, v, _ := strings.Cut(one, "=")
		dn, _ := url.QueryUnescape(n)
		dv, _ := url.QueryUnescape(v)
		list = append(list, dn+"\x00"+dv)
	}
	slices.Sort(list)
	return list
}

// stream signs a streaming upload and frames its body.
func stream(mode, declared string, body []byte, size int, trailers ...string) (*sigv4.Request, []byte) {
	r := request("PUT", "/b/k", "host", "Content-Encoding: aws-chunked", "X-Amz-Decoded-Content-Length: "+declared)
	for _, t := range trailers {
		name, _, _ := strings.Cut(t, ":")
		http.Header(r.Header).Add("X-Amz-Trailer", name)
	}
	signer.SignV4(r, mode, now)
	c := sigv4test.Chunks{Secret: exampleSecret, Region: "us-east-1", At: now, Size: size, Trailers: trailers}
	if mode != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
		c.Seed = sigv4test.Signature(r.Header)
	}
	return r, c.Encode(body)
}

// receive verifies and reads.
func receive(t *testing.T, r *sigv4.Request, body io.Reader) ([]byte, []sigv4.Field, error) {
	t.Helper()
	a, err := verifier(now).Verify(t.Context(), r, lookup)
	if err != nil {
		return nil, nil, err
	}
	b := a.Body(body, true)
	got, err := io.ReadAll(b)
	return got, b.Trailers(), err
}

const crc = "x-amz-checksum-crc32:AAAAAA=="

var modes = []struct {
	mode     string
	trailers []string
}{
	{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", nil},
	{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", []string{crc}},
	{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", []string{crc}},
	{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", nil},
}

func TestStreams(t *testing.T) {
	for _, m := range modes {
		for _, size := range []int{0, 1, 99, 100, 101, 250} {
			body := bytes.Repeat([]byte("x"), size)
			r, framed := stream(m.mode, sizeOf(size), body, 100, m.trailers...)
			for _, src := range []io.Reader{bytes.NewReader(framed), iotest.OneByteReader(bytes.NewReader(framed)), iotest.DataErrReader(bytes.NewReader(framed))} {
				got, trailers, err := receive(t, r, src)
				if err != nil || !bytes.Equal(got, body) || len(trailers) != len(m.trailers) {
					t.Errorf("%s of %d: %d bytes, trailers %v, %v", m.mode, size, len(got), trailers, err)
				}
			}
			// The last line end may be missing.
			if got, _, err := receive(t, r, bytes.NewReader(framed[:len(framed)-2])); err != nil || len(got) != size {
				t.Errorf("%s without the last line end: %v", m.mode, err)
			}
		}
	}
}

func sizeOf(n int) string { return strconv.Itoa(n) }

// A bit that flips anywhere in a signed body is noticed, or changes nothing (the case of a hexadecimal digit). In an unsigned one the
// declared length and the trailer's presence still hold.
func TestFlippedBits(t *testing.T) {
	body := []byte(strings.Repeat("0123456789", 10))
	for _, m := range modes {
		r, framed := stream(m.mode, "100", body, 64, m.trailers...)
		for i := range framed {
			for bit := range 8 {
				spoilt := bytes.Clone(framed)
				spoilt[i] ^= 1 << bit
				got, trailers, err := receive(t, r, bytes.NewReader(spoilt))
				switch {
				case err != nil:
					if !errs.IsThing(err, errs.KindOf(err), errs.Request) || codeOf(err) == "" {
						t.Fatalf("%s, bit %d of byte %d: an error without a code: %v", m.mode, bit, i, err)
					}
				case len(got) != len(body):
					t.Fatalf("%s, bit %d of byte %d: %d bytes", m.mode, bit, i, len(got))
				case m.mode != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" && (!bytes.Equal(got, body) || len(trailers) != len(m.trailers) ||
					len(trailers) > 0 && trailers[0].Value != "AAAAAA=="):
					t.Fatalf("%s, bit %d of byte %d goes unnoticed: %q %v", m.mode, bit, i, got, trailers)
				}
			}
		}
		// So is every early end.
		for i := range len(framed) - 2 {
			if _, _, err := receive(t, r, bytes.NewReader(framed[:i])); err == nil {
				t.Fatalf("%s, cut at %d of %d", m.mode, i, len(framed))
			}
		}
	}
}

func TestBadStreams(t *testing.T) {
	const unsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	cases := []struct {
		name, declared, body string
		trailers             string
		want                 sigv4.Code
	}{
		{"fine", "3", "3\r\nabc\r\n0\r\n\r\n", "", ""},
		{"bare line ends", "3", "3\nabc\n0\n\n", "", sigv4.IncompleteBody},
		{"two chunks", "4", "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", "", ""},
		{"too few", "4", "3\r\nabc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"too many", "2", "3\r\nabc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"no last chunk", "3", "3\r\nabc\r\n", "", sigv4.IncompleteBody},
		{"chunk too long", "3", "2\r\nabc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"size is no number", "3", "x\r\nabc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"no size", "3", "\r\nabc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"negative size", "3", "-3\r\nabc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"huge size", "3", "ffffffffffffffff\r\nabc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"large size", "3", "fffffffffffffff\r\nabc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"long line", "3", strings.Repeat("0", 5000) + "3\r\nabc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"plain body", "3", "abc", "", sigv4.IncompleteBody},
		{"bytes after the end", "3", "3\r\nabc\r\n0\r\n\r\nmore\r\n", "", ""},
		{"many bytes after the end", "3", "3\r\nabc\r\n0\r\n\r\n" + strings.Repeat("x", 4096), "", sigv4.IncompleteBody},
		{"a second body", "3", "3\r\nabc\r\n0\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "", ""},
		{"no line end at the end", "3", "3\r\nabc\r\n0\r\n", "", ""},
		{"half a line end at the end", "3", "3\r\nabc\r\n0\r\n\r", "", sigv4.IncompleteBody},
		{"an empty chunk before the last", "3", "1\r\na\r\n0\r\n\r\n2\r\nbc\r\n0\r\n\r\n", "", sigv4.IncompleteBody},
		{"declared trailer missing", "3", "3\r\nabc\r\n0\r\n\r\n", "x-amz-checksum-crc32", sigv4.MalformedTrailer},
		{"undeclared trailer", "3", "3\r\nabc\r\n0\r\n" + crc + "\r\n\r\n", "", sigv4.MalformedTrailer},
		{"another trailer", "3", "3\r\nabc\r\n0\r\n" + crc + "\r\n\r\n", "x-amz-checksum-sha1", sigv4.MalformedTrailer},
		{"trailer twice", "3", "3\r\nabc\r\n0\r\n" + crc + "\r\n" + crc + "\r\n\r\n", "x-amz-checksum-crc32", ""},
		{"trailer after an empty line", "3", "3\r\nabc\r\n0\r\n\r\n" + crc + "\r\n\r\n", "x-amz-checksum-crc32", sigv4.MalformedTrailer},
		{"two trailers", "3", "3\r\nabc\r\n0\r\n" + crc + "\r\nX-Amz-Checksum-SHA1 : a\r\n\r\n", "x-amz-checksum-crc32,x-amz-checksum-sha1", ""},
		{"unknown trailer declared", "3", "", "x-amz-meta-a", sigv4.InvalidRequest},
		{"unknown checksum declared", "3", "", "x-amz-checksum-bad", sigv4.InvalidRequest},
		{"empty names at the end", "3", "3\r\nabc\r\n0\r\n" + crc + "\r\n\r\n", "x-amz-checksum-crc32,, ", ""},
		{"an empty name at the beginning", "3", "", ",x-amz-checksum-crc32", sigv4.InvalidRequest},
		{"a blank name at the end", "3", "", "x-amz-checksum-crc32, ,", sigv4.InvalidRequest},
		{"length is no number", "x", "", "", sigv4.MissingContentLength},
		{"length is negative", "-1", "", "", sigv4.MissingContentLength},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := request("PUT", "/b/k", "host", "X-Amz-Decoded-Content-Length: "+c.declared)
			if c.trailers != "" {
				http.Header(r.Header).Set("X-Amz-Trailer", c.trailers)
			}
			signer.SignV4(r, unsigned, now)
			if _, _, err := receive(t, r, strings.NewReader(c.body)); codeOf(err) != c.want {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestPayloadModes(t *testing.T) {
	body := "some bytes"
	hash := sigv4test.SHA256([]byte(body))
	cases := []struct {
		name, mode, body string
		want             sigv4.Code
	}{
		{"hash", hash, body, ""},
		{"hash in capitals", strings.ToUpper(hash), body, ""},
		{"another body", hash, body + "!", sigv4.ContentSHA256Mismatch},
		{"a shorter body", hash, body[1:], sigv4.ContentSHA256Mismatch},
		{"an empty body", hash, "", sigv4.ContentSHA256Mismatch},
		{"empty", sigv4.EmptySHA256, "", ""},
		{"not empty", sigv4.EmptySHA256, "x", sigv4.ContentSHA256Mismatch},
		{"unsigned", "UNSIGNED-PAYLOAD", body, ""},
		{"4A", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", body, sigv4.NotImplemented},
		{"4A with trailer", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", body, sigv4.NotImplemented},
		{"unknown", "STREAMING-SOMETHING", body, sigv4.InvalidArgument},
		{"63 digits", hash[1:], body, sigv4.InvalidArgument},
		{"64 letters", strings.Repeat("x", 64), body, sigv4.InvalidArgument},
		{"streamed without length", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", body, sigv4.MissingContentLength},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := request("PUT", "/b/k", "host")
			signer.SignV4(r, c.mode, now)
			got, _, err := receive(t, r, strings.NewReader(c.body))
			if codeOf(err) != c.want || err == nil && string(got) != c.body {
				t.Errorf("%q %v, want %q", got, err, c.want)
			}
		})
	}
	t.Run("signed chunks without a signature", func(t *testing.T) {
		r := request("PUT", "/b/k", "host", "X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length: 3")
		if _, _, err := receive(t, r, strings.NewReader("")); codeOf(err) != sigv4.InvalidRequest {
			t.Error(err)
		}
	})
	t.Run("chunks of a request that does not say", func(t *testing.T) {
		r := request("PUT", "/b/k", "host", "Content-Encoding: gzip, aws-chunked", "X-Amz-Decoded-Content-Length: 3")
		if got, _, err := receive(t, r, strings.NewReader("3\r\nabc\r\n0\r\n\r\n")); err != nil || string(got) != "abc" {
			t.Errorf("%q %v", got, err)
		}
	})
	t.Run("errors of the source pass", func(t *testing.T) {
		broken := errors.New("broken")
		r := request("PUT", "/b/k", "host")
		if _, _, err := receive(t, r, iotest.ErrReader(broken)); !errors.Is(err, broken) {
			t.Error(err)
		}
		if _, _, err := receive(t, r, iotest.ErrReader(io.ErrUnexpectedEOF)); errs.ReasonOf(err) != errs.IncompleteBody {
			t.Error(err)
		}
	})
}

// A presigned URL can fix the body's hash, and a chunk's framing costs no more memory than one line.
func TestPresignedPayload(t *testing.T) {
	r := request("PUT", "/b/k?X-Amz-Content-Sha256="+sigv4.EmptySHA256, "host")
	signer.PresignV4(r, now, time.Hour)
	if _, _, err := receive(t, r, strings.NewReader("")); err != nil {
		t.Error(err)
	}
	if _, _, err := receive(t, r, strings.NewReader("x")); codeOf(err) != sigv4.ContentSHA256Mismatch {
		t.Error(err)
	}
}

func FuzzChunks(f *testing.F) {
	for _, trailer := range []bool{false, true} {
		_, body := chunkedExample(trailer)
		f.Add(body[:200], trailer)
	}
	f.Add([]byte("3\r\nabc\r\n0\r\nx-amz-checksum-crc32c:x\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, body []byte, trailer bool) {
		r, _ := chunkedExample(trailer)
		a, err := verifier(exampleTime).Verify(t.Context(), r, lookup)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(a.Body(bytes.NewReader(body), true)); err == nil && len(got) != 66560 {
			t.Errorf("%d bytes without an error", len(got))
		}
		r = request("PUT", "/b/k", "host", "X-Amz-Decoded-Content-Length: 3", "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER")
		if got, _, err := receive(t, r, bytes.NewReader(body)); err == nil && len(got) != 3 {
			t.Errorf("%d bytes without an error", len(got))
		}
	})
}

// Only the last chunk may be smaller than the least, if there is one.
func TestSmallChunks(t *testing.T) {
	for _, m := range modes {
		for _, one := range []struct {
			least int64
			size  int
			bad   bool
		}{{0, 10, false}, {100, 100, false}, {100, 250, false}, {101, 100, true}} {
			r, framed := stream(m.mode, "250", bytes.Repeat([]byte("x"), 250), one.size, m.trailers...)
			r.ChunkMin = one.least
			_, _, err := receive(t, r, bytes.NewReader(framed))
			var refused *sigv4.Error
			switch {
			case !one.bad && err != nil:
				t.Errorf("%s in chunks of %d: %v", m.mode, one.size, err)
			case one.bad && (!errors.As(err, &refused) || refused.Code != sigv4.InvalidChunkSize):
				t.Errorf("%s in chunks of %d: %v", m.mode, one.size, err)
			case one.bad:
				want := []sigv4.Field{{Name: "Chunk", Value: "2"}, {Name: "BadChunkSize", Value: "100"}}
				if !slices.Equal(refused.Fields, want) || !strings.Contains(refused.Message, "less than 101 bytes") {
					t.Errorf("%q, %v", refused.Message, refused.Fields)
				}
			}
		}
	}
}
