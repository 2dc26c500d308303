// Package access decides who may do what. It is pure: everything a decision
// depends on is in its arguments, so the same question gets the same answer at
// every door (invariant: one function decides).
package access

import (
	"slices"
	"strings"

	"pithos/internal/access/policy"
	"pithos/internal/naming"
)

// Principal is who asks. The zero value is the anonymous public.
type Principal struct {
	Account   naming.AccountID // "" for the anonymous public
	User      naming.UserID
	Canonical string   // canonical id of the account, as ACL grants name it
	AccessKey string   // the key that signed, for the log and for narrower key policies
	Admin     bool     // may do everything inside Account
	Operator  bool     // may do everything everywhere (the service itself, reseller administrators)
	Groups    []string // groups of the user
	Scope     *Scope   // bounds everything else; nil: no bound
	Referrer  string   // host of the request's Referer header where the protocol's lists ask for it; "" elsewhere

	Policies []*policy.Policy // attached to the user and its groups
	KeyLimit *policy.Policy   // of the access key: what it does not allow the key may not do, whoever it belongs to; nil: no limit
	Unread   string           // a policy of the user, a group or the key that cannot be read: nobody knows what it would forbid, so nothing is allowed

	Domain       string   // Keystone domain of the account; "" for the default one
	Project      string   // name of the account as a Keystone project
	Roles        []string // of the user
	Name         string   // of a user whom another service keeps, who stands in User by the id there; "" for the keystore's own
	Keystone     bool     // signed in by Keystone, by whose rules a name alone in Swift's lists is a role, and never an account
	ServiceRoles []string // of the service that acts for the user, where one has shown its own token besides
}

// short is the user's name inside its account.
func (p Principal) short() string {
	_, name, _ := strings.Cut(string(p.User), ":")
	return name
}

// Scope is what a signed link or form gives: work on objects of one account, or of one container, on behalf of whoever signed. It gives nothing by
// itself; what lies outside of it is refused whatever else would allow it.
type Scope struct {
	Account   naming.AccountID
	Container naming.ContainerName // "": every container of the account
}

// covers tells whether a question lies inside.
func (s *Scope) covers(q Request) bool {
	switch q.Action {
	case GetObject, GetObjectAttributes, PutObject, DeleteObject, ListBucket:
		return q.Resource.Account == s.Account && (s.Container == "" || s.Container == q.Resource.Container)
	}
	return false
}

// Anonymous reports whether nobody signed in.
func (p Principal) Anonymous() bool { return p.Account == "" && !p.Operator }

// Action is one thing that can be done, in S3's words ("s3:GetObject"). Doors of other protocols use the same
// actions for the same effect, so that one policy covers every door.
type Action string

// Actions that the backbone decides. Later doors add theirs beside them.
const (
	ListAllMyBuckets           Action = "s3:ListAllMyBuckets"
	CreateBucket               Action = "s3:CreateBucket"
	DeleteBucket               Action = "s3:DeleteBucket"
	ListBucket                 Action = "s3:ListBucket"
	ListBucketVersions         Action = "s3:ListBucketVersions"
	ListBucketMultipartUploads Action = "s3:ListBucketMultipartUploads"
	GetBucketLocation          Action = "s3:GetBucketLocation"
	GetBucketVersioning        Action = "s3:GetBucketVersioning"
	PutBucketVersioning        Action = "s3:PutBucketVersioning"
	GetBucketACL               Action = "s3:GetBucketAcl"
	PutBucketACL               Action = "s3:PutBucketAcl"
	GetBucketOwnershipControls Action = "s3:GetBucketOwnershipControls"
	PutBucketOwnershipControls Action = "s3:PutBucketOwnershipControls"
	GetObject                  Action = "s3:GetObject"
	GetObjectVersion           Action = "s3:GetObjectVersion"
	GetObjectAttributes        Action = "s3:GetObjectAttributes"
	PutObject                  Action = "s3:PutObject"
	DeleteObject               Action = "s3:DeleteObject"
	DeleteObjectVersion        Action = "s3:DeleteObjectVersion"
	GetObjectVersionAttributes Action = "s3:GetObjectVersionAttributes"
	GetObjectACL               Action = "s3:GetObjectAcl"
	GetObjectVersionACL        Action = "s3:GetObjectVersionAcl"
	PutObjectACL               Action = "s3:PutObjectAcl"
	PutObjectVersionACL        Action = "s3:PutObjectVersionAcl"
	GetBucketPolicy            Action = "s3:GetBucketPolicy"
	PutBucketPolicy            Action = "s3:PutBucketPolicy"
	DeleteBucketPolicy         Action = "s3:DeleteBucketPolicy"
	GetBucketPolicyStatus      Action = "s3:GetBucketPolicyStatus"
	AbortMultipartUpload       Action = "s3:AbortMultipartUpload"
	ListMultipartUploadParts   Action = "s3:ListMultipartUploadParts"
	BypassGovernanceRetention  Action = "s3:BypassGovernanceRetention"

	PutAccount      Action = "swift:PostAccount"      // change an account's metadata or list
	PutAccountQuota Action = "swift:PostAccountQuota" // change its quotas: nobody inside the account may
	PutContainer    Action = "swift:PostContainer"    // change a container's metadata or Swift lists
)

