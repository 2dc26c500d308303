package lifecycle_test

import (
	"testing"
	"time"

	"pithos/internal/object"
	"pithos/internal/object/lifecycle"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func version(size int64, tags ...object.Tag) *object.Version {
	v := &object.Version{Tags: tags}
	v.Summary = object.Summary{Name: "logs/a", ID: object.IDAt(noon), Size: size}
	return v
}

func TestMatches(t *testing.T) {
	ten, twenty := int64(10), int64(20)
	a, b := object.Tag{Key: "a", Value: "1"}, object.Tag{Key: "b", Value: "2"}
	for name, c := range map[string]struct {
		rule lifecycle.Rule
		v    *object.Version
		want bool
	}{
		"everything":       {lifecycle.Rule{}, version(1), true},
		"disabled":         {lifecycle.Rule{Disabled: true}, version(1), false},
		"prefix":           {lifecycle.Rule{Prefix: "logs/"}, version(1), true},
		"other prefix":     {lifecycle.Rule{Prefix: "log/"}, version(1), false},
		"larger":           {lifecycle.Rule{Larger: &ten}, version(11), true},
		"not larger":       {lifecycle.Rule{Larger: &ten}, version(10), false},
		"smaller":          {lifecycle.Rule{Smaller: &twenty}, version(19), true},
		"not smaller":      {lifecycle.Rule{Smaller: &twenty}, version(20), false},
		"a tag":            {lifecycle.Rule{Tags: []object.Tag{a}}, version(1, b, a), true},
		"all tags":         {lifecycle.Rule{Tags: []object.Tag{a, b}}, version(1, a), false},
		"tag, other value": {lifecycle.Rule{Tags: []object.Tag{{Key: "a", Value: "2"}}}, version(1, a), false},
	} {
		if got := c.rule.Matches(c.v); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestDaysEndAtMidnight shows that what a client is told beforehand and what the worker does are the same moment.
func TestDaysEndAtMidnight(t *testing.T) {
	v := version(1)
	at, id := lifecycle.Expiry([]lifecycle.Rule{{ID: "late", Days: 9}, {ID: "off", Days: 1, Disabled: true}, {ID: "soon", Days: 2}}, v)
	if want := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC); !at.Equal(want) || id != "soon" {
		t.Fatalf("expires at %v by %s, want %v", at, id, want)
	}
	for now, due := range map[time.Time]bool{at.Add(-time.Second): false, at: true} {
		if got := !v.Modified().After(lifecycle.Before(now, 2, lifecycle.Day)); got != due {
			t.Errorf("at %v: due %v", now, got)
		}
	}
	if got := lifecycle.Before(noon, 2, time.Second); !got.Equal(noon.Add(-2 * time.Second)) {
		t.Errorf("days of a second: %v", got)
	}
	v.Kind = object.DeleteMarker
	if at, _ := lifecycle.Expiry([]lifecycle.Rule{{Days: 1}}, v); !at.IsZero() {
		t.Error("a delete marker is said to expire")
	}
}

func TestRulesAreKept(t *testing.T) {
	size := int64(7)
	rules := []lifecycle.Rule{{ID: "x", Prefix: "a", Tags: []object.Tag{{Key: "k", Value: "v"}}, Larger: &size, Date: noon, Newer: 3, NoncurrentDays: 1}}
	raw, err := lifecycle.Encode(rules)
	if err != nil {
		t.Fatal(err)
	}
	got, err := lifecycle.Decode(raw)
	if err != nil || len(got) != 1 || got[0].ID != "x" || *got[0].Larger != 7 || !got[0].Date.Equal(noon) || got[0].Tags[0].Value != "v" {
		t.Errorf("%+v, %v", got, err)
	}
	if none, err := lifecycle.Decode(nil); err != nil || none != nil {
		t.Errorf("%v, %v", none, err)
	}
	if _, err := lifecycle.Decode([]byte("{")); err == nil {
		t.Error("damaged rules were read")
	}
}
