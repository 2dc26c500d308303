package cassandra

import (
	"context"
	"hash/crc32"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
)

var (
	getSizes = statement{cql: `SELECT table_name, mean_partition_size, partitions_count FROM system.size_estimates WHERE keyspace_name = ?`, class: sliceRead, level: gocql.One}
	getDisk  = statement{cql: `SELECT mebibytes FROM system_views.disk_usage WHERE keyspace_name = ?`, class: sliceRead, level: gocql.One}
)

// copyOf is one host's copy of a block.
type copyOf struct {
	data  []byte
	whole bool // all chunks are there, and the bytes are those of the name
	empty bool // nothing is there: the host has missed the write, which is no damage
}

// Audit reads every copy of a block and mends what it can; see blob.Auditor. Good bytes are stored as a new incarnation: between
// equal timestamps Cassandra keeps the greater bytes, not the right ones.
func (b *Blobs) Audit(ctx context.Context, id block.ID) (blob.AuditReport, error) {
	const op = "cassandra.Blobs.Audit"
	var report blob.AuditReport
	r, err := b.registers(ctx, id)
	switch {
	case err != nil:
		return report, fail(op, err)
	case !r.usable():
		return report, errs.E(op, errs.NotFound, errs.Block, id.String())
	}
	hosts, near, err := b.s.replicas(ctx, id[:])
	if err != nil {
		return report, fail(op, err)
	}
	report.Unreached = near - len(hosts)
	up := b.s.allUp()
	if b.copies != nil {
		hosts = b.copies(hosts)
	}
	var good []byte
	for _, h := range hosts {
		c, err := b.readCopy(ctx, h, id, r)
		if unreadable(err) {
			b.s.ailing.observe(getChunks, err)
			report.Failing = append(report.Failing, h.ConnectAddress().String())
			continue
		}
		if err != nil {
			return report, fail(op, err)
		}
		if c.empty && !up {
			report.Unreached++ // it may be a node that stands in for the one that has the copy
			continue
		}
		report.Copies++
		report.Bytes += int64(len(c.data))
		switch {
		case c.whole:
			good = c.data
		case c.empty:
			report.Missing++
		default:
			report.Bad++
		}
	}
	switch {
	case good == nil && (!up || report.Unreached+len(report.Failing) > 0):
		return report, errs.E(op, errs.Internal, errs.Block, id.String()).Because("", "no copy that can be read now is good, and there are others")
	case good == nil, report.Bad+report.Missing == 0:
		return report, nil
	}
	if err := b.write(ctx, id, good, r); err != nil {
		return report, fail(op, err)
	}
	report.Healed = true
	return report, nil
}

// readCopy reads a host's own copy of a block.
func (b *Blobs) readCopy(ctx context.Context, h *gocql.HostInfo, id block.ID, r registers) (c copyOf, err error) {
	if b.faultyCopy != nil {
		defer func() { b.faultyCopy(h, &c) }()
	}
	fine, rows := true, 0
	err = b.s.rowsOn(ctx, h, getChunks, []any{id[:], 0, block.SizeMax}, max(1, readPage/b.chunk), func(it *gocql.Iter) bool {
		var i, size int
		var inc, bad int64
		var sum int32
		var data []byte
		if !it.Scan(&i, &inc, &bad, &size, &sum, &data) {
			return false
		}
		fine = fine && i == rows && int32(crc32.Checksum(data, castagnoli())) == sum
		c.data = append(c.data, data...)
		rows++
		return len(c.data) <= block.SizeMax
	})
	c.empty = rows == 0
	c.whole = fine && len(c.data) == r.size && block.Sum(c.data) == id
	return c, err
}

// Usage estimates the space that the store takes, from what each host that answers tells of itself; see blob.Usage. The numbers are some minutes
// old. Dead bytes are not known.
func (b *Blobs) Usage(ctx context.Context) (blob.UsageReport, error) {
	const op = "cassandra.Blobs.Usage"
	now := b.clock.Now()
	b.space.mu.Lock()
	defer b.space.mu.Unlock()
	if at := now.Sub(b.space.at); !b.space.at.IsZero() && at >= 0 && at < usageKept {
		return b.space.report, nil
	}
	report := blob.UsageReport{Estimated: true}
	for _, h := range b.s.cql.GetHosts() {
		if !h.IsUp() || b.s.datacenter != "" && h.DataCenter() != b.s.datacenter {
			continue
		}
		err := b.s.rowsOn(ctx, h, getSizes, []any{b.s.keyspace}, 1000, func(it *gocql.Iter) bool {
			var table string
			var mean, count int64
			ok := it.Scan(&table, &mean, &count)
			if ok && table == "chunk" {
				report.Blocks += count
				report.Live += mean * count
			}
			return ok
		})
		if err != nil {
			return report, fail(op, err)
		}
		err = b.s.rowsOn(ctx, h, getDisk, []any{b.s.keyspace}, 1000, func(it *gocql.Iter) bool {
			var mebibytes int64
			ok := it.Scan(&mebibytes)
			report.Disk += mebibytes << 20
			return ok
		})
		if err != nil {
			return report, fail(op, err)
		}
	}
	b.space.report, b.space.at = report, now
	return report, nil
}

// usageKept is how long an estimate of the space is kept.
const usageKept = time.Minute
