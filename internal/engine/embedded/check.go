package embedded

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/engine/embedded/blobs"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/engine/embedded/metadata"
	"pithos/internal/engine/embedded/segment"
	"pithos/internal/errs"
)

// Check reads a whole data directory that nobody has open, all bytes of it, and reports what breaks an invariant. It changes nothing. fsys nil is
// the operating system's.
//
// The error is about reading: Busy (a process has the directory open), NotFound, Unsupported, Corrupt when not even the database can be
// opened, Internal, Canceled.
func Check(ctx context.Context, dir string, fsys vfs.FS, report fsck.Report) (err error) {
	const op = "embedded.Check"
	if fsys == nil {
		fsys = vfs.Default
	}
	if err := checkFormat(fsys, dir, false); err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	lock, err := lockDir(fsys, dir)
	if err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	closers := []func() error{lock.Close}
	defer func() {
		for i := range closers {
			err = errors.Join(err, closers[len(closers)-1-i]())
		}
		if err != nil {
			err = errs.Wrap(op, errs.Internal, err)
		}
	}()
	segs, err := segment.Open(fsys, fsys.PathJoin(dir, packsName), 1, segment.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	closers = append(closers, segs.Close)
	failed := func(err error) { report(fsck.Finding{Thing: errs.Store, Name: dir, Detail: err.Error()}) }
	meta := fsys.PathJoin(dir, metaName)
	if desc, err := pebble.Peek(meta, fsys); errors.Is(err, fs.ErrNotExist) || err == nil && !desc.Exists {
		if len(segs.Packs()) > 0 {
			failed(errors.New("there are packs, but no database"))
		}
		return nil // without packs a crash came before the directory was ever used
	}
	options := pebbleOptions(fsys, 0, slog.New(slog.DiscardHandler), failed)
	options.ReadOnly = true
	db, err := pebble.Open(meta, options)
	if err != nil {
		return errs.Wrap(op, errs.Corrupt, err)
	}
	closers = append(closers, db.Close)
	if err := blobs.Check(ctx, db, segs, report); err != nil {
		return err
	}
	if err := metadata.Check(ctx, db, report); err != nil {
		return err
	}
	cross := crossChecker{db: db, view: blobs.View{DB: db, Segs: segs}, report: report}
	return cross.run(ctx)
}
