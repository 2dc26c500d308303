package access_test

import (
	"testing"

	"pithos/internal/access"
	"pithos/internal/naming"
)

// The people of the table. The container belongs to "owner", the object to "writer", who may write into the container.
var people = map[string]access.Principal{
	"anyone":   {},
	"operator": {Operator: true},
	"owner":    {Account: "owner", User: "owner:admin", Canonical: "c-owner", Admin: true},
	"writer":   {Account: "writer", User: "writer:admin", Canonical: "c-writer", Admin: true},
	"friend":   {Account: "friend", User: "friend:admin", Canonical: "c-friend", Admin: true},
	"stranger": {Account: "stranger", User: "stranger:admin", Canonical: "c-stranger", Admin: true},
	"guest":    {Account: "owner", User: "owner:guest", Canonical: "c-owner"}, // a user of the owner's account without the role
}

var order = []string{"anyone", "stranger", "friend", "writer", "guest", "owner", "operator"}

func to(canonical string, p access.Permission) access.ACL {
	return access.ACL{Grants: []access.Grant{{Canonical: canonical, Permission: p}}}
}

func toGroup(uri string, p access.Permission) access.ACL {
	return access.ACL{Grants: []access.Grant{{Group: uri, Permission: p}}}
}

// Rows of the table: who may, of people in order; "-" may not.
type row struct {
	name   string
	change func(*access.Resource)
	may    map[access.Action]string // by the first letters of those who may, in order: a s f w g o O
}

var letters = map[string]byte{"anyone": 'a', "stranger": 's', "friend": 'f', "writer": 'w', "guest": 'g', "owner": 'o', "operator": 'O'}

var bucketOwnerOnly = []access.Action{
	access.DeleteBucket, access.GetBucketLocation, access.GetBucketVersioning, access.PutBucketVersioning,
	access.GetBucketOwnershipControls, access.PutBucketOwnershipControls, access.DeleteObjectVersion, access.BypassGovernanceRetention,
}

var all = append([]access.Action{
	access.ListBucket, access.ListBucketVersions, access.ListBucketMultipartUploads, access.GetBucketACL, access.PutBucketACL,
	access.PutObject, access.DeleteObject,
	access.GetObject, access.GetObjectVersion, access.GetObjectAttributes, access.GetObjectACL, access.PutObjectACL,
}, bucketOwnerOnly...)

// without any list: the container's owner may do everything to the container, the object's to the object.
func base() map[access.Action]string {
	m := map[access.Action]string{}
	for _, a := range all {
		m[a] = "oO"
	}
	for _, a := range []access.Action{
		access.GetObject, access.GetObjectVersion, access.GetObjectAttributes, access.GetObjectACL, access.PutObjectACL,
	} {
		m[a] = "wO" // the container's owner may not read what others own in it
	}
	return m
}

func with(may string, actions ...access.Action) map[access.Action]string {
	m := base()
	for _, a := range actions {
		m[a] = may
	}
	return m
}

func TestDecide(t *testing.T) {
	listing := []access.Action{access.ListBucket, access.ListBucketVersions, access.ListBucketMultipartUploads}
	reading := []access.Action{access.GetObject, access.GetObjectVersion, access.GetObjectAttributes}
	writing := []access.Action{access.PutObject, access.DeleteObject}
	everything := with("foO", listing...)
	for _, a := range append(writing, access.GetBucketACL, access.PutBucketACL) {
		everything[a] = "foO"
	}
	object := with("fwO", reading...)
	object[access.GetObjectACL], object[access.PutObjectACL] = "fwO", "fwO"
	own := map[access.Action]string{}
	for _, a := range all {
		own[a] = "oO"
	}
	for _, r := range []row{
		{"no lists", func(*access.Resource) {}, base()},
		{"no object", func(r *access.Resource) { r.ObjectOwner = "" }, own},
		{"container READ", func(r *access.Resource) { r.ContainerACL = to("c-friend", access.Read) }, with("foO", listing...)},
		{"container READ for all", func(r *access.Resource) { r.ContainerACL = toGroup(access.AllUsers, access.Read) }, with("asfwgoO", listing...)},
		{"container READ for the signed in", func(r *access.Resource) { r.ContainerACL = toGroup(access.AuthenticatedUsers, access.Read) }, with("sfwgoO", listing...)},
		{"container WRITE", func(r *access.Resource) { r.ContainerACL = to("c-friend", access.Write) }, with("foO", writing...)},
		{"container READ_ACP", func(r *access.Resource) { r.ContainerACL = to("c-friend", access.ReadACP) }, with("foO", access.GetBucketACL)},
		{"container WRITE_ACP", func(r *access.Resource) { r.ContainerACL = to("c-friend", access.WriteACP) }, with("foO", access.PutBucketACL)},
		{"container FULL_CONTROL of its owner is none of the guest's", func(r *access.Resource) { r.ContainerACL = to("c-owner", access.FullControl) }, base()},
		{"container FULL_CONTROL", func(r *access.Resource) { r.ContainerACL = to("c-friend", access.FullControl) }, everything},
		{"object READ", func(r *access.Resource) { r.ObjectACL = to("c-friend", access.Read) }, with("fwO", reading...)},
		{"object READ for all", func(r *access.Resource) { r.ObjectACL = toGroup(access.AllUsers, access.Read) }, with("asfwgoO", reading...)},
		{"object READ_ACP", func(r *access.Resource) { r.ObjectACL = to("c-friend", access.ReadACP) }, with("fwO", access.GetObjectACL)},
		{"object WRITE_ACP", func(r *access.Resource) { r.ObjectACL = to("c-friend", access.WriteACP) }, with("fwO", access.PutObjectACL)},
		{"object WRITE has no meaning", func(r *access.Resource) { r.ObjectACL = to("c-friend", access.Write) }, base()},
		{"object FULL_CONTROL", func(r *access.Resource) { r.ObjectACL = to("c-friend", access.FullControl) }, object},
		{"an empty grant names nobody", func(r *access.Resource) { r.ObjectACL = to("", access.FullControl) }, base()},
		{"lists are disabled", func(r *access.Resource) {
			r.ACLsDisabled = true
			r.ContainerACL, r.ObjectACL = toGroup(access.AllUsers, access.FullControl), toGroup(access.AllUsers, access.FullControl)
		}, own},
	} {
		res := access.Resource{Account: "owner", Container: "box", Name: "x", ObjectOwner: "writer"}
		r.change(&res)
		for _, a := range all {
			if got := who(a, res); got != r.may[a] {
				t.Errorf("%s: %s may be done by %q, want %q", r.name, a, got, r.may[a])
			}
		}
	}
}

