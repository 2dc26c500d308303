package cassandra

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"slices"
	"sync"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
)

// A sorted list is keys with a record each, in the order of the keys: the names of a container, its open uploads. It lies in shards, each a
// partition that holds the keys from lo up to the next shard's lo. A shard is never changed but replaced by others, as long as it is
// written and read; see split. The table shard tells which there are; a list without rows in it is one shard, that has the list's own id.
//
// Every row carries the timestamp that its writer gives, so copies of it cannot overrule what is newer. What a process remembers of the
// map may be old. That shows: the static column moved of a shard is set, at quorum, before anything else happens to it. So
//
//   - a writer writes to the shard it knows, and then reads moved; when it is set, it asks the map, serially, and writes to the new
//     shards too. When it is not set, the write was complete before the copying began, which will find it;
//   - a reader reads moved with or after its page; when it is set, it asks the map, serially. While that still names the shard, every
//     writer writes to it, and the page is good.
var (
	putEntry  = statement{cql: `INSERT INTO %k.entry (shard, key, rec) VALUES (?, ?, ?) USING TIMESTAMP ?`, class: plainWrite, level: gocql.LocalQuorum, key: []int{0}}
	dropEntry = statement{cql: `DELETE FROM %k.entry USING TIMESTAMP ? WHERE shard = ? AND key = ?`, class: plainWrite, level: gocql.LocalQuorum, key: []int{1}}
	getMoved  = statement{cql: `SELECT moved FROM %k.entry WHERE shard = ? LIMIT 1`, class: pointRead, level: gocql.LocalQuorum}
	setMoved  = statement{cql: `UPDATE %k.entry USING TIMESTAMP 1 SET moved = true WHERE shard = ?`, class: plainWrite, level: gocql.LocalQuorum}
	// The names of a shard's rows stay below the greatest of timestamps for good: it is never used again.
	clearShard = statement{cql: `DELETE FROM %k.entry USING TIMESTAMP 9007199254740991 WHERE shard = ? AND key >= ?`, class: plainWrite, level: gocql.LocalQuorum}

	listEntries = statement{cql: `SELECT moved, key, rec FROM %k.entry WHERE shard = ? AND key >= ? LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
	listBetween = statement{cql: `SELECT moved, key, rec FROM %k.entry WHERE shard = ? AND key >= ? AND key < ? LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
	listTimes   = statement{cql: `SELECT key, rec, WRITETIME(rec) FROM %k.entry WHERE shard = ? AND key >= ? LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
	listSome    = statement{cql: `SELECT key, rec, WRITETIME(rec) FROM %k.entry WHERE shard = ? AND key >= ? AND key < ? LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}

	findShard = statement{cql: `SELECT lo, id, into_shards FROM %k.shard WHERE list = ? AND lo <= ? ORDER BY lo DESC LIMIT 1`, class: sliceRead, level: gocql.LocalQuorum}
	nextShard = statement{cql: `SELECT lo FROM %k.shard WHERE list = ? AND lo > ? LIMIT 1`, class: sliceRead, level: gocql.LocalQuorum}
	addShard  = statement{cql: `INSERT INTO %k.shard (list, lo, id, into_shards) VALUES (?, ?, ?, ?) IF NOT EXISTS`, class: casWrite, level: gocql.LocalQuorum}
	planShard = statement{cql: `UPDATE %k.shard SET into_shards = ? WHERE list = ? AND lo = ? IF id = ? AND into_shards = null`, class: casWrite, level: gocql.LocalQuorum}
	swapShard = statement{cql: `UPDATE %k.shard SET id = ?, into_shards = null WHERE list = ? AND lo = ? IF id = ?`, class: casWrite, level: gocql.LocalQuorum}
	newShard  = statement{cql: `INSERT INTO %k.shard (list, lo, id) VALUES (?, ?, ?)`, class: casWrite, level: gocql.LocalQuorum}
)

// listID names a sorted list.
type listID gocql.UUID

// namesOf is the list of a container's names.
func namesOf(id naming.ContainerID) listID { return listID(id) }

// uploadsOf is the list of a container's open uploads. Ids of containers are random, so one that differs in a bit is nobody's.
func uploadsOf(id naming.ContainerID) listID {
	id[len(id)-1] ^= 1
	return listID(id)
}

// uploadPlace is an upload's key in its list: the name with each zero byte escaped, two bytes that sort before what may follow, the id.
func uploadPlace(name naming.ObjectName, upload string) []byte {
	key := bytes.ReplaceAll([]byte(name), []byte{0}, []byte{0, 0xff})
	return append(append(key, 0, 1), upload...)
}

func parseUploadPlace(key []byte) (naming.ObjectName, string, error) {
	name, upload, ok := bytes.Cut(key, []byte{0, 1})
	if !ok {
		return "", "", errs.E("cassandra.Meta.uploads", errs.Corrupt, errs.Upload, "")
	}
	return naming.ObjectName(bytes.ReplaceAll(name, []byte{0, 0xff}, []byte{0})), string(upload), nil
}

// shard is a shard of a list. Where it lies never changes.
type shard struct {
	list   listID
	lo, hi []byte // hi nil: to the end
	id     gocql.UUID
	into   []piece // it is being replaced by these
	listed bool    // has a row in the map
}

// piece is one of the shards that replace another.
type piece struct {
	Lo []byte
	ID gocql.UUID
}

func (s *shard) covers(key []byte) bool {
	return bytes.Compare(s.lo, key) <= 0 && (s.hi == nil || bytes.Compare(key, s.hi) < 0)
}

// pieceOf is the piece for a key.
func (s *shard) pieceOf(key []byte) piece {
	i := len(s.into) - 1
	for i > 0 && bytes.Compare(s.into[i].Lo, key) > 0 {
		i--
	}
	return s.into[i]
}

// appendPieces writes pieces: for each the id, the length of lo, lo.
func appendPieces(dst []byte, pieces []piece) []byte {
	for _, p := range pieces {
		dst = append(dst, p.ID[:]...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(p.Lo)))
		dst = append(dst, p.Lo...)
	}
	return dst
}

