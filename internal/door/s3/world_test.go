package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/engine/memory"
	"pithos/internal/naming"
	"pithos/internal/seal"
	"pithos/internal/seal/sealtest"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
)

// world is a door on loopback over a backend on empty memory stores, with two accounts and an administrator in each, and a bucket "photos" of alice's.
type world struct {
	t     testing.TB
	b     *backend.Backend
	door  *Door
	srv   *httptest.Server
	alice *client
	bob   *client
	anon  *client
}

// client sends requests as somebody.
type client struct {
	w      *world
	signer *sigv4.Signer // nil: unsigned
	caller backend.Caller
}

// answer is a response, read to its end.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
	err    error // of reading the body
}

func newWorld(tb testing.TB, change ...func(*Options)) *world {
	tb.Helper()
	return newWorldOn(tb, func(s blob.Store) blob.Store { return s }, change...)
}

// newWorldOn makes a world whose blobstore is wrapped.
func newWorldOn(tb testing.TB, wrap func(blob.Store) blob.Store, change ...func(*Options)) *world {
	return newWorldAt(tb, clock.System{}, wrap, change...)
}

// newWorldLogging makes a world whose backend writes a log.
func newWorldLogging(tb testing.TB, log *slog.Logger) *world {
	tb.Helper()
	return makeWorld(tb, clock.System{}, log, func(s blob.Store) blob.Store { return s })
}

// newWorldAt makes a world on a clock of its own.
func newWorldAt(tb testing.TB, at clock.Clock, wrap func(blob.Store) blob.Store, change ...func(*Options)) *world {
	tb.Helper()
	return makeWorld(tb, at, nil, wrap, change...)
}

func makeWorld(tb testing.TB, at clock.Clock, log *slog.Logger, wrap func(blob.Store) blob.Store, change ...func(*Options)) *world {
	tb.Helper()
	w := &world{t: tb}
	engine := memory.New(at)
	stores := backend.Stores{Keys: engine.Keys(), Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: wrap(engine.Blobs())}
	ring := new(sealtest.Ring)
	ring.Add("r1")
	w.b = backend.New(stores, backend.Options{
		Clock: at, Log: log, BlockSize: 64 << 10, BufferBytes: 8 << 20, PartMin: 1 << 10, Distant: true,
		Keeper: seal.NewKeeper(seal.Options{Ring: ring, Service: &sealtest.Service{Keys: []string{"one", "two"}}, Clock: at}),
	})
	o := Options{Clock: at, Domains: []string{"s3.test"}, KeysOverHTTP: true}
	for _, c := range change {
		c(&o)
	}
	w.door = New(w.b, o)
	w.srv = httptest.NewServer(w.door)
	w.srv.Client().Transport.(*http.Transport).DisableCompression = true // bodies are compared as they come
	tb.Cleanup(w.srv.Close)
	w.alice, w.bob, w.anon = w.client(engine.Keys(), "alice"), w.client(engine.Keys(), "bob"), &client{w: w}
	w.bucket("photos", bucket.Config{})
	return w
}

// client makes an account with an administrator.
func (w *world) client(keys key.Store, name string) *client {
	w.t.Helper()
	ctx := w.t.Context()
	account := key.Account{ID: naming.AccountID(name), Canonical: "canonical-" + name, DisplayName: strings.ToUpper(name), Email: name + "@example.org"}
	user := key.User{ID: naming.User(account.ID, "admin"), Account: account.ID, Roles: []string{key.RoleAdmin}}
	k := key.Key{AccessKey: "AK" + name, Secret: "secret-of-" + name, User: user.ID}
	for _, err := range []error{
		second(keys.CreateAccount(ctx, account)), second(keys.CreateUser(ctx, user)), keys.CreateKey(ctx, k),
	} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return &client{
		w: w, signer: &sigv4.Signer{AccessKey: k.AccessKey, Secret: k.Secret, Region: "us-east-1"},
		caller: backend.Caller{Principal: access.Principal{Account: account.ID, User: user.ID, Canonical: account.Canonical, Admin: true}},
	}
}

func second[T any](_ T, err error) error { return err }

