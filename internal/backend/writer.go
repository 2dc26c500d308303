package backend

import (
	"context"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// cleanupMax bounds work that goes on after a request has failed or its client has left.
const cleanupMax = 30 * time.Second

// cleanup is a context for such work: ctx without its cancellation.
func cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupMax)
}

// writer collects the blocks of one new version or part under a fresh holder. It is used by one goroutine at a time.
//
// Order: the intent before the first reference, references before the commit. A writer that does not end in a commit ends in
// giveUp; what it held is released by the collector, in the one place that does so.
type writer struct {
	b         *Backend
	account   naming.AccountID
	container naming.ContainerID // in whose region the holder lives
	holder    block.Holder       // zero until something has to be held
	renew     time.Time          // when to extend the intent
	early     promise[intended]  // an intent that is being written, nil: none
	lease     bool               // the holder outlives the request and a restart, until its intent expires
	keep      int                // a body that is one block of at most so many bytes is kept with its version
}

// newWriter makes one for what is written into a container, held for an account.
func (b *Backend) newWriter(account naming.AccountID, id naming.ContainerID) *writer {
	return &writer{b: b, account: account, container: id}
}

// intend makes sure that the holder's intent stands and will for a while.
func (w *writer) intend(ctx context.Context) error {
	now := w.b.now()
	grace := w.b.opts.UploadGrace
	switch {
	case w.early != nil:
		return w.begun()
	case w.holder.IsZero():
		in, err := w.first(ctx)
		w.holder, w.renew = in.holder, in.renew
		return err
	case now.Before(w.renew):
		return nil
	default:
		if err := w.b.stores.Meta.Extend(ctx, w.holder, now.Add(grace)); err != nil {
			return lost(err)
		}
	}
	w.renew = now.Add(grace / 2)
	return nil
}

// intended is a holder whose intent stands until half of its grace is over, and longer.
type intended struct {
	holder block.Holder
	renew  time.Time
}

// first writes the intent of a new holder.
func (w *writer) first(ctx context.Context) (intended, error) {
	now, grace := w.b.now(), w.b.opts.UploadGrace
	h := w.b.newHolder(w.container)
	err := w.b.stores.Meta.Intend(ctx, h, meta.Intent{Account: w.account, Expires: now.Add(grace), Lease: w.lease})
	if err != nil {
		return intended{}, err
	}
	return intended{h, now.Add(grace / 2)}, nil
}

// begun waits for the intent that is being written, if one is.
func (w *writer) begun() error {
	if w.early == nil {
		return nil
	}
	l := <-w.early
	w.early, w.holder, w.renew = nil, l.value.holder, l.value.renew
	return l.err
}

// foresee begins with the intent before there is a block, where the wait for it would be felt and a body of the size will need it.
func (w *writer) foresee(ctx context.Context, size int64) {
	if w.b.opts.Distant && size > int64(w.keep) {
		w.early = begin(func() (intended, error) { return w.first(ctx) })
	}
}

// lost says of a holder that was given up under a writer that the request may be tried again.
func lost(err error) error {
	if errs.IsThing(err, errs.Conflict, errs.Holder) {
		return errs.E("", errs.Busy, errs.Request, "").Because("", "the upload took too long; send it again").With(err)
	}
	return err
}

// put stores a block; data is stripped.
func (w *writer) put(ctx context.Context, id block.ID, data []byte) error {
	if id == block.Empty {
		return nil
	}
	if err := w.intend(ctx); err != nil {
		return err
	}
	return w.b.stores.Blobs.Put(ctx, blob.Hold{Holder: w.holder, Account: w.account}, id, data)
}

// hold takes references on blocks that somebody else holds. One that is missing all the same is damage.
func (w *writer) hold(ctx context.Context, ids []block.ID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := w.intend(ctx); err != nil {
		return err
	}
	missing, err := w.b.stores.Blobs.Hold(ctx, blob.Hold{Holder: w.holder, Account: w.account}, ids)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		w.b.opts.Log.ErrorContext(ctx, "held blocks are missing or damaged", "first", missing[0].String(), "count", len(missing))
		return errs.E("", errs.Corrupt, errs.Block, missing[0].String())
	}
	return nil
}

// sync brings what was put and held to stable storage.
func (w *writer) sync(ctx context.Context) error {
	if w.holder.IsZero() {
		return nil
	}
	return w.b.stores.Blobs.Sync(ctx)
}

// giveUp abandons the intent after a failure. The metastore keeps a holder that something names after all, so this is
// right even when the outcome of the commit is unknown. If it fails, the intent expires.
func (w *writer) giveUp(ctx context.Context) {
	_ = w.begun() // one that failed is as one that was never begun: what is left of it expires
	if w.holder.IsZero() {
		return
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	if err := w.b.stores.Meta.Abandon(ctx, w.holder); err != nil {
		w.b.opts.Log.WarnContext(ctx, "intent is left to expire", "holder", w.holder.String(), "error", err)
	}
}
