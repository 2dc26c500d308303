package backend

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// SegmentsMax is how many segments a dynamic manifest may have when it is read.
const SegmentsMax = 100_000

// segment is one segment of a dynamic manifest, as it was when the manifest was opened.
type segment struct {
	target Target
	size   int64
	open   *Object // of a link: what it led to
}

// OpenWhole opens what a name stands for, for reading: links are followed, the segments of a dynamic manifest are found and laid end to
// end, and of a static manifest, whose bytes are its own, the caller must be allowed to read the containers that its segments came from.
//
// The version of the object is that of what is read; of a dynamic manifest, the manifest's with the size of the whole and an ETag over
// the segments' in the form "hex-N". Errors: those of Open; Invalid/Broken for links that lead nowhere and manifests whose segments cannot
// be had; TooLarge for more than SegmentsMax segments.
func (b *Backend) OpenWhole(ctx context.Context, c Caller, t Target, cond object.Precondition, a access.Action) (*Object, error) {
	const op = "backend.OpenWhole"
	o, err := b.Open(ctx, c, t, object.Precondition{}, a)
	if err != nil {
		return nil, fail(op, err)
	}
	if o, err = b.whole(ctx, c, o, a); err != nil {
		return nil, fail(op, err)
	}
	return o, fail(op, cond.CheckRead(o.Version))
}

// whole makes of an opened object what it stands for.
func (b *Backend) whole(ctx context.Context, c Caller, o *Object, a access.Action) (*Object, error) {
	var err error
	if o.Kind == object.Link {
		if a == access.GetObjectVersion {
			a = access.GetObject // it named a version of the link, not of the target
		}
		if o, err = b.follow(ctx, c, o, a); err != nil {
			return nil, err
		}
	}
	switch o.Kind {
	case object.DynamicManifest:
		err = b.gather(ctx, c, o)
	case object.StaticManifest:
		err = b.mayReadSegments(ctx, c, o)
	case object.Data, object.DeleteMarker, object.Link:
	}
	if err != nil && len(o.Via) > 0 {
		err = behind(o.Via[len(o.Via)-1], err)
	}
	return o, err
}

// SegmentContainers encodes, for Attributes.Target of a static manifest, the containers that its segments came from.
func SegmentContainers(names []naming.ContainerName) string {
	var list []string
	seen := map[naming.ContainerName]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			list = append(list, url.PathEscape(string(name)))
		}
	}
	return strings.Join(list, ",")
}

// mayReadSegments asks whether the caller may read what the containers of a static manifest's segments hold. A container that is gone has
// nothing to protect any more: the bytes are the manifest's.
func (b *Backend) mayReadSegments(ctx context.Context, c Caller, o *Object) error {
	if o.Kind != object.StaticManifest || o.Target == "" {
		return nil
	}
	for escaped := range strings.SplitSeq(o.Target, ",") {
		name, err := url.PathUnescape(escaped)
		if err != nil {
			return errs.E("", errs.Corrupt, errs.Version, string(o.Name)).With(err)
		}
		if name == string(o.Container.Name) {
			continue
		}
		container, err := b.find(ctx, Ref{Account: o.Container.Account, Name: naming.ContainerName(name)})
		switch {
		case errs.Is(err, errs.NotFound):
			continue
		case err != nil:
			return err
		}
		if err := b.may(ctx, c, access.GetObject, container, ""); err != nil {
			return brokenManifest(o.Name, "the segments of the large object may not be read").With(err)
		}
	}
	return nil
}

func brokenManifest(name naming.ObjectName, msg string) *errs.Error {
	return errs.E("", errs.Invalid, errs.Object, string(name)).Because(errs.Broken, msg)
}

// ParseManifest reads the target of a dynamic manifest: container/prefix.
func ParseManifest(target string) (container naming.ContainerName, prefix string, err error) {
	name, prefix, ok := strings.Cut(target, "/")
	if !ok || name == "" || prefix == "" || prefix[0] == '/' {
		return "", "", errs.E("backend.ParseManifest", errs.Invalid, errs.Object, "").Because(errs.BadSyntax, "a manifest names container/prefix")
	}
	container, err = naming.ParseContainer(name)
	return container, prefix, err
}

