package pithos

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
)

// What the account begins with in the paths of Swift's dialect.
const (
	reseller        = "AUTH_"
	serviceReseller = "SERVICE_"
)

// Prefixes of paths that this door serves besides /v1/.
const (
	mounts = "/object-store/"
	mount  = mounts + "v1/"
	public = "/public/"
	view   = "/ui/view/"
)

// Serves reports whether a path, as it came, is this door's: a second mount, a public or view URL, or an account in the Pithos+ dialect (16.1).
func Serves(path string) bool {
	for _, prefix := range []string{mounts, public, view, identityBase + "/", accountBase + "/", oauthPath} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	rest, ok := strings.CutPrefix(path, "/v1/")
	rest = unescape(rest)
	if _, more, _ := strings.Cut(rest, "/"); strings.HasPrefix(rest, "/") || strings.HasPrefix(more, "/") {
		return false // without an account or container it names nothing here, and Swift has its answer
	}
	return ok && !strings.HasPrefix(rest, reseller) && !strings.HasPrefix(rest, serviceReseller)
}

// format is how lists and faults are written.
type format uint8

const (
	textFormat format = iota
	jsonFormat
	xmlFormat
)

func (f format) contentType() string {
	return [...]string{"text/plain; charset=UTF-8", "application/json; charset=UTF-8", "application/xml; charset=UTF-8"}[f]
}

// call is one request on its way through the door.
type call struct {
	door    *Door
	r       *http.Request
	w       wire.Sink
	turn    wire.Turn
	id      string
	started time.Time

	// Set by parse.
	path      string // decoded
	base      string // of the API, as the request reached it: "/v1" or "/object-store/v1"
	level     level
	swift     bool // the account came with Swift's prefix: see Extra
	owner     naming.AccountID
	container naming.ContainerName
	name      naming.ObjectName
	raw       [3]string // account, container, object before their check
	query     url.Values

	headers map[string]string // decoded metadata headers of the request, by canonical name; see decodeHeaders
	format  format
	plain   bool // format=text was asked for in so many words

	tells  bool // that a container is missing is told to everybody
	caller backend.Caller
	row    *row
	body   *wire.Body

	out http.Header
}

// reply is an answer: a status with nothing, bytes, or a stream of known length.
type reply struct {
	status int
	body   []byte
	stream func(ctx context.Context, w io.Writer) error
	length int64
}

func empty(status int) *reply { return &reply{status: status} }

// h is a header of the request, name in canonical form; "" when absent.
func (c *call) h(name string) string {
	if v := c.r.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c *call) has(name string) bool { return len(c.r.Header[name]) > 0 }

// given reports whether a parameter is there, with whatever value: clients send "update=", "shared=None", "hashmap=True".
func (c *call) given(name string) bool { return c.query.Has(name) }

func (c *call) set(name, value string) { c.out[name] = []string{value} }

func (c *call) setIf(name, value string) {
	if value != "" {
		c.set(name, value)
	}
}

func (c *call) setInt(name string, n int64) { c.set(name, strconv.FormatInt(n, 10)) }

func (c *call) ref() backend.Ref { return backend.Ref{Account: c.owner, Name: c.container} }

func (c *call) target() backend.Target { return backend.Target{Container: c.ref(), Name: c.name} }

// parse reads the path and the query (Pithos+ 2.1). No path is cleaned.
func (c *call) parse() error {
	target := c.r.RequestURI
	if !strings.HasPrefix(target, "/") {
		if _, rest, ok := strings.Cut(target, "://"); ok {
			_, rest, _ = strings.Cut(rest, "/")
			target = "/" + rest
		}
	}
	escaped, raw, _ := strings.Cut(target, "?")
	c.path = unescape(escaped)
	c.query, _ = url.ParseQuery(raw) // what cannot be read is left out
	var rest string
	switch {
	case strings.HasPrefix(c.path, public):
		c.level, c.raw[2] = publicLevel, c.path[len(public):]
		return nil
	case strings.HasPrefix(c.path, identityBase+"/"), strings.HasPrefix(c.path, accountBase+"/"), c.path == oauthPath:
		c.level = identityLevel
		return nil
	case strings.HasPrefix(c.path, view):
		rest, c.level = c.path[len(view):], viewLevel
	case strings.HasPrefix(c.path, mount):
		rest, c.base = c.path[len(mount):], mount[:len(mount)-1]
	case strings.HasPrefix(c.path, "/v1/"):
		rest, c.base = c.path[len("/v1/"):], "/v1"
	default:
		return bad("Unknown path")
	}
	parts := strings.SplitN(rest, "/", 3)
	copy(c.raw[:], parts)
	c.raw[0], c.swift = strings.CutPrefix(c.raw[0], reseller)
	c.swift = c.swift && c.base == "/v1" // the second mount is in this dialect, whatever the account is called
	if c.level == viewLevel {
		if len(parts) < 3 || parts[2] == "" {
			return bad("Unknown path")
		}
		return nil
	}
	switch {
	case len(parts) == 3 && parts[2] != "":
		c.level = objectLevel
	case len(parts) >= 2 && parts[1] != "":
		c.level = containerLevel
	case c.raw[0] != "":
		c.level = accountLevel
	default:
		c.level = topLevel
	}
	if c.raw[0] == "" && c.level != topLevel || len(parts) == 3 && parts[1] == "" {
		return bad("Unknown path")
	}
	return nil
}

