package metatest

import (
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// reap reaps until nothing is left to reap at a time.
func (e *env) reap(now time.Time) {
	e.Helper()
	for range 10_000 {
		n, err := e.s.Reap(e.Context(), now, 100)
		errstest.OK(e, err)
		if n == 0 {
			return
		}
	}
	e.Fatal("Reap finds no end")
}

func (e *env) forget(holders ...block.Holder) {
	e.Helper()
	errstest.OK(e, e.s.Forget(e.Context(), holders))
}

// copyOf is a put under name that shares the holder of another version.
func (e *env) copyOf(p place, source *object.Version, name naming.ObjectName) meta.Change {
	v := dataOf(e.rng.Uint64(), source.Size, source.Content.Holder)
	c := meta.Change{Container: p.container, Account: p.account, Name: name, Now: e.tick(), Version: v}
	c.Source = &meta.Source{Container: e.container, Name: source.Name, ID: source.ID}
	return c
}

var holding = []sentence{
	{"Holder/lives by its intent, then by its names, and dies at the Now of the change that took the last", func(e *env) {
		v := e.data(1)
		h := v.Content.Holder
		if !e.alive(h) || e.dead(h, far) {
			e.Fatal("intended: not alive, or dead")
		}
		id := e.put("a", v).ID
		if !e.alive(h) || e.dead(h, far) {
			e.Fatal("named: not alive, or dead")
		}
		e.remove("a", id)
		if e.alive(h) || e.dead(h, e.now.Add(-time.Microsecond)) || !e.dead(h, e.now) {
			e.Fatal("not named any more: alive, or dead before its time, or not dead")
		}
		e.forget(h)
		if e.alive(h) || e.dead(h, far) {
			e.Fatal("forgotten: alive, or dead still")
		}
	}},
	{"Holder/of a replaced null version dies, and that of a covered one lives", func(e *env) {
		first, second, third := null(e.data(1)), null(e.data(2)), e.data(3)
		e.put("a", first)
		e.put("a", second)
		e.put("a", third)
		if e.alive(first.Content.Holder) || !e.alive(second.Content.Holder) || !e.alive(third.Content.Holder) {
			e.Error("wrong holders are alive")
		}
	}},
	{"Holder/that was never intended, or is unknown, is neither alive nor dead", func(e *env) {
		h := e.newHolder()
		if e.alive(h) || e.dead(h, far) {
			e.Error("alive or dead")
		}
		e.refuse(e.change("a", dataOf(1, 1, h)), errs.Conflict, errs.Holder)
	}},
	{"Alive/tells of many, in the order asked", func(e *env) {
		a, b := e.intend(), e.intend()
		got, err := e.s.Alive(e.Context(), []block.Holder{a, e.newHolder(), b, a})
		errstest.OK(e, err)
		e.wantSame("alive", got, []bool{true, false, true, true})
		got, err = e.s.Alive(e.Context(), nil)
		errstest.OK(e, err)
		e.wantSame("alive of none", got, []bool(nil))
	}},
	{"Intend/repeating it at once is harmless", func(e *env) {
		h := e.intend()
		errstest.OK(e, e.s.Intend(e.Context(), h, meta.Intent{Account: e.account, Expires: e.now.Add(time.Hour)}))
		e.put("a", dataOf(1, 1, h))
	}},
	{"Source/a copy shares the holder, which lives until the last is gone", func(e *env) {
		other := e.newPlace()
		source := e.put("a", e.data(10))
		h := source.Content.Holder
		near := e.commit(e.copyOf(e.place, source, "copy")).Version
		away := e.commit(e.copyOf(other, source, "copy")).Version
		e.remove("a", source.ID)
		e.remove("copy", near.ID)
		if !e.alive(h) {
			e.Fatal("the holder died before its last name")
		}
		c := meta.Change{Container: other.container, Account: other.account, Name: "copy", Now: e.tick(), Op: meta.Remove}
		c.Target = meta.Which{By: meta.ByID, ID: away.ID}
		e.commit(c)
		if e.alive(h) || !e.dead(h, e.now) {
			e.Error("the holder outlived its last name")
		}
	}},
	{"Source/must still stand, with the same holder", func(e *env) {
		source := e.put("a", e.data(10))
		c := e.copyOf(e.place, source, "copy")
		c.Version.Content.Holder = e.intend()
		e.refuse(c, errs.Conflict, errs.Version)
		c = e.copyOf(e.place, source, "copy")
		c.Source.ID++
		e.refuse(c, errs.Conflict, errs.Version)
		e.remove("a", source.ID)
		e.refuse(e.copyOf(e.place, source, "copy"), errs.Conflict, errs.Version)
	}},
	{"Source/may be the null version that the copy replaces", func(e *env) {
		source := e.put("a", null(e.data(10)))
		c := e.copyOf(e.place, source, "a")
		c.Version.Null = true
		out := e.commit(c)
		if !e.alive(source.Content.Holder) {
			e.Error("the holder died in the exchange")
		}
		e.wantMissing("a", meta.Which{By: meta.ByID, ID: source.ID}, errs.Version)
		e.remove("a", out.Version.ID)
		if e.alive(source.Content.Holder) {
			e.Error("the holder outlived its last name")
		}
	}},
	{"Abandon/kills a holder that nothing names", func(e *env) {
		h := e.intend()
		errstest.OK(e, e.s.Abandon(e.Context(), h))
		if e.alive(h) || !e.dead(h, time.Time{}) {
			e.Error("alive, or not dead since ever")
		}
		e.refuse(e.change("a", dataOf(1, 1, h)), errs.Conflict, errs.Holder)
		k := e.begin("a", "1")
		p := e.part(1, 1)
		p.Content.Holder = h
		errstest.Want(e, e.s.PutPart(e.Context(), k, p, meta.Limits{}), errs.Conflict, errs.Holder)
		e.wantUsage(meta.Usage{})
		errstest.OK(e, e.s.Abandon(e.Context(), h))
	}},
	{"Abandon/does not touch what a version or part names", func(e *env) {
		v := e.data(1)
		e.put("a", v)
		p := e.putPart(e.begin("b", "1"), e.part(1, 1))
		for _, h := range []block.Holder{v.Content.Holder, p.Content.Holder} {
			errstest.OK(e, e.s.Abandon(e.Context(), h))
			if !e.alive(h) || e.dead(h, far) {
				e.Error("a named holder was killed")
			}
		}
	}},
	{"Abandon/makes an unknown holder dead, so that an orphan is collected", func(e *env) {
		h := e.newHolder()
		errstest.OK(e, e.s.Abandon(e.Context(), h))
		if e.alive(h) || !e.dead(h, time.Time{}) {
			e.Error("alive, or not dead")
		}
		e.forget(h)
		if e.dead(h, far) {
			e.Error("dead although forgotten")
		}
	}},
	{"Abandon/of the zero holder does nothing", func(e *env) {
		errstest.OK(e, e.s.Abandon(e.Context(), block.Holder{}))
		if e.alive(block.Holder{}) || e.dead(block.Holder{}, far) {
			e.Error("nobody is alive or dead")
		}
	}},
	{"Abandon/of a holder that died with a version does not shorten its readers' time", func(e *env) {
		v := e.data(1)
		e.remove("a", e.put("a", v).ID)
		errstest.OK(e, e.s.Abandon(e.Context(), v.Content.Holder))
		if e.dead(v.Content.Holder, e.now.Add(-time.Microsecond)) || !e.dead(v.Content.Holder, e.now) {
			e.Error("the time of death moved")
		}
	}},
	{"Reap/kills intents that expired at or before now, and fences them", func(e *env) {
		at := e.now.Add(time.Minute)
		var holders []block.Holder
		for _, d := range []time.Duration{-time.Second, 0, time.Second} {
			h := e.newHolder()
			e.holders = append(e.holders, h)
			errstest.OK(e, e.s.Intend(e.Context(), h, meta.Intent{Account: e.account, Expires: at.Add(d), Lease: d == 0}))
			holders = append(holders, h)
		}
		v := e.data(1)
		e.put("a", v)
		e.reap(at)
		for i, want := range []bool{false, false, true} {
			if e.alive(holders[i]) != want || e.dead(holders[i], time.Time{}) == want {
				e.Errorf("intent %d: alive %v, want %v", i, !want, want)
			}
		}
		if !e.alive(v.Content.Holder) {
			e.Error("a named holder was reaped")
		}
		e.reap(far)
		if !e.alive(v.Content.Holder) {
			e.Error("a named holder was reaped in the far future: its intent was not used up")
		}
		e.refuse(e.change("a", dataOf(1, 1, holders[0])), errs.Conflict, errs.Holder)
		e.forget(holders...)
		e.refuse(e.change("a", dataOf(1, 1, holders[0])), errs.Conflict, errs.Holder)
	}},
	{"Reap/an intent that expired but was not reaped still commits", func(e *env) {
		v := e.data(1)
		e.now = e.now.Add(48 * time.Hour)
		e.put("a", v)
	}},
	{"Reap/takes no more than its limit, and Dead shows no more than its own", func(e *env) {
		for range 5 {
			e.intend()
		}
		n, err := e.s.Reap(e.Context(), e.now.Add(2*time.Hour), 3)
		errstest.OK(e, err)
		if n != 3 {
			e.Errorf("reaped %d, want 3", n)
		}
		e.reap(e.now.Add(2 * time.Hour))
		if got := e.deadOf(e.now, e.holders...); len(got) != 5 {
			e.Errorf("%d are dead, want 5", len(got))
		}
		some, err := e.s.Dead(e.Context(), e.now, 2)
		errstest.OK(e, err)
		if len(some) != 2 {
			e.Errorf("Dead with limit 2: %d", len(some))
		}
		e.forget(e.holders...)
	}},
	{"Extend/gives an intent more time, never less", func(e *env) {
		h := e.intend()
		errstest.OK(e, e.s.Extend(e.Context(), h, e.now.Add(3*time.Hour)))
		errstest.OK(e, e.s.Extend(e.Context(), h, e.now.Add(time.Minute)))
		e.reap(e.now.Add(2 * time.Hour))
		if !e.alive(h) {
			e.Fatal("reaped before its extended time")
		}
		e.reap(e.now.Add(3 * time.Hour))
		if e.alive(h) {
			e.Error("not reaped at its extended time")
		}
	}},
	{"Extend/leaves nothing that outlives the holder", func(e *env) {
		longer, shorter := e.intend(), e.intend()
		errstest.OK(e, e.s.Extend(e.Context(), longer, e.now.Add(3*time.Hour)))
		errstest.OK(e, e.s.Extend(e.Context(), shorter, e.now.Add(time.Minute)))
		for _, h := range []block.Holder{longer, shorter} {
			errstest.OK(e, e.s.Abandon(e.Context(), h))
		}
		e.forget(longer, shorter)
		n, err := e.s.Reap(e.Context(), e.now.Add(4*time.Hour), 1000)
		errstest.OK(e, err)
		if dead := e.deadOf(e.now, longer, shorter); n != 0 || len(dead) > 0 {
			e.Errorf("%d intents were reaped, and %v are dead, of holders that were forgotten", n, dead)
		}
	}},
	{"Extend/fails once the intent is gone, and revives nothing", func(e *env) {
		abandoned, reaped, forgotten, unknown := e.intend(), e.intend(), e.intend(), e.newHolder()
		v := e.data(1)
		named := v.Content.Holder
		e.put("a", v)
		errstest.OK(e, e.s.Abandon(e.Context(), abandoned))
		e.reap(e.now.Add(2 * time.Hour))
		e.forget(forgotten)
		for _, h := range []block.Holder{abandoned, reaped, forgotten, unknown, named} {
			errstest.Want(e, e.s.Extend(e.Context(), h, far), errs.Conflict, errs.Holder)
		}
		for _, h := range []block.Holder{abandoned, reaped, forgotten, unknown} {
			if e.alive(h) {
				e.Error("a dead or unknown holder came to life")
			}
		}
	}},
	{"Forget/leaves what is alive, and repeating it is harmless", func(e *env) {
		v, intended := e.data(1), e.intend()
		e.put("a", v)
		e.forget(v.Content.Holder, intended, e.newHolder())
		if !e.alive(v.Content.Holder) || !e.alive(intended) {
			e.Fatal("a living holder was forgotten")
		}
		errstest.OK(e, e.s.Abandon(e.Context(), intended))
		e.forget(intended, intended)
		e.forget(intended)
		e.forget()
	}},
	{"Forget/what is given up again after it is dead again", func(e *env) {
		h := e.intend()
		for range 3 { // one who sends late requests of an upload can do that to a holder
			errstest.OK(e, e.s.Abandon(e.Context(), h))
			if e.alive(h) || !e.dead(h, e.now) {
				e.Fatal("given up: alive, or not dead")
			}
			e.forget(h)
			if e.dead(h, far) {
				e.Fatal("forgotten: dead still")
			}
		}
	}},
}
