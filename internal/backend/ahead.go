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

// fetch is a piece that was read, or is under way.
type fetch struct {
	buf  *[pieceSize]byte
	n    int
	lent bool // it has a seat of Backend.ahead
	done chan struct{}
	err  error // valid after done
}

// fetcher reads the pieces of a map in their order, several at once where that is worth it. Pieces end at multiples of pieceSize in their block, so that no checked
// chunk of the store is read twice. close must be called.
type fetcher struct {
	b      *Backend
	ctx    context.Context //nolint:containedctx // it lives within one call, and io.Reader has no place for it
	cancel context.CancelFunc
	walk   *mapWalk
	name   naming.ObjectName
	ref    block.Ref
	at     int64 // where the next piece begins in ref
	left   int64 // of the body, not yet asked for
	queue  []*fetch
	now    *fetch // the piece that was given last
	have   []byte // what Read has not given of it yet
	flying sync.WaitGroup
}

// fetch begins to read bytes [off, off+n) of a map that belongs to an object.
func (b *Backend) fetch(ctx context.Context, name naming.ObjectName, walk *mapWalk, off, n int64) (*fetcher, error) {
	skip, err := walk.seek(ctx, off)
	if err != nil {
		return nil, err
	}
	f := &fetcher{b: b, walk: walk, name: name, at: skip, left: n}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f, nil
}

// next gives the next piece, which stays until the call after; io.EOF at the end.
func (f *fetcher) next() ([]byte, error) {
	f.giveBack(f.now)
	f.now = nil
	if err := f.ctx.Err(); err != nil {
		return nil, err
	}
	if len(f.queue) > 0 {
		f.unseat(f.queue[0]) // whose turn it is needs none
	}
	for f.left > 0 && len(f.queue) < max(1, f.b.opts.ReadAhead) && (len(f.queue) == 0 || f.b.ahead.TryAcquire(1)) {
		f.ask(len(f.queue) > 0)
	}
	if len(f.queue) == 0 {
		return nil, io.EOF
	}
	f.now, f.queue = f.queue[0], f.queue[1:]
	<-f.now.done // the read ends with ctx
	return f.now.buf[:f.now.n], f.now.err
}

// Read gives the bytes of the pieces one after the other.
func (f *fetcher) Read(p []byte) (int, error) {
	if len(f.have) == 0 {
		var err error
		if f.have, err = f.next(); err != nil {
			f.have = nil
			return 0, err
		}
	}
	n := copy(p, f.have)
	f.have = f.have[n:]
	return n, nil
}

// close ends what is under way. No buffer goes back while somebody reads into it.
func (f *fetcher) close() {
	f.cancel()
	f.flying.Wait()
	f.giveBack(f.now)
	for _, p := range f.queue {
		f.giveBack(p)
	}
}

// ask begins to read the next piece. What keeps it from that is told in the piece's turn.
func (f *fetcher) ask(lent bool) {
	p := &fetch{buf: f.b.pieces.get(), lent: lent, done: make(chan struct{})}
	f.queue = append(f.queue, p)
	for f.ref.Len <= f.at {
		ref, ok, err := f.walk.next(f.ctx)
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
	read := func() {
		defer close(p.done)
		p.err = f.walk.read(f.ctx, id, off, p.buf[:p.n])
	}
	if f.b.opts.ReadAhead > 1 && f.walk.kept == nil {
		f.flying.Go(read)
	} else {
		read()
	}
}

func (f *fetcher) giveBack(p *fetch) {
	if p != nil {
		f.b.pieces.put(p.buf)
		f.unseat(p)
	}
}

func (f *fetcher) unseat(p *fetch) {
	if p.lent {
		p.lent = false
		f.b.ahead.Release(1)
	}
}

// copyAhead is copyMap where pieces are read ahead.
func (b *Backend) copyAhead(ctx context.Context, w io.Writer, name naming.ObjectName, walk *mapWalk, off, n int64) error {
	f, err := b.fetch(ctx, name, walk, off, n)
	if err != nil {
		return err
	}
	defer f.close()
	for {
		piece, err := f.next()
		switch {
		case err == io.EOF: //nolint:errorlint // next's own, never wrapped
			return nil
		case err != nil:
			return err
		}
		if _, err := w.Write(piece); err != nil {
			return writeFailed(err)
		}
	}
}
