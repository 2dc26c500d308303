package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestCounts wants the committed list to have the sizes that the results of Swift itself have.
func TestCounts(t *testing.T) {
	parts, err := readCounts("counts.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, p := range parts {
		key := "test_*.py"
		if p.name == "tests.py" {
			key = p.name
		} else if folder, _, ok := strings.Cut(p.name, "/"); ok {
			key = folder
		}
		got[key] += p.tests
	}
	want := map[string]int{"tests.py": 216, "test_*.py": 650, "s3api": 214, "v3": 67, "s3": 583}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLists(t *testing.T) {
	for _, name := range []string{"skips.txt", "failures.txt"} {
		if _, err := readReasons(name); err != nil {
			t.Error(err)
		}
	}
}

func TestChoose(t *testing.T) {
	all := []part{{name: "tests.py"}, {name: "test_slo.py"}, {name: "s3api/test_acl.py"}, {name: "s3api/test_bucket.py"}, {name: "s3/test_mpu.py"}}
	for in, want := range map[string]string{
		"": "tests.py test_slo.py s3api/test_acl.py s3api/test_bucket.py s3/test_mpu.py", "tests": "tests.py", "test_slo.py": "test_slo.py",
		"s3api": "s3api/test_acl.py s3api/test_bucket.py", "s3": "s3/test_mpu.py", "s3api/test_acl": "s3api/test_acl.py",
	} {
		chosen, err := choose(all, strings.Fields(in))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range chosen {
			names = append(names, p.name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
	if _, err := choose(all, []string{"test_nothing"}); err == nil {
		t.Error("a part that is not there passed")
	}
}

// TestJudge wants what is otherwise than on Swift to be named.
func TestJudge(t *testing.T) {
	tests, err := parseJUnit(strings.NewReader(`<testsuites><testsuite>
<testcase classname="test.functional.tests.TestA" name="test_good"/>
<testcase classname="test.functional.tests.TestA" name="test_bad"><failure message="AssertionError: 1&#10;more">trace</failure></testcase>
<testcase classname="test.functional.tests.TestA" name="test_known"><failure message="as listed"/></testcase>
<testcase classname="test.functional.tests.TestA" name="test_skip"><skipped message="as Swift"/></testcase>
<testcase classname="test.functional.tests.TestA" name="test_other"><skipped message="not served"/></testcase>
<testcase classname="test.functional.tests.TestA" name="test_twice"/>
<testcase classname="test.functional.tests.TestA" name="test_twice"><error message="clean-up"/></testcase>
</testsuite></testsuites>`))
	if err != nil {
		t.Fatal(err)
	}
	p := part{name: "tests.py", tests: 6, skipped: 1}
	s := &suite{skips: map[string]string{"tests.py::TestA.test_skip": "x"}, mays: map[string]string{"tests.py::TestA.test_known": "x"}}
	r := s.judge([]outcome{{part: p, tests: tests, requests: 9}}, false)
	want := &report{
		Parts:   []partCount{{"tests.py", 1, 3, 2, 5, 1, 9}},
		Sum:     partCount{"sum", 1, 3, 2, 5, 1, 9},
		Failed:  []finding{{"tests.py", test{"TestA.test_bad", failed, "AssertionError: 1", "trace"}}, {"tests.py", test{"TestA.test_twice", failed, "around the test: clean-up", ""}}},
		Refused: []finding{{"tests.py", test{"TestA.test_known", failed, "as listed", ""}}},
		Skipped: []finding{{"tests.py", test{"TestA.test_other", skipped, "not served", ""}}},
	}
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(finding{}, test{}), cmpopts.IgnoreUnexported(report{})); diff != "" {
		t.Error(diff)
	}
	good := []test{{Name: "TestA.test_good", Result: passed}}
	for name, c := range map[string]struct {
		o    outcome
		want bool
	}{
		"all well":             {outcome{part: part{name: "p", tests: 1}, tests: good, requests: 1}, true},
		"another server":       {outcome{part: part{name: "p", tests: 1}, tests: good}, false},
		"tests that are gone":  {outcome{part: part{name: "p", tests: 2}, tests: good, requests: 1}, false},
		"nothing that was run": {outcome{part: part{name: "p", tests: 1}, requests: 1}, false},
	} {
		if got := s.judge([]outcome{c.o}, false).Good; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
