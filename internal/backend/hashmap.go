package backend

import (
	"context"
	"crypto/md5" // the ETag of S3 and Swift, not a protection
	"encoding/hex"
	"slices"
	"strconv"
	"sync"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// Limits of hashmaps.
const (
	// HashmapMax is the most blocks of a hashmap that is given or taken: 4 TiB in blocks of 4 MiB.
	HashmapMax = 1 << 20
	// md5Max is the size up to which an object made of known blocks is read for its MD5. The ETag of a larger one has the form that S3
	// gives to assembled objects, over the blocks' hashes.
	md5Max = 64 << 20
	// rememberedMax is how many block ids of assembled objects are kept in memory.
	rememberedMax = 1 << 18
)

// Hashmap is the uniform block map of an object (Pithos+ 1.2). An empty object has one entry, the hash of nothing.
type Hashmap struct {
	BlockSize int64
	Size      int64
	Blocks    []block.ID
}

// Root is the object's root hash (Pithos+ 1.3).
func (h *Hashmap) Root() block.ID { return block.RootHash(h.Blocks) }

// MissingError says which blocks a hashmap may not name: they are not stored, or the caller has no right to them. Which of both is not told.
type MissingError struct{ Blocks []block.ID }

func (m *MissingError) Error() string { return strconv.Itoa(len(m.Blocks)) + " blocks have to be sent" }

// MapRequest makes an object out of blocks that are stored already.
type MapRequest struct {
	Container  Ref
	Name       naming.ObjectName
	Attributes Attributes
	If         object.Precondition
	Size       int64
	Blocks     []block.ID
}

// PutBlocks stores loose blocks, which a hashmap of the same user may name for at least a day (the lease). The body is cut at the container's
// block size. Errors: NotFound, Denied, Quota, TooLarge, Invalid (IncompleteBody), Full, Busy.
func (b *Backend) PutBlocks(ctx context.Context, c Caller, r Ref, body Body) ([]block.ID, error) {
	const op = "backend.PutBlocks"
	container, err := b.find(ctx, r)
	if err != nil {
		return nil, fail(op, err)
	}
	if err := b.may(ctx, c, access.PutContainer, container, ""); err != nil {
		return nil, fail(op, err)
	}
	if err := plainOnly(container, nil); err != nil {
		return nil, fail(op, err)
	}
	limits, err := b.limits(ctx, container)
	if err == nil {
		err = b.allow(ctx, container, limits, meta.Usage{Bytes: max(body.Size, 0)})
	}
	if err != nil {
		return nil, fail(op, err)
	}
	w := b.newWriter(leaseOf(c), container.ID)
	w.lease = true
	ids, err := b.receiveLoose(ctx, w, body, b.blockSize(container))
	if err == nil {
		err = w.sync(ctx)
	}
	if err != nil {
		w.giveUp(ctx)
		return nil, fail(op, err)
	}
	return ids, nil
}

// leaseOf is the account that loose blocks of a user are held for: theirs alone, so that the hash of one user's block is worth nothing to another.
func leaseOf(c Caller) naming.AccountID {
	return naming.AccountID(":lease:" + string(c.Account) + ":" + string(c.User))
}

func (b *Backend) receiveLoose(ctx context.Context, w *writer, body Body, blockSize int64) ([]block.ID, error) {
	src := &source{r: body.Reader, declared: body.Size, limit: b.opts.PutMax}
	s, err := b.slabs.Get(ctx, int(blockSize))
	if err != nil {
		return nil, err
	}
	defer s.Free()
	var ids []block.ID
	for !src.ended {
		n, err := src.fill(s.Bytes()[:blockSize])
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		id, data := block.Sum(s.Bytes()[:n]), block.Strip(s.Bytes()[:n])
		if err := w.put(ctx, id, data); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, errs.E("", errs.Invalid, errs.Request, "").Because(errs.IncompleteBody, "there is no block in the body")
	}
	return ids, nil
}

// PutMap writes an object that consists of stored blocks: those of what the caller may read, or has uploaded. Knowing a hash gives nobody bytes.
//
// Errors: those of Put; Conflict/Block with a *MissingError when blocks have to be sent first; Invalid when the number of blocks does not fit
// the size, or a block is longer than its place.
func (b *Backend) PutMap(ctx context.Context, c Caller, r MapRequest) (*object.Version, error) {
	const op = "backend.PutMap"
	container, err := b.find(ctx, r.Container)
	if err != nil {
		return nil, fail(op, err)
	}
	if err := b.may(ctx, c, access.PutObject, container, r.Name); err != nil {
		return nil, fail(op, err)
	}
	if err := b.mayAttach(ctx, c, container, r.Name, &r.Attributes); err != nil {
		return nil, fail(op, err)
	}
	if err := plainOnly(container, nil); err != nil {
		return nil, fail(op, err)
	}
	v, err := b.version(ctx, c, container, r.Name, r.Attributes)
	if err != nil {
		return nil, fail(op, err)
	}
	size := b.blockSize(container)
	refs, err := r.refs(size, b.opts.ObjectMax)
	if err != nil {
		return nil, fail(op, err)
	}
	limits, err := b.admit(ctx, container, r.Name, r.If, r.Size)
	if err != nil {
		return nil, fail(op, err)
	}
	share, err := b.prepareShare(ctx, c, container, r.Name, r.Attributes.Share)
	if err != nil {
		return nil, fail(op, err)
	}
	if err := b.possessed(ctx, c, container.ID, container.Account, r.Name, refs); err != nil {
		return nil, fail(op, err)
	}
	w := b.newWriter(container.Account, container.ID)
	if v.Content.Map, err = b.holdAll(ctx, w, refs); err == nil {
		v.Content.Holder, v.BlockSize, v.Size, v.RootHash = w.holder, size, r.Size, block.RootHash(r.Blocks)
		v.ETag, err = b.tag(ctx, &Object{Version: v, Container: container, b: b}, refs)
	}
	if err != nil {
		w.giveUp(ctx)
		return nil, fail(op, err)
	}
	stored, err := b.publish(ctx, w, container, meta.Change{Version: v, Name: r.Name, If: r.If, Limits: limits, Share: share})
	return stored, fail(op, err)
}

// refs are the entries of the map, checked against the size.
func (r *MapRequest) refs(blockSize, limit int64) ([]block.Ref, error) {
	bad := func(text string) error {
		return errs.E("", errs.Invalid, errs.Object, string(r.Name)).Because(errs.BadState, text)
	}
	switch n := int64(len(r.Blocks)); {
	case r.Size < 0 || r.Size > limit:
		return nil, bad("the size is out of range")
	case r.Size == 0 && (n == 0 || n == 1 && r.Blocks[0] == block.Empty):
		return nil, nil
	case n != (r.Size+blockSize-1)/blockSize:
		return nil, bad("the number of hashes does not fit the size")
	case n > HashmapMax:
		return nil, bad("the hashmap has more than " + strconv.Itoa(HashmapMax) + " hashes")
	}
	refs := make([]block.Ref, len(r.Blocks))
	for i, id := range r.Blocks {
		refs[i] = block.Ref{ID: id, Len: min(blockSize, r.Size-int64(i)*blockSize)}
	}
	return refs, nil
}

// possessed checks that the caller may name every block, and that each fits into its place.
func (b *Backend) possessed(ctx context.Context, c Caller, container naming.ContainerID, owner naming.AccountID, name naming.ObjectName, refs []block.Ref) error {
	place := map[block.ID]int64{} // the shortest place of each
	var ids []block.ID
	for _, ref := range refs {
		if ref.ID == block.Empty {
			continue
		}
		if n, ok := place[ref.ID]; !ok || ref.Len < n {
			if !ok {
				ids = append(ids, ref.ID)
			}
			place[ref.ID] = ref.Len
		}
	}
	accounts := []naming.AccountID{leaseOf(c)}
	switch {
	case c.Operator:
		accounts = append(accounts, owner)
	case c.Admin && c.Account != "":
		accounts = append(accounts, c.Account) // its administrators may read whatever the account holds
	}
	missing := ids
	for _, account := range accounts {
		var err error
		if missing, err = b.notHeld(ctx, account, missing); err != nil {
			return err
		}
	}
	missing, err := b.notInObject(ctx, container, name, missing)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return errs.E("", errs.Conflict, errs.Block, missing[0].String()).With(&MissingError{missing})
	}
	return b.fits(ctx, name, ids, place)
}

