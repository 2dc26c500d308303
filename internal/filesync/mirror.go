package filesync

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"pithos/internal/errs"
)

// Limits of following a container.
const (
	statsMax  = 1000 // changed objects that are looked at one by one; beyond, listing is cheaper
	statsOnce = 8    // at once
)

// mirror keeps the container's objects in the state, as far as the point.
type mirror struct {
	state   *state
	service Service
	noFeed  bool      // the user may not follow the container
	listed  time.Time // when it was last listed
	offset  [2]int64  // by how much the service counts more objects and bytes than it lists
}

// refresh brings the mirror up to date. full lists all objects, whatever the list of changes says.
func (m *mirror) refresh(ctx context.Context, now time.Time, full bool) error {
	if full || m.state.point() == "" || m.noFeed {
		return m.relist(ctx, now)
	}
	for {
		feed, err := m.service.Changes(ctx, m.state.point(), 0)
		if errs.Is(err, errs.Invalid) || errs.Is(err, errs.NotFound) || errs.Is(err, errs.Denied) {
			return m.relist(ctx, now) // the point is too old, or of another container
		}
		if err != nil {
			return err
		}
		var names []string // that the feed does not tell enough of
		news := m.unknown(feed)
		for _, c := range news {
			if !c.Deleted && c.Object == nil {
				names = append(names, c.Name)
			}
		}
		if len(names) > statsMax {
			return m.relist(ctx, now)
		}
		if err := m.lookAt(ctx, names); err != nil {
			return err
		}
		for _, c := range news {
			if c.Deleted || c.Object != nil {
				m.state.setMirror(c.Name, c.Object)
			}
		}
		m.state.setPoint(feed.Next)
		if !feed.More {
			break
		}
	}
	return m.check(ctx, now)
}

// unknown are the last changes of those names of a feed of which it tells something new.
func (m *mirror) unknown(feed *Feed) []Changed {
	newest := map[string]Changed{}
	for _, c := range feed.Changes {
		if c.Version >= newest[c.Name].Version {
			newest[c.Name] = c
		}
	}
	var news []Changed
	for name, c := range newest {
		o := m.state.object(name)
		if c.Deleted && o == nil || o != nil && o.Version >= c.Version {
			continue
		}
		news = append(news, c)
	}
	return news
}

// lookAt asks for objects one by one.
func (m *mirror) lookAt(ctx context.Context, names []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(statsOnce)
	for _, name := range names {
		group.Go(func() error {
			o, err := m.service.Stat(ctx, name)
			if err != nil {
				return err
			}
			m.state.setMirror(name, o)
			return nil
		})
	}
	return group.Wait()
}

// relist reads the whole container. The point is taken first: what changes meanwhile is told again.
func (m *mirror) relist(ctx context.Context, now time.Time) error {
	point, err := m.service.Now(ctx)
	m.noFeed = errs.Is(err, errs.Denied)
	if err != nil && !m.noFeed {
		return err
	}
	found := map[string]*Object{}
	for o, err := range m.service.List(ctx) {
		if err != nil {
			return err
		}
		found[o.Name] = o
	}
	known := m.state.objects()
	for name := range known {
		if found[name] == nil {
			m.state.setMirror(name, nil)
		}
	}
	for name, o := range found {
		old := known[name]
		if old == nil || old.Version != o.Version || old.UUID != o.UUID || old.Root != o.Root || old.Size != o.Size || old.Type != o.Type {
			m.state.setMirror(name, o)
		}
	}
	m.state.setPoint(point)
	m.listed = now
	return nil
}

// check compares the number and size of objects with what the service counts. They differ when history was purged, or the container was made anew: then the list
// of changes has not told everything.
func (m *mirror) check(ctx context.Context, now time.Time) error {
	objects, bytes, known, err := m.service.Totals(ctx)
	if err != nil || !known {
		return err
	}
	if m.difference(objects, bytes) == m.offset {
		return nil
	}
	// A change that was made between the two questions is no reason to list: ask again.
	feed, err := m.service.Changes(ctx, m.state.point(), 0)
	if err != nil || len(m.unknown(feed)) > 0 || feed.More {
		return err
	}
	if err := m.relist(ctx, now); err != nil {
		return err
	}
	if objects, bytes, known, err = m.service.Totals(ctx); err != nil || !known {
		return err
	}
	m.offset = m.difference(objects, bytes)
	return nil
}

func (m *mirror) difference(objects, bytes int64) [2]int64 {
	for _, o := range m.state.objects() {
		objects--
		bytes -= o.Size
	}
	return [2]int64{objects, bytes}
}

// view is the mirror in the form that plans compare. Names that cannot be local files are skipped.
func (m *mirror) view(rules Rules, ignore *Ignore, links bool) (map[string]*Remote, []Skip) {
	var skips []Skip
	objects := m.state.objects()
	remote := make(map[string]*Remote, len(objects))
	for name, o := range objects {
		r := remoteOf(o)
		base, slash := strings.CutSuffix(name, "/")
		if slash && o.Size == 0 && rules.refuse(base) == "" && !strings.HasSuffix(base, "/") {
			if old := remote[base]; old == nil && objects[base] == nil && !ignore.Match(base, true) {
				remote[base] = &Remote{Content: Content{Kind: Folder}, Implied: true, Marker: true}
			}
			continue
		}
		if why := rules.refuse(name); why != "" {
			skips = append(skips, Skip{name, why})
			continue
		}
		if ignore.Match(name, r.Kind == Folder) {
			continue
		}
		if r.Kind == Link && !links {
			r = &Remote{Content: Content{Kind: Odd}, Why: "it is a symbolic link (see --links)"}
		}
		remote[name] = r
	}
	return remote, skips
}

func remoteOf(o *Object) *Remote {
	return &Remote{Content: contentOf(o), UUID: o.UUID, Version: o.Version, By: o.By, At: o.At}
}

// contentOf is what an object is here.
func contentOf(o *Object) Content {
	kind, _, _ := strings.Cut(o.Type, ";")
	switch kind = strings.TrimSpace(kind); {
	case (kind == FolderType || kind == "application/folder") && o.Size == 0:
		return Content{Kind: Folder}
	case kind == LinkType && o.Size > 0 && o.Size < pathMax:
		return Content{Kind: Link, Size: o.Size, Root: o.Root}
	}
	return Content{Kind: File, Size: o.Size, Root: o.Root}
}
