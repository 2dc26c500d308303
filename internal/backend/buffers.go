package backend

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Memory for bodies on their way in has two rooms, so that no writer ever waits for memory that only another waiting writer can
// give back. In the lobby every body shows its first bytes, and the first of each further block; a client that sends nothing takes
// no more than its seat there. Who has filled the seat goes on into a slab for a whole block. Slabs are given back without
// waiting for a seat or another slab, so both waits end.
const (
	lobbySize  = 64 << 10 // a seat, bytes
	lobbyShare = 4        // the lobby has one in so many bytes of Options.BufferBytes

	// pieceSize is how much is read, hashed or written at once of what is larger: enough to make calls cheap,
	// small enough to stay in a processor's cache. Also the alignment of reads in a block.
	pieceSize = 256 << 10
)

type lobby struct {
	seats *semaphore.Weighted
	pool  sync.Pool
}

func (l *lobby) open(budget int64) {
	l.seats = semaphore.NewWeighted(max(budget/lobbySize, 1))
	l.pool.New = func() any { return new([lobbySize]byte) }
}

// enter waits for a seat until ctx ends.
func (l *lobby) enter(ctx context.Context) (*[lobbySize]byte, error) {
	if err := l.seats.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return l.pool.Get().(*[lobbySize]byte), nil
}

func (l *lobby) leave(seat *[lobbySize]byte) {
	l.pool.Put(seat)
	l.seats.Release(1)
}

// pieces lends buffers for reading.
type pieces struct{ pool sync.Pool }

func (p *pieces) get() *[pieceSize]byte {
	if buf, ok := p.pool.Get().(*[pieceSize]byte); ok {
		return buf
	}
	return new([pieceSize]byte)
}

func (p *pieces) put(buf *[pieceSize]byte) { p.pool.Put(buf) }
