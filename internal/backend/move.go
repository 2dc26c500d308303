package backend

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// treeMax is how many objects one request may copy, move or delete.
const treeMax = 1_000_000

// Move gives an object another path: a copy that keeps the UUID, and then the deletion of the source, whose history stays (Pithos+ 8.3). No data
// moves. A process that dies in between leaves both. A source that is replaced meanwhile is moved as it is then. A move onto itself is a copy onto itself.
//
// Errors: those of Copy; Denied when the caller may not delete the source.
func (b *Backend) Move(ctx context.Context, c Caller, r CopyRequest) (*object.Version, error) {
	const op = "backend.Move"
	from, err := b.find(ctx, r.Source.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	to, err := b.find(ctx, r.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	if err := b.may(ctx, c, access.DeleteObject, from, r.Source.Name); err != nil {
		return nil, fail(op, err)
	}
	r.Source.Which = meta.Which{}
	if from.ID == to.ID && r.Source.Name == r.Name {
		v, _, err := b.Copy(ctx, c, r)
		return v, fail(op, err)
	}
	r.moved = true
	for range conflictsMax {
		v, source, err := b.Copy(ctx, c, r)
		if err != nil {
			return nil, fail(op, err)
		}
		_, err = b.Delete(ctx, c, DeleteRequest{Target: r.Source, If: object.Precondition{IfVersion: source.ID}})
		switch {
		case err == nil:
			return v, nil
		case !errs.Is(err, errs.Precondition) && !errs.Is(err, errs.NotFound):
			b.undo(ctx, c, r.Container, v)
			return nil, fail(op, err)
		case errs.Is(err, errs.NotFound): // somebody else deleted or moved it: then this did not
			b.undo(ctx, c, r.Container, v)
			return nil, fail(op, err)
		}
		r.If = object.Precondition{} // it held when the first copy was made
	}
	return nil, errs.E(op, errs.Conflict, errs.Object, string(r.Source.Name))
}

// undo removes a version that a request made before it failed.
func (b *Backend) undo(ctx context.Context, c Caller, r Ref, v *object.Version) {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	container, err := b.find(ctx, r)
	if err == nil {
		_, err = b.remove(ctx, meta.Change{
			Container: container.ID, Account: container.Account, Name: v.Name, Now: b.now(), Op: meta.Remove, Target: meta.Which{By: meta.ByID, ID: v.ID},
		})
	}
	if err != nil {
		b.opts.Log.WarnContext(ctx, "a version that a failed request made stays", "request", c.RequestID, "object", string(v.Name), "error", err)
	}
}

// Tree is an object and what lies below it: the names that begin with its name and the delimiter.
type Tree struct {
	Delimiter string
	Move      bool
	same      bool // both ends are in one container
}

// CopyTree copies or moves an object and everything below it; r is for the object itself, and those below keep their attributes. It is no
// transaction: others may see a part of it done. What can be known before is checked before: the source, the conditions, the rights on every name, and
// the quota. The object itself comes last, so that what was broken off in the middle, by a crash too, goes on when it is asked for again. If something fails,
// what was made is removed or moved back, and the error tells what was done; a version that was replaced where no versions are kept does not come back. That nothing may be at the
// target (If-None-Match: *) is asked for every name.
//
// Errors: those of Copy and Move; TooLarge when there are more than a million objects.
func (b *Backend) CopyTree(ctx context.Context, c Caller, r CopyRequest, t Tree) (*object.Version, error) {
	const op = "backend.CopyTree"
	from, err := b.find(ctx, r.Source.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	to, err := b.find(ctx, r.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	prefix := below(string(r.Source.Name), t.Delimiter)
	names, size, err := b.namesBelow(ctx, from, prefix, r.Source.Name)
	if err != nil {
		return nil, fail(op, err)
	}
	target := func(name naming.ObjectName) (naming.ObjectName, error) {
		if name == r.Source.Name {
			return r.Name, nil
		}
		return naming.ParseObject(below(string(r.Name), t.Delimiter) + strings.TrimPrefix(string(name), prefix))
	}
	if err := b.mayTransfer(ctx, c, from, to, append(names, r.Source.Name), target, t.Move); err != nil {
		return nil, fail(op, err)
	}
	if _, err := b.openSource(ctx, c, r.Source, r.SourceIf, t.Move || r.Verbatim, r.Opened); err != nil {
		return nil, fail(op, err)
	}
	if _, err := b.admit(ctx, to, r.Name, r.If, 0); err != nil {
		return nil, fail(op, err)
	}
	if from.Account != to.Account || !t.Move {
		limits, err := b.limits(ctx, to)
		if err == nil {
			err = b.allow(ctx, to, limits, meta.Usage{Objects: int64(len(names)), Bytes: size})
		}
		if err != nil {
			return nil, fail(op, err)
		}
	}
	t.same = from.ID == to.ID
	v, made, err := b.transferTree(ctx, c, r, t, names, target)
	if err != nil {
		return nil, b.takeBack(ctx, c, r, t, made, len(names)+1, fail(op, err))
	}
	return v, nil
}

// transferTree copies or moves the names below an object and, last, the object itself. It comes first only where something from below takes its name: "a/b" to "a" when
// there is "a/b/b".
func (b *Backend) transferTree(ctx context.Context, c Caller, r CopyRequest, t Tree, names []naming.ObjectName,
	target func(naming.ObjectName) (naming.ObjectName, error),
) (v *object.Version, made []*object.Version, err error) {
	first := t.same && slices.ContainsFunc(names, func(name naming.ObjectName) bool {
		next, err := target(name)
		return err == nil && next == r.Source.Name
	})
	if first {
		if v, err = b.transferOne(ctx, c, r, t); err != nil {
			return nil, nil, err
		}
	}
	made, err = b.transferAll(ctx, c, r, t, names, target)
	if first {
		return v, append(made, v), err
	}
	if err == nil {
		v, err = b.transferOne(ctx, c, r, t)
	}
	return v, made, err
}

func (b *Backend) transferOne(ctx context.Context, c Caller, r CopyRequest, t Tree) (*object.Version, error) {
	if t.Move {
		return b.Move(ctx, c, r)
	}
	v, _, err := b.Copy(ctx, c, r)
	return v, err
}

// transferAll copies or moves what lies below the object, until something fails.
func (b *Backend) transferAll(ctx context.Context, c Caller, r CopyRequest, t Tree, names []naming.ObjectName,
	target func(naming.ObjectName) (naming.ObjectName, error),
) (made []*object.Version, err error) {
	var mu sync.Mutex
	each := func(name naming.ObjectName) error {
		next := CopyRequest{Source: Target{Container: r.Source.Container, Name: name}, Container: r.Container}
		next.Change = func(*object.Version, *Attributes) error { return nil }
		if slices.Equal(r.If.IfNoneMatch, []string{"*"}) { // nothing may be there: that holds for the whole tree
			next.If = object.Precondition{IfNoneMatch: r.If.IfNoneMatch}
		}
		var err error
		if next.Name, err = target(name); err != nil {
			return err
		}
		v, err := b.transferOne(ctx, c, next, t)
		if errs.Is(err, errs.NotFound) { // it went meanwhile
			return nil
		}
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			made = append(made, v)
		}
		return err
	}
	for _, wave := range waves(t, r.Source.Name, r.Name, names) {
		if err := AtOnce(wave, each); err != nil {
			return made, err
		}
	}
	return made, nil
}

// waves orders the names below an object so that none is replaced before it has been copied or moved itself: where one of the two trees lies in the other,
// the name at which an object arrives may be that of one that is still to go. It then has another length, the same for all, so that the lengths tell
// who goes first. What stands in one wave may be done at once.
func waves(t Tree, source, target naming.ObjectName, names []naming.ObjectName) [][]naming.ObjectName {
	from, to := below(string(source), t.Delimiter), below(string(target), t.Delimiter)
	if !t.same || !strings.HasPrefix(from, to) && !strings.HasPrefix(to, from) {
		return [][]naming.ObjectName{names}
	}
	byLength := map[int][]naming.ObjectName{}
	for _, name := range names {
		byLength[len(name)] = append(byLength[len(name)], name)
	}
	var all [][]naming.ObjectName
	for _, n := range slices.Sorted(maps.Keys(byLength)) {
		all = append(all, byLength[n])
	}
	if len(to) > len(from) {
		slices.Reverse(all)
	}
	return all
}

// treeParallel is how many objects of a tree are worked on at once: those that wait for their commits share its syncs.
const treeParallel = 16

// AtOnce calls fn for all items, several (16) at a time, in their order as far as they begin. After an error it begins no more, but lets what has begun
// come to its end, so that nothing is left of which it is not known whether it was done. It returns one of the errors.
func AtOnce[T any](items []T, fn func(T) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	for range min(treeParallel, len(items)) {
		workers.Go(func() {
			for failed.Load() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(items)) {
					return
				}
				if err := fn(items[i]); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	workers.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// takeBack removes or moves back what a failed request made, and adds to its error what was done.
func (b *Backend) takeBack(ctx context.Context, c Caller, r CopyRequest, t Tree, made []*object.Version, all int, cause error) error {
	done := "copied"
	left := 0
	if t.Move {
		done = "moved"
		left = b.moveBack(ctx, c, r, t, made)
	} else {
		for _, v := range made {
			b.undo(ctx, c, r.Container, v)
		}
	}
	what := fmt.Sprintf("%d of %d objects were %s and put back", len(made), all, done)
	if left > 0 {
		what = fmt.Sprintf("%d of %d objects were %s, and %d of them could not be put back: the same request again goes on", len(made), all, done, left)
	}
	return partly(cause, what)
}

// partly is an error with what was done before it.
func partly(cause error, what string) error {
	e := errs.Wrap("backend.tree", errs.Internal, cause)
	if e.Msg == "" {
		e.Msg = e.Kind.String()
	}
	e.Msg += "; " + what
	return e
}

// moveBack returns what a failed move of a tree has moved already, and counts what it could not.
func (b *Backend) moveBack(ctx context.Context, c Caller, r CopyRequest, t Tree, made []*object.Version) int {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	var left atomic.Int64
	each := func(name naming.ObjectName) error {
		back := CopyRequest{
			Source:    Target{Container: r.Container, Name: name},
			Container: r.Source.Container, Name: r.Source.Name,
			Change: func(*object.Version, *Attributes) error { return nil },
		}
		if rest, ok := strings.CutPrefix(string(name), below(string(r.Name), t.Delimiter)); ok {
			back.Name = naming.ObjectName(below(string(r.Source.Name), t.Delimiter) + rest)
		}
		if _, err := b.Move(ctx, c, back); err != nil {
			left.Add(1)
			b.opts.Log.WarnContext(ctx, "an object stays where a failed request moved it", "request", c.RequestID, "object", string(name), "error", err)
		}
		return nil
	}
	names := make([]naming.ObjectName, len(made))
	for i, v := range made {
		names[i] = v.Name
	}
	for _, wave := range waves(t, r.Name, r.Source.Name, names) {
		_ = AtOnce(wave, each) // it never fails
	}
	return int(left.Load())
}

// below is what names below an object begin with.
func below(name, delimiter string) string {
	if strings.HasSuffix(name, delimiter) {
		return name
	}
	return name + delimiter
}

// namesBelow collects the current objects whose names begin with a prefix, without the one called self, and their sizes.
func (b *Backend) namesBelow(ctx context.Context, container bucket.Container, prefix string, self naming.ObjectName) (names []naming.ObjectName, size int64, err error) {
	cur := b.stores.Meta.Scan(ctx, container.ID, meta.View{})
	defer cur.Close()
	cur.Seek(meta.Position{Name: naming.ObjectName(prefix)})
	for {
		e, err := cur.Next(ctx)
		if err != nil {
			return nil, 0, err
		}
		if e == nil || !strings.HasPrefix(string(e.Name), prefix) {
			return names, size, nil
		}
		if e.Name == self {
			continue
		}
		if len(names) == treeMax {
			return nil, 0, errs.E("", errs.TooLarge, errs.Object, "").Because(errs.EntityTooLarge, "one request moves at most a million objects")
		}
		names = append(names, e.Name)
		size += e.Size
	}
}

func (b *Backend) mayTransfer(ctx context.Context, c Caller, from, to bucket.Container, names []naming.ObjectName,
	target func(naming.ObjectName) (naming.ObjectName, error), move bool,
) error {
	for _, name := range names {
		next, err := target(name)
		if err != nil {
			return err
		}
		if err := b.may(ctx, c, access.PutObject, to, next); err != nil {
			return err
		}
		if !move {
			continue
		}
		if err := b.may(ctx, c, access.DeleteObject, from, name); err != nil {
			return err
		}
	}
	return nil
}

// DeleteTree deletes an object, if name is not empty, and the current objects below it; their history stays. It is no transaction: others may see a part of it
// done. The object itself goes last, so that what was broken off in the middle goes on when it is asked for again; the error tells how much was done.
// NotFound/Object when name is not there.
func (b *Backend) DeleteTree(ctx context.Context, c Caller, r Ref, name naming.ObjectName, delimiter string, cond object.Precondition) error {
	const op = "backend.DeleteTree"
	container, err := b.find(ctx, r)
	if err != nil {
		return fail(op, err)
	}
	prefix := ""
	if name != "" {
		prefix = below(string(name), delimiter)
		o, err := b.Open(ctx, c, Target{Container: r, Name: name}, object.Precondition{}, access.GetObject)
		if err == nil {
			err = cond.CheckWrite(o.Version)
		}
		if err != nil {
			return fail(op, err)
		}
	}
	names, _, err := b.namesBelow(ctx, container, prefix, name)
	if err != nil {
		return fail(op, err)
	}
	if name != "" {
		names = append(names, name)
	}
	for _, each := range names {
		if err := b.may(ctx, c, access.DeleteObject, container, each); err != nil {
			return fail(op, err)
		}
	}
	var done atomic.Int64
	remove := func(each naming.ObjectName) error {
		request := DeleteRequest{Target: Target{Container: r, Name: each}, If: object.Precondition{IfMatch: []string{"*"}}}
		if each == name && !cond.IsZero() {
			request.If = cond
		}
		_, err := b.Delete(ctx, c, request)
		if errs.Is(err, errs.NotFound) && each != name { // what is below may go meanwhile
			err = nil
		}
		if err == nil {
			done.Add(1)
		}
		return err
	}
	lower := names
	if name != "" {
		lower = names[:len(names)-1]
	}
	err = AtOnce(lower, remove)
	if err == nil && name != "" {
		err = remove(name)
	}
	if err != nil {
		return partly(fail(op, err), fmt.Sprintf("%d of %d objects were deleted: the same request again goes on", done.Load(), len(names)))
	}
	return nil
}
