package admin

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// TokenFile is the file in the data directory that holds the token of the running server, mode 0600.
const TokenFile = "admin.token"

// Version is the answer of GET /v1/version.
type Version struct {
	Version string `json:"version"`
}

// Account is an account as this API shows it.
type Account struct {
	ID          string     `json:"id"`
	Canonical   string     `json:"canonical_id"`
	DisplayName string     `json:"display_name,omitempty"`
	Email       string     `json:"email,omitempty"`
	Created     time.Time  `json:"created,omitzero"`
	Disabled    bool       `json:"disabled"`
	Quota       Quota      `json:"quota"`
	Usage       meta.Usage `json:"usage"`
}

// Quota bounds an account; 0 is no limit.
type Quota struct {
	Bytes   int64 `json:"bytes"`
	Objects int64 `json:"objects"`
	Default bool  `json:"default,omitempty"` // the account has none of its own: these are the service's
}

// NewAccount is the body of POST /v1/accounts.
type NewAccount struct {
	ID          string `json:"id"`
	Canonical   string `json:"canonical_id,omitempty"`
	DisplayName string `json:"display_name,omitempty"`
	Email       string `json:"email,omitempty"`
	Bytes       int64  `json:"quota_bytes,omitempty"`
	Objects     int64  `json:"quota_objects,omitempty"`
}

// AccountChange is the body of PATCH /v1/accounts/ID; fields that are left out stay.
type AccountChange struct {
	DisplayName *string `json:"display_name,omitempty"`
	Email       *string `json:"email,omitempty"`
	Disabled    *bool   `json:"disabled,omitempty"`
	Bytes       *int64  `json:"quota_bytes,omitempty"`
	Objects     *int64  `json:"quota_objects,omitempty"`
}

// User is a user as this API shows it.
type User struct {
	ID          string    `json:"id"`
	Account     string    `json:"account"`
	DisplayName string    `json:"display_name,omitempty"`
	Email       string    `json:"email,omitempty"`
	Roles       []string  `json:"roles"`
	Groups      []string  `json:"groups,omitempty"`
	Password    bool      `json:"password"` // has one
	Disabled    bool      `json:"disabled"`
	Created     time.Time `json:"created,omitzero"`
	Keys        []Key     `json:"keys,omitempty"`
	Policies    []string  `json:"policies,omitempty"` // names of those attached to the user itself
}

// NewUser is the body of POST /v1/users. Its account is made if it does not exist.
type NewUser struct {
	Account     string   `json:"account"`
	Name        string   `json:"name"`
	DisplayName string   `json:"display_name,omitempty"`
	Email       string   `json:"email,omitempty"`
	Roles       []string `json:"roles"` // null: [admin]
	Groups      []string `json:"groups,omitempty"`
	Password    string   `json:"password,omitempty"`
	NoKey       bool     `json:"no_key,omitempty"` // do not make an access key
	AccessKey   string   `json:"access_key,omitempty"`
	Secret      string   `json:"secret_key,omitempty"`
}

// UserChange is the body of PATCH /v1/users/ID; fields that are left out stay.
type UserChange struct {
	DisplayName *string   `json:"display_name,omitempty"`
	Email       *string   `json:"email,omitempty"`
	Roles       *[]string `json:"roles,omitempty"`
	Groups      *[]string `json:"groups,omitempty"`
	Password    *string   `json:"password,omitempty"` // "" removes it
	Disabled    *bool     `json:"disabled,omitempty"`
}

// Key is an access key as this API shows it. Secret is there only in the answer that made the key.
type Key struct {
	AccessKey string    `json:"access_key"`
	Secret    string    `json:"secret_key,omitempty"`
	User      string    `json:"user"`
	Created   time.Time `json:"created,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Disabled  bool      `json:"disabled"`
	// Policy bounds what the key may do; null: all that its user may.
	Policy json.RawMessage `json:"policy,omitempty"`
}

// NewKey is the body of POST /v1/keys. Without an access key and secret both are drawn.
type NewKey struct {
	User      string    `json:"user"`
	AccessKey string    `json:"access_key,omitempty"`
	Secret    string    `json:"secret_key,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	// Policy bounds what the key may do to what it allows; null: no bound.
	Policy json.RawMessage `json:"policy,omitempty"`
}

