package metadata

import (
	"bytes"
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// rangeDeleteParts is from how many parts on they are deleted as a range: a range costs every later reader of its neighbourhood a little,
// a single deletion costs a row.
const rangeDeleteParts = 64

// openUpload is an open upload as it is stored.
type openUpload struct {
	meta.Upload
	raw []byte
}

// readUpload finds an open upload. NotFound/Upload.
func (s *Store) readUpload(k meta.UploadKey) (*openUpload, error) {
	raw, err := get(s.db, uploadKey(nil, spaceUpload, k))
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, errs.E("metadata.FindUpload", errs.NotFound, errs.Upload, k.ID)
	}
	u, err := meta.ParseUpload(k, raw)
	return &openUpload{u, raw}, err
}

// Begin implements meta.Uploads.
func (s *Store) Begin(ctx context.Context, u meta.Upload) error {
	return s.change(ctx, "metadata.Begin", u.UploadKey, func(box *container, b *pebble.Batch) (*pending, error) {
		if box.sealed {
			return nil, errs.E("metadata.Begin", errs.NotFound, errs.Container, u.Container.String())
		}
		if err := s.opts.Admit(0); err != nil {
			return nil, err
		}
		return nil, b.Set(uploadKey(nil, spaceUpload, u.UploadKey), meta.AppendUpload(nil, &u), nil)
	})
}

// FindUpload implements meta.Uploads.
func (s *Store) FindUpload(ctx context.Context, k meta.UploadKey) (meta.Upload, error) {
	if err := s.enter(ctx, "metadata.FindUpload"); err != nil {
		return meta.Upload{}, err
	}
	defer s.gate.Leave()
	u, err := s.readUpload(k)
	if settled := s.settle(ctx, s.stripe(k.Container, k.Name)); settled != nil {
		return meta.Upload{}, settled
	}
	if err != nil {
		return meta.Upload{}, err
	}
	return u.Upload, nil
}

// PutPart implements meta.Uploads.
func (s *Store) PutPart(ctx context.Context, k meta.UploadKey, p meta.Part, limits meta.Limits) error {
	return s.change(ctx, "metadata.PutPart", k, func(box *container, b *pebble.Batch) (*pending, error) {
		if box.sealed {
			return nil, errs.E("metadata.PutPart", errs.NotFound, errs.Container, k.Container.String())
		}
		if err := s.opts.Admit(0); err != nil {
			return nil, err
		}
		u, err := s.readUpload(k)
		if err != nil {
			return nil, err
		}
		key := partKey(nil, k, p.Number)
		raw, err := get(s.db, key)
		if err != nil {
			return nil, err
		}
		next := &pending{account: u.Account, limits: limits}
		if raw != nil {
			old, err := meta.ParsePart(raw)
			if err != nil {
				return nil, err
			}
			next.dropPart(old)
		}
		next.delta = next.delta.Add(meta.Usage{UploadParts: 1, UploadBytes: p.Size})
		next.namings.gain(p.Content.Holder)
		return next, b.Set(key, meta.AppendPart(nil, &p), nil)
	})
}

// Abort implements meta.Uploads.
func (s *Store) Abort(ctx context.Context, k meta.UploadKey) error {
	return s.change(ctx, "metadata.Abort", k, func(_ *container, b *pebble.Batch) (*pending, error) {
		return s.dropUpload(k, b)
	})
}

// pending is what a change of an upload does besides its own rows.
type pending struct {
	account naming.AccountID
	limits  meta.Limits
	delta   meta.Usage
	namings namings
}

// dropPart takes away what a part counts and names.
func (p *pending) dropPart(old meta.Part) {
	p.delta = p.delta.Add(meta.Usage{UploadParts: -1, UploadBytes: -old.Size})
	p.namings.lose(old.Content.Holder, false)
}

// change applies one change of an upload under the lock of its name. make writes into the batch.
func (s *Store) change(ctx context.Context, op string, k meta.UploadKey, make func(*container, *pebble.Batch) (*pending, error)) error {
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	box, err := s.container(k.Container)
	if err != nil {
		return err
	}
	stripe := s.stripe(k.Container, k.Name)
	t := &tx{s: s, batch: s.db.NewBatch()}
	err = func() error {
		box.gate.RLock()
		defer box.gate.RUnlock()
		defer s.lockNames(stripe, -1)()
		next, err := make(box, t.batch)
		if err != nil {
			_ = t.batch.Close()
			return err
		}
		if next == nil {
			return t.apply(stripe, nil, box)
		}
		t.change.Account, t.change.Container, t.change.Limits = next.account, k.Container, next.limits
		t.delta, t.namings = next.delta, next.namings
		account, err := s.account(next.account)
		if err != nil {
			_ = t.batch.Close()
			return err
		}
		return t.apply(stripe, account, box)
	}()
	if err != nil {
		if err := s.settle(ctx, stripe); err != nil {
			return err
		}
		return errs.Wrap(op, errs.Internal, err)
	}
	return t.flight.Land()
}

