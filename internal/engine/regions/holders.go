package regions

import (
	"context"
	"slices"
	"time"

	"pithos/internal/block"
	"pithos/internal/store/meta"
)

// Intend records an intent in the holder's region; see meta.Holders.
func (s *Store) Intend(ctx context.Context, h block.Holder, in meta.Intent) error {
	store, err := s.holding(h)
	if err != nil {
		return err
	}
	return store.Intend(ctx, h, in)
}

// Extend gives an intent more time; see meta.Holders.
func (s *Store) Extend(ctx context.Context, h block.Holder, expires time.Time) error {
	store, err := s.holding(h)
	if err != nil {
		return err
	}
	return store.Extend(ctx, h, expires)
}

// Abandon gives up an intent; see meta.Holders.
func (s *Store) Abandon(ctx context.Context, h block.Holder) error {
	store, err := s.holding(h)
	if err != nil {
		return err
	}
	return store.Abandon(ctx, h)
}

// Reap makes expired intents dead, region by region. One that does not answer keeps its own until it does.
func (s *Store) Reap(ctx context.Context, now time.Time, limit int) (int, error) {
	var answers []answer[int]
	sum := 0
	for _, r := range s.list {
		if sum >= limit {
			break
		}
		a := ask([]*region{r}, func(m meta.Store) (int, error) { return m.Reap(ctx, now, limit-sum) })[0]
		sum += a.value
		answers = append(answers, a)
	}
	if _, err := spoken(ctx, s, "the search for vanished writers", answers); err != nil {
		return sum, err
	}
	return sum, nil
}

// Dead lists dead holders of all regions that answer, the same number of each while there are more than limit.
func (s *Store) Dead(ctx context.Context, until time.Time, limit int) ([]block.Holder, error) {
	heard, err := spoken(ctx, s, "the list of dead holders", ask(s.list, func(m meta.Store) ([]block.Holder, error) { return m.Dead(ctx, until, limit) }))
	if err != nil {
		return nil, err
	}
	var dead []block.Holder
	for i := 0; len(dead) < limit; i++ {
		before := len(dead)
		for _, a := range heard {
			if i < len(a.value) && len(dead) < limit {
				dead = append(dead, a.value[i])
			}
		}
		if len(dead) == before {
			break
		}
	}
	return dead, nil
}

// Forget removes dead holders, each in its region. The error is that of any region; what the others have is removed all the same.
func (s *Store) Forget(ctx context.Context, holders []block.Holder) error {
	byRegion := map[*region][]block.Holder{}
	for _, h := range holders {
		r := s.regionOfHolder(h)
		byRegion[r] = append(byRegion[r], h)
	}
	var first error
	for _, r := range s.list {
		if len(byRegion[r]) == 0 {
			continue
		}
		store, err := r.at()
		if err == nil {
			err = store.Forget(ctx, byRegion[r])
		}
		if err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Alive asks the region of each holder, and for those that are not alive there all the others: what this calls unknown is garbage, so no single id, however it came to
// be, may decide that alone. It fails unless every region that had to be asked has answered.
func (s *Store) Alive(ctx context.Context, holders []block.Holder) ([]bool, error) {
	alive := make([]bool, len(holders))
	own := make([]*region, len(holders))
	for i, h := range holders {
		own[i] = s.regionOfHolder(h)
	}
	for _, first := range []bool{true, false} {
		for _, r := range s.list {
			var at []int
			for i := range holders {
				if !alive[i] && (own[i] == r) == first {
					at = append(at, i)
				}
			}
			if err := r.alive(ctx, holders, at, alive); err != nil {
				return nil, err
			}
		}
	}
	return alive, nil
}

// alive asks a region for some of the holders.
func (r *region) alive(ctx context.Context, holders []block.Holder, at []int, alive []bool) error {
	if len(at) == 0 {
		return nil
	}
	store, err := r.at()
	if err != nil {
		return err
	}
	some := make([]block.Holder, len(at))
	for n, i := range at {
		some[n] = holders[i]
	}
	got, err := store.Alive(ctx, some)
	for n := range got {
		alive[at[n]] = got[n]
	}
	return err
}

// Due lists the versions of all regions that answer whose time has come, in order of that time.
func (s *Store) Due(ctx context.Context, until time.Time, limit int, fn func(meta.DueVersion) bool) error {
	heard, err := spoken(ctx, s, "the list of what expires", ask(s.list, func(m meta.Store) (list []meta.DueVersion, err error) {
		err = m.Due(ctx, until, limit, func(d meta.DueVersion) bool {
			list = append(list, d)
			return true
		})
		return list, err
	}))
	if err != nil {
		return err
	}
	var all []meta.DueVersion
	for _, a := range heard {
		all = append(all, a.value...)
	}
	slices.SortStableFunc(all, func(a, b meta.DueVersion) int { return a.Expires.Compare(b.Expires) })
	for _, d := range all[:min(limit, len(all))] {
		if !fn(d) {
			break
		}
	}
	return nil
}
