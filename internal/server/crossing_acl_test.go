package server_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var grantees = regexp.MustCompile(`<Grant>.*?(?:<URI>.*?/([A-Za-z]+)</URI>|<ID>(.*?)</ID>).*?<Permission>(.*?)</Permission>`)

// grants are the grants of a bucket as GetBucketAcl tells them, "GRANTEE PERMISSION", sorted.
func (x *crossing) grants() (list []string) {
	x.t.Helper()
	_, text := x.must("S3", "GET", "cross?acl", "")
	for _, m := range grantees.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1]+m[2]+" "+m[3])
	}
	slices.Sort(list)
	return list
}

// may tells by their letters who may do a thing at a door.
func (x *crossing) may(door, method, target string) string {
	x.t.Helper()
	return letters(func(who string) bool {
		if method == "DELETE" { // of what is there
			x.must("Swift", "PUT", target, "x")
		}
		status, _, text := x.as(who, door, method, target, "")
		denied := status == http.StatusForbidden || status == http.StatusUnauthorized
		if !denied && status >= 300 {
			x.t.Fatalf("%s %s %s by %q: %d %s", door, method, target, who, status, text)
		}
		return !denied
	})
}

// Who may do what follows from both doors' lists together, at both doors alike. GetBucketAcl tells what Swift's lists give to everybody and to
// whole accounts; X-Container-Read and -Write tell Swift's lists and nothing else.
func TestListsOfContainersAtBothDoors(t *testing.T) {
	x := &crossing{doors: openDoors(t)}
	x.must("Swift", "PUT", "cross", "")
	x.must("Swift", "PUT", "cross/o", "x")
	const owner = "c-own FULL_CONTROL"
	const anybody, signedIn = "argAGp", "argAG"
	for _, c := range []struct {
		read, write, acl        string // X-Container-Read, X-Container-Write, x-amz-acl
		list, get, put          string // who may
		shown                   []string
		shownRead, shownWritten string
	}{
		{list: "a", get: "a", put: "a"},
		{read: ".r:*,.rlistings", list: anybody, get: anybody, put: "a", shown: []string{"AllUsers READ"}, shownRead: ".r:*,.rlistings"},
		{read: ".r:*", list: "a", get: anybody, put: "a", shownRead: ".r:*"},
		{read: ".r:*,.r:-evil.example,.rlistings", list: anybody, get: anybody, put: "a", shownRead: ".r:*,.r:-evil.example,.rlistings"}, // not everybody
		{read: "other", list: "aAG", get: "aAG", put: "a", shown: []string{"c-other READ"}, shownRead: "other"},
		{read: "other:*", write: "other", list: "aAG", get: "aAG", put: "aAG", shown: []string{"c-other READ", "c-other WRITE"}, shownRead: "other:*", shownWritten: "other"},
		{read: "other:guest", write: "own:guest", list: "aG", get: "aG", put: "ag", shownRead: "other:guest", shownWritten: "own:guest"},
		{read: "*:*", list: signedIn, get: signedIn, put: "a", shown: []string{"AuthenticatedUsers READ"}, shownRead: "*:*"},
		{read: "nobody,own:none", list: "a", get: "a", put: "a", shownRead: "nobody,own:none"},
		{acl: "public-read", list: anybody, get: "a", put: "a", shown: []string{"AllUsers READ"}},
		{acl: "public-read-write", read: "other:guest", list: anybody, get: "aG", put: anybody, shown: []string{"AllUsers READ", "AllUsers WRITE"}, shownRead: "other:guest"},
		{acl: "authenticated-read", list: signedIn, get: "a", put: "a", shown: []string{"AuthenticatedUsers READ"}},
		{acl: "public-read", read: ".r:*,.rlistings", list: anybody, get: anybody, put: "a", shown: []string{"AllUsers READ"}, shownRead: ".r:*,.rlistings"},
	} {
		if c.acl == "" {
			c.acl = "private"
		}
		x.must("Swift", "POST", "cross", "", "X-Container-Read", c.read, "X-Container-Write", c.write)
		x.must("S3", "PUT", "cross?acl", "", "x-amz-acl", c.acl)
		what := strings.Join([]string{c.read, c.write, c.acl}, " | ")
		remove := strings.ReplaceAll(c.put, "r", "") // the reader's policy forbids it
		for _, ask := range []struct{ method, target, want string }{{"GET", "cross", c.list}, {"GET", "cross/o", c.get}, {"PUT", "cross/new", c.put}, {"DELETE", "cross/new", remove}} {
			one, two := x.may("S3", ask.method, ask.target), x.may("Swift", ask.method, ask.target)
			if one != two || one != ask.want {
				t.Errorf("%s: %s %s at S3 by %q, at Swift by %q, want %q", what, ask.method, ask.target, one, two, ask.want)
			}
		}
		want := append([]string{owner}, c.shown...)
		slices.Sort(want)
		if got := x.grants(); !slices.Equal(got, want) {
			t.Errorf("%s: GetBucketAcl tells %q, want %q", what, got, want)
		}
		h, _ := x.must("Swift", "HEAD", "cross", "")
		if h.Get("X-Container-Read") != c.shownRead || h.Get("X-Container-Write") != c.shownWritten {
			t.Errorf("%s: Swift tells %q and %q", what, h.Get("X-Container-Read"), h.Get("X-Container-Write"))
		}
	}
}
