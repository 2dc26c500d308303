package filesync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
)

// Result is what a round found and did.
type Result struct {
	Done     int // steps that were done
	Later    int // steps whose conditions did not hold any more: for the next round
	Busy     int // files that changed while they were read
	Failed   []Failure
	Skipped  []Skip
	Held     int // deletions that are not done without Force
	Sent     int64
	Fetched  int64
	Planned  []Op // with DryRun: what would be done
	quiet    bool // nothing was to be done
	complete bool // all stages were gone through
}

// Quiet reports whether both sides were found equal, but for what is skipped.
func (r *Result) Quiet() bool { return r.quiet && r.Busy == 0 }

// Round compares the two sides once and does what can be done. full lists the container instead of asking for its changes. The error is about the round as a whole:
// Conflict when the folder is not the one that is known; otherwise the service or the disk could not be reached, and the next round goes on.
func (s *Sync) Round(ctx context.Context, full bool) (*Result, error) {
	if s.disk.replaced() {
		return nil, refuse(s.dir + " was replaced by another folder, or is gone")
	}
	if err := s.settleDoubt(ctx); err != nil {
		return nil, err
	}
	if err := s.mirror.refresh(ctx, s.o.Clock.Now(), full); err != nil {
		return nil, err
	}
	if err := s.loadIgnore(); err != nil {
		return nil, err
	}
	scan, err := s.scan(ctx)
	if err != nil {
		return nil, err
	}
	// What is missing may be missing because the folder is: look again after the scan.
	if !s.o.DryRun && !s.o.Force {
		if err := s.known(s.state.Identity.ID); err != nil {
			return nil, err
		}
	}
	remote, skips := s.mirror.view(s.rules, s.ignore, s.o.Links)
	plan := NewPlan(View{Local: s.local, Remote: remote, Base: s.baseView()}, Limits{Rules: s.rules, Force: s.o.Force})
	res := &Result{Skipped: slices.Concat(scan.skips, skips, plan.Skips), Held: plan.HeldLocal + plan.HeldRemote}
	for _, l := range s.local {
		if l.Busy {
			res.Busy++
		}
	}
	res.quiet = plan.Ops() == 0
	s.show(plan, res)
	if s.o.DryRun {
		for _, stage := range plan.Stages {
			res.Planned = append(res.Planned, stage...)
		}
		return res, nil
	}
	err = s.execute(ctx, plan, res)
	err = errors.Join(err, s.state.flush())
	if err == nil && res.Quiet() && res.Later == 0 && len(res.Failed) == 0 {
		s.dropNews(scan.news)
	}
	s.sweepOlds(ctx, scan.olds)
	s.finish(res)
	return res, err
}

// show writes to the status what a plan found.
func (s *Sync) show(plan *Plan, res *Result) {
	files := 0
	for _, l := range s.local {
		if l.data() {
			files++
		}
	}
	s.board.update(true, func(st *Status) {
		st.Pending, st.Skipped, st.Held, st.Files = plan.Ops(), first(res.Skipped), res.Held, files
		if !res.quiet {
			st.State = StateWorking
		}
	})
}

func (s *Sync) finish(res *Result) {
	s.board.update(true, func(st *Status) {
		st.Pending = res.Later + len(res.Failed) + res.Busy
		st.Failed = first(res.Failed)
		switch {
		case len(res.Failed) > 0:
			st.State = StateFailing
		case res.Held > 0:
			st.State = StateHeld
		case res.Quiet() && res.Later == 0:
			st.State, st.InSyncAt, st.LastError, st.ErrorAt = StateIdle, s.o.Clock.Now(), "", time.Time{}
		}
	})
}

// baseView is the state without what is ignored now: it is left alone on both sides, and forgotten.
func (s *Sync) baseView() map[string]*Base {
	view := s.state.bases()
	for name, b := range view {
		if s.ignore.Match(name, b.Kind == Folder) {
			s.state.setBase(name, nil)
			delete(view, name)
		}
	}
	return view
}

