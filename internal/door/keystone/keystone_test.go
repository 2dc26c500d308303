package keystone_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/identity"
	"pithos/internal/door/keystone"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// world is an Identity API, our own, with a way to it from a keystore that is empty.
type world struct {
	*keystone.Service
	t       *testing.T
	clock   *clock.Manual
	there   *identity.Door
	users   key.Store // of the other service
	b       *backend.Backend
	here    key.Store
	asked   atomic.Int64 // requests that reached the other service
	broken  atomic.Bool  // it answers 500
	options keystone.Options
	secret  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), secret: "swift-pw"}
	far := memory.New(w.clock)
	w.users = far.Keys()
	w.b = backend.New(backend.Stores{Keys: w.users, Buckets: far.Buckets(), Meta: far.Meta(), Blobs: far.Blobs()}, backend.Options{Clock: w.clock})
	w.there = identity.New(w.b, identity.Options{Key: bytes.Repeat([]byte{7}, identity.KeyBytes), Clock: w.clock, Keys: w.users})
	for _, a := range []key.Account{{ID: "service", Canonical: "c1"}, {ID: "p1", Canonical: "c2", Project: "proj"}, {ID: "p2", Canonical: "c3", Domain: "distant"}} {
		if _, err := w.users.CreateAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for id, roles := range map[naming.UserID][]string{
		"service:swift": {"service"}, "p1:owner": {"admin"}, "p1:guest": {}, "p1:chief": {"ResellerAdmin"}, "p2:owner": {"admin"},
	} {
		_, name := id.Split()
		hash, err := key.HashPassword(name+"-pw", key.CostHeld)
		if err != nil {
			t.Fatal(err)
		}
		account, _ := id.Split()
		if _, err := w.users.CreateUser(t.Context(), key.User{ID: id, Account: account, Roles: roles, PasswordHash: hash}); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		if w.broken.Load() {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.there.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.here = memory.New(w.clock).Keys()
	w.options = keystone.Options{
		URL: server.URL + "/v3", User: "swift", UserDomain: "Default", Project: "service", ProjectDomain: "Default",
		Password: func() (string, error) { return w.secret, nil }, Clock: w.clock, Keys: w.here, Writer: w.here,
	}
	w.Service = keystone.New(w.options)
	return w
}

// token signs in at the other service.
func (w *world) token(user string) string {
	w.t.Helper()
	_, name, _ := strings.Cut(user, ":")
	rec := httptest.NewRecorder()
	w.there.ServeHTTP(rec, httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/v3/auth/tokens", strings.NewReader(fmt.Sprintf(
		`{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": %q, "password": %q}}}}}`, naming.UserID(user).Opaque(), name+"-pw"))))
	if rec.Code != http.StatusCreated {
		w.t.Fatal(rec.Code, rec.Body)
	}
	return rec.Header().Get("X-Subject-Token")
}

func TestTokensOfAnotherService(t *testing.T) {
	w := newWorld(t)
	who, known, err := w.Who(t.Context(), w.token("p1:owner"))
	if err != nil || !known {
		t.Fatal(known, err)
	}
	id := naming.UserID("p1:owner").Opaque()
	if who.Account != "p1" || who.User != naming.User("p1", id) || who.Name != "owner" || who.Project != "proj" || who.Domain != "" || !who.Admin || who.Operator || !who.Keystone {
		t.Errorf("%+v", who)
	}
	a, err := w.here.Account(t.Context(), "p1")
	if err != nil || a.ProjectName() != "proj" || a.Canonical != who.Canonical || a.Domain != "" {
		t.Errorf("%+v %v", a, err)
	}
	if who, _, err = w.Who(t.Context(), w.token("p1:guest")); err != nil || who.Admin || who.Operator {
		t.Errorf("%+v %v", who, err)
	}
	if who, _, err = w.Who(t.Context(), w.token("p1:chief")); err != nil || !who.Operator {
		t.Errorf("%+v %v", who, err)
	}
	if who, _, err = w.Who(t.Context(), w.token("service:swift")); err != nil || who.Admin || len(who.Roles) == 0 || who.Roles[0] != "service" {
		t.Errorf("%+v %v", who, err)
	}
	if _, err := w.here.Account(t.Context(), "service"); !errs.Is(err, errs.NotFound) {
		t.Errorf("an account was made for somebody who may not write to it: %v", err)
	}
	if who, _, err = w.Who(t.Context(), w.token("p2:owner")); err != nil || who.Domain != "distant" {
		t.Errorf("%+v %v", who, err)
	}
	for _, bad := range []string{"nobody's", "AUTH_tkforged", "with space", "with\x01control", strings.Repeat("x", 9000)} {
		if _, known, err := w.Who(t.Context(), bad); !errs.Is(err, errs.Unauthenticated) || !known {
			t.Errorf("%.20q: %v %v", bad, known, err)
		}
	}
	a.Disabled = true
	if _, err := w.here.UpdateAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Who(t.Context(), w.token("p1:owner")); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("the account is disabled here: %v", err)
	}
}

