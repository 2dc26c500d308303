package swift

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"pithos/internal/access"
	"pithos/internal/door/wire"
	"pithos/internal/naming"
)

// site is a container that is shown as a web site (StaticWeb), by its metadata.
type site struct {
	c                           *call
	index, failure, css, marker string
	listings, label             string
}

// asksForSite tells whether a request may be for a web site: it reads, and comes from nobody in particular, by a signed link, or asks for it.
func (c *call) asksForSite() bool {
	if c.inside || c.level < containerLevel || c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return false
	}
	return c.caller.Anonymous() || c.signed != nil || flag(c.h("X-Web-Mode"))
}

// site reads the settings of the container; nil when it is not there.
func (c *call) site(ctx context.Context) (*site, error) {
	container, err := c.peek(ctx, c.container)
	if err != nil || container == nil {
		return nil, err
	}
	m := func(name string) string { return strings.TrimSpace(container.Config.Meta[name]) }
	return &site{
		c: c, index: m("web-index"), failure: m("web-error"), css: m("web-listings-css"), marker: m("web-directory-type"),
		listings: m("web-listings"), label: m("web-listings-label"),
	}, nil
}

// serveSite answers as a web site where the container is one, else as usual.
func (c *call) serveSite(ctx context.Context) (*reply, error) {
	s, err := c.site(ctx)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.row.handle(ctx, c)
	}
	if c.level == objectLevel {
		return s.object(ctx)
	}
	return s.container(ctx)
}

// slashed tells whether the path ends with a slash.
func (s *site) slashed() bool { return strings.HasSuffix(s.c.path, "/") }

// container answers for the site's root.
func (s *site) container(ctx context.Context) (*reply, error) {
	c := s.c
	if err := s.mayEnter(ctx); err != nil {
		return s.failed(ctx, err)
	}
	switch {
	case s.listings == "" && s.index == "":
		if flag(c.h("X-Web-Mode")) {
			return nil, refusal(http.StatusNotFound, "")
		}
		return c.row.handle(ctx, c)
	case !s.slashed():
		return s.redirect(), nil
	case s.index == "":
		return s.list(ctx, "")
	}
	found, rep, err := s.fetch(ctx, c.rawNames[1]+s.index)
	switch {
	case err == nil:
		return c.adopt(found, rep), nil
	case faultOf(c.hide(err)).status == http.StatusNotFound:
		return s.list(ctx, "")
	}
	return s.failed(ctx, err)
}

// mayEnter asks whether the caller may list the container; as in Swift, who may only read its objects does not get its index either.
func (s *site) mayEnter(ctx context.Context) error {
	_, err := s.c.door.b.Container(ctx, s.c.caller, s.c.ref(), access.ListBucket)
	return err
}

// object answers for a path inside the site.
func (s *site) object(ctx context.Context) (*reply, error) {
	c := s.c
	rep, err := c.row.handle(ctx, c)
	if err == nil && !s.isMarker(rep) {
		return rep, nil
	}
	if err != nil && (faultOf(c.hide(err)).status != http.StatusNotFound || s.index == "" && s.listings == "") {
		return nil, err
	}
	if s.index == "" && s.listings == "" {
		return rep, nil // a directory's marker, and nothing to show in its place
	}
	clear(c.out)
	if s.index != "" {
		dir := string(c.name)
		if !s.slashed() {
			dir += "/"
		}
		found, rep, err := s.fetch(ctx, dir+s.index)
		switch {
		case err == nil && !s.slashed():
			return s.redirect(), nil
		case err == nil:
			return c.adopt(found, rep), nil
		case faultOf(c.hide(err)).status != http.StatusNotFound:
			return nil, err
		}
	}
	if s.slashed() {
		return s.list(ctx, string(c.name))
	}
	entries, err := c.listObjects(ctx, listing{limit: 1, delimiter: "/", prefix: string(c.name) + "/"})
	if err != nil || len(entries) == 0 {
		return s.failed(ctx, refusal(http.StatusNotFound, ""))
	}
	return s.redirect(), nil
}

// isMarker tells whether an answer is the object that marks a directory: of the type of directories, and with next to nothing in it.
func (s *site) isMarker(rep *reply) bool {
	kind := s.marker
	if kind == "" {
		kind = "application/directory"
	}
	length := rep.length
	if v := s.c.out["Content-Length"]; len(v) > 0 {
		length, _ = strconv.ParseInt(v[0], 10, 64) // we wrote it
	}
	return s.c.out.Get("Content-Type") == kind && length <= 1 && rep.status/100 == 2
}

// fetch serves another object of the site in place of the one that was asked for.
func (s *site) fetch(ctx context.Context, name string) (*call, *reply, error) {
	on, err := naming.ParseObject(name)
	if err != nil {
		return nil, nil, refusal(http.StatusNotFound, "").because(err)
	}
	sub := s.c.sub(ctx, s.c.r.Method, s.c.container, on, s.c.r.Header)
	rep, err := sub.perform(ctx)
	return sub, rep, err
}

// failed answers with the site's own page for a failure, if it has one that can be read.
func (s *site) failed(ctx context.Context, failure error) (*reply, error) {
	f := faultOf(s.c.hide(failure))
	if f.status == http.StatusForbidden && s.c.caller.Anonymous() {
		f = refusal(http.StatusUnauthorized, f.msg).because(failure)
	}
	if s.failure == "" {
		return nil, f
	}
	name, err := naming.ParseObject(strconv.Itoa(f.status) + s.failure)
	if err != nil {
		return nil, f
	}
	sub := s.c.sub(ctx, http.MethodGet, s.c.container, name, http.Header{})
	rep, err := sub.perform(ctx)
	if err != nil || rep.status != http.StatusOK {
		return nil, f
	}
	s.c.adopt(sub, rep)
	if f.status == http.StatusUnauthorized {
		s.c.set("Www-Authenticate", s.c.realm())
	}
	rep.status = f.status
	return rep, nil
}

// redirect sends the browser to the same path with a slash.
func (s *site) redirect() *reply {
	c := s.c
	clear(c.out)
	path := c.path
	if c.remapped != "" {
		path = strings.TrimPrefix(path, c.remapped)
	}
	c.set("Location", wire.OriginOf(c.r).Scheme+"://"+c.r.Host+quotePath(path+"/", "/"))
	return &reply{status: http.StatusMovedPermanently, body: page(http.StatusMovedPermanently)}
}
