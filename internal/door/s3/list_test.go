package s3

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/backend"
	"pithos/internal/naming"
	"pithos/internal/object"
)

type listed struct {
	IsTruncated           bool
	NextMarker            string
	NextContinuationToken string
	NextKeyMarker         string
	NextVersionIdMarker   string
	KeyCount              int
	MaxKeys               int
	Delimiter             *string
	Contents              []struct{ Key string }
	Version               []struct {
		Key, VersionId string
		IsLatest       bool
	}
	CommonPrefixes []struct{ Prefix string }
}

func (w *people) list(target string) (l listed) {
	w.t.Helper()
	a := w.ok("GET", target, "")
	if err := xml.Unmarshal([]byte(a.body), &l); err != nil {
		w.t.Fatalf("%s: %v: %s", target, err, a.body)
	}
	return l
}

func model(names []string, prefix, delimiter string) (all []string) {
	for _, n := range names {
		rest, ok := strings.CutPrefix(n, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			n = prefix + rest[:i+len(delimiter)] + "|" // marks a common prefix
		}
		if len(all) == 0 || all[len(all)-1] != n {
			all = append(all, n)
		}
	}
	return all
}

func (l *listed) flat() (all []string) {
	for _, e := range l.Contents {
		all = append(all, e.Key)
	}
	for _, v := range l.Version {
		all = append(all, v.Key)
	}
	for _, p := range l.CommonPrefixes {
		all = append(all, p.Prefix+"|")
	}
	return all
}

