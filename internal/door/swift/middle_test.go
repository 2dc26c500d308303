package swift

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// newWorldOf is a world whose door has other settings.
func newWorldOf(t testing.TB, change func(*Options)) *world {
	w := newWorld(t)
	change(&w.door.o)
	return w
}

func TestCORS(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "open", "", "X-Container-Meta-Access-Control-Allow-Origin", "*", "X-Container-Meta-Access-Control-Max-Age", "60").want(201)
	w.do("PUT", "some", "", "X-Container-Meta-Access-Control-Allow-Origin", "http://a.example http://b.example",
		"X-Container-Meta-Access-Control-Expose-Headers", "X-Own", "X-Container-Read", ".r:*").want(201)
	w.do("PUT", "none", "").want(201)
	w.do("PUT", "some/o", "x", "X-Object-Meta-Shade", "dark").want(201)
	preflight := func(path, origin, method string, headers ...string) *answer {
		return w.as("", "OPTIONS", path, "", append([]string{"Origin", origin, "Access-Control-Request-Method", method}, headers...)...)
	}
	preflight("open/o", "http://x.example", "PUT", "Access-Control-Request-Headers", "x-auth-token, x-other, x-other").want(200).has("Access-Control-Allow-Origin", "*",
		"Access-Control-Max-Age", "60", "Access-Control-Allow-Methods", "GET, HEAD, PUT, POST, DELETE, COPY, OPTIONS", "Access-Control-Allow-Headers", "x-auth-token, x-other",
		"Vary", "Access-Control-Request-Headers")
	preflight("some", "http://b.example", "GET").want(200).has("Access-Control-Allow-Origin", "http://b.example", "Vary", "Origin", "Access-Control-Max-Age", "")
	preflight("some", "http://c.example", "GET").want(401).has("Access-Control-Allow-Origin", "", "Allow", "*")
	preflight("some", "http://b.example", "PATCH").want(401)
	preflight("none", "http://b.example", "GET").want(401)
	preflight("absent", "http://b.example", "GET").want(401)
	preflight("", "http://b.example", "GET").want(200).has("Access-Control-Allow-Origin", "")

	w.as("", "GET", "some/o", "", "Origin", "http://a.example").want(200).has("Access-Control-Allow-Origin", "http://a.example", "Access-Control-Expose-Headers",
		"cache-control, content-language, content-type, etag, expires, last-modified, pragma, x-object-meta-shade, x-openstack-request-id, x-own, x-timestamp, x-trans-id")
	w.as("", "GET", "some/absent", "", "Origin", "http://a.example").want(404).has("Access-Control-Allow-Origin", "http://a.example") // an error can be read
	w.as("", "GET", "some/o", "", "Origin", "http://c.example").want(200).has("Access-Control-Allow-Origin", "", "Access-Control-Expose-Headers", "")
	w.do("GET", "open", "", "Origin", "http://c.example").want(204).has("Access-Control-Allow-Origin", "*", "Vary", "Accept")
	w.as("", "GET", "/info", "", "Origin", "http://c.example").want(200).has("Access-Control-Allow-Origin", "http://c.example")
	every := newWorldOf(t, func(o *Options) { o.CORS = CORS{Origins: []string{"http://all.example"}, Expose: []string{"x-more"}} })
	every.do("PUT", "c", "").want(201)
	every.do("GET", "c", "", "Origin", "http://all.example").want(204).has("Access-Control-Allow-Origin", "http://all.example", "Vary", "Accept, Origin")
}

