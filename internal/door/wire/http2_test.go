package wire_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
)

// served serves h over TLS by HTTP/1.1 and by HTTP/2.
func served(t *testing.T, h http.HandlerFunc, test func(t *testing.T, url string, c *http.Client)) {
	for name, two := range map[string]bool{"HTTP1": false, "HTTP2": true} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if (r.ProtoMajor == 2) != two {
					t.Errorf("it came by %s", r.Proto)
				}
				h(w, r)
			}))
			s.EnableHTTP2 = two
			s.StartTLS()
			defer s.Close()
			test(t, s.URL, s.Client())
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
	result := make(chan error, 1)
	served(t, func(w http.ResponseWriter, r *http.Request) {
		b := wire.NewBody(w, r, clock.System{}, wire.Pace{Idle: 50 * time.Millisecond})
		_, err := io.Copy(io.Discard, b)
		result <- err
	}, func(t *testing.T, url string, c *http.Client) {
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
		if err := <-result; errs.ReasonOf(err) != errs.SlowBody {
			t.Error(err)
		}
		close(release)
		<-done
	})
}

// The time that the server takes between two reads, or two writes, is not the client's.
func TestOnlyTheClientsTimeCounts(t *testing.T) {
	const idle = 300 * time.Millisecond
	pause := func(ctx context.Context) { _ = clock.Wait(ctx, idle+idle/2) }
	const half = 64 << 10 // more than clients keep before they send
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
	h := wire.Taken(http.HandlerFunc(paced), clock.System{}, idle)
	served(t, h.ServeHTTP, func(t *testing.T, url string, c *http.Client) {
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
	h := wire.Taken(http.HandlerFunc(endless), clock.System{}, 100*time.Millisecond)
	served(t, h.ServeHTTP, func(t *testing.T, url string, c *http.Client) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-result; err == nil {
			t.Error("all of it was sent to a client that reads nothing")
		}
		_ = res.Body.Close()
	})
}
