package memory

import (
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// TestLifeOfAnObject walks the stores through a put, a replacement and the collection of what it left.
func TestLifeOfAnObject(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := New(clock.NewManual(now))
	container := naming.NewContainerID()
	data := []byte("hello")
	id := block.Sum(data)
	put := func(now time.Time) {
		h := block.NewHolder()
		for _, err := range []error{
			s.Meta().Intend(t.Context(), h, meta.Intent{Account: "test", Expires: now.Add(time.Hour)}),
			s.Blobs().Put(t.Context(), blob.Hold{Holder: h, Account: "test"}, id, data),
			s.Blobs().Sync(t.Context()),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		v := &object.Version{
			Summary: object.Summary{Null: true, Size: 5},
			Content: object.Content{Holder: h, Map: block.Map{Refs: []block.Ref{{ID: id, Len: 5}}}},
		}
		if _, err := s.Meta().Commit(t.Context(), meta.Change{Container: container, Account: "test", Name: "a", Now: now, Version: v}); err != nil {
			t.Fatal(err)
		}
	}
	put(now)
	put(now.Add(time.Second))
	dead, err := s.Meta().Dead(t.Context(), now, 10)
	if err != nil || len(dead) != 0 {
		t.Fatalf("dead before the replacement: %v, %v", dead, err)
	}
	dead, err = s.Meta().Dead(t.Context(), now.Add(time.Second), 10)
	if err != nil || len(dead) != 1 {
		t.Fatalf("dead after the replacement: %v, %v", dead, err)
	}
	if err := s.Blobs().Release(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	report, _, err := s.Blobs().Sweep(t.Context(), now.Add(time.Hour), blob.Budget{}, nil)
	if err != nil || report.Deleted != 0 || report.Examined != 1 {
		t.Fatalf("the block is still held by the second version: %+v, %v", report, err)
	}
	c := s.Meta().Scan(t.Context(), container, meta.View{})
	defer c.Close()
	first, err := c.Next(t.Context())
	if err != nil || first == nil || first.Name != "a" || !first.Latest {
		t.Fatalf("scan: %+v, %v", first, err)
	}
	if second, err := c.Next(t.Context()); err != nil || second != nil {
		t.Fatalf("scan found a second entry: %+v, %v", second, err)
	}
}
