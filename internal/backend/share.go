package backend

import (
	"context"
	"crypto/rand"
	"math/big"
	"net/url"
	"slices"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// ShareChange changes what a path shares (Pithos+ 1.8, 1.10); nil fields leave things as they are.
type ShareChange struct {
	Lists  *ShareLists // replaces both lists
	Public *bool       // makes or withdraws the public link; making it twice keeps it
}

// ShareLists are the lists of a path, each member once; see object.Share.
type ShareLists struct{ Read, Write []string }

// Share changes what the path of an object shares, without making a version. Only the owner may.
// Errors: NotFound (Bucket, Container, Object), Denied, Full when lists have too many members.
func (b *Backend) Share(ctx context.Context, c Caller, r Ref, name naming.ObjectName, change ShareChange) (*object.Version, error) {
	const op = "backend.Share"
	container, err := b.find(ctx, r)
	if err != nil {
		return nil, fail(op, err)
	}
	next, err := b.prepareShare(ctx, c, container, name, &change)
	if err != nil {
		return nil, fail(op, err)
	}
	if next == nil {
		next = func(s object.Share) object.Share { return s }
	}
	out, err := b.stores.Meta.Commit(ctx, meta.Change{
		Container: container.ID, Account: container.Account, Name: name, Now: b.now(), Op: meta.Amend,
		Amend: func(v *object.Version) error {
			if !v.Visible() || expired(v, b.now()) {
				return errs.E("", errs.NotFound, errs.Object, string(name))
			}
			v.Share = next(v.Share.Clone())
			return nil
		},
	})
	if err != nil {
		return nil, fail(op, err)
	}
	return out.Version, nil
}

// prepareShare decides whether the caller may change what a path shares, writes the hints, and gives the change for meta.Change.Share; nil
// when nothing is to change.
func (b *Backend) prepareShare(ctx context.Context, c Caller, container bucket.Container, name naming.ObjectName, change *ShareChange) (func(object.Share) object.Share, error) {
	if change == nil || change.Lists == nil && change.Public == nil {
		return nil, nil
	}
	if err := b.may(ctx, c, access.PutObjectSharing, container, name); err != nil {
		return nil, err
	}
	var members []string
	if change.Lists != nil {
		members = slices.Concat(change.Lists.Read, change.Lists.Write)
		if len(members) > membersAtOnce {
			return nil, errs.E("", errs.Invalid, errs.Object, string(name)).Because(errs.BadState, "the lists of an object have at most 256 members")
		}
	}
	if err := b.markShares(ctx, container); err != nil {
		return nil, err
	}
	if err := b.putHints(ctx, "", hintsOf(container, name, members)...); err != nil {
		return nil, err
	}
	id := ""
	if change.Public != nil && *change.Public {
		id = newPublicID()
		target := url.PathEscape(string(container.Account)) + "/" + url.PathEscape(string(container.Name)) + "/" + string(name)
		if err := b.putHints(ctx, target, hintPublic+id); err != nil {
			return nil, err
		}
	}
	return func(s object.Share) object.Share {
		if change.Lists != nil {
			s.Read, s.Write = change.Lists.Read, change.Lists.Write
		}
		switch {
		case change.Public == nil:
		case !*change.Public:
			s.Public = ""
		case s.Public == "":
			s.Public = id
		}
		return s
	}, nil
}

// markShares notes in a container that something in it is shared, so that other containers need not be asked.
func (b *Backend) markShares(ctx context.Context, container bucket.Container) error {
	for range conflictsMax {
		if container.Config.Shares {
			return nil
		}
		next := container
		next.Config = cloneConfig(container.Config)
		next.Config.Shares = true
		_, err := b.stores.Buckets.Update(ctx, next)
		if !errs.Is(err, errs.Conflict) {
			return err
		}
		if container, err = b.stores.Buckets.Lookup(ctx, container.Account, container.Name); err != nil {
			return err
		}
	}
	return errs.E("", errs.Conflict, errs.Container, string(container.Name))
}

// newPublicID draws 128 random bits and writes them in base 62.
func newPublicID() string {
	var raw [publicIDEntropy]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails (Go 1.24)
	return new(big.Int).SetBytes(raw[:]).Text(62)
}

// OpenPublic opens the object that a public link leads to, for whoever has it. NotFound/Object when there is none, without a difference
// between ids that never were and those that are withdrawn.
func (b *Backend) OpenPublic(ctx context.Context, c Caller, id string, cond object.Precondition) (*Object, error) {
	const op = "backend.OpenPublic"
	o, err := b.openPublic(ctx, c, id)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Denied) {
		return nil, errs.E(op, errs.NotFound, errs.Object, "")
	}
	if err != nil {
		return nil, fail(op, err)
	}
	if err := cond.CheckRead(o.Version); err != nil {
		return nil, fail(op, err)
	}
	return o, nil
}

