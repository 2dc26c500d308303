package swift

import (
	"context"
	"net/http"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
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
	l := c.look()
	l.raw = l.manifest
	target, err := c.versioned(ctx, from.Target)
	if err != nil {
		return nil, err
	}
	s, err := c.show(ctx, target, l)
	if err != nil {
		return nil, c.hideFrom(from.account, err)
	}
	if err := c.checkRead(s); err != nil {
		return nil, err
	}
	attributes, err := c.merged(s.Version, to)
	if err != nil {
		return nil, err
	}
	attributes.Encryption.PlainETag = true // Swift promises the MD5
	c.describeCopy(from, s, attributes)
	if s.text != nil {
		return c.copyManifest(ctx, s, to, attributes)
	}
	v, err := c.copyShown(ctx, s, to, attributes)
	if err != nil {
		return nil, c.hideFrom(to.account, err)
	}
	return c.stored(v), nil
}

// describeCopy tells of the source of a copy, and of what the copy gets.
func (c *call) describeCopy(from place, s *shown, a backend.Attributes) {
	c.set("X-Copied-From-Account", pathQuote(reseller+string(from.account)))
	c.set("X-Copied-From", pathQuote(string(from.Container.Name)+"/"+string(from.Name)))
	c.set("X-Copied-From-Last-Modified", lastModified(s.Made()))
	if s.o.Container.Config.Versioning != bucket.VersioningOff {
		c.set("X-Copied-From-Version-Id", c.versionNameOf(&s.o.Version.Summary))
	}
	c.showMetadata("X-Object-Meta-", a.Meta[object.UserMeta], true)
	c.setExpiry(a.Expires)
}

// copyManifest puts the manifest of a static large object again, for the segments of these names that the target's account has.
func (c *call) copyManifest(ctx context.Context, s *shown, to place, a backend.Attributes) (*reply, error) {
	entries, err := parseManifest(s.text, to.Target)
	if err != nil {
		return nil, err
	}
	return c.putStatic(ctx, staticPut{to: to.Target, entries: entries, attributes: a})
}

// copyShown makes the target a copy of what a source shows, by reference.
func (c *call) copyShown(ctx context.Context, s *shown, to place, a backend.Attributes) (*object.Version, error) {
	if s.Kind == object.Link && c.has("X-Symlink-Target-Account") {
		return c.relink(ctx, s, to, a)
	}
	part, partial, err := c.part(s)
	if err != nil {
		return nil, err
	}
	ranges := []wire.Range{part}
	if !partial {
		if ranges, err = c.ranges(s); err != nil {
			return nil, err
		}
	}
	if err := c.segmentsStand(ctx, s, ranges); err != nil {
		return nil, err
	}
	if err := c.archiveCurrent(ctx, to.Target); err != nil {
		return nil, err
	}
	verbatim := s.Kind == object.Link || s.Kind == object.DynamicManifest && !s.quoted
	if len(ranges) == 0 && (verbatim || !s.quoted && a.Kind == object.Data) {
		v, _, err := c.door.b.Copy(ctx, c.caller, backend.CopyRequest{
			Source: s.o.At(), Opened: true, Container: to.Container, Name: to.Name, ReplaceAttributes: true, Attributes: a, Verbatim: verbatim,
		})
		return v, err
	}
	r := backend.ComposeRequest{Container: to.Container, Name: to.Name, Attributes: a}
	switch len(ranges) {
	case 0:
		r.Pieces = []backend.Piece{{Object: s.o, Length: s.Size}}
	case 1:
		r.Pieces = []backend.Piece{{Object: s.o, Offset: ranges[0].Start, Length: ranges[0].Length}}
	default:
		b := newByteranges(s, ranges)
		for i, one := range ranges {
			r.Pieces = append(r.Pieces, backend.Piece{Data: []byte(b.Heads[i])}, backend.Piece{Object: s.o, Offset: one.Start, Length: one.Length})
		}
		r.Pieces = append(r.Pieces, backend.Piece{Data: []byte(b.End)})
		r.Attributes.ContentType = b.ContentType
	}
	var size int64
	for _, p := range r.Pieces {
		size += p.Length
	}
	if size > c.door.o.Limits.ObjectBytes {
		return nil, refusal(http.StatusRequestEntityTooLarge, "")
	}
	return c.door.b.Compose(ctx, c.caller, r)
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
		if a.Meta, err = c.objectMeta(nil); err != nil {
			return a, err
		}
	} else if a.Meta, err = c.mergedMeta(source); err != nil {
		return a, err
	}
	return a, c.manifestedLike(source, &a)
}

// manifestedLike makes attributes those of a dynamic manifest when the request says so, or copies one as such.
func (c *call) manifestedLike(source *object.Version, a *backend.Attributes) error {
	delete(a.Meta[object.SwiftMeta], manifestHeader)
	delete(a.Meta[object.SwiftMeta], depthKey)
	if value := source.Meta[object.SwiftMeta][manifestHeader]; c.look().manifest && source.Kind == object.DynamicManifest && value != "" {
		a.Meta = withSwiftMeta(a.Meta, manifestHeader, value)
	}
	return c.manifested(a)
}

// mergedMeta is the source's metadata, with the request's over it.
func (c *call) mergedMeta(source *object.Version) (map[object.Domain]map[string]string, error) {
	merged, err := c.objectMeta(source.Meta)
	if err != nil {
		return nil, err
	}
	for _, domain := range []object.Domain{object.UserMeta, object.SwiftMeta} {
		for name, value := range source.Meta[domain] {
			if merged[domain] == nil {
				merged[domain] = map[string]string{}
			}
			if _, over := merged[domain][name]; !over {
				merged[domain][name] = value
			}
		}
	}
	return merged, nil
}
