package pithos

import (
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/swift"
	"pithos/internal/naming"
)

// limitStatements are the limits and settings (Pithos+ 15).
func limitStatements() []statement {
	return []statement{
		{"15", "blocks have 4 MiB and are named by SHA-256 if nothing else is set", func(w *world) {
			w = newWorldWith(w.T, backend.Options{}, swift.Options{})
			w.do("HEAD", "c", "").want(204).has("X-Container-Block-Size", "4194304", "X-Container-Block-Hash", "sha256")
		}},
		{"15", "a listing has 10,000 entries at most, whatever limit is asked for", func(w *world) {
			alice := backend.Caller{Principal: access.Principal{Account: "alice", User: "alice:admin", Canonical: "canonical-alice", Admin: true}}
			for i := range 10_001 { // past the door, which has nothing to do with how they came
				_, err := w.b.Put(w.Context(), alice, backend.PutRequest{
					Container: backend.Ref{Account: "alice", Name: "c"}, Name: naming.ObjectName(fmt.Sprintf("%05d", i)),
					Attributes: backend.Attributes{Owner: "alice"}, Body: backend.Body{Reader: strings.NewReader(""), Size: 0},
				})
				if err != nil {
					w.Fatal(err)
				}
			}
			for _, limit := range []string{"", "10000", "10001", "1000000"} {
				text := w.do("GET", "c?limit="+limit, "").want(200).body
				if n := strings.Count(text, "\n"); n != 10_000 || !strings.HasSuffix(text, "09999\n") {
					w.Errorf("limit %q: %d entries", limit, n)
				}
			}
			w.do("GET", "c?marker=09999", "").want(200).says("10000\n")
		}},
		{"15", "a smaller limit of the service bounds listings of all levels, and is their default", func(w *world) {
			w.d.o.Listing = 2
			for _, name := range []string{"d", "e"} {
				w.do("PUT", name, "").want(201)
			}
			for _, name := range []string{"1", "2", "3"} {
				w.put("c/"+name, "x")
			}
			for _, query := range []string{"", "?limit=3", "?limit=0"} {
				w.do("GET", "c"+query, "").want(200).says("1\n2\n")
				w.do("GET", query, "").want(200).says("c\nd\n")
			}
			w.do("GET", "c?limit=1", "").want(200).says("1\n")
		}},
		{"15", "containers, accounts and objects have 32 metadata entries at most", func(w *world) {
			w.put("c/x", "1")
			for path, prefix := range map[string]string{"": "X-Account-Meta-", "c": "X-Container-Meta-", "c/x": "X-Object-Meta-"} {
				var headers []string
				for i := range 33 {
					headers = append(headers, fmt.Sprintf("%sK%d", prefix, i), "v")
				}
				w.do("POST", path, "", headers...).want(400)
				w.do("POST", path, "", headers[2:]...).want(202)
				w.do("POST", path+"?update", "", headers[:2]...).want(400)
				w.do("POST", path+"?update", "", append(headers[:2:2], headers[2], "")...).want(202) // one comes, one goes
			}
		}},
		{"15", "a request has 90 metadata headers at most", func(w *world) {
			w.put("c/x", "1")
			var headers []string
			for i := range 91 {
				headers = append(headers, fmt.Sprintf("X-Object-Meta-K%d", i), "") // none is stored
			}
			w.do("POST", "c/x?update", "", headers[2:]...).want(202)
			w.do("POST", "c/x?update", "", headers...).want(400).mentions("90")
		}},
		{"15", "an account has 32 groups at most", func(w *world) {
			var headers []string
			for i := range 33 {
				headers = append(headers, fmt.Sprintf("X-Account-Group-G%d", i), "bob")
			}
			w.do("POST", "?update", "", headers...).want(400)
			w.do("POST", "?update", "", headers[2:]...).want(202)
			w.do("POST", "?update", "", headers[:2]...).want(400)
			w.do("HEAD", "", "").want(204).has("X-Account-Group-G0", "", "X-Account-Group-G32", "bob")
		}},
		{"15", "a group has 32 members at most", func(w *world) {
			var members []string
			for i := range 33 {
				id := naming.UserID(fmt.Sprintf("bob:u%02d", i))
				w.user(id)
				members = append(members, string(id))
			}
			w.do("POST", "", "", "X-Account-Group-A", strings.Join(members, ",")).want(400).mentions("32")
			w.do("POST", "", "", "X-Account-Group-A", strings.Join(members[1:], ",")).want(202)
			w.do("HEAD", "", "").has("X-Account-Group-A", escape(strings.Join(members[1:], ",")))
		}},
		{"15", "containers that are made here have versions", func(w *world) {
			w.do("PUT", "d", "").want(201)
			w.do("HEAD", "d", "").want(204).has("X-Container-Policy-Versioning", "auto")
			w.put("d/x", "1")
			w.put("d/x", "2")
			w.do("GET", "d/x?version=list", "").want(200).mentions("], [")
		}},
		{"15", "without a setting accounts and containers have no quota", func(w *world) {
			w.do("HEAD", "", "").want(204).has("X-Account-Policy-Quota", "0", "X-Account-Policy-Quota-alice", "0")
			w.do("HEAD", "c", "").want(204).has("X-Container-Policy-Quota", "0")
			w.put("c/x", gen(100_000))
		}},
		{"15", "history is free of charge", func(w *world) {
			w.do("POST", "c?update", "", "X-Container-Policy-Quota", "10").want(202)
			for range 5 {
				w.put("c/x", "1234567890")
			}
			w.do("HEAD", "c", "").want(204).has("X-Container-Bytes-Used", "10")
			w.do("HEAD", "", "").want(204).has("X-Account-Bytes-Used", "10")
			w.do("DELETE", "c/x", "").want(204)
			w.do("HEAD", "c", "").want(204).has("X-Container-Bytes-Used", "0")
		}},
		{"15", "the id of a public link has 128 bits, in base 62", func(w *world) {
			seen := map[string]bool{}
			high := 0
			for i := range 64 {
				path := fmt.Sprintf("c/%d", i)
				w.do("PUT", path, "1", "Content-Type", "a/b", "X-Object-Public", "true").want(201)
				link := w.do("HEAD", path, "").header.Get("X-Object-Public")
				id := link[strings.LastIndex(link, "/")+1:]
				if !regexp.MustCompile("^[0-9A-Za-z]{1,22}$").MatchString(id) || seen[id] {
					w.Fatalf("%s", link)
				}
				seen[id] = true
				n, _ := new(big.Int).SetString(id, 62)
				high = max(high, n.BitLen())
			}
			if high < 124 || high > 128 { // of 64 random numbers of 128 bits, the greatest has less than 124 once in 2^256
				w.Errorf("the greatest of 64 ids has %d bits", high)
			}
		}},
		{"15", "blocks that were sent are there for a day at least", func(w *world) {
			w.do("POST", "c?update", "early", "Content-Type", octetStream).want(202)
			collect := func() {
				w.Helper()
				if _, err := w.stores.Meta.Reap(w.Context(), w.clock.Now(), 100); err != nil {
					w.Fatal(err)
				}
				dead, err := w.stores.Meta.Dead(w.Context(), w.clock.Now(), 100)
				if err != nil {
					w.Fatal(err)
				}
				if err := w.stores.Blobs.Release(w.Context(), dead); err != nil {
					w.Fatal(err)
				}
			}
			w.clock.Advance(24*time.Hour - time.Second)
			collect()
			w.do("PUT", "c/x?hashmap", hashmap("early"), "Content-Type", "a/b").want(201)
			w.do("GET", "c/x", "").want(200).says("early")
			w.do("POST", "c?update", "late", "Content-Type", octetStream).want(202)
			w.clock.Advance(7 * 24 * time.Hour)
			collect()
			w.do("PUT", "c/y?hashmap", hashmap("late"), "Content-Type", "a/b").want(409)
		}},
		{"15", "tokens in the URL can be switched off", func(w *world) {
			w.as("", "HEAD", "c?X-Auth-Token=alice", "").want(204)
			w.d.o.NoQueryTokens = true
			w.as("", "HEAD", "c?X-Auth-Token=alice", "").want(401)
			w.do("HEAD", "c?X-Auth-Token=nobody", "").want(204) // the header alone counts
		}},
	}
}

