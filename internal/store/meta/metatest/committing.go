package metatest

import (
	"errors"
	"time"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

var committing = []sentence{
	{"Commit/ids grow within a name, whatever the clock says", func(e *env) {
		c := e.change("a", e.data(1))
		first := e.commit(c)
		if got, want := first.Version.ID, object.IDAt(c.Now); got != want {
			e.Errorf("first id %d, want that of the time, %d", got, want)
		}
		last := first.Version.ID
		for _, step := range []time.Duration{0, 0, -time.Hour, time.Nanosecond, time.Microsecond, -time.Second} {
			next := e.change("a", e.data(1))
			next.Now = c.Now.Add(step)
			got := e.commit(next).Version.ID
			if got != last+1 {
				e.Errorf("clock at %v: id %d after %d, want the next", step, got, last)
			}
			last = got
		}
	}},
	{"Commit/the outcome tells the version, what was before and what is gone", func(e *env) {
		out := e.commit(e.change("a", null(e.data(1))))
		if out.Before != nil || len(out.Dropped) != 0 {
			e.Fatalf("first: %+v", out)
		}
		first := out.Version
		out = e.commit(e.change("a", null(e.data(2))))
		e.wantSame("before", out.Before, first, sameExceptLatest)
		e.wantSame("dropped", out.Dropped, []*object.Version{first}, sameExceptLatest)
		second := out.Version
		out = e.commit(e.change("a", marker()))
		e.wantSame("before", out.Before, second, sameExceptLatest)
		if len(out.Dropped) != 0 {
			e.Errorf("dropped by a marker that is not null: %v", out.Dropped)
		}
		removed := e.remove("a", second.ID)
		e.wantSame("removed", removed.Dropped, []*object.Version{second}, sameExceptLatest)
		e.wantSame("before the removal", removed.Before, out.Version, sameExceptLatest)
		if removed.Version != nil {
			e.Errorf("a removal made %+v", removed.Version)
		}
	}},
	{"Commit/a null version replaces the earlier null version, wherever that stands", func(e *env) {
		first := e.put("a", null(e.data(10)))
		e.put("a", e.data(20))
		e.put("a", e.data(30))
		e.wantUsage(meta.Usage{Objects: 1, Bytes: 30, Versions: 3, Stored: 60})
		e.put("a", null(e.data(5)))
		e.wantUsage(meta.Usage{Objects: 1, Bytes: 5, Versions: 3, Stored: 55})
		e.wantMissing("a", meta.Which{By: meta.ByID, ID: first.ID}, errs.Version)
		e.put("a", null(marker()))
		e.wantUsage(meta.Usage{Versions: 3, Stored: 50})
		e.put("a", null(e.data(7)))
		e.wantUsage(meta.Usage{Objects: 1, Bytes: 7, Versions: 3, Stored: 57})
	}},
	{"Commit/the UUID lives as long as the name is visible", func(e *env) {
		first := e.put("a", e.data(1))
		if second := e.put("a", e.data(1)); second.UUID != first.UUID {
			e.Error("the UUID changed with a new version")
		}
		e.put("a", marker())
		third := e.data(1)
		if got := e.put("a", third); got.UUID != third.UUID || got.UUID == first.UUID {
			e.Error("the UUID came back after the name was deleted")
		}
	}},
	{"Commit/a change from elsewhere is refused unless its stamp is the newest, and what is put afterwards is newer", func(e *env) {
		stamped := func(by time.Duration, v *object.Version) meta.Change {
			c := e.change("a", null(v))
			v.Stamp = object.IDAt(c.Now.Add(by))
			return c
		}
		first := e.commit(stamped(-time.Hour, e.data(1))).Version
		if first.Stamped() >= first.ID || first.Stamp == 0 {
			e.Errorf("an old change has id %d and stamp %d", first.ID, first.Stamp)
		}
		e.wantSame("kept", e.get("a", meta.Which{}), first, sameExceptLatest)
		for what, by := range map[string]time.Duration{"an older change": -2 * time.Hour, "the same change": 0} {
			c := stamped(by, e.data(2))
			if by == 0 {
				c.Version.Stamp = first.Stamp
			}
			_, err := e.s.Commit(e.Context(), c)
			if !errs.IsThing(err, errs.Conflict, errs.Version) || errs.ReasonOf(err) != errs.Older {
				e.Errorf("%s: %v", what, err)
			}
		}
		e.commit(stamped(-time.Minute, marker()))
		if _, err := e.s.Commit(e.Context(), stamped(-2*time.Minute, e.data(3))); !errs.Is(err, errs.Conflict) {
			e.Errorf("older than the deletion: %v", err)
		}
		ahead := e.commit(stamped(time.Minute, e.data(4))).Version
		if ahead.Stamp != 0 || ahead.ID != ahead.Stamped() {
			e.Errorf("a change from a clock that is ahead has id %d and stamp %d", ahead.ID, ahead.Stamp)
		}
		if here := e.put("a", null(e.data(5))); here.ID <= ahead.ID || here.Stamp != 0 {
			e.Errorf("a change made here has id %d after %d, stamp %d", here.ID, ahead.ID, here.Stamp)
		}
	}},
	{"Commit/a version that was moved brings its UUID", func(e *env) {
		first := e.put("a", e.data(1))
		c := e.change("a", e.data(1))
		c.Moved = true
		if second := e.commit(c).Version; second.UUID != c.Version.UUID || second.UUID == first.UUID {
			e.Error("the moved object took the UUID of what it replaced")
		}
	}},
	{"Share/hangs on the path while something shows there", func(e *env) {
		shared := object.Share{Read: []string{"bob"}, Write: []string{"owner:team"}, Public: "abc"}
		v := e.data(1)
		v.Share = shared
		e.put("a", v)
		second := e.put("a", e.data(2))
		e.wantSame("taken over", second.Share, shared)
		e.wantSame("listed", e.scan(e.container, meta.View{})[0].Share, shared)
		withdrawn := e.amendment("a", func(v *object.Version) error { v.Share = object.Share{Read: []string{"eve"}}; return nil })
		e.wantSame("amended", e.commit(withdrawn).Version.Share, object.Share{Read: []string{"eve"}})
		e.remove("a", second.ID)
		e.wantSame("an older version does not bring the old share back", e.get("a", meta.Which{}).Share, object.Share{Read: []string{"eve"}})
		e.wantSame("nor in listings", e.scan(e.container, meta.View{})[0].Share, object.Share{Read: []string{"eve"}})
		m := e.put("a", marker())
		e.wantSame("a delete marker ends it", m.Share, object.Share{})
		e.remove("a", m.ID)
		e.wantSame("and it does not come back", e.get("a", meta.Which{}).Share, object.Share{})
		c := e.change("a", e.data(3))
		c.Share = func(before object.Share) object.Share {
			e.wantSame("before", before, object.Share{})
			return shared
		}
		e.commit(c)
		c = e.change("a", e.data(4))
		c.Share = func(before object.Share) object.Share { before.Public = ""; return before }
		e.wantSame("changed", e.commit(c).Version.Share, object.Share{Read: shared.Read, Write: shared.Write})
	}},
	{"Remove/the version before becomes the newest", func(e *env) {
		first := e.put("a", e.data(1))
		second := e.put("a", e.data(2))
		third := e.put("a", e.data(3))
		e.remove("a", second.ID)
		if got := e.get("a", meta.Which{}); got.ID != third.ID {
			e.Errorf("newest: %d, want %d", got.ID, third.ID)
		}
		e.remove("a", third.ID)
		if got := e.get("a", meta.Which{}); got.ID != first.ID || !got.Latest {
			e.Errorf("newest: %+v, want %d", got.Summary, first.ID)
		}
		e.wantUsage(meta.Usage{Objects: 1, Bytes: 1, Versions: 1, Stored: 1})
		e.remove("a", first.ID)
		e.wantMissing("a", meta.Which{}, errs.Object)
		e.wantUsage(meta.Usage{})
	}},
	{"Remove/without its delete marker an object shows again", func(e *env) {
		first := e.put("a", e.data(9))
		m := e.put("a", marker())
		e.wantUsage(meta.Usage{Versions: 2, Stored: 9})
		e.remove("a", m.ID)
		e.wantUsage(meta.Usage{Objects: 1, Bytes: 9, Versions: 1, Stored: 9})
		if got := e.get("a", meta.Which{}); got.ID != first.ID {
			e.Errorf("newest: %+v", got.Summary)
		}
	}},
	{"Remove/by null, by newest and as of a time", func(e *env) {
		e.put("a", null(e.data(1)))
		second := e.put("a", e.data(2))
		third := e.put("a", e.data(3))
		e.commit(e.removal("a", meta.Which{By: meta.TheNull}))
		e.wantMissing("a", meta.Which{By: meta.TheNull}, errs.Version)
		e.commit(e.removal("a", meta.Which{By: meta.AsOf, At: third.ID.Time()}))
		e.wantMissing("a", meta.Which{By: meta.ByID, ID: second.ID}, errs.Version)
		e.commit(e.removal("a", meta.Which{By: meta.Newest}))
		e.wantMissing("a", meta.Which{}, errs.Object)
	}},
	{"Remove/nothing there is NotFound", func(e *env) {
		e.refuse(e.removal("a", meta.Which{}), errs.NotFound, errs.Object)
		e.refuse(e.removal("a", meta.Which{By: meta.ByID, ID: 5}), errs.NotFound, errs.Object)
		e.put("a", e.data(1))
		e.refuse(e.removal("a", meta.Which{By: meta.ByID, ID: 5}), errs.NotFound, errs.Version)
		e.refuse(e.removal("a", meta.Which{By: meta.TheNull}), errs.NotFound, errs.Version)
	}},
	{"Amend/changes what may be amended, on the version named, and nothing else", func(e *env) {
		first := e.put("a", e.full())
		second := e.put("a", e.full())
		c := e.amendment("a", func(v *object.Version) error {
			v.ACL = access.ACL{Grants: []access.Grant{{Canonical: "new", Permission: access.Write}}}
			v.Tags = []object.Tag{{Key: "new", Value: "x"}}
			v.Retention = object.Retention{Mode: object.Compliance, Until: e.now.Add(time.Hour)}
			v.LegalHold = false
			v.Encryption = []byte("new")
			v.Share = object.Share{Public: "new"}
			v.RootHash = block.Sum([]byte("new"))
			v.Size, v.ETag, v.ID, v.Name, v.ContentType = 1, "other", 1, "other", "other"
			v.Meta = nil
			return nil
		})
		c.Target = meta.Which{By: meta.ByID, ID: first.ID}
		out := e.commit(c)
		want := *first
		want.ACL = access.ACL{Grants: []access.Grant{{Canonical: "new", Permission: access.Write}}}
		want.Tags = []object.Tag{{Key: "new", Value: "x"}}
		want.Retention = object.Retention{Mode: object.Compliance, Until: out.Version.Retention.Until}
		want.LegalHold = false
		want.Encryption = []byte("new")
		want.Share = object.Share{Public: "new"}
		e.wantSame("outcome", out.Version, &want, sameExceptLatest)
		e.wantSame("amended", e.get("a", c.Target), &want, sameExceptLatest)
		e.wantSame("the other version", e.get("a", meta.Which{}), second, sameExceptLatest)
		e.commit(e.amendment("a", func(v *object.Version) error { v.Tags = nil; return nil }))
		if got := e.get("a", meta.Which{}); len(got.Tags) != 0 {
			e.Errorf("the newest keeps its tags: %v", got.Tags)
		}
	}},
	{"Amend/works on a copy and gives up with an error", func(e *env) {
		e.put("a", e.full())
		before := e.whole(e.place)
		gaveUp := errors.New("gave up")
		_, err := e.s.Commit(e.Context(), e.amendment("a", func(v *object.Version) error {
			v.Tags[0].Key, v.ACL.Grants[0].Canonical, v.Encryption[0] = "changed", "changed", 77
			v.LegalHold = false
			return gaveUp
		}))
		errstest.Same(e, err, gaveUp)
		e.wantSame("after giving up", e.whole(e.place), before)
	}},
	{"Amend/nothing there is NotFound", func(e *env) {
		nothing := func(*object.Version) error { return nil }
		e.refuse(e.amendment("a", nothing), errs.NotFound, errs.Object)
		e.put("a", e.data(1))
		c := e.amendment("a", nothing)
		c.Target = meta.Which{By: meta.ByID, ID: 5}
		e.refuse(c, errs.NotFound, errs.Version)
	}},
	{"Commit/a version without stored blocks needs no holder", func(e *env) {
		v := dataOf(1, 0, block.Holder{})
		v.Content.Map = block.Map{}
		e.put("a", v)
		v = dataOf(2, 100, block.Holder{})
		v.Content.Map.Refs[0].ID = block.Empty
		e.put("a", v)
		e.remove("a", e.get("a", meta.Which{}).ID)
	}},
	{"Commit/of several reasons to fail the first is told", func(e *env) {
		// Everything is wrong at first, and is put right one by one.
		e.puts("a")
		source := e.put("source", e.data(5))
		e.remove("source", source.ID)
		c := e.change("a", dataOf(3, 100, e.newHolder()))
		c.If.IfNoneMatch = []string{"*"}
		c.Upload = "unknown"
		c.Source = &meta.Source{Container: e.container, Name: "source", ID: source.ID}
		c.Limits.Container.Bytes = 1
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		e.refuse(c, errs.NotFound, errs.Container)
		errstest.OK(e, e.s.Unseal(e.Context(), e.container))
		e.refuse(c, errs.NotFound, errs.Upload)
		c.Upload = ""
		e.refuse(c, errs.Precondition, errs.Object)
		c.If = object.Precondition{}
		e.refuse(c, errs.Conflict, errs.Version)
		c.Source = nil
		e.refuse(c, errs.Conflict, errs.Holder)
		c.Version.Content.Holder = e.intend()
		e.refuse(c, errs.Quota, errs.Container)
		c.Limits = meta.Limits{}
		e.commit(c)
	}},
	{"Close/later calls fail with Closed", func(e *env) {
		e.puts("a")
		cursor := e.s.Scan(e.Context(), e.container, meta.View{})
		cursor.Close()
		e.closed = true
		errstest.OK(e, e.s.Close())
		ctx, s := e.Context(), e.s
		_, err := s.Commit(ctx, e.change("a", marker()))
		errstest.Closed(e, "Commit", err)
		_, err = s.Get(ctx, e.container, "a", meta.Which{})
		errstest.Closed(e, "Get", err)
		cursor = s.Scan(ctx, e.container, meta.View{})
		_, err = cursor.Next(ctx)
		errstest.Closed(e, "Scan", err)
		cursor.Close()
		errstest.Closed(e, "Begin", s.Begin(ctx, meta.Upload{UploadKey: meta.UploadKey{Container: e.container, Name: "a", ID: "1"}}))
		errstest.Closed(e, "Intend", s.Intend(ctx, e.newHolder(), meta.Intent{Account: e.account, Expires: far}))
		_, err = s.Dead(ctx, far, 1)
		errstest.Closed(e, "Dead", err)
		_, err = s.AccountUsage(ctx, e.account)
		errstest.Closed(e, "AccountUsage", err)
		errstest.Closed(e, "Seal", s.Seal(ctx, e.container))
		errstest.Closed(e, "Due", s.Due(ctx, far, 1, func(meta.DueVersion) bool { return true }))
	}},
}
