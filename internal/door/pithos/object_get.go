package pithos

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/door/wire"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

const (
	hashName    = "sha256"
	octetStream = "application/octet-stream"
)

func typeOf(contentType string) string {
	if contentType == "" {
		return octetStream
	}
	return contentType
}

// getObject serves HEAD and GET of an object (Pithos+ 7).
func getObject(ctx context.Context, c *call) (*reply, error) {
	text := c.query.Get("version")
	if text == "list" && c.r.Method == http.MethodGet {
		return c.listVersions(ctx)
	}
	t, action := c.target(), access.GetObject
	if c.given("version") {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil || id == 0 {
			return nil, refusal(http.StatusNotFound, "There is no such version")
		}
		t.Which, action = meta.Which{By: meta.ByID, ID: object.VersionID(id)}, access.GetObjectVersion
	}
	o, newest, err := c.open(ctx, t, action)
	if err != nil {
		return nil, err
	}
	return c.serve(ctx, o, newest, c.given("version"))
}

// open opens what is asked for; newest is the newest version of the name. A reader who is not the owner may name the current version only.
func (c *call) open(ctx context.Context, t backend.Target, action access.Action) (o *backend.Object, newest time.Time, err error) {
	if t.Which.By == meta.Newest {
		if o, err = c.door.b.OpenWhole(ctx, c.caller, t, object.Precondition{}, action); err != nil {
			return nil, newest, err
		}
		return o, o.Modified(), nil
	}
	o, err = c.door.b.OpenWhole(ctx, c.caller, t, object.Precondition{}, action)
	if denied(err) {
		current := t
		current.Which = meta.Which{}
		if o, e := c.door.b.Open(ctx, c.caller, current, object.Precondition{}, access.GetObject); e == nil && o.ID == t.Which.ID {
			return o, o.Modified(), nil
		}
	}
	if err != nil {
		return nil, newest, err
	}
	newest, err = c.door.b.LastOf(ctx, o.Container, o.Name)
	return o, newest, err
}

// serve answers with an opened object; old leaves out what belongs to the path.
func (c *call) serve(ctx context.Context, o *backend.Object, newest time.Time, old bool) (*reply, error) {
	root, err := c.rootOf(ctx, o)
	if err != nil {
		return nil, err
	}
	tag := root.String()
	c.set("Etag", c.shownTag(o.Version, tag))
	if err := c.checkRead(o.Version, tag, newest); err != nil {
		return nil, err
	}
	if err := c.describe(ctx, o, root, newest, old); err != nil {
		return nil, err
	}
	if c.given("hashmap") && !c.plain && c.r.Method == http.MethodGet && c.level != publicLevel {
		h, err := o.Hashmap(ctx)
		if err != nil {
			return nil, err
		}
		return &reply{status: http.StatusOK, body: c.renderHashmap(h)}, nil
	}
	return c.data(o, tag)
}

// shownTag is the ETag of a version in the dialect of the request.
func (c *call) shownTag(v *object.Version, root string) string {
	if c.swift {
		return v.ETag
	}
	return root
}

// rootOf is the root hash of an object; of one whose root is not known it is worked out.
func (c *call) rootOf(ctx context.Context, o *backend.Object) (block.ID, error) {
	if o.RootHash != (block.ID{}) {
		return o.RootHash, nil
	}
	h, err := o.Hashmap(ctx)
	if err != nil {
		return block.ID{}, err
	}
	return h.Root(), nil
}

// describe sets the headers of an object (Pithos+ 7.1).
func (c *call) describe(ctx context.Context, o *backend.Object, root block.ID, newest time.Time, old bool) error {
	v := o.Version
	c.set("Content-Type", typeOf(v.ContentType))
	c.set("Last-Modified", wire.FormatDate(newest))
	c.setIf("Content-Encoding", escape(v.Headers.ContentEncoding))
	c.setIf("Content-Disposition", c.disposition(v))
	c.setInt("Content-Length", v.Size)
	c.guard(v.ContentType)
	if c.level == publicLevel {
		return nil
	}
	c.set("X-Object-Hash", root.String())
	c.set("X-Object-Uuid", uuid(v.UUID))
	c.set("X-Object-Modified-By", escape(string(v.Author)))
	c.set("X-Object-Version", strconv.FormatUint(uint64(v.ID), 10))
	c.set("X-Object-Version-Timestamp", wire.FormatDate(v.Modified()))
	if v.Kind == object.DynamicManifest {
		c.set("X-Object-Manifest", escape(v.Target))
	}
	c.showMeta("X-Object-Meta-", v.Meta[object.UserMeta])
	if old {
		return nil
	}
	owner := c.owns()
	shared, err := c.door.b.Sharing(ctx, o.Container, v.Name)
	if err != nil {
		return err
	}
	if shared.Listed() {
		c.set("X-Object-Sharing", escape(showLists(shared.Share)))
		if shared.By != v.Name {
			c.set("X-Object-Shared-By", escape(string(c.owner)+"/"+string(c.container)+"/"+string(shared.By)))
		}
	}
	if owner && v.Share.Public != "" {
		c.set("X-Object-Public", c.publicURL(v.Share.Public))
	}
	if owner {
		return nil
	}
	allowed, err := c.allowedTo(ctx, o.Container, v.Name)
	c.set("X-Object-Allowed-To", allowed)
	c.set("X-Shared-Access", allowed) // an addition: the same word, in a name that does not hang on objects
	return err
}

