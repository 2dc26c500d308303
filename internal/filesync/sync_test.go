package filesync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
)

const testBlock = 1024

// box is a container in memory, with faults by a random source: requests that fail before or after they took effect.
type box struct {
	mu      sync.Mutex
	objects map[string]*Object
	data    map[string][]byte
	changes []Changed
	history map[string]bool // all contents that ever were
	serial  uint64
	faults  *rand.Rand // nil: none
	asked   map[string]int
	terse   bool // of some changes no details are told
}

func newBox() *box {
	return &box{objects: map[string]*Object{}, data: map[string][]byte{}, history: map[string]bool{}, asked: map[string]int{}, terse: true}
}

var errCut = errs.E("box", errs.Busy, errs.NoThing, "").Because("", "the connection was cut")

// cut is the fault of a request: before it took effect, or after.
func (b *box) cut() (before, after error) {
	if b.faults == nil {
		return nil, nil
	}
	switch b.faults.IntN(8) {
	case 0:
		return errCut, nil
	case 1:
		return nil, errCut
	}
	return nil, nil
}

func (b *box) BlockSize(context.Context) (int64, error) { return testBlock, nil }

func (b *box) Totals(context.Context) (objects, size int64, known bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.objects {
		objects++
		size += o.Size
	}
	before, _ := b.cut()
	return objects, size, true, before
}

func (b *box) List(context.Context) iter.Seq2[*Object, error] {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked["list"]++
	before, _ := b.cut()
	list := slices.Collect(maps.Values(b.objects))
	return func(yield func(*Object, error) bool) {
		for _, o := range list {
			next := *o
			if !yield(&next, nil) {
				return
			}
		}
		if before != nil {
			yield(nil, before)
		}
	}
}

func (b *box) Stat(_ context.Context, name string) (*Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked["stat"]++
	if before, _ := b.cut(); before != nil {
		return nil, before
	}
	if o := b.objects[name]; o != nil {
		next := *o
		return &next, nil
	}
	return nil, nil //nolint:nilnil // it is not there
}

func (b *box) Now(context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, _ := b.cut()
	return fmt.Sprint(len(b.changes)), before
}

func (b *box) Changes(_ context.Context, point string, _ time.Duration) (*Feed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var n int
	if _, err := fmt.Sscan(point, &n); err != nil || n > len(b.changes) {
		return nil, errs.E("box", errs.Invalid, errs.Request, "")
	}
	before, _ := b.cut()
	n = max(0, n-1) // a change may be told twice
	feed := &Feed{Changes: slices.Clone(b.changes[n:]), Next: fmt.Sprint(len(b.changes))}
	for i := range feed.Changes {
		c := &feed.Changes[i]
		if o := b.objects[c.Name]; o != nil && o.Version == c.Version && (!b.terse || c.Version%3 > 0) {
			next := *o
			c.Object = &next
		}
	}
	return feed, before
}

func (b *box) put(name string, data []byte, kind string) *Object {
	b.serial++
	o := &Object{Name: name, Size: int64(len(data)), Type: kind, Version: b.serial, UUID: fmt.Sprint("u", b.serial), By: "other", At: time.Unix(int64(b.serial), 0).UTC()}
	if old := b.objects[name]; old != nil {
		o.UUID = old.UUID
	}
	var ids []block.ID
	for piece := range slices.Chunk(data, testBlock) {
		ids = append(ids, block.Sum(piece))
	}
	o.Root = block.RootHash(ids)
	b.objects[name], b.data[name] = o, data
	b.changes = append(b.changes, Changed{Name: name, Version: b.serial})
	b.history[string(data)] = true
	next := *o
	return &next
}

func (b *box) remove(name string) {
	b.serial++
	delete(b.objects, name)
	delete(b.data, name)
	b.changes = append(b.changes, Changed{Name: name, Version: b.serial, Deleted: true})
}