func TestStoragePolicies(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "plain", "").want(201)
	w.do("PUT", "large", "", "X-Storage-Policy", "LARGE-blocks").want(201)
	w.do("HEAD", "large", "").want(204).has("X-Storage-Policy", "large-blocks")
	w.do("PUT", "large", "").want(202)
	w.do("PUT", "large", "", "X-Storage-Policy", "large-blocks").want(202)
	w.do("PUT", "large", "", "X-Storage-Policy", "default").want(409)
	w.do("PUT", "plain", "", "X-Storage-Policy", "large-blocks").want(409)
	w.do("PUT", "other", "", "X-Storage-Policy", "gold").want(400).is("Invalid X-Storage-Policy 'gold'")
	w.do("PUT", "large/o", "four").want(201)
	w.do("PUT", "plain/o", "x").want(201)
	const prefix = "X-Account-Storage-Policy-"
	w.do("HEAD", "", "").want(204).has(prefix+"Default-Container-Count", "1", prefix+"Default-Bytes-Used", "1", prefix+"Default-Object-Count", "1",
		prefix+"Large-Blocks-Container-Count", "1", prefix+"Large-Blocks-Bytes-Used", "4", prefix+"Large-Blocks-Object-Count", "1")
	w.do("GET", "?format=json", "").want(200).contains(`"storage_policy":"large-blocks"`, `"storage_policy":"default"`)
	w.do("GET", "/info", "").want(200).contains(`{"aliases":"default","default":true,"name":"default"},{"aliases":"large-blocks","name":"large-blocks"}`)
	w.do("DELETE", "large/o", "").want(204)
	w.do("DELETE", "large", "").want(204)
	w.do("PUT", "large", "", "X-Storage-Policy", "default").want(201) // a new container may have another policy
	c, err := w.b.Found(t.Context(), backendRef("plain"))
	if err != nil || c.Config.BlockSize != 0 {
		t.Errorf("%+v, %v", c.Config, err)
	}
}

func TestQuotedETags(t *testing.T) {
	const tag = "9dd4e461268c8034f5c8564e155c67a6"
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/o", "x").want(201).has("Etag", tag)
	w.do("POST", "", "", "X-Account-Rfc-Compliant-Etags", "true").want(204)
	w.do("HEAD", "", "").want(204).has("X-Account-Rfc-Compliant-Etags", "true")
	w.do("GET", "c/o", "").want(200).has("Etag", `"`+tag+`"`)
	w.do("GET", "c/o", "", "If-None-Match", tag).want(304).has("Etag", `"`+tag+`"`)
	w.do("POST", "c", "", "X-Container-Rfc-Compliant-Etags", "no").want(204)
	w.do("HEAD", "c", "").want(204).has("X-Container-Rfc-Compliant-Etags", "false")
	w.do("PUT", "c/o", "x").want(201).has("Etag", tag)
	w.do("POST", "c", "", "X-Remove-Container-Rfc-Compliant-Etags", "x").want(204)
	w.do("HEAD", "c/o", "").want(200).has("Etag", `"`+tag+`"`)
	w.do("POST", "", "", "X-Account-Rfc-Compliant-Etags", "").want(204)
	w.do("HEAD", "c/o", "").want(200).has("Etag", tag)
	on := newWorldOf(t, func(o *Options) { o.QuotedETags = true })
	on.do("PUT", "c", "").want(201)
	on.do("PUT", "c/o", "x").want(201).has("Etag", `"`+tag+`"`)
}

func TestHostsThatNameAccounts(t *testing.T) {
	lookups := 0
	w := newWorldOf(t, func(o *Options) {
		o.Domains = []string{"swift.example"}
		o.LookupCNAME = func(_ context.Context, host string) (string, error) {
			lookups++
			switch host {
			case "www.alias.example":
				return "c.auth-test.swift.example.", nil
			case "www.elsewhere.example":
				return "elsewhere.example.", nil
			}
			return "", errors.New("no such host")
		}
	})
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/v1", "x").want(201)
	for host, path := range map[string]string{
		"AUTH_test.swift.example": "/c/v1", "auth-test.swift.example:8080": "/c/v1", "c.AUTH_test.swift.example": "/v1", "c.auth-test.Swift.example": "/v1", "www.alias.example": "/v1",
	} {
		w.on(host).do("GET", path, "").want(200).is("x")
	}
	w.on("www.alias.example").do("GET", "/v1", "").want(200)
	w.on("a.b.c.swift.example").do("GET", "/x", "").want(400).is("Bad domain in host header")
	w.on("www.elsewhere.example").do("GET", "/x", "").want(400).is("CNAME lookup failed to resolve to a valid domain")
	w.on("other.swift.example").do("GET", "/x", "").want(412) // no account: the path stands as it is
	w.on("localhost").do("GET", "c/v1", "").want(200)
	if lookups != 2 {
		t.Errorf("%d lookups", lookups) // they are kept
	}
	w.on("c.AUTH_test.swift.example").do("PUT", "/new", "y").want(201)
	w.on("localhost").do("GET", "c/new", "").want(200)
	noFollow(w)
	w.do("POST", "c", "", "X-Container-Meta-Web-Listings", "true", "X-Container-Read", ".r:*,.rlistings").want(204)
	w.do("PUT", "c/dir/o", "").want(201)
	w.on("auth-test.swift.example").as("", "GET", "/c/dir", "").want(301).has("Location", "http://auth-test.swift.example/c/dir/")
	w.on("c.auth-test.swift.example").as("", "GET", "/", "").want(200).contains("Listing of /v1/AUTH_test/c/", `<a href="./dir/">dir/</a>`)
	w.on("c.auth-test.swift.example").as("", "GET", "/absent", "").want(404)
}

