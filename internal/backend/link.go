package backend

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// LinksMax is how many links are followed from one name, one after another.
const LinksMax = 2

// Link says where a link (object.Link) leads. It stands in the note of the link's version, so that listings can show it.
type Link struct {
	Account   naming.AccountID // "": the account of the link itself
	Container naming.ContainerName
	Name      naming.ObjectName
	// ETag, if set, is the ETag that the target must have; for a static manifest, the MD5 of its document. Bytes and Whole are what the target was
	// when the link was made: its size, and for a static manifest its own ETag.
	ETag  string
	Bytes int64
	Whole string
}

// Encode is the link as a note has it.
func (l *Link) Encode() string {
	q := url.Values{"container": {string(l.Container)}, "name": {string(l.Name)}}
	if l.Account != "" {
		q.Set("account", string(l.Account))
	}
	if l.ETag != "" {
		q.Set("etag", l.ETag)
		q.Set("bytes", strconv.FormatInt(l.Bytes, 10))
	}
	if l.Whole != "" {
		q.Set("whole", l.Whole)
	}
	return q.Encode()
}

// ParseLink reads what Encode wrote. Corrupt when it is no link.
func ParseLink(note string) (Link, error) {
	q, err := url.ParseQuery(note)
	if err != nil || q.Get("container") == "" || q.Get("name") == "" {
		return Link{}, errs.E("backend.ParseLink", errs.Corrupt, errs.Version, "").With(err)
	}
	l := Link{
		Account: naming.AccountID(q.Get("account")), Container: naming.ContainerName(q.Get("container")), Name: naming.ObjectName(q.Get("name")),
		ETag: q.Get("etag"), Whole: q.Get("whole"),
	}
	if q.Has("bytes") {
		if l.Bytes, err = strconv.ParseInt(q.Get("bytes"), 10, 64); err != nil {
			return Link{}, errs.E("backend.ParseLink", errs.Corrupt, errs.Version, "").With(err)
		}
	}
	return l, nil
}

// Target is where the link leads, for a link in an account.
func (l *Link) Target(of naming.AccountID) Target {
	account := l.Account
	if account == "" {
		account = of
	}
	return Target{Container: Ref{Account: account, Name: l.Container}, Name: l.Name}
}

// LinkError is in the chain of an error that was met behind a link: At is the last target that was looked at.
type LinkError struct {
	At  Target
	Err error
}

func (e *LinkError) Error() string { return "behind a link: " + e.Err.Error() }

func (e *LinkError) Unwrap() error { return e.Err }

// behind says that err was met at a target that a link led to.
func behind(at Target, err error) error {
	var known *LinkError
	if errors.As(err, &known) {
		return err
	}
	return &LinkError{at, err}
}

// brokenLink is the error of a link that leads to nothing that it may.
func brokenLink(name naming.ObjectName, msg string) error {
	return errs.E("", errs.Invalid, errs.Object, string(name)).Because(errs.Broken, msg)
}

// follow opens what links lead to, beginning with the one that o is. The caller is asked about at every step, with the same rights as if it named
// the target itself. After it o is no link; o.Via tells the way.
//
// Errors: those of Open; Invalid/Broken after too many links, or when a link demands an ETag that its target does not have.
func (b *Backend) follow(ctx context.Context, c Caller, o *Object, a access.Action) (*Object, error) {
	var via []Target
	for o.Kind == object.Link {
		l, err := ParseLink(o.Note)
		if err != nil {
			return nil, err
		}
		t := l.Target(o.Container.Account)
		if len(via) == LinksMax {
			return nil, behind(via[len(via)-1], brokenLink(o.Name, "Too many levels of symbolic links, maximum allowed is "+strconv.Itoa(LinksMax)))
		}
		via = append(via, t)
		next, err := b.Open(ctx, c, t, object.Precondition{}, a)
		if err != nil {
			return nil, behind(t, b.hideFrom(c, t, err))
		}
		if err := l.check(next.Version); err != nil {
			return nil, behind(t, err)
		}
		o = next
	}
	o.Via = via
	return o, nil
}

// hideFrom keeps from strangers which containers another account has.
func (b *Backend) hideFrom(c Caller, t Target, err error) error {
	if !errs.IsThing(err, errs.NotFound, errs.Container) {
		return err
	}
	owner := access.Resource{Account: t.Container.Account}
	if access.Decide(access.Request{Principal: c.Principal, Action: access.ListAllMyBuckets, Resource: owner}).Allowed {
		return err
	}
	return errs.E("", errs.Denied, errs.Container, string(t.Container.Name)).With(err)
}

// check tests whether a version is what the link demands.
func (l *Link) check(v *object.Version) error {
	if l.ETag == "" {
		return nil
	}
	if v.Kind == object.Link {
		next, err := ParseLink(v.Note)
		if err != nil {
			return err
		}
		if next.ETag != "" && next.ETag != l.ETag || next.ETag == "" && v.ETag != l.ETag {
			return brokenLink(v.Name, "X-Symlink-Target-Etag headers do not match")
		}
		return nil
	}
	if have := Sum(v); have != l.ETag {
		return brokenLink(v.Name, "Object Etag '"+have+"' does not match X-Symlink-Target-Etag header '"+l.ETag+"'")
	}
	return nil
}

// Sum is the ETag of a version's own bytes: of a static manifest, the MD5 of its document.
func Sum(v *object.Version) string {
	return SumOf(&v.Summary)
}

// SumOf is Sum of a summary.
func SumOf(s *object.Summary) string {
	if s.Kind == object.StaticManifest {
		return NoteValue(s.Note, noteSum)
	}
	return s.ETag
}

// OpenFollowed opens a name for reading and follows links; a dynamic manifest is opened as its own bytes. Errors: as OpenWhole.
func (b *Backend) OpenFollowed(ctx context.Context, c Caller, t Target, a access.Action) (*Object, error) {
	const op = "backend.OpenFollowed"
	o, err := b.Open(ctx, c, t, object.Precondition{}, a)
	if err == nil && o.Kind == object.Link {
		o, err = b.follow(ctx, c, o, a)
	}
	return o, fail(op, err)
}

// OpenPinned opens the target of a link that demands an ETag. A link that demands one itself is followed to its end, one that does not is the target
// itself. Errors: as OpenWhole.
func (b *Backend) OpenPinned(ctx context.Context, c Caller, t Target, etag string, a access.Action) (*Object, error) {
	const op = "backend.OpenPinned"
	o, err := b.Open(ctx, c, t, object.Precondition{}, a)
	if err != nil {
		return nil, fail(op, err)
	}
	if err := (&Link{ETag: etag}).check(o.Version); err != nil {
		return nil, fail(op, behind(t, err))
	}
	if o.Kind == object.Link {
		l, err := ParseLink(o.Note)
		if err == nil && l.ETag != "" {
			o, err = b.follow(ctx, c, o, a)
		}
		if err != nil {
			return nil, fail(op, err)
		}
	}
	return o, nil
}
