package s3

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSignedTellsS3FromSwift(t *testing.T) {
	for _, one := range []struct {
		target, authorization string
		want                  bool
	}{
		{"/v1/AUTH_a/c", "", false},
		{"/c?AWSAccessKeyId=a&Signature=s", "", true},
		{"/c/o?X-Amz-Algorithm=AWS4-HMAC-SHA256", "", true},
		{"/c", "AWS a:s", true},
		{"/c", "AWS4-HMAC-SHA256 Credential=a", true},
		{"/c", "Basic YTpi", false},
		{"/c?temp_url_sig=s", "", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, one.target, http.NoBody)
		if one.authorization != "" {
			r.Header.Set("Authorization", one.authorization)
		}
		if got := Signed(r); got != one.want {
			t.Errorf("%s %q: %v, want %v", one.target, one.authorization, got, one.want)
		}
	}
}

// TestEntitiesOfSwiftDocumentsStandForNothing: a document type is taken, and what it declares is neither fetched nor expanded.
func TestEntitiesOfSwiftDocumentsStandForNothing(t *testing.T) {
	var doc createBucketDocument
	raw := `<!DOCTYPE x [<!ENTITY xxe SYSTEM "file:///etc/passwd"> <!ENTITY two "&xxe;&xxe;">]>
<CreateBucketConfiguration><LocationConstraint>a&xxe;b&two;</LocationConstraint></CreateBucketConfiguration>`
	if err := decodeSwiftXML([]byte(raw), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.LocationConstraint != "ab" {
		t.Errorf("%q", doc.LocationConstraint)
	}
	if err := decodeXML([]byte(raw), &doc); err == nil {
		t.Error("S3 takes a document type")
	}
	if err := decodeSwiftXML([]byte("<CreateBucketConfiguration>&other;</CreateBucketConfiguration>"), &doc); err == nil {
		t.Error("an entity that nobody declared is taken")
	}
}

func TestStrayPercentSignsStandForThemselves(t *testing.T) {
	for in, want := range map[string]string{"a%": "a%25", "%zz%20": "%25zz%20", "100% é": "100%25 é", "%2": "%252"} {
		if got := escapeStray(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestAsSwiftAnswers walks through what differs from AWS at Swift's address.
func TestAsSwiftAnswers(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.AsSwift = true })
	a := w.alice
	a.do("PUT", "/photos", nil).want(409, "BucketAlreadyOwnedByYou")
	a.do("PUT", "/photos/o", []byte("0123456789"), "X-Robots-Tag", "none", "X-Delete-After", "1000", "Content-Type", "text/x").want(200).has("Content-Type", "text/html; charset=UTF-8")
	a.do("HEAD", "/photos/o", nil).want(200).has("X-Robots-Tag", "none", "X-Amz-Expiration", "*")
	a.do("GET", "/photos/o", nil, "Range", "bytes=1-2,4-5").want(206).contains("Content-Range: bytes 1-2/10", "Content-Range: bytes 4-5/10", "\r\n\r\n12\r\n", "\r\n\r\n45\r\n")
	for _, h := range [][2]string{{"X-Delete-After", "x"}, {"X-Delete-After", "-1"}, {"X-Delete-At", "5"}, {"X-Delete-At", "soon"}} {
		a.do("PUT", "/photos/bad", []byte("b"), h[0], h[1]).want(400, "InvalidArgument")
	}
	for _, h := range [][2]string{{"If-Match", "*"}, {"If-None-Match", "x"}, {"If-Unmodified-Since", "Sat, 27 Jun 2015 00:00:00 GMT"}} {
		a.do("PUT", "/photos/bad", []byte("b"), h[0], h[1]).want(501, "NotImplemented")
	}
	a.do("PUT", "/photos/o", []byte("b"), "If-None-Match", "*").want(412)
	a.do("GET", "/photos/bad", nil).want(404, "NoSuchKey")
	a.do("PUT", "/photos/copy", nil, "X-Amz-Copy-Source", "/photos/o?nonsense").want(400, "InvalidArgument")
	list := a.do("GET", "/photos", nil).want(200)
	list.contains("</Size><Owner><ID>canonical-alice</ID>", ".000Z</LastModified>")
	a.do("GET", "/photos?list-type=2&start-after=", nil).want(200).contains("<StartAfter></StartAfter>")
	if e := a.do("GET", "/absent", nil).want(404, "NoSuchBucket"); bytes.Contains(e.body, []byte("<Resource>")) {
		t.Errorf("%s", e.body)
	}
	a.do("PUT", "/photos?versioning", []byte("<VersioningConfiguration><Status></Status></VersioningConfiguration>")).want(400, "MalformedXML")
	a.do("PUT", "/photos?object-lock", nil).want(501, "NotImplemented")
	a.do("POST", "/photos/mpu?uploadId=none", []byte("<x/>")).want(404, "NoSuchUpload")
	id := a.do("POST", "/photos/mpu?uploads", nil).want(200).element("UploadId")
	a.do("POST", "/photos/mpu?uploadId="+id, []byte("<x/>")).want(400, "MalformedXML")
	etag := a.do("PUT", "/photos/mpu?partNumber=1&uploadId="+id, []byte("part")).want(200).header.Get("Etag")
	parts := []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag + "</ETag></Part></CompleteMultipartUpload>")
	for range 2 { // a client that lost the answer asks again
		a.do("POST", "/photos/mpu?uploadId="+id, parts).want(200)
	}
}
