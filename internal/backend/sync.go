package backend

import (
	"context"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Documents of a container that takes part in Swift's container sync: where its changes go, and the key that it shares with the other container.
const (
	SyncToDocument  = "swift-sync-to"
	SyncKeyDocument = "swift-sync-key"
)

// traceLife is how long the trace of a deletion stays: what has not been sent by then is not. Swift keeps tombstones as long (reclaim_age).
const traceLife = 7 * 24 * time.Hour

// traced reports whether deletions in a container leave a trace. Where no versions are kept a deletion forgets the name, and the index of changes
// with it; a container that takes part in container sync has to tell of it, and must not take an older change for a new one.
func traced(c bucket.Container) bool {
	return c.Config.Versioning == bucket.VersioningOff && (len(c.Config.Documents[SyncToDocument]) > 0 || len(c.Config.Documents[SyncKeyDocument]) > 0)
}

// Trace reports whether a version is the trace of a deletion where no versions are kept: a null delete marker, which expires by itself. To clients it is nothing.
func Trace(s *object.Summary) bool {
	return s.Kind == object.DeleteMarker && NoteValue(s.Note, noteGone) != ""
}

// trace deletes an object and leaves a trace in its place. A deletion of what is not there leaves none, unless it is one from elsewhere.
func (b *Backend) trace(ctx context.Context, c Caller, container bucket.Container, ch meta.Change, stamp object.VersionID) (Deleted, error) {
	if stamp == 0 {
		v, err := b.stores.Meta.Get(ctx, container.ID, ch.Name, meta.Which{})
		if errs.Is(err, errs.NotFound) || err == nil && !v.Visible() {
			return Deleted{Nothing: true}, ch.If.CheckWrite(nil)
		}
		if err != nil {
			return Deleted{}, err
		}
	}
	ch.Op, ch.Target = meta.Put, meta.Which{}
	ch.Version = &object.Version{
		Summary: object.Summary{
			Kind: object.DeleteMarker, Owner: container.Account, Null: true, UUID: newUUID(), Note: withNote("", noteGone, "1"), Author: c.User, Stamp: stamp,
		},
		Expires: ch.Now.Add(traceLife),
	}
	out, err := b.stores.Meta.Commit(ctx, ch)
	if err != nil {
		return Deleted{}, err
	}
	d := Deleted{Nothing: true}
	for _, v := range out.Dropped {
		if v.Visible() {
			d = Deleted{Version: v.ID, Null: v.Null, Removed: v}
		}
	}
	return d, nil
}

// dropTraces removes what is left of a sealed container that shows nothing, if that is traces of deletions alone, and reports whether it was.
func (b *Backend) dropTraces(ctx context.Context, container bucket.Container) (bool, error) {
	if container.Config.Versioning != bucket.VersioningOff {
		return false, nil
	}
	shown := b.stores.Meta.Scan(ctx, container.ID, meta.View{})
	first, err := shown.Next(ctx)
	shown.Close()
	if err != nil || first != nil {
		return false, err
	}
	cur := b.stores.Meta.Scan(ctx, container.ID, meta.View{Kind: meta.ViewAll})
	defer cur.Close()
	for {
		e, err := cur.Next(ctx)
		if err != nil || e == nil {
			return err == nil, err
		}
		if !Trace(e) {
			return false, nil
		}
		_, err = b.stores.Meta.Commit(ctx, meta.Change{
			Container: container.ID, Account: container.Account, Name: e.Name, Now: b.now(), Op: meta.Remove, Target: meta.Which{By: meta.ByID, ID: e.ID},
		})
		if err != nil && !errs.Is(err, errs.NotFound) {
			return false, err
		}
	}
}

// Newest is the newest version of a name, traces and other delete markers included. It asks nobody's permission.
func (b *Backend) Newest(ctx context.Context, container bucket.Container, name naming.ObjectName) (*object.Version, error) {
	v, err := b.stores.Meta.Get(ctx, container.ID, name, meta.Which{})
	return v, fail("backend.Newest", err)
}

// hintSync begins the names of what the service notes of containers that are sent elsewhere; behind it is the container's id. See hints.go for where they stand.
const hintSync = "y/"

// SyncPoint is how far the changes of a container were sent, as SaveSyncPoint was told, and the id of that note. "" and 0 when nothing was noted.
func (b *Backend) SyncPoint(ctx context.Context, id naming.ContainerID) (text string, note object.VersionID, err error) {
	const op = "backend.SyncPoint"
	c, err := b.hintsFound(ctx)
	if errs.Is(err, errs.NotFound) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, fail(op, err)
	}
	v, err := b.stores.Meta.Get(ctx, c.ID, naming.ObjectName(hintSync+id.String()), meta.Which{})
	if errs.Is(err, errs.NotFound) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, fail(op, err)
	}
	return v.Target, v.ID, nil
}

// SaveSyncPoint notes how far the changes of a container were sent, in at most some tens of kilobytes of text, if what is noted now is the note before (0: none).
// Errors: Precondition or NotFound when another gateway has noted something meanwhile.
func (b *Backend) SaveSyncPoint(ctx context.Context, id naming.ContainerID, text string, before object.VersionID) (object.VersionID, error) {
	const op = "backend.SaveSyncPoint"
	c, err := b.hintsContainer(ctx)
	if err != nil {
		return 0, fail(op, err)
	}
	cond := object.Precondition{IfVersion: before}
	if before == 0 {
		cond = object.Precondition{IfNoneMatch: []string{"*"}}
	}
	out, err := b.stores.Meta.Commit(ctx, meta.Change{
		Container: c.ID, Account: c.Account, Name: naming.ObjectName(hintSync + id.String()), Now: b.now(), Op: meta.Put, If: cond,
		Version: &object.Version{Summary: object.Summary{Null: true, RootHash: block.Empty, UUID: newUUID()}, Target: text},
	})
	if err != nil {
		return 0, fail(op, err)
	}
	return out.Version.ID, nil
}

// ForgetSyncPoints removes the notes of containers that are not kept, if they are older than an hour.
func (b *Backend) ForgetSyncPoints(ctx context.Context, kept func(container string) bool) error {
	c, err := b.hintsFound(ctx)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return fail("backend.ForgetSyncPoints", err)
	}
	old := object.IDAt(b.now().Add(-time.Hour))
	cur := b.stores.Meta.Scan(ctx, c.ID, meta.View{})
	defer cur.Close()
	cur.Seek(meta.Position{Name: hintSync})
	for {
		e, err := cur.Next(ctx)
		if err != nil {
			return fail("backend.ForgetSyncPoints", err)
		}
		if e == nil || len(e.Name) < len(hintSync) || e.Name[:len(hintSync)] != hintSync {
			return nil
		}
		if e.ID < old && !kept(string(e.Name[len(hintSync):])) {
			b.dropHint(ctx, c, e)
		}
	}
}

// Sent is what was sent of one change; the zero value: nothing had to be.
type Sent struct {
	Put     bool
	Deleted bool
	Bytes   int64
}
