package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pithos/client"
	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/door/pithos"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

const blockSize = 4 << 10

// world is a service on loopback with the accounts alice and bob; the secret of both is "secret".
type world struct {
	*testing.T
	url   string
	posts atomic.Int64 // blocks sent
	fail  atomic.Int64 // requests to break off
	alice *client.Client
	bob   *client.Client
	box   *client.Container // "box" of alice's
}

// newDoor is the API over empty stores in memory.
func newDoor(ctx context.Context) (*pithos.Door, error) {
	engine := memory.New(clock.System{})
	b := backend.New(backend.Stores{Keys: engine.Keys(), Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: engine.Blobs()}, backend.Options{BlockSize: blockSize})
	for _, name := range []naming.AccountID{"alice", "bob"} {
		if _, err := engine.Keys().CreateAccount(ctx, key.Account{ID: name, Canonical: "canonical-" + string(name)}); err != nil {
			return nil, err
		}
	}
	return pithos.New(b, pithos.Options{
		Who: func(_ context.Context, token string) (access.Principal, bool, error) {
			return access.Principal{Account: naming.AccountID(token), User: naming.User(naming.AccountID(token), "admin"), Admin: true}, token != "", nil
		},
		SignIn: func(_ context.Context, user, secret string) (string, key.User, error) {
			account, _ := naming.UserID(user).Split()
			if secret != "secret" {
				return "", key.User{}, errs.E("", errs.Unauthenticated, errs.User, user)
			}
			return string(account), key.User{ID: naming.UserID(user), Account: account}, nil
		},
	}), nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	door, err := newDoor(t.Context())
	w.ok(err)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/octet-stream" {
			w.posts.Add(1)
			if w.fail.Add(-1) >= 0 {
				panic(http.ErrAbortHandler)
			}
		}
		door.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	w.alice, w.bob = w.signIn("alice"), w.signIn("bob")
	w.box = w.alice.Container("box")
	w.ok(w.box.Create(t.Context()))
	return w
}

func (w *world) signIn(name string) *client.Client {
	w.Helper()
	c, err := client.SignIn(w.Context(), w.url, name+":admin", "secret", client.Options{})
	w.ok(err)
	return c
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func random(seed uint64, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(data) // never fails
	return data
}

func (w *world) put(name string, data []byte, o client.PutOptions) client.Report {
	w.Helper()
	r, err := w.box.Put(w.Context(), name, bytes.NewReader(data), int64(len(data)), o)
	w.ok(err)
	return r
}

func (w *world) read(k *client.Container, name string, version uint64) string {
	w.Helper()
	body, _, err := k.Open(w.Context(), name, version)
	w.ok(err)
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(body)
	w.ok(err)
	return string(raw)
}

func TestOnlyMissingBlocksAreSent(t *testing.T) {
	w := newWorld(t)
	data := slices.Concat(random(1, 5*blockSize), make([]byte, 2*blockSize), random(2, 100))
	var last int64
	r := w.put("dir/a file%", data, client.PutOptions{
		ContentType: "text/x", Meta: map[string]string{"k": "v ä"}, IfHash: "*",
		Transfer: client.Transfer{Progress: func(done, total, _ int64) { last = total - done }},
	})
	if r.Blocks != 8 || r.Sent != 6 || r.Moved != 5*blockSize+100 || last != 0 {
		t.Errorf("%+v, %d left", r, last)
	}
	if w.read(w.box, "dir/a file%", 0) != string(data) {
		t.Error("other bytes are read")
	}
	changed := slices.Clone(data)
	changed[3*blockSize+7]++
	if r := w.put("dir/a file%", changed, client.PutOptions{IfHash: r.Hash}); r.Sent != 1 || r.Moved != blockSize {
		t.Errorf("after a change of one byte: %+v", r)
	}
	if r := w.put("copy", changed, client.PutOptions{}); r.Sent != 0 {
		t.Errorf("a file that is there already: %+v", r)
	}
	posts := w.posts.Load()
	if r := w.put("small", []byte("a few bytes"), client.PutOptions{Whole: 11, IfHash: "*"}); r.Sent != 1 || r.Moved != 11 || r.Version == 0 || r.UUID == "" || w.posts.Load() != posts {
		t.Errorf("a small file in one request: %+v", r)
	}
	if _, err := w.box.Put(t.Context(), "small", strings.NewReader("other bytes"), 11, client.PutOptions{Whole: 11, IfHash: "*"}); !client.IsChanged(err) {
		t.Errorf("a small file where there is one: %v", err)
	}
	if _, err := w.box.Put(t.Context(), "small", strings.NewReader("other bytes"), 11, client.PutOptions{Whole: 11, Blocks: []string{r.Hash}}); !errors.Is(err, client.ErrLocalChange) {
		t.Errorf("a small file that changed after it was hashed: %v", err)
	}
	if w.read(w.box, "small", 0) != "a few bytes" {
		t.Error("a refused request changed the file")
	}
	if _, err := w.box.Put(t.Context(), "copy", bytes.NewReader(data), int64(len(data)), client.PutOptions{IfHash: r.Hash}); !client.IsChanged(err) {
		t.Errorf("somebody else was first: %v", err)
	}
	if r := w.put("empty", nil, client.PutOptions{}); r.Bytes != 0 || w.read(w.box, "empty", 0) != "" {
		t.Errorf("%+v", r)
	}
}

func TestAnUploadGoesOnWhereItBrokeOff(t *testing.T) {
	w := newWorld(t)
	data := random(3, 20*blockSize)
	w.fail.Store(5)
	o := client.PutOptions{Transfer: client.Transfer{Parallel: 1}}
	if _, err := w.box.Put(t.Context(), "x", bytes.NewReader(data), int64(len(data)), o); err == nil {
		t.Fatal("it did not break off")
	}
	if _, err := w.box.Stat(t.Context(), "x"); !client.IsNotFound(err) {
		t.Errorf("half of an object shows: %v", err)
	}
	w.fail.Store(0)
	w.put("x", data, o)
	if w.read(w.box, "x", 0) != string(data) {
		t.Error("other bytes are read")
	}
}

// shrinking is a file that is cut while it is read.
type shrinking struct{ io.ReaderAt }

func (s shrinking) ReadAt(p []byte, off int64) (int, error) {
	if off >= blockSize {
		return 0, io.EOF
	}
	return s.ReaderAt.ReadAt(p, off)
}

func TestAFileThatChangesIsNotSent(t *testing.T) {
	w := newWorld(t)
	data := random(4, 3*blockSize)
	_, err := w.box.Put(t.Context(), "x", shrinking{bytes.NewReader(data)}, int64(len(data)), client.PutOptions{})
	if !errors.Is(err, client.ErrLocalChange) {
		t.Error(err)
	}
}

func TestADownloadKeepsWhatIsThere(t *testing.T) {
	w := newWorld(t)
	data := random(5, 10*blockSize+5)
	w.put("x", data, client.PutOptions{})
	path := filepath.Join(t.TempDir(), "x")
	get := func(want client.Report) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		w.ok(err)
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		w.ok(err)
		r, err := w.box.Get(t.Context(), "x", 0, f, info.Size(), client.Transfer{})
		w.ok(err)
		if r.Sent != want.Sent || r.Bytes != want.Bytes {
			t.Errorf("%+v, want %+v", r, want)
		}
	}
	get(client.Report{Sent: 11, Bytes: int64(len(data))})
	damaged := slices.Clone(data)
	damaged[4*blockSize]++
	w.ok(os.WriteFile(path, append(damaged, "and more"...), 0o600))
	get(client.Report{Sent: 1, Bytes: int64(len(data))})
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the file has other bytes: %v", err)
	}
	w.put("x", nil, client.PutOptions{})
	get(client.Report{})
}

