package swift

import (
	"context"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/object"
)

const (
	defaultType = "application/octet-stream"
	robotsTag   = "x-robots-tag" // in the domain object.SwiftMeta
)

// putObject serves PUT of an object, or of a copy of another.
func putObject(ctx context.Context, c *call) (*reply, error) {
	switch {
	case c.query.Get("version-id") != "" && !c.has("X-Copy-From"):
		return c.restoreVersion(ctx)
	case c.query.Get("multipart-manifest") == "put":
		return c.putManifest(ctx)
	case c.has("X-Copy-From"):
		return c.copyFrom(ctx)
	case c.h("X-Symlink-Target") != "":
		return c.putLink(ctx)
	}
	body, err := c.payload()
	if err != nil {
		return nil, err
	}
	attributes, err := c.attributes()
	if err != nil {
		return nil, err
	}
	cond, err := c.writeCondition()
	if err != nil {
		return nil, err
	}
	if err := c.manifested(&attributes); err != nil {
		return nil, err
	}
	attributes.Encryption.PlainETag = true // Swift promises the MD5
	if err := c.archiveCurrent(ctx, c.target()); err != nil {
		return nil, err
	}
	r := backend.PutRequest{Container: c.ref(), Name: c.name, Attributes: attributes, If: cond, Body: body}
	if want := c.askedTag(); len(want) == 2*len(block.ID{}) { // the ETag in the dialect of Pithos+ (Pithos+ 16.3)
		r.Body.Prove = nil
		r.ProveRoot = func(root block.ID) error {
			if root.String() != want {
				return errs.E("swift.putObject", errs.Invalid, errs.Request, "").Because(errs.BadDigest, "the Etag is not the root hash of the body")
			}
			return nil
		}
	}
	v, err := c.door.b.Put(ctx, c.caller, r)
	if err != nil {
		return nil, err
	}
	return c.stored(v), nil
}

// stored answers for a new version.
func (c *call) stored(v *object.Version) *reply {
	etag := v.ETag // of its own bytes
	if v.Kind == object.StaticManifest {
		etag = `"` + backend.PlainETag(&v.Summary) + `"`
	}
	c.set("Etag", etag)
	if !v.Null {
		c.set("X-Object-Version-Id", versionName(backend.StateOf(&v.Summary)))
	}
	c.set("Last-Modified", lastModified(v.Made()))
	return empty(http.StatusCreated)
}

// askedTag is the digest that the client says its body has; "" for none.
func (c *call) askedTag() string { return strings.ToLower(strings.Trim(c.h("Etag"), `"`)) }

// payload is the body of a PUT. Errors: 411 without a length, 413 over the limit.
func (c *call) payload() (backend.Body, error) {
	size := c.r.ContentLength
	switch {
	case len(c.r.TransferEncoding) > 0:
		size = -1
	case !c.has("Content-Length") && size <= 0:
		return backend.Body{}, refusal(http.StatusLengthRequired, "Missing Content-Length header.")
	case size > c.door.o.Limits.ObjectBytes:
		return backend.Body{}, refusal(http.StatusRequestEntityTooLarge, "Your request is too large.")
	}
	b := backend.Body{Reader: (*bodyReader)(c), Size: size}
	if want := c.askedTag(); want != "" {
		b.Prove = func(d object.Digests) error {
			if hex.EncodeToString(d.MD5[:]) != want {
				return errs.E("swift.putObject", errs.Invalid, errs.Request, "").Because(errs.BadDigest, "the Etag is not the MD5 of the body")
			}
			return nil
		}
	}
	return b, nil
}

// bodyReader reads the request's body at the client's pace. Its first Read asks a waiting client to send.
type bodyReader call

func (b *bodyReader) Read(p []byte) (int, error) {
	tooLarge := errs.E("swift.Read", errs.TooLarge, errs.Request, "").Because(errs.EntityTooLarge, "the body is over the limit")
	if b.input != nil {
		n, err := b.input.Read(p)
		if b.taken += int64(n); b.taken > b.door.o.Limits.ObjectBytes {
			return 0, tooLarge
		}
		return n, err
	}
	n, err := (*call)(b).paced().Read(p)
	if b.body.Count() > b.door.o.Limits.ObjectBytes {
		return 0, tooLarge
	}
	return n, err
}

// writeCondition reads the conditions on a PUT.
func (c *call) writeCondition() (object.Precondition, error) {
	if !c.has("If-None-Match") && !c.has("If-Match") {
		return object.Precondition{}, nil
	}
	if none := c.h("If-None-Match"); none != "" && none != "*" {
		return object.Precondition{}, bad("If-None-Match only supports *")
	}
	all, err := wire.Conditions(c.r.Header, "")
	return object.Precondition{IfMatch: all.IfMatch, IfNoneMatch: all.IfNoneMatch}, err
}

// attributes reads what a request says of the object that it makes.
func (c *call) attributes() (backend.Attributes, error) {
	a := backend.Attributes{Owner: c.owner, Headers: c.contentHeaders(), StorageClass: "STANDARD"}
	var err error
	if a.ContentType, err = c.contentType(); err != nil {
		return a, err
	}
	if a.Expires, err = c.deleteAt(); err != nil {
		return a, err
	}
	a.Meta, err = c.objectMeta(nil)
	return a, err
}

