package worker

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"maps"
	"sync"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// Scrubbing is what a scrubber works on.
type Scrubbing struct {
	Blobs blob.Store
	Meta  meta.Store // whose versions may keep bytes that no blobstore has; nil: none does
	Clock clock.Clock
	Log   *slog.Logger
	// Rate is how many bytes a second the background reads at most; 0: 8 MiB.
	Rate int64
	// Interval is the wait between two rounds.
	Interval time.Duration
}

// scrubRateDefault is Scrubbing.Rate when none is set, bytes per second.
const scrubRateDefault = 8 << 20

// scrubPage is how many blocks are listed at a time, and scrubStep how many bytes one step reads before it looks at the clock.
const (
	scrubPage = 256
	scrubStep = 8 << 20
)

// Scrubber reads every stored block, hashes it, and sets aside those that are not what their name says, so that the next writer of
// the same bytes heals them. A block that was set aside is not read again, so a second round reports it as quarantined and as
// nothing else: the two counts of one damage can be compared.
//
// Then it reads the bytes that are kept with versions and have no block. What is damaged of these cannot be set aside, nor need it: each reading compares them with their
// hash and fails. So a second round finds the same again.
type Scrubber struct {
	Scrubbing

	mu    sync.Mutex
	at    scrubPlace
	total ScrubReport
}

// scrubPlace is how far a round has come.
type scrubPlace struct {
	after  *block.ID
	bodies bool   // the blocks are done
	from   string // of meta.Auditor
}

// ScrubReport counts what a scrubber found.
type ScrubReport struct {
	Blocks      int64    `json:"blocks"`      // read and hashed
	Bytes       int64    `json:"bytes"`       // stored bytes read
	Damaged     []string `json:"damaged"`     // ids of blocks found damaged and set aside now
	Unreadable  []string `json:"unreadable"`  // ids of blocks that could not be read or set aside for another reason
	Quarantined int64    `json:"quarantined"` // blocks that are set aside altogether
	Copies      int64    `json:"copies"`      // read, where a store keeps several of each block
	Healed      []string `json:"healed"`      // ids of blocks of which a copy was damaged or missing, and made anew from a good one

	Bodies           int64    `json:"bodies"`            // of versions that keep their bytes: read and hashed; their bytes and copies count above
	DamagedBodies    []string `json:"damaged_bodies"`    // versions (container/name@id) whose kept bytes are damaged in every copy
	UnreadableBodies []string `json:"unreadable_bodies"` // versions whose kept bytes could not be read for another reason
	HealedBodies     []string `json:"healed_bodies"`     // versions of whose kept bytes a copy was damaged or missing, and made anew from a good one

	// FailingNodes are the copies of blocks and kept bytes that nodes could not read from their own files, by the address of the node, where others have good ones.
	FailingNodes map[string]int64 `json:"failing_nodes"`
	Unreached    int64            `json:"unreached"` // copies that nobody looked at, since their nodes do not answer
}

// unlooked counts a copy that each of some nodes could not read, and those that were not reached.
func (r *ScrubReport) unlooked(nodes []string, unreached int) {
	r.Unreached += int64(unreached)
	if len(nodes) > 0 && r.FailingNodes == nil {
		r.FailingNodes = map[string]int64{}
	}
	for _, n := range nodes {
		r.FailingNodes[n]++
	}
}

// Damage tells whether anything is damaged or cannot be read.
func (r *ScrubReport) Damage() bool {
	return len(r.Damaged)+len(r.Unreadable)+len(r.DamagedBodies)+len(r.UnreadableBodies)+len(r.FailingNodes) > 0 || r.Quarantined > 0
}

// NewScrubber makes a scrubber.
func NewScrubber(s Scrubbing) *Scrubber {
	if s.Rate <= 0 {
		s.Rate = scrubRateDefault
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return &Scrubber{Scrubbing: s}
}

// Name is "scrub".
func (*Scrubber) Name() string { return "scrub" }

// Step reads some blocks, and waits so long that it keeps to its rate.
func (s *Scrubber) Step(ctx context.Context) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	read, done, err := s.page(ctx, &s.at, scrubStep, &s.total)
	switch {
	case err != nil:
		return 0, failed("worker.Scrubber.Step", err)
	case done:
		s.at = scrubPlace{}
		return s.Interval, nil
	}
	return max(time.Duration(float64(read)/float64(s.Rate)*float64(time.Second)), time.Millisecond), nil
}

// Round reads everything at once. progress, unless nil, is told now and then what has been done so far.
func (s *Scrubber) Round(ctx context.Context, progress func(so ScrubReport)) (ScrubReport, error) {
	r := ScrubReport{
		Damaged: []string{}, Unreadable: []string{}, Healed: []string{},
		DamagedBodies: []string{}, UnreadableBodies: []string{}, HealedBodies: []string{}, FailingNodes: map[string]int64{},
	}
	var at scrubPlace
	for {
		_, done, err := s.page(ctx, &at, 16*scrubStep, &r)
		if err != nil {
			return r, failed("worker.Scrubber.Round", err)
		}
		if progress != nil {
			progress(r)
		}
		if done {
			break
		}
	}
	if q, ok := blob.As[blob.Quarantiner](s.Blobs); ok {
		ids, err := q.Quarantined(ctx)
		if err != nil {
			return r, failed("worker.Scrubber.Round", err)
		}
		r.Quarantined = int64(len(ids))
	}
	return r, nil
}

// Total is what Step has found since the start.
func (s *Scrubber) Total() ScrubReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	so := s.total
	so.FailingNodes = maps.Clone(so.FailingNodes)
	return so
}

