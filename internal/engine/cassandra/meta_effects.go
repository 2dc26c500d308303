package cassandra

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"sync"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/block"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// effects is what follows from a change outside its cell. It is kept as JSON in the cell. Every effect may be brought about again.
type effects struct {
	ID           gocql.UUID
	Gen          int64
	Proc         gocql.UUID       // whose log has the change
	Chunk        int64            // of the container's log
	AccountChunk int64            `json:",omitzero"`
	Account      naming.AccountID `json:",omitzero"`
	Delta        meta.Usage       `json:",omitzero"`
	Listed       *listed          `json:",omitzero"`
	Add          []mark           `json:",omitzero"`
	Drop         []mark           `json:",omitzero"`
	Unname       []name           `json:",omitzero"`
	Close        *closing         `json:",omitzero"` // an upload that the change finishes
	Parts        bool             `json:",omitzero"` // the upload is over: its parts go
	Done         int64            `json:",omitzero"` // the upload is completed: when
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

// log is the place of the change in its container's log.
func (e *effects) log(k cellKey) place {
	return place{ownerOfContainer(k.container), e.Proc, e.Chunk}
}

// finish brings the effects of an applied change about and makes its row of the log done. It goes on when the caller does not wait any more: a
// change is better finished by its own process.
func (m *Meta) finish(ctx context.Context, ch *change, e effects) error {
	ctx = context.WithoutCancel(ctx)
	var tidy sync.WaitGroup
	defer tidy.Wait()
	tidy.Go(func() { _ = m.unintend(ctx, ch.note.Holder, ch.used) }) // Reap does what fails here
	if err := m.bringOutside(ctx, ch.cellKey, e); err != nil {
		return err
	}
	k := logKey{ch.cellKey, ch.id}
	if len(ch.reserved) > 0 && e.Delta == (meta.Usage{}) {
		if err := m.unreserve(ctx, ch.log, k, ch.note); err != nil {
			return err
		}
	}
	return m.end(ctx, ch.log, k, e.Delta)
}

// bring brings the effects of a change about.
func (m *Meta) bring(ctx context.Context, k cellKey, e effects) error {
	if e.Delta != (meta.Usage{}) {
		raw, err := json.Marshal(e.Delta)
		if err != nil {
			return err
		}
		if err := m.s.exec(ctx, setDelta, e.log(k).row(k, e.ID, raw)...); err != nil {
			return err
		}
	}
	return m.bringOutside(ctx, k, e)
}

// bringOutside brings about what is not in the change's own row of the log.
func (m *Meta) bringOutside(ctx context.Context, k cellKey, e effects) error {
	g, gctx := limited(ctx)
	if e.AccountChunk != 0 {
		g.Go(func() error {
			return m.end(gctx, place{ownerOfAccount(e.Account), e.Proc, e.AccountChunk}, logKey{id: e.ID}, e.Delta)
		})
	}
	if e.Listed != nil {
		g.Go(func() error { return m.list(gctx, namesOf(k.container), []byte(k.name), e.Listed.Summary, e.Gen) })
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
