package pithos

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// getTop serves the top level: sign-in without a token (Pithos+ 3.1), the accounts that share with the caller with one (3.2).
func getTop(ctx context.Context, c *call) (*reply, error) {
	if c.token() == "" {
		user, secret := c.h("X-Auth-User"), c.h("X-Auth-Key")
		if user == "" || secret == "" {
			return nil, bad("X-Auth-User and X-Auth-Key, or X-Auth-Token, are missing")
		}
		token, who, err := c.door.o.SignIn(ctx, user, secret)
		if err != nil {
			return nil, err
		}
		c.set("X-Auth-Token", token)
		c.set("X-Storage-Url", c.external()+c.base+"/"+string(who.Account))
		return empty(http.StatusNoContent), nil
	}
	if err := c.authenticate(ctx); err != nil {
		return nil, err
	}
	accounts, _, err := c.door.b.SharingAccounts(ctx, c.caller, naming.AccountID(c.query.Get("marker")), c.limit())
	if err != nil {
		return nil, err
	}
	list := c.newList("accounts", "")
	for _, id := range accounts {
		a, err := c.door.b.Account(ctx, id)
		if err != nil && !notFound(err) {
			return nil, err
		}
		list.add("account", string(id), field{"name", string(id)}, field{"last_modified", iso(a.Created)})
	}
	return c.sendList(list), nil
}

// getAccount serves HEAD and GET of an account (Pithos+ 4.1, 4.2).
func getAccount(ctx context.Context, c *call) (*reply, error) {
	until, past := c.until()
	owner := c.owns()
	if !owner {
		shares, err := c.door.b.SharesWith(ctx, c.caller, c.owner, nil)
		if err != nil {
			return nil, err
		}
		if !shares || past || c.given("public") {
			return nil, forbidden()
		}
	}
	containers, err := c.containers(ctx, owner)
	if err != nil {
		return nil, err
	}
	v, err := c.viewContainers(ctx, containers, until, past, owner)
	if err != nil {
		return nil, err
	}
	if err := c.checkTimes(v.modified); err != nil {
		return nil, err
	}
	c.set("Last-Modified", wire.FormatDate(v.modified))
	if owner {
		if err := c.describeAccount(ctx, v, until, past); err != nil {
			return nil, err
		}
	}
	if c.r.Method == http.MethodHead {
		return empty(http.StatusNoContent), nil
	}
	l, err := c.containerList(ctx, v, past, owner)
	if err != nil {
		return nil, err
	}
	return c.sendList(l), nil
}