// guard keeps what users store from being run by a browser as if it were a part of the service: no guessing of types, and for what may hold scripts no origin of
// its own. Other types are left alone, since a sandbox also keeps browsers from showing PDF.
func (c *call) guard(contentType string) {
	c.set("X-Content-Type-Options", "nosniff")
	c.set("Referrer-Policy", "no-referrer") // the address may hold a token, or be the secret itself
	if !inert(contentType) {
		c.set("Content-Security-Policy", "sandbox")
	}
}

// inert tells whether a browser runs nothing of a content type.
func inert(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(typeOf(contentType)), ";")
	kind = strings.TrimSpace(kind)
	family, _, _ := strings.Cut(kind, "/")
	switch {
	case strings.HasSuffix(kind, "+xml"):
		return false
	case family == "image", family == "audio", family == "video", family == "font":
		return true
	}
	return slices.Contains([]string{
		"text/plain", "text/csv", octetStream, "application/pdf", "application/json", "application/zip", "application/gzip", "application/directory", "application/folder",
	}, kind)
}

// disposition is the Content-Disposition of an answer (Pithos+ 7.2).
func (c *call) disposition(v *object.Version) string {
	kind := c.query.Get("disposition-type")
	if kind != "inline" && kind != "attachment" {
		kind = ""
	}
	switch {
	case c.r.Method == http.MethodHead:
		return escape(v.Headers.ContentDisposition)
	case kind == "" && v.Headers.ContentDisposition != "":
		return escape(v.Headers.ContentDisposition)
	case kind == "":
		kind = "inline"
	}
	name := path.Base(string(v.Name))
	return kind + `; filename="` + strings.ReplaceAll(escape(name), `"`, "%22") + `"`
}

// checkRead tests the conditions of a read: times first (Pithos+ 2.6).
func (c *call) checkRead(v *object.Version, tag string, newest time.Time) error {
	if err := c.checkTimes(newest); err != nil {
		return err
	}
	if list, ok := c.tags("If-Match"); ok && !tagMatches(list, v, tag) {
		return refusal(http.StatusPreconditionFailed, "The object is another one")
	}
	if list, ok := c.tags("If-None-Match"); ok && tagMatches(list, v, tag) {
		return refusal(http.StatusNotModified, "")
	}
	return nil
}

// tags reads a list of tags, quoted or not, in lower case.
func (c *call) tags(header string) ([]string, bool) {
	if c.h(header) == "" {
		return nil, false
	}
	var list []string
	for t := range strings.SplitSeq(c.h(header), ",") {
		if t = strings.ToLower(strings.Trim(strings.TrimSpace(t), `"`)); t != "" {
			list = append(list, t)
		}
	}
	return list, true
}

func tagMatches(list []string, v *object.Version, tag string) bool {
	return slices.ContainsFunc(list, func(t string) bool { return t == "*" || t == tag || t == strings.ToLower(v.ETag) })
}

// data answers with the bytes of an object, or ranges of them.
func (c *call) data(o *backend.Object, tag string) (*reply, error) {
	if c.r.Method == http.MethodHead {
		return empty(http.StatusOK), nil
	}
	ranges, err := c.ranges(o.Version, tag)
	if err != nil {
		return nil, err
	}
	switch len(ranges) {
	case 0:
		return &reply{status: http.StatusOK, length: o.Size, stream: func(ctx context.Context, w io.Writer) error {
			return o.CopyTo(ctx, w, 0, o.Size)
		}}, nil
	case 1:
		r := ranges[0]
		c.set("Content-Range", r.ContentRange(o.Size))
		return &reply{status: http.StatusPartialContent, length: r.Length, stream: func(ctx context.Context, w io.Writer) error {
			return o.CopyTo(ctx, w, r.Start, r.Length)
		}}, nil
	}
	return c.multipart(o, ranges), nil
}

// multipart answers with several ranges; each part has exactly two header lines (Pithos+ 7.2).
func (c *call) multipart(o *backend.Object, ranges []wire.Range) *reply {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails (Go 1.24)
	boundary := hex.EncodeToString(raw[:])
	heads := make([]string, len(ranges))
	end := "--" + boundary + "--\r\n"
	length := int64(len(end))
	for i, r := range ranges {
		heads[i] = "--" + boundary + "\r\nContent-Range: " + r.ContentRange(o.Size) + "\r\nContent-Transfer-Encoding: binary\r\n\r\n"
		length += int64(len(heads[i])) + r.Length + 2
	}
	c.set("Content-Type", "multipart/byteranges; boundary="+boundary)
	return &reply{status: http.StatusPartialContent, length: length, stream: func(ctx context.Context, w io.Writer) error {
		for i, r := range ranges {
			if _, err := io.WriteString(w, heads[i]); err != nil {
				return err
			}
			if err := o.CopyTo(ctx, w, r.Start, r.Length); err != nil {
				return err
			}
			if _, err := io.WriteString(w, "\r\n"); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, end)
		return err
	}}
}