// notHeld leaves out the ids that are held for the account.
func (b *Backend) notHeld(ctx context.Context, account naming.AccountID, ids []block.ID) ([]block.ID, error) {
	var rest []block.ID
	for batch := range slices.Chunk(ids, holdBatch) {
		held, err := b.stores.Blobs.Held(ctx, account, batch)
		if err != nil {
			return nil, err
		}
		for i, id := range batch {
			if !held[i] {
				rest = append(rest, id)
			}
		}
	}
	return rest, nil
}

// notInObject leaves out the ids that the object has now: whoever may write it may read it.
func (b *Backend) notInObject(ctx context.Context, container naming.ContainerID, name naming.ObjectName, ids []block.ID) ([]block.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	v, err := b.getForReading(ctx, container, name, meta.Which{})
	if errs.Is(err, errs.NotFound) || err == nil && (!v.Visible() || len(v.Encryption) > 0) {
		return ids, nil
	}
	if err != nil {
		return nil, err
	}
	has := map[block.ID]bool{}
	if v.Content.Map.Kept != nil {
		return ids, nil // no blobstore has them, so they have to be sent
	}
	walk := b.walk(v.Content.Map)
	for {
		ref, ok, err := walk.next(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			return slices.DeleteFunc(ids, func(id block.ID) bool { return has[id] }), nil
		}
		has[ref.ID] = true
	}
}

