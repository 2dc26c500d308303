package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

func itoa(n int) string { return strconv.Itoa(n) }

// deleteObject serves DeleteObject.
func deleteObject(ctx context.Context, c *call) (*reply, error) {
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	cond, err := c.deleteCondition()
	if err != nil {
		return nil, err
	}
	d, err := c.delete(ctx, backend.DeleteRequest{Target: t, If: cond, Bypass: c.bypass()})
	if err != nil {
		return nil, err
	}
	if d.Marker {
		c.set("X-Amz-Delete-Marker", "true")
	}
	c.setIf("X-Amz-Version-Id", deletedVersion(t.Which, d))
	return empty(http.StatusNoContent), nil
}

// delete deletes one target. What is not there counts as deleted, also under a condition; a delete marker that does not meet the condition
// is a failed precondition (as ceph/s3-tests expect; AWS documents such deletes for directory buckets only, which have no versions).
func (c *call) delete(ctx context.Context, r backend.DeleteRequest) (backend.Deleted, error) {
	d, err := c.door.b.Delete(ctx, c.caller, r)
	if err == nil || !errs.Is(err, errs.NotFound) || errs.IsThing(err, errs.NotFound, errs.Bucket) || errs.IsThing(err, errs.NotFound, errs.Container) {
		return d, err
	}
	if !r.If.IsZero() && r.Which.By == meta.Newest {
		var marker *backend.MarkerError
		_, openErr := c.door.b.Open(ctx, c.caller, r.Target, object.Precondition{}, "s3:DeleteObject")
		if errors.As(openErr, &marker) && !onlyStar(&r.If) {
			return d, fail(PreconditionFailed, "").because(err)
		}
	}
	return backend.Deleted{Nothing: true}, nil
}

// onlyStar reports whether the condition is If-Match: * and nothing else.
func onlyStar(p *object.Precondition) bool {
	return len(p.IfMatch) == 1 && p.IfMatch[0] == "*" && p.IfSize == nil && p.IfModifiedAt.IsZero()
}

// deletedVersion is the version id that a delete answers with: of the marker made, or of the version removed by id.
func deletedVersion(which meta.Which, d backend.Deleted) string {
	switch which.By {
	case meta.ByID:
		return formatVersion(which.ID)
	case meta.TheNull:
		return nullVersion
	case meta.Newest, meta.AsOf:
	}
	switch {
	case !d.Marker:
		return ""
	case d.Null:
		return nullVersion
	}
	return formatVersion(d.Version)
}

// deleteDocument is the body of DeleteObjects.
type deleteDocument struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool     `xml:"Quiet"`
	Objects []struct {
		Key              string  `xml:"Key"`
		VersionID        *string `xml:"VersionId"`
		ETag             string  `xml:"ETag"`
		Size             *int64  `xml:"Size"`
		LastModifiedTime string  `xml:"LastModifiedTime"`
	} `xml:"Object"`
}

// deleteKeysMax bounds the keys of one DeleteObjects (API Reference).
const deleteKeysMax = 1000

// deletion is what became of one entry of a DeleteObjects.
type deletion struct {
	which   meta.Which
	deleted backend.Deleted
	err     error
}

// deleteAll deletes what a document names, several keys at once, so that none waits for the metadata of all before it. Entries for one key keep their order.
func (c *call) deleteAll(ctx context.Context, doc *deleteDocument) []deletion {
	results := make([]deletion, len(doc.Objects))
	var keys [][]int // entries of each key
	at := map[string]int{}
	for i := range doc.Objects {
		key := doc.Objects[i].Key
		k, known := at[key]
		if !known {
			k = len(keys)
			at[key], keys = k, append(keys, nil)
		}
		keys[k] = append(keys[k], i)
	}
	_ = backend.AtOnce(keys, func(entries []int) error { // results have the errors
		for _, i := range entries {
			o, r := &doc.Objects[i], &results[i]
			r.which, r.deleted, r.err = c.deleteOne(ctx, o.Key, o.VersionID, o.ETag, o.Size, o.LastModifiedTime)
		}
		return ctx.Err()
	})
	return results
}

