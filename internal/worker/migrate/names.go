package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

func missing(err error) bool { return errs.Is(err, errs.NotFound) }

// equal compares what is stored of two values.
func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// side walks the names of a container on one side, each with the ids of its versions, newest first.
type side struct {
	cur  meta.Cursor
	next *object.Summary
	end  bool
}

func newSide(ctx context.Context, m scanner, id naming.ContainerID) *side {
	return &side{cur: m.Scan(ctx, id, meta.View{Kind: meta.ViewAll})}
}

// scanner is the part of a metastore that a walk needs.
type scanner interface {
	Scan(ctx context.Context, container naming.ContainerID, view meta.View) meta.Cursor
}

// peek tells the name at which the side stands; ok is false at its end.
func (s *side) peek(ctx context.Context) (name naming.ObjectName, ok bool, err error) {
	if s.next == nil && !s.end {
		if s.next, err = s.cur.Next(ctx); err != nil {
			return "", false, err
		}
		s.end = s.next == nil
	}
	if s.end {
		return "", false, nil
	}
	return s.next.Name, true, nil
}

// take reads the versions of the name at which the side stands, and moves on.
func (s *side) take(ctx context.Context) ([]object.VersionID, error) {
	var ids []object.VersionID
	name := s.next.Name
	for {
		if _, ok, err := s.peek(ctx); err != nil || !ok || s.next.Name != name {
			return ids, err
		}
		ids = append(ids, s.next.ID)
		s.next = nil
	}
}

// names makes the versions of a container equal.
func (p *pass) names(ctx context.Context, c bucket.Container) error {
	from, to := newSide(ctx, p.from.Meta, c.ID), newSide(ctx, p.to.Meta, c.ID)
	defer from.cur.Close()
	defer to.cur.Close()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(p.o.Parallel)
	err := p.merge(ctx, from, to, func(n int, name naming.ObjectName, have, there []object.VersionID) bool {
		g.Go(func() error { return p.name(gctx, c, name, have, there) })
		if n%progressEach == 0 {
			p.progress()
		}
		return gctx.Err() == nil
	})
	if gerr := g.Wait(); gerr != nil {
		return gerr
	}
	return err
}

// merge calls fn for each name of either side with the versions of both, until it reports false.
func (p *pass) merge(ctx context.Context, from, to *side, fn func(n int, name naming.ObjectName, have, there []object.VersionID) bool) error {
	for n := 0; ; n++ {
		a, okA, err := from.peek(ctx)
		if err != nil {
			return err
		}
		b, okB, err := to.peek(ctx)
		if err != nil || !okA && !okB {
			return err
		}
		name := a
		if !okA || okB && strings.Compare(string(b), string(a)) < 0 {
			name = b
		}
		var have, there []object.VersionID
		if okA && a == name {
			if have, err = from.take(ctx); err != nil {
				return err
			}
		}
		if okB && b == name {
			if there, err = to.take(ctx); err != nil {
				return err
			}
		}
		if !fn(n, name, have, there) {
			return nil
		}
	}
}

