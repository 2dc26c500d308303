// Package slab gives out large byte buffers under a budget that holds for all
// borrowers together. The bytes lie outside of the garbage-collected heap, so
// that a hundred megabytes of them do not make the heap grow to twice as much.
//
// A slab has one owner at a time: who called Get, until it calls Free.
package slab

import (
	"context"
	"math/bits"
	"sync"

	"golang.org/x/sync/semaphore"

	"pithos/internal/errs"
)

// ClassMin is the size of the smallest slab, bytes. Sizes are powers of two from there on.
const ClassMin = 64 << 10

// Pool lends slabs. Slabs lent and kept for reuse together never take more than its budget. It is safe for concurrent use.
type Pool struct {
	budget int64
	sem    *semaphore.Weighted // first come, first served

	mu struct {
		sync.Mutex
		lent int64            // bytes of slabs that have an owner
		kept int64            // bytes of slabs in free
		free map[int][][]byte // by size
	}
}

// New makes a pool. A budget below one smallest slab is raised to it.
func New(budget int64) *Pool {
	p := &Pool{budget: max(budget, ClassMin)}
	p.sem = semaphore.NewWeighted(p.budget)
	p.mu.free = make(map[int][][]byte)
	return p
}

// Slab is a borrowed buffer. Its content is undefined.
type Slab struct {
	pool *Pool
	data []byte
}

// Bytes is the whole buffer; at least as long as was asked for.
func (s *Slab) Bytes() []byte { return s.data }

// Get lends a slab of at least n bytes and waits while the budget is used up, until ctx is done. A slab larger
// than the whole budget is lent when nothing else is.
//
// The caller must not hold another slab that is only freed after Get returns: that is the way into a deadlock.
//
// Errors: Canceled or Busy when ctx ends; Busy when the machine gives no memory.
func (p *Pool) Get(ctx context.Context, n int) (*Slab, error) {
	size := classOf(n)
	if err := p.sem.Acquire(ctx, p.charge(size)); err != nil {
		kind := errs.Busy
		if ctx.Err() == context.Canceled {
			kind = errs.Canceled
		}
		return nil, errs.Wrap("slab.Get", kind, err)
	}
	data := p.take(size)
	if data == nil {
		var err error
		if data, err = allocate(size); err != nil {
			p.mu.Lock()
			p.mu.lent -= int64(size)
			p.mu.Unlock()
			p.sem.Release(p.charge(size))
			return nil, errs.Wrap("slab.Get", errs.Busy, err)
		}
	}
	return &Slab{pool: p, data: data}, nil
}

// Free gives the slab back. It is called once.
func (s *Slab) Free() {
	p, data := s.pool, s.data
	s.data = nil
	p.mu.Lock()
	p.mu.lent -= int64(len(data))
	keep := p.mu.lent+p.mu.kept+int64(len(data)) <= p.budget
	if keep {
		p.mu.free[len(data)] = append(p.mu.free[len(data)], data)
		p.mu.kept += int64(len(data))
	}
	p.mu.Unlock()
	if !keep {
		release(data)
	}
	p.sem.Release(p.charge(len(data)))
}

// Lent is the number of bytes that have an owner now.
func (p *Pool) Lent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.lent
}

// take counts size bytes as lent and finds a kept slab of that size; nil when there is none, after making room for a new one.
func (p *Pool) take(size int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.lent += int64(size)
	if list := p.mu.free[size]; len(list) > 0 {
		data := list[len(list)-1]
		p.mu.free[size] = list[:len(list)-1]
		p.mu.kept -= int64(size)
		return data
	}
	for other, list := range p.mu.free {
		for len(list) > 0 && p.mu.lent+p.mu.kept > p.budget {
			release(list[len(list)-1])
			list = list[:len(list)-1]
			p.mu.kept -= int64(other)
		}
		p.mu.free[other] = list
	}
	return nil
}

// charge is what a slab takes of the budget: all of it when it is larger.
func (p *Pool) charge(size int) int64 { return min(int64(size), p.budget) }

func classOf(n int) int {
	if n <= ClassMin {
		return ClassMin
	}
	return 1 << bits.Len(uint(n-1))
}
