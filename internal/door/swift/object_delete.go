package swift

import (
	"context"
	"net/http"
	"strconv"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
)

// attemptsMax bounds how often an operation starts over when others change the object meanwhile.
const attemptsMax = 16

// deleteObject deletes an object that is there; one that is not is 404, also in a container that keeps versions.
func deleteObject(ctx context.Context, c *call) (*reply, error) {
	if text := c.h("X-If-Delete-At"); text != "" {
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return nil, bad("Bad X-If-Delete-At header value")
		}
	}
	if c.query.Get("multipart-manifest") == "delete" {
		return c.deleteManifest(ctx)
	}
	if id := c.query.Get("version-id"); id != "" && (id != "null" || c.versioning(ctx) != bucket.VersioningOff) {
		return c.deleteVersion(ctx)
	}
	a, err := c.archiveOf(ctx, c.ref(), access.DeleteObject)
	if err != nil {
		return nil, err
	}
	if a != nil {
		return c.deleteArchiving(ctx, a)
	}
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), access.DeleteObject)
	if err != nil {
		return nil, err
	}
	if container.Config.Versioning == bucket.VersioningEnabled && c.h("X-If-Delete-At") == "" {
		return c.markDeleted(ctx)
	}
	if err := c.remove(ctx, c.target()); err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}

// remove deletes the newest version of an object.
func (c *call) remove(ctx context.Context, t backend.Target) error {
	var err error
	for range attemptsMax {
		if err = c.removeOnce(ctx, t); !errs.Is(err, errs.Precondition) && !errs.Is(err, errs.Conflict) {
			break
		}
	}
	return err
}

func (c *call) removeOnce(ctx context.Context, t backend.Target) error {
	o, err := c.door.b.Open(ctx, c.caller, t, object.Precondition{}, access.DeleteObject)
	if err != nil {
		return err
	}
	if text := c.h("X-If-Delete-At"); text != "" {
		at, _ := strconv.ParseInt(text, 10, 64) // deleteObject has checked it
		if o.Expires.IsZero() || o.Expires.Unix() != at {
			return refusal(http.StatusPreconditionFailed, "")
		}
	}
	_, err = c.door.b.Delete(ctx, c.caller, backend.DeleteRequest{Target: t, If: object.Precondition{IfVersion: o.ID}})
	return err
}
