package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pithos/internal/door/wire"
	"pithos/internal/invariant"
	"pithos/internal/store/blob"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// Bounds of what a scrape may cost.
const (
	scrapeTimeout  = 10 * time.Second
	scrapeAccounts = 10_000 // accounts with a series of their own; the rest shows in no metric
)

// metrics are what /metrics shows. Names follow the Prometheus conventions: base units, _total for counters.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	received *prometheus.CounterVec
	sent     *prometheus.CounterVec
	errors   *prometheus.CounterVec
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pithos_requests_total", Help: "Requests answered, by door, operation and HTTP status.",
		}, []string{"door", "operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pithos_request_seconds", Help: "Time from the request's header to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"door", "operation"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pithos_received_bytes_total", Help: "Bytes of request bodies.",
		}, []string{"door", "operation"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pithos_sent_bytes_total", Help: "Bytes of answers' bodies.",
		}, []string{"door", "operation"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pithos_request_errors_total", Help: "Requests answered with an error, by its protocol's code.",
		}, []string{"door", "code"}),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "pithos_build_info", Help: "Always 1; the label tells the version."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	broken := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "pithos_invariants_broken_total", Help: "Checks of what must always be true that failed. Anything but 0 is a bug: please report it with the log.",
	}, func() float64 { return float64(invariant.Broken()) })
	m.registry.MustRegister(m.requests, m.seconds, m.received, m.sent, m.errors, build, broken,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observer counts the requests of a door.
func (m *metrics) observer(door string) func(wire.Observation) {
	return func(o wire.Observation) { m.observe(door, o) }
}

func (m *metrics) observe(door string, o wire.Observation) {
	operation := o.Operation
	if operation == "" {
		operation = "none"
	}
	m.requests.WithLabelValues(door, operation, strconv.Itoa(o.Status)).Inc()
	m.seconds.WithLabelValues(door, operation).Observe(o.Duration.Seconds())
	if o.BytesIn > 0 {
		m.received.WithLabelValues(door, operation).Add(float64(o.BytesIn))
	}
	if o.BytesOut > 0 {
		m.sent.WithLabelValues(door, operation).Add(float64(o.BytesOut))
	}
	if o.Code != "" {
		m.errors.WithLabelValues(door, o.Code).Inc()
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// storeCollector asks the stores at each scrape.
type storeCollector struct {
	keys  key.Reader
	meta  meta.Tally
	blobs blob.Store
	stats func(put func(name, help string, value float64)) // of the engine; nil: none

	account, blockCount, blockBytes *prometheus.Desc
}

func newStoreCollector(keys key.Reader, tally meta.Tally, blobs blob.Store, stats func(func(string, string, float64))) *storeCollector {
	return &storeCollector{
		keys: keys, meta: tally, blobs: blobs, stats: stats,
		account:    prometheus.NewDesc("pithos_account_usage", "What an account holds: objects, bytes, versions, stored (bytes of all versions), upload_parts, upload_bytes.", []string{"account", "what"}, nil),
		blockCount: prometheus.NewDesc("pithos_blocks", "Stored blocks.", nil, nil),
		blockBytes: prometheus.NewDesc("pithos_block_bytes", "Space of blocks: live, dead (deleted, not yet given back), disk (all files).", []string{"what"}, nil),
	}
}

// Describe implements prometheus.Collector. The engine's own metrics are not described ahead.
func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.account
	ch <- c.blockCount
	ch <- c.blockBytes
}

// Collect implements prometheus.Collector. What cannot be read is left out: a scrape must not fail for one store.
func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout) // the interface has no context
	defer cancel()
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	accounts := 0
	_ = c.keys.Accounts(ctx, "", func(a key.Account) bool {
		u, err := c.meta.AccountUsage(ctx, a.ID)
		if err != nil {
			return false
		}
		id := string(a.ID)
		gauge(c.account, u.Objects, id, "objects")
		gauge(c.account, u.Bytes, id, "bytes")
		gauge(c.account, u.Versions, id, "versions")
		gauge(c.account, u.Stored, id, "stored")
		gauge(c.account, u.UploadParts, id, "upload_parts")
		gauge(c.account, u.UploadBytes, id, "upload_bytes")
		accounts++
		return accounts < scrapeAccounts
	})
	if reporter, ok := blob.As[blob.Usage](c.blobs); ok {
		if u, err := reporter.Usage(ctx); err == nil {
			gauge(c.blockCount, u.Blocks)
			gauge(c.blockBytes, u.Live, "live")
			gauge(c.blockBytes, u.Dead, "dead")
			gauge(c.blockBytes, u.Disk, "disk")
		}
	}
	if c.stats != nil {
		c.stats(func(name, help string, value float64) {
			ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, value)
		})
	}
}

