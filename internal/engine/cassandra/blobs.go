package cassandra

import (
	"context"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"golang.org/x/sync/errgroup"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/blob"
)

// Blobs is the blobstore.
//
// live, cond and bad are max-registers of a block: each is written with its own value as timestamp, so the greatest wins whatever the
// order of arrival. live is the newest complete incarnation of the bytes, cond the newest condemned one, bad the newest damaged one. A block is
// usable when live is greater than both.
//
// Invariant (I4): if a holder that Put or Hold served is not released, its blocks can be read. The writer first writes its reference at quorum
// and only then reads the registers; the sweeper first writes cond at ALL and only then reads the references at ALL. So either the
// sweeper sees the reference and stops, or the writer sees cond and writes a newer incarnation, which the sweeper's deletion, carrying the older
// timestamp, cannot hit however late it comes. No clock decides: the next incarnation grows from the registers read.
//
// Holders are fresh ids that are never used twice, so their rows are written with timestamp 1 and removed with timestamp 2.
//
// The references to a block lie in one partition, as long as they are not many. One who finds very many writes the register lanes, that
// grows like the others; who has seen it, and nobody else, spreads references over as many partitions. The sweeper reads lanes at ALL before it looks.
type Blobs struct {
	s     *Session
	clock interface{ Now() time.Time }
	chunk int // bytes of payload in one row
	hot   hotBlocks
	space struct { // the last estimate; one at a time is made
		mu     sync.Mutex
		report blob.UsageReport
		at     time.Time
	}
	// Tests damage copies, and ask one host as if it were several.
	faultyCopy func(h *gocql.HostInfo, c *copyOf)
	copies     func(hosts []*gocql.HostInfo) []*gocql.HostInfo
}

// Sizes of the blobstore.
const (
	chunkDefault = 256 << 10
	inFlight     = 12 // statements of one operation at a time
	lanes        = 8  // partitions that one holder's list of blocks is spread over

	refLanes    = 64      // partitions that the references to a block are spread over when they are many
	refsMany    = 100_000 // references in one partition from which on that is so
	refsCounted = 2000    // writers of references on average until one counts them
	hotKept     = 10_000  // blocks that a process remembers as held by many
)

// hotBlocks are those whose references are spread over many partitions, as far as this process knows.
type hotBlocks struct {
	mu  sync.Mutex
	ids map[block.ID]bool
}

func (h *hotBlocks) has(id block.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ids[id]
}

func (h *hotBlocks) add(id block.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ids == nil || len(h.ids) >= hotKept {
		h.ids = map[block.ID]bool{}
	}
	h.ids[id] = true
}

// NewBlobs puts a blobstore on a session whose schema was checked.
func NewBlobs(s *Session, clock interface{ Now() time.Time }) *Blobs {
	return &Blobs{s: s, clock: clock, chunk: chunkDefault}
}

var _ interface {
	blob.Store
	blob.Quarantiner
	blob.Auditor
	blob.Usage
} = (*Blobs)(nil)

// BlobSchema is the blobstore's; every row is written with explicit timestamps.
func BlobSchema() Schema {
	return Schema{Store: "blobstore", First: 2, Migrations: [][]string{nil, {
		`CREATE TABLE IF NOT EXISTS %k.block (hash blob PRIMARY KEY, live bigint, cond bigint, bad bigint, size int, lanes int)`,
		`CREATE TABLE IF NOT EXISTS %k.reference (hash blob, lane int, account text, holder uuid, PRIMARY KEY ((hash, lane), account, holder))`,
		`CREATE TABLE IF NOT EXISTS %k.chunk (hash blob, i int, bad bigint static, inc bigint, size int, crc int, data blob, PRIMARY KEY (hash, i))
			WITH compression = {'enabled': false}
			AND caching = {'keys': 'NONE', 'rows_per_partition': 'NONE'}
			AND compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T8'}`,
		`CREATE TABLE IF NOT EXISTS %k.holder (holder uuid PRIMARY KEY, account text)`,
		`CREATE TABLE IF NOT EXISTS %k.holder_block (holder uuid, lane int, hash blob, PRIMARY KEY ((holder, lane), hash))`,
		`CREATE TABLE IF NOT EXISTS %k.sweep (lane int, hash blob, mark uuid, PRIMARY KEY (lane, hash, mark)) WITH gc_grace_seconds = 0`,
		`CREATE TABLE IF NOT EXISTS %k.quarantine (one int, hash blob, inc bigint, PRIMARY KEY (one, hash))`,
	}, {factTable}, {
		// A disk that gives back other bytes must be noticed by its own node. Without checksums in the file, and with read repair, a read that meets the wrong bytes and the right ones, of one timestamp, takes the greater
		// and writes them over the others: the damage of one disk would spread to all. Blocks need no read repair: a quorum has them, or the auditor mends.
		`ALTER TABLE %k.chunk WITH compression = {'class': 'NoopCompressor', 'chunk_length_in_kb': 64} AND crc_check_chance = 1.0 AND read_repair = 'NONE'`,
	}}}
}

