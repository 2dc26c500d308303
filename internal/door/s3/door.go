// Package s3 is the S3 door: the REST API of Amazon S3 in, operations of the
// backend out.
//
// A request passes in this order: parse the address and query, authenticate,
// find its row in the route table (or refuse it by name), call the row's
// handler, write the one answer. A handler returns a reply or an error and
// never touches the connection; errors of the backend become S3's codes in one
// table (errors.go). What the table does not list is refused, never treated as
// the plain operation (invariant I10).
//
// Source of formats, codes and limits: Amazon S3 API Reference, API version
// 2006-03-01, unless a comment says otherwise.
package s3

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/wire"
	"pithos/internal/door/wire/sigv4"
)

// Limits bound what a request may carry; zero fields take the defaults named.
type Limits struct {
	HeaderBytes int // names and values of all headers together: 32 KiB
	XMLBytes    int // body of an XML document: 4 MiB
	MetaBytes   int // names and values of user metadata: 2 KiB
	DrainBytes  int // body read and dropped so that a client sees an early answer: 16 MiB
}

// Options are the door's settings; zero fields take the defaults named.
type Options struct {
	Region  string            // "us-east-1"
	Domains []string          // for virtual-host addresses: BUCKET.DOMAIN; path addresses always work
	Shares  wire.Shares       // of who signed, and of where requests come from
	Places  []sigv4.Place     // by which clients know the service, where proxies change hosts or paths
	Clock   clock.Clock       // clock.System
	Log     *slog.Logger      // discards
	Limits  Limits            // see there
	Pace    wire.Pace         // of bodies: 60 s idle, and 1 KiB/s after 5 minutes of waiting
	Observe func(Observation) // called once after each request; nil: nobody looks
	// AccessLog takes records of access to buckets; nil: buckets cannot be logged.
	AccessLog AccessLog
	// KeysOverHTTP takes clients' keys (SSE-C) over connections without TLS. Only for tests.
	KeysOverHTTP bool
	// AsSwift answers as Swift's s3api does where it and AWS differ; see asswift.go.
	AsSwift bool
}

// Observation is what one request did, for metrics.
type Observation = wire.Observation

// Door serves S3. It is safe for concurrent use.
type Door struct {
	b        *backend.Backend
	o        Options
	table    table
	hostID   string
	verifier *sigv4.Verifier
}

// New makes a door in front of b.
func New(b *backend.Backend, o Options) *Door {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &o.Limits
	l.HeaderBytes = orDefault(l.HeaderBytes, 32<<10)
	l.XMLBytes = orDefault(l.XMLBytes, 4<<20)
	l.MetaBytes = orDefault(l.MetaBytes, 2<<10)
	if o.AsSwift {
		l.DrainBytes = orDefault(l.DrainBytes, refusedBytes)
	}
	l.DrainBytes = orDefault(l.DrainBytes, 16<<20)
	domains := make([]string, 0, len(o.Domains))
	for _, d := range o.Domains {
		domains = append(domains, "."+strings.ToLower(strings.Trim(d, ".")))
	}
	o.Domains = domains
	if o.Pace == (wire.Pace{}) {
		o.Pace = wire.Pace{Idle: time.Minute, Grace: 5 * time.Minute, RateMin: 1 << 10}
	}
	var regions []string
	if b != nil { // tests of the table have none
		regions = b.Regions()
	}
	return &Door{
		b: b, o: o, table: newTable(rows()), hostID: newHostID(),
		verifier: sigv4.New(o.Clock, o.Region, o.Log, regions...),
	}
}

func orDefault(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// ServeHTTP answers one request. It panics with http.ErrAbortHandler, and with nothing else, when an answer fails
// after its headers were sent, so that a short body is never taken for a whole one.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.answer(w, r, d.handle)
}

// Refuse answers 503 ServiceUnavailable to whatever comes, without looking at it, and closes the connection: for a server that stops.
// A client that tries again comes to the next server.
func (d *Door) Refuse(w http.ResponseWriter, r *http.Request) {
	d.answer(w, r, func(context.Context, *call) (*reply, error) {
		return nil, fail(ServiceUnavailable, "The server is stopping. Please try again.").carrying("Connection", "close")
	})
}

// answer lets handle serve one request and sends what comes of it.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, handle handler) {
	c := &call{
		door: d, r: r, id: wire.RequestID(), started: d.o.Clock.Now(),
		w: sink{w: w, clock: d.o.Clock}, out: w.Header(), header: r.Header, logged: logged{size: -1},
	}
	rep, err := handle(r.Context(), c)
	if err != nil {
		rep = c.refuse(err)
	}
	sendErr := c.send(r.Context(), rep)
	c.payload.release()
	c.turn.Leave()
	d.finish(r.Context(), c, rep, err, sendErr)
	if sendErr != nil {
		panic(http.ErrAbortHandler)
	}
}

