package swift

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// getAccount serves GET and HEAD of an account: its counters, its metadata and the list of its containers.
func getAccount(ctx context.Context, c *call) (*reply, error) {
	q, err := c.listing(false)
	if err != nil {
		return nil, err
	}
	usage, err := c.door.b.AccountUsage(ctx, c.caller, c.owner)
	if err != nil {
		return nil, err
	}
	account, err := c.door.b.Account(ctx, c.owner)
	if err != nil {
		return nil, err
	}
	settings, err := c.door.b.AccountSettings(ctx, c.caller, c.owner)
	if err != nil {
		return nil, err
	}
	entries, containers, sums, err := c.listContainers(ctx, q)
	if err != nil {
		return nil, err
	}
	owner := c.owns()
	c.showMetadata("X-Account-Meta-", settings.Meta, owner)
	if owner {
		c.setIf("X-Account-Access-Control", settings.List.Text())
	}
	c.showQuotas(&settings)
	c.set("X-Account-Project-Domain-Id", cmp.Or(account.Domain, key.DomainDefault))
	c.setInt("X-Account-Object-Count", usage.Objects)
	c.setInt("X-Account-Bytes-Used", usage.Bytes)
	c.setInt("X-Account-Container-Count", int64(containers))
	sums.show(c, containers, usage.Objects, usage.Bytes)
	c.setIf("X-Account-Rfc-Compliant-Etags", settings.Meta[etagsMeta])
	c.set("X-Timestamp", timestamp(account.Created))
	return c.list(q, "account", c.account, entries)
}

// listContainers gives the entries of a listing, and how many containers the account has.
func (c *call) listContainers(ctx context.Context, q listing) (entries []entry, count int, sums policySums, err error) {
	after := naming.ContainerName("")
	fold := newFold(q)
	for {
		list, more, err := c.door.b.Containers(ctx, c.caller, c.owner, after, 1000)
		if err != nil {
			return nil, 0, nil, err
		}
		for i := range list {
			found := &list[i]
			after = found.Name
			count++
			if err := sums.add(ctx, c, found); err != nil {
				return nil, 0, nil, err
			}
			fold.add(entry{name: string(found.Name), modified: modifiedOf(found), container: found})
		}
		if !more {
			break
		}
	}
	entries = fold.done()
	if c.r.Method == http.MethodHead {
		return entries, count, sums, nil
	}
	for i := range entries {
		if entries[i].container == nil || q.format == plain {
			continue
		}
		usage, err := c.door.b.ContainerUsage(ctx, c.caller, refOf(entries[i].container))
		if errs.Is(err, errs.NotFound) {
			continue // it was deleted meanwhile
		}
		if err != nil {
			return nil, 0, nil, err
		}
		entries[i].count, entries[i].bytes = usage.Objects, usage.Bytes
	}
	return entries, count, sums, nil
}

// accountQuota is one of the quotas that a request can set: bytes or objects, of the account or of what is in containers of a storage policy.
type accountQuota struct {
	header string // behind "X-Account-"
	bytes  bool
	policy string // "": of the account
}

// accountQuotas are all of them; of the first there is an older name too.
func accountQuotas() []accountQuota {
	all := []accountQuota{{"Meta-Quota-Bytes", true, ""}, {"Quota-Bytes", true, ""}, {"Quota-Count", false, ""}}
	for i := range policies {
		name := policies[i].name
		all = append(all, accountQuota{"Quota-Bytes-Policy-" + titleOf(name), true, name}, accountQuota{"Quota-Count-Policy-" + titleOf(name), false, name})
	}
	return all
}

// of is where the quota stands.
func (q accountQuota) of(s *backend.AccountSettings) int64 {
	switch {
	case q.policy != "" && q.bytes:
		return s.PolicyBytes[q.policy]
	case q.policy != "":
		return s.PolicyCount[q.policy]
	case q.bytes:
		return s.QuotaBytes
	}
	return s.QuotaCount
}

func (q accountQuota) set(s *backend.AccountSettings, n int64) {
	switch {
	case q.policy != "" && q.bytes:
		s.PolicyBytes = with(s.PolicyBytes, q.policy, n)
	case q.policy != "":
		s.PolicyCount = with(s.PolicyCount, q.policy, n)
	case q.bytes:
		s.QuotaBytes = n
	default:
		s.QuotaCount = n
	}
}

func with(m map[string]int64, name string, n int64) map[string]int64 {
	if m == nil {
		m = map[string]int64{}
	}
	if n == 0 {
		delete(m, name)
	} else {
		m[name] = n
	}
	return m
}

// showQuotas sets the headers of the quotas that there are.
func (c *call) showQuotas(s *backend.AccountSettings) {
	for _, q := range accountQuotas() {
		if n := q.of(s); n != 0 {
			c.setInt("X-Account-"+q.header, max(n, 0))
		}
	}
}

// quotas reads what a request changes of the account's quotas; 0 removes.
func (c *call) quotas() (map[accountQuota]int64, error) {
	changes := map[accountQuota]int64{}
	for _, q := range accountQuotas() {
		text, set := c.h("X-Account-"+q.header), c.has("X-Account-"+q.header)
		if !set && c.h("X-Remove-Account-"+q.header) == "" {
			continue
		}
		kind := "count"
		if q.bytes {
			kind = "bytes"
		}
		n, err := quota(map[string]string{"": text}, "", "Invalid "+kind+" quota.")
		if err != nil {
			return nil, err
		}
		changes[q] = *n
	}
	for header := range c.r.Header {
		for _, unknown := range []string{"X-Account-Quota-Bytes-Policy-", "X-Account-Quota-Count-Policy-"} {
			if name, ok := strings.CutPrefix(header, unknown); ok && !slices.ContainsFunc(policies, func(p policy) bool { return strings.EqualFold(p.name, name) }) {
				return nil, bad("Unknown storage policy " + clip(name))
			}
		}
	}
	return changes, nil
}

// postAccount changes an account's metadata, list and quotas. Quotas are for operators of the service only.
func postAccount(ctx context.Context, c *call) (*reply, error) {
	action := access.PutAccount
	quotas, err := c.quotas()
	if len(quotas) > 0 || err != nil {
		action = access.PutAccountQuota
	}
	invalid := err
	changes, err := c.changes("Account")
	if err != nil {
		return nil, err
	}
	delete(changes, "quota-bytes")
	var list *access.AccountList
	if c.has("X-Account-Access-Control") {
		parsed, err := access.ParseAccountList(c.h("X-Account-Access-Control"))
		if err != nil {
			return nil, bad("X-Account-Access-Control invalid: " + messageOf(err))
		}
		list = &parsed
	}
	err = c.door.b.ConfigureAccount(ctx, c.caller, c.owner, action, func(s *backend.AccountSettings) error {
		if invalid != nil {
			return invalid
		}
		for q, n := range quotas {
			q.set(s, n)
		}
		if list != nil {
			s.List = *list
		}
		c.quoteWish("Account").keepMeta(s.Meta)
		return apply(s.Meta, changes)
	})
	if err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}

// timestamp is a moment as X-Timestamp shows it: seconds with five decimals.
func timestamp(at time.Time) string {
	us := max(at.UnixMicro(), 0)
	return formatDecimal(us/1_000_000, us/10%100_000)
}
