package e2e_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pithos/test/service"
)

// signIn is a way to sign in to Keystone v3, as the variables that OpenStack's clients share.
type signIn func(url string) []string

func byPassword(url string) []string {
	return []string{
		"OS_AUTH_URL=" + url + "/identity/v3", "OS_IDENTITY_API_VERSION=3", "OS_USERNAME=admin", "OS_PASSWORD=" + service.Admin.Secret,
		"OS_PROJECT_NAME=admin", "OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
	}
}

// byApplicationCredential lets the client find the version of the service by itself.
func byApplicationCredential(url string) []string {
	return []string{
		"OS_AUTH_URL=" + url + "/identity", "OS_IDENTITY_API_VERSION=3", "OS_AUTH_TYPE=v3applicationcredential",
		"OS_APPLICATION_CREDENTIAL_ID=" + service.Admin.Access, "OS_APPLICATION_CREDENTIAL_SECRET=" + service.Admin.Secret,
	}
}

// with adds variables to the environment of a client.
func with(cmd *exec.Cmd, more ...string) *exec.Cmd {
	cmd.Env = append(cmd.Env, more...)
	return cmd
}

func TestOpenstackByPassword(t *testing.T) { testOpenstack(t, byPassword) }

func TestOpenstackByApplicationCredential(t *testing.T) { testOpenstack(t, byApplicationCredential) }

// testOpenstack drives the openstack command.
func testOpenstack(t *testing.T, how signIn) {
	w, url := newSwiftWorld(t)
	openstack := w.tool("openstack")
	run := func(args ...string) string {
		t.Helper()
		cmd := with(w.command(openstack, args...), how(url)...)
		out, err := cmd.Output() // warnings go to the other one
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", cmd, err, out, stderrOf(err))
		}
		return string(out)
	}
	small := w.file("small", 1000)
	if token := run("token", "issue", "-f", "value", "-c", "id", "-c", "project_id"); !regexp.MustCompile(`^\S{20,}\nadmin\n$`).MatchString(token) {
		t.Errorf("token issue:\n%s", token)
	}
	var services []struct{ Name, Type string }
	if err := json.Unmarshal([]byte(run("catalog", "list", "-f", "json")), &services); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, s := range services {
		kinds = append(kinds, s.Type)
	}
	if slices.Sort(kinds); !slices.Equal(kinds, []string{"identity", "object-store"}) {
		t.Errorf("catalog list: %q", kinds)
	}
	run("container", "create", "first", "second")
	if list := run("container", "list", "-f", "value"); list != "first\nsecond\n" {
		t.Errorf("container list:\n%s", list)
	}
	run("object", "create", "--name", "deep/small file é", "first", "small")
	run("object", "create", "first", "small")
	if list := run("object", "list", "-f", "value", "first"); list != "deep/small file é\nsmall\n" {
		t.Errorf("object list:\n%s", list)
	}
	if show := run("container", "show", "-f", "json", "first"); !strings.Contains(show, `"object_count": "2"`) || !strings.Contains(show, `"bytes_used": "2000"`) {
		t.Errorf("container show:\n%s", show)
	}
	if show := run("object", "show", "-f", "json", "first", "deep/small file é"); !strings.Contains(show, `"content-length": "1000"`) {
		t.Errorf("object show:\n%s", show)
	}
	run("object", "save", "--file", "back", "first", "deep/small file é")
	w.holds("back", small)
	run("object", "delete", "first", "deep/small file é")
	run("container", "delete", "second")
	run("container", "delete", "--recursive", "first")
	if list := run("container", "list", "-f", "value"); strings.TrimSpace(list) != "" {
		t.Errorf("containers are left:\n%s", list)
	}
}

// stderrOf is what a command wrote there before it failed.
func stderrOf(err error) []byte {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.Stderr
	}
	return nil
}

func TestOpenstackSDKByPassword(t *testing.T) { testOpenstackSDK(t, byPassword) }

func TestOpenstackSDKByApplicationCredential(t *testing.T) {
	testOpenstackSDK(t, byApplicationCredential)
}

func testOpenstackSDK(t *testing.T, how signIn) {
	w, url := newSwiftWorld(t)
	cmd := with(w.command(w.tool("python"), filepath.Join(w.root, "test/clients/python/openstacksdk_client.py")), how(url)...)
	t.Logf("%s", w.finish(with(cmd, "CONTAINER=openstacksdk", "PROJECT=admin")))
}

func TestGophercloudByPassword(t *testing.T) {
	// gophercloud wants the project's domain by this name, which other clients take for the scope.
	testGophercloud(t, func(url string) []string { return append(byPassword(url), "OS_DOMAIN_NAME=Default") })
}

func TestGophercloudByApplicationCredential(t *testing.T) {
	testGophercloud(t, byApplicationCredential)
}

func testGophercloud(t *testing.T, how signIn) {
	w, url := newSwiftWorld(t)
	cmd := with(w.command(w.goClients(), "gophercloud"), how(url)...)
	t.Logf("%s", w.finish(with(cmd, "BUCKET=gophercloud")))
}

// TestResticOverSwift lets restic sign in by Keystone v3 for one repository, and by TempAuth for another.
func TestResticOverSwift(t *testing.T) {
	w, url := newSwiftWorld(t)
	restic := w.tool("restic")
	files := w.tree("tree")
	files["large"] = w.file("tree/large", 10<<20)
	for name, env := range map[string][]string{
		"v1": byTempAuth(url),
		"v3": byPassword(url),
	} {
		run := func(args ...string) string {
			t.Helper()
			cmd := with(w.command(restic, args...), env...)
			return w.finish(with(cmd, "RESTIC_REPOSITORY=swift:restic-"+name+":/repository", "RESTIC_PASSWORD=password"))
		}
		run("init")
		run("backup", "tree")
		files["later "+name] = w.file("tree/later "+name, 5000)
		files["a.txt"] = w.file("tree/a.txt", 300)
		run("backup", "tree")
		run("restore", "latest", "--verify", "--target", "restored "+name)
		w.sameTree("restored "+name+"/tree", files)
		if check := run("check", "--read-data"); !strings.Contains(check, "no errors were found") {
			t.Errorf("%s: check:\n%s", name, check)
		}
		run("forget", "latest", "--prune")
		if snapshots := run("snapshots", "--compact"); !strings.Contains(snapshots, "1 snapshots") {
			t.Errorf("%s: snapshots:\n%s", name, snapshots)
		}
	}
}
