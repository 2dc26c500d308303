package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/store/bucket"
)

// sentForm is a form as a browser sends it.
type sentForm struct {
	fields   []string // name, value, name, value
	filename string
	file     []byte
	noFile   bool
	after    string // a field behind the file
}

// encode writes the form and gives its content type.
func (s *sentForm) encode(t testing.TB) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i < len(s.fields); i += 2 {
		if err := m.WriteField(s.fields[i], s.fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if !s.noFile {
		w, err := m.CreateFormFile("file", s.filename)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(s.file)
	}
	if s.after != "" {
		_ = m.WriteField("submit", s.after)
	}
	_ = m.Close()
	return b.Bytes(), m.FormDataContentType()
}

// post sends a form to a bucket, unsigned but for its fields. Redirects are not followed.
func (w *world) post(bucket string, s sentForm) *answer {
	w.t.Helper()
	body, contentType := s.encode(w.t)
	w.srv.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w.anon.do("POST", "/"+bucket, body, "Content-Type", contentType)
}

// signed adds a policy of conditions, signed with Version 4, and the fields that sign it.
func (c *client) signedForm(conditions []any, fields ...string) []string {
	at := time.Now()
	conditions = append(conditions, []string{"eq", "$x-amz-credential", c.signer.Credential(at)},
		map[string]string{"x-amz-algorithm": sigv4.Algorithm}, []string{"starts-with", "$x-amz-date", ""})
	f := sigv4.Form{Policy: policyText(at.Add(time.Hour), conditions)}
	c.signer.SignForm(&f, at)
	return append(fields, "policy", f.Policy, "x-amz-algorithm", f.Algorithm, "x-amz-credential", f.Credential, "x-amz-date", f.Date, "x-amz-signature", f.Signature)
}

// signedFormV2 does so with Version 2.
func (c *client) signedFormV2(policy string, fields ...string) []string {
	f := sigv4.Form{Policy: policy}
	c.signer.SignFormV2(&f)
	return append(fields, "policy", policy, "AWSAccessKeyId", f.AccessKey, "signature", f.SignatureV2)
}

func policyText(until time.Time, conditions []any) string {
	raw, _ := json.Marshal(map[string]any{"expiration": until.UTC().Format("2006-01-02T15:04:05.000Z"), "conditions": conditions})
	return base64.StdEncoding.EncodeToString(raw)
}

func inPhotos(more ...any) []any {
	return append([]any{map[string]string{"bucket": "photos"}}, more...)
}

func postCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"PostObject": func(_ *testing.T, w *world) {
			conditions := inPhotos([]any{"starts-with", "$key", "up/"}, map[string]string{"acl": "public-read"}, []any{"starts-with", "$Content-Type", "text/"},
				[]any{"content-length-range", 1, 100}, []any{"starts-with", "$x-amz-meta-who", ""}, []any{"starts-with", "$tagging", ""})
			fields := w.alice.signedForm(conditions, "key", "up/${filename}", "acl", "public-read", "Content-Type", "text/plain", "x-amz-meta-who", "me ${filename}",
				"tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>", "x-ignore-this", "x")
			a := w.post("photos", sentForm{fields: fields, filename: `C:\fakepath\cat.txt`, file: []byte("miau"), after: "Upload"}).want(204)
			a.has("Etag", `"`+md5Hex("miau")+`"`, "Location", w.srv.URL+"/photos/up/cat.txt")
			w.anon.do("GET", "/photos/up/cat.txt", nil).want(200).contains("miau").has("Content-Type", "text/plain", "X-Amz-Meta-Who", "me cat.txt")
			w.alice.do("GET", "/photos/up/cat.txt?tagging", nil).want(200).contains("<Key>a</Key><Value>b</Value>")
			w.post("photos", sentForm{fields: []string{"key", "a"}, file: []byte("x")}).want(403, "AccessDenied")
			w.post("nowhere", sentForm{fields: []string{"key", "a"}, file: []byte("x")}).want(404, "NoSuchBucket")
		},
	}
}

