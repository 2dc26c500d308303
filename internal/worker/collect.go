package worker

import (
	"context"
	"sync"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// Budgets of one step.
const (
	holdersPerStep = 1000
	blocksPerStep  = 1000
)

// Collection is what a collector works on.
type Collection struct {
	Holders meta.Holders
	Blobs   blob.Store
	// Unread filters out dead holders whose blocks somebody is still reading (backend.Backend.Unread); nil: nobody reads.
	Unread func(dead []block.Holder) []block.Holder
	// Whole, if set, tells whether Holders knows of all whose blocks are in Blobs. It is asked after holders were read from the blobstore and before the unknown
	// among them are given up: the metastore of a region is entered in the blobstore before its first holder comes, so that whoever saw one of those holders
	// sees the entry then. An error ends the hunt for orphans until the next one.
	Whole func(ctx context.Context) error
	Clock clock.Clock
	// Grace is how long a holder is dead before its references go. Readers in this process are known; the grace is for those of others.
	Grace time.Duration
	// Interval is the wait between two rounds, OrphansEvery that between two hunts for orphans; a hunt reads every holder.
	Interval     time.Duration
	OrphansEvery time.Duration
}

// Collector gives back the space of what no version needs any more. It is the only one that does (I4), in this order:
//
//	reap      intents whose writers are gone die
//	orphans   holders of the blobstore that the metastore does not know die too
//	release   references of dead holders go, then the holders are forgotten
//	sweep     blocks without references are deleted
//	compact   segments that are mostly dead are rewritten
//
// Whatever step a crash interrupts is repeated harmlessly. A writer takes its intent before its first reference, so a holder that was
// seen in the blobstore and is not alive after that never comes to life.
type Collector struct {
	Collection

	mu    sync.Mutex // one step or round at a time
	phase int
	at    cursor
	hunt  time.Time // when the next hunt for orphans is due
	swept bool      // nothing was released since the last whole sweep

	// sums has a lock of its own, so that who asks for them does not wait for a round.
	sums struct {
		sync.Mutex
		CollectReport
	}
}

// cursor is where a phase goes on.
type cursor struct {
	holder block.Holder
	block  *block.ID
}

// CollectReport counts what a collector did.
type CollectReport struct {
	Reaped    int64 `json:"reaped"`    // intents that expired
	Orphans   int64 `json:"orphans"`   // holders that the metastore did not know
	Released  int64 `json:"released"`  // holders whose references went
	Reading   int64 `json:"reading"`   // dead holders left alone because somebody reads, counted each time
	Examined  int64 `json:"examined"`  // blocks looked at
	Deleted   int64 `json:"deleted"`   // blocks deleted
	Bytes     int64 `json:"bytes"`     // their bytes
	Young     int64 `json:"young"`     // blocks that nobody holds, but too young to delete, counted each time
	Compacted int64 `json:"compacted"` // bytes given back by compaction
}

// NewCollector makes a collector.
func NewCollector(c Collection) *Collector {
	if c.Unread == nil {
		c.Unread = func(dead []block.Holder) []block.Holder { return dead }
	}
	// A process that is restarted every day comes to hunt too, but not while it starts.
	return &Collector{Collection: c, hunt: c.Clock.Now().Add(c.OrphansEvery / huntFirst)}
}

// huntFirst is the part of OrphansEvery after which the first hunt comes.
const huntFirst = 24

// huntAgain is when a hunt that failed is begun anew: it fails as long as part of the metadata cannot be asked.
const huntAgain = 10 * time.Minute

// phases in their order. Each does one step from the cursor on and reports whether it has come to its end.
func (c *Collector) phases() []phase {
	return []phase{
		{"reap", c.reap}, {"orphans", c.orphans}, {"release", c.release}, {"sweep", c.sweep}, {"compact", c.compact},
	}
}

type phase struct {
	name string
	step func(ctx context.Context, now time.Time, at *cursor, r *CollectReport) (done bool, err error)
}

// Name is "gc".
func (*Collector) Name() string { return "gc" }

// Step does one step of one phase.
func (c *Collector) Step(ctx context.Context) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Clock.Now()
	phases := c.phases()
	skip := phases[c.phase].name == "orphans" && now.Before(c.hunt) || phases[c.phase].name == "sweep" && c.swept
	if !skip {
		var r CollectReport
		done, err := phases[c.phase].step(ctx, now, &c.at, &r)
		c.add(r)
		if err != nil && phases[c.phase].name == "orphans" { // space that is known to be free comes back all the same
			c.hunt, c.at = now.Add(min(c.OrphansEvery, huntAgain)), cursor{}
			c.phase++
			return 0, failed("worker.Collector.Step", err)
		}
		if err != nil || !done {
			return 0, failed("worker.Collector.Step", err)
		}
		switch phases[c.phase].name {
		case "orphans":
			c.hunt = now.Add(c.OrphansEvery)
		case "sweep":
			c.swept = true
		}
	}
	c.at = cursor{}
	if c.phase++; c.phase == len(phases) {
		c.phase = 0
		return c.Interval, nil
	}
	return 0, nil
}

