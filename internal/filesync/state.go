package filesync

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"pithos/internal/errs"
)

// The state of a folder is a directory of its own:
//
//	lock          held while a process synchronises the folder
//	state.db      what is below, in one file that is changed by transactions
//	status.json   what is going on, for "pithos sync status"
//
// The database has four tables, all values in JSON: "meta" (Identity under "identity", the point in the list of changes under "point"), "base" (Base by name),
// "mirror" (Object by name: the container as far as the point) and "format".
var (
	metaBucket   = []byte("meta")
	baseBucket   = []byte("base")
	mirrorBucket = []byte("mirror")
	identityKey  = []byte("identity")
	pointKey     = []byte("point")
	formatKey    = []byte("format")
)

const stateFormat = "1"

// Identity is what a state belongs to.
type Identity struct {
	ID        string `json:"id"` // also in the marker file of the folder
	Dir       string `json:"dir"`
	Target    string `json:"target"`
	BlockSize int64  `json:"block_size"`
}

// state is the database, and in memory what it holds. Changes are written in groups: losing the last ones costs work, and nothing else, since a round
// finds both sides as they are. What must be written before a step is written by flush.
//
// It is safe for concurrent use; what it holds is replaced, never changed.
type state struct {
	db *bolt.DB

	mu       sync.Mutex // of all below
	Identity Identity
	Base     map[string]*Base
	Mirror   map[string]*Object
	Point    string

	dirtyBase   map[string]bool
	dirtyMirror map[string]bool
	dirtyMeta   bool
}

// openState opens the database in a state directory; with readOnly nothing is made or changed, and a state that is not there is empty.
func openState(dir string, readOnly bool) (*state, error) {
	s := &state{Base: map[string]*Base{}, Mirror: map[string]*Object{}, dirtyBase: map[string]bool{}, dirtyMirror: map[string]bool{}}
	path := filepath.Join(dir, "state.db")
	if readOnly {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return s, nil
		}
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, ReadOnly: readOnly, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, errs.E("filesync.openState", errs.Busy, errs.Store, path).Because("", "the state cannot be opened: "+err.Error()).With(err)
	}
	s.db = db
	if !readOnly {
		err = db.Update(prepare)
	}
	if err == nil {
		err = db.View(s.load)
	}
	if err != nil {
		return nil, errors.Join(errs.E("filesync.openState", errs.Corrupt, errs.Store, path).Because("", "the state cannot be read: "+err.Error()).With(err), db.Close())
	}
	return s, nil
}

func prepare(tx *bolt.Tx) error {
	for _, name := range [][]byte{metaBucket, baseBucket, mirrorBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	b := tx.Bucket(metaBucket)
	if b.Get(formatKey) == nil {
		return b.Put(formatKey, []byte(stateFormat))
	}
	return nil
}

func (s *state) load(tx *bolt.Tx) error {
	b := tx.Bucket(metaBucket)
	if b == nil {
		return nil
	}
	if f := string(b.Get(formatKey)); f != stateFormat {
		return fmt.Errorf("it has format %q, this program knows %s", f, stateFormat)
	}
	if raw := b.Get(identityKey); raw != nil {
		if err := json.Unmarshal(raw, &s.Identity); err != nil {
			return err
		}
	}
	s.Point = string(b.Get(pointKey))
	err := tx.Bucket(baseBucket).ForEach(func(k, v []byte) error {
		var e Base
		s.Base[string(k)] = &e
		return json.Unmarshal(v, &e)
	})
	if err != nil {
		return err
	}
	return tx.Bucket(mirrorBucket).ForEach(func(k, v []byte) error {
		o := Object{Name: string(k)}
		s.Mirror[string(k)] = &o
		return json.Unmarshal(v, &o)
	})
}

func (s *state) base(name string) *Base {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Base[name]
}

func (s *state) object(name string) *Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Mirror[name]
}

// bases is a copy of what both sides held.
func (s *state) bases() map[string]*Base {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.Base)
}

// objects is a copy of the mirror.
func (s *state) objects() map[string]*Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.Mirror)
}

func (s *state) point() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Point
}

func (s *state) setBase(name string, b *Base) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b == nil {
		delete(s.Base, name)
	} else {
		s.Base[name] = b
	}
	s.dirtyBase[name] = true
}

func (s *state) setMirror(name string, o *Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o == nil {
		delete(s.Mirror, name)
	} else {
		s.Mirror[name] = o
	}
	s.dirtyMirror[name] = true
}

func (s *state) setPoint(p string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Point != p {
		s.Point, s.dirtyMeta = p, true
	}
}

func (s *state) setIdentity(i Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Identity, s.dirtyMeta = i, true
}

// dirty counts changes that are not written yet.
func (s *state) dirty() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.dirtyBase) + len(s.dirtyMirror)
}

// flush writes all changes, in one transaction that is on the disk when it returns.
func (s *state) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil || s.db.IsReadOnly() || len(s.dirtyBase)+len(s.dirtyMirror) == 0 && !s.dirtyMeta {
		return nil
	}
	err := s.db.Update(func(tx *bolt.Tx) error {
		if err := write(tx.Bucket(baseBucket), s.dirtyBase, s.Base); err != nil {
			return err
		}
		if err := write(tx.Bucket(mirrorBucket), s.dirtyMirror, s.Mirror); err != nil {
			return err
		}
		raw, err := json.Marshal(s.Identity)
		if err != nil {
			return err
		}
		if err := tx.Bucket(metaBucket).Put(identityKey, raw); err != nil {
			return err
		}
		return tx.Bucket(metaBucket).Put(pointKey, []byte(s.Point))
	})
	if err != nil {
		return errs.Wrap("filesync.flush", errs.Internal, err)
	}
	clear(s.dirtyBase)
	clear(s.dirtyMirror)
	s.dirtyMeta = false
	return nil
}

func write[T any](b *bolt.Bucket, dirty map[string]bool, values map[string]*T) error {
	for name := range dirty {
		v, ok := values[name]
		if !ok {
			if err := b.Delete([]byte(name)); err != nil {
				return err
			}
			continue
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := b.Put([]byte(name), raw); err != nil {
			return err
		}
	}
	return nil
}

// forget empties the state: the next round merges both sides and deletes nothing.
func (s *state) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.Base {
		s.dirtyBase[name] = true
	}
	for name := range s.Mirror {
		s.dirtyMirror[name] = true
	}
	clear(s.Base)
	clear(s.Mirror)
	s.Point, s.dirtyMeta = "", true
}

func (s *state) close() error {
	if s.db == nil {
		return nil
	}
	err := s.flush()
	return errors.Join(err, s.db.Close())
}
