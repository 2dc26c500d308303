package pithos

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pithos/internal/backend"
	"pithos/internal/door/swift"
	"pithos/internal/naming"
)

// versionsOf are the versions of a path, the oldest first.
func (w *world) versionsOf(path string) (ids []string) {
	w.Helper()
	for _, m := range regexp.MustCompile(`\[(\d+), "`).FindAllStringSubmatch(w.do("GET", path+"?version=list&format=json", "").want(200).body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// secondStatements are what a second walk through sections 1 to 4 found without a test.
func secondStatements() []statement {
	return []statement{
		{"1.1", "names are in order of their code points", func(w *world) {
			names := []string{"A", "Z", "a", "\u00e9", "\u03b1", "\uffee", "\U0001f600"} // in UTF-16 the last two stand the other way round
			for i := range names {
				w.put("c/"+escape(names[len(names)-1-i]), "1")
			}
			w.do("GET", "c", "").want(200).says(strings.Join(names, "\n") + "\n")
		}},
		{"1.1", "an account is there at its owner's first request, and is neither made nor removed", func(w *world) {
			w.as("carol", "HEAD", "/v1/carol", "").want(204).has("X-Account-Container-Count", "0", "X-Account-Bytes-Used", "0")
			w.as("carol", "PUT", "/v1/carol", "").want(405)
			w.as("carol", "DELETE", "/v1/carol", "").want(405)
		}},
		{"1.1", "both types of folders count, with parameters too, and no other", func(w *world) {
			for name, kind := range map[string]string{"a": "application/directory", "b": "application/folder", "d": "application/directory; charset=utf-8", "e": "application/x-directory"} {
				w.do("PUT", "c/"+name, "", "Content-Type", kind, "X-Object-Sharing", "read=bob").want(201)
				w.put("c/"+name+"/x", "1")
			}
			w.wantNames("bob", "c?format=json", "a a/x b b/x d d/x e")
		}},
		{"1.1", "no folder has to be there, and what is below one stays when it goes or moves", func(w *world) {
			w.put("c/a/b/x", "1")
			w.folder("c/a")
			w.do("MOVE", "c/a", "", "Destination", "/c/z").want(201)
			w.do("DELETE", "c/z", "").want(204)
			w.wantNames("alice", "c?format=json", "a/b/x")
		}},
		{"1.3", "root hashes are those of the vectors of zeros, and do not tell the size", func(w *world) {
			const a, none = "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd", emptyHash
			for text, want := range map[string]string{
				"A": a, "A" + strings.Repeat("\x00", 1023): a, "\x00": none, strings.Repeat("\x00", 1024): none,
				gen(1024): "1ba628720664be4b9fdd77aae0678e5f0f3f02fc6ff641ec879094f6a404",
				gen(2048): "4d95ddddce123a402bb8ab5485082f46ea4e8311cb15aa2272acef60ec6db42c", gen(4096): "d18de59f8a76162d3b459102f1af74b72f0ba9cd35cce23a86081457e1987ecd",
				strings.Repeat("\x00", 2048): "2dba5dbc339e7316aea2683faf839c1b7b1ee2313db792112588118df066aa35",
				strings.Repeat("\x00", 3072): "c93196c1d61dc9a1a3c116c107cd5a28026f5f91b6b9cc0953f708358a1440ec",
			} {
				got := w.put("c/x", text).header.Get("Etag")
				if !strings.HasSuffix(got, want) {
					w.Errorf("%d bytes: %s, want %s", len(text), got, want)
				}
				w.do("HEAD", "c/x", "").want(200).has("Content-Length", fmt.Sprint(len(text)))
			}
		}},
		{"1.3", "root hashes of blocks of 4 MiB are those of the vectors", func(w *world) {
			w = newWorldWith(w.T, backend.Options{}, swift.Options{})
			for n, want := range map[int]string{
				4194304: "a117210941a0b00dcb2d8577e680d84b6fa0eaf760d2afc654c953b9859d54fa", 4194305: "4a6cc0a344febaa07772e7c974834b2fb1d24594d4ba15f27c97a54699709f44",
				8388608: "b76a633d9733b991a976dba723df6940bfaf789390a929fe8f68fd1b4705c8c1", 12582913: "3ce6c05f6ccdfb878c6a1786288175b9a631c9313e6b993ed59fc79a105e5ed1",
			} {
				w.put("c/x", gen(n)).has("Etag", want)
			}
		}},
		{"1.4", "a UUID is random, of version 4 and lower case, and stays when an object is copied or moved onto itself", func(w *world) {
			w.put("c/x", "1")
			id := w.do("HEAD", "c/x", "").header.Get("X-Object-Uuid")
			if !regexp.MustCompile("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").MatchString(id) {
				w.Error(id)
			}
			w.do("MOVE", "c/x", "", "Destination", "/c/x", "Content-Type", "a/b").want(201)
			w.do("HEAD", "c/x", "").has("X-Object-Uuid", id)
			w.do("PUT", "c/x", "", "X-Copy-From", "/c/x", "Content-Type", "c/d").want(201)
			w.do("HEAD", "c/x", "").has("X-Object-Uuid", id, "Content-Type", "c/d")
		}},
		{"1.5", "data and metadata make a version each, sharing and links none", func(w *world) {
			w.put("c/x", "1")
			w.do("POST", "c/x?update", "", "X-Object-Meta-A", "b").want(202)
			w.do("POST", "c/x?update", "", "X-Object-Sharing", "read=bob").want(202)
			w.do("POST", "c/x?update", "", "X-Object-Public", "true").want(202)
			w.do("POST", "c/x", "2", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
			ids := w.versionsOf("c/x")
			if len(ids) != 3 || !(ids[0] < ids[1] && ids[1] < ids[2]) {
				w.Error(ids)
			}
			w.do("GET", "c/x?version="+ids[0], "").says("1").has("X-Object-Meta-A", "")
			w.do("GET", "c/x?version="+ids[1], "").says("1").has("X-Object-Meta-A", "b")
		}},
		{"1.5", "with versioning none changed metadata and data in place leave one version", func(w *world) {
			w.do("PUT", "d", "", "X-Container-Policy-Versioning", "none").want(201)
			w.put("d/x", "1")
			w.do("POST", "d/x?update", "", "X-Object-Meta-A", "b").want(202)
			w.do("POST", "d/x", "2", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
			if ids := w.versionsOf("d/x"); len(ids) != 1 {
				w.Error(ids)
			}
			w.do("GET", "d/x", "").says("12")
		}},
		{"1.6", "until shows what is older than a moment, a purge takes what is not younger", func(w *world) {
			w.clock.Advance(time.Minute - time.Duration(w.clock.Now().Nanosecond()))
			w.put("c/x", "1") // at a full second
			at := w.clock.Now().Unix()
			w.do("GET", fmt.Sprintf("c?until=%d", at), "").want(204)
			w.do("GET", fmt.Sprintf("c?until=%d", at+1), "").want(200).says("x\n")
			w.put("c/x", "2")
			w.do("DELETE", fmt.Sprintf("c/x?until=%d", at-1), "").want(204)
			if n := len(w.versionsOf("c/x")); n != 2 {
				w.Error(n)
			}
			w.do("DELETE", fmt.Sprintf("c?until=%d", at), "").want(204)
			if n := len(w.versionsOf("c/x")); n != 1 {
				w.Error(n)
			}
			w.do("GET", "c?until=-1", "").want(200).says("x\n")
		}},
		{"1.6", "until shows the metadata that a container and an account had", func(w *world) {
			w.do("POST", "c", "", "X-Container-Meta-A", "then").want(202)
			w.do("POST", "", "", "X-Account-Meta-A", "then").want(202)
			w.clock.Advance(10 * time.Second)
			at := w.clock.Now().Unix()
			w.clock.Advance(10 * time.Second)
			w.do("POST", "c", "", "X-Container-Meta-A", "now").want(202)
			w.do("POST", "", "", "X-Account-Meta-A", "now").want(202)
			w.do("HEAD", "c", "").has("X-Container-Meta-A", "now")
			w.do("HEAD", fmt.Sprintf("c?until=%d", at), "").has("X-Container-Meta-A", "then")
			w.do("HEAD", "", "").has("X-Account-Meta-A", "now")
			w.do("HEAD", fmt.Sprintf("?until=%d", at), "").has("X-Account-Meta-A", "then")
		}},
		{"1.7", "an account's quota is shown and not set", func(w *world) {
			w.do("POST", "?update", "", "X-Account-Policy-Quota", "5", "X-Account-Meta-A", "1").want(202)
			w.do("HEAD", "", "").has("X-Account-Policy-Quota", "0", "X-Account-Policy-Quota-alice", "0", "X-Account-Meta-A", "1")
		}},
		{"1.7", "a copy, a move and an update over the quota are 413 and change nothing", func(w *world) {
			w.put("c/x", "12345")
			w.do("PUT", "d", "", "X-Container-Policy-Quota", "7").want(201)
			w.put("d/x", "123")
			w.do("COPY", "c/x", "", "Destination", "/d/y").want(413)
			w.do("MOVE", "c/x", "", "Destination", "/d/y").want(413)
			w.do("POST", "d/x", "12345", "Content-Type", octetStream, "Content-Range", "bytes */*").want(413)
			w.do("POST", "d/x", "1234", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
			w.do("HEAD", "c/x", "").want(200)
			w.wantNames("alice", "d?format=json", "x")
			w.do("GET", "d/x", "").says("1231234")
		}},
		{"1.8", "a copy does not take lists along, and may set some for its target", func(w *world) {
			w.put("c/x", "1", "X-Object-Sharing", "read=bob", "X-Object-Public", "true")
			w.do("COPY", "c/x", "", "Destination", "/c/y").want(201)
			w.do("HEAD", "c/y", "").has("X-Object-Sharing", "", "X-Object-Public", "")
			w.do("COPY", "c/x", "", "Destination", "/c/y", "X-Object-Sharing", "read=carol").want(201)
			w.do("HEAD", "c/y", "").has("X-Object-Sharing", "read=carol")
			w.do("MOVE", "c/x", "", "Destination", "/c/z", "X-Object-Sharing", "write=carol", "X-Object-Public", "true").want(201)
			w.do("HEAD", "c/z", "").has("X-Object-Sharing", "write=carol", "X-Object-Public", "*")
		}},
		{"1.8", "a writer neither publishes nor shares, nor looks back, nor lists what is published", func(w *world) {
			w.put("c/x", "1", "X-Object-Sharing", "write=bob")
			w.as("bob", "POST", "c/x?update", "", "X-Object-Public", "true").want(403)
			w.as("bob", "PUT", "c/x", "2", "Content-Type", "a/b", "X-Object-Sharing", "read=*").want(403)
			w.as("bob", "COPY", "c/x", "", "Destination", "/c/x", "Destination-Account", "alice", "X-Object-Public", "true").want(403)
			w.as("bob", "GET", "c?until=1900000000", "").want(403)
			w.as("bob", "GET", "c?public", "").want(403)
			w.as("bob", "DELETE", "c/x", "").want(403)
			w.as("bob", "PUT", "d", "").want(403)
			w.as("bob", "POST", "c?update", "", "X-Container-Meta-A", "1").want(403)
			w.do("GET", "c/x", "").says("1").has("X-Object-Sharing", "write=bob", "X-Object-Public", "")
		}},
		{"1.9", "names of groups are kept in lower case, and names and members have 256 characters at most", func(w *world) {
			w.do("POST", "?update", "", "X-Account-Group-FrIeNdS", " bob , bob,carol").want(202)
			w.do("HEAD", "", "").has("X-Account-Group-Friends", "bob,carol")
			w.put("c/x", "1", "X-Object-Sharing", "read=alice:Friends")
			w.as("bob", "GET", "c/x", "").want(200)
			w.do("POST", "?update", "", "X-Account-Group-"+strings.Repeat("x", 257), "bob").want(400)
			w.do("POST", "?update", "", "X-Account-Group-A", strings.Repeat("x", 257)).want(400).mentions("256")
			w.do("POST", "?update", "", "X-Account-Group-A-B", "bob").want(400)
		}},
		{"1.10", "a link is not inherited, copied or shown to others, and opens nothing but itself", func(w *world) {
			w.folder("c/a", "X-Object-Public", "true")
			w.put("c/a/x", "1")
			w.do("HEAD", "c/a/x", "").has("X-Object-Public", "")
			w.put("c/y", "1", "X-Object-Public", "true")
			link := w.do("HEAD", "c/y", "").header.Get("X-Object-Public")
			w.do("POST", "c/y?update", "", "X-Object-Meta-A", "1").want(202)
			w.do("POST", "c/y", "2", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
			w.do("HEAD", "c/y", "").has("X-Object-Public", link)
			w.as("bob", "GET", "c", "").want(403)
			w.put("c/shared", "1", "X-Object-Sharing", "read=bob")
			w.wantNames("bob", "c?format=json", "shared")
			w.as("bob", "GET", "c/y", "").want(403)
			w.as("", "GET", "c/y", "").want(401)
			w.do("MOVE", "c/y", "", "Destination", "/c/z").want(201)
			w.do("HEAD", "c/z", "").has("X-Object-Public", "")
		}},
		{"2.4", "each fault has the name of its status, in JSON and XML", func(w *world) {
			w.put("c/x", "1")
			w.do("POST", "c?update", "", "X-Container-Policy-Quota", "2").want(202)
			w.do("PUT", "d", "").want(201)
			for _, f := range []struct {
				name         string
				status       int
				method, path string
				headers      []string
			}{
				{"badRequest", 400, "POST", "c/x", []string{"Content-Type", octetStream}},
				{"unauthorized", 401, "DELETE", "c/x?X-Auth-Token=none", nil},
				{"forbidden", 403, "DELETE", "/v1/bob/c/x", nil},
				{"itemNotFound", 404, "DELETE", "c/none", nil},
				{"notAllowed", 405, "PATCH", "c/x", nil},
				{"conflict", 409, "DELETE", "c", nil},
				{"lengthRequired", 411, "PUT", "c/x", nil},
				{"preconditionFailed", 412, "POST", "c/x", []string{"If-Match", "other"}},
				{"requestEntityTooLarge", 413, "POST", "c/x", []string{"Content-Type", octetStream, "Content-Range", "bytes */*"}},
				{"rangeNotSatisfiable", 416, "POST", "c/x", []string{"Content-Type", octetStream, "Content-Range", "bytes 9-/*"}},
				{"unprocessableEntity", 422, "PUT", "d/x", []string{"Content-Type", "a/b", "Etag", strings.Repeat("0", 32)}},
			} {
				code := strconv.Itoa(f.status)
				a := w.do(f.method, f.path, "123", f.headers...).want(f.status).mentions(`{"` + f.name + `":{"code":` + code + `,"details":"`)
				if !strings.Contains(a.body, `"message":"`) || strings.Contains(a.body, `"message":""`) {
					w.Error(a.body)
				}
				if f.method == "DELETE" || f.method == "POST" {
					sign := "?"
					if strings.Contains(f.path, "?") {
						sign = "&"
					}
					w.do(f.method, f.path+sign+"format=xml", "123", f.headers...).want(f.status).
						mentions(`<?xml version="1.0" encoding="UTF-8"?>`+"\n<"+f.name+` code="`+code+`"><message>`, "</message><details></details></"+f.name+">")
				}
			}
		}},
		{"2.5", "of a value these are left as they are: letters, digits, _ . - / = , : @ ; \" and blanks", func(w *world) {
			w.put("c/x", "1", "X-Object-Meta-A", `aZ0_.-/=,:@;" b+(c)'!*&%25`, "Content-Disposition", "x; y=\"caf%C3%A9\"")
			w.do("HEAD", "c/x", "").has("X-Object-Meta-A", `aZ0_.-/=,:@;" b%2B%28c%29%27%21%2A%26%25`, "Content-Disposition", `x; y="caf%C3%A9"`)
			w.do("POST", "c", "", "X-Container-Meta-%CE%B1", "a+b").want(202)
			w.do("POST", "", "", "X-Account-Meta-%CE%B1", "a+b").want(202)
			for path, name := range map[string]string{"c": "X-Container-Meta-%CE%91", "": "X-Account-Meta-%CE%91"} {
				found := false
				for header, values := range w.do("HEAD", path, "").header {
					found = found || strings.EqualFold(header, name) && values[0] == "a%2Bb"
				}
				if !found {
					w.Errorf("%s is not there", name)
				}
			}
		}},
		{"2.6", "times are looked at before tags, with HEAD as with GET", func(w *world) {
			tag := w.put("c/x", "1").header.Get("Etag")
			modified := w.do("HEAD", "c/x", "").header.Get("Last-Modified")
			for _, method := range []string{"HEAD", "GET"} {
				w.do(method, "c/x", "", "If-Modified-Since", modified, "If-Match", "other").want(304)
				w.do(method, "c/x", "", "If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", "If-None-Match", tag).want(412)
				w.do(method, "c/x", "", "If-Modified-Since", modified).want(304).has("Etag", tag)
				w.do(method, "c/x", "", "If-None-Match", `"`+tag+`", other`).want(304).has("Etag", tag)
			}
		}},
		{"2.8", "no time of a last change is made up", func(w *world) {
			w.put("c/x", "1").has("Last-Modified", "", "Expires", "")
			w.do("POST", "c/x", "").want(202).has("Last-Modified", "", "Expires", "")
			w.do("GET", "c/none", "").want(404).has("Last-Modified", "", "Expires", "", "Vary", "X-Auth-Token")
			w.do("GET", "c/x?version=list", "").want(200).has("Last-Modified", "")
			w.do("DELETE", "c/x", "").want(204).has("Last-Modified", "", "Expires", "")
		}},
		{"3.2", "accounts come in order, by pages", func(w *world) {
			for _, name := range []string{"carol", "bob"} {
				w.as(name, "PUT", "/v1/"+name+"/d", "").want(201)
				w.as(name, "PUT", "/v1/"+name+"/d/x", "1", "Content-Type", "a/b", "X-Object-Sharing", "read=alice").want(201)
			}
			w.do("GET", "/v1/", "").want(200).says("bob\ncarol\n")
			w.do("GET", "/v1/?limit=1", "").want(200).says("bob\n")
			w.do("GET", "/v1/?marker=bob", "").want(200).says("carol\n")
			w.do("GET", "/v1/?marker=bobby&format=json", "").want(200).mentions(`[{"name": "carol", "last_modified": "`)
			w.do("GET", "/v1/?marker=carol", "").want(204)
			w.do("GET", "/v1/?marker=carol&format=xml", "").want(200).mentions("<accounts></accounts>")
		}},
		{"4.1", "an account's Last-Modified follows its own changes, its containers' and its objects'", func(w *world) {
			last := ""
			for what, change := range []func(){
				func() { w.do("PUT", "c/x", "1", "Content-Type", "a/b").want(201) },
				func() { w.do("POST", "c/x?update", "", "X-Object-Meta-A", "1").want(202) },
				func() { w.do("POST", "c?update", "", "X-Container-Meta-A", "1").want(202) },
				func() { w.do("PUT", "d", "").want(201) },
				func() { w.do("POST", "?update", "", "X-Account-Meta-A", "1").want(202) },
			} {
				w.clock.Advance(10 * time.Second)
				change()
				now := w.do("HEAD", "", "").header.Get("Last-Modified")
				if now == last {
					w.Errorf("change %d does not show: %s", what, now)
				}
				last = now
			}
			before := w.clock.Now().Unix() - 15
			w.do("HEAD", fmt.Sprintf("?until=%d", before), "").has("Last-Modified", last)
		}},
		{"4.2", "GET of an account has the headers of HEAD, for the owner and for others", func(w *world) {
			w.put("c/x", "123", "X-Object-Sharing", "read=bob")
			w.do("POST", "?update", "", "X-Account-Meta-A", "b", "X-Account-Group-Friends", "bob").want(202)
			for user, names := range map[string][]string{
				"alice": {"X-Account-Container-Count", "X-Account-Bytes-Used", "X-Account-Group-Friends", "X-Account-Policy-Quota", "X-Account-Meta-A", "Last-Modified"},
				"bob":   {"Last-Modified"},
			} {
				head, get := w.as(user, "HEAD", "", "").want(204), w.as(user, "GET", "", "").want(200)
				for _, name := range names {
					get.has(name, head.has(name, "*").header.Get(name))
				}
			}
			w.as("bob", "GET", "", "").says("c\n").has("X-Account-Container-Count", "", "X-Account-Bytes-Used", "", "X-Account-Group-Friends", "", "X-Account-Policy-Quota", "")
		}},
		{"4.2", "limits and markers of containers; nothing is 204 as text and an empty list else", func(w *world) {
			w.do("PUT", "d", "").want(201)
			for _, limit := range []string{"", "0", "-1", "many", "99999999"} {
				w.do("GET", "?limit="+limit, "").want(200).says("c\nd\n")
			}
			w.do("GET", "?marker=b", "").want(200).says("c\nd\n")
			w.do("GET", "?marker=ca", "").want(200).says("d\n")
			w.do("GET", "?marker=d", "").want(204).says("")
			w.do("GET", "?marker=d&format=json", "").want(200).says("[]")
			w.do("GET", "?marker=d&format=xml", "").want(200).mentions(`<account name="alice"></account>`)
		}},
		{"4.2", "a container as XML has the values of the specification, in its order", func(w *world) {
			w.put("c/x", "123")
			w.do("GET", "?format=xml", "").want(200).mentions(`<container><name>c</name><count>1</count><bytes>3</bytes><last_modified>2026-03-01T12:00:01.000000+00:00</last_modified>` +
				`<x_container_policy><key>quota</key><value>0</value><key>versioning</key><value>auto</value><key>project</key><value>alice</value></x_container_policy></container>`)
		}},
		{"4.3", "a POST that fails in one thing changes nothing", func(w *world) {
			w.do("POST", "?update", "", "X-Account-Meta-A", "1", "X-Account-Group-Friends", "nobody").want(400)
			w.do("POST", "?update", "", "X-Account-Group-Friends", "bob", "X-Account-Meta-A", strings.Repeat("x", 257)).want(400)
			w.do("HEAD", "", "").has("X-Account-Meta-A", "", "X-Account-Group-Friends", "")
			w.user(naming.UserID("alice:second"))
			w.do("POST", "", "", "X-Account-Group-A", "bob", "X-Account-Group-B", "alice:second", "X-Account-Meta-A", "1").want(202)
			w.do("POST", "?update", "", "X-Account-Group-A", "", "X-Account-Meta-B", "2").want(202)
			w.do("HEAD", "", "").has("X-Account-Group-A", "", "X-Account-Group-B", "alice:second", "X-Account-Meta-A", "1", "X-Account-Meta-B", "2")
		}},
	}
}
