package s3

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"pithos/internal/door/wire"
	"pithos/internal/naming"
)

// level is what a request's address names.
type level uint8

const (
	serviceLevel level = iota
	bucketLevel
	objectLevel
)

func (l level) String() string { return [...]string{"service", "bucket", "object"}[l] }

// parse reads the address and the query of the request. It works on the request's own bytes: no path is cleaned, "//" and ".."
// are parts of names like any others.
func (d *Door) parse(c *call) error {
	if err := checkHeaderSize(c.r.Header, d.o.Limits.HeaderBytes); err != nil {
		return err
	}
	path, rawQuery := splitTarget(c.r)
	c.origin = wire.OriginOf(c.r)
	path = c.origin.Strip(path)
	var err error
	if c.query, err = parseQuery(rawQuery); err != nil {
		return err
	}
	c.vhost = d.vhost(c.r.Host)
	bucket, key, err := splitAddress(c.vhost, path)
	if err != nil {
		return err
	}
	if bucket == "" {
		return nil
	}
	c.level = bucketLevel
	if c.bucket, err = naming.ParseBucket(bucket); err != nil {
		return err
	}
	if key == "" {
		return nil
	}
	c.level = objectLevel
	c.name, err = naming.ParseObject(key)
	return err
}

// splitTarget gives the raw path and query of the request target. The absolute form ("GET http://host/path") loses its front.
func splitTarget(r *http.Request) (path, query string) {
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") {
		if _, rest, ok := strings.Cut(target, "://"); ok {
			if i := strings.IndexAny(rest, "/?"); i >= 0 {
				target = rest[i:]
			} else {
				target = "/"
			}
		}
	}
	path, query, _ = strings.Cut(target, "?")
	return path, query
}

// vhost is the bucket that the Host header names below one of the door's domains; "" for a path-style address.
func (d *Door) vhost(host string) string {
	if len(d.o.Domains) == 0 || host == "" {
		return ""
	}
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	best := ""
	for _, domain := range d.o.Domains {
		// The longest domain wins, so that "s3.example.org" and "example.org" may both be listed; a host that
		// is itself a domain names no bucket below a shorter one.
		if host == domain[1:] {
			return ""
		}
		if len(domain) > len(best) && len(host) > len(domain) && strings.HasSuffix(host, domain) {
			best = domain
		}
	}
	if best == "" {
		return ""
	}
	return strings.TrimSuffix(host, best)
}

// splitAddress gives the decoded bucket and key of a raw path.
func splitAddress(vhost, path string) (bucket, key string, err error) {
	if path != "" && path[0] != '/' {
		return "", "", fail(InvalidURI, "")
	}
	path = strings.TrimPrefix(path, "/")
	if vhost == "" {
		vhost, path, _ = strings.Cut(path, "/")
		if vhost, err = unescapePath(vhost); err != nil {
			return "", "", err
		}
	}
	key, err = unescapePath(path)
	return vhost, key, err
}

// unescapePath decodes percent escapes; '+' stands for itself. The result must be UTF-8 without NUL.
func unescapePath(s string) (string, error) {
	if strings.IndexByte(s, '%') >= 0 {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return "", fail(InvalidURI, "")
		}
		s = decoded
	}
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return "", fail(InvalidURI, "")
	}
	return s, nil
}

// query is the decoded query in the order of the request. Where a name comes twice the first one counts, as at AWS.
type query []param

type param struct {
	name, value string
	bare        bool // there was no '='
}

// queryMax bounds the parameters of a request.
const queryMax = 64

// parseQuery decodes a raw query.
func parseQuery(raw string) (query, error) {
	if raw == "" {
		return nil, nil
	}
	q := make(query, 0, strings.Count(raw, "&")+1)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		var err error
		if name, err = unescapeQuery(name); err != nil {
			return nil, err
		}
		if value, err = unescapeQuery(value); err != nil {
			return nil, err
		}
		if len(q) == queryMax {
			return nil, fail(InvalidURI, "")
		}
		q = append(q, param{name, value, !ok})
	}
	return q, nil
}

// unescapeQuery decodes a name or value of a query, where '+' is a space.
func unescapeQuery(s string) (string, error) { return unescapePath(strings.ReplaceAll(s, "+", " ")) }

// lookup finds a parameter.
func (q query) lookup(name string) (string, bool) {
	for i := range q {
		if q[i].name == name {
			return q[i].value, true
		}
	}
	return "", false
}

// get is a parameter's value, "" when absent.
func (q query) get(name string) string {
	v, _ := q.lookup(name)
	return v
}

// checkHeaderSize bounds the request's headers, names and values together.
func checkHeaderSize(h http.Header, limit int) error {
	n := 0
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	if n > limit {
		return fail(RequestHeaderSectionTooLarge, "")
	}
	return nil
}
