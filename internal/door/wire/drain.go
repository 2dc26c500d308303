package wire

import (
	"io"
	"net/http"
	"strings"
	"time"

	"pithos/internal/clock"
)

// drainTime bounds how long the rest of a refused body is read.
const drainTime = 10 * time.Second

// Refused is a request whose answer is ready before its body was read.
type Refused struct {
	Begun   bool  // somebody read of the body
	Stalled bool  // its client stopped sending, or left
	Limit   int64 // bytes that are read and dropped at most
	Clock   clock.Clock
}

// Drain reads what is left of a refused request's body, within bounds, because net/http cuts the connection when an answer is
// ready while more than 256 KiB are unread, and the client then sees a broken pipe instead of the answer. A client that waits for
// "100 Continue" sends nothing, and must not be invited to.
//
// When it reports false the rest does not come in time: the answer must close the connection. The deadline stays then, so that net/http does not wait for
// the rest either.
func Drain(w http.ResponseWriter, r *http.Request, f Refused) bool {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 || waits(r) && !f.Begun {
		return true
	}
	rc := http.NewResponseController(w)
	wait := drainTime
	if f.Stalled {
		wait = 0
	}
	if err := rc.SetReadDeadline(f.Clock.Now().Add(wait)); err != nil {
		return true // a connection without deadlines, as in tests
	}
	if r.ContentLength > f.Limit || f.Stalled {
		return false
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(r.Body, f.Limit)); err != nil || n == f.Limit {
		return false
	}
	_ = rc.SetReadDeadline(time.Time{}) // it worked above
	return true
}

// waits tells whether the client sends its body only when it is asked to. Other expectations mean nothing.
func waits(r *http.Request) bool {
	return strings.Contains(strings.ToLower(r.Header.Get("Expect")), "100-continue")
}
