package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// handshakes is a listener of connections on which the handshake of TLS is done, each in its own goroutine. net/http would do it by itself, but then
// nothing could stand between it and the decrypted bytes of HTTP/1.1, which are mended. Connections of HTTP/2 go to net/http as they are.
type handshakes struct {
	net.Listener
	config  *tls.Config
	mender  *mender
	timeout time.Duration // for one handshake
	log     *slog.Logger

	ready  chan shaken
	closed chan struct{}
	once   sync.Once
}

// shaken is what Accept returns.
type shaken struct {
	conn net.Conn
	err  error
}

// newHandshakes begins to accept connections of l, until Close.
func newHandshakes(ctx context.Context, l net.Listener, h *handshakes) net.Listener {
	h.Listener, h.ready, h.closed = l, make(chan shaken), make(chan struct{})
	go h.accept(ctx)
	return h
}

func (h *handshakes) accept(ctx context.Context) {
	for {
		c, err := h.Listener.Accept()
		if err != nil {
			if !h.deliver(shaken{err: err}) || errors.Is(err, net.ErrClosed) {
				return
			}
			continue // net/http waits a little before it asks again
		}
		go h.shake(ctx, c)
	}
}

// shake does the handshake of one connection and hands it on.
func (h *handshakes) shake(ctx context.Context, raw net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	c := tls.Server(raw, h.config)
	if err := c.HandshakeContext(ctx); err != nil {
		var plain tls.RecordHeaderError
		if errors.As(err, &plain) && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader) {
			_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis address speaks HTTPS: use https:// in its URL.\n")
		}
		h.log.DebugContext(ctx, "TLS handshake failed", "remote", raw.RemoteAddr(), "error", err)
		_ = raw.Close() // it says nothing new
		return
	}
	ready := net.Conn(c)
	switch c.ConnectionState().NegotiatedProtocol {
	case "h2":
	case "", "http/1.1":
		ready = h.mender.secure(c)
	default: // the authority's question is answered with the handshake
		_ = c.Close()
		return
	}
	if !h.deliver(shaken{conn: ready}) {
		_ = raw.Close()
	}
}

// deliver hands something to Accept; false when the listener was closed.
func (h *handshakes) deliver(s shaken) bool {
	select {
	case h.ready <- s:
		return true
	case <-h.closed:
		return false
	}
}

// Accept implements net.Listener.
func (h *handshakes) Accept() (net.Conn, error) {
	select {
	case s := <-h.ready:
		return s.conn, s.err
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handshakes) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.Listener.Close()
}

// looksLikeHTTP tells whether the first bytes are those of a request without TLS.
func looksLikeHTTP(begin [5]byte) bool {
	switch string(begin[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "COPY ":
		return true
	}
	return false
}
