package cassandra

import (
	"context"
	"encoding/json"
	"slices"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

// A change under a quota first reserves what it is going to add, in its rows of the log, and then looks: of two that together pass the
// limit at least one sees the other. What the change really added takes the reservation's place when it has come to its end.
var readTally = statement{cql: `SELECT total, rev, absorbed, proc, latest, folded, sum FROM %k.tally WHERE owner = ?`, class: sliceRead, level: gocql.LocalQuorum}

func ownerOfAccount(id naming.AccountID) string     { return "a:" + string(id) }
func ownerOfContainer(id naming.ContainerID) string { return "c:" + id.String() }

// tallied is the tally of an owner.
type tallied struct {
	owner    string
	total    meta.Usage   // of processes that are gone
	rev      *int64       // of the total
	absorbed []gocql.UUID // processes that are in the total already
	procs    []tallyRow
}

// tallyRow is what a process has folded, and up to where it may have opened chunks.
type tallyRow struct {
	proc           gocql.UUID
	latest, folded int64
	sum            meta.Usage
}

// tally reads the tally of an owner, without the rows that the total has.
func (m *Meta) tally(ctx context.Context, owner string) (*tallied, error) {
	t := &tallied{owner: owner}
	var bad error
	err := m.s.rows(ctx, readTally, []any{owner}, 1000, func(it *gocql.Iter) bool {
		var r tallyRow
		var proc *gocql.UUID
		var total, sum []byte
		if !it.Scan(&total, &t.rev, &t.absorbed, &proc, &r.latest, &r.folded, &sum) {
			return false
		}
		if len(total) > 0 && t.total == (meta.Usage{}) {
			bad = json.Unmarshal(total, &t.total)
		}
		if len(sum) > 0 && bad == nil {
			bad = json.Unmarshal(sum, &r.sum)
		}
		if proc != nil && !slices.Contains(t.absorbed, *proc) {
			r.proc = *proc
			t.procs = append(t.procs, r)
		}
		return bad == nil
	})
	if bad != nil {
		return nil, tornUsage(bad)
	}
	return t, err
}

// open lists the chunks that may be there.
func (t *tallied) open() (places []place) {
	for _, r := range t.procs {
		places = append(places, r.open(t.owner)...)
	}
	return places
}

func (r *tallyRow) open(owner string) (places []place) {
	for c := r.folded + 1; c <= r.latest; c++ {
		places = append(places, place{owner, r.proc, c})
	}
	return places
}

func (t *tallied) sum() meta.Usage {
	sum := t.total
	for _, r := range t.procs {
		sum = sum.Add(r.sum)
	}
	return sum
}

// same reports whether nothing was folded between two readings.
func (t *tallied) same(o *tallied) bool {
	if (t.rev == nil) != (o.rev == nil) || t.rev != nil && *t.rev != *o.rev {
		return false
	}
	for _, r := range t.procs {
		i := slices.IndexFunc(o.procs, func(p tallyRow) bool { return p.proc == r.proc })
		if i < 0 || o.procs[i].folded != r.folded {
			return false
		}
	}
	return true
}

// told is the usage of an owner with what is stuck; what cannot be settled now will be counted later.
func (m *Meta) told(ctx context.Context, owner string) (meta.Usage, error) {
	if err := m.mendAll(ctx); err != nil && m.s.log != nil {
		m.s.log.WarnContext(ctx, "a usage may lack a change that could not be brought to its end yet", "error", err)
	}
	used, _, err := m.usage(ctx, owner, gocql.UUID{}, true)
	return used, err
}

// usage adds up an owner; reserved is what changes other than one have reserved. A chunk that is folded while it is read shows in the tally,
// which is therefore read again afterwards. all: also what others have applied and not brought to its end.
func (m *Meta) usage(ctx context.Context, owner string, but gocql.UUID, all bool) (used, reserved meta.Usage, err error) {
	const op = "cassandra.Meta.usage"
	before, err := m.tally(ctx, owner)
	if err != nil {
		return used, reserved, fail(op, err)
	}
	for n := range attempts {
		used, reserved = before.sum(), meta.Usage{}
		open := before.open()
		var unfinished []logged
		for _, p := range open {
			err := m.readLog(ctx, p, "", func(r logRow) {
				used = used.Add(r.delta)
				if all && !r.done && r.rec != nil && r.delta == (meta.Usage{}) {
					unfinished = append(unfinished, logged{p, r.logKey})
				}
				if !r.done && r.id != but {
					reserved = reserved.Add(r.reserved)
				}
			})
			if err != nil {
				return used, reserved, fail(op, err)
			}
		}
		if len(open) == 0 {
			return used, reserved, nil
		}
		if len(unfinished) > 0 {
			id, err := containerOf(owner)
			if err != nil {
				return used, reserved, fail(op, err)
			}
			sum, err := m.unfinished(ctx, id, unfinished)
			if err != nil {
				return used, reserved, fail(op, err)
			}
			used = used.Add(sum)
		}
		after, err := m.tally(ctx, owner)
		if err != nil {
			return used, reserved, fail(op, err)
		}
		if before.same(after) {
			return used, reserved, nil
		}
		before = after
		if err := pause(ctx, n); err != nil {
			return used, reserved, fail(op, err)
		}
	}
	return used, reserved, errs.E(op, errs.Busy, errs.Account, owner)
}

// AccountUsage counts an account; see meta.Tally.
func (m *Meta) AccountUsage(ctx context.Context, account naming.AccountID) (meta.Usage, error) {
	return m.told(ctx, ownerOfAccount(account))
}

// ContainerUsage counts a container; see meta.Tally.
func (m *Meta) ContainerUsage(ctx context.Context, id naming.ContainerID) (meta.Usage, error) {
	return m.told(ctx, ownerOfContainer(id))
}

// allow tests the limits of a change that adds delta, after having reserved it. It may be asked again with another delta.
func (m *Meta) allow(ctx context.Context, ch *change, l meta.Limits, delta meta.Usage) error {
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
	rows := [2][]any{
		ch.account.row(cellKey{}, ch.id, len(ch.reserved), raw),
		ch.log.row(ch.cellKey, ch.id, len(ch.reserved), raw),
	}
	for i, owner := range [2]string{ch.account.owner, ch.log.owner} {
		g.Go(func() error {
			if err := m.s.exec(gctx, reserve, rows[i]...); err != nil {
				return err
			}
			sum, reserved, err := m.usage(gctx, owner, ch.id, false)
			used[i] = sum.Add(reserved)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return l.Allow(used[0], used[1], delta)
}

// grows is the part of a change that adds: what it frees is free when it has been made.
func grows(d meta.Usage) meta.Usage {
	return meta.Usage{
		Objects: max(d.Objects, 0), Bytes: max(d.Bytes, 0), Versions: max(d.Versions, 0), Stored: max(d.Stored, 0),
		UploadParts: max(d.UploadParts, 0), UploadBytes: max(d.UploadBytes, 0),
	}
}

// unreserve gives up what a change has reserved of its account. What it reserved of its container ends with its row of the log.
func (m *Meta) unreserve(ctx context.Context, p place, k logKey, n note) error {
	return m.end(ctx, place{ownerOfAccount(n.Account), p.proc, n.Chunk}, logKey{id: k.id}, meta.Usage{})
}
