package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"pithos/internal/errs"
)

// progressEvery is the least time between two lines of progress.
const progressEvery = 200 * time.Millisecond

// stream serves a task: one JSON object per line, {"progress": ...} while it runs, then {"report": ...} or {"error": ...}. The task
// ends early when the client goes. One run of a task at a time.
func (d *Door) stream(name string, task Task) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running := d.running[name]
		if !running.CompareAndSwap(false, true) {
			d.refuse(w, r, errs.E("admin.stream", errs.Conflict, errs.Request, "").Because(errs.BadState, name+" is already running; wait for it to end"))
			return
		}
		defer running.Store(false)
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.WriteHeader(http.StatusOK)
		out := http.NewResponseController(w)
		send := func(l line) {
			_ = json.NewEncoder(w).Encode(l) // the only failure left is a client that has gone, which ends the context
			_ = out.Flush()
		}
		var last time.Time
		report, err := task(r.Context(), r.URL.Query(), func(p Progress) {
			if now := d.o.Clock.Now(); now.Sub(last) >= progressEvery {
				last = now
				send(line{Progress: &p})
			}
		})
		if err != nil {
			d.o.Log.ErrorContext(r.Context(), "task failed", "task", name, "error", err)
			send(line{Error: failureOf(err)})
			return
		}
		d.o.Log.InfoContext(r.Context(), "task done", "task", name)
		send(line{Report: report})
	})
}
