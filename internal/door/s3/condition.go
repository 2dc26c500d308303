package s3

import (
	"strconv"
	"strings"
	"time"

	"pithos/internal/door/wire"
	"pithos/internal/object"
)

// writeCondition reads the conditions under which a write may take effect.
func (c *call) writeCondition() (object.Precondition, error) {
	if err := c.checkSwiftCondition(); err != nil {
		return object.Precondition{}, err
	}
	if !c.has("If-Match") && !c.has("If-None-Match") {
		return object.Precondition{}, nil
	}
	p, err := wire.Conditions(c.header, "")
	p.IfModifiedSince, p.IfUnmodifiedSince = time.Time{}, time.Time{} // S3 has no such condition on writes
	return p, err
}

// deleteCondition reads the conditions under which a delete may take effect.
func (c *call) deleteCondition() (object.Precondition, error) {
	var p object.Precondition
	if c.has("If-Match") {
		all, err := wire.Conditions(c.header, "")
		if err != nil {
			return p, err
		}
		p.IfMatch = all.IfMatch
	}
	if c.has("X-Amz-If-Match-Size") {
		text := c.h("X-Amz-If-Match-Size")
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return p, badArgument("x-amz-if-match-size", text, "The size must be a number of bytes")
		}
		p.IfSize = &n
	}
	if c.has("X-Amz-If-Match-Last-Modified-Time") {
		text := c.h("X-Amz-If-Match-Last-Modified-Time")
		at, ok := wire.ParseDate(text)
		if !ok {
			return p, badArgument("x-amz-if-match-last-modified-time", text, "The time cannot be read")
		}
		p.IfModifiedAt = at.Truncate(time.Second)
	}
	return p, nil
}

// ifRangeHolds tells whether a Range counts although If-Range was sent: a strong ETag that matches, or the exact date.
func ifRangeHolds(text string, v *object.Version) bool {
	if strings.HasPrefix(text, `"`) {
		return strings.Trim(text, `"`) == v.ETag
	}
	at, ok := wire.ParseDate(text)
	return ok && at.Equal(v.Modified().Truncate(time.Second))
}
