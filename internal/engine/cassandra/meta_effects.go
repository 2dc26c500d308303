package cassandra

import (
	"context"
	"encoding/binary"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// effects is what follows from a change outside its cell. It is kept as JSON in the cell. Every effect may be brought about again.
type effects struct {
	ID      gocql.UUID
	Gen     int64
	Account naming.AccountID `json:",omitzero"`
	Delta   meta.Usage       `json:",omitzero"`
	Listed  *listed          `json:",omitzero"`
	Add     []mark           `json:",omitzero"`
	Drop    []mark           `json:",omitzero"`
	Unname  []name           `json:",omitzero"`
	Close   *closing         `json:",omitzero"` // an upload that the change finishes
	Parts   bool             `json:",omitzero"` // the upload is over: its parts go
	Done    int64            `json:",omitzero"` // the upload is completed: when
}

// listed is how the name is listed from now on.
type listed struct{ Summary []byte } // nil: not at all

// mark is a version's place in the indexes by time.
type mark struct {
	Seq     int64
	Kind    object.Kind
	Expires int64 `json:",omitzero"`
}

// name is a name that a holder loses.
type name struct {
	Holder block.Holder
	Namer  gocql.UUID
	Died   int64
}

// closing is the end of an upload.
type closing struct {
	Upload     string
	At         int64
	Completion []byte
}

var (
	putEntry    = statement{`INSERT INTO %k.entry (container, name, rec) VALUES (?, ?, ?) USING TIMESTAMP ?`, plainWrite, gocql.LocalQuorum}
	dropEntry   = statement{`DELETE FROM %k.entry USING TIMESTAMP ? WHERE container = ? AND name = ?`, plainWrite, gocql.LocalQuorum}
	addPending  = statement{`INSERT INTO %k.pending (container, name, upload) VALUES (?, ?, ?) USING TIMESTAMP 1`, plainWrite, gocql.LocalQuorum}
	dropPending = statement{`DELETE FROM %k.pending USING TIMESTAMP 2 WHERE container = ? AND name = ? AND upload = ?`, plainWrite, gocql.LocalQuorum}
)

// finish brings the effects of an applied change about and removes its redo row. It goes on when the caller does not wait any more: a change
// is better finished by its own process.
func (m *Meta) finish(ctx context.Context, ch *change, e effects) error {
	ctx = context.WithoutCancel(ctx)
	if err := m.bring(ctx, ch.cellKey, e); err != nil {
		return err
	}
	if len(ch.reserved) > 0 {
		if err := m.unreserve(ctx, ch.id, ch.note.Account, ch.container); err != nil {
			return err
		}
	}
	if err := m.end(ctx, ch.cellKey, ch.id, ch.begun); err != nil {
		return err
	}
	if err := m.unintend(ctx, ch.note.Holder, ch.used); err != nil {
		return err
	}
	return m.foldSometimes(ctx, e.Account, ch.container)
}

// bring brings the effects of a change about.
func (m *Meta) bring(ctx context.Context, k cellKey, e effects) error {
	g, gctx := limited(ctx)
	if e.Delta != (meta.Usage{}) {
		for _, owner := range []string{ownerOfAccount(e.Account), ownerOfContainer(k.container)} {
			g.Go(func() error { return m.count(gctx, owner, e.ID, e.Delta) })
		}
	}
	if e.Listed != nil {
		g.Go(func() error {
			if e.Listed.Summary == nil {
				return m.s.exec(gctx, dropEntry, e.Gen, gocql.UUID(k.container), []byte(k.name))
			}
			return m.s.exec(gctx, putEntry, gocql.UUID(k.container), []byte(k.name), e.Listed.Summary, e.Gen)
		})
	}
	for _, v := range e.Add {
		g.Go(func() error { return m.mark(gctx, k, e.Account, v) })
	}
	for _, v := range e.Drop {
		g.Go(func() error { return m.unmark(gctx, k, v) })
	}
	for _, n := range e.Unname {
		g.Go(func() error { return m.unname(gctx, n.Holder, n.Namer, n.Died, nil) })
	}
	if e.Done != 0 {
		g.Go(func() error { return m.index(gctx, timedCompleted, e.Done, appendKey(nil, k), nil) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if e.Parts {
		if err := m.dropPartsOf(ctx, k); err != nil {
			return err
		}
	}
	if e.Close != nil {
		return m.close(ctx, k, e.ID, *e.Close)
	}
	return nil
}

// mark puts a version into the indexes by time.
func (m *Meta) mark(ctx context.Context, k cellKey, account naming.AccountID, v mark) error {
	if err := m.index(ctx, timedChange+k.container.String(), v.Seq, []byte(k.name), []byte{byte(v.Kind)}); err != nil || v.Expires == 0 {
		return err
	}
	return m.index(ctx, timedExpiry, v.Expires, expiryID(k, v.Seq), []byte(account))
}

// unmark takes a version out of the indexes by time.
func (m *Meta) unmark(ctx context.Context, k cellKey, v mark) error {
	if err := m.unindex(ctx, timedChange+k.container.String(), v.Seq, []byte(k.name)); err != nil || v.Expires == 0 {
		return err
	}
	return m.unindex(ctx, timedExpiry, v.Expires, expiryID(k, v.Seq))
}

// expiryID is a version in the expiry index: container, id, name.
func expiryID(k cellKey, seq int64) []byte {
	id := append([]byte(nil), k.container[:]...)
	id = binary.BigEndian.AppendUint64(id, uint64(seq))
	return append(id, k.name...)
}
