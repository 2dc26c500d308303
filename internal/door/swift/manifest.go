package swift

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"pithos/internal/backend"
)

// Limits of static manifests, shown in /info.
const (
	manifestBytesMax    = 8 << 20
	manifestSegmentsMax = 1000   // entries that name objects
	manifestEntriesMax  = 10_000 // with those that bring their bytes along
	segmentSizeMin      = 1
	manifestDepthMax    = 10 // manifests in manifests, when one is read
)

// manifestEntry is one entry of a static manifest as a client gives it: a range of an object, or bytes.
type manifestEntry struct {
	path   string // as given
	place  backend.Target
	etag   string // "": not said
	size   int64  // of the whole object; -1: not said
	ranged bool
	first  int64 // -1: the range is the last n bytes
	last   int64 // -1: to the end
	data   []byte
}

// parseManifest reads a static manifest for an object at self. Errors: 400 with a line for each entry that is wrong; 413 for too many.
func parseManifest(raw []byte, self backend.Target) ([]manifestEntry, error) {
	var list []json.RawMessage
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return nil, bad("Manifest must be valid JSON.\n")
	}
	if err := json.Unmarshal(raw, &list); err != nil || !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		return nil, bad("Manifest must be a list.\n")
	}
	if len(list) > manifestEntriesMax {
		return nil, refusal(http.StatusRequestEntityTooLarge, "Number of segments must be <= "+strconv.Itoa(manifestEntriesMax))
	}
	var problems strings.Builder
	entries := make([]manifestEntry, len(list))
	named := 0
	for i, text := range list {
		if problem := entries[i].parse(text, self, i == len(list)-1); problem != "" {
			problems.WriteString("Index " + strconv.Itoa(i) + ": " + problem + "\n")
		}
		if entries[i].data == nil {
			named++
		}
	}
	if named == 0 && len(list) > 0 {
		problems.WriteString("Inline data segments require at least one object-backed segment.\n")
	}
	if problems.Len() > 0 {
		return nil, bad(problems.String())
	}
	if named > manifestSegmentsMax {
		return nil, refusal(http.StatusRequestEntityTooLarge, "Number of object-backed segments must be <= "+strconv.Itoa(manifestSegmentsMax))
	}
	return entries, nil
}

// parse reads one entry and tells what is wrong with it.
func (e *manifestEntry) parse(raw json.RawMessage, self backend.Target, last bool) (problem string) {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil || fields == nil {
		return "not a JSON object"
	}
	known := []string{"data"}
	_, inline := fields["data"]
	if _, named := fields["path"]; !inline && !named {
		return `expected keys to include one of "data" or "path"`
	}
	if !inline {
		known = []string{"path", "range", "etag", "size_bytes"}
	}
	var extra []string
	for key := range fields {
		if !slices.Contains(known, key) {
			extra = append(extra, strconv.QuoteToASCII(key))
		}
	}
	if len(extra) > 0 {
		slices.Sort(extra)
		return "extraneous keys " + strings.Join(extra, ", ")
	}
	if inline {
		return e.parseData(fields["data"])
	}
	return e.parseNamed(fields, self, last)
}

func (e *manifestEntry) parseData(value any) string {
	text, ok := value.(string)
	if ok {
		var err error
		e.data, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
		ok = err == nil && !strings.ContainsAny(text, "\r\n") // the decoder ignores them
	}
	switch {
	case !ok:
		e.data = []byte{}
		return "data must be valid base64"
	case len(e.data) == 0:
		e.data = []byte{}
		return "too small; each segment must be at least 1 byte."
	}
	return ""
}

