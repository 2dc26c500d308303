package cassandra

import (
	"context"
	"maps"
	"slices"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
)

// Kin are the metastores whose blocks one blobstore keeps, by their ids: the default one, and those of further regions. A gateway that does not know one of them
// would take its blocks for garbage.
//
// The invariant: a metastore stands in the fact of the blobstore before the first reference of one of its holders does (Tie comes before serving), and it never
// leaves it. Whoever is about to give up holders that no metastore knows has read them from the blobstore first and the fact after that (Whole). So a gateway that
// was started before a region was added either reads no holder of that region, or reads the region in the fact and gives up nobody. No clock decides.
//
// The fact is one register, changed by lightweight transaction over all data centres, so its readers see all of it or ask again. Builds that know no
// regions take one that has any for the id of another metastore, and do not start.
type Kin struct {
	Default string
	Regions map[string]string // ids by name; "": not known, since the region does not answer
}

// putFact changes a fact that is a register.
var putFact = statement{cql: `UPDATE %k.fact SET value = ? WHERE name = ? IF value = ?`, class: casWrite, level: gocql.LocalQuorum}

// text is how the fact is written: the default id, then NAME=ID for each region, in the order of names.
func (k Kin) text() string {
	out := k.Default
	for _, name := range slices.Sorted(maps.Keys(k.Regions)) {
		out += " " + name + "=" + k.Regions[name]
	}
	return out
}

func parseKin(text string) Kin {
	k := Kin{Regions: map[string]string{}}
	for i, field := range strings.Fields(text) {
		if name, id, ok := strings.Cut(field, "="); ok {
			k.Regions[name] = id
		} else if i == 0 {
			k.Default = field
		}
	}
	return k
}

// join is what the fact is to say when k has come to what it said before, or why k may not come.
func (k Kin) join(stands Kin) (next Kin, reason string) {
	if stands.Default != k.Default {
		return next, "keeps the blocks of another metastore (" + stands.Default + ", this one is " + k.Default + "), which would be taken for garbage here; " +
			"name the metastore that it belongs to, or give blobstore.keyspace a keyspace of its own"
	}
	if reason := k.lacks(stands); reason != "" {
		return next, reason
	}
	next = Kin{k.Default, maps.Clone(stands.Regions)}
	names := map[string]string{k.Default: "the default region"}
	for _, name := range slices.Sorted(maps.Keys(k.Regions)) {
		id, had := stands.Regions[name]
		switch mine := k.Regions[name]; {
		case !had && mine == "":
			return next, "does not know the region " + name + " yet, and a region that is new must answer at the first start with it"
		case had && mine != "" && mine != id:
			return next, "keeps the blocks of another metastore for the region " + name + " (" + id + ", this one is " + mine + "); name the one that it belongs to"
		case !had:
			id = mine
		}
		if other, ok := names[id]; ok {
			return next, "would keep the blocks of one metastore for two regions: " + name + " and " + other + " name the same keyspace of the same cluster"
		}
		names[id] = name
		if next.Regions == nil {
			next.Regions = map[string]string{}
		}
		next.Regions[name] = id
	}
	return next, ""
}

// lacks tells which region of those that stand is not known here.
func (k Kin) lacks(stands Kin) string {
	for _, name := range slices.Sorted(maps.Keys(stands.Regions)) {
		if _, ok := k.Regions[name]; !ok {
			return "keeps the blocks of the region " + name + " too (metastore " + stands.Regions[name] + "), which would be taken for garbage by a gateway that does not know it; " +
				"write its metastore below regions." + name + " in the configuration, as the other gateways have it"
		}
	}
	return ""
}

// Tie enters metastores in a blobstore's keyspace and returns what stands there then. Errors: Conflict when one of them may not come, or when the blobstore has one that
// is not among them; the reason says what to write.
func Tie(ctx context.Context, s *Session, k Kin) (Kin, error) {
	const op = "cassandra.Tie"
	refuse := func(reason string) error {
		return errs.E(op, errs.Conflict, errs.Store, s.keyspace).Because(errs.BadState, "keyspace "+s.keyspace+" "+reason)
	}
	// What is found near and needs no change is good enough: what it lacks is found by Whole.
	if text, found, err := fact(ctx, s, FactMetastore, gocql.LocalQuorum); err == nil && found {
		if next, reason := k.join(parseKin(text)); reason == "" && next.text() == text {
			return next, nil
		}
	}
	for n := range attempts {
		text, found, err := fact(ctx, s, FactMetastore, gocql.Serial)
		if err != nil {
			return Kin{}, fail(op, err)
		}
		stands := Kin{Default: k.Default}
		if found {
			stands = parseKin(text)
		}
		next, reason := k.join(stands)
		switch {
		case reason != "":
			return Kin{}, refuse(reason)
		case found && next.text() == text:
			return next, nil
		}
		st := step{addFact, []any{FactMetastore, next.text()}}
		if found {
			st = step{putFact, []any{next.text(), FactMetastore, text}}
		}
		if _, err := s.casBatch(ctx, gocql.Serial, st); err != nil && !unknown(err) {
			return Kin{}, fail(op, err)
		}
		if err := pause(ctx, n); err != nil {
			return Kin{}, fail(op, err)
		}
	}
	return Kin{}, errs.E(op, errs.Busy, errs.Store, s.keyspace)
}

// Whole tells whether all metastores whose blocks a blobstore keeps are known here. Errors: Conflict when one is not, Busy when that cannot be told.
func Whole(ctx context.Context, s *Session, k Kin) error {
	const op = "cassandra.Whole"
	text, found, err := fact(ctx, s, FactMetastore, gocql.Serial)
	if err != nil {
		return fail(op, err)
	}
	reason := k.lacks(parseKin(text))
	if !found || parseKin(text).Default != k.Default {
		reason = "is not the blobstore of this metastore any more"
	}
	if reason != "" {
		return errs.E(op, errs.Conflict, errs.Store, s.keyspace).Because(errs.BadState, "keyspace "+s.keyspace+" "+reason)
	}
	return nil
}
