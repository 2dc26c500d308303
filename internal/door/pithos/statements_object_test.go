package pithos

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

func listingStatements() []statement {
	return []statement{
		{"5.1", "a container tells counts, keys of metadata and its last change, deletions included", func(w *world) {
			w.put("c/x", "123", "X-Object-Meta-A-Key", "1")
			w.put("c/y", "45", "X-Object-Meta-Other", "1")
			first := w.do("HEAD", "c", "").want(204).has("X-Container-Object-Count", "2", "X-Container-Bytes-Used", "5", "X-Container-Object-Meta", "A-Key,Other").header.Get("Last-Modified")
			w.clock.Advance(5 * time.Second)
			w.do("DELETE", "c/y", "").want(204)
			if again := w.do("HEAD", "c", "").want(204).has("X-Container-Object-Meta", "A-Key").header.Get("Last-Modified"); again == first {
				w.Error("a deletion does not show")
			}
			w.do("HEAD", "nothing", "").want(404)
			w.as("bob", "HEAD", "c", "").want(403)
			w.do("POST", "c/x?update", "", "X-Object-Sharing", "read=bob").want(202)
			w.as("bob", "HEAD", "c", "").want(204).has("X-Container-Object-Count", "", "X-Container-Policy-Quota", "", "X-Container-Block-Size", "1024", "X-Container-Object-Meta", "A-Key")
		}},
		{"5.2", "prefix and delimiter look inside a folder, path does so without virtual entries", func(w *world) {
			for _, name := range []string{"photos", "photos/", "photos/a", "photos/me/1", "photos/me/2", "photos/z/", "other"} {
				w.put("c/"+name, name)
			}
			w.wantNames("alice", "c?format=json&prefix=photos&delimiter=/", "photos/ photos/a [photos/me/] photos/z/")
			w.wantNames("alice", "c?format=json&prefix=/photos&delimiter=/", "photos/ photos/a [photos/me/] photos/z/")
			w.wantNames("alice", "c?format=json&delimiter=/", "other photos photos/")
			w.wantNames("alice", "c?format=json&path=photos", "photos/ photos/a photos/z/")
			w.wantNames("alice", "c?format=json&path=", "other photos photos/ photos/a photos/me/1 photos/me/2 photos/z/")
			w.do("GET", "c?prefix=photos/&delimiter=/", "").want(200).says("photos/\nphotos/a\nphotos/me/\nphotos/z/\n")
			w.do("GET", "c?format=xml&prefix=photos/&delimiter=/", "").want(200).mentions(`<subdir name="photos/me/"/>`)
		}},
		{"5.2", "a marker that is a virtual entry skips what is under it, and a page holds at most limit entries", func(w *world) {
			for _, name := range []string{"a/1", "a/2", "b", "c/1", "d"} {
				w.put("c/"+name, name)
			}
			var got []string
			marker := ""
			for range 10 {
				l := w.do("GET", "c?format=json&delimiter=/&limit=1&marker="+marker, "").list()
				if len(l) == 0 {
					break
				}
				if len(l) > 1 {
					w.Fatalf("%v", l)
				}
				if marker, _ = l[0]["name"].(string); marker == "" {
					marker, _ = l[0]["subdir"].(string)
				}
				got = append(got, marker)
			}
			if strings.Join(got, " ") != "a/ b c/ d" {
				w.Errorf("%q", got)
			}
		}},
		{"5.2", "a limit that is no number or too large is the most there is", func(w *world) {
			w.put("c/x", "1")
			for _, limit := range []string{"", "0", "-1", "many", "99999999"} {
				w.do("GET", "c?limit="+limit, "").want(200).says("x\n")
			}
			w.do("GET", "c?marker=x", "").want(204)
		}},
		{"5.2", "an entry has the values of the specification", func(w *world) {
			w.put("c/x", "abc", "X-Object-Meta-Secret", "1", "X-Object-Sharing", "read=bob; write=carol", "X-Object-Public", "true")
			e := w.do("GET", "c?format=json", "").list()[0]
			for key, want := range map[string]any{
				"name": "x", "bytes": 3.0, "content_type": "text/plain", "hash": "900150983cd24fb0d6963f7d28e17f72", "x_object_hash": root("abc"),
				"x_object_modified_by": "alice:admin", "x_object_sharing": "read=bob; write=carol", "last_modified": "2026-03-01T12:00:01.000000+00:00",
				"x_object_version_timestamp": "1772366401.000000",
			} {
				if e[key] != want {
					w.Errorf("%s: %v, want %v", key, e[key], want)
				}
			}
			if e["x_object_public"] == nil || e["x_object_uuid"] == nil || e["x_object_version"] == nil || strings.Contains(fmt.Sprint(e), "Secret") {
				w.Errorf("%v", e)
			}
			b := w.as("bob", "GET", "c?format=json", "").list()[0]
			if b["x_object_allowed_to"] != "read" || b["x_object_public"] != nil {
				w.Errorf("bob's: %v", b)
			}
			w.clock.Advance(time.Second)
			old := w.do("GET", fmt.Sprintf("c?format=json&until=%d", w.clock.Now().Unix()), "").list()[0]
			if old["last_modified"] != nil || old["x_object_sharing"] != nil || old["x_object_public"] != nil {
				w.Errorf("with until: %v", old)
			}
		}},
		{"5.2", "others see exactly what they may read", func(w *world) {
			w.folder("c/a", "X-Object-Sharing", "read=bob")
			w.folder("c/a/closed", "X-Object-Sharing", "read=carol")
			for _, name := range []string{"a/1", "a/closed/2", "b", "a/d/3"} {
				w.put("c/"+name, name)
			}
			w.wantNames("bob", "c?format=json", "a a/1 a/d/3")
			w.wantNames("bob", "c?format=json&delimiter=/&prefix=a", "a/1 [a/d/]")
			w.wantNames("alice", "c?format=json&shared", "a a/1 a/closed a/closed/2 a/d/3")
			w.do("POST", "c/b?update", "", "X-Object-Public", "true").want(202)
			w.wantNames("alice", "c?format=json&public", "b")
			w.wantNames("alice", "c?format=json&public&shared&prefix=a/c", "a/closed a/closed/2")
			w.as("bob", "GET", "c?public", "").want(403)
		}},
		{"5.3", "meta= asks for keys, missing keys and comparisons", func(w *world) {
			w.put("c/x", "1", "X-Object-Meta-Year", "2011", "X-Object-Meta-Quality", "low")
			w.put("c/y", "1", "X-Object-Meta-Year", "2013")
			w.put("c/z", "1", "X-Object-Meta-Quality", "high")
			w.put("c/plain", "1")
			for query, want := range map[string]string{
				"Year": "x y", "Year,Quality": "x y z", "!year": "plain z", "year>2012": "y", "Year > 2012 , Quality": "", "Year<=2011,Quality=low": "x",
				"quality!=low": "z", "???, Year": "x y", "!year,!quality": "plain", "year>=2011,!quality": "y",
			} {
				w.wantNames("alice", "c?format=json&meta="+url.QueryEscape(query), want)
			}
		}},
		{"6.1", "PUT of a container is 201, then 202, and merges", func(w *world) {
			w.do("PUT", "d", "", "X-Container-Meta-A", "1").want(201)
			w.do("PUT", "d", "", "X-Container-Meta-B", "2").want(202)
			w.do("HEAD", "d", "").has("X-Container-Meta-A", "1", "X-Container-Meta-B", "2", "X-Container-Policy-Versioning", "auto")
			w.do("PUT", "e", "", "X-Container-Policy-Versioning", "perhaps").want(400)
			w.as("bob", "PUT", "e", "").want(403)
		}},
		{"6.2", "POST of a container replaces metadata, or merges with update", func(w *world) {
			w.do("POST", "c", "", "X-Container-Meta-A", "1", "X-Container-Meta-B", "2").want(202)
			w.do("POST", "c?update", "", "X-Container-Meta-A", "").want(202)
			w.do("HEAD", "c", "").has("X-Container-Meta-A", "", "X-Container-Meta-B", "2")
			w.do("POST", "c", "").want(202)
			w.do("HEAD", "c", "").has("X-Container-Meta-B", "")
			w.do("POST", "nothing", "").want(404)
		}},
		{"6.3", "POST of an octet stream stores blocks and leaves metadata alone", func(w *world) {
			w.do("POST", "c", "", "X-Container-Meta-A", "1").want(202)
			data := gen(2500)
			w.do("POST", "c", data, "Content-Type", octetStream).want(202).says(`["` + strings.Join(sums(data), `", "`) + `"]`)
			w.do("POST", "c?format=xml", "x", "Content-Type", octetStream).want(202).mentions("<items><item>" + sums("x")[0] + "</item></items>")
			w.do("HEAD", "c", "").has("X-Container-Meta-A", "1", "X-Container-Object-Count", "0")
			w.do("POST", "c?update", "x", "Content-Type", octetStream+"; charset=utf-8").want(202).says("")
		}},
		{"6.3", "blocks are judged by who sent them: a writer sends them to a container of their own", func(w *world) {
			w.folder("c/a", "X-Object-Sharing", "write=bob")
			w.as("bob", "PUT", "/v1/bob/d", "").want(201)
			w.as("bob", "POST", "/v1/bob/d?update", "mine", "Content-Type", octetStream).want(202)
			w.as("bob", "PUT", "c/a/x?hashmap", hashmap("mine"), "Content-Type", "a/b").want(201)
			w.do("GET", "c/a/x", "").want(200).says("mine")
		}},
		{"6.4", "DELETE of a container: 409 with objects, with its history otherwise", func(w *world) {
			w.put("c/x", "1")
			w.do("DELETE", "c", "").want(409).mentions(`"conflict"`)
			w.do("DELETE", fmt.Sprintf("c?until=%d.0", w.clock.Now().Unix()+10), "").want(409)
			w.do("DELETE", "c/x", "").want(204)
			w.do("DELETE", "c", "").want(204)
			w.do("HEAD", "c", "").want(404)
			w.do("DELETE", "c", "").want(404)
		}},
		{"6.4", "DELETE of a container with delimiter deletes its objects, with until purges its history", func(w *world) {
			w.put("c/x", "1")
			w.put("c/x", "2")
			w.put("c/a/y", "3")
			w.do("DELETE", "c?delimiter=/", "").want(204)
			w.wantNames("alice", "c?format=json", "")
			w.do("GET", "c/x?version=list", "").want(200).mentions("], [")
			w.put("c/x", "4")
			w.do("DELETE", fmt.Sprintf("c?until=%d", w.clock.Now().Unix()+10), "").want(204)
			w.do("GET", "c/x?version=list", "").want(200).lacks("], [")
			w.do("GET", "c/x", "").want(200).says("4")
			w.do("GET", "c/a/y?version=list", "").want(404)
		}},
	}
}

