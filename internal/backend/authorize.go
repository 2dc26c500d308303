package backend

import (
	"context"
	"log/slog"

	"pithos/internal/access"
	"pithos/internal/access/policy"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Documents of a container that the backend reads: Swift's lists, as access.ParseList cleaned them, and the policy, as it was written.
const (
	ReadersDocument = "swift-readers"
	WritersDocument = "swift-writers"
	PolicyDocument  = "policy"
)

// Authorize asks the one authorisation function about a container or, with a version, about an object in it. Denied when not allowed;
// the reason goes to the log. Operations below call it themselves; doors call it only for what has no operation here.
func (b *Backend) Authorize(ctx context.Context, c Caller, a access.Action, container bucket.Container, v *object.Version) error {
	return b.mayOn(ctx, c, a, container, v, meta.Which{}, deed{})
}

// mayOn asks about a version, which the request named as in which, or about its container when it is nil.
func (b *Backend) mayOn(ctx context.Context, c Caller, a access.Action, container bucket.Container, v *object.Version, which meta.Which, d deed) error {
	q := b.resource(container)
	if v != nil {
		q.Name, q.ObjectOwner, q.ObjectACL = v.Name, v.Owner, v.ACL
		d.version, d.which = v, which
	}
	q, err := b.sharing(ctx, c, a, container, q)
	if err != nil {
		return err
	}
	return b.decide(ctx, "backend.Authorize", c, a, q, d)
}

// OnBehalf gives the caller the service's own rights, for what the service does itself as a part of an action that the caller may do in a container:
// keeping an object that is replaced, for one. Errors: those of Container.
func (b *Backend) OnBehalf(ctx context.Context, c Caller, r Ref, a access.Action) (Caller, error) {
	container, err := b.Container(ctx, c, r, a)
	if err != nil {
		return Caller{}, err
	}
	return Caller{Principal: access.Principal{Account: container.Account, User: c.User, Operator: true}, RequestID: c.RequestID}, nil
}

// may asks about a container and perhaps a name in it.
func (b *Backend) may(ctx context.Context, c Caller, a access.Action, container bucket.Container, name naming.ObjectName) error {
	return b.mayTo(ctx, c, a, container, Target{Name: name}, deed{})
}

// mayTo asks about a target in a container; the deed says more of it.
func (b *Backend) mayTo(ctx context.Context, c Caller, a access.Action, container bucket.Container, t Target, d deed) error {
	q := b.resource(container)
	q.Name, d.container, d.which = t.Name, container.ID, t.Which
	q, err := b.sharing(ctx, c, a, container, q)
	if err != nil {
		return err
	}
	return b.decide(ctx, "", c, a, q, d)
}

// mayUpload asks about an open upload.
func (b *Backend) mayUpload(ctx context.Context, c Caller, a access.Action, container bucket.Container, u meta.Upload) error {
	q := b.resource(container)
	q.Name, q.Initiator = u.Name, u.Initiator
	return b.decide(ctx, "", c, a, q, deed{})
}

func (b *Backend) resource(container bucket.Container) access.Resource {
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
	if text := container.Config.Documents[PolicyDocument]; len(text) > 0 {
		var err error
		if r.Policy, err = b.policies.parse(text, policy.Bucket); err != nil {
			r.PolicyUnread = true
		}
	}
	return r
}

// decide answers Denied, and writes the reason into the log by the request's id. It is never in the error.
func (b *Backend) decide(ctx context.Context, op string, c Caller, a access.Action, r access.Resource, d deed) error {
	r, err := b.withAccount(ctx, c, r)
	if err != nil {
		return err
	}
	allowed, reason, err := b.asks(ctx, c, a, r, d)
	if err != nil || allowed {
		return err
	}
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "denied",
		slog.String("request", c.RequestID), slog.String("action", string(a)), slog.String("reason", reason),
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

// asks puts the question with the facts that policies may look at. An error is that of a fact that could not be found out.
func (b *Backend) asks(ctx context.Context, c Caller, a access.Action, r access.Resource, d deed) (allowed bool, reason string, err error) {
	q := access.Request{Principal: c.Principal, Action: a, Resource: r, Anew: d.anew}
	if r.Policy == nil && c.KeyLimit == nil && len(c.Policies) == 0 {
		said := access.Decide(q)
		return said.Allowed, said.Reason, nil
	}
	f := &factsOf{deed: d, b: b, ctx: ctx, door: c.Facts, name: r.Name, owner: r.Account}
	q.Facts = f
	said := access.Decide(q)
	return said.Allowed, said.Reason, f.err
}
