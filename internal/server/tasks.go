package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/door/admin"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// Sizes of the steps of background work.
const (
	holdersStep = 1000 // holders reaped or dropped at a time
	blocksStep  = 1000 // blocks examined at a time
)

// tasks is the long work over the stores: the collector, which also runs by itself, and the scrubber.
type tasks struct {
	holders meta.Holders
	blobs   blob.Store
	unread  func([]block.Holder) []block.Holder // those of the dead holders that no request reads
	gc      config.GC
	clock   clock.Clock
	log     *slog.Logger
	metrics *metrics // nil: nobody counts

	one sync.Mutex // one collection at a time
}

func newTasks(st *stores, b *backend.Backend, o Options, m *metrics) *tasks {
	return &tasks{
		holders: st.engine.Meta(), blobs: st.engine.Blobs(), unread: b.Unread, gc: o.Config.GC, clock: o.Clock, log: o.Log, metrics: m,
	}
}

// byName are the tasks that an operator can start.
func (t *tasks) byName() map[string]admin.Task {
	return map[string]admin.Task{
		"gc": func(ctx context.Context, query url.Values, progress func(admin.Progress)) (any, error) {
			grace := t.gc.Grace
			if text := query.Get("grace"); text != "" {
				var err error
				if grace, err = config.ParseDuration(text); err != nil {
					return nil, errs.E("server.gc", errs.Invalid, errs.Request, "grace").Because(errs.BadSyntax, err.Error())
				}
			}
			return t.collect(ctx, grace, progress)
		},
		"scrub": func(ctx context.Context, _ url.Values, progress func(admin.Progress)) (any, error) {
			return t.scrub(ctx, progress)
		},
	}
}

// loop collects every gc.interval until ctx ends.
func (t *tasks) loop(ctx context.Context) {
	for clock.Wait(ctx, t.gc.Interval) == nil {
		switch r, err := t.collect(ctx, t.gc.Grace, func(admin.Progress) {}); {
		case err != nil && ctx.Err() != nil:
		case err != nil:
			t.log.ErrorContext(ctx, "collection failed; it is tried again", "error", err, "in", t.gc.Interval)
		case r.Blocks > 0 || r.Compacted > 0:
			t.log.InfoContext(ctx, "collected", "blocks", r.Blocks, "bytes", r.Bytes, "compacted", r.Compacted)
		}
	}
}

// collect runs one round of the collector: writers that vanished die, references of the dead are dropped, blocks that nobody holds are
// deleted, and the space of mostly dead packs is given back. It is safe beside every request.
func (t *tasks) collect(ctx context.Context, grace time.Duration, progress func(admin.Progress)) (r admin.CollectReport, err error) {
	t.one.Lock()
	defer t.one.Unlock()
	defer func() { t.count(r, err) }()
	if err := t.reap(ctx, &r, progress); err != nil {
		return r, errs.Wrap("server.reap", errs.Internal, err)
	}
	if err := t.release(ctx, grace, &r, progress); err != nil {
		return r, errs.Wrap("server.release", errs.Internal, err)
	}
	if err := t.sweep(ctx, grace, &r, progress); err != nil {
		return r, errs.Wrap("server.sweep", errs.Internal, err)
	}
	if err := t.compact(ctx, &r, progress); err != nil {
		return r, errs.Wrap("server.compact", errs.Internal, err)
	}
	return r, nil
}

func (t *tasks) reap(ctx context.Context, r *admin.CollectReport, progress func(admin.Progress)) error {
	for {
		n, err := t.holders.Reap(ctx, t.clock.Now(), holdersStep)
		r.Reaped += int64(n)
		if err != nil || n < holdersStep {
			return err
		}
		progress(admin.Progress{Phase: "reap", Done: r.Reaped})
	}
}

// release drops the references of dead holders: first in the blobstore, then the record that they are dead, so that a crash in between
// repeats the first. grace is for readers elsewhere; those in this process are known.
func (t *tasks) release(ctx context.Context, grace time.Duration, r *admin.CollectReport, progress func(admin.Progress)) error {
	for {
		dead, err := t.holders.Dead(ctx, t.clock.Now().Add(-grace), holdersStep)
		if err != nil {
			return err
		}
		free := t.unread(dead)
		if len(free) == 0 {
			return nil
		}
		if err := t.blobs.Release(ctx, free); err != nil {
			return err
		}
		if err := t.holders.Forget(ctx, free); err != nil {
			return err
		}
		r.Holders += int64(len(free))
		progress(admin.Progress{Phase: "release", Done: r.Holders})
	}
}

