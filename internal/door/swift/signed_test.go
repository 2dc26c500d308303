package swift

import (
	"bytes"
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"strings"
	"testing"
	"time"
)

// sign makes a signature in hexadecimal digits.
func sign(digest, key, text string) string {
	mac := hmac.New(digests[digest], []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// linkTo is the query of a signed link.
func (w *world) linkTo(method, path, key string) string {
	until := w.clock.Now().Add(time.Hour).Unix()
	return fmt.Sprintf("temp_url_sig=%s&temp_url_expires=%d", sign("sha256", key, fmt.Sprintf("%s\n%d\n%s", method, until, path)), until)
}

func newSignedWorld(t *testing.T) *world {
	w := newWorld(t)
	w.do("POST", "", "", "X-Account-Meta-Temp-URL-Key", "acc1", "X-Account-Meta-Temp-URL-Key-2", "acc2").want(204)
	w.do("PUT", "c", "", "X-Container-Meta-Temp-URL-Key", "con1", "X-Container-Meta-Temp-URL-Key-2", "con2").want(201)
	w.do("PUT", "d", "").want(201)
	w.do("PUT", "c/dir/o%20x", "hello", "X-Object-Meta-Secret", "s", "X-Object-Meta-Public-Note", "n").want(201)
	return w
}

func TestSignedLinks(t *testing.T) {
	w := newSignedWorld(t)
	const path, url = "/v1/AUTH_test/c/dir/o x", "c/dir/o%20x"
	for _, key := range []string{"acc1", "acc2", "con1", "con2"} {
		w.as("", "GET", url+"?"+w.linkTo("GET", path, key), "").want(200).is("hello").
			has("X-Object-Meta-Secret", "", "X-Object-Meta-Public-Note", "n", "Expires", "*", "Content-Disposition", `attachment; filename="o x"; filename*=UTF-8''o%20x`)
	}
	good := w.linkTo("GET", path, "con1")
	w.as("", "HEAD", url+"?"+good, "").want(200).has("Content-Length", "5")
	w.as("AUTH_expired", "GET", url+"?"+good, "").want(200) // the link counts, not the token
	w.as("", "GET", url+"?"+good+"&inline", "").want(200).has("Content-Disposition", "inline")
	w.as("", "GET", url+"?"+good+"&filename=a%22b%2Fc", "").want(200).has("Content-Disposition", `attachment; filename="a%22b/c"; filename*=UTF-8''a%22b/c`)
	for name, bad := range map[string]string{
		"other object": "c/other?" + good, "other container": "d/dir/o%20x?" + good, "container": "c?" + good, "account": "?" + good,
		"no signature": url + "?temp_url_expires=1", "no expiry": url + "?temp_url_sig=" + strings.Repeat("0", 40), "odd length": url + "?temp_url_expires=9999999999&temp_url_sig=00",
		"unknown digest": url + "?temp_url_expires=9999999999&temp_url_sig=md5:AAAA", "not hex": url + "?temp_url_expires=9999999999&temp_url_sig=" + strings.Repeat("x", 64),
		"wrong key": url + "?" + w.linkTo("GET", path, "other"), "for PUT": url + "?" + w.linkTo("DELETE", path, "con1"), "empty": url + "?temp_url_sig=&temp_url_expires=",
		"changed prefix": url + "?" + good + "&temp_url_prefix=dir", "changed range": url + "?" + good + "&temp_url_ip_range=127.0.0.1",
	} {
		a := w.as("", "GET", bad, "").want(401)
		if a.body != "401 Unauthorized: Temp URL invalid\n" || !strings.HasPrefix(a.header.Get("Www-Authenticate"), "Swift realm=") {
			t.Errorf("%s: %q %v", name, a.body, a.header)
		}
	}
	w.as("", "GET", "/v1/AUTH_other/c/dir/o%20x?"+good, "").want(401)
	w.clock.Advance(2 * time.Hour)
	w.as("", "GET", url+"?"+good, "").want(401)
}

func TestFormsOfSignedLinks(t *testing.T) {
	w := newSignedWorld(t)
	const path, url = "/v1/AUTH_test/c/dir/o x", "c/dir/o%20x?"
	until := w.clock.Now().Add(time.Hour).UTC().Truncate(time.Second)
	text := func(method, what string) string { return fmt.Sprintf("%s\n%d\n%s", method, until.Unix(), what) }
	expires := fmt.Sprintf("&temp_url_expires=%d", until.Unix())
	for _, d := range digestNames {
		raw, _ := hex.DecodeString(sign(d, "con1", text("GET", path)))
		w.as("", "GET", url+"temp_url_sig="+sign(d, "con1", text("GET", path))+expires, "").want(200)
		for _, form := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
			sig := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(form.EncodeToString(raw))
			w.as("", "GET", url+"temp_url_sig="+d+":"+sig+expires, "").want(200)
		}
	}
	w.as("", "GET", url+"temp_url_sig="+sign("sha256", "con1", text("GET", path))+"&temp_url_expires="+until.Format("2006-01-02T15:04:05Z"), "").want(200)
	w.as("", "GET", url+"temp_url_sig="+sign("sha256", "con1", text("GET", path))+"&temp_url_expires="+until.Format("2006-01-02T15:04:05"), "").want(401)
	prefixed := "temp_url_prefix=dir/&temp_url_sig=" + sign("sha1", "con1", text("GET", "prefix:/v1/AUTH_test/c/dir/")) + expires
	w.as("", "GET", url+prefixed, "").want(200)
	w.as("", "GET", "c/di?"+prefixed, "").want(401)
	w.as("", "GET", "c/dir/absent?"+prefixed, "").want(404)
	w.as("", "GET", url+"temp_url_prefix=&temp_url_sig="+sign("sha1", "con1", text("GET", "prefix:/v1/AUTH_test/c/"))+expires, "").want(200)
	for network, status := range map[string]int{"127.0.0.1": 200, "127.0.0.0/8": 200, "127.0.0.1/8": 401, "10.0.0.0/8": 401, "x": 401, "::1": 401} {
		sig := sign("sha256", "con1", "ip="+network+"\n"+text("GET", path))
		w.as("", "GET", url+"temp_url_ip_range="+network+"&temp_url_sig="+sig+expires, "").want(status)
	}
}

func TestWhatASignedLinkMayDo(t *testing.T) {
	w := newSignedWorld(t)
	const path, url = "/v1/AUTH_test/c/new", "c/new?"
	put := w.linkTo("PUT", path, "con1")
	w.as("", "PUT", url+put, "x", "X-Object-Meta-A", "b").want(201)
	w.do("GET", "c/new", "").want(200).is("x").has("X-Object-Meta-A", "b")
	w.as("", "GET", url+put, "").want(401)
	w.as("", "HEAD", url+put, "").want(200)
	w.as("", "HEAD", url+w.linkTo("DELETE", path, "con1"), "").want(401)
	for _, name := range []string{"X-Object-Manifest", "X-Symlink-Target", "X-Copy-From"} {
		w.as("", "PUT", url+put, "x", name, "c/dir/o x").want(400).is("The header '" + name + "' is not allowed in this tempurl")
	}
	w.as("", "PUT", url+put+"&multipart-manifest=put", "[]").want(201) // the parameter is not seen
	w.as("", "POST", url+w.linkTo("POST", path, "con2"), "", "X-Object-Meta-B", "c").want(202)
	w.as("", "DELETE", url+w.linkTo("DELETE", path, "acc2"), "").want(204)
	w.as("", "DELETE", url+w.linkTo("DELETE", path, "acc2"), "").want(404)
	w.as("", "COPY", url+w.linkTo("COPY", path, "acc1"), "", "Destination", "d/x").want(401)
	w.as("", "PUT", "absent/o?"+w.linkTo("PUT", "/v1/AUTH_test/absent/o", "acc1"), "x").want(404)
	w.as("", "PUT", "c?"+w.linkTo("PUT", "/v1/AUTH_test/c", "acc1"), "").want(401)
}

// formOf is a browser's form: name, value, and for files "file:NAME", content.
func formOf(t *testing.T, fields ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		var err error
		if name, ok := strings.CutPrefix(fields[i], "file:"); ok {
			part, inner := m.CreateFormFile("file", name)
			_, err = part.Write([]byte(fields[i+1]))
			if inner != nil {
				err = inner
			}
		} else {
			err = m.WriteField(fields[i], fields[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), m.FormDataContentType()
}

func TestForms(t *testing.T) {
	w := newSignedWorld(t)
	until := fmt.Sprint(w.clock.Now().Add(time.Hour).Unix())
	post := func(path, key, redirect, size, count, expires string, rest ...string) *answer {
		t.Helper()
		sig := sign("sha512", key, strings.Join([]string{"/v1/AUTH_test/" + path, redirect, size, count, expires}, "\n"))
		fields := append([]string{"redirect", redirect, "max_file_size", size, "max_file_count", count, "expires", expires, "signature", sig}, rest...)
		body, kind := formOf(t, fields...)
		return w.as("", "POST", path, body, "Content-Type", kind)
	}
	post("c/in/", "con1", "", "10", "2", until, "x_delete_after", "60", "file:a b.txt", "first", "file:sub/é", "second").want(201).is("201 Created")
	w.do("GET", "c/in/a%20b.txt", "").want(200).is("first").has("X-Delete-At", "*", "Content-Type", "application/octet-stream")
	w.do("GET", "c/in/sub/%C3%A9", "").want(200).is("second")
	post("c", "acc1", "", "10", "1", until, "file:root", "x").want(201)
	w.do("GET", "c/root", "").want(200)
	post("c/", "acc1", "", "10", "1", until, "content-type", "text/odd", "file:typed", "x").want(201)
	w.do("GET", "c/typed", "").want(200).has("Content-Type", "text/odd")

	noFollow(w)
	post("c/", "con1", "http://x/done?a=b", "10", "1", until, "file:r", "x").want(303).has("Location", "http://x/done?a=b&status=201&message=")
	post("c/", "con1", "http://x/done", "10", "1", until, "file:r", "x", "file:s", "x").want(303).has("Location", "http://x/done?status=400&message=max%20file%20count%20exceeded")

	post("c/", "con1", "", "3", "1", until, "file:long", "four").want(400).is("FormPost: max_file_size exceeded")
	w.do("HEAD", "c/long", "").want(404)
	post("c/", "con1", "", "3", "1", until, "file:a", "a", "file:b", "b").want(400).contains("FormPost: Max File Count Exceeded")
	post("c/", "con1", "", "3", "1", until).want(400).contains("FormPost: No Files To Process")
	post("c/", "con1", "", "x", "1", until, "file:a", "a").want(400).is("FormPost: max_file_size not an integer")
	post("c/", "con1", "", "3", "x", until, "file:a", "a").want(400).is("FormPost: max_file_count not an integer")
	post("c/", "con1", "", "3", "1", "1", "file:a", "a").want(401).is("FormPost: Form Expired")
	post("c/", "wrong", "", "3", "1", until, "file:a", "a").want(401).is("FormPost: Invalid Signature")
	post("d/", "con1", "", "3", "1", until, "file:a", "a").want(401).is("FormPost: Invalid Signature")
	post("c/", "con1", "", "3", "1", until, "x_delete_at", "soon", "file:a", "a").want(400)
	post("absent/", "acc1", "", "3", "1", until, "file:a", "a").want(404)
	w.as("", "POST", "c/", "nonsense", "Content-Type", "multipart/form-data; boundary=b").want(400).is("FormPost: invalid starting boundary")
	w.as("", "POST", "c/", "--b\r\nContent-Disposition: form-data; name=x\r\n\r\nbroken", "Content-Type", "multipart/form-data; boundary=b").want(400)
	w.do("GET", "c?prefix=b", "").want(204) // nothing of what was refused is there
}

func FuzzSignature(f *testing.F) {
	f.Add(strings.Repeat("0", 40))
	f.Add("sha256:AAAA")
	f.Add("sha512:" + strings.Repeat("_", 86) + "==")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parseSignature(text)
		if ok && (digests[s.digest] == nil || s.by("key", "text") && !strings.Contains(text, hex.EncodeToString(s.sum)[:2]) && !strings.Contains(text, ":")) {
			t.Fatalf("%q: %+v", text, s)
		}
	})
}

// FuzzLink asks by any query: never is anything given without a signature by a key.
func FuzzLink(f *testing.F) {
	f.Add("temp_url_sig=00&temp_url_expires=9999999999")
	f.Add("temp_url_sig=sha1:&temp_url_expires=2099-1-1T0:0:0Z&temp_url_prefix=&inline")
	f.Add("temp_url_expires=99999999999999999999&temp_url_ip_range=0.0.0.0/0&temp_url_sig=" + strings.Repeat("a", 128))
	w := newWorld(f)
	w.do("PUT", "c", "", "X-Container-Meta-Temp-URL-Key", "k").want(201)
	w.do("PUT", "c/o", "secret").want(201)
	f.Fuzz(func(t *testing.T, query string) {
		w.t = t
		if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
			return
		}
		if a := w.as("", "GET", "c/o?"+query, ""); a.status != 401 && a.status != 400 {
			t.Fatalf("%q: %d", query, a.status)
		}
	})
}

// FuzzForm posts any body as a form that nobody signed.
func FuzzForm(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"max_file_count\"\r\n\r\n9\r\n--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\ndata\r\n--b--\r\n"))
	f.Add([]byte("--b\r\n\r\n--b--"))
	w := newWorld(f)
	w.do("PUT", "c", "", "X-Container-Meta-Temp-URL-Key", "k").want(201)
	f.Fuzz(func(t *testing.T, body []byte) {
		w.t = t
		if a := w.as("", "POST", "c/", string(body), "Content-Type", "multipart/form-data; boundary=b"); a.status != 400 && a.status != 401 {
			t.Fatalf("%q: %d %s", body, a.status, a.body)
		}
		if a := w.do("GET", "c", ""); a.status != 204 {
			t.Fatalf("%q stored %s", body, a.body)
		}
	})
}
