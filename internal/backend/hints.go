package backend

import (
	"context"
	"net/url"
	"strings"
	"sync"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// The index of what is shared is a container of the service's own, whose names are the index. An entry is a hint: the truth is what the
// newest version of a path shares. A hint is written before what it points to, so nothing shared is without one; one that points to
// nothing any more says nothing, and is removed by whoever meets it. It is removed by the id that it was seen with, so that one which
// was written again meanwhile stays.
const (
	serviceAccount  = naming.OwnAccount
	hintsContainer  = naming.ContainerName("shared")
	hintCarrier     = "c/" // container id, name: the path carries lists or a public id
	hintMember      = "m/" // member, account, container id, name: the path's lists name the member
	hintGroup       = "g/" // account, container id, name: the path's lists name groups of the account's
	hintPublic      = "p/" // public id; the target is account, container, name
	hintsStaleMax   = 64   // stale hints removed by one walk
	hintsAtOnce     = 1000 // hints that a walk looks at before it gives other requests a turn to cancel it
	sharedPathsMax  = 100_000
	membersAtOnce   = 256
	publicIDEntropy = 16 // bytes
)

// hints finds, and makes when needed, the container of the index.
type hints struct {
	mu        sync.Mutex
	container *bucket.Container
}

func (b *Backend) hintsContainer(ctx context.Context) (bucket.Container, error) {
	return b.hintsIn(ctx, true)
}

// hintsFound is the container of the index for those who only read it: NotFound as long as nobody has written one.
func (b *Backend) hintsFound(ctx context.Context) (bucket.Container, error) {
	return b.hintsIn(ctx, false)
}

func (b *Backend) hintsIn(ctx context.Context, create bool) (bucket.Container, error) {
	b.hints.mu.Lock()
	defer b.hints.mu.Unlock()
	if b.hints.container != nil {
		return *b.hints.container, nil
	}
	c, err := b.stores.Buckets.Lookup(ctx, serviceAccount, hintsContainer)
	if create && errs.Is(err, errs.NotFound) {
		c, err = b.stores.Buckets.Create(ctx, bucket.Container{
			ID: naming.NewContainerID(), Account: serviceAccount, Name: hintsContainer, Region: b.opts.Region, Created: b.now(),
		})
		if errs.Is(err, errs.Exists) {
			c, err = b.stores.Buckets.Lookup(ctx, serviceAccount, hintsContainer)
		}
	}
	if err != nil {
		return bucket.Container{}, err
	}
	b.hints.container = &c
	return c, nil
}

// putHints writes hints that all point to the same target.
func (b *Backend) putHints(ctx context.Context, target string, names ...string) error {
	c, err := b.hintsContainer(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		_, err := b.stores.Meta.Commit(ctx, meta.Change{
			Container: c.ID, Account: c.Account, Name: naming.ObjectName(name), Now: b.now(), Op: meta.Put,
			Version: &object.Version{Summary: object.Summary{Null: true, RootHash: block.Empty, UUID: newUUID()}, Target: target},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// walkHints calls fn with what follows prefix in the names of hints from prefix+from on, until fn returns false. Those for which it returns
// stale are removed, some of them.
func (b *Backend) walkHints(ctx context.Context, prefix, from string, fn func(rest string) (more, stale bool, err error)) error {
	c, err := b.hintsFound(ctx)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	cur := b.stores.Meta.Scan(ctx, c.ID, meta.View{})
	defer cur.Close()
	cur.Seek(meta.Position{Name: naming.ObjectName(prefix + from)})
	removed := 0
	for {
		e, err := cur.Next(ctx)
		if err != nil || e == nil {
			return err
		}
		rest, ok := strings.CutPrefix(string(e.Name), prefix)
		if !ok {
			return nil
		}
		more, stale, err := fn(rest)
		if err != nil {
			return err
		}
		if stale && removed < hintsStaleMax {
			removed++
			b.dropHint(ctx, c, e)
		}
		if !more {
			return nil
		}
	}
}

// dropHint removes a hint as it was seen. That it fails does no harm.
func (b *Backend) dropHint(ctx context.Context, c bucket.Container, e *object.Summary) {
	_, err := b.stores.Meta.Commit(ctx, meta.Change{
		Container: c.ID, Account: c.Account, Name: e.Name, Now: b.now(), Op: meta.Remove, Target: meta.Which{By: meta.ByID, ID: e.ID},
	})
	if err != nil && !errs.Is(err, errs.NotFound) {
		b.opts.Log.DebugContext(ctx, "a stale hint stays", "error", err)
	}
}

// publicHint is where a public id points to.
func (b *Backend) publicHint(ctx context.Context, id string) (Target, error) {
	unknown := errs.E("", errs.NotFound, errs.Object, "")
	c, err := b.hintsFound(ctx)
	if errs.Is(err, errs.NotFound) {
		return Target{}, unknown
	}
	if err != nil {
		return Target{}, err
	}
	v, err := b.stores.Meta.Get(ctx, c.ID, naming.ObjectName(hintPublic+id), meta.Which{})
	if errs.Is(err, errs.NotFound) {
		return Target{}, unknown
	}
	if err != nil {
		return Target{}, err
	}
	account, rest, ok := strings.Cut(v.Target, "/")
	container, name, ok2 := strings.Cut(rest, "/")
	a, err1 := url.PathUnescape(account)
	n, err2 := url.PathUnescape(container)
	if !ok || !ok2 || err1 != nil || err2 != nil {
		return Target{}, unknown
	}
	return Target{Container: Ref{Account: naming.AccountID(a), Name: naming.ContainerName(n)}, Name: naming.ObjectName(name)}, nil
}

// hintsOf are the hints of a path in a container that shares with the members.
func hintsOf(container bucket.Container, name naming.ObjectName, members []string) []string {
	path := container.ID.String() + "/" + string(name)
	list := []string{hintCarrier + path}
	grouped := false
	for _, m := range members {
		if strings.HasPrefix(m, string(container.Account)+":") {
			grouped = true // it may be a group, now or later
		}
		list = append(list, hintMember+url.PathEscape(m)+"/"+url.PathEscape(string(container.Account))+"/"+path)
	}
	if grouped {
		list = append(list, hintGroup+url.PathEscape(string(container.Account))+"/"+path)
	}
	return list
}
