package cassandra

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// TestAuditOfKeptBytes plays two copies of the bytes that a version keeps, of which one is damaged or missing, and damages the only copy that there is.
func TestAuditOfKeptBytes(t *testing.T) {
	s := metaSession(t)
	m := NewMeta(s, clock.System{})
	body := []byte("bytes that are kept " + gocql.MustRandomUUID().String())
	k := cellKey{container: naming.NewContainerID(), name: "n"}
	put := func() *object.Version {
		t.Helper()
		ch := putOf(k.container, k.name, time.Now())
		ch.Version.Content.Map = block.Map{Refs: []block.Ref{{ID: block.Sum(body), Len: int64(len(body))}}, Kept: body}
		out, err := m.Commit(t.Context(), ch)
		if err != nil {
			t.Fatal(err)
		}
		return out.Version
	}
	v := put()
	audit := func(what string, want meta.BodyAudit) {
		t.Helper()
		near, err := s.near(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.auditCell(t.Context(), k, near)
		if err != nil || len(got.bodies) != 1 || got.read <= int64(len(body)) {
			t.Fatalf("%s: %+v, %v", what, got, err)
		}
		b := got.bodies[0]
		want.Container, want.Name, want.ID, want.Bytes, want.Copies = k.container, k.name, v.ID, b.Bytes, b.Copies
		if b.Damaged {
			want.Bad = b.Copies // however many there are
		}
		if !reflect.DeepEqual(b, want) || b.Copies == 0 {
			t.Errorf("%s: %+v, wanted %+v", what, b, want)
		}
	}
	written := func() (at int64, stored string) {
		t.Helper()
		cql := fmt.Sprintf("SELECT writetime(body), body FROM %s.cell WHERE container = ? AND name = ? AND upload = '' AND seq = ?", s.keyspace)
		if err := s.cql.Query(cql, gocql.UUID(k.container), []byte(k.name), int64(v.ID)).ScanContext(t.Context(), &at, &stored); err != nil {
			t.Fatal(err)
		}
		return at, stored
	}
	audit("whole", meta.BodyAudit{})

	twice := func(hosts []*gocql.HostInfo) []*gocql.HostInfo { return append(hosts[:1:1], hosts[0]) }
	for what, c := range map[string]bodyCopy{
		"damaged": {keeps: true, id: block.Sum(body), body: []byte("flipped")},
		"without": {keeps: true, id: block.Sum(body), missing: true},
		"missing": {missing: true},
	} {
		before, _ := written()
		m.copies, m.faultyBody = twice, func(number int, is bodyCopy) bodyCopy {
			if number == 0 {
				return c
			}
			return is
		}
		if what == "damaged" {
			audit(what, meta.BodyAudit{Bad: 1, Healed: true})
		} else {
			audit(what, meta.BodyAudit{Missing: 1, Healed: true})
		}
		m.copies, m.faultyBody = nil, nil
		if after, stored := written(); after <= before || stored != string(body) {
			t.Errorf("%s: %q was written at %d, before %d", what, stored, after, before)
		}
		audit(what+", healed", meta.BodyAudit{})
	}

	// It is removed after the first copy was read.
	m.copies, m.faultyBody = twice, func(number int, is bodyCopy) bodyCopy {
		if number == 1 {
			if _, err := m.Commit(t.Context(), removeOf(k.container, k.name, time.Now())); err != nil {
				t.Error(err)
			}
		}
		return bodyCopy{keeps: true, id: is.id, body: is.body, good: number == 0}
	}
	if got, err := m.auditCell(t.Context(), k, 1); err != nil || len(got.bodies) > 0 {
		t.Errorf("a version that goes: %+v, %v", got, err)
	}
	m.copies, m.faultyBody = nil, nil

	// The only copy is really damaged. It is found again and again, and healed from a copy that another host brings back.
	v = put()
	flip := fmt.Sprintf("UPDATE %s.cell SET body = ? WHERE container = ? AND name = ? AND upload = '' AND seq = ?", s.keyspace)
	if err := s.cql.Query(flip, []byte("Bytes"+string(body[5:])), gocql.UUID(k.container), []byte(k.name), int64(v.ID)).ExecContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		audit("damaged", meta.BodyAudit{Damaged: true})
		if read, err := m.Get(t.Context(), k.container, k.name, meta.Which{}); err != nil || block.Sum(read.Content.Map.Kept) == v.Content.Map.Refs[0].ID {
			t.Errorf("the bytes are %q, %v", read.Content.Map.Kept, err)
		}
	}
	m.copies, m.faultyBody = twice, func(number int, is bodyCopy) bodyCopy {
		if number == 1 {
			return bodyCopy{keeps: true, id: is.id, body: body, good: true}
		}
		return is
	}
	audit("a good copy comes back", meta.BodyAudit{Bad: 1, Healed: true})
	m.copies, m.faultyBody = nil, nil
	audit("in the end", meta.BodyAudit{})
	if read, err := m.Get(t.Context(), k.container, k.name, meta.Which{}); err != nil || string(read.Content.Map.Kept) != string(body) {
		t.Errorf("the bytes are %q, %v", read.Content.Map.Kept, err)
	}
}

// TestPlacesOfCells: what AuditBodies gives leads back to the cell, and a partition's key is made as Cassandra makes it.
func TestPlacesOfCells(t *testing.T) {
	for _, k := range []cellKey{{}, {name: "a"}, {container: naming.NewContainerID(), name: "a\x00b", upload: "u"}, {name: naming.ObjectName(make([]byte, 1024))}} {
		if got, ok := cellAt(k.place()); !ok || got != k {
			t.Errorf("%+v became %+v, %v", k, got, ok)
		}
	}
	for _, place := range []string{"x", string(make([]byte, 19)), string(make([]byte, 16)) + "\x00\x00\x00\x02a"} {
		if got, ok := cellAt(place); ok {
			t.Errorf("%q is %+v", place, got)
		}
	}
	if got := fmt.Sprintf("%x", cellKey{name: "ab", upload: "c"}.partition()); got != "0010"+"00000000000000000000000000000000"+"00"+"0002616200"+"00016300" {
		t.Error(got)
	}
}
