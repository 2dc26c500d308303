package access

import (
	"iter"
	"net/url"
	"slices"
	"strings"

	"pithos/internal/errs"
	"pithos/internal/naming"
)

// List is a container list of OpenStack Swift in its cleaned form: grantees ("account", "account:user"), referrers (".r:host"), and
// ".rlistings", joined by commas. Source: Swift's documentation, "Access Control Lists (ACLs)".
type List string

// ListMax is the longest list, in bytes.
const ListMax = 8192

// listings is the item that lets referrers list the container.
const listings = ".rlistings"

// ParseList cleans a list as Swift does: spaces around items and empty items go, the spellings of ".r" become one, "*.host" becomes ".host".
// Referrers are for reading only. Error: Invalid/Config, with a sentence that says what is wrong.
func ParseList(text string, reading bool) (List, error) {
	if len(text) > ListMax {
		return "", badList("the list is longer than 8192 bytes")
	}
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		clean, err := cleanItem(item, reading)
		if err != nil {
			return "", err
		}
		items = append(items, clean)
	}
	return List(strings.Join(items, ",")), nil
}

func cleanItem(item string, reading bool) (string, error) {
	if !strings.HasPrefix(item, ".") {
		return item, nil
	}
	kind, host, ok := strings.Cut(item, ":")
	kind, host = strings.TrimSpace(kind), strings.TrimSpace(host)
	if !ok && kind == listings && reading {
		return item, nil
	}
	switch {
	case kind != ".r" && kind != ".ref" && kind != ".referer" && kind != ".referrer":
		return "", badList("Unknown designator " + quoted(kind) + " in ACL: " + quoted(item))
	case !reading:
		return "", badList("Referrers not allowed in write ACL: " + quoted(item))
	}
	denied := ""
	if rest, not := strings.CutPrefix(host, "-"); not {
		denied, host = "-", strings.TrimSpace(rest)
	}
	if host != "*" {
		host = strings.TrimPrefix(host, "*")
	}
	if host == "" || host == "." {
		return "", badList("No host/domain value after referrer designation in ACL: " + quoted(item))
	}
	return ".r:" + denied + host, nil
}

func quoted(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "..."
	}
	return "'" + s + "'"
}

func badList(msg string) error {
	return errs.E("access.ParseList", errs.Invalid, errs.Config, "acl").Because(errs.BadSyntax, msg)
}

// Names reports whether the list names the principal: its account, itself, or, as Keystone's users are named, "project:user", where each side
// may be "*", the id, or the name if both the principal and the container are in the default domain. A bare name of a role names the
// users of the container's own account that have it. An account alone names its users, unless they signed in by Keystone, which has no such names.
func (l List) Names(p Principal, owner naming.AccountID, domain string) bool {
	if l == "" || p.Account == "" {
		return false
	}
	byName := p.Domain == "" && domain == ""
	for name := range l.named() {
		account, user, pair := strings.Cut(name, ":")
		switch {
		case pair && (account == "*" || p.isProject(account, byName)) && p.isUser(user, byName):
			return true
		case !pair && (!p.Keystone && p.isProject(name, byName) || p.Account == owner && slices.Contains(p.Roles, name)):
			return true
		}
	}
	return false
}

// named are the items that name somebody, unescaped.
func (l List) named() iter.Seq[string] {
	return func(yield func(string) bool) {
		for item := range strings.SplitSeq(string(l), ",") {
			if item == "" || strings.HasPrefix(item, ".") {
				continue
			}
			name, err := url.PathUnescape(item)
			if err != nil {
				name = item
			}
			if !yield(name) {
				return
			}
		}
	}
}

// isProject reports whether s is the id or, where names count, the name of the principal's account.
func (p Principal) isProject(s string, byName bool) bool {
	return s == string(p.Account) || byName && p.Project != "" && s == p.Project
}

// isUser reports whether s is "*", the id or, where names count, the name of the principal.
func (p Principal) isUser(s string, byName bool) bool {
	if s == "*" || p.User == "" {
		return s == "*"
	}
	_, short := p.User.Split()
	if p.Name != "" {
		return s == short || byName && s == p.Name
	}
	return s == p.User.Opaque() || byName && s == short
}

// Refers reports whether the list lets whoever comes from the host in; the last item that fits counts. "" is a request that does not say
// where it comes from.
func (l List) Refers(host string) bool {
	if !strings.Contains(string(l), ".r:") {
		return false
	}
	if host == "" {
		host = "unknown"
	}
	allowed := false
	for item := range strings.SplitSeq(string(l), ",") {
		pattern, ok := strings.CutPrefix(item, ".r:")
		if !ok {
			continue
		}
		pattern, denied := strings.CutPrefix(pattern, "-")
		if pattern == "*" || pattern == host || strings.HasPrefix(pattern, ".") && strings.HasSuffix(host, pattern) {
			allowed = !denied
		}
	}
	return allowed
}

// Public reports whether the list lets any referrer in.
func (l List) Public() bool {
	for item := range strings.SplitSeq(string(l), ",") {
		if host, ok := strings.CutPrefix(item, ".r:"); ok && !strings.HasPrefix(host, "-") {
			return true
		}
	}
	return false
}

// Listings reports whether referrers may list the container too.
func (l List) Listings() bool {
	for item := range strings.SplitSeq(string(l), ",") {
		if item == listings {
			return true
		}
	}
	return false
}

// Whole is what a list gives without regard to single users, roles or hosts.
type Whole struct {
	Public   bool               // anybody may list: referrers are let in, none is kept out, and they may list
	SignedIn bool               // every user of the service
	Accounts []naming.AccountID // every user of these; whether there are such accounts the list does not know
}

// Whole tells what the list gives to everybody and to whole accounts. An account alone counts as one, though not for those who
// signed in by Keystone: see Names.
func (l List) Whole() (w Whole) {
	w.Public = l.Listings() && l.Refers("") && slices.Contains(strings.Split(string(l), ","), ".r:*") && !strings.Contains(string(l), ".r:-")
	for name := range l.named() {
		account, user, pair := strings.Cut(name, ":")
		switch {
		case account == "" || pair && user != "*":
		case pair && account == "*":
			w.SignedIn = true
		default:
			w.Accounts = append(w.Accounts, naming.AccountID(account))
		}
	}
	return w
}

// allowsByList decides by the container's Swift lists.
func allowsByList(q Request) (string, bool) {
	p, r := q.Principal, q.Resource
	switch q.Action {
	case GetObject, GetObjectVersion, GetObjectAttributes, GetObjectVersionAttributes:
		if r.Readers.Names(p, r.Account, r.Domain) {
			return "read list names the principal", true
		}
		return "read list lets the referrer in", !r.RestrictPublic && r.Readers.Refers(p.Referrer)
	case ListBucket, ListBucketVersions:
		if r.Readers.Names(p, r.Account, r.Domain) {
			return "read list names the principal", true
		}
		return "read list lets the referrer list", !r.RestrictPublic && r.Readers.Listings() && r.Readers.Refers(p.Referrer)
	case PutObject, DeleteObject:
		return "write list names the principal", r.Writers.Names(p, r.Account, r.Domain)
	}
	return "", false
}
