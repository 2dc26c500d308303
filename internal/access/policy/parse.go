package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"pithos/internal/errs"
)

// malformed is Invalid/Config because of BadPolicy. The words are AWS's where it has some.
func malformed(format string, args ...any) error {
	return errs.E("policy.Parse", errs.Invalid, errs.Config, "policy").Because(errs.BadPolicy, fmt.Sprintf(format, args...))
}

// Parse reads a policy. Error: Invalid, reason BadPolicy, with a sentence that says what is wrong; reason EntityTooLarge when it has more bytes than
// its kind may.
func Parse(document []byte, kind Kind) (*Policy, error) {
	most := BucketMax
	if kind == Identity {
		most = IdentityMax
	}
	if len(document) > most {
		return nil, errs.E("policy.Parse", errs.Invalid, errs.Config, "policy").
			Because(errs.EntityTooLarge, fmt.Sprintf("Policy exceeds the maximum allowed document size of %d bytes.", most))
	}
	if first := bytes.TrimLeft(document, " \t\r\n"); len(first) == 0 || first[0] != '{' || !utf8.Valid(document) {
		return nil, malformed("Policies must be valid JSON and the first byte must be '{'")
	}
	root, err := readJSON(document)
	if err != nil {
		return nil, err
	}
	p := &Policy{kind: kind}
	if err := p.read(root); err != nil {
		return nil, err
	}
	return p, nil
}

// node is a value of JSON: an object, a list, or text (strings, and numbers and truths as they are written).
type node struct {
	kind   byte // '{', '[', 's' string, 'n' number or truth, '0' null
	fields []field
	items  []node
	text   string
}

type field struct {
	name  string
	value node
}

// readJSON reads one document. An object that has a name twice is refused: readers differ in which they take.
func readJSON(document []byte) (node, error) {
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	root, err := readNode(dec, 0)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = malformed("Policies must be valid JSON: there is something behind the end")
		}
	}
	var known *errs.Error
	if err != nil && !errors.As(err, &known) {
		err = malformed("Policies must be valid JSON and the first byte must be '{': %v", err)
	}
	return root, err
}

func readNode(dec *json.Decoder, depth int) (node, error) {
	if depth > depthMax {
		return node{}, malformed("The policy is nested too deeply")
	}
	t, err := dec.Token()
	if err != nil {
		return node{}, err
	}
	switch t := t.(type) {
	case json.Delim:
		n := node{kind: byte(t)}
		for dec.More() {
			if err := n.readMember(dec, depth); err != nil {
				return n, err
			}
		}
		_, err := dec.Token()
		return n, err
	case string:
		return node{kind: 's', text: t}, nil
	case json.Number:
		return node{kind: 'n', text: t.String()}, nil
	case bool:
		return node{kind: 'n', text: fmt.Sprint(t)}, nil
	}
	return node{kind: '0'}, nil
}

// readMember reads the next member of an object or list.
func (n *node) readMember(dec *json.Decoder, depth int) error {
	name := ""
	if n.kind == '{' {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ = t.(string)
		if slices.ContainsFunc(n.fields, func(f field) bool { return f.name == name }) {
			return malformed("The element %s occurs twice", quoted(name))
		}
	}
	v, err := readNode(dec, depth+1)
	if n.kind == '{' {
		n.fields = append(n.fields, field{name, v})
	} else {
		n.items = append(n.items, v)
	}
	return err
}

// quoted shows text of a client in a message.
func quoted(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "..."
	}
	return "'" + s + "'"
}

func (p *Policy) read(root node) error {
	var rules *node
	for i := range root.fields {
		f := &root.fields[i]
		switch f.name {
		case "Version":
			if p.version = f.value.text; f.value.kind != 's' || p.version != older && p.version != current {
				return malformed("The policy must contain a valid version string: %s or %s", current, older)
			}
		case "Id":
			if p.id = f.value.text; f.value.kind != 's' || len(p.id) > textMax {
				return malformed("Invalid policy syntax: Id must be a string")
			}
		case "Statement":
			rules = &f.value
		default:
			return malformed("Unknown field %s", quoted(f.name))
		}
	}
	if rules == nil {
		return malformed("Missing required field Statement")
	}
	list := rules.items
	if rules.kind == '{' {
		list = []node{*rules}
	}
	switch {
	case len(list) == 0:
		return malformed("Could not parse the policy: Statement is empty!")
	case len(list) > statementsMax:
		return malformed("The policy has more than %d statements", statementsMax)
	}
	for i := range list {
		s, err := p.readStatement(&list[i])
		if err != nil {
			return err
		}
		p.statements = append(p.statements, s)
		p.public = p.public || s.public()
	}
	return nil
}

