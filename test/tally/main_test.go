package main

import (
	"strings"
	"testing"
)

// TestRead wants the sum, what a failed test said, and nothing of a test that passed.
func TestRead(t *testing.T) {
	const log = `{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"loud\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"no such tool\n"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p","Elapsed":1.5}
{"Action":"pass","Package":"q","Elapsed":0.5}
`
	tests := map[string]struct {
		noSkips bool
		maySkip string
		log     string
		want    string
		says    []string
		not     string
	}{
		"a run":              {log: log, want: "1 passed, 1 failed, 1 skipped", says: []string{"loud", "no such tool", "FAIL  p 1.5s", "ok    q 500ms", "\nfailed:\nFAIL p TestB\nloud\n"}, not: "quiet"},
		"skips counted":      {log: log, noSkips: true, want: "1 passed, 2 failed, 1 skipped", says: []string{"SKIP p TestC"}, not: "quiet"},
		"skip permitted":     {log: log, noSkips: true, maySkip: "p", want: "1 passed, 1 failed, 1 skipped", says: []string{"SKIP p TestC"}, not: "quiet"},
		"one skip permitted": {log: log, noSkips: true, maySkip: "other,p.TestC", want: "1 passed, 1 failed, 1 skipped", says: []string{"SKIP p TestC"}, not: "quiet"},
		"build failure": {
			log: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"p/a.go:1: syntax error\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p [p.test]"}
`,
			want: "0 passed, 1 failed, 0 skipped", says: []string{"syntax error", "FAIL  p"}, not: "ok",
		},
		"panic": {
			log: `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}
{"Action":"fail","Package":"p","Elapsed":0}
`,
			want: "0 passed, 1 failed, 0 skipped", says: []string{"panic: oh"}, not: "ok",
		},
		"line of the go command": {log: "go: no such module\n", want: "0 passed, 0 failed, 0 skipped", says: []string{"go: no such module"}, not: "ok"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			sum, err := read(strings.NewReader(tt.log), &tally{noSkips: tt.noSkips, maySkip: tt.maySkip, out: &out})
			if err != nil {
				t.Fatal(err)
			}
			if sum.String() != tt.want {
				t.Errorf("sum %q, want %q", sum, tt.want)
			}
			for _, want := range tt.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q:\n%s", want, &out)
				}
			}
			if strings.Contains(out.String(), tt.not) {
				t.Errorf("output has %q:\n%s", tt.not, &out)
			}
		})
	}
}
