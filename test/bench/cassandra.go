package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"golang.org/x/sync/errgroup"

	"pithos/internal/engine/cassandra"
	"pithos/test/nodes"
	"pithos/test/service"
	"pithos/test/thin"
)

// What the section cassandra does: keyspaces of its own, on the nodes that PITHOS_TEST_CASSANDRA names.
const (
	cassandraKeys = "bench"
	cassandraRaw  = "bench_raw"
	rawPiece      = 256 << 10 // as the blobstore cuts blocks
	rawInFlight   = 12
	rawRows       = 1000
	cassandraAim  = 0.70 // of what the driver alone reaches
	rawWait       = 30 * time.Second
)

// onCassandra is one row: the same bytes through the service, and from the driver straight into a table.
type onCassandra struct {
	op      string
	size    int
	clients int
	among   int // objects that GETs choose from
}

func (c onCassandra) name() string {
	return fmt.Sprintf("%s %s, %d", c.op, sizeName(c.size), c.clients)
}

func cassandraCells() (cells []onCassandra) {
	for _, op := range []string{"PUT", "GET"} {
		for _, c := range []onCassandra{{"", 4 << 10, 1, 256}, {"", 4 << 10, 16, 256}, {"", mib, 1, 32}, {"", mib, 8, 32}, {"", 64 * mib, 1, 2}, {"", 64 * mib, 2, 2}} {
			c.op = op
			cells = append(cells, c)
		}
	}
	return cells
}

// cassandra measures a service all of whose stores but the users are on Cassandra, beside the driver alone.
func (b *bench) cassandra() error {
	cluster, ok := nodes.FromEnv()
	if !ok {
		return errors.New("PITHOS_TEST_CASSANDRA names no cluster; start one with test/cassandra/run start 1")
	}
	if err := cluster.Install(b.ctx, cassandraKeys); err != nil {
		return err
	}
	if err := cluster.Empty(b.ctx, cassandraKeys); err != nil {
		return err
	}
	raw, err := newRaw(cluster)
	if err != nil {
		return err
	}
	defer raw.s.Close()
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return err
	}
	s, err := service.Start(b.ctx, service.Options{Binary: b.binary, Data: filepath.Join(data, "data"), Config: "log:\n  level: warn\n" + cluster.Config(cassandraKeys)})
	if err != nil {
		return err
	}
	defer func() {
		s.Kill()
		_ = s.Remove() // the whole folder goes in the end
	}()
	if err := b.cassandraRows(s, raw); err != nil {
		return fmt.Errorf("%w; the server's log ends:\n%s", err, s.LogTail())
	}
	return nil
}

func (b *bench) cassandraRows(s *service.Service, raw *rawTable) error {
	fmt.Printf("\n%d Cassandra nodes.\n\n", len(raw.hosts))
	fmt.Println("| operation, size, clients | Pithos | driver alone | of it | driver, with one LWT | of it | aim, share reached | p50 | p99 |\n|---|---|---|---|---|---|---|---|---|")
	c := s.Client(requestMax)
	defer c.Close()
	for _, bucket := range []string{kept, written} {
		if _, err := do(c, &thin.Request{Method: "PUT", Path: "/" + bucket}); err != nil {
			return err
		}
	}
	var fresh numbers
	stored := map[int]bool{}
	for _, cell := range cassandraCells() {
		if !strings.Contains(cell.name(), b.cell) {
			continue
		}
		if cell.op == "GET" && !stored[cell.size] {
			stored[cell.size] = true
			if err := store(s.Addr, cell.size, cell.among); err != nil {
				return err
			}
			for i := range cell.among {
				if err := raw.write(rawKey(cell.size, uint64(i)), newBody(cell.size)); err != nil {
					return err
				}
			}
		}
		if err := b.cassandraRow(s, raw, cell, &fresh); err != nil {
			return fmt.Errorf("%s: %w", cell.name(), err)
		}
	}
	return b.cassandraPages(s, raw)
}