func (c *call) contentHeaders() object.Headers {
	return object.Headers{
		ContentEncoding:    c.h("Content-Encoding"),
		ContentLanguage:    c.h("Content-Language"),
		ContentDisposition: c.h("Content-Disposition"),
		CacheControl:       c.h("Cache-Control"),
		Expires:            c.h("Expires"),
	}
}

// contentType is the type that the request gives, or that the name suggests.
func (c *call) contentType() (string, error) {
	given := c.h("Content-Type")
	switch {
	case !utf8.ValidString(given):
		return "", bad("Content-Type must be valid UTF-8")
	case strings.Contains(strings.ToLower(given), ";swift_") || strings.Contains(strings.ToLower(given), "; swift_"):
		return "", bad("Invalid Content-Type, swift_* is not a valid parameter name.")
	}
	if given == "" || flag(c.h("X-Detect-Content-Type")) {
		return typeByName(string(c.name)), nil
	}
	return given, nil
}

func typeByName(name string) string {
	if path.Ext(name) == ".wav" {
		return "audio/x-wav" // as Swift guesses; systems differ here
	}
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		return defaultType
	}
	kind, _, _ = strings.Cut(kind, ";") // the table guesses a character set, which we do not know
	return kind
}

// objectMeta is the metadata that the request gives, beside what old has in the domains of other doors.
func (c *call) objectMeta(old map[object.Domain]map[string]string) (map[object.Domain]map[string]string, error) {
	given, err := c.metadata("X-Object-Meta-")
	if err != nil {
		return nil, err
	}
	m := map[object.Domain]map[string]string{}
	for domain, values := range old {
		if domain != object.UserMeta && domain != object.SwiftMeta {
			m[domain] = values
		}
	}
	for name, value := range given {
		if value == "" {
			continue // Swift keeps no empty values
		}
		if m[object.UserMeta] == nil {
			m[object.UserMeta] = map[string]string{}
		}
		m[object.UserMeta][name] = value
	}
	if tag := c.h("X-Robots-Tag"); tag != "" {
		m[object.SwiftMeta] = map[string]string{robotsTag: tag}
	}
	return m, nil
}

// deleteAt reads X-Delete-After and X-Delete-At; the former wins. Zero: never.
func (c *call) deleteAt() (time.Time, error) {
	now := c.started
	if text := c.h("X-Delete-After"); text != "" {
		n, err := seconds(text)
		switch {
		case err != nil:
			return time.Time{}, bad("Non-integer X-Delete-After")
		case n <= 0:
			return time.Time{}, bad("X-Delete-After in past")
		}
		return time.Unix(min(now.Unix()+n, deleteAtMax), 0).UTC(), nil
	}
	text := c.h("X-Delete-At")
	if text == "" {
		return time.Time{}, nil
	}
	n, err := seconds(text)
	switch {
	case err != nil:
		return time.Time{}, bad("Non-integer X-Delete-At")
	case n <= now.Unix():
		return time.Time{}, bad("X-Delete-At in past")
	}
	return time.Unix(n, 0).UTC(), nil
}

// deleteAtMax is the latest expiry; later ones become it, as in Swift, whose timestamps have ten digits.
const deleteAtMax = 9999999999

// seconds reads an integer of any size; what is over deleteAtMax becomes that.
func seconds(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) && text[0] != '-' {
		return deleteAtMax, nil
	}
	return min(n, deleteAtMax), err
}

// postObject replaces an object's metadata and keeps its content.
func postObject(ctx context.Context, c *call) (*reply, error) {
	at, err := c.deleteAt()
	if err != nil {
		return nil, err
	}
	if c.query.Get("version-id") != "" {
		return nil, bad("POST to a specific version is not allowed")
	}
	if c.h("X-Symlink-Target") != "" {
		return nil, bad("A PUT request is required to set a symlink target")
	}
	v, err := c.door.b.Revise(ctx, c.caller, c.ref(), c.name, func(v *object.Version, a *backend.Attributes) error {
		redirect := a.Headers.WebsiteRedirect // S3's, and no header of Swift
		a.Headers = c.contentHeaders()
		a.Headers.WebsiteRedirect = redirect
		a.Expires = at
		if c.h("Content-Type") != "" {
			var err error
			if a.ContentType, err = c.contentType(); err != nil {
				return err
			}
		}
		var err error
		if a.Meta, err = c.objectMeta(v.Meta); err != nil {
			return err
		}
		if depth := v.Meta[object.SwiftMeta][depthKey]; depth != "" {
			a.Meta = withSwiftMeta(a.Meta, depthKey, depth)
		}
		if id := backend.StateOf(&v.Summary); !v.Null || id != v.ID {
			a.Note = backend.AsStateOf(v.Note, id)
		}
		if v.Kind == object.Data || v.Kind == object.DynamicManifest {
			a.Kind, a.Target = object.Data, ""
			return c.manifested(a)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if v.Kind == object.Link {
		return c.postedToLink(v)
	}
	return c.accepted(), nil
}
