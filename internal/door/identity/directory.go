package identity

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// listMax bounds the entries of a list; what is left out is told by "truncated", as in Keystone.
const listMax = 1000

func escape(s string) string { return url.PathEscape(s) }

// wants tells whether the query asks for entries with this value, or does not care.
func (c *call) wants(name, value string) bool {
	return !c.query.Has(name) || c.query.Get(name) == value
}

// wantsEnabled is wants for the flag of what can be disabled.
func (c *call) wantsEnabled(enabled bool) bool {
	if !c.query.Has("enabled") {
		return true
	}
	text := c.query.Get("enabled")
	return enabled != slices.Contains([]string{"false", "False", "0"}, text)
}

// found is a list with a mark when it was cut.
func (c *call) found(name string, items []object) (*reply, error) {
	rep, err := c.list(name, items[:min(len(items), listMax)])
	if doc, is := rep.doc.(object); is && len(items) > listMax {
		doc["truncated"] = true
	}
	return rep, err
}

func (c *call) domain(id string) object {
	id = domainID(id)
	return object{
		"id": id, "name": domainName(id), "description": "", "enabled": true, "tags": []string{}, "options": object{},
		"links": object{"self": c.base + "/domains/" + escape(id)},
	}
}

func (c *call) project(a *key.Account) object {
	return object{
		"id": string(a.ID), "name": a.ProjectName(), "domain_id": domainID(a.Domain), "parent_id": domainID(a.Domain), "description": a.DisplayName,
		"enabled": !a.Disabled, "is_domain": false, "tags": []string{}, "options": object{}, "links": object{"self": c.base + "/projects/" + escape(string(a.ID))},
	}
}

func (c *call) user(u *key.User, domain string) object {
	_, short := u.ID.Split()
	doc := object{
		"id": u.ID.Opaque(), "name": short, "domain_id": domainID(domain), "default_project_id": string(u.Account), "enabled": !u.Disabled,
		"password_expires_at": nil, "options": object{}, "links": object{"self": c.base + "/users/" + u.ID.Opaque()},
	}
	if u.Email != "" {
		doc["email"] = u.Email
	}
	if u.DisplayName != "" {
		doc["description"] = u.DisplayName
	}
	return doc
}

// accounts calls fn for the accounts that the caller may see, listMax+1 at most that fn takes.
func (c *call) accounts(fn func(key.Account) (took bool)) error {
	if !c.who.Operator {
		fn(c.bearer.account)
		return nil
	}
	taken := 0
	return c.d.o.Keys.Accounts(c.ctx(), "", func(a key.Account) bool {
		if fn(a) {
			taken++
		}
		return taken <= listMax
	})
}

func (c *call) listOwnDomains() (*reply, error) {
	return c.list("domains", []object{c.domain(c.bearer.account.Domain)})
}

// showSystemScopes says that there is none.
func (c *call) showSystemScopes() (*reply, error) { return c.list("system", []object{}) }

func (c *call) listDomains() (*reply, error) {
	ids := map[string]bool{}
	if c.who.Operator {
		ids[key.DomainDefault] = true
	}
	err := c.accounts(func(a key.Account) bool {
		fresh := !ids[domainID(a.Domain)]
		ids[domainID(a.Domain)] = true
		return fresh
	})
	if err != nil {
		return nil, err
	}
	items := []object{}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if c.wants("name", domainName(id)) && c.wantsEnabled(true) {
			items = append(items, c.domain(id))
		}
	}
	return c.found("domains", items)
}

func (c *call) showDomain() (*reply, error) {
	id := c.parts[1]
	there := id == domainID(c.bearer.account.Domain) || c.who.Operator && id == key.DomainDefault
	if c.who.Operator && !there {
		err := c.d.o.Keys.Accounts(c.ctx(), "", func(a key.Account) bool {
			there = domainID(a.Domain) == id
			return !there
		})
		if err != nil {
			return nil, err
		}
	}
	if !there {
		return nil, refusal(http.StatusNotFound, "Could not find the domain.")
	}
	return ok(object{"domain": c.domain(id)})
}