// deleteObjects serves DeleteObjects. Each key is authorised and answered on its own.
func deleteObjects(ctx context.Context, c *call) (*reply, error) {
	if err := c.needProof(); err != nil {
		return nil, err
	}
	var doc deleteDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	if len(doc.Objects) == 0 || len(doc.Objects) > deleteKeysMax {
		return nil, fail(MalformedXML, "")
	}
	// A bucket that is not there fails the request, not each key.
	if _, err := c.door.b.Owner(ctx, c.ref()); err != nil {
		return nil, err
	}
	if c.door.o.AsSwift {
		for i := range doc.Objects {
			if doc.Objects[i].Key == "" {
				return nil, fail(UserKeyMustBeSpecified, "")
			}
		}
	}
	results := c.deleteAll(ctx, &doc)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x := newDocument("DeleteResult")
	for i := range doc.Objects {
		o := &doc.Objects[i]
		which, d := results[i].which, results[i].deleted
		switch err := results[i].err; {
		case err != nil:
			f := faultOf(err)
			c.logged.batch = append(c.logged.batch, batchEntry{o.Key, "", f.code.status(), f.code})
			x.open("Error")
			x.text("Key", o.Key)
			if o.VersionID != nil {
				x.textIf("VersionId", *o.VersionID)
			}
			x.text("Code", string(f.code))
			msg := f.msg
			if msg == "" {
				msg = f.code.message()
			}
			x.text("Message", msg)
			x.close("Error")
			continue
		case !doc.Quiet:
			x.deleted(o.Key, which, d)
		}
		c.logged.batch = append(c.logged.batch, batchEntry{o.Key, deletedVersion(which, d), http.StatusNoContent, ""})
	}
	return x.reply(c, "DeleteResult"), nil
}

func (x *document) deleted(key string, which meta.Which, d backend.Deleted) {
	x.open("Deleted")
	x.text("Key", key)
	version := deletedVersion(which, d)
	if which.By != meta.Newest {
		x.text("VersionId", version)
	}
	if d.Marker {
		x.bool("DeleteMarker", true)
		x.textIf("DeleteMarkerVersionId", version)
	}
	x.close("Deleted")
}

func (c *call) deleteOne(ctx context.Context, key string, version *string, etag string, size *int64, modified string) (meta.Which, backend.Deleted, error) {
	which := meta.Which{By: meta.Newest}
	name, err := naming.ParseObject(key)
	if err != nil {
		return which, backend.Deleted{}, err
	}
	if version != nil && *version != "" {
		if which, err = parseVersion(*version); err != nil {
			return which, backend.Deleted{}, fail(NoSuchVersion, "").because(err)
		}
	}
	cond := object.Precondition{IfSize: size}
	if etag != "" {
		tags, err := wire.Conditions(http.Header{"If-Match": {etag}}, "")
		if err != nil { // a delete must not lose its condition
			return which, backend.Deleted{}, badArgument("ETag", etag, "The ETag cannot be read")
		}
		cond.IfMatch = tags.IfMatch
	}
	if modified != "" {
		at, ok := wire.ParseDate(modified)
		if !ok {
			return which, backend.Deleted{}, badArgument("LastModifiedTime", modified, "The time cannot be read")
		}
		cond.IfModifiedAt = at.Truncate(time.Second)
	}
	d, err := c.delete(ctx, backend.DeleteRequest{
		Target: backend.Target{Container: c.ref(), Name: name, Which: which}, If: cond, Bypass: c.bypass(),
	})
	return which, d, err
}

// bypass reports whether the request wants to delete past a governance retention. Where nothing is under retention it changes nothing.
func (c *call) bypass() bool {
	return strings.EqualFold(c.h("X-Amz-Bypass-Governance-Retention"), "true")
}
