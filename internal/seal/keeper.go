package seal

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// Ring is the service's own keys. Its methods are safe for concurrent use.
type Ring interface {
	// Current is the key for what is written now.
	Current(ctx context.Context) (id string, key Secret, err error)
	// Find is a key by its id: NotFound (SealKey) when it is not there.
	Find(ctx context.Context, id string) (Secret, error)
}

// KeyService keeps named keys that never leave it, and makes data keys under them. Its methods are safe for concurrent use.
//
// Errors: NotFound (SealKey) when the key does not exist, Denied when this service may not use it, Busy when the key service does not
// answer, Corrupt when blob or the encryption context are not those of Generate.
type KeyService interface {
	// Generate draws a data key and wraps it under the named key, bound to the encryption context.
	Generate(ctx context.Context, name string, encryptionContext []byte) (key Secret, blob []byte, err error)
	// Unwrap gives the data key back.
	Unwrap(ctx context.Context, name string, blob, encryptionContext []byte) (Secret, error)
}

// Options are where a keeper finds outer keys.
type Options struct {
	Ring       Ring       // nil: there is no SSE-S3
	Service    KeyService // nil: there is no SSE-KMS
	DefaultKey string     // of the key service, for writers that name none; "": they must
	Clock      clock.Clock
}

// Keeper makes and opens objects. It is safe for concurrent use.
type Keeper struct {
	o Options

	mu     sync.Mutex
	writes map[[sha256.Size]byte]cached // bucket keys for writing, by what they are for
	reads  map[[sha256.Size]byte]cached // and for reading, by their wrapped form
}

// cached is a data key of the key service that is used again for a while (S3 Bucket Keys).
type cached struct {
	key   Secret
	blob  []byte
	until time.Time
}

const (
	bucketKeyFor = 5 * time.Minute
	cachedMax    = 4096
)

// NewKeeper makes a keeper.
func NewKeeper(o Options) *Keeper {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	return &Keeper{o: o, writes: map[[sha256.Size]byte]cached{}, reads: map[[sha256.Size]byte]cached{}}
}

// Request says under which outer key a new object is to be.
type Request struct {
	Mode      Mode
	KeyID     string  // KMS: "" for the default key
	Context   []byte  // KMS: the encryption context, JSON
	BucketKey bool    // KMS: use a data key for several objects of one scope
	Scope     string  // KMS with BucketKey: the container
	Customer  *Secret // Customer: the key
}

// Can tells whether the keeper has a source of keys for the mode; Unsupported if not.
func (k *Keeper) Can(m Mode) error {
	switch {
	case m == Service && k.o.Ring == nil:
		return errs.E("seal.New", errs.Unsupported, errs.SealKey, "").Because("", "There is no key ring, so that server-side encryption with keys of the service is not available.")
	case m == KMS && k.o.Service == nil:
		return errs.E("seal.New", errs.Unsupported, errs.SealKey, "").Because("", "No key service is configured, so that server-side encryption with aws:kms is not available.")
	}
	return nil
}

// New makes an object with a fresh key, for a place. Errors: Unsupported, NotFound (SealKey), those of the key service.
func (k *Keeper) New(ctx context.Context, r Request, place []byte) (*Object, error) {
	return k.wrap(ctx, &Object{key: NewSecret()}, r, place)
}

// Rewrap makes an object with the same bytes under another outer key or for another place.
func (k *Keeper) Rewrap(ctx context.Context, o *Object, r Request, place []byte) (*Object, error) {
	return k.wrap(ctx, o.clone(), r, place)
}

func (k *Keeper) wrap(ctx context.Context, o *Object, r Request, place []byte) (*Object, error) {
	if err := k.Can(r.Mode); err != nil {
		return nil, err
	}
	o.record.mode, o.record.keyID, o.record.data, o.record.context, o.record.bucketKey = r.Mode, "", nil, nil, false
	var outer Secret
	var err error
	switch r.Mode {
	case Customer:
		if r.Customer == nil {
			return nil, KeyRequired()
		}
		outer = *r.Customer
	case Service:
		o.record.keyID, outer, err = k.o.Ring.Current(ctx)
	case KMS:
		outer, err = k.dataKey(ctx, &o.record, r)
	case Plain:
		err = errs.E("seal.New", errs.Internal, errs.SealKey, "")
	}
	if err != nil {
		return nil, err
	}
	o.wrap(outer, place)
	return o, nil
}