func (b *box) Put(_ context.Context, name string, s Source, c Condition, _ Progress) (*Object, int64, error) {
	data, err := io.ReadAll(io.NewSectionReader(s.Data, 0, s.Size))
	if err != nil {
		return nil, 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked["put"]++
	before, after := b.cut()
	if before != nil {
		return nil, 0, before
	}
	old := b.objects[name]
	if c.None && old != nil || !c.None && (old == nil || old.Root != c.Root) {
		return nil, 0, errs.E("box", errs.Precondition, errs.Object, name)
	}
	kind := map[Kind]string{Folder: FolderType, Link: LinkType}[s.Kind]
	made := b.put(name, data, kind)
	if s.Kind == File && made.Root != s.Root {
		return nil, 0, errs.E("box", errs.Precondition, errs.Object, name)
	}
	return made, s.Size, after
}

func (b *box) Get(_ context.Context, o *Object, dst Target, _ int64, _ func(block.ID, int64) []byte, _ Progress) ([]block.ID, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked["get"]++
	before, after := b.cut()
	if now := b.objects[o.Name]; before == nil && (now == nil || now.Root != o.Root || now.Size != o.Size) {
		return nil, 0, errs.E("box", errs.Precondition, errs.Object, o.Name)
	}
	if before != nil {
		return nil, 0, before
	}
	data := b.data[o.Name]
	if after != nil {
		data = data[:len(data)/2]
	}
	if _, err := dst.WriteAt(data, 0); err != nil {
		return nil, 0, err
	}
	return nil, o.Size, errors.Join(after, dst.Truncate(int64(len(data))))
}

func (b *box) Move(_ context.Context, from, to string, tree bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked["move"]++
	before, after := b.cut()
	if before != nil {
		return before
	}
	if b.objects[from] == nil {
		return errs.E("box", errs.NotFound, errs.Object, from)
	}
	for _, name := range slices.Sorted(maps.Keys(b.objects)) {
		if name != from && !(tree && below(name, from)) {
			continue
		}
		target := to + name[len(from):]
		if b.objects[target] != nil {
			return errs.E("box", errs.Precondition, errs.Object, target)
		}
		old := b.objects[name]
		b.put(target, b.data[name], old.Type)
		b.objects[target].UUID = old.UUID
		b.remove(name)
	}
	return after
}

func (b *box) Remove(_ context.Context, name string, root block.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, after := b.cut()
	switch o := b.objects[name]; {
	case before != nil:
		return before
	case o == nil:
		return errs.E("box", errs.NotFound, errs.Object, name)
	case o.Root != root:
		return errs.E("box", errs.Precondition, errs.Object, name)
	}
	b.remove(name)
	return after
}

// site is a folder that is synchronised with a box.
type site struct {
	t   *testing.T
	box *box
	o   Options
}

func newSite(t *testing.T, b *box, name string) *site {
	t.Helper()
	home := t.TempDir()
	return &site{t, b, Options{Dir: filepath.Join(home, "dir"), States: filepath.Join(home, "states"), Service: b, Target: "box", User: name, Clock: clock.System{}}}
}

// round does one round, as a process of its own would: what it had in memory is lost afterwards.
func (p *site) round() (*Result, error) {
	s, err := Open(p.t.Context(), p.o)
	if err != nil {
		return nil, err
	}
	res, err := s.Round(p.t.Context(), false)
	return res, errors.Join(err, s.Close())
}

// settle makes rounds until nothing is to be done.
func (p *site) settle() {
	p.t.Helper()
	for range 60 {
		if res, err := p.round(); err == nil && res.Quiet() && res.Later == 0 && len(res.Failed) == 0 {
			return
		} else if err != nil && !errors.Is(err, errCut) {
			p.t.Fatal(err)
		}
	}
	p.t.Fatal("no end")
}

func (p *site) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.o.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// tree reads all files.
func (p *site) tree() map[string]string {
	p.t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(p.o.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ownPrefix) || strings.Contains(path, oldFolder) {
			return err
		}
		name, err := filepath.Rel(p.o.Dir, path)
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(path)
		tree[name] = string(raw)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return tree
}

// TestFaults: two folders end equal though requests fail before and after they take effect, each round is a new process, and users write between. Nothing is lost.
func TestFaults(t *testing.T) {
	for i := range 3 {
		seed := rand.Uint64()
		if *planSeed != 0 {
			seed = *planSeed
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Logf("seed %d: repeat with -plan-seed %d", seed, seed)
			r := rand.New(rand.NewPCG(seed, 0))
			b := newBox()
			sites := []*site{newSite(t, b, "ann"), newSite(t, b, "bob")}
			texts := map[string]bool{}
			for step := range 30 {
				p := sites[r.IntN(2)]
				name := []string{"a", "b", "d/a", "d/b", "e/d/a"}[r.IntN(5)]
				switch path := filepath.Join(p.o.Dir, name); r.IntN(5) {
				case 0, 1:
					if _, err := os.Lstat(path); err != nil { // what is there may not have been seen by the service
						text := fmt.Sprintf("text %d", step) + strings.Repeat(".", r.IntN(3*testBlock))
						texts[text] = true
						p.write(name, text)
					}
				case 2:
					if _, err := os.Lstat(path + "x"); err != nil { // a user who renames onto a file destroys it
						_ = os.Rename(path, path+"x")
					}
				default:
					b.faults = r
					if _, err := p.round(); err != nil && !errors.Is(err, errCut) {
						t.Fatal(err)
					}
					b.faults = nil
				}
			}
			for range 3 {
				for _, p := range sites {
					p.settle()
				}
			}
			if diff := cmp.Diff(sites[0].tree(), sites[1].tree()); diff != "" {
				t.Error(diff)
			}
			kept := maps.Clone(b.history)
			for _, text := range sites[0].tree() {
				kept[text] = true
			}
			for text := range texts {
				if !kept[text] {
					t.Errorf("%.10q is lost", text)
				}
			}
		})
	}
}

