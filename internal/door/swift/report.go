package swift

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// report is the outcome of many operations in one request, in the form of Swift's bulk operations. The answer itself is 200; what came of it stands inside.
type report struct {
	root   string // of XML
	status int
	body   string
	counts map[string]int // "Number Deleted": 3
	failed [][2]string    // quoted name, status line
}

// fail notes that one of the operations failed.
func (r *report) fail(name string, status int) {
	r.failed = append(r.failed, [2]string{quotePath(name, "/"), statusLine(status)})
}

// refuse ends the work: what follows was not tried.
func (r *report) refuse(err error) {
	f := faultOf(err)
	r.status, r.body = f.status, f.msg
	if f.msg == "" {
		r.body = string(page(f.status))
	}
}

// statusLine is a status with its words.
func statusLine(status int) string {
	text := http.StatusText(status)
	if status == statusClientLeft {
		text = "Client Disconnect"
	}
	return strconv.Itoa(status) + " " + text
}

// render writes the report. Text and XML have their keys in order.
func (r *report) render(f format) []byte {
	fields := map[string]any{"Response Status": statusLine(r.status), "Response Body": r.body}
	keys := []string{"Response Status", "Response Body"}
	for key, n := range r.counts {
		fields[key] = n
		keys = append(keys, key)
	}
	slices.Sort(keys)
	text := func(key string) string {
		if n, ok := fields[key].(int); ok {
			return strconv.Itoa(n)
		}
		return fields[key].(string)
	}
	var out bytes.Buffer
	switch f {
	case asJSON:
		fields["Errors"] = append([][2]string{}, r.failed...)
		raw, err := json.Marshal(fields)
		if err != nil {
			return []byte("{}") // cannot happen: it is made of words and numbers
		}
		return raw
	case asXML, asTextXML:
		escape := func(s string) string {
			var b bytes.Buffer
			_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
			return b.String()
		}
		out.WriteString("<" + r.root + ">\n")
		for _, key := range keys {
			tag := strings.ToLower(strings.ReplaceAll(key, " ", "_"))
			out.WriteString("<" + tag + ">" + escape(text(key)) + "</" + tag + ">\n")
		}
		out.WriteString("<errors>\n")
		for _, f := range r.failed {
			out.WriteString("<object><name>" + escape(f[0]) + "</name><status>" + escape(f[1]) + "</status></object>\n")
		}
		out.WriteString("</errors>\n</" + r.root + ">\n")
	case plain:
		for _, key := range keys {
			out.WriteString(key + ": " + text(key) + "\n")
		}
		out.WriteString("Errors:\n")
		for _, f := range r.failed {
			out.WriteString(f[0] + ", " + f[1] + "\n")
		}
	}
	return out.Bytes()
}
