package identity_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pithos/internal/door/identity"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// answer is one of the Identity API.
type answer struct {
	*httptest.ResponseRecorder
	t   *testing.T
	doc map[string]any
}

// at finds a member of the document by its path, numbers being places in lists; nil for none.
func (a *answer) at(path ...any) any {
	a.t.Helper()
	var v any = a.doc
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// want checks the status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.Code != status {
		a.t.Fatalf("%d, want %d: %s", a.Code, status, a.Body)
	}
	if status >= 400 && (a.at("error", "code") != float64(status) || a.at("error", "message") == "" || a.at("error", "title") != http.StatusText(status)) {
		a.t.Fatalf("not an error of Keystone: %s", a.Body)
	}
	return a
}

// has checks a member.
func (a *answer) has(want any, path ...any) *answer {
	a.t.Helper()
	if got := a.at(path...); got != want {
		a.t.Errorf("%v is %v, want %v", path, got, want)
	}
	return a
}

// token is the one that the answer gives.
func (a *answer) token() string { return a.Header().Get("X-Subject-Token") }

// v3 sends a request to the Identity API with a token, "" for none. body is JSON, or nil.
func (w *world) v3(t *testing.T, token, method, path string, body any, headers ...string) *answer {
	t.Helper()
	text := []byte{}
	switch b := body.(type) {
	case nil:
	case string:
		text = []byte(b)
	default:
		var err error
		if text, err = json.Marshal(b); err != nil {
			t.Fatal(err)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "http://swift.example/identity/v3"+path, bytes.NewReader(text))
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a := &answer{ResponseRecorder: httptest.NewRecorder(), t: t}
	w.door.ServeHTTP(a.ResponseRecorder, r)
	if a.Body.Len() > 0 {
		if err := json.Unmarshal(a.Body.Bytes(), &a.doc); err != nil {
			t.Fatalf("%s: %v", a.Body, err)
		}
	}
	return a
}

type doc = map[string]any

// byPassword is a sign-in; scope may be nil.
func byPassword(user doc, password string, scope any) doc {
	user["password"] = password
	return signIn(doc{"methods": []string{"password"}, "password": doc{"user": user}}, scope)
}

func signIn(identity doc, scope any) doc {
	auth := doc{"identity": identity}
	if scope != nil {
		auth["scope"] = scope
	}
	return doc{"auth": auth}
}

func named(name string) doc { return doc{"name": name, "domain": doc{"name": "Default"}} }

func project(name string) doc { return doc{"project": named(name)} }

// people adds an operator, a second account with users of other names and the same, and an account in another domain.
func (w *world) people(t *testing.T) {
	t.Helper()
	for _, a := range []key.Account{
		{ID: "root", Canonical: "c-root"}, {ID: "other", Canonical: "c-other", Project: "the other"}, {ID: "far", Canonical: "c-far", Domain: "distant"},
	} {
		if _, err := w.keys.CreateAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range []key.User{
		{ID: "root:root", Account: "root", Roles: []string{key.RoleAdmin, key.RoleOperator}},
		{ID: "test:guest", Account: "test"},
		{ID: "other:guest", Account: "other"},
		{ID: "far:traveller", Account: "far", Roles: []string{key.RoleAdmin}},
		{ID: "other:checker", Account: "other", Roles: []string{"service"}},
	} {
		u.PasswordHash = hash(t, "pw-"+string(u.ID))
		if _, err := w.keys.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVersions(t *testing.T) {
	w := newWorld(t)
	for path, status := range map[string]int{"/identity": 300, "/identity/": 300, "/identity/v3": 200, "/identity/v3/": 200, "/v3": 200, "/v3/": 200, "/identity/v4": 404, "/identity/v33": 404} {
		rec := w.ask(t, "GET", path)
		if rec.Code != status {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
		base := strings.TrimSuffix(path, "/")
		if base == "/identity" {
			base += "/v3"
		}
		if status < 400 && !strings.Contains(rec.Body.String(), `"href":"http://swift.example`+base+`/"`) {
			t.Errorf("%s: %s", path, rec.Body)
		}
	}
	if rec := w.ask(t, "DELETE", "/identity/v3/auth/catalog"); rec.Code != 405 || rec.Header().Get("Allow") != "GET" {
		t.Error(rec.Code, rec.Header())
	}
	w.v3(t, "", "GET", "/no/such/thing", nil).want(404)
	w.v3(t, "", "POST", "/OS-TRUST/trusts", nil).want(501)
}

func TestSignInByPassword(t *testing.T) {
	w := newWorld(t)
	w.people(t)
	tester := naming.UserID("test:tester").Opaque()
	for i, q := range []doc{
		byPassword(named("tester"), "testing", project("test")),
		byPassword(named("tester"), "testing", nil),
		byPassword(named("tester"), "testing", doc{"project": doc{"id": "test"}}),
		byPassword(doc{"id": tester}, "testing", doc{"project": doc{"name": "test", "domain": doc{"id": "default"}}}),
		byPassword(doc{"name": "test:tester", "domain": doc{"id": "default"}}, "secret-key", nil),
	} {
		a := w.v3(t, "", "POST", "/auth/tokens", q).want(201)
		a.has("tester", "token", "user", "name").has(tester, "token", "user", "id").has("Default", "token", "user", "domain", "name")
		a.has("test", "token", "project", "id").has("admin", "token", "roles", 0, "name").has("password", "token", "methods", 0)
		a.has("2026-03-01T12:00:00.000000Z", "token", "issued_at").has("2026-03-02T12:00:00.000000Z", "token", "expires_at")
		a.has("object-store", "token", "catalog", 1, "type").has("http://swift.example/v1/AUTH_test", "token", "catalog", 1, "endpoints", 0, "url")
		a.has("http://swift.example/identity/v3", "token", "catalog", 0, "endpoints", 0, "url")
		if who, known, err := w.door.Who(t.Context(), a.token()); err != nil || !known || who.User != "test:tester" || !who.Keystone {
			t.Errorf("%d: %+v %v %v", i, who, known, err)
		}
	}
	far := doc{"name": "traveller", "domain": doc{"name": "distant"}}
	w.v3(t, "", "POST", "/auth/tokens", byPassword(far, "pw-far:traveller", nil)).want(201).has("distant", "token", "project", "domain", "id")
	guest := w.v3(t, "", "POST", "/auth/tokens", byPassword(named("guest"), "pw-other:guest", project("the other"))).want(201)
	guest.has("other", "token", "project", "id").has("member", "token", "roles", 0, "name").has(nil, "token", "roles", 1)

	for name, q := range map[string]any{
		"wrong password":       byPassword(named("tester"), "wrong", nil),
		"no such user":         byPassword(named("nobody"), "testing", nil),
		"no such id":           byPassword(doc{"id": "nobody"}, "testing", nil),
		"another domain":       byPassword(doc{"name": "tester", "domain": doc{"id": "distant"}}, "testing", nil),
		"full, another domain": byPassword(doc{"name": "test:tester", "domain": doc{"id": "distant"}}, "testing", nil),
		"another's project":    byPassword(named("tester"), "testing", project("the other")),
		"no such project":      byPassword(named("tester"), "testing", project("none")),
		"two of the name":      byPassword(named("guest"), "pw-other:guest", nil),
		"system scope":         byPassword(named("tester"), "testing", doc{"system": doc{"all": true}}),
		"domain scope":         byPassword(named("tester"), "testing", doc{"domain": doc{"id": "default"}}),
		"unknown method":       signIn(doc{"methods": []string{"totp"}}, nil),
		"two methods":          signIn(doc{"methods": []string{"password", "totp"}}, nil),
	} {
		a := w.v3(t, "", "POST", "/auth/tokens", q)
		if a.want(401); a.token() != "" || a.Header().Get("Www-Authenticate") != `Keystone uri="http://swift.example/identity"` {
			t.Errorf("%s: %v", name, a.Header())
		}
	}
	for name, q := range map[string]any{
		"no JSON": "{", "nothing": doc{}, "no methods": signIn(doc{}, nil), "no user": signIn(doc{"methods": []string{"password"}}, nil),
		"no name": byPassword(doc{}, "x", nil), "two scopes": byPassword(named("tester"), "testing", doc{"project": doc{"id": "test"}, "domain": doc{"id": "x"}}),
		"a list": []int{}, "no id": byPassword(named("tester"), "testing", doc{"project": doc{}}),
	} {
		if a := w.v3(t, "", "POST", "/auth/tokens", q); a.Code != 400 {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	w.v3(t, "", "POST", "/auth/tokens", `"`+strings.Repeat("x", 200_000)+`"`).want(413)
	w.v3(t, "", "POST", "/auth/tokens", byPassword(named("tester"), "testing", doc{"OS-TRUST:trust": doc{"id": "x"}})).want(501)
}

func TestOperatorsAskForAnyProject(t *testing.T) {
	w := newWorld(t)
	w.people(t)
	a := w.v3(t, "", "POST", "/auth/tokens", byPassword(named("root"), "pw-root:root", project("the other"))).want(201)
	a.has("other", "token", "project", "id").has("http://swift.example/v1/AUTH_other", "token", "catalog", 1, "endpoints", 0, "url")
	who, _, err := w.door.Who(t.Context(), a.token())
	if err != nil || !who.Operator || who.Account != "root" {
		t.Errorf("%+v %v", who, err)
	}
	u, err := w.keys.User(t.Context(), "root:root")
	if err != nil {
		t.Fatal(err)
	}
	u.Roles = []string{key.RoleAdmin}
	if _, err := w.keys.UpdateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.door.Who(t.Context(), a.token()); err == nil {
		t.Error("the token outlives the right to it")
	}
}

func TestUnscopedAndRescopedTokens(t *testing.T) {
	w := newWorld(t)
	a := w.v3(t, "", "POST", "/auth/tokens", byPassword(named("tester"), "testing", "unscoped")).want(201)
	a.has(nil, "token", "project").has(nil, "token", "catalog")
	if who, known, err := w.door.Who(t.Context(), a.token()); known || err != nil || !who.Anonymous() {
		t.Error("a token for no project opens one")
	}
	w.v3(t, a.token(), "GET", "/auth/projects", nil).want(200).has("test", "projects", 0, "id")
	w.v3(t, a.token(), "GET", "/auth/catalog", nil).want(403)
	w.clock.Advance(time.Hour)
	again := w.v3(t, "", "POST", "/auth/tokens", signIn(doc{"methods": []string{"token"}, "token": doc{"id": a.token()}}, project("test"))).want(201)
	again.has("test", "token", "project", "id").has(a.at("token", "expires_at"), "token", "expires_at").has("token", "token", "methods", 1)
	w.v3(t, again.token(), "GET", "/auth/catalog", nil).want(200).has("keystone", "catalog", 0, "name")
	w.v3(t, "", "POST", "/auth/tokens", signIn(doc{"methods": []string{"token"}, "token": doc{"id": "AUTH_tkforged"}}, nil)).want(401)
}

func TestValidateAndRevoke(t *testing.T) {
	w := newWorld(t)
	w.people(t)
	sign := func(name, password, project string) string {
		return w.v3(t, "", "POST", "/auth/tokens", byPassword(doc{"name": name, "domain": doc{"id": "default"}}, password, doc{"project": doc{"id": project}})).want(201).token()
	}
	mine, second := sign("tester", "testing", "test"), sign("tester", "testing", "test")
	guest, checker := sign("guest", "pw-test:guest", "test"), sign("checker", "pw-other:checker", "other")
	w.v3(t, mine, "GET", "/auth/tokens", nil, "X-Subject-Token", mine).want(200).has("tester", "token", "user", "name")
	w.v3(t, mine, "GET", "/auth/tokens", nil, "X-Subject-Token", second).want(200)
	w.v3(t, checker, "GET", "/auth/tokens?nocatalog", nil, "X-Subject-Token", mine).want(200).has(nil, "token", "catalog")
	w.v3(t, checker, "GET", "/auth/tokens", nil, "X-Subject-Token", mine[:len(mine)-1]).want(404)
	w.v3(t, guest, "GET", "/auth/tokens", nil, "X-Subject-Token", mine).want(403)
	w.v3(t, guest, "GET", "/auth/tokens", nil, "X-Subject-Token", "AUTH_tknone").want(403)
	w.v3(t, guest, "DELETE", "/auth/tokens", nil, "X-Subject-Token", mine).want(403)
	w.v3(t, "", "GET", "/auth/tokens", nil, "X-Subject-Token", mine).want(401)
	w.v3(t, mine, "GET", "/auth/tokens", nil).want(400)
	if a := w.v3(t, mine, "HEAD", "/auth/tokens", nil, "X-Subject-Token", mine).want(200); a.Body.Len() > 0 {
		t.Error("HEAD has a body")
	}
	w.v3(t, mine, "DELETE", "/auth/tokens", nil, "X-Subject-Token", mine).want(204)
	other := identity.New(w.b, identity.Options{Key: bytes.Repeat([]byte{7}, identity.KeyBytes), Clock: w.clock, Keys: w.keys})
	for _, door := range []*identity.Door{w.door, other} {
		if _, _, err := door.Who(t.Context(), mine); err == nil {
			t.Error("a revoked token is good")
		}
		if _, _, err := door.Who(t.Context(), second); err != nil {
			t.Error("another token ended with it")
		}
	}
	w.v3(t, mine, "GET", "/auth/catalog", nil).want(401)
	w.clock.Advance(25 * time.Hour)
	checker = sign("checker", "pw-other:checker", "other")
	w.v3(t, checker, "GET", "/auth/tokens", nil, "X-Subject-Token", second).want(404)
	w.v3(t, checker, "GET", "/auth/tokens?allow_expired=1", nil, "X-Subject-Token", second).want(200)
	w.v3(t, checker, "GET", "/auth/tokens?allow_expired=1", nil, "X-Subject-Token", mine).want(404)
	w.clock.Advance(48 * time.Hour)
	checker = sign("checker", "pw-other:checker", "other")
	w.v3(t, checker, "GET", "/auth/tokens?allow_expired=1", nil, "X-Subject-Token", second).want(404)
}

func TestGuessingIsSlowedDown(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		w.v3(t, "", "POST", "/auth/tokens", byPassword(named("tester"), "wrong", nil)).want(401)
	}
	a := w.v3(t, "", "POST", "/auth/tokens", byPassword(named("tester"), "testing", nil)).want(429)
	if a.Header().Get("Retry-After") != "6" {
		t.Error(a.Header())
	}
	w.clock.Advance(6 * time.Second)
	w.v3(t, "", "POST", "/auth/tokens", byPassword(named("tester"), "testing", nil)).want(201)
	for range 10 {
		w.ask(t, "GET", "/auth/v1.0", "X-Auth-User", "test:tester", "X-Auth-Key", "wrong")
	}
	if rec := w.ask(t, "GET", "/auth/v1.0", "X-Auth-User", "test:tester", "X-Auth-Key", "testing"); rec.Code != 429 || rec.Header().Get("Retry-After") == "" {
		t.Error(rec.Code)
	}
	if rec := w.ask(t, "GET", "/auth/v1.0", "X-Auth-User", "test:nobody", "X-Auth-Key", "x"); rec.Code != 401 {
		t.Error("another user is held up:", rec.Code)
	}
}

func TestApplicationCredentials(t *testing.T) {
	w := newWorld(t)
	w.people(t)
	me := "/users/" + naming.UserID("test:tester").Opaque()
	token := w.v3(t, "", "POST", "/auth/tokens", byPassword(named("tester"), "testing", nil)).want(201).token()
	made := w.v3(t, token, "POST", me+"/application_credentials", doc{"application_credential": doc{
		"name": "backup", "expires_at": "2026-03-01T18:00:00.000000",
	}}).want(201)
	id, secret := made.at("application_credential", "id"), made.at("application_credential", "secret")
	w.v3(t, token, "POST", me+"/application_credentials", doc{"application_credential": doc{"name": "backup"}}).want(409)
	w.v3(t, token, "POST", me+"/application_credentials", doc{"application_credential": doc{}}).want(400)
	w.v3(t, token, "POST", me+"/application_credentials", doc{"application_credential": doc{"name": "x", "secret": "short"}}).want(400)
	w.v3(t, token, "POST", me+"/application_credentials", doc{"application_credential": doc{"name": "x", "expires_at": "2020-01-01T00:00:00Z"}}).want(400)
	w.v3(t, token, "POST", me+"/application_credentials", doc{"application_credential": doc{"name": "x", "roles": []doc{{"name": "reseller_admin"}}}}).want(400)
	w.v3(t, token, "POST", me+"/application_credentials", doc{"application_credential": doc{"name": "x", "roles": []doc{{"name": "member"}}}}).want(501)
	list := w.v3(t, token, "GET", me+"/application_credentials?name=backup", nil).want(200).has(id, "application_credentials", 0, "id")
	if strings.Contains(list.Body.String(), fmt.Sprint(secret)) {
		t.Error("the list shows the secret")
	}
	with := func(c doc) doc {
		return signIn(doc{"methods": []string{"application_credential"}, "application_credential": c}, nil)
	}
	byID := w.v3(t, "", "POST", "/auth/tokens", with(doc{"id": id, "secret": secret})).want(201)
	byID.has("backup", "token", "application_credential", "name").has("test", "token", "project", "id").has("application_credential", "token", "methods", 0)
	w.v3(t, "", "POST", "/auth/tokens", with(doc{"name": "backup", "secret": secret, "user": named("tester")})).want(201)
	w.v3(t, "", "POST", "/auth/tokens", with(doc{"id": id, "secret": "wrong"})).want(401)
	w.v3(t, "", "POST", "/auth/tokens", with(doc{"name": "none", "secret": secret, "user": named("tester")})).want(401)
	w.v3(t, "", "POST", "/auth/tokens", with(doc{"id": id})).want(400)
	scoped := with(doc{"id": id, "secret": secret})
	scoped["auth"].(doc)["scope"] = project("test")
	w.v3(t, "", "POST", "/auth/tokens", scoped).want(401)

	guest := w.v3(t, "", "POST", "/auth/tokens", byPassword(named("test:guest"), "pw-test:guest", nil)).want(201).token()
	w.v3(t, guest, "GET", me+"/application_credentials", nil).want(403)
	w.v3(t, guest, "DELETE", me+"/application_credentials/"+fmt.Sprint(id), nil).want(403)
	w.v3(t, token, "DELETE", me+"/application_credentials/"+fmt.Sprint(id), nil).want(204)
	w.v3(t, token, "GET", me+"/application_credentials/"+fmt.Sprint(id), nil).want(404)
	if _, _, err := w.door.Who(t.Context(), byID.token()); err == nil {
		t.Error("the token of a removed credential is good")
	}
}

func TestEC2Credentials(t *testing.T) {
	w := newWorld(t)
	w.people(t)
	me := "/users/" + naming.UserID("test:tester").Opaque() + "/credentials/OS-EC2"
	token := w.v3(t, "", "POST", "/auth/tokens", byPassword(named("tester"), "testing", nil)).want(201).token()
	w.v3(t, token, "GET", me, nil).want(200).has("AK", "credentials", 0, "access").has("secret-key", "credentials", 0, "secret")
	w.v3(t, token, "POST", me, doc{"tenant_id": "other"}).want(403)
	a := w.v3(t, token, "POST", me, doc{"tenant_id": "test"}).want(201).has("test", "credential", "tenant_id")
	access := fmt.Sprint(a.at("credential", "access"))
	if id, _, err := w.b.Identify(t.Context(), access); err != nil || id.Key.Secret != a.at("credential", "secret") {
		t.Error(err)
	}
	root := w.v3(t, "", "POST", "/auth/tokens", byPassword(named("root"), "pw-root:root", nil)).want(201).token()
	w.v3(t, root, "GET", me, nil).want(403)
	w.v3(t, token, "DELETE", me+"/"+access, nil).want(204)
	w.v3(t, token, "DELETE", me+"/"+access, nil).want(404)
	w.door = identity.New(w.b, identity.Options{Key: bytes.Repeat([]byte{7}, identity.KeyBytes), Clock: w.clock, Keys: w.keys})
	w.v3(t, token, "POST", me, doc{"tenant_id": "test"}).want(403)
}

// TestLimitedKeys signs in with a key that may do less than its user.
func TestLimitedKeys(t *testing.T) {
	w := newWorld(t)
	policy := []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`)
	if err := w.keys.CreateKey(t.Context(), key.Key{AccessKey: "LESS", Secret: "less-secret", User: "test:tester", Policy: policy}); err != nil {
		t.Fatal(err)
	}
	q := signIn(doc{"methods": []string{"application_credential"}, "application_credential": doc{"id": "LESS", "secret": "less-secret"}}, nil)
	token := w.v3(t, "", "POST", "/auth/tokens", q).want(201).token()
	who, _, err := w.door.Who(t.Context(), token)
	if err != nil || who.KeyLimit == nil {
		t.Fatal("the token may do more than its key", err)
	}
	again := w.v3(t, "", "POST", "/auth/tokens", signIn(doc{"methods": []string{"token"}, "token": doc{"id": token}}, nil)).want(201).token()
	if who, _, err := w.door.Who(t.Context(), again); err != nil || who.KeyLimit == nil {
		t.Fatal("a second token may do more than the key", err)
	}
	me := "/users/" + naming.UserID("test:tester").Opaque()
	w.v3(t, token, "GET", me+"/credentials/OS-EC2", nil).want(403)
	w.v3(t, token, "POST", me+"/credentials/OS-EC2", doc{"tenant_id": "test"}).want(403)
	w.v3(t, token, "DELETE", me+"/credentials/OS-EC2/AK", nil).want(403)
	w.v3(t, token, "POST", me+"/application_credentials", doc{"application_credential": doc{"name": "x"}}).want(403)
}

func TestLists(t *testing.T) {
	w := newWorld(t)
	w.people(t)
	sign := func(name, password string) string {
		return w.v3(t, "", "POST", "/auth/tokens", byPassword(named(name), password, nil)).want(201).token()
	}
	root, admin, guest := sign("root", "pw-root:root"), sign("tester", "testing"), sign("test:guest", "pw-test:guest")
	tester, other := naming.UserID("test:tester").Opaque(), naming.UserID("other:guest").Opaque()
	count := func(token, path, list string, want int) *answer {
		t.Helper()
		a := w.v3(t, token, "GET", path, nil).want(200)
		if l, _ := a.at(list).([]any); len(l) != want {
			t.Errorf("%s has %d, want %d: %s", path, len(l), want, a.Body)
		}
		return a.has("http://swift.example/identity/v3"+strings.SplitN(path, "?", 2)[0], "links", "self")
	}
	count(root, "/projects", "projects", 4)
	count(root, "/projects?name=the%20other", "projects", 1).has("other", "projects", 0, "id")
	count(admin, "/projects", "projects", 1)
	count(root, "/users", "users", 6)
	count(root, "/users?name=guest", "users", 2)
	count(root, "/users?domain_id=distant", "users", 1)
	count(admin, "/users", "users", 2)
	count(guest, "/users", "users", 1)
	count(root, "/domains", "domains", 2)
	count(admin, "/domains?name=Default", "domains", 1)
	count(admin, "/auth/domains", "domains", 1)
	count(admin, "/auth/system", "system", 0)
	count(admin, "/users/"+tester+"/projects", "projects", 1)
	count(admin, "/users/"+tester+"/groups", "groups", 0)
	count(admin, "/groups", "groups", 0)
	count(admin, "/roles", "roles", 5)
	count(admin, "/roles?name=member", "roles", 1)
	count(admin, "/role_assignments?user.id="+tester+"&include_names", "role_assignments", 3).has("tester", "role_assignments", 0, "user", "name")
	count(admin, "/projects/test/users/"+tester+"/roles", "roles", 3)
	count(admin, "/services", "services", 2)
	count(admin, "/endpoints?interface=public", "endpoints", 2)
	count(admin, "/regions", "regions", 1)
	w.v3(t, admin, "GET", "/projects/test", nil).want(200).has("test", "project", "name")
	w.v3(t, admin, "GET", "/projects/other", nil).want(403)
	w.v3(t, root, "GET", "/projects/other", nil).want(200).has("the other", "project", "name")
	w.v3(t, root, "GET", "/projects/none", nil).want(404)
	w.v3(t, admin, "GET", "/users/"+tester, nil).want(200).has("tester", "user", "name").has("test", "user", "default_project_id")
	w.v3(t, admin, "GET", "/users/"+other, nil).want(403)
	w.v3(t, guest, "GET", "/users/"+tester, nil).want(403)
	w.v3(t, root, "GET", "/users/"+other, nil).want(200)
	w.v3(t, root, "GET", "/users/none", nil).want(404)
	w.v3(t, root, "GET", "/domains/distant", nil).want(200)
	w.v3(t, admin, "GET", "/domains/distant", nil).want(404)
	w.v3(t, admin, "GET", "/roles/none", nil).want(404)
	w.v3(t, admin, "HEAD", "/projects/test/users/"+tester+"/roles/admin", nil).want(204)
	w.v3(t, admin, "GET", "/projects/test/users/"+tester+"/roles/service", nil).want(404)
	w.v3(t, "", "GET", "/users", nil).want(401)
}
