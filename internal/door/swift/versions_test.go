package swift

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// versionsOf lists versions: names with ids and whether they are the newest.
func (w *world) versionsOf(container string) (list []map[string]any) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.do("GET", container+"?versions", "").want(200).body), &list); err != nil {
		w.t.Fatal(err)
	}
	return list
}

func TestVersionsOfObjects(t *testing.T) {
	w := newWorld(t)
	put := func(body string) string {
		w.clock.Advance(time.Second)
		return w.do("PUT", "c/o", body).want(201).has("X-Object-Version-Id", "*").header.Get("X-Object-Version-Id")
	}
	w.do("PUT", "c", "", "X-Versions-Enabled", "true").want(201)
	w.do("HEAD", "c", "").want(204).has("X-Versions-Enabled", "True")
	one, two := put("one"), put("two")
	w.do("GET", "c/o", "").want(200).is("two").has("X-Object-Version-Id", two, "Content-Location", "/v1/AUTH_test/c/o?version-id="+two)
	w.do("GET", "c/o?version-id="+one, "").want(200).is("one").has("X-Object-Version-Id", one)
	w.do("POST", "c/o", "", "X-Object-Meta-K", "v").want(202) // changes the version
	w.do("GET", "c/o?version-id="+two, "").want(200).is("two").has("X-Object-Meta-K", "v")
	w.do("PUT", "c/o?version-id="+one, "").want(201)
	w.do("GET", "c/o", "").want(200).is("one").has("X-Object-Version-Id", one)
	if list := w.versionsOf("c"); len(list) != 2 || list[0]["version_id"] != two || list[0]["is_latest"] != false || list[1]["is_latest"] != true {
		t.Errorf("versions %v", list)
	}
	w.do("DELETE", "c/o?version-id="+one, "").want(204).has("X-Object-Version-Id", one, "X-Object-Current-Version-Id", "null")
	w.do("GET", "c/o", "").want(404) // no older version takes its place
	w.do("GET", "c/o?version-id="+two, "").want(200).is("two")
	w.do("DELETE", "c/o", "").want(404).has("X-Object-Version-Id", "*")
	if list := w.versionsOf("c"); len(list) != 2 || list[0]["content_type"] != markerType {
		t.Errorf("versions %v", list)
	}
	w.do("DELETE", "c", "").want(409).contains("Delete all versions before deleting container.")
	for _, v := range w.versionsOf("c") {
		w.do("DELETE", "c/o?version-id="+v["version_id"].(string), "").want(204)
	}
	w.do("DELETE", "c", "").want(204)
}

func TestVersionsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "plain", "").want(201)
	w.do("PUT", "plain/o", "x").want(201)
	w.do("GET", "plain/o?version-id=1.0", "").want(400)
	w.do("GET", "plain/o?version-id=null", "").want(200)
	w.do("PUT", "c", "", "X-Versions-Enabled", "true").want(201)
	id := w.do("PUT", "c/o", "x").want(201).header.Get("X-Object-Version-Id")
	w.do("GET", "c/o?version-id=x", "").want(400)
	w.do("GET", "c/o?version-id=1.0", "").want(404)
	w.do("POST", "c/o?version-id="+id, "").want(400)
	w.do("PUT", "c/o?version-id="+id, "body").want(400)
	w.do("GET", "c?versions&version_marker=1.0", "").want(400)
	w.do("GET", "c?versions&delimiter=1", "").want(400)
	w.do("GET", "c?versions", "", "Accept", "text/plain").want(406)
	w.do("POST", "c", "", "X-Container-Read", "test:joe").want(204)
	w.as("joe", "GET", "c/o", "").want(200)
	w.as("joe", "GET", "c/o?version-id="+id, "").want(403)
	w.do("POST", "c", "", "X-Versions-Location", "archive").want(400)
	w.do("POST", "c", "", "X-Versions-Enabled", "false").want(204)
	w.do("PUT", "c/o", "null").want(201).has("X-Object-Version-Id", "")
	w.do("GET", "c/o", "").want(200).has("X-Object-Version-Id", "null")
	w.do("DELETE", "c/o", "").want(204)
	w.do("GET", "c/o", "").want(404)
	w.do("GET", "c/o?version-id="+id, "").want(200).is("x")
}

