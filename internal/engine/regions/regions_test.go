package regions_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/engine/memory"
	"pithos/internal/engine/regions"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
	"pithos/internal/store/meta/metatest"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// muted is a metastore that can be out of reach.
type muted struct {
	meta.Store
	mute bool
}

var errMute = errs.E("muted", errs.Busy, errs.Store, "")

func (m *muted) unless(err error) error {
	if m.mute {
		return errMute
	}
	return err
}

func (m *muted) AccountUsage(ctx context.Context, a naming.AccountID) (meta.Usage, error) {
	u, err := m.Store.AccountUsage(ctx, a)
	return u, m.unless(err)
}

func (m *muted) Alive(ctx context.Context, h []block.Holder) ([]bool, error) {
	if m.mute {
		return nil, errMute
	}
	return m.Store.Alive(ctx, h)
}

func (m *muted) Reap(ctx context.Context, now time.Time, limit int) (int, error) {
	if m.mute {
		return 0, errMute
	}
	return m.Store.Reap(ctx, now, limit)
}

func (m *muted) Dead(ctx context.Context, until time.Time, limit int) ([]block.Holder, error) {
	if m.mute {
		return nil, errMute
	}
	return m.Store.Dead(ctx, until, limit)
}

func (m *muted) Due(ctx context.Context, until time.Time, limit int, fn func(meta.DueVersion) bool) error {
	if m.mute {
		return errMute
	}
	return m.Store.Due(ctx, until, limit, fn)
}

func (m *muted) Commit(ctx context.Context, c meta.Change) (meta.Outcome, error) {
	if m.mute {
		return meta.Outcome{}, errMute
	}
	return m.Store.Commit(ctx, c)
}

func newMemory() *muted { return &muted{Store: memory.New(clock.System{}).Meta()} }

