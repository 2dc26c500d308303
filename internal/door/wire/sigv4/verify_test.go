package sigv4_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/errs"
)

var (
	now    = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	signer = &sigv4.Signer{AccessKey: exampleKey, Secret: exampleSecret, Region: "us-east-1"}
)

func verify(t *testing.T, at time.Time, r *sigv4.Request) (*sigv4.Auth, error) {
	t.Helper()
	return verifier(at).Verify(t.Context(), r, lookup)
}

func fields(err error) map[string]string {
	var e *sigv4.Error
	m := map[string]string{}
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			m[f.Name] = f.Value
		}
	}
	return m
}

// Whatever a client puts into its request line, what it signed is what we check.
func TestOddTargets(t *testing.T) {
	targets := []string{
		"/", "//", "/b//k", "/b/../k", "/b/./k/..", "/b/a%2Fb", "/b/a+b", "/b/a%20b", "/b/%E2%82%AC", "/b/%e2%82%ac", "/b/~-._", "/b/%7e",
		"/b/!*'()@:$&=,;", "/b/%00", "/b?list-type=2&prefix=a%2Fb+c&delimiter=%2F", "/b?b=2&a=1&a=0&a", "/b?a=&a==x", "/b?=x", "/b?acl",
		"/b?&&a=1&", "/b?prefix=%E2%82%AC&%C3%A9=1", "http://host:9000/b/k?x=1", "http://host?", "/b/\xc3\xa9\xff",
	}
	for _, target := range targets {
		r := request("GET", target, "host:9000", "X-Amz-Meta-A:   two  spaces and more ", "X-Amz-Meta-A: second")
		signer.SignV4(r, "UNSIGNED-PAYLOAD", now)
		if a, err := verify(t, now, r); err != nil || a.Scheme != sigv4.V4Header || a.AccessKey != exampleKey {
			t.Errorf("%q: %v", target, err)
		}
		r.Target += "x"
		if _, err := verify(t, now, r); codeOf(err) != sigv4.SignatureDoesNotMatch {
			t.Errorf("%q, changed: %v", target, err)
		}
		r = request("GET", target, "host:9000")
		signer.PresignV4(r, now, time.Hour)
		if a, err := verify(t, now.Add(30*time.Minute), r); err != nil || a.Scheme != sigv4.V4Query {
			t.Errorf("%q, presigned: %v", target, err)
		}
		r = request("GET", target, "host:9000")
		signer.SignV2(r, now)
		if a, err := verify(t, now, r); err != nil || a.Scheme != sigv4.V2Header {
			t.Errorf("%q, V2: %v", target, err)
		}
		r = request("GET", target, "host:9000")
		signer.PresignV2(r, now.Add(time.Hour))
		if a, err := verify(t, now, r); err != nil || a.Scheme != sigv4.V2Query {
			t.Errorf("%q, V2 presigned: %v", target, err)
		}
	}
	for _, target := range []string{"/%", "/%2", "/%zz", "/b?a=%", "/b?%g0=1"} {
		if _, err := verify(t, now, request("GET", target, "host")); codeOf(err) != sigv4.InvalidURI {
			t.Errorf("%q: %v", target, err)
		}
	}
}

// Clients and proxies disagree about default ports, and about headers that HTTP libraries take away.
func TestRewrittenRequests(t *testing.T) {
	r := request("PUT", "/b/k", "host", "Content-Length: 5")
	signer.SignV4(r, "UNSIGNED-PAYLOAD", now)
	r.Host = "host:443"
	delete(r.Header, "Content-Length")
	r.ContentLength = 5
	r.Header["Via"] = []string{"a proxy"}
	if _, err := verify(t, now, r); err != nil {
		t.Error(err)
	}
	r.Host = "host:8443"
	if _, err := verify(t, now, r); codeOf(err) != sigv4.SignatureDoesNotMatch {
		t.Errorf("another port: %v", err)
	}
}

