package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// part is a file of the suite, run one way.
type part struct {
	name    string // in counts.txt
	path    string // below the root of the suite's source
	v3      bool
	tests   int // that Swift runs and skips
	skipped int // by Swift
}

// readCounts reads counts.txt: "part tests skipped" in each line.
func readCounts(path string) ([]part, error) {
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	var parts []part
	for _, line := range lines {
		var p part
		if n, err := fmt.Sscanf(line, "%s %d %d", &p.name, &p.tests, &p.skipped); n != 3 || err != nil {
			return nil, fmt.Errorf("%s: %q is not: part, tests, skipped", path, line)
		}
		switch file, s3 := strings.CutPrefix(p.name, "s3/"); {
		case s3:
			p.path = "test/s3api/" + file
		default:
			var rest string
			rest, p.v3 = strings.CutPrefix(p.name, "v3/")
			p.path = "test/functional/" + rest
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// readReasons reads a list of "test: reason".
func readReasons(path string) (map[string]string, error) {
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	reasons := map[string]string{}
	for _, line := range lines {
		name, reason, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("%s: %q is not: test, colon, reason", path, line)
		}
		reasons[name] = reason
	}
	return reasons, nil
}

// readLines reads the lines of a file that say something.
func readLines(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// choose finds the parts that are named: each by its name or by a folder's.
func choose(all []part, names []string) ([]part, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []part
	for _, name := range names {
		found := false
		for _, p := range all {
			if p.name == name || p.name == name+".py" || strings.HasPrefix(p.name, name+"/") {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%q is no part of the suite; see test/compat/swift/counts.txt", name)
		}
	}
	return chosen, nil
}

// test is what became of one test.
type test struct {
	Name    string `json:"name"`   // "TestClass.test_name"
	Result  string `json:"result"` // passed, failed or skipped
	Reason  string `json:"reason,omitempty"`
	details string
}

const (
	passed  = "passed"
	failed  = "failed"
	skipped = "skipped"
)

// parseJUnit reads pytest's results. A test that has several, of sub-tests or of its clean-up, has the worst.
func parseJUnit(in io.Reader) ([]test, error) {
	type result struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	var suites struct {
		Cases []struct {
			Class   string  `xml:"classname,attr"`
			Name    string  `xml:"name,attr"`
			Failure *result `xml:"failure"`
			Error   *result `xml:"error"`
			Skipped *result `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.NewDecoder(in).Decode(&suites); err != nil {
		return nil, fmt.Errorf("results of pytest: %w", err)
	}
	var tests []test
	at := map[string]int{}
	for _, c := range suites.Cases {
		t := test{Name: c.Class[strings.LastIndexByte(c.Class, '.')+1:] + "." + c.Name, Result: passed}
		switch {
		case c.Failure != nil:
			t.Result, t.Reason, t.details = failed, firstLine(c.Failure.Message), c.Failure.Text
		case c.Error != nil:
			t.Result, t.Reason, t.details = failed, "around the test: "+firstLine(c.Error.Message), c.Error.Text
		case c.Skipped != nil:
			t.Result, t.Reason = skipped, firstLine(c.Skipped.Message)
		}
		i, seen := at[t.Name]
		switch {
		case !seen:
			at[t.Name] = len(tests)
			tests = append(tests, t)
		case t.Result == failed && tests[i].Result != failed || tests[i].Result == passed:
			tests[i] = t
		}
	}
	return tests, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// report is the result of a run.
type report struct {
	Good  bool        `json:"good"`
	Took  string      `json:"took"`
	Parts []partCount `json:"parts"`
	Sum   partCount   `json:"sum"`
	// Failed and Skipped are what is otherwise than on Swift; Refused fails for a reason that is known.
	Failed  []finding `json:"failed,omitempty"`
	Refused []finding `json:"refused,omitempty"`
	Skipped []finding `json:"skipped,omitempty"`
	verbose bool
}

type partCount struct {
	Part         string `json:"part"`
	Passed       int    `json:"passed"`
	Failed       int    `json:"failed"`
	Skipped      int    `json:"skipped"`
	SwiftPassed  int    `json:"swift_passed"`
	SwiftSkipped int    `json:"swift_skipped"`
	Requests     int64  `json:"requests"`
}

type finding struct {
	Part string `json:"part"`
	test
}

// judge compares with Swift. Of a selection of tests no count is expected.
func (s *suite) judge(outcomes []outcome, selection bool) *report {
	r := &report{Good: true, verbose: s.f.v, Sum: partCount{Part: "sum"}}
	for _, o := range outcomes {
		c := partCount{Part: o.part.name, SwiftPassed: o.part.tests - o.part.skipped, SwiftSkipped: o.part.skipped, Requests: o.requests}
		for _, t := range o.tests {
			id := o.part.name + "::" + t.Name
			switch t.Result {
			case passed:
				c.Passed++
			case skipped:
				c.Skipped++
				if s.skips[id] == "" {
					r.Skipped = append(r.Skipped, finding{o.part.name, t})
				}
			case failed:
				c.Failed++
				if s.mays[id] != "" {
					r.Refused = append(r.Refused, finding{o.part.name, t})
				} else {
					r.Failed = append(r.Failed, finding{o.part.name, t})
				}
			}
		}
		if o.requests == 0 && len(o.tests) > c.Skipped || !selection && len(o.tests) != o.part.tests {
			r.Good = false
		}
		r.Parts = append(r.Parts, c)
		r.Sum.add(c)
	}
	r.Good = r.Good && len(r.Failed) == 0 && len(r.Skipped) == 0
	return r
}

func (c *partCount) add(d partCount) {
	c.Passed += d.Passed
	c.Failed += d.Failed
	c.Skipped += d.Skipped
	c.SwiftPassed += d.SwiftPassed
	c.SwiftSkipped += d.SwiftSkipped
	c.Requests += d.Requests
}

// write prints the report as Markdown.
func (r *report) write(out io.Writer) {
	for _, list := range []struct {
		title string
		found []finding
	}{{"Failed", r.Failed}, {"Failed, as listed in failures.txt", r.Refused}, {"Skipped, but not by Swift", r.Skipped}} {
		if len(list.found) == 0 {
			continue
		}
		fmt.Fprintf(out, "%s:\n\n", list.title)
		slices.SortStableFunc(list.found, func(a, b finding) int { return strings.Compare(a.Part, b.Part) })
		for _, f := range list.found {
			fmt.Fprintf(out, "- %s::%s: %s\n", f.Part, f.Name, f.Reason)
			if r.verbose && f.details != "" {
				fmt.Fprintf(out, "\n%s\n", f.details)
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, "| part | passed | failed | skipped | Swift passes | Swift skips | requests |\n|---|---|---|---|---|---|---|")
	for _, c := range append(r.Parts, r.Sum) {
		row := []string{c.Part}
		for _, n := range []int{c.Passed, c.Failed, c.Skipped, c.SwiftPassed, c.SwiftSkipped, int(c.Requests)} {
			row = append(row, strconv.Itoa(n))
		}
		fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintf(out, "\ntook %s\n", r.Took)
}
