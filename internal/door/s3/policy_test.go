package s3

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pithos/internal/access/policy"
)

func policyCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"PutBucketPolicy": testBucketPolicy, "GetBucketPolicy": testBucketPolicy, "DeleteBucketPolicy": testBucketPolicy,
		"GetBucketPolicyStatus": testPolicyStatus,
	}
}

// policyOf is a policy of one statement for "photos" and all in it; more holds further elements.
func policyOf(effect, principal, action, more string) []byte {
	if more != "" {
		more = "," + more
	}
	return fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[{"Effect":%q,"Principal":%s,"Action":%q,"Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]%s}]}`,
		effect, principal, action, more)
}

const everybody = `"*"`

func testBucketPolicy(_ *testing.T, w *world) {
	w.alice.do("GET", "/photos?policy", nil).want(404, "NoSuchBucketPolicy")
	w.alice.do("DELETE", "/photos?policy", nil).want(204)
	w.alice.do("GET", "/nowhere?policy", nil).want(404, "NoSuchBucket")
	w.alice.do("PUT", "/nowhere?policy", policyOf("Allow", everybody, "s3:*", "")).want(404, "NoSuchBucket")
	for body, code := range map[string]string{
		"":         "MalformedPolicy",
		"<Policy>": "MalformedPolicy",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::elsewhere/*"}]}`: "MalformedPolicy",
		"{" + strings.Repeat(" ", policy.BucketMax): "PolicyTooLarge",
		strings.Repeat(" ", 5*policy.BucketMax):     "MaxMessageLengthExceeded",
	} {
		w.alice.do("PUT", "/photos?policy", []byte(body)).want(400, code)
	}
	w.alice.do("PUT", "/photos?policy", []byte(`{"Statement":[]}`)).want(400, "MalformedPolicy").contains("Statement is empty")
	for _, c := range []*client{w.bob, w.anon} {
		c.do("PUT", "/photos?policy", policyOf("Allow", everybody, "s3:*", "")).want(403, "AccessDenied")
		c.do("GET", "/photos?policy", nil).want(403, "AccessDenied")
		c.do("DELETE", "/photos?policy", nil).want(403, "AccessDenied")
	}
	w.alice.do("PUT", "/photos/a", []byte("hello")).want(200)
	w.bob.do("GET", "/photos/a", nil).want(403)
	odd := append([]byte("  \n"), policyOf("Allow", everybody, "s3:GetObject", "")...)
	w.alice.do("PUT", "/photos?policy", odd).want(204)
	if got := w.alice.do("GET", "/photos?policy", nil).want(200).has("Content-Type", "application/json"); !bytes.Equal(got.body, odd) {
		w.t.Errorf("the policy came back as %s", got.body)
	}
	w.anon.do("GET", "/photos/a", nil).want(200)
	w.bob.do("GET", "/photos/a", nil).want(200)
	w.bob.do("GET", "/photos", nil).want(403)
	w.bob.do("PUT", "/photos/a", nil).want(403)

	// An owner may lock everybody out, and undo it.
	w.alice.do("PUT", "/photos?policy", policyOf("Deny", everybody, "s3:*", ""), "x-amz-confirm-remove-self-bucket-access", "true").want(204)
	w.alice.do("GET", "/photos/a", nil).want(403, "AccessDenied")
	w.alice.do("GET", "/photos?policyStatus", nil).want(403, "AccessDenied")
	w.alice.do("DELETE", "/photos", nil).want(403, "AccessDenied")
	w.alice.do("GET", "/photos?policy", nil).want(200)
	w.alice.do("PUT", "/photos?policy", policyOf("Deny", everybody, "s3:*", "")).want(204)
	w.bob.do("DELETE", "/photos?policy", nil).want(403)
	w.alice.do("DELETE", "/photos?policy", nil).want(204)
	w.alice.do("GET", "/photos/a", nil).want(200)
	w.bob.do("GET", "/photos/a", nil).want(403)
}

func testPolicyStatus(_ *testing.T, w *world) {
	public := func(want bool) {
		w.t.Helper()
		w.alice.do("GET", "/photos?policyStatus", nil).want(200).contains(fmt.Sprintf("<IsPublic>%v</IsPublic>", want))
	}
	public(false)
	w.bob.do("GET", "/photos?policyStatus", nil).want(403)
	w.alice.do("PUT", "/photos?policy", policyOf("Allow", `{"AWS":"bob"}`, "s3:*", "")).want(204)
	public(false)
	w.alice.do("PUT", "/photos?policy", policyOf("Allow", everybody, "s3:GetObject", `"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`)).want(204)
	public(false)
	w.alice.do("PUT", "/photos?policy", policyOf("Allow", everybody, "s3:GetObject", "")).want(204)
	public(true)
	w.alice.do("DELETE", "/photos?policy", nil).want(204)
	public(false)
	w.alice.do("PUT", "/photos?acl", nil, "x-amz-acl", "authenticated-read").want(200)
	public(true)
	w.alice.do("PUT", "/photos?publicAccessBlock", publicXML("<IgnorePublicAcls>true</IgnorePublicAcls>")).want(200)
	public(false)
}

// A policy for everybody cannot be set where that is blocked; where it is restricted, other accounts are kept out altogether.
func TestPublicAccessBlockCoversPolicies(t *testing.T) {
	w := newWorld(t)
	w.alice.do("PUT", "/photos/a", []byte("hello"), "x-amz-grant-read", "id=canonical-bob").want(200)
	w.alice.do("PUT", "/photos?policy", policyOf("Allow", everybody, "s3:GetObject", "")).want(204)
	w.anon.do("GET", "/photos/a", nil).want(200)
	w.alice.do("PUT", "/photos?publicAccessBlock", publicXML("<BlockPublicPolicy>true</BlockPublicPolicy>")).want(200)
	w.anon.do("GET", "/photos/a", nil).want(200) // what stands goes on
	w.alice.do("PUT", "/photos?versioning", []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")).want(200)
	w.alice.do("PUT", "/photos?policy", policyOf("Allow", everybody, "s3:ListBucket", "")).want(403, "AccessDenied")
	w.alice.do("PUT", "/photos?policy", policyOf("Deny", everybody, "s3:ListBucket", "")).want(204)
	w.alice.do("PUT", "/photos?policy", policyOf("Allow", `{"AWS":"bob"}`, "s3:ListBucket", "")).want(204)
	w.bob.do("GET", "/photos", nil).want(200)

	w.alice.do("PUT", "/photos?publicAccessBlock", publicXML("<RestrictPublicBuckets>true</RestrictPublicBuckets>")).want(200)
	w.bob.do("GET", "/photos", nil).want(200) // it is not public
	w.bob.do("GET", "/photos/a", nil).want(200)
	w.alice.do("PUT", "/photos?policy", policyOf("Allow", everybody, "s3:*", "")).want(204)
	for _, c := range []*client{w.bob, w.anon} {
		c.do("GET", "/photos", nil).want(403, "AccessDenied")
		c.do("GET", "/photos/a", nil).want(403, "AccessDenied")
	}
	w.alice.do("GET", "/photos/a", nil).want(200)
}

// What a policy may ask of a request, and requests that answer it one way and the other.
func TestConditionKeys(t *testing.T) {
	w := newWorld(t)
	w.alice.do("PUT", "/photos/red", []byte("x"), "x-amz-tagging", "team=red").want(200)
	w.alice.do("PUT", "/photos/blue", []byte("x"), "x-amz-tagging", "team=blue").want(200)
	w.alice.do("PUT", "/photos?versioning", []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")).want(200)
	version := w.alice.do("PUT", "/photos/kept", []byte("x")).want(200).header.Get("X-Amz-Version-Id")
	type try struct {
		method, target, body string
		headers              []string
		status               int
	}
	get := func(target string, status int, headers ...string) try { return try{"GET", target, "", headers, status} }
	put := func(target string, status int, headers ...string) try {
		return try{"PUT", target, "x", headers, status}
	}
	tags := func(value string) string {
		return "<Tagging><TagSet><Tag><Key>team</Key><Value>" + value + "</Value></Tag></TagSet></Tagging>"
	}
	for _, c := range []struct {
		condition string
		tries     []try
	}{
		{`"StringEquals":{"s3:prefix":"pub/"}`, []try{get("/photos?prefix=pub/", 200), get("/photos?prefix=", 403), get("/photos", 403), get("/photos?list-type=2&prefix=pub/", 200), get("/photos?versions&prefix=pub/", 200)}},
		{`"StringEquals":{"s3:delimiter":"/"}`, []try{get("/photos?delimiter=/", 200), get("/photos", 403)}},
		{`"NumericLessThanEquals":{"s3:max-keys":"10"}`, []try{get("/photos?max-keys=10", 200), get("/photos?max-keys=11", 403), get("/photos", 403)}},
		{`"StringEquals":{"s3:ExistingObjectTag/team":"red"}`, []try{get("/photos/red", 200), get("/photos/blue", 403), get("/photos/none", 403), get("/photos/red?tagging", 200), get("/photos/red?acl", 200), {"DELETE", "/photos/blue", "", nil, 403}}},
		{`"StringEquals":{"s3:RequestObjectTag/team":"red"}`, []try{
			put("/photos/new", 200, "x-amz-tagging", "team=red"), put("/photos/new", 403, "x-amz-tagging", "team=blue"), put("/photos/new", 403),
			{"PUT", "/photos/blue?tagging", tags("red"), nil, 200},
			{"PUT", "/photos/blue?tagging", tags("green"), nil, 403},
			{"PUT", "/photos/blue?tagging", "<x>", nil, 403},
		}},
		{`"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["team"]},"Null":{"s3:RequestObjectTagKeys":"false"}`, []try{
			put("/photos/new", 200, "x-amz-tagging", "team=red"), put("/photos/new", 403, "x-amz-tagging", "team=red&x=y"), put("/photos/new", 403),
		}},
		{`"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}`, []try{put("/photos/new", 200, "x-amz-acl", "bucket-owner-full-control"), put("/photos/new", 403, "x-amz-acl", "private"), put("/photos/new", 403)}},
		{`"StringEquals":{"s3:x-amz-grant-read":"id=canonical-alice"}`, []try{put("/photos/new", 200, "x-amz-grant-read", "id=canonical-alice"), put("/photos/new", 403)}},
		{`"StringEquals":{"s3:x-amz-storage-class":"STANDARD_IA"}`, []try{put("/photos/new", 200, "x-amz-storage-class", "STANDARD_IA"), put("/photos/new", 403)}},
		{`"StringLike":{"s3:x-amz-copy-source":["photos/r*","/bobs/*"]}`, []try{put("/photos/new", 403), put("/photos/new", 403, "x-amz-copy-source", "photos/blue")}},
		{`"StringEqualsIfExists":{"s3:x-amz-copy-source":"/photos/red"}`, []try{{"PUT", "/photos/new", "", []string{"x-amz-copy-source", "photos/red"}, 200}, {"PUT", "/photos/new", "", []string{"x-amz-copy-source", "photos/blue"}, 403}}},
		{`"StringEquals":{"s3:versionid":"` + version + `"}`, []try{get("/photos/kept?versionId="+version, 200), get("/photos/kept", 403), {"DELETE", "/photos/kept?versionId=null", "", nil, 403}}},
		{`"StringLike":{"aws:Referer":"http://example.org/*"}`, []try{get("/photos/red", 200, "Referer", "http://example.org/x"), get("/photos/red", 403, "Referer", "http://example.com/"), get("/photos/red", 403)}},
		{`"StringLike":{"aws:UserAgent":"tool/*"}`, []try{get("/photos/red", 200, "User-Agent", "tool/1"), get("/photos/red", 403)}},
		{`"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}`, []try{get("/photos/red", 200)}},
		{`"NotIpAddress":{"aws:SourceIp":"127.0.0.0/8"}`, []try{get("/photos/red", 403)}},
		{`"Bool":{"aws:SecureTransport":"false"},"Null":{"s3:TlsVersion":"true"}`, []try{get("/photos/red", 200)}},
		{`"Bool":{"aws:SecureTransport":"true"}`, []try{get("/photos/red", 403)}},
		{`"StringEquals":{"s3:authType":"REST-HEADER","s3:signatureversion":"AWS4-HMAC-SHA256"},"NumericLessThan":{"s3:signatureAge":"600000"}`, []try{get("/photos/red", 200)}},
		{`"DateGreaterThan":{"aws:CurrentTime":"2020-01-01"},"NumericGreaterThan":{"aws:EpochTime":"1577836800"}`, []try{get("/photos/red", 200)}},
		{`"DateLessThan":{"aws:CurrentTime":"2020-01-01"}`, []try{get("/photos/red", 403)}},
		{`"StringEquals":{"aws:username":"admin","aws:userid":"bob:admin","aws:PrincipalType":"User","aws:PrincipalAccount":"bob","s3:ResourceAccount":"alice","aws:RequestedRegion":"us-east-1"}`, []try{get("/photos/red", 200)}},
		{`"StringEquals":{"s3:if-none-match":"*"}`, []try{put("/photos/only", 200, "If-None-Match", "*"), put("/photos/only", 403)}},
		{`"Bool":{"s3:ObjectCreationOperation":"false"}`, []try{put("/photos/new", 403), {"POST", "/photos/new?uploads", "", nil, 200}}},
		{`"StringEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}`, []try{put("/photos/new", 403)}},
		{`"StringEquals":{"s3:x-amz-metadata-directive":"REPLACE"}`, []try{put("/photos/new", 403)}},
	} {
		w.alice.do("PUT", "/photos?policy", policyOf("Allow", `{"AWS":"bob"}`, "s3:*", `"Condition":{`+c.condition+`}`)).want(204)
		for _, try := range c.tries {
			if a := w.bob.do(try.method, try.target, []byte(try.body), try.headers...); a.status != try.status {
				t.Errorf("with %s\n%s %s %v: %d, want %d\n%s", c.condition, try.method, try.target, try.headers, a.status, try.status, a.body)
			}
		}
	}
}

// A denial's reason is in the log, by the request's id, and never in the answer.
func TestWhyIsForTheLog(t *testing.T) {
	var log bytes.Buffer
	w := newWorldLogging(t, slog.New(slog.NewJSONHandler(&log, nil)))
	w.alice.do("PUT", "/photos/a", []byte("hello")).want(200)
	w.alice.do("PUT", "/photos?policy", []byte(strings.Replace(string(policyOf("Deny", everybody, "s3:GetObject", "")), `{"Effect"`, `{"Sid":"canary-statement","Effect"`, 1))).want(204)
	for who, c := range map[string]*client{"alice": w.alice, "bob": w.bob, "": w.anon} {
		a := c.do("GET", "/photos/a", nil).want(403, "AccessDenied")
		id := a.header.Get("X-Amz-Request-Id")
		for _, secret := range []string{"canary", "policy", "statement", "owner"} {
			if strings.Contains(strings.ToLower(string(a.body)), secret) {
				t.Errorf("the answer to %q tells %q: %s", who, secret, a.body)
			}
		}
		found := false
		for line := range strings.Lines(log.String()) {
			found = found || strings.Contains(line, `"`+id+`"`) && strings.Contains(line, "canary-statement") && strings.Contains(line, "s3:GetObject")
		}
		if !found {
			t.Errorf("the log does not tell why %q was denied in request %s:\n%s", who, id, log.String())
		}
	}
}
