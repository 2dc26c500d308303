package pithos

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"pithos/internal/backend"
	"pithos/internal/door/swift"
)

// Bases of alice's account in both dialects.
const (
	inSwift  = "/v1/AUTH_alice"
	inPithos = "/v1/alice"
)

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// dialectStatements are about one URL for two dialects (Pithos+ 16.1, 16.2, 16.4).
func dialectStatements() []statement {
	return []statement{
		{"16.1", "what an account begins with decides on the dialect, at the second mount it is always Pithos+", func(w *world) {
			w.put("c/x", "abc")
			for path, tag := range map[string]string{inSwift: md5Of("abc"), inPithos: root("abc"), "/object-store/v1/alice": root("abc"), "/object-store/v1/AUTH_alice": root("abc")} {
				w.do("GET", path+"/c/x", "").want(200).says("abc").has("Etag", tag)
				w.do("GET", path+"/c/x", "", "User-Agent", "python-swiftclient").has("Etag", tag) // nobody is judged by their name
				w.do("GET", path+"/c/x", "", "User-Agent", "kamaki").has("Etag", tag)
			}
		}},
		{"16.1", "an error before the account is known follows the path too", func(w *world) {
			w.as("", "GET", inSwift+"/c/x", "").want(401).mentions("<html>")
			w.as("", "GET", inPithos+"/c/x", "").want(401).mentions(`{"unauthorized":`)
			w.as("nobody", "GET", inSwift, "").want(401).mentions("<html>")
			w.as("nobody", "GET", "/object-store/v1/alice", "").want(401).mentions(`{"unauthorized":`)
			w.as("", "PATCH", inSwift+"/c", "").want(405)
			w.as("", "PATCH", inPithos+"/c", "").want(405).mentions(`{"notAllowed":`)
		}},
		{"16.1", "both dialects reach the same accounts, containers and objects", func(w *world) {
			w.do("PUT", inSwift+"/theirs", "").want(201)
			w.do("PUT", inSwift+"/theirs/a", "by swift", "Content-Type", "a/b", "X-Object-Meta-Colour", "red").want(201)
			w.do("GET", "theirs/a", "").want(200).says("by swift").has("X-Object-Meta-Colour", "red", "Content-Type", "a/b")
			w.put("c/b", "by pithos", "X-Object-Meta-Colour", "blue")
			w.do("GET", inSwift+"/c/b", "").want(200).says("by pithos").has("X-Object-Meta-Colour", "blue", "Etag", md5Of("by pithos"))
			w.do("GET", inSwift, "").want(200).says("c\ntheirs\n")
			w.do("DELETE", inSwift+"/c/b", "").want(204)
			w.do("GET", "c/b", "").want(404)
		}},
		{"16.2", "below Swift's accounts: hashmap, version, until, meta, shared and public", func(w *world) {
			old := w.put("c/x", "old", "X-Object-Meta-K", "v", "X-Object-Sharing", "read=bob", "X-Object-Public", "true").header.Get("X-Object-Version")
			w.clock.Advance(10 * time.Second)
			at := w.clock.Now().Unix()
			w.clock.Advance(10 * time.Second)
			w.put("c/x", "new", "X-Object-Meta-K", "v")
			w.put("c/y", "1")
			w.do("GET", inSwift+"/c/x?hashmap&format=json", "").want(200).mentions(`"bytes": 3`)
			w.do("GET", inSwift+"/c/x?version="+old, "").want(200).says("old").has("Etag", md5Of("old"))
			w.do("GET", inSwift+"/c/x?version=list&format=json", "").want(200).mentions("[["+old, "], [")
			w.do("GET", fmt.Sprintf("%s/c?until=%d", inSwift, at), "").want(200).says("x\n")
			w.do("GET", inSwift+"/c?meta=k", "").want(200).says("x\n")
			w.do("GET", inSwift+"/c?shared", "").want(200).says("x\n")
			w.do("GET", inSwift+"/c?public", "").want(200).says("x\n")
			data := gen(1500)
			w.do("PUT", inSwift+"/c/z?hashmap", hashmap(data), "Content-Type", "a/b").want(409)
			w.do("POST", inSwift+"/c", data, "Content-Type", octetStream).want(202).mentions(sums(data)[0])
			w.do("PUT", inSwift+"/c/z?hashmap", hashmap(data), "Content-Type", "a/b").want(201).has("Etag", md5Of(data))
		}},
		{"16.2", "below Swift's accounts: delimiter of DELETE, COPY, MOVE and copying PUT, disposition-type, ignore_content_type", func(w *world) {
			w.put("c/a", "1")
			w.put("c/a/b", "2")
			w.do("COPY", inSwift+"/c/a?delimiter=/", "", "Destination", "/c/d").want(201)
			w.do("GET", "c/d/b", "").want(200).says("2")
			w.do("MOVE", inSwift+"/c/d?delimiter=/", "", "Destination", "/c/e").want(201)
			w.do("GET", "c/e/b", "").want(200).says("2")
			w.do("PUT", inSwift+"/c/f?delimiter=/", "", "X-Copy-From", "/c/e").want(201)
			w.do("GET", "c/f/b", "").want(200).says("2")
			w.do("PUT", inSwift+"/c/g?delimiter=/", "", "X-Move-From", "/c/f").want(201)
			w.do("GET", "c/g/b", "").want(200).says("2")
			w.do("DELETE", inSwift+"/c/g?delimiter=/", "").want(204)
			w.do("GET", "c/g/b", "").want(404)
			w.do("GET", inSwift+"/c/a?disposition-type=attachment", "").want(200).has("Content-Disposition", `attachment; filename="a"`)
			w.do("COPY", inSwift+"/c/a?ignore_content_type", "", "Destination", "/c/h", "Content-Type", "new/type").want(201)
			w.do("HEAD", "c/h", "").want(200).has("Content-Type", "text/plain")
		}},
		{"16.2", "below Swift's accounts: X-Source-Account and -Version, X-Object-Sharing and -Public, groups, policies, Content-Range, X-Source-Object", func(w *world) {
			old := w.put("c/x", "old").header.Get("X-Object-Version")
			w.put("c/x", "new", "X-Object-Sharing", "read=bob")
			w.as("bob", "PUT", "/v1/AUTH_bob/d", "").want(201)
			w.as("bob", "PUT", "/v1/AUTH_bob/d/x", "", "X-Copy-From", "/c/x", "X-Source-Account", "alice").want(201)
			w.as("bob", "GET", "/v1/AUTH_bob/d/x", "").want(200).says("new")
			w.do("PUT", inSwift+"/c/old", "", "X-Copy-From", "/c/x", "X-Source-Version", old).want(201)
			w.do("GET", inSwift+"/c/old", "").want(200).says("old")
			w.do("PUT", inSwift+"/c/s", "1", "Content-Type", "a/b", "X-Object-Sharing", "read=bob", "X-Object-Public", "true").want(201).has("Etag", md5Of("1"))
			w.do("HEAD", "c/s", "").want(200).has("X-Object-Sharing", "read=bob", "X-Object-Public", "*")
			w.do("POST", inSwift+"/c/s", "", "X-Object-Sharing", "").want(202)
			w.do("HEAD", "c/s", "").want(200).has("X-Object-Sharing", "")
			w.do("POST", inSwift, "", "X-Account-Group-Friends", "bob").want(204)
			w.do("HEAD", "", "").want(204).has("X-Account-Group-Friends", "bob")
			w.do("PUT", inSwift+"/p", "", "X-Container-Policy-Quota", "7").want(201)
			w.do("HEAD", "p", "").want(204).has("X-Container-Policy-Quota", "7")
			w.do("POST", inSwift+"/p", "", "X-Container-Meta-A", "1").want(204)
			w.do("POST", inSwift+"/p", "", "X-Container-Policy-Quota", "9", "X-Container-Meta-B", "2").want(204)
			w.do("HEAD", "p", "").want(204).has("X-Container-Policy-Quota", "9", "X-Container-Meta-A", "1", "X-Container-Meta-B", "2")
			w.do("POST", inSwift+"/c/x?update", "er", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204).has("Etag", md5Of("newer"))
			w.do("POST", inSwift+"/c/old?update", "", "X-Source-Object", "/c/x", "Content-Range", "bytes 0-/*").want(204)
			w.do("GET", inSwift+"/c/old", "").want(200).says("newer")
		}},
		{"16.2", "Swift's own work here: signed links, static manifests, lists, end of life", func(w *world) {
			w.put("c/x", "hello")
			w.do("POST", "?update", "", "X-Account-Meta-Temp-Url-Key", "key").want(202)
			at := w.clock.Now().Add(time.Hour).Unix()
			mac := hmac.New(sha1.New, []byte("key"))
			_, _ = fmt.Fprintf(mac, "GET\n%d\n%s/c/x", at, inPithos)
			w.as("", "GET", fmt.Sprintf("c/x?temp_url_sig=%x&temp_url_expires=%d", mac.Sum(nil), at), "").want(200).says("hello")
			w.put("c/y", " you")
			w.do("PUT", "c/all?multipart-manifest=put", `[{"path": "/c/x"}, {"path": "/c/y"}]`, "Content-Type", "a/b").want(201)
			w.do("GET", "c/all", "").want(200).says("hello you")
			w.do("POST", "c", "", "X-Container-Read", "bob:*").want(204)
			w.as("bob", "GET", "c/x", "").want(200).says("hello")
			w.do("POST", "c/x", "", "X-Delete-After", "10").want(202)
			w.clock.Advance(time.Minute)
			w.do("GET", "c/x", "").want(404)
		}},
		{"16.2", "Swift's own work here: end_marker and reverse", func(w *world) {
			for _, name := range []string{"a", "b", "b/1", "b/2", "d"} {
				w.put("c/"+name, name)
			}
			w.do("GET", "c?end_marker=b/1", "").want(200).says("a\nb\n")
			w.do("GET", "c?reverse=true", "").want(200).says("d\nb/2\nb/1\nb\na\n")
			w.do("GET", "c?reverse=on&marker=d&end_marker=a&limit=2", "").want(200).says("b/2\nb/1\n")
			w.do("GET", "c?reverse=1&delimiter=/", "").want(200).says("d\nb/\nb\na\n")
			w.do("GET", "c?delimiter=/&end_marker=c", "").want(200).says("a\nb\nb/\n")
			w.do("PUT", "d", "").want(201)
			w.do("PUT", "e", "").want(201)
			w.do("GET", "?end_marker=e", "").want(200).says("c\nd\n")
			w.do("GET", "?reverse=true", "").want(200).says("e\nd\nc\n")
			w.do("GET", "?reverse=true&marker=e&limit=1", "").want(200).says("d\n")
			w.do("GET", "c?reverse=true&shared", "").want(400)
		}},
		{"16.2", "Swift's own work here: X-Remove- takes metadata away", func(w *world) {
			w.put("c/x", "1", "X-Object-Meta-A", "1", "X-Object-Meta-B", "2")
			for path, kind := range map[string]string{"": "Account", "c": "Container", "c/x": "Object"} {
				w.do("POST", path, "", "X-"+kind+"-Meta-A", "1", "X-"+kind+"-Meta-B", "2").want(202)
				w.do("POST", path+"?update", "", "X-Remove-"+kind+"-Meta-A", "x").want(202)
				w.do("HEAD", path, "").has("X-"+kind+"-Meta-A", "", "X-"+kind+"-Meta-B", "2")
				w.do("POST", path, "", "X-"+kind+"-Meta-C", "3", "X-Remove-"+kind+"-Meta-C", "x").want(202)
				w.do("HEAD", path, "").has("X-"+kind+"-Meta-B", "", "X-"+kind+"-Meta-C", "")
			}
		}},
		{"16.2", "what only one has beside what only the other has is refused, and nothing is lost without a word", func(w *world) {
			for _, base := range []string{inSwift, inPithos} {
				w.do("PUT", base+"/c/x", "1", "Content-Type", "a/b", "X-Object-Sharing", "read=bob", "X-Delete-After", "100").want(400).mentions("X-Delete-After")
				w.do("POST", base+"/c", "", "X-Container-Policy-Quota", "7", "X-Container-Read", ".r:*").want(400).mentions("X-Container-Read")
				w.do("PUT", base+"/c/x?hashmap&multipart-manifest=put", "[]", "Content-Type", "a/b").want(400).mentions("multipart-manifest")
				w.do("HEAD", base+"/c/x", "").want(404)
			}
			w.do("HEAD", "c", "").want(204).has("X-Container-Policy-Quota", "0")
		}},
		{"16.2", "either Swift's list of a container or a sharing list of Pithos+ allows", func(w *world) {
			w.put("c/listed", "1")
			w.do("PUT", "d", "").want(201)
			w.put("d/shared", "2", "X-Object-Sharing", "read=carol")
			w.do("POST", inSwift+"/c", "", "X-Container-Read", "bob:*").want(204)
			for _, base := range []string{inSwift, inPithos} {
				w.as("bob", "GET", base+"/c/listed", "").want(200).says("1")
				w.as("carol", "GET", base+"/c/listed", "").want(403)
				w.as("carol", "GET", base+"/d/shared", "").want(200).says("2")
				w.as("bob", "GET", base+"/d/shared", "").want(403)
			}
		}},
		{"16.4", "a version has both digests, however it came to be", func(w *world) {
			data := gen(2 * blockSize) // of a size at which the original's MD5 of a hashmap is wrong
			w.do("POST", "c?update", data, "Content-Type", octetStream).want(202)
			w.do("PUT", "c/map?hashmap", hashmap(data), "Content-Type", "a/b").want(201)
			w.put("c/put", data)
			w.put("c/spliced", data[:1000])
			w.do("POST", "c/spliced", data[1000:], "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
			w.do("PUT", inSwift+"/c/theirs", data, "Content-Type", "a/b").want(201)
			for _, name := range []string{"map", "put", "spliced", "theirs"} {
				w.do("HEAD", inSwift+"/c/"+name, "").want(200).has("Etag", md5Of(data))
				w.do("HEAD", inPithos+"/c/"+name, "").want(200).has("Etag", root(data), "X-Object-Hash", root(data))
			}
		}},
		{"16.4", "an object of uneven parts has a hashmap and a root hash all the same", func(w *world) {
			w.put("c/1", gen(1500))
			w.put("c/2", gen(700))
			w.do("PUT", inSwift+"/c/all?multipart-manifest=put", `[{"path": "/c/1"}, {"path": "/c/2"}]`, "Content-Type", "a/b").want(201)
			data := gen(1500) + gen(700)
			w.do("GET", "c/all?hashmap", "").want(200).says(`{"block_hash": "sha256", "block_size": 1024, "bytes": 2200, "hashes": ["` + strings.Join(sums(data), `", "`) + `"]}`)
			w.do("GET", "c/all", "").want(200).says(data).has("Etag", root(data), "X-Object-Hash", root(data))
			if e := w.do("GET", "c?format=json&prefix=all", "").list(); len(e) != 1 || e[0]["x_object_hash"] != root(data) {
				w.Error(e)
			}
		}},
		{"16.4", "versioning is one concept in both dialects", func(w *world) {
			w.do("PUT", inSwift+"/d", "").want(201)
			w.do("HEAD", "d", "").has("X-Container-Policy-Versioning", "none")
			w.do("POST", inSwift+"/d", "", "X-Versions-Enabled", "true").want(204)
			w.do("HEAD", "d", "").has("X-Container-Policy-Versioning", "auto")
			w.do("POST", "d?update", "", "X-Container-Policy-Versioning", "none").want(202)
			w.do("HEAD", inSwift+"/d", "").has("X-Versions-Enabled", "False")
		}},
	}
}

// collisionStatements are the table of what the dialect decides (Pithos+ 16.3). Each does the same in both.
func collisionStatements() []statement {
	return []statement{
		{"16.3", "the ETag and a listing's hash: the MD5 in Swift, the root hash and the MD5 here; conditions take both in both", func(w *world) {
			w.do("PUT", inSwift+"/c/x", "abc", "Content-Type", "a/b").want(201).has("Etag", md5Of("abc"))
			w.do("PUT", inPithos+"/c/x", "abc", "Content-Type", "a/b").want(201).has("Etag", root("abc"))
			for _, base := range []string{inSwift, inPithos} {
				if e := w.do("GET", base+"/c?format=json", "").list()[0]; e["hash"] != md5Of("abc") {
					w.Errorf("%v", e)
				}
				for _, tag := range []string{md5Of("abc"), root("abc"), `"` + root("abc") + `"`} {
					w.do("GET", base+"/c/x", "", "If-Match", tag).want(200)
					w.do("GET", base+"/c/x", "", "If-None-Match", tag).want(304)
				}
				w.do("PUT", base+"/c/x", "abc", "Content-Type", "a/b", "Etag", md5Of("abc")).want(201)
				w.do("PUT", base+"/c/x", "abc", "Content-Type", "a/b", "Etag", root("abc")).want(201)
				w.do("PUT", base+"/c/x", "abc", "Content-Type", "a/b", "Etag", md5Of("abd")).want(422)
			}
		}},
		{"16.3", "a container's Last-Modified: its own change in Swift, every object's change here", func(w *world) {
			at := func(base string) string { return w.do("HEAD", base+"/c", "").want(204).header.Get("Last-Modified") }
			theirs, ours := at(inSwift), at(inPithos)
			w.clock.Advance(time.Minute)
			w.put("c/x", "1")
			if at(inSwift) != theirs || at(inPithos) == ours {
				w.Errorf("%s, %s after an object came", at(inSwift), at(inPithos))
			}
			w.clock.Advance(time.Minute)
			w.do("POST", inSwift+"/c", "", "X-Container-Meta-A", "1").want(204)
			if at(inSwift) == theirs || at(inPithos) != at(inSwift) {
				w.Errorf("%s, %s after the container changed", at(inSwift), at(inPithos))
			}
		}},
		{"16.3", "conditions on accounts and containers: ignored in Swift, honoured here", func(w *world) {
			w.put("c/x", "1")
			future := w.clock.Now().Add(time.Hour).Format(http.TimeFormat)
			for _, path := range []string{"", "/c"} {
				w.do("GET", inSwift+path, "", "If-Modified-Since", future).want(200)
				w.do("GET", inPithos+path, "", "If-Modified-Since", future).want(304)
				w.do("GET", inSwift+path, "", "If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT").want(200)
				w.do("GET", inPithos+path, "", "If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT").want(412)
			}
		}},
		{"16.3", "POST of an account or container: 204 and always merged in Swift, 202 and replaced without update here", func(w *world) {
			for path, kind := range map[string]string{"": "Account", "/c": "Container"} {
				a, b, c := "X-"+kind+"-Meta-A", "X-"+kind+"-Meta-B", "X-"+kind+"-Meta-C"
				w.do("POST", inSwift+path, "", a, "1", b, "2", c, "3").want(204)
				w.do("POST", inSwift+path, "", a, "", "X-Remove-"+kind+"-Meta-C", "x").want(204)
				w.do("HEAD", inSwift+path, "").has(a, "", b, "2", c, "")
				w.do("POST", inPithos+path, "", c, "3").want(202)
				w.do("HEAD", inPithos+path, "").has(b, "", c, "3")
			}
		}},
		{"16.3", "POST of an object: its content type is changed in Swift, never here, where an octet stream is data", func(w *world) {
			w.put("c/x", "1")
			w.do("POST", inSwift+"/c/x", "", "Content-Type", "new/type").want(202)
			w.do("HEAD", "c/x", "").has("Content-Type", "new/type")
			w.do("POST", inSwift+"/c/x", "", "Content-Type", octetStream, "X-Object-Meta-A", "1").want(202)
			w.do("HEAD", "c/x", "").has("X-Object-Meta-A", "1")
			kept := w.do("HEAD", "c/x", "").header.Get("Content-Type")
			w.do("POST", inPithos+"/c/x", "", "Content-Type", "another/type").want(202)
			w.do("HEAD", "c/x", "").has("Content-Type", kept)
			w.do("POST", inPithos+"/c/x", "", "Content-Type", octetStream).want(400)
		}},
		{"16.3", "PUT without a content type: guessed from the name in Swift, 411 here", func(w *world) {
			w.do("PUT", inSwift+"/c/x.html", "1").want(201)
			w.do("HEAD", inSwift+"/c/x.html", "").has("Content-Type", "text/html")
			w.do("PUT", inPithos+"/c/x.html", "1").want(411)
		}},
		{"16.3", "a target of a copy that is none: 412 in Swift, where the slash may be missing, 400 here", func(w *world) {
			w.put("c/x", "1")
			for _, bad := range []string{"/c", "c"} {
				w.do("COPY", inSwift+"/c/x", "", "Destination", bad).want(412)
				w.do("COPY", inPithos+"/c/x", "", "Destination", bad).want(400)
			}
			w.do("COPY", inSwift+"/c/x", "").want(412)
			w.do("COPY", inPithos+"/c/x", "").want(400)
			w.do("COPY", inPithos+"/c/x", "", "Destination", "c/y").want(400)
			w.do("COPY", inSwift+"/c/x", "", "Destination", "c/y").want(201)
		}},
		{"16.3", "the answer to a copy: where it is from, ETag and time in Swift, the version here", func(w *world) {
			w.put("c/x", "1")
			w.do("COPY", inSwift+"/c/x", "", "Destination", "/c/y").want(201).has("X-Copied-From", "c/x", "Etag", md5Of("1"), "Last-Modified", "*")
			w.do("COPY", inPithos+"/c/x", "", "Destination", "/c/y").want(201).has("X-Object-Version", "*", "Etag", "", "X-Copied-From", "")
		}},
		{"16.3", "ranges that reach beyond the end: cut in Swift, 416 here, all or nothing", func(w *world) {
			w.put("c/x", "0123456789")
			for header, want := range map[string]string{"bytes=5-20": "56789", "bytes=-20": "0123456789"} {
				w.do("GET", inSwift+"/c/x", "", "Range", header).want(206).says(want)
				w.do("GET", inPithos+"/c/x", "", "Range", header).want(416)
			}
			w.do("GET", inSwift+"/c/x", "", "Range", "bytes=10-").want(416).has("Content-Range", "bytes */10")
			w.do("GET", inSwift+"/c/x", "", "Range", "bytes=1-2,50-60").want(206).says("12")
			w.do("GET", inPithos+"/c/x", "", "Range", "bytes=1-2,50-60").want(416)
		}},
		{"16.3", "parts of several ranges: with a type in Swift, with an encoding here", func(w *world) {
			w.put("c/x", "0123456789")
			w.do("GET", inSwift+"/c/x", "", "Range", "bytes=1-2,5-6").want(206).mentions("Content-Type: text/plain\r\nContent-Range: bytes 1-2/10\r\n\r\n12").lacks("Transfer-Encoding")
			w.do("GET", inPithos+"/c/x", "", "Range", "bytes=1-2,5-6").want(206).mentions("Content-Range: bytes 1-2/10\r\nContent-Transfer-Encoding: binary\r\n\r\n12").lacks("Content-Type")
		}},
		{"16.3", "a limit that is too large: 412 in Swift, cut here", func(w *world) {
			w.put("c/x", "1")
			w.do("GET", inSwift+"/c?limit=10001", "").want(412)
			w.do("GET", inPithos+"/c?limit=10001", "").want(200).says("x\n")
		}},
		{"16.3", "prefix, delimiter and path: taken literally in Swift, the delimiter added and slashes cut here", func(w *world) {
			for _, name := range []string{"p", "p/a", "p/b/c", "/l"} {
				w.put("c/"+name, "1")
			}
			w.do("GET", inSwift+"/c?prefix=p&delimiter=/", "").want(200).says("p\np/\n")
			w.do("GET", inPithos+"/c?prefix=p&delimiter=/", "").want(200).says("p/a\np/b/\n")
			w.do("GET", inSwift+"/c?prefix=/p", "").want(204)
			w.do("GET", inPithos+"/c?prefix=/p", "").want(200).says("p\np/a\np/b/c\n")
			w.do("GET", inSwift+"/c?path=", "").want(200).says("p\n")
			w.do("GET", inPithos+"/c?path=", "").want(200).says("/l\np\np/a\np/b/c\n")
			w.do("GET", inSwift+"/c?path=/", "").want(200).says("/l\n")
			w.do("GET", inPithos+"/c?path=/p", "").want(200).says("p/a\n")
		}},
		{"16.3", "an object that is called like a virtual entry: rolled up in Swift, shown here", func(w *world) {
			w.put("c/d/", "1")
			w.put("c/d/x", "1")
			w.do("GET", inSwift+"/c?delimiter=/&format=json", "").want(200).mentions(`"subdir"`).lacks(`"name"`)
			w.do("GET", inPithos+"/c?delimiter=/&format=json", "").want(200).mentions(`"name": "d/"`).lacks("subdir")
		}},
		{"16.3", "media types and times of listings: utf-8 and no zone in Swift, UTF-8 and a zone here", func(w *world) {
			w.put("c/x", "1")
			w.do("GET", inSwift+"/c?format=json", "").want(200).has("Content-Type", "application/json; charset=utf-8").mentions(`2026-03-01T12:00:01.000000"`)
			w.do("GET", inPithos+"/c?format=json", "").want(200).has("Content-Type", "application/json; charset=UTF-8").mentions(`2026-03-01T12:00:01.000000+00:00"`)
			w.do("GET", inSwift+"/c?format=xml", "").want(200).has("Content-Type", "application/xml; charset=utf-8")
			w.do("GET", inPithos+"/c?format=xml", "").want(200).has("Content-Type", "application/xml; charset=UTF-8")
		}},
		{"16.3", "values of headers: as they are in Swift, percent-encoded here, and the same text is kept", func(w *world) {
			w.do("PUT", inSwift+"/c/x", "1", "X-Object-Meta-A", "caf\xc3\xa9 %41").want(201)
			w.do("HEAD", inSwift+"/c/x", "").has("X-Object-Meta-A", "caf\xc3\xa9 %41")
			w.do("HEAD", inPithos+"/c/x", "").has("X-Object-Meta-A", "caf%C3%A9 %2541")
			w.do("POST", inPithos+"/c/x", "", "X-Object-Meta-A", "caf\xc3\xa9").want(400)
			w.do("POST", inPithos+"/c/x", "", "X-Object-Meta-A", "%CE%B1 %41").want(202)
			w.do("HEAD", inSwift+"/c/x", "").has("X-Object-Meta-A", "\xce\xb1 A")
			w.do("HEAD", inSwift+"/c/x?version="+w.do("HEAD", "c/x", "").header.Get("X-Object-Version"), "").has("X-Object-Meta-A", "\xce\xb1 A")
			w.do("POST", inSwift+"/c/x?update", "", "X-Object-Sharing", "read=bob", "X-Object-Meta-A", "caf\xc3\xa9 %41").want(202)
			w.do("HEAD", inSwift+"/c/x", "").has("X-Object-Meta-A", "caf\xc3\xa9 %41")
		}},
		{"16.3", "metadata: 90 entries and names of 128 in Swift, 32 entries and names of 128 with what they begin with here", func(w *world) {
			var headers []string
			for i := range 91 {
				headers = append(headers, fmt.Sprintf("X-Object-Meta-K%d", i), "v")
			}
			w.do("PUT", inSwift+"/c/x", "1", headers[2:]...).want(201)
			w.do("PUT", inSwift+"/c/x", "1", headers...).want(400)
			w.do("PUT", inPithos+"/c/x", "1", append(headers[:66:66], "Content-Type", "a/b")...).want(400)
			w.do("PUT", inPithos+"/c/x", "1", append(headers[:64:64], "Content-Type", "a/b")...).want(201)
			name := "X-Object-Meta-" + strings.Repeat("x", 128)
			w.do("PUT", inSwift+"/c/y", "1", name, "v").want(201)
			w.do("PUT", inSwift+"/c/y", "1", name+"x", "v").want(400)
			w.do("PUT", inPithos+"/c/y", "1", "Content-Type", "a/b", name, "v").want(400)
			w.do("PUT", inPithos+"/c/y", "1", "Content-Type", "a/b", name[:128], "v").want(201)
		}},
		{"16.3", "names that are too long are 400 in both", func(w *world) {
			for _, base := range []string{inSwift, inPithos} {
				w.do("PUT", base+"/"+strings.Repeat("x", 257), "").want(400)
				w.do("PUT", base+"/c/"+strings.Repeat("x", 1025), "", "Content-Type", "a/b").want(400)
				w.do("POST", base+"/c/"+strings.Repeat("x", 1025), "").want(400)
			}
		}},
		{"16.3", "a GET has no Content-Disposition by itself in Swift, and one here", func(w *world) {
			w.put("c/x", "1")
			w.do("GET", inSwift+"/c/x", "").want(200).has("Content-Disposition", "")
			w.do("GET", inPithos+"/c/x", "").want(200).has("Content-Disposition", `inline; filename="x"`)
		}},
		{"16.3", "faults: HTML in Swift, named faults here", func(w *world) {
			w.do("GET", inSwift+"/c/none", "").want(404).has("Content-Type", "text/html; charset=UTF-8").mentions("<html>")
			w.do("GET", inPithos+"/c/none", "").want(404).has("Content-Type", "application/json; charset=UTF-8").mentions(`{"itemNotFound":`)
		}},
		{"16.3", "the bare version: 412 without a slash, the top level with one", func(w *world) {
			w.do("GET", "/v1", "").want(412).mentions("Bad URL")
			w.do("GET", "/v1/", "").want(204)
			w.do("PUT", "/v1/", "").want(405).has("Allow", "GET")
		}},
		{"16.3", "accounts are neither made nor removed", func(w *world) {
			for _, method := range []string{"PUT", "DELETE"} {
				w.do(method, inPithos, "").want(405).has("Allow", "HEAD,POST,GET")
				if a := w.do(method, inSwift, ""); a.status != 403 && a.status != 405 {
					w.Errorf("%s: %d", method, a.status)
				}
			}
		}},
		{"16.3", "who may not, or asks for an account that is none: Swift's own words there, 403 here", func(w *world) {
			w.as("", "GET", inSwift+"/c", "").want(401)
			for _, path := range []string{"/v1/alice/c", "/v1/alice/none", "/v1/nobody", "/v1/nobody/c/x"} {
				w.as("bob", "GET", path, "").want(403)
			}
			w.as("bob", "GET", inSwift+"/c", "").want(403)
			w.as("bob", "GET", "/v1/AUTH_nobody/c", "").want(403)
		}},
		{"16.3", "a new container has no versions in Swift, and has them here", func(w *world) {
			w.do("PUT", inSwift+"/theirs", "").want(201)
			w.do("PUT", inPithos+"/ours", "").want(201)
			w.do("HEAD", inPithos+"/theirs", "").has("X-Container-Policy-Versioning", "none")
			w.do("HEAD", inPithos+"/ours", "").has("X-Container-Policy-Versioning", "auto")
		}},
		{"16.3", "a container that holds nothing but history: removed here; in Swift only when it keeps no versions, as Swift itself does", func(w *world) {
			w.do("PUT", "d", "").want(201)
			w.put("d/x", "1")
			w.put("d/x", "2")
			w.do("DELETE", inPithos+"/d", "").want(409)
			w.do("DELETE", "d/x", "").want(204)
			w.do("GET", "d/x?version=list", "").want(200)
			w.do("DELETE", inSwift+"/d", "").want(409).mentions("Delete all versions")
			w.do("DELETE", inPithos+"/d", "").want(204)
			w.do("HEAD", inSwift+"/d", "").want(404)
			w.do("PUT", inSwift+"/e", "").want(201)
			w.put("e/x", "1")
			w.put("e/x", "2")
			w.do("DELETE", inSwift+"/e/x", "").want(204)
			w.do("DELETE", inSwift+"/e", "").want(204)
		}},
		{"16.3", "one PUT has a largest size in Swift, and none here", func(w *world) {
			w = newWorldWith(w.T, backend.Options{BlockSize: blockSize}, swift.Options{Limits: swift.Limits{ObjectBytes: 10}})
			w.do("PUT", inSwift+"/c/x", "12345678901", "Content-Type", "a/b").want(413)
			w.do("PUT", inSwift+"/c/x", "1234567890", "Content-Type", "a/b").want(201)
			w.do("GET", "/info", "").want(200).mentions(`"max_file_size":10`)
			w.do("PUT", inPithos+"/c/x", "12345678901", "Content-Type", "a/b").want(201)
		}},
		{"16.3", "a form is Swift's with a signature at a container, and this API's with a token at an object", func(w *world) {
			form := "--b\r\nContent-Disposition: form-data; name=\"X-Object-Data\"; filename=\"f\"\r\nContent-Type: text/x\r\n\r\nhello\r\n--b--\r\n"
			w.do("POST", inPithos+"/c/x", form, "Content-Type", "multipart/form-data; boundary=b").want(201)
			w.do("POST", inSwift, "", "X-Account-Meta-Temp-Url-Key", "key").want(204)
			at := w.clock.Now().Add(time.Hour).Unix()
			mac := hmac.New(sha1.New, []byte("key"))
			_, _ = fmt.Fprintf(mac, "%s/c/up/\n\n100\n1\n%d", inSwift, at)
			var signed strings.Builder
			for name, value := range map[string]string{"max_file_size": "100", "max_file_count": "1", "expires": fmt.Sprint(at), "signature": hex.EncodeToString(mac.Sum(nil))} {
				fmt.Fprintf(&signed, "--b\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", name, value)
			}
			signed.WriteString("--b\r\nContent-Disposition: form-data; name=\"file1\"; filename=\"f\"\r\n\r\nhello\r\n--b--\r\n")
			w.as("", "POST", inSwift+"/c/up/", signed.String(), "Content-Type", "multipart/form-data; boundary=b").want(201)
			w.do("GET", inSwift+"/c/up/f", "").want(200).says("hello")
		}},
	}
}