func TestVersionsFoldersAndMoves(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.ok(w.box.MakeFolder(ctx, "a"))
	w.put("a/x", []byte("old"), client.PutOptions{})
	w.put("a/x", []byte("new"), client.PutOptions{})
	versions, err := w.box.Versions(ctx, "a/x")
	if err != nil || len(versions) != 2 || time.Since(versions[0].Made) > time.Hour {
		t.Fatal(versions, err)
	}
	if w.read(w.box, "a/x", versions[0].ID) != "old" {
		t.Error("the old version is another")
	}
	w.ok(w.box.Restore(ctx, "a/x", versions[0].ID))
	if w.read(w.box, "a/x", 0) != "old" {
		t.Error("it is not restored")
	}
	w.ok(w.box.Copy(ctx, "a", w.box, "b c", true))
	w.ok(w.box.Move(ctx, "a", w.box, "d", true))
	w.ok(w.box.Remove(ctx, "d", false))
	var names []string
	for e, err := range w.box.List(ctx, client.ListOptions{}) {
		w.ok(err)
		names = append(names, e.Name)
	}
	if !slices.Equal(names, []string{"b c", "b c/x", "d/x"}) {
		t.Errorf("%q", names)
	}
	for e, err := range w.box.List(ctx, client.ListOptions{Delimiter: "/", Prefix: "b c/"}) {
		if w.ok(err); e.Name != "b c/x" || e.Bytes != 3 || e.Folder() {
			t.Errorf("%+v", e)
		}
	}
	if containers, err := w.alice.Containers(ctx); err != nil || len(containers) != 1 || containers[0].Count != 3 {
		t.Error(containers, err)
	}
}

func TestSharingPublishingAndChanges(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.ok(w.box.MakeFolder(ctx, "shared"))
	w.ok(w.box.Share(ctx, "shared", nil, []string{"bob"}))
	theirs := w.bob.Of("alice").Container("box")
	data := random(6, 2*blockSize)
	if _, err := theirs.Put(ctx, "shared/from bob", bytes.NewReader(data), int64(len(data)), client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if w.read(w.box, "shared/from bob", 0) != string(data) {
		t.Error("other bytes are read")
	}
	if _, err := theirs.Put(ctx, "elsewhere", bytes.NewReader(data), int64(len(data)), client.PutOptions{}); !client.IsDenied(err) {
		t.Errorf("bob writes beside the shared folder: %v", err)
	}
	if accounts, err := w.bob.SharingAccounts(ctx); err != nil || !slices.Equal(accounts, []string{"alice"}) {
		t.Error(accounts, err)
	}
	link, err := w.box.Publish(ctx, "shared/from bob")
	if err != nil || !strings.HasPrefix(link, w.url+"/public/") {
		t.Fatal(link, err)
	}
	w.ok(w.box.Unpublish(ctx, "shared/from bob"))
	changes, err := w.box.Changes(ctx, "", client.ChangesOptions{})
	if err != nil || len(changes.Changes) != 2 || changes.Changes[1].Name != "shared/from bob" {
		t.Error(changes, err)
	}
	if _, err := client.SignIn(ctx, w.url, "alice:admin", "wrong", client.Options{}); !client.IsDenied(err) {
		t.Errorf("a wrong secret: %v", err)
	}
}
