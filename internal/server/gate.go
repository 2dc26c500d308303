package server

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// gate counts the requests inside a handler, so that a stop can refuse new ones, which come over connections that are
// open already, and wait for those that run.
type gate struct {
	next    http.Handler
	refuse  http.Handler // answers what comes after the gate was shut
	inside  sync.RWMutex // held for reading by each request; locked for good by the stop
	closing atomic.Bool
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.closing.Load() || !g.inside.TryRLock() {
		g.refuse.ServeHTTP(w, r)
		return
	}
	defer g.inside.RUnlock()
	g.next.ServeHTTP(w, r)
}

// shut refuses new requests from now on. The channel is closed when the last running one has ended.
func (g *gate) shut() <-chan struct{} {
	empty := make(chan struct{})
	g.closing.Store(true)
	go func() {
		g.inside.Lock() // never unlocked: nothing may run behind a shut gate
		close(empty)
	}()
	return empty
}

// drain ends an HTTP server behind a gate: accept no connection, refuse requests on those that are open, wait for running requests until ctx ends,
// then cut what is left and wait for its handlers to notice until last ends. It reports whether every handler has returned.
//
// The server learns of it late: from then on net/http closes connections without a word, even those on which a request arrives.
func drain(ctx, last context.Context, srv *http.Server, l io.Closer, g *gate, cut context.CancelFunc) bool {
	empty := g.shut()
	_ = l.Close() // it says at most that it was closed before
	select {
	case <-empty:
	case <-ctx.Done():
	}
	_ = srv.Shutdown(ctx) // waits for refusals on their way; its only error is that ctx ended
	cut()
	_ = srv.Close() // closes what Shutdown left
	select {
	case <-empty:
		return true
	case <-last.Done():
		return false
	}
}
