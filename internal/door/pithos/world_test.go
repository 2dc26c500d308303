package pithos

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/swift"
	"pithos/internal/door/wire"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// blockSize is that of the original's tests.
const blockSize = 1024

// statement is one thing that the specification says, and the test of it through HTTP. The table in docs/api/pithos-plus.md is made from these.
type statement struct {
	section string // of the specification
	says    string
	test    func(w *world)
}

// world is a server on loopback over empty memory stores, with the doors of both dialects as the service mounts them, the accounts alice, bob and carol, an
// administrator in each whose token is the account's name, and a container "c" of alice's.
type world struct {
	*testing.T
	stores backend.Stores
	b      *backend.Backend
	d      *Door
	srv    *httptest.Server
	clock  *clock.Manual
	log    *logged

	mu      sync.Mutex
	reached map[string]bool
}

// logged is what a door logs.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, backend.Options{BlockSize: blockSize}, swift.Options{})
}

// newWorldWith is newWorld with options of its own; clock and buffers are set here.
func newWorldWith(t *testing.T, o backend.Options, theirs swift.Options) *world {
	t.Helper()
	w := &world{T: t, clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), log: &logged{}, reached: map[string]bool{}}
	engine := memory.New(w.clock)
	w.stores = backend.Stores{Keys: engine.Keys(), Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: engine.Blobs()}
	o.Clock, o.BufferBytes, o.Distant = w.clock, 32<<20, true
	w.b = backend.New(w.stores, o)
	users := map[string]access.Principal{}
	for _, name := range []string{"alice", "bob", "carol"} {
		id := naming.AccountID(name)
		if _, err := engine.Keys().CreateAccount(t.Context(), key.Account{ID: id, Canonical: "canonical-" + name, DisplayName: strings.ToUpper(name)}); err != nil {
			t.Fatal(err)
		}
		w.user(naming.User(id, "admin"))
		users[name] = access.Principal{Account: id, User: naming.User(id, "admin"), Canonical: "canonical-" + name, Admin: true}
	}
	who := func(_ context.Context, token string) (access.Principal, bool, error) {
		principal, ok := users[token]
		return principal, ok, nil
	}
	w.d = New(w.b, Options{
		Clock: w.clock, Pace: wire.Pace{Grace: time.Hour}, Key: []byte("a key for tests"), Who: who, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		SignIn: func(_ context.Context, user, secret string) (string, key.User, error) {
			if secret != "secret" {
				return "", key.User{}, errs.E("", errs.Unauthenticated, errs.User, user)
			}
			return user, key.User{ID: naming.User(naming.AccountID(user), "admin"), Account: naming.AccountID(user)}, nil
		},
		Observe: func(ob wire.Observation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if ob.Status < 400 {
				w.reached[ob.Operation] = true
			}
		},
	})
	theirs.Who, theirs.Clock = who, w.clock
	other := swift.New(w.b, theirs)
	w.srv = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if Mine(r, swift.Extra) {
			w.d.ServeHTTP(rw, r)
			return
		}
		other.ServeHTTP(rw, r)
	}))
	w.srv.Client().Transport.(*http.Transport).DisableCompression = true
	w.srv.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(w.srv.Close)
	w.do("PUT", "c", "").want(201)
	return w
}

// user makes one more user, "account:name".
func (w *world) user(id naming.UserID) {
	w.Helper()
	account, _ := id.Split()
	if _, err := w.stores.Keys.(key.Writer).CreateUser(w.Context(), key.User{ID: id, Account: account, Roles: []string{key.RoleAdmin}}); err != nil {
		w.Fatal(err)
	}
}

// raw sends bytes over a connection of its own, asks in the last request for its end, and reads the answers. Requests have "Host: h" as their first header.
func (w *world) raw(request string) string {
	w.Helper()
	at := strings.LastIndex(request, "Host: h\r\n")
	return w.over(request[:at]+"Connection: close\r\n"+request[at:], false)
}

// cut sends the beginning of a request and no more.
func (w *world) cut(request string) string {
	w.Helper()
	return w.over(request, true)
}

func (w *world) over(request string, end bool) string {
	w.Helper()
	conn, err := (&net.Dialer{}).DialContext(w.Context(), "tcp", w.srv.Listener.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		w.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		w.Fatal(err)
	}
	if end {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			w.Fatal(err)
		}
	}
	raw, err := io.ReadAll(conn)
	if err != nil {
		w.Fatalf("%v after %q", err, raw)
	}
	return string(raw)
}

// answer is a response, read to its end.
type answer struct {
	*testing.T
	status int
	header http.Header
	body   string
}

// as sends a request as somebody; the path is sent byte by byte below /v1/alice/ unless it begins with "/". Headers are name, value.
func (w *world) as(token, method, path, body string, headers ...string) *answer {
	w.Helper()
	if !strings.HasPrefix(path, "/") {
		slash := "/"
		if path == "" || path[0] == '?' {
			slash = ""
		}
		path = "/v1/alice" + slash + path
	}
	path, query, _ := strings.Cut(path, "?")
	var reader io.Reader = strings.NewReader(body)
	if body == "" && method != http.MethodPut && method != http.MethodPost {
		reader = http.NoBody
	}
	req, err := http.NewRequestWithContext(w.Context(), method, w.srv.URL, reader)
	if err != nil {
		w.Fatal(err)
	}
	req.URL = &url.URL{Scheme: "http", Host: req.URL.Host, Opaque: path, RawQuery: query}
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header[http.CanonicalHeaderKey(headers[i])] = append(req.Header[http.CanonicalHeaderKey(headers[i])], headers[i+1])
	}
	res, err := w.srv.Client().Do(req)
	if err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
	return &answer{w.T, res.StatusCode, res.Header, string(raw)}
}

