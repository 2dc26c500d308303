package cassandra

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// clockSkewMost is how far the clocks of gateway and cluster may be apart without a warning.
const clockSkewMost = time.Second

var (
	getVariant     = statement{cql: `SELECT value FROM system_views.settings WHERE name = 'paxos_variant'`, class: pointRead, level: gocql.One}
	getReplication = statement{cql: `SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?`, class: pointRead, level: gocql.One}
	getClock       = statement{cql: `SELECT toTimestamp(now()) FROM system.local`, class: pointRead, level: gocql.One}
)

// CheckCluster looks at what the stores rest on. It refuses (Conflict) a keyspace that has no replicas in the data centre named, and
// warns of what works but is not safe: fewer than three replicas, Paxos of the first kind, clocks that differ.
func CheckCluster(ctx context.Context, s *Session, datacenter string, c clock.Clock) (warnings []string, err error) {
	const op = "cassandra.CheckCluster"
	replication := map[string]string{}
	if _, err := s.one(ctx, getReplication, []any{s.keyspace}, &replication); err != nil {
		return nil, fail(op, err)
	}
	simple := strings.HasSuffix(replication["class"], "SimpleStrategy")
	if _, ok := replication[datacenter]; datacenter != "" && !simple && !ok {
		return nil, errs.E(op, errs.Conflict, errs.Store, s.keyspace).
			Because(errs.BadState, fmt.Sprintf("keyspace %s has no replicas in data centre %s; name another, or change the keyspace's replication and repair it", s.keyspace, datacenter))
	}
	for where, text := range replication {
		n, err := strconv.Atoi(text)
		if where != "class" && err == nil && n < 3 {
			warnings = append(warnings, fmt.Sprintf("keyspace %s has %d replicas (%s): the loss of a node stops the service or loses data; three or more are safe", s.keyspace, n, where))
		}
	}
	var variant string
	if _, err := s.one(ctx, getVariant, nil, &variant); err == nil && variant != "" && variant != "v2" {
		warnings = append(warnings, "paxos_variant is "+variant+": set v2 on every node; with it far fewer writes end without a known outcome")
	}
	for _, h := range s.cql.GetHosts() {
		if !h.IsUp() || datacenter != "" && h.DataCenter() != datacenter {
			continue
		}
		err := s.rowsFrom(ctx, h, getVariant, nodeLocal, nil, 1, func(*gocql.Iter) bool { return false })
		if code, refused := refusal(err); refused && code == gocql.ErrCodeInvalid {
			warnings = append(warnings, fmt.Sprintf("node %s may answer for its own copy with another node's, which the scrubber would not notice: start nodes that only this service uses with -Dcassandra.enable_nodelocal_queries=true", h.ConnectAddress()))
		}
	}
	var now time.Time
	before := c.Now()
	if _, err := s.one(ctx, getClock, nil, &now); err != nil {
		return nil, fail(op, err)
	}
	if d := now.Sub(before); d > clockSkewMost || c.Now().Sub(now) > clockSkewMost {
		warnings = append(warnings, fmt.Sprintf("the clocks of this machine and of the cluster differ by %v; let both follow NTP", d.Abs().Round(time.Millisecond)))
	}
	return warnings, nil
}

// PrintSchema is the CQL that an installation runs.
func PrintSchema(sc Schema, keyspace, replication string) (string, error) {
	repl, err := replicationMap(replication)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "-- %s, version %d\n", sc.Store, sc.Version())
	write := func(cql string) { b.WriteString(strings.ReplaceAll(cql, "%k", keyspace) + ";\n") }
	write("CREATE KEYSPACE IF NOT EXISTS %k WITH replication = " + repl)
	write(versionTable)
	for v, statements := range sc.Migrations {
		for _, cql := range statements {
			write(cql)
		}
		write(fmt.Sprintf("INSERT INTO %%k.schema_version (store, version, changed) VALUES ('%s', %d, toTimestamp(now())) USING TIMESTAMP %d", sc.Store, v+1, v+1))
	}
	return b.String(), nil
}
