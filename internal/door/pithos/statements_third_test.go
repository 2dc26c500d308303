package pithos

import (
	"fmt"
	"strings"
)

// thirdStatements are what the second walk through sections 5 to 9 found without a test.
func thirdStatements() []statement {
	return []statement{
		{"7.1", "the id of a deletion is no version", func(w *world) {
			w.put("c/x", "old")
			w.do("DELETE", "c/x", "").want(204)
			told := w.do("GET", "c?changes=", "").want(200).body
			_, rest, found := strings.Cut(told, `"version":`)
			_, rest, again := strings.Cut(rest, `"version":`)
			id, _, _ := strings.Cut(rest, ",")
			if !found || !again || !strings.Contains(told, `"deleted":true`) {
				w.Fatal(told)
			}
			for _, path := range []string{"c/x?version=", "c/x?hashmap&format=json&version="} {
				w.do("GET", path+strings.Trim(id, `"}]`), "").want(404)
			}
			w.do("HEAD", "c/x?version="+strings.Trim(id, `"}]`), "").want(404)
		}},
		{"8.1", "who may write, the container and the conditions come before the headers", func(w *world) {
			w.put("c/x", "abc")
			for _, no := range [][]string{{}, {"Content-Type", "a/b", "X-Object-Sharing", "nonsense"}, {"Content-Type", "a/b", "X-Object-Public", "perhaps"}} {
				for _, query := range []string{"", "?hashmap"} {
					w.do("PUT", "c/x"+query, "x", append([]string{"If-None-Match", "*"}, no...)...).want(412)
					w.do("PUT", "c/x"+query, "x", append([]string{"If-Match", root("other")}, no...)...).want(412)
					w.do("PUT", "c/y"+query, "x", append([]string{"If-Match", root("abc")}, no...)...).want(412)
					w.as("bob", "PUT", "/v1/alice/c/x"+query, "x", no...).want(403)
					w.do("PUT", "none/x"+query, "x", no...).want(404)
					status := w.do("PUT", "c/x"+query, "x", append([]string{"If-Match", root("abc")}, no...)...).status
					if want := map[bool]int{true: 411, false: 400}[len(no) == 0]; status != want {
						w.Errorf("%q with a condition that holds: %d", no, status)
					}
				}
			}
			w.do("GET", "c/x", "").says("abc")
		}},
		{"5.1", "others are told the metadata keys of what they may read alone, and without keys the header is empty", func(w *world) {
			w.put("c/plain", "1")
			if got, there := w.do("HEAD", "c", "").header["X-Container-Object-Meta"]; !there || got[0] != "" {
				w.Errorf("%q, %v", got, there)
			}
			w.put("c/open", "1", "X-Object-Meta-Open", "1", "X-Object-Sharing", "read=bob")
			w.put("c/closed", "1", "X-Object-Meta-Closed", "1")
			w.as("bob", "HEAD", "c", "").want(204).has("X-Container-Object-Meta", "Open", "X-Container-Bytes-Used", "")
			w.do("HEAD", "c", "").want(204).has("X-Container-Object-Meta", "Closed,Open")
		}},
		{"5.2", "GET of a container has the headers of HEAD", func(w *world) {
			w.put("c/x", "123", "X-Object-Meta-A", "1")
			w.do("POST", "c?update", "", "X-Container-Meta-B", "2").want(202)
			head, get := w.do("HEAD", "c", ""), w.do("GET", "c", "").want(200)
			for _, name := range []string{
				"Last-Modified", "X-Container-Block-Size", "X-Container-Block-Hash", "X-Container-Object-Meta", "X-Container-Object-Count", "X-Container-Bytes-Used",
				"X-Container-Policy-Quota", "X-Container-Policy-Versioning", "X-Container-Policy-Project", "X-Container-Meta-B",
			} {
				get.has(name, head.has(name, "*").header.Get(name))
			}
		}},
		{"5.2", "path overrides prefix and delimiter", func(w *world) {
			for _, name := range []string{"a/x", "a/b/y", "b/z"} {
				w.put("c/"+name, "1")
			}
			w.wantNames("alice", "c?format=json&path=a&prefix=b&delimiter=x", "a/x")
		}},
		{"5.2", "x_object_sharing stands at what carries lists itself, and nowhere below", func(w *world) {
			w.folder("c/a", "X-Object-Sharing", "read=bob")
			w.put("c/a/x", "1")
			l := w.do("GET", "c?format=json", "").list()
			if l[0]["x_object_sharing"] != "read=bob" || l[1]["x_object_sharing"] != nil || l[1]["x_object_allowed_to"] != nil {
				w.Error(l)
			}
		}},
		{"5.2", "XML is escaped", func(w *world) {
			w.put("c/a%26b%3Cc%22", "1")
			w.do("GET", "c?format=xml", "").want(200).mentions("<name>a&amp;b&lt;c&#34;</name>")
			w.put("c/d%26/x", "1")
			w.do("GET", "c?format=xml&delimiter=/", "").want(200).mentions(`<subdir name="d&amp;/"/>`)
		}},
		{"5.3", "values compare as text", func(w *world) {
			w.put("c/x", "1", "X-Object-Meta-N", "9")
			w.put("c/y", "1", "X-Object-Meta-N", "10")
			w.wantNames("alice", "c?format=json&meta=n%3E5", "x")
			w.wantNames("alice", "c?format=json&meta=N%3C5", "y")
		}},
		{"6.3", "metadata, policy and blocks come in one request", func(w *world) {
			w.do("POST", "c?update", "abc", "Content-Type", octetStream, "X-Container-Meta-A", "1", "X-Container-Policy-Quota", "9").want(202).says(`["` + sums("abc")[0] + `"]`)
			w.do("HEAD", "c", "").has("X-Container-Meta-A", "1", "X-Container-Policy-Quota", "9")
			w.do("PUT", "c/x?hashmap", hashmap("abc"), "Content-Type", "a/b").want(201)
		}},
		{"7.1", "another object's version is 404", func(w *world) {
			other := w.put("c/y", "1").header.Get("X-Object-Version")
			w.put("c/x", "1")
			for _, method := range []string{"HEAD", "GET"} {
				w.do(method, "c/x?version="+other, "").want(404)
			}
		}},
		{"7.2", "a range of an empty object is 416, and disposition-type overrides what is stored", func(w *world) {
			w.put("c/empty", "")
			w.do("GET", "c/empty", "", "Range", "bytes=0-").want(416)
			w.put("c/x", "1", "Content-Disposition", "attachment; filename=other")
			w.do("GET", "c/x?disposition-type=inline", "").has("Content-Disposition", `inline; filename="x"`)
		}},
		{"8.2", "each missing block is told once, in order; a failed condition goes before; the ETag is not looked at", func(w *world) {
			a, b := sums("a")[0], sums("b")[0]
			text := `{"hashes": ["` + strings.Join([]string{b, a, b, a}, `", "`) + `"], "bytes": 4096}`
			w.do("PUT", "c/x?hashmap", text, "Content-Type", "a/b").want(409).says(`["` + b + `", "` + a + `"]`)
			w.put("c/there", "1")
			w.do("PUT", "c/there?hashmap", text, "Content-Type", "a/b", "If-None-Match", "*").want(412)
			w.do("POST", "c?update", "a", "Content-Type", octetStream).want(202)
			w.do("PUT", "c/x?hashmap", hashmap("a"), "Content-Type", "a/b", "Etag", strings.Repeat("0", 32)).want(201)
		}},
		{"8.3", "a move takes what is there now, whatever X-Source-Version says, and leaves its history", func(w *world) {
			old := w.put("c/x", "old").header.Get("X-Object-Version")
			w.put("c/x", "new")
			version := w.do("PUT", "c/y", "", "X-Move-From", "/c/x", "X-Source-Version", old).want(201).header.Get("X-Object-Version")
			w.do("GET", "c/y", "").says("new").has("X-Object-Version", version)
			w.do("GET", "c/x?version="+old, "").want(200).says("old")
			w.do("MOVE", "c/none?delimiter=/", "", "Destination", "/c/z").want(404)
		}},
		{"8.4.2", "an update keeps the type, the UUID and the link, and bytes that were cut off do not come back", func(w *world) {
			w.put("c/x", gen(1500), "X-Object-Public", "true")
			before := w.do("HEAD", "c/x", "").header
			w.do("POST", "c/x?update", "", "Content-Range", "bytes 0-9/*", "X-Source-Object", "/c/x", "X-Object-Bytes", "10", "X-Object-Meta-A", "1").want(204)
			w.do("POST", "c/x?update", "z", "Content-Type", octetStream, "Content-Range", "bytes */*", "X-Object-Bytes", "5000").want(204)
			w.do("GET", "c/x", "").says(gen(10)+"z").has("Content-Type", "text/plain", "X-Object-Uuid", before.Get("X-Object-Uuid"), "X-Object-Public", before.Get("X-Object-Public"), "X-Object-Meta-A", "1")
		}},
		{"8.5", "a purge that finds nothing is 204, and one that takes all takes lists and links too", func(w *world) {
			w.put("c/x", "1", "X-Object-Sharing", "read=bob", "X-Object-Public", "true")
			link := strings.TrimPrefix(w.do("HEAD", "c/x", "").header.Get("X-Object-Public"), w.srv.URL)
			w.do("DELETE", "c/x?until=1", "").want(204)
			w.do("DELETE", fmt.Sprintf("c/x?until=%d", w.clock.Now().Unix()+10), "").want(204)
			w.as("", "GET", link, "").want(404)
			w.put("c/x", "2")
			w.as("bob", "GET", "c/x", "").want(403)
			w.do("HEAD", "c/x", "").has("X-Object-Public", "", "X-Object-Sharing", "")
		}},
	}
}
