package identity

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// domainRef names a domain by its id or its name.
type domainRef struct {
	ID   *string `json:"id"`
	Name *string `json:"name"`
}

// projectRef names a project by its id, or by its name and domain.
type projectRef struct {
	ID     *string    `json:"id"`
	Name   *string    `json:"name"`
	Domain *domainRef `json:"domain"`
}

// userRef names a user by its id, or by its name and domain.
type userRef struct {
	ID       *string    `json:"id"`
	Name     *string    `json:"name"`
	Domain   *domainRef `json:"domain"`
	Password *string    `json:"password"`
}

// signInRequest is the body of POST /auth/tokens.
type signInRequest struct {
	Auth *struct {
		Identity *struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User *userRef `json:"user"`
			} `json:"password"`
			Token *struct {
				ID string `json:"id"`
			} `json:"token"`
			Credential *struct {
				ID     *string  `json:"id"`
				Name   *string  `json:"name"`
				Secret *string  `json:"secret"`
				User   *userRef `json:"user"`
			} `json:"application_credential"`
		} `json:"identity"`
		Scope json.RawMessage `json:"scope"`
	} `json:"auth"`
}

// wanted is the scope that a request asks for.
type wanted struct {
	said     bool
	unscoped bool
	project  *projectRef
}

// wantedScope reads auth.scope. What this service does not have is refused, as Keystone refuses what a user has no role on.
func wantedScope(text json.RawMessage) (w wanted, err error) {
	if text = bytes.TrimSpace(text); len(text) == 0 || string(text) == "null" {
		return w, nil
	}
	if string(text) == `"unscoped"` {
		return wanted{said: true, unscoped: true}, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil || len(members) != 1 {
		return w, refusal(http.StatusBadRequest, "auth.scope names one of project, domain, system and unscoped.")
	}
	for name, value := range members {
		switch name {
		case "project":
			w = wanted{said: true}
			if json.Unmarshal(value, &w.project) != nil || w.project == nil || w.project.ID == nil && w.project.Name == nil {
				return w, refusal(http.StatusBadRequest, "auth.scope.project needs an id, or a name and a domain.")
			}
			return w, nil
		case "unscoped":
			return wanted{said: true, unscoped: true}, nil
		case "domain", "system":
			return w, refusal(http.StatusUnauthorized, "Nobody has a role on a "+name+" here: ask for a project.")
		case "OS-TRUST:trust":
			return w, refusal(http.StatusNotImplemented, "This service does not have trusts.")
		}
	}
	return w, refusal(http.StatusBadRequest, "auth.scope names one of project, domain, system and unscoped.")
}

// signed is somebody who proved who they are.
type signed struct {
	user    key.User
	who     access.Principal
	methods methods
	expires time.Time // zero: the usual
}

// postTokens serves POST /auth/tokens.
func (c *call) postTokens() (*reply, error) {
	var q signInRequest
	if err := c.read(&q); err != nil {
		return nil, err
	}
	if q.Auth == nil || q.Auth.Identity == nil || len(q.Auth.Identity.Methods) == 0 {
		return nil, refusal(http.StatusBadRequest, "auth.identity.methods is missing.")
	}
	want, err := wantedScope(q.Auth.Scope)
	if err != nil {
		return nil, err
	}
	who, err := c.prove(&q, want)
	if err != nil {
		return nil, err
	}
	c.who = who.who
	t := c.d.ticket(who.user.ID, who.who.AccessKey)
	t.methods = who.methods | viaKeystone
	if !who.expires.IsZero() {
		t.expires = who.expires
	}
	b := &bearer{ticket: *t, record: who.user, who: who.who}
	if err := c.scope(b, want); err != nil {
		return nil, err
	}
	token := c.d.seal(&b.ticket, who.user.PasswordHash)
	if err := c.d.locate(c.ctx(), b); err != nil {
		return nil, err
	}
	return c.token(http.StatusCreated, token, b)
}

// prove checks what a sign-in shows.
func (c *call) prove(q *signInRequest, want wanted) (*signed, error) {
	id := q.Auth.Identity
	if len(id.Methods) != 1 {
		return nil, refusal(http.StatusUnauthorized, "Attempted to authenticate with an unsupported method.")
	}
	switch id.Methods[0] {
	case "password":
		if id.Password == nil || id.Password.User == nil || id.Password.User.Password == nil {
			return nil, refusal(http.StatusBadRequest, "auth.identity.password.user needs a password.")
		}
		return c.byPassword(id.Password.User, want)
	case "token":
		if id.Token == nil {
			return nil, refusal(http.StatusBadRequest, "auth.identity.token needs an id.")
		}
		return c.byToken(id.Token.ID)
	case "application_credential":
		cred := id.Credential
		if cred == nil || cred.Secret == nil || cred.ID == nil && (cred.Name == nil || cred.User == nil) {
			return nil, refusal(http.StatusBadRequest, "auth.identity.application_credential needs a secret and an id, or a name and a user.")
		}
		if want.said {
			return nil, refusal(http.StatusUnauthorized, "Application credentials cannot request a scope.")
		}
		if cred.ID != nil {
			return c.byCredential(*cred.ID, *cred.Secret)
		}
		return c.byNamedCredential(cred.User, *cred.Name, *cred.Secret)
	}
	return nil, refusal(http.StatusUnauthorized, "Attempted to authenticate with an unsupported method.")
}

// claim begins a sign-in of whom the client says to be.
func (c *call) claim(id string) (guess, error) {
	g, wait := c.d.guessing(c.r, naming.UserID(id))
	if wait > 0 {
		f := refusal(http.StatusTooManyRequests, "")
		f.wait = seconds(wait)
		return g, f
	}
	return g, nil
}

func (c *call) byPassword(u *userRef, want wanted) (*signed, error) {
	var claimed string
	switch {
	case u.ID != nil:
		claimed = *u.ID
	case u.Name != nil:
		claimed = *u.Name
	default:
		return nil, refusal(http.StatusBadRequest, "auth.identity.password.user needs an id, or a name and a domain.")
	}
	g, err := c.claim(claimed)
	if err != nil {
		return nil, err
	}
	id, err := c.findUser(u, want)
	if err != nil {
		return nil, err
	}
	user, who, err := c.d.b.SignIn(c.ctx(), id, *u.Password)
	if errs.Is(err, errs.Unauthenticated) {
		g.failed()
	}
	if err != nil {
		return nil, err
	}
	return &signed{user: user, who: who, methods: byPassword}, nil
}

func (c *call) byToken(token string) (*signed, error) {
	b, err := c.d.check(c.ctx(), token, 0)
	if err != nil {
		return nil, err
	}
	return &signed{user: b.record, who: b.who, methods: b.methods | byToken, expires: b.expires}, nil
}

func (c *call) byCredential(id, secret string) (*signed, error) {
	g, err := c.claim(id)
	if err != nil {
		return nil, err
	}
	found, who, err := c.d.b.Identify(c.ctx(), id)
	if err == nil && subtle.ConstantTimeCompare([]byte(found.Key.Secret), []byte(secret)) != 1 {
		err = errs.E("identity.byCredential", errs.Unauthenticated, errs.Key, id)
	}
	if errs.Is(err, errs.Unauthenticated) {
		g.failed()
	}
	if err != nil {
		return nil, err
	}
	return &signed{user: found.User, who: who, methods: byCredential}, nil
}

func (c *call) byNamedCredential(u *userRef, name, secret string) (*signed, error) {
	id, err := c.findUser(u, wanted{})
	if err != nil {
		return nil, err
	}
	accessKey := ""
	err = c.d.o.Keys.Keys(c.ctx(), id, func(k key.Key) bool {
		if nameOf(&k) == name {
			accessKey = k.AccessKey
		}
		return accessKey == ""
	})
	if err != nil {
		return nil, err
	}
	if accessKey == "" {
		accessKey = name // nobody has it; counted as a guess
	}
	return c.byCredential(accessKey, secret)
}

// accountsMax bounds the accounts that are looked through for a name.
const accountsMax = 1000

// findUser finds whom a request names. A name alone is looked for in the project that the request asks for, then as that of an account's first user, the
// account having the same name, then in all accounts of the domain. It may be written "account:name". An id that nobody has comes back as it is:
// the sign-in with it fails, and takes its time.
func (c *call) findUser(u *userRef, want wanted) (naming.UserID, error) {
	if u.ID != nil {
		if id, ok := naming.ParseOpaque(*u.ID); ok {
			return id, nil
		}
		return naming.UserID(*u.ID), nil
	}
	if u.Name == nil {
		return "", refusal(http.StatusBadRequest, "A user needs an id, or a name and a domain.")
	}
	name := *u.Name
	if strings.Contains(name, ":") {
		id := naming.UserID(name)
		account, _ := id.Split()
		a, err := c.d.b.Account(c.ctx(), account)
		if err == nil && !u.Domain.is(a.Domain) {
			id = "" // nobody
		}
		return id, absent(err)
	}
	if want.project != nil {
		a, err := c.findProject(want.project)
		if err != nil {
			return "", absent(err)
		}
		if id, err := c.userIn(a, u); id != "" || err != nil {
			return id, err
		}
	}
	return c.userAnywhere(u)
}

// userIn is the user of an account with the name and domain; "" for none.
func (c *call) userIn(a key.Account, u *userRef) (naming.UserID, error) {
	if a.ID == "" || !u.Domain.is(a.Domain) {
		return "", nil
	}
	found, err := c.d.o.Keys.User(c.ctx(), naming.User(a.ID, *u.Name))
	return found.ID, absent(err)
}

// userAnywhere looks for a name in all accounts of a domain.
func (c *call) userAnywhere(u *userRef) (id naming.UserID, err error) {
	a, err := c.d.b.Account(c.ctx(), naming.AccountID(*u.Name))
	if err == nil {
		if id, err = c.userIn(a, u); id != "" || err != nil {
			return id, err
		}
	}
	if err = absent(err); err != nil {
		return "", err
	}
	seen, found := 0, 0
	var failed error
	err = c.d.o.Keys.Accounts(c.ctx(), "", func(a key.Account) bool {
		seen++
		other, err := c.userIn(a, u)
		if failed = err; other != "" {
			id = other
			found++
		}
		return failed == nil && found < 2 && seen < accountsMax
	})
	switch {
	case err != nil:
		return "", err
	case failed != nil:
		return "", failed
	case found > 1 || found == 0 && seen == accountsMax:
		// The same answer as for a wrong password; the log tells why.
		f := refusal(http.StatusUnauthorized, "")
		f.err = errs.E("identity.userAnywhere", errs.Unauthenticated, errs.User, *u.Name).
			Because(errs.BadName, "the name alone does not tell which user it is: ask for the project, or write ACCOUNT:NAME")
		return "", f
	}
	return id, nil
}

// findProject finds the account that a request names; errs.NotFound.
func (c *call) findProject(p *projectRef) (key.Account, error) {
	const op = "identity.findProject"
	if p.ID != nil {
		return c.projectOf(c.ctx(), *p.ID)
	}
	none := errs.E(op, errs.NotFound, errs.Account, *p.Name)
	a, err := c.projectOf(c.ctx(), *p.Name)
	if err == nil && a.ProjectName() == *p.Name && p.Domain.is(a.Domain) {
		return a, nil
	}
	if err = absent(err); err != nil {
		return key.Account{}, err
	}
	seen, found := 0, key.Account{}
	err = c.d.o.Keys.Accounts(c.ctx(), "", func(a key.Account) bool {
		seen++
		if a.ProjectName() == *p.Name && p.Domain.is(a.Domain) {
			found = a
		}
		return found.ID == "" && seen < accountsMax
	})
	if err == nil && found.ID == "" {
		err = none
	}
	return found, err
}

// projectOf finds an account by its id.
func (c *call) projectOf(ctx context.Context, id string) (key.Account, error) {
	if _, err := naming.ParseAccount(id); err != nil {
		return key.Account{}, errs.E("identity.projectOf", errs.NotFound, errs.Account, "").With(err)
	}
	return c.d.b.Account(ctx, naming.AccountID(id))
}

// absent takes away the error that something is not there.
func absent(err error) error {
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

// scope sets what the token of b is for.
func (c *call) scope(b *bearer, want wanted) error {
	switch {
	case want.unscoped:
		b.ticket.scope = unscoped
		return nil
	case want.project == nil:
		return nil // the user's own, which is its default project
	}
	a, err := c.findProject(want.project)
	if errs.Is(err, errs.NotFound) || err == nil && (a.Disabled || a.ID != b.who.Account && !b.who.Operator) {
		// The same for a project that is not there as for one that the user has no role in.
		return refusal(http.StatusUnauthorized, "")
	}
	if err != nil {
		return err
	}
	if a.ID != b.who.Account {
		b.ticket.scope, b.ticket.project = anyProject, a.ID
	}
	return nil
}

// is tells whether a reference to a domain means the one with the id. No reference means the default domain.
func (r *domainRef) is(id string) bool {
	switch {
	case r == nil || r.ID == nil && r.Name == nil:
		return id == ""
	case r.ID != nil:
		return *r.ID == domainID(id)
	}
	return *r.Name == domainName(id) || *r.Name == domainID(id)
}

// domainID is a domain's id; accounts of the default one say "".
func domainID(id string) string {
	if id == "" {
		return key.DomainDefault
	}
	return id
}

// domainName is a domain's name: the id, but for the default one.
func domainName(id string) string {
	if id = domainID(id); id == key.DomainDefault {
		return "Default"
	}
	return id
}
