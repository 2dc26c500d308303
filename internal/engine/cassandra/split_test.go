package cassandra

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// metaSession is a session on a keyspace with the metastore's schema.
func metaSession(t *testing.T) *Session {
	t.Helper()
	return sessionOf(t, MetaSchema(), "test_meta_inside")
}

// sessionOf opens a session on a keyspace of the tests' own with the schema.
func sessionOf(t *testing.T, sc Schema, keyspace string) *Session {
	t.Helper()
	hosts := os.Getenv("PITHOS_TEST_CASSANDRA")
	if hosts == "" {
		t.Skip("PITHOS_TEST_CASSANDRA names no cluster; start one with test/cassandra/run start 1")
	}
	s, err := Connect(Config{Hosts: strings.Split(hosts, ","), Keyspace: keyspace, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if CheckSchema(t.Context(), s, sc) != nil {
		if err := InstallSchema(t.Context(), s, sc, os.Getenv("PITHOS_TEST_CASSANDRA_REPLICATION")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// putOf puts a version without content.
func putOf(c naming.ContainerID, name naming.ObjectName, now time.Time) meta.Change {
	return meta.Change{
		Container: c, Account: "a", Name: name, Now: now, Op: meta.Put,
		Version: &object.Version{Summary: object.Summary{Null: true, ETag: "e", Size: 3, ContentType: "t"}},
	}
}

func removeOf(c naming.ContainerID, name naming.ObjectName, now time.Time) meta.Change {
	return meta.Change{Container: c, Account: "a", Name: name, Now: now, Op: meta.Remove, Target: meta.Which{By: meta.TheNull}}
}

// shardsOf counts the shards of a list and the keys of the longest.
func shardsOf(t *testing.T, m *Meta, list listID) (shards, longest, keys int) {
	t.Helper()
	for at := []byte{}; at != nil; {
		s, err := m.askShard(t.Context(), list, at, m.s.serial)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := m.walkShard(t.Context(), s, func(rows []copiedRow) error { n += len(rows); return nil }); err != nil {
			t.Fatal(err)
		}
		shards, longest, keys = shards+1, max(longest, n), keys+n
		at = s.hi
	}
	return shards, longest, keys
}

// TestShardsSplitUnderLoad writes, removes and lists names from three processes while shards of a dozen names split all the time. Names
// that stand from before a listing until after it are in it, once and in order; names that were removed before it are not.
func TestShardsSplitUnderLoad(t *testing.T) {
	s := metaSession(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	container := naming.NewContainerID()
	var procs [3]*Meta
	for i := range procs {
		procs[i] = NewMetaOf(s, clock.System{}, Sizes{Shard: 12, Tombstones: 30, Chunk: 7})
	}
	const writers, steps, names = 6, 40, 60
	var mu sync.Mutex
	stable := map[naming.ObjectName]int{} // since which tick a name stands (positive) or is gone (negative); missing: it is being changed
	var tick atomic.Int64
	var wg sync.WaitGroup
	var done atomic.Bool
	for w := range writers {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		wg.Go(func() {
			for range steps {
				name := naming.ObjectName(fmt.Sprintf("%c/%d/%03d", 'a'+rng.IntN(3), w, rng.IntN(names)))
				ch := putOf(container, name, time.Now())
				if rng.IntN(3) == 0 {
					ch = removeOf(container, name, time.Now())
				}
				mu.Lock()
				delete(stable, name)
				mu.Unlock()
				_, err := procs[rng.IntN(len(procs))].Commit(t.Context(), ch)
				switch {
				case ch.Op == meta.Remove && errs.Is(err, errs.NotFound):
				case errs.Is(err, errs.Busy), errs.Is(err, errs.Ambiguous):
					t.Logf("%s: %v", name, err)
					continue
				case err != nil:
					t.Errorf("%s: %v", name, err)
					continue
				}
				at := int(tick.Add(1))
				if ch.Op == meta.Remove {
					at = -at
				}
				mu.Lock()
				stable[name] = at
				mu.Unlock()
			}
		})
	}
	var listers sync.WaitGroup
	var listings atomic.Int64
	for l := range 2 {
		listers.Go(func() {
			for last := false; !last; {
				last = done.Load()
				began := int(tick.Load())
				got, err := allNames(t, procs[l], container)
				if err != nil {
					t.Errorf("listing: %v", err)
					return
				}
				listings.Add(1)
				mu.Lock()
				for name, since := range stable {
					switch {
					case since > 0 && since <= began && !got[name]:
						t.Errorf("%s stood when the listing began and is not in it", name)
					case since < 0 && -since <= began && got[name]:
						t.Errorf("%s was gone when the listing began and is in it", name)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	done.Store(true)
	listers.Wait()
	for _, m := range procs {
		m.splits.stop()
	}
	if !t.Failed() {
		checkShards(t, procs[0], container, listings.Load())
	}
}

// allNames lists a container, and fails the test when a name comes twice or out of order.
func allNames(t *testing.T, m *Meta, container naming.ContainerID) (map[naming.ObjectName]bool, error) {
	got := map[naming.ObjectName]bool{}
	cur := m.Scan(t.Context(), container, meta.View{})
	defer cur.Close()
	before := naming.ObjectName("")
	for {
		sum, err := cur.Next(t.Context())
		if err != nil || sum == nil {
			return got, err
		}
		if sum.Name <= before {
			t.Errorf("%s comes after %s", sum.Name, before)
		}
		before = sum.Name
		got[sum.Name] = true
	}
}

// checkShards compares the shards with the names, and a fresh process with both.
func checkShards(t *testing.T, m *Meta, container naming.ContainerID, listings int64) {
	t.Helper()
	fresh := NewMetaOf(m.s, clock.System{}, Sizes{Shard: 12, Chunk: 7})
	got, err := allNames(t, fresh, container)
	if err != nil {
		t.Fatal(err)
	}
	shards, longest, keys := shardsOf(t, fresh, namesOf(container))
	t.Logf("%d listings, %d names in %d shards, the longest of %d", listings, keys, shards, longest)
	if keys != len(got) {
		t.Errorf("the shards hold %d names, and %d are listed", keys, len(got))
	}
	if shards < 3 {
		t.Errorf("%d shards: nothing was split", shards)
	}
	u, err := fresh.ContainerUsage(t.Context(), container)
	if err != nil || u.Objects != int64(len(got)) || u.Bytes != int64(3*len(got)) {
		t.Errorf("usage %+v, %v, of %d names of 3 bytes", u, err, len(got))
	}
}

// TestReplacedShard follows one shard through a renewal whose steps are taken by different processes, with writes after each step.
func TestReplacedShard(t *testing.T) {
	s := metaSession(t)
	container := naming.NewContainerID()
	m, other := NewMeta(s, clock.System{}), NewMeta(s, clock.System{})
	n := 0
	want := map[naming.ObjectName]bool{}
	write := func(what string) {
		t.Helper()
		for i, p := range []*Meta{m, other} {
			name := naming.ObjectName(fmt.Sprintf("%02d/%d", n, i))
			n++
			if _, err := p.Commit(t.Context(), putOf(container, name, time.Now())); err != nil {
				t.Fatal(what, err)
			}
			want[name] = true
		}
		for _, p := range []*Meta{m, other} {
			got, err := allNames(t, p, container)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s: %d names listed, of %d; %v", what, len(got), len(want), err)
			}
		}
	}
	write("before")
	sh, err := m.askShard(t.Context(), namesOf(container), nil, s.serial)
	if err != nil {
		t.Fatal(err)
	}
	planned, err := m.planSplit(t.Context(), sh, [][]byte{{}, []byte("01"), []byte("05")})
	if err != nil || len(planned.into) != 3 {
		t.Fatal(planned, err)
	}
	write("planned")
	if err := s.exec(t.Context(), setMoved, sh.id); err != nil {
		t.Fatal(err)
	}
	write("moved")
	if err := other.replace(t.Context(), sh, false); err != nil {
		t.Fatal(err)
	}
	write("replaced")
	if err := m.carryOut(t.Context(), planned); err != nil { // one that was slow takes all the steps again
		t.Fatal(err)
	}
	write("replaced again")
	if _, moved, _, err := m.slice(t.Context(), sh.id, []byte{}, nil, 10); err != nil || moved {
		t.Errorf("rows are left in a shard that was replaced; %v", err)
	}
	now, err := m.askShard(t.Context(), namesOf(container), []byte("06"), s.serial)
	if err != nil || string(now.lo) != "05" || now.hi != nil || now.id == sh.id {
		t.Errorf("shard %+v, %v", now, err)
	}
}

func TestBetween(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func() []byte {
		b := make([]byte, rng.IntN(20))
		for i := range b {
			b[i] = []byte{0, 1, 'a', 'b', 0xff}[rng.IntN(5)]
		}
		return b
	}
	for range 2000 {
		lo, hi := draw(), draw()
		if rng.IntN(10) == 0 {
			hi = nil
		}
		if hi != nil && bytes.Compare(lo, hi) >= 0 {
			continue
		}
		mid := between(lo, hi)
		if bytes.Compare(lo, mid) >= 0 || hi != nil && bytes.Compare(mid, hi) > 0 {
			t.Fatalf("between(%x, %x) = %x", lo, hi, mid)
		}
	}
	// Halving ranges until each has one key finds all keys.
	for round := range 50 {
		var keys []string
		for range 40 {
			keys = append(keys, strings.Repeat("x", rng.IntN(12))+strconv.Itoa(rng.IntN(1000)))
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		seen, reads := 0, 0
		for from, ends := []byte{}, [][]byte{nil}; len(ends) > 0; reads++ {
			to, n := ends[len(ends)-1], 0
			for _, k := range keys {
				if k >= string(from) && (to == nil || k < string(to)) {
					n++
				}
			}
			if n > 1 {
				ends = append(ends, between(from, to))
				continue
			}
			seen += n
			from, ends = to, ends[:len(ends)-1]
			if reads > 20_000 {
				t.Fatalf("round %d: no end", round)
			}
		}
		if seen != len(keys) {
			t.Fatalf("round %d: %d of %d keys found", round, seen, len(keys))
		}
	}
}

func TestUploadPlaces(t *testing.T) {
	names := []naming.ObjectName{"a", "a\x00", "a\x00\x00", "a\x00\x01", "a\x00b", "a\x01", "ab", "b"}
	var before []byte
	for _, n := range names {
		for _, id := range []string{"", "1", "2-x"} {
			place := uploadPlace(n, id)
			if bytes.Compare(before, place) >= 0 {
				t.Errorf("%q %q sorts before what comes before it", n, id)
			}
			name, upload, err := parseUploadPlace(place)
			if err != nil || name != n || upload != id {
				t.Errorf("%q %q is read as %q %q, %v", n, id, name, upload, err)
			}
			before = place
		}
	}
	if _, _, err := parseUploadPlace([]byte("torn")); !errs.Is(err, errs.Corrupt) {
		t.Error(err)
	}
}

func TestPieces(t *testing.T) {
	want := []piece{{[]byte{}, gocql.UUID{1}}, {[]byte("m"), gocql.UUID{2}}}
	raw := appendPieces(nil, want)
	got, err := parsePieces(raw)
	if err != nil || len(got) != 2 || string(got[1].Lo) != "m" || got[1].ID != want[1].ID {
		t.Error(got, err)
	}
	for n := 1; n < len(raw); n++ {
		if got, err := parsePieces(raw[:n]); err == nil && len(got) == 2 {
			t.Errorf("%d of %d bytes are read", n, len(raw))
		}
	}
}

func TestTombstones(t *testing.T) {
	w := "Read 500 live rows and 21500 tombstone cells for query SELECT * FROM x; token 1 (see tombstone_warn_threshold)"
	if n := tombstonesWarned([]string{"x", w}); n != 21500 {
		t.Error(n)
	}
	if tooManyTombstones(errors.New("x")) || tooManyTombstones(&gocql.RequestErrReadFailure{ErrorMap: gocql.ErrorMap{"h": 2}}) {
		t.Error("other failures")
	}
	if !tooManyTombstones(&gocql.RequestErrReadFailure{ErrorMap: gocql.ErrorMap{"h": 1}}) {
		t.Error("not recognised")
	}
}
