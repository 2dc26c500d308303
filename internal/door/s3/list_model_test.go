package s3

import (
	"encoding/xml"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/engine/memory"
	"pithos/internal/naming/namingtest"
	"pithos/internal/store/bucket"
)

var (
	listCases = flag.Int("listcases", 300, "random listings to compare with a sorted list")
	listSeed  = flag.Uint64("listseed", 0, "repeats the random listings of a run; 0 draws one")
)

// shelf is a public bucket and, in order, what is in it: versions, the newest of a name first, and open uploads.
type shelf struct {
	t        *testing.T
	door     *Door
	versions []shelved
	uploads  []shelved
}

// shelved is a version or an upload.
type shelved struct {
	name, id       string
	marker, latest bool
}

func (s *shelf) do(method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(s.t.Context(), method, "http://s3.test/", strings.NewReader(body))
	r.RequestURI = target
	if body == "" {
		r.Header.Set("Content-Length", "0")
	}
	w := httptest.NewRecorder()
	s.door.ServeHTTP(w, r)
	if w.Code >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
	}
	return w
}

// newShelf fills a bucket with random names: some with several versions, some deleted, some with uploads that are open.
func newShelf(t *testing.T, rng *rand.Rand) *shelf {
	t.Helper()
	e := memory.New(clock.System{})
	b := backend.New(backend.Stores{Keys: e.Keys(), Buckets: e.Buckets(), Meta: e.Meta(), Blobs: e.Blobs()}, backend.Options{BlockSize: 64 << 10, BufferBytes: 8 << 20})
	s := &shelf{t: t, door: New(b, Options{})}
	everybody := access.ACL{Grants: []access.Grant{{Group: access.AllUsers, Permission: access.FullControl}}}
	config := bucket.Config{ACL: everybody}
	if rng.IntN(4) > 0 {
		config.Versioning = bucket.VersioningEnabled
	}
	operator := backend.Caller{Principal: access.Principal{Operator: true}}
	if _, _, err := b.CreateContainer(t.Context(), operator, backend.NewContainer{Account: "a", Name: "box", Bucket: "box", Config: config}); err != nil {
		t.Fatal(err)
	}
	hard := namingtest.Objects()
	for range 20 + rng.IntN(60) {
		name := string(namingtest.Random(rng))
		if rng.IntN(6) == 0 {
			name = string(hard[rng.IntN(len(hard))])
		}
		target := "/box/" + escapeAll(name)
		if rng.IntN(5) == 0 {
			_, rest, _ := strings.Cut(s.do(http.MethodPost, target+"?uploads", "").Body.String(), "<UploadId>")
			id, _, _ := strings.Cut(rest, "<")
			s.uploads = append(s.uploads, shelved{name: name, id: id})
			continue
		}
		v := shelved{name: name}
		if v.marker = rng.IntN(5) == 0; v.marker {
			v.id = s.do(http.MethodDelete, target, "").Header().Get("X-Amz-Version-Id")
		} else {
			v.id = s.do(http.MethodPut, target, "").Header().Get("X-Amz-Version-Id")
		}
		if config.Versioning == bucket.VersioningOff {
			v.id = nullVersion
			s.versions = slices.DeleteFunc(s.versions, func(o shelved) bool { return o.name == name })
			if v.marker {
				continue
			}
		}
		s.versions = append(s.versions, v)
	}
	slices.Reverse(s.versions) // the newest first
	slices.SortStableFunc(s.versions, func(a, b shelved) int { return strings.Compare(a.name, b.name) })
	for i := range s.versions {
		s.versions[i].latest = i == 0 || s.versions[i-1].name != s.versions[i].name
	}
	slices.SortFunc(s.uploads, func(a, b shelved) int {
		if a.name != b.name {
			return strings.Compare(a.name, b.name)
		}
		return strings.Compare(a.id, b.id)
	})
	return s
}

