package access_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
)

func TestAccountListsAreRead(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " ": "", "{}": "", `{"admin":[]}`: "",
		`{ "read-only": ["b:c"], "admin": ["a"] }`: `{"admin":["a"],"read-only":["b:c"]}`,
		"{\"read-write\": [\"\u00e9\U0001f600\"]}": `{"read-write":["\u00e9\ud83d\ude00"]}`,
	} {
		l, err := access.ParseAccountList(in)
		if err != nil || l.Text() != want {
			t.Errorf("%q: %q, %v; want %q", in, l.Text(), err, want)
		}
		again, err := access.ParseAccountList(l.Text())
		if err != nil || !cmp.Equal(again.Text(), l.Text()) {
			t.Errorf("%q: %+v, %v", l.Text(), again, err)
		}
	}
	for _, bad := range []string{"x", "[]", "null", "1", `{"admin":"a"}`, `{"admin":[1]}`, `{"admin":[null]}`, `{"admin":null}`, `{"owner":["a"]}`, `{"admin":[["a"]]}`} {
		if l, err := access.ParseAccountList(bad); !errs.Is(err, errs.Invalid) || !l.IsZero() {
			t.Errorf("%q: %+v, %v", bad, l, err)
		}
	}
}

func TestAccountListsGrant(t *testing.T) {
	bob := access.Principal{Account: "bob", User: "bob:sue", Admin: true}
	list := func(text string) access.AccountList {
		l, err := access.ParseAccountList(text)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for name, want := range map[string]string{ // of the actions below, in order
		`{"admin":["bob:sue"]}`: "rwoa", `{"read-write":["bob"]}`: "rw", `{"read-only":["bob:sue"]}`: "r", `{"admin":["bob:joe"]}`: "", `{"admin":[""]}`: "",
	} {
		got := ""
		for _, a := range []struct {
			letter string
			action access.Action
		}{{"r", access.GetObject}, {"w", access.PutObject}, {"o", access.PutBucketACL}, {"a", access.PutAccount}, {"q", access.PutAccountQuota}} {
			if access.Decide(access.Request{Principal: bob, Action: a.action, Resource: access.Resource{Account: "alice", AccountList: list(name)}}).Allowed {
				got += a.letter
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if access.Decide(access.Request{Action: access.GetObject, Resource: access.Resource{Account: "alice", AccountList: list(`{"admin":[""]}`)}}).Allowed {
		t.Error("the public has a name")
	}
	own := access.Request{Principal: bob, Action: access.PutAccountQuota, Resource: access.Resource{Account: "bob"}}
	if access.Decide(own).Allowed {
		t.Error("an account's administrator sets its quota")
	}
}

// TestServiceAccounts wants the account of a service to need its user's administrator and the service together.
func TestServiceAccounts(t *testing.T) {
	admin := access.Principal{Account: "bob", User: "bob:sue", Admin: true}
	for _, c := range []struct {
		name string
		who  access.Principal
		want bool
	}{
		{"user alone", admin, false},
		{"service alone", access.Principal{Account: "glance", User: "glance:g", Admin: true, Roles: []string{"service"}}, false},
		{"both", access.Principal{Account: "bob", User: "bob:sue", Admin: true, ServiceRoles: []string{"service"}}, true},
		{"a user without the role", access.Principal{Account: "bob", User: "bob:joe", ServiceRoles: []string{"service"}}, false},
		{"another service token", access.Principal{Account: "bob", User: "bob:sue", Admin: true, ServiceRoles: []string{"admin"}}, false},
	} {
		if got := c.who.Owns(naming.Service("SERVICE", "bob")); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if !admin.Owns("bob") || admin.Owns("alice") || (access.Principal{Admin: true}).Owns("") {
		t.Error("ordinary accounts")
	}
}

// TestListsOfKeystone wants names to count only where both sides are in the default domain.
func TestListsOfKeystone(t *testing.T) {
	bob := access.Principal{Account: "p1", Project: "bobs", User: "p1:sue", Roles: []string{"swiftoperator"}}
	away := bob
	away.Domain = "other"
	id := bob.User.Opaque()
	for _, c := range []struct {
		name   string
		list   access.List
		who    access.Principal
		owner  naming.AccountID
		domain string
		want   bool
	}{
		{"anybody", "*:*", bob, "alice", "", true},
		{"nobody signed in", "*:*", access.Principal{}, "alice", "", false},
		{"names", "bobs:sue", bob, "alice", "", true},
		{"ids", access.List("p1:" + id), away, "alice", "", true},
		{"id and name", "p1:sue", bob, "alice", "", true},
		{"any user", "bobs:*", bob, "alice", "", true},
		{"any project", "*:sue", bob, "alice", "", true},
		{"any project, id", access.List("*:" + id), away, "alice", "other", true},
		{"user of another domain", "bobs:sue", away, "alice", "", false},
		{"container of another domain", "bobs:sue", bob, "alice", "other", false},
		{"other user", "bobs:joe", bob, "alice", "", false},
		{"role in the own project", "swiftoperator", bob, "p1", "", true},
		{"role in another project", "swiftoperator", bob, "alice", "", false},
		{"project", "bobs", bob, "alice", "", true},
	} {
		if got := c.list.Names(c.who, c.owner, c.domain); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// FuzzAccountList reads any text as an account's list: what is taken comes back as it is written.
func FuzzAccountList(f *testing.F) {
	for _, seed := range []string{`{}`, `{"admin":["a:b"],"read-only":[]}`, `{"read-write":[null]}`, `{"admin":"x"}`, `[]`, `{"x":[]}`, `{"admin":["\ud800"]}`, ` `, `{"admin":["a"],"admin":["b"]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := access.ParseAccountList(text)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := access.ParseAccountList(list.Text())
		if err != nil || again.Text() != list.Text() {
			t.Fatalf("%q is written as %q, and that as %q, %v", text, list.Text(), again.Text(), err)
		}
	})
}
