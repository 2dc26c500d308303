package access

import (
	"cmp"

	"pithos/internal/access/policy"
	"pithos/internal/naming"
)

// Decide answers a question. The first rule that applies:
//
//  0. Nothing outside of the principal's scope, if it has one.
//  1. What the access key's own policy does not allow, or a policy attached to the user or its groups denies, is denied.
//  2. The service itself may do everything.
//  3. What the container's policy denies is denied, to administrators too; except that they may always look at, replace and remove the policy.
//  4. Where a policy lets the public in and that is restricted, other accounts may do nothing.
//  5. The owner's administrators may do everything with what they own. For what is done to an object's bytes or list the owner is the
//     object's; for everything else, deleting objects of others among it, the container's.
//  6. Who began a multipart upload may list its parts and abort it.
//  7. What a policy allows: one attached to the user, inside its own account; or the container's, for objects that its owner owns. A statement that
//     names an account speaks to the account's administrators and to users whose own policies allow the same.
//  8. Swift's container lists: they are the container owner's, like a policy, so S3's object ownership does not disable them.
//  9. What Pithos+ shares: the newest version of a path for reading, or for writing; a public link unless policies are kept from the public.
//  10. Swift's account list.
//  11. Access control lists, unless they are disabled on the container; without what they give to the public where that is ignored, and without what they
//     give the owner's account, which is no gift to its users. A list by which a
//     new object may be written lets it bring its tags: they are a part of what it is. AWS maps no permission of lists to tags, and Ceph, whose users'
//     forms rely on it, maps this one; whoever must not tag is denied it by a policy.
//  12. No.
func Decide(q Request) Decision {
	p, r := &q.Principal, &q.Resource
	if p.Scope != nil && !p.Scope.covers(q) {
		return Decision{false, "outside of what was signed"}
	}
	own, limits := q.limits()
	if limits != "" {
		return Decision{false, limits}
	}
	if p.Operator {
		return Decision{true, "operator"}
	}
	if q.Action == PutAccountQuota {
		return Decision{false, "only the service's operators set quotas"}
	}
	said, forbids := q.ofContainer()
	if forbids != "" {
		return Decision{false, forbids}
	}
	if why := q.byRight(own, said); why != "" {
		return Decision{true, why}
	}
	if ofUpload(q.Action) && r.Initiator != "" {
		return Decision{false, "somebody else began the upload"}
	}
	if why, ok := allowsByList(q); ok {
		return Decision{true, why}
	}
	if why, ok := bySharing(q); ok {
		return Decision{true, why}
	}
	if why, ok := r.AccountList.gives(*p, q.Action); ok {
		return Decision{true, why}
	}
	onObject, perm := needs(q.Action)
	if q.Anew && q.Action == PutObjectTagging {
		onObject, perm = needs(PutObject)
	}
	switch {
	case perm == "":
		return Decision{false, "only the owner may " + string(q.Action)}
	case r.ACLsDisabled:
		return Decision{false, "access control lists are disabled on the container"}
	case onObject && r.ObjectACL.Allows(p.asGrantee(cmp.Or(r.ObjectOwner, r.Account)), perm, r.IgnorePublicACLs):
		return Decision{true, "object list gives " + string(perm)}
	case !onObject && r.ContainerACL.Allows(p.asGrantee(r.Account), perm, r.IgnorePublicACLs):
		return Decision{true, "container list gives " + string(perm)}
	}
	return Decision{false, "no list gives " + string(perm)}
}

// asGrantee is the principal as the list of something that owner owns sees it. Canned lists name the owner with FULL_CONTROL: that is the account, whose
// administrators may anyhow. Its other users have what their policies and the groups of the list give them, never what the account has by itself (as at AWS).
func (p Principal) asGrantee(owner naming.AccountID) Principal {
	if p.Account == owner {
		p.Canonical = ""
	}
	return p
}

// byRight tells why the principal may without any list (rules 5 to 7); "": it may not.
func (q *Request) byRight(own, said policy.Verdict) string {
	p, r := &q.Principal, &q.Resource
	owner := r.Account
	if onObject, _ := needs(q.Action); onObject && r.ObjectOwner != "" && !r.ACLsDisabled {
		owner = r.ObjectOwner
	}
	owns := p.Account != "" && p.Account == owner
	switch {
	case p.Owns(owner):
		return "administrator of the owning account"
	case ofUpload(q.Action) && r.Initiator != "" && p.User == r.Initiator:
		return "began the upload"
	case owns && own.Allowed > policy.NoMatch:
		return "policy of the user, statement " + own.Sid
	case owner != r.Account: // the container's owner cannot give what others own in it
		return ""
	case said.Allowed > policy.ToAccount, said.Allowed == policy.ToAccount && (p.Admin || own.Allowed > policy.NoMatch):
		return "policy of the container, statement " + said.Sid
	}
	return ""
}

