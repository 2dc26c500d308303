package identity

import (
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"pithos/internal/errs"
	"pithos/internal/store/key"
)

// keysMax bounds the access keys that a user may make here; an operator can give more.
const keysMax = 100

// nameOf is the name of an access key as an application credential: what its user called it, else the key itself.
func nameOf(k *key.Key) string {
	if k.Name != "" {
		return k.Name
	}
	return k.AccessKey
}

// ownKeys lists the access keys of the user in the path.
func (c *call) ownKeys() (u key.User, keys []key.Key, err error) {
	if u, _, err = c.visibleUser(c.parts[1]); err != nil {
		return u, nil, err
	}
	err = c.d.o.Keys.Keys(c.ctx(), u.ID, func(k key.Key) bool {
		keys = append(keys, k)
		return len(keys) <= listMax
	})
	return u, keys, err
}

// ownKey finds the access key in the path, which ends with it.
func (c *call) ownKey() (key.User, key.Key, error) {
	u, keys, err := c.ownKeys()
	if err != nil {
		return u, key.Key{}, err
	}
	for _, k := range keys {
		if k.AccessKey == c.parts[len(c.parts)-1] {
			return u, k, nil
		}
	}
	return u, key.Key{}, refusal(http.StatusNotFound, "Could not find the credential.")
}

// mine refuses what only the user itself may do: to make keys in its name, and to see their secrets. A key that may do less than its user makes none.
func (c *call) mine(u *key.User) error {
	if u.ID != c.bearer.user || c.who.KeyLimit != nil || c.who.Unread != "" {
		return refusal(http.StatusForbidden, "")
	}
	return nil
}

// writable refuses changes of users who stand in a file.
func (c *call) writable() error {
	if c.d.o.Writer == nil {
		return refusal(http.StatusForbidden, "Users and keys stand in the configuration file of this service: nothing here can change them.")
	}
	return nil
}

func (c *call) credential(k *key.Key, u *key.User) object {
	var expires any
	if !k.Expires.IsZero() {
		expires = stamp(k.Expires)
	}
	return object{
		"id": k.AccessKey, "name": nameOf(k), "description": nil, "expires_at": expires, "project_id": string(u.Account), "user_id": u.ID.Opaque(),
		"roles": roleRefs(rolesOf(u, key.Account{ID: u.Account})), "unrestricted": false, "access_rules": []object{}, "system": nil,
		"links": object{"self": c.base + "/users/" + u.ID.Opaque() + "/application_credentials/" + escape(k.AccessKey)},
	}
}

func (c *call) listCredentials() (*reply, error) {
	u, keys, err := c.ownKeys()
	if err != nil {
		return nil, err
	}
	items := []object{}
	for _, k := range keys {
		if c.wants("name", nameOf(&k)) && !k.Disabled {
			items = append(items, c.credential(&k, &u))
		}
	}
	return c.found("application_credentials", items)
}

func (c *call) showCredential() (*reply, error) {
	u, k, err := c.ownKey()
	if err != nil {
		return nil, err
	}
	return ok(object{"application_credential": c.credential(&k, &u)})
}

