package s3

import "strings"

// Compatibility is the page that tells, for each operation of the S3 API, what this door does with it, in Markdown. docs/api/s3.md is made from it.
func Compatibility() string {
	var b strings.Builder
	b.WriteString(`# S3: operations

This page is made from the route table of internal/door/s3 (go test ./internal/door/s3 -run Compatibility -update). "served" has an end-to-end
test; "refused" answers 501 NotImplemented and names the operation. Query parameters and sub-resources that are not
known are refused too, never ignored, and so are x-amz- headers that S3 has and Pithos has not, or that begin like one of S3's. A name that has nothing to
do with S3 (x-amz-foo) is signed and ignored, as at AWS.

| operation | method | address | selected by | permission | state | note |
|---|---|---|---|---|---|---|
`)
	counts := map[state]int{}
	for _, r := range rows() {
		counts[r.state]++
		var by []string
		if r.marker != "" {
			by = append(by, "`?"+r.marker+"`")
		}
		if r.header != "" {
			by = append(by, "`"+strings.ToLower(r.header)+"`")
		}
		b.WriteString("| " + strings.Join([]string{
			r.op, r.method, r.level.String(), strings.Join(by, ", "), string(r.action), r.state.String(), r.note,
		}, " | ") + " |\n")
	}
	b.WriteString("\n" + itoa(counts[served]) + " operations are served, " + itoa(counts[refused]) + " are refused.\n")
	return b.String()
}
