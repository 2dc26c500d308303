package sigv4

import (
	"strings"
)

// Request is what of an HTTP request a signature can cover. The package changes nothing in it.
type Request struct {
	Method string
	// Target is the request target exactly as it stood in the request line (http.Request.RequestURI).
	Target string
	// Host is the Host header (http.Request.Host).
	Host string
	// Header holds the other headers under any spelling; http.Header fits.
	Header map[string][]string
	// ContentLength is the length of the body as sent, -1 when it is unknown.
	ContentLength int64
	// TransferEncoding is what the HTTP library took out of the header.
	TransferEncoding []string
	// Bucket is the bucket that the host name stands for, "" with path-style addressing. Only Version 2 signs it.
	Bucket string
	// Places are hosts, with prefixes of paths, by which clients may know the service while proxies change both. A signature over one of them counts
	// like one over Host and Target: it binds the request all the same.
	Places []Place
	// StrictLife refuses a presigned URL of negative life as malformed (AuthorizationQueryParametersError) in place of expired.
	StrictLife bool
	// ChunkMin is the smallest chunk of a streamed body, bytes, but for the last one; 0: any (User Guide, "Signature calculations for the authorization
	// header: chunked upload", asks for 8 KiB).
	ChunkMin int64
}

// Place is a host and the beginning of all its paths, without a slash at its end.
type Place struct{ Host, Prefix string }

// values finds a header by its name in lower case. It does not allocate.
func (r *Request) values(lower string) []string {
	for k, v := range r.Header {
		if len(k) == len(lower) && strings.EqualFold(k, lower) {
			return v
		}
	}
	return nil
}

// get is the first value of a header.
func (r *Request) get(lower string) (value string, present bool) {
	if v := r.values(lower); len(v) > 0 {
		return v[0], true
	}
	return "", false
}

// param is one parameter of a query, decoded.
type param struct{ name, value string }

// target is a parsed request target.
type target struct {
	raw    string // path as sent
	path   string // decoded
	params []param
	// has says which parameters that belong to authentication are there.
	has struct{ v4, v2 bool }
}

// paramsMax bounds the parameters of a query.
const paramsMax = 1000

// parseTarget splits a request target. buf is used for the parameters while it suffices.
func parseTarget(s string, buf []param) (t target, ok bool) {
	s, query, _ := strings.Cut(s, "?")
	if !strings.HasPrefix(s, "/") {
		// absolute-form: scheme://authority/path
		if _, rest, found := strings.Cut(s, "://"); found {
			if i := strings.IndexByte(rest, '/'); i >= 0 {
				s = rest[i:]
			} else {
				s = "/"
			}
		}
	}
	t.raw = s
	if t.path, ok = decode(s, false); !ok {
		return t, false
	}
	t.params = buf[:0]
	for query != "" {
		var one string
		one, query, _ = strings.Cut(query, "&")
		if one == "" {
			continue
		}
		n, v, _ := strings.Cut(one, "=")
		var p param
		if p.name, ok = decode(n, true); !ok {
			return t, false
		}
		if p.value, ok = decode(v, true); !ok || len(t.params) == paramsMax {
			return t, false
		}
		switch p.name {
		case "X-Amz-Algorithm", "X-Amz-Signature", "X-Amz-Credential":
			t.has.v4 = true
		case "AWSAccessKeyId", "Signature":
			t.has.v2 = true
		}
		t.params = append(t.params, p)
	}
	return t, true
}

// get is the first parameter of the name.
func (t *target) get(name string) (value string, present bool) {
	for i := range t.params {
		if t.params[i].name == name {
			return t.params[i].value, true
		}
	}
	return "", false
}

// count tells how often a parameter is there.
func (t *target) count(name string) (n int) {
	for i := range t.params {
		if t.params[i].name == name {
			n++
		}
	}
	return n
}

// decode undoes percent-encoding, and with plus also "+" for a space. It allocates only if there is something to undo.
func decode(s string, plus bool) (string, bool) {
	i := 0
	for i < len(s) && s[i] != '%' && (s[i] != '+' || !plus) {
		i++
	}
	if i == len(s) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	b = append(b, s[:i]...)
	for ; i < len(s); i++ {
		switch {
		case s[i] == '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return "", false
			}
			b = append(b, hi<<4|lo)
			i += 2
		case s[i] == '+' && plus:
			b = append(b, ' ')
		default:
			b = append(b, s[i])
		}
	}
	return string(b), true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// appendEncoded percent-encodes everything but A-Z a-z 0-9 - . _ ~ and, with slash, "/".
func appendEncoded(b []byte, s string, slash bool) []byte {
	const upper = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' || c == '/' && slash {
			b = append(b, c)
			continue
		}
		b = append(b, '%', upper[c>>4], upper[c&15])
	}
	return b
}

// isAmz reports whether a header name begins with "x-amz-", in any case.
func isAmz(name string) bool {
	return len(name) > 6 && (name[0] == 'x' || name[0] == 'X') && strings.EqualFold(name[:6], "x-amz-")
}