// newCredential is the body of a request that makes an application credential.
type newCredential struct {
	Credential *struct {
		Name    string  `json:"name"`
		Secret  *string `json:"secret"`
		Expires *string `json:"expires_at"`
		Roles   []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"roles"`
		Rules        []any `json:"access_rules"`
		Unrestricted bool  `json:"unrestricted"`
	} `json:"application_credential"`
}

// createCredential makes an access key. What it could not keep, a choice of roles or rules, is refused.
func (c *call) createCredential() (*reply, error) {
	var q newCredential
	if err := c.read(&q); err != nil {
		return nil, err
	}
	n := q.Credential
	switch {
	case n == nil || n.Name == "" || len(n.Name) > 255 || !utf8.ValidString(n.Name):
		return nil, refusal(http.StatusBadRequest, "application_credential.name has 1 to 255 characters.")
	case len(n.Rules) > 0:
		return nil, refusal(http.StatusNotImplemented, "This service does not have access rules: give the key a policy.")
	}
	u, keys, err := c.ownKeys()
	if err != nil {
		return nil, err
	}
	if err := c.mine(&u); err != nil {
		return nil, err
	}
	for _, r := range n.Roles {
		if r.Name == "" {
			r.Name = r.ID
		}
		if !slices.Contains(rolesOf(&u, c.bearer.account), r.Name) {
			return nil, refusal(http.StatusBadRequest, "The user does not have the role.")
		}
	}
	if all := rolesOf(&u, c.bearer.account); len(n.Roles) > 0 && len(n.Roles) < len(all) {
		return nil, refusal(http.StatusNotImplemented, "A credential of this service has all roles of its user: leave roles out, or give the key a policy.")
	}
	for _, k := range keys {
		if nameOf(&k) == n.Name {
			return nil, refusal(http.StatusConflict, "There is an application credential of that name.")
		}
	}
	k := key.Key{Name: n.Name, Secret: key.NewSecret()}
	if n.Secret != nil {
		k.Secret = *n.Secret
	}
	if n.Expires != nil {
		if k.Expires, err = parseExpiry(*n.Expires); err != nil || !k.Expires.After(c.d.o.Clock.Now()) {
			return nil, refusal(http.StatusBadRequest, "application_credential.expires_at is no time to come, such as 2030-01-31T00:00:00.000000Z.")
		}
	}
	made, err := c.makeKey(&u, len(keys), k)
	if err != nil {
		return nil, err
	}
	doc := c.credential(&made, &u)
	doc["secret"] = made.Secret
	return &reply{status: http.StatusCreated, doc: object{"application_credential": doc}}, nil
}

func parseExpiry(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	return time.Parse("2006-01-02T15:04:05", text) // as some clients write it, in UTC
}

// makeKey keeps a new access key of a user who has so many already.
func (c *call) makeKey(u *key.User, have int, k key.Key) (key.Key, error) {
	if err := c.writable(); err != nil {
		return k, err
	}
	if have >= keysMax {
		return k, refusal(http.StatusForbidden, "The user has as many credentials as this service allows.")
	}
	if err := key.CheckSecret(k.Secret); err != nil {
		return k, err
	}
	k.AccessKey, k.User, k.Created = key.NewAccessKey(), u.ID, c.d.o.Clock.Now().UTC()
	return k, c.d.o.Writer.CreateKey(c.ctx(), k)
}

// deleteCredential removes an access key: the user's own, or one of an account's user for its administrator.
func (c *call) deleteCredential() (*reply, error) {
	_, k, err := c.ownKey()
	if err != nil {
		return nil, err
	}
	if c.who.KeyLimit != nil || c.who.Unread != "" {
		return nil, refusal(http.StatusForbidden, "")
	}
	if err := c.writable(); err != nil {
		return nil, err
	}
	if err := c.d.o.Writer.RemoveKey(c.ctx(), k.AccessKey); err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	return &reply{status: http.StatusNoContent}, nil
}

// ec2 shows an access key as an EC2 credential. Its secret is shown to its user, as Keystone does: who has the user's password can make another.
func (c *call) ec2(k *key.Key, u *key.User) object {
	return object{
		"access": k.AccessKey, "secret": k.Secret, "tenant_id": string(u.Account), "user_id": u.ID.Opaque(), "trust_id": nil,
		"links": object{"self": c.base + "/users/" + u.ID.Opaque() + "/credentials/OS-EC2/" + escape(k.AccessKey)},
	}
}

func (c *call) listEC2() (*reply, error) {
	u, keys, err := c.ownKeys()
	if err == nil {
		err = c.mine(&u)
	}
	if err != nil {
		return nil, err
	}
	items := []object{}
	for _, k := range keys {
		if !k.Disabled {
			items = append(items, c.ec2(&k, &u))
		}
	}
	return c.found("credentials", items)
}

func (c *call) showEC2() (*reply, error) {
	u, k, err := c.ownKey()
	if err == nil {
		err = c.mine(&u)
	}
	if err != nil {
		return nil, err
	}
	return ok(object{"credential": c.ec2(&k, &u)})
}

func (c *call) createEC2() (*reply, error) {
	var q struct {
		Project string `json:"tenant_id"`
	}
	if err := c.read(&q); err != nil {
		return nil, err
	}
	u, keys, err := c.ownKeys()
	if err == nil {
		err = c.mine(&u)
	}
	if err != nil {
		return nil, err
	}
	if q.Project != string(u.Account) {
		return nil, refusal(http.StatusForbidden, "A user's credentials are for its own project.")
	}
	k, err := c.makeKey(&u, len(keys), key.Key{Secret: key.NewSecret()})
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusCreated, doc: object{"credential": c.ec2(&k, &u)}}, nil
}

func (c *call) deleteEC2() (*reply, error) { return c.deleteCredential() }
