package s3

import (
	"net/http"
	"strings"

	"pithos/internal/access"
)

// state says what the door does with an operation.
type state uint8

const (
	refused state = iota // 501 NotImplemented by name
	served
)

func (s state) String() string { return [...]string{"refused", "served"}[s] }

// row is one operation of the S3 API. Router, metric labels, the compatibility page and the check that every served
// operation has an end-to-end test come from the rows.
type row struct {
	op     string // as the API Reference names it
	method string
	level  level
	// marker has the query parameters that select the operation, joined by '&'; one may demand a value ("list-type=2").
	marker string
	// header selects the operation when present (canonical form).
	header string
	action access.Action // what the caller must be allowed to do
	state  state
	handle handler
	// query has the parameters that the operation takes besides its marker, separated by spaces.
	query string
	note  string // for the compatibility page
	// objectSums: checksum headers speak of the object, not of the request's body.
	objectSums bool

	need []param // marker, parsed by newTable
	may  map[string]bool
}

// rows lists every operation of the S3 API.
func rows() []row {
	all := serviceRows()
	all = append(all, bucketRows()...)
	return append(all, objectRows()...)
}

// table finds rows. Its lists have the rows of one level and method, those with more demands first.
type table struct {
	rows  [objectLevel + 1]map[string][]*row
	known map[string]bool // query parameters that some row knows
}

func newTable(rows []row) table {
	t := table{known: map[string]bool{}}
	for l := range t.rows {
		t.rows[l] = map[string][]*row{}
	}
	for i := range rows {
		r := &rows[i]
		r.may = map[string]bool{}
		if r.marker != "" {
			for m := range strings.SplitSeq(r.marker, "&") {
				name, value, _ := strings.Cut(m, "=")
				r.need = append(r.need, param{name: name, value: value})
				t.known[name], r.may[name] = true, true
			}
		}
		for name := range strings.FieldsSeq(r.query) {
			t.known[name], r.may[name] = true, true
		}
		list := t.rows[r.level][r.method]
		at := len(list)
		for at > 0 && list[at-1].weight() < r.weight() {
			at--
		}
		list = append(list, nil)
		copy(list[at+1:], list[at:])
		list[at] = r
		t.rows[r.level][r.method] = list
	}
	return t
}

// weight orders rows so that the more demanding one is tried first.
func (r *row) weight() int {
	w := 2 * len(r.need)
	if r.header != "" {
		w++
	}
	return w
}

// find is the row for a call. Errors: MethodNotAllowed, NotImplemented.
func (t *table) find(c *call) (*row, error) {
	list, ok := t.rows[c.level][c.r.Method]
	if !ok {
		return nil, fail(MethodNotAllowed, "").with("Method", clip(c.r.Method)).with("ResourceType", strings.ToUpper(c.level.String()))
	}
	for _, r := range list {
		if r.matches(c) {
			return r, nil
		}
	}
	for _, p := range c.query {
		if t.known[p.name] {
			return nil, unknownParameter(p.name)
		}
	}
	return nil, fail(MethodNotAllowed, "").with("Method", c.r.Method).with("ResourceType", strings.ToUpper(c.level.String()))
}

func (r *row) matches(c *call) bool {
	if len(r.need) > len(c.query) {
		return false
	}
	for _, n := range r.need {
		v, ok := c.query.lookup(n.name)
		if !ok || n.value != "" && n.value != v {
			return false
		}
	}
	return r.header == "" || c.has(r.header)
}

// allows refuses what the operation does not take: a parameter may name a sub-resource that this door does not know, so the
// plain operation would do something else than was asked. Parameters beginning with "x-" but not "x-amz-" are the
// client's own and only meant for logs (S3 User Guide, "Custom access log information").
func (r *row) allows(c *call) error {
	for i := range c.query {
		name := c.query[i].name
		if r.may[name] || name == "x-id" || isAuthParameter(name) {
			continue // x-id is what SDKs add to tell operations apart in logs
		}
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-") && !strings.HasPrefix(lower, "x-amz-") {
			continue
		}
		if c.presigned && strings.HasPrefix(lower, "x-amz-") {
			continue // a header that a presigned query carries; checkFeatures judges it
		}
		return unknownParameter(name)
	}
	return nil
}

// isAuthParameter reports whether the parameter belongs to a presigned request (Signature V4 or V2).
func isAuthParameter(name string) bool {
	switch name {
	case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
		"X-Amz-Security-Token", "X-Amz-Content-Sha256", "AWSAccessKeyId", "Signature", "Expires":
		return true
	}
	return false
}

func unknownParameter(name string) error {
	return fail(NotImplemented, "The query parameter or sub-resource '"+clip(name)+"' is not implemented for this request.").
		with("Parameter", clip(name))
}

// clip bounds text of a client before it goes into an answer.
func clip(s string) string {
	if len(s) > 128 {
		return strings.ToValidUTF8(s[:128], "?") + "..."
	}
	return s
}

const (
	get    = http.MethodGet
	head   = http.MethodHead
	put    = http.MethodPut
	post   = http.MethodPost
	remove = http.MethodDelete
)
