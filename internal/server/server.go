// Package server puts everything together from a configuration: stores, backend,
// doors, listeners, background work. It is the one place that knows all of them.
//
// Order of a start: lock and open the stores, open the listeners, see to it that
// somebody can sign in, tell where the service is, serve. Order of a stop: refuse
// new requests, let running ones finish or cut them, end background work, close
// the admin listener, close the stores. A process that is killed instead loses
// nothing that it answered: that is the stores' business and needs no stop.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/door/admin"
	"pithos/internal/door/s3"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/store/bucket"
	"pithos/internal/worker"
)

// Fixed times of the server.
const (
	cutTimeout     = 5 * time.Second  // for handlers to notice that they were cut
	deliverTimeout = 3 * time.Second  // to deliver the last records of access
	adminTimeout   = 2 * time.Second  // for the admin listener's running requests
	adminHeader    = 10 * time.Second // to send the header of an admin request
	adminConns     = 256
	paceGrace      = 5 * time.Minute // of waiting for a body's bytes, after which its rate counts
	paceRate       = 1 << 10         // bytes per second that it must then reach
	streamsMax     = 128             // requests under way on one connection of HTTP/2
)

// Options say what to run. Config and Open must be set.
type Options struct {
	Config  *config.Config
	Open    Opener
	Version string
	Log     *slog.Logger  // discards
	Clock   clock.Clock   // clock.System
	Started func(Started) // called once, when the service answers
	// Again tells to read certificates and users from their files again, whether or not the files changed; nil: nobody tells.
	Again <-chan struct{}
	// File is the configuration file, and Reload reads it again, for the users that stand in it. Without Reload they stay what they are.
	File   string
	Reload func() (*config.Config, error)
}

// Started tells where the service is. Credentials are set on the first start only, and shown nowhere else.
type Started struct {
	Endpoints
	Region      string
	Data        string // absolute
	Credentials *Credentials
}

// stamping is the clock of everything that is stored: wrong where a test wants it so. Doors keep the right one, since deadlines of connections are the machine's.
func (o *Options) stamping() clock.Clock {
	if by := o.Config.Testing.ClockAhead - o.Config.Testing.ClockBehind; by != 0 {
		return clock.Shifted{Clock: o.Clock, By: by}
	}
	return o.Clock
}

// Run serves until ctx ends, then stops in order and returns nil. Its error says what to do about it.
func Run(ctx context.Context, o Options) (err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	for _, note := range o.Config.Notes {
		o.Log.WarnContext(ctx, "configuration", "note", note)
	}
	if err := refuseMoved(o.Config); err != nil {
		return err
	}
	st, err := openStores(ctx, o.Config, o.Open, o.Log, o.stamping())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	s := &service{o: o, stores: st, metrics: newMetrics(o.Version), mender: newMender(), front: newFront(o.Config), shares: newShares(o.Config.Limits, o.Clock), watcher: &watcher{log: o.Log}}
	if users := st.watchedUsers(o); users != nil {
		s.watcher.add(users)
	}
	return s.run(ctx)
}

// service is a running server.
type service struct {
	o       Options
	stores  *stores
	metrics *metrics

	stopping atomic.Bool
	s3       *http.Server
	gate     *gate
	mender   *mender
	front    *front
	shares   wire.Shares
	watcher  *watcher
	certbot  *certbot // nil: all certificates are files
	s3TLS    *secured // nil: without TLS
	swiftTLS *secured
	// challengeAt is where authorities ask over HTTP; nil: they need not.
	challengeAt net.Listener
	swift       *http.Server // nil: the OpenStack API is not served
	swiftIn     *gate
	s3api       *s3.Door // S3 as Swift speaks it, beside the OpenStack API
	swiftAt     net.Listener
	admin       *http.Server
	failed      chan error // a listener that broke
}

