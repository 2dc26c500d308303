package cassandra

import (
	"strings"
	"sync"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// TestCostOfAPut counts the statements of a put: a new name, and the same name again. They are most of what a small object costs.
func TestCostOfAPut(t *testing.T) {
	s := metaSession(t)
	var mu sync.Mutex
	counts := map[class]int{}
	var sent []string
	now := time.Now()
	m := hooked(s, clock.NewManual(now), func(steps []step, send func() error) error {
		mu.Lock()
		counts[steps[0].st.class]++
		sent = append(sent, steps[0].st.cql)
		mu.Unlock()
		return send()
	})
	m.sizes.Chunk = chunkRows
	container := naming.NewContainerID()
	name := naming.ObjectName("name")
	put := func() {
		t.Helper()
		ch := putOf(container, name, now)
		ch.Version.Content.Holder = block.Holder(gocql.MustRandomUUID())
		if err := m.Intend(t.Context(), ch.Version.Content.Holder, meta.Intent{Account: "a", Expires: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Commit(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
	}
	put() // opens chunks, lists slots
	put()
	for i, want := range []struct{ cas, write, read int }{
		{cas: 3, write: 7, read: 4}, // a new name
		{cas: 4, write: 8, read: 7}, // over another: its holder loses a name and dies
	} {
		if i == 0 {
			name = "another"
		}
		clear(counts)
		sent = nil
		put()
		cas, write, read := counts[casWrite], counts[plainWrite], counts[pointRead]+counts[sliceRead]
		t.Logf("%d transactions, %d writes, %d reads", cas, write, read)
		if cas > want.cas || write > want.write || read > want.read {
			t.Errorf("%d transactions, %d writes, %d reads; want no more than %+v:\n%s", cas, write, read, want, strings.Join(sent, "\n"))
		}
	}
}
