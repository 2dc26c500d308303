// Package sealtest has a key ring and a key service in memory, for tests.
package sealtest

import (
	"bytes"
	"context"
	"sync"

	"pithos/internal/errs"
	"pithos/internal/seal"
)

// Ring is a key ring whose keys tests take away. The zero value has none.
type Ring struct {
	mu      sync.Mutex
	current string
	keys    map[string]seal.Secret
}

// Add adds a key and makes it the current one.
func (r *Ring) Add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		r.keys = map[string]seal.Secret{}
	}
	r.current, r.keys[id] = id, seal.NewSecret()
}

// Lose takes a key away.
func (r *Ring) Lose(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, id)
}

// Current implements seal.Ring.
func (r *Ring) Current(context.Context) (string, seal.Secret, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key, ok := r.keys[r.current]
	if !ok {
		return "", key, seal.NoKey(r.current)
	}
	return r.current, key, nil
}

// Find implements seal.Ring.
func (r *Ring) Find(_ context.Context, id string) (seal.Secret, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key, ok := r.keys[id]
	if !ok {
		return key, seal.NoKey(id)
	}
	return key, nil
}

// Service is a key service that has the keys in Keys.
type Service struct {
	Keys []string

	mu    sync.Mutex
	calls int
	made  map[string]wrapped
}

type wrapped struct {
	key     seal.Secret
	name    string
	context []byte
}

// Calls is how often the service was asked.
func (s *Service) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Generate implements seal.KeyService.
func (s *Service) Generate(_ context.Context, name string, encryptionContext []byte) (seal.Secret, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	for _, known := range s.Keys {
		if known != name {
			continue
		}
		if s.made == nil {
			s.made = map[string]wrapped{}
		}
		key, handle := seal.NewSecret(), seal.NewSecret()
		s.made[string(handle[:])] = wrapped{key, name, bytes.Clone(encryptionContext)}
		return key, handle[:], nil
	}
	return seal.Secret{}, nil, seal.NoKey(name)
}

// Unwrap implements seal.KeyService.
func (s *Service) Unwrap(_ context.Context, name string, blob, encryptionContext []byte) (seal.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	w, ok := s.made[string(blob)]
	if !ok || w.name != name || !bytes.Equal(w.context, encryptionContext) {
		return seal.Secret{}, errs.E("sealtest.Unwrap", errs.Corrupt, errs.SealKey, name)
	}
	return w.key, nil
}