// containers are all containers of the account that the caller sees.
func (c *call) containers(ctx context.Context, owner bool) (all []bucket.Container, err error) {
	var after naming.ContainerName
	for {
		var list []bucket.Container
		var more bool
		if owner {
			list, more, err = c.door.b.Containers(ctx, c.caller, c.owner, after, pageMax)
		} else {
			list, more, err = c.door.b.SharedContainers(ctx, c.caller, c.owner, after, pageMax)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if !more || len(list) == 0 {
			return all, nil
		}
		after = list[len(list)-1].Name
	}
}

// accountView is what an account shows at a moment.
type accountView struct {
	containers []containerView
	bytes      int64
	modified   time.Time // last change now
	last       time.Time // last change before the moment asked for
	settings   backend.AccountSettings
}

type containerView struct {
	bucket.Container
	count, bytes int64
	modified     time.Time
	last         time.Time // with until
}

func (c *call) viewContainers(ctx context.Context, list []bucket.Container, until time.Time, past, owner bool) (*accountView, error) {
	account, err := c.door.b.Account(ctx, c.owner)
	if err != nil && !notFound(err) {
		return nil, err
	}
	settings, err := c.door.b.Settings(ctx, c.owner)
	if err != nil && !notFound(err) {
		return nil, err
	}
	v := &accountView{modified: later(account.Created, settings.Changed), settings: settings}
	for _, container := range list {
		one := containerView{Container: container}
		if one.modified, err = c.lastChange(ctx, container); err != nil {
			return nil, err
		}
		v.modified = later(v.modified, one.modified)
		switch {
		case !owner:
		case past:
			if !container.Created.Before(until) {
				continue
			}
			u, last, err := c.door.b.PastUsage(ctx, c.caller, refOf(container), until)
			if err != nil {
				return nil, err
			}
			one.count, one.bytes, one.last = u.Objects, u.Bytes, later(container.Created, last)
			v.last = later(v.last, one.last)
		default:
			u, err := c.door.b.ContainerUsage(ctx, c.caller, refOf(container))
			if err != nil {
				return nil, err
			}
			one.count, one.bytes = u.Objects, u.Bytes
		}
		v.bytes += one.bytes
		v.containers = append(v.containers, one)
	}
	return v, nil
}

// lastChange is when the container or an object in it last changed.
func (c *call) lastChange(ctx context.Context, container bucket.Container) (time.Time, error) {
	at, err := c.door.b.LastChange(ctx, container)
	return later(container.Created, later(changedOf(&container), at)), err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func refOf(c bucket.Container) backend.Ref { return backend.Ref{Account: c.Account, Name: c.Name} }

// describeAccount sets the headers that only the owner sees.
func (c *call) describeAccount(ctx context.Context, v *accountView, until time.Time, past bool) error {
	c.setInt("X-Account-Container-Count", int64(len(v.containers)))
	c.setInt("X-Account-Bytes-Used", v.bytes)
	if past {
		at := v.last
		if at.IsZero() {
			at = until
		}
		c.set("X-Account-Until-Timestamp", wire.FormatDate(at))
	}
	account, err := c.door.b.Account(ctx, c.owner)
	if err != nil && !notFound(err) {
		return err
	}
	if past && err == nil {
		if v.settings.Meta, err = c.door.b.AccountMetaAt(ctx, c.owner, until); err != nil {
			return err
		}
	}
	for name, members := range v.settings.Groups {
		c.set(escapeName("X-Account-Group-"+normalise(name)), escape(strings.Join(members, ",")))
	}
	quota := strconv.FormatInt(account.QuotaBytes, 10)
	c.set("X-Account-Policy-Quota", quota)
	c.set(escapeName("X-Account-Policy-Quota-"+string(c.owner)), quota)
	c.showMeta("X-Account-Meta-", v.settings.Meta)
	return nil
}

// containerList is the listing of an account (Pithos+ 4.2).
func (c *call) containerList(ctx context.Context, v *accountView, past, owner bool) (*list, error) {
	l := c.newList("account", string(c.owner))
	marker, end, limit := c.query.Get("marker"), c.query.Get("end_marker"), c.limit()
	if c.reversed() {
		slices.Reverse(v.containers)
		marker, end = end, marker
	}
	for _, one := range v.containers {
		if string(one.Name) <= marker || end != "" && string(one.Name) >= end || len(l.items) == limit {
			continue
		}
		if owner && (c.given("shared") || c.given("public")) {
			holds, err := c.holdsShared(ctx, &one.Container)
			if err != nil {
				return nil, err
			}
			if !holds {
				continue
			}
		}
		fields := []field{{"name", string(one.Name)}}
		if owner {
			fields = append(fields, field{"count", one.count}, field{"bytes", one.bytes})
		}
		fields = append(fields, field{"last_modified", iso(one.modified)})
		if owner {
			fields = append(fields, field{"x_container_policy", policyOf(&one.Container)})
		}
		if past {
			fields = append(fields, field{"x_container_until_timestamp", iso(one.last)})
		}
		l.add("container", string(one.Name), fields...)
	}
	return l, nil
}

// holdsShared reports whether a container of the caller's holds something that is shared or published, whichever is asked for.
func (c *call) holdsShared(ctx context.Context, one *bucket.Container) (bool, error) {
	if !one.Config.Shares { // nothing ever was
		return false, nil
	}
	page, err := c.door.b.ListShared(ctx, c.caller, backend.ListRequest{Container: backend.Ref{Account: c.owner, Name: one.Name}, Limit: 1},
		backend.SharedFilter{Lists: c.given("shared"), Public: c.given("public")})
	return len(page.Entries) > 0, err
}

// postAccount changes metadata and groups (Pithos+ 4.3).
func postAccount(ctx context.Context, c *call) (*reply, error) {
	if err := c.mustOwn(); err != nil {
		return nil, err
	}
	merge := c.merges()
	given := c.metadata("X-Account-Meta-", merge)
	groups, err := c.groupsGiven(ctx)
	if err != nil {
		return nil, err
	}
	err = c.door.b.ConfigureAccount(ctx, c.caller, c.owner, access.PutAccount, func(a *backend.AccountSettings) error {
		var err error
		if a.Meta, err = mergeMeta(a.Meta, given, merge); err != nil {
			return err
		}
		if len(groups) == 0 {
			return nil
		}
		next := map[string][]string{}
		if merge {
			maps.Copy(next, a.Groups)
		}
		for name, members := range groups {
			if len(members) == 0 {
				delete(next, name)
			} else {
				next[name] = members
			}
		}
		if len(next) > groupsMax {
			return bad("More than 32 groups")
		}
		a.Groups = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	return empty(c.changed()), nil
}

// merges tells whether what a POST of an account or container sends is added to what is there: always in Swift's dialect (Pithos+ 16.3).
func (c *call) merges() bool { return c.swift || c.given("update") }

// changed is the status of a POST of an account or container (Pithos+ 16.3).
func (c *call) changed() int {
	if c.swift {
		return http.StatusNoContent
	}
	return http.StatusAccepted
}

// groupsGiven reads the group headers (Pithos+ 1.9).
func (c *call) groupsGiven(ctx context.Context) (map[string][]string, error) {
	groups := map[string][]string{}
	for key, value := range c.headers {
		name, ok := strings.CutPrefix(key, "X-Account-Group-")
		if !ok {
			continue
		}
		name = strings.ToLower(name)
		if name == "" || strings.ContainsAny(name, "-_") || utf8.RuneCountInString(name) > memberMax {
			return nil, bad("A group's name has 1 to 256 characters and no '-' or '_'")
		}
		var members []string
		for member := range strings.SplitSeq(strings.ReplaceAll(value, " ", ""), ",") {
			if member == "" || slices.Contains(members, member) {
				continue
			}
			if utf8.RuneCountInString(member) > memberMax {
				return nil, bad("A member of a group has at most 256 characters")
			}
			if err := c.knows(ctx, member); err != nil {
				return nil, err
			}
			members = append(members, member)
		}
		if len(members) > groupsMax {
			return nil, bad("A group has at most 32 members")
		}
		groups[name] = members
	}
	return groups, nil
}

// knows checks that a user or account exists.
func (c *call) knows(ctx context.Context, member string) error {
	ok, err := c.door.b.Knows(ctx, member)
	if err == nil && !ok {
		err = bad("There is no user " + clip(member))
	}
	return err
}

func escapeName(s string) string { return strings.ReplaceAll(escape(s), " ", "%20") }