// dropUpload deletes an open upload and its parts in the batch.
func (s *Store) dropUpload(k meta.UploadKey, b *pebble.Batch) (*pending, error) {
	u, err := s.readUpload(k)
	if err != nil {
		return nil, err
	}
	next := &pending{account: u.Account}
	prefix := partPrefix(nil, k)
	end := rowkey.After(prefix)
	var keys [][]byte
	parts := 0
	err = s.eachPart(prefix, end, func(key []byte, p meta.Part) bool {
		next.dropPart(p)
		if parts++; parts <= rangeDeleteParts {
			keys = append(keys, bytes.Clone(key))
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if parts > rangeDeleteParts {
		_ = b.DeleteRange(prefix, end, nil)
	} else {
		for _, key := range keys {
			_ = b.Delete(key, nil)
		}
	}
	return next, b.Delete(uploadKey(nil, spaceUpload, k), nil)
}

// finish makes the upload vanish in the batch of the commit that finishes it, and remembers what it became.
func (t *tx) finish(u *openUpload, v *object.Version) error {
	next, err := t.s.dropUpload(u.UploadKey, t.batch)
	if err != nil {
		return err
	}
	t.delta = t.delta.Add(next.delta)
	t.namings.changes = append(t.namings.changes, next.namings.changes...)
	if v == nil {
		return nil
	}
	done := meta.Completion{Version: v.ID, At: t.change.Now, Summary: v.Summary, Parts: v.Parts}
	_ = t.batch.Set(uploadKey(nil, spaceCompletion, u.UploadKey), meta.AppendCompletion(nil, &done), nil)
	return t.batch.Set(completedKey(nil, t.change.Now, u.UploadKey), nil, nil)
}

// eachPart calls fn for the parts in a range of keys, in order, until it returns false. fn must not keep key.
func (s *Store) eachPart(from, to []byte, fn func(key []byte, p meta.Part) bool) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		raw, err := it.ValueAndErr()
		if err != nil {
			return wrap(err)
		}
		p, err := meta.ParsePart(raw)
		if err != nil {
			return err
		}
		if !fn(it.Key(), p) {
			return nil
		}
	}
	return wrap(it.Error())
}

// Parts implements meta.Uploads.
func (s *Store) Parts(ctx context.Context, k meta.UploadKey, number int, fn func(meta.Part) bool) error {
	if _, err := s.FindUpload(ctx, k); err != nil {
		return err
	}
	if err := s.enter(ctx, "metadata.Parts"); err != nil {
		return err
	}
	defer s.gate.Leave()
	return s.eachPart(partKey(nil, k, max(number+1, 0)), rowkey.After(partPrefix(nil, k)), func(_ []byte, p meta.Part) bool { return fn(p) })
}

// Pending implements meta.Uploads.
func (s *Store) Pending(ctx context.Context, c naming.ContainerID, name naming.ObjectName, id string, fn func(meta.Upload) bool) error {
	if err := s.enter(ctx, "metadata.Pending"); err != nil {
		return err
	}
	defer s.gate.Leave()
	prefix := appendContainer(nil, spaceUpload, c)
	from := prefix
	if name != "" || id != "" {
		from = append(uploadKey(nil, spaceUpload, meta.UploadKey{Container: c, Name: name, ID: id}), 0)
		if id == "" {
			from = from[:len(from)-1]
		}
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: rowkey.After(prefix)})
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return errs.Wrap("metadata.Pending", errs.Canceled, err)
		}
		k, ok := cutUploadKey(it.Key()[1:])
		if !ok {
			return errs.E("metadata.Pending", errs.Corrupt, errs.Upload, "")
		}
		raw, err := it.ValueAndErr()
		if err != nil {
			return wrap(err)
		}
		u, err := meta.ParseUpload(k, raw)
		if err != nil {
			return err
		}
		if !fn(u) {
			return nil
		}
	}
	return wrap(it.Error())
}

// Completed implements meta.Uploads.
func (s *Store) Completed(ctx context.Context, k meta.UploadKey) (meta.Completion, error) {
	if err := s.enter(ctx, "metadata.Completed"); err != nil {
		return meta.Completion{}, err
	}
	defer s.gate.Leave()
	raw, err := get(s.db, uploadKey(nil, spaceCompletion, k))
	if err != nil {
		return meta.Completion{}, err
	}
	if err := s.settle(ctx, s.stripe(k.Container, k.Name)); err != nil {
		return meta.Completion{}, err
	}
	if raw == nil {
		return meta.Completion{}, errs.E("metadata.Completed", errs.NotFound, errs.Upload, k.ID)
	}
	return meta.ParseCompletion(k.Name, raw)
}

// forgetCompletions forgets at most limit completions from before a time. It is not synced: they may be forgotten later as well.
func (s *Store) forgetCompletions(before time.Time, limit int) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceCompleted}, UpperBound: appendTime([]byte{spaceCompleted}, before)})
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = it.Close() }()
	b := s.db.NewBatch()
	n := 0
	for ok := it.First(); ok && n < limit; ok = it.Next() {
		n++
		_ = b.Delete(it.Key(), nil)
		_ = b.Delete(append([]byte{spaceCompletion}, it.Key()[1+idLen:]...), nil)
	}
	if err := it.Error(); err != nil {
		_ = b.Close()
		return wrap(err)
	}
	return s.log.WriteUnsynced(b)
}
