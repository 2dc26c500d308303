package pithos

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// limit is the number of entries asked for; what is no number, or too much, is the most there is (Pithos+ 4.2).
func (c *call) limit() int {
	n, err := strconv.Atoi(c.query.Get("limit"))
	if err != nil || n <= 0 {
		return c.door.o.Listing
	}
	return min(n, c.door.o.Listing)
}

// until is the moment that the request wants to look back to (Pithos+ 1.6); what is no such number is ignored.
func (c *call) until() (time.Time, bool) { return parseUntil(c.query.Get("until")) }

func parseUntil(text string) (time.Time, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 1<<40 {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), true
}

// checkTimes tests the conditions of an account or container (Pithos+ 2.6).
func (c *call) checkTimes(modified time.Time) error {
	modified = modified.Truncate(time.Second)
	if at, ok := wire.ParseDate(c.h("If-Modified-Since")); ok && !modified.After(at) {
		return refusal(http.StatusNotModified, "")
	}
	if at, ok := wire.ParseDate(c.h("If-Unmodified-Since")); ok && modified.After(at) {
		return refusal(http.StatusPreconditionFailed, "It was modified")
	}
	return nil
}

// iso is a time as listings show it: always six digits, since clients compare the text.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000+00:00") }

// stamp is the time of a version as listings show it.
func stamp(t time.Time) string {
	us := t.UnixMicro()
	return fmt.Sprintf("%d.%06d", us/1e6, us%1e6)
}

// field is one value of a listing's element.
type field struct {
	name  string
	value any
}

// list is a listing on its way to one of the formats.
type list struct {
	root, name string // XML
	items      []item
}

type item struct {
	element string
	text    string
	fields  []field
	subdir  bool
}

func (c *call) newList(root, name string) *list { return &list{root: root, name: name} }

func (l *list) add(element, text string, fields ...field) {
	l.items = append(l.items, item{element: element, text: text, fields: fields})
}

// sendList answers with a listing: text is 204 when empty (Pithos+ 3.2, 4.2, 5.2).
func (c *call) sendList(l *list) *reply {
	switch c.format {
	case jsonFormat:
		return &reply{status: http.StatusOK, body: l.json()}
	case xmlFormat:
		return &reply{status: http.StatusOK, body: l.xml()}
	}
	if len(l.items) == 0 {
		return empty(http.StatusNoContent)
	}
	var b strings.Builder
	for _, it := range l.items {
		b.WriteString(it.text + "\n")
	}
	return &reply{status: http.StatusOK, body: []byte(b.String())}
}

func (l *list) json() []byte {
	out := []byte("[")
	for i, it := range l.items {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(out, '{')
		for j, f := range it.fields {
			if j > 0 {
				out = append(out, ", "...)
			}
			raw, err := json.Marshal(f.value)
			if err != nil { // never: text and numbers
				raw = []byte("null")
			}
			out = append(append(append(out, `"`+f.name+`": `...), raw...), ""...)
		}
		out = append(out, '}')
	}
	return append(out, ']')
}

func (l *list) xml() []byte {
	var b strings.Builder
	b.WriteString(xmlHead + "<" + l.root)
	if l.name != "" {
		b.WriteString(` name="` + quote(l.name) + `"`)
	}
	b.WriteString(">")
	for _, it := range l.items {
		if it.subdir {
			b.WriteString(`<subdir name="` + quote(it.text) + `"/>`)
			continue
		}
		b.WriteString("<" + it.element + ">")
		for _, f := range it.fields {
			b.WriteString("<" + f.name + ">")
			if p, ok := f.value.(policy); ok {
				for _, kv := range [][2]string{{policyQuota, p.Quota}, {policyVersioning, p.Versioning}, {policyProject, p.Project}} {
					b.WriteString("<key>" + kv[0] + "</key><value>" + quote(kv[1]) + "</value>")
				}
			} else {
				b.WriteString(quote(fmt.Sprint(f.value)))
			}
			b.WriteString("</" + f.name + ">")
		}
		b.WriteString("</" + it.element + ">")
	}
	b.WriteString("</" + l.root + ">")
	return []byte(b.String())
}

