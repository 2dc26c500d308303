package segment

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"pithos/internal/block"
	"pithos/internal/errs"
)

func newStore(t *testing.T, fs vfs.FS, opts Options) *Store {
	t.Helper()
	if err := fs.MkdirAll("packs", 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(fs, "packs", 1, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func put(t *testing.T, s *Store, data []byte) (p Place) {
	t.Helper()
	if err := s.Append(block.Sum(data), data, func(at Place) { p = at }); err != nil {
		t.Fatal(err)
	}
	return p
}

func wantData(t *testing.T, s *Store, p Place, data []byte) {
	t.Helper()
	got := make([]byte, len(data)+10)
	n, err := s.ReadAt(p, 0, got)
	if err != nil || !bytes.Equal(got[:n], data) {
		t.Errorf("place %d/%d: read %d of %d bytes, error %v", p.Pack, p.Offset, n, len(data), err)
	}
}

func scanAll(t *testing.T, s *Store, pack uint64) (found []Record, gaps []Gap) {
	t.Helper()
	gaps, err := s.Scan(t.Context(), pack, func(r Record) error {
		found = append(found, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, gaps
}

func TestReadsAnyRange(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := newStore(t, vfs.NewMem(), Options{})
	for _, size := range []int{1, 100, ChunkSize - 1, ChunkSize, ChunkSize + 1, 3 * ChunkSize, 5*ChunkSize + 17} {
		data := random(rng, size)
		p := put(t, s, data)
		wantData(t, s, p, data)
		for range 50 {
			off, n := rng.IntN(size+2), rng.IntN(size+10)
			dst := make([]byte, n)
			got, err := s.ReadAt(p, int64(off), dst)
			want := data[min(off, size):min(off+n, size)]
			if err != nil || !bytes.Equal(dst[:got], want) {
				t.Errorf("size %d: range %d+%d gave %d bytes, error %v", size, off, n, got, err)
			}
		}
	}
}

// damage flips a byte of a file.
func damage(t *testing.T, fs vfs.FS, path string, off int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x40
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedChunkIsCorruptAndOthersAreServed(t *testing.T) {
	fs := vfs.NewMem()
	s := newStore(t, fs, Options{})
	data := random(rand.New(rand.NewPCG(3, 4)), 3*ChunkSize+5)
	p := put(t, s, data)
	damage(t, fs, s.packs[p.Pack].path, p.dataAt()+ChunkSize+9)
	for _, r := range []struct {
		off, n int
		bad    bool
	}{
		{0, len(data), true},
		{0, ChunkSize, false},
		{10, 100, false},
		{ChunkSize, 1, true},
		{2*ChunkSize - 1, 1, true},
		{2 * ChunkSize, ChunkSize, false},
		{3*ChunkSize + 1, 4, false},
		{ChunkSize - 1, 2, true},
	} {
		dst := make([]byte, r.n)
		n, err := s.ReadAt(p, int64(r.off), dst)
		if r.bad {
			if !errs.Is(err, errs.Corrupt) {
				t.Errorf("range %d+%d: error %v, want Corrupt", r.off, r.n, err)
			}
		} else if err != nil || !bytes.Equal(dst[:n], data[r.off:r.off+r.n]) {
			t.Errorf("range %d+%d: %d bytes, error %v", r.off, r.n, n, err)
		}
	}
}

// TestScanFindsEverythingIntact damages headers, data and the pack's own header and wants every other record found.
func TestScanFindsEverythingIntact(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 5))
		fs := vfs.NewMem()
		s := newStore(t, fs, Options{Writers: 1})
		var places []Place
		for range 40 {
			size := 1 + rng.IntN(3000)
			if rng.IntN(16) == 0 {
				size = 1 + rng.IntN(scanWindow/2)
			}
			data := random(rng, size)
			if rng.IntN(4) == 0 && len(places) > 0 {
				// Data that holds a whole record, also at a multiple of the alignment.
				inner := appendRecordHeader(nil, block.Sum(data), places[0])
				data = append(append(data[:len(data)&^7], inner...), 1)
			}
			places = append(places, put(t, s, data))
		}
		path := s.packs[places[0].Pack].path
		broken := map[int]bool{}
		for range rng.IntN(10) {
			i := rng.IntN(len(places))
			if !broken[i] {
				damage(t, fs, path, places[i].Offset+rng.Int64N(headerLen(int64(places[i].Length))))
			}
			broken[i] = true
		}
		if rng.IntN(2) == 0 {
			damage(t, fs, path, rng.Int64N(24))
		}
		found, gaps := scanAll(t, s, places[0].Pack)
		if want := len(places) - len(broken); len(found) != want {
			t.Errorf("seed %d: %d records, want %d", seed, len(found), want)
		}
		if (len(broken) > 0) != (len(gaps) > 0) && len(broken) > 0 {
			t.Errorf("seed %d: %d damaged records, gaps %v", seed, len(broken), gaps)
		}
		for _, r := range found {
			i := 0
			for !places[i].Same(r.Place) {
				i++
			}
			if !bytes.Equal(places[i].Sums, r.Place.Sums) || broken[i] {
				t.Errorf("seed %d: record %d differs", seed, i)
			}
		}
	}
}

func TestScanStepsOverHolesAndTornTail(t *testing.T) {
	fs := vfs.NewMem()
	s := newStore(t, fs, Options{Writers: 1})
	rng := rand.New(rand.NewPCG(6, 7))
	a := put(t, s, random(rng, 5000))
	hole := Place{Length: 1<<20 + 5, Sums: SumsOf(make([]byte, 1<<20+5))}
	p, err := s.reserve(&hole) // a writer that never wrote
	if err != nil {
		t.Fatal(err)
	}
	p.writers.Add(-1)
	p.release(fs)
	b := put(t, s, random(rng, 5000))
	torn := Place{Length: 100_000, Sums: SumsOf(make([]byte, 100_000))}
	if p, err = s.reserve(&torn); err != nil {
		t.Fatal(err)
	}
	if _, err := p.file.WriteAt(appendRecordHeader(nil, block.Sum([]byte{1}), torn)[:30], torn.Offset); err != nil {
		t.Fatal(err)
	}
	p.writers.Add(-1)
	p.release(fs)
	found, gaps := scanAll(t, s, a.Pack)
	if len(found) != 2 || !found[0].Place.Same(a) || !found[1].Place.Same(b) {
		t.Errorf("found %d records", len(found))
	}
	if len(gaps) != 1 || gaps[0].Offset < torn.Offset-alignment {
		t.Errorf("gaps %v, want the torn tail only", gaps)
	}
}

func TestAppendsFromManyRotateAndAreFound(t *testing.T) {
	s := newStore(t, vfs.NewMem(), Options{PackSize: 200_000, Writers: 3, OpenFiles: 2})
	var mu sync.Mutex
	all := map[block.ID]Place{}
	bytesOf := map[block.ID][]byte{}
	var wg sync.WaitGroup
	for w := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(w, 8))
			for range 30 {
				data := random(rng, 1+rng.IntN(40_000))
				id := block.Sum(data)
				err := s.Append(id, data, func(p Place) {
					mu.Lock()
					defer mu.Unlock()
					all[id], bytesOf[id] = p, data
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, p := range s.Packs() {
		if p.Busy {
			t.Errorf("pack %d is busy", p.Number)
		}
		found, gaps := scanAll(t, s, p.Number)
		count += len(found)
		if len(gaps) != 0 {
			t.Errorf("pack %d: gaps %v", p.Number, gaps)
		}
	}
	if count != len(all) {
		t.Errorf("%d records, want %d", count, len(all))
	}
	for id, p := range all {
		wantData(t, s, p, bytesOf[id])
	}
	for _, p := range s.Packs() {
		s.Seal(p.Number)
	}
	put(t, s, []byte{1}) // opening a new pack closes old ones
	if n := len(s.open); n > 2+len(s.active) {
		t.Errorf("%d files are open", n)
	}
}

func TestRemoveWaitsForTheLastReader(t *testing.T) {
	fs := vfs.NewMem()
	fs.UseWindowsSemantics(true) // an open file cannot be removed
	s := newStore(t, fs, Options{Writers: 1})
	data := random(rand.New(rand.NewPCG(9, 9)), 1000)
	p := put(t, s, data)
	if _, err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(p.Pack); !errs.Is(err, errs.Conflict) {
		t.Errorf("removing an active pack: %v", err)
	}
	s.Seal(p.Pack)
	reader, err := s.acquire(p.Pack)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(p.Pack); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1000)
	if _, err := reader.file.ReadAt(got, p.dataAt()); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the reader lost its pack: %v", err)
	}
	if _, err := s.ReadAt(p, 0, got); !errors.Is(err, ErrGone) {
		t.Errorf("a new reader: %v", err)
	}
	if _, err := fs.Stat(reader.path); err != nil {
		t.Errorf("removed under its reader: %v", err)
	}
	reader.release(fs)
	if _, err := fs.Stat(reader.path); err == nil {
		t.Error("not removed after its last reader")
	}
}

func TestReopenGoesOnInTheNewestPack(t *testing.T) {
	fs := vfs.NewMem()
	rng := rand.New(rand.NewPCG(10, 10))
	one, two := random(rng, 3001), random(rng, 777)
	s := newStore(t, fs, Options{})
	first := put(t, s, one)
	again := newStore(t, fs, Options{})
	second := put(t, again, two)
	if second.Pack != first.Pack || second.Offset != first.Offset+first.RecordLen() {
		t.Errorf("second record at %d/%d", second.Pack, second.Offset)
	}
	wantData(t, again, first, one)
	wantData(t, again, second, two)
	// A pack whose header is damaged is left alone.
	damage(t, fs, again.packs[1].path, 3)
	third := put(t, newStore(t, fs, Options{}), two)
	if third.Pack != 2 {
		t.Errorf("third record in pack %d", third.Pack)
	}
}

func TestNextIsRespected(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("packs", 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(fs, "packs", 42, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p := put(t, s, []byte{1}); p.Pack != 42 {
		t.Errorf("pack %d", p.Pack)
	}
}

func TestFailedSyncNamesThePackAndAbandonsIt(t *testing.T) {
	var fail bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if fail && op.Kind == errorfs.OpFileSyncData {
			return errors.New("injected")
		}
		return nil
	}))
	s := newStore(t, fs, Options{Writers: 1})
	p := put(t, s, []byte{1, 2, 3})
	fail = true
	failed, err := s.Sync()
	if len(failed) != 1 || failed[0] != p.Pack || !errs.Is(err, errs.Internal) {
		t.Errorf("failed %v, error %v", failed, err)
	}
	fail = false
	if q := put(t, s, []byte{4}); q.Pack == p.Pack {
		t.Error("a pack whose fsync failed is appended to")
	}
	if failed, err := s.Sync(); len(failed) != 0 || err != nil {
		t.Errorf("failed %v, error %v", failed, err)
	}
}

func TestBadBlocksAreRefused(t *testing.T) {
	s := newStore(t, vfs.NewMem(), Options{})
	for _, n := range []int{0, block.SizeMax + 1} {
		if err := s.Append(block.ID{}, make([]byte, n), nil); !errs.Is(err, errs.Invalid) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// FuzzRecordHeader wants that whatever is accepted is exactly what would have been written there.
func FuzzRecordHeader(f *testing.F) {
	for _, n := range []int{1, ChunkSize, 3*ChunkSize + 1} {
		place := Place{Pack: 7, Offset: 32, Length: uint32(n), Sums: SumsOf(make([]byte, n))}
		f.Add(appendRecordHeader(nil, block.Sum([]byte{byte(n)}), place), uint64(7), int64(32))
	}
	f.Fuzz(func(t *testing.T, raw []byte, pack uint64, offset int64) {
		r, ok := parseRecordHeader(raw, pack, offset)
		if !ok {
			return
		}
		if again := appendRecordHeader(nil, r.ID, r.Place); !bytes.HasPrefix(raw, again) {
			t.Errorf("accepted %x, would write %x", raw, again)
		}
	})
}

// FuzzPlace wants that rows of the index are read as they were written, and bad ones refused without a panic.
func FuzzPlace(f *testing.F) {
	f.Add(AppendPlace(nil, Place{Pack: 1, Offset: 32, Length: 100_000, Sums: SumsOf(make([]byte, 100_000))}))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, ok := ParsePlace(raw)
		if !ok {
			return
		}
		q, ok := ParsePlace(AppendPlace(nil, p))
		if !ok || !p.Same(q) || p.Length != q.Length || !bytes.Equal(p.Sums, q.Sums) {
			t.Errorf("%+v became %+v", p, q)
		}
	})
}

// FuzzScan puts two intact records around arbitrary bytes and wants both found.
func FuzzScan(f *testing.F) {
	f.Add([]byte("anything"), uint8(0))
	f.Add([]byte(recordMagic), uint8(3))
	f.Add(appendRecordHeader(nil, block.ID{1}, Place{Pack: 1, Offset: 96, Length: 5, Sums: SumsOf([]byte("12345"))}), uint8(1))
	f.Fuzz(func(t *testing.T, junk []byte, lead uint8) {
		if len(junk) > 1<<20 {
			return
		}
		fs := vfs.NewMem()
		s := newStore(t, fs, Options{Writers: 1})
		a := put(t, s, []byte("first"))
		p := s.packs[a.Pack]
		at := p.end.Load()
		if _, err := p.file.WriteAt(junk, at+int64(lead)); err != nil {
			t.Fatal(err)
		}
		p.end.Store((at + int64(lead) + int64(len(junk)) + alignment - 1) &^ (alignment - 1))
		b := put(t, s, []byte("second"))
		found, _ := scanAll(t, s, a.Pack)
		seen := map[string]bool{}
		for _, r := range found {
			seen[fmt.Sprint(r.Place.Offset)] = true
		}
		if !seen[fmt.Sprint(a.Offset)] || !seen[fmt.Sprint(b.Offset)] {
			// Junk that is itself an intact record may reach over the second one.
			for _, r := range found {
				if r.Place.Offset > a.Offset && r.Place.Offset+r.Place.RecordLen() > b.Offset {
					return
				}
			}
			t.Errorf("found %v", found)
		}
	})
}
