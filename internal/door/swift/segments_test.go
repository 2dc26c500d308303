package swift

import (
	"net/http"
	"strings"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/naming"
)

// Swift's s3api keeps what is uploaded in parts in a container of its own. Who looks there sees it here too, and sees it go.
func TestOpenUploadsShowAsSwiftsSegments(t *testing.T) {
	w := newWorld(t)
	who := backend.Caller{Principal: access.Principal{Account: "test", User: "test:admin", Canonical: "canonical-test", Admin: true}}
	w.do("GET", "c+segments", "").want(404)
	w.do("PUT", "c", "").want(201)
	w.do("GET", "c+segments", "").want(204).has("X-Container-Object-Count", "0", "X-Container-Bytes-Used", "0")
	ids := map[string]string{}
	for _, name := range []string{"a", "a-b"} { // whose uploads sort the other way round
		u, err := w.b.BeginUpload(t.Context(), who, backend.NewUpload{Container: backendRef("c"), Name: naming.ObjectName(name)})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = u.ID
		for n := 1; n <= 2; n++ {
			_, _, err := w.b.PutPart(t.Context(), who, backend.PartRequest{
				Container: backendRef("c"), Name: u.Name, Upload: u.ID, Number: n, Body: backend.Body{Reader: strings.NewReader("hello"), Size: 5},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	a, ab := "a/"+ids["a"], "a-b/"+ids["a-b"]
	w.do("GET", "c%2Bsegments", "").want(200).has("X-Container-Object-Count", "6", "X-Container-Bytes-Used", "20").
		is(strings.Join([]string{ab, ab + "/1", ab + "/2", a, a + "/1", a + "/2", ""}, "\n"))
	w.do("HEAD", "c+segments", "").want(204).has("X-Container-Object-Count", "6")
	w.do("GET", "c+segments?prefix="+a+"/&limit=1", "").want(200).is(a + "/1\n")
	w.do("GET", "c+segments?delimiter=/", "").want(200).is("a-b/\na/\n")
	w.do("GET", "c+segments?reverse=on&limit=2", "").want(200).is(a + "/2\n" + a + "/1\n")
	w.do("GET", "c+segments?marker="+a+"/1", "").want(200).is(a + "/2\n")
	w.do("GET", "c+segments?path=a", "").want(200).is(a + "\n")
	w.do("GET", "c+segments?format=json&prefix="+a+"/2", "").want(200).contains(`"bytes":5`, `"hash":"5d41402abc4b2a76b9719d911017c592"`, `"name":"`+a+`/2"`)
	w.as("other", "GET", "c+segments", "").want(http.StatusForbidden)
	w.as("", "GET", "c+segments", "").want(http.StatusUnauthorized)
	w.do("GET", "+segments", "").want(404)
	if err := w.b.AbortUpload(t.Context(), who, backendRef("c"), "a", ids["a"]); err != nil {
		t.Fatal(err)
	}
	w.do("GET", "c+segments?prefix=a/", "").want(204)

	w.do("PUT", "c+segments", "").want(201) // a container of that name is one like any other
	w.do("GET", "c+segments", "").want(204).has("X-Container-Object-Count", "0")
}
