package key_test

import (
	"strings"
	"testing"

	"pithos/internal/store/key"
)

func TestPasswordMatchesOnlyItself(t *testing.T) {
	for _, cost := range []key.Cost{key.CostHeld, key.CostStored} {
		hash, err := key.HashPassword("correct horse", cost)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(hash, "correct") {
			t.Error("the hash shows the password")
		}
		if !key.CheckPassword("correct horse", hash) {
			t.Error("the right password is refused")
		}
		for _, wrong := range []string{"", "correct hors", "Correct horse", "correct horse "} {
			if key.CheckPassword(wrong, hash) {
				t.Errorf("%q is accepted", wrong)
			}
		}
	}
}

func TestDamagedHashMatchesNothing(t *testing.T) {
	good, err := key.HashPassword("pw", key.CostHeld)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "pw", "$", "$$$$$", good + "$", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "m=8", "m=4294967295", 1), strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "p=1", "p=0", 1),
		strings.Replace(good, "t=1", "t=100000", 1), good[:len(good)-30],
	} {
		if key.CheckPassword("pw", bad) {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestPasswordLimits(t *testing.T) {
	for _, pw := range []string{"", strings.Repeat("x", key.PasswordMax+1)} {
		if _, err := key.HashPassword(pw, key.CostHeld); err == nil {
			t.Errorf("a password of %d bytes is accepted", len(pw))
		}
	}
}

func TestDrawnKeysAreValidAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		a, s := key.NewAccessKey(), key.NewSecret()
		if err := key.CheckAccessKey(a); err != nil || len(a) != 20 {
			t.Fatalf("%q: %v", a, err)
		}
		if err := key.CheckSecret(s); err != nil || len(s) != 40 {
			t.Fatalf("secret of %d bytes: %v", len(s), err)
		}
		if seen[a] || seen[s] {
			t.Fatal("drawn twice")
		}
		seen[a], seen[s] = true, true
	}
}

func TestCanonicalFollowsFromTheName(t *testing.T) {
	a, b := key.CanonicalOf("test"), key.CanonicalOf("test2")
	if len(a) != 64 || a == b || a != key.CanonicalOf("test") || key.CheckCanonical(a) != nil {
		t.Errorf("%q, %q", a, b)
	}
}

func TestRefusedSecretIsNotShown(t *testing.T) {
	secret := "canary \x01 secret"
	if err := key.CheckSecret(secret); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}