func (s *service) run(ctx context.Context) (err error) {
	cfg := s.o.Config
	s3Listener, err := listen(ctx, "s3.listen", "s3-listen", cfg.S3.Listen, cfg.Limits.Connections)
	if err != nil {
		return err
	}
	defer s3Listener.Close()
	adminListener, err := listen(ctx, "admin.listen", "admin-listen", cfg.Admin.Listen, adminConns)
	if err != nil {
		return err
	}
	defer adminListener.Close()
	if cfg.OpenStack.Listen != config.Off {
		if s.swiftAt, err = listen(ctx, "openstack.listen", "openstack-listen", cfg.OpenStack.Listen, cfg.Limits.Connections); err != nil {
			return err
		}
		defer s.swiftAt.Close()
	}
	if err := s.secureListeners(ctx); err != nil {
		return err
	}
	if s.challengeAt != nil {
		defer s.challengeAt.Close()
	}
	started, token, err := s.prepare(ctx, s3Listener, adminListener)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeEndpoints(cfg.Data)) }()

	// Requests and background work outlive ctx: they end in the order of a stop.
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	keeper, err := newKeeper(ctx, cfg, s.o.Log, s.o.Clock)
	if err != nil {
		return err
	}
	b := s.stores.newBackend(cfg, s.o.Log, s.o.stamping(), keeper)
	tasks := newTasks(s.stores, b, s.o)
	s.servers(base, b, tasks, token)
	if err := s.openstack(base, b, tasks); err != nil {
		return err
	}
	background, endBackground := context.WithCancel(base)
	defer endBackground()
	var work sync.WaitGroup
	work.Go(func() { tasks.scheduler.Run(background) })
	s.failed = make(chan error, 4)
	s3Listener.(*limited).perAddress(cfg.Limits.Address.Connections, s.front.trusts)
	if s.swiftAt != nil {
		s.swiftAt.(*limited).perAddress(cfg.Limits.Address.Connections, s.front.trusts)
	}
	s.serve(s.s3, s.secure(base, s.proxied(s3Listener), s.s3TLS))
	s.serve(s.admin, adminListener)
	if s.swift != nil {
		s.serve(s.swift, s.secure(base, s.proxied(s.swiftAt), s.swiftTLS))
	}
	if s.challengeAt != nil {
		s.serve(s.challenges(base), s.challengeAt)
	}
	work.Go(func() { s.watcher.run(background, s.o.Again) })
	if s.certbot != nil {
		work.Go(func() { s.certbot.run(background) })
	}
	s.o.Log.InfoContext(ctx, "serving", "s3", started.S3, "openstack", started.OpenStack, "admin", started.Admin, "data", started.Data, "version", s.o.Version)
	if s.o.Started != nil {
		s.o.Started(started)
	}
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	s.stop(base, s3Listener, cut)
	endBackground()
	work.Wait()
	return errors.Join(err, deliverLast(base, tasks.accessLog))
}

// deliverLast delivers the records of access that still wait.
func deliverLast(ctx context.Context, l *worker.AccessLog) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverTimeout)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		return fmt.Errorf("the last records of access were not delivered: %w", err)
	}
	return nil
}

// prepare writes what the command line reads, and makes the first administrator.
func (s *service) prepare(ctx context.Context, s3Listener, adminListener net.Listener) (Started, string, error) {
	cfg := s.o.Config
	data, err := filepath.Abs(cfg.Data)
	if err != nil {
		return Started{}, "", err
	}
	started := Started{
		Endpoints: Endpoints{PID: os.Getpid(), S3: urlOf(schemeOf(s.s3TLS), s3Listener), Admin: urlOf("http", adminListener)},
		Region:    cfg.S3.Region, Data: data,
	}
	if s.swiftAt != nil {
		started.OpenStack = urlOf(schemeOf(s.swiftTLS), s.swiftAt)
	}
	token, err := newToken(cfg.Data)
	if err != nil {
		return Started{}, "", fmt.Errorf("the data directory cannot be written: %w", err)
	}
	if err := writeJSON(filepath.Join(cfg.Data, EndpointsFile), started.Endpoints); err != nil {
		return Started{}, "", fmt.Errorf("the data directory cannot be written: %w", err)
	}
	if s.stores.writer != nil {
		if started.Credentials, err = administrator(ctx, cfg.Data, s.stores.writer, s.o.Clock.Now()); err != nil {
			return Started{}, "", err
		}
	}
	return started, token, nil
}