func TestWhatTheOperatorSwitches(t *testing.T) {
	disabled := false
	w := newWorldOf(t, func(o *Options) { o.Disabled = func() bool { return disabled } })
	w.do("GET", "/healthcheck", "").want(200)
	disabled = true
	w.do("GET", "/healthcheck", "").want(503).is("DISABLED BY FILE")
	w.do("GET", "/crossdomain.xml", "").want(200).has("Content-Type", "application/xml; charset=UTF-8").contains("<cross-domain-policy>\n<allow-access-from domain=\"*\" secure=\"false\" />\n")
	w.do("PUT", "c", "").want(201)
	w.door.o.Names = NameCheck{Characters: "'\"", Length: 50}
	w.do("PUT", "c/it's", "x").want(400)
	w.do("PUT", "c/"+strings.Repeat("x", 60), "x").want(400)
	w.door.o.ReadOnly = true
	for _, m := range []string{"PUT", "POST", "DELETE"} {
		w.do(m, "c/o", "").want(403).is("Writes are disabled for this account.")
	}
	w.do("GET", "c", "").want(204)
	w.do("OPTIONS", "c", "").want(200)
}

func TestRatesMakeWait(t *testing.T) {
	w := newWorldOf(t, func(o *Options) { o.Rates = Rates{Container: 1000, Account: 0.001, Wait: time.Second} })
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "d", "").want(498).is("Slow down")
	for range 3 {
		w.do("PUT", "c/o", "x").want(201)
	}
	w.do("GET", "c", "").want(200)
	w.do("GET", "/info", "").want(200).contains(`"account_ratelimit":0.001`, `"container_ratelimits":[[0,1000]]`)
}

func TestExpiredObjectsCanBeAskedFor(t *testing.T) {
	w := newWorldOf(t, func(o *Options) { o.OpenExpired = true })
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/o", "x", "X-Delete-After", "10").want(201)
	w.clock.Advance(time.Minute)
	w.do("GET", "c/o", "").want(404)
	w.do("GET", "c/o", "", "X-Open-Expired", "false").want(404)
	w.do("GET", "c/o", "", "X-Open-Expired", "true").want(200).is("x").has("X-Delete-At", "*")
	w.as("", "GET", "c/o", "", "X-Open-Expired", "true").want(401)
	w.do("DELETE", "c/o", "", "X-Open-Expired", "true").want(404)
	w.do("POST", "c/o", "", "X-Object-Meta-A", "b").want(404)
	w.do("POST", "c/o", "", "X-Object-Meta-A", "b", "X-Open-Expired", "true").want(202)
	w.do("GET", "c/o", "").want(200).has("X-Object-Meta-A", "b", "X-Delete-At", "")
	off := newWorld(t)
	off.do("PUT", "c", "").want(201)
	off.do("PUT", "c/o", "x", "X-Delete-After", "10").want(201)
	off.clock.Advance(time.Minute)
	off.do("GET", "c/o", "", "X-Open-Expired", "true").want(404)
}

func TestQuotaOfNothing(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "", "X-Container-Meta-Quota-Bytes", "0").want(201)
	w.do("PUT", "c/empty", "").want(201)
	w.do("PUT", "c/o", "x").want(413).is("Upload exceeds quota.")
	w.do("POST", "c", "", "X-Container-Meta-Quota-Bytes", "", "X-Container-Meta-Quota-Count", "0").want(204)
	w.do("PUT", "c/o", "x").want(413)
	w.do("PUT", "c/empty", "x").want(201)
	w.do("POST", "c", "", "X-Remove-Container-Meta-Quota-Count", "x").want(204)
	w.do("PUT", "c/o", "x").want(201)
	w.do("POST", "c", "", "X-Container-Meta-Quota-Bytes", "-1").want(400)
}

