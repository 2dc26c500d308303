package pithos

import "strings"

// query is a metadata query (Pithos+ 5.3).
type query struct{ terms []term }

// term is one condition: op is "" for "has the key", "!" for "lacks it", or a comparison.
type term struct{ key, op, value string }

// comparisons are looked for in this order: longer ones first.
var comparisons = []string{"<=", ">=", "!=", "=", "<", ">"} // a table, never written

// termsMax bounds a query.
const termsMax = 100

// parseMetaQuery reads comma-separated terms; one that does not parse is ignored.
func parseMetaQuery(text string) query {
	var q query
	for part := range strings.SplitSeq(text, ",") {
		if t, ok := parseTerm(strings.TrimSpace(part)); ok && len(q.terms) < termsMax {
			q.terms = append(q.terms, t)
		}
	}
	return q
}

func parseTerm(text string) (term, bool) {
	at, op := len(text), ""
	for _, o := range comparisons {
		if i := strings.Index(text, o); i > 0 && (i < at || i == at && len(o) > len(op)) {
			at, op = i, o
		}
	}
	t := term{op: op}
	key := strings.TrimSpace(text[:at])
	if op == "" {
		if rest, ok := strings.CutPrefix(key, "!"); ok {
			key, t.op = strings.TrimSpace(rest), "!"
		}
	} else {
		t.value = strings.TrimSpace(text[at+len(op):])
	}
	if key == "" || strings.ContainsAny(key, "!<>=") {
		return t, false
	}
	t.key = strings.ToLower(normalise(key))
	return t, true
}

// matches tells whether metadata fulfils the query: at least one of the plain keys, none of the "!" keys, all comparisons.
func (q query) matches(m map[string]string) bool {
	plain, has := false, false
	for _, t := range q.terms {
		value, ok := m[t.key]
		switch {
		case t.op == "":
			plain, has = true, has || ok
		case t.op == "!":
			if ok {
				return false
			}
		case !ok || !t.holds(value):
			return false
		}
	}
	return has || !plain
}

func (t term) holds(value string) bool {
	switch t.op {
	case "=":
		return value == t.value
	case "!=":
		return value != t.value
	case "<":
		return value < t.value
	case "<=":
		return value <= t.value
	case ">":
		return value > t.value
	}
	return value >= t.value
}