func objectStatements() []statement {
	return []statement{
		{"7.1", "an object's headers", func(w *world) {
			v := w.put("c/x", "abc", "Content-Encoding", "gzip", "X-Object-Meta-A", "b", "X-Object-Public", "True").header.Get("X-Object-Version")
			w.do("HEAD", "c/x", "").want(200).has("Etag", root("abc"), "Content-Length", "3", "Content-Type", "text/plain", "X-Object-Hash", root("abc"),
				"X-Object-Uuid", "*", "X-Object-Modified-By", "alice:admin", "X-Object-Version", v, "X-Object-Version-Timestamp", "Sun, 01 Mar 2026 12:00:01 GMT",
				"Last-Modified", "Sun, 01 Mar 2026 12:00:01 GMT", "X-Object-Meta-A", "b", "Content-Encoding", "gzip", "X-Object-Public", "*", "Content-Disposition", "")
		}},
		{"7.1", "version shows an old version, also of a deleted object", func(w *world) {
			v := w.put("c/x", "old").header.Get("X-Object-Version")
			w.put("c/x", "new")
			w.clock.Advance(time.Second)
			w.do("DELETE", "c/x", "").want(204)
			w.do("GET", "c/x?version="+v, "").want(200).says("old").has("Last-Modified", "Sun, 01 Mar 2026 12:00:03 GMT", "X-Object-Version-Timestamp", "Sun, 01 Mar 2026 12:00:01 GMT")
			w.do("GET", "c/x", "").want(404)
			for _, no := range []string{"1", "0", "text", "-1"} {
				w.do("HEAD", "c/x?version="+no, "").want(404)
			}
		}},
		{"7.2", "Content-Disposition is made up for downloads", func(w *world) {
			w.put("c/dir/a%20file.txt", "1")
			w.do("GET", "c/dir/a%20file.txt", "").want(200).has("Content-Disposition", `inline; filename="a file.txt"`)
			w.do("GET", "c/dir/a%20file.txt?disposition-type=attachment", "").has("Content-Disposition", `attachment; filename="a file.txt"`)
			w.put("c/x", "1", "Content-Disposition", "attachment; filename=other")
			w.do("GET", "c/x", "").has("Content-Disposition", "attachment; filename=other")
			w.do("GET", "c/x?disposition-type=odd", "").has("Content-Disposition", "attachment; filename=other")
		}},
		{"7.2", "ranges are strict", func(w *world) {
			w.put("c/x", "0123456789")
			for header, want := range map[string]string{"bytes=0-3": "0123", "bytes=7-": "789", "bytes=-2": "89", "bytes= 1 - 2 ": "12", "bytes=9-9": "9"} {
				w.do("GET", "c/x", "", "Range", header).want(206).says(want).has("Content-Length", fmt.Sprint(len(want)), "Content-Range", "*")
			}
			for _, header := range []string{"bytes=10-", "bytes=0-10", "bytes=-11", "bytes=-0", "bytes=1-2,50-60"} {
				w.do("GET", "c/x", "", "Range", header).want(416).mentions(`"rangeNotSatisfiable"`)
			}
			for _, header := range []string{"bytes=5-2", "bytes=5", "lines=1-2", "bytes=a-b", "bytes="} {
				w.do("GET", "c/x", "", "Range", header).want(200).says("0123456789")
			}
		}},
		{"7.2", "several ranges come in parts with two header lines each", func(w *world) {
			w.put("c/x", "0123456789")
			a := w.do("GET", "c/x", "", "Range", "bytes=5-6,0-1").want(206)
			boundary, ok := strings.CutPrefix(a.header.Get("Content-Type"), "multipart/byteranges; boundary=")
			if !ok || len(boundary) != 32 {
				w.Fatalf("%v", a.header)
			}
			part := func(r, data string) string {
				return "--" + boundary + "\r\nContent-Range: bytes " + r + "/10\r\nContent-Transfer-Encoding: binary\r\n\r\n" + data + "\r\n"
			}
			a.says(part("5-6", "56") + part("0-1", "01") + "--" + boundary + "--\r\n")
		}},
		{"7.2", "If-Range compares tags and dates", func(w *world) {
			tag := w.put("c/x", "0123456789").header.Get("Etag")
			for value, status := range map[string]int{
				tag: 206, `"` + tag + `"`: 206, "": 206, "Sun, 01 Mar 2026 12:00:01 GMT": 206, "other": 200, "Sun, 01 Mar 2026 12:00:00 GMT": 200,
			} {
				w.do("GET", "c/x", "", "Range", "bytes=0-1", "If-Range", value).want(status)
			}
		}},
		{"7.2", "hashmap gives the blocks, as JSON or XML, of any version", func(w *world) {
			v := w.put("c/x", gen(1500)).header.Get("X-Object-Version")
			w.put("c/x", "other")
			want := `{"block_hash": "sha256", "block_size": 1024, "bytes": 1500, "hashes": ["` + strings.Join(sums(gen(1500)), `", "`) + `"]}`
			w.do("GET", "c/x?hashmap&format=json&version="+v, "").want(200).says(want).has("X-Object-Hash", root(gen(1500)), "Content-Type", "text/plain")
		}},
		{"7.2", "version=list gives all versions but deletion markers, the oldest first", func(w *world) {
			a := w.put("c/x", "1").header.Get("X-Object-Version")
			w.do("DELETE", "c/x", "").want(204)
			b := w.put("c/x", "2").header.Get("X-Object-Version")
			w.put("c/xy", "3")
			w.do("GET", "c/x?version=list&format=json", "").want(200).says(`{"versions": [[`+a+`, "1772366401.000000"], [`+b+`, "1772366402.000000"]]}`).has("X-Object-Hash", "")
			w.do("GET", "c/x?version=list&format=xml", "").want(200).mentions(`<object name="x"><version timestamp="1772366401.000000">` + a + `</version>`)
			w.do("GET", "c/x?version=list&format=text", "").want(400)
			w.do("GET", "c/y?version=list", "").want(404)
		}},
		{"7.2", "a manifest gives the objects with its prefix, one after another", func(w *world) {
			w.put("c/part/2", "two")
			w.put("c/part/1", "one")
			w.put("c/m", "", "X-Object-Manifest", "c/part/")
			w.do("GET", "c/m", "").want(200).says("onetwo").has("X-Object-Manifest", "c/part/", "Content-Length", "6")
			w.do("GET", "c/m", "", "Range", "bytes=2-3").want(206).says("et")
		}},
		{"8.1", "PUT needs a length and a content type, and checks the ETag", func(w *world) {
			w.do("PUT", "c/x", "abc").want(411)
			w.do("PUT", "c/x", "abc", "Content-Type", "a/b", "Etag", strings.Repeat("0", 32)).want(422).mentions(`"unprocessableEntity"`)
			w.do("PUT", "c/x", "abc", "Content-Type", "a/b", "Etag", emptyHash).want(422)
			w.do("PUT", "c/x", "abc", "Content-Type", "a/b", "Etag", `"900150983CD24fb0d6963f7d28e17f72"`).want(201)
			w.do("PUT", "c/x", "abc", "Content-Type", "a/b; c=d", "Etag", root("abc")).want(201).has("Etag", root("abc"), "X-Object-Version", "*").says("")
			w.do("HEAD", "c/x", "").has("Content-Type", "a/b; c=d")
			w.do("PUT", "nothing/x", "abc", "Content-Type", "a/b").want(404)
		}},
		{"8.1", "PUT takes nothing over from the version before but what hangs on the path", func(w *world) {
			w.put("c/x", "1", "X-Object-Meta-A", "b", "X-Object-Sharing", "read=bob", "X-Object-Public", "true")
			link := w.do("HEAD", "c/x", "").header.Get("X-Object-Public")
			w.put("c/x", "2")
			w.do("HEAD", "c/x", "").has("X-Object-Meta-A", "", "X-Object-Sharing", "read=bob", "X-Object-Public", link)
			w.put("c/x", "3", "X-Object-Sharing", "")
			w.do("HEAD", "c/x", "").has("X-Object-Sharing", "")
		}},
		{"8.1", "the grammar of sharing lists", func(w *world) {
			w.put("c/x", "1")
			for given, want := range map[string]string{
				"READ = a, b ,a; write=c": "read=a,b; write=c", "read=a,b;write=b": "read=a; write=b", "read=a,*": "read=*", "write=*,x;read=*": "read=*; write=*",
			} {
				w.do("POST", "c/x?update", "", "X-Object-Sharing", given).want(202)
				w.do("HEAD", "c/x", "").has("X-Object-Sharing", escape(want))
			}
			for _, wrong := range []string{"own=a", "read", "read=", "read=a,,b", "write=" + strings.Repeat("x", 257)} {
				w.do("POST", "c/x?update", "", "X-Object-Sharing", wrong).want(400)
			}
			w.do("POST", "c/x?update", "", "X-Object-Public", "perhaps").want(400)
		}},
		{"8.2", "PUT of a hashmap tells the missing blocks, then makes the object", func(w *world) {
			data := gen(2500)
			w.do("PUT", "c/x?hashmap=True&format=xml", hashmap(data), "Content-Type", "a/b").want(409).says(`["`+strings.Join(sums(data), `", "`)+`"]`).
				has("Content-Type", "application/json; charset=UTF-8")
			w.do("HEAD", "c/x", "").want(404)
			w.do("POST", "c?update", data, "Content-Type", octetStream).want(202)
			w.do("PUT", "c/x?hashmap=True", hashmap(data), "Content-Type", "a/b", "X-Object-Meta-A", "1", "If-None-Match", "*").want(201).has("Etag", root(data))
			w.do("PUT", "c/x?hashmap=True", hashmap(data), "Content-Type", "a/b", "If-None-Match", "*").want(412)
			w.do("GET", "c/x", "").want(200).says(data).has("Content-Type", "a/b", "X-Object-Meta-A", "1")
			w.as("bob", "PUT", "/v1/bob/d", "").want(201)
			w.as("bob", "PUT", "/v1/bob/d/stolen?hashmap", hashmap(data), "Content-Type", "a/b").want(409)
		}},
		{"8.2", "a bad hashmap is 400", func(w *world) {
			h := sums("x")[0]
			for _, body := range []string{
				"", "x", "[]", "{}", `{"hashes": [], "bytes": 5}`, `{"hashes": "x", "bytes": 5}`, `{"hashes": ["zz"], "bytes": 5}`, `{"hashes": ["` + h + `"], "bytes": -1}`,
				`{"hashes": ["` + h + `"], "bytes": 1025}`, `{"hashes": ["` + h + `"], "bytes": 1, "block_size": 4194304}`, `{"hashes": ["` + h + `"], "bytes": 1, "block_hash": "sha1"}`,
				`{"hashes": ["` + h + `"]}`, "<object/>",
			} {
				w.do("PUT", "c/x?hashmap", body, "Content-Type", "a/b").want(400)
			}
			w.do("PUT", "c/x?hashmap", hashmap("x")).want(411)
			w.do("PUT", "c/empty?hashmap", `{"hashes": [], "bytes": 0}`, "Content-Type", "a/b").want(201)
		}},
	}
}
