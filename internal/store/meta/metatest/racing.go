package metatest

import (
	"fmt"
	"sync/atomic"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// outcomes counts what came of racing changes.
type outcomes struct{ ok, refused, unknown atomic.Int64 }

// add counts err: nil, one of the refusals allowed, or an outcome that nobody knows (Busy, Ambiguous); any other error is given back.
func (o *outcomes) add(err error, refusals ...errs.Kind) error {
	if err == nil {
		o.ok.Add(1)
		return nil
	}
	for _, k := range refusals {
		if errs.Is(err, k) {
			o.refused.Add(1)
			return nil
		}
	}
	if errstest.Unanswered(err) {
		o.unknown.Add(1)
		return nil
	}
	return err
}

// within demands that got is the number of acknowledged changes, or more by at most those of unknown outcome.
func (o *outcomes) within(e *env, what string, got int64) {
	e.Helper()
	if ok := o.ok.Load(); got < ok || got > ok+o.unknown.Load() {
		e.Errorf("%s: %d, but %d changes were acknowledged and the outcome of %d is unknown", what, got, ok, o.unknown.Load())
	}
}

// puts of racing writers are made before the race, since env is for one goroutine.
func (e *env) prepare(n int, make func(i int) meta.Change) []meta.Change {
	changes := []meta.Change{}
	for i := range n {
		changes = append(changes, make(i))
	}
	return changes
}

var racing = []sentence{
	{"Race/of writers that demand absence one wins", func(e *env) {
		for round := range e.count(20) {
			n := naming.ObjectName(fmt.Sprintf("round-%d", round))
			changes := e.prepare(64, func(int) meta.Change {
				c := e.change(n, e.data(int64(round)))
				c.If = object.Precondition{IfNoneMatch: []string{"*"}}
				return c
			})
			var o outcomes
			errstest.Together(e, len(changes), func(i int) error {
				_, err := e.s.Commit(e.Context(), changes[i])
				return o.add(err, errs.Precondition)
			})
			if o.unknown.Load() == 0 && o.ok.Load() != 1 || o.ok.Load() > 1 {
				e.Fatalf("round %d: %d winners, %d losers, %d unknown", round, o.ok.Load(), o.refused.Load(), o.unknown.Load())
			}
		}
		for _, s := range e.scan(e.container, meta.View{Kind: meta.ViewAll}) {
			if !s.Latest {
				e.Errorf("%q has two versions", s.Name)
			}
		}
	}},
	{"Race/of compare-and-swap writers none is lost", func(e *env) {
		writers, each := 8, e.count(20)
		e.put("a", null(e.data(0)))
		holders := e.prepare(writers*each, func(int) meta.Change { return e.change("a", null(e.data(0))) })
		var o outcomes
		errstest.Together(e, writers, func(i int) error {
			for k := range each {
				c := holders[i*each+k]
				for range 10_000 {
					var cur *object.Version
					err := errstest.Again(func() (err error) { cur, err = e.s.Get(e.Context(), e.container, "a", meta.Which{}); return err })
					if err != nil {
						return err
					}
					c.If = object.Precondition{IfMatch: []string{cur.ETag}}
					c.Version.Size = cur.Size + 1
					before := o.ok.Load() + o.unknown.Load()
					_, err = e.s.Commit(e.Context(), c)
					if err := o.add(err, errs.Precondition); err != nil {
						return err
					}
					if err == nil || o.ok.Load()+o.unknown.Load() > before && !errs.Is(err, errs.Precondition) {
						break
					}
				}
			}
			return nil
		})
		o.within(e, "sum of increments", e.get("a", meta.Which{}).Size)
	}},
	{"Race/of null versions one stays, and the holders of the others are dead", func(e *env) {
		changes := e.prepare(e.count(60), func(i int) meta.Change { return e.change("a", null(e.data(int64(i)))) })
		var o outcomes
		errstest.Together(e, 6, func(i int) error {
			for k := i; k < len(changes); k += 6 {
				_, err := e.s.Commit(e.Context(), changes[k])
				if err := o.add(err); err != nil {
					return err
				}
			}
			return nil
		})
		all := e.scan(e.container, meta.View{Kind: meta.ViewAll})
		if len(all) != 1 {
			e.Fatalf("%d versions stand", len(all))
		}
		alive := 0
		for _, a := range e.aliveAll() {
			if a {
				alive++
			}
		}
		if alive > 1+int(o.unknown.Load()) {
			e.Errorf("%d holders are alive", alive)
		}
	}},
	{"Race/of writers at a quota none passes it", func(e *env) {
		limits := meta.Limits{Account: meta.Limit{Bytes: 1000}, Container: meta.Limit{Objects: 15}}
		changes := e.prepare(80, func(i int) meta.Change {
			c := e.change(naming.ObjectName(fmt.Sprintf("%02d", i)), e.data(int64(50+i%30)))
			c.Limits = limits
			return c
		})
		k := e.begin("upload", "1")
		part := e.part(1, 300)
		var o outcomes
		errstest.Together(e, 8, func(i int) error {
			if i == 7 {
				return o.add(e.s.PutPart(e.Context(), k, part, limits), errs.Quota)
			}
			for j := i; j < len(changes); j += 7 {
				_, err := e.s.Commit(e.Context(), changes[j])
				if err := o.add(err, errs.Quota); err != nil {
					return err
				}
			}
			return nil
		})
		u, _ := e.usage()
		if u.Bytes+u.UploadBytes > 1000 || u.Objects > 15 {
			e.Errorf("over the quota: %+v", u)
		}
		o.within(e, "objects and parts", u.Objects+u.UploadParts)
		if o.refused.Load() == 0 {
			e.Error("nobody was refused")
		}
	}},
	{"Race/when Seal returns, nothing that it did not refuse is still to come", func(e *env) {
		for range e.count(10) {
			e.place = e.newPlace()
			changes := e.prepare(64, func(i int) meta.Change { return e.change(naming.ObjectName(fmt.Sprintf("%d", i%16)), e.data(1)) })
			var o outcomes
			var sealed []object.Summary
			errstest.Together(e, 9, func(i int) error {
				if i == 8 {
					if err := errstest.Again(func() error { return e.s.Seal(e.Context(), e.container) }); err != nil {
						return err
					}
					return errstest.Again(func() (err error) { sealed, err = scanAll(e, e.place); return err })
				}
				for j := i; j < len(changes); j += 8 {
					_, err := e.s.Commit(e.Context(), changes[j])
					if err := o.add(err, errs.NotFound); err != nil {
						return err
					}
				}
				return nil
			})
			after := e.scan(e.container, meta.View{Kind: meta.ViewAll})
			e.wantSame("what stands after all ended, against what stood when Seal returned", after, sealed)
			o.within(e, "versions", int64(len(after)))
		}
	}},
	{"Race/between Reap and Commit of one holder, either wins whole", func(e *env) {
		for range e.count(40) {
			c := e.change("a", null(e.data(1)))
			h := c.Version.Content.Holder
			var committed error
			errstest.Together(e, 2, func(i int) error {
				if i == 0 {
					return errstest.Again(func() error { _, err := e.s.Reap(e.Context(), e.now.Add(2*time.Hour), 1000); return err })
				}
				_, committed = e.s.Commit(e.Context(), c)
				return nil
			})
			switch {
			case committed == nil && !e.alive(h):
				e.Fatal("a committed version's holder was reaped")
			case committed != nil && !errs.IsThing(committed, errs.Conflict, errs.Holder) && !errstest.Unanswered(committed):
				e.Fatal(committed)
			case errs.Is(committed, errs.Conflict) && (e.alive(h) || !e.dead(h, time.Time{})):
				e.Fatal("a refused version's holder is not dead")
			}
		}
	}},
	{"Race/between a copy and the removal of its source, a copy that stands holds", func(e *env) {
		for i := range e.count(40) {
			source := e.put("a", e.data(1))
			copies := e.prepare(3, func(k int) meta.Change {
				return e.copyOf(e.place, source, naming.ObjectName(fmt.Sprintf("copy-%d-%d", i, k)))
			})
			removal := e.removal("a", meta.Which{By: meta.ByID, ID: source.ID})
			var o, removed outcomes
			errstest.Together(e, 4, func(k int) error {
				if k == 3 {
					_, err := e.s.Commit(e.Context(), removal)
					return removed.add(err)
				}
				_, err := e.s.Commit(e.Context(), copies[k])
				return o.add(err, errs.Conflict)
			})
			if h := source.Content.Holder; e.alive(h) != (o.ok.Load() > 0) && o.unknown.Load()+removed.unknown.Load() == 0 {
				e.Fatalf("%d copies stand, the holder's life: %v", o.ok.Load(), e.alive(h))
			}
		}
	}},
	{"Race/one of completion and abort wins, and parts of a finished upload are refused", func(e *env) {
		for i := range e.count(25) {
			k := e.begin("a", fmt.Sprint(i))
			e.putPart(k, e.part(1, 10))
			late := e.part(2, 10)
			finish := e.change("a", e.data(10))
			finish.Upload = k.ID
			var finished, aborted, put error
			errstest.Together(e, 3, func(i int) error {
				switch i {
				case 0:
					_, finished = e.s.Commit(e.Context(), finish)
				case 1:
					aborted = e.s.Abort(e.Context(), k)
				case 2:
					put = e.s.PutPart(e.Context(), k, late, meta.Limits{})
				}
				return nil
			})
			if (finished == nil) == (aborted == nil) && !errstest.Unanswered(finished) && !errstest.Unanswered(aborted) {
				e.Fatalf("completion: %v, abort: %v", finished, aborted)
			}
			if put == nil && (finished == nil || aborted == nil) && e.alive(late.Content.Holder) {
				e.Fatal("a part survived its upload")
			}
		}
	}},
	{"Race/writers of many names and containers leave everything whole", func(e *env) {
		second := e.use(place{e.newContainer(), e.account})
		changes := e.prepare(e.count(300), func(i int) meta.Change {
			n := naming.ObjectName(fmt.Sprintf("%d", e.rng.IntN(5)))
			var c meta.Change
			switch e.rng.IntN(4) {
			case 0:
				c = e.change(n, marker())
			case 1:
				c = e.change(n, null(e.data(int64(i))))
			case 2:
				c = e.removal(n, meta.Which{})
			default:
				c = e.change(n, e.data(int64(i)))
			}
			if i%2 == 0 {
				c.Container = second.container
			}
			return c
		})
		var o outcomes
		errstest.Together(e, 8, func(i int) error {
			for j := i; j < len(changes); j += 8 {
				_, err := e.s.Commit(e.Context(), changes[j])
				if err := o.add(err, errs.NotFound); err != nil {
					return err
				}
			}
			return nil
		})
	}},
	{"Race/Forget never touches a holder that is alive", func(e *env) {
		holders := make([]block.Holder, e.count(100))
		changes := e.prepare(len(holders), func(i int) meta.Change {
			c := e.change(naming.ObjectName(fmt.Sprintf("%d", i%10)), null(e.data(1)))
			holders[i] = c.Version.Content.Holder
			return c
		})
		var o outcomes
		errstest.Together(e, 3, func(i int) error {
			if i == 2 {
				for range 20 {
					if err := errstest.Again(func() error { return e.s.Forget(e.Context(), holders) }); err != nil {
						return err
					}
				}
				return nil
			}
			for j := i; j < len(changes); j += 2 {
				_, err := e.s.Commit(e.Context(), changes[j])
				if err := o.add(err); err != nil {
					return err
				}
			}
			return nil
		})
	}},
}

// scanAll is all versions of a place, for goroutines that may not end the test.
func scanAll(e *env, p place) ([]object.Summary, error) {
	c := e.s.Scan(e.Context(), p.container, meta.View{Kind: meta.ViewAll})
	defer c.Close()
	var list []object.Summary
	for {
		s, err := c.Next(e.Context())
		if err != nil || s == nil {
			return list, err
		}
		list = append(list, *s)
	}
}
