package segment

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// Options tune a Store. Zero fields take the defaults.
type Options struct {
	PackSize  int64 // a pack that has grown to this is closed for appending; default 512 MiB
	Writers   int   // packs that are appended to at once, at most; default 2
	OpenFiles int   // packs kept open for reading, about; default 256
	ReadOnly  bool  // nothing is appended; Append fails with Closed
}

const (
	packSizeDefault  = 512 << 20
	writersDefault   = 2
	openFilesDefault = 256
	packSuffix       = ".pack"
	// writebackMin is the size from which the disk is set to work on a block at once, so that Sync has less to wait for.
	writebackMin = 256 << 10
)

// ErrGone says that the pack was removed: the block has moved or was deleted, look it up again.
var ErrGone = errors.New("segment: the pack is gone")

// Store is a directory of packs. All methods are safe for concurrent use.
type Store struct {
	fs   vfs.FS
	dir  string
	opts Options

	mu     sync.RWMutex
	packs  map[uint64]*pack
	active []*pack // appended to
	next   uint64  // number of the next pack
	open   []*pack // with an open file
	closed bool

	tick atomic.Int64 // counts uses, for choosing which file to close

	scratch scratchPool

	dirtyMu sync.Mutex
	dirty   []*pack // with bytes written since their last fsync
}

// Open reads the directory, which must exist. It looks at names and sizes only, so its cost does not depend on the number of blocks.
// next is the lowest number that a new pack may have.
func Open(fs vfs.FS, dir string, next uint64, opts Options) (*Store, error) {
	if opts.PackSize <= 0 {
		opts.PackSize = packSizeDefault
	}
	if opts.Writers <= 0 {
		opts.Writers = writersDefault
	}
	if opts.OpenFiles <= 0 {
		opts.OpenFiles = openFilesDefault
	}
	s := &Store{fs: fs, dir: dir, opts: opts, packs: map[uint64]*pack{}, next: max(next, 1)}
	names, err := fs.List(dir)
	if err != nil {
		return nil, errs.Wrap("segment.Open", errs.Internal, err)
	}
	for _, name := range names {
		number, ok := parsePackName(name)
		if !ok {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			return nil, errs.Wrap("segment.Open", errs.Internal, err)
		}
		p := &pack{number: number, path: fs.PathJoin(dir, name)}
		p.end.Store(info.Size())
		s.packs[number] = p
		s.next = max(s.next, number+1)
	}
	if !opts.ReadOnly {
		s.reuse()
	}
	return s, nil
}

// reuse goes on appending to the newest packs that are not full, so that every start does not leave a small pack behind. What a crash
// left at their end stays there, dead.
func (s *Store) reuse() {
	for number := s.next - 1; number > 0 && len(s.active) < s.opts.Writers; number-- {
		p := s.packs[number]
		if p == nil || p.end.Load() >= s.opts.PackSize {
			return
		}
		f, err := s.fs.OpenReadWrite(p.path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return // a new pack will do
		}
		header := make([]byte, packHeaderLen)
		if readFull(f, header, 0) != nil || !validPackHeader(header, number) {
			_ = f.Close()
			return
		}
		p.end.Store((p.end.Load() + alignment - 1) &^ (alignment - 1))
		p.file = f
		s.active, s.open = append(s.active, p), append(s.open, p)
	}
}

func packName(number uint64) string { return fmt.Sprintf("%016x%s", number, packSuffix) }

func parsePackName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, packSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil && number > 0
}

// PackInfo describes a pack.
type PackInfo struct {
	Number uint64
	Size   int64 // of the file
	Active bool  // it may still grow
	Busy   bool  // somebody writes to it
}

// Packs lists the packs by number.
func (s *Store) Packs() []PackInfo {
	s.mu.RLock()
	defer s.mu.RUnlock()
	infos := make([]PackInfo, 0, len(s.packs))
	for _, p := range s.packs {
		infos = append(infos, PackInfo{Number: p.number, Size: p.end.Load(), Active: slices.Contains(s.active, p), Busy: p.writers.Load() > 0})
	}
	slices.SortFunc(infos, func(a, b PackInfo) int { return cmp.Compare(a.Number, b.Number) })
	return infos
}

// Seal closes a pack for appending. Writes that are under way go on.
func (s *Store) Seal(number uint64) { s.abandon([]uint64{number}) }

// Remove deletes a pack when its last reader leaves. The pack must not be active. Reads that begin afterwards fail with ErrGone.
func (s *Store) Remove(number uint64) error {
	s.mu.Lock()
	p := s.packs[number]
	if p == nil || slices.Contains(s.active, p) {
		s.mu.Unlock()
		return errs.E("segment.Remove", errs.Conflict, errs.Store, packName(number))
	}
	delete(s.packs, number)
	s.forgetOpen(p)
	s.mu.Unlock()
	return p.doom(s.fs)
}

// Close closes all files. Nothing may be under way.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var first error
	for _, p := range s.packs {
		if err := p.close(); err != nil && first == nil {
			first = err
		}
	}
	s.packs, s.active, s.open = nil, nil, nil
	if first != nil {
		return errs.Wrap("segment.Close", errs.Internal, first)
	}
	return nil
}

// acquire finds a pack and keeps its file open until the caller releases it.
func (s *Store) acquire(number uint64) (*pack, error) {
	s.mu.RLock()
	p := s.packs[number]
	s.mu.RUnlock()
	if p == nil {
		return nil, ErrGone
	}
	opened, err := p.acquire(s.fs, s.tick.Add(1))
	if err != nil {
		return nil, err
	}
	if opened {
		s.opened(p)
	}
	return p, nil
}