// gather finds the segments of a dynamic manifest.
func (b *Backend) gather(ctx context.Context, c Caller, o *Object) error {
	container, prefix, err := ParseManifest(o.Target)
	if err != nil {
		return err
	}
	ref := Ref{Account: o.Container.Account, Name: container}
	sum := md5.New()
	v := *o.Version
	o.own = v.Size
	v.Size, v.Parts, v.Checksums, v.RootHash = 0, nil, nil, [32]byte{}
	o.segments = []segment{}
	for after, more := "", true; more; {
		page, err := b.List(ctx, c, ListRequest{Container: ref, View: meta.View{Kind: meta.ViewCurrent}, Prefix: prefix, After: after, Limit: 1000})
		if err != nil {
			return b.hideFrom(c, Target{Container: ref}, err)
		}
		if len(o.segments)+len(page.Entries) > SegmentsMax {
			return errs.E("", errs.TooLarge, errs.Object, string(o.Name)).Because(errs.EntityTooLarge, "the manifest has too many segments")
		}
		for i := range page.Entries {
			s, etag, err := b.segment(ctx, c, ref, &page.Entries[i])
			if err != nil {
				return err
			}
			_, _ = sum.Write([]byte(etag))
			v.Size += s.size
			o.segments = append(o.segments, s)
		}
		after, more = page.NextAfter, page.Truncated
	}
	v.ETag = hex.EncodeToString(sum.Sum(nil)) + "-" + strconv.Itoa(len(o.segments))
	o.Version = &v
	return nil
}

// segment is the segment that an entry of the listing is. Another dynamic manifest counts as its own bytes.
func (b *Backend) segment(ctx context.Context, c Caller, ref Ref, entry *object.Summary) (segment, string, error) {
	t := Target{Container: ref, Name: entry.Name, Which: meta.Which{By: meta.ByID, ID: entry.ID}}
	if entry.Kind != object.Link {
		return segment{target: t, size: entry.Size}, PlainETag(entry), nil
	}
	o, err := b.Open(ctx, c, t, object.Precondition{}, access.GetObject)
	if err == nil {
		o, err = b.follow(ctx, c, o, access.GetObject)
	}
	if err != nil {
		return segment{}, "", brokenManifest(entry.Name, "a segment of the large object cannot be read").With(err)
	}
	return segment{target: t, size: o.Size, open: o}, PlainETag(&o.Summary), nil
}

// PlainETag is the ETag without the number of segments that those of large objects carry.
func PlainETag(s *object.Summary) string {
	if s.Kind == object.StaticManifest || s.Kind == object.DynamicManifest {
		plain, _, _ := strings.Cut(s.ETag, "-")
		return plain
	}
	return s.ETag
}

// each calls fn for the ranges of stored content that [off, off+n) of the object is made of, in order.
func (o *Object) each(ctx context.Context, off, n int64, fn func(part *Object, off, n int64) error) error {
	if o.segments == nil {
		return fn(o, off, n)
	}
	for i := range o.segments {
		s := &o.segments[i]
		if off >= s.size {
			off -= s.size
			continue
		}
		if n == 0 {
			break
		}
		part := s.open
		if part == nil {
			var err error
			if part, err = o.b.Open(ctx, o.reader, s.target, object.Precondition{}, access.GetObject); err != nil {
				return brokenManifest(o.Name, "a segment of the large object cannot be read").With(err)
			}
			if err := o.b.mayReadSegments(ctx, o.reader, part); err != nil {
				return err
			}
		}
		take := min(n, s.size-off)
		if err := fn(part, off, take); err != nil {
			return err
		}
		off, n = 0, n-take
	}
	return nil
}

// Document reads the document of a static manifest; nil for what has none.
func (o *Object) Document(ctx context.Context) ([]byte, error) {
	m := o.Content.Document
	if len(m.Refs) == 0 {
		return nil, nil
	}
	var out strings.Builder
	err := o.b.copyMap(ctx, &out, o.Name, m, 0, m.Size())
	return []byte(out.String()), fail("backend.Object.Document", err)
}

// At names the very version that the object is.
func (o *Object) At() Target {
	return Target{
		Container: Ref{Account: o.Container.Account, Name: o.Container.Name}, Name: o.Name, Which: meta.Which{By: meta.ByID, ID: o.ID},
	}
}
