package wire

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"

	"pithos/internal/naming"
)

// Shares hold client addresses and users to what each may take. Doors that are given the same limiters hold them together. Nil limiters know no limit.
type Shares struct {
	Addresses, Users *Limiter
}

// Turn is the place of one request within the shares. The zero value has none.
type Turn struct {
	address, user Pass
}

// EnterAddress takes a place within the share of the address that r comes from, which proxies may have told. If there is none, retry says when to come
// again.
func (s Shares) EnterAddress(t *Turn, r *http.Request) (retry time.Duration, ok bool) {
	return s.Addresses.take(&t.address, RemoteIP(r.RemoteAddr))
}

// EnterUser takes a place within the share of who signed in. Nobody in particular has none but that of the address.
func (s Shares) EnterUser(t *Turn, user naming.UserID) (retry time.Duration, ok bool) {
	if user == "" {
		return 0, true
	}
	return s.Users.take(&t.user, string(user))
}

// take takes a place for p.
func (l *Limiter) take(p *Pass, name string) (retry time.Duration, ok bool) {
	pass, retry, ok := l.Enter(name)
	if ok {
		*p = pass
	}
	return retry, ok
}

// Leave ends the request. It must be called once after EnterAddress, whatever came of it.
func (t *Turn) Leave() {
	t.address.Leave()
	t.user.Leave()
}

// Bytes waits until n bytes more are within the user's share. Its only error is that ctx ended.
func (t *Turn) Bytes(ctx context.Context, n int) error { return t.user.Bytes(ctx, n) }

// Metered reports whether bytes count.
func (t *Turn) Metered() bool { return t.user.m != nil && t.user.m.bytes != nil }

// Meter makes what a request reads and writes wait for the user's share of bytes. body may be nil.
func (t *Turn) Meter(ctx context.Context, s *Sink, body *Body) {
	if !t.Metered() {
		return
	}
	wait := func(n int) error { return t.Bytes(ctx, n) }
	s.Within = wait
	if body != nil {
		body.Within(wait)
	}
}

// Limit holds a handler that has no word of its own for it to the shares of addresses: 429 with Retry-After (RFC 6585, 4).
func (s Shares) Limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var t Turn
		retry, ok := s.EnterAddress(&t, r)
		if !ok {
			w.Header()["Retry-After"] = []string{RetryAfter(retry)}
			http.Error(w, "Too many requests. Please try again later.", http.StatusTooManyRequests)
			return
		}
		defer t.Leave()
		next.ServeHTTP(w, r)
	})
}

// RetryAfter writes a wait as the header Retry-After does: whole seconds, never less than the wait.
func RetryAfter(wait time.Duration) string {
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
}

// RemoteIP is the address of "address:port".
func RemoteIP(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}
