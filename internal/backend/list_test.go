package backend_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// merged are the names and prefixes of a page of uploads, in order.
func merged(p backend.UploadPage) []string {
	names := slices.Clone(p.Prefixes)
	for _, u := range p.Uploads {
		names = append(names, string(u.Name))
	}
	slices.Sort(names)
	return names
}

// line is an entry or a common prefix of a listing.
type line struct {
	name string
	id   object.VersionID // 0 for a prefix
}

func lines(p backend.Page) []line {
	var all []line
	for _, e := range p.Entries {
		all = append(all, line{string(e.Name), e.ID})
	}
	for _, s := range p.Prefixes {
		all = append(all, line{s, 0})
	}
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(a.name, b.name) })
	return all
}

// model lists as the contract says, from a sorted list of entries (newest version first within a name).
func model(entries []line, prefix, delimiter string, after line) []line {
	var out []line
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.name, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			e = line{prefix + rest[:i+len(delimiter)], 0}
		}
		behind := e.name > after.name || e.name == after.name && after.id != 0 && e.id != 0 && e.id < after.id
		if behind && (e.id != 0 || len(out) == 0 || out[len(out)-1] != e) {
			out = append(out, e)
		}
	}
	return out
}

func TestListingsAreExact(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	w.create("versions", bucket.Config{Versioning: bucket.VersioningEnabled})
	alphabet := []string{"a", "b", "/", "//", "é", "\u00ff", "\U0010ffff", " ", "a/"}
	name := func(n int) string {
		var b strings.Builder
		for range 1 + rng.IntN(n) {
			b.WriteString(alphabet[rng.IntN(len(alphabet))])
		}
		return b.String()
	}
	for range 150 {
		r := backend.PutRequest{Container: ref("versions"), Name: naming.ObjectName(name(4)), Body: body(nil)}
		if _, err := w.Put(t.Context(), w.alice, r); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(4) == 0 {
			d := backend.DeleteRequest{Target: backend.Target{Container: ref("versions"), Name: r.Name}}
			if _, err := w.Delete(t.Context(), w.alice, d); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, view := range []meta.ViewKind{meta.ViewCurrent, meta.ViewAll, meta.ViewDeleted} {
		all := listAll(t, w, view)
		for round := range 300 {
			r := backend.ListRequest{Container: ref("versions"), View: meta.View{Kind: view}, Limit: 1 + rng.IntN(8)}
			if rng.IntN(2) == 0 {
				r.Prefix = name(2)
			}
			if rng.IntN(3) > 0 {
				r.Delimiter = []string{"/", "a", "//", "é"}[rng.IntN(4)]
			}
			if rng.IntN(3) == 0 {
				r.After = name(3)
			}
			what := fmt.Sprintf("seed %d, round %d, view %d: %+v", seed, round, view, r)
			checkListing(t, w, what, r, model(all, r.Prefix, r.Delimiter, line{r.After, r.AfterVersion}))
		}
	}
}

func listAll(t *testing.T, w *world, view meta.ViewKind) []line {
	t.Helper()
	c, err := w.Container(t.Context(), w.alice, ref("versions"), access.ListBucket)
	if err != nil {
		t.Fatal(err)
	}
	cur := w.stores.Meta.Scan(t.Context(), c.ID, meta.View{Kind: view})
	defer cur.Close()
	var all []line
	for {
		e, err := cur.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return all
		}
		all = append(all, line{string(e.Name), e.ID})
	}
}

// checkListing walks through all pages and compares.
func checkListing(t *testing.T, w *world, what string, r backend.ListRequest, want []line) {
	t.Helper()
	var got []line
	for range len(want) + 1 {
		page, err := w.List(t.Context(), w.alice, r)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		l := lines(page)
		got = append(got, l...)
		if page.Truncated != (len(got) < len(want)) || page.Truncated && len(l) != r.Limit {
			t.Fatalf("%s: %d of %d lines, truncated %v", what, len(got), len(want), page.Truncated)
		}
		if !page.Truncated {
			break
		}
		r.After, r.AfterVersion = page.NextAfter, page.NextVersion
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func TestAListingWithoutRoomIsEmpty(t *testing.T) {
	w := newWorld(t)
	w.put("a", nil)
	page, err := w.List(t.Context(), w.alice, backend.ListRequest{Container: ref("photos")})
	if err != nil || page.Truncated || len(page.Entries) != 0 {
		t.Errorf("%+v, %v", page, err)
	}
	_, err = w.List(t.Context(), w.bob, backend.ListRequest{Container: ref("photos"), Limit: 1})
	wantKind(t, err, errs.Denied, errs.Container)
	_, err = w.List(t.Context(), w.alice, backend.ListRequest{Container: ref("nothing"), Limit: 1})
	wantKind(t, err, errs.NotFound, errs.Bucket)
}
