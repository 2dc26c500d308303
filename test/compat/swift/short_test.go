package main

import (
	"os"
	"path/filepath"
	"testing"

	"pithos/test/service"
)

// short is what of the suite runs with all tests; the whole of it is "make swift-tests".
var short = []string{
	"test_protocol", "test_domain_remap", "test_dlo", "test_versioned_writes", "v3/test_access_control",
	"s3api/test_acl", "s3api/test_presigned", "s3api/test_versioning", "s3api/test_xxe_injection", "s3/test_versioning",
}

// TestSwiftsOwnTests runs a part of Swift's functional tests. Every one that passes on Swift must pass, and none may be skipped that runs there; each part's
// requests must have reached the server, as that counts them.
func TestSwiftsOwnTests(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	root, err := service.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, ".cache/swift-suite/done")); err != nil && os.Getenv("PITHOS_TEST_TOOLS") != "required" {
		t.Skip("the suite is missing: test/compat/swift/setup installs it")
	}
	good, err := run(t.Context(), flags{workers: 2}, short)
	if err != nil {
		t.Fatal(err)
	}
	if !good {
		t.Error("not all is as on Swift; the report is above")
	}
}
