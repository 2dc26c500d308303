package metatest

import (
	"errors"
	"maps"

	"pithos/internal/block"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// keeping gives a version bytes that are kept with it, under the hash of others if they are to be damaged.
func (e *env) keeping(body, hashOf string) *object.Version {
	v := dataOf(e.rng.Uint64(), int64(len(body)), block.Holder{})
	v.Content.Map = block.Map{Refs: []block.Ref{{ID: block.Sum([]byte(hashOf)), Len: int64(len(body))}}, Kept: []byte(body)}
	return v
}

// audit goes through the whole store in steps and tells of each version of the env's container that keeps its bytes whether these are damaged.
func (e *env) audit(a meta.Auditor) map[string]bool {
	e.Helper()
	got := map[string]bool{}
	steps := 0
	for from := ""; ; steps++ {
		next, _, err := a.AuditBodies(e.Context(), from, 1<<10, func(b meta.BodyAudit) error {
			if b.Container != e.container {
				return nil
			}
			if _, twice := got[b.String()]; twice || b.Err != nil || b.Healed || b.Missing > 0 || b.Bytes == 0 || b.Bad > 0 && !b.Damaged {
				e.Errorf("%+v", b)
			}
			got[b.String()] = b.Damaged
			return nil
		})
		if err != nil || steps > 1_000_000 {
			e.Fatal(steps, err)
		}
		if next == "" {
			return got
		}
		from = next
	}
}

var auditing = []sentence{
	{"Audit/bytes that are kept with versions are compared with their hash, again and again", func(e *env) {
		a, ok := e.s.(meta.Auditor)
		if !ok {
			return
		}
		want := map[string]bool{} // whether they are damaged
		put := func(name naming.ObjectName, body, hashOf string) *object.Version {
			v := e.put(name, e.keeping(body, hashOf))
			want[meta.VersionName(e.container, name, v.ID)] = body != hashOf
			return v
		}
		put("a", "first", "first")
		put("a", "others", "second")
		put("a", "third", "third")
		e.put("a", e.data(5))
		put("b", "others again", "hale")
		gone := put("c", "to be removed", "removed")
		put("c", "stays", "stays")
		e.remove("c", gone.ID)
		delete(want, meta.VersionName(e.container, "c", gone.ID))
		e.put("d", marker())
		e.commit(e.amendment("b", func(v *object.Version) error {
			v.Tags = []object.Tag{{Key: "a", Value: "b"}}
			return nil
		}))
		for range 2 {
			if got := e.audit(a); !maps.Equal(got, want) {
				e.Errorf("got %v, want %v", got, want)
			}
		}
		stop := errors.New("stop")
		if _, _, err := a.AuditBodies(e.Context(), "", 1<<20, func(meta.BodyAudit) error { return stop }); !errors.Is(err, stop) {
			e.Errorf("the walk goes on after %v", err)
		}
	}},
}