// readStatement reads one statement.
func (p *Policy) readStatement(n *node) (statement, error) {
	var s statement
	if n.kind != '{' {
		return s, malformed("Invalid policy syntax: a Statement is an object")
	}
	seen := map[string]bool{}
	for i := range n.fields {
		f := &n.fields[i]
		what := strings.TrimPrefix(f.name, "Not")
		if seen[what] {
			return s, malformed("A statement has either %s or Not%s, not both", what, what)
		}
		seen[what] = true
		if err := p.readElement(&s, f); err != nil {
			return s, err
		}
	}
	for _, want := range []string{"Effect", "Principal", "Action", "Resource"} {
		switch {
		case want == "Principal" && p.kind == Identity:
			if seen[want] {
				return s, malformed("The policy cannot name a Principal: it is about whom it is attached to")
			}
		case !seen[want]:
			return s, malformed("Missing required field %s", want)
		}
	}
	if s.principals != nil && s.principals.not && !s.deny {
		return s, malformed("Allow with NotPrincipal is not allowed.")
	}
	return s, nil
}

func (p *Policy) readElement(s *statement, f *field) (err error) {
	v := &f.value
	switch f.name {
	case "Sid":
		if s.sid = v.text; v.kind != 's' || len(v.text) > textMax {
			err = malformed("Invalid policy syntax: Sid must be a string")
		}
	case "Effect":
		if s.deny = v.text == "Deny"; v.kind != 's' || !s.deny && v.text != "Allow" {
			err = malformed("Invalid effect: %s", quoted(v.text))
		}
	case "Principal", "NotPrincipal":
		s.principals, err = readPrincipals(v)
		if err == nil {
			s.principals.not = f.name == "NotPrincipal"
		}
	case "Action", "NotAction":
		s.actions.not = f.name == "NotAction"
		err = p.readActions(s, v)
	case "Resource", "NotResource":
		s.resources.not = f.name == "NotResource"
		err = p.readResources(s, v)
	case "Condition":
		s.conditions, err = p.readConditions(v)
	default:
		err = malformed("Unknown field %s", quoted(f.name))
	}
	return err
}

// strings reads a string or a list of strings that is not empty; with scalars, numbers and truths too.
func (n *node) strings(scalars bool) ([]string, bool) {
	one := func(n *node) bool { return (n.kind == 's' || scalars && n.kind == 'n') && len(n.text) <= textMax }
	if one(n) {
		return []string{n.text}, true
	}
	if n.kind != '[' || len(n.items) == 0 || len(n.items) > valuesMax {
		return nil, false
	}
	list := make([]string, 0, len(n.items))
	for i := range n.items {
		if !one(&n.items[i]) {
			return nil, false
		}
		list = append(list, n.items[i].text)
	}
	return list, true
}

func readPrincipals(n *node) (*principals, error) {
	ps := &principals{}
	if n.kind == 's' && n.text == "*" {
		ps.list = []principal{{kind: "*", name: "*", everyone: true}}
		return ps, nil
	}
	if n.kind != '{' || len(n.fields) == 0 {
		return nil, malformed("Invalid principal in policy")
	}
	for i := range n.fields {
		f := &n.fields[i]
		names, ok := f.value.strings(false)
		if !ok || len(ps.list)+len(names) > valuesMax {
			return nil, malformed("Invalid principal in policy")
		}
		for _, name := range names {
			one, ok := newPrincipal(f.name, name)
			if !ok {
				return nil, malformed("Invalid principal in policy: %s", quoted(f.name+": "+name))
			}
			ps.list = append(ps.list, one)
		}
	}
	return ps, nil
}

