package pithos

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/object"
)

// postObject changes metadata (Pithos+ 8.4.1), bytes (8.4.2), or takes a form (8.4.3).
func postObject(ctx context.Context, c *call) (*reply, error) {
	kind, _, _ := mime.ParseMediaType(c.h("Content-Type"))
	switch {
	case kind == "multipart/form-data":
		return c.postForm(ctx)
	case c.h("Content-Type") == octetStream || c.has("X-Source-Object"):
		return c.update(ctx)
	}
	merge := c.given("update")
	share, err := c.shareGiven()
	if err != nil {
		return nil, err
	}
	cond := c.writeCondition()
	described := false
	for key := range c.headers {
		described = described || strings.HasPrefix(key, "X-Object-Meta-") || strings.HasPrefix(key, "X-Remove-Object-Meta-") || key == "Content-Encoding" || key == "Content-Disposition" || key == "X-Object-Manifest"
	}
	if merge && !described {
		return c.postShare(ctx, share, cond)
	}
	v, err := c.door.b.Revise(ctx, c.caller, c.ref(), c.name, func(v *object.Version, a *backend.Attributes) error {
		if err := cond.CheckWrite(v); err != nil {
			return err
		}
		a.Share = share
		return c.changeAttributes(v, a, merge, false)
	})
	if err != nil {
		return nil, err
	}
	c.set("X-Object-Version", strconv.FormatUint(uint64(v.ID), 10))
	return empty(http.StatusAccepted), nil
}

