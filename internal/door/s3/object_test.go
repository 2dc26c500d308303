package s3

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"pithos/internal/store/bucket"
)

// md5 of "hello", as an ETag.
const helloTag = `"5d41402abc4b2a76b9719d911017c592"`

func objectCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"PutObject":           testPutObject,
		"GetObject":           testGetObject,
		"HeadObject":          testHeadObject,
		"DeleteObject":        testDeleteObject,
		"DeleteObjects":       testDeleteObjects,
		"CopyObject":          testCopyObject,
		"GetObjectAttributes": testGetObjectAttributes,
	}
}

func testPutObject(t *testing.T, w *world) {
	t.Helper()
	hello := []byte("hello")
	w.alice.do("PUT", "/photos/a", hello).want(200).has("ETag", helloTag, "x-amz-version-id", "", "x-amz-request-id", "*", "x-amz-id-2", "*")

	// Integrity.
	w.alice.do("PUT", "/photos/bad", hello, "Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==").want(400, "BadDigest")
	w.alice.do("PUT", "/photos/bad", hello, "Content-MD5", "YWJyYWNhZGFicmE=").want(400, "InvalidDigest")
	w.alice.do("PUT", "/photos/bad", hello, "Content-MD5", "").want(400, "InvalidDigest")
	w.alice.do("PUT", "/photos/bad", hello, "x-amz-checksum-crc32", "AAAAAA==").want(400, "BadDigest")
	w.alice.do("PUT", "/photos/bad", hello, "x-amz-checksum-sha256", "bad").want(400, "BadDigest")
	w.alice.do("PUT", "/photos/bad", hello, "x-amz-checksum-crc32", "NhCmhg==", "x-amz-checksum-crc32c", "mnG7TA==").want(400, "InvalidRequest")
	w.alice.do("PUT", "/photos/bad", hello, "x-amz-sdk-checksum-algorithm", "CRC32").want(400, "InvalidRequest")
	w.alice.do("GET", "/photos/bad", nil).want(404, "NoSuchKey")
	w.alice.do("PUT", "/photos/a", hello, "Content-MD5", "XUFAKrxLKna5cZ2REBfFkg==", "x-amz-checksum-crc32", "NhCmhg==").want(200).
		has("x-amz-checksum-crc32", "NhCmhg==", "x-amz-checksum-type", "FULL_OBJECT")
	for header, value := range map[string]string{
		"x-amz-checksum-crc32c":    "mnG7TA==",
		"x-amz-checksum-crc64nvme": "M3eFcAZSQlc=",
		"x-amz-checksum-sha1":      "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
		"x-amz-checksum-sha256":    "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
	} {
		w.alice.do("PUT", "/photos/a", hello, header, value).want(200).has(header, value)
	}

	// Conditions.
	w.alice.do("PUT", "/photos/a", hello, "If-None-Match", "*").want(412, "PreconditionFailed")
	w.alice.do("PUT", "/photos/new", hello, "If-None-Match", "*").want(200)
	w.alice.do("PUT", "/photos/a", hello, "If-Match", "badetag").want(412, "PreconditionFailed")
	w.alice.do("PUT", "/photos/a", hello, "If-Match", helloTag).want(200)
	w.alice.do("PUT", "/photos/none", hello, "If-Match", "*").want(404, "NoSuchKey")

	// Metadata and classes.
	w.alice.do("PUT", "/photos/a", hello, "x-amz-meta-big", strings.Repeat("x", 2<<10)).want(400, "MetadataTooLarge")
	w.alice.do("PUT", "/photos/a", hello, "x-amz-storage-class", "NONSENSE").want(400, "InvalidStorageClass")
	w.alice.do("PUT", "/photos/a", hello, "x-amz-website-redirect-location", "nowhere").want(400, "InvalidArgument")
	w.alice.do("PUT", "/photos/a", hello, "x-amz-server-side-encryption", "AES256").want(200).has("x-amz-server-side-encryption", "AES256")
	w.alice.do("PUT", "/photos/a", hello, "x-amz-object-something-new", "1").want(501, "NotImplemented").contains("x-amz-object-something-new")
	w.alice.do("PUT", "/photos/foo", hello, "x-amz-foo", "bar").want(200)

	// Who and where.
	w.anon.do("PUT", "/photos/a", hello).want(403, "AccessDenied")
	w.bob.do("PUT", "/photos/a", hello).want(403, "AccessDenied")
	w.alice.do("PUT", "/no-such-bucket/a", hello).want(404, "NoSuchBucket")
	w.alice.do("PUT", "/photos/"+strings.Repeat("k", 1025), hello).want(400, "KeyTooLongError")
	w.alice.do("PUT", "/photos/%ff%fe", hello).want(400, "InvalidURI")
	w.alice.do("PUT", "/photos/a%00b", hello).want(400, "InvalidURI")
	w.alice.do("PUT", "/photos/a", hello, "x-amz-expected-bucket-owner", "bob").want(403, "AccessDenied")
	w.alice.do("PUT", "/photos/a", hello, "x-amz-expected-bucket-owner", "alice").want(200)

	// Versions.
	w.versioning(bucket.VersioningEnabled)
	w.alice.do("PUT", "/photos/a", hello).want(200).has("x-amz-version-id", "*")
}

