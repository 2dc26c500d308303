package errstest

import (
	"math/rand/v2"
	"sync"

	"pithos/internal/errs"
)

// Fate is what happens to a call of a faulty double.
type Fate uint8

// The fates. A call that only reads fails with Busy, Before and After.
const (
	Fine    Fate = iota
	Before       // it fails with Busy and does nothing
	After        // it does what it should and fails with Ambiguous
	Garbled      // a read of bytes gives wrong ones, and no error; other calls are fine
)

// Faults decides the fate of every call, by plan or by seed. It is safe for concurrent use. The zero value lets everything be fine.
type Faults struct {
	mu    sync.Mutex
	calls map[string]int
	plan  map[string]map[int]Fate
	rng   *rand.Rand
	odds  float64
	hook  func(op string)
}

// Seeded gives each call a fate other than Fine with the given odds.
func Seeded(seed uint64, odds float64) *Faults {
	return &Faults{rng: rand.New(rand.NewPCG(seed, 0)), odds: odds}
}

// At plans the fate of the n-th call of an operation from now on (1: the next one) and returns f. Operations have the names of their methods.
func (f *Faults) At(op string, n int, fate Fate) *Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.plan == nil {
		f.plan = map[string]map[int]Fate{}
	}
	if f.plan[op] == nil {
		f.plan[op] = map[int]Fate{}
	}
	f.plan[op][f.calls[op]+n] = fate
	return f
}

// Hook is called at the beginning of each call, to delay or watch it, and returns f. It may block.
func (f *Faults) Hook(fn func(op string)) *Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = fn
	return f
}

// Calls tells how often an operation was called.
func (f *Faults) Calls(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// next counts a call and tells its fate.
func (f *Faults) next(op string) Fate {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[op]++
	fate, planned := f.plan[op][f.calls[op]]
	if !planned && f.rng != nil && f.rng.Float64() < f.odds {
		fate = Fate(1 + f.rng.IntN(int(Garbled)))
	}
	hook := f.hook
	f.mu.Unlock()
	if hook != nil {
		hook(op)
	}
	return fate
}

// Write makes a call that changes something.
func (f *Faults) Write(op string, do func() error) error {
	switch f.next(op) {
	case Before:
		return errs.E("faulty."+op, errs.Busy, errs.Store, "")
	case After:
		if err := do(); err != nil {
			return err
		}
		return errs.E("faulty."+op, errs.Ambiguous, errs.Store, "")
	case Fine, Garbled:
	}
	return do()
}

// Read makes a call that changes nothing.
func (f *Faults) Read(op string, do func() error) error {
	_, err := f.Bytes(op, do)
	return err
}

// Bytes makes a call that reads bytes and tells whether they are to be garbled.
func (f *Faults) Bytes(op string, do func() error) (garbled bool, err error) {
	switch fate := f.next(op); fate {
	case Before, After:
		return false, errs.E("faulty."+op, errs.Busy, errs.Store, "")
	case Fine, Garbled:
		return fate == Garbled, do()
	}
	return false, do()
}
