package regions

import (
	"context"
	"sync"

	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// usages remembers what regions said of accounts, for the time that they do not answer. Nothing of their containers changes over this gateway then.
type usages struct {
	mu   sync.Mutex
	said map[saying]meta.Usage
}

type saying struct {
	region  *region
	account naming.AccountID
}

// sayingsKept bounds what is remembered; when it is full, all is forgotten.
const sayingsKept = 10_000

func (u *usages) put(k saying, v meta.Usage) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.said == nil || len(u.said) >= sayingsKept {
		u.said = map[saying]meta.Usage{}
	}
	u.said[k] = v
}

func (u *usages) get(k saying) (v meta.Usage, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	v, ok = u.said[k]
	return v, ok
}

// AccountUsage is the sum over the regions. Of one that does not answer it is what it said last to this process; Busy when it never said anything, and when
// no region answers.
func (s *Store) AccountUsage(ctx context.Context, account naming.AccountID) (meta.Usage, error) {
	return s.usageIn(ctx, s.list, account)
}

func (s *Store) usageIn(ctx context.Context, list []*region, account naming.AccountID) (sum meta.Usage, err error) {
	heard := len(list) < len(s.list)
	for _, a := range ask(list, func(m meta.Store) (meta.Usage, error) { return m.AccountUsage(ctx, account) }) {
		k := saying{a.region, account}
		if a.err == nil {
			heard = true
			s.known.put(k, a.value)
		} else {
			last, ok := s.known.get(k)
			if !ok || !silent(a.err) {
				return meta.Usage{}, a.err
			}
			a.value, err = last, a.err
		}
		sum = sum.Add(a.value)
	}
	if !heard {
		return meta.Usage{}, err
	}
	return sum, nil
}

// Answers tells whether any region does; otherwise why not.
func (s *Store) Answers(ctx context.Context) error {
	_, err := spoken(ctx, s, "a question whether the service is ready", ask(s.list, func(m meta.Store) (meta.Usage, error) { return m.AccountUsage(ctx, "") }))
	return err
}

// beside is what an account's limit leaves in a region beside what the others hold. They are asked before the change: writes that run in several regions at
// the same moment can pass the limit together, each by what the others add meanwhile.
func (s *Store) beside(ctx context.Context, r *region, account naming.AccountID, l meta.Limit) (meta.Limit, error) {
	if len(s.list) == 1 || l == (meta.Limit{}) {
		return l, nil
	}
	others := make([]*region, 0, len(s.list))
	for _, o := range s.list {
		if o != r {
			others = append(others, o)
		}
	}
	used, err := s.usageIn(ctx, others, account)
	if err != nil {
		return l, err
	}
	bytes := used.Bytes
	if l.ChargeHistory {
		bytes = used.Stored
	}
	l.Bytes, l.Objects = room(l.Bytes, bytes+used.UploadBytes), room(l.Objects, used.Objects)
	return l, nil
}

// room is what a limit leaves beside what is used: less than 0 when that is nothing, since 0 is no limit.
func room(limit, used int64) int64 {
	switch {
	case limit <= 0:
		return limit
	case limit > used:
		return limit - used
	}
	return -1
}