// postShare changes what the path shares and nothing else: no version is made.
func (c *call) postShare(ctx context.Context, share *backend.ShareChange, cond object.Precondition) (*reply, error) {
	o, err := c.door.b.Open(ctx, c.caller, c.target(), object.Precondition{}, access.GetObject)
	if err == nil {
		err = cond.CheckWrite(o.Version)
	}
	if err == nil && share != nil {
		_, err = c.door.b.Share(ctx, c.caller, c.ref(), c.name, *share)
	} else if err == nil {
		err = c.mayWrite(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	return empty(http.StatusAccepted), nil
}

func (c *call) mayWrite(ctx context.Context, o *backend.Object) error {
	ok, err := c.door.b.MayWrite(ctx, c.caller, o.Container, c.name)
	if err == nil && !ok {
		err = forbidden()
	}
	return err
}

// update changes bytes of the object. The order of the checks is the specification's (Pithos+ 8.4.2).
func (c *call) update(ctx context.Context) (*reply, error) {
	o, err := c.door.b.Open(ctx, c.caller, c.target(), object.Precondition{}, access.GetObject)
	if err != nil {
		return nil, err
	}
	r := backend.SpliceRequest{Container: c.ref(), Name: c.name, If: c.writeCondition(), Truncate: -1}
	if err := r.If.CheckWrite(o.Version); err != nil {
		return nil, err
	}
	if err := c.contentRange(&r, o.Size); err != nil {
		return nil, err
	}
	if err := c.newBytes(&r); err != nil {
		return nil, err
	}
	if r.Total >= 0 && (r.Total != o.Size || r.Offset >= r.Total || r.Length >= 0 && r.Offset+r.Length > r.Total) {
		return nil, outside()
	}
	if text := c.h("X-Object-Bytes"); text != "" {
		if r.Truncate, err = strconv.ParseInt(text, 10, 64); err != nil || r.Truncate < 0 {
			return nil, bad("X-Object-Bytes is a number of bytes")
		}
	}
	share, err := c.shareGiven()
	if err != nil {
		return nil, err
	}
	merge := c.given("update")
	r.Change = func(v *object.Version, a *backend.Attributes) error {
		a.Share = share
		return c.changeAttributes(v, a, merge, false)
	}
	v, err := c.door.b.Splice(ctx, c.caller, r)
	if err != nil {
		return nil, err
	}
	return c.stored(ctx, v, http.StatusNoContent)
}

func outside() error {
	return refusal(http.StatusRequestedRangeNotSatisfiable, "The range does not fit the object")
}

// contentRange reads where the bytes go.
func (c *call) contentRange(r *backend.SpliceRequest, size int64) error {
	text := strings.ReplaceAll(c.h("Content-Range"), " ", "")
	if text == "" {
		return bad("Missing Content-Range header")
	}
	span, total, ok := strings.Cut(strings.TrimPrefix(text, "bytes"), "/")
	if !ok || !strings.HasPrefix(text, "bytes") {
		return outside()
	}
	r.Offset, r.Length, r.Total = -1, -1, -1
	var err error
	if total != "*" {
		if r.Total, err = strconv.ParseInt(total, 10, 64); err != nil || r.Total < 0 {
			return outside()
		}
	}
	if span == "*" {
		if r.Total >= 0 {
			return outside()
		}
		return nil
	}
	first, last, ok := strings.Cut(span, "-")
	if r.Offset, err = strconv.ParseInt(first, 10, 64); !ok || err != nil || r.Offset < 0 {
		return outside()
	}
	if last != "" {
		z, err := strconv.ParseInt(last, 10, 64)
		if err != nil || z < r.Offset {
			return outside()
		}
		r.Length = z - r.Offset + 1
	}
	if r.Offset > size {
		return outside()
	}
	return nil
}

// newBytes finds the source of an update: another object or the body.
func (c *call) newBytes(r *backend.SpliceRequest) error {
	if c.has("X-Source-Object") {
		account, err := c.account("X-Source-Account")
		if err != nil {
			return err
		}
		container, name, err := place(c.headers["X-Source-Object"])
		if err != nil {
			return err
		}
		which, err := c.sourceVersion()
		if err != nil {
			return err
		}
		r.From = &backend.PartSource{Source: backend.Target{Container: backend.Ref{Account: account, Name: container}, Name: name, Which: which}}
		return nil
	}
	if len(c.r.TransferEncoding) == 0 {
		if !c.has("Content-Length") && c.r.ContentLength <= 0 {
			return refusal(http.StatusLengthRequired, "Missing Content-Length header")
		}
		if r.Length >= 0 && c.r.ContentLength != r.Length {
			return bad("The Content-Length is not that of the range")
		}
	}
	r.Body = c.payload()
	return nil
}

// formMemory bounds what of a form's other fields is read.
const formMemory = 64 << 10

// postForm takes a file from an HTML form (Pithos+ 8.4.3).
func (c *call) postForm(ctx context.Context) (*reply, error) {
	// A form comes at the pace of any other body.
	c.r.Body = io.NopCloser(c.paced()) //nolint:contextcheck // a call takes the context of the request that it holds
	parts, err := c.r.MultipartReader()
	if err != nil {
		return nil, bad("The form cannot be read")
	}
	for range 100 {
		part, err := parts.NextPart()
		if err != nil {
			break
		}
		if part.FormName() != "X-Object-Data" {
			if _, err := discard(part, formMemory); err != nil {
				return nil, bad("A field of the form is too long")
			}
			continue
		}
		if part.FileName() == "" {
			return nil, bad("X-Object-Data is no file")
		}
		a := backend.Attributes{Owner: c.owner, ContentType: typeOf(part.Header.Get("Content-Type")), StorageClass: "STANDARD"}
		v, err := c.door.b.Put(ctx, c.caller, backend.PutRequest{
			Container: c.ref(), Name: c.name, Attributes: a, If: c.writeCondition(), Body: backend.Body{Reader: part, Size: -1},
		})
		if err != nil {
			return nil, err
		}
		rep, err := c.stored(ctx, v, http.StatusCreated)
		if err != nil {
			return nil, err
		}
		rep.body = []byte(v.RootHash.String())
		c.set("Content-Type", textFormat.contentType())
		return rep, nil
	}
	return nil, bad("The form has no file X-Object-Data")
}
