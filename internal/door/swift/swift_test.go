package swift

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"pithos/internal/backend"
	"pithos/internal/errs"
)

func TestEveryKindHasAStatus(t *testing.T) {
	for _, k := range errs.Kinds() {
		got := statusOf(&errs.Error{Kind: k})
		if k != errs.Internal && k != errs.Corrupt && got == http.StatusInternalServerError {
			t.Errorf("%v has no status of its own", k)
		}
	}
}

// TestEveryOperation drives each row of the route table and demands that none is left out.
func TestEveryOperation(t *testing.T) {
	w := newWorld(t)
	w.do("GET", "/info", "").want(200).contains(`"max_file_size":1048576`)
	w.do("HEAD", "/info", "").want(200)
	w.do("GET", "/healthcheck", "").want(200).is("OK")
	w.do("HEAD", "/healthcheck", "").want(200)
	w.do("OPTIONS", "/info", "").want(200)
	w.do("GET", "/crossdomain.xml", "").want(200)
	w.do("HEAD", "", "").want(204).has("X-Account-Container-Count", "0", "X-Timestamp", "*")
	w.do("GET", "", "").want(204)
	w.do("POST", "", "", "X-Account-Meta-Colour", "red").want(204)
	w.do("HEAD", "", "").want(204).has("X-Account-Meta-Colour", "red")
	w.do("POST", "", "", "X-Remove-Account-Meta-Colour", "x").want(204)
	w.do("HEAD", "", "").want(204).has("X-Account-Meta-Colour", "")
	w.do("OPTIONS", "", "").want(200).has("Allow", "GET, HEAD, POST, OPTIONS")

	w.do("PUT", "c", "", "X-Container-Meta-K", "v").want(201)
	w.do("PUT", "c", "", "X-Container-Meta-L", "w").want(202)
	w.do("HEAD", "c", "").want(204).has("X-Container-Meta-K", "v", "X-Container-Meta-L", "w", "X-Container-Object-Count", "0", "X-Storage-Policy", "default")
	w.do("POST", "c", "", "X-Container-Meta-K", "").want(204)
	w.do("GET", "c", "").want(204).has("X-Container-Meta-K", "")
	w.do("OPTIONS", "c", "").want(200)

	put := w.do("PUT", "c/a/b", "hello", "X-Object-Meta-Shade", "dark", "Content-Type", "text/x", "Content-Encoding", "odd", "X-Robots-Tag", "none").
		want(201).has("Etag", "5d41402abc4b2a76b9719d911017c592", "Last-Modified", "*")
	w.do("GET", "c/a/b", "").want(200).is("hello").
		has("Etag", put.header.Get("Etag"), "X-Object-Meta-Shade", "dark", "Content-Type", "text/x", "Content-Encoding", "odd", "X-Robots-Tag", "none", "X-Timestamp", "*")
	w.do("HEAD", "c/a/b", "").want(200).has("Content-Length", "5")
	w.do("POST", "c/a/b", "", "X-Object-Meta-Tone", "light").want(202)
	w.do("GET", "c/a/b", "").want(200).is("hello").
		has("X-Object-Meta-Tone", "light", "X-Object-Meta-Shade", "", "Content-Type", "text/x", "Content-Encoding", "", "X-Robots-Tag", "")
	w.do("COPY", "c/a/b", "", "Destination", "/c/copied", "X-Object-Meta-New", "n").want(201).
		has("X-Copied-From", "c/a/b", "X-Copied-From-Account", "AUTH_test", "X-Object-Meta-Tone", "light", "X-Object-Meta-New", "n")
	w.do("GET", "c/copied", "").want(200).is("hello")
	w.do("OPTIONS", "c/o", "").want(200).has("Allow", "GET, HEAD, PUT, POST, DELETE, COPY, OPTIONS")
	w.do("DELETE", "c", "").want(409)
	w.do("DELETE", "c/a/b", "").want(204)
	w.do("DELETE", "c/a/b", "").want(404)
	w.do("DELETE", "c/copied", "").want(204)
	w.do("DELETE", "c", "").want(204)
	w.do("HEAD", "c", "").want(404)

	w.srv.Close() // observations come after answers
	for _, r := range rows() {
		if !w.reached[r.op] {
			t.Errorf("no request reached %s", r.op)
		}
	}
}

