package filesync

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// Times of Run.
const (
	gather   = 300 * time.Millisecond // after an event: more usually come
	pollWait = 50 * time.Second       // of a question for changes
	pollRest = 500 * time.Millisecond // between two answers that tell nothing new
	pollSlow = 30 * time.Second       // between listings where changes are not told
	heldWait = 60 * time.Second       // before a step that failed is tried again
)

// Run makes both sides equal, and again whenever one of them changes, until the context ends. It comes back with an error only for what does not pass by itself: the
// folder is another one (Conflict), or the user is not signed in any more (Unauthenticated).
func (s *Sync) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer stop()
	wake := make(chan struct{}, 1)
	nudge := func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	w := s.watchFolder(ctx, &helpers, nudge)
	polled := make(chan struct{}, 1)
	helpers.Go(func() { s.poll(ctx, polled, nudge) })
	failures := 0
	for {
		began := s.o.Clock.Now()
		full := began.Sub(s.mirror.listed) >= s.o.ListEvery && !s.mirror.listed.IsZero()
		res, err := s.Round(ctx, full)
		if s.mirror.listed.IsZero() {
			s.mirror.listed = began
		}
		if ctx.Err() != nil {
			s.sweepAllOlds()
			return ctx.Err()
		}
		if errs.Is(err, errs.Conflict) || errs.Is(err, errs.Unauthenticated) {
			s.stop(err)
			return err
		}
		wait := s.o.ScanEvery
		switch {
		case err != nil:
			failures++
			s.offline(err)
			wait = backOff(failures)
		case res.Later+res.Busy > 0 || !res.quiet && res.Done > 0:
			failures++
			if res.Done > 0 {
				failures = 1
			}
			wait = backOff(failures)
		case len(res.Failed) > 0:
			failures = 0
			wait = heldWait
		default:
			failures = 0
		}
		if len(s.olds) > 0 {
			wait = min(wait, oldAge+gather)
		}
		w.add(s.local)
		select {
		case polled <- struct{}{}:
		default:
		}
		took := s.o.Clock.Now().Sub(began)
		if err := s.rest(ctx, wake, wait, max(gather, 2*took)); err != nil {
			s.sweepAllOlds()
			return err
		}
	}
}

// rest waits for the next round: for wait, or until something happens, and then until no more comes for a moment.
func (s *Sync) rest(ctx context.Context, wake <-chan struct{}, wait, calm time.Duration) error {
	if err := clock.WaitFor(ctx, wake, wait); err != nil {
		return err
	}
	if err := clock.Wait(ctx, min(calm, wait)); err != nil {
		return err
	}
	select {
	case <-wake:
	default:
	}
	return nil
}

func (s *Sync) offline(err error) {
	s.board.tell(Event{Do: "error", Error: err.Error()})
	s.board.update(true, func(st *Status) { st.State = StateOffline })
}

func (s *Sync) stop(err error) {
	s.board.tell(Event{Do: "error", Error: err.Error()})
	s.board.update(true, func(st *Status) { st.State = StateStopped })
}

// poll waits for changes of the container, and tells when there is one that is not known. It asks again when a round has ended.
func (s *Sync) poll(ctx context.Context, polled <-chan struct{}, nudge func()) {
	for {
		select {
		case <-polled:
		case <-ctx.Done():
			return
		}
		for news := false; !news; {
			point := s.state.point()
			if point == "" {
				if clock.Wait(ctx, pollSlow) != nil {
					return
				}
				break
			}
			feed, err := s.o.Service.Changes(ctx, point, pollWait)
			if ctx.Err() != nil {
				return
			}
			news = err != nil || len(s.mirror.unknown(feed)) > 0 || feed.More
			rest := pollRest
			if err != nil {
				rest = pollSlow
			}
			if (err != nil || len(feed.Changes) > 0) && !(news && err == nil) && clock.Wait(ctx, rest) != nil {
				return
			}
		}
		nudge()
	}
}

// watcher asks the system for events in the folder. It may fail, for want of watches: then the periodic scan finds changes.
type watcher struct {
	w       *fsnotify.Watcher
	dir     string
	board   *board
	watched map[string]bool
	full    bool
}

func (s *Sync) watchFolder(ctx context.Context, helpers *sync.WaitGroup, nudge func()) *watcher {
	w := &watcher{dir: s.dir, board: s.board, watched: map[string]bool{}}
	var err error
	if w.w, err = fsnotify.NewWatcher(); err != nil {
		w.give(err)
		return w
	}
	helpers.Go(func() {
		defer func() { _ = w.w.Close() }() // nobody waits for its events
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-w.w.Events:
				if !ok {
					return
				}
				if !strings.Contains(filepath.ToSlash(e.Name), "/"+ownPrefix) {
					nudge()
				}
			case err, ok := <-w.w.Errors:
				if !ok {
					return
				}
				if errors.Is(err, fsnotify.ErrEventOverflow) {
					nudge()
				}
			}
		}
	})
	w.add(map[string]*Local{".": {Content: Content{Kind: Folder}}})
	return w
}

// add watches the folders that are not watched yet.
func (w *watcher) add(local map[string]*Local) {
	if w.w == nil || w.full {
		return
	}
	for name := range w.watched {
		if l := local[name]; name != "." && (l == nil || l.Kind != Folder) {
			delete(w.watched, name)
		}
	}
	for name, l := range local {
		if l.Kind != Folder || w.watched[name] {
			continue
		}
		if err := w.w.Add(filepath.Join(w.dir, filepath.FromSlash(name))); err != nil {
			if errors.Is(err, errNoWatches) {
				w.give(err)
				return
			}
			continue // it is gone already
		}
		w.watched[name] = true
	}
}

// give up watching: more folders than the system has watches for.
func (w *watcher) give(err error) {
	w.full = true
	w.board.update(true, func(st *Status) {
		st.Note = "not all folders can be watched (" + err.Error() + "): changes are found by scanning; see fs.inotify.max_user_watches"
	})
}
