package wire

import (
	"net/http"
	"time"

	"pithos/internal/clock"
)

// pieceMax is what a client must take of an answer within the time that it has, bytes. At the default of a minute it is the slowest pace that is granted
// to bodies too.
const pieceMax = 64 << 10

// Taken cuts off clients that do not take their answers: the connection, or the stream of HTTP/2, ends when 64 KiB were not taken within idle. Only the
// time that we wait for the client counts. It holds for all that next writes, and for what net/http sends when next has returned; 0 is no limit.
func Taken(next http.Handler, c clock.Clock, idle time.Duration) http.Handler {
	if idle <= 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &takenAnswer{ResponseWriter: w, rc: http.NewResponseController(w), clock: c, idle: idle, stream: r.ProtoMajor >= 2}
		next.ServeHTTP(a, r)
		a.arm() // net/http takes it away again when all is sent
	})
}

type takenAnswer struct {
	http.ResponseWriter
	rc     *http.ResponseController
	clock  clock.Clock
	idle   time.Duration
	stream bool // of HTTP/2: its deadline ends it, also when nobody writes
}

// Unwrap serves http.ResponseController.
func (a *takenAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Write implements http.ResponseWriter.
func (a *takenAnswer) Write(p []byte) (n int, err error) {
	defer a.disarm()
	for {
		a.arm()
		m, err := a.ResponseWriter.Write(p[:min(len(p), pieceMax)])
		if n += m; err != nil || m == len(p) {
			return n, err
		}
		p = p[m:]
	}
}

// FlushError serves http.ResponseController.
func (a *takenAnswer) FlushError() error {
	defer a.disarm()
	a.arm()
	return a.rc.Flush()
}

func (a *takenAnswer) arm() {
	_ = a.rc.SetWriteDeadline(a.clock.Now().Add(a.idle)) // a connection without deadlines, as in tests, has none
}

// disarm takes the deadline of a stream away. That of a connection counts only while somebody writes.
func (a *takenAnswer) disarm() {
	if a.stream {
		_ = a.rc.SetWriteDeadline(time.Time{})
	}
}
