package embedded_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"pithos/internal/block"
	"pithos/internal/engine/embedded"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// smallDisk is a file system with so many bytes of space.
type smallDisk struct {
	vfs.FS
	mu   sync.Mutex
	size int64            // guarded by mu, like what follows
	used map[string]int64 // by path
}

func newSmallDisk(size int64) *smallDisk {
	return &smallDisk{FS: vfs.NewMem(), size: size, used: map[string]int64{}}
}

func (d *smallDisk) sum() (n int64) {
	for _, u := range d.used {
		n += u
	}
	return n
}

// resize sets the size so that so many bytes are free, as if somebody else used the disk.
func (d *smallDisk) resize(free int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size = d.sum() + free
}

func (d *smallDisk) grow(path string, end int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	more := end - d.used[path]
	if more <= 0 {
		return nil
	}
	if d.sum()+more > d.size {
		return fmt.Errorf("%s: %w", path, syscall.ENOSPC)
	}
	d.used[path] = end
	return nil
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	used := d.sum()
	return vfs.DiskUsage{AvailBytes: uint64(max(0, d.size-used)), TotalBytes: uint64(d.size), UsedBytes: uint64(used)}, nil
}

func (d *smallDisk) Create(path string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(path, c)
	return &diskFile{File: f, disk: d, path: path}, err
}

func (d *smallDisk) OpenReadWrite(path string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(path, c, o...)
	return &diskFile{File: f, disk: d, path: path}, err
}

func (d *smallDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, c)
	d.move(from, to)
	return &diskFile{File: f, disk: d, path: to}, err
}

func (d *smallDisk) Rename(from, to string) error {
	defer d.move(from, to)
	return d.FS.Rename(from, to)
}

func (d *smallDisk) move(from, to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used[to] = d.used[from]
	delete(d.used, from)
}

func (d *smallDisk) Remove(path string) error {
	err := d.FS.Remove(path)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		delete(d.used, path)
	}
	return err
}

type diskFile struct {
	vfs.File
	disk *smallDisk
	path string
	pos  int64
}

func (f *diskFile) Write(p []byte) (int, error) {
	if err := f.disk.grow(f.path, f.pos+int64(len(p))); err != nil {
		return 0, err
	}
	n, err := f.File.Write(p)
	f.pos += int64(n)
	return n, err
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.grow(f.path, off+int64(len(p))); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *diskFile) Preallocate(off, n int64) error { return f.disk.grow(f.path, off+n) }

// filler puts random blocks of many sizes until the store refuses.
type filler struct {
	rng  *rand.Rand
	hold blob.Hold
	data map[block.ID][]byte
}

func newFiller(seed uint64) *filler {
	return &filler{rand.New(rand.NewPCG(seed, 3)), blob.Hold{Holder: block.NewHolder(), Account: "a"}, map[block.ID][]byte{}}
}

func (f *filler) put(t *testing.T, s blob.Store) error {
	data := make([]byte, 1+f.rng.IntN(8<<10))
	for i := range data {
		data[i] = byte(1 + f.rng.IntN(255))
	}
	id := block.Sum(data)
	err := s.Put(t.Context(), f.hold, id, data)
	if err == nil {
		f.data[id] = data
	}
	return err
}

func (f *filler) fill(t *testing.T, s blob.Store) error {
	for range 100_000 {
		if err := f.put(t, s); err != nil {
			return err
		}
	}
	return errors.New("the disk does not get full")
}

func (f *filler) verify(t *testing.T, s blob.Store) {
	t.Helper()
	for id, data := range f.data {
		if err := wantBlock(t.Context(), s, id, data); err != nil {
			t.Fatal(err)
		}
	}
}