func TestPaths(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	for path, status := range map[string]int{
		"/": 404, "/foo": 412, "/v1": 412, "/v1/": 412, "/v2/AUTH_test": 400, "/v1//c/o": 404, "/v1/AUTH_test//o": 404,
		"/v1/AUTH_test/c/%FF": 412, "/v1/AUTH_test/c/a%00": 412, "/v1/test/c": 403, "/v1/AUTH_other/c": 403,
		"/v1/AUTH_test/" + strings.Repeat("c", 257): 400, "/v1/AUTH_test/c/" + strings.Repeat("o", 1025): 400,
	} {
		w.do("GET", path, "").want(status)
	}
	w.do("PUT", "c/..//a/./%2F?", "x").want(201)
	w.do("GET", "c?format=json", "").want(200).contains(`"name":"..//a/.//"`)
	w.do("GET", "/v1/AUTH_test/c%2F..//a/./%2F", "").want(200).is("x")
	w.do("get", "c", "").want(405).has("Allow", "*")
	w.do("PUT", "", "").want(405)
}

func TestListings(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	for _, name := range []string{"a", "dir/a", "dir/b", "dirx", "z"} {
		w.do("PUT", "c/"+name, "x").want(201)
	}
	for query, want := range map[string]string{
		"": "a dir/a dir/b dirx z", "delimiter=/": "a dir/ dirx z", "delimiter=/&marker=dir/a": "dir/ dirx z", "delimiter=/&marker=dir/": "dirx z",
		"delimiter=/&limit=2": "a dir/", "delimiter=/&end_marker=dir/b": "a dir/", "delimiter=/&end_marker=dir/a": "a", "delimiter=/&reverse=1": "z dirx dir/ a",
		"delimiter=/&reverse=1&marker=dirx": "dir/ a", "delimiter=ir": "a dir z", "prefix=dir&delimiter=/": "dir/ dirx", "path=": "a dirx z",
		"path=dir": "dir/a dir/b", "reverse=1&marker=dirx&end_marker=a": "dir/b dir/a", "reverse=1&limit=2": "z dirx", "limit=0": "", "limit=x": "a dir/a dir/b dirx z",
		"delimiter=/&reverse=1&marker=dir/b": "dir/ a", "delimiter=/&reverse=1&marker=dir/a": "a", "delimiter=/&reverse=1&end_marker=dir/a": "z dirx dir/",
		"delimiter=/&reverse=1&end_marker=dir/b": "z dirx", "delimiter=/&reverse=1&marker=dir/": "a", "delimiter=/&reverse=1&limit=2": "z dirx",
		"path=&reverse=1": "z dirx a", "path=dir&reverse=1": "dir/b dir/a", "path=dir&reverse=1&limit=1": "dir/b", "prefix=dir&delimiter=/&reverse=1": "dirx dir/",
		"delimiter=/&marker=dir/b": "dirx z", "prefix=dir/&marker=dir/a": "dir/b", "prefix=y": "",
	} {
		a := w.do("GET", "c?"+query, "")
		if got := strings.Join(strings.Fields(a.body), " "); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
		if (want == "") != (a.status == 204) {
			t.Errorf("%q: %d", query, a.status)
		}
	}
	w.do("PUT", "c/dir/", "").want(201)
	w.do("PUT", "c/dir/sub/", "").want(201)
	w.do("PUT", "c/dir/sub/deep", "").want(201)
	w.do("GET", "c?path=dir", "").want(200).is("dir/a\ndir/b\ndir/sub/\n")
	w.do("GET", "c?path=dir&reverse=1", "").want(200).is("dir/sub/\ndir/b\ndir/a\n")
	w.do("GET", "c?path=&reverse=1&limit=3", "").want(200).is("z\ndirx\ndir/\n")
	w.do("GET", "c?path=/", "").want(204)
	w.do("GET", "c?path=", "").want(200).is("a\ndir/\ndirx\nz\n")
	w.do("GET", "c?limit=101", "").want(412).is("Maximum limit is 100")
	w.do("GET", "c?marker=%FF", "").want(400)
	w.do("GET", "c?format=xml&delimiter=/&limit=2", "").want(200).has("Content-Type", "application/xml; charset=utf-8").
		contains(`<container name="c"><object><name>a</name><hash>9dd4e461268c8034f5c8564e155c67a6</hash><bytes>1</bytes>`, `<subdir name="dir/"><name>dir/</name></subdir></container>`)
	var list []map[string]any
	a := w.do("GET", "c", "", "Accept", "application/json").want(200).has("Vary", "Accept")
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list) != 8 || list[0]["name"] != "a" || list[0]["bytes"] != 1.0 {
		t.Errorf("%v %v", err, list)
	}
	w.do("GET", "c?prefix=none&format=json", "").want(200).is("[]")
	w.do("GET", "c", "", "Accept", "image/png").want(406)
	w.do("GET", "c", "", "Accept", "foo").want(400)

	w.do("PUT", "d-1", "").want(201)
	w.do("PUT", "d-2", "").want(201)
	w.do("GET", "", "").want(200).is("c\nd-1\nd-2\n").has("X-Account-Container-Count", "3")
	w.do("GET", "?delimiter=-", "").want(200).is("c\nd-\n")
	w.do("GET", "?reverse=on&limit=1", "").want(200).is("d-2\n")
	w.do("GET", "?format=json&marker=d-1", "").want(200).contains(`"name":"d-2"`, `"count":0`)
	w.do("GET", "?format=xml&end_marker=d", "").want(200).contains(`<account name="AUTH_test">`, "<name>c</name><count>8</count><bytes>5</bytes>")
}

