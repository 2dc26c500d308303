package swift

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// archiveOfVersions is where a container's replaced and deleted objects go.
type archiveOfVersions struct {
	backend.Ref
	history bool
	caller  backend.Caller // with the service's own rights: whoever may write the container needs none in the archive
}

// archiveOf finds the archive of a container that the caller is about to do action in; nil when it has none.
func (c *call) archiveOf(ctx context.Context, ref backend.Ref, action access.Action) (*archiveOfVersions, error) {
	container, err := c.door.b.Container(ctx, c.caller, ref, action)
	if err != nil {
		return nil, err
	}
	location := container.Config.Documents[archiveDocument]
	if len(location) == 0 || container.Config.Versioning == bucket.VersioningEnabled {
		return nil, nil
	}
	_, history := container.Config.Documents[historyDocument]
	caller, err := c.door.b.OnBehalf(ctx, c.caller, ref, action)
	if err != nil {
		return nil, err
	}
	return &archiveOfVersions{
		Ref: backend.Ref{Account: container.Account, Name: naming.ContainerName(unescape(string(location)))}, history: history, caller: caller,
	}, nil
}

// archivePrefix begins the names of what an archive has of an object.
func archivePrefix(name naming.ObjectName) string { return fmt.Sprintf("%03x%s/", len(name), name) }

func archiveName(name naming.ObjectName, at time.Time) (naming.ObjectName, error) {
	return objectName(archivePrefix(name) + fmt.Sprintf("%016s", timestamp(at)))
}

// archiveCurrent copies what stands at t, by reference, before something takes its place.
func (c *call) archiveCurrent(ctx context.Context, t backend.Target) error {
	a, err := c.archiveOf(ctx, t.Container, access.PutObject)
	if err != nil || a == nil {
		return err
	}
	return c.keepCurrent(ctx, a, t)
}

func (c *call) keepCurrent(ctx context.Context, a *archiveOfVersions, t backend.Target) error {
	o, err := c.door.b.Open(ctx, a.caller, t, object.Precondition{}, access.GetObject)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	name, err := archiveName(t.Name, o.Modified())
	if err != nil {
		return refusal(http.StatusPreconditionFailed, "").because(err)
	}
	return archiveFailed(c.move(ctx, a, o, backend.Target{Container: a.Ref, Name: name}))
}

// archiveFailed is the error of an archive that does not take an object.
func archiveFailed(err error) error {
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Quota) || errs.Is(err, errs.Invalid) {
		return refusal(http.StatusPreconditionFailed, "").because(err)
	}
	return err
}

// move copies an object, as what it is and with all that it has, to another place.
func (c *call) move(ctx context.Context, a *archiveOfVersions, o *backend.Object, to backend.Target) error {
	_, _, err := c.door.b.Copy(ctx, a.caller, backend.CopyRequest{
		Source: o.At(), Container: to.Container, Name: to.Name, Verbatim: true,
		Change: func(v *object.Version, attributes *backend.Attributes) error {
			attributes.Expires, attributes.Owner = v.Expires, v.Owner
			return nil
		},
	})
	return err
}

// deleteArchiving deletes an object of a container with an archive.
func (c *call) deleteArchiving(ctx context.Context, a *archiveOfVersions) (*reply, error) {
	t := c.target()
	if a.history {
		if err := c.keepCurrent(ctx, a, t); err != nil {
			return nil, err
		}
		if err := c.archiveMarker(ctx, a, t.Name); err != nil {
			return nil, err
		}
		return c.plainDelete(ctx, t)
	}
	return c.popArchive(ctx, a, t)
}

// archiveMarker notes in the archive that the object was deleted.
func (c *call) archiveMarker(ctx context.Context, a *archiveOfVersions, of naming.ObjectName) error {
	name, err := archiveName(of, c.door.o.Clock.Now())
	if err != nil {
		return refusal(http.StatusPreconditionFailed, "").because(err)
	}
	_, err = c.door.b.Put(ctx, a.caller, backend.PutRequest{
		Container: a.Ref, Name: name, Attributes: backend.Attributes{Owner: a.Account, ContentType: markerType, StorageClass: "STANDARD"},
		Body: backend.Body{Reader: strings.NewReader("")},
	})
	return archiveFailed(err)
}

func (c *call) plainDelete(ctx context.Context, t backend.Target) (*reply, error) {
	if err := c.remove(ctx, t); err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}

// popArchive puts the newest archived version in the place of an object that is deleted. A mark of deletion in the archive, from the time when it
// was a history, counts as the state before.
func (c *call) popArchive(ctx context.Context, a *archiveOfVersions, t backend.Target) (*reply, error) {
	kept, err := c.archived(ctx, a, t.Name)
	if err != nil || len(kept) == 0 {
		if err == nil || errs.Is(err, errs.NotFound) {
			return c.plainDelete(ctx, t)
		}
		return nil, err
	}
	if kept[0].ContentType != markerType {
		if err := c.restore(ctx, a, &kept[0], t); err != nil {
			return nil, err
		}
		return empty(http.StatusNoContent), nil
	}
	_, err = c.door.b.Open(ctx, a.caller, t, object.Precondition{}, access.GetObject)
	if err == nil {
		return c.plainDelete(ctx, t)
	}
	if !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if len(kept) > 1 && kept[1].ContentType != markerType {
		if err := c.restore(ctx, a, &kept[1], t); err != nil {
			return nil, err
		}
	}
	_, err = c.door.b.Delete(ctx, a.caller, backend.DeleteRequest{Target: backend.Target{Container: a.Ref, Name: kept[0].Name}})
	if err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}

// restore puts an archived version back and removes it from the archive.
func (c *call) restore(ctx context.Context, a *archiveOfVersions, kept *object.Summary, t backend.Target) error {
	from := backend.Target{Container: a.Ref, Name: kept.Name}
	o, err := c.door.b.Open(ctx, a.caller, from, object.Precondition{}, access.GetObject)
	if err != nil {
		return err
	}
	if err := c.move(ctx, a, o, t); err != nil {
		return err
	}
	_, err = c.door.b.Delete(ctx, a.caller, backend.DeleteRequest{Target: from})
	return err
}

// archived lists what an archive has of an object, newest first.
func (c *call) archived(ctx context.Context, a *archiveOfVersions, name naming.ObjectName) (kept []object.Summary, err error) {
	r := backend.ListRequest{Container: a.Ref, View: meta.View{Kind: meta.ViewCurrent}, Prefix: archivePrefix(name), Limit: pageMax}
	for {
		page, err := c.door.b.List(ctx, a.caller, r)
		if err != nil {
			return nil, err
		}
		if kept = append(kept, page.Entries...); len(kept) > 2*pageMax {
			kept = slices.Clone(kept[len(kept)-2:]) // only the newest two are looked at
		}
		if !page.Truncated {
			slices.Reverse(kept)
			return kept, nil
		}
		r.After = page.NextAfter
	}
}
