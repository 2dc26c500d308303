package metatest

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// far is later than all that tests do.
var far = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// whole is everything that the store tells of a place.
type whole struct {
	All, Current, Deleted, AsOfFar []object.Summary
	Versions                       []*object.Version // in the order of All
	Usage                          meta.Usage
	Account                        meta.Usage
	Uploads                        []meta.Upload
	Parts                          [][]meta.Part // in the order of Uploads
	Changes                        []meta.Changed
	Due                            []meta.DueVersion
}

// equal are the options under which two stored things are the same.
var equal = gocmp.Options{cmpopts.EquateEmpty()}

// sameExceptLatest also forgives a mark that is filled in on reading.
var sameExceptLatest = cmpopts.IgnoreFields(object.Summary{}, "Latest")

// wantSame demands that two things are the same.
func (e *env) wantSame(what string, got, want any, opts ...gocmp.Option) {
	e.Helper()
	if reflect.DeepEqual(got, want) { // the usual case, and much faster
		return
	}
	if diff := gocmp.Diff(want, got, equal, gocmp.Options(opts)); diff != "" {
		e.Fatalf("%s differs (- want, + got):\n%s", what, diff)
	}
}

// scan is a whole view of a container.
func (e *env) scan(id naming.ContainerID, v meta.View) []object.Summary {
	e.Helper()
	c := e.s.Scan(e.Context(), id, v)
	defer c.Close()
	return e.rest(c)
}

// rest is what is left of a scan.
func (e *env) rest(c meta.Cursor) []object.Summary {
	e.Helper()
	var list []object.Summary
	for {
		s, err := c.Next(e.Context())
		errstest.OK(e, err)
		if s == nil {
			return list
		}
		list = append(list, *s)
	}
}

// whole reads everything of a place.
func (e *env) whole(p place) whole {
	e.Helper()
	var w whole
	ctx := e.Context()
	w.All = e.scan(p.container, meta.View{Kind: meta.ViewAll})
	w.Current = e.scan(p.container, meta.View{Kind: meta.ViewCurrent})
	w.Deleted = e.scan(p.container, meta.View{Kind: meta.ViewDeleted})
	w.AsOfFar = e.scan(p.container, meta.View{Kind: meta.ViewAsOf, At: far})
	for _, s := range w.All {
		v, err := e.s.Get(ctx, p.container, s.Name, meta.Which{By: meta.ByID, ID: s.ID})
		if err != nil {
			e.Fatalf("version %d of %q is scanned but cannot be got: %v", s.ID, s.Name, err)
		}
		w.Versions = append(w.Versions, v)
	}
	var err error
	w.Usage, err = e.s.ContainerUsage(ctx, p.container)
	errstest.OK(e, err)
	w.Account, err = e.s.AccountUsage(ctx, p.account)
	errstest.OK(e, err)
	errstest.OK(e, e.s.Pending(ctx, p.container, "", "", func(u meta.Upload) bool {
		w.Uploads = append(w.Uploads, u)
		return true
	}))
	for _, u := range w.Uploads {
		w.Parts = append(w.Parts, e.parts(u.UploadKey))
	}
	errstest.OK(e, e.s.Changes(ctx, p.container, 0, "", func(c meta.Changed) bool {
		w.Changes = append(w.Changes, c)
		return true
	}))
	errstest.OK(e, e.s.Due(ctx, far, 1_000_000, func(d meta.DueVersion) bool {
		if d.Container == p.container {
			w.Due = append(w.Due, d)
		}
		return true
	}))
	return w
}

// parts is the parts of an open upload.
func (e *env) parts(k meta.UploadKey) []meta.Part {
	e.Helper()
	var list []meta.Part
	errstest.OK(e, e.s.Parts(e.Context(), k, 0, func(p meta.Part) bool {
		list = append(list, p)
		return true
	}))
	return list
}

// refuse makes a change that must fail, and demands that it left everything as it was.
func (e *env) refuse(c meta.Change, kind errs.Kind, thing errs.Thing) {
	e.Helper()
	before, alive := e.whole(e.place), e.aliveAll()
	_, err := e.s.Commit(e.Context(), c)
	errstest.Want(e, err, kind, thing)
	e.wantSame("what a refused change left", e.whole(e.place), before)
	e.wantSame("who is alive after a refused change", e.aliveAll(), alive)
}