// two are a store of two regions and the stores behind it.
func two(t *testing.T) (s *regions.Store, here, north *muted) {
	t.Helper()
	here, north = newMemory(), newMemory()
	s, err := regions.New([]regions.Region{{Name: "here", Store: here}, {Name: "north", Store: north}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, here, north
}

// TestMeta runs the conformance suite over one region, over the first of two and over the second.
func TestMeta(t *testing.T) {
	t.Run("one", func(t *testing.T) {
		metatest.Run(t, func(t *testing.T) meta.Store {
			s, err := regions.New([]regions.Region{{Name: "here", Store: memory.New(clock.System{}).Meta()}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}, metatest.Options{})
	})
	for _, region := range []string{"here", "north"} {
		t.Run(region+" of two", func(t *testing.T) {
			var s *regions.Store
			draw := func() naming.ContainerID { return container(t, s, region) }
			metatest.Run(t, func(t *testing.T) meta.Store {
				s, _, _ = two(t)
				return s
			}, metatest.Options{Container: draw, Holder: func() block.Holder { return s.NewHolder(draw()) }})
		})
	}
}

func container(t *testing.T, s *regions.Store, region string) naming.ContainerID {
	t.Helper()
	id, err := s.NewContainer(region)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

const account = naming.AccountID("a")

// version makes a version with a holder of its own that was intended.
func version(t *testing.T, s *regions.Store, id naming.ContainerID, size int64) *object.Version {
	t.Helper()
	h := s.NewHolder(id)
	errstest.OK(t, s.Intend(t.Context(), h, meta.Intent{Account: account, Expires: now.Add(time.Hour)}))
	return &object.Version{
		Summary: object.Summary{Size: size, ETag: "e"},
		Content: object.Content{Holder: h, Map: block.Map{Refs: []block.Ref{{ID: block.Sum([]byte("x")), Len: size}}}},
	}
}

func put(t *testing.T, s *regions.Store, id naming.ContainerID, name naming.ObjectName, size int64, l meta.Limit) (*object.Version, error) {
	t.Helper()
	v := version(t, s, id, size)
	v.Expires = now.Add(time.Duration(size) * time.Second)
	out, err := s.Commit(t.Context(), meta.Change{Container: id, Account: account, Name: name, Now: now, Version: v, Limits: meta.Limits{Account: l}})
	return out.Version, err
}

// TestAContainerLivesInItsRegion puts into both regions and finds each only there.
func TestAContainerLivesInItsRegion(t *testing.T) {
	s, here, north := two(t)
	at := map[string]naming.ContainerID{"here": container(t, s, "here"), "north": container(t, s, "north")}
	for _, id := range at {
		_, err := put(t, s, id, "x", 1, meta.Limit{})
		errstest.OK(t, err)
	}
	for region, id := range at {
		for name, behind := range map[string]*muted{"here": here, "north": north} {
			_, err := behind.Get(t.Context(), id, "x", meta.Which{})
			if (err == nil) != (name == region) {
				t.Errorf("container of %s in the store of %s: %v", region, name, err)
			}
		}
	}
	if !s.Together(at["here"], at["here"]) || s.Together(at["here"], at["north"]) {
		t.Error("containers of one region are together, others are not")
	}
	if _, err := s.NewContainer("south"); !errs.Is(err, errs.Invalid) {
		t.Errorf("an unknown region: %v", err)
	}
	if id := container(t, s, ""); !s.Together(id, at["here"]) {
		t.Error("the default region is not the first")
	}
}

// TestAContainerOfAnUnknownRegionIsRefused asks a gateway that does not know of a region that was added: it must not take the container for one of its own, where
// it would be empty.
func TestAContainerOfAnUnknownRegionIsRefused(t *testing.T) {
	s, _, _ := two(t)
	id := container(t, s, "north")
	ignorant, err := regions.New([]regions.Region{{Name: "here", Store: newMemory()}}, nil)
	errstest.OK(t, err)
	_, err = put(t, ignorant, id, "x", 1, meta.Limit{})
	errstest.Want(t, err, errs.Busy, errs.Container)
	_, err = ignorant.Get(t.Context(), id, "x", meta.Which{})
	errstest.Want(t, err, errs.Busy, errs.Container)
	cur := ignorant.Scan(t.Context(), id, meta.View{})
	defer cur.Close()
	_, err = cur.Next(t.Context())
	errstest.Want(t, err, errs.Busy, errs.Container)
}

// TestAHolderIsNamedInItsRegionOnly tries to publish in one region what was held for the other, by intent and by source.
func TestAHolderIsNamedInItsRegionOnly(t *testing.T) {
	s, _, _ := two(t)
	a, b := container(t, s, "here"), container(t, s, "north")
	v := version(t, s, a, 1)
	_, err := s.Commit(t.Context(), meta.Change{Container: b, Account: account, Name: "x", Now: now, Version: v})
	errstest.Want(t, err, errs.Conflict, errs.Holder)
	stored, err := put(t, s, a, "x", 1, meta.Limit{})
	errstest.OK(t, err)
	copied := *stored
	_, err = s.Commit(t.Context(), meta.Change{Container: b, Account: account, Name: "x", Now: now, Version: &copied, Source: &meta.Source{Container: a, Name: "x", ID: stored.ID}})
	errstest.Want(t, err, errs.Conflict, errs.Version)
}

// TestAliveNeedsEveryAnswer asks for holders while a region is out of reach, and for one that lives where its id does not say.
func TestAliveNeedsEveryAnswer(t *testing.T) {
	s, here, north := two(t)
	a, b := s.NewHolder(container(t, s, "here")), s.NewHolder(container(t, s, "north"))
	astray := s.NewHolder(container(t, s, "north"))
	in := meta.Intent{Account: account, Expires: now.Add(time.Hour)}
	errstest.OK(t, errors.Join(s.Intend(t.Context(), a, in), s.Intend(t.Context(), b, in), here.Intend(t.Context(), astray, in)))
	unknown := block.NewHolder()
	got, err := s.Alive(t.Context(), []block.Holder{a, b, astray, unknown})
	errstest.OK(t, err)
	if !got[0] || !got[1] || !got[2] || got[3] {
		t.Errorf("alive: %v", got)
	}
	north.mute = true
	for _, h := range []block.Holder{b, astray, unknown} {
		if _, err := s.Alive(t.Context(), []block.Holder{h}); !errs.Is(err, errs.Busy) {
			t.Errorf("with a region out of reach: %v", err)
		}
	}
}

// TestBackgroundWorkGoesOnInTheOthers reaps, lists and forgets while a region is out of reach, and goes on there when it is back.
func TestBackgroundWorkGoesOnInTheOthers(t *testing.T) {
	s, here, north := two(t)
	var holders []block.Holder
	for _, region := range []string{"here", "north"} {
		id := container(t, s, region)
		h := s.NewHolder(id)
		errstest.OK(t, s.Intend(t.Context(), h, meta.Intent{Account: account, Expires: now}))
		holders = append(holders, h)
		_, err := put(t, s, id, "x", 1, meta.Limit{})
		errstest.OK(t, err)
	}
	due := func() (n int) {
		errstest.OK(t, s.Due(t.Context(), now.Add(time.Minute), 10, func(meta.DueVersion) bool { n++; return true }))
		return n
	}
	north.mute = true
	if n, err := s.Reap(t.Context(), now, 10); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	if n := due(); n != 1 {
		t.Errorf("%d are due", n)
	}
	dead, err := s.Dead(t.Context(), now, 10)
	if err != nil || len(dead) != 1 || dead[0] != holders[0] {
		t.Errorf("dead: %v, %v", dead, err)
	}
	errstest.OK(t, s.Forget(t.Context(), dead))
	north.mute = false
	if n, err := s.Reap(t.Context(), now, 10); n != 1 || err != nil {
		t.Errorf("then reaped %d, %v", n, err)
	}
	dead, err = s.Dead(t.Context(), now, 10)
	if err != nil || len(dead) != 1 || dead[0] != holders[1] {
		t.Errorf("then dead: %v, %v", dead, err)
	}
	if n := due(); n != 2 {
		t.Errorf("then %d are due", n)
	}
	here.mute, north.mute = true, true
	if _, err := s.Reap(t.Context(), now, 10); !errs.Is(err, errs.Busy) {
		t.Errorf("with all out of reach: %v", err)
	}
	if err := s.Answers(t.Context()); !errs.Is(err, errs.Busy) {
		t.Errorf("with all out of reach: %v", err)
	}
}

// TestDeadSharesItsLimit lists few of many: each region gets its part.
func TestDeadSharesItsLimit(t *testing.T) {
	s, _, _ := two(t)
	for _, region := range []string{"here", "here", "here", "north"} {
		errstest.OK(t, s.Abandon(t.Context(), s.NewHolder(container(t, s, region))))
	}
	for limit, want := range map[int]int{1: 1, 2: 2, 3: 3, 10: 4} {
		dead, err := s.Dead(t.Context(), now, limit)
		errstest.OK(t, err)
		if len(dead) != want {
			t.Errorf("%d dead at most: %d", limit, len(dead))
		}
		regionsOf := map[bool]bool{}
		for _, h := range dead {
			regionsOf[bytes.HasPrefix(h[:], northTag(t, s))] = true
		}
		if limit >= 2 && len(regionsOf) != 2 {
			t.Errorf("%d dead at most are all of one region", limit)
		}
	}
}

func northTag(t *testing.T, s *regions.Store) []byte {
	h := s.NewHolder(container(t, s, "north"))
	return h[:6]
}

// TestAccountsAreCountedOverAllRegions holds a quota over both, also while one of them is out of reach.
func TestAccountsAreCountedOverAllRegions(t *testing.T) {
	s, _, north := two(t)
	a, b := container(t, s, "here"), container(t, s, "north")
	limit := meta.Limit{Bytes: 100, Objects: 3}
	_, err := put(t, s, a, "x", 60, limit)
	errstest.OK(t, err)
	_, err = put(t, s, b, "x", 41, limit)
	errstest.Want(t, err, errs.Quota, errs.Account)
	_, err = put(t, s, b, "x", 40, limit)
	errstest.OK(t, err)
	u, err := s.AccountUsage(t.Context(), account)
	if err != nil || u.Bytes != 100 || u.Objects != 2 {
		t.Errorf("usage %+v, %v", u, err)
	}
	_, err = put(t, s, a, "y", 1, limit)
	errstest.Want(t, err, errs.Quota, errs.Account)
	north.mute = true
	_, err = put(t, s, a, "y", 1, limit)
	errstest.Want(t, err, errs.Quota, errs.Account)
	_, err = put(t, s, a, "x", 30, limit) // smaller than before
	errstest.OK(t, err)
	if u, err := s.AccountUsage(t.Context(), account); err != nil || u.Bytes != 70 {
		t.Errorf("usage %+v, %v", u, err)
	}
	fresh, err := regions.New([]regions.Region{{Name: "here", Store: newMemory()}, {Name: "north", Store: north}}, nil)
	errstest.OK(t, err)
	if _, err := fresh.AccountUsage(t.Context(), account); !errs.Is(err, errs.Busy) {
		t.Errorf("a region that never said anything: %v", err)
	}
	if err := fresh.Answers(t.Context()); err != nil {
		t.Errorf("one region answers: %v", err)
	}
}

// TestARegionMayComeLater starts without a region's store.
func TestARegionMayComeLater(t *testing.T) {
	s, err := regions.New([]regions.Region{{Name: "here", Store: newMemory()}, {Name: "north"}}, nil)
	errstest.OK(t, err)
	id := container(t, s, "north")
	_, err = s.Get(t.Context(), id, "x", meta.Which{})
	errstest.Want(t, err, errs.Busy, errs.Store)
	if _, err := s.Alive(t.Context(), []block.Holder{block.NewHolder()}); !errs.Is(err, errs.Busy) {
		t.Errorf("an unknown holder: %v", err)
	}
	s.Attach("north", newMemory())
	_, err = put(t, s, id, "x", 1, meta.Limit{})
	errstest.OK(t, err)
	_, err = s.Get(t.Context(), id, "x", meta.Which{})
	errstest.OK(t, err)
}

func (m *muted) AuditBodies(ctx context.Context, from string, limit int64, found func(meta.BodyAudit) error) (string, int64, error) {
	if m.mute {
		return from, 0, errMute
	}
	return m.Store.(meta.Auditor).AuditBodies(ctx, from, limit, found)
}

// TestTheScrubGoesThroughAllRegions reads the bytes that versions keep in both regions, and in the other while one does not answer.
func TestTheScrubGoesThroughAllRegions(t *testing.T) {
	s, here, _ := two(t)
	for _, region := range []string{"here", "north"} {
		for _, name := range []naming.ObjectName{"a", "b"} {
			v := &object.Version{Summary: object.Summary{Size: 1, ETag: "e"}, Content: object.Content{
				Map: block.Map{Refs: []block.Ref{{ID: block.Sum([]byte("x")), Len: 1}}, Kept: []byte("x")},
			}}
			_, err := s.Commit(t.Context(), meta.Change{Container: container(t, s, region), Account: account, Name: name, Now: now, Version: v})
			errstest.OK(t, err)
		}
	}
	bodies := func() (n int) {
		for from, steps := "", 0; ; steps++ {
			next, _, err := s.AuditBodies(t.Context(), from, 1, func(b meta.BodyAudit) error {
				if n++; b.Damaged {
					t.Errorf("%+v", b)
				}
				return nil
			})
			if err != nil || steps > 100 {
				t.Fatal(next, err)
			}
			if next == "" {
				return n
			}
			from = next
		}
	}
	if n := bodies(); n != 4 {
		t.Errorf("%d bodies are read", n)
	}
	here.mute = true
	if n := bodies(); n != 2 {
		t.Errorf("%d bodies are read while a region does not answer", n)
	}
}

// TestNamesMustDiffer refuses a name that is given twice.
func TestNamesMustDiffer(t *testing.T) {
	_, err := regions.New([]regions.Region{{Name: "here"}, {Name: "here"}}, nil)
	if !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
}
