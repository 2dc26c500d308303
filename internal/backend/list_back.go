package backend

import (
	"context"
	"slices"
	"strings"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// backLine is an entry or a common prefix of a page in descending order.
type backLine struct {
	name  string
	entry *object.Summary // nil: a common prefix
}

// listBack gives a page in descending order.
func (b *Backend) listBack(ctx context.Context, container naming.ContainerID, r *ListRequest) (Page, error) {
	if r.View.Kind != meta.ViewCurrent && r.View.Kind != meta.ViewAll {
		return Page{}, errs.E("", errs.Invalid, errs.Request, "")
	}
	cur := b.stores.Meta.Scan(ctx, container, r.View)
	defer cur.Close()
	var lines []backLine
	var err error
	if back, ok := cur.(meta.Backward); ok {
		lines, err = r.walkBack(ctx, back)
	} else {
		lines, err = r.walkOver(ctx, cur)
	}
	if err != nil {
		return Page{}, err
	}
	var page Page
	if page.Truncated = len(lines) > r.Limit; page.Truncated {
		lines = lines[:r.Limit]
	}
	for _, l := range lines {
		page.NextAfter, page.NextVersion = l.name, 0
		if l.entry != nil {
			page.Entries, page.NextVersion = append(page.Entries, *l.entry), l.entry.ID
		} else {
			page.Prefixes = append(page.Prefixes, l.name)
		}
	}
	return page, nil
}

// walkBack collects the lines of a page and one more, the greatest first. A common prefix is passed in one step.
func (r *ListRequest) walkBack(ctx context.Context, cur meta.Backward) (lines []backLine, err error) {
	pos := meta.Position{Name: naming.ObjectName(r.After), ID: r.AfterVersion}
	if end, ok := naming.After(r.Prefix); ok && r.Prefix != "" && (r.After == "" || r.After > end) {
		pos = meta.Position{Name: naming.ObjectName(end)}
	}
	for len(lines) <= r.Limit {
		e, err := cur.Before(ctx, pos)
		if err != nil {
			return nil, err
		}
		if e == nil || string(e.Name) <= r.Until || !strings.HasPrefix(string(e.Name), r.Prefix) {
			break
		}
		if pos = (meta.Position{Name: e.Name, ID: e.ID}); Trace(e) {
			continue
		}
		l := r.lineOf(e)
		if lines = append(lines, l); l.entry == nil {
			pos = meta.Position{Name: naming.ObjectName(l.name)}
		}
	}
	return lines, nil
}

// walkOver collects the same where the cursor goes forwards only: it passes all and keeps the last.
func (r *ListRequest) walkOver(ctx context.Context, cur meta.Cursor) (lines []backLine, err error) {
	if from := max(r.Until, r.Prefix); from != "" {
		cur.Seek(meta.Position{Name: naming.ObjectName(from)})
	}
	for {
		e, err := cur.Next(ctx)
		if err != nil {
			return nil, err
		}
		if e == nil || !r.before(e) || !strings.HasPrefix(string(e.Name), r.Prefix) {
			break
		}
		if Trace(e) || string(e.Name) == r.Until && r.Until != "" {
			continue
		}
		l := r.lineOf(e)
		if len(lines) > 2*r.Limit+64 {
			lines = slices.Clone(lines[len(lines)-r.Limit-1:])
		}
		lines = append(lines, l)
		if l.entry != nil {
			continue
		}
		next, ok := naming.After(l.name)
		if !ok {
			break
		}
		cur.Seek(meta.Position{Name: naming.ObjectName(next)})
	}
	slices.Reverse(lines)
	return lines, nil
}

// before tells whether an entry stands before where the page begins.
func (r *ListRequest) before(e *object.Summary) bool {
	name := string(e.Name)
	return r.After == "" || name < r.After || name == r.After && r.View.Kind == meta.ViewAll && r.AfterVersion != 0 && e.ID > r.AfterVersion
}

// lineOf is what stands in the page for an entry.
func (r *ListRequest) lineOf(e *object.Summary) backLine {
	if common, ok := commonPrefix(string(e.Name), r.Prefix, r.Delimiter); ok {
		return backLine{name: common}
	}
	return backLine{name: string(e.Name), entry: e}
}