// aliveAll tells who is alive of all holders of the test.
func (e *env) aliveAll() []bool {
	e.Helper()
	alive, err := e.s.Alive(e.Context(), e.holders)
	errstest.OK(e, err)
	return alive
}

// checkWhole demands that all that the store tells of the test's containers fits together.
func (e *env) checkWhole() {
	e.Helper()
	sums := map[naming.AccountID]meta.Usage{}
	named := map[block.Holder]bool{}
	for _, p := range e.places {
		w := e.whole(p)
		e.checkViews(w)
		e.checkIndexes(p, w)
		sum := w.sum()
		e.wantSame("usage of the container", w.Usage, sum)
		sums[p.account] = sums[p.account].Add(sum)
		for _, v := range w.Versions {
			named[v.Content.Holder] = true
		}
		for _, parts := range w.Parts {
			for _, part := range parts {
				named[part.Content.Holder] = true
			}
		}
	}
	for account, sum := range sums {
		got, err := e.s.AccountUsage(e.Context(), account)
		errstest.OK(e, err)
		e.wantSame("usage of the account", got, sum)
	}
	dead := e.deadOf(far, e.holders...)
	for i, alive := range e.aliveAll() {
		if h := e.holders[i]; named[h] && !alive || alive && dead[h] {
			e.Errorf("holder %s: named %v, alive %v, dead %v", h, named[h], alive, dead[h])
		}
	}
}

// checkViews compares the views with the versions.
func (e *env) checkViews(w whole) {
	e.Helper()
	var current, deleted []object.Summary
	for i, s := range w.All {
		if i > 0 {
			before := w.All[i-1]
			if before.Name > s.Name || before.Name == s.Name && before.ID <= s.ID {
				e.Fatalf("scan of all: (%q, %d) comes after (%q, %d)", s.Name, s.ID, before.Name, before.ID)
			}
		}
		newest := i == 0 || w.All[i-1].Name != s.Name
		if s.Latest != newest {
			e.Fatalf("version %d of %q: latest %v, want %v", s.ID, s.Name, s.Latest, newest)
		}
		e.wantSame("summary of a scan against Get", s, w.Versions[i].Summary)
		switch {
		case newest && s.Visible():
			current = append(current, s)
		case newest:
			deleted = append(deleted, s)
		}
	}
	e.wantSame("view of current", w.Current, current)
	e.wantSame("view of deleted", w.Deleted, deleted)
	e.wantSame("view as of the far future", w.AsOfFar, current)
}

// checkIndexes compares the indexes with the versions.
func (e *env) checkIndexes(p place, w whole) {
	e.Helper()
	var changes []meta.Changed
	var due []meta.DueVersion
	for _, v := range w.Versions {
		changes = append(changes, meta.Changed{ID: v.ID, Name: v.Name, Kind: v.Kind})
		if !v.Expires.IsZero() {
			due = append(due, meta.DueVersion{Container: p.container, Account: p.account, Name: v.Name, ID: v.ID, Expires: v.Expires})
		}
	}
	slices.SortFunc(changes, func(a, b meta.Changed) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name)) })
	e.wantSame("index of changes", w.Changes, changes)
	for i := 1; i < len(w.Due); i++ {
		if w.Due[i].Expires.Before(w.Due[i-1].Expires) {
			e.Fatal("the expiry index is out of order")
		}
	}
	byName := func(a, b meta.DueVersion) int {
		return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(due, byName)
	slices.SortFunc(w.Due, byName)
	e.wantSame("expiry index", w.Due, due)
}

// sum is what the counters must be (I7).
func (w whole) sum() meta.Usage {
	var u meta.Usage
	for _, s := range w.Current {
		u = u.Add(meta.Usage{Objects: 1, Bytes: s.Size})
	}
	for _, s := range w.All {
		u = u.Add(meta.Usage{Versions: 1, Stored: s.Size})
	}
	for _, parts := range w.Parts {
		for _, p := range parts {
			u = u.Add(meta.Usage{UploadParts: 1, UploadBytes: p.Size})
		}
	}
	return u
}
