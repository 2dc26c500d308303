package metadata

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// Seal implements meta.Containers.
func (s *Store) Seal(ctx context.Context, id naming.ContainerID) error {
	return s.setSeal(ctx, "metadata.Seal", id, true)
}

// Unseal implements meta.Containers.
func (s *Store) Unseal(ctx context.Context, id naming.ContainerID) error {
	return s.setSeal(ctx, "metadata.Unseal", id, false)
}

// sealDropped is the value of the seal of a dropped container, which stays for good. Another seal has none.
const sealDropped = "dropped"

// setSeal waits for those who are inside the gate, who saw the old state, so none of them takes effect after it returns.
func (s *Store) setSeal(ctx context.Context, op string, id naming.ContainerID, sealed bool) error {
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	box, err := s.container(id)
	if err != nil {
		return err
	}
	err = func() error {
		box.gate.Lock()
		defer box.gate.Unlock()
		if box.dropped {
			return nil
		}
		b := s.db.NewBatch()
		if sealed {
			_ = b.Set(appendContainer(nil, spaceSeal, id), nil, nil)
		} else {
			_ = b.Delete(appendContainer(nil, spaceSeal, id), nil)
		}
		if err := s.log.WriteUnsynced(b); err != nil {
			return err
		}
		box.sealed = sealed
		return nil
	}()
	if err != nil {
		return err
	}
	return s.log.Sync()
}

// Empty implements meta.Containers.
func (s *Store) Empty(ctx context.Context, id naming.ContainerID, ignoreUploads bool) (bool, error) {
	if err := s.enter(ctx, "metadata.Empty"); err != nil {
		return false, err
	}
	defer s.gate.Leave()
	spaces := []byte{spaceLive, spaceMarker} // a name with a history has a head
	if !ignoreUploads {
		spaces = append(spaces, spaceUpload)
	}
	for _, space := range spaces {
		empty, err := s.emptySpace(space, id)
		if err != nil || !empty {
			return false, err
		}
	}
	return true, nil
}

func (s *Store) emptySpace(space byte, id naming.ContainerID) (bool, error) {
	prefix := appendContainer(nil, space, id)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: rowkey.After(prefix)})
	if err != nil {
		return false, wrap(err)
	}
	found := it.First()
	err = it.Error()
	if closed := it.Close(); err == nil {
		err = closed
	}
	return !found, wrap(err)
}

// Drop implements meta.Containers.
func (s *Store) Drop(ctx context.Context, id naming.ContainerID, account naming.AccountID) error {
	const op = "metadata.Drop"
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	box, err := s.container(id)
	if err != nil {
		return err
	}
	box.gate.RLock()
	sealed := box.sealed
	box.gate.RUnlock()
	if !sealed {
		return errs.E(op, errs.Conflict, errs.Container, id.String())
	}
	if empty, err := s.Empty(ctx, id, true); err != nil || !empty {
		if err == nil {
			err = errs.E(op, errs.NotEmpty, errs.Container, id.String())
		}
		return err
	}
	var open []meta.UploadKey
	err = s.Pending(ctx, id, "", "", func(u meta.Upload) bool {
		open = append(open, u.UploadKey)
		return true
	})
	if err != nil {
		return err
	}
	for _, k := range open {
		if err := s.Abort(ctx, k); err != nil && !errs.IsThing(err, errs.NotFound, errs.Upload) {
			return err
		}
	}
	if err := s.dropRows(box, id, account); err != nil {
		return err
	}
	return s.log.Sync()
}

// dropRows deletes the rows that belong to the container as a whole: completions and counters.
func (s *Store) dropRows(box *container, id naming.ContainerID, owner naming.AccountID) error {
	account, err := s.account(owner)
	if err != nil {
		return err
	}
	box.gate.Lock()
	defer box.gate.Unlock()
	if !box.sealed {
		return errs.E("metadata.Drop", errs.Conflict, errs.Container, id.String())
	}
	b := s.db.NewBatch()
	prefix := appendContainer(nil, spaceCompletion, id)
	_ = b.DeleteRange(prefix, rowkey.After(prefix), nil)
	// Every version and upload is gone, so what is left is zero, unless the counters were wrong.
	left := box.tally.get()
	box.count(b, owner, id, left.Neg())
	_ = b.Delete(appendContainer(nil, spaceContainer, id), nil)
	_ = b.Delete(appendContainer(nil, spaceOwner, id), nil)
	_ = b.Set(appendContainer(nil, spaceSeal, id), []byte(sealDropped), nil)
	if err := s.log.WriteUnsynced(b); err != nil {
		return err
	}
	box.dropped = true
	account.add(left.Neg())
	box.tally.add(left.Neg())
	box.owned.Store(false)
	return nil
}