// taskCollector tells how background work fares.
type taskCollector struct{ tasks *tasks }

// Describe implements prometheus.Collector; what it collects is described as it comes.
func (c *taskCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *taskCollector) Collect(ch chan<- prometheus.Metric) {
	steps := prometheus.NewDesc("pithos_task_steps_total", "Steps of background work, by task.", []string{"task"}, nil)
	failures := prometheus.NewDesc("pithos_task_failures_total", "Steps of background work that failed, by task.", []string{"task"}, nil)
	done := prometheus.NewDesc("pithos_task_done_total", "What background work did, by task: things deleted, bytes given back, damage found.", []string{"task", "what"}, nil)
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for _, s := range c.tasks.scheduler.Status() {
		count(steps, s.Steps, s.Task)
		count(failures, s.Failures, s.Task)
	}
	gc, scrub, expire := c.tasks.collector.Total(), c.tasks.scrubber.Total(), c.tasks.expirer.Total()
	count(done, gc.Reaped, "gc", "vanished_writers")
	count(done, gc.Orphans, "gc", "orphans")
	count(done, gc.Deleted, "gc", "deleted_blocks")
	count(done, gc.Bytes, "gc", "deleted_bytes")
	count(done, gc.Compacted, "gc", "compacted_bytes")
	count(done, scrub.Blocks, "scrub", "read_blocks")
	count(done, scrub.Bytes, "scrub", "read_bytes")
	count(done, int64(len(scrub.Damaged)), "scrub", "damaged_blocks")
	count(done, int64(len(scrub.Unreadable)), "scrub", "unreadable_blocks")
	count(done, scrub.Bodies, "scrub", "read_bodies")
	count(done, int64(len(scrub.DamagedBodies)), "scrub", "damaged_bodies")
	count(done, int64(len(scrub.UnreadableBodies)), "scrub", "unreadable_bodies")
	count(done, int64(len(scrub.HealedBodies)), "scrub", "healed_bodies")
	failing := int64(0)
	for _, n := range scrub.FailingNodes {
		failing += n
	}
	count(done, failing, "scrub", "failing_copies")
	count(done, expire.Deleted, "expire", "deleted_versions")
	life := c.tasks.lifecycle.Total()
	count(done, life.Examined, "lifecycle", "examined_versions")
	count(done, life.Expired, "lifecycle", "expired_objects")
	count(done, life.Removed, "lifecycle", "removed_versions")
	count(done, life.Markers, "lifecycle", "removed_markers")
	count(done, life.Aborted, "lifecycle", "aborted_uploads")
	sent := c.tasks.sync.Total()
	count(done, sent.Puts, "container-sync", "put_objects")
	count(done, sent.Deletes, "container-sync", "deleted_objects")
	count(done, sent.Bytes, "container-sync", "sent_bytes")
	count(done, sent.Known, "container-sync", "known_changes")
	count(done, sent.Failures, "container-sync", "failures")
	count(done, sent.Skipped, "container-sync", "skipped_rounds")
	logs := c.tasks.accessLog.Total()
	count(done, logs.Records, "access-log", "records")
	count(done, logs.Objects, "access-log", "objects")
	count(done, logs.Dropped, "access-log", "dropped_records")
}
