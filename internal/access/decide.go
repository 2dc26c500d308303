package access

// Decide answers a question. Order: the service itself; the owner's administrators; access control lists; no.
func Decide(q Request) Decision {
	p, r := q.Principal, q.Resource
	if p.Operator {
		return Decision{true, "operator"}
	}
	objectAction, perm := needs(q.Action)
	owner := r.Account
	if objectAction && r.ObjectOwner != "" && !r.ACLsDisabled {
		owner = r.ObjectOwner
	}
	switch {
	case !p.Anonymous() && p.Admin && p.Account == owner:
		return Decision{true, "administrator of the owning account"}
	case !p.Anonymous() && p.Admin && p.Account == r.Account && ownerOfContainerMay(q.Action):
		return Decision{true, "administrator of the container's account"}
	case perm == "":
		return Decision{false, "only the owner may " + string(q.Action)}
	case r.ACLsDisabled:
		return Decision{false, "access control lists are disabled on the container"}
	case objectAction && r.ObjectACL.Allows(p, perm):
		return Decision{true, "object list gives " + string(perm)}
	case !objectAction && r.ContainerACL.Allows(p, perm):
		return Decision{true, "container list gives " + string(perm)}
	}
	return Decision{false, "no list gives " + string(perm)}
}

// needs tells whether the action looks at the object's list or the container's, and which permission a list must
// give for it ("": none can; only the owner may). Source: S3 User Guide, "Mapping of ACL permissions and access policy permissions".
func needs(a Action) (object bool, perm Permission) {
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

// ownerOfContainerMay lists what a container's owner may do to objects that others own in it.
func ownerOfContainerMay(a Action) bool {
	switch a {
	case DeleteObject, DeleteObjectVersion, AbortMultipartUpload, ListMultipartUploadParts:
		return true
	}
	return false
}
