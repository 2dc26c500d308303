package embedded

import (
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/clock"
	"pithos/internal/engine/embedded/blobs"
	"pithos/internal/engine/embedded/metadata"
	"pithos/internal/engine/embedded/names"
	"pithos/internal/engine/embedded/segment"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// KeepMax is up to how many bytes the body of an object is best kept with its version here (see block.Map.Kept): it then costs one row more in the batch of
// its version, where a block takes a row of its own, two of references, and the intent and the state of a holder.
const KeepMax = 8 << 10

// Options tune an Engine. Zero fields take the defaults.
type Options struct {
	FS    vfs.FS       // default: the operating system's
	Clock clock.Clock  // default: the system's
	Log   *slog.Logger // default: none

	// Fatal is called once when the process cannot go on: the log could not be written, and what is in memory may never be on
	// disk. It should end the process without running anything else; a restart finds everything that was answered. The goroutine that calls it
	// never goes on. Default: a panic that nothing recovers.
	Fatal func(error)

	CacheBytes   int64 // of Pebble's blocks; default 64 MiB
	ReserveBytes int64 // free space below which new data is refused; default 192 MiB, at most an eighth of the disk

	InlineMax    int   // largest block kept inside Pebble; default 32 KiB
	PackSize     int64 // default 512 MiB
	PackWriters  int   // packs appended to at once; default 2
	OpenPacks    int   // packs kept open for reading; default 256
	CompactBelow int   // live share of a pack, in percent, under which it is compacted; default 50

	// ForeignMeta and ForeignBlobs say that the metastore, or the blobstore, that is used with this engine's other stores lies elsewhere. When both
	// lie here they share one log, and a small object costs one fsync; else each syncs for itself.
	ForeignMeta, ForeignBlobs bool
}

// Engine is an open data directory.
type Engine struct {
	mu     sync.RWMutex // guards closed; read-locked by who looks into parts that have no gate of their own
	closed bool

	lock    io.Closer
	db      *pebble.DB
	segs    *segment.Store
	space   *space
	blobs   *blobs.Store
	meta    *metadata.Store
	buckets *names.Buckets
	keys    *names.Keys
}

// Open opens the data directory dir and makes it if need be. Its cost does not depend on how much is stored.
//
// Errors: Busy (another process has it open), Unsupported (written by a newer program), Corrupt, Full, Internal.
func Open(dir string, opts Options) (*Engine, error) {
	opts = opts.withDefaults()
	if err := makeDir(opts.FS, dir); err != nil {
		return nil, errs.Wrap("embedded.Open", errs.Internal, err)
	}
	lock, err := lockDir(opts.FS, dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{lock: lock}
	if err := e.open(dir, opts); err != nil {
		return nil, errs.Wrap("embedded.Open", errs.Internal, errors.Join(err, e.Close()))
	}
	return e, nil
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) {
			go panic(err) // in a goroutine of its own, where no handler recovers it
		}
	}
	return o
}

func (e *Engine) open(dir string, opts Options) error {
	meta, packs := opts.FS.PathJoin(dir, metaName), opts.FS.PathJoin(dir, packsName)
	// Whoever finds FORMAT finds the packs' directory too, and whoever finds rows finds FORMAT.
	if err := makeDir(opts.FS, packs); err != nil {
		return err
	}
	if err := checkFormat(opts.FS, dir, true); err != nil {
		return err
	}
	if err := makeDir(opts.FS, meta); err != nil {
		return err
	}
	e.space = newSpace(opts.FS, dir, opts.ReserveBytes, opts.Log)
	fatal := func(err error) {
		opts.Log.Error("the engine cannot go on", "error", err)
		opts.Fatal(err)
	}
	var err error
	if e.db, err = pebble.Open(meta, pebbleOptions(orderedFS{e.space.guard()}, opts.CacheBytes, opts.Log, fatal)); err != nil {
		return err
	}
	next, err := blobs.NextPack(e.db)
	if err != nil {
		return err
	}
	e.segs, err = segment.Open(opts.FS, packs, next, segment.Options{
		PackSize: opts.PackSize, Writers: opts.PackWriters, OpenFiles: opts.OpenPacks,
	})
	if err != nil {
		return err
	}
	e.blobs, err = blobs.New(e.db, e.segs, blobs.Options{
		Clock: opts.Clock, Log: opts.Log, InlineMax: opts.InlineMax, SharedLog: !opts.ForeignMeta,
		Admit: e.space.admit, CompactBelow: opts.CompactBelow,
	})
	if err != nil {
		return err
	}
	if e.meta, err = metadata.New(e.db, metadata.Options{SharedLog: !opts.ForeignBlobs, Admit: e.space.admit}); err != nil {
		return err
	}
	if e.buckets, err = names.NewBuckets(e.db); err != nil {
		return err
	}
	e.keys, err = names.NewKeys(e.db)
	return err
}

// Blobs is the blobstore.
func (e *Engine) Blobs() blob.Store { return e.blobs }

// Meta is the metastore.
func (e *Engine) Meta() meta.Store { return e.meta }

// Buckets is the bucketstore.
func (e *Engine) Buckets() bucket.Store { return e.buckets }

// Keys is the keystore.
func (e *Engine) Keys() key.Store { return e.keys }

// Close waits for running operations, closes all stores and gives the directory free. Nothing that was answered depends on it. Repeating it
// is harmless.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	var err error
	for _, c := range e.closers() {
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return errs.Wrap("embedded.Close", errs.Internal, err)
	}
	return nil
}

// closers are the parts of the engine that were opened, in the order in which they are closed.
func (e *Engine) closers() (all []io.Closer) {
	if e.keys != nil {
		all = append(all, e.keys)
	}
	if e.buckets != nil {
		all = append(all, e.buckets)
	}
	if e.meta != nil {
		all = append(all, e.meta)
	}
	if e.blobs != nil {
		all = append(all, e.blobs)
	}
	if e.segs != nil {
		all = append(all, e.segs)
	}
	if e.db != nil {
		all = append(all, flushing{e.db, e.space})
	}
	return append(all, e.lock)
}

// flushing is a database whose Close leaves no log to be read again, so that the next start is quick. On a full disk, where a flush
// might wait for space for ever, the log stays.
type flushing struct {
	db    *pebble.DB
	space *space
}

func (f flushing) Close() error {
	if f.space.admit(memTableSize) == nil {
		_ = f.db.Flush() // nothing is lost when it fails: the log is still there
	}
	return f.db.Close()
}
