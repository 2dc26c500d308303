package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"pithos/internal/door/wire"
)

// mender lets requests reach the doors that net/http refuses by itself, and lets answers keep what net/http takes off them. It stands below
// net/http, on the connections of one listener, and above it, as restore around the handler.
//
// On the way in it reads header lines as they pass. One that net/http would not let through, though an operation may depend on it, travels as the value of
// a header whose name nobody can guess, and restore puts it back: an Expect other than 100-continue, a Host with bytes beyond ASCII, and header
// names that are no tokens (RFC 9110, 5.6.2) but printable. Where the target is a whole URL, whose host counts (RFC 9112, 3.2.2), the Host that was sent beside it is
// kept for who checks what a client signed (wire.SentHost). On the way out it puts the lines that a door announced behind the status line.
//
// It follows the framing of requests only where that has one meaning: no length, or one Content-Length of digits and no
// Transfer-Encoding. After any other request the rest of the connection passes as it is. Names with spaces or control characters stay as they are,
// so that net/http refuses them: such lines serve to smuggle requests.
type mender struct {
	header string // name that marks what was changed, canonical
}

func newMender() *mender {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails (Go 1.24)
	return &mender{header: "X" + hex.EncodeToString(raw[:])}
}

// unknownHost stands where a Host was that net/http would refuse.
const unknownHost = "unknown.invalid"

// listener mends the connections of l.
func (m *mender) listener(l net.Listener) net.Listener { return &mendedListener{l, m} }

type mendedListener struct {
	net.Listener
	m *mender
}

// Accept implements net.Listener.
func (l *mendedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	limited := c.(*limitedConn)
	return &mendedConn{limitedConn: limited, mending: mending{conn: limited, mark: l.m.header}}, nil
}

// secure mends a connection of HTTP/1.1 within TLS, after the handshake.
func (m *mender) secure(c *tls.Conn) net.Conn {
	return &mendedTLS{Conn: c, mending: mending{conn: c, mark: m.header}, state: c.ConnectionState()}
}

// tlsKey finds in a request's context what net/http does not see of its connection.
type tlsKey struct{}

// connContext is http.Server.ConnContext: doors announce header lines by it.
func (m *mender) connContext(ctx context.Context, c net.Conn) context.Context {
	switch mended := c.(type) {
	case *mendedConn:
		return wire.WithAnnounce(ctx, mended.announce)
	case *mendedTLS:
		return context.WithValue(wire.WithAnnounce(ctx, mended.announce), tlsKey{}, &mended.state)
	}
	return ctx // HTTP/2, which has no lines to mend
}

