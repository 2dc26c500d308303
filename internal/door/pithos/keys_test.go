package pithos

import (
	"testing"
	"time"
)

// TestKeysAreKept until the container changes, and only once it has rested.
func TestKeysAreKept(t *testing.T) {
	w := newWorld(t)
	want := func(keys string, kept int) {
		t.Helper()
		w.do("HEAD", "c", "").want(204).has("X-Container-Object-Meta", keys)
		if got := len(w.d.keys.kept); got != kept {
			t.Errorf("%d containers are kept, want %d", got, kept)
		}
	}
	w.put("c/x", "1", "X-Object-Meta-A", "1")
	want("A", 0)
	w.clock.Advance(time.Minute)
	want("A", 1)
	want("A", 1)
	w.put("c/y", "1", "X-Object-Meta-B", "1")
	want("A,B", 1)
	w.clock.Advance(time.Minute)
	want("A,B", 1)
	w.do("POST", "c/y", "").want(202)
	want("A", 1)
	w.clock.Advance(time.Minute)
	want("A", 1)
	w.do("DELETE", "c/x", "").want(204)
	w.clock.Advance(time.Minute)
	if a := w.do("HEAD", "c", "").want(204); a.header.Get("X-Container-Object-Meta") != "" {
		t.Errorf("after the deletion: %q", a.header.Get("X-Container-Object-Meta"))
	}
}
