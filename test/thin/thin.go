// Package thin is an S3 client that costs as little as possible, for load: one connection, one request at a time, no allocation to speak
// of, header signatures with a key that is derived once a day. It knows just enough HTTP to talk to a server that behaves.
package thin

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Keys sign requests.
type Keys struct {
	Access, Secret, Region string
	// Token, if set, is sent as X-Auth-Token, and nothing is signed: for the OpenStack API.
	Token string
}

// Payload modes of a request.
const (
	Unsigned = "UNSIGNED-PAYLOAD" // the body is not part of the signature
	Signed   = ""                 // its SHA-256 is, computed by the client
)

// answerLineMax bounds a header line of an answer, bytes.
const answerLineMax = 16 << 10

// Header is a request header. The name is in lower case. All are signed.
type Header struct {
	Name, Value string
}

// Request is what to send.
type Request struct {
	Method  string
	Path    string // escaped, beginning with a slash
	Query   string // escaped, parameters sorted by name, each with "="
	Headers []Header
	Body    []byte
	Payload string // Unsigned or Signed
	// Stream, if set, writes Length bytes of body instead of Body; only with Unsigned.
	Stream func(io.Writer) error
	Length int64
}

// Response is what came back. Body holds the body of answers that are no success, and of others if no sink took it.
type Response struct {
	Status  int
	ETag    string // without quotes
	Version string // x-amz-version-id
	Length  int64  // bytes of body read
	Body    []byte
}

// OK reports success.
func (r Response) OK() bool { return r.Status >= 200 && r.Status < 300 }

// Err is nil for success, else an error with the status and the beginning of the body.
func (r Response) Err() error {
	if r.OK() {
		return nil
	}
	return fmt.Errorf("status %d: %.300s", r.Status, r.Body)
}

// Client is one connection. It is not safe for concurrent use. After an error the next request dials again.
type Client struct {
	addr    string
	keys    Keys
	timeout time.Duration
	now     func() time.Time

	conn net.Conn
	in   *bufio.Reader

	day   string // for which mac is
	scope string
	mac   hash.Hash // keyed with the day's signing key

	head, canonical, scratch []byte
	body                     []byte
}

// New makes a client for the server at addr (host:port). A request that makes no progress within the timeout fails; 0 is none.
func New(addr string, keys Keys, timeout time.Duration) *Client {
	return &Client{addr: addr, keys: keys, timeout: timeout, now: time.Now, scratch: make([]byte, 64<<10)}
}

// Close closes the connection.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// Do sends a request and reads the answer. The bytes of a successful body go to sink as they come; nil keeps them in the answer's Body, which is
// valid until the next call. An error means that the outcome is unknown.
func (c *Client) Do(r *Request, sink func([]byte)) (Response, error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.addr, 10*time.Second)
		if err != nil {
			return Response{}, err
		}
		c.conn = conn
		c.in = bufio.NewReaderSize(conn, 64<<10)
	}
	answer, err := c.exchange(r, sink)
	if err != nil {
		c.Close()
	}
	return answer, err
}

// Head is the signed head of a request, for callers that read the answer by themselves.
func (c *Client) Head(r *Request) []byte {
	c.sign(r)
	return c.head
}

func (c *Client) exchange(r *Request, sink func([]byte)) (Response, error) {
	c.sign(r)
	if c.timeout > 0 {
		if err := c.conn.SetDeadline(c.now().Add(c.timeout)); err != nil {
			return Response{}, err
		}
	}
	if err := c.send(r); err != nil {
		// The server may have answered early and hung up: its answer says more than our broken pipe.
		if answer, readErr := c.receive(r.Method, sink); readErr == nil && !answer.OK() {
			c.Close()
			return answer, nil
		}
		return Response{}, err
	}
	return c.receive(r.Method, sink)
}

func (c *Client) send(r *Request) error {
	if r.Stream != nil {
		if _, err := c.conn.Write(c.head); err != nil {
			return err
		}
		return r.Stream(c.conn)
	}
	if len(r.Body) == 0 {
		_, err := c.conn.Write(c.head)
		return err
	}
	if len(r.Body) <= 16<<10 {
		c.head = append(c.head, r.Body...)
		_, err := c.conn.Write(c.head)
		return err
	}
	buffers := net.Buffers{c.head, r.Body}
	_, err := buffers.WriteTo(c.conn)
	return err
}

