package metadata

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// holderStripe serialises the changes of the holders that fall on it (by their first byte: holders are random).
type holderStripe struct {
	sync.Mutex
	// intents are the intents of this process that are no leases, with their ends. They have rows too, so that the next process
	// finds what this one left; their ends in the rows do not matter and are not kept up to date.
	intents map[block.Holder]time.Time
}

func (s *Store) holderStripe(h block.Holder) *holderStripe { return &s.holders[h[0]] }

// holderState is the row of a holder that has or had names.
type holderState struct {
	names uint64    // how many versions and parts name it
	dead  bool      // it has no names and never will
	died  time.Time // if dead
}

func (st holderState) append(dst []byte) []byte {
	if st.dead {
		return appendTime(append(dst, 0), st.died)
	}
	return binary.AppendUvarint(dst, st.names)
}

func parseHolderState(raw []byte) (st holderState, err error) {
	if len(raw) == 0 {
		return st, nil
	}
	n, size := binary.Uvarint(raw)
	switch {
	case n > 0 && size == len(raw):
		st.names = n
	case n == 0 && size == 1 && len(raw) == 1+idLen:
		st.dead, st.died = true, timeOf(raw[1:])
	default:
		return st, errs.E("metadata.parseHolderState", errs.Corrupt, errs.Holder, "")
	}
	return st, nil
}

func readHolder(db pebble.Reader, h block.Holder) (holderState, error) {
	var buf [32]byte
	raw, err := get(db, holderKey(buf[:0], spaceHolder, h))
	if err != nil {
		return holderState{}, err
	}
	return parseHolderState(raw)
}

// intent is the row of an intent.
type intent struct {
	lease   bool
	expires time.Time
	account naming.AccountID
}

func (in intent) append(dst []byte) []byte {
	var lease byte
	if in.lease {
		lease = 1
	}
	return append(appendTime(append(dst, lease), in.expires), in.account...)
}

func parseIntent(raw []byte) (intent, error) {
	if len(raw) < 1+idLen || raw[0] > 1 {
		return intent{}, errs.E("metadata.parseIntent", errs.Corrupt, errs.Holder, "")
	}
	return intent{raw[0] == 1, timeOf(raw[1:]), naming.AccountID(raw[1+idLen:])}, nil
}

// readLease reads the row of a lease; ok is false when there is none.
func readLease(db pebble.Reader, h block.Holder) (in intent, ok bool, err error) {
	raw, err := get(db, holderKey(nil, spaceIntent, h))
	if raw == nil || err != nil {
		return in, false, err
	}
	in, err = parseIntent(raw)
	return in, in.lease, err
}

// bury makes h dead in the batch.
func bury(b *pebble.Batch, h block.Holder, died time.Time) {
	var key [32]byte
	var value [16]byte
	_ = b.Set(holderKey(key[:0], spaceHolder, h), holderState{dead: true, died: died}.append(value[:0]), nil)
	_ = b.Set(timedHolderKey(key[:0], spaceDead, died, h), nil, nil)
}

// dropIntent removes the rows of an intent in the batch.
func dropIntent(b *pebble.Batch, h block.Holder, lease bool, expires time.Time) {
	var key [32]byte
	_ = b.Delete(holderKey(key[:0], spaceIntent, h), nil)
	if lease {
		_ = b.Delete(timedHolderKey(key[:0], spaceLease, expires, h), nil)
	}
}

// namings collects what a change does to holders.
type namings struct {
	changes []namingChange
	used    []block.Holder // whose intents were used up, to be forgotten once the batch is applied
	locked  []*holderStripe
}

type namingChange struct {
	holder  block.Holder
	gained  int
	lost    int
	version bool // a version lost it, so there may be readers
}

func (n *namings) gain(h block.Holder) {
	if !h.IsZero() {
		n.changes = append(n.changes, namingChange{holder: h, gained: 1})
	}
}

func (n *namings) lose(h block.Holder, version bool) {
	if !h.IsZero() {
		n.changes = append(n.changes, namingChange{holder: h, lost: 1, version: version})
	}
}

