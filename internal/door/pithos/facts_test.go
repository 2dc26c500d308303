package pithos

import (
	"net/url"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
)

// A policy that looks at where requests come from, and how, holds at this door too, and for public links.
func TestPoliciesSeeTheRequest(t *testing.T) {
	w := newWorld(t)
	w.put("c/x", "open")
	w.do("POST", "c/x?update", "", "X-Object-Public", "true").want(202)
	link, err := url.Parse(w.do("HEAD", "c/x", "").header.Get("X-Object-Public"))
	if err != nil {
		t.Fatal(err)
	}
	alice := backend.Caller{Principal: access.Principal{Account: "alice", User: "alice:admin", Canonical: "canonical-alice", Admin: true}}
	for condition, allowed := range map[string]bool{
		`"IpAddress":{"aws:SourceIp":["127.0.0.0/8","::1"]}`:    false,
		`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`:           true,
		`"NotIpAddress":{"aws:SourceIp":["127.0.0.0/8","::1"]}`: true,
		`"Bool":{"aws:SecureTransport":"false"}`:                false,
		`"StringLike":{"aws:UserAgent":"Go-http-client/*"}`:     false,
	} {
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::c/*","Condition":{` + condition + `}}]}`
		if err := w.b.SetPolicy(t.Context(), alice, backend.Ref{Account: "alice", Name: "c"}, []byte(policy)); err != nil {
			t.Fatal(err)
		}
		read, linked := 200, 200
		if !allowed {
			read, linked = 403, 404 // a link tells nothing of what it led to
		}
		w.do("GET", "c/x", "").want(read)
		w.as("", "GET", link.Path, "").want(linked)
	}
}
