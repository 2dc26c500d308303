package buckettest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// lost reports whether an error says that another one won, or that nobody knows.
func lost(err error) bool {
	return errs.Is(err, errs.Exists) || errs.Is(err, errs.Conflict) || errs.Is(err, errs.NotFound) || errstest.Unanswered(err)
}

// claims are the requests for one bucket name by what they were told.
type claims struct {
	mu      sync.Mutex
	won     []bucket.Container
	refused []bucket.Container
	open    []bucket.Container // got no answer: they may have won
}

// claim asks for the name, and gives back why there was no answer. Only Exists is a refusal.
func (r *claims) claim(e *env, c bucket.Container) error {
	made, err := e.s.Create(e.Context(), c)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.won = append(r.won, made)
	case errs.Is(err, errs.Exists):
		r.refused = append(r.refused, c)
		err = nil
	case errstest.Unanswered(err):
		r.open = append(r.open, c)
	}
	return err
}

// race is claim for those who do not ask again.
func (r *claims) race(e *env, c bucket.Container) error {
	if err := r.claim(e, c); !errstest.Unanswered(err) {
		return err
	}
	return nil
}

// settle demands one owner of the name: whoever was told so, otherwise one who got no answer, and never one who was refused. If nobody has it, since those who
// might have won gave up half way, or gave way to each other (which a store may do, though it should not need to), all ask again in turn, and then one has it.
func (r *claims) settle(e *env, b naming.BucketName) {
	e.Helper()
	owner, err := e.resolve(b)
	if len(r.won) == 0 && errs.Is(err, errs.NotFound) {
		for i, asked := range slices.Concat(r.open, r.refused) {
			c := e.container(naming.ContainerName(fmt.Sprintf("%s-again-%d", asked.Name, i)), b)
			c.Account = asked.Account
			errstest.OK(e, errstest.Again(func() error { return r.claim(e, c) }))
		}
		owner, err = e.resolve(b)
	}
	if len(r.won) > 1 {
		e.Fatalf("%d were told that the name is theirs", len(r.won))
	}
	errstest.OK(e, err)
	may := r.won
	if len(may) == 0 {
		may = r.open
	}
	for _, c := range may {
		if c.ID == owner.ID {
			e.wantStored(owner)
			return
		}
	}
	for _, c := range r.refused {
		if c.ID == owner.ID {
			e.Fatalf("the name belongs to %s, who was refused", owner.Account)
		}
	}
	e.Fatalf("the name belongs to %s, %d others were told that it is theirs, %d got no answer", owner.Account, len(r.won), len(r.open))
}

// resolve finds the owner of a name, and asks until there is an answer.
func (e *env) resolve(b naming.BucketName) (c bucket.Container, err error) {
	err = errstest.Again(func() (err error) { c, err = e.s.Resolve(e.Context(), b); return err })
	return c, err
}

// lookup is resolve for a name in an account.
func (e *env) lookup(account naming.AccountID, name naming.ContainerName) (c bucket.Container, err error) {
	err = errstest.Again(func() (err error) { c, err = e.s.Lookup(e.Context(), account, name); return err })
	return c, err
}

var racing = []sentence{
	{"Race/a bucket name has one owner", func(e *env) {
		for round := range e.count(30) {
			b := e.bucketName()
			var r claims
			errstest.Together(e, 16, func(i int) error {
				c := e.container(naming.ContainerName(fmt.Sprintf("%d-%d", round, i)), b)
				c.Account = naming.AccountID(fmt.Sprintf("%s-%d", e.account, i%4))
				return r.race(e, c)
			})
			r.settle(e, b)
		}
	}},
	{"Race/whoever was told that the name is theirs keeps it", func(e *env) {
		for round := range e.count(30) {
			b := e.bucketName()
			var r claims
			errstest.Together(e, 8, func(i int) error {
				c := e.container(naming.ContainerName(fmt.Sprintf("kept-%d", round)), b) // one name in each account: clients of an account race for it too
				c.Account = naming.AccountID(fmt.Sprintf("%s-%d", e.account, i%2))
				return r.race(e, c)
			})
			r.settle(e, b)
		}
	}},
	{"Race/of updates by revision none is lost", func(e *env) {
		first := e.container("a", "")
		if err := errstest.Again(func() error { _, err := e.s.Create(e.Context(), first); return err }); !errs.Is(err, errs.Exists) {
			errstest.OK(e, err)
		}
		var done, unknown atomic.Int64
		each := e.count(20)
		errstest.Together(e, 6, func(int) error {
			for range each {
				for range 10_000 {
					c, err := e.lookup(e.account, "a")
					if err != nil {
						return err
					}
					c.Config.Quota.Objects++
					if _, err = e.s.Update(e.Context(), c); err == nil {
						done.Add(1)
						break
					}
					switch {
					case errs.Is(err, errs.Ambiguous):
						unknown.Add(1)
					case !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.Busy): // nothing was done: once more
						return err
					}
				}
			}
			return nil
		})
		c, err := e.lookup(e.account, "a")
		errstest.OK(e, err)
		if n := c.Config.Quota.Objects; n < done.Load() || n > done.Load()+unknown.Load() {
			e.Errorf("%d updates were acknowledged, the outcome of %d is unknown, %d are stored", done.Load(), unknown.Load(), n)
		}
		if want := int64(6 * each); done.Load() != want {
			e.Errorf("%d updates were acknowledged, want %d", done.Load(), want)
		}
	}},
	{"Race/container and bucket name appear and disappear together", func(e *env) {
		b := e.bucketName()
		each := e.count(60)
		errstest.Together(e, 4, func(int) error {
			for range each {
				c, err := e.s.Create(e.Context(), e.container("a", b))
				if err == nil {
					err = e.s.Remove(e.Context(), c)
				}
				if err != nil && !lost(err) {
					return err
				}
			}
			return nil
		})
		_, byName := e.lookup(e.account, "a")
		_, byBucket := e.resolve(b)
		if (byName == nil) != (byBucket == nil) {
			e.Errorf("Lookup: %v, Resolve: %v", byName, byBucket)
		}
	}},
}
