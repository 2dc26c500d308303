package pithos

import (
	"context"
	"net/http"
	"strconv"

	"pithos/internal/door/wire"
	"pithos/internal/errs"
)

// send writes the answer. Its error means that headers or a part of the body are out already and the connection must be cut.
func (c *call) send(ctx context.Context, rep *reply) error {
	c.finishHeaders(ctx, rep)
	c.w.Status = rep.status
	if rep.stream == nil {
		c.w.Begin()
		if len(rep.body) == 0 || c.r.Method == http.MethodHead {
			return nil
		}
		_, err := c.w.Write(rep.body)
		return err
	}
	err := rep.stream(ctx, &c.w)
	switch {
	case err != nil && !c.w.Begun:
		*rep = *c.refuse(err)
		return c.send(ctx, rep)
	case err != nil:
		return err
	case !c.w.Begun:
		c.w.Begin()
	}
	if c.w.N != rep.length {
		return errs.E("pithos.send", errs.Internal, errs.Object, string(c.name)).Because("", "stream ended after "+strconv.FormatInt(c.w.N, 10)+" bytes")
	}
	return nil
}

// finishHeaders sets what every answer has (Pithos+ 2.3, 2.8).
func (c *call) finishHeaders(ctx context.Context, rep *reply) {
	wire.SetTransaction(c.out, c.id)
	c.set("Vary", "X-Auth-Token")
	c.set("Cache-Control", "no-cache, no-store, must-revalidate, max-age=0")
	if rep.status >= http.StatusBadRequest {
		c.drain()
	}
	if rep.status == http.StatusNoContent || rep.status == http.StatusNotModified {
		wire.AnnounceEmpty(ctx)
	}
	switch {
	case rep.stream != nil:
		c.setInt("Content-Length", rep.length)
	case c.r.Method == http.MethodHead && c.out["Content-Length"] != nil:
		// A HEAD handler told the length of the body that it does not send.
	default:
		c.setInt("Content-Length", int64(len(rep.body)))
	}
	if _, ok := c.out["Content-Type"]; !ok {
		c.set("Content-Type", c.format.contentType())
	}
}

// refuse makes the answer to a failed call. What the handler had set so far is dropped.
func (c *call) refuse(err error) *reply {
	f := faultOf(c.hide(err))
	tag := c.out["Etag"]
	clear(c.out)
	for name, values := range f.header {
		c.out[name] = values
	}
	switch f.status {
	case http.StatusServiceUnavailable:
		if c.out["Retry-After"] == nil {
			c.set("Retry-After", "1")
		}
	case http.StatusNotModified:
		if tag != nil {
			c.out["Etag"] = tag
		}
		return empty(f.status)
	}
	rep := &reply{status: f.status, body: f.body}
	if rep.body == nil {
		rep.body = c.explain(f)
	}
	if c.r.Method == http.MethodHead {
		rep.body = nil
	}
	return rep
}

// explain writes what a fault says: a page for people where a browser asks to see an object (Pithos+ 10), else as the request wants it.
func (c *call) explain(f *fault) []byte {
	if c.level == viewLevel && (f.status == http.StatusForbidden || f.status == http.StatusNotFound) {
		c.set("Content-Type", "text/html; charset=UTF-8")
		return f.page()
	}
	as := c.format
	if as == textFormat {
		as = jsonFormat
	}
	c.set("Content-Type", as.contentType())
	return f.render(as)
}

// drain takes the rest of a refused body off the connection, or has it closed, so that the client reads the answer.
func (c *call) drain() {
	begun := c.body != nil && c.body.Count() > 0
	if c.body != nil {
		c.body.Release()
	}
	if !wire.Drain(c.w.W, c.r, wire.Refused{Begun: begun, Limit: drainMax, Clock: c.door.o.Clock}) {
		c.set("Connection", "close")
	}
}
