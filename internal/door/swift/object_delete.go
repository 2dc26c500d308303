package swift

import (
	"context"
	"net/http"
	"strconv"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// attemptsMax bounds how often an operation starts over when others change the object meanwhile.
const attemptsMax = 16

// deleteObject deletes an object that is there; one that is not is 404, also in a container that keeps versions.
func deleteObject(ctx context.Context, c *call) (*reply, error) {
	var err error
	if text := c.h("X-If-Delete-At"); text != "" {
		if _, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, bad("Bad X-If-Delete-At header value")
		}
	}
	for range attemptsMax {
		if err = c.deleteOnce(ctx); err == nil {
			return empty(http.StatusNoContent), nil
		}
		if !errs.Is(err, errs.Precondition) && !errs.Is(err, errs.Conflict) {
			break
		}
	}
	return nil, err
}

func (c *call) deleteOnce(ctx context.Context) error {
	o, err := c.door.b.Open(ctx, c.caller, c.target(), object.Precondition{}, access.DeleteObject)
	if err != nil {
		return err
	}
	if text := c.h("X-If-Delete-At"); text != "" {
		at, _ := strconv.ParseInt(text, 10, 64) // deleteObject has checked it
		if o.Expires.IsZero() || o.Expires.Unix() != at {
			return refusal(http.StatusPreconditionFailed, "")
		}
	}
	_, err = c.door.b.Delete(ctx, c.caller, backend.DeleteRequest{Target: c.target(), If: object.Precondition{IfVersion: o.ID}})
	return err
}
