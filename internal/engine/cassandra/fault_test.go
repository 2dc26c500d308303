package cassandra

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// hooked is a process of its own on a session: its statements go through the hook.
func hooked(s *Session, c clock.Clock, hook func(steps []step, send func() error) error) *Meta {
	own := *s
	own.hook, own.writes, own.reads = hook, nil, nil // each statement by itself
	return NewMetaOf(&own, c, Sizes{Chunk: 3})
}

// late is the clock of one who finds every process silent for long.
func late() clock.Clock { return clock.NewManual(time.Now().Add(2 * settleAfter)) }

func isCell(steps []step) bool { return steps[0].st.cql == setCell.cql }

func casTimeout() error { return &gocql.RequestErrWriteTimeout{WriteType: "CAS"} }

// noAnswer is what a statement fails with that may have been applied: the cluster says so, nobody answers, or the connection breaks.
func noAnswer(n int) error {
	return []error{casTimeout(), gocql.ErrTimeoutNoResponse, io.EOF, &net.OpError{Op: "read", Err: syscall.ECONNRESET}}[n%4]
}

// TestLateTransaction holds the transaction of a change back, as a node does that hangs, and lets it go on before the statement numbered, after the change
// was told that there was no answer. Whatever the change ends with, it is what stands.
func TestLateTransaction(t *testing.T) {
	s := metaSession(t)
	for at := range 8 {
		container, holder := naming.NewContainerID(), block.Holder(gocql.MustRandomUUID())
		var mu sync.Mutex
		var held func() error
		n := 0
		m := hooked(s, clock.System{}, func(steps []step, send func() error) error {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case isCell(steps) && held == nil:
				held = send
				return gocql.ErrTimeoutNoResponse
			case held != nil:
				if n++; n == at+1 {
					if err := held(); err != nil {
						t.Error(err)
					}
				}
			}
			return send()
		})
		if err := m.Intend(t.Context(), holder, meta.Intent{Account: "late", Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		ch := putOf(container, "late", time.Now())
		ch.Version.Content.Holder = holder
		ch.If = object.Precondition{IfNoneMatch: []string{"*"}}
		if _, err := m.Commit(t.Context(), ch); err != nil {
			t.Errorf("before statement %d: nobody else writes the name, yet it is refused: %v", at, err)
		}
		alive, err := m.Alive(t.Context(), []block.Holder{holder})
		if err != nil || !alive[0] {
			t.Errorf("before statement %d: the object stands, its holder lives: %v, %v", at, alive, err)
		}
		got, err := allNames(t, m, container)
		if err != nil || len(got) != 1 {
			t.Errorf("before statement %d: listed %v, %v", at, got, err)
		}
		wantUsage(t, NewMeta(s, clock.System{}), container, 1)
	}
}

// TestUnknownOutcomes lets lightweight transactions of the cells time out, half of them after they were applied. No acknowledged change is
// lost, no refused one is seen, and no conditional change has two winners.
func TestUnknownOutcomes(t *testing.T) {
	s := metaSession(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0))
	m := hooked(s, clock.System{}, func(steps []step, send func() error) error {
		if !isCell(steps) {
			return send()
		}
		mu.Lock()
		what, kind := rng.IntN(4), rng.IntN(4)
		mu.Unlock()
		switch what {
		case 0:
			return noAnswer(kind)
		case 1:
			if err := send(); err != nil {
				return err
			}
			return noAnswer(kind)
		}
		return send()
	})
	container := naming.NewContainerID()
	const writers, rounds = 4, 6
	for round := range rounds {
		name := naming.ObjectName(fmt.Sprint("name-", round))
		var won, unknown int
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				ch := putOf(container, name, time.Now())
				ch.Version.ETag = fmt.Sprint("etag-", w)
				ch.If = object.Precondition{IfNoneMatch: []string{"*"}}
				_, err := m.Commit(t.Context(), ch)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case errs.Is(err, errs.Ambiguous), errs.Is(err, errs.Busy):
					unknown++
				case !errs.Is(err, errs.Precondition):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won > 1 || won+unknown == 0 {
			t.Errorf("%s: %d won, %d unknown", name, won, unknown)
		}
	}
	got, err := allNames(t, m, container)
	if err != nil || len(got) != rounds {
		t.Errorf("%d names listed, %v", len(got), err)
	}
	wantUsage(t, NewMeta(s, clock.System{}), container, rounds)
}

// wantUsage demands that a container and nothing else of its own account holds n objects of 3 bytes.
func wantUsage(t *testing.T, m *Meta, container naming.ContainerID, n int64) {
	t.Helper()
	u, err := m.ContainerUsage(t.Context(), container)
	if err != nil || u != (meta.Usage{Objects: n, Bytes: 3 * n, Versions: n, Stored: 3 * n}) {
		t.Errorf("usage %+v of %d objects of 3 bytes, %v", u, n, err)
	}
}