// name makes the versions of one name equal: first goes what the source does not have, then comes what the target lacks, oldest first, so that
// each gets the id that it had.
func (p *pass) name(ctx context.Context, c bucket.Container, name naming.ObjectName, have, there []object.VersionID) error {
	for _, id := range there {
		if slices.Contains(have, id) {
			continue
		}
		if err := p.differ(ctx, "version that is not in the source", string(name), func() error { return p.remove(ctx, c, name, id) }); err != nil {
			return err
		}
	}
	for _, id := range slices.Backward(have) {
		v, err := p.from.Meta.Get(ctx, c.ID, name, meta.Which{By: meta.ByID, ID: id})
		if missing(err) {
			continue // it went while the pass was under way
		}
		if err != nil {
			return err
		}
		p.t.versions.Add(1)
		p.t.bytes.Add(v.Size)
		if !slices.Contains(there, id) {
			err = p.differ(ctx, "version that the target lacks", string(name), func() error { return p.add(ctx, c, v) })
		} else {
			err = p.compare(ctx, c, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remove forgets a version of the target, whatever kept it.
func (p *pass) remove(ctx context.Context, c bucket.Container, name naming.ObjectName, id object.VersionID) error {
	which := meta.Which{By: meta.ByID, ID: id}
	ch := meta.Change{Container: c.ID, Account: c.Account, Name: name, Now: p.o.Clock.Now(), Op: meta.Remove, Target: which, Bypass: true}
	_, err := p.to.Meta.Commit(ctx, ch)
	if errs.Is(err, errs.Denied) { // it was locked in the source too, until somebody who may unlocked it there
		unlock := ch
		unlock.Op, unlock.Amend = meta.Amend, func(v *object.Version) error {
			v.Retention, v.LegalHold = object.Retention{}, false
			return nil
		}
		if _, err = p.to.Meta.Commit(ctx, unlock); err == nil {
			_, err = p.to.Meta.Commit(ctx, ch)
		}
	}
	if missing(err) {
		return nil
	}
	if err == nil {
		p.t.removed.Add(1)
	}
	return err
}

// add brings a version over.
func (p *pass) add(ctx context.Context, c bucket.Container, v *object.Version) error {
	for range 2 {
		content, source, err := p.content(ctx, c.Account, v.Content)
		if missing(err) && p.gone(ctx, c, v) {
			return nil // it went, and its blocks with it
		}
		if err != nil {
			return err
		}
		made := *v
		made.Content = content
		share := v.Share
		_, err = p.to.Meta.Commit(ctx, meta.Change{
			Container: c.ID, Account: c.Account, Name: v.Name, Now: v.ID.Time(), As: v.ID, Version: &made, Moved: true, Bypass: true, Source: source,
			Share: func(object.Share) object.Share { return share },
		})
		switch {
		case errs.Is(err, errs.Conflict) && source != nil:
			p.forget(v.Content.Holder) // what it was to share is gone: once more, with a holder of its own
			continue
		case err != nil:
			return err
		}
		p.t.added.Add(1)
		p.remember(v.Content.Holder, content.Holder, meta.Source{Container: c.ID, Name: v.Name, ID: v.ID})
		return nil
	}
	return errs.E("", errs.Conflict, errs.Version, string(v.Name))
}

// gone reports whether the source does not have the version any more.
func (p *pass) gone(ctx context.Context, c bucket.Container, v *object.Version) bool {
	_, err := p.from.Meta.Get(ctx, c.ID, v.Name, meta.Which{By: meta.ByID, ID: v.ID})
	return missing(err)
}

// compare makes a version of both sides equal, as far as versions change.
func (p *pass) compare(ctx context.Context, c bucket.Container, v *object.Version) error {
	t, err := p.to.Meta.Get(ctx, c.ID, v.Name, meta.Which{By: meta.ByID, ID: v.ID})
	if missing(err) {
		return p.differ(ctx, "version that the target lacks", string(v.Name), func() error { return p.add(ctx, c, v) })
	}
	if err != nil {
		return err
	}
	if !same(v, t) {
		err = p.differ(ctx, "version", string(v.Name), func() error { return p.amend(ctx, c, v) })
	}
	if err != nil || !p.o.Check {
		return err
	}
	return p.present(ctx, v)
}

// amend brings what may be amended of a version over, and wants the rest to be equal.
func (p *pass) amend(ctx context.Context, c bucket.Container, v *object.Version) error {
	out, err := p.to.Meta.Commit(ctx, meta.Change{
		Container: c.ID, Account: c.Account, Name: v.Name, Now: p.o.Clock.Now(), Op: meta.Amend, Target: meta.Which{By: meta.ByID, ID: v.ID},
		Amend: func(t *object.Version) error {
			t.ACL, t.Tags, t.Retention, t.LegalHold, t.Encryption, t.Share = v.ACL, v.Tags, v.Retention, v.LegalHold, v.Encryption, v.Share
			t.RootHash = v.RootHash
			return nil
		},
	})
	switch {
	case err != nil:
		return err
	case !same(v, out.Version):
		return errs.E("", errs.Conflict, errs.Version, string(v.Name)).
			Because(errs.BadState, "the target has another version under the same id: somebody else writes to it")
	}
	p.t.amended.Add(1)
	return nil
}

// same compares versions of two sides: all but their holders, which each side has of its own, and what a store fills in when it reads.
func same(a, b *object.Version) bool {
	x, y := *a, *b
	x.Content.Holder, y.Content.Holder = [16]byte{}, [16]byte{}
	x.Latest, y.Latest = false, false
	return bytes.Equal(object.AppendVersion(nil, &x), object.AppendVersion(nil, &y))
}

// nothing is a metastore without versions.
type nothing struct{ meta.Store }

// Scan is at its end at once.
func (nothing) Scan(context.Context, naming.ContainerID, meta.View) meta.Cursor { return nowhere{} }

type nowhere struct{}

func (nowhere) Seek(meta.Position)                            {}
func (nowhere) Next(context.Context) (*object.Summary, error) { return nil, nil } //nolint:nilnil // the end
func (nowhere) Close()                                        {}
