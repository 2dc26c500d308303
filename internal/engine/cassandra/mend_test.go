package cassandra

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// TestUsageOfWhatIsStuck applies changes whose process then reaches nothing any more. Without any clearing up, the container's usage has them at once, also for
// another process; that of the account as soon as the name was changed again by anyone, or the process reaches the cluster again.
func TestUsageOfWhatIsStuck(t *testing.T) {
	s := metaSession(t)
	var cut, applied atomic.Bool
	shaky := hooked(s, clock.System{}, func(steps []step, send func() error) error {
		if cut.Load() && applied.Load() {
			return casTimeout()
		}
		err := send()
		if isCell(steps) {
			applied.Store(true)
		}
		return err
	})
	shaky.mender.stop() // nothing is mended unasked here; TestStuckChangesAreMended is about that
	other := NewMetaOf(s, clock.System{}, Sizes{Chunk: 3})
	container := naming.NewContainerID()
	account := naming.AccountID(container.String())
	put := func(m *Meta, name naming.ObjectName) error {
		applied.Store(false)
		ch := putOf(container, name, time.Now())
		ch.Account = account
		_, err := m.Commit(t.Context(), ch)
		return err
	}
	wantAccount := func(m *Meta, n int64) {
		t.Helper()
		if u, err := m.AccountUsage(t.Context(), account); err != nil || u.Objects != n || u.Bytes != 3*n {
			t.Errorf("usage of the account %+v, %v; want %d objects", u, err, n)
		}
	}
	if err := put(shaky, "first"); err != nil {
		t.Fatal(err)
	}
	cut.Store(true)
	for _, name := range []naming.ObjectName{"second", "third"} {
		if err := put(shaky, name); !errs.Is(err, errs.Ambiguous) {
			t.Fatalf("%v", err)
		}
	}
	wantUsage(t, other, container, 3)
	if err := put(other, "second"); err != nil { // what a client does that got no answer
		t.Fatal(err)
	}
	wantUsage(t, other, container, 3)
	wantAccount(other, 2)
	cut.Store(false)
	wantAccount(shaky, 3)
	wantAccount(other, 3)
	wantUsage(t, shaky, container, 3)
	open, _, err := other.underWay(t.Context(), container, "", 0)
	if err != nil || len(open) != 0 {
		t.Errorf("still under way: %v, %v", open, err)
	}
}

// TestStuckChangesAreMended has a process bring to its end what it could not, without being asked.
func TestStuckChangesAreMended(t *testing.T) {
	s := metaSession(t)
	var cut atomic.Bool
	m := hooked(s, clock.System{}, func(steps []step, send func() error) error {
		if cut.Load() {
			return casTimeout()
		}
		err := send()
		if isCell(steps) {
			cut.Store(true)
		}
		return err
	})
	container := naming.NewContainerID()
	if _, err := m.Commit(t.Context(), putOf(container, "name", time.Now())); !errs.Is(err, errs.Ambiguous) {
		t.Fatal(err)
	}
	cut.Store(false)
	m.mender.done.Wait()
	other := NewMetaOf(s, clock.System{}, Sizes{})
	open, _, err := other.underWay(t.Context(), container, "", 0)
	if err != nil || len(open) != 0 {
		t.Errorf("still under way: %v, %v", open, err)
	}
	wantUsage(t, other, container, 1)
}

// TestStuckChangesAreListed lists, by a process that knows the open chunks of before, names whose changes are decided and not brought to their end: they are found on whatever page they
// lie, after a jump and backwards too, though what is under way is read once for the whole walk.
func TestStuckChangesAreListed(t *testing.T) {
	s := metaSession(t)
	reader := NewMeta(s, clock.System{})
	container := naming.NewContainerID()
	var want []naming.ObjectName
	for i := range 40 {
		name := naming.ObjectName(fmt.Sprintf("n%02d", i))
		if want = append(want, name); i%7 == 3 {
			continue // one of those below
		}
		if _, err := reader.Commit(t.Context(), putOf(container, name, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := allNames(t, reader, container); err != nil || len(got) != 34 {
		t.Fatalf("%d names, %v", len(got), err)
	}
	for i := 3; i < 40; i += 7 {
		var cut atomic.Bool
		gone := hooked(s, clock.System{}, func(steps []step, send func() error) error {
			if cut.Load() {
				return casTimeout()
			}
			err := send()
			if isCell(steps) {
				cut.Store(true)
			}
			return err
		})
		t.Cleanup(gone.mender.stop)
		if _, err := gone.Commit(t.Context(), putOf(container, want[i], time.Now())); !errs.Is(err, errs.Ambiguous) {
			t.Fatal(err)
		}
	}
	for round := range 2 { // the second knows the chunks of those processes
		cur := reader.Scan(t.Context(), container, meta.View{})
		for i, name := range want {
			if i == 20 {
				cur.Seek(meta.Position{Name: name})
			}
			if e, err := cur.Next(t.Context()); err != nil || e == nil || e.Name != name {
				t.Fatalf("round %d: %+v in the place of %s, %v", round, e, name, err)
			}
		}
		back, at := cur.(meta.Backward), meta.Position{}
		for i := range want {
			name := want[len(want)-1-i]
			e, err := back.Before(t.Context(), at)
			if err != nil || e == nil || e.Name != name {
				t.Fatalf("round %d, backwards: %+v in the place of %s, %v", round, e, name, err)
			}
			at.Name = name
		}
		cur.Close()
	}
}
