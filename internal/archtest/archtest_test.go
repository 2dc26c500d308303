package archtest

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestHouse is the fence itself: the sources of this module keep the rules.
func TestHouse(t *testing.T) {
	faults, err := Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// TestDependenciesDocumented wants a line in docs/dependencies.md for every module that go.mod requires directly, and a row in the table.
func TestDependenciesDocumented(t *testing.T) {
	tree := os.DirFS("../..")
	mod, err := fs.ReadFile(tree, "go.mod")
	if err != nil {
		t.Fatal(err)
	}
	text, err := fs.ReadFile(tree, "docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	direct := regexp.MustCompile(`(?m)^\t([^ ]+) v[^ ]+$`)
	for _, match := range direct.FindAllStringSubmatch(string(mod), -1) {
		if !strings.Contains(string(text), "`"+match[1]+"`") {
			t.Errorf("docs/dependencies.md does not say why %s is there", match[1])
		}
	}
	for _, o := range outsiders {
		if strings.Contains(o.path, ".") && o.where != nil && !strings.Contains(string(text), "`"+o.path+"`") {
			t.Errorf("docs/dependencies.md does not say why %s is there", o.path)
		}
	}
}

// TestLayersAcyclic wants every row to name only rows above it, so that the table cannot permit a cycle.
func TestLayersAcyclic(t *testing.T) {
	above := map[string]bool{}
	for _, r := range layers {
		for _, group := range r.may {
			if !above[group] {
				t.Errorf("row %s names %s, which does not stand above it", r.group, group)
			}
		}
		above[r.group] = true
	}
}

// TestPlantedFaults plants one breach of each rule, beside what is permitted, and wants exactly the breaches named.
func TestPlantedFaults(t *testing.T) {
	const ok = "// Package p is documented.\npackage p\n"
	tests := map[string]struct {
		file, text string
		want       []string // "rule: part of the text"
	}{
		"clean":                       {"internal/errs/a.go", "// Package errs is fine.\npackage errs\n", nil},
		"base imports a word":         {"internal/errs/a.go", ok + `import _ "pithos/internal/naming"`, []string{"layer: internal/naming"}},
		"words import words":          {"internal/naming/a.go", ok + `import _ "pithos/internal/block"`, []string{"layer: internal/block"}},
		"store imports store":         {"internal/store/meta/a.go", ok + `import _ "pithos/internal/store/blob"`, []string{"layer: internal/store/blob"}},
		"suite imports its store":     {"internal/store/meta/metatest/a.go", ok + `import _ "pithos/internal/store/meta"`, nil},
		"backend imports an engine":   {"internal/backend/a.go", ok + `import _ "pithos/internal/engine/memory"`, []string{"layer: internal/engine/memory"}},
		"backend's test may":          {"internal/backend/a_test.go", "package p\n" + `import _ "pithos/internal/engine/memory"`, nil},
		"engine imports backend":      {"internal/engine/memory/a.go", ok + `import _ "pithos/internal/backend"`, []string{"layer: internal/backend"}},
		"engine imports engine":       {"internal/engine/embedded/a.go", ok + `import _ "pithos/internal/engine/memory"`, []string{"layer: internal/engine/memory"}},
		"engine imports its part":     {"internal/engine/embedded/a.go", ok + `import _ "pithos/internal/engine/embedded/segment"`, nil},
		"door imports door":           {"internal/door/s3/a.go", ok + `import _ "pithos/internal/door/swift"`, []string{"layer: internal/door/swift"}},
		"door imports wire":           {"internal/door/s3/a.go", ok + `import _ "pithos/internal/door/wire/sigv4"`, nil},
		"wire imports lib":            {"internal/door/wire/a.go", ok + `import _ "pithos/internal/backend"`, []string{"layer: internal/backend"}},
		"client imports lib":          {"client/a.go", ok + `import _ "pithos/internal/backend"`, []string{"layer: internal/backend"}},
		"server imports client":       {"internal/server/a.go", ok + `import _ "pithos/client"`, []string{"layer: client"}},
		"import of an unknown":        {"internal/server/a.go", ok + `import _ "pithos/internal/stray"`, []string{"layer: internal/stray"}},
		"package without a row":       {"internal/stray/a.go", ok, []string{"layer: no row"}},
		"pebble in backend":           {"internal/backend/a.go", ok + `import _ "github.com/cockroachdb/pebble/v2"`, []string{"outsider: pebble"}},
		"pebble's vfs in segment":     {"internal/engine/embedded/segment/a.go", ok + `import _ "github.com/cockroachdb/pebble/v2/vfs"`, nil},
		"gocql in embedded":           {"internal/engine/embedded/a.go", ok + `import _ "github.com/apache/cassandra-gocql-driver/v2"`, []string{"outsider: gocql"}},
		"module without a row":        {"internal/server/a.go", ok + `import _ "example.org/left/pad"`, []string{"outsider: left/pad"}},
		"net/http in backend":         {"internal/backend/a.go", ok + `import _ "net/http"`, []string{"outsider: net/http"}},
		"os in backend":               {"internal/backend/a.go", ok + `import _ "os"`, []string{"outsider: os"}},
		"file in a door":              {"internal/door/s3/a.go", ok + `import "os"; var x = os.Open`, []string{"call: os.Open"}},
		"deadline in a door":          {"internal/door/s3/a.go", ok + `import "os"; var x = os.ErrDeadlineExceeded`, nil},
		"xml in server":               {"internal/server/a.go", ok + `import _ "encoding/xml"`, []string{"outsider: encoding/xml"}},
		"log":                         {"internal/server/a.go", ok + `import _ "log"`, []string{"outsider: log"}},
		"slog":                        {"internal/backend/a.go", ok + `import _ "log/slog"`, nil},
		"suite in production":         {"internal/engine/memory/a.go", ok + `import _ "pithos/internal/store/meta/metatest"`, []string{"layer: tests only"}},
		"suite imports testing":       {"internal/store/meta/metatest/a.go", ok + `import _ "testing"`, nil},
		"config and keys":             {"internal/config/a.go", ok + `import _ "pithos/internal/store/key"`, nil},
		"config and buckets":          {"internal/config/a.go", ok + `import _ "pithos/internal/store/bucket"`, []string{"layer: internal/store/bucket"}},
		"predictable randomness":      {"internal/backend/a.go", ok + `import _ "math/rand/v2"`, []string{"outsider: math/rand/v2"}},
		"testing in production":       {"internal/backend/a.go", ok + `import _ "testing"`, []string{"outsider: testing"}},
		"clock":                       {"internal/backend/a.go", ok + `import "time"; var x = time.Now`, []string{"call: time.Now"}},
		"renamed clock":               {"internal/backend/a.go", ok + `import tm "time"; var x = tm.Since`, []string{"call: tm.Since"}},
		"clock's own":                 {"internal/clock/a.go", ok + `import "time"; var x = time.Now`, nil},
		"context":                     {"internal/backend/a.go", ok + `import "context"; var x = context.Background()`, []string{"call: context.Background"}},
		"print":                       {"internal/backend/a.go", ok + `import "fmt"; func f() { fmt.Println() }`, []string{"call: fmt.Println"}},
		"exit":                        {"internal/server/a.go", ok + `import "os"; func f() { os.Exit(1) }`, []string{"call: os.Exit"}},
		"init":                        {"internal/backend/a.go", ok + `func init() {}`, []string{"init: explicitly"}},
		"method named init":           {"internal/backend/a.go", ok + `type t int; func (t) init() {}`, nil},
		"sleep in a test":             {"internal/backend/a_test.go", "package p\n" + `import "time"; func f() { time.Sleep(1) }`, []string{"sleep: condition"}},
		"reminder":                    {"internal/backend/a.go", ok + "// TO" + "DO: all of it\n", []string{"unfinished: issue"}},
		"reminder in a test":          {"internal/backend/a_test.go", "package p\n// FIX" + "ME\n", []string{"unfinished: issue"}},
		"no comment":                  {"internal/backend/a.go", "package p\n", []string{"comment: internal/backend"}},
		"comment about something":     {"internal/backend/a.go", "// Copyright somebody.\npackage p\n", []string{"comment: internal/backend"}},
		"command":                     {"cmd/pithos/a.go", "// Command pithos runs.\npackage main\n", nil},
		"empty name":                  {"internal/backend/a.go", "// Package util has everything.\npackage util\n", []string{"name: util"}},
		"long file":                   {"internal/backend/a.go", ok + strings.Repeat("\n", fileLinesMax), []string{"length: 802"}},
		"test data is left alone":     {"internal/backend/testdata/a.go", "package p\nfunc init() {}\n", nil},
		"hidden folder is left alone": {".cache/a.go", "package p\nfunc init() {}\n", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			faults, err := Check(fstest.MapFS{tt.file: {Data: []byte(tt.text)}})
			if err != nil {
				t.Fatal(err)
			}
			if len(faults) != len(tt.want) {
				t.Fatalf("%d faults %v, want %v", len(faults), faults, tt.want)
			}
			for i, want := range tt.want {
				rule, part, _ := strings.Cut(want, ": ")
				if faults[i].Rule != rule || !strings.Contains(faults[i].Text, part) {
					t.Errorf("fault %q, want rule %s with %q", faults[i], rule, part)
				}
				if faults[i].Line == 0 || faults[i].File != tt.file {
					t.Errorf("fault %q names no line of %s", faults[i], tt.file)
				}
			}
		})
	}
}

// TestOtherModulesIgnored leaves folders with a go.mod of their own to themselves.
func TestOtherModulesIgnored(t *testing.T) {
	faults, err := Check(fstest.MapFS{
		"tools/go.mod":  {Data: []byte("module other\n")},
		"tools/a/b.go":  {Data: []byte("package util\nfunc init() {}\n")},
		"cmd/x/main.go": {Data: []byte("package main\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.File+" "+f.Rule)
	}
	if diff := cmp.Diff([]string{"cmd/x/main.go comment"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestUnreadableSource reports a file that does not parse instead of passing over it.
func TestUnreadableSource(t *testing.T) {
	if _, err := Check(fstest.MapFS{"internal/errs/a.go": {Data: []byte("pack age")}}); err == nil {
		t.Error("a file that does not parse passed")
	}
}