func (p *Policy) readActions(s *statement, n *node) error {
	list, ok := n.strings(false)
	if !ok {
		return malformed("Policy has invalid action")
	}
	for _, raw := range list {
		t, _ := newText(lower(raw), true, false)
		t.raw = raw
		if !validAction(&t, p.kind) {
			return malformed("Policy has invalid action: %s", quoted(raw))
		}
		s.actions.list = append(s.actions.list, t)
	}
	return nil
}

const arnPrefix = "arn:aws:s3:::"

func (p *Policy) readResources(s *statement, n *node) error {
	list, ok := n.strings(false)
	if !ok {
		return malformed("Policy has invalid resource")
	}
	for _, raw := range list {
		t, ok := newText(raw, true, p.version == current)
		rest, own := strings.CutPrefix(raw, arnPrefix)
		switch {
		case !ok, own && rest == "":
			return malformed("Policy has invalid resource: %s", quoted(raw))
		case own, raw == "*":
		case p.kind == Identity && strings.HasPrefix(raw, "arn:"):
		default:
			return malformed("Policy has invalid resource: %s", quoted(raw))
		}
		s.resources.list = append(s.resources.list, t)
	}
	return nil
}

// readConditions reads the conditions of a statement, in the order of operator and key.
func (p *Policy) readConditions(n *node) ([]condition, error) {
	if n.kind != '{' {
		return nil, malformed("Invalid policy syntax: Condition must be an object")
	}
	var list []condition
	for i := range n.fields {
		f := &n.fields[i]
		o, ok := newOperator(f.name)
		if !ok {
			return nil, malformed("Invalid Condition type : %s", quoted(f.name))
		}
		if f.value.kind != '{' {
			return nil, malformed("Invalid policy syntax: %s must be an object of keys", f.name)
		}
		for j := range f.value.fields {
			c, err := p.readCondition(o, &f.value.fields[j])
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		}
	}
	if len(list) > keysMax {
		return nil, malformed("A statement has more than %d conditions", keysMax)
	}
	slices.SortStableFunc(list, func(a, b condition) int {
		return strings.Compare(a.operator.raw+"\x00"+a.key, b.operator.raw+"\x00"+b.key)
	})
	return list, nil
}

func (p *Policy) readCondition(o operator, f *field) (condition, error) {
	c := condition{operator: o, key: f.name, lower: foldKey(f.name)}
	if !knownKey(c.lower) {
		return c, malformed("Policy has an invalid condition key: %s", quoted(f.name))
	}
	list, ok := f.value.strings(true)
	if !ok {
		return c, malformed("Policy has an invalid condition value for %s", quoted(f.name))
	}
	for _, raw := range list {
		v, ok := o.newValue(raw, p.version == current)
		if !ok {
			return c, malformed("Policy has an invalid condition value for %s: %s cannot be compared by %s", quoted(f.name), quoted(raw), o.raw)
		}
		c.values = append(c.values, v)
	}
	return c, nil
}

// CheckBucket refuses a policy that could never apply to the bucket that it is for. Error: Invalid, reason BadPolicy.
func (p *Policy) CheckBucket(bucket string) error {
	for i := range p.statements {
		for j := range p.statements[i].resources.list {
			t := &p.statements[i].resources.list[j]
			if !t.couldName(bucket) {
				return malformed("Policy has invalid resource: %s is not of this bucket", quoted(t.raw))
			}
		}
	}
	return nil
}

// couldName tells whether the resource may be the bucket or something in it.
func (t *text) couldName(bucket string) bool {
	rest := strings.TrimPrefix(t.raw, arnPrefix)
	name, _, _ := strings.Cut(rest, "/")
	if strings.Contains(name, "${") {
		return true
	}
	pattern, ok := newText(name, true, false)
	if !ok {
		return false
	}
	// A star may reach over the slash: "bu*key" names objects of every bucket that begins so.
	if i := slices.Index(pattern.fixed, star); i >= 0 {
		return glob(pattern.fixed[:i+1], bucket)
	}
	return glob(pattern.fixed, bucket)
}
