package s3

import (
	"context"
	"encoding/xml"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"pithos/internal/errs"
	"pithos/internal/naming"
)

// Limits of a CORS configuration (S3 API Reference, PutBucketCors; S3 User Guide, "Elements of a CORS configuration").
const (
	corsRulesMax  = 100
	corsIDMax     = 255
	corsSizeMax   = 64 << 10
	corsMaxAgeMax = 1<<31 - 1
)

// corsDocument names the bucket document that keeps the rules: their elements as this door writes them.
const corsDocument = "cors"

// corsRules is the body of PutBucketCors.
type corsRules struct {
	XMLName xml.Name   `xml:"CORSConfiguration"`
	Rules   []corsRule `xml:"CORSRule"`
}

// corsRule lets scripts of some origins do some methods.
type corsRule struct {
	ID             string
	AllowedOrigins []string `xml:"AllowedOrigin"`
	AllowedMethods []string `xml:"AllowedMethod"`
	AllowedHeaders []string `xml:"AllowedHeader"`
	ExposeHeaders  []string `xml:"ExposeHeader"`
	MaxAgeSeconds  *int64
}

// check tests the rules. Errors: MalformedXML, InvalidRequest.
func (d *corsRules) check() error {
	if len(d.Rules) == 0 || len(d.Rules) > corsRulesMax {
		return fail(MalformedXML, "")
	}
	for i := range d.Rules {
		if err := d.Rules[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *corsRule) check() error {
	if len(r.ID) > corsIDMax || len(r.AllowedOrigins) == 0 || len(r.AllowedMethods) == 0 ||
		r.MaxAgeSeconds != nil && (*r.MaxAgeSeconds < 0 || *r.MaxAgeSeconds > corsMaxAgeMax) {
		return fail(MalformedXML, "")
	}
	for _, m := range r.AllowedMethods {
		switch m {
		case get, head, put, post, remove:
		default:
			return fail(InvalidRequest, "Found unsupported HTTP method in CORS config. Unsupported method is "+clip(m))
		}
	}
	for _, o := range r.AllowedOrigins {
		if o == "" {
			return fail(MalformedXML, "")
		}
		if strings.Count(o, "*") > 1 {
			return fail(InvalidRequest, `AllowedOrigin "`+clip(o)+`" can not have more than one wildcard.`)
		}
	}
	for _, h := range r.AllowedHeaders {
		if strings.Count(h, "*") > 1 {
			return fail(InvalidRequest, `AllowedHeader "`+clip(h)+`" can not have more than one wildcard.`)
		}
	}
	for _, h := range r.ExposeHeaders {
		if strings.Contains(h, "*") {
			return fail(InvalidRequest, `ExposeHeader "`+clip(h)+`" contains wildcard. We currently do not support wildcard for ExposeHeader.`)
		}
		if !headerName(h) {
			return fail(InvalidRequest, `ExposeHeader "`+clip(h)+`" is not the name of a header.`)
		}
	}
	return nil
}

// headerName reports whether s can be the name of a header (RFC 9110, 5.6.2), so that it can stand in an answer's header.
func headerName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("!#$%&'+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// elements writes the rules.
func (d *corsRules) elements() []byte {
	var x document
	for i := range d.Rules {
		r := &d.Rules[i]
		x.open("CORSRule")
		x.textIf("ID", r.ID)
		for _, list := range []struct {
			name   string
			values []string
		}{
			{"AllowedOrigin", r.AllowedOrigins},
			{"AllowedMethod", r.AllowedMethods},
			{"AllowedHeader", r.AllowedHeaders},
			{"ExposeHeader", r.ExposeHeaders},
		} {
			for _, v := range list.values {
				x.text(list.name, v)
			}
		}
		if r.MaxAgeSeconds != nil {
			x.int("MaxAgeSeconds", *r.MaxAgeSeconds)
		}
		x.close("CORSRule")
	}
	return x.b
}

// getBucketCORS serves GetBucketCors.
func getBucketCORS(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	kept := container.Config.Documents[corsDocument]
	if len(kept) == 0 {
		return nil, fail(NoSuchCORSConfiguration, "").with("BucketName", string(c.bucket))
	}
	x := newDocument("CORSConfiguration")
	x.raw(string(kept))
	return x.reply(c, "CORSConfiguration"), nil
}

// putBucketCORS serves PutBucketCors.
func putBucketCORS(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	var doc corsRules
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	if err := doc.check(); err != nil {
		return nil, err
	}
	kept := doc.elements()
	if len(kept) > corsSizeMax {
		return nil, fail(InvalidRequest, "The CORS configuration is larger than 64 KB.")
	}
	return c.setDocument(ctx, corsDocument, kept, http.StatusOK)
}

// deleteBucketCORS serves DeleteBucketCors.
func deleteBucketCORS(ctx context.Context, c *call) (*reply, error) {
	return c.setDocument(ctx, corsDocument, nil, http.StatusNoContent)
}

// cors is what a bucket's rules say about one request. The zero value: nothing.
type cors struct {
	configured bool      // the bucket has rules, so the answer depends on the origin
	rule       *corsRule // the first that fits; nil for none
	origin     string    // the origin to name: "*", or the request's
	headers    string    // of a preflight that was allowed: the headers it asked for
}

// findCORS settles what the answer to a request of a script says. The rules are read whoever asks and whatever comes of the request: an error
// without these headers is one that a script cannot read.
func (c *call) findCORS(ctx context.Context) {
	origin := c.r.Header.Get("Origin")
	if origin == "" || !naming.ValidBucket(string(c.bucket)) {
		return
	}
	kept, err := c.door.b.Document(ctx, c.ref(), corsDocument)
	if err != nil || len(kept) == 0 {
		if err != nil && !errs.Is(err, errs.NotFound) {
			c.door.o.Log.LogAttrs(ctx, slog.LevelWarn, "no CORS rules", slog.String("request", c.id), slog.String("error", err.Error()))
		}
		return
	}
	var doc corsRules
	if err := decodeXML(slices.Concat([]byte("<CORSConfiguration>"), kept, []byte("</CORSConfiguration>")), &doc); err != nil {
		c.door.o.Log.LogAttrs(ctx, slog.LevelError, "kept CORS rules are damaged", slog.String("bucket", string(c.bucket)), slog.String("error", err.Error()))
		return
	}
	c.cors = doc.find(origin, c.r)
}

// find is the first rule for a request.
func (d *corsRules) find(origin string, r *http.Request) cors {
	method := r.Method
	if asked := r.Header.Get("Access-Control-Request-Method"); asked != "" {
		method = asked
	}
	var headers []string
	if r.Method == http.MethodOptions {
		headers = headerList(r.Header.Values("Access-Control-Request-Headers"))
	}
	found := cors{configured: true}
	for i := range d.Rules {
		rule := &d.Rules[i]
		at := slices.IndexFunc(rule.AllowedOrigins, func(pattern string) bool { return fitsWildcard(pattern, origin) })
		if at < 0 || !slices.Contains(rule.AllowedMethods, method) || !rule.allowsHeaders(headers) {
			continue
		}
		found.rule, found.origin, found.headers = rule, origin, strings.ToLower(strings.Join(headers, ", "))
		if rule.AllowedOrigins[at] == "*" {
			found.origin = "*"
		}
		break
	}
	return found
}

func (r *corsRule) allowsHeaders(names []string) bool {
	for _, n := range names {
		n = strings.ToLower(n)
		if !slices.ContainsFunc(r.AllowedHeaders, func(pattern string) bool { return fitsWildcard(strings.ToLower(pattern), n) }) {
			return false
		}
	}
	return true
}

// fitsWildcard matches a text with a pattern of at most one "*", which stands for any text.
func fitsWildcard(pattern, s string) bool {
	before, after, ok := strings.Cut(pattern, "*")
	if !ok {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}

// setCORS puts the headers into the answer. With an origin that no rule names there is Vary alone, so that no cache gives the answer to others.
func (c *call) setCORS() {
	f := &c.cors
	if !f.configured {
		return
	}
	c.set("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
	if f.rule == nil {
		return
	}
	c.set("Access-Control-Allow-Origin", f.origin)
	c.set("Access-Control-Allow-Methods", strings.Join(f.rule.AllowedMethods, ", "))
	c.setIf("Access-Control-Allow-Headers", f.headers)
	c.setIf("Access-Control-Expose-Headers", strings.Join(f.rule.ExposeHeaders, ", "))
	if f.rule.MaxAgeSeconds != nil {
		c.set("Access-Control-Max-Age", strconv.FormatInt(*f.rule.MaxAgeSeconds, 10))
	}
	if f.origin != "*" {
		// Browsers refuse credentials with "*".
		c.set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers a browser that asks before it lets a script go on. It needs no signature: browsers send none.
func preflight(_ context.Context, c *call) (*reply, error) {
	if c.h("Origin") == "" {
		return nil, fail(BadRequest, "Insufficient information. Origin request header needed.")
	}
	if c.h("Access-Control-Request-Method") == "" {
		return nil, fail(BadRequest, "Invalid Access-Control-Request-Method: null")
	}
	if c.cors.rule != nil {
		return empty(http.StatusOK), nil
	}
	why := "CORSResponse: CORS is not enabled for this bucket."
	if c.cors.configured {
		why = "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request method / " +
			"Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
	}
	return nil, fail(AccessForbidden, why).
		with("Method", clip(c.h("Access-Control-Request-Method"))).with("ResourceType", c.level.String())
}