// bucket makes a bucket of alice's, past the door.
func (w *world) bucket(name string, c bucket.Config) {
	w.t.Helper()
	_, _, err := w.b.CreateContainer(w.t.Context(), w.alice.caller, backend.NewContainer{
		Account: "alice", Name: naming.ContainerName(name), Bucket: naming.BucketName(name), Config: c,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// versioning sets the versioning of "photos", past the door.
func (w *world) versioning(v bucket.Versioning) {
	w.t.Helper()
	_, err := w.b.Configure(w.t.Context(), w.alice.caller, backend.Ref{Bucket: "photos"}, access.PutBucketVersioning,
		func(_ bucket.Container, c *bucket.Config) error {
			c.Versioning = v
			return nil
		})
	if err != nil {
		w.t.Fatal(err)
	}
}

// request builds a signed request; target is sent byte by byte; headers are name, value, name, value.
func (c *client) request(method, target string, body []byte, headers ...string) *http.Request {
	c.w.t.Helper()
	path, query, _ := strings.Cut(target, "?")
	req, err := http.NewRequestWithContext(c.w.t.Context(), method, c.w.srv.URL, bytes.NewReader(body))
	if err != nil {
		c.w.t.Fatal(err)
	}
	req.URL = &url.URL{Scheme: "http", Host: req.URL.Host, Opaque: path, RawQuery: query}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	if c.signer != nil && req.Header.Get("Authorization") == "" {
		sum := sha256.Sum256(body)
		c.signer.SignV4(&sigv4.Request{Method: method, Target: target, Host: req.Host, Header: req.Header, ContentLength: int64(len(body))},
			hex.EncodeToString(sum[:]), time.Now())
	}
	return req
}

// do sends a request and reads the whole answer.
func (c *client) do(method, target string, body []byte, headers ...string) *answer {
	c.w.t.Helper()
	return c.w.send(c.request(method, target, body, headers...))
}

func (w *world) send(req *http.Request) *answer {
	w.t.Helper()
	res, err := w.srv.Client().Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return &answer{t: w.t, status: res.StatusCode, header: res.Header, body: raw, err: err}
}

// want checks the status and, for errors, the code.
func (a *answer) want(status int, code ...string) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if len(code) > 0 && a.code() != code[0] {
		a.t.Fatalf("code %q, want %q: %s", a.code(), code[0], a.body)
	}
	return a
}

// code is the error code in the answer.
func (a *answer) code() string {
	var e struct {
		Code string `xml:"Code"`
	}
	_ = xml.Unmarshal(a.body, &e)
	return e.Code
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

// contains checks that the body has texts.
func (a *answer) contains(texts ...string) *answer {
	a.t.Helper()
	for _, s := range texts {
		if !bytes.Contains(a.body, []byte(s)) {
			a.t.Errorf("the answer has no %q:\n%s", s, a.body)
		}
	}
	return a
}

// element is the text of the first XML element of the name.
func (a *answer) element(name string) string {
	_, rest, ok := strings.Cut(string(a.body), "<"+name+">")
	if !ok {
		a.t.Fatalf("the answer has no <%s>:\n%s", name, a.body)
	}
	text, _, _ := strings.Cut(rest, "</"+name+">")
	return strings.ReplaceAll(text, "&quot;", `"`)
}

// cases are the end-to-end tests of operations, by name. Every served row must have one.
func cases() map[string]func(*testing.T, *world) {
	all := map[string]func(*testing.T, *world){}
	for _, some := range []map[string]func(*testing.T, *world){objectCases(), multipartCases(), absentCases(), bucketCases(), taggingCases(), lockCases(), lifecycleCases(), corsCases(), publicCases(), postCases(), loggingCases(), policyCases(), encryptionCases()} {
		for op, f := range some {
			all[op] = f
		}
	}
	return all
}

// TestServedOperations runs the end-to-end test of each served row and demands that there is one, and that it really
// reached the row.
func TestServedOperations(t *testing.T) {
	all := cases()
	for _, r := range rows() {
		run, ok := all[r.op]
		delete(all, r.op)
		switch {
		case r.state != served && ok:
			t.Errorf("%s is refused and yet has a test", r.op)
		case r.state != served:
		case !ok:
			t.Errorf("%s is served and has no end-to-end test", r.op)
		default:
			t.Run(r.op, func(t *testing.T) {
				reached := make(chan string, 1024)
				w := newWorld(t, func(o *Options) {
					o.Observe = func(ob Observation) {
						if ob.Status < 400 || ob.Status == 404 || ob.Status == 403 {
							reached <- ob.Operation
						}
					}
				})
				run(t, w)
				w.srv.Close() // observations come after answers
				close(reached)
				for op := range reached {
					if op == r.op {
						return
					}
				}
				t.Errorf("the test of %s never reached it", r.op)
			})
		}
	}
	for op := range all {
		t.Errorf("the test of %s belongs to no row", op)
	}
}
