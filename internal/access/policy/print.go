package policy

import (
	"bytes"
	"encoding/json"
)

// Print writes the policy in a canonical form: elements in a fixed order, lists always as lists, conditions in order. Parse reads it to the same policy.
func (p *Policy) Print() []byte {
	var w printer
	w.begin('{')
	if p.version != "" {
		w.field("Version", p.version)
	}
	if p.id != "" {
		w.field("Id", p.id)
	}
	w.name("Statement")
	w.begin('[')
	for i := range p.statements {
		w.comma()
		w.statement(&p.statements[i])
	}
	w.end(']')
	w.end('}')
	return w.b.Bytes()
}

// printer writes JSON by hand, since the order of elements matters to readers.
type printer struct {
	b     bytes.Buffer
	inner bool // something was written since the last begin
}

func (w *printer) begin(c byte) {
	w.b.WriteByte(c)
	w.inner = false
}

func (w *printer) end(c byte) {
	w.b.WriteByte(c)
	w.inner = true
}

func (w *printer) comma() {
	if w.inner {
		w.b.WriteByte(',')
	}
	w.inner = true
}

func (w *printer) text(s string) {
	quoted, _ := json.Marshal(s) // a string always can be
	w.b.Write(quoted)
}

func (w *printer) name(s string) {
	w.comma()
	w.text(s)
	w.b.WriteByte(':')
}

func (w *printer) field(name, value string) {
	w.name(name)
	w.text(value)
}

func (w *printer) list(name string, values []string) {
	w.name(name)
	w.begin('[')
	for _, v := range values {
		w.comma()
		w.text(v)
	}
	w.end(']')
}

func (w *printer) statement(s *statement) {
	w.begin('{')
	if s.sid != "" {
		w.field("Sid", s.sid)
	}
	effect := "Allow"
	if s.deny {
		effect = "Deny"
	}
	w.field("Effect", effect)
	if s.principals != nil {
		w.principals(s.principals)
	}
	w.texts("Action", &s.actions)
	w.texts("Resource", &s.resources)
	w.conditions(s.conditions)
	w.end('}')
}

func (w *printer) principals(ps *principals) {
	name := "Principal"
	if ps.not {
		name = "NotPrincipal"
	}
	if ps.list[0].kind == "*" {
		w.field(name, "*")
		return
	}
	w.name(name)
	w.begin('{')
	for i := 0; i < len(ps.list); { // those of one kind stand together
		var names []string
		kind := ps.list[i].kind
		for ; i < len(ps.list) && ps.list[i].kind == kind; i++ {
			names = append(names, ps.list[i].name)
		}
		w.list(kind, names)
	}
	w.end('}')
}

func (w *printer) texts(name string, t *texts) {
	if t.not {
		name = "Not" + name
	}
	values := make([]string, len(t.list))
	for i := range t.list {
		values[i] = t.list[i].raw
	}
	w.list(name, values)
}

func (w *printer) conditions(list []condition) {
	if len(list) == 0 {
		return
	}
	w.name("Condition")
	w.begin('{')
	for i := 0; i < len(list); { // those of one operator stand together
		operator := list[i].operator.raw
		w.name(operator)
		w.begin('{')
		for ; i < len(list) && list[i].operator.raw == operator; i++ {
			values := make([]string, len(list[i].values))
			for j := range list[i].values {
				values[j] = list[i].values[j].text.raw
			}
			w.list(list[i].key, values)
		}
		w.end('}')
	}
	w.end('}')
}
