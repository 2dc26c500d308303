// Package archtest holds the fences of the house: rules about the source that a reader can rely on because a test reads every file.
//
//   - Layers: each package has a row in one allow-list table and imports only what the row names. A package without a row is a fault.
//   - Outsiders: each package from outside the module, and the parts of the standard library that tie code to a protocol or to the
//     machine (net/http, os, os/exec, encoding/xml, log), may be imported only where the table says.
//   - Calls: the time comes from internal/clock or as an argument, contexts come from the caller, only commands talk to the terminal.
//   - Habits: every package has a comment; no func init; no time.Sleep in tests; no reminder of unfinished work; no package named after
//     nothing; no file over 800 lines.
//
// Check reads the files itself rather than asking the go command, so that the test cache notices every change.
package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// module is the path of the module whose files are checked.
const module = "pithos"

// fileLinesMax is the length at which a file must be divided.
const fileLinesMax = 800

// Fault is one breach of a rule.
type Fault struct {
	File string // path in the tree
	Line int
	Rule string // layer, outsider, call, comment, init, sleep, unfinished, name, length
	Text string
}

func (f Fault) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Rule, f.Text)
}

// source is one parsed Go file.
type source struct {
	file string // path in the tree
	pkg  string // folder, which is the import path below the module
	test bool   // a _test.go file
	ast  *ast.File
	fset *token.FileSet
	text []byte
}

func (s *source) fault(pos token.Pos, rule, format string, args ...any) Fault {
	return Fault{File: s.file, Line: s.fset.Position(pos).Line, Rule: rule, Text: fmt.Sprintf(format, args...)}
}

// Check reads all Go files of the module that tree holds and returns what breaks the rules, in the order of the files. Folders that
// belong to another module, and those that the go command ignores, are left out. The error is about reading or parsing.
func Check(tree fs.FS) ([]Fault, error) {
	sources, err := load(tree)
	if err != nil {
		return nil, err
	}
	var faults []Fault
	for _, s := range sources {
		faults = append(faults, checkImports(s)...)
		faults = append(faults, checkCalls(s)...)
		faults = append(faults, checkHabits(s)...)
	}
	return append(faults, checkComments(sources)...), nil
}

func load(tree fs.FS) ([]*source, error) {
	var sources []*source
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if ignored(tree, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		s, err := parse(tree, name)
		if err == nil {
			sources = append(sources, s)
		}
		return err
	})
	return sources, err
}

// ignored reports whether the folder is none of the module's: hidden, test data, or a module of its own.
func ignored(tree fs.FS, folder string) bool {
	if folder == "." {
		return false
	}
	base := path.Base(folder)
	if base[0] == '.' || base[0] == '_' || base == "testdata" || base == "node_modules" {
		return true
	}
	_, err := fs.Stat(tree, path.Join(folder, "go.mod"))
	return err == nil
}

func parse(tree fs.FS, name string) (*source, error) {
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	s := &source{
		file: name,
		pkg:  path.Dir(name),
		test: strings.HasSuffix(name, "_test.go"),
		fset: token.NewFileSet(),
		text: text,
	}
	s.ast, err = parser.ParseFile(s.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

// within reports whether pkg is the folder or lies below it.
func within(pkg, folder string) bool {
	return pkg == folder || strings.HasPrefix(pkg, folder+"/")
}

func withinAny(pkg string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return within(pkg, folder) })
}

func checkImports(s *source) []Fault {
	var faults []Fault
	own := rowOf(s.pkg)
	if own == nil {
		faults = append(faults, s.fault(s.ast.Package, "layer", "package %s has no row in the table of layers", s.pkg))
	}
	for _, spec := range s.ast.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil || s.test {
			continue // tests may put any parts together
		}
		inside, isInside := strings.CutPrefix(imported, module+"/")
		switch {
		case isInside && own != nil && !own.allows(s.pkg, inside):
			faults = append(faults, s.fault(spec.Pos(), "layer", "%s (%s) may not import %s", s.pkg, own.group, inside))
		case isInside && support(inside) && !support(s.pkg):
			faults = append(faults, s.fault(spec.Pos(), "layer", "%s is for tests only", inside))
		case !isInside && !support(s.pkg) && !outsiderAllowed(s.pkg, imported):
			faults = append(faults, s.fault(spec.Pos(), "outsider", "%s may not import %s", s.pkg, imported))
		}
	}
	return faults
}

