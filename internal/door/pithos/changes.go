package pithos

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// changesAnswer is the answer to GET of a container with "changes": an addition of this service's to Pithos+, for clients that follow a container.
type changesAnswer struct {
	Changes []change `json:"changes"`
	Next    string   `json:"next"`
	More    bool     `json:"more"`
}

type change struct {
	Name    string `json:"name"`
	Version uint64 `json:"version"`
	Deleted bool   `json:"deleted,omitempty"`
	*detail
}

// detail is what a listing tells of the object, under the same names.
type detail struct {
	Bytes       int64  `json:"bytes"`
	ContentType string `json:"content_type"`
	Hash        string `json:"x_object_hash"`
	UUID        string `json:"x_object_uuid"`
	Author      string `json:"x_object_modified_by"`
	Modified    string `json:"last_modified"`
}

// getChanges tells what came after the point "changes" (empty: the beginning), as JSON, and the point to go on from. "wait" is how many seconds to
// wait for something to come, 60 at most. A change may be told twice, and is never left out. With "details" the last change of each name tells what a listing
// does, unless the object is gone or its root hash would have to be worked out first.
func getChanges(ctx context.Context, c *call) (*reply, error) {
	if c.query.Get("changes") == pointNow {
		return getPointNow(ctx, c)
	}
	after, ok := parsePoint(c.query.Get("changes"))
	if !ok {
		return nil, bad("The point is none that this service gave")
	}
	wait, _ := strconv.Atoi(c.query.Get("wait"))
	list, next, more, err := c.door.b.Changes(ctx, c.caller, c.ref(), after, c.limit(), time.Duration(max(wait, 0))*time.Second)
	if err != nil {
		return nil, err
	}
	answer := changesAnswer{Changes: make([]change, len(list)), Next: formatPoint(next), More: more}
	for i, e := range list {
		answer.Changes[i] = change{Name: string(e.Name), Version: uint64(e.ID), Deleted: e.Kind == object.DeleteMarker}
	}
	if c.given("details") {
		if err := c.addDetails(ctx, list, answer.Changes); err != nil {
			return nil, err
		}
	}
	return c.sendChanges(answer)
}

func (c *call) addDetails(ctx context.Context, list []meta.Changed, changes []change) error {
	told, err := c.door.b.Describe(ctx, c.caller, c.ref(), list)
	if err != nil {
		return err
	}
	for i, s := range told {
		if s != nil && s.RootHash != (block.ID{}) {
			changes[i].detail = &detail{
				Bytes: s.Size, ContentType: typeOf(s.ContentType), Hash: s.RootHash.String(), UUID: uuid(s.UUID), Author: string(s.Author), Modified: iso(s.Modified()),
			}
		}
	}
	return nil
}

func (c *call) sendChanges(answer changesAnswer) (*reply, error) {
	raw, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	c.set("Content-Type", jsonFormat.contentType())
	return &reply{status: http.StatusOK, body: raw}, nil
}

// pointNow, for "changes", asks for the point from which changes that are still to come are told.
const pointNow = "now"

func getPointNow(ctx context.Context, c *call) (*reply, error) {
	p, err := c.door.b.PointNow(ctx, c.caller, c.ref())
	if err != nil {
		return nil, err
	}
	return c.sendChanges(changesAnswer{Changes: []change{}, Next: formatPoint(p)})
}

// formatPoint writes a point as clients keep it.
func formatPoint(p backend.Point) string {
	if p == (backend.Point{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, uint64(p.ID)), p.Name...))
}

func parsePoint(text string) (backend.Point, bool) {
	if text == "" {
		return backend.Point{}, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < 8 || len(raw) > 8+naming.ObjectNameMax {
		return backend.Point{}, false
	}
	return backend.Point{ID: object.VersionID(binary.BigEndian.Uint64(raw)), Name: naming.ObjectName(raw[8:])}, true
}
