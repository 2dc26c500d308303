package s3

import (
	"crypto/md5" // Content-MD5 is part of the protocol
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"pithos/internal/door/wire/sigv4"
	"pithos/internal/door/wire/sigv4/sigv4test"
)

// signedV2 sends a request signed by Version 2.
func (c *client) signedV2(method, target string, body []byte, headers ...string) *answer {
	c.w.t.Helper()
	req := c.w.anon.request(method, target, body, headers...)
	c.signer.SignV2(&sigv4.Request{Method: method, Target: target, Host: req.Host, Header: req.Header}, time.Now())
	return c.w.send(req)
}

// Version 2 and presigned URLs take every x-amz-content-sha256 but UNSIGNED-PAYLOAD for the hash of the body as sent, and look at it only where there is one.
func TestClaimedHashes(t *testing.T) {
	w := newWorld(t)
	body := []byte("0123456789")
	right := sigv4test.SHA256(body)
	for _, one := range []struct {
		claim  string
		length string
		status int
		code   string
	}{
		{right, "", 200, ""},
		{strings.ToUpper(right), "", 200, ""},
		{"UNSIGNED-PAYLOAD", "", 200, ""},
		{"invalid", "", 400, "XAmzContentSHA256Mismatch"},
		{"unsigned-payload", "", 400, "XAmzContentSHA256Mismatch"},
		{sigv4.EmptySHA256, "", 400, "XAmzContentSHA256Mismatch"},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "", 411, "MissingContentLength"},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "no number", 411, "MissingContentLength"},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "10", 400, "XAmzContentSHA256Mismatch"},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "3", 400, "IncompleteBody"},
	} {
		headers := []string{"X-Amz-Content-Sha256", one.claim}
		if one.length != "" {
			headers = append(headers, "X-Amz-Decoded-Content-Length", one.length)
		}
		a := w.alice.signedV2("PUT", "/photos/claimed", body, headers...).want(one.status, one.code)
		switch one.code {
		case "XAmzContentSHA256Mismatch":
			a.contains("<ClientComputedContentSHA256>"+one.claim+"<", "<S3ComputedContentSHA256>"+right+"<")
		case "IncompleteBody":
			a.contains("<NumberBytesExpected>3<", "<NumberBytesProvided>10<")
		}
	}
	w.alice.signedV2("GET", "/photos/claimed", nil, "X-Amz-Content-Sha256", "invalid").want(200)
	w.alice.do("GET", "/photos/claimed", nil).want(200).contains(string(body))
}

// Which of several faults is told, and with which details.
func TestFaultsOfBodies(t *testing.T) {
	w := newWorld(t)
	body := []byte("0123456789")
	sum := md5.Sum(nil)
	wrongMD5 := base64.StdEncoding.EncodeToString(sum[:])
	const crc, crc32c = "poTHxg==", "KAwGng==" // of the body; that of CRC32C is only as long
	w.alice.signedV2("PUT", "/photos/a", body, "Content-Md5", wrongMD5, "X-Amz-Content-Sha256", sigv4.EmptySHA256).want(400, "XAmzContentSHA256Mismatch")
	w.alice.signedV2("PUT", "/photos/a", body, "Content-Md5", "bad", "X-Amz-Content-Sha256", "bad").want(400, "InvalidDigest")
	w.alice.do("PUT", "/photos/a", body, "Content-Md5", wrongMD5).want(400, "BadDigest").contains("<ExpectedDigest>" + hex.EncodeToString(sum[:]) + "<")
	w.alice.do("POST", "/photos?delete", body, "Content-Md5", wrongMD5).want(400, "BadDigest").contains("<ExpectedDigest>" + wrongMD5 + "<")
	for _, one := range []struct {
		name    string
		headers []string
		code    string
		message string
	}{
		{"unknown algorithm", []string{"X-Amz-Checksum-Bad", crc}, "InvalidRequest", "The algorithm type you specified in x-amz-checksum- header is invalid."},
		{"two headers", []string{"X-Amz-Checksum-Crc32", crc, "X-Amz-Checksum-Crc32c", "short", "X-Amz-Sdk-Checksum-Algorithm", "SHA1"}, "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."},
		{"two trailers", []string{"X-Amz-Checksum-Crc32", crc, "X-Amz-Trailer", "x-amz-checksum-crc32, x-amz-checksum-crc32"}, "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."},
		{"header and trailer", []string{"X-Amz-Checksum-Crc32", crc, "X-Amz-Trailer", "x-amz-checksum-crc32c"}, "InvalidRequest", "Expecting a single x-amz-checksum- header<"},
		{"trailer of a plain body", []string{"X-Amz-Trailer", "x-amz-checksum-crc32c"}, "MalformedTrailerError", ""},
		{"announced and not sent", []string{"X-Amz-Sdk-Checksum-Algorithm", "CRC32"}, "InvalidRequest", "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."},
		{"another than announced", []string{"X-Amz-Checksum-Crc32c", crc32c, "X-Amz-Sdk-Checksum-Algorithm", "CRC32"}, "InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid."},
	} {
		t.Run(one.name, func(t *testing.T) {
			w.alice.do("PUT", "/photos/a", body, one.headers...).want(400, one.code).contains(one.message)
		})
	}
	w.alice.do("PUT", "/photos/a", body, "X-Amz-Checksum-Crc32", crc).want(200)
}

