package backend

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"pithos/internal/access"
	"pithos/internal/access/policy"
	"pithos/internal/errs"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
)

// policyCacheMax bounds the texts that the cache keeps, in bytes; a parsed policy takes some ten times its text.
const policyCacheMax = 4 << 20

// policyCache keeps policies that were parsed, by their text: so nothing in it can be out of date.
type policyCache struct {
	mu    sync.RWMutex
	kinds [2]map[string]*policy.Policy
	bytes int
}

// parse gives a policy, from the cache if it is there.
func (c *policyCache) parse(text []byte, kind policy.Kind) (*policy.Policy, error) {
	c.mu.RLock()
	p := c.kinds[kind][string(text)]
	c.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	p, err := policy.Parse(text, kind)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes += len(text); c.bytes > policyCacheMax {
		c.kinds, c.bytes = [2]map[string]*policy.Policy{}, len(text)
	}
	if c.kinds[kind] == nil {
		c.kinds[kind] = map[string]*policy.Policy{}
	}
	c.kinds[kind][string(text)] = p
	return p, nil
}

// attach gives a principal the policies of its user and of the user's groups, in a fixed order. One that cannot be read makes the principal one that
// may do nothing: it may have been there to forbid something.
func (b *Backend) attach(p *access.Principal, user key.User, account key.Account) {
	add := func(attached map[string][]byte) {
		for _, name := range slices.Sorted(maps.Keys(attached)) {
			parsed, err := b.policies.parse(attached[name], policy.Identity)
			if err != nil {
				p.Unread = name
				continue
			}
			p.Policies = append(p.Policies, parsed)
		}
	}
	add(user.Policies)
	for _, group := range user.Groups {
		add(account.GroupPolicies[group])
	}
}

// limit gives a principal the bounds of its access key.
func (b *Backend) limit(p *access.Principal, k key.Key) {
	if len(k.Policy) == 0 {
		return
	}
	var err error
	if p.KeyLimit, err = b.policies.parse(k.Policy, policy.Identity); err != nil {
		p.Unread = k.AccessKey
	}
}

// SetPolicy gives a container a policy, or with nil takes it away. A policy that lets the public in is Denied where that is blocked.
// Errors: Invalid (BadPolicy, EntityTooLarge), NotFound, Denied, Conflict.
func (b *Backend) SetPolicy(ctx context.Context, c Caller, r Ref, text []byte) error {
	const op = "backend.SetPolicy"
	action := access.PutBucketPolicy
	if text == nil {
		action = access.DeleteBucketPolicy
	}
	_, err := b.Configure(ctx, c, r, action, func(container bucket.Container, config *bucket.Config) error {
		if text == nil {
			delete(config.Documents, PolicyDocument)
			return nil
		}
		p, err := policy.Parse(text, policy.Bucket)
		if err != nil {
			return err
		}
		name := string(container.Bucket)
		if name == "" {
			name = string(container.Name)
		}
		if err := p.CheckBucket(name); err != nil {
			return err
		}
		if config.Documents == nil {
			config.Documents = map[string][]byte{}
		}
		config.Documents[PolicyDocument] = text
		return nil
	})
	return fail(op, err)
}

// Policy gives the policy of a container as it was written. NotFound/Config when it has none.
func (b *Backend) Policy(ctx context.Context, c Caller, r Ref) ([]byte, error) {
	const op = "backend.Policy"
	container, err := b.Container(ctx, c, r, access.GetBucketPolicy)
	if err != nil {
		return nil, fail(op, err)
	}
	text := container.Config.Documents[PolicyDocument]
	if len(text) == 0 {
		return nil, errs.E(op, errs.NotFound, errs.Config, PolicyDocument)
	}
	return text, nil
}

// Public tells whether a container's policy or its access control list lets the public in, as the public access block leaves them. Lists of single
// objects do not count.
func (b *Backend) Public(ctx context.Context, c Caller, r Ref) (bool, error) {
	const op = "backend.Public"
	container, err := b.Container(ctx, c, r, access.GetBucketPolicyStatus)
	if err != nil {
		return false, fail(op, err)
	}
	q := b.resource(container)
	list := q.ContainerACL.Public() && !q.ACLsDisabled && !q.IgnorePublicACLs
	return q.Policy.Public() || list || !q.RestrictPublic && q.Readers.Public(), nil
}

// checkPolicy refuses a policy that lets the public in, where that is blocked. What stood before may stay.
func (b *Backend) checkPolicy(ctx context.Context, c Caller, before, after bucket.Container) error {
	was, is := before.Config.Documents[PolicyDocument], after.Config.Documents[PolicyDocument]
	if len(is) == 0 || bytes.Equal(was, is) || !after.Config.PublicAccess.BlockPolicy {
		return nil
	}
	p, err := b.policies.parse(is, policy.Bucket)
	if err == nil && p.Public() {
		err = b.publicBlocked(ctx, c, after, errs.Container)
	}
	return err
}
