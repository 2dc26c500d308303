package backend_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/object"
	"pithos/internal/seal"
	"pithos/internal/store/blob"
)

// distant is a blobstore whose answers take a second, and which cannot give one block.
type distant struct {
	blob.Store
	lost block.ID

	mu           sync.Mutex
	flying, most int
}

var errLost = errors.New("lost")

func (d *distant) Read(ctx context.Context, id block.ID, off int64, dst []byte) (int, error) {
	d.mu.Lock()
	d.flying++
	d.most = max(d.most, d.flying)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.flying--
		d.mu.Unlock()
	}()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if id == d.lost {
		return 0, errLost
	}
	return d.Store.Read(ctx, id, off, dst)
}

// TestPiecesAreReadAhead reads bodies out of a distant store: what comes is in its order, also from the midst and through small blocks; as many pieces are under way as there may be, fewer where
// there is no memory; and after an error or when the client has gone nothing is under way any more.
func TestPiecesAreReadAhead(t *testing.T) {
	const piece = 256 << 10
	for name, c := range map[string]struct {
		ahead        int
		memory, size int64
		off, n       int64
		most         int
		within       time.Duration
	}{
		"one at a time":       {ahead: 0, memory: 64 << 20, size: 6 * piece, n: 6 * piece, most: 1, within: 24 * time.Second},
		"four":                {ahead: 4, memory: 64 << 20, size: 6 * piece, n: 6 * piece, most: 4, within: 6 * time.Second},
		"in the midst":        {ahead: 4, memory: 64 << 20, size: 6 * piece, off: 100_000, n: 3*piece + 17, most: 4, within: 4 * time.Second},
		"no memory but one's": {ahead: 4, memory: 1 << 20, size: 6 * piece, n: 6 * piece, most: 3, within: 8 * time.Second},
		"a small body":        {ahead: 4, memory: 64 << 20, size: piece, n: piece, most: 1, within: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d *distant
				w := newWorld(t, func(s *backend.Stores, o *backend.Options) {
					d = &distant{Store: s.Blobs}
					s.Blobs, o.ReadAhead, o.BufferBytes = d, c.ahead, c.memory // blocks are of a quarter of a piece
				})
				data := random(7, int(c.size))
				w.put("x", data)
				o, err := w.Open(t.Context(), w.alice, target("x"), object.Precondition{}, access.GetObject)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				var got bytes.Buffer
				if err := o.CopyTo(t.Context(), &got, c.off, c.n); err != nil || !bytes.Equal(got.Bytes(), data[c.off:c.off+c.n]) {
					t.Fatalf("%d bytes, %v", got.Len(), err)
				}
				if took := time.Since(start); d.most != c.most || took > c.within {
					t.Errorf("%d at once, %v", d.most, took)
				}

				d.lost = block.Sum(data[2*blockSize : 3*blockSize])
				got.Reset()
				if err := o.CopyTo(t.Context(), &got, 0, c.size); !errors.Is(err, errLost) || !bytes.Equal(got.Bytes(), data[:2*blockSize]) && c.ahead > 1 && c.size > piece {
					t.Errorf("with a lost block: %d bytes, %v", got.Len(), err)
				}
				if err := o.CopyTo(t.Context(), hungUp{}, 0, c.size); !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, errLost) || d.flying != 0 {
					t.Errorf("to a client that has gone: %v, %d under way", err, d.flying)
				}
			})
		})
	}
}

// hungUp is a client that has gone.
type hungUp struct{}

func (hungUp) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestEncryptedPiecesAreReadAhead reads an encrypted body out of a distant store: the bytes are right, and the pieces behind the one that is decrypted are under way.
func TestEncryptedPiecesAreReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSealedWorld(t)
		data := random(3, 6<<18)
		s.putSealed("o", "service", data)
		d := &distant{Store: s.stores.Blobs}
		stores := s.stores
		stores.Blobs = d
		s.Backend = backend.New(stores, backend.Options{
			Clock: s.clock, BlockSize: blockSize, ReadAhead: 4, Keeper: seal.NewKeeper(seal.Options{Ring: s.ring, Clock: s.clock}),
		})
		start := time.Now()
		got, err := s.readSealed(target("o"), "", 0, -1)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if took := time.Since(start); d.most != 4 || took > 8*time.Second { // 25 blocks
			t.Errorf("%d at once, %v", d.most, took)
		}
	})
}