// outsiderAllowed reports whether pkg may import a package of the standard library or of another module.
func outsiderAllowed(pkg, imported string) bool {
	for _, o := range outsiders {
		if within(imported, o.path) {
			return withinAny(pkg, o.where)
		}
	}
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") // the rest of the standard library is free for all; other modules need a row
}

func checkCalls(s *source) []Fault {
	if s.test || support(s.pkg) {
		return nil
	}
	names := importNames(s.ast)
	var faults []Fault
	ast.Inspect(s.ast, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		ident, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, b := range bannedCalls {
			if names[ident.Name] == b.path && b.names.MatchString(selector.Sel.Name) && !withinAny(s.pkg, b.except) {
				faults = append(faults, s.fault(selector.Pos(), "call", "%s.%s: %s", ident.Name, selector.Sel.Name, b.instead))
			}
		}
		return true
	})
	return faults
}

// importNames maps the name under which a file knows a package to its path. The last element stands for the name of a package that the file
// does not rename; that is right for the packages in bannedCalls.
func importNames(file *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imported
	}
	return names
}

// unfinished matches reminders of work to do. It is put together so that this file does not match itself.
var unfinished = regexp.MustCompile(`\b(` + "TO" + `DO|` + "FIX" + `ME|` + "XX" + `X)\b`)

// emptyNames are package names that say nothing about what is inside.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "model", "models", "types", "shared", "base"}

func checkHabits(s *source) []Fault {
	var faults []Fault
	names := importNames(s.ast)
	for _, decl := range s.ast.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			faults = append(faults, s.fault(f.Pos(), "init", "construct explicitly, not in func init"))
		}
	}
	if s.test {
		ast.Inspect(s.ast, func(node ast.Node) bool {
			if sel, ok := node.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] == "time" {
					faults = append(faults, s.fault(sel.Pos(), "sleep", "tests wait for a condition or use testing/synctest, never time.Sleep"))
				}
			}
			return true
		})
	}
	for number, line := range bytes.Split(s.text, []byte("\n")) {
		if word := unfinished.Find(line); word != nil {
			faults = append(faults, Fault{s.file, number + 1, "unfinished", fmt.Sprintf("%s: finish it, or open an issue", word)})
		}
	}
	if lines := bytes.Count(s.text, []byte("\n")); lines > fileLinesMax {
		faults = append(faults, Fault{s.file, lines, "length", fmt.Sprintf("%d lines, over %d: divide the file", lines, fileLinesMax)})
	}
	if slices.Contains(emptyNames, s.ast.Name.Name) {
		faults = append(faults, s.fault(s.ast.Name.Pos(), "name", "package name %q says nothing about what is inside", s.ast.Name.Name))
	}
	return faults
}

// checkComments finds packages without a package comment in the usual form.
func checkComments(sources []*source) []Fault {
	documented := map[string]bool{}
	first := map[string]*source{}
	var order []string
	for _, s := range sources {
		if s.test {
			continue
		}
		if first[s.pkg] == nil {
			first[s.pkg] = s
			order = append(order, s.pkg)
		}
		if s.ast.Doc == nil {
			continue
		}
		want := "Package " + s.ast.Name.Name + " "
		if s.ast.Name.Name == "main" {
			want = "Command "
		}
		if strings.HasPrefix(s.ast.Doc.Text(), want) {
			documented[s.pkg] = true
		}
	}
	var faults []Fault
	for _, pkg := range order {
		if !documented[pkg] {
			s := first[pkg]
			faults = append(faults, s.fault(s.ast.Package, "comment", "package %s has no comment that begins with its name", pkg))
		}
	}
	return faults
}
