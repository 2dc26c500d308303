package swift

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// deleteBufferMax bounds the objects that one request deletes together with its manifest.
const deleteBufferMax = 10 * manifestSegmentsMax

// deleteManifest serves DELETE with multipart-manifest=delete: the segments, those of nested manifests, and the manifest.
func (c *call) deleteManifest(ctx context.Context) (*reply, error) {
	if flag(c.query.Get("async")) {
		return c.deleteAsync(ctx)
	}
	f := c.reportFormat()
	r := &manifestReport{root: "delete"}
	tally := deletion{c: c, r: r}
	root, err := c.versioned(ctx, c.target())
	if err != nil {
		return nil, err
	}
	tally.run(ctx, root)
	status, body := http.StatusOK, ""
	switch {
	case tally.fatal != 0:
		status = tally.fatal
	case len(r.errors) > 0:
		status = http.StatusBadRequest
		if tally.serverErrors {
			status = http.StatusBadGateway
		}
	case tally.deleted == 0 && tally.missing == 0:
		status, body = http.StatusBadRequest, "Invalid bulk delete."
	}
	r.facts = []fact{
		{"Number Deleted", tally.deleted}, {"Number Not Found", tally.missing}, {"Response Body", body}, {"Response Status", statusLine(status)},
	}
	c.set("Content-Type", f.contentType())
	return &reply{status: http.StatusOK, body: r.write(f)}, nil
}

// deletion is a manifest being deleted with its segments.
type deletion struct {
	c                *call
	r                *manifestReport
	deleted, missing int
	serverErrors     bool
	fatal            int // status that ended it
}

// doomed is an object to delete; a manifest comes after its segments.
type doomed struct {
	backend.Target
	manifest bool // its segments are to be found first
	after    bool // a manifest whose segments stand before it
}

func (d *deletion) run(ctx context.Context, root backend.Target) {
	queue := []doomed{{Target: root, manifest: true}}
	for len(queue) > 0 && d.fatal == 0 {
		if len(queue) > deleteBufferMax {
			d.r.errors = append(d.r.errors, [2]string{objectPath(root), "400 Bad Request: Too many buffered slo segments to delete."})
			return
		}
		next := queue[0]
		queue = queue[1:]
		if !next.manifest {
			n := 0 // segments that follow
			for !next.after && n < len(queue) && n < deletesAtOnce-1 && !queue[n].manifest && !queue[n].after {
				n++
			}
			d.delete(ctx, append([]doomed{next}, queue[:n]...))
			queue = queue[n:]
			continue
		}
		segments, err := d.c.segmentsOf(ctx, next.Target)
		if err != nil {
			d.refused(next.Target, err)
			continue
		}
		for _, s := range segments {
			t, err := d.c.segmentTarget(s.Name, root.Container.Account)
			if err == nil {
				queue = append(queue, doomed{Target: t, manifest: s.SubSLO})
			}
		}
		queue = append(queue, doomed{Target: next.Target, after: true})
	}
}

// refused notes a manifest that could not be read.
func (d *deletion) refused(t backend.Target, err error) {
	switch status := d.c.statusOfError(t.Container.Account, err); {
	case status == http.StatusNotFound:
		d.missing++
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		d.fatal = http.StatusUnauthorized
		d.r.errors = append(d.r.errors, [2]string{objectPath(t), statusLine(status)})
	default:
		text := statusLine(status)
		if msg := faultOf(err).msg; msg != "" {
			text = msg
		}
		d.r.errors = append(d.r.errors, [2]string{objectPath(t), text})
	}
}

// delete deletes objects, all at once, and notes in their order what became of them.
func (d *deletion) delete(ctx context.Context, all []doomed) {
	results := make([]error, len(all))
	which := make([]int, len(all))
	for i := range which {
		which[i] = i
	}
	_ = backend.AtOnce(which, func(i int) error {
		if all[i].Which.By == meta.ByID {
			_, results[i] = d.c.deleteVersion(ctx) // the one that the request names
		} else {
			results[i] = d.c.remove(ctx, all[i].Target)
		}
		return nil
	})
	for i, err := range results {
		d.note(all[i].Target, err)
	}
}

// note counts what became of an object.
func (d *deletion) note(t backend.Target, err error) {
	if err == nil {
		d.deleted++
		return
	}
	status := d.c.statusOfError(t.Container.Account, err)
	switch status {
	case http.StatusNotFound:
		d.missing++
		return
	case http.StatusUnauthorized:
		d.fatal = status
	}
	d.serverErrors = d.serverErrors || status >= http.StatusInternalServerError
	d.r.errors = append(d.r.errors, [2]string{objectPath(t), statusLine(status)})
}

// objectPath is a target as reports name it.
func objectPath(t backend.Target) string {
	return pathQuote("/" + string(t.Container.Name) + "/" + string(t.Name))
}

