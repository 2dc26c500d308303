package cassandra

import (
	"cmp"
	"context"
	"slices"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
)

// A keyspace keeps a few facts about what it is used with. Each is said once, by lightweight transaction over all data centres, and stands for good.
var (
	getFact = statement{cql: `SELECT value FROM %k.fact WHERE name = ?`, class: pointRead, level: gocql.LocalQuorum}
	addFact = statement{cql: `INSERT INTO %k.fact (name, value) VALUES (?, ?) IF NOT EXISTS`, class: casWrite, level: gocql.LocalQuorum}
)

const factTable = `CREATE TABLE IF NOT EXISTS %k.fact (name text PRIMARY KEY, value text)`

// Facts that a keyspace keeps.
const (
	// FactID is the metastore's own name, that other stores know it by.
	FactID = "id"
	// FactMetastore is who the metastores are whose blocks a blobstore keeps; see Kin.
	FactMetastore = "metastore"
	// FactHome is the data centre whose nodes decide and answer for a keyspace.
	FactHome = "home"
)

// Claim says a fact about a keyspace, unless one of its name was said before, and returns the one that stands. Errors: Busy, Ambiguous.
func Claim(ctx context.Context, s *Session, name, value string) (string, error) {
	const op = "cassandra.Claim"
	// What was said stands, so whoever finds it near needs no other data centre, which may be down.
	if stands, found, err := fact(ctx, s, name, gocql.LocalQuorum); err == nil && found {
		return stands, nil
	}
	for n := range attempts {
		stands, found, err := fact(ctx, s, name, gocql.Serial)
		if err != nil || found {
			return stands, fail(op, err)
		}
		if _, err := s.casBatch(ctx, gocql.Serial, step{addFact, []any{name, value}}); err != nil && !unknown(err) {
			return "", fail(op, err)
		}
		if err := pause(ctx, n); err != nil {
			return "", fail(op, err)
		}
	}
	return "", errs.E(op, errs.Busy, errs.Store, s.keyspace)
}

func fact(ctx context.Context, s *Session, name string, level gocql.Consistency) (value string, found bool, err error) {
	found, err = s.serially(ctx, getFact, level, []any{name}, &value)
	return value, found, err
}

// everywhere is the agreement of a keyspace whose data centres have no names (SimpleStrategy).
const everywhere = "all"

// Settle finds the home of a keyspace, the one data centre whose nodes decide and answer for it, and has the session use it: one that the configuration names,
// or the only one that there is. A keyspace keeps its home: what one gateway wrote in one data centre and another read in another would be missing there for a
// while, and rows that are changed by agreements of two kinds would be torn. home is "" for a keyspace of SimpleStrategy. Errors: Conflict (the reason says what to write).
func Settle(ctx context.Context, s *Session, home string) (string, error) {
	const op = "cassandra.Settle"
	replication := map[string]string{}
	if _, err := s.one(ctx, getReplication, []any{s.keyspace}, &replication); err != nil {
		return "", fail(op, err)
	}
	home, reason := homeOf(s.keyspace, replication, home)
	if reason != "" {
		return "", errs.E(op, errs.Conflict, errs.Store, s.keyspace).Because(errs.BadState, reason)
	}
	stands, err := Claim(ctx, s, FactHome, cmp.Or(home, everywhere))
	if err == nil && stands != cmp.Or(home, everywhere) { // an operator may have changed it (docs/operations/datacentres.md)
		stands, _, err = fact(ctx, s, FactHome, gocql.Serial)
	}
	if err != nil {
		return "", fail(op, err)
	}
	if stands != cmp.Or(home, everywhere) {
		return "", errs.E(op, errs.Conflict, errs.Store, s.keyspace).Because(errs.BadState,
			"the home of keyspace "+s.keyspace+" is "+stands+" since its first start, not "+cmp.Or(home, everywhere)+"; write home: "+stands)
	}
	if home != "" {
		s.serial = gocql.LocalSerial
		s.home.Store(&home)
	}
	return home, nil
}

// Nearest tests that a session on a blobstore's keyspace knows its nearest data centre. Blocks are written and read there, and the others follow; a block that has
// not arrived yet is fetched from the others. Errors: Conflict when there are several and none is named.
func Nearest(ctx context.Context, s *Session, named string) error {
	const op = "cassandra.Nearest"
	replication := map[string]string{}
	if _, err := s.one(ctx, getReplication, []any{s.keyspace}, &replication); err != nil {
		return fail(op, err)
	}
	if _, reason := homeOf(s.keyspace, replication, ""); named == "" && reason != "" {
		return errs.E(op, errs.Conflict, errs.Store, s.keyspace).Because(errs.BadState,
			"keyspace "+s.keyspace+" is replicated in several data centres; write datacenter: with the one that is nearest to this gateway")
	}
	return nil
}

// homeOf is the home of a keyspace with the replication given, or the reason why it has none.
func homeOf(keyspace string, replication map[string]string, named string) (home, reason string) {
	if strings.HasSuffix(replication["class"], "SimpleStrategy") {
		if named != "" {
			return "", "keyspace " + keyspace + " is replicated by SimpleStrategy, which knows no data centres; leave home out, or give it NetworkTopologyStrategy"
		}
		return "", ""
	}
	var centres []string
	for name := range replication {
		if name != "class" {
			centres = append(centres, name)
		}
	}
	slices.Sort(centres)
	list := strings.Join(centres, ", ")
	switch {
	case named != "" && !slices.Contains(centres, named):
		return "", "keyspace " + keyspace + " has no replicas in data centre " + named + ", its home; it has in " + list
	case named != "":
		return named, ""
	case len(centres) == 1:
		return centres[0], ""
	}
	return "", "keyspace " + keyspace + " is replicated in several data centres (" + list + "); write home: with the one whose nodes decide and answer for it, the same for every gateway"
}
