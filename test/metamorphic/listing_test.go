package metamorphic

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/naming/namingtest"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

var listings = flag.Int("listings", 1500, "random listings to compare with the model, per engine")

// entry is one version in the model of a bucket: its name, its id, whether it is a delete marker.
type entry struct {
	name   string
	id     object.VersionID
	marker bool
}

// model is a bucket as a sorted list of versions: by name, the newest first.
type model []entry

// view is what a view of the bucket shows, before any prefix or delimiter.
func (m model) view(v meta.View) []entry {
	var shown []entry
	last := ""
	for _, e := range m {
		switch v.Kind {
		case meta.ViewAll:
			shown = append(shown, e)
			continue
		case meta.ViewAsOf:
			if e.id >= object.IDAt(v.At) {
				continue
			}
		}
		if e.name != last && e.marker == (v.Kind == meta.ViewDeleted) {
			shown = append(shown, e)
		}
		last = e.name
	}
	return shown
}

// pages is the whole listing cut into pages of a limit, as words, one for each entry or common prefix. It goes over everything each time.
func (m model) pages(r backend.ListRequest) [][]string {
	var items []string
	for _, e := range m.view(r.View) {
		if !strings.HasPrefix(e.name, r.Prefix) {
			continue
		}
		common := ""
		if i := strings.Index(e.name[len(r.Prefix):], r.Delimiter); r.Delimiter != "" && i >= 0 {
			common = e.name[:len(r.Prefix)+i+len(r.Delimiter)]
		}
		switch {
		case common != "" && common > r.After && (len(items) == 0 || items[len(items)-1] != "prefix "+common):
			items = append(items, "prefix "+common)
		case common == "" && e.name > r.After:
			items = append(items, fmt.Sprintf("entry %s %d", e.name, e.id))
		}
	}
	return slices.Collect(slices.Chunk(items, r.Limit))
}

// pagesOf asks the backend for all pages, each from where the last one ended.
func (s *service) pagesOf(ctx context.Context, r backend.ListRequest) ([][]string, error) {
	var pages [][]string
	for {
		page, err := s.b.List(ctx, s.caller, r)
		if err != nil {
			return nil, err
		}
		type item struct{ at, text string }
		var items []item
		for _, e := range page.Entries {
			items = append(items, item{string(e.Name), fmt.Sprintf("entry %s %d", e.Name, e.ID)})
		}
		for _, p := range page.Prefixes {
			items = append(items, item{p, "prefix " + p})
		}
		slices.SortStableFunc(items, func(a, b item) int { return strings.Compare(a.at, b.at) })
		var texts []string
		for _, i := range items {
			texts = append(texts, i.text)
		}
		if len(texts) > 0 {
			pages = append(pages, texts)
		}
		if !page.Truncated {
			return pages, nil
		}
		if len(texts) == 0 || page.NextAfter < r.After {
			return nil, fmt.Errorf("a truncated page of %d items goes on after %q", len(texts), page.NextAfter)
		}
		r.After, r.AfterVersion = page.NextAfter, page.NextVersion
	}
}

// TestListings compares listings with a model that knows no cleverness: any names, prefix, delimiter, marker, limit and view (I6).
func TestListings(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			first := *seed
			if first == 0 {
				first = rand.Uint64() >> 16
			}
			t.Logf("seed %d", first)
			rng := rand.New(rand.NewPCG(first, 1))
			for done := 0; done < *listings; done += 150 {
				s, m := filled(t, e.open, rng)
				for range min(150, *listings-done) {
					r := randomListing(rng, m)
					got, err := s.pagesOf(t.Context(), r)
					if err != nil {
						t.Fatalf("%+v: %v", r, err)
					}
					if diff := gocmp.Diff(m.pages(r), got); diff != "" {
						t.Fatalf("prefix %q, delimiter %q, after %q, limit %d, view %+v differ (- model, + backend):\n%s",
							r.Prefix, r.Delimiter, r.After, r.Limit, r.View, diff)
					}
				}
			}
		})
	}
}

// filled is a bucket with random versions of random names, and its model.
func filled(t *testing.T, open func(*testing.T, clock.Clock) engine, rng *rand.Rand) (*service, model) {
	t.Helper()
	c := clock.NewManual(began)
	opened := open(t, c)
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &service{engine: opened, t: t, clock: c, caller: addAccount(t, opened.Keys(), "alice")}
	s.start()
	_, _, err := s.b.CreateContainer(t.Context(), s.caller, backend.NewContainer{
		Account: "alice", Name: "bucket-0", Bucket: "bucket-0", Config: bucket.Config{Versioning: bucket.VersioningEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	hard := namingtest.Objects()
	var m model
	for range 20 + rng.IntN(100) {
		c.Advance(time.Second)
		n := namingtest.Random(rng)
		if rng.IntN(5) == 0 {
			n = hard[rng.IntN(len(hard))]
		}
		e := entry{name: string(n), marker: rng.IntN(5) == 0}
		if e.marker {
			d, err := s.b.Delete(t.Context(), s.caller, backend.DeleteRequest{Target: backend.Target{Container: ref(0), Name: n}})
			if err != nil {
				t.Fatal(err)
			}
			e.id = d.Version
		} else {
			v, err := s.b.Put(t.Context(), s.caller, backend.PutRequest{
				Container: ref(0), Name: n, Body: backend.Body{Reader: bytes.NewReader(nil)},
			})
			if err != nil {
				t.Fatal(err)
			}
			e.id = v.ID
		}
		m = append(m, e)
	}
	slices.SortFunc(m, func(a, b entry) int {
		if a.name != b.name {
			return strings.Compare(a.name, b.name)
		}
		return int(b.id) - int(a.id)
	})
	return s, m
}

// randomListing draws a request whose parts often meet the names that there are.
func randomListing(rng *rand.Rand, m model) backend.ListRequest {
	some := func() string {
		n := m[rng.IntN(len(m))].name
		switch rng.IntN(4) {
		case 0:
			return n
		case 1:
			return string(namingtest.Random(rng))
		}
		return n[:rng.IntN(len(n)+1)]
	}
	r := backend.ListRequest{Container: ref(0), Limit: 1 + rng.IntN(12)}
	r.View = meta.View{Kind: meta.ViewKind(rng.IntN(4)), At: began.Add(time.Duration(rng.IntN(130)) * time.Second)}
	if rng.IntN(3) == 0 {
		r.Limit = 1000
	}
	if rng.IntN(2) == 0 {
		r.Prefix = some()
	}
	if rng.IntN(2) == 0 {
		r.After = some()
	}
	if rng.IntN(3) > 0 {
		r.Delimiter = []string{"/", "/", "a", "b/", "\x01", "\u00e9", "//"}[rng.IntN(7)]
	}
	return r
}