func TestReads(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/o", "0123456789").want(201)
	etag := w.do("HEAD", "c/o", "").header.Get("Etag")
	modified := w.do("HEAD", "c/o", "").header.Get("Last-Modified")
	w.do("GET", "c/o", "", "Range", "bytes=2-4").want(206).is("234").has("Content-Range", "bytes 2-4/10")
	w.do("GET", "c/o", "", "Range", "bytes=-3").want(206).is("789")
	w.do("GET", "c/o", "", "Range", "bytes = 2 - 4").want(206).is("234")
	w.do("GET", "c/o", "", "Range", "bytes=20-").want(416).has("Content-Range", "bytes */10")
	w.do("GET", "c/o", "", "Range", "nonsense").want(200).is("0123456789")
	w.do("HEAD", "c/o", "", "Range", "bytes=2-4").want(200).has("Content-Length", "10")
	many := w.do("GET", "c/o", "", "Range", "bytes=0-1,8-9").want(206)
	boundary := strings.TrimPrefix(many.header.Get("Content-Type"), "multipart/byteranges;boundary=")
	many.contains("--"+boundary+"\r\n", "Content-Range: bytes 0-1/10\r\n\r\n01\r\n", "Content-Range: bytes 8-9/10\r\n\r\n89\r\n--"+boundary+"--")
	w.do("GET", "c/o", "", "If-None-Match", `"`+etag+`"`).want(304).has("Etag", etag)
	w.do("GET", "c/o", "", "If-None-Match", "other").want(200)
	w.do("GET", "c/o", "", "If-Match", "other").want(412)
	w.do("GET", "c/o", "", "If-Match", "*").want(200)
	w.do("GET", "c/none", "", "If-Match", "*").want(412)
	w.do("GET", "c/o", "", "If-Modified-Since", modified).want(304)
	w.do("GET", "c/o", "", "If-Unmodified-Since", modified).want(200)
	w.do("GET", "c/o", "", "If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT").want(412)
	w.do("PUT", "c/empty", "").want(201)
	w.do("GET", "c/empty", "", "Range", "bytes=-3").want(200)
	w.do("GET", "c/empty", "", "Range", "bytes=0-3").want(416)
}

