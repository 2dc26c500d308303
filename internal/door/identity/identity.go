// Package identity is the sign-in door of the OpenStack API: TempAuth v1 at
// /auth/v1.0, and the Identity API v3 of Keystone at /identity/v3 and /v3. It
// hands out tokens, and tells the Swift door whose they are.
//
// The secret of a sign-in is the user's password or the secret of one of the
// user's access keys. A token ends with its time, when somebody revokes it,
// with a new password, with the removal of the key that it was got with, and
// when its user or account is disabled.
//
// To Keystone's clients an account is a project of the account's id, a user
// has the id naming.UserID.Opaque and belongs to one project, and the user's
// access keys are its application credentials and its EC2 credentials.
//
// Sources: OpenStack Swift, "The Auth System", TempAuth; OpenStack Identity
// API v3, and the answers of Keystone 30.
package identity

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// KeyBytes is the length of Options.Key.
const KeyBytes = 32

// Reseller begins the name of an account in the paths of the Swift API.
const Reseller = "AUTH_"

// Options are the door's settings; zero fields take the defaults named.
type Options struct {
	Key     []byte        // KeyBytes of secret, the same at every gateway; must be set
	Life    time.Duration // of a token: 24 h
	Region  string        // of the catalogue: "us-east-1"
	Keys    key.Reader    // what Keystone's lists show; must be set
	Writer  key.Writer    // makes and removes credentials; nil where users and keys stand in a file
	Pace    wire.Pace     // of bodies: 60 s idle
	Clock   clock.Clock   // clock.System
	Log     *slog.Logger  // discards
	Observe func(wire.Observation)
}

// Door signs users in. It is safe for concurrent use.
type Door struct {
	b      *backend.Backend
	o      Options
	routes []route

	users, addresses *wire.Damper // of failed sign-ins
}

// New makes a door in front of b.
func New(b *backend.Backend, o Options) *Door {
	if o.Life == 0 {
		o.Life = 24 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Pace == (wire.Pace{}) {
		o.Pace = wire.Pace{Idle: time.Minute}
	}
	return &Door{
		b: b, o: o, routes: routes(),
		users:     wire.NewDamper(userFailures, userRegain, o.Clock),
		addresses: wire.NewDamper(addressFailures, addressRegain, o.Clock),
	}
}

// Serves reports whether the door answers requests for the path.
func Serves(path string) bool {
	for _, base := range []string{tempAuthBase, identityBase, plainBase} {
		if path == base || strings.HasPrefix(path, base+"/") {
			return true
		}
	}
	return false
}

// The paths that the door answers at. What is below identityBase is Keystone's; clients that were told no more than a host look at plainBase.
const (
	tempAuthBase = "/auth"
	identityBase = "/identity"
	plainBase    = "/v3"
)

// ServeHTTP answers a request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := d.o.Clock.Now()
	id := wire.TransactionID(r.Header, began)
	wire.SetTransaction(w.Header(), id)
	var done outcome
	if path := r.URL.Path; path == tempAuthBase || strings.HasPrefix(path, tempAuthBase+"/") {
		done = d.tempAuth(w, r)
	} else {
		done = d.keystone(w, r) //nolint:contextcheck // calls take the context of the request that they hold
	}
	now := d.o.Clock.Now()
	if d.o.Observe != nil {
		ob := wire.Observation{
			RequestID: id, Operation: done.operation, Status: done.status, Started: began, Duration: now.Sub(began),
			User: done.who.User, Account: done.who.Account, BytesIn: done.in, BytesOut: done.out,
		}
		if done.err != nil {
			ob.Code = errs.KindOf(done.err).String()
		}
		d.o.Observe(ob)
	}
	attrs := []slog.Attr{
		slog.String("request", id), slog.String("operation", done.operation), slog.Int("status", done.status), slog.String("user", string(done.who.User)),
		slog.String("remote", r.RemoteAddr), slog.Duration("time", now.Sub(began)),
	}
	if done.err != nil {
		attrs = append(attrs, slog.String("error", done.err.Error()))
	}
	d.o.Log.LogAttrs(r.Context(), wire.LogLevel(done.status, done.err, nil), "identity", attrs...)
}

// outcome is what became of a request.
type outcome struct {
	operation string
	status    int
	who       access.Principal
	in, out   int64 // bytes of the bodies
	err       error
}

