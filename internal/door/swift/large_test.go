package swift

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/object"
)

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// largeWorld has two segments in "seg" and a container "c".
func largeWorld(t *testing.T) *world {
	w := newWorld(t)
	w.do("PUT", "seg", "").want(201)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "seg/a", "aaaa").want(201)
	w.do("PUT", "seg/b", "bb").want(201)
	return w
}

func TestStaticLargeObject(t *testing.T) {
	w := largeWorld(t)
	etag := md5Of(md5Of("aaaa") + md5Of("xy") + md5Of("bb") + ":1-1;")
	manifest := `[{"path":"/seg/a"},{"data":"eHk="},{"path":"seg/b","range":"-1","size_bytes":2}]`
	w.do("PUT", "c/big?multipart-manifest=put", manifest, "Etag", etag, "Content-Type", "text/x").want(201).has("Etag", `"`+etag+`"`)
	w.do("GET", "c/big", "").want(200).is("aaaaxyb").has("Etag", `"`+etag+`"`, "X-Static-Large-Object", "True", "Content-Type", "text/x", "X-Manifest-Etag", "*")
	w.do("GET", "c/big", "", "Range", "bytes=3-5").want(206).is("axy").has("Content-Range", "bytes 3-5/7")
	w.do("GET", "c/big?part-number=2", "").want(206).is("xy").has("X-Parts-Count", "3", "Content-Range", "bytes 4-5/7")
	w.do("HEAD", "c/big?part-number=9", "").want(416)
	w.do("GET", "c/big?part-number=0", "").want(400)
	w.do("GET", "c/big", "", "If-None-Match", etag).want(304)
	stored := w.do("GET", "c/big?multipart-manifest=get", "").want(200)
	var list []map[string]any
	if err := json.Unmarshal([]byte(stored.body), &list); err != nil || len(list) != 3 || list[2]["range"] != "1-1" || list[0]["name"] != "/seg/a" {
		t.Errorf("manifest %s, %v", stored.body, err)
	}
	stored.has("Etag", md5Of(stored.body), "Content-Type", "application/json; charset=utf-8")
	raw := w.do("GET", "c/big?multipart-manifest=get&format=raw", "").want(200)
	w.do("PUT", "c/again?multipart-manifest=put", raw.body).want(201).has("Etag", `"`+etag+`"`)
	listing := w.do("GET", "c?format=json", "").want(200)
	listing.contains(`"slo_etag":"\"`+etag+`\""`, `"bytes":7`, `"hash":"`+md5Of(stored.body)+`"`)

	w.do("DELETE", "seg/a", "").want(204)
	w.do("PUT", "seg/b", "other").want(201)
	w.do("GET", "c/big", "").want(409) // as Swift has it
	w.do("HEAD", "c/big", "").want(200)
	w.do("GET", "c/big", "", "Range", "bytes=4-5").want(206).is("xy")
	o, err := w.b.OpenWhole(t.Context(), backend.Caller{Principal: access.Principal{Operator: true}},
		backend.Target{Container: backend.Ref{Account: "test", Name: "c"}, Name: "big"}, object.Precondition{}, access.GetObject)
	if err != nil || o.ETag != etag+"-3" || o.Size != 7 || len(o.Parts) != 3 {
		t.Fatalf("at other doors: %+v, %v", o, err)
	}
	var whole strings.Builder
	if err := o.CopyTo(t.Context(), &whole, 0, o.Size); err != nil || whole.String() != "aaaaxyb" { // it has its bytes itself
		t.Errorf("at other doors: %q, %v", whole.String(), err)
	}
}

