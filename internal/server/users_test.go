package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pithos/internal/config"
	"pithos/internal/engine/filekeys"
)

func TestUsersOfTheFileAreReadAgainAndABrokenFileIsNotUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pithos.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	users := func(access string) string {
		return "keystore:\n  kind: file\n  users:\n    - name: alice\n      access_key: " + access + "\n      secret_key: a-secret-of-alice\n"
	}
	write(users("FIRSTKEY"))
	reload := func() (*config.Config, error) { return config.Load(config.Sources{File: file}) }
	cfg, err := reload()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := filekeys.New(fileUsers(cfg.Keystore))
	if err != nil {
		t.Fatal(err)
	}
	st := &stores{keys: keys, file: keys}
	w, log := watching()
	w.add(st.watchedUsers(Options{File: file, Reload: reload}))
	knows := func(access string) {
		t.Helper()
		w.look(t.Context(), false)
		if _, err := keys.Lookup(t.Context(), access); err != nil {
			t.Error(err)
		}
	}
	knows("FIRSTKEY")
	write(users("ANOTHERKEY"))
	knows("ANOTHERKEY")
	if _, err := keys.Lookup(t.Context(), "FIRSTKEY"); err == nil {
		t.Error("a key that is gone from the file still signs in")
	}
	for _, broken := range []string{users("ANOTHERKEY") + "nonsense: 1\n", "keystore:\n  kind: embedded\n"} {
		before := strings.Count(log.String(), "level=ERROR")
		write(broken)
		knows("ANOTHERKEY")
		knows("ANOTHERKEY")
		if n := strings.Count(log.String(), "level=ERROR") - before; n != 1 || !strings.Contains(log.String(), "pithos config check --config "+file) {
			t.Errorf("%d errors are logged: %s", n, log)
		}
	}
	write(users("MENDEDKEY"))
	knows("MENDEDKEY")
	if strings.Contains(log.String(), "a-secret-of-alice") {
		t.Error("the log shows a secret")
	}
	if (&stores{}).watchedUsers(Options{File: file, Reload: reload}) != nil {
		t.Error("users of another keystore are read from the file")
	}
}
