package worker_test

import (
	"fmt"
	"testing"
	"time"

	"pithos/internal/backend"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/object/lifecycle"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
	"pithos/internal/worker"
)

const day = lifecycle.Day

// living is a fixture whose bucket has lifecycle rules.
type living struct {
	*fixture
	life *worker.Lifecycle
}

func newLiving(t *testing.T, v bucket.Versioning, rules ...lifecycle.Rule) *living {
	t.Helper()
	raw, err := lifecycle.Encode(rules)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, bucket.Config{Versioning: v, ObjectLock: v == bucket.VersioningEnabled, Documents: map[string][]byte{lifecycle.Document: raw}})
	if _, err := f.stores.Keys.(key.Writer).CreateAccount(t.Context(), key.Account{ID: "a", Canonical: "a"}); err != nil {
		t.Fatal(err)
	}
	return &living{f, worker.NewLifecycle(worker.Lifecycling{
		Backend: f.Backend, Keys: f.stores.Keys, Buckets: f.stores.Buckets, Meta: f.stores.Meta, Clock: f.clock, Day: day, Interval: time.Minute,
	})}
}

// after moves the clock by days and runs a round; it tells what stands, newest versions first within a name.
func (l *living) after(days float64) string {
	l.t.Helper()
	l.clock.Advance(time.Duration(days * float64(day)))
	if _, err := l.life.Step(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	cur := l.stores.Meta.Scan(l.t.Context(), l.bucket.ID, meta.View{Kind: meta.ViewAll})
	defer cur.Close()
	got := ""
	for {
		s, err := cur.Next(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		if s == nil {
			return got
		}
		if s.Kind == object.DeleteMarker {
			got += fmt.Sprintf("%s:gone ", s.Name)
		} else {
			got += fmt.Sprintf("%s:%d ", s.Name, s.Size)
		}
	}
}

func (l *living) want(days float64, want string) {
	l.t.Helper()
	if got := l.after(days); got != want {
		l.t.Errorf("%s: %q, want %q", l.clock.Now().Format("2 Jan 15:04"), got, want)
	}
}

func TestRulesExpireObjects(t *testing.T) {
	five, big := int64(5), int64(100)
	tag := []object.Tag{{Key: "k", Value: "v"}}
	l := newLiving(t, bucket.VersioningOff,
		lifecycle.Rule{ID: "days", Prefix: "d/", Days: 2}, lifecycle.Rule{ID: "size", Prefix: "s/", Days: 1, Larger: &five, Smaller: &big},
		lifecycle.Rule{ID: "tag", Prefix: "t/", Days: 1, Tags: tag}, lifecycle.Rule{ID: "off", Disabled: true, Days: 1},
		lifecycle.Rule{ID: "date", Prefix: "z", Date: time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)})
	for _, name := range []string{"d/1", "e/1", "s/1", "t/1", "z"} {
		l.put(name, []byte("1"))
	}
	l.put("s/6", []byte("123456"))
	l.put("t/2", []byte("1"), func(a *backend.Attributes) { a.Tags = tag })
	l.want(0, "d/1:1 e/1:1 s/1:1 s/6:6 t/1:1 t/2:1 z:1 ") // 1 March, noon
	l.want(1, "d/1:1 e/1:1 s/1:1 s/6:6 t/1:1 t/2:1 z:1 ") // periods end at midnight
	l.want(0.5, "d/1:1 e/1:1 s/1:1 t/1:1 z:1 ")
	l.put("d/2", []byte("1"))
	l.want(1, "d/2:1 e/1:1 s/1:1 t/1:1 z:1 ")
	// A tag that comes late is seen, though nothing stands in the index of changes.
	if _, err := l.Amend(t.Context(), operator, at("t/1"), "s3:PutObjectTagging", func(_ bucket.Container, v *object.Version) error {
		v.Tags = tag
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	l.want(1, "e/1:1 s/1:1 z:1 ")
	l.want(3, "e/1:1 s/1:1 ")
	if got := l.life.Total(); got.Expired != 6 || got.Removed+got.Markers != 0 {
		t.Errorf("%+v", got)
	}
}

func TestRulesRemoveCoveredVersions(t *testing.T) {
	l := newLiving(t, bucket.VersioningEnabled,
		lifecycle.Rule{ID: "both", Prefix: "b/", Days: 3, NoncurrentDays: 1}, lifecycle.Rule{ID: "keep", Prefix: "k/", NoncurrentDays: 2, Newer: 2})
	l.put("b/1", []byte("1"))
	l.want(4, "b/1:gone b/1:1 ") // expired: covered by a marker, and that since today
	l.want(1, "b/1:gone b/1:1 ")
	l.want(1, "b/1:gone ")
	l.want(3, "")
	for i := range 5 {
		l.put("k/1", make([]byte, i+1))
	}
	l.want(2, "k/1:5 k/1:4 k/1:3 k/1:2 k/1:1 ")
	l.want(1, "k/1:5 k/1:4 k/1:3 ")
	l.put("k/1", make([]byte, 6)) // pushes out what is old enough already
	l.want(0.01, "k/1:6 k/1:5 k/1:4 ")
	l.put("k/1", make([]byte, 7))
	l.put("k/1", make([]byte, 8))
	l.want(0.01, "k/1:8 k/1:7 k/1:6 k/1:5 ") // 5 is covered since now only
	l.want(3, "k/1:8 k/1:7 k/1:6 ")
}

func TestRulesRemoveMarkers(t *testing.T) {
	l := newLiving(t, bucket.VersioningEnabled, lifecycle.Rule{ID: "markers", Prefix: "m/", Markers: true})
	v := l.put("m/1", []byte("1"))
	for _, name := range []string{"m/1", "m/2", "n/1"} {
		if _, err := l.Delete(t.Context(), operator, backend.DeleteRequest{Target: at(name)}); err != nil {
			t.Fatal(err)
		}
	}
	l.want(0, "m/1:gone m/1:1 n/1:gone ")
	covered := at("m/1")
	covered.Which = meta.Which{By: meta.ByID, ID: v.ID}
	if _, err := l.Delete(t.Context(), operator, backend.DeleteRequest{Target: covered}); err != nil {
		t.Fatal(err)
	}
	l.want(1, "n/1:gone ")
}

func TestRulesRespectLocks(t *testing.T) {
	l := newLiving(t, bucket.VersioningEnabled, lifecycle.Rule{ID: "all", NoncurrentDays: 1})
	l.put("a", []byte("1"), func(a *backend.Attributes) {
		a.Retention = object.Retention{Mode: object.Governance, Until: l.clock.Now().Add(5 * day)}
	})
	l.put("a", []byte("12"))
	l.want(3, "a:2 a:1 ")
	l.want(1, "a:2 a:1 ")
	if l.life.Total().Locked == 0 {
		t.Error("the lock was not met")
	}
	l.want(2, "a:2 ")
}

func TestRulesAbortUploads(t *testing.T) {
	l := newLiving(t, bucket.VersioningOff, lifecycle.Rule{ID: "uploads", Prefix: "u/", AbortDays: 1})
	for _, name := range []naming.ObjectName{"a", "u/1", "u/2", "v"} {
		if _, err := l.BeginUpload(t.Context(), operator, backend.NewUpload{Container: backend.Ref{Bucket: "box"}, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	l.after(1)
	if got := l.life.Total().Aborted; got != 0 {
		t.Errorf("%d aborted too early", got)
	}
	l.after(1)
	if got := l.life.Total().Aborted; got != 2 {
		t.Errorf("%d aborted, want 2", got)
	}
}

// TestLifecycleCostsWhatIsDue shows that a round reads what became due since the one before, not what the container holds.
func TestLifecycleCostsWhatIsDue(t *testing.T) {
	l := newLiving(t, bucket.VersioningOff, lifecycle.Rule{ID: "days", Prefix: "x/", Days: 10})
	for i := range 20 {
		l.put(fmt.Sprintf("kept/%d", i), nil)
		l.put(fmt.Sprintf("x/%d", i), nil)
	}
	l.clock.Advance(5 * day)
	for i := range 2000 {
		l.put(fmt.Sprintf("young/%d", i), nil)
	}
	l.after(6)
	l.after(1)
	l.after(1)
	if got := l.life.Total(); got.Expired != 20 || got.Examined != 40 {
		t.Errorf("%+v: want the 40 entries that are old enough, once", got)
	}
}
