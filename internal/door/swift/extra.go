package swift

import (
	"net/http"
	"net/url"
	"strings"
)

// Extra tells whether a request for an account in the Pithos+ dialect, a path without the reseller's prefix, uses what only Swift has: a signed link, a static large
// object's manifest, bulk operations, container lists, expiry, symlinks. It is then answered by this door (Pithos+ 16.2).
func Extra(r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/v1/"+reseller) {
		return false
	}
	for _, name := range []string{"X-Container-Read", "X-Container-Write", "X-Delete-At", "X-Delete-After", "X-Symlink-Target"} {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	if r.URL.RawQuery == "" {
		return false
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false
	}
	for _, name := range []string{"temp_url_sig", "multipart-manifest", "extract-archive", "bulk-delete"} {
		if q.Has(name) {
			return true
		}
	}
	return false
}
