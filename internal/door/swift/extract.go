package swift

import (
	"archive/tar"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"unicode/utf8"

	"pithos/internal/errs"
)

// An archive may expand to so many times its size, and so many bytes more, before it counts as a bomb. Deflate reaches 1032 to 1 at most.
const (
	expansionMax   = 1100
	expansionGrace = 1 << 30
)

// errBomb ends the reading of an archive that expands without end.
var errBomb = errors.New("it expands to more than 1100 times its size")

// extractArchive makes an object of each file of the tar archive in the body.
func extractArchive(_ context.Context, c *call) (*reply, error) {
	kind := strings.Trim(strings.ToLower(c.query.Get("extract-archive")), ".")
	if kind != "tar" && kind != "tar.gz" && kind != "tar.bz2" {
		return nil, bad("Unsupported archive format")
	}
	r := &report{root: "extract", status: http.StatusCreated, counts: map[string]int{"Number Files Created": 0}}
	return c.bulk(r, func(ctx context.Context, b *beat) error {
		if !c.has("Content-Length") && len(c.r.TransferEncoding) == 0 && c.r.ContentLength <= 0 {
			return refusal(http.StatusLengthRequired, "")
		}
		// Signs of life go out while the archive comes in.
		_ = http.NewResponseController(c.w.W).EnableFullDuplex() // without, the archive is read to its end first
		defer c.drainRest()
		x := &extraction{c: c, r: r, b: b, packed: &counted{r: c.paced()}, known: map[string]bool{}} //nolint:contextcheck // a call takes the context of the request that it holds
		x.base = strings.TrimRight(c.rawNames[0]+"/"+c.rawNames[1], "/")
		return x.run(ctx, kind)
	}), nil
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// extraction is an archive being extracted.
type extraction struct {
	c       *call
	r       *report
	b       *beat
	base    string
	packed  *counted
	known   map[string]bool // containers that were looked at
	created int
	opened  int64 // bytes of entries so far, as they say themselves
	server  bool  // a fault was the server's
}

// run extracts. Its error ends the work and goes into the report.
func (x *extraction) run(ctx context.Context, kind string) error {
	unpacked := io.Reader(x.packed)
	switch kind {
	case "tar.gz":
		z, err := gzip.NewReader(x.packed)
		if err != nil {
			return x.broken(err)
		}
		unpacked = z
	case "tar.bz2":
		unpacked = bzip2.NewReader(x.packed)
	}
	entries := tar.NewReader(&bounded{r: unpacked, packed: x.packed})
	for len(x.r.failed) < bulkFailuresMax {
		if err := x.b.tick(); err != nil {
			return err
		}
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return x.broken(err)
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse && h.Typeflag != tar.TypeCont {
			continue
		}
		if x.opened += h.Size; x.opened > expansionLimit(x.packed.n) && h.Size > x.packed.n { // a sparse file says its size and takes no room
			if int64(expansionGrace) < x.opened && isSparse(h) {
				return x.broken(errBomb)
			}
		}
		if err := x.extract(ctx, h, entries); err != nil {
			return err
		}
	}
	switch {
	case len(x.r.failed) > 0 && x.server:
		x.r.status = http.StatusBadGateway
	case len(x.r.failed) > 0:
		x.r.status = http.StatusBadRequest
	case x.r.counts["Number Files Created"] == 0:
		return bad("Invalid Tar File: No Valid Files")
	}
	return nil
}

// isSparse tells whether an entry may be larger than the archive that holds it.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// expansionLimit is what so many bytes of an archive may expand to.
func expansionLimit(packed int64) int64 {
	if packed > (math.MaxInt64-expansionGrace)/expansionMax {
		return math.MaxInt64
	}
	return packed*expansionMax + expansionGrace
}

// bounded reads what comes out of an archive until it is more than can be.
type bounded struct {
	r      io.Reader
	packed *counted
	n      int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.n += int64(n); b.n > expansionLimit(b.packed.n) {
		return 0, errBomb
	}
	return n, err
}

// broken says what is wrong with an archive. A client that left is no fault of the archive.
func (x *extraction) broken(err error) error {
	var known *errs.Error
	if errors.As(err, &known) {
		return err
	}
	return bad("Invalid Tar File: " + err.Error()).because(err)
}

// extract makes an object of an entry.
func (x *extraction) extract(ctx context.Context, h *tar.Header, content io.Reader) error {
	path := strings.TrimLeft(strings.TrimPrefix(h.Name, "./"), "/")
	if x.base != "" {
		path = x.base + "/" + path
	}
	container, object, ok := strings.Cut(path, "/")
	if !ok {
		return nil // a file beside the containers
	}
	name := path[:min(len(path), bulkPathMax)]
	switch {
	case !utf8.ValidString(path) || strings.IndexByte(path, 0) >= 0:
		x.r.fail(name, http.StatusPreconditionFailed)
		return nil
	case h.Size > x.c.door.o.Limits.ObjectBytes:
		x.r.fail(name, http.StatusRequestEntityTooLarge)
		return nil
	case object == "":
		x.r.fail(name, http.StatusBadRequest)
		return nil
	}
	s, err := x.c.named(ctx, http.MethodPut, container, object)
	if err != nil {
		x.r.fail(name, faultOf(err).status)
		return nil
	}
	inTheWay, err := x.container(ctx, container)
	if err != nil {
		return err
	}
	x.headers(s.r.Header, h)
	rep := s.with(content, h.Size).outcome(ctx)
	switch {
	case rep.status/100 == 2:
		x.r.counts["Number Files Created"]++
		return nil
	case inTheWay != 0:
		x.r.fail("/v1/"+x.c.account+"/"+container, inTheWay)
	}
	x.server = x.server || rep.status/100 == 5
	x.r.fail(name, rep.status)
	if rep.status == http.StatusUnauthorized {
		return refusal(http.StatusUnauthorized, "")
	}
	return x.ended(ctx, content)
}

// ended passes the rest of an entry that was refused; an archive that breaks off there breaks off the work.
func (x *extraction) ended(ctx context.Context, content io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return x.broken(err)
	}
	return nil
}

