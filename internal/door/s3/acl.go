package s3

import (
	"context"
	"encoding/xml"
	"slices"
	"strings"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// An access control list as this door keeps it: no grant at all is the usual list, "the owner has full control", so that the many
// objects that nobody shared carry nothing; a list that gives nobody anything is the one grant nobody. What S3 clients see is
// always the explicit form.

// nobody is the only grant of a list that was emptied on purpose. It matches no principal and no permission.
var nobody = access.Grant{}

// grantsMax bounds the grants of a list (S3 User Guide, "Access control list overview").
const grantsMax = 100

const logDelivery = "http://acs.amazonaws.com/groups/s3/LogDelivery"

// grantHeader is a header that gives a permission.
type grantHeader struct {
	name string
	perm access.Permission
}

// grantHeaders are all of them.
var grantHeaders = [...]grantHeader{
	{"X-Amz-Grant-Read", access.Read},
	{"X-Amz-Grant-Write", access.Write},
	{"X-Amz-Grant-Read-Acp", access.ReadACP},
	{"X-Amz-Grant-Write-Acp", access.WriteACP},
	{"X-Amz-Grant-Full-Control", access.FullControl},
}

// canned makes the list that a canned name stands for, for a thing of owner in a bucket of bucketOwner (canonical ids).
func canned(name, owner, bucketOwner string, forBucket bool) (access.ACL, bool) {
	full := access.Grant{Canonical: owner, Permission: access.FullControl}
	all := func(more ...access.Grant) (access.ACL, bool) {
		return access.ACL{Grants: append([]access.Grant{full}, more...)}, true
	}
	switch name {
	case "private":
		return access.ACL{}, true
	case "public-read":
		return all(access.Grant{Group: access.AllUsers, Permission: access.Read})
	case "public-read-write":
		return all(access.Grant{Group: access.AllUsers, Permission: access.Read}, access.Grant{Group: access.AllUsers, Permission: access.Write})
	case "authenticated-read":
		return all(access.Grant{Group: access.AuthenticatedUsers, Permission: access.Read})
	case "bucket-owner-read", "bucket-owner-full-control":
		if forBucket || owner == bucketOwner {
			return access.ACL{}, true // for a bucket they mean nothing (S3 User Guide, "Canned ACL")
		}
		perm := access.Read
		if name == "bucket-owner-full-control" {
			perm = access.FullControl
		}
		return all(access.Grant{Canonical: bucketOwner, Permission: perm})
	case "log-delivery-write":
		if forBucket {
			return all(access.Grant{Group: logDelivery, Permission: access.Write}, access.Grant{Group: logDelivery, Permission: access.ReadACP})
		}
	}
	return access.ACL{}, false
}

// headerACL reads x-amz-acl and x-amz-grant-*. given is false when there are none of them.
func (c *call) headerACL(ctx context.Context, owner, bucketOwner string, forBucket bool) (list access.ACL, given bool, err error) {
	var grants []access.Grant
	for _, h := range grantHeaders {
		for _, v := range c.header[h.name] {
			if grants, err = c.headerGrants(ctx, grants, h.name, h.perm, v); err != nil {
				return access.ACL{}, false, err
			}
			given = true
		}
	}
	if !c.has("X-Amz-Acl") {
		return access.ACL{Grants: grants}, given, nil
	}
	if given {
		return access.ACL{}, false, fail(InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed")
	}
	name := c.h("X-Amz-Acl")
	list, ok := canned(name, owner, bucketOwner, forBucket)
	if !ok {
		return access.ACL{}, false, badArgument("x-amz-acl", name, "")
	}
	return list, true, nil
}

// headerGrants appends the grants of one header: id="...", uri="...", emailAddress="...", separated by commas.
func (c *call) headerGrants(ctx context.Context, grants []access.Grant, header string, perm access.Permission, value string) ([]access.Grant, error) {
	for one := range strings.SplitSeq(value, ",") {
		kind, who, ok := strings.Cut(strings.TrimSpace(one), "=")
		if !ok || len(grants) == grantsMax {
			return nil, badArgument(strings.ToLower(header), one, "Argument format not recognized")
		}
		who = strings.Trim(strings.TrimSpace(who), `"`)
		g := access.Grant{Permission: perm}
		var err error
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "id":
			g.Canonical, err = c.grantee(ctx, who)
		case "uri":
			g.Group, err = groupOf(who)
		case "emailaddress":
			g.Canonical, err = c.granteeByEmail(ctx, who)
		default:
			err = badArgument(strings.ToLower(header), one, "Argument format not recognized")
		}
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	return grants, nil
}

// grantee checks that a canonical id belongs to an account.
func (c *call) grantee(ctx context.Context, canonical string) (string, error) {
	a, err := c.door.b.Canonical(ctx, canonical)
	if errs.Is(err, errs.NotFound) {
		if c.door.o.AsSwift && key.CheckCanonical(canonical) == nil {
			return canonical, nil // Swift does not know who there is
		}
		return "", badArgument("CanonicalUser/ID", canonical, "Invalid id")
	}
	return a.Canonical, err
}

func (c *call) granteeByEmail(ctx context.Context, address string) (string, error) {
	a, err := c.door.b.Email(ctx, address)
	switch {
	case errs.Is(err, errs.NotFound):
		return "", fail(UnresolvableGrantByEmail, "").with("EmailAddress", clip(address))
	case errs.Is(err, errs.Conflict):
		return "", fail(AmbiguousGrantByEmail, "").with("EmailAddress", clip(address))
	}
	return a.Canonical, err
}

func groupOf(uri string) (string, error) {
	switch uri {
	case access.AllUsers, access.AuthenticatedUsers, logDelivery:
		return uri, nil
	}
	return "", badArgument("Group/URI", uri, "Invalid group uri")
}

// aclDocument is the body of PutBucketAcl and PutObjectAcl.
type aclDocument struct {
	XMLName xml.Name `xml:"AccessControlPolicy"`
	Owner   *struct {
		ID          string
		DisplayName string
	}
	List *struct {
		Grants []grantElement `xml:"Grant"`
	} `xml:"AccessControlList"`
}

// grantElement is a grant in a document.
type grantElement struct {
	Grantee *struct {
		Type         string `xml:"type,attr"`
		ID           string
		DisplayName  string
		EmailAddress string
		URI          string
	}
	Permission string
}

// bodyACL reads the list in the body of the request, for a thing of owner.
func (c *call) bodyACL(ctx context.Context, owner string) (access.ACL, error) {
	var doc aclDocument
	if err := c.xmlBody(&doc); err != nil {
		return access.ACL{}, err
	}
	if doc.Owner == nil || doc.Owner.ID == "" || doc.List == nil {
		return access.ACL{}, fail(MalformedACL, "")
	}
	if doc.Owner.ID != owner {
		return access.ACL{}, fail(AccessDenied, "The owner cannot be changed.")
	}
	grants, err := c.grants(ctx, doc.List.Grants)
	if err != nil {
		return access.ACL{}, err
	}
	if len(grants) == 0 {
		grants = []access.Grant{nobody}
	}
	return compact(access.ACL{Grants: grants}, owner), nil
}

// grants reads the grants of a document. Errors: MalformedACLError, InvalidArgument, and those of e-mail addresses.
func (c *call) grants(ctx context.Context, list []grantElement) ([]access.Grant, error) {
	if len(list) > grantsMax {
		return nil, fail(MalformedACL, "")
	}
	grants := make([]access.Grant, 0, len(list))
	for i := range list {
		g := &list[i]
		grant := access.Grant{Permission: access.Permission(g.Permission)}
		switch grant.Permission {
		case access.Read, access.Write, access.ReadACP, access.WriteACP, access.FullControl:
		default:
			return nil, fail(MalformedACL, "")
		}
		if g.Grantee == nil {
			return nil, fail(MalformedACL, "")
		}
		var err error
		switch g.Grantee.Type {
		case "CanonicalUser":
			grant.Canonical, err = c.grantee(ctx, g.Grantee.ID)
		case "Group":
			grant.Group, err = groupOf(g.Grantee.URI)
		case "AmazonCustomerByEmail":
			grant.Canonical, err = c.granteeByEmail(ctx, g.Grantee.EmailAddress)
		default:
			err = fail(MalformedACL, "")
		}
		if err != nil {
			return nil, err
		}
		grants = append(grants, grant)
	}
	return grants, nil
}

// compact gives the usual list its short form.
func compact(list access.ACL, owner string) access.ACL {
	if len(list.Grants) == 1 && list.Grants[0] == (access.Grant{Canonical: owner, Permission: access.FullControl}) {
		return access.ACL{}
	}
	return list
}

// newACL reads the list that PutBucketAcl or PutObjectAcl sets: from headers or from the body, not from both.
func (c *call) newACL(ctx context.Context, owner, bucketOwner string, forBucket bool) (access.ACL, error) {
	list, given, err := c.headerACL(ctx, owner, bucketOwner, forBucket)
	if err != nil {
		return access.ACL{}, err
	}
	switch {
	case given && c.payload.size > 0:
		return access.ACL{}, fail(InvalidRequest, "A list comes either in headers or in the body.")
	case given:
		return compact(list, owner), nil
	case c.payload.size == 0:
		return access.ACL{}, fail(MissingSecurityHeader, "").with("MissingHeaderName", "x-amz-acl")
	}
	return c.bodyACL(ctx, owner)
}

// objectACL reads the list that a request gives to the object that it makes. The object will be the caller's or, if nobody signed, the
// bucket owner's.
func (c *call) objectACL(ctx context.Context) (access.ACL, error) {
	granted := slices.ContainsFunc(grantHeaders[:], func(h grantHeader) bool { return c.has(h.name) })
	if !granted && (!c.has("X-Amz-Acl") || c.h("X-Amz-Acl") == "private") {
		return access.ACL{}, nil
	}
	account, err := c.door.b.Owner(ctx, c.ref())
	if err != nil {
		return access.ACL{}, err
	}
	bucketOwner, err := c.owner(ctx, account)
	if err != nil {
		return access.ACL{}, err
	}
	owner := c.caller.Canonical
	if c.caller.Anonymous() {
		owner = bucketOwner.id
	}
	list, _, err := c.headerACL(ctx, owner, bucketOwner.id, false)
	return compact(list, owner), err
}

// aclReply shows a list in its explicit form, groups first: the order means nothing, but there are clients, ceph/s3-tests among them, that
// know it from other services.
func (c *call) aclReply(ctx context.Context, account naming.AccountID, list access.ACL, more ...access.Grant) (*reply, error) {
	o, err := c.owner(ctx, account)
	if err != nil {
		return nil, err
	}
	if len(list.Grants) == 0 {
		list.Grants = []access.Grant{{Canonical: o.id, Permission: access.FullControl}}
	}
	list.Grants = slices.Clone(list.Grants)
	for _, g := range more {
		if !slices.Contains(list.Grants, g) {
			list.Grants = append(list.Grants, g)
		}
	}
	x := newDocument("AccessControlPolicy")
	x.owner("Owner", o)
	x.open("AccessControlList")
	for _, g := range slices.SortedStableFunc(slices.Values(list.Grants), groupsFirst) {
		if g == nobody {
			continue
		}
		x.open("Grant")
		if err := c.writeGrantee(ctx, x, g, o); err != nil {
			return nil, err
		}
		x.text("Permission", string(g.Permission))
		x.close("Grant")
	}
	x.close("AccessControlList")
	return x.reply(c, "AccessControlPolicy"), nil
}

func (c *call) writeGrantee(ctx context.Context, x *document, g access.Grant, known owner) error {
	const begin = `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="`
	if g.Group != "" {
		x.raw(begin + `Group">`)
		x.text("URI", g.Group)
		x.close("Grantee")
		return nil
	}
	name := known.name
	if g.Canonical != known.id {
		a, err := c.door.b.Canonical(ctx, g.Canonical)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		name = a.DisplayName
		if name == "" && c.door.o.AsSwift {
			name = g.Canonical
		}
	}
	x.raw(begin + `CanonicalUser">`)
	x.text("ID", g.Canonical)
	x.textIf("DisplayName", name)
	x.close("Grantee")
	return nil
}

func groupsFirst(a, b access.Grant) int {
	switch {
	case a.Group != "" && b.Group == "":
		return -1
	case a.Group == "" && b.Group != "":
		return 1
	}
	return 0
}
