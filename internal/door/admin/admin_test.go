package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/clock"
	"pithos/internal/door/admin"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
)

const token = "canary-token"

type fixture struct {
	stores *memory.Stores
	door   *admin.Door
	client *admin.Client
	log    *strings.Builder
}

// start makes a door on empty memory stores, with changes to its options.
func start(t *testing.T, change func(*admin.Options)) *fixture {
	t.Helper()
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	f := &fixture{stores: memory.New(now), log: &strings.Builder{}}
	o := admin.Options{
		Keys: f.stores.Keys(), Writer: f.stores.Keys(), Containers: f.stores.Buckets(), Usage: f.stores.Meta(),
		Token: token, Version: "test", Clock: now, Log: slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	f.door = admin.New(o)
	f.client = &admin.Client{Base: "http://local", Token: token, HTTP: admin.Local{Handler: f.door}}
	return f
}

func (f *fixture) do(t *testing.T, method, path string, in, out any) error {
	t.Helper()
	return f.client.Do(t.Context(), method, path, nil, in, out)
}

func failure(t *testing.T, err error) *admin.Failure {
	t.Helper()
	var fail *admin.Failure
	if !errors.As(err, &fail) {
		t.Fatalf("%v is no failure told by the server", err)
	}
	return fail
}

func TestUserLife(t *testing.T) {
	f := start(t, nil)
	var u admin.User
	if err := f.do(t, "POST", "/v1/users", admin.NewUser{Account: "acme", Name: "alice", Email: "a@example.org", Password: "canary-pw"}, &u); err != nil {
		t.Fatal(err)
	}
	if len(u.Keys) != 1 || u.Keys[0].Secret == "" || u.ID != "acme:alice" || !u.Password || !cmp.Equal(u.Roles, []string{"admin"}) {
		t.Fatalf("%+v", u)
	}
	id, err := f.stores.Keys().Lookup(t.Context(), u.Keys[0].AccessKey)
	if err != nil || id.Key.Secret != u.Keys[0].Secret || id.Account.Canonical != key.CanonicalOf("acme") || !key.CheckPassword("canary-pw", id.User.PasswordHash) {
		t.Fatalf("%+v %v", id, err)
	}

	var shown admin.User
	if err := f.do(t, "GET", "/v1/users/acme:alice", nil, &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Keys) != 1 || shown.Keys[0].Secret != "" {
		t.Errorf("a secret is shown again: %+v", shown)
	}

	yes := true
	if err := f.do(t, "PATCH", "/v1/users/acme:alice", admin.UserChange{Disabled: &yes}, &shown); err != nil || !shown.Disabled || shown.Email != "a@example.org" {
		t.Errorf("%+v %v", shown, err)
	}
	if err := f.do(t, "DELETE", "/v1/accounts/acme", nil, nil); failure(t, err).Message != "account acme: it has users; remove them first" {
		t.Error(err)
	}
	if err := f.do(t, "DELETE", "/v1/users/acme:alice", nil, nil); err != nil {
		t.Error(err)
	}
	if _, err := f.stores.Keys().Lookup(t.Context(), u.Keys[0].AccessKey); !errs.Is(err, errs.NotFound) {
		t.Errorf("the key outlived its user: %v", err)
	}
	if err := f.do(t, "DELETE", "/v1/accounts/acme", nil, nil); err != nil {
		t.Error(err)
	}
	if got := f.log.String(); strings.Contains(got, "canary") || strings.Contains(got, u.Keys[0].Secret) || !strings.Contains(got, "user added") {
		t.Errorf("log: %s", got)
	}
}

func TestSecondUserJoinsItsAccount(t *testing.T) {
	f := start(t, nil)
	for _, name := range []string{"a", "b"} {
		if err := f.do(t, "POST", "/v1/users", admin.NewUser{Account: "acme", Name: name, NoKey: true, Roles: []string{}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.do(t, "POST", "/v1/users", admin.NewUser{Account: "acme", Name: "a"}, nil); failure(t, err).Kind != errs.Exists.String() {
		t.Error(err)
	}
	var ids []string
	err := admin.Each(t.Context(), f.client, "/v1/users", url.Values{"account": {"acme"}}, func(u admin.User) {
		ids = append(ids, u.ID)
		if len(u.Roles) != 0 {
			t.Errorf("%s has roles %v", u.ID, u.Roles)
		}
	})
	if diff := cmp.Diff([]string{"acme:a", "acme:b"}, ids); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestTakenAccessKeyMakesNothing(t *testing.T) {
	f := start(t, nil)
	n := admin.NewUser{Account: "a", Name: "a", AccessKey: "TAKEN", Secret: "12345678"}
	if err := f.do(t, "POST", "/v1/users", n, nil); err != nil {
		t.Fatal(err)
	}
	n.Account, n.Name = "b", "b"
	if err := f.do(t, "POST", "/v1/users", n, nil); failure(t, err).Message != "access key TAKEN: it is taken; choose another" {
		t.Error(err)
	}
	if err := f.do(t, "GET", "/v1/accounts/b", nil, nil); failure(t, err).Kind != errs.NotFound.String() {
		t.Errorf("half a user was made: %v", err)
	}
}

func TestKeyLife(t *testing.T) {
	f := start(t, nil)
	if err := f.do(t, "POST", "/v1/users", admin.NewUser{Account: "a", Name: "a", NoKey: true}, nil); err != nil {
		t.Fatal(err)
	}
	var k admin.Key
	if err := f.do(t, "POST", "/v1/keys", admin.NewKey{User: "a:a", Expires: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}, &k); err != nil || k.Secret == "" {
		t.Fatal(k, err)
	}
	yes := true
	var changed admin.Key
	if err := f.do(t, "PATCH", "/v1/keys/"+k.AccessKey, admin.KeyChange{Disabled: &yes}, &changed); err != nil || !changed.Disabled || changed.Secret != "" {
		t.Error(changed, err)
	}
	var list []admin.Key
	if err := admin.Each(t.Context(), f.client, "/v1/keys", nil, func(k admin.Key) { list = append(list, k) }); err != nil || len(list) != 1 || list[0].Secret != "" {
		t.Error(list, err)
	}
	if err := f.do(t, "DELETE", "/v1/keys/"+k.AccessKey, nil, nil); err != nil {
		t.Error(err)
	}
	for _, bad := range []admin.NewKey{
		{User: "a:a", AccessKey: "abc"},
		{User: "a:a", AccessKey: "a", Secret: "12345678"},
		{User: "a:a", AccessKey: "abc", Secret: "short"},
		{User: "a:a", Expires: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)},
		{User: "nobody"},
	} {
		if err := f.do(t, "POST", "/v1/keys", bad, nil); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestAccountQuotaAndUsage(t *testing.T) {
	f := start(t, func(o *admin.Options) { o.Quota = bucket.Limit{Bytes: 7} })
	var a admin.Account
	if err := f.do(t, "POST", "/v1/accounts", admin.NewAccount{ID: "acme"}, &a); err != nil || a.Quota != (admin.Quota{Bytes: 7, Default: true}) {
		t.Fatal(a, err)
	}
	bytes := int64(1 << 30)
	var changed admin.Account
	if err := f.do(t, "PATCH", "/v1/accounts/acme", admin.AccountChange{Bytes: &bytes}, &changed); err != nil || changed.Quota != (admin.Quota{Bytes: bytes}) {
		t.Error(changed, err)
	}
	less := int64(-1)
	if err := f.do(t, "PATCH", "/v1/accounts/acme", admin.AccountChange{Objects: &less}, nil); err == nil {
		t.Error("a negative quota is accepted")
	}
	if _, err := f.stores.Buckets().Create(t.Context(), bucket.Container{ID: naming.NewContainerID(), Account: "acme", Name: "c", Bucket: "ccc"}); err != nil {
		t.Fatal(err)
	}
	if err := f.do(t, "DELETE", "/v1/accounts/acme", nil, nil); failure(t, err).Message != "account acme: it owns buckets; remove them first" {
		t.Error(err)
	}
	var u admin.ServiceUsage
	if err := f.do(t, "GET", "/v1/usage", nil, &u); err != nil || u.Accounts != 1 {
		t.Error(u, err)
	}
}

func TestNamesWithOddCharactersReachTheirRecord(t *testing.T) {
	f := start(t, nil)
	if err := f.do(t, "POST", "/v1/users", admin.NewUser{Account: "ä b%?", Name: "ü#&", NoKey: true}, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.do(t, "GET", "/v1/users/"+url.PathEscape("ä b%?:ü#&"), nil, nil); err != nil {
		t.Error(err)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	f := start(t, nil)
	for _, tc := range []struct{ body, want string }{
		{`{"account":"a","name":"b","nme":"canary"}`, "known fields"},
		{`{"account":"a","name":"canary`, "one JSON object"},
		{`{"account":"a","name":"b"} {}`, "one JSON object"},
		{`{"account":"a/b","name":"c"}`, "an account name has"},
		{`{"account":"a","name":"b:c"}`, "a user name has"},
		{`{"account":"a","name":"b","email":"x"}`, "name@example.org"},
		{`{"account":"a","name":"` + strings.Repeat("x", 2<<20) + `"}`, "more than 1 MiB"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/users", strings.NewReader(tc.body))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		f.door.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 || !strings.Contains(w.Body.String(), tc.want) || strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%.60s: %d %s", tc.body, w.Code, w.Body)
		}
	}
}

func TestTokenIsAsked(t *testing.T) {
	f := start(t, func(o *admin.Options) {
		o.Tasks = map[string]admin.Task{"gc": nil}
		o.Metrics = http.NotFoundHandler()
	})
	get := func(method, path, auth string) int {
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
		w := httptest.NewRecorder()
		f.door.ServeHTTP(w, r)
		return w.Code
	}
	for _, path := range []string{"/v1/version", "/v1/users", "/v1/users/x", "/v1/usage", "/debug/pprof/", "/debug/pprof/cmdline"} {
		for _, auth := range []string{"", "Bearer ", "Bearer x", "Bearer " + token + "x", "Basic eDp4", token} {
			if got := get("GET", path, auth); got != http.StatusUnauthorized {
				t.Errorf("%s with %q: %d", path, auth, got)
			}
		}
	}
	if got := get("POST", "/v1/gc", ""); got != http.StatusUnauthorized {
		t.Errorf("gc: %d", got)
	}
	if got := get("GET", "/v1/version", "Bearer "+token); got != http.StatusOK {
		t.Errorf("with the token: %d", got)
	}
	if got := get("GET", "/healthz", ""); got != http.StatusOK {
		t.Errorf("healthz: %d", got)
	}
}

func TestNoTokenLetsNobodyIn(t *testing.T) {
	f := start(t, func(o *admin.Options) { o.Token = "" })
	f.client.Token = ""
	if err := f.do(t, "GET", "/v1/version", nil, nil); failure(t, err).Kind != errs.Unauthenticated.String() {
		t.Error(err)
	}
}

func TestReadOnlyKeystoreSaysWhereToChange(t *testing.T) {
	f := start(t, func(o *admin.Options) { o.Writer = nil })
	err := f.do(t, "POST", "/v1/users", admin.NewUser{Account: "a", Name: "a"}, nil)
	if fail := failure(t, err); fail.Kind != errs.Unsupported.String() || !strings.Contains(fail.Message, "keystore.users") {
		t.Error(err)
	}
	if err := f.do(t, "GET", "/v1/users", nil, nil); err != nil {
		t.Error(err)
	}
}

func TestReadyTellsTheReason(t *testing.T) {
	var reason error
	f := start(t, func(o *admin.Options) { o.Ready = func(context.Context) error { return reason } })
	get := func() (int, string) {
		w := httptest.NewRecorder()
		f.door.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
		return w.Code, w.Body.String()
	}
	if code, _ := get(); code != http.StatusOK {
		t.Error(code)
	}
	reason = errs.E("", errs.Busy, errs.Store, "").Because("", "the server is stopping")
	if code, body := get(); code != http.StatusServiceUnavailable || !strings.Contains(body, "the server is stopping") {
		t.Error(code, body)
	}
}

// collected stands for the report of a task.
type collected struct {
	Blocks int `json:"blocks"`
}

func TestTaskTellsProgressAndReport(t *testing.T) {
	for _, way := range []string{"local", "http"} {
		t.Run(way, func(t *testing.T) {
			f := start(t, func(o *admin.Options) {
				o.Tasks = map[string]admin.Task{
					"gc": func(_ context.Context, _ url.Values, progress func(admin.Progress)) (any, error) {
						progress(admin.Progress{Phase: "sweep", Done: 1})
						return collected{Blocks: 3}, nil
					},
					"scrub": func(context.Context, url.Values, func(admin.Progress)) (any, error) {
						return nil, errs.E("x", errs.Busy, errs.Store, "").Because("", "try later")
					},
				}
			})
			if way == "http" {
				srv := httptest.NewServer(f.door)
				t.Cleanup(srv.Close)
				f.client.Base, f.client.HTTP = srv.URL, nil
			}
			var phases []string
			var report collected
			err := f.client.Run(t.Context(), "gc", nil, func(p admin.Progress) { phases = append(phases, p.Phase) }, &report)
			if err != nil || report.Blocks != 3 || !cmp.Equal(phases, []string{"sweep"}) {
				t.Error(err, report, phases)
			}
			if err := f.client.Run(t.Context(), "scrub", nil, nil, nil); failure(t, err).Message != "store: try later" {
				t.Error(err)
			}
		})
	}
}

func TestTaskRunsOnceAtATime(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	f := start(t, func(o *admin.Options) {
		o.Tasks = map[string]admin.Task{"gc": func(ctx context.Context, _ url.Values, _ func(admin.Progress)) (any, error) {
			close(started)
			select {
			case <-release:
			case <-ctx.Done():
			}
			return collected{}, ctx.Err()
		}}
	})
	first := make(chan error, 1)
	go func() {
		first <- f.client.Run(context.WithoutCancel(t.Context()), "gc", nil, nil, new(collected))
	}()
	<-started
	if err := f.client.Run(t.Context(), "gc", nil, nil, nil); failure(t, err).Kind != errs.Conflict.String() {
		t.Error(err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestClosedAnswerEndsTheLocalHandler(t *testing.T) {
	ended := make(chan struct{})
	local := admin.Local{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.WriteHeader(http.StatusOK)
		<-r.Context().Done()
	})}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://local/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := local.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	<-ended
}

func TestEveryKindHasAStatus(t *testing.T) {
	for _, k := range errs.Kinds() {
		f := start(t, func(o *admin.Options) {
			o.Keys = failing{o.Keys, errs.E("x", k, errs.User, "u")}
		})
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/users/u", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		f.door.ServeHTTP(w, r)
		if k != errs.NotModified && w.Code < 400 {
			t.Errorf("%v is answered with %d", k, w.Code)
		}
	}
}

type failing struct {
	key.Reader
	err error
}

func (f failing) User(context.Context, naming.UserID) (key.User, error) { return key.User{}, f.err }
