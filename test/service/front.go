package service

import (
	"io"
	"net"
	"sync"
)

// Front spreads connections over several services, each to the next one, as a load balancer does that knows nothing of HTTP.
type Front struct {
	listener net.Listener
	backs    []string
	all      sync.WaitGroup

	mu   sync.Mutex
	next int
	open map[net.Conn]bool
	shut bool
}

// NewFront listens on a free address of loopback for services at the addresses.
func NewFront(backs ...string) (*Front, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Front{listener: l, backs: backs, open: map[net.Conn]bool{}}
	f.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			f.all.Go(func() { f.pass(client) })
		}
	})
	return f, nil
}

// Addr is the address that clients connect to.
func (f *Front) Addr() string { return f.listener.Addr().String() }

// Close ends all connections.
func (f *Front) Close() error {
	err := f.listener.Close()
	f.mu.Lock()
	f.shut = true
	for c := range f.open {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.all.Wait()
	return err
}

// keep notes connections for Close; false means that it has come already.
func (f *Front) keep(all ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range all {
		f.open[c] = true
	}
	return !f.shut
}

func (f *Front) turn() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	return f.backs[f.next%len(f.backs)]
}

// pass moves bytes both ways until either side has ended.
func (f *Front) pass(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", f.turn())
	if err != nil {
		return // as if nobody listened
	}
	defer func() { _ = server.Close() }()
	if !f.keep(client, server) {
		return
	}
	var way sync.WaitGroup
	for _, c := range [][2]net.Conn{{server, client}, {client, server}} {
		way.Go(func() {
			_, _ = io.Copy(c[0], c[1])
			if half, ok := c[0].(*net.TCPConn); ok {
				_ = half.CloseWrite() // the other direction may still go on
			}
		})
	}
	way.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, client)
	delete(f.open, server)
}