func TestAnswersAreRemembered(t *testing.T) {
	w := newWorld(t)
	token := w.token("p1:owner")
	ask := func(token string, good bool, want int64) {
		t.Helper()
		before := w.asked.Load()
		_, _, err := w.Who(t.Context(), token)
		if good != (err == nil) || err != nil && !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("good %v: %v", good, err)
		}
		if n := w.asked.Load() - before; n != want {
			t.Errorf("asked %d times, want %d", n, want)
		}
	}
	ask(token, true, 2) // with the own sign-in
	ask(token, true, 0)
	ask("bad", false, 1)
	ask("bad", false, 0)
	w.revoke(token)
	ask(token, true, 0)
	w.clock.Advance(5 * time.Minute)
	ask(token, false, 1)
	fresh := w.token("p1:owner")
	var waiting sync.WaitGroup
	before := w.asked.Load()
	for range 50 {
		waiting.Go(func() {
			if _, _, err := w.Who(t.Context(), fresh); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
	if n := w.asked.Load() - before; n != 1 {
		t.Errorf("50 requests with one token asked %d times", n)
	}
	w.clock.Advance(24*time.Hour - time.Second)
	if _, _, err := w.Who(t.Context(), fresh); err != nil {
		t.Error("before its end:", err)
	}
	w.clock.Advance(time.Second)
	if _, _, err := w.Who(t.Context(), fresh); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("after its end: %v", err)
	}
}

// revoke ends a token at the other service.
func (w *world) revoke(token string) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodDelete, "/v3/auth/tokens", http.NoBody)
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("X-Subject-Token", token)
	rec := httptest.NewRecorder()
	w.there.ServeHTTP(rec, r)
	if rec.Code != http.StatusNoContent {
		w.t.Fatal(rec.Code, rec.Body)
	}
}

func TestServiceThatCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	token := w.token("p1:owner")
	w.broken.Store(true)
	if _, _, err := w.Who(t.Context(), token); !errs.Is(err, errs.Busy) {
		t.Errorf("broken: %v", err)
	}
	w.broken.Store(false)
	if _, _, err := w.Who(t.Context(), token); err != nil {
		t.Errorf("mended: %v", err)
	}
	w.secret = "wrong"
	w.Service = keystone.New(w.options)
	if _, _, err := w.Who(t.Context(), token); !errs.Is(err, errs.Busy) || strings.Contains(err.Error(), token) {
		t.Errorf("wrong password: %v", err)
	}
	w.options.URL = "http://127.0.0.1:1/v3"
	w.Service = keystone.New(w.options)
	if _, _, err := w.Who(t.Context(), token); !errs.Is(err, errs.Busy) {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.Who(ctx, token); err == nil {
		t.Error("the client left")
	}
}

// TestOwnTokenIsRenewed revokes the service user's token under the service's feet.
func TestOwnTokenIsRenewed(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.Who(t.Context(), w.token("p1:owner")); err != nil {
		t.Fatal(err)
	}
	u, err := w.users.User(t.Context(), "service:swift")
	if err != nil {
		t.Fatal(err)
	}
	w.secret = "another-pw"
	if u.PasswordHash, err = key.HashPassword(w.secret, key.CostHeld); err != nil {
		t.Fatal(err)
	}
	if _, err := w.users.UpdateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Who(t.Context(), w.token("p1:owner")); err != nil {
		t.Error("the old token of the service user ended:", err)
	}
	if got := w.Challenge(); got != `Keystone uri="`+w.options.URL+`"` {
		t.Error(got)
	}
}