func parsePieces(raw []byte) ([]piece, error) {
	var out []piece
	for len(raw) > 0 {
		var p piece
		if len(raw) < len(p.ID)+4 {
			return nil, tornShard()
		}
		copy(p.ID[:], raw)
		n := binary.BigEndian.Uint32(raw[len(p.ID):])
		raw = raw[len(p.ID)+4:]
		if uint64(n) > uint64(len(raw)) {
			return nil, tornShard()
		}
		p.Lo, raw = raw[:n:n], raw[n:]
		out = append(out, p)
	}
	return out, nil
}

func tornShard() error { return errs.E("cassandra.Meta.shard", errs.Corrupt, errs.Container, "") }

// shardMap is what a process remembers of the shards of lists.
type shardMap struct {
	mu    sync.Mutex
	lists map[listID][]*shard // in order, with gaps
	count int
}

// shardsKept bounds what is remembered; when it is full, all is forgotten.
const shardsKept = 50_000

func (m *shardMap) find(list listID, key []byte) *shard {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.lists[list]
	i, exact := slices.BinarySearchFunc(known, key, func(s *shard, key []byte) int { return bytes.Compare(s.lo, key) })
	if !exact {
		i--
	}
	if i < 0 || !known[i].covers(key) {
		return nil
	}
	return known[i]
}

// put remembers a shard in the place of those that it overlaps.
func (m *shardMap) put(s *shard) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lists == nil || m.count >= shardsKept {
		m.lists, m.count = map[listID][]*shard{}, 0
	}
	known := m.lists[s.list]
	m.count -= len(known)
	known = slices.DeleteFunc(slices.Clone(known), func(o *shard) bool {
		return (s.hi == nil || bytes.Compare(o.lo, s.hi) < 0) && (o.hi == nil || bytes.Compare(s.lo, o.hi) < 0)
	})
	i, _ := slices.BinarySearchFunc(known, s.lo, func(o *shard, lo []byte) int { return bytes.Compare(o.lo, lo) })
	m.lists[s.list] = slices.Insert(known, i, s)
	m.count += len(known) + 1
}

// shardOf is the shard of a key as this process knows it.
func (m *Meta) shardOf(ctx context.Context, list listID, key []byte) (*shard, error) {
	if s := m.shards.find(list, key); s != nil {
		return s, nil
	}
	return m.askShard(ctx, list, key, gocql.LocalQuorum)
}

