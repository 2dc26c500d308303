package meta

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pithos/internal/errs"
	"pithos/internal/object"
)

var (
	planNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	errStop = errors.New("stop")
)

// ver is a version made so many seconds before planNow, of so many bytes.
func ver(ago int, size int64, change ...func(*object.Version)) *object.Version {
	v := &object.Version{Summary: object.Summary{
		Name: "a", ID: object.IDAt(planNow.Add(-time.Duration(ago) * time.Second)), Size: size, ETag: "tag", UUID: [16]byte{byte(ago)},
	}}
	for _, c := range change {
		c(v)
	}
	return v
}

func isNull(v *object.Version)   { v.Null = true }
func isMarker(v *object.Version) { v.Kind, v.Size = object.DeleteMarker, 0 }
func isHeld(v *object.Version)   { v.LegalHold = true }

func retained(m object.RetentionMode, until time.Duration) func(*object.Version) {
	return func(v *object.Version) { v.Retention = object.Retention{Mode: m, Until: planNow.Add(until)} }
}

// TestPlanDelta tells what each kind of change makes of each state: what is dropped, what is the newest afterwards, what is counted.
func TestPlanDelta(t *testing.T) {
	old, older, null, marker := ver(10, 100), ver(20, 50), ver(5, 7, isNull), ver(3, 0, isMarker)
	oldNull := ver(30, 9, isNull)
	for name, c := range map[string]struct {
		change Change
		state  State
		newest int64 // size of the newest version afterwards; -1: none
		drop   []*object.Version
		delta  Usage
	}{
		"the first version": {Change{Version: ver(0, 5)}, State{}, 5, nil, Usage{Objects: 1, Bytes: 5, Versions: 1, Stored: 5}},
		"another version":   {Change{Version: ver(0, 5)}, State{Newest: old}, 5, nil, Usage{Bytes: -95, Versions: 1, Stored: 5}},
		"a marker":          {Change{Version: ver(0, 0, isMarker)}, State{Newest: old}, 0, nil, Usage{Objects: -1, Bytes: -100, Versions: 1}},
		"a marker on none":  {Change{Version: ver(0, 0, isMarker)}, State{}, 0, nil, Usage{Versions: 1}},
		"on a marker":       {Change{Version: ver(0, 5)}, State{Newest: marker}, 5, nil, Usage{Objects: 1, Bytes: 5, Versions: 1, Stored: 5}},
		"null replaces the newest null": {
			Change{Version: ver(0, 5, isNull)}, State{Newest: null, Null: null, Second: older}, 5, []*object.Version{null}, Usage{Bytes: -2, Stored: -2},
		},
		"null replaces a covered null": {
			Change{Version: ver(0, 5, isNull)}, State{Newest: old, Null: oldNull}, 5, []*object.Version{oldNull}, Usage{Bytes: -95, Stored: -4},
		},
		"what is not null leaves the null": {Change{Version: ver(0, 5)}, State{Newest: null, Null: null}, 5, nil, Usage{Bytes: -2, Versions: 1, Stored: 5}},
		"remove the only one": {
			Change{Op: Remove}, State{Newest: old, Target: old}, -1, []*object.Version{old}, Usage{Objects: -1, Bytes: -100, Versions: -1, Stored: -100},
		},
		"remove the newest": {
			Change{Op: Remove}, State{Newest: old, Target: old, Second: older}, 50, []*object.Version{old}, Usage{Bytes: -50, Versions: -1, Stored: -100},
		},
		"remove a covered one": {
			Change{Op: Remove}, State{Newest: old, Target: older, Second: older}, 100, []*object.Version{older}, Usage{Versions: -1, Stored: -50},
		},
		"remove a marker": {
			Change{Op: Remove}, State{Newest: marker, Target: marker, Second: old}, 100, []*object.Version{marker}, Usage{Objects: 1, Bytes: 100, Versions: -1},
		},
		"amend": {
			Change{Op: Amend, Amend: func(v *object.Version) error { v.Size = 1; return nil }}, State{Newest: old, Target: old}, 100, nil, Usage{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.change.Now, c.change.Name = planNow, "a"
			got, err := Plan(c.change, c.state)
			if err != nil {
				t.Fatal(err)
			}
			newest := int64(-1)
			if got.Newest != nil {
				newest = got.Newest.Size
			}
			if newest != c.newest || got.Delta != c.delta {
				t.Errorf("newest %d bytes, %+v; want %d, %+v", newest, got.Delta, c.newest, c.delta)
			}
			if diff := cmp.Diff(c.drop, got.Drop, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("dropped (- want, + got):\n%s", diff)
			}
		})
	}
}

