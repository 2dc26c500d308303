package regions

import (
	"context"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Commit applies a change in the container's region, with what the account's limit leaves beside the others.
func (s *Store) Commit(ctx context.Context, c meta.Change) (meta.Outcome, error) {
	r, err := s.regionOf(c.Container)
	if err != nil {
		return meta.Outcome{}, err
	}
	store, err := r.at()
	if err != nil {
		return meta.Outcome{}, err
	}
	if c.Op != meta.Put { // nothing else grows
		return store.Commit(ctx, c)
	}
	if c.Limits.Account, err = s.beside(ctx, r, c.Account, c.Limits.Account); err != nil {
		return meta.Outcome{}, err
	}
	return store.Commit(ctx, c)
}

// Get finds a version; see meta.Versions.
func (s *Store) Get(ctx context.Context, id naming.ContainerID, name naming.ObjectName, which meta.Which) (*object.Version, error) {
	store, err := s.of(id)
	if err != nil {
		return nil, err
	}
	return store.Get(ctx, id, name, which)
}

// Scan walks a container; see meta.Versions.
func (s *Store) Scan(ctx context.Context, id naming.ContainerID, view meta.View) meta.Cursor {
	store, err := s.of(id)
	if err != nil {
		return unreached{err}
	}
	return store.Scan(ctx, id, view)
}

// unreached is the walk over a container whose region cannot be asked.
type unreached struct{ err error }

var _ meta.Backward = unreached{}

// Seek does nothing.
func (unreached) Seek(meta.Position) {}

// Next tells why there is nothing.
func (u unreached) Next(context.Context) (*object.Summary, error) { return nil, u.err }

// Before tells why there is nothing.
func (u unreached) Before(context.Context, meta.Position) (*object.Summary, error) {
	return nil, u.err
}

// Close does nothing.
func (unreached) Close() {}

// Begin opens an upload; see meta.Uploads.
func (s *Store) Begin(ctx context.Context, u meta.Upload) error {
	store, err := s.of(u.Container)
	if err != nil {
		return err
	}
	return store.Begin(ctx, u)
}

// FindUpload finds an open upload; see meta.Uploads.
func (s *Store) FindUpload(ctx context.Context, k meta.UploadKey) (meta.Upload, error) {
	store, err := s.of(k.Container)
	if err != nil {
		return meta.Upload{}, err
	}
	return store.FindUpload(ctx, k)
}

// PutPart stores a part, with what the account's limit leaves beside the other regions.
func (s *Store) PutPart(ctx context.Context, k meta.UploadKey, p meta.Part, limits meta.Limits) error {
	r, err := s.regionOf(k.Container)
	if err != nil {
		return err
	}
	store, err := r.at()
	if err != nil {
		return err
	}
	if limits.Account != (meta.Limit{}) && len(s.list) > 1 {
		u, err := store.FindUpload(ctx, k) // it knows whose the container is
		if err == nil {
			limits.Account, err = s.beside(ctx, r, u.Account, limits.Account)
		}
		if err != nil && !errs.Is(err, errs.NotFound) { // PutPart tells better what is not there
			return err
		}
	}
	return store.PutPart(ctx, k, p, limits)
}

// Parts lists the parts of an upload; see meta.Uploads.
func (s *Store) Parts(ctx context.Context, k meta.UploadKey, after int, fn func(meta.Part) bool) error {
	store, err := s.of(k.Container)
	if err != nil {
		return err
	}
	return store.Parts(ctx, k, after, fn)
}

// Pending lists the open uploads of a container; see meta.Uploads.
func (s *Store) Pending(ctx context.Context, id naming.ContainerID, name naming.ObjectName, after string, fn func(meta.Upload) bool) error {
	store, err := s.of(id)
	if err != nil {
		return err
	}
	return store.Pending(ctx, id, name, after, fn)
}

// Abort forgets an upload; see meta.Uploads.
func (s *Store) Abort(ctx context.Context, k meta.UploadKey) error {
	store, err := s.of(k.Container)
	if err != nil {
		return err
	}
	return store.Abort(ctx, k)
}

// Completed tells what a finished upload became; see meta.Uploads.
func (s *Store) Completed(ctx context.Context, k meta.UploadKey) (meta.Completion, error) {
	store, err := s.of(k.Container)
	if err != nil {
		return meta.Completion{}, err
	}
	return store.Completed(ctx, k)
}

// Seal refuses later writes to a container; see meta.Containers.
func (s *Store) Seal(ctx context.Context, id naming.ContainerID) error {
	store, err := s.of(id)
	if err != nil {
		return err
	}
	return store.Seal(ctx, id)
}

// Unseal opens a container again; see meta.Containers.
func (s *Store) Unseal(ctx context.Context, id naming.ContainerID) error {
	store, err := s.of(id)
	if err != nil {
		return err
	}
	return store.Unseal(ctx, id)
}

// Empty reports whether a container holds nothing; see meta.Containers.
func (s *Store) Empty(ctx context.Context, id naming.ContainerID, ignoreUploads bool) (bool, error) {
	store, err := s.of(id)
	if err != nil {
		return false, err
	}
	return store.Empty(ctx, id, ignoreUploads)
}

// Drop forgets what is left of a sealed container; see meta.Containers.
func (s *Store) Drop(ctx context.Context, id naming.ContainerID, account naming.AccountID) error {
	store, err := s.of(id)
	if err != nil {
		return err
	}
	return store.Drop(ctx, id, account)
}

// ContainerUsage counts a container; see meta.Tally.
func (s *Store) ContainerUsage(ctx context.Context, id naming.ContainerID) (meta.Usage, error) {
	store, err := s.of(id)
	if err != nil {
		return meta.Usage{}, err
	}
	return store.ContainerUsage(ctx, id)
}

// Changes lists the versions of a container by time; see meta.Indexes.
func (s *Store) Changes(ctx context.Context, id naming.ContainerID, after object.VersionID, name naming.ObjectName, fn func(meta.Changed) bool) error {
	store, err := s.of(id)
	if err != nil {
		return err
	}
	return store.Changes(ctx, id, after, name, fn)
}