func (s *Sync) loadIgnore() error {
	raw, err := s.disk.root.ReadFile(ignoreFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", ignoreFile, err) // to go on without it would send what must not be sent
	}
	s.ignore = ParseIgnore(string(raw))
	return nil
}

// scan reads the folder; the content of files that did not change since the last scan, or since they were found equal, is known.
func (s *Sync) scan(ctx context.Context) (*scanner, error) {
	sc := &scanner{
		disk: s.disk, blockSize: s.block, prefix: s.o.Prefix, rules: s.rules, ignore: s.ignore, links: s.o.Links, now: s.o.Clock.Now, workers: runtime.NumCPU(),
		known: s.knowledge(),
	}
	if err := sc.scan(ctx); err != nil {
		return nil, err
	}
	s.local = sc.local
	return sc, nil
}

// knowledge tells the content of a file that looks as it did when it was last read, under its name or, since a renamed folder changes nothing of the files in it, under
// another.
func (s *Sync) knowledge() func(name string, p Print) (Content, []block.ID, bool) {
	before := s.local
	look := func(name string, p Print) (Content, []block.ID, bool) {
		if l := before[name]; l != nil && l.Kind == File && !l.Busy && !l.Racy && l.Print.same(p) {
			return l.Content, l.Blocks, true
		}
		if b := s.state.base(name); b != nil && b.Kind == File && !b.Racy && b.Print.same(p) {
			return b.Content, b.Blocks, true
		}
		return Content{}, nil, false
	}
	type file struct{ device, inode uint64 }
	var names map[file]string // made when it is needed
	return func(name string, p Print) (Content, []block.ID, bool) {
		if c, blocks, ok := look(name, p); ok || p.Inode == 0 {
			return c, blocks, ok
		}
		if names == nil {
			names = map[file]string{}
			for name, b := range s.state.bases() {
				names[file{b.Print.Device, b.Print.Inode}] = name
			}
			for name, l := range before {
				names[file{l.Print.Device, l.Print.Inode}] = name
			}
		}
		return look(names[file{p.Device, p.Inode}], p)
	}
}

// settleDoubt looks at the objects that the last round may have changed without knowing.
func (s *Sync) settleDoubt(ctx context.Context) error {
	if len(s.doubt) == 0 {
		return nil
	}
	names := slices.Collect(maps.Keys(s.doubt))
	if len(names) > statsMax {
		if err := s.mirror.relist(ctx, s.o.Clock.Now()); err != nil {
			return err
		}
	} else if err := s.mirror.lookAt(ctx, names); err != nil {
		return err
	}
	clear(s.doubt)
	return nil
}

// dropNews removes downloads that were broken off and are not wanted any more.
func (s *Sync) dropNews(names []string) {
	for _, name := range names {
		_ = s.disk.root.Remove(name) // the next quiet round tries again
	}
}

// oldAge is how long a file that was replaced or deleted is kept, for whoever still had it open.
const oldAge = 2 * time.Second

// sweepOlds removes what was replaced or deleted some time ago. What changed since, or cannot be recognised, becomes a conflict copy: it may be the only one.
func (s *Sync) sweepOlds(ctx context.Context, found []string) {
	for _, at := range found {
		if _, ok := s.olds[at]; !ok {
			s.sweepStray(ctx, at)
		}
	}
	now := s.o.Clock.Now()
	for at, old := range s.olds {
		if now.Sub(old.since) >= oldAge {
			s.sweepOld(at, old)
		}
	}
	s.dropOldFolder()
}

// dropOldFolder removes the folder of old files when it is empty.
func (s *Sync) dropOldFolder() {
	if len(s.olds) == 0 {
		_ = s.disk.root.Remove(oldFolder) // it is not there, or holds something that the next round sees
	}
}

// sweepAllOlds is for the end: nothing comes after it.
func (s *Sync) sweepAllOlds() {
	for at, old := range s.olds {
		s.sweepOld(at, old)
	}
	s.dropOldFolder()
}

