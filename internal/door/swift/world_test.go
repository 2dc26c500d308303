package swift

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/wire"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// world is a door on loopback over empty memory stores, with the accounts test and other, an administrator in each ("test", "other": their
// names are their tokens), "joe", a user of test without rights, "service", a user of other who acts for users, and "root", an operator.
type world struct {
	t     testing.TB
	b     *backend.Backend
	srv   *httptest.Server
	clock *clock.Manual
	keys  key.Store
	door  *Door
	host  string // of the requests; "" for the server's own

	mu      sync.Mutex
	reached map[string]bool // operations
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewManual(time.Now()), reached: map[string]bool{}}
	engine := memory.New(w.clock)
	w.keys = engine.Keys()
	w.b = backend.New(backend.Stores{Keys: w.keys, Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: engine.Blobs()},
		backend.Options{Clock: w.clock, BlockSize: 64 << 10, BufferBytes: 8 << 20, Distant: true})
	users := map[string]access.Principal{"root": {Account: "test", User: "test:root", Operator: true}, "joe": {Account: "test", User: "test:joe"}, "service": {Account: "other", User: "other:service", Roles: []string{"service"}}}
	for _, name := range []string{"test", "other"} {
		if _, err := w.keys.CreateAccount(t.Context(), key.Account{ID: naming.AccountID(name), Canonical: "canonical-" + name, Created: w.clock.Now()}); err != nil {
			t.Fatal(err)
		}
		users[name] = access.Principal{Account: naming.AccountID(name), User: naming.UserID(name + ":admin"), Canonical: "canonical-" + name, Admin: true}
	}
	d := New(w.b, Options{
		Clock: w.clock, Limits: Limits{ObjectBytes: 1 << 20, Listing: 100},
		Who: func(_ context.Context, token string) (access.Principal, bool, error) {
			who, ok := users[token]
			if !ok && strings.HasPrefix(token, "AUTH_") {
				return who, true, errs.E("", errs.Unauthenticated, errs.User, "")
			}
			return who, ok, nil
		},
		Observe: func(ob wire.Observation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if ob.Status < 400 {
				w.reached[ob.Operation] = true
			}
		},
	})
	w.door = d
	w.srv = httptest.NewServer(d)
	w.srv.Client().Transport.(*http.Transport).DisableCompression = true
	t.Cleanup(w.srv.Close)
	return w
}

// answer is a response, read to its end.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// as sends a request as somebody; the path is sent byte by byte below /v1/AUTH_test unless it begins with "/". Headers are name, value.
func (w *world) as(token, method, path, body string, headers ...string) *answer {
	w.t.Helper()
	if !strings.HasPrefix(path, "/") {
		slash := "/"
		if path == "" || path[0] == '?' {
			slash = ""
		}
		path = "/v1/AUTH_test" + slash + path
	}
	path, query, _ := strings.Cut(path, "?")
	var reader io.Reader = strings.NewReader(body)
	if body == "" && method != http.MethodPut {
		reader = http.NoBody
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.srv.URL, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	req.URL = &url.URL{Scheme: "http", Host: req.URL.Host, Opaque: path, RawQuery: query}
	if w.host != "" {
		req.Host = w.host
	}
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.srv.Client().Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return &answer{w.t, res.StatusCode, res.Header, string(raw)}
}

// on sends requests to another host from now on.
func (w *world) on(host string) *world {
	w.host = host
	return w
}

func backendRef(container string) backend.Ref {
	return backend.Ref{Account: "test", Name: naming.ContainerName(container)}
}

// do sends a request as the administrator of test.
func (w *world) do(method, path, body string, headers ...string) *answer {
	w.t.Helper()
	return w.as("test", method, path, body, headers...)
}

func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if a.header.Get("X-Trans-Id") == "" || a.header.Get("X-Trans-Id") != a.header.Get("X-Openstack-Request-Id") {
		a.t.Errorf("no transaction id: %v", a.header)
	}
	return a
}

// has checks headers: name, value, name, value. A value of "" demands absence, "*" presence.
func (a *answer) has(headers ...string) *answer {
	a.t.Helper()
	for i := 0; i < len(headers); i += 2 {
		got, ok := a.header[http.CanonicalHeaderKey(headers[i])]
		switch want := headers[i+1]; {
		case want == "" && ok:
			a.t.Errorf("header %s is %q, want none", headers[i], got)
		case want == "*" && !ok, want != "" && want != "*" && (!ok || got[0] != want):
			a.t.Errorf("header %s is %q, want %q", headers[i], got, want)
		}
	}
	return a
}

func (a *answer) is(body string) *answer {
	a.t.Helper()
	if a.body != body {
		a.t.Errorf("body %q, want %q", a.body, body)
	}
	return a
}

func (a *answer) contains(texts ...string) {
	a.t.Helper()
	for _, s := range texts {
		if !bytes.Contains([]byte(a.body), []byte(s)) {
			a.t.Errorf("the answer has no %q:\n%s", s, a.body)
		}
	}
}
