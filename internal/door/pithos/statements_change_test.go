package pithos

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
)

func transferStatements() []statement {
	return []statement{
		{"8.3", "copies in three spellings, without moving data", func(w *world) {
			w.put("c/x", "data", "X-Object-Meta-A", "1", "X-Object-Meta-B", "2", "X-Object-Sharing", "read=bob")
			w.do("PUT", "c/y", "", "X-Copy-From", "/c/x", "X-Object-Meta-B", "", "X-Object-Meta-C", "3").want(201).has("X-Object-Version", "*", "Etag", "")
			w.do("GET", "c/y", "").want(200).says("data").has("Content-Type", "text/plain", "X-Object-Meta-A", "1", "X-Object-Meta-B", "", "X-Object-Meta-C", "3", "X-Object-Sharing", "")
			w.do("COPY", "c/x", "", "Destination", "/c/z%20z", "Content-Type", "new/type").want(201)
			w.do("GET", "c/z%20z", "").want(200).says("data").has("Content-Type", "new/type")
			w.do("COPY", "c/x?ignore_content_type", "", "Destination", "/c/w", "Content-Type", "new/type").want(201)
			w.do("HEAD", "c/w", "").has("Content-Type", "text/plain")
			w.do("PUT", "c/v", "", "X-Move-From", "/c/w").want(201)
			w.do("HEAD", "c/w", "").want(404)
			for _, wrong := range []string{"c/x", "/c", "/c/", "//x"} {
				w.do("COPY", "c/x", "", "Destination", wrong).want(400)
				w.do("PUT", "c/new", "", "X-Copy-From", wrong).want(400)
			}
			w.do("COPY", "c/x", "").want(400)
			w.do("COPY", "c/nothing", "", "Destination", "/c/new").want(404)
			w.do("PUT", "c/new", "", "X-Copy-From", "/nothing/x").want(404)
		}},
		{"8.3", "an old version is copied", func(w *world) {
			v := w.put("c/x", "old").header.Get("X-Object-Version")
			w.put("c/x", "new")
			w.do("PUT", "c/x", "", "X-Copy-From", "/c/x", "X-Source-Version", v).want(201)
			w.do("GET", "c/x", "").says("old")
			w.do("COPY", "c/x", "", "Destination", "/c/y", "X-Source-Version", "5").want(404)
		}},
		{"8.3", "conditions are on the target of a PUT and on the source of a COPY", func(w *world) {
			tag := w.put("c/x", "1").header.Get("Etag")
			w.put("c/y", "2")
			w.do("PUT", "c/y", "", "X-Copy-From", "/c/x", "If-None-Match", "*").want(412)
			w.do("COPY", "c/x", "", "Destination", "/c/y", "If-Match", "other").want(412)
			w.do("COPY", "c/x", "", "Destination", "/c/y", "If-Match", tag).want(201)
		}},
		{"8.3", "with delimiter everything below comes along", func(w *world) {
			w.folder("c/a")
			w.put("c/a/1", "one")
			w.put("c/a/b/2", "two")
			w.put("c/ab", "beside")
			w.do("COPY", "c/a?delimiter=/", "", "Destination", "/c/z", "X-Object-Meta-K", "first only").want(201)
			w.wantNames("alice", "c?format=json", "a a/1 a/b/2 ab z z/1 z/b/2")
			w.do("HEAD", "c/z", "").has("X-Object-Meta-K", "first only", "Content-Type", "application/directory")
			w.do("HEAD", "c/z/1", "").has("X-Object-Meta-K", "")
			w.do("MOVE", "c/z?delimiter=/", "", "Destination", "/c/y").want(201)
			w.wantNames("alice", "c?format=json", "a a/1 a/b/2 ab y y/1 y/b/2")
			w.do("PUT", "c/x", "", "X-Move-From", "/c/y", "X-Object-Meta-K", "2").want(201)
			w.wantNames("alice", "c?format=json", "a a/1 a/b/2 ab x y/1 y/b/2")
		}},
		{"8.4.1", "POST replaces metadata, or merges with update", func(w *world) {
			w.put("c/x", "1", "X-Object-Meta-A", "1", "X-Object-Meta-B", "2")
			w.do("POST", "c/x?update", "", "X-Object-Meta-A", "", "X-Object-Meta-C", "3", "Content-Type", "other/type").want(202).has("X-Object-Version", "*")
			w.do("HEAD", "c/x", "").has("X-Object-Meta-A", "", "X-Object-Meta-B", "2", "X-Object-Meta-C", "3", "Content-Type", "text/plain")
			w.do("POST", "c/x", "").want(202)
			w.do("HEAD", "c/x", "").has("X-Object-Meta-B", "", "X-Object-Meta-C", "")
			w.do("POST", "c/nothing", "").want(404)
		}},
		{"8.4.2", "bytes are appended, overwritten, truncated and restored", func(w *world) {
			first := w.put("c/x", gen(1500)).header.Get("X-Object-Version")
			want := gen(1500)
			change := func(body, place string, headers ...string) *answer {
				w.Helper()
				return w.do("POST", "c/x?update", body, append([]string{"Content-Type", octetStream, "Content-Range", place}, headers...)...)
			}
			change("tail", "bytes */*").want(204).has("Etag", root(want+"tail"), "X-Object-Version", "*")
			want += "tail"
			change("HEAD", "bytes 0-3/*").want(204)
			want = "HEAD" + want[4:]
			change("mid", "bytes 1023-1025/1504").want(204)
			want = want[:1023] + "mid" + want[1026:]
			change("more", "bytes 1504-/*").want(204)
			want += "more"
			w.do("GET", "c/x", "").want(200).says(want).has("X-Object-Hash", root(want))
			w.do("POST", "c/x", "", "Content-Range", "bytes 0-100/*", "X-Source-Object", "/c/x", "X-Object-Bytes", "100").want(204)
			w.do("GET", "c/x", "").says(want[:100])
			w.do("POST", "c/x", "", "Content-Range", "bytes 0-/*", "X-Source-Object", "/c/x", "X-Source-Version", first, "X-Object-Bytes", "1500").want(204)
			w.do("GET", "c/x", "").says(gen(1500))
		}},
		{"8.4.2", "what does not fit is refused, and nothing is changed", func(w *world) {
			w.put("c/x", "0123456789")
			for place, status := range map[string]int{
				"": 400, "bytes 11-12/*": 416, "bytes 5-2/*": 416, "bytes 0-1/9": 416, "bytes 10-11/10": 416, "bytes 9-10/10": 416, "lines 0-1/*": 416, "bytes x/*": 416,
			} {
				w.do("POST", "c/x", "ab", "Content-Type", octetStream, "Content-Range", place).want(status)
			}
			w.do("POST", "c/x", "abc", "Content-Type", octetStream, "Content-Range", "bytes 0-1/*").want(400)
			w.do("POST", "c/x", "ab", "Content-Type", octetStream, "Content-Range", "bytes 0-1/*", "X-Object-Bytes", "-1").want(400)
			w.do("POST", "c/nothing", "ab", "Content-Type", octetStream, "Content-Range", "bytes */*").want(404)
			for source, status := range map[string]int{"/c/nothing": 404, "c/x": 400, "/c": 400} {
				w.do("POST", "c/x", "", "Content-Range", "bytes 0-1/*", "X-Source-Object", source).want(status)
			}
			w.do("POST", "c/x", "", "Content-Range", "bytes 0-20/*", "X-Source-Object", "/c/x").want(400)
			w.do("GET", "c/x", "").says("0123456789")
		}},
		{"8.4.2", "appends of several clients never overlap or vanish", func(w *world) {
			w.put("c/x", "")
			var all sync.WaitGroup
			for i := range 6 {
				all.Go(func() {
					w.do("POST", "c/x", strings.Repeat(fmt.Sprint(i), 700), "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
				})
			}
			all.Wait()
			body := w.do("GET", "c/x", "").want(200).body
			for i := range 6 {
				if !strings.Contains(body, strings.Repeat(fmt.Sprint(i), 700)) {
					w.Errorf("the bytes of client %d are not there", i)
				}
			}
			if len(body) != 6*700 {
				w.Errorf("%d bytes", len(body))
			}
		}},
		{"8.4.3", "a form of a browser makes an object", func(w *world) {
			form := "--b\r\nContent-Disposition: form-data; name=\"X-Object-Data\"; filename=\"f.txt\"\r\nContent-Type: text/x\r\n\r\nhello\r\n--b--\r\n"
			w.as("", "POST", "c/x?X-Auth-Token=alice", form, "Content-Type", "multipart/form-data; boundary=b").want(201).says(root("hello")).has("Etag", root("hello"), "X-Object-Version", "*")
			w.do("GET", "c/x", "").want(200).says("hello").has("Content-Type", "text/x")
			w.do("POST", "c/y", strings.Replace(form, "X-Object-Data", "Other", 1), "Content-Type", "multipart/form-data; boundary=b").want(400)
			w.do("POST", "c/y", strings.Replace(form, "; filename=\"f.txt\"", "", 1), "Content-Type", "multipart/form-data; boundary=b").want(400)
		}},
		{"8.5", "DELETE keeps history; again it is 404; with delimiter it takes what is below", func(w *world) {
			w.folder("c/a")
			w.put("c/a/1", "1")
			w.put("c/ab", "2")
			w.do("DELETE", "c/ab", "").want(204)
			w.do("DELETE", "c/ab", "").want(404)
			w.do("GET", "c/ab?version=list", "").want(200)
			w.do("DELETE", "c/a?delimiter=/", "").want(204)
			w.wantNames("alice", "c?format=json", "")
			w.put("c/x", "1")
			w.do("DELETE", "c/x", "", "If-Match", "other").want(412)
		}},
		{"8.5", "DELETE with until purges all versions up to then", func(w *world) {
			w.put("c/x", "1")
			at := w.clock.Now().Unix()
			w.put("c/x", "2")
			w.do("DELETE", fmt.Sprintf("c/x?until=%d.5", at), "").want(204)
			w.do("GET", "c/x?version=list", "").want(200).lacks("], [")
			w.do("GET", "c/x", "").says("2")
			w.do("DELETE", fmt.Sprintf("c/x?until=%d", at+10), "").want(204)
			w.do("GET", "c/x?version=list", "").want(404)
			w.do("DELETE", "c/nothing?until=1", "").want(404)
		}},
		{"addition", "changes tells what came after a point, and waits for it", func(w *world) {
			w.put("c/x", "1")
			w.put("c/y", "1")
			w.do("DELETE", "c/x", "").want(204)
			w.clock.Advance(time.Minute)
			a := w.do("GET", "c?changes", "").want(200).mentions(`{"changes":[{"name":"x"`, `"deleted":true`, `"more":false`)
			_, next, _ := strings.Cut(a.body, `"next":"`)
			next, _, _ = strings.Cut(next, `"`)
			w.do("GET", "c?changes="+next, "").want(200).mentions(`"changes":[]`)
			w.put("c/z", "1")
			w.do("GET", "c?wait=10&changes="+next, "").want(200).mentions(`{"name":"z"`)
			w.do("GET", "c?changes=nonsense", "").want(400)
			a = w.do("GET", "c?changes=now", "").want(200).mentions(`"changes":[]`)
			_, next, _ = strings.Cut(a.body, `"next":"`)
			next, _, _ = strings.Cut(next, `"`)
			w.clock.Advance(time.Minute)
			w.put("c/later", "1")
			if a = w.do("GET", "c?changes="+next, "").want(200).mentions(`{"name":"later"`); strings.Contains(a.body, `"name":"x"`) {
				w.Error("what came before now is told:", a.body)
			}
			w.as("bob", "GET", "c?changes=now", "").want(403)
			w.as("bob", "GET", "c?changes", "").want(403)
		}},
		{"addition", "changes tells with details what a listing does of the last change of each name", func(w *world) {
			w.put("c/x", "1")
			w.put("c/x", "23", "Content-Type", "text/plain")
			w.put("c/gone", "1")
			w.do("DELETE", "c/gone", "").want(204)
			w.do("GET", "c?changes", "").want(200).lacks("x_object_hash")
			listed := w.do("GET", "c?format=json", "").want(200).list()
			var told struct {
				Changes []map[string]any
			}
			if err := json.Unmarshal([]byte(w.do("GET", "c?changes&details", "").want(200).body), &told); err != nil {
				w.Fatal(err)
			}
			if len(told.Changes) != 4 || len(listed) != 1 {
				w.Fatal(told, listed)
			}
			for i, e := range told.Changes {
				_, has := e["x_object_hash"]
				if want := i == 1; has != want {
					w.Errorf("change %d has details: %v", i, e)
				}
			}
			want := map[string]any{"name": "x", "version": listed[0]["x_object_version"]}
			for _, key := range []string{"bytes", "content_type", "x_object_hash", "x_object_uuid", "x_object_modified_by", "last_modified"} {
				want[key] = listed[0][key]
			}
			if diff := cmp.Diff(want, told.Changes[1]); diff != "" {
				w.Error(diff)
			}
		}},
		{"addition", "a tree is moved to where nothing is, if the client demands it", func(w *world) {
			w.put("c/a", "1")
			w.put("c/a/x", "1")
			w.put("c/b/x", "2")
			w.do("PUT", "c/b?delimiter=/", "", "X-Move-From", "/c/a", "If-None-Match", "*", "Content-Length", "0").want(412)
			w.do("HEAD", "c/a/x", "").want(200)
			w.do("HEAD", "c/b", "").want(404)
			w.do("GET", "c/b/x", "").want(200).mentions("2")
			w.do("PUT", "c/d?delimiter=/", "", "X-Move-From", "/c/a", "If-None-Match", "*", "Content-Length", "0").want(201)
			w.do("HEAD", "c/d/x", "").want(200)
			w.do("HEAD", "c/a", "").want(404)
		}},
	}
}

func linkStatements() []statement {
	publish := func(w *world, path string) string {
		w.Helper()
		w.do("POST", path+"?update", "", "X-Object-Public", "true").want(202)
		u, err := url.Parse(w.do("HEAD", path, "").header.Get("X-Object-Public"))
		if err != nil || !strings.HasPrefix(u.Path, "/public/") {
			w.Fatal(u, err)
		}
		return u.Path
	}
	return []statement{
		{"1.10", "a public link lives with the path and can be withdrawn", func(w *world) {
			w.put("c/x", "open")
			link := publish(w, "c/x")
			if len(link) < len("/public/")+20 || publish(w, "c/x") != link {
				w.Errorf("link %s", link)
			}
			w.put("c/x", "still open")
			w.as("", "GET", link, "").want(200).says("still open")
			w.as("bob", "GET", "c/x", "").want(403)
			w.do("POST", "c/x?update", "", "X-Object-Public", "false").want(202)
			w.as("", "GET", link, "").want(404)
			if again := publish(w, "c/x"); again == link {
				w.Error("a new link has the old id")
			}
			last := publish(w, "c/x")
			w.do("DELETE", "c/x", "").want(204)
			w.as("", "GET", last, "").want(404)
		}},
		{"9", "a public link tells nothing but the data", func(w *world) {
			w.put("c/dir/x", "0123456789", "X-Object-Meta-Secret", "1")
			link := publish(w, "c/dir/x")
			a := w.as("", "GET", link+"?hashmap&version=list", "").want(200).says("0123456789").has("Content-Disposition", `inline; filename="x"`, "Last-Modified", "*", "Etag", root("0123456789"))
			for name := range a.header {
				if strings.HasPrefix(name, "X-Object-") {
					w.Errorf("it tells %s", name)
				}
			}
			w.as("", "GET", link, "", "Range", "bytes=2-3").want(206).says("23")
			w.as("", "HEAD", link, "").want(200).has("Content-Length", "10")
			w.as("", "GET", link, "", "If-None-Match", root("0123456789")).want(304)
			w.as("", "GET", "/public/nothing", "").want(404)
		}},
		{"9", "with a host for content, other hosts lead there, and links name it", func(w *world) {
			w.put("c/x", "0123")
			link := publish(w, "c/x")
			w.d.o.Content = "http://files.example"
			w.as("", "GET", link+"?disposition-type=inline", "").want(302).has("Location", "http://files.example"+link+"?disposition-type=inline")
			w.as("", "HEAD", "/ui/view/alice/c/x", "").want(302).has("Location", "http://files.example/ui/view/alice/c/x")
			w.as("", "POST", link, "").want(403)
			w.do("HEAD", "c/x", "").want(200).has("X-Object-Public", "http://files.example"+link)
			w.d.o.Content = w.srv.URL
			w.as("", "GET", link, "").want(200).says("0123")
			w.as("", "GET", "/ui/view/alice/c/x", "").want(302).has("Set-Cookie", "*")
		}},
		{"9", "what a browser would run is shut in, and no type is guessed", func(w *world) {
			for kind, policy := range map[string]string{
				"text/html": "sandbox", "image/svg+xml": "sandbox", "Text/HTML; charset=utf-8": "sandbox", "application/x-unknown": "sandbox",
				"text/plain": "", "image/png": "", "application/pdf": "", "application/octet-stream": "",
			} {
				w.clock.Advance(time.Second)
				w.do("PUT", "c/x", "0123", "Content-Type", kind).want(201)
				link := publish(w, "c/x")
				for _, a := range []*answer{w.as("", "GET", link, ""), w.as("", "GET", link, "", "Range", "bytes=0-1"), w.do("GET", "c/x", "")} {
					a.has("X-Content-Type-Options", "nosniff")
					if got := a.header.Get("Content-Security-Policy"); got != policy {
						w.Errorf("%s: policy %q, want %q", kind, got, policy)
					}
				}
			}
		}},
		{"10", "a browser opens a private object after a sign-in for that one path", func(w *world) {
			w.put("c/x", "private")
			type reply struct {
				status int
				header http.Header
			}
			send := func(u, cookie string, header ...string) reply {
				w.Helper()
				req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, u, http.NoBody)
				if err != nil {
					w.Fatal(err)
				}
				if cookie != "" {
					req.Header.Set("Cookie", cookie)
				}
				for i := 0; i < len(header); i += 2 {
					req.Header.Set(header[i], header[i+1])
				}
				res, err := w.srv.Client().Do(req)
				if err != nil {
					w.Fatal(err)
				}
				defer func() { _ = res.Body.Close() }()
				return reply{res.StatusCode, res.Header}
			}
			at := w.srv.URL + "/ui/view/alice/c/x"
			first := send(at, "")
			cookie, _, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
			to := w.srv.URL + first.header.Get("Location")
			if first.status != 302 || send(to, cookie).status != 401 {
				w.Fatal(first)
			}
			secret := "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:secret"))
			back := send(to, cookie, "Authorization", secret)
			code := back.header.Get("Location")
			if back.status != 302 || !strings.HasPrefix(code, at) {
				w.Fatal(back.status, code)
			}
			if stolen := send(code, ""); strings.Contains(stolen.header.Get("Location"), "access_token") {
				w.Error("a code works without the cookie of the browser that asked")
			}
			open := w.srv.URL + send(code, cookie).header.Get("Location")
			if again := send(code, cookie); strings.Contains(again.header.Get("Location"), "access_token") {
				w.Error("a code works twice")
			}
			_, path, _ := strings.Cut(open, w.srv.URL)
			w.as("", "GET", path, "").want(200).says("private")
			w.put("c/y", "other")
			w.as("", "GET", strings.Replace(path, "/c/x", "/c/y", 1), "").want(302)
			w.clock.Advance(30 * time.Second)
			w.as("", "GET", path, "").want(302)
			w.as("", "HEAD", path, "").want(302)
			w.as("", "POST", "/ui/view/alice/c/x", "").want(405).has("Allow", "GET, HEAD")
			if evil := send(w.srv.URL+"/oauth2/auth?redirect_uri=https://evil.example/ui/view/x", cookie, "Authorization", secret); evil.status != 400 {
				w.Errorf("the browser is sent elsewhere: %d", evil.status)
			}
			token := w.d.seal(viewToken, "alice:admin", "alice/c/x")
			w.as("", "GET", "/ui/view/alice/c/x?access_token="+token, "").want(200)
			w.as("", "HEAD", "/ui/view/alice/c/x?access_token="+token, "").want(200)
			w.as("", "GET", identityBase+"/tokens/"+token+"?belongsTo=/alice/c/x", "").want(200).mentions(`"id":"alice"`)
			w.as("", "GET", identityBase+"/tokens/"+token+"?belongsTo=/alice/c/y", "").want(404)
		}},
	}
}

