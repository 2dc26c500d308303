package backend

import (
	"context"
	"io"
	"sync"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
)

// Where blocks lie a way off, a body that is read piece by piece waits for an answer before each of them. So the pieces behind the one that is being sent are
// asked for meanwhile, as many as Options.ReadAhead and the memory for it allow; without any left a body goes on with one piece at a time.

// aheadShare is the part of Options.BufferBytes that pieces read ahead may take, over all bodies: one in so many bytes.
const aheadShare = 2

// fetch is a piece under way.
type fetch struct {
	buf  *[pieceSize]byte
	n    int
	lent bool // it has a seat of Backend.ahead
	done chan struct{}
	err  error // valid after done
}

// fetcher reads the pieces of a map in their order, several at once.
type fetcher struct {
	b     *Backend
	walk  *mapWalk
	name  naming.ObjectName
	ref   block.Ref
	at    int64 // where the next piece begins in ref
	left  int64 // of the body, not yet asked for
	queue []*fetch
}

// copyAhead is copyMap for a map that was sought: it writes n bytes from skip on in the block that comes next.
func (b *Backend) copyAhead(ctx context.Context, w io.Writer, name naming.ObjectName, walk *mapWalk, skip, n int64) error {
	var flying sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	f := &fetcher{b: b, walk: walk, name: name, at: skip, left: n}
	defer func() { // no buffer goes back while somebody reads into it
		cancel()
		flying.Wait()
		for _, p := range f.queue {
			f.giveBack(p)
		}
	}()
	for {
		if len(f.queue) > 0 {
			f.unseat(f.queue[0]) // whose turn it is needs none
		}
		for f.left > 0 && len(f.queue) < b.opts.ReadAhead && (len(f.queue) == 0 || b.ahead.TryAcquire(1)) {
			f.ask(ctx, &flying, len(f.queue) > 0)
		}
		if len(f.queue) == 0 {
			return nil
		}
		p := f.queue[0]
		<-p.done // the read ends with ctx
		if p.err != nil {
			return p.err
		}
		if _, err := w.Write(p.buf[:p.n]); err != nil {
			return writeFailed(err)
		}
		f.queue = f.queue[1:]
		f.giveBack(p)
	}
}

// ask begins to read the next piece. What keeps it from that is told in the piece's turn.
func (f *fetcher) ask(ctx context.Context, flying *sync.WaitGroup, lent bool) {
	p := &fetch{buf: f.b.pieces.get(), lent: lent, done: make(chan struct{})}
	f.queue = append(f.queue, p)
	for f.ref.Len <= f.at {
		ref, ok, err := f.walk.next(ctx)
		if err == nil && !ok {
			err = errs.E("", errs.Corrupt, errs.Version, string(f.name)) // the map ends before the object does
		}
		if err != nil {
			p.err, f.left = err, 0
			close(p.done)
			return
		}
		f.at -= f.ref.Len
		f.ref = ref
	}
	p.n = int(min(pieceSize-f.at%pieceSize, f.ref.Len-f.at, f.left))
	id, off := f.ref.ID, f.at
	f.at += int64(p.n)
	f.left -= int64(p.n)
	flying.Go(func() {
		defer close(p.done)
		p.err = f.b.readBlock(ctx, id, off, p.buf[:p.n])
	})
}

func (f *fetcher) giveBack(p *fetch) {
	f.b.pieces.put(p.buf)
	f.unseat(p)
}

func (f *fetcher) unseat(p *fetch) {
	if p.lent {
		p.lent = false
		f.b.ahead.Release(1)
	}
}
