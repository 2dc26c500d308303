package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/test/service"
	"pithos/test/thin"
)

// token signs in at the Pithos+ API.
func (w *world) token(user, secret string) string {
	w.t.Helper()
	res := w.http(http.MethodGet, "/v1/", "", map[string]string{"X-Auth-User": user, "X-Auth-Key": secret})
	if res.token == "" {
		w.t.Fatalf("%s cannot sign in: %d", user, res.status)
	}
	return res.token
}

type answer struct {
	status      int
	body, token string
	header      http.Header
}

// http sends a request to the OpenStack listener.
func (w *world) http(method, path, body string, header map[string]string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.SwiftURL()+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, string(raw), res.Header.Get("X-Auth-Token"), res.Header}
}

// TestKamaki drives GRNET's own client of Pithos+, as its users would, with a configuration of its own.
func TestKamaki(t *testing.T) {
	w := newWorld(t)
	kamaki := w.tool("kamaki")
	config := w.config("kamakirc", "[global]\ndefault_cloud = here\nignore_ssl = on\ncolors = off\n[cloud \"here\"]\nurl = %s/identity/v2.0\ntoken = %s\n",
		w.SwiftURL(), w.token("admin:admin", service.Admin.Secret))
	run := func(args ...string) string {
		t.Helper()
		return w.run(kamaki, append(args, "-c", config)...)
	}
	has := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("%q is not in:\n%s", want, text)
			}
		}
	}
	first, second := w.file("first", 3000), w.file("second", 4<<20+5000)
	files := w.tree("tree")
	has(run("user", "authenticate"), "name: admin:admin")
	run("container", "create", "pithos")
	has(run("container", "list"), `pithos \(0B, 0 objects\)`)
	has(run("file", "upload", "first", "/pithos/dir/file"), "Upload completed")
	has(run("file", "upload", "-f", "second", "/pithos/dir/file"), "Upload completed")
	has(run("file", "list", "-l", "/pithos"), "dir/file", "bytes: 4199304", "x_object_modified_by: admin:admin")
	run("file", "download", "/pithos/dir/file", "back")
	w.holds("back", second)
	versions := regexp.MustCompile(`version_id: (\d+)`).FindAllStringSubmatch(run("file", "info", "--object-versions", "/pithos/dir/file"), -1)
	if len(versions) != 2 {
		t.Fatalf("versions: %v", versions)
	}
	run("file", "copy", "--source-version", versions[0][1], "/pithos/dir/file", "/pithos/old")
	run("file", "move", "/pithos/old", "/pithos/older")
	run("file", "download", "/pithos/older", "older")
	w.holds("older", first)
	run("file", "append", "first", "/pithos/older")
	run("file", "truncate", "--size", "4000", "/pithos/older")
	run("file", "download", "/pithos/older", "longer")
	w.holds("longer", append(append([]byte{}, first...), first[:1000]...))
	run("file", "modify", "--read-permission", "bob", "--metadata-add", "colour=red", "/pithos/older")
	has(run("file", "info", "/pithos/older"), "x-object-meta-colour: red", "x-object-sharing: read=bob", "content-length: 4000")
	link := regexp.MustCompile(`http://\S+(/public/\S+)`).FindStringSubmatch(run("file", "publish", "/pithos/older"))
	if link == nil || w.http(http.MethodGet, link[1], "", nil).body != string(first)+string(first[:1000]) {
		t.Errorf("the public link %v does not give the file", link)
	}
	run("file", "unpublish", "/pithos/older")
	has(run("group", "create", "team", "--uuid", "admin"), "team: admin")
	has(run("group", "list"), "team")
	run("group", "delete", "team")
	if list := run("group", "list"); strings.Contains(list, "team") {
		t.Errorf("the group is still there:\n%s", list)
	}
	second[10] ^= 1 // one block of two is another now
	if err := os.WriteFile(filepath.Join(w.dir, "changed"), second, 0o600); err != nil {
		t.Fatal(err)
	}
	has(run("file", "upload", "-f", "changed", "/pithos/dir/file"), "Upload completed")
	run("file", "download", "-f", "/pithos/dir/file", "back")
	w.holds("back", second)
	if text := run("file", "cat", "--range", "0-9", "/pithos/older"); !strings.Contains(text, string(first[:10])) {
		t.Errorf("the first bytes of the file are not in %q", text)
	}
	has(run("container", "modify", "--size-limit", "50MiB", "pithos"), "52428800|50.00MiB|50MiB")
	run("sharer", "list")
	has(run("quota", "list"), "pithos.diskspace", "usage: 4.01MiB")
	has(run("user", "uuid2name", "admin"), "admin: ")
	has(run("user", "name2uuid", "admin"), "admin: admin")
	run("file", "upload", "-r", "tree", "/pithos/up")
	run("file", "download", "-r", "/pithos/up", "down")
	w.sameTree("down", files)
	has(run("container", "info", "pithos"), "x-container-object-count: 1[0-9]")
	has(run("container", "modify", "--versioning", "none", "pithos"), "none")
	run("container", "empty", "--yes", "pithos")
	run("container", "delete", "--yes", "pithos")
	if list := run("container", "list"); strings.Contains(list, "pithos (") {
		t.Errorf("the container is still there:\n%s", list)
	}
}

