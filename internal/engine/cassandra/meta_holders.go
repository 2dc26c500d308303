package cassandra

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/store/meta"
)

// A holder is a partition under LWT: its intent, how many names it has, and a row for each name, that is the id of the change that named
// it. The zero id is no name: its row stands before all others, so that the state is found without reading over names that are gone. So naming and unnaming may be repeated. A holder without intent and names is dead; the index of the dead
// is written before that and checked against the holder when it is read.
var (
	getHolderState = statement{cql: `SELECT rev, intent, names, died, slot, death FROM %k.holder WHERE holder = ? LIMIT 1`, class: pointRead, level: gocql.LocalQuorum}
	getNamer       = statement{cql: `SELECT namer FROM %k.holder WHERE holder = ? AND namer = ?`, class: pointRead, level: gocql.LocalQuorum}
	setHolderState = statement{cql: `UPDATE %k.holder SET rev = ?, intent = ?, names = ?, died = ?, slot = ?, death = ? WHERE holder = ? IF rev = ?`, class: casWrite, level: gocql.LocalQuorum}
	addNamer       = statement{cql: `INSERT INTO %k.holder (holder, namer) VALUES (?, ?)`, class: casWrite, level: gocql.LocalQuorum}
	dropNamer      = statement{cql: `DELETE FROM %k.holder WHERE holder = ? AND namer = ?`, class: casWrite, level: gocql.LocalQuorum}
	dropHolderCell = statement{cql: `UPDATE %k.holder SET rev = null, intent = null, names = null, died = null, slot = null, death = null WHERE holder = ? IF rev = ?`, class: casWrite, level: gocql.LocalQuorum}
)

// life is the state of a holder.
type life struct {
	rev    *int64 // nil: unknown
	intent *int64 // when it expires; nil: there is none
	names  int
	died   int64 // when it is dead
	slot   int64 // of the index of the dead
	death  int64 // which death, should it be forgotten and die again; 0: of an older build
}

// listed is the row of the index of the dead for a holder that is dead. The death is part of its id: one that is forgotten and given up again, within the
// same minute, needs another row than the one that was deleted.
func (l life) listed(h block.Holder) timedRow {
	id := h[:]
	if l.death != 0 {
		id = binary.BigEndian.AppendUint64(slices.Clone(id), uint64(l.death))
	}
	return timedRow{slot: l.slot, at: l.died, id: id}
}

func (l life) alive() bool { return l.rev != nil && (l.intent != nil || l.names > 0) }
func (l life) dead() bool  { return l.rev != nil && !l.alive() }

func (m *Meta) lifeOf(ctx context.Context, h block.Holder, level gocql.Consistency) (life, error) {
	var l life
	_, err := m.s.serially(ctx, getHolderState, level, []any{gocql.UUID(h)}, &l.rev, &l.intent, &l.names, &l.died, &l.slot, &l.death)
	return l, err
}

func (m *Meta) isNamed(ctx context.Context, h block.Holder, namer gocql.UUID, level gocql.Consistency) (bool, error) {
	var found gocql.UUID
	return m.s.serially(ctx, getNamer, level, []any{gocql.UUID(h), namer}, &found)
}

// alter changes a holder: fn is given its state and changes it, gives rows to write with it, or reports false when there is nothing to
// do. It is called again after each lost attempt, with the state read serially.
func (m *Meta) alter(ctx context.Context, h block.Holder, fn func(l *life, level gocql.Consistency) (rows []step, change bool, err error)) error {
	return m.alterFrom(ctx, h, nil, fn)
}

