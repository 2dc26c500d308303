package server_test

import (
	"context"
	"crypto/hmac"
	"crypto/md5" // ETags
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/door/s3"
	"pithos/internal/door/swift"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/engine/memory"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/worker"
)

var (
	syncSeed  = flag.Uint64("syncseed", 0, "seed of the changes in containers that are synchronised; 0: drawn")
	syncSteps = flag.Int("syncsteps", 300, "changes in containers that are synchronised")
)

const realmKey = "the-key-of-the-realm"

// syncCluster is a service of its own with the account "own", on a clock that it shares with the other.
type syncCluster struct {
	t      *testing.T
	name   string
	clock  *clock.Manual
	engine *memory.Stores
	b      *backend.Backend
	door   *swift.Door
	srv    *httptest.Server
	s3     *httptest.Server
	realms *swift.Realms
	worker *worker.ContainerSync

	mu   sync.Mutex
	puts []string // paths of objects that another cluster put here, with the status of the answer
}

// twoClusters are two services in one realm: "one" and "two".
func twoClusters(t *testing.T) (a, b *syncCluster) {
	t.Helper()
	now := clock.NewManual(time.Now()) // deadlines of connections are the machine's
	a, b = newSyncCluster(t, "one", now), newSyncCluster(t, "two", now)
	realms, err := swift.ParseRealms([]byte("[R]\nkey = " + realmKey + "\ncluster_one = " + a.srv.URL + "/v1/\ncluster_two = " + b.srv.URL + "/v1/\n"))
	if err != nil {
		t.Fatal(err)
	}
	a.realms, b.realms = realms, realms
	return a, b
}

func newSyncCluster(t *testing.T, name string, now *clock.Manual) *syncCluster {
	t.Helper()
	engine := memory.New(now)
	x := &syncCluster{t: t, name: name, clock: now, engine: engine}
	if _, err := engine.Keys().CreateAccount(t.Context(), key.Account{ID: "own", Canonical: "c-own"}); err != nil {
		t.Fatal(err)
	}
	x.b = backend.New(backend.Stores{Keys: engine.Keys(), Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: engine.Blobs()},
		backend.Options{Clock: now, BlockSize: 64 << 10, BufferBytes: 8 << 20})
	x.restart(nil)
	x.door = swift.New(x.b, swift.Options{
		Clock: now,
		Who: func(_ context.Context, token string) (access.Principal, bool, error) {
			return access.Principal{Account: "own", User: naming.UserID("own:" + token), Canonical: "c-own", Admin: token == "admin"}, true, nil
		},
		Sync: swift.Sync{
			Realms: func() *swift.Realms { return x.realms }, Current: "//R/" + name, Changed: func(c *bucket.Container) { x.worker.Changed(c) },
			Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		},
	})
	x.restart(x.door)
	x.srv = httptest.NewServer(http.HandlerFunc(x.serve))
	t.Cleanup(x.srv.Close)
	return x
}

// restart begins with a sender that knows nothing but what the last one noted.
func (x *syncCluster) restart(s worker.Sender) {
	x.worker = worker.NewContainerSync(worker.Syncing{
		Backend: x.b, Keys: x.engine.Keys(), Buckets: x.engine.Buckets(), Meta: x.engine.Meta(), Sender: s, Clock: x.clock, Interval: time.Minute, Alone: true,
	})
}

// recorder sees the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (x *syncCluster) serve(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	x.door.ServeHTTP(rec, r)
	if r.Header.Get("X-Container-Sync-Auth") != "" && r.Method == http.MethodPut {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.puts = append(x.puts, fmt.Sprint(r.URL.Path, " ", rec.status))
	}
}

// received are the PUTs of another cluster since the last call.
func (x *syncCluster) received() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := x.puts
	x.puts = nil
	slices.Sort(list)
	return list
}

type syncAnswer struct {
	status int
	header http.Header
	body   string
}

// do sends a request about CONTAINER/OBJECT as the administrator, a millisecond after the last one.
func (x *syncCluster) do(method, path, body string, headers ...string) syncAnswer {
	x.t.Helper()
	return x.send(method, "/v1/AUTH_own/"+path, body, append([]string{"X-Auth-Token", "admin"}, headers...)...)
}