// unescape decodes percent escapes; one that is broken stands for itself.
func unescape(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

// expect has looked up meanwhile what a request for an object will ask for.
func (c *call) expect(ctx context.Context) context.Context {
	if c.level != objectLevel || c.r.Method == http.MethodPost {
		return ctx
	}
	at := *c
	if at.checkNames() != nil {
		return ctx
	}
	return c.door.b.Expect(ctx, at.target(), wire.Reads(c.r), c.r.Method == http.MethodPut)
}

// checkNames parses the names of the path. Names that are too long are 400 (Pithos+ 1.1).
func (c *call) checkNames() error {
	if c.level == topLevel || c.level == publicLevel || c.level == identityLevel {
		return nil
	}
	if !utf8.ValidString(c.path) {
		return bad("The path is not UTF-8")
	}
	var err error
	if c.owner, err = naming.ParseAccount(c.raw[0]); err != nil {
		return err
	}
	if c.level >= containerLevel {
		if c.container, err = naming.ParseContainer(c.raw[1]); err != nil {
			return err
		}
	}
	if c.level >= objectLevel {
		c.name, err = naming.ParseObject(c.raw[2])
	}
	return err
}

// chooseFormat picks the serialisation of the answer (Pithos+ 2.3). Those of HEAD and PUT are JSON, whatever is asked for.
func (c *call) chooseFormat(otherwise format) {
	asked := c.query.Get("format")
	c.plain = asked == "text"
	switch {
	case (c.r.Method == http.MethodHead || c.r.Method == http.MethodPut) && c.level < publicLevel:
		c.format = jsonFormat
	case asked == "json":
		c.format = jsonFormat
	case asked == "xml":
		c.format = xmlFormat
	case c.plain:
		c.format = textFormat
	default:
		c.format = c.accepted(otherwise)
	}
}

// accepted is the first serialisation that the client says it takes.
func (c *call) accepted(otherwise format) format {
	for each := range strings.SplitSeq(c.h("Accept"), ",") {
		kind, _, _ := strings.Cut(each, ";")
		switch strings.TrimSpace(kind) {
		case "application/json":
			return jsonFormat
		case "application/xml":
			return xmlFormat
		}
	}
	return otherwise
}

// token is the token of the request: the parameter wins (Pithos+ 2.2).
func (c *call) token() string {
	if t := c.query.Get("X-Auth-Token"); t != "" && !c.door.o.NoQueryTokens {
		return t
	}
	return c.h("X-Auth-Token")
}

// authenticate tells who asks; everybody must sign in.
func (c *call) authenticate(ctx context.Context) error {
	c.caller.RequestID, c.caller.Facts = c.id, c
	token := c.token()
	if token == "" {
		return refusal(http.StatusUnauthorized, "Access denied: sign in and send X-Auth-Token")
	}
	who, known, err := c.door.o.Who(ctx, token)
	if err != nil {
		return err
	}
	if !known {
		return refusal(http.StatusUnauthorized, "Access denied: the token is unknown or has expired")
	}
	c.caller.Principal = who
	return nil
}

// owns tells whether the caller administers the account of the path.
func (c *call) owns() bool {
	return access.Decide(access.Request{
		Principal: c.caller.Principal, Action: access.PutAccount, Resource: access.Resource{Account: c.owner},
	}).Allowed
}

// mustOwn is 403 for everybody but the owner.
func (c *call) mustOwn() error {
	if !c.owns() {
		return refusal(http.StatusForbidden, "Not allowed")
	}
	return nil
}

// hide keeps from strangers which containers and accounts there are: they get 403 (Pithos+ 1.8). The target of a copy is told (tells).
func (c *call) hide(err error) error {
	hidden := errs.IsThing(err, errs.NotFound, errs.Container) || errs.IsThing(err, errs.NotFound, errs.Account)
	if hidden && !c.tells && c.level >= accountLevel && c.level <= objectLevel && !c.owns() {
		return refusal(http.StatusForbidden, sentence(http.StatusForbidden)).because(err)
	}
	return err
}

// external is the beginning of URLs in answers.
func (c *call) external() string {
	if c.door.o.External != "" {
		return strings.TrimSuffix(c.door.o.External, "/")
	}
	scheme := "http"
	if c.r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.r.Host
}

// content is the beginning of URLs of public links and views.
func (c *call) content() string {
	if c.door.o.Content != "" {
		return c.door.o.Content
	}
	return c.external()
}

// contentElsewhere is where a public link or view has to be asked for, if that is another host than the one asked; else "" (Pithos+ 9).
func (c *call) contentElsewhere() string {
	if c.door.o.Content == "" || c.level != publicLevel && c.level != viewLevel {
		return ""
	}
	_, host, _ := strings.Cut(c.door.o.Content, "://")
	if strings.EqualFold(c.r.Host, host) {
		return ""
	}
	target := c.r.RequestURI
	if _, rest, ok := strings.Cut(target, "://"); ok && !strings.HasPrefix(target, "/") {
		_, rest, _ = strings.Cut(rest, "/")
		target = "/" + rest
	}
	return c.door.o.Content + target
}

// clip bounds text of a client before it goes into an answer or the log.
func clip(s string) string {
	if len(s) > 128 {
		return strings.ToValidUTF8(s[:128], "?") + "..."
	}
	return s
}
