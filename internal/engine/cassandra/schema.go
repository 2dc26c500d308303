package cassandra

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// Schema is the schema of one store: migrations that only go up. Migration i brings version i to version i+1.
type Schema struct {
	Store string
	// First is the first version that may be upgraded; 0: any. Those before were never released.
	First      int
	Migrations [][]string // statements, %k stands for the keyspace; each may be repeated (IF NOT EXISTS)
}

// Version is the newest version of the schema that this build knows.
func (s Schema) Version() int { return len(s.Migrations) }

// KeySchema is the keystore's. Records are JSON in rec; rows of account, app_user, access_key and canonical are LWT only,
// the others are indexes, written with timestamps and checked against the records.
func KeySchema() Schema {
	return Schema{Store: "keystore", Migrations: [][]string{{
		`CREATE TABLE IF NOT EXISTS %k.account (id text PRIMARY KEY, rec blob, revision bigint, writer uuid)`,
		`CREATE TABLE IF NOT EXISTS %k.app_user (id text PRIMARY KEY, rec blob, revision bigint, writer uuid)`,
		`CREATE TABLE IF NOT EXISTS %k.access_key (id text PRIMARY KEY, rec blob, revision bigint, writer uuid)`,
		`CREATE TABLE IF NOT EXISTS %k.canonical (id text PRIMARY KEY, account text)`,
		`CREATE TABLE IF NOT EXISTS %k.listed (kind text, owner text, id text, PRIMARY KEY ((kind, owner), id))`,
	}, {factTable}}}
}

// BucketSchema is the bucketstore's. bucket and container are LWT only; account_container is an index that is checked
// against container. Every incarnation of a container has an index row of its own, so that a late removal cannot hit its successor.
func BucketSchema() Schema {
	return Schema{Store: "bucketstore", Migrations: [][]string{{
		`CREATE TABLE IF NOT EXISTS %k.bucket (name text PRIMARY KEY, account text, container_name text, container uuid, claimed timestamp)`,
		`CREATE TABLE IF NOT EXISTS %k.container (account text, name text, container uuid, bucket text, region text, created bigint,
			config blob, revision bigint, writer uuid, PRIMARY KEY ((account, name)))`,
		`CREATE TABLE IF NOT EXISTS %k.account_container (account text, name text, container uuid, PRIMARY KEY (account, name, container))`,
	}, {factTable}}}
}

// The table that says which version of the schema a keyspace has.
const versionTable = `CREATE TABLE IF NOT EXISTS %k.schema_version (store text PRIMARY KEY, version int, changed timestamp)`

// InstallSchema makes the keyspace, if it is not there, with the replication given ("dc1:3,dc2:3"), and brings its schema to the
// newest version. It may be repeated and continues where an earlier run was stopped. Errors: Invalid for a bad replication, Conflict for a
// schema newer than this build.
func InstallSchema(ctx context.Context, s *Session, sc Schema, replication string) error {
	const op = "cassandra.InstallSchema"
	repl, err := replicationMap(replication)
	if err != nil {
		return errs.Wrap(op, errs.Invalid, err)
	}
	if err := s.define(ctx, "CREATE KEYSPACE IF NOT EXISTS %k WITH replication = "+repl); err != nil {
		return fail(op, err)
	}
	return UpgradeSchema(ctx, s, sc)
}

// UpgradeSchema brings the schema of an existing keyspace to the newest version.
func UpgradeSchema(ctx context.Context, s *Session, sc Schema) error {
	const op = "cassandra.UpgradeSchema"
	if err := s.define(ctx, versionTable); err != nil {
		return fail(op, err)
	}
	have, err := SchemaVersion(ctx, s, sc)
	if err != nil {
		return err
	}
	if have > sc.Version() {
		return newer(op, sc, have)
	}
	if have > 0 && have < sc.First {
		return errs.E(op, errs.Conflict, errs.Store, sc.Store).
			Because(errs.BadState, fmt.Sprintf("keyspace %s was made by a build before the first release (schema version %d), whose data this build does not read; install into a new keyspace", s.keyspace, have))
	}
	for v := have; v < sc.Version(); v++ {
		for _, cql := range sc.Migrations[v] {
			if err := s.define(ctx, cql); err != nil {
				return fail(op, fmt.Errorf("schema version %d of the %s: %w", v+1, sc.Store, err))
			}
		}
		if err := s.exec(ctx, setVersion, sc.Store, v+1, int64(v+1)); err != nil {
			return fail(op, err)
		}
	}
	return nil
}

