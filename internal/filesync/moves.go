package filesync

// pairMoves finds deletions on one side that are one half of a rename, the other half of which is something new, and makes one move of both.
//
// A file that was renamed here has kept its inode and its content; an object that was moved there has kept its UUID. A folder is moved as a whole when
// everything below it moves along with it and nothing stands at the other place.
func (p *planner) pairMoves(names []string) {
	p.pairLocal(names)
	p.pairRemote(names)
}

// pairLocal finds what was renamed here.
func (p *planner) pairLocal(names []string) {
	type file struct{ device, inode uint64 }
	gone := map[file]string{}
	for _, name := range names {
		if op := p.ops[name]; op != nil && op.Do == RemoveRemote && op.Base.Print.Inode != 0 && !op.Remote.Implied {
			gone[file{op.Base.Print.Device, op.Base.Print.Inode}] = name
		}
	}
	if len(gone) == 0 {
		return
	}
	to := map[string]string{}
	taken := map[string]bool{}
	for _, name := range names {
		op := p.ops[name]
		if op == nil || op.Do != Upload || op.Base != nil || op.Remote != nil {
			continue
		}
		from, ok := gone[file{op.Local.Print.Device, op.Local.Print.Inode}]
		if ok && !taken[from] && op.Local.Content == p.ops[from].Base.Content {
			to[from], taken[from] = name, true
		}
	}
	p.joinMoves(names, to, MoveRemote)
}

// pairRemote finds what was moved there.
func (p *planner) pairRemote(names []string) {
	gone := map[string]string{}
	for _, name := range names {
		if op := p.ops[name]; op != nil && op.Do == RemoveLocal && op.Base.UUID != "" {
			gone[op.Base.UUID] = name
		}
	}
	if len(gone) == 0 {
		return
	}
	to := map[string]string{}
	taken := map[string]bool{}
	for _, name := range names {
		op := p.ops[name]
		if op == nil || op.Do != Download || op.Base != nil || op.Local != nil {
			continue
		}
		from, ok := gone[op.Remote.UUID]
		if ok && !taken[from] && op.Remote.Content == p.ops[from].Local.Content {
			to[from], taken[from] = name, true
		}
	}
	p.joinMoves(names, to, MoveLocal)
}

// joinMoves replaces pairs of steps by moves: whole folders first, then files. A folder that cannot be moved as a whole is made and deleted.
func (p *planner) joinMoves(names []string, to map[string]string, do Action) {
	done := map[string]bool{}
	inside := func(name string) bool {
		in := false
		parents(name, func(dir string) bool {
			in = done[dir]
			return !in
		})
		return in
	}
	for i, from := range names {
		target, ok := to[from]
		if !ok || inside(from) {
			continue
		}
		folder := p.ops[from].Base.Kind == Folder
		if folder && !p.wholeFolder(names[i+1:], from, target, to) {
			continue
		}
		if folder {
			done[from] = true
			p.dropBelow(names[i+1:], from, target)
		}
		old, made := p.ops[from], p.ops[target]
		p.ops[from] = &Op{Do: do, Name: from, To: target, Tree: folder, Local: old.Local, Remote: old.Remote, Base: old.Base}
		if do == MoveRemote {
			p.ops[from].Local = made.Local
		} else {
			p.ops[from].Remote = made.Remote
		}
		delete(p.ops, target)
	}
}

// wholeFolder reports whether all that lies below from goes to the same place below target, and nothing else is or comes there.
func (p *planner) wholeFolder(rest []string, from, target string, to map[string]string) bool {
	if below(target, from) || below(from, target) {
		return false
	}
	for _, name := range rest {
		if name > from+"0" { // '0' follows '/'
			break
		}
		if !below(name, from) {
			continue
		}
		if to[name] != target+name[len(from):] {
			return false
		}
	}
	moved := map[string]bool{target: true}
	for name, other := range to {
		if below(name, from) {
			moved[other] = true
		}
	}
	for name := range p.ops {
		if below(name, target) && !moved[name] {
			return false
		}
	}
	for name := range p.v.Remote { // of a folder renamed here, nothing may be at the other place yet
		if p.ops[name] == nil && below(name, target) {
			return false
		}
	}
	return true
}

// dropBelow removes the steps that the move of a folder does.
func (p *planner) dropBelow(rest []string, from, target string) {
	for _, name := range rest {
		if below(name, from) {
			delete(p.ops, name)
			delete(p.ops, target+name[len(from):])
		}
	}
}