// alterFrom is alter by one who thinks to know the state (nil: who does not), and need not read it if that is so.
func (m *Meta) alterFrom(ctx context.Context, h block.Holder, guess *life, fn func(l *life, level gocql.Consistency) (rows []step, change bool, err error)) error {
	const op = "cassandra.Meta.holder"
	level := gocql.LocalQuorum
	death := 1 + rand.Int64N(math.MaxInt64)
	for n := range attempts {
		var l life
		var err error
		if guess != nil {
			l, guess = *guess, nil
		} else if l, err = m.lifeOf(ctx, h, level); err != nil {
			return fail(op, err)
		}
		before := l
		rows, change, err := fn(&l, level)
		if err != nil || !change {
			return fail(op, err)
		}
		if l.intent == nil && l.names == 0 { // it dies now: list it first
			l.slot, l.death = slotAt(timedDead, m.clock.Now().UnixMicro()), death
			if err := m.indexIn(ctx, timedDead, l.listed(h)); err != nil {
				return fail(op, err)
			}
		}
		rev := int64(1)
		if before.rev != nil {
			rev = *before.rev + 1
		} else {
			rows = append(rows, step{addNamer, []any{gocql.UUID(h), gocql.UUID{}}})
		}
		steps := append([]step{{setHolderState, []any{rev, l.intent, l.names, l.died, l.slot, l.death, gocql.UUID(h), before.rev}}}, rows...)
		applied, err := m.s.casBatch(ctx, m.s.serial, steps...)
		if err == nil && applied {
			return nil
		}
		if err != nil && !unknown(err) {
			return fail(op, err)
		}
		level = m.s.serial
		if err := pause(ctx, n); err != nil {
			return fail(op, err)
		}
	}
	return errs.E(op, errs.Busy, errs.Holder, h.String())
}

func unnamable(h block.Holder) error {
	return errs.E("cassandra.Meta.holder", errs.Conflict, errs.Holder, h.String())
}

// name records that a change names h and uses up its intent, which is given back so that restore can put it back.
func (m *Meta) name(ctx context.Context, h block.Holder, namer gocql.UUID) (used *int64, err error) {
	if h.IsZero() {
		return nil, nil
	}
	err = m.alterFrom(ctx, h, m.intended.take(h), func(l *life, level gocql.Consistency) ([]step, bool, error) {
		if level != gocql.LocalQuorum { // an earlier attempt may have done it
			if named, err := m.isNamed(ctx, h, namer, level); err != nil || named {
				return nil, false, err
			}
		}
		if !l.alive() {
			return nil, false, unnamable(h)
		}
		used, l.intent = l.intent, nil
		l.names++
		return []step{{addNamer, []any{gocql.UUID(h), namer}}}, true, nil
	})
	return used, err
}

// unname takes a name away. A holder whose last it was gets the intent back that it had (restore), or dies at the time given.
func (m *Meta) unname(ctx context.Context, h block.Holder, namer gocql.UUID, died int64, restore *int64) error {
	if h.IsZero() {
		return nil
	}
	return m.alter(ctx, h, func(l *life, level gocql.Consistency) ([]step, bool, error) {
		named, err := m.isNamed(ctx, h, namer, level)
		if err != nil || !named {
			return nil, false, err
		}
		l.names--
		if l.intent == nil {
			l.intent = restore
		}
		if !l.alive() {
			l.died = died
		}
		return []step{{dropNamer, []any{gocql.UUID(h), namer}}}, true, nil
	})
}

// Intend records that a holder is about to hold blocks; see meta.Holders. Leases and other intents are the same here: no process is alone.
func (m *Meta) Intend(ctx context.Context, h block.Holder, in meta.Intent) error {
	at := in.Expires.UnixMicro()
	if err := m.index(ctx, timedIntent, at, h[:], nil); err != nil {
		return fail("cassandra.Meta.Intend", err)
	}
	var made *life
	// Holders are fresh ids, so there is nothing to be read of this one.
	err := m.alterFrom(ctx, h, &life{}, func(l *life, _ gocql.Consistency) ([]step, bool, error) {
		made = nil
		switch {
		case l.rev != nil && l.intent != nil:
			return nil, false, nil
		case l.rev != nil:
			return nil, false, unnamable(h) // it was used before: a mistake of the caller
		}
		l.intent = &at
		first := int64(1)
		made = &life{rev: &first, intent: &at}
		return nil, true, nil
	})
	if err == nil && made != nil {
		m.intended.put(h, *made)
	}
	return err
}