// TestPostPolicies tries each kind of condition, kept and broken.
func TestPostPolicies(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		conditions []any
		fields     []string
		size       int
		status     int
		code       string
	}{
		"exact":                     {inPhotos(map[string]string{"key": "k"}), []string{"key", "k"}, 3, 204, ""},
		"not exact":                 {inPhotos(map[string]string{"key": "k"}), []string{"key", "kk"}, 3, 403, "AccessDenied"},
		"eq":                        {inPhotos([]any{"EQ", "$KEY", "k"}), []string{"KeY", "k"}, 3, 204, ""},
		"values have case":          {inPhotos([]any{"eq", "$key", "k"}), []string{"key", "K"}, 3, 403, "AccessDenied"},
		"prefix":                    {inPhotos([]any{"starts-with", "$key", "user/"}), []string{"key", "user/k"}, 3, 204, ""},
		"other prefix":              {inPhotos([]any{"starts-with", "$key", "user/"}), []string{"key", "use/k"}, 3, 403, "AccessDenied"},
		"file name in prefix":       {inPhotos([]any{"starts-with", "$key", "photo"}), []string{"key", "${filename}"}, 3, 204, ""},
		"content types":             {inPhotos([]any{"starts-with", "$key", ""}, []any{"starts-with", "$content-type", "image/"}), []string{"key", "k", "content-type", "image/png, image/gif"}, 3, 204, ""},
		"one other type":            {inPhotos([]any{"starts-with", "$key", ""}, []any{"starts-with", "$content-type", "image/"}), []string{"key", "k", "content-type", "image/png,text/html"}, 3, 403, "AccessDenied"},
		"field missing":             {inPhotos([]any{"starts-with", "$key", ""}, []any{"starts-with", "$x-amz-meta-a", ""}), []string{"key", "k"}, 3, 403, "AccessDenied"},
		"field too many":            {inPhotos([]any{"starts-with", "$key", ""}), []string{"key", "k", "x-amz-meta-a", "b"}, 3, 403, "AccessDenied"},
		"unknown field too many":    {inPhotos([]any{"starts-with", "$key", ""}), []string{"key", "k", "submit", "b"}, 3, 403, "AccessDenied"},
		"no bucket":                 {[]any{[]any{"starts-with", "$key", ""}}, []string{"key", "k"}, 3, 403, "AccessDenied"},
		"other bucket":              {[]any{map[string]string{"bucket": "other"}, []any{"starts-with", "$key", ""}}, []string{"key", "k"}, 3, 403, "AccessDenied"},
		"bucket in the form":        {[]any{map[string]string{"bucket": "other"}, []any{"starts-with", "$key", ""}}, []string{"key", "k", "bucket", "other"}, 3, 403, "AccessDenied"},
		"size":                      {inPhotos([]any{"starts-with", "$key", ""}, []any{"content-length-range", 3, 3}), []string{"key", "k"}, 3, 204, ""},
		"too large":                 {inPhotos([]any{"starts-with", "$key", ""}, []any{"content-length-range", 0, 2}), []string{"key", "k"}, 3, 400, "EntityTooLarge"},
		"much too large":            {inPhotos([]any{"starts-with", "$key", ""}, []any{"content-length-range", 0, 100_000}), []string{"key", "k"}, 300_000, 400, "EntityTooLarge"},
		"too small":                 {inPhotos([]any{"starts-with", "$key", ""}, []any{"content-length-range", 4, 9}), []string{"key", "k"}, 3, 400, "EntityTooSmall"},
		"two ranges":                {inPhotos([]any{"starts-with", "$key", ""}, []any{"content-length-range", 0, 2}, []any{"content-length-range", 0, 9}), []string{"key", "k"}, 3, 400, "EntityTooLarge"},
		"range without end":         {inPhotos([]any{"starts-with", "$key", ""}, []any{"content-length-range", 0}), []string{"key", "k"}, 3, 400, "InvalidPolicyDocument"},
		"negative range":            {inPhotos([]any{"starts-with", "$key", ""}, []any{"content-length-range", -1, 0}), []string{"key", "k"}, 3, 400, "InvalidPolicyDocument"},
		"unknown operation":         {inPhotos([]any{"ends-with", "$key", ""}), []string{"key", "k"}, 3, 400, "InvalidPolicyDocument"},
		"empty condition":           {[]any{map[string]string{}}, []string{"key", "k"}, 3, 400, "InvalidPolicyDocument"},
		"checksum":                  {inPhotos([]any{"starts-with", "$key", ""}), []string{"key", "k", "x-amz-checksum-crc32", "HJvqCg=="}, 3, 204, ""},
		"wrong checksum":            {inPhotos([]any{"starts-with", "$key", ""}), []string{"key", "k", "x-amz-checksum-crc32", "AAAAAA=="}, 3, 400, "BadDigest"},
		"unknown header":            {inPhotos([]any{"starts-with", "$key", ""}, []any{"starts-with", "$x-amz-mfa", ""}), []string{"key", "k", "x-amz-mfa", "1"}, 3, 501, "NotImplemented"},
		"header with two lines":     {inPhotos([]any{"starts-with", "$key", ""}, []any{"starts-with", "$cache-control", ""}), []string{"key", "k", "cache-control", "a\r\nX: y"}, 3, 400, "InvalidArgument"},
		"twice":                     {inPhotos([]any{"starts-with", "$key", ""}), []string{"key", "k", "key", "l"}, 3, 400, "InvalidArgument"},
		"meta twice":                {inPhotos([]any{"starts-with", "$key", ""}, map[string]string{"x-amz-meta-a": "b,c"}), []string{"key", "k", "x-amz-meta-a", "b", "x-amz-meta-a", "c"}, 3, 204, ""},
		"no key":                    {inPhotos(), nil, 3, 400, "InvalidArgument"},
		"empty key":                 {inPhotos(map[string]string{"key": ""}), []string{"key", ""}, 3, 400, "InvalidArgument"},
		"long key":                  {inPhotos([]any{"starts-with", "$key", ""}), []string{"key", strings.Repeat("k", 1025)}, 3, 400, "KeyTooLongError"},
		"bad tags":                  {inPhotos([]any{"starts-with", "$key", ""}, []any{"starts-with", "$tagging", ""}), []string{"key", "k", "tagging", "a=b"}, 3, 400, "MalformedXML"},
		"much before file":          {inPhotos([]any{"starts-with", "$key", ""}), []string{"key", "k", "x-ignore-a", strings.Repeat("a", 30_000)}, 3, 400, "MaxPostPreDataLengthExceededError"},
		"very much before the file": {inPhotos([]any{"starts-with", "$key", ""}), []string{"key", "k", "x-ignore-a", strings.Repeat("a", 200_000)}, 3, 400, "MaxPostPreDataLengthExceededError"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			for scheme, fields := range map[string][]string{
				"v4": w.alice.signedForm(tc.conditions, tc.fields...),
				"v2": w.alice.signedFormV2(policyText(time.Now().Add(time.Hour), tc.conditions), tc.fields...),
			} {
				_ = w.alice.do("DELETE", "/photos/k", nil)
				a := w.post("photos", sentForm{fields: fields, filename: "photo.png", file: bytes.Repeat([]byte("x"), tc.size)})
				if a.status != tc.status || tc.code != "" && a.code() != tc.code {
					t.Errorf("%s: %d %s, want %d %s: %s", scheme, a.status, a.code(), tc.status, tc.code, a.body)
				}
				if tc.status >= 400 {
					w.alice.do("GET", "/photos/k", nil).want(404)
				}
			}
		})
	}
	w.t = t
}

