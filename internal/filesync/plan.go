package filesync

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// massMin is how many files there must be for their common disappearance to be suspicious.
const massMin = 10

// Limits bound what a plan may do.
type Limits struct {
	Rules Rules
	Force bool // delete even if one side has lost everything
}

// NewPlan compares the three trees and says what has to be done, so that both sides hold everything that either side changed. It changes nothing, and
// depends on nothing but its arguments. Applied again and again without other changes it comes to an end, with both sides equal but for what is skipped.
func NewPlan(v View, lim Limits) *Plan {
	p := &planner{Plan: &Plan{}, v: v, lim: lim, ops: map[string]*Op{}, final: map[string]Kind{}, alive: map[string]bool{}, blocked: map[string]bool{}}
	p.v.Remote = maps.Clone(v.Remote)
	p.v.Local = maps.Clone(v.Local)
	if lim.Rules.folds() {
		p.foldNames()
	}
	p.skipClashes()
	names := p.names()
	for i := len(names) - 1; i >= 0; i-- { // what lies below a name before the name itself
		p.decide(names[i])
	}
	p.hold()
	p.pairMoves(names)
	p.arrange(names)
	slices.SortFunc(p.Skips, func(a, b Skip) int { return cmp.Compare(a.Name, b.Name) })
	return p.Plan
}

type planner struct {
	*Plan
	v       View
	lim     Limits
	ops     map[string]*Op  // by name
	final   map[string]Kind // what will stand at a name on both sides
	alive   map[string]bool // folders below which something stays
	blocked map[string]bool // names at and below which nothing is done in this round
}

func (p *planner) names() []string {
	set := make(map[string]struct{}, len(p.v.Base)+len(p.v.Local))
	for n := range p.v.Local {
		set[n] = struct{}{}
	}
	for n := range p.v.Remote {
		set[n] = struct{}{}
	}
	for n := range p.v.Base {
		set[n] = struct{}{}
	}
	return slices.Sorted(maps.Keys(set))
}

func (p *planner) skip(name, why string) { p.Skips = append(p.Skips, Skip{name, why}) }

// foldNames chooses one of the names that the file system takes for the same, and leaves the others out: the one that is synchronised already, else the local one,
// else the first.
func (p *planner) foldNames() {
	groups := map[string][]string{}
	for _, n := range p.names() {
		key := p.lim.Rules.fold(n)
		groups[key] = append(groups[key], n)
	}
	for _, group := range groups {
		if len(group) == 1 {
			continue
		}
		chosen := group[0]
		for _, n := range group {
			if rank(p.v, n) > rank(p.v, chosen) {
				chosen = n
			}
		}
		p.chooseName(group, chosen)
	}
}

func rank(v View, name string) int {
	n := 0
	if v.Base[name] != nil {
		n += 4
	}
	if v.Local[name] != nil {
		n += 2
	}
	if v.Remote[name] != nil {
		n++
	}
	return n
}

func (p *planner) chooseName(group []string, chosen string) {
	locals := 0
	for _, n := range group {
		if p.v.Local[n] != nil {
			locals++
		}
	}
	for _, n := range group {
		if n == chosen {
			continue
		}
		l := p.v.Local[n]
		if l != nil && locals == 1 && p.v.Local[chosen] == nil { // the file system writes the name in its own way
			p.v.Local[chosen], l = l, nil
			delete(p.v.Local, n)
		}
		if p.v.Remote[n] != nil || l != nil {
			p.skip(n, "the file system takes the name for the same as "+quote(chosen))
		}
		delete(p.v.Remote, n)
		delete(p.v.Local, n)
	}
}

// skipClashes leaves objects out that have names of objects below theirs, as a folder has, and never were files here: a file system has room for one of both.
// What lies below is synchronised.
func (p *planner) skipClashes() {
	folders := map[string]bool{}
	for n := range p.v.Remote {
		parents(n, func(dir string) bool {
			if folders[dir] {
				return false
			}
			folders[dir] = true
			return true
		})
	}
	for dir := range folders {
		r, l, b := p.v.Remote[dir], p.v.Local[dir], p.v.Base[dir]
		switch {
		case r == nil:
			p.v.Remote[dir] = &Remote{Content: Content{Kind: Folder}, Implied: true}
		case r.Kind == Folder:
		case (l == nil || l.Kind == Folder) && (b == nil || b.Kind == Folder && b.UUID == ""):
			p.v.Remote[dir] = &Remote{Content: Content{Kind: Folder}, Implied: true}
			p.skip(dir, "there are objects below the name of this object, which makes it a folder here")
		}
	}
}

