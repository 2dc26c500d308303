package transit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pithos/internal/engine/transit"
	"pithos/internal/errs"
	"pithos/internal/seal"
)

// vault is a stand-in for a Vault server with a transit engine: the paths, bodies, statuses and words of its API documentation ("Transit secrets
// engine (API)": generate data key, decrypt data) that this package uses. It is no Vault: it keeps data keys in a map.
type vault struct {
	mu      sync.Mutex
	keys    map[string]map[string]string // by name: ciphertext to plaintext
	refuse  int
	seen    []string // paths
	headers http.Header
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen, v.headers = append(v.seen, r.URL.Path), r.Header.Clone()
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	fail := func(status int, text string) { answer(status, map[string]any{"errors": []string{text}}) }
	var in struct {
		Bits       int    `json:"bits"`
		Ciphertext string `json:"ciphertext"`
	}
	switch {
	case v.refuse != 0:
		fail(v.refuse, "no")
		return
	case r.Header.Get("X-Vault-Token") != "s.token":
		fail(http.StatusForbidden, "permission denied")
		return
	case r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&in) != nil:
		fail(http.StatusBadRequest, "bad request")
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/v1/secrets/transit/datakey/plaintext/"); ok {
		known := v.keys[name]
		if known == nil {
			fail(http.StatusBadRequest, "encryption key not found")
			return
		}
		key := seal.NewSecret()
		plain := base64.StdEncoding.EncodeToString(key[:in.Bits/8])
		cipher := "vault:v1:" + strings.Repeat("x", len(known)+1)
		known[cipher] = plain
		answer(http.StatusOK, map[string]any{"data": map[string]any{"plaintext": plain, "ciphertext": cipher, "key_version": 1}})
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/v1/secrets/transit/decrypt/"); ok {
		plain, found := v.keys[name][in.Ciphertext]
		switch {
		case v.keys[name] == nil:
			fail(http.StatusBadRequest, "encryption key not found")
		case !found:
			fail(http.StatusBadRequest, "cipher: message authentication failed")
		default:
			answer(http.StatusOK, map[string]any{"data": map[string]any{"plaintext": plain}})
		}
		return
	}
	fail(http.StatusNotFound, "no handler for route")
}

func newService(t *testing.T) (*vault, *transit.Service, *string) {
	t.Helper()
	v := &vault{keys: map[string]map[string]string{"one": {}, "two": {}}}
	srv := httptest.NewServer(v)
	t.Cleanup(srv.Close)
	token := "s.token"
	return v, transit.New(transit.Options{
		Address: srv.URL + "/", Mount: "/secrets/transit/", Namespace: "team", Client: &http.Client{Timeout: time.Minute},
		Token: func() (string, error) {
			if token == "" {
				return "", errors.New("no token file")
			}
			return token, nil
		},
	}), &token
}

func TestDataKeysComeAndComeBack(t *testing.T) {
	v, s, _ := newService(t)
	key, blob, err := s.Generate(t.Context(), "one", nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := s.Generate(t.Context(), "one", nil)
	if err != nil || other.Equal(key) {
		t.Errorf("a data key came twice, %v", err)
	}
	if got, err := s.Unwrap(t.Context(), "one", blob, nil); err != nil || !got.Equal(key) {
		t.Error(err)
	}
	if v.headers.Get("X-Vault-Namespace") != "team" || v.headers.Get("X-Vault-Request") != "true" {
		t.Errorf("headers %v", v.headers)
	}
}

func TestFailuresOfTheKeyService(t *testing.T) {
	v, s, token := newService(t)
	_, blob, err := s.Generate(t.Context(), "one", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := func(what string, err error, k errs.Kind) {
		t.Helper()
		if !errs.IsThing(err, k, errs.SealKey) {
			t.Errorf("%s: %v, want %v", what, err, k)
		}
		if err != nil && strings.Contains(err.Error(), "s.token") {
			t.Errorf("%s: the error shows the token", what)
		}
	}
	_, _, err = s.Generate(t.Context(), "three", nil)
	want("unknown key", err, errs.NotFound)
	_, err = s.Unwrap(t.Context(), "three", blob, nil)
	want("unknown key", err, errs.NotFound)
	_, err = s.Unwrap(t.Context(), "two", blob, nil)
	want("another key", err, errs.Corrupt)
	before := len(v.seen)
	for _, name := range []string{"", "../one", "one?x", "a/b", "one%2f"} {
		_, _, err = s.Generate(t.Context(), name, nil)
		want("name "+name, err, errs.NotFound)
	}
	if len(v.seen) != before {
		t.Errorf("bad names were asked for: %v", v.seen[before:])
	}
	for status, kind := range map[int]errs.Kind{403: errs.Denied, 404: errs.NotFound, 429: errs.Busy, 500: errs.Busy, 503: errs.Busy} {
		v.refuse = status
		_, _, err = s.Generate(t.Context(), "one", nil)
		want(http.StatusText(status), err, kind)
	}
	v.refuse = 0
	*token = "s.tokenx"
	_, err = s.Unwrap(t.Context(), "one", blob, nil)
	want("another token", err, errs.Denied)
	*token = ""
	_, err = s.Unwrap(t.Context(), "one", blob, nil)
	want("no token", err, errs.Busy)
}

func TestNonsenseIsNoKey(t *testing.T) {
	for _, body := range []string{"", "<html>", "{}", `{"data":{"plaintext":"AAAA","ciphertext":"x"}}`, `{"data":{"plaintext":"!"}}`} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		s := transit.New(transit.Options{Address: srv.URL, Client: srv.Client(), Token: func() (string, error) { return "t", nil }})
		key, _, err := s.Generate(t.Context(), "one", nil)
		if !errs.IsThing(err, errs.Busy, errs.SealKey) || !bytes.Equal(key[:], make([]byte, 32)) {
			t.Errorf("%q: %v", body, err)
		}
		srv.Close()
	}
}
