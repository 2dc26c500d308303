package metatest

import (
	"time"

	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// reopen closes the store and opens it again.
func (e *env) reopen() {
	e.Helper()
	e.s = e.o.Reopen(e.T, e.s)
}

var lasting = []sentence{
	{"Reopen/all that was answered is there again", func(e *env) {
		e.fill()
		e.put("full", e.full())
		expiring := e.data(9)
		expiring.Expires = e.now.Add(time.Hour)
		e.put("expiring", expiring)
		k := e.begin("upload", "1")
		e.putPart(k, e.part(1, 100))
		e.putPart(k, e.part(7, 100))
		finished := e.begin("finished", "1")
		c := e.change("finished", e.data(5))
		c.Upload = finished.ID
		e.commit(c)
		done, err := e.s.Completed(e.Context(), finished)
		errstest.OK(e, err)
		gone := e.data(1)
		e.remove("gone", e.put("gone", gone).ID)
		abandoned := e.intend()
		errstest.OK(e, e.s.Abandon(e.Context(), abandoned))
		before, alive := e.whole(e.place), e.aliveAll()
		e.reopen()
		e.wantSame("everything", e.whole(e.place), before)
		e.wantSame("who is alive", e.aliveAll(), alive)
		again, err := e.s.Completed(e.Context(), finished)
		errstest.OK(e, err)
		e.wantSame("completion", again, done)
		if dead := e.deadOf(e.now, gone.Content.Holder, abandoned); len(dead) != 2 {
			e.Errorf("dead: %v", dead)
		}
		if e.dead(gone.Content.Holder, e.now.Add(-time.Hour)) {
			e.Error("the time of death is lost")
		}
		e.puts("after")
	}},
	{"Reopen/seals and drops last", func(e *env) {
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		e.reopen()
		_, err := e.s.Commit(e.Context(), e.change("a", marker()))
		errstest.Want(e, err, errs.NotFound, errs.Container)
		errstest.OK(e, e.s.Drop(e.Context(), e.container, e.account))
		e.reopen()
		errstest.OK(e, e.s.Unseal(e.Context(), e.container))
		_, err = e.s.Commit(e.Context(), e.change("a", marker()))
		errstest.Want(e, err, errs.NotFound, errs.Container)
		e.place = e.newPlace()
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		errstest.OK(e, e.s.Unseal(e.Context(), e.container))
		e.reopen()
		e.puts("a")
	}},
	{"Reopen/a lease lives on, until it expires", func(e *env) {
		h := e.newHolder()
		e.holders = append(e.holders, h)
		errstest.OK(e, e.s.Intend(e.Context(), h, meta.Intent{Account: e.account, Expires: e.now.Add(time.Hour), Lease: true}))
		e.puts("a") // what comes later in the log makes the intent durable
		e.reopen()
		e.reap(e.now.Add(30 * time.Minute))
		if !e.alive(h) {
			e.Fatal("the lease died early")
		}
		e.put("b", dataOf(1, 1, h))
	}},
	{"Reopen/the id of a version grows over it", func(e *env) {
		first := e.put("a", e.data(1))
		e.reopen()
		c := e.change("a", e.data(1))
		c.Now = e.now.Add(-time.Hour)
		if got := e.commit(c).Version.ID; got <= first.ID {
			e.Errorf("id %d after %d", got, first.ID)
		}
	}},
	{"Reopen/amendments, removals and replacements last", func(e *env) {
		kept := e.put("a", e.full())
		e.put("a", null(e.data(3)))
		e.put("a", null(e.data(4)))
		e.put("b", e.data(2))
		e.commit(e.removal("b", meta.Which{}))
		amend := e.amendment("a", func(v *object.Version) error { v.Tags = []object.Tag{{Key: "new"}}; return nil })
		amend.Target = meta.Which{By: meta.ByID, ID: kept.ID}
		e.commit(amend)
		before := e.whole(e.place)
		e.reopen()
		e.wantSame("everything", e.whole(e.place), before)
		e.wantMissing("b", meta.Which{}, errs.Object)
		e.wantUsage(meta.Usage{Objects: 1, Bytes: 4, Versions: 2, Stored: kept.Size + 4})
		_, err := e.s.Get(e.Context(), e.newContainer(), "a", meta.Which{})
		errstest.Want(e, err, errs.NotFound, errs.Object)
	}},
}
