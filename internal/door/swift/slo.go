package swift

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// A static large object is joined when it is put: it holds its segments' blocks itself, so nothing that becomes of the segments can hurt it. Its
// manifest is kept beside the bytes.

// yieldFrequency is how often a client that asked for a heartbeat hears of us while it waits.
const yieldFrequency = 10 * time.Second

// staticPut is a static large object to put.
type staticPut struct {
	to         backend.Target
	entries    []manifestEntry
	attributes backend.Attributes
	cond       object.Precondition
	etag       string // that the client expects; ""
}

// putManifest serves PUT with multipart-manifest=put.
func (c *call) putManifest(ctx context.Context) (*reply, error) {
	if c.has("X-Copy-From") {
		return nil, refusal(http.StatusMethodNotAllowed, "Multipart Manifest PUTs cannot be COPY requests")
	}
	// Nothing of a body is read for who may not write.
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), access.PutObject); err != nil {
		return nil, err
	}
	raw, err := c.manifestBody()
	if err != nil {
		return nil, err
	}
	p := staticPut{to: c.target(), etag: c.expectedETag()}
	if p.entries, err = parseManifest(raw, p.to); err != nil {
		return nil, err
	}
	if p.attributes, err = c.attributes(); err != nil {
		return nil, err
	}
	if p.cond, err = c.writeCondition(); err != nil {
		return nil, err
	}
	return c.putStatic(ctx, p)
}

// expectedETag is the ETag that the client says its object has, without quotes.
func (c *call) expectedETag() string { return strings.Trim(c.h("Etag"), `"`) }

// manifestBody reads a manifest.
func (c *call) manifestBody() ([]byte, error) {
	tooLong := refusal(http.StatusRequestEntityTooLarge, "Manifest File > "+strconv.Itoa(manifestBytesMax)+" bytes")
	body, err := c.payload()
	switch {
	case err != nil:
		return nil, err
	case body.Size > manifestBytesMax:
		return nil, tooLong
	}
	raw, err := io.ReadAll(io.LimitReader(body.Reader, manifestBytesMax+1))
	switch {
	case err != nil:
		return nil, bodyBroke(err)
	case len(raw) > manifestBytesMax:
		return nil, tooLong
	case body.Size >= 0 && int64(len(raw)) < body.Size:
		return nil, refusal(statusClientLeft, "")
	}
	return raw, nil
}

// bodyBroke is the error of a body that could not be read.
func bodyBroke(err error) error {
	if f := faultOf(err); f.status != http.StatusInternalServerError {
		return f
	}
	return refusal(statusClientLeft, "").because(err)
}

// putStatic makes a static large object and answers, at the end or with a heartbeat before it.
func (c *call) putStatic(ctx context.Context, p staticPut) (*reply, error) {
	f := c.reportFormat()
	if flag(c.query.Get("heartbeat")) {
		return c.beat(f, func(ctx context.Context) *manifestReport {
			v, problems, err := c.storeStatic(ctx, p)
			return c.staticReport(v, problems, err)
		}), nil
	}
	v, problems, err := c.storeStatic(ctx, p)
	switch {
	case err != nil:
		return nil, err
	case len(problems) > 0:
		c.set("Content-Type", f.contentType())
		return &reply{status: http.StatusBadRequest, body: (&manifestReport{errors: problems, root: "upload"}).write(f)}, nil
	}
	return c.stored(v), nil
}

// staticReport tells a client that had a heartbeat what came of its manifest.
func (c *call) staticReport(v *object.Version, problems [][2]string, err error) *manifestReport {
	r := &manifestReport{errors: problems, root: "upload"}
	status, body := http.StatusCreated, ""
	switch {
	case err != nil:
		f := faultOf(c.hide(err))
		if status, body = f.status, f.msg; body == "" {
			body = http.StatusText(status) + "\n" + sentences[status]
		}
	case len(problems) > 0:
		status = http.StatusBadRequest
		body = http.StatusText(status) + "\n" + sentences[status]
	default:
		r.facts = []fact{{"Etag", `"` + backend.PlainETag(&v.Summary) + `"`}, {"Last Modified", lastModified(v.Made())}}
	}
	r.facts = append(r.facts, fact{"Response Body", body}, fact{"Response Status", statusLine(status)})
	return r
}

// beat answers 202 at once, sends a space now and then while work goes on, and its report in the end.
func (c *call) beat(f format, work func(ctx context.Context) *manifestReport) *reply {
	c.set("Content-Type", f.contentType())
	return &reply{status: http.StatusAccepted, open: true, stream: func(ctx context.Context, w io.Writer) error {
		done := make(chan *manifestReport, 1)
		go func() { done <- work(ctx) }()
		flusher := http.NewResponseController(c.w.W)
		for {
			if _, err := io.WriteString(w, " "); err == nil {
				_ = flusher.Flush() // a client that is gone is told by the next write
			}
			r, err := within(ctx, done, yieldFrequency)
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			if _, err := io.WriteString(w, "\r\n\r\n"); err != nil {
				return err
			}
			_, err = w.Write(r.write(f))
			return err
		}
	}}
}

// within waits for a report, for d at most: then there is none.
func within(ctx context.Context, done <-chan *manifestReport, d time.Duration) (*manifestReport, error) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- clock.Wait(waiting, d) }()
	select {
	case r := <-done:
		return r, nil
	case err := <-over:
		return nil, err
	}
}

// opened is an object that a manifest names, or why it cannot be had.
type opened struct {
	o   *backend.Object
	err error
}