// cassandraRow lets the service and the driver take turns.
func (b *bench) cassandraRow(s *service.Service, raw *rawTable, c onCassandra, fresh *numbers) error {
	clients := make([]*thin.Client, c.clients)
	bodies := make([]body, c.clients)
	for i := range clients {
		clients[i] = s.Client(requestMax)
		defer clients[i].Close()
		bodies[i] = newBody(c.size)
	}
	same := cell{op: c.op, payload: thin.Unsigned, size: c.size, clients: c.clients}
	var ours, theirs, decided []sample
	for range b.rounds {
		got, err := b.repeat(c.clients, func(i int, random *rand.Rand) error {
			return request(clients[i], same, bodies[i], fresh, random.IntN(c.among))
		})
		if err != nil {
			return err
		}
		ours = append(ours, got)
		got, err = b.repeat(c.clients, func(i int, random *rand.Rand) error {
			if c.op == "GET" {
				return raw.read(rawKey(c.size, uint64(random.IntN(c.among))), c.size)
			}
			number := fresh.next()
			bodies[i].stamp(number)
			return raw.write(rawKey(c.size, 1<<32+number), bodies[i])
		})
		if err != nil {
			return err
		}
		theirs = append(theirs, got)
		if c.op == "GET" {
			continue
		}
		got, err = b.repeat(c.clients, func(i int, _ *rand.Rand) error {
			number := fresh.next()
			bodies[i].stamp(number)
			return raw.create(rawKey(c.size, 1<<32+number), bodies[i])
		})
		if err != nil {
			return err
		}
		decided = append(decided, got)
	}
	fmt.Println(cassandraLine(c.name(), float64(c.size), c.size >= mib, ours, theirs, decided))
	return nil
}

// cassandraLine is a row of the table. decided is the driver with a lightweight transaction for each object, which no conditional write can do without.
func cassandraLine(name string, unit float64, bytesPerSecond bool, ours, theirs, decided []sample) string {
	rate := func(samples []sample) float64 {
		return medianOf(samples, func(s sample) float64 { return s.rate })
	}
	percentile := func(p float64) time.Duration {
		at := func(s sample) float64 { return float64(s.times[int(float64(len(s.times)-1)*p)]) }
		return time.Duration(medianOf(ours, at)).Round(100 * time.Microsecond)
	}
	show := func(rate float64) string {
		if bytesPerSecond {
			return fmt.Sprintf("%.1f MB/s", rate*unit/1e6)
		}
		return fmt.Sprintf("%.0f/s", rate)
	}
	share, second, secondShare := rate(ours)/rate(theirs), "", ""
	if len(decided) > 0 {
		second, secondShare = show(rate(decided)), percent(rate(ours)/rate(decided))
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %v | %v |", name, show(rate(ours)), show(rate(theirs)), percent(share), second, secondShare,
		reached(">= "+percent(cassandraAim)+" of the driver", share/cassandraAim), percentile(0.5), percentile(0.99))
}

// cassandraPages compares pages of a listing with reading as many rows of one partition.
func (b *bench) cassandraPages(s *service.Service, raw *rawTable) error {
	l := listed{"pages", 2 * rawRows / prefixes}
	if !strings.Contains("page", b.cell) {
		return nil
	}
	if err := fill(s, l); err != nil {
		return err
	}
	list := []byte("page")
	for i := range rawRows {
		if err := raw.insert(list, i, newBody(mib)[:150]); err != nil {
			return err
		}
	}
	c := s.Client(requestMax)
	defer c.Close()
	var ours, theirs []sample
	for range b.rounds {
		got, err := b.repeat(1, func(_ int, random *rand.Rand) error {
			answer, err := do(c, &thin.Request{Method: "GET", Path: "/" + l.bucket, Query: "list-type=2&start-after=" + strings.ReplaceAll(l.name(random.IntN(rawRows-1)), "/", "%2F")})
			if err == nil && bytes.Count(answer.Body, []byte("<Key>")) != rawRows {
				err = fmt.Errorf("a page of %d names", bytes.Count(answer.Body, []byte("<Key>")))
			}
			return err
		})
		if err != nil {
			return err
		}
		ours = append(ours, got)
		if got, err = b.repeat(1, func(int, *rand.Rand) error { return raw.read(list, 150*rawRows) }); err != nil {
			return err
		}
		theirs = append(theirs, got)
	}
	fmt.Println(cassandraLine("page of 1,000 names, 1", 1, false, ours, theirs, nil))
	return nil
}