func testGetObject(t *testing.T, w *world) {
	t.Helper()
	body := []byte("testcontent")
	w.alice.do("PUT", "/photos/a", body,
		"Content-Type", "text/plain", "Cache-Control", "no-cache", "Content-Disposition", "inline", "Content-Encoding", "aws-chunked, gzip",
		"Content-Language", "de", "Expires", "Wed, 21 Oct 2026 07:28:00 GMT", "x-amz-meta-Color", "Blue", "x-amz-meta-empty", "",
		"x-amz-storage-class", "STANDARD_IA", "x-amz-website-redirect-location", "/other", "x-amz-checksum-crc32", "zVF40g==").want(400, "BadDigest")
	put := w.alice.do("PUT", "/photos/a", body,
		"Content-Type", "text/plain", "Cache-Control", "no-cache", "Content-Disposition", "inline", "Content-Encoding", "aws-chunked, gzip",
		"Content-Language", "de", "Expires", "Wed, 21 Oct 2026 07:28:00 GMT", "x-amz-meta-Color", "Blue", "x-amz-meta-empty", "",
		"x-amz-storage-class", "STANDARD_IA", "x-amz-website-redirect-location", "/other").want(200)
	etag := put.header.Get("ETag")
	got := w.alice.do("GET", "/photos/a", nil, "Accept-Encoding", "identity").want(200).has(
		"Content-Type", "text/plain", "Cache-Control", "no-cache", "Content-Disposition", "inline", "Content-Encoding", "gzip",
		"Content-Language", "de", "Expires", "Wed, 21 Oct 2026 07:28:00 GMT", "x-amz-meta-color", "Blue", "x-amz-meta-empty", "*",
		"x-amz-storage-class", "STANDARD_IA", "x-amz-website-redirect-location", "/other", "Accept-Ranges", "bytes", "ETag", etag,
		"Last-Modified", "*", "Content-Length", "11", "x-amz-version-id", "")
	if !bytes.Equal(got.body, body) {
		t.Errorf("body %q", got.body)
	}
	modified := got.header.Get("Last-Modified")

	// Ranges.
	for _, tc := range []struct{ header, body, contentRange string }{
		{"bytes=4-7", "cont", "bytes 4-7/11"},
		{"bytes=4-", "content", "bytes 4-10/11"},
		{"bytes=-7", "content", "bytes 4-10/11"},
		{"bytes=0-99", "testcontent", "bytes 0-10/11"},
	} {
		a := w.alice.do("GET", "/photos/a", nil, "Range", tc.header).want(206).has("Content-Range", tc.contentRange, "Content-Length", fmt.Sprint(len(tc.body)))
		if string(a.body) != tc.body {
			t.Errorf("%s: %q", tc.header, a.body)
		}
	}
	w.alice.do("GET", "/photos/a", nil, "Range", "bytes=40-50").want(416, "InvalidRange").has("Content-Range", "bytes */11")
	w.alice.do("GET", "/photos/a", nil, "Range", "bytes=0-1,3-4").want(200).has("Content-Length", "11")
	w.alice.do("GET", "/photos/a", nil, "Range", "lines=1-2").want(200)
	w.alice.do("GET", "/photos/a", nil, "Range", "bytes=0-1", "If-Range", `"other"`).want(200)
	w.alice.do("GET", "/photos/a", nil, "Range", "bytes=0-1", "If-Range", etag).want(206)
	w.alice.do("GET", "/photos/a?partNumber=1", nil).want(206).has("Content-Range", "bytes 0-10/11", "x-amz-mp-parts-count", "")
	w.alice.do("GET", "/photos/a?partNumber=2", nil).want(400, "InvalidPart")
	w.alice.do("GET", "/photos/a?partNumber=x", nil).want(400, "InvalidArgument")
	w.alice.do("GET", "/photos/a?partNumber=1", nil, "Range", "bytes=0-1").want(400, "InvalidRequest")

	// Conditions.
	w.alice.do("GET", "/photos/a", nil, "If-None-Match", etag).want(304).has("ETag", etag, "Last-Modified", modified, "Content-Type", "")
	w.alice.do("GET", "/photos/a", nil, "If-Match", `"other"`).want(412, "PreconditionFailed")
	w.alice.do("GET", "/photos/a", nil, "If-Match", strings.Trim(etag, `"`)).want(200)
	w.alice.do("GET", "/photos/a", nil, "If-Modified-Since", modified).want(304)
	w.alice.do("GET", "/photos/a", nil, "If-Unmodified-Since", "Sat, 29 Oct 1994 19:43:31 GMT").want(412, "PreconditionFailed")

	// Overrides.
	w.alice.do("GET", "/photos/a?response-content-type=foo%2Fbar&response-expires=123&response-cache-control=max-age%3D1", nil).want(200).
		has("Content-Type", "foo/bar", "Expires", "123", "Cache-Control", "max-age=1")
	w.alice.do("GET", "/photos/a?response-content-type=a%0d%0ab", nil).want(400, "InvalidArgument")
	w.anon.do("GET", "/photos/a?response-content-type=text/html", nil).want(400, "InvalidRequest")

	// Who, and what is not there.
	w.anon.do("GET", "/photos/a", nil).want(403, "AccessDenied")
	w.bob.do("GET", "/photos/a", nil).want(403, "AccessDenied")
	w.alice.do("GET", "/photos/none", nil).want(404, "NoSuchKey").contains("<Key>none</Key>")
	w.alice.do("GET", "/photos/a?versionId=nonsense", nil).want(400, "InvalidArgument")
	w.alice.do("GET", "/photos/a?versionId=00000000000000ff", nil).want(404, "NoSuchVersion")
	w.alice.do("GET", "/photos/a?frobnicate", nil).want(501, "NotImplemented").contains("frobnicate")
	w.alice.do("GET", "/photos/a?x-log-me=1", nil).want(200)

	// Names are names: nothing is cleaned.
	for _, name := range []string{"a//b", "a/../b", "./x", "/", "%2F", "%20", "a+b", "%E2%82%AC", "%3FversionId", "%01"} {
		w.alice.do("PUT", "/photos/"+name, []byte(name)).want(200)
		if got := w.alice.do("GET", "/photos/"+name, nil).want(200); string(got.body) != name {
			t.Errorf("%s: %q", name, got.body)
		}
	}

	// Both address styles.
	if got := w.alice.do("GET", "/a", nil, "Host", "photos.s3.test:9000").want(200); !bytes.Equal(got.body, body) {
		t.Errorf("virtual host: %q", got.body)
	}
	w.alice.do("GET", "/photos/a", nil, "Host", "s3.test").want(200)

	testReadVersions(w)
}