// Permission is what an ACL grant gives.
type Permission string

// The permissions of S3's ACLs (S3 User Guide, "ACL overview").
const (
	Read        Permission = "READ"
	Write       Permission = "WRITE"
	ReadACP     Permission = "READ_ACP"
	WriteACP    Permission = "WRITE_ACP"
	FullControl Permission = "FULL_CONTROL"
)

// Groups that a grant can name.
const (
	AllUsers           = "http://acs.amazonaws.com/groups/global/AllUsers"
	AuthenticatedUsers = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
)

// Grant gives a permission to an account (by canonical id) or a group (by URI); exactly one of both is set.
type Grant struct {
	Canonical  string     `json:"canonical,omitempty"`
	Group      string     `json:"group,omitempty"`
	Permission Permission `json:"permission"`
}

// ACL is an access control list. The owner stands outside of it: who owns is a fact of the container or version.
type ACL struct {
	Grants []Grant `json:"grants,omitempty"`
}

// Public reports whether the list gives anything to a group: both of S3's groups are the public (S3 User Guide, "The meaning of public").
func (a ACL) Public() bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.Group != "" })
}

// Allows reports whether the list gives p the permission; with ignoreGroups, without what it gives to groups.
func (a ACL) Allows(p Principal, want Permission, ignoreGroups bool) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool {
		if ignoreGroups && g.Group != "" {
			return false
		}
		if g.Permission != want && g.Permission != FullControl {
			return false
		}
		switch g.Group {
		case AllUsers:
			return true
		case AuthenticatedUsers:
			return !p.Anonymous()
		default:
			return g.Canonical != "" && g.Canonical == p.Canonical
		}
	})
}

// Resource is what the action is done to. Fields that do not apply are zero.
type Resource struct {
	Account      naming.AccountID // owner of the container, or the account itself
	Container    naming.ContainerName
	Bucket       naming.BucketName
	Name         naming.ObjectName
	ObjectOwner  naming.AccountID // "" when there is no object yet
	ContainerACL ACL
	ObjectACL    ACL
	Domain       string      // Keystone domain of the account; "" for the default one
	AccountList  AccountList // Swift's list of the account
	Readers      List        // Swift's container lists
	Writers      List
	ACLsDisabled bool // BucketOwnerEnforced: lists are ignored, the container's owner owns everything

	IgnorePublicACLs bool // grants to groups do not count
	RestrictPublic   bool // referrers of Swift's lists do not count; a policy that lets the public in keeps other accounts out

	Policy       *policy.Policy // of the container; nil: none
	PolicyUnread bool           // the container has a policy that cannot be read

	Sharing Sharing // what applies to Name by Pithos+

	// Initiator began the multipart upload that the action is about; "" for anonymous ones and for other actions.
	Initiator naming.UserID
}

// Request is one question.
type Request struct {
	Principal Principal
	Action    Action
	Resource  Resource
	Facts     policy.Facts // for the conditions of policies; nil: none
	Anew      bool         // the action is a part of writing a new object, which was allowed: its tags, say
}

// Decision is the answer. Reason is for the log and never for the client.
type Decision struct {
	Allowed bool
	Reason  string
}