// SDKs sign a bucket in Version 2 with a slash that they do not send.
func TestBucketSlashV2(t *testing.T) {
	for target, sent := range map[string]string{"/bucket/": "/bucket", "/bucket/?acl": "/bucket?acl"} {
		r := request("GET", target, "host")
		signer.SignV2(r, now)
		r.Target = sent
		if _, err := verify(t, now, r); err != nil {
			t.Errorf("%s: %v", sent, err)
		}
		r.Bucket = "other"
		if _, err := verify(t, now, r); codeOf(err) != sigv4.SignatureDoesNotMatch {
			t.Errorf("%s of another bucket: %v", sent, err)
		}
	}
	r := request("GET", "/bucket/k/", "host")
	signer.SignV2(r, now)
	r.Target = "/bucket/k"
	if _, err := verify(t, now, r); codeOf(err) != sigv4.SignatureDoesNotMatch {
		t.Errorf("a key is not another key: %v", err)
	}
}

// Each case signs a request and spoils it afterwards, or looks at it later.
func TestRefusals(t *testing.T) {
	set := func(name, value string) func(*sigv4.Request) {
		return func(r *sigv4.Request) { http.Header(r.Header).Set(name, value) }
	}
	replace := func(old, new string) func(*sigv4.Request) {
		return func(r *sigv4.Request) {
			if a := r.Header["Authorization"]; a != nil {
				a[0] = strings.Replace(a[0], old, new, 1)
			} else {
				r.Target = strings.Replace(r.Target, old, new, 1)
			}
		}
	}
	cases := []struct {
		name   string
		scheme sigv4.Scheme
		late   time.Duration
		edit   func(*sigv4.Request)
		want   sigv4.Code
	}{
		{"unsigned amz header", sigv4.V4Header, 0, set("X-Amz-Acl", "public-read"), sigv4.AccessDenied},
		{"unsigned amz header, presigned", sigv4.V4Query, 0, set("X-Amz-Meta-A", "1"), sigv4.AccessDenied},
		{"amz header added", sigv4.V2Header, 0, set("X-Amz-Acl", "public-read"), sigv4.SignatureDoesNotMatch},
		{"amz header added, presigned", sigv4.V2Query, 0, set("X-Amz-Acl", "public-read"), sigv4.SignatureDoesNotMatch},
		{"host not signed", sigv4.V4Header, 0, replace("host;", ""), sigv4.AccessDenied},
		{"late", sigv4.V4Header, 16 * time.Minute, nil, sigv4.RequestTimeTooSkewed},
		{"early", sigv4.V4Header, -16 * time.Minute, nil, sigv4.RequestTimeTooSkewed},
		{"a little late", sigv4.V4Header, 14 * time.Minute, nil, ""},
		{"late", sigv4.V2Header, 16 * time.Minute, nil, sigv4.RequestTimeTooSkewed},
		{"expired", sigv4.V4Query, 61 * time.Minute, nil, sigv4.AccessDenied},
		{"not expired", sigv4.V4Query, 59 * time.Minute, nil, ""},
		{"not yet valid", sigv4.V4Query, -16 * time.Minute, nil, sigv4.AccessDenied},
		{"expired", sigv4.V2Query, 61 * time.Minute, nil, sigv4.AccessDenied},
		{"eight days", sigv4.V4Query, 0, replace("Expires=3600", "Expires=691200"), sigv4.QueryParameters},
		{"a week", sigv4.V4Query, 0, replace("Expires=3600", "Expires=604800"), sigv4.SignatureDoesNotMatch},
		{"no time", sigv4.V4Query, 0, replace("Expires=3600", "Expires=0"), sigv4.AccessDenied},
		{"negative", sigv4.V4Query, 0, replace("Expires=3600", "Expires=-7"), sigv4.AccessDenied},
		{"not a number", sigv4.V4Query, 0, replace("Expires=3600", "Expires=1h"), sigv4.QueryParameters},
		{"longer life", sigv4.V4Query, 0, replace("Expires=3600", "Expires=36000"), sigv4.SignatureDoesNotMatch},
		{"no expires", sigv4.V4Query, 0, replace("X-Amz-Expires", "X-Amz-Expirez"), sigv4.QueryParameters},
		{"twice", sigv4.V4Query, 0, replace("X-Amz-Date", "X-Amz-Expires=1&X-Amz-Date"), sigv4.QueryParameters},
		{"algorithm", sigv4.V4Query, 0, replace("HMAC-SHA256", "HMAC-SHA1"), sigv4.QueryParameters},
		{"4A", sigv4.V4Query, 0, replace("HMAC-SHA256", "ECDSA-P256-SHA256"), sigv4.NotImplemented},
		{"4A", sigv4.V4Header, 0, replace("HMAC-SHA256", "ECDSA-P256-SHA256"), sigv4.NotImplemented},
		{"region", sigv4.V4Header, 0, replace("us-east-1", "eu-west-1"), sigv4.HeaderMalformed},
		{"region", sigv4.V4Query, 0, replace("us-east-1", "eu-west-1"), sigv4.QueryParameters},
		{"service", sigv4.V4Header, 0, replace("/s3/", "/ec2/"), sigv4.HeaderMalformed},
		{"terminal", sigv4.V4Header, 0, replace("aws4_request", "aws5_request"), sigv4.HeaderMalformed},
		{"day", sigv4.V4Header, 0, replace("20260301/", "20260302/"), sigv4.HeaderMalformed},
		{"day", sigv4.V4Query, 0, replace("20260301%2F", "20260302%2F"), sigv4.QueryParameters},
		{"day of nine digits", sigv4.V4Header, 0, replace("20260301/", "202603011/"), sigv4.HeaderMalformed},
		{"no credential", sigv4.V4Header, 0, replace("Credential=", "Credentials="), sigv4.HeaderMalformed},
		{"two credentials", sigv4.V4Header, 0, replace("Credential=", "Credential=a,Credential="), sigv4.HeaderMalformed},
		{"short credential", sigv4.V4Header, 0, replace("/us-east-1", ""), sigv4.HeaderMalformed},
		{"no signature", sigv4.V4Header, 0, replace("Signature=", "Signature=,a="), sigv4.HeaderMalformed},
		{"short signature", sigv4.V4Header, 0, replace("Signature=", "Signature=00,"), sigv4.HeaderMalformed},
		{"only the algorithm", sigv4.V4Header, 0, set("Authorization", "AWS4-HMAC-SHA256"), sigv4.HeaderMalformed},
		{"garbage", sigv4.V4Header, 0, set("Authorization", "AWS HAHAHA"), sigv4.InvalidArgument},
		{"another scheme", sigv4.V4Header, 0, set("Authorization", "Basic dGVzdDp0ZXN0"), sigv4.InvalidArgument},
		{"no such key", sigv4.V4Header, 0, replace(exampleKey, "AKIANOBODY"), sigv4.InvalidAccessKeyID},
		{"no such key", sigv4.V2Header, 0, replace(exampleKey, "AKIANOBODY"), sigv4.InvalidAccessKeyID},
		{"no such key", sigv4.V2Query, 0, replace(exampleKey, "AKIANOBODY"), sigv4.InvalidAccessKeyID},
		{"bad date", sigv4.V2Header, 0, set("X-Amz-Date", "Bad Date"), sigv4.AccessDenied},
		{"empty date", sigv4.V2Header, 0, set("X-Amz-Date", ""), sigv4.AccessDenied},
		{"date before the epoch", sigv4.V2Header, 0, set("X-Amz-Date", "Tue, 07 Jul 1950 21:53:04 GMT"), sigv4.AccessDenied},
		{"old date", sigv4.V2Header, 0, set("X-Amz-Date", "Tue, 07 Jul 2010 21:53:04 GMT"), sigv4.RequestTimeTooSkewed},
		{"late date", sigv4.V2Header, 0, set("X-Amz-Date", "Tue, 07 Jul 9999 21:53:04 GMT"), sigv4.RequestTimeTooSkewed},
		{"no date", sigv4.V2Header, 0, func(r *sigv4.Request) { delete(r.Header, "Date") }, sigv4.AccessDenied},
		{"expires is no number", sigv4.V2Query, 0, replace("Expires=", "Expires=x"), sigv4.AccessDenied},
		{"no expires", sigv4.V2Query, 0, replace("Expires=", "Expirez="), sigv4.AccessDenied},
		{"no content hash", sigv4.V4Header, 0, func(r *sigv4.Request) { delete(r.Header, "X-Amz-Content-Sha256") }, sigv4.InvalidRequest},
		{"another content hash", sigv4.V4Header, 0, set("X-Amz-Content-Sha256", sigv4.EmptySHA256), sigv4.SignatureDoesNotMatch},
		{"token", sigv4.V4Query, 0, replace("X-Amz-Date", "X-Amz-Security-Token=t&X-Amz-Date"), sigv4.InvalidToken},
		{"header and query", sigv4.V4Query, 0, set("Authorization", "AWS a:b"), sigv4.InvalidArgument},
		{"both versions", sigv4.V4Query, 0, replace("X-Amz-Date", "AWSAccessKeyId=a&X-Amz-Date"), sigv4.InvalidArgument},
		{"another parameter", sigv4.V4Query, 0, replace("?", "?versionId=1&"), sigv4.SignatureDoesNotMatch},
		{"a sub-resource", sigv4.V2Query, 0, replace("?", "?acl&"), sigv4.SignatureDoesNotMatch},
	}
	for _, c := range cases {
		t.Run(c.scheme.String()+"/"+c.name, func(t *testing.T) {
			r := request("GET", "/b/k", "host")
			switch c.scheme {
			case sigv4.V4Header:
				signer.SignV4(r, "UNSIGNED-PAYLOAD", now)
			case sigv4.V4Query:
				signer.PresignV4(r, now, time.Hour)
			case sigv4.V2Header:
				signer.SignV2(r, now)
			default:
				signer.PresignV2(r, now.Add(time.Hour))
			}
			if c.edit != nil {
				c.edit(r)
			}
			_, err := verify(t, now.Add(c.late), r)
			if got := codeOf(err); got != c.want {
				t.Errorf("%q, want %q: %v", got, c.want, err)
			}
			if err != nil && strings.Contains(err.Error(), exampleSecret) {
				t.Error("the error shows the secret")
			}
		})
	}
}

