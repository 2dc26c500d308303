package backend

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// SharedFilter says which objects a listing shows. Both fields set are a union.
type SharedFilter struct {
	Lists  bool // objects to which lists apply, their own or a folder's
	Public bool // objects with a public link
}

// ListShared is List, of current objects or those of a moment, for what is shared now. The owner sees what f says; whoever else asks sees exactly
// the objects that they may read, whatever f says. Its cost follows what is shared and not the size of the container.
//
// Errors: those of List; Denied when somebody who is not the owner asks for public links, or nothing in the container is shared with them.
func (b *Backend) ListShared(ctx context.Context, c Caller, r ListRequest, f SharedFilter) (Page, error) {
	const op = "backend.ListShared"
	container, err := b.find(ctx, r.Container)
	if err != nil {
		return Page{}, fail(op, err)
	}
	owner := b.may(ctx, c, access.ListBucket, container, "")
	if owner != nil && (!errs.Is(owner, errs.Denied) || f.Public || !container.Config.Shares) {
		return Page{}, fail(op, owner)
	}
	start, ok := r.start()
	if r.Limit <= 0 || !ok {
		return Page{}, nil
	}
	cur := &sharedCursor{b: b, container: container, seen: map[naming.ObjectName]object.Share{}, filter: f}
	if owner != nil {
		cur.reader = &c
		if cur.groups, err = b.groups(ctx, container.Account); err != nil {
			return Page{}, fail(op, err)
		}
	}
	if err := cur.findSpans(ctx); err != nil {
		return Page{}, fail(op, err)
	}
	cur.scan, cur.past = b.stores.Meta.Scan(ctx, container.ID, r.View), r.View.Kind == meta.ViewAsOf
	defer cur.Close()
	cur.Seek(start)
	page, err := r.page(ctx, cur)
	return page, fail(op, err)
}

// sharedCursor walks the current objects of a container that are shared. It reads only spans of names below paths that carry something.
type sharedCursor struct {
	b         *Backend
	container bucket.Container
	scan      meta.Cursor
	spans     []nameSpan
	filter    SharedFilter
	reader    *Caller // who asks, when not the owner
	groups    map[string][]string
	seen      map[naming.ObjectName]object.Share
	at        int  // span in which the scan stands
	past      bool // the scan shows an earlier moment; what is shared is that of now, since it belongs to the path
}

// nameSpan is the names from..to, to exclusive; "" is no end.
type nameSpan struct{ from, to string }

