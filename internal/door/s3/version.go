package s3

import (
	"strconv"

	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// nullVersion is how S3 names the version made while a bucket keeps no versions.
const nullVersion = "null"

// versionDigits is the length of a version id as clients see it: 16 hexadecimal digits, opaque to them.
const versionDigits = 16

// formatVersion is a version id as clients see it.
func formatVersion(id object.VersionID) string {
	var buf [versionDigits]byte
	const digits = "0123456789abcdef"
	for i := len(buf) - 1; i >= 0; i-- {
		buf[i] = digits[id&15]
		id >>= 4
	}
	return string(buf[:])
}

// versionName is the id of a version as a listing shows it.
func versionName(s *object.Summary) string {
	if s.Null {
		return nullVersion
	}
	return formatVersion(s.ID)
}

// parseVersion reads a version id. A text that no version can have is InvalidArgument, as at AWS.
func parseVersion(s string) (meta.Which, error) {
	if s == nullVersion {
		return meta.Which{By: meta.TheNull}, nil
	}
	id, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != versionDigits || id == 0 || formatVersion(object.VersionID(id)) != s {
		return meta.Which{}, badArgument("versionId", s, "Invalid version id specified")
	}
	return meta.Which{By: meta.ByID, ID: object.VersionID(id)}, nil
}