// tempAuth answers a sign-in by TempAuth.
func (d *Door) tempAuth(w http.ResponseWriter, r *http.Request) outcome {
	w.Header()["Content-Type"] = []string{"text/html; charset=UTF-8"}
	who, status, err := d.signIn(w, r)
	done := outcome{operation: "SignIn", status: status, who: who, err: err}
	if status < http.StatusBadRequest {
		w.WriteHeader(status)
		return done
	}
	body := "<html><h1>" + http.StatusText(status) + "</h1><p>" + sentence(status) + "</p></html>"
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client left; nothing else to do
	done.out = int64(len(body))
	return done
}

func sentence(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "This server could not verify that you are authorized to access the document you requested."
	case http.StatusMethodNotAllowed:
		return "The method is not allowed for this resource."
	case http.StatusTooManyRequests:
		return "Too many sign-ins have failed. Please wait."
	case http.StatusServiceUnavailable:
		return "The server is currently unavailable. Please try again at a later time."
	case http.StatusInternalServerError:
		return "The server has either erred or is incapable of performing the requested operation."
	}
	return "The resource could not be found."
}

// signIn serves the three addresses of TempAuth: /auth/v1.0, /auth/auth and /auth/v1/ACCOUNT/auth.
func (d *Door) signIn(w http.ResponseWriter, r *http.Request) (who access.Principal, status int, err error) {
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/auth/"), "/"), "/")
	account, named := "", false
	switch {
	case len(parts) == 1 && (parts[0] == "v1.0" || parts[0] == "v1" || parts[0] == "auth"):
	case len(parts) == 3 && (parts[0] == "v1" || parts[0] == "v1.0") && parts[1] != "" && parts[2] == "auth":
		account, named = parts[1], true
	default:
		return who, http.StatusNotFound, nil
	}
	if r.Method != http.MethodGet {
		w.Header()["Allow"] = []string{http.MethodGet}
		return who, http.StatusMethodNotAllowed, nil
	}
	user := d.claimed(r.Header, account, named)
	secret := r.Header.Get("X-Auth-Key")
	if secret == "" {
		secret = r.Header.Get("X-Storage-Pass")
	}
	realm, _ := user.Split()
	refused := func() {
		w.Header()["Www-Authenticate"] = []string{`Swift realm="` + url.PathEscape(string(orUnknown(realm))) + `"`}
	}
	if user == "" || secret == "" {
		refused()
		return who, http.StatusUnauthorized, nil
	}
	attempt, wait := d.guessing(r, user)
	if wait > 0 {
		w.Header()["Retry-After"] = []string{strconv.FormatInt(seconds(wait), 10)}
		return who, http.StatusTooManyRequests, nil
	}
	found, who, err := d.b.SignIn(r.Context(), user, secret)
	switch {
	case errs.Is(err, errs.Unauthenticated):
		attempt.failed()
		refused()
		return who, http.StatusUnauthorized, err
	case errs.Is(err, errs.Busy), errs.Is(err, errs.Closed), errs.Is(err, errs.Canceled):
		return who, http.StatusServiceUnavailable, err
	case err != nil:
		return who, http.StatusInternalServerError, err
	}
	token := d.issue(found, who)
	h := w.Header()
	h["X-Auth-Token"], h["X-Storage-Token"] = []string{token}, []string{token}
	h["X-Auth-Token-Expires"] = []string{strconv.FormatInt(int64(d.o.Life/time.Second), 10)}
	h["X-Storage-Url"] = []string{storageURL(r, who.Account)}
	h["Content-Length"] = []string{"0"}
	return who, http.StatusOK, nil
}

// claimed is who the request says to be. With an account in the path X-Storage-User is a bare name, and X-Auth-User repeats the account.
func (d *Door) claimed(h http.Header, account string, named bool) naming.UserID {
	full := h.Get("X-Auth-User")
	if full == "" {
		full = h.Get("X-Storage-User")
		if named && full != "" {
			return naming.User(naming.AccountID(account), full)
		}
	}
	of, name, ok := strings.Cut(full, ":")
	if !ok || of == "" || name == "" || named && of != account {
		return ""
	}
	return naming.UserID(full)
}

func orUnknown(a naming.AccountID) naming.AccountID {
	if a == "" {
		return "unknown"
	}
	return a
}

// storageURL is where the client finds an account.
func storageURL(r *http.Request, account naming.AccountID) string {
	o := wire.OriginOf(r)
	return o.URL() + "/v1/" + Reseller + url.PathEscape(string(account))
}