// trio is one object seen through three doors by one user.
type trio struct {
	w      *world
	s3     *thin.Client
	token  string
	config string // of the command line
}

func (w *world) trio(name string, keys thin.Keys) *trio {
	u := &trio{w: w, s3: thin.New(w.Addr, keys, time.Minute), token: w.token(name, keys.Secret), config: filepath.Join(w.dir, strings.ReplaceAll(name, ":", "-")+".json")}
	w.t.Cleanup(u.s3.Close)
	cmd := w.command(w.Binary, "login", w.SwiftURL(), "--user", name)
	cmd.Env = append(cmd.Env, "PITHOS_PROFILES="+u.config, "PITHOS_SECRET="+keys.Secret)
	w.finish(cmd)
	return u
}

// pithos runs the command line.
func (u *trio) pithos(args ...string) string {
	u.w.t.Helper()
	cmd := u.w.command(u.w.Binary, args...)
	cmd.Env = append(cmd.Env, "PITHOS_PROFILES="+u.config)
	return u.w.finish(cmd)
}

func (u *trio) ask(r *thin.Request) (thin.Response, string) {
	u.w.t.Helper()
	var body []byte
	res, err := u.s3.Do(r, func(p []byte) { body = append(body, p...) })
	if err != nil {
		u.w.t.Fatal(err)
	}
	return res, string(body)
}

// sees wants the object to be the same through all doors, or to be kept from the user by all of them with a status.
func (u *trio) sees(what string, status int, want string) {
	u.w.t.Helper()
	got := map[string]string{}
	res, body := u.ask(&thin.Request{Method: http.MethodGet, Path: "/one/dir/file"})
	got["S3"] = strconv.Itoa(res.Status)
	if res.OK() {
		got["S3"] += body
	}
	for door, path := range map[string]string{"Swift": "/v1/AUTH_admin/one/dir/file", "Pithos+": "/v1/admin/one/dir/file"} {
		a := u.w.http(http.MethodGet, path, "", map[string]string{"X-Auth-Token": u.token})
		got[door] = strconv.Itoa(a.status)
		if a.status < 300 {
			got[door] += a.body
		}
	}
	all := strconv.Itoa(status) + want
	if diff := cmp.Diff(map[string]string{"S3": all, "Swift": all, "Pithos+": all}, got); diff != "" {
		u.w.t.Errorf("%s:\n%s", what, diff)
	}
}

// ids are the versions of the object as the command line lists them, the oldest first.
func (u *trio) ids() (ids []string) {
	u.w.t.Helper()
	var list []struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal([]byte(u.pithos("versions", "one/dir/file", "--json")), &list); err != nil {
		u.w.t.Fatal(err)
	}
	for _, v := range list {
		ids = append(ids, v.Version)
	}
	return ids
}