// sides are the contents of a name; Nothing where nothing is.
func (p *planner) sides(name string) (l, r, b Content) {
	if x := p.v.Local[name]; x != nil {
		l = x.Content
	}
	if x := p.v.Remote[name]; x != nil {
		r = x.Content
	}
	if x := p.v.Base[name]; x != nil {
		b = x.Content
	}
	return l, r, b
}

// decide says what is to be done at a name, from what is there and from what stays below it.
func (p *planner) decide(name string) {
	local, base, remote := p.v.Local[name], p.v.Base[name], p.v.Remote[name]
	l, r, b := p.sides(name)
	if local != nil && (local.Busy || local.Kind == Odd) || r.Kind == Odd {
		switch {
		case r.Kind == Odd:
			p.skip(name, remote.Why)
		case local.Kind == Odd:
			p.skip(name, local.Why)
		}
		p.blocked[name] = true
		p.settle(name, Keep, Folder) // whatever it is, the folders above it stay
		return
	}
	if local != nil && local.Loose && r.Kind == Nothing && l == b && !p.alive[name] { // deleted there; what is ignored keeps it here
		p.settle(name, Forget, Nothing)
		return
	}
	if local != nil && local.Loose && b.Kind == Nothing && r.Kind == Nothing && !p.alive[name] {
		return
	}
	do, final := p.threeWay(l, r, b, base, remote)
	if do == Keep && l.Kind == File && (local.Print != base.Print || local.Racy != base.Racy) {
		do = Agree // it only looks different: remember how, so that it need not be read again
	}
	if p.alive[name] {
		do, final = p.keepFolder(do, final, l, r, remote)
	}
	p.settle(name, do, final)
}

// threeWay is the rule for one name by itself.
func (p *planner) threeWay(l, r, b Content, base *Base, remote *Remote) (Action, Kind) {
	// An object that was deleted and made again is another one, even if it holds the same.
	remoteSame := r == b && (remote == nil || base == nil || base.UUID == remote.UUID || remote.UUID == "" || base.UUID == "")
	switch {
	case l == r && l.Kind == Nothing:
		return Forget, Nothing
	case l == r:
		if base != nil && b == l && base.UUID == remote.UUID {
			return Keep, l.Kind
		}
		return Agree, l.Kind
	case b.Kind == Nothing && r.Kind == Nothing:
		return Upload, l.Kind
	case b.Kind == Nothing && l.Kind == Nothing:
		return Download, r.Kind
	case l == b && r.Kind == Nothing:
		return RemoveLocal, Nothing
	case l == b:
		return Download, r.Kind
	case remoteSame && l.Kind == Nothing:
		return RemoveRemote, Nothing
	case l.Kind == Nothing:
		return Download, r.Kind // changed there, deleted here
	case r == b:
		return Upload, l.Kind
	case r.Kind == Nothing:
		return Upload, l.Kind // changed here, deleted there
	case l.Kind == Folder:
		return AsideRemote, Folder
	default:
		return AsideLocal, r.Kind
	}
}

// keepFolder corrects the rule for a name below which something stays: it has to be a folder.
func (p *planner) keepFolder(do Action, final Kind, l, r Content, remote *Remote) (Action, Kind) {
	if final == Folder {
		return do, final
	}
	switch {
	case r.data():
		return AsideRemote, Folder // a local file of the same content follows it
	case l.data() && do != RemoveLocal:
		return AsideLocal, Folder
	case l.Kind == Folder && (remote == nil || r.Kind != Folder):
		return Upload, Folder
	case l.Kind == Folder:
		return Agree, Folder
	case r.Kind == Folder:
		return Download, Folder
	}
	return do, final
}

// settle notes a decision.
func (p *planner) settle(name string, do Action, final Kind) {
	p.final[name] = final
	if final != Nothing {
		parents(name, func(dir string) bool {
			if p.alive[dir] {
				return false
			}
			p.alive[dir] = true
			return true
		})
	}
	if do == Keep || do == Forget && p.v.Base[name] == nil {
		return
	}
	if l := p.v.Local[name]; final == Folder && (do == AsideLocal || do == AsideRemote) && (l == nil || l.Kind != Folder) {
		p.blocked[name] = true // what lies below has no room before there is a folder
	}
	p.ops[name] = &Op{Do: do, Name: name, Local: p.v.Local[name], Remote: p.v.Remote[name], Base: p.v.Base[name]}
}