// handle is the order of a request: parse, authenticate, route or refuse, serve.
func (d *Door) handle(ctx context.Context, c *call) (*reply, error) {
	if retry, ok := d.o.Shares.EnterAddress(&c.turn, c.r); !ok {
		return nil, slowDown(retry)
	}
	if err := d.parse(c); err != nil {
		return nil, err
	}
	ctx = c.expect(ctx)
	c.findCORS(ctx)
	if err := d.authenticate(ctx, c); err != nil {
		return nil, err
	}
	if err := c.enterUser(); err != nil {
		return nil, err
	}
	if err := d.route(c); err != nil {
		return nil, err
	}
	if err := c.checkFeatures(); err != nil {
		return nil, err
	}
	if err := c.checkOwner(ctx); err != nil {
		return nil, err
	}
	return c.row.handle(ctx, c)
}

// expect has looked up meanwhile what a request for an object, or for what is in a bucket, will ask for. A version that it names is not: few do.
func (c *call) expect(ctx context.Context) context.Context {
	reads := wire.Reads(c.r)
	switch {
	case c.door.b == nil: // tests of the table have none
		return ctx
	case c.bucket == "", c.name == "" && !reads, c.r.Method == http.MethodPost, c.r.Method == http.MethodOptions:
		return ctx
	}
	which, _ := c.which()
	return c.door.b.Expect(ctx, backend.Target{Container: c.ref(), Name: c.name, Which: which}, reads, c.r.Method == http.MethodPut)
}

// enterUser takes a place within the share of who signed. Errors: SlowDown.
func (c *call) enterUser() error {
	if retry, ok := c.door.o.Shares.EnterUser(&c.turn, c.caller.User); !ok {
		return slowDown(retry)
	}
	return nil
}

// slowDown refuses who has no place within a share.
func slowDown(retry time.Duration) error {
	return fail(SlowDown, "").carrying("Retry-After", wire.RetryAfter(retry))
}

// route finds the row of a parsed call and refuses what the row does not allow.
func (d *Door) route(c *call) error {
	row, err := d.table.find(c)
	if err != nil {
		return err
	}
	c.row = row
	if row.state != served {
		return fail(NotImplemented, "The operation "+row.op+" is not implemented.")
	}
	return row.allows(c)
}

// finish writes the log line and tells the observer. It is the only place where the S3 door logs a request.
func (d *Door) finish(ctx context.Context, c *call, rep *reply, err, sendErr error) {
	now := d.o.Clock.Now()
	ob := Observation{
		RequestID: c.id, Status: rep.status, Code: rep.code, BytesIn: c.received, BytesOut: c.w.n,
		Started: c.started, Duration: now.Sub(c.started),
		User: c.caller.User, Account: c.caller.Account, Bucket: c.bucket,
	}
	if c.row != nil {
		ob.Operation = c.row.op
	}
	if d.o.Observe != nil {
		d.o.Observe(ob)
	}
	c.record(context.WithoutCancel(ctx), &ob)
	asked := func() []slog.Attr {
		// The target stands in the log of failures only: it costs, and it helps there. Its signature is cut off.
		return []slog.Attr{slog.String("code", ob.Code), slog.String("target", loggedTarget(c.r))}
	}
	ob.Log(ctx, d.o.Log, "s3", c.r, err, sendErr, asked, slog.String("bucket", string(ob.Bucket)))
}

// loggedTarget is the request's method and target without credentials, at most 512 bytes.
func loggedTarget(r *http.Request) string {
	target := cleanTarget(r)
	if len(target) > 512 {
		target = target[:512] + "..."
	}
	return target
}

// cleanTarget is the request's method and target without credentials.
func cleanTarget(r *http.Request) string {
	target := r.RequestURI
	if path, query, ok := strings.Cut(target, "?"); ok {
		kept := make([]string, 0, 4)
		for pair := range strings.SplitSeq(query, "&") {
			name, _, _ := strings.Cut(pair, "=")
			if !isCredential(name) {
				kept = append(kept, pair)
			}
		}
		target = path
		if len(kept) > 0 {
			target += "?" + strings.Join(kept, "&")
		}
	}
	return r.Method + " " + target
}

// isCredential reports whether a query parameter carries a signature, a token or a key id. Names may be percent-encoded,
// so whatever looks like part of a signature is dropped.
func isCredential(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "sig") || strings.Contains(name, "token") || strings.Contains(name, "cred") ||
		strings.Contains(name, "key") || strings.Contains(name, "%")
}
