package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// getObject serves GetObject and headObject HeadObject: the same answer, with and without the body.
func getObject(ctx context.Context, c *call) (*reply, error) { return c.read(ctx) }

func headObject(ctx context.Context, c *call) (*reply, error) { return c.read(ctx) }

// read answers with a version, a range of it, or one of its parts.
func (c *call) read(ctx context.Context) (*reply, error) {
	if err := c.checkOverrides(); err != nil {
		return nil, err
	}
	o, err := c.open(ctx, c.row.action)
	if err != nil {
		return nil, err
	}
	v := o.Version
	if err := c.checkRead(v, &o.Container); err != nil {
		return nil, err
	}
	sel, err := c.selection(v)
	if err != nil {
		return nil, err
	}
	if err := c.unseal(ctx, o); err != nil {
		return nil, err
	}
	c.describe(ctx, v, &o.Container)
	if err := c.describeLock(ctx, o); err != nil {
		return nil, err
	}
	if err := c.setExpiration(&o.Container, v); err != nil {
		return nil, err
	}
	if err := c.setEncryption(v.Encryption); err != nil {
		return nil, err
	}
	c.applyOverrides()
	if err := c.describeSelection(v, sel); err != nil {
		return nil, err
	}
	if ranges := c.swiftRanges(v, sel); len(ranges) > 1 {
		return c.sendRanges(o, ranges), nil
	}
	status := http.StatusOK
	if sel.partial {
		status = http.StatusPartialContent
		c.set("Content-Range", "bytes "+strconv.FormatInt(sel.off, 10)+"-"+strconv.FormatInt(sel.off+sel.n-1, 10)+"/"+strconv.FormatInt(v.Size, 10))
	}
	if c.r.Method == http.MethodHead {
		c.set("Content-Length", strconv.FormatInt(sel.n, 10))
		return empty(status), nil
	}
	return &reply{status: status, length: sel.n, stream: func(ctx context.Context, w io.Writer) error {
		if sel.n == 0 {
			return nil
		}
		return o.CopyTo(ctx, w, sel.off, sel.n)
	}}, nil
}

// open finds the version that the call names. Delete markers are answered as S3 does: 404 for the newest version, 405 for one asked for by id,
// both with x-amz-delete-marker.
func (c *call) open(ctx context.Context, action access.Action) (*backend.Object, error) {
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	open := c.door.b.Open
	if action == access.GetObject || action == access.GetObjectAttributes {
		open = c.door.b.OpenWhole // Swift's links and large objects read as what they stand for
	}
	if t.Which.By != meta.Newest && action == access.GetObject {
		action = access.GetObjectVersion
	}
	o, err := open(ctx, c.caller, t, object.Precondition{}, action)
	if err == nil {
		return o, nil
	}
	var marker *backend.MarkerError
	switch {
	case errors.As(err, &marker) && t.Which.By == meta.Newest:
		return nil, fail(NoSuchKey, "").because(err).carrying("X-Amz-Delete-Marker", "true").
			carrying("X-Amz-Version-Id", versionName(&marker.Version.Summary))
	case errors.As(err, &marker):
		return nil, fail(MethodNotAllowed, "").because(err).carrying("X-Amz-Delete-Marker", "true").
			carrying("X-Amz-Version-Id", versionName(&marker.Version.Summary)).carrying("Allow", http.MethodDelete).
			carrying("Last-Modified", wire.FormatDate(marker.Version.Modified()))
	case t.Which.By == meta.Newest && errs.IsThing(err, errs.NotFound, errs.Object):
		// Clients, s3-tests among them, tell a deleted name from one that never was by this header.
		return nil, fail(NoSuchKey, "").because(err).carrying("X-Amz-Delete-Marker", "false")
	case t.Which.By != meta.Newest && errs.IsThing(err, errs.NotFound, errs.Object):
		return nil, fail(NoSuchVersion, "").because(err).with("Key", string(c.name)).with("VersionId", clip(c.query.get("versionId")))
	}
	return nil, err
}

// checkRead tests the read conditions of the request. An answer of 304 carries what caches need to go on with.
func (c *call) checkRead(v *object.Version, container *bucket.Container) error {
	if !c.has("If-None-Match") && !c.has("If-Match") && !c.has("If-Modified-Since") && !c.has("If-Unmodified-Since") {
		return nil
	}
	cond, err := wire.Conditions(c.header, "")
	if err != nil {
		return err
	}
	err = cond.CheckRead(v)
	switch {
	case err == nil:
		return nil
	case errs.Is(err, errs.NotModified):
		f := fail(NotModified, "").because(err).carrying("Etag", quote(v.ETag)).carrying("Last-Modified", wire.FormatDate(v.Modified())).
			carrying("Cache-Control", v.Headers.CacheControl).carrying("Expires", v.Headers.Expires)
		if !v.Null || container.Config.Versioning != bucket.VersioningOff {
			f = f.carrying("X-Amz-Version-Id", versionName(&v.Summary))
		}
		return c.withRanges(f)
	}
	return c.withRanges(fail(PreconditionFailed, "").because(err).with("Condition", failedCondition(&cond)))
}

