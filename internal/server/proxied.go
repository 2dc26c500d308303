package server

import (
	"bufio"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyHeaderTime is how long a proxy may take to send the header of the PROXY protocol.
const proxyHeaderTime = 10 * time.Second

// proxied reads the header of the PROXY protocol (versions 1 and 2) from connections of trusted proxies. A trusted peer may leave it out, as health
// checks do; from others it is not looked for, and no request.
type proxied struct {
	net.Listener
	front *front
	now   func() time.Time
}

// Accept implements net.Listener.
func (p *proxied) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	limited := c.(*limitedConn)
	if peer, ok := addrOf(c.RemoteAddr().String()); ok && p.front.trusts(peer) {
		limited.proxy = &proxyHeader{conn: limited.TCPConn, in: bufio.NewReaderSize(limited.TCPConn, 4096), now: p.now}
	}
	return limited, nil
}

// proxyHeader is what a proxy tells of a connection before the client's first byte.
type proxyHeader struct {
	conn *net.TCPConn
	in   *bufio.Reader
	now  func() time.Time

	once   sync.Once
	client net.Addr // nil: the proxy told none
	err    error
}

// read reads the header, once, in the connection's own goroutine.
func (h *proxyHeader) read() {
	h.once.Do(func() {
		_ = h.conn.SetReadDeadline(h.now().Add(proxyHeaderTime))
		header, err := proxyproto.Read(h.in)
		_ = h.conn.SetReadDeadline(time.Time{})
		switch {
		case errors.Is(err, proxyproto.ErrNoProxyProtocol):
		case err != nil:
			h.err = err
		case header.Command == proxyproto.PROXY:
			if a, ok := header.SourceAddr.(*net.TCPAddr); ok {
				h.client = a
			}
		}
	})
}

// prefixes reads addresses and networks; the configuration has checked them.
func prefixes(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p.Masked())
		} else if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out
}