// A wrong signature of a chunk is told with what was to be signed, line by line, and with the canonical request it started from.
func TestWrongChunkSignature(t *testing.T) {
	w := newWorld(t)
	for _, chunk := range []string{"chunk-signature=" + strings.Repeat("0", 64), "chunk-signature=x", "extra=a;chunk-signature=" + strings.Repeat("0", 64)} {
		body := []byte("3;" + chunk + "\r\nabc\r\n0;" + chunk + "\r\n\r\n")
		req := w.anon.request("PUT", "/photos/chunks", body, "X-Amz-Decoded-Content-Length", "3")
		w.alice.signer.SignV4(&sigv4.Request{Method: "PUT", Target: "/photos/chunks", Host: req.Host, Header: req.Header}, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", time.Now())
		w.send(req).want(http.StatusForbidden, "SignatureDoesNotMatch").contains("<StringToSign>AWS4-HMAC-SHA256-PAYLOAD\n", "<StringToSignBytes>41 57 53 34 ",
			"<CanonicalRequest>PUT\n/photos/chunks\n", "<CanonicalRequestBytes>50 55 54 0a ")
	}
}

// What Swift and AWS do and the S3 door proper does not, for other clients' sake.
func TestFaultsAsSwift(t *testing.T) {
	body := []byte("<Delete><Object><Key>a</Key></Object></Delete>")
	for _, asSwift := range []bool{false, true} {
		w := newWorld(t, func(o *Options) { o.AsSwift = asSwift })
		unproven, encoding, short := w.alice.do("POST", "/photos?delete", body), "", "BadDigest"
		if asSwift {
			unproven.want(400, "InvalidRequest").contains("Content-MD5 OR x-amz-checksum-*")
			encoding, short = "aws-chunked", "InvalidRequest"
		} else {
			unproven.want(200)
		}
		sum := md5.Sum(body)
		w.alice.do("POST", "/photos?delete", body, "Content-Md5", base64.StdEncoding.EncodeToString(sum[:])).want(200)
		w.alice.do("PUT", "/photos/a", body, "Content-Encoding", "aws-chunked").want(200)
		w.alice.do("HEAD", "/photos/a", nil).want(200).has("Content-Encoding", encoding)
		w.alice.do("PUT", "/photos/a", body, "X-Amz-Checksum-Crc32", "short").want(400, short)
		w.alice.do("PUT", "/photos/a", body, "X-Amz-Checksum-Crc32", "y/Q5Jh==").want(400, short).contains("Value for x-amz-checksum-crc32 header is invalid.")
		completed := 400
		if asSwift {
			completed = 200
		}
		id := w.alice.do("POST", "/photos/mpu?uploads", nil).want(200).element("UploadId")
		etag := w.alice.do("PUT", "/photos/mpu?partNumber=1&uploadId="+id, []byte("part")).want(200).header.Get("Etag")
		w.alice.do("POST", "/photos/mpu?uploadId="+id, completion(etag), "X-Amz-Checksum-Crc32", "AAAAAA==").want(completed)
		id = w.alice.do("POST", "/photos/mpu?uploads", nil, "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT").want(200).element("UploadId")
		etag = w.alice.do("PUT", "/photos/mpu?partNumber=1&uploadId="+id, []byte("part")).want(200).header.Get("Etag")
		w.alice.do("POST", "/photos/mpu?uploadId="+id, completion(etag), "X-Amz-Checksum-Crc32", "AAAAAA==", "X-Amz-Checksum-Type", "FULL_OBJECT").want(400, "BadDigest")
	}
}
