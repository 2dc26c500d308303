// Package meta is the contract of the metastore: versions, uploads, holders and
// counters.
//
// It speaks in operations with an outcome ("publish this version if ..."),
// never in rows. What a change does to the versions of a name is decided by one
// pure function, Plan, which every engine applies inside its own atomic step,
// so engines cannot differ in it.
package meta

import (
	"context"
	"time"

	"pithos/internal/block"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// Store is the whole metastore. Callers take the role they need. All methods of all roles are safe for concurrent use;
// a nil error means durable and visible to every later call on any node, unless a method says otherwise. Callbacks of listings may
// call the store; Change.Amend may not. Times are kept to the microsecond. Empty and nil lists and maps are the same.
//
// Errors: NotFound by Thing, Conflict, Precondition, Quota, Denied (reason Locked), Full, Busy, Ambiguous (the change may or
// may not have happened, and will stay so or the other), Closed.
type Store interface {
	Versions
	Uploads
	Holders
	Tally
	Containers
	Indexes
	Close() error
}

// Versions is the role that keeps versions.
type Versions interface {
	// Commit applies one change to one name, all of it or nothing. An acknowledged change is in Get, Scan, Usage and the
	// indexes at once; an unacknowledged one is seen whole or not at all. From then on every block of a visible version is
	// held: its holder counts as named until the last version or part naming it is gone, and is then dead (see Holders).
	//
	// Errors besides those of Plan: NotFound/Container when the container is sealed; Conflict/Holder when the version's
	// holder has neither an intent nor another name (its upload was given up); Conflict/Version when Source is gone or has
	// another holder; NotFound/Upload when Upload is not open; Quota when Limits would be passed. When several apply, the first of: sealed
	// container, upload, those of Plan, source, holder, quota. A change that failed left everything as it was.
	//
	// Naming a holder uses its intent up: the names alone keep it alive from then on.
	Commit(ctx context.Context, c Change) (Outcome, error)

	// Get finds a version. A delete marker is found like any other version, also as Newest.
	// Errors: NotFound/Object when the name has no version at all, NotFound/Version when it has, but not this one.
	Get(ctx context.Context, container naming.ContainerID, name naming.ObjectName, which Which) (*object.Version, error)

	// Scan walks a container in one view. What was committed before Scan and is not changed until the end appears exactly
	// once; of a name that changes meanwhile, each entry appears as it was or as it is, and may be missing if it came or went. No
	// entry appears twice, and none out of order. Seek is cheap: its cost does not depend on what is skipped.
	Scan(ctx context.Context, container naming.ContainerID, view View) Cursor
}

// Which names a version of an object.
type Which struct {
	By By
	ID object.VersionID // ByID
	At time.Time        // AsOf
}

// By is the way in which a version is named.
type By uint8

// The ways to name a version.
const (
	Newest  By = iota // the newest version, also when it is a delete marker
	ByID              // the version with this id
	TheNull           // the null version
	AsOf              // the newest version older than At: with an id below object.IDAt(At)
)

// View is what a scan shows.
type View struct {
	Kind ViewKind
	At   time.Time // ViewAsOf

	// Want and Below say what the caller will ask for, so that an engine reads no less and no more at once: about how many entries one after the
	// other (0: few, or not known), and only those of names below one ("": of all). An engine may leave out entries that are not below it.
	Want  int
	Below naming.ObjectName
}

// ViewKind is the kind of a view.
type ViewKind uint8

// The views of a container.
const (
	ViewCurrent ViewKind = iota // the newest version of each name, unless it is a delete marker
	ViewAll                     // every version, newest first within a name
	ViewAsOf                    // for each name the newest version older than At, unless it is a delete marker
	ViewDeleted                 // names whose newest version is a delete marker: that marker
)

// Cursor walks a view in the byte order of names, and within a name from the newest version to the oldest. It is not
// safe for concurrent use.
type Cursor interface {
	// Seek moves, forwards or backwards, so that Next returns the first entry at or after pos. A new cursor stands at the start.
	Seek(pos Position)
	// Next returns the next entry and nil, nil at the end. The summary is the caller's.
	Next(ctx context.Context) (*object.Summary, error)
	// Close ends the walk. It must be called.
	Close()
}

// Backward is a Cursor that finds its way back too. An engine need not offer it; without it a listing in descending order costs a walk over
// all that the view has.
type Backward interface {
	Cursor
	// Before returns the last entry before pos (without a name: the last of all), and nil, nil when there is none: within a name the oldest version
	// comes first then. In ViewCurrent only the name of pos counts. The cost does not depend on what is skipped. Only ViewCurrent and ViewAll have it;
	// in other views the error is Unsupported/Request. After it, Next needs a Seek.
	Before(ctx context.Context, pos Position) (*object.Summary, error)
}

// Position is a place in a view: at the version ID of Name, or where it would stand; ID 0 is before the newest version of
// Name. To go on after a name use Name + "\x00"; after a version use its ID - 1 (after ID 1: the next name). An entry of any view stands
// at its own version: a seek to (Name, ID) finds it if its id is ID or less.
type Position struct {
	Name naming.ObjectName
	ID   object.VersionID
}

// Change is one change to one name.
type Change struct {
	Container naming.ContainerID
	Account   naming.AccountID // owner of the container, for the counters
	Name      naming.ObjectName
	Now       time.Time
	Op        Op

	// If is tested against the newest version (Remove and Amend: against the version that Target names).
	If object.Precondition

	// Version is the version to put. Its ID is chosen by Plan, its Name set to Name, its UUID kept from a visible
	// predecessor unless Moved. With a Stamp it is a change from a container elsewhere: it is refused with Conflict/Version, reason Older, unless
	// its stamp is greater than that of the newest version, and its ID is not less than its stamp, so that whatever is put here afterwards is newer. If it is Null, an earlier null version of the name is dropped with it.
	Version *object.Version

	// Moved says that Version brings the UUID of an object that came from elsewhere.
	Moved bool

	// As is the id of a Version that another store had, with the bytes that it had there: it is kept. 0: Plan chooses. Conflict/Version when the name
	// has a newer one, or that.
	As object.VersionID

	// Share makes the share of the path from the one before (zero without a visible predecessor); nil: Version takes that over. It is pure.
	Share func(before object.Share) object.Share

	// Target is the version to remove or amend.
	Target Which

	// Amend changes what may be amended (ACL, Tags, Retention, LegalHold, Encryption, Share; RootHash where none was known) on a copy of the
	// target. It may be called several times and returns an error to give up.
	Amend func(v *object.Version) error

	// Retain, if set, gives Version the retention that it does not bring itself, counted from the version's own time, which a clock that
	// was put back does not make earlier than that of the version before. It is pure.
	Retain func(made time.Time) object.Retention

	// Bypass allows dropping a version under governance retention.
	Bypass bool

	// Upload finishes this upload: it and its parts vanish in the same step, and it is remembered as completed.
	Upload string

	// Source is the version whose holder Version.Content shares (copy by reference). It must still stand.
	Source *Source

	// Limits are the quotas that hold for this change.
	Limits Limits
}

// Op is what a change does.
type Op uint8

// The operations of a change.
const (
	Put    Op = iota // add Version
	Remove           // forget the version that Target names, for good
	Amend            // amend the version that Target names
)

// Source names a version by where it is.
type Source struct {
	Container naming.ContainerID
	Name      naming.ObjectName
	ID        object.VersionID
}

// Limits are quotas, checked in the step that changes the counters; zero fields are no limit. A change that does not grow what a
// limit counts is never refused by it.
type Limits struct {
	Account   Limit
	Container Limit
}

// Limit bounds usage; 0 is no limit, less than 0 lets nothing in. Bytes counts Usage.Stored when ChargeHistory, else Usage.Bytes; both with UploadBytes. Objects counts Usage.Objects.
type Limit struct {
	Bytes         int64
	Objects       int64
	ChargeHistory bool
}

// Outcome is what a change did. Summary.Latest is not filled in here.
type Outcome struct {
	Version *object.Version   // put or amended, as stored; nil after Remove
	Dropped []*object.Version // forgotten for good
	Before  *object.Version   // the newest version before the change; nil: none
}

// Uploads is the role that keeps multipart uploads.
type Uploads interface {
	// Begin opens an upload under a key that was never used. Repeating it, before parts are put, is harmless. NotFound/Container when
	// the container is sealed.
	Begin(ctx context.Context, u Upload) error
	// FindUpload finds an open upload, NotFound/Upload otherwise.
	FindUpload(ctx context.Context, k UploadKey) (Upload, error)
	// PutPart stores or replaces a part; its holder becomes named and its intent is used up, the replaced part's loses a name.
	// Errors, the first that applies: NotFound/Container when sealed, NotFound/Upload, Conflict/Holder as for Commit, Quota.
	PutPart(ctx context.Context, k UploadKey, p Part, limits Limits) error
	// Parts calls fn for the parts with a number greater than after, in order, until fn returns false.
	Parts(ctx context.Context, k UploadKey, after int, fn func(Part) bool) error
	// Pending calls fn for the open uploads of a container after the position (name, upload id), ordered by both, until fn
	// returns false. Every upload of a name stands after (name, "").
	Pending(ctx context.Context, container naming.ContainerID, name naming.ObjectName, id string, fn func(Upload) bool) error
	// Abort forgets an open upload and its parts. NotFound/Upload.
	Abort(ctx context.Context, k UploadKey) error
	// Completed tells what a finished upload became. It is remembered for CompletedFor, until the first Reap after that. NotFound/Upload.
	Completed(ctx context.Context, k UploadKey) (Completion, error)
}

// CompletedFor is how long a finished upload is remembered, so that a repeated completion gets the same answer.
const CompletedFor = 7 * 24 * time.Hour

// UploadKey names an upload.
type UploadKey struct {
	Container naming.ContainerID
	Name      naming.ObjectName
	ID        string // sorts by time of initiation within a name; at most 64 bytes of A-Z a-z 0-9 - _ .
}

// Upload is an open multipart upload.
type Upload struct {
	UploadKey
	Account   naming.AccountID // owner of the container
	Initiated time.Time
	Initiator naming.UserID
	// Template carries the properties that the finished version will have: headers, metadata, ACL, tags, owner, storage class.
	Template object.Version
	// Checksum is the algorithm the parts must carry ("" none demanded); FullObject tells how the object's is made.
	Checksum   object.Algorithm
	FullObject bool
}

// Part is a stored part of an open upload.
type Part struct {
	object.Part
	Content object.Content
}

// Completion is what a finished upload became.
type Completion struct {
	Version object.VersionID
	At      time.Time      // Now of the change
	Summary object.Summary // of the version that it became
	Parts   []object.Part  // of that version
}

// Holders is the role that knows which holders are alive. A holder is intended, then named by versions or parts, then dead, then forgotten.
// What is dead or forgotten never comes to life again.
//
// The order for a writer: Intend, then hold blocks in the blobstore (Extend while that lasts), then Commit or PutPart; or Abandon. The
// order for the collector: Reap, then for each dead holder blob.Release, then Forget. It leaves holders that died a short while ago alone,
// so that readers of a replaced version can finish.
type Holders interface {
	// Intend records that h is about to hold blocks. h was never used before; repeating the call before anything else is done with h
	// is harmless. It is on stable storage before, or in the same log as and ahead of, any reference that the writer makes afterwards.
	Intend(ctx context.Context, h block.Holder, in Intent) error
	// Extend gives an intent more time (an earlier time changes nothing). Conflict/Holder when h has no intent any more: the writer must give
	// up, since its references may be gone. That is why it cannot be done with Intend.
	Extend(ctx context.Context, h block.Holder, expires time.Time) error
	// Abandon gives up an intent: h is dead unless something names it. An unknown holder becomes dead too, so that orphans in the
	// blobstore are handed to the collector this way. The zero holder names nobody: nothing happens.
	Abandon(ctx context.Context, h block.Holder) error
	// Reap makes dead every intent that expired at or before now, at most limit of them, and fences it: a Commit that
	// names it fails from now on. It tells how many. It also forgets completions older than CompletedFor.
	Reap(ctx context.Context, now time.Time, limit int) (int, error)
	// Dead lists holders that died at or before until, at most limit, in no order. A holder dies at the Now of the Commit that took its last
	// name. One that no version named last (an intent or part that was given up) has no readers and died at the zero time.
	Dead(ctx context.Context, until time.Time, limit int) ([]block.Holder, error)
	// Forget removes dead holders whose references have been released. Others are left as they are.
	Forget(ctx context.Context, holders []block.Holder) error
	// Alive tells for each holder whether it is intended or named. What is neither alive nor dead is unknown: an orphan in the blobstore.
	Alive(ctx context.Context, holders []block.Holder) ([]bool, error)
}

// Intent says for whom a holder is about to hold blocks and how long the writer may take.
type Intent struct {
	Account naming.AccountID
	Expires time.Time
	// Lease keeps the intent over a restart of the process (loose blocks that a client uploads ahead of their hashmap).
	// Otherwise an engine that serves one process may reap it when that process starts again.
	Lease bool
}

// Usage counts what an account or container holds.
type Usage struct {
	Objects     int64 // names that a listing shows
	Bytes       int64 // their sizes
	Versions    int64 // all versions, delete markers included
	Stored      int64 // sizes of all versions
	UploadParts int64 // parts of open uploads
	UploadBytes int64 // their sizes
}

// Add is u + d.
func (u Usage) Add(d Usage) Usage {
	return Usage{
		u.Objects + d.Objects, u.Bytes + d.Bytes, u.Versions + d.Versions, u.Stored + d.Stored,
		u.UploadParts + d.UploadParts, u.UploadBytes + d.UploadBytes,
	}
}

// Neg is -u.
func (u Usage) Neg() Usage {
	return Usage{-u.Objects, -u.Bytes, -u.Versions, -u.Stored, -u.UploadParts, -u.UploadBytes}
}

// Tally is the role that counts. Counters equal the sums over the versions and parts (I7).
type Tally interface {
	// AccountUsage is the usage of an account; zero for one that never stored anything.
	AccountUsage(ctx context.Context, account naming.AccountID) (Usage, error)
	// ContainerUsage is the usage of a container.
	ContainerUsage(ctx context.Context, container naming.ContainerID) (Usage, error)
}

// Containers is the role that ends the life of containers. Unknown containers are open.
type Containers interface {
	// Seal refuses every later Commit that puts, Begin and PutPart with NotFound/Container. When it returns, no such call
	// that it did not refuse is still to take effect.
	Seal(ctx context.Context, container naming.ContainerID) error
	// Unseal opens the container again, unless it was dropped: then nothing happens.
	Unseal(ctx context.Context, container naming.ContainerID) error
	// Empty reports whether the container has neither versions nor, unless ignoreUploads, open uploads.
	Empty(ctx context.Context, container naming.ContainerID, ignoreUploads bool) (bool, error)
	// Drop forgets whatever is left of a sealed container: open uploads, counters, indexes. The seal stays for good.
	// Repeating it is harmless. NotEmpty when it has versions, Conflict/Container when it is not sealed.
	Drop(ctx context.Context, container naming.ContainerID, account naming.AccountID) error
}

// Indexes is the role that finds versions by time.
type Indexes interface {
	// Changes calls fn for the versions of a container that still stand, in the order of (ID, Name), from the position
	// after (id, name) on, until fn returns false. Lifecycle and sync read it.
	Changes(ctx context.Context, container naming.ContainerID, id object.VersionID, name naming.ObjectName, fn func(Changed) bool) error
	// Due calls fn for the versions (not only newest ones) whose Expires is at or before until, in order of that time, at most limit of
	// them, until fn returns false.
	Due(ctx context.Context, until time.Time, limit int, fn func(DueVersion) bool) error
}

// Changed is an entry of the index of changes.
type Changed struct {
	ID   object.VersionID
	Name naming.ObjectName
	Kind object.Kind
}

// DueVersion is an entry of the expiry index.
type DueVersion struct {
	Container naming.ContainerID
	Account   naming.AccountID
	Name      naming.ObjectName
	ID        object.VersionID
	Expires   time.Time
}

// Regional is the ability of a metastore to keep containers in regions, each of which has a metastore of its own. A store without it is one region.
//
// Where a container lives stands in its id, and where a holder does in its own, so that every call of Store finds its way by its arguments.
type Regional interface {
	// NewContainer draws an id for a container that is to live in a region; "" is the default one. Invalid, reason BadRegion, when there is none of that name.
	NewContainer(region string) (naming.ContainerID, error)
	// NewHolder draws a holder for what is written into a container. Those of other regions cannot be named there.
	NewHolder(container naming.ContainerID) block.Holder
	// Together reports whether a version in one of the containers may share the holder of a version in the other (Change.Source).
	Together(a, b naming.ContainerID) bool
	// Regions lists the names of the regions, the default one first.
	Regions() []string
}
