package embedded

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/errs"
)

// space watches over the free space of the disk, because Pebble cannot go on when its log cannot be written.
//
// New data is refused while less than the reserve is free, so that deletions, the log and compactions always find room. Should
// somebody else fill the disk, the ballast is given up: the write that failed is repeated with its space.
type space struct {
	fs      vfs.FS
	dir     string
	reserve int64 // bytes that new data must leave free
	ballast int64 // bytes of the ballast file
	log     *slog.Logger

	// credit is how many bytes may be admitted before the disk is asked again.
	credit atomic.Int64

	mu      sync.Mutex // one asks the disk at a time
	full    bool       // the last answer; guarded by mu
	dropped atomic.Bool
}

const (
	reserveDefault = 192 << 20 // two memtables, a log, and some
	ballastDefault = 32 << 20
	// creditMax bounds how much is admitted without asking the disk.
	creditMax = 32 << 20
	// admitOverhead is what an admitted block takes besides its bytes, about.
	admitOverhead = 1 << 10
	// smallest share of a small disk that is kept free.
	reserveShare = 8
	ballastName  = "BALLAST"
)

func newSpace(fsys vfs.FS, dir string, reserve int64, log *slog.Logger) *space {
	s := &space{fs: fsys, dir: dir, reserve: reserve, ballast: ballastDefault, log: log}
	if s.reserve <= 0 {
		s.reserve = reserveDefault
	}
	if usage, err := fsys.GetDiskUsage(dir); err == nil {
		s.reserve = min(s.reserve, int64(usage.TotalBytes/reserveShare))
		s.ballast = min(s.ballast, s.reserve/2)
	}
	_, err := fsys.Stat(s.ballastPath())
	s.dropped.Store(err != nil) // then it is set aside when the disk is asked for the first time and has room
	return s
}

// guard is the file system for Pebble: when it is full, the ballast makes room and the write is repeated.
func (s *space) guard() vfs.FS {
	return vfs.OnDiskFull(s.fs, func() {
		if !s.dropped.Swap(true) {
			s.credit.Store(0)
			_ = s.fs.Remove(s.ballastPath()) // without it there is nothing left to do
		}
	})
}

func (s *space) ballastPath() string { return s.fs.PathJoin(s.dir, ballastName) }

// stow sets the ballast aside. A file system that cannot allocate ahead has none.
func (s *space) stow() {
	f, err := s.fs.OpenReadWrite(s.ballastPath(), vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Preallocate(0, s.ballast), f.Close())
	}
	if err != nil {
		s.log.Warn("no ballast could be set aside for a full disk", "error", err)
	}
	s.dropped.Store(false)
}

// admit refuses with Full when n more bytes would not leave the reserve free.
func (s *space) admit(n int64) error {
	if s.credit.Add(-n-admitOverhead) >= 0 {
		return nil
	}
	return s.ask(n)
}

func (s *space) ask(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		s.credit.Store(creditMax) // it cannot tell: the write itself will
		return nil
	}
	free := int64(min(usage.AvailBytes, 1<<62)) - s.reserve - n
	if s.full {
		free -= s.reserve / 8 // so that it does not change its mind with every block that goes
	}
	if s.dropped.Load() {
		if free -= s.ballast; free >= 0 {
			s.stow()
		}
	}
	if free < 0 {
		s.credit.Store(0)
		if !s.full {
			s.log.Error("the disk is full: new data is refused", "dir", s.dir, "available", usage.AvailBytes, "reserve", s.reserve)
		}
		s.full = true
		return errs.E("embedded.admit", errs.Full, errs.Store, "").Because("", "there is no space left for new data")
	}
	if s.full {
		s.log.Info("there is space again: new data is accepted", "dir", s.dir, "available", usage.AvailBytes)
	}
	s.full = false
	s.credit.Store(min(free/2, creditMax))
	return nil
}

// refuses is 1 when the last answer was a refusal, else 0.
func (s *space) refuses() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return 1
	}
	return 0
}
