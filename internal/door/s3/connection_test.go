package s3

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/door/wire"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
)

// dial opens a connection to the world and writes the head of a PUT, signed as c, with the given body length.
func (c *client) dial(target string, length int, headers ...string) (net.Conn, *bufio.Reader) {
	c.w.t.Helper()
	conn, err := new(net.Dialer).DialContext(c.w.t.Context(), "tcp", c.w.srv.Listener.Addr().String())
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.w.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	h := http.Header{}
	c.signer.SignV4(&sigv4.Request{Method: http.MethodPut, Target: target, Host: "localhost", Header: h, ContentLength: int64(length)}, "UNSIGNED-PAYLOAD", time.Now())
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n", target, length)
	_ = h.Write(&b)
	b.WriteString("\r\n")
	if _, err := conn.Write(b.Bytes()); err != nil {
		c.w.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func response(t *testing.T, r *bufio.Reader) (int, string) {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// A client that waits for "100 Continue" sends no byte of a body that is not welcome.
func TestContinueOnlyAfterAdmission(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		c      *client
		target string
		more   []string
		want   int
	}{
		{w.bob, "/photos/a", nil, 403},
		{w.alice, "/nowhere/a", nil, 404},
		{w.alice, "/photos/a", []string{"If-Match", "*"}, 404},
		{w.alice, "/photos/a", []string{"Content-Md5", "x"}, 400},
	} {
		_, r := tc.c.dial(tc.target, 5, append([]string{"Expect", "100-continue"}, tc.more...)...)
		if status, text := response(t, r); status != tc.want {
			t.Errorf("%s: %d %s", tc.target, status, text)
		}
	}
	conn, r := w.alice.dial("/photos/a", 5, "Expect", "100-continue")
	if status, _ := response(t, r); status != 100 {
		t.Fatalf("status %d, want 100", status)
	}
	_, _ = io.WriteString(conn, "hello")
	if status, text := response(t, r); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	w.alice.do("GET", "/photos/a", nil).want(200).contains("hello")
}

// A body that ends early changes nothing.
func TestShortBodyIsNotPublished(t *testing.T) {
	w := newWorld(t)
	w.alice.do("PUT", "/photos/a", []byte("old")).want(200)
	for _, sent := range []int{0, 1, 70_000, 199_999} {
		conn, r := w.alice.dial("/photos/a", 200_000)
		_, _ = conn.Write(make([]byte, sent))
		_ = conn.(*net.TCPConn).CloseWrite()
		if status, text := response(t, r); status != 400 || !strings.Contains(text, "IncompleteBody") {
			t.Errorf("%d bytes sent: %d %s", sent, status, text)
		}
		w.alice.do("GET", "/photos/a", nil).want(200).contains("old")
	}
}

// A client that stops sending is told so.
func TestSlowBody(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Pace = wire.Pace{Idle: 50 * time.Millisecond} })
	conn, r := w.alice.dial("/photos/a", 10)
	_, _ = io.WriteString(conn, "hel")
	if status, text := response(t, r); status != 400 || !strings.Contains(text, "RequestTimeout") {
		t.Errorf("%d %s", status, text)
	}
	w.alice.do("GET", "/photos/a", nil).want(404, "NoSuchKey")
}

// A refused upload that is under way is read so far that its client sees the answer, and the connection lives on.
func TestRefusedUploadSeesItsAnswer(t *testing.T) {
	w := newWorld(t)
	conn, r := w.bob.dial("/photos/a", 4<<20)
	if _, err := conn.Write(make([]byte, 4<<20)); err != nil {
		t.Fatal(err)
	}
	if status, text := response(t, r); status != 403 {
		t.Fatalf("%d %s", status, text)
	}
	if _, err := io.WriteString(conn, "GET /photos/a HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if status, _ := response(t, r); status != 403 {
		t.Fatalf("second request: %d", status)
	}
}

// damaged fails reads of blocks from the n-th on.
type damaged struct {
	blob.Store
	after *atomic.Int64
}

func (d damaged) Read(ctx context.Context, id block.ID, off int64, dst []byte) (int, error) {
	if d.after.Add(-1) < 0 {
		return 0, errs.E("test.Read", errs.Corrupt, errs.Block, id.String())
	}
	return d.Store.Read(ctx, id, off, dst)
}

