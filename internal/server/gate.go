package server

import (
	"context"
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

// drain ends an HTTP server behind a gate: refuse, wait for running requests until ctx ends, then cut what is left and wait for its
// handlers to notice until last ends. It reports whether every handler has returned.
func drain(ctx, last context.Context, srv *http.Server, g *gate, cut context.CancelFunc) bool {
	empty := g.shut()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = srv.Shutdown(ctx) // its only error is that ctx ended, which is looked at below
	}()
	select {
	case <-empty:
	case <-ctx.Done():
	}
	<-stopped
	cut()
	_ = srv.Close() // closes what Shutdown left; a listener that is closed twice says so, which does not matter
	select {
	case <-empty:
		return true
	case <-last.Done():
		return false
	}
}
