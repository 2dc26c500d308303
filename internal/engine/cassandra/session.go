package cassandra

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// Config says where one store's cluster is and how to use it. Zero fields take the defaults named.
type Config struct {
	Hosts       []string // contact points, addresses or names
	Port        int      // 9042
	Keyspace    string   // the store's own: "pithos_keys", "pithos_buckets", "pithos_meta", "pithos_blobs"
	Datacenter  string   // the gateway's own data centre; "": that of the first host that answers
	Replication string   // of the keyspace, for its installation: "dc1:3,dc2:3"
	Username    string
	Password    string
	TLS         *tls.Config
	Timeout     time.Duration // of one statement: 3 s
	Speculate   time.Duration // a second try at another host after this: 150 ms; negative: never
	// Requests and Bytes bound what is under way to the cluster at once; further requests wait a little, and then fail with Busy.
	Requests int           // 512
	Bytes    int64         // 64 MiB
	Wait     time.Duration // how long they wait: 2 s
	Clock    clock.Clock   // of the breakers; nil: the system's
	Log      *slog.Logger
}

// Session is a connection to one store's cluster.
type Session struct {
	cql      *gocql.Session
	keyspace string
	spec     gocql.SpeculativeExecutionPolicy
	serial   gocql.Consistency // of a metastore's lightweight transactions; see Settle
	timeout  time.Duration
	gate     *gate
	policy   gocql.HostSelectionPolicy
	// datacenter is the gateway's own, "" when none was named.
	datacenter string
	home       *atomic.Pointer[string] // the only data centre whose hosts are asked; nil in it: all are
	log        *slog.Logger            // may be nil
	ailing     *ailing                 // may be nil
	// hook stands between the engine and the driver in tests: it is given the statements and what sends them.
	hook func(steps []step, send func() error) error
	// writes and reads are what goes together; nil: nothing does.
	writes *gatherer
	reads  *shares
}

// Connect opens the session. It does not look at the schema; see CheckSchema. Errors: Busy when no host answers,
// Invalid for settings that cannot be used.
func Connect(c Config) (*Session, error) {
	const op = "cassandra.Connect"
	if len(c.Hosts) == 0 || !identifier(c.Keyspace) {
		return nil, errs.E(op, errs.Invalid, errs.Store, c.Keyspace).
			Because(errs.BadState, "name at least one host, and a keyspace of lower-case letters, digits and '_'")
	}
	c.Speculate = orDefault(c.Speculate, 150*time.Millisecond)
	cluster := gocql.NewCluster(c.Hosts...)
	cluster.ProtoVersion = 5
	cluster.Port = orDefault(c.Port, 9042)
	cluster.Timeout = orDefault(c.Timeout, 3*time.Second)
	cluster.WriteTimeout = cluster.Timeout
	cluster.ConnectTimeout = max(5*time.Second, cluster.Timeout)
	// The driver's minute is long when all nodes were down at once and nobody was left to tell it that one is back.
	cluster.ReconnectInterval = 2 * time.Second
	cluster.Consistency = gocql.LocalQuorum
	cluster.DefaultTimestamp = false // every plain write names its timestamp
	cluster.NumConns = 2
	cluster.Logger = quietLogger{c.Log}
	cluster.RetryPolicy = &gocql.SimpleRetryPolicy{NumRetries: 1}
	if c.Username != "" {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: c.Username, Password: c.Password}
	}
	if c.TLS != nil {
		cluster.SslOpts = &gocql.SslOptions{Config: c.TLS, EnableHostVerification: !c.TLS.InsecureSkipVerify}
	}
	near := gocql.RoundRobinHostPolicy()
	if c.Datacenter != "" {
		near = gocql.DCAwareRoundRobinPolicy(c.Datacenter)
	}
	home := new(atomic.Pointer[string])
	guard := &breakers{clock: c.Clock, slow: c.Speculate, log: c.Log}
	if guard.clock == nil {
		guard.clock = clock.System{}
	}
	cluster.QueryObserver, cluster.BatchObserver = guard, guard
	cluster.PoolConfig.HostSelectionPolicy = roundTwice{guarded{atHome{gocql.TokenAwareHostPolicy(near, gocql.ShuffleReplicas()), home}, guard}}
	session, err := cluster.CreateSession()
	if err != nil {
		return nil, errs.Wrap(op, errs.Busy, err)
	}
	s := &Session{cql: session, keyspace: c.Keyspace, serial: gocql.Serial, timeout: cluster.Timeout, log: c.Log, policy: cluster.PoolConfig.HostSelectionPolicy, datacenter: c.Datacenter, home: home}
	s.ailing = &ailing{clock: guard.clock, log: c.Log}
	s.writes, s.reads = &gatherer{lanes: map[string]*lane{}}, &shares{reads: map[string]*shared{}}
	s.gate = newGate(orDefault(c.Requests, 512), orDefault(c.Bytes, 64<<20), orDefault(c.Wait, 2*time.Second))
	if c.Speculate > 0 {
		s.spec = guard
	}
	return s, nil
}

