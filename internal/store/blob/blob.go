// Package blob is the contract of the blobstore: blocks named by their content,
// and who holds them.
//
// The references stand here and not in the metastore because the two engines
// need them beside the bytes: the proof that a block in use is never deleted
// (I4) orders writes of references against reads of the block's state, and
// must not span two stores. The deletion of blocks happens in one place: Sweep.
package blob

import (
	"context"
	"time"

	"pithos/internal/block"
	"pithos/internal/naming"
)

// Store keeps blocks. All methods are safe for concurrent use; byte slices belong to the caller again on return.
//
// # Life of a block
//
// A writer draws a fresh holder, lets it hold every block it needs (Put when it has the bytes, Hold when it only knows
// the ids), calls Sync, and commits a version that names the holder in the metastore. From the return of Put, and of Hold for
// ids it did not report missing, the block stays readable until the holder is released. A holder that never makes it into a
// version is released by the garbage collector (meta.Holders tells which). A block without holders is removed by Sweep.
//
// block.Empty is never stored: every method treats it as present, held by everybody, without recording it.
//
// Errors: NotFound, Corrupt (bytes do not match their checks; Thing Block), Full (no space: only Put, Hold and Sync fail so),
// Busy, Ambiguous, Closed, Invalid (data not stripped, or over block.SizeMax).
type Store interface {
	// Put holds the block for h and stores data under id unless it is present. data is stripped (block.Strip) and
	// id is its hash: the caller guarantees both. Repeating it is harmless. It need not be durable before Sync.
	Put(ctx context.Context, h Hold, id block.ID, data []byte) error

	// Hold holds blocks for h without sending bytes and tells which of them are not stored; for those, h must Put
	// before it commits. Missing ids are held too (the reference stands), which is harmless. Order of missing: as in ids, each once.
	Hold(ctx context.Context, h Hold, ids []block.ID) (missing []block.ID, err error)

	// Sync returns when everything that this and every earlier call of Put and Hold promised is on stable storage.
	// When the metastore shares the same log, part of that may be left to the log's next synced commit (see the engine).
	Sync(ctx context.Context) error

	// Release drops all references of the holders. Unknown holders are no error. Repeating it is harmless.
	Release(ctx context.Context, holders []block.Holder) error

	// Read fills dst from byte off of the block as far as stored bytes go and returns how many that were; the rest of
	// a block are zeros, which the caller fills in. Every byte returned was checked against a checksum. off may lie at or behind
	// the end (0 bytes). Errors: NotFound, Corrupt.
	Read(ctx context.Context, id block.ID, off int64, dst []byte) (int, error)

	// Stat calls found once for each of the ids that is stored and not quarantined, in any order. stored is the stripped length. An id
	// that is given twice may be found once or twice.
	Stat(ctx context.Context, ids []block.ID, found func(id block.ID, stored int64)) error

	// Held tells for each id whether it is stored, not quarantined, and held by a holder of the account: what the account may name
	// without sending bytes.
	Held(ctx context.Context, account naming.AccountID, ids []block.ID) ([]bool, error)

	// Walk calls fn for every stored block that comes after the given one (nil: from the start) until fn returns false. The order is the
	// engine's own and does not change (by id, or around a ring of tokens). Quarantined blocks are left out. What comes or goes meanwhile may be seen or not. fn may call the store, here and in WalkHolders.
	Walk(ctx context.Context, after *block.ID, fn func(Info) bool) error

	// Sweep examines blocks that come after the given one (nil: from the start), at most budget.Blocks of them: all, or only those that
	// lost a holder. It deletes those that nobody holds, quarantined ones too, and frees their space. A block whose bytes were stored less than budget.Grace before now is kept.
	// (Readers of a replaced version are protected by the collector, which releases holders only some time after their death.)
	// An engine that knows which blocks may have lost their last holder need not examine the others.
	// next is where to go on; nil says that the end of the store was reached.
	Sweep(ctx context.Context, now time.Time, budget Budget, after *block.ID) (report SweepReport, next *block.ID, err error)

	// WalkHolders calls fn for every holder that holds at least one block and comes after the given one (zero: from the start), in the
	// engine's own order, until fn returns false.
	// fsck and the orphan hunt compare them with the metastore's.
	WalkHolders(ctx context.Context, after block.Holder, fn func(h block.Holder, account naming.AccountID) bool) error

	// Close releases everything. Later calls fail with Closed.
	Close() error
}