func TestListingsAgreeWithModel(t *testing.T) {
	w := &people{t, newWorld(t)}
	w.ok("PUT", "/bkt", "")
	const alphabet = "ab/%+ é"
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	word := func(n int) string {
		runes := []rune(alphabet)
		var b strings.Builder
		for range n {
			b.WriteRune(runes[rng.IntN(len(runes))])
		}
		return b.String()
	}
	set := map[string]bool{"a": true, "a/": true, "a/b": true}
	for range 120 {
		set[word(1+rng.IntN(5))] = true
	}
	var names []string
	for n := range set {
		names = append(names, n)
		w.ok("PUT", "/bkt/"+encodePath(n), "")
	}
	slices.Sort(names)
	esc := func(s string) string { return strings.ReplaceAll(encodePath(s), "/", "%2F") }
	for range 150 {
		prefix, delimiter := word(rng.IntN(3)), []string{"", "/", "a", "/a", "%"}[rng.IntN(5)]
		limit := 1 + rng.IntN(20)
		want := model(names, prefix, delimiter)
		base := fmt.Sprintf("/bkt?prefix=%s&delimiter=%s&max-keys=%d", esc(prefix), esc(delimiter), limit)
		for _, kind := range []string{"v1", "v2", "versions"} {
			var got []string
			position := ""
			for page := 0; ; page++ {
				target := base + map[string]string{"v1": "", "v2": "&list-type=2", "versions": "&versions"}[kind] + position
				l := w.list(target)
				flat := l.flat()
				if len(flat) > limit || page > len(names) {
					t.Fatalf("%s: %d entries, page %d", target, len(flat), page)
				}
				slices.SortFunc(flat, func(a, b string) int { return strings.Compare(strings.TrimSuffix(a, "|"), strings.TrimSuffix(b, "|")) })
				got = append(got, flat...)
				if !l.IsTruncated {
					break
				}
				switch {
				case kind == "v2":
					position = "&continuation-token=" + l.NextContinuationToken
				case kind == "versions":
					position = "&key-marker=" + esc(l.NextKeyMarker) + "&version-id-marker=" + l.NextVersionIdMarker
				case delimiter != "":
					position = "&marker=" + esc(l.NextMarker)
				default:
					position = "&marker=" + esc(l.Contents[len(l.Contents)-1].Key)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%s, %s: %s", kind, base, d)
			}
		}
	}
}

func testListParameters(t *testing.T, in *world) {
	w := &people{t, in}
	w.ok("PUT", "/bkt", "")
	for _, n := range []string{"asdf%2Bb", "foo%2B1/bar", "foo/bar/xyzzy", "quux%20ab/thud"} {
		w.ok("PUT", "/bkt/"+n, "body")
	}
	a := w.ok("GET", "/bkt?delimiter=/&encoding-type=url&marker=%20", "")
	a.has(t, "<Key>asdf%2Bb</Key>", "<Prefix>foo%2B1/</Prefix>", "<Prefix>quux%20ab/</Prefix>", "<EncodingType>url</EncodingType>", "<Marker>%20</Marker>",
		"<Owner><ID>canonical-alice</ID>", "<StorageClass>STANDARD</StorageClass>", "<ETag>&quot;841a2d689ad86bd1611447453c22c6fc&quot;</ETag>", "<Size>4</Size>", "<MaxKeys>1000</MaxKeys>")
	a.hasNot(t, "NextMarker", "KeyCount")
	w.ok("GET", "/bkt?encoding-type=url&prefix=%0A", "").has(t, "<Prefix>&#xa;</Prefix>")
	w.ok("GET", "/bkt?list-type=2&encoding-type=url&prefix=%0A", "").has(t, "<Prefix>%0A</Prefix>")
	a = w.ok("GET", "/bkt?list-type=2&start-after=foo/zzz&continuation-token=", "")
	a.has(t, "<Key>quux ab/thud</Key>", "<StartAfter>foo/zzz</StartAfter>", "<KeyCount>1</KeyCount>", "<ContinuationToken></ContinuationToken>")
	a.hasNot(t, "<Owner>", "Delimiter", "EncodingType")
	w.ok("GET", "/bkt?list-type=2&fetch-owner=true", "").has(t, "<DisplayName>ALICE</DisplayName>")
	if l := w.list("/bkt?max-keys=0"); l.IsTruncated || len(l.Contents) != 0 || l.MaxKeys != 0 {
		t.Errorf("%+v", l)
	}
	if l := w.list("/bkt?max-keys=5000&delimiter="); l.MaxKeys != 1000 || l.Delimiter != nil {
		t.Errorf("%+v", l)
	}
	for _, q := range []string{
		"max-keys=blah", "max-keys=-1", "max-keys=2147483648", "encoding-type=base64", "list-type=2&continuation-token=x!", "list-type=2&fetch-owner=1",
		"versions&version-id-marker=0000000000000001", "versions&key-marker=a&version-id-marker=zz",
	} {
		w.do("main", "GET", "/bkt?"+q, "").want(t, 400, "InvalidArgument")
	}
	w.do("main", "GET", "/bkt", "", "X-Amz-Optional-Object-Attributes: Colour").want(t, 400, "InvalidArgument")
	w.do("", "GET", "/bkt", "").want(t, 403, "AccessDenied")
	w.do("main", "GET", "/other", "").want(t, 404, "NoSuchBucket")
	w.do("main", "GET", "/bkt?list-type=3", "").want(t, 501, "NotImplemented")
}

func testListVersions(t *testing.T, in *world) {
	w := &people{t, in}
	w.ok("PUT", "/bkt", "")
	w.ok("PUT", "/bkt/a", "null")
	w.ok("PUT", "/bkt?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
	for range 2 {
		w.ok("PUT", "/bkt/a", "x")
		w.ok("PUT", "/bkt/b", "x")
	}
	w.ok("DELETE", "/bkt/b", "")
	a := w.ok("GET", "/bkt?versions", "")
	if strings.Count(a.body, "<Version>") != 5 || strings.Count(a.body, "<DeleteMarker>") != 1 || strings.Count(a.body, "<IsLatest>true</IsLatest>") != 2 {
		t.Error(a.body)
	}
	a.has(t, "<VersionId>null</VersionId><IsLatest>false</IsLatest>")
	all := w.list("/bkt?versions").Version
	// From each version on: exactly the rest.
	for i, v := range all {
		rest := w.list("/bkt?versions&key-marker=" + v.Key + "&version-id-marker=" + v.VersionId).Version
		if d := cmp.Diff(all[i+1:], rest, cmp.Comparer(func(x, y struct {
			Key, VersionId string
			IsLatest       bool
		},
		) bool {
			return x == y
		})); d != "" && len(rest)+len(all[i+1:]) > 0 {
			t.Errorf("after %+v: %s", v, d)
		}
	}
	if rest := w.list("/bkt?versions&key-marker=a").Version; len(rest) != 2 {
		t.Errorf("%+v", rest)
	}
	w.ok("GET", "/bkt?versions&max-keys=1", "").has(t, "<NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>")
}

func BenchmarkListPage(b *testing.B) {
	var page backend.Page
	for i := range 1000 {
		page.Entries = append(page.Entries, object.Summary{
			Name: naming.ObjectName(fmt.Sprintf("photos/2026/%06d.jpg", i)), ID: object.IDAt(time.Unix(1772366400, 0)), Size: 4096, ETag: "841a2d689ad86bd1611447453c22c6fc",
			Checksums: []object.Checksum{{Algorithm: object.CRC64NVME, Value: "12345678"}},
		})
	}
	c := &call{bucket: "bkt"}
	l := listing{limit: 1000, encode: encodePath, encoded: true}
	b.ReportAllocs()
	for b.Loop() {
		x := l.begin(c, "ListBucketResult", "", &page)
		l.common(x, &page)
		if err := c.contents(b.Context(), x, &l, &page, false); err != nil || len(x.b) > 1024+entryBytes*1000 {
			b.Fatal(err, len(x.b))
		}
	}
}

func TestTimesOfEntries(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(2026, 3, 1, 12, 4, 5, 678e6, time.UTC), time.Date(1999, 12, 31, 23, 59, 59, 999999e3, time.UTC), time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got := string(appendMillis(nil, object.IDAt(at))); got != at.Format(documentTime) {
			t.Errorf("%s, want %s", got, at.Format(documentTime))
		}
	}
}
