package filesync

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// flushEvery is how many changes of the state are written at once.
const flushEvery = 256

// run carries a plan out.
type run struct {
	*Sync
	res *Result

	mu     sync.Mutex      // of all below, of res, and of Sync's olds and doubt while a stage runs
	failed map[string]bool // names whose steps were not done
	above  map[string]bool // the folders above them

	index  sync.Once
	places map[block.ID]placeOf // where blocks are in local files
}

// placeOf is a block in a file.
type placeOf struct {
	name string
	at   int64
}

// execute does the steps of a plan, stage by stage. A step whose conditions do not hold any more is left for the next round, and so is what depends on it.
func (s *Sync) execute(ctx context.Context, plan *Plan, res *Result) error {
	r := &run{Sync: s, res: res, failed: map[string]bool{}, above: map[string]bool{}}
	for _, stage := range plan.Stages {
		group, stageCtx := errgroup.WithContext(ctx)
		group.SetLimit(s.o.Parallel)
		for i := range stage {
			op := &stage[i]
			group.Go(func() error { return r.step(stageCtx, op) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	res.complete = true
	return nil
}

// step does one step. Its error ends the round.
func (r *run) step(ctx context.Context, op *Op) error {
	if op.Do > Forget && r.hindered(op) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.res.Later++
		r.fail(op)
		return nil
	}
	var progress Progress
	if op.Do > Forget {
		var end func()
		progress, end = r.board.begin(op)
		defer end()
	}
	e := Event{Do: op.Do.String(), Name: op.Name, To: op.To}
	err := r.do(ctx, op, &e, progress)
	if err == nil {
		return r.did(op, e)
	}
	if ctx.Err() != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.doubtful(op)
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(op)
	switch sort(err) {
	case changed:
		r.doubtful(op)
		r.res.Later++
		return nil
	case refused:
		f := Failure{Do: op.Do.String(), Name: op.Name, Error: err.Error(), Time: r.o.Clock.Now()}
		r.res.Failed = append(r.res.Failed, f)
		e.Error = op.Name + ": " + err.Error()
		r.board.tell(e)
		return nil
	default:
		r.doubtful(op)
		e.Error = op.Name + ": " + err.Error()
		r.board.tell(e)
		return err
	}
}

// did notes that a step was done.
func (r *run) did(op *Op, e Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if op.Do > Forget {
		r.res.Done++
		switch op.Do {
		case Upload:
			r.res.Sent += e.Moved
		case Download:
			r.res.Fetched += e.Moved
		}
		if op.Do != AsideLocal { // told already, with the name of the copy
			r.board.tell(e)
		}
	}
	if r.state.dirty() >= flushEvery {
		return r.state.flush()
	}
	return nil
}

// hindered reports whether a step at, above or below the name was not done.
func (r *run) hindered(op *Op) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range []string{op.Name, op.To} {
		if name == "" {
			continue
		}
		if r.failed[name] || r.above[name] {
			return true
		}
		found := false
		parents(name, func(dir string) bool {
			found = r.failed[dir]
			return !found
		})
		if found {
			return true
		}
	}
	return false
}

func (r *run) fail(op *Op) {
	for _, name := range []string{op.Name, op.To} {
		if name == "" {
			continue
		}
		r.failed[name] = true
		parents(name, func(dir string) bool {
			r.above[dir] = true
			return true
		})
	}
}

// doubtful notes which objects have to be looked at: the step may have been done, or somebody else did another.
func (r *run) doubtful(op *Op) {
	for _, name := range []string{op.Name, op.To} {
		if name != "" {
			r.doubt[name] = struct{}{}
		}
	}
	if op.Tree {
		r.state.setPoint("") // too many names may have changed: list
	}
}

// outcome is what an error means for the round.
type outcome int

const (
	changed outcome = iota // what was seen is there no more: plan again
	refused                // this step cannot be done
	away                   // the service cannot be reached, or nobody knows what happened
)

func sort(err error) outcome {
	var e *errs.Error
	if errors.As(err, &e) {
		switch e.Kind {
		case errs.Precondition, errs.NotFound, errs.Conflict, errs.Exists, errs.NotModified, errs.NotEmpty:
			return changed
		case errs.Denied, errs.Quota, errs.TooLarge, errs.Invalid, errs.Unsupported, errs.Range:
			return refused
		default:
			return away
		}
	}
	if errors.Is(err, errMoved) || errors.Is(err, errInTheWay) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, errNotDir) {
		return changed
	}
	var p *fs.PathError
	if errors.As(err, &p) || errors.Is(err, fs.ErrPermission) || isSystem(err) {
		return refused
	}
	return away
}

func (r *run) do(ctx context.Context, op *Op, e *Event, p Progress) error {
	switch op.Do {
	case Agree:
		r.remember(op.Name, baseOf(op.Local, op.Remote.UUID))
		return nil
	case Forget:
		r.remember(op.Name, nil)
		return nil
	case AsideLocal:
		return r.asideLocal(op)
	case AsideRemote:
		return r.asideRemote(ctx, op, e)
	case MoveRemote:
		return r.moveRemote(ctx, op)
	case MoveLocal:
		return r.moveLocal(op)
	case Upload:
		return r.upload(ctx, op, e, p)
	case Download:
		return r.download(ctx, op, e, p)
	case RemoveRemote:
		return r.removeRemote(ctx, op)
	case RemoveLocal:
		return r.removeLocal(op)
	case Keep:
	}
	return nil
}

func baseOf(l *Local, uuid string) *Base {
	return &Base{Content: l.Content, UUID: uuid, Print: l.Print, Blocks: l.Blocks, Racy: l.Racy}
}

func (r *run) remember(name string, b *Base) {
	r.state.setBase(name, b)
}

// asideLocal makes a conflict copy of the local file. What was known of the name is forgotten first, for good: if the process dies in between, the
// missing file must not look like one that was deleted.
func (r *run) asideLocal(op *Op) error {
	r.state.setBase(op.Name, nil)
	if err := r.state.flush(); err != nil {
		return err
	}
	return r.setAside(op.Name, op.Name)
}

// asideRemote gives an object the name of a conflict copy, which is made from who wrote it and when: whoever else does the same chooses the same name.
func (r *run) asideRemote(ctx context.Context, op *Op, e *Event) error {
	for try := range copiesMax {
		e.To = conflictName(op.Name, op.Remote.By, op.Remote.At, try)
		if r.state.object(e.To) != nil {
			continue
		}
		if err := r.o.Service.Move(ctx, op.Name, e.To, false); err != nil {
			r.mu.Lock()
			r.doubt[e.To] = struct{}{}
			r.mu.Unlock()
			return err
		}
		r.movedObject(op.Name, e.To)
		e.Do = "conflict"
		return nil
	}
	return errMoved
}

// movedObject notes that an object has another name.
func (r *run) movedObject(from, to string) {
	o := r.state.object(from)
	if o == nil {
		return
	}
	next := *o
	next.Name, next.Version = to, 0
	r.state.setMirror(to, &next)
	r.state.setMirror(from, nil)
}

// moveRemote moves what was renamed here.
func (r *run) moveRemote(ctx context.Context, op *Op) error {
	if err := r.o.Service.Move(ctx, op.Name, op.To, op.Tree); err != nil {
		return err
	}
	names := map[string]string{op.Name: op.To}
	if op.Tree {
		for name := range r.state.bases() {
			if below(name, op.Name) {
				names[name] = op.To + name[len(op.Name):]
			}
		}
	}
	for from, to := range names {
		r.movedObject(from, to)
		if b := r.state.base(from); b != nil {
			next := *b
			if l := r.local[to]; l != nil && l.Content == b.Content {
				next.Print, next.Racy = l.Print, l.Racy
			}
			r.state.setBase(to, &next)
			r.state.setBase(from, nil)
		}
	}
	return nil
}

// moveLocal renames what was moved there.
func (r *run) moveLocal(op *Op) error {
	kind, print, err := r.disk.look(op.Name)
	if err != nil {
		return err
	}
	if kind != op.Local.Kind || !print.same(op.Local.Print) {
		return errMoved
	}
	err = r.disk.rename(op.Name, op.To)
	if errors.Is(err, syscall.EXDEV) { // to another file system, mounted in the folder: next time it is fetched and deleted
		b := *op.Base
		b.UUID = ""
		r.state.setBase(op.Name, &b)
		return errMoved
	}
	if err != nil {
		return err
	}
	if !op.Tree {
		kind, now, err := r.disk.look(op.To)
		r.state.setBase(op.Name, nil)
		if err == nil && kind == op.Local.Kind && now.moved(op.Local.Print) {
			b := baseOf(op.Local, op.Remote.UUID)
			b.Print = now
			r.state.setBase(op.To, b)
		}
		return nil // if it changed at this moment, it differs from what was moved there: the next round sees to it
	}
	for name, b := range r.state.bases() {
		if name == op.Name || below(name, op.Name) {
			r.state.setBase(op.To+name[len(op.Name):], b)
			r.state.setBase(name, nil)
		}
	}
	return nil
}

// removeRemote deletes what was deleted here.
func (r *run) removeRemote(ctx context.Context, op *Op) error {
	name := op.Name
	if op.Remote.Implied {
		if !op.Remote.Marker {
			r.remember(op.Name, nil)
			return nil
		}
		name += "/"
	}
	o := r.state.object(name)
	if o == nil {
		return errMoved
	}
	if kind, _, err := r.disk.look(op.Name); err != nil || kind != Nothing { // it is back
		return errors.Join(errMoved, err)
	}
	if err := r.o.Service.Remove(ctx, name, o.Root); err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	r.state.setMirror(name, nil)
	r.remember(op.Name, nil)
	return nil
}

// removeLocal deletes what was deleted there. A file is kept under an old name for a moment.
func (r *run) removeLocal(op *Op) error {
	if op.Local.Kind == Folder {
		err := r.disk.removeFolder(op.Name)
		if errors.Is(err, fs.ErrExist) && r.holdsIgnored(op.Name) {
			err = nil // what is ignored keeps the folder
		}
		if err != nil {
			return err
		}
		r.remember(op.Name, nil)
		return nil
	}
	old, err := r.disk.displace(op.Name, op.Local)
	r.keepOld(old, op.Name, op.Local)
	if err != nil {
		return err
	}
	r.remember(op.Name, nil)
	return r.disk.syncFolder(parent(op.Name))
}

// keepOld notes where an old file is; it is removed when some time has passed.
func (r *run) keepOld(at, name string, seen *Local) {
	if at == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.olds[at] = oldFile{name: name, print: seen.Print, since: r.o.Clock.Now()}
}

// holdsIgnored reports whether a folder holds something, and nothing that is synchronised.
func (r *run) holdsIgnored(folder string) bool {
	entries, err := r.disk.list(folder)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ownPrefix) || !r.ignore.Match(folder+"/"+e.Name(), e.IsDir()) {
			return false
		}
	}
	return err == nil && len(entries) > 0
}

// now is the present, in the clock of the engine.
func (r *run) now() time.Time { return r.o.Clock.Now() }
