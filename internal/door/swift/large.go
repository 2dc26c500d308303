package swift

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// manifestHeader keeps X-Object-Manifest as it was sent, in the domain object.SwiftMeta.
const manifestHeader = "x-object-manifest"

// depthKey says, in the domain object.SwiftMeta, how deep the manifests in a static manifest go; one that names none has no such entry.
const depthKey = "slo-depth"

// depthOf is how deep a static manifest goes, 0 for what is none.
func depthOf(v *object.Version) int {
	if v.Kind != object.StaticManifest {
		return 0
	}
	depth, err := strconv.Atoi(v.Meta[object.SwiftMeta][depthKey])
	if err != nil {
		return 1
	}
	return depth
}

// shown is what an answer shows of an object: a version with the size and ETag that it has here, and where its bytes come from.
type shown struct {
	*object.Version
	o      *backend.Object
	text   []byte // in place of the object's bytes
	quoted bool   // the ETag is that of a large object
}

func (s *shown) etag() string {
	if s.quoted {
		return `"` + s.ETag + `"`
	}
	return s.ETag
}

// copyTo writes bytes of what is shown.
func (s *shown) copyTo(ctx context.Context, w io.Writer, off, n int64) error {
	if s.text == nil {
		return s.o.CopyTo(ctx, w, off, n)
	}
	_, err := w.Write(s.text[off : off+n])
	return err
}

// look says how an object is to be read: as what it stands for, or a link or manifest itself.
type look struct {
	link     bool // symlink=get
	manifest bool // multipart-manifest=get
	raw      bool // with it, format=raw: as a client would send it
}

func (c *call) look() look {
	l := look{link: c.query.Get("symlink") == "get", manifest: c.query.Get("multipart-manifest") == "get"}
	l.raw = l.manifest && c.query.Get("format") == "raw"
	return l
}

// show opens what a read is about.
func (c *call) show(ctx context.Context, t backend.Target, l look) (*shown, error) {
	o, err := c.openAs(ctx, t, l)
	if err != nil {
		return nil, err
	}
	s := &shown{Version: o.Version, o: o}
	if o.Kind == object.StaticManifest && l.manifest {
		return s, s.showManifest(ctx, l.raw)
	}
	if o.Kind == object.StaticManifest && depthOf(o.Version) > manifestDepthMax {
		return nil, refusal(http.StatusConflict, "") // it is whole; Swift's clients count on the bound
	}
	if o.Kind == object.StaticManifest || o.Kind == object.DynamicManifest && !l.manifest {
		v := *o.Version
		v.ETag = backend.PlainETag(&v.Summary)
		s.Version, s.quoted = &v, true
	}
	return s, nil
}

func (c *call) openAs(ctx context.Context, t backend.Target, l look) (o *backend.Object, err error) {
	if l.link {
		if o, err = c.door.b.Open(ctx, c.caller, t, object.Precondition{}, access.GetObject); err != nil || o.Kind == object.Link {
			return o, err
		}
	}
	if l.manifest {
		o, err = c.door.b.OpenFollowed(ctx, c.caller, t, access.GetObject)
	} else {
		o, err = c.door.b.OpenWhole(ctx, c.caller, t, object.Precondition{}, access.GetObject)
	}
	return o, err
}

// showManifest shows the document of a static large object in place of its bytes.
func (s *shown) showManifest(ctx context.Context, raw bool) error {
	text, err := s.o.Document(ctx)
	if err != nil {
		return err
	}
	v := *s.Version
	v.ETag, v.ContentType = backend.Sum(s.Version), "application/json; charset=utf-8"
	if raw {
		if text, err = rawManifest(text); err != nil {
			return errs.E("swift.showManifest", errs.Corrupt, errs.Version, string(v.Name)).With(err)
		}
		hash := md5.Sum(text)
		v.ETag, v.ContentType = hex.EncodeToString(hash[:]), s.ContentType
	}
	v.Size, s.text, s.Version = int64(len(text)), text, &v
	return nil
}

// targetPath is the path of an object, escaped for a header.
func targetPath(t backend.Target) string {
	return "/v1/" + pathQuote(reseller+string(t.Container.Account)) + "/" + pathQuote(string(t.Container.Name)) + "/" + pathQuote(string(t.Name))
}

