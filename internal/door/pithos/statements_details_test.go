package pithos

import (
	"encoding/json"
	"net/url"
	"strings"

	"pithos/internal/naming"
)

// detailStatements are what a second walk through the specification found without a test.
func detailStatements() []statement {
	return []statement{
		{"2.1", "all below the second mount is of this dialect, and a path that is none is 400 with a fault", func(w *world) {
			w.put("c/x", "abc")
			w.do("GET", "/object-store/v1/alice/c/x", "").want(200).says("abc").has("Etag", root("abc"))
			w.do("GET", "/object-store/v1/AUTH_alice/c/x", "").want(200).has("Etag", root("abc"))
			w.as("bob", "GET", "/object-store/v1/", "").want(204)
			for _, path := range []string{"/object-store/", "/object-store/v2/alice", "/object-store/v1//c"} {
				w.do("GET", path, "").want(400).mentions(`{"badRequest":{"code":400,`)
			}
		}},
		{"2.2", "tokens in the URL get into no log, and no page is told them", func(w *world) {
			w.put("c/x", "1")
			w.as("", "GET", "c/x?X-Auth-Token=alice&token-mark", "").want(200).has("Referrer-Policy", "no-referrer")
			w.as("", "GET", "c/none?X-Auth-Token=carol&token-mark", "").want(403)
			w.as("", "GET", "c?X-Auth-Token=wrong-token-mark", "").want(401)
			log := w.log.String()
			if !strings.Contains(log, "/v1/alice/c/none") || strings.Contains(log, "token-mark") || strings.Contains(log, "X-Auth-Token") {
				w.Error(log)
			}
		}},
		{"2.3", "answers to HEAD and PUT are JSON, whatever is asked for; others have the type that was chosen, empty ones too", func(w *world) {
			const asJSON, asXML, asText = "application/json; charset=UTF-8", "application/xml; charset=UTF-8", "text/plain; charset=UTF-8"
			w.put("c/x", "1")
			for _, query := range []string{"", "?format=xml", "?format=text"} {
				w.do("HEAD", query, "").want(204).has("Content-Type", asJSON)
				w.do("HEAD", "c"+query, "").want(204).has("Content-Type", asJSON)
				w.do("PUT", "c"+query, "").want(202).has("Content-Type", asJSON)
				w.do("PUT", "c/x"+query, "1", "Content-Type", "a/b").want(201).has("Content-Type", asJSON)
				w.do("HEAD", "c/none"+query, "").want(404).has("Content-Type", asJSON)
			}
			w.do("DELETE", "c/x", "").want(204).has("Content-Type", asJSON)
			w.do("POST", "c?format=xml", "").want(202).has("Content-Type", asXML)
			w.do("GET", "c", "").want(204).has("Content-Type", asText)
			w.do("GET", "c/x?format=xml", "").want(404).has("Content-Type", asXML)
		}},
		{"8.1", "a body that ends early leaves what was there, of an object and of a change in place", func(w *world) {
			w.put("c/x", "0123456789")
			for _, head := range []string{
				"PUT /v1/alice/c/x HTTP/1.1\r\nContent-Type: a/b", "PUT /v1/alice/c/y HTTP/1.1\r\nContent-Type: a/b",
				"POST /v1/alice/c/x HTTP/1.1\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes */*",
			} {
				if answer := w.cut(head + "\r\nHost: h\r\nX-Auth-Token: alice\r\nContent-Length: 2000\r\n\r\n" + gen(1500)); answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 400") {
					w.Errorf("%q", answer) // whoever has gone may get no answer at all
				}
			}
			w.wantNames("alice", "c?format=json", "x")
			w.do("GET", "c/x", "").says("0123456789")
			if ids := w.versionsOf("c/x"); len(ids) != 1 {
				w.Error(ids)
			}
		}},
		{"8.4.2", "a chunked body must have the length of its range", func(w *world) {
			w.put("c/x", "0123456789")
			for _, body := range []string{"a", "abc"} {
				w.chunked("POST", "c/x", body, "Content-Type", octetStream, "Content-Range", "bytes 0-1/*").want(400)
			}
			w.do("GET", "c/x", "").says("0123456789")
		}},
		{"10", "a browser is told in a page what it may not see and what is not there", func(w *world) {
			w.put("c/x", "private")
			view := func(user, path string) *answer {
				return w.as("", "GET", "/ui/view/alice/"+path+"?access_token="+w.d.seal(viewToken, naming.UserID(user), "alice/"+path), "")
			}
			view("alice:admin", "c/x").want(200).says("private")
			view("alice:admin", "c/none").want(404).has("Content-Type", "text/html; charset=UTF-8").mentions("<h1>404 Not Found</h1>")
			view("bob:admin", "c/x").want(403).has("Content-Type", "text/html; charset=UTF-8").mentions("<h1>403 Forbidden</h1>").lacks("private")
		}},
		{"10", "a view has ranges, conditions, versions, hashmaps and dispositions as an object has", func(w *world) {
			old := w.put("c/x", "old").header.Get("X-Object-Version")
			tag := w.put("c/x", "0123456789").header.Get("Etag")
			at := "/ui/view/alice/c/x?access_token=" + w.d.seal(viewToken, "alice:admin", "alice/c/x")
			w.as("", "GET", at, "", "Range", "bytes=2-3").want(206).says("23")
			w.as("", "GET", at, "", "If-None-Match", tag).want(304)
			w.as("", "GET", at+"&version="+old, "").want(200).says("old")
			w.as("", "GET", at+"&hashmap&format=json", "").want(200).mentions(`"bytes": 10`)
			w.as("", "GET", at+"&disposition-type=attachment", "").want(200).has("Content-Disposition", `attachment; filename="x"`)
		}},
		{"10", "a sign-in is asked for as OAuth 2 says, and other parameters are kept", func(w *world) {
			location := w.as("", "GET", "/ui/view/alice/c/x?version=7", "").want(302).header.Get("Location")
			to, err := url.Parse(location)
			if err != nil {
				w.Fatal(err)
			}
			q := to.Query()
			if to.Path != "/oauth2/auth" || q.Get("response_type") != "code" || q.Get("client_id") == "" || q.Get("state") == "" || q.Get("scope") != "/alice/c/x" ||
				!strings.HasSuffix(q.Get("redirect_uri"), "/ui/view/alice/c/x?version=7") {
				w.Error(location)
			}
			bare := w.as("", "GET", "/ui/view/alice/c/x?access_token=bad", "").want(302).header.Get("Location")
			if bare != "/ui/view/alice/c/x" {
				w.Error(bare)
			}
		}},
		{"12", "the catalogue has one object store, with its version, and the account service with an address for people", func(w *world) {
			for _, body := range []string{"", `{"auth": {"token": {"id": "alice"}}}`} {
				var answer struct {
					Access struct {
						Catalogue []catalogueEntry `json:"serviceCatalog"`
					} `json:"access"`
				}
				a := w.as("nobody", "POST", identityBase+"/tokens", body).want(200)
				if err := json.Unmarshal([]byte(a.body), &answer); err != nil {
					w.Fatal(err)
				}
				stores, accounts := 0, 0
				for _, e := range answer.Access.Catalogue {
					if len(e.Endpoints) != 1 || e.Endpoints[0].Region == "" {
						w.Errorf("%v", e)
					}
					if e.Type == "object-store" {
						stores++
						if at := e.Endpoints[0]; at.PublicURL != w.srv.URL+"/v1" || at.VersionID != "v1" {
							w.Errorf("%v", at)
						}
					}
					if e.Name == "astakos_account" {
						accounts++
						if at := e.Endpoints[0]; at.PublicURL != w.srv.URL+accountBase || at.VersionID != "v1.0" || at.UIURL == "" {
							w.Errorf("%v", at)
						}
					}
				}
				if stores != 1 || accounts != 1 {
					w.Errorf("%d, %d", stores, accounts)
				}
			}
			w.as("", "POST", identityBase+"/tokens", `{"auth": {"token": {"id": "nobody"}}}`).want(401).mentions(`{"unauthorized":{"code":401,`)
			w.as("", "POST", identityBase+"/tokens", `{"auth": {"token": {"id": "alice"}}}`).want(200).
				mentions(`"expires":"`, `"tenant":{"id":"alice","name":"`, `"name":"alice:admin"`, `"roles":[]`, `"roles_links":[]`)
		}},
		{"addition", "X-Shared-Access and x_shared_access tell what one may with what others share", func(w *world) {
			w.folder("c/a", "X-Object-Sharing", "write=bob; read=carol")
			version := w.put("c/a/x", "1").header.Get("X-Object-Version")
			for user, want := range map[string]string{"bob": "write", "carol": "read"} {
				for _, method := range []string{"HEAD", "GET"} {
					w.as(user, method, "c/a/x", "").want(200).has("X-Shared-Access", want, "X-Object-Allowed-To", want)
				}
				w.as(user, "GET", "c/a/x?hashmap", "").want(200).has("X-Shared-Access", want)
				w.as(user, "HEAD", "c/a/x?version="+version, "").want(200).has("X-Shared-Access", "")
				for _, e := range w.as(user, "GET", "c?format=json", "").list() {
					if e["x_shared_access"] != want || e["x_object_allowed_to"] != want {
						w.Errorf("%s: %v", user, e)
					}
				}
				w.as(user, "GET", "c?format=xml", "").want(200).mentions("<x_shared_access>" + want + "</x_shared_access>")
			}
			w.do("HEAD", "c/a/x", "").want(200).has("X-Shared-Access", "")
			w.do("GET", "c?format=json", "").want(200).lacks("x_shared_access")
		}},
	}
}
