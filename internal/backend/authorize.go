package backend

import (
	"context"
	"log/slog"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Documents of a container that hold Swift's lists, as access.ParseList cleaned them.
const (
	ReadersDocument = "swift-readers"
	WritersDocument = "swift-writers"
)

// Authorize asks the one authorisation function about a container or, with a version, about an object in it. Denied when not allowed;
// the reason goes to the log. Operations below call it themselves; doors call it only for what has no operation here.
func (b *Backend) Authorize(ctx context.Context, c Caller, a access.Action, container bucket.Container, v *object.Version) error {
	q := resource(container)
	if v != nil {
		q.Name, q.ObjectOwner, q.ObjectACL = v.Name, v.Owner, v.ACL
	}
	q, err := b.sharing(ctx, c, a, container, q)
	if err != nil {
		return err
	}
	return b.decide(ctx, "backend.Authorize", c, a, q)
}

// may asks about a container and perhaps a name in it.
func (b *Backend) may(ctx context.Context, c Caller, a access.Action, container bucket.Container, name naming.ObjectName) error {
	q := resource(container)
	q.Name = name
	q, err := b.sharing(ctx, c, a, container, q)
	if err != nil {
		return err
	}
	return b.decide(ctx, "", c, a, q)
}

// mayUpload asks about an open upload.
func (b *Backend) mayUpload(ctx context.Context, c Caller, a access.Action, container bucket.Container, u meta.Upload) error {
	q := resource(container)
	q.Name, q.Initiator = u.Name, u.Initiator
	return b.decide(ctx, "", c, a, q)
}

func resource(container bucket.Container) access.Resource {
	r := access.Resource{
		Account:      container.Account,
		Container:    container.Name,
		Bucket:       container.Bucket,
		ContainerACL: container.Config.ACL,
		Readers:      access.List(container.Config.Documents[ReadersDocument]),
		Writers:      access.List(container.Config.Documents[WritersDocument]),
		ACLsDisabled: container.Config.Ownership == bucket.BucketOwnerEnforced,
	}
	if public := container.Config.PublicAccess; public != nil {
		r.IgnorePublicACLs, r.RestrictPublic = public.IgnoreACLs, public.RestrictPolicy
	}
	return r
}

func (b *Backend) decide(ctx context.Context, op string, c Caller, a access.Action, r access.Resource) error {
	d := access.Decide(access.Request{Principal: c.Principal, Action: a, Resource: r})
	if d.Allowed {
		return nil
	}
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "denied",
		slog.String("request", c.RequestID), slog.String("action", string(a)), slog.String("reason", d.Reason),
		slog.String("account", string(r.Account)), slog.String("container", string(r.Container)), slog.String("object", string(r.Name)),
		slog.String("principal", string(c.User)), slog.String("key", c.AccessKey))
	thing, name := errs.Account, string(r.Account)
	switch {
	case r.Name != "":
		thing, name = errs.Object, string(r.Name)
	case r.Container != "":
		thing, name = errs.Container, string(r.Container)
	}
	return errs.E(op, errs.Denied, thing, name)
}