func wantFull(t *testing.T, err error) {
	t.Helper()
	if !errs.Is(err, errs.Full) {
		t.Fatalf("got %v, want Full", err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull fills a small disk, alone and by the hand of somebody else, and wants refusals, reads and deletions to go on, and writing to
// go on when there is space again.
func TestDiskFull(t *testing.T) {
	disk := newSmallDisk(12 << 20)
	e := open(t, "data", embedded.Options{
		FS: disk, InlineMax: 2 << 10, PackSize: 1 << 20,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	s := e.Blobs()
	first := newFiller(1)
	wantFull(t, first.fill(t, s))
	_, err := s.Hold(t.Context(), first.hold, []block.ID{block.Sum([]byte("new"))})
	wantFull(t, err)
	ok(t, s.Sync(t.Context()))
	first.verify(t, s)

	// Somebody else takes the rest, reserve and all. The ballast must do for what deletions write.
	disk.resize(0)
	wantFull(t, first.put(t, s))
	change := meta.Change{Account: "a", Name: "n", Now: time.Unix(1e9, 0), Version: version(block.Holder{}, nil)}
	_, err = e.Meta().Commit(t.Context(), change)
	wantFull(t, err)
	change.Version.Kind = object.DeleteMarker
	_, err = e.Meta().Commit(t.Context(), change)
	ok(t, err)
	change.Op = meta.Remove
	_, err = e.Meta().Commit(t.Context(), change)
	ok(t, err)
	ok(t, s.Release(t.Context(), []block.Holder{first.hold.Holder}))
	ok(t, s.Sync(t.Context()))
	ok(t, sweepAll(t.Context(), s))
	freed := int64(0)
	for range 20 {
		n, err := s.(blob.Compactor).Compact(t.Context())
		ok(t, err)
		freed += n
	}
	if _, err := disk.Stat("data/BALLAST"); err == nil {
		t.Error("the ballast was not given up")
	}
	if freed < 4<<20 {
		t.Errorf("compaction freed %d bytes", freed)
	}

	disk.resize(12 << 20)
	second := newFiller(2)
	wantFull(t, second.fill(t, s))
	second.verify(t, s)
	if len(second.data) < len(first.data)/2 {
		t.Errorf("after space returned %d blocks fitted, before %d", len(second.data), len(first.data))
	}
	if _, err := disk.Stat("data/BALLAST"); err != nil {
		t.Errorf("no new ballast was set aside: %v", err)
	}
}

// TestPackWriteFails wants a Put that meets a full disk to fail with Full and to leave nothing broken behind.
func TestPackWriteFails(t *testing.T) {
	var fail atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if fail.Load() && strings.Contains(op.Path, "packs") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	s := open(t, "data", embedded.Options{FS: fs, InlineMax: 1, PackSize: 20 << 10}).Blobs()
	f := newFiller(3)
	for range 10 {
		ok(t, f.put(t, s))
		fail.Store(true)
		wantFull(t, f.put(t, s))
		fail.Store(false)
	}
	ok(t, s.Sync(t.Context()))
	f.verify(t, s)
}

// TestLostBlocks wants that after a failed fsync no Sync succeeds while somebody still holds a block that was lost by it.
func TestLostBlocks(t *testing.T) {
	var fail atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if fail.Load() && strings.Contains(op.Path, "packs") && op.Kind == errorfs.OpFileSyncData {
			return syscall.EIO
		}
		return nil
	}))
	s := open(t, "data", embedded.Options{FS: fs, InlineMax: 1}).Blobs()
	lost, other := newFiller(4), newFiller(5)
	ok(t, lost.put(t, s))
	fail.Store(true)
	if err := s.Sync(t.Context()); !errs.Is(err, errs.Internal) {
		t.Fatalf("failed fsync: %v", err)
	}
	fail.Store(false)
	ok(t, other.put(t, s))
	if err := s.Sync(t.Context()); !errs.Is(err, errs.Internal) {
		t.Fatalf("a lost block is held, but Sync says %v", err)
	}
	for id, data := range lost.data {
		if missing, err := s.Hold(t.Context(), other.hold, []block.ID{id}); err != nil || len(missing) != 1 {
			t.Errorf("missing %v, error %v", missing, err)
		}
		ok(t, s.Put(t.Context(), other.hold, id, data))
	}
	ok(t, s.Sync(t.Context()))
	lost.verify(t, s)
	other.verify(t, s)

	// Or its holder gives up.
	given := newFiller(6)
	ok(t, given.put(t, s))
	fail.Store(true)
	if err := s.Sync(t.Context()); err == nil {
		t.Fatal("failed fsync")
	}
	fail.Store(false)
	ok(t, s.Release(t.Context(), []block.Holder{given.hold.Holder}))
	ok(t, s.Sync(t.Context()))
}
