package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/store/meta"
)

// name records that one more version or part names h, which is alive. Its intent is used up.
func (s *Meta) name(h block.Holder) {
	if h.IsZero() {
		return
	}
	s.holders[h].names++
	s.holders[h].intent = nil
}

// unname takes a name away from h, which dies at the time given when it was the last.
func (s *Meta) unname(h block.Holder, now time.Time) {
	if h.IsZero() {
		return
	}
	s.holders[h].names--
	if !s.holders[h].alive() {
		s.holders[h].died = now
	}
}

// Intend records that a holder is about to hold blocks.
func (s *Meta) Intend(_ context.Context, h block.Holder, in meta.Intent) error {
	const op = "memory.Meta.Intend"
	return s.do(op, func() error {
		if old := s.holders[h]; old != nil && old.intent == nil {
			return errs.E(op, errs.Conflict, errs.Holder, h.String()) // it was used before: a mistake of the caller
		}
		s.holders[h] = &holder{intent: &in}
		return nil
	})
}

// Extend gives an intent more time.
func (s *Meta) Extend(_ context.Context, h block.Holder, expires time.Time) error {
	const op = "memory.Meta.Extend"
	return s.do(op, func() error {
		known := s.holders[h]
		if known == nil || known.intent == nil {
			return errs.E(op, errs.Conflict, errs.Holder, h.String())
		}
		if expires.After(known.intent.Expires) {
			known.intent.Expires = expires
		}
		return nil
	})
}

// Abandon gives up an intent.
func (s *Meta) Abandon(_ context.Context, h block.Holder) error {
	return s.do("memory.Meta.Abandon", func() error {
		if h.IsZero() {
			return nil
		}
		if s.holders[h] == nil {
			s.holders[h] = &holder{}
		}
		s.holders[h].intent = nil
		return nil
	})
}

// Reap makes expired intents dead and forgets old completions.
func (s *Meta) Reap(_ context.Context, now time.Time, limit int) (reaped int, err error) {
	err = s.do("memory.Meta.Reap", func() error {
		for _, h := range s.sorted() {
			if in := s.holders[h].intent; in != nil && in.Expired(now) && reaped < limit {
				s.holders[h].intent = nil
				reaped++
			}
		}
		for _, c := range s.containers {
			maps.DeleteFunc(c.completed, func(_ uploadID, done meta.Completion) bool {
				return now.Sub(done.At) > meta.CompletedFor
			})
		}
		return nil
	})
	return reaped, err
}

// sorted is all known holders, so that what a limit cuts off does not depend on chance.
func (s *Meta) sorted() []block.Holder {
	return slices.SortedFunc(maps.Keys(s.holders), func(a, b block.Holder) int { return bytes.Compare(a[:], b[:]) })
}

// Dead lists holders that died at or before a time.
func (s *Meta) Dead(_ context.Context, until time.Time, limit int) (dead []block.Holder, err error) {
	err = s.do("memory.Meta.Dead", func() error {
		for _, h := range s.sorted() {
			if known := s.holders[h]; !known.alive() && !known.died.After(until) && len(dead) < limit {
				dead = append(dead, h)
			}
		}
		return nil
	})
	return dead, err
}

// Forget removes dead holders.
func (s *Meta) Forget(_ context.Context, holders []block.Holder) error {
	return s.do("memory.Meta.Forget", func() error {
		for _, h := range holders {
			if !s.holders[h].alive() {
				delete(s.holders, h)
			}
		}
		return nil
	})
}

// Alive tells which holders are intended or named.
func (s *Meta) Alive(_ context.Context, holders []block.Holder) (alive []bool, err error) {
	err = s.do("memory.Meta.Alive", func() error {
		alive = make([]bool, len(holders))
		for i, h := range holders {
			alive[i] = s.holders[h].alive()
		}
		return nil
	})
	return alive, err
}

// Due lists versions that have expired.
func (s *Meta) Due(_ context.Context, until time.Time, limit int, fn func(meta.DueVersion) bool) error {
	var list []meta.DueVersion
	err := s.do("memory.Meta.Due", func() error {
		for id, c := range s.containers {
			for _, versions := range c.objects {
				for _, v := range versions {
					if !v.Expires.IsZero() && !v.Expires.After(until) {
						list = append(list, meta.DueVersion{Container: id, Account: v.account, Name: v.Name, ID: v.ID, Expires: v.Expires})
					}
				}
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b meta.DueVersion) int {
		return cmp.Or(a.Expires.Compare(b.Expires), bytes.Compare(a.Container[:], b.Container[:]),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	each(list[:min(limit, len(list))], fn)
	return err
}
