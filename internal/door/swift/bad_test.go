package swift

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// metaOf is n metadata headers of a kind, each with a value of size bytes.
func metaOf(kind string, n, size int) (headers []string) {
	for i := range n {
		headers = append(headers, "X-"+kind+"-Meta-N"+strconv.Itoa(i), strings.Repeat("v", size))
	}
	return headers
}

// nothing demands that the account is as new.
func (w *world) nothing() {
	w.t.Helper()
	w.do("GET", "", "").want(204).is("").has("X-Account-Container-Count", "0", "X-Account-Object-Count", "0", "X-Account-Bytes-Used", "0")
}

func TestBadNamesMakeNothing(t *testing.T) {
	w := newWorld(t)
	long, longer := strings.Repeat("c", 256), strings.Repeat("c", 257)
	for _, method := range []string{"PUT", "POST", "GET", "HEAD", "DELETE"} {
		for path, want := range map[string]struct {
			status int
			body   string
		}{
			longer:                           {400, "Container name length of 257 longer than 256"},
			longer + "/o":                    {400, "Container name length of 257 longer than 256"},
			"c/" + strings.Repeat("o", 1025): {400, "Object name length of 1025 longer than 1024"},
			"%FF":                            {412, "Invalid UTF8 or contains NULL"},
			"%ED%A0%80":                      {412, "Invalid UTF8 or contains NULL"}, // half of a surrogate pair
			"%C0%AF/o":                       {412, "Invalid UTF8 or contains NULL"}, // "/" in too many bytes
			"c/%C3":                          {412, "Invalid UTF8 or contains NULL"},
			"c/a%00b":                        {412, "Invalid UTF8 or contains NULL"},
		} {
			a := w.do(method, path, "").want(want.status)
			if method != "HEAD" {
				a.is(want.body)
			}
			w.as("AUTH_tkforged", method, path, "").want(401) // who has no good token learns nothing of names
		}
		w.do(method, "/v1/AUTH_"+strings.Repeat("a", 257)+"/c", "").want(403)
	}
	w.nothing()
	w.do("PUT", long, "").want(201)
	w.do("PUT", long+"/"+strings.Repeat("o", 1024), "x").want(201)
	w.do("COPY", long+"/"+strings.Repeat("o", 1024), "", "Destination", long+"/"+strings.Repeat("o", 1025)).want(400)
	w.do("COPY", long+"/"+strings.Repeat("o", 1024), "", "Destination", longer+"/o").want(400)
	w.do("PUT", long+"/o", "", "X-Copy-From", longer+"/o").want(400)
	w.do("GET", long, "").want(200).is(strings.Repeat("o", 1024) + "\n")
}

func TestTooMuchMetadataIsNotStored(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "old", "").want(201)
	w.do("PUT", "old/o", "x", "X-Object-Meta-Kept", "yes").want(201)
	w.do("POST", "old", "", "X-Container-Meta-Kept", "yes").want(204)
	w.do("POST", "", "", "X-Account-Meta-Kept", "yes").want(204)
	for _, r := range []struct{ kind, method, path string }{
		{"Account", "POST", ""},
		{"Container", "PUT", "new"},
		{"Container", "PUT", "old"},
		{"Container", "POST", "old"},
		{"Object", "PUT", "old/new"},
		{"Object", "PUT", "old/o"},
		{"Object", "POST", "old/o"},
	} {
		prefix := "X-" + r.kind + "-Meta-"
		for want, headers := range map[string][]string{
			"Metadata name too long: ":             {prefix + strings.Repeat("n", 129), "v"},
			"Metadata value longer than 256: ":     {prefix + "N", strings.Repeat("v", 257)},
			"Too many metadata items; max 90":      metaOf(r.kind, 91, 1),
			"Total metadata too large; max 4096":   metaOf(r.kind, 16, 256),
			"Metadata name cannot be empty":        {prefix, "v"},
			"Header value too long: X-Other-Heade": {"X-Other-Header", strings.Repeat("v", 8193)},
		} {
			a := w.do(r.method, r.path, "", headers...).want(400)
			if want[0] != 'H' {
				a.contains(want)
			}
		}
		w.do(r.method, r.path, "", metaOf("Other", 127, 1)...).want(431)
		if r.kind != "Object" {
			w.do(r.method, r.path, "", prefix+"N", "\xff").want(400).is("Metadata must be valid UTF-8")
		}
	}
	w.do("HEAD", "new", "").want(404)
	w.do("HEAD", "old/new", "").want(404)
	for kind, path := range map[string]string{"Account": "", "Container": "old", "Object": "old/o"} {
		a := w.do("HEAD", path, "").has("X-"+kind+"-Meta-Kept", "yes")
		for name := range a.header {
			if strings.HasPrefix(name, "X-"+kind+"-Meta-") && name != "X-"+kind+"-Meta-Kept" {
				t.Errorf("%s of a refused request is stored", name)
			}
		}
	}
	w.do("GET", "old/o", "").want(200).is("x")
	// What is stored is bounded together, not what one request brings.
	for kind, path := range map[string]string{"Account": "", "Container": "old"} {
		w.do("POST", path, "", metaOf(kind, 80, 1)...).want(204)
		var more []string
		for i := range 20 {
			more = append(more, "X-"+kind+"-Meta-M"+strconv.Itoa(i), "v")
		}
		w.do("POST", path, "", more...).want(400).is("Too many metadata items; max 90")
		w.do("HEAD", path, "").has("X-"+kind+"-Meta-M1", "", "X-"+kind+"-Meta-N79", "v")
	}
}