// findSpans collects where shared objects can be: at each path that carries something, and below it when it is a folder.
func (s *sharedCursor) findSpans(ctx context.Context) error {
	paths := 0
	err := s.b.walkHints(ctx, hintCarrier+s.container.ID.String()+"/", "", func(name string) (more, stale bool, err error) {
		v, err := s.b.stores.Meta.Get(ctx, s.container.ID, naming.ObjectName(name), meta.Which{})
		if errs.Is(err, errs.NotFound) || err == nil && (!v.Visible() || v.Share.IsZero()) {
			return true, true, nil
		}
		if err != nil {
			return false, false, err
		}
		if paths++; paths > sharedPathsMax {
			return false, false, errs.E("", errs.Full, errs.Container, string(s.container.Name)).
				Because("", "more than 100,000 paths of the container are shared one by one; share folders instead")
		}
		s.spans = append(s.spans, nameSpan{name, name + "\x00"})
		if v.Share.Listed() && IsFolder(v.ContentType) {
			below := strings.TrimSuffix(name, "/") + "/"
			end, _ := naming.After(below)
			s.spans = append(s.spans, nameSpan{below, end})
		}
		return true, false, nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(s.spans, func(a, b nameSpan) int { return strings.Compare(a.from, b.from) })
	merged := s.spans[:0]
	for _, span := range s.spans {
		if n := len(merged); n > 0 && (merged[n-1].to == "" || span.from <= merged[n-1].to) {
			if merged[n-1].to != "" && (span.to == "" || span.to > merged[n-1].to) {
				merged[n-1].to = span.to
			}
			continue
		}
		merged = append(merged, span)
	}
	s.spans = merged
	return nil
}

// Seek moves to the first shared object at or after pos.
func (s *sharedCursor) Seek(pos meta.Position) {
	name := string(pos.Name)
	s.at, _ = slices.BinarySearchFunc(s.spans, name, func(span nameSpan, name string) int {
		if span.to != "" && span.to <= name {
			return -1
		}
		return 1
	})
	if s.at < len(s.spans) {
		s.scan.Seek(meta.Position{Name: naming.ObjectName(max(name, s.spans[s.at].from))})
	}
}

// Next gives the next shared object.
func (s *sharedCursor) Next(ctx context.Context) (*object.Summary, error) {
	for s.at < len(s.spans) {
		e, err := s.scan.Next(ctx)
		if err != nil || e == nil {
			return nil, err
		}
		if to := s.spans[s.at].to; to != "" && string(e.Name) >= to {
			s.Seek(meta.Position{Name: e.Name})
			continue
		}
		ok, err := s.shows(ctx, e)
		if err != nil || ok {
			return e, err
		}
	}
	return nil, nil
}

func (s *sharedCursor) shows(ctx context.Context, e *object.Summary) (bool, error) {
	share := e.Share
	if s.past {
		v, err := s.b.stores.Meta.Get(ctx, s.container.ID, e.Name, meta.Which{})
		if errs.Is(err, errs.NotFound) || err == nil && !v.Visible() {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		share = v.Share
	}
	if s.reader == nil && s.filter.Public && share.Public != "" {
		return true, nil
	}
	if s.reader == nil && !s.filter.Lists {
		return false, nil
	}
	near := Shared{Share: share, By: e.Name}
	if !share.Listed() {
		var err error
		if near, err = s.b.nearest(ctx, s.container, e.Name, s.seen); err != nil {
			return false, err
		}
	}
	if s.reader == nil {
		return near.Listed(), nil
	}
	q := s.b.resource(s.container)
	q.Name, q.ObjectOwner = e.Name, e.Owner
	q.Sharing = access.Sharing{Read: near.Read, Write: near.Write, Groups: s.groups}
	may, _, err := s.b.asks(ctx, *s.reader, access.GetObject, q, deed{container: s.container.ID})
	return may, err
}

// Close ends the walk.
func (s *sharedCursor) Close() { s.scan.Close() }

// SharingAccounts lists, in order, accounts after a name that share something with the caller, at most limit; the caller's own is left out.
func (b *Backend) SharingAccounts(ctx context.Context, c Caller, after naming.AccountID, limit int) (list []naming.AccountID, more bool, err error) {
	const op = "backend.SharingAccounts"
	if c.Anonymous() {
		return nil, false, errs.E(op, errs.Denied, errs.Account, "")
	}
	candidates := map[naming.AccountID]bool{}
	for _, member := range slices.Compact([]string{access.Everyone, string(c.Account), string(c.User)}) {
		if err := b.hintedAccounts(ctx, hintMember+url.PathEscape(member)+"/", after, candidates); err != nil {
			return nil, false, fail(op, err)
		}
	}
	if err := b.hintedAccounts(ctx, hintGroup, after, candidates); err != nil {
		return nil, false, fail(op, err)
	}
	delete(candidates, c.Account)
	for _, account := range sortedAccounts(candidates) {
		ok, err := b.sharesWith(ctx, c, account, nil)
		if err != nil {
			return nil, false, fail(op, err)
		}
		if !ok {
			continue
		}
		if len(list) == limit {
			return list, true, nil
		}
		list = append(list, account)
	}
	return list, false, nil
}

func sortedAccounts(set map[naming.AccountID]bool) []naming.AccountID {
	list := make([]naming.AccountID, 0, len(set))
	for a := range set {
		list = append(list, a)
	}
	slices.Sort(list)
	return list
}

// hintedAccounts adds the accounts that stand behind prefix in the hints.
func (b *Backend) hintedAccounts(ctx context.Context, prefix string, after naming.AccountID, into map[naming.AccountID]bool) error {
	from, ok := "", true
	for ok {
		found := ""
		err := b.walkHints(ctx, prefix, from, func(rest string) (more, stale bool, err error) {
			found, _, _ = strings.Cut(rest, "/")
			return false, false, nil
		})
		if err != nil || found == "" {
			return err
		}
		account, err := url.PathUnescape(found)
		if err == nil && naming.AccountID(account) > after {
			into[naming.AccountID(account)] = true
		}
		from, ok = naming.After(found + "/")
	}
	return nil
}

// sharesWith tells whether something in the account, or in one container of it, is shared with the caller now.
func (b *Backend) sharesWith(ctx context.Context, c Caller, account naming.AccountID, only *bucket.Container) (bool, error) {
	groups, err := b.groups(ctx, account)
	if err != nil {
		return false, err
	}
	var prefixes []string
	for _, member := range slices.Compact([]string{access.Everyone, string(c.Account), string(c.User)}) {
		prefixes = append(prefixes, hintMember+url.PathEscape(member)+"/"+url.PathEscape(string(account))+"/")
	}
	prefixes = append(prefixes, hintGroup+url.PathEscape(string(account))+"/")
	containers := map[string]bucket.Container{}
	note := func(found bucket.Container) bool {
		if found.Config.Shares {
			containers[found.ID.String()] = found
		}
		return true
	}
	if only != nil {
		note(*only)
	} else if err := b.stores.Buckets.Containers(ctx, account, "", note); err != nil {
		return false, err
	}
	for _, prefix := range prefixes {
		found := false
		if only != nil {
			prefix += only.ID.String() + "/"
		}
		err := b.walkHints(ctx, prefix, "", func(rest string) (more, stale bool, err error) {
			id, name, _ := strings.Cut(rest, "/")
			if only != nil {
				id, name = only.ID.String(), rest
			}
			container, ok := containers[id]
			if !ok {
				return true, only == nil, nil
			}
			v, err := b.stores.Meta.Get(ctx, container.ID, naming.ObjectName(name), meta.Which{})
			if errs.Is(err, errs.NotFound) || err == nil && !v.Visible() {
				return true, true, nil
			}
			if err != nil {
				return false, false, err
			}
			found = (access.Sharing{Read: v.Share.Read, Write: v.Share.Write, Groups: groups}).Allows(c.Principal, account, false)
			return !found, !found && !v.Share.Listed(), nil
		})
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// SharesWith tells whether the account shares something with the caller, in one of its containers if container is not nil.
func (b *Backend) SharesWith(ctx context.Context, c Caller, account naming.AccountID, container *bucket.Container) (bool, error) {
	ok, err := b.sharesWith(ctx, c, account, container)
	return ok, fail("backend.SharesWith", err)
}

// SharedContainers lists the containers of an account after a name in which something is shared with the caller, at most limit.
func (b *Backend) SharedContainers(ctx context.Context, c Caller, account naming.AccountID, after naming.ContainerName, limit int) (list []bucket.Container, more bool, err error) {
	const op = "backend.SharedContainers"
	var failed error
	err = b.stores.Buckets.Containers(ctx, account, after, func(found bucket.Container) bool {
		if !found.Config.Shares {
			return true
		}
		var ok bool
		if ok, failed = b.sharesWith(ctx, c, account, &found); failed != nil {
			return false
		}
		if ok && len(list) == limit {
			more = true
			return false
		}
		if ok {
			list = append(list, found)
		}
		return true
	})
	if err == nil {
		err = failed
	}
	return list, more, fail(op, err)
}
