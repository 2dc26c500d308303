package access

import (
	"slices"
	"strings"

	"pithos/internal/naming"
)

// Actions of Pithos+ that no other protocol has. Only the owner may do them, and change what a path shares.
const (
	PutObjectSharing Action = "pithos:PutObjectSharing" // lists and public link of a path
	PurgeHistory     Action = "pithos:PurgeHistory"     // remove versions by their time
	LookBack         Action = "pithos:LookBack"         // see account and containers as they were
)

// Everyone is the member of a sharing list that stands for everybody who signed in (Pithos+ 1.8).
const Everyone = "*"

// Sharing is what applies to a path by Pithos+: its own lists, or those of the nearest folder that carries some. A member is a user id, an
// account (for all of its users), "account:group" for a group of the owner's, or Everyone.
type Sharing struct {
	Read   []string
	Write  []string            // members who may also read
	Groups map[string][]string // the owner's groups, by name
	// Link says that the request came by the public link of the object.
	Link bool
}

// Allows reports whether the lists of owner let p read, or write.
func (s Sharing) Allows(p Principal, owner naming.AccountID, write bool) bool {
	if p.Anonymous() {
		return false
	}
	is := func(member string) bool { return s.names(member, p, owner) }
	return slices.ContainsFunc(s.Write, is) || !write && slices.ContainsFunc(s.Read, is)
}

// names reports whether a member of a list stands for p. A group of the owner's goes before a user of the same spelling.
func (s Sharing) names(member string, p Principal, owner naming.AccountID) bool {
	if group, ok := strings.CutPrefix(member, string(owner)+":"); ok {
		if members, ok := s.Groups[group]; ok {
			return slices.ContainsFunc(members, func(m string) bool { return isUser(m, p) })
		}
	}
	return isUser(member, p)
}

func isUser(member string, p Principal) bool {
	return member == Everyone || member == string(p.Account) || member == string(p.User) && p.User != ""
}

// Shareable tells whether sharing can allow the action.
func Shareable(a Action) bool { return a == GetObject || a == GetObjectAttributes || a == PutObject }

// bySharing answers from Pithos+ sharing: a reader may read the newest version, a writer also write a new one.
func bySharing(q Request) (why string, ok bool) {
	s := q.Resource.Sharing
	switch q.Action {
	case GetObject, GetObjectAttributes:
		if s.Link && !q.Resource.RestrictPublic {
			return "by its public link", true
		}
		if s.Allows(q.Principal, q.Resource.Account, false) {
			return "shared for reading", true
		}
	case PutObject:
		if s.Allows(q.Principal, q.Resource.Account, true) {
			return "shared for writing", true
		}
	}
	return "", false
}
