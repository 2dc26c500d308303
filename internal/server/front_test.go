package server

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"pithos/internal/config"
	"pithos/internal/door/wire"
)

// TestFront tells what a request looks like behind proxies: header lines, and what comes of them.
func TestFront(t *testing.T) {
	c := config.Default()
	c.Proxies.Trusted = []string{"10.0.0.0/8", "::1"}
	c.S3.External = []string{"https://s3.example.org", "https://example.org/storage"}
	f := newFront(c)
	for name, tc := range map[string]struct {
		peer, target string
		header       []string
		address      string
		want         wire.Origin
	}{
		"no proxy":         {"192.0.2.1:5", "/b", nil, "192.0.2.1:5", wire.Origin{Scheme: "http", Host: "inner"}},
		"a liar":           {"192.0.2.1:5", "/b", []string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-Host", "evil", "X-Forwarded-Proto", "https", "Forwarded", "for=1.1.1.1"}, "192.0.2.1:5", wire.Origin{Scheme: "http", Host: "inner"}},
		"trusted":          {"10.0.0.1:5", "/b", []string{"X-Forwarded-For", "192.0.2.9", "X-Forwarded-Host", "s3.example.org", "X-Forwarded-Proto", "HTTPS"}, "192.0.2.9:0", wire.Origin{Scheme: "https", Host: "s3.example.org"}},
		"a chain":          {"10.0.0.1:5", "/b", []string{"X-Forwarded-For", "1.1.1.1, 192.0.2.9, 10.2.3.4"}, "192.0.2.9:0", wire.Origin{Scheme: "http", Host: "inner"}},
		"two lines":        {"10.0.0.1:5", "/b", []string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-For", "192.0.2.9"}, "192.0.2.9:0", wire.Origin{Scheme: "http", Host: "inner"}},
		"garbage in it":    {"10.0.0.1:5", "/b", []string{"X-Forwarded-For", "1.1.1.1, unknown, 10.2.3.4"}, "10.2.3.4:0", wire.Origin{Scheme: "http", Host: "inner"}},
		"port":             {"10.0.0.1:5", "/b", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "h", "X-Forwarded-Port", "8443"}, "10.0.0.1:0", wire.Origin{Scheme: "https", Host: "h:8443"}},
		"usual port":       {"10.0.0.1:5", "/b", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "h", "X-Forwarded-Port", "443"}, "10.0.0.1:0", wire.Origin{Scheme: "https", Host: "h"}},
		"bad host":         {"10.0.0.1:5", "/b", []string{"X-Forwarded-Host", "h/x", "X-Forwarded-Proto", "gopher"}, "10.0.0.1:0", wire.Origin{Scheme: "http", Host: "inner"}},
		"RFC 7239":         {"[::1]:5", "/b", []string{"Forwarded", `for=1.1.1.1, for="[2001:db8::1]:47";proto=https;host="h:1"`}, "[2001:db8::1]:0", wire.Origin{Scheme: "https", Host: "h:1"}},
		"prefix cut off":   {"10.0.0.1:5", "/b", []string{"X-Forwarded-Prefix", "/cut/"}, "10.0.0.1:0", wire.Origin{Scheme: "http", Host: "inner", Prefix: "/cut"}},
		"bad prefix":       {"10.0.0.1:5", "/b", []string{"X-Forwarded-Prefix", "//evil"}, "10.0.0.1:0", wire.Origin{Scheme: "http", Host: "inner"}},
		"prefix kept":      {"10.0.0.1:5", "/storage/b?x", []string{"X-Forwarded-Host", "Example.org"}, "10.0.0.1:0", wire.Origin{Scheme: "http", Host: "Example.org", Prefix: "/storage", Sent: true}},
		"only a beginning": {"10.0.0.1:5", "/storages/b", []string{"X-Forwarded-Host", "example.org"}, "10.0.0.1:0", wire.Origin{Scheme: "http", Host: "example.org"}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tc.target, http.NoBody)
		r.RemoteAddr, r.Host, r.RequestURI = tc.peer, "inner", tc.target
		for i := 0; i < len(tc.header); i += 2 {
			r.Header.Add(tc.header[i], tc.header[i+1])
		}
		f.behind(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if o := wire.OriginOf(r); o != tc.want || r.RemoteAddr != tc.address {
				t.Errorf("%s: %+v from %s, want %+v from %s", name, o, r.RemoteAddr, tc.want, tc.address)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
	o := wire.Origin{Prefix: "/storage", Sent: true}
	for path, want := range map[string]string{"/storage/b/k": "/b/k", "/storage": "/", "/storages": "/storages"} {
		if got := o.Strip(path); got != want {
			t.Errorf("%s became %s", path, got)
		}
	}
}
