package e2e_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"pithos/test/service"
)

// newSwiftWorld starts a server with the OpenStack API and returns where it is.
func newSwiftWorld(t *testing.T) (w *world, url string) {
	t.Helper()
	w = newWorld(t)
	return w, w.SwiftURL()
}

// byTempAuth are the variables of the swift command for TempAuth.
func byTempAuth(url string) []string {
	return []string{"ST_AUTH=" + url + "/auth/v1.0", "ST_USER=admin:admin", "ST_KEY=" + service.Admin.Secret}
}

func TestPythonSwiftclient(t *testing.T) { testSwiftclient(t, byTempAuth) }

func TestPythonSwiftclientByPassword(t *testing.T) { testSwiftclient(t, byPassword) }

// TestPythonSwiftclientByApplicationCredential is short: it is the sign-in that differs.
func TestPythonSwiftclientByApplicationCredential(t *testing.T) {
	w, url := newSwiftWorld(t)
	swift := w.tool("swift")
	w.segments(func(args ...string) string {
		t.Helper()
		return w.finish(with(w.command(swift, args...), byApplicationCredential(url)...))
	})
}

func testSwiftclient(t *testing.T, how signIn) {
	w, url := newSwiftWorld(t)
	swift := w.tool("swift")
	run := func(args ...string) string {
		t.Helper()
		return w.finish(with(w.command(swift, args...), how(url)...))
	}
	small, files := w.file("small", 1000), w.tree("tree")
	if list := run("capabilities"); !strings.Contains(list, "max_file_size") {
		t.Errorf("capabilities:\n%s", list)
	}
	run("upload", "--object-name", "deep/small file é", "swiftclient", "small")
	run("upload", "swiftclient", "tree")
	written := func() string {
		return regexp.MustCompile(`X-Timestamp: \S+`).FindString(run("stat", "swiftclient", "tree/a.txt"))
	}
	before := written()
	run("upload", "--changed", "swiftclient", "tree")
	if after := written(); before == "" || after != before {
		t.Errorf("the second upload wrote again: %s, then %s", before, after)
	}
	run("download", "swiftclient", "-p", "tree", "-D", "back")
	w.sameTree("back/tree", files)
	run("download", "swiftclient", "deep/small file é", "-o", "small back")
	w.holds("small back", small)
	run("post", "-m", "colour:red", "swiftclient", "deep/small file é")
	if stat := run("stat", "swiftclient", "deep/small file é"); !strings.Contains(stat, "Meta Colour: red") || !strings.Contains(stat, "Content Length: 1000") {
		t.Errorf("stat:\n%s", stat)
	}
	run("copy", "-d", "/other/copied", "swiftclient", "deep/small file é")
	run("download", "other", "copied", "-o", "copied back")
	w.holds("copied back", small)
	if list := run("list", "swiftclient", "--delimiter", "/"); list != "deep/\ntree/\n" {
		t.Errorf("list:\n%s", list)
	}
	run("post", "-r", ".r:*,.rlistings", "swiftclient")
	if stat := run("stat", "swiftclient"); !strings.Contains(stat, "Read ACL: .r:*,.rlistings") {
		t.Errorf("stat:\n%s", stat)
	}
	run("delete", "swiftclient")
	run("delete", "other", "copied")
	run("delete", "other")
	w.segments(run)
	if list := run("list"); list != "" {
		t.Errorf("containers are left:\n%s", list)
	}
}

// segments lets the swift command upload files in segments, static (which it does by itself) and dynamic. It deletes the segments with the object, and with one that
// is replaced.
func (w *world) segments(swift func(args ...string) string) {
	w.t.Helper()
	body := w.file("large", 2_500_000)
	for _, kind := range []string{"--use-slo", "--use-dlo"} {
		swift("upload", "-S", "1000000", kind, "segments", "large")
		stat := swift("stat", "segments", "large")
		if want := map[string]string{"--use-slo": "X-Static-Large-Object: True", "--use-dlo": "Manifest: segments_segments/"}[kind]; !strings.Contains(stat, want) {
			w.t.Errorf("%s: stat:\n%s", kind, stat)
		}
		if list := swift("list", "segments_segments"); strings.Count(list, "\n") != 3 || strings.Count(list, "large/") != 3 {
			w.t.Errorf("%s: the segments are\n%s", kind, list)
		}
		swift("download", "segments", "large", "-o", "large back")
		w.holds("large back", body)
	}
	if again := swift("upload", "-S", "1000000", "--use-dlo", "--skip-identical", "segments", "large"); strings.Contains(again, "segment") {
		w.t.Errorf("the second upload wrote again:\n%s", again)
	}
	swift("delete", "segments", "large")
	if list := swift("list", "segments_segments"); list != "" {
		w.t.Errorf("segments are left:\n%s", list)
	}
	swift("delete", "segments")
	swift("delete", "segments_segments")
}

