package backend

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"hash"
	"slices"
	"sync"
	"sync/atomic"

	"pithos/internal/backend/slab"
	"pithos/internal/block"
	"pithos/internal/object"
)

// blocksInFlight is how many blocks of one body may be in memory: one being read while the one before is hashed and stored.
const blocksInFlight = 2

// lanePieces is how many pieces a lane may lag behind.
const lanePieces = 32

// pipeline takes a large body in. The caller's goroutine reads into slabs and hands each piece to the lanes, which hash side
// by side: SHA-256 of blocks (and of the payload), MD5, further checksums. A block whose SHA-256 is known is stored by one
// more goroutine. A slab is free again when the last of them is done with it; none of them waits for another slab.
type pipeline struct {
	b     *Backend
	slots chan struct{}
	lanes []*lane
	puts  chan *blockInFlight
	fail  context.CancelCauseFunc

	working sync.WaitGroup // lanes
	putting sync.WaitGroup

	// These belong to the putting goroutine until finish has waited for it.
	maps mapBuilder
	root block.Root
	err  error

	sha  *blockHasher
	md5  hash.Hash
	sums []hash.Hash // in the order of algorithms; nil for SHA-256, which sha computes
}

// blockInFlight is a block between the client and the store.
type blockInFlight struct {
	slab   *slab.Slab
	data   []byte // as far as it has come; the reader's own until the end of the block
	stored int    // without trailing zeros; set by the SHA-256 lane
	id     block.ID
	users  atomic.Int32
	slots  chan struct{}
}

func (f *blockInFlight) done() {
	if f.users.Add(-1) == 0 {
		f.slab.Free()
		<-f.slots
	}
}

// piece is a part of a block that has come, or its end.
type piece struct {
	block *blockInFlight
	data  []byte
	from  int
	end   bool
}

// lane is one goroutine that sees every piece in order.
type lane struct {
	pieces chan piece
	write  func(p piece)
	end    func(f *blockInFlight)
}

func (b *Backend) newPipeline(w *writer, body Body, fail context.CancelCauseFunc) (*pipeline, error) {
	p := &pipeline{
		b: b, fail: fail, maps: mapBuilder{w: w}, md5: md5.New(),
		slots: make(chan struct{}, blocksInFlight), puts: make(chan *blockInFlight, blocksInFlight),
		sha: &blockHasher{h: sha256.New(), keep: body.SHA256 || slices.Contains(body.Checksums, object.SHA256)},
	}
	var others []hash.Hash
	for _, a := range body.Checksums {
		h := a.New()
		if h == nil {
			return nil, unknownChecksum(a)
		}
		if a == object.SHA256 {
			h = nil
		} else {
			others = append(others, h)
		}
		p.sums = append(p.sums, h)
	}
	p.lane(p.sha.write, func(f *blockInFlight) { p.sha.end(f); p.puts <- f })
	if !body.sealed {
		p.lane(func(c piece) { _, _ = p.md5.Write(c.data) }, nil)
	}
	if len(others) > 0 {
		p.lane(func(c piece) {
			for _, h := range others {
				_, _ = h.Write(c.data)
			}
		}, nil)
	}
	return p, nil
}

func (p *pipeline) lane(write func(piece), end func(*blockInFlight)) {
	p.lanes = append(p.lanes, &lane{pieces: make(chan piece, lanePieces), write: write, end: end})
}

// start lets the lanes run; finish must follow.
func (p *pipeline) start(ctx context.Context) {
	for _, l := range p.lanes {
		p.working.Go(func() {
			for c := range l.pieces {
				if !c.end {
					l.write(c)
					continue
				}
				if l.end != nil {
					l.end(c.block)
				}
				c.block.done()
			}
		})
	}
	p.putting.Go(func() {
		for f := range p.puts {
			if p.err == nil {
				if p.err = p.store(ctx, f); p.err != nil {
					p.fail(p.err)
				}
			}
			f.done()
		}
	})
}

func (p *pipeline) store(ctx context.Context, f *blockInFlight) error {
	if err := p.maps.w.put(ctx, f.id, f.data[:f.stored]); err != nil {
		return err
	}
	p.root.Add(f.id)
	return p.maps.add(ctx, block.Ref{ID: f.id, Len: int64(len(f.data))})
}

