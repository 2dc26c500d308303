package migrate

import (
	"context"

	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// users brings accounts, users and keys over.
func (p *pass) users(ctx context.Context) error {
	have, err := accountsOf(ctx, p.from.Keys)
	if err != nil {
		return err
	}
	kept := map[naming.AccountID]bool{}
	for _, a := range have {
		kept[a.ID] = true
		if err := p.account(ctx, a); err != nil {
			return err
		}
	}
	there, err := accountsOf(ctx, p.to.Writer)
	if err != nil {
		return err
	}
	for _, a := range there {
		if kept[a.ID] {
			continue
		}
		if err := p.differ(ctx, "account", string(a.ID), func() error { return p.dropAccount(ctx, a.ID) }); err != nil {
			return err
		}
	}
	return nil
}

// dropAccount removes an account that the source does not have, with its containers and users.
func (p *pass) dropAccount(ctx context.Context, id naming.AccountID) error {
	containers, err := containersOf(ctx, p.to.Buckets, id)
	if err != nil {
		return err
	}
	for _, c := range containers {
		if err := p.drop(ctx, c); err != nil {
			return err
		}
	}
	users, err := usersOf(ctx, p.to.Writer, id)
	if err != nil {
		return err
	}
	for _, u := range users {
		if err := p.to.Writer.RemoveUser(ctx, u.ID); err != nil {
			return err
		}
	}
	return p.to.Writer.RemoveAccount(ctx, id)
}

func usersOf(ctx context.Context, k key.Reader, a naming.AccountID) (map[naming.UserID]key.User, error) {
	all := map[naming.UserID]key.User{}
	err := k.Users(ctx, a, "", func(u key.User) bool { all[u.ID] = u; return true })
	return all, err
}

func (p *pass) account(ctx context.Context, a key.Account) error {
	there := map[naming.AccountID]key.Account{}
	if t, err := p.to.Writer.Account(ctx, a.ID); err == nil {
		there[a.ID] = t
	} else if !missing(err) {
		return err
	}
	t, ok := there[a.ID]
	a.Revision = t.Revision
	var err error
	switch {
	case !ok:
		err = p.differ(ctx, "account", string(a.ID), func() error { _, err := p.to.Writer.CreateAccount(ctx, a); return err })
		if p.o.Check {
			return err
		}
	case !equal(a, t):
		err = p.differ(ctx, "account", string(a.ID), func() error { _, err := p.to.Writer.UpdateAccount(ctx, a); return err })
	}
	if err != nil {
		return err
	}
	return p.usersOfAccount(ctx, a.ID)
}

func (p *pass) usersOfAccount(ctx context.Context, a naming.AccountID) error {
	have, err := usersOf(ctx, p.from.Keys, a)
	if err != nil {
		return err
	}
	there, err := usersOf(ctx, p.to.Writer, a)
	if err != nil {
		return err
	}
	for id := range there {
		if _, ok := have[id]; ok {
			continue
		}
		if err := p.differ(ctx, "user", string(id), func() error { return p.to.Writer.RemoveUser(ctx, id) }); err != nil {
			return err
		}
	}
	for id, u := range have {
		t, ok := there[id]
		u.Revision = t.Revision
		switch {
		case !ok:
			err = p.differ(ctx, "user", string(id), func() error { _, err := p.to.Writer.CreateUser(ctx, u); return err })
			if p.o.Check {
				continue
			}
		case !equal(u, t):
			err = p.differ(ctx, "user", string(id), func() error { _, err := p.to.Writer.UpdateUser(ctx, u); return err })
		}
		if err != nil {
			return err
		}
		if err := p.keys(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// keys brings a user's keys over. Of a key only the flag that disables it changes; another one under the same id is made anew.
func (p *pass) keys(ctx context.Context, u naming.UserID) error {
	have, err := keysOf(ctx, p.from.Keys, u)
	if err != nil {
		return err
	}
	there, err := keysOf(ctx, p.to.Writer, u)
	if err != nil {
		return err
	}
	for id, t := range there {
		k, ok := have[id]
		k.Disabled = t.Disabled
		if ok && equal(k, t) {
			continue
		}
		if err := p.differ(ctx, "key", id, func() error { return p.to.Writer.RemoveKey(ctx, id) }); err != nil {
			return err
		}
		delete(there, id)
	}
	for id, k := range have {
		t, ok := there[id]
		switch {
		case !ok:
			err = p.differ(ctx, "key", id, func() error { return p.to.Writer.CreateKey(ctx, k) })
		case t.Disabled != k.Disabled:
			err = p.differ(ctx, "key", id, func() error { return p.to.Writer.DisableKey(ctx, id, k.Disabled) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func keysOf(ctx context.Context, k key.Reader, u naming.UserID) (map[string]key.Key, error) {
	all := map[string]key.Key{}
	err := k.Keys(ctx, u, func(k key.Key) bool { all[k.AccessKey] = k; return true })
	return all, err
}
