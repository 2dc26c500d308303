package server

import (
	"context"
	"net/url"
	"time"

	"pithos/internal/backend"
	"pithos/internal/config"
	"pithos/internal/door/admin"
	"pithos/internal/errs"
	"pithos/internal/worker"
)

// Rhythms of background work that need no setting.
const (
	orphansEvery   = 24 * time.Hour   // the hunt for orphans reads every holder
	expireEvery    = time.Minute      // at most this much later than asked, an expiring version goes
	lifecycleEvery = 10 * time.Minute // looks for what is due by lifecycle rules
	scrubAfter     = 10 * time.Minute // from the start, which has better things to do
)

// tasks is the work behind the requests: what runs by itself, and what an operator starts.
type tasks struct {
	cfg       *config.Config
	o         Options
	st        *stores
	alone     bool // nobody else has the stores open
	collector *worker.Collector
	scrubber  *worker.Scrubber
	expirer   *worker.Expirer
	lifecycle *worker.Lifecycle
	accessLog *worker.AccessLog
	sync      *worker.ContainerSync // it sends nothing before it has its Sender
	scheduler *worker.Scheduler
}

func newTasks(st *stores, b *backend.Backend, o Options) *tasks {
	cfg, m, blobs := o.Config, st.engine.Meta(), st.engine.Blobs()
	o.Clock = o.stamping()
	t := &tasks{
		cfg: cfg, o: o, st: st,
		collector: worker.NewCollector(worker.Collection{
			Holders: m, Blobs: blobs, Unread: b.Unread, Whole: wholeOf(st.engine), Clock: o.Clock, Grace: cfg.GC.Grace, Interval: cfg.GC.Interval, OrphansEvery: orphansEvery,
		}),
		scrubber: worker.NewScrubber(worker.Scrubbing{Blobs: blobs, Meta: m, Clock: o.Clock, Log: o.Log, Rate: cfg.Scrub.Rate, Interval: cfg.Scrub.Interval}),
		expirer:  worker.NewExpirer(worker.Expiring{Meta: m, Clock: o.Clock, Log: o.Log, Interval: expireEvery, Delay: cfg.OpenStack.ReapDelay}),
		lifecycle: worker.NewLifecycle(worker.Lifecycling{
			Backend: b, Keys: st.keys, Buckets: st.engine.Buckets(), Meta: m, Clock: o.Clock, Log: o.Log,
			Day: cfg.Testing.LifecycleDay, Interval: min(lifecycleEvery, cfg.Testing.LifecycleDay/4),
		}),
	}
	t.accessLog = worker.NewAccessLog(worker.AccessLogging{Backend: b, Clock: o.Clock, Log: o.Log, Interval: cfg.S3.LogInterval})
	t.sync = worker.NewContainerSync(worker.Syncing{
		Backend: b, Keys: st.keys, Buckets: st.engine.Buckets(), Meta: m, Clock: o.Clock, Log: o.Log,
		Interval: cfg.OpenStack.Sync.Interval, Rate: cfg.OpenStack.Sync.Rate, Alone: cfg.Meta.Kind == config.Embedded,
	})
	own := []worker.Task{t.collector, t.expirer, t.lifecycle, t.accessLog}
	if cfg.OpenStack.Listen != config.Off {
		own = append(own, t.sync)
	}
	if cfg.Scrub.Interval > 0 {
		own = append(own, &late{Task: t.scrubber, wait: scrubAfter})
	}
	t.scheduler = worker.NewScheduler(o.Clock, o.Log, own...)
	return t
}

// wholeOf is how an engine tells whether its metastore knows of all whose blocks are in its blobstore; nil where nobody else can reach that.
func wholeOf(e Engine) func(ctx context.Context) error {
	if m, ok := e.(*mixed); ok {
		return m.whole
	}
	return nil
}

// late is a task whose first step waits.
type late struct {
	worker.Task
	wait time.Duration
}

// Step implements worker.Task.
func (l *late) Step(ctx context.Context) (time.Duration, error) {
	if wait := l.wait; wait > 0 {
		l.wait = 0
		return wait, nil
	}
	return l.Task.Step(ctx)
}

// byName are the tasks that an operator can start.
func (t *tasks) byName() map[string]admin.Task {
	return map[string]admin.Task{
		"gc": func(ctx context.Context, query url.Values, progress func(admin.Progress)) (any, error) {
			grace := t.cfg.GC.Grace
			if text := query.Get("grace"); text != "" {
				var err error
				if grace, err = config.ParseDuration(text); err != nil {
					return nil, errs.E("server.gc", errs.Invalid, errs.Request, "grace").Because(errs.BadSyntax, err.Error())
				}
			}
			return t.collector.Round(ctx, grace, func(phase string, so worker.CollectReport) {
				progress(admin.Progress{Phase: phase, Done: so.Examined, Bytes: so.Bytes})
			})
		},
		"migrate": t.migrate,
		"scrub": func(ctx context.Context, _ url.Values, progress func(admin.Progress)) (any, error) {
			total := blockCount(ctx, t.scrubber.Blobs)
			return t.scrubber.Round(ctx, func(so worker.ScrubReport) {
				progress(admin.Progress{Phase: "scrub", Done: so.Blocks, Total: total, Bytes: so.Bytes})
			})
		},
	}
}
