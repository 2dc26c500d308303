package swift

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"pithos/internal/backend"
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
		// The first block is checked before its first byte is written, so a damaged object still gets a proper answer.
		*rep = *c.refuse(err)
		return c.send(ctx, rep)
	case err != nil:
		return err
	case !c.w.Begun:
		c.w.Begin()
	}
	if c.w.N != rep.length && !rep.open {
		return errs.E("swift.send", errs.Internal, errs.Object, string(c.name)).Because("", "stream ended after "+strconv.FormatInt(c.w.N, 10)+" bytes")
	}
	return nil
}

// finishHeaders sets what every answer has.
func (c *call) finishHeaders(ctx context.Context, rep *reply) {
	wire.SetTransaction(c.out, c.id)
	if rep.status >= http.StatusBadRequest || rep.refused {
		c.drain()
	}
	if rep.status == http.StatusNoContent || rep.status == http.StatusNotModified {
		wire.AnnounceEmpty(ctx)
	}
	switch {
	case rep.open:
	case rep.stream != nil:
		c.setInt("Content-Length", rep.length)
	case c.r.Method == http.MethodHead && c.out["Content-Length"] != nil:
		// A HEAD handler told the length of the body that it does not send.
	default:
		c.setInt("Content-Length", int64(len(rep.body)))
	}
	if _, ok := c.out["Content-Type"]; !ok {
		c.set("Content-Type", "text/html; charset=UTF-8")
	}
	if c.h("Connection") == "keep-alive" && c.out["Connection"] == nil {
		c.set("Connection", "keep-alive") // Swift says it back, and its tests look
	}
}

// refuse makes the answer to a failed call. What the handler had set so far is dropped.
func (c *call) refuse(err error) *reply {
	f := faultOf(c.hide(err))
	if f.status == http.StatusForbidden && !f.firm && (c.caller.Anonymous() || c.signed != nil) {
		f = refusal(http.StatusUnauthorized, f.msg).because(err)
	}
	clear(c.out)
	for name, values := range f.header {
		c.out[name] = values
	}
	var behind *backend.LinkError
	if errors.As(err, &behind) && c.out["Content-Location"] == nil {
		c.set("Content-Location", targetPath(behind.At))
	}
	switch f.status {
	case http.StatusUnauthorized:
		if f.header["Www-Authenticate"] == nil {
			c.set("Www-Authenticate", c.realm())
		}
	case http.StatusServiceUnavailable:
		c.set("Retry-After", "1")
	case statusClientLeft, http.StatusRequestTimeout:
		c.set("Connection", "close")
	}
	rep := &reply{status: f.status, refused: true}
	if c.r.Method == http.MethodHead || f.status == http.StatusNotModified || f.status == http.StatusPreconditionFailed && f.msg == "" {
		return rep
	}
	rep.body = page(f.status)
	c.set("Content-Type", "text/html; charset=UTF-8")
	if f.msg != "" {
		rep.body = []byte(f.msg)
		if c.set("Content-Type", "text/plain"); f.header["Content-Type"] != nil {
			c.out["Content-Type"] = f.header["Content-Type"]
		}
	}
	return rep
}

// drain takes the rest of a refused body off the connection, or has it closed.
func (c *call) drain() {
	begun := c.body != nil && c.body.Count() > 0
	if c.body != nil {
		c.body.Release()
	}
	if !wire.Drain(c.w.W, c.r, wire.Refused{Begun: begun, Limit: int64(c.door.o.Limits.DrainBytes), Clock: c.door.o.Clock}) {
		c.set("Connection", "close")
	}
}

// realm asks to sign in to the account of the path.
func (c *call) realm() string {
	if c.door.o.Challenge != "" {
		return c.door.o.Challenge
	}
	realm := "unknown"
	if c.account != "" {
		realm = strings.ReplaceAll(url.PathEscape(c.account), ":", "%3A")
	}
	return `Swift realm="` + realm + `"`
}
