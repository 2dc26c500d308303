package memory

import (
	"context"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Get finds a version.
func (s *Meta) Get(_ context.Context, id naming.ContainerID, name naming.ObjectName, which meta.Which) (v *object.Version, err error) {
	const op = "memory.Meta.Get"
	err = s.do(op, func() error {
		versions := s.container(id).objects[name]
		if len(versions) == 0 {
			return errs.E(op, errs.NotFound, errs.Object, string(name))
		}
		if v = find(versions, which); v == nil {
			return errs.E(op, errs.NotFound, errs.Version, string(name))
		}
		return nil
	})
	return v, err
}

// Commit applies one change to one name.
func (s *Meta) Commit(_ context.Context, c meta.Change) (out meta.Outcome, err error) {
	err = s.do("memory.Meta.Commit", func() error {
		out, err = s.commit(c)
		return err
	})
	return out, err
}

// commit checks everything first, in the order that the contract gives, and then changes.
func (s *Meta) commit(c meta.Change) (meta.Outcome, error) {
	const op = "memory.Meta.Commit"
	in := s.container(c.Container)
	if c.Op == meta.Put && in.sealed {
		return meta.Outcome{}, errs.E(op, errs.NotFound, errs.Container, c.Container.String())
	}
	var up *upload
	if c.Upload != "" {
		if up = in.uploads[uploadID{c.Name, c.Upload}]; up == nil {
			return meta.Outcome{}, errs.E(op, errs.NotFound, errs.Upload, c.Upload)
		}
	}
	state := stateOf(c, in.objects[c.Name])
	state.Gone = in.gone[c.Name]
	steps, err := meta.Plan(c, state)
	if err != nil {
		return meta.Outcome{}, err
	}
	if err := s.checkHolder(op, c); err != nil {
		return meta.Outcome{}, err
	}
	delta := steps.Delta
	if up != nil {
		delta = delta.Add(up.usage().Neg())
	}
	if err := c.Limits.Allow(s.accounts[c.Account], in.usage, delta); err != nil {
		return meta.Outcome{}, err
	}
	s.apply(in, c, steps, up)
	s.count(in, c.Account, delta)
	out := meta.Outcome{Version: cloneVersion(steps.Add), Dropped: cloneVersions(steps.Drop), Before: state.Newest}
	if c.Op == meta.Amend {
		out.Version = cloneVersion(steps.Replace)
	}
	return out, nil
}

// stateOf is what Plan has to know of a name.
func stateOf(c meta.Change, versions []stored) meta.State {
	state := meta.State{Null: find(versions, meta.Which{By: meta.TheNull}), Newest: find(versions, meta.Which{By: meta.Newest})}
	if c.Op != meta.Put {
		state.Target = find(versions, c.Target)
	}
	if len(versions) > 1 {
		state.Second = find(versions[1:], meta.Which{By: meta.Newest})
	}
	for _, v := range []*object.Version{state.Newest, state.Null, state.Target, state.Second} {
		if v != nil {
			v.Latest = false // filled in on reading alone
		}
	}
	return state
}

// checkHolder tests that the source of a new version still stands and that its holder is alive.
func (s *Meta) checkHolder(op string, c meta.Change) error {
	if c.Op != meta.Put {
		return nil
	}
	h := c.Version.Content.Holder
	if src := c.Source; src != nil {
		v := find(s.container(src.Container).objects[src.Name], meta.Which{By: meta.ByID, ID: src.ID})
		if v == nil || v.Content.Holder != h {
			return errs.E(op, errs.Conflict, errs.Version, string(src.Name))
		}
	}
	if !h.IsZero() && !s.holders[h].alive() {
		return errs.E(op, errs.Conflict, errs.Holder, h.String())
	}
	return nil
}

// apply makes the steps true.
func (s *Meta) apply(in *container, c meta.Change, steps meta.Steps, up *upload) {
	if steps.Add != nil {
		s.name(steps.Add.Content.Holder)
		in.insert(stored{cloneVersion(steps.Add), c.Account})
	}
	if steps.Replace != nil {
		for i, v := range in.objects[c.Name] {
			if v.ID == steps.Replace.ID {
				in.objects[c.Name][i].Version = cloneVersion(steps.Replace)
			}
		}
	}
	for _, v := range steps.Drop {
		in.remove(c.Name, v.ID)
		s.unname(v.Content.Holder, c.Now)
		in.gone[c.Name] = max(in.gone[c.Name], v.ID)
	}
	if up != nil {
		id := uploadID{c.Name, c.Upload}
		s.unnameParts(up)
		delete(in.uploads, id)
		in.completed[id] = cloneCompletion(meta.Completion{
			Version: steps.Add.ID, At: c.Now, Summary: steps.Add.Summary, Parts: steps.Add.Parts,
		})
	}
}
