package cassandra

import (
	"strings"
	"sync"
	"testing"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
)

// TestHomeOf decides about clusters of one and of several data centres.
func TestHomeOf(t *testing.T) {
	const network = "org.apache.cassandra.locator.NetworkTopologyStrategy"
	for _, c := range []struct {
		name        string
		replication map[string]string
		named       string
		home        string
		reason      string
	}{
		{"a trial", map[string]string{"class": "org.apache.cassandra.locator.SimpleStrategy", "replication_factor": "1"}, "", "", ""},
		{"a trial with a home", map[string]string{"class": "org.apache.cassandra.locator.SimpleStrategy", "replication_factor": "1"}, "dc1", "", "knows no data centres"},
		{"one", map[string]string{"class": network, "dc1": "3"}, "", "dc1", ""},
		{"one, named", map[string]string{"class": network, "dc1": "3"}, "dc1", "dc1", ""},
		{"one, and another is named", map[string]string{"class": network, "dc1": "3"}, "dc2", "", "no replicas in data centre dc2"},
		{"two", map[string]string{"class": network, "dc2": "3", "dc1": "3"}, "", "", "several data centres (dc1, dc2); write home:"},
		{"two, one is named", map[string]string{"class": network, "dc1": "3", "dc2": "3"}, "dc2", "dc2", ""},
	} {
		home, reason := homeOf("k", c.replication, c.named)
		if home != c.home || (reason == "") != (c.reason == "") || !strings.Contains(reason, c.reason) {
			t.Errorf("%s: home %q, reason %q; want %q, %q", c.name, home, reason, c.home, c.reason)
		}
	}
}

// TestFactsAreSaidOnce has many say a fact at once: one of them is believed, by all and for good.
func TestFactsAreSaidOnce(t *testing.T) {
	s := metaSession(t)
	name := gocql.MustRandomUUID().String()
	var mu sync.Mutex
	said := map[string]int{}
	var wg sync.WaitGroup
	for _, value := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			stands, err := Claim(t.Context(), s, name, value)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			said[stands]++
		})
	}
	wg.Wait()
	if len(said) != 1 {
		t.Errorf("what stands: %v", said)
	}
}

// TestTie binds a keyspace to a metastore, and to its home.
func TestTie(t *testing.T) {
	s := metaSession(t)
	tie := func(k Kin, want string) {
		t.Helper()
		stands, err := Tie(t.Context(), s, k)
		if want == "" && (err != nil || Whole(t.Context(), s, stands) != nil) {
			t.Errorf("%v: %v, %v", k, stands, err)
		}
		if want != "" && (!errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v", k, err)
		}
	}
	alone := Kin{Default: "mine"}
	tie(alone, "")
	tie(alone, "")
	tie(Kin{Default: "another"}, "keeps the blocks of another metastore")
	tie(Kin{Default: "mine", Regions: map[string]string{"north": ""}}, "must answer at the first start")
	both := Kin{Default: "mine", Regions: map[string]string{"north": "n"}}
	tie(both, "")
	tie(both, "")
	tie(Kin{Default: "mine", Regions: map[string]string{"north": ""}}, "")
	// Who was started before the region was added may give up nobody from now on, and does not start again.
	if err := Whole(t.Context(), s, alone); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "keeps the blocks of the region north too") {
		t.Errorf("without the region: %v", err)
	}
	tie(alone, "below regions.north")
	home, err := Settle(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Settle(t.Context(), s, home); err != nil || again != home {
		t.Errorf("home %q, then %q, %v", home, again, err)
	}
	if (home != "") != (s.serial == gocql.LocalSerial) {
		t.Errorf("home %q, changes agree at %v", home, s.serial)
	}
	if _, err := Settle(t.Context(), s, "nowhere"); !errs.Is(err, errs.Conflict) {
		t.Errorf("a home without replicas: %v", err)
	}
	if err := Nearest(t.Context(), s, ""); err != nil {
		t.Errorf("of one data centre: %v", err)
	}
}

// TestKinJoin says who may come to a blobstore.
func TestKinJoin(t *testing.T) {
	for _, c := range []struct{ stands, comes, want, reason string }{
		{"a", "a", "a", ""},
		{"a", "b", "", "another metastore (a, this one is b)"},
		{"a", "a n=x", "a n=x", ""},
		{"a n=x", "a n=x", "a n=x", ""},
		{"a n=x", "a", "", "the region n too (metastore x)"},
		{"a n=x", "a n=y", "", "for the region n (x, this one is y)"},
		{"a n=x", "a n=", "a n=x", ""},
		{"a", "a n=", "", "must answer at the first start"},
		{"a n=x", "a m=y n=x", "a m=y n=x", ""},
		{"a n=x", "a m=y", "", "the region n too"},
		{"a", "a n=a", "", "the same keyspace"},
		{"a n=x", "a m=x n=x", "", "the same keyspace"},
	} {
		next, reason := parseKin(c.comes).join(parseKin(c.stands))
		if reason == "" && next.text() != c.want {
			t.Errorf("%s to %s: %s", c.comes, c.stands, next.text())
		}
		if (reason == "") != (c.reason == "") || !strings.Contains(reason, c.reason) {
			t.Errorf("%s to %s: %s", c.comes, c.stands, reason)
		}
	}
}
