package pithos

import (
	"net/http"
	"net/url"
	"strings"
)

// Mine tells whether a request on a listener that serves Swift's dialect too is this door's. The path alone decides on the dialect (16.1), but for requests that
// use what only the other API has; theirs tells of such a request to an account in this dialect.
func Mine(r *http.Request, theirs func(*http.Request) bool) bool {
	return Serves(r.URL.EscapedPath()) && !theirs(r) || Extra(r)
}

// Extra tells whether a request for an account in Swift's dialect uses what only Pithos+ has (16.2). It is then answered here, with MD5s as ETags; what both
// have stays Swift's.
func Extra(r *http.Request) bool {
	path := unescape(r.URL.EscapedPath())
	rest, ok := strings.CutPrefix(path, "/v1/"+reseller)
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

// extraQuery looks for parameters. None of them means anything to Swift.
func extraQuery(r *http.Request, at level) bool {
	if !strings.ContainsAny(r.URL.RawQuery, "huvmspdc") { // most requests have none of the names below
		return false
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case at == objectLevel && (read || r.Method == http.MethodPut) && q.Has("hashmap"), at == objectLevel && read && q.Has("version"):
		return true
	case at != objectLevel && read && (q.Has("until") || q.Has("shared") || q.Has("public")), at == containerLevel && read && (q.Has("meta") || q.Has("changes")):
		return true
	case r.Method == http.MethodDelete && at != accountLevel && (q.Has("until") || q.Has("delimiter")):
		return true
	}
	return r.Method == copyMethod && at == objectLevel && q.Has("delimiter")
}

// extraHeaders looks for headers.
func extraHeaders(r *http.Request, at level) bool {
	has := func(name string) bool { return len(r.Header[name]) > 0 }
	post := r.Method == http.MethodPost
	switch at {
	case objectLevel:
		return has("X-Move-From") || has("X-Source-Version") || post && (has("Content-Range") || has("X-Source-Object") || has("X-Object-Sharing") || has("X-Object-Public"))
	case containerLevel:
		return post && r.Header.Get("Content-Type") == octetStream && r.ContentLength > 0
	default:
		if !post {
			return false
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Account-Group-") {
				return true
			}
		}
		return false
	}
}
