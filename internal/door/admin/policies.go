package admin

import (
	"encoding/json"
	"maps"
	"net/http"

	"pithos/internal/access/policy"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// checkPolicy tests a policy that is to be attached. Errors: Invalid, with a sentence that says what is wrong.
func checkPolicy(text []byte) error {
	if _, err := policy.Parse(text, policy.Identity); err != nil {
		return errs.Wrap("admin.checkPolicy", errs.Internal, err)
	}
	return nil
}

// showPolicies shows policies by name.
func showPolicies(attached map[string][]byte) map[string]json.RawMessage {
	shown := make(map[string]json.RawMessage, len(attached))
	for name, text := range attached {
		shown[name] = text
	}
	return shown
}

// attach is attached with the policy of a name set to text, or without it when text is nil. NotFound when there is none to take away.
func attach(attached map[string][]byte, name string, text []byte) (map[string][]byte, error) {
	next := maps.Clone(attached)
	if text == nil {
		if _, ok := next[name]; !ok {
			return nil, errs.E("admin.attach", errs.NotFound, errs.Config, name).Because("", "there is no such policy")
		}
		delete(next, name)
		return next, nil
	}
	if next == nil {
		next = map[string][]byte{}
	}
	if next[name] = text; len(next) > policy.AttachedMax {
		return nil, errs.E("admin.attach", errs.TooLarge, errs.Config, name).Because("", "a user or group has at most 10 policies; put several rules into one")
	}
	return next, nil
}

// readPolicy reads the name and, unless the request removes the policy, its text.
func readPolicy(r *http.Request) (name string, text []byte, err error) {
	name = r.PathValue("policy")
	if err := policy.CheckName(name); err != nil {
		return "", nil, err
	}
	if r.Method == http.MethodDelete {
		return name, nil, nil
	}
	var raw json.RawMessage
	if err := read(r, &raw); err != nil {
		return "", nil, err
	}
	return name, raw, checkPolicy(raw)
}

func (d *Door) listUserPolicies(r *http.Request) (any, error) {
	u, err := d.o.Keys.User(r.Context(), naming.UserID(r.PathValue("user")))
	if err != nil {
		return nil, errs.Wrap("admin.listUserPolicies", errs.Internal, err)
	}
	return showPolicies(u.Policies), nil
}

// setUserPolicy attaches a policy to a user, or takes it away.
func (d *Door) setUserPolicy(r *http.Request) (any, error) {
	const op = "admin.setUserPolicy"
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	name, text, err := readPolicy(r)
	if err != nil {
		return nil, err
	}
	id := naming.UserID(r.PathValue("user"))
	var u key.User
	err = retry(func() error {
		if u, err = d.o.Keys.User(r.Context(), id); err != nil {
			return err
		}
		if u.Policies, err = attach(u.Policies, name, text); err != nil {
			return err
		}
		u, err = w.UpdateUser(r.Context(), u)
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "policy of a user changed", "user", id, "policy", name, "removed", text == nil)
	return showPolicies(u.Policies), nil
}

func (d *Door) listGroupPolicies(r *http.Request) (any, error) {
	a, err := d.o.Keys.Account(r.Context(), naming.AccountID(r.PathValue("account")))
	if err != nil {
		return nil, errs.Wrap("admin.listGroupPolicies", errs.Internal, err)
	}
	return showPolicies(a.GroupPolicies[r.PathValue("group")]), nil
}

// setGroupPolicy attaches a policy to a group of an account, or takes it away. A group is there as soon as a user is in it or it has a policy.
func (d *Door) setGroupPolicy(r *http.Request) (any, error) {
	const op = "admin.setGroupPolicy"
	w, err := d.writer(op)
	if err != nil {
		return nil, err
	}
	name, text, err := readPolicy(r)
	if err != nil {
		return nil, err
	}
	id, group := naming.AccountID(r.PathValue("account")), r.PathValue("group")
	if err := checkWords([]string{group}); err != nil {
		return nil, err
	}
	var a key.Account
	err = retry(func() error {
		if a, err = d.o.Keys.Account(r.Context(), id); err != nil {
			return err
		}
		if err := attachToGroup(&a, group, name, text); err != nil {
			return err
		}
		a, err = w.UpdateAccount(r.Context(), a)
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, errs.Internal, err)
	}
	d.o.Log.InfoContext(r.Context(), "policy of a group changed", "account", id, "group", group, "policy", name, "removed", text == nil)
	return showPolicies(a.GroupPolicies[group]), nil
}

func attachToGroup(a *key.Account, group, name string, text []byte) error {
	of, err := attach(a.GroupPolicies[group], name, text)
	if err != nil {
		return err
	}
	next := maps.Clone(a.GroupPolicies)
	if next == nil {
		next = map[string]map[string][]byte{}
	}
	if next[group] = of; len(of) == 0 {
		delete(next, group)
	}
	total := 0
	for _, policies := range next {
		for _, text := range policies {
			total += len(text)
		}
	}
	if total > policy.GroupsMax {
		return errs.E("admin.attachToGroup", errs.TooLarge, errs.Config, name).Because("", "the policies of an account's groups have at most 64 KiB together")
	}
	a.GroupPolicies = next
	return nil
}