// testReadVersions reads versions, null versions and delete markers.
func testReadVersions(w *world) {
	w.alice.do("PUT", "/photos/v", []byte("null")).want(200)
	w.versioning(bucket.VersioningEnabled)
	one := w.alice.do("PUT", "/photos/v", []byte("one")).want(200).header.Get("x-amz-version-id")
	w.alice.do("PUT", "/photos/v", []byte("two")).want(200)
	w.alice.do("GET", "/photos/v?versionId="+one, nil).want(200).has("x-amz-version-id", one).contains("one")
	w.alice.do("GET", "/photos/v?versionId=null", nil).want(200).has("x-amz-version-id", "null").contains("null")
	marker := w.alice.do("DELETE", "/photos/v", nil).want(204).header.Get("x-amz-version-id")
	w.alice.do("GET", "/photos/v", nil).want(404, "NoSuchKey").has("x-amz-delete-marker", "true", "x-amz-version-id", marker)
	w.alice.do("GET", "/photos/v?versionId="+marker, nil).want(405, "MethodNotAllowed").has("x-amz-delete-marker", "true", "Allow", "DELETE", "Last-Modified", "*")
	w.alice.do("GET", "/photos/v?versionId="+one, nil).want(200)
}

func testHeadObject(_ *testing.T, w *world) {
	w.alice.do("PUT", "/photos/a", []byte("hello"), "x-amz-checksum-crc32", "NhCmhg==").want(200)
	w.alice.do("HEAD", "/photos/a", nil).want(200).has("Content-Length", "5", "ETag", helloTag, "x-amz-checksum-crc32", "", "Content-Type", "binary/octet-stream")
	w.alice.do("HEAD", "/photos/a", nil, "x-amz-checksum-mode", "ENABLED").want(200).has("x-amz-checksum-crc32", "NhCmhg==", "x-amz-checksum-type", "FULL_OBJECT")
	w.alice.do("HEAD", "/photos/a", nil, "x-amz-checksum-mode", "enabled").want(200).has("x-amz-checksum-crc32", "NhCmhg==", "x-amz-checksum-type", "FULL_OBJECT")
	w.alice.do("HEAD", "/photos/a", nil, "Range", "bytes=1-2").want(206).has("Content-Length", "2", "Content-Range", "bytes 1-2/5")
	w.alice.do("HEAD", "/photos/a", nil, "If-None-Match", helloTag).want(304)
	none := w.alice.do("HEAD", "/photos/none", nil).want(404).has("x-amz-delete-marker", "false")
	if len(none.body) > 0 {
		w.t.Errorf("a HEAD was answered with a body: %s", none.body)
	}
	w.alice.do("PUT", "/photos/empty", nil).want(200)
	w.alice.do("HEAD", "/photos/empty", nil).want(200).has("Content-Length", "0")
}

