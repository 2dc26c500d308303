package s3

import (
	"context"
	"io"
	"net/http"
	"time"

	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// call is one request on its way through the door. Handlers read it and set headers of the answer in out.
type call struct {
	door    *Door
	r       *http.Request
	w       sink
	id      string // x-amz-request-id
	started time.Time

	// Set by parse.
	level  level
	vhost  string // bucket that the Host header names, "" for a path-style address
	bucket naming.BucketName
	name   naming.ObjectName
	query  query
	origin wire.Origin

	// Set by authenticate.
	caller    backend.Caller
	signed    bool        // the request carried a valid signature
	presigned bool        // it was in the query
	header    http.Header // headers of the request, with those that a presigned query carries
	payload   payload

	// Set by handle, once the bucket is known.
	cors cors

	// Set by route.
	row *row

	logged   logged
	location string // that the body of CreateBucket asks for

	turn wire.Turn

	// out is the header of the answer. Keys are set directly, in canonical form. It is cleared when the handler fails.
	out      http.Header
	received int64 // bytes of the body that were read

	// values holds the values of headers in out, so that most answers need no further memory for them.
	values [16]string
	used   int
}

// handler serves one operation.
type handler func(ctx context.Context, c *call) (*reply, error)

// reply is an answer: a status with nothing, bytes, or a stream of known length.
type reply struct {
	status int
	code   string // S3 error code, for the log
	body   []byte // whole body, in memory
	// stream writes exactly length bytes. It is called after the headers were sent, except that its first Write sends them.
	stream func(ctx context.Context, w io.Writer) error
	length int64
	// noLength leaves Content-Length away; for bodies whose length is not known beforehand.
	noLength bool
}

// empty is an answer without a body.
func empty(status int) *reply { return &reply{status: status} }

// ref names the container of the call.
func (c *call) ref() backend.Ref { return backend.Ref{Bucket: c.bucket} }

// h is a header of the request, name in canonical form; "" when absent.
func (c *call) h(name string) string {
	if v := c.header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// has reports whether the request has the header, name in canonical form, even when empty.
func (c *call) has(name string) bool { return len(c.header[name]) > 0 }

// set puts a header into the answer, name in canonical form.
func (c *call) set(name, value string) {
	if c.used == len(c.values) {
		c.out[name] = []string{value}
		return
	}
	c.values[c.used] = value
	c.out[name] = c.values[c.used : c.used+1 : c.used+1]
	c.used++
}

// setIf puts a header into the answer unless the value is empty.
func (c *call) setIf(name, value string) {
	if value != "" {
		c.set(name, value)
	}
}

// target names the object of the call, at the version that ?versionId names.
func (c *call) target() (backend.Target, error) {
	which, err := c.which()
	return backend.Target{Container: c.ref(), Name: c.name, Which: which}, err
}

// which is the version that ?versionId names; the newest without it. An empty versionId is an error, as at AWS.
func (c *call) which() (meta.Which, error) {
	id, ok := c.query.lookup("versionId")
	if !ok {
		return meta.Which{By: meta.Newest}, nil
	}
	return parseVersion(id)
}

// owner is how S3 shows an account: canonical id and display name. An account that is gone shows as its plain id.
func (c *call) owner(ctx context.Context, id naming.AccountID) (owner, error) {
	a, err := c.door.b.Account(ctx, id)
	switch {
	case errs.Is(err, errs.NotFound):
		return owner{id: string(id)}, nil
	case err != nil:
		return owner{}, err
	}
	return owner{id: a.Canonical, name: a.DisplayName}, nil
}

// owner is an account as S3 shows it.
type owner struct{ id, name string }

// owners remembers accounts over one listing, so that each is looked up once.
type owners struct {
	c     *call
	known map[naming.AccountID]owner
}

func (c *call) newOwners() *owners { return &owners{c: c, known: map[naming.AccountID]owner{}} }

func (o *owners) get(ctx context.Context, id naming.AccountID) (owner, error) {
	if known, ok := o.known[id]; ok {
		return known, nil
	}
	found, err := o.c.owner(ctx, id)
	if err == nil {
		o.known[id] = found
	}
	return found, err
}

// checkOwner honours x-amz-expected-bucket-owner: an account id or a canonical id.
func (c *call) checkOwner(ctx context.Context) error {
	return c.expectOwner(ctx, c.bucket, c.h("X-Amz-Expected-Bucket-Owner"))
}

func (c *call) expectOwner(ctx context.Context, bucket naming.BucketName, want string) error {
	if want == "" || bucket == "" || c.row.op == "CreateBucket" {
		return nil
	}
	account, err := c.door.b.Owner(ctx, backend.Ref{Bucket: bucket})
	if err != nil {
		return err
	}
	if want == string(account) {
		return nil
	}
	shown, err := c.owner(ctx, account)
	if err != nil {
		return err
	}
	if want != shown.id {
		return fail(AccessDenied, "The bucket is owned by another account than the expected one.")
	}
	return nil
}

// setVersion sets x-amz-version-id for a version; null versions show only where versions are kept at all.
func (c *call) setVersion(v *object.Version, versioned bool) {
	switch {
	case !v.Null:
		c.set("X-Amz-Version-Id", formatVersion(v.ID))
	case versioned:
		c.set("X-Amz-Version-Id", nullVersion)
	}
}