func (c *call) listOwnProjects() (*reply, error) { return c.listProjects() }

func (c *call) listProjects() (*reply, error) {
	items := []object{}
	err := c.accounts(func(a key.Account) bool {
		took := c.wants("name", a.ProjectName()) && c.wants("domain_id", domainID(a.Domain)) && c.wantsEnabled(!a.Disabled) &&
			c.wants("parent_id", domainID(a.Domain)) && !(c.query.Has("is_domain") && c.query.Get("is_domain") != "false")
		if took {
			items = append(items, c.project(&a))
		}
		return took
	})
	if err != nil {
		return nil, err
	}
	return c.found("projects", items)
}

// visible finds an account that the caller may see.
func (c *call) visible(id string) (key.Account, error) {
	if id == string(c.bearer.account.ID) {
		return c.bearer.account, nil
	}
	if !c.who.Operator {
		return key.Account{}, refusal(http.StatusForbidden, "")
	}
	a, err := c.projectOf(c.ctx(), id)
	if errs.Is(err, errs.NotFound) {
		return a, refusal(http.StatusNotFound, "Could not find the project.")
	}
	return a, err
}

func (c *call) showProject() (*reply, error) {
	a, err := c.visible(c.parts[1])
	if err != nil {
		return nil, err
	}
	return ok(object{"project": c.project(&a)})
}

// visibleUser finds a user that the caller may see: itself, one of its account for an administrator, and any for an operator.
func (c *call) visibleUser(opaque string) (key.User, key.Account, error) {
	id, known := naming.ParseOpaque(opaque)
	if known && id == c.bearer.user {
		return c.bearer.record, c.bearer.account, nil
	}
	account, _ := id.Split()
	if !c.who.Operator && !(c.who.Admin && account == c.who.Account) {
		return key.User{}, key.Account{}, refusal(http.StatusForbidden, "")
	}
	u, err := c.d.o.Keys.User(c.ctx(), id)
	var a key.Account
	if err == nil {
		a, err = c.d.b.Account(c.ctx(), u.Account)
	}
	if errs.Is(err, errs.NotFound) {
		return u, a, refusal(http.StatusNotFound, "Could not find the user.")
	}
	return u, a, err
}

// usersOf calls fn for the users that the caller may see, listMax+1 at most that fn takes.
func (c *call) usersOf(fn func(u *key.User, domain string) (took bool)) error {
	if !c.who.Admin && !c.who.Operator {
		fn(&c.bearer.record, c.bearer.account.Domain)
		return nil
	}
	taken := 0
	var failed error
	err := c.accounts(func(a key.Account) bool {
		if taken > listMax || failed != nil {
			return true
		}
		failed = c.d.o.Keys.Users(c.ctx(), a.ID, "", func(u key.User) bool {
			if fn(&u, a.Domain) {
				taken++
			}
			return taken <= listMax
		})
		return false
	})
	if err == nil {
		err = failed
	}
	return err
}

func (c *call) listUsers() (*reply, error) {
	items := []object{}
	err := c.usersOf(func(u *key.User, domain string) bool {
		_, short := u.ID.Split()
		took := c.wants("name", short) && c.wants("domain_id", domainID(domain)) && c.wantsEnabled(!u.Disabled)
		if took {
			items = append(items, c.user(u, domain))
		}
		return took
	})
	if err != nil {
		return nil, err
	}
	return c.found("users", items)
}

func (c *call) showUser() (*reply, error) {
	u, a, err := c.visibleUser(c.parts[1])
	if err != nil {
		return nil, err
	}
	return ok(object{"user": c.user(&u, a.Domain)})
}

func (c *call) listProjectsOfUser() (*reply, error) {
	_, a, err := c.visibleUser(c.parts[1])
	if err != nil {
		return nil, err
	}
	return c.list("projects", []object{c.project(&a)})
}

