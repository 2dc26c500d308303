package pithos

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// furtherStatements are the details of the specification that the others leave out, found by going through it sentence by sentence.
func furtherStatements() []statement {
	return []statement{
		{"1.5", "with versioning none a deletion leaves an empty list of versions", func(w *world) {
			w.do("PUT", "d", "", "X-Container-Policy-Versioning", "none").want(201)
			w.put("d/x", "1")
			w.do("DELETE", "d/x", "").want(204)
			w.do("HEAD", "d/x", "").want(404)
			w.do("GET", "d/x?version=list", "").want(200).says(`{"versions": []}`)
		}},
		{"1.7", "a write that shrinks is always allowed", func(w *world) {
			w.put("c/x", "1234567890")
			w.do("POST", "c?update", "", "X-Container-Policy-Quota", "5").want(202)
			w.do("PUT", "c/x", "12345678", "Content-Type", "a/b").want(201)
			w.do("PUT", "c/x", "123456789", "Content-Type", "a/b").want(413)
			w.do("GET", "c/x", "").want(200).says("12345678")
			w.do("PUT", "c/y?hashmap", `{"hashes": ["`+emptyHash+`"], "bytes": 1}`, "Content-Type", "a/b").want(413)
		}},
		{"1.8", "what a reader may do, and what a writer may besides", func(w *world) {
			w.put("c/r", "1", "X-Object-Sharing", "read=bob")
			w.put("c/w", "1", "X-Object-Sharing", "write=bob")
			w.as("bob", "PUT", "/v1/bob/d", "").want(201)
			w.as("bob", "HEAD", "c/r", "").want(200)
			w.as("bob", "PUT", "/v1/bob/d/x", "", "X-Copy-From", "/c/r", "X-Source-Account", "alice").want(201)
			w.as("bob", "POST", "/v1/bob/d/x", "", "X-Source-Object", "/c/r", "X-Source-Account", "alice", "Content-Range", "bytes */*").want(204)
			w.as("bob", "GET", "/v1/bob/d/x", "").want(200).says("11")
			w.as("bob", "PUT", "c/r", "2", "Content-Type", "a/b").want(403)
			w.as("bob", "POST", "c/r?update", "", "X-Object-Meta-A", "b").want(403)
			w.as("bob", "POST", "c/r", "2", "Content-Type", octetStream, "Content-Range", "bytes */*").want(403)
			w.as("bob", "POST", "c/w?update", "", "X-Object-Meta-A", "b").want(202)
			w.as("bob", "POST", "c/w", "2", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
			w.as("bob", "COPY", "/v1/bob/d/x", "", "Destination", "/c/w", "Destination-Account", "alice").want(201)
			w.do("GET", "c/w", "").want(200).says("11").has("X-Object-Sharing", "write=bob")
			for _, path := range []string{"", "c"} {
				w.as("bob", "POST", path+"?update", "", "X-Account-Meta-A", "b", "X-Container-Meta-A", "b").want(403)
			}
			w.as("bob", "DELETE", "c", "").want(403)
		}},
		{"1.8", "lists of what is no folder give nothing to others; * is everybody; a folder may end in a slash", func(w *world) {
			w.put("c/file", "1", "X-Object-Sharing", "read=*")
			w.put("c/file/below", "2")
			w.folder("c/dir/", "X-Object-Sharing", "read=carol")
			w.put("c/dir/x", "3")
			w.as("bob", "GET", "c/file", "").want(200)
			w.as("carol", "GET", "c/file", "").want(200)
			w.as("", "GET", "c/file", "").want(401)
			w.as("bob", "GET", "c/file/below", "").want(403)
			w.as("carol", "GET", "c/dir/x", "").want(200).says("3")
			w.as("bob", "GET", "c/dir/x", "").want(403)
			w.do("DELETE", "c/dir/", "").want(204)
			w.as("carol", "GET", "c/dir/x", "").want(403)
		}},
		{"1.9", "an account has 32 groups at most, of 32 members", func(w *world) {
			for i := range 32 {
				w.do("POST", "?update", "", fmt.Sprintf("X-Account-Group-G%d", i), "bob").want(202)
			}
			w.do("POST", "?update", "", "X-Account-Group-More", "bob").want(400)
			w.do("POST", "?update", "", "X-Account-Group-G1", strings.Repeat("bob,", 40)+"nobody").want(400)
			w.do("POST", "", "", "X-Account-Group-Only", "bob").want(202)
			w.do("HEAD", "", "").want(204).has("X-Account-Group-Only", "bob", "X-Account-Group-G1", "")
		}},
		{"1.11", "metadata of other front ends is kept by updates and goes along with copies", func(w *world) {
			_, err := w.b.Put(w.Context(), backend.Caller{Principal: access.Principal{Account: "alice", User: "alice:admin", Canonical: "canonical-alice", Admin: true}}, backend.PutRequest{
				Container: backend.Ref{Account: "alice", Name: "c"}, Name: "image", Body: backend.Body{Reader: strings.NewReader("x"), Size: 1},
				Attributes: backend.Attributes{Owner: "alice", Meta: map[object.Domain]map[string]string{"plankton": {"plankton:name": "Debian"}}},
			})
			if err != nil {
				w.Fatal(err)
			}
			w.do("POST", "c/image", "", "X-Object-Meta-A", "b").want(202)
			w.do("COPY", "c/image", "", "Destination", "/c/copy").want(201)
			w.do("MOVE", "c/image", "", "Destination", "/c/moved").want(201)
			w.do("POST", "c/moved", "y", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
			for _, name := range []naming.ObjectName{"copy", "moved"} {
				o, err := w.b.Open(w.Context(), backend.Caller{Principal: access.Principal{Account: "alice", User: "alice:admin", Canonical: "canonical-alice", Admin: true}}, backend.Target{Container: backend.Ref{Account: "alice", Name: "c"}, Name: name}, object.Precondition{}, access.GetObject)
				if err != nil {
					w.Fatal(err)
				}
				if diff := cmp.Diff(map[string]string{"plankton:name": "Debian"}, o.Version.Meta["plankton"]); diff != "" {
					w.Errorf("%s: %s", name, diff)
				}
			}
		}},
		{"2.1", "what is no path of the service is 400", func(w *world) {
			w.do("GET", "/object-store/other", "").want(400).mentions(`"badRequest"`)
		}},
		{"2.2", "the cookie of older services is no token", func(w *world) {
			w.put("c/x", "1")
			w.as("", "GET", "c/x", "", "Cookie", "_pithos2_a=alice%7Calice").want(401)
		}},
		{"2.3", "an unknown format counts as absent", func(w *world) {
			w.put("c/x", "1")
			w.do("GET", "c?format=yaml", "").want(200).says("x\n")
			w.do("GET", "c?format=yaml", "", "Accept", "text/html, application/json").want(200).has("Content-Type", "application/json; charset=UTF-8")
			w.do("PUT", "d?format=text", "").want(201)
			w.do("GET", "d", "").want(204).says("")
			w.do("GET", "d?format=json", "").want(200).says("[]")
		}},
		{"2.4", "a fault of a request for text is JSON", func(w *world) {
			w.do("GET", "nothing", "").want(404).mentions(`{"itemNotFound":{"code":404,`)
			w.do("GET", "nothing", "", "Accept", "text/plain").want(404).mentions(`{"itemNotFound":{"code":404,`)
		}},
		{"2.5", "dates of requests have three forms", func(w *world) {
			w.put("c/x", "1")
			for _, date := range []string{"Sun, 01 Mar 2026 12:00:01 GMT", "Sunday, 01-Mar-26 12:00:01 GMT", "Sun Mar  1 12:00:01 2026"} {
				w.do("GET", "c/x", "", "If-Modified-Since", date).want(304)
			}
		}},
		{"2.6", "what is missing matches nothing: PUT is 412, POST and COPY are 404", func(w *world) {
			w.do("PUT", "c/x", "1", "Content-Type", "a/b", "If-Match", root("1")).want(412)
			w.do("POST", "c/x", "", "If-Match", root("1")).want(404)
			w.do("COPY", "c/x", "", "Destination", "/c/y", "If-Match", root("1")).want(404)
			first := w.put("c/x", "1")
			w.put("c/x", "2")
			w.do("COPY", "c/x", "", "Destination", "/c/y", "X-Source-Version", first.header.Get("X-Object-Version"), "If-Match", root("1")).want(201)
			w.do("MOVE", "c/x", "", "Destination", "/c/z", "If-Match", root("1")).want(412)
			w.do("GET", "c/x", "", "If-Match", root("2"), "If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT").want(412)
		}},
		{"2.7", "the ETag is the root hash in every answer, and a listing's hash the MD5 or nothing", func(w *world) {
			w.put("c/x", "abc").has("Etag", root("abc"))
			for _, method := range []string{"HEAD", "GET"} {
				w.do(method, "c/x", "").want(200).has("Etag", root("abc"), "X-Object-Hash", root("abc"))
			}
			w.do("POST", "c/x", "d", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204).has("Etag", root("abcd"))
			if e := w.do("GET", "c?format=json", "").list()[0]; e["x_object_hash"] != root("abcd") || e["hash"] != "e2fc714c4727ee9395f324cd2e7f331f" {
				w.Errorf("%v", e)
			}
		}},
		{"3.2", "groups and * count, the caller's own account does not, and only GET is served", func(w *world) {
			w.do("POST", "?update", "", "X-Account-Group-Friends", "bob").want(202)
			w.put("c/x", "1", "X-Object-Sharing", "read=alice:friends")
			w.as("bob", "GET", "/v1/", "").want(200).says("alice\n")
			w.as("carol", "GET", "/v1/?format=json", "").want(200).says("[]")
			w.put("c/x", "1", "X-Object-Sharing", "read=*")
			w.as("carol", "GET", "/v1/", "").want(200).says("alice\n")
			w.do("GET", "/v1/", "").want(204)
			w.as("carol", "GET", "/v1/?limit=1", "").want(200).says("alice\n")
			w.do("PUT", "/v1/", "").want(405).has("Allow", "GET")
		}},
		{"4.2", "containers with something shared or published, and those of a moment", func(w *world) {
			w.do("PUT", "d", "").want(201)
			w.do("PUT", "e", "").want(201)
			w.put("d/x", "1", "X-Object-Public", "true")
			w.put("e/x", "1", "X-Object-Sharing", "read=bob")
			w.wantNames("alice", "?format=json&public", "d")
			w.wantNames("alice", "?format=json&shared", "e")
			w.wantNames("alice", "?format=json&public&shared", "d e")
			if e := w.as("bob", "GET", "?format=json", "").list()[0]; len(e) != 2 || e["name"] != "e" || e["last_modified"] == nil {
				w.Errorf("bob sees %v", e)
			}
			w.clock.Advance(10 * time.Second)
			at := w.clock.Now().Unix()
			w.clock.Advance(10 * time.Second)
			w.do("PUT", "f", "").want(201)
			w.wantNames("alice", fmt.Sprintf("?format=json&until=%d", at), "c d e")
			if e := w.do("GET", fmt.Sprintf("?format=json&until=%d", at), "").list()[1]; e["x_container_until_timestamp"] == nil {
				w.Errorf("%v", e)
			}
		}},
		{"4.3", "groups are replaced as a set, but only if one is sent", func(w *world) {
			w.do("POST", "", "", "X-Account-Group-A", "bob", "X-Account-Group-B", "carol").want(202)
			w.do("POST", "", "", "X-Account-Meta-A", "1").want(202)
			w.do("HEAD", "", "").has("X-Account-Group-A", "bob", "X-Account-Group-B", "carol")
			w.do("POST", "", "", "X-Account-Group-A", "carol").want(202)
			w.do("HEAD", "", "").has("X-Account-Group-A", "carol", "X-Account-Group-B", "", "X-Account-Meta-A", "")
		}},
		{"5.2", "the listing of what is published, as JSON, XML and text, with prefix, delimiter, meta and until", func(w *world) {
			w.put("c/a/x", "1", "X-Object-Public", "true", "X-Object-Meta-K", "v")
			w.put("c/a/y", "22", "X-Object-Public", "true")
			w.put("c/b", "1")
			w.put("c/d", "333", "X-Object-Public", "true")
			l := w.do("GET", "c?format=json&public", "").list()
			if len(l) != 3 {
				w.Fatal(l)
			}
			for i, e := range l {
				name := []string{"a/x", "a/y", "d"}[i]
				if e["name"] != name || e["bytes"] != float64(i+1) || e["x_object_public"] != w.do("HEAD", "c/"+name, "").header.Get("X-Object-Public") || e["x_object_hash"] == nil {
					w.Errorf("%d: %v", i, e)
				}
			}
			w.do("GET", "c?public", "").want(200).says("a/x\na/y\nd\n")
			w.do("GET", "c?public&format=xml", "").want(200).mentions("<object><name>a/x</name>", "<x_object_public>http").lacks("<name>b</name>")
			w.wantNames("alice", "c?format=json&public&delimiter=/", "[a/] d")
			w.wantNames("alice", "c?format=json&public&prefix=a/", "a/x a/y")
			w.wantNames("alice", "c?format=json&public&meta=k", "a/x")
			w.wantNames("alice", "c?format=json&public&limit=1&marker=a/x", "a/y")
			w.clock.Advance(10 * time.Second)
			at := w.clock.Now().Unix()
			w.put("c/a/y", "4444")
			w.put("c/a/z", "1", "X-Object-Public", "true")
			w.wantNames("alice", fmt.Sprintf("c?format=json&public&until=%d", at), "a/x a/y d")
			if then := w.do("GET", fmt.Sprintf("c?format=json&public&prefix=a/y&until=%d", at), "").list(); len(then) != 1 || then[0]["bytes"] != 2.0 {
				w.Errorf("%v", then)
			}
			w.do("DELETE", "c/a/z", "").want(204)
			w.do("POST", "c/a/x?update", "", "X-Object-Public", "false").want(202)
			w.wantNames("alice", "c?format=json&public", "a/y d")
			w.do("DELETE", "c/d", "").want(204)
			w.wantNames("alice", "c?format=json&public", "a/y")
			w.as("bob", "GET", "c?public&format=json", "").want(403)
		}},
		{"5.2", "an object that is called like a virtual entry stands in its place", func(w *world) {
			w.put("c/d/", "marker")
			w.put("c/d/x", "1")
			w.put("c/e/x", "1")
			w.wantNames("alice", "c?format=json&delimiter=/", "d/ [e/]")
		}},
		{"6.2", "a policy that is sent without update resets the rest", func(w *world) {
			w.do("POST", "c?update", "", "X-Container-Policy-Quota", "9", "X-Container-Policy-Versioning", "none").want(202)
			w.do("POST", "c", "", "X-Container-Meta-A", "1").want(202)
			w.do("HEAD", "c", "").has("X-Container-Policy-Quota", "9", "X-Container-Policy-Versioning", "none")
			w.do("POST", "c", "", "X-Container-Policy-Quota", "7").want(202)
			w.do("HEAD", "c", "").has("X-Container-Policy-Quota", "7", "X-Container-Policy-Versioning", "auto")
		}},
		{"6.4", "a purge leaves the container, a moment with a fraction removes it when it shows nothing", func(w *world) {
			w.put("c/x", "1")
			w.do("DELETE", "c/x", "").want(204)
			later := w.clock.Now().Unix() + 10
			w.do("DELETE", fmt.Sprintf("c?until=%d&delimiter=/", later), "").want(204)
			w.do("HEAD", "c", "").want(204)
			w.do("GET", "c/x?version=list", "").want(404)
			w.do("DELETE", fmt.Sprintf("c?until=%d.0", later), "").want(204)
			w.do("HEAD", "c", "").want(404)
		}},
		{"7.1", "who shares, and what one may, is not told of a version", func(w *world) {
			v := w.put("c/x", "1", "X-Object-Sharing", "read=bob", "X-Object-Public", "true").header.Get("X-Object-Version")
			w.do("HEAD", "c/x?version="+v, "").want(200).has("X-Object-Sharing", "", "X-Object-Public", "", "X-Object-Shared-By", "")
			w.as("bob", "HEAD", "c/x?version="+v, "").want(200).has("X-Object-Allowed-To", "")
			w.as("bob", "HEAD", "c/x", "").want(200).has("X-Object-Allowed-To", "read", "X-Object-Sharing", "read=bob", "X-Object-Shared-By", "", "X-Object-Public", "")
		}},
		{"7.2", "the hashmap of a manifest is its own, empty one, and a listing shows its own size", func(w *world) {
			w.put("c/part/1", "one")
			w.put("c/m", "", "X-Object-Manifest", "c/part/")
			w.do("GET", "c/m?hashmap&format=json", "").want(200).mentions(`"bytes": 0`, emptyHash)
			if e := w.do("GET", "c?format=json", "").list()[0]; e["name"] != "m" || e["bytes"] != 0.0 {
				w.Errorf("%v", e)
			}
			w.put("c/none", "", "X-Object-Manifest", "c/nothing/")
			w.do("GET", "c/none", "").want(200).says("")
		}},
		{"8.1", "a content type that is no ASCII, and a public flag that is no word, are 400 and leave nothing", func(w *world) {
			w.do("PUT", "c/x", "1", "Content-Type", "a/\xc3\xa9").want(400)
			w.do("PUT", "c/x", "1", "Content-Type", "a/b", "X-Object-Public", "yes").want(400)
			w.do("PUT", "c/x", "1", "Content-Type", "a/b", "X-Object-Sharing", "own=bob").want(400)
			w.do("HEAD", "c/x", "").want(404)
		}},
		{"8.3", "a copy without a slash, an object or a header is 400; a move out of another's account is 403", func(w *world) {
			w.put("c/x", "1", "X-Object-Sharing", "write=bob")
			w.do("COPY", "c/x", "").want(400)
			w.do("COPY", "c/x", "", "Destination", "c/y").want(400)
			w.do("COPY", "c/x", "", "Destination", "/c").want(400)
			w.do("COPY", "c/nothing", "", "Destination", "/c/y").want(404)
			w.do("COPY", "c/x", "", "Destination", "/c/y", "X-Source-Version", "12345").want(404)
			w.as("bob", "PUT", "/v1/bob/d", "").want(201)
			w.as("bob", "PUT", "/v1/bob/d/x", "", "X-Move-From", "/c/x", "X-Source-Account", "alice").want(403)
			w.do("MOVE", "c/x", "", "Destination", "/c/x", "Content-Type", "new/type").want(201).has("X-Object-Version", "*", "Etag", "")
			w.do("HEAD", "c/x", "").want(200).has("Content-Type", "new/type", "X-Object-Sharing", "write=bob")
		}},
		{"9", "what is unknown, withdrawn or deleted cannot be told apart", func(w *world) {
			var bodies []string
			for _, end := range []func(){
				func() { w.do("POST", "c/x?update", "", "X-Object-Public", "false").want(202) },
				func() { w.do("DELETE", "c/x", "").want(204) },
				func() { w.do("MOVE", "c/x", "", "Destination", "/c/elsewhere").want(201) },
			} {
				w.put("c/x", "1", "X-Object-Public", "true")
				link := w.do("HEAD", "c/x", "").header.Get("X-Object-Public")
				end()
				bodies = append(bodies, w.as("", "GET", strings.TrimPrefix(link, w.srv.URL), "").want(404).body)
			}
			for _, body := range bodies {
				if body != w.as("", "GET", "/public/unknown", "").want(404).body {
					w.Errorf("%q", body)
				}
			}
		}},
		{"9", "a link to a manifest gives its parts, and several ranges work", func(w *world) {
			w.put("c/part/1", "one")
			w.put("c/part/2", "two")
			w.put("c/m", "", "X-Object-Manifest", "c/part/", "X-Object-Public", "true")
			link := strings.TrimPrefix(w.do("HEAD", "c/m", "").header.Get("X-Object-Public"), w.srv.URL)
			w.as("", "GET", link, "").want(200).says("onetwo")
			w.as("", "GET", link, "", "Range", "bytes=0-1,4-5").want(206).mentions("Content-Range: bytes 4-5/6\r\n")
			w.put("c/w", "", "X-Object-Sharing", "write=bob", "X-Object-Public", "true") // what bob may not read he cannot show with it
			link = strings.TrimPrefix(w.do("HEAD", "c/w", "").header.Get("X-Object-Public"), w.srv.URL)
			w.as("bob", "PUT", "c/w", "", "Content-Type", "a/b", "X-Object-Manifest", "c/part/").want(201)
			w.as("", "GET", link, "").want(404)
		}},
		{"13", "the protocol of synchronising clients", func(w *world) {
			data := gen(2500)
			put := func(status int, text string, cond ...string) *answer {
				w.clock.Advance(time.Second)
				return w.do("PUT", "c/x?hashmap&format=json", hashmap(text), append([]string{"Content-Type", "a/b"}, cond...)...).want(status)
			}
			put(409, data, "If-None-Match", "*")
			for off := 0; off < len(data); off += blockSize {
				piece := data[off:min(len(data), off+blockSize)]
				w.do("POST", "c?update&format=json", piece, "Content-Type", octetStream).want(202).says(`["` + sums(piece)[0] + `"]`)
			}
			tag := put(201, data, "If-None-Match", "*").has("Etag", root(data)).header.Get("Etag")
			if e := w.do("GET", "c?format=json", "").list()[0]; e["x_object_hash"] != tag {
				w.Errorf("%v", e)
			}
			polled := w.do("HEAD", "c", "").header.Get("Last-Modified")
			w.do("GET", "c?format=json", "", "If-Modified-Since", polled).want(http.StatusNotModified)
			changed := "B" + data[1:]
			put(409, changed, "If-Match", tag).says(`["` + sums(changed)[0] + `"]`) // only what changed is asked for
			w.do("POST", "c?update&format=json", changed[:blockSize], "Content-Type", octetStream).want(202)
			put(201, changed, "If-Match", tag)
			put(412, data, "If-Match", tag) // somebody else was there
			w.do("GET", "c?format=json", "", "If-Modified-Since", polled).want(200)
			w.do("GET", "c/x", "", "Range", "bytes=1024-2047", "If-Match", tag).want(412)
			w.do("GET", "c/x", "", "Range", "bytes=1024-2047", "If-Match", root(changed)).want(206).says(changed[1024:2048])
			staged := "c/x." + root(changed) + ".pithos_staged_for_deletion"
			w.do("MOVE", "c/x", "", "Destination", "/"+staged, "If-Match", tag).want(412)
			w.do("MOVE", "c/x", "", "Destination", "/"+staged, "If-Match", root(changed)).want(201)
			w.do("DELETE", staged, "").want(204)
		}},
	}
}