func signInStatements() []statement {
	return []statement{
		{"12", "a token shows the user and the catalogue", func(w *world) {
			w.as("", "POST", identityBase+"/tokens", `{"auth": {"token": {"id": "alice"}}}`).want(200).
				mentions(`"tenant":{"id":"alice"`, `"id":"alice"`, `"name":"astakos_account"`, `"SNF:uiURL"`, `"type":"object-store"`, `/v1"`, `"projects":["alice"]`)
			w.as("", "POST", identityBase+"/tokens", `{"auth": {"token": {"id": "nobody"}}}`).want(401)
			w.as("", "POST", identityBase+"/tokens", `{"auth": {"passwordCredentials": {"username": "alice", "password": "secret"}}}`).want(200)
			w.as("", "POST", identityBase+"/tokens", `{"auth": {"passwordCredentials": {"username": "alice", "password": "wrong"}}}`).want(401)
			w.as("", "POST", identityBase+"/tokens", `nonsense`).want(400)
		}},
		{"12", "without a body the catalogue is shown to everybody", func(w *world) {
			w.as("", "POST", identityBase+"/tokens", "").want(200).mentions(`{"access":{"serviceCatalog":[`).lacks(`"user"`)
		}},
		{"12", "ids and names of users are found", func(w *world) {
			w.do("POST", accountBase+"/user_catalogs", `{"uuids": ["bob", "nobody"], "displaynames": ["carol", "nobody"]}`).want(200).
				says(`{"displayname_catalog":{"carol":"carol"},"uuid_catalog":{"bob":"BOB"}}`)
			w.as("", "POST", accountBase+"/user_catalogs", `{}`).want(401)
		}},
		{"12", "quotas and projects", func(w *world) {
			w.put("c/x", "123")
			w.do("GET", accountBase+"/quotas", "").want(200).mentions(`{"alice":{"pithos.diskspace":{`, `"usage":3`, `"pending":0`, `"limit":9223372036854775807`)
			w.do("GET", accountBase+"/projects?mode=member", "").want(200).mentions(`[{`, `"id":"alice"`)
			w.do("GET", accountBase+"/projects/alice", "").want(200).mentions(`"state":"ACTIVE"`)
			w.do("GET", accountBase+"/projects/bob", "").want(404)
		}},
	}
}