func TestBadManifestsAndLinksStoreNothing(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	for _, manifest := range []string{"c", "c/", "/c", "/", "?x", "c/a?b", "c/a&b"} {
		w.do("PUT", "c/dlo", "", "X-Object-Manifest", manifest).want(400)
	}
	for target, status := range map[string]int{"c": 412, "c/": 412, "/c/o": 412, "c/link": 400} {
		if a := w.do("PUT", "c/link", "", "X-Symlink-Target", target); a.status != status {
			t.Errorf("link to %q: %d %s", target, a.status, a.body)
		}
	}
	w.do("PUT", "c/link", "body", "X-Symlink-Target", "c/o").want(400)
	w.do("PUT", "c/link", "", "X-Symlink-Target", "c/o", "X-Symlink-Target-Etag", "0").want(409)
	w.do("GET", "c", "").want(204)
}

func TestForgedAndExpiredSignaturesStoreNothing(t *testing.T) {
	w := newSignedWorld(t)
	const path = "/v1/AUTH_test/c/forged"
	good := w.linkTo("PUT", path, "con1")
	flipped := []byte(good)
	if i := len("temp_url_sig="); flipped[i] == '0' {
		flipped[i] = '1'
	} else {
		flipped[i] = '0'
	}
	for name, query := range map[string]string{
		"another key": w.linkTo("PUT", path, "guess"), "one digit": string(flipped), "for reading": w.linkTo("GET", path, "con1"),
		"for another name": w.linkTo("PUT", path+"x", "con1"), "later expiry": strings.Replace(good, "temp_url_expires=", "temp_url_expires=9", 1),
		"no key at all": w.linkTo("PUT", path, ""), "the container's name": w.linkTo("PUT", "/v1/AUTH_test/c", "con1"),
	} {
		if a := w.as("", "PUT", "c/forged?"+query, "x"); a.status != 401 {
			t.Errorf("%s: %d", name, a.status)
		}
		w.as("", "DELETE", "c/dir/o%20x?"+query, "").want(401)
	}
	w.as("", "PUT", "d/forged?"+w.linkTo("PUT", "/v1/AUTH_test/d/forged", "con1"), "x").want(401) // the key of another container
	w.clock.Advance(2 * time.Hour)
	w.as("", "PUT", "c/forged?"+good, "x").want(401).is("401 Unauthorized: Temp URL invalid\n")
	for _, token := range []string{"AUTH_tkforged", "AUTH_", "forged"} {
		w.as(token, "PUT", "c/forged", "x").want(401)
		w.as(token, "PUT", "forged", "").want(401)
		w.as(token, "POST", "", "", "X-Account-Meta-A", "b").want(401)
		w.as(token, "DELETE", "c/dir/o%20x", "").want(401)
		w.as("", "PUT", "c/forged", "x", "X-Service-Token", token).want(401)
	}
	w.do("GET", "", "").want(200).is("c\nd\n").has("X-Account-Object-Count", "1", "X-Account-Meta-A", "")
	w.do("GET", "c", "").want(200).is("dir/o x\n")
}

