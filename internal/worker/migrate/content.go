package migrate

import (
	"context"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

const (
	intended   = 24 * time.Hour // that a holder's intent lasts; it is extended while blocks are sent
	extendFrom = 512            // blocks of one version after which it is
	holdAtOnce = 256            // ids
)

// standIn is the holder that the target has for one of the source, and a version that names it.
type standIn struct {
	holder block.Holder
	at     meta.Source
}

func (p *pass) remember(from, to block.Holder, at meta.Source) {
	if from.IsZero() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.holders) >= holdersKept {
		clear(p.holders)
	}
	p.holders[from] = standIn{to, at}
}

func (p *pass) forget(from block.Holder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.holders, from)
}

// content sees to it that the target holds the blocks of a content. Copies share a holder on both sides: then source is a version of the target that
// has it.
func (p *pass) content(ctx context.Context, account naming.AccountID, c object.Content) (held object.Content, source *meta.Source, err error) {
	if c.Holder.IsZero() {
		if len(c.Map.Kept) > 0 && c.Keeps() && block.Sum(c.Map.Kept) != c.Map.Refs[0].ID {
			err = errs.E("", errs.Corrupt, errs.Block, c.Map.Refs[0].ID.String()).
				Because("", "bytes that a version of the source keeps do not match their hash; see pithos scrub")
		}
		return c, nil, err
	}
	p.mu.Lock()
	known, ok := p.holders[c.Holder]
	p.mu.Unlock()
	if ok {
		c.Holder = known.holder
		return c, &known.at, nil
	}
	c.Holder = block.NewHolder()
	in := meta.Intent{Account: account, Expires: p.o.Clock.Now().Add(intended), Lease: true}
	if err := p.to.Meta.Intend(ctx, c.Holder, in); err != nil {
		return c, nil, err
	}
	s := &sender{p: p, hold: blob.Hold{Holder: c.Holder, Account: account}}
	for _, m := range []block.Map{c.Map, c.Document} {
		if err = p.walk(ctx, m.Depth, m.Refs, s.add); err != nil {
			break
		}
	}
	if err == nil {
		err = s.flush(ctx)
	}
	if err == nil {
		err = p.to.Blobs.Sync(ctx)
	}
	if err != nil {
		_ = p.to.Meta.Abandon(context.WithoutCancel(ctx), c.Holder) // otherwise it expires
	}
	return c, nil, err
}

// walk calls fn for every block of a map of the source, map blocks included.
func (p *pass) walk(ctx context.Context, depth uint8, refs []block.Ref, fn func(context.Context, block.ID) error) error {
	for _, r := range refs {
		if err := fn(ctx, r.ID); err != nil {
			return err
		}
		if depth == 0 {
			continue
		}
		below, err := p.entries(ctx, r)
		if err != nil {
			return err
		}
		if err := p.walk(ctx, depth-1, below, fn); err != nil {
			return err
		}
	}
	return nil
}

// entries reads a map block of the source.
func (p *pass) entries(ctx context.Context, ref block.Ref) ([]block.Ref, error) {
	raw := make([]byte, block.FanOut*block.EntrySize)
	n, err := p.from.Blobs.Read(ctx, ref.ID, 0, raw)
	if err != nil {
		return nil, err
	}
	refs, err := block.ParseEntries(raw[:(n+block.EntrySize-1)/block.EntrySize*block.EntrySize]) // a map block's last entry is never zero
	if err == nil && (block.Map{Refs: refs}).Size() != ref.Len {
		err = errs.E("", errs.Corrupt, errs.Block, ref.ID.String())
	}
	return refs, err
}

// sender lets a holder of the target hold blocks and sends those that the target lacks.
type sender struct {
	p    *pass
	hold blob.Hold
	ids  []block.ID
	seen int
}

func (s *sender) add(ctx context.Context, id block.ID) error {
	if s.ids = append(s.ids, id); len(s.ids) < holdAtOnce {
		return nil
	}
	return s.flush(ctx)
}

func (s *sender) flush(ctx context.Context) error {
	if len(s.ids) == 0 {
		return nil
	}
	absent, err := s.p.to.Blobs.Hold(ctx, s.hold, s.ids)
	if err != nil {
		return err
	}
	for _, id := range absent {
		if err := s.send(ctx, id); err != nil {
			return err
		}
	}
	if s.seen += len(s.ids); s.seen >= extendFrom {
		s.seen = 0
		if err := s.p.to.Meta.Extend(ctx, s.hold.Holder, s.p.o.Clock.Now().Add(intended)); err != nil {
			return err
		}
	}
	s.ids = s.ids[:0]
	return nil
}

