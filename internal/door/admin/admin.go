// Package admin is the operators' door: users, keys, accounts, quotas and usage
// as JSON, long work (collection, scrubbing) with its progress, and what
// machines ask of a service: health, metrics, profiles.
//
// Everything below /v1/ and /debug/ wants the token that the server writes into
// its data directory, as "Authorization: Bearer TOKEN" (or as the password of
// basic authentication, for tools that know nothing else). /healthz, /readyz
// and /metrics want none: they show counts and no names but those of accounts.
//
// The command line uses the same handler when no server runs: it opens the data
// directory itself and calls the handler in its own process (see Client). So
// every rule of this door stands here once.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// Limits of the API.
const (
	bodyMax      = 1 << 20 // bytes of a request's JSON
	pageMax      = 1000    // records of a page
	attemptsMax  = 8       // to update a record that others change too
	readyTimeout = 5 * time.Second
)

// Containers is what this door asks of the bucketstore.
type Containers interface {
	Containers(ctx context.Context, account naming.AccountID, after naming.ContainerName, fn func(bucket.Container) bool) error
}

// Usage is what this door asks of the metastore.
type Usage interface {
	AccountUsage(ctx context.Context, account naming.AccountID) (meta.Usage, error)
}

// Task is long work that an operator starts and watches. It gets the query of its request, calls progress now and then, from one
// goroutine, and returns what is to be shown in the end as JSON.
type Task func(ctx context.Context, query url.Values, progress func(Progress)) (report any, err error)

// Options are what the door stands on. Keys, Containers, Usage and Token must be set.
type Options struct {
	Keys       key.Reader
	Writer     key.Writer // nil: the keystore cannot be written, it is the configuration file
	UsersFile  string     // the configuration file, if known
	Containers Containers
	Usage      Usage
	Tasks      map[string]Task // by name: /v1/NAME starts it
	Store      func(ctx context.Context) (StoreUsage, error)
	Token      string
	Version    string
	Metrics    http.Handler                    // serves /metrics; nil: not served
	Ready      func(ctx context.Context) error // why the service cannot serve; nil: it can
	Quota      bucket.Limit                    // of accounts that have none of their own
	Clock      clock.Clock                     // clock.System
	Log        *slog.Logger                    // discards
}

// Door serves the admin API. It is safe for concurrent use.
type Door struct {
	o       Options
	token   [sha256.Size]byte
	mux     *http.ServeMux
	running map[string]*atomic.Bool // by task; the map never changes
}

// New makes the door.
func New(o Options) *Door {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Door{o: o, token: sha256.Sum256([]byte(o.Token)), mux: http.NewServeMux(), running: map[string]*atomic.Bool{}}
	for _, r := range d.routes() {
		d.mux.Handle(r.pattern, d.guard(d.answer(r.handle)))
	}
	for name, task := range o.Tasks {
		d.running[name] = new(atomic.Bool)
		d.mux.Handle("POST /v1/"+name, d.guard(d.stream(name, task)))
	}
	d.mux.HandleFunc("GET /healthz", d.healthz)
	d.mux.HandleFunc("GET /readyz", d.readyz)
	if o.Metrics != nil {
		d.mux.Handle("GET /metrics", o.Metrics)
	}
	for pattern, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		d.mux.Handle(pattern, d.guard(h))
	}
	return d
}

// route is a row of the table of operations.
type route struct {
	pattern string
	handle  func(r *http.Request) (any, error)
}

func (d *Door) routes() []route {
	return []route{
		{"GET /v1/version", d.version},
		{"GET /v1/usage", d.usage},
		{"GET /v1/accounts", d.listAccounts},
		{"POST /v1/accounts", d.addAccount},
		{"GET /v1/accounts/{account}", d.showAccount},
		{"PATCH /v1/accounts/{account}", d.changeAccount},
		{"DELETE /v1/accounts/{account}", d.removeAccount},
		{"GET /v1/users", d.listUsers},
		{"POST /v1/users", d.addUser},
		{"GET /v1/users/{user}", d.showUser},
		{"PATCH /v1/users/{user}", d.changeUser},
		{"DELETE /v1/users/{user}", d.removeUser},
		{"GET /v1/users/{user}/policies", d.listUserPolicies},
		{"PUT /v1/users/{user}/policies/{policy}", d.setUserPolicy},
		{"DELETE /v1/users/{user}/policies/{policy}", d.setUserPolicy},
		{"GET /v1/accounts/{account}/groups/{group}/policies", d.listGroupPolicies},
		{"PUT /v1/accounts/{account}/groups/{group}/policies/{policy}", d.setGroupPolicy},
		{"DELETE /v1/accounts/{account}/groups/{group}/policies/{policy}", d.setGroupPolicy},
		{"GET /v1/keys", d.listKeys},
		{"POST /v1/keys", d.addKey},
		{"PATCH /v1/keys/{key}", d.changeKey},
		{"DELETE /v1/keys/{key}", d.removeKey},
	}
}

// ServeHTTP answers one request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // answers hold secrets
	w.Header().Set("X-Content-Type-Options", "nosniff")
	d.mux.ServeHTTP(w, r)
}

// guard lets only holders of the token through.
func (d *Door) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			_, given, ok = r.BasicAuth()
		}
		sum := sha256.Sum256([]byte(given))
		if !ok || d.o.Token == "" || subtle.ConstantTimeCompare(sum[:], d.token[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="pithos"`)
			d.refuse(w, r, errs.E("admin.guard", errs.Unauthenticated, errs.Request, "").
				Because("", "this address wants the token from the file "+TokenFile+" in the data directory"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answer turns a handler that returns a value or an error into one of net/http.
func (d *Door) answer(handle func(r *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyMax)
		v, err := handle(r)
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if v == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_ = json.NewEncoder(w).Encode(v) // the only failure left is a client that has gone
	})
}

// refuse answers with an error and logs it when it is the server's fault.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(errs.KindOf(err))
	if status >= http.StatusInternalServerError && status != http.StatusNotImplemented {
		d.o.Log.ErrorContext(r.Context(), "admin request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(errorBody{Error: failureOf(err)}) // the only failure left is a client that has gone
}

// read decodes the request's JSON. Unknown fields are refused.
func read(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil && dec.Decode(new(json.RawMessage)) != io.EOF {
		err = errors.New("more than one JSON value")
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return errs.E("admin.read", errs.TooLarge, errs.Request, "").Because(errs.EntityTooLarge, "the request has more than 1 MiB")
	case err != nil:
		// The decoder's text names fields and offsets; with its values it would repeat what may be a secret.
		return errs.E("admin.read", errs.Invalid, errs.Request, "").Because(errs.BadSyntax, "the body must be one JSON object with known fields of the right types").With(err)
	}
	return nil
}

func (d *Door) version(*http.Request) (any, error) { return Version{Version: d.o.Version}, nil }

func (d *Door) healthz(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

func (d *Door) readyz(w http.ResponseWriter, r *http.Request) {
	if d.o.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := d.o.Ready(ctx); err != nil {
			d.o.Log.WarnContext(ctx, "not ready", "error", err)
			plain(w, http.StatusServiceUnavailable, "not ready: "+failureOf(err).Message+"\n")
			return
		}
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the only failure left is a client that has gone
}
