package object

import (
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// TestPreconditions holds each condition against each state of a name, for writes and for reads.
func TestPreconditions(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := &Version{Summary: Summary{Name: "a", ID: IDAt(at.Add(123 * time.Millisecond)), ETag: "tag", Size: 10, RootHash: block.Sum([]byte("x"))}}
	marker := &Version{Summary: Summary{Name: "a", ID: v.ID, Kind: DeleteMarker}}
	size := func(n int64) *int64 { return &n }
	const ok = errs.Kind(255)
	for name, c := range map[string]struct {
		p       Precondition
		present errs.Kind // as a write on v
		absent  errs.Kind // as a write on nothing, or a delete marker
		read    errs.Kind // as a read of v
	}{
		"none":                            {Precondition{}, ok, ok, ok},
		"match":                           {Precondition{IfMatch: []string{"tag"}}, ok, errs.NotFound, ok},
		"match any":                       {Precondition{IfMatch: []string{"*"}}, ok, errs.NotFound, ok},
		"match root hash":                 {Precondition{IfMatch: []string{v.RootHash.String()}}, ok, errs.NotFound, ok},
		"match one of several":            {Precondition{IfMatch: []string{"x", "tag"}}, ok, errs.NotFound, ok},
		"match another":                   {Precondition{IfMatch: []string{"x"}}, errs.Precondition, errs.NotFound, errs.Precondition},
		"none match any":                  {Precondition{IfNoneMatch: []string{"*"}}, errs.Precondition, ok, errs.NotModified},
		"none match":                      {Precondition{IfNoneMatch: []string{"y", "tag"}}, errs.Precondition, ok, errs.NotModified},
		"none match another":              {Precondition{IfNoneMatch: []string{"y"}}, ok, ok, ok},
		"version":                         {Precondition{IfVersion: v.ID}, ok, errs.NotFound, ok},
		"another version":                 {Precondition{IfVersion: v.ID + 1}, errs.Precondition, errs.NotFound, ok},
		"size":                            {Precondition{IfSize: size(10)}, ok, errs.NotFound, ok},
		"another size":                    {Precondition{IfSize: size(0)}, errs.Precondition, errs.NotFound, ok},
		"modified at, in whole seconds":   {Precondition{IfModifiedAt: at}, ok, errs.NotFound, ok},
		"modified at another time":        {Precondition{IfModifiedAt: at.Add(time.Second)}, errs.Precondition, errs.NotFound, ok},
		"unmodified since its second":     {Precondition{IfUnmodifiedSince: at}, ok, ok, ok},
		"unmodified since before":         {Precondition{IfUnmodifiedSince: at.Add(-time.Second)}, errs.Precondition, ok, errs.Precondition},
		"match overrides unmodified":      {Precondition{IfMatch: []string{"tag"}, IfUnmodifiedSince: at.Add(-time.Second)}, ok, errs.NotFound, ok},
		"modified since its second":       {Precondition{IfModifiedSince: at}, ok, ok, errs.NotModified},
		"modified since before":           {Precondition{IfModifiedSince: at.Add(-time.Second)}, ok, ok, ok},
		"none match overrides modified":   {Precondition{IfNoneMatch: []string{"y"}, IfModifiedSince: at}, ok, ok, ok},
		"match and none match, both hold": {Precondition{IfMatch: []string{"tag"}, IfNoneMatch: []string{"y"}}, ok, errs.NotFound, ok},
		"match holds, none match fails":   {Precondition{IfMatch: []string{"tag"}, IfNoneMatch: []string{"tag"}}, errs.Precondition, errs.NotFound, errs.NotModified},
	} {
		t.Run(name, func(t *testing.T) {
			if zero := name == "none"; c.p.IsZero() != zero {
				t.Errorf("IsZero: %v", !zero)
			}
			for state, got := range map[string]struct {
				err  error
				want errs.Kind
			}{
				"write on a version": {c.p.CheckWrite(v), c.present},
				"write on nothing":   {c.p.CheckWrite(nil), c.absent},
				"write on a marker":  {c.p.CheckWrite(marker), c.absent},
				"read":               {c.p.CheckRead(v), c.read},
			} {
				if got.want == ok && got.err != nil || got.want != ok && !errs.IsThing(got.err, got.want, errs.Object) {
					t.Errorf("%s: got %v, want kind %v", state, got.err, got.want)
				}
			}
		})
	}
}