// KeyChange is the body of PATCH /v1/keys/KEY.
type KeyChange struct {
	Disabled *bool `json:"disabled"`
}

// Page is a page of a list. Next goes into the query as "after" for the next one; "" says that this was the last.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// ServiceUsage is the answer of GET /v1/usage.
type ServiceUsage struct {
	Accounts int64      `json:"accounts"`
	Total    meta.Usage `json:"total"`
	Store    StoreUsage `json:"store"`
}

// StoreUsage is the space that the blobstore takes, in bytes.
type StoreUsage struct {
	Blocks int64 `json:"blocks"` // number of stored blocks
	Live   int64 `json:"live"`   // their bytes
	Dead   int64 `json:"dead"`   // of deleted blocks, not yet given back
	Disk   int64 `json:"disk"`   // on disk, everything included
}

// Progress is a line of a running task.
type Progress struct {
	Phase string `json:"phase"`           // what is being done
	Done  int64  `json:"done"`            // so far
	Total int64  `json:"total,omitempty"` // of it, if known
	Bytes int64  `json:"bytes,omitempty"` // so far
}

// line is one line of a task's answer; exactly one field is set.
type line struct {
	Progress *Progress `json:"progress,omitempty"`
	Report   any       `json:"report,omitempty"`
	Error    *Failure  `json:"error,omitempty"`
}

// Failure is an error as this API shows it. It is an error itself, for the client.
type Failure struct { //nolint:errname // it is the wire form of one
	Kind    string `json:"kind"`
	Thing   string `json:"thing,omitempty"`
	Name    string `json:"name,omitempty"`
	Message string `json:"message"`
}

func (f *Failure) Error() string { return f.Message }

// Is makes errors.Is compare by kind.
func (f *Failure) Is(target error) bool {
	var t *Failure
	return errors.As(target, &t) && t.Kind == f.Kind && (t.Thing == "" || t.Thing == f.Thing)
}

type errorBody struct {
	Error *Failure `json:"error"`
}

// failureOf is the public part of an error.
func failureOf(err error) *Failure {
	var e *errs.Error
	if !errors.As(err, &e) {
		return &Failure{Kind: errs.Internal.String(), Message: "the server failed; its log says why"}
	}
	f := &Failure{Kind: e.Kind.String(), Thing: e.Thing.String(), Name: e.Name, Message: e.Msg}
	if f.Message == "" {
		f.Message = e.Kind.String()
	}
	if e.Thing != errs.NoThing && e.Thing != errs.Request {
		subject := f.Thing
		if e.Name != "" {
			subject += " " + e.Name
		}
		f.Message = subject + ": " + f.Message
	}
	return f
}

// statusOf is the status of a kind of error at this door.
func statusOf(k errs.Kind) int {
	switch k {
	case errs.Range:
		return http.StatusBadRequest
	case errs.Quota:
		return http.StatusInsufficientStorage
	case errs.Canceled:
		return http.StatusServiceUnavailable
	default:
		return wire.StatusOf(k)
	}
}

func showUser(u key.User) User {
	roles := u.Roles
	if roles == nil {
		roles = []string{}
	}
	return User{
		ID: string(u.ID), Account: string(u.Account), DisplayName: u.DisplayName, Email: u.Email, Roles: roles, Groups: u.Groups,
		Password: u.PasswordHash != "", Disabled: u.Disabled, Created: u.Created, Policies: slices.Sorted(maps.Keys(u.Policies)),
	}
}

// showKey leaves the secret out.
func showKey(k key.Key) Key {
	return Key{AccessKey: k.AccessKey, User: string(k.User), Created: k.Created, Expires: k.Expires, Disabled: k.Disabled, Policy: k.Policy}
}