// sign composes the request's head in c.head.
func (c *Client) sign(r *Request) {
	if c.keys.Token != "" {
		c.compose(r, append([]Header{{"host", c.addr}, {"x-auth-token", c.keys.Token}}, r.Headers...))
		c.head = append(c.head, "\r\n\r\n"...)
		return
	}
	stamp := c.now().UTC().Format("20060102T150405Z")
	if stamp[:8] != c.day {
		c.derive(stamp[:8])
	}
	payload := r.Payload
	if payload == Signed {
		sum := sha256.Sum256(r.Body)
		payload = hex.EncodeToString(sum[:])
	}
	headers := append(make([]Header, 0, 8),
		Header{"host", c.addr}, Header{"x-amz-content-sha256", payload}, Header{"x-amz-date", stamp})
	if len(r.Headers) > 0 {
		headers = append(headers, r.Headers...)
		slices.SortFunc(headers, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	}
	signature, names := c.signature(r, headers, stamp, payload)

	c.compose(r, headers)
	h := append(c.head, "\r\n"...)
	h = append(append(append(append(h, "authorization: AWS4-HMAC-SHA256 Credential="...), c.keys.Access...), '/'), c.scope...)
	h = append(append(append(append(h, ", SignedHeaders="...), names...), ", Signature="...), signature...)
	c.head = append(h, "\r\n\r\n"...)
}

// compose puts request line and headers into c.head, without the end of the last line.
func (c *Client) compose(r *Request, headers []Header) {
	h := append(c.head[:0], r.Method...)
	h = append(append(h, ' '), r.Path...)
	if r.Query != "" {
		h = append(append(h, '?'), r.Query...)
	}
	h = append(h, " HTTP/1.1"...)
	for _, each := range headers {
		h = append(append(append(append(h, "\r\n"...), each.Name...), ": "...), each.Value...)
	}
	length := int64(len(r.Body))
	if r.Stream != nil {
		length = r.Length
	}
	if length > 0 || r.Method == "PUT" || r.Method == "POST" {
		h = strconv.AppendInt(append(h, "\r\ncontent-length: "...), length, 10)
	}
	c.head = h
}

func (c *Client) signature(r *Request, headers []Header, stamp, payload string) (signature, names string) {
	list := make([]byte, 0, 96)
	b := append(c.canonical[:0], r.Method...)
	b = append(append(append(append(append(b, '\n'), r.Path...), '\n'), r.Query...), '\n')
	for i, each := range headers {
		b = append(append(append(append(b, each.Name...), ':'), each.Value...), '\n')
		if i > 0 {
			list = append(list, ';')
		}
		list = append(list, each.Name...)
	}
	b = append(append(append(append(b, '\n'), list...), '\n'), payload...)
	c.canonical = b
	sum := sha256.Sum256(b)

	text := append(c.scratch[:0], "AWS4-HMAC-SHA256\n"...)
	text = append(append(append(append(text, stamp...), '\n'), c.scope...), '\n')
	text = hex.AppendEncode(text, sum[:])
	c.mac.Reset()
	c.mac.Write(text)
	return hex.EncodeToString(c.mac.Sum(nil)), string(list)
}

func (c *Client) derive(day string) {
	key := []byte("AWS4" + c.keys.Secret)
	for _, part := range []string{day, c.keys.Region, "s3", "aws4_request"} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	c.mac = hmac.New(sha256.New, key)
	c.day = day
	c.scope = day + "/" + c.keys.Region + "/s3/aws4_request"
}

func (c *Client) receive(method string, sink func([]byte)) (Response, error) {
	var answer Response
	line, err := c.line()
	if err != nil {
		return answer, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return answer, fmt.Errorf("answer begins %q", line)
	}
	answer.Status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	length, chunked, closes := int64(0), false, false
	for {
		line, err := c.line()
		if err != nil {
			return answer, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case asciiEqual(name, "content-length"):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return answer, err
			}
		case asciiEqual(name, "transfer-encoding"):
			chunked = true
		case asciiEqual(name, "etag"):
			answer.ETag = strings.Trim(string(value), `"`)
		case asciiEqual(name, "x-amz-version-id"):
			answer.Version = string(value)
		case asciiEqual(name, "connection"):
			closes = asciiEqual(value, "close")
		}
	}
	if answer.Status < 200 {
		return c.receive(method, sink) // 100 Continue
	}
	if !answer.OK() {
		sink = nil
	}
	c.body = c.body[:0]
	switch {
	case method == "HEAD", answer.Status == 204, answer.Status == 304:
	case chunked:
		answer.Length, err = c.chunks(sink)
	default:
		answer.Length, err = c.take(length, sink)
	}
	answer.Body = c.body
	if closes {
		c.Close()
	}
	return answer, err
}

func (c *Client) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) > answerLineMax {
		return nil, errors.New("header line of the answer is too long")
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// take reads n bytes of body.
func (c *Client) take(n int64, sink func([]byte)) (int64, error) {
	var done int64
	for done < n {
		part := c.scratch[:min(int64(len(c.scratch)), n-done)]
		got, err := c.in.Read(part)
		if sink != nil {
			sink(part[:got])
		} else {
			c.body = append(c.body, part[:got]...)
		}
		done += int64(got)
		if err != nil && done < n {
			return done, io.ErrUnexpectedEOF
		}
	}
	return done, nil
}

func (c *Client) chunks(sink func([]byte)) (int64, error) {
	var done int64
	for {
		line, err := c.line()
		if err != nil {
			return done, err
		}
		size, err := strconv.ParseInt(string(line), 16, 64)
		if err != nil {
			return done, err
		}
		n, err := c.take(size, sink)
		done += n
		if err != nil {
			return done, err
		}
		if _, err := c.line(); err != nil || size == 0 {
			return done, err
		}
	}
}

func asciiEqual(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// Escape writes a bucket and key, or a query value if slash is false, in the form that signatures want: all but unreserved characters as %XX.
func Escape(text string, slash bool) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 || slash && c == '/' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