// askShard asks the map for the shard of a key.
func (m *Meta) askShard(ctx context.Context, list listID, key []byte, level gocql.Consistency) (*shard, error) {
	s := &shard{list: list, id: gocql.UUID(list), lo: []byte{}}
	var into []byte
	found, err := m.s.serially(ctx, findShard, level, []any{gocql.UUID(list), atLeastEmpty(key)}, &s.lo, &s.id, &into)
	if err != nil {
		return nil, err
	}
	if !found {
		s.lo, s.id = []byte{}, gocql.UUID(list)
	}
	if s.into, err = parsePieces(into); err != nil {
		return nil, err
	}
	s.listed = found
	if found {
		s.lo = atLeastEmpty(s.lo)
		if _, err := m.s.serially(ctx, nextShard, gocql.LocalQuorum, []any{gocql.UUID(list), s.lo}, &s.hi); err != nil {
			return nil, err
		}
	}
	m.shards.put(s)
	return s, nil
}

// atLeastEmpty is b, or empty bytes: nil would be bound as null.
func atLeastEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (m *Meta) isMoved(ctx context.Context, id gocql.UUID) (bool, error) {
	moved, _, err := sharedRow(ctx, m.s, getMoved, getMoved.level, []any{id}, func(moved **bool) []any { return []any{moved} })
	return moved != nil && *moved, err
}

// list writes a key with its record (nil: takes it away) with a timestamp.
func (m *Meta) list(ctx context.Context, list listID, key, rec []byte, at int64) error {
	s, err := m.shardOf(ctx, list, key)
	if err != nil {
		return err
	}
	id := s.id
	for range shardHops {
		if err := m.writeEntry(ctx, id, key, rec, at); err != nil {
			return err
		}
		moved, err := m.isMoved(ctx, id)
		if err != nil || !moved {
			if err == nil && rec != nil && id == s.id {
				m.countEntry(ctx, s)
			}
			return err
		}
		if s, err = m.askShard(ctx, list, key, m.s.serial); err != nil {
			return err
		}
		switch {
		case s.id != id:
			id = s.id
		case len(s.into) > 0:
			id = s.pieceOf(key).ID
		default:
			return tornShard()
		}
	}
	return errs.E("cassandra.Meta.list", errs.Busy, errs.Container, "")
}

// shardHops bounds how often a shard may be replaced while one row is written or one page is read.
const shardHops = 20

func (m *Meta) writeEntry(ctx context.Context, id gocql.UUID, key, rec []byte, at int64) error {
	if rec == nil {
		return m.s.exec(ctx, dropEntry, at, id, atLeastEmpty(key))
	}
	return m.s.exec(ctx, putEntry, id, atLeastEmpty(key), rec, at)
}

// listed is a row of a list.
type listedRow struct{ key, rec []byte }

// page reads keys from one on and below another (nil: to the list's end), at most limit. next is where to go on, nil when there is nothing more. A page may be
// short, or empty, before that.
func (m *Meta) page(ctx context.Context, list listID, from, to []byte, limit int) (rows []listedRow, next []byte, err error) {
	from = atLeastEmpty(from)
	s, err := m.shardOf(ctx, list, from)
	for range shardHops {
		if err != nil {
			return nil, nil, err
		}
		end := s.hi
		if to != nil && (end == nil || bytes.Compare(to, end) < 0) {
			end = to
		}
		rows, next, moved, err := m.readShard(ctx, s, from, end, limit)
		if err != nil {
			return nil, nil, err
		}
		if moved {
			now, err := m.askShard(ctx, list, from, m.s.serial)
			if err != nil {
				return nil, nil, err
			}
			if now.id != s.id {
				s = now
				continue
			}
		}
		if to != nil && bytes.Compare(next, to) >= 0 {
			next = nil
		}
		return rows, next, nil
	}
	return nil, nil, errs.E("cassandra.Meta.page", errs.Busy, errs.Container, "")
}

