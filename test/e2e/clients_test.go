package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pithos/test/service"
)

func TestBoto3(t *testing.T) {
	w := newWorld(t)
	w.script("boto3", w.tool("python"), filepath.Join(w.root, "test/clients/python/boto3_client.py"))
}

func TestPyarrow(t *testing.T) {
	w := newWorld(t)
	w.script("pyarrow", w.tool("python"), filepath.Join(w.root, "test/clients/python/pyarrow_client.py"))
}

func TestSDKForJavaScript(t *testing.T) {
	w := newWorld(t)
	node := w.tool("node")
	// Modules are looked up from where the script lies, so it goes beside them.
	script, err := os.ReadFile(filepath.Join(w.root, "test/clients/js/client.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(w.root, ".cache/js/node_modules")
	if _, err := os.Stat(modules); err != nil {
		w.tool("the AWS SDK for JavaScript")
	}
	if err := os.Symlink(modules, filepath.Join(w.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	w.script("javascript", node, w.config("client.mjs", "%s", script))
}

func TestSDKForGo(t *testing.T) { testGoClient(t, "aws") }

func TestMinioGo(t *testing.T) { testGoClient(t, "minio") }

// testGoClient builds the clients written in Go, which are a module of their own, and runs one.
func testGoClient(t *testing.T, which string) {
	w := newWorld(t)
	w.script("go-"+which, w.goClients(), which)
}

// TestAWS1 and TestAWS2 drive the AWS command line, whose two versions are two programs.
func TestAWS1(t *testing.T) { testAWS(t, "aws", "aws-cli/1.") }

func TestAWS2(t *testing.T) { testAWS(t, "aws2", "aws-cli/2.") }

func testAWS(t *testing.T, name, version string) {
	w := newWorld(t)
	aws := w.tool(name)
	if got := w.run(aws, "--version"); !strings.Contains(got, version) {
		t.Fatalf("%s is %s, want %s", aws, got, version)
	}
	s3 := func(args ...string) string {
		t.Helper()
		return w.run(aws, append([]string{"--endpoint-url", w.URL(), "s3"}, args...)...)
	}
	small, large := w.file("small file", 1000), w.file("large", 20<<20)
	files := w.tree("tree")
	s3("mb", "s3://commands")
	s3("cp", "small file", "s3://commands/")
	s3("cp", "large", "s3://commands/deep/large") // by multipart upload
	if list := s3("ls", "s3://commands/"); !strings.Contains(list, "1000 small file") || !strings.Contains(list, "PRE deep/") {
		t.Errorf("ls:\n%s", list)
	}
	s3("cp", "s3://commands/small file", "small back")
	s3("cp", "s3://commands/deep/large", "large back")
	w.holds("small back", small)
	w.holds("large back", large)
	s3("mv", "s3://commands/deep/large", "s3://commands/moved") // a copy in parts
	s3("cp", "s3://commands/moved", "moved back")
	w.holds("moved back", large)

	s3("sync", "tree", "s3://commands/tree")
	if again := s3("sync", "tree", "s3://commands/tree"); again != "" {
		t.Errorf("the second sync did something:\n%s", again)
	}
	s3("sync", "s3://commands/tree", "tree back")
	w.sameTree("tree back", files)

	head := w.run(aws, "--endpoint-url", w.URL(), "s3api", "head-object", "--bucket", "commands", "--key", "moved")
	if !strings.Contains(head, `"ContentLength": 20971520`) {
		t.Errorf("head-object:\n%s", head)
	}
	s3("rm", "s3://commands/moved")
	w.fails(aws, "--endpoint-url", w.URL(), "s3", "cp", "s3://commands/moved", "gone")
	w.fails(aws, "--endpoint-url", w.URL(), "s3", "rb", "s3://commands")
	s3("rb", "--force", "s3://commands")
	if list := s3("ls"); list != "" {
		t.Errorf("buckets are left:\n%s", list)
	}
}

func TestS3cmd(t *testing.T) {
	w := newWorld(t)
	s3cmd := w.tool("s3cmd")
	config := w.config("s3cfg", "[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = False\n",
		service.Admin.Access, service.Admin.Secret, w.Addr, w.Addr)
	run := func(args ...string) string {
		t.Helper()
		return w.run(s3cmd, append([]string{"-c", config, "--no-progress"}, args...)...)
	}
	small, large := w.file("small", 1000), w.file("large", 20<<20)
	files := w.tree("tree")
	run("mb", "s3://s3cmd")
	run("put", "small", "s3://s3cmd/small file + é")
	run("put", "large", "s3://s3cmd/large") // by multipart upload
	run("get", "s3://s3cmd/small file + é", "small back")
	run("get", "s3://s3cmd/large", "large back")
	w.holds("small back", small)
	w.holds("large back", large)
	if info := run("info", "s3://s3cmd/large"); !strings.Contains(info, "20971520") {
		t.Errorf("info:\n%s", info)
	}
	run("cp", "s3://s3cmd/large", "s3://s3cmd/copied")
	run("get", "s3://s3cmd/copied", "copied back")
	w.holds("copied back", large)
	run("sync", "tree/", "s3://s3cmd/tree/")
	if again := run("sync", "tree/", "s3://s3cmd/tree/"); strings.Contains(again, "upload:") {
		t.Errorf("the second sync did something:\n%s", again)
	}
	run("sync", "s3://s3cmd/tree/", "tree back/")
	w.sameTree("tree back", files)
	if list := run("ls", "s3://s3cmd/"); !strings.Contains(list, "s3://s3cmd/large") || !strings.Contains(list, "DIR") {
		t.Errorf("ls:\n%s", list)
	}
	run("del", "s3://s3cmd/copied")
	w.fails(s3cmd, "-c", config, "info", "s3://s3cmd/copied")
	run("del", "--recursive", "--force", "s3://s3cmd")
	run("rb", "s3://s3cmd")
}

func TestRclone(t *testing.T) {
	w := newWorld(t)
	rclone := w.tool("rclone")
	config := w.config("rclone.conf", "[p]\ntype = s3\nprovider = Other\naccess_key_id = %s\nsecret_access_key = %s\nendpoint = %s\n",
		service.Admin.Access, service.Admin.Secret, w.URL())
	run := func(args ...string) string {
		t.Helper()
		return w.run(rclone, append([]string{"--config", config, "--retries", "1", "-v"}, args...)...)
	}
	files := w.tree("tree")
	files["large"] = w.file("tree/large", 210<<20) // over rclone's limit for a single PUT: a multipart upload
	run("mkdir", "p:rclone")
	run("sync", "tree", "p:rclone/tree")
	again := run("sync", "tree", "p:rclone/tree")
	if !regexp.MustCompile(`Transferred:\s+0 B / 0 B`).MatchString(again) || strings.Contains(again, "Copied") || strings.Contains(again, "Deleted") {
		t.Errorf("the second sync did something:\n%s", again)
	}
	if check := run("check", "--download", "tree", "p:rclone/tree"); !strings.Contains(check, "0 differences found") {
		t.Errorf("check:\n%s", check)
	}
	run("copy", "p:rclone/tree", "tree back")
	w.sameTree("tree back", files)
	run("copyto", "p:rclone/tree/a.txt", "p:rclone/copied")
	if list := run("lsf", "p:rclone"); !strings.Contains(list, "copied\n") || !strings.Contains(list, "tree/\n") {
		t.Errorf("lsf:\n%s", list)
	}
	run("moveto", "p:rclone/copied", "p:rclone/moved")
	if text := run("cat", "p:rclone/moved"); !strings.Contains(text, string(files["a.txt"])) {
		t.Error("the moved object has other bytes")
	}
	// Deleting a file here deletes it there, and no other.
	if err := os.Remove(filepath.Join(w.dir, "tree", "a.txt")); err != nil {
		t.Fatal(err)
	}
	run("sync", "tree", "p:rclone/tree")
	run("check", "tree", "p:rclone/tree")
	run("purge", "p:rclone")
	if list := run("lsf", "p:"); strings.Contains(list, "rclone/") {
		t.Errorf("the bucket is still there:\n%s", list)
	}
}

func TestRestic(t *testing.T) {
	w := newWorld(t)
	restic := w.tool("restic")
	run := func(args ...string) string {
		t.Helper()
		cmd := w.command(restic, args...)
		cmd.Env = append(cmd.Env, "RESTIC_REPOSITORY=s3:"+w.URL()+"/restic/repository", "RESTIC_PASSWORD=password")
		return w.finish(cmd)
	}
	files := w.tree("tree")
	files["large"] = w.file("tree/large", 30<<20)
	run("init")
	run("backup", "tree")
	files["later"] = w.file("tree/later", 5000)
	run("backup", "tree")
	if check := run("check", "--read-data"); !strings.Contains(check, "no errors were found") {
		t.Errorf("check:\n%s", check)
	}
	run("restore", "latest", "--verify", "--target", "restored")
	w.sameTree("restored/tree", files)
	run("forget", "latest", "--prune")
	run("check")
	if snapshots := run("snapshots", "--compact"); !strings.Contains(snapshots, "1 snapshots") {
		t.Errorf("snapshots:\n%s", snapshots)
	}
}
