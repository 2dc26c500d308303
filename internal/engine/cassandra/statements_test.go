package cassandra

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// found is a statement in the package's source.
type found struct {
	cql, class string
	pos        token.Position
}

// readSource parses the package without its tests.
func readSource(t *testing.T) (*token.FileSet, []*ast.File) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return fset, files
}

// text is a constant string expression; a variable in it stands for the table "account".
func text(t *testing.T, e ast.Expr) string {
	t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		return s
	case *ast.BinaryExpr:
		return text(t, e.X) + text(t, e.Y)
	case *ast.Ident:
		return "account"
	}
	t.Fatalf("a statement is made of %T", e)
	return ""
}

// statements finds every statement of the package.
func statements(t *testing.T) []found {
	t.Helper()
	fset, files := readSource(t)
	var all []found
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if id, ok := lit.Type.(*ast.Ident); !ok || id.Name != "statement" {
				return true
			}
			s := found{pos: fset.Position(lit.Pos())}
			for _, el := range lit.Elts {
				kv := el.(*ast.KeyValueExpr)
				switch kv.Key.(*ast.Ident).Name {
				case "cql":
					s.cql = strings.Join(strings.Fields(text(t, kv.Value)), " ")
				case "class":
					s.class = kv.Value.(*ast.Ident).Name
				}
			}
			all = append(all, s)
			return true
		})
	}
	return all
}

// tables is the partition key and the clustering columns of each table.
func tables(t *testing.T) map[string][2][]string {
	t.Helper()
	out := map[string][2][]string{
		"system_views.settings":   {{"name"}},
		"system_schema.keyspaces": {{"keyspace_name"}},
		"system.local":            {{}}, // one row, of the host that is asked
		"system.size_estimates":   {{"keyspace_name"}},
		"system_views.disk_usage": {{"keyspace_name"}},
		"%k.schema_version":       {{"store"}},
	}
	create := regexp.MustCompile(`CREATE TABLE IF NOT EXISTS (%k\.\w+) \((.*)\)`)
	inner := regexp.MustCompile(`PRIMARY KEY ?\((\(([^)]*)\)|\w+)((?:, *\w+)*)\)`)
	alone := regexp.MustCompile(`(\w+) \w+ PRIMARY KEY`)
	names := func(s string) (list []string) {
		for _, n := range strings.Split(s, ",") {
			if n = strings.TrimSpace(n); n != "" {
				list = append(list, n)
			}
		}
		return list
	}
	for _, sc := range []Schema{KeySchema(), BucketSchema(), MetaSchema(), BlobSchema()} {
		for _, m := range sc.Migrations {
			for _, cql := range m {
				cql = strings.Join(strings.Fields(cql), " ")
				parts := create.FindStringSubmatch(cql)
				if parts == nil && strings.HasPrefix(cql, "ALTER TABLE ") && (strings.Contains(cql, " ADD IF NOT EXISTS ") || strings.Contains(cql, " WITH ")) {
					continue // no key
				}
				if parts == nil {
					t.Fatalf("a migration that this test does not understand: %s", cql)
				}
				name := parts[1]
				if sc.Store == "blobstore" {
					name = "blobs " + name // holder is a table of two stores
				}
				switch key := inner.FindStringSubmatch(cql); {
				case key != nil && key[2] != "":
					out[name] = [2][]string{names(key[2]), names(key[3])}
				case key != nil:
					out[name] = [2][]string{names(key[1]), names(key[3])}
				default:
					out[name] = [2][]string{{alone.FindStringSubmatch(cql)[1]}}
				}
			}
		}
	}
	return out
}

