package cassandra

import (
	"sync"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
)

// straggler holds back the first statement of a kind, which gets no answer, as a node does that hangs, and lets it go on when told.
type straggler struct {
	mu   sync.Mutex
	cql  string
	held func() error
}

// on is a session whose statements pass the straggler.
func (g *straggler) on(s *Session) *Session {
	own := *s
	own.hook = func(steps []step, send func() error) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if steps[0].st.cql == g.cql && g.held == nil {
			g.held = send
			return gocql.ErrTimeoutNoResponse
		}
		return send()
	}
	return &own
}

// hold waits for the next statement that reads so.
func (g *straggler) hold(cql string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cql, g.held = cql, nil
}

// release lets the statement go on.
func (g *straggler) release(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		t.Fatalf("nothing was held back: %s", g.cql)
	}
	if err := g.held(); err != nil {
		t.Fatal(err)
	}
}

// TestLateKeys lets transactions of the keystore that their client gave up, and had done by another node, come late: a key that was removed stays
// removed, and one that was made again stays as it is.
func TestLateKeys(t *testing.T) {
	g := &straggler{}
	k := NewKeys(g.on(sessionOf(t, KeySchema(), "test_late_keys")))
	name := naming.NewContainerID().String()
	a, err := k.CreateAccount(t.Context(), key.Account{ID: naming.AccountID(name), Canonical: name})
	if err != nil {
		t.Fatal(err)
	}
	u, err := k.CreateUser(t.Context(), key.User{ID: naming.User(a.ID, "u"), Account: a.ID})
	if err != nil {
		t.Fatal(err)
	}
	access := "LATE" + name
	want := func(what, secret string) {
		t.Helper()
		id, err := k.Lookup(t.Context(), access)
		switch {
		case secret == "" && !errs.Is(err, errs.NotFound):
			t.Errorf("%s: the key that was removed is %v, %v", what, id.Key, err)
		case secret != "" && (err != nil || id.Key.Secret != secret):
			t.Errorf("%s: the key has the secret %q, want %q, %v", what, id.Key.Secret, secret, err)
		}
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	g.hold(accessKeys.add.cql)
	ok(k.CreateKey(t.Context(), key.Key{AccessKey: access, User: u.ID, Secret: "first"}))
	want("made", "first")
	ok(k.RemoveKey(t.Context(), access))
	g.release(t)
	want("making it came late", "")

	g.hold(accessKeys.put.cql)
	ok(k.CreateKey(t.Context(), key.Key{AccessKey: access, User: u.ID, Secret: "second"}))
	want("made again", "second")
	ok(k.RemoveKey(t.Context(), access))
	g.release(t)
	want("making it again came late", "")

	ok(k.CreateKey(t.Context(), key.Key{AccessKey: access, User: u.ID, Secret: "third"}))
	g.hold(accessKeys.bury.cql)
	ok(k.RemoveKey(t.Context(), access))
	want("removed", "")
	ok(k.CreateKey(t.Context(), key.Key{AccessKey: access, User: u.ID, Secret: "fourth"}))
	g.release(t)
	want("removing it came late", "fourth")

	g.hold(users.bury.cql)
	ok(k.RemoveUser(t.Context(), u.ID))
	u, err = k.CreateUser(t.Context(), key.User{ID: u.ID, Account: a.ID})
	ok(err)
	g.release(t)
	u.DisplayName = "changed"
	_, err = k.UpdateUser(t.Context(), u)
	ok(err)
	want("the user was removed", "")
}

// TestLateBuckets is TestLateKeys for containers and the names of buckets.
func TestLateBuckets(t *testing.T) {
	g := &straggler{}
	b := NewBuckets(g.on(sessionOf(t, BucketSchema(), "test_late_buckets")), clock.System{})
	name := naming.NewContainerID().String()
	fresh := func() bucket.Container {
		return bucket.Container{ID: naming.NewContainerID(), Account: naming.AccountID(name), Name: naming.ContainerName(name), Bucket: naming.BucketName(name)}
	}
	create := func() bucket.Container {
		t.Helper()
		c, err := b.Create(t.Context(), fresh())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	remove := func(c bucket.Container) {
		t.Helper()
		if err := b.Remove(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, c bucket.Container) {
		t.Helper()
		byName, err := b.Lookup(t.Context(), naming.AccountID(name), naming.ContainerName(name))
		byBucket, berr := b.Resolve(t.Context(), naming.BucketName(name))
		there := c.ID != naming.ContainerID{}
		if byName.ID != c.ID || byBucket.ID != c.ID || (err == nil) != there || (berr == nil) != there {
			t.Errorf("%s: the container is %s (%v), the bucket %s (%v), want %s", what, byName.ID, err, byBucket.ID, berr, c.ID)
		}
	}
	var none bucket.Container
	for _, cql := range []string{addContainer.cql, claimBucket.cql, settleBucket.cql, reuseContainer.cql} {
		g.hold(cql)
		c := create()
		want("made", c)
		remove(c)
		want("removed", none)
		g.release(t)
		want("late: "+cql, none)
	}
	for _, cql := range []string{buryContainer.cql, releaseBucket.cql} {
		c := create()
		g.hold(cql)
		remove(c)
		want("removed", none)
		c = create()
		want("made again", c)
		g.release(t)
		want("late: "+cql, c)
		c.Config.Quota.Objects++
		c, err := b.Update(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		remove(c)
	}
}

// TestSupersededReads answers serial reads as Cassandra does when another transaction came before: they are asked again, other reads and other errors are not.
func TestSupersededReads(t *testing.T) {
	for name, c := range map[string]struct {
		level gocql.Consistency
		err   error
		fails int // how often
		asked int
	}{
		"serial, superseded":        {gocql.Serial, casTimeout(), 3, 4},
		"serial, of this region":    {gocql.LocalSerial, &gocql.RequestErrCASWriteUnknown{}, 1, 2},
		"serial, again and again":   {gocql.Serial, casTimeout(), 100, supersededMost},
		"serial, a host that hangs": {gocql.Serial, gocql.ErrTimeoutNoResponse, 100, 1},
		"of a quorum":               {gocql.LocalQuorum, casTimeout(), 100, 1},
	} {
		asked := 0
		s := &Session{gate: newGate(1, 1<<20, time.Minute), hook: func([]step, func() error) error {
			if asked++; asked <= c.fails {
				return c.err
			}
			return nil
		}}
		found, err := s.serially(t.Context(), getBucket, c.level, nil)
		if asked != c.asked || found != (c.fails < c.asked) || found != (err == nil) {
			t.Errorf("%s: asked %d times, want %d; found %v, %v", name, asked, c.asked, found, err)
		}
	}
}
