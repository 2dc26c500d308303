package swift

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"pithos/internal/door/wire"
	"pithos/internal/naming"
)

// sub makes a call that this one needs on its way: a request of its own by the same caller, whose answer nobody sends. It passes through the same rows
// as a client's request, so that it can do no more than that.
func (c *call) sub(ctx context.Context, method string, container naming.ContainerName, name naming.ObjectName, header http.Header) *call {
	r := c.r.WithContext(ctx)
	r.Method, r.Header, r.Body, r.ContentLength, r.TransferEncoding = method, header, http.NoBody, 0, nil
	s := &call{
		door: c.door, r: r, w: wire.Sink{W: nowhere{http.Header{}}}, out: http.Header{}, id: c.id, started: c.started, caller: c.caller, signed: c.signed,
		account: c.account, base: c.base, owner: c.owner, administers: c.administers, container: container, name: name, query: url.Values{}, inside: true,
	}
	s.rawNames = [2]string{string(container), string(name)}
	switch {
	case name != "":
		s.level = objectLevel
	case container != "":
		s.level = containerLevel
	default:
		s.level = accountLevel
	}
	s.path = "/v1/" + c.account
	for _, part := range s.rawNames[:s.level-accountLevel] {
		s.path += "/" + part
	}
	return s
}

// with gives a sub-call a body of so many bytes, -1 for as many as come.
func (c *call) with(body io.Reader, size int64) *call {
	c.input, c.r.ContentLength = body, size
	if size < 0 {
		c.r.TransferEncoding = []string{"chunked"}
	} else {
		c.r.Header["Content-Length"] = []string{"0"} // what counts is the number; the header tells that there is one
	}
	return c
}

// perform serves a sub-call.
func (c *call) perform(ctx context.Context) (*reply, error) {
	if err := c.door.route(c); err != nil {
		return nil, err
	}
	return c.row.handle(ctx, c)
}

// outcome serves a sub-call whose answer has no stream, and tells its status and body.
func (c *call) outcome(ctx context.Context) *reply {
	rep, err := c.perform(ctx)
	if err != nil {
		rep = c.refuse(err)
	}
	return rep
}

// adopt makes the answer of a sub-call this call's own.
func (c *call) adopt(s *call, rep *reply) *reply {
	clear(c.out)
	for name, values := range s.out {
		c.out[name] = values
	}
	return rep
}

// paced reads the request's body at the client's pace, without a limit: what it is made of has its own.
func (c *call) paced() io.Reader {
	if c.body == nil {
		c.body = wire.NewBody(c.w.W, c.r, c.door.o.Clock, c.door.o.Pace)
		c.turn.Meter(c.r.Context(), &c.w, c.body)
	}
	return c.body
}

// nowhere takes the answer of a sub-call, which nobody sends.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header       { return n.header }
func (nowhere) WriteHeader(int)             {}
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
