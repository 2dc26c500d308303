package backend

import (
	"context"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// limits are the quotas that hold for changes in a container: its account's and its own.
func (b *Backend) limits(ctx context.Context, container bucket.Container) (meta.Limits, error) {
	limits := meta.Limits{
		Account: meta.Limit{Bytes: b.opts.DefaultQuota.Bytes, Objects: b.opts.DefaultQuota.Objects},
		Container: meta.Limit{
			Bytes: container.Config.Quota.Bytes, Objects: container.Config.Quota.Objects,
			ChargeHistory: container.Config.Quota.History && container.Config.Versioning == bucket.VersioningEnabled,
		},
	}
	q, err := b.accountQuotas(ctx, container.Account)
	switch {
	case err != nil:
		return meta.Limits{}, err
	case q.gone:
		return limits, nil
	}
	account, s := q.account, q.settings
	if account.QuotaBytes > 0 {
		limits.Account.Bytes = account.QuotaBytes
	}
	if account.QuotaCount > 0 {
		limits.Account.Objects = account.QuotaCount
	}
	if s.QuotaBytes != 0 {
		limits.Account.Bytes = s.QuotaBytes
	}
	if s.QuotaCount != 0 {
		limits.Account.Objects = s.QuotaCount
	}
	policy := storagePolicy(container)
	if s.PolicyBytes[policy] == 0 && s.PolicyCount[policy] == 0 {
		return limits, nil
	}
	others, err := b.usageBeside(ctx, container, policy)
	limits.Container.Bytes = stricter(limits.Container.Bytes, room(s.PolicyBytes[policy], others.Bytes+others.UploadBytes))
	limits.Container.Objects = stricter(limits.Container.Objects, room(s.PolicyCount[policy], others.Objects))
	return limits, err
}

// Storage policies, as far as quotas go: the document of a container that names its policy, and the policy of those that have none.
const (
	StoragePolicyDocument = "swift-policy"
	StoragePolicyDefault  = "default"
)

func storagePolicy(c bucket.Container) string {
	if name := string(c.Config.Documents[StoragePolicyDocument]); name != "" {
		return name
	}
	return StoragePolicyDefault
}

// usageBeside counts the other containers of the account that have the policy. It is asked only for accounts with a quota for a policy.
func (b *Backend) usageBeside(ctx context.Context, container bucket.Container, policy string) (sum meta.Usage, err error) {
	var failed error
	err = b.stores.Buckets.Containers(ctx, container.Account, "", func(c bucket.Container) bool {
		if c.ID == container.ID || storagePolicy(c) != policy {
			return true
		}
		var used meta.Usage
		if used, failed = b.stores.Meta.ContainerUsage(ctx, c.ID); errs.Is(failed, errs.NotFound) {
			failed = nil // nothing was ever put there
		}
		sum = sum.Add(used)
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	return sum, err
}

// room is what a limit leaves beside what is used.
func room(limit, used int64) int64 {
	switch {
	case limit == 0:
		return 0
	case limit > used:
		return limit - used
	}
	return bucket.LimitNone
}

// stricter is the one of two limits that lets less in.
func stricter(a, b int64) int64 {
	switch {
	case a == 0:
		return b
	case b == 0:
		return a
	}
	return min(a, b)
}

// Demand tells what would refuse a write of a name now, whatever is written: NotFound (Bucket, Container), Denied, or that its condition does not hold (Precondition; NotFound/Object).
func (b *Backend) Demand(ctx context.Context, c Caller, r Ref, name naming.ObjectName, cond object.Precondition) error {
	const op = "backend.Demand"
	container, err := b.find(ctx, r)
	if err != nil {
		return fail(op, err)
	}
	if err := b.may(ctx, c, access.PutObject, container, name); err != nil || cond.IsZero() {
		return fail(op, err)
	}
	_, err = b.meets(ctx, container, name, cond)
	return fail(op, err)
}

// meets reads the newest version of a name, nil when there is none, and tests the condition of a write on it.
func (b *Backend) meets(ctx context.Context, container bucket.Container, name naming.ObjectName, cond object.Precondition) (*object.Version, error) {
	newest, err := b.stores.Meta.Get(ctx, container.ID, name, meta.Which{})
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	return newest, cond.CheckWrite(newest)
}

// admit checks, before the first byte of a body is asked for, what the commit checks again: the conditions and the quotas.
func (b *Backend) admit(ctx context.Context, container bucket.Container, name naming.ObjectName, cond object.Precondition, size int64) (meta.Limits, error) {
	limits, err := b.limits(ctx, container)
	if err != nil {
		return limits, err
	}
	if cond.IsZero() && limits.IsZero() {
		return limits, nil
	}
	newest, err := b.meets(ctx, container, name, cond)
	if err != nil {
		return limits, err
	}
	delta := meta.Usage{Objects: 1, Bytes: max(size, 0), Stored: max(size, 0)}
	if newest != nil && newest.Visible() {
		delta = delta.Add(meta.Usage{Objects: -1, Bytes: -newest.Size})
	}
	return limits, b.allow(ctx, container, limits, delta)
}

// allow tests a change of the counters against the quotas as they are now.
func (b *Backend) allow(ctx context.Context, container bucket.Container, limits meta.Limits, delta meta.Usage) error {
	if limits.IsZero() {
		return nil
	}
	account, err := b.stores.Meta.AccountUsage(ctx, container.Account)
	if err != nil {
		return err
	}
	used, err := b.stores.Meta.ContainerUsage(ctx, container.ID)
	if err != nil {
		return err
	}
	return limits.Allow(account, used, delta)
}
