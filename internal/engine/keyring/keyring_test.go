package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pithos/internal/engine/keyring"
	"pithos/internal/errs"
	"pithos/internal/seal"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestARingIsMadeOnceAndRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.json")
	if _, err := keyring.Open(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no ring: %v", err)
	}
	r, made, err := keyring.Create(path, now)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	if _, made, err := keyring.Create(path, now); made || err != nil {
		t.Errorf("a second ring was made: %v, %v", made, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	first, key, err := r.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next, err := keyring.Add(path, "", false, now)
	if err != nil {
		t.Fatal(err)
	}
	if id, _, err := r.Current(t.Context()); id != first || err != nil {
		t.Errorf("after add: %s, %v", id, err)
	}
	if err := keyring.Use(path, next); err != nil {
		t.Fatal(err)
	}
	if id, other, err := r.Current(t.Context()); id != next || other.Equal(key) || err != nil {
		t.Errorf("after use: %s, %v", id, err)
	}
	third, err := keyring.Add(path, "third", true, now)
	if err != nil || third != "third" {
		t.Fatal(third, err)
	}
	again, err := keyring.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if old, err := again.Find(t.Context(), first); err != nil || !old.Equal(key) {
		t.Errorf("the first key: %v", err)
	}
	list, err := r.List()
	if err != nil || len(list) != 3 || list[0].Current || !list[2].Current || list[0].ID != first || !list[0].Created.Equal(now) {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := keyring.Add(path, "third", true, now); !errs.IsThing(err, errs.Exists, errs.SealKey) {
		t.Errorf("a name twice: %v", err)
	}
	if err := keyring.Use(path, "nobody"); !errs.IsThing(err, errs.NotFound, errs.SealKey) {
		t.Errorf("unknown key: %v", err)
	}
	for _, bad := range []string{"a b", "\x00", strings.Repeat("a", 65)} {
		if _, err := keyring.Add(path, bad, false, now); !errs.Is(err, errs.Invalid) {
			t.Errorf("name %q: %v", bad, err)
		}
	}
	if left, err := filepath.Glob(path + ".*.tmp"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestADamagedRingIsAnErrorThatShowsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.json")
	if _, _, err := keyring.Create(path, now); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Keys []struct{ Key string } }
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	secret := f.Keys[0].Key
	for name, bad := range map[string][]byte{
		"cut":         text[:len(text)-10],
		"no key":      bytes.Replace(text, []byte(secret), []byte(secret[:20]), 1),
		"not base64":  bytes.Replace(text, []byte(secret), []byte("*"+secret[1:]), 1),
		"newer":       bytes.Replace(text, []byte(`"version": 1`), []byte(`"version": 2`), 1),
		"no current":  bytes.Replace(text, []byte(`"current": "`), []byte(`"current": "x`), 1),
		"more fields": bytes.Replace(text, []byte(`"version"`), []byte(`"other": 1, "version"`), 1),
	} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := keyring.Open(path)
		if !errs.IsThing(err, errs.Internal, errs.SealKey) || strings.Contains(err.Error(), secret[2:10]) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := keyring.Create(path, now); err == nil {
			t.Errorf("%s: it was taken for none", name)
		}
	}
}

func TestManyProcessesAddKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.json")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := keyring.Add(path, fmt.Sprintf("key-%d", i), true, now); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r, err := keyring.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := r.List(); err != nil || len(list) != 8 {
		t.Errorf("%d keys, %v", len(list), err)
	}
}

func TestAFileIsAKeyService(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kms.json")
	for _, name := range []string{"one", "two"} {
		if _, err := keyring.Add(path, name, false, now); err != nil {
			t.Fatal(err)
		}
	}
	r, err := keyring.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s := keyring.NewService(r)
	key, blob, err := s.Generate(t.Context(), "one", []byte("context"))
	if err != nil || bytes.Contains(blob, key[:]) {
		t.Fatal(err)
	}
	if got, err := s.Unwrap(t.Context(), "one", blob, []byte("context")); err != nil || !got.Equal(key) {
		t.Error(err)
	}
	for name, try := range map[string]func() (seal.Secret, error){
		"other key":     func() (seal.Secret, error) { return s.Unwrap(t.Context(), "two", blob, []byte("context")) },
		"other context": func() (seal.Secret, error) { return s.Unwrap(t.Context(), "one", blob, []byte("other")) },
		"cut":           func() (seal.Secret, error) { return s.Unwrap(t.Context(), "one", blob[:20], []byte("context")) },
		"empty":         func() (seal.Secret, error) { return s.Unwrap(t.Context(), "one", nil, []byte("context")) },
	} {
		if _, err := try(); !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := s.Generate(t.Context(), "three", nil); !errs.IsThing(err, errs.NotFound, errs.SealKey) {
		t.Errorf("unknown key: %v", err)
	}
	text := base64.StdEncoding.EncodeToString(key[:])
	if strings.Contains(fmt.Sprintf("%+v %#v", r, s), text) {
		t.Error("a key shows")
	}
}

func TestCopyBringsWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if _, err := keyring.Copy(from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("from a ring that is not there: %v", err)
	}
	for _, id := range []string{"one", "two"} {
		if _, err := keyring.Add(from, id, true, now); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{2, 0} {
		if n, err := keyring.Copy(from, to); err != nil || n != want {
			t.Errorf("%d keys were copied, want %d; %v", n, want, err)
		}
	}
	source, err := keyring.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	target, err := keyring.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"one", "two"} {
		a, aerr := source.Find(t.Context(), id)
		b, berr := target.Find(t.Context(), id)
		if aerr != nil || berr != nil || a != b {
			t.Errorf("key %s differs: %v, %v", id, aerr, berr)
		}
	}
	if id, _, err := target.Current(t.Context()); err != nil || id != "two" {
		t.Errorf("current is %q, %v", id, err)
	}
	// A ring that was in use keeps its current key; a key of the same name that differs is refused.
	used := filepath.Join(dir, "used")
	if _, err := keyring.Add(used, "own", true, now); err != nil {
		t.Fatal(err)
	}
	if n, err := keyring.Copy(from, used); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	other := filepath.Join(dir, "other")
	if _, err := keyring.Add(other, "one", true, now); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Copy(from, other); !errs.Is(err, errs.Conflict) {
		t.Errorf("another key of the same name: %v", err)
	}
}
