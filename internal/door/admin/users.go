package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

func (d *Door) listUsers(r *http.Request) (any, error) {
	page := Page[User]{Items: []User{}}
	err := d.o.Keys.Users(r.Context(), naming.AccountID(r.FormValue("account")), naming.UserID(r.FormValue("after")), func(u key.User) bool {
		if len(page.Items) == pageMax {
			page.Next = page.Items[pageMax-1].ID
			return false
		}
		page.Items = append(page.Items, showUser(u))
		return true
	})
	if err != nil {
		return nil, errs.Wrap("admin.listUsers", errs.Internal, err)
	}
	return page, nil
}

func (d *Door) showUser(r *http.Request) (any, error) {
	return d.userWithKeys(r.Context(), naming.UserID(r.PathValue("user")))
}

func (d *Door) userWithKeys(ctx context.Context, id naming.UserID) (User, error) {
	const op = "admin.showUser"
	u, err := d.o.Keys.User(ctx, id)
	if err != nil {
		return User{}, errs.Wrap(op, errs.Internal, err)
	}
	shown := showUser(u)
	err = d.o.Keys.Keys(ctx, id, func(k key.Key) bool {
		shown.Keys = append(shown.Keys, showKey(k))
		return true
	})
	if err != nil {
		return User{}, errs.Wrap(op, errs.Internal, err)
	}
	return shown, nil
}

// addUser makes a user, its account if needed, and unless told otherwise an access key, whose secret is in this answer and never
// again. What can be refused is checked before anything is made.
func (d *Door) addUser(r *http.Request) (any, error) {
	const op = "admin.addUser"
	ctx := r.Context()
	var n NewUser
	if err := read(r, &n); err != nil {
		return nil, err
	}
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	u, err := d.newUser(n)
	if err != nil {
		return nil, err
	}
	var k key.Key
	if !n.NoKey {
		if k, err = d.newKey(ctx, NewKey{User: string(u.ID), AccessKey: n.AccessKey, Secret: n.Secret}); err != nil {
			return nil, err
		}
	}
	a, err := d.newAccount(NewAccount{ID: n.Account, DisplayName: n.DisplayName, Email: n.Email})
	if err != nil {
		return nil, err
	}
	if _, err := w.CreateAccount(ctx, a); err != nil && !errs.IsThing(err, errs.Exists, errs.Account) {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	if u, err = w.CreateUser(ctx, u); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	shown := showUser(u)
	if !n.NoKey {
		if err := w.CreateKey(ctx, k); err != nil {
			return nil, errs.Wrap(op, errs.Internal, errors.Join(err, w.RemoveUser(ctx, u.ID)))
		}
		made := showKey(k)
		made.Secret = k.Secret
		shown.Keys = []Key{made}
	}
	d.o.Log.InfoContext(ctx, "user added", "user", u.ID)
	return shown, nil
}

// newUser checks a new user.
func (d *Door) newUser(n NewUser) (key.User, error) {
	const op = "admin.newUser"
	account, err := naming.ParseAccount(n.Account)
	if err != nil {
		return key.User{}, errs.Wrap(op, errs.Internal, err)
	}
	if _, err := naming.ParseAccount(n.Name); err != nil { // a short name has the rules of an account's
		return key.User{}, errs.E(op, errs.Invalid, errs.User, "").
			Because(errs.BadName, "a user name has 1 to 256 bytes of UTF-8 and no '/', ':' or control characters")
	}
	if err := errors.Join(checkText(n.DisplayName, n.Email), checkWords(n.Roles), checkWords(n.Groups)); err != nil {
		return key.User{}, errs.Wrap(op, errs.Internal, err)
	}
	u := key.User{
		ID: naming.User(account, n.Name), Account: account, DisplayName: cmp.Or(n.DisplayName, n.Name), Email: n.Email,
		Roles: n.Roles, Groups: n.Groups, Created: d.o.Clock.Now().UTC(),
	}
	if n.Roles == nil {
		u.Roles = []string{key.RoleAdmin}
	}
	if n.Password != "" {
		if u.PasswordHash, err = key.HashPassword(n.Password, key.CostStored); err != nil {
			return key.User{}, errs.Wrap(op, errs.Internal, err)
		}
	}
	return u, nil
}

func checkWords(words []string) error {
	for _, w := range words {
		if w == "" || len(w) > 256 || hasControl(w) {
			return errs.E("admin.checkWords", errs.Invalid, errs.Request, "").
				Because(errs.BadName, "a role or group has 1 to 256 bytes and no control characters")
		}
	}
	return nil
}

func (d *Door) changeUser(r *http.Request) (any, error) {
	const op = "admin.changeUser"
	var c UserChange
	if err := read(r, &c); err != nil {
		return nil, err
	}
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkText(deref(c.DisplayName), deref(c.Email)), checkWords(deref(c.Roles)), checkWords(deref(c.Groups))); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	var hash *string
	if c.Password != nil {
		hash = new(string)
		if *c.Password != "" {
			if *hash, err = key.HashPassword(*c.Password, key.CostStored); err != nil {
				return nil, errs.Wrap(op, errs.Internal, err)
			}
		}
	}
	id := naming.UserID(r.PathValue("user"))
	err = retry(func() error {
		u, err := d.o.Keys.User(r.Context(), id)
		if err != nil {
			return err
		}
		set(&u.DisplayName, c.DisplayName)
		set(&u.Email, c.Email)
		set(&u.Roles, c.Roles)
		set(&u.Groups, c.Groups)
		set(&u.Disabled, c.Disabled)
		set(&u.PasswordHash, hash)
		_, err = w.UpdateUser(r.Context(), u)
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "user changed", "user", id)
	return d.userWithKeys(r.Context(), id)
}

func (d *Door) removeUser(r *http.Request) (any, error) {
	const op = "admin.removeUser"
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	id := naming.UserID(r.PathValue("user"))
	if err := w.RemoveUser(r.Context(), id); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "user removed", "user", id)
	return nil, nil //nolint:nilnil // a nil value is "no content"
}

