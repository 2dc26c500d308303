package s3

import (
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/object/lifecycle"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
)

func lifecycleCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"GetBucketLifecycleConfiguration": testLifecycle, "PutBucketLifecycleConfiguration": testLifecycle, "DeleteBucketLifecycle": testLifecycle,
	}
}

func rule(content string) string { return "<Rule>" + content + "<Status>Enabled</Status></Rule>" }

func rulesXML(rules ...string) []byte {
	return []byte("<LifecycleConfiguration>" + strings.Join(rules, "") + "</LifecycleConfiguration>")
}

const expireInADay = "<Expiration><Days>1</Days></Expiration>"

func testLifecycle(t *testing.T, w *world) {
	w.alice.do("GET", "/photos?lifecycle", nil).want(404, "NoSuchLifecycleConfiguration")
	whole := rule("<ID>a&amp;b</ID><Filter><And><Prefix>x/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter>" +
		"<Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>" +
		"<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>")
	old := rule("<ID>old</ID><Prefix>y/</Prefix><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>")
	marker := rule("<ID>m</ID><Filter></Filter><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>")
	w.alice.do("PUT", "/photos?lifecycle", rulesXML(whole, old, marker)).want(200)
	got := string(w.alice.do("GET", "/photos?lifecycle", nil).want(200).body)
	for _, part := range []string{"<ID>a&amp;b</ID><Filter><And><Prefix>x/</Prefix><Tag>", "<Date>2030-01-01T00:00:00.000Z</Date>", "<NewerNoncurrentVersions>2<", "<ID>old</ID><Prefix>y/</Prefix>", "<Filter></Filter>"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s in %s", part, got)
		}
	}
	w.bob.do("GET", "/photos?lifecycle", nil).want(403, "AccessDenied")
	w.bob.do("PUT", "/photos?lifecycle", rulesXML(old)).want(403, "AccessDenied")
	w.bob.do("DELETE", "/photos?lifecycle", nil).want(403, "AccessDenied")

	for content, code := range map[string]string{
		"<Expiration><Days>0</Days></Expiration>":                                  "InvalidArgument",
		"<ID>" + strings.Repeat("i", 256) + "</ID>" + expireInADay:                 "InvalidArgument",
		"<Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>":               "InvalidArgument",
		"<Expiration><Date>soon</Date></Expiration>":                               "MalformedXML",
		"<Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>": "MalformedXML",
		"<Expiration></Expiration>":                                                "MalformedXML",
		"<Prefix>a</Prefix><Filter><Prefix>b</Prefix></Filter>" + expireInADay:     "MalformedXML",
		"<NoncurrentVersionExpiration></NoncurrentVersionExpiration>":              "MalformedXML",
		"<Prefix>a</Prefix>": "InvalidRequest",
		"<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>":                                                                                           "NotImplemented",
		"<Transition><Date>20220927</Date><StorageClass>GLACIER</StorageClass></Transition>":                                                                                    "MalformedXML",
		"<Filter><Tag><Key></Key><Value>v</Value></Tag></Filter>" + expireInADay:                                                                                                "InvalidTag",
		"<Filter><And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And></Filter>" + expireInADay:                                 "InvalidRequest",
		"<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>": "InvalidRequest",
	} {
		if a := w.alice.do("PUT", "/photos?lifecycle", rulesXML(rule(content))); a.code() != code {
			t.Errorf("%s: %d %s, want %s", content, a.status, a.body, code)
		}
	}
	w.alice.do("PUT", "/photos?lifecycle", rulesXML(rule("<ID>x</ID>"+expireInADay), rule("<ID>x</ID>"+expireInADay))).want(400, "InvalidArgument")
	w.alice.do("PUT", "/photos?lifecycle", []byte("<LifecycleConfiguration><Rule><Status>enabled</Status>"+expireInADay+"</Rule></LifecycleConfiguration>")).want(400, "MalformedXML")
	w.alice.do("PUT", "/photos?lifecycle", rulesXML()).want(400, "MalformedXML")
	if again := string(w.alice.do("GET", "/photos?lifecycle", nil).want(200).body); again != got {
		t.Error("a refused configuration changed the one that stands")
	}
	w.alice.do("PUT", "/photos?lifecycle", rulesXML(rule(expireInADay))).want(200)
	if id := w.alice.do("GET", "/photos?lifecycle", nil).want(200).element("ID"); id == "" {
		t.Error("a rule without an id got none")
	}
	w.alice.do("DELETE", "/photos?lifecycle", nil).want(204)
	w.alice.do("DELETE", "/photos?lifecycle", nil).want(204)
	w.alice.do("GET", "/photos?lifecycle", nil).want(404, "NoSuchLifecycleConfiguration")
}

// TestExpirationIsTold shows who is told when an object expires.
func TestExpirationIsTold(t *testing.T) {
	w := newWorldAt(t, clock.System{}, func(s blob.Store) blob.Store { return s })
	w.versioning(bucket.VersioningEnabled)
	w.alice.do("PUT", "/photos?lifecycle", rulesXML(rule("<ID>r 1</ID><Prefix>logs/</Prefix>"+expireInADay))).want(200)
	at := time.Now().UTC().Add(2*lifecycle.Day - 1).Truncate(lifecycle.Day) // stands or falls at midnight by a second
	want := `expiry-date="` + at.Format("Mon, 02 Jan 2006 15:04:05 GMT") + `", rule-id="r 1"`
	v := w.alice.do("PUT", "/photos/logs/a", nil).want(200).has("x-amz-expiration", want).header.Get("X-Amz-Version-Id")
	w.alice.do("HEAD", "/photos/logs/a", nil).want(200).has("x-amz-expiration", want)
	w.alice.do("PUT", "/photos/other", nil).want(200).has("x-amz-expiration", "")
	w.alice.do("PUT", "/photos/logs/b", nil, "x-amz-copy-source", "photos/other").want(200).has("x-amz-expiration", want)
	w.alice.do("PUT", "/photos/logs/a", nil).want(200)
	w.alice.do("HEAD", "/photos/logs/a?versionId="+v, nil).want(200).has("x-amz-expiration", "")
}
