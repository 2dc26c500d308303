package filesync

import (
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/block"
)

var (
	planSeed  = flag.Uint64("plan-seed", 0, "seed of the random plans; 0 draws one")
	planCases = flag.Int("plan-cases", 700, "random plans to try")
)

// sim is a folder, a container and a state without a disk or a network. Steps of a plan are done as the executor does them, and must be possible.
type sim struct {
	t      *testing.T
	local  map[string]*Local
	remote map[string]*Remote // objects alone
	base   map[string]*Base
	serial uint64
	saved  map[block.ID]bool // every content that the service ever had
	log    []string
}

func newSim(t *testing.T) *sim {
	t.Helper()
	return &sim{t: t, local: map[string]*Local{}, remote: map[string]*Remote{}, base: map[string]*Base{}, saved: map[block.ID]bool{}}
}

func (s *sim) next() uint64 { s.serial++; return s.serial }

// content is a file that nobody else has.
func (s *sim) content() Content {
	var id block.ID
	binary.BigEndian.PutUint64(id[:], s.next())
	return Content{Kind: File, Size: 1, Root: id}
}

func (s *sim) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\nlog:\n%s\nlocal %v\nremote %v\nbase %v", fmt.Sprintf(format, args...), strings.Join(s.log, "\n"),
		show(s.local, func(l *Local) Content { return l.Content }), show(s.remote, func(r *Remote) Content { return r.Content }), show(s.base, func(b *Base) Content { return b.Content }))
}

func show[T any](m map[string]T, content func(T) Content) string {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(m)) {
		c := content(m[n])
		fmt.Fprintf(&b, " %s=%v%x", n, c.Kind, c.Root[6:8])
	}
	return b.String()
}

func (s *sim) put(name string, c Content) {
	s.mustFit(name)
	inode := s.next()
	if old := s.local[name]; old != nil && old.Kind == c.Kind {
		inode = old.Print.Inode
	}
	s.local[name] = &Local{Content: c, Print: Print{Inode: inode}}
}

// mustFit fails unless the folder above a name is there.
func (s *sim) mustFit(name string) {
	if dir := path.Dir(name); dir != "." && (s.local[dir] == nil || s.local[dir].Kind != Folder) {
		s.fatal("%s has no folder", name)
	}
}

func (s *sim) removeLocal(name string) {
	for other := range s.local {
		if below(other, name) {
			s.fatal("%s is removed and holds %s", name, other)
		}
	}
	delete(s.local, name)
}

func (s *sim) renameLocal(from, to string) {
	s.mustFit(to)
	if s.local[to] != nil {
		s.fatal("%s is renamed to %s, which is there", from, to)
	}
	for _, name := range slices.Sorted(maps.Keys(s.local)) {
		if name == from || below(name, from) {
			s.local[to+name[len(from):]] = s.local[name]
			delete(s.local, name)
		}
	}
}

func (s *sim) putRemote(name string, c Content) {
	uuid := fmt.Sprint(s.next())
	if old := s.remote[name]; old != nil {
		uuid = old.UUID
	}
	s.remote[name] = &Remote{Content: c, UUID: uuid, By: "other", At: time.Unix(int64(s.next()), 0)}
	s.saved[c.Root] = true
}

func (s *sim) moveRemote(from, to string, tree bool) {
	for _, name := range slices.Sorted(maps.Keys(s.remote)) {
		if name == from || tree && below(name, from) {
			if s.remote[to+name[len(from):]] != nil {
				s.fatal("%s is moved to %s, which is there", from, to)
			}
			s.remote[to+name[len(from):]] = s.remote[name]
			delete(s.remote, name)
		}
	}
}

func (s *sim) agree(name string) {
	l, r := s.local[name], s.remote[name]
	uuid := ""
	if r != nil {
		uuid = r.UUID
	}
	s.base[name] = &Base{Content: l.Content, UUID: uuid, Print: l.Print}
}

// do does one step. What was seen must still be there, since nothing else happened.
func (s *sim) do(op *Op) {
	s.log = append(s.log, "  "+op.Do.String()+" "+op.Name+" "+op.To)
	switch op.Do {
	case Keep:
	case Agree:
		s.agree(op.Name)
	case Forget:
		delete(s.base, op.Name)
	case AsideLocal:
		delete(s.base, op.Name)
		s.renameLocal(op.Name, conflictName(op.Name, "me", time.Unix(int64(s.next()), 0), 0))
	case AsideRemote:
		s.moveRemote(op.Name, conflictName(op.Name, op.Remote.By, op.Remote.At, 0), false)
	case MoveRemote:
		s.moveRemote(op.Name, op.To, op.Tree)
		s.moveBase(op)
	case MoveLocal:
		s.renameLocal(op.Name, op.To)
		s.moveBase(op)
	case Upload:
		s.putRemote(op.Name, op.Local.Content)
		s.agree(op.Name)
	case Download:
		if op.Local != nil && (op.Local.Kind == Folder) != (op.Remote.Kind == Folder) {
			s.removeLocal(op.Name)
		}
		s.put(op.Name, op.Remote.Content)
		s.agree(op.Name)
	case RemoveLocal:
		s.removeLocal(op.Name)
		delete(s.base, op.Name)
	case RemoveRemote:
		delete(s.remote, op.Name)
		delete(s.base, op.Name)
	}
}