// readShard reads rows of one shard up to a key (nil: to its end). Where it meets more tombstones than the cluster reads over, it reads smaller ranges.
func (m *Meta) readShard(ctx context.Context, s *shard, from, to []byte, limit int) (rows []listedRow, next []byte, moved bool, err error) {
	rows, moved, buried, err := m.slice(ctx, s.id, from, to, limit)
	if tooManyTombstones(err) {
		m.orderSplit(ctx, s, true)
		rows, next, moved, err = m.dig(ctx, s.id, from, to, limit)
		return rows, next, moved, err
	}
	if err != nil {
		return nil, nil, false, err
	}
	if buried >= m.sizes.Tombstones {
		m.orderSplit(ctx, s, true)
	}
	if len(rows) == limit {
		last := rows[len(rows)-1].key
		return rows, append(last[:len(last):len(last)], 0), moved, nil
	}
	return rows, to, moved, m.movedAfter(ctx, s.id, rows, &moved)
}

// movedAfter reads moved when a slice had no row to bring it.
func (m *Meta) movedAfter(ctx context.Context, id gocql.UUID, rows []listedRow, moved *bool) (err error) {
	if len(rows) == 0 {
		*moved, err = m.isMoved(ctx, id)
	}
	return err
}

// slice reads rows of a partition from one key up to another (nil: to the end). buried is how many tombstones the cluster warned of.
func (m *Meta) slice(ctx context.Context, id gocql.UUID, from, to []byte, limit int) (rows []listedRow, moved bool, buried int, err error) {
	if to == nil {
		return m.listed(ctx, limit, listEntries, id, from, limit)
	}
	return m.listed(ctx, limit, listBetween, id, from, to, limit)
}

// listed reads the rows that a statement gives, and whether one says that its shard has been moved.
func (m *Meta) listed(ctx context.Context, limit int, st statement, args ...any) (rows []listedRow, moved bool, buried int, err error) {
	err = m.s.rows(ctx, st, args, limit, func(it *gocql.Iter) bool {
		var r listedRow
		var flag *bool
		ok := it.Scan(&flag, &r.key, &r.rec)
		if ok {
			moved = moved || flag != nil && *flag
			rows = append(rows, r)
		} else {
			buried = max(buried, tombstonesWarned(it.Warnings()))
		}
		return ok
	})
	return rows, moved, buried, err
}

// dig reads a range with too many tombstones: it halves ranges until the cluster reads them, and gives what is in the first that is not empty.
func (m *Meta) dig(ctx context.Context, id gocql.UUID, from, end []byte, limit int) (rows []listedRow, next []byte, moved bool, err error) {
	ends := [][]byte{end} // of the ranges still to be read, the first one last
	for range digMost {
		to := ends[len(ends)-1]
		rows, moved, _, err = m.slice(ctx, id, from, to, limit)
		switch {
		case tooManyTombstones(err):
			ends = append(ends, between(from, to))
			continue
		case err != nil:
			return nil, nil, false, err
		case len(rows) == limit:
			last := rows[len(rows)-1].key
			return rows, append(last[:len(last):len(last)], 0), moved, nil
		case len(rows) > 0 || len(ends) == 1:
			return rows, to, moved, m.movedAfter(ctx, id, rows, &moved)
		}
		from, ends = to, ends[:len(ends)-1]
	}
	return nil, nil, false, errs.E("cassandra.Meta.dig", errs.Busy, errs.Container, "")
}

// digMost bounds the reads of one digging.
const digMost = 10_000

// between is a key about half way between two others; hi nil is behind all keys. It is greater than lo, and at most hi.
func between(lo, hi []byte) []byte {
	same := 0
	for same < len(lo) && same < len(hi) && lo[same] == hi[same] {
		same++
	}
	low, high := wordAt(lo, same), wordAt(hi, same)
	if hi == nil {
		high = math.MaxUint64
	}
	if high <= low { // they differ in zero bytes at the end
		return hi
	}
	if high-low == 1 {
		if len(hi) > same+8 {
			return hi[: same+8 : same+8]
		}
		for ok := true; ok; ok = low == math.MaxUint64 { // between what follows in lo and the end of what begins like it
			lo = append(lo[:len(lo):len(lo)], make([]byte, max(0, same+8-len(lo)))...)
			same += 8
			low, high = wordAt(lo, same), math.MaxUint64
		}
	}
	half := (high - low) / 2
	return binary.BigEndian.AppendUint64(lo[:same:same], low+max(1, half))
}

// wordAt is eight bytes of a key from i on, with zeros behind its end.
func wordAt(key []byte, i int) uint64 {
	var word [8]byte
	if i < len(key) {
		copy(word[:], key[i:])
	}
	return binary.BigEndian.Uint64(word[:])
}