// TestNeverOutside: names of the service that point outside of the folder are skipped, and a link in the folder is not followed.
func TestNeverOutside(t *testing.T) {
	b := newBox()
	p := newSite(t, b, "ann")
	p.settle()
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(p.o.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../evil", "a/../../evil", "/evil", "link/evil", "a//b", "x/.pithos-sync", strings.Repeat("n", 300)} {
		b.put(name, []byte("evil"), "")
	}
	b.put("good", []byte("good"), "")
	p.settle()
	if diff := cmp.Diff(map[string]string{"good": "good"}, p.tree()); diff != "" {
		t.Error(diff)
	}
	for _, dir := range []string{outside, filepath.Dir(p.o.Dir)} {
		if found, err := filepath.Glob(filepath.Join(dir, "*evil*")); err != nil || len(found) > 0 {
			t.Error(found, err)
		}
	}
	if len(b.objects) != 8 {
		t.Errorf("%d objects: what is skipped was deleted", len(b.objects))
	}
}

// TestUnmounted: a folder without its marker, or that another process synchronises, is refused, and nothing is deleted.
func TestUnmounted(t *testing.T) {
	b := newBox()
	p := newSite(t, b, "ann")
	p.write("a", "text")
	p.settle()
	s, err := Open(t.Context(), p.o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), p.o); !errs.Is(err, errs.Busy) {
		t.Errorf("a second process: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(p.o.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.o.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := p.round(); !errs.Is(err, errs.Conflict) || b.objects["a"] == nil {
		t.Errorf("an empty folder: %v", err)
	}
	p.o.Fresh = true
	if _, err := p.round(); err != nil || p.tree()["a"] != "text" {
		t.Errorf("fresh: %v, %v", err, p.tree())
	}
}

// TestLateWriter: who had a file open when it was replaced may still write to it: that becomes a conflict copy.
func TestLateWriter(t *testing.T) {
	b := newBox()
	p := newSite(t, b, "ann")
	p.write("a", "first")
	p.settle()
	f, err := os.OpenFile(filepath.Join(p.o.Dir, "a"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.put("a", []byte("second"), "")
	s, err := Open(t.Context(), p.o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Round(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("LATE!"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s.sweepAllOlds()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	found := bytes.Buffer{}
	for _, text := range p.tree() {
		found.WriteString(text + " ")
	}
	if !strings.Contains(found.String(), "LATE!") || !strings.Contains(found.String(), "second") {
		t.Errorf("%v", p.tree())
	}
}
