package pithos

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// payload is the body of a request. Its first Read asks a waiting client to send.
func (c *call) payload() backend.Body {
	size := c.r.ContentLength
	if len(c.r.TransferEncoding) > 0 {
		size = -1
	}
	return backend.Body{Reader: (*bodyReader)(c), Size: size}
}

// paced reads the request's body at the client's pace and within the user's share.
func (c *call) paced() *wire.Body {
	if c.body == nil {
		c.body = wire.NewBody(c.w.W, c.r, c.door.o.Clock, c.door.o.Pace)
		c.turn.Meter(c.r.Context(), &c.w, c.body)
	}
	return c.body
}

type bodyReader call

func (b *bodyReader) Read(p []byte) (int, error) {
	return (*call)(b).paced().Read(p)
}

// putObject writes an object: from a body, from a hashmap, or from another object (Pithos+ 8.1 to 8.3).
func putObject(ctx context.Context, c *call) (*reply, error) {
	if c.has("X-Copy-From") || c.has("X-Move-From") {
		return c.putFrom(ctx)
	}
	cond := c.writeCondition()
	a, err := c.putHeaders()
	if err != nil {
		if first := c.door.b.Demand(ctx, c.caller, c.ref(), c.name, cond); first != nil { // it comes first (Pithos+ 8.1)
			return nil, unmet(cond, first)
		}
		return nil, err
	}
	if c.given("hashmap") {
		return c.putHashmap(ctx, a, cond)
	}
	body := c.payload()
	want := strings.ToLower(strings.Trim(c.h("Etag"), `"`))
	if len(want) == 2*md5Size {
		body.Prove = func(d object.Digests) error {
			if hex.EncodeToString(d.MD5[:]) != want {
				return wrongTag()
			}
			return nil
		}
	}
	r := backend.PutRequest{Container: c.ref(), Name: c.name, Attributes: a, If: cond, Body: body}
	if len(want) == 2*len(block.ID{}) {
		r.ProveRoot = func(root block.ID) error {
			if root.String() != want {
				return wrongTag()
			}
			return nil
		}
	}
	v, err := c.door.b.Put(ctx, c.caller, r)
	if err != nil {
		return nil, unmet(cond, err)
	}
	return c.stored(ctx, v, http.StatusCreated)
}

// putHeaders reads what the headers of a PUT with data or a hashmap say, in the order of Pithos+ 8.1.
func (c *call) putHeaders() (a backend.Attributes, err error) {
	if len(c.r.TransferEncoding) == 0 && !c.has("Content-Length") && c.r.ContentLength <= 0 {
		return a, refusal(http.StatusLengthRequired, "Missing Content-Length header")
	}
	if c.h("Content-Type") == "" && c.swift {
		c.r.Header["Content-Type"] = []string{octetStream}
	}
	if c.h("Content-Type") == "" {
		return a, refusal(http.StatusLengthRequired, "Missing Content-Type header")
	}
	return c.attributes()
}

const md5Size = 16

func wrongTag() error {
	return errs.E("pithos.putObject", errs.Invalid, errs.Request, "").Because(errs.BadDigest, "The ETag is not that of the data")
}

// unmet says 412 of an If-Match on what is not there (Pithos+ 2.6).
func unmet(cond object.Precondition, err error) error {
	if len(cond.IfMatch) > 0 && errs.IsThing(err, errs.NotFound, errs.Object) {
		return refusal(http.StatusPreconditionFailed, "There is no such object").because(err)
	}
	return err
}

// stored answers for a new version.
func (c *call) stored(ctx context.Context, v *object.Version, status int) (*reply, error) {
	root := v.RootHash
	if root == (block.ID{}) {
		var err error
		if root, err = c.door.b.RootOf(ctx, c.caller, c.ref(), &v.Summary); err != nil {
			return nil, err
		}
	}
	c.set("Etag", c.shownTag(v, root.String()))
	c.set("X-Object-Version", strconv.FormatUint(uint64(v.ID), 10))
	c.set("X-Object-Uuid", uuid(v.UUID)) // an addition: who follows moves need not ask again
	return empty(status), nil
}

// writeCondition reads the conditions of a write (Pithos+ 2.6).
func (c *call) writeCondition() object.Precondition {
	var p object.Precondition
	p.IfMatch, _ = c.tags("If-Match")
	p.IfNoneMatch, _ = c.tags("If-None-Match")
	return p
}

// attributes reads what the request says of the object that it makes (Pithos+ 8.1).
func (c *call) attributes() (backend.Attributes, error) {
	a := backend.Attributes{
		Owner: c.owner, ContentType: c.h("Content-Type"), StorageClass: "STANDARD",
		Headers: object.Headers{ContentEncoding: c.headers["Content-Encoding"], ContentDisposition: c.headers["Content-Disposition"]},
	}
	given, err := mergeMeta(nil, c.metadata("X-Object-Meta-", false), false)
	if err != nil {
		return a, err
	}
	if len(given) > 0 {
		a.Meta = map[object.Domain]map[string]string{object.UserMeta: given}
	}
	if target := c.headers["X-Object-Manifest"]; target != "" {
		a.Kind, a.Target = object.DynamicManifest, target
	}
	a.Share, err = c.shareGiven()
	return a, err
}

