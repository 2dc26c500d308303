package metadata

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/durable"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Commit implements meta.Versions. The package comment tells how it works.
func (s *Store) Commit(ctx context.Context, c meta.Change) (meta.Outcome, error) {
	const op = "metadata.Commit"
	if err := s.enter(ctx, op); err != nil {
		return meta.Outcome{}, err
	}
	defer s.gate.Leave()
	if c.Op == meta.Put && c.Version.Visible() {
		if err := s.opts.Admit(int64(len(c.Version.Content.Map.Kept))); err != nil {
			return meta.Outcome{}, errs.Wrap(op, errs.Internal, err)
		}
	}
	stripe, source := s.stripe(c.Container, c.Name), -1
	if c.Source != nil {
		source = s.stripe(c.Source.Container, c.Source.Name)
	}
	t := &tx{s: s, change: c}
	if err := t.run(stripe, source); err != nil {
		// What was read to refuse it must be as durable as an answer.
		for _, n := range [...]int{stripe, source} {
			if n < 0 {
				continue
			}
			if err := s.settle(ctx, n); err != nil {
				return meta.Outcome{}, err
			}
		}
		return meta.Outcome{}, errs.Wrap(op, errs.Internal, err)
	}
	if err := t.flight.Land(); err != nil {
		return meta.Outcome{}, err
	}
	return t.outcome, nil
}

// tx is one commit on its way.
type tx struct {
	s       *Store
	change  meta.Change
	batch   *pebble.Batch
	head    *head // before the change
	target  row   // of state.Target or, for Put, of state.Null
	second  row   // of state.Second
	delta   meta.Usage
	namings namings
	outcome meta.Outcome
	flight  *durable.Flight
}

// run does everything up to and including making the batch visible. On an error nothing was changed.
func (t *tx) run(stripe, source int) error {
	s, c := t.s, &t.change
	box, err := s.container(c.Container)
	if err != nil {
		return err
	}
	account, err := s.account(c.Account)
	if err != nil {
		return err
	}
	box.gate.RLock()
	defer box.gate.RUnlock()
	if box.sealed && c.Op == meta.Put {
		return errs.E("metadata.Commit", errs.NotFound, errs.Container, c.Container.String())
	}
	t.batch = s.db.NewBatch()
	defer s.lockNames(stripe, source)()
	if err := t.plan(stripe); err != nil {
		_ = t.batch.Close()
		return err
	}
	if err := t.apply(stripe, account, box); err != nil {
		return err
	}
	if c.Op == meta.Remove {
		s.names[stripe].forget(s.hash(c.Container, c.Name), t.outcome.Dropped[0].ID, c.Now)
	}
	return nil
}

// apply settles the holders and the counters (account may be nil when they do not change) and makes the batch visible. The caller has
// the name's stripe and the container's gate. On an error nothing was changed.
func (t *tx) apply(stripe int, account *tally, box *container) error {
	s, c := t.s, &t.change
	t.namings.lock(s)
	defer t.namings.unlock()
	err := t.namings.write(s, t.batch, c.Now)
	if err == nil {
		err = reserve(account, box, t.delta, c.Limits)
	}
	if err != nil {
		_ = t.batch.Close()
		return err
	}
	box.count(t.batch, c.Account, c.Container, t.delta)
	flight := s.log.Prepare(t.batch)
	last := s.names[stripe].flight.Swap(flight)
	if err := flight.Apply(); err != nil {
		s.names[stripe].flight.Store(last)
		if t.delta != (meta.Usage{}) {
			account.add(t.delta.Neg())
			box.tally.add(t.delta.Neg())
		}
		return err
	}
	t.flight = flight
	t.namings.applied(s)
	if t.delta != (meta.Usage{}) && !box.owned.Load() {
		box.owned.Store(true)
	}
	return nil
}

// plan reads the state of the name, lets meta.Plan decide, and writes what it decided into the batch.
func (t *tx) plan(stripe int) error {
	c := &t.change
	var upload *openUpload
	if c.Upload != "" {
		var err error
		if upload, err = t.s.readUpload(meta.UploadKey{Container: c.Container, Name: c.Name, ID: c.Upload}); err != nil {
			return err
		}
	}
	state, err := t.read()
	if err != nil {
		return err
	}
	if gone := t.s.names[stripe].gone; c.Op == meta.Put && len(gone) > 0 {
		state.Gone = gone[t.s.hash(c.Container, c.Name)]
	}
	steps, err := meta.Plan(*c, state)
	if err != nil {
		return err
	}
	if err := t.checkSource(); err != nil {
		return err
	}
	t.delta = steps.Delta
	t.outcome = meta.Outcome{Version: steps.Add, Dropped: steps.Drop, Before: state.Newest}
	switch {
	case steps.Add != nil:
		t.add(steps)
	case c.Op == meta.Amend:
		t.outcome.Version = steps.Replace
		t.replace(steps.Replace)
	default:
		t.remove(steps)
	}
	if upload != nil {
		return t.finish(upload, steps.Add)
	}
	return nil
}

