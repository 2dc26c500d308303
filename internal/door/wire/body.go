package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// Pace is what a client's body must keep up with. Only the time that we wait for the client counts, not the time that we take
// ourselves between two reads.
type Pace struct {
	Idle    time.Duration // longest wait for the next bytes; 0: no limit
	Grace   time.Duration // waiting time that is granted to every body
	RateMin int64         // bytes per second that are earned on top of Grace; 0: Idle is the only limit
}

// Body reads the body of a request at the client's pace, which must not fall under a limit: the connection's read
// deadline moves on with progress. It is used by one goroutine.
//
// Errors: Invalid/Request with reason IncompleteBody (the client stopped short of what it declared) or SlowBody;
// Canceled/Request when the connection broke.
type Body struct {
	src    io.Reader
	rc     *http.ResponseController
	clock  clock.Clock
	pace   Pace
	n      int64
	waited time.Duration
	armed  bool // a deadline is set
	stream bool // of HTTP/2: its deadline ends it, also when nobody reads
	within func(n int) error
	err    error
}

// NewBody wraps the body of r. The first Read makes net/http send "100 Continue" to a client that waits for it.
func NewBody(w http.ResponseWriter, r *http.Request, c clock.Clock, p Pace) *Body {
	b := &Body{src: r.Body, clock: c, pace: p, stream: r.ProtoMajor >= 2}
	if b.src == nil {
		b.src = http.NoBody
	}
	if p.Idle > 0 && b.src != http.NoBody {
		b.rc = http.NewResponseController(w)
	}
	return b
}

// Within makes each Read wait for wait(n), after n bytes came: for a share of them. The client's time does not run meanwhile.
func (b *Body) Within(wait func(n int) error) { b.within = wait }

// Count is the number of bytes read so far.
func (b *Body) Count() int64 { return b.n }

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	begin := b.arm()
	n, err := b.src.Read(p)
	b.n += int64(n)
	if b.armed {
		b.waited += b.clock.Now().Sub(begin)
	}
	if err != nil || b.stream {
		b.disarm()
	}
	if b.within != nil && n > 0 {
		if late := b.within(n); late != nil && err == nil {
			err = late
		}
	}
	if err != nil {
		b.err = bodyError(err)
	}
	return n, b.err
}

// arm sets the read deadline for the next Read.
func (b *Body) arm() time.Time {
	if b.rc == nil {
		return time.Time{}
	}
	now := b.clock.Now()
	wait := b.pace.Idle
	if b.pace.RateMin > 0 {
		earned := b.pace.Grace + time.Duration(float64(b.n)/float64(b.pace.RateMin)*float64(time.Second))
		wait = max(min(wait, earned-b.waited), 0)
	}
	if err := b.rc.SetReadDeadline(now.Add(wait)); err != nil {
		b.rc = nil // a connection without deadlines, as in tests
		return now
	}
	b.armed = true
	return now
}

// disarm takes the deadline away: net/http goes on reading in the background to notice when the client leaves, and would
// cancel the request when the deadline passed.
func (b *Body) disarm() {
	if b.armed {
		_ = b.rc.SetReadDeadline(time.Time{})
		b.armed = false
	}
}

// Release takes the deadline away when the body is given up before its end.
func (b *Body) Release() { b.disarm() }

// bodyError says an error of a body in our words.
func bodyError(err error) error {
	const op = "wire.Body"
	var late interface{ Timeout() bool }
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errs.E(op, errs.Invalid, errs.Request, "").With(err).
			Because(errs.IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header")
	case errors.As(err, &late) && late.Timeout():
		return errs.E(op, errs.Invalid, errs.Request, "").With(err).
			Because(errs.SlowBody, "Your socket connection to the server was not read from or written to within the timeout period.")
	case errors.Is(err, http.ErrBodyReadAfterClose), errors.Is(err, context.Canceled):
		return errs.E(op, errs.Canceled, errs.Request, "").With(err)
	}
	var known *errs.Error
	if errors.As(err, &known) {
		return err
	}
	return errs.E(op, errs.Canceled, errs.Request, "").With(err)
}

// ReadAll reads a body of at most limit bytes into memory. hint is the declared size, -1 if unknown. TooLarge/Request
// (EntityTooLarge) when there is more; it then has read at most limit+1 bytes.
func ReadAll(r io.Reader, hint, limit int64) ([]byte, error) {
	tooLarge := errs.E("wire.ReadAll", errs.TooLarge, errs.Request, "").Because(errs.EntityTooLarge, "the body is larger than this request may have")
	if hint > limit {
		return nil, tooLarge
	}
	var buf bytes.Buffer
	if hint > 0 {
		buf.Grow(int(hint) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, tooLarge
	}
	return buf.Bytes(), nil
}

// RequestID draws an id for one request: 16 upper-case hexadecimal digits.
func RequestID() string {
	const digits = "0123456789ABCDEF"
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails (Go 1.24)
	var id [16]byte
	for i, b := range raw {
		id[2*i], id[2*i+1] = digits[b>>4], digits[b&15]
	}
	return string(id[:])
}
