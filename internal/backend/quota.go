package backend

import (
	"context"

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
			ChargeHistory: container.Config.Quota.Bytes > 0 && container.Config.Versioning == bucket.VersioningEnabled, // old versions take space too
		},
	}
	account, err := b.stores.Keys.Account(ctx, container.Account)
	switch {
	case errs.Is(err, errs.NotFound):
		return limits, nil
	case err != nil:
		return meta.Limits{}, err
	}
	if account.QuotaBytes > 0 {
		limits.Account.Bytes = account.QuotaBytes
	}
	if account.QuotaCount > 0 {
		limits.Account.Objects = account.QuotaCount
	}
	return limits, nil
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
	newest, err := b.stores.Meta.Get(ctx, container.ID, name, meta.Which{})
	if err != nil && !errs.Is(err, errs.NotFound) {
		return limits, err
	}
	if err := cond.CheckWrite(newest); err != nil {
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