// read reads what meta.Plan has to know.
func (t *tx) read() (state meta.State, err error) {
	c, db := &t.change, t.s.db
	if t.head, err = readHead(db, c.Container, c.Name); err != nil || t.head == nil {
		return state, err
	}
	state.Newest = t.head.version
	which := c.Target
	if c.Op == meta.Put {
		if !c.Version.Null {
			return state, nil
		}
		which = meta.Which{By: meta.TheNull}
	}
	found, r, err := t.s.which(db, c.Container, t.head, which)
	if err != nil {
		return state, err
	}
	t.target = r
	if c.Op == meta.Put {
		state.Null = found
		return state, nil
	}
	state.Target = found
	if c.Op == meta.Amend && found != nil { // it is the outcome
		if err := withBody(db, c.Container, r, found); err != nil {
			return state, err
		}
	}
	if c.Op == meta.Remove && found == state.Newest && t.head.older > 0 {
		state.Second, t.second, err = firstOlder(db, c.Container, c.Name, state.Newest.ID)
	}
	return state, err
}

// which finds a version below a head; nil when there is none. The version of the head itself is found as the same pointer.
func (s *Store) which(db pebble.Reader, c naming.ContainerID, h *head, w meta.Which) (*object.Version, row, error) {
	id := w.ID
	switch w.By {
	case meta.Newest:
		return h.version, h.row, nil
	case meta.TheNull:
		id = h.null
	case meta.AsOf:
		before := object.IDAt(w.At)
		switch {
		case before == 0:
			return nil, row{}, nil
		case h.version.ID < before:
			return h.version, h.row, nil
		case h.older == 0:
			return nil, row{}, nil
		}
		return firstOlder(db, c, h.version.Name, before-1)
	case meta.ByID:
	}
	switch {
	case id == h.version.ID && id != 0:
		return h.version, h.row, nil
	case id == 0 || h.older == 0:
		return nil, row{}, nil
	}
	return readOlder(db, c, h.version.Name, id)
}

// checkSource tests that the version to share a holder with still stands. The caller has its stripe.
func (t *tx) checkSource() error {
	src := t.change.Source
	if src == nil {
		return nil
	}
	gone := errs.E("metadata.Commit", errs.Conflict, errs.Version, string(src.Name))
	h, err := readHead(t.s.db, src.Container, src.Name)
	if err != nil {
		return err
	}
	if h == nil {
		return gone
	}
	v, _, err := t.s.which(t.s.db, src.Container, h, meta.Which{By: meta.ByID, ID: src.ID})
	if err != nil {
		return err
	}
	if v == nil || t.change.Version == nil || v.Content.Holder != t.change.Version.Content.Holder {
		return gone
	}
	return nil
}

// add writes a new head, moves the old one into the history or drops it, and drops an earlier null version.
func (t *tx) add(steps meta.Steps) {
	v := steps.Add
	next := row{}
	if t.head != nil {
		next.older, next.null = t.head.older, t.head.null
	}
	replaced := false
	for _, d := range steps.Drop {
		t.forget(d)
		if d.ID == t.head.version.ID {
			replaced = true
		} else {
			t.deleteOlder(d.ID)
			next.older--
		}
		if next.null == d.ID {
			next.null = 0
		}
	}
	if t.head != nil && !replaced {
		t.putOlder(t.head.version.ID, t.head.row)
		next.older++
	}
	if v.Null {
		next.null = v.ID
	}
	t.record(v)
	t.putHead(v, next, t.writeRecord(v, t.putBody(v)))
}

// remove forgets one version; the next takes over if it was the newest.
func (t *tx) remove(steps meta.Steps) {
	gone := steps.Drop[0]
	t.forget(gone)
	next := t.head.row
	if next.null == gone.ID {
		next.null = 0
	}
	switch {
	case steps.Newest == nil:
		t.deleteHead()
		return
	case steps.Newest == t.head.version: // an older version goes
		t.deleteOlder(gone.ID)
	default: // the newest goes
		t.deleteOlder(steps.Newest.ID)
		next.split, next.kept, next.record = t.second.split, t.second.kept, t.second.record
		if steps.Replace != nil {
			amended := t.writeRecord(steps.Replace, t.second)
			next.split, next.record = amended.split, amended.record
		}
	}
	next.older--
	t.putHead(steps.Newest, next, next)
}

