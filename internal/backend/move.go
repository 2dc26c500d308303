package backend

import (
	"context"
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

// CopyTree copies or moves an object and everything below it; r is for the object itself, and those below keep their attributes. What can be
// known before is checked before: the rights on every name, and the quota. If something fails all the same, the versions that were made are removed
// again; a version that one of them replaced where no versions are kept does not come back. That nothing may be at the target (If-None-Match: *) is asked for every name.
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
		return naming.ParseObject(below(string(r.Name), t.Delimiter) + strings.TrimPrefix(string(name), prefix))
	}
	if err := b.mayTransfer(ctx, c, from, to, names, target, t.Move); err != nil {
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
	transfer := func(r CopyRequest) (*object.Version, error) {
		if t.Move {
			return b.Move(ctx, c, r)
		}
		v, _, err := b.Copy(ctx, c, r)
		return v, err
	}
	first, err := transfer(r)
	if err != nil {
		return nil, fail(op, err)
	}
	made := []*object.Version{first}
	for _, name := range names {
		var v *object.Version
		next := CopyRequest{Source: Target{Container: r.Source.Container, Name: name}, Container: r.Container}
		next.Change = func(*object.Version, *Attributes) error { return nil }
		if slices.Equal(r.If.IfNoneMatch, []string{"*"}) { // nothing may be there: that holds for the whole tree
			next.If = object.Precondition{IfNoneMatch: r.If.IfNoneMatch}
		}
		if next.Name, err = target(name); err == nil {
			v, err = transfer(next)
		}
		switch {
		case errs.Is(err, errs.NotFound): // it went meanwhile
		case err != nil && t.Move:
			b.moveBack(ctx, c, r, t, made)
			return nil, fail(op, err)
		case err != nil:
			for _, v := range made {
				b.undo(ctx, c, r.Container, v)
			}
			return nil, fail(op, err)
		default:
			made = append(made, v)
		}
	}
	return first, nil
}

// moveBack returns what a failed move of a tree has moved already.
func (b *Backend) moveBack(ctx context.Context, c Caller, r CopyRequest, t Tree, made []*object.Version) {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	for i, v := range made {
		back := CopyRequest{
			Source:    Target{Container: r.Container, Name: v.Name},
			Container: r.Source.Container, Name: r.Source.Name,
			Change: func(*object.Version, *Attributes) error { return nil },
		}
		if i > 0 {
			rest := strings.TrimPrefix(string(v.Name), below(string(r.Name), t.Delimiter))
			back.Name = naming.ObjectName(below(string(r.Source.Name), t.Delimiter) + rest)
		}
		if _, err := b.Move(ctx, c, back); err != nil {
			b.opts.Log.WarnContext(ctx, "an object stays where a failed request moved it", "request", c.RequestID, "object", string(v.Name), "error", err)
		}
	}
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

// DeleteTree deletes an object, if name is not empty, and the current objects below it; their history stays. NotFound/Object when name is not there.
func (b *Backend) DeleteTree(ctx context.Context, c Caller, r Ref, name naming.ObjectName, delimiter string, cond object.Precondition) error {
	const op = "backend.DeleteTree"
	container, err := b.find(ctx, r)
	if err != nil {
		return fail(op, err)
	}
	prefix := ""
	if name != "" {
		prefix = below(string(name), delimiter)
	}
	names, _, err := b.namesBelow(ctx, container, prefix, name)
	if err != nil {
		return fail(op, err)
	}
	for _, each := range names {
		if err := b.may(ctx, c, access.DeleteObject, container, each); err != nil {
			return fail(op, err)
		}
	}
	if name != "" {
		if cond.IsZero() {
			cond.IfMatch = []string{"*"}
		}
		if _, err := b.Delete(ctx, c, DeleteRequest{Target: Target{Container: r, Name: name}, If: cond}); err != nil {
			return fail(op, err)
		}
	}
	for _, each := range names {
		if _, err := b.Delete(ctx, c, DeleteRequest{Target: Target{Container: r, Name: each}}); err != nil {
			return fail(op, err)
		}
	}
	return nil
}
