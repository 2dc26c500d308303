package identity

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/store/key"
)

// stamp is a time as Keystone writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// The roles that this door gives beside those that a user's record has.
const (
	roleMember   = "member"        // everybody's in the own project
	roleOperator = "swiftoperator" // of administrators: what Swift's own configuration calls them
)

// rolesOf are the roles of a user in a project.
func rolesOf(u *key.User, project key.Account) []string {
	roles := []string{}
	add := func(role string) {
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	switch {
	case project.ID == u.Account:
		for _, r := range u.Roles {
			add(r)
		}
		if slices.Contains(u.Roles, key.RoleAdmin) {
			add(roleOperator)
		}
		add(roleMember)
	case slices.Contains(u.Roles, key.RoleOperator):
		add(key.RoleAdmin)
		add(key.RoleOperator)
	}
	return roles
}

// roleRefs shows roles as tokens do. A role's id is its name.
func roleRefs(names []string) []object {
	refs := make([]object, len(names))
	for i, name := range names {
		refs[i] = object{"id": name, "name": name}
	}
	return refs
}

func domainRefOf(id string) object { return object{"id": domainID(id), "name": domainName(id)} }

// token answers with a token and what it says.
func (c *call) token(status int, token string, b *bearer) (*reply, error) {
	_, short := b.user.Split()
	doc := object{
		"methods": b.methods.names(), "audit_ids": []string{b.id}, "issued_at": stamp(b.issued), "expires_at": stamp(b.expires),
		"user": object{"id": b.user.Opaque(), "name": short, "domain": domainRefOf(b.account.Domain), "password_expires_at": nil},
	}
	if b.scope != unscoped {
		a := b.target
		doc["project"] = object{"id": string(a.ID), "name": a.ProjectName(), "domain": domainRefOf(a.Domain)}
		doc["roles"] = roleRefs(rolesOf(&b.record, a))
		doc["is_domain"] = false
		if !c.query.Has("nocatalog") {
			doc["catalog"] = c.catalogue(a.ID)
		}
	}
	if b.methods&byCredential != 0 {
		found, _, err := c.d.b.Identify(c.ctx(), b.accessKey)
		if err != nil {
			return nil, err
		}
		doc["application_credential"] = object{"id": b.accessKey, "name": nameOf(&found.Key), "restricted": true}
	}
	return &reply{status: status, doc: object{"token": doc}, header: map[string]string{"X-Subject-Token": token}}, nil
}

// subject finds the token that a request is about. NotFound when it is not good.
func (c *call) subject() (token string, b *bearer, err error) {
	token = c.r.Header.Get("X-Subject-Token")
	if token == "" {
		return "", nil, refusal(http.StatusBadRequest, "X-Subject-Token is missing.")
	}
	own := token == c.r.Header.Get("X-Auth-Token")
	serves := c.who.Operator || slices.Contains(c.who.Roles, access.RoleService)
	late := time.Duration(0)
	if serves && strings.TrimLeft(c.query.Get("allow_expired"), "0") != "" {
		late = expiredWindow
	}
	if b, err = c.d.check(c.ctx(), token, late); err != nil && !errs.Is(err, errs.Unauthenticated) {
		return "", nil, err
	}
	// A stranger must not find out by the answer which tokens are good.
	if !own && !serves && (b == nil || b.user != c.bearer.user) {
		return "", nil, refusal(http.StatusForbidden, "")
	}
	if b == nil {
		return "", nil, &fault{status: http.StatusNotFound, msg: "Could not find the token.", err: err}
	}
	return token, b, nil
}

func (c *call) validateToken() (*reply, error) {
	token, b, err := c.subject()
	if err != nil {
		return nil, err
	}
	return c.token(http.StatusOK, token, b)
}

func (c *call) revokeToken() (*reply, error) {
	_, b, err := c.subject()
	if err != nil {
		return nil, err
	}
	if err := c.d.b.RevokeToken(c.ctx(), b.user, b.id, b.expires.Add(expiredWindow)); err != nil {
		return nil, err
	}
	return &reply{status: http.StatusNoContent}, nil
}
