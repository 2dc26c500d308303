package swift

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// place is an object's address in a copy.
type place struct {
	account naming.AccountID
	backend.Target
}

// copyObject serves COPY: from the path to the Destination.
func copyObject(ctx context.Context, c *call) (*reply, error) {
	from := place{c.owner, c.target()}
	to, err := c.place("Destination", "Destination-Account")
	if err != nil {
		return nil, err
	}
	return c.copy(ctx, from, to)
}

// copyFrom serves PUT with X-Copy-From: from there to the path.
func (c *call) copyFrom(ctx context.Context) (*reply, error) {
	from, err := c.place("X-Copy-From", "X-Copy-From-Account")
	if err != nil {
		return nil, err
	}
	return c.copy(ctx, from, place{c.owner, c.target()})
}

// place reads an address from headers. Errors: 412 when it is malformed.
func (c *call) place(header, accountHeader string) (place, error) {
	text := c.h(header)
	if text == "" {
		return place{}, refusal(http.StatusPreconditionFailed, header+" header required")
	}
	container, name, ok := strings.Cut(strings.TrimPrefix(unescape(strings.SplitN(text, "?", 2)[0]), "/"), "/")
	if !ok || container == "" || name == "" {
		return place{}, refusal(http.StatusPreconditionFailed, header+" header must be of the form <container name>/<object name>")
	}
	p := place{account: c.owner}
	if text := unescape(c.h(accountHeader)); text != "" {
		id, ok := strings.CutPrefix(text, reseller)
		if strings.Contains(text, "/") {
			return place{}, refusal(http.StatusPreconditionFailed, "Account name cannot contain slashes")
		}
		if p.account = naming.AccountID(id); !ok || id == "" {
			return place{}, c.denied()
		}
	}
	cn, err := containerName(container)
	if err != nil {
		return place{}, err
	}
	on, err := objectName(name)
	if err != nil {
		return place{}, err
	}
	p.Target = backend.Target{Container: backend.Ref{Account: p.account, Name: cn}, Name: on}
	return p, nil
}

// hideFrom keeps from strangers which containers another account has.
func (c *call) hideFrom(account naming.AccountID, err error) error {
	if errs.IsThing(err, errs.NotFound, errs.Container) && !c.administers(account) {
		return c.denied().because(err)
	}
	return err
}

// copy makes the target a copy of the source. Conditions and the range of the request are about the source.
func (c *call) copy(ctx context.Context, from, to place) (*reply, error) {
	if c.r.ContentLength > 0 || len(c.r.TransferEncoding) > 0 {
		return nil, bad("Copy requests require a zero byte body")
	}
	for range attemptsMax - 1 {
		rep, err := c.copyOnce(ctx, from, to)
		if !errs.Is(err, errs.Conflict) && !errs.IsThing(err, errs.NotFound, errs.Version) {
			return rep, err
		}
	}
	return c.copyOnce(ctx, from, to)
}

func (c *call) copyOnce(ctx context.Context, from, to place) (*reply, error) {
	o, err := c.door.b.Open(ctx, c.caller, from.Target, object.Precondition{}, access.GetObject)
	if err != nil {
		return nil, c.hideFrom(from.account, err)
	}
	if err := c.checkRead(o.Version); err != nil {
		return nil, err
	}
	ranges, err := c.ranges(o.Version)
	if err != nil {
		return nil, err
	}
	attributes, err := c.merged(o.Version, to)
	if err != nil {
		return nil, err
	}
	var v *object.Version
	switch len(ranges) {
	case 0:
		source := from.Target
		source.Which = meta.Which{By: meta.ByID, ID: o.ID} // the one that the attributes are of
		v, _, err = c.door.b.Copy(ctx, c.caller, backend.CopyRequest{
			Source: source, Container: to.Container, Name: to.Name, ReplaceAttributes: true, Attributes: attributes,
		})
	case 1:
		v, err = c.copyRange(ctx, o, to, attributes, ranges[0].Start, ranges[0].Length)
	default:
		return nil, refusal(http.StatusNotImplemented, "A copy of several ranges is not served here.")
	}
	if err != nil {
		return nil, c.hideFrom(to.account, err)
	}
	c.set("X-Copied-From-Account", reseller+url.PathEscape(string(from.account)))
	c.set("X-Copied-From", url.PathEscape(string(from.Container.Name))+"/"+strings.ReplaceAll(url.PathEscape(string(from.Name)), "%2F", "/"))
	c.set("X-Copied-From-Last-Modified", lastModified(o.Modified()))
	c.showMetadata("X-Object-Meta-", v.Meta[object.UserMeta], true)
	c.setExpiry(v.Expires)
	return c.stored(v), nil
}

// copyRange writes a part of the source as an object of its own.
func (c *call) copyRange(ctx context.Context, o *backend.Object, to place, a backend.Attributes, off, n int64) (*object.Version, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	defer func() { _ = r.Close() }() // ends the reading goroutine
	go func() { _ = w.CloseWithError(o.CopyTo(ctx, w, off, n)) }()
	return c.door.b.Put(ctx, c.caller, backend.PutRequest{
		Container: to.Container, Name: to.Name, Attributes: a, Body: backend.Body{Reader: r, Size: n},
	})
}

// merged are the attributes of a copy: the source's, over which the request's are laid; only the request's when it asks for fresh metadata.
func (c *call) merged(source *object.Version, to place) (backend.Attributes, error) {
	var a backend.Attributes
	var err error
	given := c.contentHeaders()
	if flag(c.h("X-Fresh-Metadata")) {
		a.Headers = given
	} else {
		a.Headers, a.Expires = source.Headers, source.Expires
		a.Headers.WebsiteRedirect = ""
		for _, h := range []struct {
			to   *string
			from string
		}{
			{&a.Headers.ContentEncoding, given.ContentEncoding},
			{&a.Headers.ContentLanguage, given.ContentLanguage},
			{&a.Headers.ContentDisposition, given.ContentDisposition},
			{&a.Headers.CacheControl, given.CacheControl},
			{&a.Headers.Expires, given.Expires},
		} {
			if h.from != "" {
				*h.to = h.from
			}
		}
	}
	a.Owner, a.StorageClass, a.ContentType = to.account, "STANDARD", source.ContentType
	if c.h("Content-Type") != "" {
		if a.ContentType, err = c.contentType(); err != nil {
			return a, err
		}
	}
	if c.has("X-Delete-At") || c.has("X-Delete-After") {
		if a.Expires, err = c.deleteAt(); err != nil {
			return a, err
		}
	}
	if flag(c.h("X-Fresh-Metadata")) {
		a.Meta, err = c.objectMeta(nil)
		return a, err
	}
	if a.Meta, err = c.objectMeta(source.Meta); err != nil {
		return a, err
	}
	for _, domain := range []object.Domain{object.UserMeta, object.SwiftMeta} {
		for name, value := range source.Meta[domain] {
			if a.Meta[domain] == nil {
				a.Meta[domain] = map[string]string{}
			}
			if _, over := a.Meta[domain][name]; !over {
				a.Meta[domain][name] = value
			}
		}
	}
	return a, nil
}