// page goes on from a place until about limit bytes were read. read is how many, with what it takes to find them.
func (s *Scrubber) page(ctx context.Context, at *scrubPlace, limit int64, r *ScrubReport) (read int64, done bool, err error) {
	auditor, kept := s.Meta.(meta.Auditor)
	if !at.bodies {
		before := r.Bytes
		done, err := s.blocks(ctx, &at.after, limit, r)
		at.bodies = done
		return r.Bytes - before, done && !kept, err
	}
	if !kept {
		return 0, true, nil
	}
	at.from, read, err = auditor.AuditBodies(ctx, at.from, limit, func(b meta.BodyAudit) error { return s.body(ctx, b, r) })
	return read, at.from == "" && err == nil, err
}

// body counts what was found of the bytes that are kept with a version.
func (s *Scrubber) body(ctx context.Context, b meta.BodyAudit, r *ScrubReport) error {
	r.unlooked(b.Failing, b.Unreached)
	if b.Err != nil {
		if stops(ctx, b.Err) {
			return b.Err
		}
		s.Log.ErrorContext(ctx, "kept bytes cannot be read", "version", b.String(), "error", b.Err)
		r.UnreadableBodies = append(r.UnreadableBodies, b.String())
		return nil
	}
	r.Bodies++
	r.Bytes += b.Bytes
	r.Copies += int64(b.Copies)
	switch {
	case b.Damaged:
		s.Log.ErrorContext(ctx, "damaged kept bytes", "version", b.String(), "bad", b.Bad, "missing", b.Missing)
		r.DamagedBodies = append(r.DamagedBodies, b.String())
	case b.Healed:
		s.Log.WarnContext(ctx, "kept bytes healed", "version", b.String(), "bad", b.Bad, "missing", b.Missing)
		r.HealedBodies = append(r.HealedBodies, b.String())
	}
	return nil
}

// blocks reads blocks after the cursor until limit bytes were read or the page is over. The list is made first, so that the walk
// of the store is not held open while blocks are read.
func (s *Scrubber) blocks(ctx context.Context, after **block.ID, limit int64, r *ScrubReport) (done bool, err error) {
	var page []blob.Info
	err = s.Blobs.Walk(ctx, *after, func(i blob.Info) bool {
		page = append(page, i)
		return len(page) < scrubPage
	})
	if err != nil {
		return false, err
	}
	until := r.Bytes + limit
	buf := make([]byte, min(largest(page), block.SizeMax))
	for i := range page {
		if err := s.check(ctx, page[i], buf, r); err != nil {
			return false, err
		}
		*after = &page[i].ID
		if r.Bytes >= until && i < len(page)-1 {
			return false, nil
		}
	}
	return len(page) < scrubPage, nil
}

func largest(page []blob.Info) (n int64) {
	for _, i := range page {
		n = max(n, i.Stored)
	}
	return n
}

// audit compares the copies of a block. It is set aside when none is good.
func (s *Scrubber) audit(ctx context.Context, a blob.Auditor, i blob.Info, r *ScrubReport) error {
	got, err := a.Audit(ctx, i.ID)
	r.unlooked(got.Failing, got.Unreached)
	switch {
	case errs.Is(err, errs.NotFound): // swept meanwhile
		return nil
	case err != nil:
		return s.unread(ctx, i.ID, err, r)
	}
	r.Blocks++
	r.Bytes += got.Bytes
	r.Copies += int64(got.Copies)
	switch {
	case !got.Good() && got.Copies > 0:
		return s.setAside(ctx, i.ID, nil, r)
	case got.Healed:
		s.Log.WarnContext(ctx, "block healed", "block", i.ID.String(), "bad", got.Bad, "missing", got.Missing)
		r.Healed = append(r.Healed, i.ID.String())
	}
	return nil
}

// stops tells whether an error ends a round: what comes next would fail as well, or may go better another time.
func stops(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errs.Is(err, errs.Closed) || errs.Is(err, errs.Busy) || errs.Is(err, errs.Canceled)
}

// unread tells of a block that cannot be read, or why the round cannot go on.
func (s *Scrubber) unread(ctx context.Context, id block.ID, err error, r *ScrubReport) error {
	if stops(ctx, err) {
		return err
	}
	s.Log.ErrorContext(ctx, "block cannot be read", "block", id.String(), "error", err)
	r.Unreadable = append(r.Unreadable, id.String())
	return nil
}

// check reads one block and sets it aside if it is damaged. Only failures that stop everything are errors.
func (s *Scrubber) check(ctx context.Context, i blob.Info, buf []byte, r *ScrubReport) error {
	if a, ok := blob.As[blob.Auditor](s.Blobs); ok {
		return s.audit(ctx, a, i, r)
	}
	n, err := s.Blobs.Read(ctx, i.ID, 0, buf[:min(i.Stored, int64(len(buf)))])
	r.Blocks++
	r.Bytes += int64(n)
	switch {
	case err == nil && block.ID(sha256.Sum256(buf[:n])) == i.ID:
		return nil
	case err == nil, errs.Is(err, errs.Corrupt):
		return s.setAside(ctx, i.ID, err, r)
	case errs.Is(err, errs.NotFound): // swept meanwhile
		r.Blocks--
		return nil
	}
	return s.unread(ctx, i.ID, err, r)
}

func (s *Scrubber) setAside(ctx context.Context, id block.ID, cause error, r *ScrubReport) error {
	s.Log.ErrorContext(ctx, "damaged block", "block", id.String(), "error", cause)
	q, ok := blob.As[blob.Quarantiner](s.Blobs)
	if ok {
		err := q.Quarantine(ctx, id)
		if errs.Is(err, errs.NotFound) { // swept meanwhile
			return nil
		}
		ok = err == nil
	}
	if !ok {
		r.Unreadable = append(r.Unreadable, id.String())
		return nil
	}
	r.Damaged = append(r.Damaged, id.String())
	return nil
}