func escapeAll(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// asked is a listing to compare.
type asked struct {
	kind                     string // v1, v2, versions, uploads
	prefix, delimiter, after string
	afterID                  string // a version or upload of the name after
	limit                    int
}

// randomAsked draws a listing whose words are likely to meet something.
func (s *shelf) randomAsked(rng *rand.Rand) asked {
	a := asked{kind: []string{"v1", "v2", "versions", "uploads"}[rng.IntN(4)], limit: 1 + rng.IntN(12)}
	all := s.versions
	if a.kind == "uploads" {
		all = s.uploads
	}
	some := func() string {
		if len(all) == 0 || rng.IntN(4) == 0 {
			return string(namingtest.Random(rng))
		}
		return all[rng.IntN(len(all))].name
	}
	if rng.IntN(2) == 0 {
		name := []rune(some())
		a.prefix = string(name[:rng.IntN(min(len(name), 4)+1)])
	}
	if rng.IntN(3) > 0 {
		a.delimiter = []string{"/", "/", "a", "b/", "//", "\u00e9", "%"}[rng.IntN(7)]
	}
	if rng.IntN(3) == 0 {
		a.after = some()
		if n := len(all); n > 0 && rng.IntN(2) == 0 && (a.kind == "versions" || a.kind == "uploads") {
			e := all[rng.IntN(n)]
			a.after, a.afterID = e.name, e.id
		}
	}
	if rng.IntN(10) == 0 {
		a.limit = 1000
	}
	return a
}

// want is the whole listing in words, found by looking at everything.
func (s *shelf) want(a asked) (items []string) {
	all := s.versions
	if a.kind == "uploads" {
		all = s.uploads
	}
	passed := a.afterID == "" // the entry with the id was seen
	for _, e := range all {
		at := passed
		if e.name == a.after && e.id == a.afterID {
			passed = true
		}
		rest, ok := strings.CutPrefix(e.name, a.prefix)
		if !ok || (a.kind == "v1" || a.kind == "v2") && (!e.latest || e.marker) {
			continue
		}
		if i := strings.Index(rest, a.delimiter); a.delimiter != "" && i >= 0 {
			common := a.prefix + rest[:i+len(a.delimiter)]
			word := fmt.Sprintf("%q/", common)
			if common > a.after && (len(items) == 0 || items[len(items)-1] != word) {
				items = append(items, word)
			}
			continue
		}
		if e.name > a.after || a.afterID != "" && e.name == a.after && at {
			items = append(items, s.word(a.kind, e))
		}
	}
	return items
}

func (s *shelf) word(kind string, e shelved) string {
	switch kind {
	case "versions":
		return fmt.Sprintf("%q %s %v %v", e.name, e.id, e.marker, e.latest)
	case "uploads":
		return fmt.Sprintf("%q %s", e.name, e.id)
	}
	return fmt.Sprintf("%q", e.name)
}

// page is one page of any listing, as it came.
type listedPage struct {
	IsTruncated                        bool
	NextMarker, NextContinuationToken  string
	NextKeyMarker, NextVersionIdMarker string
	NextUploadIdMarker                 string
	KeyCount                           *int
	Entries                            []listedEntry `xml:",any"`
	words                              []string
}

type listedEntry struct {
	XMLName                  xml.Name
	Key, VersionId, UploadId string
	Prefix                   string
	IsLatest                 bool
}

// references are characters that XML cannot carry, as documents of S3 write them.
var references = regexp.MustCompile(`&#x[0-9a-f]+;`)

// page asks for one page; position goes on behind the last one.
func (s *shelf) page(a asked, position string) *listedPage {
	s.t.Helper()
	limit := "&max-keys="
	if a.kind == "uploads" {
		limit = "&max-uploads="
	}
	target := "/box?encoding-type=url" + limit + strconv.Itoa(a.limit) + "&prefix=" + escapeAll(a.prefix) + "&delimiter=" + escapeAll(a.delimiter) + position
	var p listedPage
	// The prefix is shown as it was given, which XML cannot always carry; nothing else is.
	body := references.ReplaceAll(s.do(http.MethodGet, target, "").Body.Bytes(), []byte("?"))
	if err := xml.Unmarshal(body, &p); err != nil {
		s.t.Fatalf("%s: %v", target, err)
	}
	type item struct{ at, word string }
	var items []item
	for _, e := range p.Entries {
		key, prefix := s.decoded(e.Key), s.decoded(e.Prefix)
		switch e.XMLName.Local {
		case "Contents", "Version", "DeleteMarker":
			v := shelved{name: key, id: e.VersionId, marker: e.XMLName.Local == "DeleteMarker", latest: e.IsLatest}
			items = append(items, item{key, s.word(a.kind, v)})
		case "Upload":
			items = append(items, item{key, s.word(a.kind, shelved{name: key, id: e.UploadId})})
		case "CommonPrefixes":
			items = append(items, item{prefix, fmt.Sprintf("%q/", prefix)})
		}
	}
	slices.SortStableFunc(items, func(x, y item) int { return strings.Compare(x.at, y.at) })
	for _, i := range items {
		p.words = append(p.words, i.word)
	}
	if len(items) > 0 && a.kind == "v1" && p.NextMarker == "" {
		p.NextMarker = escapeAll(items[len(items)-1].at)
	}
	return &p
}

func (s *shelf) decoded(text string) string {
	out, err := url.QueryUnescape(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// first is where a listing begins, and next where it goes on.
func (s *shelf) first(a asked) string {
	after := escapeAll(a.after)
	switch a.kind {
	case "v1":
		return "&marker=" + after
	case "v2":
		return "&list-type=2&start-after=" + after
	case "versions":
		if a.afterID != "" {
			return "&versions&key-marker=" + after + "&version-id-marker=" + a.afterID
		}
		return "&versions&key-marker=" + after
	}
	if a.afterID != "" {
		return "&uploads&key-marker=" + after + "&upload-id-marker=" + a.afterID
	}
	return "&uploads&key-marker=" + after
}

func (s *shelf) next(a asked, p *listedPage) string {
	switch a.kind {
	case "v1":
		return "&marker=" + escapeAll(s.decoded(p.NextMarker))
	case "v2":
		return "&list-type=2&continuation-token=" + escapeAll(p.NextContinuationToken)
	case "versions":
		id := ""
		if p.NextVersionIdMarker != "" {
			id = "&version-id-marker=" + p.NextVersionIdMarker
		}
		return "&versions&key-marker=" + escapeAll(s.decoded(p.NextKeyMarker)) + id
	}
	id := ""
	if p.NextUploadIdMarker != "" {
		id = "&upload-id-marker=" + p.NextUploadIdMarker
	}
	return "&uploads&key-marker=" + escapeAll(s.decoded(p.NextKeyMarker)) + id
}

// compare walks all pages of a listing.
func (s *shelf) compare(a asked) {
	s.t.Helper()
	want := s.want(a)
	position, rest := s.first(a), want
	for {
		p := s.page(a, position)
		n := min(a.limit, len(rest))
		if diff := cmp.Diff(rest[:n], p.words); diff != "" && (n > 0 || len(p.words) > 0) {
			s.t.Fatalf("%+v at %s (-model +page):\n%s", a, position, diff)
		}
		rest = rest[n:]
		if p.IsTruncated != (len(rest) > 0) {
			s.t.Fatalf("%+v at %s: truncated %v, and %d are left", a, position, p.IsTruncated, len(rest))
		}
		if a.kind == "v2" && (p.KeyCount == nil || *p.KeyCount != n) {
			s.t.Fatalf("%+v at %s: the count of keys is wrong", a, position)
		}
		if !p.IsTruncated {
			return
		}
		position = s.next(a, p)
	}
}

// TestListingModel compares random listings of objects (both forms), versions and uploads, page by page, with a sorted list that knows no cleverness
// (I6). Runs of a million are a target of the Makefile.
func TestListingModel(t *testing.T) {
	seed := *listSeed
	if seed == 0 {
		seed = rand.Uint64() >> 16
	}
	t.Logf("seed %d: go test ./internal/door/s3 -run TestListingModel -listcases %d -listseed %d", seed, *listCases, seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for done := 0; done < *listCases; done += 250 {
		s := newShelf(t, rng)
		for range min(250, *listCases-done) {
			s.compare(s.randomAsked(rng))
		}
	}
}