// rangesMax bounds the ranges of one request.
const rangesMax = 1000

// ranges reads the Range header; none means everything. It is strict: one range that does not lie inside spoils all (Pithos+ 7.2).
func (c *call) ranges(v *object.Version, tag string) ([]wire.Range, error) {
	text, ok := strings.CutPrefix(strings.ReplaceAll(c.h("Range"), " ", ""), "bytes=")
	if !ok || !c.inRange(v, tag) {
		return nil, nil
	}
	var out []wire.Range
	for part := range strings.SplitSeq(text, ",") {
		first, last, ok := strings.Cut(part, "-")
		a, errA := strconv.ParseInt(first, 10, 64)
		z, errZ := strconv.ParseInt(last, 10, 64)
		switch {
		case !ok || first == "" && last == "" || first != "" && errA != nil || last != "" && errZ != nil || len(out) == rangesMax,
			first != "" && last != "" && a > z:
			return nil, nil // the header is ignored
		case first == "":
			a, z = v.Size-z, v.Size-1
		case last == "":
			z = v.Size - 1
		}
		out = append(out, wire.Range{Start: a, Length: z - a + 1})
	}
	for _, r := range out {
		if r.Start < 0 || r.Start >= v.Size || r.Length <= 0 || r.Start+r.Length > v.Size {
			return nil, refusal(http.StatusRequestedRangeNotSatisfiable, "The range does not lie inside the object").
				carrying("Content-Range", "bytes */"+strconv.FormatInt(v.Size, 10))
		}
	}
	return out, nil
}

// inRange tells whether If-Range lets the range hold.
func (c *call) inRange(v *object.Version, tag string) bool {
	text := strings.Trim(c.h("If-Range"), `" `)
	if text == "" {
		return true
	}
	if at, ok := wire.ParseDate(text); ok {
		return at.Equal(v.Modified().Truncate(time.Second))
	}
	return tagMatches([]string{strings.ToLower(text)}, v, tag)
}

// listVersions lists the versions of a path, the oldest first, without deletion markers (Pithos+ 7.2).
func (c *call) listVersions(ctx context.Context) (*reply, error) {
	if c.plain {
		return nil, bad("A list of versions has the format json or xml")
	}
	if err := c.mustOwn(); err != nil {
		return nil, err
	}
	r := backend.ListRequest{Container: c.ref(), View: meta.View{Kind: meta.ViewAll}, Prefix: string(c.name), Limit: pageMax}
	var found []object.Summary
	known := false
	for {
		page, err := c.door.b.List(ctx, c.caller, r)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			if e.Name != c.name {
				page.Truncated = false // names that begin with ours come behind it
				break
			}
			if known = true; e.Kind != object.DeleteMarker {
				found = append(found, e)
			}
		}
		if !page.Truncated {
			break
		}
		r.After, r.AfterVersion = page.NextAfter, page.NextVersion
	}
	if !known {
		return nil, refusal(http.StatusNotFound, "There is no such object")
	}
	slices.Reverse(found)
	return &reply{status: http.StatusOK, body: c.renderVersions(found)}, nil
}

func (c *call) renderVersions(found []object.Summary) []byte {
	var b strings.Builder
	if c.format == xmlFormat {
		b.WriteString(xmlHead + `<object name="` + quote(string(c.name)) + `">`)
		for i := range found {
			b.WriteString(`<version timestamp="` + stamp(found[i].Modified()) + `">` + strconv.FormatUint(uint64(found[i].ID), 10) + `</version>`)
		}
		b.WriteString("</object>")
		return []byte(b.String())
	}
	b.WriteString(`{"versions": [`)
	for i := range found {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("[" + strconv.FormatUint(uint64(found[i].ID), 10) + `, "` + stamp(found[i].Modified()) + `"]`)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// renderHashmap writes a hashmap (Pithos+ 7.2).
func (c *call) renderHashmap(h *backend.Hashmap) []byte {
	var b strings.Builder
	size, bytes := strconv.FormatInt(h.BlockSize, 10), strconv.FormatInt(h.Size, 10)
	if c.format == xmlFormat {
		b.WriteString(xmlHead + `<object name="` + quote(string(c.name)) + `" bytes="` + bytes + `" block_size="` + size + `" block_hash="` + hashName + `">`)
		for _, id := range h.Blocks {
			b.WriteString("<hash>" + id.String() + "</hash>")
		}
		b.WriteString("</object>")
		return []byte(b.String())
	}
	b.WriteString(`{"block_hash": "` + hashName + `", "block_size": ` + size + `, "bytes": ` + bytes + `, "hashes": [`)
	for i, id := range h.Blocks {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(`"` + id.String() + `"`)
	}
	b.WriteString("]}")
	return []byte(b.String())
}