// dataKey draws a data key of the key service, or takes the bucket key of the scope.
func (k *Keeper) dataKey(ctx context.Context, to *record, r Request) (Secret, error) {
	if r.KeyID == "" {
		r.KeyID = k.o.DefaultKey
	}
	if r.KeyID == "" {
		return Secret{}, errs.E("seal.New", errs.Invalid, errs.Request, "").
			Because("", "The request names no key of the key service, and none is configured as the default.")
	}
	to.keyID, to.context, to.bucketKey = r.KeyID, r.Context, r.BucketKey
	if !r.BucketKey {
		key, blob, err := k.o.Service.Generate(ctx, r.KeyID, r.Context)
		to.data = blob
		return key, err
	}
	id := fingerprint([]byte(r.Scope), []byte(r.KeyID), r.Context)
	if c, ok := k.cached(k.writes, id); ok {
		to.data = c.blob
		return c.key, nil
	}
	key, blob, err := k.o.Service.Generate(ctx, r.KeyID, r.Context)
	if err != nil {
		return Secret{}, err
	}
	to.data = blob
	k.remember(k.writes, id, cached{key: key, blob: blob})
	return key, nil
}

// Open opens an object by its record. customer is the key that the caller brings, nil for none.
//
// Errors: Invalid (KeyRequired, KeyUnwanted, KeyMismatch); Internal (KeyLost) when the ring or the key service has not the key any more;
// Corrupt when the record, or the place it is found at, is not what was written; those of the key service.
func (k *Keeper) Open(ctx context.Context, raw []byte, customer *Secret, place []byte) (*Object, error) {
	r, err := parse(raw)
	if err != nil {
		return nil, err
	}
	switch {
	case r.mode == Customer && customer == nil:
		return nil, KeyRequired()
	case r.mode != Customer && customer != nil:
		return nil, KeyUnwanted()
	case r.mode == Customer:
		o, ok := r.unwrap(*customer, place)
		if !ok {
			return nil, keyMismatch()
		}
		return o, nil
	}
	outer, err := k.outer(ctx, r)
	if errs.IsThing(err, errs.NotFound, errs.SealKey) {
		return nil, KeyLost(r.keyID).With(err)
	}
	if err != nil {
		return nil, err
	}
	o, ok := r.unwrap(outer, place)
	if !ok {
		return nil, errTampered()
	}
	return o, nil
}

func (k *Keeper) outer(ctx context.Context, r *record) (Secret, error) {
	switch {
	case r.mode == Service && k.o.Ring == nil, r.mode == KMS && k.o.Service == nil:
		return Secret{}, KeyLost(r.keyID)
	case r.mode == Service:
		return k.o.Ring.Find(ctx, r.keyID)
	case !r.bucketKey:
		return k.o.Service.Unwrap(ctx, r.keyID, r.data, r.context)
	}
	id := fingerprint([]byte(r.keyID), r.data, r.context)
	if c, ok := k.cached(k.reads, id); ok {
		return c.key, nil
	}
	key, err := k.o.Service.Unwrap(ctx, r.keyID, r.data, r.context)
	if err == nil {
		k.remember(k.reads, id, cached{key: key})
	}
	return key, err
}

func fingerprint(parts ...[]byte) (id [sha256.Size]byte) {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		_, _ = h.Write(sum[:])
	}
	h.Sum(id[:0])
	return id
}

func (k *Keeper) cached(in map[[sha256.Size]byte]cached, id [sha256.Size]byte) (cached, bool) {
	now := k.o.Clock.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := in[id]
	// A clock that was set back must not make a key live longer.
	return c, ok && c.until.After(now) && !c.until.After(now.Add(bucketKeyFor))
}

func (k *Keeper) remember(in map[[sha256.Size]byte]cached, id [sha256.Size]byte, c cached) {
	c.until = k.o.Clock.Now().Add(bucketKeyFor)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(in) >= cachedMax {
		clear(in)
	}
	in[id] = c
}
