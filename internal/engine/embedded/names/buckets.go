package names

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/durable"
	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// Buckets is the bucketstore in Pebble. It implements bucket.Store.
type Buckets struct {
	db   *pebble.DB
	log  *durable.Log
	gate durable.Gate

	changing sync.Mutex // held by whoever changes something, until it is durable

	cache struct {
		sync.RWMutex
		containers map[place]bucket.Container
		names      map[naming.BucketName]place
	}
}

var _ bucket.Store = (*Buckets)(nil)

// place is where a container lives.
type place struct {
	account naming.AccountID
	name    naming.ContainerName
}

// container is the record of a container; account and name are in its key.
type container struct {
	ID       string            `json:"id"`
	Bucket   naming.BucketName `json:"bucket,omitempty"`
	Region   string            `json:"region,omitempty"`
	Created  time.Time         `json:"created,omitzero"`
	Revision bucket.Revision   `json:"revision"`
	Config   bucket.Config     `json:"config"`
}

// NewBuckets makes a bucketstore of db, which is shared with other stores. It does not close db.
func NewBuckets(db *pebble.DB) (*Buckets, error) {
	s := &Buckets{db: db, log: durable.NewLog(db)}
	s.cache.containers = make(map[place]bucket.Container)
	s.cache.names = make(map[naming.BucketName]place)
	return s, nil
}

// Close implements bucket.Store.
func (s *Buckets) Close() error {
	s.gate.Close()
	return nil
}

func (s *Buckets) enter(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap(op, errs.Canceled, err)
	}
	return s.gate.Enter(op)
}

func containerPrefix(account naming.AccountID) []byte {
	return rowkey.AppendName([]byte{spaceContainer}, account)
}

func (p place) key() []byte { return append(containerPrefix(p.account), p.name...) }

func parsePlace(raw []byte) (place, error) {
	account, name, ok := rowkey.CutName(raw)
	if !ok {
		return place{}, errs.E("names.parsePlace", errs.Corrupt, errs.Bucket, "")
	}
	return place{naming.AccountID(account), naming.ContainerName(name)}, nil
}

func clone(c bucket.Container) bucket.Container {
	c.Config.ACL.Grants = slices.Clone(c.Config.ACL.Grants)
	c.Config.Meta = maps.Clone(c.Config.Meta)
	c.Config.Documents = maps.Clone(c.Config.Documents)
	for name, doc := range c.Config.Documents {
		c.Config.Documents[name] = slices.Clone(doc)
	}
	return c
}

func appendContainer(c bucket.Container) ([]byte, error) {
	return encode(container{c.ID.String(), c.Bucket, c.Region, c.Created, c.Revision, c.Config})
}

func parseContainer(p place, raw []byte) (bucket.Container, error) {
	var r container
	if err := decode(raw, &r); err != nil {
		return bucket.Container{}, err
	}
	id, err := naming.ParseContainerID(r.ID)
	if err != nil {
		return bucket.Container{}, errs.E("names.parseContainer", errs.Corrupt, errs.Container, string(p.name))
	}
	return bucket.Container{
		ID: id, Account: p.account, Name: p.name, Bucket: r.Bucket, Region: r.Region, Created: r.Created, Revision: r.Revision, Config: r.Config,
	}, nil
}

// find finds a container, in memory or in the database. The caller must not hand it out without cloning it.
func (s *Buckets) find(p place) (c bucket.Container, ok bool, err error) {
	s.cache.RLock()
	c, ok = s.cache.containers[p]
	s.cache.RUnlock()
	if ok {
		return c, true, nil
	}
	// What is read from the database goes into the cache under the lock, and a change takes that lock after the database has it. So the
	// cache never keeps what is older than the last change.
	s.cache.Lock()
	defer s.cache.Unlock()
	raw, err := durable.Get(s.db, p.key())
	if raw == nil || err != nil {
		return c, false, err
	}
	if c, err = parseContainer(p, raw); err != nil {
		return c, false, err
	}
	keep(s.cache.containers, p, c)
	return c, true, nil
}

// owner finds the place that a bucket name points to.
func (s *Buckets) owner(name naming.BucketName) (p place, ok bool, err error) {
	s.cache.RLock()
	p, ok = s.cache.names[name]
	s.cache.RUnlock()
	if ok {
		return p, true, nil
	}
	s.cache.Lock()
	defer s.cache.Unlock()
	raw, err := durable.Get(s.db, rowKey(spaceBucket, name))
	if raw == nil || err != nil {
		return p, false, err
	}
	if p, err = parsePlace(raw); err != nil {
		return p, false, err
	}
	keep(s.cache.names, name, p)
	return p, true, nil
}

