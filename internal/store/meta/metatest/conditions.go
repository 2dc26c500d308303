package metatest

import (
	"time"

	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// The rules themselves are tested beside object.Precondition and meta.Plan; here, that the store asks them of the right version.
var conditions = []sentence{
	{"If/a put is tested against the newest version", func(e *env) {
		absent := object.Precondition{IfNoneMatch: []string{"*"}}
		c := e.change("a", e.data(1))
		c.If = object.Precondition{IfMatch: []string{"*"}}
		e.refuse(c, errs.NotFound, errs.Object)
		c.If = absent
		first := e.commit(c).Version
		c = e.change("a", e.data(2))
		c.If = absent
		e.refuse(c, errs.Precondition, errs.Object)
		c.If = object.Precondition{IfMatch: []string{first.ETag}}
		second := e.commit(c).Version
		c = e.change("a", e.data(3))
		c.If = object.Precondition{IfMatch: []string{first.ETag}}
		e.refuse(c, errs.Precondition, errs.Object)
		c.If = object.Precondition{IfMatch: []string{"other", second.RootHash.String()}}
		third := e.commit(c).Version
		c = e.change("a", marker())
		c.If = object.Precondition{IfVersion: second.ID}
		e.refuse(c, errs.Precondition, errs.Object)
		c.If = object.Precondition{IfVersion: third.ID}
		e.commit(c)
		c = e.change("a", e.data(4))
		c.If = object.Precondition{IfMatch: []string{third.ETag}}
		e.refuse(c, errs.NotFound, errs.Object)
		c.If = absent
		e.commit(c)
	}},
	{"If/a removal is tested against the version that it names", func(e *env) {
		first := e.put("a", e.data(1))
		second := e.put("a", e.data(2))
		c := e.removal("a", meta.Which{By: meta.ByID, ID: first.ID})
		c.If = object.Precondition{IfMatch: []string{second.ETag}}
		e.refuse(c, errs.Precondition, errs.Object)
		size := int64(2)
		c.If = object.Precondition{IfSize: &size}
		e.refuse(c, errs.Precondition, errs.Object)
		size = 1
		c.If = object.Precondition{IfSize: &size, IfMatch: []string{first.ETag}, IfModifiedAt: first.Modified().Truncate(time.Second)}
		e.commit(c)
	}},
	{"If/an amendment is tested against the version that it names", func(e *env) {
		first := e.put("a", e.data(1))
		second := e.put("a", e.data(2))
		c := e.amendment("a", func(v *object.Version) error { v.Tags = []object.Tag{{Key: "k", Value: "v"}}; return nil })
		c.Target = meta.Which{By: meta.ByID, ID: first.ID}
		c.If = object.Precondition{IfMatch: []string{second.ETag}}
		e.refuse(c, errs.Precondition, errs.Object)
		c.If = object.Precondition{IfMatch: []string{first.ETag}}
		e.commit(c)
	}},
}

var locking = []sentence{
	{"Lock/retention and legal hold keep a version from being dropped", func(e *env) {
		locked := func(mode object.RetentionMode, hold bool) object.VersionID {
			v := null(e.data(10))
			v.Retention = object.Retention{Mode: mode, Until: e.now.Add(time.Hour)}
			v.LegalHold = hold
			return e.put("a", v).ID
		}
		refuse := func(bypass bool) {
			e.Helper()
			c := e.removal("a", meta.Which{By: meta.TheNull})
			c.Bypass = bypass
			_, err := e.s.Commit(e.Context(), c)
			if !errs.IsThing(err, errs.Denied, errs.Version) || errs.ReasonOf(err) != errs.Locked {
				e.Fatalf("removal with bypass %v: got %v, want Denied, Locked", bypass, err)
			}
			e.refuse(e.change("a", null(e.data(5))), errs.Denied, errs.Version)
		}
		unlock := func() {
			e.Helper()
			e.now = e.now.Add(2 * time.Hour)
			e.commit(e.amendment("a", func(v *object.Version) error { v.LegalHold = false; return nil }))
			e.commit(e.removal("a", meta.Which{By: meta.TheNull}))
		}
		locked(object.NoRetention, true)
		refuse(false)
		refuse(true)
		unlock()
		locked(object.Compliance, false)
		refuse(false)
		refuse(true)
		unlock()
		id := locked(object.Governance, false)
		refuse(false)
		c := e.removal("a", meta.Which{By: meta.ByID, ID: id})
		c.Bypass = true
		e.commit(c)
		e.wantUsage(meta.Usage{})
	}},
	{"Lock/a locked version can be covered by others", func(e *env) {
		v := e.data(10)
		v.LegalHold = true
		id := e.put("a", v).ID
		e.put("a", e.data(1))
		e.put("a", marker())
		e.refuse(e.removal("a", meta.Which{By: meta.ByID, ID: id}), errs.Denied, errs.Version)
	}},
}
