package identity

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pithos/internal/access"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
)

// bodyMax bounds the body of a request, as Keystone does.
const bodyMax = 114688

// route is one operation of the Identity API.
type route struct {
	name, method string
	path         string // below the version's; "*" stands for one segment
	open         bool   // needs no token
	handle       func(c *call) (*reply, error)
}

// routes is the table of what is served. HEAD is served where GET is.
func routes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []route{
		{"ShowVersion", get, "", true, (*call).showVersion},
		{"SignIn", post, "auth/tokens", true, (*call).postTokens},
		{"ValidateToken", get, "auth/tokens", false, (*call).validateToken},
		{"RevokeToken", del, "auth/tokens", false, (*call).revokeToken},
		{"ShowCatalogue", get, "auth/catalog", false, (*call).showCatalogue},
		{"ListOwnProjects", get, "auth/projects", false, (*call).listOwnProjects},
		{"ListOwnDomains", get, "auth/domains", false, (*call).listOwnDomains},
		{"ShowSystemScopes", get, "auth/system", false, (*call).showSystemScopes},
		{"ListDomains", get, "domains", false, (*call).listDomains},
		{"ShowDomain", get, "domains/*", false, (*call).showDomain},
		{"ListProjects", get, "projects", false, (*call).listProjects},
		{"ShowProject", get, "projects/*", false, (*call).showProject},
		{"ListUsers", get, "users", false, (*call).listUsers},
		{"ShowUser", get, "users/*", false, (*call).showUser},
		{"ListProjectsOfUser", get, "users/*/projects", false, (*call).listProjectsOfUser},
		{"ListGroupsOfUser", get, "users/*/groups", false, (*call).listGroupsOfUser},
		{"ListGroups", get, "groups", false, (*call).listGroups},
		{"ListRoles", get, "roles", false, (*call).listRoles},
		{"ShowRole", get, "roles/*", false, (*call).showRole},
		{"ListRoleAssignments", get, "role_assignments", false, (*call).listAssignments},
		{"ListRolesInProject", get, "projects/*/users/*/roles", false, (*call).listRolesInProject},
		{"CheckRoleInProject", get, "projects/*/users/*/roles/*", false, (*call).checkRoleInProject},
		{"ListRegions", get, "regions", false, (*call).listRegions},
		{"ListServices", get, "services", false, (*call).listServices},
		{"ListEndpoints", get, "endpoints", false, (*call).listEndpoints},
		{"ListApplicationCredentials", get, "users/*/application_credentials", false, (*call).listCredentials},
		{"CreateApplicationCredential", post, "users/*/application_credentials", false, (*call).createCredential},
		{"ShowApplicationCredential", get, "users/*/application_credentials/*", false, (*call).showCredential},
		{"DeleteApplicationCredential", del, "users/*/application_credentials/*", false, (*call).deleteCredential},
		{"ListEC2Credentials", get, "users/*/credentials/OS-EC2", false, (*call).listEC2},
		{"CreateEC2Credential", post, "users/*/credentials/OS-EC2", false, (*call).createEC2},
		{"ShowEC2Credential", get, "users/*/credentials/OS-EC2/*", false, (*call).showEC2},
		{"DeleteEC2Credential", del, "users/*/credentials/OS-EC2/*", false, (*call).deleteEC2},
	}
}

// call is one request of the Identity API.
type call struct {
	d     *Door
	w     http.ResponseWriter
	r     *http.Request
	base  string   // address of the version, without a slash at its end
	parts []string // segments of the path below it
	query url.Values
	body  *wire.Body

	operation string
	bearer    *bearer // whose token the request has; nil for what is open
	who       access.Principal
}

func (c *call) ctx() context.Context { return c.r.Context() }

// reply is an answer.
type reply struct {
	status int
	doc    any               // as JSON; nil for none
	header map[string]string // further ones
}

func ok(doc any) (*reply, error) { return &reply{status: http.StatusOK, doc: doc}, nil }