// listKeys lists the keys of one user, or of all when the query names none, in pages of whole users.
func (d *Door) listKeys(r *http.Request) (any, error) {
	const op = "admin.listKeys"
	ctx := r.Context()
	page := Page[Key]{Items: []Key{}}
	add := func(k key.Key) bool {
		page.Items = append(page.Items, showKey(k))
		return true
	}
	if id := r.FormValue("user"); id != "" {
		if err := d.o.Keys.Keys(ctx, naming.UserID(id), add); err != nil {
			return nil, errs.Wrap(op, errs.Internal, err)
		}
		return page, nil
	}
	var users []naming.UserID
	err := d.o.Keys.Users(ctx, "", naming.UserID(r.FormValue("after")), func(u key.User) bool {
		users = append(users, u.ID)
		return len(users) <= pageMax
	})
	if err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	for i, id := range users {
		if i == pageMax {
			page.Next = string(users[i-1])
			break
		}
		if err := d.o.Keys.Keys(ctx, id, add); err != nil && !errs.IsThing(err, errs.NotFound, errs.User) { // removed meanwhile
			return nil, errs.Wrap(op, errs.Internal, err)
		}
	}
	return page, nil
}

func (d *Door) addKey(r *http.Request) (any, error) {
	const op = "admin.addKey"
	var n NewKey
	if err := read(r, &n); err != nil {
		return nil, err
	}
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	k, err := d.newKey(r.Context(), n)
	if err != nil {
		return nil, err
	}
	if err := w.CreateKey(r.Context(), k); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "key added", "user", k.User, "access_key", k.AccessKey)
	shown := showKey(k)
	shown.Secret = k.Secret
	return shown, nil
}

// newKey checks a new key and draws what was left out.
func (d *Door) newKey(ctx context.Context, n NewKey) (key.Key, error) {
	const op = "admin.newKey"
	if (n.AccessKey == "") != (n.Secret == "") {
		return key.Key{}, errs.E(op, errs.Invalid, errs.Key, "").Because(errs.BadState, "give both the access key and its secret, or neither and both are drawn")
	}
	now := d.o.Clock.Now().UTC()
	if !n.Expires.IsZero() && !n.Expires.After(now) {
		return key.Key{}, errs.E(op, errs.Invalid, errs.Key, "").Because(errs.BadState, "the expiry lies in the past")
	}
	if n.Policy != nil {
		if err := checkPolicy(n.Policy); err != nil {
			return key.Key{}, err
		}
	}
	k := key.Key{Policy: n.Policy, AccessKey: n.AccessKey, Secret: n.Secret, User: naming.UserID(n.User), Created: now, Expires: n.Expires}
	if k.AccessKey == "" {
		k.AccessKey, k.Secret = key.NewAccessKey(), key.NewSecret()
		return k, nil
	}
	if err := key.CheckAccessKey(k.AccessKey); err != nil {
		return key.Key{}, errs.Wrap(op, errs.Internal, err)
	}
	if err := key.CheckSecret(k.Secret); err != nil {
		return key.Key{}, errs.Wrap(op, errs.Internal, err)
	}
	switch _, err := d.o.Keys.Lookup(ctx, k.AccessKey); {
	case err == nil:
		return key.Key{}, errs.E(op, errs.Exists, errs.Key, k.AccessKey).Because("", "it is taken; choose another")
	case !errs.Is(err, errs.NotFound):
		return key.Key{}, errs.Wrap(op, errs.Internal, err)
	}
	return k, nil
}

func (d *Door) changeKey(r *http.Request) (any, error) {
	const op = "admin.changeKey"
	var c KeyChange
	if err := read(r, &c); err != nil {
		return nil, err
	}
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	if c.Disabled == nil {
		return nil, errs.E(op, errs.Invalid, errs.Request, "").Because(errs.BadState, "say whether the key is disabled: {\"disabled\": true}")
	}
	k := r.PathValue("key")
	if err := w.DisableKey(r.Context(), k, *c.Disabled); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "key changed", "access_key", k, "disabled", *c.Disabled)
	id, err := d.o.Keys.Lookup(r.Context(), k)
	if err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	return showKey(id.Key), nil
}

func (d *Door) removeKey(r *http.Request) (any, error) {
	const op = "admin.removeKey"
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	k := r.PathValue("key")
	if err := w.RemoveKey(r.Context(), k); err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "key removed", "access_key", k)
	return nil, nil //nolint:nilnil // a nil value is "no content"
}
