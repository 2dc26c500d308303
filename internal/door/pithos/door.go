// Package pithos is the Pithos+ door: the object storage API of GRNET's Pithos+
// in, operations of the backend out.
//
// It shares its URLs with the Swift door: a path whose account has no reseller's
// prefix is in the Pithos+ dialect (Pithos+ 16.1). A request passes in this
// order: parse the path, decode its headers, tell who asks, find its row in the
// route table, call the row's handler, write the one answer. A handler returns a
// reply or an error and never touches the connection; errors become faults in
// one table (faults.go).
//
// Source of formats, codes and limits: the Pithos+ specification, by its
// section numbers, unless a comment says otherwise.
package pithos

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/wire"
	"pithos/internal/store/key"
)

// Limits of requests and answers (Pithos+ 2.5 and 15).
const (
	pageMax        = 10_000   // entries that are asked of a store at once
	listingDefault = 10_000   // entries of an answer
	metaCountMax   = 90       // headers in a request
	metaStoredMax  = 32       // entries of a resource
	metaNameMax    = 128      // characters of a whole header name
	metaValueMax   = 256      // characters of a value
	groupsMax      = 32       // of an account, and members of one
	memberMax      = 256      // characters of a member
	hashmapBodyMax = 80 << 20 // bytes: a million hashes
	headerMax      = 8192     // bytes of one value
	drainMax       = 16 << 20
)

// Options are the door's settings; zero fields take the defaults named.
type Options struct {
	// Who tells whose a token is. known is false for a token that is not of this service. Must be set.
	Who func(ctx context.Context, token string) (who access.Principal, known bool, err error)
	// SignIn checks a user's name and key and gives a token (Pithos+ 3.1). Must be set.
	SignIn func(ctx context.Context, user, secret string) (token string, who key.User, err error)
	// External is how clients reach the service, "https://host"; "": as the request says.
	External string
	// Content is how clients reach public links and views, "https://files.example.org": a host of its own, so that what users store never runs where people sign
	// in. "": the same host.
	Content string
	// NoQueryTokens refuses tokens in the query (Pithos+ 2.2).
	NoQueryTokens bool
	// Listing is how many entries a listing has at most, and has when the client sets no limit. 0: 10,000.
	Listing int
	// Key signs the tokens of view URLs (Pithos+ 10).
	Key     []byte
	Clock   clock.Clock  // clock.System
	Log     *slog.Logger // discards
	Pace    wire.Pace    // of bodies: 60 s idle, and 1 KiB/s after 5 minutes of waiting
	Shares  wire.Shares  // of users, and of where requests come from
	Observe func(wire.Observation)
}

// Door serves Pithos+. It is safe for concurrent use.
type Door struct {
	b     *backend.Backend
	o     Options
	rows  []row
	spent spent
	keys  keysCache
}

// New makes a door in front of b.
func New(b *backend.Backend, o Options) *Door {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Listing == 0 {
		o.Listing = listingDefault
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Pace == (wire.Pace{}) {
		o.Pace = wire.Pace{Idle: time.Minute, Grace: 5 * time.Minute, RateMin: 1 << 10}
	}
	return &Door{b: b, o: o, rows: rows()}
}

// ServeHTTP answers one request. It panics with http.ErrAbortHandler, and with nothing else, when an answer fails
// after its headers were sent, so that a short body is never taken for a whole one.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{door: d, r: r, w: wire.Sink{W: w}, out: w.Header(), started: d.o.Clock.Now()}
	c.id = wire.TransactionID(r.Header, c.started)
	rep, err := d.handle(r.Context(), c)
	if err != nil {
		rep = c.refuse(err)
	}
	sendErr := c.send(r.Context(), rep)
	if c.body != nil {
		c.body.Release()
	}
	c.turn.Leave()
	d.finish(r.Context(), c, rep, err, sendErr)
	if sendErr != nil {
		panic(http.ErrAbortHandler)
	}
}

// handle is the order of a request.
func (d *Door) handle(ctx context.Context, c *call) (*reply, error) {
	if retry, ok := d.o.Shares.EnterAddress(&c.turn, c.r); !ok {
		return nil, slowDown(retry)
	}
	if err := c.parse(); err != nil {
		return nil, err
	}
	if err := c.decodeHeaders(); err != nil {
		return nil, err
	}
	if err := c.checkMixed(); err != nil {
		return nil, err
	}
	for i := range d.rows {
		if r := &d.rows[i]; c.row == nil && r.level == c.level && r.method == c.r.Method && r.serves(c.path) {
			c.row = r
		}
	}
	if c.row == nil && c.contentElsewhere() != "" {
		return nil, forbidden()
	}
	if c.row == nil {
		allowed := d.allowed(c.level, c.path)
		if allowed == "" {
			return nil, bad("Unknown path")
		}
		return nil, refusal(http.StatusMethodNotAllowed, "the method is not allowed here").carrying("Allow", allowed)
	}
	c.chooseFormat(c.row.format)
	ctx = c.expect(ctx)
	if !c.row.open {
		if err := c.authenticate(ctx); err != nil {
			return nil, err
		}
		if retry, ok := d.o.Shares.EnterUser(&c.turn, c.caller.User); !ok {
			return nil, slowDown(retry)
		}
		c.turn.Meter(ctx, &c.w, nil)
	}
	if err := c.checkNames(); err != nil {
		return nil, err
	}
	if elsewhere := c.contentElsewhere(); elsewhere != "" {
		c.set("Location", elsewhere)
		return empty(http.StatusFound), nil
	}
	return c.row.handle(ctx, c)
}

// slowDown refuses who has no place within a share.
func slowDown(retry time.Duration) *fault {
	return refusal(http.StatusServiceUnavailable, "Too many requests. Please try again later.").carrying("Retry-After", wire.RetryAfter(retry))
}

// allowed lists the methods of a level for the Allow header.
func (d *Door) allowed(l level, path string) string {
	var methods []string
	for i := range d.rows {
		if d.rows[i].level == l && d.rows[i].serves(path) {
			methods = append(methods, d.rows[i].method)
		}
	}
	if l == viewLevel {
		return strings.Join(methods, ", ") // as the original writes it there, and nowhere else
	}
	return strings.Join(methods, ",")
}

// finish writes the log line and tells the observer. It is the only place where this door logs a request; the query is left out, since it may
// hold a token.
func (d *Door) finish(ctx context.Context, c *call, rep *reply, err, sendErr error) {
	ob := wire.Observation{
		RequestID: c.id, Status: rep.status, BytesOut: c.w.N, Started: c.started, Duration: d.o.Clock.Now().Sub(c.started),
		User: c.caller.User, Account: c.caller.Account,
	}
	if c.row != nil {
		ob.Operation = c.row.op
	}
	if c.body != nil {
		ob.BytesIn = c.body.Count()
	}
	if err != nil || sendErr != nil {
		ob.Code = nameOf(rep.status)
	}
	if d.o.Observe != nil {
		d.o.Observe(ob)
	}
	asked := func() []slog.Attr {
		return []slog.Attr{slog.String("method", clip(c.r.Method)), slog.String("path", clip(c.path))}
	}
	ob.Log(ctx, d.o.Log, "pithos+", c.r, err, sendErr, asked, slog.String("account", string(c.owner)), slog.String("container", string(c.container)))
}