func (t *tasks) sweep(ctx context.Context, grace time.Duration, r *admin.CollectReport, progress func(admin.Progress)) error {
	var examined int64
	var after *block.ID
	for {
		step, next, err := t.blobs.Sweep(ctx, t.clock.Now(), blob.Budget{Blocks: blocksStep, Grace: grace}, after)
		if err != nil {
			return err
		}
		r.Blocks += int64(step.Deleted)
		r.Bytes += step.Bytes
		r.Young += int64(step.Young)
		examined += int64(step.Examined)
		progress(admin.Progress{Phase: "sweep", Done: examined, Bytes: r.Bytes})
		if next == nil {
			return nil
		}
		after = next
	}
}

func (t *tasks) compact(ctx context.Context, r *admin.CollectReport, progress func(admin.Progress)) error {
	c, ok := blob.As[blob.Compactor](t.blobs)
	if !ok {
		return nil
	}
	for {
		freed, err := c.Compact(ctx)
		if err != nil || freed == 0 {
			return err
		}
		r.Compacted += freed
		progress(admin.Progress{Phase: "compact", Bytes: r.Compacted})
	}
}

// count tells the metrics what a collection did.
func (t *tasks) count(r admin.CollectReport, err error) {
	if t.metrics == nil {
		return
	}
	result := "ok"
	if err != nil {
		result = "failed"
	}
	t.metrics.tasks.WithLabelValues("gc", result).Inc()
	for what, n := range map[string]int64{"holders": r.Holders, "blocks": r.Blocks, "bytes": r.Bytes, "compacted_bytes": r.Compacted} {
		t.metrics.cleaned.WithLabelValues(what).Add(float64(n))
	}
}

// scrub reads every stored block, compares it with the hash that is its name, and sets damaged ones aside.
func (t *tasks) scrub(ctx context.Context, progress func(admin.Progress)) (admin.ScrubReport, error) {
	r := admin.ScrubReport{Damaged: []string{}}
	var total int64
	if u, ok := blob.As[blob.Usage](t.blobs); ok {
		if report, err := u.Usage(ctx); err == nil {
			total = report.Blocks
		}
	}
	var after *block.ID
	var buf []byte
	for {
		// Pages keep no iterator open while blocks are read, which may take hours.
		page := make([]blob.Info, 0, blocksStep)
		err := t.blobs.Walk(ctx, after, func(i blob.Info) bool {
			page = append(page, i)
			return len(page) < blocksStep
		})
		if err != nil {
			return r, errs.Wrap("server.scrub", errs.Internal, err)
		}
		if len(page) == 0 {
			return r, nil
		}
		for _, info := range page {
			if buf, err = t.scrubBlock(ctx, info, buf, &r); err != nil {
				return r, errs.Wrap("server.scrub", errs.Internal, err)
			}
			progress(admin.Progress{Phase: "scrub", Done: r.Blocks, Total: total, Bytes: r.Bytes})
		}
		after = &page[len(page)-1].ID
	}
}

// scrubBlock checks one block. buf is lent from call to call.
func (t *tasks) scrubBlock(ctx context.Context, info blob.Info, buf []byte, r *admin.ScrubReport) ([]byte, error) {
	if int64(cap(buf)) < info.Stored {
		buf = make([]byte, info.Stored)
	}
	data := buf[:info.Stored]
	n, err := t.blobs.Read(ctx, info.ID, 0, data)
	switch {
	case errs.Is(err, errs.NotFound): // collected meanwhile
		return buf, nil
	case err != nil && !errs.Is(err, errs.Corrupt):
		return buf, err
	}
	r.Blocks++
	r.Bytes += int64(n)
	if err == nil && block.ID(sha256.Sum256(data[:n])) == info.ID {
		return buf, nil
	}
	r.Damaged = append(r.Damaged, info.ID.String())
	t.log.ErrorContext(ctx, "damaged block", "block", info.ID.String(), "error", err)
	if q, ok := blob.As[blob.Quarantiner](t.blobs); ok {
		return buf, errors.Join(q.Quarantine(ctx, info.ID))
	}
	return buf, nil
}
