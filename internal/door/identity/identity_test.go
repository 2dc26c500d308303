package identity_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/identity"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/store/key"
)

// world is a sign-in door with the user "test:tester", who has the password "testing" and an access key.
type world struct {
	door  *identity.Door
	b     *backend.Backend
	keys  key.Store
	clock *clock.Manual
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	engine := memory.New(w.clock)
	w.keys = engine.Keys()
	w.b = backend.New(backend.Stores{Keys: w.keys, Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: engine.Blobs()}, backend.Options{Clock: w.clock})
	w.door = identity.New(w.b, identity.Options{Key: bytes.Repeat([]byte{7}, identity.KeyBytes), Clock: w.clock, Keys: w.keys, Writer: w.keys})
	if _, err := w.keys.CreateAccount(t.Context(), key.Account{ID: "test", Canonical: "canonical"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.keys.CreateUser(t.Context(), key.User{ID: "test:tester", Account: "test", Roles: []string{key.RoleAdmin}, PasswordHash: hash(t, "testing")}); err != nil {
		t.Fatal(err)
	}
	if err := w.keys.CreateKey(t.Context(), key.Key{AccessKey: "AK", Secret: "secret-key", User: "test:tester"}); err != nil {
		t.Fatal(err)
	}
	return w
}

func hash(t *testing.T, password string) string {
	t.Helper()
	h, err := key.HashPassword(password, key.CostHeld)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends a request with headers name, value, name, value.
func (w *world) ask(t *testing.T, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://swift.example"+path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.door.ServeHTTP(rec, r)
	return rec
}

// token signs in.
func (w *world) token(t *testing.T, secret string) string {
	t.Helper()
	rec := w.ask(t, "GET", "/auth/v1.0", "X-Auth-User", "test:tester", "X-Auth-Key", secret)
	if rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return rec.Header().Get("X-Auth-Token")
}

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	for _, good := range [][]string{
		{"/auth/v1.0", "X-Auth-User", "test:tester", "X-Auth-Key", "testing"},
		{"/auth/v1.0/", "X-Auth-User", "test:tester", "X-Auth-Key", "secret-key"},
		{"/auth/v1.0", "X-Storage-User", "test:tester", "X-Storage-Pass", "testing"},
		{"/auth/auth", "X-Auth-User", "test:tester", "X-Auth-Key", "testing"},
		{"/auth/v1/test/auth", "X-Storage-User", "tester", "X-Storage-Pass", "testing"},
		{"/auth/v1/test/auth", "X-Auth-User", "test:tester", "X-Auth-Key", "testing"},
	} {
		rec := w.ask(t, "GET", good[0], good[1:]...)
		h := rec.Header()
		if rec.Code != 200 || h.Get("X-Storage-Url") != "http://swift.example/v1/AUTH_test" || h.Get("X-Auth-Token-Expires") != "86400" ||
			h.Get("X-Auth-Token") == "" || h.Get("X-Storage-Token") != h.Get("X-Auth-Token") || h.Get("X-Trans-Id") == "" {
			t.Errorf("%q: %d %v", good, rec.Code, h)
		}
	}
	for _, bad := range [][]string{
		{"/auth/v1.0"},
		{"/auth/v1.0", "X-Auth-User", "test:tester"},
		{"/auth/v1.0", "X-Auth-User", "tester", "X-Auth-Key", "testing"},
		{"/auth/v1.0", "X-Auth-User", "test:tester", "X-Auth-Key", "wrong"},
		{"/auth/v1.0", "X-Auth-User", "test:nobody", "X-Auth-Key", "testing"},
		{"/auth/v1/other/auth", "X-Auth-User", "test:tester", "X-Auth-Key", "testing"},
	} {
		if rec := w.ask(t, "GET", bad[0], bad[1:]...); rec.Code != 401 || !strings.HasPrefix(rec.Header().Get("Www-Authenticate"), `Swift realm="`) || rec.Header().Get("X-Auth-Token") != "" {
			t.Errorf("%q: %d %v", bad, rec.Code, rec.Header())
		}
	}
	if rec := w.ask(t, "POST", "/auth/v1.0"); rec.Code != 405 || rec.Header().Get("Allow") != "GET" {
		t.Error(rec.Code)
	}
	if rec := w.ask(t, "GET", "/auth/v9"); rec.Code != 404 {
		t.Error(rec.Code)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	good := func(token string) bool {
		t.Helper()
		who, known, err := w.door.Who(t.Context(), token)
		if err != nil && !errs.Is(err, errs.Unauthenticated) || !known {
			t.Fatal(known, err)
		}
		if err == nil && (who.User != "test:tester" || who.Account != "test" || !who.Admin) {
			t.Fatalf("%+v", who)
		}
		return err == nil
	}
	byPassword, byKey := w.token(t, "testing"), w.token(t, "secret-key")
	if !good(byPassword) || !good(byKey) || byPassword == w.token(t, "testing") {
		t.Fatal("fresh tokens")
	}
	for i := len("AUTH_tk"); i < len(byPassword); i++ {
		forged := []byte(byPassword)
		forged[i] ^= 1
		if string(forged) != byPassword && good(string(forged)) {
			t.Fatalf("a token with character %d changed is good", i)
		}
	}
	other := identity.New(w.b, identity.Options{Key: bytes.Repeat([]byte{8}, identity.KeyBytes), Clock: w.clock})
	if _, _, err := other.Who(t.Context(), byKey); !errs.Is(err, errs.Unauthenticated) {
		t.Error("a token of another service is good")
	}
	if _, known, err := w.door.Who(t.Context(), "somebody else's"); known || err != nil {
		t.Error("a stranger's token is not the public's")
	}
	user, err := w.keys.User(t.Context(), "test:tester")
	if err != nil {
		t.Fatal(err)
	}
	user.PasswordHash = hash(t, "new")
	if user, err = w.keys.UpdateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if good(byPassword) || !good(byKey) {
		t.Error("a new password must end the old one's tokens, and no others")
	}
	fresh := w.token(t, "new")
	if err := w.keys.RemoveKey(t.Context(), "AK"); err != nil {
		t.Fatal(err)
	}
	if good(byKey) || !good(fresh) {
		t.Error("the removal of a key must end its tokens, and no others")
	}
	w.clock.Advance(24*time.Hour - time.Second)
	if !good(fresh) {
		t.Error("ended too early")
	}
	w.clock.Advance(time.Second)
	if good(fresh) {
		t.Error("an expired token is good")
	}
	fresh = w.token(t, "new")
	user.Disabled = true
	if _, err = w.keys.UpdateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if good(fresh) {
		t.Error("the token of a disabled user is good")
	}
}