func (x *syncCluster) send(method, path, body string, headers ...string) syncAnswer {
	x.t.Helper()
	x.clock.Advance(time.Millisecond)
	req, err := http.NewRequestWithContext(x.t.Context(), method, x.srv.URL, strings.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	path, query, _ := strings.Cut(path, "?")
	req.URL = &url.URL{Scheme: "http", Host: req.URL.Host, Opaque: path, RawQuery: query}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := x.srv.Client().Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	return syncAnswer{res.StatusCode, res.Header, string(raw)}
}

func (x *syncCluster) must(status int, method, path, body string, headers ...string) syncAnswer {
	x.t.Helper()
	got := x.do(method, path, body, headers...)
	if got.status != status {
		x.t.Fatalf("%s: %s %s: %d, want %d: %s", x.name, method, path, got.status, status, got.body)
	}
	return got
}

// round lets the sender of a cluster work until it has nothing left.
func (x *syncCluster) round() {
	x.t.Helper()
	x.clock.Advance(3 * time.Second)
	for range 100 {
		again, err := x.worker.Step(x.t.Context())
		if err != nil {
			x.t.Fatal(err)
		}
		if again > 0 {
			return
		}
	}
	x.t.Fatal("the sender finds no end")
}

// content is what a container shows: bytes, type and metadata by name.
func (x *syncCluster) content(container string) map[string]string {
	x.t.Helper()
	list := x.must(http.StatusOK, "GET", container+"?format=json", "")
	var entries []struct{ Name string }
	if err := json.Unmarshal([]byte(list.body), &entries); err != nil {
		x.t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		got := x.must(http.StatusOK, "GET", container+"/"+url.PathEscape(e.Name), "")
		all[e.Name] = fmt.Sprintf("%s %s %q %s", got.header.Get("X-Timestamp"), got.header.Get("Content-Type"), got.header.Get("X-Object-Meta-Shade"), got.body)
	}
	return all
}

// pair makes a container in each cluster that sends to the other.
func pair(a, b *syncCluster, name string) {
	a.must(http.StatusCreated, "PUT", name, "", "X-Container-Sync-To", "//r/TWO/AUTH_own/"+name, "X-Container-Sync-Key", "secret")
	b.must(http.StatusCreated, "PUT", name, "", "X-Container-Sync-To", "//R/one/AUTH_own/"+name, "X-Container-Sync-Key", "secret")
}

func TestContainerSyncCarriesChangesBothWaysAndEnds(t *testing.T) {
	a, b := twoClusters(t)
	pair(a, b, "box")
	a.must(http.StatusCreated, "PUT", "box/photo%20%231.jpg", "bytes", "Content-Type", "image/jpeg", "X-Object-Meta-Shade", "dark", "Content-Encoding", "none", "X-Delete-At", "4000000000")
	a.must(http.StatusCreated, "PUT", "box/empty", "", "Content-Type", "text/plain")
	b.must(http.StatusCreated, "PUT", "box/theirs", "from two", "Content-Type", "text/plain")
	if want, got := []string{}, b.received(); len(got) != len(want) {
		t.Errorf("before any round: %v", got)
	}
	a.round()
	if diff := cmp.Diff([]string{"/v1/AUTH_own/box/empty 201", "/v1/AUTH_own/box/photo #1.jpg 201"}, b.received()); diff != "" {
		t.Error(diff)
	}
	b.round()
	a.round()
	b.round()
	if diff := cmp.Diff([]string{"/v1/AUTH_own/box/theirs 201"}, a.received()); diff != "" {
		t.Error(diff)
	}
	if again := b.received(); len(again) > 0 {
		t.Errorf("what came from there was sent back: %v", again)
	}
	if diff := cmp.Diff(a.content("box"), b.content("box")); diff != "" || len(a.content("box")) != 3 {
		t.Error(diff)
	}
	here, there := a.do("HEAD", "box/photo%20%231.jpg", "").header, b.do("HEAD", "box/photo%20%231.jpg", "").header
	for _, name := range []string{"Etag", "Last-Modified", "X-Timestamp", "X-Delete-At", "Content-Encoding", "X-Object-Meta-Shade", "Content-Type", "Content-Length"} {
		if here.Get(name) != there.Get(name) || here.Get(name) == "" {
			t.Errorf("%s: %q there, %q here", name, there.Get(name), here.Get(name))
		}
	}

	// A change of metadata, a replacement and deletions, some through the other end.
	b.must(http.StatusAccepted, "POST", "box/photo%20%231.jpg", "", "X-Object-Meta-Shade", "light", "Content-Type", "image/jpeg")
	a.must(http.StatusCreated, "PUT", "box/theirs", "from one", "Content-Type", "text/plain")
	b.must(http.StatusNoContent, "DELETE", "box/empty", "")
	before := a.worker.Total().Known + b.worker.Total().Known
	for range 2 {
		a.round()
		b.round()
	}
	if diff := cmp.Diff(a.content("box"), b.content("box")); diff != "" || len(a.content("box")) != 2 {
		t.Error(diff)
	}
	if known := a.worker.Total().Known + b.worker.Total().Known - before; known > 3 {
		t.Errorf("%d changes were asked for that were known", known)
	}
	// Now nothing moves any more.
	quiet := a.worker.Total()
	a.received()
	b.received()
	a.round()
	b.round()
	if diff := cmp.Diff(quiet, a.worker.Total()); diff != "" || len(a.received())+len(b.received()) > 0 {
		t.Errorf("it goes on: %s", diff)
	}
	// The trace of what was deleted goes by itself.
	versions := func() int64 {
		u, err := b.b.ContainerUsage(t.Context(), backend.Caller{Principal: access.Principal{Operator: true}}, backend.Ref{Account: "own", Name: "box"})
		if err != nil {
			t.Fatal(err)
		}
		return u.Versions
	}
	if n := versions(); n != 3 {
		t.Errorf("%d versions, want two and a trace", n)
	}
	b.clock.Advance(8 * 24 * time.Hour)
	if _, err := worker.NewExpirer(worker.Expiring{Meta: b.engine.Meta(), Clock: b.clock, Interval: time.Minute}).Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := versions(); n != 2 {
		t.Errorf("%d versions are left, want two", n)
	}
	// What was deleted leaves nothing behind that clients see, or that keeps the container.
	a.must(http.StatusNotFound, "GET", "box/empty", "")
	for name := range a.content("box") {
		a.must(http.StatusNoContent, "DELETE", "box/"+url.PathEscape(name), "")
	}
	a.must(http.StatusNoContent, "DELETE", "box", "")
}

// TestContainerSyncAgreesWithAModel makes random changes in both containers, and rounds at random; in the end both hold the last change of each name.
func TestContainerSyncAgreesWithAModel(t *testing.T) {
	seed := *syncSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-syncseed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	a, b := twoClusters(t)
	pair(a, b, "box")
	model := map[string]string{}
	for i := range *syncSteps {
		x := []*syncCluster{a, b}[rng.IntN(2)]
		name := string(rune('a' + rng.IntN(6)))
		switch rng.IntN(10) {
		case 0, 1:
			x.round()
		case 2:
			x.restart(x.door)
		case 3, 4, 5:
			if got := x.do("DELETE", "box/"+name, ""); got.status == http.StatusNoContent {
				delete(model, name) // else what there may be has not come yet, and stays
			}
		default:
			text := fmt.Sprint("text ", i)
			x.must(http.StatusCreated, "PUT", "box/"+name, text, "Content-Type", "text/plain")
			model[name] = text
		}
	}
	for range 2 {
		a.round()
		b.round()
	}
	one, two := a.content("box"), b.content("box")
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("the containers differ:\n%s", diff)
	}
	for name, text := range one {
		_, one[name], _ = strings.Cut(text, `"" `)
	}
	if diff := cmp.Diff(model, one); diff != "" {
		t.Errorf("not the last changes:\n%s", diff)
	}
}