// Round runs all phases to their ends at once, hunting for orphans too, with a grace of its own. progress, unless nil, is told
// after each step what has been done so far.
func (c *Collector) Round(ctx context.Context, grace time.Duration, progress func(phase string, so CollectReport)) (CollectReport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := &Collector{Collection: c.Collection}
	own.Grace = grace
	var r CollectReport
	defer func() { c.add(r) }()
	for _, p := range own.phases() {
		var at cursor
		for done := false; !done; {
			if err := ctx.Err(); err != nil {
				return r, errs.Wrap("worker.Collector.Round", errs.Canceled, err)
			}
			var err error
			if done, err = p.step(ctx, own.Clock.Now(), &at, &r); err != nil {
				return r, errs.Wrap("worker.Collector.Round", errs.Internal, err)
			}
			if progress != nil {
				progress(p.name, r)
			}
		}
	}
	return r, nil
}

// Total is what steps and rounds have done since the start.
func (c *Collector) Total() CollectReport {
	c.sums.Lock()
	defer c.sums.Unlock()
	return c.sums.CollectReport
}

func (c *Collector) add(r CollectReport) {
	c.sums.Lock()
	defer c.sums.Unlock()
	t := &c.sums.CollectReport
	t.Reaped += r.Reaped
	t.Orphans += r.Orphans
	t.Released += r.Released
	t.Reading += r.Reading
	t.Examined += r.Examined
	t.Deleted += r.Deleted
	t.Bytes += r.Bytes
	t.Young += r.Young
	t.Compacted += r.Compacted
}

func (c *Collector) reap(ctx context.Context, now time.Time, _ *cursor, r *CollectReport) (bool, error) {
	n, err := c.Holders.Reap(ctx, now, holdersPerStep)
	r.Reaped += int64(n)
	return n < holdersPerStep, err
}

func (c *Collector) orphans(ctx context.Context, now time.Time, at *cursor, r *CollectReport) (bool, error) {
	batch := make([]block.Holder, 0, holdersPerStep)
	err := c.Blobs.WalkHolders(ctx, at.holder, func(h block.Holder, _ naming.AccountID) bool {
		batch = append(batch, h)
		return len(batch) < holdersPerStep
	})
	if err != nil || len(batch) == 0 {
		return true, err
	}
	alive, err := c.Holders.Alive(ctx, batch)
	if err != nil {
		return false, err
	}
	dead, err := c.knownDead(ctx, now, alive)
	if err != nil {
		return false, err
	}
	if err := c.whole(ctx, alive, dead, batch); err != nil {
		return false, err
	}
	for i, h := range batch {
		if alive[i] || dead[h] {
			continue
		}
		if err := c.Holders.Abandon(ctx, h); err != nil {
			return false, err
		}
		r.Orphans++
	}
	at.holder = batch[len(batch)-1]
	return len(batch) < holdersPerStep, nil
}

// whole asks Whole when there is somebody to be given up.
func (c *Collector) whole(ctx context.Context, alive []bool, dead map[block.Holder]bool, batch []block.Holder) error {
	if c.Whole == nil {
		return nil
	}
	for i, h := range batch {
		if !alive[i] && !dead[h] {
			return c.Whole(ctx)
		}
	}
	return nil
}

// knownDead are holders that wait for their release anyway, so that they are not taken for orphans. They are looked
// up only when there is something not alive.
func (c *Collector) knownDead(ctx context.Context, now time.Time, alive []bool) (map[block.Holder]bool, error) {
	all := true
	for _, a := range alive {
		all = all && a
	}
	if all {
		return nil, nil
	}
	dead, err := c.Holders.Dead(ctx, now, 100*holdersPerStep)
	known := make(map[block.Holder]bool, len(dead))
	for _, h := range dead {
		known[h] = true
	}
	return known, err
}

func (c *Collector) release(ctx context.Context, now time.Time, _ *cursor, r *CollectReport) (bool, error) {
	dead, err := c.Holders.Dead(ctx, now.Add(-c.Grace), holdersPerStep)
	if err != nil || len(dead) == 0 {
		return true, err
	}
	unread := c.Unread(dead)
	r.Reading += int64(len(dead) - len(unread))
	if len(unread) == 0 {
		return true, nil
	}
	// First the references, then the record that they are to go.
	c.swept = false
	if err := c.Blobs.Release(ctx, unread); err != nil {
		return false, err
	}
	if err := c.Holders.Forget(ctx, unread); err != nil {
		return false, err
	}
	r.Released += int64(len(unread))
	return len(dead) < holdersPerStep, nil
}

func (c *Collector) sweep(ctx context.Context, now time.Time, at *cursor, r *CollectReport) (bool, error) {
	s, next, err := c.Blobs.Sweep(ctx, now, blob.Budget{Blocks: blocksPerStep}, at.block)
	if err != nil {
		return false, err
	}
	r.Examined += int64(s.Examined)
	r.Deleted += int64(s.Deleted)
	r.Bytes += s.Bytes
	r.Young += int64(s.Young)
	at.block = next
	return next == nil, nil
}

func (c *Collector) compact(ctx context.Context, _ time.Time, _ *cursor, r *CollectReport) (bool, error) {
	compactor, ok := blob.As[blob.Compactor](c.Blobs)
	if !ok {
		return true, nil
	}
	freed, err := compactor.Compact(ctx)
	r.Compacted += freed
	return freed == 0, err
}
