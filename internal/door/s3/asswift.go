package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// OpenStack Swift serves S3 beside its own API, at the same address: the middleware s3api. Requests signed for S3 that come to openstack.listen are
// served as it does (Options.AsSwift): the same operations on the same objects, with Swift's answers where they are not AWS's. Clients of that address
// were written against them.
//
// Source: the answers of Swift 2.38 with s3_acl.

// Signed reports whether a request is signed for S3, in its header or its query: that is how Swift tells S3's requests from its own.
func Signed(r *http.Request) bool {
	if a := strings.TrimSpace(r.Header.Get("Authorization")); strings.HasPrefix(a, "AWS ") || strings.HasPrefix(a, "AWS4-HMAC-SHA256 ") {
		return true
	}
	_, query := splitTarget(r)
	for pair := range strings.SplitSeq(query, "&") {
		switch name, _, _ := strings.Cut(pair, "="); name {
		case "AWSAccessKeyId", "X-Amz-Algorithm", "X-Amz-Credential":
			return true
		}
	}
	return false
}

// shownTime is how a time shows: Swift rounds up to the second.
func (c *call) shownTime(t time.Time) time.Time {
	if !c.door.o.AsSwift {
		return t
	}
	return roundUp(t)
}

func roundUp(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); whole.Before(t) {
		return whole.Add(time.Second)
	}
	return t
}

// swiftEntry writes what a listing shows of a version besides its name and id; an owner without id is left out.
func (x *document) swiftEntry(e *object.Summary, o owner) {
	x.time("LastModified", roundUp(e.Modified()))
	x.etag(e.ETag)
	x.int("Size", e.Size)
	if o.id != "" {
		x.owner("Owner", o)
	}
	x.text("StorageClass", classOf(e.StorageClass))
}

// plain writes an element with a text whose apostrophes stand for themselves.
func (x *document) plain(name, value string) {
	x.open(name)
	x.raw(strings.ReplaceAll(string(appendEscaped(nil, value)), "&apos;", "'"))
	x.close(name)
}

// needProof refuses a request whose body nothing but a signature vouches for, as Swift and AWS do with DeleteObjects. The S3 door proper asks for no more than
// it is given: there are clients of other services that do not send it. Errors: InvalidRequest.
func (c *call) needProof() error {
	if !c.door.o.AsSwift || c.has("Content-Md5") || len(c.payload.trailers()) > 0 {
		return nil
	}
	for _, n := range algorithmNames {
		if c.has(n.header) {
			return nil
		}
	}
	return fail(InvalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
}

// checkSwiftCondition: of the conditions on writes Swift knows If-None-Match: * only. Errors: NotImplemented.
func (c *call) checkSwiftCondition() error {
	if !c.door.o.AsSwift {
		return nil
	}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if c.has(name) && (name != "If-None-Match" || strings.TrimSpace(c.h(name)) != "*") {
			return fail(NotImplemented, "Conditional writes other than If-None-Match: * are not served at this address.").with("Header", name)
		}
	}
	return nil
}

// uploadFirst: Swift tells that an upload is not there before it tells what is wrong with the list of its parts, which is err. Only a faulty list asks: an upload
// that was completed is gone, and completing it again, as a client does that lost the answer, must succeed.
func (c *call) uploadFirst(ctx context.Context, err error) error {
	if !c.door.o.AsSwift {
		return err
	}
	if _, _, _, missing := c.door.b.Parts(ctx, c.caller, c.ref(), c.name, c.query.get("uploadId"), 0, 1); errs.Is(missing, errs.NotFound) {
		return missing
	}
	return err // also to whoever may complete, but not list
}

// sumless reports whether the upload was begun without a checksum. Then AWS and Swift complete it whatever checksum the request gives, while the S3 door
// proper compares that with the object's.
func (c *call) sumless(ctx context.Context) bool {
	if !c.door.o.AsSwift {
		return false
	}
	u, _, _, err := c.door.b.Parts(ctx, c.caller, c.ref(), c.name, c.query.get("uploadId"), 0, 1)
	return err == nil && u.Checksum == ""
}

// ownedAlready tells whose the bucket is that the caller's account has already. In Swift a user owns it; so where the account's canonical id is a
// user's, that one does.
func (c *call) ownedAlready() error {
	if strings.Contains(c.caller.Canonical, ":") && c.caller.Canonical != string(c.caller.User) {
		return fail(BucketAlreadyExists, "")
	}
	return fail(BucketAlreadyOwnedByYou, "")
}

// escapeStray escapes the percent signs that escape nothing: Swift takes them for themselves.
func escapeStray(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		b.WriteByte(s[i])
		if s[i] == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) {
			b.WriteString("25")
		}
	}
	return b.String()
}

func isHex(ch byte) bool {
	return ch >= '0' && ch <= '9' || ch >= 'a' && ch <= 'f' || ch >= 'A' && ch <= 'F'
}