// fits checks that no block is longer than its place: its bytes would not be those that the hash names.
func (b *Backend) fits(ctx context.Context, name naming.ObjectName, ids []block.ID, place map[block.ID]int64) error {
	long := false
	for batch := range slices.Chunk(ids, holdBatch) {
		if err := b.stores.Blobs.Stat(ctx, batch, func(id block.ID, stored int64) { long = long || stored > place[id] }); err != nil {
			return err
		}
	}
	if long {
		return errs.E("", errs.Invalid, errs.Object, string(name)).Because(errs.BadState, "a block is longer than its place in the hashmap")
	}
	return nil
}

// holdAll takes references on the blocks of a new map. One that has gone since it was asked for has to be sent.
func (b *Backend) holdAll(ctx context.Context, w *writer, refs []block.Ref) (block.Map, error) {
	maps := mapBuilder{w: w}
	for batch := range slices.Chunk(refs, holdBatch) {
		ids := make([]block.ID, 0, len(batch))
		for _, ref := range batch {
			if ref.ID != block.Empty {
				ids = append(ids, ref.ID)
			}
			if err := maps.add(ctx, ref); err != nil {
				return block.Map{}, err
			}
		}
		if len(ids) == 0 {
			continue
		}
		if err := w.intend(ctx); err != nil {
			return block.Map{}, err
		}
		missing, err := b.stores.Blobs.Hold(ctx, blob.Hold{Holder: w.holder, Account: w.account}, ids)
		if err != nil {
			return block.Map{}, err
		}
		if len(missing) > 0 {
			return block.Map{}, errs.E("", errs.Conflict, errs.Block, missing[0].String()).With(&MissingError{missing})
		}
	}
	return maps.finish(ctx)
}

// tag is the ETag of an object that was made of stored blocks.
func (b *Backend) tag(ctx context.Context, o *Object, refs []block.Ref) (string, error) {
	if o.Size <= md5Max {
		d, err := o.digest(ctx, 0, o.Size, nil)
		return hex.EncodeToString(d.MD5[:]), err
	}
	return tagOfRefs(refs), nil
}

func tagOfRefs(refs []block.Ref) string {
	h := md5.New()
	for i := range refs {
		_, _ = h.Write(refs[i].ID[:])
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(refs))
}

// remembered are hashmaps of assembled objects that were worked out.
type remembered struct {
	mu    sync.Mutex
	maps  map[rememberedKey][]block.ID
	order []rememberedKey
	held  int
}

type rememberedKey struct {
	container naming.ContainerID
	name      naming.ObjectName
	id        object.VersionID
}

func (r *remembered) get(k rememberedKey) ([]block.ID, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids, ok := r.maps[k]
	return ids, ok
}

func (r *remembered) put(k rememberedKey, ids []block.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.maps[k]; ok || len(ids) > rememberedMax/2 {
		return
	}
	if r.maps == nil {
		r.maps = map[rememberedKey][]block.ID{}
	}
	r.maps[k] = ids
	r.order = append(r.order, k)
	for r.held += len(ids); r.held > rememberedMax; r.order = r.order[1:] {
		r.held -= len(r.maps[r.order[0]])
		delete(r.maps, r.order[0])
	}
}

