package backend

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// conflictsMax is how often an operation starts over when others change the same thing meanwhile.
const conflictsMax = 32

// CreateContainer makes a container. created is false when the caller's account already has it (the container is returned as it is).
// Exists/Bucket when the global name belongs to another account; Invalid when the block size, the list or the region is not allowed.
func (b *Backend) CreateContainer(ctx context.Context, c Caller, n NewContainer) (container bucket.Container, created bool, err error) {
	const op = "backend.CreateContainer"
	if err := b.decide(ctx, op, c, access.CreateBucket, access.Resource{Account: n.Account, Container: n.Name, Bucket: n.Bucket}, deed{}); err != nil {
		return bucket.Container{}, false, err
	}
	if err := checkConfig(n.Config); err != nil {
		return bucket.Container{}, false, fail(op, err)
	}
	if err := checkLocking(bucket.Config{}, n.Config); err != nil {
		return bucket.Container{}, false, fail(op, err)
	}
	id, err := b.settle(&n)
	if err != nil {
		return bucket.Container{}, false, fail(op, err)
	}
	container, err = b.stores.Buckets.Create(ctx, bucket.Container{
		ID: id, Account: n.Account, Name: n.Name, Bucket: n.Bucket, Region: n.Region, Created: b.now(), Config: n.Config,
	})
	if err == nil {
		return container, true, nil
	}
	if !errs.Is(err, errs.Exists) {
		return bucket.Container{}, false, fail(op, err)
	}
	return b.existing(ctx, op, n, err)
}

// existing answers for a container whose creation failed with Exists: it is the caller's own, or taken.
func (b *Backend) existing(ctx context.Context, op string, n NewContainer, taken error) (bucket.Container, bool, error) {
	var by *bucket.TakenError
	if errors.As(taken, &by) {
		if by.Account != n.Account {
			return bucket.Container{}, false, fail(op, taken)
		}
		container, err := b.stores.Buckets.Resolve(ctx, n.Bucket)
		return container, false, fail(op, underWay(err, n))
	}
	container, err := b.stores.Buckets.Lookup(ctx, n.Account, n.Name)
	if err != nil {
		return bucket.Container{}, false, fail(op, underWay(err, n))
	}
	if container.Bucket != n.Bucket && n.Bucket != "" {
		return bucket.Container{}, false, fail(op, taken)
	}
	return container, false, nil
}

// underWay turns the absence of what had just been there into a conflict: the caller's own container is being made or removed by another request.
func underWay(err error, n NewContainer) error {
	if !errs.Is(err, errs.NotFound) {
		return err
	}
	return errs.Wrap("", errs.Conflict, err).Because("", "another request is making or removing "+string(n.Name))
}

func checkConfig(c bucket.Config) error {
	if c.BlockSize != 0 && (c.BlockSize < block.SizeMin || c.BlockSize > block.SizeMax) {
		return errs.E("", errs.Invalid, errs.Config, "block_size").Because(errs.BadState, "a block size lies between 1 KiB and 16 MiB")
	}
	switch c.Versioning {
	case bucket.VersioningOff, bucket.VersioningEnabled, bucket.VersioningSuspended:
	default:
		return errs.E("", errs.Invalid, errs.Config, "versioning").Because(errs.BadState, "unknown versioning policy")
	}
	switch c.Ownership {
	case "", bucket.BucketOwnerEnforced, bucket.BucketOwnerPreferred, bucket.ObjectWriter:
	default:
		return errs.E("", errs.Invalid, errs.Config, "ownership").Because(errs.BadState, "unknown object ownership")
	}
	return nil
}

// blockSize is the size at which new objects of the container are cut.
func (b *Backend) blockSize(c bucket.Container) int64 {
	if c.Config.BlockSize != 0 {
		return c.Config.BlockSize
	}
	return b.opts.BlockSize
}

// Container shows a container to whoever may do a on it. NotFound/Bucket or NotFound/Container.
func (b *Backend) Container(ctx context.Context, c Caller, r Ref, a access.Action) (bucket.Container, error) {
	const op = "backend.Container"
	container, err := b.find(ctx, r)
	if err != nil {
		return bucket.Container{}, fail(op, err)
	}
	if err := b.may(ctx, c, a, container, ""); err != nil {
		return bucket.Container{}, fail(op, err)
	}
	return container, nil
}