var errDied = errors.New("the process has died")

// TestDeathAtEachStatement ends a process at each statement of a change, before it is sent or after, and lets another bring to an end what
// it has left: then the cell, the listing, the usage of container and account, and the life of the holder tell the same story.
func TestDeathAtEachStatement(t *testing.T) {
	s := metaSession(t)
	if testing.Short() {
		t.Skip("many rounds of clearing up")
	}
	for at, over := 0, false; !over && at < 200; at++ {
		over = true
		for _, sent := range []bool{false, true} {
			if dieAt(t, s, at, sent) {
				over = false
			}
			if t.Failed() {
				t.Fatalf("death at statement %d, sent %v", at, sent)
			}
		}
	}
}

// dieAt runs a change that overwrites an object, under quotas, in a process that dies at a statement. It reports whether it came so far.
func dieAt(t *testing.T, s *Session, at int, sent bool) (died bool) {
	t.Helper()
	container := naming.NewContainerID()
	account := naming.AccountID(container.String())
	steady := NewMetaOf(s, clock.System{}, Sizes{Chunk: 3})
	change := func(tag string) meta.Change {
		ch := putOf(container, "name", time.Now())
		ch.Account, ch.Version.ETag = account, tag
		ch.Version.Content.Holder = block.Holder(gocql.MustRandomUUID())
		ch.Limits = meta.Limits{Account: meta.Limit{Bytes: 1000}, Container: meta.Limit{Objects: 10}}
		if err := steady.Intend(t.Context(), ch.Version.Content.Holder, meta.Intent{Account: account, Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		return ch
	}
	first, second := change("first"), change("second")
	if _, err := steady.Commit(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	n := 0
	mortal := hooked(s, clock.System{}, func(_ []step, send func() error) error {
		mu.Lock()
		mine := n
		n++
		died = died || mine >= at
		mu.Unlock()
		if mine > at || mine == at && !sent {
			return errDied
		}
		err := send()
		if mine == at {
			return errDied
		}
		return err
	})
	_, err := mortal.Commit(t.Context(), second)
	mortal.mender.stop()
	if err == nil && died {
		t.Logf("the change was answered before statement %d", at)
	}
	answered := err == nil
	other := NewMetaOf(s, late(), Sizes{Chunk: 3})
	if _, err := other.Reap(t.Context(), time.Now().Add(-time.Hour), 100); err != nil {
		t.Fatal(err)
	}
	checkStory(t, other, container, account, first, second, answered)
	return died
}

// checkStory compares what the parts of the store tell of an object that was overwritten, or not.
func checkStory(t *testing.T, m *Meta, container naming.ContainerID, account naming.AccountID, first, second meta.Change, answered bool) {
	t.Helper()
	v, err := m.Get(t.Context(), container, "name", meta.Which{})
	if err != nil {
		t.Fatal(err)
	}
	if answered && v.ETag != "second" {
		t.Errorf("an acknowledged change is lost")
	}
	cur := m.Scan(t.Context(), container, meta.View{})
	defer cur.Close()
	sum, err := cur.Next(t.Context())
	if err != nil || sum == nil || sum.ETag != v.ETag || sum.ID != v.ID {
		t.Errorf("listed %+v, stored %+v, %v", sum, v.Summary, err)
	}
	wantUsage(t, m, container, 1)
	if u, err := m.AccountUsage(t.Context(), account); err != nil || u.Objects != 1 || u.Bytes != 3 {
		t.Errorf("usage of the account %+v, %v", u, err)
	}
	alive, err := m.Alive(t.Context(), []block.Holder{first.Version.Content.Holder, second.Version.Content.Holder})
	if err != nil || !alive[0] && v.ETag == "first" || !alive[1] && v.ETag == "second" || alive[0] && v.ETag == "second" {
		t.Errorf("%s stands, holders alive: %v, %v", v.ETag, alive, err)
	}
	var changes []object.VersionID
	if err := m.Changes(t.Context(), container, 0, "", func(c meta.Changed) bool { changes = append(changes, c.ID); return true }); err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0] != v.ID {
		t.Errorf("index of changes %v, %d stands", changes, v.ID)
	}
	open, _, err := m.underWay(t.Context(), container, "", 0)
	if err != nil || len(open) != 0 {
		t.Errorf("still under way: %v, %v", open, err)
	}
}

// TestClosedProcessIsFenced stops a process right before its transaction, lets another close it, and lets it go on: the change
// must fail, and the process must work under a new id.
func TestClosedProcessIsFenced(t *testing.T) {
	s := metaSession(t)
	container := naming.NewContainerID()
	other := NewMetaOf(s, late(), Sizes{Chunk: 3})
	once := true
	m := hooked(s, clock.System{}, func(steps []step, send func() error) error {
		if once && isCell(steps) {
			once = false
			if _, err := other.Reap(t.Context(), time.Now().Add(-time.Hour), 100); err != nil {
				t.Error(err)
			}
		}
		return send()
	})
	if _, err := m.Commit(t.Context(), putOf(container, "stopped", time.Now())); !errs.Is(err, errs.Busy) {
		t.Errorf("a change of a closed process: %v", err)
	}
	if _, err := m.Get(t.Context(), container, "stopped", meta.Which{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("it is seen: %v", err)
	}
	if _, err := m.Commit(t.Context(), putOf(container, "later", time.Now())); err != nil {
		t.Errorf("under a new id: %v", err)
	}
	got, err := allNames(t, other, container)
	if err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	wantUsage(t, other, container, 1)
}

// TestLateUsageWrites holds back what a process writes to the log after its transaction until another has closed it and taken its
// sums over: nothing is counted twice.
func TestLateUsageWrites(t *testing.T) {
	s := metaSession(t)
	container := naming.NewContainerID()
	other := NewMetaOf(s, late(), Sizes{Chunk: 3})
	reap := sync.OnceFunc(func() {
		if _, err := other.Reap(t.Context(), time.Now().Add(-time.Hour), 100); err != nil {
			t.Error(err)
		}
	})
	m := hooked(s, clock.System{}, func(steps []step, send func() error) error {
		if steps[0].st.cql == endLog.cql {
			reap()
		}
		return send()
	})
	if _, err := m.Commit(t.Context(), putOf(container, "a", time.Now())); err != nil {
		t.Fatal(err)
	}
	for i := range 5 { // the chunk is folded by its process too
		if _, err := m.Commit(t.Context(), putOf(container, naming.ObjectName(fmt.Sprint("b", i)), time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	wantUsage(t, m, container, 6)
	again := NewMetaOf(s, late(), Sizes{Chunk: 3})
	if _, err := again.Reap(t.Context(), time.Now().Add(-time.Hour), 100); err != nil {
		t.Fatal(err)
	}
	wantUsage(t, again, container, 6)
}

// TestRangesFullOfTombstones plays a cluster that reads over few tombstones: listings go on in smaller ranges and find all names, and the
// shard is replaced.
func TestRangesFullOfTombstones(t *testing.T) {
	s := metaSession(t)
	container := naming.NewContainerID()
	plain := NewMeta(s, clock.System{})
	var gone []string
	want := map[string]bool{}
	for i := range 60 {
		name := fmt.Sprintf("a/%03d", i)
		if _, err := plain.Commit(t.Context(), putOf(container, naming.ObjectName(name), time.Now())); err != nil {
			t.Fatal(err)
		}
		if i == 0 || i == 30 || i == 59 {
			want[name] = true
			continue
		}
		if _, err := plain.Commit(t.Context(), removeOf(container, naming.ObjectName(name), time.Now())); err != nil {
			t.Fatal(err)
		}
		gone = append(gone, name)
	}
	failures := 0
	m := hooked(s, clock.System{}, func(steps []step, send func() error) error {
		cql, args := steps[0].st.cql, steps[0].args
		if !strings.Contains(cql, "FROM %k.entry") || len(args) < 3 || args[0] != gocql.UUID(container) {
			return send()
		}
		n := 0
		for _, name := range gone {
			if bytes.Compare([]byte(name), args[1].([]byte)) >= 0 && (len(args) < 4 || bytes.Compare([]byte(name), args[2].([]byte)) < 0) {
				n++
			}
		}
		if n > 8 {
			failures++
			return &gocql.RequestErrReadFailure{ErrorMap: gocql.ErrorMap{"127.0.0.1": 1}}
		}
		return send()
	})
	sh, err := m.askShard(t.Context(), namesOf(container), nil, s.serial)
	if err != nil {
		t.Fatal(err)
	}
	m.splits.busy = map[gocql.UUID]bool{sh.id: true} // it must not be replaced while it is listed
	got, err := allNames(t, m, container)
	if err != nil || len(got) != len(want) || failures == 0 {
		t.Errorf("%v, %v; %d reads failed", got, err, failures)
	}
	if err := m.replace(t.Context(), sh, true); err != nil {
		t.Fatal(err)
	}
	before := failures
	got, err = allNames(t, m, container)
	if err != nil || len(got) != len(want) || failures != before {
		t.Errorf("replaced: %v, %v; %d reads failed", got, err, failures-before)
	}
}