// intentCache is the state of holders that this process has intended and not named yet. What others did to them meanwhile shows when a change
// is not applied.
type intentCache struct {
	mu    sync.Mutex
	lives map[block.Holder]life
}

// intentsCached bounds the cache; when it is full, all is forgotten.
const intentsCached = 10_000

func (c *intentCache) put(h block.Holder, l life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lives == nil || len(c.lives) >= intentsCached {
		c.lives = map[block.Holder]life{}
	}
	c.lives[h] = l
}

// take gives the state, once; nil when it is not known.
func (c *intentCache) take(h block.Holder) *life {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.lives[h]
	if !ok {
		return nil
	}
	delete(c.lives, h)
	return &l
}

// Extend gives an intent more time; see meta.Holders.
func (m *Meta) Extend(ctx context.Context, h block.Holder, expires time.Time) error {
	at := expires.UnixMicro()
	if l, err := m.lifeOf(ctx, h, gocql.LocalQuorum); err == nil && l.intent == nil {
		return unnamable(h)
	}
	if err := m.index(ctx, timedIntent, at, h[:], nil); err != nil {
		return fail("cassandra.Meta.Extend", err)
	}
	var stale *int64 // the row of the index that says something else than the holder
	err := m.alter(ctx, h, func(l *life, _ gocql.Consistency) ([]step, bool, error) {
		switch {
		case l.intent == nil:
			stale = &at
			return nil, false, unnamable(h)
		case *l.intent > at:
			stale = &at
			return nil, false, nil
		case *l.intent == at:
			stale = nil
			return nil, false, nil
		}
		stale, l.intent = l.intent, &at
		return nil, true, nil
	})
	if err != nil && !errs.Is(err, errs.Conflict) {
		return err
	}
	// Left there, it would be met when the holder is long forgotten, and be taken for an intent whose writer has not come that far.
	return cmp.Or(err, fail("cassandra.Meta.Extend", m.unintend(ctx, h, stale)))
}

// zeroDeath is the time of death of those who have no readers.
func zeroDeath() int64 { return time.Time{}.UnixMicro() }

// Abandon gives up an intent; see meta.Holders.
func (m *Meta) Abandon(ctx context.Context, h block.Holder) error {
	if h.IsZero() {
		return nil
	}
	var used *int64
	err := m.alterFrom(ctx, h, m.intended.take(h), func(l *life, _ gocql.Consistency) ([]step, bool, error) {
		if l.rev != nil && l.intent == nil {
			return nil, false, nil
		}
		used, l.intent = l.intent, nil
		if !l.alive() {
			l.died = zeroDeath()
		}
		return nil, true, nil
	})
	if err != nil {
		return err
	}
	return fail("cassandra.Meta.Abandon", m.unintend(ctx, h, used))
}

// unintend takes a used intent out of the index. Reap would do it too, when it expires.
func (m *Meta) unintend(ctx context.Context, h block.Holder, used *int64) error {
	if used == nil {
		return nil
	}
	return m.unindex(ctx, timedIntent, *used, h[:])
}

// Reap makes expired intents dead and forgets old completions; see meta.Holders. It also settles the changes that others left behind.
func (m *Meta) Reap(ctx context.Context, now time.Time, limit int) (int, error) {
	const op = "cassandra.Meta.Reap"
	for _, clear := range []func(context.Context) error{m.foldIdle, m.closeSilent, m.resumeSplits} {
		if err := clear(ctx); err != nil {
			return 0, fail(op, err)
		}
	}
	if err := m.forgetCompletions(ctx, now); err != nil {
		return 0, fail(op, err)
	}
	reaped := 0
	until := now.UnixMicro()
	err := m.walkTimed(ctx, timedIntent, upTo(timedIntent, until), func(r timedRow) (bool, error) {
		if reaped >= limit {
			return false, nil
		}
		var h block.Holder
		copy(h[:], r.id)
		killed := false
		err := m.alter(ctx, h, func(l *life, _ gocql.Consistency) ([]step, bool, error) {
			killed = false
			// An intent that is listed and not there yet is fenced too: its writer finds a holder that was used before.
			if l.rev != nil && (l.intent == nil || *l.intent > until) {
				return nil, false, nil
			}
			killed = true
			l.intent = nil
			if !l.alive() {
				l.died = zeroDeath()
			}
			return nil, true, nil
		})
		if err != nil {
			return false, err
		}
		if killed {
			reaped++
		}
		return true, m.unindexIn(ctx, timedIntent, r)
	})
	return reaped, fail(op, err)
}

