package access_test

import (
	"testing"

	"pithos/internal/access"
	"pithos/internal/errs"
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
