// Package e2e_test drives a real pithos with real clients, each with its default settings: put, get, list, delete, multipart, bytes compared
// both ways. Each test has a server of its own, on a free port, with an empty data directory.
//
// test/setup installs the clients. Where one is missing, its test is skipped, or fails if PITHOS_TEST_TOOLS is "required".
package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pithos/test/service"
)

// build compiles the program once for all tests.
var build = sync.OnceValues(func() (string, error) { return service.Build(context.Background()) })

// world is a server, a place for files, and the environment of a client.
type world struct {
	*service.Service

	t    *testing.T
	root string // of the repository
	dir  string // for the client's files; its HOME
}

// newWorld starts a server. When the test ends, the server must end well on SIGTERM, and its data directory must be sound.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, service.Options{})
}

func newWorldWith(t *testing.T, o service.Options) *world {
	t.Helper()
	w := newIdleWorld(t)
	w.start(o)
	return w
}

// newIdleWorld has no server yet.
func newIdleWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	root, err := service.Root()
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, root: root, dir: t.TempDir()}
}

// start starts the server of an idle world.
func (w *world) start(o service.Options) {
	t := w.t
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	o.Binary, o.Data = binary, filepath.Join(t.TempDir(), "data")
	s, err := service.Start(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	w.Service = s
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log ends:\n%s", s.LogTail())
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if out, err := s.Run(context.Background(), "fsck"); err != nil {
			t.Errorf("fsck after the test: %v\n%s", err, out)
		}
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
}

// tool is the path of a client. In .cache come before those of the machine, because they are pinned.
func (w *world) tool(names ...string) string {
	w.t.Helper()
	for _, name := range names {
		for _, dir := range []string{"bin", "venv/bin"} {
			path := filepath.Join(w.root, ".cache", dir, name)
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("PITHOS_TEST_TOOLS") == "required" {
		w.t.Fatalf("%q is missing: test/setup should have installed it", names)
	}
	w.t.Skipf("%q is missing: test/setup installs it", names)
	return ""
}

// env is the environment of a client: the usual variables of AWS, and nothing of whoever runs the test.
func (w *world) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + w.dir, "LANG=C.UTF-8",
		"AWS_ACCESS_KEY_ID=" + service.Admin.Access, "AWS_SECRET_ACCESS_KEY=" + service.Admin.Secret, "AWS_DEFAULT_REGION=us-east-1", "AWS_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "ENDPOINT=" + w.URL(),
	}
}

// command prepares a client's run in the client's folder.
func (w *world) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.t.Context(), name, args...)
	cmd.Dir = w.dir
	cmd.Env = w.env()
	return cmd
}

// run runs a client and returns what it printed. It must succeed.
func (w *world) run(name string, args ...string) string {
	w.t.Helper()
	return w.finish(w.command(name, args...))
}

func (w *world) finish(cmd *exec.Cmd) string {
	w.t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// fails runs a client that must not succeed.
func (w *world) fails(name string, args ...string) {
	w.t.Helper()
	cmd := w.command(name, args...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		w.t.Fatalf("%s: succeeded, must not\n%s", cmd, out)
	}
}

// eventually waits until something is so, and reports whether it ever was.
func (w *world) eventually(so func() bool) bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-late.C:
			return false
		case <-tick.C:
		}
	}
	return true
}

// script runs a client that checks everything by itself, on a bucket of its own.
func (w *world) script(bucket, name string, args ...string) {
	w.t.Helper()
	cmd := w.command(name, args...)
	cmd.Env = append(cmd.Env, "BUCKET="+bucket)
	w.t.Logf("%s", w.finish(cmd))
}

// file makes a file of random bytes in the client's folder.
func (w *world) file(name string, size int) []byte {
	w.t.Helper()
	body := make([]byte, size)
	if _, err := rand.Read(body); err != nil {
		w.t.Fatal(err)
	}
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return body
}

// holds wants a file in the client's folder to have these bytes.
func (w *world) holds(name string, want []byte) {
	w.t.Helper()
	got, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		w.t.Fatalf("%s has %d bytes, other than the %d that were stored", name, len(got), len(want))
	}
}

// tree makes a small folder with names of all sorts and returns its files.
func (w *world) tree(root string) map[string][]byte {
	w.t.Helper()
	files := map[string][]byte{}
	for i, name := range []string{"a.txt", "deep/b.bin", "deep/down/c", "with space + plus.txt", "é ü ☃.txt"} {
		files[name] = w.file(filepath.Join(root, name), 100+40_000*i)
	}
	return files
}

// sameTree wants a folder to have exactly these files.
func (w *world) sameTree(root string, files map[string][]byte) {
	w.t.Helper()
	count := 0
	err := filepath.WalkDir(filepath.Join(w.dir, root), func(_ string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			count++
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if count != len(files) {
		w.t.Fatalf("%s has %d files, want %d", root, count, len(files))
	}
	for name, body := range files {
		w.holds(filepath.Join(root, name), body)
	}
}

// config writes a client's configuration file and returns its path.
func (w *world) config(name, format string, args ...any) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}