func TestRcloneOverSwift(t *testing.T) { testRcloneOverSwift(t, byTempAuth) }

func TestRcloneOverSwiftByPassword(t *testing.T) { testRcloneOverSwift(t, byPassword) }

func TestRcloneOverSwiftByApplicationCredential(t *testing.T) {
	testRcloneOverSwift(t, func(url string) []string {
		how := byApplicationCredential(url)
		how[0] += "/v3" // rclone looks for no versions
		return how
	})
}

func testRcloneOverSwift(t *testing.T, how signIn) {
	w, url := newSwiftWorld(t)
	rclone := w.tool("rclone")
	config := w.config("rclone.conf", "[p]\ntype = swift\nenv_auth = true\n")
	run := func(args ...string) string {
		t.Helper()
		return w.finish(with(w.command(rclone, append([]string{"--config", config, "--retries", "1", "-v"}, args...)...), how(url)...))
	}
	files := w.tree("tree")
	run("sync", "tree", "p:rclone/tree")
	again := run("sync", "tree", "p:rclone/tree")
	if !regexp.MustCompile(`Transferred:\s+0 B / 0 B`).MatchString(again) || strings.Contains(again, "Copied") || strings.Contains(again, "Deleted") {
		t.Errorf("the second sync did something:\n%s", again)
	}
	if check := run("check", "--download", "tree", "p:rclone/tree"); !strings.Contains(check, "0 differences found") {
		t.Errorf("check:\n%s", check)
	}
	run("copyto", "p:rclone/tree/a.txt", "p:rclone/copied")
	run("moveto", "p:rclone/copied", "p:rclone/moved")
	if text := run("cat", "p:rclone/moved"); !strings.Contains(text, string(files["a.txt"])) {
		t.Error("the moved object has other bytes")
	}
	run("purge", "p:rclone")
	if list := run("lsf", "p:"); strings.Contains(list, "rclone/") {
		t.Errorf("the container is still there:\n%s", list)
	}
}

// TestSignedLinksOfSwiftclient lets the swift command sign links, and opens them without a token.
func TestSignedLinksOfSwiftclient(t *testing.T) {
	w, url := newSwiftWorld(t)
	swift := w.tool("swift")
	run := func(args ...string) {
		t.Helper()
		w.run(swift, append([]string{"-A", url + "/auth/v1.0", "-U", "admin:admin", "-K", service.Admin.Secret}, args...)...)
	}
	small := w.file("small", 1000)
	run("upload", "--object-name", "dir/small file", "signed", "small")
	run("post", "-m", "Temp-URL-Key:secret key", "signed")
	ask := func(method, link, body string) (status int, answer string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url+strings.ReplaceAll(strings.TrimSpace(link), " ", "%20"), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(raw)
	}
	for _, digest := range []string{"sha1", "sha256", "sha512"} {
		link := w.run(swift, "tempurl", "--digest", digest, "GET", "3600", "/v1/AUTH_admin/signed/dir/small file", "secret key")
		if status, body := ask("GET", link, ""); status != http.StatusOK || body != string(small) {
			t.Errorf("%s: %d, %d bytes, by %s", digest, status, len(body), link)
		}
		if status, _ := ask("DELETE", link, ""); status != http.StatusUnauthorized {
			t.Errorf("%s: a link for GET deletes: %d", digest, status)
		}
	}
	link := w.run(swift, "tempurl", "--prefix-based", "--ip-range", "127.0.0.1", "PUT", "3600", "/v1/AUTH_admin/signed/new/", "secret key")
	if status, body := ask("PUT", strings.Replace(link, "/new/?", "/new/o?", 1), "written"); status != http.StatusCreated {
		t.Errorf("%d %s by %s", status, body, link)
	}
	run("download", "signed", "new/o", "-o", "back")
	w.holds("back", []byte("written"))
}
