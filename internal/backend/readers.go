package backend

import (
	"context"
	"sync"

	"pithos/internal/block"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// readers knows which holders are being read in this process, so that whoever began to read a version can read it to its end after
// it was deleted (I2): the collector leaves such holders alone (Unread).
type readers struct {
	// barrier is held for reading from before a version is looked up until its holder is entered in open. The collector takes
	// it for writing, for a moment, after it has seen that a holder is dead: whoever found the version before that is in open then,
	// and nobody finds it later.
	barrier sync.RWMutex

	mu   sync.Mutex
	open map[block.Holder]int // number of readers
}

func (b *Backend) lookUpForReading(ctx context.Context, container naming.ContainerID, name naming.ObjectName, which meta.Which) (*object.Version, error) {
	b.readers.barrier.RLock()
	defer b.readers.barrier.RUnlock()
	v, err := b.stores.Meta.Get(ctx, container, name, which)
	if err == nil && !v.Content.Holder.IsZero() && ctx.Done() != nil {
		b.readers.enter(ctx, v.Content.Holder)
	}
	return v, err
}

func (r *readers) enter(ctx context.Context, h block.Holder) {
	r.mu.Lock()
	r.open[h]++
	r.mu.Unlock()
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.open[h]--; r.open[h] == 0 {
			delete(r.open, h)
		}
	})
}

// Unread gives those of the dead holders that nobody in this process reads any more: their blocks may be let go. The
// caller must have learned that they are dead before the call.
func (b *Backend) Unread(dead []block.Holder) []block.Holder {
	b.readers.barrier.Lock()
	b.readers.barrier.Unlock() //nolint:staticcheck // passing through is the point: whoever was inside has entered its holder now
	b.readers.mu.Lock()
	defer b.readers.mu.Unlock()
	unread := make([]block.Holder, 0, len(dead))
	for _, h := range dead {
		if b.readers.open[h] == 0 {
			unread = append(unread, h)
		}
	}
	return unread
}
