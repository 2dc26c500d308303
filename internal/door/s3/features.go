package s3

import (
	"strings"
)

// feature says what the door does with a header that changes what an operation means.
type feature uint8

const (
	unknownFeature feature = iota // no header of S3: ignored, as at AWS, where it is signed and means nothing
	knownFeature                  // served, or harmless wherever it does not apply
	refusedFeature                // known and not served yet
)

// featureOf judges a header by its name in lower case. Only names that begin with "x-amz-" come here.
func featureOf(name string) feature {
	switch name {
	case "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-decoded-content-length", "x-amz-trailer",
		"x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type",
		"x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1", "x-amz-checksum-sha256",
		"x-amz-acl", "x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-read-acp", "x-amz-grant-write-acp", "x-amz-grant-full-control",
		"x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match",
		"x-amz-copy-source-if-modified-since", "x-amz-copy-source-if-unmodified-since",
		"x-amz-tagging", "x-amz-metadata-directive", "x-amz-tagging-directive", "x-amz-storage-class", "x-amz-website-redirect-location",
		"x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner", "x-amz-request-payer",
		"x-amz-object-ownership", "x-amz-bucket-object-lock-enabled", "x-amz-confirm-remove-self-bucket-access",
		"x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold",
		"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-context",
		"x-amz-server-side-encryption-bucket-key-enabled",
		"x-amz-server-side-encryption-customer-algorithm", "x-amz-server-side-encryption-customer-key", "x-amz-server-side-encryption-customer-key-md5",
		"x-amz-copy-source-server-side-encryption-customer-algorithm", "x-amz-copy-source-server-side-encryption-customer-key",
		"x-amz-copy-source-server-side-encryption-customer-key-md5",
		"x-amz-object-attributes", "x-amz-max-parts", "x-amz-part-number-marker", "x-amz-mp-object-size",
		"x-amz-bypass-governance-retention", "x-amz-if-match-size", "x-amz-if-match-last-modified-time", "x-amz-optional-object-attributes",
		"x-amz-user-agent", "x-amz-cf-id", "x-amz-te", "x-amz-api-version", "x-amz-id-2", "x-amz-request-id":
		return knownFeature
	case "x-amz-mfa", "x-amz-write-offset-bytes",
		"x-amz-rename-source", "x-amz-transition-default-minimum-object-size",
		"x-amz-skip-destination-validation", "x-amz-create-session-mode", "x-amz-s3session-token", "x-amz-bucket-namespace":
		return refusedFeature
	}
	if strings.HasPrefix(name, "x-amz-meta-") {
		return knownFeature
	}
	if inFamily(name) {
		return refusedFeature
	}
	return unknownFeature
}

// inFamily reports whether a header that is not known belongs to a family of S3's: then it asks for something that S3 may do by now and this door cannot,
// and the plain operation would not be what was asked for. The families are the beginnings of all headers that S3 has published.
func inFamily(name string) bool {
	rest := strings.TrimPrefix(name, "x-amz-")
	word, _, _ := strings.Cut(rest, "-")
	switch word {
	case "abac", "access", "acl", "annotation", "archive", "bucket", "bypass", "checksum", "confirm", "content", "copy", "create", "decoded", "delete", "destination",
		"encryption", "expected", "expiration", "expires", "fetch", "force", "fwd", "grant", "id", "if", "inventory", "is", "location", "max", "meta", "metadata",
		"mfa", "missing", "mp", "notification", "object", "optional", "part", "parts", "policy", "rename", "replace", "replication", "request", "require",
		"requester", "restore", "retain", "s3", "s3session", "sdk", "security", "server", "session", "skip", "source", "storage", "tag", "tagging", "target",
		"trailer", "transition", "update", "version", "versioning", "website", "write":
		return true
	}
	return false
}

// checkFeatures refuses headers whose meaning is not served, by name.
func (c *call) checkFeatures() error {
	for name := range c.header {
		if len(name) < 6 || name[0] != 'X' || !strings.EqualFold(name[:6], "x-amz-") {
			continue
		}
		lower := lowerName(name)
		if featureOf(lower) != refusedFeature {
			continue
		}
		if strings.HasPrefix(lower, "x-amz-checksum-") {
			return fail(InvalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		return fail(NotImplemented, "The header '"+clip(lower)+"' implies functionality that is not implemented.").with("Header", clip(lower))
	}
	return nil
}

// lowerName is strings.ToLower without an allocation for the headers that nearly every request has.
func lowerName(name string) string {
	switch name {
	case "X-Amz-Date":
		return "x-amz-date"
	case "X-Amz-Content-Sha256":
		return "x-amz-content-sha256"
	}
	return strings.ToLower(name)
}