func testDeleteObject(_ *testing.T, w *world) {
	hello := []byte("hello")
	w.alice.do("PUT", "/photos/a", hello).want(200)
	w.bob.do("DELETE", "/photos/a", nil).want(403, "AccessDenied")
	w.alice.do("DELETE", "/photos/a", nil, "If-Match", "badetag").want(412, "PreconditionFailed")
	w.alice.do("DELETE", "/photos/a", nil, "x-amz-if-match-size", "4").want(412, "PreconditionFailed")
	w.alice.do("DELETE", "/photos/a", nil, "x-amz-if-match-size", "x").want(400, "InvalidArgument")
	w.alice.do("DELETE", "/photos/a", nil, "x-amz-if-match-last-modified-time", "Sat, 29 Oct 1994 19:43:31 GMT").want(412, "PreconditionFailed")
	w.alice.do("DELETE", "/photos/a", nil, "x-amz-mfa", "1 2").want(501, "NotImplemented")
	w.alice.do("DELETE", "/photos/a", nil, "If-Match", helloTag, "x-amz-if-match-size", "5").want(204).has("x-amz-version-id", "", "x-amz-delete-marker", "")
	w.alice.do("DELETE", "/photos/a", nil).want(204)
	w.alice.do("DELETE", "/photos/a", nil, "If-Match", "badetag").want(204)
	w.alice.do("DELETE", "/nowhere/a", nil).want(404, "NoSuchBucket")

	w.versioning(bucket.VersioningEnabled)
	version := w.alice.do("PUT", "/photos/v", hello).want(200).header.Get("x-amz-version-id")
	marker := w.alice.do("DELETE", "/photos/v", nil).want(204).has("x-amz-delete-marker", "true").header.Get("x-amz-version-id")
	w.alice.do("DELETE", "/photos/v", nil, "If-Match", "badetag").want(412, "PreconditionFailed")
	w.alice.do("DELETE", "/photos/v", nil, "If-Match", "*").want(204)
	w.alice.do("DELETE", "/photos/v?versionId="+marker, nil).want(204).has("x-amz-delete-marker", "true", "x-amz-version-id", marker)
	w.alice.do("GET", "/photos/v", nil).want(200)
	w.alice.do("DELETE", "/photos/v?versionId="+version, nil, "If-Match", "badetag").want(412, "PreconditionFailed")
	w.alice.do("DELETE", "/photos/v?versionId="+version, nil, "If-Match", helloTag).want(204).has("x-amz-delete-marker", "", "x-amz-version-id", version)
	w.alice.do("DELETE", "/photos/v?versionId="+version, nil, "If-Match", "*").want(204)

	w.versioning(bucket.VersioningSuspended)
	w.alice.do("DELETE", "/photos/v", nil).want(204).has("x-amz-delete-marker", "true", "x-amz-version-id", "null")
}

