package swift

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// noFollow lets redirects come back.
func noFollow(w *world) {
	w.srv.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

// archive is a tar archive: name, content; a name that ends with "/" is a directory.
func archive(t testing.TB, entries ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		h := &tar.Header{Name: entries[i], Size: int64(len(entries[i+1])), Mode: 0o600, Typeflag: tar.TypeReg}
		if strings.HasSuffix(h.Name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if strings.HasSuffix(h.Name, ".meta") {
			h.PAXRecords = map[string]string{"SCHILY.xattr.user.mime_type": "text/pax", "SCHILY.xattr.user.meta.colour": "red"}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(entries[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func packed(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestArchivesAreExtracted(t *testing.T) {
	w := newWorld(t)
	tarball := archive(t, "dir/", "", "./c1/a", "alpha", "/c1/deep/../b", "beta", "lonely", "x", "c2/p.meta", "{}")
	w.do("PUT", "?extract-archive=tar", tarball, "X-Object-Meta-All", "x", "X-Delete-After", "100").want(200).has("Content-Type", "text/plain; charset=utf-8").
		is("Number Files Created: 3\nResponse Body: \nResponse Status: 201 Created\nErrors:\n")
	w.do("GET", "c1/a", "").want(200).is("alpha").has("X-Object-Meta-All", "x", "X-Delete-At", "*")
	w.do("GET", "c1/deep/../b", "").want(200).is("beta") // a name like any other
	w.do("GET", "c2/p.meta", "").want(200).has("Content-Type", "text/pax", "X-Object-Meta-Colour", "red")
	w.do("PUT", "c3/in?extract-archive=tar.gz", packed(t, tarball), "Accept", "application/json").want(200).contains(`"Number Files Created":4`, `"Response Status":"201 Created"`, `"Errors":[]`)
	w.do("GET", "c3/in/c1/a", "").want(200).is("alpha")
	w.do("GET", "c3/in/lonely", "").want(200).is("x")
	w.do("PUT", "c4?extract-archive=.TAR", tarball, "Accept", "application/xml").want(200).contains("<extract>\n<number_files_created>4</number_files_created>\n", "<errors>\n</errors>\n</extract>\n")

	w.do("PUT", "c?extract-archive=zip", "x").want(400).is("Unsupported archive format")
	w.do("PUT", "c?extract-archive=tar", "nonsense").want(200).contains("Response Status: 400 Bad Request", "Invalid Tar File")
	w.do("PUT", "c?extract-archive=tar.gz", "nonsense").want(200).contains("Response Status: 400 Bad Request", "Invalid Tar File")
	w.do("PUT", "c?extract-archive=tar.bz2", "nonsense").want(200).contains("Response Status: 400 Bad Request", "Invalid Tar File")
	w.do("PUT", "c1?extract-archive=tar", tarball[:700]).want(200).contains("Response Status: 400 Bad Request")
	w.do("PUT", "?extract-archive=tar", archive(t, "file", "x")).want(200).contains("Invalid Tar File: No Valid Files")
	w.do("PUT", "?extract-archive=tar", tarball, "Accept", "image/png").want(200).contains("Response Status: 406 Not Acceptable")
	w.as("", "PUT", "c1?extract-archive=tar", archive(t, "evil", "x")).want(200).contains("Response Status: 401 Unauthorized")
	w.as("other", "PUT", "c1?extract-archive=tar", archive(t, "evil", "x")).want(200).contains("/v1/AUTH_test/c1, 403 Forbidden", "c1/evil, 403 Forbidden")
	w.do("HEAD", "c1/evil", "").want(404)
	w.do("PUT", "c1?extract-archive=tar", archive(t, "bad\xff", "x", "big", strings.Repeat("x", 1<<20+1), "ok", "y")).want(200).
		contains("Number Files Created: 1\n", "c1/bad%FF, 412 Precondition Failed\n", "c1/big, 413 Request Entity Too Large\n")
	w.do("GET", "c1/ok", "").want(200).is("y")
}

func TestABombIsPutOut(t *testing.T) {
	b := &bounded{r: zeros{}, packed: &counted{n: 10}}
	var err error
	buf := make([]byte, 1<<20)
	n := int64(0)
	for err == nil {
		var k int
		k, err = b.Read(buf)
		n += int64(k)
	}
	if n > expansionLimit(10) || !strings.Contains(err.Error(), "expands") {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestBulkDelete(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "full", "").want(201)
	for _, name := range []string{"c/a", "c/b%20%C3%A9", "full/x"} {
		w.do("PUT", name, "x").want(201)
	}
	w.do("POST", "?bulk-delete", "c\n/c/a\nc/b%20%C3%A9\nc/absent\n\nfull\n", "Content-Type", "text/plain").want(200).
		is("Number Deleted: 3\nNumber Not Found: 1\nResponse Body: \nResponse Status: 400 Bad Request\nErrors:\nfull, 409 Conflict\n")
	w.do("HEAD", "c", "").want(404)
	w.do("DELETE", "?bulk-delete", "full/x\nfull", "Accept", "application/json").want(200).contains(`"Number Deleted":2`, `"Response Status":"200 OK"`)
	w.do("PUT", "old", "").want(201)
	w.do("PUT", "stack", "", "X-Versions-Location", "old").want(201)
	for _, body := range []string{"one", "two", "three"} {
		w.clock.Advance(time.Second)
		w.do("PUT", "stack/o", body).want(201)
	}
	w.do("POST", "?bulk-delete", "stack/o\n/stack/o\nstack/absent").want(200).contains("Number Deleted: 2\nNumber Not Found: 1\n")
	w.do("GET", "stack/o", "").want(200).is("one") // the second deletion came after the first
	w.do("POST", "?bulk-delete", "absent/x", "Accept", "text/xml").want(200).has("Content-Type", "text/xml; charset=utf-8").
		contains("<delete>\n<number_deleted>0</number_deleted>\n<number_not_found>1</number_not_found>")
	w.do("POST", "?bulk-delete", "\n \n").want(200).contains("Invalid bulk delete.", "Response Status: 400 Bad Request")
	w.do("POST", "?bulk-delete", "x", "Content-Type", "application/json").want(200).contains("Response Status: 406 Not Acceptable")
	w.do("POST", "?bulk-delete", strings.Repeat("x", 20000)).want(200).contains("Invalid File Name")
	w.do("POST", "?bulk-delete", strings.Repeat("c/x\n", bulkDeletesMax+1)).want(200).contains("Response Status: 413", "Maximum Bulk Deletes: 10000 per request")
	w.do("POST", "?bulk-delete", "%FF/x\n").want(200).contains("%FF/x, 412 Precondition Failed")
	w.do("PUT", "safe", "").want(201)
	w.as("", "POST", "?bulk-delete", "safe").want(200).contains("safe, 401 Unauthorized")
	w.as("other", "POST", "?bulk-delete", "safe").want(200).contains("safe, 403 Forbidden")
	w.do("HEAD", "safe", "").want(204)
}

// FuzzArchive extracts anything: the answer is always a report.
func FuzzArchive(f *testing.F) {
	f.Add([]byte(archive(f, "c/a", "x", "b", "y")), "tar")
	f.Add([]byte(packed(f, archive(f, "../c/a", "x"))), "tar.gz")
	f.Add([]byte("BZh91AY&SY"), "tar.bz2")
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, data []byte, kind string) {
		w.t = t
		if kind != "tar" && kind != "tar.gz" && kind != "tar.bz2" {
			return
		}
		a := w.do("PUT", fmt.Sprintf("base?extract-archive=%s", kind), string(data))
		if a.status != 200 || !strings.Contains(a.body, "Response Status: ") || strings.Contains(a.body, "500 Internal") {
			t.Fatalf("%d %s", a.status, a.body)
		}
	})
}
