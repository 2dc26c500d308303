package backend_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// share sets the lists of a path as alice.
func (w *world) share(name string, read, write []string) {
	w.t.Helper()
	_, err := w.Share(w.t.Context(), w.alice, ref("photos"), naming.ObjectName(name), backend.ShareChange{Lists: &backend.ShareLists{Read: read, Write: write}})
	if err != nil {
		w.t.Fatalf("share %s: %v", name, err)
	}
}

func (w *world) folder(name string) {
	w.t.Helper()
	r := put(name, nil)
	r.Attributes.ContentType = "application/directory; x=y"
	if _, err := w.Put(w.t.Context(), w.alice, r); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) reads(c backend.Caller, name string) bool {
	w.t.Helper()
	_, err := w.Open(w.t.Context(), c, target(name), object.Precondition{}, access.GetObject)
	if err != nil && !errs.Is(err, errs.Denied) {
		w.t.Fatalf("read %s: %v", name, err)
	}
	return err == nil
}

func (w *world) writes(c backend.Caller, name string) bool {
	w.t.Helper()
	_, err := w.Put(w.t.Context(), c, put(name, []byte("by somebody")))
	if err != nil && !errs.Is(err, errs.Denied) {
		w.t.Fatalf("write %s: %v", name, err)
	}
	return err == nil
}

func TestTheNearestListsDecideAlone(t *testing.T) {
	w := newWorld(t)
	w.folder("a")
	w.folder("a/b/")
	w.put("a/plain", []byte("no folder"))
	w.put("a/b/x", []byte("x"))
	w.put("a/y", []byte("y"))
	w.put("a/plain/z", []byte("z"))
	w.put("ab", []byte("beside"))
	if w.reads(w.bob, "a/y") {
		t.Error("bob reads what nobody shared")
	}
	w.share("a", nil, []string{"bob"})
	w.share("a/b/", []string{"bob:admin"}, nil)
	w.share("a/plain", []string{"carol"}, nil)
	for _, c := range []struct {
		name        string
		read, write bool
	}{
		{"a/y", true, true},
		{"a/new", false, true}, // may be created; reading what is not there is looked at below
		{"a/b/x", true, false}, // the folder below overrides
		{"a/b/", true, false},
		{"a/plain", false, false},
		{"a/plain/z", true, true}, // lists of what is no folder affect nothing else
		{"ab", false, false},
	} {
		if c.name != "a/new" && w.reads(w.bob, c.name) != c.read {
			t.Errorf("bob reads %s: %v", c.name, !c.read)
		}
		if w.writes(w.bob, c.name) != c.write {
			t.Errorf("bob writes %s: %v", c.name, !c.write)
		}
		if w.reads(anyone, c.name) {
			t.Errorf("anyone reads %s", c.name)
		}
	}
	if _, err := w.Delete(t.Context(), w.bob, backend.DeleteRequest{Target: target("a/y")}); !errs.Is(err, errs.Denied) {
		t.Errorf("a writer deletes: %v", err)
	}
	if _, err := w.Share(t.Context(), w.bob, ref("photos"), "a/y", backend.ShareChange{Public: new(bool)}); !errs.Is(err, errs.Denied) {
		t.Errorf("a writer shares: %v", err)
	}
}

func TestSharesHangOnThePath(t *testing.T) {
	w := newWorld(t)
	first := w.put("x", []byte("1"))
	w.share("x", []string{"bob"}, nil)
	w.put("x", []byte("2"))
	if !w.reads(w.bob, "x") {
		t.Error("an overwrite ended the sharing")
	}
	moved, err := w.Move(t.Context(), w.alice, copyOf("x", "y"))
	if err != nil || moved.UUID != first.UUID {
		t.Fatalf("%v, %v", moved, err)
	}
	if w.reads(w.bob, "y") {
		t.Error("sharing moved along")
	}
	w.put("x", []byte("3"))
	if w.reads(w.bob, "x") {
		t.Error("sharing outlived the object")
	}
	w.share("x", nil, nil)
}