// inS3 is how S3 writes the number of a version.
func inS3(id string) string {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return id
	}
	return fmt.Sprintf("%016x", n)
}

// TestOneObjectThroughAllDoors: the same bytes, versions, metadata and permissions through S3, Swift and Pithos+; what the command line restores is what all
// doors then read.
func TestOneObjectThroughAllDoors(t *testing.T) {
	bob := thin.Keys{Access: "BOBACCESSKEY00000001", Secret: "bob/secret+key0000000000000000000000001", Region: "us-east-1"}
	w := newWorldWith(t, service.Options{Users: []service.User{{Name: "bob", Access: bob.Access, Secret: bob.Secret}}})
	admin, other := w.trio("admin:admin", service.Admin), w.trio("bob:bob", bob)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	admin.pithos("mkdir", "one")
	write("file", "by the command line")
	admin.pithos("put", "file", "one/dir/")
	admin.sees("after put", 200, "by the command line")

	res, _ := admin.ask(&thin.Request{Method: http.MethodPut, Path: "/one/dir/file", Body: []byte("by S3"), Headers: []thin.Header{{Name: "x-amz-meta-colour", Value: "red"}}})
	if !res.OK() {
		t.Fatal(res.Err())
	}
	admin.sees("after S3", 200, "by S3")
	ids := admin.ids()
	if len(ids) != 2 || inS3(ids[1]) != res.Version {
		t.Errorf("S3 made version %s; the command line lists %v", res.Version, ids)
	}
	head := w.http(http.MethodHead, "/v1/AUTH_admin/one/dir/file", "", map[string]string{"X-Auth-Token": admin.token})
	if head.header.Get("X-Object-Meta-Colour") != "red" || head.header.Get("Etag") != res.ETag {
		t.Errorf("Swift tells of what S3 wrote: %v", head.header)
	}
	if stat := admin.pithos("stat", "one/dir/file"); !strings.Contains(stat, "Meta colour  red") {
		t.Errorf("the command line tells of what S3 wrote:\n%s", stat)
	}
	if put := w.http(http.MethodPut, "/v1/AUTH_admin/one/dir/file", "by Swift", map[string]string{"X-Auth-Token": admin.token}); put.status != 201 {
		t.Fatalf("Swift: %d %s", put.status, put.body)
	}
	admin.sees("after Swift", 200, "by Swift")
	_, listed := admin.ask(&thin.Request{Method: http.MethodGet, Path: "/one", Query: "prefix=dir%2Ffile&versions="})
	ids = admin.ids()
	for i, id := range ids {
		if !strings.Contains(listed, fmt.Sprintf("<VersionId>%s</VersionId>", inS3(id))) {
			t.Errorf("S3 does not list version %d, %s:\n%s", i, id, listed)
		}
	}

	other.sees("before it is shared", 403, "")
	admin.pithos("share", "one/dir/file", "--read", "bob")
	other.sees("when it is shared", 200, "by Swift")
	admin.pithos("unshare", "one/dir/file")
	other.sees("when it is no longer shared", 403, "")

	admin.pithos("restore", "one/dir/file", "--version", ids[0])
	admin.sees("after the restore", 200, "by the command line")
	if res, _ := admin.ask(&thin.Request{Method: http.MethodDelete, Path: "/one/dir/file"}); !res.OK() {
		t.Fatal(res.Err())
	}
	admin.sees("after S3's deletion", 404, "")
	admin.pithos("restore", "one/dir/file", "--version", ids[1])
	admin.sees("after the second restore", 200, "by S3")
	if again := admin.ids(); len(again) != 5 {
		t.Errorf("versions at the end: %v", again)
	}
}