// TestStatementsNameAPartition proves of every statement that it reads or writes one partition, named by its whole key; but for the walks
// around the ring, which are for workers, are read in pages, and are used in the functions named here alone.
func TestStatementsNameAPartition(t *testing.T) {
	keys := tables(t)
	table := regexp.MustCompile(`(?:FROM|INTO|UPDATE) ([%\w]+\.\w+)`)
	insert := regexp.MustCompile(`INSERT INTO \S+ \(([^)]*)\)`)
	all := statements(t)
	if len(all) < 100 {
		t.Fatalf("%d statements found: this test does not see them", len(all))
	}
	for _, s := range all {
		upper := strings.ToUpper(s.cql)
		if strings.Contains(upper, "ALLOW FILTERING") || strings.Contains(upper, " IN (") {
			t.Errorf("%s: %s", s.pos, s.cql)
		}
		m := table.FindStringSubmatch(s.cql)
		if m == nil {
			t.Errorf("%s: no table in %s", s.pos, s.cql)
			continue
		}
		name := m[1]
		if strings.HasPrefix(s.pos.Filename, "blobs") && strings.HasPrefix(name, "%k") {
			name = "blobs " + name
		}
		key, ok := keys[name]
		if !ok {
			t.Errorf("%s: table %s is in no schema", s.pos, name)
			continue
		}
		if s.class == "ringScan" {
			if !strings.HasSuffix(s.cql, "LIMIT ?") {
				t.Errorf("%s: a walk around the ring without a limit: %s", s.pos, s.cql)
			}
			continue
		}
		if strings.Contains(upper, "TOKEN(") {
			t.Errorf("%s: a walk around the ring: %s", s.pos, s.cql)
		}
		var given []string
		if cols := insert.FindStringSubmatch(s.cql); cols != nil {
			given = strings.Split(strings.ReplaceAll(cols[1], " ", ""), ",")
		} else {
			_, where, _ := strings.Cut(s.cql, " WHERE ")
			for _, cond := range regexp.MustCompile(`(\w+) = `).FindAllStringSubmatch(strings.Split(where, " IF ")[0], -1) {
				given = append(given, cond[1])
			}
		}
		for _, column := range key[0] {
			if !slices.Contains(given, column) {
				t.Errorf("%s: the partition is not named, %s is missing: %s", s.pos, column, s.cql)
			}
		}
		whole := !slices.ContainsFunc(key[1], func(c string) bool { return !slices.Contains(given, c) })
		if s.class == "pointRead" && !whole && !strings.Contains(s.cql, "LIMIT 1") {
			t.Errorf("%s: reads more than a row: %s", s.pos, s.cql)
		}
		if s.class == "plainWrite" && !strings.Contains(s.cql, "USING TIMESTAMP") {
			t.Errorf("%s: a plain write must name its timestamp: %s", s.pos, s.cql)
		}
		if s.class == "casWrite" && strings.Contains(s.cql, "USING TIMESTAMP") {
			t.Errorf("%s: a lightweight transaction must not name a timestamp: %s", s.pos, s.cql)
		}
	}
}

// TestReadsAreBounded looks at the calls: the driver is asked in session.go alone, where every read of several rows names the size of its
// page, and the pages are small.
func TestReadsAreBounded(t *testing.T) {
	fset, files := readSource(t)
	walks := []string{"Walk", "WalkHolders", "walkPage", "Audit", "auditPage"}
	statements := []string{"walkBlocks", "walkBlocksA", "walkHolders", "walkHoldersAll", "walkCells", "walkCellsAll"}
	for _, f := range files {
		file := fset.Position(f.Pos()).Filename
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && slices.Contains(statements, id.Name) &&
					!slices.Contains(walks, fn.Name.Name) {
					t.Errorf("%s: %s walks around the ring", fset.Position(id.Pos()), fn.Name.Name)
				}
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				switch sel.Sel.Name {
				case "IterContext", "ScanContext", "ExecContext", "MapScanCASContext", "MapExecCASContext":
					if file != "session.go" && (file != "schema.go" || fn.Name.Name != "define") {
						t.Errorf("%s: the driver is asked outside of session.go", fset.Position(call.Pos()))
					}
				case "rows", "rowsAt":
					i := 3
					if sel.Sel.Name == "rowsAt" {
						i = 4
					}
					if lit, ok := call.Args[i].(*ast.BasicLit); ok {
						if size, err := strconv.Atoi(lit.Value); err != nil || size > 5000 {
							t.Errorf("%s: a page of %s rows", fset.Position(call.Pos()), lit.Value)
						}
					}
				}
				return true
			})
		}
	}
	for name, size := range map[string]int{
		"pageMost": pageMost, "slotPage": slotPage, "chunkPage": chunkPage, "versionsPage": versionsPage, "listedAtOnce": listedAtOnce,
		"releasedAtOnce": releasedAtOnce, "walkedAtOnce": walkedAtOnce, "partsAtOnce": partsAtOnce, "pendingPage": pendingPage,
		"auditedCells": auditedCells, "auditedRows": auditedRows,
	} {
		if size > 5000 {
			t.Errorf("%s is %d", name, size)
		}
	}
}
