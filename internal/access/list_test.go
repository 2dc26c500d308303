package access_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
)

func TestListsAreCleaned(t *testing.T) {
	for in, want := range map[string]access.List{
		".ref : *.example.com , bob,, acct:sue": ".r:.example.com,bob,acct:sue",
		".r:*,.rlistings":                       ".r:*,.rlistings",
		".referrer:-bad.example.com":            ".r:-bad.example.com",
		" , ":                                   "",
	} {
		if got, err := access.ParseList(in, true); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, bad := range []string{".r:", ".r:-", ".r:*.", ".unknown:x", ".unknown", ".rlistings:x"} {
		if _, err := access.ParseList(bad, true); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{".r:*", ".rlistings"} {
		if _, err := access.ParseList(bad, false); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q in a write list: %v", bad, err)
		}
	}
}

func TestListsGrant(t *testing.T) {
	bob := access.Principal{Account: "bob", User: "bob:sue"}
	keystone := bob
	keystone.Keystone, keystone.Project = true, "bob"
	elsewhere := access.Principal{Account: "p1", User: "p1:u1", Name: "sue", Project: "proj", Keystone: true}
	from := func(host string) access.Principal { return access.Principal{Referrer: host} }
	for _, c := range []struct {
		name    string
		who     access.Principal
		readers access.List
		writers access.List
		action  access.Action
		want    bool
	}{
		{"account", bob, "bob", "", access.GetObject, true},
		{"user kept elsewhere, by id", elsewhere, "p1:u1", "", access.GetObject, true},
		{"user kept elsewhere, by name", elsewhere, "proj:sue", "", access.GetObject, true},
		{"user kept elsewhere, by another", elsewhere, "proj:joe", "", access.GetObject, false},
		{"account, by Keystone", keystone, "bob", "", access.GetObject, false},
		{"user, by Keystone", keystone, "bob:sue", "", access.GetObject, true},
		{"user", bob, "bob:sue", "", access.ListBucket, true},
		{"escaped user", bob, "bob%3Asue", "", access.ListBucket, true},
		{"other user", bob, "bob:joe", "", access.GetObject, false},
		{"reading is not writing", bob, "bob", "", access.PutObject, false},
		{"writer", bob, "", "bob:sue", access.PutObject, true},
		{"writer deletes", bob, "", "bob", access.DeleteObject, true},
		{"writing is not reading", bob, "", "bob", access.GetObject, false},
		{"writing is not owning", bob, "bob", "bob", access.DeleteBucket, false},
		{"nobody is no empty name", access.Principal{}, ",", "", access.GetObject, false},
		{"public", from(""), ".r:*", "", access.GetObject, true},
		{"public is not listed", from(""), ".r:*", "", access.ListBucket, false},
		{"public listing", from(""), ".r:*,.rlistings", "", access.ListBucket, true},
		{"listing needs a referrer", from(""), ".rlistings", "", access.ListBucket, false},
		{"domain", from("a.example.com"), ".r:.example.com", "", access.GetObject, true},
		{"other domain", from("a.example.org"), ".r:.example.com", "", access.GetObject, false},
		{"last item counts", from("bad.example.com"), ".r:*,.r:-bad.example.com", "", access.GetObject, false},
		{"public writing does not exist", from(""), ".r:*", ".r:*", access.PutObject, false},
	} {
		got := access.Decide(access.Request{Principal: c.who, Action: c.action, Resource: access.Resource{
			Account: "alice", Container: "c", Readers: c.readers, Writers: c.writers,
		}})
		if got.Allowed != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestWhatAListGivesAsAWhole(t *testing.T) {
	for list, want := range map[access.List]access.Whole{
		"":                                  {},
		".r:*,.rlistings":                   {Public: true},
		".r:*":                              {}, // reading is not listing
		".rlistings":                        {},
		".r:.example.com,.rlistings":        {},
		".r:unknown,.rlistings":             {},
		".r:*,.r:-bad.example.com":          {},
		".r:-bad.example,.r:*,.rlistings":   {},
		"a,b:*,c:d,%64,*:e":                 {Accounts: []naming.AccountID{"a", "b", "d"}},
		"*:*":                               {SignedIn: true},
		".r:*,.rlistings,*:*,a,b:c,*:d,b:*": {Public: true, SignedIn: true, Accounts: []naming.AccountID{"a", "b"}},
	} {
		if diff := cmp.Diff(want, list.Whole()); diff != "" {
			t.Errorf("%q: %s", list, diff)
		}
	}
}

// FuzzList holds lists to what they say of themselves: a cleaned list is clean, and who is named as one of a whole account is named.
func FuzzList(f *testing.F) {
	for _, seed := range []string{".ref : *.example.com , bob,, acct:sue", ".r:*,.rlistings,.r:-x", "*:*,%61:*,%zz,a:b:c", ".r:-", ".rlistings:", ",", "a%2Cb:*"} {
		f.Add(seed, true, "host.example.com")
		f.Add(seed, false, "")
	}
	f.Fuzz(func(t *testing.T, text string, reading bool, host string) {
		list, err := access.ParseList(text, reading)
		if err != nil {
			if !errs.Is(err, errs.Invalid) || list != "" {
				t.Fatalf("%q: %q, %v", text, list, err)
			}
			return
		}
		if again, err := access.ParseList(string(list), reading); err != nil || again != list {
			t.Fatalf("%q is cleaned to %q, and that to %q, %v", text, list, again, err)
		}
		if !reading && (list.Public() || list.Listings() || list.Refers(host)) {
			t.Fatalf("the write list %q lets referrers in", list)
		}
		if list.Refers(host) && !list.Public() {
			t.Fatalf("%q lets %q in and is not public", list, host)
		}
		if list.Names(access.Principal{}, "owner", "") {
			t.Fatalf("%q names nobody", list)
		}
		whole := list.Whole()
		if whole.Public && !list.Refers(host) {
			t.Fatalf("%q lets anybody list, but not from %q", list, host)
		}
		for _, account := range whole.Accounts {
			if !list.Names(access.Principal{Account: account, User: "some:one"}, "owner", "") {
				t.Fatalf("%q does not name a user of %q", list, account)
			}
		}
		if whole.SignedIn && !list.Names(access.Principal{Account: "any", User: "any:one"}, "owner", "") {
			t.Fatalf("%q does not name any user", list)
		}
	})
}
