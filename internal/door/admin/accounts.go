package admin

import (
	"cmp"
	"context"
	"net/http"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// writer is the writable keystore, or the error of a keystore that has no such side.
func (d *Door) writer(op string) (key.Writer, error) {
	if d.o.Writer == nil {
		return nil, errs.E(op, errs.Unsupported, errs.Request, "").
			Because("", "the users stand in "+cmp.Or(d.o.UsersFile, "the configuration file")+": change keystore.users there; a running server reads them again within 10 seconds, or at SIGHUP")
	}
	return d.o.Writer, nil
}

func (d *Door) showAccountRecord(ctx context.Context, a key.Account) (Account, error) {
	u, err := d.o.Usage.AccountUsage(ctx, a.ID)
	if err != nil {
		return Account{}, errs.Wrap("admin.showAccount", errs.Internal, err)
	}
	q := Quota{Bytes: a.QuotaBytes, Objects: a.QuotaCount}
	if a.QuotaBytes == 0 && a.QuotaCount == 0 && d.o.Quota != (bucket.Limit{}) {
		q = Quota{Bytes: d.o.Quota.Bytes, Objects: d.o.Quota.Objects, Default: true}
	}
	return Account{
		ID: string(a.ID), Canonical: a.Canonical, DisplayName: a.DisplayName, Email: a.Email, Created: a.Created, Disabled: a.Disabled,
		Quota: q, Usage: u,
	}, nil
}

func (d *Door) listAccounts(r *http.Request) (any, error) {
	var list []key.Account
	err := d.o.Keys.Accounts(r.Context(), naming.AccountID(r.FormValue("after")), func(a key.Account) bool {
		list = append(list, a)
		return len(list) <= pageMax
	})
	if err != nil {
		return nil, errs.Wrap("admin.listAccounts", errs.Internal, err)
	}
	page := Page[Account]{Items: []Account{}}
	for i, a := range list {
		if i == pageMax {
			page.Next = page.Items[i-1].ID
			break
		}
		shown, err := d.showAccountRecord(r.Context(), a)
		if err != nil {
			return nil, err
		}
		page.Items = append(page.Items, shown)
	}
	return page, nil
}

func (d *Door) showAccount(r *http.Request) (any, error) {
	a, err := d.o.Keys.Account(r.Context(), naming.AccountID(r.PathValue("account")))
	if err != nil {
		return nil, errs.Wrap("admin.showAccount", errs.Internal, err)
	}
	return d.showAccountRecord(r.Context(), a)
}

func (d *Door) addAccount(r *http.Request) (any, error) {
	const op = "admin.addAccount"
	var n NewAccount
	if err := read(r, &n); err != nil {
		return nil, err
	}
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	a, err := d.newAccount(n)
	if err != nil {
		return nil, err
	}
	a, err = w.CreateAccount(r.Context(), a)
	if err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "account added", "account", a.ID)
	return d.showAccountRecord(r.Context(), a)
}

// newAccount checks a new account and fills in what was left out.
func (d *Door) newAccount(n NewAccount) (key.Account, error) {
	const op = "admin.newAccount"
	id, err := naming.ParseAccount(n.ID)
	if err != nil {
		return key.Account{}, errs.Wrap(op, errs.Internal, err)
	}
	if n.Canonical != "" {
		if err := key.CheckCanonical(n.Canonical); err != nil {
			return key.Account{}, errs.Wrap(op, errs.Internal, err)
		}
	}
	if err := checkText(n.DisplayName, n.Email); err != nil {
		return key.Account{}, err
	}
	if n.Bytes < 0 || n.Objects < 0 {
		return key.Account{}, badQuota()
	}
	return key.Account{
		ID: id, Canonical: cmp.Or(n.Canonical, key.CanonicalOf(id)), DisplayName: cmp.Or(n.DisplayName, n.ID), Email: n.Email,
		Created: d.o.Clock.Now().UTC(), QuotaBytes: n.Bytes, QuotaCount: n.Objects,
	}, nil
}

func badQuota() error {
	return errs.E("admin.quota", errs.Invalid, errs.Request, "").Because(errs.BadState, "a quota is a number of bytes or objects, or 0 for no limit")
}

func checkText(displayName, email string) error {
	if len(displayName) > 256 || hasControl(displayName) {
		return errs.E("admin.checkText", errs.Invalid, errs.Request, "").Because(errs.BadName, "a display name has at most 256 bytes and no control characters")
	}
	if email != "" {
		return key.CheckEmail(email)
	}
	return nil
}

func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return true
		}
	}
	return false
}

func (d *Door) changeAccount(r *http.Request) (any, error) {
	const op = "admin.changeAccount"
	var c AccountChange
	if err := read(r, &c); err != nil {
		return nil, err
	}
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	if err := checkText(deref(c.DisplayName), deref(c.Email)); err != nil {
		return nil, err
	}
	if deref(c.Bytes) < 0 || deref(c.Objects) < 0 {
		return nil, badQuota()
	}
	id := naming.AccountID(r.PathValue("account"))
	var a key.Account
	err = retry(func() error {
		if a, err = d.o.Keys.Account(r.Context(), id); err != nil {
			return err
		}
		set(&a.DisplayName, c.DisplayName)
		set(&a.Email, c.Email)
		set(&a.Disabled, c.Disabled)
		set(&a.QuotaBytes, c.Bytes)
		set(&a.QuotaCount, c.Objects)
		a, err = w.UpdateAccount(r.Context(), a)
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "account changed", "account", id)
	return d.showAccountRecord(r.Context(), a)
}

// removeAccount forgets an account that has neither users nor containers. The keystore refuses while users are left, so nobody can
// make a container after the check: the check comes second in effect, since without users nobody is authorised for the account.
func (d *Door) removeAccount(r *http.Request) (any, error) {
	const op = "admin.removeAccount"
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	id := naming.AccountID(r.PathValue("account"))
	if _, err := d.o.Keys.Account(r.Context(), id); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	users := false
	if err := d.o.Keys.Users(r.Context(), id, "", func(key.User) bool { users = true; return false }); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	if users {
		return nil, errs.E(op, errs.NotEmpty, errs.Account, string(id)).Because("", "it has users; remove them first")
	}
	holds := false
	if err := d.o.Containers.Containers(r.Context(), id, "", func(bucket.Container) bool { holds = true; return false }); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	if holds {
		return nil, errs.E(op, errs.NotEmpty, errs.Account, string(id)).Because("", "it owns buckets; remove them first")
	}
	if err := w.RemoveAccount(r.Context(), id); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "account removed", "account", id)
	return nil, nil //nolint:nilnil // a nil value is "no content"
}

func (d *Door) usage(r *http.Request) (any, error) {
	const op = "admin.usage"
	var out ServiceUsage
	var failed error
	err := d.o.Keys.Accounts(r.Context(), "", func(a key.Account) bool {
		var u meta.Usage
		u, failed = d.o.Usage.AccountUsage(r.Context(), a.ID)
		out.Accounts++
		out.Total = out.Total.Add(u)
		return failed == nil
	})
	if err = cmp.Or(failed, err); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	if d.o.Store != nil {
		if out.Store, err = d.o.Store(r.Context()); err != nil {
			return nil, errs.Wrap(op, errs.Internal, err)
		}
	}
	return out, nil
}

// retry repeats a read-change-write whose record moved in between.
func retry(step func() error) error {
	var err error
	for range attemptsMax {
		if err = step(); !errs.Is(err, errs.Conflict) {
			return err
		}
	}
	return err
}

// set stores a value that was given.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
