package s3

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/store/bucket"
)

// people speaks to a world by the names of who asks: "main" is alice, "alt" is bob, "" is nobody.

type people struct {
	t *testing.T
	*world
}

// shown is an answer as the tests of buckets look at it.

type shown struct {
	status int
	header http.Header
	body   string
}

// do sends a request. Headers are "Name: value".

func (w *people) do(user, method, target, body string, headers ...string) shown {
	w.t.Helper()
	var pairs []string
	for _, h := range headers {
		n, v, _ := strings.Cut(h, ": ")
		pairs = append(pairs, n, v)
	}
	a := map[string]*client{"main": w.alice, "alt": w.bob, "": w.anon}[user].do(method, target, []byte(body), pairs...)
	return shown{a.status, a.header, string(a.body)}
}

// ok sends a request of main that must succeed.

func (w *people) ok(method, target, body string, headers ...string) shown {
	w.t.Helper()
	a := w.do("main", method, target, body, headers...)
	if a.status/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", method, target, a.status, a.body)
	}
	return a
}

// code is the S3 error code of an answer.

func (a shown) code() string {
	_, rest, _ := strings.Cut(a.body, "<Code>")
	c, _, _ := strings.Cut(rest, "<")
	return c
}

// want checks status and code.

func (a shown) want(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || a.code() != code {
		t.Errorf("%d %q, want %d %q: %s", a.status, a.code(), status, code, a.body)
	}
}

func (a shown) has(t *testing.T, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(a.body, p) {
			t.Errorf("%q is not in %s", p, a.body)
		}
	}
}

func (a shown) hasNot(t *testing.T, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(a.body, p) {
			t.Errorf("%q is in %s", p, a.body)
		}
	}
}

// bucketCases are the end-to-end tests of the operations on buckets, listings and access control lists.

func bucketCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"ListBuckets":                   testListBuckets,
		"CreateBucket":                  testCreateBucket,
		"HeadBucket":                    testCreateBucket,
		"DeleteBucket":                  testCreateBucket,
		"GetBucketLocation":             testCreateBucket,
		"GetBucketVersioning":           testBucketSettings,
		"PutBucketVersioning":           testBucketSettings,
		"GetBucketOwnershipControls":    testBucketSettings,
		"PutBucketOwnershipControls":    testBucketSettings,
		"DeleteBucketOwnershipControls": testBucketSettings,
		"GetBucketAcl":                  testACLs,
		"PutBucketAcl":                  testACLs,
		"GetObjectAcl":                  testACLs,
		"PutObjectAcl":                  testBadACLs,
		"ListObjects":                   testListParameters,
		"ListObjectsV2":                 testListParameters,
		"ListObjectVersions":            testListVersions,
	}
}

func testCreateBucket(t *testing.T, in *world) {
	w := &people{t, in}
	located := func(region string) string {
		return `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>` + region + `</LocationConstraint></CreateBucketConfiguration>`
	}
	a := w.ok("PUT", "/one", "")
	if a.header.Get("Location") != "/one" {
		t.Errorf("%v", a.header)
	}
	w.ok("PUT", "/one", "") // again, in the same way
	w.do("main", "PUT", "/one", "", "X-Amz-Acl: public-read").want(t, 409, "BucketAlreadyExists")
	w.do("alt", "PUT", "/one", "").want(t, 409, "BucketAlreadyExists")
	w.do("", "PUT", "/two", "").want(t, 403, "AccessDenied")
	w.do("main", "PUT", "/two", located("eu-west-1")).want(t, 400, "IllegalLocationConstraintException")
	w.do("main", "PUT", "/two", "<CreateBucketConfiguration><LocationConstraint>").want(t, 400, "MalformedXML")
	w.do("main", "PUT", "/two", "<Other/>").want(t, 400, "MalformedXML")
	w.do("main", "PUT", "/two", `<!DOCTYPE a [<!ENTITY b "c">]><CreateBucketConfiguration>&b;</CreateBucketConfiguration>`).want(t, 400, "MalformedXML")
	w.do("main", "PUT", "/two", "", "X-Amz-Acl: public-ready").want(t, 400, "InvalidArgument")
	w.do("main", "PUT", "/two", "", "X-Amz-Object-Ownership: Mine").want(t, 400, "InvalidArgument")
	w.do("main", "PUT", "/two", "", "X-Amz-Object-Ownership: BucketOwnerEnforced", "X-Amz-Acl: public-read").want(t, 400, "InvalidBucketAclWithObjectOwnership")
	w.do("main", "GET", "/two?location", "").want(t, 404, "NoSuchBucket") // none of these made it
	w.ok("PUT", "/two", located("us-east-1"))
	w.ok("GET", "/two?location", "").has(t, ">us-east-1</LocationConstraint>")
	w.ok("GET", "/one?location", "").has(t, "></LocationConstraint>")
	if a := w.ok("HEAD", "/one", ""); a.header.Get("X-Amz-Bucket-Region") != "us-east-1" {
		t.Errorf("%v", a.header)
	}
	w.do("alt", "HEAD", "/one", "").want(t, 403, "")
	w.do("alt", "DELETE", "/one", "").want(t, 403, "AccessDenied")
	w.ok("PUT", "/one/key", "x")
	w.do("main", "DELETE", "/one", "").want(t, 409, "BucketNotEmpty")
	w.ok("DELETE", "/one/key", "")
	w.ok("DELETE", "/one", "").want(t, 204, "")
	w.do("main", "HEAD", "/one", "").want(t, 404, "")
}

