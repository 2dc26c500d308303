package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/s3"
	"pithos/internal/door/swift"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/engine/memory"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
)

// doors are the S3 door and the Swift door over one backend. The bucket "box" of account "own" has the object "pub/a"; "drop" is a bucket that
// everybody may write to, for copies.
type doors struct {
	t         *testing.T
	b         *backend.Backend
	s3, swift *httptest.Server
	signers   map[string]*sigv4.Signer // by person; none for who does not sign
	serial    int
}

// The people, by account and name: administrators of two accounts, users without a role in both, one of them with a policy, and the public.
var persons = []string{"own:admin", "own:reader", "own:guest", "other:admin", "other:guest", ""}

const readerPolicy = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::box","arn:aws:s3:::box/*"]},
	{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}`

func openDoors(t *testing.T) *doors {
	t.Helper()
	engine := memory.New(clock.System{})
	d := &doors{t: t, signers: map[string]*sigv4.Signer{}}
	d.b = backend.New(backend.Stores{Keys: engine.Keys(), Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: engine.Blobs()},
		backend.Options{BlockSize: 64 << 10, BufferBytes: 8 << 20, PartMin: 1})
	for _, person := range persons {
		if person != "" {
			d.person(engine.Keys(), person)
		}
	}
	d.s3 = httptest.NewServer(s3.New(d.b, s3.Options{}))
	t.Cleanup(d.s3.Close)
	d.swift = httptest.NewServer(swift.New(d.b, swift.Options{
		Who: func(ctx context.Context, token string) (access.Principal, bool, error) {
			_, who, err := d.b.Principal(ctx, naming.UserID(token)) // whose token it is, the token says
			return who, true, err
		},
	}))
	t.Cleanup(d.swift.Close)
	for name, list := range map[string]access.ACL{"box": {}, "drop": {Grants: []access.Grant{{Group: access.AllUsers, Permission: access.Write}}}} {
		_, _, err := d.b.CreateContainer(t.Context(), d.owner(), backend.NewContainer{
			Account: "own", Name: naming.ContainerName(name), Bucket: naming.BucketName(name), Config: bucket.Config{ACL: list},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	d.put("box", "pub/a")
	d.put("drop", "source")
	return d
}

func (d *doors) owner() backend.Caller {
	return backend.Caller{Principal: access.Principal{Account: "own", User: "own:admin", Canonical: "c-own", Admin: true}}
}

// person makes a user, and its account if it is the first one's.
func (d *doors) person(keys key.Store, id string) {
	d.t.Helper()
	account, name, _ := strings.Cut(id, ":")
	u := key.User{ID: naming.UserID(id), Account: naming.AccountID(account)}
	switch name {
	case "admin":
		u.Roles = []string{key.RoleAdmin}
		if _, err := keys.CreateAccount(d.t.Context(), key.Account{ID: u.Account, Canonical: "c-" + account}); err != nil {
			d.t.Fatal(err)
		}
	case "reader":
		u.Policies = map[string][]byte{"reads": []byte(readerPolicy)}
	}
	if _, err := keys.CreateUser(d.t.Context(), u); err != nil {
		d.t.Fatal(err)
	}
	k := key.Key{AccessKey: "AK" + account + name, Secret: "secret-of-" + account + name, User: u.ID}
	if err := keys.CreateKey(d.t.Context(), k); err != nil {
		d.t.Fatal(err)
	}
	d.signers[id] = &sigv4.Signer{AccessKey: k.AccessKey, Secret: k.Secret, Region: "us-east-1"}
}

// put writes an object past the doors.
func (d *doors) put(bucketName, name string) {
	d.t.Helper()
	service := d.owner() // whom no policy of a test denies it
	service.Operator = true
	var list access.ACL
	if bucketName == "drop" { // anybody may copy from there
		list.Grants = []access.Grant{{Group: access.AllUsers, Permission: access.Read}}
	}
	_, err := d.b.Put(d.t.Context(), service, backend.PutRequest{
		Container: backend.Ref{Bucket: naming.BucketName(bucketName)}, Name: naming.ObjectName(name),
		Attributes: backend.Attributes{ACL: list}, Body: backend.Body{Reader: strings.NewReader("hello"), Size: 5},
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// send sends a request and tells whether it was allowed. What is neither success nor a denial fails the test.
func (d *doors) send(req *http.Request) (allowed bool, body string) {
	d.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	switch {
	case res.StatusCode < 300:
		return true, string(raw)
	case res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusUnauthorized:
		return false, string(raw)
	}
	d.t.Fatalf("%s %s: %s\n%s", req.Method, req.URL, res.Status, raw)
	return false, ""
}

func (d *doors) request(server *httptest.Server, method, target, body string, headers ...string) *http.Request {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, server.URL+target, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

// signed sends an S3 request signed in a header.
func (d *doors) signed(who, method, target, body string, headers ...string) (bool, string) {
	req := d.request(d.s3, method, target, body, headers...)
	if s := d.signers[who]; s != nil {
		s.SignV4(&sigv4.Request{Method: method, Target: target, Host: req.URL.Host, Header: req.Header, ContentLength: int64(len(body))}, "UNSIGNED-PAYLOAD", time.Now())
	}
	return d.send(req)
}

// presigned sends an S3 request signed in its query.
func (d *doors) presigned(who, method, target, body string) (bool, string) {
	req := d.request(d.s3, method, target, body)
	if s := d.signers[who]; s != nil {
		r := sigv4.Request{Method: method, Target: target, Host: req.URL.Host, Header: http.Header{}}
		s.PresignV4(&r, time.Now(), time.Hour)
		path, query, _ := strings.Cut(r.Target, "?")
		req.URL.Opaque, req.URL.RawQuery = "//"+req.URL.Host+path, query
	}
	return d.send(req)
}

// ofSwift sends a request to the Swift door.
func (d *doors) ofSwift(who, method, target, body string, headers ...string) bool {
	req := d.request(d.swift, method, "/v1/AUTH_own/"+target, body, headers...)
	if who != "" {
		req.Header.Set("X-Auth-Token", who)
	}
	allowed, _ := d.send(req)
	return allowed
}

// form uploads with a browser's form.
func (d *doors) form(who, name string) bool {
	fields := map[string]string{"key": name}
	if s := d.signers[who]; s != nil {
		at := time.Now()
		policy := fmt.Sprintf(`{"expiration":%q,"conditions":[{"bucket":"box"},["starts-with","$key",""],["starts-with","$x-amz-credential",""],["starts-with","$x-amz-algorithm",""],["starts-with","$x-amz-date",""]]}`,
			at.Add(time.Hour).UTC().Format("2006-01-02T15:04:05Z"))
		f := sigv4.Form{Policy: base64.StdEncoding.EncodeToString([]byte(policy))}
		s.SignForm(&f, at)
		fields["policy"], fields["x-amz-algorithm"], fields["x-amz-credential"], fields["x-amz-date"], fields["x-amz-signature"] = f.Policy, f.Algorithm, f.Credential, f.Date, f.Signature
	}
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for field, value := range fields {
		if err := m.WriteField(field, value); err != nil {
			d.t.Fatal(err)
		}
	}
	w, err := m.CreateFormFile("file", "x")
	if err != nil {
		d.t.Fatal(err)
	}
	_, _ = w.Write([]byte("hello"))
	_ = m.Close()
	allowed, _ := d.send(d.request(d.s3, "POST", "/box", b.String(), "Content-Type", m.FormDataContentType()))
	return allowed
}

// fresh is a name that nobody used.
func (d *doors) fresh() string {
	d.serial++
	return fmt.Sprintf("pub/%d", d.serial)
}

// victim is a new object to be deleted.
func (d *doors) victim() string {
	name := d.fresh()
	d.put("box", name)
	return name
}

// ways are all ways in which a person can do one thing to the bucket or to objects below "pub/", by name. Each tells whether it was allowed.
func (d *doors) ways(action access.Action) map[string]func(who string) bool {
	only := func(allowed bool, _ string) bool { return allowed }
	switch action {
	case access.GetObject:
		return map[string]func(string) bool{
			"header":    func(who string) bool { return only(d.signed(who, "GET", "/box/pub/a", "")) },
			"head":      func(who string) bool { return only(d.signed(who, "HEAD", "/box/pub/a", "")) },
			"presigned": func(who string) bool { return only(d.presigned(who, "GET", "/box/pub/a", "")) },
			"copy source": func(who string) bool {
				return only(d.signed(who, "PUT", "/drop/"+d.fresh(), "", "x-amz-copy-source", "/box/pub/a"))
			},
			"part source": func(who string) bool {
				target := "/drop/" + d.fresh()
				ok, doc := d.signed(who, "POST", target+"?uploads", "")
				if !ok {
					d.t.Fatalf("%q may not begin an upload", who)
				}
				_, rest, _ := strings.Cut(doc, "<UploadId>")
				id, _, _ := strings.Cut(rest, "</UploadId>")
				return only(d.signed(who, "PUT", target+"?partNumber=1&uploadId="+url.QueryEscape(id), "", "x-amz-copy-source", "/box/pub/a"))
			},
			"Swift": func(who string) bool { return d.ofSwift(who, "GET", "box/pub/a", "") },
			"Swift copy source": func(who string) bool {
				return d.ofSwift(who, "COPY", "box/pub/a", "", "Destination", "drop/"+d.fresh())
			},
		}
	case access.PutObject:
		return map[string]func(string) bool{
			"header":    func(who string) bool { return only(d.signed(who, "PUT", "/box/"+d.fresh(), "x")) },
			"presigned": func(who string) bool { return only(d.presigned(who, "PUT", "/box/"+d.fresh(), "x")) },
			"form":      func(who string) bool { return d.form(who, d.fresh()) },
			"copy target": func(who string) bool {
				return only(d.signed(who, "PUT", "/box/"+d.fresh(), "", "x-amz-copy-source", "/drop/source"))
			},
			"upload": func(who string) bool { return only(d.signed(who, "POST", "/box/"+d.fresh()+"?uploads", "")) },
			"Swift":  func(who string) bool { return d.ofSwift(who, "PUT", "box/"+d.fresh(), "x") },
			"Swift target": func(who string) bool {
				return d.ofSwift(who, "PUT", "box/"+d.fresh(), "", "X-Copy-From", "drop/source")
			},
		}
	case access.DeleteObject:
		return map[string]func(string) bool{
			"header":    func(who string) bool { return only(d.signed(who, "DELETE", "/box/"+d.victim(), "")) },
			"presigned": func(who string) bool { return only(d.presigned(who, "DELETE", "/box/"+d.victim(), "")) },
			"bulk": func(who string) bool {
				ok, doc := d.signed(who, "POST", "/box?delete", "<Delete><Object><Key>"+d.victim()+"</Key></Object></Delete>")
				if !ok || strings.Contains(doc, "<Deleted>") == strings.Contains(doc, "<Code>AccessDenied</Code>") {
					d.t.Fatalf("bulk delete of %q: %v %s", who, ok, doc)
				}
				return strings.Contains(doc, "<Deleted>")
			},
			"Swift": func(who string) bool { return d.ofSwift(who, "DELETE", "box/"+d.victim(), "") },
		}
	}
	return map[string]func(string) bool{
		"header":    func(who string) bool { return only(d.signed(who, "GET", "/box?prefix=pub/", "")) },
		"V2":        func(who string) bool { return only(d.signed(who, "GET", "/box?list-type=2&prefix=pub/", "")) },
		"presigned": func(who string) bool { return only(d.presigned(who, "GET", "/box?prefix=pub/", "")) },
		"Swift":     func(who string) bool { return d.ofSwift(who, "GET", "box?prefix=pub/", "") },
	}
}

// set gives the box a policy, a list and a public access block.
func (d *doors) set(policy string, list access.ACL, block *bucket.PublicAccess) {
	d.t.Helper()
	service := d.owner()
	service.Operator = true
	_, err := d.b.Configure(d.t.Context(), service, backend.Ref{Bucket: "box"}, access.PutBucketPolicy, func(_ bucket.Container, c *bucket.Config) error {
		c.ACL, c.PublicAccess, c.Documents = list, block, map[string][]byte{}
		if policy != "" {
			c.Documents[backend.PolicyDocument] = fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[%s]}`, policy)
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// Whoever may do a thing may do it in every way, and whoever may not may in none.
func TestAuthorisationIsTheSameAtEveryDoor(t *testing.T) {
	d := openDoors(t)
	rule := func(effect, principal, action, more string) string {
		return fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":%s,"Resource":["arn:aws:s3:::box","arn:aws:s3:::box/pub/*"]%s}`, effect, principal, action, more)
	}
	const get, put, remove, list = access.GetObject, access.PutObject, access.DeleteObject, access.ListBucket
	everyone := access.ACL{Grants: []access.Grant{{Group: access.AllUsers, Permission: access.Read}, {Group: access.AllUsers, Permission: access.Write}}}
	local := `,"Condition":{"IpAddress":{"aws:SourceIp":["127.0.0.0/8","::1"]},"Bool":{"aws:SecureTransport":"false"}}`
	remote := `,"Condition":{"NotIpAddress":{"aws:SourceIp":["127.0.0.0/8","::1"]}}`
	for _, c := range []struct {
		name   string
		policy string
		acl    access.ACL
		block  *bucket.PublicAccess
		may    map[access.Action]string // the first letters of those who may, in the order of persons: a r g A G p
	}{
		{"nothing", "", access.ACL{}, nil, map[access.Action]string{get: "ar", put: "a", remove: "a", list: "ar"}},
		{"everybody reads", rule("Allow", `"*"`, `"s3:GetObject"`, ""), access.ACL{}, nil, map[access.Action]string{get: "argAGp", put: "a", remove: "a", list: "ar"}},
		{"everybody everything", rule("Allow", `"*"`, `"s3:*"`, ""), access.ACL{}, nil, map[access.Action]string{get: "argAGp", put: "argAGp", remove: "agAGp", list: "argAGp"}},
		{"an account", rule("Allow", `{"AWS":"other"}`, `"s3:*"`, ""), access.ACL{}, nil, map[access.Action]string{get: "arA", put: "aA", remove: "aA", list: "arA"}},
		{"a user", rule("Allow", `{"AWS":"arn:aws:iam::other:user/guest"}`, `"s3:*"`, ""), access.ACL{}, nil, map[access.Action]string{get: "arG", put: "aG", remove: "aG", list: "arG"}},
		{"nobody writes", rule("Deny", `"*"`, `["s3:Put*","s3:Delete*"]`, "") + "," + rule("Allow", `"*"`, `["s3:PutObject","s3:ListBucket"]`, ""), everyone, nil, map[access.Action]string{get: "ar", put: "", remove: "", list: "argAGp"}},
		{"all but one account", strings.Replace(rule("Deny", `{"AWS":"other"}`, `"s3:*"`, ""), `"Principal"`, `"NotPrincipal"`, 1), everyone, nil, map[access.Action]string{get: "", put: "AG", remove: "AG", list: "AG"}},
		{"from here", rule("Allow", `"*"`, `["s3:GetObject","s3:PutObject"]`, local), access.ACL{}, nil, map[access.Action]string{get: "argAGp", put: "argAGp", remove: "a", list: "ar"}},
		{"not from elsewhere", rule("Allow", `"*"`, `"s3:*"`, remote), access.ACL{}, nil, map[access.Action]string{get: "ar", put: "a", remove: "a", list: "ar"}},
		{"a prefix", rule("Allow", `"*"`, `"s3:ListBucket"`, `,"Condition":{"StringEquals":{"s3:prefix":"pub/"}}`), access.ACL{}, nil, map[access.Action]string{get: "ar", put: "a", remove: "a", list: "argAGp"}},
		{"copies only", rule("Deny", `"*"`, `"s3:PutObject"`, `,"Condition":{"StringNotLikeIfExists":{"s3:x-amz-copy-source":"/drop/*"},"Null":{"s3:x-amz-copy-source":"false"}}`), everyone, nil, map[access.Action]string{get: "ar", put: "argAGp", remove: "agAGp", list: "argAGp"}},
		{"lists", "", everyone, nil, map[access.Action]string{get: "ar", put: "argAGp", remove: "agAGp", list: "argAGp"}},
		{"lists ignored", "", everyone, &bucket.PublicAccess{IgnoreACLs: true}, map[access.Action]string{get: "ar", put: "a", remove: "a", list: "ar"}},
		{"public restricted", rule("Allow", `"*"`, `"s3:*"`, ""), everyone, &bucket.PublicAccess{RestrictPolicy: true}, map[access.Action]string{get: "arg", put: "arg", remove: "ag", list: "arg"}},
		{"locked out", rule("Deny", `"*"`, `"s3:*"`, ""), everyone, nil, map[access.Action]string{}},
	} {
		d.set(c.policy, c.acl, c.block)
		for _, action := range []access.Action{get, put, remove, list} {
			for way, may := range d.ways(action) {
				if got := letters(may); got != c.may[action] {
					t.Errorf("%s: %s by way of %s may be done by %q, want %q", c.name, action, way, got, c.may[action])
				}
			}
		}
	}
}

// letters tells by their letters which persons may.
func letters(may func(who string) bool) string {
	var b strings.Builder
	for i, who := range persons {
		if may(who) {
			b.WriteByte("argAGp"[i])
		}
	}
	return b.String()
}