// limits asks the policies on the side of who asks: own is what those attached to the user say; denied is why nothing else counts.
func (q *Request) limits() (own policy.Verdict, denied string) {
	p := &q.Principal
	if p.Unread != "" {
		return own, "a policy of the user, its groups or its key cannot be read: " + p.Unread
	}
	if p.KeyLimit == nil && len(p.Policies) == 0 {
		return own, ""
	}
	asked := q.asked()
	if p.KeyLimit != nil {
		switch v := p.KeyLimit.Evaluate(&asked); {
		case v.Denied:
			return own, "policy of the access key denies, statement " + v.Sid
		case v.Allowed == policy.NoMatch:
			return own, "policy of the access key does not allow it"
		}
	}
	for _, attached := range p.Policies {
		switch v := attached.Evaluate(&asked); {
		case v.Denied:
			return own, "policy of the user denies, statement " + v.Sid
		case v.Allowed > own.Allowed:
			own = v
		}
	}
	return own, ""
}

// ofContainer asks the container's policy.
func (q *Request) ofContainer() (said policy.Verdict, denied string) {
	p, r := &q.Principal, &q.Resource
	if r.Policy == nil && !r.PolicyUnread {
		return said, ""
	}
	keeper := p.Admin && p.Account != "" && p.Account == r.Account && ofPolicy(q.Action)
	switch {
	case keeper:
	case r.PolicyUnread:
		return said, "the policy of the container cannot be read"
	default:
		asked := q.asked()
		if said = r.Policy.Evaluate(&asked); said.Denied {
			return said, "policy of the container denies, statement " + said.Sid
		}
	}
	if r.RestrictPublic && r.Policy.Public() && (p.Account == "" || p.Account != r.Account) {
		return said, "the policy of the container lets the public in, and public access is restricted"
	}
	return said, ""
}

// asked is the question in the words of policies.
func (q *Request) asked() policy.Request {
	p := &q.Principal
	return policy.Request{
		Action: string(q.Action), Resource: q.Resource.ARN(),
		Account: string(p.Account), User: p.short(), Canonical: p.Canonical, Facts: q.Facts,
	}
}

// ARN is the resource's name in policies. A container without a global name goes by its own. What is not about one container, such as the list of
// all, is "arn:aws:s3:::*".
func (r *Resource) ARN() string {
	name := string(r.Bucket)
	if name == "" {
		name = string(r.Container)
	}
	switch {
	case name == "":
		name = "*"
	case r.Name != "":
		name += "/" + string(r.Name)
	}
	return "arn:aws:s3:::" + name
}

// needs tells whether the action looks at the object's owner and list or the container's, and which permission a list must
// give for it ("": none can; only the owner may). Source: S3 User Guide, "Mapping of ACL permissions and access policy permissions".
func needs(a Action) (onObject bool, perm Permission) {
	switch a {
	case GetObject, GetObjectVersion, GetObjectAttributes, GetObjectVersionAttributes:
		return true, Read
	case GetObjectACL, GetObjectVersionACL:
		return true, ReadACP
	case PutObjectACL, PutObjectVersionACL:
		return true, WriteACP
	case ListBucket, ListBucketVersions, ListBucketMultipartUploads:
		return false, Read
	case PutObject, DeleteObject, AbortMultipartUpload, ListMultipartUploadParts:
		return false, Write
	case GetBucketACL:
		return false, ReadACP
	case PutBucketACL:
		return false, WriteACP
	}
	return false, ""
}

// ofUpload tells whether the action is about an upload that somebody began.
func ofUpload(a Action) bool { return a == AbortMultipartUpload || a == ListMultipartUploadParts }

// ofPolicy tells whether the action is about the container's policy itself: its account's administrators cannot be locked out of it (S3 API
// Reference, PutBucketPolicy).
func ofPolicy(a Action) bool {
	return a == GetBucketPolicy || a == PutBucketPolicy || a == DeleteBucketPolicy
}