// trapStatements are what an implementation in Go may get wrong (Pithos+ 17).
func trapStatements() []statement {
	// whole wants the head of an answer on the wire to have lines and lack others.
	whole := func(w *world, answer string, has, lacks []string) {
		w.Helper()
		head, _, _ := strings.Cut(answer, "\r\n\r\n")
		for _, line := range has {
			if !strings.Contains(head+"\r\n", line+"\r\n") {
				w.Errorf("no %q in %q", line, answer)
			}
		}
		for _, line := range lacks {
			if strings.Contains(head, line) {
				w.Errorf("%q in %q", line, answer)
			}
		}
	}
	return []statement{
		{"17", "names of headers are decoded before their letters are changed", func(w *world) {
			for i, name := range []string{"X-Object-Meta-%CE%B1", "x-object-meta-%ce%b1", "X-OBJECT-META-%CE%91"} {
				path := fmt.Sprintf("/v1/alice/c/%d", i)
				answer := w.raw("PUT " + path + " HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\nContent-Type: a/b\r\n" + name + ": v\r\nContent-Length: 0\r\n\r\n")
				whole(w, answer, []string{"HTTP/1.1 201 Created"}, nil)
				answer = w.raw("HEAD " + path + " HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\n\r\n")
				whole(w, answer, []string{"X-Object-Meta-%CE%91: v"}, nil)
			}
		}},
		{"17", "names with empty parts, dots and a leading slash survive, at both mounts", func(w *world) {
			names := []string{"/lead", "a//b", "a/./b", "a/../b", "..", "end/", "//"}
			for i, name := range names {
				w.put("c/"+name, fmt.Sprint(i))
			}
			for i, name := range names {
				w.do("GET", "c/"+name, "").want(200).says(fmt.Sprint(i))
				w.do("GET", "/object-store/v1/alice/c/"+name, "").want(200).says(fmt.Sprint(i))
			}
			w.wantNames("alice", "c?format=json", ".. // /lead a/../b a/./b a//b end/")
		}},
		{"17", "a path is decoded once, and split at its first two slashes then", func(w *world) {
			w.put("c/a%2Fb", "slash")
			w.do("GET", "c/a/b", "").want(200).says("slash")
			w.do("GET", "c%2Fa%2Fb", "").want(200).says("slash")
			w.put("c/a%252Fb", "percent")
			w.do("GET", "c/a/b", "").want(200).says("slash")
			w.wantNames("alice", "c?format=json", "a%2Fb a/b")
		}},
		{"17", "a parameter counts by being there, with or without a value", func(w *world) {
			for _, update := range []string{"update", "update=", "update=False"} {
				w.do("POST", "c", "", "X-Container-Meta-A", "1").want(202)
				w.do("POST", "c?"+update, "", "X-Container-Meta-B", "2").want(202)
				w.do("HEAD", "c", "").has("X-Container-Meta-A", "1", "X-Container-Meta-B", "2")
			}
			w.put("c/x", "1", "X-Object-Sharing", "read=bob")
			w.put("c/y", "2")
			for _, shared := range []string{"shared", "shared=", "shared=None"} {
				w.do("GET", "c?"+shared, "").want(200).says("x\n")
				w.do("GET", "?"+shared, "").want(200).says("c\n")
			}
			for _, hashmap := range []string{"hashmap", "hashmap=", "hashmap=True"} {
				w.do("GET", "c/x?"+hashmap, "").want(200).mentions(`"hashes": ["`)
			}
		}},
		{"17", "a POST without a body and a content type changes metadata", func(w *world) {
			w.put("c/x", "1")
			answer := w.raw("POST /v1/alice/c/x?update= HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\nX-Object-Meta-A: 1\r\nContent-Length: 0\r\n\r\n")
			whole(w, answer, []string{"HTTP/1.1 202 Accepted"}, nil)
			answer = w.raw("POST /v1/alice/c?update= HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\nX-Container-Meta-A: 1\r\nContent-Length: 0\r\n\r\n")
			whole(w, answer, []string{"HTTP/1.1 202 Accepted"}, nil)
			w.do("HEAD", "c/x", "").has("X-Object-Meta-A", "1")
			w.do("HEAD", "c", "").has("X-Container-Meta-A", "1")
		}},
		{"17", "X-Object-Public is True or False, an empty If-Range is none, and format=json leaves data alone", func(w *world) {
			w.put("c/x", "0123456789", "X-Object-Public", "True")
			w.do("HEAD", "c/x", "").has("X-Object-Public", "*")
			w.do("POST", "c/x?update", "", "X-Object-Public", "False").want(202)
			w.do("HEAD", "c/x", "").has("X-Object-Public", "")
			w.do("GET", "c/x?format=json", "", "Range", "bytes=2-3", "If-Range", "").want(206).says("23")
			w.do("GET", "c/x?format=json", "").want(200).says("0123456789").has("Content-Type", "text/plain")
		}},
		{"17", "204 and 304 have no body, and HEAD has none even for a fault", func(w *world) {
			tag := w.put("c/x", "1").header.Get("Etag")
			ask := func(head string) string {
				return w.raw(head + " HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\n\r\n")
			}
			for head, status := range map[string]string{
				"HEAD /v1/alice": "204", "HEAD /v1/alice/c": "204", "GET /v1/alice/c?marker=x": "204", "DELETE /v1/alice/c/x": "204",
				"HEAD /v1/alice/c/x?version=none": "404", "HEAD /v1/alice/none": "404", "HEAD /v1/alice/c?X-Auth-Token=no": "401", "HEAD /v1/bob/c": "403",
				"GET /v1/alice/c HTTP/1.1\r\nIf-Modified-Since: " + w.do("HEAD", "c", "").header.Get("Last-Modified") + "\r\nX: ": "304",
				"HEAD /v1/alice/c/x HTTP/1.1\r\nIf-None-Match: " + tag + "\r\nX: ":                                                "304",
			} {
				if strings.HasPrefix(head, "DELETE") {
					continue
				}
				answer := ask(head)
				if first, body, _ := strings.Cut(answer, "\r\n\r\n"); !strings.HasPrefix(first, "HTTP/1.1 "+status) || body != "" {
					w.Errorf("%q: %q", head, answer)
				}
			}
			if _, body, _ := strings.Cut(ask("DELETE /v1/alice/c/x"), "\r\n\r\n"); body != "" {
				w.Errorf("%q", body)
			}
		}},
		{"17", "a refused upload is read to its end, or its connection closed, so that the client sees why", func(w *world) {
			w.d.o.Clock = clock.System{} // of the deadline that bounds it
			w.put("c/x", "1")
			w.do("POST", "c?update", "", "X-Container-Policy-Quota", "10").want(202)
			body := gen(2 << 20)
			for head, status := range map[string]string{
				"PUT /v1/bob/c/x HTTP/1.1":                             "403",
				"PUT /v1/alice/c/x HTTP/1.1\r\nIf-None-Match: *":       "412",
				"PUT /v1/alice/c/y HTTP/1.1":                           "413",
				"PUT /v1/alice/none/x HTTP/1.1":                        "404",
				"PUT /v1/alice/c/x?X-Auth-Token=nobody HTTP/1.1":       "401",
				"POST /v1/alice/c/none HTTP/1.1\r\nContent-Range: x/*": "404",
			} {
				answer := w.raw(fmt.Sprintf("%s\r\nHost: h\r\nX-Auth-Token: alice\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body))
				if !strings.HasPrefix(answer, "HTTP/1.1 "+status) || !strings.Contains(answer, `"code":`+status) {
					w.Errorf("%q: %q", head, answer)
				}
			}
		}},
		{"17", "answers tell their exact length, so that a connection can be used again", func(w *world) {
			w.put("c/x", "0123456789")
			var request strings.Builder
			for _, line := range []string{
				"GET /v1/alice/c/x", "GET /v1/alice/c?format=json", "GET /v1/alice/c/none", "GET /v1/alice/c/x?hashmap", "GET /v1/alice/c/x?version=list", "GET /v1/alice", "GET /v1/alice/c/x",
			} {
				fmt.Fprintf(&request, "%s HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\n\r\n", line)
			}
			rest := w.raw(request.String())
			n := 0
			for ; rest != ""; n++ {
				head, after, ok := strings.Cut(rest, "\r\n\r\n")
				m := regexp.MustCompile(`\r\nContent-Length: (\d+)`).FindStringSubmatch(head)
				var length int
				if !ok || m == nil || strings.Contains(head, "Transfer-Encoding") {
					w.Fatalf("%q", rest)
				}
				_, _ = fmt.Sscan(m[1], &length)
				if length > len(after) {
					w.Fatalf("%q", rest)
				}
				rest = after[length:]
			}
			if n != 7 {
				w.Errorf("%d answers", n)
			}
			answer := w.raw("GET /v1/alice/c/x HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\n\r\n")
			whole(w, answer, []string{"HTTP/1.1 200 OK", "Connection: close", "Content-Length: 10"}, nil)
		}},
		{"17", "COPY and MOVE are methods as others are, and Content-Range comes with requests", func(w *world) {
			w.put("c/x", "0123")
			whole(w, w.raw("COPY /v1/alice/c/x HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\nDestination: /c/y\r\n\r\n"), []string{"HTTP/1.1 201 Created", "Content-Length: 0"}, nil)
			whole(w, w.raw("MOVE /v1/alice/c/y HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\nDestination: /c/z\r\n\r\n"), []string{"HTTP/1.1 201 Created"}, nil)
			whole(w, w.raw("POST /v1/alice/c/z HTTP/1.1\r\nHost: h\r\nX-Auth-Token: alice\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 1-2/*\r\nContent-Length: 2\r\n\r\nab"),
				[]string{"HTTP/1.1 204 No Content"}, nil)
			w.do("GET", "c/z", "").want(200).says("0ab3")
		}},
		{"17", "chunked bodies have no length and are taken", func(w *world) {
			send := func(method, path, body string, headers ...string) *answer {
				w.Helper()
				return w.chunked(method, path, body, headers...)
			}
			send("PUT", "c/x", gen(3000), "Content-Type", "a/b").want(201).has("Etag", root(gen(3000)))
			send("POST", "c?update", gen(2500), "Content-Type", octetStream).want(202).says(`["` + strings.Join(sums(gen(2500)), `", "`) + `"]`)
			send("PUT", "c/y?hashmap", hashmap(gen(2500)), "Content-Type", "a/b").want(201)
			send("POST", "c/x", "ab", "Content-Type", octetStream, "Content-Range", "bytes */*").want(204)
			send("POST", "c/x", "ab", "Content-Type", octetStream, "Content-Range", "bytes 0-1/*").want(204)
			w.do("GET", "c/x", "").want(200).says("ab" + gen(3000)[2:] + "ab")
			w.do("GET", "c/y", "").want(200).says(gen(2500))
		}},
		{"17", "several clients at once get their own answers", func(w *world) {
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					name, text := fmt.Sprintf("c/%d", i), strings.Repeat(fmt.Sprint(i), 500+i)
					w.do("PUT", name, text, "Content-Type", "a/b").want(201).has("Etag", root(text))
					w.do("GET", name, "").want(200).says(text)
				})
			}
			all.Wait()
		}},
	}
}

// chunked sends a body without telling its length.
func (w *world) chunked(method, path, body string, headers ...string) *answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.srv.URL+"/v1/alice/"+path, io.MultiReader(strings.NewReader(body)))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", "alice")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.srv.Client().Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	return &answer{w.T, res.StatusCode, res.Header, string(raw)}
}
