package pithos

import (
	"fmt"
	"strings"
	"time"

	"pithos/internal/block"
)

func sums(data string) (list []string) {
	for len(data) > 0 {
		n := min(len(data), blockSize)
		list = append(list, block.Sum([]byte(data[:n])).String())
		data = data[n:]
	}
	return list
}

func root(data string) string {
	var ids []block.ID
	for len(data) > 0 {
		n := min(len(data), blockSize)
		ids = append(ids, block.Sum([]byte(data[:n])))
		data = data[n:]
	}
	return block.RootHash(ids).String()
}

func hashmap(data string) string {
	return fmt.Sprintf(`{"hashes": ["%s"], "bytes": %d}`, strings.Join(sums(data), `", "`), len(data))
}

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func conceptStatements() []statement {
	return []statement{
		{"1.1", "an object's name may begin and end with a slash and hold two in a row", func(w *world) {
			for _, name := range []string{"/x", "x/", "a//b", "a/../b", "."} {
				w.put("c/"+name, name)
				w.do("GET", "c/"+name, "").want(200).says(name)
			}
			w.wantNames("alice", "c?format=json", ". /x a/../b a//b x/")
		}},
		{"1.1", "names of containers over 256 and of objects over 1024 bytes are 400", func(w *world) {
			w.do("PUT", strings.Repeat("x", 257), "").want(400)
			w.do("PUT", "c/"+strings.Repeat("x", 1025), "", "Content-Type", "a/b").want(400)
			w.do("PUT", strings.Repeat("x", 256), "").want(201)
		}},
		{"1.2", "a container tells its block size and hash", func(w *world) {
			w.do("HEAD", "c", "").want(204).has("X-Container-Block-Size", "1024", "X-Container-Block-Hash", "sha256")
		}},
		{"1.2", "a block's hash leaves trailing zeros out", func(w *world) {
			w.do("POST", "c?update&format=json", "A"+strings.Repeat("\x00", 1023), "Content-Type", octetStream).want(202).
				says(`["559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd"]`)
		}},
		{"1.2", "the block of zeros is always there", func(w *world) {
			w.do("PUT", "c/x?hashmap&format=json", `{"hashes": ["`+emptyHash+`", "`+emptyHash+`"], "bytes": 1500}`, "Content-Type", "a/b").want(201)
			w.do("GET", "c/x", "").want(200).says(strings.Repeat("\x00", 1500))
		}},
		{"1.2", "the hashmap of an empty object has one entry", func(w *world) {
			w.put("c/x", "")
			w.do("GET", "c/x?hashmap&format=json", "").want(200).says(`{"block_hash": "sha256", "block_size": 1024, "bytes": 0, "hashes": ["` + emptyHash + `"]}`)
		}},
		{"1.2", "a short block in the middle reads as zeros", func(w *world) {
			w.do("POST", "c?update", "abc", "Content-Type", octetStream).want(202)
			w.do("PUT", "c/x?hashmap", `{"hashes": ["`+sums("abc")[0]+`", "`+sums("abc")[0]+`"], "bytes": 1027}`, "Content-Type", "a/b").want(201)
			w.do("GET", "c/x", "").want(200).says("abc" + strings.Repeat("\x00", 1021) + "abc")
		}},
		{"1.3", "root hashes are those of the vectors", func(w *world) {
			for n, want := range map[int]string{
				0: emptyHash, 2: "b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2",
				1025: "bdaf4f16f2106d5807886f560e865c02b811213b765c3398b19b149468124b46",
				3000: "3a9c44f3622c23a890e9cd04a5575e429684628c8926c3eac45aa5972409271e",
				5000: "b0cc569434271b9502ca11f18ad82e7942555ce2f1540836f7d583a7dffd94bc",
			} {
				w.put("c/x", gen(n)).has("Etag", want)
				w.do("HEAD", "c/x", "").want(200).has("X-Object-Hash", want, "Etag", want)
			}
		}},
		{"1.4", "the UUID stays through overwrites, updates and moves, and is new for copies and after a deletion", func(w *world) {
			id := func(path string) string { return w.do("HEAD", path, "").want(200).header.Get("X-Object-Uuid") }
			w.put("c/x", "1")
			first := id("c/x")
			w.put("c/x", "2")
			w.do("POST", "c/x?update", "", "X-Object-Meta-A", "b").want(202)
			w.do("POST", "c/x", "3", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
			w.do("COPY", "c/x", "", "Destination", "/c/x", "Content-Type", "new/type").want(201)
			if got := id("c/x"); got != first {
				w.Errorf("changed to %s from %s", got, first)
			}
			w.do("COPY", "c/x", "", "Destination", "/c/y").want(201)
			if id("c/y") == first {
				w.Error("a copy has the same")
			}
			w.do("PUT", "d", "").want(201)
			w.do("MOVE", "c/x", "", "Destination", "/d/z").want(201)
			if id("d/z") != first {
				w.Error("a move lost it")
			}
			w.do("DELETE", "d/z", "").want(204)
			w.put("d/z", "4")
			if id("d/z") == first {
				w.Error("it came back after a deletion")
			}
		}},
		{"1.5", "every change makes a version with a greater id, sharing makes none", func(w *world) {
			first := w.put("c/x", "1").header.Get("X-Object-Version")
			second := w.do("POST", "c/x?update", "", "X-Object-Meta-A", "b").want(202).header.Get("X-Object-Version")
			w.do("POST", "c/x?update", "", "X-Object-Sharing", "read=bob").want(202).has("X-Object-Version", "")
			w.do("POST", "c/x?update", "", "X-Object-Public", "true").want(202).has("X-Object-Version", "")
			if len(second) != len(first) || second <= first {
				w.Errorf("%s, then %s", first, second)
			}
			if n := strings.Count(w.do("GET", "c/x?version=list&format=json", "").want(200).body, `", `); n > 1 {
				w.Errorf("%d versions", n)
			}
		}},
		{"1.5", "with versioning none what is replaced is gone at once", func(w *world) {
			w.do("POST", "c?update", "", "X-Container-Policy-Versioning", "none").want(202)
			w.do("PUT", "d", "", "X-Container-Policy-Versioning", "none").want(201)
			w.put("d/x", "1")
			v := w.put("d/x", "2").header.Get("X-Object-Version")
			w.do("GET", "d/x?version=list", "").want(200).mentions(`{"versions": [[` + v + `, "`).lacks("], [")
		}},
		{"1.6", "until shows what was before a moment, to the owner alone", func(w *world) {
			w.put("c/x", "1")
			w.put("c/y", "1")
			w.clock.Advance(10 * time.Second)
			at := w.clock.Now().Unix()
			w.clock.Advance(10 * time.Second)
			w.put("c/x", "22")
			w.do("DELETE", "c/y", "").want(204)
			w.put("c/z", "3")
			w.wantNames("alice", "c?format=json", "x z")
			w.wantNames("alice", fmt.Sprintf("c?format=json&until=%d", at), "x y")
			w.do("HEAD", fmt.Sprintf("c?until=%d", at), "").want(204).has("X-Container-Object-Count", "2", "X-Container-Bytes-Used", "2", "X-Container-Until-Timestamp", "*")
			w.do("HEAD", fmt.Sprintf("?until=%d", at), "").want(204).has("X-Account-Bytes-Used", "2", "X-Account-Until-Timestamp", "*")
			w.do("GET", fmt.Sprintf("c?format=json&until=%d.5", at), "").want(200).mentions(`"y"`)
			w.do("GET", "c?format=json&until=never", "").want(200).lacks(`"y"`)
			w.do("HEAD", "c?until=1000", "").want(404)
			w.do("HEAD", "?until=1000", "").want(204).has("X-Account-Container-Count", "0", "X-Account-Until-Timestamp", "Thu, 01 Jan 1970 00:16:40 GMT")
			w.do("POST", "c/x?update", "", "X-Object-Sharing", "read=bob").want(202)
			w.as("bob", "GET", fmt.Sprintf("c?until=%d", at), "").want(403)
			w.as("bob", "HEAD", fmt.Sprintf("?until=%d", at), "").want(403)
		}},
		{"1.7", "a container's policy is kept, and bad words are 400", func(w *world) {
			w.do("HEAD", "c", "").want(204).has("X-Container-Policy-Quota", "0", "X-Container-Policy-Versioning", "auto", "X-Container-Policy-Project", "alice")
			w.do("POST", "c?update", "", "X-Container-Policy-Quota", "100", "X-Container-Policy-Versioning", "none").want(202)
			w.do("HEAD", "c", "").want(204).has("X-Container-Policy-Quota", "100", "X-Container-Policy-Versioning", "none")
			w.do("POST", "c?update", "", "X-Container-Policy-Quota", "").want(202)
			w.do("HEAD", "c", "").want(204).has("X-Container-Policy-Quota", "0")
			for name, value := range map[string]string{"Quota": "many", "Versioning": "some", "Colour": "red", "Project": "bob"} {
				w.do("POST", "c?update", "", "X-Container-Policy-"+name, value).want(400)
			}
		}},
		{"1.7", "a quota is exact, and counts current versions only", func(w *world) {
			w.do("POST", "c?update", "", "X-Container-Policy-Quota", "10").want(202)
			w.put("c/x", "1234567890")
			w.put("c/x", "0987654321")
			w.do("PUT", "c/y", "1", "Content-Type", "a/b").want(413).mentions(`"requestEntityTooLarge"`)
			w.do("POST", "c?update", "1234567890A", "Content-Type", octetStream).want(413)
			w.do("PUT", "c/x", "1", "Content-Type", "a/b").want(201)
		}},
		{"1.8", "the nearest lists decide alone, and folders give theirs to what lies below", func(w *world) {
			w.folder("c/a", "X-Object-Sharing", "write=bob")
			w.folder("c/a/b", "X-Object-Sharing", "read=bob")
			w.put("c/a/x", "1")
			w.put("c/a/b/y", "2")
			w.put("c/other", "3")
			w.as("bob", "GET", "c/a/x", "").want(200).says("1").has("X-Object-Sharing", "write=bob", "X-Object-Shared-By", "alice/c/a", "X-Object-Allowed-To", "write")
			w.as("bob", "HEAD", "c/a/b/y", "").want(200).has("X-Object-Allowed-To", "read", "X-Object-Public", "")
			w.as("bob", "PUT", "c/a/new", "n", "Content-Type", "a/b").want(201)
			w.as("bob", "PUT", "c/a/b/new", "n", "Content-Type", "a/b").want(403)
			w.as("bob", "GET", "c/other", "").want(403)
			w.as("carol", "GET", "c/a/x", "").want(403).mentions(`"forbidden"`)
			w.as("bob", "DELETE", "c/a/x", "").want(403)
			w.as("bob", "POST", "c/a/x?update", "", "X-Object-Sharing", "read=carol").want(403)
			w.as("bob", "PUT", "c/a/x", "5", "Content-Type", "a/b", "X-Object-Public", "true").want(403)
			w.as("bob", "POST", "c?update", "block", "Content-Type", octetStream).want(403)
			w.as("bob", "MOVE", "c/a/x", "", "Destination", "/c/a/z", "Destination-Account", "alice").want(403)
		}},
		{"1.8", "sharing survives an overwrite and not a move or deletion", func(w *world) {
			w.put("c/x", "1", "X-Object-Sharing", "read=bob")
			w.put("c/x", "2")
			w.as("bob", "GET", "c/x", "").want(200)
			w.do("MOVE", "c/x", "", "Destination", "/c/y").want(201)
			w.as("bob", "GET", "c/y", "").want(403)
			w.put("c/x", "3")
			w.as("bob", "GET", "c/x", "").want(403)
		}},
		{"1.8", "old versions are the owner's alone", func(w *world) {
			old := w.put("c/x", "secret", "X-Object-Sharing", "read=bob").header.Get("X-Object-Version")
			current := w.put("c/x", "open").header.Get("X-Object-Version")
			w.as("bob", "GET", "c/x?version="+current, "").want(200).says("open")
			w.as("bob", "GET", "c/x?version="+old, "").want(403)
			w.as("bob", "GET", "c/x?version=list", "").want(403)
			w.as("bob", "PUT", "/v1/bob/d", "").want(201)
			w.as("bob", "PUT", "/v1/bob/d/stolen", "", "X-Copy-From", "/c/x", "X-Source-Account", "alice", "X-Source-Version", old).want(403)
			w.as("bob", "PUT", "/v1/bob/d/copied", "", "X-Copy-From", "/c/x", "X-Source-Account", "alice").want(201)
			w.as("bob", "GET", "/v1/bob/d/copied", "").want(200).says("open")
		}},
		{"1.8", "strangers get 403 and not 404, but a copy's missing target is 404", func(w *world) {
			w.as("bob", "GET", "nothing", "").want(403)
			w.as("bob", "GET", "/v1/nobody/c/x", "").want(403)
			w.put("c/x", "1")
			w.do("COPY", "c/x", "", "Destination", "/nothing/x").want(404)
			w.do("COPY", "c/x", "", "Destination", "/c/x", "Destination-Account", "nobody").want(404)
			w.as("bob", "MOVE", "c/x", "", "Destination", "/nothing/x").want(403)
		}},
		{"1.9", "groups are shared with", func(w *world) {
			w.put("c/x", "1", "X-Object-Sharing", "read=alice:friends")
			w.as("bob", "GET", "c/x", "").want(403)
			w.do("POST", "?update", "", "X-Account-Group-Friends", "bob, carol").want(202)
			w.do("HEAD", "", "").want(204).has("X-Account-Group-Friends", "bob,carol")
			w.as("bob", "GET", "c/x", "").want(200)
			w.do("POST", "?update", "", "X-Account-Group-Friends", "").want(202)
			w.as("bob", "GET", "c/x", "").want(403)
			w.do("POST", "?update", "", "X-Account-Group-My_friends", "bob").want(400)
			w.do("POST", "?update", "", "X-Account-Group-Friends", "nobody").want(400)
		}},
		{"1.11", "metadata is limited to 32 entries, 128 characters of name and 256 of value", func(w *world) {
			var headers []string
			for i := range 33 {
				headers = append(headers, fmt.Sprintf("X-Object-Meta-K%d", i), "v")
			}
			w.do("PUT", "c/x", "1", append(headers, "Content-Type", "a/b")...).want(400)
			w.do("PUT", "c/x", "1", append(headers[2:], "Content-Type", "a/b")...).want(201)
			w.do("POST", "c/x?update", "", "X-Object-Meta-More", "v").want(400)
			w.do("POST", "c/x?update", "", "X-Object-Meta-"+strings.Repeat("x", 115), "v").want(400)
			w.do("POST", "c/x", "", "X-Object-Meta-A", strings.Repeat("x", 257)).want(400)
			w.do("POST", "c/x", "", "X-Object-Meta-"+strings.Repeat("x", 114), strings.Repeat("x", 256)).want(202)
		}},
	}
}

func requestStatements() []statement {
	return []statement{
		{"2.1", "an unknown method is 405 with the level's methods", func(w *world) {
			w.do("PATCH", "c/x", "").want(405).has("Allow", "HEAD,GET,PUT,COPY,MOVE,POST,DELETE").mentions(`"notAllowed"`)
			w.do("PATCH", "c", "").want(405).has("Allow", "HEAD,PUT,POST,DELETE,GET")
			w.do("PUT", "", "").want(405).has("Allow", "HEAD,POST,GET")
			w.do("POST", "/v1/", "").want(405).has("Allow", "GET")
			w.do("PUT", "/public/x", "").want(405).has("Allow", "HEAD,GET")
		}},
		{"2.1", "a trailing slash after the account or container changes nothing", func(w *world) {
			w.do("HEAD", "/v1/alice/", "").want(204)
			w.do("HEAD", "/v1/alice/c/", "").want(204)
			w.do("HEAD", "/object-store/v1/alice/c", "").want(204)
		}},
		{"2.2", "a token in the query wins, none or an unknown one is 401", func(w *world) {
			w.as("", "HEAD", "c?X-Auth-Token=alice", "").want(204)
			w.as("carol", "HEAD", "c?X-Auth-Token=alice", "").want(204)
			w.as("", "GET", "c", "").want(401).mentions(`"unauthorized"`)
			w.as("nobody", "GET", "c", "").want(401)
		}},
		{"2.3", "format, then Accept choose the serialisation", func(w *world) {
			w.put("c/x", "1")
			w.do("GET", "c", "").want(200).says("x\n").has("Content-Type", "text/plain; charset=UTF-8")
			w.do("GET", "c?format=json", "").want(200).has("Content-Type", "application/json; charset=UTF-8")
			w.do("GET", "c", "", "Accept", "application/xml").want(200).has("Content-Type", "application/xml; charset=UTF-8")
			w.do("COPY", "c/x?format=json", "", "Destination", "/c/y").want(201).has("Content-Type", "application/json; charset=UTF-8")
			w.do("MOVE", "c/y?format=xml", "", "Destination", "/c/z").want(201).has("Content-Type", "application/xml; charset=UTF-8")
			w.do("GET", "c/x?hashmap&format=text", "").want(200).says("1")
			w.put("c/data.json", "[]")
			w.do("GET", "c/data.json", "").want(200).has("Content-Type", "text/plain")
		}},
		{"2.3", "an XML document has a line break behind its head", func(w *world) {
			w.put("c/x", "1")
			w.do("GET", "c?format=xml", "").want(200).mentions("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<container name=\"c\"><object><name>x</name>")
			w.do("GET", "c/x?format=xml&hashmap", "").want(200).mentions("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<object name=\"x\" bytes=\"1\" block_size=\"1024\" block_hash=\"sha256\"><hash>")
			w.do("GET", "?format=xml", "").want(200).mentions("<account name=\"alice\"><container><name>c</name>", "<key>versioning</key><value>auto</value>")
		}},
		{"2.4", "faults have a name, a code and a message", func(w *world) {
			w.do("GET", "c/nothing", "").want(404).says(`{"itemNotFound":{"code":404,"details":"","message":"Not found"}}`)
			w.do("GET", "c/nothing?format=xml", "").want(404).mentions(`<itemNotFound code="404"><message>`)
			w.do("HEAD", "c/nothing", "").want(404).says("")
		}},
		{"2.5", "headers are percent-encoded both ways, and keys are normalised", func(w *world) {
			w.put("c/x", "1", "X-Object-Meta-%CE%B1_b", "caf%C3%A9 %25")
			h := w.do("HEAD", "c/x", "").want(200).header
			found := false
			for name, values := range h {
				found = found || strings.EqualFold(name, "X-Object-Meta-%CE%91-B") && values[0] == "caf%C3%A9 %25"
			}
			if !found {
				w.Errorf("%v", h)
			}
			w.do("PUT", "c/y", "1", "Content-Type", "a/b", "X-Object-Meta-A", "caf\xc3\xa9").want(400)
			w.do("PUT", "c/y", "1", "Content-Type", "a/b", "X-Object-Meta-A", "%ff").want(400)
			w.put("c/y", "1", "X-Object-Meta-A", "a~b")
			w.do("HEAD", "c/y", "").want(200).has("X-Object-Meta-A", "a%7Eb")
		}},
		{"2.6", "If-Match and If-None-Match take the root hash and the MD5", func(w *world) {
			tag := w.put("c/x", "abc").header.Get("Etag")
			const md5 = "900150983cd24fb0d6963f7d28e17f72"
			for _, t := range []string{tag, `"` + tag + `"`, md5, strings.ToUpper(tag), "*", "other, " + tag} {
				w.do("GET", "c/x", "", "If-Match", t).want(200)
				w.do("GET", "c/x", "", "If-None-Match", t).want(304).has("Etag", tag).says("")
				w.do("PUT", "c/x", "abc", "Content-Type", "a/b", "If-None-Match", t).want(412)
			}
			w.do("GET", "c/x", "", "If-Match", "other").want(412)
			w.do("PUT", "c/new", "1", "Content-Type", "a/b", "If-Match", "*").want(412)
			w.do("PUT", "c/x", "abd", "Content-Type", "a/b", "If-Match", tag).want(201)
			w.do("POST", "c/x?update", "", "X-Object-Meta-A", "1", "If-Match", tag).want(412)
		}},
		{"2.6", "time conditions hold for accounts, containers and objects", func(w *world) {
			w.put("c/x", "1")
			for _, path := range []string{"", "c", "c/x"} {
				modified := w.do("HEAD", path, "").header.Get("Last-Modified")
				w.do("GET", path, "", "If-Modified-Since", modified).want(304)
				w.do("GET", path, "", "If-Unmodified-Since", modified).want(200)
				w.do("GET", path, "", "If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT").want(412)
				w.do("GET", path, "", "If-Modified-Since", "no date").want(200)
			}
		}},
		{"2.8", "answers are not to be kept", func(w *world) {
			w.do("HEAD", "c", "").want(204).has("Vary", "X-Auth-Token", "Cache-Control", "no-cache, no-store, must-revalidate, max-age=0")
		}},
		{"3.1", "a name and key give a token", func(w *world) {
			a := w.as("", "GET", "/v1/", "", "X-Auth-User", "alice", "X-Auth-Key", "secret").want(204)
			if !strings.HasSuffix(a.header.Get("X-Storage-Url"), "/v1/alice") || a.header.Get("X-Auth-Token") != "alice" {
				w.Errorf("%v", a.header)
			}
			w.as("", "GET", "/v1/", "", "X-Auth-User", "alice", "X-Auth-Key", "wrong").want(401)
			w.as("", "GET", "/v1/", "").want(400)
		}},
		{"3.2", "the top level lists the accounts that share with the caller", func(w *world) {
			w.as("bob", "GET", "/v1/", "").want(204)
			w.put("c/x", "1", "X-Object-Sharing", "read=bob")
			w.as("bob", "GET", "/v1/", "").want(200).says("alice\n")
			w.as("bob", "GET", "/v1/?format=json", "").want(200).mentions(`[{"name": "alice", "last_modified": "`)
			w.as("bob", "GET", "/v1/?format=xml", "").want(200).mentions("<accounts><account><name>alice</name>")
			w.as("alice", "GET", "/v1/", "").want(204)
			w.as("bob", "GET", "/v1/?marker=alice", "").want(204)
		}},
		{"4.1", "an account tells its counts to the owner, and to others only its time", func(w *world) {
			w.put("c/x", "123", "X-Object-Sharing", "read=bob")
			w.do("POST", "?update", "", "X-Account-Meta-A", "b").want(202)
			w.do("HEAD", "", "").want(204).has("X-Account-Container-Count", "1", "X-Account-Bytes-Used", "3", "X-Account-Meta-A", "b", "X-Account-Policy-Quota", "0", "Last-Modified", "*")
			w.as("bob", "HEAD", "", "").want(204).has("X-Account-Container-Count", "", "X-Account-Meta-A", "", "Last-Modified", "*")
			w.as("carol", "HEAD", "", "").want(403)
		}},
		{"4.2", "containers are listed with their counts and policy", func(w *world) {
			w.do("PUT", "d", "").want(201)
			w.put("d/x", "12", "X-Object-Sharing", "read=bob")
			w.do("GET", "", "").want(200).says("c\nd\n")
			e := w.do("GET", "?format=json", "").list()[1]
			if e["name"] != "d" || e["count"] != 1.0 || e["bytes"] != 2.0 || fmt.Sprint(e["x_container_policy"]) != "map[project:alice quota:0 versioning:auto]" {
				w.Errorf("%v", e)
			}
			w.wantNames("alice", "?format=json&limit=1", "c")
			w.wantNames("alice", "?format=json&marker=c", "d")
			w.wantNames("alice", "?format=json&shared=None", "d")
			w.wantNames("bob", "?format=json", "d")
			w.as("bob", "GET", "?public", "").want(403)
		}},
		{"4.3", "account metadata is replaced, or merged with update", func(w *world) {
			w.do("POST", "", "", "X-Account-Meta-A", "1", "X-Account-Meta-B", "2").want(202)
			w.do("POST", "?update", "", "X-Account-Meta-A", "", "X-Account-Meta-C", "3").want(202)
			w.do("HEAD", "", "").has("X-Account-Meta-A", "", "X-Account-Meta-B", "2", "X-Account-Meta-C", "3")
			w.do("POST", "", "").want(202)
			w.do("HEAD", "", "").has("X-Account-Meta-B", "")
			w.as("bob", "POST", "", "", "X-Account-Meta-A", "1").want(403)
		}},
	}
}