func testDeleteObjects(t *testing.T, w *world) {
	t.Helper()
	for _, k := range []string{"a", "b", "c"} {
		w.alice.do("PUT", "/photos/"+k, []byte("hello")).want(200)
	}
	w.alice.do("POST", "/photos?delete", []byte(`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a</Key></Object><Object><Key>none</Key></Object>`+
		`<Object><Key>b</Key><ETag>bad</ETag></Object><Object><Key>c</Key><Size>5</Size><ETag>`+helloTag+`</ETag></Object></Delete>`)).want(200).
		contains("<Deleted><Key>a</Key></Deleted>", "<Deleted><Key>none</Key></Deleted>", "<Deleted><Key>c</Key></Deleted>",
			"<Error><Key>b</Key><Code>PreconditionFailed</Code>")
	w.alice.do("GET", "/photos/a", nil).want(404)
	w.alice.do("GET", "/photos/b", nil).want(200)
	quiet := w.alice.do("POST", "/photos?delete", []byte(`<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object></Delete>`),
		"x-amz-sdk-checksum-algorithm", "CRC32", "x-amz-checksum-crc32", "2oxClQ==").status
	if quiet != 400 {
		t.Errorf("a wrong checksum gave %d", quiet)
	}
	if got := w.alice.do("POST", "/photos?delete", []byte(`<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object></Delete>`)).want(200); strings.Contains(string(got.body), "<Deleted>") {
		t.Errorf("quiet answer: %s", got.body)
	}
	w.bob.do("POST", "/photos?delete", []byte(`<Delete><Object><Key>b</Key></Object></Delete>`)).want(200).contains("<Code>AccessDenied</Code>")
	w.alice.do("POST", "/nowhere?delete", []byte(`<Delete><Object><Key>b</Key></Object></Delete>`)).want(404, "NoSuchBucket")
	// A condition that cannot be read is not the same as none.
	w.alice.do("PUT", "/photos/kept", []byte("hello")).want(200)
	w.alice.do("POST", "/photos?delete", []byte(`<Delete><Object><Key>kept</Key><ETag>""</ETag></Object></Delete>`)).want(200).contains("<Code>InvalidArgument</Code>")
	w.alice.do("POST", "/photos?delete", []byte(`<Delete><Object><Key>kept</Key><ETag>"*"</ETag></Object></Delete>`)).want(200).contains("<Code>PreconditionFailed</Code>")
	w.alice.do("DELETE", "/photos/kept", nil, "x-amz-if-match-size", "").want(400, "InvalidArgument")
	w.alice.do("DELETE", "/photos/kept", nil, "x-amz-if-match-last-modified-time", "").want(400, "InvalidArgument")
	w.alice.do("DELETE", "/photos/kept", nil, "If-Match", `"*"`).want(412, "PreconditionFailed")
	w.alice.do("PUT", "/photos/kept", []byte("other"), "If-None-Match", `"*"`).want(412, "PreconditionFailed")
	w.alice.do("GET", "/photos/kept", nil).want(200).contains("hello")
	many := "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>"
	w.alice.do("POST", "/photos?delete", []byte(many)).want(400, "MalformedXML")
	w.alice.do("POST", "/photos?delete", []byte("<Delete><Object>")).want(400, "MalformedXML")
	w.alice.do("POST", "/photos?delete", []byte("<Other/>")).want(400, "MalformedXML")
	w.alice.do("POST", "/photos?delete", nil).want(400, "MissingRequestBodyError")
	w.alice.do("POST", "/photos?delete", []byte(`<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>`)).want(400, "MalformedXML")
	w.alice.do("POST", "/photos?delete", []byte("<Delete>"+strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100)+"</Delete>")).want(400, "MalformedXML")

	w.versioning(bucket.VersioningEnabled)
	version := w.alice.do("PUT", "/photos/v", []byte("hello")).want(200).header.Get("x-amz-version-id")
	w.alice.do("POST", "/photos?delete", []byte("<Delete><Object><Key>v</Key></Object></Delete>")).want(200).contains("<DeleteMarker>true</DeleteMarker>", "<DeleteMarkerVersionId>")
	w.alice.do("POST", "/photos?delete", []byte("<Delete><Object><Key>v</Key><VersionId>"+version+"</VersionId></Object></Delete>")).want(200).
		contains("<Deleted><Key>v</Key><VersionId>" + version + "</VersionId></Deleted>")
}