// failedCondition names the header that a failed read condition came from, as AWS does.
func failedCondition(p *object.Precondition) string {
	if len(p.IfMatch) > 0 {
		return "If-Match"
	}
	return "If-Unmodified-Since"
}

// selection is the part of a version that a read asks for.
type selection struct {
	off, n  int64
	partial bool
	part    int // number of the part that ?partNumber names; 0: none
}

// selection reads Range and partNumber. A range that cannot be parsed, and several ranges, mean the whole object, as at AWS.
// Errors: InvalidRange, InvalidPart, InvalidPartNumber, InvalidRequest.
func (c *call) selection(v *object.Version) (selection, error) {
	whole := selection{n: v.Size}
	number, byPart := c.query.lookup("partNumber")
	ranged := c.has("Range")
	switch {
	case byPart && ranged:
		return whole, fail(InvalidRequest, "Cannot specify both Range header and partNumber query parameter")
	case byPart:
		return c.partOf(v, number)
	case !ranged:
		return whole, nil
	}
	if etag := c.h("If-Range"); etag != "" && !ifRangeHolds(etag, v) {
		return whole, nil
	}
	ranges, err := wire.ParseRange(c.h("Range"), v.Size)
	switch {
	case err != nil:
		return whole, fail(InvalidRange, "").because(err).with("RangeRequested", clip(c.h("Range"))).
			with("ActualObjectSize", strconv.FormatInt(v.Size, 10)).carrying("Content-Range", "bytes */"+strconv.FormatInt(v.Size, 10))
	case len(ranges) != 1:
		return whole, nil
	}
	return selection{off: ranges[0].Start, n: ranges[0].Length, partial: true}, nil
}

// partOf finds a part of an assembled version. Any other version is one part. A part that is not there is InvalidPartNumber (416) at AWS and here as Swift;
// ceph/s3-tests want InvalidPart (400).
func (c *call) partOf(v *object.Version, text string) (selection, error) {
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 || number > partsMax {
		return selection{}, badArgument("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive")
	}
	if len(v.Parts) == 0 && number == 1 {
		return selection{n: v.Size, part: 1, partial: v.Size > 0}, nil
	}
	var off int64
	for i := range v.Parts {
		// Parts count by their place: the numbers of an upload may have gaps, those of the object have none.
		if i+1 == number {
			return selection{off: off, n: v.Parts[i].Size, part: number, partial: v.Parts[i].Size > 0}, nil
		}
		off += v.Parts[i].Size
	}
	absent := InvalidPart
	if c.door.o.AsSwift {
		absent = InvalidPartNumber
	}
	return selection{}, fail(absent, InvalidPartNumber.message()).
		with("PartNumberRequested", text).with("ActualPartCount", strconv.Itoa(max(len(v.Parts), 1)))
}

// describe sets the headers that tell a version.
func (c *call) describe(ctx context.Context, v *object.Version, container *bucket.Container) {
	h := c.out
	h["Accept-Ranges"] = acceptRanges
	c.set("Last-Modified", wire.FormatDate(c.shownTime(v.Modified())))
	c.set("Etag", quote(v.ETag))
	ct := v.ContentType
	if ct == "" {
		ct = defaultContentType
	}
	c.set("Content-Type", ct)
	c.setIf("Content-Encoding", v.Headers.ContentEncoding)
	c.setIf("Content-Language", v.Headers.ContentLanguage)
	c.setIf("Content-Disposition", v.Headers.ContentDisposition)
	c.setIf("Cache-Control", v.Headers.CacheControl)
	c.setIf("Expires", v.Headers.Expires)
	c.setIf("X-Amz-Website-Redirect-Location", v.Headers.WebsiteRedirect)
	if v.StorageClass != "" && v.StorageClass != standardClass {
		c.set("X-Amz-Storage-Class", v.StorageClass)
	}
	c.setVersion(v, container.Config.Versioning != bucket.VersioningOff)
	c.logged.size = v.Size
	if c.door.o.AsSwift {
		c.setIf("X-Robots-Tag", v.Meta[object.SwiftMeta][robotsTag])
	}
	missing := 0
	for key, value := range v.Meta[object.UserMeta] {
		if !validHeader(key, value) {
			if c.door.o.AsSwift && announceable(key, value) {
				wire.Announce(ctx, "x-amz-meta-"+key, value)
				continue
			}
			missing++ // set through another door, and no HTTP header can carry it
			continue
		}
		h["x-amz-meta-"+key] = []string{value} // in lower case, as S3 does: botocore keeps the case that it gets
	}
	if missing > 0 {
		c.set("X-Amz-Missing-Meta", strconv.Itoa(missing))
	}
	if len(v.Tags) > 0 {
		c.set("X-Amz-Tagging-Count", strconv.Itoa(len(v.Tags)))
	}
}