// servers makes the HTTP servers of the S3 API and of the admin API.
func (s *service) servers(base context.Context, b *backend.Backend, tasks *tasks, token string) {
	cfg := s.o.Config
	o := s3.Options{
		Region: cfg.S3.Region, Domains: cfg.S3.Domains, Clock: s.o.Clock, Log: s.o.Log, Observe: s.metrics.observer("s3"), AccessLog: tasks.accessLog,
		Places: s.front.places(), Shares: s.shares,
		Limits: s3.Limits{HeaderBytes: int(cfg.Limits.HeaderBytes)},
		Pace:   s.pace(),

		KeysOverHTTP: cfg.Testing.SSEOverHTTP,
	}
	door := s3.New(b, o)
	o.AsSwift = true
	s.s3api = s3.New(b, o)
	s.gate = &gate{next: door, refuse: http.HandlerFunc(door.Refuse)}
	s.s3 = s.publicServer(base, s.gate)
	s.metrics.registry.MustRegister(newStoreCollector(s.stores.keys, s.stores.engine.Meta(), s.stores.engine.Blobs(), engineStats(s.stores.engine)), &taskCollector{tasks})
	s.admin = s.httpServer(base, admin.New(s.adminOptions(tasks, token)), adminHeader)
}

// publicServer makes the HTTP server of doors that anybody may reach.
func (s *service) publicServer(base context.Context, g *gate) *http.Server {
	srv := s.httpServer(base, s.mender.restore(s.front.behind(g)), s.o.Config.Limits.HeaderTimeout)
	srv.ConnContext = s.mender.connContext
	return srv
}

// httpServer makes an HTTP server with the limits that all have.
func (s *service) httpServer(base context.Context, h http.Handler, header time.Duration) *http.Server {
	l := s.o.Config.Limits
	return &http.Server{
		Handler: wire.Taken(h, s.o.Clock, l.BodyTimeout), ReadHeaderTimeout: header, IdleTimeout: l.IdleTimeout,
		// The S3 door refuses a large header in the words of its protocol; net/http's own bound lies behind it.
		MaxHeaderBytes: 2 * int(l.HeaderBytes),
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: streamsMax, SendPingTimeout: l.BodyTimeout, WriteByteTimeout: l.BodyTimeout},
		BaseContext:    func(net.Listener) context.Context { return base },
		// net/http reports broken handshakes and aborted handlers here: a client's doing, told to those who look for it.
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
}

func (s *service) adminOptions(t *tasks, token string) admin.Options {
	o := adminOptions(s.o, s.stores, t)
	o.Token, o.Metrics, o.Ready = token, s.metrics.handler(), s.ready
	return o
}

// adminOptions are what the admin door gets, in a server or in the command line's own process.
func adminOptions(o Options, st *stores, t *tasks) admin.Options {
	a := admin.Options{
		Keys: st.keys, Containers: st.engine.Buckets(), Usage: st.engine.Meta(), Version: o.Version, Clock: o.Clock, Log: o.Log,
		Quota: bucket.Limit{Bytes: o.Config.Quota.Bytes, Objects: o.Config.Quota.Objects},
		Tasks: t.byName(), Store: storeUsage(st.engine.Blobs()),
	}
	if st.writer != nil {
		a.Writer = st.writer
	} else {
		a.UsersFile = o.File
	}
	return a
}

// ready tells why the service cannot serve; nil when it can.
func (s *service) ready(ctx context.Context) error {
	if s.stopping.Load() {
		return errs.E("server.ready", errs.Busy, errs.NoThing, "").Because("", "the server is stopping")
	}
	return s.stores.answer(ctx)
}

// serve runs an HTTP server until it is stopped.
func (s *service) serve(srv *http.Server, l net.Listener) {
	go func() {
		err := srv.Serve(l)
		if !errors.Is(err, http.ErrServerClosed) && !s.stopping.Load() {
			s.failed <- fmt.Errorf("the listener %s broke: %w", l.Addr(), err)
		}
	}()
}

// stop ends serving. The admin listener goes last, so that readyz and metrics can be read meanwhile.
func (s *service) stop(base context.Context, l net.Listener, cut context.CancelFunc) {
	s.stopping.Store(true)
	limit := s.o.Config.Limits.DrainTimeout
	s.o.Log.InfoContext(base, "stopping", "running_requests_have", limit)
	outer := context.WithoutCancel(base)
	ctx, cancel := context.WithTimeout(outer, limit)
	defer cancel()
	last, cancelLast := context.WithTimeout(outer, limit+cutTimeout)
	defer cancelLast()
	if !s.drain(ctx, last, l, cut) {
		s.o.Log.WarnContext(base, "some requests did not end in time")
	}
	ctx, cancelAdmin := context.WithTimeout(outer, adminTimeout)
	defer cancelAdmin()
	if err := s.admin.Shutdown(ctx); err != nil {
		_ = s.admin.Close() // its requests had their time
	}
	s.o.Log.InfoContext(base, "stopped")
}
