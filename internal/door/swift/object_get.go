package swift

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pithos/internal/block"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// getObject serves GET and HEAD: the same headers, with and without the body. HEAD ignores ranges.
func getObject(ctx context.Context, c *call) (*reply, error) {
	t, err := c.versioned(ctx, c.target())
	if err != nil {
		return nil, err
	}
	s, err := c.show(ctx, t, c.look())
	if errs.IsThing(err, errs.NotFound, errs.Object) && strings.TrimSpace(c.h("If-Match")) == "*" {
		return nil, refusal(http.StatusPreconditionFailed, "").because(err)
	}
	if err != nil {
		return nil, err
	}
	if err := c.checkRead(s); err != nil {
		return nil, err
	}
	if err := c.describe(s); err != nil {
		return nil, err
	}
	part, partial, err := c.part(s)
	switch {
	case err != nil:
		return nil, err
	case partial:
		if err := c.segmentsStand(ctx, s, []wire.Range{part}); err != nil && c.r.Method != http.MethodHead {
			return nil, err
		}
		c.set("Content-Range", part.ContentRange(s.Size))
		return c.sendRange(s, http.StatusPartialContent, part), nil
	case c.r.Method == http.MethodHead:
		return c.sendRange(s, http.StatusOK, wire.Range{Length: s.Size}), nil
	}
	ranges, err := c.ranges(s)
	if err != nil {
		return nil, err
	}
	if err := c.segmentsStand(ctx, s, ranges); err != nil {
		return nil, err
	}
	switch len(ranges) {
	case 0:
		return c.sendRange(s, http.StatusOK, wire.Range{Length: s.Size}), nil
	case 1:
		c.set("Content-Range", ranges[0].ContentRange(s.Size))
		return c.sendRange(s, http.StatusPartialContent, ranges[0]), nil
	}
	return c.sendRanges(s, ranges), nil
}

// sendRange answers with one range, of which HEAD tells the length only.
func (c *call) sendRange(s *shown, status int, r wire.Range) *reply {
	if c.r.Method == http.MethodHead {
		c.setInt("Content-Length", r.Length)
		return empty(status)
	}
	return &reply{status: status, length: r.Length, stream: func(ctx context.Context, w io.Writer) error {
		return s.copyTo(ctx, w, r.Start, r.Length)
	}}
}

// ranges reads the Range header; none means all. Errors: 416.
func (c *call) ranges(v *shown) ([]wire.Range, error) {
	header := strings.NewReplacer(" ", "", "\t", "").Replace(c.h("Range")) // Swift takes spaces anywhere
	if header == "" || v.Size == 0 && strings.HasPrefix(header, "bytes=-") {
		return nil, nil
	}
	if etag := strings.Trim(c.h("If-Range"), `"`); etag != "" && etag != v.ETag {
		at, ok := wire.ParseDate(c.h("If-Range"))
		if !ok || roundUp(v.Made()).After(at) {
			return nil, nil
		}
	}
	ranges, err := wire.ParseRange(header, v.Size)
	if v.quoted && v.Kind == object.DynamicManifest && len(ranges) > 1 {
		return nil, nil // Swift serves one range of a dynamic large object, and the whole for several
	}
	if err != nil {
		return nil, refusal(http.StatusRequestedRangeNotSatisfiable, "").because(err).
			carrying("Content-Range", "bytes */"+strconv.FormatInt(v.Size, 10)).carrying("Etag", v.etag()).carrying("Accept-Ranges", "bytes")
	}
	return ranges, nil
}

// sendRanges answers with several ranges.
func (c *call) sendRanges(s *shown, ranges []wire.Range) *reply {
	b := newByteranges(s, ranges)
	c.set("Content-Type", b.ContentType)
	return &reply{status: http.StatusPartialContent, length: b.Length, stream: func(ctx context.Context, w io.Writer) error {
		return b.Write(w, func(r wire.Range) error { return s.copyTo(ctx, w, r.Start, r.Length) })
	}}
}

func newByteranges(s *shown, ranges []wire.Range) *wire.Byteranges {
	return wire.NewByteranges(ranges, typeOf(s.ContentType), s.Size)
}

// checkRead tests the conditions of a read in Swift's order. Times compare with Last-Modified, which is rounded up.
func (c *call) checkRead(v *shown) error {
	modified := roundUp(v.Made())
	fails := func(status int) error {
		f := refusal(status, "").carrying("Etag", v.etag()).carrying("Last-Modified", wire.FormatDate(modified)).carrying("Accept-Ranges", "bytes")
		if via := v.o.Via; len(via) > 0 {
			f = f.carrying("Content-Location", targetPath(via[len(via)-1]))
		}
		return f
	}
	has := func(tags []string) bool { // the root hash is the ETag in the dialect of Pithos+ (Pithos+ 16.3)
		return contains(tags, "*") || contains(tags, v.ETag) || v.RootHash != (block.ID{}) && contains(tags, v.RootHash.String())
	}
	none, some := c.etags("If-None-Match"), c.etags("If-Match")
	since, sinceGiven := wire.ParseDate(c.h("If-Modified-Since"))
	until, untilGiven := wire.ParseDate(c.h("If-Unmodified-Since"))
	switch {
	case len(none) > 0 && has(none):
		return fails(http.StatusNotModified)
	case len(some) > 0 && !has(some):
		return fails(http.StatusPreconditionFailed)
	case sinceGiven && !modified.After(since):
		return fails(http.StatusNotModified)
	case untilGiven && modified.After(until):
		return fails(http.StatusPreconditionFailed)
	}
	return nil
}

// etags reads a list of ETags, quoted or not, as Swift does: any text is one.
func (c *call) etags(header string) []string {
	var tags []string
	for tag := range strings.SplitSeq(strings.Join(c.r.Header[header], ","), ",") {
		if tag = strings.TrimSpace(tag); len(tag) > 1 && tag[0] == '"' && tag[len(tag)-1] == '"' {
			tag = tag[1 : len(tag)-1]
		}
		if tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

func typeOf(contentType string) string {
	if contentType == "" {
		return defaultType
	}
	return contentType
}

// describe sets the headers that tell a version.
func (c *call) describe(v *shown) error {
	c.set("Accept-Ranges", "bytes")
	c.set("Last-Modified", lastModified(v.Made()))
	c.set("Etag", v.etag())
	c.set("X-Timestamp", timestamp(v.Made()))
	c.set("Content-Type", typeOf(v.ContentType))
	c.setIf("Content-Encoding", v.Headers.ContentEncoding)
	c.setIf("Content-Language", v.Headers.ContentLanguage)
	c.setIf("Content-Disposition", v.Headers.ContentDisposition)
	c.setIf("Cache-Control", v.Headers.CacheControl)
	c.setIf("Expires", v.Headers.Expires)
	c.setIf("X-Robots-Tag", v.Meta[object.SwiftMeta][robotsTag])
	c.setExpiry(v.Expires)
	c.showMetadata("X-Object-Meta-", v.Meta[object.UserMeta], true)
	return c.describeKind(v)
}

func (c *call) setExpiry(at time.Time) {
	if !at.IsZero() {
		c.setInt("X-Delete-At", at.Unix())
	}
}
