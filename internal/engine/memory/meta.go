package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Meta is a metastore.
type Meta struct {
	mu         sync.Mutex
	closed     bool
	containers map[naming.ContainerID]*container
	accounts   map[naming.AccountID]meta.Usage
	holders    map[block.Holder]*holder
}

// container is what is known of one container.
type container struct {
	sealed    bool
	dropped   bool // sealed for good
	usage     meta.Usage
	names     []naming.ObjectName // of objects, in byte order
	objects   map[naming.ObjectName][]stored
	uploads   map[uploadID]*upload
	completed map[uploadID]meta.Completion
	gone      map[naming.ObjectName]object.VersionID // the highest id that was removed
}

// stored is one version; those of a name are kept newest first.
type stored struct {
	*object.Version
	account naming.AccountID
}

// holder is the life of one holder: alive while it has an intent or a name, else dead.
type holder struct {
	intent *meta.Intent
	names  int // versions and parts that name it
	died   time.Time
}

func (h *holder) alive() bool { return h != nil && (h.intent != nil || h.names > 0) }

var _ meta.Store = (*Meta)(nil)

// NewMeta makes an empty metastore.
func NewMeta() *Meta {
	return &Meta{
		containers: map[naming.ContainerID]*container{},
		accounts:   map[naming.AccountID]meta.Usage{},
		holders:    map[block.Holder]*holder{},
	}
}

// do runs fn under the lock unless the store is closed.
func (s *Meta) do(op string, fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errs.E(op, errs.Closed, errs.Store, "")
	}
	return fn()
}

// Close closes the store.
func (s *Meta) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// container finds a container; an unknown one is open and empty.
func (s *Meta) container(id naming.ContainerID) *container {
	c := s.containers[id]
	if c == nil {
		c = &container{
			objects:   map[naming.ObjectName][]stored{},
			uploads:   map[uploadID]*upload{},
			completed: map[uploadID]meta.Completion{}, gone: map[naming.ObjectName]object.VersionID{},
		}
		s.containers[id] = c
	}
	return c
}

// count changes the counters of a container and its account.
func (s *Meta) count(c *container, account naming.AccountID, d meta.Usage) {
	c.usage = c.usage.Add(d)
	s.accounts[account] = s.accounts[account].Add(d)
}

// insert adds a version as the newest of its name.
func (c *container) insert(v stored) {
	if len(c.objects[v.Name]) == 0 {
		i, _ := slices.BinarySearch(c.names, v.Name)
		c.names = slices.Insert(c.names, i, v.Name)
	}
	c.objects[v.Name] = slices.Insert(c.objects[v.Name], 0, v)
}

// remove forgets a version, and its name with the last one.
func (c *container) remove(name naming.ObjectName, id object.VersionID) {
	c.objects[name] = slices.DeleteFunc(c.objects[name], func(v stored) bool { return v.ID == id })
	if len(c.objects[name]) == 0 {
		delete(c.objects, name)
		i, _ := slices.BinarySearch(c.names, name)
		c.names = slices.Delete(c.names, i, i+1)
	}
}

// find is the version that w names, nil when there is none.
func find(versions []stored, w meta.Which) *object.Version {
	i := slices.IndexFunc(versions, func(v stored) bool {
		switch w.By {
		case meta.ByID:
			return v.ID == w.ID
		case meta.TheNull:
			return v.Null
		case meta.AsOf:
			return v.ID < object.IDAt(w.At)
		}
		return true
	})
	if i < 0 {
		return nil
	}
	v := cloneVersion(versions[i].Version)
	v.Latest = i == 0
	return v
}

// AccountUsage counts an account.
func (s *Meta) AccountUsage(_ context.Context, account naming.AccountID) (u meta.Usage, err error) {
	err = s.do("memory.Meta.AccountUsage", func() error {
		u = s.accounts[account]
		return nil
	})
	return u, err
}

// ContainerUsage counts a container.
func (s *Meta) ContainerUsage(_ context.Context, id naming.ContainerID) (u meta.Usage, err error) {
	err = s.do("memory.Meta.ContainerUsage", func() error {
		u = s.container(id).usage
		return nil
	})
	return u, err
}

// Seal refuses later writes to a container.
func (s *Meta) Seal(_ context.Context, id naming.ContainerID) error {
	return s.do("memory.Meta.Seal", func() error {
		s.container(id).sealed = true
		return nil
	})
}

// Unseal opens a container again.
func (s *Meta) Unseal(_ context.Context, id naming.ContainerID) error {
	return s.do("memory.Meta.Unseal", func() error {
		c := s.container(id)
		c.sealed = c.dropped
		return nil
	})
}

// Empty reports whether a container holds nothing.
func (s *Meta) Empty(_ context.Context, id naming.ContainerID, ignoreUploads bool) (empty bool, err error) {
	err = s.do("memory.Meta.Empty", func() error {
		c := s.container(id)
		empty = len(c.names) == 0 && (ignoreUploads || len(c.uploads) == 0)
		return nil
	})
	return empty, err
}

// Drop forgets what is left of a sealed container.
func (s *Meta) Drop(_ context.Context, id naming.ContainerID, account naming.AccountID) error {
	const op = "memory.Meta.Drop"
	return s.do(op, func() error {
		c := s.container(id)
		switch {
		case !c.sealed:
			return errs.E(op, errs.Conflict, errs.Container, id.String())
		case len(c.names) > 0:
			return errs.E(op, errs.NotEmpty, errs.Container, id.String())
		}
		for _, u := range c.uploads {
			s.unnameParts(u)
		}
		s.count(c, account, c.usage.Neg())
		delete(s.containers, id)
		after := s.container(id)
		after.sealed, after.dropped = true, true
		return nil
	})
}
