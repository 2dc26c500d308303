package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestList wants the committed list to have the groups and sizes that the results of other services were published for.
func TestList(t *testing.T) {
	text, err := os.ReadFile("s3-tests.txt")
	if err != nil {
		t.Fatal(err)
	}
	groups, err := parseList(string(text))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	all, core := 0, 0
	for _, g := range groups {
		got[g.name] = len(g.tests)
		all += len(g.tests)
		if g.core {
			core += len(g.tests)
		}
	}
	want := map[string]int{
		"list objects v1/v2": 83, "acl": 50, "object lock": 39, "conditional write/delete": 35, "bucket create/head/delete/list": 35,
		"copy x encryption (kms)": 35, "POST object (form)": 33, "versioning": 32, "sse-kms": 27, "copy x encryption (sse-s3)": 25, "copy": 25,
		"object put/get/delete/metadata": 24, "bucket policy": 23, "sse-c": 23, "headers common": 22, "lifecycle expiration": 21, "multipart": 20,
		"presigned & anonymous": 20, "headers sigv2": 18, "checksum & GetObjectAttributes": 17, "public access block & policy status": 16,
		"sse-s3 / bucket encryption": 16, "copy x encryption (sse-c)": 15, "lifecycle config": 15, "cors": 14, "tagging": 14, "atomic read/write": 10,
		"object ownership": 8, "conditional read": 8, "range read": 6, "copy x encryption (none)": 5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if all != 734 || core != 360 {
		t.Errorf("%d tests, %d of them core; want 734 and 360", all, core)
	}
}

// TestListRefused wants a reference for a test that is refused, and each test once.
func TestListRefused(t *testing.T) {
	groups, err := parseList("== g [core]\nalone a.py::one\nrefused a.py::two: API reference, PutObject\n")
	if err != nil {
		t.Fatal(err)
	}
	if !groups[0].core || len(groups[0].tests) != 2 || !groups[0].alone["a.py::one"] || groups[0].refused["a.py::two"] != "API reference, PutObject" {
		t.Errorf("%+v", groups)
	}
	for _, bad := range []string{"a.py::one\n", "== g\nrefused a.py::one\n", "== g\na.py::one\na.py::one\n", "== g\nwords\n"} {
		if _, err := parseList(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

// TestReport counts what did not run as failed, what is refused apart, and names each failure with its cause.
func TestReport(t *testing.T) {
	results, err := parseJUnit(strings.NewReader(`<testsuites><testsuite>
<testcase classname="s3tests.functional.test_s3" name="test_a"/>
<testcase classname="s3tests.functional.test_s3" name="test_b[x-1]"><failure message="ClientError: 501&#10;more"/></testcase>
<testcase classname="s3tests.functional.test_s3" name="test_c"><skipped message="no key"/></testcase>
<testcase classname="s3tests.functional.test_s3" name="test_d"/>
<testcase classname="s3tests.functional.test_s3" name="test_d"><error message="clean-up"/></testcase>
<testcase classname="s3tests.functional.test_s3" name="test_e"><failure message="as documented"/></testcase>
</testsuite></testsuites>`))
	if err != nil {
		t.Fatal(err)
	}
	groups, err := parseList(`== g
test_s3.py::test_a
test_s3.py::test_b[x-1]
test_s3.py::test_c
test_s3.py::test_d
refused test_s3.py::test_e: reference
test_s3.py::test_f
`)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if failed := report(&out, groups, results); failed != 4 {
		t.Errorf("%d failed, want 4", failed)
	}
	for _, want := range []string{
		"| g | 6 | 1 | 4 | 1 |", "test_b[x-1]: ClientError: 501\n", "test_c: skipped: no key", "test_d: error around the test: clean-up", "test_f: did not run",
		"1 passed, 4 failed",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, &out)
		}
	}
}
