package segment

import (
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// pack is one file of records.
type pack struct {
	number  uint64
	path    string
	end     atomic.Int64 // where the next record goes; changed under Store.mu
	writers atomic.Int32 // ranges being written
	used    atomic.Int64 // Store.tick at the last use
	dirty   atomic.Bool  // written to since the last fsync; then it stands in Store.dirty

	// mu guards what follows. No I/O but opening, closing and removing the file is done while holding it.
	mu     sync.Mutex
	file   vfs.File // nil: not open
	refs   int      // users of file
	doomed bool     // removed when refs falls to zero
	gone   bool
}

// acquire opens the file if need be and keeps it open until release.
func (p *pack) acquire(fs vfs.FS, tick int64) (opened bool, err error) {
	p.used.Store(tick)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doomed || p.gone {
		return false, ErrGone
	}
	if p.file == nil {
		f, err := fs.Open(p.path)
		if err != nil {
			return false, errs.Wrap("segment.acquire", errs.Internal, err)
		}
		p.file, opened = f, true
	}
	p.refs++
	return opened, nil
}

// retain keeps the open file of an active pack open until release.
func (p *pack) retain(tick int64) {
	p.used.Store(tick)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refs++
}

func (p *pack) release(fs vfs.FS) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refs--
	if p.refs == 0 && p.doomed {
		_ = p.removeLocked(fs) // what stays is found by the next compaction, with nothing alive in it
	}
}

// doom removes the file now, or when its last user leaves.
func (p *pack) doom(fs vfs.FS) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doomed = true
	if p.refs > 0 {
		return nil
	}
	return p.removeLocked(fs)
}

func (p *pack) removeLocked(fs vfs.FS) error {
	p.gone = true
	if p.file != nil {
		_ = p.file.Close() // nothing of it is wanted any more
		p.file = nil
	}
	if err := fs.Remove(p.path); err != nil {
		return errs.Wrap("segment.Remove", errs.Internal, err)
	}
	return nil
}

// closeIdle closes the file unless somebody uses it or it waits for an fsync.
func (p *pack) closeIdle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refs > 0 || p.dirty.Load() || p.file == nil {
		return false
	}
	_ = p.file.Close() // everything in it was synced
	p.file = nil
	return true
}

func (p *pack) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	return err
}

// write fills the range that was reserved for place. The caller has retained the pack.
func (p *pack) write(id block.ID, place Place, data []byte) error {
	header := appendRecordHeader(make([]byte, 0, headerLen(int64(len(data)))), id, place)
	if _, err := p.file.WriteAt(header, place.Offset); err != nil {
		return err
	}
	if _, err := p.file.WriteAt(data, place.dataAt()); err != nil {
		return err
	}
	if len(data) >= writebackMin {
		startWriteback(p.file, place.Offset, place.RecordLen())
	}
	return nil
}

// sync puts the bytes of the pack on stable storage.
func (p *pack) sync(fs vfs.FS) error {
	p.mu.Lock()
	if p.file == nil || p.gone {
		p.mu.Unlock()
		return errs.E("segment.Sync", errs.Closed, errs.Store, p.path)
	}
	f := p.file
	p.refs++
	p.mu.Unlock()
	defer p.release(fs)
	p.dirty.Store(false) // before the fsync: what is written from now on counts for the next one
	return f.SyncData()
}