// restore puts back what was changed, and what is known of TLS, then calls next.
func (m *mender) restore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if state, ok := r.Context().Value(tlsKey{}).(*tls.ConnectionState); ok && r.TLS == nil {
			r.TLS = state
		}
		if changed, ok := r.Header[m.header]; ok {
			delete(r.Header, m.header)
			for _, line := range changed {
				r = m.putBack(r, line)
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (m *mender) putBack(r *http.Request, line string) *http.Request {
	name, value, _ := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	switch {
	case strings.EqualFold(name, "Host") && r.URL.Host != "":
		return wire.WithSentHost(r, value)
	case strings.EqualFold(name, "Host"):
		r.Host = value
		return r
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	r.Header[name] = append(r.Header[name], value)
	return r
}

// The parts of a request as they pass.
type phase uint8

const (
	requestLine phase = iota
	headerLines
	bodyBytes
	untouched // the rest of the connection passes as it is
)

// targetForm is what is known of the target in a request line of which only a part may have passed.
type targetForm uint8

const (
	inMethod targetForm = iota
	atTarget
	plainTarget
	wholeURL
)

// read goes on with the bytes of the request line.
func (f targetForm) read(data []byte) targetForm {
	for _, b := range data {
		switch {
		case f == inMethod && b == ' ':
			f = atTarget
		case f == atTarget && (b == '/' || b == '*'):
			return plainTarget
		case f == atTarget:
			return wholeURL
		case f != inMethod:
			return f
		}
	}
	return f
}

// lineMax bounds a line that is held back until it is whole; net/http bounds the sum.
const lineMax = 64 << 10

// mendedConn is a mended connection without TLS. What it embeds stays visible, so that net/http sends files by it.
type mendedConn struct {
	*limitedConn
	mending
}

// Read implements net.Conn.
func (c *mendedConn) Read(p []byte) (int, error) { return c.mending.Read(p) }

// Write implements net.Conn.
func (c *mendedConn) Write(p []byte) (int, error) { return c.mending.Write(p) }

// mendedTLS is a mended connection within TLS.
type mendedTLS struct {
	*tls.Conn
	mending
	state tls.ConnectionState
}

// Read implements net.Conn.
func (c *mendedTLS) Read(p []byte) (int, error) { return c.mending.Read(p) }

// Write implements net.Conn.
func (c *mendedTLS) Write(p []byte) (int, error) { return c.mending.Write(p) }

// mending is what passes over a connection. One goroutine reads at a time, and one writes, as net/http does.
type mending struct {
	conn io.ReadWriter // what it stands on
	mark string

	phase   phase
	target  targetForm
	left    int64  // of the body
	sized   bool   // a Content-Length was seen
	raw     []byte // read, and not looked at yet
	ready   []byte // looked at, and not handed out yet
	insert  []byte // lines for the next answer
	scratch []byte // the beginning of an answer with its inserted lines
}

// announce keeps header lines for the answer that comes next.
func (c *mending) announce(lines string) { c.insert = append(c.insert, lines...) }

// Write implements net.Conn. The announcement comes from the handler whose answer is not begun, and every answer begins with a Write of its own.
func (c *mending) Write(p []byte) (int, error) {
	if len(c.insert) == 0 || !bytes.HasPrefix(p, []byte("HTTP/1.")) || bytes.HasPrefix(p[min(len(p), 8):], []byte(" 1")) {
		return c.conn.Write(p)
	}
	end := bytes.IndexByte(p, '\n') + 1
	c.scratch = append(c.scratch[:0], p[:end]...)
	c.scratch = append(append(c.scratch, c.insert...), p[end:]...)
	more := len(c.insert)
	c.insert = c.insert[:0]
	n, err := c.conn.Write(c.scratch)
	if n >= end {
		n = max(end, n-more)
	}
	return n, err
}

// Read implements net.Conn.
func (c *mending) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(c.ready) > 0 {
			n := copy(p, c.ready)
			c.ready = c.ready[n:]
			return n, nil
		}
		switch {
		case len(c.raw) > 0 && c.advance():
			continue
		case c.phase == untouched:
			return c.conn.Read(p)
		case c.phase == bodyBytes:
			n, err := c.conn.Read(p[:min(int64(len(p)), c.left)])
			c.pass(int64(n))
			return n, err
		case len(c.raw) == 0:
			n, err := c.conn.Read(p)
			whole := c.scan(p[:n])
			if rest := p[whole:n]; len(rest) > 0 {
				c.raw = append(c.raw[:0], rest...)
			}
			if whole > 0 || err != nil {
				c.surrender(err)
				return whole, err
			}
		default:
			if err := c.more(); err != nil {
				if c.surrender(err); c.phase != untouched {
					return 0, err
				}
			}
		}
	}
}

// more reads behind a line that is not whole.
func (c *mending) more() error {
	var buf [1024]byte
	n, err := c.conn.Read(buf[:])
	if c.raw = append(c.raw, buf[:n]...); len(c.raw) > lineMax && bytes.IndexByte(c.raw, '\n') < 0 {
		c.phase = untouched
	}
	if n > 0 {
		return nil // the error comes again
	}
	return err
}

// surrender stops looking after an error that ends the connection. A deadline does not: net/http sets one to end its waiting.
func (c *mending) surrender(err error) {
	if err == nil {
		return
	}
	if late, ok := err.(interface{ Timeout() bool }); !ok || !late.Timeout() {
		c.phase = untouched
	}
}

// advance looks at what was read before; false when it needs more.
func (c *mending) advance() bool {
	c.ready = c.ready[:0]
	whole := c.scan(c.raw)
	c.ready = append(c.ready, c.raw[:whole]...)
	c.raw = c.raw[whole:]
	if whole == 0 && c.phase == headerLines {
		if end := bytes.IndexByte(c.raw, '\n') + 1; end > 0 {
			c.ready = c.change(c.ready, c.raw[:end])
			c.raw = c.raw[end:]
		}
	}
	return len(c.ready) > 0
}

// scan follows what passes and tells how much of it can pass as it is. It ends before a line that must be changed or is not whole, and behind a request.
func (c *mending) scan(data []byte) int {
	pos := 0
	for pos < len(data) {
		switch c.phase {
		case untouched:
			return len(data)
		case bodyBytes:
			n := min(int64(len(data)-pos), c.left)
			c.pass(n)
			return pos + int(n)
		case requestLine:
			end := bytes.IndexByte(data[pos:], '\n')
			if end < 0 {
				c.target = c.target.read(data[pos:])
				return len(data)
			}
			c.target = c.target.read(data[pos : pos+end])
			pos += end + 1
			c.phase, c.left, c.sized = headerLines, 0, false
		case headerLines:
			end := bytes.IndexByte(data[pos:], '\n')
			if end < 0 {
				return pos
			}
			line := data[pos : pos+end+1]
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				c.endHeader()
				pos += len(line)
				if c.phase == requestLine {
					return pos
				}
				continue
			}
			if !c.passes(line) {
				return pos
			}
			pos += len(line)
		}
	}
	return pos
}

