package config

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

const usersKey = "keystore.users"

// userFields are the keys of a user in the file, with their documentation.
func userFields() [][2]string {
	return [][2]string{
		{"name", "Short name; required. With its account it is the user's id, `account:name`."},
		{"account", "Account that the user belongs to. Default: an account of the user's name."},
		{"domain", "Id of the account's Keystone domain: letters, digits, `-`, `_` and `.`. Default: `default`. Users of one account must not differ in it."},
		{"project", "Name of the account as a Keystone project. Default: the account's name. Users of one account must not differ in it."},
		{"password", "For sign-in with a password."},
		{"access_key", "Access key for S3: 3 to 128 characters of A-Z, a-z, 0-9, `.`, `_`, `-`, `@`, `:`."},
		{"secret_key", "Its secret: 8 to 256 printable ASCII characters without spaces."},
		{"display_name", "Name shown as owner in listings; the first one of an account's users is the account's."},
		{"canonical_id", "Canonical id of the account in access control lists. Default: 64 hexadecimal digits that follow from the account's name. Users of one account must not differ in it."},
		{"email", "E-mail address, as a grantee in access control lists."},
		{"roles", "`admin`: may do everything in the account; `reseller_admin`: may do everything everywhere; others are kept as written. Default: `[admin]`; `[]` gives none."},
		{"groups", "Groups that the user is in."},
		{"keys", "Further keys: a list of `access_key`, `secret_key`, if they end, `expires` (RFC 3339 time), and, if they may do less than the user, `policy`."},
		{"policies", "Policies of the user: a name with a policy each, at most 10. An administrator may do all that they do not deny: write `roles: []` for users who may do only what they allow."},
	}
}

// groupFields are the keys of a group in the file.
func groupFields() [][2]string {
	return [][2]string{
		{"name", "Name of the group, as in `groups` of its users; required."},
		{"account", "Account whose group it is; required, and one of the users' accounts."},
		{"policies", "Policies of all users of the account who are in the group: a name with a policy each, at most 10; the groups of an account have at most 64 KiB of them."},
	}
}

// userState is what the users read so far have taken.
type userState struct {
	ids       map[naming.UserID]string // where each was defined
	keys      map[string]string
	canonical map[naming.AccountID]*origin
	owner     map[string]naming.AccountID // of a canonical id
}

type origin struct{ value, where string }

// users reads the list of users.
func (w *walker) users(n *yaml.Node) {
	n, ok := w.resolve(n)
	if !ok || isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		w.bad(n, usersKey, "write a list of users, each beginning with \"- name: ...\"")
		return
	}
	st := &userState{map[naming.UserID]string{}, map[string]string{}, map[naming.AccountID]*origin{}, map[string]naming.AccountID{}}
	for i, item := range n.Content {
		w.user(fmt.Sprintf("%s[%d]", usersKey, i), item, st)
	}
}

// user reads one user and adds it to the configuration.
func (w *walker) user(path string, n *yaml.Node, st *userState) {
	if len(w.c.Keystore.Users) >= nodesMax {
		return
	}
	before := len(w.problems)
	var u User
	var own Key
	account := ""
	var keys, policies *yaml.Node // read when it is known whose they are
	w.entries(n, path, func(name string, at, value *yaml.Node) {
		k := path + "." + name
		switch name {
		case "keys":
			keys = value
			return
		case "policies":
			policies = value
			return
		}
		list := name == "roles" || name == "groups"
		if !slices.ContainsFunc(userFields(), func(f [2]string) bool { return f[0] == name }) {
			w.bad(at, path+"."+clip(name), "%s", unknown("key", name, firsts(userFields())))
			return
		}
		values, ok := w.scalars(at, value, k, list)
		if !ok {
			return
		}
		if err := u.set(name, values, &own, &account); err != nil {
			w.bad(at, k, "%s", publicMessage(err))
		}
	})
	u.Account = naming.AccountID(cmp.Or(account, u.Name))
	if keys != nil {
		w.userKeys(path+".keys", keys, &u)
	}
	if policies != nil {
		u.Policies = w.policies(path+".policies", policies, "user "+string(u.ID()))
	}
	if len(w.problems) > before {
		return
	}
	if u.Name == "" {
		w.bad(n, path, "name is missing; write for example \"- name: alice\"")
		return
	}
	if own != (Key{}) {
		u.Keys = append([]Key{own}, u.Keys...)
	}
	if w.consistent(path, n, u, st) {
		w.c.Keystore.Users = append(w.c.Keystore.Users, u)
	}
}