// send brings a block over. Its bytes are those of its id, or it is not sent.
func (s *sender) send(ctx context.Context, id block.ID) error {
	buf := s.p.buffers.Get().(*[]byte)
	defer s.p.buffers.Put(buf)
	n, err := s.p.from.Blobs.Read(ctx, id, 0, *buf)
	if err != nil {
		return err
	}
	data := block.Strip((*buf)[:n])
	if block.Sum(data) != id {
		return errs.E("", errs.Corrupt, errs.Block, id.String()).Because("", "a block of the source does not match its hash; see pithos scrub")
	}
	if err := s.p.to.Blobs.Put(ctx, s.hold, id, data); err != nil {
		return err
	}
	s.p.t.blocksSent.Add(1)
	s.p.t.bytesSent.Add(int64(n))
	return nil
}

// present looks in the target for every block of a version of the source.
func (p *pass) present(ctx context.Context, v *object.Version) error {
	var ids []block.ID
	look := func() error {
		want := map[block.ID]bool{}
		for _, id := range ids {
			if id != block.Empty {
				want[id] = true
			}
		}
		ids = ids[:0]
		if err := p.to.Blobs.Stat(ctx, keysOfMap(want), func(id block.ID, _ int64) { delete(want, id) }); err != nil {
			return err
		}
		for id := range want {
			if err := p.differ(ctx, "block that the target lacks", id.String(), nil); err != nil {
				return err
			}
		}
		return nil
	}
	add := func(_ context.Context, id block.ID) error {
		if ids = append(ids, id); len(ids) < holdAtOnce {
			return nil
		}
		return look()
	}
	for _, m := range []block.Map{v.Content.Map, v.Content.Document} {
		if m.Kept != nil {
			continue
		}
		if err := p.walk(ctx, m.Depth, m.Refs, add); err != nil {
			return err
		}
	}
	return look()
}

func keysOfMap(m map[block.ID]bool) []block.ID {
	list := make([]block.ID, 0, len(m))
	for id := range m {
		list = append(list, id)
	}
	return list
}

// uploads brings the open uploads of a container over, with their parts.
func (p *pass) uploads(ctx context.Context, c bucket.Container) error {
	have, err := pending(ctx, p.from.Meta, c.ID)
	if err != nil {
		return err
	}
	there, err := pending(ctx, p.to.Meta, c.ID)
	if err != nil {
		return err
	}
	for k := range there {
		if _, ok := have[k]; ok {
			continue
		}
		if err := p.differ(ctx, "upload", k.ID, func() error { return p.to.Meta.Abort(ctx, k) }); err != nil {
			return err
		}
	}
	for k, u := range have {
		p.t.uploads.Add(1)
		if _, ok := there[k]; !ok {
			if err := p.differ(ctx, "upload", k.ID, func() error { return p.to.Meta.Begin(ctx, u) }); err != nil {
				return err
			}
			if p.o.Check {
				continue
			}
		}
		if err := p.parts(ctx, c, k); err != nil {
			return err
		}
	}
	return nil
}

func pending(ctx context.Context, m meta.Store, id naming.ContainerID) (map[meta.UploadKey]meta.Upload, error) {
	all := map[meta.UploadKey]meta.Upload{}
	err := m.Pending(ctx, id, "", "", func(u meta.Upload) bool { all[u.UploadKey] = u; return true })
	return all, err
}

func partsOf(ctx context.Context, m meta.Store, k meta.UploadKey) (map[int]meta.Part, error) {
	all := map[int]meta.Part{}
	err := m.Parts(ctx, k, -1, func(part meta.Part) bool { all[part.Number] = part; return true })
	if missing(err) {
		return nil, nil // it ended meanwhile
	}
	return all, err
}

// parts brings the parts of an upload over.
func (p *pass) parts(ctx context.Context, c bucket.Container, k meta.UploadKey) error {
	have, err := partsOf(ctx, p.from.Meta, k)
	if err != nil {
		return err
	}
	there, err := partsOf(ctx, p.to.Meta, k)
	if err != nil {
		return err
	}
	for n, part := range have {
		if t, ok := there[n]; ok && equal(part.Part, t.Part) && equal(part.Content.Map, t.Content.Map) {
			continue
		}
		err := p.differ(ctx, "part of upload", k.ID, func() error {
			content, _, err := p.content(ctx, c.Account, part.Content)
			if missing(err) {
				return nil // replaced or gone meanwhile: the next pass sees what became of it
			}
			if err != nil {
				return err
			}
			part.Content = content
			p.t.added.Add(1)
			return p.to.Meta.PutPart(ctx, k, part, meta.Limits{})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
