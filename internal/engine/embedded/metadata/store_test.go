package metadata

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

const account naming.AccountID = "test"

var box = naming.ContainerID{7}

func at(us int64) time.Time { return time.UnixMicro(us).UTC() }

// bench is a store with what a test does with it.
type bench struct {
	*Store
	t    *testing.T
	fs   vfs.FS
	db   *pebble.DB
	opts Options
}

func openDB(t testing.TB, fs vfs.FS) *pebble.DB {
	t.Helper()
	levels := make([]pebble.LevelOptions, 7)
	for i := range levels {
		levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	o := &pebble.Options{FS: fs, Merger: Merger(), Logger: quiet{t}, MemTableSize: 1 << 20}
	copy(o.Levels[:], levels)
	db, err := pebble.Open("db", o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// quiet fails the test when Pebble wants to end the process, and says nothing else.
type quiet struct{ t testing.TB }

func (quiet) Infof(string, ...any)                {}
func (quiet) Errorf(string, ...any)               {}
func (q quiet) Fatalf(format string, args ...any) { q.t.Errorf("pebble: "+format, args...) }

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchWith(t, Options{SharedLog: true})
}

func newBenchWith(t *testing.T, o Options) *bench {
	t.Helper()
	fs := vfs.NewMem()
	b := &bench{t: t, fs: fs, db: openDB(t, fs), opts: o}
	s, err := New(b.db, o)
	if err != nil {
		t.Fatal(err)
	}
	b.Store = s
	t.Cleanup(func() {
		b.check()
		if err := errors.Join(b.Store.Close(), b.db.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// reopen closes and opens the store again.
func (b *bench) reopen() {
	b.t.Helper()
	if err := errors.Join(b.Store.Close(), b.db.Close()); err != nil {
		b.t.Fatal(err)
	}
	b.db = openDB(b.t, b.fs)
	s, err := New(b.db, b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Store = s
}

func (b *bench) intend() block.Holder {
	b.t.Helper()
	h := block.NewHolder()
	b.ok(b.Intend(b.t.Context(), h, meta.Intent{Account: account, Expires: at(1 << 50)}))
	return h
}

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// fails checks the kind and thing of an error.
func (b *bench) fails(err error, kind errs.Kind, thing errs.Thing) {
	b.t.Helper()
	if !errs.IsThing(err, kind, thing) {
		b.t.Fatalf("got %v, want %v of %v", err, kind, thing)
	}
}

// put makes a change that puts a version with a holder of its own.
func (b *bench) put(name string, now, size int64, opts ...func(*meta.Change)) meta.Change {
	b.t.Helper()
	v := &object.Version{Summary: object.Summary{Size: size, ETag: strings.Repeat("0a", 16), Owner: account}}
	if size > 0 {
		v.Content = object.Content{Holder: b.intend(), Map: block.Map{Refs: []block.Ref{{ID: block.ID{1}, Len: size}}}}
	}
	c := meta.Change{Container: box, Account: account, Name: naming.ObjectName(name), Now: at(now), Version: v}
	for _, o := range opts {
		o(&c)
	}
	return c
}

func null(c *meta.Change)   { c.Version.Null = true }
func marker(c *meta.Change) { c.Version.Kind = object.DeleteMarker }

func (b *bench) commit(c meta.Change) meta.Outcome {
	b.t.Helper()
	o, err := b.Commit(b.t.Context(), c)
	b.ok(err)
	return o
}

func (b *bench) usage() meta.Usage {
	b.t.Helper()
	a, err := b.AccountUsage(b.t.Context(), account)
	b.ok(err)
	c, err := b.ContainerUsage(b.t.Context(), box)
	b.ok(err)
	if a != c {
		b.t.Fatalf("account has %+v, its only container %+v", a, c)
	}
	return a
}

// list shows a view as "name@id" from a position on.
func (b *bench) list(v meta.View, from meta.Position) string {
	b.t.Helper()
	cur := b.Scan(b.t.Context(), box, v)
	defer cur.Close()
	if from != (meta.Position{}) {
		cur.Seek(from)
	}
	var out []string
	for {
		s, err := cur.Next(b.t.Context())
		b.ok(err)
		if s == nil {
			return strings.Join(out, " ")
		}
		mark := ""
		if s.Latest {
			mark = "*"
		}
		out = append(out, fmt.Sprintf("%s@%d%s", s.Name, s.ID, mark))
	}
}

func (b *bench) dead() int {
	b.t.Helper()
	list, err := b.Dead(b.t.Context(), at(1<<50), 1<<20)
	b.ok(err)
	return len(list)
}

func TestPutGetOverwrite(t *testing.T) {
	b := newBench(t)
	big := b.put("a", 10, 5, null)
	big.Version.Meta = map[object.Domain]map[string]string{object.UserMeta: {"k": strings.Repeat("v", 2000)}}
	b.commit(big)
	v, err := b.Get(t.Context(), box, "a", meta.Which{})
	b.ok(err)
	if v.ID != 10 || !v.Latest || v.Name != "a" || len(v.Meta[object.UserMeta]["k"]) != 2000 {
		t.Fatalf("got %+v", v)
	}
	b.commit(b.put("a", 20, 7, null))
	if got, want := b.usage(), (meta.Usage{Objects: 1, Bytes: 7, Versions: 1, Stored: 7}); got != want {
		t.Fatalf("usage %+v, want %+v", got, want)
	}
	if b.dead() != 1 {
		t.Fatalf("%d dead holders after an overwrite", b.dead())
	}
	_, err = b.Get(t.Context(), box, "a", meta.Which{By: meta.ByID, ID: 10})
	b.fails(err, errs.NotFound, errs.Version)
	_, err = b.Get(t.Context(), box, "b", meta.Which{})
	b.fails(err, errs.NotFound, errs.Object)
	b.reopen()
	v, err = b.Get(t.Context(), box, "a", meta.Which{By: meta.TheNull})
	b.ok(err)
	if v.ID != 20 || v.Meta != nil {
		t.Fatalf("got %+v", v)
	}
}

func TestVersionsAndViews(t *testing.T) {
	b := newBench(t)
	b.commit(b.put("a", 10, 1))
	b.commit(b.put("a", 20, 2))
	b.commit(b.put("a/", 25, 1))
	b.commit(b.put("a\x01", 26, 1))
	b.commit(b.put("b", 30, 3, null))
	b.commit(b.put("b", 40, 0, marker))
	b.commit(b.put("c", 50, 5, marker))
	b.commit(b.put("c", 60, 6))
	views := []struct {
		view meta.View
		from meta.Position
		want string
	}{
		{meta.View{Kind: meta.ViewCurrent}, meta.Position{}, "a@20* a\x01@26* a/@25* c@60*"},
		{meta.View{Kind: meta.ViewCurrent}, meta.Position{Name: "a", ID: 20}, "a@20* a\x01@26* a/@25* c@60*"},
		{meta.View{Kind: meta.ViewCurrent}, meta.Position{Name: "a", ID: 19}, "a\x01@26* a/@25* c@60*"},
		{meta.View{Kind: meta.ViewCurrent}, meta.Position{Name: "a\x00"}, "a\x01@26* a/@25* c@60*"},
		{meta.View{Kind: meta.ViewAll}, meta.Position{}, "a@20* a@10 a\x01@26* a/@25* b@40* b@30 c@60* c@50"},
		{meta.View{Kind: meta.ViewAll}, meta.Position{Name: "a", ID: 19}, "a@10 a\x01@26* a/@25* b@40* b@30 c@60* c@50"},
		{meta.View{Kind: meta.ViewAll}, meta.Position{Name: "b", ID: 29}, "c@60* c@50"},
		{meta.View{Kind: meta.ViewAll}, meta.Position{Name: "b", ID: 30}, "b@30 c@60* c@50"},
		{meta.View{Kind: meta.ViewDeleted}, meta.Position{}, "b@40*"},
		{meta.View{Kind: meta.ViewDeleted}, meta.Position{Name: "b", ID: 39}, ""},
		{meta.View{Kind: meta.ViewAsOf, At: at(20)}, meta.Position{}, "a@10"},
		{meta.View{Kind: meta.ViewAsOf, At: at(21)}, meta.Position{}, "a@20*"},
		{meta.View{Kind: meta.ViewAsOf, At: at(40)}, meta.Position{}, "a@20* a\x01@26* a/@25* b@30"},
		{meta.View{Kind: meta.ViewAsOf, At: at(40)}, meta.Position{Name: "b", ID: 30}, "b@30"},
		{meta.View{Kind: meta.ViewAsOf, At: at(40)}, meta.Position{Name: "b", ID: 29}, ""},
		{meta.View{Kind: meta.ViewAsOf, At: at(60)}, meta.Position{}, "a@20* a\x01@26* a/@25*"},
		{meta.View{Kind: meta.ViewAsOf, At: at(0)}, meta.Position{}, ""},
	}
	for round := range 2 {
		for _, v := range views {
			if got := b.list(v.view, v.from); got != v.want {
				t.Errorf("round %d, view %+v from %+v:\n got %q\nwant %q", round, v.view, v.from, got, v.want)
			}
		}
		b.reopen()
		b.ok(b.db.Flush())
	}
	for _, g := range []struct {
		name  naming.ObjectName
		which meta.Which
		want  object.VersionID // 0: NotFound/Version
	}{
		{"a", meta.Which{By: meta.AsOf, At: at(20)}, 10},
		{"a", meta.Which{By: meta.AsOf, At: at(21)}, 20},
		{"a", meta.Which{By: meta.AsOf, At: at(10)}, 0},
		{"a", meta.Which{By: meta.ByID, ID: 10}, 10},
		{"a", meta.Which{By: meta.TheNull}, 0},
		{"b", meta.Which{By: meta.TheNull}, 30},
		{"b", meta.Which{}, 40},
	} {
		v, err := b.Get(t.Context(), box, g.name, g.which)
		if g.want == 0 {
			b.fails(err, errs.NotFound, errs.Version)
			continue
		}
		b.ok(err)
		if v.ID != g.want || v.Latest != (g.want != 10 && g.want != 30) {
			t.Errorf("%s %+v: got %d, latest %v", g.name, g.which, v.ID, v.Latest)
		}
	}
	var changes []string
	b.ok(b.Changes(t.Context(), box, 20, "a", func(c meta.Changed) bool {
		changes = append(changes, fmt.Sprintf("%s@%d:%d", c.Name, c.ID, c.Kind))
		return len(changes) < 4
	}))
	if diff := cmp.Diff([]string{"a/@25:0", "a\x01@26:0", "b@30:0", "b@40:1"}, changes); diff != "" {
		t.Error(diff)
	}
}

func TestRemoveAndAmend(t *testing.T) {
	b := newBench(t)
	for i := int64(1); i <= 3; i++ {
		c := b.put("a", 10*i, i, func(c *meta.Change) { c.Version.Null = i == 2 })
		c.Version.Expires = at(1000 - i)
		b.commit(c)
	}
	remove := func(w meta.Which) meta.Outcome {
		return b.commit(meta.Change{Container: box, Account: account, Name: "a", Now: at(99), Op: meta.Remove, Target: w})
	}
	amend := func(w meta.Which, tag string) {
		b.commit(meta.Change{Container: box, Account: account, Name: "a", Now: at(99), Op: meta.Amend, Target: w, Amend: func(v *object.Version) error {
			v.Tags = []object.Tag{{Key: tag, Value: strings.Repeat("x", len(tag)*100)}}
			return nil
		}})
	}
	for _, tag := range []string{"a long detail", "b", "another long detail"} { // in and out of a row of its own
		amend(meta.Which{By: meta.ByID, ID: 10}, tag)
		amend(meta.Which{}, tag)
		b.check()
		for _, id := range []object.VersionID{10, 30} {
			v, err := b.Get(t.Context(), box, "a", meta.Which{By: meta.ByID, ID: id})
			b.ok(err)
			if len(v.Tags) != 1 || v.Tags[0].Key != tag {
				t.Fatalf("amended version has tags %v", v.Tags)
			}
		}
	}
	var due []string
	b.ok(b.Due(t.Context(), at(998), 5, func(d meta.DueVersion) bool {
		due = append(due, fmt.Sprintf("%s %s@%d", d.Account, d.Name, d.ID))
		return true
	}))
	if diff := cmp.Diff([]string{"test a@30", "test a@20"}, due); diff != "" {
		t.Error(diff)
	}
	if o := remove(meta.Which{By: meta.TheNull}); o.Dropped[0].ID != 20 {
		t.Fatalf("removed %d", o.Dropped[0].ID)
	}
	b.check()
	remove(meta.Which{})
	if got := b.list(meta.View{Kind: meta.ViewAll}, meta.Position{}); got != "a@10*" {
		t.Fatalf("left: %s", got)
	}
	b.check()
	remove(meta.Which{By: meta.ByID, ID: 10})
	if b.usage() != (meta.Usage{}) || b.dead() != 3 {
		t.Fatalf("left: %+v, %d dead", b.usage(), b.dead())
	}
	if empty, err := b.Empty(t.Context(), box, false); err != nil || !empty {
		t.Fatalf("empty: %v, %v", empty, err)
	}
	_, err := b.Commit(t.Context(), meta.Change{Container: box, Account: account, Name: "a", Op: meta.Remove})
	b.fails(err, errs.NotFound, errs.Object)
}

func TestHolders(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	c := b.put("a", 10, 1)
	h := c.Version.Content.Holder
	b.commit(c)
	second := b.put("b", 11, 1)
	second.Version.Content.Holder = h
	second.Source = &meta.Source{Container: box, Name: "a", ID: 10}
	b.commit(second)
	b.ok(b.Abandon(ctx, h)) // named: nothing happens
	remove := meta.Change{Container: box, Account: account, Name: "a", Now: at(12), Op: meta.Remove}
	b.commit(remove)
	if b.dead() != 0 {
		t.Fatal("a holder with a name left is dead")
	}
	third := b.put("c", 13, 1)
	third.Version.Content.Holder = h
	third.Source = &meta.Source{Container: box, Name: "a", ID: 10}
	_, err := b.Commit(ctx, third)
	b.fails(err, errs.Conflict, errs.Version)
	remove.Name, remove.Now = "b", at(14)
	b.commit(remove)
	if early, _ := b.Dead(ctx, at(13), 10); len(early) != 0 {
		t.Fatal("dead before its time")
	}
	if list, _ := b.Dead(ctx, at(14), 10); len(list) != 1 || list[0] != h {
		t.Fatalf("dead: %v", list)
	}
	b.fails(b.Extend(ctx, h, at(99)), errs.Conflict, errs.Holder)
	b.ok(b.Forget(ctx, []block.Holder{h, block.NewHolder()}))

	given := b.put("d", 20, 1)
	b.ok(b.Abandon(ctx, given.Version.Content.Holder))
	_, err = b.Commit(ctx, given)
	b.fails(err, errs.Conflict, errs.Holder)

	late, lease := block.NewHolder(), block.NewHolder()
	b.ok(b.Intend(ctx, late, meta.Intent{Account: account, Expires: at(100)}))
	b.ok(b.Intend(ctx, lease, meta.Intent{Account: account, Expires: at(100), Lease: true}))
	b.ok(b.Extend(ctx, late, at(200)))
	b.ok(b.Extend(ctx, lease, at(200)))
	if n, err := b.Reap(ctx, at(150), 10); n != 0 || err != nil {
		t.Fatalf("reaped %d, %v", n, err)
	}
	b.reopen()
	alive, err := b.Alive(ctx, []block.Holder{late, lease})
	b.ok(err)
	if alive[0] || !alive[1] {
		t.Fatalf("after a restart the intent is alive: %v, the lease: %v", alive[0], alive[1])
	}
	if n, err := b.Reap(ctx, at(200), 10); n != 1 || err != nil {
		t.Fatalf("reaped %d, %v", n, err)
	}
	// The one abandoned, the one of the earlier process, the lease, and those that other changes of this test left as intents.
	if got := b.dead(); got != 5 {
		t.Fatalf("%d dead", got)
	}
}

// A lease that ran out fences its writer also when it began as an intent of this process.
func TestLeaseReplacesIntent(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	c := b.put("a", 10, 1) // has an intent
	h := c.Version.Content.Holder
	b.ok(b.Intend(ctx, h, meta.Intent{Account: account, Expires: at(100), Lease: true}))
	if n, err := b.Reap(ctx, at(100), 10); n != 1 || err != nil {
		t.Fatalf("reaped %d, %v", n, err)
	}
	_, err := b.Commit(ctx, c)
	b.fails(err, errs.Conflict, errs.Holder)
	if alive, err := b.Alive(ctx, []block.Holder{h}); err != nil || alive[0] {
		t.Errorf("alive: %v, %v", alive, err)
	}
}

func TestUploads(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	k := meta.UploadKey{Container: box, Name: "big", ID: "u1"}
	part := func(n int) meta.Part {
		return meta.Part{Part: object.Part{Number: n, Size: 100, ETag: "e"}, Content: object.Content{Holder: b.intend()}}
	}
	b.fails(b.PutPart(ctx, k, part(1), meta.Limits{}), errs.NotFound, errs.Upload)
	u := meta.Upload{UploadKey: k, Account: account, Initiated: at(1), Template: object.Version{Summary: object.Summary{ContentType: "x/y"}}}
	b.ok(b.Begin(ctx, u))
	b.ok(b.Begin(ctx, meta.Upload{UploadKey: meta.UploadKey{Container: box, Name: "big", ID: "u2"}, Account: account}))
	for n := 1; n <= 200; n++ {
		b.ok(b.PutPart(ctx, k, part(n), meta.Limits{}))
	}
	b.ok(b.PutPart(ctx, k, part(3), meta.Limits{}))
	if got, want := b.usage(), (meta.Usage{UploadParts: 200, UploadBytes: 20000}); got != want {
		t.Fatalf("usage %+v", got)
	}
	b.fails(b.PutPart(ctx, k, part(201), meta.Limits{Account: meta.Limit{Bytes: 20099}}), errs.Quota, errs.Account)
	n := 0
	b.ok(b.Parts(ctx, k, 198, func(p meta.Part) bool { n = n*1000 + p.Number; return true }))
	if n != 199200 {
		t.Fatalf("parts %d", n)
	}
	var ids []string
	b.ok(b.Pending(ctx, box, "big", "u1", func(u meta.Upload) bool { ids = append(ids, u.ID); return true }))
	if fmt.Sprint(ids) != "[u2]" {
		t.Fatalf("pending: %v", ids)
	}
	b.reopen()
	c := b.put("big", 10, 20000)
	c.Upload = "u1"
	c.Version.Parts = []object.Part{{Number: 1, Size: 20000}}
	b.commit(c)
	if got, want := b.usage(), (meta.Usage{Objects: 1, Bytes: 20000, Versions: 1, Stored: 20000}); got != want {
		t.Fatalf("usage %+v", got)
	}
	done, err := b.Completed(ctx, k)
	b.ok(err)
	if done.Version != 10 || len(done.Parts) != 1 || done.Summary.Name != "big" {
		t.Fatalf("completion %+v", done)
	}
	_, err = b.Commit(ctx, c)
	b.fails(err, errs.NotFound, errs.Upload)
	b.check()
	b.ok(b.Abort(ctx, meta.UploadKey{Container: box, Name: "big", ID: "u2"}))
	_, err = b.Reap(ctx, at(10).Add(meta.CompletedFor), 100)
	b.ok(err)
	_, err = b.Completed(ctx, k)
	b.ok(err)
	_, err = b.Reap(ctx, at(11).Add(meta.CompletedFor), 100)
	b.ok(err)
	_, err = b.Completed(ctx, k)
	b.fails(err, errs.NotFound, errs.Upload)
}

func TestSealAndDrop(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	b.commit(b.put("a", 1, 1))
	k := meta.UploadKey{Container: box, Name: "u", ID: "1"}
	b.ok(b.Begin(ctx, meta.Upload{UploadKey: k, Account: account}))
	b.ok(b.PutPart(ctx, k, meta.Part{Part: object.Part{Number: 1, Size: 9}, Content: object.Content{Holder: b.intend()}}, meta.Limits{}))
	b.fails(b.Drop(ctx, box, account), errs.Conflict, errs.Container)
	b.ok(b.Seal(ctx, box))
	b.reopen()
	_, err := b.Commit(ctx, b.put("b", 2, 1))
	b.fails(err, errs.NotFound, errs.Container)
	b.fails(b.Begin(ctx, meta.Upload{UploadKey: k}), errs.NotFound, errs.Container)
	b.fails(b.Drop(ctx, box, account), errs.NotEmpty, errs.Container)
	b.commit(meta.Change{Container: box, Account: account, Name: "a", Now: at(3), Op: meta.Remove})
	b.ok(b.Drop(ctx, box, account))
	b.ok(b.Drop(ctx, box, account))
	if b.usage() != (meta.Usage{}) {
		t.Fatalf("usage %+v", b.usage())
	}
	if n := b.dead(); n != 2 { // the object's and the part's
		t.Fatalf("%d dead", n)
	}
	b.fails(b.Begin(ctx, meta.Upload{UploadKey: k}), errs.NotFound, errs.Container)
}

// TestQuotaIsExact lets 50 writers race for a quota that 20 of them fill.
func TestQuotaIsExact(t *testing.T) {
	b := newBench(t)
	changes := make([]meta.Change, 50)
	for i := range changes {
		changes[i] = b.put(fmt.Sprint("n", i), int64(i+1), 10)
		changes[i].Limits = meta.Limits{Account: meta.Limit{Bytes: 205}}
	}
	var wg sync.WaitGroup
	for _, c := range changes {
		wg.Go(func() {
			if _, err := b.Commit(t.Context(), c); err != nil && !errs.Is(err, errs.Quota) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := b.usage(); got.Bytes != 200 || got.Objects != 20 {
		t.Fatalf("usage %+v", got)
	}
	b.reopen()
	if got := b.usage(); got.Bytes != 200 || got.Objects != 20 {
		t.Fatalf("stored usage %+v", got)
	}
}

// TestOneWinner lets writers race to create a name that must not exist.
func TestOneWinner(t *testing.T) {
	b := newBench(t)
	for round := range 50 {
		name := fmt.Sprint("n", round)
		changes := make([]meta.Change, 16)
		for i := range changes {
			changes[i] = b.put(name, int64(i+1), 1, null)
			changes[i].If.IfNoneMatch = []string{"*"}
		}
		results := make(chan error, len(changes))
		for _, c := range changes {
			go func() {
				_, err := b.Commit(t.Context(), c)
				results <- err
			}()
		}
		won := 0
		for range changes {
			switch err := <-results; {
			case err == nil:
				won++
			case !errs.Is(err, errs.Precondition):
				t.Fatal(err)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d winners", round, won)
		}
	}
}

// TestCopiesRace lets copies go both ways between two names that others overwrite and remove. Nothing may wait for ever, and holders must
// be counted right in the end.
func TestCopiesRace(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	b.commit(b.put("a", 1, 1))
	b.commit(b.put("b", 1, 1))
	var wg sync.WaitGroup
	for i := range 8 {
		from, to := naming.ObjectName("a"), naming.ObjectName("b")
		if i%2 == 0 {
			from, to = to, from
		}
		wg.Go(func() {
			for n := range int64(100) {
				c := meta.Change{Container: box, Account: account, Name: to, Now: at(10 + n), Version: &object.Version{}}
				switch {
				case n%10 == 3:
					c.Op, c.Version = meta.Remove, nil
				case n%10 == 7:
					h := block.NewHolder()
					if err := b.Intend(ctx, h, meta.Intent{Account: account, Expires: at(1 << 50)}); err != nil {
						t.Error(err)
					}
					c.Version.Content.Holder, c.Version.Null = h, true
				default:
					v, err := b.Get(ctx, box, from, meta.Which{})
					if err != nil {
						continue
					}
					c.Version.Content, c.Version.Null = v.Content, n%2 == 0
					c.Source = &meta.Source{Container: box, Name: from, ID: v.ID}
				}
				_, err := b.Commit(ctx, c)
				if err != nil && !errs.Is(err, errs.NotFound) && !errs.IsThing(err, errs.Conflict, errs.Version) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
