// Package key is the contract of the keystore: accounts, users and their keys.
package key

import (
	"context"
	"time"

	"pithos/internal/naming"
)

// Reader answers who somebody is. Every keystore has it. All methods are safe for concurrent use. Secrets leave the
// store only through Lookup and Keys; Key.Secret must never reach a log.
//
// Errors: NotFound (Account, User or Key), Busy, Closed.
type Reader interface {
	// Lookup finds an access key with its user and account. A key, user or account that is disabled or expired is
	// still found: the caller looks at the flags.
	Lookup(ctx context.Context, accessKey string) (Identity, error)
	// User finds a user.
	User(ctx context.Context, id naming.UserID) (User, error)
	// Account finds an account.
	Account(ctx context.Context, id naming.AccountID) (Account, error)
	// Canonical finds the account with a canonical id.
	Canonical(ctx context.Context, canonical string) (Account, error)
	// Email finds the account with an e-mail address, byte for byte; several matches are Conflict, "" is NotFound.
	Email(ctx context.Context, address string) (Account, error)
	// Accounts, Users and Keys call fn in byte order of the id (of the access key) until it returns false; after is exclusive. Users of ""
	// are those of all accounts. Nobody's users or keys are none, not an error. fn may call the store.
	Accounts(ctx context.Context, after naming.AccountID, fn func(Account) bool) error
	Users(ctx context.Context, account naming.AccountID, after naming.UserID, fn func(User) bool) error
	Keys(ctx context.Context, user naming.UserID, fn func(Key) bool) error
	// Close releases everything. Later calls fail with Closed.
	Close() error
}

// Writer changes accounts, users and keys. A keystore that is a file has none. A nil error means durable and visible
// to every later call on any node. Update methods replace the record if its Revision is still the one given, else Conflict, and return it
// with the new one; NotFound when it is gone, Exists when another account has the canonical id. Times are kept to the microsecond.
// Empty and nil lists and maps are the same. Errors besides: Busy, Ambiguous (the change may or may not have happened), Closed.
type Writer interface {
	// CreateAccount fails with Exists when the id or the canonical id is taken.
	CreateAccount(ctx context.Context, a Account) (Account, error)
	UpdateAccount(ctx context.Context, a Account) (Account, error)
	// RemoveAccount fails with NotEmpty while the account has users.
	RemoveAccount(ctx context.Context, id naming.AccountID) error

	// CreateUser fails with NotFound without its account and with Exists when the id is taken.
	CreateUser(ctx context.Context, u User) (User, error)
	UpdateUser(ctx context.Context, u User) (User, error)
	// RemoveUser removes the user and all of its keys.
	RemoveUser(ctx context.Context, id naming.UserID) error

	// CreateKey fails with NotFound without its user and with Exists when the access key is taken.
	CreateKey(ctx context.Context, k Key) error
	// DisableKey sets or clears the flag.
	DisableKey(ctx context.Context, accessKey string, disabled bool) error
	RemoveKey(ctx context.Context, accessKey string) error
}

// Store is a keystore that can be written.
type Store interface {
	Reader
	Writer
}

// Account is a tenant.
type Account struct {
	ID          naming.AccountID  `json:"id"`
	Canonical   string            `json:"canonical_id"` // 64 hexadecimal digits unless the operator chose another
	DisplayName string            `json:"display_name"`
	Email       string            `json:"email,omitempty"`
	Created     time.Time         `json:"created"`
	Disabled    bool              `json:"disabled,omitempty"`
	QuotaBytes  int64             `json:"quota_bytes,omitempty"`   // 0: no limit
	QuotaCount  int64             `json:"quota_objects,omitempty"` // 0: no limit
	Meta        map[string]string `json:"meta,omitempty"`          // Swift account metadata, read while nothing was set by a request
	Domain      string            `json:"domain,omitempty"`        // Keystone domain; "": the default one
	Project     string            `json:"project,omitempty"`       // name as a Keystone project; "": the id
	Revision    uint64            `json:"revision"`

	// GroupPolicies are the policies of the groups that users are in (User.Groups), by group and name, as written.
	GroupPolicies map[string]map[string][]byte `json:"group_policies,omitempty"`
}

// DomainDefault is the id of the Keystone domain of accounts that name none.
const DomainDefault = "default"

// ProjectName is the account's name as a Keystone project.
func (a Account) ProjectName() string {
	if a.Project != "" {
		return a.Project
	}
	return string(a.ID)
}

// Roles that the backbone knows; others are kept as written.
const (
	RoleAdmin    = "admin"          // may do everything inside the account
	RoleOperator = "reseller_admin" // may do everything everywhere
)

// User is somebody who signs in.
type User struct {
	ID           naming.UserID     `json:"id"` // "account:name"
	Account      naming.AccountID  `json:"account"`
	DisplayName  string            `json:"display_name,omitempty"`
	Email        string            `json:"email,omitempty"`
	Roles        []string          `json:"roles,omitempty"`
	Groups       []string          `json:"groups,omitempty"`
	PasswordHash string            `json:"password_hash,omitempty"`
	Disabled     bool              `json:"disabled,omitempty"`
	Created      time.Time         `json:"created"`
	Policies     map[string][]byte `json:"policies,omitempty"` // attached policies by name, as written
	Revision     uint64            `json:"revision"`
}

// Key is an access key of a user.
type Key struct {
	AccessKey string        `json:"access_key"`
	Secret    string        `json:"secret_key"`
	Name      string        `json:"name,omitempty"` // that its user gave it; "": none
	User      naming.UserID `json:"user"`
	Created   time.Time     `json:"created"`
	Expires   time.Time     `json:"expires,omitzero"` // zero: never
	Disabled  bool          `json:"disabled,omitempty"`
	Policy    []byte        `json:"policy,omitempty"` // narrows what the key may do; nil: all that the user may
}

// Identity is an access key with whom it belongs to.
type Identity struct {
	Key     Key
	User    User
	Account Account
}
