package cassandra

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"golang.org/x/sync/errgroup"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// cost counts what is sent to the cluster.
type cost struct {
	mu                  sync.Mutex
	transactions        int
	writes, reads, rows int // requests with writes, requests with reads, rows that are written
	sent                []string
}

func (c *cost) hook(steps []step, send func() error) error {
	c.mu.Lock()
	switch steps[0].st.class {
	case casWrite:
		c.transactions++
	case plainWrite:
		c.writes++
		c.rows += len(steps)
	case pointRead, sliceRead, ringScan:
		c.reads++
	}
	c.sent = append(c.sent, steps[0].st.cql)
	c.mu.Unlock()
	return send()
}

// of counts what f sends.
func (c *cost) of(f func()) {
	c.transactions, c.writes, c.reads, c.rows, c.sent = 0, 0, 0, 0, nil
	f()
}

func (c *cost) String() string {
	return fmt.Sprintf("%d transactions, %d writes, %d reads", c.transactions, c.writes, c.reads)
}

// within wants no more than so many of each.
func (c *cost) within(t *testing.T, what string, transactions, writes, reads int) {
	t.Helper()
	t.Logf("%s: %v", what, c)
	if c.transactions > transactions || c.writes > writes || c.reads > reads {
		t.Errorf("%s: %v; want no more than %d, %d, %d:\n%s", what, c, transactions, writes, reads, strings.Join(c.sent, "\n"))
	}
}