// Close ends the session.
func (s *Session) Close() { s.cql.Close() }

// identifier reports whether s can stand in a statement as a name without quotes.
func identifier(s string) bool {
	ok := s != "" && len(s) <= 48 && s[0] >= 'a' && s[0] <= 'z'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
	}
	return ok
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// class says how a statement touches the cluster. The order is that of cost.
type class uint8

const (
	pointRead  class = iota // one partition, by its whole key
	sliceRead               // a bounded slice of one partition
	plainWrite              // one row, USING TIMESTAMP: may be repeated
	casWrite                // lightweight transaction in one partition
	ringScan                // many partitions: workers and operators only
)

// statement is one CQL statement. %k stands for the store's keyspace.
type statement struct {
	cql   string
	class class
	level gocql.Consistency // of reads and plain writes; commit level of casWrite
	bulk  bool              // reads pages of up to readPage bytes
	page  int               // rows of such a page
	key   []int             // of a plain write that goes with others to its partition: the arguments that name that
}

// readPage is about how much payload is read at once.
const readPage = 2 << 20

func (st statement) text(s *Session) string { return strings.ReplaceAll(st.cql, "%k", s.keyspace) }

// query binds a statement. What may be repeated is marked so and gets the speculative second try; an LWT never is.
func (s *Session) query(st statement, args ...any) *gocql.Query {
	q := s.cql.Query(st.text(s), args...).Consistency(st.level)
	if st.class == casWrite {
		return q.SerialConsistency(s.serial).RetryPolicy(noRetry{})
	}
	q = q.Idempotent(true)
	if s.spec != nil && st.class != ringScan {
		q = q.SetSpeculativeExecutionPolicy(s.spec)
	}
	return q
}

// exec runs a plain write.
func (s *Session) exec(ctx context.Context, st statement, args ...any) error {
	if st.key != nil {
		return s.join(ctx, st, args...)
	}
	return s.alone(ctx, st, args...)
}

// alone runs a plain write by itself.
func (s *Session) alone(ctx context.Context, st statement, args ...any) error {
	return s.send(ctx, []step{{st, args}}, func(ctx context.Context) error { return s.query(st, args...).ExecContext(ctx) })
}

// send sends statements when there is room for them. A statement that never left is sent again: while a session's pools fill, or every host has just been
// marked down, the driver has no connection to give. The waits add up to about 1.5 s.
func (s *Session) send(ctx context.Context, steps []step, run func(context.Context) error) error {
	size := weigh(steps)
	if err := s.gate.enter(ctx, size); err != nil {
		return err
	}
	defer s.gate.leave(size)
	wait := 50 * time.Millisecond
	for {
		err := s.try(ctx, steps, run)
		if !errors.Is(err, gocql.ErrNoConnections) || wait > time.Second {
			return err
		}
		if clock.Wait(ctx, wait) != nil {
			return err
		}
		wait *= 2
	}
}

func (s *Session) try(ctx context.Context, steps []step, run func(context.Context) error) error {
	if s.hook == nil {
		return run(ctx)
	}
	return s.hook(steps, func() error { return run(ctx) })
}

// weigh is about how much memory statements take while they are under way.
func weigh(steps []step) int64 {
	size := int64(0)
	for _, st := range steps {
		size += 1 << 10
		if st.st.class == sliceRead || st.st.class == ringScan {
			size += 64 << 10
		}
		if st.st.bulk {
			size += min(int64(st.st.page)*chunkDefault, readPage)
		}
		for _, a := range st.args {
			if raw, ok := a.([]byte); ok {
				size += int64(len(raw))
			}
		}
	}
	return size
}

// one reads one row into dest; found is false when there is none.
func (s *Session) one(ctx context.Context, st statement, args []any, dest ...any) (found bool, err error) {
	return s.serially(ctx, st, st.level, args, dest...)
}

// rows calls scan until it reports false, over the rows of a read of one partition, which come in pages; scan must not call the store. A first
// page that could not be asked for is asked for again, and serially when a node could not read its own files.
func (s *Session) rows(ctx context.Context, st statement, args []any, page int, scan func(*gocql.Iter) bool) error {
	started := false
	err := s.rowsAt(ctx, st, st.level, args, page, func(it *gocql.Iter) bool {
		ok := scan(it)
		started = started || ok
		return ok
	})
	if !started && s.roundAbout(st, st.level, err) {
		err = s.rowsAt(ctx, st, s.serial, args, page, scan)
	}
	return err
}