// segmentTarget is the object that a stored manifest names.
func (c *call) segmentTarget(name string, account naming.AccountID) (backend.Target, error) {
	container, object, ok := strings.Cut(strings.TrimLeft(name, "/"), "/")
	if !ok {
		return backend.Target{}, errs.E("swift.segmentTarget", errs.Corrupt, errs.Version, name)
	}
	return backend.Target{Container: backend.Ref{Account: account, Name: naming.ContainerName(container)}, Name: naming.ObjectName(object)}, nil
}

// segmentsOf reads the manifest of a static large object: the segments that are objects.
func (c *call) segmentsOf(ctx context.Context, t backend.Target) ([]listedSegment, error) {
	o, err := c.door.b.Open(ctx, c.caller, t, object.Precondition{}, access.GetObject)
	if err != nil {
		return nil, err
	}
	if o.Kind != object.StaticManifest {
		return nil, bad("Not an SLO manifest")
	}
	list, err := entriesOf(ctx, o)
	named := list[:0]
	for _, s := range list {
		if s.Name != "" {
			named = append(named, s)
		}
	}
	return named, err
}

// entriesOf reads the manifest of a static large object.
func entriesOf(ctx context.Context, o *backend.Object) ([]listedSegment, error) {
	raw, err := o.Document(ctx)
	if err != nil {
		return nil, err
	}
	var list []listedSegment
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errs.E("swift.entriesOf", errs.Corrupt, errs.Version, string(o.Name)).With(err)
	}
	return list, nil
}

// segmentsStand looks whether the segments that the ranges of a static large object came from are still there and unchanged, and may be read. The bytes are
// the object's own and would be right all the same, but Swift's clients count on the answer: 409.
func (c *call) segmentsStand(ctx context.Context, s *shown, ranges []wire.Range) error {
	if s.Kind != object.StaticManifest || !s.quoted {
		return nil
	}
	list, err := entriesOf(ctx, s.o)
	if err != nil {
		return err
	}
	if len(list) != len(s.Parts) {
		return errs.E("swift.segmentsStand", errs.Corrupt, errs.Version, string(s.Name))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(segmentsAtOnce)
	known := map[string]bool{}
	var off int64
	for i := range list {
		from, to := off, off+s.Parts[i].Size
		off = to
		if list[i].Name == "" || known[list[i].Name] || !touched(ranges, from, to) {
			continue
		}
		known[list[i].Name] = true
		g.Go(func() error { return c.segmentStands(ctx, s, &list[i]) })
	}
	return g.Wait()
}

// segmentsAtOnce is how many segments of a large object are looked up at the same time.
const segmentsAtOnce = 16

// segmentStands looks whether one segment of a static large object stands as its manifest says.
func (c *call) segmentStands(ctx context.Context, s *shown, of *listedSegment) error {
	t, err := c.segmentTarget(of.Name, s.o.Container.Account)
	if err != nil {
		return err
	}
	o, err := c.door.b.OpenWhole(ctx, c.caller, t, object.Precondition{}, access.GetObject)
	switch {
	case errs.Is(err, errs.NotFound), errs.Is(err, errs.Denied), errs.Is(err, errs.Invalid):
		return refusal(http.StatusConflict, "").because(err)
	case err != nil:
		return err
	case backend.PlainETag(&o.Summary) != of.Hash:
		return refusal(http.StatusConflict, "")
	}
	return nil
}

// touched tells whether one of the ranges, or the whole when there are none, has bytes of [from, to).
func touched(ranges []wire.Range, from, to int64) bool {
	for _, r := range ranges {
		if r.Start < to && r.Start+r.Length > from {
			return true
		}
	}
	return len(ranges) == 0
}

// deleteAsync serves DELETE with async=yes: 204 for the manifest. The segments are deleted at once too, which Swift leaves to a queue.
func (c *call) deleteAsync(ctx context.Context) (*reply, error) {
	segments, err := c.segmentsOf(ctx, c.target())
	if err != nil {
		return nil, err
	}
	targets := make([]backend.Target, len(segments))
	for i, s := range segments {
		if targets[i], err = c.segmentTarget(s.Name, c.owner); err != nil {
			return nil, err
		}
		switch {
		case targets[i].Container != targets[0].Container:
			return nil, bad("All segments must be in one container. Found segments in \"" +
				pathQuote(string(targets[0].Container.Name)) + "\", \"" + pathQuote(string(targets[i].Container.Name)) + "\"")
		case s.SubSLO:
			return nil, bad("No segments may be large objects.")
		}
	}
	if len(targets) > 0 {
		if _, err := c.door.b.Container(ctx, c.caller, targets[0].Container, access.DeleteObject); err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
	}
	if err := c.remove(ctx, c.target()); err != nil {
		return nil, err
	}
	var failed error
	for _, t := range targets {
		if err := c.remove(ctx, t); err != nil && !errs.Is(err, errs.NotFound) {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		return nil, refusal(http.StatusServiceUnavailable, "").because(failed)
	}
	return empty(http.StatusNoContent), nil
}
