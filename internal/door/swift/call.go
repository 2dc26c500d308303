package swift

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// reseller begins the name of an account in paths; serviceReseller that of the account beside it, which a service keeps for its users: they reach it
// through the service only.
const (
	reseller        = "AUTH_"
	serviceReseller = "SERVICE_"
)

// call is one request on its way through the door.
type call struct {
	door    *Door
	r       *http.Request
	w       wire.Sink
	id      string // X-Trans-Id
	started time.Time

	// Set by parse.
	path      string // decoded
	level     level
	account   string // as in the path, with the reseller's prefix
	base      string // without it
	owner     naming.AccountID
	container naming.ContainerName
	name      naming.ObjectName
	query     url.Values
	rawNames  [2]string // container and object before their check

	turn   wire.Turn
	caller backend.Caller
	// administers tells whether the caller administers an account.
	administers func(naming.AccountID) bool
	// versions: the container that is listed keeps versions.
	versions bool
	row      *row
	body     *wire.Body

	synced   bool      // another cluster asks, for container sync
	signed   *link     // the signed link that the request came by; nil: none
	ownerID  string    // canonical id of the account, where a signature was checked
	inside   bool      // made by another call, see sub
	input    io.Reader // the body of a call that another one made
	taken    int64     // bytes of input
	remapped string    // what the host's name put before the path, see remap

	out http.Header // header of the answer
}

// reply is an answer: a status with nothing, bytes, or a stream of known length.
type reply struct {
	status int
	body   []byte
	// stream writes exactly length bytes. Its first Write sends the headers.
	stream func(ctx context.Context, w io.Writer) error
	length int64
	// open: the length of the stream is not known before its end.
	open bool
	// refused: the rest of the request's body is not wanted, though the status does not say so.
	refused bool
}

// empty is an answer without a body.
func empty(status int) *reply { return &reply{status: status} }

// accepted is an answer of 202 with its page.
func (c *call) accepted() *reply {
	c.set("Content-Type", "text/html; charset=UTF-8")
	return &reply{status: http.StatusAccepted, body: page(http.StatusAccepted)}
}