func testListBuckets(t *testing.T, in *world) {
	w := &people{t, in}
	for _, n := range []string{"aaa", "bbb1", "bbb2", "bbb3", "ccc", "photos"} {
		w.ok("PUT", "/"+n, "")
	}
	names := func(a shown) (list []string) {
		for part := range strings.SplitSeq(a.body, "<Name>") {
			if n, _, ok := strings.Cut(part, "</Name>"); ok {
				list = append(list, n)
			}
		}
		return list
	}
	token := func(a shown) string {
		_, rest, _ := strings.Cut(a.body, "<ContinuationToken>")
		s, _, _ := strings.Cut(rest, "<")
		return s
	}
	a := w.ok("GET", "/", "")
	a.has(t, "<ID>canonical-alice</ID><DisplayName>ALICE</DisplayName>", "<CreationDate>20")
	if d := cmp.Diff([]string{"aaa", "bbb1", "bbb2", "bbb3", "ccc", "photos"}, names(a)); d != "" {
		t.Error(d)
	}
	a = w.ok("GET", "/?max-buckets=2&prefix=bbb", "")
	if d := cmp.Diff([]string{"bbb1", "bbb2"}, names(a)); d != "" || token(a) == "" {
		t.Error(d, a.body)
	}
	a = w.ok("GET", "/?max-buckets=2&prefix=bbb&continuation-token="+token(a), "")
	if d := cmp.Diff([]string{"bbb3"}, names(a)); d != "" || token(a) != "" {
		t.Error(d, a.body)
	}
	if got := names(w.ok("GET", "/?prefix=bbb2", "")); len(got) != 1 {
		t.Error(got)
	}
	if got := names(w.ok("GET", "/?bucket-region=eu-west-1", "")); len(got) != 0 {
		t.Error(got)
	}
	if got := names(w.do("alt", "GET", "/", "")); len(got) != 0 {
		t.Error(got)
	}
	w.do("", "GET", "/", "").want(t, 200, "")
	for _, q := range []string{"max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=!"} {
		w.do("main", "GET", "/?"+q, "").want(t, 400, "InvalidArgument")
	}
}

func testBucketSettings(t *testing.T, in *world) {
	w := &people{t, in}
	w.ok("PUT", "/bkt", "")
	w.ok("GET", "/bkt?versioning", "").hasNot(t, "Status")
	status := func(s string) string {
		return "<VersioningConfiguration><Status>" + s + "</Status></VersioningConfiguration>"
	}
	w.ok("PUT", "/bkt?versioning", status("Enabled"))
	w.ok("GET", "/bkt?versioning", "").has(t, "<Status>Enabled</Status>")
	w.ok("PUT", "/bkt?versioning", status("Suspended"))
	w.ok("GET", "/bkt?versioning", "").has(t, "<Status>Suspended</Status>")
	w.do("main", "PUT", "/bkt?versioning", status("Perhaps")).want(t, 400, "MalformedXML")
	w.do("main", "PUT", "/bkt?versioning", "<VersioningConfiguration/>").want(t, 400, "IllegalVersioningConfigurationException")
	w.do("main", "PUT", "/bkt?versioning", "").want(t, 400, "MissingRequestBodyError")
	w.do("alt", "PUT", "/bkt?versioning", status("Enabled")).want(t, 403, "AccessDenied")

	rule := func(s string) string {
		return "<OwnershipControls><Rule><ObjectOwnership>" + s + "</ObjectOwnership></Rule></OwnershipControls>"
	}
	w.do("main", "GET", "/bkt?ownershipControls", "").want(t, 404, "OwnershipControlsNotFoundError")
	w.ok("PUT", "/bkt?ownershipControls", rule("ObjectWriter"))
	w.ok("GET", "/bkt?ownershipControls", "").has(t, "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>")
	w.do("main", "PUT", "/bkt?ownershipControls", rule("Mine")).want(t, 400, "MalformedXML")
	w.ok("PUT", "/bkt?acl", "", "X-Amz-Acl: public-read")
	w.do("main", "PUT", "/bkt?ownershipControls", rule("BucketOwnerEnforced")).want(t, 400, "InvalidBucketAclWithObjectOwnership")
	w.ok("PUT", "/bkt?acl", "", "X-Amz-Acl: private")
	w.ok("PUT", "/bkt?ownershipControls", rule("BucketOwnerEnforced"))
	w.do("main", "PUT", "/bkt?acl", "", "X-Amz-Acl: public-read").want(t, 400, "AccessControlListNotSupported")
	w.ok("DELETE", "/bkt?ownershipControls", "").want(t, 204, "")
	w.do("main", "GET", "/bkt?ownershipControls", "").want(t, 404, "OwnershipControlsNotFoundError")
}

// Objects that others write into a public bucket are theirs, and they can give the bucket's owner a share.

// listed is a listing as a client reads it.

// model lists names as S3 says: entries and common prefixes with the prefix, in order, after a position.

// Every way of listing, page by page, gives exactly what is there: no loss, no duplicate, in order.

// BenchmarkListPage writes a page of 1,000 names.

// A write that makes a null version names none, also while versions are suspended, as ceph/s3-tests have it (return_version_id); a read names it.
func TestNullVersionsOfWrites(t *testing.T) {
	w := newWorld(t)
	w.alice.do("PUT", "/photos/a", []byte("1")).want(200).has("X-Amz-Version-Id", "")
	w.versioning(bucket.VersioningSuspended)
	w.alice.do("PUT", "/photos/a", []byte("2")).want(200).has("X-Amz-Version-Id", "")
	w.alice.do("GET", "/photos/a", nil).want(200).has("X-Amz-Version-Id", "null")
}
