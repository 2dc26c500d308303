package pithos

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"pithos/internal/door/wire"
)

// Mine tells whether a request on a listener that serves Swift's dialect too is this door's. The path alone decides on the dialect (16.1), but for requests that
// use what only the other API has; theirs tells of such a request to an account in this dialect. What uses both comes here, where it is refused.
func Mine(r *http.Request, theirs func(*http.Request) bool) bool {
	if Serves(r.URL.EscapedPath()) {
		return !theirs(r) || uses(r, "/v1/")
	}
	return Extra(r)
}

// Extra tells whether a request for an account in Swift's dialect uses what only Pithos+ has (16.2). It is then answered here, with MD5s as ETags; what both
// have stays Swift's.
func Extra(r *http.Request) bool { return uses(r, "/v1/"+reseller) }

// uses tells whether a request for an account below a path uses what only Pithos+ has.
func uses(r *http.Request, below string) bool {
	rest, ok := strings.CutPrefix(unescape(r.URL.EscapedPath()), below)
	if !ok {
		return false
	}
	parts := strings.SplitN(rest, "/", 3)
	at := accountLevel
	switch {
	case len(parts) == 3 && parts[2] != "":
		at = objectLevel
	case len(parts) > 1 && parts[1] != "":
		at = containerLevel
	}
	return r.Method == moveMethod || extraQuery(r, at) || extraHeaders(r, at)
}

// theirs are the headers and parameters that only Swift has.
var theirs = struct{ headers, parameters []string }{ // a table, never written
	[]string{"X-Container-Read", "X-Container-Write", "X-Delete-At", "X-Delete-After", "X-Symlink-Target"},
	[]string{"temp_url_sig", "multipart-manifest", "extract-archive", "bulk-delete"},
}

// checkMixed refuses a request that uses what only Swift has beside what only Pithos+ has: one of them would be lost without a word.
func (c *call) checkMixed() error {
	for _, name := range theirs.headers {
		if c.has(name) {
			return bad(name + " cannot be sent together with what only the Pithos+ API has")
		}
	}
	for _, name := range theirs.parameters {
		if c.given(name) {
			return bad(name + " cannot be asked for together with what only the Pithos+ API has")
		}
	}
	return nil
}

// extraQuery looks for parameters. None of them means anything to Swift.
func extraQuery(r *http.Request, at level) bool {
	if !strings.ContainsAny(r.URL.RawQuery, "huvmspdci") { // most requests have none of the names below
		return false
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false
	}
	if r.Method == http.MethodDelete {
		return at != accountLevel && (q.Has("until") || q.Has("delimiter"))
	}
	read := wire.Reads(r)
	if at == objectLevel {
		copies := r.Method == copyMethod || r.Method == http.MethodPut && len(r.Header["X-Copy-From"]) > 0
		return copies && hasAny(q, "delimiter", "ignore_content_type") || read && hasAny(q, "hashmap", "version", "disposition-type") ||
			r.Method == http.MethodPut && q.Has("hashmap")
	}
	return read && (hasAny(q, "until", "shared", "public") || at == containerLevel && hasAny(q, "meta", "changes"))
}

func hasAny(q url.Values, names ...string) bool { return slices.ContainsFunc(names, q.Has) }

// extraHeaders looks for headers.
func extraHeaders(r *http.Request, at level) bool {
	has := func(name string) bool { return len(r.Header[name]) > 0 }
	post := r.Method == http.MethodPost
	switch at {
	case objectLevel:
		shares := has("X-Object-Sharing") || has("X-Object-Public")
		put := r.Method == http.MethodPut
		return has("X-Move-From") || has("X-Source-Version") || has("X-Source-Account") || post && (has("Content-Range") || has("X-Source-Object")) ||
			shares && (post || put || r.Method == copyMethod)
	case containerLevel:
		return post && r.Header.Get("Content-Type") == octetStream && r.ContentLength > 0 || (post || r.Method == http.MethodPut) && hasPrefix(r.Header, "X-Container-Policy-")
	default:
		return post && hasPrefix(r.Header, "X-Account-Group-")
	}
}

func hasPrefix(h http.Header, prefix string) bool {
	for name := range h {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
