package swift

import (
	"context"
	"net/http"
	"time"

	"pithos/internal/errs"
	"pithos/internal/naming"
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
	entries, containers, sums, err := c.listContainers(ctx, q)
	if err != nil {
		return nil, err
	}
	c.showMetadata("X-Account-Meta-", account.Meta, true) // only owners come here
	c.setInt("X-Account-Object-Count", usage.Objects)
	c.setInt("X-Account-Bytes-Used", usage.Bytes)
	c.setInt("X-Account-Container-Count", int64(containers))
	sums.show(c, containers, usage.Objects, usage.Bytes)
	c.setIf("X-Account-Rfc-Compliant-Etags", account.Meta[etagsMeta])
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

// postAccount changes an account's metadata.
func postAccount(ctx context.Context, c *call) (*reply, error) {
	changes, err := c.changes("Account")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"quota-bytes", "quota-count"} {
		if _, set := changes[name]; set {
			return nil, refusal(http.StatusNotImplemented, "Quotas of accounts are not set here; the service's operator sets them.")
		}
	}
	err = c.door.b.ConfigureAccount(ctx, c.caller, c.owner, func(meta map[string]string) error {
		c.quoteWish("Account").keepMeta(meta)
		return apply(meta, changes)
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