// h is a header of the request, name in canonical form; "" when absent.
func (c *call) h(name string) string {
	if v := c.r.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// has reports whether the request has the header, even when empty.
func (c *call) has(name string) bool { return len(c.r.Header[name]) > 0 }

// set puts a header into the answer, name in canonical form.
func (c *call) set(name, value string) { c.out[name] = []string{value} }

func (c *call) setIf(name, value string) {
	if value != "" {
		c.set(name, value)
	}
}

func (c *call) setInt(name string, n int64) { c.set(name, strconv.FormatInt(n, 10)) }

// ref names the container of the call.
func (c *call) ref() backend.Ref { return backend.Ref{Account: c.owner, Name: c.container} }

// target names the object of the call.
func (c *call) target() backend.Target { return backend.Target{Container: c.ref(), Name: c.name} }

// reserved are the beginnings of headers that only the inside of a Swift cluster may send; they are dropped.
var reserved = []string{ // a table, never written
	"X-Account-Sysmeta-", "X-Container-Sysmeta-", "X-Object-Sysmeta-", "X-Object-Transient-Sysmeta-", "X-Backend",
}

// gatekeep drops headers that clients may not send, and bounds the rest.
func (c *call) gatekeep() error {
	count := 0
	for name, values := range c.r.Header {
		count += len(values)
		drop := strings.ContainsRune(name, '_')
		for _, prefix := range reserved {
			drop = drop || strings.HasPrefix(name, prefix)
		}
		if drop {
			delete(c.r.Header, name)
			continue
		}
		for _, v := range values {
			if len(v) > headerMax {
				return bad("Header value too long: " + clip(name))
			}
		}
	}
	if count > headerCountMax {
		for _, prefix := range []string{"X-Object-Meta-", "X-Container-Meta-", "X-Account-Meta-"} {
			if _, err := c.metadata(prefix); err != nil {
				return err // it says what is too many
			}
		}
		return refusal(http.StatusRequestHeaderFieldsTooLarge, "Too many headers")
	}
	return nil
}

// parse reads the path and the query. No path is cleaned: "//" and ".." are parts of names like any others.
func (c *call) parse(ctx context.Context) error {
	target := c.r.RequestURI
	if !strings.HasPrefix(target, "/") {
		if _, rest, ok := strings.Cut(target, "://"); ok {
			_, rest, _ = strings.Cut(rest, "/")
			target = "/" + rest
		}
	}
	path, raw, _ := strings.Cut(target, "?")
	c.path = unescape(path)
	c.query, _ = url.ParseQuery(raw) // what cannot be read is left out, as in Swift
	if err := c.remap(ctx); err != nil {
		return err
	}
	switch {
	case c.path == "/info" || c.path == "/healthcheck" || c.path == "/crossdomain.xml":
		return nil
	case c.path == "/" || c.path == "" || strings.HasPrefix(c.path, "//"):
		return refusal(http.StatusNotFound, "")
	}
	parts := strings.SplitN(c.path[1:], "/", 4)
	if len(parts) == 1 || len(parts) == 2 && parts[1] == "" {
		return refusal(http.StatusPreconditionFailed, "Bad URL")
	}
	if parts[0] != "v1" && parts[0] != "v1.0" {
		return bad("Invalid version: " + clip(parts[0]))
	}
	if parts[1] == "" || len(parts) == 4 && parts[2] == "" {
		return refusal(http.StatusNotFound, "")
	}
	c.account, c.level = parts[1], accountLevel
	if rest, ok := strings.CutPrefix(c.account, serviceReseller); ok {
		c.owner, c.base = naming.Service(naming.ServicePrefix, naming.AccountID(rest)), rest
	} else {
		c.base = strings.TrimPrefix(c.account, reseller)
		c.owner = naming.AccountID(c.base)
	}
	if len(parts) > 2 && parts[2] != "" {
		c.level, c.rawNames[0] = containerLevel, parts[2]
	}
	if len(parts) > 3 && parts[3] != "" {
		c.level, c.rawNames[1] = objectLevel, parts[3]
	}
	return nil
}

// unescape decodes percent escapes; one that is broken stands for itself.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// expect has looked up meanwhile what a request for an object will ask for.
func (c *call) expect(ctx context.Context) context.Context {
	if c.level != objectLevel || c.r.Method == http.MethodPost {
		return ctx
	}
	container, err := naming.ParseContainer(c.rawNames[0])
	if err != nil {
		return ctx
	}
	name, err := naming.ParseObject(c.rawNames[1])
	if err != nil {
		return ctx
	}
	return c.door.b.Expect(ctx, backend.Target{Container: backend.Ref{Account: c.owner, Name: container}, Name: name}, wire.Reads(c.r), c.r.Method == http.MethodPut)
}

// checkPath parses the names that the path has. It comes after the token: Swift tells a stranger nothing about names.
func (c *call) checkPath() error {
	if !utf8.ValidString(c.path) || strings.IndexByte(c.path, 0) >= 0 {
		return refusal(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	if _, err := naming.ParseAccount(c.base); err != nil || c.base == c.account && !Extra(c.r) {
		return c.denied()
	}
	var err error
	if c.level >= containerLevel {
		if c.container, err = containerName(c.rawNames[0]); err != nil {
			return err
		}
	}
	if c.level == objectLevel {
		c.name, err = objectName(c.rawNames[1])
	}
	return err
}

func containerName(s string) (naming.ContainerName, error) {
	if len(s) > naming.ContainerNameMax {
		return "", bad("Container name length of "+strconv.Itoa(len(s))+" longer than "+strconv.Itoa(naming.ContainerNameMax)).
			carrying("Content-Type", "text/html; charset=UTF-8")
	}
	return naming.ParseContainer(s)
}

func objectName(s string) (naming.ObjectName, error) {
	if len(s) > naming.ObjectNameMax {
		return "", bad("Object name length of " + strconv.Itoa(len(s)) + " longer than " + strconv.Itoa(naming.ObjectNameMax))
	}
	return naming.ParseObject(s)
}

// authenticate tells who asks. A token of a stranger is the anonymous public's.
func (c *call) authenticate(ctx context.Context) error {
	c.caller.RequestID, c.caller.Facts = c.id, c
	if m := c.r.Method; m == http.MethodGet || m == http.MethodHead || m == http.MethodPost {
		c.caller.OpenExpired = c.door.o.OpenExpired && flag(c.h("X-Open-Expired"))
	}
	token := c.h("X-Auth-Token")
	if token == "" {
		token = c.h("X-Storage-Token")
	}
	if token != "" {
		who, known, err := c.door.o.Who(ctx, token)
		if err != nil {
			return err
		}
		if known {
			c.caller.Principal = who
		}
	}
	if service := c.h("X-Service-Token"); service != "" {
		// One that is not good gives nothing.
		if who, known, err := c.door.o.Who(ctx, service); err == nil && known {
			c.caller.ServiceRoles = who.Roles
		}
	}
	if u, err := url.Parse(c.h("Referer")); err == nil {
		c.caller.Referrer = u.Hostname()
	}
	return nil
}

// denied is the answer to who may not: sign in first, or no.
func (c *call) denied() *fault {
	if c.caller.Anonymous() {
		return refusal(http.StatusUnauthorized, "")
	}
	return refusal(http.StatusForbidden, "")
}

// owns tells whether the caller administers the account of the path.
func (c *call) owns() bool { return c.administers(c.owner) }

// hide keeps from strangers which containers and accounts there are.
func (c *call) hide(err error) error {
	if c.signed != nil {
		return err // whoever signed would be told
	}
	if (errs.IsThing(err, errs.NotFound, errs.Container) || errs.IsThing(err, errs.NotFound, errs.Account)) && !c.owns() {
		return c.denied().because(err)
	}
	return err
}

// flag reads a boolean as Swift does.
func flag(s string) bool {
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on", "t", "y":
		return true
	}
	return false
}

// clip bounds text of a client before it goes into an answer or the log.
func clip(s string) string {
	if len(s) > 128 {
		return strings.ToValidUTF8(s[:128], "?") + "..."
	}
	return s
}

// peek shows a container of the path's account whoever asks; nil when it is not there or cannot be.
func (c *call) peek(ctx context.Context, name naming.ContainerName) (*bucket.Container, error) {
	if _, bad := naming.ParseContainer(string(name)); bad != nil {
		return nil, nil //nolint:nilnil,nilerr // there is no container of such a name
	}
	container, err := c.door.b.Found(ctx, backend.Ref{Account: c.owner, Name: name})
	if errs.Is(err, errs.NotFound) {
		return nil, nil //nolint:nilnil // no such container
	}
	return &container, err
}
