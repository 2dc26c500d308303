package server_test

import (
	"net/http"
	"strings"
	"testing"

	"pithos/internal/config"
)

// TestOpenStackAnswersAndATokenOutlivesARestart signs in with the keys of the first start.
func TestOpenStackAnswersAndATokenOutlivesARestart(t *testing.T) {
	data := t.TempDir()
	listening := func(c *config.Config) { c.OpenStack.Listen = "127.0.0.1:0" }
	r := start(t, data, listening)
	if code, body := get(t, r.OpenStack+"/healthcheck"); code != http.StatusOK || body != "OK" {
		t.Fatalf("%d %s", code, body)
	}
	ask := func(url string, headers ...string) http.Header {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			t.Fatalf("%s: %s", url, resp.Status)
		}
		return resp.Header
	}
	h := ask(r.OpenStack+"/auth/v1.0", "X-Auth-User", r.Credentials.User, "X-Auth-Key", r.Credentials.Secret)
	token, path := h.Get("X-Auth-Token"), strings.TrimPrefix(h.Get("X-Storage-Url"), r.OpenStack)
	if path == h.Get("X-Storage-Url") {
		t.Fatal(path)
	}
	ask(r.OpenStack+path, "X-Auth-Token", token)
	if _, body := get(t, r.Admin+"/metrics"); !strings.Contains(body, `door="swift",operation="GetAccount"`) || !strings.Contains(body, `door="identity",operation="SignIn"`) {
		t.Error("the metrics do not tell of it")
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, data, listening)
	ask(again.OpenStack+path, "X-Auth-Token", token)
}
