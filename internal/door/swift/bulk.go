package swift

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/naming"
)

// Limits of bulk operations, shown in /info.
const (
	bulkDeletesMax    = 10_000
	bulkFailuresMax   = 1000
	bulkContainersMax = 10_000
	bulkPathMax       = naming.ObjectNameMax + naming.ContainerNameMax + 2
)

// bulkBeat is the time after which a client that waits for a report gets a sign of life.
const bulkBeat = 10 * time.Second

// beat keeps the connection of a client alive that waits for a report: a space now and then, and a blank line before the report.
type beat struct {
	c         *call
	w         io.Writer
	format    format
	last      time.Time
	separator string
}

// tick sends a sign of life when it is time.
func (b *beat) tick() error {
	now := b.c.door.o.Clock.Now()
	if now.Sub(b.last) < bulkBeat {
		return nil
	}
	b.last = now
	sign := " "
	if b.separator == "" && (b.format == asXML || b.format == asTextXML) {
		sign = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	}
	b.separator = "\r\n\r\n"
	if _, err := io.WriteString(b.w, sign); err != nil {
		return err
	}
	return http.NewResponseController(b.c.w.W).Flush()
}

// bulk answers 200 and does work while the client waits. The report's form is the one that the client accepts.
func (c *call) bulk(r *report, work func(ctx context.Context, b *beat) error) *reply {
	f, err := c.accepts(c.h("Accept"))
	c.set("Content-Type", f.contentType())
	if err != nil {
		c.set("Content-Type", "text/html; charset=UTF-8")
	}
	return &reply{status: http.StatusOK, open: true, stream: func(ctx context.Context, w io.Writer) error {
		b := &beat{c: c, w: w, format: f, last: c.door.o.Clock.Now()}
		if err != nil {
			r.refuse(refusal(http.StatusNotAcceptable, ""))
		} else if failed := work(ctx, b); failed != nil {
			if ctx.Err() != nil {
				return failed
			}
			r.refuse(failed)
		}
		_, err := w.Write(append([]byte(b.separator), r.render(f)...))
		return err
	}}
}

// bulkDelete deletes the objects and containers that the body names, one on a line: objects first.
func bulkDelete(_ context.Context, c *call) (*reply, error) {
	r := &report{root: "delete", status: http.StatusOK, counts: map[string]int{"Number Deleted": 0, "Number Not Found": 0}}
	return c.bulk(r, func(ctx context.Context, b *beat) error {
		if kind := c.h("Content-Type"); kind != "" && !strings.HasPrefix(kind, "text/plain") {
			return refusal(http.StatusNotAcceptable, "")
		}
		names, err := c.namesToDelete() //nolint:contextcheck // a call takes the context of the request that it holds
		if err != nil {
			return err
		}
		return c.deleteAll(ctx, r, b, names)
	}), nil
}

// namesToDelete reads the lines of the body. Errors: 411, 413 for too many, 400 for a line that is too long for a name.
func (c *call) namesToDelete() ([]string, error) {
	if !c.has("Content-Length") && len(c.r.TransferEncoding) == 0 && c.r.ContentLength <= 0 {
		return nil, refusal(http.StatusLengthRequired, "")
	}
	var names []string
	lines := bufio.NewReaderSize(c.paced(), 2*bulkPathMax*3) // a byte may be escaped by three
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, bad("Invalid File Name")
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		switch name := unescape(string(bytes.TrimSpace(line))); {
		case len(name) > 2*bulkPathMax:
			return nil, bad("Invalid File Name")
		case name != "":
			names = append(names, name)
		}
		if len(names) > bulkDeletesMax {
			return nil, refusal(http.StatusRequestEntityTooLarge, "Maximum Bulk Deletes: 10000 per request")
		}
		if errors.Is(err, io.EOF) {
			return names, nil
		}
	}
}

// deleteAll deletes objects, then containers, and reports. The error ends the work.
func (c *call) deleteAll(ctx context.Context, r *report, b *beat, names []string) error {
	server := false
	for _, containers := range []bool{false, true} {
		rest := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return containers == strings.Contains(strings.Trim(name, "/"), "/") })
		for len(rest) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := b.tick(); err != nil {
				return err
			}
			if len(r.failed) >= bulkFailuresMax {
				return bad("Max delete failures exceeded")
			}
			n := distinct(rest[:min(len(rest), deletesAtOnce, bulkFailuresMax-len(r.failed))])
			server = c.deleteSome(ctx, r, rest[:n]) || server
			rest = rest[n:]
		}
	}
	switch {
	case len(r.failed) > 0 && server:
		r.status = http.StatusBadGateway
	case len(r.failed) > 0:
		r.status = http.StatusBadRequest
	case r.counts["Number Deleted"]+r.counts["Number Not Found"] == 0:
		r.status, r.body = http.StatusBadRequest, "Invalid bulk delete."
	}
	return nil
}

// deletesAtOnce is how many objects a bulk operation deletes at once, so that none waits for the metadata of all before it.
const deletesAtOnce = 16

// distinct is how many lines there are before one that names again what another does: that is deleted after it, as in an archive, where each
// deletion brings back an older object.
func distinct(names []string) int {
	seen := map[string]bool{}
	for i, name := range names {
		name = strings.TrimLeft(name, "/")
		if seen[name] {
			return i
		}
		seen[name] = true
	}
	return len(names)
}

// deleteSome deletes what lines name, all at once, and reports in their order; server tells that a fault was the server's.
func (c *call) deleteSome(ctx context.Context, r *report, names []string) (server bool) {
	status := make([]int, len(names))
	which := make([]int, len(names))
	for i := range which {
		which[i] = i
	}
	_ = backend.AtOnce(which, func(i int) error { // each has its status
		status[i] = c.deleteNamed(ctx, names[i])
		return nil
	})
	for i, s := range status {
		switch {
		case s/100 == 2:
			r.counts["Number Deleted"]++
		case s == http.StatusNotFound:
			r.counts["Number Not Found"]++
		default:
			r.fail(names[i], s)
		}
		server = server || s/100 == 5
	}
	return server
}

// deleteNamed deletes "container/object" or "container" and tells the status.
func (c *call) deleteNamed(ctx context.Context, name string) int {
	if !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return http.StatusPreconditionFailed
	}
	container, object, _ := strings.Cut(strings.TrimLeft(name, "/"), "/")
	s, err := c.named(ctx, http.MethodDelete, container, object)
	if err != nil {
		return faultOf(err).status
	}
	return s.outcome(ctx).status
}

// named is a sub-call for names that a client wrote.
func (c *call) named(ctx context.Context, method, container, object string) (*call, error) {
	cn, err := containerName(container)
	if err != nil {
		return nil, err
	}
	on := naming.ObjectName("")
	if object != "" {
		if on, err = objectName(object); err != nil {
			return nil, err
		}
	}
	return c.sub(ctx, method, cn, on, http.Header{}), nil
}

// drainRest takes what is left of the body off the connection, once the work is done.
func (c *call) drainRest() {
	wire.Drain(c.w.W, c.r, wire.Refused{Begun: true, Limit: int64(c.door.o.Limits.DrainBytes), Clock: c.door.o.Clock})
}
