package s3

import (
	"strings"
	"testing"
)

const ownGrant = `<ID>canonical-alice</ID><DisplayName>ALICE</DisplayName></Grantee><Permission>FULL_CONTROL</Permission>`

func grantsDocument(ownerID, grants string) string {
	return `<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>` + ownerID + `</ID></Owner><AccessControlList>` + grants + `</AccessControlList></AccessControlPolicy>`
}

func grantTo(kind, who, permission string) string {
	return `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="` + kind + `">` + who + `</Grantee><Permission>` + permission + `</Permission></Grant>`
}

func testACLs(t *testing.T, in *world) {
	w := &people{t, in}
	w.ok("PUT", "/bkt", "")
	w.ok("PUT", "/bkt/k", "x")
	for _, target := range []string{"/bkt?acl", "/bkt/k?acl"} {
		t.Run(target, func(t *testing.T) {
			a := w.ok("GET", target, "")
			a.has(t, ownGrant, "<Owner><ID>canonical-alice</ID>")
			if strings.Count(a.body, "<Grant>") != 1 {
				t.Error(a.body)
			}
			w.do("alt", "GET", target, "").want(t, 403, "AccessDenied")
			for name, count := range map[string]int{"public-read": 2, "public-read-write": 3, "authenticated-read": 2, "bucket-owner-read": 1, "bucket-owner-full-control": 1, "private": 1} {
				w.ok("PUT", target, "", "X-Amz-Acl: "+name)
				a := w.ok("GET", target, "")
				if owner, group := strings.Index(a.body, "FULL_CONTROL"), strings.LastIndex(a.body, "</URI>"); owner < group {
					t.Errorf("%s does not show groups first: %s", name, a.body)
				}
				if strings.Count(a.body, "<Grant>") != count {
					t.Errorf("%s: %s", name, a.body)
				}
			}
			w.ok("PUT", target, "", `X-Amz-Grant-Read: id="canonical-bob", uri="http://acs.amazonaws.com/groups/global/AllUsers"`, `X-Amz-Grant-Read-Acp: emailAddress="bob@example.org"`)
			a = w.ok("GET", target, "")
			a.has(t, `<ID>canonical-bob</ID><DisplayName>BOB</DisplayName></Grantee><Permission>READ</Permission>`, "AllUsers</URI></Grantee><Permission>READ</Permission>", "READ_ACP")
			a.hasNot(t, "FULL_CONTROL")
			w.do("alt", "GET", target, "").want(t, 200, "")
			w.do("", "GET", target, "").want(t, 403, "AccessDenied")
			w.ok("PUT", target, grantsDocument("canonical-alice", grantTo("CanonicalUser", "<ID>canonical-bob</ID>", "WRITE_ACP")+
				grantTo("Group", "<URI>http://acs.amazonaws.com/groups/global/AuthenticatedUsers</URI>", "READ")+
				grantTo("AmazonCustomerByEmail", "<EmailAddress>bob@example.org</EmailAddress>", "FULL_CONTROL")))
			a = w.ok("GET", target, "")
			if strings.Count(a.body, "canonical-bob") != 2 {
				t.Error(a.body)
			}
			w.do("alt", "PUT", target, "", "X-Amz-Acl: private").want(t, 200, "") // it has WRITE_ACP
			w.do("alt", "PUT", target, "", "X-Amz-Acl: private").want(t, 403, "AccessDenied")
			w.ok("PUT", target, grantsDocument("canonical-alice", "")) // nobody
			if a := w.ok("GET", target, ""); strings.Contains(a.body, "<Grant>") {
				t.Error(a.body)
			}
			w.ok("PUT", target, grantsDocument("canonical-alice", grantTo("CanonicalUser", "<ID>canonical-alice</ID>", "FULL_CONTROL")))
			w.ok("GET", target, "").has(t, ownGrant)
		})
	}
}

func testBadACLs(t *testing.T, in *world) {
	w := &people{t, in}
	w.ok("PUT", "/bkt", "")
	w.ok("PUT", "/bkt/k", "x")
	to := func(kind, who, perm string) string {
		return grantsDocument("canonical-alice", grantTo(kind, who, perm))
	}
	cases := []struct {
		body, header string
		status       int
		code         string
	}{
		{"", "", 400, "MissingSecurityHeader"},
		{"", "X-Amz-Acl: public-ready", 400, "InvalidArgument"},
		{"", "X-Amz-Grant-Read: canonical-bob", 400, "InvalidArgument"},
		{"", "X-Amz-Grant-Read: id=nobody", 400, "InvalidArgument"},
		{"", "X-Amz-Grant-Read: uri=http://example.org", 400, "InvalidArgument"},
		{"", "X-Amz-Grant-Read: emailAddress=nobody@example.org", 400, "UnresolvableGrantByEmailAddress"},
		{"<AccessControlPolicy>", "", 400, "MalformedXML"},
		{"<AccessControlPolicy/>", "", 400, "MalformedACLError"},
		{grantsDocument("canonical-bob", ""), "", 403, "AccessDenied"},
		{grantsDocument("canonical-alice", ""), "X-Amz-Acl: private", 400, "InvalidRequest"},
		{to("CanonicalUser", "<ID>nobody</ID>", "READ"), "", 400, "InvalidArgument"},
		{to("CanonicalUser", "<ID>canonical-bob</ID>", "RUN"), "", 400, "MalformedACLError"},
		{to("Dog", "<ID>canonical-bob</ID>", "READ"), "", 400, "MalformedACLError"},
		{to("AmazonCustomerByEmail", "<EmailAddress>nobody@example.org</EmailAddress>", "READ"), "", 400, "UnresolvableGrantByEmailAddress"},
		{grantsDocument("canonical-alice", strings.Repeat(grantTo("CanonicalUser", "<ID>canonical-bob</ID>", "READ"), 101)), "", 400, "MalformedACLError"},
		{strings.Repeat("<a>", 100), "", 400, "MalformedXML"},
	}
	for _, c := range cases {
		for _, target := range []string{"/bkt?acl", "/bkt/k?acl"} {
			var headers []string
			if c.header != "" {
				headers = append(headers, c.header)
			}
			w.do("main", "PUT", target, c.body, headers...).want(t, c.status, c.code)
			w.ok("GET", target, "").has(t, ownGrant)
		}
	}
	w.do("main", "PUT", "/bkt?acl", "", "X-Amz-Acl: private", "X-Amz-Grant-Read: id=canonical-bob").want(t, 400, "InvalidRequest")
}

func TestBucketOwnerCanned(t *testing.T) {
	w := &people{t, newWorld(t)}
	w.ok("PUT", "/bkt", "", "X-Amz-Acl: public-read-write")
	for name, perm := range map[string]string{"bucket-owner-read": "READ", "bucket-owner-full-control": "FULL_CONTROL"} {
		w.do("alt", "PUT", "/bkt/k", "x", "X-Amz-Acl: "+name).want(t, 200, "")
		w.do("alt", "GET", "/bkt/k?acl", "").has(t, `<ID>canonical-bob</ID><DisplayName>BOB</DisplayName></Grantee><Permission>FULL_CONTROL`,
			`<ID>canonical-alice</ID><DisplayName>ALICE</DisplayName></Grantee><Permission>`+perm)
		w.ok("GET", "/bkt/k", "")
	}
}