func TestRefusalsTellMore(t *testing.T) {
	r := request("GET", "/b/k", "host")
	(&sigv4.Signer{AccessKey: exampleKey, Secret: exampleSecret, Region: "eu-west-1"}).SignV4(r, "UNSIGNED-PAYLOAD", now)
	if _, err := verify(t, now, r); fields(err)["Region"] != "us-east-1" {
		t.Errorf("%v %v", err, fields(err))
	}
	r = request("GET", "/b/k", "host")
	signer.SignV4(r, "UNSIGNED-PAYLOAD", now)
	r.Header["X-Amz-Acl"] = []string{"private"}
	if _, err := verify(t, now, r); fields(err)["HeadersNotSigned"] != "x-amz-acl" {
		t.Errorf("%v %v", err, fields(err))
	}
	r = request("GET", "/b/k", "host", "X-Amz-Server-Side-Encryption-Customer-Key: c2VjcmV0")
	(&sigv4.Signer{AccessKey: exampleKey, Secret: "wrong", Region: "us-east-1"}).SignV4(r, "UNSIGNED-PAYLOAD", now)
	var log strings.Builder
	v := sigv4.New(clock.NewManual(now), "us-east-1", slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	_, err := v.Verify(t.Context(), r, lookup)
	f := fields(err)
	if !strings.HasPrefix(f["CanonicalRequest"], "GET\n/b/k\n") || f["AWSAccessKeyId"] != exampleKey || !strings.Contains(log.String(), "canonical_request") {
		t.Errorf("%v, log %s", f, log.String())
	}
	if all := log.String() + f["CanonicalRequest"]; strings.Contains(all, "c2VjcmV0") || strings.Contains(all, exampleSecret) {
		t.Error("a secret is shown")
	}
}

func TestAnonymousAndLookupErrors(t *testing.T) {
	for _, r := range []*sigv4.Request{request("GET", "/b/k?prefix=x", "host"), request("GET", "/", "host", "Authorization:")} {
		a, err := verify(t, now, r)
		if err != nil || a.Scheme != sigv4.Anonymous || a.AccessKey != "" {
			t.Errorf("%+v %v", a, err)
		}
	}
	r := request("GET", "/b/k", "host")
	signer.SignV4(r, "UNSIGNED-PAYLOAD", now)
	busy := errs.E("test", errs.Busy, errs.Store, "")
	_, err := verifier(now).Verify(t.Context(), r, func(context.Context, string) (string, error) { return "", busy })
	if !errs.Is(err, errs.Busy) || codeOf(err) != "" {
		t.Errorf("%v", err)
	}
}

// A presigned URL may carry headers in its query; they count because the query is signed.
func TestHoisted(t *testing.T) {
	r := request("PUT", "/b/k?x-amz-checksum-crc32=AAAAAA%3D%3D&X-Amz-Acl=private&partNumber=1", "host")
	signer.PresignV4(r, now, time.Hour)
	a, err := verify(t, now, r)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	a.EachHoisted(func(n, v string) { got[n] = v })
	if len(got) != 2 || got["x-amz-checksum-crc32"] != "AAAAAA==" || got["x-amz-acl"] != "private" {
		t.Errorf("%v", got)
	}
	// Version 2 moves two other headers there too.
	r = request("PUT", "/b/k?content-type=text%2Fplain&x-amz-acl=private", "host")
	signer.PresignV2(r, now.Add(time.Hour))
	a, err = verify(t, now, r)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := a.Hoisted("content-type"); v != "text/plain" {
		t.Errorf("content-type %q", v)
	}
	r.Target = strings.Replace(r.Target, "plain", "html", 1)
	if _, err := verify(t, now, r); codeOf(err) != sigv4.SignatureDoesNotMatch {
		t.Errorf("another type: %v", err)
	}
	// Without a presigned query nothing is hoisted.
	r = request("PUT", "/b/k?x-amz-acl=public-read", "host")
	signer.SignV4(r, "UNSIGNED-PAYLOAD", now)
	a, err = verify(t, now, r)
	if _, ok := a.Hoisted("x-amz-acl"); err != nil || ok {
		t.Errorf("%v %v", ok, err)
	}
}

// More keys than the cache holds, and the same ones again.
func TestKeyCacheIsBounded(t *testing.T) {
	v := verifier(now)
	for round := range 2 {
		for i := range 2500 {
			key := "KEY" + time.Duration(i).String()
			r := request("GET", "/", "host")
			(&sigv4.Signer{AccessKey: key, Secret: "s" + key, Region: "us-east-1"}).SignV4(r, "UNSIGNED-PAYLOAD", now)
			if _, err := v.Verify(t.Context(), r, func(_ context.Context, k string) (string, error) { return "s" + k, nil }); err != nil {
				t.Fatal(round, i, err)
			}
		}
	}
}

func FuzzVerify(f *testing.F) {
	r := request("GET", "/b/k?a=1", "host")
	signer.SignV4(r, "UNSIGNED-PAYLOAD", now)
	f.Add("GET", r.Target, r.Header["Authorization"][0], "x-amz-date", r.Header["X-Amz-Date"][0])
	f.Add("GET", "/b?X-Amz-Signature=1", "", "Date", "x")
	f.Add("GET", "/b", "AWS a:b", "Date", "Tue, 27 Mar 2007 19:36:42 +0000")
	f.Fuzz(func(t *testing.T, method, target, authorization, name, value string) {
		r := &sigv4.Request{Method: method, Target: target, Host: "host", ContentLength: -1, Header: map[string][]string{
			"Authorization": {authorization}, name: {value},
		}}
		a, err := verifier(now).Verify(t.Context(), r, lookup)
		if err == nil && a.Scheme != sigv4.Anonymous && a.AccessKey != exampleKey {
			t.Errorf("%+v", a)
		}
		if err != nil && codeOf(err) == "" {
			t.Errorf("an error without a code: %v", err)
		}
	})
}

// What one path or query is signed as must not be what another is signed as.
func FuzzCanonical(f *testing.F) {
	f.Add("/b/k", "/b/K")
	f.Add("/b?a=1&b=2", "/b?b=2&a=1")
	f.Fuzz(func(t *testing.T, signed, sent string) {
		if !strings.HasPrefix(signed, "/") || !strings.HasPrefix(sent, "/") || strings.Contains(signed+sent, "X-Amz-") ||
			strings.Contains(signed+sent, "Signature") || strings.Contains(signed+sent, "AWSAccessKeyId") {
			return
		}
		r := request("GET", signed, "host")
		signer.SignV4(r, "UNSIGNED-PAYLOAD", now)
		switch _, err := verify(t, now, r); {
		case codeOf(err) == sigv4.InvalidURI:
			return // nothing meaningful was signed
		case err != nil:
			t.Fatalf("%q: %v", signed, err)
		}
		r.Target = sent
		if _, err := verify(t, now, r); err == nil && !sameTarget(signed, sent) {
			t.Errorf("%q is taken for %q", sent, signed)
		}
	})
}

// BenchmarkVerify is what a small request pays for its signature.
func BenchmarkVerify(b *testing.B) {
	r := request("PUT", "/bucket/some/key-0001", "127.0.0.1:9000", "Content-Type: application/octet-stream", "Content-Length: 4096", "User-Agent: bench")
	signer.SignV4(r, sigv4.EmptySHA256, now)
	v := verifier(now)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), r, lookup); err != nil {
			b.Fatal(err)
		}
	}
}