// upTo is all of an index up to a time.
func upTo(kind string, at int64) span { return span{0, slotAt(kind, at), -1 << 63, at} }

// Dead lists holders that died at or before a time; see meta.Holders.
func (m *Meta) Dead(ctx context.Context, until time.Time, limit int) ([]block.Holder, error) {
	const op = "cassandra.Meta.Dead"
	var rows []timedRow
	in := span{0, 1<<63 - 1, -1 << 63, until.UnixMicro()}
	var dead []block.Holder
	err := m.walkTimed(ctx, timedDead, in, func(r timedRow) (bool, error) {
		rows = append(rows, r)
		if len(rows) < min(deadAtOnce, limit) {
			return true, nil
		}
		err := m.checkDead(ctx, rows, limit, &dead)
		rows = nil
		return len(dead) < limit, err
	})
	if err == nil && len(dead) < limit {
		err = m.checkDead(ctx, rows, limit, &dead)
	}
	return dead, fail(op, err)
}

const deadAtOnce = 64

// holderIn is the holder that a row of the index of the dead tells of.
func holderIn(r timedRow) (h block.Holder) {
	copy(h[:], r.id)
	return h
}

func isRow(a, b timedRow) bool { return a.slot == b.slot && a.at == b.at && bytes.Equal(a.id, b.id) }

// checkDead adds those of the rows that tell the truth. A row of a holder that died otherwise, or was forgotten, goes.
func (m *Meta) checkDead(ctx context.Context, rows []timedRow, limit int, dead *[]block.Holder) error {
	lives := make([]life, len(rows))
	g, gctx := limited(ctx)
	for i, r := range rows {
		g.Go(func() (err error) {
			lives[i], err = m.lifeOf(gctx, holderIn(r), gocql.LocalQuorum)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, r := range rows {
		l := lives[i]
		switch {
		case l.dead() && isRow(r, l.listed(holderIn(r))):
			if len(*dead) < limit {
				*dead = append(*dead, holderIn(r))
			}
		case l.dead():
			if err := m.unindexIn(ctx, timedDead, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Forget removes dead holders; see meta.Holders.
func (m *Meta) Forget(ctx context.Context, holders []block.Holder) error {
	g, gctx := limited(ctx)
	for _, h := range holders {
		g.Go(func() error { return m.forget(gctx, h) })
	}
	return fail("cassandra.Meta.Forget", g.Wait())
}

func (m *Meta) forget(ctx context.Context, h block.Holder) error {
	l, err := m.lifeOf(ctx, h, gocql.LocalQuorum)
	if err != nil || !l.dead() {
		return err
	}
	// What is dead stays so; only another Forget can be before this one.
	gone := []step{{dropHolderCell, []any{gocql.UUID(h), *l.rev}}, {dropNamer, []any{gocql.UUID(h), gocql.UUID{}}}}
	if _, err := m.s.casBatch(ctx, m.s.serial, gone...); err != nil {
		return err
	}
	return m.unindexIn(ctx, timedDead, l.listed(h))
}

// Alive tells which holders are intended or named; see meta.Holders.
func (m *Meta) Alive(ctx context.Context, holders []block.Holder) ([]bool, error) {
	alive := make([]bool, len(holders))
	g, gctx := limited(ctx)
	for i, h := range holders {
		g.Go(func() error {
			l, err := m.lifeOf(gctx, h, gocql.LocalQuorum)
			alive[i] = l.alive()
			return err
		})
	}
	return alive, fail("cassandra.Meta.Alive", g.Wait())
}
