package pithos

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

func asMissing(err error, m **backend.MissingError) bool { return errors.As(err, m) }

// place reads "/container/object".
func place(text string) (naming.ContainerName, naming.ObjectName, error) {
	rest, ok := strings.CutPrefix(text, "/")
	first, second, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 || first == "" || second == "" {
		return "", "", bad("The path is not of the form /container/object")
	}
	container, err := naming.ParseContainer(first)
	if err != nil {
		return "", "", err
	}
	name, err := naming.ParseObject(second)
	return container, name, err
}

// account reads a header that names an account; without it the caller's own is meant.
func (c *call) account(header string) (naming.AccountID, error) {
	if text := c.headers[header]; text != "" {
		return naming.ParseAccount(strings.TrimPrefix(text, reseller))
	}
	return c.caller.Account, nil
}

// sourceVersion reads X-Source-Version. Old versions are the owner's alone (Pithos+ 1.8).
func (c *call) sourceVersion() (meta.Which, error) {
	text := c.h("X-Source-Version")
	if text == "" {
		return meta.Which{}, nil
	}
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return meta.Which{}, refusal(http.StatusNotFound, "There is no such version")
	}
	return meta.Which{By: meta.ByID, ID: object.VersionID(id)}, nil
}

// putFrom is PUT with X-Copy-From or X-Move-From (Pithos+ 8.3).
func (c *call) putFrom(ctx context.Context) (*reply, error) {
	if !c.has("Content-Length") && len(c.r.TransferEncoding) == 0 && c.r.ContentLength <= 0 {
		return nil, refusal(http.StatusLengthRequired, "Missing Content-Length header")
	}
	move := c.has("X-Move-From") && !c.has("X-Copy-From")
	header := "X-Copy-From"
	if move {
		header = "X-Move-From"
	}
	var t transfer
	t.move, t.r.If = move, c.writeCondition()
	t.r.Container, t.r.Name = c.ref(), c.name
	account, err := c.account("X-Source-Account")
	if err != nil {
		return nil, err
	}
	container, name, err := place(c.headers[header])
	if err != nil {
		return nil, err
	}
	t.r.Source = backend.Target{Container: backend.Ref{Account: account, Name: container}, Name: name}
	return c.transfer(ctx, t)
}

// copyObject is COPY and MOVE (Pithos+ 8.3).
func copyObject(ctx context.Context, c *call) (*reply, error) {
	var t transfer
	t.move = c.r.Method == moveMethod
	cond := c.writeCondition()
	t.r.Source, t.r.SourceIf = c.target(), object.Precondition{IfMatch: cond.IfMatch, IfNoneMatch: cond.IfNoneMatch}
	account, err := c.account("Destination-Account")
	if err != nil {
		return nil, err
	}
	if c.headers["Destination"] == "" {
		return nil, bad("The Destination header is missing")
	}
	container, name, err := place(c.headers["Destination"])
	if err != nil {
		return nil, err
	}
	t.r.Container, t.r.Name = backend.Ref{Account: account, Name: container}, name
	return c.transfer(ctx, t)
}

// transfer is a copy or move.
type transfer struct {
	r    backend.CopyRequest
	move bool
}

func (c *call) transfer(ctx context.Context, t transfer) (*reply, error) {
	if t.move && t.r.Source.Container.Account != c.caller.Account && !c.caller.Operator {
		return nil, forbidden() // before it is looked whether the target is there
	}
	if _, err := c.door.b.Found(ctx, t.r.Container); err != nil {
		c.tells = true
		return nil, err
	}
	if !t.move {
		which, err := c.sourceVersion()
		if err != nil {
			return nil, err
		}
		t.r.Source.Which = which
	}
	share, err := c.shareGiven()
	if err != nil {
		return nil, err
	}
	t.r.Attributes.Owner = t.r.Container.Account
	t.r.Change = func(source *object.Version, a *backend.Attributes) error {
		a.Share = share
		return c.changeAttributes(source, a, true, !c.given("ignore_content_type"))
	}
	v, err := c.carryOut(ctx, t)
	if err != nil {
		return nil, err
	}
	c.set("X-Object-Version", strconv.FormatUint(uint64(v.ID), 10))
	return empty(http.StatusCreated), nil
}

func (c *call) carryOut(ctx context.Context, t transfer) (*object.Version, error) {
	if d := c.query.Get("delimiter"); d != "" {
		return c.door.b.CopyTree(ctx, c.caller, t.r, backend.Tree{Delimiter: d, Move: t.move})
	}
	if t.move {
		return c.door.b.Move(ctx, c.caller, t.r)
	}
	v, _, err := c.door.b.Copy(ctx, c.caller, t.r)
	return v, err
}

// changeAttributes applies the headers of the request to an object's attributes: merged, where an empty value deletes, or replaced. withType takes
// the content type too.
func (c *call) changeAttributes(v *object.Version, a *backend.Attributes, merge, withType bool) error {
	if withType && c.h("Content-Type") != "" {
		a.ContentType = c.h("Content-Type")
	}
	given := c.metadata("X-Object-Meta-", merge)
	user, err := mergeMeta(v.Meta[object.UserMeta], given, merge)
	if err != nil {
		return err
	}
	m := map[object.Domain]map[string]string{}
	for domain, values := range v.Meta {
		if domain != object.UserMeta {
			m[domain] = values // other domains are copied unchanged (Pithos+ 1.11)
		}
	}
	if len(user) > 0 {
		m[object.UserMeta] = user
	}
	a.Meta = m
	for header, field := range map[string]*string{
		"Content-Encoding": &a.Headers.ContentEncoding, "Content-Disposition": &a.Headers.ContentDisposition,
	} {
		if c.has(header) || !merge {
			*field = c.headers[header]
		}
	}
	if c.has("X-Object-Manifest") || !merge && a.Kind == object.DynamicManifest {
		a.Kind, a.Target = object.Data, ""
		if target := c.headers["X-Object-Manifest"]; target != "" {
			a.Kind, a.Target = object.DynamicManifest, target
		}
	}
	return nil
}

// deleteObject deletes or purges (Pithos+ 8.5).
func deleteObject(ctx context.Context, c *call) (*reply, error) {
	if err := c.mustOwn(); err != nil {
		return nil, err
	}
	cond := c.writeCondition()
	at, purge := c.until()
	var err error
	switch delimiter := c.query.Get("delimiter"); {
	case purge:
		_, err = c.door.b.Purge(ctx, c.caller, c.ref(), c.name, at, true)
	case delimiter != "":
		err = c.door.b.DeleteTree(ctx, c.caller, c.ref(), c.name, delimiter, cond)
	default:
		err = c.deleteOne(ctx, cond)
	}
	if err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}

func (c *call) deleteOne(ctx context.Context, cond object.Precondition) error {
	if _, err := c.door.b.Open(ctx, c.caller, c.target(), object.Precondition{}, access.GetObject); err != nil && errs.Is(err, errs.NotFound) {
		return err
	}
	if cond.IsZero() {
		cond.IfMatch = []string{"*"} // what was deleted already is 404
	}
	_, err := c.door.b.Delete(ctx, c.caller, backend.DeleteRequest{Target: c.target(), If: cond})
	return err
}
