package server

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"pithos/internal/clock"
)

// watchEvery is the time between two looks at the files that are read again when they change.
const watchEvery = 10 * time.Second

// watched is something that is read from files, and again when they change.
type watched struct {
	what  string       // for the log
	files []string     // that it comes from
	load  func() error // reads them all; on an error what was read before stays in use
	hint  string       // what to do about an error

	seen   []fs.FileInfo
	failed string // the last error, which is logged once
}

// watcher reads files again when they change, and all of them when the process is told to. What cannot be used leaves the old in use: it is half
// written, or wrong.
type watcher struct {
	log *slog.Logger

	mu   sync.Mutex
	list []*watched
}

// add begins to watch what the caller has just read.
func (w *watcher) add(what *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what.seen = stats(what.files)
	w.list = append(w.list, what)
}

// run looks at the files until ctx ends; again tells it to read all of them.
func (w *watcher) run(ctx context.Context, again <-chan struct{}) {
	var both sync.WaitGroup
	both.Go(func() {
		for clock.Wait(ctx, watchEvery) == nil {
			w.look(ctx, false)
		}
	})
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-again:
			w.look(ctx, true)
		}
	}
	both.Wait()
}

// look reads what has changed, or everything. What could not be used is tried each time: the reason may be elsewhere than in the file.
func (w *watcher) look(ctx context.Context, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.list {
		now := stats(x.files)
		if !all && x.failed == "" && same(x.seen, now) {
			continue
		}
		changed := !same(x.seen, now)
		x.seen = now
		switch err := x.load(); {
		case err == nil:
			x.failed = ""
			w.log.InfoContext(ctx, "read again", "what", x.what, "files", x.files)
		case err.Error() != x.failed || changed || all:
			x.failed = err.Error()
			w.log.ErrorContext(ctx, "cannot be used, so the old stays in use", "what", x.what, "files", x.files, "error", err, "hint", x.hint)
		}
	}
}

// stats describes files; nil stands for one that is not there.
func stats(files []string) []fs.FileInfo {
	list := make([]fs.FileInfo, len(files))
	for i, file := range files {
		if info, err := os.Stat(file); err == nil {
			list[i] = info
		}
	}
	return list
}

func same(a, b []fs.FileInfo) bool {
	for i := range a {
		if (a[i] == nil) != (b[i] == nil) {
			return false
		}
		if a[i] != nil && (!os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size()) {
			return false
		}
	}
	return true
}