func (e *manifestEntry) parseNamed(fields map[string]any, self backend.Target, last bool) string {
	path, ok := fields["path"].(string)
	if !ok {
		return `"path" must be a string`
	}
	if etag := fields["etag"]; etag != nil {
		if e.etag, ok = etag.(string); !ok {
			return `"etag" must be a string or null (if provided)`
		}
	}
	e.path = path
	if !strings.Contains(strings.Trim(path, "/"), "/") {
		return "path does not refer to an object. Path must be of the form /container/object."
	}
	container, name, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	cn, err := containerName(container)
	if err != nil {
		return "path does not refer to an object. " + messageOrText(err)
	}
	on, err := objectName(name)
	if err != nil {
		return "path does not refer to an object. " + messageOrText(err)
	}
	e.place = backend.Target{Container: backend.Ref{Account: self.Container.Account, Name: cn}, Name: on}
	e.size = -1
	if size := fields["size_bytes"]; size != nil {
		if e.size, ok = wholeNumber(size); !ok {
			return "invalid size_bytes"
		}
		if e.size < segmentSizeMin && !last {
			return "too small; each segment must be at least 1 byte."
		}
	}
	if e.place == self {
		return "manifest must not include itself as a segment"
	}
	return e.parseRange(fields["range"])
}

func messageOrText(err error) string {
	if msg := messageOf(err); msg != "" {
		return msg
	}
	return err.Error()
}

// wholeNumber reads an integer, or a string of one.
func wholeNumber(value any) (int64, bool) {
	var text string
	switch v := value.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

func (e *manifestEntry) parseRange(value any) string {
	text, ok := value.(string)
	if value != nil && !ok {
		return "invalid range"
	}
	if text == "" {
		return ""
	}
	if strings.Contains(text, ",") {
		for part := range strings.SplitSeq(text, ",") {
			if _, _, ok := parseSegmentRange(part); !ok {
				return "invalid range"
			}
		}
		return "multiple ranges (only one allowed)"
	}
	if e.first, e.last, ok = parseSegmentRange(text); !ok {
		return "invalid range"
	}
	e.ranged = true
	if e.size >= 0 {
		if _, n := e.resolve(e.size); n == 0 {
			return "unsatisfiable range"
		}
	}
	return ""
}

// parseSegmentRange reads "a-b", "a-" (last is -1) or "-n" (first is -1, last is n).
func parseSegmentRange(text string) (first, last int64, ok bool) {
	from, to, ok := strings.Cut(strings.TrimSpace(text), "-")
	if !ok || from == "" && to == "" {
		return 0, 0, false
	}
	first, last = -1, -1
	for _, half := range []struct {
		text string
		n    *int64
	}{{from, &first}, {to, &last}} {
		if half.text == "" {
			continue
		}
		n, err := strconv.ParseUint(half.text, 10, 63)
		if err != nil {
			return 0, 0, false
		}
		*half.n = int64(n)
	}
	return first, last, first < 0 || last < 0 || first <= last
}

// resolve gives the range of an object of the size; n is 0 when nothing of it lies inside.
func (e *manifestEntry) resolve(size int64) (off, n int64) {
	switch {
	case !e.ranged:
		return 0, size
	case e.first < 0:
		n = min(e.last, size)
		return size - n, n
	case e.first >= size:
		return 0, 0
	case e.last < 0:
		return e.first, size - e.first
	}
	return e.first, min(e.last, size-1) - e.first + 1
}

// listedSegment is an entry of a stored manifest, as multipart-manifest=get shows it.
type listedSegment struct {
	Name         string `json:"name,omitempty"`
	Bytes        *int64 `json:"bytes,omitempty"`
	Hash         string `json:"hash,omitempty"`
	ContentType  string `json:"content_type,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Range        string `json:"range,omitempty"`
	SubSLO       bool   `json:"sub_slo,omitempty"`
	Data         string `json:"data,omitempty"`
}

// rawManifest writes a stored manifest in the form that a client sends one, which it can put again.
func rawManifest(stored []byte) ([]byte, error) {
	var list []listedSegment
	if err := json.Unmarshal(stored, &list); err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(list))
	for i, s := range list {
		if s.Data != "" {
			out[i] = map[string]any{"data": s.Data}
			continue
		}
		out[i] = map[string]any{"path": s.Name, "size_bytes": s.Bytes, "etag": s.Hash}
		if s.Range != "" {
			out[i]["range"] = s.Range
		}
	}
	return json.Marshal(out)
}
