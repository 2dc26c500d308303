package wire_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
)

// pipes is a listener whose connections live in memory, so that the time of their deadlines is a bubble's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener: a name that httptest's certificate has.
func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

// dial connects to the listener. What is written is taken at once, up to some megabytes: ends of TLS say goodbye while they hold locks, and in a bubble
// time stands still for who waits for a lock.
func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, hereInner := net.Pipe()
	there, thereInner := net.Pipe()
	select {
	case p.conns <- there:
		cable(hereInner, thereInner)
		cable(thereInner, hereInner)
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// cable carries what it reads, until either end closes.
func cable(from, to net.Conn) {
	under := make(chan []byte, 64)
	go func() {
		defer close(under)
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if n > 0 {
				under <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		for chunk := range under {
			if _, err := to.Write(chunk); err != nil {
				break
			}
		}
		_ = to.Close()
		for range under { // who still writes must not hang
		}
	}()
}

// unstarted is a server whose connections live in memory.
func unstarted(h http.Handler) (*httptest.Server, *pipes) {
	p := newPipes()
	return &httptest.Server{Listener: p, Config: &http.Server{Handler: h, ReadHeaderTimeout: time.Hour}}, p
}

// serving starts a server of h and gives what reaches it.
type serving func(h http.HandlerFunc) (url string, c *http.Client)

// served runs a test over TLS by HTTP/1.1 and by HTTP/2, each in a bubble: time passes when everybody waits.
func served(t *testing.T, test func(t *testing.T, serve serving)) {
	for name, two := range map[string]bool{"HTTP1": false, "HTTP2": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test(t, func(h http.HandlerFunc) (string, *http.Client) {
					s, p := unstarted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if (r.ProtoMajor == 2) != two {
							t.Errorf("it came by %s", r.Proto)
						}
						h(w, r)
					}))
					s.EnableHTTP2 = two
					s.StartTLS()
					t.Cleanup(s.Close)
					s.Client().Transport.(*http.Transport).DialContext = p.dial
					return s.URL, s.Client()
				})
			})
		})
	}
}

// stalled is a body that gives its first bytes, and the rest when released.
type stalled struct {
	first, rest io.Reader
	release     <-chan struct{}
	released    bool
}

func (s *stalled) Read(p []byte) (int, error) {
	if n, err := s.first.Read(p); err == nil {
		return n, nil
	}
	if !s.released {
		<-s.release
		s.released = true
	}
	return s.rest.Read(p)
}

func TestPaceHoldsOnBothVersions(t *testing.T) {
	served(t, func(t *testing.T, serve serving) {
		result := make(chan error, 1)
		url, c := serve(func(w http.ResponseWriter, r *http.Request) {
			b := wire.NewBody(w, r, clock.System{}, wire.Pace{Idle: time.Minute})
			_, err := io.Copy(io.Discard, b)
			result <- err
		})
		release := make(chan struct{})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, &stalled{first: strings.NewReader("some"), rest: http.NoBody, release: release})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if res, err := c.Do(req); err == nil {
				_ = res.Body.Close()
			}
		}()
		began := time.Now()
		if err := <-result; errs.ReasonOf(err) != errs.SlowBody {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it was given up after %v", took)
		}
		close(release)
		<-done
	})
}

// The time that the server takes between two reads, or two writes, is not the client's.
func TestOnlyTheClientsTimeCounts(t *testing.T) {
	const idle = time.Minute
	pause := func(ctx context.Context) { _ = clock.Wait(ctx, 2*idle) }
	const half = 64 << 10 // more than clients keep before they send
	served(t, func(t *testing.T, serve serving) {
		release := make(chan struct{})
		paced := func(w http.ResponseWriter, r *http.Request) {
			b := wire.NewBody(w, r, clock.System{}, wire.Pace{Idle: idle})
			buf := make([]byte, half/2) // the client keeps the end of what it has
			_, err := io.ReadFull(b, buf)
			pause(r.Context())
			release <- struct{}{}
			rest, restErr := io.ReadAll(b)
			if err := errors.Join(err, restErr); err != nil {
				t.Errorf("%s: %v", r.Proto, err)
			}
			_, err = w.Write(buf)
			pause(r.Context())
			_, restErr = w.Write(rest)
			if err := errors.Join(err, restErr); err != nil {
				t.Errorf("%s: %v", r.Proto, err)
			}
		}
		url, c := serve(wire.Taken(http.HandlerFunc(paced), clock.System{}, idle).ServeHTTP)
		for range 2 { // over one connection
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, &stalled{first: strings.NewReader(strings.Repeat("a", half)), rest: strings.NewReader(strings.Repeat("b", half)), release: release})
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = 2 * half
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(res.Body)
			if err := errors.Join(err, res.Body.Close()); err != nil || len(text) != 2*half {
				t.Errorf("%d bytes, %v", len(text), err)
			}
		}
	})
}

// A client that does not take its answer is cut off.
func TestAnswersMustBeTaken(t *testing.T) {
	served(t, func(t *testing.T, serve serving) {
		result := make(chan error, 1)
		endless := func(w http.ResponseWriter, _ *http.Request) {
			for range 4096 { // 256 MiB are more than any buffer on the way takes
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					result <- err
					return
				}
			}
			result <- nil
		}
		url, c := serve(wire.Taken(http.HandlerFunc(endless), clock.System{}, time.Minute).ServeHTTP)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-result; err == nil {
			t.Error("all of it was sent to a client that reads nothing")
		}
		if took := time.Since(began); took < time.Minute || took > time.Minute+10*time.Second { // TLS says goodbye for five seconds
			t.Errorf("it was cut off after %v", took)
		}
		_ = res.Body.Close()
	})
}