// lock merges the changes of each holder and locks the stripes, in order.
func (n *namings) lock(s *Store) {
	slices.SortFunc(n.changes, func(a, b namingChange) int { return bytes.Compare(a.holder[:], b.holder[:]) })
	merged := n.changes[:0]
	for _, c := range n.changes {
		if last := len(merged) - 1; last >= 0 && merged[last].holder == c.holder {
			merged[last].gained += c.gained
			merged[last].lost += c.lost
			merged[last].version = merged[last].version || c.version
			continue
		}
		merged = append(merged, c)
	}
	n.changes = merged
	for _, c := range n.changes {
		stripe := s.holderStripe(c.holder)
		if len(n.locked) == 0 || n.locked[len(n.locked)-1] != stripe {
			stripe.Lock()
			n.locked = append(n.locked, stripe)
		}
	}
}

func (n *namings) unlock() {
	for _, stripe := range n.locked {
		stripe.Unlock()
	}
	n.locked = nil
}

// write puts the changes into the batch. Conflict/Holder: one that gains a name has neither an intent nor a name.
func (n *namings) write(s *Store, b *pebble.Batch, now time.Time) error {
	for _, c := range n.changes {
		st, err := s.holderState(c.holder)
		if err != nil {
			return err
		}
		if c.gained > 0 && st.names == 0 {
			if err := n.useIntent(s, b, c.holder, st); err != nil {
				return err
			}
		}
		names := int64(st.names) + int64(c.gained) - int64(c.lost)
		switch {
		case c.gained == c.lost:
		case names > 0:
			var key, value [32]byte
			_ = b.Set(holderKey(key[:0], spaceHolder, c.holder), holderState{names: uint64(names)}.append(value[:0]), nil)
		default:
			var died time.Time
			if c.version {
				died = now
			}
			bury(b, c.holder, died)
		}
	}
	return nil
}

// holderState is the state of h, whose stripe is locked. A holder with an intent of this process has no row, which costs a look into
// all of Pebble's levels to find out: Intend saw to that, and the intent goes when a row comes.
func (s *Store) holderState(h block.Holder) (holderState, error) {
	if _, ok := s.holderStripe(h).intents[h]; ok {
		return holderState{}, nil
	}
	return readHolder(s.db, h)
}

func (n *namings) useIntent(s *Store, b *pebble.Batch, h block.Holder, st holderState) error {
	fenced := errs.E("metadata.Commit", errs.Conflict, errs.Holder, "")
	if st.dead {
		return fenced
	}
	if _, ok := s.holderStripe(h).intents[h]; ok {
		dropIntent(b, h, false, time.Time{})
		n.used = append(n.used, h)
		return nil
	}
	in, ok, err := readLease(s.db, h)
	if err != nil {
		return err
	}
	if !ok {
		return fenced
	}
	dropIntent(b, h, true, in.expires)
	return nil
}

// applied forgets the intents that were used up.
func (n *namings) applied(s *Store) {
	for _, h := range n.used {
		delete(s.holderStripe(h).intents, h)
	}
}

// Intend implements meta.Holders. Conflict/Holder when h has been used already.
func (s *Store) Intend(ctx context.Context, h block.Holder, in meta.Intent) error {
	const op = "metadata.Intend"
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := s.opts.Admit(0); err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	if err := s.intend(h, in); err != nil {
		return errs.Wrap(op, errs.Internal, err)
	}
	if s.opts.SharedLog {
		return nil
	}
	return s.log.Sync()
}

// intend makes the intent visible.
func (s *Store) intend(h block.Holder, in meta.Intent) error {
	stripe := s.holderStripe(h)
	stripe.Lock()
	defer stripe.Unlock()
	st, err := readHolder(s.db, h)
	if err != nil {
		return err
	}
	if st.dead || st.names > 0 {
		return errs.E("metadata.Intend", errs.Conflict, errs.Holder, h.String())
	}
	if _, again := stripe.intents[h]; again && !in.Lease {
		stripe.intents[h] = in.Expires
		return nil
	}
	b := s.db.NewBatch()
	if in.Lease {
		if old, ok, err := readLease(s.db, h); err != nil {
			return err
		} else if ok {
			dropIntent(b, h, true, old.expires)
		}
	}
	writeIntent(b, h, intent{in.Lease, in.Expires, in.Account})
	if err := s.log.WriteUnsynced(b); err != nil {
		return err
	}
	if in.Lease {
		delete(stripe.intents, h) // from now on its row counts
	} else {
		stripe.intents[h] = in.Expires
	}
	return nil
}

func writeIntent(b *pebble.Batch, h block.Holder, in intent) {
	var key [32]byte
	var value [64]byte
	_ = b.Set(holderKey(key[:0], spaceIntent, h), in.append(value[:0]), nil)
	if in.lease {
		_ = b.Set(timedHolderKey(key[:0], spaceLease, in.expires, h), nil, nil)
	}
}

