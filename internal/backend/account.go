package backend

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
)

// settingsAccount is the account under which the bucketstore keeps what clients set on accounts: a container for each account, of the account's name.
// The keystore cannot keep it, because it may be a file or somebody else's. No parsed account has this name, so no request reaches it.
const settingsAccount = naming.SettingsAccount

// settingsDocument is the document of such a container.
const settingsDocument = "settings"

// AccountSettings is what clients set on an account.
type AccountSettings struct {
	Meta map[string]string  `json:"-"` // Swift metadata, by name in lower case
	List access.AccountList `json:"list,omitzero"`
	// Groups are the account's own lists of users, by name, that sharing lists name (Pithos+ 1.9).
	Groups map[string][]string `json:"groups,omitempty"`
	// The quotas that a reseller's administrator set by request; 0 is none, bucket.LimitNone lets nothing in. They come before those of the keystore.
	QuotaBytes int64 `json:"quota_bytes,omitempty"`
	QuotaCount int64 `json:"quota_objects,omitempty"`
	// PolicyBytes and PolicyCount are quotas by storage policy.
	PolicyBytes map[string]int64 `json:"policy_bytes,omitempty"`
	PolicyCount map[string]int64 `json:"policy_objects,omitempty"`
	// Changed is when a request last changed any of them.
	Changed time.Time `json:"changed,omitzero"`
}

// account finds an account, of any reseller prefix.
func (b *Backend) account(ctx context.Context, id naming.AccountID) (key.Account, error) {
	base, prefix := id.Reseller()
	a, err := b.stores.Keys.Account(ctx, base)
	if err == nil && prefix != "" {
		a = key.Account{
			ID: id, Canonical: key.CanonicalOf(id), DisplayName: string(id), Created: a.Created, Disabled: a.Disabled, Domain: a.Domain, Project: a.Project,
		}
	}
	return a, err
}

// settings reads an account's; found is false when none were ever set.
func (b *Backend) settings(ctx context.Context, a key.Account) (s AccountSettings, kept bucket.Container, err error) {
	kept, err = b.stores.Buckets.Lookup(ctx, settingsAccount, naming.ContainerName(a.ID))
	switch {
	case errs.Is(err, errs.NotFound):
		return AccountSettings{Meta: a.Meta}, bucket.Container{}, nil
	case err != nil:
		return s, kept, err
	}
	if text := kept.Config.Documents[settingsDocument]; len(text) > 0 {
		if err := json.Unmarshal(text, &s); err != nil {
			return s, kept, errs.E("", errs.Corrupt, errs.Account, string(a.ID)).With(err)
		}
	}
	s.Meta = kept.Config.Meta
	return s, kept, nil
}

// AccountSettings reads what clients set on an account, for whoever may look at the account. NotFound/Account. It must not be written to.
func (b *Backend) AccountSettings(ctx context.Context, c Caller, id naming.AccountID) (AccountSettings, error) {
	const op = "backend.AccountSettings"
	if err := b.decide(ctx, op, c, access.ListAllMyBuckets, access.Resource{Account: id}, deed{}); err != nil {
		return AccountSettings{}, err
	}
	s, err := b.Settings(ctx, id)
	return s, fail(op, err)
}

// Settings reads what clients set on an account. It asks nobody's permission: it is for keys that prove a request themselves. It must not be
// written to. NotFound/Account.
func (b *Backend) Settings(ctx context.Context, id naming.AccountID) (AccountSettings, error) {
	const op = "backend.Settings"
	a, err := b.account(ctx, id)
	if err != nil {
		return AccountSettings{}, fail(op, err)
	}
	s, _, err := b.settings(ctx, a)
	return s, fail(op, err)
}

// ConfigureAccount changes what clients set on an account; change may be called several times, on conflicts. The action is access.PutAccount, or
// access.PutAccountQuota for whoever sets quotas. NotFound/Account; what change returns.
func (b *Backend) ConfigureAccount(ctx context.Context, c Caller, id naming.AccountID, action access.Action, change func(*AccountSettings) error) error {
	const op = "backend.ConfigureAccount"
	if err := b.decide(ctx, op, c, action, access.Resource{Account: id}, deed{}); err != nil {
		return err
	}
	a, err := b.account(ctx, id)
	if err != nil {
		return fail(op, err)
	}
	for range conflictsMax {
		if err = b.configureAccount(ctx, a, change); !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.Exists) {
			break
		}
	}
	return fail(op, err)
}

func (b *Backend) configureAccount(ctx context.Context, a key.Account, change func(*AccountSettings) error) error {
	s, kept, err := b.settings(ctx, a)
	if err != nil {
		return err
	}
	next := s
	next.Meta = maps.Clone(s.Meta)
	if next.Meta == nil {
		next.Meta = map[string]string{}
	}
	next.Groups = maps.Clone(s.Groups)
	next.PolicyBytes, next.PolicyCount = maps.Clone(s.PolicyBytes), maps.Clone(s.PolicyCount)
	if err := change(&next); err != nil {
		return err
	}
	next.Changed = b.now()
	text, err := json.Marshal(next)
	if err != nil {
		return errs.E("", errs.Internal, errs.Account, string(a.ID)).With(err)
	}
	cfg := bucket.Config{Meta: next.Meta, Documents: map[string][]byte{settingsDocument: text}}
	if kept.ID == (naming.ContainerID{}) {
		if err := keepPast(&bucket.Config{Meta: s.Meta}, &cfg, next.Changed); err != nil {
			return err
		}
		_, err = b.stores.Buckets.Create(ctx, bucket.Container{
			ID: naming.NewContainerID(), Account: settingsAccount, Name: naming.ContainerName(a.ID), Region: b.opts.Region, Created: b.now(), Config: cfg,
		})
		return err
	}
	if past := kept.Config.Documents[pastDocument]; past != nil {
		cfg.Documents[pastDocument] = past
	}
	if err := keepPast(&kept.Config, &cfg, next.Changed); err != nil {
		return err
	}
	kept.Config = cfg
	_, err = b.stores.Buckets.Update(ctx, kept)
	return err
}

// Administers reports whether the caller may do everything in an account. What cannot be found out is no.
func (b *Backend) Administers(ctx context.Context, c Caller, id naming.AccountID) bool {
	r, err := b.withAccount(ctx, c, access.Resource{Account: id})
	if err != nil {
		return false
	}
	may, _, err := b.asks(ctx, c, access.PutAccount, r, deed{})
	return err == nil && may
}

// withAccount adds to a resource what is known of its account and decides for strangers: administrators need none of it.
func (b *Backend) withAccount(ctx context.Context, c Caller, r access.Resource) (access.Resource, error) {
	if c.Anonymous() || c.Operator || r.Account == "" || c.Owns(r.Account) {
		return r, nil
	}
	a, err := b.account(ctx, r.Account)
	switch {
	case errs.Is(err, errs.NotFound):
		return r, nil
	case err != nil:
		return r, err
	}
	s, _, err := b.settings(ctx, a)
	r.Domain, r.AccountList = a.Domain, s.List
	return r, err
}
