package s3

import (
	"context"
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
)

// sink counts the bytes of an answer's body and remembers whether it began.
type sink struct {
	w     http.ResponseWriter
	clock clock.Clock
	n     int64
	begun bool
	at    time.Time         // when it began
	pass  func(n int) error // waits until the user may have n bytes; nil: no limit
}

func (s *sink) Write(p []byte) (int, error) {
	if s.pass != nil {
		if err := s.pass(len(p)); err != nil {
			return 0, err
		}
	}
	if !s.begun {
		s.begun, s.at = true, s.clock.Now()
	}
	n, err := s.w.Write(p)
	s.n += int64(n)
	return n, err
}

// send writes the answer. Its error means that headers or a part of the body are out already and the connection must
// be cut, except when nothing was written yet: then send answers with the error itself.
func (c *call) send(ctx context.Context, rep *reply) error {
	c.finishHeaders(ctx, rep)
	if c.turn.Metered() {
		c.w.pass = func(n int) error { return c.turn.Bytes(ctx, n) }
	}
	if rep.stream == nil {
		c.w.w.WriteHeader(rep.status)
		if len(rep.body) == 0 || c.r.Method == http.MethodHead {
			return nil
		}
		_, err := c.w.Write(rep.body)
		return err
	}
	first := &firstWrite{sink: &c.w, status: rep.status}
	err := rep.stream(ctx, first)
	switch {
	case err != nil && !first.begun():
		// The first block is checked before its first byte is written, so a damaged object still gets a proper answer.
		failed := c.refuse(err)
		*rep = *failed
		c.finishHeaders(ctx, failed)
		c.w.w.WriteHeader(failed.status)
		_, _ = c.w.Write(failed.body)
		return nil
	case err != nil:
		return err
	case !first.begun():
		c.w.w.WriteHeader(rep.status)
	}
	if c.w.n != rep.length && !rep.noLength {
		return errs.E("s3.send", errs.Internal, errs.Object, string(c.name)).Because("", "stream ended after "+strconv.FormatInt(c.w.n, 10)+" bytes")
	}
	return nil
}

// firstWrite sends the status with the first byte.
type firstWrite struct {
	*sink
	status int
}

func (f *firstWrite) begun() bool { return f.sink.begun }

func (f *firstWrite) Write(p []byte) (int, error) {
	if !f.sink.begun {
		f.w.WriteHeader(f.status)
	}
	return f.sink.Write(p)
}

// finishHeaders sets what every answer has: ids, length, and whether the connection can go on.
func (c *call) finishHeaders(ctx context.Context, rep *reply) {
	c.set("X-Amz-Request-Id", c.id)
	c.set("X-Amz-Id-2", c.door.hostID)
	c.out["Server"] = serverName
	c.setCORS()
	if rep.status >= 400 {
		c.drain()
	}
	switch {
	case rep.status == http.StatusNoContent || rep.status == http.StatusNotModified:
		wire.AnnounceEmpty(ctx)
	case rep.noLength:
	case rep.stream != nil:
		c.set("Content-Length", strconv.FormatInt(rep.length, 10))
	case c.r.Method == http.MethodHead && len(rep.body) == 0 && c.out["Content-Length"] != nil:
		// A HEAD handler told the length of the body it does not send.
	default:
		c.set("Content-Length", strconv.Itoa(len(rep.body)))
	}
	if _, ok := c.out["Content-Type"]; !ok {
		c.out["Content-Type"] = nil // no sniffing
		if c.door.o.AsSwift && rep.status != http.StatusNotModified {
			c.set("Content-Type", "text/html; charset=UTF-8")
		}
	}
}

// serverName is the Server header; never written.
var serverName = []string{"Pithos"}

// drain takes the rest of a refused body off the connection, or has it closed.
func (c *call) drain() {
	c.payload.release()
	f := wire.Refused{Begun: c.payload.begun, Stalled: c.payload.stalled, Limit: int64(c.door.o.Limits.DrainBytes), Clock: c.door.o.Clock}
	if !wire.Drain(c.w.w, c.r, f) {
		c.set("Connection", "close")
	}
}

// refuse makes the answer to a failed call. What the handler had set so far is dropped.
func (c *call) refuse(err error) *reply {
	f := faultOf(err)
	clear(c.out)
	for name, values := range f.header {
		c.out[name] = values
	}
	status := f.code.status()
	switch {
	case f.code == BadDigest || f.code == IncompleteBody || f.code == ContentSHA256Mismatch || f.code == MalformedTrailer:
		// The client miscounted or was garbled: what follows on the connection may be the rest of the body and no request.
		c.set("Connection", "close")
	case f.code == SlowDown || f.code == ServiceUnavailable || f.code == InsufficientStorage:
		if c.out["Retry-After"] == nil {
			c.set("Retry-After", "1")
		}
	case status == http.StatusMethodNotAllowed && c.out["Allow"] == nil:
		c.setIf("Allow", c.door.table.allowed(c.level))
	}
	rep := &reply{status: status, code: string(f.code)}
	if status == http.StatusNotModified {
		return rep
	}
	c.set("Content-Type", "application/xml")
	if c.r.Method != http.MethodHead {
		rep.body = c.errorDocument(f)
	}
	return rep
}

// allowed lists the methods of a level for the Allow header.
func (t *table) allowed(l level) string {
	s := ""
	for _, m := range []string{get, head, put, post, remove} {
		if len(t.rows[l][m]) == 0 {
			continue
		}
		if s != "" {
			s += ", "
		}
		s += m
	}
	return s
}

// errorDocument is the XML of an error.
func (c *call) errorDocument(f *fault) []byte {
	msg := f.msg
	if msg == "" {
		msg = f.code.message()
	}
	var x document
	x.begin()
	x.open("Error")
	x.text("Code", string(f.code))
	if c.door.o.AsSwift {
		x.plain("Message", msg)
	} else {
		x.text("Message", msg)
	}
	for _, d := range f.detail {
		// Lines stay lines: StringToSign is compared with what a client has signed.
		x.open(d.name)
		x.raw(strings.ReplaceAll(string(appendEscaped(nil, d.value)), "&#xa;", "\n"))
		x.close(d.name)
	}
	switch f.code {
	case NoSuchBucket, BucketAlreadyExists, BucketAlreadyOwnedByYou, BucketNotEmpty:
		x.textIf("BucketName", string(c.bucket))
	case NoSuchKey:
		x.textIf("Key", string(c.name))
	}
	if !c.door.o.AsSwift {
		x.text("Resource", c.resource())
	}
	x.text("RequestId", c.id)
	if !c.door.o.AsSwift {
		x.text("HostId", c.door.hostID)
	}
	x.close("Error")
	return x.b
}

// resource is what the request was about, as error documents name it.
func (c *call) resource() string {
	switch c.level {
	case bucketLevel:
		return "/" + string(c.bucket)
	case objectLevel:
		return "/" + string(c.bucket) + "/" + string(c.name)
	case serviceLevel:
	}
	return "/"
}

// newHostID draws the id by which this process answers (x-amz-id-2).
func newHostID() string {
	var raw [36]byte
	for i := range raw {
		raw[i] = byte(rand.Uint32())
	}
	return base64.StdEncoding.EncodeToString(raw[:])
}
