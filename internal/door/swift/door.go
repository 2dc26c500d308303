// Package swift is the OpenStack Swift door: Swift's object storage API in,
// operations of the backend out.
//
// A request passes in this order: gatekeeping of headers, parse the path, tell
// who asks by the token, find its row in the route table, refuse by name what is
// not served, call the row's handler, write the one answer. A handler returns a
// reply or an error and never touches the connection; errors of the backend
// become statuses in one table (errors.go). What is not served is refused with
// 501 and absent from /info.
//
// Source of formats, codes and limits: the OpenStack Object Storage API v1, and
// the answers of Swift 2.38, unless a comment says otherwise.
package swift

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
	"pithos/internal/naming"
)

// Limits bound what a request may carry; zero fields take the defaults named. /info shows them.
type Limits struct {
	ObjectBytes int64 // of one PUT: 5 GiB
	Listing     int   // entries of a listing: 10000
	DrainBytes  int   // body read and dropped so that a client sees an early answer: 16 MiB
}

// Fixed limits, shown in /info.
const (
	metaNameMax    = 128
	metaValueMax   = 256
	metaCountMax   = 90
	metaOverallMax = 4096
	headerMax      = 8192 // of one value
	headerCountMax = 126
)

// Options are the door's settings; zero fields take the defaults named.
type Options struct {
	// Who tells whose a token is. known is false for a token that is not of this service. Must be set.
	Who func(ctx context.Context, token string) (who access.Principal, known bool, err error)
	// Challenge is what Www-Authenticate says to who must sign in; "": the realm of the account.
	Challenge string
	Version   string
	Clock     clock.Clock  // clock.System
	Log       *slog.Logger // discards
	Limits    Limits
	Pace      wire.Pace   // of bodies: 60 s idle, and 1 KiB/s after 5 minutes of waiting
	Shares    wire.Shares // of users, and of where requests come from
	// What the operator may switch; zero values are Swift's defaults.
	Domains     []string                                               // hosts below them name accounts and containers
	LookupCNAME func(ctx context.Context, host string) (string, error) // finds what a host is an alias of; nil: aliases are not followed
	CORS        CORS
	Crossdomain string      // what stands in /crossdomain.xml; all may
	Disabled    func() bool // tells that /healthcheck is to say so; nil: never
	ReadOnly    bool
	QuotedETags bool // ETags stand in quotes where neither account nor container say otherwise
	OpenExpired bool // X-Open-Expired shows objects that have expired and are not removed yet
	Names       NameCheck
	Rates       Rates
	Sync        Sync

	Observe func(wire.Observation) // called once after each request; nil: nobody looks
}

// Door serves Swift. It is safe for concurrent use.
type Door struct {
	b    *backend.Backend
	o    Options
	rows []row
	more []special

	names names
	pace  pace
}

// New makes a door in front of b.
func New(b *backend.Backend, o Options) *Door {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Limits.ObjectBytes == 0 {
		o.Limits.ObjectBytes = 5 << 30
	}
	if o.Limits.Listing == 0 {
		o.Limits.Listing = 10_000
	}
	if o.Limits.DrainBytes == 0 {
		o.Limits.DrainBytes = 16 << 20
	}
	if o.Pace == (wire.Pace{}) {
		o.Pace = wire.Pace{Idle: time.Minute, Grace: 5 * time.Minute, RateMin: 1 << 10}
	}
	return &Door{b: b, o: o, rows: rows(), more: specials()}
}

// ServeHTTP answers one request. It panics with http.ErrAbortHandler, and with nothing else, when an answer fails
// after its headers were sent, so that a short body is never taken for a whole one.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.answer(w, r, d.handle) }

// Refuse answers 503 to whatever comes, without looking at it, and closes the connection: for a server that stops.
func (d *Door) Refuse(w http.ResponseWriter, r *http.Request) {
	d.answer(w, r, func(context.Context, *call) (*reply, error) {
		return nil, refusal(http.StatusServiceUnavailable, "The server is stopping. Please try again.").carrying("Connection", "close")
	})
}

// answer lets handle serve one request and sends what comes of it.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, handle handler) {
	c := &call{door: d, r: r, w: wire.Sink{W: w}, out: w.Header(), started: d.o.Clock.Now()}
	c.id = wire.TransactionID(r.Header, c.started)
	c.administers = func(account naming.AccountID) bool { return d.b.Administers(r.Context(), c.caller, account) } //nolint:contextcheck // it is this request's
	rep, err := handle(r.Context(), c)
	if err != nil {
		rep = c.refuse(err)
	}
	c.allowOrigin(r.Context())
	c.quoteETag(r.Context())
	c.backHome()
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
	if err := c.gatekeep(); err != nil {
		return nil, err
	}
	if err := c.parse(ctx); err != nil {
		return nil, err
	}
	if err := d.route(c); err != nil {
		return nil, err
	}
	if c.level != serviceLevel {
		if err := c.guard(ctx); err != nil {
			return nil, err
		}
		ctx = c.expect(ctx)
		signed, err := c.openSync(ctx)
		if err == nil && !signed {
			signed, err = c.openLink(ctx)
		}
		if err == nil && !signed && c.row.op != "FormPost" { // a form is signed, and asks for no token
			err = c.authenticate(ctx)
		}
		if err != nil {
			return nil, err
		}
		if err := c.enterUser(ctx); err != nil {
			return nil, err
		}
		if err := c.checkPath(); err != nil {
			return nil, err
		}
		if err := c.checkReserved(); err != nil {
			return nil, err
		}
	}
	handle := c.row.handle
	switch {
	case c.synced:
		handle = func(ctx context.Context, c *call) (*reply, error) { return c.serveSync(ctx) }
	case c.asksForSite():
		handle = func(ctx context.Context, c *call) (*reply, error) { return c.serveSite(ctx) }
	}
	rep, err := handle(ctx, c)
	if err != nil {
		return nil, err
	}
	return c.finishLink(rep)
}

// route finds the row of a call.
func (d *Door) route(c *call) error {
	for i := range d.more {
		if r := &d.more[i]; r.level == c.level && r.method == c.r.Method && !c.inside && r.asked(c) {
			c.row = &r.row
			return nil
		}
	}
	for i := range d.rows {
		if r := &d.rows[i]; r.level == c.level && r.method == c.r.Method && (r.level != serviceLevel || r.path == c.path) {
			c.row = r
			return nil
		}
	}
	return refusal(http.StatusMethodNotAllowed, "").carrying("Allow", d.allowed(c.level, c.path))
}

// allowed lists the methods of a level for the Allow header.
func (d *Door) allowed(l level, path string) string {
	var methods []string
	for i := range d.rows {
		if r := &d.rows[i]; r.level == l && (l != serviceLevel || r.path == path) {
			methods = append(methods, r.method)
		}
	}
	return strings.Join(methods, ", ")
}

// finish writes the log line and tells the observer. It is the only place where the Swift door logs a request.
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
		ob.Code = http.StatusText(rep.status)
	}
	if d.o.Observe != nil {
		d.o.Observe(ob)
	}
	asked := func() []slog.Attr {
		return []slog.Attr{slog.String("method", clip(c.r.Method)), slog.String("path", clip(c.path))}
	}
	ob.Log(ctx, d.o.Log, "swift", c.r, err, sendErr, asked, slog.String("account", c.account), slog.String("container", string(c.container)))
}