// robotsTag is the key of X-Robots-Tag in the domain object.SwiftMeta, as the Swift door keeps it.
const robotsTag = "x-robots-tag"

// swiftAttributes reads Swift's own headers of a write. Errors: InvalidArgument.
func (c *call) swiftAttributes(a *backend.Attributes) error {
	if !c.door.o.AsSwift {
		return nil
	}
	if tag := c.h("X-Robots-Tag"); tag != "" {
		if a.Meta == nil {
			a.Meta = map[object.Domain]map[string]string{}
		}
		a.Meta[object.SwiftMeta] = map[string]string{robotsTag: tag}
	}
	for _, h := range []struct {
		name string
		from int64
	}{{"X-Delete-After", c.started.Unix()}, {"X-Delete-At", 0}} {
		text := c.h(h.name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil:
			return badArgument(h.name, text, "Non-integer "+h.name)
		case min(n, expiryMax)+h.from <= c.started.Unix():
			return badArgument(h.name, text, h.name+" in past")
		}
		a.Expires = time.Unix(min(min(n, expiryMax)+h.from, expiryMax), 0).UTC()
		return nil
	}
	return nil
}

// expiryMax is the latest expiry: Swift's timestamps have ten digits.
const expiryMax = 9999999999

// announceable reports whether a header's name, though no token, can stand in an answer: it is printable.
func announceable(name, value string) bool {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] >= 0x7f || name[i] == ':' {
			return false
		}
	}
	return name != "" && validHeader("x", value)
}

// swiftRanges are the ranges of a read that asks for several, which Swift answers; AWS does not.
func (c *call) swiftRanges(v *object.Version, sel selection) []wire.Range {
	if !c.door.o.AsSwift || sel.partial || sel.part > 0 || !c.has("Range") || c.has("If-Range") {
		return nil
	}
	ranges, err := wire.ParseRange(c.h("Range"), v.Size)
	if err != nil {
		return nil // told already
	}
	return ranges
}

// sendRanges answers with several ranges of an object.
func (c *call) sendRanges(o *backend.Object, ranges []wire.Range) *reply {
	b := wire.NewByteranges(ranges, c.out["Content-Type"][0], o.Size)
	c.set("Content-Type", b.ContentType)
	if c.r.Method == http.MethodHead {
		c.set("Content-Length", strconv.FormatInt(b.Length, 10))
		return empty(http.StatusPartialContent)
	}
	return &reply{status: http.StatusPartialContent, length: b.Length, stream: func(ctx context.Context, w io.Writer) error {
		return b.Write(w, func(r wire.Range) error { return o.CopyTo(ctx, w, r.Start, r.Length) })
	}}
}

// entityName finds the names of the entities that a document type declares.
var entityName = regexp.MustCompile(`<!ENTITY\s+([A-Za-z_][\w.-]*)`) // never written

// decodeSwiftXML reads a document as decodeXML does, but a document type may stand before it; the entities that it declares stand for nothing.
func decodeSwiftXML(raw []byte, v any) error {
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.Entity = map[string]string{}
	declared := func(directive xml.Directive) {
		for _, m := range entityName.FindAllSubmatch(directive, entitiesMax) {
			d.Entity[string(m[1])] = ""
		}
	}
	if err := xml.NewTokenDecoder(&boundedTokens{d: d, declared: declared}).Decode(v); err != nil {
		return fail(MalformedXML, "").because(err)
	}
	return nil
}

// entitiesMax bounds the entities of one declaration.
const entitiesMax = 64

// withRanges lets a failed condition tell that ranges are served, as Swift does.
func (c *call) withRanges(f *fault) *fault {
	if c.door.o.AsSwift {
		return f.carrying("Accept-Ranges", "bytes")
	}
	return f
}

// chunkMin is the least that a chunk of a body may hold at Swift's address, as at AWS, unless it is the last. The S3 door proper takes any: there are clients of
// other services that send what they have.
const chunkMin = 8 << 10

// tooLong tells that a document is too long: at AWS's own limit for them with MaxMessageLengthExceeded, in Swift with MalformedXML.
func (c *call) tooLong(err error) error {
	var f *fault
	if c.door.o.AsSwift && errors.As(err, &f) && f.code == MaxMessageLengthExceeded {
		return fail(MalformedXML, "").because(err)
	}
	return err
}

// swiftMarkers writes the markers behind a page of uploads that is the last one: Swift names the last upload of several all the same.
func (c *call) swiftMarkers(x *document, page *backend.UploadPage, encode func(string) string) {
	var key, id string
	if n := len(page.Uploads); n > 1 {
		key, id = encode(string(page.Uploads[n-1].Name)), page.Uploads[n-1].ID
	}
	x.text("NextKeyMarker", key)
	x.text("NextUploadIdMarker", id)
}

// refusedBytes is how much of a refused body is read and dropped: a Swift client sends all of it before it reads the answer.
const refusedBytes = 128 << 20
