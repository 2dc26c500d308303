package backend_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// walking is a metastore that counts the steps of its cursors.
type walking struct {
	meta.Store
	back  bool // cursors find their way back
	steps int
}

func (s *walking) Scan(ctx context.Context, id naming.ContainerID, v meta.View) meta.Cursor {
	cur := s.Store.Scan(ctx, id, v)
	if back, ok := cur.(meta.Backward); ok && s.back {
		return backCursor{forthCursor{cur, s}, back}
	}
	return forthCursor{cur, s}
}

type forthCursor struct {
	meta.Cursor
	s *walking
}

func (c forthCursor) Next(ctx context.Context) (*object.Summary, error) {
	c.s.steps++
	return c.Cursor.Next(ctx)
}

type backCursor struct {
	forthCursor
	back meta.Backward
}

func (c backCursor) Before(ctx context.Context, pos meta.Position) (*object.Summary, error) {
	c.s.steps++
	return c.back.Before(ctx, pos)
}

func walkingWorld(t *testing.T, back bool) (*world, *walking) {
	t.Helper()
	var m *walking
	w := newWorld(t, func(s *backend.Stores, _ *backend.Options) {
		m = &walking{Store: s.Meta, back: back}
		s.Meta = m
	})
	return w, m
}

// TestListingsBackAreExact compares listings in descending order, with and without an engine that walks back, with a model.
func TestListingsBackAreExact(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprint("engine walks back: ", back), func(t *testing.T) {
			const seed = 11
			rng := rand.New(rand.NewPCG(seed, 0))
			w, _ := walkingWorld(t, back)
			w.create("versions", bucket.Config{Versioning: bucket.VersioningEnabled})
			alphabet := []string{"a", "b", "/", "//", "é", "\U0010ffff", " ", "a/"}
			name := func(n int) string {
				var b strings.Builder
				for range 1 + rng.IntN(n) {
					b.WriteString(alphabet[rng.IntN(len(alphabet))])
				}
				return b.String()
			}
			for range 120 {
				r := backend.PutRequest{Container: ref("versions"), Name: naming.ObjectName(name(4)), Body: body(nil)}
				if _, err := w.Put(t.Context(), w.alice, r); err != nil {
					t.Fatal(err)
				}
				if rng.IntN(4) == 0 {
					if _, err := w.Delete(t.Context(), w.alice, backend.DeleteRequest{Target: backend.Target{Container: ref("versions"), Name: r.Name}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			views := []meta.ViewKind{meta.ViewCurrent, meta.ViewAll}
			all := map[meta.ViewKind][]line{}
			for _, view := range views {
				all[view] = listAll(t, w, view)
			}
			for round := range 600 {
				r := backend.ListRequest{Container: ref("versions"), Limit: 1 + rng.IntN(8), Reverse: true}
				r.View.Kind = views[round%2]
				if rng.IntN(2) == 0 {
					r.Prefix = name(2)
				}
				if rng.IntN(3) > 0 {
					r.Delimiter = []string{"/", "a", "//", "é"}[rng.IntN(4)]
				}
				if rng.IntN(3) == 0 {
					r.After = name(3)
				}
				if start := all[meta.ViewAll][rng.IntN(len(all[meta.ViewAll]))]; r.View.Kind == meta.ViewAll && rng.IntN(3) == 0 {
					r.After, r.AfterVersion = start.name, start.id
				}
				if rng.IntN(3) == 0 {
					r.Until = name(3)
				}
				what := fmt.Sprintf("seed %d, round %d: %+v", seed, round, r)
				inside := slices.DeleteFunc(slices.Clone(all[r.View.Kind]), func(l line) bool {
					more := r.After == "" || l.name < r.After || l.name == r.After && r.AfterVersion != 0 && l.id > r.AfterVersion
					return !more || l.name <= r.Until
				})
				want := model(inside, r.Prefix, r.Delimiter, line{})
				slices.Reverse(want)
				checkBack(t, w, what, r, want)
			}
		})
	}
}

// checkBack walks through all pages and compares.
func checkBack(t *testing.T, w *world, what string, r backend.ListRequest, want []line) {
	t.Helper()
	var got []line
	for range len(want) + 1 {
		page, err := w.List(t.Context(), w.alice, r)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		slices.Reverse(page.Entries)
		l := lines(page)
		slices.Reverse(l)
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

// TestAPageOfVersionsBackCostsAPage counts the steps as below, in a container with versions.
func TestAPageOfVersionsBackCostsAPage(t *testing.T) {
	w, m := walkingWorld(t, true)
	w.create("versions", bucket.Config{Versioning: bucket.VersioningEnabled})
	for i := range 300 {
		r := backend.PutRequest{Container: ref("versions"), Name: naming.ObjectName(fmt.Sprintf("dir-%d/%02d", i/100, i%20)), Body: body(nil)}
		if _, err := w.Put(t.Context(), w.alice, r); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		r     backend.ListRequest
		shown int
	}{
		{backend.ListRequest{Limit: 10}, 10},
		{backend.ListRequest{Limit: 10, After: "dir-1/05"}, 10},
		{backend.ListRequest{Limit: 10, Delimiter: "/"}, 3},
	} {
		c.r.Container, c.r.Reverse, c.r.View = ref("versions"), true, meta.View{Kind: meta.ViewAll}
		m.steps = 0
		page, err := w.List(t.Context(), w.alice, c.r)
		if err != nil || len(lines(page)) != c.shown {
			t.Fatalf("%+v: %v, %v", c.r, lines(page), err)
		}
		if m.steps > c.shown+1 {
			t.Errorf("%+v: %d steps for %d lines", c.r, m.steps, c.shown)
		}
	}
}

// TestAPageBackCostsAPage counts the steps in the metastore: they are those of what is shown, however many names there are.
func TestAPageBackCostsAPage(t *testing.T) {
	w, m := walkingWorld(t, true)
	for i := range 300 {
		w.put(fmt.Sprintf("dir-%d/%03d", i/100, i), nil)
	}
	for _, c := range []struct {
		r     backend.ListRequest
		shown int
	}{
		{backend.ListRequest{Limit: 10}, 10},
		{backend.ListRequest{Limit: 10, After: "dir-1/150"}, 10},
		{backend.ListRequest{Limit: 10, Delimiter: "/"}, 3},
		{backend.ListRequest{Limit: 10, Prefix: "dir-0/"}, 10},
	} {
		c.r.Container, c.r.Reverse = ref("photos"), true
		m.steps = 0
		page, err := w.List(t.Context(), w.alice, c.r)
		if err != nil || len(lines(page)) != c.shown {
			t.Fatalf("%+v: %v, %v", c.r, lines(page), err)
		}
		if m.steps > c.shown+1 {
			t.Errorf("%+v: %d steps for %d lines", c.r, m.steps, c.shown)
		}
	}
}

func TestDeletedNamesAreNotListedBack(t *testing.T) {
	w := newWorld(t)
	_, err := w.List(t.Context(), w.alice, backend.ListRequest{Container: ref("photos"), View: meta.View{Kind: meta.ViewDeleted}, Reverse: true, Limit: 1})
	wantKind(t, err, errs.Invalid, errs.Request)
}
