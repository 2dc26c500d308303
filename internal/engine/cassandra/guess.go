package cassandra

import "sync"

// guesses remembers what a row said last that leads to others, so that those can be read beside it and not after it. A guess decides nothing: the row is read
// too, and where it leads elsewhere by now, what was read beside it is read again.
type guesses[K comparable, V any] struct {
	mu   sync.Mutex
	last map[K]V
}

// guessesKept bounds what is remembered; when it is full, all is forgotten.
const guessesKept = 10_000

func (g *guesses[K, V]) get(k K) (v V, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok = g.last[k]
	return v, ok
}

func (g *guesses[K, V]) put(k K, v V) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last == nil || len(g.last) >= guessesKept {
		g.last = map[K]V{}
	}
	g.last[k] = v
}
