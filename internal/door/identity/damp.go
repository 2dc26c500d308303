package identity

import (
	"net"
	"net/http"
	"time"

	"pithos/internal/naming"
)

// Failed sign-ins that are let pass at once, and how soon one more is. Each address has its share, and each user at each address a smaller one, so that
// nobody is locked out by strangers who guess elsewhere.
const (
	userFailures    = 10
	userRegain      = 6 * time.Second
	addressFailures = 200
	addressRegain   = time.Second
)

// guess is a sign-in that may fail.
type guess struct {
	d             *Door
	address, user string
}

// guessing begins a sign-in; wait is how long the client must wait before it may try, 0 for not at all.
func (d *Door) guessing(r *http.Request, user naming.UserID) (g guess, wait time.Duration) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	g = guess{d, host, host + " " + string(user)}
	return g, max(d.addresses.Wait(g.address), d.users.Wait(g.user))
}

// failed counts that the secret was wrong.
func (g guess) failed() {
	g.d.addresses.Failed(g.address)
	g.d.users.Failed(g.user)
}

// seconds is a wait as Retry-After shows it.
func seconds(wait time.Duration) int64 { return int64((wait + time.Second - 1) / time.Second) }
