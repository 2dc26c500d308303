package metatest

import (
	"time"

	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// wantEmpty demands what Empty tells, without and with open uploads.
func (e *env) wantEmpty(strict, ignoring bool) {
	e.Helper()
	for ignore, want := range map[bool]bool{false: strict, true: ignoring} {
		got, err := e.s.Empty(e.Context(), e.container, ignore)
		errstest.OK(e, err)
		if got != want {
			e.Fatalf("empty (uploads ignored: %v): %v, want %v", ignore, got, want)
		}
	}
}

var sealing = []sentence{
	{"Seal/refuses puts, uploads and parts, and lets go what takes away", func(e *env) {
		first := e.put("a", e.data(1))
		e.put("a", e.data(2))
		k, unfinished := e.begin("a", "1"), e.begin("b", "1")
		e.putPart(k, e.part(1, 5))
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		e.refuse(e.change("a", e.data(1)), errs.NotFound, errs.Container)
		e.refuse(e.change("new", marker()), errs.NotFound, errs.Container)
		finish := e.change("a", e.data(5))
		finish.Upload = k.ID
		e.refuse(finish, errs.NotFound, errs.Container)
		begin := meta.Upload{UploadKey: meta.UploadKey{Container: e.container, Name: "a", ID: "9"}, Account: e.account, Initiated: e.now}
		errstest.Want(e, e.s.Begin(e.Context(), begin), errs.NotFound, errs.Container)
		errstest.Want(e, e.s.PutPart(e.Context(), unfinished, e.part(1, 1), meta.Limits{}), errs.NotFound, errs.Container)
		e.commit(e.amendment("a", func(v *object.Version) error { v.Tags = []object.Tag{{Key: "k", Value: "v"}}; return nil }))
		e.remove("a", first.ID)
		errstest.OK(e, e.s.Abort(e.Context(), k))
		e.get("a", meta.Which{})
	}},
	{"Seal/touches no other container", func(e *env) {
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		e.place = e.use(place{e.newContainer(), e.account})
		e.puts("a")
		e.begin("a", "1")
	}},
	{"Unseal/opens the container again, and one that was never sealed stays open", func(e *env) {
		errstest.OK(e, e.s.Unseal(e.Context(), e.container))
		e.puts("a")
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		errstest.OK(e, e.s.Unseal(e.Context(), e.container))
		e.puts("a")
	}},
	{"Empty/tells whether there are versions or uploads", func(e *env) {
		e.wantEmpty(true, true)
		k := e.begin("a", "1")
		e.wantEmpty(false, true)
		errstest.OK(e, e.s.Abort(e.Context(), k))
		e.wantEmpty(true, true)
		m := e.put("a", marker())
		e.wantEmpty(false, false)
		e.remove("a", m.ID)
		e.wantEmpty(true, true)
	}},
	{"Drop/forgets what is left, and the seal stays", func(e *env) {
		second := e.use(place{e.newContainer(), e.account})
		c := e.change("a", e.data(7))
		c.Container = second.container
		e.commit(c)
		v := e.put("a", e.data(3))
		k := e.begin("a", "1")
		p := e.putPart(k, e.part(1, 100))
		errstest.Want(e, e.s.Drop(e.Context(), e.container, e.account), errs.Conflict, errs.Container)
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		errstest.Want(e, e.s.Drop(e.Context(), e.container, e.account), errs.NotEmpty, errs.Container)
		e.remove("a", v.ID)
		for range 2 {
			errstest.OK(e, e.s.Drop(e.Context(), e.container, e.account))
		}
		_, err := e.s.FindUpload(e.Context(), k)
		errstest.Want(e, err, errs.NotFound, errs.Upload)
		e.wantEmpty(true, true)
		if e.alive(p.Content.Holder) || !e.dead(p.Content.Holder, time.Time{}) {
			e.Error("the part's holder is not dead")
		}
		container, account := e.usage()
		if want := (meta.Usage{Objects: 1, Bytes: 7, Versions: 1, Stored: 7}); container != (meta.Usage{}) || account != want {
			e.Errorf("usage of the container %+v, of the account %+v", container, account)
		}
		e.refuse(e.change("a", e.data(1)), errs.NotFound, errs.Container)
	}},
	{"Unseal/of a dropped container does nothing", func(e *env) {
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		errstest.OK(e, e.s.Drop(e.Context(), e.container, e.account))
		errstest.OK(e, e.s.Unseal(e.Context(), e.container))
		e.refuse(e.change("a", marker()), errs.NotFound, errs.Container)
		errstest.OK(e, e.s.Drop(e.Context(), e.container, e.account))
	}},
	{"Drop/of a container that never held anything", func(e *env) {
		errstest.OK(e, e.s.Seal(e.Context(), e.container))
		errstest.OK(e, e.s.Drop(e.Context(), e.container, e.account))
		e.refuse(e.change("a", marker()), errs.NotFound, errs.Container)
	}},
}