// do sends a request as alice.
func (w *world) do(method, path, body string, headers ...string) *answer {
	w.Helper()
	return w.as("alice", method, path, body, headers...)
}

// put writes an object of alice's and gives the answer; time moves on by a second.
func (w *world) put(path, body string, headers ...string) *answer {
	w.Helper()
	w.clock.Advance(time.Second)
	return w.do("PUT", path, body, append([]string{"Content-Type", "text/plain"}, headers...)...).want(201)
}

// folder makes a folder marker.
func (w *world) folder(path string, headers ...string) {
	w.Helper()
	w.do("PUT", path, "", append([]string{"Content-Type", "application/directory"}, headers...)...).want(201)
}

func (a *answer) want(status int) *answer {
	a.Helper()
	if a.status != status {
		a.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// has checks headers: name, value, name, value. A value of "" demands absence, "*" presence.
func (a *answer) has(headers ...string) *answer {
	a.Helper()
	for i := 0; i < len(headers); i += 2 {
		got, there := a.header[http.CanonicalHeaderKey(headers[i])]
		switch want := headers[i+1]; {
		case want == "" && there:
			a.Errorf("%s: %q, want none", headers[i], got)
		case want == "*" && !there:
			a.Errorf("no %s", headers[i])
		case want != "" && want != "*" && (len(got) != 1 || got[0] != want):
			a.Errorf("%s: %q, want %q", headers[i], got, want)
		}
	}
	return a
}

// says checks the body.
func (a *answer) says(want string) *answer {
	a.Helper()
	if a.body != want {
		a.Errorf("body %q, want %q", a.body, want)
	}
	return a
}

// mentions checks that the body has each text.
func (a *answer) mentions(texts ...string) *answer {
	a.Helper()
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			a.Errorf("the body has no %q: %s", text, a.body)
		}
	}
	return a
}

// lacks checks that the body has none of the texts.
func (a *answer) lacks(texts ...string) {
	a.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			a.Errorf("the body has %q: %s", text, a.body)
		}
	}
}

// list reads a JSON listing.
func (a *answer) list() (l []map[string]any) {
	a.Helper()
	if err := json.Unmarshal([]byte(a.want(200).body), &l); err != nil {
		a.Fatalf("%v: %s", err, a.body)
	}
	return l
}

// names are those of a JSON listing; virtual entries in brackets.
func (a *answer) names() string {
	a.Helper()
	var names []string
	for _, e := range a.list() {
		if sub, ok := e["subdir"]; ok {
			names = append(names, fmt.Sprintf("[%v]", sub))
		} else {
			names = append(names, fmt.Sprint(e["name"]))
		}
	}
	return strings.Join(names, " ")
}

// wantNames checks a JSON listing.
func (w *world) wantNames(token, path, want string) {
	w.Helper()
	if got := w.as(token, "GET", path, "").names(); got != want {
		w.Errorf("%s: %q, want %q", path, got, want)
	}
}

// gen makes the content that the specification's vectors use: byte k is k mod 251.
func gen(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return string(b)
}

var update = flag.Bool("update", false, "write docs/api/pithos-plus.md anew")

// statements are all of them, in the order of the specification.
func statements() []statement {
	var all []statement
	for _, part := range [][]statement{conceptStatements(), requestStatements(), listingStatements(), objectStatements(), transferStatements(), linkStatements(), signInStatements(), furtherStatements(), limitStatements(), trapStatements(), detailStatements(), dialectStatements(), collisionStatements(), secondStatements(), thirdStatements()} {
		all = append(all, part...)
	}
	slices.SortStableFunc(all, func(a, b statement) int { return slices.Compare(numbers(a.section), numbers(b.section)) })
	return all
}

// numbers are those of a section, "8.4.2"; additions come last.
func numbers(section string) (n []int) {
	for part := range strings.SplitSeq(section, ".") {
		i, err := strconv.Atoi(part)
		if err != nil {
			i = 1000
		}
		n = append(n, i)
	}
	return n
}

func TestStatements(t *testing.T) {
	var mu sync.Mutex
	reached := map[string]bool{}
	t.Run("all", func(t *testing.T) {
		for _, s := range statements() {
			t.Run(s.section+"/"+s.says, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				s.test(w)
				mu.Lock()
				defer mu.Unlock()
				w.mu.Lock()
				defer w.mu.Unlock()
				for op := range w.reached {
					reached[op] = true
				}
			})
		}
	})
	for _, r := range rows() {
		if !reached[r.op] {
			t.Errorf("no statement reaches %s", r.op)
		}
	}
}

// TestTheTableIsTrue compares the document with the statements.
func TestTheTableIsTrue(t *testing.T) {
	const file = "../../../docs/api/pithos-plus.md"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- statements -->\n", "<!-- end of statements -->\n"
	head, rest, ok := bytes.Cut(raw, []byte(begin))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatal("the document has no place for the statements")
	}
	var b bytes.Buffer
	b.Write(head)
	b.WriteString(begin + "| section | statement | test |\n|---|---|---|\n")
	for _, s := range statements() {
		name := strings.ReplaceAll(s.section+"/"+s.says, " ", "_")
		fmt.Fprintf(&b, "| %s | %s | `TestStatements/all/%s` |\n", s.section, s.says, name)
	}
	b.WriteString(end)
	b.Write(tail)
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(raw), b.String()); d != "" {
		t.Errorf("docs/api/pithos-plus.md is not what the statements make; go test ./internal/door/pithos -run Table -update writes it:\n%s", d)
	}
}
