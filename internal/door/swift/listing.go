package swift

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pithos/internal/backend"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// format is how a listing is written.
type format uint8

const (
	plain format = iota
	asJSON
	asXML
	asTextXML
)

func (f format) contentType() string {
	return [...]string{"text/plain", "application/json", "application/xml", "text/xml"}[f] + "; charset=utf-8"
}

// listing is what a request asks for. Bounds are exclusive and in ascending order, whatever the direction.
type listing struct {
	format       format
	limit        int
	lower, upper string
	prefix       string
	delimiter    string
	children     bool // only direct children, no common prefixes ("path")
	reverse      bool
}

// entry is a line of a listing.
type entry struct {
	name      string
	subdir    bool
	modified  time.Time
	object    *object.Summary
	owner     naming.AccountID // of the container that the object is in
	in        naming.ContainerName
	version   string // in lists of versions
	latest    bool
	versioned bool // the container keeps versions
	container *bucket.Container
	count     int64
	bytes     int64
}

// listing reads the parameters. Errors: 400 for what is not UTF-8, 406 when no format is acceptable, 412 for a limit over the maximum.
func (c *call) listing(objects bool) (q listing, err error) {
	for name, values := range c.query {
		if len(values) > 0 && !utf8.ValidString(values[0]) {
			return q, bad("\"" + clip(name) + "\" parameter not valid UTF-8")
		}
	}
	if q.format, err = c.format(); err != nil {
		return q, err
	}
	q.limit = c.door.o.Limits.Listing
	if n, err := strconv.Atoi(c.query.Get("limit")); err == nil && n >= 0 {
		if n > q.limit {
			return q, refusal(http.StatusPreconditionFailed, "Maximum limit is "+strconv.Itoa(q.limit))
		}
		q.limit = n
	}
	q.lower, q.upper = c.query.Get("marker"), c.query.Get("end_marker")
	if q.reverse = flag(c.query.Get("reverse")); q.reverse {
		q.lower, q.upper = q.upper, q.lower
	}
	q.prefix, q.delimiter = c.query.Get("prefix"), c.query.Get("delimiter")
	if objects && c.query.Has("path") {
		q.children, q.delimiter = true, "/"
		if q.prefix = c.query.Get("path"); q.prefix != "" {
			q.prefix = strings.TrimRight(q.prefix, "/") + "/"
		}
	}
	return q, nil
}

// format chooses how the answer is written: by parameter, else by the Accept header.
func (c *call) format() (format, error) {
	if c.query.Has("format") {
		switch strings.ToLower(c.query.Get("format")) {
		case "json":
			return asJSON, nil
		case "xml":
			return asXML, nil
		}
		return plain, nil
	}
	c.set("Vary", "Accept")
	return c.accepts(c.h("Accept"))
}

// accepts chooses a format by an Accept header. Errors: 400 when it cannot be read, 406.
func (c *call) accepts(accept string) (format, error) {
	if accept == "" {
		return plain, nil
	}
	best, bestQ, bestExact := plain, 0.0, false
	for spec := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(strings.TrimSpace(spec))
		if err != nil || !strings.Contains(kind, "/") {
			return plain, bad("Invalid Accept header")
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil || q < 0 || q > 1 {
				return plain, bad("Invalid Accept header")
			}
		}
		f, exact, ok := formatOf(kind)
		if ok && (q > bestQ || q == bestQ && exact && !bestExact && q > 0) {
			best, bestQ, bestExact = f, q, exact
		}
	}
	if bestQ == 0 {
		return plain, refusal(http.StatusNotAcceptable, "")
	}
	return best, nil
}

func formatOf(kind string) (f format, exact, ok bool) {
	switch kind {
	case "text/plain":
		return plain, true, true
	case "application/json":
		return asJSON, true, true
	case "application/xml":
		return asXML, true, true
	case "text/xml":
		return asTextXML, true, true
	case "*/*", "text/*":
		return plain, false, true
	case "application/*":
		return asJSON, false, true
	}
	return plain, false, false
}

// fold takes entries in ascending order and keeps those of a listing: it rolls names up at the delimiter, and keeps the last ones of a
// listing in descending order.
type fold struct {
	q       listing
	ordered bool // entries come in the order of the listing, also of one in descending order
	kept    []entry
}

func newFold(q listing) *fold { return &fold{q: q} }

// add takes the next name.
func (f *fold) add(e entry) {
	if e.name <= f.q.lower && f.q.lower != "" || f.q.upper != "" && e.name >= f.q.upper || !strings.HasPrefix(e.name, f.q.prefix) {
		return
	}
	if common, ok := f.q.common(e.name); ok {
		if common == f.q.marker() || len(f.kept) > 0 && f.kept[len(f.kept)-1].subdir && f.kept[len(f.kept)-1].name == common {
			return
		}
		e = entry{name: common, subdir: true}
	}
	f.keep(e)
}

// keep takes an entry that belongs to the listing.
func (f *fold) keep(e entry) {
	switch {
	case f.q.reverse && !f.ordered:
		if f.kept = append(f.kept, e); len(f.kept) >= 2*f.q.limit+64 {
			f.kept = slices.Clone(f.kept[len(f.kept)-f.q.limit:])
		}
	case len(f.kept) < f.q.limit:
		f.kept = append(f.kept, e)
	}
}

