package backend_test

import (
	"errors"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// policy sets the versioning of the bucket.
func (w *world) policy(v bucket.Versioning) {
	w.t.Helper()
	_, err := w.Configure(w.t.Context(), w.alice, ref("photos"), access.PutBucketVersioning, func(_ bucket.Container, c *bucket.Config) error {
		c.Versioning = v
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delete(t backend.Target) backend.Deleted {
	w.t.Helper()
	d, err := w.Delete(w.t.Context(), w.alice, backend.DeleteRequest{Target: t})
	if err != nil {
		w.t.Fatalf("delete %v: %v", t, err)
	}
	return d
}

// history lists the versions of the bucket: newest first, null ones with their data's size, markers as -1.
func (w *world) history() (sizes []int64, nulls int) {
	w.t.Helper()
	page, err := w.List(w.t.Context(), w.alice, backend.ListRequest{Container: ref("photos"), View: meta.View{Kind: meta.ViewAll}, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range page.Entries {
		size := e.Size
		if e.Kind == object.DeleteMarker {
			size = -1
		}
		sizes = append(sizes, size)
		if e.Null {
			nulls++
		}
	}
	return sizes, nulls
}

func (w *world) wantHistory(nulls int, want ...int64) {
	w.t.Helper()
	got, n := w.history()
	if len(got) != len(want) || n != nulls {
		w.t.Errorf("versions %v with %d null ones, want %v with %d", got, n, want, nulls)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			w.t.Errorf("versions %v, want %v", got, want)
		}
	}
}

func TestWithoutVersioningADeleteIsForGood(t *testing.T) {
	w := newWorld(t)
	v := w.put("x", random(1, 10))
	if d := w.delete(target("x")); d.Marker || !d.Null || d.Version != v.ID || d.Removed == nil || d.Nothing {
		t.Errorf("%+v", d)
	}
	w.wantHistory(0)
	if d := w.delete(target("x")); !d.Nothing || d.Marker || d.Removed != nil {
		t.Errorf("again: %+v", d)
	}
	_, err := w.Delete(t.Context(), w.alice, backend.DeleteRequest{Target: target("x"), If: object.Precondition{IfMatch: []string{"*"}}})
	wantKind(t, err, errs.NotFound, errs.Object)
}

func TestWithVersioningADeleteIsAMarker(t *testing.T) {
	w := newWorld(t)
	null := w.put("x", random(1, 1))
	w.policy(bucket.VersioningEnabled)
	second := w.put("x", random(1, 2))
	if second.Null || second.UUID != null.UUID {
		t.Errorf("%+v", second)
	}
	marker := w.delete(target("x"))
	if !marker.Marker || marker.Null || marker.Version <= second.ID || marker.Removed != nil {
		t.Errorf("%+v", marker)
	}
	w.wantHistory(1, -1, 2, 1)
	_, err := w.tryRead(t.Context(), target("x"))
	wantKind(t, err, errs.NotFound, errs.Object)
	var found *backend.MarkerError
	if !errors.As(err, &found) || found.Version.ID != marker.Version {
		t.Errorf("no marker in %v", err)
	}
	_, err = w.tryRead(t.Context(), version("x", marker.Version))
	wantReason(t, err, errs.Invalid, errs.MarkerTarget)
	if !errors.As(err, &found) {
		t.Errorf("no marker in %v", err)
	}
	if got := w.read(version("x", second.ID)); len(got) != 2 {
		t.Errorf("%d bytes", len(got))
	}
	d := w.delete(version("x", marker.Version))
	if !d.Marker || d.Version != marker.Version || d.Removed == nil {
		t.Errorf("%+v", d)
	}
	if got := w.read(target("x")); len(got) != 2 {
		t.Error("the version below the marker does not come back")
	}
	nullTarget := target("x")
	nullTarget.Which = meta.Which{By: meta.TheNull}
	if d := w.delete(nullTarget); !d.Null || d.Version != null.ID {
		t.Errorf("%+v", d)
	}
	if d := w.delete(version("x", 12345)); !d.Nothing || d.Version != 12345 {
		t.Errorf("%+v", d)
	}
	w.wantHistory(0, 2)
}

func TestWithSuspendedVersioningANullMarkerReplacesTheNullVersion(t *testing.T) {
	w := newWorld(t)
	w.policy(bucket.VersioningEnabled)
	w.put("x", random(1, 1))
	w.policy(bucket.VersioningSuspended)
	w.put("x", random(1, 2))
	w.put("x", random(1, 3))
	w.wantHistory(1, 3, 1)
	d := w.delete(target("x"))
	if !d.Marker || !d.Null || d.Removed == nil || d.Removed.Size != 3 {
		t.Errorf("%+v", d)
	}
	w.wantHistory(1, -1, 1)
}

func TestDeletesObeyConditionsAndLocks(t *testing.T) {
	w := newWorld(t)
	w.policy(bucket.VersioningEnabled)
	v := w.put("x", random(1, 1))
	try := func(tgt backend.Target, cond object.Precondition, bypass bool) error {
		_, err := w.Delete(t.Context(), w.alice, backend.DeleteRequest{Target: tgt, If: cond, Bypass: bypass})
		return err
	}
	size := int64(2)
	wantKind(t, try(target("x"), object.Precondition{IfMatch: []string{"other"}}, false), errs.Precondition, errs.Object)
	wantKind(t, try(version("x", v.ID), object.Precondition{IfSize: &size}, false), errs.Precondition, errs.Object)
	wantKind(t, try(version("x", 7), object.Precondition{IfSize: &size}, false), errs.NotFound, errs.Object)
	until := w.clock.Now().Add(time.Hour)
	lock := func(mode object.RetentionMode) {
		t.Helper()
		_, err := w.Amend(t.Context(), w.alice, version("x", v.ID), access.PutObject, func(_ bucket.Container, v *object.Version) error {
			v.Retention = object.Retention{Mode: mode, Until: until}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	lock(object.Compliance)
	wantReason(t, try(version("x", v.ID), object.Precondition{}, true), errs.Denied, errs.Locked)
	lock(object.Governance)
	wantReason(t, try(version("x", v.ID), object.Precondition{}, false), errs.Denied, errs.Locked)
	if err := try(version("x", v.ID), object.Precondition{}, true); err != nil {
		t.Error(err)
	}
}

func TestTimeTravel(t *testing.T) {
	w := newWorld(t)
	w.policy(bucket.VersioningEnabled)
	w.put("x", random(1, 1))
	between := w.clock.Advance(time.Second)
	w.clock.Advance(time.Second)
	w.put("x", random(1, 2))
	past := target("x")
	past.Which = meta.Which{By: meta.AsOf, At: between}
	if got := w.read(past); len(got) != 1 {
		t.Errorf("%d bytes", len(got))
	}
}
