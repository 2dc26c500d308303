package backend

import (
	"context"
	"slices"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// spliceTriesMax is how often an update starts over because others changed the object meanwhile: appends of many clients wait for each other so.
const spliceTriesMax = 128

// SpliceRequest changes bytes of an object (Pithos+ 8.4.2). What is not changed is shared with the version before.
type SpliceRequest struct {
	Container Ref
	Name      naming.ObjectName
	If        object.Precondition // on the object as it is

	// Offset is where the new bytes go; -1 appends. Length is how many they are, -1: as many as come.
	Offset, Length int64
	// Total, if not -1, must be the object's size, and the new bytes must lie inside it.
	Total int64
	// Truncate, if not -1, cuts the result to so many bytes if it is longer.
	Truncate int64

	Body Body        // the new bytes,
	From *PartSource // or where to take them
	// Change, if set, changes the attributes too. Share may be set by it.
	Change func(v *object.Version, a *Attributes) error
}

// Splice writes bytes into an object, atomically against other writers: of several appends none overlaps another or vanishes.
//
// Errors: those of Put; NotFound/Object; Range when the place does not fit the object; Invalid (IncompleteBody, BadSize) when the
// source is shorter than Length.
func (b *Backend) Splice(ctx context.Context, c Caller, r SpliceRequest) (*object.Version, error) {
	const op = "backend.Splice"
	container, err := b.find(ctx, r.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	if err := b.may(ctx, c, access.PutObject, container, r.Name); err != nil {
		return nil, fail(op, err)
	}
	old, err := b.standing(ctx, container, r.Name)
	if err != nil {
		return nil, fail(op, err)
	}
	if err := plainOnly(container, old); err != nil {
		return nil, fail(op, err)
	}
	if err := r.check(old, r.Length); err != nil {
		return nil, fail(op, err)
	}
	w, piece, n, err := b.piece(ctx, c, container, r)
	defer w.giveUp(ctx) // what the new version shares of it, that holds itself
	if err != nil {
		return nil, fail(op, err)
	}
	for range spliceTriesMax {
		var v *object.Version
		v, err = b.spliceOnce(ctx, c, container, r, piece, n)
		if err == nil {
			return v, nil
		}
		again := errs.Is(err, errs.Precondition) || errs.IsThing(err, errs.Conflict, errs.Version) || errs.Is(err, errs.Corrupt)
		if !again {
			return nil, fail(op, err)
		}
		now, e := b.standing(ctx, container, r.Name)
		if e != nil {
			return nil, fail(op, e)
		}
		if now.ID == old.ID {
			return nil, fail(op, err)
		}
		old = now
	}
	return nil, fail(op, err)
}

// standing is the newest version of a name, which must be an object.
func (b *Backend) standing(ctx context.Context, container bucket.Container, name naming.ObjectName) (*object.Version, error) {
	v, err := b.getForReading(ctx, container.ID, name, meta.Which{})
	if err == nil && (!v.Visible() || expired(v, b.now())) {
		err = errs.E("", errs.NotFound, errs.Object, string(name))
	}
	return v, err
}

// check tests the request against the object as it is; n is -1 while it is not known how many bytes come.
func (r *SpliceRequest) check(v *object.Version, n int64) error {
	if err := r.If.CheckWrite(v); err != nil {
		return err
	}
	off := r.Offset
	if off < 0 {
		off = v.Size
	}
	if off > v.Size || r.Total >= 0 && (r.Total != v.Size || off >= v.Size || off+max(n, 1) > v.Size) {
		return errs.E("", errs.Range, errs.Object, string(v.Name))
	}
	return nil
}

// piece brings the new bytes into the store, held by a writer of their own.
func (b *Backend) piece(ctx context.Context, c Caller, container bucket.Container, r SpliceRequest) (*writer, block.Map, int64, error) {
	w := b.newWriter(container.Account, container.ID)
	if r.From != nil {
		o, err := b.openSource(ctx, c, r.From.Source, r.From.If, false, false)
		if err != nil {
			return w, block.Map{}, 0, err
		}
		if err := plainOnly(container, o.Version); err != nil {
			return w, block.Map{}, 0, err
		}
		n := r.Length
		if n < 0 {
			n = o.Size
		}
		if n > o.Size {
			return w, block.Map{}, 0, errs.E("", errs.Invalid, errs.Object, string(o.Name)).Because(errs.BadState, "the source is shorter than the range")
		}
		s := sharer{w: w, maps: mapBuilder{w: w}}
		err = o.each(ctx, 0, n, func(part *Object, off, n int64) error { return s.shareOf(ctx, part, off, n) })
		if err != nil {
			return w, block.Map{}, 0, b.vanished(ctx, o, err)
		}
		m, err := s.finish(ctx)
		return w, m, n, err
	}
	got, err := b.receive(ctx, w, r.Body, b.blockSize(container), b.opts.PutMax)
	if err == nil && r.Length >= 0 && got.digests.Size != r.Length {
		err = errs.E("", errs.Invalid, errs.Request, "").Because(errs.IncompleteBody, "the body does not have as many bytes as the range")
	}
	return w, got.content.Map, got.digests.Size, err
}

func (b *Backend) spliceOnce(ctx context.Context, c Caller, container bucket.Container, r SpliceRequest, piece block.Map, n int64) (*object.Version, error) {
	old, err := b.standing(ctx, container, r.Name)
	if err != nil {
		return nil, err
	}
	if err := plainOnly(container, old); err != nil {
		return nil, err
	}
	if err := r.check(old, n); err != nil {
		return nil, err
	}
	a := attributesOf(old)
	a.Kind, a.Target, a.Note = object.Data, "", "" // the manifest of a large object would not tell the truth any more
	if r.Change != nil {
		if err := r.Change(old, &a); err != nil {
			return nil, err
		}
	}
	off := r.Offset
	if off < 0 {
		off = old.Size
	}
	size := max(old.Size, off+n)
	strands := []strand{{old.Content.Map, 0, off}, {piece, 0, n}}
	if off+n < size {
		strands = append(strands, strand{old.Content.Map, off + n, size - off - n})
	}
	if r.Truncate >= 0 && r.Truncate < size {
		size = r.Truncate
		strands = clip(strands, size)
	}
	if size > b.opts.ObjectMax {
		return nil, tooLarge()
	}
	cond := object.Precondition{IfVersion: old.ID}
	limits, err := b.admit(ctx, container, r.Name, cond, size)
	if err != nil {
		return nil, err
	}
	share, err := b.prepareShare(ctx, c, container, r.Name, a.Share)
	if err != nil {
		return nil, err
	}
	v, err := b.version(ctx, c, container, r.Name, a)
	if err != nil {
		return nil, err
	}
	w := b.newWriter(container.Account, container.ID)
	if err := b.splice(ctx, w, container, old, v, strands, size); err != nil {
		w.giveUp(ctx)
		return nil, err
	}
	return b.publish(ctx, w, container, meta.Change{Version: v, Name: r.Name, If: cond, Limits: limits, Share: share})
}

// splice gives v the bytes of the strands. A uniform map stays uniform; what was assembled stays so, and nothing of it is read.
func (b *Backend) splice(ctx context.Context, w *writer, container bucket.Container, old, v *object.Version, strands []strand, size int64) error {
	s := sharer{w: w, maps: mapBuilder{w: w}}
	var (
		err  error
		refs []block.Ref
		root block.Root
	)
	if old.BlockSize != 0 || old.Size == 0 {
		v.BlockSize = old.BlockSize
		setDefault(&v.BlockSize, b.blockSize(container))
		note := func(ref block.Ref) {
			root.Add(ref.ID)
			refs = append(refs, ref)
		}
		weave := weaver{
			b: b, size: v.BlockSize, strands: strands,
			whole: func(ctx context.Context, ref block.Ref, kept []byte) error { note(ref); return s.whole(ctx, ref, kept) },
			made: func(ctx context.Context, data []byte) error {
				ref := block.Ref{ID: block.Sum(data), Len: int64(len(data))}
				note(ref)
				if err := w.put(ctx, ref.ID, block.Strip(data)); err != nil {
					return err
				}
				return s.enter(ctx, ref)
			},
		}
		err = weave.weave(ctx)
		v.RootHash = root.Sum()
	} else {
		for _, st := range strands {
			if err = s.share(ctx, b.walk(st.m), st.off, st.n); err != nil {
				break
			}
		}
		v.RootHash = block.ID{}
	}
	if err != nil {
		return err
	}
	if v.Content.Map, err = s.finish(ctx); err != nil {
		return err
	}
	v.Content.Holder, v.Size = w.holder, size
	o := &Object{Version: v, Container: container, b: b}
	if size > md5Max && refs == nil {
		v.ETag, err = b.tagOfMap(ctx, v.Content.Map)
		return err
	}
	v.ETag, err = b.tag(ctx, o, refs)
	return err
}

// tagOfMap is tag for an assembled map.
func (b *Backend) tagOfMap(ctx context.Context, m block.Map) (string, error) {
	var refs []block.Ref
	walk := b.walk(m)
	for {
		ref, ok, err := walk.next(ctx)
		if err != nil {
			return "", err
		}
		if !ok {
			return tagOfRefs(refs), nil
		}
		refs = append(refs, ref)
	}
}

// clip cuts strands to n bytes.
func clip(strands []strand, n int64) []strand {
	out := slices.Clone(strands)
	for i := range out {
		out[i].n = min(out[i].n, n)
		n -= out[i].n
	}
	return out
}
