package cassandra

import (
	"context"
	"fmt"
	"strings"
	"sync"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// Many requests at once write rows of the same partitions, those of the log, of a listing and of the indexes by time, and look at the same marks. What comes
// while such a write or read is under way waits for it and then goes with the others in one: the more there is to do, the fewer statements
// it takes each, and who is alone waits for nobody. Nothing else changes: a write returns when it was acknowledged, and a read
// that is shared began after all who share it asked for it.

// Bounds of what is gathered.
const (
	gatherRows   = 64       // of one batch
	gatherBytes  = 32 << 10 // of one batch
	gatherFlight = 2        // batches to one partition at once
)

// gatherer gathers writes by partition.
type gatherer struct {
	mu    sync.Mutex
	lanes map[string]*lane
}

// lane is what is to be written to one partition.
type lane struct {
	flying  int
	waiting []*joined
}

// joined is a write that waits to go with others.
type joined struct {
	step step
	done chan error
}

// partition is the key of the partition that a statement writes to, from the arguments that name it.
func (st statement) partition(args []any) string {
	var key strings.Builder
	for _, i := range st.key {
		_, _ = fmt.Fprintf(&key, "%v\x00", args[i])
	}
	return key.String()
}

// join runs a plain write, together with others to the same partition that came meanwhile. The tables of one partition key are not told apart: they may go
// together too. A caller who leaves does not hold the others up.
func (s *Session) join(ctx context.Context, st statement, args ...any) error {
	if s.writes == nil {
		return s.alone(ctx, st, args...)
	}
	key := st.partition(args)
	w := &joined{step{st, args}, make(chan error, 1)}
	g := s.writes
	g.mu.Lock()
	l := g.lanes[key]
	if l == nil {
		l = &lane{}
		g.lanes[key] = l
	}
	l.waiting = append(l.waiting, w)
	lead := l.flying < gatherFlight
	if lead {
		l.flying++
	}
	g.mu.Unlock()
	if lead {
		go s.fly(context.WithoutCancel(ctx), key, l)
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fly writes what waits in a lane, batch after batch, until nothing does.
func (s *Session) fly(ctx context.Context, key string, l *lane) {
	g := s.writes
	for {
		g.mu.Lock()
		batch := l.take()
		if len(batch) == 0 {
			if l.flying--; l.flying == 0 {
				delete(g.lanes, key)
			}
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		var err error
		if len(batch) == 1 {
			err = s.alone(ctx, batch[0].step.st, batch[0].step.args...)
		} else {
			steps := make([]step, len(batch))
			for i, w := range batch {
				steps[i] = w.step
			}
			err = s.together(ctx, steps...)
		}
		for _, w := range batch {
			w.done <- err
		}
	}
}

// take is the next batch of a lane.
func (l *lane) take() []*joined {
	n, size := 0, int64(0)
	for n < len(l.waiting) && n < gatherRows {
		size += weigh([]step{l.waiting[n].step}) - 1<<10
		if n > 0 && size > gatherBytes {
			break
		}
		n++
	}
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	return batch
}

// shares are reads that several ask for at once.
type shares struct {
	mu    sync.Mutex
	reads map[string]*shared
}

// shared is a read under way, and the next one, for those who came after it had begun.
type shared struct {
	done  chan struct{}
	value any
	err   error
	next  *shared
}

// share reads, or waits for a read that another has begun after this call. What it returns is not to be written to.
func share[T any](ctx context.Context, s *Session, st statement, args []any, read func(context.Context) (T, error)) (T, error) {
	if s.reads == nil {
		return read(ctx)
	}
	key := st.cql + "\x00" + fmt.Sprint(args...)
	g := s.reads
	g.mu.Lock()
	mine := g.reads[key]
	switch {
	case mine == nil:
		mine = &shared{done: make(chan struct{})}
		g.reads[key] = mine
		go run(context.WithoutCancel(ctx), g, key, mine, read)
	case mine.next == nil:
		mine.next = &shared{done: make(chan struct{})}
		mine = mine.next
	default:
		mine = mine.next
	}
	g.mu.Unlock()
	select {
	case <-mine.done:
		value, _ := mine.value.(T)
		return value, mine.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// run reads for all who wait, and then for those who have come meanwhile.
func run[T any](ctx context.Context, g *shares, key string, r *shared, read func(context.Context) (T, error)) {
	for r != nil {
		value, err := read(ctx)
		r.value, r.err = value, err
		g.mu.Lock()
		next := r.next
		if next == nil {
			delete(g.reads, key)
		} else {
			g.reads[key] = next
		}
		g.mu.Unlock()
		close(r.done)
		r = next
	}
}

// sharedRow is one read of one row that is shared: the columns as they came.
func sharedRow[T any](ctx context.Context, s *Session, st statement, level gocql.Consistency, args []any, into func(row *T) []any) (row T, found bool, err error) {
	type result struct {
		row   T
		found bool
	}
	if level != st.level {
		found, err = s.serially(ctx, st, level, args, into(&row)...)
		return row, found, err
	}
	r, err := share(ctx, s, st, args, func(ctx context.Context) (r result, err error) {
		r.found, err = s.serially(ctx, st, level, args, into(&r.row)...)
		return r, err
	})
	return r.row, r.found, err
}