// syncSign signs a request as another cluster does.
func syncSign(method, path, at, userKey, realm string) string {
	mac := hmac.New(sha1.New, []byte(realm))
	_, _ = io.WriteString(mac, method+"\n"+path+"\n"+at+"\nnonce\n"+userKey)
	return "R nonce " + hex.EncodeToString(mac.Sum(nil))
}

func TestContainerSyncTakesOnlySignedChangesInTheirOrder(t *testing.T) {
	_, b := twoClusters(t)
	b.must(http.StatusCreated, "PUT", "box", "", "X-Container-Sync-Key", "secret")
	b.must(http.StatusCreated, "PUT", "plain", "")
	seconds := func(by time.Duration) string {
		us := b.clock.Now().Add(by).UnixMicro()
		return fmt.Sprintf("%d.%05d", us/1e6, us/10%1e5)
	}
	type request struct{ method, path, at, auth, body string }
	ask := func(r request) syncAnswer {
		return b.send(r.method, r.path, r.body, "X-Timestamp", r.at, "X-Container-Sync-Auth", r.auth, "Content-Type", "text/plain")
	}
	good := func(method, path, at, body string) request {
		return request{method, path, at, syncSign(method, path, at, "secret", realmKey), body}
	}
	const object = "/v1/AUTH_own/box/o"
	now := seconds(0)
	for what, r := range map[string]request{
		"another key of the container": {"PUT", object, now, syncSign("PUT", object, now, "other", realmKey), "x"},
		"another key of the realm":     {"PUT", object, now, syncSign("PUT", object, now, "secret", "other"), "x"},
		"another method":               {"DELETE", object, now, syncSign("PUT", object, now, "secret", realmKey), ""},
		"another object":               {"PUT", object + "2", now, syncSign("PUT", object, now, "secret", realmKey), "x"},
		"another time":                 {"PUT", object, seconds(-time.Second), syncSign("PUT", object, now, "secret", realmKey), "x"},
		"another realm":                {"PUT", object, now, "Q" + syncSign("PUT", object, now, "secret", realmKey)[1:], "x"},
		"no signature":                 {"PUT", object, now, "R nonce", "x"},
		"a container without a key":    {"PUT", "/v1/AUTH_own/plain/o", now, syncSign("PUT", "/v1/AUTH_own/plain/o", now, "", realmKey), "x"},
		"no such container":            {"PUT", "/v1/AUTH_own/none/o", now, syncSign("PUT", "/v1/AUTH_own/none/o", now, "secret", realmKey), "x"},
		"no such account":              {"PUT", "/v1/AUTH_none/box/o", now, syncSign("PUT", "/v1/AUTH_none/box/o", now, "secret", realmKey), "x"},
	} {
		got := ask(r)
		if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("Www-Authenticate"), "SwiftContainerSync ") {
			t.Errorf("%s: %d %s", what, got.status, got.header.Get("Www-Authenticate"))
		}
	}
	for what, c := range map[string]struct {
		request
		status int
	}{
		"reading":            {good("GET", object, now, ""), http.StatusMethodNotAllowed},
		"metadata":           {good("POST", object, now, ""), http.StatusMethodNotAllowed},
		"a listing":          {good("GET", "/v1/AUTH_own/box", now, ""), http.StatusMethodNotAllowed},
		"the container":      {good("DELETE", "/v1/AUTH_own/box", now, ""), http.StatusMethodNotAllowed},
		"no time":            {good("PUT", object, "soon", "x"), http.StatusBadRequest},
		"a clock far ahead":  {good("PUT", object, seconds(time.Hour), "x"), http.StatusBadRequest},
		"nothing to look at": {good("HEAD", object, now, ""), http.StatusNotFound},
		"nothing to delete":  {good("DELETE", object, seconds(-time.Hour), ""), http.StatusNotFound},
	} {
		if got := ask(c.request); got.status != c.status {
			t.Errorf("%s: %d, want %d: %s", what, got.status, c.status, got.body)
		}
	}
	b.must(http.StatusNotFound, "GET", "box/o", "")
	at := func(by time.Duration) string { return seconds(by - time.Minute) }
	want := func(status int, r request) {
		t.Helper()
		if got := ask(r); got.status != status {
			t.Errorf("%s at %s: %d, want %d: %s", r.method, r.at, got.status, status, got.body)
		}
	}
	t2 := at(2 * time.Second)
	want(http.StatusCreated, good("PUT", object, t2, "second"))
	want(http.StatusAccepted, good("PUT", object, t2, "again"))
	want(http.StatusAccepted, good("PUT", object, at(time.Second), "first"))
	want(http.StatusConflict, good("DELETE", object, at(time.Second), ""))
	if got := b.must(http.StatusOK, "GET", "box/o", ""); got.body != "second" || got.header.Get("X-Timestamp") != t2 {
		t.Errorf("%s of %s", got.body, got.header.Get("X-Timestamp"))
	}
	t3 := at(3 * time.Second)
	want(http.StatusNoContent, good("DELETE", object, t3, ""))
	want(http.StatusNotFound, good("DELETE", object, t3, ""))
	want(http.StatusAccepted, good("PUT", object, t2, "second"))
	b.must(http.StatusNotFound, "GET", "box/o", "")
	want(http.StatusCreated, good("PUT", object, at(4*time.Second), "fourth"))
	b.must(http.StatusCreated, "PUT", "box/o", "written here")
	want(http.StatusAccepted, good("PUT", object, at(5*time.Second), "fifth"))
	// A clock that is somewhat ahead does not hold back what is written here.
	want(http.StatusCreated, good("PUT", object, seconds(time.Minute), "ahead"))
	b.must(http.StatusCreated, "PUT", "box/o", "last")
	if got := b.must(http.StatusOK, "GET", "box/o", ""); got.body != "last" {
		t.Error(got.body)
	}
}