// hold takes the deletions out of a plan when one side has lost all files: more likely it was not mounted, or the container was emptied by mistake.
func (p *planner) hold() {
	if p.lim.Force {
		return
	}
	files, here, there := 0, 0, 0
	for name, b := range p.v.Base {
		if !b.data() {
			continue
		}
		files++
		l, r, _ := p.sides(name)
		if l.data() {
			here++
		}
		if r.data() {
			there++
		}
	}
	if files < massMin {
		return
	}
	lostHere, lostThere := here == 0 && !p.movedAway(), there == 0 && !p.arrived()
	for name, op := range p.ops {
		switch {
		case op.Do == RemoveRemote && lostHere:
			p.HeldRemote++
			delete(p.ops, name)
		case op.Do == RemoveLocal && lostThere:
			p.HeldLocal++
			delete(p.ops, name)
		}
	}
}

// movedAway reports whether there are new local files: then the old ones may have been renamed.
func (p *planner) movedAway() bool {
	for name, l := range p.v.Local {
		if l.data() && p.v.Base[name] == nil {
			return true
		}
	}
	return false
}

func (p *planner) arrived() bool {
	for name, r := range p.v.Remote {
		if r.data() && p.v.Base[name] == nil {
			return true
		}
	}
	return false
}

// arrange puts the steps into stages: what makes room first, then folders, then data, then deletions from the leaves up, then files that replace folders.
func (p *planner) arrange(names []string) {
	var book, asides, moves, data, removals, last []Op
	building, clearing := map[int][]Op{}, map[int][]Op{}
	p.dropBlocked()
	for _, name := range names {
		op := p.ops[name]
		if op == nil {
			continue
		}
		depth := strings.Count(cmp.Or(op.To, op.Name), "/")
		l, r, _ := p.sides(name)
		switch {
		case op.Do <= Forget:
			book = append(book, *op)
		case op.Do == AsideLocal || op.Do == AsideRemote:
			asides = append(asides, *op)
		case op.Tree:
			building[depth] = append(building[depth], *op)
		case op.Do == MoveLocal || op.Do == MoveRemote:
			moves = append(moves, *op)
		case op.Do == Upload && l.Kind == Folder || op.Do == Download && r.Kind == Folder:
			building[depth] = append(building[depth], *op)
		case op.Do == Upload && r.Kind == Folder || op.Do == Download && l.Kind == Folder:
			last = append(last, *op)
		case op.Do == Upload || op.Do == Download:
			data = append(data, *op)
		case op.Do == RemoveLocal && l.Kind == Folder || op.Do == RemoveRemote && r.Kind == Folder:
			clearing[-depth] = append(clearing[-depth], *op)
		default:
			removals = append(removals, *op)
		}
	}
	p.stage(book)
	p.stage(asides)
	p.stagesOf(building)
	p.stage(moves)
	p.stage(data)
	p.stage(removals)
	p.stagesOf(clearing)
	p.stage(last)
}

func (p *planner) stage(ops []Op) {
	if len(ops) > 0 {
		p.Stages = append(p.Stages, ops)
	}
}

func (p *planner) stagesOf(byDepth map[int][]Op) {
	for _, depth := range slices.Sorted(maps.Keys(byDepth)) {
		p.stage(byDepth[depth])
	}
}

// dropBlocked leaves steps for the next round that something stands in the way of, and the removals of folders that then still hold something.
func (p *planner) dropBlocked() {
	holding := map[string]bool{}
	for name, op := range p.ops {
		if p.isBlocked(op) {
			delete(p.ops, name)
			parents(name, func(dir string) bool {
				holding[dir] = true
				return true
			})
		}
	}
	for dir := range holding {
		op := p.ops[dir]
		if op == nil {
			continue
		}
		l, r, _ := p.sides(dir)
		switch {
		case op.Do == RemoveLocal, op.Do == RemoveRemote, op.Do == Download && l.Kind == Folder && r.Kind != Folder, op.Do == Upload && r.Kind == Folder && l.Kind != Folder:
			delete(p.ops, dir)
		}
	}
}

// isBlocked reports whether something stands in the way of a step, at a folder above it.
func (p *planner) isBlocked(op *Op) bool {
	blocked := false
	for _, name := range []string{op.Name, op.To} {
		parents(name, func(dir string) bool {
			blocked = p.blocked[dir]
			return !blocked
		})
		if blocked {
			return true
		}
	}
	return false
}

func quote(name string) string { return `"` + name + `"` }
