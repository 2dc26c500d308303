package swift

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// getObject serves GET and HEAD: the same headers, with and without the body. HEAD ignores ranges.
func getObject(ctx context.Context, c *call) (*reply, error) {
	o, err := c.door.b.Open(ctx, c.caller, c.target(), object.Precondition{}, access.GetObject)
	if errs.IsThing(err, errs.NotFound, errs.Object) && strings.TrimSpace(c.h("If-Match")) == "*" {
		return nil, refusal(http.StatusPreconditionFailed, "").because(err)
	}
	if err != nil {
		return nil, err
	}
	if err := c.checkRead(o.Version); err != nil {
		return nil, err
	}
	c.describe(o.Version)
	if c.r.Method == http.MethodHead {
		c.setInt("Content-Length", o.Size)
		return empty(http.StatusOK), nil
	}
	ranges, err := c.ranges(o.Version)
	if err != nil {
		return nil, err
	}
	switch len(ranges) {
	case 0:
		return send(o, http.StatusOK, wire.Range{Length: o.Size}), nil
	case 1:
		c.set("Content-Range", ranges[0].ContentRange(o.Size))
		return send(o, http.StatusPartialContent, ranges[0]), nil
	}
	return c.sendRanges(o, ranges), nil
}

func send(o *backend.Object, status int, r wire.Range) *reply {
	return &reply{status: status, length: r.Length, stream: func(ctx context.Context, w io.Writer) error {
		return o.CopyTo(ctx, w, r.Start, r.Length)
	}}
}

// ranges reads the Range header; none means all. Errors: 416.
func (c *call) ranges(v *object.Version) ([]wire.Range, error) {
	header := strings.NewReplacer(" ", "", "\t", "").Replace(c.h("Range")) // Swift takes spaces anywhere
	if header == "" || v.Size == 0 && strings.HasPrefix(header, "bytes=-") {
		return nil, nil
	}
	if etag := strings.Trim(c.h("If-Range"), `"`); etag != "" && etag != v.ETag {
		at, ok := wire.ParseDate(c.h("If-Range"))
		if !ok || roundUp(v.Modified()).After(at) {
			return nil, nil
		}
	}
	ranges, err := wire.ParseRange(header, v.Size)
	if err != nil {
		return nil, refusal(http.StatusRequestedRangeNotSatisfiable, "").because(err).
			carrying("Content-Range", "bytes */"+strconv.FormatInt(v.Size, 10)).carrying("Etag", v.ETag).carrying("Accept-Ranges", "bytes")
	}
	return ranges, nil
}

// sendRanges answers with several ranges, as multipart/byteranges.
func (c *call) sendRanges(o *backend.Object, ranges []wire.Range) *reply {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails (Go 1.24)
	boundary := hex.EncodeToString(raw[:])
	heads := make([]string, len(ranges))
	end := "--" + boundary + "--"
	length := int64(len(end))
	for i, r := range ranges {
		heads[i] = "--" + boundary + "\r\nContent-Type: " + typeOf(o.ContentType) + "\r\nContent-Range: " + r.ContentRange(o.Size) + "\r\n\r\n"
		length += int64(len(heads[i])) + r.Length + int64(len("\r\n"))
	}
	c.set("Content-Type", "multipart/byteranges;boundary="+boundary)
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

// checkRead tests the conditions of a read in Swift's order. Times compare with Last-Modified, which is rounded up.
func (c *call) checkRead(v *object.Version) error {
	cond, err := wire.Conditions(c.r.Header, "")
	if err != nil {
		return err
	}
	modified := roundUp(v.Modified())
	fails := func(status int) error {
		return refusal(status, "").carrying("Etag", v.ETag).carrying("Last-Modified", wire.FormatDate(modified)).carrying("Accept-Ranges", "bytes")
	}
	has := func(tags []string) bool { return contains(tags, "*") || contains(tags, v.ETag) }
	switch {
	case len(cond.IfNoneMatch) > 0 && has(cond.IfNoneMatch):
		return fails(http.StatusNotModified)
	case len(cond.IfMatch) > 0 && !has(cond.IfMatch):
		return fails(http.StatusPreconditionFailed)
	case !cond.IfModifiedSince.IsZero() && !modified.After(cond.IfModifiedSince):
		return fails(http.StatusNotModified)
	case !cond.IfUnmodifiedSince.IsZero() && modified.After(cond.IfUnmodifiedSince):
		return fails(http.StatusPreconditionFailed)
	}
	return nil
}

func typeOf(contentType string) string {
	if contentType == "" {
		return defaultType
	}
	return contentType
}

// describe sets the headers that tell a version.
func (c *call) describe(v *object.Version) {
	c.set("Accept-Ranges", "bytes")
	c.set("Last-Modified", lastModified(v.Modified()))
	c.set("Etag", v.ETag)
	c.set("X-Timestamp", timestamp(v.Modified()))
	c.set("Content-Type", typeOf(v.ContentType))
	c.setIf("Content-Encoding", v.Headers.ContentEncoding)
	c.setIf("Content-Language", v.Headers.ContentLanguage)
	c.setIf("Content-Disposition", v.Headers.ContentDisposition)
	c.setIf("Cache-Control", v.Headers.CacheControl)
	c.setIf("Expires", v.Headers.Expires)
	c.setIf("X-Robots-Tag", v.Meta[object.SwiftMeta][robotsTag])
	c.setExpiry(v.Expires)
	c.showMetadata("X-Object-Meta-", v.Meta[object.UserMeta], true)
}

func (c *call) setExpiry(at time.Time) {
	if !at.IsZero() {
		c.setInt("X-Delete-At", at.Unix())
	}
}
