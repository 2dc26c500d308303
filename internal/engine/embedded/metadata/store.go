package metadata

import (
	"context"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/durable"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Numbers of locks. Two names, or two holders, that share a stripe wait for each other only while a batch is made.
const (
	nameStripes   = 4096
	holderStripes = 256
)

// Options are the settings of a metastore.
type Options struct {
	// SharedLog says that the blobstore writes its references into the same Pebble, behind the intents: then an intent need not be
	// synced on its own.
	SharedLog bool
	// Admit is asked before something new is written about n bytes and refuses with Full when space is short; nil admits everything. What frees
	// space, and delete markers, are never refused.
	Admit func(n int64) error
}

// Store is the metastore in Pebble. It implements meta.Store.
type Store struct {
	db   *pebble.DB
	log  *durable.Log
	opts Options
	gate durable.Gate
	seed maphash.Seed

	names   [nameStripes]nameStripe
	holders [holderStripes]holderStripe

	// known guards the two maps below, which fill as containers and accounts are used and are never emptied.
	known struct {
		sync.RWMutex
		containers map[naming.ContainerID]*container
		accounts   map[naming.AccountID]*tally
	}
}

var _ meta.Store = (*Store)(nil)

// nameStripe serialises the changes of the names that fall on it.
type nameStripe struct {
	sync.Mutex
	// flight is the last change of a name of this stripe. It is set before the change is visible. Whoever tells what it read must wait for it.
	flight atomic.Pointer[durable.Flight]
	// gone holds the highest ids that were removed lately, by the hash of their names (meta.State.Gone). Names that share one are told a higher id, which
	// does no harm.
	gone map[uint64]object.VersionID
}

// How long removed ids are remembered: as long as a change may be under way with a time that it took before. A restart takes longer.
const (
	goneFor = 2 * time.Second
	goneMax = 16 // per stripe, before those that are older are looked for
)

// forget notes that a version of a name was removed. The caller has the stripe.
func (n *nameStripe) forget(hash uint64, id object.VersionID, now time.Time) {
	if len(n.gone) >= goneMax {
		old := object.IDAt(now.Add(-goneFor))
		maps.DeleteFunc(n.gone, func(_ uint64, id object.VersionID) bool { return id < old })
	}
	if n.gone == nil {
		n.gone = make(map[uint64]object.VersionID)
	}
	n.gone[hash] = max(n.gone[hash], id)
}

// New makes a metastore of db, which was opened with Merger and is shared with other stores. Intents that an earlier process left, but for
// leases, are dead from now on. It does not close db.
func New(db *pebble.DB, o Options) (*Store, error) {
	if o.Admit == nil {
		o.Admit = func(int64) error { return nil }
	}
	s := &Store{db: db, log: durable.NewLog(db), opts: o, seed: maphash.MakeSeed()}
	s.known.containers = make(map[naming.ContainerID]*container)
	s.known.accounts = make(map[naming.AccountID]*tally)
	for i := range s.holders {
		s.holders[i].intents = make(map[block.Holder]time.Time)
	}
	if err := s.buryOldIntents(); err != nil {
		return nil, err
	}
	return s, nil
}

// Close returns when every call and cursor has ended. Later calls fail with Closed.
func (s *Store) Close() error {
	s.gate.Close()
	return nil
}

// enter begins a call; s.gate.Leave ends it.
func (s *Store) enter(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap(op, errs.Canceled, err)
	}
	return s.gate.Enter(op)
}

// stripe is the number of the stripe of a name.
func (s *Store) stripe(c naming.ContainerID, name naming.ObjectName) int {
	return int(s.hash(c, name) % nameStripes)
}

func (s *Store) hash(c naming.ContainerID, name naming.ObjectName) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.Write(c[:])
	_, _ = h.WriteString(string(name))
	return h.Sum64()
}

// settle waits for the last change on a stripe, so that what was read before the call may be told.
func (s *Store) settle(ctx context.Context, stripe int) error {
	if f := s.names[stripe].flight.Load(); f != nil {
		return f.Wait(ctx)
	}
	return nil
}

// lockNames locks one or two stripes (the second may be -1) in their order and returns what unlocks them.
func (s *Store) lockNames(a, b int) (unlock func()) {
	if b < 0 || a == b {
		s.names[a].Lock()
		return s.names[a].Unlock
	}
	low, high := min(a, b), max(a, b)
	s.names[low].Lock()
	s.names[high].Lock()
	return func() {
		s.names[high].Unlock()
		s.names[low].Unlock()
	}
}
