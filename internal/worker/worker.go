// Package worker is the work that nobody waits for: the collector gives back
// space that no version needs, the scrubber reads stored blocks before a client
// finds them damaged, the expirer deletes what was to be deleted by now.
//
// Each is a Task that goes on in small steps; one Scheduler runs them all. Each
// can also be run to its end at once, for the operator's commands.
package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// Task is work that is done in steps. A task is stepped by one goroutine at a time.
type Task interface {
	Name() string
	// Step does a bounded amount of work and tells how long to wait before the next; 0 when more work waits. After an error the
	// next step goes on where this one failed.
	Step(ctx context.Context) (again time.Duration, err error)
}

// Waits of the scheduler after a step that failed: the first, doubled up to the longest.
const (
	retryMin = time.Second
	retryMax = 5 * time.Minute
)

// Scheduler runs tasks side by side, each in its own rhythm.
type Scheduler struct {
	clock clock.Clock
	log   *slog.Logger
	tasks []Task

	mu     sync.Mutex
	status []Status
}

// Status is how a task has fared since the start.
type Status struct {
	Task     string    `json:"task"`
	Steps    int64     `json:"steps"`
	Failures int64     `json:"failures"`
	LastStep time.Time `json:"last_step"`
	LastErr  string    `json:"last_error,omitempty"` // of the last step; "" when it went well
}

// NewScheduler makes a scheduler for tasks.
func NewScheduler(c clock.Clock, log *slog.Logger, tasks ...Task) *Scheduler {
	s := &Scheduler{clock: c, log: log, tasks: tasks, status: make([]Status, len(tasks))}
	for i, t := range tasks {
		s.status[i].Task = t.Name()
	}
	return s
}

// Run runs the tasks until ctx ends and returns when all of them have stopped. A step that fails is logged and tried again,
// after a wait that grows; it stops nothing else.
func (s *Scheduler) Run(ctx context.Context) {
	var running sync.WaitGroup
	for i, t := range s.tasks {
		running.Go(func() { s.run(ctx, i, t) })
	}
	running.Wait()
}

func (s *Scheduler) run(ctx context.Context, i int, t Task) {
	retry := retryMin
	for ctx.Err() == nil {
		wait, err := t.Step(ctx)
		if ctx.Err() != nil || errs.Is(err, errs.Closed) {
			return
		}
		s.note(i, err)
		if err != nil {
			s.log.ErrorContext(ctx, "background task failed; it is tried again", "task", t.Name(), "error", err, "in", retry)
			wait, retry = retry, min(2*retry, retryMax)
		} else {
			retry = retryMin
		}
		if wait > 0 && clock.Wait(ctx, wait) != nil {
			return
		}
	}
}

func (s *Scheduler) note(i int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.status[i]
	st.Steps++
	st.LastStep = s.clock.Now()
	st.LastErr = ""
	if err != nil {
		st.Failures++
		st.LastErr = err.Error()
	}
}

// Status tells how each task fares, in the order in which they were given.
func (s *Scheduler) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Status(nil), s.status...)
}

// failed wraps an error at an exported edge.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return errs.Wrap(op, errs.Internal, err)
}
