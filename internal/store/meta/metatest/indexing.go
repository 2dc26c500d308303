package metatest

import (
	"time"

	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/naming/namingtest"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

var indexing = []sentence{
	{"Changes/tells the versions that stand in the order of id and name, after a position", func(e *env) {
		now := e.tick()
		var want []meta.Changed
		for i, n := range namingtest.Objects() { // three names to each moment
			c := e.change(n, e.data(1))
			c.Now = now.Add(time.Duration(i/3) * time.Second)
			want = append(want, meta.Changed{ID: e.commit(c).Version.ID, Name: n})
		}
		gone := want[7]
		e.remove(gone.Name, gone.ID)
		want = append(want[:7:7], want[8:]...)
		changes := func(id object.VersionID, name naming.ObjectName, limit int) []meta.Changed {
			var got []meta.Changed
			errstest.OK(e, e.s.Changes(e.Context(), e.container, id, name, func(c meta.Changed) bool {
				got = append(got, c)
				return len(got) < limit
			}))
			return got
		}
		e.wantSame("all", changes(0, "", 1e6), want)
		for i, c := range want {
			e.wantSame("after "+string(c.Name), changes(c.ID, c.Name, 1e6), want[i+1:])
		}
		e.wantSame("after what is gone", changes(gone.ID, gone.Name, 1e6), want[7:])
		e.wantSame("at most two", changes(0, "", 2), want[:2])
	}},
	{"Changes/a callback may call the store", func(e *env) {
		e.puts("a", "b", "c")
		errstest.OK(e, e.s.Changes(e.Context(), e.container, 0, "", func(c meta.Changed) bool {
			e.remove(c.Name, c.ID)
			return true
		}))
		e.wantUsage(meta.Usage{})
	}},
	{"Due/tells versions that expired at or before a time, in order, no more than the limit", func(e *env) {
		expiring := func(n naming.ObjectName, at time.Time) *object.Version {
			v := e.data(1)
			v.Expires = at
			return e.put(n, v)
		}
		base := e.now.Add(time.Hour)
		third := expiring("a", base.Add(3*time.Second))
		first := expiring("b", base.Add(time.Second))
		second := expiring("a", base.Add(2*time.Second)) // covers the third
		never := e.put("c", e.data(1))
		due := func(until time.Time, limit int) []object.VersionID {
			var got []object.VersionID
			errstest.OK(e, e.s.Due(e.Context(), until, 1_000_000, func(d meta.DueVersion) bool {
				if d.Container == e.container {
					if d.Account != e.account {
						e.Errorf("account %q", d.Account)
					}
					got = append(got, d.ID)
				}
				return len(got) < limit
			}))
			return got
		}
		e.wantSame("all", due(far, 10), []object.VersionID{first.ID, second.ID, third.ID})
		e.wantSame("until the second", due(base.Add(2*time.Second), 10), []object.VersionID{first.ID, second.ID})
		e.wantSame("just before the second", due(base.Add(2*time.Second-time.Microsecond), 10), []object.VersionID{first.ID})
		e.wantSame("stopped", due(far, 1), []object.VersionID{first.ID})
		calls := 0
		errstest.OK(e, e.s.Due(e.Context(), far, 2, func(meta.DueVersion) bool { calls++; return true }))
		if calls != 2 {
			e.Errorf("limit 2: %d calls", calls)
		}
		e.remove("b", first.ID)
		e.remove("c", never.ID)
		e.wantSame("after a removal", due(far, 10), []object.VersionID{second.ID, third.ID})
		e.remove("a", second.ID)
		e.remove("a", third.ID)
	}},
}
