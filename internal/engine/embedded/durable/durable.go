// Package durable writes batches to a shared Pebble so that a failed sync is
// an error and not a lie, and keeps stores open while somebody is inside.
//
// Pebble makes a batch visible as soon as it is in the memtable, before its log
// is synced, and reports a failed sync of Apply by calling Logger.Fatalf: with a
// logger that survives, Apply would return nil for a lost write. So a Log applies
// without waiting and asks the batch for the outcome of its sync itself. After
// the first failure it refuses to write: what the process then sees in memory
// may not be what the disk has, and only a restart can tell.
package durable

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/errs"
)

// Log is the write-ahead log of a Pebble. It is safe for concurrent use.
type Log struct {
	db     *pebble.DB
	failed atomic.Bool
}

// NewLog is the log of db.
func NewLog(db *pebble.DB) *Log { return &Log{db: db} }

// Flight is a batch on its way to stable storage. One goroutine, its pilot, calls Apply and then Land; any other may wait for it.
//
// The two steps let the pilot drop its locks in between: whoever locks next sees the batch, and cannot be durable before it, because
// both are in one log. Who answers from what it read without writing anything must Wait for what it read.
type Flight struct {
	log   *Log
	batch *pebble.Batch
	done  chan struct{}
	err   error // set before done is closed
}

// Prepare makes a flight of a batch, which belongs to it from now on.
func (l *Log) Prepare(b *pebble.Batch) *Flight {
	return &Flight{log: l, batch: b, done: make(chan struct{})}
}

// Apply makes the batch visible and hands it to the log. On an error (Internal: the log has failed) nothing
// happened and Land must not be called.
func (f *Flight) Apply() error {
	err := f.log.check()
	if err == nil {
		err = f.log.db.ApplyNoSyncWait(f.batch, pebble.Sync)
	}
	if err == nil {
		return nil
	}
	_ = f.batch.Close()
	f.land(errs.Wrap("durable.Apply", errs.Internal, err))
	return f.err
}

// Land returns when the batch is on stable storage. Ambiguous: the sync failed; the log takes no more.
func (f *Flight) Land() error {
	if err := f.batch.SyncWait(); err != nil {
		f.log.failed.Store(true)
		f.land(errs.E("durable.Land", errs.Ambiguous, errs.Store, "").With(err))
		return f.err
	}
	_ = f.batch.Close()
	f.batch = nil // Pebble uses it again
	f.land(nil)
	return nil
}

func (f *Flight) land(err error) {
	f.err = err
	close(f.done)
}

// Wait returns when the batch is on stable storage, or ctx ends. Internal: it will not be, so what was read of it must not be answered.
func (f *Flight) Wait(ctx context.Context) error {
	select {
	case <-f.done:
	default:
		select {
		case <-f.done:
		case <-ctx.Done():
			return errs.Wrap("durable.Wait", errs.Canceled, ctx.Err())
		}
	}
	if f.err != nil {
		return errs.E("durable.Wait", errs.Internal, errs.Store, "").With(f.err)
	}
	return nil
}

// Write applies a batch and returns when it is on stable storage.
func (l *Log) Write(b *pebble.Batch) error {
	f := l.Prepare(b)
	if err := f.Apply(); err != nil {
		return err
	}
	return f.Land()
}

// WriteUnsynced applies a batch that the next synced one makes durable.
func (l *Log) WriteUnsynced(b *pebble.Batch) error {
	err := l.check()
	if err == nil {
		err = l.db.Apply(b, pebble.NoSync)
	}
	_ = b.Close()
	if err != nil {
		return errs.Wrap("durable.WriteUnsynced", errs.Internal, err)
	}
	return nil
}

// Sync returns when everything applied before it is on stable storage.
func (l *Log) Sync() error {
	b := l.db.NewBatch()
	_ = b.LogData(nil, nil)
	return l.Write(b)
}

// Get reads a value and copies it; nil when there is none.
func Get(db pebble.Reader, key []byte) ([]byte, error) {
	raw, closer, err := db.Get(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, nil
		}
		return nil, Err("durable.Get", err)
	}
	value := append(make([]byte, 0, len(raw)), raw...)
	return value, Err("durable.Get", closer.Close())
}

// Err says what an error of Pebble means; nil stays nil.
func Err(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case pebble.IsCorruptionError(err):
		return errs.E(op, errs.Corrupt, errs.Store, "").With(err)
	case errors.Is(err, pebble.ErrClosed):
		return errs.E(op, errs.Closed, errs.Store, "").With(err)
	}
	return errs.Wrap(op, errs.Internal, err)
}

func (l *Log) check() error {
	if l.failed.Load() {
		return errs.E("durable.Log", errs.Internal, errs.Store, "").Because("", "the log could not be written; the service must be restarted")
	}
	return nil
}

// Gate keeps a store open while somebody is inside. The zero value is open.
type Gate struct {
	mu     sync.RWMutex // held for writing by Close only
	closed bool
	inside sync.WaitGroup
}

// Enter opens the way in; Leave must follow. Closed after Close.
func (g *Gate) Enter(op string) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return errs.E(op, errs.Closed, errs.Store, "")
	}
	g.inside.Add(1)
	return nil
}

// EnterAgain lets somebody who is inside send another in, even after Close; Leave must follow for both.
func (g *Gate) EnterAgain() { g.inside.Add(1) }

// Leave follows Enter.
func (g *Gate) Leave() { g.inside.Done() }

// Close lets nobody in any more and returns when everybody has left. Repeating it is harmless.
func (g *Gate) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
}