// xmlHead begins every document: a line break behind it, and nothing more (Pithos+ 2.3).
const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

func quote(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}

// view is what of a container a listing asks for (Pithos+ 5.2).
type listQuery struct {
	backend.ListRequest
	virtual bool // show rolled-up prefixes
	terms   query
	shared  backend.SharedFilter
	end     string // names are less, if it is set
}

// reversed tells whether a listing is to go backwards, as Swift's do (Pithos+ 16.2).
func (c *call) reversed() bool {
	return slices.Contains([]string{"true", "1", "yes", "on", "t", "y"}, strings.ToLower(c.query.Get("reverse")))
}

// behind tells whether a name is not to be listed any more.
func (q *listQuery) behind(name string) bool { return q.end != "" && name >= q.end }

func (c *call) listQuery() listQuery {
	q := listQuery{virtual: true, terms: parseMetaQuery(c.query.Get("meta"))}
	q.Container, q.Limit, q.After = c.ref(), c.limit(), c.query.Get("marker")
	q.Prefix, q.Delimiter = c.query.Get("prefix"), c.query.Get("delimiter")
	if path := c.query.Get("path"); path != "" {
		q.Prefix, q.Delimiter, q.virtual = path, "/", false
	}
	q.Prefix = strings.TrimLeft(q.Prefix, "/")
	if q.Prefix != "" && q.Delimiter != "" && !strings.HasSuffix(q.Prefix, q.Delimiter) {
		q.Prefix += q.Delimiter
	}
	q.shared = backend.SharedFilter{Lists: c.given("shared"), Public: c.given("public")}
	q.end, q.Reverse = c.query.Get("end_marker"), c.reversed()
	if q.Reverse {
		q.Until, q.end = q.end, ""
	}
	return q
}

// page gives one page of current objects, of objects at a moment, or of what is shared.
func (c *call) page(ctx context.Context, r backend.ListRequest, owner bool, until time.Time, past bool) (backend.Page, error) {
	if past {
		r.View = meta.View{Kind: meta.ViewAsOf, At: until}
	}
	shared := backend.SharedFilter{Lists: c.given("shared"), Public: c.given("public")}
	special := !owner || shared.Lists || shared.Public
	if r.Reverse && (special || past) {
		return backend.Page{}, bad("Only what is in a container now, and all of it, is listed backwards")
	}
	if special {
		return c.door.b.ListShared(ctx, c.caller, r, shared)
	}
	return c.door.b.List(ctx, c.caller, r)
}

// rollsMax bounds how many pages of the store one page of an answer takes.
const rollsMax = 1000

// listObjects is the listing of a container (Pithos+ 5.2). A name whose first delimiter is its last character counts as an object; if it exists it
// stands in the place of the virtual entry of the same name.
func (c *call) listObjects(ctx context.Context, container bucket.Container, owner bool, until time.Time, past bool) (*reply, error) {
	q := c.listQuery()
	l := c.newList("container", string(c.container))
	show := &objectList{c: c, container: container, owner: owner, past: past, list: l}
	for range rollsMax {
		page, err := c.page(ctx, q.ListRequest, owner, until, past)
		if err != nil {
			return nil, err
		}
		if err := show.page(ctx, &q, page); err != nil {
			return nil, err
		}
		if !page.Truncated || len(l.items) >= q.Limit || show.ended {
			break
		}
		q.After, q.AfterVersion = page.NextAfter, page.NextVersion
	}
	if len(l.items) > q.Limit {
		l.items = l.items[:q.Limit]
	}
	return c.sendList(l), nil
}

// objectList writes pages of objects into a listing.
type objectList struct {
	c         *call
	container bucket.Container
	owner     bool
	past      bool
	ended     bool // what follows is behind the end that was asked for
	list      *list
}