// opened notes that p has an open file and closes others that have not been used for long, when there are too many.
func (s *Store) opened(p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packs[p.number] != p || slices.Contains(s.open, p) {
		return
	}
	s.open = append(s.open, p)
	s.trim(p)
}

// trim closes files that have not been used for longest until few enough are open. It keeps active packs, those that somebody uses or
// that wait for an fsync, and keep. mu is held.
func (s *Store) trim(keep *pack) {
	if len(s.open) <= s.opts.OpenFiles {
		return
	}
	byUse := slices.Clone(s.open)
	slices.SortFunc(byUse, func(a, b *pack) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
	for _, p := range byUse {
		if len(s.open) <= s.opts.OpenFiles {
			return
		}
		if p != keep && !slices.Contains(s.active, p) && p.closeIdle() {
			s.forgetOpen(p)
		}
	}
}

// forgetOpen takes p from the list of open files. mu is held.
func (s *Store) forgetOpen(p *pack) {
	if i := slices.Index(s.open, p); i >= 0 {
		s.open = slices.Delete(s.open, i, i+1)
	}
}

// Append writes a block into one of the active packs and tells note where it lies; while note runs, Packs shows the pack as busy. The
// block can be read from then on; it is on stable storage after the next Sync that returns nil and does not name its pack as failed.
// data has 1..block.SizeMax bytes.
func (s *Store) Append(id block.ID, data []byte, note func(Place)) error {
	if len(data) == 0 || len(data) > block.SizeMax {
		return errs.E("segment.Append", errs.Invalid, errs.Block, id.String())
	}
	place := Place{Length: uint32(len(data)), Sums: SumsOf(data)}
	p, err := s.reserve(&place)
	if err != nil {
		return err
	}
	defer p.release(s.fs)
	defer p.writers.Add(-1)
	err = p.write(id, place, data)
	s.soiled(p) // before note: what is noted is fsynced by the next Sync
	if err != nil {
		return wrapWrite("segment.Append", err)
	}
	note(place)
	return nil
}

// reserve gives place a range of an active pack, which is kept open for the caller.
func (s *Store) reserve(place *Place) (*pack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.opts.ReadOnly {
		return nil, errs.E("segment.Append", errs.Closed, errs.Store, "")
	}
	need := place.RecordLen()
	var best *pack
	for _, p := range s.active {
		if best == nil || p.writers.Load() < best.writers.Load() {
			best = p
		}
	}
	if best == nil || best.writers.Load() > 0 && len(s.active) < s.opts.Writers {
		p, err := s.create()
		if err != nil {
			return nil, err
		}
		best = p
	}
	place.Pack, place.Offset = best.number, best.end.Load()
	best.end.Add(need)
	best.writers.Add(1)
	best.retain(s.tick.Add(1))
	if best.end.Load() >= s.opts.PackSize {
		s.active = slices.DeleteFunc(s.active, func(p *pack) bool { return p == best })
	}
	return best, nil
}

// create begins a new pack: its name is on stable storage before any record of it can be promised. mu is held.
func (s *Store) create() (*pack, error) {
	path := s.fs.PathJoin(s.dir, packName(s.next))
	f, err := s.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, wrapWrite("segment.Append", err)
	}
	p := &pack{number: s.next, path: path, file: f}
	if _, err = f.WriteAt(encodePackHeader(p.number), 0); err == nil {
		err = SyncDir(s.fs, s.dir)
	}
	if err != nil {
		_ = f.Close()
		_ = s.fs.Remove(path) // an empty pack that stays is removed by compaction
		return nil, wrapWrite("segment.Append", err)
	}
	s.next++
	p.end.Store(packHeaderLen)
	s.packs[p.number] = p
	s.active = append(s.active, p)
	s.open = append(s.open, p)
	s.trim(p)
	return p, nil
}

// SyncDir puts the names in a directory on stable storage.
func SyncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// wrapWrite gives a failed write its kind.
func wrapWrite(op string, err error) error {
	if vfs.IsNoSpaceError(err) || errors.Is(err, syscall.EDQUOT) {
		return errs.Wrap(op, errs.Full, err)
	}
	return errs.Wrap(op, errs.Internal, err)
}

// Sync puts everything on stable storage whose Append returned before Sync was called. Packs whose fsync failed are named in
// failed, with an error; they are closed for appending, and whatever of them was not synced before must be taken for lost, since a
// repeated fsync would not report the failure again. It must not be called while another Sync runs: that one may have taken up
// what this call has to wait for.
func (s *Store) Sync() (failed []uint64, err error) {
	s.dirtyMu.Lock()
	dirty := s.dirty
	s.dirty = nil
	s.dirtyMu.Unlock()
	results := make([]error, len(dirty))
	var wg sync.WaitGroup
	for i := 1; i < len(dirty); i++ {
		wg.Go(func() { results[i] = dirty[i].sync(s.fs) })
	}
	if len(dirty) > 0 {
		results[0] = dirty[0].sync(s.fs)
	}
	wg.Wait()
	for i, e := range results {
		if e != nil {
			failed = append(failed, dirty[i].number)
			err = errors.Join(err, e)
		}
	}
	if err == nil {
		return nil, nil
	}
	s.abandon(failed)
	return failed, wrapWrite("segment.Sync", err)
}

// soiled notes that p has bytes that are not on stable storage.
func (s *Store) soiled(p *pack) {
	if p.dirty.Swap(true) {
		return
	}
	s.dirtyMu.Lock()
	s.dirty = append(s.dirty, p)
	s.dirtyMu.Unlock()
}

// abandon closes packs for appending.
func (s *Store) abandon(numbers []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = slices.DeleteFunc(s.active, func(p *pack) bool {
		return slices.Contains(numbers, p.number)
	})
}
