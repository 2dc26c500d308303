package blobs

import (
	"sync"
	"sync/atomic"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/segment"
)

// pendingSet holds the blocks that lie in packs and have no row yet.
type pendingSet struct {
	count atomic.Int64 // entries, so that reads skip the lock when there is none
	mu    sync.Mutex
	// entries are all pending blocks, until their row is written.
	entries map[block.ID]*pendingBlock
	// waiting are those that no round of Sync has taken up.
	waiting []*pendingBlock
	// lost are blocks whose fsync failed.
	lost map[block.ID]struct{}
	// unsettled is the number of entries and lost blocks together: one number, so that Sync cannot miss a block on its way from one to
	// the other.
	unsettled atomic.Int64
	bytes     Tally
}

type pendingBlock struct {
	id       block.ID
	storedAt int64
	place    segment.Place
	replaces *replaced // a damaged row
}

func (b *pendingBlock) row() row {
	return row{kind: kindPacked, storedAt: b.storedAt, place: b.place}
}

func (p *pendingSet) init() {
	p.entries = map[block.ID]*pendingBlock{}
	p.lost = map[block.ID]struct{}{}
}

func (p *pendingSet) get(id block.ID) (*pendingBlock, bool) {
	if p.count.Load() == 0 {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.entries[id]
	return b, ok
}

// add makes a block that was appended known. A block that was lost before is whole again.
func (p *pendingSet) add(b *pendingBlock) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries[b.id] = b
	p.waiting = append(p.waiting, b)
	delete(p.lost, b.id)
	_, t := b.row().tally()
	p.bytes = p.bytes.add(t)
	p.publish()
}

// publish makes the numbers of blocks known. mu is held.
func (p *pendingSet) publish() {
	p.count.Store(int64(len(p.entries)))
	p.unsettled.Store(int64(len(p.entries) + len(p.lost)))
}

// take gives a round everything that waits.
func (p *pendingSet) take() []*pendingBlock {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.waiting
	p.waiting = nil
	return taken
}

// settle forgets blocks whose rows were written, or that were lost.
func (p *pendingSet) settle(blocks []*pendingBlock, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range blocks {
		delete(p.entries, b.id)
		_, t := b.row().tally()
		p.bytes = p.bytes.add(t.neg())
		if lost {
			p.lost[b.id] = struct{}{}
		}
	}
	p.publish()
}

// requeue puts blocks back whose row could not be written though their bytes are safe.
func (p *pendingSet) requeue(blocks []*pendingBlock) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, blocks...)
}

// lostIDs lists the lost blocks.
func (p *pendingSet) lostIDs() []block.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lost) == 0 {
		return nil
	}
	ids := make([]block.ID, 0, len(p.lost))
	for id := range p.lost {
		ids = append(ids, id)
	}
	return ids
}

func (p *pendingSet) forgetLost(id block.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lost, id)
	p.publish()
}

// packs are the packs in which pending blocks lie.
func (p *pendingSet) packs() map[uint64]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	packs := map[uint64]bool{}
	for _, b := range p.entries {
		packs[b.place.Pack] = true
	}
	return packs
}

// tally sums up the pending blocks.
func (p *pendingSet) tally() Tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}