// roundAbout reports whether a read that failed is worth being made serially. A node asks as many replicas as make the quorum, always the same, and fails when one of them
// cannot read its own files, whatever the others have; it asks all for a serial read, and a majority is enough, whose answers are as new. So a damaged file on one node of three costs time and no request.
// Serial reads are of one partition, and always of the store's own kind: what one kind decides the other does not see.
func (s *Session) roundAbout(st statement, level gocql.Consistency, err error) bool {
	s.ailing.observe(st, err)
	return st.class < plainWrite && (level == gocql.LocalQuorum || level == gocql.Quorum) && unreadable(err)
}

func (s *Session) rowsAt(ctx context.Context, st statement, level gocql.Consistency, args []any, page int, scan func(*gocql.Iter) bool) error {
	var late error
	st.page = page
	err := s.send(ctx, []step{{st, args}}, func(ctx context.Context) error {
		iter := s.query(st, args...).Consistency(level).PageSize(page).IterContext(ctx)
		started := false
		for scan(iter) {
			started = true
		}
		err := iter.Close()
		if started { // what was scanned must not be scanned again
			late, err = err, nil
		}
		return err
	})
	if err == nil {
		err = late
	}
	return err
}

// nodeLocal is Cassandra's consistency NODE_LOCAL, for which the driver has no name: the node that is asked reads its own copy and asks nobody. Nodes refuse it unless they were started with
// -Dcassandra.enable_nodelocal_queries=true.
const nodeLocal = gocql.Consistency(0x0b)

// errOwnFiles is what a node that cannot read its own files fails with when it is asked for its own copy.
var errOwnFiles = errors.New("a node cannot read its own files")

// rowsOn is rows, answered by one host from its own copy. A host that does not allow that (see nodeLocal) is asked for one copy, which is its own unless it takes another one's to be faster.
func (s *Session) rowsOn(ctx context.Context, host *gocql.HostInfo, st statement, args []any, page int, scan func(*gocql.Iter) bool) error {
	err := s.rowsFrom(ctx, host, st, nodeLocal, args, page, scan)
	if code, ok := refusal(err); ok && code == gocql.ErrCodeInvalid {
		return s.rowsFrom(ctx, host, st, gocql.One, args, page, scan)
	} else if ok && code == gocql.ErrCodeServer {
		return fmt.Errorf("%w: %w", errOwnFiles, err)
	}
	return err
}

func (s *Session) rowsFrom(ctx context.Context, host *gocql.HostInfo, st statement, level gocql.Consistency, args []any, page int, scan func(*gocql.Iter) bool) error {
	st.page = page
	return s.send(ctx, []step{{st, args}}, func(ctx context.Context) error {
		iter := s.query(st, args...).Consistency(level).SetHostID(host.HostID()).
			SetSpeculativeExecutionPolicy(gocql.NonSpeculativeExecution{}).RetryPolicy(noRetry{}).PageSize(page).IterContext(ctx)
		for scan(iter) {
		}
		return iter.Close()
	})
}

// replicas is the hosts that have a copy of a partition and are up, those of the own data centre as far as one is named. near tells how many
// copies there should be.
func (s *Session) replicas(ctx context.Context, partition []byte) (hosts []*gocql.HostInfo, near int, err error) {
	near, err = s.near(ctx)
	if err != nil {
		return nil, 0, err
	}
	return s.hostsOf(partition, near), near, nil
}

// near is how many copies there should be of each partition, in the own data centre as far as one is named.
func (s *Session) near(ctx context.Context) (near int, err error) {
	replication := map[string]string{}
	if _, err := s.one(ctx, getReplication, []any{s.keyspace}, &replication); err != nil {
		return 0, err
	}
	for where, text := range replication {
		n, err := strconv.Atoi(text)
		if err == nil && (s.datacenter == "" || where == s.datacenter || where == "replication_factor") {
			near += n
		}
	}
	return near, nil
}

// hostsOf is at most n hosts that are up, first those that have a copy of a partition.
func (s *Session) hostsOf(partition []byte, n int) (hosts []*gocql.HostInfo) {
	next := s.policy.Pick(partitionKey{s.keyspace, partition})
	for h := next(); h != nil && len(hosts) < n; h = next() {
		if slices.ContainsFunc(hosts, func(o *gocql.HostInfo) bool { return o.HostID() == h.Info().HostID() }) {
			break // the second round
		}
		hosts = append(hosts, h.Info())
	}
	return hosts
}

// allUp reports whether every node is up, as far as is known. While one is not, hostsOf may name one in its place that has no copy and need not have one.
func (s *Session) allUp() bool {
	return !slices.ContainsFunc(s.cql.GetHosts(), func(h *gocql.HostInfo) bool { return !h.IsUp() })
}

// partitionKey asks a policy for the hosts of a partition.
type partitionKey struct {
	keyspace string
	key      []byte
}

