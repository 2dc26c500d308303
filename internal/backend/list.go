package backend

import (
	"context"
	"strings"

	"pithos/internal/access"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// List gives one page of objects or versions.
//
// A common prefix is a name's beginning up to and with the first delimiter behind Prefix. It stands in the page once, in the place of all
// names that begin with it, and is passed in one step whatever lies under it. If After lies under a common prefix, that prefix is
// not greater than After and does not come again. With Reverse it comes as long as there are names under it that are less.
//
// With Reverse a page costs what it shows where the metastore can walk back (meta.Backward), else a walk over the entries of the container between
// the bounds. Errors: Invalid/Request for Reverse in a view that is neither ViewCurrent nor ViewAll.
func (b *Backend) List(ctx context.Context, c Caller, r ListRequest) (Page, error) {
	const op = "backend.List"
	action := access.ListBucketVersions
	if r.View.Kind == meta.ViewCurrent {
		action = access.ListBucket
	}
	container, err := b.Container(ctx, c, r.Container, action)
	if err != nil {
		return Page{}, fail(op, err)
	}
	if r.Limit <= 0 {
		return Page{}, nil
	}
	r.reckon()
	if r.Reverse {
		page, err := b.listBack(ctx, container.ID, &r)
		return page, fail(op, err)
	}
	start, ok := r.start()
	if !ok {
		return Page{}, nil
	}
	cur := b.stores.Meta.Scan(ctx, container.ID, r.View)
	defer cur.Close()
	cur.Seek(start)
	page, err := r.page(ctx, cur)
	return page, fail(op, err)
}

// beforeFolders is how many entries a page with a delimiter asks for at once: they may all lie under one common prefix.
const beforeFolders = 100

// reckon says in the view what the page will take of it.
func (r *ListRequest) reckon() {
	r.View.Want = r.Limit + 1
	if r.Delimiter != "" {
		r.View.Want = min(r.View.Want, beforeFolders)
	}
	if end, ok := naming.After(r.Prefix); ok && r.Prefix != "" {
		r.View.Below = naming.ObjectName(end)
	}
}

func (r *ListRequest) page(ctx context.Context, cur meta.Cursor) (Page, error) {
	var page Page
	for {
		e, err := cur.Next(ctx)
		if err != nil {
			return Page{}, err
		}
		if e == nil || !strings.HasPrefix(string(e.Name), r.Prefix) {
			return page, nil
		}
		if Trace(e) {
			continue
		}
		if len(page.Entries)+len(page.Prefixes) == r.Limit {
			page.Truncated = true
			return page, nil
		}
		common, ok := commonPrefix(string(e.Name), r.Prefix, r.Delimiter)
		if !ok {
			page.Entries = append(page.Entries, *e)
			page.NextAfter, page.NextVersion = string(e.Name), e.ID
			continue
		}
		page.Prefixes = append(page.Prefixes, common)
		page.NextAfter, page.NextVersion = common, 0
		next, ok := naming.After(common)
		if !ok {
			return page, nil
		}
		cur.Seek(meta.Position{Name: naming.ObjectName(next)})
	}
}

// start is the position of the first entry that the page may show; ok is false when there can be none.
func (r *ListRequest) start() (pos meta.Position, ok bool) {
	name, ok := startAfter(r.After, r.Prefix, r.Delimiter)
	if !ok {
		return meta.Position{}, false
	}
	if r.AfterVersion > 1 && name == r.After+"\x00" {
		return meta.Position{Name: naming.ObjectName(r.After), ID: r.AfterVersion - 1}, true
	}
	return meta.Position{Name: naming.ObjectName(name)}, true
}

// startAfter is the smallest name that a page may show whose entries and common prefixes are all greater than after.
func startAfter(after, prefix, delimiter string) (name string, ok bool) {
	if after < prefix {
		return prefix, true
	}
	if !strings.HasPrefix(after, prefix) {
		return "", false // every name with the prefix is smaller
	}
	if after == "" {
		return "", true
	}
	if common, ok := commonPrefix(after, prefix, delimiter); ok {
		return naming.After(common)
	}
	return after + "\x00", true
}

// commonPrefix is the beginning of name up to and with the first delimiter behind prefix.
func commonPrefix(name, prefix, delimiter string) (string, bool) {
	if delimiter == "" {
		return "", false
	}
	i := strings.Index(name[len(prefix):], delimiter)
	if i < 0 {
		return "", false
	}
	return name[:len(prefix)+i+len(delimiter)], true
}