// Truncate deletes everything that a store keeps in its keyspace, and leaves the schema. Tests do it between runs.
func Truncate(ctx context.Context, s *Session, sc Schema) error {
	const create = "CREATE TABLE IF NOT EXISTS "
	for _, statements := range sc.Migrations {
		for _, cql := range statements {
			table, _, ok := strings.Cut(strings.TrimPrefix(cql, create), " ")
			if !ok || !strings.HasPrefix(cql, create) {
				continue
			}
			if err := s.define(ctx, "TRUNCATE "+table); err != nil {
				return fail("cassandra.Truncate", err)
			}
		}
	}
	return nil
}

// CheckSchema returns nil when the keyspace has exactly the schema that this build serves. Errors: NotFound (nothing installed),
// Conflict (older or newer); each says which command mends it.
func CheckSchema(ctx context.Context, s *Session, sc Schema) error {
	const op = "cassandra.CheckSchema"
	have, err := SchemaVersion(ctx, s, sc)
	switch {
	case err != nil:
		return err
	case have == 0:
		return errs.E(op, errs.NotFound, errs.Store, sc.Store).
			Because(errs.BadState, "keyspace "+s.keyspace+" has no schema; install it with: pithos schema install")
	case have < sc.Version():
		return errs.E(op, errs.Conflict, errs.Store, sc.Store).
			Because(errs.BadState, fmt.Sprintf("keyspace %s has schema version %d and this build serves %d; bring it up with: pithos schema upgrade", s.keyspace, have, sc.Version()))
	case have > sc.Version():
		return newer(op, sc, have)
	}
	return nil
}

// SchemaVersion is the version that the keyspace has; 0 when there is none.
func SchemaVersion(ctx context.Context, s *Session, sc Schema) (int, error) {
	var v int
	found, err := s.one(ctx, getVersion, []any{sc.Store}, &v)
	switch {
	case missing(err):
		return 0, nil
	case err != nil:
		return 0, fail("cassandra.SchemaVersion", err)
	case !found:
		return 0, nil
	}
	return v, nil
}

var (
	getVersion = statement{cql: `SELECT version FROM %k.schema_version WHERE store = ?`, class: pointRead, level: gocql.LocalQuorum}
	setVersion = statement{cql: `INSERT INTO %k.schema_version (store, version, changed) VALUES (?, ?, toTimestamp(now())) USING TIMESTAMP ?`, class: plainWrite, level: gocql.LocalQuorum}
)

func newer(op string, sc Schema, have int) error {
	return errs.E(op, errs.Conflict, errs.Store, sc.Store).
		Because(errs.BadState, fmt.Sprintf("the %s has schema version %d, newer than the %d that this build knows; run a newer build", sc.Store, have, sc.Version()))
}

// missing reports whether err says that the keyspace or table does not exist.
func missing(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "does not exist") || strings.Contains(err.Error(), "unconfigured table"))
}

// definesMost is how often a change of the schema that got no answer is sent again: on a busy cluster it takes longer than other statements.
const definesMost = 20

// define runs a statement that changes the schema, and that may be repeated, and waits until the nodes agree on it.
func (s *Session) define(ctx context.Context, cql string) error {
	q := s.cql.Query(strings.ReplaceAll(cql, "%k", s.keyspace)).Consistency(gocql.All).Idempotent(true)
	for n := 0; ; n++ {
		err := q.ExecContext(ctx)
		if err == nil {
			break
		}
		if n >= definesMost || !transient(err) || clock.Wait(ctx, time.Second) != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return s.cql.AwaitSchemaAgreement(ctx)
}

// replicationMap turns "dc1:3,dc2:3" into CQL. "" is one replica in whatever data centre there is, which suits only trials.
func replicationMap(r string) (string, error) {
	if r == "" {
		return "{'class': 'SimpleStrategy', 'replication_factor': 1}", nil
	}
	var parts []string
	for _, item := range strings.Split(r, ",") {
		dc, n, ok := strings.Cut(strings.TrimSpace(item), ":")
		count, err := strconv.Atoi(n)
		if !ok || err != nil || count < 1 || count > 9 || dc == "" || strings.ContainsAny(dc, "'\"\\") {
			return "", errs.E("cassandra.replication", errs.Invalid, errs.Config, r).
				Because(errs.BadSyntax, `write the replication as "datacentre:replicas,...", for example "dc1:3"`)
		}
		parts = append(parts, fmt.Sprintf("'%s': %d", dc, count))
	}
	sort.Strings(parts)
	return "{'class': 'NetworkTopologyStrategy', " + strings.Join(parts, ", ") + "}", nil
}
