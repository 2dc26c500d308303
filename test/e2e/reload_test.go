package e2e_test

import (
	"strings"
	"testing"
	"time"

	"pithos/test/service"
	"pithos/test/thin"
)

// TestReload changes the users in the configuration file of a running server and tells it so by SIGHUP: new keys open at once, withdrawn ones no longer, a file that
// cannot be used changes nothing.
func TestReload(t *testing.T) {
	const minute = time.Minute
	one := service.User{Name: "one", Access: "RELOADACCESSKEY00001", Secret: "reload+secret/00000000000000000000000001"}
	two := service.User{Name: "two", Access: "RELOADACCESSKEY00002", Secret: "reload+secret/00000000000000000000000002"}
	w := newWorldWith(t, service.Options{Users: []service.User{one}})
	asks := func(u service.User) int {
		client := thin.New(w.Addr, thin.Keys{Access: u.Access, Secret: u.Secret, Region: "us-east-1"}, minute)
		defer client.Close()
		answer, err := client.Do(&thin.Request{Method: "GET", Path: "/"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	log := func(text string) int { return strings.Count(w.LogTail(), text) }
	const again = `msg="read again" what="the users of keystore.users"`

	// Nothing has changed, so only the signal can make the server read the file.
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	if !w.eventually(func() bool { return log(again) == 1 }) {
		t.Fatalf("SIGHUP did not make the server read its users:\n%s", w.LogTail())
	}

	w.Users = []service.User{two}
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	if !w.eventually(func() bool { return asks(two) == 200 && asks(one) == 403 }) {
		t.Fatalf("after the change the old key is answered with %d, the new with %d", asks(one), asks(two))
	}

	w.Users = []service.User{one, one}
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	if !w.eventually(func() bool { return log("cannot be used, so the old stays in use") > 0 }) {
		t.Fatalf("nothing is said of a file with one key twice:\n%s", w.LogTail())
	}
	if got, want := [2]int{asks(one), asks(two)}, [2]int{403, 200}; got != want {
		t.Errorf("after a change that cannot be used the keys are answered with %v, want %v", got, want)
	}
	w.Users = []service.User{one}
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	if !w.eventually(func() bool { return asks(one) == 200 && asks(two) == 403 }) {
		t.Fatalf("after the mended change the keys are answered with %d and %d", asks(one), asks(two))
	}
}
