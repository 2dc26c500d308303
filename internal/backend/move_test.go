package backend_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

func (w *world) names() (names []string) {
	w.t.Helper()
	page, err := w.List(w.t.Context(), w.alice, backend.ListRequest{Container: ref("photos"), Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range page.Entries {
		names = append(names, string(e.Name))
	}
	return names
}

func (w *world) wantNames(what string, want ...string) {
	w.t.Helper()
	if got := w.names(); !slices.Equal(got, want) {
		w.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestATreeIsCopiedMovedAndDeleted(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "a-b", "a/", "a/1", "a/b/2", "ab"} {
		w.put(name, []byte(name))
	}
	stored := w.blocks()
	v, err := w.CopyTree(t.Context(), w.alice, copyOf("a", "a/c"), backend.Tree{Delimiter: "/"})
	if err != nil || v.Name != "a/c" {
		t.Fatal(v, err)
	}
	w.wantNames("copied below itself", "a", "a-b", "a/", "a/1", "a/b/2", "a/c", "a/c/", "a/c/1", "a/c/b/2", "ab")
	if w.blocks() != stored {
		t.Error("data moved")
	}
	if _, err := w.CopyTree(t.Context(), w.alice, copyOf("a", "z"), backend.Tree{Delimiter: "/", Move: true}); err != nil {
		t.Fatal(err)
	}
	w.wantNames("moved", "a-b", "ab", "z", "z/", "z/1", "z/b/2", "z/c", "z/c/", "z/c/1", "z/c/b/2")
	if err := w.DeleteTree(t.Context(), w.alice, ref("photos"), "z/c", "/", object.Precondition{}); err != nil {
		t.Fatal(err)
	}
	w.wantNames("deleted", "a-b", "ab", "z", "z/", "z/1", "z/b/2")
	if err := w.DeleteTree(t.Context(), w.alice, ref("photos"), "z/c", "/", object.Precondition{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("deleted again: %v", err)
	}
	if _, err := w.CopyTree(t.Context(), w.alice, copyOf("nothing", "z"), backend.Tree{Delimiter: "/"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("nothing copied: %v", err)
	}
	if err := w.DeleteTree(t.Context(), w.alice, ref("photos"), "", "/", object.Precondition{}); err != nil {
		t.Fatal(err)
	}
	w.wantNames("emptied")
}

// TestATreeInItself is copied and moved as if all of it went at one moment: nothing takes the name of what is still to go, and nothing goes twice.
func TestATreeInItself(t *testing.T) {
	for name, c := range map[string]struct {
		from, to string
		move     bool
		want     map[string]string
	}{
		"copied down": {"a", "a/b", false, map[string]string{"a": "a", "a/b": "a", "a/x": "a/x", "a/b/b": "a/b", "a/b/b/b": "a/b/b", "a/b/b/x": "a/b/x", "a/b/b/b/x": "a/b/b/x", "a/b/x": "a/x"}},
		"moved down":  {"a", "a/b", true, map[string]string{"a/b": "a", "a/b/x": "a/x", "a/b/b": "a/b", "a/b/b/x": "a/b/x", "a/b/b/b": "a/b/b", "a/b/b/b/x": "a/b/b/x"}},
		"copied up":   {"a/b", "a", false, map[string]string{"a": "a/b", "a/b": "a/b/b", "a/x": "a/b/x", "a/b/b": "a/b/b", "a/b/x": "a/b/b/x", "a/b/b/x": "a/b/b/x"}},
		"moved up":    {"a/b", "a", true, map[string]string{"a": "a/b", "a/b": "a/b/b", "a/x": "a/b/x", "a/b/x": "a/b/b/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, name := range []string{"a", "a/x", "a/b", "a/b/x", "a/b/b", "a/b/b/x"} {
				w.put(name, []byte(name))
			}
			if _, err := w.CopyTree(t.Context(), w.alice, copyOf(c.from, c.to), backend.Tree{Delimiter: "/", Move: c.move}); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, name := range w.names() {
				got[name] = string(w.read(target(name)))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestATreeThatDoesNotFitStaysWhereItIs(t *testing.T) {
	w := newWorld(t)
	w.create("small", bucket.Config{Quota: bucket.Limit{Bytes: 250}})
	for _, name := range []string{"a", "a/1", "a/2"} {
		w.put(name, make([]byte, 100))
	}
	for _, move := range []bool{false, true} {
		r := copyOf("a", "a")
		r.Container = ref("small")
		_, err := w.CopyTree(t.Context(), w.alice, r, backend.Tree{Delimiter: "/", Move: move})
		wantKind(t, err, errs.Quota, errs.Container)
		w.wantNames("after it failed", "a", "a/1", "a/2")
		if u, err := w.ContainerUsage(t.Context(), w.alice, ref("small")); err != nil || u != (meta.Usage{}) {
			t.Errorf("left in the target: %+v, %v", u, err)
		}
	}
	if _, err := w.CopyTree(t.Context(), w.bob, copyOf("a", "b"), backend.Tree{Delimiter: "/"}); !errs.Is(err, errs.Denied) {
		t.Errorf("by bob: %v", err)
	}
}

// TestATreeThatFailsInTheMiddle is put back, the error tells what was done, and what was broken off goes on when it is asked for again.
func TestATreeThatFailsInTheMiddle(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "a/1", "a/2"} {
		w.put(name, []byte(name))
	}
	for _, move := range []bool{false, true} {
		r := copyOf("a", "z")
		r.Change = func(*object.Version, *backend.Attributes) error {
			return errs.E("test", errs.Invalid, errs.Request, "").Because("", "not so")
		}
		_, err := w.CopyTree(t.Context(), w.alice, r, backend.Tree{Delimiter: "/", Move: move})
		var e *errs.Error
		if !errors.As(err, &e) || e.Kind != errs.Invalid || !strings.HasPrefix(e.Msg, "not so; 2 of 3 objects were ") || !strings.HasSuffix(e.Msg, "and put back") {
			t.Errorf("move %v: %v: %+v", move, err, e)
		}
		w.wantNames("put back", "a", "a/1", "a/2")
	}
	// A process that died had moved one of them.
	if _, err := w.Move(t.Context(), w.alice, copyOf("a/1", "z/1")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CopyTree(t.Context(), w.alice, copyOf("a", "z"), backend.Tree{Delimiter: "/", Move: true}); err != nil {
		t.Fatal(err)
	}
	w.wantNames("gone on", "z", "z/1", "z/2")
	w.delete(target("z/1"))
	r := object.Precondition{IfMatch: []string{"not this one"}}
	if err := w.DeleteTree(t.Context(), w.alice, ref("photos"), "z", "/", r); !errs.Is(err, errs.Precondition) {
		t.Errorf("a condition that does not hold: %v", err)
	}
	w.wantNames("not begun", "z", "z/2")
	if err := w.DeleteTree(t.Context(), w.alice, ref("photos"), "z", "/", object.Precondition{}); err != nil {
		t.Fatal(err)
	}
	w.wantNames("deleted")
}

func TestHistoryIsPurgedByTime(t *testing.T) {
	w := newWorld(t)
	w.policy(bucket.VersioningEnabled)
	w.put("x", []byte("1"))
	w.clock.Advance(time.Second)
	second := w.put("x", []byte("2"))
	w.clock.Advance(time.Second)
	w.put("y", []byte("y"))
	w.delete(target("y"))
	w.put("x", []byte("3"))
	if n, err := w.Purge(t.Context(), w.alice, ref("photos"), "", second.ID.Time(), false); n != 2 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	if n, err := w.Purge(t.Context(), w.alice, ref("photos"), "", w.clock.Now().Add(time.Hour), false); n != 2 || err != nil { // y and its marker
		t.Errorf("purged %d, %v", n, err)
	}
	w.wantNames("current objects stay", "x")
	if n, err := w.Purge(t.Context(), w.alice, ref("photos"), "x", w.clock.Now().Add(time.Hour), true); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	if _, err := w.Purge(t.Context(), w.alice, ref("photos"), "x", w.clock.Now(), true); !errs.Is(err, errs.NotFound) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := w.Purge(t.Context(), w.bob, ref("photos"), "", w.clock.Now(), false); !errs.Is(err, errs.Denied) {
		t.Errorf("by bob: %v", err)
	}
}

func TestChangesAreDescribed(t *testing.T) {
	w := newWorld(t)
	w.policy(bucket.VersioningEnabled)
	w.put("a", []byte("1"))
	w.clock.Advance(time.Second)
	a := w.put("a", []byte("22"))
	w.clock.Advance(time.Second)
	b := w.put("b", []byte("333"))
	w.clock.Advance(time.Second)
	w.put("c", []byte("1"))
	w.delete(target("c"))
	list, _, _, err := w.Changes(t.Context(), w.alice, ref("photos"), backend.Point{}, 10, 0)
	if err != nil || len(list) != 5 {
		t.Fatal(list, err)
	}
	list = append(list, meta.Changed{Name: "gone", ID: 1})
	told, err := w.Describe(t.Context(), w.alice, ref("photos"), list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*object.Summary{nil, &a.Summary, &b.Summary, nil, nil, nil}, told, cmpopts.IgnoreFields(object.Summary{}, "Latest")); diff != "" {
		t.Error(diff)
	}
	if _, err := w.Describe(t.Context(), w.bob, ref("photos"), list); !errs.Is(err, errs.Denied) {
		t.Errorf("to bob: %v", err)
	}
}

func TestChangesAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", []byte("1"))
		w.put("b", []byte("2"))
		ctx := t.Context()
		list, point, more, err := w.Changes(ctx, w.alice, ref("photos"), backend.Point{}, 1, 0)
		if err != nil || len(list) != 1 || list[0].Name != "a" || !more {
			t.Fatal(list, point, more, err)
		}
		if point != (backend.Point{}) {
			t.Errorf("a point was given away that other changes may still come before: %v", point)
		}
		w.clock.Advance(time.Minute)
		list, point, more, err = w.Changes(ctx, w.alice, ref("photos"), backend.Point{}, 10, 0)
		if err != nil || len(list) != 2 || more || point.Name != "b" {
			t.Fatal(list, point, more, err)
		}
		got := make(chan naming.ObjectName)
		go func() {
			list, _, _, err := w.Changes(ctx, w.alice, ref("photos"), point, 10, time.Hour)
			if err != nil || len(list) != 1 {
				t.Error(list, err)
				close(got)
				return
			}
			got <- list[0].Name
		}()
		synctest.Wait()
		start := time.Now()
		w.put("c", []byte("3"))
		if name := <-got; name != "c" || time.Since(start) != 0 {
			t.Errorf("told of %q after %v", name, time.Since(start))
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, _, _, err := w.Changes(short, w.alice, ref("photos"), backend.Point{ID: 1 << 60}, 10, time.Hour); err == nil {
			t.Error("a wait outlives its request")
		}
		if _, _, _, err := w.Changes(ctx, w.bob, ref("photos"), backend.Point{}, 10, 0); !errs.Is(err, errs.Denied) {
			t.Errorf("by bob: %v", err)
		}
	})
}

// Whoever goes on from page to page through changes that were made a moment ago is told each of them once, and not the first page until it is old enough.
func TestPagesOfYoungChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ *backend.Stores, o *backend.Options) { o.Clock = clock.System{} })
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			w.put(name, []byte(name))
		}
		var told []naming.ObjectName
		var point backend.Point
		start := time.Now()
		for more := true; more && len(told) < 20; {
			list, next, left, err := w.Changes(t.Context(), w.alice, ref("photos"), point, 2, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				told = append(told, e.Name)
			}
			point, more = next, left
		}
		if diff := cmp.Diff([]naming.ObjectName{"a", "b", "c", "d", "e"}, told); diff != "" {
			t.Error(diff)
		}
		if waited := time.Since(start); waited > 2*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

// What is committed while a page waits, and stands before its last change, is not passed over.
func TestPageOfYoungChangesIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late *lateChange
		w := newWorld(t, func(s *backend.Stores, o *backend.Options) {
			late = &lateChange{Store: s.Meta}
			s.Meta, o.Clock = late, clock.System{}
		})
		for _, name := range []string{"a", "b", "c"} {
			w.put(name, []byte(name))
		}
		late.hidden = "a"
		list, point, more, err := w.Changes(t.Context(), w.alice, ref("photos"), backend.Point{}, 1, 0)
		if err != nil || len(list) != 1 || list[0].Name != "a" || !more || point.Name != "a" {
			t.Errorf("%v, %v, %v, %v; want a, which was committed while the page waited", list, point, more, err)
		}
	})
}

// lateChange is a metastore that shows the changes of one name from the second time on that it is asked.
type lateChange struct {
	meta.Store
	hidden naming.ObjectName
}

func (l *lateChange) Changes(ctx context.Context, container naming.ContainerID, id object.VersionID, name naming.ObjectName, fn func(meta.Changed) bool) error {
	hidden := l.hidden
	l.hidden = ""
	return l.Store.Changes(ctx, container, id, name, func(e meta.Changed) bool { return e.Name == hidden && hidden != "" || fn(e) })
}
