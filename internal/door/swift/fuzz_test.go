package swift

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pithos/internal/object"
)

// odd tells whether text cannot stand in a request line or a header, so that no client of net/http could send it.
func odd(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.TrimSpace(text) != text
}

// FuzzPath asks for any path: strangers learn nothing by it, and no path is a fault of the service.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/v1/AUTH_test/c/o", "/v1/AUTH_test/c/%FF", "/v1//", "/v1/AUTH_test/c%2Fo/%", "//v1", "/v1/AUTH_test/../AUTH_other/c/o", "/v1/AUTH_other%2Fc%2Fo", "/v1.0/AUTH_test/%00"} {
		f.Add(seed)
	}
	w := newWorld(f)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/o", "mine").want(201)
	w.as("other", "PUT", "/v1/AUTH_other/c", "").want(201)
	w.as("other", "PUT", "/v1/AUTH_other/c/o", "theirs").want(201)
	f.Fuzz(func(t *testing.T, path string) {
		w.t = t
		if odd(path) || strings.ContainsAny(path, " ?#") || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
			return
		}
		if a := w.do("GET", path, ""); a.status >= 500 || strings.Contains(a.body, "theirs") {
			t.Fatalf("%q: %d %s", path, a.status, a.body)
		}
		if a := w.as("", "GET", path, ""); a.status >= 500 || strings.Contains(a.body, "mine") {
			t.Fatalf("%q for a stranger: %d %s", path, a.status, a.body)
		}
	})
}

// FuzzArchiveNames extracts a file of any name below a container: it comes to lie there or nowhere.
func FuzzArchiveNames(f *testing.F) {
	for _, seed := range []string{"o", "../victim/o", "/../../AUTH_other/c/o", "./././a", "a//b", "..", "\xff", "a\x00b", strings.Repeat("x", 1100), "dir/"} {
		f.Add(seed)
	}
	w := newWorld(f)
	w.do("PUT", "base", "").want(201)
	w.do("PUT", "victim", "").want(201)
	w.do("PUT", "victim/o", "safe").want(201)
	f.Fuzz(func(t *testing.T, name string) {
		w.t = t
		var b bytes.Buffer
		packer := tar.NewWriter(&b)
		if packer.WriteHeader(&tar.Header{Name: name, Size: 4, Mode: 0o600, Typeflag: tar.TypeReg}) != nil {
			return
		}
		if _, err := packer.Write([]byte("evil")); err != nil {
			return
		}
		if err := packer.Close(); err != nil {
			t.Fatal(err)
		}
		if a := w.do("PUT", "base?extract-archive=tar", b.String()); a.status != 200 || !strings.Contains(a.body, "Response Status: ") || strings.Contains(a.body, "Response Status: 5") {
			t.Fatalf("%q: %d %s", name, a.status, a.body)
		}
		w.do("GET", "", "").want(200).is("base\nvictim\n")
		w.do("GET", "victim", "").want(200).is("o\n")
		w.do("GET", "victim/o", "").want(200).is("safe")
	})
}

// FuzzNamesToDelete deletes by any list: the answer is a report, and other accounts keep what they have.
func FuzzNamesToDelete(f *testing.F) {
	for _, seed := range []string{"c/o\n", "%FF/x", "/c/%2e%2e/o\r\n\r\n", "../AUTH_other/c/o", "c%2Fo", "%00", strings.Repeat("y", 3000)} {
		f.Add([]byte(seed))
	}
	w := newWorld(f)
	w.as("other", "PUT", "/v1/AUTH_other/c", "").want(201)
	w.as("other", "PUT", "/v1/AUTH_other/c/o", "theirs").want(201)
	f.Fuzz(func(t *testing.T, list []byte) {
		w.t = t
		if len(list) == 0 {
			return
		}
		if a := w.do("POST", "?bulk-delete", string(list)); a.status != 200 || !strings.Contains(a.body, "Response Status: ") || strings.Contains(a.body, "Response Status: 5") {
			t.Fatalf("%q: %d %s", list, a.status, a.body)
		}
		w.as("other", "GET", "/v1/AUTH_other/c/o", "").want(200).is("theirs")
	})
}