// part is the range of a static large object that the parameter part-number names; ok is false when it does not apply.
func (c *call) part(s *shown) (r wire.Range, ok bool, err error) {
	text := c.query.Get("part-number")
	if text == "" || !s.quoted || s.Kind != object.StaticManifest {
		return r, false, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 1:
		return r, false, bad("Part number must be an integer greater than 0")
	case c.has("Range"):
		return r, false, bad("Range requests are not supported with part number queries")
	case n > len(s.Parts):
		f := refusal(http.StatusRequestedRangeNotSatisfiable, "The requested part number is not satisfiable").
			carrying("Content-Range", "bytes */"+strconv.FormatInt(s.Size, 10)).carrying("X-Parts-Count", strconv.Itoa(len(s.Parts))).
			carrying("Etag", s.etag()).carrying("X-Static-Large-Object", "True").carrying("X-Manifest-Etag", backend.Sum(s.o.Version)).
			carrying("Accept-Ranges", "bytes").carrying("Last-Modified", lastModified(s.Made()))
		if version := c.out["X-Object-Version-Id"]; len(version) > 0 {
			f = f.carrying("X-Object-Version-Id", version[0])
		}
		return r, false, f
	}
	for i := range n - 1 {
		r.Start += s.Parts[i].Size
	}
	r.Length = s.Parts[n-1].Size
	c.setInt("X-Parts-Count", int64(len(s.Parts)))
	return r, true, nil
}

// describeKind sets the headers that only manifests and links have.
func (c *call) describeKind(s *shown) error {
	switch s.Kind {
	case object.StaticManifest:
		c.set("X-Static-Large-Object", "True")
		if s.text == nil {
			c.set("X-Manifest-Etag", backend.Sum(s.o.Version))
		}
	case object.DynamicManifest:
		c.set("X-Object-Manifest", s.Meta[object.SwiftMeta][manifestHeader])
	case object.Link:
		c.describeVersion(s)
		return c.describeLink(s.Version)
	case object.Data, object.DeleteMarker:
	}
	c.describeVersion(s)
	if via := s.o.Via; len(via) > 0 {
		c.set("Content-Location", targetPath(via[len(via)-1]))
	}
	return nil
}

// dynamicTarget reads X-Object-Manifest. Error: 400.
func dynamicTarget(value string) (string, error) {
	malformed := bad("X-Object-Manifest must be in the format container/prefix")
	container, prefix, ok := strings.Cut(value, "/")
	if !ok || container == "" || prefix == "" || strings.ContainsAny(value, "?&") || strings.HasPrefix(prefix, "/") {
		return "", malformed
	}
	target := unescape(value)
	if _, _, err := backend.ParseManifest(target); err != nil {
		return "", malformed.because(err)
	}
	return target, nil
}

// manifested makes attributes those of a dynamic manifest, when the request says that the object is one.
func (c *call) manifested(a *backend.Attributes) error {
	value := c.h("X-Object-Manifest")
	if value == "" {
		return nil
	}
	target, err := dynamicTarget(value)
	if err != nil {
		return err
	}
	a.Kind, a.Target = object.DynamicManifest, target
	a.Meta = withSwiftMeta(a.Meta, manifestHeader, value)
	return nil
}

// withSwiftMeta sets a value that only Swift keeps.
func withSwiftMeta(m map[object.Domain]map[string]string, name, value string) map[object.Domain]map[string]string {
	if m == nil {
		m = map[object.Domain]map[string]string{}
	}
	if m[object.SwiftMeta] == nil {
		m[object.SwiftMeta] = map[string]string{}
	}
	m[object.SwiftMeta][name] = value
	return m
}

// checkReserved refuses the header that marks static large objects, where it would claim to make one.
func (c *call) checkReserved() error {
	if c.level != objectLevel || c.synced || !c.has("X-Static-Large-Object") || c.query.Get("multipart-manifest") == "put" && c.r.Method == http.MethodPut {
		return nil
	}
	switch c.r.Method {
	case http.MethodPut, http.MethodPost, http.MethodDelete, copyMethod:
		return bad("X-Static-Large-Object is a reserved header. To create a static large object add query param multipart-manifest=put.")
	}
	return nil
}
