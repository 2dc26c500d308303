package embedded_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/block"
	"pithos/internal/engine/embedded"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
	"pithos/internal/worker"
)

func TestOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	e := open(t, dir, embedded.Options{})
	_, err := embedded.Open(dir, embedded.Options{})
	if !errs.Is(err, errs.Busy) || !strings.Contains(err.Error(), "in use by this process") {
		t.Errorf("second Open: %v", err)
	}
	if err := embedded.Check(t.Context(), dir, nil, nil); !errs.Is(err, errs.Busy) {
		t.Errorf("Check of an open directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "LOCK.pid"), []byte("12345\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = embedded.Open(dir, embedded.Options{}); !strings.Contains(err.Error(), "process 12345") {
		t.Errorf("the error does not name the process: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, embedded.Options{})
}

func TestFormat(t *testing.T) {
	tests := map[string]struct {
		format string
		want   errs.Kind
		says   string
	}{
		"newer":   {"pithos data directory, format 3\n", errs.Unsupported, "format 3"},
		"garbled": {"pithos data", errs.Corrupt, "cannot be understood"},
		"zero":    {"pithos data directory, format 0\n", errs.Corrupt, "cannot be understood"},
		"missing": {"", errs.Corrupt, "FORMAT is missing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			e, err := embedded.Open(dir, embedded.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "FORMAT")
			if test.format == "" {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, []byte(test.format), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err = embedded.Open(dir, embedded.Options{}); !errs.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Open: %v", err)
			}
			if err := embedded.Check(t.Context(), dir, nil, nil); !errs.Is(err, test.want) {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

// TestDamagedKeptBytesAreFound by the scrubber, again and again, and by the check: some that are not those of their hash, and some that are gone.
func TestDamagedKeptBytesAreFound(t *testing.T) {
	mem := vfs.NewMem()
	e := open(t, "data", embedded.Options{FS: mem})
	box := naming.NewContainerID()
	put := func(name, body, hashOf string) {
		v := version(block.Holder{}, []block.Ref{{ID: block.Sum([]byte(hashOf)), Len: int64(len(body))}})
		v.Content.Map.Kept = []byte(body)
		_, err := e.Meta().Commit(t.Context(), meta.Change{Container: box, Account: crashAccount, Name: naming.ObjectName(name), Now: time.Unix(1e9, 0), Version: v})
		ok(t, err)
	}
	put("fine", "bytes", "bytes")
	put("flipped", "bytez", "bytes")
	put("gone", "", "bytes")
	s := worker.NewScrubber(worker.Scrubbing{Blobs: e.Blobs(), Meta: e.Meta()})
	for range 2 {
		r, err := s.Round(t.Context(), nil)
		if err != nil || r.Bodies != 3 || r.Bytes != 10 || len(r.DamagedBodies) != 2 || len(r.UnreadableBodies)+len(r.HealedBodies) != 0 ||
			!strings.Contains(r.DamagedBodies[0], "/flipped@") || !strings.Contains(r.DamagedBodies[1], "/gone@") {
			t.Errorf("%+v, %v", r, err)
		}
	}
	ok(t, e.Close())
	var found []string
	ok(t, embedded.Check(t.Context(), "data", mem, func(f fsck.Finding) {
		if f.Severity == fsck.Damage && !slices.Contains(found, f.Name) {
			found = append(found, f.Name)
		}
	}))
	if len(found) != 2 || !strings.Contains(found[0]+found[1], "/flipped@") || !strings.Contains(found[0]+found[1], "/gone@") {
		t.Errorf("the check found %q", found)
	}
}

// TestAnOlderFormatIsRaised when the directory is opened for writing, and read as it is by the check.
func TestAnOlderFormatIsRaised(t *testing.T) {
	dir := t.TempDir()
	ok(t, open(t, dir, embedded.Options{}).Close())
	path := filepath.Join(dir, "FORMAT")
	ok(t, os.WriteFile(path, []byte("pithos data directory, format 1\n"), 0o600))
	want := func(text string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != "pithos data directory, format "+text+"\n" {
			t.Errorf("FORMAT has %q, %v", got, err)
		}
	}
	ok(t, embedded.Check(t.Context(), dir, nil, nil))
	want("1")
	ok(t, open(t, dir, embedded.Options{}).Close())
	want("2")
}

func TestCheckWithoutDirectory(t *testing.T) {
	if err := embedded.Check(t.Context(), filepath.Join(t.TempDir(), "none"), nil, nil); !errs.Is(err, errs.NotFound) {
		t.Errorf("Check: %v", err)
	}
}

// TestCheckFindsDamage flips one byte in every pack and wants the check to name a block for each, and the rest served.
func TestCheckFindsDamage(t *testing.T) {
	mem := vfs.NewMem()
	opts := embedded.Options{FS: mem, InlineMax: 1000, PackSize: 100 << 10}
	e := open(t, "data", opts)
	f := newFiller(7)
	for range 100 {
		ok(t, f.put(t, e.Blobs()))
	}
	ok(t, e.Blobs().Sync(t.Context()))
	ok(t, e.Close())
	ok(t, wantClean(t.Context(), mem))
	names, err := mem.List("data/packs")
	ok(t, err)
	for _, name := range names {
		file, err := mem.OpenReadWrite("data/packs/"+name, vfs.WriteCategoryUnspecified)
		ok(t, err)
		b := make([]byte, 1)
		_, err = file.ReadAt(b, 5000)
		ok(t, err)
		b[0]++
		_, err = file.WriteAt(b, 5000)
		ok(t, err)
		ok(t, file.Close())
	}
	var found []fsck.Finding
	ok(t, embedded.Check(t.Context(), "data", mem, func(f fsck.Finding) {
		if f.Severity != fsck.Notice {
			found = append(found, f)
		}
	}))
	if len(found) != len(names) {
		t.Errorf("%d packs are damaged, found %v", len(names), found)
	}
	s := open(t, "data", opts).Blobs()
	corrupt := 0
	for id, data := range f.data {
		err := wantBlock(t.Context(), s, id, data)
		if errs.Is(err, errs.Corrupt) {
			corrupt++
		} else {
			ok(t, err)
		}
	}
	if corrupt == 0 || corrupt > len(names) {
		t.Errorf("%d blocks are corrupt in %d damaged packs", corrupt, len(names))
	}
}
