// Package guess remembers what a look-up found last that leads to others, so
// that those can be asked for beside it and not after it. A guess decides
// nothing: the look-up is made too, and where it leads elsewhere by now, what
// was asked for beside it is asked for again.
package guess

import "sync"

// Most is how many guesses a Map remembers; when it is full, all are forgotten.
const Most = 10_000

// Map is guesses by what was looked up. The zero value is empty; it is safe for concurrent use.
type Map[K comparable, V any] struct {
	mu   sync.Mutex
	last map[K]V
}

// Get gives what a look-up found last; ok is false when that is not known.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok = m.last[k]
	return v, ok
}

// Put remembers what a look-up found.
func (m *Map[K, V]) Put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil || len(m.last) >= Most {
		m.last = map[K]V{}
	}
	m.last[k] = v
}