func (s *sim) moveBase(op *Op) {
	for _, name := range slices.Sorted(maps.Keys(s.base)) {
		if name == op.Name || op.Tree && below(name, op.Name) {
			s.base[op.To+name[len(op.Name):]] = s.base[name]
			delete(s.base, name)
		}
	}
	if !op.Tree {
		s.agree(op.To)
	}
}

// sync makes rounds until nothing is left to do.
func (s *sim) sync() {
	s.t.Helper()
	for round := range 12 {
		p := NewPlan(View{Local: s.local, Remote: s.remote, Base: s.base}, Limits{Force: true})
		s.log = append(s.log, fmt.Sprintf("round %d, skipped %v", round, p.Skips))
		for _, stage := range p.Stages {
			for i := range stage {
				s.do(&stage[i])
			}
		}
		if p.Ops() == 0 {
			s.compare(p)
			return
		}
	}
	s.fatal("no end")
}

// compare wants both sides equal but for what was skipped.
func (s *sim) compare(p *Plan) {
	s.t.Helper()
	skipped := map[string]bool{}
	for _, k := range p.Skips {
		skipped[k.Name] = true
	}
	here, there := map[string]Content{}, map[string]Content{}
	for n, l := range s.local {
		here[n] = l.Content
	}
	for n, r := range s.remote {
		if !skipped[n] {
			there[n] = r.Content
		}
		parents(n, func(dir string) bool {
			if s.remote[dir] == nil || skipped[dir] {
				there[dir] = Content{Kind: Folder}
			}
			return true
		})
	}
	if diff := cmp.Diff(here, there); diff != "" {
		s.fatal("the sides differ (-here +there):\n%s", diff)
	}
}

// change does something random on one side, as a user may.
func (s *sim) change(r *rand.Rand) {
	parts := []string{"a", "b", "c"}
	name := parts[r.IntN(3)]
	for range r.IntN(3) {
		name += "/" + parts[r.IntN(3)]
	}
	if r.IntN(2) == 0 {
		s.changeLocal(r, name)
	} else {
		s.changeRemote(r, name)
	}
}

func (s *sim) changeLocal(r *rand.Rand, name string) {
	s.log = append(s.log, "user "+name)
	clear := func(n string) {
		for other := range s.local {
			if other == n || below(other, n) {
				delete(s.local, other)
			}
		}
	}
	room := func(n string) {
		var dirs []string
		parents(n, func(dir string) bool { dirs = append(dirs, dir); return true })
		for _, dir := range slices.Backward(dirs) {
			if l := s.local[dir]; l == nil || l.Kind != Folder {
				clear(dir)
				s.local[dir] = &Local{Content: Content{Kind: Folder}, Print: Print{Inode: s.next()}}
			}
		}
	}
	switch r.IntN(5) {
	case 0, 1:
		room(name)
		if l := s.local[name]; l != nil && l.Kind == Folder {
			clear(name)
		}
		s.put(name, s.content())
	case 2:
		room(name)
		if l := s.local[name]; l == nil || l.Kind != Folder {
			clear(name)
			s.put(name, Content{Kind: Folder})
		}
	case 3:
		clear(name)
	case 4:
		names := slices.Sorted(maps.Keys(s.local))
		if len(names) == 0 {
			return
		}
		from := names[r.IntN(len(names))]
		if from == name || below(name, from) || below(from, name) {
			return
		}
		room(name)
		if s.local[from] == nil {
			return
		}
		clear(name)
		s.renameLocal(from, name)
	}
}

func (s *sim) changeRemote(r *rand.Rand, name string) {
	s.log = append(s.log, "other "+name)
	switch r.IntN(6) {
	case 0, 1:
		s.putRemote(name, s.content())
	case 2:
		s.putRemote(name, Content{Kind: Folder})
	case 3:
		delete(s.remote, name)
	case 4:
		for other := range s.remote {
			if other == name || below(other, name) {
				delete(s.remote, other)
			}
		}
	case 5:
		names := slices.Sorted(maps.Keys(s.remote))
		if len(names) == 0 {
			return
		}
		from := names[r.IntN(len(names))]
		if from == name || below(name, from) || below(from, name) {
			return
		}
		for other := range s.remote {
			if other == name || below(other, name) {
				delete(s.remote, other)
			}
		}
		s.moveRemote(from, name, true)
	}
}

// TestPlansConverge: whatever users did on both sides, the steps of the plans are possible in their order, come to an end, make both sides equal and lose no
// content: each that was in the folder is on the service, or was.
func TestPlansConverge(t *testing.T) {
	seed := *planSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d: repeat with -plan-seed %d -plan-cases %d", seed, seed, *planCases)
	for i := range *planCases {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		s := newSim(t)
		for range 1 + r.IntN(3) {
			s.log = nil
			for range 1 + r.IntN(12) {
				s.change(r)
			}
			written := map[block.ID]bool{}
			for _, l := range s.local {
				written[l.Root] = true
			}
			s.sync()
			for id := range written {
				if !s.saved[id] && id != (block.ID{}) {
					s.fatal("case %d: content %x was lost", i, id[6:8])
				}
			}
		}
	}
}
