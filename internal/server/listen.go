package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// listen opens a listener that holds at most connections at once. Its error says what to do.
func listen(ctx context.Context, setting, flag, address string, connections int) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err == nil {
		return newLimited(l, connections), nil
	}
	hint := "choose another address"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another process uses this port: stop it, or choose another port"
	case errors.Is(err, syscall.EACCES):
		hint = "this user may not open the port: choose one above 1023"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this machine has no such address: choose one that it has, or 0.0.0.0 for all"
	}
	return nil, fmt.Errorf("cannot listen on %s %s: %s with --%s HOST:PORT (%w)", setting, address, hint, flag, err)
}

// limited is a listener that stops accepting while too many connections are open.
type limited struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once

	most   int // connections of one address; 0: no limit
	exempt func(netip.Addr) bool
	mu     sync.Mutex
	open   map[netip.Addr]int // by address
}

func newLimited(l net.Listener, connections int) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, connections), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	// The TCP connection itself must stay visible inside: net/http sends files by it, and looks for nothing else.
	return &limitedConn{TCPConn: c.(*net.TCPConn), slots: l.slots, left: l.left}, nil
}

// accept waits for a connection of an address that does not have too many. The others are closed without a word: there is nothing yet to answer.
func (l *limited) accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.most == 0 {
			return c, err
		}
		peer, ok := addrOf(c.RemoteAddr().String())
		if !ok || l.exempt(peer) {
			return c, nil
		}
		l.mu.Lock()
		full := l.open[peer] >= l.most
		if !full {
			l.open[peer]++
		}
		l.mu.Unlock()
		if !full {
			return c, nil
		}
		_ = c.Close() // nobody waits for its error
	}
}

// left takes a closed connection out of the count.
func (l *limited) left(c net.Conn) {
	if l.most == 0 {
		return
	}
	peer, ok := addrOf(c.RemoteAddr().String())
	if !ok || l.exempt(peer) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[peer]--; l.open[peer] <= 0 {
		delete(l.open, peer)
	}
}

// perAddress bounds the connections of one address, but for those that are exempt.
func (l *limited) perAddress(most int, exempt func(netip.Addr) bool) {
	l.most, l.exempt, l.open = most, exempt, map[netip.Addr]int{}
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	*net.TCPConn
	slots chan struct{}
	once  sync.Once
	left  func(net.Conn)
	proxy *proxyHeader // nil: no proxy stands between, or none that is trusted
}

// Read implements net.Conn.
func (c *limitedConn) Read(p []byte) (int, error) {
	if c.proxy == nil {
		return c.TCPConn.Read(p)
	}
	if c.proxy.read(); c.proxy.err != nil {
		return 0, c.proxy.err
	}
	return c.proxy.in.Read(p)
}

// RemoteAddr implements net.Conn: the client's address, if a proxy told it.
func (c *limitedConn) RemoteAddr() net.Addr {
	if c.proxy != nil {
		if c.proxy.read(); c.proxy.client != nil {
			return c.proxy.client
		}
	}
	return c.TCPConn.RemoteAddr()
}

// Close implements net.Conn and gives the place back.
func (c *limitedConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(func() {
		<-c.slots
		c.left(c.TCPConn)
	})
	return err
}

// urlOf shows a listener's address as a URL that works on this machine.
func urlOf(scheme string, l net.Listener) string {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return scheme + "://" + l.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