func (s *Sync) sweepOld(at string, old oldFile) {
	kind, print, err := s.disk.look(at)
	switch {
	case err != nil:
		return // the next round tries again
	case kind == Nothing:
		delete(s.olds, at) // its folder was renamed, or it was removed
	case print.moved(old.print):
		if s.disk.root.Remove(at) == nil {
			delete(s.olds, at)
		}
	default:
		if s.keepCopy(at, old.name) {
			delete(s.olds, at)
		}
	}
}

// sweepStray deals with an old file that a process before this one left.
func (s *Sync) sweepStray(ctx context.Context, at string) {
	kind, print, err := s.disk.look(at)
	if err != nil || kind == Nothing {
		return
	}
	var c Content
	if kind == Link {
		c, _, err = s.disk.readLink(at)
	} else {
		var busy bool
		c, _, busy, err = s.disk.readFile(ctx, at, print, s.block)
		if busy {
			return
		}
	}
	if err != nil {
		return
	}
	base := at[strings.LastIndexByte(at, '/')+1:]
	if c.Root.String()[:32] == contentOfOld(base) {
		_ = s.disk.root.Remove(at) // the next round tries again
		return
	}
	s.keepCopy(at, "recovered")
}

// keepCopy gives a file the name of a conflict copy of name.
func (s *Sync) keepCopy(at, name string) bool {
	return s.setAside(at, name) == nil
}

// setAside renames a file to the first free name of a conflict copy.
func (s *Sync) setAside(from, name string) error {
	for try := range copiesMax {
		to := conflictName(name, s.o.User, s.o.Clock.Now(), try)
		err := s.disk.rename(from, to)
		if err == nil {
			s.board.tell(Event{Do: "conflict", Name: name, To: to})
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return fmt.Errorf("%s has too many conflict copies of this moment", name)
}

// copiesMax is how many conflict copies of a file one second can have.
const copiesMax = 26

// Limits of Once.
const (
	roundsMax = 100
	tryFirst  = 200 * time.Millisecond
	tryMost   = 30 * time.Second

	triesMax    = 8 // in a row without any success
	triesFailed = 3 // when there is nothing left but steps that fail for reasons of their own
)

// Once makes both sides equal and returns the last round. What fails for the moment is tried again for a while.
func (s *Sync) Once(ctx context.Context) (*Result, error) {
	total := &Result{}
	failures := 0
	for range roundsMax {
		res, err := s.Round(ctx, s.mirror.listed.IsZero() && s.o.Force)
		if res != nil {
			total.add(res)
		}
		switch {
		case ctx.Err() != nil:
			return total, ctx.Err()
		case err != nil && (errs.Is(err, errs.Conflict) || lasting(err)):
			return total, err
		case err == nil && (s.o.DryRun || res.Quiet() && res.Later == 0):
			s.sweepAllOlds()
			return total, nil
		case err == nil && res.Done > 0:
			failures = 0
			continue
		}
		most := triesMax
		if err == nil && res.Later == 0 && res.Busy == 0 {
			most = triesFailed
		}
		if failures++; failures >= most {
			s.sweepAllOlds()
			return total, err
		}
		if err := clock.Wait(ctx, backOff(failures)); err != nil {
			return total, err
		}
	}
	return total, nil
}

// backOff grows with the number of failures in a row.
func backOff(failures int) time.Duration { return min(tryFirst<<min(failures-1, 20), tryMost) }

// lasting reports whether an error of the service will be the same the next time.
func lasting(err error) bool {
	switch errs.KindOf(err) {
	case errs.Denied, errs.Unauthenticated, errs.Invalid, errs.Unsupported, errs.TooLarge, errs.Quota:
		return true
	case errs.NotFound:
		return errs.IsThing(err, errs.NotFound, errs.Container)
	default:
		return false
	}
}

func (r *Result) add(res *Result) {
	r.Done += res.Done
	r.Sent += res.Sent
	r.Fetched += res.Fetched
	r.Later, r.Busy, r.Failed, r.Skipped, r.Held, r.quiet, r.Planned = res.Later, res.Busy, res.Failed, res.Skipped, res.Held, res.quiet, res.Planned
}
