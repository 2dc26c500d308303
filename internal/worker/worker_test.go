package worker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
	"pithos/internal/worker"
)

// fixture is a backend on memory stores, used by the service itself.
type fixture struct {
	*backend.Backend
	t      *testing.T
	clock  *clock.Manual
	stores backend.Stores
	bucket bucket.Container
}

var operator = backend.Caller{Principal: access.Principal{Operator: true}}

func newFixture(t *testing.T, c bucket.Config, change ...func(*backend.Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	e := memory.New(f.clock)
	f.stores = backend.Stores{Keys: e.Keys(), Buckets: e.Buckets(), Meta: e.Meta(), Blobs: e.Blobs()}
	o := backend.Options{Clock: f.clock, BlockSize: 64 << 10}
	for _, f := range change {
		f(&o)
	}
	f.Backend = backend.New(f.stores, o)
	var err error
	if f.bucket, _, err = f.CreateContainer(t.Context(), operator, backend.NewContainer{Account: "a", Name: "box", Bucket: "box", Config: c}); err != nil {
		t.Fatal(err)
	}
	return f
}

func at(name string) backend.Target {
	return backend.Target{Container: backend.Ref{Bucket: "box"}, Name: naming.ObjectName(name)}
}

func (f *fixture) put(name string, data []byte, change ...func(*backend.Attributes)) *object.Version {
	f.t.Helper()
	r := backend.PutRequest{
		Container: backend.Ref{Bucket: "box"}, Name: naming.ObjectName(name),
		Body: backend.Body{Reader: bytes.NewReader(data), Size: int64(len(data))},
	}
	for _, c := range change {
		c(&r.Attributes)
	}
	v, err := f.Put(f.t.Context(), operator, r)
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

func (f *fixture) delete(name string) {
	f.t.Helper()
	if _, err := f.Delete(f.t.Context(), operator, backend.DeleteRequest{Target: at(name)}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) blocks() (ids []block.ID) {
	f.t.Helper()
	if err := f.stores.Blobs.Walk(f.t.Context(), nil, func(i blob.Info) bool { ids = append(ids, i.ID); return true }); err != nil {
		f.t.Fatal(err)
	}
	return ids
}

func (f *fixture) collector() *worker.Collector {
	return worker.NewCollector(worker.Collection{
		Holders: f.stores.Meta, Blobs: f.stores.Blobs, Unread: f.Unread, Clock: f.clock,
		Grace: time.Minute, Interval: time.Hour, OrphansEvery: 24 * time.Hour,
	})
}

// steps runs steps until the task wants to wait.
func steps(t *testing.T, task worker.Task) time.Duration {
	t.Helper()
	for range 1000 {
		wait, err := task.Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if wait > time.Second {
			return wait
		}
	}
	t.Fatal("the task does not come to rest")
	return 0
}

func TestSpaceComesBackAfterTheGrace(t *testing.T) {
	f := newFixture(t, bucket.Config{})
	f.put("kept", []byte("kept"))
	f.put("deleted", []byte("deleted"))
	f.put("replaced", []byte("old"))
	f.put("replaced", []byte("new"))
	f.delete("deleted")
	c := f.collector()
	if wait := steps(t, c); wait != time.Hour {
		t.Errorf("waits %v", wait)
	}
	if n := len(f.blocks()); n != 4 {
		t.Errorf("%d blocks within the grace", n)
	}
	f.clock.Advance(2 * time.Minute)
	steps(t, c)
	if n := len(f.blocks()); n != 2 {
		t.Errorf("%d blocks after the grace", n)
	}
	want := worker.CollectReport{Released: 2, Deleted: 2, Bytes: 10}
	got := c.Total()
	got.Examined = 0
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestARoundNeedsNoGrace(t *testing.T) {
	f := newFixture(t, bucket.Config{})
	f.put("x", []byte("x"))
	f.delete("x")
	var phases []string
	r, err := f.collector().Round(t.Context(), 0, func(phase string, _ worker.CollectReport) { phases = append(phases, phase) })
	if err != nil || r.Released != 1 || r.Deleted != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if len(phases) < 5 || phases[0] != "reap" {
		t.Errorf("progress %v", phases)
	}
}

func TestWhatIsBeingReadIsNotCollected(t *testing.T) {
	synctest.Test(t, whatIsBeingReadIsNotCollected)
}

func whatIsBeingReadIsNotCollected(t *testing.T) {
	f := newFixture(t, bucket.Config{})
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	f.put("x", data)
	reading, stop := context.WithCancel(t.Context())
	defer stop()
	o, err := f.Open(reading, operator, at("x"), object.Precondition{}, access.GetObject)
	if err != nil {
		t.Fatal(err)
	}
	f.delete("x")
	c := f.collector()
	for range 3 {
		f.clock.Advance(time.Hour)
		steps(t, c)
	}
	var out bytes.Buffer
	if err := o.CopyTo(reading, &out, 0, o.Size); err != nil || !bytes.Equal(out.Bytes(), data) {
		t.Fatalf("the reader lost the version: %v", err)
	}
	stop()
	synctest.Wait()
	steps(t, c)
	if n := len(f.blocks()); n != 0 {
		t.Errorf("%d blocks are left", n)
	}
}

func TestAWriterThatVanishedLeavesNothing(t *testing.T) {
	f := newFixture(t, bucket.Config{})
	h := block.NewHolder()
	ctx := t.Context()
	if err := f.stores.Meta.Intend(ctx, h, meta.Intent{Account: "a", Expires: f.clock.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	orphan := block.NewHolder()
	for _, h := range []block.Holder{h, orphan} {
		data := h[:]
		if err := f.stores.Blobs.Put(ctx, blob.Hold{Holder: h, Account: "a"}, block.Sum(data), block.Strip(data)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := f.collector().Round(ctx, 0, nil)
	if err != nil || r.Orphans != 1 || r.Reaped != 0 || r.Deleted != 1 {
		t.Errorf("%+v, %v: only the orphan goes at first", r, err)
	}
	f.clock.Advance(time.Hour)
	r, err = f.collector().Round(ctx, 0, nil)
	if err != nil || r.Orphans != 0 || r.Reaped != 1 || r.Deleted != 1 {
		t.Errorf("%+v, %v: the intent has expired", r, err)
	}
}

// TestAnIncompleteMetastoreGivesUpNobody hunts for orphans in a blobstore that keeps holders of a metastore which is not asked. It leaves all of them, and what is known to be
// dead goes all the same.
func TestAnIncompleteMetastoreGivesUpNobody(t *testing.T) {
	f := newFixture(t, bucket.Config{})
	f.put("x", []byte("known"))
	f.delete("x")
	stranger := block.NewHolder()
	if err := f.stores.Blobs.Put(t.Context(), blob.Hold{Holder: stranger, Account: "a"}, block.Sum(stranger[:]), block.Strip(stranger[:])); err != nil {
		t.Fatal(err)
	}
	asked := 0
	col := f.collector()
	missing := errors.New("a region is missing here")
	col.Whole = func(context.Context) error {
		asked++
		return missing
	}
	if r, err := col.Round(t.Context(), 0, nil); !errors.Is(err, missing) || r.Orphans != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	f.clock.Advance(48 * time.Hour)
	failures := 0
	for range 100 {
		wait, err := col.Step(t.Context())
		if err != nil {
			failures++
		}
		if wait > time.Second {
			break
		}
	}
	if n := len(f.blocks()); failures != 1 || asked != 2 || n != 1 {
		t.Errorf("%d failures, asked %d times, %d blocks are left", failures, asked, n)
	}
	col.Whole = nil
	f.clock.Advance(time.Hour)
	steps(t, col)
	if n := len(f.blocks()); n != 0 {
		t.Errorf("%d blocks are left when all metastores are asked", n)
	}
}

// lying is a blobstore that gives other bytes for some blocks.
type lying struct {
	blob.Store
	about map[block.ID]bool
}

func (l lying) Unwrap() blob.Store { return l.Store }

func (l lying) Read(ctx context.Context, id block.ID, off int64, dst []byte) (int, error) {
	n, err := l.Store.Read(ctx, id, off, dst)
	if l.about[id] && n > 0 {
		dst[0] ^= 1
	}
	return n, err
}

func TestTheScrubberListsExactlyWhatIsDamaged(t *testing.T) {
	f := newFixture(t, bucket.Config{})
	var bytesStored int64
	damaged := map[block.ID]bool{}
	for i := range 600 {
		data := bytes.Repeat([]byte{byte(i), byte(i >> 8), 1}, 1+i)
		bytesStored += int64(len(data))
		f.put(string(rune('a'+i)), data)
		if i%200 == 7 {
			damaged[block.Sum(data)] = true
		}
	}
	s := worker.NewScrubber(worker.Scrubbing{Blobs: lying{f.stores.Blobs, damaged}, Clock: f.clock, Interval: time.Hour})
	first, err := s.Round(t.Context(), nil)
	if err != nil || first.Blocks != 600 || first.Bytes != bytesStored || first.Quarantined != 3 || len(first.Damaged) != 3 {
		t.Fatalf("%+v, %v", first, err)
	}
	for _, id := range first.Damaged {
		if parsed, err := block.ParseID(id); err != nil || !damaged[parsed] {
			t.Errorf("%s is not damaged", id)
		}
	}
	second, err := s.Round(t.Context(), nil)
	none := []string{}
	want := worker.ScrubReport{
		Blocks: 597, Damaged: none, Unreadable: none, Healed: none, Quarantined: 3, DamagedBodies: none, UnreadableBodies: none, HealedBodies: none, FailingNodes: map[string]int64{},
	}
	second.Bytes = 0
	if d := cmp.Diff(want, second); err != nil || d != "" {
		t.Errorf("the second round: %v %s", err, d)
	}
	if wait := steps(t, s); wait != time.Hour || s.Total().Blocks != 597 {
		t.Errorf("in steps: %+v, then waits %v", s.Total(), wait)
	}
}

// playing is a metastore whose audits of the versions called "n" find what a test wants.
type playing struct {
	meta.Store
	n map[naming.ObjectName]meta.BodyAudit
}

func (p playing) AuditBodies(ctx context.Context, from string, limit int64, found func(meta.BodyAudit) error) (string, int64, error) {
	return p.Store.(meta.Auditor).AuditBodies(ctx, from, min(limit, 100), func(a meta.BodyAudit) error {
		b, ok := p.n[a.Name]
		if !ok {
			return found(a)
		}
		b.Container, b.Name, b.ID = a.Container, a.Name, a.ID
		return found(b)
	})
}

// TestTheScrubberReadsKeptBodies: what is damaged of them is found again and again, what is healed once.
func TestTheScrubberReadsKeptBodies(t *testing.T) {
	f := newFixture(t, bucket.Config{}, func(o *backend.Options) { o.KeepMax = 100 })
	where := func(name string) string {
		v, err := f.stores.Meta.Get(t.Context(), f.bucket.ID, naming.ObjectName(name), meta.Which{})
		if err != nil {
			t.Fatal(err)
		}
		return meta.VersionName(f.bucket.ID, v.Name, v.ID)
	}
	for _, name := range []string{"damaged", "fine", "healed", "unread"} {
		f.put(name, []byte("bytes of "+name))
	}
	f.put("block", bytes.Repeat([]byte{1}, 200))
	m := playing{f.stores.Meta, map[naming.ObjectName]meta.BodyAudit{
		"damaged": {Copies: 3, Bad: 2, Missing: 1, Bytes: 20, Damaged: true},
		"healed":  {Copies: 3, Missing: 1, Bytes: 20, Healed: true},
		"unread":  {Err: errs.E("", errs.Internal, errs.Store, ""), Failing: []string{"a", "b"}},
		"fine":    {Copies: 2, Bytes: 13, Failing: []string{"b"}, Unreached: 1},
	}}
	s := worker.NewScrubber(worker.Scrubbing{Blobs: f.stores.Blobs, Meta: m, Clock: f.clock, Interval: time.Hour})
	none := []string{}
	want := worker.ScrubReport{
		Blocks: 1, Bytes: 200 + 13 + 40, Damaged: none, Unreadable: none, Healed: none, Copies: 8, Bodies: 3, FailingNodes: map[string]int64{"a": 1, "b": 2}, Unreached: 1,
		DamagedBodies: []string{where("damaged")}, UnreadableBodies: []string{where("unread")}, HealedBodies: []string{where("healed")},
	}
	first, err := s.Round(t.Context(), nil)
	if d := cmp.Diff(want, first); err != nil || d != "" || !first.Damage() {
		t.Errorf("%v %s", err, d)
	}
	delete(m.n, "fine")
	m.n["healed"], m.n["unread"] = meta.BodyAudit{Copies: 3, Bytes: 30}, meta.BodyAudit{Copies: 3, Bytes: 30}
	want.Bytes, want.Copies, want.Bodies, want.HealedBodies, want.UnreadableBodies = 200+13+80, 9, 4, none, none
	want.FailingNodes, want.Unreached = map[string]int64{}, 0
	second, err := s.Round(t.Context(), nil)
	if d := cmp.Diff(want, second); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	if wait := steps(t, s); wait != time.Hour || s.Total().Bodies != 4 || len(s.Total().DamagedBodies) != 1 {
		t.Errorf("in steps: %+v, then waits %v", s.Total(), wait)
	}
	m.n["unread"] = meta.BodyAudit{Err: errs.E("", errs.Busy, errs.Store, "")}
	if _, err := s.Round(t.Context(), nil); !errs.Is(err, errs.Busy) {
		t.Errorf("a store that is busy: %v", err)
	}
}

func TestExpiredVersionsGo(t *testing.T) {
	f := newFixture(t, bucket.Config{Versioning: bucket.VersioningEnabled, ObjectLock: true})
	expires := func(d time.Duration) func(*backend.Attributes) {
		return func(a *backend.Attributes) { a.Expires = f.clock.Now().Add(d) }
	}
	f.put("alone", []byte("1"), expires(time.Hour))
	f.put("later", []byte("1"), expires(3*time.Hour))
	f.put("covers", []byte("old"))
	f.put("covers", []byte("new"), expires(time.Hour))
	f.put("covered", []byte("old"), expires(time.Hour))
	f.put("covered", []byte("new"))
	f.put("locked", []byte("1"), expires(time.Minute), func(a *backend.Attributes) { a.LegalHold = true })
	e := worker.NewExpirer(worker.Expiring{Meta: f.stores.Meta, Clock: f.clock, Interval: time.Hour})
	steps(t, e)
	if got := e.Total(); got != (worker.ExpireReport{}) {
		t.Errorf("before the time: %+v", got)
	}
	f.clock.Advance(2 * time.Hour)
	steps(t, e)
	if got, want := e.Total(), (worker.ExpireReport{Deleted: 3, Bytes: 7, Locked: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	var got []string
	for _, view := range []meta.ViewKind{meta.ViewCurrent, meta.ViewDeleted} {
		page, err := f.List(t.Context(), operator, backend.ListRequest{Container: backend.Ref{Bucket: "box"}, View: meta.View{Kind: view}, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Entries {
			got = append(got, string(s.Name))
		}
	}
	if d := cmp.Diff([]string{"covered", "later", "locked", "covers"}, got); d != "" {
		t.Error(d)
	}
}

// script is a task that waits and fails as told.
type script struct {
	name  string
	steps chan func() (time.Duration, error)
}

func (s *script) Name() string { return s.name }

func (s *script) Step(ctx context.Context) (time.Duration, error) {
	select {
	case f := <-s.steps:
		return f()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestTheSchedulerGivesEachTaskItsRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var ran []time.Duration
		does := func(wait time.Duration, err error) func() (time.Duration, error) {
			return func() (time.Duration, error) {
				ran = append(ran, time.Since(start))
				return wait, err
			}
		}
		slow := &script{"slow", make(chan func() (time.Duration, error), 10)}
		idle := &script{"idle", nil}
		broken := errors.New("broken")
		for _, f := range []func() (time.Duration, error){
			does(time.Hour, nil), does(0, nil), does(0, broken), does(0, broken), does(time.Minute, nil), does(0, broken), does(0, nil),
		} {
			slow.steps <- f
		}
		ctx, stop := context.WithCancel(t.Context())
		s := worker.NewScheduler(clock.System{}, slog.New(slog.DiscardHandler), slow, idle)
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		time.AfterFunc(2*time.Hour, stop)
		<-done
		h := time.Hour
		want := []time.Duration{0, h, h, h + time.Second, h + 3*time.Second, h + 63*time.Second, h + 64*time.Second}
		if d := cmp.Diff(want, ran); d != "" {
			t.Error(d)
		}
		status := s.Status()
		if status[0].Task != "slow" || status[0].Steps != 7 || status[0].Failures != 3 || status[0].LastErr != "" || status[1].Steps != 0 {
			t.Errorf("%+v", status)
		}
	})
}