// repeat lets clients do something for a while; what was begun in time counts. Each does it once before.
func (b *bench) repeat(clients int, do func(client int, random *rand.Rand) error) (sample, error) {
	times := make([][]time.Duration, clients)
	random := make([]*rand.Rand, clients)
	err := parallel(clients, func(i int) error {
		random[i] = rand.New(rand.NewPCG(uint64(i), 7))
		return do(i, random[i])
	})
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	err = parallel(clients, func(i int) error {
		for {
			at := time.Now()
			if at.Sub(began) >= b.span {
				return nil
			}
			if err := do(i, random[i]); err != nil {
				return err
			}
			times[i] = append(times[i], time.Since(at))
		}
	})
	took := time.Since(began)
	all := slices.Concat(times...)
	slices.Sort(all)
	return sample{rate: float64(len(all)) / took.Seconds(), times: all}, err
}

// rawTable is a table like that of the blobstore's chunks, written and read by the driver with nothing in between.
type rawTable struct {
	s     *gocql.Session
	hosts []string
}

func newRaw(n nodes.Nodes) (*rawTable, error) {
	cluster := gocql.NewCluster(n.Hosts...)
	cluster.ProtoVersion, cluster.Timeout, cluster.WriteTimeout, cluster.Consistency = 5, rawWait, rawWait, gocql.LocalQuorum
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy())
	s, err := cluster.CreateSession()
	if err != nil {
		return nil, err
	}
	replication := "{'class': 'SimpleStrategy', 'replication_factor': 1}"
	if dc, count, ok := strings.Cut(n.Replication, ":"); ok {
		replication = fmt.Sprintf("{'class': 'NetworkTopologyStrategy', '%s': %s}", dc, count)
	}
	for _, cql := range []string{
		"CREATE KEYSPACE IF NOT EXISTS " + cassandraRaw + " WITH replication = " + replication,
		"CREATE TABLE IF NOT EXISTS " + cassandraRaw + ".chunk (id blob, i int, data blob, PRIMARY KEY (id, i)) WITH compression = {'enabled': false}",
		"TRUNCATE " + cassandraRaw + ".chunk",
		"CREATE TABLE IF NOT EXISTS " + cassandraRaw + ".created (id blob PRIMARY KEY, data blob)",
		"TRUNCATE " + cassandraRaw + ".created",
	} {
		if err := s.Query(cql).Consistency(gocql.All).Exec(); err != nil {
			s.Close()
			return nil, err
		}
	}
	return &rawTable{s, n.Hosts}, nil
}

func rawKey(size int, number uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(size)), number)
}

func (r *rawTable) insert(id []byte, i int, data []byte) error {
	return r.s.Query("INSERT INTO "+cassandraRaw+".chunk (id, i, data) VALUES (?, ?, ?)", id, i, data).Idempotent(true).Exec()
}

func (r *rawTable) write(id []byte, data body) error {
	var g errgroup.Group
	g.SetLimit(rawInFlight)
	for i := 0; i*rawPiece < len(data); i++ {
		g.Go(func() error { return r.insert(id, i, data[i*rawPiece:min((i+1)*rawPiece, len(data))]) })
	}
	return g.Wait()
}

// create is a linearizable create and nothing else: one lightweight transaction, with the bytes in it if they are few, and after them if they are many.
func (r *rawTable) create(id []byte, data body) error {
	var within []byte
	if len(data) <= cassandra.KeepMax {
		within = data
	} else if err := r.write(id, data); err != nil {
		return err
	}
	applied, err := r.s.Query("INSERT INTO "+cassandraRaw+".created (id, data) VALUES (?, ?) IF NOT EXISTS", id, within).
		SerialConsistency(gocql.LocalSerial).MapScanCAS(map[string]any{})
	if err == nil && !applied {
		err = errors.New("a name was created twice")
	}
	return err
}

func (r *rawTable) read(id []byte, size int) error {
	page := 8 // pieces
	if size < rawPiece*page {
		page = 5000
	}
	iter := r.s.Query("SELECT data FROM "+cassandraRaw+".chunk WHERE id = ?", id).Idempotent(true).PageSize(page).Iter()
	got := 0
	var data []byte
	for iter.Scan(&data) {
		got += len(data)
		data = nil
	}
	if err := iter.Close(); err != nil {
		return err
	}
	if got != size {
		return fmt.Errorf("%d bytes of %d", got, size)
	}
	return nil
}