// Containers lists the containers of an account after a name; at most limit. more says that there are others.
func (b *Backend) Containers(ctx context.Context, c Caller, account naming.AccountID, after naming.ContainerName, limit int) (list []bucket.Container, more bool, err error) {
	const op = "backend.Containers"
	if err := b.decide(ctx, op, c, access.ListAllMyBuckets, access.Resource{Account: account}, deed{}); err != nil {
		return nil, false, err
	}
	err = b.stores.Buckets.Containers(ctx, account, after, func(found bucket.Container) bool {
		if more = len(list) >= limit; more {
			return false
		}
		list = append(list, found)
		return true
	})
	if err != nil {
		return nil, false, fail(op, err)
	}
	return list, more, nil
}

// DeleteContainer removes an empty container and frees its bucket name. Open uploads are dropped.
// Errors: NotEmpty when it holds versions; Conflict/Container while another removal of it is under way.
//
// The order is: seal, so that nothing new comes; look whether it is empty, and open it again if not; drop what is left; free the name. A
// process that dies in between leaves the container sealed. The next attempt completes the removal or, if the container was not
// empty, opens it again; nothing that the container held can be left behind without its name.
func (b *Backend) DeleteContainer(ctx context.Context, c Caller, r Ref) error {
	const op = "backend.DeleteContainer"
	container, err := b.toRemove(ctx, c, r)
	if err != nil {
		return fail(op, err)
	}
	defer b.removing.Delete(container.ID)
	if err := b.empty(ctx, container); err != nil {
		return fail(op, err)
	}
	return fail(op, b.forget(ctx, container))
}

// forget removes an emptied container's entry, whatever others change on its configuration meanwhile.
func (b *Backend) forget(ctx context.Context, container bucket.Container) error {
	var err error
	for range conflictsMax {
		err = b.stores.Buckets.Remove(ctx, container)
		if !errs.Is(err, errs.Conflict) {
			break
		}
		id := container.ID
		container, err = b.stores.Buckets.Lookup(ctx, container.Account, container.Name)
		if errs.Is(err, errs.NotFound) || err == nil && container.ID != id {
			return nil // somebody else finished the same removal
		}
		if err != nil {
			break
		}
	}
	return err
}

// empty seals a container and drops what is left of it, or opens it again.
func (b *Backend) empty(ctx context.Context, container bucket.Container) error {
	m := b.stores.Meta
	if err := m.Seal(ctx, container.ID); err != nil {
		return b.unseal(ctx, container, err)
	}
	empty, err := m.Empty(ctx, container.ID, true)
	if err == nil && !empty {
		empty, err = b.dropTraces(ctx, container)
	}
	if err == nil && !empty {
		err = errs.E("", errs.NotEmpty, errs.Container, string(container.Name))
	}
	if err == nil {
		err = m.Drop(ctx, container.ID, container.Account)
	}
	if err != nil {
		return b.unseal(ctx, container, err)
	}
	return nil
}

