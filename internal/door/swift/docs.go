package swift

import (
	"slices"
	"strconv"
	"strings"
)

// Operations is the page that lists the operations of the Swift door, in Markdown. docs/api/swift-operations.md is made from it.
func Operations() string {
	var b strings.Builder
	b.WriteString(`# Swift: operations

This page is made from the route tables of internal/door/swift (go test ./internal/door/swift -run OperationsPage -update). Each has an end-to-end test. A method that
is not here is answered with 405 and the list of those that are.
`)
	b.WriteString("\n| operation | method | address | asked for by |\n|---|---|---|---|\n")
	names := map[string]bool{}
	line := func(r *row, by string) {
		names[r.op] = true
		address := r.level.String()
		if r.path != "" {
			address = "`" + r.path + "`"
		}
		b.WriteString("| " + strings.Join([]string{r.op, r.method, address, by}, " | ") + " |\n")
	}
	all := rows()
	for i := range all {
		line(&all[i], "")
	}
	asked := map[string]string{"ExtractArchive": "`?extract-archive`", "BulkDelete": "`?bulk-delete`", "FormPost": "a body of `multipart/form-data`"}
	more := specials()
	slices.SortStableFunc(more, func(x, y special) int { return strings.Compare(x.op, y.op) })
	for i := range more {
		line(&more[i].row, asked[more[i].op])
	}
	b.WriteString("\n" + strconv.Itoa(len(names)) + " operations are served, in " + strconv.Itoa(len(all)+len(more)) + " forms. Signing in is served beside them (docs/api/swift.md).\n")
	return b.String()
}
