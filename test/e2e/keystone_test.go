package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pithos/test/service"
)

// realKeystone is OpenStack's own Keystone, on loopback, as its administrator sees it.
type realKeystone struct {
	t     *testing.T
	url   string // with the version
	token string
}

// newKeystone runs a copy of the Keystone that test/setup prepared.
func newKeystone(w *world) *realKeystone {
	w.t.Helper()
	prepared := filepath.Join(w.root, ".cache", "keystone")
	if _, err := os.Stat(filepath.Join(prepared, "template", "keystone.db")); err != nil {
		if os.Getenv("PITHOS_TEST_TOOLS") == "required" {
			w.t.Fatal("Keystone is missing: test/setup should have installed it")
		}
		w.t.Skip("Keystone is missing: test/setup installs it")
	}
	dir := filepath.Join(w.t.TempDir(), "keystone")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(prepared, "template"))); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.Context(), filepath.Join(prepared, "venv", "bin", "python"), "-W", "ignore", filepath.Join(w.root, "test/clients/python/keystone_server.py"), dir)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C.UTF-8"}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Wait() // its words tell why
		w.t.Fatalf("Keystone does not run: %s", said.Bytes())
	}
	k := &realKeystone{t: w.t, url: strings.TrimSpace(line) + "/v3"}
	k.token = k.signIn("admin", "for-tests-on-loopback", "admin")
	return k
}

// ask sends a request with a token and reads the answer into into, unless that is nil.
func (k *realKeystone) ask(method, path, token string, body, into any, headers ...string) (int, http.Header) {
	k.t.Helper()
	var sent io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			k.t.Fatal(err)
		}
		sent = bytes.NewReader(raw)
	}
	url := path
	if strings.HasPrefix(path, "/") {
		url = k.url + path
	}
	req, err := http.NewRequestWithContext(k.t.Context(), method, url, sent)
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			k.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
		}
	}
	return res.StatusCode, res.Header
}

// signIn gives a token for a project.
func (k *realKeystone) signIn(user, password, project string) string {
	k.t.Helper()
	type object = map[string]any
	domain := object{"id": "default"}
	code, header := k.ask(http.MethodPost, "/auth/tokens", "", object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{"name": user, "password": password, "domain": domain}}},
		"scope":    object{"project": object{"name": project, "domain": domain}},
	}}, nil)
	if code != http.StatusCreated {
		k.t.Fatalf("%s cannot sign in: %d", user, code)
	}
	return header.Get("X-Subject-Token")
}

// create makes a thing of a kind and tells its id.
func (k *realKeystone) create(kind string, fields map[string]any) string {
	k.t.Helper()
	var made map[string]struct{ ID string }
	code, _ := k.ask(http.MethodPost, "/"+kind+"s", k.token, map[string]any{kind: fields}, &made)
	if code != http.StatusCreated {
		k.t.Fatalf("a %s: %d", kind, code)
	}
	return made[kind].ID
}

// grant gives a user a role in a project.
func (k *realKeystone) grant(project, user, role string) {
	k.t.Helper()
	var found struct{ Roles []struct{ ID string } }
	if code, _ := k.ask(http.MethodGet, "/roles?name="+role, k.token, nil, &found); code != http.StatusOK {
		k.t.Fatalf("the list of roles: %d", code)
	}
	var id string
	if len(found.Roles) > 0 {
		id = found.Roles[0].ID
	} else {
		id = k.create("role", map[string]any{"name": role})
	}
	if code, _ := k.ask(http.MethodPut, "/projects/"+project+"/users/"+user+"/roles/"+id, k.token, nil, nil); code != http.StatusNoContent {
		k.t.Fatalf("the role %s: %d", role, code)
	}
}

// TestRealKeystone has Pithos take the tokens of OpenStack's own Keystone.
func TestRealKeystone(t *testing.T) {
	w := newIdleWorld(t)
	k := newKeystone(w)
	type fields = map[string]any
	person := func(name string) string {
		return k.create("user", fields{"name": name, "password": name + "-password", "domain_id": "default"})
	}
	project := k.create("project", fields{"name": "research", "domain_id": "default"})
	checks := k.create("project", fields{"name": "service", "domain_id": "default"})
	k.grant(checks, person("pithos"), "service")
	k.grant(project, person("alice"), "swiftoperator")
	k.grant(project, person("bob"), "reader")

	if err := os.WriteFile(filepath.Join(w.dir, "password"), []byte("pithos-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(service.Options{
		Keystore: "  kind: embedded\n",
		Config:   fmt.Sprintf("keystone:\n  url: %s\n  username: pithos\n  password_file: %s\n  cache: 2s\n", k.url, filepath.Join(w.dir, "password")),
	})
	url := w.SwiftURL()
	stored := k.create("service", fields{"type": "object-store", "name": "pithos"})
	for _, side := range []string{"public", "internal", "admin"} {
		k.create("endpoint", fields{"service_id": stored, "interface": side, "url": url + "/v1/AUTH_%(tenant_id)s", "region": "RegionOne"})
	}
	as := func(user string) []string {
		return []string{
			"OS_AUTH_URL=" + k.url, "OS_IDENTITY_API_VERSION=3", "OS_USERNAME=" + user, "OS_PASSWORD=" + user + "-password", "OS_PROJECT_NAME=research",
			"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
		}
	}
	small := w.file("small", 100_000)
	openstack, swift := w.tool("openstack"), w.tool("swift")
	w.finish(with(w.command(swift, "post", "first"), as("alice")...))
	w.finish(with(w.command(openstack, "object", "create", "first", "small"), as("alice")...))
	w.finish(with(w.command(swift, "download", "-o", "back", "first", "small"), as("alice")...))
	w.holds("back", small)
	if out, err := with(w.command(swift, "upload", "second", "small"), as("bob")...).CombinedOutput(); err == nil || !strings.Contains(string(out), "403") {
		t.Errorf("a reader made a container: %v\n%s", err, out)
	}

	// A token that was revoked is taken for keystone.cache at most.
	token := k.signIn("alice", "alice-password", "research")
	object := url + "/v1/AUTH_" + project + "/first/small"
	if code, _ := k.ask(http.MethodHead, object, token, nil, nil); code != http.StatusOK {
		t.Fatalf("alice reads: %d", code)
	}
	if code, _ := k.ask(http.MethodHead, object, k.signIn("bob", "bob-password", "research"), nil, nil); code != http.StatusForbidden {
		t.Errorf("bob reads: %d", code)
	}
	if code, _ := k.ask(http.MethodDelete, "/auth/tokens", k.token, nil, nil, "X-Subject-Token", token); code != http.StatusNoContent {
		t.Fatalf("revocation: %d", code)
	}
	if !w.eventually(func() bool {
		code, header := k.ask(http.MethodHead, object, token, nil, nil)
		return code == http.StatusUnauthorized && strings.HasPrefix(header.Get("Www-Authenticate"), "Keystone uri=")
	}) {
		t.Error("a token that was revoked is taken after its time")
	}
	if code, _ := k.ask(http.MethodHead, object, "gAAAAABnonsense", nil, nil); code != http.StatusUnauthorized {
		t.Errorf("nonsense: %d", code)
	}
	if code, _ := k.ask(http.MethodHead, object, k.signIn("alice", "alice-password", "research"), nil, nil); code != http.StatusOK {
		t.Errorf("a new token: %d", code)
	}
}
