package backend_test

import (
	"bytes"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

func TestSignInTakesAPasswordOrASecretKey(t *testing.T) {
	w := newWorld(t)
	keys := w.stores.Keys.(key.Store)
	hash, err := key.HashPassword("pass word", key.CostHeld)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.CreateUser(t.Context(), key.User{ID: "alice:joe", Account: "alice", PasswordHash: hash}); err != nil {
		t.Fatal(err)
	}
	_, who, err := w.SignIn(t.Context(), "alice:joe", "pass word")
	if err != nil || who.Account != "alice" || who.Admin || who.User != "alice:joe" {
		t.Fatalf("%+v, %v", who, err)
	}
	if _, who, err = w.SignIn(t.Context(), "alice:admin", "secret of alice"); err != nil || !who.Admin {
		t.Fatalf("%+v, %v", who, err)
	}
	for _, bad := range [][2]string{{"alice:joe", "other"}, {"alice:joe", ""}, {"alice:admin", ""}, {"alice:admin", "secret of bob"}, {"alice:nobody", "x"}, {"", ""}} {
		if _, _, err := w.SignIn(t.Context(), naming.UserID(bad[0]), bad[1]); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := keys.DisableKey(t.Context(), "AKalice", true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.SignIn(t.Context(), "alice:admin", "secret of alice"); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("a disabled key still signs in: %v", err)
	}
}

func TestAccountMetadata(t *testing.T) {
	w := newWorld(t)
	set := func(c backend.Caller) error {
		return w.ConfigureAccount(t.Context(), c, "alice", access.PutAccount, func(s *backend.AccountSettings) error {
			s.Meta["colour"] = "red"
			return nil
		})
	}
	if err := set(w.bob); !errs.Is(err, errs.Denied) {
		t.Error(err)
	}
	if err := set(w.alice); err != nil {
		t.Fatal(err)
	}
	if s, err := w.AccountSettings(t.Context(), w.alice, "alice"); err != nil || s.Meta["colour"] != "red" {
		t.Errorf("%v, %v", s, err)
	}
}

func TestReviseKeepsTheContentAndReplacesTheRest(t *testing.T) {
	w := newWorld(t)
	body := bytes.Repeat([]byte("0123456789"), 20_000)
	before := w.put("a", body)
	after, err := w.Revise(t.Context(), w.alice, ref("photos"), "a", func(_ *object.Version, a *backend.Attributes) error {
		a.ContentType = "text/x"
		a.Meta = map[object.Domain]map[string]string{object.UserMeta: {"k": "v"}}
		return nil
	})
	if err != nil || after.ETag != before.ETag || after.UUID != before.UUID || after.ID <= before.ID || after.ContentType != "text/x" {
		t.Fatalf("%+v, %v", after, err)
	}
	if got := w.read(backend.Target{Container: ref("photos"), Name: "a"}); string(got) != string(body) {
		t.Error("the content changed")
	}
	none := func(*object.Version, *backend.Attributes) error { return nil }
	if _, err := w.Revise(t.Context(), w.alice, ref("photos"), "b", none); !errs.IsThing(err, errs.NotFound, errs.Object) {
		t.Error(err)
	}
	if _, err := w.Revise(t.Context(), w.bob, ref("photos"), "a", none); !errs.Is(err, errs.Denied) {
		t.Error(err)
	}
}

func TestAnObjectWhoseTimeIsUpIsGone(t *testing.T) {
	w := newWorld(t)
	w.put("a", []byte("x"))
	at := w.clock.Now().Add(time.Minute)
	if _, err := w.Revise(t.Context(), w.alice, ref("photos"), "a", func(_ *object.Version, a *backend.Attributes) error {
		a.Expires = at
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	open := func() error {
		_, err := w.Open(t.Context(), w.alice, backend.Target{Container: ref("photos"), Name: "a", Which: meta.Which{}}, object.Precondition{}, "s3:GetObject")
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	if err := open(); !errs.IsThing(err, errs.NotFound, errs.Object) {
		t.Error(err)
	}
}
