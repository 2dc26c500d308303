package memory

import (
	"context"
	"slices"
	"strings"
	"sync"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// Buckets is a bucketstore.
type Buckets struct {
	mu         sync.Mutex
	closed     bool
	revision   bucket.Revision // the last one given out; never used twice
	containers map[containerKey]bucket.Container
	names      map[naming.BucketName]containerKey
}

type containerKey struct {
	account naming.AccountID
	name    naming.ContainerName
}

var _ bucket.Store = (*Buckets)(nil)

// NewBuckets makes an empty bucketstore.
func NewBuckets() *Buckets {
	return &Buckets{containers: map[containerKey]bucket.Container{}, names: map[naming.BucketName]containerKey{}}
}

// do runs fn under the lock unless the store is closed.
func (s *Buckets) do(op string, fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errs.E(op, errs.Closed, errs.Store, "")
	}
	return fn()
}

// Close closes the store.
func (s *Buckets) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// put stores c under its next revision and returns a copy.
func (s *Buckets) put(c bucket.Container) bucket.Container {
	s.revision++
	c.Revision = s.revision
	c.Config = cloneConfig(c.Config)
	s.containers[containerKey{c.Account, c.Name}] = c
	return cloneContainer(c)
}

func cloneContainer(c bucket.Container) bucket.Container {
	c.Config = cloneConfig(c.Config)
	return c
}

// Create makes a container and claims its bucket name.
func (s *Buckets) Create(_ context.Context, c bucket.Container) (made bucket.Container, err error) {
	const op = "memory.Buckets.Create"
	err = s.do(op, func() error {
		k := containerKey{c.Account, c.Name}
		if _, ok := s.containers[k]; ok {
			return errs.E(op, errs.Exists, errs.Container, string(c.Name))
		}
		if owner, ok := s.names[c.Bucket]; ok {
			return errs.E(op, errs.Exists, errs.Bucket, string(c.Bucket)).With(&bucket.TakenError{Name: c.Bucket, Account: owner.account})
		}
		if c.Bucket != "" {
			s.names[c.Bucket] = k
		}
		made = s.put(c)
		return nil
	})
	return made, err
}

// Lookup finds a container by account and name.
func (s *Buckets) Lookup(_ context.Context, account naming.AccountID, name naming.ContainerName) (c bucket.Container, err error) {
	const op = "memory.Buckets.Lookup"
	err = s.do(op, func() error {
		found, ok := s.containers[containerKey{account, name}]
		if !ok {
			return errs.E(op, errs.NotFound, errs.Container, string(name))
		}
		c = cloneContainer(found)
		return nil
	})
	return c, err
}

// Resolve finds the container that owns a global name.
func (s *Buckets) Resolve(_ context.Context, name naming.BucketName) (c bucket.Container, err error) {
	const op = "memory.Buckets.Resolve"
	err = s.do(op, func() error {
		k, ok := s.names[name]
		if !ok {
			return errs.E(op, errs.NotFound, errs.Bucket, string(name))
		}
		c = cloneContainer(s.containers[k])
		return nil
	})
	return c, err
}

// current is the stored container if it still has the id and revision of c.
func (s *Buckets) current(op string, c bucket.Container) (bucket.Container, error) {
	stored, ok := s.containers[containerKey{c.Account, c.Name}]
	if !ok {
		return bucket.Container{}, errs.E(op, errs.NotFound, errs.Container, string(c.Name))
	}
	if stored.ID != c.ID || stored.Revision != c.Revision {
		return bucket.Container{}, errs.E(op, errs.Conflict, errs.Container, string(c.Name))
	}
	return stored, nil
}

// Update replaces the configuration of a container.
func (s *Buckets) Update(_ context.Context, c bucket.Container) (updated bucket.Container, err error) {
	const op = "memory.Buckets.Update"
	err = s.do(op, func() error {
		stored, err := s.current(op, c)
		if err != nil {
			return err
		}
		stored.Config = c.Config
		updated = s.put(stored)
		return nil
	})
	return updated, err
}

// Remove forgets a container and frees its bucket name.
func (s *Buckets) Remove(_ context.Context, c bucket.Container) error {
	const op = "memory.Buckets.Remove"
	return s.do(op, func() error {
		stored, err := s.current(op, c)
		if err != nil {
			return err
		}
		delete(s.containers, containerKey{c.Account, c.Name})
		if stored.Bucket != "" {
			delete(s.names, stored.Bucket)
		}
		return nil
	})
}

// Containers lists the containers of an account.
func (s *Buckets) Containers(_ context.Context, account naming.AccountID, after naming.ContainerName, fn func(bucket.Container) bool) error {
	var list []bucket.Container
	err := s.do("memory.Buckets.Containers", func() error {
		for k, c := range s.containers {
			if k.account == account && k.name > after {
				list = append(list, cloneContainer(c))
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b bucket.Container) int { return strings.Compare(string(a.Name), string(b.Name)) })
	each(list, fn)
	return err
}
