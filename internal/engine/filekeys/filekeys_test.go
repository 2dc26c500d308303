package filekeys_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/engine/filekeys"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

func store(t *testing.T) *filekeys.Store {
	t.Helper()
	s, err := filekeys.New([]filekeys.User{
		{Name: "tester", Account: "test", Password: "testing", Email: "t@example.org", DisplayName: "M. Tester", Canonical: "abc", Keys: []filekeys.Key{
			{AccessKey: "K2", Secret: "s2"}, {AccessKey: "K1", Secret: "s1"},
		}},
		{Name: "reader", Account: "test", Email: "r@example.org", Roles: []string{}, Groups: []string{"staff"}, Keys: []filekeys.Key{{AccessKey: "K3", Secret: "s3"}}},
		{Name: "alice", Account: "alice", Email: "r@example.org"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLookupGivesKeyUserAndAccount(t *testing.T) {
	s := store(t)
	got, err := s.Lookup(t.Context(), "K3")
	if err != nil {
		t.Fatal(err)
	}
	want := key.Identity{
		Key:     key.Key{AccessKey: "K3", Secret: "s3", User: "test:reader"},
		User:    key.User{ID: "test:reader", Account: "test", DisplayName: "reader", Email: "r@example.org", Roles: nil, Groups: []string{"staff"}},
		Account: key.Account{ID: "test", Canonical: "abc", DisplayName: "M. Tester", Email: "t@example.org"},
	}
	got.User.Roles = append([]string(nil), got.User.Roles...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Lookup(t.Context(), "K4"); !errs.IsThing(err, errs.NotFound, errs.Key) {
		t.Error(err)
	}
}

func TestRolesDefaultToAdministratorAndEmptyMeansNone(t *testing.T) {
	s := store(t)
	for id, want := range map[naming.UserID]int{"test:tester": 1, "test:reader": 0, "alice:alice": 1} {
		u, err := s.User(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(u.Roles) != want || want == 1 && u.Roles[0] != key.RoleAdmin {
			t.Errorf("%s has roles %v", id, u.Roles)
		}
	}
}

func TestPasswordIsKeptAsAHash(t *testing.T) {
	u, err := store(t).User(t.Context(), "test:tester")
	if err != nil || !key.CheckPassword("testing", u.PasswordHash) || u.PasswordHash == "testing" {
		t.Errorf("%v %v", u.PasswordHash, err)
	}
}

func TestAccountsAreFoundByIDCanonicalAndEmail(t *testing.T) {
	s, ctx := store(t), t.Context()
	if a, err := s.Canonical(ctx, "abc"); err != nil || a.ID != "test" {
		t.Error(a, err)
	}
	if a, err := s.Canonical(ctx, key.CanonicalOf("alice")); err != nil || a.ID != "alice" {
		t.Error(a, err)
	}
	if a, err := s.Email(ctx, "t@example.org"); err != nil || a.ID != "test" {
		t.Error(a, err)
	}
	if _, err := s.Email(ctx, "r@example.org"); !errs.Is(err, errs.Conflict) {
		t.Error(err)
	}
	if _, err := s.Email(ctx, "x@example.org"); !errs.IsThing(err, errs.NotFound, errs.Account) {
		t.Error(err)
	}
	if _, err := s.Account(ctx, "none"); !errs.IsThing(err, errs.NotFound, errs.Account) {
		t.Error(err)
	}
}

func TestListsAreInOrderAndGoOnAfterAPosition(t *testing.T) {
	s, ctx := store(t), t.Context()
	var got []string
	_ = s.Accounts(ctx, "", func(a key.Account) bool { got = append(got, string(a.ID)); return true })
	_ = s.Accounts(ctx, "alice", func(a key.Account) bool { got = append(got, string(a.ID)); return true })
	_ = s.Users(ctx, "", "", func(u key.User) bool { got = append(got, string(u.ID)); return true })
	_ = s.Users(ctx, "test", "test:reader", func(u key.User) bool { got = append(got, string(u.ID)); return true })
	_ = s.Users(ctx, "", "", func(u key.User) bool { got = append(got, string(u.ID)); return false })
	_ = s.Keys(ctx, "test:tester", func(k key.Key) bool { got = append(got, k.AccessKey); return true })
	want := []string{"alice", "test", "test", "alice:alice", "test:reader", "test:tester", "test:tester", "alice:alice", "K1", "K2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := s.Keys(ctx, "nobody", nil); !errs.IsThing(err, errs.NotFound, errs.User) {
		t.Error(err)
	}
}

func TestContradictionsAreRefused(t *testing.T) {
	k := []filekeys.Key{{AccessKey: "K", Secret: "s"}}
	for name, users := range map[string][]filekeys.User{
		"user twice":           {{Name: "a", Account: "a"}, {Name: "a", Account: "a"}},
		"key twice":            {{Name: "a", Account: "a", Keys: k}, {Name: "b", Account: "b", Keys: k}},
		"canonical id differs": {{Name: "a", Account: "t", Canonical: "x"}, {Name: "b", Account: "t", Canonical: "y"}},
		"canonical id shared":  {{Name: "a", Account: "a", Canonical: "x"}, {Name: "b", Account: "b", Canonical: "x"}},
	} {
		if _, err := filekeys.New(users, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestClosedStoreAnswersNothing(t *testing.T) {
	s := store(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(t.Context(), "K1"); !errs.Is(err, errs.Closed) {
		t.Error(err)
	}
}

func TestReplaceIsWholeOrNothing(t *testing.T) {
	s, ctx := store(t), t.Context()
	if err := s.Replace([]filekeys.User{{Name: "a", Account: "a"}, {Name: "a", Account: "a"}}, nil); err == nil {
		t.Error("a user twice is accepted")
	}
	if _, err := s.Lookup(ctx, "K1"); err != nil {
		t.Errorf("after a refused replacement: %v", err)
	}
	if err := s.Replace([]filekeys.User{{Name: "new", Account: "new", Keys: []filekeys.Key{{AccessKey: "K9", Secret: "s9"}}}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(ctx, "K9"); err != nil {
		t.Error(err)
	}
	if _, err := s.Lookup(ctx, "K1"); !errs.Is(err, errs.NotFound) {
		t.Errorf("a key that is gone from the file: %v", err)
	}
	if _, err := s.Account(ctx, "test"); !errs.Is(err, errs.NotFound) {
		t.Errorf("an account that is gone from the file: %v", err)
	}
}
