package cassandra

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// damagedFile is what a read fails with when a node of its quorum cannot read its own files. Code 0 is any reason that has no code of its own.
func damagedFile() error {
	return &gocql.RequestErrReadFailure{ErrorMap: gocql.ErrorMap{"127.0.0.3": 0}}
}

// everyOther fails each read of one partition at first, as long as a quorum with a damaged node is asked, and lets it pass when it is sent again.
type everyOther struct {
	mu     sync.Mutex
	failed map[string]bool // by statement and arguments
	count  int
}

func (e *everyOther) hook(steps []step, send func() error) error {
	if steps[0].st.class >= plainWrite || steps[0].st.level != gocql.LocalQuorum {
		return send()
	}
	key := steps[0].st.cql + fmt.Sprint(steps[0].args...)
	e.mu.Lock()
	again := e.failed[key]
	if e.failed == nil {
		e.failed = map[string]bool{}
	}
	e.failed[key] = !again
	if !again {
		e.count++
	}
	e.mu.Unlock()
	if !again {
		return damagedFile()
	}
	return send()
}

// TestReadsGoRoundADamagedNode: changes, look-ups and listings come to the same when every quorum that is asked first has a node that cannot read its files.
func TestReadsGoRoundADamagedNode(t *testing.T) {
	var e everyOther
	m := hooked(metaSession(t), clock.System{}, e.hook)
	container := naming.NewContainerID()
	for i := range 5 {
		if _, err := m.Commit(t.Context(), putOf(container, naming.ObjectName(fmt.Sprint(i)), time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Commit(t.Context(), removeOf(container, "3", time.Now())); err != nil {
		t.Fatal(err)
	}
	if v, err := m.Get(t.Context(), container, "2", meta.Which{}); err != nil || v.Name != "2" {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := m.Get(t.Context(), container, "3", meta.Which{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("what was removed: %v", err)
	}
	got := ""
	cur := m.Scan(t.Context(), container, meta.View{})
	defer cur.Close()
	for {
		entry, err := cur.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if entry == nil {
			break
		}
		got += string(entry.Name)
	}
	if got != "0124" || e.count < 20 {
		t.Errorf("listed %q; %d reads failed at first", got, e.count)
	}
}

// TestBlocksGoRoundADamagedNode: a block is read from the replica that has it; what cannot be read now, and may be later, is not said to be damaged.
func TestBlocksGoRoundADamagedNode(t *testing.T) {
	s := blobSession(t)
	body := append(gocql.MustRandomUUID().Bytes(), 1)
	id := block.Sum(body)
	var e everyOther
	own := *s
	own.hook, own.writes, own.reads = e.hook, nil, nil
	b := NewBlobs(&own, clock.System{})
	hold := blob.Hold{Holder: block.Holder(gocql.MustRandomUUID()), Account: "a"}
	if err := b.Put(t.Context(), hold, id, body); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, len(body))
	if n, err := b.Read(t.Context(), id, 0, dst); err != nil || !bytes.Equal(dst[:n], body) || e.count < 2 {
		t.Errorf("%q, %v; %d reads failed at first", dst, err, e.count)
	}
	own.hook = func(steps []step, send func() error) error {
		if steps[0].st.cql == getChunks.cql {
			return damagedFile()
		}
		return send()
	}
	if _, err := b.Read(t.Context(), id, 0, dst); !errs.Is(err, errs.Busy) || strings.Contains(err.Error(), "corrupt") {
		t.Errorf("no node can read its copy: %v", err)
	}
	report, err := b.Audit(t.Context(), id)
	if !errs.Is(err, errs.Internal) || report.Copies != 0 || len(report.Failing) == 0 {
		t.Errorf("no node can read its copy: %+v, %v", report, err)
	}
	own.hook = nil
	if report, err := b.Audit(t.Context(), id); err != nil || !report.Good() || len(report.Failing) > 0 {
		t.Errorf("all can: %+v, %v", report, err)
	}
}

// TestAilingNodesAreTold: which node it is stands in the log, once a minute.
func TestAilingNodesAreTold(t *testing.T) {
	var log bytes.Buffer
	c := clock.NewManual(time.Unix(0, 0))
	a := &ailing{clock: c, log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 3 {
		a.observe(getChunks, damagedFile())
	}
	a.observe(getChunks, gocql.ErrTimeoutNoResponse)
	a.observe(getChunks, nil)
	if n := strings.Count(log.String(), "node=127.0.0.3"); n != 1 {
		t.Errorf("told %d times: %s", n, &log)
	}
	c.Advance(ailingTold)
	a.observe(getChunks, damagedFile())
	if n := strings.Count(log.String(), "node=127.0.0.3"); n != 2 {
		t.Errorf("told %d times after a minute: %s", n, &log)
	}
	if unreadable(&gocql.RequestErrReadFailure{ErrorMap: gocql.ErrorMap{"h": 1}}) || unreadable(gocql.ErrNoConnections) {
		t.Error("tombstones, or no connection, are taken for a node that cannot read")
	}
}