// cutting is a sender that is killed after some changes.
type cutting struct {
	worker.Sender
	left atomicInt
	kill context.CancelFunc
}

type atomicInt struct {
	mu sync.Mutex
	n  int
}

func (a *atomicInt) take() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n--
	return a.n
}

func (c *cutting) SendChange(ctx context.Context, in *bucket.Container, name naming.ObjectName, pace func(context.Context, int) error) (backend.Sent, error) {
	if c.left.take() < 0 {
		c.kill()
		return backend.Sent{}, ctx.Err()
	}
	return c.Sender.SendChange(context.WithoutCancel(ctx), in, name, pace) // what was begun arrives, so that it can be counted
}

func TestContainerSyncGoesOnWhereAKilledSenderCame(t *testing.T) {
	a, b := twoClusters(t)
	pair(a, b, "box")
	const objects, batch = 350, 256
	for i := range objects {
		a.must(http.StatusCreated, "PUT", fmt.Sprintf("box/%03d", i), "x", "Content-Type", "text/plain")
	}
	ctx, kill := context.WithCancel(t.Context())
	a.restart(&cutting{Sender: a.door, left: atomicInt{n: batch + 40}, kill: kill})
	a.clock.Advance(3 * time.Second)
	for ctx.Err() == nil {
		if _, err := a.worker.Step(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	first := len(b.received())
	if first < batch || first > batch+40 {
		t.Fatalf("%d objects were sent before it was killed", first)
	}
	a.restart(a.door)
	a.round()
	if rest := len(b.received()); first+rest != objects {
		t.Errorf("%d objects were sent twice", first+rest-objects)
	}
	if known := a.worker.Total().Known; known != int64(first-batch) {
		t.Errorf("%d changes were asked for again, want those after the last note: %d", known, first-batch)
	}
	if n := len(b.content("box")); n != objects {
		t.Errorf("%d objects came", n)
	}
	// Somewhere else all is sent anew.
	b.must(http.StatusCreated, "PUT", "other", "", "X-Container-Sync-Key", "secret")
	a.must(http.StatusNoContent, "POST", "box", "", "X-Container-Sync-To", "//r/two/AUTH_own/other")
	a.round()
	if n := len(b.content("other")); n != objects {
		t.Errorf("%d objects came to the other container", n)
	}
}

func TestContainerSyncWaitsForWhoRefuses(t *testing.T) {
	a, b := twoClusters(t)
	a.must(http.StatusCreated, "PUT", "box", "", "X-Container-Sync-To", "//r/two/AUTH_own/box", "X-Container-Sync-Key", "secret")
	a.must(http.StatusCreated, "PUT", "box/o", "x")
	a.round() // no such container there
	b.must(http.StatusCreated, "PUT", "box", "", "X-Container-Sync-Key", "another")
	a.clock.Advance(10 * time.Minute)
	a.round() // another key
	if total := a.worker.Total(); total.Puts != 0 || total.Failures != 2 {
		t.Errorf("%+v", total)
	}
	a.round() // too early
	if total := a.worker.Total(); total.Failures != 2 {
		t.Errorf("it does not wait: %+v", total)
	}
	b.must(http.StatusNoContent, "POST", "box", "", "X-Container-Sync-Key", "secret", "X-Container-Meta-Quota-Bytes", "10")
	a.must(http.StatusCreated, "PUT", "box/large", strings.Repeat("x", 100))
	a.must(http.StatusCreated, "PUT", "box/p", "x")
	a.clock.Advance(10 * time.Minute)
	a.round()
	if diff := cmp.Diff([]string{"o", "p"}, slices.Sorted(maps.Keys(b.content("box")))); diff != "" {
		t.Errorf("one that is refused keeps the others: %s", diff)
	}
	b.must(http.StatusNoContent, "POST", "box", "", "X-Container-Meta-Quota-Bytes", "1000")
	a.restart(a.door) // it is noted
	a.clock.Advance(time.Hour)
	a.round()
	if diff := cmp.Diff([]string{"large", "o", "p"}, slices.Sorted(maps.Keys(b.content("box")))); diff != "" {
		t.Error(diff)
	}
}

func TestContainerSyncCarriesLargeObjectsAndLinks(t *testing.T) {
	a, b := twoClusters(t)
	pair(a, b, "big")
	pair(a, b, "segments")
	sum := md5.Sum([]byte("one"))
	a.must(http.StatusCreated, "PUT", "segments/s1", "one")
	a.must(http.StatusCreated, "PUT", "segments/s2", "two")
	a.must(http.StatusCreated, "PUT", "big/static?multipart-manifest=put",
		`[{"path":"segments/s1","etag":"`+hex.EncodeToString(sum[:])+`","size_bytes":3},{"path":"segments/s2","range":"0-1"},{"data":"ISE="}]`, "Content-Type", "video/x-own")
	a.must(http.StatusCreated, "PUT", "big/dynamic", "", "X-Object-Manifest", "segments/s", "Content-Type", "text/plain")
	a.must(http.StatusCreated, "PUT", "big/link", "", "X-Symlink-Target", "segments/s1")
	a.must(http.StatusCreated, "PUT", "big/pinned", "", "X-Symlink-Target", "segments/s1", "X-Symlink-Target-Etag", hex.EncodeToString(sum[:]))
	for range 3 { // a manifest that is there before its segments is refused, and comes later
		a.round()
		a.clock.Advance(time.Hour)
		b.round()
	}
	for _, name := range []string{"static", "dynamic", "link", "pinned"} {
		here, there := a.must(http.StatusOK, "GET", "big/"+name, ""), b.must(http.StatusOK, "GET", "big/"+name, "")
		if here.body != there.body || here.header.Get("Etag") != there.header.Get("Etag") || here.header.Get("Content-Type") != there.header.Get("Content-Type") {
			t.Errorf("%s: %q %q there, %q %q here", name, there.body, there.header, here.body, here.header)
		}
	}
	if got := b.must(http.StatusOK, "GET", "big/static", ""); got.body != "onetw!!" || got.header.Get("X-Static-Large-Object") != "True" {
		t.Errorf("%q %v", got.body, got.header)
	}
	for _, name := range []string{"link", "pinned"} {
		if got := b.must(http.StatusOK, "HEAD", "big/"+name+"?symlink=get", ""); got.header.Get("X-Symlink-Target") != "segments/s1" {
			t.Errorf("%s: %v", name, got.header)
		}
	}
	// Segments of containers that take no part are nobody's business.
	a.must(http.StatusCreated, "PUT", "private", "")
	a.must(http.StatusCreated, "PUT", "private/1", "one")
	b.must(http.StatusCreated, "PUT", "private", "")
	b.must(http.StatusCreated, "PUT", "private/1", "one")
	a.must(http.StatusCreated, "PUT", "big/theft?multipart-manifest=put", `[{"path":"private/1"}]`)
	a.round()
	b.must(http.StatusNotFound, "GET", "big/theft", "")
}

func TestContainerSyncGoesOnlyWhereItMay(t *testing.T) {
	a, _ := twoClusters(t)
	a.must(http.StatusCreated, "PUT", "box", "")
	for to, says := range map[string]string{
		"//r/two/AUTH_own":                         "Invalid X-Container-Sync-To format",
		"//r/two/AUTH_own/box/o":                   "Invalid X-Container-Sync-To format",
		"//r/two/../box":                           "Invalid X-Container-Sync-To format",
		"//r/two/AUTH_own/..":                      "Invalid X-Container-Sync-To format",
		"//r/two/AUTH_own/a%2Fb":                   "Invalid X-Container-Sync-To format",
		"//r/two/AUTH_own%3F/box":                  "Invalid X-Container-Sync-To format",
		"//none/two/AUTH_own/box":                  "No realm key for",
		"//r/three/AUTH_own/box":                   "No cluster endpoint for",
		"http://127.0.0.1:1/v1/AUTH_own/box":       "Invalid host",
		"http://169.254.169.254/latest/meta-data/": "Invalid host",
		a.srv.URL + "/v1/AUTH_own/box":             "Invalid host",
		"ftp://host/v1/AUTH_own/box":               "Invalid scheme",
		"box":                                      "Invalid scheme",
	} {
		if got := a.do("POST", "box", "", "X-Container-Sync-To", to, "X-Container-Sync-Key", "k"); got.status != http.StatusBadRequest || !strings.Contains(got.body, says) {
			t.Errorf("%s: %d %s", to, got.status, got.body)
		}
	}
	if h := a.do("HEAD", "box", "").header; h.Get("X-Container-Sync-To")+h.Get("X-Container-Sync-Key") != "" {
		t.Error("a refused destination is kept")
	}
	a.must(http.StatusNoContent, "POST", "box", "", "X-Container-Sync-To", "//r/two/AUTH_own/some%20box", "X-Container-Sync-Key", "k")
	if h := a.do("HEAD", "box", "").header; h.Get("X-Container-Sync-To") != "//r/two/AUTH_own/some%20box" || h.Get("X-Container-Sync-Key") != "k" {
		t.Errorf("%v", h)
	}
	a.must(http.StatusBadRequest, "POST", "box", "", "X-Versions-Enabled", "true")
	a.must(http.StatusNoContent, "POST", "box", "", "X-Remove-Container-Sync-To", "x", "X-Container-Sync-Key", "")
	if h := a.do("HEAD", "box", "").header; h.Get("X-Container-Sync-To")+h.Get("X-Container-Sync-Key") != "" {
		t.Errorf("%v", h)
	}
	a.must(http.StatusNoContent, "POST", "box", "", "X-Versions-Enabled", "true")
	a.must(http.StatusBadRequest, "POST", "box", "", "X-Container-Sync-To", "//r/two/AUTH_own/box")
	info := a.send("GET", "/info", "")
	if !strings.Contains(info.body, `"container_sync":{"realms":{"R":{"clusters":{"ONE":{"current":true},"TWO":{}}}}}`) {
		t.Error(info.body)
	}
}

// TestContainerSyncTellsOfDeletionsAtOtherDoors deletes through S3.
func TestContainerSyncTellsOfDeletionsAtOtherDoors(t *testing.T) {
	a, b := twoClusters(t)
	user := key.User{ID: "own:admin", Account: "own", Roles: []string{key.RoleAdmin}}
	if _, err := a.engine.Keys().CreateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if err := a.engine.Keys().CreateKey(t.Context(), key.Key{AccessKey: "ACCESS", User: user.ID, Secret: "secret"}); err != nil {
		t.Fatal(err)
	}
	a.s3 = httptest.NewServer(s3.New(a.b, s3.Options{Clock: a.clock}))
	t.Cleanup(a.s3.Close)
	pair(a, b, "bucket")
	a.must(http.StatusCreated, "PUT", "bucket/o", "x")
	a.round()
	signer := &sigv4.Signer{AccessKey: "ACCESS", Secret: "secret", Region: "us-east-1"}
	do := func(method, target string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, a.s3.URL+target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		signer.SignV4(&sigv4.Request{Method: method, Target: target, Host: req.URL.Host, Header: req.Header}, "UNSIGNED-PAYLOAD", a.clock.Now())
		res, err := a.s3.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, string(raw)
	}
	for range 2 {
		if status, h, body := do("DELETE", "/bucket/o"); status != http.StatusNoContent || h.Get("X-Amz-Delete-Marker") == "true" {
			t.Errorf("%d %v %s", status, h, body)
		}
	}
	if status, h, _ := do("GET", "/bucket/o"); status != http.StatusNotFound || h.Get("X-Amz-Delete-Marker") == "true" {
		t.Errorf("%d %v", status, h)
	}
	if status, _, body := do("GET", "/bucket?versions"); status != http.StatusOK || strings.Contains(body, "<DeleteMarker>") {
		t.Errorf("%d %s", status, body)
	}
	a.round()
	b.must(http.StatusNotFound, "GET", "bucket/o", "")
	if status, _, body := do("DELETE", "/bucket"); status != http.StatusNoContent {
		t.Errorf("the trace keeps the bucket: %d %s", status, body)
	}
}

// TestServersSynchroniseContainers has two whole servers, as their configuration makes them.
func TestServersSynchroniseContainers(t *testing.T) {
	dir := t.TempDir()
	realms := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("[r]\nkey = "+realmKey+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	to := start(t, filepath.Join(dir, "to"), func(c *config.Config) {
		c.OpenStack.Listen, c.OpenStack.Sync.Realms = "127.0.0.1:0", realms("to.conf", "")
	})
	from := start(t, filepath.Join(dir, "from"), func(c *config.Config) {
		c.OpenStack.Listen, c.OpenStack.Sync.Interval = "127.0.0.1:0", time.Second
		c.OpenStack.Sync.Realms = realms("from.conf", "cluster_to = "+to.OpenStack+"/v1/\n")
	})
	do := func(method, path, body string, headers ...string) (int, http.Header) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode, res.Header
	}
	account := func(r *running) (url, token string) {
		t.Helper()
		_, h := do(http.MethodGet, r.OpenStack+"/auth/v1.0", "", "X-Auth-User", r.Credentials.User, "X-Auth-Key", r.Credentials.Secret)
		return h.Get("X-Storage-Url"), h.Get("X-Auth-Token")
	}
	there, theirs := account(to)
	here, ours := account(from)
	if code, _ := do(http.MethodPut, there+"/box", "", "X-Auth-Token", theirs, "X-Container-Sync-Key", "secret"); code != http.StatusCreated {
		t.Fatal(code)
	}
	code, _ := do(http.MethodPut, here+"/box", "", "X-Auth-Token", ours, "X-Container-Sync-Key", "secret",
		"X-Container-Sync-To", "//r/to/"+there[strings.LastIndex(there, "/")+1:]+"/box")
	if code != http.StatusCreated {
		t.Fatal(code)
	}
	if code, _ := do(http.MethodPut, here+"/box/o", "bytes", "X-Auth-Token", ours); code != http.StatusCreated {
		t.Fatal(code)
	}
	late := time.NewTimer(2 * time.Minute)
	defer late.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if code, _ := do(http.MethodGet, there+"/box/o", "", "X-Auth-Token", theirs); code == http.StatusOK {
			break
		}
		select {
		case <-late.C:
			t.Fatalf("the object does not come:\n%s", from.log)
		case <-tick.C:
		}
	}
	if _, body := get(t, from.Admin+"/metrics"); !strings.Contains(body, `pithos_task_done_total{task="container-sync",what="sent_bytes"} `) {
		t.Error("the metrics do not tell of it")
	}
	if log := from.log.String() + to.log.String(); strings.Contains(log, realmKey) {
		t.Error("the log shows the key of the realm")
	}
}
