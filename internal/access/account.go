package access

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"pithos/internal/naming"
)

// RoleService is the role that whoever acts for a user inside the user's service account must have.
const RoleService = "service"

// AccountList is the access control list of a Swift account: users ("account:user") and accounts by what they may do in it. Source:
// OpenStack Swift, "Access Control Lists (ACLs)", Account ACLs.
type AccountList struct {
	Admin     []string `json:"admin,omitempty"`      // everything, the list itself among it
	ReadWrite []string `json:"read-write,omitempty"` // read, and change containers and objects
	ReadOnly  []string `json:"read-only,omitempty"`  // read everything but the list and other secrets
}

// ParseAccountList reads X-Account-Access-Control: a JSON object with lists of strings below "admin", "read-write" and "read-only", and nothing
// else; "" is the empty list. Error: Invalid/Config, with a sentence that says what is wrong.
func ParseAccountList(text string) (AccountList, error) {
	var l AccountList
	if len(text) > ListMax {
		return l, badList("the list is longer than 8192 bytes")
	}
	if strings.TrimSpace(text) == "" {
		return l, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil || members == nil {
		return l, badList("Syntax error in account ACL: it is not a JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		var into *[]string
		switch name {
		case "admin":
			into = &l.Admin
		case "read-write":
			into = &l.ReadWrite
		case "read-only":
			into = &l.ReadOnly
		default:
			return AccountList{}, badList("Unrecognised key in account ACL: " + quoted(name))
		}
		if !bytes.HasPrefix(members[name], []byte("[")) || json.Unmarshal(members[name], into) != nil || hasNull(members[name]) {
			return AccountList{}, badList("The value of " + quoted(name) + " in the account ACL is not a list of strings")
		}
	}
	return l, nil
}

// hasNull reports whether a JSON list has a null, which the decoder takes for "".
func hasNull(list json.RawMessage) bool {
	var items []*string
	return json.Unmarshal(list, &items) != nil || slices.Contains(items, nil)
}

// IsZero reports whether the list names nobody.
func (l AccountList) IsZero() bool { return len(l.Admin)+len(l.ReadWrite)+len(l.ReadOnly) == 0 }

// Text is the list as X-Account-Access-Control shows it: compact ASCII JSON with sorted keys; "" for an empty list.
func (l AccountList) Text() string {
	if l.IsZero() {
		return ""
	}
	members := map[string][]string{}
	for name, list := range map[string][]string{"admin": l.Admin, "read-write": l.ReadWrite, "read-only": l.ReadOnly} {
		if len(list) > 0 {
			members[name] = list
		}
	}
	raw, err := json.Marshal(members)
	if err != nil {
		return "" // cannot happen: strings become JSON
	}
	return ascii(string(raw))
}

// ascii writes what is not ASCII in JSON as escapes.
func ascii(s string) string {
	var out strings.Builder
	for _, r := range s {
		if r < 0x80 {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16Of(r) {
			out.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				out.WriteByte("0123456789abcdef"[unit>>shift&15])
			}
		}
	}
	return out.String()
}

func utf16Of(r rune) []uint16 {
	if r < 0x10000 {
		return []uint16{uint16(r)}
	}
	r -= 0x10000
	return []uint16{uint16(0xd800 + r>>10), uint16(0xdc00 + r&0x3ff)}
}

// gives reports whether the list lets p do a.
func (l AccountList) gives(p Principal, a Action) (string, bool) {
	switch {
	case namesOne(l.Admin, p):
		return "account list: admin", true
	case namesOne(l.ReadWrite, p) && (reads(a) || changes(a)):
		return "account list: read-write", true
	case namesOne(l.ReadOnly, p) && reads(a):
		return "account list: read-only", true
	}
	return "", false
}

func namesOne(list []string, p Principal) bool {
	return p.Account != "" && slices.ContainsFunc(list, func(name string) bool {
		return name == string(p.Account) || p.User != "" && name == string(p.User)
	})
}

// reads tells whether the action only looks, at what account lists show.
func reads(a Action) bool {
	switch a {
	case ListAllMyBuckets, ListBucket, ListBucketVersions, ListBucketMultipartUploads, GetBucketLocation, GetBucketVersioning, GetBucketTagging,
		GetObject, GetObjectVersion, GetObjectAttributes, GetObjectTagging, GetObjectVersionTagging:
		return true
	}
	return false
}

// changes tells whether the action changes containers or objects.
func changes(a Action) bool {
	switch a {
	case CreateBucket, DeleteBucket, PutContainer, PutBucketVersioning, PutBucketTagging, PutObject, DeleteObject, DeleteObjectVersion,
		PutObjectTagging, PutObjectVersionTagging, DeleteObjectTagging, DeleteObjectVersionTagging, AbortMultipartUpload, ListMultipartUploadParts:
		return true
	}
	return false
}

// Owns reports whether the principal administers the account. A service account is administered by its users' administrators, and only through
// somebody with the role of a service.
func (p Principal) Owns(account naming.AccountID) bool {
	base, prefix := account.Reseller()
	if !p.Admin || p.Account == "" {
		return false
	}
	return p.Account == account || p.Account == base && prefix != "" && (slices.Contains(p.ServiceRoles, RoleService) || slices.Contains(p.Roles, RoleService))
}
