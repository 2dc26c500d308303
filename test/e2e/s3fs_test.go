package e2e_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pithos/test/service"
)

// TestS3fs mounts a bucket as a file system and uses it as one; what was written is there after it is mounted anew, and through the API.
func TestS3fs(t *testing.T) {
	w := newWorld(t)
	m := w.mount("s3fs")
	small, large := w.file("small", 1000), w.file("large", 45<<20)
	m.write("small", small)
	m.write("large", large) // by multipart upload
	m.holds("small", small)
	m.holds("large", large)

	m.must(os.MkdirAll(m.path("dir/deep"), 0o755))
	for _, name := range []string{"a", "b c", "ü"} {
		m.write("dir/deep/"+name, small)
	}
	m.names("dir/deep", "a", "b c", "ü")
	m.must(os.Rename(m.path("dir/deep/a"), m.path("dir/moved")))
	m.must(os.Rename(m.path("dir/deep"), m.path("dir/renamed")))
	m.names("dir", "moved", "renamed")
	m.names("dir/renamed", "b c", "ü")
	m.holds("dir/moved", small)
	m.must(os.Rename(m.path("large"), m.path("dir/large"))) // a copy in parts

	m.truncate("dir/moved", 300)
	m.holds("dir/moved", small[:300])
	m.truncate("dir/moved", 500)
	longer := append(slices.Clone(small[:300]), make([]byte, 200)...)
	m.holds("dir/moved", longer)
	m.appends("dir/moved", []byte("the end"))
	longer = append(longer, "the end"...)

	m.must(syscall.Setxattr(m.path("dir/moved"), "user.colour", []byte("blue"), 0))
	m.must(os.Chmod(m.path("dir/moved"), 0o640))
	m.must(os.Symlink("dir/moved", m.path("link")))
	m.holds("link", longer)

	m.unmount()
	m = w.mount("s3fs")
	m.holds("dir/moved", longer)
	m.holds("dir/large", large)
	value := make([]byte, 16)
	n, err := syscall.Getxattr(m.path("dir/moved"), "user.colour", value)
	if err != nil || string(value[:n]) != "blue" {
		t.Errorf("the attribute is %q, %v", value[:max(n, 0)], err)
	}
	if info, err := os.Stat(m.path("dir/moved")); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v %v", info, err)
	}
	w.run(w.tool("aws"), "--endpoint-url", w.URL(), "s3", "cp", "s3://s3fs/dir/large", "large back")
	w.holds("large back", large)
	m.must(os.Remove(m.path("dir/moved")))
	m.must(os.RemoveAll(m.path("dir")))
	m.names("", "link", "small")
	m.unmount()
}

// mounted is a bucket as a file system.
type mounted struct {
	w   *world
	dir string
	off bool
}

// mount makes the bucket if it is missing and mounts it.
func (w *world) mount(bucket string) *mounted {
	w.t.Helper()
	if device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		w.t.Skipf("file systems cannot be mounted: %v", err)
	} else if err := device.Close(); err != nil {
		w.t.Fatal(err)
	}
	s3fs := w.tool("s3fs")
	aws := w.tool("aws")
	if !strings.Contains(w.run(aws, "--endpoint-url", w.URL(), "s3", "ls"), " "+bucket+"\n") {
		w.run(aws, "--endpoint-url", w.URL(), "s3", "mb", "s3://"+bucket)
	}
	m := &mounted{w: w, dir: filepath.Join(w.dir, "mounted")}
	m.must(os.MkdirAll(m.dir, 0o755))
	keys := w.config("passwd-s3fs", "%s:%s\n", service.Admin.Access, service.Admin.Secret)
	w.run(s3fs, bucket, m.dir, "-o", "passwd_file="+keys+",url="+w.URL()+",use_path_request_style,use_xattr,tmpdir="+w.dir+",logfile="+filepath.Join(w.dir, "s3fs.log"))
	w.t.Cleanup(func() {
		if m.off {
			return
		}
		if log, err := os.ReadFile(filepath.Join(w.dir, "s3fs.log")); err == nil {
			w.t.Logf("the log of s3fs:\n%s", log)
		}
		// Lazily: whatever holds it still must not keep the test's folder.
		if out, err := exec.CommandContext(context.Background(), "umount", "--lazy", m.dir).CombinedOutput(); err != nil {
			w.t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return m
}

func (m *mounted) unmount() {
	m.w.t.Helper()
	m.w.run("umount", m.dir)
	m.off = true
}

func (m *mounted) path(name string) string { return filepath.Join(m.dir, name) }

func (m *mounted) must(err error) {
	m.w.t.Helper()
	if err != nil {
		m.w.t.Fatal(err)
	}
}

func (m *mounted) write(name string, body []byte) {
	m.w.t.Helper()
	m.must(os.WriteFile(m.path(name), body, 0o600))
}

// truncate cuts or lengthens a file that is open and was read. One that was not s3fs 1.90 overwrites with zeros, without asking for its bytes.
func (m *mounted) truncate(name string, size int64) {
	m.w.t.Helper()
	f, err := os.OpenFile(m.path(name), os.O_RDWR, 0)
	m.must(err)
	_, err = io.Copy(io.Discard, f)
	m.must(err)
	m.must(f.Truncate(size))
	m.must(f.Close())
}

func (m *mounted) appends(name string, more []byte) {
	m.w.t.Helper()
	f, err := os.OpenFile(m.path(name), os.O_WRONLY|os.O_APPEND, 0)
	m.must(err)
	_, err = f.Write(more)
	m.must(err)
	m.must(f.Close())
}

func (m *mounted) holds(name string, want []byte) {
	m.w.t.Helper()
	got, err := os.ReadFile(m.path(name))
	m.must(err)
	if !bytes.Equal(got, want) {
		m.w.t.Fatalf("%s has %d bytes, other than the %d that were written", name, len(got), len(want))
	}
}

// names wants a folder to have exactly these entries.
func (m *mounted) names(dir string, want ...string) {
	m.w.t.Helper()
	entries, err := os.ReadDir(m.path(dir))
	m.must(err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		m.w.t.Fatalf("%q has %q, want %q", dir, got, want)
	}
}
