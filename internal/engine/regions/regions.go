// Package regions makes one metastore of several: one for each region, in whose
// data centre its containers are at home.
//
// Where a container or holder lives stands in its id, so a call finds its way by
// its arguments, without asking anybody. What is asked of an account, or of all
// holders, goes to every region.
//
// A region that does not answer takes nothing else with it: calls for its
// containers are Busy, background work goes on in the others, and accounts are
// counted with what it said last. In one question silence is no answer: Alive
// fails unless every region answers, because a holder that nobody is known to
// need is taken for garbage.
package regions

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// Region is a metastore and the region that it is of.
type Region struct {
	Name  string
	Store meta.Store // nil: it does not answer yet; see Attach
}

// Store is the metastore of a service with regions.
type Store struct {
	list  []*region // the default one first
	log   *slog.Logger
	known usages
}

type region struct {
	name  string
	tag   tag
	store atomic.Pointer[meta.Store] // nil: it was not reached yet
}

var (
	_ meta.Store    = (*Store)(nil)
	_ meta.Regional = (*Store)(nil)
)

// New puts regions together. The first is the default one: containers without a region in their id live there. Invalid when two regions have the same name,
// or names that ids do not tell apart.
func New(list []Region, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{log: log}
	for _, in := range list {
		r := &region{name: in.Name, tag: tagOf(in.Name)}
		if in.Store != nil {
			r.store.Store(&in.Store)
		}
		for _, other := range s.list {
			if other.tag.container(r.tag.newContainer()) || other.tag.holder(r.tag.newHolder()) {
				return nil, errs.E("regions.New", errs.Invalid, errs.Config, in.Name).
					Because(errs.BadRegion, "the regions "+other.name+" and "+in.Name+" cannot be told apart; give one of them another name")
			}
		}
		s.list = append(s.list, r)
	}
	return s, nil
}

// Attach gives a region its store, which was not reached when the regions were put together. The store is closed with the others.
func (s *Store) Attach(name string, store meta.Store) {
	if i := slices.IndexFunc(s.list, func(r *region) bool { return r.name == name }); i >= 0 {
		s.list[i].store.Store(&store)
	}
}

// at is a region's store. Busy while it was not reached.
func (r *region) at() (meta.Store, error) {
	if store := r.store.Load(); store != nil {
		return *store, nil
	}
	return nil, errs.E("regions.at", errs.Busy, errs.Store, r.name).Because("", "the region "+r.name+" does not answer")
}

// regionOf is where a container lives. Busy when that is a region which is not configured here: another gateway may know it.
func (s *Store) regionOf(id naming.ContainerID) (*region, error) {
	if !marked(id) {
		return s.list[0], nil
	}
	for _, r := range s.list[1:] {
		if r.tag.container(id) {
			return r, nil
		}
	}
	return nil, errs.E("regions.regionOf", errs.Busy, errs.Container, id.String()).Because("", "the container lives in a region that this gateway does not know; see regions in its configuration")
}

// of is the store of a container's region.
func (s *Store) of(id naming.ContainerID) (meta.Store, error) {
	r, err := s.regionOf(id)
	if err != nil {
		return nil, err
	}
	return r.at()
}

func (s *Store) regionOfHolder(h block.Holder) *region {
	for _, r := range s.list[1:] {
		if r.tag.holder(h) {
			return r
		}
	}
	return s.list[0]
}

// holding is the store of a holder's region.
func (s *Store) holding(h block.Holder) (meta.Store, error) { return s.regionOfHolder(h).at() }

// NewContainer draws an id; see meta.Regional.
func (s *Store) NewContainer(name string) (naming.ContainerID, error) {
	i := slices.IndexFunc(s.list, func(r *region) bool { return r.name == name })
	switch {
	case name == "", i == 0:
		id := naming.NewContainerID()
		for marked(id) {
			id = naming.NewContainerID()
		}
		return id, nil
	case i < 0:
		return naming.ContainerID{}, errs.E("regions.NewContainer", errs.Invalid, errs.Config, name).Because(errs.BadRegion, "there is no region of that name")
	}
	return s.list[i].tag.newContainer(), nil
}

// NewHolder draws a holder; see meta.Regional.
func (s *Store) NewHolder(container naming.ContainerID) block.Holder {
	if r, err := s.regionOf(container); err == nil && r != s.list[0] {
		return r.tag.newHolder()
	}
	h := block.NewHolder()
	for s.regionOfHolder(h) != s.list[0] {
		h = block.NewHolder()
	}
	return h
}

// Together reports whether two containers share holders; see meta.Regional.
func (s *Store) Together(a, b naming.ContainerID) bool {
	ra, errA := s.regionOf(a)
	rb, errB := s.regionOf(b)
	return errA == nil && errB == nil && ra == rb
}

// Regions lists the names; see meta.Regional.
func (s *Store) Regions() []string {
	names := make([]string, len(s.list))
	for i, r := range s.list {
		names[i] = r.name
	}
	return names
}

// Close closes all of them.
func (s *Store) Close() error {
	var first error
	for _, r := range s.list {
		store, err := r.at()
		if err != nil {
			continue
		}
		if err := store.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// answer is what a region said.
type answer[T any] struct {
	region *region
	value  T
	err    error
}

// ask asks all regions at once.
func ask[T any](list []*region, question func(meta.Store) (T, error)) []answer[T] {
	answers := make([]answer[T], len(list))
	var wg sync.WaitGroup
	for i, r := range list {
		wg.Go(func() {
			a := &answers[i]
			a.region = r
			store, err := r.at()
			if err == nil {
				a.value, err = question(store)
			}
			a.err = err
		})
	}
	wg.Wait()
	return answers
}

// silent reports whether an error says that a region cannot be asked now.
func silent(err error) bool { return errs.Is(err, errs.Busy) }

// spoken leaves out the regions that cannot be asked now, as long as there is another one. What they would have said is said when they can be asked again.
func spoken[T any](ctx context.Context, s *Store, what string, answers []answer[T]) (heard []answer[T], err error) {
	for _, a := range answers {
		switch {
		case a.err == nil:
			heard = append(heard, a)
		case !silent(a.err):
			return nil, a.err
		default:
			err = a.err
		}
	}
	if len(heard) == 0 {
		return nil, err
	}
	for _, a := range answers {
		if a.err != nil {
			s.log.WarnContext(ctx, "a region does not answer and is left out", "region", a.region.name, "of", what, "error", a.err)
		}
	}
	return heard, nil
}