// Extend implements meta.Holders.
func (s *Store) Extend(ctx context.Context, h block.Holder, expires time.Time) error {
	if err := s.enter(ctx, "metadata.Extend"); err != nil {
		return err
	}
	defer s.gate.Leave()
	lease, err := s.extend(h, expires)
	if err != nil || !lease {
		return err
	}
	return s.log.Sync()
}

// extend makes the longer intent visible. The end of one that is no lease is not stored.
func (s *Store) extend(h block.Holder, expires time.Time) (lease bool, err error) {
	stripe := s.holderStripe(h)
	stripe.Lock()
	defer stripe.Unlock()
	if end, ok := stripe.intents[h]; ok {
		if expires.After(end) {
			stripe.intents[h] = expires
		}
		return false, nil
	}
	in, ok, err := readLease(s.db, h)
	switch {
	case err != nil:
		return false, err
	case !ok:
		return false, errs.E("metadata.Extend", errs.Conflict, errs.Holder, h.String())
	case !expires.After(in.expires):
		return true, nil
	}
	b := s.db.NewBatch()
	dropIntent(b, h, true, in.expires)
	in.expires = expires
	writeIntent(b, h, in)
	return true, s.log.WriteUnsynced(b)
}

// Abandon implements meta.Holders.
func (s *Store) Abandon(ctx context.Context, h block.Holder) error {
	if err := s.enter(ctx, "metadata.Abandon"); err != nil {
		return err
	}
	defer s.gate.Leave()
	if h.IsZero() {
		return nil
	}
	lease, err := s.abandon(h)
	if err != nil || !lease {
		// Not synced: after a power cut that takes this back, the old intent or the orphan is found, and ends the same.
		return err
	}
	return s.log.Sync()
}

func (s *Store) abandon(h block.Holder) (lease bool, err error) {
	stripe := s.holderStripe(h)
	stripe.Lock()
	defer stripe.Unlock()
	st, err := readHolder(s.db, h)
	if err != nil || st.dead || st.names > 0 {
		return false, err
	}
	in, lease, err := readLease(s.db, h)
	if err != nil {
		return false, err
	}
	b := s.db.NewBatch()
	dropIntent(b, h, lease, in.expires)
	bury(b, h, time.Time{})
	if err := s.log.WriteUnsynced(b); err != nil {
		return false, err
	}
	delete(stripe.intents, h)
	return lease, nil
}

// Reap implements meta.Holders.
func (s *Store) Reap(ctx context.Context, now time.Time, limit int) (int, error) {
	if err := s.enter(ctx, "metadata.Reap"); err != nil {
		return 0, err
	}
	defer s.gate.Leave()
	reaped := 0
	for i := range s.holders {
		n, err := s.reapIntents(&s.holders[i], now, limit-reaped)
		reaped += n
		if err != nil {
			return reaped, err
		}
	}
	n, err := s.reapLeases(now, limit-reaped)
	reaped += n
	if err != nil {
		return reaped, err
	}
	return reaped, s.forgetCompletions(now.Add(-meta.CompletedFor), limit)
}

// reapIntents buries the expired intents of one stripe. Unsynced: a power cut makes all intents of the process dead anyway.
func (s *Store) reapIntents(stripe *holderStripe, now time.Time, limit int) (int, error) {
	stripe.Lock()
	defer stripe.Unlock()
	b := s.db.NewBatch()
	var gone []block.Holder
	for h, end := range stripe.intents {
		if len(gone) >= limit {
			break
		}
		if !end.After(now) {
			dropIntent(b, h, false, end)
			bury(b, h, time.Time{})
			gone = append(gone, h)
		}
	}
	if err := s.log.WriteUnsynced(b); err != nil {
		return 0, err
	}
	for _, h := range gone {
		delete(stripe.intents, h)
	}
	return len(gone), nil
}

// reapLeases buries expired leases, the earliest first.
func (s *Store) reapLeases(now time.Time, limit int) (int, error) {
	due, err := s.timedHolders(spaceLease, now, limit)
	if err != nil {
		return 0, err
	}
	reaped := 0
	for _, d := range due {
		ok, err := s.reapLease(d, now)
		if err != nil {
			return reaped, err
		}
		if ok {
			reaped++
		}
	}
	if reaped == 0 {
		return 0, nil
	}
	return reaped, s.log.Sync()
}

