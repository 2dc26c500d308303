package s3

import (
	"net/http"
	"strings"
)

// OpenStack Swift serves S3 beside its own API, at the same address: the middleware s3api. Requests signed for S3 that come to openstack.listen are
// served as it does (Options.AsSwift): the same operations on the same objects, with Swift's answers where they are not AWS's. Clients of that address
// were written against them.
//
// Source: the answers of Swift 2.38 with s3_acl.

// Signed reports whether a request is signed for S3, in its header or its query: that is how Swift tells S3's requests from its own.
func Signed(r *http.Request) bool {
	if a := strings.TrimSpace(r.Header.Get("Authorization")); strings.HasPrefix(a, "AWS ") || strings.HasPrefix(a, "AWS4-HMAC-SHA256 ") {
		return true
	}
	_, query := splitTarget(r)
	for pair := range strings.SplitSeq(query, "&") {
		switch name, _, _ := strings.Cut(pair, "="); name {
		case "AWSAccessKeyId", "X-Amz-Algorithm", "X-Amz-Credential":
			return true
		}
	}
	return false
}