// listGroupsOfUser and listGroups say that there are none: the groups that users are in serve policies, and no Keystone.
func (c *call) listGroupsOfUser() (*reply, error) {
	if _, _, err := c.visibleUser(c.parts[1]); err != nil {
		return nil, err
	}
	return c.list("groups", []object{})
}

func (c *call) listGroups() (*reply, error) { return c.list("groups", []object{}) }

func (c *call) role(name string) object {
	return object{
		"id": name, "name": name, "domain_id": nil, "description": nil, "options": object{},
		"links": object{"self": c.base + "/roles/" + escape(name)},
	}
}

// roles are those that mean something here, and the caller's.
func (c *call) roles() []string {
	names := []string{key.RoleAdmin, key.RoleOperator, roleMember, roleOperator, access.RoleService}
	for _, r := range c.who.Roles {
		if !slices.Contains(names, r) {
			names = append(names, r)
		}
	}
	return names
}

func (c *call) listRoles() (*reply, error) {
	items := []object{}
	for _, name := range c.roles() {
		if c.wants("name", name) && !c.query.Has("domain_id") {
			items = append(items, c.role(name))
		}
	}
	return c.list("roles", items)
}

func (c *call) showRole() (*reply, error) {
	if !slices.Contains(c.roles(), c.parts[1]) {
		return nil, refusal(http.StatusNotFound, "Could not find the role.")
	}
	return ok(object{"role": c.role(c.parts[1])})
}

// inProject finds the roles of the user in the path in the project in the path.
func (c *call) inProject() ([]string, error) {
	a, err := c.visible(c.parts[1])
	if err != nil {
		return nil, err
	}
	u, _, err := c.visibleUser(c.parts[3])
	if err != nil {
		return nil, err
	}
	return rolesOf(&u, a), nil
}

func (c *call) listRolesInProject() (*reply, error) {
	names, err := c.inProject()
	if err != nil {
		return nil, err
	}
	items := []object{}
	for _, name := range names {
		items = append(items, c.role(name))
	}
	return c.list("roles", items)
}

func (c *call) checkRoleInProject() (*reply, error) {
	names, err := c.inProject()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, c.parts[5]) {
		return nil, refusal(http.StatusNotFound, "Could not find the role assignment.")
	}
	return &reply{status: http.StatusNoContent}, nil
}

// listAssignments lists who has which role in the own project. What operators may do elsewhere is not listed one by one.
func (c *call) listAssignments() (*reply, error) {
	items := []object{}
	if c.query.Has("scope.domain.id") || c.query.Has("scope.system") || c.query.Has("group.id") {
		return c.list("role_assignments", items)
	}
	names := c.query.Has("include_names")
	err := c.usersOf(func(u *key.User, domain string) bool {
		if !c.wants("user.id", u.ID.Opaque()) || !c.wants("scope.project.id", string(u.Account)) {
			return false
		}
		a, err := c.d.b.Account(c.ctx(), u.Account)
		if err != nil {
			return false // it was removed meanwhile
		}
		before := len(items)
		for _, role := range rolesOf(u, a) {
			if c.wants("role.id", role) {
				items = append(items, c.assignment(u, &a, role, names))
			}
		}
		return len(items) > before
	})
	if err != nil {
		return nil, err
	}
	return c.found("role_assignments", items)
}

func (c *call) assignment(u *key.User, a *key.Account, role string, names bool) object {
	r, who, project := object{"id": role}, object{"id": u.ID.Opaque()}, object{"id": string(a.ID)}
	if names {
		_, short := u.ID.Split()
		r["name"], who["name"], project["name"] = role, short, a.ProjectName()
		who["domain"], project["domain"] = domainRefOf(a.Domain), domainRefOf(a.Domain)
	}
	at := c.base + "/projects/" + escape(string(a.ID)) + "/users/" + u.ID.Opaque() + "/roles/" + escape(role)
	return object{"role": r, "user": who, "scope": object{"project": project}, "links": object{"assignment": at}}
}
