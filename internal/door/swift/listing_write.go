package swift

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pithos/internal/backend"
	"pithos/internal/object"
)

// list answers with a listing; kind and name are of the root element in XML. HEAD tells its type only.
func (c *call) list(q listing, kind, name string, entries []entry) (*reply, error) {
	c.set("Accept-Ranges", "bytes")
	c.set("Content-Type", q.format.contentType())
	if c.r.Method == http.MethodHead || q.format == plain && len(entries) == 0 {
		return empty(http.StatusNoContent), nil
	}
	var body []byte
	var err error
	switch q.format {
	case asJSON:
		body, err = listJSON(entries)
	case asXML, asTextXML:
		body, err = listXML(kind, name, entries)
	case plain:
		body = listPlain(entries)
	}
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, body: body}, nil
}

func listPlain(entries []entry) []byte {
	var out bytes.Buffer
	for i := range entries {
		out.WriteString(entries[i].name)
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// listedTime is a moment as listings show it.
func listedTime(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000") }

// fields are an entry's elements in the order of XML listings.
type field struct {
	name  string
	text  string
	isInt bool
}

func (e *entry) fields() []field {
	if e.container != nil {
		return []field{
			{"name", e.name, false},
			{"count", strconv.FormatInt(e.count, 10), true},
			{"bytes", strconv.FormatInt(e.bytes, 10), true},
			{"last_modified", listedTime(e.modified), false},
			{"storage_policy", policyOf(&e.container.Config).name, false},
		}
	}
	hash, kind := backend.SumOf(e.object), typeOf(e.object.ContentType)
	if e.object.Kind == object.DeleteMarker {
		hash, kind = emptyMD5, markerType
	}
	return []field{
		{"name", e.name, false},
		{"hash", hash, false},
		{"bytes", strconv.FormatInt(e.object.Size, 10), true},
		{"content_type", kind, false},
		{"last_modified", listedTime(e.modified), false},
	}
}

func listJSON(entries []entry) ([]byte, error) {
	out := make([]map[string]any, len(entries))
	for i := range entries {
		e := &entries[i]
		if e.subdir {
			out[i] = map[string]any{"subdir": e.name}
			continue
		}
		out[i] = map[string]any{}
		for _, f := range e.fields() {
			if f.isInt {
				out[i][f.name] = json.Number(f.text)
			} else {
				out[i][f.name] = f.text
			}
		}
		if err := e.addKind(out[i]); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// addKind adds what a listing tells of manifests and links besides.
func (e *entry) addKind(fields map[string]any) error {
	if e.object == nil {
		return nil
	}
	if e.version != "" {
		fields["version_id"], fields["is_latest"] = e.version, e.latest
	}
	if id := backend.StateOf(e.object); e.versioned && (!e.object.Null || id != e.object.ID) {
		t := backend.Target{Container: backend.Ref{Account: e.owner, Name: e.in}, Name: e.object.Name}
		fields["symlink_path"], fields["version_symlink"] = targetPath(t)+"?version-id="+versionName(id), true
	}
	switch e.object.Kind {
	case object.StaticManifest:
		fields["slo_etag"] = `"` + backend.PlainETag(e.object) + `"`
	case object.Link:
		l, err := backend.ParseLink(e.object.Note)
		if err != nil {
			return err
		}
		fields["symlink_path"] = targetPath(l.Target(e.owner))
		if l.ETag != "" {
			fields["symlink_etag"], fields["symlink_bytes"] = l.ETag, l.Bytes
		}
		if l.Whole != "" {
			fields["slo_etag"] = `"` + l.Whole + `"`
		}
	case object.Data, object.DeleteMarker, object.DynamicManifest:
	}
	return nil
}

func listXML(kind, name string, entries []entry) ([]byte, error) {
	var out bytes.Buffer
	text := func(s string) error { return xml.EscapeText(&out, []byte(s)) }
	out.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<" + kind + ` name="`)
	if err := text(name); err != nil {
		return nil, err
	}
	out.WriteString(`">`)
	element, newline := "object", ""
	if kind == "account" {
		element, newline = "container", "\n"
	}
	out.WriteString(newline)
	for i := range entries {
		e := &entries[i]
		if e.subdir {
			var quoted strings.Builder
			if err := xml.EscapeText(&quoted, []byte(e.name)); err != nil {
				return nil, err
			}
			out.WriteString(`<subdir name="` + quoted.String() + `"`)
			if kind == "account" {
				out.WriteString("/>" + newline)
			} else {
				out.WriteString("><name>" + quoted.String() + "</name></subdir>")
			}
			continue
		}
		out.WriteString("<" + element + ">")
		for _, f := range e.fields() {
			out.WriteString("<" + f.name + ">")
			if err := text(f.text); err != nil {
				return nil, err
			}
			out.WriteString("</" + f.name + ">")
		}
		out.WriteString("</" + element + ">" + newline)
	}
	out.WriteString("</" + kind + ">")
	return out.Bytes(), nil
}

// formatDecimal is seconds with five decimals.
func formatDecimal(seconds, decimals int64) string {
	s := strconv.FormatInt(decimals, 10)
	return strconv.FormatInt(seconds, 10) + "." + strings.Repeat("0", 5-len(s)) + s
}