func TestStaticLargeObjectsThatAreRefused(t *testing.T) {
	w := largeWorld(t)
	for manifest, text := range map[string]string{
		`{`:                                    "Manifest must be valid JSON.",
		`{}`:                                   "Manifest must be a list.",
		`[1]`:                                  "Index 0: not a JSON object",
		`[{}]`:                                 "Index 0: expected keys to include one of",
		`[{"path":"/seg/a","x":1}]`:            `Index 0: extraneous keys "x"`,
		`[{"path":"seg"}]`:                     "Index 0: path does not refer to an object",
		`[{"path":"/c/big"}]`:                  "Index 0: manifest must not include itself",
		`[{"path":"/seg/a","range":"1-2,3-"}]`: "Index 0: multiple ranges",
		`[{"path":"/seg/a","range":"x"}]`:      "Index 0: invalid range",
		`[{"path":"/seg/a","size_bytes":"x"}]`: "Index 0: invalid size_bytes",
		`[{"data":"?"}]`:                       "Index 0: data must be valid base64",
		`[{"data":"eHk="}]`:                    "Inline data segments require",
		`[{"path":"/seg/a","etag":"x"}]`:       "/seg/a, Etag Mismatch",
		`[{"path":"/seg/a","size_bytes":3}]`:   "/seg/a, Size Mismatch",
		`[{"path":"/seg/a","range":"9-"}]`:     "/seg/a, Unsatisfiable Range",
		`[{"path":"/seg/none"}]`:               "/seg/none, 404 Not Found",
	} {
		w.do("PUT", "c/big?multipart-manifest=put", manifest).want(400).contains(text)
	}
	w.do("PUT", "c/big?multipart-manifest=put", `[{"path":"/seg/a"}]`, "Etag", "x").want(422)
	w.do("PUT", "c/big", "x", "X-Static-Large-Object", "True").want(400)
	w.do("PUT", "c/big?multipart-manifest=put", "["+strings.Repeat(`{"path":"/seg/a"},`, 1000)+`{"path":"/seg/a"}]`).want(413)
	w.as("joe", "PUT", "c/big?multipart-manifest=put", `[{"path":"/seg/a"}]`).want(403)
	w.do("GET", "c/big", "").want(404)
}

func TestReadersOfALargeObjectNeedItsSegments(t *testing.T) {
	w := largeWorld(t)
	w.do("PUT", "c/big?multipart-manifest=put", `[{"path":"/seg/a"}]`).want(201)
	w.do("POST", "c", "", "X-Container-Read", "test:joe").want(204)
	w.as("joe", "GET", "c/big", "").want(409)
	w.do("POST", "seg", "", "X-Container-Read", "test:joe").want(204)
	w.as("joe", "GET", "c/big", "").want(200).is("aaaa")
}

func TestDeleteALargeObjectWithItsSegments(t *testing.T) {
	w := largeWorld(t)
	w.do("PUT", "c/inner?multipart-manifest=put", `[{"path":"/seg/b"}]`).want(201)
	w.do("PUT", "c/big?multipart-manifest=put", `[{"path":"/seg/a"},{"path":"/c/inner"}]`).want(201)
	w.do("GET", "c/big", "").want(200).is("aaaabb")
	w.do("DELETE", "seg/a?multipart-manifest=delete", "").want(200).contains("Not an SLO manifest", "Response Status: 400")
	w.do("DELETE", "c/big?multipart-manifest=delete", "", "Accept", "application/json").want(200).contains(`"Number Deleted":4`, `"Response Status":"200 OK"`)
	w.do("GET", "c", "").want(204)
	w.do("GET", "seg", "").want(204)
	w.do("PUT", "seg/a", "aaaa").want(201)
	w.do("PUT", "c/big?multipart-manifest=put&heartbeat=on", `[{"path":"/seg/a"}]`).want(202).contains("\r\n\r\n", "Response Status: 201 Created")
	w.do("DELETE", "c/big?multipart-manifest=delete&async=yes", "").want(204)
	w.do("GET", "seg", "").want(204)
}

func TestCopiesOfLargeObjects(t *testing.T) {
	w := largeWorld(t)
	w.do("PUT", "c/big?multipart-manifest=put", `[{"path":"/seg/a"},{"path":"/seg/b"}]`).want(201)
	w.do("COPY", "c/big", "", "Destination", "c/plain").want(201).has("Etag", md5Of("aaaabb"))
	w.do("GET", "c/plain", "").want(200).is("aaaabb").has("X-Static-Large-Object", "", "Etag", md5Of("aaaabb"))
	w.do("COPY", "c/big?multipart-manifest=get", "", "Destination", "c/manifest").want(201)
	w.do("GET", "c/manifest", "").want(200).is("aaaabb").has("X-Static-Large-Object", "True")
	w.do("COPY", "c/big", "", "Destination", "c/part", "Range", "bytes=3-4").want(201).has("Etag", md5Of("ab"))
	w.do("COPY", "c/big", "", "Destination", "c/ranges", "Range", "bytes=0-0,5-5").want(201)
	w.do("GET", "c/ranges", "").want(200).contains("Content-Range: bytes 0-0/6", "Content-Range: bytes 5-5/6")
	w.do("POST", "c/big", "", "X-Object-Meta-K", "v").want(202)
	w.do("GET", "c/big", "").want(200).is("aaaabb").has("X-Static-Large-Object", "True", "X-Object-Meta-K", "v")
}

