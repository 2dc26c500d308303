package swift

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pithos/internal/object"
)

func TestParseRealms(t *testing.T) {
	r, err := ParseRealms([]byte("; a comment\n[DEFAULT]\nmtime_check_interval = 10\n\n[realm1]\nkey = a%%b = c\nKEY2: old\nCluster_One = https://one.example.org/v1/\nother = x\n# end\n[Realm2]\ncluster_two=http://127.0.0.1:8080/v1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.find("REALM1"); got == nil || got.key != "a%b = c" || got.key2 != "old" || got.clusters["ONE"].String() != "https://one.example.org/v1" {
		t.Errorf("%+v", got)
	}
	if !r.Cluster("realm2", "TWO") || r.Cluster("realm1", "two") || r.Cluster("none", "two") || (*Realms)(nil).Cluster("realm1", "one") {
		t.Error("clusters")
	}
	if _, err := r.aim("//realm2/two/AUTH_a/c", nil); err == nil {
		t.Error("a realm without a key leads somewhere")
	}
	for text, says := range map[string]string{
		"key = secret":                 "line 1",
		"[a]\nkey secret":              "line 2",
		"[a]\nkey =":                   "line 2",
		"[a]\n[A]":                     "line 2: the realm is there twice",
		"[a b]":                        "line 1",
		"[a":                           "line 1",
		"[a]\ncluster_x = secret":      "line 2: that is no end-point",
		"[a]\ncluster_x = http://host": "line 2",
		"[a]\ncluster_x = http://u:secret@host/v1/":     "line 2",
		"[a]\ncluster_x = file:///v1/":                  "line 2",
		"[a]\ncluster_x = http://host/v1/?x=secret":     "line 2",
		"[a]\nkey = " + strings.Repeat("secret", 1<<18): "longer than",
	} {
		if _, err := ParseRealms([]byte(text)); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// FuzzParseRealms: any text is read or refused, and what was read can be asked.
func FuzzParseRealms(f *testing.F) {
	f.Add("[a]\nkey = k\ncluster_x = http://h/v1/\n", "//a/x/AUTH_b/c")
	f.Add("[a]", "http://h/v1/AUTH_b/c%2f")
	f.Fuzz(func(t *testing.T, text, to string) {
		r, err := ParseRealms([]byte(text))
		if err != nil {
			return
		}
		d, err := r.aim(to, []string{"h"})
		if err != nil {
			return
		}
		if d.at.Scheme != "http" && d.at.Scheme != "https" || d.at.Host == "" || strings.Contains(d.at.RequestURI(), "?") {
			t.Errorf("%q leads to %s", to, d.at)
		}
		if d.realm == "" && d.at.Hostname() != "h" && !strings.EqualFold(d.at.Hostname(), "h") {
			t.Errorf("%q leads to the host %s", to, d.at.Host)
		}
	})
}

func TestSyncTimesAreExactAndSwifts(t *testing.T) {
	for text, want := range map[string]object.VersionID{
		"1795298703.25357":                       1795298703253570,
		"1795298703.25357_0000000000000003":      1795298703253573,
		"1795298703.25357_00000000000000ff":      1795298703253579,
		"1795298703":                             1795298703000000,
		"1795298703.5":                           1795298703500000,
		"0000000001.00000":                       1000000,
		"1795298703.2535799":                     1795298703253570,
		"":                                       0,
		"0":                                      0,
		"-1":                                     0,
		"1e9":                                    0,
		"99999999999":                            0,
		"1795298703.25357_x":                     0,
		"1795298703.x":                           0,
		strings.Repeat("9", 400):                 0,
		"1795298703.25357_0000000000000003_0001": 0,
	} {
		got, ok := parseSyncTime(text)
		if got != want || ok != (want > 0) {
			t.Errorf("%q: %d %v, want %d", text, got, ok, want)
		}
	}
	for _, id := range []object.VersionID{1, 10, 1795298703253570, 1795298703253579} {
		if got, ok := parseSyncTime(syncTime(id)); !ok || got != id {
			t.Errorf("%d: %s, %d", id, syncTime(id), got)
		}
	}
}

// TestContainerSyncByPlainKey serves Swift's old form, where the operator has allowed a host.
func TestContainerSyncByPlainKey(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "box", "", "X-Container-Sync-Key", "secret").want(http.StatusCreated)
	at := func(seconds int64) string { return fmt.Sprintf("%d.00000", w.clock.Now().Unix()+seconds) }
	put := func(key string) *answer {
		return w.as("", "PUT", "box/o", "x", "X-Timestamp", at(0), "X-Container-Sync-Key", key)
	}
	put("secret").want(http.StatusUnauthorized)
	w.do("POST", "box", "", "X-Container-Sync-To", "http://Peer.example/v1/AUTH_a/c").want(http.StatusBadRequest)
	w.door.o.Sync.Hosts = []string{"peer.example", "10.0.0.7:8080"}
	put("other").want(http.StatusUnauthorized)
	put("secret").want(http.StatusCreated)
	put("secret").want(http.StatusAccepted)
	w.as("", "GET", "box/o", "", "X-Timestamp", at(0), "X-Container-Sync-Key", "secret").want(http.StatusMethodNotAllowed)
	w.as("", "HEAD", "box/o", "", "X-Timestamp", at(0), "X-Container-Sync-Key", "secret").want(http.StatusOK).has("X-Timestamp", at(0))
	w.as("", "DELETE", "box/o", "", "X-Timestamp", at(-1), "X-Container-Sync-Key", "secret").want(http.StatusConflict)
	w.as("", "DELETE", "box/o", "", "X-Timestamp", at(1), "X-Container-Sync-Key", "secret").want(http.StatusNoContent)
	for to, status := range map[string]int{
		"http://Peer.example/v1/AUTH_a/c":       http.StatusNoContent,
		"https://peer.example:8443/v1/AUTH_a/c": http.StatusNoContent,
		"http://10.0.0.7:8080/v1/AUTH_a/c":      http.StatusNoContent,
		"http://10.0.0.7:8081/v1/AUTH_a/c":      http.StatusBadRequest,
		"http://u:p@peer.example/v1/AUTH_a/c":   http.StatusBadRequest,
		"http://peer.example/v1/AUTH_a/c?x=y":   http.StatusBadRequest,
		"http://peer.example":                   http.StatusBadRequest,
		"http://peer.example/c":                 http.StatusBadRequest,
		"http://peer.example.evil/v1/AUTH_a/c":  http.StatusBadRequest,
	} {
		w.do("POST", "box", "", "X-Container-Sync-To", to).want(status)
	}
}