// keystone answers a request of the Identity API.
func (d *Door) keystone(w http.ResponseWriter, r *http.Request) outcome {
	c := &call{d: d, w: w, r: r, query: r.URL.Query()}
	rep, err := c.serve()
	if err != nil {
		rep = c.refuse(err)
	}
	done := outcome{operation: c.operation, status: rep.status, who: c.who, err: err}
	if c.body != nil {
		done.in = c.body.Count()
		c.body.Release()
	}
	h := w.Header()
	if rep.status >= http.StatusBadRequest {
		drained := wire.Drain(w, r, wire.Refused{Begun: done.in > 0, Limit: 2 * bodyMax, Clock: d.o.Clock})
		if !drained {
			h["Connection"] = []string{"close"}
		}
	}
	h["Vary"] = []string{"X-Auth-Token"}
	for name, value := range rep.header {
		h[name] = []string{value}
	}
	if rep.doc == nil {
		h["Content-Type"] = nil
		w.WriteHeader(rep.status)
		return done
	}
	text, err := json.Marshal(rep.doc)
	if err != nil { // cannot happen: documents are made of words, numbers and times
		w.WriteHeader(http.StatusInternalServerError)
		done.status, done.err = http.StatusInternalServerError, err
		return done
	}
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(rep.status)
	if r.Method != http.MethodHead {
		n, _ := w.Write(text) // the client left; nothing else to do
		done.out = int64(n)
	}
	return done
}

// serve finds the route and lets it answer.
func (c *call) serve() (*reply, error) {
	rest, root, err := c.locate()
	if err != nil {
		return nil, err
	}
	if root {
		c.operation = "ListVersions"
		return c.listVersions()
	}
	found, allowed := c.route(rest)
	switch {
	case found != nil:
	case len(allowed) > 0:
		c.w.Header()["Allow"] = []string{strings.Join(allowed, ", ")}
		return nil, refusal(http.StatusMethodNotAllowed, "The method is not allowed for the requested URL.")
	case slices.Contains(unserved, firstOf(rest)):
		return nil, refusal(http.StatusNotImplemented, "This service does not have "+firstOf(rest)+".")
	default:
		return nil, refusal(http.StatusNotFound, "The resource could not be found.")
	}
	c.operation, c.parts = found.name, rest
	if !found.open {
		if err := c.authenticate(); err != nil {
			return nil, err
		}
	}
	return found.handle(c)
}

// unserved are parts of Keystone that are known and not here; never written.
var unserved = []string{
	"credentials", "ec2tokens", "s3tokens", "policies", "OS-TRUST", "OS-OAUTH1", "OS-OAUTH2", "OS-FEDERATION", "OS-REVOKE", "OS-SIMPLE-CERT", "OS-INHERIT", "OS-EP-FILTER",
	"limits", "registered_limits", "limits_model", "system", "role_inferences",
}

func firstOf(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return parts[0]
}

// locate splits the path; root tells that it is the one above all versions.
func (c *call) locate() (rest []string, root bool, err error) {
	path := c.r.URL.EscapedPath()
	o := wire.OriginOf(c.r)
	if below, found := strings.CutPrefix(path, identityBase); found {
		if below = strings.Trim(below, "/"); below == "" {
			c.base = o.URL() + identityBase + plainBase
			return nil, true, nil
		}
		path = "/" + below
		c.base = o.URL() + identityBase + plainBase
	} else {
		c.base = o.URL() + plainBase
	}
	below, found := strings.CutPrefix(path, plainBase)
	if !found || below != "" && below[0] != '/' {
		return nil, false, refusal(http.StatusNotFound, "The resource could not be found.")
	}
	if below = strings.Trim(below, "/"); below == "" {
		return nil, false, nil
	}
	for part := range strings.SplitSeq(below, "/") {
		text, err := url.PathUnescape(part)
		if err != nil {
			return nil, false, refusal(http.StatusBadRequest, "The path cannot be read.")
		}
		rest = append(rest, text)
	}
	return rest, false, nil
}

// route finds the row for a path; allowed are the methods of the rows that have the path and another method.
func (c *call) route(parts []string) (found *route, allowed []string) {
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range c.d.routes {
		row := &c.d.routes[i]
		if !row.fits(parts) {
			continue
		}
		if row.method == method {
			return row, nil
		}
		allowed = append(allowed, row.method)
	}
	return nil, allowed
}

