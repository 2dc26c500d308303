package cassandra

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// The usage of an owner is a partition: a sum (static, under LWT) and the changes that are not in it yet, each once, under its id. Folding adds
// them to the sum and deletes them in one conditional batch. A change's row is written with timestamp 1, so one that is repeated late stays hidden by
// the deletion.
//
// A change under a quota first writes what it is going to add as a reservation, whose id is that of the change and a number, and then
// looks: of two that together pass the limit at least one sees the other. Reservations count for quotas alone and are never folded.
var (
	addUsage     = statement{`INSERT INTO %k.usage (owner, id, delta) VALUES (?, ?, ?) USING TIMESTAMP 1`, plainWrite, gocql.LocalQuorum}
	getUsage     = statement{`SELECT rev, folded, id, delta FROM %k.usage WHERE owner = ?`, sliceRead, gocql.LocalQuorum}
	setUsage     = statement{`UPDATE %k.usage SET rev = ?, folded = ? WHERE owner = ? IF rev = ?`, casWrite, gocql.LocalQuorum}
	dropReserved = statement{`DELETE FROM %k.usage USING TIMESTAMP 2 WHERE owner = ? AND id > ? AND id < ?`, plainWrite, gocql.LocalQuorum}
	dropUsage    = statement{`DELETE FROM %k.usage WHERE owner = ? AND id = ?`, casWrite, gocql.LocalQuorum}
)

const (
	foldFrom   = 64  // open rows from which on a reader folds
	foldAtMost = 400 // in one batch
)

func ownerOfAccount(id naming.AccountID) string     { return "a:" + string(id) }
func ownerOfContainer(id naming.ContainerID) string { return "c:" + id.String() }

// count writes a change into an owner's usage.
func (m *Meta) count(ctx context.Context, owner string, id gocql.UUID, d meta.Usage) error {
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return m.s.exec(ctx, addUsage, owner, id[:], raw)
}

// ledger is an owner's usage as stored.
type ledger struct {
	rev    *int64
	folded meta.Usage
	ids    [][]byte
	deltas []meta.Usage
	others meta.Usage // reserved, but by one change
}

func (l *ledger) sum() meta.Usage {
	sum := l.folded
	for _, d := range l.deltas {
		sum = sum.Add(d)
	}
	return sum
}

// ledger reads an owner's usage; reservations of the change named do not count among the others'.
func (m *Meta) ledger(ctx context.Context, owner string, but gocql.UUID) (*ledger, error) {
	var l ledger
	var folded []byte
	var bad error
	err := m.s.rows(ctx, getUsage, []any{owner}, 1000, func(it *gocql.Iter) bool {
		var id, raw []byte
		if !it.Scan(&l.rev, &folded, &id, &raw) {
			return false
		}
		if len(id) > 0 && len(raw) > 0 {
			var d meta.Usage
			bad = json.Unmarshal(raw, &d)
			switch {
			case len(id) == len(but):
				l.ids, l.deltas = append(l.ids, id), append(l.deltas, d)
			case !bytes.HasPrefix(id, but[:]):
				l.others = l.others.Add(d)
			}
		}
		return bad == nil
	})
	if err == nil && bad == nil && len(folded) > 0 {
		bad = json.Unmarshal(folded, &l.folded)
	}
	if bad != nil {
		return nil, errs.Wrap("cassandra.Meta.usage", errs.Corrupt, bad)
	}
	return &l, err
}

func (m *Meta) usage(ctx context.Context, owner string) (meta.Usage, error) {
	const op = "cassandra.Meta.usage"
	l, err := m.ledger(ctx, owner, gocql.UUID{})
	if err != nil {
		return meta.Usage{}, fail(op, err)
	}
	if len(l.ids) >= foldFrom {
		if err := m.fold(ctx, owner, l); err != nil {
			return meta.Usage{}, fail(op, err)
		}
	}
	return l.sum(), nil
}

// fold adds open rows to the sum. Another who folded first is as good, and what is unknown will show in the next reading.
func (m *Meta) fold(ctx context.Context, owner string, l *ledger) error {
	n := min(len(l.ids), foldAtMost)
	sum, rev := l.folded, int64(1)
	if l.rev != nil {
		rev = *l.rev + 1
	}
	steps := make([]step, 1, n+1)
	for i := range n {
		sum = sum.Add(l.deltas[i])
		steps = append(steps, step{dropUsage, []any{owner, l.ids[i]}})
	}
	raw, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	steps[0] = step{setUsage, []any{rev, raw, owner, l.rev}}
	if _, err := m.s.casBatch(ctx, m.s.serial, steps...); err != nil && !unknown(err) {
		return err
	}
	return nil
}

// foldSometimes folds after about each foldFrom-th change, so that the usage of an owner of whom nobody asks does not grow long.
func (m *Meta) foldSometimes(ctx context.Context, account naming.AccountID, container naming.ContainerID) error {
	if account == "" || rand.N(foldFrom) != 0 {
		return nil
	}
	for _, owner := range []string{ownerOfAccount(account), ownerOfContainer(container)} {
		if _, err := m.usage(ctx, owner); err != nil {
			return err
		}
	}
	return nil
}

// AccountUsage counts an account; see meta.Tally.
func (m *Meta) AccountUsage(ctx context.Context, account naming.AccountID) (meta.Usage, error) {
	return m.usage(ctx, ownerOfAccount(account))
}

// ContainerUsage counts a container; see meta.Tally.
func (m *Meta) ContainerUsage(ctx context.Context, id naming.ContainerID) (meta.Usage, error) {
	return m.usage(ctx, ownerOfContainer(id))
}

// allow tests the limits of a change that adds delta, after having reserved it. It may be asked again with another delta.
func (m *Meta) allow(ctx context.Context, ch *change, l meta.Limits, account naming.AccountID, delta meta.Usage) error {
	if l.IsZero() || len(ch.reserved) > 0 && ch.reserved[len(ch.reserved)-1] == delta {
		return nil
	}
	ch.reserved = append(ch.reserved, delta)
	raw, err := json.Marshal(grows(delta))
	if err != nil {
		return err
	}
	var used [2]meta.Usage
	g, gctx := limited(ctx)
	for i, owner := range owners(account, ch.container) {
		g.Go(func() error {
			if err := m.s.exec(gctx, addUsage, owner, reservation(ch.id, len(ch.reserved)), raw); err != nil {
				return err
			}
			led, err := m.ledger(gctx, owner, ch.id)
			if err == nil {
				used[i] = led.sum().Add(led.others)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return l.Allow(used[0], used[1], delta)
}

func owners(account naming.AccountID, container naming.ContainerID) [2]string {
	return [2]string{ownerOfAccount(account), ownerOfContainer(container)}
}

// grows is the part of a change that adds: what it frees is free when it has been made.
func grows(d meta.Usage) meta.Usage {
	return meta.Usage{
		Objects: max(d.Objects, 0), Bytes: max(d.Bytes, 0), Versions: max(d.Versions, 0), Stored: max(d.Stored, 0),
		UploadParts: max(d.UploadParts, 0), UploadBytes: max(d.UploadBytes, 0),
	}
}

// reservation is the id of the n-th reservation of a change.
func reservation(id gocql.UUID, n int) []byte { return append(id[:], byte(n)) }

// unreserve removes the reservations of a change.
func (m *Meta) unreserve(ctx context.Context, id gocql.UUID, account naming.AccountID, container naming.ContainerID) error {
	for _, owner := range owners(account, container) {
		if err := m.s.exec(ctx, dropReserved, owner, id[:], append(id[:], 0xff)); err != nil {
			return err
		}
	}
	return nil
}