// Create implements bucket.Store.
func (s *Buckets) Create(ctx context.Context, c bucket.Container) (bucket.Container, error) {
	const op = "names.Create"
	if err := s.enter(ctx, op); err != nil {
		return bucket.Container{}, err
	}
	defer s.gate.Leave()
	s.changing.Lock()
	defer s.changing.Unlock()
	p := place{c.Account, c.Name}
	if _, ok, err := s.find(p); err != nil {
		return bucket.Container{}, err
	} else if ok {
		return bucket.Container{}, errs.E(op, errs.Exists, errs.Container, string(c.Name))
	}
	if c.Bucket != "" {
		if owner, ok, err := s.owner(c.Bucket); err != nil {
			return bucket.Container{}, err
		} else if ok {
			return bucket.Container{}, errs.E(op, errs.Exists, errs.Bucket, string(c.Bucket)).With(&bucket.TakenError{Name: c.Bucket, Account: owner.account})
		}
	}
	c = clone(c)
	c.Created, c.Revision = micro(c.Created), 1
	if err := s.write(p, c, c.Bucket); err != nil {
		return bucket.Container{}, err
	}
	return clone(c), nil
}

// write stores a container, claims the bucket name (unless "") and updates the cache.
func (s *Buckets) write(p place, c bucket.Container, claim naming.BucketName) error {
	raw, err := appendContainer(c)
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	_ = b.Set(p.key(), raw, nil)
	if claim != "" {
		_ = b.Set(rowKey(spaceBucket, claim), append(rowkey.AppendName(nil, p.account), p.name...), nil)
	}
	if err := s.log.Write(b); err != nil {
		return err
	}
	s.cache.Lock()
	defer s.cache.Unlock()
	keep(s.cache.containers, p, c)
	return nil
}

// Lookup implements bucket.Store.
func (s *Buckets) Lookup(ctx context.Context, account naming.AccountID, name naming.ContainerName) (bucket.Container, error) {
	const op = "names.Lookup"
	if err := s.enter(ctx, op); err != nil {
		return bucket.Container{}, err
	}
	defer s.gate.Leave()
	c, ok, err := s.find(place{account, name})
	if err != nil {
		return bucket.Container{}, err
	}
	if !ok {
		return bucket.Container{}, errs.E(op, errs.NotFound, errs.Container, string(name))
	}
	return clone(c), nil
}

// Resolve implements bucket.Store.
func (s *Buckets) Resolve(ctx context.Context, name naming.BucketName) (bucket.Container, error) {
	const op = "names.Resolve"
	if err := s.enter(ctx, op); err != nil {
		return bucket.Container{}, err
	}
	defer s.gate.Leave()
	p, ok, err := s.owner(name)
	if err != nil {
		return bucket.Container{}, err
	}
	if ok {
		var c bucket.Container
		// A container that was removed, and made again, between the two looks has another bucket name or none.
		if c, ok, err = s.find(p); err != nil {
			return bucket.Container{}, err
		}
		if ok && c.Bucket == name {
			return clone(c), nil
		}
	}
	return bucket.Container{}, errs.E(op, errs.NotFound, errs.Bucket, string(name))
}

// current is the container if it still has the id and revision of c. The caller holds changing.
func (s *Buckets) current(op string, c bucket.Container) (bucket.Container, error) {
	stored, ok, err := s.find(place{c.Account, c.Name})
	switch {
	case err != nil:
		return bucket.Container{}, err
	case !ok:
		return bucket.Container{}, errs.E(op, errs.NotFound, errs.Container, string(c.Name))
	case stored.ID != c.ID || stored.Revision != c.Revision:
		return bucket.Container{}, errs.E(op, errs.Conflict, errs.Container, string(c.Name))
	}
	return stored, nil
}

// Update implements bucket.Store.
func (s *Buckets) Update(ctx context.Context, c bucket.Container) (bucket.Container, error) {
	const op = "names.Update"
	if err := s.enter(ctx, op); err != nil {
		return bucket.Container{}, err
	}
	defer s.gate.Leave()
	s.changing.Lock()
	defer s.changing.Unlock()
	stored, err := s.current(op, c)
	if err != nil {
		return bucket.Container{}, err
	}
	stored.Config = c.Config
	stored = clone(stored)
	stored.Revision++
	if err := s.write(place{c.Account, c.Name}, stored, ""); err != nil {
		return bucket.Container{}, err
	}
	return clone(stored), nil
}

// Remove implements bucket.Store.
func (s *Buckets) Remove(ctx context.Context, c bucket.Container) error {
	const op = "names.Remove"
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	s.changing.Lock()
	defer s.changing.Unlock()
	stored, err := s.current(op, c)
	if err != nil {
		return err
	}
	p := place{c.Account, c.Name}
	b := s.db.NewBatch()
	_ = b.Delete(p.key(), nil)
	if stored.Bucket != "" {
		_ = b.Delete(rowKey(spaceBucket, stored.Bucket), nil)
	}
	if err := s.log.Write(b); err != nil {
		return err
	}
	s.cache.Lock()
	defer s.cache.Unlock()
	delete(s.cache.containers, p)
	delete(s.cache.names, stored.Bucket)
	return nil
}

// Containers implements bucket.Store.
func (s *Buckets) Containers(ctx context.Context, account naming.AccountID, after naming.ContainerName, fn func(bucket.Container) bool) error {
	const op = "names.Containers"
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	prefix := containerPrefix(account)
	from := prefix
	if after != "" {
		from = append(place{account, after}.key(), 0)
	}
	return each(ctx, s.db, op, from, rowkey.After(prefix), func(k, value []byte) (bool, error) {
		c, err := parseContainer(place{account, naming.ContainerName(k[len(prefix):])}, value)
		if err != nil {
			return false, err
		}
		return fn(c), nil
	})
}