func (p partitionKey) GetRoutingKey() ([]byte, error) { return p.key, nil }
func (p partitionKey) Keyspace() string               { return p.keyspace }
func (p partitionKey) Table() string                  { return "" }
func (p partitionKey) IsIdempotent() bool             { return true }
func (p partitionKey) GetHostID() string              { return "" }
func (p partitionKey) Statement() gocql.Statement     { return nil }

// step is one statement of a conditional batch.
type step struct {
	st   statement
	args []any
}

// casBatch applies the steps, which are in one partition, if the conditions among them hold. When the outcome is unknown, the error
// is one for which unknown reports true.
func (s *Session) casBatch(ctx context.Context, level gocql.Consistency, steps ...step) (bool, error) {
	b := s.cql.Batch(gocql.LoggedBatch).Consistency(gocql.LocalQuorum).SerialConsistency(level).RetryPolicy(noRetry{})
	for _, st := range steps {
		b = b.Query(st.st.text(s), st.args...)
	}
	var applied bool
	err := s.send(ctx, steps, func(ctx context.Context) error {
		ok, iter, err := b.MapExecCASContext(ctx, map[string]any{})
		applied = ok
		if iter != nil {
			if cerr := iter.Close(); err == nil {
				err = cerr
			}
		}
		return err
	})
	return applied, err
}

// together makes plain writes to one partition in one request.
func (s *Session) together(ctx context.Context, steps ...step) error {
	return s.send(ctx, steps, func(ctx context.Context) error {
		b := s.cql.Batch(gocql.UnloggedBatch).Consistency(gocql.LocalQuorum)
		for _, st := range steps {
			b = b.Query(st.st.text(s), st.args...)
		}
		for i := range b.Entries {
			b.Entries[i].Idempotent = true
		}
		if s.spec != nil {
			b = b.SpeculativeExecutionPolicy(s.spec)
		}
		return b.ExecContext(ctx)
	})
}

// supersededMost bounds how often a serial read is asked again that others came before.
const supersededMost = 5

// serially reads one row at a consistency. A serial one finishes or fences a lightweight transaction in flight first, and is not asked of two
// hosts at once. When another transaction comes before a serial read that had to propose one of its own, Cassandra answers at once that the outcome of a
// write is unknown (Paxos.read, Superseded with side effects); there was nothing to write, so it is asked again.
func (s *Session) serially(ctx context.Context, st statement, level gocql.Consistency, args []any, dest ...any) (found bool, err error) {
	serial := level == gocql.Serial || level == gocql.LocalSerial
	for n := range supersededMost {
		err = s.send(ctx, []step{{st, args}}, func(ctx context.Context) error {
			q := s.query(st, args...).Consistency(level)
			if serial {
				q = q.SetSpeculativeExecutionPolicy(gocql.NonSpeculativeExecution{})
			}
			return q.ScanContext(ctx, dest...)
		})
		if !serial || !superseded(err) || pause(ctx, n) != nil {
			break
		}
	}
	if s.roundAbout(st, level, err) {
		return s.serially(ctx, st, s.serial, args, dest...)
	}
	if errors.Is(err, gocql.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// cas runs a lightweight transaction. When its outcome is unknown, settle is asked, by a serial read, whether it took effect. If not, it is run again: what is
// under way somewhere still could take effect later, and a condition that holds no more is an answer only when it was tested. settle reports the outcome, or
// known false when even that cannot be told; then the error is Ambiguous.
func (s *Session) cas(ctx context.Context, st statement, level gocql.Consistency, args []any, settle func() (applied, known bool, err error)) (bool, error) {
	const op, tries = "cassandra.cas", 4
	var lost error // of a try before, whose outcome is unknown
	for n := range tries {
		var applied bool
		err := s.send(ctx, []step{{st, args}}, func(ctx context.Context) (err error) {
			q := s.query(st, args...)
			if level != 0 {
				q = q.SerialConsistency(level)
			}
			applied, err = q.MapScanCASContext(ctx, map[string]any{})
			return err
		})
		switch {
		case err == nil && (applied || lost == nil):
			return applied, nil
		case err != nil && !unknown(err) && lost == nil:
			return false, err
		}
		settled, known, serr := settle()
		switch {
		case serr != nil:
			return false, errs.Wrap(op, errs.Ambiguous, errors.Join(err, lost, serr))
		case !known:
			return false, errs.Wrap(op, errs.Ambiguous, errors.Join(err, lost))
		case settled:
			return true, nil
		case err == nil: // refused, and the tries before have not come to pass
			return false, nil
		}
		lost = err
		if err := pause(ctx, n); err != nil {
			break
		}
	}
	return false, errs.Wrap(op, errs.Ambiguous, lost)
}
