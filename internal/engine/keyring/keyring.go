// Package keyring keeps encryption keys in a file: the key ring of SSE-S3, and
// a key service for SSE-KMS whose keys are in such a file too.
//
// The file is JSON of mode 0600, replaced as a whole and synced with its folder,
// so that it is there as it was before or as it is after, also when the power
// goes. A process that has it open notices a new one at the next use: a ring is
// rotated while the service runs, from outside.
//
// Nothing here logs, and no error quotes the file.
package keyring

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"pithos/internal/errs"
	"pithos/internal/seal"
	"pithos/internal/wholefile"
)

const fileVersion = 1

// file is the stored form.
type file struct {
	Version int     `json:"version"`
	Current string  `json:"current,omitempty"`
	Keys    []entry `json:"keys"`
}

type entry struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Key     string    `json:"key"` // base64 of 32 bytes
}

// Key is what may be shown of a key.
type Key struct {
	ID      string
	Created time.Time
	Current bool
}

// Ring is an open key ring. It is safe for concurrent use.
type Ring struct {
	path string

	mu      sync.Mutex
	seen    fs.FileInfo // of the file that was read
	current string
	keys    map[string]seal.Secret
	list    []Key
}

// Open reads the ring. errors.Is(err, fs.ErrNotExist) when there is none.
func Open(path string) (*Ring, error) {
	r := &Ring{path: path}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r, r.refresh()
}

// Create makes a ring with one key unless there is a ring already, and opens it. made tells which.
func Create(path string, now time.Time) (r *Ring, made bool, err error) {
	err = change(path, func(f *file) error {
		if made = len(f.Keys) == 0; made {
			f.Current = f.add("", now)
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	r, err = Open(path)
	return r, made, err
}

// Add adds a key, with a name of its own when id is "", and makes the file if there is none. The first key is the current one; a later one becomes it
// when use is set. Exists (SealKey) when the id is taken, Invalid when it cannot be one.
func Add(path, id string, use bool, now time.Time) (string, error) {
	err := change(path, func(f *file) error {
		if id != "" && !valid(id) {
			return errs.E("keyring.Add", errs.Invalid, errs.SealKey, id).Because(errs.BadName, "the name of a key has 1 to 64 of the characters A-Z a-z 0-9 - _ . / :")
		}
		for _, k := range f.Keys {
			if k.ID == id {
				return errs.E("keyring.Add", errs.Exists, errs.SealKey, id).Because("", "the key ring has a key of that name")
			}
		}
		id = f.add(id, now)
		if use || f.Current == "" {
			f.Current = id
		}
		return nil
	})
	return id, err
}

// Use makes a key the current one. NotFound (SealKey) when the ring does not have it.
func Use(path, id string) error {
	return change(path, func(f *file) error {
		for _, k := range f.Keys {
			if k.ID == id {
				f.Current = id
				return nil
			}
		}
		return errs.E("keyring.Use", errs.NotFound, errs.SealKey, id).Because("", "the key ring has no key of that name")
	})
}

// Copy gives the ring at to the keys of the ring at from that it lacks, and tells how many these were. A ring that is not there is made; it gets the current
// key too, where one that is there keeps its own. errors.Is(err, fs.ErrNotExist) when there is no ring to copy from; Conflict (SealKey) when both have a key of one
// name that is not the same, then nothing is changed.
func Copy(from, to string) (copied int, err error) {
	source, err := read(from)
	if err != nil {
		return 0, err
	}
	err = change(to, func(f *file) error {
		added := 0
		for _, k := range source.Keys {
			i := slices.IndexFunc(f.Keys, func(o entry) bool { return o.ID == k.ID })
			switch {
			case i < 0:
				f.Keys = append(f.Keys, k)
				added++
			case f.Keys[i].Key != k.Key:
				return errs.E("keyring.Copy", errs.Conflict, errs.SealKey, k.ID).Because("", "both key rings have a key of this name, and they are not the same")
			}
		}
		if f.Current == "" {
			f.Current = source.Current
		}
		copied = added
		return nil
	})
	return copied, err
}

func valid(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '/', c == ':':
		default:
			return false
		}
	}
	return len(id) > 0 && len(id) <= 64
}

// add adds a fresh key and returns its id.
func (f *file) add(id string, now time.Time) string {
	key := seal.NewSecret()
	if id == "" {
		name := seal.NewSecret()
		id = now.UTC().Format("20060102T150405Z") + fmt.Sprintf("-%x", name[:4])
	}
	f.Keys = append(f.Keys, entry{ID: id, Created: now.UTC().Truncate(time.Second), Key: base64.StdEncoding.EncodeToString(key[:])})
	return id
}

// List shows the keys in the order in which they were added.
func (r *Ring) List() ([]Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.refresh()
	return append([]Key(nil), r.list...), err
}

// Current implements seal.Ring.
func (r *Ring) Current(context.Context) (string, seal.Secret, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(); err != nil {
		return "", seal.Secret{}, err
	}
	return r.current, r.keys[r.current], nil
}

// Find implements seal.Ring. A key that is known is found without a look at the file.
func (r *Ring) Find(_ context.Context, id string) (seal.Secret, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key, ok := r.keys[id]; ok {
		return key, nil
	}
	if err := r.refresh(); err != nil {
		return seal.Secret{}, err
	}
	key, ok := r.keys[id]
	if !ok {
		return key, seal.NoKey(id)
	}
	return key, nil
}

// refresh reads the file if it is another one than before.
func (r *Ring) refresh() error {
	info, err := os.Stat(r.path)
	if err != nil {
		return err
	}
	if r.seen != nil && os.SameFile(info, r.seen) && info.ModTime().Equal(r.seen.ModTime()) && info.Size() == r.seen.Size() {
		return nil
	}
	f, err := read(r.path)
	if err != nil {
		return err
	}
	keys := make(map[string]seal.Secret, len(f.Keys))
	list := make([]Key, 0, len(f.Keys))
	for _, k := range f.Keys {
		raw, err := base64.StdEncoding.DecodeString(k.Key)
		if err != nil || len(raw) != seal.KeySize || keys[k.ID] != (seal.Secret{}) {
			return damaged(r.path)
		}
		keys[k.ID] = seal.Secret(raw)
		list = append(list, Key{ID: k.ID, Created: k.Created, Current: k.ID == f.Current})
	}
	if _, ok := keys[f.Current]; !ok {
		return damaged(r.path)
	}
	r.seen, r.current, r.keys, r.list = info, f.Current, keys, list
	return nil
}

func damaged(path string) error {
	return errs.E("keyring.Open", errs.Internal, errs.SealKey, path).
		Because("", "the key ring is damaged, or written by a newer version; restore it from a copy")
}

func read(path string) (file, error) {
	var f file
	text, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || f.Version != fileVersion { // the decoder's error may quote the text
		return f, damaged(path)
	}
	return f, nil
}

// change replaces the file by what change makes of it, one process at a time.
func change(path string, change func(*file) error) (err error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // and with it the lock
	f, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = file{Version: fileVersion}, nil
	}
	if err != nil {
		return err
	}
	before := len(f.Keys)
	was := f.Current
	if err := change(&f); err != nil {
		return err
	}
	if len(f.Keys) == before && f.Current == was {
		return nil
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return wholefile.Write(path, append(text, '\n'))
}