// shareGiven reads X-Object-Sharing and X-Object-Public (Pithos+ 8.1).
func (c *call) shareGiven() (*backend.ShareChange, error) {
	var s backend.ShareChange
	if c.has("X-Object-Sharing") {
		lists, err := parseSharing(c.headers["X-Object-Sharing"])
		if err != nil {
			return nil, err
		}
		s.Lists = lists
	}
	if c.has("X-Object-Public") {
		on := false
		switch strings.ToLower(c.h("X-Object-Public")) {
		case "true":
			on = true
		case "false", "":
		default:
			return nil, bad("X-Object-Public is true or false")
		}
		s.Public = &on
	}
	if s.Lists == nil && s.Public == nil {
		return nil, nil //nolint:nilnil // nothing is to change
	}
	return &s, nil
}

// parseSharing reads sharing lists: "read=a,b; write=c" (Pithos+ 8.1).
func parseSharing(text string) (*backend.ShareLists, error) {
	var lists backend.ShareLists
	text = strings.ToLower(strings.ReplaceAll(text, " ", ""))
	if text == "" {
		return &lists, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		if part == "" {
			continue
		}
		kind, members, _ := strings.Cut(part, "=")
		into := &lists.Read
		switch {
		case kind == "write":
			into = &lists.Write
		case kind != "read":
			return nil, bad("Sharing is written read=a,b; write=c")
		}
		for m := range strings.SplitSeq(members, ",") {
			if m == "" || utf8.RuneCountInString(m) > memberMax {
				return nil, bad("A member of a sharing list has 1 to 256 characters")
			}
			if !slices.Contains(*into, m) {
				*into = append(*into, m)
			}
		}
	}
	for _, list := range []*[]string{&lists.Read, &lists.Write} {
		if slices.Contains(*list, "*") {
			*list = []string{"*"}
		}
	}
	lists.Read = slices.DeleteFunc(lists.Read, func(m string) bool { return m != "*" && slices.Contains(lists.Write, m) })
	return &lists, nil
}

// showLists writes sharing lists.
func showLists(s object.Share) string {
	var parts []string
	if len(s.Read) > 0 {
		parts = append(parts, "read="+strings.Join(s.Read, ","))
	}
	if len(s.Write) > 0 {
		parts = append(parts, "write="+strings.Join(s.Write, ","))
	}
	return strings.Join(parts, "; ")
}

// hashmapBody is what clients send.
type hashmapBody struct {
	Hashes    *[]string `json:"hashes"`
	Bytes     *int64    `json:"bytes"`
	BlockSize int64     `json:"block_size"`
	BlockHash string    `json:"block_hash"`
}

// putHashmap makes an object out of blocks, or tells which are missing (Pithos+ 8.2).
func (c *call) putHashmap(ctx context.Context, a backend.Attributes, cond object.Precondition) (*reply, error) {
	raw, err := wire.ReadAll((*bodyReader)(c), c.r.ContentLength, hashmapBodyMax)
	if err != nil {
		return nil, err
	}
	var body hashmapBody
	if err := json.Unmarshal(raw, &body); err != nil || body.Hashes == nil || body.Bytes == nil {
		return nil, bad(`The body is not of the form {"hashes": [...], "bytes": n}`)
	}
	container, err := c.door.b.Found(ctx, c.ref())
	if err != nil {
		return nil, err
	}
	if body.BlockSize != 0 && body.BlockSize != c.door.b.BlockSize(container) || body.BlockHash != "" && body.BlockHash != hashName {
		return nil, bad("The block size or hash is not that of the container")
	}
	r := backend.MapRequest{Container: c.ref(), Name: c.name, Attributes: a, If: cond, Size: *body.Bytes}
	for _, text := range *body.Hashes {
		id, err := block.ParseID(text)
		if err != nil {
			return nil, err
		}
		r.Blocks = append(r.Blocks, id)
	}
	v, err := c.door.b.PutMap(ctx, c.caller, r)
	if err != nil {
		return nil, c.missing(unmet(cond, err))
	}
	return c.stored(ctx, v, http.StatusCreated)
}

// missing answers 409 with the hashes of the blocks that have to be sent: always JSON.
func (c *call) missing(err error) error {
	var m *backend.MissingError
	if !asMissing(err, &m) {
		return err
	}
	f := refusal(http.StatusConflict, "Blocks have to be sent").because(err).carrying("Content-Type", jsonFormat.contentType())
	f.body = hashList(m.Blocks)
	return f
}

func hashList(ids []block.ID) []byte {
	out := []byte("[")
	for i, id := range ids {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(append(append(out, '"'), id.String()...), '"')
	}
	return append(out, ']')
}

// sendHashes answers with the hashes of blocks that came.
func (c *call) sendHashes(status int, ids []block.ID) *reply {
	if c.format != xmlFormat {
		c.set("Content-Type", jsonFormat.contentType())
		return &reply{status: status, body: hashList(ids)}
	}
	var b strings.Builder
	b.WriteString(xmlHead + "<items>")
	for _, id := range ids {
		b.WriteString("<item>" + id.String() + "</item>")
	}
	b.WriteString("</items>")
	return &reply{status: status, body: []byte(b.String())}
}