func (d damaged) Unwrap() blob.Store { return d.Store }

// Damage that is found before the first byte is an error; later it cuts the connection, so that the body is never taken for whole.
func TestDamagedObject(t *testing.T) {
	after := new(atomic.Int64)
	after.Store(1 << 40)
	w := newWorldOn(t, func(s blob.Store) blob.Store { return damaged{s, after} })
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	w.alice.do("PUT", "/photos/a", data).want(200)
	after.Store(8)
	got := w.alice.do("GET", "/photos/a", nil)
	if got.status != 200 || !errors.Is(got.err, io.ErrUnexpectedEOF) {
		t.Errorf("status %d, error %v after %d bytes", got.status, got.err, len(got.body))
	}
	after.Store(0)
	w.alice.do("GET", "/photos/a", nil).want(500, "InternalError").has("ETag", "", "Content-Type", "application/xml")
}

// lockedBuffer is a log that may be written while it is read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Every request gives one line, and no line has a secret or a signature.
func TestLogHasNoSecrets(t *testing.T) {
	log := &lockedBuffer{}
	w := newWorld(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	w.alice.do("PUT", "/photos/a", []byte("hello")).want(200)
	r := sigv4.Request{Method: "GET", Target: "/photos/none?partNumber=1", Host: w.srv.Listener.Addr().String(), Header: http.Header{}}
	w.alice.signer.PresignV4(&r, time.Now(), time.Hour)
	w.anon.do("GET", r.Target, nil).want(404)
	signature := r.Target[strings.LastIndex(r.Target, "=")+1:]
	w.anon.do("GET", strings.Replace(r.Target, "partNumber=1", "partNumber=2", 1), nil).want(403, "SignatureDoesNotMatch")
	w.anon.do("GET", "/photos/a?AWSAccessKeyId=AKalice&Signature=c2VjcmV0&Expires=1", nil).want(403)
	w.srv.Close()
	text := log.String()
	if n := strings.Count(text, "msg=s3 "); n != 4 {
		t.Errorf("%d lines for 4 requests:\n%s", n, text)
	}
	for _, secret := range []string{"secret-of-alice", signature, "c2VjcmV0"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q:\n%s", secret, text)
		}
	}
	for _, want := range []string{"operation=PutObject", "status=200", "user=alice:admin", "bucket=photos", "in=5", "request="} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %q:\n%s", want, text)
		}
	}
}

// Names that are not on the list leave the object as it was, whatever the method.
func TestUnknownParametersChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.alice.do("PUT", "/photos/a", []byte("hello")).want(200)
	for _, method := range []string{"PUT", "POST", "DELETE", "GET", "HEAD"} {
		for _, name := range []string{"frobnicate", "Acl", "TAGGING", "session", "versions", "restore", "x-amz-acl", "X-Amz-Foo", "uploadid", "%61cl%20"} {
			for _, target := range []string{"/photos/a?" + name, "/photos/a?" + name + "=1", "/photos?" + name + "=1"} {
				if method == "GET" && strings.HasPrefix(target, "/photos?") {
					continue // some of them are served there
				}
				if got := w.alice.do(method, target, nil); got.status < 400 {
					t.Errorf("%s %s: %d", method, target, got.status)
				}
			}
		}
	}
	w.alice.do("GET", "/photos/a", nil).want(200).contains("hello")
}

// A server that stops refuses in the protocol's words, with an id, and tells when to come again. The body that comes along does no harm.
func TestRefuse(t *testing.T) {
	w := newWorld(t)
	stopping := httptest.NewServer(http.HandlerFunc(w.door.Refuse))
	t.Cleanup(stopping.Close)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
		req := w.alice.request(method, "/photos/a", make([]byte, 1<<20))
		req.URL.Host = stopping.Listener.Addr().String()
		a := w.send(req).has("X-Amz-Request-Id", "*", "X-Amz-Id-2", "*", "Retry-After", "1", "Content-Type", "application/xml")
		if method == http.MethodHead {
			a.want(http.StatusServiceUnavailable)
			continue
		}
		a.want(http.StatusServiceUnavailable, "ServiceUnavailable")
	}
	w.alice.do(http.MethodGet, "/photos/a", nil).want(http.StatusNotFound)
}
