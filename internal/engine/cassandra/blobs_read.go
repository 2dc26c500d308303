package cassandra

import (
	"context"
	"errors"
	"hash/crc32"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// ReadAhead is how many pieces of a body (of 256 KiB, a row each) are worth being asked for at once here: an answer takes some
// milliseconds, in which one piece after the other would use a small part of what a node can send.
const ReadAhead = 8

// Read fills dst from the stored bytes; see blob.Store. Every chunk is checked against its CRC32C. One that is missing is looked for at ever higher consistency, and when
// bytes are damaged, or a node cannot read its own, each replica's own copy is tried. Corrupt only says that all of them were damaged.
func (b *Blobs) Read(ctx context.Context, id block.ID, off int64, dst []byte) (int, error) {
	const op = "cassandra.Blobs.Read"
	if id == block.Empty || len(dst) == 0 {
		return 0, nil
	}
	var n int
	var err error
	for _, level := range []gocql.Consistency{gocql.LocalQuorum, gocql.Quorum, gocql.All} {
		n, err = b.readAt(ctx, id, off, dst, func(args []any, page int, scan func(*gocql.Iter) bool) error {
			return b.s.rowsAt(ctx, getChunks, level, args, page, scan)
		})
		if !errs.Is(err, errs.NotFound) {
			break
		}
	}
	b.s.ailing.observe(getChunks, err)
	if errors.Is(err, errDamagedChunk) || unreadable(err) {
		n, err = b.readSingly(ctx, id, off, dst, err)
	}
	return n, fail(op, err)
}

// errDamagedChunk says that a chunk's bytes are not those of its checksum, where another replica may have better ones.
var errDamagedChunk = errors.New("a chunk does not match its checksum")

// readSingly reads the copy of one node after the other, the replicas first, until one is good. why is why that is needed, and what is said when every copy was looked at.
func (b *Blobs) readSingly(ctx context.Context, id block.ID, off int64, dst []byte, why error) (int, error) {
	unsure := !b.s.allUp()
	for _, h := range b.s.hostsOf(id[:], askedMost) {
		n, err := b.readAt(ctx, id, off, dst, func(args []any, page int, scan func(*gocql.Iter) bool) error {
			return b.s.rowsOn(ctx, h, getChunks, args, page, scan)
		})
		if err == nil || ctx.Err() != nil {
			return n, err
		}
		unsure = unsure || !errors.Is(err, errDamagedChunk) && !errs.Is(err, errs.NotFound)
	}
	if unsure {
		return 0, errs.E("cassandra.Blobs.readSingly", errs.Busy, errs.Block, id.String()).With(why).Because("", "the copies that can be read now are damaged, and there may be others")
	}
	return 0, why
}

// askedMost bounds how many nodes are asked for their own copies.
const askedMost = 100

// readAt reads a part of a block from the rows that are given.
func (b *Blobs) readAt(ctx context.Context, id block.ID, off int64, dst []byte, rows func(args []any, page int, scan func(*gocql.Iter) bool) error) (int, error) {
	const op = "cassandra.Blobs.readAt"
	first, last := int(off)/b.chunk, int(off+int64(len(dst))-1)/b.chunk
	var (
		n, size = 0, -1
		want    = first
		i       int
		inc     int64
		bad     int64
		sum     int32
		data    borrowed
	)
	aside, damaged := false, false
	err := rows([]any{id[:], first, last}, max(1, min(last-first+1, readPage/b.chunk)), func(it *gocql.Iter) bool {
		if !it.Scan(&i, &inc, &bad, &size, &sum, &data) || i != want { // a gap
			return false
		}
		aside, damaged = inc <= bad, int32(crc32.Checksum(data, castagnoli())) != sum
		if aside || damaged {
			return false
		}
		if skip := max(0, int(off)-i*b.chunk); skip < len(data) {
			n += copy(dst[n:], data[skip:])
		}
		want++
		return true
	})
	if err != nil {
		return 0, err
	}
	switch {
	case aside:
		return 0, errs.E(op, errs.Corrupt, errs.Block, id.String())
	case damaged:
		return 0, errs.E(op, errs.Corrupt, errs.Block, id.String()).With(errDamagedChunk)
	}
	if size < 0 { // no row at all: behind the end, or no such block
		r, err := b.registers(ctx, id)
		switch {
		case err != nil:
			return 0, err
		case r.live > 0 && r.live <= r.bad:
			return 0, errs.E(op, errs.Corrupt, errs.Block, id.String())
		case !r.usable():
			return 0, errs.E(op, errs.NotFound, errs.Block, id.String())
		}
		size = r.size
	}
	if expect := min(int64(len(dst)), max(0, int64(size)-off)); int64(n) < expect {
		return 0, errs.E(op, errs.NotFound, errs.Block, id.String()).Because(errs.BadState, "a chunk is missing")
	}
	return n, nil
}

// borrowed is a column where the driver has it, until the next row is scanned: a copy of each piece less.
type borrowed []byte

// UnmarshalCQL takes the bytes of a blob.
func (b *borrowed) UnmarshalCQL(_ gocql.TypeInfo, data []byte) error {
	*b = data
	return nil
}
