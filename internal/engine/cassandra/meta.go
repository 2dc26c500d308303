package cassandra

import (
	"context"
	"math/rand/v2"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/guess"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// Meta is the metastore.
//
// The truth about a name, or about a multipart upload, is one partition of the table cell, changed only by conditional batches on its
// generation. What follows from a change lies in other partitions: the listing entry, usage, indexes, holders. The batch
// carries these effects with it (cell.recent), so that whoever finds the change in the log can bring them to an end. A change:
//
//  1. write a row of the log and read the cell, then look at the seal and at the row again;
//  2. plan, name the holder, apply the batch if the generation is the one read;
//  3. bring the effects about, each of which may be repeated, and make the row done.
//
// A scan reads the log beside the entries and takes the names of changes under way from their cells, so it never misses an acknowledged change. Sealing a
// container, or giving up a row of the log, writes its mark first and then raises the generation: a change that looked before the mark
// fails, and one that looks after sees it. No clock decides anything but when to begin clearing up.
//
// No partition grows without bound: lists of names are cut into shards, indexes by time into slots, the log and usage into chunks.
type Meta struct {
	s       *Session
	clock   clock.Clock
	sizes   Sizes
	slots   slotCache
	shards  shardMap
	splits  splitter
	journal journal
	mender  mender
	chunks  guess.Map[string, []place] // open ones of an owner's log, which are read beside the tally that tells which they are
	// intended spares a reading of each holder.
	intended intentCache
	// Tests damage copies, and ask one host as if it were several.
	faultyBody func(number int, c bodyCopy) bodyCopy
	copies     func(hosts []*gocql.HostInfo) []*gocql.HostInfo
}

// KeepMax is up to how many bytes the body of an object is kept with its version here (see block.Map.Kept): one lightweight transaction then does
// all that has to be decided, where a block takes two more and six other statements. Paxos writes what it decides twice, so it does not pay for large ones.
const KeepMax = 8 << 10

// Sizes are bounds that tests lower. Zero fields take the defaults named.
type Sizes struct {
	Shard      int // keys of a listing shard, from which on it is split: 100,000
	Tombstones int // met in one page of a listing, from which on its shard is replaced: 20,000
	Chunk      int // rows of a chunk of the log: 256
}

// NewMeta puts a metastore on a session whose schema was checked. The clock names slots of indexes and tells when a change left behind is
// to be settled; nothing depends on its being right.
func NewMeta(s *Session, c clock.Clock) *Meta { return NewMetaOf(s, c, Sizes{}) }

// NewMetaOf is NewMeta with other sizes.
func NewMetaOf(s *Session, c clock.Clock, z Sizes) *Meta {
	return &Meta{s: s, clock: c, sizes: Sizes{
		Shard: orDefault(z.Shard, 100_000), Tombstones: orDefault(z.Tombstones, 20_000), Chunk: orDefault(z.Chunk, chunkRows),
	}}
}

var _ meta.Store = (*Meta)(nil)

// MetaSchema is the metastore's. cell, holder, seal, shard and the static columns of tally are LWT only; all other rows are written with
// timestamps that the protocol fixes.
func MetaSchema() Schema {
	return Schema{Store: "metastore", First: 2, Migrations: [][]string{nil, {
		`CREATE TABLE IF NOT EXISTS %k.cell (container uuid, name blob, upload text, seq bigint,
			gen bigint static, recent frozen<list<blob>> static, head blob static, nullseq bigint static, rows int static,
			rec blob, namer uuid, PRIMARY KEY ((container, name, upload), seq)) WITH CLUSTERING ORDER BY (seq DESC)`,
		`CREATE TABLE IF NOT EXISTS %k.entry (shard uuid, key blob, rec blob, moved boolean static, PRIMARY KEY (shard, key))
			WITH compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'L4'}`,
		`CREATE TABLE IF NOT EXISTS %k.shard (list uuid, lo blob, id uuid, into_shards blob, PRIMARY KEY (list, lo))`,
		`CREATE TABLE IF NOT EXISTS %k.log (owner text, proc uuid, chunk bigint, name blob, upload text, id uuid, closed boolean static,
			rec blob, taken boolean, done boolean, delta blob, reserved blob, PRIMARY KEY ((owner, proc, chunk), name, upload, id))`,
		`CREATE TABLE IF NOT EXISTS %k.tally (owner text, proc uuid, total blob static, rev bigint static, absorbed frozen<list<uuid>> static,
			latest bigint, folded bigint, sum blob, PRIMARY KEY (owner, proc))`,
		`CREATE TABLE IF NOT EXISTS %k.process (one int, proc uuid, beat bigint, closed boolean, PRIMARY KEY (one, proc))`,
		`CREATE TABLE IF NOT EXISTS %k.touched (proc uuid, lane int, owner text, PRIMARY KEY ((proc, lane), owner))`,
		`CREATE TABLE IF NOT EXISTS %k.seal (container uuid PRIMARY KEY, state int)`,
		`CREATE TABLE IF NOT EXISTS %k.timed (kind text, slot bigint, at bigint, id blob, val blob, PRIMARY KEY ((kind, slot), at, id))`,
		`CREATE TABLE IF NOT EXISTS %k.slot (kind text, slot bigint, PRIMARY KEY (kind, slot))`,
		`CREATE TABLE IF NOT EXISTS %k.holder (holder uuid, namer uuid, rev bigint static, intent bigint static, names int static,
			died bigint static, slot bigint static, PRIMARY KEY (holder, namer))`,
	}, {factTable}, {
		`ALTER TABLE %k.cell ADD IF NOT EXISTS body blob`,
		`ALTER TABLE %k.log ADD IF NOT EXISTS marked boolean static`,
	}, {
		`ALTER TABLE %k.holder ADD IF NOT EXISTS death bigint static`,
	}}}
}

// attempts bounds how often a change that lost to others is tried again.
const attempts = 100

// pause waits before attempt n, longer and longer and never the same for two writers.
func pause(ctx context.Context, n int) error {
	most := min(time.Duration(n+1)*4*time.Millisecond, 120*time.Millisecond)
	return clock.Wait(ctx, rand.N(most))
}

var (
	getSeal = statement{cql: `SELECT state FROM %k.seal WHERE container = ?`, class: pointRead, level: gocql.LocalQuorum}
	addSeal = statement{cql: `INSERT INTO %k.seal (container, state) VALUES (?, ?) IF NOT EXISTS`, class: casWrite, level: gocql.LocalQuorum}
	putSeal = statement{cql: `UPDATE %k.seal SET state = ? WHERE container = ? IF state = ?`, class: casWrite, level: gocql.LocalQuorum}
)

// States of a seal. A container without a row is open.
const (
	unsealed = 0
	sealed   = 1
	dropped  = 2
)

func (m *Meta) sealOf(ctx context.Context, id naming.ContainerID, level gocql.Consistency) (state int, known bool, err error) {
	return sharedRow(ctx, m.s, getSeal, level, []any{gocql.UUID(id)}, func(state *int) []any { return []any{state} })
}

// setSeal brings the seal to a state, but never away from dropped.
func (m *Meta) setSeal(ctx context.Context, op string, id naming.ContainerID, want int) error {
	for n := range attempts {
		have, known, err := m.sealOf(ctx, id, m.s.serial)
		if err != nil {
			return fail(op, err)
		}
		if have == want || have == dropped {
			return nil
		}
		st := step{putSeal, []any{want, gocql.UUID(id), have}}
		if !known {
			st = step{addSeal, []any{gocql.UUID(id), want}}
		}
		done, err := m.s.casBatch(ctx, m.s.serial, st)
		if err != nil && !unknown(err) {
			return fail(op, err)
		}
		if done && err == nil {
			return nil
		}
		if err := pause(ctx, n); err != nil {
			return fail(op, err)
		}
	}
	return errs.E(op, errs.Busy, errs.Container, id.String())
}

// Seal refuses later writes to a container; see meta.Containers. A change under way either took effect before its cell's generation was
// raised, and then the log or its entry shows it, or it fails and sees the seal.
func (m *Meta) Seal(ctx context.Context, id naming.ContainerID) error {
	const op = "cassandra.Meta.Seal"
	if err := m.setSeal(ctx, op, id, sealed); err != nil {
		return err
	}
	pending, _, err := m.underWay(ctx, id, "", 0)
	if err != nil {
		return fail(op, err)
	}
	for _, r := range pending {
		if err := m.fence(ctx, r.cellKey); err != nil {
			return fail(op, err)
		}
	}
	return nil
}

// Unseal opens a container again; see meta.Containers.
func (m *Meta) Unseal(ctx context.Context, id naming.ContainerID) error {
	return m.setSeal(ctx, "cassandra.Meta.Unseal", id, unsealed)
}

// Empty reports whether a container holds nothing; see meta.Containers.
func (m *Meta) Empty(ctx context.Context, id naming.ContainerID, ignoreUploads bool) (bool, error) {
	c := m.Scan(ctx, id, meta.View{Kind: meta.ViewAll})
	defer c.Close()
	first, err := c.Next(ctx)
	if err != nil || first != nil {
		return false, err
	}
	if ignoreUploads {
		return true, nil
	}
	empty := true
	err = m.Pending(ctx, id, "", "", func(meta.Upload) bool {
		empty = false
		return false
	})
	return empty, err
}

// Drop forgets what is left of a sealed container; see meta.Containers.
func (m *Meta) Drop(ctx context.Context, id naming.ContainerID, _ naming.AccountID) error {
	const op = "cassandra.Meta.Drop"
	state, _, err := m.sealOf(ctx, id, m.s.serial)
	switch {
	case err != nil:
		return fail(op, err)
	case state == unsealed:
		return errs.E(op, errs.Conflict, errs.Container, id.String())
	}
	empty, err := m.Empty(ctx, id, true)
	switch {
	case err != nil:
		return fail(op, err)
	case !empty:
		return errs.E(op, errs.NotEmpty, errs.Container, id.String())
	}
	var open []meta.UploadKey
	if err := m.Pending(ctx, id, "", "", func(u meta.Upload) bool {
		open = append(open, u.UploadKey)
		return true
	}); err != nil {
		return err
	}
	for _, k := range open {
		if err := m.Abort(ctx, k); err != nil && !errs.IsThing(err, errs.NotFound, errs.Upload) {
			return err
		}
	}
	return m.setSeal(ctx, op, id, dropped)
}

// Close ends the session.
func (m *Meta) Close() error {
	m.mender.stop()
	m.s.Close()
	m.splits.stop()
	return nil
}
