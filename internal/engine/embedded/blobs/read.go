package blobs

import (
	"context"
	"errors"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/segment"
	"pithos/internal/errs"
)

// readTries bounds how often a read looks a block up again because compaction moved it meanwhile.
const readTries = 8

// Read implements blob.Store.
func (s *Store) Read(ctx context.Context, id block.ID, off int64, dst []byte) (int, error) {
	const op = "blobs.Read"
	if err := s.gate.enter(ctx, op); err != nil {
		return 0, err
	}
	defer s.gate.Leave()
	if id == block.Empty {
		return 0, nil
	}
	if off < 0 {
		return 0, errs.E(op, errs.Invalid, errs.Block, id.String())
	}
	for range readTries {
		n, err := s.readOnce(id, off, dst)
		if errors.Is(err, segment.ErrGone) {
			continue
		}
		if err != nil {
			e := errs.Wrap(op, errs.Internal, err)
			e.Thing, e.Name = errs.Block, id.String()
			return 0, e
		}
		return n, nil
	}
	// Its row points to a pack that is not there.
	return 0, errs.E(op, errs.Corrupt, errs.Block, id.String()).With(segment.ErrGone)
}

func (s *Store) readOnce(id block.ID, off int64, dst []byte) (int, error) {
	if b, ok := s.pending.get(id); ok {
		return s.segs.ReadAt(b.place, off, dst)
	}
	if s.damaged.has(id) {
		return 0, errs.E("blobs.Read", errs.Corrupt, errs.Block, "")
	}
	r, release, ok, err := s.get(id)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, errs.E("blobs.Read", errs.NotFound, errs.Block, "")
	}
	n, err := s.readRow(r, off, dst)
	if cerr := release(); err == nil && cerr != nil {
		err = internal("blobs.Read", cerr)
	}
	return n, err
}

func (s *Store) readRow(r row, off int64, dst []byte) (int, error) {
	if r.kind == kindPacked {
		return s.segs.ReadAt(r.place, off, dst)
	}
	if segment.Checksum(r.data) != r.sum {
		return 0, errs.E("blobs.Read", errs.Corrupt, errs.Block, "")
	}
	if off >= int64(len(r.data)) {
		return 0, nil
	}
	return copy(dst, r.data[off:]), nil
}
