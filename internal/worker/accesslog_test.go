package worker_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/worker"
)

// newLogging makes an access log for the bucket "box", whose records go where to says.
func newLogging(t *testing.T, to bucket.Logging) (*fixture, *worker.AccessLog) {
	t.Helper()
	f := newFixture(t, bucket.Config{})
	keys := f.stores.Keys.(key.Store)
	if _, err := keys.CreateAccount(t.Context(), key.Account{ID: "a", Canonical: "canonical-a"}); err != nil {
		t.Fatal(err)
	}
	f.logTo(to)
	return f, worker.NewAccessLog(worker.AccessLogging{Backend: f.Backend, Clock: f.clock, Interval: time.Millisecond})
}

func (f *fixture) logTo(to bucket.Logging) {
	f.t.Helper()
	_, err := f.Configure(f.t.Context(), operator, backend.Ref{Bucket: "box"}, "s3:PutBucketLogging", func(_ bucket.Container, c *bucket.Config) error {
		raw, err := to.Encode()
		c.Documents = map[string][]byte{bucket.LoggingDocument: raw}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// records are the names and contents of the objects below a prefix.
func (f *fixture) records(prefix string) (names, texts []string) {
	f.t.Helper()
	page, err := f.List(f.t.Context(), operator, backend.ListRequest{Container: backend.Ref{Bucket: "box"}, Prefix: prefix, Limit: 1000})
	if err != nil {
		f.t.Fatal(err)
	}
	for i := range page.Entries {
		o, err := f.Open(f.t.Context(), operator, at(string(page.Entries[i].Name)), object.Precondition{}, access.GetObject)
		if err != nil {
			f.t.Fatal(err)
		}
		var b strings.Builder
		if err := o.CopyTo(f.t.Context(), &b, 0, o.Size); err != nil {
			f.t.Fatal(err)
		}
		names, texts = append(names, string(page.Entries[i].Name)), append(texts, b.String())
	}
	return names, texts
}

// TestRecordsAreDelivered tells the names of objects with records in each form, and that records stand in them in their order.
func TestRecordsAreDelivered(t *testing.T) {
	for name, tc := range map[string]struct {
		partition bucket.Partition
		form      string
	}{
		"simple":   {bucket.NoPartition, `^log/2026-03-01-12-00-00-[0-9A-F]{16}$`},
		"event":    {bucket.PartitionByEvent, `^log/a/us-east-1/box/2026/02/28/2026-02-28-00-00-00-[0-9A-F]{16}$`},
		"delivery": {bucket.PartitionByDelivery, `^log/a/us-east-1/box/2026/03/01/2026-03-01-12-00-00-[0-9A-F]{16}$`},
	} {
		t.Run(name, func(t *testing.T) {
			f, l := newLogging(t, bucket.Logging{Target: "box", Prefix: "log/", Partition: tc.partition})
			if owner, ok := l.Wants(t.Context(), "box"); !ok || owner != "canonical-a" {
				t.Fatalf("owner %q, %v", owner, ok)
			}
			event := f.clock.Now().Add(-24 * time.Hour)
			l.Add(t.Context(), "box", event, "one\nline")
			l.Add(t.Context(), "box", event, "two")
			l.Add(t.Context(), "elsewhere", event, "three")
			if _, err := l.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			names, texts := f.records("log/")
			if len(names) != 1 || !regexp.MustCompile(tc.form).MatchString(names[0]) || texts[0] != "one?line\ntwo\n" {
				t.Errorf("%q %q", names, texts)
			}
			if r := l.Total(); r != (worker.AccessLogReport{Records: 2, Objects: 1}) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestRecordsOfDays: by the day of the event, each day has objects of its own.
func TestRecordsOfDays(t *testing.T) {
	f, l := newLogging(t, bucket.Logging{Target: "box", Prefix: "log/", Partition: bucket.PartitionByEvent})
	for day := range 3 {
		l.Add(t.Context(), "box", f.clock.Now().AddDate(0, 0, -day), "line")
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names, _ := f.records("log/a/us-east-1/box/2026/"); len(names) != 3 {
		t.Error(names)
	}
}

// TestSettingsChange: a change counts at once where it was made and soon elsewhere.
func TestSettingsChange(t *testing.T) {
	f, l := newLogging(t, bucket.Logging{Target: "box", Prefix: "one/"})
	l.Add(t.Context(), "box", f.clock.Now(), "1")
	f.logTo(bucket.Logging{Target: "box", Prefix: "two/"})
	l.Add(t.Context(), "box", f.clock.Now(), "2")
	l.Changed("box")
	l.Add(t.Context(), "box", f.clock.Now(), "3")
	f.logTo(bucket.Logging{Target: "box", Prefix: "three/"})
	f.clock.Advance(time.Minute)
	l.Add(t.Context(), "box", f.clock.Now(), "4")
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]string{"one/": "1\n2\n", "two/": "3\n", "three/": "4\n"} {
		if _, texts := f.records(prefix); !slices.Equal(texts, []string{want}) {
			t.Errorf("%s: %q, want %q", prefix, texts, want)
		}
	}
}

// brokenBlobs fails while it is told to.
type brokenBlobs struct {
	blob.Store
	broken bool
}

func (b *brokenBlobs) Sync(ctx context.Context) error {
	if b.broken {
		return errs.E("test", errs.Busy, errs.Store, "").With(errors.New("broken"))
	}
	return b.Store.Sync(ctx)
}

// TestRecordsWaitForAStoreThatFails: what cannot be delivered is delivered later, and once; memory for it is bounded.
func TestRecordsWaitForAStoreThatFails(t *testing.T) {
	f, _ := newLogging(t, bucket.Logging{Target: "box", Prefix: "log/"})
	blobs := &brokenBlobs{Store: f.stores.Blobs, broken: true}
	stores := f.stores
	stores.Blobs = blobs
	l := worker.NewAccessLog(worker.AccessLogging{Backend: backend.New(stores, backend.Options{Clock: f.clock}), Clock: f.clock, Interval: time.Hour})
	l.Add(t.Context(), "box", f.clock.Now(), "1")
	if err := l.Flush(t.Context()); err == nil {
		t.Fatal("a broken store took records")
	}
	line := strings.Repeat("x", 16<<10)
	for range 3000 {
		l.Add(t.Context(), "box", f.clock.Now(), line)
	}
	dropped := l.Total().Dropped
	if dropped < 900 || dropped > 1000 {
		t.Errorf("%d of 3,000 records of 16 KiB dropped", dropped)
	}
	blobs.broken = false
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := l.Total(); r.Records != 3001-dropped || r.Objects != 1 {
		t.Errorf("%+v", r)
	}
	if _, texts := f.records("log/"); len(texts) != 1 || !strings.HasPrefix(texts[0], "1\nxxx") {
		t.Errorf("%d objects", len(texts))
	}
	l.Add(t.Context(), "box", f.clock.Now(), "room again")
	if l.Total().Dropped != dropped {
		t.Error("there is no room after a delivery")
	}
}

// TestTargetIsGone: records whose target does not exist any more are dropped and counted.
func TestTargetIsGone(t *testing.T) {
	f, l := newLogging(t, bucket.Logging{Target: naming.BucketName("gone"), Prefix: "log/"})
	l.Add(t.Context(), "box", f.clock.Now(), "1")
	if err := l.Flush(t.Context()); err == nil {
		t.Error("delivered to nowhere")
	}
	if r := l.Total(); r != (worker.AccessLogReport{Dropped: 1}) {
		t.Errorf("%+v", r)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}
