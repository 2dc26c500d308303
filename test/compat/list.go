package main

import (
	"fmt"
	"io"
	"strings"
)

// group is some of the suite's tests.
type group struct {
	name    string
	core    bool
	tests   []string          // file.py::name
	alone   map[string]bool   // tests that no other may run beside
	refused map[string]string // tests that contradict AWS's documentation, with the reference
}

// parseList reads s3-tests.txt: "== NAME" or "== NAME [core]" begins a group; "file.py::test" is a test in it; "refused file.py::test:
// reference" one that is run and expected to fail; "alone file.py::test" one that is run after the others. Lines that begin with # are comments.
func parseList(text string) ([]group, error) {
	var groups []group
	seen := map[string]bool{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if name, ok := strings.CutPrefix(line, "== "); ok {
			name, core := strings.CutSuffix(name, " [core]")
			groups = append(groups, group{name: name, core: core, alone: map[string]bool{}, refused: map[string]string{}})
			continue
		}
		if len(groups) == 0 {
			return nil, fmt.Errorf("line %d: test before the first group", number)
		}
		g := &groups[len(groups)-1]
		test := line
		if rest, ok := strings.CutPrefix(line, "refused "); ok {
			var reference string
			if test, reference, ok = strings.Cut(rest, ": "); !ok {
				return nil, fmt.Errorf("line %d: a refused test needs a reference", number)
			}
			g.refused[test] = reference
		}
		if rest, ok := strings.CutPrefix(line, "alone "); ok {
			test = rest
			g.alone[test] = true
		}
		if !strings.Contains(test, ".py::") || seen[test] {
			return nil, fmt.Errorf("line %d: %q is no test, or is listed twice", number, test)
		}
		seen[test] = true
		g.tests = append(g.tests, test)
	}
	return groups, nil
}

// report prints the counts by group and each failure, and returns how many tests failed that are not refused.
func report(out io.Writer, groups []group, results map[string]result) (failed int) {
	var failures strings.Builder
	tests, passed, refused := 0, 0, 0
	fmt.Fprintln(out, "| group | tests | passed | failed | refused |\n|---|---|---|---|---|")
	for _, g := range groups {
		ok, bad, no := 0, 0, 0
		for _, name := range g.tests {
			r, ran := results[name]
			switch {
			case r.passed:
				ok++
				continue
			case g.refused[name] != "":
				no++
				continue
			case !ran:
				r.cause = "did not run"
			}
			bad++
			fmt.Fprintf(&failures, "- %s: %s: %s\n", g.name, name, r.cause)
		}
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d |\n", g.name, len(g.tests), ok, bad, no)
		tests, passed, failed, refused = tests+len(g.tests), passed+ok, failed+bad, refused+no
	}
	fmt.Fprintf(out, "| **sum** | %d | %d | %d | %d |\n", tests, passed, failed, refused)
	if failures.Len() > 0 {
		fmt.Fprintf(out, "\nFailures:\n\n%s", &failures)
	}
	fmt.Fprintf(out, "\n%d passed, %d failed\n", passed, failed)
	return failed
}
