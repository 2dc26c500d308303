package meta

import (
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// State is what Plan has to know of a name. An engine reads it inside the atomic step in which it applies the plan.
type State struct {
	Newest *object.Version // nil: the name has no versions
	Null   *object.Version // the null version, which may be Newest; nil: none
	Target *object.Version // what Change.Target names, for Remove and Amend; nil: nothing
	Second *object.Version // the newest version below Newest; needed only when Newest may be dropped
	// Gone is the highest id that a version of the name had which was removed lately, 0: none. An id must not come back for other bytes, and the
	// clock alone does not see to that: it may stand still between a removal and the next Put.
	Gone object.VersionID
}

// Steps is what an engine has to do for a change, all in one atomic step.
type Steps struct {
	Add     *object.Version   // new version to write
	Replace *object.Version   // amended version to write over the one with the same id; beside Drop, it is the one that becomes the newest
	Drop    []*object.Version // versions to forget
	Newest  *object.Version   // the newest version afterwards; nil: the name is gone
	Delta   Usage             // of the versions alone; an engine adds the parts of a finished upload
}

// Plan decides what a change does to the versions of a name. It is pure.
//
// Errors: those of object.Precondition.CheckWrite; NotFound/Object or NotFound/Version when Remove or Amend has no target;
// Denied with reason Locked when a version to drop is under retention or legal hold; what Change.Amend returns.
func Plan(c Change, s State) (Steps, error) {
	switch c.Op {
	case Put:
		return planPut(c, s)
	case Remove:
		return planRemove(c, s)
	case Amend:
		return planAmend(c, s)
	}
	return Steps{}, errs.E("meta.Plan", errs.Internal, errs.Object, string(c.Name))
}

func planPut(c Change, s State) (Steps, error) {
	if err := c.If.CheckWrite(s.Newest); err != nil {
		return Steps{}, err
	}
	v := *c.Version
	v.Name, v.Latest = c.Name, false
	v.ID = max(object.IDAt(c.Now), s.Gone+1)
	if s.Newest != nil {
		v.ID = max(v.ID, s.Newest.ID+1)
	}
	if c.As != 0 {
		if s.Newest != nil && c.As <= s.Newest.ID {
			return Steps{}, errs.E("meta.Plan", errs.Conflict, errs.Version, string(c.Name))
		}
		v.ID = c.As
	}
	if !c.Moved && s.Newest != nil && s.Newest.Visible() {
		v.UUID = s.Newest.UUID
	}
	v.Share = shareAfter(c, s, v.Visible())
	if c.Retain != nil && v.Retention.Mode == object.NoRetention {
		v.Retention = c.Retain(v.ID.Time())
	}
	if err := stamp(&v, c, s); err != nil {
		return Steps{}, err
	}
	steps := Steps{Add: &v, Newest: &v}
	if v.Null && s.Null != nil {
		if err := droppable(c, s.Null); err != nil {
			return Steps{}, err
		}
		steps.Drop = append(steps.Drop, s.Null)
	}
	steps.Delta = delta(steps, s.Newest)
	return steps, nil
}

// stamp orders a change that was first made in a container elsewhere.
func stamp(v *object.Version, c Change, s State) error {
	if v.Stamp == 0 || c.As != 0 {
		return nil
	}
	if s.Newest != nil && s.Newest.Stamped() >= v.Stamp {
		return errs.E("meta.Plan", errs.Conflict, errs.Version, string(c.Name)).Because(errs.Older, "the name has a change that is as new")
	}
	if v.ID <= v.Stamp {
		v.ID, v.Stamp = v.Stamp, 0
	}
	return nil
}

// shareAfter is the share of a path on which a version was put: it hangs on the path from version to version, and ends with a delete marker.
func shareAfter(c Change, s State, visible bool) object.Share {
	if !visible {
		return object.Share{}
	}
	var before object.Share
	if s.Newest != nil && s.Newest.Visible() {
		before = s.Newest.Share
	}
	if c.Share != nil {
		return c.Share(before.Clone())
	}
	return before
}

func planRemove(c Change, s State) (Steps, error) {
	if err := targetOf(c, s); err != nil {
		return Steps{}, err
	}
	if err := c.If.CheckWrite(s.Target); err != nil {
		return Steps{}, err
	}
	if err := droppable(c, s.Target); err != nil {
		return Steps{}, err
	}
	steps := Steps{Drop: []*object.Version{s.Target}, Newest: s.Newest}
	if s.Newest.ID == s.Target.ID {
		steps.Newest = s.Second
		// What the path shares is what its newest version says. An older version may say what was withdrawn long ago.
		if s.Second != nil && !s.Second.Share.Equal(s.Newest.Share) {
			second := *s.Second
			second.Share = s.Newest.Share
			steps.Newest, steps.Replace = &second, &second
		}
	}
	steps.Delta = delta(steps, s.Newest)
	return steps, nil
}

func planAmend(c Change, s State) (Steps, error) {
	if err := targetOf(c, s); err != nil {
		return Steps{}, err
	}
	if err := c.If.CheckWrite(s.Target); err != nil {
		return Steps{}, err
	}
	v := *s.Target
	if err := c.Amend(&v); err != nil {
		return Steps{}, err
	}
	amended := *s.Target
	amended.ACL, amended.Tags, amended.Retention, amended.LegalHold, amended.Encryption = v.ACL, v.Tags, v.Retention, v.LegalHold, v.Encryption
	amended.Share = v.Share
	if amended.RootHash == (block.ID{}) {
		amended.RootHash = v.RootHash
	}
	steps := Steps{Replace: &amended, Newest: s.Newest}
	if s.Newest.ID == amended.ID {
		steps.Newest = &amended
	}
	return steps, nil
}

func targetOf(c Change, s State) error {
	switch {
	case s.Newest == nil:
		return errs.E("meta.Plan", errs.NotFound, errs.Object, string(c.Name))
	case s.Target == nil:
		return errs.E("meta.Plan", errs.NotFound, errs.Version, string(c.Name))
	}
	return nil
}

// droppable tells whether retention and legal hold let go of v. Compliance yields to nobody, governance to Bypass.
func droppable(c Change, v *object.Version) error {
	held := v.LegalHold
	if v.Retention.Mode != object.NoRetention && v.Retention.Until.After(c.Now) {
		held = held || v.Retention.Mode == object.Compliance || !c.Bypass
	}
	if held {
		return errs.E("meta.Plan", errs.Denied, errs.Version, string(c.Name)).
			Because(errs.Locked, "the version is under retention or legal hold")
	}
	return nil
}

// delta is how the counters change when the newest version goes from before to steps.Newest.
func delta(steps Steps, before *object.Version) Usage {
	var d Usage
	if before != nil && before.Visible() {
		d.Objects--
		d.Bytes -= before.Size
	}
	if after := steps.Newest; after != nil && after.Visible() {
		d.Objects++
		d.Bytes += after.Size
	}
	if steps.Add != nil {
		d.Versions++
		d.Stored += steps.Add.Size
	}
	for _, v := range steps.Drop {
		d.Versions--
		d.Stored -= v.Size
	}
	return d
}

// Allow tests the usage after a change of delta against the limits. used is before the change.
func (l Limits) Allow(account, container, delta Usage) error {
	if err := l.Account.allow(account, delta, errs.Account); err != nil {
		return err
	}
	return l.Container.allow(container, delta, errs.Container)
}

func (l Limit) allow(used, delta Usage, thing errs.Thing) error {
	measure := func(u Usage) int64 {
		if l.ChargeHistory {
			return u.Stored + u.UploadBytes
		}
		return u.Bytes + u.UploadBytes
	}
	after := used.Add(delta)
	switch {
	case l.Bytes != 0 && measure(delta) > 0 && measure(after) > max(l.Bytes, 0),
		l.Objects != 0 && delta.Objects > 0 && after.Objects > max(l.Objects, 0):
		return errs.E("meta.Limits.Allow", errs.Quota, thing, "")
	}
	return nil
}

// IsZero reports whether nothing is limited.
func (l Limits) IsZero() bool { return l == Limits{} }

// Expired reports whether the intent is over at now.
func (in Intent) Expired(now time.Time) bool { return !in.Expires.After(now) }
