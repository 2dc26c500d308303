package metadata

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// tally is what an account or container holds, changes on their way included. The counters in memory are what limits are checked against; the
// same difference goes into the batch of the change as an operand of Merger, so the stored counters equal the sums at every batch, and
// no writer waits for another's.
type tally struct {
	sync.Mutex
	used meta.Usage
}

func (t *tally) add(d meta.Usage) {
	t.Lock()
	t.used = t.used.Add(d)
	t.Unlock()
}

func (t *tally) get() meta.Usage {
	t.Lock()
	defer t.Unlock()
	return t.used
}

// container is what the process knows of a container.
type container struct {
	// gate is held for reading by whoever puts something into the container, from the look at sealed until the batch is visible, and
	// for writing by Seal, Unseal and Drop.
	gate    sync.RWMutex
	sealed  bool
	dropped bool // sealed for good
	tally   tally
	owned   atomic.Bool // the row that tells its account has been written
}

// reserve adds d to the counters if the limits allow it.
func reserve(account *tally, c *container, d meta.Usage, limits meta.Limits) error {
	if d == (meta.Usage{}) {
		return nil
	}
	account.Lock()
	defer account.Unlock()
	c.tally.Lock()
	defer c.tally.Unlock()
	if err := limits.Allow(account.used, c.tally.used, d); err != nil {
		return err
	}
	account.used = account.used.Add(d)
	c.tally.used = c.tally.used.Add(d)
	return nil
}

// count writes d into the batch, and with the first count of a container whose it is.
func (c *container) count(b *pebble.Batch, account naming.AccountID, id naming.ContainerID, d meta.Usage) {
	if d == (meta.Usage{}) {
		return
	}
	if !c.owned.Load() {
		_ = b.Set(appendContainer(nil, spaceOwner, id), []byte(account), nil)
	}
	var key [keySize]byte
	var value [32]byte
	operand := appendUsage(value[:0], d)
	_ = b.Merge(accountKey(key[:0], account), operand, nil)
	_ = b.Merge(appendContainer(key[:0], spaceContainer, id), operand, nil)
}

// container finds or loads a container.
func (s *Store) container(id naming.ContainerID) (*container, error) {
	s.known.RLock()
	c := s.known.containers[id]
	s.known.RUnlock()
	if c != nil {
		return c, nil
	}
	s.known.Lock()
	defer s.known.Unlock()
	if c := s.known.containers[id]; c != nil {
		return c, nil
	}
	used, err := readUsage(s.db, appendContainer(nil, spaceContainer, id))
	if err != nil {
		return nil, err
	}
	seal, err := get(s.db, appendContainer(nil, spaceSeal, id))
	if err != nil {
		return nil, err
	}
	owner, err := get(s.db, appendContainer(nil, spaceOwner, id))
	if err != nil {
		return nil, err
	}
	c = &container{sealed: seal != nil, dropped: string(seal) == sealDropped}
	c.tally.used = used
	c.owned.Store(owner != nil)
	s.known.containers[id] = c
	return c, nil
}

// account finds or loads the counters of an account.
func (s *Store) account(id naming.AccountID) (*tally, error) {
	s.known.RLock()
	a := s.known.accounts[id]
	s.known.RUnlock()
	if a != nil {
		return a, nil
	}
	s.known.Lock()
	defer s.known.Unlock()
	if a := s.known.accounts[id]; a != nil {
		return a, nil
	}
	used, err := readUsage(s.db, accountKey(nil, id))
	if err != nil {
		return nil, err
	}
	a = &tally{used: used}
	s.known.accounts[id] = a
	return a, nil
}

func readUsage(db pebble.Reader, key []byte) (meta.Usage, error) {
	raw, err := get(db, key)
	if err != nil {
		return meta.Usage{}, err
	}
	return parseUsage(raw)
}

// AccountUsage implements meta.Tally.
func (s *Store) AccountUsage(ctx context.Context, id naming.AccountID) (meta.Usage, error) {
	if err := s.enter(ctx, "metadata.AccountUsage"); err != nil {
		return meta.Usage{}, err
	}
	defer s.gate.Leave()
	a, err := s.account(id)
	if err != nil {
		return meta.Usage{}, err
	}
	return a.get(), nil
}

// ContainerUsage implements meta.Tally.
func (s *Store) ContainerUsage(ctx context.Context, id naming.ContainerID) (meta.Usage, error) {
	if err := s.enter(ctx, "metadata.ContainerUsage"); err != nil {
		return meta.Usage{}, err
	}
	defer s.gate.Leave()
	c, err := s.container(id)
	if err != nil {
		return meta.Usage{}, err
	}
	return c.tally.get(), nil
}