// openAll opens what a manifest names, each once and several at a time.
func (c *call) openAll(ctx context.Context, entries []manifestEntry) map[backend.Target]*opened {
	segments := map[backend.Target]*opened{}
	var places []backend.Target
	for i := range entries {
		if e := &entries[i]; e.data == nil && segments[e.place] == nil {
			segments[e.place], places = &opened{}, append(places, e.place)
		}
	}
	_ = backend.AtOnce(places, func(t backend.Target) error { // each has its error
		s := segments[t]
		s.o, s.err = c.door.b.OpenWhole(ctx, c.caller, t, object.Precondition{}, access.GetObject)
		return nil
	})
	return segments
}

// storeStatic looks at the segments and joins them. problems are what is wrong with them, by path.
func (c *call) storeStatic(ctx context.Context, p staticPut) (v *object.Version, problems [][2]string, err error) {
	segments := c.openAll(ctx, p.entries)
	r := backend.ComposeRequest{Container: p.to.Container, Name: p.to.Name, If: p.cond}
	list := make([]listedSegment, len(p.entries))
	var containers []naming.ContainerName
	depth := 1
	sum := md5.New()
	for i := range p.entries {
		e := &p.entries[i]
		if e.data != nil {
			hash := md5.Sum(e.data)
			list[i] = listedSegment{Data: base64.StdEncoding.EncodeToString(e.data)}
			_, _ = io.WriteString(sum, hex.EncodeToString(hash[:])) // a hash never fails
			r.Pieces = append(r.Pieces, backend.Piece{Data: e.data})
			r.Parts = append(r.Parts, object.Part{Number: i + 1, Size: int64(len(e.data)), ETag: hex.EncodeToString(hash[:]), Modified: c.started})
			continue
		}
		s := segments[e.place]
		quoted := pathQuote(e.path)
		if s.err != nil {
			problems = append(problems, [2]string{quoted, statusLine(c.statusOfError(p.to.Container.Account, s.err))})
			continue
		}
		off, n := e.resolve(s.o.Size)
		for _, problem := range e.compare(s.o, n, i == len(p.entries)-1) {
			problems = append(problems, [2]string{quoted, problem})
		}
		list[i] = e.listed(s.o, off, n)
		hash := list[i].Hash
		if list[i].Range != "" {
			hash += ":" + list[i].Range + ";"
		}
		_, _ = io.WriteString(sum, hash)
		r.Pieces = append(r.Pieces, backend.Piece{Object: s.o, Offset: off, Length: n})
		r.Parts = append(r.Parts, object.Part{Number: i + 1, Size: n, ETag: list[i].Hash, Modified: s.o.Modified()})
		containers = append(containers, e.place.Container.Name)
		if s.o.Container.Account == p.to.Container.Account {
			containers = append(containers, s.o.Container.Name) // where a link led
		}
		depth = max(depth, depthOf(s.o.Version)+1)
	}
	etag := hex.EncodeToString(sum.Sum(nil))
	switch {
	case len(problems) > 0:
		return nil, problems, nil
	case p.etag != "" && p.etag != etag:
		return nil, nil, refusal(http.StatusUnprocessableEntity, "")
	}
	if r.Document, err = json.Marshal(list); err != nil {
		return nil, nil, err
	}
	r.ETag = etag + "-" + strconv.Itoa(len(list))
	hash := md5.Sum(r.Document)
	r.Attributes = p.attributes
	r.Attributes.Kind, r.Attributes.Note = object.StaticManifest, backend.ManifestNote(hex.EncodeToString(hash[:]))
	if depth > 1 {
		r.Attributes.Meta = withSwiftMeta(r.Attributes.Meta, depthKey, strconv.Itoa(depth))
	}
	r.Attributes.Target = backend.SegmentContainers(containers)
	if err := c.archiveCurrent(ctx, p.to); err != nil {
		return nil, nil, err
	}
	v, err = c.door.b.Compose(ctx, c.caller, r)
	return v, nil, err
}

// compare tells what of an object is not as its entry says. n bytes of it are asked for.
func (e *manifestEntry) compare(o *backend.Object, n int64, last bool) (problems []string) {
	if e.ranged && n == 0 {
		problems = append(problems, "Unsatisfiable Range")
	}
	if n < segmentSizeMin && !last {
		problems = append(problems, "Too small; each segment must be at least 1 byte.")
	}
	if e.size >= 0 && e.size != o.Size {
		problems = append(problems, "Size Mismatch")
	}
	if e.etag != "" && strings.Trim(e.etag, `"`) != backend.PlainETag(&o.Summary) {
		problems = append(problems, "Etag Mismatch")
	}
	return problems
}

// listed is the stored form of an entry.
func (e *manifestEntry) listed(o *backend.Object, off, n int64) listedSegment {
	size := o.Size
	s := listedSegment{
		Name: "/" + strings.TrimLeft(e.path, "/"), Bytes: &size, Hash: backend.PlainETag(&o.Summary), ContentType: typeOf(o.ContentType),
		LastModified: listedTime(roundUp(o.Made())), SubSLO: o.Kind == object.StaticManifest,
	}
	if e.ranged && n != size {
		s.Range = strconv.FormatInt(off, 10) + "-" + strconv.FormatInt(off+n-1, 10)
	}
	return s
}

// pathQuote escapes a path for a report or header: all but letters, digits, "-", ".", "_", "~" and slashes.
func pathQuote(path string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		b := path[i]
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("-._~/", b) >= 0 {
			out.WriteByte(b)
			continue
		}
		out.WriteByte('%')
		out.WriteByte(digits[b>>4])
		out.WriteByte(digits[b&15])
	}
	return out.String()
}