func TestPutsThatAreRefusedStoreNothing(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	long := strings.Repeat("x", 300)
	for i, headers := range [][]string{
		{"Etag", "00000000000000000000000000000000"},
		{"X-Delete-At", "soon"},
		{"X-Delete-At", "1"},
		{"X-Delete-After", "0"},
		{"X-Delete-After", "x"},
		{"X-Object-Meta-K", long},
		{"X-Object-Meta-" + long[:129], "v"},
		{"If-None-Match", "abc"},
		{"Content-Type", "text/plain; swift_bytes=3"},
		{"X-Object-Manifest", "c"},
		{"X-Symlink-Target", "c/o"},
		{"X-Copy-From", "none"},
	} {
		want := 400
		switch {
		case i == 0:
			want = 422
		case headers[0] == "X-Copy-From":
			want = 412
		}
		w.do("PUT", "c/o", "body", headers...).want(want)
	}
	w.do("PUT", "c/o", strings.Repeat("x", 1<<20+1)).want(413)
	w.do("PUT", "none/o", "body").want(404)
	w.do("GET", "c/o", "").want(404)
	w.do("PUT", "c/o", "1", "If-None-Match", "*").want(201)
	w.do("PUT", "c/o", "2", "If-None-Match", "*").want(412)
	w.do("GET", "c/o", "").want(200).is("1")
	headers := []string{}
	for i := range 91 {
		headers = append(headers, "X-Object-Meta-N"+strconv.Itoa(i), "v")
	}
	w.do("POST", "c/o", "", headers...).want(400)
}

func TestExpiry(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/far", "x", "X-Delete-At", strings.Repeat("1", 100)).want(201)
	w.do("HEAD", "c/far", "").want(200).has("X-Delete-At", "9999999999")
	w.do("PUT", "c/far", "x", "X-Delete-At", "-"+strings.Repeat("1", 100)).want(400)
	w.do("PUT", "c/o", "x", "X-Delete-After", "60").want(201)
	at := w.do("HEAD", "c/o", "").want(200).header.Get("X-Delete-At")
	w.do("DELETE", "c/o", "", "X-If-Delete-At", "1").want(412)
	w.do("COPY", "c/o", "", "Destination", "c/p").want(201).has("X-Delete-At", at)
	w.do("POST", "c/p", "").want(202)
	w.clock.Advance(61 * time.Second)
	w.do("GET", "c/o", "").want(404)
	w.do("POST", "c/o", "").want(404)
	w.do("DELETE", "c/o", "").want(404)
	w.do("HEAD", "c/p", "").want(200).has("X-Delete-At", "")
}

func TestCopies(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "d", "").want(201)
	w.do("PUT", "c/o", "0123456789", "X-Object-Meta-A", "1", "Content-Type", "text/x").want(201)
	w.do("PUT", "d/o%20p", "", "X-Copy-From", "/c/o", "X-Object-Meta-A", "2", "X-Object-Meta-B", "3").want(201)
	w.do("GET", "d/o%20p", "").want(200).is("0123456789").has("X-Object-Meta-A", "2", "X-Object-Meta-B", "3", "Content-Type", "text/x")
	w.do("COPY", "d/o%20p", "", "Destination", "c/fresh", "X-Fresh-Metadata", "true").want(201)
	w.do("GET", "c/fresh", "").want(200).has("X-Object-Meta-A", "", "Content-Type", "text/x")
	w.do("COPY", "c/o", "", "Destination", "c/part", "Range", "bytes=2-4").want(201)
	w.do("GET", "c/part", "").want(200).is("234")
	w.do("COPY", "c/o", "", "Destination", "c/o", "X-Object-Meta-A", "4").want(201)
	w.do("HEAD", "c/o", "").want(200).has("X-Object-Meta-A", "4")
	w.do("COPY", "c/o", "").want(412).is("Destination header required")
	w.do("COPY", "c/o", "", "Destination", "c").want(412)
	w.do("COPY", "c/none", "", "Destination", "c/x").want(404)
	w.do("COPY", "c/o", "", "Destination", "none/x").want(404)
	w.do("PUT", "c/x", "body", "X-Copy-From", "c/o").want(400)
	w.do("COPY", "c/o", "", "Destination", "c/x", "If-Match", "other").want(412)
	w.do("COPY", "c/o", "", "Destination", "c/x", "Destination-Account", "AUTH_other").want(403)
	w.as("other", "PUT", "/v1/AUTH_other/c", "").want(201)
	w.as("root", "COPY", "c/o", "", "Destination", "c/x", "Destination-Account", "AUTH_other").want(201)
	w.as("other", "GET", "/v1/AUTH_other/c/x", "").want(200).is("0123456789")
}

