package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"testing"
	"time"

	"pithos/internal/door/wire/sigv4"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/object/lifecycle"
	"pithos/internal/store/bucket"
)

// The documents of sub-resources. Whatever a document is, it is refused as the client's fault, or taken; and what is given back for one that
// was taken says the same: it is taken again, and given back the same.

// direct sends a signed request into the door without a connection.
func (c *client) direct(tb testing.TB, method, target string, body []byte) *answer {
	r := httptest.NewRequestWithContext(tb.Context(), method, target, bytes.NewReader(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	sum := sha256.Sum256(body)
	c.signer.SignV4(&sigv4.Request{Method: method, Target: target, Host: r.Host, Header: r.Header, ContentLength: int64(len(body))},
		hex.EncodeToString(sum[:]), time.Now())
	rec := httptest.NewRecorder()
	c.w.door.ServeHTTP(rec, r)
	return &answer{t: tb, status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
}

// fuzzSetting sets a sub-resource to any bytes and reads it back.
func fuzzSetting(f *testing.F, target string, seeds ...string) {
	f.Helper()
	w := newWorld(f)
	w.bucket("locked", bucket.Config{Versioning: bucket.VersioningEnabled, ObjectLock: true})
	for _, name := range []string{"/photos/key", "/locked/key"} {
		w.alice.direct(f, http.MethodPut, name, []byte("x")).want(200)
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		put := w.alice.direct(t, http.MethodPut, target, doc)
		if put.status >= 500 && put.code() != "NotImplemented" {
			t.Fatalf("%q: %d %s", doc, put.status, put.body)
		}
		if put.status >= 400 {
			if put.code() == "" {
				t.Fatalf("%q: %d without a code: %s", doc, put.status, put.body)
			}
			return
		}
		first := w.alice.direct(t, http.MethodGet, target, nil)
		if first.status != 200 {
			if put.status < 300 && first.status == 404 {
				return // it was set to nothing
			}
			t.Fatalf("%q was taken and cannot be read: %d %s", doc, first.status, first.body)
		}
		if again := w.alice.direct(t, http.MethodPut, target, first.body); again.status >= 300 {
			if code := again.code(); code == "IllegalVersioningConfigurationException" && !bytes.Contains(first.body, []byte("Status")) {
				return
			}
			t.Fatalf("%q is given back as\n%s\nwhich is not taken: %d %s", doc, first.body, again.status, again.body)
		}
		if second := w.alice.direct(t, http.MethodGet, target, nil); !bytes.Equal(second.body, first.body) {
			t.Fatalf("%q is given back as\n%s\nand then\n%s", doc, first.body, second.body)
		}
	})
}

const grantSeed = `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>canonical-bob</ID></Grantee><Permission>READ</Permission></Grant>` +
	`<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>WRITE_ACP</Permission></Grant>` +
	`<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="AmazonCustomerByEmail"><EmailAddress>bob@example.org</EmailAddress></Grantee><Permission>FULL_CONTROL</Permission></Grant>`

const aclSeed = `<AccessControlPolicy><Owner><ID>canonical-alice</ID></Owner><AccessControlList>` + grantSeed + `</AccessControlList></AccessControlPolicy>`

func FuzzBucketACL(f *testing.F) { fuzzSetting(f, "/photos?acl", aclSeed) }

func FuzzObjectACL(f *testing.F) { fuzzSetting(f, "/photos/key?acl", aclSeed) }

func FuzzVersioning(f *testing.F) {
	fuzzSetting(f, "/photos?versioning", `<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>`,
		`<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`)
}

func FuzzLogging(f *testing.F) {
	fuzzSetting(f, "/photos?logging", `<BucketLoggingStatus/>`,
		`<BucketLoggingStatus><LoggingEnabled><TargetBucket>photos</TargetBucket><TargetPrefix>a/</TargetPrefix><TargetGrants>`+grantSeed+`</TargetGrants>`+
			`<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat></LoggingEnabled></BucketLoggingStatus>`)
}

func FuzzEncryption(f *testing.F) {
	fuzzSetting(f, "/photos?encryption",
		`<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`,
		`<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>one</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>`+
			`<BucketKeyEnabled>true</BucketKeyEnabled><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>`)
}

func FuzzObjectLock(f *testing.F) {
	fuzzSetting(f, "/locked?object-lock", `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>`,
		`<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>`)
}

func FuzzRetention(f *testing.F) {
	fuzzSetting(f, "/locked/key?retention", `<Retention/>`,
		`<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2100-01-01T00:00:00Z</RetainUntilDate></Retention>`)
}

func FuzzLegalHold(f *testing.F) {
	fuzzSetting(f, "/locked/key?legal-hold", `<LegalHold><Status>ON</Status></LegalHold>`, `<LegalHold><Status>OFF</Status></LegalHold>`)
}

func FuzzOwnership(f *testing.F) {
	fuzzSetting(f, "/photos?ownershipControls", `<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`)
}

func FuzzPublicAccess(f *testing.F) {
	fuzzSetting(f, "/photos?publicAccessBlock", `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls></PublicAccessBlockConfiguration>`)
}

func FuzzTagging(f *testing.F) {
	fuzzSetting(f, "/photos/key?tagging", string(tagsXML("a", "b", "é", "ü + x")), `<Tagging><TagSet/></Tagging>`, `<Tagging><TagSet><Tag><Key>&#xD;</Key></Tag></TagSet></Tagging>`)
}

func FuzzBucketTagging(f *testing.F) {
	fuzzSetting(f, "/photos?tagging", string(tagsXML("a", "b")), `<Tagging><TagSet/></Tagging>`)
}

func FuzzBucketPolicy(f *testing.F) {
	fuzzSetting(f, "/photos?policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`)
}

// FuzzLifecycle also wants rules to keep their meaning in the form in which they are applied, and to apply them to a version without failing.
func FuzzLifecycle(f *testing.F) {
	for _, s := range []string{
		`<LifecycleConfiguration><Rule><ID>a</ID><Prefix>p</Prefix><Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>`,
		`<LifecycleConfiguration><Rule><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>` +
			`<Status>Disabled</Status><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule>` +
			`<Rule><Filter/><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule></LifecycleConfiguration>`,
		`<LifecycleConfiguration><Rule><Status>Enabled</Status><Expiration><Date>9999-12-31T23:00:00-01:00</Date></Expiration></Rule></LifecycleConfiguration>`,
	} {
		f.Add([]byte(s), "p/a", int64(5))
	}
	f.Fuzz(func(t *testing.T, raw []byte, name string, size int64) {
		doc, rules := readRules(t, raw)
		if rules == nil {
			return
		}
		var x document
		x.begin()
		x.open("LifecycleConfiguration")
		doc.write(&x)
		x.close("LifecycleConfiguration")
		_, again := readRules(t, x.b)
		if !reflect.DeepEqual(rules, again) {
			t.Fatalf("%q\nmeans %+v\nand given back as %s\n%+v", raw, rules, x.b, again)
		}
		kept, err := lifecycle.Encode(rules)
		if err != nil {
			t.Fatal(err)
		}
		applied, err := lifecycle.Decode(kept)
		if err != nil {
			t.Fatalf("%q is kept as %s: %v", raw, kept, err)
		}
		if want, err := lifecycle.Encode(applied); err != nil || !bytes.Equal(kept, want) {
			t.Fatalf("%q is kept as %s and then as %s, %v", raw, kept, want, err)
		}
		v := &object.Version{Tags: []object.Tag{{Key: "k", Value: "v"}}}
		v.Name, v.Size = naming.ObjectName(name), size
		if at, id := lifecycle.Expiry(applied, v); !at.IsZero() && id == "" {
			t.Fatalf("%q expires at %v by no rule", raw, at)
		}
	})
}

// readRules reads a lifecycle document; nil if it is refused, which must be the client's fault.
func readRules(t *testing.T, raw []byte) (*lifecycleDocument, []lifecycle.Rule) {
	var doc lifecycleDocument
	err := decodeXML(raw, &doc)
	if err == nil {
		var rules []lifecycle.Rule
		if rules, err = doc.rules(); err == nil {
			return &doc, rules
		}
	}
	switch code := faultOf(err).code; code {
	case MalformedXML, InvalidArgument, InvalidRequest, InvalidTag, NotImplemented:
	default:
		t.Fatalf("%q: %v", raw, err)
	}
	return nil, nil
}

// FuzzCORS also asks the rules about an origin and a preflight.
func FuzzCORS(f *testing.F) {
	f.Add([]byte(`<CORSConfiguration><CORSRule><ID>a</ID><AllowedOrigin>https://*.example.org</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-*</AllowedHeader><ExposeHeader>Etag</ExposeHeader>`+
		`<MaxAgeSeconds>1</MaxAgeSeconds></CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod></CORSRule></CORSConfiguration>`), "https://a.example.org", "x-a, b")
	f.Fuzz(func(t *testing.T, raw []byte, origin, headers string) {
		doc := readCORS(t, raw)
		if doc == nil {
			return
		}
		kept := doc.elements()
		again := readCORS(t, bytes.Join([][]byte{[]byte("<CORSConfiguration>"), kept, []byte("</CORSConfiguration>")}, nil))
		if again == nil || !bytes.Equal(again.elements(), kept) {
			t.Fatalf("%q is kept as\n%s", raw, kept)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/photos", nil)
		r.Header = http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {headers}}
		got, want := again.find(origin, r), doc.find(origin, r)
		if got.origin != want.origin || got.headers != want.headers || (got.rule == nil) != (want.rule == nil) {
			t.Fatalf("%q lets %q in as %+v, and as it is kept %+v", raw, origin, want, got)
		}
		if want.rule != nil && want.origin != "*" && want.origin != origin {
			t.Fatalf("%q names the origin %q to %q", raw, want.origin, origin)
		}
	})
}

// readCORS reads a document of rules; nil if it is refused, which must be the client's fault.
func readCORS(t *testing.T, raw []byte) *corsRules {
	var doc corsRules
	err := decodeXML(raw, &doc)
	if err == nil {
		if err = doc.check(); err == nil {
			return &doc
		}
	}
	if code := faultOf(err).code; code != MalformedXML && code != InvalidRequest {
		t.Fatalf("%q: %v", raw, err)
	}
	return nil
}