// set stores one field of a user; values has one element except for lists.
func (u *User) set(name string, values []string, own *Key, account *string) error {
	var first string
	if len(values) > 0 {
		first = values[0]
	}
	switch name {
	case "name":
		// An account name and a user's short name have the same rules.
		id, err := naming.ParseAccount(first)
		u.Name = string(id)
		return err
	case "account":
		id, err := naming.ParseAccount(first)
		*account = string(id)
		return err
	case "domain":
		u.Domain = first
		return checkDomainID(first)
	case "project":
		id, err := naming.ParseAccount(first)
		u.Project = string(id)
		return err
	case "password":
		if first == "" || len(first) > key.PasswordMax {
			return fmt.Errorf("write a password of 1 to %d bytes, or leave the key out", key.PasswordMax)
		}
		u.Password = first
	case "access_key":
		own.AccessKey = first
		return key.CheckAccessKey(first)
	case "secret_key":
		own.Secret = first
		return key.CheckSecret(first)
	case "display_name":
		u.DisplayName = first
		return checkName(first)
	case "canonical_id":
		u.Canonical = first
		return key.CheckCanonical(first)
	case "email":
		u.Email = first
		return key.CheckEmail(first)
	case "roles":
		u.Roles = values
		return checkNames(values)
	case "groups":
		u.Groups = values
		return checkNames(values)
	}
	return nil
}

func (w *walker) userKeys(path string, n *yaml.Node, u *User) {
	n, ok := w.resolve(n)
	if !ok || isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		w.bad(n, path, "write a list of keys, each with access_key and secret_key")
		return
	}
	fields := []string{"access_key", "secret_key", "expires", "policy"}
	for i, item := range n.Content {
		var k Key
		at := fmt.Sprintf("%s[%d]", path, i)
		before := len(w.problems)
		w.entries(item, at, func(name string, node, value *yaml.Node) {
			if !slices.Contains(fields, name) {
				w.bad(node, at+"."+clip(name), "%s", unknown("key", name, fields))
				return
			}
			if name == "policy" {
				k.Policy, _ = w.policy(at+".policy", value, "access key of user "+string(u.ID()))
				return
			}
			values, ok := w.scalars(node, value, at+"."+name, false)
			if !ok {
				return
			}
			if err := k.set(name, values[0]); err != nil {
				w.bad(node, at+"."+name, "%s", publicMessage(err))
			}
		})
		if len(w.problems) == before {
			if k == (Key{}) {
				w.bad(item, at, "write access_key and secret_key")
				return
			}
			u.Keys = append(u.Keys, k)
		}
	}
}

func (k *Key) set(name, value string) (err error) {
	switch name {
	case "access_key":
		k.AccessKey = value
		return key.CheckAccessKey(value)
	case "secret_key":
		k.Secret = value
		return key.CheckSecret(value)
	default:
		if k.Expires, err = time.Parse(time.RFC3339, value); err != nil {
			return fmt.Errorf("%q is not a time; write for example 2027-01-31T00:00:00Z", clip(value))
		}
		return nil
	}
}

// consistent checks a user against those before it.
func (w *walker) consistent(path string, n *yaml.Node, u User, st *userState) bool {
	before := len(w.problems)
	if where, ok := st.ids[u.ID()]; ok {
		w.bad(n, path, "user %q is already defined at %s; remove one or change its name or account", u.ID(), where)
	}
	st.ids[u.ID()] = w.at(n)
	for _, k := range u.Keys {
		switch where, taken := st.keys[k.AccessKey]; {
		case k.AccessKey == "":
			w.bad(n, path, "secret_key without access_key; write both or none")
		case k.Secret == "":
			w.bad(n, path, "access_key without secret_key; write both or none")
		case taken:
			w.bad(n, path, "access_key %s is already given at %s; every access key must be its own", k.AccessKey, where)
		}
		st.keys[k.AccessKey] = w.at(n)
	}
	w.canonicalOf(path, n, u, st)
	return len(w.problems) == before
}

// canonicalOf sees to it that an account has one canonical id, and a canonical id one account.
func (w *walker) canonicalOf(path string, n *yaml.Node, u User, st *userState) {
	if u.Canonical == "" {
		return
	}
	if o := st.canonical[u.Account]; o != nil && o.value != u.Canonical {
		w.bad(n, path+".canonical_id", "account %q has canonical_id %s at %s; it belongs to the account, so write the same one or leave it out", u.Account, o.value, o.where)
		return
	}
	if owner, ok := st.owner[u.Canonical]; ok && owner != u.Account {
		w.bad(n, path+".canonical_id", "%s is already the canonical_id of account %q; write another", u.Canonical, owner)
		return
	}
	st.canonical[u.Account] = &origin{u.Canonical, w.at(n)}
	st.owner[u.Canonical] = u.Account
}

func checkName(s string) error {
	if s == "" || len(s) > 256 || !utf8.ValidString(s) || slices.ContainsFunc([]rune(s), control) {
		return fmt.Errorf("write 1 to 256 bytes of text without control characters, or leave the key out")
	}
	return nil
}

func checkDomainID(s string) error {
	ok := s != "" && len(s) <= 64
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
	}
	if !ok {
		return fmt.Errorf("write 1 to 64 letters, digits, '-', '_' and '.', or leave the key out")
	}
	return nil
}

func checkNames(list []string) error {
	for _, s := range list {
		if err := checkName(s); err != nil {
			return err
		}
	}
	return nil
}

func firsts(fields [][2]string) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f[0]
	}
	return list
}

// publicMessage is the part of an error that is meant for people; package and kind are noise in a file's complaint.
func publicMessage(err error) string {
	if e, ok := err.(*errs.Error); ok && e.Msg != "" { //nolint:errorlint // only an error that is not wrapped has its message to itself
		return e.Msg
	}
	return err.Error()
}