// sparse is an entry of a tar archive, in the old form of GNU tar, that says that it has size bytes and brings none.
func sparse(name string, size int64) string {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000600\x00")
	copy(h[124:], "00000000000\x00")
	copy(h[136:], "00000000000\x00")
	copy(h[148:], "        ")
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	copy(h[386:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	copy(h[483:], fmt.Sprintf("%011o\x00", size))
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return string(h)
}

// links is an archive of links, and of a device.
func links(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "soft", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink},
		{Name: "hard", Linkname: "../victim/o", Typeflag: tar.TypeLink},
		{Name: "device", Typeflag: tar.TypeChar},
		{Name: "pipe", Typeflag: tar.TypeFifo},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBadArchives(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "victim", "").want(201)
	w.do("PUT", "victim/o", "safe").want(201)
	w.as("other", "PUT", "/v1/AUTH_other/theirs", "").want(201)
	// Dots and slashes are characters of names: they lead to no other container, account or place.
	w.do("PUT", "c?extract-archive=tar", archive(t, "../victim/o", "evil", "../../AUTH_other/theirs/o", "evil", "/../../victim/o", "evil", "a/../../victim/o", "evil")).want(200).
		contains("Number Files Created: 4\n", "Response Status: 201 Created")
	w.do("GET", "c", "").want(200).is("../../AUTH_other/theirs/o\n../../victim/o\n../victim/o\na/../../victim/o\n")
	w.do("GET", "victim/o", "").want(200).is("safe")
	w.as("other", "GET", "/v1/AUTH_other/theirs", "").want(204)
	w.do("PUT", "?extract-archive=tar", archive(t, "../victim/o", "evil")).want(200)
	w.do("GET", "victim/o", "").want(200).is("safe")
	// Names too long, no name, and links store nothing.
	w.do("PUT", "d?extract-archive=tar", archive(t, strings.Repeat("o", 1025), "x")).want(200).
		contains("Number Files Created: 0\n", "Response Status: 400 Bad Request", strings.Repeat("o", 1025)+", 400 Bad Request\n")
	w.do("PUT", "?extract-archive=tar", archive(t, strings.Repeat("e", 257)+"/o", "x")).want(200).
		contains("Number Files Created: 0\n", "Response Status: 400 Bad Request", strings.Repeat("e", 257)+"/o, 400 Bad Request\n")
	w.do("PUT", "e?extract-archive=tar", links(t)).want(200).contains("Number Files Created: 0\n", "Invalid Tar File: No Valid Files")
	w.do("HEAD", "d", "").want(404)
	w.do("HEAD", "e", "").want(404)
	// What says that it is large is not written out.
	big := sparse("bomb", 7<<30) + string(make([]byte, 1024))
	w.do("PUT", "e?extract-archive=tar", big).want(200).contains("Number Files Created: 0\n", "Response Status: 400 Bad Request", "expands")
	w.do("PUT", "e?extract-archive=tar.gz", packed(t, big)).want(200).contains("Number Files Created: 0\n", "Response Status: 400 Bad Request", "expands")
	w.do("HEAD", "e", "").want(404)
	// An archive that breaks off inside of a file.
	whole := packed(t, archive(t, "o", strings.Repeat("0123456789", 1000)))
	w.do("PUT", "e?extract-archive=tar.gz", whole[:len(whole)/2]).want(200).contains("Response Status: 400 Bad Request", "Number Files Created: 0\n")
	w.do("HEAD", "e/o", "").want(404)
	if a := w.as("", "PUT", "e?extract-archive=tar", archive(t, "o", "x")).want(200); !strings.Contains(a.body, "401 Unauthorized") {
		t.Error(a.body)
	}
}

func TestTheListsOfBulkRequestsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	// A thousand failures end the work: nothing behind them is done.
	var names, entries []string
	for i := range bulkFailuresMax {
		names = append(names, fmt.Sprintf("%%FF%d/x", i))
		entries = append(entries, fmt.Sprintf("\xff%d", i), "")
	}
	w.do("PUT", "c/last", "x").want(201)
	all := strings.Join(names, "\n")
	w.do("POST", "?bulk-delete", all).want(200).contains("Response Status: 400 Bad Request", "Response Body: \n")
	w.do("POST", "?bulk-delete", all+"\nc/last").want(200).contains("Response Status: 400 Bad Request", "Max delete failures exceeded", "Number Deleted: 0\n")
	w.do("HEAD", "c/last", "").want(200)
	w.do("PUT", "c?extract-archive=tar", archive(t, append(entries, "behind", "x")...)).want(200).contains("Response Status: 400 Bad Request", "Number Files Created: 0\n")
	w.do("HEAD", "c/behind", "").want(404)
	w.do("POST", "?bulk-delete", "c/last\n"+strings.Repeat("y", 2*bulkPathMax+1)).want(200).contains("Invalid File Name", "Number Deleted: 0\n")
	w.do("HEAD", "c/last", "").want(200)
	w.do("GET", "/info", "").want(200).contains(`"bulk_delete":{"max_deletes_per_request":10000,"max_failed_deletes":1000}`,
		`"bulk_upload":{"max_containers_per_extraction":10000,"max_failed_extractions":1000}`)
	// The request's content type is that of the files, unless it asks for theirs.
	w.do("PUT", "c?extract-archive=tar", archive(t, "typed.html", "x"), "Content-Type", "text/odd").want(200)
	w.do("HEAD", "c/typed.html", "").want(200).has("Content-Type", "text/odd")
	w.do("PUT", "c?extract-archive=tar", archive(t, "typed.html", "x"), "Content-Type", "text/odd", "X-Detect-Content-Type", "true").want(200)
	w.do("HEAD", "c/typed.html", "").want(200).has("Content-Type", "text/html")
}
