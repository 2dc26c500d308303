package cassandra

import (
	"context"
	"hash/crc32"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// ReadAhead is how many pieces of a body (of 256 KiB, a row each) are worth being asked for at once here: an answer takes some
// milliseconds, in which one piece after the other would use a small part of what a node can send.
const ReadAhead = 8

// Read fills dst from the stored bytes; see blob.Store. Every chunk is checked against its CRC32C. A chunk that is missing or damaged
// is looked for at ever higher consistency before the read fails.
func (b *Blobs) Read(ctx context.Context, id block.ID, off int64, dst []byte) (int, error) {
	const op = "cassandra.Blobs.Read"
	if id == block.Empty || len(dst) == 0 {
		return 0, nil
	}
	var n int
	var err error
	for _, level := range []gocql.Consistency{gocql.LocalQuorum, gocql.Quorum, gocql.All} {
		n, err = b.readAt(ctx, level, id, off, dst)
		if err == nil || !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Corrupt) {
			break
		}
	}
	return n, fail(op, err)
}

func (b *Blobs) readAt(ctx context.Context, level gocql.Consistency, id block.ID, off int64, dst []byte) (int, error) {
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
	damaged := false
	err := b.s.rowsAt(ctx, getChunks, level, []any{id[:], first, last}, max(1, min(last-first+1, readPage/b.chunk)), func(it *gocql.Iter) bool {
		if !it.Scan(&i, &inc, &bad, &size, &sum, &data) || i != want { // a gap
			return false
		}
		if damaged = inc <= bad || int32(crc32.Checksum(data, castagnoli())) != sum; damaged {
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
	if damaged {
		return 0, errs.E(op, errs.Corrupt, errs.Block, id.String())
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
