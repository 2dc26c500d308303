package naming

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Accounts under which the service itself keeps containers. No parsed account has such a name, so no request reaches them; whatever looks at
// all containers that there are must look here too.
const (
	OwnAccount      AccountID = ":service"  // the index of what is shared
	SettingsAccount AccountID = ":accounts" // what clients set on accounts: a container for each
	TokensAccount   AccountID = ":tokens"   // which tokens were ended early: a container for each user who did so
)

// Own are the accounts of the service itself.
func Own() []AccountID { return []AccountID{OwnAccount, SettingsAccount, TokensAccount} }

// ServicePrefix is the reseller prefix of the accounts that services keep for their users.
const ServicePrefix = "SERVICE"

// Service is the account of another reseller prefix, "SERVICE", that goes with a user's account: SERVICE_test with AUTH_test. No parsed account has such a
// name.
func Service(prefix string, account AccountID) AccountID {
	return AccountID(prefix + ":" + string(account))
}

// Reseller takes the account that Service made apart; prefix is "" for an ordinary account.
func (a AccountID) Reseller() (account AccountID, prefix string) {
	if prefix, rest, ok := strings.Cut(string(a), ":"); ok && prefix != "" {
		return AccountID(rest), prefix
	}
	return a, ""
}

// Opaque is the user's id where it must not have a colon, as in Keystone: unpadded base64url of the whole.
func (u UserID) Opaque() string { return base64.RawURLEncoding.EncodeToString([]byte(u)) }

// ParseOpaque reads what Opaque made; ok is false for anything else.
func ParseOpaque(s string) (id UserID, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || !utf8.Valid(raw) {
		return "", false
	}
	account, name, ok := strings.Cut(string(raw), ":")
	return UserID(raw), ok && account != "" && name != ""
}

// Beside are the accounts that go with a user's account, itself the first: all under which its containers are.
func Beside(a AccountID) []AccountID { return []AccountID{a, Service(ServicePrefix, a)} }
