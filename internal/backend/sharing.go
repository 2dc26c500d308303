package backend

import (
	"context"
	"strings"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// foldersMax is how many folders above an object are asked for lists. What lies deeper takes nothing over from further up.
const foldersMax = 128

// Content types of the objects that stand for folders (Pithos+ 1.1).
const (
	folderType      = "application/directory"
	folderTypeOther = "application/folder"
)

// IsFolder reports whether an object of the content type stands for a folder (Pithos+ 1.1).
func IsFolder(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	return strings.EqualFold(kind, folderType) || strings.EqualFold(kind, folderTypeOther)
}

// Shared is what applies to a path, and the path whose lists those are: the object's own or that of a folder above it.
type Shared struct {
	object.Share
	By naming.ObjectName
}

// nearest finds the lists that decide about a name: its own, or those of the nearest folder above it that carries some. The first that is
// found decides alone (Pithos+ 1.8). seen keeps what was looked up already, for listings; it may be nil.
func (b *Backend) nearest(ctx context.Context, container bucket.Container, name naming.ObjectName, seen map[naming.ObjectName]object.Share) (Shared, error) {
	if !container.Config.Shares {
		return Shared{}, nil
	}
	asked := 0
	for _, path := range lineage(name) {
		share, known := seen[path]
		if !known {
			if asked++; asked > foldersMax {
				return Shared{}, nil
			}
			var err error
			if share, err = b.listsOf(ctx, container, path, path == name); err != nil {
				return Shared{}, err
			}
			if seen != nil && path != name {
				seen[path] = share
			}
		}
		if share.Listed() {
			return Shared{Share: share, By: path}, nil
		}
	}
	return Shared{}, nil
}

// lineage is a name and the folders above it, each in both spellings, the longest first.
func lineage(name naming.ObjectName) []naming.ObjectName {
	paths := []naming.ObjectName{name}
	for i := len(name) - 1; i > 0; i-- {
		if name[i] != '/' {
			continue
		}
		if i+1 < len(name) {
			paths = append(paths, name[:i+1])
		}
		paths = append(paths, name[:i])
	}
	return paths
}

// listsOf is what the object of a name shares; a folder's counts for others too.
func (b *Backend) listsOf(ctx context.Context, container bucket.Container, name naming.ObjectName, self bool) (object.Share, error) {
	v, err := b.stores.Meta.Get(ctx, container.ID, name, meta.Which{})
	switch {
	case errs.Is(err, errs.NotFound):
		return object.Share{}, nil
	case err != nil:
		return object.Share{}, err
	case !v.Visible() || !self && !IsFolder(v.ContentType):
		return object.Share{}, nil
	}
	return v.Share, nil
}

// sharing adds to a question what Pithos+ sharing has to say about it: to those that it can answer, when it is not the owner who asks.
func (b *Backend) sharing(ctx context.Context, c Caller, a access.Action, container bucket.Container, r access.Resource) (access.Resource, error) {
	owner := c.Operator || c.Admin && c.Account == container.Account
	if r.Name == "" || owner || c.Anonymous() || !container.Config.Shares || !access.Shareable(a) {
		return r, nil
	}
	shared, err := b.nearest(ctx, container, r.Name, nil)
	if err != nil || !shared.Listed() {
		return r, err
	}
	r.Sharing.Read, r.Sharing.Write = shared.Read, shared.Write
	r.Sharing.Groups, err = b.groups(ctx, container.Account)
	return r, err
}

// groups are the groups of an account; an account that is not there has none.
func (b *Backend) groups(ctx context.Context, id naming.AccountID) (map[string][]string, error) {
	settings, err := b.Settings(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	return settings.Groups, err
}
