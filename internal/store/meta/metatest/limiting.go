package metatest

import (
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

var limiting = []sentence{
	{"Limits/a put may fill them and not pass them", func(e *env) {
		for _, c := range []struct {
			limits meta.Limits
			thing  errs.Thing
		}{
			{meta.Limits{Container: meta.Limit{Bytes: 100}}, errs.Container},
			{meta.Limits{Account: meta.Limit{Bytes: 100}}, errs.Account},
			{meta.Limits{Container: meta.Limit{Objects: 2}}, errs.Container},
			{meta.Limits{Account: meta.Limit{Objects: 2}}, errs.Account},
		} {
			e.place = e.newPlace()
			for _, n := range []naming.ObjectName{"a", "b"} {
				ch := e.change(n, e.data(50))
				ch.Limits = c.limits
				e.commit(ch)
			}
			ch := e.change("c", e.data(1))
			ch.Limits = c.limits
			e.refuse(ch, errs.Quota, c.thing)
			ch = e.change("b", e.data(50))
			ch.Limits = c.limits
			e.commit(ch)
		}
	}},
	{"Limits/a refused put leaves its intent, so that it can be tried again", func(e *env) {
		c := e.change("a", e.data(10))
		c.Limits.Account.Bytes = 9
		e.refuse(c, errs.Quota, errs.Account)
		if !e.alive(c.Version.Content.Holder) {
			e.Fatal("the holder died")
		}
		c.Limits.Account.Bytes = 10
		e.commit(c)
	}},
	{"Limits/what does not grow is never refused", func(e *env) {
		e.put("a", null(e.data(1000)))
		e.put("b", null(e.data(1000)))
		tight := meta.Limits{Account: meta.Limit{Bytes: 1, Objects: 1}, Container: meta.Limit{Bytes: 1, Objects: 1}}
		for _, v := range []*object.Version{null(e.data(1000)), null(e.data(999)), null(marker())} {
			c := e.change("a", v)
			c.Limits = tight
			e.commit(c)
		}
		c := e.amendment("b", func(v *object.Version) error { v.LegalHold = false; return nil })
		c.Limits = tight
		e.commit(c)
		c = e.removal("b", meta.Which{})
		c.Limits = tight
		e.commit(c)
	}},
	{"Limits/count all versions only when history is charged", func(e *env) {
		put := func(charge bool) meta.Change {
			c := e.change("a", e.data(60))
			c.Limits.Container = meta.Limit{Bytes: 100, ChargeHistory: charge}
			return c
		}
		e.commit(put(true))
		e.commit(put(false))
		e.refuse(put(true), errs.Quota, errs.Container)
	}},
	{"Limits/parts count, and finishing their upload is no growth", func(e *env) {
		limits := meta.Limits{Account: meta.Limit{Bytes: 100}}
		k := e.begin("a", "1")
		errstest.OK(e, e.s.PutPart(e.Context(), k, e.part(1, 60), limits))
		p := e.part(2, 41)
		errstest.Want(e, e.s.PutPart(e.Context(), k, p, limits), errs.Quota, errs.Account)
		if !e.alive(p.Content.Holder) {
			e.Error("the refused part's intent died")
		}
		errstest.OK(e, e.s.PutPart(e.Context(), k, e.part(2, 40), limits))
		errstest.OK(e, e.s.PutPart(e.Context(), k, e.part(2, 39), limits))
		c := e.change("b", e.data(2))
		c.Limits = limits
		e.refuse(c, errs.Quota, errs.Account)
		c = e.change("a", e.data(99))
		c.Upload, c.Limits = k.ID, limits
		e.commit(c)
		e.wantUsage(meta.Usage{Objects: 1, Bytes: 99, Versions: 1, Stored: 99})
	}},
	{"Limits/of the account see all of its containers", func(e *env) {
		second := e.use(place{e.newContainer(), e.account})
		e.put("a", e.data(60))
		c := e.change("a", e.data(60))
		c.Container = second.container
		c.Limits.Account.Bytes = 100
		e.refuse(c, errs.Quota, errs.Account)
		c.Limits = meta.Limits{Container: meta.Limit{Bytes: 100}}
		e.commit(c)
		got, err := e.s.AccountUsage(e.Context(), e.account)
		errstest.OK(e, err)
		if want := (meta.Usage{Objects: 2, Bytes: 120, Versions: 2, Stored: 120}); got != want {
			e.Errorf("account: %+v, want %+v", got, want)
		}
	}},
	{"Usage/of whom nobody knows is zero", func(e *env) {
		c, err := e.s.ContainerUsage(e.Context(), e.newContainer())
		errstest.OK(e, err)
		a, err := e.s.AccountUsage(e.Context(), e.account+"-unknown")
		errstest.OK(e, err)
		if c != (meta.Usage{}) || a != (meta.Usage{}) {
			e.Errorf("got %+v and %+v", c, a)
		}
	}},
	{"Usage/equals the sums after any changes", func(e *env) {
		names := []naming.ObjectName{"a", "b", "c"}
		for i := range e.count(200) {
			n := names[e.rng.IntN(len(names))]
			var c meta.Change
			switch e.rng.IntN(6) {
			case 0:
				c = e.change(n, marker())
			case 1:
				c = e.change(n, null(marker()))
			case 2:
				c = e.change(n, null(e.data(int64(i))))
			case 3:
				c = e.removal(n, meta.Which{By: meta.By(e.rng.IntN(4)), ID: 1, At: e.now.Add(-5e9)})
			case 4:
				c = e.amendment(n, func(v *object.Version) error { v.LegalHold = false; return nil })
			default:
				c = e.change(n, e.data(int64(i)))
			}
			if _, err := e.s.Commit(e.Context(), c); err != nil && !errs.Is(err, errs.NotFound) {
				e.Fatal(err)
			}
			if i%50 == 0 {
				e.checkWhole()
			}
		}
	}},
}
