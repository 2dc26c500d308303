package swift

import (
	"context"
	"io"
	"net/http"
	"strings"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// putLink serves PUT with X-Symlink-Target.
func (c *call) putLink(ctx context.Context) (*reply, error) {
	body, err := c.payload()
	if err != nil {
		return nil, err
	}
	var one [1]byte
	if n, _ := io.ReadFull(body.Reader, one[:]); n > 0 || body.Size > 0 {
		return nil, bad("Symlink requests require a zero byte body")
	}
	body.Reader, body.Size = strings.NewReader(""), 0
	link, err := c.linkTarget()
	if err != nil {
		return nil, err
	}
	a, err := c.attributes()
	if err != nil {
		return nil, err
	}
	given := c.h("Content-Type") != ""
	if link.ETag == "" && !given {
		a.ContentType = "application/symlink"
	}
	if link.ETag != "" {
		if err := c.pinLink(ctx, link, &a, given); err != nil {
			return nil, err
		}
	}
	a.Kind, a.Note = object.Link, link.Encode()
	cond, err := c.writeCondition()
	if err != nil {
		return nil, err
	}
	if err := c.archiveCurrent(ctx, c.target()); err != nil {
		return nil, err
	}
	v, err := c.door.b.Put(ctx, c.caller, backend.PutRequest{Container: c.ref(), Name: c.name, Attributes: a, If: cond, Body: body})
	if err != nil {
		return nil, err
	}
	return c.stored(v), nil
}

// linkTarget reads the headers that say where a link leads. Errors: 412 and 400 when they are malformed.
func (c *call) linkTarget() (*backend.Link, error) {
	malformed := refusal(http.StatusPreconditionFailed, "X-Symlink-Target header must be of the form <container name>/<object name>")
	text := unescape(c.h("X-Symlink-Target"))
	container, name, ok := strings.Cut(text, "/")
	if !ok || container == "" || name == "" {
		return nil, malformed
	}
	cn, err := containerName(container)
	if err != nil {
		return nil, malformed.because(err)
	}
	on, err := objectName(name)
	if err != nil {
		return nil, malformed.because(err)
	}
	l := &backend.Link{Container: cn, Name: on, ETag: strings.Trim(c.h("X-Symlink-Target-Etag"), `"`)}
	if err := c.linkAccount(l); err != nil {
		return nil, err
	}
	account := c.owner
	if l.Account != "" {
		account = l.Account
	}
	switch {
	case account == c.owner && cn == c.container && on == c.name:
		return nil, bad("Symlink cannot target itself")
	case strings.ContainsAny(l.ETag, `;"\`):
		return nil, bad("Bad X-Symlink-Target-Etag format")
	}
	return l, nil
}

// linkAccount reads the header that names the account that a link leads to, if the request has it.
func (c *call) linkAccount(l *backend.Link) error {
	text := unescape(c.h("X-Symlink-Target-Account"))
	if text == "" {
		return nil
	}
	id, ok := strings.CutPrefix(text, reseller)
	if strings.Contains(text, "/") {
		return refusal(http.StatusPreconditionFailed, "Account name cannot contain slashes")
	}
	if l.Account = naming.AccountID(id); !ok || id == "" {
		return c.denied()
	}
	return nil
}

// relink makes the target a link that leads where the source does, but in the account that the request names.
func (c *call) relink(ctx context.Context, s *shown, to place, a backend.Attributes) (*object.Version, error) {
	l, err := backend.ParseLink(s.Note)
	if err != nil {
		return nil, err
	}
	if err := c.linkAccount(&l); err != nil {
		return nil, err
	}
	if l.ETag != "" {
		if err := c.pinLink(ctx, &l, &a, true); err != nil {
			return nil, err
		}
	}
	if err := c.archiveCurrent(ctx, to.Target); err != nil {
		return nil, err
	}
	a.Kind, a.Note = object.Link, l.Encode()
	return c.door.b.Put(ctx, c.caller, backend.PutRequest{Container: to.Container, Name: to.Name, Attributes: a, Body: backend.Body{Reader: strings.NewReader("")}})
}

// pinLink finds the target of a static link, which must be what the link says, and takes its size and type over.
func (c *call) pinLink(ctx context.Context, l *backend.Link, a *backend.Attributes, typed bool) error {
	t := l.Target(c.owner)
	o, err := c.door.b.OpenPinned(ctx, c.caller, t, l.ETag, access.GetObject)
	switch {
	case errs.IsThing(err, errs.NotFound, errs.Object) || errs.IsThing(err, errs.NotFound, errs.Container) && c.administers(t.Container.Account):
		return refusal(http.StatusConflict, "X-Symlink-Target does not exist").because(err).carrying("Content-Location", targetPath(t))
	case err != nil:
		return c.hideFrom(t.Container.Account, err)
	}
	l.Bytes = o.Size
	if o.Kind == object.StaticManifest {
		l.Whole = backend.PlainETag(&o.Summary)
	}
	if !typed {
		a.ContentType = typeOf(o.ContentType)
	}
	return nil
}

// describeLink sets the headers that tell where a link leads.
func (c *call) describeLink(v *object.Version) error {
	l, err := backend.ParseLink(v.Note)
	if err != nil {
		return err
	}
	c.set("X-Symlink-Target", pathQuote(string(l.Container)+"/"+string(l.Name)))
	if l.Account != "" {
		c.set("X-Symlink-Target-Account", pathQuote(reseller+string(l.Account)))
	}
	if l.ETag != "" {
		c.set("X-Symlink-Target-Etag", l.ETag)
		c.setInt("X-Symlink-Target-Bytes", l.Bytes)
	}
	return nil
}

// postedToLink answers a POST that went to a link: the metadata is the link's now, and the client is told where the object is.
func (c *call) postedToLink(v *object.Version) (*reply, error) {
	l, err := backend.ParseLink(v.Note)
	if err != nil {
		return nil, err
	}
	f := refusal(http.StatusTemporaryRedirect, "The requested POST was applied to a symlink. POST directly to the target to apply requested metadata.").
		carrying("Location", targetPath(l.Target(c.owner)))
	if l.ETag != "" {
		f = f.carrying("X-Symlink-Target-Etag", l.ETag)
	}
	return nil, f
}