// FuzzRanges reads any ranges of an object and of a large one: each part is what it says.
func FuzzRanges(f *testing.F) {
	for _, seed := range []string{"bytes=0-0", "bytes=-5,3-4", "bytes=25-", "bytes=26-", "bytes=1-2,2-1", "bytes=99999999999999999999-", "bytes=,0-1,"} {
		f.Add(seed)
	}
	const alphabet = "abcdefghijklmnopqrstuvwxyz"
	w := newWorld(f)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/o", alphabet).want(201)
	w.do("PUT", "c/a", alphabet[:10]).want(201)
	w.do("PUT", "c/b", alphabet[10:]).want(201)
	w.do("PUT", "c/large?multipart-manifest=put", `[{"path":"/c/a"},{"path":"/c/b"}]`).want(201)
	f.Fuzz(func(t *testing.T, header string) {
		w.t = t
		if odd(header) {
			return
		}
		for _, name := range []string{"c/o", "c/large"} {
			a := w.do("GET", name, "", "Range", header)
			var first, last, size int
			n, _ := fmt.Sscanf(a.header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size)
			switch {
			case a.status == 200 && a.body == alphabet, a.status == 416:
			case a.status == 206 && n == 3 && size == len(alphabet) && 0 <= first && first <= last && last < size && a.body == alphabet[first:last+1]:
			case a.status == 206 && strings.HasPrefix(a.header.Get("Content-Type"), "multipart/byteranges"):
			default:
				t.Fatalf("%s of %q: %d %v %q", header, name, a.status, a.header, a.body)
			}
		}
	})
}

// FuzzTimes reads any text where a time or a version stands.
func FuzzTimes(f *testing.F) {
	for _, seed := range []string{"1", "-1", "9999999999", "99999999999999999999", "1700000000.12345", "2026-1-2T3:4:5Z", "2026-13-40T99:00:00Z", "0x10", " 7 ", "1_0", "null", ".5", "1e9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := seconds(text); err == nil && n > deleteAtMax {
			t.Fatalf("%q is %d", text, n)
		}
		if id, ok := parseVersion(text); ok {
			if again, ok := parseVersion(versionName(id)); !ok || again != id {
				t.Fatalf("%q is version %d, which is shown as %q", text, id, versionName(id))
			}
		} else if id != object.VersionID(0) && text == versionName(id) {
			t.Fatalf("%q is shown and not read", text)
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && parseExpiry(text) != n {
			t.Fatalf("%q expires at %d", text, parseExpiry(text))
		}
	})
}

// FuzzPutHeaders sends any text in the headers that a PUT reads: it is stored whole or refused as the client's fault.
func FuzzPutHeaders(f *testing.F) {
	for i, seed := range []string{"c/p", "c/p?x", "%FF/%00", "/c/o", "c/../o", "soon", "-1", "text/plain; swift_bytes=1", "\xff", `"d41d8cd98f00b204e9800998ecf8427e"`, "*"} {
		f.Add(uint8(i), seed)
	}
	headers := []string{
		"X-Object-Manifest", "X-Symlink-Target", "X-Symlink-Target-Account", "X-Symlink-Target-Etag", "X-Delete-At", "X-Delete-After", "Content-Type", "Etag", "X-Copy-From",
		"If-None-Match", "X-Object-Meta-A", "X-Timestamp", "X-Container-Read", "Content-Disposition",
	}
	w := newWorld(f)
	w.do("PUT", "c", "").want(201)
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		w.t = t
		if odd(text) {
			return
		}
		name := headers[int(which)%len(headers)]
		a := w.do("PUT", "c/o", "", name, text)
		if a.status != 201 && (a.status < 400 || a.status >= 500) {
			t.Fatalf("%s %q: %d %s", name, text, a.status, a.body)
		}
		listed := w.do("GET", "c", "").body == "o\n"
		if listed != (a.status == 201) && !(a.status == 201 && strings.HasPrefix(name, "X-Delete")) {
			t.Fatalf("%s %q: %d, and stored is %v", name, text, a.status, listed)
		}
		w.do("DELETE", "c/o", "")
	})
}

// FuzzAccept chooses the form of a listing by any header.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"text/plain;q=0.1,application/json", "*/*;q=0", "application/xml;q=2", "a", ";;", "text/*;q=nan", `text/plain; x="`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := (&call{}).accepts(text)
		if err == nil {
			_ = got.contentType()
		} else if status := faultOf(err).status; status != 400 && status != 406 {
			t.Fatalf("%q: %d", text, status)
		}
	})
}