// TestCostOfRequests counts the statements that operations of the metastore cost: a body that lies in a block, one that is kept with its version, over a
// new name and over another version, and what reads and deletes cost. They are most of what a small object costs.
func TestCostOfRequests(t *testing.T) {
	s := metaSession(t)
	var c cost
	now := time.Now()
	m := hooked(s, clock.NewManual(now), c.hook)
	m.sizes.Chunk = chunkRows
	container := naming.NewContainerID()
	put := func(name naming.ObjectName, kept bool) func() {
		return func() {
			t.Helper()
			ch := putOf(container, name, now)
			ref := block.Ref{ID: block.Sum([]byte("body")), Len: 4}
			ch.Version.Content.Map.Refs = []block.Ref{ref}
			if kept {
				ch.Version.Content.Map.Kept = []byte("body")
			} else {
				ch.Version.Content.Holder = block.Holder(gocql.MustRandomUUID())
				if err := m.Intend(t.Context(), ch.Version.Content.Holder, meta.Intent{Account: "a", Expires: now.Add(time.Hour)}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := m.Commit(t.Context(), ch); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("first", false)() // opens chunks, lists slots
	put("first", false)()
	for _, o := range []struct {
		what                        string
		do                          func()
		transactions, writes, reads int
	}{
		{"a new name, in a block", put("block", false), 3, 7, 4},
		{"over another version, in a block", put("block", false), 4, 8, 7}, // its holder loses a name and dies
		{"a new name, kept", put("kept", true), 1, 5, 4},
		{"over another version, kept", put("kept", true), 1, 6, 5},
		{"get", func() {
			v, err := m.Get(t.Context(), container, "kept", meta.Which{})
			if err != nil || string(v.Content.Map.Kept) != "body" {
				t.Errorf("%+v, %v", v, err)
			}
		}, 0, 0, 1},
		{"delete, kept", func() {
			if _, err := m.Commit(t.Context(), removeOf(container, "kept", now)); err != nil {
				t.Fatal(err)
			}
		}, 1, 5, 4},
		{"page", func() {
			cur := m.Scan(t.Context(), container, meta.View{})
			defer cur.Close()
			for {
				if s, err := cur.Next(t.Context()); s == nil || err != nil {
					break
				}
			}
		}, 0, 0, 4},
	} {
		c.of(o.do)
		c.within(t, o.what, o.transactions, o.writes, o.reads)
	}
}

// TestCostOfAPage counts what walks over a large container read. Their names are put into the list alone.
func TestCostOfAPage(t *testing.T) {
	s := metaSession(t)
	var c cost
	m := hooked(s, clock.System{}, c.hook)
	container := naming.NewContainerID()
	if _, err := m.Commit(t.Context(), putOf(container, "a", time.Now())); err != nil {
		t.Fatal(err)
	}
	g, ctx := limited(t.Context())
	const folders, each = 30, 50
	for folder := range folders {
		for i := range each {
			g.Go(func() error {
				rec := object.AppendSummary(nil, &object.Summary{ID: 1, Null: true, RootHash: block.Empty})
				return m.writeEntry(ctx, gocql.UUID(namesOf(container)), fmt.Appendf(nil, "f%02d/%02d", folder, i), rec, 1)
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	walk := func(view meta.View, from naming.ObjectName, most int, next func(naming.ObjectName) naming.ObjectName) func() {
		return func() {
			t.Helper()
			cur := m.Scan(t.Context(), container, view)
			defer cur.Close()
			cur.Seek(meta.Position{Name: from})
			n := 0
			for ; n < most; n++ {
				e, err := cur.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if e == nil {
					break
				}
				if view.Below != "" && e.Name >= view.Below {
					t.Errorf("%s is not below %s", e.Name, view.Below)
				}
				if next != nil {
					cur.Seek(meta.Position{Name: next(e.Name)})
				}
			}
			if want := min(most, folders); next != nil && n != want {
				t.Errorf("%d folders, want %d", n, want)
			}
			if next == nil && n != min(most, each) && n != most {
				t.Errorf("%d names", n)
			}
		}
	}
	for _, o := range []struct {
		what  string
		do    func()
		reads int
	}{
		{"1,001 names", walk(meta.View{Want: 1001}, "", 1001, nil), 3}, // what is under way is two
		{"names of a prefix", walk(meta.View{Want: 1001, Below: "f070"}, "f07/", 1001, nil), 3},
		{"folders", walk(meta.View{Want: 100}, "f00/", 20, func(name naming.ObjectName) naming.ObjectName {
			folder, _, _ := strings.Cut(string(name), "/")
			return naming.ObjectName(folder + "0")
		}), 2 + 20},
		{"names before it was said how many", walk(meta.View{}, "", 1001, nil), 2 + 5},
	} {
		c.of(o.do)
		c.within(t, o.what, 0, 0, o.reads)
	}
}

// TestCostOfABlock counts what a block costs that is new, one that is there, and one that is read.
func TestCostOfABlock(t *testing.T) {
	s := blobSession(t)
	var c cost
	own := *s
	own.hook, own.writes, own.reads = c.hook, nil, nil
	b := NewBlobs(&own, clock.System{})
	data := []byte(gocql.MustRandomUUID().String())
	id := block.Sum(data)
	put := func() {
		if err := b.Put(t.Context(), blob.Hold{Holder: block.NewHolder(), Account: "a"}, id, data); err != nil {
			t.Fatal(err)
		}
	}
	c.of(put)
	c.within(t, "a new block", 0, 5, 1)
	c.of(put)
	c.within(t, "a block that is there", 0, 3, 2)
	c.of(func() {
		if _, err := b.Read(t.Context(), id, 0, make([]byte, len(data))); err != nil {
			t.Fatal(err)
		}
	})
	c.within(t, "reading it", 0, 0, 1)
}

// TestManyAtOnceCostLessEach puts small objects from many writers at once: rows that go to the same partitions go together, and marks are read together.
func TestManyAtOnceCostLessEach(t *testing.T) {
	s := metaSession(t)
	var c cost
	own := *s
	own.hook = c.hook
	m := NewMeta(&own, clock.System{})
	container := naming.NewContainerID()
	const writers, each = 32, 8
	if _, err := m.Commit(t.Context(), putOf(container, "first", time.Now())); err != nil {
		t.Fatal(err)
	}
	c.of(func() {
		var g errgroup.Group
		for w := range writers {
			g.Go(func() error {
				for i := range each {
					ch := putOf(container, naming.ObjectName(fmt.Sprint("name-", w, "-", i)), time.Now())
					if _, err := m.Commit(t.Context(), ch); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	})
	const puts = writers * each
	t.Logf("%d puts: %v, %d rows", puts, &c, c.rows)
	names := 0
	cur := m.Scan(t.Context(), container, meta.View{})
	defer cur.Close()
	for {
		sum, err := cur.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sum == nil {
			break
		}
		names++
	}
	u, err := m.ContainerUsage(t.Context(), container)
	if names != puts+1 || err != nil || u.Objects != puts+1 {
		t.Errorf("%d names, usage %+v, %v", names, u, err)
	}
}

// TestCostOfALookup counts what finding a bucket costs.
func TestCostOfALookup(t *testing.T) {
	s := bucketSession(t)
	var c cost
	own := *s
	own.hook, own.writes, own.reads = c.hook, nil, nil
	b := NewBuckets(&own, clock.System{})
	name := naming.BucketName("cost-" + gocql.MustRandomUUID().String())
	made, err := b.Create(t.Context(), bucket.Container{ID: naming.NewContainerID(), Account: "a", Name: naming.ContainerName(name), Bucket: name})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time what stands behind the name is guessed
		c.of(func() {
			got, err := b.Resolve(t.Context(), name)
			if err != nil || got.ID != made.ID {
				t.Errorf("%+v, %v", got, err)
			}
		})
		c.within(t, "a bucket", 0, 0, 2)
	}
	// A guess that is wrong by now does no harm.
	if err := b.Remove(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	again, err := b.Create(t.Context(), bucket.Container{ID: naming.NewContainerID(), Account: "b", Name: "other-" + naming.ContainerName(name), Bucket: name})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Resolve(t.Context(), name); err != nil || got.ID != again.ID || got.Account != "b" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCostOfASignature counts what finding the secret of a signature costs, and how long it waits: an access key that was seen before is read beside its user
// and account.
func TestCostOfASignature(t *testing.T) {
	s := sessionOf(t, KeySchema(), "test_keys_cost")
	var c cost
	own := *s
	own.hook, own.writes, own.reads = c.hook, nil, nil
	k := NewKeys(&own)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	name := gocql.MustRandomUUID().String()
	a, err := k.CreateAccount(t.Context(), key.Account{ID: naming.AccountID("a" + name), Canonical: "canonical-" + name})
	ok(err)
	first, err := k.CreateUser(t.Context(), key.User{ID: naming.User(a.ID, "first"), Account: a.ID})
	ok(err)
	ok(k.CreateKey(t.Context(), key.Key{AccessKey: name, User: first.ID, Secret: "one"}))
	want := func(why string, user naming.UserID, account naming.AccountID, secret string) {
		t.Helper()
		id, err := k.Lookup(t.Context(), name)
		if err != nil || id.Key.Secret != secret || id.User.ID != user || id.Account.ID != account {
			t.Errorf("%s: %+v, %v", why, id, err)
		}
	}
	for _, why := range []string{"read one after the other", "read beside each other"} {
		c.of(func() { want(why, first.ID, a.ID, "one") })
		c.within(t, why, 0, 0, 3)
	}
	ok(k.DisableKey(t.Context(), name, true))
	if id, err := k.Lookup(t.Context(), name); err != nil || !id.Key.Disabled {
		t.Errorf("a key that was disabled: %+v, %v", id, err)
	}

	// Whose the key is has changed since.
	ok(k.RemoveUser(t.Context(), first.ID))
	if _, err := k.Lookup(t.Context(), name); !errs.Is(err, errs.NotFound) {
		t.Errorf("a key that was removed: %v", err)
	}
	other, err := k.CreateAccount(t.Context(), key.Account{ID: naming.AccountID("b" + name), Canonical: "other-" + name})
	ok(err)
	second, err := k.CreateUser(t.Context(), key.User{ID: naming.User(other.ID, "second"), Account: other.ID})
	ok(err)
	ok(k.CreateKey(t.Context(), key.Key{AccessKey: name, User: second.ID, Secret: "two"}))
	want("the user that it had is gone", second.ID, other.ID, "two")
	want("guessed anew", second.ID, other.ID, "two")
}

// TestWritesToOnePartitionGoTogether lets many write while the first writes are under way: those to the same partition go in one batch, and each writer gets
// the outcome of the batch that had its row.
func TestWritesToOnePartitionGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		goOn := make(chan struct{})
		lost := errors.New("lost")
		s := &Session{gate: newGate(100, 1<<20, time.Second), writes: &gatherer{lanes: map[string]*lane{}}}
		s.hook = func(steps []step, _ func() error) error {
			mu.Lock()
			sizes = append(sizes, len(steps))
			mu.Unlock()
			<-goOn
			if len(steps) > 1 {
				return lost
			}
			return nil
		}
		st := statement{cql: "a write", class: plainWrite, key: []int{0}}
		var g sync.WaitGroup
		failed := 0
		for i := range 12 {
			g.Go(func() {
				partition := "one"
				if i == 11 {
					partition = "another"
				}
				if err := s.exec(t.Context(), st, partition, i); err != nil {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			})
			synctest.Wait()
		}
		left, cancel := context.WithCancel(t.Context())
		g.Go(func() {
			if err := s.exec(left, st, "one", 99); !errors.Is(err, context.Canceled) {
				t.Errorf("who leaves gets %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(goOn)
		g.Wait()
		synctest.Wait()
		slices.Sort(sizes)
		if want := []int{1, 1, 1, 10}; !slices.Equal(sizes, want) || failed != 9 {
			t.Errorf("batches of %v, %d writers failed; want %v and 9", sizes, failed, want)
		}
		if len(s.writes.lanes) > 0 {
			t.Errorf("%d lanes are left", len(s.writes.lanes))
		}
	})
}

// TestASharedReadBeginsAfterAllWhoShareIt lets several ask while a read is under way: they get the next one, all the same.
func TestASharedReadBeginsAfterAllWhoShareIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Session{reads: &shares{reads: map[string]*shared{}}}
		began, goOn := 0, make(chan struct{})
		var g errgroup.Group
		got := make([]int, 5)
		ask := func(i int) {
			g.Go(func() (err error) {
				got[i], err = share(t.Context(), s, statement{cql: "a read"}, []any{1}, func(context.Context) (int, error) {
					began++
					mine := began
					<-goOn
					return mine, nil
				})
				return err
			})
		}
		ask(0)
		synctest.Wait()
		for i := 1; i < len(got); i++ {
			ask(i)
		}
		synctest.Wait()
		close(goOn)
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if want := []int{1, 2, 2, 2, 2}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// bucketSession opens a session on a keyspace for tests of the bucketstore from inside.
func bucketSession(t *testing.T) *Session {
	t.Helper()
	hosts := os.Getenv("PITHOS_TEST_CASSANDRA")
	if hosts == "" {
		t.Skip("PITHOS_TEST_CASSANDRA names no cluster; start one with test/cassandra/run start 1")
	}
	s, err := Connect(Config{Hosts: strings.Split(hosts, ","), Keyspace: "test_buckets_inside", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if CheckSchema(t.Context(), s, BucketSchema()) != nil {
		if err := InstallSchema(t.Context(), s, BucketSchema(), os.Getenv("PITHOS_TEST_CASSANDRA_REPLICATION")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
