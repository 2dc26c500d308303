package policy

import "pithos/internal/errs"

// Limits of policies that are attached to users and groups. A user's and its groups' are read with every request that the user signs.
const (
	AttachedMax = 10       // of a user, and of a group
	GroupsMax   = 64 << 10 // bytes of all policies of an account's groups
	NameMax     = 128      // bytes of a name
)

// CheckName holds the name of an attached policy to IAM's rule: letters, digits and + = , . @ _ -. Error: Invalid, reason BadName.
func CheckName(name string) error {
	ok := name != "" && len(name) <= NameMax
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '=' || r == ',' || r == '.' || r == '@' || r == '_' || r == '-')
	}
	if !ok {
		return errs.E("policy.CheckName", errs.Invalid, errs.Request, "").
			Because(errs.BadName, "a policy name has 1 to 128 characters of A-Z, a-z, 0-9 and + = , . @ _ -")
	}
	return nil
}
