package swift

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// segmentsSuffix ends the name of the container in which Swift's s3api keeps a bucket's open uploads. Here they are no objects, and stand in no container; who
// looks for them under that name, to find what was left behind, is shown them all the same, for reading only.
const segmentsSuffix = "+segments"

// segmentsMax bounds the uploads and parts of one list: they are sorted in memory.
const segmentsMax = 100000

// listUploads answers GET and HEAD of a container that is not there, as missing tells, with the open uploads of the bucket that it is named after: KEY/ID for an upload and
// KEY/ID/NUMBER for a part. Errors: missing, where there is nothing of the kind to see; 413 for more than segmentsMax of them.
func (c *call) listUploads(ctx context.Context, q listing, missing error) (*reply, error) {
	of, ok := strings.CutSuffix(string(c.container), segmentsSuffix)
	if !ok || of == "" || !errs.IsThing(missing, errs.NotFound, errs.Container) {
		return nil, missing
	}
	entries, err := c.openUploads(ctx, backend.Ref{Account: c.owner, Name: naming.ContainerName(of)})
	switch {
	case errs.Is(err, errs.NotFound), errs.Is(err, errs.Denied):
		return nil, missing
	case err != nil:
		return nil, err
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	var bytes int64
	f := newFold(q)
	for _, e := range entries {
		bytes += e.object.Size
		if _, deeper := q.common(e.name); !f.full() && !(q.children && deeper) {
			f.add(e)
		}
	}
	c.setInt("X-Container-Object-Count", int64(len(entries)))
	c.setInt("X-Container-Bytes-Used", bytes)
	return c.list(q, "container", string(c.container), f.done())
}

// openUploads gives the open uploads of a container, with their parts.
func (c *call) openUploads(ctx context.Context, of backend.Ref) (entries []entry, err error) {
	add := func(name string, at time.Time, size int64, etag string) {
		entries = append(entries, entry{name: name, modified: at, object: &object.Summary{Size: size, ETag: etag}})
	}
	for page := (backend.UploadPage{Truncated: true}); page.Truncated; {
		if page, err = c.door.b.Uploads(ctx, c.caller, of, "", "", page.NextName, page.NextID, pageMax); err != nil {
			return nil, err
		}
		for i := range page.Uploads {
			u := &page.Uploads[i]
			name := string(u.Name) + "/" + u.ID
			add(name, u.Initiated, 0, emptyMD5)
			for after, more := 0, true; more; {
				var parts []object.Part
				_, parts, more, err = c.door.b.Parts(ctx, c.caller, of, u.Name, u.ID, after, pageMax)
				if errs.IsThing(err, errs.NotFound, errs.Upload) {
					break // it ended meanwhile
				}
				if err != nil {
					return nil, err
				}
				for _, p := range parts {
					add(name+"/"+strconv.Itoa(p.Number), p.Modified, p.Size, p.ETag)
					after = p.Number
				}
			}
			if len(entries) > segmentsMax {
				return nil, refusal(http.StatusRequestEntityTooLarge, "More than "+strconv.Itoa(segmentsMax)+" parts of open uploads; list them by S3")
			}
		}
	}
	return entries, nil
}
