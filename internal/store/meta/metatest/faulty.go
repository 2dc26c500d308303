package metatest

import (
	"context"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Faulty is a double of a metastore whose calls fail as Faults decides. Of a scan, each Next is a call.
type Faulty struct {
	meta.Store
	Faults *errstest.Faults
}

// call makes a call that gives a value, by Faults.Write or Faults.Read.
func call[T any](op string, through func(string, func() error) error, do func() (T, error)) (T, error) {
	var got, none T
	err := through(op, func() (err error) {
		got, err = do()
		return err
	})
	if err != nil {
		return none, err
	}
	return got, nil
}

// Commit may fail before or after.
func (s Faulty) Commit(ctx context.Context, c meta.Change) (meta.Outcome, error) {
	return call("Commit", s.Faults.Write, func() (meta.Outcome, error) { return s.Store.Commit(ctx, c) })
}

// Get may fail.
func (s Faulty) Get(ctx context.Context, id naming.ContainerID, name naming.ObjectName, w meta.Which) (*object.Version, error) {
	return call("Get", s.Faults.Read, func() (*object.Version, error) { return s.Store.Get(ctx, id, name, w) })
}

// Scan gives a cursor that may fail.
func (s Faulty) Scan(ctx context.Context, id naming.ContainerID, v meta.View) meta.Cursor {
	return faultyCursor{s.Store.Scan(ctx, id, v), s.Faults}
}

type faultyCursor struct {
	meta.Cursor
	faults *errstest.Faults
}

func (c faultyCursor) Next(ctx context.Context) (*object.Summary, error) {
	return call("Next", c.faults.Read, func() (*object.Summary, error) { return c.Cursor.Next(ctx) })
}

// Begin may fail before or after.
func (s Faulty) Begin(ctx context.Context, u meta.Upload) error {
	return s.Faults.Write("Begin", func() error { return s.Store.Begin(ctx, u) })
}

// FindUpload may fail.
func (s Faulty) FindUpload(ctx context.Context, k meta.UploadKey) (meta.Upload, error) {
	return call("FindUpload", s.Faults.Read, func() (meta.Upload, error) { return s.Store.FindUpload(ctx, k) })
}

// PutPart may fail before or after.
func (s Faulty) PutPart(ctx context.Context, k meta.UploadKey, p meta.Part, l meta.Limits) error {
	return s.Faults.Write("PutPart", func() error { return s.Store.PutPart(ctx, k, p, l) })
}

// Parts may fail.
func (s Faulty) Parts(ctx context.Context, k meta.UploadKey, after int, fn func(meta.Part) bool) error {
	return s.Faults.Read("Parts", func() error { return s.Store.Parts(ctx, k, after, fn) })
}

// Pending may fail.
func (s Faulty) Pending(ctx context.Context, id naming.ContainerID, name naming.ObjectName, after string, fn func(meta.Upload) bool) error {
	return s.Faults.Read("Pending", func() error { return s.Store.Pending(ctx, id, name, after, fn) })
}

// Abort may fail before or after.
func (s Faulty) Abort(ctx context.Context, k meta.UploadKey) error {
	return s.Faults.Write("Abort", func() error { return s.Store.Abort(ctx, k) })
}

// Completed may fail.
func (s Faulty) Completed(ctx context.Context, k meta.UploadKey) (meta.Completion, error) {
	return call("Completed", s.Faults.Read, func() (meta.Completion, error) { return s.Store.Completed(ctx, k) })
}

// Intend may fail before or after.
func (s Faulty) Intend(ctx context.Context, h block.Holder, in meta.Intent) error {
	return s.Faults.Write("Intend", func() error { return s.Store.Intend(ctx, h, in) })
}

// Extend may fail before or after.
func (s Faulty) Extend(ctx context.Context, h block.Holder, expires time.Time) error {
	return s.Faults.Write("Extend", func() error { return s.Store.Extend(ctx, h, expires) })
}

// Abandon may fail before or after.
func (s Faulty) Abandon(ctx context.Context, h block.Holder) error {
	return s.Faults.Write("Abandon", func() error { return s.Store.Abandon(ctx, h) })
}

// Reap may fail before or after.
func (s Faulty) Reap(ctx context.Context, now time.Time, limit int) (int, error) {
	return call("Reap", s.Faults.Write, func() (int, error) { return s.Store.Reap(ctx, now, limit) })
}

// Dead may fail.
func (s Faulty) Dead(ctx context.Context, until time.Time, limit int) ([]block.Holder, error) {
	return call("Dead", s.Faults.Read, func() ([]block.Holder, error) { return s.Store.Dead(ctx, until, limit) })
}

// Forget may fail before or after.
func (s Faulty) Forget(ctx context.Context, holders []block.Holder) error {
	return s.Faults.Write("Forget", func() error { return s.Store.Forget(ctx, holders) })
}

// Alive may fail.
func (s Faulty) Alive(ctx context.Context, holders []block.Holder) ([]bool, error) {
	return call("Alive", s.Faults.Read, func() ([]bool, error) { return s.Store.Alive(ctx, holders) })
}

// AccountUsage may fail.
func (s Faulty) AccountUsage(ctx context.Context, account naming.AccountID) (meta.Usage, error) {
	return call("AccountUsage", s.Faults.Read, func() (meta.Usage, error) { return s.Store.AccountUsage(ctx, account) })
}

// ContainerUsage may fail.
func (s Faulty) ContainerUsage(ctx context.Context, id naming.ContainerID) (meta.Usage, error) {
	return call("ContainerUsage", s.Faults.Read, func() (meta.Usage, error) { return s.Store.ContainerUsage(ctx, id) })
}

// Seal may fail before or after.
func (s Faulty) Seal(ctx context.Context, id naming.ContainerID) error {
	return s.Faults.Write("Seal", func() error { return s.Store.Seal(ctx, id) })
}

// Unseal may fail before or after.
func (s Faulty) Unseal(ctx context.Context, id naming.ContainerID) error {
	return s.Faults.Write("Unseal", func() error { return s.Store.Unseal(ctx, id) })
}

// Empty may fail.
func (s Faulty) Empty(ctx context.Context, id naming.ContainerID, ignoreUploads bool) (bool, error) {
	return call("Empty", s.Faults.Read, func() (bool, error) { return s.Store.Empty(ctx, id, ignoreUploads) })
}

// Drop may fail before or after.
func (s Faulty) Drop(ctx context.Context, id naming.ContainerID, account naming.AccountID) error {
	return s.Faults.Write("Drop", func() error { return s.Store.Drop(ctx, id, account) })
}

// Changes may fail.
func (s Faulty) Changes(
	ctx context.Context, id naming.ContainerID, after object.VersionID, name naming.ObjectName, fn func(meta.Changed) bool,
) error {
	return s.Faults.Read("Changes", func() error { return s.Store.Changes(ctx, id, after, name, fn) })
}

// Due may fail.
func (s Faulty) Due(ctx context.Context, until time.Time, limit int, fn func(meta.DueVersion) bool) error {
	return s.Faults.Read("Due", func() error { return s.Store.Due(ctx, until, limit, fn) })
}