// TestEachDialectTakesWhatTheOtherHas: what only Pithos+ has works below Swift's paths, and what only Swift has below those of Pithos+.
func TestEachDialectTakesWhatTheOtherHas(t *testing.T) {
	w := newWorld(t)
	token := w.token("admin:admin", service.Admin.Secret)
	do := func(status int, method, path, body string, headers ...string) answer {
		t.Helper()
		header := map[string]string{"X-Auth-Token": token}
		for i := 0; i < len(headers); i += 2 {
			header[headers[i]] = headers[i+1]
		}
		a := w.http(method, path, body, header)
		if a.status != status {
			t.Errorf("%s %s: %d, want %d: %s", method, path, a.status, status, a.body)
		}
		return a
	}
	says := func(a answer, want string) {
		t.Helper()
		if !strings.Contains(a.body, want) {
			t.Errorf("%q is not in %q", want, a.body)
		}
	}
	const swift, plus, md5 = "/v1/AUTH_admin", "/v1/admin", "5d41402abc4b2a76b9719d911017c592" // of "hello"
	do(201, "PUT", plus+"/c", "")
	do(201, "PUT", swift+"/c/dir/x", "hello", "Content-Type", "text/plain")
	says(do(200, "GET", swift+"/c/dir/x?hashmap&format=json", ""), `"bytes": 5`)
	versions := do(200, "GET", swift+"/c/dir/x?version=list&format=json", "")
	id := regexp.MustCompile(`\[\[(\d+)`).FindStringSubmatch(versions.body)
	if id == nil {
		t.Fatal(versions.body)
	}
	if tag := do(200, "GET", swift+"/c/dir/x?version="+id[1], "").header.Get("Etag"); tag != md5 {
		t.Errorf("the ETag of a version is %q", tag)
	}
	says(do(202, "POST", swift+"/c?update&format=json", "hello", "Content-Type", "application/octet-stream"), `["`)
	do(202, "POST", swift+"/c/dir/x", "", "X-Object-Sharing", "read=*")
	do(204, "POST", swift+"/c/dir/x?update", " you", "Content-Type", "application/octet-stream", "Content-Range", "bytes */*")
	says(do(200, "GET", swift+"/c/dir/x", ""), "hello you")
	do(201, "MOVE", swift+"/c/dir/x", "", "Destination", "/c/dir/y")
	do(404, "GET", swift+"/c/dir/x", "")
	do(404, "GET", swift+"/c?until=1", "")
	says(do(200, "GET", swift+"/c?changes", ""), "dir/y")
	do(204, "POST", swift, "", "X-Account-Group-Team", "admin")

	do(204, "POST", swift, "", "X-Account-Meta-Temp-URL-Key", "key")
	at := time.Now().Add(time.Hour).Unix()
	mac := hmac.New(sha256.New, []byte("key"))
	fmt.Fprintf(mac, "GET\n%d\n%s", at, plus+"/c/dir/y")
	link := fmt.Sprintf("%s/c/dir/y?temp_url_sig=%x&temp_url_expires=%d", plus, mac.Sum(nil), at)
	if a := w.http("GET", link, "", nil); a.status != 200 || a.body != "hello you" {
		t.Errorf("a signed link: %d %s", a.status, a.body)
	}
	if a := w.http("GET", strings.Replace(link, "sig=", "sig=0", 1), "", nil); a.status != 401 {
		t.Errorf("a forged link: %d", a.status)
	}
	do(201, "PUT", plus+"/c/part", "hello", "Content-Type", "text/plain")
	do(201, "PUT", plus+"/c/large?multipart-manifest=put", `[{"path": "/c/part"}, {"path": "/c/dir/y"}]`, "Content-Type", "text/plain")
	says(do(200, "GET", plus+"/c/large", ""), "hellohello you")
	do(202, "POST", plus+"/c/part", "", "X-Delete-After", "100000")
	do(204, "POST", plus+"/c", "", "X-Container-Read", ".r:*")
	if a := w.http("GET", swift+"/c/part", "", nil); a.status != 200 {
		t.Errorf("a container that all may read: %d", a.status)
	}
	says(do(200, "POST", plus+"?bulk-delete", "c/part\nc/dir/y\n", "Content-Type", "text/plain", "Accept", "application/json"), `"Number Deleted":2`)
}
