package cassandra

import (
	"bytes"
	"hash/crc32"
	"reflect"
	"testing"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
)

// blobSession is a session on a keyspace with the blobstore's schema.
func blobSession(t *testing.T) *Session {
	t.Helper()
	return sessionOf(t, BlobSchema(), "test_blobs_inside")
}

// TestAudit damages the only copy of a block, then plays two copies of which one is damaged, then one that is missing.
func TestAudit(t *testing.T) {
	b := NewBlobs(blobSession(t), clock.System{})
	data := append(bytes.Repeat([]byte("audited "), 100_000), gocql.MustRandomUUID().Bytes()...)
	data = append(data, 1)
	id := block.Sum(data)
	hold := blob.Hold{Holder: block.Holder(gocql.MustRandomUUID()), Account: "a"}
	if err := b.Put(t.Context(), hold, id, data); err != nil {
		t.Fatal(err)
	}
	audit := func(want blob.AuditReport) {
		t.Helper()
		got, err := b.Audit(t.Context(), id)
		want.Copies, want.Bytes = got.Copies, got.Bytes
		if err != nil || !reflect.DeepEqual(got, want) || got.Copies == 0 {
			t.Errorf("%+v, wanted %+v; %v", got, want, err)
		}
	}
	audit(blob.AuditReport{})
	before, err := b.registers(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	// One of two copies is damaged, or missing: the good bytes are stored as a new incarnation.
	b.copies = func(hosts []*gocql.HostInfo) []*gocql.HostInfo { return append(hosts[:1:1], hosts[0]) }
	for what, c := range map[string]copyOf{"damaged": {data: data}, "missing": {empty: true}} {
		first := true
		b.faultyCopy = func(_ *gocql.HostInfo, got *copyOf) {
			if first {
				*got, first = c, false
			}
		}
		got, err := b.Audit(t.Context(), id)
		if err != nil || got.Copies != 2 || got.Bad+got.Missing != 1 || !got.Healed {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		b.faultyCopy = nil
		after, err := b.registers(t.Context(), id)
		if err != nil || after.live <= before.live {
			t.Errorf("%s: incarnation %d after %d, %v", what, after.live, before.live, err)
		}
		before = after
		audit(blob.AuditReport{})
	}
	b.copies = nil
	// Bytes that are not those of the name, with a check sum that is right, in all copies.
	wrong := bytes.ToUpper(data)
	inc := before.next(clock.System{}.Now())
	if err := b.s.exec(t.Context(), putChunk, id[:], 0, inc, len(data), int32(crc32.Checksum(wrong[:b.chunk], castagnoli())), wrong[:b.chunk], inc+1_000_000); err != nil {
		t.Fatal(err)
	}
	got, err := b.Audit(t.Context(), id)
	if err != nil || got.Good() || got.Healed || got.Bad != got.Copies {
		t.Errorf("%+v, %v", got, err)
	}
	if err := b.Quarantine(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Audit(t.Context(), id); !errs.Is(err, errs.NotFound) {
		t.Errorf("a block that is set aside: %v", err)
	}
	u, err := b.Usage(t.Context())
	if err != nil || !u.Estimated {
		t.Errorf("%+v, %v", u, err)
	}
}