// describeSelection sets the headers that depend on what of the version is sent: part count and checksums. Checksums are sent for
// what they are over: the whole, or exactly one part.
func (c *call) describeSelection(v *object.Version, sel selection) error {
	if sel.part > 0 && len(v.Parts) > 0 {
		c.set("X-Amz-Mp-Parts-Count", strconv.Itoa(len(v.Parts)))
	}
	mode := c.h("X-Amz-Checksum-Mode")
	if mode == "" {
		return nil
	}
	if !strings.EqualFold(mode, "ENABLED") { // the C++ SDK writes it small
		return badArgument("x-amz-checksum-mode", mode, "The value of x-amz-checksum-mode must be ENABLED")
	}
	switch {
	case sel.part > 0 && len(v.Parts) > 0:
		c.setChecksums(v.Parts[sel.part-1].Checksums)
		if len(v.Parts[sel.part-1].Checksums) > 0 && len(v.Checksums) > 0 {
			c.set("X-Amz-Checksum-Type", checksumType(v.Checksums[0]))
		}
	case sel.n == v.Size:
		c.setChecksums(v.Checksums)
	}
	return nil
}

// overrides are the query parameters that replace headers of the answer.
var overrides = [...]struct{ param, header string }{
	{"response-content-type", "Content-Type"},
	{"response-content-language", "Content-Language"},
	{"response-content-disposition", "Content-Disposition"},
	{"response-content-encoding", "Content-Encoding"},
	{"response-cache-control", "Cache-Control"},
	{"response-expires", "Expires"},
}

// checkOverrides refuses overrides in unsigned requests: a link to a public object must not let its finder choose the content type.
func (c *call) checkOverrides() error {
	if len(c.query) == 0 {
		return nil
	}
	for _, o := range overrides {
		value, ok := c.query.lookup(o.param)
		switch {
		case !ok:
		case !c.signed:
			return fail(InvalidRequest, "Request specific response headers cannot be used for anonymous GET requests.")
		case !validHeader(o.header, value):
			return badArgument(o.param, value, "The value cannot be sent in a header.")
		}
	}
	return nil
}

func (c *call) applyOverrides() {
	if len(c.query) == 0 {
		return
	}
	for _, o := range overrides {
		if value, ok := c.query.lookup(o.param); ok {
			c.set(o.header, value)
		}
	}
}

// acceptRanges is a header value; never written.
var acceptRanges = []string{"bytes"}

const (
	defaultContentType = "binary/octet-stream"
	standardClass      = "STANDARD"
	partsMax           = 10000
)

// quote puts an ETag into quotes.
func quote(etag string) string { return `"` + etag + `"` }

// validHeader reports whether a name and value can stand in an HTTP header: a token, and no control characters but tab.
func validHeader(name, value string) bool {
	if name == "" {
		return false
	}
	for i := 0; i < len(name); i++ {
		if !tokenChar(name[i]) {
			return false
		}
	}
	for i := 0; i < len(value); i++ {
		if value[i] < 0x20 && value[i] != '\t' || value[i] == 0x7f {
			return false
		}
	}
	return true
}

// tokenChar reports whether a header name may have the character (RFC 9110 section 5.6.2).
func tokenChar(ch byte) bool {
	switch {
	case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9':
		return true
	}
	switch ch {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

// objectURL is where the object is, as completed uploads tell it.
func (c *call) objectURL() string {
	path := "/" + encodePath(string(c.name))
	if c.vhost == "" {
		path = "/" + string(c.bucket) + path
	}
	return c.origin.URL() + path
}

// encodePath percent-encodes a key for a URL; slashes stay.
func encodePath(key string) string {
	const digits = "0123456789ABCDEF"
	plain := 0
	for plain < len(key) && isPlain(key[plain]) {
		plain++
	}
	if plain == len(key) {
		return key // the usual case, in listings a thousand times
	}
	out := make([]byte, 0, len(key)+16)
	for i := 0; i < len(key); i++ {
		ch := key[i]
		if isPlain(ch) {
			out = append(out, ch)
			continue
		}
		out = append(out, '%', digits[ch>>4], digits[ch&15])
	}
	return string(out)
}

// isPlain reports whether a character of a key needs no percent-encoding.
func isPlain(ch byte) bool {
	return ch == '/' || ch == '-' || ch == '_' || ch == '.' || ch == '~' || ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= '0' && ch <= '9'
}