// replace writes an amended version over itself.
func (t *tx) replace(v *object.Version) {
	if v.ID == t.head.version.ID {
		t.putHead(v, t.head.row, t.writeRecord(v, t.head.row))
		return
	}
	t.putOlder(v.ID, t.writeRecord(v, t.target))
}

// putBody writes the bytes that are kept with a new version, and gives what its row says of that.
func (t *tx) putBody(v *object.Version) row {
	body := v.Content.Map.Kept
	if len(body) == 0 {
		return row{}
	}
	var key [keySize]byte
	_ = t.batch.Set(bodyKey(key[:0], t.change.Container, v.ID, t.change.Name), body, nil)
	return row{kept: true}
}

// writeRecord makes the record of a version for its row; a long detail is written on its own, and bytes that are kept with the version stand elsewhere. before
// is the row that the version has now.
func (t *tx) writeRecord(v *object.Version, before row) row {
	c := &t.change
	if before.kept {
		plain := *v
		plain.Content.Map.Kept = nil
		v = &plain
	}
	whole := object.AppendSummary(make([]byte, 0, 512), &v.Summary)
	summary := len(whole)
	whole = object.AppendRest(whole, v)
	if len(whole)-summary <= detailMax {
		if before.split {
			_ = t.batch.Delete(versionKey(nil, spaceDetail, c.Container, c.Name, v.ID), nil)
		}
		return row{kept: before.kept, record: whole}
	}
	_ = t.batch.Set(versionKey(nil, spaceDetail, c.Container, c.Name, v.ID), object.AppendDetail(nil, v), nil)
	return row{split: true, kept: before.kept, record: whole[:summary]}
}

func spaceOf(v *object.Version) byte {
	if v.Visible() {
		return spaceLive
	}
	return spaceMarker
}

// putHead makes v the head, with what about says of the name and what record says of the version.
func (t *tx) putHead(v *object.Version, about, record row) {
	var key [keySize]byte
	space := spaceOf(v)
	if t.head != nil && t.head.space != space {
		t.deleteHead()
	}
	about.split, about.kept, about.record = record.split, record.kept, record.record
	value := about.append(make([]byte, 0, len(record.record)+24), v.ID)
	_ = t.batch.Set(headKey(key[:0], space, t.change.Container, t.change.Name), value, nil)
}

func (t *tx) deleteHead() {
	var key [keySize]byte
	_ = t.batch.Delete(headKey(key[:0], t.head.space, t.change.Container, t.change.Name), nil)
}

func (t *tx) putOlder(id object.VersionID, r row) {
	var key [keySize]byte
	value := row{split: r.split, kept: r.kept, record: r.record}.append(make([]byte, 0, len(r.record)+1), id)
	_ = t.batch.Set(versionKey(key[:0], spaceHistory, t.change.Container, t.change.Name, id), value, nil)
}

func (t *tx) deleteOlder(id object.VersionID) {
	var key [keySize]byte
	_ = t.batch.Delete(versionKey(key[:0], spaceHistory, t.change.Container, t.change.Name, id), nil)
}

// record writes the rows that every version has besides its own.
func (t *tx) record(v *object.Version) {
	var key [keySize]byte
	c := &t.change
	var kind []byte
	if v.Kind != object.Data {
		kind = []byte{byte(v.Kind)}
	}
	_ = t.batch.Set(journalKey(key[:0], c.Container, v.ID, c.Name), kind, nil)
	if !v.Expires.IsZero() {
		_ = t.batch.Set(expiryKey(key[:0], v.Expires, c.Container, v.ID, c.Name), []byte(c.Account), nil)
	}
	t.namings.gain(v.Content.Holder)
}

// forget removes the rows that a version has besides its own.
func (t *tx) forget(v *object.Version) {
	var key [keySize]byte
	c := &t.change
	_ = t.batch.Delete(journalKey(key[:0], c.Container, v.ID, c.Name), nil)
	if !v.Expires.IsZero() {
		_ = t.batch.Delete(expiryKey(key[:0], v.Expires, c.Container, v.ID, c.Name), nil)
	}
	r := t.rowOf(v)
	if r.split {
		_ = t.batch.Delete(versionKey(key[:0], spaceDetail, c.Container, c.Name, v.ID), nil)
	}
	if r.kept {
		_ = t.batch.Delete(bodyKey(key[:0], c.Container, v.ID, c.Name), nil)
	}
	t.namings.lose(v.Content.Holder, true)
}

// rowOf is the row of a version that was read and is to go.
func (t *tx) rowOf(v *object.Version) row {
	if v.ID == t.head.version.ID {
		return t.head.row
	}
	return t.target
}
