package policy

import "strings"

// principals are whom a statement is about.
type principals struct {
	not  bool
	list []principal
}

// principal is one of them, as kind and name.
type principal struct {
	kind string // "*", aws, canonical, service or federated
	name string // as written
	// Of an aws principal: the account and, unless it is the account itself, the user.
	account, user string
	everyone      bool
}

// The kinds of principals.
const (
	aws       = "AWS"
	canonical = "CanonicalUser"
	service   = "Service"   // services of AWS: there are none here, so they match nobody
	federated = "Federated" // matches nobody either
)

// newPrincipal reads one principal. ok is false when it can be none.
func newPrincipal(kind, name string) (p principal, ok bool) {
	p = principal{kind: kind, name: name}
	switch kind {
	case aws:
		return p, p.readAWS()
	case canonical:
		return p, name != "" && !strings.ContainsAny(name, "*?")
	case service, federated:
		return p, name != "" && !strings.ContainsAny(name, "*?")
	}
	return p, false
}

// readAWS reads "*", an account id, or an ARN of an account, user, role or session. Roles and sessions match nobody: there are none.
func (p *principal) readAWS() bool {
	if p.name == "*" {
		p.everyone = true
		return true
	}
	if strings.ContainsAny(p.name, "*?") {
		return false // AWS allows no parts of names
	}
	rest, iam := strings.CutPrefix(p.name, "arn:aws:iam::")
	if sts, ok := strings.CutPrefix(p.name, "arn:aws:sts::"); ok {
		account, what, _ := strings.Cut(sts, ":")
		return account != "" && (strings.HasPrefix(what, "assumed-role/") || strings.HasPrefix(what, "federated-user/"))
	}
	if !iam {
		p.account = p.name
		return p.name != "" && !strings.ContainsAny(p.name, ":/")
	}
	account, what, _ := strings.Cut(rest, ":")
	if account == "" {
		return false
	}
	kind, name, _ := strings.Cut(what, "/")
	switch {
	case what == "root":
		p.account = account
	case kind == "user" && name != "":
		p.account, p.user = account, name
	case kind == "role" && name != "":
	default:
		return false
	}
	return true
}

// match tells whether the statement is about who asks, and how it names them.
func (ps *principals) match(q *Request) Match {
	best := NoMatch
	for i := range ps.list {
		best = max(best, ps.list[i].match(q))
	}
	if !ps.not {
		return best
	}
	if best != NoMatch {
		return NoMatch
	}
	return ToEveryone
}

func (p *principal) match(q *Request) Match {
	switch {
	case p.everyone:
		return ToEveryone
	case q.Account == "":
		return NoMatch
	case p.kind == canonical && p.name == q.Canonical:
		return ToAccount
	case p.kind != aws || p.account != q.Account:
		return NoMatch
	case p.user == "":
		return ToAccount
	case p.user == q.User:
		return ToPrincipal
	}
	return NoMatch
}
