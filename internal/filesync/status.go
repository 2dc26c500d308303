package filesync

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of what a status tells.
const (
	statusListMax = 200
	statusEvery   = time.Second
	watchEvery    = 200 * time.Millisecond
)

// Event is something that was done, or failed.
type Event struct {
	Time  time.Time `json:"time"`
	Do    string    `json:"do"` // an action, or "conflict", "error", "round"
	Name  string    `json:"name,omitempty"`
	To    string    `json:"to,omitempty"` // of moves and conflicts
	Bytes int64     `json:"bytes,omitempty"`
	Moved int64     `json:"moved,omitempty"` // bytes that went over the network
	Error string    `json:"error,omitempty"`
}

// InFlight is a step that is being done.
type InFlight struct {
	Do    string `json:"do"`
	Name  string `json:"name"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

// Failure is a step that could not be done.
type Failure struct {
	Do    string    `json:"do"`
	Name  string    `json:"name"`
	Error string    `json:"error"`
	Time  time.Time `json:"time"`
}

// Conflict is a file that both sides had changed.
type Conflict struct {
	Name string    `json:"name"`
	Copy string    `json:"copy"`
	Time time.Time `json:"time"`
}

// States of a synchronisation.
const (
	StateWorking = "working"
	StateIdle    = "in sync"
	StateOffline = "offline"
	StateHeld    = "held"
	StateFailing = "failing"
	StateStopped = "stopped"
)

// Status tells what is going on.
type Status struct {
	Dir        string     `json:"dir"`
	Target     string     `json:"target"`
	Running    bool       `json:"running"`
	PID        int        `json:"pid"`
	State      string     `json:"state"`
	Pending    int        `json:"pending"`
	InFlight   []InFlight `json:"in_flight"`
	Conflicts  []Conflict `json:"conflicts"`
	Skipped    []Skip     `json:"skipped"`
	Failed     []Failure  `json:"failed"`
	Held       int        `json:"held"` // deletions that wait for --force
	Files      int        `json:"files"`
	LastError  string     `json:"last_error,omitempty"`
	ErrorAt    time.Time  `json:"last_error_at,omitzero"`
	LastChange *Event     `json:"last_change,omitempty"`
	InSyncAt   time.Time  `json:"in_sync_at,omitzero"` // when both sides were last found equal
	Written    time.Time  `json:"written"`
	Note       string     `json:"note,omitempty"`
}

// board keeps the status and writes it to a file, now and then.
type board struct {
	mu      sync.Mutex
	file    string // "" writes nothing
	s       Status
	flying  map[string]*InFlight
	written time.Time
	now     func() time.Time
	events  func(Event)
	watch   func(*Status)
	shown   time.Time
}

// update changes the status. urgent writes it at once.
func (b *board) update(urgent bool, fn func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn(&b.s)
	now := b.now()
	if urgent || now.Sub(b.written) >= statusEvery {
		b.list()
		b.write(now)
	}
	if b.watch != nil && now.Sub(b.shown) >= watchEvery {
		b.shown = now
		b.list()
		b.watch(&b.s)
	}
}

// list brings the steps that are being done into the status.
func (b *board) list() {
	b.s.InFlight = b.s.InFlight[:0]
	for _, f := range b.flying {
		b.s.InFlight = append(b.s.InFlight, *f)
	}
	slices.SortFunc(b.s.InFlight, func(x, y InFlight) int { return strings.Compare(x.Name, y.Name) })
}

// write writes the file; that it cannot be written stops nothing.
func (b *board) write(now time.Time) {
	if b.file == "" {
		return
	}
	b.written, b.s.Written = now, now
	raw, err := json.MarshalIndent(&b.s, "", "  ")
	if err != nil {
		return
	}
	next := b.file + ".new"
	if os.WriteFile(next, raw, 0o600) == nil {
		_ = os.Rename(next, b.file) // the old status stays: it tells its age
	}
}

// begin notes a step that is being done; the result is its progress, end its end.
func (b *board) begin(op *Op) (progress Progress, end func()) {
	f := &InFlight{Do: op.Do.String(), Name: op.Name}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying[op.Name] = f
	return func(done, total, _ int64) {
			b.update(false, func(*Status) { f.Done, f.Total = done, total })
		}, func() {
			b.update(false, func(s *Status) {
				delete(b.flying, op.Name)
				s.Pending = max(0, s.Pending-1)
			})
		}
}

// tell passes an event on and notes it.
func (b *board) tell(e Event) {
	e.Time = b.now()
	b.update(false, func(s *Status) {
		switch {
		case e.Error != "":
			s.LastError, s.ErrorAt = e.Error, e.Time
		case e.Do == "conflict":
			s.Conflicts = last(append(s.Conflicts, Conflict{e.Name, e.To, e.Time}))
			s.LastChange = &e
		case e.Name != "":
			s.LastChange = &e
		}
		if b.events != nil {
			b.events(e)
		}
	})
}

// last keeps the end of a list.
func last[T any](list []T) []T {
	if len(list) > statusListMax {
		return slices.Clone(list[len(list)-statusListMax:])
	}
	return list
}

// first keeps the beginning of a list.
func first[T any](list []T) []T { return list[:min(len(list), statusListMax)] }

// ReadStatus reads the status of the folder that a state directory belongs to.
func ReadStatus(stateDir string) (*Status, error) {
	raw, err := os.ReadFile(filepath.Join(stateDir, statusFile))
	if err != nil {
		return nil, err
	}
	var s Status
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	running, err := locked(stateDir)
	if err != nil {
		return nil, err
	}
	if s.Running = running; !running {
		s.InFlight, s.PID = nil, 0
		if s.State != StateIdle && s.State != StateHeld && s.State != StateFailing {
			s.State = StateStopped
		}
	}
	return &s, nil
}