// TestPostPolicyDocuments tries policies as texts.
func TestPostPolicyDocuments(t *testing.T) {
	w := newWorld(t)
	soon := time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05Z")
	good := `[{"bucket":"photos"},["starts-with","$key",""]]`
	for name, tc := range map[string]struct {
		policy string
		status int
		code   string
	}{
		"good":                    {`{"expiration":"` + soon + `","conditions":` + good + `}`, 204, ""},
		"escaped dollar":          {`{"expiration":"` + soon + `","conditions":[{"bucket":"photos"},["eq","$key","\$k"]]}`, 204, ""},
		"expired":                 {`{"expiration":"2007-12-01T12:00:00.000Z","conditions":` + good + `}`, 403, "AccessDenied"},
		"no expiration":           {`{"conditions":` + good + `}`, 400, "InvalidPolicyDocument"},
		"expiration has its case": {`{"Expiration":"` + soon + `","conditions":` + good + `}`, 400, "InvalidPolicyDocument"},
		"other form of date":      {`{"expiration":"Tue, 01 Jan 2080","conditions":` + good + `}`, 400, "InvalidPolicyDocument"},
		"no conditions":           {`{"expiration":"` + soon + `"}`, 400, "InvalidPolicyDocument"},
		"conditions have case":    {`{"expiration":"` + soon + `","CONDITIONS":` + good + `}`, 400, "InvalidPolicyDocument"},
		"null":                    {`null`, 400, "InvalidPolicyDocument"},
		"no JSON":                 {`{`, 400, "InvalidPolicyDocument"},
	} {
		key := "k"
		if strings.Contains(tc.policy, `\$`) {
			key = "$k"
		}
		fields := w.alice.signedFormV2(base64.StdEncoding.EncodeToString([]byte(tc.policy)), "key", key)
		a := w.post("photos", sentForm{fields: fields, file: []byte("x")})
		if a.status != tc.status || tc.code != "" && a.code() != tc.code {
			t.Errorf("%s: %d %s, want %d %s: %s", name, a.status, a.code(), tc.status, tc.code, a.body)
		}
	}
	fields := w.alice.signedFormV2("!", "key", "k")
	w.post("photos", sentForm{fields: fields, file: []byte("x")}).want(400, "InvalidPolicyDocument")
	fields = w.alice.signedFormV2(policyText(time.Now().Add(time.Hour), inPhotos([]any{"starts-with", "$key", ""})), "key", "k")
	for i := range fields {
		switch fields[i] {
		case "signature":
			w.post("photos", sentForm{fields: without(fields, i), file: []byte("x")}).want(400, "InvalidArgument")
		case "policy":
			w.post("photos", sentForm{fields: without(fields, i), file: []byte("x")}).want(400, "InvalidArgument").contains("named &apos;policy&apos;")
		case "AWSAccessKeyId":
			w.post("photos", sentForm{fields: without(fields, i), file: []byte("x")}).want(400, "InvalidArgument")
		}
	}
	fields[len(fields)-1] = "AAAA"
	w.post("photos", sentForm{fields: fields, file: []byte("x")}).want(403, "SignatureDoesNotMatch")
	fields[len(fields)-3] = "nobody"
	w.post("photos", sentForm{fields: fields, file: []byte("x")}).want(403, "InvalidAccessKeyId")
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func without(list []string, at int) []string {
	return append(append([]string{}, list[:at]...), list[at+2:]...)
}

// TestPostAnswers tells what a form's sender sees.
func TestPostAnswers(t *testing.T) {
	w := newWorld(t)
	w.bucket("open", bucket.Config{ACL: access.ACL{Grants: []access.Grant{
		{Group: access.AllUsers, Permission: access.Write}, {Group: access.AllUsers, Permission: access.Read},
	}}})
	send := func(fields ...string) *answer {
		return w.post("open", sentForm{fields: append([]string{"key", "a b.txt", "acl", "public-read"}, fields...), file: []byte("bar")})
	}
	send().want(204).has("Location", w.srv.URL+"/open/a%20b.txt")
	send("success_action_status", "200").want(200)
	send("success_action_status", "404").want(204)
	a := send("success_action_status", "201").want(201)
	if a.element("Bucket") != "open" || a.element("Key") != "a b.txt" || a.element("ETag") != `"`+md5Hex("bar")+`"` || a.element("Location") != w.srv.URL+"/open/a%20b.txt" {
		t.Error(string(a.body))
	}
	etag := "%22" + md5Hex("bar") + "%22"
	send("success_action_redirect", "http://example.org/done?x=1").want(303).has("Location", "http://example.org/done?x=1&bucket=open&key=a+b.txt&etag="+etag)
	send("redirect", "https://example.org").want(303).has("Location", "https://example.org?bucket=open&key=a+b.txt&etag="+etag)
	send("success_action_redirect", "javascript:alert(1)").want(204)
	w.anon.do("GET", "/open?bucket=open&key=a&etag="+etag, nil).want(200)
	w.anon.do("GET", "/open/a%20b.txt?bucket=open&key=a&etag="+etag, nil).want(200)
	w.versions("open")
	send().want(204).has("X-Amz-Version-Id", "*")
}

// TestTagsOfWhatAListLetsIn: whoever may write an object by the bucket's list may give it tags as it is written, by a form or a header, and not
// afterwards; a policy that denies tags denies them here too.
func TestTagsOfWhatAListLetsIn(t *testing.T) {
	w := newWorld(t)
	w.bucket("open", bucket.Config{ACL: access.ACL{Grants: []access.Grant{{Group: access.AllUsers, Permission: access.Write}}}})
	form := func() *answer {
		return w.post("open", sentForm{fields: []string{"key", "form", "acl", "public-read", "tagging", string(tagsXML("a", "b"))}, file: []byte("bar")})
	}
	form().want(204)
	w.alice.do("GET", "/open/form", nil).want(200).contains("bar")
	w.bob.do("PUT", "/open/header", []byte("x"), "x-amz-tagging", "a=b", "x-amz-acl", "bucket-owner-full-control").want(200)
	for _, name := range []string{"form", "header"} {
		w.alice.do("GET", "/open/"+name+"?tagging", nil).want(200).contains("<Key>a</Key><Value>b</Value>")
		w.anon.do("PUT", "/open/"+name+"?tagging", tagsXML("c", "d")).want(403, "AccessDenied")
		w.anon.do("DELETE", "/open/"+name+"?tagging", nil).want(403, "AccessDenied")
	}
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObjectTagging","Resource":"arn:aws:s3:::open/*"}]}`
	w.alice.do("PUT", "/open?policy", []byte(policy)).want(204)
	form().want(403, "AccessDenied")
	w.bob.do("PUT", "/open/header", []byte("x"), "x-amz-tagging", "a=b").want(403, "AccessDenied")
	w.bob.do("POST", "/open/header?uploads", nil, "x-amz-tagging", "a=b").want(403, "AccessDenied")
	w.bob.do("PUT", "/open/header", []byte("x")).want(200)
}

// versions turns versioning on.
func (w *world) versions(name string) {
	w.t.Helper()
	_, err := w.b.Configure(w.t.Context(), w.alice.caller, backend.Ref{Bucket: "open"}, access.PutBucketVersioning, func(_ bucket.Container, c *bucket.Config) error {
		c.Versioning = bucket.VersioningEnabled
		return nil
	})
	if err != nil {
		w.t.Fatal(name, err)
	}
}

// TestPostMalformed sends what is no form, or not all of one. Nothing of it is seen.
func TestPostMalformed(t *testing.T) {
	w := newWorld(t)
	w.bucket("open", bucket.Config{ACL: access.ACL{Grants: []access.Grant{{Group: access.AllUsers, Permission: access.Write}}}})
	whole := sentForm{fields: []string{"key", "k"}, file: bytes.Repeat([]byte("x"), 1000)}
	body, kind := whole.encode(t)
	w.anon.do("POST", "/open", body, "Content-Type", "application/x-www-form-urlencoded").want(412, "PreconditionFailed")
	w.anon.do("POST", "/open", body, "Content-Type", "multipart/form-data").want(400, "MalformedPOSTRequest")
	w.anon.do("POST", "/open", body, "Content-Type", "multipart/form-data; boundary=x").want(400)
	for _, cut := range []int{10, 100, len(body) / 2, len(body) - 70, len(body) - 20} {
		a := w.anon.do("POST", "/open", body[:cut], "Content-Type", kind)
		if a.status != 400 {
			t.Errorf("cut at %d: %d %s", cut, a.status, a.body)
		}
	}
	none := sentForm{fields: []string{"key", "k"}, noFile: true}
	w.post("open", none).want(400, "InvalidArgument").contains("exactly one file")
	w.anon.do("POST", "/open", body, "Content-Type", kind, "X-Amz-Acl", "public-read").want(400, "InvalidArgument")
	w.alice.do("POST", "/open", body, "Content-Type", kind).want(400, "InvalidRequest")
	w.alice.do("GET", "/open/k", nil).want(404)
	w.anon.do("POST", "/open", body, "Content-Type", kind).want(204)
}

// Whatever the policy and the fields are, a form is judged without a panic, and a policy that lets a form pass speaks of each of its fields.
func FuzzPostPolicy(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, s := range []string{
		`{"expiration":"2027-01-01T00:00:00Z","conditions":[{"bucket":"b"},["starts-with","$key",""],["content-length-range",0,"10"]]}`,
		`{"expiration":"2027-01-01T00:00:00.000Z","conditions":[["EQ","$a","\$"],{"a":"\v"}]}`, `{"conditions":null}`, `[]`, `{"expiration":1,"conditions":[[]]}`,
	} {
		f.Add([]byte(s), "a", "b")
	}
	f.Fuzz(func(t *testing.T, policy []byte, name, value string) {
		p, err := parsePolicy(base64.StdEncoding.EncodeToString(policy))
		if err != nil {
			if code := faultOf(err).code; code != InvalidPolicyDocument {
				t.Fatalf("%q: %v", policy, code)
			}
			return
		}
		if p.least < 0 || p.most < -1 {
			t.Fatalf("%q: size %d to %d", policy, p.least, p.most)
		}
		name = strings.ToLower(name)
		if err := p.check(now, &form{fields: map[string]string{name: value}, names: []string{name}}); err != nil || freeField(name) {
			return
		}
		for _, c := range p.conditions {
			if c.field == name {
				return
			}
		}
		t.Fatalf("%q lets %q pass", policy, name)
	})
}

// Whatever the form is, reading it gives an S3 error or a form within its limits.
func FuzzForm(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\b\"\r\n\r\nbody\r\n--b--\r\n"))
	f.Add([]byte("--b\nContent-Disposition: form-data; name=file\n\n--b--"))
	f.Add([]byte("--b--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		form, err := readForm("multipart/form-data; boundary=b", bytes.NewReader(body))
		if err != nil {
			if s := faultOf(err).code.status(); s != 400 {
				t.Fatalf("%v has status %d", err, s)
			}
			return
		}
		if strings.ContainsAny(form.filename, `/\`) || len(form.names) > formFieldCount || form.file == nil {
			t.Fatal(fmt.Sprint(form.filename, len(form.names)))
		}
		if h, err := form.header(); err == nil {
			for name := range h {
				if !headerName(name) {
					t.Fatalf("header %q", name)
				}
			}
		}
	})
}