// container makes an entry's container unless it is there. inTheWay is why that did not work; the entry may fit in all the same.
func (x *extraction) container(ctx context.Context, name string) (inTheWay int, err error) {
	if x.known[name] {
		return 0, nil
	}
	x.known[name] = true
	s, err := x.c.named(ctx, http.MethodHead, name, "")
	if err != nil {
		return faultOf(err).status, nil
	}
	status := s.outcome(ctx).status
	if status == http.StatusNotFound {
		s, _ = x.c.named(ctx, http.MethodPut, name, "") // the name is good: see above
		if status = s.outcome(ctx).status; status/100 == 2 {
			if x.created++; x.created > bulkContainersMax {
				return 0, bad("More than " + strconv.Itoa(bulkContainersMax) + " containers to create from tar.")
			}
		}
	}
	switch {
	case status == http.StatusUnauthorized:
		return 0, refusal(http.StatusUnauthorized, "")
	case status/100 == 2:
		return 0, nil
	}
	return status, nil
}

// headers gives an entry's object the metadata and content type that the request has, and the extended attributes that tar recorded with it.
func (x *extraction) headers(to http.Header, h *tar.Header) {
	for name, values := range x.c.r.Header {
		if name == "Content-Type" || name == "X-Detect-Content-Type" || name == "X-Delete-At" || name == "X-Delete-After" || strings.HasPrefix(name, "X-Object-Meta-") {
			to[name] = values
		}
	}
	for key, value := range h.PAXRecords {
		for _, by := range []string{"SCHILY.xattr.user.", "LIBARCHIVE.xattr.user."} {
			switch rest, ok := strings.CutPrefix(key, by); {
			case !ok:
			case rest == "mime_type":
				to["Content-Type"] = []string{value}
			case strings.HasPrefix(rest, "meta."):
				to[textproto.CanonicalMIMEHeaderKey("X-Object-Meta-"+strings.TrimPrefix(rest, "meta."))] = []string{value}
			}
		}
	}
}