var (
	addHolder      = statement{cql: `INSERT INTO %k.holder (holder, account) VALUES (?, ?) USING TIMESTAMP 1`, class: plainWrite, level: gocql.LocalQuorum}
	addHolderBlock = statement{cql: `INSERT INTO %k.holder_block (holder, lane, hash) VALUES (?, ?, ?) USING TIMESTAMP 1`, class: plainWrite, level: gocql.LocalQuorum}
	addReference   = statement{cql: `INSERT INTO %k.reference (hash, lane, account, holder) VALUES (?, ?, ?, ?) USING TIMESTAMP 1`, class: plainWrite, level: gocql.LocalQuorum}
	dropReference  = statement{cql: `DELETE FROM %k.reference USING TIMESTAMP 2 WHERE hash = ? AND lane = ? AND account = ? AND holder = ?`, class: plainWrite, level: gocql.LocalQuorum}
	dropHolderList = statement{cql: `DELETE FROM %k.holder_block USING TIMESTAMP 2 WHERE holder = ? AND lane = ?`, class: plainWrite, level: gocql.LocalQuorum}
	dropHolder     = statement{cql: `DELETE FROM %k.holder USING TIMESTAMP 2 WHERE holder = ?`, class: plainWrite, level: gocql.LocalQuorum}
	getHolder      = statement{cql: `SELECT account FROM %k.holder WHERE holder = ?`, class: pointRead, level: gocql.LocalQuorum}
	listHolder     = statement{cql: `SELECT hash FROM %k.holder_block WHERE holder = ? AND lane = ? AND hash > ? LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
	walkHolders    = statement{cql: `SELECT holder, account FROM %k.holder WHERE token(holder) > token(?) LIMIT ?`, class: ringScan, level: gocql.LocalQuorum}
	walkHoldersAll = statement{cql: `SELECT holder, account FROM %k.holder LIMIT ?`, class: ringScan, level: gocql.LocalQuorum}

	getRegisters = statement{cql: `SELECT live, cond, bad, size, lanes FROM %k.block WHERE hash = ?`, class: pointRead, level: gocql.LocalQuorum}
	getLanes     = statement{cql: `SELECT lanes FROM %k.block WHERE hash = ?`, class: pointRead, level: gocql.All}
	setLive      = statement{cql: `UPDATE %k.block USING TIMESTAMP ? SET live = ?, size = ? WHERE hash = ?`, class: plainWrite, level: gocql.LocalQuorum}
	setCondemned = statement{cql: `UPDATE %k.block USING TIMESTAMP ? SET cond = ? WHERE hash = ?`, class: plainWrite, level: gocql.All}
	setBad       = statement{cql: `UPDATE %k.block USING TIMESTAMP ? SET bad = ? WHERE hash = ?`, class: plainWrite, level: gocql.LocalQuorum}
	setLanes     = statement{cql: `UPDATE %k.block USING TIMESTAMP ? SET lanes = ? WHERE hash = ?`, class: plainWrite, level: gocql.LocalQuorum}
	anyReference = statement{cql: `SELECT holder FROM %k.reference WHERE hash = ? AND lane = ? LIMIT 1`, class: sliceRead, level: gocql.LocalQuorum}
	lookAtAll    = statement{cql: `SELECT holder FROM %k.reference WHERE hash = ? AND lane = ? LIMIT 1`, class: sliceRead, level: gocql.All}
	heldBy       = statement{cql: `SELECT holder FROM %k.reference WHERE hash = ? AND lane = ? AND account = ? LIMIT 1`, class: sliceRead, level: gocql.LocalQuorum}
	countRefs    = statement{cql: `SELECT holder FROM %k.reference WHERE hash = ? AND lane = 0 LIMIT ?`, class: sliceRead, level: gocql.One}
	walkBlocks   = statement{cql: `SELECT hash, live, cond, bad, size, lanes FROM %k.block WHERE token(hash) > token(?) LIMIT ?`, class: ringScan, level: gocql.LocalQuorum}
	walkBlocksA  = statement{cql: `SELECT hash, live, cond, bad, size, lanes FROM %k.block LIMIT ?`, class: ringScan, level: gocql.LocalQuorum}

	putChunk    = statement{cql: `INSERT INTO %k.chunk (hash, i, inc, size, crc, data) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`, class: plainWrite, level: gocql.LocalQuorum}
	getChunks   = statement{cql: `SELECT i, inc, bad, size, crc, data FROM %k.chunk WHERE hash = ? AND i >= ? AND i <= ?`, class: sliceRead, level: gocql.LocalQuorum, bulk: true}
	setChunkBad = statement{cql: `UPDATE %k.chunk USING TIMESTAMP ? SET bad = ? WHERE hash = ?`, class: plainWrite, level: gocql.LocalQuorum}
	dropChunks  = statement{cql: `DELETE FROM %k.chunk USING TIMESTAMP ? WHERE hash = ?`, class: plainWrite, level: gocql.LocalQuorum}

	addSweep  = statement{cql: `INSERT INTO %k.sweep (lane, hash, mark) VALUES (?, ?, ?) USING TIMESTAMP 1`, class: plainWrite, level: gocql.LocalQuorum}
	dropSweep = statement{cql: `DELETE FROM %k.sweep USING TIMESTAMP 2 WHERE lane = ? AND hash = ? AND mark = ?`, class: plainWrite, level: gocql.LocalQuorum}
	listSweep = statement{cql: `SELECT hash, mark FROM %k.sweep WHERE lane = ? AND hash > ? AND hash <= ?`, class: sliceRead, level: gocql.LocalQuorum}

	addBad   = statement{cql: `INSERT INTO %k.quarantine (one, hash, inc) VALUES (0, ?, ?) USING TIMESTAMP ?`, class: plainWrite, level: gocql.LocalQuorum}
	listBad  = statement{cql: `SELECT hash, inc FROM %k.quarantine WHERE one = 0`, class: sliceRead, level: gocql.LocalQuorum}
	clearBad = statement{cql: `DELETE FROM %k.quarantine USING TIMESTAMP ? WHERE one = 0 AND hash = ?`, class: plainWrite, level: gocql.LocalQuorum}
)

// registers are the state of a block.
type registers struct {
	live, cond, bad int64
	size, lanes     int
}

func (r registers) usable() bool { return r.live > r.cond && r.live > r.bad }

// next is the incarnation that a new writer takes: greater than everything that was read.
func (r registers) next(now time.Time) int64 {
	return max(now.UnixMicro(), r.live+1, r.cond+1, r.bad+1)
}

func (b *Blobs) registers(ctx context.Context, id block.ID) (registers, error) {
	var r registers
	_, err := b.s.one(ctx, getRegisters, []any{id[:]}, &r.live, &r.cond, &r.bad, &r.size, &r.lanes)
	if err == nil && r.lanes > 0 {
		b.hot.add(id)
	}
	return r, err
}

// refer writes h's references to the ids: first the holder and its list, by which Release finds them, then the references themselves. It
// returns when all are at quorum; only then may the registers be read. A caller who leaves is not heeded: what is under way would
// still arrive, after a Release that does not find it.
func (b *Blobs) refer(ctx context.Context, h blob.Hold, ids []block.ID) error {
	ctx = context.WithoutCancel(ctx)
	holder := gocql.UUID(h.Holder)
	g, gctx := limited(ctx)
	g.Go(func() error { return b.s.exec(gctx, addHolder, holder, string(h.Account)) })
	for _, id := range ids {
		g.Go(func() error { return b.s.exec(gctx, addHolderBlock, holder, laneOf(id), id[:]) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	g, gctx = limited(ctx)
	for _, id := range ids {
		g.Go(func() error {
			return b.s.exec(gctx, addReference, id[:], b.refLane(id, holder), string(h.Account), holder)
		})
	}
	return g.Wait()
}

// refLane is the partition for a reference. Lanes other than the first are only for blocks whose register says so.
func (b *Blobs) refLane(id block.ID, holder gocql.UUID) int {
	if !b.hot.has(id) {
		return 0
	}
	return int(holder[len(holder)-1]) % refLanes
}

// spread looks now and then whether a block has so many references that they must be spread.
func (b *Blobs) spread(ctx context.Context, id block.ID, r registers) error {
	if r.lanes > 0 || rand.N(refsCounted) != 0 {
		return nil
	}
	n := 0
	err := b.s.rows(ctx, countRefs, []any{id[:], refsMany}, 5000, func(it *gocql.Iter) bool {
		var holder gocql.UUID
		ok := it.Scan(&holder)
		if ok {
			n++
		}
		return ok
	})
	switch {
	case tooManyTombstones(err):
		n, err = refsMany, nil
	case unreadable(err):
		err = nil // one node was asked; the next who looks may ask another
	}
	if err != nil || n < refsMany {
		return err
	}
	return b.s.exec(ctx, setLanes, refLanes, refLanes, id[:])
}

func laneOf(id block.ID) int { return int(id[0]) % lanes }

func limited(ctx context.Context) (*errgroup.Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	return g, ctx
}

// Put holds a block and stores its bytes unless they are there; see blob.Store.
func (b *Blobs) Put(ctx context.Context, h blob.Hold, id block.ID, data []byte) error {
	const op = "cassandra.Blobs.Put"
	if id == block.Empty {
		return nil
	}
	if len(data) == 0 || len(data) > block.SizeMax || data[len(data)-1] == 0 {
		return errs.E(op, errs.Invalid, errs.Block, id.String())
	}
	if err := b.refer(ctx, h, []block.ID{id}); err != nil {
		return fail(op, err)
	}
	r, err := b.registers(ctx, id)
	if err != nil {
		return fail(op, err)
	}
	if r.usable() {
		return fail(op, b.spread(ctx, id, r))
	}
	return fail(op, b.write(ctx, id, data, r))
}

// write stores a new incarnation: all chunks at quorum, then live.
func (b *Blobs) write(ctx context.Context, id block.ID, data []byte, r registers) error {
	inc := r.next(b.clock.Now())
	ctx = context.WithoutCancel(ctx) // as in refer
	g, gctx := limited(ctx)
	for i := 0; i*b.chunk < len(data); i++ {
		piece := data[i*b.chunk : min((i+1)*b.chunk, len(data))]
		g.Go(func() error {
			return b.s.exec(gctx, putChunk, id[:], i, inc, len(data), int32(crc32.Checksum(piece, castagnoli())), piece, inc)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := b.s.exec(ctx, setLive, inc, inc, len(data), id[:]); err != nil {
		return err
	}
	if r.bad > 0 && r.bad >= r.live {
		return b.s.exec(ctx, clearBad, inc, id[:])
	}
	return nil
}

// Hold holds blocks without bytes; see blob.Store.
func (b *Blobs) Hold(ctx context.Context, h blob.Hold, ids []block.ID) ([]block.ID, error) {
	const op = "cassandra.Blobs.Hold"
	ids = distinct(ids)
	if len(ids) == 0 {
		return nil, nil
	}
	if err := b.refer(ctx, h, ids); err != nil {
		return nil, fail(op, err)
	}
	states, err := b.states(ctx, ids)
	if err != nil {
		return nil, fail(op, err)
	}
	var missing []block.ID
	for i, r := range states {
		if !r.usable() {
			missing = append(missing, ids[i])
		}
	}
	return missing, nil
}

// distinct keeps the first of each id and leaves out block.Empty.
func distinct(ids []block.ID) []block.ID {
	seen := make(map[block.ID]bool, len(ids))
	out := make([]block.ID, 0, len(ids))
	for _, id := range ids {
		if id != block.Empty && !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}

func (b *Blobs) states(ctx context.Context, ids []block.ID) ([]registers, error) {
	out := make([]registers, len(ids))
	g, ctx := limited(ctx)
	for i, id := range ids {
		g.Go(func() (err error) { out[i], err = b.registers(ctx, id); return err })
	}
	return out, g.Wait()
}

// Sync has nothing to do but to tell of a closed session: every write was acknowledged by a quorum.
func (b *Blobs) Sync(context.Context) error {
	if b.s.cql.Closed() {
		return errs.E("cassandra.Blobs.Sync", errs.Closed, errs.Store, "")
	}
	return nil
}

// Release drops the references of holders; see blob.Store. The order lets it be repeated after a crash: references first, then candidates for the
// sweep, then the list that names both, then the holder. A candidate must not come before its reference is gone: a sweeper that met both would take the reference for that of somebody
// who will leave a candidate later, and drop this one.
func (b *Blobs) Release(ctx context.Context, holders []block.Holder) error {
	const op = "cassandra.Blobs.Release"
	for _, h := range holders {
		if err := b.release(ctx, gocql.UUID(h)); err != nil {
			return fail(op, err)
		}
	}
	return nil
}

func (b *Blobs) release(ctx context.Context, holder gocql.UUID) error {
	var account string
	found, err := b.s.one(ctx, getHolder, []any{holder}, &account)
	if err != nil || !found {
		return err
	}
	for lane := range lanes {
		found, err := b.releaseLane(ctx, holder, account, lane)
		if err != nil {
			return err
		}
		if found {
			if err := b.s.exec(ctx, dropHolderList, holder, lane); err != nil {
				return err
			}
		}
	}
	return b.s.exec(ctx, dropHolder, holder)
}

func (b *Blobs) releaseLane(ctx context.Context, holder gocql.UUID, account string, lane int) (found bool, err error) {
	// A part of the list at a time, so that a holder of millions of blocks takes no memory.
	for after := []byte(nil); ; {
		var ids [][]byte
		err := b.s.rows(ctx, listHolder, []any{holder, lane, atLeastEmpty(after), releasedAtOnce}, releasedAtOnce, func(it *gocql.Iter) bool {
			var hash []byte
			ok := it.Scan(&hash)
			if ok {
				ids = append(ids, hash)
			}
			return ok
		})
		if err != nil || len(ids) == 0 {
			return found, err
		}
		found, after = true, ids[len(ids)-1]
		g, gctx := limited(ctx)
		for _, h := range ids {
			g.Go(func() error {
				if err := b.dropReferences(gctx, block.ID(h), account, holder); err != nil {
					return err
				}
				return b.s.exec(gctx, addSweep, int(h[0]), h, holder)
			})
		}
		if err := g.Wait(); err != nil {
			return found, err
		}
	}
}

// releasedAtOnce is how many references of a holder are listed at once.
const releasedAtOnce = 500

// dropReferences removes a holder's references to a block, in whatever lane they are.
func (b *Blobs) dropReferences(ctx context.Context, id block.ID, account string, holder gocql.UUID) error {
	if err := b.s.exec(ctx, dropReference, id[:], 0, account, holder); err != nil {
		return err
	}
	r, err := b.registers(ctx, id)
	if err != nil || r.lanes == 0 {
		return err
	}
	return b.s.exec(ctx, dropReference, id[:], int(holder[len(holder)-1])%refLanes, account, holder)
}

// Stat tells which blocks are stored; see blob.Store.
func (b *Blobs) Stat(ctx context.Context, ids []block.ID, found func(block.ID, int64)) error {
	ids, empty := withoutEmpty(ids)
	states, err := b.states(ctx, ids)
	if err != nil {
		return fail("cassandra.Blobs.Stat", err)
	}
	if empty {
		found(block.Empty, 0)
	}
	for i, r := range states {
		if r.usable() {
			found(ids[i], int64(r.size))
		}
	}
	return nil
}

func withoutEmpty(ids []block.ID) (rest []block.ID, empty bool) {
	for _, id := range ids {
		empty = empty || id == block.Empty
	}
	return distinct(ids), empty
}

// Held tells which blocks an account holds; see blob.Store.
func (b *Blobs) Held(ctx context.Context, account naming.AccountID, ids []block.ID) ([]bool, error) {
	held := make([]bool, len(ids))
	g, ctx := limited(ctx)
	for i, id := range ids {
		if id == block.Empty {
			held[i] = true
			continue
		}
		g.Go(func() (err error) {
			held[i], err = b.heldBy(ctx, account, id)
			return err
		})
	}
	return held, fail("cassandra.Blobs.Held", g.Wait())
}

func (b *Blobs) heldBy(ctx context.Context, account naming.AccountID, id block.ID) (bool, error) {
	r, err := b.registers(ctx, id)
	if err != nil || !r.usable() {
		return false, err
	}
	for lane := range max(1, r.lanes) {
		var holder gocql.UUID
		found, err := b.s.one(ctx, heldBy, []any{id[:], lane, string(account)}, &holder)
		if found || err != nil && !tooManyTombstones(err) {
			return found, err
		}
	}
	return false, nil
}

// Close ends the session.
func (b *Blobs) Close() error {
	b.s.Close()
	return nil
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
