package s3

import (
	"bytes"
	"crypto/md5" // ETags and Content-MD5
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pithos/internal/door/wire"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/door/wire/sigv4/sigv4test"
	"pithos/internal/store/bucket"
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

func hexMD5(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

func contentMD5(data []byte) string {
	sum := md5.Sum(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestUploadsAsSwift: parts, completions and copies of uploads, at both addresses.
func TestUploadsAsSwift(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 2000)
	for _, asSwift := range []bool{false, true} {
		w := newWorld(t, func(o *Options) { o.AsSwift = asSwift })
		u := w.begin("m")
		modified := ""
		if asSwift {
			modified = "*"
		}
		one := w.alice.do("PUT", u+"&partNumber=1", body).want(200).has("Last-Modified", modified).header.Get("ETag")
		two := w.alice.do("PUT", u+"&partNumber=2", body).want(200).header.Get("ETag")
		list := w.alice.do("GET", "/photos?uploads", nil).want(200)
		w.alice.do("POST", u, completion(one, "")).want(400, "InvalidPart").contains("<Message>One or more of the specified parts could not be found.  The part may not",
			"<UploadId>", "<PartNumber>2</PartNumber>", "<ETag></ETag>")
		w.alice.do("POST", u, []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>")).want(400, "MalformedXML").
			contains("did not validate against our published schema</Message>")
		etag := w.alice.do("POST", u, completion(one, two)).want(200).element("ETag")

		code, status := "InvalidPart", 400
		if asSwift {
			code, status = "InvalidPartNumber", 416
			list.contains("<NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker>")
		}
		w.alice.do("GET", "/photos/m?partNumber=3", nil).want(status, code).contains("<Message>The requested partnumber is not satisfiable<", "<ActualPartCount>2<")
		w.alice.do("HEAD", "/photos/m?partNumber=3", nil).want(status)
		w.alice.do("GET", "/photos/m?partNumber=0", nil).want(400, "InvalidArgument")

		w.alice.do("PUT", "/photos/copy", nil, "x-amz-copy-source", "/photos/m").want(200)
		copied := w.alice.do("HEAD", "/photos/copy", nil).want(200).header.Get("ETag")
		if sum := `"` + hexMD5(bytes.Repeat(body, 2)) + `"`; asSwift && copied != sum || !asSwift && copied != etag {
			t.Errorf("the copy of %s has the ETag %s", etag, copied)
		}

		w.alice.do("DELETE", "/photos/m", nil).want(204)
		if again := w.alice.do("POST", u, completion(one, two)); asSwift {
			again.want(404, "NoSuchUpload")
		} else {
			again.want(200)
		}
	}
}

// TestMarkersAsSwift: Swift names the last of several uploads behind a page that is the last one; a faulty version id is told before a missing key.
func TestMarkersAsSwift(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.AsSwift = true })
	w.begin("a")
	_, id, _ := strings.Cut(w.begin("b"), "uploadId=")
	w.alice.do("GET", "/photos?uploads", nil).want(200).contains("<NextKeyMarker>b</NextKeyMarker><NextUploadIdMarker>"+id+"</NextUploadIdMarker>", "<IsTruncated>false<")
	w.alice.do("GET", "/photos?uploads&prefix=b", nil).want(200).contains("<NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker>")
	w.alice.do("GET", "/photos?uploads&max-uploads=1", nil).want(200).contains("<NextKeyMarker>a</NextKeyMarker>", "<IsTruncated>true<")

	w.bucket("versions", bucket.Config{Versioning: bucket.VersioningEnabled})
	for query, message := range map[string]string{
		"&key-marker=&version-id-marker=bogus":            "Invalid version id specified",
		"&key-marker=k&version-id-marker=bogus":           "Invalid version id specified",
		"&version-id-marker=bogus":                        "A version-id marker cannot be specified without a key marker.",
		"&key-marker=&version-id-marker=0000000000000001": "A version-id marker cannot be specified without a key marker.",
	} {
		w.alice.do("GET", "/versions?versions"+query, nil).want(400, "InvalidArgument").contains("<Message>" + message + "<")
	}
}

// TestLongDocumentsAsSwift: a document over the limit is malformed in Swift, too long at S3.
func TestLongDocumentsAsSwift(t *testing.T) {
	body := []byte("<Delete><Object><Key>" + strings.Repeat("a", 5000) + "</Key></Object></Delete>")
	for asSwift, code := range map[bool]string{false: "MaxMessageLengthExceeded", true: "MalformedXML"} {
		w := newWorld(t, func(o *Options) { o.AsSwift, o.Limits.XMLBytes = asSwift, 4000 })
		w.alice.do("POST", "/photos?delete", body, "Content-Md5", contentMD5(body)).want(400, code)
	}
}

// TestSmallChunksAsSwift: what AWS asks of chunks holds at Swift's address.
func TestSmallChunksAsSwift(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 9000)
	for _, asSwift := range []bool{false, true} {
		w := newWorld(t, func(o *Options) { o.AsSwift = asSwift })
		for _, size := range []int{chunkMin, chunkMin - 1} {
			at := time.Now()
			req := w.anon.request("PUT", "/photos/chunks", nil, "X-Amz-Decoded-Content-Length", "9000")
			w.alice.signer.SignV4(&sigv4.Request{Method: "PUT", Target: "/photos/chunks", Host: req.Host, Header: req.Header}, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", at)
			framed := sigv4test.Chunks{Secret: w.alice.signer.Secret, Region: "us-east-1", At: at, Seed: sigv4test.Signature(req.Header), Size: size}.Encode(body)
			req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(framed)), int64(len(framed))
			a := w.send(req)
			if asSwift && size < chunkMin {
				a.want(403, "InvalidChunkSizeError").contains("<Chunk>2</Chunk>", "<BadChunkSize>8191</BadChunkSize>", "less than 8192 bytes")
				continue
			}
			a.want(200)
		}
	}
}

// TestAWholeURLAsSwift: Swift takes the Host header for what was signed, though the target is a whole URL. Here it counts only where hosts name no buckets.
func TestAWholeURLAsSwift(t *testing.T) {
	for _, one := range []struct {
		asSwift    bool
		host, sent string
		status     int
	}{
		{true, "u.test", "u.test:80:80", 200},
		{true, "u.test", "other.test", 403},
		{false, "u.test", "u.test:80:80", 403},
		{true, "photos.s3.test", "u.test:80:80", 403},
		{true, "u.test", "photos.s3.test", 403},
	} {
		w := newWorld(t, func(o *Options) { o.AsSwift = one.asSwift })
		signed := one.sent
		if one.sent == "other.test" {
			signed = "third.test"
		}
		q := sigv4.Request{Method: "GET", Target: "http://" + one.host + "/photos?location", Host: signed, Header: http.Header{}}
		if one.host != "u.test" {
			q.Target = "http://" + one.host + "/?location"
		}
		w.alice.signer.SignV4(&q, sigv4.EmptySHA256, time.Now())
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, q.Target, http.NoBody)
		r.Header = q.Header
		if r.URL, _ = url.Parse(q.Target); r.Host != one.host {
			t.Fatalf("host %s", r.Host)
		}
		rec := httptest.NewRecorder()
		w.door.ServeHTTP(rec, wire.WithSentHost(r, one.sent))
		if rec.Code != one.status {
			t.Errorf("%+v: %d %s", one, rec.Code, rec.Body)
		}
	}
}