// unseal opens a container that could not be removed. If even that fails, the next attempt to remove it does.
func (b *Backend) unseal(ctx context.Context, container bucket.Container, cause error) error {
	if errs.Is(cause, errs.Ambiguous) {
		return cause // it may be dropped: a dropped container must stay sealed
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	if err := b.stores.Meta.Unseal(ctx, container.ID); err != nil {
		b.opts.Log.ErrorContext(ctx, "container stays sealed", "container", container.ID.String(), "error", err)
	}
	return cause
}

// Configure changes a container's configuration; change may be called several times, on conflicts. a is the action it needs.
//
// Errors: Invalid/ACLsDisabled when a list is set while lists are disabled, Invalid/ACLsInTheWay when lists are disabled while
// the container's own grants something to others; Denied when a list lets the public in where that is blocked; Conflict when others change it without end.
func (b *Backend) Configure(ctx context.Context, c Caller, r Ref, a access.Action, change func(bucket.Container, *bucket.Config) error) (bucket.Container, error) {
	const op = "backend.Configure"
	var container bucket.Container
	var err error
	for range conflictsMax {
		if container, err = b.find(ctx, r); err != nil {
			break
		}
		if err = b.may(ctx, c, a, container, ""); err != nil {
			break
		}
		next := container
		next.Config = cloneConfig(container.Config)
		if err = change(container, &next.Config); err != nil {
			break
		}
		if err = keepPast(&container.Config, &next.Config, b.now()); err != nil {
			break
		}
		if err = b.checkChange(ctx, container, next); err != nil {
			break
		}
		if err = b.checkPublic(ctx, c, container, next); err != nil {
			break
		}
		if container, err = b.stores.Buckets.Update(ctx, next); !errs.Is(err, errs.Conflict) {
			break
		}
	}
	if err != nil {
		return bucket.Container{}, fail(op, err)
	}
	return container, nil
}

func (b *Backend) checkChange(ctx context.Context, before, after bucket.Container) error {
	if err := checkConfig(after.Config); err != nil {
		return err
	}
	if err := checkLocking(before.Config, after.Config); err != nil {
		return err
	}
	if e := after.Config.Encryption; e != nil && e != before.Config.Encryption {
		if err := b.opts.Keeper.Can(defaultMode(e)); err != nil {
			return err
		}
	}
	if after.Config.Ownership != bucket.BucketOwnerEnforced || len(after.Config.ACL.Grants) == 0 {
		return nil
	}
	owner, err := b.stores.Keys.Account(ctx, after.Account)
	if err != nil {
		return err
	}
	switch {
	case ownerOnly(after.Config.ACL, owner.Canonical):
		return nil
	case before.Config.Ownership != bucket.BucketOwnerEnforced && slices.Equal(before.Config.ACL.Grants, after.Config.ACL.Grants):
		return errs.E("", errs.Invalid, errs.Config, "ownership").
			Because(errs.ACLsInTheWay, "the bucket's access control list grants access to others; remove those grants first")
	}
	return aclsDisabled(errs.Container, string(after.Name))
}

func cloneConfig(c bucket.Config) bucket.Config {
	c.ACL.Grants = slices.Clone(c.ACL.Grants)
	c.Meta = maps.Clone(c.Meta)
	c.Documents = maps.Clone(c.Documents)
	return c
}

// ContainerUsage counts a container; the caller must be allowed to list it.
func (b *Backend) ContainerUsage(ctx context.Context, c Caller, r Ref) (meta.Usage, error) {
	const op = "backend.ContainerUsage"
	container, err := b.Container(ctx, c, r, access.ListBucket)
	if err != nil {
		return meta.Usage{}, fail(op, err)
	}
	u, err := b.stores.Meta.ContainerUsage(ctx, container.ID)
	return u, fail(op, err)
}

// AccountUsage counts an account; its administrators may ask.
func (b *Backend) AccountUsage(ctx context.Context, c Caller, id naming.AccountID) (meta.Usage, error) {
	const op = "backend.AccountUsage"
	if err := b.decide(ctx, op, c, access.ListAllMyBuckets, access.Resource{Account: id}, deed{}); err != nil {
		return meta.Usage{}, err
	}
	u, err := b.stores.Meta.AccountUsage(ctx, id)
	return u, fail(op, err)
}

// BlockSize is the size, in bytes, at which new objects of the container are cut.
func (b *Backend) BlockSize(container bucket.Container) int64 { return b.blockSize(container) }

// toRemove finds a container that the caller may remove, and notes that a removal is under way until the caller takes the note out of b.removing again: two at
// once could open the container again under each other.
func (b *Backend) toRemove(ctx context.Context, c Caller, r Ref) (bucket.Container, error) {
	container, err := b.find(ctx, r)
	if err != nil {
		return container, err
	}
	if err := b.may(ctx, c, access.DeleteBucket, container, ""); err != nil {
		return container, err
	}
	if _, under := b.removing.LoadOrStore(container.ID, true); under {
		return container, errs.E("", errs.Conflict, errs.Container, string(container.Name))
	}
	return container, nil
}

// DeleteWithHistory removes a container that shows no objects, with all the history in it (Pithos+ 6.4). NotEmpty when it shows one; Denied when something in
// it is under retention. New objects are refused while it goes on; if it fails, what is left of the history stays and the container is open again.
func (b *Backend) DeleteWithHistory(ctx context.Context, c Caller, r Ref) error {
	const op = "backend.DeleteWithHistory"
	container, err := b.toRemove(ctx, c, r)
	if err != nil {
		return fail(op, err)
	}
	defer b.removing.Delete(container.ID)
	if err := b.stores.Meta.Seal(ctx, container.ID); err != nil {
		return fail(op, b.unseal(ctx, container, err))
	}
	cur := b.stores.Meta.Scan(ctx, container.ID, meta.View{})
	shown, err := cur.Next(ctx)
	cur.Close()
	if err == nil && shown != nil {
		err = errs.E("", errs.NotEmpty, errs.Container, string(container.Name))
	}
	if err == nil {
		_, err = b.Purge(ctx, c, r, "", b.now().Add(time.Hour), false)
	}
	if err != nil {
		return fail(op, b.unseal(ctx, container, err))
	}
	if err := b.empty(ctx, container); err != nil {
		return fail(op, err)
	}
	return fail(op, b.forget(ctx, container))
}