// TestPlanRefusals tells who is refused and why.
func TestPlanRefusals(t *testing.T) {
	old := ver(10, 1)
	remove := func(v *object.Version, bypass bool) (Change, State) {
		return Change{Op: Remove, Bypass: bypass}, State{Newest: v, Target: v}
	}
	type call struct {
		change Change
		state  State
	}
	of := func(c Change, s State) call { return call{c, s} }
	noChange := func(*object.Version) error { return nil }
	for name, c := range map[string]struct {
		call
		kind  errs.Kind
		thing errs.Thing
	}{
		"remove from nothing":     {call{Change{Op: Remove}, State{}}, errs.NotFound, errs.Object},
		"remove what is not":      {call{Change{Op: Remove}, State{Newest: old}}, errs.NotFound, errs.Version},
		"amend nothing":           {call{Change{Op: Amend, Amend: noChange}, State{}}, errs.NotFound, errs.Object},
		"amend what is not":       {call{Change{Op: Amend, Amend: noChange}, State{Newest: old}}, errs.NotFound, errs.Version},
		"legal hold":              {of(remove(ver(1, 1, isHeld), true)), errs.Denied, errs.Version},
		"compliance":              {of(remove(ver(1, 1, retained(object.Compliance, time.Second)), true)), errs.Denied, errs.Version},
		"governance":              {of(remove(ver(1, 1, retained(object.Governance, time.Second)), false)), errs.Denied, errs.Version},
		"null over a held null":   {call{Change{Version: ver(0, 1, isNull)}, State{Newest: old, Null: ver(20, 1, isNull, isHeld)}}, errs.Denied, errs.Version},
		"put, condition":          {call{Change{Version: ver(0, 1), If: object.Precondition{IfNoneMatch: []string{"*"}}}, State{Newest: old}}, errs.Precondition, errs.Object},
		"remove, condition":       {call{Change{Op: Remove, If: object.Precondition{IfMatch: []string{"x"}}}, State{Newest: old, Target: old}}, errs.Precondition, errs.Object},
		"an operation of no kind": {call{Change{Op: 99}, State{}}, errs.Internal, errs.Object},
	} {
		t.Run(name, func(t *testing.T) {
			c.change.Now, c.change.Name = planNow, "a"
			if _, err := Plan(c.change, c.state); !errs.IsThing(err, c.kind, c.thing) {
				t.Errorf("got %v, want %v of %v", err, c.kind, c.thing)
			}
		})
	}
	for name, c := range map[string]call{
		"governance with bypass": of(remove(ver(1, 1, retained(object.Governance, time.Second)), true)),
		"retention that is over": of(remove(ver(1, 1, retained(object.Compliance, 0)), false)),
	} {
		c.change.Now = planNow
		if _, err := Plan(c.change, c.state); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Plan(Change{Op: Amend, Amend: func(*object.Version) error { return errStop }}, State{Newest: old, Target: old})
	if !errors.Is(err, errStop) {
		t.Errorf("an amendment that gave up: %v", err)
	}
}

// TestPlanIDs shows that ids are the time's, and grow whatever the clock says.
func TestPlanIDs(t *testing.T) {
	for name, c := range map[string]struct {
		now    time.Time
		newest *object.Version
		want   object.VersionID
	}{
		"the time's":             {planNow, nil, object.IDAt(planNow)},
		"the clock stands":       {planNow, ver(0, 1), object.IDAt(planNow) + 1},
		"the clock was put back": {planNow.Add(-time.Hour), ver(0, 1), object.IDAt(planNow) + 1},
		"before all time":        {time.Time{}, nil, 1},
	} {
		got, err := Plan(Change{Now: c.now, Version: ver(0, 1)}, State{Newest: c.newest})
		if err != nil || got.Add.ID != c.want {
			t.Errorf("%s: id %d, %v; want %d", name, got.Add.ID, err, c.want)
		}
	}
}

// TestPlanUUID shows that an object keeps its UUID as long as it is visible.
func TestPlanUUID(t *testing.T) {
	for name, c := range map[string]struct {
		newest *object.Version
		want   byte
	}{
		"new": {nil, 0}, "kept": {ver(7, 1), 7}, "after a marker": {ver(7, 0, isMarker), 0},
	} {
		got, err := Plan(Change{Now: planNow, Version: ver(0, 1)}, State{Newest: c.newest})
		if err != nil || got.Add.UUID[0] != c.want {
			t.Errorf("%s: UUID %v, %v", name, got.Add.UUID, err)
		}
	}
}

// TestLimits tells what passes a limit.
func TestLimits(t *testing.T) {
	used := Usage{Objects: 2, Bytes: 80, Stored: 200, UploadBytes: 10}
	for name, c := range map[string]struct {
		limit Limit
		delta Usage
		want  bool
	}{
		"no limit":                      {Limit{}, Usage{Bytes: 1 << 60, Objects: 1 << 40}, true},
		"fills it":                      {Limit{Bytes: 100}, Usage{Bytes: 10}, true},
		"passes it":                     {Limit{Bytes: 100}, Usage{Bytes: 11}, false},
		"parts count":                   {Limit{Bytes: 100}, Usage{UploadBytes: 11}, false},
		"a finished upload":             {Limit{Bytes: 50}, Usage{Bytes: 10, UploadBytes: -10}, true},
		"shrinks, though over it":       {Limit{Bytes: 50}, Usage{Bytes: -1}, true},
		"history is not charged":        {Limit{Bytes: 100}, Usage{Stored: 100}, true},
		"history is charged":            {Limit{Bytes: 300, ChargeHistory: true}, Usage{Stored: 91}, false},
		"a name more":                   {Limit{Objects: 3}, Usage{Objects: 1}, true},
		"two names more":                {Limit{Objects: 3}, Usage{Objects: 2}, false},
		"bytes do not count as objects": {Limit{Objects: 1}, Usage{Bytes: 100}, true},
	} {
		for thing, l := range map[errs.Thing]Limits{errs.Account: {Account: c.limit}, errs.Container: {Container: c.limit}} {
			err := l.Allow(used, used, c.delta)
			if c.want && err != nil || !c.want && !errs.IsThing(err, errs.Quota, thing) {
				t.Errorf("%s of the %v: got %v, want allowed %v", name, thing, err, c.want)
			}
		}
	}
}

// TestPlanRetain shows that a default retention counts from the version's own time, which never goes back within a name, and yields to one that
// the version brings.
func TestPlanRetain(t *testing.T) {
	retain := func(made time.Time) object.Retention {
		return object.Retention{Mode: object.Compliance, Until: made.Add(time.Hour)}
	}
	own := object.Retention{Mode: object.Governance, Until: planNow.Add(time.Minute)}
	for name, c := range map[string]struct {
		now     time.Time
		version *object.Version
		want    object.Retention
	}{
		"none of its own":        {planNow.Add(time.Second), ver(0, 1), object.Retention{Mode: object.Compliance, Until: planNow.Add(time.Hour + time.Second)}},
		"the clock was put back": {planNow.Add(-time.Hour), ver(0, 1), object.Retention{Mode: object.Compliance, Until: planNow.Add(time.Hour + time.Microsecond)}},
		"its own":                {planNow, ver(0, 1, func(v *object.Version) { v.Retention = own }), own},
	} {
		got, err := Plan(Change{Now: c.now, Version: c.version, Retain: retain}, State{Newest: ver(0, 1)})
		if err != nil || got.Add.Retention.Mode != c.want.Mode || !got.Add.Retention.Until.Equal(c.want.Until) {
			t.Errorf("%s: %v, %v; want %v", name, got.Add.Retention, err, c.want)
		}
	}
}

// TestPlanKeepsIDsOfMovedVersions: a version that another store had keeps its id, even below ids that were removed, but never comes under a newer one.
func TestPlanKeepsIDsOfMovedVersions(t *testing.T) {
	put := func(s State) (Steps, error) {
		return Plan(Change{Op: Put, Name: "a", Now: time.UnixMicro(900), As: 500, Version: &object.Version{}}, s)
	}
	for name, s := range map[string]State{
		"a new name":    {},
		"after removal": {Gone: 700},
		"after another": {Newest: &object.Version{Summary: object.Summary{ID: 499}}},
	} {
		if steps, err := put(s); err != nil || steps.Add.ID != 500 {
			t.Errorf("%s: %+v, %v; want id 500", name, steps.Add, err)
		}
	}
	for _, id := range []object.VersionID{500, 501} {
		if _, err := put(State{Newest: &object.Version{Summary: object.Summary{ID: id}}}); !errs.IsThing(err, errs.Conflict, errs.Version) {
			t.Errorf("under version %d: %v; want a conflict", id, err)
		}
	}
}