func TestAccess(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/o", "x").want(201)
	for _, path := range []string{"", "c", "c/o", "none", "none/o", "c/none"} {
		w.as("", "GET", path, "").want(401).has("Www-Authenticate", `Swift realm="AUTH_test"`)
		w.as("other", "GET", path, "").want(403)
		w.as("joe", "GET", path, "").want(403)
		w.as("AUTH_tkforged", "GET", path, "").want(401)
		w.as("a stranger's", "GET", path, "").want(401)
	}
	w.as("other", "PUT", "new", "").want(403)
	w.as("", "PUT", "c/o", "y").want(401)
	w.do("POST", "c", "", "X-Container-Read", ".ref:*, .rlistings", "X-Container-Write", "other:admin").want(204)
	w.do("HEAD", "c", "").want(204).has("X-Container-Read", ".r:*,.rlistings", "X-Container-Write", "other:admin")
	w.as("", "GET", "c", "").want(200).is("o\n").has("X-Container-Read", "", "X-Container-Write", "")
	w.as("", "GET", "c/o", "").want(200).is("x")
	w.as("", "GET", "c/none", "").want(404)
	w.as("AUTH_tkforged", "GET", "c/o", "").want(401)
	w.as("other", "PUT", "c/p", "y").want(201)
	w.do("GET", "c/p", "").want(200).is("y") // the container's account owns what others write
	w.as("other", "POST", "c/p", "").want(202)
	w.as("other", "DELETE", "c/p", "").want(204)
	w.as("other", "POST", "c", "").want(403)
	w.as("other", "DELETE", "c", "").want(403)
	w.do("POST", "c", "", "X-Container-Read", ".r:.example.com").want(204)
	w.as("", "GET", "c/o", "", "Referer", "http://a.example.com/x").want(200)
	w.as("", "GET", "c/o", "").want(401)
	w.as("", "GET", "c", "", "Referer", "http://a.example.com/x").want(401)
	w.do("POST", "c", "", "X-Container-Write", ".r:*").want(400)
	w.do("POST", "c", "", "X-Remove-Container-Read", "x").want(204)
	w.do("HEAD", "c", "").want(204).has("X-Container-Read", "")
	w.as("", "GET", "/info", "").want(200)
	w.as("", "OPTIONS", "c", "", "Origin", "http://x", "Access-Control-Request-Method", "GET").want(401)
}

func TestQuotas(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "", "X-Container-Meta-Quota-Bytes", "x").want(400)
	w.do("PUT", "c", "", "X-Container-Meta-Quota-Bytes", "10").want(201)
	w.do("PUT", "c/a", "0123456789").want(201)
	w.do("PUT", "c/b", "x").want(413).is("Upload exceeds quota.")
	w.do("POST", "c", "", "X-Container-Meta-Quota-Bytes", "").want(204)
	w.do("PUT", "c/b", "x").want(201)
}

func TestAContainerIsABucketWhenItsNameMay(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "photos", "").want(201)
	w.do("PUT", "Not%20A%20Bucket", "").want(201)
	w.as("other", "PUT", "/v1/AUTH_other/photos", "").want(201) // the name is taken: it lives without
	if owner, err := w.b.Owner(t.Context(), backend.Ref{Bucket: "photos"}); err != nil || owner != "test" {
		t.Error(owner, err)
	}
	w.as("other", "PUT", "/v1/AUTH_other/photos", "").want(202)
	w.as("other", "DELETE", "/v1/AUTH_other/photos", "").want(204)
	w.do("HEAD", "photos", "").want(204)
}

func TestReservedHeadersAreDropped(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "", "X-Container-Sysmeta-A", "b").want(201)
	w.do("PUT", "c/o", "x", "X-Object-Sysmeta-A", "b", "X-Object-Meta-Under_score", "v", "X-Backend-Y", "z").want(201)
	w.do("HEAD", "c/o", "").want(200).has("X-Object-Sysmeta-A", "", "X-Object-Meta-Under_score", "", "X-Backend-Y", "")
	w.do("GET", "c/o", "", "X-Trans-Id-Extra", "mine").want(200)
	w.do("GET", "c/o", "", "X-Big", strings.Repeat("x", 8193)).want(400)
}