// full tells that later names change nothing.
func (f *fold) full() bool { return (f.ordered || !f.q.reverse) && len(f.kept) >= f.q.limit }

// room is how many entries are asked of the backend at once.
func (f *fold) room() int { return min(pageMax, f.q.limit-len(f.kept)) }

func (f *fold) done() []entry {
	if f.q.reverse && !f.ordered {
		slices.Reverse(f.kept)
	}
	return f.kept[:min(len(f.kept), f.q.limit)]
}

// marker is where the client's last page ended.
func (q *listing) marker() string {
	if q.reverse {
		return q.upper
	}
	return q.lower
}

// common is the beginning of a name up to and with the first delimiter behind the prefix.
func (q *listing) common(name string) (string, bool) {
	if q.delimiter == "" || !strings.HasPrefix(name, q.prefix) {
		return "", false
	}
	i := strings.Index(name[len(q.prefix):], q.delimiter)
	if i < 0 {
		return "", false
	}
	return name[:len(q.prefix)+i+len(q.delimiter)], true
}

// pageMax is how many entries are asked of the backend at once.
const pageMax = 1000

// listObjects gives the entries of a listing.
func (c *call) listObjects(ctx context.Context, q listing) ([]entry, error) {
	f := newFold(q)
	if q.reverse {
		return c.listObjectsBack(ctx, f)
	}
	// The backend takes a common prefix that the lower bound lies under for passed; here the rest of it shows once.
	if common, ok := q.common(q.lower); ok && common != q.lower && q.limit > 0 {
		if err := c.addPrefix(ctx, f, common); err != nil {
			return nil, err
		}
	}
	after := q.lower
	for !f.full() {
		page, err := c.door.b.List(ctx, c.caller, backend.ListRequest{
			Container: c.ref(), View: meta.View{Kind: meta.ViewCurrent}, Prefix: q.prefix, Delimiter: q.delimiter, After: after,
			Limit: f.room(),
		})
		if err != nil {
			return nil, err
		}
		past, err := c.addPage(ctx, f, &page)
		if err != nil {
			return nil, err
		}
		if past || !page.Truncated {
			break
		}
		after = page.NextAfter
	}
	return f.done(), nil
}

// listObjectsBack gives the entries of a listing in descending order: the backend walks from the end, so it costs what it shows.
func (c *call) listObjectsBack(ctx context.Context, f *fold) ([]entry, error) {
	f.ordered = true
	before := f.q.upper
	for !f.full() {
		page, err := c.door.b.List(ctx, c.caller, backend.ListRequest{
			Container: c.ref(), View: meta.View{Kind: meta.ViewCurrent}, Prefix: f.q.prefix, Delimiter: f.q.delimiter, After: before, Until: f.q.lower,
			Reverse: true, Limit: f.q.limit - len(f.kept),
		})
		if err != nil {
			return nil, err
		}
		if _, err := c.addPage(ctx, f, &page); err != nil {
			return nil, err
		}
		if !page.Truncated {
			break
		}
		before = page.NextAfter
	}
	return f.done(), nil
}

// addPage adds names and common prefixes of a page in their order; past tells that the upper bound was reached.
func (c *call) addPage(ctx context.Context, f *fold, page *backend.Page) (past bool, err error) {
	names, prefixes := page.Entries, page.Prefixes
	for len(names)+len(prefixes) > 0 && !f.full() {
		isName := len(prefixes) == 0 || len(names) > 0 && (string(names[0].Name) < prefixes[0]) != f.q.reverse
		var next string
		if isName {
			next = string(names[0].Name)
		} else {
			next = prefixes[0]
		}
		if f.q.upper != "" && next >= f.q.upper && !f.q.reverse {
			return true, nil
		}
		if !isName {
			if err := c.addPrefix(ctx, f, next); err != nil {
				return false, err
			}
			prefixes = prefixes[1:]
			continue
		}
		if !f.q.children || next != f.q.prefix {
			f.keep(entry{name: next, modified: names[0].Made(), object: &names[0], owner: c.owner, in: c.container, versioned: c.versions})
		}
		names = names[1:]
	}
	return false, nil
}

// addPrefix adds a common prefix if a name under it lies inside the bounds; where only children are asked for, the object of that very name.
func (c *call) addPrefix(ctx context.Context, f *fold, common string) error {
	inside := strings.HasPrefix(f.q.lower, common) && f.q.lower != common || f.q.upper != "" && strings.HasPrefix(f.q.upper, common)
	if !inside && !f.q.children {
		f.keep(entry{name: common, subdir: true})
		return nil
	}
	page, err := c.door.b.List(ctx, c.caller, backend.ListRequest{
		Container: c.ref(), View: meta.View{Kind: meta.ViewCurrent}, Prefix: common, After: f.q.lower, Limit: 1,
	})
	if err != nil || len(page.Entries) == 0 {
		return err
	}
	first := &page.Entries[0]
	switch {
	case f.q.upper != "" && string(first.Name) >= f.q.upper:
	case !f.q.children:
		f.keep(entry{name: common, subdir: true})
	case string(first.Name) == common:
		f.keep(entry{name: common, modified: first.Made(), object: first, owner: c.owner, in: c.container, versioned: c.versions})
	}
	return nil
}