// who tells by their letters which people may do a.
func who(a access.Action, r access.Resource) string {
	var may []byte
	for _, name := range order {
		if access.Decide(access.Request{Principal: people[name], Action: a, Resource: r}).Allowed {
			may = append(may, letters[name])
		}
	}
	return string(may)
}

func TestWhoMayEndAnUpload(t *testing.T) {
	for _, a := range []access.Action{access.AbortMultipartUpload, access.ListMultipartUploadParts} {
		r := access.Resource{Account: "owner", Container: "box", ContainerACL: to("c-friend", access.Write)}
		for initiator, want := range map[naming.UserID]string{
			"writer:admin": "woO",
			"owner:guest":  "goO",
			"":             "foO", // nobody signed when it began
		} {
			r.Initiator = initiator
			if got := who(a, r); got != want {
				t.Errorf("%s of %q may be done by %q, want %q", a, initiator, got, want)
			}
		}
	}
}

// TestTagsOfANewObject: who may write an object by a list may give it tags as it is written, and not afterwards; retention is never given by a list.
func TestTagsOfANewObject(t *testing.T) {
	open := access.Resource{Account: "owner", Container: "box", Name: "x", ContainerACL: toGroup(access.AllUsers, access.Write)}
	closed := open
	closed.ACLsDisabled = true
	for name, c := range map[string]struct {
		resource access.Resource
		action   access.Action
		anew     bool
		want     bool
	}{
		"tags of a new object":           {open, access.PutObjectTagging, true, true},
		"tags of an object that is":      {open, access.PutObjectTagging, false, false},
		"retention of a new object":      {open, access.PutObjectRetention, true, false},
		"a legal hold of a new object":   {open, access.PutObjectLegalHold, true, false},
		"lists are disabled":             {closed, access.PutObjectTagging, true, false},
		"the list is only for reading":   {access.Resource{Account: "owner", Container: "box", Name: "x", ContainerACL: toGroup(access.AllUsers, access.Read)}, access.PutObjectTagging, true, false},
		"the object's list does not say": {access.Resource{Account: "owner", Container: "box", Name: "x", ObjectACL: toGroup(access.AllUsers, access.Write)}, access.PutObjectTagging, true, false},
	} {
		if got := access.Decide(access.Request{Action: c.action, Resource: c.resource, Anew: c.anew}); got.Allowed != c.want {
			t.Errorf("%s: %+v, want %v", name, got, c.want)
		}
	}
}

func TestWhoMayMakeContainers(t *testing.T) {
	for _, a := range []access.Action{access.CreateBucket, access.ListAllMyBuckets} {
		if got := who(a, access.Resource{Account: "owner"}); got != "oO" {
			t.Errorf("%s may be done by %q", a, got)
		}
	}
}

func TestNothingOutsideOfAScope(t *testing.T) {
	owner := people["owner"]
	for _, c := range []struct {
		scope  access.Scope
		action access.Action
		want   bool
	}{
		{access.Scope{Account: "owner"}, access.GetObject, true},
		{access.Scope{Account: "owner", Container: "box"}, access.PutObject, true},
		{access.Scope{Account: "owner", Container: "other"}, access.PutObject, false},
		{access.Scope{Account: "other"}, access.GetObject, false},
		{access.Scope{Account: "owner"}, access.DeleteBucket, false},
		{access.Scope{Account: "owner"}, access.PutAccount, false},
		{access.Scope{Account: "owner"}, access.BypassGovernanceRetention, false},
		{access.Scope{}, access.GetObject, false},
	} {
		p := owner
		p.Scope = &c.scope
		if got := access.Decide(access.Request{Principal: p, Action: c.action, Resource: access.Resource{Account: "owner", Container: "box", Name: "x"}}); got.Allowed != c.want {
			t.Errorf("%+v %s: %+v", c.scope, c.action, got)
		}
	}
	nobody := access.Principal{Scope: &access.Scope{Account: "owner"}}
	if access.Decide(access.Request{Principal: nobody, Action: access.GetObject, Resource: access.Resource{Account: "owner", Container: "box"}}).Allowed {
		t.Error("a scope gives something by itself")
	}
}