// Hold is a holder together with the account on whose behalf it holds.
type Hold struct {
	Holder  block.Holder
	Account naming.AccountID
}

// Info describes a stored block.
type Info struct {
	ID     block.ID
	Stored int64 // bytes, stripped
	Held   bool  // somebody holds it
}

// Budget bounds a step of Sweep.
type Budget struct {
	Blocks int           // examined at most; 0: a thousand
	Grace  time.Duration // blocks younger than this stay
}

// SweepReport counts what a step of Sweep did.
type SweepReport struct {
	Examined int
	Deleted  int
	Bytes    int64 // stored bytes of the deleted blocks
	Young    int   // unreferenced, but within the grace period
}

// Compactor is the ability to give back the space of deleted blocks. It is found through As.
type Compactor interface {
	// Compact rewrites at most one segment whose live part is low and reports the bytes it freed; 0 when none is worth it.
	Compact(ctx context.Context) (freed int64, err error)
}

// Usage is the ability to tell how much space the store takes. It is found through As.
type Usage interface {
	Usage(ctx context.Context) (UsageReport, error)
}

// UsageReport is the space that a store takes, in bytes.
type UsageReport struct {
	Blocks int64 // number of stored blocks
	Live   int64 // their stored bytes
	Dead   int64 // bytes of deleted blocks that compaction has yet to give back
	Disk   int64 // bytes on disk, everything included
	// Estimated says that the numbers are about right and some minutes old, since nobody counts exactly.
	Estimated bool
}

// Auditor is the ability to compare the copies that a store keeps of a block. It is found through As.
type Auditor interface {
	// Audit reads every copy of the block that can be reached, and, when some are damaged or missing and one is good, stores the good bytes
	// anew. When there is no good copy it changes nothing: the caller sets the block aside. NotFound/Block when it is not stored or is set aside. Internal/Block when none
	// that was read is good and there are others, which cannot be read now.
	Audit(ctx context.Context, id block.ID) (AuditReport, error)
}

// AuditReport is what an audit of one block found.
type AuditReport struct {
	Copies  int   // read
	Bytes   int64 // read
	Bad     int   // copies with other bytes than those of the block's name
	Missing int   // copies that are not there
	Healed  bool  // those that were bad or missing are good now
	// Failing are the nodes, by address, that could not read their own copy. They are no copies that were read; only their operator can mend them.
	Failing []string
	// Unreached is how many copies nobody looked at, since their nodes do not answer.
	Unreached int
}

// Good reports whether at least one copy is.
func (r AuditReport) Good() bool { return r.Copies > r.Bad+r.Missing }

// Quarantiner is the ability to set a damaged block aside. It is found through As.
type Quarantiner interface {
	// Quarantine marks the block as damaged: reads fail with Corrupt, Hold reports it missing, and the next Put of
	// its bytes heals it. Its bytes are kept for the operator until nobody holds it. NotFound/Block when it is not stored.
	Quarantine(ctx context.Context, id block.ID) error
	// Quarantined lists the damaged blocks in id order.
	Quarantined(ctx context.Context) ([]block.ID, error)
}

// Unwrapper is a store that stands in front of another.
type Unwrapper interface{ Unwrap() Store }

// As finds an ability of s or of the stores it wraps.
func As[T any](s Store) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		u, ok := s.(Unwrapper)
		if !ok {
			break
		}
		s = u.Unwrap()
	}
	var zero T
	return zero, false
}
