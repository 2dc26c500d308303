package metamorphic

import (
	"bytes"
	"testing"
	"time"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// TestRemovedIDsDoNotComeBack: while the clock stands still, a name whose newest or only version was removed gives the next version another id,
// so that whoever holds the old id never gets other bytes for it.
func TestRemovedIDsDoNotComeBack(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			c := clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
			opened := e.open(t, c)
			t.Cleanup(func() {
				if err := opened.Close(); err != nil {
					t.Error(err)
				}
			})
			s := &service{engine: opened, t: t, clock: c, caller: addAccount(t, opened.Keys(), "alice")}
			s.start()
			_, _, err := s.b.CreateContainer(t.Context(), s.caller, backend.NewContainer{
				Account: "alice", Name: "versions", Bucket: "versions", Config: bucket.Config{Versioning: bucket.VersioningEnabled},
			})
			if err != nil {
				t.Fatal(err)
			}
			to := backend.Target{Container: backend.Ref{Bucket: "versions"}, Name: "a"}
			put := func() object.VersionID {
				v, err := s.b.Put(t.Context(), s.caller, backend.PutRequest{
					Container: to.Container, Name: to.Name, Body: backend.Body{Reader: bytes.NewReader([]byte("x")), Size: 1},
				})
				if err != nil {
					t.Fatal(err)
				}
				return v.ID
			}
			remove := func(id object.VersionID) {
				to := to
				to.Which = meta.Which{By: meta.ByID, ID: id}
				if _, err := s.b.Delete(t.Context(), s.caller, backend.DeleteRequest{Target: to}); err != nil {
					t.Fatal(err)
				}
			}
			only := put()
			remove(only)
			first, newest := put(), put()
			remove(newest)
			last := put()
			if only >= first || first >= newest || newest >= last {
				t.Errorf("ids %d (removed, the name was gone), %d, %d (removed), %d: want each above those before", only, first, newest, last)
			}
		})
	}
}