// begin gets memory for a block of at most size bytes.
func (p *pipeline) begin(ctx context.Context, size int) (*blockInFlight, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s, err := p.b.slabs.Get(ctx, size)
	if err != nil {
		<-p.slots
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	f := &blockInFlight{slab: s, data: s.Bytes()[:0:size], slots: p.slots}
	f.users.Store(int32(len(p.lanes)) + 1) // and the putting goroutine
	return f, nil
}

// grow tells the lanes of n more bytes in the block.
func (p *pipeline) grow(f *blockInFlight, n int) {
	from := len(f.data)
	f.data = f.data[:from+n]
	for _, l := range p.lanes {
		l.pieces <- piece{block: f, data: f.data[from:], from: from}
	}
}

func (p *pipeline) end(f *blockInFlight) {
	for _, l := range p.lanes {
		l.pieces <- piece{block: f, end: true}
	}
}

// finish waits until everything is hashed and stored.
func (p *pipeline) finish() error {
	for _, l := range p.lanes {
		close(l.pieces)
	}
	p.working.Wait()
	close(p.puts)
	p.putting.Wait()
	return p.err
}

// receiveStream takes in a body of any size. head is the buffer in which the first n bytes of the first block, and later of
// the others, arrive.
func (b *Backend) receiveStream(ctx context.Context, w *writer, body Body, src *source, blockSize int64, head []byte, n int) (received, error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p, err := b.newPipeline(w, body, cancel)
	if err != nil {
		return received{}, err
	}
	p.start(inner)
	err = p.feed(inner, src, int(blockSize), head, n)
	if err != nil {
		cancel(err)
	}
	if e := p.finish(); err == nil {
		err = e
	}
	if err != nil {
		return received{}, err
	}
	m, err := p.maps.finish(ctx)
	if err != nil {
		return received{}, err
	}
	return received{
		content:   object.Content{Holder: w.holder, Map: m},
		blockSize: blockSize,
		root:      p.root.Sum(),
		digests:   p.digests(src.read, body.Checksums),
	}, nil
}

// feed reads the body into blocks.
func (p *pipeline) feed(ctx context.Context, src *source, blockSize int, head []byte, n int) error {
	for n > 0 {
		size := blockSize
		if src.declared >= 0 {
			size = int(min(int64(blockSize), src.declared-src.read+int64(n)))
		}
		f, err := p.begin(ctx, size)
		if err != nil {
			return err
		}
		copy(f.data[:n], head[:n])
		p.grow(f, n)
		err = p.fillBlock(ctx, src, f)
		p.end(f) // also after an error: the lanes let go of the slab then
		if err != nil {
			return err
		}
		if n, err = src.fill(head); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipeline) fillBlock(ctx context.Context, src *source, f *blockInFlight) error {
	for len(f.data) < cap(f.data) && !src.ended {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		at := len(f.data)
		n, err := src.fill(f.data[at:min(cap(f.data), at-at%pieceSize+pieceSize)])
		if err != nil {
			return err
		}
		if n > 0 {
			p.grow(f, n)
		}
	}
	return nil
}

// digests are valid after finish.
func (p *pipeline) digests(size int64, algorithms []object.Algorithm) object.Digests {
	d := object.Digests{Size: size}
	p.md5.Sum(d.MD5[:0])
	p.sha.payload(&d.SHA256)
	for i, h := range p.sums {
		sum := object.Checksum{Algorithm: algorithms[i], Value: string(d.SHA256[:])}
		if h != nil {
			sum.Value = string(h.Sum(nil))
		}
		d.Checksums = append(d.Checksums, sum)
	}
	return d
}

// blockHasher computes the id of each block, which leaves trailing zeros out, and if asked to (keep) the SHA-256 of the whole
// payload. That of the first block goes on as the payload's, so a payload of one block is hashed once.
type blockHasher struct {
	h      hash.Hash
	hashed int // bytes of the block that h has seen
	keep   bool
	whole  hash.Hash // of the payload; nil while the first block comes
}

func (s *blockHasher) write(p piece) {
	if n := len(block.Strip(p.data)); n > 0 {
		to := p.from + n
		_, _ = s.h.Write(p.block.slab.Bytes()[s.hashed:to])
		s.hashed = to
	}
	if s.whole != nil {
		_, _ = s.whole.Write(p.data)
	}
}

func (s *blockHasher) end(f *blockInFlight) {
	s.h.Sum(f.id[:0])
	f.stored = s.hashed
	if s.keep && s.whole == nil {
		_, _ = s.h.Write(f.data[s.hashed:])
		s.whole, s.h = s.h, sha256.New()
	} else {
		s.h.Reset()
	}
	s.hashed = 0
}

// payload writes the SHA-256 of the whole payload to dst, if it was to be kept.
func (s *blockHasher) payload(dst *[sha256.Size]byte) {
	if s.whole != nil {
		s.whole.Sum(dst[:0])
	}
}