func TestArchives(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "archive", "").want(201)
	w.do("PUT", "c", "", "X-Versions-Location", "archive", "X-History-Location", "archive").want(400)
	w.do("PUT", "c", "", "X-Versions-Location", "a/b").want(412)
	w.do("PUT", "c", "", "X-Versions-Location", "archive", "X-Container-Write", "test:joe").want(201)
	w.do("HEAD", "c", "").want(204).has("X-Versions-Location", "archive")
	for _, body := range []string{"one", "two", "three"} {
		w.clock.Advance(time.Second)
		w.as("joe", "PUT", "c/o", body).want(201) // rights in the archive are not needed
	}
	w.do("GET", "archive", "").want(200).contains("001o/")
	w.as("joe", "DELETE", "c/o", "").want(204)
	w.do("GET", "c/o", "").want(200).is("two")
	w.do("DELETE", "c/o", "").want(204)
	w.do("GET", "c/o", "").want(200).is("one")
	w.do("DELETE", "c/o", "").want(204)
	w.do("GET", "c/o", "").want(404)
	w.do("GET", "archive", "").want(204)

	w.do("POST", "c", "", "X-History-Location", "archive").want(204)
	w.do("HEAD", "c", "").want(204).has("X-History-Location", "archive", "X-Versions-Location", "")
	w.clock.Advance(time.Second)
	w.do("PUT", "c/o", "four").want(201)
	w.clock.Advance(time.Second)
	w.do("DELETE", "c/o", "").want(204)
	w.do("GET", "archive?format=json", "").want(200).contains(markerType)
	w.do("POST", "c", "", "X-Versions-Location", "archive").want(204)
	w.do("DELETE", "c/o", "").want(204) // the state before the deletion
	w.do("GET", "c/o", "").want(200).is("four")
	w.do("POST", "c", "", "X-Versions-Location", "none").want(204)
	w.do("PUT", "c/o", "five").want(412)
	w.do("POST", "c", "", "X-Remove-Versions-Location", "x").want(204)
	w.do("PUT", "c/o", "five").want(201)
}

// TestVersionsBack compares lists of versions with reverse=true, in pages of any size, with the list in ascending order.
func TestVersionsBack(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "", "X-Versions-Enabled", "true").want(201)
	for i, name := range []string{"a", "b/1", "b/2", "c", "b/1", "a", "c", "c", "d/x"} {
		w.clock.Advance(time.Second)
		w.do("PUT", "c/"+name, "x").want(201)
		switch i {
		case 3:
			w.do("DELETE", "c/c", "").want(204)
		case 5:
			w.do("POST", "c/a", "", "X-Object-Meta-K", "v").want(202) // a later state of the version
		}
	}
	list := func(query string) (list []map[string]any) {
		if err := json.Unmarshal([]byte(w.do("GET", "c?versions"+query, "").want(200).body), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	for _, more := range []string{"", "&delimiter=/", "&prefix=b/", "&prefix=b"} {
		want := list(more)
		slices.Reverse(want)
		for limit := 1; limit <= len(want)+1; limit++ {
			var got []map[string]any
			query := more + "&reverse=true&limit=" + strconv.Itoa(limit)
			for page := list(query); len(page) > 0 && len(got) < len(want); {
				if len(page) > limit {
					t.Fatalf("%s: %d entries", query, len(page))
				}
				got = append(got, page...)
				last := page[len(page)-1]
				if last["subdir"] != nil {
					page = list(query + "&marker=" + last["subdir"].(string))
				} else {
					page = list(query + "&marker=" + last["name"].(string) + "&version_marker=" + last["version_id"].(string))
				}
			}
			for _, each := range slices.Concat(got, want) {
				delete(each, "is_latest") // which is not known behind a version marker
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (- want, + got):\n%s", query, diff)
			}
		}
	}
}