func TestGroupsAndEverybody(t *testing.T) {
	w := newWorld(t)
	w.put("x", []byte("x"))
	w.share("x", []string{"alice:friends"}, nil)
	if w.reads(w.bob, "x") {
		t.Error("a group that is not there lets bob in")
	}
	err := w.ConfigureAccount(t.Context(), w.alice, "alice", access.PutAccount, func(a *backend.AccountSettings) error {
		a.Groups = map[string][]string{"friends": {"bob:admin", "dave"}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !w.reads(w.bob, "x") || w.writes(w.bob, "x") || w.reads(anyone, "x") {
		t.Error("the group does not let bob, and only bob, read")
	}
	w.share("x", []string{access.Everyone}, nil)
	if !w.reads(w.bob, "x") || w.reads(anyone, "x") {
		t.Error("everybody who signed in may read, and nobody else")
	}
}

func TestOthersSeeWhatTheyMayRead(t *testing.T) {
	w := newWorld(t)
	w.folder("a")
	w.folder("a/closed")
	for _, name := range []string{"a/1", "a/closed/2", "a/sub/3", "b", "c/4", "d"} {
		w.put(name, []byte(name))
	}
	w.share("a", []string{"bob"}, nil)
	w.share("a/closed", []string{"carol"}, nil)
	w.share("c/4", nil, []string{"*"})
	public := true
	v, err := w.Share(t.Context(), w.alice, ref("photos"), "d", backend.ShareChange{Public: &public})
	if err != nil {
		t.Fatal(err)
	}
	list := func(c backend.Caller, f backend.SharedFilter, r backend.ListRequest) (names []string) {
		t.Helper()
		r.Container = ref("photos")
		for range 20 {
			page, err := w.ListShared(t.Context(), c, r, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Entries {
				names = append(names, string(e.Name))
			}
			names = append(names, page.Prefixes...)
			if !page.Truncated {
				slices.Sort(names)
				return names
			}
			r.After = page.NextAfter
		}
		t.Fatal("the listing does not end")
		return nil
	}
	for _, limit := range []int{1, 2, 100} {
		for what, c := range map[string]struct{ got, want []string }{
			"bob's":        {list(w.bob, backend.SharedFilter{}, backend.ListRequest{Limit: limit}), []string{"a", "a/1", "a/sub/3", "c/4"}},
			"bob's rolled": {list(w.bob, backend.SharedFilter{}, backend.ListRequest{Limit: limit, Delimiter: "/"}), []string{"a", "a/", "c/"}},
			"bob's below":  {list(w.bob, backend.SharedFilter{}, backend.ListRequest{Limit: limit, Prefix: "a/"}), []string{"a/1", "a/sub/3"}},
			"shared": {
				list(w.alice, backend.SharedFilter{Lists: true}, backend.ListRequest{Limit: limit}),
				[]string{"a", "a/1", "a/closed", "a/closed/2", "a/sub/3", "c/4"},
			},
			"public": {list(w.alice, backend.SharedFilter{Public: true}, backend.ListRequest{Limit: limit}), []string{"d"}},
			"union":  {list(w.alice, backend.SharedFilter{Lists: true, Public: true}, backend.ListRequest{Limit: limit, After: "a/sub"}), []string{"a/sub/3", "c/4", "d"}},
		} {
			if d := cmp.Diff(c.want, c.got); d != "" {
				t.Errorf("%s by %d: %s", what, limit, d)
			}
		}
	}
	accounts, more, err := w.SharingAccounts(t.Context(), w.bob, "", 10)
	if err != nil || more || !slices.Equal(accounts, []naming.AccountID{"alice"}) {
		t.Errorf("accounts that share with bob: %v, %v", accounts, err)
	}
	if accounts, _, err := w.SharingAccounts(t.Context(), w.alice, "", 10); err != nil || len(accounts) != 0 {
		t.Errorf("accounts that share with alice: %v, %v", accounts, err)
	}
	w.create("closed", bucket.Config{})
	if found, _, err := w.SharedContainers(t.Context(), w.bob, "alice", "", 10); err != nil || len(found) != 1 || found[0].Name != "photos" {
		t.Errorf("containers that share with bob: %v, %v", found, err)
	}
	for _, name := range []string{"a", "c/4"} {
		w.share(name, nil, nil)
	}
	if accounts, _, err := w.SharingAccounts(t.Context(), w.bob, "", 10); err != nil || len(accounts) != 0 {
		t.Errorf("accounts that share with bob no more: %v, %v", accounts, err)
	}
	if got := v.Share.Public; len(got) < 20 {
		t.Errorf("public id %q", got)
	}
}

func TestAPublicLinkCanBeWithdrawn(t *testing.T) {
	w := newWorld(t)
	w.put("x", []byte("x"))
	on, off := true, false
	set := func(p *bool) string {
		t.Helper()
		v, err := w.Share(t.Context(), w.alice, ref("photos"), "x", backend.ShareChange{Public: p})
		if err != nil {
			t.Fatal(err)
		}
		return v.Share.Public
	}
	opens := func(id string) bool {
		t.Helper()
		_, err := w.OpenPublic(t.Context(), anyone, id, object.Precondition{})
		if err != nil {
			wantKind(t, err, errs.NotFound, errs.Object)
		}
		return err == nil
	}
	id := set(&on)
	if again := set(&on); again != id || !opens(id) {
		t.Errorf("published twice: %q, then %q", id, again)
	}
	w.put("x", []byte("overwritten"))
	if !opens(id) {
		t.Error("an overwrite ended the link")
	}
	set(&off)
	if opens(id) || opens("nonsense") || opens("") {
		t.Error("a link that was withdrawn, or never was, opens")
	}
	if next := set(&on); next == id || !opens(next) || opens(id) {
		t.Error("a new link has the old id")
	}
	last := set(&on)
	w.delete(target("x"))
	w.put("x", []byte("new"))
	if opens(last) {
		t.Error("the link outlived the object")
	}
	if w.reads(w.bob, "x") {
		t.Error("publishing opened the private path")
	}
}

func TestAnOlderVersionDoesNotBringSharingBack(t *testing.T) {
	w := newWorld(t)
	w.create("kept", bucket.Config{Versioning: bucket.VersioningEnabled})
	r := put("x", []byte("1"))
	r.Container = ref("kept")
	r.Attributes.Share = &backend.ShareChange{Lists: &backend.ShareLists{Read: []string{"bob"}}}
	if _, err := w.Put(t.Context(), w.alice, r); err != nil {
		t.Fatal(err)
	}
	r = put("x", []byte("2"))
	r.Container = ref("kept")
	r.Attributes.Share = &backend.ShareChange{Lists: &backend.ShareLists{}}
	v, err := w.Put(t.Context(), w.alice, r)
	if err != nil {
		t.Fatal(err)
	}
	at := backend.Target{Container: ref("kept"), Name: "x"}
	if _, err := w.Delete(t.Context(), w.alice, backend.DeleteRequest{Target: backend.Target{
		Container: ref("kept"), Name: "x", Which: meta.Which{By: meta.ByID, ID: v.ID},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open(t.Context(), w.bob, at, object.Precondition{}, access.GetObject); !errs.Is(err, errs.Denied) {
		t.Errorf("bob reads what was withdrawn: %v", err)
	}
}