func testCopyObject(_ *testing.T, w *world) {
	w.alice.do("PUT", "/photos/a", []byte("hello"), "Content-Type", "text/bla", "x-amz-meta-color", "blue").want(200)
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "/photos/a").want(200).contains("<CopyObjectResult", "&quot;5d41402abc4b2a76b9719d911017c592&quot;")
	w.alice.do("GET", "/photos/b", nil).want(200).has("Content-Type", "text/bla", "x-amz-meta-color", "blue").contains("hello")
	w.alice.do("PUT", "/photos/c", nil, "x-amz-copy-source", "photos/a", "x-amz-metadata-directive", "REPLACE", "x-amz-meta-size", "big", "Content-Type", "text/new").want(200)
	w.alice.do("GET", "/photos/c", nil).want(200).has("Content-Type", "text/new", "x-amz-meta-size", "big", "x-amz-meta-color", "")

	w.alice.do("PUT", "/photos/a", nil, "x-amz-copy-source", "photos/a").want(400, "InvalidRequest")
	w.alice.do("PUT", "/photos/a", nil, "x-amz-copy-source", "photos/a", "x-amz-metadata-directive", "REPLACE").want(200)
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/none").want(404, "NoSuchKey")
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "nowhere/a").want(404, "NoSuchBucket")
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos").want(400, "InvalidArgument")
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/%zz").want(400, "InvalidArgument")
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/a", "x-amz-metadata-directive", "MERGE").want(400, "InvalidArgument")
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/a", "x-amz-copy-source-if-match", "ABCORZ").want(412, "PreconditionFailed")
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/a", "x-amz-copy-source-if-none-match", helloTag).want(412, "PreconditionFailed")
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/a", "x-amz-copy-source-if-match", helloTag).want(200)
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/a", "If-None-Match", "*").want(412, "PreconditionFailed")
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/a", "x-amz-source-expected-bucket-owner", "bob").want(403, "AccessDenied")
	w.bob.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/a").want(403, "AccessDenied")

	w.alice.do("PUT", "/photos/%3FversionId", []byte("odd")).want(200)
	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/%3FversionId").want(200)
	w.alice.do("GET", "/photos/b", nil).want(200).contains("odd")

	w.alice.do("PUT", "/photos/b", nil, "x-amz-copy-source", "photos/a", "x-amz-checksum-algorithm", "SHA256").want(200).
		contains("<ChecksumSHA256>LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=</ChecksumSHA256>")

	w.versioning(bucket.VersioningEnabled)
	old := w.alice.do("PUT", "/photos/v", []byte("old")).want(200).header.Get("x-amz-version-id")
	w.alice.do("PUT", "/photos/v", []byte("new")).want(200)
	w.alice.do("PUT", "/photos/v", nil, "x-amz-copy-source", "photos/v?versionId="+old).want(200).has("x-amz-copy-source-version-id", old, "x-amz-version-id", "*")
	w.alice.do("GET", "/photos/v", nil).want(200).contains("old")
}

