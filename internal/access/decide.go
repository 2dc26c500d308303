package access

// Decide answers a question. The first rule that applies:
//
//  0. Nothing outside of the principal's scope, if it has one.
//  1. The service itself may do everything.
//  2. The owner's administrators may do everything with what they own. For what is done to an object's bytes or list the owner is the
//     object's; for everything else, deleting objects of others among it, the container's.
//  3. Who began a multipart upload may list its parts and abort it.
//  4. Swift's container lists: they are the container owner's, like a policy, so S3's object ownership does not disable them.
//  5. What Pithos+ shares: the newest version of a path for reading, or for writing; a public link unless policies are kept from the public.
//  6. Access control lists, unless they are disabled on the container; without what they give to the public where that is ignored.
//  7. No.
func Decide(q Request) Decision {
	p, r := q.Principal, q.Resource
	if p.Scope != nil && !p.Scope.covers(q) {
		return Decision{false, "outside of what was signed"}
	}
	if p.Operator {
		return Decision{true, "operator"}
	}
	onObject, perm := needs(q.Action)
	owner := r.Account
	if onObject && r.ObjectOwner != "" && !r.ACLsDisabled {
		owner = r.ObjectOwner
	}
	switch {
	case p.Admin && p.Account != "" && p.Account == owner:
		return Decision{true, "administrator of the owning account"}
	case ofUpload(q.Action) && r.Initiator != "":
		if p.User == r.Initiator {
			return Decision{true, "began the upload"}
		}
		return Decision{false, "somebody else began the upload"}
	}
	if why, ok := allowsByList(q); ok {
		return Decision{true, why}
	}
	if why, ok := bySharing(q); ok {
		return Decision{true, why}
	}
	switch {
	case perm == "":
		return Decision{false, "only the owner may " + string(q.Action)}
	case r.ACLsDisabled:
		return Decision{false, "access control lists are disabled on the container"}
	case onObject && r.ObjectACL.Allows(p, perm, r.IgnorePublicACLs):
		return Decision{true, "object list gives " + string(perm)}
	case !onObject && r.ContainerACL.Allows(p, perm, r.IgnorePublicACLs):
		return Decision{true, "container list gives " + string(perm)}
	}
	return Decision{false, "no list gives " + string(perm)}
}

// needs tells whether the action looks at the object's owner and list or the container's, and which permission a list must
// give for it ("": none can; only the owner may). Source: S3 User Guide, "Mapping of ACL permissions and access policy permissions".
func needs(a Action) (onObject bool, perm Permission) {
	switch a {
	case GetObject, GetObjectVersion, GetObjectAttributes:
		return true, Read
	case GetObjectACL:
		return true, ReadACP
	case PutObjectACL:
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
