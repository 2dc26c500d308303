// Command tally reads the output of go test -json and prints it for people: a line for each package, everything that a failed
// test said, the reason of each skipped test, and at the end the failed tests again, each with the beginning of what it said, and
// "N passed, N failed, N skipped". It exits with 1 if anything failed.
//
// With -no-skips a skipped test counts as a failure: where the test command has installed everything, nothing is left to skip. -may-skip names
// packages, or single tests as PACKAGE.TEST, that need something which this machine cannot have, separated by commas.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// lineBytesMax is the longest line of JSON that is read.
const lineBytesMax = 16 << 20

// event is a line of go test -json; see "go doc test2json".
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Elapsed    float64
	Output     string
}

// counts is the sum over all tests; packages that do not build count as one failed test.
type counts struct {
	passed, failed, skipped int
}

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}

type tally struct {
	sum counts

	noSkips bool
	maySkip string
	out     io.Writer
	said    map[string]*strings.Builder // package and test -> output
	build   map[string]*strings.Builder // import path -> output of the compiler
	inside  map[string]bool             // packages in which a test failed
	failed  []string                    // tests, each with the beginning of what it said
}

// linesAgain is how many lines of a failed test are shown again at the end.
const linesAgain = 4

// allowed tells whether a test may be skipped.
func (t *tally) allowed(pkg, test string) bool {
	for one := range strings.SplitSeq(t.maySkip, ",") {
		if one != "" && (one == pkg || one == pkg+"."+test) {
			return true
		}
	}
	return false
}

func main() {
	noSkips := flag.Bool("no-skips", false, "count a skipped test as failed")
	maySkip := flag.String("may-skip", "", "`list` of packages and tests, separated by commas, whose skips are no failures")
	flag.Parse()
	sum, err := read(os.Stdin, &tally{noSkips: *noSkips, maySkip: *maySkip, out: os.Stdout})
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(2)
	}
	fmt.Println(sum)
	if sum.failed > 0 || sum.passed == 0 {
		os.Exit(1)
	}
}

// read consumes a whole run. Lines that are no JSON are copied: they come from the go command itself.
func read(in io.Reader, t *tally) (counts, error) {
	t.said, t.build, t.inside = map[string]*strings.Builder{}, map[string]*strings.Builder{}, map[string]bool{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(t.out, lines.Text())
			continue
		}
		t.add(e)
	}
	if len(t.failed) > 0 {
		fmt.Fprintln(t.out, "\nfailed:")
		for _, one := range t.failed {
			fmt.Fprint(t.out, one)
		}
	}
	return t.sum, lines.Err()
}

func (t *tally) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		appendTo(t.said, key, e.Output)
	case "build-output":
		appendTo(t.build, e.ImportPath, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.finishPackage(e)
		} else {
			t.finishTest(e, key)
		}
	}
}

func appendTo(texts map[string]*strings.Builder, key, text string) {
	if texts[key] == nil {
		texts[key] = &strings.Builder{}
	}
	texts[key].WriteString(text)
}

func (t *tally) text(key string) string {
	if b := t.said[key]; b != nil {
		return b.String()
	}
	return ""
}

func (t *tally) finishTest(e event, key string) {
	text := t.text(key)
	delete(t.said, key)
	if e.Action == "pass" {
		t.sum.passed++
		return
	}
	if e.Action == "skip" {
		t.sum.skipped++
	}
	if e.Action == "fail" || t.noSkips && !t.allowed(e.Package, e.Test) {
		t.sum.failed++
		t.inside[e.Package] = true
		t.failed = append(t.failed, fmt.Sprintf("%s %s %s\n%s", strings.ToUpper(e.Action), e.Package, e.Test, beginning(text)))
	}
	fmt.Fprintf(t.out, "%s %s %s\n%s", strings.ToUpper(e.Action), e.Package, e.Test, text)
}

// beginning is the first lines of what a test said, without those that every test has.
func beginning(text string) string {
	var b strings.Builder
	lines := 0
	for line := range strings.Lines(text) {
		if lines == linesAgain {
			break
		}
		if !strings.HasPrefix(line, "=== ") {
			b.WriteString(line)
			lines++
		}
	}
	return b.String()
}

func (t *tally) finishPackage(e event) {
	took := time.Duration(e.Elapsed * float64(time.Second)).Round(10 * time.Millisecond)
	switch e.Action {
	case "pass":
		fmt.Fprintf(t.out, "ok    %s %v\n", e.Package, took)
	case "skip":
		fmt.Fprintf(t.out, "-     %s (no tests)\n", e.Package)
	case "fail":
		if !t.inside[e.Package] { // it did not build, panicked, or ran out of time
			t.sum.failed++
			for key, text := range t.said {
				if strings.HasPrefix(key, e.Package+" ") {
					fmt.Fprint(t.out, text.String())
				}
			}
		}
		for path, text := range t.build {
			fmt.Fprint(t.out, text.String())
			delete(t.build, path)
		}
		fmt.Fprintf(t.out, "FAIL  %s %v\n", e.Package, took)
	}
}