func (s *Store) reapLease(d timedHolder, now time.Time) (bool, error) {
	stripe := s.holderStripe(d.holder)
	stripe.Lock()
	defer stripe.Unlock()
	in, ok, err := readLease(s.db, d.holder)
	if err != nil || !ok || in.expires.After(now) { // it was used or extended meanwhile
		return false, err
	}
	b := s.db.NewBatch()
	dropIntent(b, d.holder, true, in.expires)
	bury(b, d.holder, time.Time{})
	return true, s.log.WriteUnsynced(b)
}

type timedHolder struct {
	at     time.Time
	holder block.Holder
}

// timedHolders lists a space that is ordered by time.
func (s *Store) timedHolders(space byte, until time.Time, limit int) ([]timedHolder, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: timeAfter(space, until)})
	if err != nil {
		return nil, wrap(err)
	}
	defer func() { _ = it.Close() }()
	var list []timedHolder
	for ok := it.First(); ok && len(list) < limit; ok = it.Next() {
		at, h, ok := cutTimedHolderKey(it.Key())
		if !ok {
			return nil, errs.E("metadata.timedHolders", errs.Corrupt, errs.Holder, "")
		}
		list = append(list, timedHolder{at, h})
	}
	return list, wrap(it.Error())
}

// Dead implements meta.Holders.
func (s *Store) Dead(ctx context.Context, until time.Time, limit int) ([]block.Holder, error) {
	if err := s.enter(ctx, "metadata.Dead"); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	list, err := s.timedHolders(spaceDead, until, limit)
	if err == nil && len(list) > 0 {
		err = s.log.Sync() // a death that a power cut can take back must not be acted upon
	}
	if err != nil {
		return nil, err
	}
	holders := make([]block.Holder, len(list))
	for i, d := range list {
		holders[i] = d.holder
	}
	return holders, nil
}

// Forget implements meta.Holders. It is not synced: what comes back after a power cut is released and forgotten again.
func (s *Store) Forget(ctx context.Context, holders []block.Holder) error {
	if err := s.enter(ctx, "metadata.Forget"); err != nil {
		return err
	}
	defer s.gate.Leave()
	b := s.db.NewBatch()
	var key [32]byte
	for _, h := range holders {
		st, err := readHolder(s.db, h) // a dead holder stays dead, so no lock is needed
		if err != nil {
			return err
		}
		if st.dead {
			_ = b.Delete(holderKey(key[:0], spaceHolder, h), nil)
			_ = b.Delete(timedHolderKey(key[:0], spaceDead, st.died, h), nil)
		}
	}
	return s.log.WriteUnsynced(b)
}

// Alive implements meta.Holders.
func (s *Store) Alive(ctx context.Context, holders []block.Holder) ([]bool, error) {
	if err := s.enter(ctx, "metadata.Alive"); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	alive := make([]bool, len(holders))
	for i, h := range holders {
		var err error
		if alive[i], err = s.alive(h); err != nil {
			return nil, err
		}
	}
	return alive, nil
}

func (s *Store) alive(h block.Holder) (bool, error) {
	stripe := s.holderStripe(h)
	stripe.Lock() // so that a holder on its way from intent to name is not missed
	defer stripe.Unlock()
	if _, ok := stripe.intents[h]; ok {
		return true, nil
	}
	st, err := readHolder(s.db, h)
	if err != nil || st.names > 0 {
		return st.names > 0, err
	}
	_, ok, err := readLease(s.db, h)
	return ok, err
}

// buryOldIntents makes the intents of an earlier process dead, but for leases. They stand alone in their space, so this costs what
// that process left and no more.
func (s *Store) buryOldIntents() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceIntent}, UpperBound: []byte{spaceIntent + 1}})
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = it.Close() }()
	b := s.db.NewBatch()
	for ok := it.First(); ok; ok = it.Next() {
		raw, err := it.ValueAndErr()
		if err != nil {
			return wrap(err)
		}
		in, err := parseIntent(raw)
		if err != nil || len(it.Key()) != 1+len(block.Holder{}) {
			return errs.E("metadata.New", errs.Corrupt, errs.Holder, "")
		}
		if in.lease {
			continue
		}
		h := block.Holder(it.Key()[1:])
		dropIntent(b, h, false, in.expires)
		bury(b, h, time.Time{})
		if b.Count() >= 3000 {
			if err := s.log.WriteUnsynced(b); err != nil {
				return err
			}
			b = s.db.NewBatch()
		}
	}
	if err := it.Error(); err != nil {
		return wrap(err)
	}
	return s.log.WriteUnsynced(b)
}
