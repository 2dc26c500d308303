package wire

import (
	"net/http"
	"strings"
	"time"

	"pithos/internal/errs"
	"pithos/internal/object"
)

// tagsMax bounds the ETags of one condition.
const tagsMax = 256

// Conditions reads the four conditions of a request: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since. prefix stands before
// the names, in canonical form, for the conditions on a copy source ("X-Amz-Copy-Source-"); usually it is "".
//
// ETags lose their quotes; unquoted ones, which many clients send, are taken as they are. If-None-Match compares weakly, so its tags
// lose a "W/"; If-Match compares strongly, so a weak tag there matches nothing. A star in quotes is no tag of ours: If-Match takes it for one that matches nothing,
// If-None-Match for the star, so that a write that meant to create does not overwrite. A date that cannot be read is ignored (RFC 9110, 13.1.3). A
// list of ETags without any, or that cannot be read, is Invalid/Request: a write must not lose its condition.
func Conditions(h http.Header, prefix string) (object.Precondition, error) {
	var p object.Precondition
	var err error
	if p.IfMatch, err = parseTags(h, prefix+"If-Match", false); err != nil {
		return p, err
	}
	if p.IfNoneMatch, err = parseTags(h, prefix+"If-None-Match", true); err != nil {
		return p, err
	}
	if v := h[prefix+"If-Modified-Since"]; len(v) > 0 {
		p.IfModifiedSince, _ = ParseDate(v[0])
	}
	if v := h[prefix+"If-Unmodified-Since"]; len(v) > 0 {
		p.IfUnmodifiedSince, _ = ParseDate(v[0])
	}
	return p, nil
}

// Reads tells whether a request asks for something to be read (RFC 9110, 9.3.1 and 9.3.2).
func Reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// ParseDate reads the three forms of HTTP dates, with numeric zones too, and ISO 8601. ok is false, and the time zero, for anything else.
func ParseDate(s string) (at time.Time, ok bool) {
	s = strings.TrimSpace(s)
	if at, err := http.ParseTime(s); err == nil {
		return at.UTC(), true
	}
	for _, form := range []string{time.RFC1123Z, time.RFC1123, time.RFC3339, "20060102T150405Z"} {
		if at, err := time.Parse(form, s); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// FormatDate writes an HTTP date, cut to whole seconds.
func FormatDate(at time.Time) string { return at.UTC().Format(http.TimeFormat) }

// parseTags reads a header that lists ETags; nil when it is absent.
func parseTags(h http.Header, name string, weak bool) ([]string, error) {
	values := h[name]
	if len(values) == 0 {
		return nil, nil
	}
	var tags []string
	for _, v := range values {
		for v = strings.TrimLeft(v, " \t,"); v != ""; v = strings.TrimLeft(v, " \t,") {
			tag, rest, ok := cutTag(v, weak)
			if !ok || len(tags) == tagsMax {
				return nil, badTags(name)
			}
			tags, v = append(tags, tag), rest
		}
	}
	if len(tags) == 0 {
		return nil, badTags(name)
	}
	return tags, nil
}

// cutTag takes the first ETag off a list.
func cutTag(v string, weak bool) (tag, rest string, ok bool) {
	opaque, isWeak := strings.CutPrefix(v, "W/")
	mark := ""
	if isWeak && !weak {
		mark = "W/" // no ETag of ours begins so
	}
	if !strings.HasPrefix(opaque, `"`) {
		tag, rest, _ = strings.Cut(opaque, ",")
		tag = strings.Trim(tag, " \t")
		return mark + tag, rest, tag != "" && !strings.Contains(tag, `"`)
	}
	tag, rest, ok = strings.Cut(opaque[1:], `"`)
	if rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != ',' {
		ok = false
	}
	if tag == "*" && !weak {
		tag = `"*"` // in quotes it is the tag of one version, which none of ours has
	}
	return mark + tag, rest, ok && tag != ""
}

func badTags(name string) error {
	return errs.E("wire.Conditions", errs.Invalid, errs.Request, name).
		Because("", "the header "+name+" does not hold a list of entity tags")
}