// wholeFor makes of an object with a public link what it stands for: a dynamic manifest's segments and a link's target are read with the rights of whoever wrote the
// manifest or link, so that a writer of a public object cannot show with it what they may not read themselves.
func (b *Backend) wholeFor(ctx context.Context, c Caller, o *Object) (*Object, error) {
	if o.Kind != object.DynamicManifest && o.Kind != object.Link {
		return o, nil
	}
	_, author, err := b.Principal(ctx, o.Author)
	if errs.Is(err, errs.Unauthenticated) { // the author is gone, or may not sign in any more
		return nil, errs.E("", errs.NotFound, errs.Object, "")
	}
	if err != nil {
		return nil, err
	}
	c.Principal = author
	o.reader = c
	return b.whole(ctx, c, o, access.GetObject)
}

func (b *Backend) openPublic(ctx context.Context, c Caller, id string) (*Object, error) {
	if id == "" || len(id) > naming.ContainerNameMax {
		return nil, errs.E("", errs.NotFound, errs.Object, "")
	}
	t, err := b.publicHint(ctx, id)
	if err != nil {
		return nil, err
	}
	container, err := b.find(ctx, t.Container)
	if err != nil {
		return nil, err
	}
	v, err := b.getForReading(ctx, container.ID, t.Name, meta.Which{})
	if err != nil {
		return nil, err
	}
	if !v.Visible() || expired(v, b.now()) || v.Share.Public != id {
		return nil, errs.E("", errs.NotFound, errs.Object, "")
	}
	q := b.resource(container)
	q.Name, q.ObjectOwner, q.ObjectACL, q.Sharing.Link = v.Name, v.Owner, v.ACL, true
	c.Principal = access.Principal{} // the link stands for nobody
	if err := b.decide(ctx, "", c, access.GetObject, q, deed{version: v}); err != nil {
		return nil, err
	}
	return b.wholeFor(ctx, c, &Object{Version: v, Container: container, b: b})
}

// Sharing tells what applies to a path: its own lists or those of a folder above it. The caller may read the object.
func (b *Backend) Sharing(ctx context.Context, container bucket.Container, name naming.ObjectName) (Shared, error) {
	s, err := b.nearest(ctx, container, name, nil)
	return s, fail("backend.Sharing", err)
}

// MayWrite tells whether the caller may write the object, for answers that say so.
func (b *Backend) MayWrite(ctx context.Context, c Caller, container bucket.Container, name naming.ObjectName) (bool, error) {
	q := b.resource(container)
	q.Name = name
	q, err := b.sharing(ctx, c, access.PutObject, container, q)
	if err != nil {
		return false, fail("backend.MayWrite", err)
	}
	may, _, err := b.asks(ctx, c, access.PutObject, q, deed{container: container.ID})
	return may, fail("backend.MayWrite", err)
}

// Knows tells whether a member of a list or group is a user or an account of the service.
func (b *Backend) Knows(ctx context.Context, member string) (bool, error) {
	_, err := b.stores.Keys.Account(ctx, naming.AccountID(member))
	if errs.Is(err, errs.NotFound) {
		_, err = b.stores.Keys.User(ctx, naming.UserID(member))
	}
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return err == nil, fail("backend.Knows", err)
}
