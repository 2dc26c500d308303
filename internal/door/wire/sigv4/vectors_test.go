package sigv4_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/errs"
)

// The credentials of AWS's published examples. They open nothing.
const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

var exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

func lookup(_ context.Context, key string) (string, error) {
	if key == exampleKey {
		return exampleSecret, nil
	}
	return "", errs.E("test", errs.NotFound, errs.Key, key)
}

func verifier(at time.Time) *sigv4.Verifier {
	return sigv4.New(clock.NewManual(at), "us-east-1", slog.New(slog.DiscardHandler))
}

// request builds a request from "Name: value" lines.
func request(method, target, host string, headers ...string) *sigv4.Request {
	h := http.Header{}
	for _, l := range headers {
		n, v, _ := strings.Cut(l, ":")
		h.Add(n, strings.TrimSpace(v))
	}
	return &sigv4.Request{Method: method, Target: target, Host: host, Header: h, ContentLength: -1}
}

func codeOf(err error) sigv4.Code {
	var e *sigv4.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func credentialLine(signed, signature string) string {
	return "Authorization: AWS4-HMAC-SHA256 Credential=" + exampleKey + "/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + signed + ",Signature=" + signature
}

// The examples of "Signature Calculations for the Authorization Header" and "Authenticating Requests: Using Query Parameters" in the
// S3 API reference.
func TestPublishedV4(t *testing.T) {
	const host = "examplebucket.s3.amazonaws.com"
	const sha = "x-amz-content-sha256: " + sigv4.EmptySHA256
	const date = "x-amz-date: 20130524T000000Z"
	cases := map[string]*sigv4.Request{
		"get object": request("GET", "/test.txt", host, "Range: bytes=0-9", sha, date,
			credentialLine("host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")),
		"put object": request("PUT", "/test%24file.text", host, "Date: Fri, 24 May 2013 00:00:00 GMT", date, "x-amz-storage-class: REDUCED_REDUNDANCY",
			"x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
			credentialLine("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")),
		"get lifecycle": request("GET", "/?lifecycle", host, sha, date,
			credentialLine("host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")),
		"list objects": request("GET", "/?max-keys=2&prefix=J", host, sha, date,
			credentialLine("host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")),
		"presigned": request("GET", "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"+
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"+
			"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", host),
	}
	for name, r := range cases {
		t.Run(name, func(t *testing.T) {
			a, err := verifier(exampleTime).Verify(t.Context(), r, lookup)
			if err != nil {
				t.Fatal(err)
			}
			if a.AccessKey != exampleKey {
				t.Errorf("access key %q", a.AccessKey)
			}
			r.Method = "DELETE"
			if _, err := verifier(exampleTime).Verify(t.Context(), r, lookup); codeOf(err) != sigv4.SignatureDoesNotMatch {
				t.Errorf("another method: %v", err)
			}
		})
	}
}

// The examples of "Signing and Authenticating REST Requests" (Version 2) in the S3 API reference.
func TestPublishedV2(t *testing.T) {
	vhost := func(r *sigv4.Request, bucket string) *sigv4.Request { r.Bucket = bucket; return r }
	const jo = "johnsmith.s3.amazonaws.com"
	auth := func(sig string) string { return "Authorization: AWS " + exampleKey + ":" + sig }
	cases := map[string]*sigv4.Request{
		"object get": vhost(request("GET", "/photos/puppy.jpg", jo, "Date: Tue, 27 Mar 2007 19:36:42 +0000", auth("bWq2s1WEIj+Ydj0vQ697zp+IXMU=")), "johnsmith"),
		"object put": vhost(request("PUT", "/photos/puppy.jpg", jo, "Content-Type: image/jpeg", "Content-Length: 94328",
			"Date: Tue, 27 Mar 2007 21:15:45 +0000", auth("MyyxeRY7whkBe+bq8fHCL/2kKUg=")), "johnsmith"),
		"list": vhost(request("GET", "/?prefix=photos&max-keys=50&marker=puppy", jo, "User-Agent: Mozilla/5.0",
			"Date: Tue, 27 Mar 2007 19:42:41 +0000", auth("htDYFYduRNen8P9ZfE/s9SuKy0U=")), "johnsmith"),
		"fetch acl": vhost(request("GET", "/?acl", jo, "Date: Tue, 27 Mar 2007 19:44:46 +0000", auth("c2WLPFtWHVgbEmeEG93a4cG37dM=")), "johnsmith"),
		"upload": vhost(request("PUT", "/db-backup.dat.gz", "static.johnsmith.net:8080", "User-Agent: curl/7.15.5",
			"Date: Tue, 27 Mar 2007 21:06:08 +0000", "x-amz-acl: public-read", "content-type: application/x-download",
			"Content-MD5: 4gJE4saaMU4BqNR0kLY+lw==", "X-Amz-Meta-ReviewedBy: joe@johnsmith.net", "X-Amz-Meta-ReviewedBy: jane@johnsmith.net",
			"X-Amz-Meta-FileChecksum: 0x02661779", "X-Amz-Meta-ChecksumAlgorithm: crc32", auth("ilyl83RwaSoYIEdixDQcA4OnAnc=")), "static.johnsmith.net"),
		"list all my buckets": request("GET", "/", "s3.amazonaws.com", "Date: Wed, 28 Mar 2007 01:29:59 +0000", auth("qGdzdERIC03wnaRNKh6OqZehG9s=")),
		"unicode keys": request("GET", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", "s3.amazonaws.com",
			"Date: Wed, 28 Mar 2007 01:49:49 +0000", auth("DNEZGsoieTZ92F3bUfSPQcbGmlM=")),
		"query": vhost(request("GET", "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D", jo), "johnsmith"),
	}
	for name, r := range cases {
		t.Run(name, func(t *testing.T) {
			at := time.Date(2007, 3, 27, 19, 36, 42, 0, time.UTC)
			if d := r.Header["Date"]; d != nil {
				var err error
				if at, err = time.Parse(time.RFC1123Z, d[0]); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := verifier(at).Verify(t.Context(), r, lookup); err != nil {
				t.Fatalf("%v %+v", err, errors.Unwrap(err))
			}
			r.Method = "DELETE"
			if _, err := verifier(at).Verify(t.Context(), r, lookup); codeOf(err) != sigv4.SignatureDoesNotMatch {
				t.Errorf("another method: %v", err)
			}
		})
	}
}

func chunkedExample(trailer bool) (*sigv4.Request, []byte) {
	a := strings.Repeat("a", 65536)
	b := strings.Repeat("a", 1024)
	if !trailer {
		r := request("PUT", "/examplebucket/chunkObject.txt", "s3.amazonaws.com", "x-amz-date: 20130524T000000Z", "x-amz-storage-class: REDUCED_REDUNDANCY",
			"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Encoding: aws-chunked", "x-amz-decoded-content-length: 66560", "Content-Length: 66824",
			credentialLine("content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
				"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"))
		return r, []byte("10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + a + "\r\n" +
			"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + b + "\r\n" +
			"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n")
	}
	r := request("PUT", "/examplebucket/chunkObject.txt", "s3.amazonaws.com", "x-amz-date: 20130524T000000Z", "x-amz-storage-class: REDUCED_REDUNDANCY",
		"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "Content-Encoding: aws-chunked", "x-amz-decoded-content-length: 66560",
		"x-amz-trailer: x-amz-checksum-crc32c",
		credentialLine("content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"))
	return r, []byte("10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n" + a + "\r\n" +
		"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" + b + "\r\n" +
		"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n" +
		"x-amz-checksum-crc32c:sOO8/Q==\r\n" +
		"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n")
}

// The examples of "Transferring Payload in Multiple Chunks" and "Signature calculations for trailing headers" in the S3 API reference.
func TestPublishedChunks(t *testing.T) {
	for _, trailer := range []bool{false, true} {
		r, body := chunkedExample(trailer)
		a, err := verifier(exampleTime).Verify(t.Context(), r, lookup)
		if err != nil {
			t.Fatal(trailer, err)
		}
		b := a.Body(bytes.NewReader(body), true)
		got, err := io.ReadAll(b)
		if err != nil {
			t.Fatal(trailer, err)
		}
		if len(got) != 66560 || a.DecodedLength != 66560 {
			t.Errorf("%v: %d bytes, declared %d", trailer, len(got), a.DecodedLength)
		}
		if v, _ := b.Trailer("x-amz-checksum-crc32c"); trailer && v != "sOO8/Q==" {
			t.Errorf("trailer %q", v)
		}
	}
}