func (row *route) fits(parts []string) bool {
	if row.path == "" {
		return len(parts) == 0
	}
	want := strings.Split(row.path, "/")
	if len(want) != len(parts) {
		return false
	}
	for i := range want {
		if want[i] != parts[i] && (want[i] != "*" || parts[i] == "") {
			return false
		}
	}
	return true
}

// authenticate finds out who asks.
func (c *call) authenticate() error {
	token := c.r.Header.Get("X-Auth-Token")
	if token == "" {
		return refusal(http.StatusUnauthorized, "")
	}
	b, err := c.d.check(c.ctx(), token, 0)
	if err != nil {
		return err
	}
	c.bearer, c.who = b, b.who
	if b.who.KeyLimit != nil || b.who.Unread != "" { // a key that may do less than its user sees no more than itself
		c.who.Admin, c.who.Operator = false, false
	}
	return nil
}

// read reads the JSON document of a request.
func (c *call) read(into any) error {
	c.body = wire.NewBody(c.w, c.r, c.d.o.Clock, c.d.o.Pace)
	if c.r.ContentLength > bodyMax {
		return refusal(http.StatusRequestEntityTooLarge, "The request is too large.")
	}
	text, err := io.ReadAll(io.LimitReader(c.body, bodyMax+1))
	if err != nil {
		return err
	}
	if len(text) > bodyMax {
		return refusal(http.StatusRequestEntityTooLarge, "The request is too large.")
	}
	if err := json.Unmarshal(text, into); err != nil {
		// The decoder's error may quote the body, which may be a secret.
		return refusal(http.StatusBadRequest, "The body is not the JSON document that this operation takes.")
	}
	return nil
}

// fault is a refusal with its status.
type fault struct {
	status int
	msg    string // "": the status's own
	wait   int64  // seconds to wait; 0: none
	err    error  // for the log
}

func (f *fault) Error() string {
	if f.err != nil {
		return f.err.Error()
	}
	return strconv.Itoa(f.status) + " " + f.msg
}

func (f *fault) Unwrap() error { return f.err }

func refusal(status int, msg string) *fault { return &fault{status: status, msg: msg} }

// sentences are Keystone's messages; never written.
var sentences = map[int]string{
	http.StatusBadRequest:          "The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.",
	http.StatusUnauthorized:        "The request you have made requires authentication.",
	http.StatusForbidden:           "You are not authorized to perform the requested action.",
	http.StatusNotFound:            "The resource could not be found.",
	http.StatusConflict:            "Conflict occurred attempting to store it.",
	http.StatusTooManyRequests:     "Too many sign-ins have failed. Please wait.",
	http.StatusInternalServerError: "An unexpected error prevented the server from fulfilling your request.",
	http.StatusServiceUnavailable:  "The service you have requested is currently unavailable. Please try again later.",
}

// refuse makes the answer to a failed call.
func (c *call) refuse(err error) *reply {
	f, is := err.(*fault) //nolint:errorlint // made here, never wrapped
	if !is {
		f = refusal(statusOf(err), messageOf(err))
	}
	if f.msg == "" {
		f.msg = sentences[f.status]
	}
	rep := &reply{status: f.status, header: map[string]string{}}
	rep.doc = map[string]any{"error": map[string]any{"code": f.status, "message": f.msg, "title": http.StatusText(f.status)}}
	switch f.status {
	case http.StatusUnauthorized:
		o := wire.OriginOf(c.r)
		rep.header["Www-Authenticate"] = `Keystone uri="` + o.URL() + identityBase + `"`
	case http.StatusServiceUnavailable:
		rep.header["Retry-After"] = "1"
	}
	if f.wait > 0 {
		rep.header["Retry-After"] = strconv.FormatInt(f.wait, 10)
	}
	return rep
}

// statusOf is the status of an error of the backend or the stores.
func statusOf(err error) int {
	if k := errs.KindOf(err); k != errs.Canceled {
		return wire.StatusOf(k)
	}
	return http.StatusServiceUnavailable
}

// messageOf is what the client may know of an error: of the two kinds that clients can mend.
func messageOf(err error) string {
	var e *errs.Error
	for errs.Is(err, errs.Invalid) && errors.As(err, &e) {
		if e.Msg != "" {
			return e.Msg
		}
		err = e.Err
	}
	return ""
}