// Hashmap is the uniform map of an object. That of an assembled or encrypted object is worked out by reading it; its root hash is then kept with
// the version. TooLarge when it has more than HashmapMax blocks; Corrupt.
func (o *Object) Hashmap(ctx context.Context) (*Hashmap, error) {
	const op = "backend.Object.Hashmap"
	if o.segments != nil { // a manifest's is its own, not that of the segments (Pithos+ 7.2)
		v := *o.Version
		v.Size = o.own
		self := *o
		self.Version, self.segments = &v, nil
		return self.Hashmap(ctx)
	}
	b := o.b
	h := &Hashmap{BlockSize: o.BlockSize, Size: o.Size}
	uniform := o.BlockSize != 0 && len(o.Encryption) == 0
	if !uniform {
		h.BlockSize = b.blockSize(o.Container)
	}
	if o.Size > HashmapMax*h.BlockSize {
		return nil, errs.E(op, errs.TooLarge, errs.Object, string(o.Name)).Because(errs.EntityTooLarge, "the object has too many blocks for a hashmap")
	}
	switch {
	case o.Size == 0:
		h.Blocks = []block.ID{block.Empty}
		return h, nil
	case uniform:
		walk := b.walk(o.Content.Map)
		for {
			ref, ok, err := walk.next(ctx)
			if err != nil {
				return nil, fail(op, err)
			}
			if !ok {
				return h, nil
			}
			h.Blocks = append(h.Blocks, ref.ID)
		}
	}
	key := rememberedKey{o.Container.ID, o.Name, o.ID}
	if ids, ok := b.hashmaps.get(key); ok {
		h.Blocks = ids
		return h, nil
	}
	cut := &cutter{size: int(h.BlockSize)}
	if err := o.CopyTo(ctx, cut, 0, o.Size); err != nil {
		return nil, fail(op, err)
	}
	h.Blocks = cut.finish()
	b.hashmaps.put(key, h.Blocks)
	b.keepRoot(ctx, o, h.Root())
	return h, nil
}

// keepRoot keeps the root hash of an assembled object with its version. That it fails costs only the work of finding it again.
func (b *Backend) keepRoot(ctx context.Context, o *Object, root block.ID) {
	if o.RootHash != (block.ID{}) || len(o.Encryption) > 0 { // it tells of the bytes of an encrypted one
		return
	}
	_, err := b.stores.Meta.Commit(ctx, meta.Change{
		Container: o.Container.ID, Account: o.Container.Account, Name: o.Name, Now: b.now(), Op: meta.Amend,
		Target: meta.Which{By: meta.ByID, ID: o.ID},
		Amend:  func(v *object.Version) error { v.RootHash = root; return nil },
	})
	if err != nil && !errs.Is(err, errs.NotFound) {
		b.opts.Log.DebugContext(ctx, "a root hash is not kept", "error", err)
	}
}

// RootOf is the root hash of an object that a listing shows; that of an assembled one may have to be worked out first.
func (b *Backend) RootOf(ctx context.Context, c Caller, r Ref, s *object.Summary) (block.ID, error) {
	if s.RootHash != (block.ID{}) {
		return s.RootHash, nil
	}
	o, err := b.Open(ctx, c, Target{Container: r, Name: s.Name, Which: meta.Which{By: meta.ByID, ID: s.ID}}, object.Precondition{}, access.GetObject)
	if err != nil {
		return block.ID{}, err
	}
	h, err := o.Hashmap(ctx)
	if errs.ReasonOf(err) == errs.KeyRequired { // only its writer can know
		return block.ID{}, nil
	}
	if err != nil {
		return block.ID{}, err
	}
	return h.Root(), nil
}

// cutter names the blocks of what is written to it.
type cutter struct {
	size int
	buf  []byte
	ids  []block.ID
}

func (c *cutter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if c.buf == nil {
			c.buf = make([]byte, 0, c.size)
		}
		k := min(len(p), c.size-len(c.buf))
		c.buf, p = append(c.buf, p[:k]...), p[k:]
		if len(c.buf) == c.size {
			c.ids = append(c.ids, block.Sum(c.buf))
			c.buf = c.buf[:0]
		}
	}
	return n, nil
}

func (c *cutter) finish() []block.ID {
	if len(c.buf) > 0 {
		c.ids = append(c.ids, block.Sum(c.buf))
	}
	return c.ids
}