func (c *mending) endHeader() {
	switch {
	case c.phase == untouched:
	case c.left > 0:
		c.phase = bodyBytes
	default:
		c.phase, c.target = requestLine, inMethod
	}
}

// pass counts bytes of a body.
func (c *mending) pass(n int64) {
	if c.left -= n; c.left <= 0 {
		c.phase, c.target = requestLine, inMethod
	}
}

// nameEnd is where a header's name ends; whole tells that it is a token.
func nameEnd(line []byte) (end int, token bool) {
	token = true
	for i, b := range line {
		if b == ':' {
			return i, token && i > 0
		}
		token = token && tokens[b]
	}
	return -1, false
}

// tokens are the characters of tokens (RFC 9110, 5.6.2); never written.
var tokens = func() (t [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[b] = true
	}
	return t
}()

// passes tells whether net/http lets a header line through, and learns from it how the request is framed.
func (c *mending) passes(line []byte) bool {
	end, token := nameEnd(line)
	if end < 0 || line[0] == ' ' || line[0] == '\t' {
		c.phase = untouched // net/http will refuse it, or fold it
		return true
	}
	if !token {
		return !renamable(line[:end])
	}
	name := line[:end]
	switch end {
	case len("Host"):
		return !bytes.EqualFold(name, []byte("Host")) || !hasHigh(line) && c.target != wholeURL
	case len("Expect"):
		return !bytes.EqualFold(name, []byte("Expect")) || hasFold(line[end:], "100-continue") || len(bytes.TrimSpace(line[end+1:])) == 0
	case len("Content-Length"):
		if bytes.EqualFold(name, []byte("Content-Length")) {
			n, err := strconv.ParseUint(string(bytes.Trim(line[end+1:], " \t\r\n")), 10, 63)
			if err != nil || c.sized {
				c.phase = untouched
				return true
			}
			c.left, c.sized = int64(n), true
		}
	case len("Transfer-Encoding"):
		if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			c.phase = untouched
		}
	}
	return true
}

// renamable tells whether a name that is no token may travel under another: it is printable.
func renamable(name []byte) bool {
	for _, b := range name {
		if b <= ' ' || b == 0x7f {
			return false
		}
	}
	return len(name) > 0
}

func hasHigh(line []byte) bool {
	for _, b := range line {
		if b >= 0x80 {
			return true
		}
	}
	return false
}

func hasFold(line []byte, word string) bool {
	return bytes.Contains(bytes.ToLower(line), []byte(word))
}

// change appends a line in the form in which net/http lets it through.
func (c *mending) change(to, line []byte) []byte {
	if end, token := nameEnd(line); token && bytes.EqualFold(line[:end], []byte("Host")) {
		to = append(to, "Host: "+unknownHost+"\r\n"...)
	}
	to = append(to, c.mark...)
	to = append(to, ": "...)
	return append(to, line...)
}