func TestDynamicLargeObject(t *testing.T) {
	w := largeWorld(t)
	w.do("PUT", "c/dlo", "own", "X-Object-Manifest", "seg/").want(400)
	w.do("PUT", "seg/s/1", "one").want(201)
	w.do("PUT", "seg/s/2", "two").want(201)
	w.do("PUT", "c/dlo", "own", "X-Object-Manifest", "seg/s%2F").want(201).has("Etag", md5Of("own"))
	etag := md5Of(md5Of("one") + md5Of("two"))
	w.do("GET", "c/dlo", "").want(200).is("onetwo").has("Etag", `"`+etag+`"`, "X-Object-Manifest", "seg/s%2F", "Content-Length", "6")
	w.do("GET", "c/dlo", "", "Range", "bytes=2-3").want(206).is("et")
	w.do("GET", "c/dlo", "", "Range", "bytes=0-0,5-5").want(200).is("onetwo")
	w.do("GET", "c/dlo?multipart-manifest=get", "").want(200).is("own")
	w.do("PUT", "seg/s/3", "!").want(201)
	w.do("HEAD", "c/dlo", "").want(200).has("Content-Length", "7")
	w.do("COPY", "c/dlo", "", "Destination", "c/copy").want(201)
	w.do("GET", "c/copy", "").want(200).is("onetwo!").has("X-Object-Manifest", "", "Etag", md5Of("onetwo!"))
	w.do("COPY", "c/dlo?multipart-manifest=get", "", "Destination", "c/second").want(201)
	w.do("GET", "c/second", "").want(200).is("onetwo!").has("X-Object-Manifest", "seg/s%2F")
	w.do("POST", "c/dlo", "", "X-Object-Meta-K", "v").want(202)
	w.do("GET", "c/dlo", "").want(200).is("own").has("X-Object-Manifest", "")
	w.do("POST", "c", "", "X-Container-Read", "test:joe").want(204)
	w.as("joe", "GET", "c/second", "").want(403)
}

func TestSymlinks(t *testing.T) {
	w := largeWorld(t)
	w.srv.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.do("PUT", "c/link", "", "X-Symlink-Target", "seg/a").want(201)
	w.do("GET", "c/link", "").want(200).is("aaaa").has("Content-Location", "/v1/AUTH_test/seg/a")
	w.do("GET", "c/link?symlink=get", "").want(200).is("").has("X-Symlink-Target", "seg/a", "Content-Type", "application/symlink")
	w.do("PUT", "c/static", "", "X-Symlink-Target", "seg/a", "X-Symlink-Target-Etag", "wrong").want(409)
	w.do("PUT", "c/static", "", "X-Symlink-Target", "seg/a", "X-Symlink-Target-Etag", md5Of("aaaa")).want(201)
	w.do("GET", "c?format=json", "").want(200).contains(`"symlink_path":"/v1/AUTH_test/seg/a"`, `"symlink_bytes":4`)
	w.do("POST", "c/link", "", "X-Object-Meta-K", "v").want(307).has("Location", "/v1/AUTH_test/seg/a")
	w.do("HEAD", "c/link?symlink=get", "").want(200).has("X-Object-Meta-K", "v")
	w.do("PUT", "c/self", "", "X-Symlink-Target", "c/self").want(400)
	w.do("PUT", "c/bad", "", "X-Symlink-Target", "/c/o").want(412)
	w.do("PUT", "c/body", "x", "X-Symlink-Target", "c/o").want(400)
	w.do("PUT", "c/two", "", "X-Symlink-Target", "c/link").want(201)
	w.do("PUT", "c/three", "", "X-Symlink-Target", "c/two").want(201)
	w.do("GET", "c/two", "").want(200).is("aaaa")
	w.do("GET", "c/three", "").want(409)
	w.do("PUT", "seg/a", "changed").want(201)
	w.do("GET", "c/static", "").want(409).has("Content-Location", "/v1/AUTH_test/seg/a")
	w.do("POST", "c", "", "X-Container-Read", "test:joe").want(204)
	w.as("joe", "GET", "c/link", "").want(403)
	w.do("COPY", "c/link", "", "Destination", "c/copy").want(201)
	w.do("GET", "c/copy?symlink=get", "").want(200).is("changed").has("X-Symlink-Target", "")
	w.do("COPY", "c/link?symlink=get", "", "Destination", "c/other").want(201)
	w.do("GET", "c/other?symlink=get", "").want(200).has("X-Symlink-Target", "seg/a")
	w.do("COPY", "c/link?symlink=get", "", "Destination", "c/away", "X-Symlink-Target-Account", "AUTH_other").want(201)
	w.do("GET", "c/away?symlink=get", "").want(200).has("X-Symlink-Target", "seg/a", "X-Symlink-Target-Account", "AUTH_other")
	w.do("GET", "c/link?symlink=get", "").want(200).has("X-Symlink-Target-Account", "")
	w.do("DELETE", "c/link", "").want(204)
	w.do("GET", "seg/a", "").want(200)
}
