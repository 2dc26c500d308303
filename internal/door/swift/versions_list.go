package swift

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// versionListing is a list of versions that a request asks for.
type versionListing struct {
	listing
	marker  string
	version string // of the marker: the list goes on behind this version of it; "": behind all
}

// versionListing reads the parameters. Errors: 400, and 406 when JSON is not accepted.
func (c *call) versionListing(q listing) (versionListing, error) {
	v := versionListing{listing: q, marker: c.query.Get("marker"), version: c.query.Get("version_marker")}
	if c.query.Has("format") && q.format != asJSON {
		return v, refusal(http.StatusNotAcceptable, "")
	}
	if accept := c.h("Accept"); accept != "" && !c.query.Has("format") {
		if _, err := c.accepts(accept); err != nil {
			return v, err
		}
		if !strings.Contains(accept, "json") && !strings.Contains(accept, "*/*") && !strings.Contains(accept, "application/*") {
			return v, refusal(http.StatusNotAcceptable, "")
		}
	}
	v.format = asJSON
	if c.query.Has("version_marker") {
		if !c.query.Has("marker") {
			return v, bad("version_marker param requires marker")
		}
		if _, ok := parseVersion(v.version); !ok && v.version != "null" {
			return v, bad("invalid version_marker param")
		}
	}
	if strings.ContainsAny(q.delimiter, "0123456789.") {
		return v, bad("invalid delimiter param")
	}
	return v, nil
}

// versionsSpare is how many entries more are asked of the backend than the page shows: all versions of a name are read to show one.
const versionsSpare = 64

// listVersions gives the entries of a list of versions.
func (c *call) listVersions(ctx context.Context, q versionListing) ([]entry, error) {
	var out []entry
	var run []object.Summary // versions of one name
	flush := func() {
		if q.reverse {
			slices.Reverse(run)
		}
		list := q.entries(run, c)
		if q.reverse {
			slices.Reverse(list)
		}
		out, run = append(out, list...), run[:0]
	}
	r := backend.ListRequest{
		Container: c.ref(), View: meta.View{Kind: meta.ViewAll}, Prefix: q.prefix, Delimiter: q.delimiter, Reverse: q.reverse,
		Limit: min(pageMax, q.limit+versionsSpare),
	}
	// The versions of the marker itself come too: entries knows which of them lie behind.
	switch {
	case q.marker == "":
	case !q.reverse:
		r.After, r.AfterVersion = q.marker, math.MaxUint64
	case q.version != "":
		r.After = q.marker + "\x00"
	default:
		r.After = q.marker
	}
	for len(out) < q.limit {
		page, err := c.door.b.List(ctx, c.caller, r)
		if err != nil {
			return nil, err
		}
		names, prefixes := page.Entries, page.Prefixes
		for len(names)+len(prefixes) > 0 {
			if len(prefixes) == 0 || len(names) > 0 && (string(names[0].Name) < prefixes[0]) != q.reverse {
				if len(run) > 0 && run[0].Name != names[0].Name {
					flush()
				}
				run, names = append(run, names[0]), names[1:]
				continue
			}
			flush()
			if q.passes(prefixes[0]) {
				out = append(out, entry{name: prefixes[0], subdir: true})
			}
			prefixes = prefixes[1:]
		}
		if !page.Truncated {
			flush()
			break
		}
		r.After, r.AfterVersion = page.NextAfter, page.NextVersion
	}
	return out[:min(len(out), q.limit)], nil
}

// passes tells whether a name lies behind the marker.
func (q *versionListing) passes(name string) bool {
	switch {
	case q.marker == "":
		return true
	case q.reverse:
		return name < q.marker
	}
	return name > q.marker
}

// entries are the lines for the versions of one name.
func (q *versionListing) entries(stored []object.Summary, c *call) []entry {
	if len(stored) == 0 {
		return nil
	}
	name := string(stored[0].Name)
	if !q.passes(name) && (name != q.marker || q.version == "") {
		return nil
	}
	after, _ := parseVersion(q.version)
	var list []entry
	for _, v := range versionsFrom(stored) {
		if name == q.marker && !q.behind(&v, after) {
			continue
		}
		state := v.state
		latest := v.latest && (name != q.marker || !state.Visible()) // Swift does not know behind a version marker
		list = append(list, entry{name: name, modified: state.Modified(), object: &state, owner: c.owner, version: v.name, latest: latest})
	}
	return list
}

// behind tells whether a version of the marker's name lies behind the version marker.
func (q *versionListing) behind(v *shownVersion, after object.VersionID) bool {
	switch {
	case q.version == "null":
		return v.name != "null" && !q.reverse
	case v.name == "null":
		return q.reverse
	case q.reverse:
		return v.id > after
	}
	return v.id < after
}
