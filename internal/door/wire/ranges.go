package wire

import (
	"strconv"
	"strings"

	"pithos/internal/errs"
)

// rangesMax bounds the ranges of one request; a header with more is ignored, as RFC 9110 section 14.2 allows.
const rangesMax = 64

// Range is the part [Start, Start+Length) of an object; Length is never 0.
type Range struct{ Start, Length int64 }

// ContentRange is the value of Content-Range for a part of an object of so many bytes.
func (r Range) ContentRange(size int64) string {
	return "bytes " + strconv.FormatInt(r.Start, 10) + "-" + strconv.FormatInt(r.Start+r.Length-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// ParseRange reads a Range header for an object of size bytes. No ranges and no error means that the header is to be
// ignored: it is empty, has another unit or a fault in its form, asks for too many ranges, or for more than the whole
// object in pieces. Ranges that lie outside the object are left out; Range/Request is the error when none is left.
func ParseRange(header string, size int64) ([]Range, error) {
	unit, list, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, nil
	}
	var found []Range
	var total int64
	asked := 0
	for spec := range strings.SplitSeq(list, ",") {
		if spec = strings.Trim(spec, " \t"); spec == "" {
			continue
		}
		if asked++; asked > rangesMax {
			return nil, nil
		}
		r, ok := parseSpec(spec, size)
		if !ok {
			return nil, nil
		}
		if r.Length > 0 {
			found = append(found, r)
			total += r.Length
		}
	}
	switch {
	case asked == 0:
		return nil, nil
	case len(found) == 0:
		return nil, errs.E("wire.ParseRange", errs.Range, errs.Request, "")
	case len(found) > 1 && total > size:
		return nil, nil
	}
	return found, nil
}

// parseSpec reads "first-last", "first-" or "-suffix". A range outside the object has Length 0.
func parseSpec(spec string, size int64) (r Range, ok bool) {
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return r, false
	}
	if first == "" {
		n, ok := parsePosition(last)
		if !ok {
			return r, false
		}
		n = min(n, size)
		return Range{size - n, n}, true
	}
	from, ok := parsePosition(first)
	if !ok {
		return r, false
	}
	to := size - 1
	if last != "" {
		if to, ok = parsePosition(last); !ok || to < from {
			return r, false
		}
		to = min(to, size-1)
	}
	if from >= size {
		return Range{}, true
	}
	return Range{from, to - from + 1}, true
}

// parsePosition reads digits; what no int64 holds is beyond every object.
func parsePosition(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}