func testGetObjectAttributes(_ *testing.T, w *world) {
	w.alice.do("PUT", "/photos/a", []byte("hello"), "x-amz-checksum-crc32", "NhCmhg==").want(200)
	w.alice.do("GET", "/photos/a?attributes", nil, "x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize").want(200).has("Last-Modified", "*").
		contains("<ETag>5d41402abc4b2a76b9719d911017c592</ETag>", "<ObjectSize>5</ObjectSize>", "<StorageClass>STANDARD</StorageClass>",
			"<Checksum><ChecksumCRC32>NhCmhg==</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType></Checksum>")
	w.alice.do("GET", "/photos/a?attributes", nil).want(400, "InvalidRequest")
	w.alice.do("GET", "/photos/a?attributes", nil, "x-amz-object-attributes", "Nonsense").want(400, "InvalidArgument")
	w.alice.do("GET", "/photos/none?attributes", nil, "x-amz-object-attributes", "ETag").want(404, "NoSuchKey")
}

// TestDeleteManyInOrder deletes keys that are named several times among many others: the answer has all in the order of the document, and entries for one key
// are served in theirs.
func TestDeleteManyInOrder(t *testing.T) {
	w := newWorld(t)
	w.alice.do("PUT", "/vault", nil).want(200)
	w.alice.do("PUT", "/vault?versioning", []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")).want(200)
	var body, want strings.Builder
	body.WriteString("<Delete>")
	for i := range 60 {
		key := fmt.Sprintf("key-%02d", i)
		w.alice.do("PUT", "/vault/"+key, []byte("hello")).want(200)
		fmt.Fprintf(&body, "<Object><Key>%[1]s</Key><ETag>%[2]s</ETag></Object><Object><Key>%[1]s</Key><ETag>%[2]s</ETag></Object>", key, helloTag)
		fmt.Fprintf(&want, "Deleted %[1]s, Error %[1]s, ", key) // it is gone when the second entry comes
	}
	body.WriteString("</Delete>")
	var doc struct {
		Each []struct {
			XMLName xml.Name
			Key     string
		} `xml:",any"`
	}
	if err := xml.Unmarshal(w.alice.do("POST", "/vault?delete", []byte(body.String())).want(200).body, &doc); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, e := range doc.Each {
		fmt.Fprintf(&got, "%s %s, ", e.XMLName.Local, e.Key)
	}
	if got.String() != want.String() {
		t.Errorf("got  %s\nwant %s", &got, &want)
	}
}
