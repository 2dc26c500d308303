package swift

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"pithos/internal/naming"
)

// manifestReport is the document that tells what an operation on many objects did. It is written where the status of the answer cannot tell it.
type manifestReport struct {
	facts  []fact // in the order of their names
	errors [][2]string
	root   string // element in XML
}

type fact struct {
	name  string
	value any // text or number
}

// reportFormat chooses the form of a report by the Accept header; what cannot be read or served means plain text.
func (c *call) reportFormat() format {
	f, err := c.accepts(c.h("Accept"))
	if err != nil {
		return plain
	}
	return f
}

// write writes the report as Swift's large objects and bulk operations do.
func (r *manifestReport) write(f format) []byte {
	var out bytes.Buffer
	switch f {
	case asJSON:
		m := map[string]any{"Errors": r.errors}
		if r.errors == nil {
			m["Errors"] = []string{}
		}
		for _, fact := range r.facts {
			m[fact.name] = fact.value
		}
		raw, err := json.Marshal(m)
		if err != nil {
			return []byte("{}") // cannot happen: the map holds text and numbers
		}
		return raw
	case asXML, asTextXML:
		out.WriteString("<" + r.root + ">\n")
		for _, fact := range r.facts {
			tag := strings.ToLower(strings.ReplaceAll(fact.name, " ", "_"))
			out.WriteString("<" + tag + ">" + xmlText(factText(fact.value)) + "</" + tag + ">\n")
		}
		out.WriteString("<errors>\n")
		for _, e := range r.errors {
			out.WriteString("<object><name>" + xmlText(e[0]) + "</name><status>" + xmlText(e[1]) + "</status></object>\n")
		}
		out.WriteString("</errors>\n</" + r.root + ">\n")
	case plain:
		for _, fact := range r.facts {
			out.WriteString(fact.name + ": " + factText(fact.value) + "\n")
		}
		out.WriteString("Errors:\n")
		for _, e := range r.errors {
			out.WriteString(e[0] + ", " + e[1] + "\n")
		}
	}
	return out.Bytes()
}

func factText(value any) string {
	if n, ok := value.(int); ok {
		return strconv.Itoa(n)
	}
	text, _ := value.(string)
	return text
}

func xmlText(s string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(s)) // a strings.Builder never fails
	return out.String()
}

// statusOfError is the status that a request of its own, about something of an account, would have been answered with.
func (c *call) statusOfError(account naming.AccountID, err error) int {
	f := faultOf(c.hideFrom(account, err))
	if f.status == http.StatusForbidden && c.caller.Anonymous() {
		return http.StatusUnauthorized
	}
	return f.status
}