// page merges entries and rolled-up prefixes in order.
func (s *objectList) page(ctx context.Context, q *listQuery, page backend.Page) error {
	entries, prefixes := page.Entries, page.Prefixes
	for len(entries) > 0 || len(prefixes) > 0 {
		isName := len(prefixes) == 0 || len(entries) > 0 && (string(entries[0].Name) < prefixes[0]) != q.Reverse
		if isName && q.behind(string(entries[0].Name)) || !isName && q.behind(prefixes[0]) {
			s.ended = true
			return nil
		}
		if isName {
			if err := s.object(ctx, q, &entries[0]); err != nil {
				return err
			}
			entries = entries[1:]
			continue
		}
		if err := s.prefix(ctx, q, prefixes[0]); err != nil {
			return err
		}
		prefixes = prefixes[1:]
	}
	return nil
}

// prefix shows a rolled-up prefix, or the object that is called so.
func (s *objectList) prefix(ctx context.Context, q *listQuery, name string) error {
	one := q.ListRequest
	one.Prefix, one.Delimiter, one.After, one.Limit, one.Reverse, one.Until = name, "", "", 2, false, ""
	until, past := s.c.until()
	page, err := s.c.page(ctx, one, s.owner, until, past)
	if err != nil {
		return err
	}
	if len(page.Entries) > 0 && string(page.Entries[0].Name) == name {
		return s.object(ctx, q, &page.Entries[0])
	}
	if q.virtual && len(q.terms.terms) == 0 {
		s.list.items = append(s.list.items, item{text: name, subdir: true, fields: []field{{"subdir", name}}})
	}
	return nil
}

func (s *objectList) object(ctx context.Context, q *listQuery, e *object.Summary) error {
	c := s.c
	if len(q.terms.terms) > 0 {
		v, err := c.version(ctx, e)
		if notFound(err) || denied(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if !q.terms.matches(v.Meta[object.UserMeta]) {
			return nil
		}
	}
	if c.format == textFormat {
		s.list.add("object", string(e.Name))
		return nil
	}
	fields, err := s.fields(ctx, e)
	if err != nil {
		return err
	}
	s.list.add("object", string(e.Name), fields...)
	return nil
}

// fields are the values of an object (Pithos+ 5.2).
func (s *objectList) fields(ctx context.Context, e *object.Summary) ([]field, error) {
	c := s.c
	root, err := c.door.b.RootOf(ctx, c.caller, c.ref(), e)
	if err != nil {
		return nil, err
	}
	hash := e.ETag
	if strings.Contains(hash, "-") {
		hash = ""
	}
	f := []field{{"name", string(e.Name)}, {"bytes", e.Size}, {"content_type", typeOf(e.ContentType)}, {"hash", hash}}
	if !s.past {
		f = append(f, field{"last_modified", iso(e.Modified())})
	}
	f = append(f, field{"x_object_hash", root.String()}, field{"x_object_uuid", uuid(e.UUID)}, field{"x_object_version", uint64(e.ID)},
		field{"x_object_version_timestamp", stamp(e.Modified())}, field{"x_object_modified_by", string(e.Author)})
	if s.past {
		return f, nil
	}
	if e.Share.Listed() {
		f = append(f, field{"x_object_sharing", showLists(e.Share)})
	}
	if !s.owner {
		allowed, err := c.allowedTo(ctx, s.container, e.Name)
		if err != nil {
			return nil, err
		}
		f = append(f, field{"x_object_allowed_to", allowed}, field{"x_shared_access", allowed})
	}
	if s.owner && e.Share.Public != "" {
		f = append(f, field{"x_object_public", c.publicURL(e.Share.Public)})
	}
	return f, nil
}

// version is the whole version of an entry of a listing.
func (c *call) version(ctx context.Context, e *object.Summary) (*object.Version, error) {
	o, err := c.door.b.Open(ctx, c.caller, backend.Target{
		Container: c.ref(), Name: e.Name, Which: meta.Which{By: meta.ByID, ID: e.ID},
	}, object.Precondition{}, access.GetObject)
	if err != nil {
		return nil, err
	}
	return o.Version, nil
}

func (c *call) allowedTo(ctx context.Context, container bucket.Container, name naming.ObjectName) (string, error) {
	writes, err := c.door.b.MayWrite(ctx, c.caller, container, name)
	if writes {
		return "write", err
	}
	return "read", err
}

func (c *call) publicURL(id string) string { return c.content() + public + id }

func uuid(id [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