func TestWebSites(t *testing.T) {
	w := newWorld(t)
	noFollow(w)
	w.do("PUT", "c", "", "X-Container-Read", ".r:*,.rlistings").want(201)
	for name, body := range map[string]string{"index.html": "home", "404error.html": "lost", "dir/page": "page", "dir/sub/x.y": "xy", "style.css": "s", "home/index.html": "in"} {
		w.do("PUT", "c/"+name, body).want(201)
	}
	w.do("PUT", "c/dir", "", "Content-Type", "application/directory").want(201)
	w.as("", "GET", "c/", "").want(200) // not a site yet: the usual listing
	w.do("GET", "c", "", "X-Web-Mode", "true").want(404)
	w.do("POST", "c", "", "X-Container-Meta-Web-Index", "index.html").want(204)
	w.as("", "GET", "c", "").want(301).has("Location", w.srv.URL+"/v1/AUTH_test/c/")
	w.as("", "GET", "c/", "").want(200).is("home").has("Content-Type", "text/html")
	w.as("", "HEAD", "c/", "").want(200).has("Content-Length", "4")
	w.do("GET", "c/", "").want(200).contains("index.html\n") // with a token the API answers
	w.do("GET", "c/", "", "X-Web-Mode", "true").want(200).is("home")
	w.as("", "GET", "c/home", "").want(301)
	w.as("", "GET", "c/home/", "").want(200).is("in")
	w.as("", "GET", "c/dir/", "").want(404).contains("Web Listing Disabled", "Index File Not Found")
	w.do("POST", "c", "", "X-Container-Meta-Web-Listings", "true", "X-Container-Meta-Web-Listings-Css", "style.css", "X-Container-Meta-Web-Error", "error.html").want(204)
	w.as("", "GET", "c/dir", "").want(301) // a directory's marker
	w.as("", "GET", "c/dir/", "").want(200).contains(`href="../style.css"`, `<a href="../">../</a>`, `<tr class="item subdir">`+"\n"+`    <td class="colname"><a href="./sub/">sub/</a>`,
		`<tr class="item type-application type-octet-stream">`+"\n"+`    <td class="colname"><a href="./page">page</a>`, `<td class="colsize">4</td>`)
	w.as("", "GET", "c/dir/sub/", "").want(200).contains(`<a href="./x%2Ey">x.y</a>`)
	w.as("", "GET", "c/absent", "").want(404).is("lost")
	w.do("POST", "c", "", "X-Container-Meta-Web-Listings-Label", "<me>").want(204)
	w.as("", "GET", "c/dir/", "").want(200).contains("Listing of &lt;me&gt;/dir/")
	w.do("POST", "c", "", "X-Container-Read", ".r:*").want(204)
	w.as("", "GET", "c/", "").want(401).has("Www-Authenticate", "*")
	w.as("", "GET", "c/index.html", "").want(200)
	w.do("POST", "c", "", "X-Container-Read", "").want(204)
	w.as("", "GET", "c/index.html", "").want(401)
	if got := []string{humanSize(0), humanSize(1023), humanSize(1024), humanSize(1 << 20), humanSize(1536), humanSize(5 << 30)}; strings.Join(got, " ") != "0 1023 1Ki 1Mi 2Ki 5Gi" {
		t.Error(got)
	}
}

func TestWebSitesBySignedLinks(t *testing.T) {
	w := newSignedWorld(t)
	w.do("POST", "c", "", "X-Container-Meta-Web-Listings", "true").want(204)
	until := "9999999999"
	link := "temp_url_prefix=&temp_url_expires=" + until + "&temp_url_sig=" + sign("sha256", "con1", "GET\n"+until+"\nprefix:/v1/AUTH_test/c/")
	w.as("", "GET", "c/?"+link, "").want(200).has("Content-Disposition", "inline").contains(`<a href="./dir/?temp_url_prefix=&amp;temp_url_expires=` + until)
	w.do("POST", "c", "", "X-Container-Meta-Web-Listings", "").want(204)
	w.as("", "GET", "c/?"+link, "").want(401)
	if a := w.as("", http.MethodGet, "c/?"+link, ""); strings.Contains(a.body, "dir/") {
		t.Error("a link shows a listing where the container is no web site")
	}
}
