package backend

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	made, err := b.transferAll(ctx, c, r, t, names, target)
	if err == nil {
		var v *object.Version
		if v, err = b.transferOne(ctx, c, r, t); err == nil {
			return v, nil
		}
	}
	return nil, b.takeBack(ctx, c, r, t, made, len(names)+1, fail(op, err))
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
	for _, name := range names {
		next := CopyRequest{Source: Target{Container: r.Source.Container, Name: name}, Container: r.Container}
		next.Change = func(*object.Version, *Attributes) error { return nil }
		if slices.Equal(r.If.IfNoneMatch, []string{"*"}) { // nothing may be there: that holds for the whole tree
			next.If = object.Precondition{IfNoneMatch: r.If.IfNoneMatch}
		}
		if next.Name, err = target(name); err != nil {
			return made, err
		}
		v, err := b.transferOne(ctx, c, next, t)
		switch {
		case errs.Is(err, errs.NotFound): // it went meanwhile
		case err != nil:
			return made, err
		default:
			made = append(made, v)
		}
	}
	return made, nil
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
func (b *Backend) moveBack(ctx context.Context, c Caller, r CopyRequest, t Tree, made []*object.Version) (left int) {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	for _, v := range made {
		rest := strings.TrimPrefix(string(v.Name), below(string(r.Name), t.Delimiter))
		back := CopyRequest{
			Source:    Target{Container: r.Container, Name: v.Name},
			Container: r.Source.Container, Name: naming.ObjectName(below(string(r.Source.Name), t.Delimiter) + rest),
			Change: func(*object.Version, *Attributes) error { return nil },
		}
		if _, err := b.Move(ctx, c, back); err != nil {
			left++
			b.opts.Log.WarnContext(ctx, "an object stays where a failed request moved it", "request", c.RequestID, "object", string(v.Name), "error", err)
		}
	}
	return left
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
	there := object.Precondition{IfMatch: []string{"*"}}
	for i, each := range names {
		request := DeleteRequest{Target: Target{Container: r, Name: each}, If: there}
		if each == name && !cond.IsZero() {
			request.If = cond
		}
		_, err := b.Delete(ctx, c, request)
		if err != nil && (each == name || !errs.Is(err, errs.NotFound)) { // what is below may go meanwhile
			return partly(fail(op, err), fmt.Sprintf("%d of %d objects were deleted: the same request again goes on", i, len(names)))
		}
	}
	return nil
}
